"""The newest knowledge of a whole history as one wide panel, and which of its cells were known otherwise at some days.

From: all versions of `fct_demand_daily`, whole or in stretches of days one after the other (as months lie in the lake). Form: three
wide arrays (17 bytes a cell), and the versions of the few cells that were reported late, corrected or withdrawn. A stretch is
forgotten as soon as its values are in place, so a history needs the memory of its cells, not of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError
from ml.own_features import Wide
from ml.threads import side_by_side
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
    filling: _Filling | None = None
    seen: date | None = None
    for versions in history:
        low, high = versions["demand_date"].min(), versions["demand_date"].max()
        if not isinstance(low, date) or not isinstance(high, date) or low > last:
            continue
        if seen is not None and low <= seen:
            raise BadInputError(
                f"a history in parts has to go up in days: {low} comes after {seen}", where="fct_demand_daily",
                todo="give all versions of a day in one part, older days first",
            )  # fmt: skip
        seen, filling = high, filling or _Filling(Axis.of(low, last, cutoff))
        rows = visible(versions, filling.axis)
        if rows.height:
            filling.take(rows, filling.axis.number(low), min(filling.axis.number(high), filling.axis.last) + 1)
        del versions, rows  # the next part is read without them
    return filling.panel() if filling is not None and filling.series else None


class _Filling:
    """A panel that is being filled with one stretch of days after another; series stand in the order in which they were met."""

    def __init__(self, axis: Axis) -> None:
        self.axis, self.days, self.series, self.done = axis, axis.last + 1, 0, 0
        self.keys: list[pl.DataFrame] = []
        self.first_known = np.zeros(0, dtype=np.int64)
        self.late: list[pl.DataFrame] = []
        self.fields: list[Array] = []

    def take(self, rows: pl.DataFrame, first: int, stop: int) -> None:
        """Put the visible versions of the days `[first, stop)` in place."""
        keys, rows, first_known = indexed(rows)
        final = where(rows, pl.col("v1") > self.axis.last)
        s, t, shape = final["s"].to_numpy(), final["t"].to_numpy(), (keys.height, stop - first)
        in_order = ascending(s, t)
        if not in_order:
            _refuse_double(s.astype(np.int64) * shape[1] + t - first, shape[0] * shape[1])
        every = in_order and s.size == shape[0] * shape[1]  # every day of every series, in order
        values = final.select(
            pl.col("sales_qty_ea").cast(pl.Float64).fill_null(np.nan), (~pl.col("is_stockout")).fill_null(False),
            pl.col("price_usd").cast(pl.Float64).fill_null(np.nan),
        )  # fmt: skip
        place = self._places(keys, first)
        self.first_known[place] = np.minimum(self.first_known[place], first_known)
        self.late.append(_numbered(_late(rows, final, self.axis.last), place))
        if every and not self.done and shape[1] == self.days:
            self.fields = [column.to_numpy().reshape(shape) for column in values]  # the panel itself
        else:
            cells = None if every else place[s] * self.days + t
            side_by_side(partial(self._put, place, cells, first, stop), zip(self.fields, values, ABSENT, strict=True))
        self.done = stop

    def _put(
        self, place: I64, cells: I64 | None, first: int, stop: int, field: Array, column: pl.Series, absent: object
    ) -> None:
        """Values of the days `[first, stop)` into one field: at `cells`, or whole days of the series at `place`."""
        field[: self.series, self.done : first] = absent
        if place.size < self.series or cells is not None:
            field[: self.series, first:stop] = absent
        if cells is not None:
            field.reshape(-1)[cells] = column.to_numpy()
        else:
            rows = column.to_numpy().reshape(place.size, stop - first)
            field[place if _moved(place) else slice(place.size), first:stop] = rows

    def _places(self, keys: pl.DataFrame, first: int) -> I64:
        """The row of each of these series; those that were not met before get new rows, absent until `first`."""
        if self.keys and keys.equals(self.keys[0]):  # the usual month
            return np.arange(self.series)
        known = pl.concat([*self.keys, keys]).unique(maintain_order=True)
        before, self.keys, self.series = self.series, [known], known.height
        if self.series > before:
            self._make_room(before)
            for field, absent in zip(self.fields, ABSENT, strict=True):
                field[before : self.series, :first] = absent
            new = np.full(self.series - before, -NEVER)
            self.first_known = np.concatenate([self.first_known, new])
        found = keys.join(known.with_row_index("s"), on=list(KEYS), how="left", maintain_order="left")
        return found["s"].cast(pl.Int64).to_numpy()

    def _make_room(self, before: int) -> None:
        """Rows for all series, and for some that may come: memory that is not touched costs nothing."""
        if self.fields and self.fields[0].shape[0] >= self.series:
            return
        room = self.series + self.series // 4
        self.fields = self.fields or [np.empty((0, self.days), dtype=type(absent)) for absent in ABSENT]
        for k, old in enumerate(self.fields):
            self.fields[k] = np.empty((room, self.days), dtype=old.dtype)
            self.fields[k][:before, : self.done] = old[:before, : self.done]

    def panel(self) -> KnownPanel:
        """The whole panel, series in the order of their keys."""
        for field, absent in zip(self.fields, ABSENT, strict=True):
            if self.done < self.days:
                field[: self.series, self.done :] = absent
        ordered = self.keys[0].with_row_index("s").sort(KEYS)
        order, late = ordered["s"].cast(pl.Int64).to_numpy(), pl.concat(self.late)
        if _moved(order):
            for field in self.fields:
                _reorder(field, order)
            late = _numbered(late, np.argsort(order))
        base = Wide(*(field[: self.series] for field in self.fields))
        return KnownPanel(ordered.select(KEYS), self.axis, base, self.first_known[order], late.sort("s", "t", "v0"))


def _moved(place: I64) -> bool:
    return not np.array_equal(place, np.arange(place.size))


def _numbered(late: pl.DataFrame, number: I64) -> pl.DataFrame:
    """With other numbers of series."""
    return late.with_columns(pl.Series("s", number.astype(np.int32)).gather(late["s"]))


def _reorder(field: Array, order: I64) -> None:
    """Rows into another order, where they lie: a panel is too large to be held twice."""
    done = order == np.arange(order.size)
    for start in range(order.size):
        if done[start]:
            continue
        kept, to = field[start].copy(), start
        while order[to] != start:
            field[to] = field[order[to]]
            done[to], to = True, int(order[to])
        field[to], done[to] = kept, True


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
