"""Histories that begin with a sale: that sale is no news of how often a part sells."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import nbinom

from aios_assets.contracts.mart_tables import FCT_DEMAND_DAILY
from ml.datasets import Covariates
from ml.features import demand_features
from ml.newborn import DAYS, SHAPES, Births, fit_births, newborn_of
from ml.scoring import Scorer, score_demand
from tests.unit.ml.conftest import FIRST, cutoff

TODAY = FIRST + timedelta(days=200)


def listed(sold: np.ndarray, begin: np.ndarray | None = None) -> pl.DataFrame:
    """A list of sales read with `gaps: zero`: (series, days) units, known from each series' first sale on, or from `begin`."""
    first = (sold > 0).argmax(axis=1) if begin is None else begin
    s, t = np.nonzero(np.arange(sold.shape[1])[None, :] >= first[:, None])
    frame = pl.DataFrame(
        {"item_id": [f"I{k:05d}" for k in s], "site_id": "S", "sales_qty_ea": sold[s, t].astype(np.float64)}
    )
    frame = frame.with_columns(pl.Series("demand_date", [FIRST + timedelta(days=k) for k in t.tolist()]))
    known = frame["demand_date"].map_elements(cutoff, return_dtype=pl.Datetime("us", "UTC"))
    return frame.with_columns(
        available_at_utc=known, superseded_at_utc=pl.lit(None, pl.Datetime("us", "UTC")), is_stockout=False,
        price_usd=pl.lit(None, pl.Float64),
    ).cast({"is_stockout": FCT_DEMAND_DAILY.schema["is_stockout"]})  # fmt: skip


def network(seed: int, series: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Parts that each sell one at a chance of their own, most of them seldom: sales (series, 201 days), and the chances."""
    rng = np.random.default_rng(seed)
    chance = np.minimum(rng.gamma(0.5, 1 / 100, series), 0.9)
    sold = (rng.random((series, 201)) < chance[:, None]).astype(float)
    known = sold.any(axis=1)
    return sold[known], chance[known]


LAGS = {f"sales_qty_ea_lag_{k}": 0.0 for k in range(7)}


def forecast(features: pl.DataFrame, births: Births | None) -> pl.DataFrame:
    """What answers without a model."""
    return score_demand(Scorer.fallback("no model"), features, Covariates(births=births))


def sums(rows: pl.DataFrame) -> np.ndarray:
    """28-day sums by item, in the order of their names."""
    return (
        rows.group_by("item_id")
        .agg(pl.col("demand_qty_ea_mean").sum())
        .sort("item_id")["demand_qty_ea_mean"]
        .to_numpy()
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_parts_that_are_new_are_forecast_at_what_they_go_on_to_sell(seed: int) -> None:
    """Of those that sold lately for the first time; counted like any other day, the first sale made it several times too much."""
    sold, chance = network(seed)
    new = sold[:, :141].sum(axis=1) == 0
    features = demand_features(listed(sold), (TODAY, TODAY), cutoff)
    births, truth = fit_births(features), 28 * chance[new].sum()
    told = sums(forecast(features, births))[new].sum()
    before = sums(forecast(features.with_columns(days_reported=pl.lit(None, pl.Float32)), births))[new].sum()
    assert new.sum() > 80
    assert 0.6 < told / truth < 1.8
    assert before / told > 2.5


def test_what_was_known_before_it_sold_is_an_average_as_before() -> None:
    """Days known to have sold nothing before the first sale: nobody chose to look because of it."""
    past, _ = network(3, 200)
    features = demand_features(listed(past, np.zeros(len(past), dtype=np.int64)), (TODAY, TODAY), cutoff)
    births = Births(0.3, 400.0)
    plain = features.with_columns(days_reported=pl.lit(None, pl.Float32))
    begun = features.filter((pl.col("days_reported") == pl.col("days_on_sale")) & (pl.col("days_on_sale") < 180))
    assert begun.is_empty() and forecast(features, births).equals(forecast(plain, births))


def test_one_series_alone_is_forecast_as_among_all() -> None:
    features = demand_features(listed(network(4, 300)[0]), (TODAY, TODAY), cutoff)
    births = fit_births(features)
    young = features.filter(pl.col("days_on_sale") < 60)["item_id"][0]
    alone = forecast(features.filter(pl.col("item_id") == young), births)
    assert alone.equals(forecast(features, births).filter(pl.col("item_id") == young))


def test_the_fit_is_the_likeliest_negative_binomial() -> None:
    """Against SciPy's probabilities at every point of the grid, with the weak prior beside it."""
    rng = np.random.default_rng(5)
    age = rng.integers(0, 179, 400).astype(float)
    later = rng.poisson(rng.gamma(0.7, 1 / 50, 400) * age).clip(0, age)
    sales = later + 1
    frame = pl.DataFrame({
        "feature_date": [date(2026, 1, 1)] * 400, "days_on_sale": age, "days_reported": age, "zero_frac_180d": 1 - sales / (age + 1),
    })  # fmt: skip
    frame = frame.with_columns(**{k: pl.lit(v) for k, v in LAGS.items()})
    best, where = -np.inf, (0.0, 0.0)
    for shape in SHAPES:
        for days in DAYS:
            score = nbinom.logpmf(later, shape, days / (days + age)).sum()
            score -= np.log(shape / 0.3) ** 2 / 2 + (np.log(days / 30) / 1.5) ** 2 / 2
            if score > best:
                best, where = score, (shape, days)
    assert fit_births(frame) == Births(*where)
    young = newborn_of(frame, None)
    assert young is not None
    expected = (later + where[0]) / (age + where[1]) * (age + 1) / sales
    np.testing.assert_allclose(young.discount, expected)


def test_without_young_series_the_weak_prior_answers() -> None:
    frame = pl.DataFrame(
        {"days_on_sale": [364.0, None, 90.0], "days_reported": [364.0, 100.0, 91.0], "zero_frac_180d": [0.5, 1.0, 0.9]}
    )
    frame = frame.with_columns(**{k: pl.lit(v) for k, v in LAGS.items()})
    law = fit_births(frame)
    assert law.shape == pytest.approx(0.3, rel=0.1) and law.days == pytest.approx(30, rel=0.1)


def test_a_site_that_tells_weeks_sells_once_in_a_week_it_tells() -> None:
    """One sale nine weeks ago, told in weeks, in days, and in all days but Sundays: one sale each time."""
    sunday = TODAY - timedelta(days=(TODAY.weekday() + 1) % 7)
    days = [sunday - timedelta(days=k) for k in range(64)]
    kept = {
        "W": [d for d in days if d.weekday() == 6],
        "D": days,
        "M": [d for d in days if d.weekday() != 6 or d == days[-1]],
    }
    rows = [(item, d, 1.0 if d == days[-1] else 0.0) for item, told in kept.items() for d in told]
    frame = pl.DataFrame(rows, schema=["item_id", "demand_date", "sales_qty_ea"], orient="row").with_columns(
        site_id=pl.lit("S"), available_at_utc=pl.lit(cutoff(days[-1])), superseded_at_utc=pl.lit(None, pl.Datetime("us", "UTC")),
        is_stockout=False, price_usd=pl.lit(None, pl.Float64),
    )  # fmt: skip
    young = newborn_of(demand_features(frame, (sunday, sunday), cutoff), Births(0.5, 100.0))
    assert young is not None and young.age.tolist() == [63.0] * 3
    np.testing.assert_allclose(young.discount, 0.5 / 163 * 64)
