"""What a table holds at a version: its commit log read against the journal, and settled after a crash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aios_assets.contracts.errors import IntegrityError
from aios_assets.resources.lake_files import DataFile, make_folder, sync_file, sync_folder, verify_file
from aios_assets.resources.lake_journal import Entry, Journal, commit_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

TODO = "run `aios check` for the whole picture and `aios repair` to heal it"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One table at one version.

    Attributes:
        version: Delta version; -1 when there is no table.
        files: live data files, oldest first.
        metadata: custom metadata of the newest commit.
    """

    version: int
    files: tuple[DataFile, ...]
    metadata: dict[str, Any]


def log_versions(folder: Path) -> dict[int, Path]:
    """The commit files of the table in `folder`, by version."""
    log = folder / "_delta_log"
    if not log.is_dir():
        return {}
    return {int(p.stem): p for p in log.glob("*.json") if p.stem.isdigit() and len(p.stem) == 20}


def replay(entries: Iterable[Entry]) -> Snapshot:
    """The snapshot after the commits `entries`, which start at version 0."""
    live: dict[str, DataFile] = {}
    version = -1
    metadata: dict[str, Any] = {}
    for entry in entries:
        version, metadata = entry.version, {}
        for action in entry.actions:
            if "remove" in action:
                live.pop(str(action["remove"]["path"]), None)  # type: ignore[index]
            elif "add" in action:
                file = _data_file(action["add"])
                live[file.path] = file
            elif "commitInfo" in action:
                metadata = dict(action["commitInfo"])  # type: ignore[call-overload]
    return Snapshot(version, tuple(live.values()), metadata)


def _data_file(add: Any) -> DataFile:
    from urllib.parse import unquote

    stats = json.loads(add.get("stats") or "{}")
    return DataFile(
        unquote(add["path"]), add["size"], stats.get("numRecords", -1), dict(add.get("partitionValues") or {}),
        stats.get("minValues") or {}, stats.get("maxValues") or {},
    )  # fmt: skip


def parsed(content: bytes) -> bool:
    """Whether a commit file is whole: at least one action, and every line a JSON object."""
    lines = content.splitlines()
    try:
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        return False


def check_log(table: str, folder: Path, entries: Sequence[Entry]) -> None:
    """Raise unless every acknowledged commit is in the log with its length.

    Raises:
        IntegrityError: the folder or a commit file is gone, or has another length.
    """
    have = log_versions(folder)
    if entries and not have:
        raise IntegrityError("the table's folder or commit log is gone", where=table, todo=TODO)
    for entry in entries:
        path = have.get(entry.version)
        if path is None:
            raise IntegrityError("a commit is missing", where=f"{table}: {commit_name(entry.version)}", todo=TODO)
        if path.stat().st_size != len(entry.commit):
            raise IntegrityError(
                "a commit has another length than was acknowledged", where=f"{table}: {path.name}", todo=TODO
            )  # fmt: skip


def settle(table: str, folder: Path, journal: Journal) -> list[str]:
    """Adopt commits that became durable before their acknowledgement, and move aside a torn one that never was acknowledged.

    The caller holds the table's lock.

    Returns:
        What was done, one line each; empty when there was nothing to do.
    """
    known = len(journal.entries(table))
    done: list[str] = []
    have = log_versions(folder)
    for version in sorted(v for v in have if v >= known):
        content = have[version].read_bytes()
        if version != known or not parsed(content) or not _adds_intact(table, folder, version, content):
            done.append(_move_aside(table, have[version], journal))
            continue
        sync_commit(folder, version)
        journal.append(table, version, content)
        known += 1
        done.append(f"{table}: adopted commit {version}, written but not acknowledged before a stop")
    return done


def _adds_intact(table: str, folder: Path, version: int, content: bytes) -> bool:
    try:
        for action in Entry(version, content).actions:
            if "add" in action:
                verify_file(folder, _data_file(action["add"]), table)
                sync_file(folder / _data_file(action["add"]).path)
    except IntegrityError:
        return False
    return True


def _move_aside(table: str, path: Path, journal: Journal) -> str:
    aside = journal.root / "_aios" / "aside" / table
    make_folder(aside, journal.root)
    number = len(list(aside.iterdir()))
    path.replace(aside / f"{number:04d}-{path.name}")
    sync_folder(aside)
    sync_folder(path.parent)
    return f"{table}: moved aside torn commit {path.name}, which was never acknowledged"


def sync_commit(folder: Path, version: int) -> None:
    """Make commit `version` and everything beside it in the log durable."""
    log = folder / "_delta_log"
    sync_file(log / commit_name(version))
    for checkpoint in (*log.glob(f"{version:020d}.checkpoint*.parquet"), log / "_last_checkpoint"):
        if checkpoint.exists():
            sync_file(checkpoint)
    for directory in (log, folder, folder.parent):
        sync_folder(directory)
