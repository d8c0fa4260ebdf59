"""Files of `aios edi`: which are meant, their bytes a stretch at a time, and the memory that reading them takes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.resources.lake_files import put_durably

if TYPE_CHECKING:
    import polars as pl

    from aios_assets.edi.source import Source

Unreadable = list[tuple[Path, BadInputError]]
READ_AT_ONCE = 64 << 20
SMALL_FILE = 1 << 20
# Commands hold less of a file at a time than a reading into memory, whose facts outweigh any stretch.
STRETCH = 8 << 20


def walk(paths: list[Path]) -> list[Path]:
    """Files named, and files in folders named, sorted within each folder."""
    out: list[Path] = []
    for path in paths:
        if path.is_dir():
            out.extend(sorted(p for p in path.rglob("*") if _is_document(p) and not p.name.startswith(".")))
        elif path.is_file():
            out.append(path)
        elif path.exists():
            raise UsageError(
                "this is a pipe or a device, and a document is read twice",
                where=str(path),
                todo="save it as a file and name that",
            )
        else:
            raise UsageError("there is no such file or folder", where=str(path), todo="correct the path")
    if not out:
        raise UsageError(
            "no file was found", where=", ".join(map(str, paths)), todo="name a folder that holds documents"
        )
    return out


def _is_document(path: Path) -> bool:
    """Whether something in a folder is a file, or a link that leads nowhere: that one is told of when it is opened."""
    return path.is_file() or (path.is_symlink() and not path.exists())


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say which file cannot be read."""
    try:
        yield
    except OSError as error:
        raise BadInputError(
            f"the file cannot be read: {error.strerror}", where=str(path), todo="correct the path or its permissions"
        ) from error


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Have a folder to write into, and say so where it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the folder cannot be made: {error.strerror}", where=str(folder), todo="name another folder"
        ) from error
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadInputError(
            f"it cannot be written: {error.strerror}",
            where=str(error.filename or folder),
            todo="make room there, or correct its permissions",
        ) from error


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A hidden file to write, that takes the place of the target whole and synced, or not at all, whoever else writes there."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def put(target: Path, content: bytes) -> bool:
    """Write a file; one that holds these bytes is left as it is, so that nobody takes it for a new one.

    Returns:
        whether other bytes were there.
    """
    there = target.read_bytes() if target.is_file() else None
    if there != content:
        put_durably(target, content)
    return there not in (None, content)


def read_file(path: Path) -> bytes:
    with reading(path):
        return path.read_bytes()


def digest_of(path: Path) -> str:
    """SHA-256 of a file, read a stretch at a time."""
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def document_rows(files: dict[str, Path], *, as_they_came: bool = False) -> pl.DataFrame:
    """Documents as `read_sources` wants them; the clock is fixed, so that a check of the same bytes is the same.

    Args:
        files: path by SHA-256.
        as_they_came: whether each is known from its modification time, as documents of an inbox are.
    """
    import polars as pl

    at = [datetime(2000, 1, 1, tzinfo=UTC)] * len(files)
    if as_they_came:
        at = [datetime.fromtimestamp(files[digest].stat().st_mtime, UTC) for digest in sorted(files)]
    return pl.DataFrame(
        {"document_id": sorted(files), "available_at_utc": at},
        schema={"document_id": pl.String, "available_at_utc": pl.Datetime("us", "UTC")},
    )


def contents_of(files: dict[str, Path]) -> Iterator[Source]:
    """The bytes of each document; of a large file only the stretch that is looked at.

    Raises:
        BadInputError: a file is not what it was when its SHA-256 was taken: a writer is still at it.
    """
    from aios_assets.edi.source import FileBytes

    largest = 0
    for digest in sorted(files):
        path = files[digest]
        with reading(path):
            before = state_of(path)
            if before[0] <= SMALL_FILE:
                content = path.read_bytes()
                changed = hashlib.sha256(content).hexdigest() != digest
                if not changed:
                    yield content
            else:
                with FileBytes(path) as source:
                    yield source
                changed = state_of(path) != before
        if changed:
            raise BadInputError("the file changed while it was read", where=str(path), todo="wait until it is complete")
        largest = max(largest, before[0])
    if largest > STRETCH:
        give_back_freed_memory()


def state_of(path: Path) -> tuple[int, int]:
    """Size of a file, and when it was last written."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def keep_freed_memory() -> None:
    """Let the allocators keep what was freed for the next stretch: fresh pages cost a third of the reading.

    Works before polars is loaded, on Linux; elsewhere nothing is lost but speed.
    """
    import ctypes

    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:1500,muzzy_decay_ms:1500")
    tune = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if tune is not None:
        trim_threshold, mmap_threshold = -1, -3
        tune(trim_threshold, 256 << 20)
        tune(mmap_threshold, 64 << 20)


def give_back_freed_memory() -> None:
    """Stretches are over: verdicts on a large document, which come next, may want as much for themselves."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def digests_of(files: list[Path], unreadable: Unreadable) -> Iterator[tuple[Path, str, int]]:
    """Path, SHA-256 and size of each file that can be read.

    Args:
        files: what to read.
        unreadable: takes what cannot be read, and why.
    """
    for path in files:
        try:
            with reading(path):
                found = path, digest_of(path), path.stat().st_size
        except BadInputError as error:
            unreadable.append((path, error))
            continue
        yield found


def in_batches(files: list[Path], unreadable: Unreadable) -> Iterator[list[tuple[str, str]]]:
    """Paths and digests of files, grouped so that about `READ_AT_ONCE` bytes are held at a time; see `digests_of`."""
    some: list[tuple[str, str]] = []
    size = 0
    for path, digest, own in digests_of(files, unreadable):
        if some and size + own > READ_AT_ONCE:
            yield some
            some, size = [], 0
        some.append((str(path), digest))
        size += own
    if some:
        yield some


def printable(text: str) -> str:
    """A name as one line of print: what is no character, or would move the cursor, is written as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
