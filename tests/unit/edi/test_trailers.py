"""Trailers that close nothing: millions of them are one row each in memory, and none is lost."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aios_assets.cli_edi import app
from aios_assets.edi import read_documents
from aios_assets.edi.limits import Limits
from tests.unit.edi.make import frame, x12

ISA = f"ISA*00*{'':10}*00*{'':10}*ZZ*{'A':<15}*ZZ*{'B':<15}*260101*1200*U*00401*000000001*0*P*>"
SEGMENTS = (
    ISA,
    "GS*PO*A*B*20260101*1200*1*X*004010",
    "ST*850*1",
    "SE*2*1",
    "GE*1*1",
    "IEA*1*000000001",
    "TA1*1",
    "N1*ST",
)


def closing_nothing(segments: list[str]) -> int:
    """How many trailers close nothing, told one segment after the other."""
    count, group, interchange, before = 0, False, False, ""
    for segment in segments:
        tag = segment.split("*")[0]
        if tag == "N1":
            continue
        count += (tag == "SE" and before != "ST") or (tag == "GE" and not group) or (tag == "IEA" and not interchange)
        group = tag == "GS" or (group and tag not in ("ISA", "GE", "IEA"))
        interchange = tag == "ISA" or (interchange and tag != "IEA")
        before = tag
    return count


@given(st.lists(st.tuples(st.sampled_from(SEGMENTS), st.integers(1, 5)), max_size=25), st.sampled_from([400, 1 << 20]))
def test_every_trailer_that_closes_nothing_is_told(runs: list[tuple[str, int]], window: int) -> None:
    segments = [*SEGMENTS[:2], *(segment for segment, often in runs for _ in range(often))]
    content = "".join(s + "~" for s in segments).encode()
    batch = read_documents(frame(content), limits=Limits(window_bytes=window))
    told = batch.rejects.filter(pl.col("reason").str.ends_with("closes nothing that was opened"))
    assert told.height == closing_nothing(segments)
    assert batch.rejects["reject_id"].is_unique().all()


@pytest.mark.parametrize("stray", [b"SE*2*0001~", b"GE*1*1~", b"IEA*1*000000001~"])
def test_many_trailers_are_listed_up_to_the_bound_and_counted(
    stray: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aios_assets.edi.report.MOST_ERRORS", 7)
    monkeypatch.setattr("aios_assets.edi.faults._BLOCK", 11)
    path = tmp_path / "a.edi"
    path.write_bytes(x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA***IN*A") + stray * 40)
    errors = json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).stdout)["errors"]
    assert [e["code"] for e in errors] == ["TA1:024"] * 7 + ["more_errors"]
    assert "TA1:024 33 times" in errors[-1]["message"]
    assert CliRunner().invoke(app, ["tables", str(path), "--out", str(tmp_path / "out")]).exit_code == 0
    rejects = pl.read_parquet(tmp_path / "out" / "rejects.parquet")
    assert rejects.height == 40 and rejects["reject_id"].n_unique() == 40
