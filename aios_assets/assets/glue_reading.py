"""What a reading that comes in batches writes and reports; documents that are read again, because a person released something of them.

What is said of those now takes the place of what was said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
from dagster import MaterializeResult

from aios_assets.assets.common import reported
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World
from aios_assets.resources.lake import Commit

# Rejects of files that were never stored; reading documents says nothing of them.
NOT_READ = pl.col("error_code").str.starts_with("inbox:")


class Told:
    """What was written to each table over all batches, told once per table as Dagster asks."""

    def __init__(self) -> None:
        self._commits: dict[str, Commit] = {}
        self._clocks: dict[str, list[pl.DataFrame]] = {}
        self._numbers: dict[str, dict[str, Any]] = {}

    def add(self, name: str, frame: pl.DataFrame, commit: Commit, **numbers: int | dict[str, int]) -> None:
        """Note a write.

        Args:
            name: table.
            frame: rows that were given; only the limits of their clocks are kept.
            commit: what was done.
            numbers: further figures, which add up over the batches.
        """
        clocks = [clock for clock in (TABLES[name].event_clock, TABLES[name].known_clock) if clock]
        limits = [frame.select(pl.col(clocks).min()), frame.select(pl.col(clocks).max())] if frame.height else []
        self._clocks.setdefault(name, [TABLES[name].empty().select(clocks)]).extend(limits)
        before = self._commits.get(name)
        self._commits[name] = commit if before is None else _sum(before, commit)
        known = self._numbers.setdefault(name, {})
        for label, value in numbers.items():
            known[label] = _added(known[label], value) if label in known else value

    def results(self, names: Sequence[str]) -> Iterator[MaterializeResult[Any]]:
        """One result per table, in the order asked."""
        for name in names:
            yield reported(TABLES[name], pl.concat(self._clocks[name]), self._commits[name], **self._numbers[name])


def _sum(first: Commit, then: Commit) -> Commit:
    """Two writes to one table as one."""
    return replace(
        then,
        previous_version=first.previous_version,
        rows_in=first.rows_in + then.rows_in,
        rows_written=first.rows_written + then.rows_written,
        rows_unchanged=first.rows_unchanged + then.rows_unchanged,
        files=first.files + then.files,
    )


def _added(first: Any, then: Any) -> Any:
    """Two figures, or two groups of figures, added up."""
    if isinstance(first, dict):
        return {k: first.get(k, 0) + then.get(k, 0) for k in {**first, **then}}
    return first + then


def read_before(world: World, documents: pl.DataFrame, feed: str) -> list[str]:
    """Ids of those `documents` that this feed read to the end before."""
    mine = pl.col("feed_code") == feed
    marks = world.lake.read("raw_edi__reads", columns=["document_id"], where=mine)
    return documents.select("document_id").join(marks, on="document_id", how="semi")["document_id"].sort().to_list()


def write_verdicts(world: World, name: str, frame: pl.DataFrame, again: list[str]) -> Commit:
    """Write verdicts or rejects; they replace the rows of the documents read again.

    Such a table only grows otherwise, so a set that was released would count as rejected for ever, with facts that nothing claims.
    A rebuild reads each document once, with all its releases, and comes to the same rows.

    Args:
        world: handles.
        name: table with a column `document_id`.
        frame: rows of all documents that were read now.
        again: documents read again.
    """
    table = TABLES[name]
    if not again:
        return world.lake.write(table, frame)
    replaced = pl.col("document_id").is_in(again)
    if "error_code" in table.names:
        replaced &= ~NOT_READ
    kept = world.lake.read(table, where=~replaced)
    return world.lake.write(replace(table, write="full"), pl.concat([kept, frame.select(table.names)]))
