"""Two years of the sandbox network, played in memory, as the demand mart would show them; with the truth beside."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from ml.datasets import Covariates
from sandbox.api import minmax_policy
from sandbox.calendar import campaigns_running, holidays, is_promoted, price_on
from sandbox.flow import step
from sandbox.state import new_network
from sandbox.writer import read_spec
from tests.model.demand_world import cutoff


def sandbox_world(profile: str, days: int, seed: int = 7) -> tuple[pl.DataFrame, Covariates, pl.DataFrame, date]:
    """Versions of demand at the stores, covariates, true demand per row, last day."""
    spec = read_spec(profile)
    state = new_network(spec, seed)
    net, decide = state.net, minmax_policy(spec.policy)
    stores = np.flatnonzero(np.asarray(net.serving) >= 0)
    frames = []
    for _ in range(days):
        result = step(state, decide(state))
        day = spec.date(result.day)
        price = price_on(net, is_promoted(net, result.day))
        live = ((result.opening + result.receipts + result.sales) > 0)[stores]
        s, i = np.nonzero(live)
        site = stores[s]
        frames.append(
            pl.DataFrame(
                {
                    "item_id": [net.item_ids[k] for k in i],
                    "site_id": [net.site_ids[k] for k in site],
                    "demand_date": [day] * s.size,
                    "sales_qty_ea": result.sales[site, i].astype(float),
                    "is_stockout": result.closing[site, i] <= 0,
                    "price_usd": price[site, i],
                    "true_ea": result.demand[site, i].astype(float),
                }
            )
        )
    rows = pl.concat(frames)
    cuts = {day: cutoff(day) - timedelta(hours=3) for day in rows["demand_date"].unique().to_list()}
    rows = rows.with_columns(
        pl.col("demand_date").replace_strict(cuts, return_dtype=pl.Datetime("us", "UTC")).alias("available_at_utc"),
        pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("superseded_at_utc"),
    )
    last = spec.date(days - 1)
    return rows.drop("true_ea"), _covariates(net, spec, days), rows, last


def _covariates(net: object, spec: object, days: int) -> Covariates:
    promotions = []
    for c in campaigns_running(net, 0, days + 60):  # type: ignore[arg-type]
        sites = [net.site_ids[k] for k in np.flatnonzero(np.asarray(net.serving) == c.centre)]  # type: ignore[attr-defined]
        start, length = spec.date(c.start), c.end - c.start  # type: ignore[attr-defined]
        promotions += [
            (net.item_ids[k], site, start, start + timedelta(days=length), float(net.price[k] * (1 - net.discount[k])), cutoff(start - timedelta(days=35)))  # type: ignore[attr-defined]
            for k in c.items for site in sites
        ]  # fmt: skip
    frame = pl.DataFrame(
        promotions,
        schema=["item_id", "site_id", "start_date", "end_date", "promo_price_usd", "available_at_utc"],
        orient="row",
    )
    years = range(spec.date(0).year, spec.date(days + 60).year + 2)  # type: ignore[attr-defined]
    days_off = [
        (h.date, bool(h.is_closed), datetime(2000, 1, 1, tzinfo=cutoff(h.date).tzinfo))
        for y in years
        for h in holidays(y)
    ]
    off = pl.DataFrame(days_off, schema=["holiday_date", "is_closed", "available_at_utc"], orient="row")
    return Covariates(
        frame.cast({"available_at_utc": pl.Datetime("us", "UTC")}),
        off.cast({"available_at_utc": pl.Datetime("us", "UTC")}),
    )
