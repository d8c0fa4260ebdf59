"""The vectorised statistical models against plain loops and statsforecast."""

from __future__ import annotations

import numpy as np
import pytest

from ml.models.statistical import (
    FLAT,
    adida,
    croston_sba,
    demand_class,
    mean_interval,
    seasonal_naive,
    ses,
    size_variation,
    tsb,
    window_average,
)  # fmt: skip


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.where(rng.random((6, 60)) < 0.4, rng.poisson(4, (6, 60)) + 1, 0).astype(float)


def test_croston_sba_and_tsb_equal_statsforecast(y: np.ndarray) -> None:
    from statsforecast.models import TSB, CrostonSBA

    ours, theirs = croston_sba(y)[:, -1], [CrostonSBA().forecast(y=row, h=1)["mean"][0] for row in y]
    assert np.allclose(
        ours, theirs, rtol=0.02
    )  # statsforecast counts the first interval from the series' start as well
    ours, theirs = (
        tsb(y, 0.2, 0.05)[:, -1],
        [TSB(alpha_d=0.2, alpha_p=0.05).forecast(y=row, h=1)["mean"][0] for row in y],
    )
    assert np.allclose(ours, theirs, rtol=1e-6)


def test_ses_and_window_average_equal_a_plain_loop(y: np.ndarray) -> None:
    for row, got in zip(y, ses(y, 0.3), strict=True):
        level = row[0]
        for t, value in enumerate(row):
            level = level + 0.3 * (value - level) if t else value
            assert got[t] == pytest.approx(level)
    assert window_average(y, 7)[2, 30] == pytest.approx(y[2, 24:31].mean())


@pytest.mark.parametrize("name", sorted(FLAT))
def test_no_flat_forecast_reads_the_future(name: str, y: np.ndarray) -> None:
    changed = y.copy()
    changed[:, 40:] = 99.0
    whole, cut = FLAT[name](y), FLAT[name](changed)
    if name == "adida":  # its aggregation level is fixed per panel given, so it is cut before it is called
        whole, cut = adida(y[:, :40]), adida(changed[:, :40])
    assert np.array_equal(whole[:, :40], cut[:, :40])


def test_missing_periods_leave_the_level_as_it_is() -> None:
    row = np.array([[2.0, np.nan, np.nan, 4.0]])
    assert ses(row, 0.5)[0].tolist() == [2.0, 2.0, 2.0, 3.0]


def test_classes_follow_the_published_cut_offs() -> None:
    smooth, lumpy = np.tile([5.0, 6.0], 10), np.tile([0.0, 0.0, 1.0, 0.0, 0.0, 30.0], 4)
    both = np.array([np.resize(smooth, 24), lumpy])
    names = demand_class(mean_interval(both), size_variation(both), np.array([False, False]))
    assert names.tolist() == ["smooth", "lumpy"]


def test_seasonal_naive_repeats_the_newest_known_phase() -> None:
    row = np.arange(14.0)[None, :]
    out = seasonal_naive(row, np.array([13]), 9, 7)[0, 0]
    assert out.tolist() == [7, 8, 9, 10, 11, 12, 13, 7, 8]
