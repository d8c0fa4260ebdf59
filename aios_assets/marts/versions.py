"""Versioned rows: which of them was the best known at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

POINTER = ("document_id", "line_no", "available_at_utc")


def known_at(instant: datetime) -> pl.Expr:
    """Whether a versioned row was the best known at `instant`: its stretch `[available_at_utc, superseded_at_utc)` holds it."""
    superseded = pl.col("superseded_at_utc")
    return (pl.col("available_at_utc") <= instant) & (superseded.is_null() | (superseded > instant))


def statements(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Statements of master data with the stretch in which each was the newest; one that says the same again only goes on.

    A file that is delivered whole every week states everything every week: what it says has been known since it was first said.

    Args:
        rows: rows of a `raw_master__` table.
        keys: what one statement is about.

    Returns:
        The rows that said something new, with `superseded_at_utc` (null: still the newest), sorted by key and known time.
    """
    last = rows.sort(*keys, "available_at_utc", "document_id", "line_no").unique(
        [*keys, "available_at_utc"], keep="last", maintain_order=True
    )
    says = [c for c in rows.columns if c not in POINTER]
    again = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift(1)) for c in says)
    return last.filter(~again).with_columns(
        pl.col("available_at_utc").shift(-1).over(list(keys)).alias("superseded_at_utc")
    )
