"""The tiny night: once, twice, by backfill, after a rebuild: the same bytes each time, and every planted fault named."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.e2e.conftest import Home

pytestmark = pytest.mark.slow


def test_a_night_ends_green_with_recommendations(night_home: Home) -> None:
    status = night_home.json("status")
    assert status["documents"]["taken"]["x12"] > 100
    assert status["documents"]["taken"]["edifact"] > 10
    assert {d["decision_code"] for d in status["decisions"]} >= {"replenish", "none"}
    assert all(r["reason"] for r in status["recommendations"])
    assert status["gates"], "no gate was judged"


def test_every_stage_has_rows(night_home: Home) -> None:
    rows = {r["table"]: r["rows"] for r in night_home.json("status", "--tables")}
    for name in (
        "raw_edi__documents", "raw_edi__product_activity", "raw_telemetry__readings", "raw_master__items", "fct_demand_daily",
        "fct_inventory_daily", "fct_purchase_order_lines", "feat_item_site__demand", "pred_demand__28d", "pred_lead_time__lane",
        "rec_decisions", "mon_gate_verdicts",
    ):  # fmt: skip
        assert rows[name] > 0, f"{name} is empty"


def test_a_second_run_changes_nothing_and_says_so(night_home: Home, home: Home) -> None:
    before = home.hashes()
    done = home.aios("run")
    assert "nothing was changed" in done.stderr
    assert home.hashes() == before


def test_rebuild_gives_the_same_bytes(home: Home) -> None:
    before = home.hashes()
    home.aios("rebuild")
    assert home.hashes() == before


def test_every_recommendation_leads_to_bytes(night_home: Home) -> None:
    recommendation = next(r for r in night_home.json("status")["recommendations"] if r["decision_code"] == "replenish")
    chain = night_home.json("explain", recommendation["rec_id"])
    assert chain["forecast"] and chain["stock"] and chain["documents"] and chain["model"]["model_digest"]
    raw = {p.name: p for p in (night_home.path / "sandbox" / "inbox").rglob("*") if p.is_file()}
    for document in chain["documents"]:
        if "byte_start" in document:
            data = raw[Path(document["source_uri"]).name].read_bytes()
            assert data[document["byte_start"] : document["byte_end"]].decode("latin-1") == document["text"]


def planted(home: Home) -> list[dict[str, Any]]:
    lines = (home.path / "sandbox" / "truth" / "faults.jsonl").read_text().splitlines()
    inbox = night_inbox(home)
    faults = [json.loads(line) for line in lines]
    last = max(p.stem for p in (home.path / "nights").glob("*.json"))
    arrived = [f for f in faults if "file" not in f or (inbox / f["file"]).exists()]  # the rest is still on its way
    return [f for f in arrived if f["kind"] != "corrected_resend" or f["resent"] <= last]


def night_inbox(home: Home) -> Path:
    return home.path / "sandbox" / "inbox"


def test_planted_faults_are_found_and_named(night_home: Home) -> None:
    truth = planted(night_home)
    assert {f["kind"] for f in truth} >= {
        "duplicate", "late", "out_of_order", "truncated", "wrong_se_count", "wrong_control_number", "unknown_item",
        "unit_off_by_pack", "corrected_resend", "regime_change", "sensor_spike", "sensor_gap", "sensor_stuck",
    }  # fmt: skip
    search = Evidence(night_home)
    missed = [f for f in truth if not search.finds(f)]
    counted = Counter(f["kind"] for f in truth)
    print(
        "planted and found:", {k: f"{n - sum(m['kind'] == k for m in missed)}/{n}" for k, n in sorted(counted.items())}
    )
    assert missed == [], (
        f"{len(missed)} of {len(truth)} planted faults were not found: {Counter(f['kind'] for f in missed)}, {missed[:2]}"
    )


class Evidence:
    """Where each kind of planted fault must show: a reject, a delivery, a version, a finding, an excursion."""

    def __init__(self, home: Home) -> None:
        lake = home.lake()
        documents = lake.read("raw_edi__documents", columns=["document_id", "source_uri", "available_at_utc"])
        self.received = {r["source_uri"]: r for r in documents.iter_rows(named=True)}
        self.deliveries = lake.read("raw_edi__deliveries")
        self.rejects = lake.read("raw_edi__rejects").join(documents.drop("available_at_utc"), on="document_id")
        self.findings = lake.read("mon_findings")
        self.excursions = lake.read("raw_telemetry__excursions")
        self.versions = {"demand": lake.read("fct_demand_daily"), "inventory": lake.read("fct_inventory_daily")}

    def finds(self, fault: dict[str, Any]) -> bool:
        kind = fault["kind"]
        if kind == "duplicate":
            return (
                self.deliveries.filter((pl.col("source_uri") == fault["other_file"]) & pl.col("is_duplicate")).height
                == 1
            )
        if kind in ("truncated", "wrong_se_count", "wrong_control_number"):
            return (
                self.rejects.filter(
                    (pl.col("source_uri") == fault["file"]) & (pl.col("kind_code") == "envelope")
                ).height
                > 0
            )
        if kind.startswith("sensor_"):
            same = (pl.col("sensor_id") == fault["sensor_id"]) & (pl.col("kind_code") == kind.removeprefix("sensor_"))
            return (
                self.excursions.filter(
                    same
                    & (pl.col("started_at_utc").dt.date() - date.fromisoformat(fault["date"]))
                    .dt.total_days()
                    .abs()
                    .le(1)
                ).height
                > 0
            )
        if kind in ("late", "out_of_order"):
            return self._received_late(fault)
        if kind == "corrected_resend":
            return self._has_second_version(fault)
        same_item = (pl.col("kind_code") == kind) & (pl.col("item_id") == fault["item_id"])
        return self.findings.filter(same_item).height > 0

    def _received_late(self, fault: dict[str, Any]) -> bool:
        """The document's clock says when it came, and a document later than a day is a finding of its own."""
        document = self.received[fault["file"]]
        is_late = (document["available_at_utc"].date() - date.fromisoformat(fault["date"])).days > fault["nights_late"]
        if fault["kind"] == "out_of_order" or fault["document_kind"] not in ("852", "SLSRPT", "846", "INVRPT"):
            return is_late
        named = (pl.col("kind_code") == "late_document") & (pl.col("document_id") == document["document_id"])
        return is_late and self.findings.filter(named).height > 0

    def _has_second_version(self, fault: dict[str, Any]) -> bool:
        for name, frame in self.versions.items():
            same = (pl.col("item_id") == fault["item_id"]) & (pl.col("site_id") == fault["subject"])
            day = pl.col(f"{name}_date") == date.fromisoformat(fault["date"])
            if frame.filter(same & day & (pl.col("version_no") >= 2)).height:
                return True
        return False


def test_no_healthy_row_is_rejected(night_home: Home) -> None:
    lake = night_home.lake()
    documents = lake.read("raw_edi__documents", columns=["document_id", "source_uri"])
    rejects = lake.read("raw_edi__rejects").join(documents, on="document_id", how="left")
    faulty = {str(f["file"]) for f in planted(night_home) if f.get("file")}
    healthy = rejects.filter(~pl.col("source_uri").is_in(sorted(faulty)))
    assert healthy.is_empty(), healthy.head(5)
