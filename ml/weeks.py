"""A history of days of a site that reports whole weeks by now, as the weeks it would have reported.

Means over days and weeks side by side are means of neither: a site that sells one a day and then tells seven on Sundays would be forecast at
two. Days are summed to weeks where all of a week was told; the week in which the reports changed, and one of which a day is missing, are
not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

WEEK = 7
# Share of its weeks told in days in which a site must have told a weekday for it to belong to a whole week (a shop is closed on Sundays).
USUAL_FRAC = 0.5
KEYS = ["item_id", "site_id"]


def told_days_before(reports: pl.DataFrame, ends: Mapping[str, date]) -> list[str]:
    """Of sites that report weeks those that told other days, too: they changed, and means hold both.

    Args:
        reports: site_id, demand_date of days of which sales were reported.
        ends: by site the last day of its newest week.
    """
    if not ends:
        return []
    known = reports.filter(pl.col("site_id").is_in(list(ends))).with_columns(_end(ends))
    return sorted(known.filter(pl.col("demand_date") != pl.col("end"))["site_id"].unique().to_list())


def as_weeks(sales: pl.DataFrame, ends: Mapping[str, date]) -> pl.DataFrame:
    """Sales of days as those of the weeks that end as the newest ones of their site do.

    Args:
        sales: item_id, site_id, demand_date, sales_qty_ea (null: not known), is_stockout, price_usd; one row per series and day.
        ends: by site the last day of its newest week; of other sites, and of days after it, nothing comes back.

    Returns:
        The same columns, demand_date the last day of a week: units of the week, whether stock ran out on any of its days, the last price.
        A week that the site told as one figure is as it was told.
    """
    if not ends:
        return sales.clear()
    known = sales.filter(pl.col("sales_qty_ea").is_not_null() & pl.col("site_id").is_in(list(ends))).with_columns(
        _end(ends)
    )
    newest = pl.DataFrame(
        {"site_id": list(ends), "newest": list(ends.values())}, schema={"site_id": pl.String, "newest": pl.Date}
    )
    known = known.join(newest, on="site_id", how="left").filter(pl.col("end") <= pl.col("newest")).drop("newest")
    days = known.select("site_id", "demand_date", "end").unique()
    whole = _whole(days)
    weeks = known.join(whole, on=["site_id", "end"], how="semi")
    per_site = days.group_by("site_id", "end").agg(pl.len().alias("told"))
    summed = (
        weeks.sort(*KEYS, "demand_date")
        .group_by(*KEYS, "end", maintain_order=True)
        .agg(
            pl.col("sales_qty_ea").sum(), pl.col("is_stockout").any(), pl.col("price_usd").drop_nulls().last(),
            pl.len().alias("days"),
        )
        .join(per_site, on=["site_id", "end"], how="left")
        .filter(pl.col("days") == pl.col("told"))
    )  # fmt: skip
    return summed.rename({"end": "demand_date"}).select(sales.columns).cast(sales.schema).sort(*KEYS, "demand_date")


def _end(ends: Mapping[str, date]) -> pl.Expr:
    """Last day of the week that each row's day lies in."""
    last = pl.col("site_id").replace_strict(dict(ends), return_dtype=pl.Date)
    ahead = (last - pl.col("demand_date")).dt.total_days() % WEEK
    return (pl.col("demand_date") + pl.duration(days=ahead)).alias("end")


def _whole(days: pl.DataFrame) -> pl.DataFrame:
    """Weeks of which everything was told: those since the change to weeks, and those before of which every usual weekday was told.

    The newest week with days is the one of the change: its last day may hold all of it once more.
    """
    told = days.group_by("site_id", "end").agg((pl.col("demand_date") == pl.col("end")).all().alias("as_one"))
    change = told.filter(~pl.col("as_one")).group_by("site_id").agg(pl.col("end").max().alias("change"))
    told = told.join(change, on="site_id", how="left")
    since = told.filter(pl.col("change").is_null() | (pl.col("end") > pl.col("change")))
    before = days.join(told.filter(pl.col("end") < pl.col("change")), on=["site_id", "end"])
    weekday = pl.col("demand_date").dt.weekday().alias("weekday")
    weeks = before.group_by("site_id").agg(pl.col("end").n_unique().alias("weeks"))
    seen = before.group_by("site_id", weekday).agg(pl.len().alias("seen")).join(weeks, on="site_id")
    usual = seen.filter(pl.col("seen") > USUAL_FRAC * pl.col("weeks")).select("site_id", "weekday")
    wanted = usual.group_by("site_id").agg(pl.len().alias("wanted"))
    have = before.with_columns(weekday).join(usual, on=["site_id", "weekday"], how="semi")
    counted = have.group_by("site_id", "end").agg(pl.len().alias("have")).join(wanted, on="site_id")
    complete = counted.filter(pl.col("have") == pl.col("wanted"))
    return pl.concat([since.select("site_id", "end"), complete.select("site_id", "end")])
