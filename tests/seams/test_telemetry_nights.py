"""Sensors night by night: what was told when, beside a plain reading, and the same by nights, by a backfill and by nights again."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from dagster import DagsterInstance, materialize

from aios_assets.assets.glue_findings import finding_rows
from aios_assets.assets.glue_telemetry import OWN_LIMITS, limits_found, limits_refused
from aios_assets.assets.s1_ingest_telemetry import read_telemetry
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import RAW_EDI_DOCUMENTS, RAW_TELEMETRY_READINGS
from aios_assets.heard_again import hear_again
from aios_assets.quarantine import marked_segment, unreleased_rejects
from aios_assets.resources.handles import World
from aios_assets.resources.lake_check import check_lake, drop_derived
from aios_assets.resources.transport import Incoming, RawStore
from aios_assets.telemetry import Message, pack
from tests.unit.telemetry.plain import START, TRAILER, Row, plain_excursions, stream

ZONE = "America/New_York"
FIRST = date(2026, 1, 4)
KINDS = {"high": "telemetry_excursion", "low": "telemetry_excursion", "spike": "sensor_spike", "gap": "sensor_gap", "stuck": "sensor_stuck"}  # fmt: skip
SAID = ("sensor_id", "measure_code", "value", "asset_type", "asset_id", "shipment_id")


def network(home: Path, rows: list[Row]) -> World:
    """A lake with one document for each moment at which readings reached us."""
    world = World(home=str(home), inbox_path=str(home / "inbox"), business_tz=ZONE, cutoff_hour=2)
    documents: list[Row] = []
    for n, at in enumerate(sorted({r["available_at_utc"] for r in rows})):
        here = [
            {k: r[k] for k in SAID} | {"read_at_utc": r["read_at_utc"].isoformat()}
            for r in rows
            if r["available_at_utc"] == at
        ]
        content = "\n".join(json.dumps(line) for line in here).encode()
        documents.append(
            {"document_id": f"{n:064x}", "content": content, "size_bytes": len(content), "source_uri": f"t/{n}", "transport_code": "folder",
             "kind_code": "telemetry", "mapping_json": None, "available_at_utc": at, "available_month": f"{at:%Y-%m}"}
        )  # fmt: skip
    world.lake.write(RAW_EDI_DOCUMENTS, pl.DataFrame(documents, schema=RAW_EDI_DOCUMENTS.schema))
    return world


def play(world: World, days: list[date]) -> dict[str, Any]:
    """One run of these days; what the readings' step reported."""
    ends = {
        "dagster/asset_partition_range_start": str(days[0]),
        "dagster/asset_partition_range_end": str(days[-1]),
    }
    with DagsterInstance.ephemeral() as instance:
        done = materialize([read_telemetry], tags=ends, resources={"world": world}, instance=instance)
    world.lake.write("mon_findings", finding_rows(world, days))
    made = {m.asset_key.to_user_string(): m for m in done.asset_materializations_for_node("read_telemetry")}
    return {name: value.value for name, value in made["raw_telemetry__readings"].metadata.items()}


def told(world: World) -> pl.DataFrame:
    return world.lake.read("mon_findings").sort("finding_id")


def plainly_told(rows: list[Row], days: list[date], world: World) -> set[tuple[Any, ...]]:
    """(kind, subject, day, known) of all that the nights of these days have to say."""
    ids: set[tuple[Any, ...]] = set()
    said: set[tuple[Any, ...]] = set()
    out: set[tuple[Any, ...]] = set()
    for night in days:
        cutoff = world.cutoff(night)
        new: list[tuple[Any, ...]] = []
        grown: list[tuple[Any, ...]] = []
        for e in plain_excursions([r for r in rows if r["available_at_utc"] <= cutoff], TRAILER):
            kind, start, end = e[2:5]
            began, ended = (t.astimezone(ZoneInfo(ZONE)).date() for t in (start, end))
            place = (KINDS[kind], f"{e[0]}/{e[1]}@{start:%H:%M}")
            words = (e[5], e[6], round((end - start).total_seconds() / 60))
            lasts = kind in ("high", "low", "stuck")
            for day in {began, ended} if lasts else {began}:
                ((grown if lasts else []) if (*place, day) in ids else new).append((*place, day, began, words))
        for *place, day, began, words in new:
            out.add((*place, day, cutoff))
            said.add((*place, began, words))
        for *place, _, began, words in grown:
            if (*place, began, words) not in said:
                out.add((place[0], f"{place[1]} (late)", night, cutoff))
        ids |= {o[:3] for o in out}
        said |= {(*place, began, words) for *place, _, began, words in grown}
    return out


def test_the_nights_tell_what_was_to_be_seen_then_and_a_backfill_tells_the_same(tmp_path: Path) -> None:
    rows = [r | {"available_at_utc": r["available_at_utc"] + timedelta(seconds=1)} for r in stream(3, sensors=2)]
    newest: datetime = max(r["available_at_utc"] for r in rows)
    days = [FIRST + timedelta(days=k) for k in range((newest.date() - FIRST).days + 1)]
    nights, at_once = network(tmp_path / "nights", rows), network(tmp_path / "backfill", rows)
    for day in days:
        play(nights, [day])
    one_by_one = told(nights)
    found = set(one_by_one.select("kind_code", "subject", "finding_date", "available_at_utc").iter_rows())
    assert found == plainly_told(rows, days, nights) and len(found) > 30
    play(at_once, days)
    assert told(at_once).equals(one_by_one)
    for day in (days[-1], days[3]):
        play(nights, [day])
    assert told(nights).equals(one_by_one)
    for table in ("raw_telemetry__readings", "raw_telemetry__excursions"):
        assert at_once.lake.content_hash(table) == nights.lake.content_hash(table)


def reading(minutes: int, value: float, known: datetime, sensor: str = "s0") -> Row:
    return {
        "sensor_id": sensor, "measure_code": "temperature_c", "read_at_utc": START + timedelta(hours=12, minutes=minutes), "value": value,
        "asset_type": "trailer", "asset_id": "A", "shipment_id": "SH1", "available_at_utc": known,
    }  # fmt: skip


def test_what_came_late_of_a_stretch_is_told_though_the_stretch_was(tmp_path: Path) -> None:
    """One reading a little too warm, and two days later the rest of that afternoon: ten hours at thirty degrees."""
    day, back = START + timedelta(hours=20), START + timedelta(days=2, hours=20)
    rows = [reading(30 * n, 3.0 + n % 3 / 10, day) for n in range(5)] + [reading(150, 8.1, day)]
    rows += [reading(150 + 30 * n, 8.1 + 1.1 * n, back) for n in range(1, 21)]
    world = network(tmp_path, rows)
    for k in range(5):
        play(world, [START.date() + timedelta(days=k)])
    warm = told(world).filter(kind_code="telemetry_excursion").sort("finding_date")
    assert warm.select("finding_date", "value").rows() == [(START.date(), 8.1), (back.date(), pytest.approx(30.1))]
    assert "600 minutes, 21 readings" in warm["reason"][1]


def test_readings_that_come_again_another_night_are_counted_and_change_nothing(tmp_path: Path) -> None:
    day, later = START + timedelta(hours=20), START + timedelta(days=1, hours=20)
    rows = [reading(30 * n, 3.0, day, "s0") for n in range(4)]
    again = [reading(30 * n, 3.0 if n else 4.0, later, "s0") for n in range(3)] + [reading(0, 2.0, later, "s1")]
    world = network(tmp_path, rows + again)
    first, second = (play(world, [START.date() + timedelta(days=k)]) for k in range(2))
    assert first["counts"] == {"lines": 4, "kept": 4, "duplicates": 0, "conflicts": 0, "rejected": 0}
    assert second["counts"] == {"lines": 4, "kept": 1, "duplicates": 3, "conflicts": 1, "rejected": 0}
    assert second["rows_written"] == 1
    kept = world.lake.read("raw_telemetry__readings").filter(sensor_id="s0")
    assert kept["value"].to_list() == [3.0] * 4


def test_a_sensor_that_fell_silent_is_missed_once_a_week_until_it_is_heard_again(tmp_path: Path) -> None:
    """Two trailers send every hour; one dies for eleven days, and its silence is told by nights as by a backfill."""
    days = [START.date() + timedelta(days=n) for n in range(26)]
    hours = [START + timedelta(hours=n) for n in range(27 * 24)]
    dead = START + timedelta(days=9, hours=3), START + timedelta(days=20, hours=5)
    rows = [
        {"sensor_id": s, "measure_code": "temperature_c", "read_at_utc": at, "value": 3.0 + at.hour / 10, "asset_type": "trailer",
         "asset_id": s, "site_id": None, "shipment_id": None, "document_id": "d", "line_no": 1, "available_at_utc": at,
         "available_month": f"{at:%Y-%m}"}
        for s in ("T1", "T2") for at in hours if s == "T2" or not dead[0] < at < dead[1]
    ]  # fmt: skip
    world = World(home=str(tmp_path), inbox_path=str(tmp_path / "inbox"), business_tz=ZONE, cutoff_hour=2)
    world.lake.write(RAW_TELEMETRY_READINGS, pl.DataFrame(rows, schema=RAW_TELEMETRY_READINGS.schema))
    at_once = finding_rows(world, days).filter(kind_code="sensor_silent").sort("finding_date")
    assert at_once.select("subject", "finding_date").rows() == [
        ("T1@2026-01-14 03:00", date(2026, 1, 14)), ("T1@2026-01-14 03:00", date(2026, 1, 21)),
    ]  # fmt: skip
    for day in days[8:18]:
        world.lake.write("mon_findings", finding_rows(world, [day]))
    nights = told(world).filter(kind_code="sensor_silent").sort("finding_date")
    assert nights.equals(at_once)


def test_a_person_states_limits_of_their_own_in_the_home(tmp_path: Path) -> None:
    """A trailer of frozen goods, and a freezer that no shipped limit knows; a file that is none is refused with its place."""
    known = START + timedelta(hours=20)
    rows = [reading(30 * n, -10.0 - n % 3 / 10, known) for n in range(4)]
    rows += [r | {"sensor_id": "f1", "asset_type": "freezer"} for r in rows]
    world = network(tmp_path, rows)
    own = tmp_path / OWN_LIMITS
    own.write_text("- {asset_type: trailer, measure_code: temperature_c, high: -15, low: -30}\n")
    first = play(world, [START.date()])
    assert first["not_judged"] == {"freezer/temperature_c": 4}
    assert told(world).select("kind_code", "expected_value").sort("kind_code").rows() == [
        ("measure_not_judged", None), ("telemetry_excursion", -15.0),
    ]  # fmt: skip
    own.write_text("- {asset_type: freezer, measure_code: temperature_c, high: -18}\n")
    play(world, [START.date() + timedelta(days=1)])
    now = world.lake.read("raw_telemetry__excursions").select("sensor_id", "kind_code", "limit_value").rows()
    assert now == [("f1", "high", -18.0), ("s0", "low", -2.0)]


@pytest.mark.parametrize("broken", [b"high: -18", b"- {asset_type: [", b"\xff\xfe", None])
def test_limits_that_cannot_be_used_are_told_and_those_of_the_night_before_hold(
    tmp_path: Path, broken: bytes | None
) -> None:
    """A first night stops, for nobody knows what was meant; a later one judges by what the last found."""
    known = START + timedelta(hours=20)
    world = network(tmp_path, [reading(30 * n, -10.0 - n % 3 / 10, known) for n in range(4)])
    own, days = tmp_path / OWN_LIMITS, [START.date() + timedelta(days=k) for k in range(3)]
    own.mkdir() if broken is None else own.write_bytes(broken)
    for refused in (lambda: limits_found(world, days[:1]), lambda: limits_refused(world)):
        with pytest.raises(BadInputError, match=r"telemetry_limits\.yaml"):
            refused()
    own.rmdir() if broken is None else own.unlink()
    own.write_text("- {asset_type: trailer, measure_code: temperature_c, high: -15}\n")
    assert limits_refused(world) == ""
    play(world, days[:1])
    own.unlink()
    own.mkdir() if broken is None else own.write_bytes(broken)
    said = limits_refused(world)
    assert "telemetry_limits.yaml was passed over" in said and str(world.cutoff(days[0]))[:16] in said
    play(world, days[1:2])
    found = world.lake.read("raw_telemetry__limits").sort("available_at_utc")
    assert found["content"].n_unique() == 1 and found.height == 2
    assert world.lake.read("raw_telemetry__excursions")["limit_value"].to_list() == [-15.0]


def test_an_older_night_judges_by_the_limits_that_stood_then(tmp_path: Path) -> None:
    """Nights with one file, another, and none; then all of them again, from raw, with a fourth file in the home."""
    known = START + timedelta(hours=20)
    world = network(tmp_path, [reading(30 * n, -10.0 - n % 3 / 10, known) for n in range(4)])
    own, days = tmp_path / OWN_LIMITS, [START.date() + timedelta(days=k) for k in range(4)]
    files = ["- {asset_type: trailer, measure_code: temperature_c, high: -15}\n", "", None, None]
    for day, text in zip(days, files, strict=True):
        own.unlink(missing_ok=True) if text is None else own.write_text(text)
        play(world, [day])
    kept = world.lake.read("raw_telemetry__limits").sort("available_at_utc")
    assert [bytes(c).decode() for c in kept["content"]] == [files[0], "", "", ""]
    assert kept["available_at_utc"].to_list() == [world.cutoff(day) for day in days]
    assert kept["content_digest"][0] == hashlib.sha256(str(files[0]).encode()).hexdigest()
    before = [told(world), world.lake.content_hash("raw_telemetry__excursions")]
    own.write_text("- {asset_type: trailer, measure_code: temperature_c, high: 90}\n")
    assert "raw_telemetry__limits" not in drop_derived(world.lake)
    for day in days:
        play(world, [day])
    after = [told(world), world.lake.content_hash("raw_telemetry__excursions")]
    assert after[0].equals(before[0]) and after[1] == before[1]
    assert set(before[0].filter(kind_code="telemetry_excursion")["expected_value"]) == {-15.0, -2.0}
    play(world, [days[-1] + timedelta(days=1)])
    assert world.lake.read("raw_telemetry__excursions").is_empty()
    assert world.lake.read("raw_telemetry__limits").height == 5


def test_a_run_of_several_nights_keeps_what_each_of_them_found(tmp_path: Path) -> None:
    known = START + timedelta(hours=20)
    world = network(tmp_path, [reading(30 * n, -10.0, known) for n in range(4)])
    days = [START.date() + timedelta(days=k) for k in range(3)]
    (tmp_path / OWN_LIMITS).write_text("- {asset_type: trailer, measure_code: temperature_c, high: -15}\n")
    play(world, days)
    play(world, [START.date() - timedelta(days=3)])
    assert world.lake.read("raw_telemetry__limits")["available_at_utc"].to_list() == [world.cutoff(day) for day in days]


def test_messages_that_gave_no_reading_are_read_again_by_another_mapping(tmp_path: Path) -> None:
    """A plant listened without a mapping: nothing is lost, and what the next mapping reads is no longer set aside."""
    world = World(home=str(tmp_path), inbox_path=str(tmp_path / "inbox"), business_tz=ZONE, cutoff_hour=2)
    known = START + timedelta(hours=20)
    payloads = [b'{"kW": 1}', b'{"kW": 2, "bar": "broken"}', b"online", b'{"kW": 3}']
    content = pack([Message(f"p/{n}", p, known) for n, p in enumerate(payloads)], {"aios_bus": "mqtt"})
    RawStore(world.lake, clock=lambda: known)([Incoming(content, "mqtt://h:1/p/#", "mqtt")])
    assert play(world, [START.date()])["counts"]["rejected"] == 4
    rule = {
        "topic": "p/{asset_id}",
        "constants": {"asset_type": "pump"},
        "measures": {"power_kw": "kW", "air_bar": "bar"},
    }
    later = known + timedelta(days=1)
    assert hear_again(world.lake, [rule], "me", later) == {"set_aside": 4, "taken": 3}
    assert hear_again(world.lake, [rule], "me", later) == {"set_aside": 1, "taken": 0}
    second = play(world, [START.date() + timedelta(days=1)])
    assert second["counts"]["kept"] == 3
    rows = world.lake.read("raw_telemetry__readings").sort("asset_id")
    assert rows.select("asset_id", "value", "available_at_utc").rows() == [
        ("0", 1.0, later), ("1", 2.0, later), ("3", 3.0, later),
    ]  # fmt: skip
    assert hear_again(world.lake, [rule], "me", later) == {"set_aside": 2, "taken": 0}
    assert unreleased_rejects(world.lake).height == 2 and check_lake(world.lake) == []
    assert marked_segment(unreleased_rejects(world.lake).row(0, named=True) | {"element_no": 7}).count("^") == 0
