"""A second, synced record of every commit: what the lake must hold, kept apart from the tables themselves.

Delta reads a zero-length commit as an empty one, and a deleted folder as no table. The journal holds the text of every
commit of every table, so that both are noticed and a lost commit can be written back byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from aios_assets.contracts.errors import IntegrityError
from aios_assets.resources.lake_files import make_folder, sync_folder


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit as it was acknowledged.

    Attributes:
        version: Delta version.
        commit: the commit file's bytes.
    """

    version: int
    commit: bytes

    @property
    def actions(self) -> list[dict[str, object]]:
        """The Delta actions in it, in order."""
        return [json.loads(line) for line in self.commit.splitlines() if line.strip()]


def commit_name(version: int) -> str:
    """Name of the commit file in `_delta_log`."""
    return f"{version:020d}.json"


class Journal:
    """The journals of all tables below one lake root."""

    def __init__(self, root: Path) -> None:
        """Args: root: folder of the lake."""
        self.root = root
        self.folder = root / "_aios" / "journal"

    def path(self, table: str) -> Path:
        """The journal file of `table`."""
        return self.folder / f"{table}.jsonl"

    def tables(self) -> list[str]:
        """Every table that has ever been committed to and was not dropped."""
        return sorted(p.stem for p in self.folder.glob("*.jsonl")) if self.folder.is_dir() else []

    def entries(self, table: str) -> list[Entry]:
        """All commits acknowledged, oldest first. A last line that a crash cut short was never acknowledged.

        Raises:
            IntegrityError: a line that was acknowledged is damaged.
        """
        entries, damaged = self.scan(table)
        if damaged:
            raise IntegrityError(
                "the commit journal is damaged", where=f"{self.path(table)}, line {damaged[0]}", todo="run `aios repair`"
            )  # fmt: skip
        return entries

    def scan(self, table: str) -> tuple[list[Entry], list[int]]:
        """All readable entries, and the line numbers (from 1) that cannot be trusted."""
        path = self.path(table)
        if not path.exists():
            return [], []
        lines = path.read_bytes().split(b"\n")
        entries: list[Entry] = []
        damaged: list[int] = []
        # What follows the last line feed is empty, or an append that a crash cut short.
        for number, line in enumerate(lines[:-1], start=1):
            try:
                said = json.loads(line)
                commit = str(said["commit"]).encode()
                if hashlib.sha256(commit).hexdigest() != said["sha256"] or said["version"] != len(entries) + len(
                    damaged
                ):
                    raise ValueError("digest or order")
                entries.append(Entry(said["version"], commit))
            except (ValueError, KeyError, TypeError, UnicodeDecodeError):
                damaged.append(number)
        return entries, damaged

    def append(self, table: str, version: int, commit: bytes) -> None:
        """Record that commit `version` of `table` is durable. The caller holds the table's lock.

        Args:
            table: its name.
            version: Delta version.
            commit: bytes of the commit file.
        """
        make_folder(self.folder, self.root)
        path = self.path(table)
        said = {"version": version, "sha256": hashlib.sha256(commit).hexdigest(), "commit": commit.decode()}
        is_new = not path.exists()
        with path.open("ab") as out:
            whole = path.read_bytes().rfind(b"\n") + 1
            out.truncate(whole)
            out.write(json.dumps(said).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        if is_new:
            sync_folder(self.folder)

    def rewrite(self, table: str, entries: list[Entry]) -> None:
        """Replace the journal of `table` by `entries`, whole or not at all."""
        from aios_assets.resources.lake_files import put_durably

        make_folder(self.folder, self.root)
        lines = [
            {"version": e.version, "sha256": hashlib.sha256(e.commit).hexdigest(), "commit": e.commit.decode()}
            for e in entries
        ]
        put_durably(self.path(table), b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        sync_folder(self.folder)

    def forget(self, table: str) -> None:
        """Drop the journal of a table that is dropped on purpose."""
        self.path(table).unlink(missing_ok=True)
        if self.folder.is_dir():
            sync_folder(self.folder)
