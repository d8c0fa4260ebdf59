"""Where typed lines wait for the verdict on their sets, and where facts go: memory, nowhere, or Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
from aios_assets.contracts.table import Table
from aios_assets.edi.strings import compact
from aios_assets.edi.typing_rules import Typed

if TYPE_CHECKING:
    from types import TracebackType


_TABLES = {t.name: t for t in EDI_FACT_TABLES}


class Shelf(Protocol):
    """Holds what was typed until envelopes are judged, and takes the facts that passed."""

    def hold(self, typed: list[Typed]) -> None:
        """Keep the typed lines of one part."""

    def held(self) -> Iterator[list[Typed]]:
        """The parts, in order."""

    def settle(self, table: str, facts: pl.DataFrame) -> None:
        """Take facts of a part that passed."""


class InMemory:
    """Everything stays in memory."""

    def __init__(self) -> None:
        self._typed: list[list[Typed]] = []
        self._facts: dict[str, list[pl.DataFrame]] = {}

    def hold(self, typed: list[Typed]) -> None:
        self._typed.append([Typed(t.table, compact(t.facts), compact(t.rejects), t.seen) for t in typed])

    def held(self) -> Iterator[list[Typed]]:
        # Handed out and forgotten, so that candidates and facts are not in memory twice.
        self._typed.reverse()
        while self._typed:
            yield self._typed.pop()

    def settle(self, table: str, facts: pl.DataFrame) -> None:
        self._facts.setdefault(table, []).append(conform(facts, _TABLES[table]))

    def facts(self) -> dict[str, pl.DataFrame]:
        """All facts by table, in document order."""
        return {
            table.name: _in_order(pl.concat(self._facts[table.name]))
            if table.name in self._facts
            else _empty(table.name)
            for table in EDI_FACT_TABLES
        }


class Counting:
    """Facts are counted by set and forgotten: a check needs their number and what is wrong with lines."""

    def __init__(self) -> None:
        self._typed: list[list[Typed]] = []

    def hold(self, typed: list[Typed]) -> None:
        self._typed.append([replace(t, facts=_counted(t.facts), rejects=compact(t.rejects)) for t in typed])

    def held(self) -> Iterator[list[Typed]]:
        for part in self._typed:
            yield [replace(t, facts=_as_many(t.facts)) if "len" in t.facts.columns else t for t in part]

    def settle(self, table: str, facts: pl.DataFrame) -> None:
        pass


def _counted(facts: pl.DataFrame) -> pl.DataFrame:
    """How many facts each run of sets has; of a part that a person may have to look at, where each stands."""
    if facts["soft"].null_count() < facts.height:
        return facts.select("set", "row", "line_no", "soft")
    return facts["set"].rle().struct.unnest()


def _as_many(runs: pl.DataFrame) -> pl.DataFrame:
    """As many rows of each set as were counted; where they stood is not known."""
    sets = pl.Series("set", np.repeat(runs["value"].to_numpy(), runs["len"].to_numpy()), dtype=pl.Int32)
    unknown = {"row": pl.Int64, "line_no": pl.Int32, "soft": pl.String}
    return sets.to_frame().with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in unknown.items())


class OnDisk:
    """Candidates wait in files, facts are appended to one Parquet file per table.

    Args:
        folder: where the Parquet files appear, when all is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[list[tuple[Typed, Path | None]]] = []
        self._writers: dict[str, Any] = {}
        self.rows: dict[str, int] = {}

    def __enter__(self) -> OnDisk:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, writer in self._writers.items():
            writer.close()
            if kind is None:
                self._path(name, part=True).replace(self._path(name, part=False))
            else:
                self._path(name, part=True).unlink()
        for _, path in (one for part in self._parts for one in part):
            if path is not None:
                path.unlink(missing_ok=True)

    def _path(self, name: str, *, part: bool) -> Path:
        return self._folder / (f".{name}.parquet.part" if part else f"{name}.parquet")

    def hold(self, typed: list[Typed]) -> None:
        part = []
        for n, t in enumerate(typed):
            path = self._folder / f".candidates-{len(self._parts):06d}-{n:02d}.arrow.part" if t.facts.height else None
            if path is not None:
                t.facts.write_ipc(path, compression="lz4")
            part.append((Typed(t.table, t.facts.clear(), compact(t.rejects), t.seen), path))
        self._parts.append(part)

    def held(self) -> Iterator[list[Typed]]:
        for part in self._parts:
            yield [replace(typed, facts=pl.read_ipc(path)) if path else typed for typed, path in part]
            for _, path in part:
                if path is not None:
                    path.unlink()

    def settle(self, table: str, facts: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        rows = conform(facts, _TABLES[table]).to_arrow(compat_level=pl.CompatLevel.oldest())
        if table not in self._writers:
            self._writers[table] = pq.ParquetWriter(self._path(table, part=True), rows.schema, compression="zstd")
        self._writers[table].write_table(rows)
        self.rows[table] = self.rows.get(table, 0) + facts.height


@cache
def _empty(name: str) -> pl.DataFrame:
    return _TABLES[name].empty()


def conform(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """A frame in the order and with the types of its contract."""
    return frame.select(table.names).cast(dict(table.schema))  # type: ignore[arg-type]


def _in_order(facts: pl.DataFrame) -> pl.DataFrame:
    """Parts come in document order; only a TA1, which belongs to no set, comes last."""
    if facts["set_no"].min() != 0:
        return facts
    return facts.sort("document_id", "interchange_no", "set_no", "segment_no", "line_no")
