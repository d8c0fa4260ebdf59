"""The inbox on real files: each read once, none half-written, every fault in one clear line, the rest goes on."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import RAW_EDI_RELEASES
from aios_assets.resources import inbox as inbox_module
from aios_assets.resources.handles import World
from aios_assets.resources.inbox import Inbox, instant_of
from aios_assets.resources.lake import Lake
from aios_assets.resources.unread import count_unread, mark_read, unread_documents

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
CUTOFF = datetime(2026, 1, 10, 7, tzinfo=UTC)
BEFORE = int(datetime(2026, 1, 9, 12, tzinfo=UTC).timestamp())
X12 = (
    b"ISA*00*          *00*          *ZZ*STORE01        *ZZ*US             *260105*1200*U*00401*000000001*0*P*>~"
    b"GS*PD*STORE01*US*20260105*1200*1*X*004010~ST*852*0001~SE*2*0001~GE*1*1~IEA*1*000000001~"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir()
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def put(folder: Path, name: str, content: bytes, at: float = BEFORE) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


def inbox(folder: Path, **more: int | float) -> Inbox:
    return Inbox(folder, clock=lambda: NOW, **({"settle_seconds": 0.05} | more))  # type: ignore[arg-type]


def test_takes_each_document_once(folder: Path, lake: Lake) -> None:
    put(folder, "a/1.edi", X12)
    put(folder, "a/b/copy.edi", X12, BEFORE + 5)
    put(folder, "t.jsonl", b'{"sensor_id": "T1"}\n')
    put(folder, "master/items/i.csv", b"item_id,pack_ea\nA,6\n")
    first = inbox(folder).take(lake, CUTOFF)
    assert (first.files, first.documents, first.deliveries, first.duplicates) == (4, 3, 4, 1)
    stored = lake.read("raw_edi__documents").sort("source_uri")
    assert dict(stored.select("source_uri", "kind_code").iter_rows()) == {
        "a/1.edi": "x12", "t.jsonl": "telemetry", "master/items/i.csv": "csv",
    }  # fmt: skip
    assert all(hashlib.sha256(c).hexdigest() == d for d, c in stored.select("document_id", "content").iter_rows())
    assert stored["available_at_utc"].unique().to_list() == [datetime.fromtimestamp(BEFORE, UTC)]
    before = lake.content_hash("raw_edi__deliveries"), lake.version("raw_edi__documents")
    again = inbox(folder).take(lake, CUTOFF)
    assert (again.known, again.documents, again.deliveries) == (4, 0, 0)
    assert (lake.content_hash("raw_edi__deliveries"), lake.version("raw_edi__documents")) == before


def test_a_stop_between_documents_and_deliveries_changes_nothing(folder: Path, tmp_path: Path) -> None:
    for n in range(5):
        put(folder, f"{n}.edi", X12 + b"\n" * (n // 2), BEFORE + n)
    whole, stopped = Lake(tmp_path / "whole"), Lake(tmp_path / "stopped")
    inbox(folder).take(whole, CUTOFF)
    taken = inbox_module.Taken()
    known = stopped.read("raw_edi__deliveries")
    batch = next(inbox(folder).batches(known, CUTOFF, taken))
    stopped.write("raw_edi__documents", batch.documents)
    inbox(folder).take(stopped, CUTOFF)
    for name in ("raw_edi__documents", "raw_edi__deliveries"):
        assert whole.content_hash(name) == stopped.content_hash(name)


def test_batches_do_not_change_what_is_stored(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(7):
        put(folder, f"{n}.edi", X12 + b"\n" * (n % 3), BEFORE + n)
    one, many = Lake(tmp_path / "one"), Lake(tmp_path / "many")
    inbox(folder).take(one, CUTOFF)
    monkeypatch.setattr(inbox_module, "BATCH_FILES", 2)
    inbox(folder).take(many, CUTOFF)
    for name in ("raw_edi__documents", "raw_edi__deliveries"):
        assert one.content_hash(name) == many.content_hash(name)


def test_passes_over_what_is_hidden_or_unfinished(folder: Path, lake: Lake) -> None:
    for name in (".hidden.edi", "x.tmp", "y.edi.part", "Z.TMP", ".git/a.edi"):
        put(folder, name, X12)
    assert inbox(folder).take(lake, CUTOFF).files == 0


def test_late_files_wait_for_their_night(folder: Path, lake: Lake) -> None:
    put(folder, "1.edi", X12, CUTOFF.timestamp() + 1)
    assert inbox(folder).take(lake, CUTOFF).later == 1
    assert lake.count("raw_edi__documents") == 0
    assert inbox(folder).take(lake, datetime(2026, 1, 11, 7, tzinfo=UTC)).documents == 1


def test_a_file_from_the_future_is_named_and_waits(folder: Path, lake: Lake) -> None:
    put(folder, "f.edi", X12, NOW.timestamp() + 3600)
    taken = inbox(folder).take(lake, datetime(2027, 1, 1, tzinfo=UTC))
    assert (taken.future, taken.documents) == (1, 0)
    assert taken.problems == [
        "the file's time 2026-01-10 13:00 UTC is in the future (f.edi). To do: correct the sender's clock or touch the file."
    ]


def test_a_file_that_still_grows_waits(folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(folder, "g.edi", X12[:50], NOW.timestamp() - 0.01)

    def grow(_: float) -> None:
        path.write_bytes(X12)
        os.utime(path, (NOW.timestamp() - 0.005,) * 2)

    monkeypatch.setattr(inbox_module.time, "sleep", grow)
    late = datetime(2026, 2, 1, tzinfo=UTC)
    assert inbox(folder).take(lake, late).growing == 1
    assert lake.count("raw_edi__documents") == 0
    monkeypatch.setattr(inbox_module.time, "sleep", lambda _: None)
    assert inbox(folder).take(lake, late).documents == 1


def test_a_missing_folder_is_said(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(BadInputError, match=r"the inbox folder does not exist \(.*nowhere\)\. To do: make it"):
        inbox(tmp_path / "nowhere").take(lake, CUTOFF)


def test_an_unreadable_file_is_one_line_and_one_reject(
    folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "good.edi", X12)
    bad = put(folder, "bad.edi", X12 + b"\n")
    real = Path.read_bytes

    def refuse(self: Path) -> bytes:
        if self == bad:
            raise PermissionError(13, "Permission denied")
        return real(self)

    # The tests may run as a user who may read everything, so the refusal is made here.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    taken = inbox(folder).take(lake, CUTOFF)
    assert (taken.documents, taken.set_aside) == (1, 1)
    assert taken.problems == ["file cannot be read (Permission denied) (bad.edi). To do: give the reading user access."]
    lake.write("raw_edi__rejects", taken.reject_rows())
    assert lake.read("raw_edi__rejects")["error_code"].to_list() == ["inbox:unreadable"]
    again = inbox(folder).take(lake, CUTOFF)
    assert not lake.write("raw_edi__rejects", again.reject_rows()).is_new


def test_a_huge_document_is_one_line(folder: Path, lake: Lake) -> None:
    path = folder / "huge.edi"
    with path.open("wb") as out:
        out.truncate(200_000_000)
    os.utime(path, (BEFORE, BEFORE))
    put(folder, "good.edi", X12)
    taken = inbox(folder, cap_bytes=100_000_000).take(lake, CUTOFF)
    assert (taken.documents, taken.set_aside) == (1, 1)
    assert "200 MB is larger than the 100 MB" in taken.problems[0]
    assert "AIOS_DOCUMENT_CAP_MB" in taken.problems[0]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "unknown"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "unknown"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), "unknown"),
    ],
)
def test_empty_files_and_pictures_are_kept_as_unknown(folder: Path, lake: Lake, content: bytes, kind: str) -> None:
    put(folder, "picture.edi", content)
    assert inbox(folder).take(lake, CUTOFF).documents == 1
    assert lake.read("raw_edi__documents")["kind_code"].to_list() == [kind]


def test_reads_from_a_folder_it_may_not_write(folder: Path, lake: Lake) -> None:
    put(folder, "1.edi", X12)
    before = {p: p.stat().st_mtime_ns for p in (folder, *folder.iterdir())}
    folder.chmod(0o555)
    try:
        assert inbox(folder).take(lake, CUTOFF).documents == 1
    finally:
        folder.chmod(0o755)
    assert {p: p.stat().st_mtime_ns for p in (folder, *folder.iterdir())} == before


def test_names_that_are_no_text_are_taken(folder: Path, lake: Lake) -> None:
    path = os.fsencode(folder) + b"/caf\xe9.edi"
    with open(path, "wb") as out:
        out.write(X12)
    os.utime(path, (BEFORE, BEFORE))
    assert inbox(folder).take(lake, CUTOFF).documents == 1
    assert inbox(folder).take(lake, CUTOFF).known == 1


def test_instants_keep_their_microseconds() -> None:
    assert instant_of(1_700_000_000_123_456_789) == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)


def test_deliveries_and_documents_reconcile(folder: Path, lake: Lake) -> None:
    for n in range(6):
        put(folder, f"{n}.edi", X12 + b"\n" * (n % 3), BEFORE + n)
    inbox(folder).take(lake, CUTOFF)
    deliveries = lake.read("raw_edi__deliveries")
    assert deliveries.filter(~pl.col("is_duplicate")).height == lake.count("raw_edi__documents") == 3


def release(lake: Lake, document_id: str, segment_no: int) -> None:
    row = {
        "reject_id": f"r{segment_no}",
        "document_id": document_id,
        "interchange_no": 1,
        "set_no": 1,
        "segment_no": segment_no,
    }
    row |= {"released_by": "me", "reason": "checked by telephone", "available_at_utc": NOW}
    lake.write(RAW_EDI_RELEASES, pl.DataFrame([row], schema=RAW_EDI_RELEASES.schema))


def test_a_document_waits_until_it_is_read_and_once_more_per_release(lake: Lake, folder: Path) -> None:
    put(folder, "a.edi", X12)
    inbox(folder).take(lake, CUTOFF)
    waiting = unread_documents(lake, CUTOFF, "edi")
    assert waiting.height == 1 and count_unread(lake, CUTOFF, ("x12",), ("edi",)) == 1
    mark_read(lake, waiting, "edi")
    assert unread_documents(lake, CUTOFF, "edi").is_empty() and count_unread(lake, CUTOFF, ("x12",), ("edi",)) == 0
    release(lake, waiting["document_id"].item(), 3)
    again = unread_documents(lake, CUTOFF, "edi")
    assert again["document_id"].to_list() == waiting["document_id"].to_list()
    mark_read(lake, again, "edi")
    assert unread_documents(lake, CUTOFF, "edi").is_empty()  # a release is read once, not every night


def test_two_releases_between_two_readings_leave_the_marks_of_a_rebuild(
    lake: Lake, folder: Path, tmp_path: Path
) -> None:
    put(folder, "a.edi", X12)
    rebuilt = Lake(tmp_path / "rebuilt")
    for one in (lake, rebuilt):
        inbox(folder).take(one, CUTOFF)
    mark_read(lake, unread_documents(lake, CUTOFF, "edi"), "edi")
    document_id = lake.read("raw_edi__documents")["document_id"].item()
    for one in (lake, rebuilt):
        release(one, document_id, 3)
        release(one, document_id, 5)
        mark_read(one, unread_documents(one, CUTOFF, "edi"), "edi")
    assert lake.content_hash("raw_edi__reads") == rebuilt.content_hash("raw_edi__reads")


def test_an_imported_table_is_read_as_one_whatever_its_encoding() -> None:
    """By its first bytes alone it would go to the EDI reader, and be set aside there."""
    content = "Код~Пачка\nЯблоко~6\n".encode("cp1251")
    assert inbox_module.kind_of(content) == "unknown"
    row = inbox_module.document_row(content, "import:i.csv", "import", datetime(2026, 1, 1, tzinfo=UTC), "{}")
    assert row["kind_code"] == "csv"


def test_a_link_that_is_not_followed_is_told(tmp_path: Path) -> None:
    inbox, elsewhere = tmp_path / "inbox", tmp_path / "elsewhere"
    for folder in (inbox, elsewhere):
        folder.mkdir()
        (folder / "a.csv").write_bytes(folder.name.encode())
        os.utime(folder / "a.csv", (1_700_000_000, 1_700_000_000))
    (inbox / "partner").symlink_to(elsewhere)
    (inbox / "gone.edi").symlink_to(tmp_path / "nothing")
    (inbox / "linked.csv").symlink_to(elsewhere / "a.csv")
    taken = Inbox(inbox).take(Lake(tmp_path / "lake"), datetime(2030, 1, 1, tzinfo=UTC))
    assert (taken.files, taken.documents, taken.set_aside) == (2, 2, 2)
    assert sorted(taken.problems) == [
        "link leads to nothing (gone.edi). To do: put the documents themselves there.",
        "link to a folder is not followed (partner). To do: put the documents themselves there.",
    ]


def test_what_came_at_the_very_cut_off_belongs_to_its_night_and_what_came_after_does_not(
    folder: Path, lake: Lake
) -> None:
    """Readers take a fact as known at the instant it came (`known_at`); a document that waits would be known and unread."""
    micro = 1000
    at_cutoff = int(CUTOFF.timestamp()) * 10**9
    for name, moment in (("at.edi", at_cutoff), ("after.edi", at_cutoff + micro)):
        path = put(folder, name, X12.replace(b"000000001", b"000000002") if name == "at.edi" else X12)
        os.utime(path, ns=(moment, moment))
    world = World(home=str(lake.root.parent), inbox_path=str(folder), cutoff_hour=2)
    assert world.cutoff(CUTOFF.date() - timedelta(days=1)) == CUTOFF
    assert world.waiting_documents("2026-01-09").count == 1
    taken = inbox(folder).take(lake, CUTOFF)
    assert (taken.documents, taken.later) == (1, 1)
    assert unread_documents(lake, CUTOFF, "edi")["source_uri"].to_list() == ["at.edi"]
    assert count_unread(lake, CUTOFF, ("x12",), ("edi",)) == 1
    assert not world.has_documents_after(CUTOFF)
    inbox(folder).take(lake, CUTOFF + timedelta(microseconds=1))
    assert world.has_documents_after(CUTOFF) and count_unread(lake, CUTOFF, ("x12",), ("edi",)) == 1
