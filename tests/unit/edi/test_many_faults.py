"""Documents in which very much is wrong: the same verdicts, however the faults wait, and none of them lost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.batch import EdiBatch
from aios_assets.edi.canonical import look, pieces
from aios_assets.edi.limits import Limits
from aios_assets.edi.report import check_report
from aios_assets.edi.waiting import Tally, Waiting
from tests.unit.edi.make import edifact, frame, x12

LINES = range(1, 90)
WRONG = {
    "850": x12(
        "850", "BEG*00*SA*PO7**2026", "N1*ST*X*92*S1", *(f"PO1**many{n}*EA***IN*I{n}" for n in LINES), control=1
    ),
    "two sets, one cut off": x12(
        "850", "BEG*00*SA*PO7**20260103", *(f"PO1**-{n}*EA***IN*I{n}" for n in LINES), control=2
    ).replace(b"SE*92*0001~GE*1", b"ST*850*0002~BEG*00*SA*P8~PO1**few*EA***IN*I1~ST*850*0003~SE*9*0003~GE*3"),
    "no document": b"nothing to see",
    "unknown segments": x12("850", "BEG*00*SA*PO7**20260103", *(f"QQQQ*{n}" for n in LINES), control=3),
    "text outside": x12("850", "BEG*00*SA*PO7**20260103", control=4).replace(b"GE*1*4", b"GE*1*4~AB*1~CD*2"),
    "by store": x12(
        "852",
        "XQ*H*20260101*20260107",
        "LIN*1*IN*I7",
        *(t for _ in LINES for t in ("ZA*QS**EA", f"SDQ*EA*92{'*S1*few' * 9}")),
        control=5,
    ),
    "ORDERS": edifact("ORDERS", "BGM+220+PO9+9", *(t for n in LINES for t in (f"LIN+++{n}:EN", "QTY+21:many"))),
}


def everything(batch: EdiBatch, documents: pl.DataFrame) -> list[object]:
    """What a reading is asked for: rows, the listing of a check, acknowledgements."""
    acks = acknowledge(batch, number=lambda *_: 7, now=datetime(2026, 1, 2, tzinfo=UTC))
    reports = check_report([(d, d) for d in documents["document_id"]], batch)
    texts = ["".join(report.json()) for report in reports]
    frames = [batch.rejects, batch.findings, batch.sets, batch.interchanges, *batch.facts.values()]
    return [batch.counts, texts, [a.content for a in acks], [f.rows() for f in frames]]


@pytest.mark.parametrize("window", [700, 3000, 1 << 20])
def test_faults_that_wait_in_a_file_are_those_that_wait_in_memory(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = frame(*WRONG.values())
    want = everything(read_documents(documents, grammar=True, apart=True), documents)
    assert want[0]["lines_rejected"] > 800  # type: ignore[index]
    monkeypatch.setattr("aios_assets.edi.waiting.MOST_BYTES", 0)
    batch = read_documents(documents, grammar=True, apart=True, limits=Limits(window_bytes=window))
    assert everything(batch, documents) == want


def test_a_set_that_lacks_nothing_lands_beside_one_below_zero() -> None:
    below = x12("850", "BEG*00*SA*PO7**20260103", "N1*ST*X*92*S1", "PO1*1*-5*EA***IN*A")
    good = edifact("ORDERS", "BGM+220+PO9+9", "DTM+137:20260103:102", "NAD+DP+S1::9", "LIN+1++1:EN", "QTY+21:3")
    batch = read_documents(frame(below, good))
    assert batch.counts["facts"] == 1
    assert batch.rejects["error_code"].to_list() == ["negative_quantity"]
    assert batch.rejects["segment_text"].to_list() == ["PO1*1*-5*EA***IN*A"]


def test_stretches_of_short_segments_are_shorter() -> None:
    long = x12("850", *("N1*ST*A name as long as names are*92*S1" for _ in range(400)))
    short = x12("850", *("N1*S" for _ in range(4000)))
    sizes = []
    for content in (long, short):
        (piece,) = pieces(content)
        seen = look(content, piece, 1 << 20)
        assert seen is not None
        sizes.append(seen.size)
    (piece,) = pieces(short * 20)
    dense = look(short * 20, piece, 1 << 18)
    assert sizes == [1 << 20, 1 << 20]
    assert dense is not None and dense.size < 1 << 17


def test_small_documents_of_very_many_segments_are_read_in_halves() -> None:
    few = [x12("850", f"BEG*00*SA*PO{n}**20260103", *["N1*S"] * 9000, control=n) for n in range(1, 9)]
    whole = read_documents(frame(*few), apart=True, grammar=True)
    halves = read_documents(
        frame(*few), apart=True, grammar=True, limits=Limits(window_bytes=400_000, segment_bytes=99_000)
    )
    for part in ("sets", "interchanges", "rejects", "findings"):
        assert getattr(whole, part).equals(getattr(halves, part)), part


def test_frames_wait_in_a_file_without_a_name(tmp_path: Path) -> None:
    frames = [pl.DataFrame({"n": range(k), "t": [f"a text of some length {k}"] * k}) for k in (0, 3, 500)]
    waiting = Waiting(tmp_path, most_bytes=200)
    for one in frames:
        waiting.put(one, one.head(1))
    assert len(waiting) == 3
    for _ in range(2):
        for want, (got, head) in zip(frames, waiting, strict=True):
            assert got.equals(want) and head.equals(want.head(1))
    assert list(tmp_path.iterdir()) == []
    assert [g[0].height for g in waiting.drain()] == [0, 3, 500]


def test_a_tally_adds_up_what_each_set_has() -> None:
    tally = Tally()
    for sets in ([0, 0, 2], [], [2, 3]):
        tally.add(pl.Series(sets, dtype=pl.Int32))
    assert tally.per_set(5).to_list() == [2, 0, 2, 1, 0]


@pytest.mark.parametrize(
    ("name", "encoded"), [("MULLER", b"MULLER"), ("MÜLLER", b"M\xdcLLER"), ("МАРИЯ", "МАРИЯ".encode())]
)
def test_an_answer_is_one_byte_a_character_where_that_can_be(name: str, encoded: bytes, tmp_path: Path) -> None:
    batch = read_documents(frame(edifact("ORDERS", "BGM+220+PO9+9", sender=name)), grammar=True)
    (answer,) = acknowledge(batch, number=lambda *_: 7, now=datetime(2026, 1, 2, tzinfo=UTC))
    assert b"+" + encoded + b":14+" in answer.content
    answer.save(tmp_path / "a.edi")
    assert (tmp_path / "a.edi").read_bytes() == answer.content
