"""An archive of EDI files that was copied today: each document counts as known when its envelope was sent, before the first night."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.contracts.gates import Evidence, Limit, judge, verdict_frame
from aios_assets.resources.handing_in import take_paths
from aios_assets.resources.lake import Lake

COPIED = datetime(2026, 5, 1, 9, tzinfo=UTC)


def interchange(number: int, sent: str) -> str:
    """One 846 in its envelope; `sent` is YYMMDD and HHMM."""
    day, hour = sent.split()
    return (
        f"ISA*00*          *00*          *ZZ*SHOP           *ZZ*US             *{day}*{hour}*U*00401*{number:09}*0*P*>~"
        f"GS*IB*SHOP*US*20{day}*{hour}*{number}*X*004010~ST*846*0001~BIA*00*DD*{number}*20{day}~"
        f"LIN*1*IN*A~QTY*17*5*EA~CTT*1~SE*6*0001~GE*1*{number}~IEA*1*{number:09}~"
    )


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (COPIED.timestamp(), COPIED.timestamp()))


def test_documents_of_an_archive_were_known_when_they_were_sent_and_masters_when_they_came(tmp_path: Path) -> None:
    lake, archive = Lake(tmp_path / "lake"), tmp_path / "archive"
    put(archive / "1.edi", interchange(1, "260105 2130"))
    put(archive / "2.edi", interchange(2, "260106 0700") + interchange(3, "260107 0800"))
    put(archive / "3.edi", interchange(4, "270101 0000"))  # a sender whose clock is a year ahead
    put(archive / "4.edi", "ISA*00*cut off")
    put(archive / "master/items/items.csv", "item_id,pack_ea\nA,6\n")
    put(tmp_path / "single/5.edi", interchange(5, "260108 0900"))
    put(tmp_path / "single/other.edi", interchange(6, "260109 0900"))
    told = take_paths(lake, [archive, tmp_path / "single/5.edi"], 1_000_000, sent_in="UTC")
    assert [(t["files"], t["new"], t["dated"]) for t in told] == [(5, 5, 2), (1, 1, 1)]
    documents = lake.read("raw_edi__documents").sort("source_uri")
    assert dict(documents.select("source_uri", "available_at_utc").iter_rows()) == {
        "1.edi": datetime(2026, 1, 5, 21, 30, tzinfo=UTC), "2.edi": datetime(2026, 1, 7, 8, tzinfo=UTC), "3.edi": COPIED,
        "4.edi": COPIED, "5.edi": datetime(2026, 1, 8, 9, tzinfo=UTC), "master/items/items.csv": COPIED,
    }  # fmt: skip
    assert (documents["available_month"] == documents["available_at_utc"].dt.strftime("%Y-%m")).all()
    assert lake.read("raw_edi__deliveries")["available_at_utc"].unique().to_list() == [COPIED]
    again = take_paths(lake, [archive], 1_000_000, sent_in="UTC")
    assert [(t["files"], t["new"]) for t in again] == [(5, 0)]


def test_clocks_of_an_archive_may_show_local_time(tmp_path: Path) -> None:
    """Winter, summer, an hour that is skipped, and one that comes twice: nothing counts as known before it was."""
    lake, shown = Lake(tmp_path / "lake"), ("260105 0300", "260605 0300", "260308 0230", "251102 0130")
    for n, when in enumerate(shown, 1):
        put(tmp_path / f"archive/{n}.edi", interchange(n, when))
    take_paths(lake, [tmp_path / "archive"], 1_000_000, sent_in="America/New_York")
    documents = lake.read("raw_edi__documents").sort("source_uri")
    assert documents["available_at_utc"].to_list() == [
        datetime(2026, 1, 5, 8, tzinfo=UTC), min(COPIED, datetime(2026, 6, 5, 7, tzinfo=UTC)),
        datetime(2026, 3, 8, 7, 30, tzinfo=UTC), datetime(2025, 11, 2, 6, 30, tzinfo=UTC),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="there is no time zone 'Berlin'"):
        take_paths(lake, [tmp_path / "archive"], 1_000_000, sent_in="Berlin")


def test_an_archive_is_refused_once_a_night_could_have_known_it(tmp_path: Path) -> None:
    lake, day = Lake(tmp_path / "lake"), date(2026, 5, 1)
    put(tmp_path / "archive/1.edi", interchange(1, "260105 2130"))
    limit = Limit("label_delay", "days", "at_most", 2.0, 0, 9, "a test", "a test", day)
    verdict = judge(limit, Evidence(0.0, 1, day), subject="actuals", as_of=day)
    lake.write("mon_gate_verdicts", verdict_frame([verdict], available_at_utc=COPIED), window=(day, day + timedelta(1)))
    with pytest.raises(BadInputError, match="a night was run already"):
        take_paths(lake, [tmp_path / "archive"], 1_000_000, sent_in="UTC")
    assert take_paths(lake, [tmp_path / "archive"], 1_000_000)[0]["new"] == 1
    assert lake.read("raw_edi__documents").select(pl.col("available_at_utc").max()).item() == COPIED
