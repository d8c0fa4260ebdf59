"""Nothing is sent twice: the same rows keep number and bytes whatever file they come in, and what differs is told."""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aios_assets.cli_edi import app
from aios_assets.edi import read_documents
from aios_assets.resources import clock
from aios_assets.resources.lake import Lake
from tests.unit.edi.make import frame, x12

RUN = CliRunner()
HEAD = "order_number,order_date,order_line,item_id,quantity,unit_code"
FIRST, SECOND = "PO1,2026-01-03,1,A,5,EA", "PO2,2026-01-03,1,B,7,EA"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """What time it is, as the test says."""
    now = {"now": datetime(2026, 1, 3, 23, 59, tzinfo=UTC)}
    monkeypatch.setattr(clock, "now_utc", lambda: now["now"])
    return now


def written(folder: Path, *lines: str, kind: str = "850", name: str = "orders.csv", head: str = HEAD) -> Any:
    """Write orders; the numbers by key, what was told, and the bytes by number."""
    source = folder / name
    source.write_text("\n".join([head, *lines]) + "\n")
    call = ["write", kind, "--from", str(source), "--partner", "default", "--out", str(folder / "out"), "--json"]
    done = RUN.invoke(app, [*call, "--store", str(folder / "n.sqlite")])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    return (
        {m["key"]: m["control_number"] for m in made},
        done.stderr,
        {Path(m["path"]).name: Path(m["path"]) for m in made},
    )


def test_rows_written_again_have_their_number_and_bytes_whatever_stands_beside_them(
    tmp_path: Path, at: dict[str, datetime]
) -> None:
    first, told, files = written(tmp_path, FIRST, SECOND)
    assert first == {"PO1": 1, "PO2": 2} and told == ""
    before = {name: (path.read_bytes(), path.stat().st_mtime_ns) for name, path in files.items()}
    at["now"] += timedelta(days=1)
    third = "PO3,2026-01-04,1,C,1,EA"
    # In another file, in another order, with another document, under another name: still the same two orders.
    again, told, files = written(tmp_path, SECOND, third, FIRST, name="later.csv")
    assert again == {"PO1": 1, "PO2": 2, "PO3": 3} and told == ""
    for name, (content, touched) in before.items():
        assert files[name].read_bytes() == content and files[name].stat().st_mtime_ns == touched, "nobody sends it anew"
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_writer_that_died_before_its_file_was_there_writes_the_bytes_it_would_have_written(
    tmp_path: Path, at: dict[str, datetime]
) -> None:
    _, _, files = written(tmp_path, FIRST)
    path = next(iter(files.values()))
    content = path.read_bytes()
    path.unlink()
    at["now"] += timedelta(hours=7)
    written(tmp_path, FIRST)
    assert path.read_bytes() == content


def test_an_order_written_with_other_rows_is_another_document_and_told(tmp_path: Path, at: dict[str, datetime]) -> None:
    written(tmp_path, FIRST, SECOND)
    numbers, told, _ = written(tmp_path, FIRST.replace(",5,", ",6,"), SECOND)
    assert numbers == {"PO1": 3, "PO2": 2}
    assert "850 PO1 was written before with other rows (control number 1)" in told and "PO2" not in told


def test_a_change_back_to_what_was_changed_before_is_another_message(tmp_path: Path, at: dict[str, datetime]) -> None:
    """Eight, nine, and eight again: with the number of the first the partner would stay at nine."""
    eight, nine = "PO1,2026-01-03,1,A,8,EA", "PO1,2026-01-03,1,A,9,EA"
    other = "PO2,2026-01-03,1,B,1,EA"
    said = [written(tmp_path, *lines, kind="860") for lines in ((eight,), (nine,), (eight, other), (eight, other))]
    assert [numbers["PO1"] for numbers, _, _ in said] == [1, 2, 3, 3]
    assert {told for _, told, _ in said} == {""}, "an order may be changed again"


def test_a_profile_that_changed_keeps_the_number_and_is_told(tmp_path: Path, at: dict[str, datetime]) -> None:
    """Under another number the partner would deliver the order twice."""
    _, _, files = written(tmp_path, FIRST)
    path = next(iter(files.values()))
    path.write_bytes(path.read_bytes().replace(b"~", b"^"))  # as another terminator would have left it
    numbers, told, _ = written(tmp_path, FIRST)
    assert numbers == {"PO1": 1} and "850-default-000000001.edi had other bytes" in told


def test_what_an_older_version_wrote_keeps_its_number(tmp_path: Path, at: dict[str, datetime]) -> None:
    """It bound numbers to the file: its SHA-256, then type and key."""
    import hashlib

    prefix = hashlib.sha256(f"{HEAD}\n{FIRST}\n".encode()).hexdigest()[:16]
    with sqlite3.connect(tmp_path / "n.sqlite") as db:
        db.execute("CREATE TABLE series (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID")
        db.execute(
            "CREATE TABLE taken (name TEXT NOT NULL, purpose TEXT NOT NULL, number INTEGER NOT NULL,"
            " PRIMARY KEY (name, purpose), UNIQUE (name, number)) WITHOUT ROWID"
        )
        db.execute("INSERT INTO series VALUES ('X12|AIOS|PARTNER', 41)")
        db.execute("INSERT INTO taken VALUES ('X12|AIOS|PARTNER', ?, 41)", (f"{prefix} 850 PO1",))
    assert written(tmp_path, FIRST)[0] == {"PO1": 41}
    assert written(tmp_path, FIRST, SECOND)[0] == {"PO1": 41, "PO2": 42}


def test_a_column_that_no_document_says_is_named(tmp_path: Path, at: dict[str, datetime]) -> None:
    """A misspelt ship-to would send the goods to wherever the partner thinks best."""
    _, told, _ = written(tmp_path, FIRST + ",S9,2026-01-09", head=HEAD + ",ship_to,requested_dat")
    assert "not written, for raw_edi__order_lines has no such column: requested_dat, ship_to" in told


def test_of_two_under_one_number_the_one_that_came_first_is_accepted_and_the_answer_is_the_same_tomorrow(
    tmp_path: Path, at: dict[str, datetime]
) -> None:
    inbox, out = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()

    def answers() -> dict[str, bytes]:
        call = ["ack", str(inbox), "--out", str(out), "--store", str(tmp_path / "n.sqlite"), "--json"]
        done = RUN.invoke(app, call)
        assert done.exit_code == 0, done.output
        return {m["document_id"]: Path(m["path"]).read_bytes() for m in json.loads(done.stdout)}

    for nth in range(6):  # Six orders, for their digests decided it before.
        content = x12("850", f"BEG*00*SA*PO{nth}**20260103", "PO1*1*12*EA***IN*A", control=5)
        (inbox / f"{nth}.edi").write_bytes(content)
        os.utime(inbox / f"{nth}.edi", (1_760_000_000 + nth, 1_760_000_000 + nth))
        if nth == 0:
            first = answers()
            at["now"] += timedelta(days=1)
    said = answers()
    assert {key: said[key] for key in first} == first, "accepted yesterday, and in the same bytes today"
    assert sum(b"AK5*A" in content for content in said.values()) == 1
    assert sum(b"*R*025~" in content for content in said.values()) == 5


def test_an_answer_knows_what_the_nights_have_accepted(
    tmp_path: Path, at: dict[str, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night sets the second order aside; a partner who was told that it is accepted would never send it again."""
    first, second = (x12("850", f"BEG*00*SA*PO{n}**20260103", "PO1*1*12*EA***IN*A", control=5) for n in (1, 2))
    Lake(tmp_path / "lake").write("raw_edi__interchanges", read_documents(frame(first)).interchanges)
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))
    for content, said in ((first, b"AK5*A"), (second, b"*R*025~")):
        (tmp_path / "a.edi").write_bytes(content)
        done = RUN.invoke(app, ["ack", str(tmp_path / "a.edi"), "--out", str(tmp_path / "out"), "--json"])
        assert said in Path(json.loads(done.stdout)[0]["path"]).read_bytes()


def test_what_we_sent_ourselves_is_not_answered_in_the_name_of_the_partner(
    tmp_path: Path, at: dict[str, datetime]
) -> None:
    """Our own documents lie beside what came; an answer to them, put back into the inbox, would pass for the partner's."""
    inbox = tmp_path / "in"
    inbox.mkdir()
    (inbox / "ours.edi").write_bytes(x12("850", "BEG*00*SA*PO1**20260103", "PO1*1*12*EA***IN*A", sender="US"))
    (inbox / "theirs.edi").write_bytes(x12("855", "BAK*00*AK*PO1*20260103", sender="SUP", receiver="US"))
    call = ["ack", str(inbox), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "n.sqlite"), "--json"]
    done = RUN.invoke(app, [*call, "--our-id", "US, US2"])
    answers = [Path(m["path"]).read_bytes() for m in json.loads(done.stdout)]
    assert [b"*ZZ*US             *ZZ*SUP " in content for content in answers] == [True]
