"""Control numbers: no gap, no repeat, whoever dies when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aios_assets.contracts.errors import BadInputError, IntegrityError
from aios_assets.resources.control_numbers import ControlNumbers


def test_numbers_are_bound_to_their_purpose(tmp_path: Path) -> None:
    with ControlNumbers(tmp_path / "n.sqlite") as store:
        assert store.take("s", ["a", "b"]) == [1, 2]
        assert store.take("s", ["b", "c", "a"]) == [2, 3, 1]
        assert store.next("X12", "us", "them", "a") == 1
        with pytest.raises(BadInputError):
            store.take("s", ["d", "d"])
        assert store.given("s") == [(1, "a"), (2, "b"), (3, "c")]


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "n.sqlite").write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with pytest.raises(IntegrityError, match="control-number store"):
        ControlNumbers(tmp_path / "n.sqlite")


def test_two_writers_killed_again_and_again_leave_no_gap_and_no_repeat(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    code = (
        "import sys, pathlib\n"
        "from aios_assets.resources.control_numbers import ControlNumbers\n"
        "s = ControlNumbers(pathlib.Path(sys.argv[1]))\n"
        "i = 0\n"
        "while True:\n"
        "    s.take('s', [f'{sys.argv[2]} {i}', f'{sys.argv[2]} {i + 1}'])\n"
        "    i += 1\n"
    )
    for round_ in range(3):
        writers = [subprocess.Popen([sys.executable, "-c", code, str(path), f"{round_}{w}"]) for w in range(2)]
        time.sleep(0.7)
        for w in writers:
            os.kill(w.pid, signal.SIGKILL)
            w.wait()
    with ControlNumbers(path) as store:
        given = [n for n, _ in store.given("s")]
    assert len(given) > 10
    assert given == list(range(1, len(given) + 1))
