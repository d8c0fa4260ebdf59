"""What people may release: a fault of an EDI document, and nothing whose release would only hide it."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.quarantine import find_reject, marked_segment, open_rejects, release, unreleased_rejects
from aios_assets.resources.handles import World
from aios_assets.resources.inbox import Inbox, document_frame, document_row
from aios_assets.resources.lake import Lake
from aios_assets.resources.unread import mark_read, release_placed, unread_documents
from aios_assets.tabular import Mapping, mapping_json, read_import, read_master

AT = datetime(2026, 1, 10, 5, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    content = b"site_id,item_id,activity_date,quantity\n1,A,2026-01-05,x-1\n1,A,2026-01-06,2\n"
    documents = document_frame(
        [document_row(content, "import:s.csv", "import", AT, mapping_json(Mapping(kind="sales")))]
    )
    lake = Lake(tmp_path / "lake")
    lake.write("raw_edi__documents", documents)
    lake.write("raw_edi__rejects", read_import(documents).rejects)
    return lake


def test_a_row_of_a_table_is_not_released_and_stays_in_the_list(lake: Lake) -> None:
    reject_id = open_rejects(lake)["reject_id"].item()
    with pytest.raises(BadInputError, match=r"import:s\.csv, row 2"):
        release(lake, reject_id, "it is one", "me", AT)
    assert open_rejects(lake)["reject_id"].to_list() == [reject_id]
    assert lake.read("raw_edi__releases").select(pl.len()).item() == 0


def test_a_cell_is_shown_as_it_is(lake: Lake) -> None:
    assert marked_segment(find_reject(lake, open_rejects(lake)["reject_id"].item())) == "x-1"


def night(lake: Lake, inbox: Path) -> list[str]:
    """Take the inbox and read its master data as the night does; the sources read."""
    end = datetime(2030, 1, 1, tzinfo=UTC)
    Inbox(inbox).take(lake, end)
    release_placed(lake)
    documents = unread_documents(lake, end, "master")
    batch = read_master(documents)
    lake.write("raw_edi__rejects", batch.rejects)
    lake.write("raw_master__items", batch.frames["raw_master__items"])
    mark_read(lake, documents, "master")
    return documents["source_uri"].to_list()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_a_table_that_lay_in_the_wrong_place_is_read_once_it_lies_in_the_right_one(tmp_path: Path) -> None:
    lake, inbox = Lake(tmp_path / "lake"), tmp_path / "inbox"
    put(inbox / "items.csv", b"item_id,pack_ea\n007,6\n")
    assert night(lake, inbox) == ["items.csv"]
    assert "master/<kind>/" in open_rejects(lake)["reason"].item()
    put(inbox / "master/items/items.csv", b"item_id,pack_ea\n007,6\n")
    assert night(lake, inbox) == ["master/items/items.csv"]
    assert lake.read("raw_master__items")["item_id"].to_list() == ["007"]
    assert open_rejects(lake).is_empty()
    assert lake.read("raw_edi__releases")["reason"].to_list() == ["delivered again as master/items/items.csv"]
    assert night(lake, inbox) == []


def test_a_table_in_the_right_place_that_does_not_fit_stays_in_the_list(tmp_path: Path) -> None:
    lake, inbox = Lake(tmp_path / "lake"), tmp_path / "inbox"
    put(inbox / "items.csv", b"sku,pack_ea\n007,6\n")
    night(lake, inbox)
    put(inbox / "master/items/items.csv", b"sku,pack_ea\n007,6\n")
    night(lake, inbox)
    assert "column 'item_id' is missing" in open_rejects(lake)["reason"].item()


HEADER = "site_id,item_id,activity_date,quantity\n"
FIRST = HEADER + "1,A,2026-01-05,x-1\n1,A,2026-01-06,2\n1,B,2026-01-05,3\n"


def hand_in(lake: Lake, text: str, hours: int, name: str = "import:s.csv", kind: str = "sales") -> None:
    content = text.encode() if kind == "sales" else text.replace("activity_date", "position_date").encode()
    at = AT + timedelta(hours=hours)
    documents = document_frame([document_row(content, name, "import", at, mapping_json(Mapping(kind=kind)))])
    lake.write("raw_edi__documents", documents)
    lake.write("raw_edi__rejects", read_import(documents).rejects)


def test_rows_set_aside_leave_the_list_when_the_corrected_file_lands_and_are_not_lost(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    hand_in(lake, FIRST, 0)
    (faulty,) = open_rejects(lake)["reject_id"].to_list()
    hand_in(lake, FIRST.replace("x-1", "1"), 1)
    assert open_rejects(lake).is_empty()
    (kept,) = unreleased_rejects(lake).iter_rows(named=True)
    corrected = hashlib.sha256(FIRST.replace("x-1", "1").encode()).hexdigest()
    assert (kept["reject_id"], kept["superseded_by"]) == (faulty, corrected)
    assert find_reject(lake, faulty)["superseded_by"] == corrected


def test_a_correction_with_faults_of_its_own_leaves_just_those(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    hand_in(lake, FIRST, 0)
    hand_in(lake, FIRST.replace("x-1", "y"), 1)
    assert [r.split(": ", 1)[1][:3] for r in open_rejects(lake)["reason"]] == ["'y'"]


@pytest.mark.parametrize(
    ("text", "hours", "name", "kind"),
    [
        (HEADER + "1,A,2026-01-07,4\n1,B,2026-01-07,5\n", 24, "import:s.csv", "sales"),  # the next day's, same name
        (FIRST.replace("x-1", "1"), 1, "import:other.csv", "sales"),
        (FIRST.replace("x-1", "1"), -1, "import:s.csv", "sales"),  # an older state
        (FIRST.replace("x-1", "1"), 1, "import:s.csv", "stock"),
    ],
)
def test_other_files_supersede_nothing(tmp_path: Path, text: str, hours: int, name: str, kind: str) -> None:
    lake = Lake(tmp_path / "lake")
    hand_in(lake, FIRST, 0)
    hand_in(lake, text, hours, name, kind)
    assert "x-1" in "".join(open_rejects(lake)["reason"])


def test_the_nights_own_releases_are_no_reason_for_another_night(tmp_path: Path) -> None:
    """A table that came again in its right place was released by the night, and the next run went through once more."""
    inbox = tmp_path / "inbox"
    world = World(home=str(tmp_path), inbox_path=str(inbox), business_tz="UTC")
    put(inbox / "items.csv", b"item_id,pack_ea\n007,6\n")
    night(world.lake, inbox)
    put(inbox / "master/items/items.csv", b"item_id,pack_ea\n007,6\n")
    before = world.waiting_documents("2026-01-01").fingerprint
    night(world.lake, inbox)
    assert world.lake.read("raw_edi__releases").height == 1
    assert world.waiting_documents("2026-01-01").fingerprint == before
    by_hand = world.lake.read("raw_edi__releases").with_columns(reject_id=pl.lit("f" * 16), released_by=pl.lit("me"))
    world.lake.write("raw_edi__releases", by_hand)
    assert world.waiting_documents("2026-01-01").fingerprint != before
