"""Advisory locks on files: one writer per table, one nightly run at a time. The kernel frees them when a process dies."""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aios_assets.contracts.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

# One run at a time writes to a home, whoever started it.
NIGHT_LOCK = "night.lock"
# Locks that this process holds now: asked for again, they would wait for themselves.
_HELD_HERE: set[Path] = set()


@contextmanager
def file_lock(path: Path, purpose: str, *, timeout_s: float = 120.0) -> Iterator[None]:
    """Hold the lock `path` while the block runs.

    Args:
        path: lock file; its folder is made.
        purpose: what the holder does, shown to whoever waits in vain.
        timeout_s: seconds to wait; 0 asks once.

    Raises:
        BusyError: another process still held it after `timeout_s`; names that process.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(handle, path, purpose, timeout_s)
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose})
        os.ftruncate(handle, 0)
        os.pwrite(handle, holder.encode(), 0)
        _HELD_HERE.add(path)
        try:
            yield
        finally:
            _HELD_HERE.discard(path)
    finally:
        os.close(handle)


def is_held_here(path: Path) -> bool:
    """Whether this process itself holds the lock."""
    return path.absolute() in _HELD_HERE


def _acquire(handle: int, path: Path, purpose: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    # Waiting times only: they decide nothing that is stored, so they need no seed.
    jitter = random.SystemRandom()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"cannot start to {purpose}: {holder_of(path)} holds it",
                    where=path.name,
                    todo="wait until that process ends, then run again",
                ) from error
            time.sleep(jitter.uniform(0.02, 0.1))


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock; asks without taking it, and needs no right to write."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def holder_of(path: Path) -> str:
    """Who wrote himself into the lock file last, as text for a person."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return f"process {said['pid']} on {said['host']} ({said['purpose']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
