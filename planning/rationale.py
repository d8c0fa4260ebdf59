"""Recommendations in words and rows: every number in a reason is a stored field of the row or of its drivers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from planning.doubt import Doubt


def figure(value: float | None) -> float | None:
    """A number as it is stored and as it is written: two decimals, four below one; NaN becomes null."""
    if value is None or not math.isfinite(value):
        return None
    rounded = round(float(value), 2 if abs(value) >= 1 else 4)
    return 0.0 if rounded == 0 else rounded


def words(value: float | None) -> str:
    """The same number in a sentence.

    >>> words(12.0), words(3.456), words(None)
    ('12', '3.46', 'unknown')
    """
    number = figure(value)
    return "unknown" if number is None else f"{number:.{2 if abs(number) >= 1 else 4}f}".rstrip("0").rstrip(".")


def identity(
    as_of: date, decision: str, item_id: str, site_id: str, source_id: str | None, order: str | None = None
) -> str:
    """First 16 hex digits of SHA-256 over day, decision, item, site, source (and the order expedited)."""
    parts = [as_of.isoformat(), decision, item_id, site_id, source_id or "", *([order] if order else [])]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def day_text(as_of: date, days: float) -> str:
    """The calendar day `days` after `as_of`, as ISO text."""
    return (as_of + timedelta(days=int(days))).isoformat()


def base_drivers(row: Mapping[str, Any], stats: Mapping[str, float]) -> dict[str, Any]:
    """Figures that every decision of an item × site shares."""
    keep = {
        "on_hand_qty_ea": row["on_hand_qty_ea"], "on_order_qty_ea": row["on_order_qty_ea"],
        "allocated_qty_ea": row["allocated_qty_ea"], "daily_qty_ea_mean": row["daily_qty_ea_mean"],
        "pack_ea": row["pack_ea"], "minimum_order_ea": row["minimum_order_ea"], "unit_price_usd": row["unit_price_usd"],
        "lead_time_days_p05": row["lead_time_days_p05"], "lead_time_days_p95": row["lead_time_days_p95"],
        "cycle_days": row["cycle_days"],
    }  # fmt: skip
    out: dict[str, Any] = {k: figure(v) for k, v in keep.items()}
    out.update({k: figure(v) for k, v in stats.items()})
    out["lead_time_basis"] = row["lead_time_basis"]
    out["demand_class"] = row["demand_class"]
    if row["base_unit_code"] is not None:
        out["base_unit_code"] = row["base_unit_code"]
    if row["discontinued_date"] is not None:
        out["sold_until_date"] = row["discontinued_date"].isoformat()
    return out


def money(value: float | None, currency_code: str) -> str:
    """An amount as the reasons write it."""
    return f"{words(value)} {currency_code}"


def stock_words(drivers: Mapping[str, Any]) -> str:
    """What is there and comes: on hand, on order, what is promised to others or comes too late to count, and a faster way beside it."""
    promised = (
        f" ({words(drivers['allocated_qty_ea'])} of it promised to others)" if drivers["allocated_qty_ea"] else ""
    )
    later = f" ({words(drivers['on_order_later_ea'])} of it later)" if drivers["on_order_later_ea"] else ""
    text = (
        f"{words(drivers['on_hand_qty_ea'])} on hand{promised} and {words(drivers['on_order_qty_ea'])} on order{later}"
    )
    if drivers.get("beside_qty_ea"):
        text += f", with {words(drivers['beside_qty_ea'])} from {drivers['beside_id']} tonight,"
    if drivers.get("beside_order_number"):
        text += f", with order {drivers['beside_order_number']} expedited,"
    return text


def lasting_words(drivers: Mapping[str, Any]) -> str:
    """How likely that lasts, and until when."""
    return (
        f"last until {drivers['covers_until_date']} with probability {words(drivers['lasts_probability_frac'])} "
        f"(expected demand until then {words(drivers['demand_until_qty_ea'])})"
    )


def saved_words(row: Mapping[str, Any], drivers: Mapping[str, Any]) -> str:
    """What is saved, and what it is worth: a unit that a centre lacks is not yet a lost sale."""
    units, margin = words(drivers["units_saved_ea"]), money(drivers["margin_usd"], row["currency_code"])
    if not row["serves"]:
        return f"saves {units} lost sales on average, a margin of {margin} each"
    counted = f"{words(share)} of" if (share := drivers.get("lost_share_frac")) is not None else "at"
    return f"saves {units} units that its stores would lack on average, counted {counted} a margin of {margin} each"


def until_reason(drivers: Mapping[str, Any]) -> str:
    """The last selling day, where one is stated: nothing is ordered for later."""
    return f" It is sold until {drivers['sold_until_date']}." if drivers.get("sold_until_date") else ""


def rest_reason(drivers: Mapping[str, Any]) -> str:
    """Why the regular order beside a faster way was left out; empty where nothing kept it back."""
    return f" No regular order beside it: {drivers['limit']}." if drivers.get("limit") else ""


def replenish_reason(row: Mapping[str, Any], drivers: Mapping[str, Any]) -> str:
    """Why this much is ordered."""
    packs, pack = drivers["quantity_packs"], drivers["pack_ea"]
    cases = f" ({words(packs)} × {words(pack)})" if pack and pack > 1 else ""
    unit = f" {drivers['base_unit_code']}" if drivers.get("base_unit_code") else ""
    text = (
        f"Order {words(drivers['quantity_ea'])}{unit}{cases} from {row['source_id']}: {stock_words(drivers)} {lasting_words(drivers)}. "
        f"The order {saved_words(row, drivers)}; keeping it costs {money(drivers['holding_usd_per_ea'], row['currency_code'])} per unit left over."
    )
    if drivers.get("centre_had_ea") is not None:
        text += f" Wanted were {words(drivers['wanted_ea'])}, but {row['source_id']} has {words(drivers['centre_had_ea'])} for all its stores."
    if drivers.get("limit"):
        text += f" {drivers['limit']}."
    return text + until_reason(drivers)


def enough_reason(drivers: Mapping[str, Any]) -> str:
    """Why nothing is ordered though everything is known."""
    if drivers.get("limit"):
        return f"No order: {drivers['limit']}." + until_reason(drivers)
    pack, least = drivers["pack_ea"], drivers["minimum_order_ea"]
    more = f"the least that can be ordered, {words(least)}," if least and least > pack else "one more pack now"
    text = (
        f"No order: {stock_words(drivers)} {lasting_words(drivers)}; {more} is not worth keeping at a critical ratio of "
        f"{words(drivers['critical_ratio_frac'])}."
    )
    if drivers["lost_before_ea"]:
        text += f" {words(drivers['lost_before_ea'])} are not met on average before an order could arrive."
    return text + until_reason(drivers)


def offer_reason(decision: str, row: Mapping[str, Any], drivers: Mapping[str, Any], order: str | None) -> str:
    """Why something faster than the regular order is worth its price."""
    saved = saved_words(row, drivers)
    kept = (
        f" and {money(drivers['left_over_usd'], row['currency_code'])} for keeping what is left over a day"
        if drivers["left_over_usd"]
        else ""
    )
    quantity = words(drivers["quantity_ea"])
    if decision == "expedite":
        return (
            f"Expedite {quantity} of order {order}: on the usual way it takes {words(drivers['usual_arrival_days_p50'])} more days, expedited "
            f"{words(drivers['arrival_days'])}; that {saved}, for a premium of {money(drivers['premium_usd'], row['currency_code'])}."
        )
    if decision == "transfer":
        return (
            f"Move {quantity} from {drivers['from_id']}, which has {words(drivers['donor_spare_ea'])} to spare, in {words(drivers['arrival_days'])} days: "
            f"{row['source_id']} delivers too late; the move {saved}, for freight of {money(drivers['freight_usd'], row['currency_code'])}{kept}."
        )
    return (
        f"Buy {quantity} from {drivers['from_id']} at {money(drivers['offer_unit_cost_usd'], row['currency_code'])}, there in {words(drivers['arrival_days'])} days: "
        f"{row['source_id']} at {money(drivers['regular_unit_cost_usd'], row['currency_code'])} delivers too late; the switch {saved}, "
        f"for {money(drivers['extra_cost_usd'], row['currency_code'])} more{kept}."
    )


def stock_drivers(row: Mapping[str, Any], since: float, as_of: date) -> dict[str, Any]:
    """The day of the stock report where it is older than the day planned for, with what is not reported since; else nothing."""
    if row["stock_date"] >= as_of:
        return {}
    told = {"stock_date": row["stock_date"].isoformat()}
    missing = {"unreported_days": row["unreported_days"], "unreported_qty_ea": figure(since)}
    return told | missing if row["unreported_days"] else told


def stock_reason(drivers: Mapping[str, Any]) -> str:
    """A sentence on a stock report that is not of the day planned for; empty when it is."""
    if drivers.get("stock_date") is None:
        return ""
    text = f" The stock is the one reported for {drivers['stock_date']}, with what is known to have moved since."
    if drivers.get("unreported_days"):
        text += (
            f" Sales of {drivers['unreported_days']} days since are not reported: {words(drivers['unreported_qty_ea'])} are reckoned with, "
            f"within the expected demand."
        )
    return text


def late_drivers(late: tuple[str, float] | None) -> dict[str, Any]:
    """The open order that is likely late, as stored figures; nothing when there is none."""
    return {} if late is None else {"late_order_number": late[0], "late_probability_frac": figure(late[1])}


def late_reason(drivers: Mapping[str, Any]) -> str:
    """A sentence on the open order that is likely late, so that nobody has to look for it; empty when there is none."""
    if drivers.get("late_order_number") is None:
        return ""
    return (
        f" Order {drivers['late_order_number']} is late with probability {words(drivers['late_probability_frac'])}: "
        f"every faster way was weighed."
    )


def given_drivers(given: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """What a site gives away tonight, in all and by receiving site, as stored figures; nothing when it gives nothing."""
    if not given:
        return {}
    each = {f"given_to_{site}_ea": figure(quantity) for site, quantity in given}
    return {"given_to_ids": [site for site, _ in given], "given_qty_ea": figure(sum(q for _, q in given)), **each}


def given_reason(drivers: Mapping[str, Any]) -> str:
    """A sentence on stock that leaves for other sites tonight, which the decision no longer counts; empty when none does."""
    if not drivers.get("given_to_ids"):
        return ""
    each = ", ".join(f"{words(drivers[f'given_to_{site}_ea'])} to {site}" for site in drivers["given_to_ids"])
    return f" Of what is on hand {words(drivers['given_qty_ea'])} is given away tonight ({each}) and counts as gone."


def doubt_drivers(doubt: Doubt | None) -> dict[str, Any]:
    """The doubtful open orders as stored figures; nothing when there are none."""
    if doubt is None:
        return {}
    return {
        "doubtful_order_number": doubt.order_number, "doubtful_source_id": doubt.source_id, "doubtful_orders": doubt.orders,
        "doubtful_qty_ea": figure(doubt.quantity), "doubtful_waiting_days": figure(doubt.waiting_days),
        "doubtful_limit_days": figure(doubt.limit_days), "wanted_without_doubtful_ea": figure(doubt.without),
    }  # fmt: skip


def doubt_reason(drivers: Mapping[str, Any]) -> str:
    """The question that only a person can answer: whether what has been waited for so long still comes; empty when there is none."""
    if drivers.get("doubtful_order_number") is None:
        return ""
    orders, source = drivers["doubtful_orders"], drivers["doubtful_source_id"] or "its source"
    which = "" if orders == 1 else f", the oldest of {orders} such orders,"
    without = drivers["wanted_without_doubtful_ea"]
    wanted = "" if without is None else f"; without it {words(without)} would be wanted tonight"
    return (
        f" Doubtful: {words(drivers['doubtful_qty_ea'])} of what is on order. Order {drivers['doubtful_order_number']}{which} has been "
        f"waited for {words(drivers['doubtful_waiting_days'])} days, and what is ordered there is asked about after "
        f"{words(drivers['doubtful_limit_days'])}. It still counts, so that no need is ordered twice{wanted}. "
        f"Ask {source} whether it comes, and cancel it if not."
    )


def dumps(data: Any) -> str:
    """Compact JSON with sorted keys, so that the same facts are the same bytes."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
