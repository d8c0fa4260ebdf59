"""A full disk or a missing right, told as what it is: whichever library met it first wraps it in an error of its own."""

from __future__ import annotations

import errno
import os
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

from aios_assets.contracts.errors import StorageError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
# What libraries say that keep no error number: SQLite below Dagster and MLflow, the writers of Delta.
SAID_NO_ROOM = ("No space left on device", "Disk quota exceeded", "database or disk is full")
SAID_NO_RIGHT = (
    "Permission denied",
    "Read-only file system",
    "attempt to write a readonly database",
    "unable to open database file",
)
SAID_EITHER = ("disk I/O error",)
# Below this much room SQLite's "disk I/O error" is a full disk: it grows its files by less than that.
LITTLE_ROOM_BYTES = 16_000_000


def outage_of(error: BaseException, home: Path) -> StorageError | None:
    """What kept a command from reading or writing, if it was the disk; None when it was something else.

    Args:
        error: what ended the command.
        home: folder of all data, named where no file is.

    >>> print(outage_of(OSError(errno.ENOSPC, "No space left on device", "/data/x"), Path("/data")))
    the disk is full (/data/x). To do: make room and call the same command again: what was acknowledged is safe.
    >>> outage_of(ValueError("a defect of ours"), Path("/data")) is None
    True
    >>> outage_of(ssl.SSLError(1, "handshake failed"), Path("/data")) is None
    True
    """
    for link in _chain(error):
        # The numbers of TLS count something else: its 1 is no EPERM.
        number = link.errno if isinstance(link, OSError) and not isinstance(link, ssl.SSLError) else None
        said = str(link)
        where = _place(link, home)
        if number in NO_ROOM or _says(said, SAID_NO_ROOM) or (_says(said, SAID_EITHER) and _is_nearly_full(home)):
            todo = "make room and call the same command again: what was acknowledged is safe"
            return StorageError("the disk is full", where=where, todo=todo)
        if number in NO_RIGHT or _says(said, SAID_NO_RIGHT):
            todo = "call as the user whom it belongs to, or give this one the right, then call the same command again"
            return StorageError(f"user {user_name()} may not read or write here", where=where, todo=todo)
        if _says(said, SAID_EITHER):
            todo = "look at the disk and the system's log, then call `aios check`"
            return StorageError("the disk failed", where=where, todo=todo)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those behind it, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _says(said: str, any_of: tuple[str, ...]) -> bool:
    return any(words in said for words in any_of)


def _place(error: BaseException, home: Path) -> str:
    name = error.filename if isinstance(error, OSError) else None
    return os.fspath(name) if isinstance(name, (str, os.PathLike)) else str(home)


def _is_nearly_full(home: Path) -> bool:
    try:
        return shutil.disk_usage(home).free < LITTLE_ROOM_BYTES
    except OSError:
        return False


def user_name() -> str:
    """Who calls: by the system's list of users, for a variable can say anything."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
