"""Nights, a backfill as one run, a single day again, and a run that was killed: the same bytes each time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.e2e.conftest import Home

pytestmark = pytest.mark.slow
LATER_NIGHTS = 2
KILLS = int(os.environ.get("AIOS_TEST_KILLS", "2"))


@dataclass(frozen=True, slots=True)
class Nights:
    """A home some nights after its first one, what its second night left, and how long that night took."""

    home: Home
    second: dict[str, str]
    seconds: float


@pytest.fixture(scope="module")
def nights(night_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """The first night's home, two nights later."""
    home = night_home.copy(tmp_path_factory.mktemp("nights") / "home")
    home.aios("sandbox", "advance", "--root", str(home.path / "sandbox"), "--days", "1")
    started = time.monotonic()
    home.aios("run")
    seconds = time.monotonic() - started
    second = home.hashes()
    for result in home.json("run", "--days", str(LATER_NIGHTS - 1))["runs"]:
        assert result["success"], result
    return Nights(home, second, seconds)


def last_day(home: Home) -> date:
    return date.fromisoformat(sorted(p.stem for p in (home.path / "nights").glob("*.json"))[-1])


def test_a_backfill_as_one_run_equals_the_nights(nights: Nights, tmp_path: Path) -> None:
    last = last_day(nights.home)
    other = Home(tmp_path / "backfill", {"AIOS_INBOX": str(nights.home.path / "sandbox" / "inbox")})
    other.aios("backfill", "--from", (last - timedelta(days=LATER_NIGHTS)).isoformat(), "--to", last.isoformat())
    one_by_one, at_once = nights.home.hashes(), other.hashes()
    assert {n for n in one_by_one if one_by_one[n] != at_once.get(n)} == set()


def test_a_single_day_again_changes_nothing(nights: Nights, tmp_path: Path) -> None:
    before = nights.home.hashes()
    copy = nights.home.copy(tmp_path / "home")
    day = (last_day(nights.home) - timedelta(days=1)).isoformat()
    (again,) = copy.json("backfill", "--from", day, "--to", day)["runs"]
    assert again["success"] and again["changed_tables"] == []  # not one new version
    assert copy.hashes() == before


def test_killed_at_any_moment_two_runs_at_once_end_as_one_with_the_same_bytes(home: Home, nights: Nights) -> None:
    home.aios("sandbox", "advance", "--root", str(home.path / "sandbox"), "--days", "1")
    for moment in range(KILLS):
        kill_after(home, nights.seconds * (moment + 0.5) / KILLS)
    command = [sys.executable, "-m", "aios_assets", "run"]
    pair = [subprocess.Popen(command, env=home.environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [(p.communicate(timeout=800)[1], p.returncode) for p in pair]
    assert sorted(code for _, code in results) in ([0, 0], [0, 75]), results
    losers = [text for text, code in results if code == 75]
    assert all("another run" in text or "holds it" in text for text in losers)
    assert home.hashes() == nights.second


def kill_after(home: Home, seconds: float) -> None:
    """Start a run in a group of its own and kill the group outright after so many seconds."""
    command = [sys.executable, "-m", "aios_assets", "run", "--force"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(command, env=home.environment(), start_new_session=True, **quiet)  # type: ignore[call-overload]
    time.sleep(seconds)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
