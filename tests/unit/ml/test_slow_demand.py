"""What sells on one day in a hundred: the model neither learns single sales by heart nor loses the level of what sells."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ml.distribution import NUDGE
from ml.models.base import F64, Design
from ml.models.boosted import BoostedModel, BoostSpec, least_rows

SERIES, ORIGINS, NOISE = 500, 60, 12
NAMES = ("known_rate", *(f"noise_{k}" for k in range(NOISE)))


def slow_panel() -> tuple[Design, F64]:
    """Poisson days of parts that sell once in 35 to 500 days, features that know the rate to a factor of two and much besides; the rates."""
    rng = np.random.default_rng(5)
    rate = np.repeat(np.exp(rng.uniform(np.log(0.002), np.log(0.028), SERIES)), ORIGINS)
    origin = np.tile(np.arange(ORIGINS), SERIES)
    n = rate.size
    x = np.column_stack([rate * np.exp(rng.normal(0, 0.7, n)), rng.normal(size=(n, NOISE))]).astype(np.float32)
    horizon = rng.integers(1, 29, n).astype(np.int32)
    y = rng.poisson(rate).astype(np.float64) * rng.integers(1, 4, n)
    tie = np.repeat(np.arange(SERIES) / SERIES, ORIGINS)
    frame = Design(
        x, NAMES, (), np.ones(n), np.full(n, "intermittent"), horizon, origin * 14, origin * 14 + horizon, y=y, tie=tie
    )
    return frame, 2.0 * rate


@cache
def trained() -> tuple[Design, F64, BoostedModel]:
    frame, mean = slow_panel()
    return frame, mean, BoostedModel(BoostSpec(threads=1, trees=120)).fit(frame, 7)


def test_the_level_of_unseen_days_is_kept() -> None:
    frame, mean, model = trained()
    assert model.measured is not None
    unseen, forecast = model.measured
    assert 0.005 < (frame.y > 0).mean() < 0.02  # type: ignore[operator]
    assert forecast.mean.sum() == pytest.approx(mean[unseen].sum(), rel=0.25)
    order = np.argsort(forecast.mean)
    for part in np.array_split(order, 4):
        assert 0.4 < forecast.mean[part].sum() / mean[unseen][part].sum() < 2.5, (
            "no quarter is called nothing, or twice its demand"
        )


def test_limits_above_zero_cost_no_loss() -> None:
    frame, _, model = trained()
    quantiles = model.predict(frame).quantiles
    assert frame.y is not None and ((quantiles > 0) & (quantiles < 0.1)).any(), "ties are split"
    plain = np.where(quantiles <= NUDGE, 0.0, quantiles)
    levels = np.asarray(model.spec.levels)

    def loss(q: F64) -> float:
        over = frame.y[:, None] - q  # type: ignore[index]
        return float(np.maximum(levels * over, (levels - 1) * over).mean())

    assert loss(quantiles) == pytest.approx(loss(plain), rel=0.001)


@pytest.mark.parametrize(
    ("rows", "share", "least"),
    [
        (100_000, 0.5, 60),
        (100_000, 0.1, 60),
        (100_000, 0.01, 10_000),
        (100_000, 0.001, 25_000),
        (600, 0.5, 10),
        (90, 0.01, 22),
    ],
)
def test_a_leaf_holds_rows_enough_and_where_sales_are_rare_a_hundred_of_them(
    rows: int, share: float, least: int
) -> None:
    y = np.zeros(rows)
    y[: max(round(rows * share), 1)] = 3.0
    assert least_rows(60, y) == least
