"""What only many lines together can decide: one order per source and site, its minimum value and fixed cost, truck, room, daily cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from planning.doubt import Doubt
from planning.inputs import PlanSpec
from planning.limits import Limit, fit_limits
from planning.network import TRUCKS
from planning.options import Offer
from planning.projection import F32
from planning.rationale import money, words


@dataclass(slots=True)
class Rest:
    """What the other lines of a line's lane bring to its order, and what is free beside them. USD and eaches.

    Attributes:
        always: the lane orders on every order day, whatever waiting would save.
        waiting: what the others risk by waiting; deferred: what waiting saves with the others alone.
        value: worth of the others; least: minimum value of the source, 0 for none.
        truck: eaches of the line's item that the truck still takes, −1 when it is overfull; room: that the site still stores.
    """

    always: bool
    waiting: float
    deferred: float
    value: float
    least: float
    truck: float = float("inf")
    room: float = float("inf")


@dataclass(slots=True)
class Line:
    """One item × site after its own solution. Money in USD, quantities in packs unless said otherwise.

    Attributes:
        row: row of the book.
        packs: packs to order; wanted: before the centre's stock was shared.
        saving: expected cost avoided against doing nothing; waiting: expected cost of waiting one review.
        had: eaches the centre had for all, NaN where that gave the line all it wanted.
        shared: whether the centre's stock had to be shared, and others decide what the line gets.
        one_pack: expected cost avoided by the smallest order that may be made, against none.
        flip: change of on-hand stock that flips the decision, NaN for none.
        late: number of the open order likeliest to be late, and its probability, where that reaches the threshold.
        doubt: orders counted as on order that have been waited for longer than their lane supports; None where there are none.
        since: eaches reckoned as sold since the stock report, on days of which no sales are reported.
        given: what it gives away tonight: receiving site and eaches of each.
        limit: the constraint that changed the line, in words.
        left: eaches that its centre has left for a further order; infinite where it has no centre.
        rest: what the other lines of its lane bring; None where nothing can be decided.
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
    doubt: Doubt | None = None
    since: float = 0.0
    given: list[tuple[str, float]] = field(default_factory=list)
    limit: str = ""
    limits: dict[str, Any] = field(default_factory=dict)
    left: float = float("inf")
    shared: bool = False
    rest: Rest | None = None

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


def rooms(book: pl.DataFrame) -> dict[str, float]:
    """Eaches that still fit at every site that states its storage, beside what is there or on the way."""
    held = (pl.col("on_hand_qty_ea").fill_null(0.0) + pl.col("on_order_qty_ea")).clip(lower_bound=0.0)
    sites = book.filter(pl.col("storage_capacity_ea").is_not_null()).group_by("site_id").agg(
        (pl.col("storage_capacity_ea").first() - held.sum()).clip(lower_bound=0.0)
    )  # fmt: skip
    return dict(sites.iter_rows())


def decide_groups(
    lines: list[Line], book: pl.DataFrame, spec: PlanSpec, offers: Sequence[tuple[int, Offer]] = ()
) -> None:
    """Apply shelf life, minimum order values with fixed costs, trucks, storage and the daily cap, in that order; lines change in place.

    Args:
        offers: what was chosen beside the lines, by row of the book: goods moved or bought elsewhere take room at their site.
    """
    columns = ["source_id", "site_id", "minimum_order_usd", "cost_per_order_usd", "cycle_days", "unit_cost_usd",
               "storage_capacity_ea", "order_day", "next_order_day", "daily_qty_ea_mean", "item_id", "shelf_life_days",
               "minimum_order_ea", "discontinued_date", "currency_code", *(f"truck_capacity_{m}" for m in TRUCKS), *filter(None, TRUCKS.values())]  # fmt: skip
    facts = book.select(columns).to_dict(as_series=False)
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        _fit_shelf(line, facts)
        if line.need is not None:
            groups.setdefault((facts["source_id"][line.row], facts["site_id"][line.row]), []).append(line)
    for key in sorted(groups):
        _rest(groups[key], facts, spec.order_cost_share_frac)
        _release(groups[key], facts, spec.order_cost_share_frac)
        _fit_truck([line for line in groups[key] if line.packs > 0], facts)
        _rest_of_truck(groups[key], facts)
    by_site: dict[str, list[Line]] = {}
    for line in lines:
        by_site.setdefault(facts["site_id"][line.row], []).append(line)
    position = (book["on_hand_qty_ea"].fill_null(0.0) + book["on_order_qty_ea"]).to_list()
    moved = dict.fromkeys(by_site, 0.0)
    for row, offer in offers:
        moved[facts["site_id"][row]] += offer.quantity if offer.decision != "expedite" else 0.0
    for site in sorted(by_site):
        _fit_room(by_site[site], facts, position, moved[site])
    _cap(lines, facts, spec)
    for key in sorted(groups):
        _keep_minimum(groups[key], facts)


def _keep_minimum(group: list[Line], facts: dict[str, list[Any]]) -> None:
    """Order nothing of a lane whose order storage or the day's limits left below the source's minimum value: it would be refused."""
    live = [line for line in group if line.packs > 0]
    value = sum(line.packs * line.pack * facts["unit_cost_usd"][line.row] for line in live)
    least = (facts["minimum_order_usd"][live[0].row] or 0.0) if live else 0.0
    if value >= least - 1e-6:
        return
    for line in live:
        code = facts["currency_code"][line.row]
        line.drop(
            f"what storage and the day's limits leave of the order from {facts['source_id'][line.row]} is worth {money(value, code)}, its "
            f"minimum is {money(least, code)}",
            group_value_usd=value, minimum_order_usd=least,
        )  # fmt: skip


def _sells(line: Line, facts: dict[str, list[Any]]) -> float:
    """Eaches expected to sell before they spoil, stock that is sold before them counted; infinite where nothing spoils."""
    days = facts["shelf_life_days"][line.row]
    if days is None:
        return float("inf")
    return float(max(facts["daily_qty_ea_mean"][line.row] * days - line.stats["stock_at_arrival_ea"], 0.0))


def _fit_shelf(line: Line, facts: dict[str, list[Any]]) -> None:
    """Cut an order to what is expected to sell before it spoils, stock that is sold before it counted."""
    days = facts["shelf_life_days"][line.row]
    if days is None or line.packs == 0 or line.need is None:
        return
    sells = _sells(line, facts)
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


def _rest(group: list[Line], facts: dict[str, list[Any]], share: float) -> None:
    """Write into every line what the other lines of its lane bring, before the order is released."""
    row = group[0].row
    cycle, review = facts["cycle_days"][row], facts["next_order_day"][row] - facts["order_day"][row]
    saved = facts["cost_per_order_usd"][row] * share * review / cycle
    own = [
        (line.waiting, units * line.holding_day * review, units * facts["unit_cost_usd"][line.row]) if units else (0.0, 0.0, 0.0)
        for line in group for units in (line.packs * line.pack,)
    ]  # fmt: skip
    waiting, held, value = (sum(part) for part in zip(*own, strict=True))
    least = facts["minimum_order_usd"][row] or 0.0
    for line, (w, h, v) in zip(group, own, strict=True):
        line.rest = Rest(cycle <= review, waiting - w, saved + held - h, value - v, least)


def _rest_of_truck(group: list[Line], facts: dict[str, list[Any]]) -> None:
    """Write into every line what the truck still takes of its item; −1 where it was too small for what was wanted."""
    over = any("truck_capacity" in name for line in group for name in line.limits)
    units = np.array([line.packs * line.pack for line in group])
    for limit in _truck_limits(group, facts):
        left = float(limit.room[0] - limit.taken(units)[0])
        for line, use in zip(group, limit.use, strict=True):
            if line.rest is not None:
                line.rest.truck = -1.0 if over else min(line.rest.truck, left / use if use > 0 else float("inf"))


def _release(group: list[Line], facts: dict[str, list[Any]], share: float) -> None:
    """Release a group's order when waiting costs more than it saves, topped up to the supplier's minimum value if that pays."""
    live = [line for line in group if line.packs > 0]
    if not live:
        return
    row = live[0].row
    source, least, code = facts["source_id"][row], facts["minimum_order_usd"][row] or 0.0, facts["currency_code"][row]
    fixed, cycle = facts["cost_per_order_usd"][row] * share, facts["cycle_days"][row]
    review = facts["next_order_day"][row] - facts["order_day"][row]
    waiting = sum(line.waiting for line in live)
    deferred = fixed * review / cycle + sum(line.packs * line.pack * line.holding_day for line in live) * review
    value = sum(line.packs * line.pack * facts["unit_cost_usd"][line.row] for line in live)
    if waiting <= deferred and cycle > review:
        for line in live:
            line.drop(
                f"waiting for the next order day of {source} risks {money(waiting, code)} and saves {money(deferred, code)}",
                group_waiting_risk_usd=waiting, waiting_saves_usd=deferred,
            )  # fmt: skip
        return
    if value < least:
        added, lacking = _top_up(group, facts, least - value)
        figures = {"group_value_usd": value, "minimum_order_usd": least}
        text = f"the order from {source} would be worth {money(value, code)}, its minimum is {money(least, code)}"
        if lacking > 0:
            text += f", and what can be added still sells in time only up to {money(least - lacking, code)}"
            figures["group_most_usd"] = least - lacking
        elif waiting <= deferred + added:
            text += f"; filling it up costs {money(added, code)} in holding, waiting risks only {money(waiting, code)}"
            figures |= {"filling_up_usd": added, "group_waiting_risk_usd": waiting}
        if lacking > 0 or waiting <= deferred + added:
            for line in group:
                line.limits.pop("topped_up", None)
                if line.packs > 0:
                    line.drop(text, **figures)
            return
        for line in group:
            if line.limits.pop("topped_up", None):
                line.limit = f"Filled up to reach the minimum of {money(least, code)} of {source}"
                line.limits["minimum_order_usd"] = least


def _top_up(group: list[Line], facts: dict[str, list[Any]], missing: float) -> tuple[float, float]:
    """Add packs where the stock would last shortest until `missing` USD are reached, no more of an item than sells in time.

    Items whose last selling day is stated are not filled up, and a line that was not ordered begins with its own minimum.

    Returns:
        (holding cost of the added units, USD still missing when nothing more can be added).
    """
    cover = []
    for line in group:
        daily = facts["daily_qty_ea_mean"][line.row]
        if daily > 0 and facts["discontinued_date"][line.row] is None:
            left = line.packs * line.pack - float(np.mean(line.need if line.need is not None else 0.0))
            cover.append([left / daily, line.row, line])
    cost = 0.0
    while missing > 1e-9 and cover:
        cover.sort(key=lambda c: (c[0], c[1]))
        days, _, line = cover[0]
        packs = 1.0
        if line.packs == 0:
            packs = max(1.0, float(np.ceil((facts["minimum_order_ea"][line.row] or 0.0) / line.pack - 1e-9)))
        units = packs * line.pack
        if line.packs * line.pack + units > _sells(line, facts) + 1e-9:
            cover.pop(0)
            continue
        daily = facts["daily_qty_ea_mean"][line.row]
        cost += units * line.holding_day * max(days + units / daily / 2, 0.0)
        line.packs += packs
        line.limits["topped_up"] = True
        cover[0][0] = days + units / daily
        missing -= units * facts["unit_cost_usd"][line.row]
    for line in group:
        if line.limits.get("topped_up"):
            line.revalue()
    return cost, max(missing, 0.0) if missing > 1e-9 else 0.0


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
    minimum, code = facts["minimum_order_usd"][lines[0].row] or 0.0, facts["currency_code"][lines[0].row]
    value = sum(line.packs * line.pack * facts["unit_cost_usd"][line.row] for line in lines)
    if 0 < value < minimum:
        for line in lines:
            if line.packs > 0:
                line.drop(
                    f"the truck from {source} to {site} holds {full}: what fits is worth {money(value, code)}, the minimum is {money(minimum, code)}",
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


def _fit_room(lines: list[Line], facts: dict[str, list[Any]], position: list[float], moved: float) -> None:
    """Cut the lines worth least per each until the site's storage holds position, what is moved there tonight, and orders."""
    capacity = facts["storage_capacity_ea"][lines[0].row]
    if capacity is None:
        return
    held = sum(max(position[line.row], 0.0) for line in lines) + moved
    room = max(capacity - held, 0.0)
    for line in sorted((x for x in lines if x.packs > 0), key=lambda x: (-x.saving / (x.packs * x.pack), x.row)):
        fits = min(line.packs, float(np.floor(room / line.pack + 1e-9)))
        fits = fits if fits * line.pack >= (facts["minimum_order_ea"][line.row] or 0.0) - 1e-9 else 0.0
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
    cut = any(line.limits.get("storage_capacity_ea") is not None for line in lines)
    for line in lines:
        if line.rest is not None:
            line.rest.room = -1.0 if cut else room


def _cap(lines: list[Line], facts: dict[str, list[Any]], spec: PlanSpec) -> None:
    """Keep the lines worth most money; the rest waits and says so."""
    live = sorted((x for x in lines if x.packs > 0), key=lambda x: (-x.saving, x.row))
    for line in live:
        filled_up = line.limits.get("minimum_order_usd") is not None  # with the order it fills up it pays
        if line.saving < spec.min_line_gain_usd and not filled_up:
            code = facts["currency_code"][line.row]
            line.drop(
                f"it would save {money(line.saving, code)}, less than the {money(spec.min_line_gain_usd, code)} a line must be worth",
                line_saving_usd=line.saving, min_line_gain_usd=spec.min_line_gain_usd,
            )  # fmt: skip
    if spec.max_lines_per_day is not None:
        for line in [x for x in live if x.packs > 0][spec.max_lines_per_day :]:
            line.drop(
                f"the day is capped at {spec.max_lines_per_day} lines and others are worth more",
                max_lines_per_day=float(spec.max_lines_per_day),
            )
