"""Series whose sales are known only of the few days on which something was sold: no average of those is what sells in a day.

A till lists what it sold, and a list of sales says nothing of the days it leaves out. Whoever reads it as it stands forecasts a part
that sells every second month at one a day. A day of a site of which nothing at all is known (a report that was lost) is nobody's gap.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

WEEKS = 8
KNOWN_FRAC = 0.5
# Days up to a site's newest report that are looked at, and the share of them it must have told: where one of its reports says that
# it is of several days, and where none does (reports that were lost are no reason to forecast nothing).
RECENT_DAYS = 14
TOLD_FRAC, LEAST_TOLD_FRAC = 0.6, 0.25
KEYS = ["item_id", "site_id"]


def known_of_too_few_days(sales: pl.DataFrame, first: pl.DataFrame, closed: pl.DataFrame, day: date) -> pl.DataFrame:
    """Series that are known of fewer than half of the days of the last `WEEKS` weeks.

    The days that count are those of which the site reported anything; where no row of a series says zero, all days up to the site's newest
    one but those on which it is closed (a site that reports weeks is closed on six days of seven). Both begin with the series' first day.

    Args:
        sales: item_id, site_id, demand_date, sales_qty_ea as known on `day`; days outside of the stretch are passed over.
        first: item_id, site_id, first_date (the first day known of the series, may lie before the stretch).
        closed: site_id, weekday on which nothing is sold (`ml.closing`).
        day: last business day known.

    Returns:
        item_id, site_id, known_days, days, sorted; none of series of which nothing is known in the stretch.
    """
    begin = day - timedelta(weeks=WEEKS) + timedelta(days=1)
    known = sales.filter(pl.col("demand_date").is_between(begin, day) & pl.col("sales_qty_ea").is_not_null())
    series = known.group_by(KEYS).agg(
        pl.col("demand_date").n_unique().cast(pl.Int64).alias("known_days"),
        (pl.col("sales_qty_ea") <= 0).any().alias("says_zero"),
        pl.col("demand_date").min().alias("begin"),
    )
    series = series.join(first, on=KEYS, how="left").with_columns(
        pl.max_horizontal(pl.min_horizontal("begin", "first_date"), pl.lit(begin)).alias("begin")
    )
    reported = known.select("site_id", "demand_date").unique()
    sites = reported.group_by("site_id").agg(pl.col("demand_date").max())
    opened = (
        sites.with_columns(pl.date_ranges(pl.lit(begin), "demand_date").alias("demand_date"))
        .explode("demand_date")
        .with_columns(weekday=pl.col("demand_date").dt.weekday())
        .join(closed, on=["site_id", "weekday"], how="anti")
        .drop("weekday")
    )
    counted = pl.concat(
        [
            _with_days(series.filter("says_zero"), reported),
            _with_days(series.filter(~pl.col("says_zero")), opened),
        ]
    )
    few = counted.filter(pl.col("known_days") < KNOWN_FRAC * pl.col("days"))
    return few.select(*KEYS, "known_days", "days").sort(KEYS)


def told_in_stretches(reports: pl.DataFrame, closed: pl.DataFrame, day: date) -> pl.DataFrame:
    """Sites that lately told what they sold in stretches of several days: the sum of a month, taken for a day's sales, is thirty times too much.

    Whole weeks are no such stretches once the site counts as closed on its six other weekdays (`closed`).

    Args:
        reports: site_id, demand_date, is_stretch of the last weeks: days of which sales were reported, and whether one of them was of several days.
        closed: site_id, weekday on which nothing is sold (`ml.closing`).
        day: last business day known.

    Returns:
        site_id, known_days, days (open ones that are looked at), sorted.
    """
    known = reports.filter(pl.col("demand_date") <= day)
    sites = known.group_by("site_id").agg(
        pl.col("demand_date").max().alias("newest"), pl.col("demand_date").min().alias("oldest")
    )
    recent = known.join(sites, on="site_id").filter(
        pl.col("demand_date") > pl.col("newest") - pl.duration(days=RECENT_DAYS)
    )
    told = recent.group_by("site_id").agg(
        pl.col("demand_date").n_unique().cast(pl.Int64).alias("known_days"), pl.col("is_stretch").any()
    )
    begin = pl.col("newest") - pl.duration(days=RECENT_DAYS - 1)
    begin = pl.when("is_stretch").then(begin).otherwise(pl.max_horizontal(begin, "oldest"))
    opened = (
        sites.join(told, on="site_id")
        .with_columns(pl.date_ranges(begin, "newest").alias("day"))
        .explode("day")
        .with_columns(weekday=pl.col("day").dt.weekday())
        .join(closed, on=["site_id", "weekday"], how="anti")
        .group_by("site_id", "known_days", "is_stretch")
        .agg(pl.len().cast(pl.Int64).alias("days"))
    )
    least = pl.when("is_stretch").then(TOLD_FRAC).otherwise(LEAST_TOLD_FRAC)
    return (
        opened.filter(pl.col("known_days") < least * pl.col("days"))
        .select("site_id", "known_days", "days")
        .sort("site_id")
    )


def _with_days(series: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Series with the number of a site's days from their `begin` on."""
    left = days.sort("site_id", "demand_date", descending=[False, True]).with_columns(
        days=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("site_id")
    )
    return series.sort("begin").join_asof(
        left.sort("demand_date"), left_on="begin", right_on="demand_date", by="site_id", strategy="forward", check_sortedness=False
    )  # fmt: skip
