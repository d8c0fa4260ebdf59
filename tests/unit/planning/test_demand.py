"""Demand by name: losses, newsvendor and lost sales against closed forms, published tables and sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import norm

from aios_assets.contracts.errors import BadInputError
from planning.policies.demand import distribution, loss
from planning.policies.newsvendor import normal_loss
from planning.solve import solve

TEXTS = [
    "Normal(50, 8)", "Uniform(10, 30)", "Exponential(5)", "Gamma(6, 3)", "Lognormal(6, 3)", "Poisson(5)", "Geometric(5)",
    "Negative binomial(5, 3)", "Binomial(20, 0.3)",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_losses_are_the_means_of_drawn_gaps(text: str) -> None:
    frozen = distribution(text)
    drawn = frozen.rvs(400_000, random_state=3)
    for x in (0.5 * frozen.mean(), frozen.mean(), 1.8 * frozen.mean()):
        under, over = loss(float(x), frozen)
        noise = 5 * frozen.std() / math.sqrt(drawn.size)
        assert under == pytest.approx(np.maximum(drawn - x, 0).mean(), abs=noise)
        assert over == pytest.approx(np.maximum(x - drawn, 0).mean(), abs=noise)


@given(x=st.floats(0.0, 40.0), mean=st.floats(0.5, 20.0))
@example(x=12.0, mean=17.27118267391704)  # an integral to infinity that was 4.5e-8 off
def test_losses_by_closed_form(x: float, mean: float) -> None:
    under, over = loss(x, distribution({"kind": "exponential", "mean": mean}))
    assert under == pytest.approx(mean * math.exp(-x / mean), rel=1e-8, abs=1e-10)
    assert over - under == pytest.approx(x - mean, abs=1e-8)
    assert loss(x, distribution({"kind": "normal", "mean": mean, "sd": 3})) == pytest.approx(
        normal_loss(x, mean, 3), abs=1e-8
    )
    whole, share = math.floor(x), mean / (1 + mean)
    tail = mean * share**whole  # E[(D − k)⁺] of a geometric demand from 0
    found = loss(whole, distribution({"kind": "geometric", "mean": mean}))[0]
    assert found == pytest.approx(tail, rel=1e-7, abs=1e-9)


def test_newsvendors() -> None:
    found = solve("newsvendor", {"h": 1, "p": 3, "demand": "Exponential(10)"})
    assert found["S"] == pytest.approx(10 * math.log(4))
    assert found["cost"] == pytest.approx(10 * math.log(4))  # h·S at the optimum of exponential demand
    normal = solve("newsvendor-normal", {"h": 0.18, "p": 0.7, "mu": 50, "sd": 8, "L": 4})
    assert solve("newsvendor", {"h": 0.18, "p": 0.7, "demand": "Normal(50, 8)", "L": 4}) == pytest.approx(normal)
    poisson = solve("newsvendor-poisson", {"h": 0.18, "p": 0.7, "mu": 50, "L": 2})
    summed = solve("newsvendor", {"h": 0.18, "p": 0.7, "demand": "Poisson(50)", "L": 2})
    assert summed == pytest.approx(poisson, rel=1e-9)
    table = {"kind": "discrete", "values": [0, 1, 4], "probabilities": [0.5, 0.3, 0.2]}
    assert solve("newsvendor", {"h": 1, "p": 3, "demand": table}) == {
        "S": 1.0,
        "cost": pytest.approx(0.5 + 3 * 0.2 * 3),
    }


def test_a_price_is_a_newsvendor() -> None:
    found = solve("newsvendor-price", {"revenue": 10, "cost": 4, "salvage": 1, "demand": "Uniform(0, 90)"})
    assert found["S"] == pytest.approx(60)
    sold = 60 - 60**2 / (2 * 90)  # E[min(D, 60)]
    assert found["profit"] == pytest.approx(10 * sold + 1 * (60 - sold) - 4 * 60)


def test_additive_yield_covers_what_may_not_arrive() -> None:
    found = solve("newsvendor-additive-yield", {"h": 15, "p": 75, "d": 1.5e6, "y_mean": 0, "y_sd": 6e5})
    z = norm.ppf(75 / 90)
    assert found["S"] == pytest.approx(1.5e6 + z * 6e5)
    arrived = norm(0, 6e5).rvs(400_000, random_state=1) + found["S"] - 1.5e6
    assert found["cost"] == pytest.approx(np.where(arrived > 0, 15 * arrived, -75 * arrived).mean(), rel=0.01)


def test_s_s_of_any_demand() -> None:
    poisson = solve("s-s-poisson", {"h": 1, "p": 9, "K": 64, "mu": 5, "L": 1})
    assert solve("s-s", {"h": 1, "p": 9, "K": 64, "demand": "Poisson(5)", "L": 1}) == pytest.approx(poisson, rel=1e-8)


@pytest.mark.parametrize(
    ("demand", "lead", "p", "cost"),
    [
        ("Poisson(5)", 1, 4, 4.04), ("Poisson(5)", 2, 9, 6.09), ("Poisson(5)", 2, 39, 9.11),
        ("Geometric(5)", 1, 4, 9.82), ("Geometric(5)", 1, 39, 23.87), ("Geometric(5)", 2, 9, 15.50), ("Geometric(5)", 2, 19, 20.89),
    ],
)  # fmt: skip
def test_lost_sales_of_zipkins_table(demand: str, lead: int, p: float, cost: float) -> None:
    """Zipkin (2008), Operations Research 56(5): optimal costs of Poisson and geometric demand with mean 5."""
    assert solve("lost-sales", {"h": 1, "p": p, "L": lead, "demand": demand})["cost"] == pytest.approx(cost, abs=0.006)


@pytest.mark.parametrize(
    ("demand", "says"),
    [
        ("Weibull(5, 2)", "not a distribution"), ("Poisson(five)", "not a distribution"), ("Poisson(5, 6)", "not a distribution"),
        ({"kind": "zipf", "mean": 5}, "no distribution"), ({"kind": "gamma", "mean": 5}, "mean, sd"), ("Poisson(-1)", "mean is -1"),
        ({"kind": "discrete", "values": [1, 2], "probabilities": [0.5, 0.6]}, "sum to 1.1"),
        ({"kind": "discrete", "values": [0.5], "probabilities": [1]}, "whole"), ("Negative binomial(5, 1)", "does not exceed"),
        ("Binomial(20, 2)", "between 0 and 1"),
    ],
)  # fmt: skip
def test_what_is_no_demand_is_said(demand: object, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        solve("loss", {"x": 1, "demand": demand})


def test_lost_sales_needs_one_countable_demand() -> None:
    with pytest.raises(BadInputError, match="continuous"):
        solve("lost-sales", {"h": 1, "p": 9, "L": 1, "demand": "Normal(5, 1)"})
    with pytest.raises(BadInputError, match="needed, once"):
        solve("lost-sales", {"h": 1, "p": 9, "L": 1, "demand": "Poisson(5)", "mu": 5})
