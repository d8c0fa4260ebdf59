"""A small made-up trading world for model tests: weekday rhythm, seasons, promotions, intermittent items, stock-outs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl

from ml.datasets import Covariates

FIRST = date(2023, 1, 1)


def cutoff(day: date) -> datetime:
    """02:00 UTC of the next day."""
    return datetime.combine(day + timedelta(days=1), time(2), UTC)


@dataclass(frozen=True)
class DemandWorld:
    """What the tests may see: versions of demand, promotions, and the truth."""

    versions: pl.DataFrame
    covariates: Covariates
    true_demand: np.ndarray
    days: int


def make_world(items: int, sites: int, days: int, seed: int, stockouts: float = 0.03) -> DemandWorld:
    """Negative binomial daily demand; stock-outs strike days of high demand more often and cut sales."""
    rng = np.random.default_rng(seed)
    n = items * sites
    item, site = np.repeat(np.arange(items), sites), np.tile(np.arange(sites), items)
    level = np.exp(rng.normal(0.2, 1.3, items))[item] * np.exp(rng.normal(0, 0.3, sites))[site]
    rhythm = 1 + 0.5 * np.sin(2 * np.pi * (np.arange(7)[None, :] + rng.integers(0, 3, sites)[site][:, None]) / 7)
    t = np.arange(days)
    season = 1 + rng.uniform(0, 0.5, n)[:, None] * np.sin(
        2 * np.pi * (t[None, :] / 365 + rng.random(items)[item][:, None])
    )
    promo, rows = np.ones((n, days)), []
    for i in range(items):
        for start in rng.integers(30, max(days - 10, 31), max(days // 90, 1)):
            lift, length = rng.uniform(1.5, 3.0), int(rng.integers(4, 9))
            promo[item == i, start : start + length] = lift
            rows += [
                (
                    f"I{i:03}",
                    f"S{s:02}",
                    FIRST + timedelta(days=int(start)),
                    FIRST + timedelta(days=int(start) + length),
                )
                for s in range(sites)
            ]
    mu = level[:, None] * rhythm[:, t % 7] * season * promo
    size = np.exp(rng.normal(0.5, 0.6, n))[:, None]
    demand = rng.negative_binomial(size, size / (size + mu)).astype(np.float64)
    strike = rng.random((n, days)) < stockouts * np.minimum(demand / np.maximum(mu, 0.2), 3.0)
    sales = np.where(strike, np.floor(demand * rng.uniform(0.2, 0.9, (n, days))), demand)
    price = np.round(rng.uniform(2, 20, items), 2)[item]
    cuts = pl.Series([cutoff(FIRST + timedelta(days=int(k))) - timedelta(hours=2) for k in t]).cast(
        pl.Datetime("us", "UTC")
    )
    dates = pl.Series([FIRST + timedelta(days=int(k)) for k in t])
    tt, ss = np.tile(t, n), np.repeat(np.arange(n), days)
    versions = pl.DataFrame(
        {
            "item_id": pl.Series([f"I{i:03}" for i in item])[ss], "site_id": pl.Series([f"S{s:02}" for s in site])[ss],
            "demand_date": dates[tt], "sales_qty_ea": sales.ravel(), "is_stockout": strike.ravel(),
            "price_usd": (price[:, None] * np.where(promo > 1, 0.8, 1.0)).ravel(), "available_at_utc": cuts[tt],
            "superseded_at_utc": pl.Series([None] * (n * days), dtype=pl.Datetime("us", "UTC")),
        }
    )  # fmt: skip
    promotions = pl.DataFrame(rows, schema=["item_id", "site_id", "start_date", "end_date"], orient="row").with_columns(
        pl.lit(None, dtype=pl.Float64).alias("promo_price_usd"),
        (pl.col("start_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") - pl.duration(days=40)).alias(
            "available_at_utc"
        ),
    )
    return DemandWorld(versions, Covariates(promotions=promotions), demand, days)
