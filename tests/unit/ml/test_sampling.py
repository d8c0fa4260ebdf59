"""The sample of a training set is drawn block by block and is the one drawn at once."""

from __future__ import annotations

import numpy as np
import pytest

from ml import datasets

N, HORIZON = 1_000, 28


@pytest.mark.parametrize("block", [10, 999, N * HORIZON, 10 * N * HORIZON])
def test_blocks_draw_what_one_draw_does(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(datasets, "DRAWN_ROWS", block)
    most = 900
    origin, ahead = datasets._sampled(N, HORIZON, most, 7)
    keep = np.random.default_rng(7).random(N * HORIZON) < most / (N * HORIZON)
    every = np.repeat(np.arange(N, dtype=np.int64), HORIZON), np.tile(np.arange(1, HORIZON + 1, dtype=np.int32), N)
    assert (origin.dtype, ahead.dtype) == (every[0].dtype, every[1].dtype)
    assert np.array_equal(origin, every[0][keep]) and np.array_equal(ahead, every[1][keep])


def test_few_rows_are_all_kept() -> None:
    origin, ahead = datasets._sampled(3, 2, 6, 7)
    assert origin.tolist() == [0, 0, 1, 1, 2, 2] and ahead.tolist() == [1, 2, 1, 2, 1, 2]
