"""Whole nights on the tiny network, through the command line, each in a home folder of its own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aios_assets.contracts.registry import TABLES

START = "2023-01-01"


@dataclass(frozen=True, slots=True)
class Home:
    """A home folder and the environment that points to it."""

    path: Path
    extra: dict[str, str]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AIOS_HOME": str(self.path),
            "AIOS_PROFILE": "tiny",
            "AIOS_SEED": "7",
            "AIOS_START_DATE": START,
            "OMP_NUM_THREADS": "1",
            **self.extra,
        }

    def aios(self, *words: str, ok: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run `aios` with these words; fails loudly when the exit code is not one of `ok`."""
        done = subprocess.run(
            [sys.executable, "-m", "aios_assets", *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode in ok, (
            f"aios {' '.join(words)} exited {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
        )
        assert "Traceback" not in done.stderr, done.stderr[-5000:]
        return done

    def json(self, *words: str, ok: tuple[int, ...] = (0,)) -> Any:
        """The JSON a command prints."""
        return json.loads(self.aios(*words, "--json", ok=ok).stdout.strip().splitlines()[-1])

    def hashes(self, *leave_out: str) -> dict[str, str]:
        """Content hash of every table that exists."""
        from aios_assets.resources.lake import Lake

        lake = Lake(self.path / "lake")
        return {name: lake.content_hash(t) for name, t in TABLES.items() if name not in leave_out and lake.exists(t)}

    def lake(self) -> Any:
        from aios_assets.resources.lake import Lake

        return Lake(self.path / "lake")

    def copy(self, target: Path) -> Home:
        """A copy with modification times kept, for what changes a home."""
        shutil.copytree(self.path, target, symlinks=True)
        return Home(target, self.extra)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker begin with what needs no first night, while the other runs that night: it would else wait for it."""
    here = [n for n, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    first = {"test_own_folder": 0, "test_damage": 1}
    ordered = sorted((items[n] for n in here), key=lambda item: first.get(item.path.stem, len(first)))
    for n, item in zip(here, ordered, strict=True):
        items[n] = item


@pytest.fixture(scope="session")
def night_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the first night of the tiny network was run, one for all workers. Read it; copy it before you change it."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    home, done = Home(common / "night", {}), common / "night.done"
    with (common / "night.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(home.path, ignore_errors=True)
            home.path.mkdir()
            home.aios("run")
            done.touch()
    return home


@pytest.fixture
def home(night_home: Home, tmp_path: Path) -> Home:
    """A copy of the first night's home that a test may change."""
    return night_home.copy(tmp_path / "home")
