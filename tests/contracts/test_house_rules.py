"""Rules of the house that only a test keeps: one clock, light imports, documents that name what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("aios_assets", "ml", "planning", "monitoring", "feature_repo", "sandbox")
HEAVY = ("mlflow", "feast", "evidently", "great_expectations", "sklearn", "lightgbm", "scipy", "statsforecast", "dask")


def sources(repo: Path) -> list[Path]:
    return sorted(p for room in ROOMS for p in (repo / room).rglob("*.py"))


def test_only_the_clock_asks_what_time_it_is(repo: Path) -> None:
    asks = re.compile(r"\b(datetime\.now|datetime\.utcnow|date\.today|datetime\.today|time\.time)\s*\(")
    guilty = [str(p.relative_to(repo)) for p in sources(repo) if p.name != "clock.py" and asks.search(p.read_text())]
    assert guilty == []


def test_no_exception_is_swallowed(repo: Path) -> None:
    silent = re.compile(r"except[^\n]*:\s*\n\s*pass\b")
    guilty = [str(p.relative_to(repo)) for p in sources(repo) if silent.search(p.read_text())]
    assert guilty == []


def test_every_module_says_what_it_is_for(repo: Path) -> None:
    mute = [
        str(p.relative_to(repo))
        for p in sources(repo)
        if p.read_text().strip() and not p.read_text().lstrip().startswith(('"""', 'r"""'))
    ]
    assert mute == []


def test_no_file_is_longer_than_it_should_be(repo: Path) -> None:
    allowed = {"contracts"}
    long = {
        str(p.relative_to(repo)): n
        for p in sources(repo)
        if (n := len(p.read_text().splitlines())) > 500 and p.parent.name not in allowed
    }
    assert long == {}


def test_code_location_stays_light() -> None:
    code = f"import sys, aios_assets.definitions; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_help_stays_light() -> None:
    code = f"import sys, aios_assets.cli; print([m for m in {(*HEAVY, 'dagster', 'deltalake')!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        *[
            f"docs/{n}"
            for n in (
                "edi.md",
                "sandbox.md",
                "lake.md",
                "marts.md",
                "features.md",
                "forecasting.md",
                "lead-times.md",
                "monitoring.md",
                "planning.md",
            )
        ],
    ],
)
def test_documents_name_paths_and_commands_that_exist(repo: Path, page: str) -> None:
    path = repo / page
    if not path.exists():
        pytest.skip(f"{page} is not written yet")
    text = path.read_text()
    paths = re.findall(
        r"`((?:aios_assets|ml|planning|monitoring|feature_repo|sandbox|dbt_project|docs|tests|benchmarks)/[\w./-]+)`",
        text,
    )
    missing = [p for p in paths if not (repo / p.rstrip("/")).exists()]
    makefile = (repo / "Makefile").read_text()
    targets = {
        t for t in re.findall(r"`make ([a-z-]+)", text) if not re.search(rf"^[a-z -]*\b{t}\b[a-z -]*:", makefile, re.M)
    }
    commands = set(re.findall(r"`aios ([a-z-]+)", text)) - registered_commands()
    assert (missing, targets, commands) == ([], set(), set())


def registered_commands() -> set[str]:
    import typer.main

    from aios_assets.cli import app

    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
