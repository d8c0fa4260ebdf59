"""Lines of messages that count nowhere because of their unit: told with every decision of their item and site.

An item that is sold by the kilogram and counted in pieces has no sales, no stock and no forecast: without these lines nobody would learn why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

LOOK_BACK_DAYS = 28
KEPT_OUT_SCHEMA: dict[str, Any] = {"item_id": pl.String, "site_id": pl.String, "lines": pl.Int64, "reason": pl.String}


def with_kept_out(book: pl.DataFrame, kept_out: pl.DataFrame) -> pl.DataFrame:
    """The book with `kept_out_lines` and `kept_out_reason`, both null where nothing is; the reason goes before what else is missing.

    Grain: as the book, one item and site.

    Args:
        book: item_id, site_id, missing.
        kept_out: item_id, site_id, lines of the last weeks, the newest one's reason.
    """
    known = kept_out.rename({"lines": "kept_out_lines", "reason": "kept_out_reason"})
    book = book.join(known, on=["item_id", "site_id"], how="left", maintain_order="left")
    said = pl.format(_TEXT, "kept_out_lines", pl.lit(LOOK_BACK_DAYS), "kept_out_reason")
    blocked = pl.col("missing").is_not_null() & said.is_not_null()
    return book.with_columns(
        missing=pl.when(blocked).then(pl.format("{}; and {}", said, "missing")).otherwise("missing")
    )


def kept_out_drivers(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept out as stored figures; nothing where nothing is."""
    if not row["kept_out_lines"]:
        return {}
    return {"kept_out_lines": row["kept_out_lines"], "kept_out_days": LOOK_BACK_DAYS, "kept_out_reason": row["kept_out_reason"]}  # fmt: skip


def kept_out_reason(drivers: Mapping[str, Any]) -> str:
    """A sentence on what the decision does not count; empty where nothing is kept out.

    >>> kept_out_reason({"kept_out_lines": 3, "kept_out_days": 28, "kept_out_reason": "item A is counted in KGM and the line in EA"})
    ' Not counted: 3 lines of the last 28 days are kept out because of their unit (item A is counted in KGM and the line in EA).'
    """
    if not drivers.get("kept_out_lines"):
        return ""
    figures = (drivers["kept_out_lines"], drivers["kept_out_days"], drivers["kept_out_reason"])
    return f" Not counted: {_TEXT.format(*figures)}."


_TEXT = "{} lines of the last {} days are kept out because of their unit ({})"
