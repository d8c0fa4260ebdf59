"""The lake: Delta tables on disk, each with one writer at a time, checked on the way in and verified on the way out.

A write is acknowledged (`Commit` is returned) only when data files, commit and journal are synced. Writing the same rows
again commits nothing, so a rerun, a night and a backfill leave the same bytes.
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import ConflictError, UsageError
from aios_assets.contracts.registry import table as contract_of
from aios_assets.contracts.table import Table
from aios_assets.resources import lake_log
from aios_assets.resources.lake_files import (
    DataFile,
    in_parts,
    newest_files,
    sync_folder,
    verify_file,
    write_frame,
)
from aios_assets.resources.lake_journal import Entry, Journal, commit_name
from aios_assets.resources.lake_plan import PART_ROWS, Plan, plan_append, plan_full, plan_window, plans_full, scan_files
from aios_assets.resources.lake_schema import check_window, conform, content_digest
from aios_assets.resources.lake_write import commit_files, create_table, mirror_files, widen_table
from aios_assets.resources.locks import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

# What cannot be derived from anything else is kept twice: received bytes, who delivered them, decisions, and what a model
# was promoted on.
MIRRORED = frozenset(
    {
        "raw_edi__documents",
        "raw_edi__deliveries",
        "raw_edi__releases",
        "mon_retrain_requests",
        "mon_deployments",
        "mon_promotion_verdicts",
        "mon_backtest_scores",
    }
)
_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Commit:
    """What one write did.

    Attributes:
        table: its name.
        version: Delta version afterwards.
        previous_version: version before; equal to `version` when nothing new was committed.
        rows_in: rows given.
        rows_written: rows new to the table (append), or rows of the window or table written.
        rows_unchanged: rows that were there already.
        files: data files added.
    """

    table: str
    version: int
    previous_version: int
    rows_in: int
    rows_written: int
    rows_unchanged: int
    files: int

    @property
    def is_new(self) -> bool:
        """Whether anything was committed."""
        return self.version != self.previous_version


class Lake:
    """Delta tables below one folder, each in the folder of its name."""

    def __init__(self, root: Path, *, lock_timeout_s: float = 120.0, mirror_root: Path | None = None) -> None:
        """Name the lake; nothing is read or made yet.

        Args:
            root: folder of the lake; made at the first write.
            lock_timeout_s: seconds a writer waits for another one.
            mirror_root: where the second copy of what cannot be derived is kept; best on another disk.
        """
        self.root = Path(root)
        self.lock_timeout_s = lock_timeout_s
        self.mirror_root = mirror_root or self.root / "_aios" / "mirror"
        self.journal = Journal(self.root)
        self._verified: dict[Path, tuple[int, int]] = {}
        self._snapshots: dict[str, tuple[tuple[int, int], list[Entry]]] = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def folder(self, table: Table | str) -> Path:
        """The folder of a table."""
        return self.root / _named(table).name

    def exists(self, table: Table | str) -> bool:
        """Whether the table was ever committed to."""
        return self.version(table) >= 0

    def version(self, table: Table | str) -> int:
        """The newest Delta version; -1 when there is no table."""
        return self.snapshot(table).version

    def snapshot(self, table: Table | str, version: int | None = None) -> lake_log.Snapshot:
        """The table's live files at `version` (default: newest).

        Raises:
            IntegrityError: the log is not what was acknowledged.
            UsageError: there is no such version.
        """
        name = _named(table).name
        entries = self._entries(name)
        if version is not None:
            if not 0 <= version < len(entries):
                raise UsageError(f"there is no version {version}", where=name, todo=f"use 0 to {len(entries) - 1}")
            entries = entries[: version + 1]
        return lake_log.replay(entries)

    def files(self, table: Table | str, version: int | None = None) -> tuple[DataFile, ...]:
        """Live data files with rows, partition and limits."""
        return self.snapshot(table, version).files

    def file_uris(self, table: Table | str, version: int | None = None) -> list[str]:
        """Absolute paths of the live data files: what DuckDB and polars read."""
        folder = self.folder(table).absolute()
        return [str(folder / f.path) for f in self.files(table, version)]

    def count(self, table: Table | str) -> int:
        """Rows, from the statistics of the log."""
        return sum(f.rows for f in self.files(table))

    def scan(
        self, table: Table | str, *, columns: list[str] | None = None, version: int | None = None, verify: bool = True
    ) -> pl.LazyFrame:
        """The table as a lazy frame in contract order; empty when there is no table yet.

        Args:
            table: contract or name.
            columns: columns wanted (default all).
            version: Delta version (default newest).
            verify: compare every file with its SHA-256 first, once per process and file.

        Raises:
            IntegrityError: a file is missing or changed.
        """
        contract = _named(table)
        files = self.files(contract, version)
        if verify:
            self._verify(contract, files)
        frame = scan_files(contract, self.folder(contract), files)
        return frame.select(columns) if columns is not None else frame

    def scan_parts(self, table: Table | str, *, newest_rows: int | None = None) -> list[pl.LazyFrame]:
        """The table as lazy frames of some files each, to be looked at one after the other; at least one.

        Args:
            table: contract or name.
            newest_rows: only files that may hold one of so many newest rows by the known clock, as the log's limits tell.

        Raises:
            IntegrityError: a file is missing or changed.
        """
        contract = _named(table)
        files = self.files(contract)
        if newest_rows is not None:
            files = newest_files(files, contract.known_clock, newest_rows)
        self._verify(contract, files)
        return [scan_files(contract, self.folder(contract), part) for part in in_parts(files, PART_ROWS)]

    def read(
        self,
        table: Table | str,
        *,
        columns: list[str] | None = None,
        where: pl.Expr | None = None,
        version: int | None = None,
        verify: bool = True,
    ) -> pl.DataFrame:
        """The table as a frame; see `scan`. `where` filters before columns are chosen."""
        frame = self.scan(table, version=version, verify=verify)
        if where is not None:
            frame = frame.filter(where)
        if columns is not None:
            frame = frame.select(columns)
        return frame.collect()

    def verify(self, *tables: Table | str) -> int:
        """Verify every live file of the tables named (default: all) afresh, from disk; returns the number of files.

        Raises:
            IntegrityError: the first file or commit that is not what was written.
        """
        checked = 0
        for name in tables or tuple(self.journal.tables()):
            contract = _named(name)
            for file in self.files(contract):
                verify_file(self.folder(contract), file, contract.name)
                checked += 1
        return checked

    def content_hash(self, table: Table | str, version: int | None = None) -> str:
        """SHA-256 over all rows in key order: independent of files, versions and order of arrival."""
        contract = _named(table)
        blobs = [c.name for c in contract.columns if c.type == "bytes"]
        if not blobs:
            return content_digest(contract, self.read(contract, version=version))
        # Whole documents are replaced by their digests file by file: a store of many gigabytes is never in memory.
        files = self.files(contract, version)
        self._verify(contract, files)
        parts = [self._digested(contract, file, blobs) for file in files]
        return content_digest(contract, pl.concat(parts) if parts else contract.empty())

    def _digested(self, contract: Table, file: DataFile, blobs: list[str]) -> pl.DataFrame:
        import hashlib

        frame = scan_files(contract, self.folder(contract), (file,)).collect()
        return frame.with_columns(
            pl.Series(
                name, [None if v is None else hashlib.sha256(v).digest() for v in frame.get_column(name)], pl.Binary
            )
            for name in blobs
        )

    # -- writing ---------------------------------------------------------------------------------------------------

    def create_missing(self, tables: Iterable[Table]) -> list[str]:
        """Create every table that is not there yet, empty; returns the names created."""
        made: list[str] = []
        for contract in tables:
            if not self.exists(contract):
                with self._lock(contract):
                    if self._open(contract).version < 0:
                        self._create(contract)
                        made.append(contract.name)
        return made

    def write(
        self,
        table: Table | str,
        frame: pl.DataFrame,
        *,
        window: tuple[date, date] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Commit:
        """Write rows in the contract's mode: append (missing keys only), window (replace the window), full (replace all).

        Args:
            table: contract or name.
            frame: rows with exactly the contract's columns.
            window: half-open stretch of `table.window` that the rows replace; only for window tables, and needed there.
            metadata: figures to keep in the commit (no instants of processing: they would differ between reruns).

        Returns:
            What was done. Same rows again: nothing, at the same version.

        Raises:
            ContractError: the frame breaks the contract; names column and count.
            ConflictError: another writer held the table too long.
            IntegrityError: the stored table is damaged.
        """
        contract = _named(table)
        rows = conform(contract, frame)
        check_window(contract, rows, window)
        with self._lock(contract):
            for attempt in range(_ATTEMPTS):
                before = self._open(contract)
                if before.version < 0:
                    before = self._create(contract)
                plan = self._plan(contract, before, rows, window)
                if plan.is_empty:
                    return _commit(contract, before.version, before.version, rows, plan, 0)
                try:
                    version, files = self._apply(contract, before, [plan], metadata or {})
                except ConflictError:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    time.sleep(random.SystemRandom().uniform(0.05, 0.2) * 2**attempt)
                    continue
                return _commit(contract, before.version, version, rows, plan, files)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def write_parts(
        self,
        table: Table | str,
        parts: Iterable[tuple[tuple[date, date], pl.DataFrame]],
        *,
        metadata: dict[str, Any] | None = None,
    ) -> Commit:
        """Write a window of many rows part by part, in one commit: what does not fit in memory, but has to appear at once.

        A part is written, synced and forgotten before the next is asked for; the table changes with the commit after the last one. A
        writer that is stopped before it leaves the table as it was, and files of no version that `sweep` deletes. The table's lock
        is held while parts are made.

        Args:
            table: contract or name; of mode window.
            parts: half-open stretches of `table.window`, ascending, and the rows that replace each.
            metadata: as in `write`.

        Returns:
            What was done. Parts that are there already are not written again.

        Raises:
            UsageError: stretches do not ascend, or two of them change one file (give stretches that follow `partition_by`).
            ConflictError: another writer held the table too long, or committed without the lock.
            ContractError, IntegrityError: as `write`.
        """
        contract, given, written = _named(table), 0, 0

        def plans() -> Iterator[Plan]:
            nonlocal given, written
            replaced: set[str] = set()
            end: date | None = None
            for window, frame in parts:
                rows = conform(contract, frame)
                del frame
                check_window(contract, rows, window)
                plan = self._plan(contract, before, rows, window)
                if (end is not None and window[0] < end) or replaced & {f.path for f in plan.removed}:
                    raise UsageError(
                        f"part {window[0]} to {window[1]} touches what an earlier part wrote", where=contract.name,
                        todo="give parts that ascend and follow the table's partitions",
                    )  # fmt: skip
                end, given, written = window[1], given + rows.height, written + plan.new_rows
                replaced |= {f.path for f in plan.removed}
                del rows
                yield plan
                del plan

        with self._lock(contract):
            before = self._open(contract)
            if before.version < 0:
                before = self._create(contract)
            version, files = self._apply(contract, before, plans(), metadata or {})
        return Commit(contract.name, version, before.version, given, written, given - written, files)

    def write_ordered(self, table: Table | str, parts: Iterable[pl.DataFrame]) -> Commit:
        """`write` of a full table without partitions, of more rows than memory holds: parts ascend by key, each is written and forgotten.

        Args:
            table: contract or name; of mode full.
            parts: all rows of the table.

        Returns:
            What was done. The rows that are there already: nothing, at the same version.

        Raises:
            UsageError: another mode, or partitions.
            ContractError: parts do not ascend; and as `write`.
            ConflictError, IntegrityError: as `write`.
        """
        contract, given = _named(table), 0
        if contract.write != "full" or contract.partition_by:
            raise UsageError(
                "only a full table without partitions is written in the order of its key", where=contract.name
            )

        def conformed() -> Iterator[pl.DataFrame]:
            nonlocal given
            for part in parts:
                rows = conform(contract, part)
                given += rows.height
                yield rows

        with self._lock(contract):
            before = self._open(contract)
            if before.version < 0:
                before = self._create(contract)
            self._verify(contract, before.files)
            plans = plans_full(contract, self.folder(contract), before.files, conformed())
            version, files = self._apply(contract, before, plans, {})
        written = given if version != before.version else 0
        return Commit(contract.name, version, before.version, given, written, given - written, files)

    def drop(self, table: Table | str) -> None:
        """Delete a table with its journal; for rebuilds. Tables that cannot be derived are refused.

        Raises:
            UsageError: the table is kept twice because nothing can bring it back.
        """
        contract = _named(table)
        if contract.name in MIRRORED:
            raise UsageError("this table cannot be derived from anything and is not dropped", where=contract.name)
        with self._lock(contract):
            self.journal.forget(contract.name)
            if self.folder(contract).exists():
                shutil.rmtree(self.folder(contract))
                sync_folder(self.root)
            self._snapshots.pop(contract.name, None)

    def sweep(self, table: Table | str, keep_versions: int = 30) -> int:
        """Delete data files that none of the newest `keep_versions` versions needs; returns how many.

        Versions decide, never the clock: a wrong clock cannot make a needed file look old.
        """
        contract = _named(table)
        folder = self.folder(contract)
        with self._lock(contract):
            self._open(contract)
            entries = self._entries(contract.name)
            needed: set[str] = set()
            for last in range(max(0, len(entries) - keep_versions), len(entries)):
                needed |= {f.path for f in lake_log.replay(entries[: last + 1]).files}
            stale = [p for p in folder.rglob("*.parquet") if "_delta_log" not in p.parts]
            stale = [p for p in stale if p.relative_to(folder).as_posix() not in needed]
            for path in stale:
                path.unlink()
        return len(stale)

    def forget_cached(self) -> None:
        """Forget what was verified and read so far: after a repair everything is looked at afresh."""
        self._verified.clear()
        self._snapshots.clear()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _lock(self, contract: Table) -> Any:
        path = self.root / "_aios" / "locks" / f"{contract.name}.lock"
        return file_lock(path, f"write {contract.name}", timeout_s=self.lock_timeout_s)

    def _entries(self, name: str) -> list[Entry]:
        """Acknowledged commits; adopts what a stopped writer left, unless a writer is at work."""
        newest = max(lake_log.log_versions(self.root / name), default=-1)
        entries = self._journalled(name)
        if newest >= len(entries):
            try:
                with file_lock(self.root / "_aios" / "locks" / f"{name}.lock", f"settle {name}", timeout_s=0):
                    lake_log.settle(name, self.root / name, self.journal)
            except ConflictError:
                return entries
            entries = self._journalled(name)
        lake_log.check_log(name, self.root / name, entries)
        return entries

    def _journalled(self, name: str) -> list[Entry]:
        path = self.journal.path(name)
        if not path.exists():
            return []
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._snapshots.get(name)
        if known is None or known[0] != stamp:
            known = (stamp, self.journal.entries(name))
            self._snapshots[name] = known
        return known[1]

    def _open(self, contract: Table) -> lake_log.Snapshot:
        """The newest snapshot, for the holder of the table's lock."""
        lake_log.settle(contract.name, self.folder(contract), self.journal)
        entries = self._journalled(contract.name)
        lake_log.check_log(contract.name, self.folder(contract), entries)
        return lake_log.replay(entries)

    def _verify(self, contract: Table, files: Iterable[DataFile]) -> None:
        folder = self.folder(contract)
        for file in files:
            path = folder / file.path
            try:
                stat = path.stat()
            except FileNotFoundError:
                stat = None
            if stat is None or self._verified.get(path) != (stat.st_mtime_ns, stat.st_size):
                verify_file(folder, file, contract.name)
                stat = path.stat()
                self._verified[path] = (stat.st_mtime_ns, stat.st_size)

    def _create(self, contract: Table) -> lake_log.Snapshot:
        create_table(contract, self.folder(contract), self.root)
        self._acknowledge(contract, 0)
        return self._open(contract)

    def _plan(
        self, contract: Table, before: lake_log.Snapshot, rows: pl.DataFrame, window: tuple[date, date] | None
    ) -> Plan:
        folder = self.folder(contract)
        # What is about to be compared decides what is written, so it has to be what was written before.
        self._verify(contract, before.files)
        if contract.write == "append":
            return plan_append(contract, folder, before.files, rows)
        if contract.write == "window" and window is not None:
            return plan_window(contract, folder, before.files, rows, window)
        return plan_full(contract, folder, before.files, rows)

    def _apply(
        self, contract: Table, before: lake_log.Snapshot, plans: Iterable[Plan], metadata: dict[str, Any]
    ) -> tuple[int, int]:
        """Write the files of the plans and commit them together; returns version and files."""
        folder = self.folder(contract)
        version = before.version
        added: list[DataFile] = []
        removed: list[DataFile] = []
        for plan in plans:
            if plan.is_empty:
                continue
            if version == before.version:
                version += 1
                if widen_table(contract, folder):
                    self._acknowledge(contract, version)
                    version += 1
            new = write_frame(folder, contract, plan.rows, version, len(added)) if plan.rows.height else []
            if contract.name in MIRRORED:
                mirror_files(contract, folder, self.mirror_root, new)
            added += new
            removed += plan.removed
            del plan  # its rows are on disk: the next part is made without them
        if added or removed:
            commit_files(contract, folder, version, added, removed, metadata)
            self._acknowledge(contract, version)
        return version, len(added)

    def _acknowledge(self, contract: Table, version: int) -> None:
        lake_log.sync_commit(self.folder(contract), version)
        content = (self.folder(contract) / "_delta_log" / commit_name(version)).read_bytes()
        self.journal.append(contract.name, version, content)


def _named(table: Table | str) -> Table:
    return contract_of(table) if isinstance(table, str) else table


def _commit(contract: Table, before: int, after: int, rows: pl.DataFrame, plan: Plan, files: int) -> Commit:
    written = plan.new_rows
    return Commit(contract.name, after, before, rows.height, written, rows.height - written, files)
