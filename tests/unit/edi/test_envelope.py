"""Envelope verdicts: every wrong count and control number is found, and what it spoils is set aside."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.edi_tables import RAW_EDI_INTERCHANGES, RAW_EDI_REJECTS, RAW_EDI_SETS
from aios_assets.edi import locate, read_documents, segment_text, sniff
from aios_assets.edi.limits import Limits
from tests.unit.edi.make import WHEN, edifact, frame, x12

GOOD = x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA***IN*A", control=5)
MESSAGE = edifact("ORDERS", "BGM+220+PO7+9", "DTM+137:20260103:102", "LIN+1++123:EN", "QTY+21:5", control="9")


@pytest.mark.parametrize(
    ("spoil", "code", "level"),
    [
        ((b"SE*4*0001", b"SE*5*0001"), "AK5:4", "set"),
        ((b"SE*4*0001", b"SE*x*0001"), "AK5:4", "set"),
        ((b"SE*4*0001", b"SE*4*0002"), "AK5:3", "set"),
        ((b"SE*4*0001~", b""), "AK5:2", "set"),
        ((b"GE*1*5", b"GE*2*5"), "AK9:5", "group"),
        ((b"GE*1*5", b"GE*1*6"), "AK9:4", "group"),
        ((b"GE*1*5~", b""), "AK9:3", "group"),
        ((b"IEA*1*000000005", b"IEA*2*000000005"), "TA1:021", "interchange"),
        ((b"IEA*1*000000005", b"IEA*1*000000006"), "TA1:001", "interchange"),
        ((b"IEA*1*000000005~", b""), "TA1:023", "interchange"),
    ],
)
def test_x12_envelope_faults(spoil: tuple[bytes, bytes], code: str, level: str) -> None:
    content = GOOD.replace(*spoil)
    assert content != GOOD
    batch = read_documents(frame(content))
    assert (level, code) in batch.rejects.select("level_code", "error_code").rows()
    assert batch.facts["raw_edi__order_lines"].is_empty()
    assert batch.sets["verdict_code"].to_list() == ["rejected"]
    assert batch.interchanges["verdict_code"].to_list() == ["rejected"]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ((b"UNT+6+1", b"UNT+7+1"), "CONTRL:29"),
        ((b"UNT+6+1", b"UNT+6+2"), "CONTRL:28"),
        ((b"UNT+6+1'", b""), "CONTRL:13"),
        ((b"UNZ+1+9", b"UNZ+2+9"), "CONTRL:29"),
        ((b"UNZ+1+9", b"UNZ+1+8"), "CONTRL:28"),
        ((b"UNZ+1+9'", b""), "CONTRL:13"),
    ],
)
def test_edifact_envelope_faults(spoil: tuple[bytes, bytes], code: str) -> None:
    content = MESSAGE.replace(*spoil)
    assert content != MESSAGE
    batch = read_documents(frame(content))
    assert code in batch.rejects["error_code"].to_list()
    assert batch.facts["raw_edi__order_lines"].is_empty()


def test_zero_padded_counts_are_right() -> None:
    batch = read_documents(frame(GOOD.replace(b"SE*4*0001", b"SE*0000000004*1")))
    assert batch.rejects.is_empty()


@pytest.mark.parametrize("cut", range(120, len(GOOD) - 1, 7))
def test_a_truncated_document_never_lands(cut: int) -> None:
    batch = read_documents(frame(GOOD[:cut]))
    assert batch.facts["raw_edi__order_lines"].is_empty()
    assert batch.rejects.height > 0


def test_only_the_faulty_set_is_set_aside() -> None:
    two = GOOD.replace(b"GE*1*5", b"ST*850*0002~BEG*00*SA*PO8**20260103~PO1*1*1*EA***IN*B~SE*9*0002~GE*2*5")
    batch = read_documents(frame(two))
    assert batch.facts["raw_edi__order_lines"]["order_number"].to_list() == ["PO7"]
    assert batch.sets["verdict_code"].to_list() == ["accepted", "rejected"]
    assert batch.interchanges["verdict_code"].to_list() == ["accepted_with_errors"]


def _release(content: bytes, interchange: int, set_no: int, segment: int) -> pl.DataFrame:
    document = frame(content)["document_id"][0]
    return pl.DataFrame(
        {"document_id": [document], "interchange_no": [interchange], "set_no": [set_no], "segment_no": [segment]}
    )


@pytest.mark.parametrize("pointer", [(1, 1, 0), (1, 0, 0)])
def test_a_released_set_is_taken(pointer: tuple[int, int, int]) -> None:
    content = GOOD.replace(b"SE*4*0001", b"SE*5*0001")
    batch = read_documents(frame(content), releases=_release(content, *pointer))
    assert batch.facts["raw_edi__order_lines"].height == 1
    assert batch.rejects.is_empty()
    assert batch.sets["verdict_code"].to_list() == ["accepted_with_errors"]


def test_a_released_interchange_and_line_are_taken() -> None:
    content = GOOD.replace(b"IEA*1*000000005", b"IEA*2*000000005").replace(b"*12*EA", b"*-2*EA")
    releases = pl.concat([_release(content, 1, 0, 0), _release(content, 1, 1, 3)])
    batch = read_documents(frame(content), releases=releases)
    assert batch.facts["raw_edi__order_lines"]["quantity"].to_list() == [-2.0]
    assert batch.rejects.is_empty()


def test_a_control_number_used_again_is_a_duplicate() -> None:
    other = GOOD.replace(b"*12*EA", b"*13*EA")
    batch = read_documents(frame(GOOD, other, when=[WHEN + timedelta(hours=1), WHEN]))
    # the later one loses, whatever its hash
    assert batch.facts["raw_edi__order_lines"]["quantity"].to_list() == [13.0]
    assert batch.rejects.select("level_code", "kind_code", "error_code").rows() == [
        ("interchange", "duplicate", "TA1:025")
    ]
    ledger = read_documents(frame(GOOD)).interchanges
    again = read_documents(frame(other, when=WHEN + timedelta(days=1)), ledger=ledger)
    assert again.rejects["error_code"].to_list() == ["TA1:025"]
    assert read_documents(frame(GOOD), ledger=ledger).rejects.is_empty(), (
        "a replay of the same document is no duplicate"
    )


def test_tests_number_for_themselves() -> None:
    """A partner who goes over to production may begin at 1 again; a test that is sent again is a duplicate all the same."""
    test = GOOD.replace(b"*P*", b"*T*").replace(b"*12*EA", b"*13*EA")
    for ledger in (None, read_documents(frame(test)).interchanges):
        contents = [GOOD] if ledger is not None else [test, GOOD]
        assert read_documents(frame(*contents), ledger=ledger).rejects.is_empty()
    again = test.replace(b"*13*EA", b"*14*EA")
    assert read_documents(frame(test, again)).rejects["error_code"].to_list() == ["TA1:025"]
    # A home made before usage was kept does not know which were tests.
    old = read_documents(frame(GOOD)).interchanges.with_columns(usage_code=pl.lit(None, pl.String))
    assert read_documents(frame(GOOD.replace(b"PO7", b"PO8")), ledger=old).rejects["error_code"].to_list() == [
        "TA1:025"
    ]


def test_a_rejected_interchange_does_not_use_its_number_up() -> None:
    broken = GOOD.replace(b"SE*4*0001", b"SE*5*0001")
    ledger = read_documents(frame(broken)).interchanges
    batch = read_documents(frame(GOOD, when=WHEN + timedelta(days=1)), ledger=ledger)
    assert batch.rejects.is_empty()


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"", "unknown", "not_edi"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "unknown", "not_edi"),
        (b"a,b\n1,2\n", "csv", "not_edi"),
        (b'{"a": 1}', "telemetry", "not_edi"),
        (b"PAR1", "parquet", "not_edi"),
        (b"ISA", "unknown", "not_edi"),
    ],
)
def test_what_is_no_edi_is_one_reject(content: bytes, kind: str, code: str) -> None:
    assert sniff(content) == kind
    batch = read_documents(frame(content))
    assert batch.rejects.select("level_code", "error_code").rows() == [("document", code)]
    assert batch.counts["documents"] == batch.counts["documents_read"] + batch.counts["documents_rejected"]


def test_size_caps_name_their_setting() -> None:
    big = read_documents(frame(GOOD), limits=Limits(document_bytes=100))
    assert "AIOS_EDI_MAX_DOCUMENT_MB" in big.rejects["reason"][0]
    long = x12("850", "BEG*00*SA*PO7**20260103", "MSG*" + "x" * 5000)
    assert (
        "AIOS_EDI_MAX_SEGMENT_KB" in read_documents(frame(long), limits=Limits(segment_bytes=1000)).rejects["reason"][0]
    )


def test_data_that_holds_structure_characters_is_refused() -> None:
    batch = read_documents(frame(GOOD.replace(b"PO7", b"PO\x1d7")))
    assert batch.rejects["error_code"].to_list() == ["control_characters"]


def test_sets_without_an_envelope_wait_for_a_person() -> None:
    bare = b"ST*852*0001~XQ*H*20260101~N1*ST*X*92*S1~LIN**UP*1~ZA*QS*2*EA~SE*6*0001~"
    batch = read_documents(frame(bare))
    assert batch.sets["verdict_code"].to_list() == ["rejected"]
    taken = read_documents(frame(bare), releases=_release(bare, 1, 0, 0))
    assert taken.facts["raw_edi__product_activity"]["quantity"].to_list() == [2.0]


def test_several_interchanges_with_different_delimiters() -> None:
    other = x12("850", "BEG*00*SA*PO9**20260103", "PO1*1*1*EA***IN*B", control=6, sep="|", term="\n")
    batch = read_documents(frame(GOOD + b"\n" + other))
    assert batch.facts["raw_edi__order_lines"]["order_number"].to_list() == ["PO7", "PO9"]
    assert batch.interchanges["interchange_no"].to_list() == [1, 2]


def test_text_outside_every_set_is_told() -> None:
    batch = read_documents(frame(GOOD + b"and then some~"))
    assert batch.rejects["error_code"].to_list() == ["stray_segments"]
    assert batch.facts["raw_edi__order_lines"].height == 1
    assert batch.interchanges["verdict_code"].to_list() == ["accepted_with_errors"]


def test_an_unmapped_set_is_counted() -> None:
    batch = read_documents(frame(x12("864", "BMG*00*HELLO")))
    assert batch.sets.select("verdict_code", "segments").rows() == [("unmapped", 3)]


def test_locate_points_at_the_raw_bytes() -> None:
    content = b"\xef\xbb\xbf" + GOOD.replace(b"~", b"~\r\n  ")
    span = locate(content, 1, 1, 3)
    assert span is not None and content[span[0] : span[1]] == b"PO1*1*12*EA***IN*A"
    assert segment_text(content, 1, 1, 1) == "ST*850*0001"
    whole = locate(content, 1, 1, 0)
    assert whole is not None and content[whole[0] : whole[1]].endswith(b"SE*4*0001")
    assert locate(content, 1, 7, 1) is None
    released = edifact("ORDERS", "BGM+220+P?'O+9", "LIN+1++123:EN")
    assert segment_text(released, 1, 1, 2) == "BGM+220+P?'O+9"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.data(),
)
def test_the_result_does_not_depend_on_the_batch(specs: list[tuple[int, int, bool, bool]], data: st.DataObject) -> None:
    contents = []
    for n, (quantity, lines, wrong, other) in enumerate(specs):
        body = [f"PO1*{i}*{quantity if i else 'x'}*EA***IN*I{i}" for i in range(lines)]
        content = x12("850", f"BEG*00*SA*PO{n}**20260103", *body, control=n + 1)
        if other:
            content = edifact(
                "ORDERS",
                f"BGM+220+PO{n}?+1+9",
                "DTM+137:20260103:102",
                *(s for i in range(lines) for s in (f"LIN+{i}++{i}1:EN", f"QTY+21:{quantity}")),
                control=str(n + 1),
            )
        contents.append(content.replace(b"SE*", b"SE*1") if wrong else content)
    whole = read_documents(frame(*contents))
    cut = data.draw(st.integers(0, len(contents)))
    parts = [read_documents(frame(*part)) for part in (contents[:cut], contents[cut:]) if part]
    for name in ("interchanges", "sets", "rejects"):
        joined = pl.concat([getattr(p, name) for p in parts])
        assert joined.sort(joined.columns).equals(getattr(whole, name).sort(joined.columns))
    for name, facts in whole.facts.items():
        joined = pl.concat([p.facts[name] for p in parts])
        assert joined.sort(joined.columns).equals(facts.sort(joined.columns))
    counts = whole.counts
    assert counts["lines"] == counts["facts"] + counts["lines_rejected"]
    assert counts["sets"] == sum(
        counts[k] for k in ("sets_accepted", "sets_with_errors", "sets_unmapped", "sets_rejected")
    )
    assert whole.interchanges.schema == pl.Schema(RAW_EDI_INTERCHANGES.schema)
    assert whole.sets.schema == pl.Schema(RAW_EDI_SETS.schema)
    assert whole.rejects.schema == pl.Schema(RAW_EDI_REJECTS.schema)
    assert whole.rejects["reject_id"].is_unique().all()


def test_a_large_document_is_cut_without_a_trace() -> None:
    many = b"".join(
        x12("850", f"BEG*00*SA*PO{n}**20260103", "PO1*1*1*EA***IN*A", "PO1*2*x*EA***IN*B", control=n)
        for n in range(1, 30)
    )
    want = read_documents(frame(many))
    got = read_documents(frame(many), limits=Limits(window_bytes=700))
    assert got.counts == want.counts and got.counts["lines_rejected"] == 29
    assert got.facts["raw_edi__order_lines"].equals(want.facts["raw_edi__order_lines"])
    assert got.rejects.equals(want.rejects)
    assert got.interchanges.equals(want.interchanges)


@pytest.mark.parametrize(
    "odd",
    [
        x12("850", "BEG*00*SA*PO9**20260103", "PO1*1*1*EA***IN*B", comp="A"),
        x12("850", "BEG*00*SA*PO9**20260103", "PO1*1*1*EA***IN*B", term="A"),
        edifact("ORDERS", "BGM+220+PO9+9", "LIN+1++A:EN").replace(b"UNB+", b"UNB\xd8"),
    ],
)
def test_a_header_whose_tag_is_spoilt_leaves_its_neighbours_alone(odd: bytes) -> None:
    good = [x12("850", f"BEG*00*SA*PO{n}**20260103", f"PO1*1*{n}*EA***IN*I", control=n) for n in range(1, 5)]
    batch = read_documents(frame(*good, odd))
    own = pl.col("document_id") == hashlib.sha256(odd).hexdigest()
    assert batch.interchanges.filter(own)["verdict_code"].to_list() == ["rejected"]
    assert batch.interchanges.filter(~own)["verdict_code"].to_list() == ["accepted"] * 4
    assert batch.sets.filter(~own).height == batch.facts["raw_edi__order_lines"].height == 4
