"""Where typed lines wait for the verdict on their sets, and where facts go: memory, nowhere, or Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
from aios_assets.contracts.table import Table
from aios_assets.edi.strings import compact
from aios_assets.edi.typing_rules import Typed
from aios_assets.edi.waiting import Waiting

if TYPE_CHECKING:
    from types import TracebackType


_TABLES = {t.name: t for t in EDI_FACT_TABLES}
_WRITTEN_ROWS = 500_000


class Shelf(Protocol):
    """Holds what was typed until envelopes are judged, and takes the facts that passed."""

    def hold(self, typed: list[Typed]) -> None:
        """Keep the typed lines of one part."""

    def held(self) -> Iterator[list[Typed]]:
        """The parts, in order."""

    def settle(self, table: str, facts: pl.DataFrame) -> None:
        """Take facts of a part that passed."""


class _Waiting:
    """Candidate lines wait part by part, facts and rejects alike.

    Args:
        waiting: where they wait.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._of: list[list[tuple[Table, int]]] = []

    def hold(self, typed: list[Typed]) -> None:
        self._of.append([(t.table, t.seen) for t in typed])
        self._waiting.put(*(frame for t in typed for frame in (self._kept(t.facts), t.rejects)))

    def held(self) -> Iterator[list[Typed]]:
        for of, frames in zip(self._of, self._waiting.drain(), strict=True):
            pairs = zip(of, frames[::2], frames[1::2], strict=True)
            # Handed out and forgotten, so that candidates and facts are not in memory twice.
            part = [Typed(table, self._given(facts), rejects, seen) for (table, seen), facts, rejects in pairs]
            frames.clear()
            yield part

    def _kept(self, facts: pl.DataFrame) -> pl.DataFrame:
        """What is kept of candidate facts."""
        return compact(facts)

    def _given(self, facts: pl.DataFrame) -> pl.DataFrame:
        """What is handed out for what was kept."""
        return facts


class InMemory(_Waiting):
    """Facts stay in memory, as candidates and as what became of them."""

    def __init__(self) -> None:
        super().__init__(Waiting(most_bytes=1 << 62))
        self._facts: dict[str, list[pl.DataFrame]] = {}

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


class Counting(_Waiting):
    """Facts are counted by set and forgotten: a check needs their number and what is wrong with lines."""

    def __init__(self) -> None:
        super().__init__(Waiting())

    def _kept(self, facts: pl.DataFrame) -> pl.DataFrame:
        """How many facts each run of sets has; of a part that a person may have to look at, where each stands."""
        if facts["soft"].null_count() < facts.height:
            return facts.select("set", "row", "line_no", "soft", "soft_code", "seg")
        return facts["set"].rle().struct.unnest()

    def _given(self, facts: pl.DataFrame) -> pl.DataFrame:
        """As many rows of each set as were counted; where they stood is not known."""
        if "len" not in facts.columns:
            return facts
        sets = pl.Series("set", np.repeat(facts["value"].to_numpy(), facts["len"].to_numpy()), dtype=pl.Int32)
        unknown = {"row": pl.Int64, "line_no": pl.Int32, "soft": pl.String, "soft_code": pl.String}
        return sets.to_frame().with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in unknown.items())

    def settle(self, table: str, facts: pl.DataFrame) -> None:
        pass


class OnDisk(_Waiting):
    """Candidates wait in a file, facts are appended to one Parquet file per table.

    Args:
        folder: where the Parquet files appear, when all is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(Waiting(folder, most_bytes=0))
        self._folder = folder
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

    def _path(self, name: str, *, part: bool) -> Path:
        return self._folder / (f".{name}.parquet.part" if part else f"{name}.parquet")

    def settle(self, table: str, facts: pl.DataFrame) -> None:
        self.write(table, conform(facts, _TABLES[table]))

    def write(self, name: str, rows: pl.DataFrame) -> None:
        """Append rows to a file; one of no rows still makes the file."""
        import pyarrow.parquet as pq

        # Some at a time: Arrow's text is another form than polars', a copy of what it is given.
        for at in range(0, max(rows.height, 1), _WRITTEN_ROWS):
            some = rows.slice(at, _WRITTEN_ROWS)
            arrow = some.to_arrow(compat_level=pl.CompatLevel.oldest())
            if name not in self._writers:
                self._writers[name] = pq.ParquetWriter(self._path(name, part=True), arrow.schema, compression="zstd")
            if some.height:
                self._writers[name].write_table(arrow)
                self.rows[name] = self.rows.get(name, 0) + some.height


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
