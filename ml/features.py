"""Demand features of every item, site and day, from what was known at the cut-off of that day.

From: all versions of `fct_demand_daily`. Form: `feat_item_site__demand` (contract). A row is never rewritten by later
knowledge: late and corrected reports change the rows of the days from which they were known, and no earlier one.

How: the newest known values make one wide panel (series × days, `ml.known_panel`), computed at once or some months after others. The
few (series, day) pairs at which something else was known (a report still missing, a value not yet corrected) are computed again, each
stretch of equal knowledge as a small synthetic series of its own, and put in place. Sums add up in an order that does not depend on
the panel's first day (`ml.windows`), so one new day alone, or one month, equals the same days within the whole history.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.mart_tables import FEAT_ITEM_SITE_DEMAND
from ml.known_panel import KnownPanel, known_panel
from ml.own_features import (
    LAGS,
    WINDOWS,
    Cells,
    Wide,
    own_feature_names,
    own_features,
    own_features_compiled,
    own_stretches_compiled,
)
from ml.visible import BLOCK_CELLS, I64, KEYS
from ml.visible import VERSION_COLUMNS as VERSION_COLUMNS
from ml.windows import F64, WindowSums

# Where none of these is known, no other feature of the series' own history is.
FURTHEST = (f"sales_qty_ea_lag_{LAGS[-1]}", f"sales_qty_ea_mean_{WINDOWS[-1]}d", "days_since_sale", "price_usd_lag_0")
AGGREGATE_WINDOW = 28
AGGREGATES = (("site_sales_qty_ea_mean_28d", "site_id"), ("item_sales_qty_ea_mean_28d", "item_id"))
COMPILE_FROM = 2_000_000  # rows; below this loading the compiled kernel costs more than it saves
COMPILED_DAYS = 512  # computed at once: sums over them and the longest window stay in the nearer memory
PART_ROWS = 6_000_000  # rows of a history that are made at once: 0.7 gigabytes

Window = tuple[date, date]


def demand_features(
    versions: pl.DataFrame, days: Sequence[date] | Window, cutoff: Callable[[date], datetime]
) -> pl.DataFrame:
    """Feature rows of `days`, each from what was known at its own cut-off.

    Grain: item, site and day; a row exists for every series from its first known report on, also on days without one
    (then `sales_qty_ea_lag_0` is null), until nothing of it is known of a year. Units: eaches, US dollars, days. Stored in 32 bits, accumulated in 64.

    Args:
        versions: rows of `fct_demand_daily`, all versions; history before `days` is read as far back as it is given.
        days: `(first, last)`, both included, or any longer ascending list of days.
        cutoff: instant at which the knowledge of a business day is closed (increasing).

    Returns:
        Rows of `feat_item_site__demand`, sorted by key.

    Raises:
        BadInputError: two versions of one item, site and day are visible at the same cut-off.
    """
    wanted = _days(days)
    known = known_panel([versions], wanted[-1], cutoff) if wanted else None
    if known is None:
        return FEAT_ITEM_SITE_DEMAND.empty()
    wanted = [day for day in wanted if day >= known.axis.first]
    if not wanted:
        return FEAT_ITEM_SITE_DEMAND.empty()
    made = _Made(known, len(wanted))
    made.make(wanted, [len(wanted)])
    return made.rows(0)


def monthly_features(
    history: Iterable[pl.DataFrame], days: Window, cutoff: Callable[[date], datetime]
) -> Iterator[tuple[Window, pl.DataFrame]]:
    """`demand_features` of `(first, last)`, month by month, for a history of which neither rows nor features fit in memory.

    A history of S series and D days needs 17 bytes for each of its S · D cells, and a gigabyte; a few days of few series need
    as little as they are. The rows are those of `demand_features` to the last bit.

    Args:
        history: rows of `fct_demand_daily`, all versions, in stretches of days, ascending; read one after the other.
        days: first and last day wanted, both included.
        cutoff: as in `demand_features`.

    Yields:
        The half-open stretch of days of each calendar month within `days`, ascending and without gaps, and its rows, sorted by key;
        no rows where nothing was known.

    Raises:
        BadInputError: as `demand_features`, or the stretches of the history do not ascend.
    """
    known = known_panel(history, days[1], cutoff)
    months = [_days(month) for month in _months(days)]
    made = None if known is None else _Made(known, sum(len(month) for month in months))
    while months:
        part = [months.pop(0)]
        while made and months and (sum(map(len, part)) + len(months[0])) * made.series <= PART_ROWS:
            part.append(months.pop(0))
        inside = [[day for day in month if made and day >= made.known.axis.first] for month in part]
        if made and any(inside):
            made.make([day for month in inside for day in month], [len(month) for month in inside])
        for index, month in enumerate(part):
            rows = made.rows(index) if made and inside[index] else FEAT_ITEM_SITE_DEMAND.empty()
            yield (month[0], month[-1] + timedelta(days=1)), rows
            del rows  # not held while the next ones are made


def _days(days: Sequence[date]) -> list[date]:
    if len(days) == 2 and days[0] <= days[1]:
        return [days[0] + timedelta(days=k) for k in range((days[1] - days[0]).days + 1)]
    return sorted(set(days))


def _months(days: Window) -> list[Window]:
    """First and last day of each calendar month within `days`."""
    found, first = [], days[0]
    while first <= days[1]:
        after = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        found.append((first, min(after - timedelta(days=1), days[1])))
        first = after
    return found


class _Made:
    """Features made of a panel, some days after others (ascending), and the rows of those made last."""

    def __init__(self, known: KnownPanel, days: int) -> None:
        """Args: known: the panel. days: how many will be made of it in all."""
        self.known, self.series = known, known.keys.height
        self.names = (*own_feature_names(), *(name for name, _ in AGGREGATES))
        self.compiled = self.series * days >= COMPILE_FROM
        self.members = [known.keys[group].rank("dense").cast(pl.Int64).to_numpy() - 1 for _, group in AGGREGATES]

    def make(self, wanted: list[date], parts: list[int]) -> None:
        """Make the features of `wanted`, in parts of so many days."""
        self.wanted = wanted
        self.columns = np.array([self.known.axis.number(day) for day in wanted], dtype=np.int64)
        bounds = np.concatenate([[0], np.cumsum(parts)]).astype(np.int64)
        self.cells = Cells(len(self.names), self.series, bounds, self._free_memory())
        if self.compiled and self.columns.size == self.columns[-1] - self.columns[0] + 1:
            for low in range(0, self.columns.size, COMPILED_DAYS):
                self._compute(self.columns[low : low + COMPILED_DAYS], low, compiled=True)
        else:
            self._compute(self.columns, 0, compiled=False)

    def _free_memory(self) -> npt.NDArray[np.float32] | None:
        """The memory of the days made before, unless somebody still holds rows of them."""
        cells = self.__dict__.pop("cells", None)
        memory = None if cells is None else cells.memory
        del cells
        return memory if memory is not None and sys.getrefcount(memory) == 2 else None

    def _compute(self, columns: I64, day: int, *, compiled: bool) -> None:
        known, stop = self.known, int(columns[-1]) + 1
        stretches, other = known.apart(int(columns[0]), stop)
        if compiled:
            first = int(columns[0])
            own_features_compiled(known.base, first, stop, self.cells, day)
            if stretches.height:
                whose = stretches["s"].to_numpy(), stretches["d0"].to_numpy(), stretches["d1"].to_numpy()
                then = other["row"].to_numpy(), other["t"].to_numpy(), _values(other)
                own_stretches_compiled(known.base, whose, then, first - day, self.cells)
        else:
            self._plain(columns, day)
            self._again(columns, day, stretches, other)
        for k, members in enumerate(self.members):
            means = self._group_means(columns, members, other, compiled=compiled)
            self.cells.fill(
                len(self.names) - len(self.members) + k, slice(None), day, means.astype(np.float32)[members]
            )

    def _plain(self, columns: I64, day: int) -> None:
        """Features of the newest knowledge, by NumPy."""
        n, width = self.known.base.sales.shape
        step = max(1, BLOCK_CELLS // width)
        for low in range(0, n, step):
            rows = slice(low, min(low + step, n))
            block = own_features(self.known.base.part(rows, slice(None)), columns)
            for f, values in enumerate(block.values()):
                self.cells.fill(f, rows, day, values)

    def _again(self, columns: I64, day: int, stretches: pl.DataFrame, other: pl.DataFrame) -> None:
        """Compute again the stretches in which something else was known, and put them in place, by NumPy."""
        step = max(1, BLOCK_CELLS // self.known.base.sales.shape[1])
        for low in range(0, stretches.height, step):
            part = stretches.slice(low, step)
            series = part["s"].to_numpy()
            wide = self.known.base.rows(series)
            then = other.filter(pl.col("row").is_between(low, low + step - 1))
            row, t = then["row"].to_numpy() - low, then["t"].to_numpy()
            known = _values(then)
            wide.sales[row, t], wide.stocked[row, t], wide.price[row, t] = known.sales, known.stocked, known.price
            block = own_features(wide, columns)
            inside = (columns >= part["d0"].to_numpy()[:, None]) & (columns < part["d1"].to_numpy()[:, None])
            r, c = np.nonzero(inside)
            for f, values in enumerate(block.values()):
                self.cells.put(f, series[r], c + day, values[r, c])

    def _group_means(self, columns: I64, members: I64, other: pl.DataFrame, *, compiled: bool) -> F64:
        """Mean daily units of each site (or item) over 28 days, as known at each day's cut-off: (groups, days)."""
        start, stop = max(0, int(columns[0]) - AGGREGATE_WINDOW + 1), int(columns[-1]) + 1
        totals, reports = self._totals(members, start, stop, compiled=compiled)
        sums = WindowSums(totals).at(AGGREGATE_WINDOW, columns - start)
        counts = WindowSums((reports > 0).astype(np.float64)).at(AGGREGATE_WINDOW, columns - start)
        if other.height:
            self._correct(sums, counts, reports, start, columns, members, other)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(counts > 0, sums / counts, np.nan)

    def _totals(self, members: I64, start: int, stop: int, *, compiled: bool) -> tuple[F64, F64]:
        """Units and number of reports of each group at the days `[start, stop)`, added series by series."""
        sales, shape = self.known.base.sales, (int(members.max()) + 1, stop - start)
        totals, reports = np.zeros(shape), np.zeros(shape)
        if compiled:
            from ml.feature_kernel import group_totals

            group_totals(sales, members, start, stop, totals, reports)
            return totals, reports
        step = max(1, BLOCK_CELLS // shape[1])
        for low in range(0, members.size, step):
            part = sales[low : low + step, start:stop]
            known = ~np.isnan(part)
            np.add.at(totals, members[low : low + step], np.where(known, part, 0.0))
            np.add.at(reports, members[low : low + step], known.astype(np.float64))
        return totals, reports

    def _correct(
        self, sums: F64, counts: F64, reports: F64, start: int, columns: I64, members: I64, other: pl.DataFrame
    ) -> None:
        """Replace, in the groups' sums, what is known now by what was known at each day."""
        near = other.filter(pl.col("t") > pl.col("d0") - AGGREGATE_WINDOW)
        now = self.known.base.sales[near["s"].to_numpy(), near["t"].to_numpy()]
        then = _values(near).sales
        lost = np.isnan(then).astype(np.float64) - np.isnan(now)
        frame = near.select("t", "d0", "d1", "s").with_columns(
            pl.Series("g", members[near["s"].to_numpy()]),
            pl.Series("dx", np.nan_to_num(then) - np.nan_to_num(now)),
            pl.Series("dn", -lost),
        )
        frame = frame.with_columns(pl.int_ranges("d0", "d1").alias("d")).explode("d")
        frame = frame.filter((pl.col("d") >= pl.col("t")) & (pl.col("d") < pl.col("t") + AGGREGATE_WINDOW))
        frame = frame.group_by("g", "d", "t").agg(pl.col("dx", "dn").sum()).sort("g", "d", "t")
        column = np.minimum(np.searchsorted(columns, frame["d"].to_numpy()), columns.size - 1)
        frame = frame.with_columns(pl.Series("column", column)).filter(pl.Series(columns[column]) == pl.col("d"))
        g, column = frame["g"].to_numpy(), frame["column"].to_numpy()
        had, change = reports[g, frame["t"].to_numpy() - start], frame["dn"].to_numpy()
        gone = ((had > 0) & (had + change <= 0)).astype(np.float64)
        came = ((had <= 0) & (had + change > 0)).astype(np.float64)
        np.add.at(sums, (g, column), frame["dx"].to_numpy())
        np.add.at(counts, (g, column), came - gone)

    def rows(self, index: int) -> pl.DataFrame:
        """One part as contract rows; NaN becomes null, series start at their first known report."""
        values = self.cells.part(index)
        part = slice(int(self.cells.bounds[index]), int(self.cells.bounds[index + 1]))
        columns, wanted = self.columns[part], self.wanted[part]
        exists = (self.known.first_known[:, None] <= columns[None, :]) & self._of_a_year(values)
        whole = bool(exists.all())  # the usual month: nothing to pick, nothing to copy
        per_series, place = exists.sum(axis=1), None if whole else np.flatnonzero(exists)
        days = pl.DataFrame(
            {"feature_date": wanted, "available_at_utc": self.known.axis.cuts[columns]},
            schema={"feature_date": pl.Date, "available_at_utc": pl.Datetime("us")},
        ).with_columns(
            pl.col("available_at_utc").dt.replace_time_zone("UTC"), feature_month=pl.col("feature_date").dt.strftime("%Y-%m")
        )  # fmt: skip
        series = pl.Series(np.repeat(np.arange(per_series.size, dtype=np.uint32), per_series))
        each = np.tile(np.arange(columns.size, dtype=np.uint32), per_series.size)
        day = pl.Series(each if place is None else each[place])
        made = [column.gather(series) for column in self.known.keys.select(KEYS)]
        made += [column.gather(day) for column in days]
        made += [
            _column(name, v.reshape(-1) if place is None else v.reshape(-1)[place])
            for name, v in zip(self.names, values, strict=True)
        ]
        return pl.DataFrame(made).select(FEAT_ITEM_SITE_DEMAND.names)

    def _of_a_year(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Whether any feature of a series' own history is known: a night reads no further back than they do."""
        known = np.zeros(values.shape[1:], dtype=bool)
        for name in FURTHEST:
            known |= ~np.isnan(values[self.names.index(name)])
        return known


def _values(cells: pl.DataFrame) -> Wide:
    """Units, in stock, price of single cells."""
    sales, price = (cells[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("sales_qty_ea", "price_usd"))
    return Wide(sales, (~cells["is_stockout"]).fill_null(False).to_numpy(), price)


def _column(name: str, values: npt.NDArray[np.float32]) -> pl.Series:
    """Values that lie in one piece as a column, without copying them; NaN is null."""
    import pyarrow as pa

    bits = None
    if np.isnan(values.sum()):  # one quick look: most columns of most months have none
        bits = pa.py_buffer(np.packbits(~np.isnan(values), bitorder="little"))
    array = pa.Array.from_buffers(pa.float32(), values.size, [bits, pa.py_buffer(values)])
    return pl.Series(name, pl.from_arrow(array))
