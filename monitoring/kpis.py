"""Business KPIs with frozen definitions; grain of the result: one KPI and window.

fill rate = units sold / (units sold + estimated units lost); a day that closed without stock is estimated to have lost
the item's mean in-stock sales less what was sold, and never less than nothing.
stock-out share = item × site × days that closed without stock over all reported.
days of inventory = closing value at cost over mean daily sales at cost.
expedite cost per unit = premium paid over units sold.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from aios_assets.contracts.errors import BadInputError

KPI_SCHEMA = pl.Schema(
    {
        "kpi_date": pl.Date(), "kpi_code": pl.String(), "value": pl.Float64(),
        "numerator": pl.Float64(), "denominator": pl.Float64(), "rows": pl.Int64(),
    }
)  # fmt: skip


def demand_days(demand: pl.DataFrame, *, kpi_date: date, window_days: int = 28, history_days: int = 84) -> pl.DataFrame:
    """Item × site × days of the window with `lost_qty_ea`, the estimate of what a stock-out cost.

    Args:
        demand: current versions of `fct_demand_daily`.
        kpi_date: last day.
        window_days: days judged.
        history_days: days over which the in-stock mean is taken.
    """
    missing = [
        c for c in ("item_id", "site_id", "demand_date", "sales_qty_ea", "is_stockout") if c not in demand.columns
    ]
    if missing:
        raise BadInputError(
            f"demand lacks {', '.join(missing)}", where="business KPIs", todo="give rows of fct_demand_daily"
        )
    recent = demand.filter(pl.col("demand_date").is_between(kpi_date - timedelta(days=history_days - 1), kpi_date))
    mean = (
        recent.filter(~pl.col("is_stockout"))
        .group_by("item_id", "site_id")
        .agg(pl.col("sales_qty_ea").mean().alias("in_stock_mean_ea"))
    )
    window = recent.filter(pl.col("demand_date") > kpi_date - timedelta(days=window_days)).join(
        mean, on=["item_id", "site_id"], how="left"
    )
    lost = (pl.col("in_stock_mean_ea").fill_null(0.0) - pl.col("sales_qty_ea")).clip(lower_bound=0.0)
    return window.with_columns(pl.when("is_stockout").then(lost).otherwise(0.0).alias("lost_qty_ea"))


def unit_service(
    demand: pl.DataFrame, assignment: pl.DataFrame, *, first: date, last: date, expedite: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Sums of service per item and site over a stretch of days, with the side of the rollout it is on.

    Args:
        demand: versions of `fct_demand_daily` as known, with 84 days before `first` for what stock-outs lost.
        assignment: `item_id, site_id, is_canary`.
        first: first day.
        last: last day.
        expedite: `item_id, site_id, expedite_cost_usd` paid in the stretch; null where nothing was.

    Returns:
        `item_id, site_id, is_canary, sales_qty_ea, wanted_qty_ea, days, stockout_days, expedite_cost_usd`, sorted; units
        without a reported day are not in it.
    """
    span = (last - first).days + 1
    days = demand_days(demand, kpi_date=last, window_days=span, history_days=span + 84)
    units = days.group_by("item_id", "site_id").agg(
        pl.col("sales_qty_ea").sum(),
        (pl.col("sales_qty_ea") + pl.col("lost_qty_ea")).sum().alias("wanted_qty_ea"),
        pl.len().cast(pl.Float64).alias("days"),
        pl.col("is_stockout").sum().cast(pl.Float64).alias("stockout_days"),
    )
    joined = units.join(assignment.select("item_id", "site_id", "is_canary"), on=["item_id", "site_id"])
    if expedite is None:
        return joined.with_columns(pl.lit(0.0).alias("expedite_cost_usd")).sort("item_id", "site_id")
    paid = expedite.group_by("item_id", "site_id").agg(pl.col("expedite_cost_usd").sum())
    return (
        joined.join(paid, on=["item_id", "site_id"], how="left")
        .with_columns(pl.col("expedite_cost_usd").fill_null(0.0))
        .sort("item_id", "site_id")
    )


def sides_compared(units: pl.DataFrame) -> pl.DataFrame:
    """Canary against control: `kpi_code, canary, control, difference`, from the sums of `unit_service`."""
    ratios = {
        "fill_rate_frac": ("sales_qty_ea", "wanted_qty_ea"),
        "stockout_frac": ("stockout_days", "days"),
        "expedite_cost_usd_per_ea": ("expedite_cost_usd", "sales_qty_ea"),
    }
    rows = []
    for code, (above, below) in ratios.items():
        sides = []
        for side in (True, False):
            part = units.filter(pl.col("is_canary") == side)
            bottom = float(part[below].sum())
            sides.append(float(part[above].sum()) / bottom if bottom > 0 else None)
        gap = sides[0] - sides[1] if sides[0] is not None and sides[1] is not None else None
        rows.append({"kpi_code": code, "canary": sides[0], "control": sides[1], "difference": gap})
    kinds = {"kpi_code": pl.String, "canary": pl.Float64, "control": pl.Float64, "difference": pl.Float64}
    return pl.DataFrame(rows, schema=kinds)


def business_kpis(
    demand: pl.DataFrame,
    *,
    kpi_date: date,
    window_days: int = 28,
    items: pl.DataFrame | None = None,
    expedite_cost_usd: float | None = None,
) -> pl.DataFrame:
    """KPIs of the window.

    Args:
        demand: current versions of `fct_demand_daily`, 84 days of it.
        kpi_date: last day.
        window_days: days judged.
        items: `dim_item` with `unit_cost_usd`, for days of inventory.
        expedite_cost_usd: premium paid in the window; None leaves that KPI out.

    Returns:
        Frame of `KPI_SCHEMA`; value is null where the denominator is zero.
    """
    days = demand_days(demand, kpi_date=kpi_date, window_days=window_days)
    sold, lost = float(days["sales_qty_ea"].sum()), float(days["lost_qty_ea"].sum())
    out, reported = float(days["is_stockout"].sum()), float(days.height)
    rows = [
        ("fill_rate_frac", sold, sold + lost, days.height),
        ("stockout_frac", out, reported, days.height),
    ]
    if items is not None and "closing_qty_ea" in days.columns:
        rows.append(_inventory_days(days, items, kpi_date))
    if expedite_cost_usd is not None:
        rows.append(("expedite_cost_usd_per_ea", expedite_cost_usd, sold, days.height))
    found = pl.DataFrame(
        [{"kpi_date": kpi_date, "kpi_code": c, "numerator": n, "denominator": d, "rows": k} for c, n, d, k in rows],
        schema={name: kind for name, kind in KPI_SCHEMA.items() if name != "value"},
    )
    value = pl.when(pl.col("denominator") > 0).then(pl.col("numerator") / pl.col("denominator"))
    return found.with_columns(value.alias("value")).select(KPI_SCHEMA.names()).sort("kpi_code")


def _inventory_days(days: pl.DataFrame, items: pl.DataFrame, kpi_date: date) -> tuple[str, float, float, int]:
    costed = days.join(items.select("item_id", "unit_cost_usd").drop_nulls(), on="item_id", how="inner")
    span = costed["demand_date"].n_unique()
    closing = (
        costed.filter(pl.col("demand_date") == kpi_date)
        .select((pl.col("closing_qty_ea") * pl.col("unit_cost_usd")).sum())
        .item()
    )
    sold = costed.select((pl.col("sales_qty_ea") * pl.col("unit_cost_usd")).sum()).item()
    return "inventory_days", float(closing or 0.0), float(sold or 0.0) / max(span, 1), costed.height
