"""Supply that does not add up: stock identities that break, lanes whose lead time changed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from aios_assets.contracts.errors import BadInputError
from ml.anomaly.findings import discoveries, finding_rows
from ml.lead_time.lanes import LeadTimeModel, fit_lead_times, lead_time_observations
from ml.lead_time.survival import Floats, Ints, survive


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

    One-sample log-rank test (Breslow 1975) of the orders of the last `recent_days`, open ones included as censored,
    against the lane's curve learned from the orders before, in whole days: each order adds the sum of its daily hazards h to
    what was expected and the sum of h (1 − h) to the variance, so that a lane on which nearly all arrive on one day is
    judged by that day and not by the logarithm of a share close to zero.

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
    expected, spread = _compensator(before, index, obs["days"].to_numpy().astype(np.int64), known)
    obs = obs.with_columns(pl.Series("expected", expected), pl.Series("spread", spread), pl.Series("known", known))
    # A supplier that slows down does so everywhere: all its lanes together show it before one of them does.
    several = obs.filter(pl.col("site_id").n_unique().over("source_id") > 1)
    tested = pl.concat(
        [_tally(obs, min_orders), _tally(several.with_columns(site_id=pl.lit(None, pl.String)), min_orders)]
    )
    p = _log_rank_p(tested)
    slower = pl.col("arrived") * min_ratio <= pl.col("expected")
    faster = pl.col("arrived") >= pl.col("expected") * min_ratio
    found = tested.with_columns(pl.Series("p", p)).filter(
        pl.Series(discoveries(p, rate)) & tested.select(slower | faster).to_series()
    )
    whole = found.filter(pl.col("site_id").is_null())["source_id"].implode()
    once = found.filter(pl.col("site_id").is_null() | ~pl.col("source_id").is_in(whole))
    return finding_rows(_lane_findings(once, orders, as_of, recent_days), available_at_utc)


def _tally(obs: pl.DataFrame, min_orders: int) -> pl.DataFrame:
    """Arrivals beside what was expected, per source and site, where there are orders enough to say."""
    return (
        obs.group_by("source_id", "site_id")
        .agg(
            (pl.col("is_received") * pl.col("weight")).sum().alias("arrived"),
            (pl.col("expected") * pl.col("weight")).sum().alias("expected"),
            (pl.col("spread") * pl.col("weight")).sum().alias("spread"),
            pl.col("cluster").n_unique().alias("orders"),
            pl.col("known").min(),
        )
        .filter((pl.col("orders") >= min_orders) & (pl.col("expected") > 0.5))
        .sort("source_id", "site_id")
    )


def _compensator(before: LeadTimeModel, index: Ints, days: Ints, known: Floats) -> tuple[Floats, Floats]:
    """Sum of daily hazards up to each row's days, and of their variances; a day that no earlier order lived to expects nothing."""
    grid = np.arange(int(days.max()) + 1)
    curves = np.unique(index)
    survival = survive(before.curves, np.repeat(curves, grid.size), np.tile(grid, curves.size)).reshape(
        curves.size, grid.size
    )
    place = np.searchsorted(curves, index)
    learned_from = np.zeros(curves.size)
    learned_from[place] = known
    alive = np.concatenate([np.ones((curves.size, 1)), survival[:, :-1]], axis=1)
    # Half an order more at risk than there was: one arrival among the last few says little about the next.
    hazard = learned_from[:, None] * (alive - survival) / (learned_from[:, None] * alive + 0.5)
    expected, spread = np.cumsum(hazard, axis=1), np.cumsum(hazard * (1.0 - hazard), axis=1)
    return expected[place, days], spread[place, days]


def _log_rank_p(lanes: pl.DataFrame) -> Floats:
    """Two-sided p of arrivals against the expected, widened by the error of a curve that was itself learned from few orders."""
    from scipy.special import ndtr

    arrived, expected = lanes["arrived"].to_numpy(), lanes["expected"].to_numpy()
    known = np.maximum(lanes["known"].to_numpy(), 1.0)
    deviation = np.sqrt(np.maximum(lanes["spread"].to_numpy(), 0.25) * (1.0 + expected / known))
    # Continuity correction: arrivals are whole.
    z = np.maximum(np.abs(arrived - expected) - 0.5, 0.0) / deviation
    return np.asarray(2.0 * ndtr(-z), dtype=np.float64)


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
