"""One chunk of items solved whole: stores, their centre, and everything faster than a regular order, on the same paths.

All sites of an item are solved together, so that a transfer, an expedited order and a purchase compete for one need. Chunks
are independent: an item alone gets the answer it gets among thousands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planning.cushion import Cushion, cushion
from planning.inputs import PlanSpec
from planning.projection import F32, F64, I64, Projection, packs_to_order, project, quantile_rank
from planning.sampling import (
    arrival_uniforms,
    basis,
    demand_paths,
    lead_time_scenarios,
    remaining_days,
    site_uniforms,
    stream,
)
from planning.unreported import WEEK, sold_since, spread_over_weeks, taken_from


@dataclass(slots=True)
class World:
    """Whole-night state shared by the chunks: knots of all series, lanes' scenarios, sites' uniforms.

    Attributes:
        spec: the specification.
        knots: (series, forecast day, 9) in book order; zero rows where there is no forecast.
        forecast_days: (series,) days forecast, 0 for none.
        periods: days looked ahead.
        lanes: lead-time quantiles by (source, site).
        orders: open order lines with `row` (book row), `lane`, `due_day`, `asked_day`, `p50`, `p90`, `qty`, sorted.
        expected: days that 95 of 100 orders of each lane take, and of the slowest, by which an order is judged as lost.
        weeks: sites that report whole weeks (`planning.unreported.week_ends`).
        unreported: (series, 7) days since the stock report of which no sales are known (`planning.unreported.unreported_days`).
        measured: (series,) whether an item is counted by weight or measure, so that its demand is not rounded to whole eaches; empty: none is.
        room: eaches that still fit at a site that states its storage, beside stock, orders and the moves chosen so far.
    """

    spec: PlanSpec
    knots: F32
    forecast_days: I64
    periods: int
    lanes: dict[tuple[str, str], tuple[float, ...]]
    orders: pl.DataFrame
    room: dict[str, float]
    expected: tuple[dict[tuple[str, str], float], float]
    weeks: dict[str, int]
    unreported: I64
    measured: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    _weights: dict[str, tuple[F32, F32]] = field(default_factory=dict)
    _leads: dict[tuple[str, str], I64] = field(default_factory=dict)

    def weights(self, site_id: str) -> tuple[F32, F32]:
        """Basis weights and rounding uniforms of a site, (scenario, period, 9) and (scenario, period).

        A site that reports weeks gets six periods more: what its last days sell is told at the end of their week.
        """
        if site_id not in self._weights:
            s = self.spec
            periods = self.periods + (WEEK - 1) * (site_id in self.weeks)
            u = site_uniforms(s.seed, site_id, s.scenarios, periods, s.day_correlation, s.site_correlation)
            v = stream(s.seed, "rounding", site_id).random((periods, s.scenarios)).T.astype(np.float32)
            self._weights[site_id] = (basis(u), v)
        return self._weights[site_id]

    def week_uniforms(self, site_id: str) -> F32:
        """Where in its week a unit of a site that reports weeks is sold, (scenario, period)."""
        periods = self.periods + WEEK - 1
        return stream(self.spec.seed, "weeks", site_id).random((periods, self.spec.scenarios)).T.astype(np.float32)

    def lead(self, source_id: str, site_id: str) -> I64:
        """Lead-time scenarios of a lane in days."""
        key = (source_id, site_id)
        if key not in self._leads:
            s = self.spec
            self._leads[key] = lead_time_scenarios(
                s.seed, f"{source_id}>{site_id}", self.lanes[key], s.scenarios, s.max_horizon_days
            )
        return self._leads[key]


@dataclass(slots=True)
class Chunk:
    """Arrays of the rows of a chunk, in book order. Shapes (n,), (n, S) or (n, S, T).

    Attributes:
        reported: stock as reported, less what is promised; `on_hand` also loses what is given away tonight.
        since: (n, S) what sold on days since that nobody reported; as far as it was there, `demand` holds it on its first day.
        store_orders: by row of a centre: the rows of its stores, its own demand, and what they order up to each day if nothing is lost.
        cushions: by row of a centre, once `lose_sales` was called: its stores.
    """

    rows: I64
    item: list[str]
    site: list[str]
    source: list[str | None]
    ok: NDArray[np.bool_]
    is_centre: NDArray[np.bool_]
    centre_row: I64
    on_hand: F64
    position: F64
    pack: F64
    minimum: F64
    alpha: F64
    shortage: F64
    worth: F64
    holding_day: F64
    review: F64
    fixed: F64
    freight: F64
    arrive: I64
    until: I64
    wait: I64
    demand: F32
    receipts: F32
    stock_known: NDArray[np.bool_]
    place: dict[tuple[str, str], int]
    reported: F64
    since: F32
    store_orders: dict[int, tuple[I64, F32, F32]] = field(default_factory=dict)
    cushions: dict[int, Cushion] = field(default_factory=dict)


def waiting_risk(chunk: Chunk, spec: PlanSpec) -> F64:
    """USD an each that waiting for the next order day lacks (n,): a centre's stores cushion what it lacks."""
    return chunk.shortage * np.where(chunk.is_centre, spec.centre_waiting_share_frac, 1.0)


def critical_ratio(
    spec: PlanSpec,
    shortage: F64,
    holding_day: F64,
    review: F64,
    is_centre: NDArray[np.bool_],
    classes: Sequence[str | None] = (),
) -> F64:
    """α = shortage / (shortage + holding over the review interval), within the limits of the specification.

    Args:
        classes: demand class of each row, for the ceiling of its class; none for all.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha = shortage / (shortage + holding_day * review)
    by_class = {c: spec.ceiling(c) for c in set(classes)}
    ceiling = np.array([by_class[c] for c in classes]) if len(classes) else np.full(shortage.size, spec.alpha_max)
    top = np.where(is_centre, min(spec.centre_alpha_max, spec.alpha_max), ceiling)
    return np.asarray(np.clip(np.nan_to_num(alpha, nan=0.5), spec.alpha_min, top))


def extend(days: I64, periods: int) -> I64:
    """Forecast day index per series and period: beyond the forecast the last week repeats. Shape (n, periods)."""
    t = np.arange(periods)[None, :]
    h = days[:, None]
    beyond = h - 7 + (t - h) % 7
    return np.asarray(np.where(t < h, t, np.maximum(beyond, 0)), dtype=np.int64)


def sample_demand(world: World, rows: I64, sites: list[str]) -> tuple[F32, F32]:
    """Demand paths (n, S, T) of the rows, and (n, S) what sold on days nobody reported; zero where there is no forecast."""
    out = np.zeros((len(rows), world.spec.scenarios, world.periods), dtype=np.float32)
    since = np.zeros(out.shape[:2], dtype=np.float32)
    days = world.forecast_days[rows]
    names = np.array(sites)
    for site in sorted(set(sites)):
        here = np.flatnonzero((names == site) & (days > 0))
        if here.size:
            weights, rounding = world.weights(site)
            index = np.minimum(extend(days[here], rounding.shape[1]), world.knots.shape[1] - 1)
            found = world.knots[rows[here][:, None], index]
            paths = demand_paths(found, weights, rounding)
            if world.measured.any():
                measured = world.measured[rows[here]]
                paths[measured] = demand_paths(found[measured], weights, None)
            behind = paths[:, :, :WEEK]
            if site in world.weeks:
                paths, behind = spread_over_weeks(paths, world.weeks[site], world.week_uniforms(site))
            out[here] = paths
            if (unreported := world.unreported[rows[here]]).any():
                since[here] = sold_since(unreported, behind)
    return out, since


def arrival_days(world: World, lines: pl.DataFrame, leads: I64, arrive: I64, same_lane: NDArray[np.bool_]) -> I64:
    """Day on which each open order line becomes sellable, (lines, S), from 1.

    With an arrival forecast: its median and 90 % point, at the lane's own uniforms. Else the expected, promised or requested
    day moved by how much the lane is late in that scenario; where none is stated, or it is past, what the lane's longer lead times
    leave after the days waited. An order never arrives after a new one from the same source would: lateness is a reason to
    expedite, not to order twice. What was asked for a later day than the lane takes is not late: it comes on that day at the
    earliest, whatever a new order would do.
    """
    scenarios = world.spec.scenarios
    uniforms = np.stack(
        [arrival_uniforms(world.spec.seed, lane, scenarios) for lane in lines["lane"]]
    ) if lines.height else np.zeros((0, scenarios))  # fmt: skip
    p50, p90 = lines["p50"].to_numpy(), lines["p90"].to_numpy()
    forecast = np.isfinite(p50) & np.isfinite(p90)
    timed = remaining_days(np.nan_to_num(p50), np.nan_to_num(p90), uniforms)
    median = np.median(leads, axis=1, keepdims=True)
    due = lines["due_day"].to_numpy()
    ordered = lines["order_day"].to_numpy()
    stated = np.where((due >= 1)[:, None], np.nan_to_num(due)[:, None] + leads - median, days_left(leads, -ordered))
    day = np.where(forecast[:, None], timed, stated) + world.spec.receipt_to_shelf_days
    asked = lines["asked_day"].to_numpy()
    planned = asked - ordered > np.quantile(leads, 0.95, axis=1) if lines.height else np.zeros(0, dtype=bool)
    earliest = (
        np.where(planned, np.fmin(asked, due), 1.0)[:, None]
        + np.where(planned, world.spec.receipt_to_shelf_days, 0)[:, None]
    )
    day = np.maximum(np.rint(day), np.maximum(earliest, 1))
    day = np.where(same_lane[:, None], np.minimum(day, np.maximum(arrive, earliest)), day)
    return np.asarray(day, dtype=np.int64)


def days_left(leads: I64, waited: F64) -> F64:
    """Days to go (lines, scenario) of orders waited for so long: the lead times of their lane that are longer, in the lane's own order.

    What has waited longer than any of them takes as long as a new order would: nobody knows better.

    Args:
        leads: (lines, scenario) lead times of the lane; waited: (lines,) days since it was ordered.

    >>> days_left(np.array([[2, 8, 4, 6]]), np.array([3.0])).tolist()
    [[1.0, 5.0, 1.0, 3.0]]
    """
    count = leads.shape[1]
    ordered = np.sort(leads, axis=1)
    rank = np.argsort(np.argsort(leads, axis=1, kind="stable"), axis=1)
    first = (ordered <= waited[:, None]).sum(axis=1, keepdims=True)
    place = np.minimum(first + rank * (count - first) // count, count - 1)
    left = np.take_along_axis(ordered, place, axis=1) - waited[:, None]
    return np.asarray(np.where(first < count, left, leads + 1), dtype=np.float64)


def receipts_of(shape: tuple[int, int, int], row: I64, day: I64, quantity: F64) -> F32:
    """Receipts (n, S, T) of order lines: row (lines,), day (lines, S), quantity (lines,). Later than T falls outside."""
    n, scenarios, periods = shape
    flat = (row[:, None] * scenarios + np.arange(scenarios)[None]) * periods + day - 1
    inside = day <= periods
    weights = np.broadcast_to(quantity[:, None], day.shape)[inside]
    return (
        np.bincount(flat[inside], weights=weights, minlength=n * scenarios * periods).reshape(shape).astype(np.float32)
    )


def build_chunk(world: World, book: pl.DataFrame, rows: I64) -> tuple[Chunk, dict[str, Any]]:
    """Arrays of the chunk, with paths, receipts and the centre's demand from its stores."""
    spec = world.spec
    part = book[rows.tolist()]
    site, source = part["site_id"].to_list(), part["source_id"].to_list()
    item = part["item_id"].to_list()
    ok = part["missing"].is_null().to_numpy()
    is_centre = part["serves"].to_numpy()
    place = {key: i for i, key in enumerate(zip(item, site, strict=True))}
    served = part["is_served_by_site"].to_list()
    centre_row = np.array(
        [place.get((a, b), -1) if s else -1 for a, b, s in zip(item, source, served, strict=True)], dtype=np.int64
    )
    number = {
        c: part[c].cast(pl.Float64).to_numpy().copy()
        for c in (
            "on_hand_qty_ea", "on_order_qty_ea", "allocated_qty_ea", "pack_ea", "minimum_order_ea", "unit_cost_usd",
            "unit_price_usd", "order_day", "next_order_day", "cycle_days", "cost_per_order_usd", "cost_per_ea_usd",
        )
    }  # fmt: skip
    leads = np.ones((len(rows), spec.scenarios), dtype=np.int64)
    for i, (a, b) in enumerate(zip(source, site, strict=True)):
        if a is not None and (a, b) in world.lanes:
            leads[i] = world.lead(a, b)
    arrive = number["order_day"].astype(np.int64)[:, None] + leads + spec.receipt_to_shelf_days
    # the longest lead times in the tail count as long as we look ahead, so that the days to cover stay whole
    arrive = np.minimum(arrive, spec.max_horizon_days + 1 - number["cycle_days"].astype(np.int64)[:, None])
    wait = arrive + (number["next_order_day"] - number["order_day"]).astype(np.int64)[:, None]
    until = arrive + number["cycle_days"].astype(np.int64)[:, None]
    demand, since = sample_demand(world, rows, site)
    for i, left in enumerate(part["selling_days"]):
        if left is not None:
            demand[i, :, max(left, 0) :] = 0.0  # nothing is sold after the last selling day
    local = {int(r): i for i, r in enumerate(rows)}
    lines = world.orders.filter(pl.col("row").is_in(rows.tolist()))
    where = np.array([local[r] for r in lines["row"]], dtype=np.int64)
    same = np.array([lines["source_id"][k] in (None, source[i]) for k, i in enumerate(where)], dtype=bool)
    line_leads = np.stack(
        [
            world.lead(s, t) if (s, t) in world.lanes else leads[i]
            for s, t, i in zip(lines["source_id"], lines["site_id"], where, strict=True)
        ]
    ) if lines.height else np.zeros((0, spec.scenarios), dtype=np.int64)  # fmt: skip
    days = arrival_days(world, lines, line_leads, arrive[where], same)
    receipts = receipts_of(demand.shape, where, days, lines["qty"].to_numpy())
    holding_day = spec.holding_rate_frac_per_year * number["unit_cost_usd"] / 365
    shortage = (number["unit_price_usd"] - number["unit_cost_usd"]) * spec.shortage_factor
    review = number["cycle_days"]
    free = np.nan_to_num(number["on_hand_qty_ea"]) - number["allocated_qty_ea"]
    gone = taken_from(free, since)
    demand[:, :, 0] += gone  # before anything that comes tomorrow: never more than was there
    chunk = Chunk(
        rows=rows, item=item, site=site, source=source, ok=ok, is_centre=is_centre, centre_row=centre_row,
        on_hand=free, position=free + number["on_order_qty_ea"], pack=np.maximum(np.nan_to_num(number["pack_ea"], nan=1.0), 1.0),
        minimum=np.nan_to_num(number["minimum_order_ea"]), alpha=critical_ratio(spec, shortage, holding_day, review, is_centre, part["demand_class"].to_list()),
        shortage=np.nan_to_num(shortage), worth=np.nan_to_num(shortage) * np.where(is_centre, spec.centre_shortage_share_frac, 1.0), holding_day=np.nan_to_num(holding_day), review=review,
        fixed=number["cost_per_order_usd"], freight=number["cost_per_ea_usd"], arrive=arrive, until=until, wait=wait,
        demand=demand, receipts=receipts, stock_known=part["stock_known"].to_numpy(), place=place, reported=free.copy(), since=since,
    )  # fmt: skip
    add_store_orders(chunk)
    return chunk, {"lines": lines, "where": where, "days": days}


def add_store_orders(chunk: Chunk) -> None:
    """Add to each centre's demand what its stores will order: their demand, after topping up to their own level.

    A store's orders up to day t are (demand up to t + its order-up-to level − its position)⁺, scenario by scenario. A store
    that cannot be decided is assumed to order what it sells.
    """
    stores = np.flatnonzero((chunk.centre_row >= 0) & ~chunk.is_centre)
    if not stores.size:
        return
    total = np.cumsum(chunk.demand[stores], axis=2)
    periods = total.shape[2]
    last = np.clip(chunk.until[stores] - 2, 0, periods - 1)
    level = quantile_rank(np.take_along_axis(total, last[:, :, None], axis=2)[:, :, 0], chunk.alpha[stores])
    top_up = np.where(chunk.ok[stores], level - chunk.position[stores], 0.0).astype(np.float32)
    ordered = np.maximum(total + top_up[:, None, None], 0)
    for c in np.unique(chunk.centre_row[stores]).tolist():
        here = chunk.centre_row[stores] == c
        orders = ordered[here].sum(axis=0)
        chunk.store_orders[c] = (stores[here], chunk.demand[c].copy(), orders)
        chunk.demand[c] += np.diff(orders, axis=1, prepend=np.float32(0))


def lose_sales(chunk: Chunk) -> None:
    """Take out of each centre's demand what its stores lose before its order of tonight could help: nobody orders that again.

    Called once all faster ways are chosen: what they can still save is not lost before.
    """
    for c, (stores, own, orders) in chunk.store_orders.items():
        if chunk.ok[c]:
            chunk.cushions[c] = cushion(
                own, orders, chunk.demand[stores], chunk.receipts[stores], chunk.on_hand[stores],
                chunk.arrive[stores].min(axis=0) - 1, chunk.arrive[c],
            )  # fmt: skip
            received = chunk.cushions[c].received(chunk.receipts[c])
            chunk.demand[c] = chunk.cushions[c].demand(float(chunk.on_hand[c]), received)


def demand_with(chunk: Chunk, rows: I64, stock: F64, received: Mapping[int, F32]) -> F32:
    """Demand of some rows (n, S, T) if they had this stock: what the stores of a centre lose depends on what it has and gets, and what sold
    unreported on what there was.

    Args:
        chunk: with its cushions.
        rows: rows of the chunk.
        stock: (n,) stock of each.
        received: by row of a centre, from `Cushion.received`.
    """
    demand = chunk.demand[rows]
    for k in np.flatnonzero(np.isin(rows, list(chunk.cushions))).tolist():
        centre = int(rows[k])
        demand[k] = chunk.cushions[centre].demand(float(stock[k]), received[centre])
    since, reported = chunk.since[rows], chunk.reported[rows]
    if since.any():
        instead = reported + stock - chunk.on_hand[rows]
        demand[:, :, 0] += taken_from(instead, since) - taken_from(reported, since)
    return demand


def solve(chunk: Chunk, on_hand: F64 | None = None) -> tuple[Projection, F64]:
    """Projection and packs to order of every row, unconstrained by anyone else."""
    stock = chunk.on_hand if on_hand is None else on_hand
    seen = project(stock, chunk.demand, chunk.receipts, chunk.arrive, chunk.until, ~chunk.is_centre, chunk.wait)
    packs = packs_to_order(seen.need, chunk.alpha, chunk.pack, chunk.minimum)
    return seen, np.where(chunk.ok, packs, 0.0)


def ration(chunk: Chunk, seen: Projection, packs: F64) -> tuple[F64, F64, F64]:
    """Share a centre's stock, and what it most likely receives in the morning, among its stores by marginal value of each pack.

    Returns:
        (packs granted, stock the centre had or NaN where it did not bind, eaches it has left for a further order), all (n,).
    """
    granted, had, left = packs.copy(), np.full(len(packs), np.nan), np.full(len(packs), np.inf)
    for c in np.unique(chunk.centre_row[chunk.centre_row >= 0]):
        stores = np.flatnonzero((chunk.centre_row == c) & (packs > 0))
        # what most likely comes in on the day the stores' orders are picked can go out that day
        today = float(np.median(chunk.receipts[c, :, 0]))
        stock = max(chunk.on_hand[c], 0.0) + today
        wanted = (packs[stores] * chunk.pack[stores]).sum()
        left[chunk.centre_row == c] = max(stock - wanted, 0.0) if chunk.stock_known[c] else np.inf
        if not chunk.stock_known[c] or wanted <= stock + 1e-9:
            continue
        offers = []
        for i in stores:
            p = chunk.pack[i]
            starts = np.arange(int(packs[i])) * p
            use = np.clip(seen.need[i][None, :] - starts[:, None], 0, p).mean(axis=1) / p * chunk.shortage[i]
            offers += [(-float(v), chunk.site[i], k, i) for k, v in enumerate(use)]
        granted[stores] = 0
        had[stores] = stock
        for _, _, k, i in sorted(offers):
            if k == granted[i] and chunk.pack[i] <= stock + 1e-9:
                granted[i] += 1
                stock -= chunk.pack[i]
    return granted, had, left
