"""Versioned rows: which of them was the best known at an instant."""

from __future__ import annotations

from datetime import datetime

import polars as pl


def known_at(instant: datetime) -> pl.Expr:
    """Whether a versioned row was the best known at `instant`: its stretch `[available_at_utc, superseded_at_utc)` holds it."""
    superseded = pl.col("superseded_at_utc")
    return (pl.col("available_at_utc") <= instant) & (superseded.is_null() | (superseded > instant))
