"""kill -9 at random moments while writing, then the same work again: the same content as an undisturbed run."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from aios_assets.resources.lake import Lake
from aios_assets.resources.lake_check import check_lake
from tests.unit.lake.tables import APPEND, FULL, WINDOW

WORK = """
import sys
from datetime import timedelta
from pathlib import Path
from aios_assets.resources.lake import Lake
from tests.unit.lake.tables import APPEND, FULL, START, WINDOW, rows
lake = Lake(Path(sys.argv[1]), lock_timeout_s=20)
acked = open(sys.argv[2], "a", buffering=1)
print("ready", flush=True)
for n in range(int(sys.argv[3])):
    lake.write(APPEND, rows([(f"I{k}", n, float(n)) for k in range(40)]))
    lake.write(WINDOW, rows([("A", n, float(n)), ("A", n + 1, -1.0)]), window=(START + timedelta(days=n), START + timedelta(days=n + 2)))
    lake.write(FULL, rows([("A", 0, float(n))]))
    acked.write(f"{n}\\n")
"""
ROUNDS = 30


def start(root: Path, acked: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORK, str(root), str(acked), str(ROUNDS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-3000:]


def content(root: Path) -> dict[str, str]:
    lake = Lake(root)
    return {t.name: lake.content_hash(t) for t in (APPEND, WINDOW, FULL)}


@pytest.mark.slow
def test_ten_kills_end_as_an_undisturbed_run(tmp_path: Path) -> None:
    finish(start(tmp_path / "calm", tmp_path / "calm.txt"))
    moments = random.Random(7)
    root = tmp_path / "killed"
    for _ in range(10):
        process = start(root, tmp_path / "killed.txt")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.6))
        process.kill()
        process.communicate()
        lake = Lake(root)
        # What is readable between kills is whole: every acknowledged batch, no torn one, no key twice.
        for table in (APPEND, WINDOW, FULL):
            frame = lake.read(table)
            assert frame.select(table.key).is_duplicated().sum() == 0
        assert lake.count(APPEND) % 40 == 0
    finish(start(root, tmp_path / "killed.txt"))
    assert content(root) == content(tmp_path / "calm")
    assert check_lake(Lake(root)) == []
    for table in (APPEND, WINDOW, FULL):
        assert DeltaTable(root / table.name).version() == Lake(root).version(table)


def test_two_processes_at_once_end_as_one(tmp_path: Path) -> None:
    pair = [start(tmp_path / "both", tmp_path / f"{n}.txt") for n in range(2)]
    for process in pair:
        finish(process)
    finish(start(tmp_path / "one", tmp_path / "one.txt"))
    lake = Lake(tmp_path / "both")
    assert lake.content_hash(APPEND) == Lake(tmp_path / "one").content_hash(APPEND)
    assert lake.read(APPEND).select(APPEND.key).is_duplicated().sum() == 0
    assert check_lake(lake) == []
