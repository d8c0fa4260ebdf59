"""What sold day by day and sells nothing any more though there is stock: not listed, not on the shelf, not reported."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from ml.anomaly.findings import discoveries, finding_rows

PLACE = ["item_id", "site_id"]
CLOSED_ITEMS = 5  # of so many items at a site, a day on which none sold is a closed day and says nothing of any item
LEAST_DAYS, LEAST_HISTORY_DAYS = 5, 28
WEEKS_AT_RISK = 4


def zero_runs(
    demand: pl.DataFrame,
    *,
    as_of: date,
    available_at_utc: datetime,
    history_days: int = 42,
    recent_days: int = 28,
    rate: float = 0.01,
    unit_value: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Item × site that sold nothing for longer than chance allows: rows of kind `zero_run`, each run once, on its first day.

    The probability of n open days without a sale is p0 to the power of n, p0 being the share of such days in the history before them, as if
    two days more had been seen, one of each (Laplace). A run may begin on any day, so it counts as often as the history has days.

    Args:
        demand: current versions of `fct_demand_daily`: `item_id, site_id, demand_date, sales_qty_ea`; days that ended without stock
            (`is_stockout`) are left out.
        as_of: last day known.
        available_at_utc: its cut-off.
        history_days: days before the run that say how often it sells.
        recent_days: a run that began earlier is old news.
        rate: share of findings that may be false.
        unit_value: `item_id, unit_price_usd`; money at risk is four weeks of usual sales.
    """
    first = as_of - timedelta(days=history_days + recent_days - 1)
    runs = _runs(demand.filter(pl.col("demand_date").is_between(first, as_of)), as_of - timedelta(days=recent_days))
    if runs.is_empty():
        return MON_FINDINGS.empty()
    p0 = (pl.col("zeros") + 1.0) / (pl.col("history") + 2.0)
    runs = runs.with_columns(p=(p0.pow(pl.col("n")) * pl.col("history")).clip(upper_bound=1.0))
    found = runs.filter(pl.Series(discoveries(runs["p"].to_numpy(), rate)) & (pl.col("n") >= LEAST_DAYS))
    prices = {} if unit_value is None else dict(unit_value.select("item_id", "unit_price_usd").drop_nulls().iter_rows())
    return finding_rows((_found(r, prices.get(r["item_id"])) for r in found.iter_rows(named=True)), available_at_utc)


def _runs(days: pl.DataFrame, since: date) -> pl.DataFrame:
    """Per item and site that sold after `since`: open days with stock up to the last sale, those without a sale, and those after it."""
    if "is_stockout" in days.columns:
        days = days.filter(~pl.col("is_stockout"))
    sold = pl.col("sales_qty_ea")
    is_open = (sold.sum().over("site_id", "demand_date") > 0) | (pl.len().over("site_id", "demand_date") < CLOSED_ITEMS)
    last = pl.col("demand_date").filter(sold > 0).max().over(PLACE)
    days = days.filter(is_open).with_columns(last=last).filter(pl.col("last") > since)
    before, after = pl.col("demand_date") <= pl.col("last"), pl.col("demand_date") > pl.col("last")
    runs = days.group_by(PLACE).agg(
        history=before.sum(), zeros=(before & (sold <= 0)).sum(), n=after.sum(),
        first=pl.col("demand_date").filter(after).min(), usual=sold.filter(before).mean(),
    )  # fmt: skip
    return runs.filter(pl.col("history") >= LEAST_HISTORY_DAYS).sort(PLACE)


def _found(r: dict[str, object], price: float | None) -> dict[str, object]:
    usual = float(str(r["usual"]))
    return {
        "finding_date": r["first"], "kind_code": "zero_run", "item_id": r["item_id"], "site_id": r["site_id"],
        "subject": f"{r['item_id']}@{r['site_id']}", "value": 0.0, "expected_value": usual,
        "money_at_risk_usd": None if price is None else usual * 7 * WEEKS_AT_RISK * price,
        "reason": f"nothing sold on {r['n']} open days with stock since {r['first']}, where {usual:.2f} a day sold before and "
        f"{r['zeros']} of {r['history']} days had none (p = {r['p']:.1e}): look at the shelf, the listing and the stock count",
    }  # fmt: skip
