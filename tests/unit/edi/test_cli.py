"""`aios edi`: shapes, exit codes, and one clear line for each bad call."""

from __future__ import annotations

import hashlib
import json
import os
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


def test_what_cannot_be_read_is_told_and_the_rest_is_judged(folder: Path) -> None:
    (folder / "in" / "gone.edi").symlink_to("nowhere")
    (folder / "in" / "loop").symlink_to(".")
    (folder / "in" / "in two\nlines.edi").write_bytes(GOOD + b"QQ~")
    result = RUN.invoke(app, ["check", str(folder / "in"), "--json"])
    found = {Path(r["path"]).name: r for r in map(json.loads, result.stdout.splitlines())}
    assert {name: r["status"] for name, r in found.items()} == {
        "a.edi": "accepted",
        "in two\nlines.edi": "accepted_with_errors",
        "gone.edi": "rejected",
    }
    assert found["gone.edi"]["errors"][0]["code"] == "unreadable" and result.exit_code == 1
    shown = RUN.invoke(app, ["check", str(folder / "in")]).stdout.splitlines()
    assert sum(line.startswith(("accepted", "rejected")) for line in shown) == 3


@pytest.mark.parametrize("call", [["tables"], ["ack", "--store", "numbers.sqlite"]])
def test_the_others_are_read_and_answered_beside_one_that_cannot_be_read(
    call: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "in" / "gone.edi").symlink_to("nowhere")
    result = RUN.invoke(app, [*call, "in", "--out", "out"])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "in/gone.edi" in result.stderr and "cannot be read: No such file" in result.stderr
    if call[0] == "tables":
        assert pl.read_parquet(folder / "out" / "raw_edi__sets.parquet").height == 1
    else:
        assert len(list((folder / "out").glob("*-997.edi"))) == 1


@pytest.mark.parametrize("name", ["a.gz", "a.zip", "a.xz"])
def test_packed_documents_are_not_read_by_chance(name: str, folder: Path) -> None:
    magic = {"a.gz": b"\x1f\x8b", "a.zip": b"PK\x03\x04", "a.xz": b"\xfd7zXZ"}[name]
    (folder / name).write_bytes(magic + b"\x00 a.edi " + GOOD)
    result = RUN.invoke(app, ["check", str(folder / name), "--json"])
    one = json.loads(result.stdout)
    assert (one["status"], one["errors"][0]["code"]) == ("rejected", "not_edi")
    assert "unpack it" in one["errors"][0]["message"]


@pytest.mark.parametrize("call", [["tables"], ["ack"], ["write", "850", "--partner", "default", "--from"]])
def test_a_folder_that_cannot_be_made_is_one_line(call: list[str], folder: Path) -> None:
    csv = folder / "orders.csv"
    csv.write_text("order_number,order_date,order_line,item_id,quantity,unit_code\n007,2026-01-03,1,0012,5,EA\n")
    path = csv if call[0] == "write" else folder / "in"
    result = RUN.invoke(app, [*call, str(path), "--out", str(csv)])
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    assert "cannot be made" in result.output


def test_a_pipe_is_no_document(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    result = RUN.invoke(app, ["check", str(folder / "pipe")])
    assert result.exit_code == 2 and "pipe or a device" in result.output


@pytest.mark.parametrize("size", [1, 2_000_000])
def test_a_file_that_grows_while_it_is_read_is_not_judged(
    size: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "in" / "a.edi"
    path.write_bytes(x12("850", "BEG*00*SA*PO7**20260103", *["PO1*1*12*EA***IN*A"] * (size // 19)))

    def digest_then_grow(of: Path) -> str:
        found = hashlib.sha256(of.read_bytes()).hexdigest()
        grow(of)
        return found

    def grow(of: Path) -> None:
        with of.open("ab") as file:
            file.write(b"ISA*")

    if size == 1:
        monkeypatch.setattr("aios_assets.cli_edi_files.digest_of", digest_then_grow)
    else:
        states = iter([(size, 1), (size + 4, 2)])
        monkeypatch.setattr("aios_assets.cli_edi_files.state_of", lambda _: next(states))
    result = RUN.invoke(app, ["check", str(path)])
    assert result.exit_code == 1 and "changed while it was read" in result.output


def test_show_says_the_same_with_json(folder: Path) -> None:
    (folder / "empty.edi").write_bytes(b"")
    for more in ([], ["--json"]):
        result = RUN.invoke(app, ["show", str(folder / "empty.edi"), *more])
        assert result.exit_code == 1 and "neither X12 nor EDIFACT" in result.output
