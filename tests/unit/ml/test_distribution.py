"""Calibration promises what it says, also where counts tie at zero."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.distribution import (
    GRID,
    Levels,
    Shape,
    at_levels,
    calibrated,
    even_draws,
    fit_levels,
    fit_shape,
    row_draws,
    shape_quantiles,
    text_draws,
    weighted_quantiles,
)  # fmt: skip
from ml.metrics import pinball
from ml.occurrence import fit_hurdle, hurdle_quantiles

ASKED = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def sample(seed: int, n: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.uniform(np.log(low), np.log(high), n))
    actual = rng.negative_binomial(1.0, 1 / (1 + mean)).astype(float)
    return mean, np.maximum(mean, 0.5 * np.sqrt(mean)), actual


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.3), (0.3, 3.0), (5.0, 200.0)])
def test_intervals_of_new_rows_cover_what_they_promise(low: float, high: float) -> None:
    mean, spread, actual = sample(1, 20_000, low, high)
    half = slice(0, 10_000)
    shape = fit_shape(mean[half], spread[half], actual[half])
    names = np.full(10_000, "all")
    levels = fit_levels(shape_quantiles(shape, mean[half], spread[half]), actual[half], names, ASKED)
    test, _, y = sample(2, 20_000, low, high)
    s = np.maximum(test, 0.5 * np.sqrt(test))
    draws = row_draws(test, np.arange(test.size))
    q = calibrated(shape_quantiles(shape, test, s), levels.rows(np.full(test.size, "all")), draws)
    covered = ((y >= q[:, 1]) & (y <= q[:, 5])).mean()
    assert 0.77 <= covered <= 0.83, covered
    assert (np.diff(q, axis=1) >= 0).all() and (q >= 0).all()


def test_pinball_is_close_to_that_of_the_true_quantiles() -> None:
    from scipy.stats import nbinom

    mean, spread, actual = sample(3, 30_000, 0.2, 20.0)
    shape = fit_shape(mean, spread, actual)
    levels = fit_levels(shape_quantiles(shape, mean, spread), actual, np.full(actual.size, "a"), ASKED)
    m, s, y = sample(4, 3_000, 0.2, 20.0)
    q = calibrated(shape_quantiles(shape, m, s), levels.rows(np.full(y.size, "a")), row_draws(m))
    truth = np.column_stack([nbinom.ppf(level, 1.0, 1 / (1 + m)) for level in ASKED])
    assert pinball(y, q, ASKED) <= 1.04 * pinball(y, truth, ASKED)


def test_corrections_survive_their_json_and_unknown_segments_use_all_rows() -> None:
    mean, spread, actual = sample(5, 3_000, 0.5, 5.0)
    shape = fit_shape(mean, spread, actual)
    again = Shape.from_json(json.loads(json.dumps(shape.to_json())))
    assert np.array_equal(shape_quantiles(shape, mean, spread), shape_quantiles(again, mean, spread))
    names = np.where(np.arange(3_000) % 2 == 0, "a", "b")
    levels = fit_levels(shape_quantiles(shape, mean, spread), actual, names, ASKED)
    back = Levels.from_json(json.loads(json.dumps(levels.to_json())))
    assert np.array_equal(back.rows(np.array(["never seen"]))[0][0], levels.moved[-1])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 400))
def test_quantiles_never_cross_and_are_never_negative_however_few_rows(seed: int, n: int) -> None:
    mean, spread, actual = sample(seed, n, 0.01, 100.0)
    shape = fit_shape(mean, spread, actual)
    grid = shape_quantiles(shape, mean, spread)
    levels = fit_levels(grid, actual, np.full(n, "x"), ASKED)
    q = calibrated(grid, levels.rows(np.full(n, "x")), row_draws(mean))
    assert grid.shape == (n, len(GRID)) and np.isfinite(q).all() and (q >= 0).all() and (np.diff(q, axis=1) >= 0).all()


def test_weighted_quantiles_of_equal_weights_are_hazens() -> None:
    values = np.array([3.0, 1.0, 2.0, 4.0])
    assert weighted_quantiles(values, np.ones(4), [0.125, 0.5, 0.875]).tolist() == [1.0, 2.5, 4.0]


def test_draws_depend_on_the_row_alone_and_are_uniform() -> None:
    a, b = np.linspace(0.1, 9, 50_000), np.arange(50_000)
    draws = row_draws(a, b)
    assert np.array_equal(draws[100:200], row_draws(a[100:200], b[100:200]))
    assert abs(draws.mean() - 0.5) < 0.01 and abs((draws < 0.1).mean() - 0.1) < 0.01


def test_draws_of_series_are_even_also_where_their_rows_look_alike() -> None:
    start = text_draws([f"store {i}|sku" for i in range(4_000)])
    assert start[7] == text_draws(["store 7|sku"])[0]
    for period in range(100, 106):
        draws = even_draws(start, np.full(4_000, period))
        assert abs((draws < 0.14).mean() - 0.14) < 0.025 and draws.min() >= 0 and draws.max() < 1
    one = even_draws(np.full(13, start[3]), np.arange(13))
    assert np.diff(np.sort(one)).max() < 0.2  # thirteen periods of one series lie apart


def test_chance_and_size_find_what_mean_and_spread_cannot_tell_apart() -> None:
    rng = np.random.default_rng(6)
    chance = np.where(np.arange(20_000) % 2 == 0, 0.2, 0.04)
    size = 1.0 / chance  # every series sells one unit a period on average
    actual = np.where(rng.random(20_000) < chance, rng.poisson(size), 0).astype(float)
    mean, deviation = np.ones(20_000), np.sqrt(chance * size**2)
    hurdle = fit_hurdle(chance, mean, deviation, np.ones(20_000), actual)
    assert hurdle is not None
    grid = hurdle_quantiles(hurdle, chance, mean, deviation, np.ones(20_000))
    p90 = at_levels(grid, np.full((20_000, 1), 0.9))[:, 0]
    assert p90[0] == pytest.approx(5, abs=1.5) and p90[1] == 0
    assert (np.diff(grid, axis=1) >= 0).all() and grid.min() >= 0
    plain = shape_quantiles(fit_shape(mean, mean, actual), mean, mean)
    assert pinball(actual, at_levels(grid, np.full((20_000, 1), 0.9)), [0.9]) < 0.9 * pinball(
        actual, at_levels(plain, np.full((20_000, 1), 0.9)), [0.9]
    )


def test_a_hurdle_needs_rows_that_sold_and_rows_that_did_not() -> None:
    ones = np.ones(1_000)
    assert fit_hurdle(0.5 * ones, ones, ones, ones, ones) is None
    assert fit_hurdle(0.5 * ones, ones, ones, ones, 0 * ones) is None
