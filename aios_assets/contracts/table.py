"""What a table is: columns with units, grain, key, clocks, owner, source. Everything else is derived from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

Type = Literal["str", "i64", "i32", "f64", "f32", "bool", "date", "ts", "bytes"]

POLARS_TYPES: dict[str, pl.DataType] = {
    "str": pl.String(),
    "i64": pl.Int64(),
    "i32": pl.Int32(),
    "f64": pl.Float64(),
    "f32": pl.Float32(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
    "ts": pl.Datetime("us", "UTC"),
    "bytes": pl.Binary(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: its name; the unit is the suffix (`_ea`, `_usd`, `_days`, `_c`, `_frac`, `_date`, `_at_utc`).
        type: one of `POLARS_TYPES`.
        means: one sentence for docs and the catalogue.
        null_means: what null says; empty means the column is never null.
        unit: unit of measure; empty for identifiers and flags.
        low: plausible lower limit (a warning, not a block).
        high: plausible upper limit (a warning, not a block).
        codes: closed list of values, or empty.
    """

    name: str
    type: Type
    means: str
    null_means: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    codes: tuple[str, ...] = ()

    @property
    def nullable(self) -> bool:
        """Whether null is allowed."""
        return bool(self.null_means)

    @property
    def dtype(self) -> pl.DataType:
        """The polars type."""
        return POLARS_TYPES[self.type]


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the same name is asset key, Delta folder, dbt relation, Feast source and docs heading.

    Attributes:
        name: layer, source and noun (`raw_edi__order_lines`, `fct_demand_daily`).
        stage: numbered stage that writes it, which is its Dagster group (`s1_ingest` … `s8_monitor`).
        grain: one row is …
        key: columns that are unique together.
        columns: all columns, in stored order.
        event_clock: column that says when it happened.
        known_clock: column that says when we could have known.
        partition_by: Delta partition columns (a month column for anything that grows daily).
        window: date column that a partition window replaces; empty for tables merged on key.
        write: `append` (immutable, insert missing keys only), `window` (replaceWhere on `window`), `full`.
        writer: `lake` (Python asset) or `dbt`.
        owner: who answers for it.
        source: from whom it comes.
    """

    name: str
    stage: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    event_clock: str = ""
    known_clock: str = ""
    partition_by: tuple[str, ...] = ()
    window: str = ""
    write: Literal["append", "window", "full"] = "append"
    writer: Literal["lake", "dbt"] = "lake"
    owner: str = "data-platform"
    source: str = ""
    sort: tuple[str, ...] = field(default=())

    @property
    def schema(self) -> pl.Schema:
        """Polars schema in stored order."""
        return pl.Schema({c.name: c.dtype for c in self.columns})

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in stored order."""
        return tuple(c.name for c in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: there is none.
        """
        for c in self.columns:
            if c.name == name:
                return c
        raise KeyError(f"{self.name} has no column {name}")

    def empty(self) -> pl.DataFrame:
        """A frame of no rows with this schema."""
        return pl.DataFrame(schema=self.schema)
