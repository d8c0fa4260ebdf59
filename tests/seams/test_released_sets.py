"""A set that a person let pass counts as taken from the next reading on, as after a rebuild, and the lake stays intact."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from dagster import materialize

from aios_assets.assets.s1_ingest_documents import take_documents
from aios_assets.assets.s1_ingest_edi import read_edi
from aios_assets.contracts.errors import BadInputError
from aios_assets.quarantine import find_reject, open_rejects, release
from aios_assets.resources.handles import World
from aios_assets.resources.lake_check import check_lake, drop_derived, end_rebuild

NIGHT = date(2026, 1, 10)
ISA = "ISA*00*          *00*          *ZZ*ST001          *ZZ*US             *260109*2300*U*00401*{no:09d}*0*P*>~"
SET = "ST*852*0001~XQ*H*20260109~N1*ST*Store*92*ST001~LIN**UP*0850009000016~ZA*QS*{qty}*EA~SE*{count}*0001~"


def interchange(no: int, qty: int, count: int) -> bytes:
    text = ISA.format(no=no) + f"GS*PD*ST001*US*20260109*2300*{no}*X*004010~" + SET.format(qty=qty, count=count)
    return (text + f"GE*1*{no}~IEA*1*{no:09d}~").encode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name, data in {"good.edi": interchange(1, 5, 6), "miscounted.edi": interchange(2, 7, 9)}.items():
        (inbox / name).write_bytes(data)
        at = datetime(2026, 1, 9, 23, tzinfo=UTC).timestamp()
        os.utime(inbox / name, (at, at))
    return World(home=str(tmp_path), inbox_path=str(inbox), business_tz="UTC", cutoff_hour=2)


def night(world: World) -> None:
    assert materialize([take_documents, read_edi], partition_key=NIGHT.isoformat(), resources={"world": world}).success


def verdicts(world: World) -> list[tuple[str, int]]:
    return sorted(world.lake.read("raw_edi__sets").select("verdict_code", "facts").rows())


def test_a_released_set_is_accepted_with_its_facts_and_the_lake_is_intact(world: World) -> None:
    night(world)
    assert verdicts(world) == [("accepted", 1), ("rejected", 0)]
    reject = open_rejects(world.lake)["reject_id"].item()
    release(world.lake, reject, "counted by hand", "anna", datetime(2026, 1, 11, 9, tzinfo=UTC))
    night(world)
    assert [facts for _, facts in verdicts(world)] == [1, 1]
    assert "rejected" not in dict(verdicts(world))
    assert set(world.lake.read("raw_edi__product_activity")["quantity"]) == {5.0, 7.0}
    assert open_rejects(world.lake).is_empty()
    assert check_lake(world.lake) == []


def test_reading_again_changes_nothing_more_and_a_rebuild_comes_to_the_same(world: World) -> None:
    night(world)
    reject = open_rejects(world.lake)["reject_id"].item()
    release(world.lake, reject, "counted by hand", "anna", datetime(2026, 1, 11, 9, tzinfo=UTC))
    night(world)
    names = ["raw_edi__sets", "raw_edi__interchanges", "raw_edi__rejects", "raw_edi__product_activity"]
    before = {name: (world.lake.version(name), world.lake.content_hash(name)) for name in names}
    night(world)
    assert {name: (world.lake.version(name), world.lake.content_hash(name)) for name in names} == before
    drop_derived(world.lake)
    night(world)
    end_rebuild(world.lake)
    assert {name: world.lake.content_hash(name) for name in names} == {name: h for name, (_, h) in before.items()}


def test_a_rejected_interchange_is_settled_once_its_correction_was_accepted(world: World) -> None:
    night(world)
    reject = open_rejects(world.lake)["reject_id"].item()
    again = Path(world.inbox_path) / "again.edi"
    again.write_bytes(interchange(2, 7, 6))
    at = datetime(2026, 1, 10, 1, tzinfo=UTC).timestamp()
    os.utime(again, (at, at))
    night(world)
    assert verdicts(world) == [("accepted", 1), ("accepted", 1), ("rejected", 0)]
    assert open_rejects(world.lake).is_empty()
    assert find_reject(world.lake, reject)["superseded_by"] == hashlib.sha256(again.read_bytes()).hexdigest()
    with pytest.raises(BadInputError, match="would count twice"):
        release(world.lake, reject, "counted by hand", "anna", datetime(2026, 1, 11, 9, tzinfo=UTC))
    assert world.lake.read("raw_edi__releases").is_empty()
