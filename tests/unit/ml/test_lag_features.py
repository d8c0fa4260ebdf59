"""The bulk kernel against a plain loop."""

from __future__ import annotations

import statistics

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from ml.lag_features import panel_features
from ml.windows import WindowSums, forward_fill, last_true


def test_lags_and_windows_equal_a_plain_loop_for_series_of_different_length() -> None:
    rng = np.random.default_rng(1)
    frame = pl.concat(
        [
            pl.DataFrame({"k": [name] * n, "t": range(n), "y": rng.poisson(3, n).astype(float)})
            for name, n in (("a", 40), ("b", 9), ("c", 200))
        ]
    )
    out = panel_features(frame, ["k"], "t", "y", lags=(1, 7), windows=(4, 30))
    for name in ("a", "b", "c"):
        part = out.filter(pl.col("k") == name)
        y = part["y"].to_list()
        for t, row in enumerate(part.iter_rows(named=True)):
            assert row["lag_7"] == (y[t - 7] if t >= 7 else None)
            for w in (4, 30):
                window = y[t - w : t] if t >= w else None
                assert (row[f"mean_{w}"] is None) == (window is None)
                if window:
                    assert row[f"mean_{w}"] == pytest.approx(statistics.fmean(window), rel=1e-6)
                    assert row[f"std_{w}"] == pytest.approx(statistics.stdev(window), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("missing", [0.0, 0.02])
def test_the_compiled_kernel_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, missing: float) -> None:
    rng = np.random.default_rng(4)
    parts = []
    for name, n in (("a", 400), ("b", 1), ("c", 29), ("d", 400), ("e", 181)):
        y = np.where(rng.random(n) < missing, np.nan, rng.gamma(0.7, 9, n))
        parts.append(pl.DataFrame({"k": [name] * n, "t": range(n), "y": y}))
    frame = pl.concat(parts)
    plain = panel_features(frame, ["k"], "t", "y", lag_of_windows=2)
    monkeypatch.setattr("ml.lag_features.COMPILE_ABOVE", 0)
    assert panel_features(frame, ["k"], "t", "y", lag_of_windows=2).equals(plain, null_equal=True)


def test_unsorted_rows_are_refused() -> None:
    with pytest.raises(BadInputError, match="not sorted"):
        panel_features(pl.DataFrame({"k": ["a", "a"], "t": [2, 1], "y": [1.0, 2.0]}), ["k"], "t", "y")


@pytest.mark.parametrize("window", [1, 2, 3, 7, 28, 56, 180])
@pytest.mark.parametrize("stride", [1, 7])
def test_sums_at_few_columns_equal_sums_over_all_to_the_last_bit(window: int, stride: int) -> None:
    x = np.random.default_rng(2).random((5, 400))
    columns = np.array([3, 170, 399])
    whole, few = WindowSums(x, stride), WindowSums(x, stride)
    assert np.array_equal(whole.over(window)[:, columns], few.at(window, columns))
    shorter = WindowSums(x[:, 100:], stride)  # a panel that starts later gives the same sums where the window fits
    if window * stride <= 300:
        assert np.array_equal(shorter.over(window)[:, -1], whole.over(window)[:, -1])


def test_looking_back_from_a_few_periods_equals_looking_back_from_all() -> None:
    rng = np.random.default_rng(8)
    flags, before = rng.random((30, 90)) < 0.05, rng.integers(-40, -1, 30)
    x = np.where(rng.random((30, 90)) < 0.1, rng.normal(size=(30, 90)), np.nan)
    few = np.array([0, 3, 88])
    assert np.array_equal(last_true(flags, before, few), last_true(flags, before)[:, few])
    start = rng.normal(size=30)
    assert np.array_equal(forward_fill(x, start, few), forward_fill(x, start)[:, few])
