"""Is the lake what was written, and how is it healed: the work behind `aios check` and `aios repair`.

Every commit is compared with the journal, every data file with the SHA-256 in its name, every received document with its
own, and what was read with what was received. Damage is named by table and file with what to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aios_assets.contracts.errors import IntegrityError
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.lake import MIRRORED, Lake
from aios_assets.resources.lake_files import digest_of, make_folder, put_durably, sync_folder
from aios_assets.resources.lake_journal import Entry, commit_name
from aios_assets.resources.lake_log import log_versions, parsed, replay
from aios_assets.resources.locks import file_lock

if TYPE_CHECKING:
    from aios_assets.resources.lake_files import DataFile

DOCUMENTS = "raw_edi__documents"


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written.

    Attributes:
        table: table concerned.
        place: file, relative to the lake.
        what: plain words.
        todo: what heals it.
        code: journal, log, file, mirror, content, reconcile.
    """

    table: str
    place: str
    what: str
    todo: str
    code: str

    def line(self) -> str:
        """One line for a person."""
        return f"{self.table}: {self.what} ({self.place}). To do: {self.todo}."


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Attributes:
        found: damage at the start.
        restored: files written back from a second copy or the journal.
        dropped: derived tables that were dropped and are to be rebuilt.
        left: damage that remains.
    """

    found: list[Damage]
    restored: list[str]
    dropped: list[str]
    left: list[Damage]


def check_lake(lake: Lake, tables: Sequence[str] | None = None, *, contents: bool = True) -> list[Damage]:
    """Everything that is not as it was written; empty when the lake is intact.

    Args:
        lake: the lake.
        tables: tables to look at; all when None.
        contents: also read every received document and compare it with its SHA-256, and reconcile documents with what was read.
    """
    names = sorted(set(lake.journal.tables()) | _folders(lake)) if tables is None else list(tables)
    found = [
        Damage(name, name, "a rebuild was begun and not finished", "run `aios rebuild`", "rebuild")
        for name in pending_rebuild(lake)
        if not lake.journal.path(name).exists()
    ]
    for name in names:
        found += _check_journal(lake, name)
        found += _check_log(lake, name)
        found += _check_files(lake, name)
    if contents and not found:
        if DOCUMENTS in names:
            found += _check_documents(lake)
        if tables is None:
            found += reconcile(lake)
    return found


def _folders(lake: Lake) -> set[str]:
    if not lake.root.is_dir():
        return set()
    return {p.parent.name for p in lake.root.glob("*/_delta_log")}


def _place(lake: Lake, path: Path) -> str:
    return path.relative_to(lake.root).as_posix() if path.is_relative_to(lake.root) else str(path)


def _check_journal(lake: Lake, name: str) -> list[Damage]:
    _, damaged = lake.journal.scan(name)
    place = _place(lake, lake.journal.path(name))
    return [
        Damage(name, f"{place}, line {line}", "a line of the commit journal is damaged", "run `aios repair`", "journal")
        for line in damaged
    ]


def _check_log(lake: Lake, name: str) -> list[Damage]:
    """Every acknowledged commit is in the log, byte for byte; nothing torn lies after it."""
    entries, damaged = lake.journal.scan(name)
    have = log_versions(lake.root / name)
    if entries and not have:
        what = "the table's folder is gone" if not (lake.root / name).is_dir() else "the commit log is gone"
        return [Damage(name, name, what, _todo(name), "log")]
    found: list[Damage] = []
    for entry in entries:
        place = f"{name}/_delta_log/{commit_name(entry.version)}"
        path = have.get(entry.version)
        if path is None:
            found.append(Damage(name, place, "a commit is missing", "run `aios repair`", "log"))
        elif (content := path.read_bytes()) != entry.commit:
            what = "the commit file has zero length" if not content else "the commit file is not what was acknowledged"
            found.append(Damage(name, place, what, "run `aios repair`", "log"))
    known = len(entries) + len(damaged)
    for version in sorted(v for v in have if v >= known):
        if not parsed(have[version].read_bytes()):
            what = "a commit that was never acknowledged is torn"
            place = f"{name}/_delta_log/{commit_name(version)}"
            found.append(Damage(name, place, what, "run `aios repair`, which moves it aside", "log"))
    if not found and not damaged and entries and not _delta_agrees(lake, name, entries):
        what = "Delta reads other files from the log than its commits state: a checkpoint is damaged"
        found.append(Damage(name, f"{name}/_delta_log", what, "run `aios repair`, which removes checkpoints", "log"))
    return found


def _delta_agrees(lake: Lake, name: str, entries: Sequence[Entry]) -> bool:
    """Whether delta-rs, with its checkpoints, sees the version and files that the commits themselves state."""
    from urllib.parse import unquote

    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    folder = (lake.root / name).absolute()
    try:
        table = DeltaTable(folder)
        seen = {unquote(uri.removeprefix("file://")) for uri in table.file_uris()}
    except (DeltaError, OSError, ValueError):
        return False
    stated = replay(entries)
    return table.version() >= stated.version and (
        table.version() > stated.version or seen == {str(folder / f.path) for f in stated.files}
    )


def _check_files(lake: Lake, name: str) -> list[Damage]:
    """Every live file holds the bytes its name promises, and so does its second copy."""
    entries, damaged = lake.journal.scan(name)
    if damaged:
        return []
    found: list[Damage] = []
    for file in replay(entries).files:
        what = _file_fault(lake.root / name / file.path, file)
        if what:
            found.append(Damage(name, f"{name}/{file.path}", what, _todo(name), "file"))
        if name in MIRRORED:
            copy = lake.mirror_root / name / file.path
            what = _file_fault(copy, file)
            if what:
                found.append(Damage(name, _place(lake, copy), f"second copy: {what}", "run `aios repair`", "mirror"))
    return found


def _file_fault(path: Path, file: DataFile) -> str:
    if not path.is_file():
        return "a data file is missing"
    if path.stat().st_size != file.size:
        return f"a data file has {path.stat().st_size:,} bytes instead of {file.size:,}"
    if file.sha256 and digest_of(path) != file.sha256:
        return "a data file holds other bytes than were written (its SHA-256 differs)"
    return ""


def _todo(name: str) -> str:
    how = "writes it back from the second copy" if name in MIRRORED else "rebuilds the table from raw"
    return f"run `aios repair`, which {how}"


def _check_documents(lake: Lake) -> list[Damage]:
    """Every stored document's bytes have the SHA-256 that is its name."""
    from aios_assets.resources.lake_plan import scan_files

    contract, found = TABLES[DOCUMENTS], []
    for file in lake.files(contract):
        frame = scan_files(contract, lake.folder(contract), (file,)).select("document_id", "content").collect()
        for document_id, content in frame.iter_rows():
            if hashlib.sha256(content).hexdigest() != document_id:
                what = f"document {document_id[:16]} has other bytes than its SHA-256 says"
                found.append(
                    Damage(DOCUMENTS, f"{DOCUMENTS}/{file.path}", what, "ask the sender for it again", "content")
                )
    return found


def reconcile(lake: Lake) -> list[Damage]:
    """In = kept + rejected: every delivery has its document, every row that points to a document points to one there is."""
    import polars as pl

    known = lake.scan(DOCUMENTS).select("document_id")
    found: list[Damage] = []
    for name, contract in TABLES.items():
        if name == DOCUMENTS or "document_id" not in contract.names or not lake.exists(name):
            continue
        pointing = lake.scan(name)
        if "error_code" in contract.names:
            pointing = pointing.filter(~pl.col("error_code").str.starts_with("inbox:"))
        pointing = pointing.select("document_id").drop_nulls().unique()
        lost = pointing.join(known, on="document_id", how="anti").select(pl.len()).collect().item()
        if lost:
            what = f"{lost:,} documents that its rows point to are not in the store"
            found.append(Damage(name, name, what, "run `aios rebuild`", "reconcile"))
    return found + _unbalanced_sets(lake)


def _unbalanced_sets(lake: Lake) -> list[Damage]:
    """The facts each set claims are the facts that are stored."""
    import polars as pl

    from aios_assets.contracts.edi_tables import EDI_FACT_TABLES

    if not lake.exists("raw_edi__sets"):
        return []
    key = ["document_id", "set_no"]
    stored = pl.concat([lake.scan(t).filter(pl.col("standard_code") != "CSV").select(key) for t in EDI_FACT_TABLES])
    stored = stored.group_by(key).agg(pl.len().alias("stored"))
    claimed = lake.scan("raw_edi__sets").group_by(key).agg(pl.col("facts").sum().alias("claimed"))
    both = claimed.join(stored, on=key, how="full", coalesce=True).with_columns(
        pl.col("claimed", "stored").fill_null(0)
    )
    off = both.filter(pl.col("claimed") != pl.col("stored")).collect()
    if off.is_empty():
        return []
    what = f"{off.height:,} sets claim {off['claimed'].sum():,} facts and have {off['stored'].sum():,}"
    return [Damage("raw_edi__sets", "raw_edi__sets", what, "run `aios rebuild`", "reconcile")]


def repair(lake: Lake, rebuild: Callable[[list[str]], object]) -> Repaired:
    """Heal what is damaged: commits from the journal, raw files from their second copy, derived tables from raw.

    Args:
        lake: the lake.
        rebuild: is given the derived tables that were dropped and builds them again from raw.
    """
    found = check_lake(lake)
    restored: list[str] = []
    lost: set[str] = set()
    for name in sorted({d.table for d in found if d.code not in ("reconcile", "rebuild")}):
        with file_lock(lake.root / "_aios" / "locks" / f"{name}.lock", f"repair {name}", timeout_s=lake.lock_timeout_s):
            restored += _heal_journal(lake, name)
            restored += _heal_log(lake, name)
            if name in MIRRORED:
                restored += _heal_from_mirror(lake, name)
            elif any(d.code == "file" for d in _check_files(lake, name)):
                lost.add(name)
    lake.forget_cached()
    lost |= {d.table for d in found if d.code in ("reconcile", "rebuild")} - MIRRORED
    if lost:
        begin_rebuild(lake, sorted(lost))
        for name in sorted(lost):
            lake.drop(name)
        rebuild(sorted(lost))
        end_rebuild(lake)
    lake.forget_cached()
    return Repaired(found, restored, sorted(lost), check_lake(lake))


def begin_rebuild(lake: Lake, names: Sequence[str]) -> None:
    """Note, durably, that `names` are about to be dropped: a rebuild that stops half-way is damage until it is done."""
    path = _pending(lake)
    make_folder(path.parent, lake.root)
    put_durably(path, json.dumps(sorted({*names, *pending_rebuild(lake)})).encode())
    sync_folder(path.parent)


def end_rebuild(lake: Lake) -> None:
    """Take the note away, if every table it names is there again."""
    lake.forget_cached()
    if all(lake.exists(name) for name in pending_rebuild(lake)):
        _pending(lake).unlink(missing_ok=True)


def pending_rebuild(lake: Lake) -> list[str]:
    """Tables that a rebuild dropped and did not bring back yet."""
    path = _pending(lake)
    return list(json.loads(path.read_text())) if path.exists() else []


def _pending(lake: Lake) -> Path:
    return lake.root / "_aios" / "rebuild.json"


def _heal_journal(lake: Lake, name: str) -> list[str]:
    """Damaged journal lines are written again from the commit log, where that is whole."""
    entries, damaged = lake.journal.scan(name)
    if not damaged:
        return []
    have = log_versions(lake.root / name)
    by_version = {e.version: e for e in entries}
    for version in (line - 1 for line in damaged):
        content = have[version].read_bytes() if version in have else b""
        if not parsed(content):
            raise IntegrityError(
                f"commit {version} is damaged in the log and in the journal", where=name,
                todo="restore the lake from a backup, or delete the table's folder and journal and run `aios rebuild`",
            )  # fmt: skip
        by_version[version] = Entry(version, content)
    lake.journal.rewrite(name, [by_version[v] for v in sorted(by_version)])
    return [f"{_place(lake, lake.journal.path(name))}: {len(damaged)} lines from the commit log"]


def _heal_log(lake: Lake, name: str) -> list[str]:
    """Missing or changed commits are written back byte for byte; a torn one after the last is moved aside."""
    from aios_assets.resources.lake_log import settle

    entries = lake.journal.entries(name)
    log = lake.root / name / "_delta_log"
    have = log_versions(lake.root / name)
    done: list[str] = []
    for entry in entries:
        path = have.get(entry.version)
        if path is None or path.read_bytes() != entry.commit:
            make_folder(log, lake.root)
            put_durably(log / commit_name(entry.version), entry.commit)
            done.append(f"{name}/_delta_log/{commit_name(entry.version)} from the journal")
    if done or not _delta_agrees(lake, name, entries):
        # A checkpoint may have been made from the damaged log; Delta reads all commits without one.
        for path in (*log.glob("*.checkpoint*.parquet"), log / "_last_checkpoint"):
            path.unlink(missing_ok=True)
        sync_folder(log)
    return done + settle(name, lake.root / name, lake.journal)


def _heal_from_mirror(lake: Lake, name: str) -> list[str]:
    """Each of the two copies heals the other."""
    done: list[str] = []
    for file in replay(lake.journal.entries(name)).files:
        mine, copy = lake.root / name / file.path, lake.mirror_root / name / file.path
        for bad, good in ((mine, copy), (copy, mine)):
            if _file_fault(bad, file) and not _file_fault(good, file):
                make_folder(bad.parent, lake.root)
                put_durably(bad, good.read_bytes())
                sync_folder(bad.parent)
                done.append(f"{_place(lake, bad)} from its other copy")
    return done


def derived_tables(lake: Lake) -> list[str]:
    """Every table of the lake that can be made again from what is kept twice."""
    return [name for name in lake.journal.tables() if name not in MIRRORED and name in TABLES]


def drop_derived(lake: Lake) -> list[str]:
    """Drop everything after raw (call `end_rebuild` when it is built again); notes about files that were never stored stay."""
    import polars as pl

    rejects = "raw_edi__rejects"
    kept = lake.read(rejects, where=pl.col("error_code").str.starts_with("inbox:")) if lake.exists(rejects) else None
    names = derived_tables(lake)
    begin_rebuild(lake, names)
    for name in names:
        lake.drop(name)
    if kept is not None and kept.height:
        lake.write(rejects, kept)
    return names
