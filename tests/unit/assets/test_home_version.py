"""A home says which versions made and used it; an older one than the newest keeps its hands off."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aios_assets.cli import app
from aios_assets.contracts.errors import IntegrityError, RefusedError
from aios_assets.night import mark_path, only_one, prepare_home
from aios_assets.resources.home_version import NAME, HomeVersion, as_shown, note_use, read_version, this_version, used
from aios_assets.settings import Settings

FIRST, LATER = date(2026, 1, 14), date(2026, 2, 1)
MADE = HomeVersion("0.1.0", "2026-01-14", "0.1.0", "2026-01-14")


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AIOS_HOME", str(tmp_path / "home"))
    return Settings()


def test_what_is_written_down() -> None:
    assert used(None, "0.1.0", FIRST, is_new=True) == MADE
    assert used(None, "0.1.0", FIRST, is_new=False).made_by == "unknown"
    assert used(MADE, "0.1.0", FIRST, is_new=False) == MADE
    assert used(MADE, "0.10.0", LATER, is_new=False) == HomeVersion("0.1.0", "2026-01-14", "0.10.0", "2026-02-01")


def test_an_older_version_is_refused() -> None:
    newer = used(MADE, "0.10.0", LATER, is_new=False)
    with pytest.raises(
        RefusedError, match=r"last used by version 0\.10\.0 on 2026-02-01; this is 0\.9\.1, which is older"
    ):
        used(newer, "0.9.1", LATER, is_new=False)


def test_a_home_is_marked_once_a_day(conf: Settings) -> None:
    prepare_home(conf)
    path = conf.home / NAME
    made = read_version(conf.home)
    assert made is not None and made.made_by == made.newest == this_version()
    before = path.stat().st_mtime_ns
    prepare_home(conf)
    assert path.stat().st_mtime_ns == before
    path.unlink()
    assert note_use(conf.home).made_by == "unknown" == as_shown(conf.home)["made_by"]


def test_nothing_is_written_to_a_home_of_a_newer_version(conf: Settings) -> None:
    prepare_home(conf)
    said = json.loads((conf.home / NAME).read_text()) | {"newest": "999.0"}
    (conf.home / NAME).write_text(json.dumps(said))
    with pytest.raises(RefusedError, match=r"install 999\.0 or newer"):
        prepare_home(conf)
    with pytest.raises(RefusedError), only_one(conf):
        raise AssertionError("entered")
    done = CliRunner().invoke(app, ["run", "--json"])
    assert done.exit_code == 1 and "version 999.0" in done.stdout
    mark_path(conf, FIRST).write_text("{}")
    shown = CliRunner().invoke(app, ["status", "--json"])
    assert shown.exit_code == 0 and json.loads(shown.stdout.splitlines()[0])["home"]["newest"] == "999.0"
    assert "which is older and will not write to it" in shown.output


def test_a_file_that_says_nothing_is_not_passed_over(conf: Settings) -> None:
    prepare_home(conf)
    (conf.home / NAME).write_text("{}")
    with pytest.raises(IntegrityError, match="cannot be understood"):
        prepare_home(conf)
