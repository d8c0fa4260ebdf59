"""A real, independent trading partner on loopback: our orders out, its answers in, everything reconciled, faults found."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aios_assets.edi import EdiBatch, read_documents
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.reconcile import match_acknowledgements, order_findings
from aios_assets.edi.writing import Partner, write
from aios_assets.resources.control_numbers import ControlNumbers
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
