"""Directly learned quantiles and the distribution they are pooled with; factors of mixtures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ml.distribution import GRID, at_levels
from ml.metrics import pinball
from ml.mixture import Choice, Judge, deflator
from ml.models.base import F64, Design
from ml.panel_direct import DIRECT_LEVELS, mean_of, on_grid, pooled
from ml.panel_law import Signals, fit_panel_law

LEVELS = (0.1, 0.5, 0.9)


def exponential(mean: F64) -> F64:
    """Quantiles of exponential distributions at every level of the grid."""
    return -np.log1p(-np.asarray(GRID))[None, :] * mean[:, None]


def at_direct(grid: F64) -> F64:
    return at_levels(grid, np.tile(DIRECT_LEVELS, (grid.shape[0], 1)))


def test_direct_quantiles_of_a_distribution_give_that_distribution_back() -> None:
    whole = exponential(np.array([0.5, 3.0, 40.0]))
    found = on_grid(at_direct(whole), whole)
    inside = [i for i, q in enumerate(GRID) if DIRECT_LEVELS[0] <= q <= DIRECT_LEVELS[-1]]
    outside = [i for i in range(len(GRID)) if i not in inside]
    assert np.allclose(found[:, outside], whole[:, outside], rtol=1e-6, atol=1e-3 * whole.max())
    assert np.abs(found[:, inside] / whole[:, inside] - 1).max() < 0.25  # straight lines between seven levels
    assert mean_of(whole) == pytest.approx([0.5, 3.0, 40.0], rel=0.05)


def test_pooling_keeps_zeros_order_and_sign_whatever_the_direct_quantiles_say() -> None:
    rng = np.random.default_rng(1)
    base = np.where(np.asarray(GRID)[None, :] < 0.6, 0.0, exponential(rng.gamma(1, 3, 50)))
    direct = np.sort(rng.gamma(0.3, 9.0, (50, len(DIRECT_LEVELS))), axis=1)
    out = pooled(base, on_grid(direct, base), np.full(50, 0.6))
    assert (out[base == 0] == 0).all() and (np.diff(out, axis=1) >= 0).all() and (out >= 0).all()
    assert np.array_equal(pooled(base, on_grid(direct, base), np.zeros(50)), base)


@pytest.mark.parametrize("useful", [True, False])
def test_direct_quantiles_count_where_they_help_and_not_where_they_harm(useful: bool) -> None:
    rng = np.random.default_rng(3)
    n = 12_000
    promoted = rng.random(n) < 0.2  # the mean does not see it, the direct quantiles may
    y = rng.gamma(4.0, np.where(promoted, 3.0, 0.7), n)
    mean, cells = np.full(n, float(y.mean())) * np.exp(rng.normal(0, 0.01, n)), np.full(n, "smooth|h0")
    truth = np.array([np.quantile(y[promoted == p], DIRECT_LEVELS) for p in (False, True)])
    direct = truth[promoted.astype(int)] if useful else truth[(~promoted).astype(int)]
    signals = Signals(mean, 0.5 * mean * np.exp(rng.normal(0, 0.01, n)), mean, mean, None, direct)
    law = fit_panel_law(signals, y, cells, LEVELS, np.arange(n) // 100)
    assert law.shares["smooth"] == (0.6 if useful else 0.0)
    plain = Signals(mean, signals.spread, mean, mean, None)
    alone = fit_panel_law(plain, y, cells, LEVELS, np.arange(n) // 100)
    draws = np.full(n, 0.5)
    ours = pinball(y, law.quantiles(signals, cells, draws), LEVELS)
    assert ours <= pinball(y, alone.quantiles(plain, cells, draws), LEVELS) * (0.95 if useful else 1.001)


def judge(y: F64, origin: npt.NDArray[np.int64] | None = None) -> Judge:
    n = y.size
    nothing = np.zeros(n, dtype=np.int64)
    origin = nothing if origin is None else origin
    held = Design(
        np.zeros((n, 1), np.float32), ("x",), (), np.ones(n), np.full(n, "smooth"), nothing.astype(np.int32), nothing, origin, y
    )  # fmt: skip
    return Judge(held, np.arange(n) // 4, np.ones(n))


def test_a_mixture_is_taken_back_only_where_less_errs_less_and_never_far() -> None:
    y = np.random.default_rng(5).gamma(50.0, 0.2, 400)
    assert deflator(judge(y), np.full(400, 10.0)) == 1.0
    assert deflator(judge(y), np.full(400, 7.0)) == 1.0  # too low stays as it is: more is never added
    assert deflator(judge(y), np.full(400, 10.5)) == pytest.approx(0.975, abs=0.01)
    assert deflator(judge(y), np.full(400, 30.0)) == 0.85
    rare = np.where(np.arange(400) % 8 == 0, 8.0, 0.0)  # averaged roots favour less than the mean
    assert deflator(judge(rare), np.full(400, 1.0)) == 1.0  # but the sum is right, and stays so
    late = (
        np.arange(400) // 200
    )  # one origin sold half as much, the other half as much again: five in a hundred are lost in that
    assert deflator(judge(rare * np.where(late == 1, 1.5, 0.5), late), np.full(400, 1.0)) == 0.95


def test_the_factor_of_a_class_is_applied_and_said() -> None:
    choice = Choice({"all": {"ses": 1.0}, "lumpy": {"ses": 0.5, "tsb": 0.5}}, {"all": 1.0, "lumpy": 0.95})
    means = {"ses": np.array([2.0, 2.0]), "tsb": np.array([4.0, 4.0])}
    assert choice.mean(np.array(["smooth", "lumpy"]), means).tolist() == pytest.approx([2.0, 2.85])
    assert choice.words() == {"all": "ses", "lumpy": "50% ses + 50% tsb, times 0.950"}
