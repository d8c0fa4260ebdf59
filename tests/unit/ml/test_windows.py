"""Sums over windows and looking back: a few periods alone give what all of them give."""

from __future__ import annotations

import numpy as np
import pytest

from ml.windows import WindowSums, last_true


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
    few = np.array([0, 3, 88])
    assert np.array_equal(last_true(flags, before, few), last_true(flags, before)[:, few])
