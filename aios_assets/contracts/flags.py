"""True and false as people write them in files."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.errors import BadInputError

TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")


def as_flags(column: pl.Series, where: str) -> pl.Series:
    """A column as true, false or null: booleans, numbers (0 is false), or the usual words.

    Args:
        column: booleans, numbers or text; empty cells stay null.
        where: what to name in an error.

    Raises:
        BadInputError: a value is neither true nor false.
    """
    if column.dtype == pl.Boolean:
        return column
    if column.dtype.is_numeric():
        return column.fill_nan(None).cast(pl.Boolean) if column.dtype.is_float() else column.cast(pl.Boolean)
    text = column.cast(pl.String, strict=False).str.strip_chars().str.to_lowercase().replace("", None)
    flags = text.replace_strict({w: w in TRUE for w in TRUE + FALSE}, default=None, return_dtype=pl.Boolean)
    bad = flags.is_null() & text.is_not_null()
    if bad.any():
        raise BadInputError(
            f"'{column.name}' holds {column.filter(bad)[0]!r}, which is neither true nor false",
            where=where, count=int(bad.sum()), todo="use true and false, or 1 and 0",
        )  # fmt: skip
    return flags.alias(column.name)
