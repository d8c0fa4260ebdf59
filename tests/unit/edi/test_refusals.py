"""What receipts take in and refuse, each expectation read by hand from the words of the standard (X12 RCD and BRA04; EANCOM QTY and QVR)."""

from __future__ import annotations

import pytest

from aios_assets.edi import EdiBatch, read_documents
from tests.unit.edi.make import edifact, frame, x12

ADVICE = "raw_edi__receipt_lines"


def rcd(segment: str, kind: str = "1") -> EdiBatch:
    """One 861 with one RCD."""
    body = (f"BRA*R1*20260106*00*{kind}", "N1*ST*X*92*S1", "DTM*050*20260105", segment, "LIN**IN*A", "PRF*PO1")
    return read_documents(frame(x12("861", *body)))


def recadv(*segments: str) -> EdiBatch:
    """One RECADV with one line."""
    head = ("BGM+632+R1+9", "DTM+137:20260105:102", "RFF+DQ:D1", "NAD+DP+S1::9", "LIN+1++1:EN")
    return read_documents(frame(edifact("RECADV", *head, *segments)))


def taken(batch: EdiBatch) -> tuple[float, float | None]:
    row = batch.facts[ADVICE].to_dicts()
    assert len(row) == 1, batch.rejects
    return row[0]["quantity"], row[0]["rejected_quantity"]


@pytest.mark.parametrize(
    ("segment", "kind", "quantity", "rejected"),
    [
        ("RCD*1*10*EA", "1", 10, None),
        ("RCD*1*10*EA*2*EA", "1", 8, 2),  # units received include those returned …
        ("RCD*1*8*EA*2*EA", "8", 8, 2),  # … but in an acceptance certificate they are the units accepted
        ("RCD*1*10*EA***3*EA*01", "1", 7, 3),  # damaged
        ("RCD*1*10*EA*3*EA*3*EA*01", "1", 7, 3),  # the returned ones are the damaged ones
        ("RCD*1*10*EA***3*EA*01*1*EA*08", "1", 6, 4),  # damaged, and rejected
        ("RCD*1*10*EA***4*EA*02", "1", 10, None),  # short: they never came
        ("RCD*1*12*EA***2*EA*03", "1", 12, None),  # over, and kept
        ("RCD*1*12*EA***2*EA*12", "1", 10, 2),  # over, and returned
        ("RCD*1*10*EA***2*EA*09", "1", 10, None),  # held, but on site
        ("RCD*1***5*EA", "1", 0, 5),  # all of it refused
        ("RCD*1*3*EA*5*EA", "1", 3, 5),  # more refused than received: only what was accepted can be meant
        ("RCD*1*2*CA*1*CA", "1", 1, 1),
        ("RCD*1*9*EA*1*EA***01", "1", 8, 1),  # a condition without a quantity questions nothing
        ("RCD*1*10*EA" + "***" + "*".join(["1*EA*04"] * 5), "1", 5, 5),
    ],
)
def test_861(segment: str, kind: str, quantity: float, rejected: float | None) -> None:
    assert taken(rcd(segment, kind)) == (quantity, rejected)


@pytest.mark.parametrize(
    ("segments", "quantity", "rejected"),
    [
        (("QTY+12:100:PCE", "QTY+194:96:PCE", "QTY+195:4:PCE"), 96, 4),  # accepted as stated
        (("QTY+48:100:PCE", "QTY+195:4:PCE"), 96, 4),  # received includes what was not accepted
        (("QTY+48:100:PCE", "QTY+195:4:PCE", "QTY+196:2:PCE"), 94, 6),  # to be returned, to be destroyed
        (("QTY+48:100:PCE", "QTY+194:97:PCE"), 97, 3),
        (("QTY+48:100:PCE", "QVR+-40:124++BN"), 60, 40),  # EANCOM: damaged goods are a negative variance
        (("QTY+194:150", "QVR+40:195+AC"), 150, 40),  # EANCOM: over-shipped, to be returned
        (("QTY+12:100:PCE", "QVR+-5:12"), 95, None),  # short of what was despatched
        (("QTY+12:100:PCE", "QVR+-5:12+AF"), 95, 5),  # came damaged
        (("QTY+194:95:PCE", "QVR+-5:12"), 95, None),
        (("QTY+46:30:PCE",), 30, None),  # delivered
        (("QTY+195:7:PCE",), 0, 7),
        (("QTY+12:480:PCE", "QTY+194:480:PCE"), 480, None),
        (("QTY+48:10,5:KGM", "QTY+195:0,5:KGM"), 10.0, 0.5),
    ],
)
def test_recadv(segments: tuple[str, ...], quantity: float, rejected: float | None) -> None:
    assert taken(recadv(*segments)) == (quantity, rejected)


@pytest.mark.parametrize(
    "batch", [rcd("RCD*1*10*CA*6*EA"), rcd("RCD*1*10*CA***6*EA*01"), recadv("QTY+48:10:CT", "QTY+195:6:PCE")]
)
def test_refused_in_another_unit_is_asked_about(batch: EdiBatch) -> None:
    assert batch.facts[ADVICE].height == 0
    assert "the one cannot be taken from the other" in batch.rejects["reason"][0]


@pytest.mark.parametrize(
    "batch", [rcd("RCD*1*10*EA***x*EA*01"), rcd("RCD*1*10*EA*x*EA"), recadv("QTY+48:9:PCE", "QTY+195:x:PCE")]
)
def test_refused_that_cannot_be_read_sets_the_line_aside(batch: EdiBatch) -> None:
    assert batch.facts[ADVICE].height == 0 and batch.rejects.height >= 1
