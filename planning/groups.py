"""What only many lines together can decide: one order per source and site, its minimum value and fixed cost, truck, room, daily cap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from planning.inputs import PlanSpec
from planning.limits import Limit, fit_limits
from planning.network import TRUCKS
from planning.options import Offer
from planning.projection import F32
from planning.rationale import words


@dataclass(slots=True)
class Line:
    """One item × site after its own solution. Money in USD, quantities in packs unless said otherwise.

    Attributes:
        row: row of the book.
        packs: packs to order; wanted: before the centre's stock was shared.
        saving: expected cost avoided against doing nothing; waiting: expected cost of waiting one review.
        had: eaches the centre had for all, NaN where it did not bind.
        flip: change of on-hand stock that flips the decision, NaN for none.
        late: number of the open order likeliest to be late, and its probability, where that reaches the threshold.
        limit: the constraint that changed the line, in words.
    """

    row: int
    packs: float
    wanted: float
    pack: float
    saving: float
    waiting: float
    confidence: float
    had: float
    flip: float
    one_pack: float
    holding_day: float
    shortage: float
    held: float
    order_day: int
    stats: dict[str, float]
    need: F32 | None
    rejected: list[Offer] = field(default_factory=list)
    late: tuple[str, float] | None = None
    limit: str = ""
    limits: dict[str, Any] = field(default_factory=dict)

    def revalue(self) -> None:
        """Saving, its probability and units saved for the packs now ordered."""
        if self.need is None:
            return
        quantity = self.packs * self.pack
        saved = np.minimum(np.maximum(self.need, 0), quantity)
        gain = saved * self.shortage - (quantity - saved) * self.held
        self.saving, self.confidence = float(gain.mean()), float((gain > 0).mean())
        self.stats["units_saved_ea"] = float(saved.mean())

    def drop(self, reason: str, **figures: float) -> None:
        """Order nothing, for this reason."""
        self.packs, self.limit = 0.0, reason
        self.limits.update(figures)
        self.revalue()


def decide_groups(lines: list[Line], book: pl.DataFrame, spec: PlanSpec) -> None:
    """Apply shelf life, minimum order values with fixed costs, trucks, storage and the daily cap, in that order; lines change in place."""
    columns = ["source_id", "site_id", "minimum_order_usd", "cost_per_order_usd", "cycle_days", "unit_cost_usd",
               "storage_capacity_ea", "order_day", "next_order_day", "daily_qty_ea_mean", "item_id", "shelf_life_days",
               "minimum_order_ea", *(f"truck_capacity_{m}" for m in TRUCKS), *filter(None, TRUCKS.values())]  # fmt: skip
    facts = book.select(columns).to_dict(as_series=False)
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        _fit_shelf(line, facts)
        if line.need is not None:
            groups.setdefault((facts["source_id"][line.row], facts["site_id"][line.row]), []).append(line)
    for key in sorted(groups):
        _release(groups[key], facts, spec.order_cost_share_frac)
        _fit_truck([line for line in groups[key] if line.packs > 0], facts)
    by_site: dict[str, list[Line]] = {}
    for line in lines:
        if line.limits.get("minimum_order_usd") is not None:
            _fit_shelf(line, facts)  # what was filled up must be sold in time as well
        by_site.setdefault(facts["site_id"][line.row], []).append(line)
    position = (book["on_hand_qty_ea"].fill_null(0.0) + book["on_order_qty_ea"]).to_list()
    for site in sorted(by_site):
        _fit_room(by_site[site], facts, position)
    _cap(lines, spec)


def _fit_shelf(line: Line, facts: dict[str, list[Any]]) -> None:
    """Cut an order to what is expected to sell before it spoils, stock that is sold before it counted."""
    days, daily = facts["shelf_life_days"][line.row], facts["daily_qty_ea_mean"][line.row]
    if days is None or line.packs == 0 or line.need is None:
        return
    sells = max(daily * days - line.stats["stock_at_arrival_ea"], 0.0)
    fits = min(line.packs, float(np.floor(sells / line.pack + 1e-9)))
    if fits == line.packs:
        return
    fits = fits if fits * line.pack >= (facts["minimum_order_ea"][line.row] or 0.0) else 0.0
    text = f"it keeps {days} days, in which {words(sells)} more are expected to sell"
    figures = {"shelf_life_days": float(days), "sells_in_shelf_life_ea": sells, "wanted_ea": line.packs * line.pack}
    if fits == 0:
        line.drop(text, **figures)
    else:
        line.packs, line.limit = fits, text[0].upper() + text[1:]
        line.limits.update(figures)
        line.revalue()


def _release(group: list[Line], facts: dict[str, list[Any]], share: float) -> None:
    """Release a group's order when waiting costs more than it saves, topped up to the supplier's minimum value if that pays."""
    live = [line for line in group if line.packs > 0]
    if not live:
        return
    row = live[0].row
    source, least = facts["source_id"][row], facts["minimum_order_usd"][row] or 0.0
    fixed, cycle = facts["cost_per_order_usd"][row] * share, facts["cycle_days"][row]
    review = facts["next_order_day"][row] - facts["order_day"][row]
    waiting = sum(line.waiting for line in live)
    deferred = fixed * review / cycle + sum(line.packs * line.pack * line.holding_day for line in live) * review
    value = sum(line.packs * line.pack * facts["unit_cost_usd"][line.row] for line in live)
    if waiting <= deferred and cycle > review:
        for line in live:
            line.drop(
                f"waiting for the next order day of {source} risks {words(waiting)} USD and saves {words(deferred)} USD",
                waiting_risk_usd=waiting, waiting_saves_usd=deferred,
            )  # fmt: skip
        return
    if value < least:
        added = _top_up(group, facts, least - value)
        if waiting <= deferred + added:
            for line in group:
                if line.packs > 0:
                    line.drop(
                        f"the order from {source} would be worth {words(value)} USD, its minimum is {words(least)} USD; filling it up costs "
                        f"{words(added)} USD in holding, waiting risks only {words(waiting)} USD",
                        group_value_usd=value, minimum_order_usd=least, filling_up_usd=added, waiting_risk_usd=waiting,
                    )  # fmt: skip
            return
        for line in group:
            if line.limits.pop("topped_up", None):
                line.limit = f"Filled up to reach the minimum of {words(least)} USD of {source}"
                line.limits["minimum_order_usd"] = least


def _top_up(group: list[Line], facts: dict[str, list[Any]], missing: float) -> float:
    """Add packs where the stock would last shortest until `missing` USD are reached; returns the holding cost of the added units."""
    cover = []
    for line in group:
        daily = facts["daily_qty_ea_mean"][line.row]
        if daily > 0:
            left = line.packs * line.pack - float(np.mean(line.need if line.need is not None else 0.0))
            cover.append([left / daily, line.row, line])
    cost = 0.0
    while missing > 1e-9 and cover:
        cover.sort(key=lambda c: (c[0], c[1]))
        days, _, line = cover[0]
        daily = facts["daily_qty_ea_mean"][line.row]
        cost += line.pack * line.holding_day * max(days + line.pack / daily / 2, 0.0)
        line.packs += 1
        line.limits["topped_up"] = True
        cover[0][0] = days + line.pack / daily
        missing -= line.pack * facts["unit_cost_usd"][line.row]
    for line in group:
        if line.limits.get("topped_up"):
            line.revalue()
    return cost


def _truck_limits(lines: list[Line], facts: dict[str, list[Any]]) -> list[Limit]:
    """What the truck of these lines' lane holds, by measure; empty where nothing is stated."""
    row, one, out = lines[0].row, np.zeros(len(lines), dtype=np.int64), []
    for measure, column in TRUCKS.items():
        room = facts[f"truck_capacity_{measure}"][row]
        if room is not None:
            each = np.array([1.0 if column is None else facts[column][line.row] for line in lines])
            out.append(Limit("truck", measure, one, ("",), each, np.array([room])))
    return out


def _fit_truck(lines: list[Line], facts: dict[str, list[Any]]) -> None:
    """Load the truck of one lane with the packs worth most for the room they take; what stays waits for the next order day."""
    limits = _truck_limits(lines, facts) if lines else []
    wanted = np.array([line.packs * line.pack for line in lines])
    over = [limit for limit in limits if limit.taken(wanted)[0] > limit.room[0] + 1e-9]
    if not over:
        return
    need = np.stack([line.need for line in lines if line.need is not None])
    shortage, held, pack = (np.array([getattr(x, name) for x in lines]) for name in ("shortage", "held", "pack"))
    least = np.array([facts["minimum_order_ea"][line.row] or 0.0 for line in lines])
    granted, _ = fit_limits(wanted, need, np.zeros_like(wanted), shortage, held, pack, least, limits)
    source, site = facts["source_id"][lines[0].row], facts["site_id"][lines[0].row]
    full = " and ".join(
        f"{words(float(x.room[0]))} {x.measure} and {words(float(x.taken(wanted)[0]))} are wanted" for x in over
    )
    figures = {f"truck_capacity_{x.measure}": float(x.room[0]) for x in over}
    figures |= {f"truck_wanted_{x.measure}": float(x.taken(wanted)[0]) for x in over}
    for line, units, asked in zip(lines, granted, wanted, strict=True):
        if units < asked - 1e-9:
            _cut(
                line,
                float(units),
                f"the truck from {source} to {site} holds {full}",
                {**figures, "wanted_ea": float(asked)},
            )
    minimum = facts["minimum_order_usd"][lines[0].row] or 0.0
    value = sum(line.packs * line.pack * facts["unit_cost_usd"][line.row] for line in lines)
    if 0 < value < minimum:
        for line in lines:
            if line.packs > 0:
                line.drop(
                    f"the truck from {source} to {site} holds {full}: what fits is worth {words(value)} USD, the minimum is {words(minimum)} USD",
                    **figures, group_value_usd=value, minimum_order_usd=minimum,
                )  # fmt: skip


def _cut(line: Line, units: float, text: str, figures: dict[str, float]) -> None:
    """Order so many units for this reason, or nothing."""
    if units <= 0:
        line.drop(text, **figures)
        return
    line.packs, line.limit = units / line.pack, text[0].upper() + text[1:]
    line.limits.update(figures)
    line.revalue()


def _fit_room(lines: list[Line], facts: dict[str, list[Any]], position: list[float]) -> None:
    """Cut the lines worth least per each until the site's storage holds position plus orders."""
    capacity = facts["storage_capacity_ea"][lines[0].row]
    if capacity is None:
        return
    held = sum(max(position[line.row], 0.0) for line in lines)
    room = max(capacity - held, 0.0)
    for line in sorted((x for x in lines if x.packs > 0), key=lambda x: (-x.saving / (x.packs * x.pack), x.row)):
        fits = min(line.packs, float(np.floor(room / line.pack + 1e-9)))
        if fits < line.packs:
            text = f"storage at {facts['site_id'][line.row]} holds {words(capacity)} and {words(held)} are there or on the way"
            wanted = line.packs * line.pack
            if fits == 0:
                line.drop(text, storage_capacity_ea=capacity, storage_held_ea=held, wanted_ea=wanted)
            else:
                line.packs, line.limit = fits, text[0].upper() + text[1:]
                line.limits.update(storage_capacity_ea=capacity, storage_held_ea=held, wanted_ea=wanted)
                line.revalue()
        room -= line.packs * line.pack


def _cap(lines: list[Line], spec: PlanSpec) -> None:
    """Keep the lines worth most money; the rest waits and says so."""
    live = sorted((x for x in lines if x.packs > 0), key=lambda x: (-x.saving, x.row))
    for line in live:
        if line.saving < spec.min_line_gain_usd:
            line.drop(
                f"it would save {words(line.saving)} USD, less than the {words(spec.min_line_gain_usd)} USD a line must be worth",
                line_saving_usd=line.saving, min_line_gain_usd=spec.min_line_gain_usd,
            )  # fmt: skip
    if spec.max_lines_per_day is not None:
        for line in [x for x in live if x.packs > 0][spec.max_lines_per_day :]:
            line.drop(
                f"the day is capped at {spec.max_lines_per_day} lines and others are worth more",
                max_lines_per_day=float(spec.max_lines_per_day),
            )
