"""A history that is read in batches, as memory asks, leaves the rows that one reading of everything leaves."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, materialize

from aios_assets.assets import s1_ingest_edi
from aios_assets.assets.s1_ingest_documents import take_documents
from aios_assets.assets.s1_ingest_edi import FACTS, VERDICTS, read_edi
from aios_assets.resources.handles import World
from aios_assets.resources.unread import unread_batches
from tests.seams.test_released_sets import interchange

NIGHT = date(2026, 3, 1)
# Name, day received, interchange number, quantity, segments as counted: 2 is used twice, 3 is miscounted and corrected.
DOCUMENTS = [
    ("a", datetime(2026, 1, 9, 23), 1, 5, 6),
    ("b", datetime(2026, 1, 10, 23), 2, 7, 6),
    ("c", datetime(2026, 1, 30, 23), 3, 1, 9),
    ("d", datetime(2026, 2, 2, 23), 2, 8, 6),
    ("e", datetime(2026, 2, 3, 23), 3, 1, 6),
]


def world(home: Path) -> World:
    inbox = home / "inbox"
    inbox.mkdir(parents=True)
    for name, at, number, quantity, count in DOCUMENTS:
        (inbox / f"{name}.edi").write_bytes(interchange(number, quantity, count))
        stamp = at.replace(tzinfo=UTC).timestamp()
        os.utime(inbox / f"{name}.edi", (stamp, stamp))
    return World(home=str(home), inbox_path=str(inbox), business_tz="UTC", cutoff_hour=2)


def read(home: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Content of every table, and what was reported of it."""
    made, instance = world(home), DagsterInstance.ephemeral()
    done = materialize(
        [take_documents, read_edi], partition_key=NIGHT.isoformat(), resources={"world": made}, instance=instance
    )
    tables = [*FACTS, *VERDICTS, "raw_edi__reads"]
    events = {
        e.materialization.asset_key.to_user_string(): e.materialization for e in done.get_asset_materialization_events()
    }
    told = {n: {k: v.value for k, v in events[n].metadata.items() if k != "delta_version"} for n in tables}
    return {n: made.lake.content_hash(n) for n in tables}, told


def test_batches_leave_and_report_what_one_reading_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(tmp_path / "whole")
    monkeypatch.setattr(s1_ingest_edi, "unread_batches", partial(unread_batches, most_bytes=1))
    assert read(tmp_path / "batches") == whole


def test_a_killed_reading_goes_on_behind_the_last_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(tmp_path)
    assert materialize([take_documents], partition_key=NIGHT.isoformat(), resources={"world": made}).success
    batches = list(unread_batches(made.lake, made.cutoff(NIGHT), "edi", 1))
    assert [b["source_uri"].to_list() for b in batches] == [[f"{name}.edi"] for name, *_ in DOCUMENTS]
    monkeypatch.setattr(s1_ingest_edi, "unread_batches", lambda *_: iter(batches[:2]))
    assert materialize([take_documents, read_edi], partition_key=NIGHT.isoformat(), resources={"world": made}).success
    left = unread_batches(made.lake, made.cutoff(NIGHT), "edi")
    assert [b["source_uri"].to_list() for b in left] == [["c.edi", "d.edi", "e.edi"]]
