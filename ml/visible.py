"""Versions of the daily demand as numbers: which were known when, of which series and day.

From: all versions of `fct_demand_daily`. Form: rows with the number of their series, their day `t` on the axis, and the half-open
stretch of days `[v0, v1)` at whose cut-offs they were the newest knowledge. A year of a large panel is eleven million rows,
so whole columns are touched as seldom as can be, in 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Cuts = npt.NDArray[np.datetime64]
KEYS = ("item_id", "site_id")
VALUES = ("sales_qty_ea", "is_stockout", "price_usd")
VERSION_COLUMNS = (*KEYS, "demand_date", *VALUES, "available_at_utc", "superseded_at_utc")  # all that features read
NEVER = np.int64(-(1 << 40))
BLOCK_CELLS = 400_000


@dataclass(frozen=True, slots=True)
class Axis:
    """Business days from `first` on, and the instant at which the knowledge of each is closed."""

    first: date
    cuts: Cuts

    @classmethod
    def of(cls, first: date, last: date, cutoff: Callable[[date], datetime]) -> Axis:
        """The axis from `first` to `last`, both included."""
        days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
        return cls(first, np.array([cutoff(day).replace(tzinfo=None) for day in days], dtype="datetime64[us]"))

    @property
    def last(self) -> int:
        """Number of the last day."""
        return int(self.cuts.size) - 1

    def number(self, day: date) -> int:
        """Number of a day."""
        return (day - self.first).days


def visible(versions: pl.DataFrame, axis: Axis) -> pl.DataFrame:
    """Versions known by the last cut-off, with day number `t` and the half-open stretch of days `[v0, v1)` they rule."""
    end = axis.first + timedelta(days=axis.last)
    known = pl.lit(axis.cuts[-1]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    rows = where(
        versions.select(VERSION_COLUMNS), (pl.col("demand_date") <= end) & (pl.col("available_at_utc") <= known)
    )
    t = rows["demand_date"].to_physical().to_numpy() - (axis.first - date(1970, 1, 1)).days
    marked = rows.select(*KEYS, *VALUES).with_columns(
        pl.Series("t", t), pl.Series("v0", _known_from(axis.cuts, rows["available_at_utc"], t)),
        _ruled_until(axis.cuts, rows["superseded_at_utc"]).alias("v1"),
    )  # fmt: skip
    return where(marked, pl.col("v0") < pl.col("v1"))


def where(rows: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    """The rows that meet a condition; the frame itself, not a copy, where all do (the usual night)."""
    keep = rows.select(condition.fill_null(False)).to_series()
    return rows if keep.all() else rows.filter(keep)


def _known_from(cuts: Cuts, instants: pl.Series, t: I32) -> I32:
    """Index of the first cut-off at or after each instant, but not before the row's own day `t`.

    Nearly all reports are in time, so one comparison with the own day's cut-off answers; only the late ones are searched.
    """
    stamps = _stamps(instants)
    blocks = range(0, t.size, BLOCK_CELLS)
    found = [np.flatnonzero(stamps[k : k + BLOCK_CELLS] > cuts[t[k : k + BLOCK_CELLS]]) + k for k in blocks]
    late = np.concatenate([np.zeros(0, dtype=np.int64), *found])
    if late.size == 0:
        return t
    out = t.copy()
    out[late] = np.searchsorted(cuts, stamps[late], side="left")
    return out


def _ruled_until(cuts: Cuts, instants: pl.Series) -> pl.Expr:
    """Index of the first cut-off at or after each instant; beyond the last one for null."""
    some = np.flatnonzero(instants.is_not_null().to_numpy())
    if some.size == 0:
        return pl.lit(cuts.size, dtype=pl.Int32)  # one value for all rows, not as many as rows
    out = np.full(len(instants), cuts.size, dtype=np.int32)
    out[some] = np.searchsorted(cuts, _stamps(instants.drop_nulls()), side="left")
    return pl.lit(pl.Series(out))


def _stamps(instants: pl.Series) -> Cuts:
    return instants.dt.cast_time_unit("us").to_physical().to_numpy().view("datetime64[us]")


def indexed(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, I64]:
    """Series in order, the rows with their series' number `s`, and each series' first day; runs of equal keys are looked up once."""
    new = rows.select(pl.any_horizontal(pl.col(k) != pl.col(k).shift(1) for k in KEYS).fill_null(True)).to_series()
    runs = rows.select(KEYS).filter(new)
    keys, number = runs, np.arange(runs.height, dtype=np.int32)
    if not _going_up(runs):
        keys = runs.unique().sort(KEYS)
        numbered = runs.join(keys.with_row_index("s"), on=list(KEYS), how="left", maintain_order="left")
        number = numbered["s"].cast(pl.Int32).to_numpy()
    start = np.flatnonzero(new.to_numpy())
    first = np.full(keys.height, -NEVER)
    np.minimum.at(first, number, np.minimum.reduceat(rows["v0"].to_numpy(), start))
    s = np.repeat(number, np.diff(start, append=rows.height))
    return keys, rows.drop(KEYS).with_columns(pl.Series("s", s)), first


def _going_up(keys: pl.DataFrame) -> bool:
    """Whether keys stand in order, each once, as they do in a table sorted by key."""
    item, site = (pl.col(k) for k in KEYS)
    same = item == item.shift(1)
    return bool(keys.select(((item > item.shift(1)) | (same & (site > site.shift(1)))).slice(1).all()).item())


def ascending(s: I32, t: I32) -> bool:
    """Whether rows go up by series, then day: then no two are of one cell."""
    later = t[1:] > t[:-1]
    later &= s[1:] == s[:-1]
    later |= s[1:] > s[:-1]
    return bool(later.all())
