"""A two-echelon network of any size for speed and invariants, from a seed."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from planning.inputs import PlanInputs
from tests.unit.planning.planning_world import AS_OF, AT, lane, lead, orders, sites


def network(n_items: int, n_stores: int, seed: int = 1, centres: int = 1) -> PlanInputs:
    """Items in `centres` centres and `n_stores` stores; stock, open orders, costs and speeds drawn from `seed`."""
    rng = np.random.default_rng(seed)
    item_ids = [f"I{i:05d}" for i in range(n_items)]
    stores = [f"S{i:03d}" for i in range(n_stores)]
    dcs = [f"DC{i}" for i in range(centres)]
    serving = {s: dcs[k % centres] for k, s in enumerate(stores)}
    pairs = [(i, s) for i in item_ids for s in stores]
    n, days = len(pairs), 28
    mean = np.exp(rng.normal(0.5, 1.0, n))
    z = np.array([-1.645, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.645])
    q = mean[:, None] * np.exp(0.7 * z[None] - 0.245)
    rep = {f"demand_qty_ea_p{round(p * 100):02d}": np.repeat(q[:, k], days) for k, p in enumerate(QUANTILES)}
    horizon = np.tile(np.arange(1, days + 1), n)
    forecasts = pl.DataFrame(
        {
            "item_id": np.repeat([p[0] for p in pairs], days), "site_id": np.repeat([p[1] for p in pairs], days),
            "horizon_days": horizon, "demand_qty_ea_mean": np.repeat(mean, days), **rep,
        }
    ).with_columns(
        pl.lit(AS_OF).alias("origin_date"), pl.lit("7").alias("model_version"), pl.lit(False).alias("is_fallback"),
        pl.lit("smooth").alias("demand_class"), pl.lit(AT).alias("available_at_utc"), pl.col("horizon_days").cast(pl.Int32),
    )  # fmt: skip
    on_hand = np.floor(mean * rng.uniform(0, 10, n))
    by_dc: dict[tuple[str, str], float] = {}
    for (i, s), m in zip(pairs, mean, strict=True):
        by_dc[(i, serving[s])] = by_dc.get((i, serving[s]), 0.0) + m
    held = [(i, s, float(h)) for (i, s), h in zip(pairs, on_hand, strict=True)]
    held += [(i, d, float(np.floor(m * rng.uniform(0, 20)))) for (i, d), m in sorted(by_dc.items())]
    stock = pl.DataFrame(
        held, schema={"item_id": pl.String, "site_id": pl.String, "on_hand_qty_ea": pl.Float64}, orient="row"
    )
    lines = []
    for k in range(0, n, 5):
        i, s = pairs[k]
        lines.append(
            {"order_number": f"O{k}", "item_id": i, "site_id": s, "source_id": serving[s], "open_qty_ea": float(np.ceil(mean[k] * 3)),
             "order_date": AS_OF - timedelta(days=2), "expected_date": AS_OF + timedelta(days=1), "promised_date": None, "requested_date": None}
        )  # fmt: skip
    cost = np.round(np.exp(rng.normal(1, 0.6, n_items)), 2)
    suppliers = ["SUP1", "SUP2", "SUP3"]
    of_item = [suppliers[k % 3] for k in range(n_items)]
    items = pl.DataFrame(
        {
            "item_id": item_ids, "pack_ea": rng.choice([1, 6, 12], n_items).astype(np.int32), "unit_cost_usd": cost,
            "unit_price_usd": np.round(cost * 1.5, 2), "supplier_id": of_item,
        }
    )  # fmt: skip
    lanes = [lane(serving[s], s, 2.0) for s in stores] + [
        lane(serving[s], s, 1.0, "expedite", 5.0, 0.2) for s in stores
    ]
    lanes += [lane(u, d, 8.0) for u in [*suppliers, "SUPX"] for d in dcs]
    lanes += [lane(a, b, 1.0, fixed=4.0, each=0.1) for a in stores[:3] for b in stores[:3] if a != b]
    leads = [lead(serving[s], s, 2.0, 0.4) for s in stores] + [lead(u, d, 8.0, 2.0) for u in suppliers for d in dcs]
    leads += [lead("SUPX", d, 3.0, 0.5) for d in dcs]
    seller = pl.DataFrame(
        {
            "supplier_id": [*of_item, *["SUPX"] * n_items], "item_id": item_ids * 2,
            "unit_cost_usd": np.concatenate([cost, cost * 1.1]), "minimum_order_ea": np.full(2 * n_items, 6.0),
            "preference_no": np.array([1] * n_items + [2] * n_items, dtype=np.int32),
        }
    )  # fmt: skip
    return PlanInputs(
        forecasts=forecasts, stock=stock.with_columns(pl.lit(AS_OF).alias("stock_date")), open_orders=orders(*lines), items=items,
        sites=sites(*((d, "dc", None) for d in dcs), *((s, "store", serving[s]) for s in stores)),
        suppliers=pl.DataFrame(
            {"supplier_id": [*suppliers, "SUPX"], "minimum_order_usd": [100.0, 400.0, None, None], "order_weekdays": ["135", "12345", None, None]}
        ),
        lanes=pl.DataFrame(lanes), lead_times=pl.DataFrame(leads), supplier_items=seller,
    )  # fmt: skip
