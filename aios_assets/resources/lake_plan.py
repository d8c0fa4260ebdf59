"""What a write has to change: which rows are new and which files they replace. Decides only; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.contracts.errors import ContractError
from aios_assets.contracts.table import Table
from aios_assets.resources.lake_files import DataFile, limits_of, overlapping
from aios_assets.resources.lake_schema import content_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

# Rows that are looked at together where a table is looked at in parts.
PART_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One commit to be.

    Attributes:
        rows: rows to write, sorted by key.
        removed: live files that they replace.
        new_rows: how many of the caller's rows are written.
    """

    rows: pl.DataFrame
    removed: tuple[DataFile, ...]
    new_rows: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not self.rows.height and not self.removed


def scan_files(table: Table, folder: Path, files: Sequence[DataFile]) -> pl.LazyFrame:
    """The rows of `files` as a lazy frame in contract order."""
    if not files:
        return table.empty().lazy()
    parts = {name: pl.String() for name in table.partition_by}
    return pl.scan_parquet(
        [folder / f.path for f in files],
        schema={c.name: c.dtype for c in table.columns},
        hive_partitioning=bool(parts),
        hive_schema=parts or None,
        try_parse_hive_dates=False,
        glob=False,
        missing_columns="insert",  # columns that the contract gained after the file was written: they may be null
        extra_columns="ignore",
    ).select(table.names)


def plan_append(table: Table, folder: Path, files: Sequence[DataFile], rows: pl.DataFrame) -> Plan:
    """The rows whose key is not in `files` yet."""
    key = list(table.key)
    low, high = limits_of(table, rows.select(table.names)) if rows.height else ({}, {})
    low, high = ({c: v for c, v in side.items() if c in key} for side in (low, high))
    near = overlapping(files, low, high) if rows.height else []
    if not near:
        return Plan(rows, (), rows.height)
    stored = scan_files(table, folder, near)
    first = key[:1]
    # Facts lead with their document, and a document is read once: the first column alone mostly settles it.
    if len(key) > 1 and key[0] == "document_id":
        met = stored.select(first).unique().join(rows.lazy().select(first).unique(), on=first, how="semi").collect()
        if not met.height:
            return Plan(rows, (), rows.height)
        stored = stored.filter(pl.col(key[0]).is_in(met.to_series().implode()))
    known = stored.select(key).join(rows.lazy().select(key), on=key, how="semi").collect()
    new = rows.join(known, on=key, how="anti", maintain_order="left") if known.height else rows
    return Plan(new, (), new.height)


def plan_full(table: Table, folder: Path, files: Sequence[DataFile], rows: pl.DataFrame) -> Plan:
    """All rows in place of all files, unless the content is the same."""
    if sum(f.rows for f in files) == rows.height:
        stored = scan_files(table, folder, files).collect()
        if content_digest(table, stored) == content_digest(table, rows):
            return Plan(rows.clear(), (), 0)
    return Plan(rows, tuple(files), rows.height)


def plans_full(table: Table, folder: Path, files: Sequence[DataFile], parts: Iterable[pl.DataFrame]) -> Iterator[Plan]:
    """`plan_full` of rows that come in parts, ascending by key: one plan per part, the last one removes all files.

    As long as parts say what is stored they are compared and not written; what was equal is written again from the files as soon as
    something is not. Equal to the end: no plan.

    Raises:
        ContractError: a part does not begin behind the one before it.
    """
    ordered = sorted(files, key=lambda f: f.path)
    stored = scan_files(table, folder, ordered)
    same, step, end, is_same = 0, PART_ROWS, None, True
    for rows in parts:
        keys = rows.select(table.key)
        if rows.height and end is not None and keys.row(0) <= end:
            raise ContractError(
                f"the key ({', '.join(table.key)}) does not ascend from part to part",
                where=table.name,
                todo="sort by the key",
            )
        end = keys.row(-1) if rows.height else end
        if is_same:
            there = stored.slice(same, rows.height).collect()
            if there.height == rows.height and content_digest(table, there) == content_digest(table, rows):
                same += rows.height
                continue
            is_same = False
            yield from (_again(stored, low, min(step, same - low)) for low in range(0, same, step))
        yield Plan(rows, (), rows.height)
    if is_same and same == sum(f.rows for f in files):
        return
    if is_same:
        yield from (_again(stored, low, min(step, same - low)) for low in range(0, same, step))
    yield Plan(table.empty(), tuple(files), 0)


def _again(stored: pl.LazyFrame, low: int, rows: int) -> Plan:
    """Stored rows that are written again as they are."""
    return Plan(stored.slice(low, rows).collect(), (), rows)


def plan_window(
    table: Table, folder: Path, files: Sequence[DataFile], rows: pl.DataFrame, window: tuple[date, date]
) -> Plan:
    """The window's rows in place of the files that hold any of its days; their other rows are carried over."""
    start, end = window
    day = pl.col(table.window)
    inside = (day >= start) & (day < end)
    near = [f for f in files if _touches(f, table.window, start, end)]
    stored = scan_files(table, folder, near).collect()
    held = stored.filter(inside)
    if held.height == rows.height and content_digest(table, held) == content_digest(table, rows):
        return Plan(rows.clear(), (), 0)
    if not held.height:
        return Plan(rows, (), rows.height)
    carried = stored.filter(~inside)
    return Plan(pl.concat([carried, rows]).sort(list(table.key), maintain_order=True), tuple(near), rows.height)


def _touches(file: DataFile, column: str, start: date, end: date) -> bool:
    if column not in file.low or column not in file.high:
        return True
    return bool(file.low[column] < end.isoformat() and file.high[column] >= start.isoformat())
