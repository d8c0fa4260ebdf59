"""A small trading network for planning tests, stated in full: nothing in it comes from the code under test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import PRED_DEMAND_28D, QUANTILES
from planning.inputs import PlanInputs

AS_OF = date(2026, 1, 5)
AT = datetime(2026, 1, 6, 1, tzinfo=UTC)


def forecast(item: str, site: str, mean: float, spread: float = 0.6, days: int = 28) -> pl.DataFrame:
    """Forecast rows of one series with quantiles symmetric in log around the mean."""
    z = np.array([-1.645, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.645])
    q = mean * np.exp(spread * z - spread**2 / 2)
    rows = {
        "item_id": [item] * days, "site_id": [site] * days, "origin_date": [AS_OF] * days,
        "horizon_days": list(range(1, days + 1)),
        "target_date": [AS_OF + timedelta(days=h) for h in range(1, days + 1)],
        "demand_qty_ea_mean": [mean] * days,
        **{f"demand_qty_ea_p{round(p * 100):02d}": [float(v)] * days for p, v in zip(QUANTILES, q, strict=True)},
        "model_name": ["m"] * days, "model_version": ["3"] * days, "model_digest": ["d"] * days,
        "is_fallback": [False] * days, "fallback_reason": [None] * days, "demand_class": ["smooth"] * days,
        "available_at_utc": [AT] * days, "origin_month": ["2026-01"] * days,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=PRED_DEMAND_28D.schema)


def stock(*rows: tuple[str, str, float | None], day: date = AS_OF) -> pl.DataFrame:
    """Stock rows (item, site, on hand)."""
    return pl.DataFrame(
        [(i, s, q, day) for i, s, q in rows],
        schema={"item_id": pl.String, "site_id": pl.String, "on_hand_qty_ea": pl.Float64, "stock_date": pl.Date},
        orient="row",
    )


def order(
    number: str, item: str, site: str, source: str, qty: float, ordered: date, expected: date | None = None
) -> dict[str, object]:
    """One open order line."""
    return {
        "order_number": number, "item_id": item, "site_id": site, "source_id": source, "open_qty_ea": qty,
        "order_date": ordered, "expected_date": expected, "promised_date": None, "requested_date": None,
    }  # fmt: skip


def orders(*rows: dict[str, object]) -> pl.DataFrame | None:
    """Open order frame."""
    if not rows:
        return None
    return pl.DataFrame(
        list(rows),
        schema={
            "order_number": pl.String, "item_id": pl.String, "site_id": pl.String, "source_id": pl.String,
            "open_qty_ea": pl.Float64, "order_date": pl.Date, "expected_date": pl.Date, "promised_date": pl.Date,
            "requested_date": pl.Date,
        },
    )  # fmt: skip


def lane(
    origin: str, to: str, days: float, mode: str = "standard", fixed: float = 0.0, each: float = 0.0
) -> dict[str, object]:
    """One lane."""
    return {
        "origin_id": origin, "destination_id": to, "mode_code": mode, "carrier_id": None, "quoted_lead_time_days": days,
        "cost_per_order_usd": fixed, "cost_per_ea_usd": each,
    }  # fmt: skip


def items(*rows: tuple[str, int, float | None, float | None], supplier: str | None = "SUP") -> pl.DataFrame:
    """Items (id, pack, cost, price)."""
    return pl.DataFrame(
        [(i, p, c, v, supplier) for i, p, c, v in rows],
        schema={"item_id": pl.String, "pack_ea": pl.Int32, "unit_cost_usd": pl.Float64, "unit_price_usd": pl.Float64, "supplier_id": pl.String},
        orient="row",
    )  # fmt: skip


def sites(*rows: tuple[str, str, str | None], capacity: dict[str, float] | None = None) -> pl.DataFrame:
    """Sites (id, type, serving)."""
    return pl.DataFrame(
        [(s, t, v, (capacity or {}).get(s)) for s, t, v in rows],
        schema={"site_id": pl.String, "site_type": pl.String, "serving_site_id": pl.String, "storage_capacity_ea": pl.Float64},
        orient="row",
    )  # fmt: skip


def lead(source: str, site: str, p50: float, spread: float = 0.0) -> dict[str, object]:
    """One lead-time forecast whose quantiles spread symmetrically."""
    steps = dict(
        zip(("p05", "p10", "p25", "p50", "p75", "p90", "p95"), (-1.6, -1.3, -0.7, 0, 0.7, 1.3, 1.6), strict=True)
    )
    return {
        "source_id": source, "site_id": site, "origin_date": AS_OF, "lead_time_days_mean": p50,
        **{f"lead_time_days_{k}": max(p50 + spread * v, 0.0) for k, v in steps.items()},
    }  # fmt: skip


def simple(
    on_hand: float | None = 0.0, mean: float = 5.0, pack: int = 1, days: float = 3.0, **more: object
) -> PlanInputs:
    """One item at one store, bought straight from SUP."""
    given: dict[str, object] = {
        "forecasts": forecast("A", "S1", mean),
        "stock": None if on_hand is None else stock(("A", "S1", on_hand)),
        "items": items(("A", pack, 2.0, 3.0)),
        "sites": sites(("S1", "store", None)),
        "lanes": pl.DataFrame([lane("SUP", "S1", days)]),
    }
    return PlanInputs(**(given | more))  # type: ignore[arg-type]
