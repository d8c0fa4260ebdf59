"""Fairness of service, as inputs of gates: small sites and small suppliers must not pay for the average."""

from __future__ import annotations

from datetime import date

import polars as pl

from aios_assets.contracts.gates import Evidence


def service_gap(units: pl.DataFrame, size: pl.DataFrame, *, key: str, newest: date | None) -> Evidence:
    """Fill rate of the largest third less that of the smallest third, by size; negative when the small are served better.

    Args:
        units: sums per item × site: `sales_qty_ea, wanted_qty_ea` and `key`.
        size: `key, size` (yearly sales of a site, order value of a supplier).
        key: `site_id` or `supplier_id`.
        newest: newest day in the sums.
    """
    joined = units.join(size, on=key, how="inner")
    names = size.sort("size", key)[key].to_list()
    third = len(names) // 3
    if third < 1:
        return Evidence(None, joined.height, newest, problem=f"only {len(names)} values of {key}, three are needed")
    rates = {}
    for label, group in (("small", names[:third]), ("large", names[-third:])):
        part = joined.filter(pl.col(key).is_in(group))
        wanted = float(part["wanted_qty_ea"].sum())
        if wanted <= 0:
            return Evidence(None, joined.height, newest, problem=f"the {label} third of {key} had no demand")
        rates[label] = float(part["sales_qty_ea"].sum()) / wanted
    return Evidence(rates["large"] - rates["small"], joined.height, newest, details={**rates, "third": third})


def concentration(orders: pl.DataFrame) -> float:
    """Herfindahl index of order value by supplier: 1 is one supplier, 1/n is even among n.

    Args:
        orders: `source_id, order_cost_usd`.
    """
    by = orders.group_by("source_id").agg(pl.col("order_cost_usd").sum())
    total = float(by["order_cost_usd"].sum())
    return float(((by["order_cost_usd"] / total) ** 2).sum()) if total > 0 else 0.0


def concentration_rise(champion: pl.DataFrame, challenger: pl.DataFrame, newest: date | None) -> Evidence:
    """Rise of the Herfindahl index from the champion's orders to the challenger's."""
    rows = min(champion.height, challenger.height)
    if rows == 0:
        return Evidence(None, 0, newest, problem="one of both ordered nothing")
    return Evidence(concentration(challenger) - concentration(champion), rows, newest)
