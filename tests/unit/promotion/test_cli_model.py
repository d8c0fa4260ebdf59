"""`aios model` on a real lake in a temporary folder: what is live, history, by-hand rollback, refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from typer.testing import CliRunner

from aios_assets.cli_model import app, failed_gates, instant_of
from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS
from aios_assets.contracts.errors import RefusedError, UsageError
from ml.promotion.deployments import promotion_rows

RUNNER = CliRunner()
T0 = datetime(2025, 1, 1, 6, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from aios_assets.resources.lake import Lake
    from aios_assets.settings import Settings

    monkeypatch.setenv("AIOS_HOME", str(tmp_path / "home"))
    table = MON_DEPLOYMENTS.empty()
    for k, version in enumerate("12"):
        new = promotion_rows(
            table, decision="promote", model_name="demand", model_version=version, model_digest=f"sha{version}", reason="gates", instant=T0 + timedelta(days=10 * k)
        )  # fmt: skip
        table = pl.concat([table, new])
    Lake(Settings().lake_root).write(MON_DEPLOYMENTS, table)
    return tmp_path / "home"


def call(*words: str) -> tuple[int, str]:
    done = RUNNER.invoke(app, list(words))
    return done.exit_code, done.output


def test_at_and_history_answer_from_the_table(home: Path) -> None:
    code, text = call("at", "2025-01-05", "--json")
    assert code == 0 and [r["model_version"] for r in json.loads(text)] == ["1"]
    assert [r["model_version"] for r in json.loads(call("at", "2025-01-11T06:00:00Z", "--json")[1])] == ["2"]
    code, text = call("at", "2024-06-01")
    assert code == 1 and "nothing was live" in text
    code, text = call("history", "--model", "demand")
    assert code == 0 and "demand 1 as champion" in text and "to now" in text
    assert len(json.loads(call("history", "--json")[1])) == 2


def test_bad_calls_are_one_clear_line(home: Path) -> None:
    code, text = call("at", "yesterday")
    assert code == 2 and "neither a day nor an instant" in text
    code, text = call("rollback", "--reason", " ")
    assert code == 2 and "reason is empty" in text
    code, text = call("compare", "1", "9")
    assert code == 1 and "never deployed" in text
    with pytest.raises(UsageError):
        instant_of("2025-13-01")


def test_failed_gates_are_the_newest_verdicts() -> None:
    rows = pl.DataFrame(
        {"verdict_date": [1, 2, 2, 2], "gate_code": ["a", "a", "b", "a"], "subject": ["demand:3", "demand:3", "demand:3", "demand:4"],
         "is_passed": [False, True, False, False]}
    )  # fmt: skip
    assert failed_gates(rows, "demand", "3") == ["b"]
    assert failed_gates(rows, "demand", "5") == []


class Registry:
    """A registry of some versions."""

    def __init__(self, *versions: str) -> None:
        self.held = [SimpleNamespace(version=v) for v in versions]

    def get_version(self, name: str, version: str) -> None:
        raise RefusedError(f"there is no version {version}", where=name)

    def versions(self, name: str) -> list[SimpleNamespace]:
        if not self.held:
            raise RefusedError("there is no model registry yet")
        return self.held


@pytest.mark.parametrize(
    ("registry", "todo"),
    [(Registry("3", "4"), "To do: use one of 3, 4."), (Registry(), "the nightly run makes the first version")],
)
@pytest.mark.parametrize("decision", ["promote", "reject"])
def test_an_unknown_version_is_told_with_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry, todo: str, decision: str
) -> None:
    monkeypatch.setattr("aios_assets.cli_model._tracking", lambda: registry)
    code, text = call(decision, "99", "--reason", "better")
    assert code == 1 and "there is no version 99 (demand)" in text and todo in text
