"""A full disk and a missing right are one line with what to do, whichever library met them; a defect of ours stays one."""

from __future__ import annotations

import errno
import json
import os
import pwd
import sqlite3
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from aios_assets.cli_common import handle_errors
from aios_assets.contracts.errors import BadInputError
from aios_assets.outage import outage_of, user_name

FULL = Path("/dev/full")  # every write to it meets a full disk
app = typer.Typer()


@app.command()
@handle_errors
def command(what: str, as_json: bool = typer.Option(False, "--json")) -> None:
    if what == "full":
        FULL.write_text("x")
    elif what == "wrapped":
        try:
            FULL.write_text("x")
        except OSError as error:
            raise RuntimeError("the store could not be written") from error
    elif what == "refused":
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/data/night.lock")
    elif what == "defect":
        raise KeyError("site_id")
    elif what == "exit":
        raise typer.Exit(3)


def called(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("how", ["full", "wrapped"])
def test_a_full_disk_is_one_line(how: str) -> None:
    code, _, said = called(how)
    assert code == 74
    assert said.count("\n") == 1 and "the disk is full" in said and "make room" in said


def test_a_missing_right_names_file_and_user() -> None:
    code, out, said = called("refused", "--json")
    assert code == 74
    assert "/data/night.lock" in said and "may not read or write" in said
    assert json.loads(out)["error"] == "storage"


def test_defects_and_exit_codes_pass() -> None:
    defect = CliRunner().invoke(app, ["defect"])
    assert isinstance(defect.exception, KeyError)
    assert called("exit")[0] == 3


def test_what_sqlite_says_of_a_store_it_may_not_write(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    sqlite3.connect(file).execute("create table t (a)").connection.commit()
    reader = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as met:
        reader.execute("insert into t values (1)")
    found = outage_of(met.value, tmp_path)
    assert found is not None and "may not" in found.what and found.where == str(tmp_path)


def test_a_full_dagster_store_is_told_by_its_text(tmp_path: Path) -> None:
    found = outage_of(sqlite3.OperationalError("database or disk is full"), tmp_path)
    assert found is not None and found.what == "the disk is full"


def test_an_error_of_ours_is_none(tmp_path: Path) -> None:
    assert outage_of(BadInputError("column 'a' is missing"), tmp_path) is None
    assert outage_of(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)), tmp_path) is None


def test_who_calls_is_told_by_the_system_and_not_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert user_name() == pwd.getpwuid(os.geteuid()).pw_name
