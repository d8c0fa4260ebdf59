"""The smallest change of stock that turns an order into none, or none into an order, found by deciding again.

A line is decided together with its lane: whether the order goes out tonight depends on what all its lines risk by waiting. So the
search asks at every trial what the lane would do with this line changed and the others as they are. Where another limit that
several lines share could answer first (a centre out of stock, a full truck or store, a minimum value, the day's cap, a faster way),
no change is stated rather than one that might not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planning.groups import Line
from planning.inputs import PlanSpec
from planning.night import Chunk, demand_with, waiting_risk
from planning.options import Offer, Routes, spare_of
from planning.projection import F64, I64, order_value, packs_to_order, project


@dataclass(frozen=True, slots=True)
class Trial:
    """What is decided for some rows with other stock: whether and how much is ordered (eaches), units lost before it arrives."""

    ordered: NDArray[np.bool_]
    quantity: F64
    lost: F64


def settle_flips(
    chunk: Chunk, lines: Sequence[Line], offers: Sequence[Offer], routes: Routes, book: pl.DataFrame, spec: PlanSpec
) -> None:
    """Write into every line the change of stock on hand (eaches, signed) that flips it; NaN where none is found or none can be told.

    Args:
        chunk: the rows of the lines in their order, with what was chosen beside them on the way.
        offers: what was chosen beside the lines, by row of the chunk.
        routes: faster ways, which less stock could call for.
    """
    touched = {o.row for o in offers} | {o.donor for o in offers}
    rows = np.array([i for i, line in enumerate(lines) if i not in touched and _settled(line)], dtype=np.int64)
    if not rows.size:
        return
    search = _Search(chunk, [lines[i] for i in rows], rows, book[chunk.rows[rows].tolist()], spec)
    change, at = search.smallest()
    wanted_by_others = _wanted_by_others(chunk, lines, offers, routes, spec)
    for k, i in enumerate(rows.tolist()):
        if change[k] > 0 and spare_of(chunk, i, float(change[k])) * wanted_by_others.get(i, 0.0) > spec.min_gain_usd:
            continue  # with more stock it may give some of it away, and order all the same
        if np.isfinite(change[k]) and _holds(lines[i], chunk, i, float(change[k]), at, k, routes, spec):
            lines[i].flip = float(change[k])


def _wanted_by_others(
    chunk: Chunk, lines: Sequence[Line], offers: Sequence[Offer], routes: Routes, spec: PlanSpec
) -> dict[int, float]:
    """Rows that could give to a site in need of the same item, had they more, and what a unit is worth there at most (USD)."""
    needy = {offer.row for offer in offers}
    for i, line in enumerate(lines):
        if line.late or line.stats["lost_before_ea"] * chunk.worth[i] > spec.min_gain_usd:
            needy.add(i)
    found: dict[int, float] = {}
    for i in sorted(needy):
        for origin, _, _ in routes.moves.get(chunk.site[i], ()):
            giver = chunk.place.get((chunk.item[i], origin), -1)
            found[giver] = max(found.get(giver, 0.0), float(chunk.worth[i]))
    return found


def _settled(line: Line) -> bool:
    """Whether the line was decided by its own need and its lane's release, with no other limit at work."""
    rest = line.rest
    if rest is None or line.limit or line.shared or (line.packs > 0) != (line.wanted > 0):
        return False
    return rest.truck >= 0 and rest.room >= 0 and not (rest.least > 0 and rest.value < rest.least - 1e-6)


def _holds(line: Line, chunk: Chunk, i: int, change: float, at: Trial, k: int, routes: Routes, spec: PlanSpec) -> bool:
    """Whether nothing else would answer first at the stock that flips the line."""
    assert line.rest is not None
    if change > 0:
        return change <= line.rest.room
    faster = (
        chunk.site[i] in routes.moves
        or any(site == chunk.site[i] for _, site in routes.expedite)
        or any(s[0] != chunk.source[i] for s in routes.suppliers.get((chunk.item[i], chunk.site[i]), ()))
    )
    if faster and at.lost[k] * chunk.worth[i] > spec.min_gain_usd:
        return False
    return bool(at.quantity[k] <= min(line.left, line.rest.truck, line.rest.room))


class _Search:
    """Bisection over the stock of several rows at once, each with its lane as it is."""

    def __init__(self, chunk: Chunk, lines: list[Line], rows: I64, facts: pl.DataFrame, spec: PlanSpec) -> None:
        self.chunk, self.rows, self.spec = chunk, rows, spec
        rests = [line.rest for line in lines]
        self.rest = {
            name: np.array([getattr(rest, name) for rest in rests]) for name in ("always", "waiting", "deferred")
        }
        self.ordered = np.array([line.packs > 0 for line in lines])
        self.daily = facts["daily_qty_ea_mean"].to_numpy()
        self.keeps = facts["shelf_life_days"].cast(pl.Float64).fill_null(np.inf).to_numpy()
        self.review = (facts["next_order_day"] - facts["order_day"]).to_numpy()
        self.risk = waiting_risk(chunk, spec)[rows]
        self.received = {c: held.received(chunk.receipts[c]) for c, held in chunk.cushions.items()}

    def decide(self, pick: I64, stock: F64) -> tuple[Trial, Any]:
        """Decide these rows again with this stock on hand."""
        c, i = self.chunk, self.rows[pick]
        demand = demand_with(c, i, stock, self.received)
        seen = project(
            stock, demand, c.receipts[i], c.arrive[i], c.until[i], ~c.is_centre[i], c.wait[i]
        )  # fmt: skip
        packs = packs_to_order(seen.need, c.alpha[i], c.pack[i], c.minimum[i])
        with np.errstate(invalid="ignore"):
            sells = self.daily[pick] * self.keeps[pick] - seen.stock_at_arrival.mean(axis=1, dtype=np.float64)
        fits = np.floor(np.maximum(np.nan_to_num(sells, posinf=np.inf), 0.0) / c.pack[i] + 1e-9)
        packs = np.minimum(packs, fits)
        quantity = np.where(packs * c.pack[i] >= c.minimum[i] - 1e-9, packs, 0.0) * c.pack[i]
        nothing = np.zeros_like(quantity)
        saving, _, _ = order_value(seen.need, quantity, c.shortage[i], c.holding_day[i] * c.review[i], nothing)
        waiting, _, _ = order_value(seen.need_wait, quantity, self.risk[pick], nothing, nothing)
        deferred = self.rest["deferred"][pick] + quantity * c.holding_day[i] * self.review[pick]
        released = self.rest["always"][pick] | (self.rest["waiting"][pick] + waiting > deferred)
        ordered = (quantity > 0) & released & (saving >= self.spec.min_line_gain_usd)
        return Trial(ordered, quantity, seen.lost_before.mean(axis=1, dtype=np.float64)), seen

    def smallest(self) -> tuple[F64, Trial]:
        """Signed change per row, NaN where none flips it, and what is decided there."""
        everything = np.arange(self.rows.size)
        stock = self.chunk.on_hand[self.rows]
        _, seen = self.decide(everything, stock)
        # an order goes away once the stock covers the worst scenario; searching further is of no use
        worst = np.maximum(seen.need.max(axis=1), 0) + self.chunk.demand[self.rows].sum(axis=2).max(axis=1)
        high = np.where(self.ordered, np.ceil(worst), np.floor(np.maximum(stock, 0)))
        low, sign = np.zeros_like(high), np.where(self.ordered, 1.0, -1.0)
        flipped = (self.decide(everything, stock + sign * high)[0].ordered != self.ordered) & (high > 0)
        while (open_ := np.flatnonzero(flipped & (high - low > 1))).size:
            middle = np.floor((low[open_] + high[open_]) / 2)
            turned = self.decide(open_, stock[open_] + sign[open_] * middle)[0].ordered != self.ordered[open_]
            high[open_], low[open_] = np.where(turned, middle, high[open_]), np.where(turned, low[open_], middle)
        at, _ = self.decide(everything, stock + sign * high)
        return np.where(flipped, sign * high, np.nan), at
