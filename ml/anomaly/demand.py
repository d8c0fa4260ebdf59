"""Demand that its own forecast did not allow: single days, changes of level, and quantities off by the pack size.

A day is tested by its two-sided tail probability under the forecast (negative binomial with the forecast's mean and
spread); over all item × site × days of a night the rate of false discoveries is controlled.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from ml.anomaly.findings import Floats, discoveries, finding_rows


def tail_probability(actual: Floats, mean: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """P(Y ≤ actual) and P(Y ≥ actual) of a negative binomial with this mean and deviation, in eaches.

    A deviation below the Poisson's is raised to it: counts cannot be steadier than that for long.
    """
    from scipy.special import betainc

    mean = np.maximum(mean, 1e-3)
    variance = np.maximum(sd**2, mean * 1.001)
    size = mean**2 / (variance - mean)
    p = mean / variance
    y = np.maximum(np.floor(actual), 0.0)
    at_most = betainc(size, y + 1.0, p)
    at_least = np.where(y <= 0, 1.0, betainc(np.maximum(y, 1.0), size, 1.0 - p))
    return np.asarray(at_most), np.asarray(at_least)


def _spread(rows: pl.DataFrame) -> tuple[Floats, Floats]:
    """Mean and deviation implied by the forecast."""
    mean = rows["demand_qty_ea_mean"].to_numpy().astype(np.float64)
    wide = (rows["demand_qty_ea_p95"] - rows["demand_qty_ea_p05"]).to_numpy() / (2 * 1.645)
    upper = (rows["demand_qty_ea_p95"].to_numpy() - mean) / 1.645
    return mean, np.maximum(np.maximum(wide, upper), 0.0)


def demand_anomalies(
    rows: pl.DataFrame, *, available_at_utc: datetime, rate: float = 0.05, unit_value: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Days whose demand the forecast did not allow: rows of `mon_findings` of kind `demand_anomaly`.

    Args:
        rows: matured forecasts, one per item, site and day (shortest horizon): `item_id, site_id, target_date, actual_ea,
            demand_qty_ea_mean, demand_qty_ea_p05, demand_qty_ea_p95`, and `document_id` when known. Days without stock
            at close should be left out: low sales are no surprise then.
        available_at_utc: cut-off of the night.
        rate: share of findings that may be false.
        unit_value: `item_id, unit_price_usd`; money at risk is the difference at that price.
    """
    if rows.height == 0:
        return MON_FINDINGS.empty()
    rows = rows.sort("item_id", "site_id", "target_date")
    mean, sd = _spread(rows)
    low, high = tail_probability(rows["actual_ea"].to_numpy().astype(np.float64), mean, sd)
    p = np.minimum(1.0, 2.0 * np.minimum(low, high))
    rows = rows.with_columns(pl.Series("p", p)).filter(pl.Series(discoveries(p, rate)))
    rows = _with_value(rows, unit_value)
    out = []
    for r in rows.iter_rows(named=True):
        more = r["actual_ea"] > r["demand_qty_ea_mean"]
        money = (
            None if r["unit_price_usd"] is None else abs(r["actual_ea"] - r["demand_qty_ea_mean"]) * r["unit_price_usd"]
        )
        reason = (
            f"{r['actual_ea']:g} sold where {r['demand_qty_ea_mean']:.1f} were expected "
            f"({'more' if more else 'less'} than chance allows, p = {r['p']:.1e})"
        )
        out.append(
            {
                "finding_date": r["target_date"], "kind_code": "demand_anomaly", "item_id": r["item_id"], "site_id": r["site_id"],
                "subject": f"{r['item_id']}@{r['site_id']}", "value": float(r["actual_ea"]), "expected_value": float(r["demand_qty_ea_mean"]),
                "money_at_risk_usd": money, "reason": reason, "document_id": r.get("document_id"),
            }
        )  # fmt: skip
    return finding_rows(out, available_at_utc)


def _with_value(rows: pl.DataFrame, unit_value: pl.DataFrame | None) -> pl.DataFrame:
    rows = rows.drop("unit_price_usd", strict=False)
    if unit_value is None:
        return rows.with_columns(pl.lit(None, dtype=pl.Float64).alias("unit_price_usd"))
    return rows.join(
        unit_value.select("item_id", "unit_price_usd").unique(subset=["item_id"], keep="first"),
        on="item_id",
        how="left",
    )


def unit_off_by_pack(
    rows: pl.DataFrame,
    *,
    available_at_utc: datetime,
    rate: float = 0.05,
    ordinary: float = 0.05,
    unit_value: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Quantities that are impossible as stated and ordinary when multiplied or divided by the pack size.

    Args:
        rows: as in `demand_anomalies`, with `pack_ea` (from 2 up) and, optionally, `subject`.
        available_at_utc: cut-off of the night.
        rate: share of findings that may be false.
        ordinary: least tail probability of the corrected quantity.
        unit_value: `item_id, unit_price_usd`.

    Returns:
        Rows of kind `unit_off_by_pack`; `expected_value` is the corrected quantity.
    """
    rows = rows.filter(pl.col("pack_ea") >= 2).sort("item_id", "site_id", "target_date")
    if rows.height == 0:
        return MON_FINDINGS.empty()
    mean, sd = _spread(rows)
    stated = rows["actual_ea"].to_numpy().astype(np.float64)
    pack = rows["pack_ea"].to_numpy().astype(np.float64)
    low, high = tail_probability(stated, mean, sd)
    impossible = discoveries(np.minimum(1.0, 2.0 * np.minimum(low, high)), rate)
    corrected = np.where(stated > mean, stated / pack, stated * pack)
    low2, high2 = tail_probability(corrected, mean, sd)
    whole = np.isclose(corrected % 1.0, 0.0) & (stated > 0)
    fits = whole & (np.minimum(low2, high2) >= ordinary / 2)
    rows = rows.with_columns(pl.Series("corrected", corrected)).filter(pl.Series(impossible & fits))
    rows = _with_value(rows, unit_value)
    out = []
    for r in rows.iter_rows(named=True):
        how = "divided" if r["actual_ea"] > r["corrected"] else "multiplied"
        money = None if r["unit_price_usd"] is None else abs(r["actual_ea"] - r["corrected"]) * r["unit_price_usd"]
        out.append(
            {
                "finding_date": r["target_date"], "kind_code": "unit_off_by_pack", "item_id": r["item_id"], "site_id": r["site_id"],
                "subject": r.get("subject") or f"{r['item_id']}@{r['site_id']}", "value": float(r["actual_ea"]),
                "expected_value": float(r["corrected"]), "money_at_risk_usd": money, "document_id": r.get("document_id"),
                "reason": f"{r['actual_ea']:g} stated where {r['demand_qty_ea_mean']:.1f} were expected; "
                f"{how} by the pack of {r['pack_ea']} it is {r['corrected']:g}, which is ordinary",
            }
        )  # fmt: skip
    return finding_rows(out, available_at_utc)


def regime_changes(
    demand: pl.DataFrame,
    *,
    as_of: date,
    available_at_utc: datetime,
    recent_days: int = 14,
    history_days: int = 56,
    rate: float = 0.01,
    min_ratio: float = 1.4,
    unit_value: pl.DataFrame | None = None,
    group: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Items whose level of demand changed and stayed changed: rows of kind `regime_change`, per item over all sites.

    Both weeks of the recent stretch must lie on the same side. What the item's whole group does (season, holiday) is
    taken out by the median ratio of the group.

    Args:
        demand: current versions of `fct_demand_daily`; days without stock at close are left out.
        as_of: last day known.
        available_at_utc: its cut-off.
        recent_days: days tested, whole weeks.
        history_days: days before them that give level and spread, whole weeks.
        rate: share of findings that may be false.
        min_ratio: smallest change that matters, as a ratio of levels.
        unit_value: `item_id, unit_price_usd`; money at risk is four weeks of the difference.
        group: `item_id, category_code`.
    """
    first = as_of - timedelta(days=recent_days + history_days - 1)
    days = demand.filter(pl.col("demand_date").is_between(first, as_of))
    if "is_stockout" in days.columns:
        days = days.filter(~pl.col("is_stockout"))
    # the mean over the sites that had stock, so that a stock-out at one of them is no change of demand
    daily = days.group_by("item_id", "demand_date").agg(
        pl.col("sales_qty_ea").mean().alias("level"), pl.len().alias("sites")
    )
    week = ((pl.lit(as_of) - pl.col("demand_date")).dt.total_days() // 7).alias("week")
    weekly = (
        daily.with_columns(week)
        .group_by("item_id", "week")
        .agg(pl.col("level").mean(), pl.col("sites").mean(), pl.len().alias("n"))
    )
    weeks = recent_days // 7
    recent, past = weekly.filter(pl.col("week") < weeks), weekly.filter(pl.col("week") >= weeks)
    stats = (
        past.group_by("item_id").agg(pl.col("level").mean().alias("before"), pl.col("level").std().alias("sd"), pl.len().alias("past_weeks"))
        .join(recent.group_by("item_id").agg(pl.col("level").mean().alias("after"), pl.col("level").min().alias("least"),
                                             pl.col("level").max().alias("most"), pl.len().alias("recent_weeks"), pl.col("sites").mean()), on="item_id")
        .filter((pl.col("past_weeks") >= 4) & (pl.col("recent_weeks") >= weeks) & (pl.col("before") > 0))
    )  # fmt: skip
    if stats.height == 0:
        return MON_FINDINGS.empty()
    stats = _against_group(stats, group).sort("item_id")
    p = _level_p(stats, weeks)
    ratio = pl.col("ratio")
    same_side = ((pl.col("least") > pl.col("expected")) & (ratio >= min_ratio)) | (
        (pl.col("most") < pl.col("expected")) & (ratio <= 1 / min_ratio)
    )
    found = _with_value(
        stats.with_columns(pl.Series("p", p)).filter(
            pl.Series(discoveries(p, rate)) & stats.select(same_side).to_series()
        ),
        unit_value,
    )
    out = []
    for r in found.iter_rows(named=True):
        gap = abs(r["after"] - r["expected"]) * r["sites"] * 28
        out.append(
            {
                "finding_date": as_of, "kind_code": "regime_change", "item_id": r["item_id"], "site_id": None, "subject": r["item_id"],
                "value": r["after"], "expected_value": r["expected"],
                "money_at_risk_usd": None if r["unit_price_usd"] is None else gap * r["unit_price_usd"],
                "reason": f"mean daily sales per site went from {r['expected']:.2f} to {r['after']:.2f} and stayed for {recent_days} days (p = {r['p']:.1e})",
            }
        )  # fmt: skip
    return finding_rows(out, available_at_utc)


def _against_group(stats: pl.DataFrame, group: pl.DataFrame | None) -> pl.DataFrame:
    raw = pl.col("after") / pl.col("before")
    if group is None:
        stats = stats.with_columns(pl.lit("").alias("category_code"))
    else:
        stats = stats.join(group.select("item_id", pl.col("category_code").fill_null("")), on="item_id", how="left")
    # a group of fewer than five says nothing about season; it is left alone
    common = pl.when(pl.len().over("category_code") >= 5).then(raw.median().over("category_code")).otherwise(1.0)
    stats = stats.with_columns(common.clip(lower_bound=0.05).alias("common"))
    return stats.with_columns((pl.col("before") * pl.col("common")).alias("expected")).with_columns(
        (pl.col("after") / pl.col("expected")).alias("ratio")
    )


def _level_p(stats: pl.DataFrame, weeks: int) -> Floats:
    """Two-sided t-test of the recent weekly mean against the weeks before, spread at least the Poisson's."""
    from scipy.special import stdtr

    n = stats["past_weeks"].to_numpy().astype(np.float64)
    expected, after = stats["expected"].to_numpy(), stats["after"].to_numpy()
    floor = np.sqrt(np.maximum(expected, 0.05) / (7.0 * np.maximum(stats["sites"].to_numpy(), 1.0)))
    sd = np.maximum(stats["sd"].fill_null(0.0).to_numpy() * stats["common"].to_numpy(), floor)
    t = np.abs(after - expected) / (sd * np.sqrt(1.0 / weeks + 1.0 / n))
    return np.asarray(2.0 * stdtr(n - 1.0, -t), dtype=np.float64)
