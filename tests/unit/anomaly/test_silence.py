"""Sensors that fall silent for good: missed soon, by their own habits, told as one where one cause took many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ml.anomaly import silent_sensors

START = datetime(2025, 2, 3, tzinfo=UTC)  # a Monday
NOW = datetime(2025, 3, 1, 7, tzinfo=UTC)
INTERVALS = {("fridge", "temperature_c"): 4.0, ("dock", "dwell_minutes"): None}


def sensor(
    name: str, until: datetime, *, site: str | None = "S1", measure: str = "temperature_c", kind: str = "fridge", minutes: int = 30,
    shipment: str | None = None, late: timedelta = timedelta(0), weekdays: bool = False, batch: bool = False,
) -> pl.DataFrame:  # fmt: skip
    """Readings every `minutes` until then, known at once, `late`, or as the batch of a day at midnight."""
    count = int((until - START) / timedelta(minutes=minutes)) + 1
    at = [t for n in range(count) if (t := START + timedelta(minutes=minutes * n)).weekday() < 5 or not weekdays]
    midnight = [t.replace(hour=0, minute=0) + timedelta(days=1) for t in at]
    return pl.DataFrame(
        {"sensor_id": name, "measure_code": measure, "read_at_utc": at, "available_at_utc": midnight if batch else [t + late for t in at],
         "asset_type": kind, "asset_id": f"A-{name}", "site_id": site, "shipment_id": shipment, "document_id": f"d-{name}"},
        schema_overrides={"site_id": pl.String, "shipment_id": pl.String},
    ).filter(pl.col("available_at_utc") <= NOW)  # fmt: skip


def found(*parts: pl.DataFrame, now: datetime = NOW, **more: dict[str, float]) -> pl.DataFrame:
    rows = pl.concat(parts).filter(pl.col("available_at_utc") <= now)
    return silent_sensors(rows, INTERVALS, as_of=now.date(), available_at_utc=now, **more)


def test_a_sensor_that_stopped_is_missed_and_the_others_are_not() -> None:
    one = found(sensor("F1", NOW - timedelta(hours=30)), sensor("F2", NOW), sensor("F3", NOW))
    assert one.select("kind_code", "site_id", "subject", "value", "document_id").rows() == [
        ("sensor_silent", "S1", "F1@2025-02-28 01:00", 30.0, "d-F1")
    ]
    assert "temperature_c of A-F1 said nothing since 2025-02-28 01:00 UTC (30 hours)" in one["reason"][0]
    assert found(sensor("F1", NOW - timedelta(hours=11))).is_empty(), "half a day is a gap, told when it is back"
    assert found(pl.DataFrame(schema=sensor("F1", NOW).schema)).is_empty()


def test_its_own_habits_say_what_is_long() -> None:
    monday = datetime(2025, 2, 24, 7, tzinfo=UTC)
    resting = sensor("F1", monday - timedelta(hours=55), weekdays=True)
    assert found(resting, now=monday).is_empty() and found(resting, now=monday + timedelta(days=3)).height == 1
    batches = sensor("F1", NOW - timedelta(hours=40), batch=True)
    assert found(batches, now=NOW).is_empty() and found(batches, now=NOW + timedelta(days=1)).height == 1
    young = sensor("F1", NOW - timedelta(hours=40)).filter(pl.col("read_at_utc") > NOW - timedelta(days=8))
    assert found(young).is_empty(), "less than a week is no habit"
    imported = sensor("F1", NOW - timedelta(days=5)).with_columns(available_at_utc=pl.lit(NOW - timedelta(days=4)))
    assert found(imported).is_empty(), "an archive was heard of once"


def test_what_no_limit_lists_is_judged_and_what_is_listed_without_gaps_is_not() -> None:
    ended = NOW - timedelta(days=3)
    parts = [sensor("D1", ended, measure="dwell_minutes", kind="dock"), sensor("H1", ended, measure="humidity_pct")]
    assert found(*parts)["subject"].to_list() == [f"H1@{ended:%Y-%m-%d %H:%M}"]


def test_a_site_that_falls_silent_at_once_is_one_finding() -> None:
    ended = NOW - timedelta(hours=50)
    down = [sensor(f"F{n}", ended + timedelta(minutes=4 * n)) for n in range(7)]
    other = [sensor("G1", NOW - timedelta(hours=90), site="S2"), sensor("G2", ended, site="S2"), sensor("G3", NOW, site="S2")]  # fmt: skip
    told = found(*down, *other).sort("subject")
    assert told["subject"].to_list() == ["G1@2025-02-25 13:00", "G2@2025-02-27 05:00", "S1@2025-02-27 05:00"]
    assert told["reason"][2].startswith("all 7 sensors of S1 (F0, F1, F2, F3, F4 and 2 more) said, from the same hour")
    part = found(*down[:3], *(sensor(f"N{n}", NOW) for n in range(2)))
    assert part["reason"][0].startswith("3 of 5 sensors of S1")


def test_one_sensor_is_told_once_and_one_dead_measure_by_its_name() -> None:
    ended = NOW - timedelta(days=2)
    both = [sensor("F1", ended), sensor("F1", ended, measure="humidity_pct")]
    assert found(*both).select("subject").rows() == [("F1@2025-02-27 07:00",)]
    assert "temperature_c" in found(*both)["reason"][0] and "humidity_pct" in found(*both)["reason"][0]
    half = [sensor("F1", NOW), sensor("F1", ended, measure="humidity_pct")]
    assert found(*half)["subject"].to_list() == ["F1/humidity_pct@2025-02-27 07:00"]


def test_what_is_on_board_is_at_risk_once_however_many_sensors_watch_it() -> None:
    ended = NOW - timedelta(days=2)
    parts = [sensor(f"T{n}", ended, site=None, shipment="SH1" if n < 2 else "SH2") for n in range(3)]
    told = found(*parts, shipment_value_usd={"SH1": 900.0, "SH2": 50.0})
    assert told["money_at_risk_usd"].to_list() == [950.0] and told["subject"][0].startswith("fridge@")
    assert found(*parts)["money_at_risk_usd"].to_list() == [None]


@pytest.mark.parametrize(("days", "expected"), [(2, 1), (13, 1), (28, 1), (29, 0)])
def test_after_four_weeks_it_counts_as_taken_out_of_service(days: int, expected: int) -> None:
    then = NOW + timedelta(days=days)
    assert found(sensor("F1", NOW), now=then).height == expected
