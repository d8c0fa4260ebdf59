"""Control numbers of interchanges we send: durable, without gap or repeat, also after kill -9.

A number is bound to the thing it was taken for and to the moment it was taken, so that a writer that died half-way and starts again
is given the same number and writes the same bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from aios_assets.contracts.errors import BadInputError, ConflictError, IntegrityError

LARGEST = 999_999_999
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS taken (
    name TEXT NOT NULL, purpose TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name, purpose), UNIQUE (name, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moments (
    name TEXT NOT NULL, number INTEGER NOT NULL, taken_at TEXT NOT NULL, PRIMARY KEY (name, number)
) WITHOUT ROWID;
"""


class ControlNumbers:
    """A store of number series, one per standard and pair of partners; safe for several processes at once.

    Args:
        path: SQLite file, made when it does not exist.
        wait_seconds: how long to wait for another writer.

    Raises:
        IntegrityError: the file is damaged or no such store.
    """

    def __init__(self, path: Path, *, wait_seconds: float = 30.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        try:
            self._db = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=EXTRA")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"the control-number store cannot be read: {error}", where=str(path), todo="restore it from a backup"
            ) from error

    def next(self, standard: str, ours: str, theirs: str, purpose: str, *, at: datetime | None = None) -> int:
        """The number for one interchange: the next of its series, or the one it was given before.

        Args:
            standard: X12 or EDIFACT.
            ours: our identification.
            theirs: the partner's.
            purpose: what the number is for, such as the key of the document written.
            at: the moment that is kept with a new number.
        """
        return self.take(f"{standard}|{ours}|{theirs}", [purpose], at=at)[0]

    def moment(self, standard: str, ours: str, theirs: str, purpose: str, *, otherwise: datetime) -> datetime:
        """When that number was taken; `otherwise` where that was not kept."""
        return self.moments(f"{standard}|{ours}|{theirs}", [purpose], otherwise)[0]

    def take(
        self, series: str, purposes: list[str], *, at: datetime | None = None, formerly: Sequence[str] = ()
    ) -> list[int]:
        """Numbers for several purposes in one durable transaction, ascending in the order given.

        Args:
            series: name of the series.
            purposes: what each number is for.
            at: the moment that is kept with a new number.
            formerly: what each purpose was called before; the number it was given under that name is its number.

        Raises:
            BadInputError: a purpose is named twice, or the series is used up.
            ConflictError: another writer holds the store for too long.
        """
        if len(set(purposes)) != len(purposes):
            raise BadInputError("a purpose is named twice", where=series, todo="give each document its own key")
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise ConflictError(
                "another process holds the control-number store", where=str(self._path), todo="try again"
            ) from error
        try:
            for old, new in zip(formerly, purposes, strict=False):
                self._rename(series, old, new)
            out = [self._one(series, purpose, at) for purpose in purposes]
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return out

    def _rename(self, series: str, old: str, new: str) -> None:
        self._db.execute("UPDATE OR IGNORE taken SET purpose = ? WHERE name = ? AND purpose = ?", (new, series, old))

    def _one(self, series: str, purpose: str, at: datetime | None) -> int:
        known = self._db.execute(
            "SELECT number FROM taken WHERE name = ? AND purpose = ?", (series, purpose)
        ).fetchone()
        if known is not None:
            return int(known[0])
        row = self._db.execute("SELECT last FROM series WHERE name = ?", (series,)).fetchone()
        number = (int(row[0]) if row else 0) + 1
        if number > LARGEST:
            raise BadInputError(
                "the control numbers of this partner are used up",
                where=series,
                todo="agree on a new series with the partner",
            )
        self._db.execute(
            "INSERT INTO series VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last = excluded.last", (series, number)
        )
        self._db.execute("INSERT INTO taken VALUES (?, ?, ?)", (series, purpose, number))
        if at is not None:
            self._db.execute("INSERT INTO moments VALUES (?, ?, ?)", (series, number, at.astimezone(UTC).isoformat()))
        return number

    def moments(self, series: str, purposes: list[str], otherwise: datetime) -> list[datetime]:
        """When the number of each purpose was taken; `otherwise` where that was not kept."""
        query = "SELECT taken_at FROM taken JOIN moments USING (name, number) WHERE name = ? AND purpose = ?"
        found = (self._db.execute(query, (series, purpose)).fetchone() for purpose in purposes)
        return [datetime.fromisoformat(row[0]) if row else otherwise for row in found]

    def beginning(self, series: str, start: str) -> list[tuple[int, str]]:
        """Numbers of a series whose purpose begins so, with the purpose, ascending."""
        # A stretch of the primary key: series grow for years.
        query = "SELECT number, purpose FROM taken WHERE name = ? AND purpose >= ? AND purpose < ? ORDER BY number"
        found = self._db.execute(query, (series, start, start + "\U0010ffff"))
        return [(int(n), str(p)) for n, p in found]

    def given(self, series: str) -> list[tuple[int, str]]:
        """Every number of a series with its purpose, ascending."""
        return [
            (int(n), str(p))
            for n, p in self._db.execute("SELECT number, purpose FROM taken WHERE name = ? ORDER BY number", (series,))
        ]

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def __enter__(self) -> ControlNumbers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
