"""A document of any size: read a stretch at a time, it yields what it yields read whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.batch import read_sources
from aios_assets.edi.limits import Limits
from aios_assets.edi.shelf import Counting, OnDisk
from aios_assets.edi.source import FileBytes, readable
from tests.unit.edi.make import edifact, frame, x12

LINES = range(1, 120)
GIANTS = {
    "850 without line numbers": x12(
        "850", "BEG*00*SA*PO7**20260103", "N1*ST*X*92*S1", *(f"PO1**{n}*EA*9.25**IN*I{n}" for n in LINES), "CTT*119"
    ),
    "850 by store": x12(
        "850",
        "BEG*00*SA*PO7**20260103",
        *(t for n in LINES for t in (f"PO1**{2 * n}*EA*9.25**IN*I{n}", f"SDQ*EA*92*S1*{n}*S2*{n}")),
        "CTT*119",
    ),
    "852 with a site that changes": x12(
        "852",
        "XQ*H*20260101*20260107",
        "N1*ST*X*92*S1",
        *(
            text
            for n in LINES
            for text in (f"LIN*{n}*IN*I{n}", f"ZA*QS*{n}*EA", *([f"N1*ST*X*92*S{n}"] if n % 40 == 0 else []))
        ),
        "CTT*119",
    ),
    "852 of one line": x12(
        "852", "XQ*H*20260101*20260107", "N1*ST*X*92*S1", "LIN*1*IN*I7", *(f"ZA*QS*{n}*EA" for n in LINES), "CTT*1"
    ),
    "856 with a tree": x12(
        "856",
        "BSN*00*SH1*20260105*0900",
        "DTM*011*20260104",
        "HL*1**S",
        "N1*ST*X*92*S9",
        *(
            text
            for n in LINES
            for text in (
                *([f"HL*{1000 + n}*1*O", f"PRF*PO{n}"] if n % 40 == 1 else []),
                f"HL*{n + 1}*{1000 + n - (n - 1) % 40}*I",
                f"LIN**IN*A{n}",
                f"SN1**{n}*EA",
            )
        ),
        "CTT*119",
    ),
    "ORDERS": edifact(
        "ORDERS",
        "BGM+220+PO9+9",
        "DTM+137:20260103:102",
        "NAD+DP+S1::9",
        *(t for n in LINES for t in (f"LIN+++{n}:EN", f"PIA+1+B?+{n}:IN", f"QTY+21:{n}:PCE")),
        "UNS+S",
    ),
    "SLSRPT with places": edifact(
        "SLSRPT",
        "BGM+73E+1+9",
        "DTM+137:20260104:102",
        *(
            t
            for n in LINES
            for t in (
                *([f"LOC+162+S{n}::9", "DTM+356:20260103:102"] if n % 40 == 1 else []),
                f"LIN+{n}++{n}:EN",
                f"QTY+153:{n}:PCE",
            )
        ),
    ),
    "a type without a table": x12("999X", *(f"ZZ*{n}" for n in LINES)),
}


@pytest.mark.parametrize("name", GIANTS)
@pytest.mark.parametrize("window", [350, 900])
def test_a_set_larger_than_memory_yields_what_it_yields_read_whole(name: str, window: int) -> None:
    want = read_documents(frame(GIANTS[name]), grammar=True)
    got = read_documents(frame(GIANTS[name]), grammar=True, limits=Limits(window_bytes=window))
    assert got.counts == want.counts
    assert want.counts["sets"] == 1
    assert want.counts["facts"] == (0 if "without a table" in name else 238 if "by store" in name else 119)
    for table in want.facts:
        assert got.facts[table].equals(want.facts[table]), table
    for part in ("interchanges", "sets", "rejects", "findings"):
        assert getattr(got, part).equals(getattr(want, part)), part


def test_what_is_wrong_with_a_giant_is_said_once_and_in_its_place() -> None:
    bad = (
        GIANTS["850 without line numbers"].replace(b"PO1**77*EA", b"PO1**xx*EA").replace(b"PO1**33*EA", b"PO1**-33*EA")
    )
    want = read_documents(frame(bad), grammar=True)
    got = read_documents(frame(bad), grammar=True, limits=Limits(window_bytes=400))
    assert want.counts["lines_rejected"] == 2
    assert got.rejects.equals(want.rejects)
    assert got.findings.equals(want.findings)


def test_a_file_is_read_by_stretches_and_its_facts_go_to_parquet(tmp_path: Path) -> None:
    contents = [GIANTS["850 without line numbers"], GIANTS["856 with a tree"], b"no EDI at all"]
    files = {hashlib.sha256(c).hexdigest(): tmp_path / f"{n}.edi" for n, c in enumerate(contents)}
    for path, content in zip(files.values(), contents, strict=True):
        path.write_bytes(content)
    whole = read_documents(frame(*contents))
    docs = frame(*contents).drop("content").sort("document_id")
    out = tmp_path / "out"
    with OnDisk(out) as shelf:
        batch = read_sources(
            docs, (FileBytes(files[d]) for d in docs["document_id"]), shelf, limits=Limits(window_bytes=500)
        )
    assert batch.counts == whole.counts
    assert batch.rejects.equals(whole.rejects)
    assert shelf.rows == {name: t.height for name, t in whole.facts.items() if t.height}
    for name in shelf.rows:
        assert pl.read_parquet(out / f"{name}.parquet").equals(whole.facts[name])
    assert sorted(p.name for p in out.iterdir()) == sorted(f"{name}.parquet" for name in shelf.rows)
    counted = read_sources(docs, (FileBytes(files[d]) for d in docs["document_id"]), Counting())
    assert counted.counts == whole.counts
    assert counted.sets.equals(whole.sets)


def test_a_file_is_the_bytes_it_holds(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    path = tmp_path / "f"
    path.write_bytes(data)
    with FileBytes(path) as file:
        assert len(file) == len(data)
        for start, end in ((0, 5), (1_048_570, 1_048_590), (3_000_000, 5_200_000), (5_119_990, 6_000_000), (7, 3)):
            assert file[start:end] == data[start:end]
        needle = data[1_048_570:1_048_830]
        assert file.find(needle) == data.find(needle)
        assert file.find(b"nowhere") == -1
        assert file.find(b"\x05\x06", 1_048_570) == data.find(b"\x05\x06", 1_048_570)
        assert file.find(b"\x05\x06", 10, 12) == -1


@pytest.mark.parametrize("form", ["utf-16", "utf-16-le", "utf-16-be", "cp037"])
def test_other_character_sets_are_read(form: str) -> None:
    plain = x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA*9.25**IN*I1", "CTT*1")
    content = plain.decode().encode(form)
    assert readable(content)[:].lstrip(b"\xef\xbb\xbf") == plain
    got = read_documents(frame(content))
    assert got.counts["facts"] == 1
    assert got.facts["raw_edi__order_lines"]["order_number"].to_list() == ["PO7"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"CTT*119", b"CTT*118", "AK4:7"),
        (b"BEG*00*SA*PO7**20260103~", b"", "AK3:3"),
    ],
)
@pytest.mark.parametrize("window", [400, 1 << 20])
def test_a_line_count_that_is_wrong_is_found(old: bytes, new: bytes, code: str, window: int) -> None:
    content = GIANTS["850 without line numbers"].replace(old, new)
    content = content if new else content.replace(b"SE*124", b"SE*123")
    got = read_documents(frame(content), grammar=True, limits=Limits(window_bytes=window))
    assert code in got.findings["error_code"].to_list()
    assert got.sets["verdict_code"].to_list() == ["accepted_with_errors"]


@pytest.mark.parametrize(("total", "wrong"), [(119, []), (123, []), (120, ["AK4:7"])])
def test_a_giant_856_may_count_items_or_levels(total: int, wrong: list[str]) -> None:
    content = GIANTS["856 with a tree"].replace(b"CTT*119", f"CTT*{total}".encode())
    assert content.count(b"~SN1*") == 119
    assert content.count(b"~HL*") == 123
    for window in (400, 900, 1 << 20):
        got = read_documents(frame(content), grammar=True, limits=Limits(window_bytes=window))
        assert [c for c in got.findings["error_code"] if c == "AK4:7"] == wrong, window


def test_a_control_number_used_twice_in_one_envelope_is_found() -> None:
    one = x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*1*EA***IN*A", "CTT*1")
    twice = one.replace(b"GE*1*1", b"ST*850*0001~BEG*00*SA*P8**20260103~SE*3*0001~GE*2*1")
    assert read_documents(frame(twice), grammar=True).findings["error_code"].to_list() == ["AK5:23"]
    message = edifact("ORDERS", "BGM+220+PO9+9")
    again = message.replace(b"UNZ+1", b"UNH+1+ORDERS:D:96A:UN'BGM+220+P2+9'UNT+3+1'UNZ+2")
    assert read_documents(frame(again), grammar=True).findings["error_code"].to_list() == ["CONTRL:26"]


@pytest.mark.parametrize("term", [b"\xa6", b"\xc3", "…".encode()])
def test_text_stays_sound_whatever_byte_ends_a_segment(term: bytes) -> None:
    content = x12("850", "BEG*00*SA*PÖ7**20260103", "N1*ST*Müß…*92*S1", "PO1*1*1*EA***IN*A").replace(b"~", term)
    for damaged in (content, content.replace(b"PO1*", "ÖÖÖÖ*".encode()), content[:-7]):
        got = read_documents(frame(damaged), grammar=True)
        for table in (got.sets, got.rejects, got.findings, *got.facts.values()):
            for value in table.select(pl.col(pl.String)).to_dict(as_series=False).values():
                assert all(v is None or v.encode().decode() == v for v in value)


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        x12("850", "BEG*00*SA*PO9**20260103", "PO1*1*1*EA***IN*A:B", control=9),
        x12("850", "BEG*00*SA*PÖ9**20260103", "PO1*1*1*EA***IN*A", control=9),
        x12("850", "BEG*00*SA*PO9**20260103", "PO1*1*1*EA***IN*\x1c", control=9),
        x12("850", "BEG*00*SA*PO9**20260103", "PO1*1*1*EA***IN*A", control=9).replace(b"~", b"~\r\n"),
        x12("850", "BEG*00*SA*VISA**20260103", "PO1*1*1*EA***IN*A", control=9),
        x12("850", "BEG*00*SA*PO9", control=9) + x12("850", "BEG*00*SA*PO8", control=8, sep="|"),
        x12("850", "BEG*00*SA*PO9**20260103", "PO1*1*1*EA***IN*A^B", control=9).replace(b"*U*00401", b"*^*00501", 1),
        edifact("ORDERS", "BGM+220+PO9+9", "LIN+1++A:EN", "QTY+21:1"),
    ],
)
@pytest.mark.parametrize("wrap", [b"~", b"~\n", b"~\r\n", b"~ "])
def test_documents_of_equal_delimiters_are_read_together_as_each_alone(odd: bytes, wrap: bytes) -> None:
    alike = [
        x12("850", f"BEG*00*SA*PO{n}**20260103", f"PO1*1*{n}*EA***IN*I{n}", control=n).replace(b"~", wrap)
        for n in range(1, 5)
    ]
    together = read_documents(frame(*alike, odd), apart=True)
    for content in (*alike, odd):
        alone = read_documents(frame(content))
        own = pl.col("document_id") == hashlib.sha256(content).hexdigest()
        assert together.interchanges.filter(own).equals(alone.interchanges)
        assert together.sets.filter(own).equals(alone.sets)
        assert together.rejects.filter(own).equals(alone.rejects)
        for name, facts in alone.facts.items():
            assert together.facts[name].filter(own).equals(facts)
