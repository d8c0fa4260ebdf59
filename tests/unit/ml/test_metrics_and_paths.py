"""Metrics by hand-computed answers; sample paths that reproduce the distributions they come from."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from ml.metrics import bias, coverage, crps, pinball, rmsse, scaled_errors, scales, score_by, wape
from ml.sample_paths import paths_of_frame, sample_paths

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def test_point_metrics_by_hand() -> None:
    y, f = np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0])
    assert wape(y, f) == 0.5 and bias(y, f) == pytest.approx(-1 / 6)
    assert np.isnan(wape(np.zeros(2), np.ones(2)))


def test_rmsse_follows_m5_from_the_first_sale_on() -> None:
    history = np.array([[0.0, 0.0, 1.0, 3.0, 3.0]])
    _, square = scales(history)
    assert square[0] == pytest.approx((4 + 0) / 2)
    assert rmsse(np.array([[2.0, 0.0]]), square)[0] == pytest.approx(1.0)
    assert scaled_errors(np.array([[1.0]]), np.array([[1.0]]), np.zeros((1, 5)), 1)["unscalable_series"] == 1.0


def test_pinball_crps_and_coverage_by_hand() -> None:
    y, q = np.array([2.0]), np.array([[1.0, 3.0]])
    assert pinball(y, q, (0.1, 0.9)) == pytest.approx((0.1 * 1 + 0.1 * 1) / 2)
    assert crps(np.array([1.0]), np.array([[1.0, 1.0]]), (0.1, 0.9)) == 0.0
    assert coverage(np.array([1.0, 5.0]), np.array([1.0, 1.0]), np.array([2.0, 2.0])) == 0.5


def test_tables_by_segment_hold_all_rows() -> None:
    y = np.array([1.0, 2.0, 3.0])
    table = score_by(np.array(["a", "a", "b"]), y, y, np.tile(y[:, None], (1, 7)), LEVELS)
    assert table.filter(pl.col("by") == "segment")["rows"].sum() == 3.0 and table["pinball"].sum() == 0.0


def gamma_quantiles(series: int, periods: int) -> np.ndarray:
    from scipy.stats import gamma

    return np.tile(gamma.ppf(LEVELS, 2.0, scale=5.0), (series, periods, 1))


def test_paths_have_the_given_quantiles_and_depend_over_time() -> None:
    paths = sample_paths(gamma_quantiles(1, 10), LEVELS, 20_000, 7, whole=False)[0]
    for level, expected in zip(LEVELS, gamma_quantiles(1, 1)[0, 0], strict=True):
        assert np.quantile(paths[:, 3], level) == pytest.approx(expected, rel=0.05)
    ranks = paths.argsort(axis=0).argsort(axis=0)
    near, far = np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1], np.corrcoef(ranks[:, 0], ranks[:, 9])[0, 1]
    assert near > far > 0.05
    independent = sample_paths(gamma_quantiles(1, 10), LEVELS, 20_000, 7, shared=0.0, memory=0.0, whole=False)[0]
    assert paths.sum(axis=1).std() > 1.2 * independent.sum(axis=1).std()


def test_a_series_paths_do_not_depend_on_which_others_are_asked_for() -> None:
    q = gamma_quantiles(3, 5)
    whole = sample_paths(q, LEVELS, 50, 1, keys=["a", "b", "c"])
    assert np.array_equal(whole[1:2], sample_paths(q[1:2], LEVELS, 50, 1, keys=["b"]))
    assert (whole >= 0).all() and (whole == np.round(whole)).all()


def test_paths_of_a_forecast_file() -> None:
    frame = pl.DataFrame(
        {"k": ["a"] * 2 + ["b"] * 2, "t": [1, 2, 1, 2], "q0.1": [0.0] * 4, "q0.9": [4.0] * 4, "mean": [2.0] * 4}
    )
    index, paths = paths_of_frame(frame, ["k"], "t", 10, 3)
    assert index["k"].to_list() == ["a", "b"] and paths.shape == (2, 10, 2)
    with pytest.raises(BadInputError, match="no quantile columns"):
        paths_of_frame(frame.drop("q0.1", "q0.9"), ["k"], "t", 10, 3)
    with pytest.raises(BadInputError, match="different numbers of periods"):
        paths_of_frame(frame.head(3), ["k"], "t", 10, 3)


def test_crossing_quantiles_are_refused() -> None:
    with pytest.raises(BadInputError, match="must ascend"):
        sample_paths(np.array([[[2.0, 1.0]]]), (0.1, 0.9), 5, 1)
