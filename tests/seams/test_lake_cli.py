"""`aios check` and `aios repair` as a person calls them: exit codes, one line per damage, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aios_assets.resources.lake import Lake
from tests.seams.test_lake import DOCUMENTS, documents, flip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))
    Lake(tmp_path / "lake").write(DOCUMENTS, documents(["a", "b"]))
    return tmp_path


def aios(*words: str) -> tuple[int, str]:
    from aios_assets.cli import app

    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout


def test_an_intact_lake_exits_zero(home: Path) -> None:
    assert aios("check") == (0, "intact: 1 tables\n")
    assert json.loads(aios("check", "--json")[1]) == {"intact": True, "damage": []}


def test_damage_exits_one_with_its_place_and_is_healed(home: Path) -> None:
    lake = Lake(home / "lake")
    before = lake.content_hash(DOCUMENTS)
    flip(Path(lake.file_uris(DOCUMENTS)[0]))
    code, said = aios("check", "--json")
    damage = json.loads(said)["damage"]
    assert (code, len(damage)) == (1, 1)
    assert damage[0]["table"] == DOCUMENTS
    assert damage[0]["place"].startswith(f"{DOCUMENTS}/available_month=2026-01/aios-")
    code, said = aios("repair")
    assert code == 0
    assert "from its other copy" in said
    assert aios("check")[0] == 0
    assert Lake(home / "lake").content_hash(DOCUMENTS) == before


def test_wrong_calls_exit_two(home: Path) -> None:
    assert aios("check", "--table", "nonsense")[0] == 2
    assert aios("listen", "pigeon")[0] == 2
    assert aios("listen", "http", "--port", "99999")[0] == 2
