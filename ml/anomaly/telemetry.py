"""Telemetry as business faults: excursions found below, sensors that drift away from their peers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from ml.anomaly.findings import Floats, discoveries, finding_rows

_KINDS = {
    "high": "telemetry_excursion", "low": "telemetry_excursion", "spike": "sensor_spike", "gap": "sensor_gap", "stuck": "sensor_stuck",
}  # fmt: skip
HISTORY_DAYS = 28  # days before the stretch that say how long a sensor's days hang together
MIN_HISTORY_DAYS, MIN_MEMORY_DAYS = 14, 10
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


def unjudged_measures(
    readings: pl.DataFrame,
    judged: Collection[tuple[str, str]],
    *,
    as_of: date,
    available_at_utc: datetime,
    days: int = 14,
) -> pl.DataFrame:
    """Measures that are stored and that no limit judges: rows of kind `measure_not_judged`, one per asset type and measure.

    Args:
        readings: `sensor_id, measure_code, read_at_utc, asset_type` of `raw_telemetry__readings`.
        judged: asset type and measure of every limit stated.
        as_of: last day known.
        available_at_utc: its cut-off.
        days: days counted.
    """
    recent = readings.filter(pl.col("read_at_utc") > available_at_utc - timedelta(days=days))
    counted = recent.group_by("asset_type", "measure_code").agg(
        pl.len().alias("readings"), pl.col("sensor_id").n_unique().alias("sensors")
    )
    left = [r for r in counted.sort("asset_type", "measure_code").iter_rows() if (r[0], r[1]) not in judged]
    rows = [
        {
            "finding_date": as_of, "kind_code": "measure_not_judged", "subject": f"{asset}/{measure}", "value": float(count),
            "reason": f"{count} readings of {measure} from {sensors} {asset} sensors in {days} days are stored and judged by nothing: "
            "state limits for them in telemetry_limits.yaml in the home (fields: aios_assets/telemetry/limits.yaml)",
        }
        for asset, measure, count, sensors in left
    ]  # fmt: skip
    return finding_rows(rows, available_at_utc)


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
    by Mann and Kendall's rank test, which no single odd day can fool. Days that hang together wander by themselves: the slope must
    also be more than such days make, by the spread and the autocorrelation of the sensor's own days before the stretch (of the
    stretch itself and of its peers where it has too few). The larger of both probabilities counts.

    Args:
        readings: rows of `raw_telemetry__readings`, best with `HISTORY_DAYS` days before the stretch.
        as_of: last day.
        available_at_utc: its cut-off.
        days: days looked at.
        rate: share of findings that may be false.
        min_days: fewest days with readings.
        min_sd: smallest rise over the stretch that matters, in deviations of the peers' daily means.
    """
    first = as_of - timedelta(days=days - 1)
    day = pl.col("read_at_utc").dt.date().alias("day")
    daily = readings.with_columns(day).filter(pl.col("day").is_between(first - timedelta(days=HISTORY_DAYS), as_of))
    daily = daily.group_by("asset_type", "measure_code", "sensor_id", "day").agg(pl.col("value").median())
    peers = ["asset_type", "measure_code", "day"]
    daily = daily.with_columns(
        (pl.col("value") - pl.col("value").median().over(peers)).alias("off"), pl.len().over(peers).alias("peers")
    )
    # A sensor that sits on two types of asset has peers of each, and a series beside each: no day twice.
    series = ["measure_code", "sensor_id", "asset_type"]
    daily = daily.filter(pl.col("peers") >= 3).sort(*series, "day")
    past, now = pl.col("day") < first, pl.col("day") >= first
    before = {k: p for k, p in daily.filter(past).group_by(series, maintain_order=True) if p.height >= MIN_HISTORY_DAYS}
    stretch = dict(daily.filter(now).group_by(series, maintain_order=True))
    memory = _memories(before, stretch)
    tests = [
        t
        for key, part in stretch.items()
        if (t := _trend(key, part, min_days, before.get(key), memory[key])) is not None
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


def _memories(
    before: Mapping[tuple[object, ...], pl.DataFrame], stretch: Mapping[tuple[object, ...], pl.DataFrame]
) -> dict[tuple[object, ...], float]:
    """Autocorrelation from one day to the next of each sensor: of its days before the stretch, else the median of its measure's sensors.

    A trend within those days is taken out, and the estimate's bias with it: (n r + 2) / (n − 4) for a line fitted to n days
    (Kendall 1954, Marriott & Pope 1954, with a fitted trend). What differs between the sensors of a measure no more than the
    scatter of such estimates, (1 − r²) / n, is drawn to their median (James & Stein 1961).
    """
    own = {key: _memory(part) for key, part in before.items()}
    inside: dict[object, list[float]] = {}
    for key, part in stretch.items():
        if key not in own and part.height >= MIN_MEMORY_DAYS:
            inside.setdefault(key[0], []).append(_memory(part))
    for key, value in own.items():
        inside.setdefault(key[0], []).append(value)
    peers = {measure: float(np.median(values)) for measure, values in inside.items()}
    apart = {measure: _apart(np.array(values)) for measure, values in inside.items()}
    drawn: dict[tuple[object, ...], float] = {}
    for key in stretch:
        common = peers.get(key[0], 0.0)
        drawn[key] = common + apart.get(key[0], 0.0) * (own.get(key, common) - common)
    return drawn


def _apart(values: Floats) -> float:
    """Share of the spread between estimates that is more than their scatter; all of it for fewer than three."""
    if values.size < 3:
        return 1.0
    scatter = float((1.0 - np.median(values) ** 2) / HISTORY_DAYS)
    spread = float(values.var(ddof=1))
    return max(0.0, 1.0 - scatter / spread) if spread > 0 else 0.0


def _memory(part: pl.DataFrame) -> float:
    """First autocorrelation of the distances from a fitted line, unbiased, between -0.5 and 0.95."""
    y = part["off"].to_numpy()
    x = _days(part)
    rest = y - np.polyval(np.polyfit(x, y, 1), x)
    next_day = np.diff(x) == 1
    power = float((rest**2).mean())
    if power <= 0 or not next_day.any():
        return 0.0
    r = float((rest[1:] * rest[:-1])[next_day].mean()) / power
    return float(np.clip((y.size * r + 2.0) / (y.size - 4.0), -0.5, 0.95))


def _wander_p(now: pl.DataFrame, quiet: pl.DataFrame, memory: float) -> float:
    """Two-sided p of a fitted line's slope over the days `now`, if days only wander as those of `quiet` do.

    Variance of a least-squares slope under first-order autocorrelated noise, its scale from the distances of the quiet days from
    their own line, degrees of freedom after Satterthwaite (1946). Source: Santer et al. (2000), J. Geophys. Res. 105, 7337–7356.
    """
    from scipy.special import stdtr

    x, y = _days(now), now["off"].to_numpy()
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    days, off = _days(quiet), quiet["off"].to_numpy()
    line = np.column_stack([np.ones_like(days), days])
    left = np.eye(days.size) - line @ np.linalg.pinv(line)
    held = left @ _together(days, memory)
    free = float(np.trace(held))
    scale = float((left @ off) @ off) / free
    variance = scale * float(centred @ _together(x, memory) @ centred) / float(centred @ centred) ** 2
    if variance <= 0:
        return 0.0 if slope != 0 else 1.0
    return float(2.0 * stdtr(free**2 / float(np.trace(held @ held)), -abs(slope) / np.sqrt(variance)))


def _days(part: pl.DataFrame) -> Floats:
    return (part["day"] - part["day"].min()).dt.total_days().to_numpy().astype(np.float64)


def _together(days: Floats, memory: float) -> Floats:
    """Correlation of every two days; days that would alternate are taken as independent."""
    return np.asarray(max(memory, 0.0) ** np.abs(days[:, None] - days[None, :]), dtype=np.float64)


def _trend(
    key: tuple[object, ...], part: pl.DataFrame, min_days: int, before: pl.DataFrame | None, memory: float
) -> tuple[str, str, float, float, float] | None:
    """Measure, sensor, the larger p of Mann-Kendall and of `_wander_p`, Theil-Sen rise over the stretch, deviation about it."""
    from scipy.special import ndtr

    y, x = part["off"].to_numpy(), _days(part)
    n = y.size
    if n < min_days:
        return None
    i, j = np.triu_indices(n, 1)
    s = float(np.sign(y[j] - y[i]).sum())
    z = max(abs(s) - 1.0, 0.0) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18.0)
    p = max(float(2.0 * ndtr(-z)), _wander_p(part, part if before is None else before, memory))
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    rest = y - slope * x
    sd = float(1.4826 * np.median(np.abs(rest - np.median(rest))))
    return str(key[0]), str(key[1]), p, slope * float(x[-1] - x[0]), sd
