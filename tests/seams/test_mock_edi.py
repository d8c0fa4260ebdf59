"""A real, independent trading partner on loopback: our orders out, its answers in, everything reconciled, faults found."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from aios_assets.edi import EdiBatch, read_documents
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.reconcile import order_findings, order_state
from aios_assets.edi.sent import match_acknowledgements, sent_by_us
from aios_assets.edi.writing import Partner, write
from aios_assets.resources.as2 import parse_mdn, request_headers
from aios_assets.resources.control_numbers import ControlNumbers
from tests.seams.receipts import receipt_box
from tests.unit.edi.make import frame

testing = pytest.importorskip("mockedi.testing")
faults = pytest.importorskip("mockedi.db")
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


def partner_of(kind: str) -> Partner:
    """The partner as our 850 or ORDERS addresses it."""
    us, qualifier = US[kind]
    return Partner(
        name="mock",
        our_id=us,
        our_qualifier=qualifier,
        partner_id="MOCKEDI",
        usage="T",
        item_qualifier="SK" if kind == "850" else "SA",
        party_qualifier="92",
    )


class Trade:
    """Both sides of the trade with one partner: what we sent, what it put into our mailbox, and what we acknowledged."""

    def __init__(self, mock: Any, us: str, store: Path) -> None:
        self.mock, self.us, self.numbers = mock, us, ControlNumbers(store)
        self.ours: list[bytes] = []
        self.known: dict[bytes, datetime] = {}
        self.acknowledged: set[str] = set()

    def send(self, kind: str, rows: pl.DataFrame, partner: Partner) -> dict[str, Any]:
        """Write a document, hand it over, and note when."""
        content = write(kind, rows, partner, numbers=self.numbers.take, now=NOW).documents["content"][0]
        self.ours.append(content)
        self.known[content] = self.moment()
        reply = self.mock.post("/edi", content.decode())
        assert reply.status == 200, reply.body
        return dict(reply.body)

    def moment(self) -> datetime:
        """The next tick of our own clock: one second for each document that went or came."""
        return NOW + timedelta(seconds=len(self.known))

    def collect(self) -> None:
        """Let the partner do its work, and note what it sent as it comes."""
        self.mock.advance(7200)
        for document in self.mock.mailbox(partner=self.us, leave=True):
            self.known.setdefault(document["payload"].encode(), self.moment())

    def read(self) -> EdiBatch:
        """Everything that the partner sent."""
        theirs = [c for c in self.known if c not in self.ours]
        return read_documents(frame(*theirs, when=[self.known[c] for c in theirs]), grammar=True)

    def state(self) -> pl.DataFrame:
        """Where each order line stands, by what both sides sent."""
        return order_state(self.everything().facts)

    def everything(self) -> EdiBatch:
        """All documents of both sides, as they became known."""
        return read_documents(frame(*self.known, when=list(self.known.values())), grammar=True)

    def findings(self) -> list[str]:
        return sorted(order_findings(self.state())["finding_code"].unique().to_list())

    def acknowledgements(self, as_of: datetime) -> list[str]:
        batch = self.everything()
        sent = sent_by_us(batch.interchanges, batch.sets, [self.us], as_of)
        answers = batch.facts["raw_edi__acknowledgements"]
        return match_acknowledgements(sent, answers, as_of=as_of)["state"].to_list()

    def acknowledge(self) -> int:
        """Acknowledge everything that was not yet; returns how many interchanges that were."""
        acks = acknowledge(self.read(), number=self.numbers.next, now=NOW)
        fresh = [a for a in acks if a.document_id not in self.acknowledged]
        for ack in fresh:
            reply = self.mock.post("/edi", ack.content.decode())
            assert (reply.status, len(reply.body["acknowledged"])) == (200, 1), reply.body
            self.acknowledged.add(ack.document_id)
        return len(fresh)

    def open_items(self) -> int:
        """Documents without an acknowledgement, and lines with something to answer, ship or invoice."""
        open_ = pl.col("open_to_answer") | (pl.col("open_to_ship") > 0) | (pl.col("open_to_invoice") > 0)
        return len(self.mock.unacknowledged()) + self.state().filter(open_).height


@contextmanager
def trading(kind: str, store: Path, behaviour: str = "accept") -> Iterator[Trade]:
    """An order of ours to a partner that behaves so, and what came of it."""
    us, _ = US[kind]
    with testing.Mock.start() as mock:
        mock.behaviour(us, behaviour)
        trade = Trade(mock, us, store)
        trade.send(kind, orders(kind), partner_of(kind))
        trade.collect()
        yield trade
        trade.numbers.close()


@pytest.mark.parametrize("kind", ["850", "ORDERS"])
def test_an_order_comes_back_acknowledged_confirmed_shipped_and_invoiced(kind: str, tmp_path: Path) -> None:
    with trading(kind, tmp_path / "n.sqlite") as trade:
        batch = trade.read()
        assert batch.rejects.is_empty(), batch.rejects["reason"].to_list()
        assert sorted(batch.sets["set_code"]) == sorted(
            ["997", "855", "856", "810"] if kind == "850" else ["CONTRL", "ORDRSP", "DESADV", "INVOIC"]
        )
        assert trade.acknowledgements(NOW + timedelta(days=1)) == ["accepted"]
        assert trade.findings() == []
        assert trade.acknowledge() == 3, "its own acknowledgement is not acknowledged"
        assert trade.open_items() == 0


# Behaviour of a seller: state of our order's acknowledgement after two days, findings, and what a person does about it.
SELLERS = {
    "accept": ("accepted", [], None),
    "strict": ("accepted", [], None),
    "out-of-order": ("accepted", [], None),
    "late": ("accepted", [], None),
    "short-ship": ("accepted", ["confirmed_short"], None),
    "over-ship": ("accepted", ["shipped_over"], None),
    "reject-line": ("accepted", ["line_refused"], None),
    "reject-all": ("accepted", ["line_refused"], None),
    "duplicate-invoice": ("accepted", ["invoiced_twice"], None),
    "no-invoice": ("accepted", ["not_invoiced"], "ask again"),
    "no-ack": ("overdue", ["not_answered", "shipped_short"], "ask again"),
    "corrupt": ("accepted", ["not_answered", "shipped_short"], "ask again"),
    "reject-ack": ("rejected", ["not_answered", "shipped_short"], "order anew"),
}
# Behaviour of a buyer: findings.
BUYERS = {
    "duplicate-order": ["ordered_twice"],
    "change-after-confirm": ["changed_after_confirm"],
    "cancel-late": ["cancelled_after_shipment"],
}


def test_every_fault_that_the_partner_knows_is_tried() -> None:
    assert set(SELLERS) | set(BUYERS) == set(faults.BEHAVIOURS)
    assert len(faults.BEHAVIOURS) == 16


@pytest.mark.parametrize("behaviour", SELLERS)
def test_each_fault_of_a_seller_is_found_and_ends_with_nothing_open(behaviour: str, tmp_path: Path) -> None:
    state, expected, remedy = SELLERS[behaviour]
    with trading("850", tmp_path / "n.sqlite", behaviour) as trade:
        assert trade.acknowledgements(NOW + timedelta(days=2)) == [state]
        assert trade.findings() == expected
        batch = trade.read()
        if behaviour == "corrupt":
            assert set(batch.rejects["error_code"]) == {"AK5:4"}
            assert batch.facts["raw_edi__invoice_lines"].is_empty()
        else:
            assert batch.rejects.filter(pl.col("kind_code") == "envelope").is_empty()
        trade.acknowledge()
        assert (trade.open_items() == 0) == (remedy is None)
        if remedy is not None:
            put_right(trade, remedy)
        assert trade.open_items() == 0
        left = trade.findings()
        assert left == (expected if remedy is None else [])


def put_right(trade: Trade, remedy: str) -> None:
    """What a person does once the finding is there: has the partner mend its system and send again, or orders anew."""
    trade.mock.behaviour(trade.us, "accept")
    if remedy == "order anew":
        partner = partner_of("850")
        gone = orders("850").with_columns(action_code=pl.lit("cancel"), quantity=0.0)
        trade.send("860", gone, partner)
        trade.send("850", orders("850").with_columns(order_number=pl.lit("PO-again")), partner)
    else:
        for kind in ("response", "despatch", "invoice"):
            order = {"partner": trade.us, "kind": kind, "order": "PO-850"}
            assert trade.mock.post("/_mock/send", order).status == 201, kind
    trade.collect()
    trade.acknowledge()


def answer(quantity: float) -> pl.DataFrame:
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


def notice(quantity: float) -> pl.DataFrame:
    """Our shipment notice for the order of a buyer."""
    return pl.DataFrame(
        {
            "shipment_id": ["SH1"],
            "shipped_date": [date(2026, 1, 4)],
            "order_number": ["B1"],
            "order_line": ["1"],
            "ship_from_id": ["NORTHWIND"],
            "ship_to_site_id": ["S1"],
            "carrier_id": ["UPSN"],
            "item_id": ["BRKT-050"],
            "quantity": [quantity],
            "unit_code": ["EA"],
        }
    )


def bill(quantity: float) -> pl.DataFrame:
    """Our invoice for the order of a buyer."""
    return pl.DataFrame(
        {
            "invoice_number": ["IV1"],
            "invoice_date": [date(2026, 1, 5)],
            "order_number": ["B1"],
            "order_line": ["1"],
            "item_id": ["BRKT-050"],
            "quantity": [quantity],
            "unit_code": ["EA"],
            "unit_price": [4.15],
        }
    )


@pytest.mark.parametrize("behaviour", BUYERS)
def test_each_fault_of_a_buyer_is_found_and_ends_with_nothing_open(behaviour: str, tmp_path: Path) -> None:
    us = Partner(
        name="mock", our_id="NORTHWIND", partner_id="MOCKEDI", usage="T", item_qualifier="VP", party_qualifier="92"
    )
    with testing.Mock.start() as mock:
        trade = Trade(mock, "NORTHWIND", tmp_path / "n.sqlite")
        mock.behaviour("NORTHWIND", behaviour)
        line = {"sku": "BRKT-050", "quantity": 10, "price": "4.15"}
        order = {"partner": "NORTHWIND", "po_number": "B1", "lines": [line]}
        assert mock.post("/_mock/purchase", order).status == 201
        trade.collect()
        again = BUYERS[behaviour] if behaviour == "duplicate-order" else []
        assert trade.findings() == sorted(["not_answered", "shipped_short", *again])
        assert trade.send("855", answer(10.0), us)["accepted"]
        trade.collect()
        to_ship = trade.state()["expected"].to_list()
        assert to_ship == ([5.0] if behaviour == "change-after-confirm" else [10.0]), "ordered twice is ordered once"
        assert trade.send("856", notice(to_ship[0]), us)["accepted"]
        trade.collect()
        assert trade.findings() == sorted([*BUYERS[behaviour], "not_invoiced"])
        assert trade.send("810", bill(to_ship[0]), us)["accepted"]
        trade.collect()
        assert trade.findings() == BUYERS[behaviour]
        batch = trade.read()
        assert batch.rejects.is_empty() and batch.findings.is_empty()
        trade.acknowledge()
        assert trade.open_items() == 0
        state = trade.state().row(0, named=True)
        assert (state["shipped"], state["open_to_answer"], state["open_to_ship"]) == (to_ship[0], False, 0)
        assert trade.acknowledgements(NOW + timedelta(days=2)) == ["accepted", "accepted", "accepted"]
        trade.numbers.close()


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
