"""Textbook problems that cannot be meant are refused by name: before, these gave a figure or a traceback."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from aios_assets.contracts.errors import AiosError, BadInputError, InfeasibleError
from planning.solve import solve

TREE: dict[str, Any] = {
    "edges": [[1, 3], [3, 2], [3, 4]], "T": {"1": 2, "3": 1, "2": 1, "4": 1}, "h": {"1": 1, "3": 2, "2": 3, "4": 3},
    "s_in": {"1": 1}, "s_out": {"2": 0, "4": 1}, "sd": {"2": 1, "4": 1},
}  # fmt: skip
LOTS: dict[str, Any] = {"T": 4, "h": 2, "K": 500, "d": [90, 120, 80, 70]}
SS: dict[str, Any] = {"h": 1, "p": 4, "K": 5}
NEWS: dict[str, Any] = {"h": 0.18, "p": 0.7, "mu": 50, "sd": 8}
LINE: dict[str, Any] = {"L": [1, 1, 2], "h_echelon": [3, 2, 2], "p": 37.12, "mu": 5, "sd": 1}


@pytest.mark.parametrize(
    ("kind", "inputs", "words"),
    [
        ("wagner-whitin", LOTS | {"d": [90, -120, 80, 70]}, "d is -120"),
        ("wagner-whitin", LOTS | {"h": -2}, "h is -2"),
        ("wagner-whitin", LOTS | {"h": [2, 2]}, "d has 4, h has 2"),
        ("newsvendor-normal", NEWS | {"L": -1}, "L is -1"),
        ("power-approximation", NEWS | {"K": 2.5, "L": -1}, "L is -1"),
        ("s-s-poisson", SS | {"mu": 6, "L": -1}, "L is -1"),
        ("s-s", SS | {"demand": "Normal(6, 2)"}, "the demand is continuous"),
        ("s-s", SS | {"demand": "Poisson(6)", "L": 1.5}, "L is 1.5, needed is a whole number"),
        ("erlang-b", {"offered_load": 5, "S": 5.5}, "S is 5.5"),
        ("erlang-b", {"offered_load": 5, "S": -3}, "S is -3"),
        ("pooling", {"n": 2.5}, "n is 2.5"),
        ("joint-replenishment", {"K": 600, "k": [1, 2], "h": [1], "lam": [1, 1]}, "k has 2, h has 1, lam has 2"),
        ("eoq-incremental", {"K": 8, "i": 0.3, "lam": 1300, "breaks": [0, 400], "c": [0.6, 0.7]}, "c rises"),
        ("eoq-additive-yield", {"K": 8, "h": 0.2, "lam": 100, "y_mean": 500, "y_sd": 1}, "nothing is to be ordered"),
        ("serial", LINE | {"sd": 0}, "sd is 0"),
        ("serial", LINE | {"L": [1, 1, -2]}, "L is -2"),
        ("service-tree", {k: v for k, v in TREE.items() if k != "s_out"}, "nothing is promised to the customers of stage 2, 4"),
        ("service-tree", TREE | {"s_out": {"2": 0}}, "nothing is promised to the customers of stage 4"),
        ("service-tree", TREE | {"edges": [[1, 3], [3, 2], [3, 9]]}, "edges names stage 9"),
        ("service-tree", TREE | {"h": {"1": 1, "3": 2, "2": 3}}, "no holding cost for stage 4"),
        ("service-tree", TREE | {"T": {"1": 2, "3": 1.5, "2": 1, "4": 1}}, "T of stage 3 is 1.5"),
    ],
)  # fmt: skip
def test_impossible_inputs_are_named(kind: str, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        solve(kind, inputs)
    assert words in str(caught.value)


def test_a_circle_is_no_tree() -> None:
    with pytest.raises(InfeasibleError, match="from 2 to 1 closes a circle"):
        solve("service-tree", TREE | {"edges": [[1, 2], [2, 1], [3, 4]]})


def test_what_is_asked_without_a_promise_was_answered_with_no_stock_at_all() -> None:
    """With promises as late as everything takes the true answer is indeed nothing: it has to be said, not assumed."""
    assert solve("service-tree", TREE | {"s_out": {"2": 9, "4": 9}})["cost"] == 0
    assert solve("service-tree", TREE)["cost"] == pytest.approx(8.277916867529369)


def test_no_kind_ends_in_a_traceback_on_inputs_of_the_wrong_form() -> None:
    from planning.solve import KINDS

    for kind, value in itertools.product(sorted(KINDS), (None, "x", -1.0, [], {})):
        for names in (("h", "p", "K", "demand"), ("edges", "T", "h", "sd", "s_out"), ("T", "h", "K", "d"), ("S",)):
            with pytest.raises(AiosError):
                solve(kind, dict.fromkeys(names, value))


def stationary_cost(s: int, top: int, values: list[int], weights: list[float], h: float, p: float, K: float) -> float:
    """Average cost of (s, S) from its Markov chain: an answer that shares nothing with the renewal argument."""
    low = s - max(values)
    n = top - low + 1
    step, cost = np.zeros((n, n)), np.zeros(n)
    for x in range(low, top + 1):
        y = top if x <= s else x
        cost[x - low] = K * (x <= s)
        for d, w in zip(values, weights, strict=True):
            left = y - d
            cost[x - low] += w * (h * max(left, 0) + p * max(-left, 0))
            step[x - low, left - low] += w
    system = np.vstack([step.T - np.eye(n), np.ones(n)])
    share = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)[0]
    return float(share @ cost)


@pytest.mark.parametrize("seed", range(4))
def test_s_s_of_lumpy_demand_is_the_best_of_its_neighbourhood(seed: int) -> None:
    """Demand with gaps, where published tables have none; and never zero, where the renewal of zero does not help."""
    g = np.random.default_rng(seed)
    values = sorted(g.choice(np.arange(seed % 2, 40), 4, replace=False).tolist())
    weights = g.dirichlet(np.ones(4)).tolist()
    h, p, K = 1.0, float(g.uniform(4, 20)), float(g.uniform(20, 120))
    found = solve(
        "s-s", {"h": h, "p": p, "K": K, "demand": {"kind": "discrete", "values": values, "probabilities": weights}}
    )
    assert found["cost"] == pytest.approx(stationary_cost(found["s"], found["S"], values, weights, h, p, K), rel=1e-9)
    around = itertools.product(range(found["s"] - 6, found["s"] + 7), range(found["S"] - 10, found["S"] + 11))
    best = min(stationary_cost(s, top, values, weights, h, p, K) for s, top in around if top > s)
    assert found["cost"] <= best * (1 + 1e-9)
