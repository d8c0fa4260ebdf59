"""Telemetry as business faults: excursions found below, sensors that drift away from their peers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from ml.anomaly.findings import discoveries, finding_rows

_KINDS = {
    "high": "telemetry_excursion", "low": "telemetry_excursion", "spike": "sensor_spike", "gap": "sensor_gap", "stuck": "sensor_stuck",
}  # fmt: skip
LASTING = ("high", "low", "stuck")
_WORDS = {
    "high": "stayed above its limit", "low": "stayed below its limit", "spike": "jumped and came back: a sensor fault, not the goods",
    "gap": "reported nothing", "stuck": "reported the same value over and over",
}  # fmt: skip


def telemetry_findings(
    excursions: pl.DataFrame,
    *,
    available_at_utc: datetime,
    business_zone: str = "UTC",
    shipment_value_usd: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Rows of `mon_findings` from `raw_telemetry__excursions`.

    A stretch is found on the day it began, and once more for the newest day it has lasted to: what is still going on is told every
    night, with all of its length.

    Args:
        excursions: rows to report.
        available_at_utc: cut-off of the night.
        business_zone: time zone of the business day.
        shipment_value_usd: value on board by shipment; only a real excursion (not a sensor fault) puts it at risk.
    """
    if excursions.is_empty():
        return MON_FINDINGS.empty()
    began, ended = (
        excursions[c].dt.convert_time_zone(business_zone).dt.date().to_list()
        for c in ("started_at_utc", "ended_at_utc")
    )
    rows = list(excursions.iter_rows(named=True))
    out = [_found(day, r, shipment_value_usd or {}) for day, r in zip(began, rows, strict=True)]
    longer = [
        (last, r)
        for first, last, r in zip(began, ended, rows, strict=True)
        if last > first and r["kind_code"] in LASTING
    ]
    out += [_found(day, r, shipment_value_usd or {}) for day, r in longer]
    return finding_rows(out, available_at_utc)


def _found(day: date, r: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, object]:
    """One stretch in words, as a finding of that day."""
    kind = str(r["kind_code"])
    minutes = (r["ended_at_utc"] - r["started_at_utc"]).total_seconds() / 60
    money = values.get(r["shipment_id"]) if kind in ("high", "low") and r["shipment_id"] else None
    limit = "" if r["limit_value"] is None else f" (limit {r['limit_value']:g})"
    peak = "" if r["peak_value"] is None else f", peak {r['peak_value']:g}{limit}"
    return {
        "finding_date": day, "kind_code": _KINDS.get(kind, f"sensor_{kind}"), "item_id": None, "site_id": None,
        "subject": f"{r['sensor_id']}/{r['measure_code']}@{r['started_at_utc']:%H:%M}", "value": r["peak_value"],
        "expected_value": r["limit_value"], "money_at_risk_usd": money, "document_id": r["document_id"],
        "reason": f"{r['measure_code']} of {r['asset_id']} {_WORDS.get(kind, kind)} for {minutes:.0f} minutes, {r['readings']} readings{peak}",
    }  # fmt: skip


def value_on_board(orders: pl.DataFrame) -> dict[str, float]:
    """USD by shipment: what its order lines shipped, at their price; a shipment without any price is left out.

    Args:
        orders: rows like `fct_purchase_order_lines`, closed lines included.
    """
    worth = (pl.col("shipped_qty_ea") * pl.col("unit_price_usd")).alias("usd")
    lines = orders.select("shipment_id", worth).drop_nulls()
    return {str(s): float(v) for s, v in lines.group_by("shipment_id").agg(pl.col("usd").sum()).iter_rows()}


def sensor_drifts(
    readings: pl.DataFrame,
    *,
    as_of: date,
    available_at_utc: datetime,
    days: int = 14,
    rate: float = 0.01,
    min_days: int = 7,
    min_sd: float = 1.0,
) -> pl.DataFrame:
    """Sensors whose daily mean wanders away from their peers: rows of kind `sensor_drift`.

    The daily median of all sensors of the same measure and asset type is taken out; what is left is tested for a trend
    by Mann and Kendall's rank test, which no single odd day can fool.

    Args:
        readings: rows of `raw_telemetry__readings`.
        as_of: last day.
        available_at_utc: its cut-off.
        days: days looked at.
        rate: share of findings that may be false.
        min_days: fewest days with readings.
        min_sd: smallest rise over the stretch that matters, in deviations of the peers' daily means.
    """
    first = as_of - timedelta(days=days - 1)
    day = pl.col("read_at_utc").dt.date().alias("day")
    daily = readings.with_columns(day).filter(pl.col("day").is_between(first, as_of))
    daily = daily.group_by("asset_type", "measure_code", "sensor_id", "day").agg(pl.col("value").median())
    peers = ["asset_type", "measure_code", "day"]
    daily = daily.with_columns(
        (pl.col("value") - pl.col("value").median().over(peers)).alias("off"), pl.len().over(peers).alias("peers")
    )
    daily = daily.filter(pl.col("peers") >= 3).sort("measure_code", "sensor_id", "day")
    tests = [
        t
        for key, part in daily.group_by("measure_code", "sensor_id", maintain_order=True)
        if (t := _trend(key, part, min_days)) is not None
    ]
    if not tests:
        return MON_FINDINGS.empty()
    keep = discoveries(np.array([t[2] for t in tests]), rate)
    spread = {m: max(float(np.median([abs(t[4]) for t in tests if t[0] == m])), 1e-9) for m in {t[0] for t in tests}}
    out = []
    for (measure, sensor, p, rise, sd), ok in zip(tests, keep, strict=True):
        if not ok or abs(rise) < min_sd * max(sd, spread[measure]):
            continue
        out.append(
            {
                "finding_date": as_of, "kind_code": "sensor_drift", "item_id": None, "site_id": None, "subject": f"{sensor}/{measure}",
                "value": rise, "expected_value": 0.0, "money_at_risk_usd": None,
                "reason": f"{measure} of {sensor} wandered {rise:+.3g} away from its peers over {days} days (p = {p:.1e})",
            }
        )  # fmt: skip
    return finding_rows(out, available_at_utc)


def _trend(key: tuple[object, ...], part: pl.DataFrame, min_days: int) -> tuple[str, str, float, float, float] | None:
    """Measure, sensor, p of Mann-Kendall, Theil-Sen rise over the stretch, deviation about it."""
    from scipy.special import ndtr

    y = part["off"].to_numpy()
    x = (part["day"] - part["day"].min()).dt.total_days().to_numpy().astype(np.float64)
    n = y.size
    if n < min_days:
        return None
    i, j = np.triu_indices(n, 1)
    s = float(np.sign(y[j] - y[i]).sum())
    z = max(abs(s) - 1.0, 0.0) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18.0)
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    rest = y - slope * x
    sd = float(1.4826 * np.median(np.abs(rest - np.median(rest))))
    return str(key[0]), str(key[1]), float(2.0 * ndtr(-z)), slope * float(x[-1] - x[0]), sd
