"""A set of which no line can be found lands nothing: it says so where it holds what nobody knows, and is quiet where it is empty."""

from __future__ import annotations

import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.limits import Limits
from tests.unit.edi.make import edifact, frame, x12

HEAD = ("BEG*00*SA*PO7**20260103", "REF*DP*1", "N1*ST*X*92*S1")
ORDER = ("BGM+220+PO7+9", "DTM+137:20260103:102", "NAD+BY+1::9")


@pytest.mark.parametrize("window", [100, 1 << 20])
@pytest.mark.parametrize(
    ("content", "code", "first", "position"),
    [
        (x12("850", *HEAD, "P01*1*12*EA***IN*A", "PID*F****x", "P01*2*3*EA***IN*B", "CTT*2"), "AK3:1", "P01*1*12*EA***IN*A", 5),
        (edifact("ORDERS", *ORDER, "LYN+1++123:EN", "QTY+21:5", "UNS+S", "CNT+2:1"), "CONTRL:15", "LYN*1**123:EN", 5),
    ],
)  # fmt: skip
def test_lines_under_a_tag_that_nobody_knows_are_set_aside(
    content: bytes, code: str, first: str, position: int, window: int
) -> None:
    batch = read_documents(frame(content), limits=Limits(window_bytes=window))
    assert batch.sets.select("facts", "rejected_lines", "verdict_code").row(0) == (0, 1, "accepted_with_errors")
    assert batch.rejects.select("level_code", "error_code", "segment_no", "segment_text").rows() == [
        ("line", code, position, first)
    ]
    assert "2 such segments were not read" in batch.rejects["reason"][0]
    assert batch.counts["lines"] == batch.counts["facts"] + batch.counts["lines_rejected"] == 1


@pytest.mark.parametrize(
    ("code", "body", "first"),
    [
        ("945", ("W06*F*D1*20260105*SH1", "LX*1", "G72*1*2*3", "W03*10*5*LB"), "LX*1"),
        ("943", ("W06*F*D1*20260105*SH1", "N9*X*1", "W03*10*5*LB"), "W03*10*5*LB"),
        ("944", ("W17*F*20260105*R1", "LX*1", "W14*3"), "LX*1"),
        ("947", ("W15*20260105*A1", "LX*1"), "LX*1"),
    ],
)
def test_a_warehouse_that_tells_of_lines_and_has_none_is_told(code: str, body: tuple[str, ...], first: str) -> None:
    batch = read_documents(frame(x12(code, *body)))
    assert batch.rejects.select("error_code", "segment_text").rows() == [("AK3:1", first)]


@pytest.mark.parametrize(
    "content",
    [
        x12("850", *HEAD, "CTT*0"),
        x12("945", "W06*F*D1*20260105*SH1", "N1*ST*X*92*S1", "W03*0"),
        x12("852", "XQ*H*20260302", "N1*BY*X*92*S8", "CTT*0"),
        x12("997", "AK1*PO*1", "AK9*A*1*1*1"),
        edifact("ORDERS", *ORDER, "UNS+S", "CNT+2:0"),
    ],
)
def test_a_set_that_is_empty_is_no_fault(content: bytes) -> None:
    batch = read_documents(frame(content))
    assert batch.rejects.is_empty() and batch.sets["verdict_code"].to_list() == ["accepted"]


def test_a_cancellation_lands_beside_the_lines_that_were_not_read() -> None:
    head = ("BCH*01*SA*PO7***20260103", "P0C*1*CT*12*0*EA***IN*A")
    batch = read_documents(frame(x12("860", *head)))
    assert batch.facts["raw_edi__whole_orders"]["action_code"].to_list() == ["cancel"]
    assert batch.rejects["segment_text"].to_list() == ["P0C*1*CT*12*0*EA***IN*A"]


@pytest.mark.parametrize("window", [100, 300])
def test_what_stands_behind_the_lines_of_a_long_set_is_not_taken_for_them(window: int) -> None:
    lines = [f"PO1*{n}*12*EA***IN*A" for n in range(20)]
    batch = read_documents(frame(x12("850", *HEAD, *lines, "CTT*20", "ZZZ*1")), limits=Limits(window_bytes=window))
    assert batch.counts["facts"] == 20 and batch.rejects.is_empty()
