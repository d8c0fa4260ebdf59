"""Both sides of an order: messages that name no line, and what is open or wrong after answers, notices and invoices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.reconcile import order_findings, order_state
from tests.unit.edi.make import edifact, frame, x12

START = datetime(2026, 1, 2, tzinfo=UTC)


def said(content: bytes) -> tuple[list[Any], list[str]]:
    """Whole orders and reasons of rejects of one document."""
    batch = read_documents(frame(content))
    whole = batch.facts["raw_edi__whole_orders"]
    seen = batch.counts["lines"]
    assert seen == batch.counts["facts"] + batch.counts["lines_rejected"]
    return whole.select("order_number", "action_code", "buyer_id", "seller_id").rows(), batch.rejects[
        "reason"
    ].to_list()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (x12("860", "BCH*01*SA*P1**1*20260101", "N1*BY*X*92*ME", "CTT*0"), ("P1", "cancel", "ME", None)),
        (x12("850", "BEG*01*SA*P1**20260101"), ("P1", "cancel", None, None)),
        (x12("855", "BAK*00*RJ*P1*20260101", "N1*SE*X*92*SUP"), ("P1", "refuse", None, "SUP")),
        (x12("855", "BAK*00*AK*P1*20260101"), ("P1", "accept", None, None)),
        (edifact("ORDCHG", "BGM+230+C1+1", "DTM+137:20260101:102", "RFF+ON:P1", "NAD+BY+ME::92"), ("P1", "cancel", "ME", None)),
        (edifact("ORDERS", "BGM+220+P1+1", "DTM+137:20260101:102"), ("P1", "cancel", None, None)),
        (edifact("ORDRSP", "BGM+231+R1+27", "DTM+137:20260101:102", "RFF+ON:P1"), ("P1", "refuse", None, None)),
    ],
)  # fmt: skip
def test_a_message_without_lines_speaks_of_the_whole_order(content: bytes, expected: tuple[Any, ...]) -> None:
    assert said(content) == ([expected], [])


def test_a_message_that_names_lines_or_says_nothing_is_no_word_about_the_whole() -> None:
    assert said(x12("860", "BCH*01*SA*P1**1*20260101", "POC*1*DI*1*0*EA***IN*A"))[0] == []
    assert said(x12("860", "BCH*04*SA*P1**1*20260101"))[0] == []
    assert said(x12("855", "BAK*00*AH*P1*20260101"))[0] == []
    assert said(edifact("ORDRSP", "BGM+231+R1+9+NA", "DTM+137:20260101:102", "RFF+ON:P1"))[0] == []


def test_a_whole_order_without_its_number_is_set_aside_with_its_reason() -> None:
    whole, reasons = said(x12("860", "BCH*01*SA***1*20260101"))
    assert whole == [] and ["order_number is missing" in r for r in reasons] == [True]


def facts(*contents: bytes) -> dict[str, pl.DataFrame]:
    """Documents as they became known, an hour apart."""
    whens = [START + timedelta(hours=n) for n in range(len(contents))]
    return read_documents(frame(*contents, when=whens)).facts


ORDER = ("BEG*00*SA*P1**20260101", "PO1*1*10*EA*2**IN*A", "PO1*2*4*EA*2**IN*B")
ANSWER = ("BAK*00*AC*P1*20260101", "PO1*1*10*EA***IN*A", "ACK*IA*10*EA", "PO1*2*4*EA***IN*B", "ACK*IA*4*EA")
CANCEL = ("BCH*01*SA*P1**1*20260102",)


def notice(quantity: int, item: str = "A", shipment: str = "H1") -> tuple[str, ...]:
    return (
        f"BSN*00*{shipment}*20260102*1200",
        "HL*1**S",
        "HL*2*1*O",
        "PRF*P1",
        "HL*3*2*I",
        f"LIN**IN*{item}",
        f"SN1**{quantity}*EA",
    )


def found(*contents: bytes) -> dict[str, list[str]]:
    table = order_findings(order_state(facts(*contents)))
    return {item: table.filter(item_id=item)["finding_code"].to_list() for item in ("A", "B")}


def test_a_cancellation_before_anything_left_leaves_nothing_open_and_nothing_to_say() -> None:
    state = order_state(facts(x12("850", *ORDER), x12("860", *CANCEL, control=2)))
    assert state.select("expected", "open_to_ship", "open_to_answer").rows() == [(0, 0, False)] * 2
    assert order_findings(state).is_empty()


def test_a_cancellation_after_a_shipment_is_told_of_the_line_that_left_only() -> None:
    codes = found(
        x12("850", *ORDER), x12("855", *ANSWER, control=2), x12("856", *notice(10), control=3), x12("860", *CANCEL, control=4)
    )  # fmt: skip
    assert codes == {"A": ["cancelled_after_shipment", "not_invoiced"], "B": []}


def test_a_notice_sent_again_counts_once_and_a_second_shipment_adds() -> None:
    again = order_state(
        facts(x12("850", *ORDER), x12("856", *notice(4), control=2), x12("856", *notice(4), control=3), x12("856", *notice(6, shipment="H2"), control=4))
    )  # fmt: skip
    assert again.filter(item_id="A")["shipped"].to_list() == [10]


def test_a_change_that_was_answered_again_is_no_longer_a_finding() -> None:
    change = ("BCH*04*SA*P1**1*20260102", "POC*1*QD*6*4*EA*2**IN*A")
    before = [x12("850", *ORDER), x12("855", *ANSWER, control=2), x12("860", *change, control=3)]
    assert found(*before)["A"] == ["changed_after_confirm", "shipped_short"]
    answer = ("BCA*00*AC*P1***20260103", "POC*1*QD*6*4*EA***IN*A", "ACK*IA*6*EA")
    assert found(*before, x12("865", *answer, control=4))["A"] == ["shipped_short"]


def test_a_refusal_of_the_whole_order_closes_its_lines() -> None:
    state = order_state(facts(x12("850", *ORDER), x12("855", "BAK*00*RJ*P1*20260101", control=2)))
    assert state.select("confirmed", "is_refused", "open_to_ship", "open_to_answer").rows() == [(0, True, 0, False)] * 2


def test_nothing_known_is_nothing_open() -> None:
    assert order_findings(order_state({})).is_empty()


def test_a_notice_taken_back_or_replaced_ships_nothing_that_it_no_longer_lists() -> None:
    order = x12("850", "BEG*00*SA*P1**20260101", "PO1*1*10*EA*1**IN*A", "PO1*2*10*EA*1**IN*B")

    def notice(purpose: str, items: str, control: int) -> bytes:
        lines = [s for n, i in enumerate(items) for s in (f"HL*{n + 2}*1*I", f"LIN**IN*{i}", "SN1**10*EA")]
        top = ("HL*1**O", "PRF*P1") if items else ()
        return x12("856", f"BSN*{purpose}*H1*20260105*0900", *top, *lines, control=control)

    def shipped(*notices: bytes) -> list[float]:
        return order_state(facts(order, *notices)).sort("item_id")["shipped"].to_list()

    first = notice("00", "AB", 2)
    assert shipped(first) == [10, 10]
    assert shipped(first, notice("05", "B", 3)) == [0, 10]
    assert shipped(first, notice("01", "", 3)) == [0, 0]
    assert shipped(first, notice("01", "", 3), notice("00", "A", 4)) == [10, 0]


def test_a_kilogram_is_one_in_either_standards_words() -> None:
    ordered = x12("850", "BEG*00*SA*P1**20260101", "PO1*1*12.5*KG*2**IN*A")
    shipped = edifact(
        "DESADV", "BGM+351+H1+9", "DTM+137:20260102:102", "RFF+ON:P1", "CPS+1", "LIN+1++A:IN", "QTY+12:12.5:KGM"
    )
    row = order_state(facts(ordered, shipped)).row(0, named=True)
    assert (row["ordered"], row["shipped"], list(row["units"])) == (12.5, 12.5, ["KGM"])
