"""Sensors that reported regularly and have fallen silent; what fell silent at once in one place is one finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from ml.anomaly.findings import finding_rows

SERIES = ["sensor_id", "measure_code"]
GAP_INTERVALS = 4.0  # for measures that no limit lists
LONGEST = 2.0  # times the sensor's own longest silence: a weekend in the yard is no loss
LEAST = timedelta(hours=12)  # a shorter silence is a gap, told when the sensor is back
KNOWN, HEARINGS = timedelta(days=7), 10  # less than that is no habit
RETIRED = timedelta(days=28)  # who says nothing for so long was taken out of service
SHOWN = 5


def silent_sensors(
    readings: pl.DataFrame,
    gap_intervals: Mapping[tuple[str, str], float | None],
    *,
    as_of: date,
    available_at_utc: datetime,
    shipment_value_usd: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Sensors that have said nothing for far longer than they ever do: rows of kind `sensor_silent`.

    Two habits are learned from the weeks before: how often it reads (nine in ten intervals between `read_at_utc`), and how often we
    hear of it (the longest time between two `available_at_utc` but one, so that a sensor that was away once is missed the next time).
    It is silent when both are exceeded: a logger that sends once a day is not missed every hour, and a trailer not over a weekend.

    Args:
        readings: rows of `raw_telemetry__readings` known at the cut-off, best of six weeks; of a sensor all measures.
        gap_intervals: intervals that make a gap, by asset type and measure; None judges nothing, what is not named has `GAP_INTERVALS`.
        as_of: day of the night.
        available_at_utc: its cut-off.
        shipment_value_usd: value by shipment still on the way; what was on board of a sensor that fell silent is unwatched.

    Returns:
        One row per sensor, or per measure where the sensor's others go on; one row for all that fell silent within one interval at
        one site (of sensors on the road: of one asset type). `value` is hours of silence, `expected_value` the longest usual ones.
    """
    if readings.is_empty():
        return MON_FINDINGS.empty()
    series = _habits(readings, available_at_utc)
    judged = [
        r | {"intervals": gap_intervals.get((r["asset_type"], r["measure_code"]), GAP_INTERVALS)}
        for r in series.iter_rows(named=True)
    ]
    units = _devices([r for r in judged if _is_silent(r)], series)
    places = dict(series.group_by("place").agg(pl.col("sensor_id").n_unique()).iter_rows())
    found = (_found(group, places, as_of, available_at_utc, shipment_value_usd or {}) for group in _at_once(units))
    return finding_rows(found, available_at_utc)


def _habits(readings: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Per series, sorted: its newest reading, its usual interval, its longest silence but one, and how long it is silent now."""
    names = ["asset_type", "asset_id", "site_id", "shipment_id", "document_id"]
    beat = pl.col("read_at_utc").sort().diff().drop_nulls().quantile(0.9, "lower")
    waits = pl.col("available_at_utc").unique().sort().diff().drop_nulls().sort(descending=True)
    series = readings.sort(*SERIES, "read_at_utc").group_by(SERIES, maintain_order=True).agg(
        *(pl.col(name).last() for name in names),
        last=pl.col("read_at_utc").last(), heard=pl.col("available_at_utc").max(), first=pl.col("read_at_utc").first(),
        hearings=pl.col("available_at_utc").n_unique(), beat=beat, longest=waits.get(1, null_on_oob=True),
    )  # fmt: skip
    return series.with_columns(
        place=pl.coalesce("site_id", "asset_type"), since_read=now - pl.col("last"), since_heard=now - pl.col("heard")
    )


def _is_silent(r: Mapping[str, Any]) -> bool:
    regular = r["hearings"] > HEARINGS and r["last"] - r["first"] >= KNOWN
    if not regular or r["intervals"] is None or not LEAST < r["since_read"] <= RETIRED:
        return False
    return bool(r["since_read"] > r["intervals"] * r["beat"] and r["since_heard"] > LONGEST * r["longest"])


def _devices(silent: list[dict[str, Any]], series: pl.DataFrame) -> list[dict[str, Any]]:
    """One entry per silent sensor; per measure where another measure of the sensor is still heard."""
    newest = dict(series.group_by("sensor_id").agg(pl.col("last").max()).iter_rows())
    whole: dict[str, dict[str, Any]] = {}
    for r in silent:
        alive = newest[r["sensor_id"]] > r["last"] + r["intervals"] * r["beat"]
        name = f"{r['sensor_id']}/{r['measure_code']}" if alive else r["sensor_id"]
        kept = whole.setdefault(name, r | {"name": name, "measures": []})
        kept["measures"].append(r["measure_code"])
    return list(whole.values())


def _at_once(units: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Groups of one place whose newest readings lie within one interval of the group's first."""
    group: list[dict[str, Any]] = []
    for unit in sorted(units, key=lambda u: (u["place"], u["last"], u["name"])):
        same = group and unit["place"] == group[0]["place"]
        if group and not (same and unit["last"] - group[0]["last"] <= max(unit["beat"], group[0]["beat"])):
            yield group
            group = []
        group.append(unit)
    if group:
        yield group


def _found(
    group: list[dict[str, Any]], places: Mapping[str, int], as_of: date, now: datetime, values: Mapping[str, float]
) -> dict[str, object]:
    """What fell silent, in words."""
    first = group[0]
    silence, longest = now - first["last"], max(u["longest"] for u in group)
    said = f"nothing since {first['last']:%Y-%m-%d %H:%M} UTC ({_long(silence)}); before, every {_long(first['beat'])}, never silent for more than {_long(longest)} but once"
    if len(group) == 1:
        subject = first["name"]
        who = f"{', '.join(first['measures'])} of {first['asset_id']} said"
        advice = "look at the sensor"
    else:
        subject, sensors = first["place"], len({u["sensor_id"] for u in group})
        who = f"{'all' if sensors == places[subject] else f'{sensors} of'} {places[subject]} sensors of {subject} ({_names(group)}) said, from the same hour on,"
        advice = "look at what they share (gateway, power, link) first"
    shipments = sorted({u["shipment_id"] for u in group if u["shipment_id"]})
    worth = [values[s] for s in shipments if s in values]
    goods = f"; unwatched on board: {', '.join(shipments[:SHOWN])}" if worth else ""
    return {
        "finding_date": as_of, "kind_code": "sensor_silent", "site_id": first["site_id"], "subject": f"{subject}@{first['last']:%Y-%m-%d %H:%M}",
        "value": silence / timedelta(hours=1), "expected_value": longest / timedelta(hours=1), "document_id": first["document_id"],
        "money_at_risk_usd": sum(worth) if worth else None,
        "reason": f"{who} {said}{goods}: {advice}; asked once a week until it reports again, for {RETIRED.days} days",
    }  # fmt: skip


def _names(group: list[dict[str, Any]]) -> str:
    names = [u["name"] for u in group]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _long(span: timedelta) -> str:
    """A length of time in the largest unit of which it has two: 90 minutes, 36 hours, 5 days."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if span.total_seconds() >= 2 * unit:
            return f"{span.total_seconds() / unit:.0f} {name}"
    return f"{span.total_seconds():.0f} seconds"
