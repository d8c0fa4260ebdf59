"""A branch of the lake: reads what production held when it was made, writes into a folder of its own.

Nothing is copied: a table that the branch never wrote is read from production's files at the Delta version noted when the branch
was made; a table that it wrote is its own from the first row. A branch holds no way to write into production.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aios_assets.contracts.errors import BadInputError, ConflictError, UsageError
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.lake import Lake
from aios_assets.resources.lake_read import named

if TYPE_CHECKING:
    import polars as pl

    from aios_assets.contracts.table import Table

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,39}$")
NOTE = "branch.json"


class BranchLake(Lake):
    """The lake of a branch. Everything but reading happens in its own folder."""

    def __init__(self, root: Path, base: Lake, pinned: dict[str, int]) -> None:
        """Name the branch's folder, the lake it came from and the versions it reads there.

        Args:
            root: folder of the tables the branch writes.
            base: production, only read.
            pinned: Delta version by table, -1 where there was none.
        """
        super().__init__(root)
        self.base, self.pinned = base, dict(pinned)

    def scan(
        self, table: Table | str, *, columns: list[str] | None = None, version: int | None = None, verify: bool = True
    ) -> pl.LazyFrame:
        """The branch's own rows of a table it wrote, else production's at the version noted; see `Lake.scan`.

        Raises:
            IntegrityError: production no longer holds the files of that version.
            UsageError: a version was asked for of a table that the branch did not write.
        """
        contract = named(table)
        if self.exists(contract):
            return super().scan(contract, columns=columns, version=version, verify=verify)
        if version is not None:
            raise UsageError("a branch reads production at one version only", where=contract.name)
        pinned = self.pinned.get(contract.name, -1)
        if pinned < 0:
            empty = contract.empty().lazy()
            return empty.select(columns) if columns is not None else empty
        return self.base.scan(contract, columns=columns, version=pinned, verify=verify)

    def scan_parts(
        self, table: Table | str, *, newest_rows: int | None = None, version: int | None = None
    ) -> list[pl.LazyFrame]:
        """Parts of what `scan` reads; see `Lake.scan_parts`.

        Raises:
            IntegrityError: production no longer holds the files of that version.
        """
        contract = named(table)
        pinned = self.pinned.get(contract.name, -1)
        if self.exists(contract) or pinned < 0:
            return super().scan_parts(contract, newest_rows=newest_rows, version=version)
        return self.base.scan_parts(contract, newest_rows=newest_rows, version=pinned)


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch on disk: its folder and its note.

    Attributes:
        folder: holds the note and the tables.
        note: name, what it is for, and `versions` by table.
    """

    folder: Path
    note: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    def lake(self, base: Lake) -> BranchLake:
        """The branch's lake over production."""
        return BranchLake(self.folder / "lake", base, self.note["versions"])


def make_branch(parent: Path, name: str, base: Lake, note: dict[str, Any]) -> Branch:
    """Make a branch of `base` as it is now.

    Args:
        parent: folder of all branches.
        name: lower-case letters, digits, `-` and `_`.
        base: production.
        note: what else to keep with it.

    Raises:
        UsageError: the name cannot be a folder's.
        ConflictError: there is a branch of that name.
    """
    if not NAME.match(name):
        raise UsageError(f"'{name}' cannot be a branch's name", todo="use lower-case letters, digits, - and _")
    folder = parent / name
    if folder.exists():
        raise ConflictError(f"there is a branch '{name}'", where=str(folder), todo=f"aios whatif drop {name}")
    versions = {table: base.version(table) for table in sorted(TABLES)}
    folder.mkdir(parents=True)
    kept = {"name": name, **note, "versions": versions}
    (folder / NOTE).write_text(json.dumps(kept, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8")
    return Branch(folder, kept)


def find_branch(parent: Path, name: str) -> Branch:
    """The branch of that name.

    Raises:
        BadInputError: there is none, or its note cannot be read.
    """
    folder = parent / name
    if not NAME.match(name) or not (folder / NOTE).is_file():
        known = ", ".join(b.name for b in branches(parent)) or "none"
        raise BadInputError(f"there is no branch '{name}'", where=str(parent), todo=f"there are: {known}")
    try:
        return Branch(folder, json.loads((folder / NOTE).read_text(encoding="utf-8")))
    except ValueError as error:
        raise BadInputError("the branch's note cannot be read", where=str(folder / NOTE), todo=f"aios whatif drop {name}") from error  # fmt: skip


def branches(parent: Path) -> list[Branch]:
    """All branches by name."""
    found = sorted(p.parent for p in parent.glob(f"*/{NOTE}")) if parent.exists() else []
    return [Branch(folder, json.loads((folder / NOTE).read_text(encoding="utf-8"))) for folder in found]


def drop_branch(parent: Path, name: str) -> None:
    """Delete a branch and what it wrote; production is not concerned.

    Raises:
        BadInputError: there is no such branch.
    """
    folder = parent / name
    if not NAME.match(name) or not (folder / NOTE).is_file():
        find_branch(parent, name)
    shutil.rmtree(folder)
