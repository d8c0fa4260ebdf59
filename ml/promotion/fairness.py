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


def gap_rise(champion: pl.DataFrame, challenger: pl.DataFrame, *, key: str, newest: date | None) -> Evidence:
    """How much wider the gap between large and small gets with the challenger: its `service_gap` less the champion's.

    A gap that is there already is not the challenger's doing; what it adds is.

    Args:
        champion: rows of `mon_cost_trials` of the champion's side, with `key`.
        challenger: the same of the challenger's side.
        key: `site_id` or `supplier_id`; its size is the demand played.
        newest: newest day played.
    """
    size = champion.group_by(key).agg(pl.col("wanted_qty_ea").sum().alias("size"))
    gaps = [service_gap(_served(side, key), size, key=key, newest=newest) for side in (champion, challenger)]
    problem = gaps[0].problem or gaps[1].problem
    if problem or gaps[0].value is None or gaps[1].value is None:
        return Evidence(None, gaps[1].rows, newest, problem=problem)
    details = {"champion": dict(gaps[0].details), "challenger": dict(gaps[1].details)}
    return Evidence(gaps[1].value - gaps[0].value, gaps[1].rows, newest, details=details)


def _served(side: pl.DataFrame, key: str) -> pl.DataFrame:
    served = (pl.col("wanted_qty_ea") - pl.col("lost_qty_ea")).sum().alias("sales_qty_ea")
    return side.group_by("item_id", "site_id", *({key} - {"item_id", "site_id"})).agg(
        served, pl.col("wanted_qty_ea").sum()
    )


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
