"""The average that answers without a model: its mean by hand, its distribution by simulation, its manners."""

from __future__ import annotations

import numpy as np

from ml.models.average import RecentAverage
from ml.models.base import Design

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NAMES = ("mean_7", "mean_28", "mean_56", "std_56", "same_weekday_lag", "mean_180", "std_180", "zero_frac_180d")


def design(*rows: tuple[float, ...], half: tuple[float, float, float] = (9.0, 9.0, 0.5), scale: float = 2.0) -> Design:
    """Rows of the first five features; the others (`half`) are those of all of them."""
    n = len(rows)
    x = (np.array([(*row, *half[:2], half[2] * scale) for row in rows]) / scale).astype(np.float32)
    numbers = np.arange(n, dtype=np.int64)
    return Design(x, NAMES, (), np.full(n, scale), np.full(n, "smooth"), np.ones(n, np.int32), numbers, numbers)


def test_the_mean_is_the_weighted_average_moved_towards_the_same_weekday() -> None:
    out = RecentAverage().predict(design((8.0, 10.0, 12.0, 4.0, 13.0), (np.nan, 10.0, np.nan, np.nan, np.nan)), LEVELS)
    np.testing.assert_allclose(out.mean, [10.0 + 0.2 * 5.0, 10.0], rtol=1e-6)


def test_what_sells_rarely_leans_on_the_half_year() -> None:
    quiet, lately = (0.0, 0.0, 0.0, 0.0, 0.0), (2 / 7, 2 / 28, 2 / 56, 0.3, 2.0)
    for zero, often in ((1 - 1 / 90, 28 / 90 / 4), (1 - 4 / 28, 1.0), (0.5, 1.0)):
        out = RecentAverage().predict(design(quiet, lately, half=(0.1, 0.8, zero)), LEVELS)
        slow, level = (1 - often) * 0.1 / 2, (2 / 7 + 4 / 28 + 2 / 56) / 4
        level = often * level + (1 - often) * (2 / 56 + 0.1) / 2
        np.testing.assert_allclose(out.mean, [slow, level + 0.2 * often * (2 - 2 / 7)], rtol=1e-4, atol=1e-6)
    # It sells in lots: nothing in most months, and then several at once.
    lots = RecentAverage().predict(design(quiet, half=(0.1, 1.0, 1 - 1 / 90)), (0.5, 0.995))
    few = RecentAverage().predict(design(quiet, half=(0.1, 0.3, 1 - 1 / 90)), (0.5, 0.995))
    assert lots.quantiles[0, 1] > few.quantiles[0, 1] >= 1 and lots.quantiles[0, 0] == 0


def test_quantiles_are_those_of_counts_with_that_mean_and_spread() -> None:
    out = RecentAverage().predict(design((6.0, 6.0, 6.0, 4.0, 6.0)), LEVELS)
    variance = 16.0 + 16.0 * (1 / 28 + 0.04)
    rate = np.random.default_rng(5).gamma(36 / (variance - 6), (variance - 6) / 6, 400_000)
    drawn = np.random.default_rng(6).poisson(rate)
    np.testing.assert_allclose(out.quantiles[0], np.quantile(drawn, LEVELS), atol=1.0)
    assert (out.quantiles[0] == np.round(out.quantiles[0])).all()


def test_what_never_sold_is_zero_and_nothing_is_negative_or_crossing() -> None:
    rng = np.random.default_rng(1)
    rows = [tuple(r) for r in rng.gamma(0.5, 8.0, (300, 5)) * (rng.random((300, 5)) > 0.2)]
    out = RecentAverage().predict(design((0.0, 0.0, 0.0, 0.0, 0.0), (np.nan,) * 5, *rows), LEVELS)  # type: ignore[arg-type]
    assert (out.mean[:2] == 0).all() and (out.quantiles[:2] == 0).all()
    assert np.isfinite(out.quantiles).all() and (np.diff(out.quantiles, axis=1) >= 0).all() and (out.mean >= 0).all()


def test_a_row_is_answered_alike_whatever_stands_beside_it() -> None:
    rows = [(8.0, 10.0, 12.0, 4.0, 13.0), (1.0, 0.2, 0.3, 0.5, 0.0), (50.0, 40.0, 45.0, 9.0, 70.0)]
    together, alone = RecentAverage().predict(design(*rows), LEVELS), RecentAverage().predict(design(rows[1]), LEVELS)
    np.testing.assert_array_equal(together.quantiles[1], alone.quantiles[0])
