"""What a night's forecasts look like: one row per item, site and origin, in terms that every series says alike.

From: rows of `pred_demand__28d` and the features at their origin. Form: the columns that prediction drift is measured on. A
week of horizons is added up, so that the weekday of the origin says nothing; levels differ a thousandfold between series, so the
forecast stands beside what the series sold of late and the width of its interval beside its mean.
"""

from __future__ import annotations

import hashlib

import polars as pl

SUBJECT = "pred_demand__28d"
SEGMENT = "demand_class"
WEEK_DAYS = 7
MOST_UNITS = 500
WATCHED = ("forecast_week_ea", "forecast_vs_recent_log", "forecast_spread_frac")


def sampled_units(units: pl.DataFrame, most: int = MOST_UNITS) -> pl.DataFrame:
    """At most `most` of the units, the same ones every night: those whose names hash lowest.

    Args:
        units: `item_id, site_id`, one row per unit or more.
        most: units kept.

    Returns:
        `item_id, site_id`, one row per unit, sorted.
    """
    unique = units.select("item_id", "site_id").unique()
    if unique.height > most:
        # a hash that no library version changes, so that the reference and every night look at the same units
        drawn = [hashlib.sha256("\x1f".join(unit).encode()).digest() for unit in unique.iter_rows()]
        unique = unique.with_columns(pl.Series("draw", drawn)).sort("draw").head(most).drop("draw")
    return unique.sort("item_id", "site_id")


def prediction_features(forecasts: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
    """One row per item, site and origin day of its forecast's first week.

    Args:
        forecasts: rows of `pred_demand__28d`; horizons beyond the first week are left aside.
        features: rows of `feat_item_site__demand` at those origins (`sales_qty_ea_mean_28d`).

    Returns:
        `item_id, site_id, origin_date, demand_class`, `forecast_week_ea` (expected sales of seven days, EA), `forecast_vs_recent_log` (log of
        that over four weeks' mean sales, null where those are unknown), `forecast_spread_frac` (p10 to p90 over the mean).
        Origins without all seven horizons are null throughout, so that they count as missing.
    """
    first = forecasts.filter(pl.col("horizon_days") <= WEEK_DAYS)
    week = first.group_by("item_id", "site_id", "origin_date").agg(
        pl.len().alias("days"),
        pl.col("demand_qty_ea_mean").sum().alias("forecast_week_ea"),
        (pl.col("demand_qty_ea_p90") - pl.col("demand_qty_ea_p10")).sum().alias("width_ea"),
        pl.col(SEGMENT).first(),
    )
    level = features.select(
        "item_id", "site_id", pl.col("feature_date").alias("origin_date"),
        (pl.col("sales_qty_ea_mean_28d").cast(pl.Float64) * WEEK_DAYS).alias("recent_ea"),
    )  # fmt: skip
    joined = week.join(level, on=["item_id", "site_id", "origin_date"], how="left").sort(
        "item_id", "site_id", "origin_date"
    )
    whole = pl.when(pl.col("days") == WEEK_DAYS)
    return joined.select(
        "item_id",
        "site_id",
        "origin_date",
        SEGMENT,
        whole.then("forecast_week_ea").alias("forecast_week_ea"),
        whole.then(((pl.col("forecast_week_ea") + 0.5) / (pl.col("recent_ea") + 0.5)).log()).alias(
            "forecast_vs_recent_log"
        ),
        whole.then(pl.col("width_ea") / (pl.col("forecast_week_ea") + 0.5)).alias("forecast_spread_frac"),
    )
