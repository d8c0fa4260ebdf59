"""The lake: Delta tables on disk, each with one writer at a time, checked on the way in and verified on the way out.

A write is acknowledged (`Commit` is returned) only when data files, commit and journal are synced. Writing the same rows
again commits nothing, so a rerun, a night and a backfill leave the same bytes.
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import ConflictError, UsageError
from aios_assets.resources import lake_log
from aios_assets.resources.lake_files import DataFile, sync_folder, write_frame
from aios_assets.resources.lake_journal import commit_name
from aios_assets.resources.lake_plan import Plan, plan_append, plan_full, plan_window, plans_full
from aios_assets.resources.lake_read import LakeReader, named
from aios_assets.resources.lake_schema import check_window, conform
from aios_assets.resources.lake_write import commit_files, create_table, mirror_files, widen_table
from aios_assets.resources.locks import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from aios_assets.contracts.table import Table

# What cannot be derived from anything else is kept twice: received bytes, who delivered them, decisions, limits, and what a model
# was promoted on.
MIRRORED = frozenset(
    {
        "raw_edi__documents",
        "raw_edi__deliveries",
        "raw_edi__releases",
        "raw_telemetry__limits",
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


class Lake(LakeReader):
    """Delta tables below one folder, each in the folder of its name."""

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
        contract = named(table)
        rows = conform(contract, frame)
        check_window(contract, rows, window)
        with self._lock(contract):
            for attempt in range(_ATTEMPTS):
                before = self._ready(contract)
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
        contract, given, written = named(table), 0, 0

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
            before = self._ready(contract)
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
        contract, given = named(table), 0
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
            before = self._ready(contract)
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
        contract = named(table)
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
        contract = named(table)
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

    # -- inside ----------------------------------------------------------------------------------------------------

    def _lock(self, contract: Table) -> Any:
        path = self.root / "_aios" / "locks" / f"{contract.name}.lock"
        return file_lock(path, f"write {contract.name}", timeout_s=self.lock_timeout_s)

    def _open(self, contract: Table) -> lake_log.Snapshot:
        """The newest snapshot, for the holder of the table's lock."""
        lake_log.settle(contract.name, self.folder(contract), self.journal)
        entries = self._journalled(contract.name)
        lake_log.check_log(contract.name, self.folder(contract), entries)
        return lake_log.replay(entries)

    def _ready(self, contract: Table) -> lake_log.Snapshot:
        """The newest snapshot of a table, which is made where there is none, for the holder of its lock."""
        before = self._open(contract)
        return before if before.version >= 0 else self._create(contract)

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


def _commit(contract: Table, before: int, after: int, rows: pl.DataFrame, plan: Plan, files: int) -> Commit:
    written = plan.new_rows
    return Commit(contract.name, after, before, rows.height, written, rows.height - written, files)
