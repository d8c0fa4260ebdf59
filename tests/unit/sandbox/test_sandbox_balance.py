"""Units neither appear nor vanish, whatever is ordered."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import writer
from sandbox.flow import step
from sandbox.minmax import minmax_orders
from sandbox.orders import OrderBatch, merge_orders
from sandbox.state import SUPPLIER, NetworkState, new_network

SPEC = writer.read_spec("tiny")


def _random_orders(state: NetworkState, rng: np.random.Generator) -> OrderBatch:
    """Any mix of supplier orders, deliveries to stores, sideways transfers and expedites."""
    net, n = state.net, int(rng.integers(0, 12))
    item = rng.integers(0, net.items, n)
    dst = rng.integers(0, net.sites, n)
    src = np.where(dst < net.centres, net.sites + net.supplier[item], rng.integers(0, net.sites, n))
    keep = src != dst
    item, dst, src = item[keep], dst[keep], src[keep]
    pack = np.where(src >= net.sites, net.pack[item], 1)
    qty = rng.integers(1, 30, len(item)) * pack
    lines = state.lines
    late = tuple((int(o), int(i)) for o, i in zip(lines["order"][:2], lines["item"][:2], strict=True))
    return merge_orders(net, item, src, dst, qty, late)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), chaos=st.booleans())
def test_every_site_and_item_balances_every_day(seed: int, chaos: bool) -> None:
    state = new_network(SPEC, seed)
    rng = np.random.default_rng(seed)
    shipped, received, bad = 0, 0, 0
    for _ in range(45):
        orders = _random_orders(state, rng) if chaos else minmax_orders(state, SPEC.policy)
        before = state.on_hand.copy()
        r = step(state, orders)
        assert (r.opening == before).all()
        assert (r.opening + r.receipts - r.sales - r.outbound + r.adjustments == r.closing).all()
        assert min(r.closing.min(), r.sales.min(), r.receipts.min(), r.outbound.min()) >= 0
        assert (r.sales <= r.demand).all()
        assert (r.sales[: state.net.centres] == 0).all()
        shipped += int(r.shipped["shipq"].sum())
        received += int(r.receipts.sum())
        bad += int(r.received["bad"].sum())
        inside = r.shipped.where(r.shipped["kind"] != SUPPLIER)
        assert inside["shipq"].sum() == r.outbound.sum()
    on_the_road = state.lines.where((state.lines["shipq"] > 0) & (state.lines["arrive"] >= state.day))
    assert shipped == received + bad + int(on_the_road["shipq"].sum())


def test_centre_short_of_stock_shares_it_and_never_ships_more_than_it_has() -> None:
    state = new_network(SPEC, 3)
    state.on_hand[0, 0] = 10
    stores = np.array([1, 2, 3])
    batch = merge_orders(
        state.net, np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), stores, np.array([8, 8, 4])
    )
    result = step(state, batch)
    assert result.outbound[0, 0] <= 10
    assert result.shipped["shipq"].tolist() == [4, 4, 2]
    assert result.acked["conf"].tolist() == [4, 4, 2]  # the cut is answered


def test_expedite_brings_a_late_order_forward_and_costs_money() -> None:
    state = new_network(SPEC, 5)
    item = 0
    supplier = state.net.sites + int(state.net.supplier[item])
    pack = int(state.net.pack[item])
    placed = step(
        state, merge_orders(state.net, np.array([item]), np.array([supplier]), np.array([0]), np.array([4 * pack]))
    )
    order = int(placed.placed["order"][0])
    twin = state.branch()
    plain = [step(twin, OrderBatch()) for _ in range(30)]
    fast = [step(state, OrderBatch(expedite=((order, item),) if n == 0 else ())) for n in range(30)]
    arrival = [next(n for n, r in enumerate(rs) if order in r.received["order"]) for rs in (plain, fast)]
    assert arrival[1] == SPEC.costs.expedite_days < arrival[0]
    assert sum(r.costs["expedite_usd"] for r in plain) == 0 < sum(r.costs["expedite_usd"] for r in fast)


def test_lead_times_have_the_stated_mean_and_the_drifting_one_drifts() -> None:
    from sandbox.flow import draw_lead_days

    net = new_network(SPEC, 11).net
    for k, supplier in enumerate(SPEC.suppliers):
        early = np.mean([draw_lead_days(net, d)[k].mean() for d in range(100)])
        assert abs(early - supplier.lead_time_days) < 0.12 * supplier.lead_time_days
        late = np.mean([draw_lead_days(net, d)[k].mean() for d in range(300, 400)])
        factor = supplier.drift[2] if supplier.drift else 1.0
        assert abs(late / early - factor) < 0.15
