"""A real, independent trading partner on loopback: our orders out, its answers in, everything reconciled, faults found."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from aios_assets.edi import EdiBatch, read_documents
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.reconcile import match_acknowledgements, order_findings
from aios_assets.edi.writing import Partner, write
from aios_assets.resources.as2 import parse_mdn, request_headers
from aios_assets.resources.control_numbers import ControlNumbers
from tests.seams.receipts import receipt_box
from tests.unit.edi.make import frame

testing = pytest.importorskip("mockedi.testing")
NOW = datetime(2026, 1, 3, 12, 0, tzinfo=UTC)
US = {"850": ("ACME", "ZZ"), "ORDERS": ("EURODIS", "14")}


def orders(kind: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "order_number": [f"PO-{kind}"] * 2,
            "order_date": [date(2026, 1, 3)] * 2,
            "order_line": ["1", "2"],
            "ship_to_site_id": ["S1"] * 2,
            "item_id": ["BRKT-050", "CABLE-2M"],
            "quantity": [10.0, 20.0],
            "unit_code": ["EA"] * 2,
            "unit_price": [4.15, 3.95],
            "requested_date": [date(2026, 2, 1)] * 2,
        }
    )


def trade(mock: Any, kind: str, store: Path) -> tuple[EdiBatch, pl.DataFrame, dict[str, bytes]]:
    """Send one order, let the partner do its work, collect and read everything it sent."""
    us, qualifier = US[kind]
    partner = Partner(
        name="mock",
        our_id=us,
        our_qualifier=qualifier,
        partner_id="MOCKEDI",
        usage="T",
        item_qualifier="SK" if kind == "850" else "SA",
        party_qualifier="92",
    )
    with ControlNumbers(store) as numbers:
        written = write(kind, orders(kind), partner, numbers=numbers.take, now=NOW)
    content = written.documents["content"][0]
    assert mock.post("/edi", content.decode()).status == 200
    mock.advance(7200)
    mock.settle()
    box = mock.mailbox(partner=us, leave=True)
    contents = [d["payload"].encode() for d in box]
    batch = read_documents(frame(*dict.fromkeys(contents)), grammar=True)
    sent = pl.DataFrame(
        {
            "control_number": written.documents["control_number"],
            "standard_code": ["X12" if kind == "850" else "EDIFACT"],
            "our_id": [us],
            "partner_id": ["MOCKEDI"],
            "sent_at_utc": [NOW],
        }
    )
    return batch, sent, dict(zip(frame(*contents)["document_id"], contents, strict=True))


def findings(kind: str, batch: EdiBatch) -> list[str]:
    f = batch.facts
    found = order_findings(
        orders(kind), f["raw_edi__order_responses"], f["raw_edi__shipment_lines"], f["raw_edi__invoice_lines"]
    )
    return sorted(found["finding_code"].unique().to_list())


@pytest.mark.parametrize("kind", ["850", "ORDERS"])
def test_an_order_comes_back_acknowledged_confirmed_shipped_and_invoiced(kind: str, tmp_path: Path) -> None:
    with testing.Mock.start() as mock:
        batch, sent, contents = trade(mock, kind, tmp_path / "n.sqlite")
        assert batch.rejects.is_empty(), batch.rejects["reason"].to_list()
        assert sorted(batch.sets["set_code"]) == sorted(
            ["997", "855", "856", "810"] if kind == "850" else ["CONTRL", "ORDRSP", "DESADV", "INVOIC"]
        )
        state = match_acknowledgements(sent, batch.facts["raw_edi__acknowledgements"], as_of=NOW + timedelta(days=1))
        assert state["state"].to_list() == ["accepted"]
        assert findings(kind, batch) == []
        with ControlNumbers(tmp_path / "n.sqlite") as numbers:
            acks = acknowledge(contents, batch, number=numbers.next, now=NOW)
        assert len(acks) == 3, "its own acknowledgement is not acknowledged"
        for ack in acks:
            reply = mock.post("/edi", ack.content.decode())
            assert reply.status == 200, reply.body
            assert len(reply.body["acknowledged"]) == 1
        assert mock.unacknowledged() == []


@pytest.mark.parametrize(
    ("behaviour", "state", "expected"),
    [
        ("accept", "accepted", []),
        ("short-ship", "accepted", ["confirmed_short"]),
        ("over-ship", "accepted", ["shipped_over"]),
        ("reject-line", "accepted", ["line_refused"]),
        ("reject-all", "accepted", None),
        ("no-ack", "overdue", ["not_answered", "shipped_short"]),
        ("duplicate-invoice", "accepted", ["invoiced_twice"]),
        ("strict", "accepted", []),
        ("out-of-order", "accepted", []),
        ("late", "accepted", []),
        ("corrupt", "accepted", ["not_answered", "shipped_short"]),
        ("reject-ack", "rejected", ["not_answered", "shipped_short"]),
        ("no-invoice", "accepted", ["not_invoiced"]),
    ],
)
def test_each_fault_of_a_seller_is_found(
    behaviour: str, state: str, expected: list[str] | None, tmp_path: Path
) -> None:
    with testing.Mock.start() as mock:
        mock.behaviour("ACME", behaviour)
        batch, sent, _ = trade(mock, "850", tmp_path / "n.sqlite")
        got = match_acknowledgements(sent, batch.facts["raw_edi__acknowledgements"], as_of=NOW + timedelta(days=2))
        assert got["state"].to_list() == [state]
        if expected is not None:
            assert findings("850", batch) == expected
        else:
            assert findings("850", batch), "a refused order leaves open items"
        if behaviour == "corrupt":
            codes = set(batch.rejects["error_code"])
            assert codes == {"AK5:4"}, codes
            assert batch.facts["raw_edi__invoice_lines"].is_empty()
        else:
            assert batch.rejects.filter(pl.col("kind_code") == "envelope").is_empty()


def response(quantity: float) -> pl.DataFrame:
    """Our answer to the order of a buyer: taken as it is."""
    return pl.DataFrame(
        {
            "order_number": ["B1"],
            "response_date": [date(2026, 1, 3)],
            "order_line": ["1"],
            "response_code": ["IA"],
            "item_id": ["BRKT-050"],
            "quantity": [quantity],
            "unit_code": ["EA"],
            "unit_price": [4.15],
        }
    )


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("duplicate-order", [("850", "new", 10.0), ("850", "new", 10.0)]),
        ("change-after-confirm", [("850", "new", 10.0), ("860", "change", 5.0)]),
    ],
)
def test_what_each_fault_of_a_buyer_says_is_read(
    behaviour: str, said: list[tuple[str, str, float]], tmp_path: Path
) -> None:
    us = Partner(
        name="mock", our_id="NORTHWIND", partner_id="MOCKEDI", usage="T", item_qualifier="VP", party_qualifier="92"
    )
    with testing.Mock.start() as mock, ControlNumbers(tmp_path / "n.sqlite") as numbers:
        mock.behaviour("NORTHWIND", behaviour)
        line = {"sku": "BRKT-050", "quantity": 10, "price": "4.15"}
        placed = mock.post("/_mock/purchase", {"partner": "NORTHWIND", "po_number": "B1", "lines": [line]})
        assert placed.status == 201
        content = write("855", response(10.0), us, numbers=numbers.take, now=NOW).documents["content"][0]
        reply = mock.post("/edi", content.decode())
        assert (reply.status, reply.body["accepted"]) == (200, True), str(reply.body)
        mock.advance(7200)
        mock.settle()
        box = [d["payload"].encode() for d in mock.mailbox(partner="NORTHWIND", leave=True)]
        batch = read_documents(frame(*box), grammar=True)
        assert batch.rejects.is_empty() and batch.findings.is_empty()
        lines = batch.facts["raw_edi__order_lines"].sort("control_number")
        assert lines["order_number"].unique().to_list() == ["B1"]
        assert lines.select("set_code", "action_code", "quantity").rows() == said
        assert lines["control_number"].n_unique() == 2, "an order sent again is no interchange sent again"


def as2_order(mock: Any, store: Path, headers: dict[str, str]) -> tuple[bytes, httpx.Response]:
    """Send an 850 over AS2."""
    partner = Partner(
        name="mock", our_id="ACME", partner_id="MOCKEDI", usage="T", item_qualifier="SK", party_qualifier="92"
    )
    with ControlNumbers(store) as numbers:
        content: bytes = write("850", orders("850"), partner, numbers=numbers.take, now=NOW).documents["content"][0]
    return content, httpx.post(f"{mock.base}/as2", content=content, headers=headers)


def is_digest(mic: str, content: bytes) -> bool:
    """Whether a MIC, taken by whichever of the two algorithms the partner names, is that of the content."""
    digest, algorithm = mic.split(", ")
    return base64.b64encode(hashlib.new(algorithm.replace("-", ""), content).digest()).decode() == digest


def test_an_order_over_as2_is_receipted_at_once_and_answered(tmp_path: Path) -> None:
    with testing.Mock.start() as mock:
        headers = request_headers("ACME", "MOCKEDI", "<m1@acme>")
        content, answer = as2_order(mock, tmp_path / "n.sqlite", headers)
        mdn = parse_mdn(answer.headers["Content-Type"], answer.content)
        assert (answer.status_code, mdn.original_message_id, mdn.is_processed) == (200, "<m1@acme>", True)
        assert is_digest(mdn.mic, content)
        mock.advance(7200)
        mock.settle()
        box = [d["payload"].encode() for d in mock.mailbox(partner="ACME", leave=True)]
        assert sorted(read_documents(frame(*box)).sets["set_code"]) == ["810", "855", "856", "997"]


def test_an_order_over_as2_to_the_wrong_partner_is_no_receipt_of_success(tmp_path: Path) -> None:
    with testing.Mock.start() as mock:
        _, answer = as2_order(mock, tmp_path / "n.sqlite", request_headers("ACME", "SOMEBODY", "<m2@acme>"))
        assert not parse_mdn(answer.headers["Content-Type"], answer.content).is_processed


def test_an_order_over_as2_is_receipted_later_where_we_ask_for_it(tmp_path: Path) -> None:
    with receipt_box() as (where, got), testing.Mock.start() as mock:
        headers = request_headers("ACME", "MOCKEDI", "<m3@acme>", receipt_url=where)
        content, answer = as2_order(mock, tmp_path / "n.sqlite", headers)
        assert answer.status_code == 202
        mdn = parse_mdn(*got.get(timeout=10))
        assert (mdn.original_message_id, mdn.is_processed) == ("<m3@acme>", True)
        assert is_digest(mdn.mic, content)
