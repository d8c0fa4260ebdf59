"""What is faster than a regular order: an open order expedited, stock moved from another site, another supplier.

Each option is played on the same sample paths as the regular order, only for what that order comes too late for. Who gets which
is for `planning/choice.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from planning.night import Chunk, World
from planning.projection import F32, F64, I64, packs_to_order, project


@dataclass(slots=True)
class Offer:
    """One way to cover a gap. Money in USD, quantity in eaches, days after as_of.

    Attributes:
        decision: expedite, transfer or switch_supplier.
        row: row in the chunk that needs it.
        donor: row in the chunk that gives, -1 for none.
        saving: expected lost sales avoided less what it costs more than the regular way.
        extra: what it costs more than the regular way.
        cost: what is paid: premium, freight or purchase.
        confidence: probability that it pays.
        flip: smallest change of stock on hand (eaches, signed) that ends this offer, and what is done then; None if none does.
    """

    decision: str
    row: int
    source_id: str
    quantity: float
    arrive_day: int
    saving: float
    extra: float
    cost: float
    confidence: float
    unit_cost: float
    units_saved: float
    order_number: str | None = None
    donor: int = -1
    order_day: int = 1
    receipts: F32 | None = None
    flip: tuple[float, str] | None = None
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Routes:
    """Ways other than the regular one: by receiving site.

    Attributes:
        expedite: (source, site) → (fixed, per each, days).
        moves: site → list of (origin site, fixed, per each, days).
        suppliers: (item, site) → list of (supplier, unit cost, minimum, fixed, per each, order day).
    """

    expedite: dict[tuple[str, str], tuple[float, float, float]]
    moves: dict[str, list[tuple[str, float, float]]]
    suppliers: dict[tuple[str, str], list[tuple[str, float, float, float, float, int]]]


def lost_units(chunk: Chunk, i: int, receipts: F32, until: I64) -> F32:
    """Units lost (scenario,) of one row from tonight until `until` with these receipts."""
    seen = project(
        chunk.on_hand[i : i + 1],
        chunk.demand[i : i + 1],
        receipts[None],
        until[None],
        until[None],
        ~chunk.is_centre[i : i + 1],
    )
    return np.asarray(seen.lost_before[0])


def _offer(chunk: Chunk, i: int, receipts: F32, extra: float, held: float, **what: Any) -> Offer:
    before = lost_units(chunk, i, chunk.receipts[i], chunk.arrive[i])
    after = lost_units(chunk, i, receipts, chunk.arrive[i])
    saved = np.maximum(before - after, 0)
    left_over = held * np.maximum(what["quantity"] - saved, 0)
    gain = saved * chunk.worth[i] - extra - left_over
    what["notes"]["left_over_usd"] = float(left_over.mean())
    return Offer(
        row=i, saving=float(gain.mean()), extra=extra, confidence=float((gain > 0).mean()),
        units_saved=float(saved.mean()), receipts=receipts, **what,
    )  # fmt: skip


def expedite_offers(world: World, chunk: Chunk, i: int, pipeline: dict[str, Any], routes: Routes) -> list[Offer]:
    """Speed up an open order of this row, where its lane has an expedite mode."""
    offers = []
    for k in np.flatnonzero(pipeline["where"] == i):
        line = pipeline["lines"].row(int(k), named=True)
        route = routes.expedite.get((line["source_id"], chunk.site[i]))
        if route is None or line["qty"] <= 0 or pipeline["doubtful"][k]:
            continue  # nobody pays for speed before it is known that the order still exists
        fixed, per_each, days = route
        usual = pipeline["days"][k]
        fast = np.minimum(usual, max(1, int(np.ceil(1 + days))))
        receipts = chunk.receipts[i].copy()
        scenario = np.arange(len(usual))
        for day, sign in ((usual, -1.0), (fast, 1.0)):
            inside = day <= receipts.shape[1]
            np.add.at(receipts, (scenario[inside], day[inside] - 1), sign * line["qty"])
        premium = fixed + per_each * line["qty"]
        offers.append(
            _offer(
                chunk, i, np.maximum(receipts, 0), premium, 0.0, decision="expedite", source_id=line["source_id"],
                quantity=float(line["qty"]), arrive_day=int(np.median(fast)), cost=premium, unit_cost=0.0,
                order_number=line["order_number"],
                notes={
                    "usual_arrival_days_p50": float(np.median(usual)),
                    "late_probability_frac": line["late_probability_frac"],
                    "premium_usd": premium,
                },
            )
        )  # fmt: skip
    return offers


def _gap_quantity(chunk: Chunk, i: int, day: I64, extra_each: float, pack: float, minimum: float) -> float:
    """Eaches worth having on `day` for what the regular order comes too late for: a newsvendor with the extra cost as overage."""
    until = np.maximum(chunk.arrive[i], day)
    seen = project(
        chunk.on_hand[i : i + 1], chunk.demand[i : i + 1], chunk.receipts[i : i + 1], day[None], until[None],
        ~chunk.is_centre[i : i + 1],
    )  # fmt: skip
    need = np.where(day[None] < chunk.arrive[i][None], seen.need, 0).astype(np.float32)
    gap = float(np.mean(np.maximum(chunk.arrive[i] - day, 0)))
    worth = chunk.worth[i]
    alpha = 1 - (extra_each + chunk.holding_day[i] * gap) / max(worth, 1e-9)
    if alpha <= 0:
        return 0.0
    packs = packs_to_order(need, np.array([min(alpha, 0.98)]), np.array([pack]), np.array([minimum]))
    return float(packs[0] * pack)


def _with(chunk: Chunk, i: int, day: I64, quantity: float) -> F32:
    receipts: F32 = chunk.receipts[i].copy()
    inside = day <= receipts.shape[1]
    receipts[np.flatnonzero(inside), day[inside] - 1] += quantity
    return receipts


def transfer_offers(
    world: World, chunk: Chunk, i: int, spare: F64, routes: Routes, only: Collection[str] | None = None
) -> list[Offer]:
    """Move stock that another site does not need before its own next delivery, where there is a lane for it."""
    offers = []
    for origin, fixed, per_each in routes.moves.get(chunk.site[i], []):
        j = chunk.place.get((chunk.item[i], origin), -1)
        if (only is not None and origin not in only) or j < 0 or origin == chunk.source[i] or spare[j] < 1:
            continue
        day = 1 + world.lead(origin, chunk.site[i]) + world.spec.receipt_to_shelf_days
        most = np.floor(min(spare[j], world.room.get(chunk.site[i], np.inf)))
        quantity = min(_gap_quantity(chunk, i, day, per_each, 1.0, 0.0), float(most))
        if quantity < 1:
            continue
        extra = fixed + per_each * quantity
        offers.append(
            _offer(
                chunk, i, _with(chunk, i, day, quantity), extra, chunk.holding_day[i], decision="transfer", source_id=origin,
                quantity=quantity, arrive_day=int(np.median(day)), cost=extra, unit_cost=0.0, donor=j,
                notes={"donor_spare_ea": float(np.floor(spare[j])), "freight_usd": extra},
            )
        )  # fmt: skip
    return offers


def supplier_offers(
    world: World, chunk: Chunk, i: int, unit_cost: float, routes: Routes, only: Collection[str] | None = None
) -> list[Offer]:
    """Buy the gap from another supplier that can be here sooner."""
    offers = []
    for supplier, cost, minimum, fixed, per_each, order_day in routes.suppliers.get((chunk.item[i], chunk.site[i]), []):
        if (only is not None and supplier not in only) or supplier == chunk.source[i]:
            continue
        if (supplier, chunk.site[i]) not in world.lanes:
            continue
        day = order_day + world.lead(supplier, chunk.site[i]) + world.spec.receipt_to_shelf_days
        each = max(cost + per_each - unit_cost - chunk.freight[i], 0.0)
        quantity = _gap_quantity(chunk, i, np.maximum(day, 1), each, chunk.pack[i], minimum)
        room = world.room.get(chunk.site[i], np.inf)
        if quantity > room:
            quantity = float(np.floor(room / chunk.pack[i] + 1e-9) * chunk.pack[i])
        if quantity <= 0 or quantity < minimum - 1e-9:
            continue
        extra = fixed + (cost + per_each - unit_cost - chunk.freight[i]) * quantity
        offers.append(
            _offer(
                chunk, i, _with(chunk, i, np.maximum(day, 1), quantity), extra, chunk.holding_day[i],
                decision="switch_supplier", source_id=supplier, quantity=quantity, arrive_day=int(np.median(day)),
                cost=fixed + (cost + per_each) * quantity, unit_cost=cost, order_day=order_day,
                notes={"regular_unit_cost_usd": unit_cost, "extra_cost_usd": extra},
            )
        )  # fmt: skip
    return offers


def spare_stock(chunk: Chunk, routes: Routes) -> F64:
    """Units (n,) each site can give away tonight."""
    spare = np.zeros(len(chunk.site))
    origins = {origin for moves in routes.moves.values() for origin, _, _ in moves}
    givers = np.flatnonzero(chunk.ok & (chunk.on_hand >= 1) & np.isin(np.array(chunk.site), sorted(origins)))
    for i in givers.tolist():
        spare[i] = spare_of(chunk, i)
    return spare


def spare_of(chunk: Chunk, i: int, more: float = 0.0) -> float:
    """Units a site can give away, if it had so much more on hand, and still not run short in 95 of 100 scenarios before its next order lasts.

    The lowest point of the path counts: what only a later delivery replaces is not to spare.
    """
    path = np.cumsum(chunk.receipts[i] - chunk.demand[i], axis=1)
    outside = np.arange(1, path.shape[1] + 1)[None, :] >= chunk.until[i][:, None]
    lowest = np.where(outside, np.inf, path).min(axis=1)
    return float(max(chunk.on_hand[i] + more + min(float(np.sort(lowest)[int(0.05 * len(lowest))]), 0.0), 0.0))


def all_offers(
    world: World, chunk: Chunk, i: int, pipeline: dict[str, Any], spare: F64, unit_cost: float, routes: Routes,
    only: Collection[str] | None = None,
) -> list[Offer]:  # fmt: skip
    """All offers for one row; with `only` what these sites and suppliers can do."""
    return [
        *(expedite_offers(world, chunk, i, pipeline, routes) if only is None else ()),
        *transfer_offers(world, chunk, i, spare, routes, only),
        *supplier_offers(world, chunk, i, unit_cost, routes, only),
    ]


def late_orders(chunk: Chunk, pipeline: dict[str, Any], threshold: float) -> dict[int, tuple[str, float]]:
    """By row of the chunk: the open order likeliest to be late, and its probability, where that reaches the threshold."""
    out: dict[int, tuple[str, float]] = {}
    lines = pipeline["lines"]
    for i, number, chance, left in zip(
        pipeline["where"].tolist(), lines["order_number"], lines["late_probability_frac"], lines["qty"], strict=True
    ):
        likelier = chance is not None and (i not in out or chance > out[i][1])
        if likelier and chance >= threshold and left > 0 and chunk.ok[i]:
            out[i] = (number, float(chance))
    return out


def take(chunk: Chunk, offer: Offer) -> None:
    """Put what was chosen on the way, and take it from the site that gives it."""
    if offer.receipts is not None:
        chunk.receipts[offer.row] = offer.receipts
    if offer.donor >= 0:
        chunk.on_hand[offer.donor] -= offer.quantity


def build_routes(
    expedite: pl.DataFrame, moves: pl.DataFrame, suppliers: pl.DataFrame, order_days: dict[str, int]
) -> Routes:
    """Index lanes and supplier items for look-up.

    Args:
        expedite: source_id, site_id, cost_per_order_usd, cost_per_ea_usd, quoted_lead_time_days.
        moves: the same for standard lanes whose source is a site.
        suppliers: item_id, site_id, source_id, unit_cost_usd, minimum_order_ea, cost_per_order_usd, cost_per_ea_usd.
        order_days: supplier → days until its next order day.
    """
    fast = {(a, b): (f, c, d) for a, b, f, c, d in expedite.iter_rows()}
    by_site: dict[str, list[tuple[str, float, float]]] = {}
    for a, b, f, c, _ in moves.iter_rows():
        by_site.setdefault(b, []).append((a, f, c))
    sellers: dict[tuple[str, str], list[tuple[str, float, float, float, float, int]]] = {}
    for item, site, supplier, cost, minimum, fixed, each in suppliers.iter_rows():
        sellers.setdefault((item, site), []).append((supplier, cost, minimum, fixed, each, order_days.get(supplier, 1)))
    return Routes(fast, by_site, sellers)
