"""Rows of `rec_decisions` from solved lines and chosen offers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from planning.groups import Line
from planning.inputs import PlanSpec
from planning.kept_out import kept_out_drivers, kept_out_reason
from planning.limits import smallest_order
from planning.network import TRUCKS
from planning.options import Offer
from planning.rationale import (
    base_drivers,
    day_text,
    doubt_drivers,
    doubt_reason,
    dumps,
    enough_reason,
    figure,
    given_drivers,
    given_reason,
    identity,
    late_drivers,
    late_reason,
    offer_reason,
    replenish_reason,
    rest_reason,
    stock_drivers,
    stock_reason,
    words,
)


def decision_rows(
    lines: list[Line], offers: list[tuple[int, Offer]], book: pl.DataFrame, as_of: date, spec: PlanSpec
) -> list[dict[str, Any]]:
    """One row per line, and one more for each chosen offer; where an offer covers all, the line says so."""
    facts = book.rows(named=True)
    chosen: dict[int, Offer] = dict(offers)
    by_row = {line.row: line for line in lines}
    out = []
    for line in lines:
        row = facts[line.row]
        if row["missing"] is not None:
            out.append(_missing_row(line, row, as_of))
            continue
        offer = chosen.get(line.row)
        if offer is None or line.packs > 0:
            out.append(_line_row(line, row, offer, as_of))
    for number, offer in offers:
        out.append(_offer_row(by_row[number], facts[number], offer, as_of, spec))
    return out


def _shell(
    row: Mapping[str, Any], as_of: date, decision: str, source: str | None, order: str | None = None
) -> dict[str, Any]:
    return {
        "rec_id": identity(as_of, decision, row["item_id"], row["site_id"], source, order),
        "as_of_date": as_of, "decision_code": decision, "item_id": row["item_id"], "site_id": row["site_id"],
        "source_id": source, "order_number": order, "quantity_ea": 0.0, "quantity_packs": 0.0, "base_unit_code": row["base_unit_code"],
        "currency_code": row["currency_code"], "unit_cost_usd": row["unit_cost_usd"], "order_cost_usd": 0.0, "money_at_stake_usd": 0.0, "due_date": None,
        "order_by_date": None, "confidence_frac": 0.0, "alternatives_json": "[]", "flip_json": None,
        "on_hand_qty_ea": row["on_hand_qty_ea"], "on_order_qty_ea": row["on_order_qty_ea"],
        "demand_qty_ea_mean": None, "lead_time_days_p50": row["lead_time_days_p50"],
        "model_version": row["model_version"], "is_fallback": bool(row["is_fallback"]), "supplier_order_group": None,
    }  # fmt: skip


def _missing_row(line: Line, row: Mapping[str, Any], as_of: date) -> dict[str, Any]:
    out = _shell(row, as_of, "none", None)
    drivers = {
        k: figure(row[k]) if isinstance(row[k], float) else row[k]
        for k in (
            "on_hand_qty_ea",
            "on_order_qty_ea",
            "unit_cost_usd",
            "unit_price_usd",
            "pack_ea",
            "storage_capacity_ea",
            "source_id",
        )
    }
    loads = [f"truck_capacity_{m}" for m in TRUCKS] + [c for c in TRUCKS.values() if c]
    drivers |= {k: figure(row[k]) for k in loads if row[k] is not None}
    drivers["stock_date"] = row["stock_date"].isoformat() if row["stock_date"] is not None else None
    drivers["missing"] = row["missing"]
    drivers |= doubt_drivers(line.doubt) | kept_out_drivers(row)
    return out | {
        "reason": f"Nothing can be decided: {row['missing']}." + doubt_reason(drivers),
        "drivers_json": dumps(drivers),
        "confidence_frac": 0.0,
    }


def _alternatives(line: Line, row: Mapping[str, Any], ordered: bool, limit: str) -> list[dict[str, Any]]:
    """What was rejected, each with its expected cost against the decision taken; a cost below zero says what forbade it."""
    out: list[dict[str, Any]] = []
    if ordered:
        out.append(
            {"decision": "none", "cost_usd": figure(line.saving), "why": "expected cost of ordering nothing now"}
        )
        if not math.isnan(line.had):
            out.append({"decision": "replenish", "quantity_ea": figure(line.wanted * line.pack), "cost_usd": None,
                        "why": f"{row['source_id']} has only {words(line.had)}"})  # fmt: skip
    else:
        least = float(smallest_order(np.array(line.pack), np.array(row["minimum_order_ea"])))
        why = "expected cost of the smallest order, more than it saves"
        if line.one_pack > 0:
            held = f"the critical ratio is held to {words(line.stats['critical_ratio_frac'])}"
            why = f"the smallest order saves more than it costs against never ordering, but {limit or held}"
        out.append({"decision": "replenish", "quantity_ea": figure(least), "source_id": row["source_id"],
                    "cost_usd": figure(-line.one_pack), "why": why})  # fmt: skip
    if line.doubt is not None and line.doubt.without is not None:
        out.append({"decision": "replenish", "quantity_ea": figure(line.doubt.without), "source_id": row["source_id"], "cost_usd": None,
                    "why": f"what would be wanted if order {line.doubt.order_number} were cancelled"})  # fmt: skip
    out.extend(
        {
            "decision": offer.decision,
            "source_id": offer.source_id,
            "quantity_ea": figure(offer.quantity),
            "cost_usd": figure(-offer.saving),
            "why": "net of the lost sales it avoids",
        }
        for offer in line.rejected
    )
    return out


def _around(line: Line, row: Mapping[str, Any], as_of: date) -> dict[str, Any]:
    """What every decision of an item × site says beside itself: old stock, goods given away, late orders, doubtful ones, lines that do not count."""
    said = stock_drivers(row, line.since, as_of) | given_drivers(line.given)
    return said | late_drivers(line.late) | doubt_drivers(line.doubt) | kept_out_drivers(row)


def _around_reason(drivers: Mapping[str, Any]) -> str:
    return (
        stock_reason(drivers)
        + given_reason(drivers)
        + late_reason(drivers)
        + doubt_reason(drivers)
        + kept_out_reason(drivers)
    )


def _flip(line: Line, ordered: bool) -> str | None:
    if math.isnan(line.flip) or line.limit or ordered != (line.wanted > 0):
        return None
    becomes = "none" if ordered else "replenish"
    return dumps({"field": "on_hand_qty_ea", "change_ea": figure(line.flip), "becomes": becomes})


def _line_row(line: Line, row: Mapping[str, Any], offer: Offer | None, as_of: date) -> dict[str, Any]:
    ordered = line.packs > 0
    drivers = base_drivers(row, {**line.stats, **line.limits})
    quantity = line.packs * line.pack
    drivers |= {
        "quantity_ea": figure(quantity), "quantity_packs": figure(line.packs),
        "covers_until_date": day_text(as_of, line.stats["covers_days"] - 1), "waiting_risk_usd": figure(line.waiting),
    }  # fmt: skip
    drivers |= _around(line, row, as_of) | _beside(offer)
    if line.limit:
        drivers["limit"] = line.limit
    if not math.isnan(line.had):
        drivers |= {"centre_had_ea": figure(line.had), "wanted_ea": figure(line.wanted * line.pack)}
        if not ordered and not line.limit:
            drivers["limit"] = (
                f"{words(line.wanted * line.pack)} wanted, but {row['source_id']} has {words(line.had)} for all its stores"
            )
    out = _shell(row, as_of, "replenish" if ordered else "none", row["source_id"] if ordered else None)
    out |= {
        "reason": (replenish_reason(row, drivers) if ordered else enough_reason(drivers)) + _around_reason(drivers),
        "drivers_json": dumps(drivers),
        "alternatives_json": dumps(_alternatives(line, row, ordered, drivers.get("limit", ""))),
        "flip_json": _flip(line, ordered),
        "demand_qty_ea_mean": figure(line.stats["demand_exposed_qty_ea"]),
        "confidence_frac": round(line.confidence if ordered else line.stats["cover_probability_frac"], 4),
    }
    if ordered:
        order_by = as_of + timedelta(days=line.order_day)
        out |= {
            "quantity_ea": quantity, "quantity_packs": line.packs, "money_at_stake_usd": figure(line.saving) or 0.0,
            "order_cost_usd": figure(quantity * (row["unit_cost_usd"] + row["cost_per_ea_usd"])) or 0.0,
            "order_by_date": order_by, "due_date": order_by + timedelta(days=round(row["lead_time_days_p50"])),
            "supplier_order_group": f"{as_of.isoformat()}|{row['source_id']}>{row['site_id']}",
        }  # fmt: skip
    return out


def _beside(offer: Offer | None) -> dict[str, Any]:
    """What a regular order counts on beside itself: goods moved or bought elsewhere tonight, or an order hurried."""
    if offer is None:
        return {}
    if offer.decision == "expedite":
        return {"beside_order_number": offer.order_number}
    return {"beside_id": offer.source_id, "beside_qty_ea": figure(offer.quantity)}


def _offer_row(line: Line, row: Mapping[str, Any], offer: Offer, as_of: date, spec: PlanSpec) -> dict[str, Any]:
    drivers = base_drivers(row, {**line.stats, **{k: v for k, v in offer.notes.items() if v is not None}})
    if row["serves"]:
        drivers["lost_share_frac"] = figure(spec.centre_shortage_share_frac)
    drivers |= {
        "quantity_ea": figure(offer.quantity), "from_id": offer.source_id, "arrival_days": figure(offer.arrive_day),
        "units_saved_ea": figure(offer.units_saved), "offer_unit_cost_usd": figure(offer.unit_cost),
        "then_ordered_ea": figure(line.packs * line.pack),
    }  # fmt: skip
    drivers |= _around(line, row, as_of)
    if line.limit and line.packs == 0:
        drivers |= {**{k: figure(v) for k, v in line.limits.items()}, "limit": line.limit}
    out = _shell(row, as_of, offer.decision, offer.source_id, offer.order_number)
    order_by = as_of + timedelta(days=offer.order_day)
    rejected = [
        {"decision": "none", "cost_usd": figure(offer.saving), "why": "expected cost of waiting for the regular order"},
        *({"decision": o.decision, "source_id": o.source_id, "quantity_ea": figure(o.quantity), "cost_usd": figure(offer.saving - o.saving),
           "why": "costs that much more than the way chosen"} for o in line.rejected),
    ]  # fmt: skip
    flip = None
    if offer.flip is not None:
        flip = {"field": "on_hand_qty_ea", "change_ea": figure(offer.flip[0]), "becomes": offer.flip[1]}
    return out | {
        "quantity_ea": offer.quantity, "quantity_packs": offer.quantity / line.pack, "order_cost_usd": figure(offer.cost) or 0.0,
        "money_at_stake_usd": figure(offer.saving) or 0.0, "order_by_date": order_by,
        "due_date": as_of + timedelta(days=max(offer.arrive_day, offer.order_day)), "confidence_frac": round(offer.confidence, 4),
        "reason": offer_reason(offer.decision, row, drivers, offer.order_number) + rest_reason(drivers) + _around_reason(drivers), "drivers_json": dumps(drivers),
        "alternatives_json": dumps(rejected), "flip_json": dumps(flip) if flip else None,
        "unit_cost_usd": offer.unit_cost or row["unit_cost_usd"],
        "demand_qty_ea_mean": figure(line.stats["demand_exposed_qty_ea"]),
        "supplier_order_group": f"{as_of.isoformat()}|{offer.source_id}>{row['site_id']}|{offer.decision}",
    }  # fmt: skip
