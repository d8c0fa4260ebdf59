"""Excursions: what was planted is found, nothing else, and the future changes nothing about the past."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import RAW_TELEMETRY_EXCURSIONS, RAW_TELEMETRY_READINGS
from aios_assets.telemetry import Limit, default_limits, excursions, not_judged, parse_limits

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
CALM = [3.0, 3.2, 2.9, 3.1, 3.3, 3.0, 2.8, 3.1, 3.2, 2.9, 3.0, 3.1, 3.3, 2.9, 3.0, 3.2, 2.8, 3.1, 3.0, 2.9]


def readings(
    values: list[float], minutes: list[int] | None = None, measure: str = "temperature_c", asset: str = "trailer"
) -> pl.DataFrame:
    at = minutes or [30 * n for n in range(len(values))]
    rows = [
        (
            f"{asset}-1",
            measure,
            START + timedelta(minutes=m),
            float(v),
            asset,
            "A1",
            None,
            "SH",
            f"d{n}",
            n,
            START + timedelta(minutes=m),
            "2026-01",
        )
        for n, (v, m) in enumerate(zip(values, at, strict=True))
    ]
    return pl.DataFrame(rows, schema=RAW_TELEMETRY_READINGS.schema, orient="row")


def found(values: list[float], **more: Any) -> list[tuple[str, float, float, int]]:
    """(kind, first and last reading in half hours, readings)."""
    frame = excursions(readings(values, **more))
    assert frame.schema == RAW_TELEMETRY_EXCURSIONS.schema
    half = timedelta(minutes=30)
    return [
        (r["kind_code"], (r["started_at_utc"] - START) / half, (r["ended_at_utc"] - START) / half, r["readings"])
        for r in frame.iter_rows(named=True)
    ]


def test_calm_is_calm() -> None:
    assert found(CALM * 5) == []


def test_a_spike() -> None:
    values = list(CALM)
    values[9] += 28.0
    assert found(values) == [("spike", 9, 9, 1)]
    row = excursions(readings(values)).row(0, named=True)
    assert row["peak_value"] == values[9]
    # Median of the eleven before 3.05 (nine there are), floor of six degrees.
    assert row["limit_value"] == pytest.approx(3.1 + 6.0)
    assert row["document_id"] == "d9"


def test_a_spike_at_the_second_reading_after_two() -> None:
    assert found([3.0, 3.1, 31.0, 3.0, 3.1]) == [("spike", 2, 2, 1)]


def test_a_jump_at_the_end_of_what_is_known_may_be_the_goods_until_it_comes_back() -> None:
    quiet = [3.0, 3.1, 3.2, 3.1, 3.0, 3.1, 3.2, 3.1, 3.0]
    assert found([*quiet, 15.0]) == [("high", 9, 9, 1)]
    assert found([*quiet, 15.0, 15.2]) == [("high", 9, 10, 2)]
    assert found([*quiet, 15.0, 15.2, 15.1, 15.3]) == [("high", 9, 12, 4)]
    assert found([*quiet, 15.0, 15.2, 3.1]) == [("spike", 9, 10, 2)]


def test_warm_for_long_is_high_and_not_a_spike() -> None:
    values = [*CALM[:8], 8.5, 9.0, 9.4, 8.1, *CALM[8:]]
    assert found(values) == [("high", 8, 11, 4)]
    row = excursions(readings(values)).row(0, named=True)
    assert (row["peak_value"], row["limit_value"]) == (9.4, 8.0)


def test_two_stretches_are_two() -> None:
    assert found([*CALM[:4], 8.5, 3.0, 8.5, *CALM[:4]]) == [("high", 4, 4, 1), ("high", 6, 6, 1)]


def test_cold_is_low() -> None:
    assert found([*CALM[:6], -2.5, -3.0, -2.2, *CALM[:3]]) == [("low", 6, 8, 3)]


def test_a_gap_lies_between_two_readings() -> None:
    minutes = [30 * n for n in range(10)] + [30 * n for n in range(16, 26)]
    assert found(CALM, minutes=minutes) == [("gap", 9, 16, 0)]
    row = excursions(readings(CALM, minutes=minutes)).row(0, named=True)
    assert (row["document_id"], row["peak_value"], row["limit_value"]) == ("d9", None, None)


def test_a_night_in_the_yard_is_no_gap_for_a_trailer_but_for_a_conveyor() -> None:
    minutes = [30 * n for n in range(10)] + [30 * n + 900 for n in range(10, 20)]
    assert found(CALM, minutes=minutes) == []
    kinds = found(CALM, minutes=minutes, measure="vibration_mm_s", asset="conveyor")
    assert [k[0] for k in kinds] == ["gap"]


def test_a_stuck_sensor() -> None:
    assert found([*CALM[:5], *[3.17] * 8, *CALM[:5]]) == [("stuck", 5, 12, 8)]
    assert found([*CALM[:5], *[3.17] * 6, *CALM[:5]]) == []


def test_a_sensor_of_whole_degrees_is_not_stuck_when_it_repeats_itself_and_is_when_it_stands_still() -> None:
    """Runs of 8 to 20 equal readings are its usual ones; half a day is not."""
    usual = [8, 13, 20, 11, 9, 17, 12, 20, 10, 15]
    values = [3.0 + n % 2 for n, length in enumerate(usual) for _ in range(length)]
    assert found(values) == [("stuck", 0, 40, 41)], "only until three runs are known"
    still = [*values, *[3.0] * 42, *[4.0] * 12]
    assert [f for f in found(still) if f[1] > 40] == [("stuck", len(values), len(values) + 41, 42)]


def test_a_sensor_that_was_stuck_once_is_found_the_second_time() -> None:
    values = [*CALM[:6], *[3.17] * 30, *CALM, *[3.18] * 8, *CALM[:3]]
    assert [f[1:] for f in found(values) if f[0] == "stuck"] == [(6, 35, 30), (56, 63, 8)]


def test_a_sensor_that_keeps_no_beat_has_gaps_beyond_its_own_habit_alone() -> None:
    """It sends when it has something to say, on average every half hour; measured by the median, one silence in sixteen is a gap."""
    draw = random.Random(1)
    minutes = [0]
    for _ in range(600):
        minutes.append(minutes[-1] + 1 + int(draw.expovariate(1 / 30)))
    values = [CALM[n % 20] for n in range(600)]
    assert found(values, minutes=minutes[:600]) == []
    outage = minutes[:300] + [m + 480 for m in minutes[300:600]]
    assert [f[0] for f in found(values, minutes=outage)] == ["gap"]


def test_a_pause_every_day_makes_no_gap_usual() -> None:
    minutes = [30 * n + 900 * (n // 10) for n in range(200)]
    later = minutes[:155] + [m + 150 for m in minutes[155:]]
    assert [f[0] for f in found(CALM * 10, minutes=later)] == ["gap"]


def test_a_room_read_every_minute_is_stuck_by_the_hours_and_by_its_quiet_nights() -> None:
    """A tenth of a degree, a few minutes long in the morning and half an hour at night: as it is with real rooms."""
    room = [round(4 + 2 * math.sin(n / 1440 * 2 * math.pi), 1) for n in range(4 * 1440)]
    assert found(room, minutes=list(range(len(room)))) == []
    still = [*room[:4000], *[room[4000]] * 240, *room[4240:]]
    assert [(f[0], f[3] >= 240) for f in found(still, minutes=list(range(len(room))))] == [("stuck", True)]


def test_measures_without_limit_are_not_judged_but_counted() -> None:
    assert found([1e6, -1e6] * 10, measure="latitude_deg") == []
    assert not_judged(readings([1.0, 2.0], measure="latitude_deg")) == {}, "listed without a limit: on purpose"
    both = pl.concat([readings([1.0, 2.0], measure="humidity_pct"), readings(CALM)])
    assert not_judged(both) == {"trailer/humidity_pct": 2} and found([99.0] * 30, measure="humidity_pct") == []
    assert not_judged(RAW_TELEMETRY_READINGS.empty()) == {}


def test_no_readings() -> None:
    assert excursions(RAW_TELEMETRY_READINGS.empty()).schema == RAW_TELEMETRY_EXCURSIONS.schema


def test_the_future_changes_nothing_about_the_past() -> None:
    values = [*CALM[:9], 31.0, *CALM[9:], *[3.5] * 8, *CALM, 9.0, 9.1, 9.2, *CALM, -20.0, *CALM]
    whole = excursions(readings(values))
    for cut in range(30, len(values), 7):
        now = START + timedelta(minutes=30 * (cut - 1))
        # A stretch that is still under way may grow, so only what was over two readings before is compared.
        over = pl.col("ended_at_utc") < now - timedelta(minutes=60)
        assert excursions(readings(values[:cut])).filter(over).equals(whole.filter(over))


def test_order_of_rows_does_not_matter() -> None:
    values = [*CALM[:9], 31.0, *CALM[9:], *[3.5] * 8]
    frame = readings(values)
    assert excursions(frame.sample(fraction=1.0, shuffle=True, seed=3)).equals(excursions(frame))


def test_limits_are_data() -> None:
    own = (Limit("trailer", "temperature_c", high=3.25),)
    assert set(excursions(readings(CALM), own)["kind_code"]) == {"high"}
    assert {(x.asset_type, x.measure_code) for x in default_limits()} == {
        ("trailer", "temperature_c"), ("conveyor", "vibration_mm_s"), ("dock", "dwell_minutes"),
        ("trailer", "latitude_deg"), ("trailer", "longitude_deg"),  # listed so as not to be judged, on purpose
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid YAML"), ("x: 1", "not a list"), ("[{asset_type: a}]", "names no asset and measure"),
        ("[{asset_type: a, measure_code: m, hihg: 1}]", "unknown fields"),
        ("[{asset_type: a, measure_code: m, high: 8 C, stuck_readings: 1.5}]", r"no number or name in \['high', 'stuck_readings'\]"),
        ("[{asset_type: 7, measure_code: m, low: .nan}]", r"in \['asset_type', 'low'\]"),
        ("[{asset_type: a, measure_code: m}, {asset_type: a, measure_code: m}]", "judged above"),
    ],
)  # fmt: skip
def test_bad_limits_are_said(text: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        parse_limits(text)
