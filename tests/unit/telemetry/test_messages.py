"""Messages of a bus: kept to the byte, and read by a mapping that needs no code, in the layouts that devices really speak."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios_assets.contracts.errors import BadInputError
from aios_assets.tabular.sniff import sniff_plain
from aios_assets.telemetry import Message, TelemetryBatch, pack, parse_rules, read_telemetry, unpack
from aios_assets.telemetry.instants import instant_of

AT = datetime(2026, 7, 6, 12, tzinfo=UTC)
OURS = {
    "sensor_id": "T1", "measure_code": "temperature_c", "read_at_utc": "2026-07-06T07:30:00Z", "value": 3.5,
    "asset_type": "trailer", "asset_id": "TR1",
}  # fmt: skip


def said(topic: str, what: Any, **more: Any) -> Message:
    return Message(topic, what if isinstance(what, bytes) else json.dumps(what).encode(), AT, **more)


def read(messages: list[Message], mapping: str = "", bus: str = "mqtt") -> TelemetryBatch:
    content = pack(messages, {"aios_bus": bus, **({"mapping": parse_rules(mapping)} if mapping else {})})
    assert sniff_plain(content) == "telemetry"
    known = pl.Series([AT + timedelta(minutes=1)], dtype=pl.Datetime("us", "UTC"))
    batch = read_telemetry(pl.DataFrame({"document_id": ["d"], "content": [content], "available_at_utc": known}))
    counts = batch.counts
    assert counts["lines"] == counts["kept"] + counts["duplicates"] + counts["rejected"]
    assert batch.rejects.height == counts["rejected"]
    return batch


def values(batch: TelemetryBatch) -> list[tuple[Any, ...]]:
    return batch.readings.select("sensor_id", "measure_code", "value").rows()


def faults(batch: TelemetryBatch) -> list[str]:
    return sorted(code.removeprefix("telemetry:") for code in batch.rejects["error_code"])


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=20), st.binary(max_size=60), st.booleans())))
def test_every_byte_of_a_payload_comes_back(given_: list[tuple[str, bytes, bool]]) -> None:
    messages = [Message(topic, payload, AT, again, not again, n) for n, (topic, payload, again) in enumerate(given_)]
    about, back = unpack(pack(messages, {"aios_bus": "nats"}))
    assert (about, list(back)) == ({"aios_bus": "nats"}, messages)


def test_messages_in_our_own_words_need_no_mapping() -> None:
    """One object, printed over several lines, a list of them, or lines; what is none is set aside, message by message."""
    more = [OURS | {"sensor_id": f"T{n}"} for n in range(2, 7)]
    batch = read(
        [
            said("a", OURS), said("a", json.dumps(more[0], indent=2).encode()), said("a", more[1:3]),
            said("a", b"\n".join(json.dumps(m).encode() for m in more[3:])),
            said("a", b""), said("a", b"\xff\xfe\x00"), said("a", b"online"), said("a", {"temperature": 3}), said("a", [OURS, 7]),
        ]
    )  # fmt: skip
    assert [row[0] for row in values(batch)] == ["T1", "T2", "T3", "T4", "T5", "T6"]
    assert faults(batch) == ["empty", "foreign", "not_json", "not_json", "not_object"]
    assert batch.counts["duplicates"] == 1
    assert "--mapping" in batch.rejects.filter(error_code="telemetry:foreign")["reason"][0]


ZIGBEE = """
- topic: "zigbee2mqtt/{sensor_id}/availability"
  ignore: true
- topic: "zigbee2mqtt/{sensor_id}"
  constants: {asset_type: cold_room, site_id: 007}
  columns: {read_at_utc: last_seen}
  time_unit: ms
  words: {ON: 1, OFF: 0}
  measures:
    temperature_c: temperature
    humidity_frac: {of: humidity, times: 0.01}
    door_open: contact
    power_on: state
"""


def test_several_measures_in_one_message() -> None:
    batch = read(
        [
            said("zigbee2mqtt/Kühlraum 2", {"temperature": 4.1, "humidity": 61, "last_seen": 1783324800123, "battery": 97}),
            said("zigbee2mqtt/door", {"contact": False, "state": "ON", "temperature": None, "last_seen": 1783324800000}),
            said("zigbee2mqtt/door/availability", b"online"), said("zigbee2mqtt/bridge", {"version": "1.40"}),
            said("zigbee2mqtt/s", {"temperature": "n/a", "humidity": "kaputt", "last_seen": 1783324800000}),
            said("zigbee2mqtt/t", {"temperature": 1, "last_seen": 1783324800}), said("zigbee2mqtt/u", {"temperature": 1}),
            said("elsewhere", {"temperature": 4.1}),
        ],
        ZIGBEE,
    )  # fmt: skip
    assert values(batch) == [
        ("Kühlraum 2", "humidity_frac", 0.61), ("Kühlraum 2", "temperature_c", 4.1), ("door", "door_open", 0.0), ("door", "power_on", 1.0),
    ]  # fmt: skip
    row = batch.readings.row(0, named=True)
    assert (row["asset_type"], row["asset_id"], row["site_id"]) == ("cold_room", "Kühlraum 2", "007")
    assert row["read_at_utc"] == datetime(2026, 7, 6, 8, 0, 0, 123000, UTC)
    assert faults(batch) == ["bad_instant", "bad_instant", "bad_value", "bad_value", "no_measure", "no_rule"]
    assert batch.counts["ignored"] == 1


def test_fields_within_fields_and_a_clock_on_a_wall() -> None:
    """Tasmota; the time has no zone. Fahrenheit becomes Celsius."""
    mapping = """
    topic: "tele/{sensor_id}/SENSOR"
    constants: {asset_type: dock}
    columns: {read_at_utc: Time, asset_id: Id}
    time_zone: America/New_York
    measures: {temperature_c: {of: SI7021.Temperature, times: 0.5555555555, plus: -17.7777777778}, power_kw: {of: ENERGY.Power, times: 0.001}}
    """
    payload = {
        "Time": "2026-07-06T07:00:00",
        "Id": 12,
        "SI7021": {"Temperature": 41.0},
        "ENERGY": {"Power": 1500},
        "TempUnit": "F",
    }
    batch = read([said("tele/dock-1/SENSOR", payload)], mapping)
    assert values(batch) == [("dock-1", "power_kw", 1.5), ("dock-1", "temperature_c", pytest.approx(5.0, abs=1e-6))]
    assert set(batch.readings["read_at_utc"]) == {datetime(2026, 7, 6, 11, tzinfo=UTC)}
    assert set(batch.readings["asset_id"]) == {"12"}


def test_a_list_of_metrics_each_with_its_own_time() -> None:
    mapping = """
    topic: "spBv1.0/{site_id}/DDATA/+/{asset_id}"
    constants: {asset_type: press}
    columns: {measure_code: name, read_at_utc: timestamp}
    each: metrics
    time_unit: ms
    measures: {pressure_bar: Hydraulics/Pressure, temperature_c: Oil/Temp}
    """
    metrics = [
        {"name": "Hydraulics/Pressure", "value": 210.5, "timestamp": 1783324800000},
        {"name": "Oil/Temp", "value": 60}, {"name": "bdSeq", "value": 4},
    ]  # fmt: skip
    topic = "spBv1.0/Plant1/DDATA/edge/Press4"
    batch = read([said(topic, {"timestamp": 1783324860000, "metrics": metrics, "seq": 2}), said(topic, {"seq": 3})], mapping)  # fmt: skip
    assert batch.readings.select("sensor_id", "measure_code", "value", "site_id", "read_at_utc").rows() == [
        ("Press4", "pressure_bar", 210.5, "Plant1", datetime(2026, 7, 6, 8, tzinfo=UTC)),
        ("Press4", "temperature_c", 60.0, "Plant1", datetime(2026, 7, 6, 8, 1, tzinfo=UTC)),
    ]
    assert faults(batch) == ["no_measure"]


def test_a_plain_number_per_topic_is_read_when_it_came_but_not_if_it_was_kept() -> None:
    mapping = """
    - {topic: "home.{asset_id}.{measure_code}", constants: {asset_type: freezer}, measures: {temperature_c: temp}}
    - {topic: "raw.{asset_id}.{measure_code}.>", constants: {asset_type: freezer}}
    """
    batch = read(
        [said("home.f1.temp", b" -18.5\n"), said("home.f2.temp", b"-19", is_retained=True), said("home.f3.temp", b"off"),
         said("home.f4.noise", b"1"), said("raw.f5.speed_rpm.x.y", b"7")],
        mapping, bus="nats",
    )  # fmt: skip
    assert values(batch) == [("f1", "temperature_c", -18.5), ("f5", "speed_rpm", 7.0)]
    assert set(batch.readings["read_at_utc"]) == {AT}
    assert faults(batch) == ["bad_value", "no_measure", "retained"]


@pytest.mark.parametrize(
    ("said_", "unit", "expected"),
    [
        (1783324800, "s", AT - timedelta(hours=4)), ("1783324800.5", "s", AT - timedelta(hours=4) + timedelta(milliseconds=500)),
        (1783324800123456, "us", AT - timedelta(hours=4) + timedelta(microseconds=123456)),
        (1783324800123456789, "ns", AT - timedelta(hours=4) + timedelta(microseconds=123456)),
        ("2026-07-06T10:00:00.123456789+02:00", "", AT - timedelta(hours=4) + timedelta(microseconds=123456)),
        ("2026-07-06 10:00:00", "", AT - timedelta(hours=4)),
    ],
)  # fmt: skip
def test_clocks_in_other_units(said_: Any, unit: str, expected: datetime) -> None:
    assert instant_of(said_, unit, "Europe/Berlin", AT) == expected


@pytest.mark.parametrize(
    ("said_", "unit", "words"),
    [
        (1783324800000, "", "time_unit: ms"), (1783324800, "ms", "no time in ms"), (1783324800000, "s", "no time in s"), (True, "s", "no instant"),
        (None, "s", "is missing"), ("yesterday noon", "", "no instant"), (float("inf"), "s", "no time in s"),
    ],
)  # fmt: skip
def test_what_is_no_instant_is_said(said_: Any, unit: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        instant_of(said_, unit, "UTC", AT)


def test_the_hour_that_comes_twice_is_the_one_that_had_come() -> None:
    first, second = (datetime(2026, 10, 25, hour, 31, tzinfo=UTC) for hour in (0, 1))
    told = [instant_of("2026-10-25 02:30:00", "", "Europe/Berlin", at) for at in (first, second)]
    assert told == [first - timedelta(minutes=1), second - timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("", "no list of rules"), ("[]", "no list of rules"), ("a: [", r"not valid YAML \(line 1\)"), ("measures: {a: b}", "rule 1 names no topic"),
        ("{topic: a, colums: {}}", "unknown keys colums"), ("{topic: a, measures: [x]}", "'measures' in rule 1"),
        ("{topic: 'a/{sensor_id}', constants: {asset_type: x}}", "no measure is named"),
        ("{topic: 'a/{sensor_id}', measures: {a: b}}", "asset_type is not named"),
        ("{topic: a, constants: {asset_type: x}, measures: {a: b}}", "neither sensor_id nor asset_id"),
        ("{topic: 'a/{sensor}', measures: {a: b}}", "sensor is no name of ours"),
        ("{topic: 'a/{sensor_id}', constants: {asset_type: x}, measures: {a: {of: b, times: x}}}", "has no number"),
        ("{topic: 'a/{sensor_id}', constants: {asset_type: x}, measures: {a: b}, time_unit: minutes}", "time_unit is 'minutes'"),
        ("{topic: 'a/{sensor_id}', constants: {asset_type: x}, measures: {a: b}, time_zone: Mars/Base}", "time_zone is 'Mars/Base'"),
        ("{topic: a, ignore: maybe}", "'ignore' in rule 1"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_work_is_refused_by_name(mapping: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        parse_rules(mapping, "map.yaml")
