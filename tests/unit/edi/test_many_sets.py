"""Sets of which a document may hold millions: whole ones are a row each, and a document of too many is given up."""

from __future__ import annotations

import hashlib
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aios_assets.cli_edi import app
from aios_assets.edi import read_documents
from aios_assets.edi.limits import Limits
from tests.unit.edi.make import edifact, frame, x12

ISA = f"ISA*00*{'':10}*00*{'':10}*ZZ*{'A':<15}*ZZ*{'B':<15}*260101*1200*U*00401*000000001*0*P*>~"
# What may follow the header of set number n with one segment between, and the codes it has to be told with.
TRAILERS: dict[str, tuple[tuple[str, str], set[str]]] = {
    "right": (("SE*3*{n}~", "UNT+3+{n}'"), set()),
    "leading zeros": (("SE*03*0{n}~", "UNT+03+0{n}'"), set()),
    "wrong count": (("SE*4*{n}~", "UNT+4+{n}'"), {"AK5:4", "CONTRL:29"}),
    "wrong control": (("SE*3*9{n}~", "UNT+3+9{n}'"), {"AK5:3", "CONTRL:28"}),
    "nothing said": (("SE~", "UNT'"), {"AK5:4", "CONTRL:29", "AK5:3", "CONTRL:28"}),
    "missing": (("", ""), {"AK5:2", "CONTRL:13"}),
    "twice": (("SE*3*{n}~SE*3*{n}~", "UNT+3+{n}'UNT+3+{n}'"), set()),
}


def written(kinds: list[str], *, edifact: bool) -> bytes:
    """An interchange with one set of each kind of trailer."""
    ends = [TRAILERS[kind][0][edifact].format(n=n + 1) for n, kind in enumerate(kinds)]
    if edifact:
        sets = (f"UNH+{n}+ORDERS:D:96A:UN'BGM+220+{n}+9'{end}" for n, end in enumerate(ends, 1))
        return ("UNB+UNOA:1+A+B+260101:1200+1'" + "".join(sets) + f"UNZ+{len(kinds)}+1'").encode()
    sets = (f"ST*850*{n}~BEG*00*SA*P{n}**20260101~{end}" for n, end in enumerate(ends, 1))
    return (
        ISA + "GS*PO*A*B*20260101*1200*1*X*004010~" + "".join(sets) + f"GE*{len(kinds)}*1~IEA*1*000000001~"
    ).encode()


@given(
    st.lists(st.sampled_from(list(TRAILERS)), min_size=1, max_size=12), st.booleans(), st.sampled_from([90, 1 << 20])
)
def test_each_set_is_told_what_its_own_trailer_says(kinds: list[str], edifact: bool, window: int) -> None:
    batch = read_documents(frame(written(kinds, edifact=edifact)), limits=Limits(window_bytes=window))
    sets = batch.sets.sort("set_no")
    assert sets["control_number"].to_list() == [str(n + 1) for n in range(len(kinds))]
    assert sets["segments"].to_list() == [2 if kind == "missing" else 3 for kind in kinds]
    wrong = batch.rejects.filter(pl.col("level_code") == "set").group_by("set_no").agg("error_code")
    told = {number: set(codes) for number, codes in wrong.iter_rows()}
    standard = "CONTRL" if edifact else "AK5"
    due = {n + 1: {c for c in TRAILERS[kind][1] if c.startswith(standard)} for n, kind in enumerate(kinds)}
    assert told == {n: codes for n, codes in due.items() if codes}
    rejected = sets.filter(pl.col("verdict_code") == "rejected")["set_no"].to_list()
    assert rejected == (sets["set_no"].to_list() if "twice" in kinds else sorted(told)), "a trailer too many takes all"
    again = batch.rejects.filter(pl.col("reason").str.ends_with("closes nothing that was opened"))
    assert again.height == kinds.count("twice")


@pytest.mark.parametrize("window", [400, 1 << 20])
@pytest.mark.parametrize("headers", [False, True])
def test_a_document_of_too_many_sets_is_given_up_and_its_neighbours_are_read(window: int, headers: bool) -> None:
    order = ("BEG*00*SA*PO{n}**20260103", "PO1*1*{n}*EA***IN*A")
    good = [x12("850", *(s.format(n=n) for s in order), control=n) for n in range(1, 4)]
    some = [x12("850", *(s.format(n=n) for s in order), control=n) for n in range(4, 10)]
    many = b"".join(some) if headers else written(["right"] * 40, edifact=True)
    batch = read_documents(frame(*good, many), limits=Limits(window_bytes=window, sets=30), grammar=True)
    own = pl.col("document_id") == hashlib.sha256(many).hexdigest()
    told = batch.rejects.filter(own)
    assert told.select("level_code", "error_code").rows() == [("document", "too_many_sets")]
    assert "AIOS_EDI_MAX_SETS" in told["reason"][0]
    assert (
        set(batch.sets.filter(own)["verdict_code"])
        == set(batch.interchanges.filter(own)["verdict_code"])
        == {"rejected"}
    )
    assert batch.interchanges.filter(~own)["verdict_code"].to_list() == ["accepted"] * 3
    assert batch.facts["raw_edi__order_lines"].filter(own).height == 0
    assert batch.facts["raw_edi__order_lines"].height == 3
    counts = batch.counts
    assert (counts["documents"], counts["documents_read"], counts["documents_rejected"]) == (4, 3, 1)
    later = read_documents(frame(many), ledger=batch.interchanges, limits=Limits(window_bytes=window))
    assert set(later.interchanges["verdict_code"]) == {"accepted"}, "a refused document uses no control number up"


def test_as_many_sets_as_allowed_are_read() -> None:
    content = written(["right"] * 27, edifact=True)
    batch = read_documents(frame(content), limits=Limits(window_bytes=200, sets=31))
    assert batch.sets.height == 27 and batch.rejects.is_empty()
    assert read_documents(frame(content), limits=Limits(window_bytes=200, sets=30)).rejects.height == 1


def test_a_document_that_is_given_up_is_not_answered_but_named(tmp_path: Any) -> None:
    path, good = tmp_path / "many.edi", tmp_path / "good.edi"
    path.write_bytes(written(["right"] * 9, edifact=False))
    good.write_bytes(edifact("ORDERS", "BGM+220+1+9", "LIN+1++A:EN"))
    call = ["ack", str(path), str(good), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "numbers.sqlite")]
    done = CliRunner().invoke(app, [*call, "--max-sets", "14"])
    assert done.exit_code == 1 and "many.edi was not answered" in done.stderr
    assert [p.name[-10:] for p in (tmp_path / "out").iterdir()] == ["CONTRL.edi"]
    assert CliRunner().invoke(app, ["check", str(path), "--max-sets", "0"]).exit_code == 2
