"""`aios edi`: shapes, exit codes, and one clear line for each bad call."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from aios_assets.cli_edi import app
from tests.unit.edi.make import x12

RUN = CliRunner()
GOOD = x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA***IN*A")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.edi").write_bytes(GOOD)
    return tmp_path


def test_check_walks_folders_and_says_what_it_found(folder: Path) -> None:
    result = RUN.invoke(app, ["check", str(folder / "in"), "--json"])
    assert result.exit_code == 0
    one = json.loads(result.stdout)
    assert one["sha256"] == hashlib.sha256(GOOD).hexdigest()
    assert (one["standard"], one["status"], one["interchanges"], one["groups"], one["errors"]) == (
        "X12",
        "accepted",
        1,
        1,
        [],
    )
    assert one["sets"] == [
        {"type": "850", "version": "004010", "control": "0001", "status": "accepted", "segments": 4, "errors": []}
    ]
    (folder / "in" / "deep" / "b.edi").write_bytes(GOOD.replace(b"SE*4", b"SE*5"))
    (folder / "in" / "deep" / "c.edi").write_bytes(GOOD.replace(b"20260103", b"20261399"))
    (folder / "in" / "d.png").write_bytes(b"\x89PNG\r\n")
    (folder / "in" / "e.edi").write_bytes(b"")
    result = RUN.invoke(app, ["check", str(folder / "in"), "--json"])
    assert result.exit_code == 1
    lines = {Path(r["path"]).name: r for r in map(json.loads, result.stdout.splitlines())}
    assert {n: r["status"] for n, r in lines.items()} == {
        "a.edi": "accepted",
        "b.edi": "rejected",
        "c.edi": "accepted_with_errors",
        "d.png": "rejected",
        "e.edi": "rejected",
    }
    assert lines["d.png"]["standard"] is None
    fault = lines["b.edi"]["errors"][0]
    assert (fault["code"], fault["level"], fault["segment"], fault["position"]) == ("AK5:4", "set", "SE", 4)
    fault = lines["c.edi"]["errors"][0]
    assert (fault["code"], fault["segment"], fault["position"], fault["element"]) == ("AK4:8", "BEG", 2, 5)


@pytest.mark.parametrize(
    "call",
    [
        ["check", "nowhere"],
        ["check", "."],
        ["show", "nowhere"],
        ["write", "850", "--from", "x.csv", "--partner", "nobody", "--out", "o"],
        ["ack", ".", "--kind", "998", "--out", "o"],
    ],
)
def test_wrong_calls(call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = RUN.invoke(app, call)
    assert result.exit_code == 2
    assert "aios:" in result.output and "Traceback" not in result.output


def test_tables_ack_show_diff_write(folder: Path) -> None:
    out = folder / "out"
    assert RUN.invoke(app, ["tables", str(folder / "in"), "--out", str(out)]).exit_code == 0
    assert pl.read_parquet(out / "raw_edi__order_lines.parquet").height == 1
    assert pl.read_parquet(out / "rejects.parquet").is_empty()
    store = ["--store", str(folder / "n.sqlite")]
    first = RUN.invoke(app, ["ack", str(folder / "in"), "--out", str(out), *store, "--json"])
    again = RUN.invoke(app, ["ack", str(folder / "in"), "--out", str(out), *store, "--json"])
    assert first.exit_code == 0 and first.stdout == again.stdout
    shown = RUN.invoke(app, ["show", str(folder / "in" / "a.edi")])
    assert shown.exit_code == 0 and "order number PO7" in shown.stdout
    other = folder / "b.edi"
    other.write_bytes(x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA***IN*A", sep="|", term="\n"))
    assert RUN.invoke(app, ["diff", str(folder / "in" / "a.edi"), str(other)]).exit_code == 0
    other.write_bytes(GOOD.replace(b"*12*", b"*13*"))
    result = RUN.invoke(app, ["diff", str(folder / "in" / "a.edi"), str(other), "--json"])
    assert result.exit_code == 1 and json.loads(result.stdout)["difference"][2:4] == [
        "-PO1*1*12*EA***IN*A",
        "+PO1*1*13*EA***IN*A",
    ]
    csv = folder / "orders.csv"
    csv.write_text("order_number,order_date,order_line,item_id,quantity,unit_code\n007,2026-01-03,1,0012,5,EA\n")
    call = ["write", "850", "--from", str(csv), "--partner", "default", "--out", str(out), *store, "--json"]
    made = RUN.invoke(app, call)
    assert made.exit_code == 0, made.output
    path = Path(json.loads(made.stdout)[0]["path"])
    assert b"BEG*00*SA*007**20260103" in path.read_bytes() and b"*IN*0012" in path.read_bytes()
    assert RUN.invoke(app, call).stdout == made.stdout
    assert RUN.invoke(app, ["check", str(path)]).exit_code == 0


def test_a_check_of_very_many_errors_lists_the_first_and_counts_the_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aios_assets.edi.report.MOST_ERRORS", 5)
    lines = [f"PO1*{n}*many*EA***IN*A" for n in range(1, 13)]
    (folder / "in" / "a.edi").write_bytes(x12("850", "BEG*00*SA*PO7**20260103", *lines))
    (folder / "in" / "b.edi").write_bytes(GOOD)
    result = RUN.invoke(app, ["check", str(folder / "in"), "--json"])
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [r["status"] for r in found] == ["accepted_with_errors", "accepted"]
    listed, rest = found[0]["errors"][:-1], found[0]["errors"][-1]
    assert [e["position"] for e in listed if e["level"] == "element"] == [3, 4, 5, 6, 7]
    assert [e["code"] for e in found[0]["errors"]].count("more_errors") == 1
    assert rest["code"] == "more_errors" and rest["message"].startswith("7 more errors are not listed: ")
    assert "7 more errors are not listed" in RUN.invoke(app, ["check", str(folder / "in")]).stdout
