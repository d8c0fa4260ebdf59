"""Forecast quality on matured days: what was forecast, beside what then happened, per demand class and model.

A forecast has matured when the actual of its target day is known. Days that closed without stock say less than was
demanded and are left out of the judgement; their number is reported.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from aios_assets.contracts.decision_tables import MON_FORECAST_QUALITY, QUANTILES
from aios_assets.contracts.errors import BadInputError

QUANTILE_COLUMNS: dict[float, str] = {q: f"demand_qty_ea_p{round(q * 100):02d}" for q in QUANTILES}
NAIVE_NAME = "seasonal_naive"
_KEYS = ("item_id", "site_id")


def matured(
    forecasts: pl.DataFrame, actuals: pl.DataFrame, *, quality_date: date, window_days: int = 28, masked: bool = True
) -> pl.DataFrame:
    """Forecast rows with the demand that followed.

    Args:
        forecasts: rows of `pred_demand__28d`.
        actuals: rows of `fct_demand_daily`, one version per item, site and day: `sales_qty_ea`, `is_stockout`.
        quality_date: last day known.
        window_days: target days judged, ending on `quality_date`.
        masked: leave out days that closed without stock.

    Returns:
        Forecast columns and `actual_ea`; one row per item, site, origin, horizon and model.

    Raises:
        BadInputError: actuals hold a day twice (versions not resolved).
    """
    first = quality_date - timedelta(days=window_days - 1)
    days = actuals.filter(pl.col("demand_date").is_between(first, quality_date))
    doubled = days.height - days.select(*_KEYS, "demand_date").n_unique() if days.height else 0
    if doubled:
        raise BadInputError(
            "actuals hold days twice", where="fct_demand_daily", count=doubled, todo="keep one version per day"
        )
    if masked and "is_stockout" in days.columns:
        days = days.filter(~pl.col("is_stockout"))
    days = days.select(*_KEYS, pl.col("demand_date").alias("target_date"), pl.col("sales_qty_ea").alias("actual_ea"))
    window = forecasts.filter(
        pl.col("target_date").is_between(first, quality_date) & (pl.col("origin_date") < pl.col("target_date"))
    )
    return window.join(days.drop_nulls("actual_ea"), on=[*_KEYS, "target_date"], how="inner")


def pinball(actual: pl.Expr, columns: dict[float, str] = QUANTILE_COLUMNS) -> pl.Expr:
    """Mean pinball loss over the quantiles, per row, in eaches."""
    losses = [pl.max_horizontal(q * (actual - pl.col(c)), (q - 1.0) * (actual - pl.col(c))) for q, c in columns.items()]
    return pl.mean_horizontal(losses)


def quality_rows(rows: pl.DataFrame, *, quality_date: date, available_at_utc: datetime) -> pl.DataFrame:
    """Metrics of matured rows per demand class and in all; one model name per group.

    Args:
        rows: what `matured` returns; `demand_class` and `model_name` name the groups.
        quality_date: business day.
        available_at_utc: its cut-off.
    """
    y = pl.col("actual_ea")
    metrics = (
        pl.len().cast(pl.Int64).alias("rows"),
        (pl.when(y.sum() > 0).then((pl.col("demand_qty_ea_mean") - y).abs().sum() / y.sum())).alias("wape_frac"),
        (pl.when(y.sum() > 0).then((pl.col("demand_qty_ea_mean") - y).sum() / y.sum())).alias("bias_frac"),
        pinball(y).mean().alias("pinball_ea"),
        ((y >= pl.col("demand_qty_ea_p10")) & (y <= pl.col("demand_qty_ea_p90"))).mean().alias("coverage80_frac"),
    )
    if rows.height == 0:
        return MON_FORECAST_QUALITY.empty()
    by_class = rows.group_by("demand_class", "model_name").agg(metrics)
    whole = rows.group_by("model_name").agg(metrics).with_columns(pl.lit("all").alias("demand_class"))
    both = pl.concat([by_class, whole.select(by_class.columns)]).with_columns(
        pl.lit(quality_date).alias("quality_date"),
        pl.lit(available_at_utc).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    )
    return both.select(MON_FORECAST_QUALITY.names).cast(MON_FORECAST_QUALITY.schema).sort(MON_FORECAST_QUALITY.key)  # type: ignore[arg-type]


def seasonal_naive(
    forecasts: pl.DataFrame, actuals: pl.DataFrame, *, season_days: int = 7, history_days: int = 56
) -> pl.DataFrame:
    """The baseline for the same keys: the last known same weekday; quantiles from the series' own seasonal differences.

    Args:
        forecasts: rows whose keys and horizons are to be matched.
        actuals: `fct_demand_daily`, long enough to hold `history_days` before each origin.
        season_days: length of the season.
        history_days: days before the origin whose seasonal differences give the spread.

    Returns:
        The forecast rows answered by the baseline. Rows whose series has no sale known on the season day are left out.
    """
    history = actuals.select(*_KEYS, "demand_date", "sales_qty_ea").drop_nulls()
    keys = forecasts.select(*_KEYS, "origin_date", "horizon_days", "target_date", "demand_class").unique()
    weeks = ((pl.col("horizon_days") + season_days - 1) // season_days * season_days).cast(pl.Int64)
    keys = keys.with_columns((pl.col("target_date") - pl.duration(days=weeks)).alias("demand_date"))
    point = keys.join(history, on=[*_KEYS, "demand_date"], how="inner").rename({"sales_qty_ea": "demand_qty_ea_mean"})
    lagged = history.with_columns((pl.col("demand_date") + pl.duration(days=season_days)).alias("demand_date"))
    diffs = history.join(lagged, on=[*_KEYS, "demand_date"], suffix="_before").with_columns(
        (pl.col("sales_qty_ea") - pl.col("sales_qty_ea_before")).alias("difference")
    )
    origins = keys.select(*_KEYS, "origin_date").unique()
    spread = (
        origins.join(diffs.select(*_KEYS, "demand_date", "difference"), on=_KEYS)
        .filter(
            (pl.col("demand_date") <= pl.col("origin_date"))
            & (pl.col("demand_date") > pl.col("origin_date") - pl.duration(days=history_days))
        )
        .group_by(*_KEYS, "origin_date")
        .agg(pl.col("difference").quantile(q, "linear").alias(c) for q, c in QUANTILE_COLUMNS.items())
    )
    joined = point.join(spread, on=[*_KEYS, "origin_date"], how="left")
    columns = [
        (pl.col("demand_qty_ea_mean") + pl.col(c).fill_null(0.0)).clip(lower_bound=0.0).alias(c)
        for c in QUANTILE_COLUMNS.values()
    ]
    return joined.with_columns(*columns, pl.lit(NAIVE_NAME).alias("model_name")).drop("demand_date")


def forecast_quality(
    forecasts: pl.DataFrame,
    actuals: pl.DataFrame,
    *,
    quality_date: date,
    available_at_utc: datetime,
    window_days: int = 28,
    baseline: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rows of `mon_forecast_quality`: matured forecasts and the baseline on exactly the same days.

    Args:
        forecasts: rows of `pred_demand__28d`.
        actuals: current versions of `fct_demand_daily`, with 70 days before the first origin for the baseline.
        quality_date: last day known.
        available_at_utc: its cut-off.
        window_days: target days judged.
        baseline: forecasts of a baseline for the same keys; seasonal naive is computed when not given.
    """
    mine = matured(forecasts, actuals, quality_date=quality_date, window_days=window_days)
    if mine.height == 0:
        return MON_FORECAST_QUALITY.empty()
    base = baseline if baseline is not None else seasonal_naive(mine, actuals)
    theirs = matured(base, actuals, quality_date=quality_date, window_days=window_days)
    keys = [*_KEYS, "origin_date", "target_date"]
    theirs = theirs.unique(subset=[*keys, "model_name"], keep="first", maintain_order=True).join(
        mine.select(keys).unique(), on=keys, how="semi"
    )
    mine = mine.join(theirs.select(keys).unique(), on=keys, how="semi")
    columns = ["demand_class", "model_name", "actual_ea", "demand_qty_ea_mean", *QUANTILE_COLUMNS.values()]
    frames = [mine.select(columns)]
    if not set(theirs["model_name"].unique()) & set(mine["model_name"].unique()):
        frames.append(theirs.select(columns))
    else:
        # a night answered by the fallback is the baseline itself: judged once
        frames.append(theirs.filter(~pl.col("model_name").is_in(mine["model_name"].unique().to_list())).select(columns))
    return quality_rows(pl.concat(frames), quality_date=quality_date, available_at_utc=available_at_utc)


def calibration(rows: pl.DataFrame) -> pl.DataFrame:
    """Share of actuals at or below each quantile, per demand class and in all.

    Args:
        rows: what `matured` returns.

    Returns:
        `demand_class, quantile, share_frac, rows`; a calibrated continuous forecast has share equal to quantile, a
        discrete one at least that.
    """
    y = pl.col("actual_ea")
    frames = []
    for q, c in QUANTILE_COLUMNS.items():
        one = (
            pl.lit(q).alias("quantile"),
            (y <= pl.col(c)).mean().alias("share_frac"),
            pl.len().cast(pl.Int64).alias("rows"),
        )
        frames.append(rows.group_by("demand_class").agg(one))
        frames.append(rows.select(pl.lit("all").alias("demand_class"), *one))
    return pl.concat(frames).sort("demand_class", "quantile")


def pit(rows: pl.DataFrame, jitter_seed: int) -> pl.Series:
    """Probability integral transform of each actual under its forecast: uniform when the forecast is calibrated.

    The distribution function is interpolated between the quantiles; the mass of a whole unit is spread by a seeded
    draw, as discrete demand needs (Czado, Gneiting & Held 2009).
    """
    import numpy as np

    levels = np.array(QUANTILES)
    grid = rows.select(QUANTILE_COLUMNS.values()).to_numpy()
    y = rows["actual_ea"].to_numpy()
    draw = np.random.default_rng(jitter_seed).uniform(-0.5, 0.5, size=y.size)
    z = np.maximum(y + draw, -0.5)
    low = np.minimum(grid[:, :1], 0.0) - 0.5
    high = grid[:, -1:] + np.maximum(grid[:, -1:] - grid[:, -2:-1], 0.5)
    knots = np.concatenate([low, grid, high], axis=1) + np.arange(len(levels) + 2) * 1e-9
    probability = np.concatenate([[0.0], levels, [1.0]])
    out = np.array([np.interp(v, k, probability) for v, k in zip(z, knots, strict=True)])
    return pl.Series("pit", out)
