"""Ten minutes of damage: whatever bytes arrive, the reader answers with a verdict and never with an exception.

Run by `make fuzz`; `AIOS_FUZZ_SECONDS` shortens it.
"""

from __future__ import annotations

import os
import random
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aios_assets.edi import EdiBatch, locate, read_documents, segments
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.listing import difference, listing
from tests.unit.edi.make import WHEN, edifact, frame, x12

SECONDS = float(os.environ.get("AIOS_FUZZ_SECONDS", "600"))
EXAMPLES = max(20, int(SECONDS / 4))
SEEDS = [
    x12("850", "BEG*00*SA*PO7**20260103", "N1*ST*X*92*S1", "PO1*1*12*EA*9.25**IN*I1*UP*012345678905", "CTT*1"),
    x12("852", "XQ*H*20260101*20260107", "LIN*1*IN*I7", "ZA*QS*8*EA", "SDQ*EA*92*S1*3*S2*5", "CTT*1"),
    x12("856", "BSN*00*SH1*20260105*0900", "HL*1**S", "HL*2*1*O", "PRF*PO1", "HL*3*2*I", "LIN**IN*A", "SN1**5*EA"),
    x12("997", "AK1*PO*77", "AK2*850*0001", "AK5*E*5", "AK9*E*1*1*1"),
    edifact(
        "ORDERS",
        "BGM+220+P?'O+9",
        "DTM+137:20260103:102",
        "LIN+1++1:EN",
        "PIA+1+B:IN",
        "QTY+21:1,5:KGM",
        una="UNA:+.? '",
    ),
    edifact("SLSRPT", "BGM+73E+1+9", "DTM+137:20260104:102", "LOC+162+S1::9", "LIN+1++1:EN", "QTY+153:2:PCE"),
    edifact(
        "INVRPT",
        "DTM+366:20260104:102",
        "NAD+WH+W1::9",
        "LIN+1++P1:MF",
        "QTY+145:9",
        "QTY+191:2",
        "INV+1",
        "INV+2",
        "QTY+191:1",
    ),
    x12("810", "BIG*20260103*I1**P1***CR", "IT1*1*5*HC*2*HP*VA*S*BO*RED*UP*012345678905", "TDS*1000"),
    x12("214", "B10*REF*SH1*SCAC", "LX*1", "AT7*X3*NS***20260308*0230*ET", "MS1*MEMPHIS*TN"),
    x12("846", "BIA*01*SI*R1*20260102", "LIN**IN*A", "SDQ*CA*92*S1*3*S2*4", "QTY*17*7", "UIT*CA", "N1*WH*X*92*W1"),
    x12("861", "BRA*R1*20260105*03*1", "RCD*1*5*EA*1*EA", "LIN**IN*A*PO*P1", "N1*RC*X*92*S1"),
    x12("945", "W06*F*D1*20260105*SH1", "LX*1", "N1*WH*X*92*W1", "W12*CC*5*4*1*EA**IN*I1", "W03*4"),
    edifact(
        "DESADV",
        "BGM+351+D1+1",
        "CPS+1",
        "PCI+33E",
        "RFF+ON:P1",
        "LIN+1++A:IN",
        "PCI+33E",
        "QTY+12:5",
        "LOC+7+S1",
        "QTY+11:3",
    ),
    edifact(
        "IFTSTA", "DTM+137:202601050900:203", "CNI+1+C1", "LOC+5+P", "STS+1+1", "DTM+334:202601041200CET:303", "TDT+20"
    ),
    edifact("CONTRL", "UCI+77+A:14+B:14+7", "UCM+1+ORDERS:D:96A:UN+4+29", version="D:3:UN"),
]
PIECES = [
    b"~",
    b"*",
    b"'",
    b"+",
    b":",
    b"?",
    b"\n",
    b"\r\n",
    b"\x00",
    b"\x1c",
    b"ISA",
    b"IEA*1*1~",
    b"ST*850*0001~",
    b"SE*",
    b"UNA",
    b"UNB+",
    b"UNT+1+1'",
    b"\xff",
    b"\xc3",
    b"9" * 40,
]


def examine(content: bytes) -> EdiBatch:
    """Read, judge, locate, list and answer one document; every invariant of the reader holds."""
    batch = read_documents(frame(content), grammar=True)
    counts = batch.counts
    assert counts["documents"] == counts["documents_read"] + counts["documents_rejected"] == 1
    assert counts["interchanges"] == counts["interchanges_accepted"] + counts["interchanges_rejected"]
    assert counts["lines"] == counts["facts"] + counts["lines_rejected"]
    assert counts["sets"] == sum(
        counts[k] for k in ("sets_accepted", "sets_with_errors", "sets_unmapped", "sets_rejected")
    )
    assert batch.rejects["reject_id"].is_unique().all()
    for start, end, _ in segments(content):
        assert 0 <= start < end <= len(content)
    list(listing(content))
    difference(content, content)
    locate(content, 1, 1, 1)
    list(acknowledge(batch, number=lambda *_: 1, now=WHEN))
    return batch


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    examine(content)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([b"ISA*", b"UNA:+.? '", b"UNB+UNOC:3+", b"ST*850*"]), st.binary(max_size=400))
def test_any_bytes_behind_a_header(start: bytes, content: bytes) -> None:
    examine(start + content)


def damage(content: bytes, chance: random.Random) -> bytes:
    """Cut, repeat, swap and overwrite a few stretches."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((1, 1, 2, 5, 30))
        kind = chance.randrange(5)
        if kind == 0:
            del data[at : at + size]
        elif kind == 1:
            data[at:at] = data[at : at + size]
        elif kind == 2:
            data[at:at] = chance.choice(PIECES)
        elif kind == 3:
            data[at : at + size] = bytes(chance.randrange(256) for _ in range(size))
        else:
            del data[at:]
        data = data or bytearray(b"?")
    return bytes(data)


def test_damaged_documents() -> None:
    chance = random.Random(7)
    until = time.monotonic() + SECONDS
    tried = 0
    while time.monotonic() < until:
        content = damage(chance.choice(SEEDS), chance)
        try:
            examine(content)
        except BaseException as error:
            raise AssertionError(f"after {tried} documents, on {content!r}") from error
        tried += 1
    assert tried > 0
