"""What a person would read in spite of it: text before an interchange, impossible dates, a group of another kind."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from aios_assets.cli_edi import app
from aios_assets.edi import read_documents, segment_text, sniff
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.limits import Limits
from aios_assets.edi.source import HeldBytes
from aios_assets.edi.strings import blobs
from tests.unit.edi.make import WHEN, edifact, frame, x12

MAIL = b"From: orders@example.org\r\nTo: a; b, c\r\nSubject: order\r\n\r\n"
ORDER = x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA***IN*A")
MESSAGE = edifact("ORDERS", "BGM+220+PO7+9", "DTM+137:20260103:102", "LIN+1++1:EN", "QTY+21:5")


@pytest.mark.parametrize("before", [MAIL, b"//VAN 000123 ", b"ISA is what follows\n", b"\xef\xbb\xbf" + MAIL])
@pytest.mark.parametrize("interchange", [ORDER, MESSAGE, b"UNA:+.? '" + MESSAGE])
@pytest.mark.parametrize("window", [150, 1 << 20])
def test_an_interchange_behind_other_text_is_read_and_the_text_is_told(
    before: bytes, interchange: bytes, window: int
) -> None:
    content = before + interchange
    assert sniff(content) == sniff(interchange)
    got = read_documents(frame(content), limits=Limits(window_bytes=window))
    want = read_documents(frame(interchange))
    own = pl.exclude("document_id")
    name = "raw_edi__order_lines"
    assert got.facts[name].select(own).equals(want.facts[name].select(own))
    assert got.interchanges["verdict_code"].to_list() == ["accepted_with_errors"]
    told = got.rejects.row(0, named=True)
    text = before.removeprefix(b"\xef\xbb\xbf").strip()
    assert (got.rejects.height, told["error_code"]) == (1, "text_before")
    assert told["reason"].startswith(f"{len(text)} bytes of other text stand before")
    assert told["segment_text"] == text.decode()
    line = got.facts[name].row(0, named=True)
    place = (line["interchange_no"], line["set_no"], line["segment_no"])
    assert segment_text(content, *place) == segment_text(interchange, *place)


@pytest.mark.parametrize("content", [MAIL, b"ISA stands for much\n", MAIL + b"ISA*00*short~", b"UNB is a header"])
def test_text_alone_is_no_interchange(content: bytes) -> None:
    assert read_documents(frame(content)).rejects["error_code"].to_list() == ["not_edi"]


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        (b"*260101*1200*U", b"*261301*1200*U", ["TA1:014"]),
        (b"*260101*1200*U", b"*260230*1200*U", ["TA1:014"]),
        (b"*260101*1200*U", b"*260101*2460*U", ["TA1:015"]),
        (b"*260101*1200*U", b"*YYMMDD*HHMM*U", ["TA1:014", "TA1:015"]),
        (b"*260101*1200*U", b"*260101*2359*U", []),
    ],
)
def test_an_impossible_date_of_the_interchange_accepts_it_with_errors(old: bytes, new: bytes, codes: list[str]) -> None:
    content = ORDER.replace(old, new, 1).replace(b"*0*P*", b"*1*P*", 1)
    got = read_documents(frame(content))
    assert got.rejects["error_code"].to_list() == codes
    assert got.counts["facts"] == 1
    verdict = "accepted_with_errors" if codes else "accepted"
    assert got.interchanges["verdict_code"].to_list() == [verdict]
    # It uses its control number up like any that was taken.
    again = read_documents(frame(content.replace(b"PO7", b"PO8")), ledger=got.interchanges)
    assert "TA1:025" in again.rejects["error_code"].to_list()
    (answer,) = acknowledge(got, number=lambda *_: 1, now=WHEN)
    noted = codes[0][4:] if codes else "000"
    assert f"*{'E' if codes else 'A'}*{noted}~" in answer.content.decode()
    assert b"AK9*A*1*1*1" in answer.content


def test_an_impossible_date_of_unb_is_told() -> None:
    got = read_documents(frame(MESSAGE.replace(b"260101:1200", b"269901:1200")))
    assert got.rejects["error_code"].to_list() == ["CONTRL:12"]
    assert got.counts["facts"] == 1


def test_a_set_in_a_group_of_another_kind_is_told() -> None:
    content = ORDER.replace(b"GS*PO", b"GS*IN")
    got = read_documents(frame(content), grammar=True)
    assert got.findings.select("error_code", "segment_no", "element_no", "value").rows() == [("AK5:6", 1, 1, "IN")]
    assert "850 belongs in a group of kind PO" in got.findings["reason"][0]
    assert got.sets["verdict_code"].to_list() == ["accepted_with_errors"]
    (answer,) = acknowledge(got, number=lambda *_: 1, now=WHEN)
    assert b"AK5*E*6" in answer.content
    assert read_documents(frame(ORDER), grammar=True).findings.is_empty()
    # A type that the table does not know has no group to be in.
    assert read_documents(frame(content.replace(b"ST*850", b"ST*8ZZ")), grammar=True).findings.is_empty()


def test_answers_follow_the_interchanges_of_many_documents() -> None:
    bad = x12("850", "BEG*00*SA*PO8**20269903", "PO1*1*x*EA***IN*A", control=2)
    group = b"GS*IN*S*R*20260101*1200*9*X*004010~ST*810*0001~BIG*20260101*I1~SE*3*0001~GE*1*9~"
    two = bad.replace(b"IEA*1", group + b"IEA*2")
    documents = frame(two, ORDER, MESSAGE, MAIL)
    batch = read_documents(documents, grammar=True)
    acks = {a.document_id: a.content.decode() for a in acknowledge(batch, number=lambda *_: 1, now=WHEN)}
    ids = documents["document_id"].to_list()
    assert set(acks) == set(ids[:3])
    assert [s for s in acks[ids[0]].split("~\n") if s[:3] in ("AK1", "AK2", "AK5", "AK9")] == [
        "AK1*PO*2",
        "AK2*850*0001",
        "AK5*E*5",
        "AK9*E*1*1*1",
        "AK1*IN*9",
        "AK2*810*0001",
        "AK5*A",
        "AK9*A*1*1*1",
    ]
    assert "AK9*A*1*1*1" in acks[ids[1]] and "UCM+1+ORDERS:D:96A:UN+7" in acks[ids[2]]


def test_an_answer_holds_the_size_cap_and_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "small.edi").write_bytes(ORDER)
    lines = "".join(f"PO1*{n}*12*EA***IN*A{n}~" for n in range(60_000)).encode()
    (tmp_path / "in" / "large.edi").write_bytes(ORDER.replace(b"PO1*1*12*EA***IN*A~", lines))
    call = [
        "ack",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--store",
        str(tmp_path / "n.sqlite"),
        "--json",
    ]
    result = CliRunner().invoke(app, [*call, "--max-document-mb", "1"])
    assert result.exit_code == 1
    assert "large.edi was not answered" in result.stderr and "AIOS_EDI_MAX_DOCUMENT_MB" in result.stderr
    assert len(json.loads(result.stdout)) == 1
    assert len(json.loads(CliRunner().invoke(app, call).stdout)) == 2


def test_large_documents_are_read_where_they_lie() -> None:
    values = pl.concat([pl.Series([b"x" * 40, b"", b"twelve bytes"]), pl.Series([b"short", b"y" * 13])], rechunk=False)
    assert [bytes(v) for v in blobs(values)] == values.to_list()
    assert [bytes(v) for v in blobs(values.slice(1, 3))] == values.slice(1, 3).to_list()
    data = bytes(range(256)) * 12_000
    held = HeldBytes(memoryview(data))
    assert (len(held), held[5:9], held[1_000_000:2_500_000]) == (len(data), data[5:9], data[1_000_000:2_500_000])
    assert held.find(data[1_048_570:1_048_830]) == data.find(data[1_048_570:1_048_830])
    assert held.find(b"\xfe\xff\x00", 3_000_000) == data.find(b"\xfe\xff\x00", 3_000_000)
    assert held.find(b"nowhere") == -1 and held.find(b"\x05", 10, 12) == -1
    big = ORDER.replace(b"PO1*1*12*EA***IN*A~", b"PO1*1*12*EA***IN*A~" * 60_000).replace(b"SE*4*", b"SE*60003*")
    assert len(big) > 1 << 20
    assert read_documents(frame(big)).counts["facts"] == 60_000
