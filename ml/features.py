"""Demand features of every item, site and day, from what was known at the cut-off of that day.

From: all versions of `fct_demand_daily`. Form: `feat_item_site__demand` (contract). A row is never rewritten by later
knowledge: late and corrected reports change the rows of the days from which they were known, and no earlier one.

How: the newest known values make one wide panel (series × days), computed at once. The few (series, day) pairs at which
something else was known (a report still missing, a value not yet corrected) are computed again, each stretch of equal
knowledge as a small synthetic series of its own, and put in place. Sums add up in an order that does not depend on the
panel's first day (`ml.windows`), so one new day alone equals the same day within the whole history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.mart_tables import FEAT_ITEM_SITE_DEMAND
from ml.own_features import Carry, Wide, own_feature_names, own_features, own_features_compiled
from ml.visible import BLOCK_CELLS, I64, KEYS, NEVER, ascending, indexed, visible, where
from ml.windows import F64, WindowSums

LOOKBACK = 364
AGGREGATE_WINDOW = 28
COMPILE_FROM = 2_000_000  # rows; below this loading the compiled kernel costs more than it saves


def demand_features(
    versions: pl.DataFrame,
    days: Sequence[date] | tuple[date, date],
    cutoff: Callable[[date], datetime],
) -> pl.DataFrame:
    """Feature rows of `days`, each from what was known at its own cut-off.

    Grain: item, site and day; a row exists for every series from its first known report on, also on days without one
    (then `sales_qty_ea_lag_0` is null). Units: eaches, US dollars, days. Stored in 32 bits, accumulated in 64.

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
    if versions.height == 0 or not wanted:
        return FEAT_ITEM_SITE_DEMAND.empty()
    known = visible(versions, wanted[-1], cutoff)
    if known.height == 0:
        return FEAT_ITEM_SITE_DEMAND.empty()
    panel = _Panel(known, wanted, cutoff)
    return panel.frame()


def _days(days: Sequence[date]) -> list[date]:
    if len(days) == 2 and days[0] <= days[1]:
        return [days[0] + timedelta(days=k) for k in range((days[1] - days[0]).days + 1)]
    return sorted(set(days))


class _Panel:
    """The wide panel, the stretches of other knowledge, and the frame made of both."""

    def __init__(self, visible: pl.DataFrame, wanted: list[date], cutoff: Callable[[date], datetime]) -> None:
        self.origin: date = visible["origin"][0]
        self.wanted = [day for day in wanted if day >= self.origin]
        self.cutoff = cutoff
        index = np.array([(day - self.origin).days for day in self.wanted], dtype=np.int64)
        self.last = int((wanted[-1] - self.origin).days)
        self.keys, rows, self.first_known = indexed(visible.drop("origin"))
        final = where(rows, pl.col("v1") > self.last)
        self.ordered = ascending(final["s"].to_numpy(), final["t"].to_numpy())
        if not self.ordered:
            self._refuse_double(final)
        self.late = _late_keys(rows, final, self.last)
        start = max(int(index[0]) - LOOKBACK, 0) if index.size else 0
        touched = self.late.filter(pl.col("until") > (index[0] if index.size else 0))
        if touched.height:
            start = min(start, int(touched["t"].min()))  # type: ignore[arg-type]
        self.start = start
        self.columns = index - start
        self.final = final
        self.width = self.last - start + 1
        self.base = self._wide(final)
        self.carry = self._carry(final)
        self.stretches = _stretches(self.late, index)

    def _refuse_double(self, final: pl.DataFrame) -> None:
        seen = np.zeros(self.keys.height * (self.last + 1), dtype=bool)
        seen[final["s"].to_numpy().astype(np.int64) * (self.last + 1) + final["t"].to_numpy()] = True
        double = final.height - int(seen.sum())
        if double:
            raise BadInputError(
                "two versions of one item, site and day are valid at once", where="fct_demand_daily", count=double,
                todo="close the older version's superseded_at_utc",
            )  # fmt: skip

    def _wide(self, rows: pl.DataFrame) -> Wide:
        rows = where(rows, pl.col("t") >= self.start)
        shape, stocked = (self.keys.height, self.width), (~pl.col("is_stockout")).fill_null(False)
        whole = self.ordered and rows.height == shape[0] * shape[1]  # every cell, in order: nothing to put in place
        cell = (
            None if whole else rows["s"].to_numpy().astype(np.int64) * self.width + (rows["t"].to_numpy() - self.start)
        )

        def wide(column: pl.Series, absent: float | bool) -> npt.NDArray[Any]:
            values = column.to_numpy()
            if cell is not None:
                values, given = np.full(shape[0] * shape[1], absent, dtype=values.dtype), values
                values[cell] = given
            return values.reshape(shape)

        sales, price = (rows[name].cast(pl.Float64).fill_null(np.nan) for name in ("sales_qty_ea", "price_usd"))
        return Wide(wide(sales, np.nan), wide(rows.select(stocked).to_series(), False), wide(price, np.nan))

    def _carry(self, final: pl.DataFrame) -> Carry:
        n = self.keys.height
        carry = Carry(np.full(n, -NEVER), np.full(n, NEVER), np.full(n, np.nan))
        if self.start == 0:
            return carry
        before = final.filter(pl.col("t") < self.start)
        sold = before.filter(pl.col("sales_qty_ea") > 0).group_by("s").agg(a=pl.col("t").min(), b=pl.col("t").max())
        carry.first_sale[sold["s"].to_numpy()] = sold["a"].to_numpy() - self.start
        carry.last_sale[sold["s"].to_numpy()] = sold["b"].to_numpy() - self.start
        priced = (
            before.filter(pl.col("price_usd").is_not_null())
            .sort("s", "t")
            .group_by("s")
            .agg(pl.col("price_usd").last())
        )
        carry.last_price[priced["s"].to_numpy()] = priced["price_usd"].to_numpy()
        return carry

    def frame(self) -> pl.DataFrame:
        """All wanted rows in the contract's order."""
        n, d = self.keys.height, self.columns.size
        if d == 0:
            return FEAT_ITEM_SITE_DEMAND.empty()
        names = own_feature_names()
        cells = np.empty((len(names), n, d), dtype=np.float32)
        out = dict(zip(names, cells, strict=True))
        if n * d >= COMPILE_FROM and d == self.columns[-1] - self.columns[0] + 1:
            own_features_compiled(self.base, self.carry, int(self.columns[0]), cells)
        else:
            step = max(1, BLOCK_CELLS // self.width)
            for low in range(0, n, step):
                rows = slice(low, min(low + step, n))
                block = own_features(self.base.part(rows, slice(None)), self.carry.rows(rows), self.columns)
                for name in names:
                    out[name][rows] = block[name]
        self._patch(out)
        for name, group in (("site_sales_qty_ea_mean_28d", "site_id"), ("item_sales_qty_ea_mean_28d", "item_id")):
            out[name] = self._aggregate(group).astype(np.float32)
        return self._long(out)

    def _patch(self, out: dict[str, npt.NDArray[np.float32]]) -> None:
        """Compute again the stretches in which something else was known, and put them in place."""
        step = max(1, BLOCK_CELLS // self.width)
        position = {int(c): i for i, c in enumerate(self.columns)}
        for low in range(0, self.stretches.height, step):
            part = self.stretches.slice(low, step).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
            series = part["s"].to_numpy()
            wide = self.base.rows(series)
            known = self._as_known(part)
            row, t = known["row"].to_numpy(), known["t"].to_numpy() - self.start
            for array, name in ((wide.sales, "sales_qty_ea"), (wide.price, "price_usd")):
                array[row, t] = known[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            wide.stocked[row, t] = (~known["is_stockout"]).fill_null(False).to_numpy()
            block = own_features(wide, self.carry.rows(series), self.columns)
            days = part.select("row", "s", pl.int_ranges("d0", "d1").alias("d")).explode("d").drop_nulls("d")
            days = days.filter(pl.col("d").is_in(self.columns + self.start))
            column = np.array([position[int(c) - self.start] for c in days["d"].to_list()], dtype=np.int64)
            r, s = days["row"].to_numpy(), days["s"].to_numpy()
            for name, values in block.items():
                out[name][s, column] = values[r, column]

    def _as_known(self, part: pl.DataFrame) -> pl.DataFrame:
        """Cells of the stretches' synthetic series that differ from the newest knowledge, with the value then known."""
        cells = part.join(self.late.select("s", "t").unique(), on="s", how="inner")
        cells = cells.filter((pl.col("t") < pl.col("d1")) & (pl.col("t") >= self.start))
        rows = self.late_versions().join(cells, on=["s", "t"], how="right")
        inside = (pl.col("v0") < pl.col("d1")) & (pl.col("v1") > pl.col("d0"))
        picked = rows.filter(inside).select("row", "t", "sales_qty_ea", "is_stockout", "price_usd")
        return cells.select("row", "t").join(picked, on=["row", "t"], how="left")

    def late_versions(self) -> pl.DataFrame:
        """All versions of the cells that were late or corrected."""
        return self.late.select("s", "t", "v0", "v1", "sales_qty_ea", "is_stockout", "price_usd").drop_nulls("v0")

    def _aggregate(self, group: str) -> F64:
        """Mean daily units of the site (or item) over 28 days, as known at each day's cut-off."""
        members = self.keys[group].rank("dense").cast(pl.Int64).to_numpy() - 1
        groups = int(members.max()) + 1
        totals, reports = np.zeros((groups, self.width)), np.zeros((groups, self.width))
        read = slice(max(0, int(self.columns.min()) - AGGREGATE_WINDOW + 1), None)  # what the windows reach back to
        order = np.argsort(members, kind="stable")
        starts, sales = np.searchsorted(members[order], np.arange(groups)), self.base.sales[order, read]
        known = ~np.isnan(sales)
        totals[:, read] = np.add.reduceat(np.where(known, sales, 0.0), starts, axis=0)
        reports[:, read] = np.add.reduceat(known.astype(np.float64), starts, axis=0)
        sums = WindowSums(totals).at(AGGREGATE_WINDOW, self.columns)
        counts = WindowSums((reports > 0).astype(np.float64)).at(AGGREGATE_WINDOW, self.columns)
        self._correct(sums, counts, reports, members)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: F64 = np.where(counts > 0, sums / counts, np.nan)
        spread_back: F64 = mean[members]
        return spread_back

    def _correct(self, sums: F64, counts: F64, reports: F64, members: I64) -> None:
        """Replace, in the groups' sums, what is known now by what was known at each day."""
        if self.stretches.height == 0:
            return
        part = self.stretches.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
        cells = self._as_known(part).join(part.select("row", "s", "d0", "d1"), on="row", how="left")
        now = self.base.sales[cells["s"].to_numpy(), cells["t"].to_numpy() - self.start]
        then = cells["sales_qty_ea"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        lost = np.isnan(then).astype(np.float64) - np.isnan(now)
        frame = cells.select("t", "d0", "d1", "s").with_columns(
            pl.Series("g", members[cells["s"].to_numpy()]),
            pl.Series("dx", np.nan_to_num(then) - np.nan_to_num(now)),
            pl.Series("dn", -lost),
        )
        frame = frame.with_columns(pl.int_ranges("d0", "d1").alias("d")).explode("d")
        frame = frame.filter((pl.col("d") >= pl.col("t")) & (pl.col("d") < pl.col("t") + AGGREGATE_WINDOW))
        frame = frame.group_by("g", "d", "t").agg(pl.col("dx", "dn").sum()).sort("g", "d", "t")
        place = {int(c) + self.start: i for i, c in enumerate(self.columns)}
        g, t = frame["g"].to_numpy(), frame["t"].to_numpy() - self.start
        column = np.array([place.get(int(d), -1) for d in frame["d"].to_list()], dtype=np.int64)
        keep = column >= 0
        had = reports[g, t]
        gone = ((had > 0) & (had + frame["dn"].to_numpy() <= 0)).astype(np.float64)
        came = ((had <= 0) & (had + frame["dn"].to_numpy() > 0)).astype(np.float64)
        np.add.at(sums, (g[keep], column[keep]), frame["dx"].to_numpy()[keep])
        np.add.at(counts, (g[keep], column[keep]), (came - gone)[keep])

    def _long(self, out: dict[str, npt.NDArray[np.float32]]) -> pl.DataFrame:
        """Wide feature arrays into contract rows; NaN becomes null, series start at their first known report."""
        exists = self.first_known[:, None] <= (self.columns + self.start)[None, :]
        s, c = np.nonzero(exists)
        whole = s.size == exists.size  # the usual night: nothing to pick, nothing to copy
        days = pl.Series("feature_date", self.wanted, dtype=pl.Date)
        months = days.dt.strftime("%Y-%m").alias("feature_month")
        cuts = pl.Series("available_at_utc", [self.cutoff(day) for day in self.wanted]).cast(pl.Datetime("us", "UTC"))
        columns: list[pl.Series] = [self.keys[k][s] for k in KEYS]
        columns.append(days[c])
        columns += [
            pl.Series(name, values.reshape(-1) if whole else values[exists]).fill_nan(None)
            for name, values in out.items()
        ]
        columns += [cuts[c], months[c]]
        return pl.DataFrame(columns).select(FEAT_ITEM_SITE_DEMAND.names).cast(dict(FEAT_ITEM_SITE_DEMAND.schema))  # type: ignore[arg-type]


def _late_keys(rows: pl.DataFrame, final: pl.DataFrame, last: int) -> pl.DataFrame:
    """Versions of cells whose knowledge changed after their own day; `until` is the day from which the newest holds.

    A cell that no current version describes (all were withdrawn) is late for as long as anything was visible.
    """
    days = pl.col("s", "t", "v0", "v1").cast(pl.Int64)
    odd = rows.filter((pl.col("v0") > pl.col("t")) | (pl.col("v1") <= last)).select("s", "t").unique()
    if odd.height == 0:  # the usual night: nothing late, nothing corrected
        return rows.clear().with_columns(days).with_columns(pl.lit(None, dtype=pl.Int64).alias("until"))
    rows = rows.join(odd, on=["s", "t"], how="semi").with_columns(days)
    final = final.join(odd, on=["s", "t"], how="semi").with_columns(days)
    newest = final.select("s", "t", pl.col("v0").alias("until"))
    cells = rows.select("s", "t").unique().join(newest, on=["s", "t"], how="left")
    withdrawn = rows.group_by("s", "t").agg(pl.col("v1").max().alias("withdrawn"))
    cells = cells.join(withdrawn, on=["s", "t"]).with_columns(pl.coalesce("until", "withdrawn").alias("until"))
    cells = cells.filter(pl.col("until") > pl.col("t")).drop("withdrawn")
    return rows.join(cells, on=["s", "t"], how="inner").sort("s", "t", "v0")


def _stretches(late: pl.DataFrame, wanted: I64) -> pl.DataFrame:
    """Stretches `[d0, d1)` of wanted days per series in which knowledge differs from the newest and does not change."""
    empty = pl.DataFrame(schema={"s": pl.Int64, "d0": pl.Int64, "d1": pl.Int64})
    if late.height == 0 or wanted.size == 0:
        return empty
    cells = late.group_by("s", "t").agg(pl.col("until").first())
    first, stop = int(wanted[0]), int(wanted[-1]) + 1
    marks = (
        pl.concat(
            [
                late.select("s", pl.col("v0").alias("d0")),
                late.select("s", pl.col("v1").alias("d0")),
                cells.select("s", pl.col("t").alias("d0")),
                cells.select("s", pl.col("until").alias("d0")),
                late.select("s", pl.lit(first, dtype=pl.Int64).alias("d0")),
            ]
        )
        .filter(pl.col("d0").is_between(first, stop - 1))
        .unique()
        .sort("s", "d0")
    )
    ends = pl.col("d0").shift(-1).over("s").fill_null(stop)
    marks = marks.with_columns(ends.alias("d1"))
    open_cells = marks.join(cells, on="s").filter((pl.col("t") < pl.col("d1")) & (pl.col("until") > pl.col("d0")))
    return open_cells.select("s", "d0", "d1").unique().sort("s", "d0")
