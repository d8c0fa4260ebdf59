"""A user's own folder, with no sandbox at all: what maps lands, the rest is set aside with its reason, the run ends green."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.e2e.conftest import Home

pytestmark = pytest.mark.slow
KINDS = ("850", "852", "846", "856")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Home:
    """A night on the real X12 files of four kinds, and on files that are no documents at all."""
    inbox = tmp_path_factory.mktemp("inbox")
    for path in sorted((shared / "edi_samples" / "x12").iterdir()):
        if path.name.split("__")[0] in KINDS:
            shutil.copyfile(path, inbox / path.name)
    (inbox / "empty.edi").write_bytes(b"")
    (inbox / "picture.edi").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    (inbox / "half.edi.part").write_bytes(b"ISA*00*")
    for path in inbox.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    home = Home(tmp_path_factory.mktemp("own"), {"AIOS_INBOX": str(inbox)})
    home.aios("run", "--day", "2023-11-16")
    return home


def test_what_maps_lands_with_both_clocks(own: Home) -> None:
    lake = own.lake()
    for name in (
        "raw_edi__order_lines",
        "raw_edi__product_activity",
        "raw_edi__inventory_positions",
        "raw_edi__shipment_lines",
    ):
        assert lake.count(name) > 0, f"nothing landed in {name}"


def test_every_document_is_in_exactly_one_outcome(own: Home) -> None:
    lake = own.lake()
    documents = lake.read("raw_edi__documents", columns=["document_id", "source_uri"])
    verdicts = lake.read("raw_edi__interchanges")["document_id"].unique()
    rejected = lake.read("raw_edi__rejects").filter(pl.col("level_code") == "document")["document_id"].unique()
    seen = documents.with_columns(
        pl.col("document_id").is_in(verdicts.implode()).alias("read"),
        pl.col("document_id").is_in(rejected.implode()).alias("rejected"),
    )
    assert seen.filter(~pl.col("read") & ~pl.col("rejected")).is_empty()


def test_files_that_are_no_documents_are_named_with_their_reason(own: Home) -> None:
    listed = own.json("quarantine", "list", "--limit", "1000")
    reasons = {Path(r["source_uri"] or "").name: r["reason"] for r in listed}
    assert "empty.edi" in reasons and "picture.edi" in reasons
    assert all(reasons.values())
    assert "half.edi.part" not in reasons


def test_the_inbox_is_left_as_it_was(own: Home) -> None:
    assert (Path(own.extra["AIOS_INBOX"]) / "half.edi.part").exists()
