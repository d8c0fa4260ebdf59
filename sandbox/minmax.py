"""The opponent: a competent planner with a min and a max per item and site.

Min covers the lead time and the review gap with a normal safety stock from trailing demand (days without stock left
out) and trailing lead times; max adds some days of cover and at least a pack. Recomputed every week; lifted while a
promotion runs in the exposed days. It sees true stock at close and all open orders.
"""

from __future__ import annotations

import numpy as np

from sandbox.calendar import campaigns_running
from sandbox.draws import Floats, Ints
from sandbox.network import Network
from sandbox.orders import OrderBatch, merge_orders
from sandbox.spec import PolicySpec
from sandbox.state import NetworkState

LEAD_STORE_DAYS = 2.0


def _trailing(state: NetworkState) -> tuple[Floats, Floats]:
    """[S, I] mean and variance of daily demand as the planner sees it; the merchant's guess until 14 days were seen."""
    net = state.net
    days_seen = min(state.day, len(state.seen_sales))
    sold_days = np.minimum(np.maximum(state.day - net.introduced, 0), days_seen)
    age_mask = np.zeros((len(state.seen_sales), 1, net.items), dtype=np.bool_)
    slots = (state.day - 1 - np.arange(days_seen)) % len(state.seen_sales)
    for back, slot in enumerate(slots.tolist()):
        age_mask[slot, 0] = sold_days > back
    seen = (state.seen_stock | (state.seen_sales > 0)) & age_mask
    count = seen.sum(axis=0)
    mean = np.where(seen, state.seen_sales, 0).sum(axis=0) / np.maximum(count, 1)
    square = np.where(seen, state.seen_sales.astype(np.float64) ** 2, 0).sum(axis=0) / np.maximum(count, 1)
    guess = net.planned
    known = count >= 14
    return np.where(known, mean, guess), np.where(known, np.maximum(square - mean**2, mean * 0.5), guess * 2 + 0.05)


def _pool(net: Network, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Demand on a centre is the sum over the stores it serves."""
    for centre in range(net.centres):
        served = net.serving == centre
        mean[centre], variance[centre] = mean[served].sum(axis=0), variance[served].sum(axis=0)
    return mean, variance


def recompute(state: NetworkState, policy: PolicySpec) -> None:
    """Set `state.low` and `state.high` from what was seen so far."""
    net = state.net
    mean, variance = _pool(net, *_trailing(state))
    source = np.where(np.arange(net.sites) < net.centres, 0, net.serving)
    lead = np.zeros((net.sites, net.items))
    lead_var = np.zeros((net.sites, net.items))
    gap = np.ones((net.sites, net.items))
    weekdays = np.array([7 / len(s.order_weekdays) for s in net.spec.suppliers])
    for site in range(net.sites):
        if site < net.centres:
            party = net.sites + net.supplier
            lead[site], lead_var[site] = state.lead_mean[party, site], state.lead_var[party, site]
            gap[site] = weekdays[net.supplier]
        else:
            lead[site], lead_var[site] = state.lead_mean[source[site], site], state.lead_var[source[site], site]
    is_centre = (np.arange(net.sites) < net.centres)[:, None]
    z = np.where(is_centre, policy.dc_z, policy.store_z)
    cover = np.where(is_centre, policy.dc_cover_days, policy.store_cover_days)
    exposed = lead + gap
    lift = 1 + (policy.promo_factor - 1) * _promoted_frac(state, exposed)
    safety = z * np.sqrt(exposed * variance + mean**2 * lead_var)
    sold = (net.introduced <= state.day + 10) & (net.discontinued > state.day + 7)
    low = np.ceil(mean * exposed * lift + safety)
    high = np.ceil(low + np.maximum(mean * lift * cover, 1.0))
    state.low, state.high = (low * sold).astype(np.int64), (high * sold).astype(np.int64)


def _promoted_frac(state: NetworkState, exposed: Floats) -> Floats:
    """[S, I] share of the exposed days on which a promotion runs."""
    net, day = state.net, state.day
    out = np.zeros((net.sites, net.items))
    horizon = np.maximum(exposed, 1.0)
    for c in campaigns_running(net, day, day + int(np.ceil(float(exposed.max())))):
        overlap = np.maximum(0.0, np.minimum(day + horizon, c.end) - max(day, c.start)) / horizon
        mask = np.zeros((net.sites, net.items), dtype=np.bool_)
        mask[np.ix_(net.serving == c.centre, np.array(c.items))] = True
        mask[c.centre, list(c.items)] = True
        out = np.where(mask, np.maximum(out, overlap), out)
    return out


def position(state: NetworkState) -> Ints:
    """[S, I] on hand plus what is still to come."""
    lines = state.lines
    coming = (lines["arrive"] >= state.day) & (lines["conf"] > 0)
    out = state.on_hand.copy()
    np.add.at(out, (lines["dst"][coming], lines["item"][coming]), lines["conf"][coming])
    return out


def minmax_orders(state: NetworkState, policy: PolicySpec) -> OrderBatch:
    """Orders of this morning: up to max where the position is at or below min."""
    net, day = state.net, state.day
    if day % policy.review_days == 0 or not state.high.any():
        recompute(state, policy)
    need = np.where(position(state) <= state.low, state.high - position(state), 0)
    weekday = str(net.spec.date(day).isoweekday())
    open_now = np.array([weekday in s.order_weekdays for s in net.spec.suppliers])
    need[: net.centres, ~open_now[net.supplier]] = 0
    pack = np.broadcast_to(net.pack, need.shape)
    need = -(-np.maximum(need, 0) // pack) * pack
    _hold_small_orders(net, need)
    dst, item = np.nonzero(need)
    src = np.where(dst < net.centres, net.sites + net.supplier[item], net.serving[dst])
    return merge_orders(net, item, src, dst, need[dst, item])


def _hold_small_orders(net: Network, need: Ints) -> None:
    """An order below the supplier's minimum is filled up with packs of what is needed most often, as planners do."""
    for centre in range(net.centres):
        for k, supplier in enumerate(net.spec.suppliers):
            mine = np.flatnonzero((net.supplier == k) & (need[centre] > 0))
            if not len(mine):
                continue
            missing = supplier.minimum_order_usd - float((need[centre, mine] * net.unit_cost(k)[mine]).sum())
            if missing > 0:
                best = mine[np.argmax(net.planned[centre, mine])]
                case = float(net.pack[best] * net.unit_cost(k)[best])
                need[centre, best] += int(np.ceil(missing / case)) * int(net.pack[best])
