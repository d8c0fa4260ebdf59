"""Reading the lake: snapshots of acknowledged commits, files verified before they are read, content hashes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.contracts.errors import ConflictError, UsageError
from aios_assets.contracts.registry import table as contract_of
from aios_assets.contracts.table import Table
from aios_assets.resources import lake_log
from aios_assets.resources.lake_files import DataFile, in_parts, newest_files, verify_file
from aios_assets.resources.lake_journal import Entry, Journal
from aios_assets.resources.lake_plan import PART_ROWS, scan_files
from aios_assets.resources.lake_schema import content_digest
from aios_assets.resources.locks import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterable


class LakeReader:
    """Delta tables below one folder, each in the folder of its name, as they are read."""

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

    def folder(self, table: Table | str) -> Path:
        """The folder of a table."""
        return self.root / named(table).name

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
        name = named(table).name
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
        contract = named(table)
        files = self.files(contract, version)
        if verify:
            self._verify(contract, files)
        frame = scan_files(contract, self.folder(contract), files)
        return frame.select(columns) if columns is not None else frame

    def scan_parts(
        self, table: Table | str, *, newest_rows: int | None = None, version: int | None = None
    ) -> list[pl.LazyFrame]:
        """The table as lazy frames of some files each, to be looked at one after the other; at least one.

        Args:
            table: contract or name.
            newest_rows: only files that may hold one of so many newest rows by the known clock, as the log's limits tell.
            version: Delta version (default newest).

        Raises:
            IntegrityError: a file is missing or changed.
        """
        contract = named(table)
        files = self.files(contract, version)
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
            contract = named(name)
            for file in self.files(contract):
                verify_file(self.folder(contract), file, contract.name)
                checked += 1
        return checked

    def content_hash(self, table: Table | str, version: int | None = None) -> str:
        """SHA-256 over all rows in key order: independent of files, versions and order of arrival."""
        contract = named(table)
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

    def forget_cached(self) -> None:
        """Forget what was verified and read so far: after a repair everything is looked at afresh."""
        self._verified.clear()
        self._snapshots.clear()

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


def named(table: Table | str) -> Table:
    """The contract of a table, given itself or its name."""
    return contract_of(table) if isinstance(table, str) else table
