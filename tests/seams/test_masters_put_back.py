"""Master files that are changed and put back: what lies in its place counts, though its bytes were known long before."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from aios_assets.resources.as_known import master_as_known
from aios_assets.resources.handing_in import import_file
from aios_assets.resources.inbox import Inbox
from aios_assets.resources.lake import Lake
from aios_assets.resources.restated import with_restated
from aios_assets.resources.unread import mark_read, unread_documents
from aios_assets.tabular import MASTER_KINDS, put_back, read_master, restated

START = datetime(2025, 1, 1, tzinfo=UTC)
ITEMS = MASTER_KINDS["items"]


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def put(path: Path, hours: int, **packs: int) -> None:
    """Write a file of items, and the time at which it reached us."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("item_id,pack_ea\n" + "".join(f"{item},{pack}\n" for item, pack in packs.items()))
    os.utime(path, (at(hours).timestamp(), at(hours).timestamp()))


def night(lake: Lake, inbox: Path, hours: int) -> None:
    """Take the inbox and read its masters as the night does."""
    Inbox(inbox).take(lake, at(hours))
    documents = unread_documents(lake, at(hours), "master")
    frames = with_restated(lake, at(hours), read_master(documents).frames)
    lake.write(ITEMS, frames[ITEMS.name])
    mark_read(lake, documents, "master")


def packs(lake: Lake, hours: int) -> dict[str, int]:
    """Packs as known at an hour."""
    return dict(master_as_known(lake, ITEMS.name, ["item_id"], at(hours)).select("item_id", "pack_ea").iter_rows())


def test_a_wrong_list_that_is_put_back_is_right_again_from_then_on(tmp_path: Path) -> None:
    lake, inbox = Lake(tmp_path / "lake"), tmp_path / "inbox"
    whole, part = inbox / "master/items/items.csv", inbox / "master/items/more.csv"
    put(whole, 1, A=12, B=6)
    put(part, 2, C=4)
    night(lake, inbox, 10)
    put(whole, 11, A=1, B=6)  # somebody's mistake
    night(lake, inbox, 20)
    assert packs(lake, 20) == {"A": 1, "B": 6, "C": 4}
    put(whole, 21, A=12, B=6)  # the old file is put back, byte for byte
    night(lake, inbox, 30)
    assert [packs(lake, n)["A"] for n in (10, 20, 21, 30)] == [12, 1, 12, 12]
    stated = lake.read(ITEMS.name)
    assert stated.height == 6  # B, which nobody had said otherwise, is not stated again
    version = lake.version(ITEMS.name)
    night(lake, inbox, 30)
    put(whole, 31, A=12, B=6)  # the inbox is copied to another disk: every file has a new time, none says anything new
    put(part, 31, C=4)
    night(lake, inbox, 40)
    assert lake.version(ITEMS.name) == version

    once = Lake(tmp_path / "once")  # all of it read in one night
    for name in ("raw_edi__documents", "raw_edi__deliveries"):
        once.write(name, lake.read(name))
    night(once, inbox, 40)
    assert once.read(ITEMS.name).sort(ITEMS.key).equals(stated.sort(ITEMS.key))


def test_an_import_that_is_handed_in_again_after_another_counts_again(tmp_path: Path) -> None:
    lake, inbox = Lake(tmp_path / "lake"), tmp_path / "inbox"
    inbox.mkdir()
    for n, pack in enumerate((12, 1, 12), start=1):
        put(tmp_path / "items.csv", 10 * n, A=pack)
        import_file(lake, "items", tmp_path / "items.csv", None, 1_000_000)
        night(lake, inbox, 10 * n + 1)
    assert [packs(lake, n)["A"] for n in (11, 21, 31)] == [12, 1, 12]


def test_what_lies_in_its_place_counts_whatever_lay_there_before() -> None:
    met = 0
    for seed in range(5):
        draw = random.Random(seed)
        contents = [{i: draw.choice([1, 6, 12]) for i in draw.sample("ABCD", draw.choice([1, 2, 4]))} for _ in range(3)]
        said = list(dict.fromkeys(tuple(sorted(c.items())) for c in contents))
        lying: dict[str, int] = {}
        first: dict[int, datetime] = {}
        deliveries, truth = [], {}
        state: dict[str, int] = {}
        for n in range(12):
            place, number = draw.choice(["x", "x", "y"]), draw.randrange(len(said))
            deliveries.append({"source_uri": place, "document_id": f"d{number}", "available_at_utc": at(n)})
            first.setdefault(number, at(n))
            if lying.get(place) != number:
                state = state | dict(said[number])
            lying[place] = number
            truth[at(n)] = state
        rows = pl.concat(
            pl.DataFrame([dict.fromkeys(ITEMS.names) | {"item_id": i, "pack_ea": p, "document_id": f"d{number}", "line_no": 2, "available_at_utc": known} for i, p in said[number]], schema=ITEMS.schema)
            for number, known in first.items()
        )  # fmt: skip
        new = restated(rows, put_back(pl.DataFrame(deliveries)), ["item_id"])
        everything = pl.concat([rows, new])
        assert everything.select(ITEMS.key).is_unique().all()
        for instant, theirs in truth.items():
            known = everything.filter(pl.col("available_at_utc") <= instant).sort("available_at_utc", "document_id")
            assert dict(known.select("item_id", "pack_ea").iter_rows()) == theirs, (seed, instant)
        met += new.height
    assert met > 5
