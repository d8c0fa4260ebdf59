"""The newest knowledge of a whole history as one wide panel, and which of its cells were known otherwise at some days.

From: all versions of `fct_demand_daily`, whole or in stretches of days one after the other (as months lie in the lake). Form: three
wide arrays (17 bytes a cell), and the versions of the few cells that were reported late, corrected or withdrawn. A stretch is
forgotten as soon as its values are in place, so a history needs the memory of its cells, not of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError
from ml.own_features import Wide
from ml.visible import I64, KEYS, NEVER, VALUES, Axis, ascending, indexed, visible, where

Array = npt.NDArray[Any]
ABSENT = (np.nan, False, np.nan)  # units sold, in stock as reported, price


@dataclass(frozen=True, slots=True)
class KnownPanel:
    """What was known of a history at the cut-off of its last day, and before.

    Attributes:
        keys: item and site of each series, in order.
        axis: days and their cut-offs.
        base: newest knowledge (series, days).
        first_known: number of the day at which each series' first report was known; beyond the axis where none was.
        late: versions of cells whose knowledge changed after their own day: s, t, v0, v1, values, and `until`, the day from
            which the newest holds. Sorted by s, t, v0.
    """

    keys: pl.DataFrame
    axis: Axis
    base: Wide
    first_known: I64
    late: pl.DataFrame

    def apart(self, first: int, stop: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Where knowledge differs from the newest within the days `[first, stop)`.

        Returns:
            Stretches `[d0, d1)` of days, per series s, in which it differs and does not change; and the cells that differ in each, with
            the values then known (null where none was): row (of the stretches), s, d0, d1, t, values; sorted.
        """
        late = self.late.filter((pl.col("until") > first) & (pl.col("t") < stop))
        marks = [late.select("s", d0=c) for c in ("v0", "v1", "t", "until")]
        marks.append(late.select("s", d0=pl.lit(first, dtype=pl.Int32)))
        starts = pl.concat(marks).filter(pl.col("d0").is_between(first, stop - 1)).unique().sort("s", "d0")
        starts = starts.with_columns(pl.col("d0").shift(-1).over("s").fill_null(stop).cast(pl.Int32).alias("d1"))
        cells = starts.join(late, on="s").filter((pl.col("t") < pl.col("d1")) & (pl.col("until") > pl.col("d0")))
        seen = (pl.col("v0") < pl.col("d1")) & (pl.col("v1") > pl.col("d0"))
        cells = cells.with_columns(pl.when(seen).then(pl.col(VALUES)), seen=seen).sort("s", "d0", "t", "seen")
        newest = pl.any_horizontal(pl.col(c) != pl.col(c).shift(-1) for c in ("s", "d0", "t")).fill_null(True)
        cells = cells.filter(newest)  # of the versions of a cell the one that was seen, where there is one
        other = pl.any_horizontal(pl.col(c) != pl.col(c).shift(1) for c in ("s", "d0")).fill_null(True)
        cells = cells.select(other.cum_sum().cast(pl.Int32).alias("row") - 1, "s", "d0", "d1", "t", *VALUES)
        return cells.filter(pl.col("row").diff().fill_null(1) > 0).select("s", "d0", "d1"), cells


def known_panel(history: Iterable[pl.DataFrame], last: date, cutoff: Callable[[date], datetime]) -> KnownPanel | None:
    """The panel of a history up to `last`; none where nothing was known by its cut-off.

    Args:
        history: rows of `fct_demand_daily`, all versions; stretches of days, ascending, each day whole in one of them.
        last: last business day.
        cutoff: instant at which the knowledge of a business day is closed (increasing).

    Raises:
        BadInputError: stretches overlap, or two versions of one item, site and day are visible at the same cut-off.
    """
    axis: Axis | None = None
    seen: date | None = None
    blocks: list[_Block] = []
    for versions in history:
        low, high = versions["demand_date"].min(), versions["demand_date"].max()
        if not isinstance(low, date) or not isinstance(high, date) or low > last:
            continue
        if seen is not None and low <= seen:
            raise BadInputError(
                f"a history in parts has to go up in days: {low} comes after {seen}", where="fct_demand_daily",
                todo="give all versions of a day in one part, older days first",
            )  # fmt: skip
        seen = high
        axis = axis or Axis.of(low, last, cutoff)
        rows = visible(versions, axis)
        if rows.height:
            blocks.append(_block(rows, axis, (axis.number(low), min(axis.number(high), axis.last) + 1)))
        del versions, rows  # the next part is read without them
    return _assembled(blocks, axis) if axis is not None and blocks else None


@dataclass(slots=True)
class _Block:
    """One stretch of days, with its own numbers of series."""

    keys: pl.DataFrame
    days: tuple[int, int]
    fields: list[Array]
    first_known: I64
    late: pl.DataFrame


def _block(rows: pl.DataFrame, axis: Axis, days: tuple[int, int]) -> _Block:
    keys, rows, first_known = indexed(rows)
    final = where(rows, pl.col("v1") > axis.last)
    s, t = final["s"].to_numpy(), final["t"].to_numpy() - days[0]
    n, width = keys.height, days[1] - days[0]
    whole = ascending(s, t)
    cell = s.astype(np.int64) * width + t
    if not whole:
        _refuse_double(cell, n * width)
    place = None if whole and cell.size == n * width else cell  # every cell, in order: nothing to put in place

    def wide(column: pl.Series, absent: float | bool) -> Array:
        values = column.to_numpy()
        if place is not None:
            values, given = np.full(n * width, absent, dtype=values.dtype), values
            values[place] = given
        return values.reshape(n, width)

    values = final.select(
        pl.col("sales_qty_ea").cast(pl.Float64).fill_null(np.nan), (~pl.col("is_stockout")).fill_null(False),
        pl.col("price_usd").cast(pl.Float64).fill_null(np.nan),
    )  # fmt: skip
    fields = [wide(column, absent) for column, absent in zip(values, ABSENT, strict=True)]
    return _Block(keys, days, fields, first_known, _late(rows, final, axis.last))


def _refuse_double(cell: I64, cells: int) -> None:
    seen = np.zeros(cells, dtype=bool)
    seen[cell] = True
    double = cell.size - int(seen.sum())
    if double:
        raise BadInputError(
            "two versions of one item, site and day are valid at once", where="fct_demand_daily", count=double,
            todo="close the older version's superseded_at_utc",
        )  # fmt: skip


def _late(rows: pl.DataFrame, final: pl.DataFrame, last: int) -> pl.DataFrame:
    """Versions of cells whose knowledge changed after their own day; `until` is the day from which the newest holds.

    A cell that no current version describes (all were withdrawn) is late for as long as anything was visible.
    """
    odd = rows.filter((pl.col("v0") > pl.col("t")) | (pl.col("v1") <= last)).select("s", "t").unique()
    if odd.height == 0:  # the usual night: nothing late, nothing corrected
        return rows.clear().with_columns(pl.lit(None, dtype=pl.Int32).alias("until"))
    rows = rows.join(odd, on=["s", "t"], how="semi")
    final = final.join(odd, on=["s", "t"], how="semi")
    newest = final.select("s", "t", pl.col("v0").alias("until"))
    withdrawn = rows.group_by("s", "t").agg(pl.col("v1").max().alias("withdrawn"))
    cells = withdrawn.join(newest, on=["s", "t"], how="left")
    cells = cells.select("s", "t", pl.coalesce("until", "withdrawn").alias("until")).filter(
        pl.col("until") > pl.col("t")
    )
    return rows.join(cells, on=["s", "t"], how="inner")


def _assembled(blocks: list[_Block], axis: Axis) -> KnownPanel:
    """The blocks side by side; each array of a block is forgotten when it is in place."""
    keys = blocks[0].keys if len(blocks) == 1 else pl.concat([b.keys for b in blocks]).unique().sort(KEYS)
    shape = keys.height, axis.last + 1
    number = keys.with_row_index("s")
    rows = [b.keys.join(number, on=list(KEYS), how="left", maintain_order="left")["s"].to_numpy() for b in blocks]
    fields = [_side_by_side(blocks, rows, k, shape) for k in range(len(ABSENT))]
    first_known, late = np.full(shape[0], -NEVER), []
    for block, r in zip(blocks, rows, strict=True):
        first_known[r] = np.minimum(first_known[r], block.first_known)
        late.append(block.late.with_columns(pl.Series("s", r.astype(np.int32)).gather(block.late["s"])))
    return KnownPanel(keys, axis, Wide(*fields), first_known, pl.concat(late).sort("s", "t", "v0"))


def _side_by_side(blocks: list[_Block], rows: list[npt.NDArray[np.uint32]], k: int, shape: tuple[int, int]) -> Array:
    """One array of all blocks, with what is absent where a block has no such series, or no block has the day."""
    if len(blocks) == 1 and blocks[0].days == (0, shape[1]):
        return blocks[0].fields[k]
    out, done = np.empty(shape, dtype=type(ABSENT[k])), 0
    for block, r in zip(blocks, rows, strict=True):
        first, stop = block.days
        if r.size == shape[0]:  # all of them, so in the same order
            out[:, done:first] = ABSENT[k]
            out[:, first:stop] = block.fields[k]
        else:
            out[:, done:stop] = ABSENT[k]
            out[r, first:stop] = block.fields[k]
        block.fields[k], done = np.zeros(0), stop
    out[:, done:] = ABSENT[k]
    return out
