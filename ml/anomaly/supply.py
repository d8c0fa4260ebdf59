"""Supply that does not add up: stock identities that break, lanes whose lead time changed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from aios_assets.contracts.errors import BadInputError
from ml.anomaly.findings import discoveries, finding_rows
from ml.lead_time.changes import arrivals_tested, is_quicker, is_slower, sources_before_lanes
from ml.lead_time.lanes import fit_lead_times, lead_time_observations


def stock_identity_breaks(
    inventory: pl.DataFrame,
    *,
    available_at_utc: datetime,
    unit_value: pl.DataFrame | None = None,
    tolerance_ea: float = 0.5,
) -> pl.DataFrame:
    """Days on which opening + receipts − outbound + adjustments is not closing: rows of kind `stock_identity`.

    Args:
        inventory: current versions of `fct_inventory_daily` of the days to judge; a null residual cannot be judged.
        available_at_utc: cut-off of the night.
        unit_value: `item_id, unit_cost_usd`; money at risk is the residual at cost.
        tolerance_ea: residual up to which the books agree.
    """
    rows = inventory.filter(pl.col("residual_qty_ea").abs() > tolerance_ea)
    cost = pl.lit(None, dtype=pl.Float64).alias("unit_cost_usd")
    rows = rows.with_columns(cost) if unit_value is None else rows.join(
        unit_value.select("item_id", "unit_cost_usd").unique(subset=["item_id"], keep="first"), on="item_id", how="left"
    )  # fmt: skip
    out = [
        {
            "finding_date": r["inventory_date"], "kind_code": "stock_identity", "item_id": r["item_id"], "site_id": r["site_id"],
            "subject": f"{r['item_id']}@{r['site_id']}", "value": r["closing_qty_ea"],
            "expected_value": None if r["closing_qty_ea"] is None else r["closing_qty_ea"] + r["residual_qty_ea"],
            "money_at_risk_usd": None if r["unit_cost_usd"] is None else abs(r["residual_qty_ea"]) * r["unit_cost_usd"],
            "reason": f"{abs(r['residual_qty_ea']):g} ea {'missing' if r['residual_qty_ea'] > 0 else 'too many'} at close: "
            "opening + receipts − outbound + adjustments is not closing",
            "document_id": r.get("document_id"),
        }
        for r in rows.iter_rows(named=True)
    ]  # fmt: skip
    return finding_rows(out, available_at_utc)


def lead_time_changes(
    orders: pl.DataFrame, *, as_of: date, available_at_utc: datetime, recent_days: int = 42, rate: float = 0.05, min_orders: int = 5,
    min_ratio: float = 1.3,
) -> pl.DataFrame:  # fmt: skip
    """Lanes, or sources as a whole, whose recent orders take longer or shorter than before: rows of kind `lead_time_change`.

    The orders of the last `recent_days` are tested against curves learned from those before (`ml.lead_time.changes`).

    Args:
        orders: rows like `fct_purchase_order_lines`; with `open_qty_ea` and `unit_price_usd` money at risk is the value
            on order on that lane.
        as_of: last day known.
        available_at_utc: its cut-off.
        recent_days: order dates tested.
        rate: share of findings that may be false.
        min_orders: fewest recent orders of a lane.
        min_ratio: smallest change of the arrival rate that matters.
    """
    cut = as_of - timedelta(days=recent_days)
    try:
        before = fit_lead_times(orders.filter(pl.col("order_date") <= cut), cut, half_life_days=0.0)
    except BadInputError:
        return MON_FINDINGS.empty()
    obs, _ = lead_time_observations(orders.filter(pl.col("order_date") > cut), as_of)
    if obs.height == 0:
        return MON_FINDINGS.empty()
    index = before.curve_of(obs["source_id"].to_list(), obs["site_id"].to_list())
    known = np.array([before.received[i] for i in index], dtype=np.float64)
    tested = arrivals_tested(obs, before.curves, index, known, min_orders)
    changed = is_slower(min_ratio) | is_quicker(min_ratio)
    found = tested.filter(pl.Series(discoveries(tested["p"].to_numpy(), rate)) & changed)
    return finding_rows(_lane_findings(sources_before_lanes(found), orders, as_of, recent_days), available_at_utc)


def _lane_findings(found: pl.DataFrame, orders: pl.DataFrame, as_of: date, recent_days: int) -> list[dict[str, object]]:
    value = {"open_qty_ea", "unit_price_usd"} <= set(orders.columns)
    out: list[dict[str, object]] = []
    for r in found.iter_rows(named=True):
        money = None
        if value:
            here = pl.lit(True) if r["site_id"] is None else pl.col("site_id") == r["site_id"]
            lane = orders.filter((pl.col("source_id") == r["source_id"]) & here)
            money = float(lane.select((pl.col("open_qty_ea") * pl.col("unit_price_usd")).sum()).item() or 0.0)
        slower = r["arrived"] < r["expected"]
        out.append(
            {
                "finding_date": as_of, "kind_code": "lead_time_change", "item_id": None, "site_id": r["site_id"],
                "subject": r["source_id"] if r["site_id"] is None else f"{r['source_id']}>{r['site_id']}", "value": r["arrived"], "expected_value": r["expected"], "money_at_risk_usd": money,
                "reason": f"orders of the last {recent_days} days arrive {'slower' if slower else 'faster'} than before: "
                f"{r['arrived']:.1f} arrived where {r['expected']:.1f} were expected by now (p = {r['p']:.1e})",
            }
        )  # fmt: skip
    return out
