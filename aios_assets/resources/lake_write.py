"""Delta's side of a write: create a table, widen it, commit data files that are on disk already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import AiosError, ConflictError, ContractError, IntegrityError
from aios_assets.resources.lake_files import DataFile, make_folder, put_durably, stats_json, sync_folder
from aios_assets.resources.lake_journal import commit_name
from aios_assets.resources.lake_log import TODO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aios_assets.contracts.table import Table


def _delta_schema(contract: Table) -> Any:
    from deltalake import Schema

    return Schema.from_arrow(contract.empty().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)


def create_table(contract: Table, folder: Path, root: Path) -> None:
    """Make the empty Delta table of `contract`, which is its version 0."""
    from deltalake import DeltaTable

    make_folder(folder, root)
    DeltaTable.create(folder, schema=_delta_schema(contract), mode="ignore", partition_by=list(contract.partition_by))


def widen_table(contract: Table, folder: Path) -> bool:
    """Add the contract's new columns to the stored table, in a commit of their own; returns whether there were any.

    Raises:
        ContractError: the stored table has other columns or types, or lacks one that is never null.
    """
    from deltalake import DeltaTable

    stored = DeltaTable(folder)
    have = {f.name: str(f.type) for f in stored.schema().fields}
    wanted = {f.name: f for f in _delta_schema(contract).fields}
    new = [f for name, f in wanted.items() if name not in have]
    other = [name for name, kind in have.items() if name not in wanted or str(wanted[name].type) != kind]
    other += [f.name for f in new if not contract.column(f.name).nullable]
    if other:
        raise ContractError(
            f"the stored table was made by another contract: {', '.join(other)}", where=contract.name, todo="run `aios rebuild`"
        )  # fmt: skip
    if new:
        stored.alter.add_columns(new)
    return bool(new)


def commit_files(
    contract: Table,
    folder: Path,
    version: int,
    added: Sequence[DataFile],
    removed: Sequence[DataFile],
    metadata: dict[str, Any],
) -> None:
    """Commit `version`: the files `added` come in, the files `removed` go out, in one transaction.

    Raises:
        ConflictError: somebody who does not take our lock committed first.
        AiosError: Delta refused.
    """
    from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.transaction import AddAction, RemoveAction

    actions: list[Any] = [AddAction(f.path, f.size, f.partition, 0, True, stats_json(f)) for f in added]
    actions += [RemoveAction(f.path, True, 0, f.size, f.partition) for f in removed]
    try:
        stored = DeltaTable(folder)
        stored.create_write_transaction(
            actions,
            "append",
            stored.schema(),
            partition_by=list(contract.partition_by),
            commit_properties=CommitProperties(custom_metadata={"aios": metadata}, max_commit_retries=0),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False),
        )
    except CommitFailedError as error:
        raise ConflictError(
            "another program committed to the table at the same moment", where=contract.name, todo="run again"
        ) from error
    except DeltaError as error:
        raise AiosError(f"Delta refused the commit: {error}", where=contract.name, todo=TODO) from error
    if not (folder / "_delta_log" / commit_name(version)).exists():
        raise IntegrityError(f"commit {version} did not appear", where=contract.name, todo=TODO)


def mirror_files(contract: Table, folder: Path, mirror_root: Path, files: Sequence[DataFile]) -> None:
    """Keep a second, durable copy of `files`."""
    for file in files:
        copy = mirror_root / contract.name / file.path
        make_folder(copy.parent, mirror_root.parent)
        put_durably(copy, (folder / file.path).read_bytes())
        sync_folder(copy.parent)
