"""One day of the network: place, receive, ship, sell, count, close. Balances to the unit.

Order within a day: orders decided on the close of the day before are placed; what arrives today is received; centres
ship today's store orders from stock; customers buy; counted differences are booked; suppliers ship.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandbox.calendar import price_on
from sandbox.demand import draw_demand, mean_demand, next_level
from sandbox.draws import Floats, Ints, stream
from sandbox.network import Network
from sandbox.orders import OrderBatch
from sandbox.state import FAR, STORE, SUPPLIER, TRANSFER, Lines, NetworkState

CONFIRM_FULL = 0.95
DAMAGED = 0.01
CARRIER_LATE = 0.12


@dataclass(slots=True)
class DayResult:
    """Everything that happened on one day; [S, I] arrays in eaches, events as order lines.

    `opening + receipts - sales - outbound + adjustments = closing` for every site and item.
    """

    day: int
    opening: Ints
    receipts: Ints
    demand: Ints
    sales: Ints
    outbound: Ints
    adjustments: Ints
    closing: Ints
    expected: Floats
    price: Floats
    placed: Lines
    acked: Lines
    shipped: Lines
    received: Lines
    invoiced: Lines
    rolling: Lines
    delayed: Lines
    expedited: Lines
    costs: dict[str, float]


def step(state: NetworkState, orders: OrderBatch) -> DayResult:
    """Play `state.day` in place and return what happened."""
    net, day = state.net, state.day
    opening = state.on_hand.copy()
    placed, surcharge = _place(state, orders)
    expedited = _expedite(state, orders.expedite)
    received = state.lines.where((state.lines["arrive"] == day) & (state.lines["shipq"] > 0))
    receipts = _total(net, received["dst"], received["item"], received["recv"])
    state.on_hand = opening + receipts
    outbound = _ship_from_sites(state)
    state.level = next_level(net, state.level, day)
    expected, promoted = mean_demand(net, state.level, day)
    demand = draw_demand(net, expected, day)
    sales = np.minimum(demand, state.on_hand)
    state.on_hand = state.on_hand - sales
    adjustments = _count(state)
    state.on_hand = state.on_hand + adjustments
    _ship_from_suppliers(state)
    _observe(state, sales, received)
    lines = state.lines
    result = DayResult(
        day=day, opening=opening, receipts=receipts, demand=demand, sales=sales, outbound=outbound,
        adjustments=adjustments, closing=state.on_hand.copy(), expected=expected, price=price_on(net, promoted),
        placed=placed,
        acked=lines.where(lines["ack"] == day),
        shipped=lines.where((lines["ship"] == day) & (lines["shipq"] > 0)),
        received=received,
        invoiced=lines.where((lines["invoice"] == day) & (lines["shipq"] > 0)),
        rolling=_on_the_road(lines, day),
        delayed=_just_late(lines, day),
        expedited=expedited,
        costs=_costs(net, state.on_hand, demand - sales, placed, expedited, surcharge),
    )  # fmt: skip
    done = (lines["arrive"] <= day) & (lines["invoice"] <= day)
    state.lines = lines.where(~done)
    state.day = day + 1
    return result


def _total(net: Network, site: Ints, item: Ints, qty: Ints) -> Ints:
    out = np.zeros((net.sites, net.items), dtype=np.int64)
    np.add.at(out, (site, item), qty)
    return out


def _place(state: NetworkState, orders: OrderBatch) -> tuple[Lines, float]:
    """Number today's orders, let suppliers answer, add them to the open lines."""
    net, day, n = state.net, state.day, len(orders.item)
    if not n:
        return Lines(), 0.0
    lane = orders.src * net.sites + orders.dst
    new_order = np.diff(lane, prepend=-1) != 0
    order_no = np.cumsum(new_order) - 1
    starts = np.flatnonzero(new_order)
    columns = {name: np.full(n, FAR, dtype=np.int64) for name in Lines().columns}
    first = state.take("order", len(starts))
    columns["order"] = first + order_no
    columns["line"] = np.arange(n) - starts[order_no] + 1
    columns.update(item=orders.item, src=orders.src, dst=orders.dst, qty=orders.qty)
    columns["day"] = np.full(n, day)
    from_centre = (orders.src < net.centres) & (net.serving[orders.dst] == orders.src)
    columns["kind"] = np.where(orders.src >= net.sites, SUPPLIER, np.where(from_centre, STORE, TRANSFER))
    for name in ("shipq", "recv", "bad", "expedited"):
        columns[name] = np.zeros(n, dtype=np.int64)
    columns["shipment"] = np.full(n, -1)
    lines = Lines(columns)
    internal = lines["kind"] != SUPPLIER
    columns["conf"], columns["ack"] = orders.qty.copy(), np.where(internal, FAR, day)
    lines = Lines(columns)
    _promise(state, lines)
    state.lines.extend(lines)
    return lines, _surcharge(net, lines)


def lead_mean_days(net: Network, day: int) -> Floats:
    """[K] true mean lead time of each supplier on a day, drift included."""
    out = np.array([s.lead_time_days for s in net.spec.suppliers], dtype=np.float64)
    for k, supplier in enumerate(net.spec.suppliers):
        if supplier.drift:
            start, end, factor = supplier.drift
            out[k] *= 1 + (factor - 1) * min(1.0, max(0.0, (day - start) / max(1.0, end - start)))
    return out


def draw_lead_days(net: Network, day: int) -> Ints:
    """[K, S] lead time of an order placed today, by supplier and site; independent of what is ordered."""
    rng = stream(net.seed, "lead", day)
    mean = lead_mean_days(net, day)
    cv = np.array([s.cv_frac for s in net.spec.suppliers])
    shape = (len(mean), net.sites)
    gamma = rng.gamma(np.broadcast_to((1 / cv**2)[:, None], shape), (mean * cv**2)[:, None])
    sigma = np.sqrt(np.log(1 + cv**2))
    lognormal = np.exp(np.log(mean)[:, None] - sigma[:, None] ** 2 / 2 + sigma[:, None] * rng.normal(size=shape))
    is_gamma = np.array([s.family == "gamma" for s in net.spec.suppliers])[:, None]
    days: Ints = np.maximum(2, np.rint(np.where(is_gamma, gamma, lognormal))).astype(np.int64)
    return days


def _wait_days(net: Network, day: int) -> Ints:
    """[K] days until the supplier takes orders."""
    weekday = net.spec.date(day).isoweekday()
    waits = [min((int(w) - weekday) % 7 for w in s.order_weekdays) for s in net.spec.suppliers]
    return np.array(waits, dtype=np.int64)


def _promise(state: NetworkState, lines: Lines) -> None:
    """Dates and confirmed quantities of new lines."""
    net, day = state.net, state.day
    internal = lines["kind"] != SUPPLIER
    k = np.where(internal, 0, lines["src"] - net.sites)
    transit = 1 + (stream(net.seed, "transit", day).random((net.sites, net.sites)) < 0.08).astype(np.int64)
    transit += (net.serving[None, :] != np.arange(net.sites)[:, None]).astype(np.int64)
    wait = _wait_days(net, day)[k]
    arrive = day + wait + draw_lead_days(net, day)[k, lines["dst"]]
    arrive += np.where((arrive + net.spec.start_date.weekday()) % 7 == 6, 1, 0)
    quoted = np.array([s.quoted_days for s in net.spec.suppliers])[k]
    road = np.array([s.transit_days for s in net.spec.suppliers])[k]
    slow = stream(net.seed, "road", day).random((len(net.spec.suppliers), net.sites)) < CARRIER_LATE
    ship = np.maximum(day + 1, arrive - road - np.where(slow[k, lines["dst"]], 2, 0))
    inside = np.where(internal, lines["src"], 0)
    lines["need"] = np.where(internal, day + 1, day + wait + quoted)
    lines["promise"] = lines["need"].copy()
    lines["ship"] = np.where(internal, day, ship)
    lines["eta"] = np.where(internal, day + 1, ship + road)
    lines["arrive"] = np.where(internal, day + transit[inside, lines["dst"]], arrive)
    lines["invoice"] = np.where(internal, day, lines["ship"] + 1)
    rng = stream(net.seed, "confirm", day)
    cut = rng.random((len(net.spec.suppliers), net.items))[k, lines["item"]] > CONFIRM_FULL
    pack = net.pack[lines["item"]]
    fewer = (lines["qty"] * 3 // 4) // pack * pack
    lines["conf"] = np.where(cut & ~internal, fewer, lines["qty"])
    lines["arrive"] = np.where(lines["conf"] == 0, day, lines["arrive"])


def _surcharge(net: Network, lines: Lines) -> float:
    """Fixed costs of today's orders: each order's own, and a surcharge below the supplier's minimum."""
    costs, total = net.spec.costs, 0.0
    for group in lines.groups():
        if group["kind"][0] != SUPPLIER:
            total += costs.store_order_usd
            continue
        k = int(group["src"][0]) - net.sites
        value = float((net.unit_cost(k)[group["item"]] * group["qty"]).sum())
        total += costs.supplier_order_usd
        total += costs.small_order_usd if value < net.spec.suppliers[k].minimum_order_usd else 0.0
    return total


def _expedite(state: NetworkState, wanted: tuple[tuple[int, int], ...]) -> Lines:
    """Speed up open supplier lines; those already here or already fast enough stay as they are."""
    lines, day = state.lines, state.day
    latest = day + state.net.spec.costs.expedite_days
    pick = np.zeros(len(lines), dtype=np.bool_)
    for order, item in wanted:
        pick |= (lines["order"] == order) & (lines["item"] == item)
    pick &= (lines["kind"] == SUPPLIER) & (lines["arrive"] > latest) & (lines["conf"] > 0)
    lines["arrive"] = np.where(pick, latest, lines["arrive"])
    not_gone = pick & (lines["ship"] >= day)
    lines["ship"] = np.where(not_gone, day, lines["ship"])
    lines["invoice"] = np.where(not_gone, day + 1, lines["invoice"])
    lines["eta"] = np.where(pick, latest, lines["eta"])
    lines["expedited"] = np.where(pick, 1, lines["expedited"])
    return lines.where(pick)


def _ship_from_sites(state: NetworkState) -> Ints:
    """Ship today's orders between sites as far as stock goes, shared in proportion; the rest is cut."""
    net, lines = state.net, state.lines
    today = (lines["kind"] != SUPPLIER) & (lines["ship"] == state.day)
    if not today.any():
        return np.zeros_like(state.on_hand)
    src, item, asked = lines["src"][today], lines["item"][today], lines["qty"][today]
    wanted = _total(net, src, item, asked)[src, item]
    there = state.on_hand[src, item]
    sent = np.where(wanted <= there, asked, asked * there // np.maximum(wanted, 1))
    lines["shipq"][today], lines["recv"][today], lines["conf"][today] = sent, sent, sent
    lines["arrive"][today] = np.where(sent > 0, lines["arrive"][today], state.day)
    lines["ack"][today] = np.where(sent < asked, state.day, FAR)
    _number_shipments(state, today & (lines["shipq"] > 0))
    outbound = _total(net, src, item, sent)
    state.on_hand = state.on_hand - outbound
    return outbound


def _ship_from_suppliers(state: NetworkState) -> None:
    """Suppliers ship what they confirmed; now and then a case arrives damaged."""
    net, lines = state.net, state.lines
    today = (lines["kind"] == SUPPLIER) & (lines["ship"] == state.day) & (lines["conf"] > 0)
    lines["shipq"] = np.where(today, lines["conf"], lines["shipq"])
    hurt = stream(net.seed, "damage", state.day).random((net.sites, net.items)) < DAMAGED
    bad = np.where(hurt[lines["dst"], lines["item"]], np.minimum(2, lines["shipq"]), 0)
    lines["bad"] = np.where(today, bad, lines["bad"])
    lines["recv"] = np.where(today, lines["shipq"] - bad, lines["recv"])
    _number_shipments(state, today)


def _number_shipments(state: NetworkState, mask: np.typing.NDArray[np.bool_]) -> None:
    """One shipment number per order that leaves."""
    orders = state.lines["order"][mask]
    unique, inverse = np.unique(orders, return_inverse=True)
    if len(unique):
        state.lines["shipment"][mask] = state.take("shipment", len(unique)) + inverse


def _count(state: NetworkState) -> Ints:
    """Counted differences of the day: shrink, now and then something found; never below zero."""
    net = state.net
    rng = stream(net.seed, "count", state.day)
    draw = rng.random(state.on_hand.shape)
    amount = rng.integers(1, 4, state.on_hand.shape)
    lost = np.where(draw < 0.006, -np.minimum(amount, state.on_hand), 0)
    found = np.where((draw > 0.999) & (state.on_hand > 0), 1, 0)
    adjustments: Ints = (lost + found) * net.is_sold(state.day)
    return adjustments


def _observe(state: NetworkState, sales: Ints, received: Lines) -> None:
    """What the planner sees: sales, stock at close, lead times of what came in."""
    slot = state.day % len(state.seen_sales)
    state.seen_sales[slot] = sales
    state.seen_stock[slot] = state.on_hand > 0
    for group in received.groups():
        lane = int(group["src"][0]), int(group["dst"][0])
        error = float(state.day - group["day"][0]) - state.lead_mean[lane]
        state.lead_mean[lane] += 0.15 * error
        state.lead_var[lane] = 0.85 * (state.lead_var[lane] + 0.15 * error**2)


def _on_the_road(lines: Lines, day: int) -> Lines:
    """Supplier shipments between departure and arrival."""
    return lines.where(
        (lines["kind"] == SUPPLIER) & (lines["ship"] < day) & (lines["arrive"] > day) & (lines["shipq"] > 0)
    )


def _just_late(lines: Lines, day: int) -> Lines:
    """Supplier shipments whose announced arrival passes today without them."""
    return lines.where(
        (lines["kind"] == SUPPLIER) & (lines["shipq"] > 0) & (lines["eta"] == day) & (lines["arrive"] > day)
    )


def _costs(net: Network, closing: Ints, lost: Ints, placed: Lines, expedited: Lines, fixed: float) -> dict[str, float]:
    """Money of the day in USD."""
    costs = net.spec.costs
    freight = float(placed["qty"].sum()) * costs.freight_per_ea_usd
    speed = float(expedited["conf"].sum()) * costs.expedite_per_ea_usd + len(expedited) * costs.expedite_per_order_usd
    return {
        "holding_usd": float((closing * net.cost).sum()) * costs.holding_frac_per_day,
        "shortage_usd": float((lost * (net.price - net.cost)).sum()) * costs.shortage_margin_factor,
        "expedite_usd": speed,
        "ordering_usd": fixed + freight,
    }
