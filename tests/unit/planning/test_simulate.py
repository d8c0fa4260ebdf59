"""The closed loop: compiled equals plain, units balance, and known answers come out."""

from __future__ import annotations

import numpy as np
import pytest

from aios_assets.contracts.errors import BadInputError
from planning.policies.newsvendor import erlang_b, newsvendor_poisson
from planning.policies.reorder import s_s_poisson
from planning.simulate.engine import Rules, frontier, simulate, simulate_plain


def _case(seed: int, items: int = 60, days: int = 120) -> tuple[np.ndarray, np.ndarray, Rules]:
    g = np.random.default_rng(seed)
    rules = Rules(
        g.uniform(5, 30, items).round(), g.uniform(30, 60, items).round(), g.integers(1, 8, items), g.choice([1.0, 6.0], items),
        np.where(g.random(items) < 0.3, 12.0, 0.0),
    )  # fmt: skip
    return g.poisson(3, (items, days)), g.integers(0, 9, (items, days)), rules


@pytest.mark.parametrize("lost", [True, False])
def test_compiled_equals_plain(lost: bool) -> None:
    demand, leads, rules = _case(1)
    stock = np.full(len(demand), 20.0)
    fast = simulate(demand, leads, rules, stock, lost=lost, warm=30, pipeline=np.ones((len(demand), 3)))
    slow = simulate_plain(demand, leads, rules, stock, lost=lost, warm=30, pipeline=np.ones((len(demand), 3)))
    for name in ("held", "unmet", "waiting", "demand", "orders", "ordered", "last_stock"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name))


def test_units_balance() -> None:
    demand, _, rules = _case(2)
    leads = np.zeros_like(demand)
    out = simulate(demand, leads, rules, np.full(len(demand), 20.0))
    on_the_way = 20.0 + out.ordered - (out.demand - out.unmet) - out.last_stock
    # what was ordered on the last day arrives after it
    assert (on_the_way >= -1e-9).all() and (on_the_way <= rules.level.max() + 12).all()


def test_base_stock_costs_what_theory_says() -> None:
    level, cost = newsvendor_poisson(0.18, 0.7, 5, 4)
    g = np.random.default_rng(3)
    demand = g.poisson(5, (200, 1000))
    out = simulate(
        demand,
        np.full(demand.shape, 4),
        Rules.order_up_to(np.full(200, float(level))),
        np.full(200, float(level)),
        lost=False,
        warm=100,
    )
    rate = (0.18 * out.held + 0.7 * out.waiting).mean() / 900
    assert rate == pytest.approx(cost, rel=0.02)


def test_s_s_costs_what_theory_says() -> None:
    s, top, cost = s_s_poisson(1, 9, 64, 10)
    g = np.random.default_rng(4)
    n, days = 150, 1500
    rules = Rules(np.full(n, float(s)), np.full(n, float(top)), np.ones(n, dtype=np.int64), np.ones(n), np.zeros(n))
    demand = g.poisson(10, (n, days))
    out = simulate(demand, np.zeros(demand.shape, dtype=np.int64), rules, np.full(n, float(top)), lost=False, warm=50)
    rate = (out.held + 9 * out.waiting + 64 * out.orders).mean() / (days - 50)
    assert rate == pytest.approx(cost, rel=0.02)


def test_one_for_one_with_lost_sales_is_near_erlang() -> None:
    g = np.random.default_rng(5)
    per_day = 0.02  # many small days make the review continuous
    demand = (g.random((100, 20_000)) < per_day).astype(np.int8)
    leads = np.full(demand.shape, 49, dtype=np.int64)
    out = simulate(demand, leads, Rules.order_up_to(np.full(100, 2.0)), np.full(100, 2.0), warm=1000)
    assert 1 - out.fill_rate() == pytest.approx(erlang_b(1.0, 2), rel=0.08)


def test_more_stock_never_serves_worse_and_the_frontier_rises() -> None:
    g = np.random.default_rng(6)
    demand, leads = g.poisson(4, (100, 300)), g.integers(1, 6, (100, 300))
    points = frontier(demand, leads, [np.full(100, float(x)) for x in (10, 20, 30, 40)], 0.1, 2.0, warm=30)
    service = [p["fill_rate_frac"] for p in points]
    assert service == sorted(service)
    assert [p["holding_cost"] for p in points] == sorted(p["holding_cost"] for p in points)


@pytest.mark.parametrize("what", ["stock", "demand", "leads", "shape"])
def test_bad_input(what: str) -> None:
    demand, leads, rules = _case(7)
    stock = np.full(len(demand), 20.0)
    if what == "stock":
        stock[0] = -1
    elif what == "demand":
        demand[0, 0] = -1
    elif what == "leads":
        leads[0, 0] = -1
    else:
        leads = leads[:, :-1]
    with pytest.raises(BadInputError):
        simulate(demand, leads, rules, stock)
