"""The clock's one rule, and locks that name their holder."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from aios_assets.contracts.errors import ConflictError
from aios_assets.resources.clock import business_cutoff, now_utc
from aios_assets.resources.locks import file_lock


def test_cutoff_is_two_in_the_morning_of_the_next_day() -> None:
    assert business_cutoff(date(2026, 1, 14), "America/New_York") == datetime(2026, 1, 15, 7, tzinfo=UTC)
    assert business_cutoff(date(2026, 7, 14), "America/New_York") == datetime(2026, 7, 15, 6, tzinfo=UTC)
    assert business_cutoff(date(2026, 7, 14), "UTC", time(0, 30)) == datetime(2026, 7, 15, 0, 30, tzinfo=UTC)


def test_cutoff_in_the_night_when_two_is_skipped_and_when_one_is_twice() -> None:
    # 2026-03-08 02:00 does not exist in New York, 2026-11-01 01:00 happens twice.
    assert business_cutoff(date(2026, 3, 7), "America/New_York") == datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert business_cutoff(date(2026, 10, 31), "America/New_York", time(1)) == datetime(2026, 11, 1, 5, tzinfo=UTC)


def test_now_is_utc() -> None:
    assert now_utc().tzinfo is UTC


def _hold(path: Path, ready: object, go: object) -> None:
    with file_lock(path, "hold it"):
        ready.set()  # type: ignore[attr-defined]
        go.wait(10)  # type: ignore[attr-defined]


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    path = tmp_path / "x.lock"
    other = context.Process(target=_hold, args=(path, ready, go))
    other.start()
    try:
        assert ready.wait(20)
        with (
            pytest.raises(ConflictError, match=rf"process {other.pid} on .*hold it"),
            file_lock(path, "y", timeout_s=0.2),
        ):
            raise AssertionError("entered a held lock")
    finally:
        go.set()
        other.join(10)
    with file_lock(path, "y", timeout_s=0.2):
        assert str(other.pid) not in path.read_text()


def test_a_killed_holder_frees_its_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "x.lock", ready, go))
    other.start()
    assert ready.wait(20)
    other.kill()
    other.join(10)
    with file_lock(tmp_path / "x.lock", "y", timeout_s=1):
        pass
