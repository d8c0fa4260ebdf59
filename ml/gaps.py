"""Series whose sales are known only of the few days on which something was sold: no average of those is what sells in a day.

A till lists what it sold, and a list of sales says nothing of the days it leaves out. Whoever reads it as it stands forecasts a part
that sells every second month at one a day. A day of a site of which nothing at all is known (a report that was lost) is nobody's gap.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

WEEKS = 8
KNOWN_FRAC = 0.5
KEYS = ["item_id", "site_id"]


def known_of_too_few_days(sales: pl.DataFrame, first: pl.DataFrame, day: date) -> pl.DataFrame:
    """Series that are known of fewer than half of the days of the last `WEEKS` weeks.

    The days that count are those of which the site reported anything; where no row of a series says zero, all days up to the site's newest
    one. Both begin with the series' first sale.

    Args:
        sales: item_id, site_id, demand_date, sales_qty_ea as known on `day`; days outside of the stretch are passed over.
        first: item_id, site_id, first_date (the first day known of the series, may lie before the stretch).
        day: last business day known.

    Returns:
        item_id, site_id, known_days, days, sorted; none of series of which nothing is known in the stretch.
    """
    begin = day - timedelta(weeks=WEEKS) + timedelta(days=1)
    known = sales.filter(pl.col("demand_date").is_between(begin, day) & pl.col("sales_qty_ea").is_not_null())
    series = known.group_by(KEYS).agg(
        pl.col("demand_date").n_unique().alias("known_days"),
        (pl.col("sales_qty_ea") <= 0).any().alias("says_zero"),
        pl.col("demand_date").min().alias("begin"),
    )
    series = series.join(first, on=KEYS, how="left").with_columns(
        pl.max_horizontal(pl.min_horizontal("begin", "first_date"), pl.lit(begin)).alias("begin")
    )
    reported = known.select("site_id", "demand_date").unique().sort("site_id", "demand_date")
    # Days reported of a site from a day on: all of them less those before it.
    numbered = reported.with_columns(pl.int_range(pl.len()).over("site_id").alias("before"))
    sites = reported.group_by("site_id").agg(pl.len().alias("reported"), pl.col("demand_date").max().alias("newest"))
    counted = (
        series.join(sites, on="site_id")
        .sort("begin")
        .join_asof(
            numbered, left_on="begin", right_on="demand_date", by="site_id", strategy="forward", check_sortedness=False
        )
        .with_columns(
            pl.when("says_zero")
            .then(pl.col("reported") - pl.col("before"))
            .otherwise((pl.col("newest") - pl.col("begin")).dt.total_days() + 1)
            .cast(pl.Int64)
            .alias("days")
        )
    )
    return (
        counted.filter(pl.col("known_days") < KNOWN_FRAC * pl.col("days"))
        .select(*KEYS, pl.col("known_days").cast(pl.Int64), "days")
        .sort(KEYS)
    )
