"""The one row that a person means by an id or by its first characters."""

from __future__ import annotations

from typing import Any

import polars as pl

from aios_assets.contracts.errors import BadInputError


def the_one(rows: pl.DataFrame, column: str, prefix: str, *, noun: str, todo: str) -> dict[str, Any]:
    """The only row whose `column` starts with `prefix`.

    Args:
        rows: candidates.
        column: id column.
        prefix: id, or its first characters.
        noun: what a row is, for the message.
        todo: where the person finds the ids.

    Raises:
        BadInputError: no row, or more than one.
    """
    found = rows.filter(pl.col(column).str.starts_with(prefix))
    if found.is_empty():
        raise BadInputError(f"no {noun} has that id", where=prefix, todo=todo)
    if found.height > 1:
        raise BadInputError(f"more than one {noun} starts like that", where=prefix, count=found.height, todo=todo)
    return found.row(0, named=True)
