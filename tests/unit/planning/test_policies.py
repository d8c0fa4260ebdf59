"""Metamorphic tests: what must hold for any numbers, whatever the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.errors import AiosError, BadInputError, InfeasibleError, NotSupportedError, UsageError
from planning.multiechelon import guaranteed_service, serial_base_stock
from planning.policies.dynamic import finite_horizon, lost_sales_optimal
from planning.policies.eoq import eoq, eoq_all_units, eoq_incremental, epq, wagner_whitin
from planning.policies.newsvendor import (
    fill_rate,
    level_for_fill_rate,
    newsvendor_normal,
    newsvendor_poisson,
    normal_loss,
    normal_second_loss,
)
from planning.policies.reorder import NormalRQ, power_approximation, rq_poisson, s_s_poisson
from planning.position import inventory_position
from planning.projection import packs_to_order, project
from planning.solve import KINDS, solve
from planning.suppliers import Quote, choose_suppliers
from planning.transfers import plan_transfers, transport

positive = st.floats(0.1, 50)


@given(K=positive, h=positive, lam=positive, factor=st.floats(0.1, 20))
def test_scaling_costs_keeps_the_order(K: float, h: float, lam: float, factor: float) -> None:
    assert eoq(K * factor, h * factor, lam)[0] == pytest.approx(eoq(K, h, lam)[0])


@given(h=positive, p=positive, mu=st.floats(1, 80), lead=st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_more_lead_time_never_lowers_the_level(h: float, p: float, mu: float, lead: int) -> None:
    assert newsvendor_poisson(h, p, mu, lead + 1)[0] >= newsvendor_poisson(h, p, mu, lead)[0]
    assert newsvendor_normal(h, p, mu, mu / 4, lead + 1)[1] >= newsvendor_normal(h, p, mu, mu / 4, lead)[1]


@given(n=st.integers(2, 9), sd=st.floats(1, 30), h=positive, p=positive)
def test_pooling_never_costs_more(n: int, sd: float, h: float, p: float) -> None:
    separate = n * newsvendor_normal(h, p, 100, sd)[1]
    assert newsvendor_normal(h, p, 100 * n, sd * n**0.5)[1] <= separate + 1e-9


@given(h=st.floats(0.5, 3), p=st.floats(4, 30), K=st.floats(5, 100), mu=st.floats(3, 15))
@settings(max_examples=10, deadline=None)
def test_s_s_is_ordered_and_costs_more_with_a_dearer_order(h: float, p: float, K: float, mu: float) -> None:
    s, top, cost = s_s_poisson(h, p, K, mu)
    assert s < top
    assert s_s_poisson(h, p, K * 2, mu)[2] >= cost - 1e-9


@given(lam=st.floats(2, 30), L=st.floats(0.2, 3))
@settings(max_examples=15, deadline=None)
def test_exact_rq_beats_its_approximations(lam: float, L: float) -> None:
    model = NormalRQ(0.5, 6.0, 20.0, lam, lam / 3, L)
    _, _, best = model.optimal()
    for r, q in (model.eoqb_approximation(), model.eoqss_approximation(), model.loss_approximation()):
        assert model.cost(r, q) >= best - 1e-7


def test_rq_poisson_by_exhaustion() -> None:
    from scipy.stats import poisson

    h, p, K, lam, lead = 1.0, 8.0, 12.0, 6.0, 1.0
    r, q, cost = rq_poisson(h, p, K, lam, lead)
    d = np.arange(200)
    pmf = poisson.pmf(d, lam * lead)
    point = {y: float((pmf * (h * np.maximum(y - d, 0) + p * np.maximum(d - y, 0))).sum()) for y in range(-20, 80)}
    table = {
        (a, b): (K * lam + sum(point[y] for y in range(a + 1, a + b + 1))) / b for a in range(-10, 30) for b in range(1, 40)
    }  # fmt: skip
    assert cost == pytest.approx(min(table.values()))
    assert table[(r, q)] == pytest.approx(cost)


@given(beta=st.floats(0.5, 0.995), mean=st.floats(1, 50), lead=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_level_for_fill_rate_inverts_fill_rate(beta: float, mean: float, lead: int) -> None:
    level = level_for_fill_rate(beta, mean, lead, 1, mean / 3)
    assert fill_rate(level, mean, lead, 1, mean / 3) == pytest.approx(beta, abs=1e-7)


def test_fill_rate_by_sampling() -> None:
    g = np.random.default_rng(1)
    d = g.normal(20, 5, (200_000, 4))
    level = 85.0
    late = np.maximum(d.sum(1) - level, 0).mean() - np.maximum(d[:, :3].sum(1) - level, 0).mean()
    assert fill_rate(level, 20, 3, 1, 5) == pytest.approx(1 - late / 20, abs=2e-3)


@given(x=st.floats(-20, 60))
def test_second_loss_is_the_integral_of_the_loss(x: float) -> None:
    step = 1e-3
    slope = (normal_second_loss(x + step, 20, 7) - normal_second_loss(x - step, 20, 7)) / (2 * step)
    assert -slope == pytest.approx(normal_loss(x, 20, 7)[0], abs=1e-5)


def test_a_longer_serial_line_costs_more_and_one_stage_is_the_newsvendor() -> None:
    levels, cost = serial_base_stock([4], [0.18], 0.7, mu=50, sd=8)
    # one stage of lead time 4 is a newsvendor over 4 periods
    from scipy.stats import norm

    assert levels[1] == pytest.approx(200 + 16 * norm.ppf(0.7 / 0.88), rel=2e-3)
    assert cost == pytest.approx(0.88 * norm.pdf(norm.ppf(0.7 / 0.88)) * 16, rel=5e-3)
    assert serial_base_stock([4, 2], [0.18, 0.1], 0.7, mu=50, sd=8)[1] > cost


def test_service_tree_by_exhaustion() -> None:
    from itertools import product

    edges, times, hold = [(1, 2), (1, 3), (3, 4)], {1: 2, 2: 1, 3: 2, 4: 1}, {1: 1.0, 2: 3.0, 3: 2.0, 4: 5.0}
    sd = {2: 2.0, 4: 1.0}
    _, cost = guaranteed_service(edges, times, hold, sd, s_in={1: 1}, s_out={2: 1, 4: 0})
    sigma = {1: 5**0.5, 2: 2.0, 3: 1.0, 4: 1.0}
    best = np.inf
    for s1, s3 in product(range(4), range(6)):
        into = {1: 1, 2: s1, 3: s1, 4: s3}
        for s2 in (0, 1):
            spans = {k: into[k] + times[k] - s for k, s in {1: s1, 2: s2, 3: s3, 4: 0}.items()}
            if min(spans.values()) >= 0:
                best = min(best, sum(hold[k] * sigma[k] * spans[k] ** 0.5 for k in spans))
    assert cost == pytest.approx(best)


@given(st.lists(st.integers(0, 90), min_size=2, max_size=8), st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_wagner_whitin_by_exhaustion(d: list[int], K: int) -> None:
    from itertools import product

    _, cost = wagner_whitin(len(d), 2.0, float(K), [float(x) for x in d])
    best = np.inf
    for plan in product((0, 1), repeat=len(d) - 1):
        total, held_from = 0.0, 0
        for t, x in enumerate(d):
            if t and plan[t - 1]:
                held_from = t
            total += 2.0 * (t - held_from) * x
        starts = [0] + [t for t in range(1, len(d)) if plan[t - 1]]
        ends = [*starts[1:], len(d)]
        total += sum(K for a, b in zip(starts, ends, strict=True) if sum(d[a:b]) > 0)
        best = min(best, total)
    assert cost <= best + 1e-6 and cost == pytest.approx(best, abs=1e-6)


def test_discounts_by_search() -> None:
    breaks, c = [0.0, 100.0, 250.0], [10.0, 9.0, 8.5]
    q = np.linspace(1, 2000, 200_000)
    price = np.select([q >= 250, q >= 100], [8.5, 9.0], 10.0)
    assert eoq_all_units(50, 0.2, 600, breaks, c)[2] == pytest.approx(
        (price * 600 + 50 * 600 / q + 0.2 * price * q / 2).min(), rel=1e-6
    )
    paid = np.where(q >= 250, 1000 + 1350 + 8.5 * (q - 250), np.where(q >= 100, 1000 + 9 * (q - 100), 10 * q))
    rate = (paid + 50) * 600 / q + 0.2 * paid / 2
    assert eoq_incremental(50, 0.2, 600, breaks, c)[2] == pytest.approx(rate.min(), rel=1e-6)


def test_a_finite_horizon_without_a_cost_of_ordering_is_base_stock() -> None:
    """Figures of stockpyl 1.0.2, `finite_horizon_dp` with the same arguments."""
    lows, tops, cost = finite_horizon(4, 1, 5, 2, 10, 5, 0, 60, 4)
    assert lows == tops == [64, 64, 64, 61] and cost == pytest.approx(1246.49502779752, rel=1e-9)


def test_lost_sales_optimum_is_below_base_stock() -> None:
    optimum = lost_sales_optimal(1, 9, 2, 5)
    assert 5.44 < optimum < 6.53  # between lead times 1 and 3 of Zipkin's table
    with pytest.raises(NotSupportedError):
        lost_sales_optimal(1, 9, 5, 5)


@given(
    stock=st.integers(0, 60),
    more=st.integers(0, 30),
    pack=st.sampled_from([1, 5, 12]),
    alpha=st.floats(0.5, 0.99),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_projected_newsvendor_never_orders_more_with_more_stock(
    stock: int, more: int, pack: int, alpha: float, seed: int
) -> None:
    g = np.random.default_rng(seed)
    demand = g.poisson(4, (1, 64, 6)).astype(np.float32)
    arrive, until = np.full((1, 64), 3), np.full((1, 64), 5)
    orders = []
    for x in (stock, stock + more):
        need = project(np.array([float(x)]), demand, np.zeros_like(demand), arrive, until, True).need
        orders.append(packs_to_order(need, np.array([alpha]), np.array([float(pack)]), np.zeros(1))[0])
    assert orders[1] <= orders[0]


@given(alpha=st.floats(0.5, 0.99), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_pack_of_one_is_the_newsvendor(alpha: float, seed: int) -> None:
    need = np.random.default_rng(seed).poisson(7, (1, 101)).astype(np.float32)
    q = packs_to_order(need, np.array([alpha]), np.ones(1), np.zeros(1))[0]
    assert (need <= q).mean() >= alpha - 1e-6
    assert q == 0 or (need <= q - 1).mean() < alpha


def test_compiled_projection_equals_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import planning.projection as module

    g = np.random.default_rng(5)
    demand = g.gamma(2, 2, (30, 32, 20)).astype(np.float32)
    receipts = g.poisson(0.5, demand.shape).astype(np.float32)
    arrive = g.integers(1, 12, (30, 32))
    until, wait = arrive + g.integers(2, 12, (30, 32)), arrive + 1
    stock, lost = g.uniform(0, 20, 30), np.arange(30) % 2 == 0
    plain = project(stock, demand, receipts, arrive, until, lost, wait)
    monkeypatch.setattr(module, "COMPILE_ABOVE", 0)
    fast = project(stock, demand, receipts, arrive, until, lost, wait)
    for name in ("need", "lost_before", "stock_at_arrival", "demand_exposed", "need_wait"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(fast, name))


def test_transport_is_integral_and_says_what_is_short() -> None:
    plan, cost = transport(np.array([5.0, 7.0]), np.array([4.0, 6.0]), np.array([[1.0, 3.0], [2.0, 1.0]]))
    np.testing.assert_allclose(plan, np.round(plan))
    assert cost == 10
    with pytest.raises(InfeasibleError, match="exceeds supply by 3"):
        transport(np.array([5.0]), np.array([8.0]), np.array([[1.0]]))


def test_transfers_save_money_and_keep_every_unit() -> None:
    g = np.random.default_rng(2)
    stock = g.integers(0, 30, (20, 4)).astype(float)
    demand = g.poisson(8, (20, 4, 100)).astype(float)
    freight = np.full((4, 4), 0.3)
    plan = plan_transfers(stock, demand, np.full(20, 5.0), np.full(20, 0.1), freight)
    assert plan.cost < plan.cost_without
    np.testing.assert_allclose(plan.quantity, np.round(plan.quantity))
    gone = np.zeros_like(stock)
    np.add.at(gone, (plan.item, plan.origin), plan.quantity)
    assert (gone <= stock).all()
    dear = plan_transfers(stock, demand, np.full(20, 5.0), np.full(20, 0.1), np.full((4, 4), 50.0))
    assert dear.quantity.size == 0


def test_supplier_choice_by_hand() -> None:
    quotes = [
        Quote("A", 50, (0,), (2.0,), 100),
        Quote("B", 10, (0, 60), (2.6, 2.2), 80, minimum=20),
        Quote("C", 0, (0,), (4.0,), 1000, late_probability_frac=0.5, late_cost_usd=1.0),
    ]
    best = choose_suppliers(70, quotes)
    assert best[0].quantities == {"B": 70.0} and best[0].cost_usd == pytest.approx(10 + 2.2 * 70)
    assert best[1].quantities == {"A": 70.0} and best[1].regret_usd == pytest.approx(190 - 164)
    assert [c.regret_usd for c in best] == sorted(c.regret_usd for c in best)
    with pytest.raises(InfeasibleError, match="20 less than needed"):
        choose_suppliers(200, quotes[:2])


def test_position_adds_up_and_refuses_negatives() -> None:
    assert inventory_position(np.array([4.0]), np.array([6.0]), np.array([3.0]), np.array([2.0])).tolist() == [5.0]
    with pytest.raises(BadInputError, match="on hand is negative"):
        inventory_position(np.array([-1.0]), np.array([6.0]))


def test_power_approximation_cap() -> None:
    free, capped = power_approximation(0.18, 0.7, 2.5, 50, 8), power_approximation(0.18, 0.7, 2.5, 50, 8, cap=True)
    assert free[1] > 74 and capped[1] == pytest.approx(56.6, abs=0.01)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_refuses_nonsense(kind: str) -> None:
    with pytest.raises(AiosError):
        solve(kind, {"nonsense": 1})


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="no kind"):
        solve("tea-leaves", {})
    with pytest.raises(BadInputError, match="above 0"):
        solve("eoq", {"K": 0, "h": 1, "lam": 1})
    with pytest.raises(BadInputError, match="does not exceed"):
        epq(1, 1, 10, 5)
