"""Small tables for tests of the lake."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl

from aios_assets.contracts.table import Column, Table

COLUMNS = (
    Column("item_id", "str", "item"),
    Column("sold_date", "date", "day"),
    Column("quantity_ea", "f64", "sold", unit="ea"),
    Column("pack_ea", "i32", "pack", unit="ea"),
    Column("price_usd", "f32", "price", null_means="unknown"),
    Column("kind_code", "str", "kind", codes=("a", "b")),
    Column("note", "str", "note", null_means="none"),
    Column("available_at_utc", "ts", "known"),
    Column("sold_month", "str", "month"),
)


def table(write: Any, name: str = "test_sales", **more: Any) -> Table:
    return Table(
        name=name, stage="s1_ingest", grain="item and day", key=("item_id", "sold_date"), columns=COLUMNS,
        partition_by=("sold_month",), window="sold_date" if write == "window" else "", write=write, **more,
    )  # fmt: skip


APPEND, WINDOW, FULL = (table(mode, f"test_{mode}") for mode in ("append", "window", "full"))
START = date(2026, 1, 20)


def rows(cells: list[tuple[str, int, float]]) -> pl.DataFrame:
    """Rows of (item, days after START, quantity)."""
    days = [START + timedelta(days=d) for _, d, _ in cells]
    schema = {c.name: c.dtype for c in COLUMNS}
    return pl.DataFrame(
        {
            "item_id": [i for i, _, _ in cells],
            "sold_date": days,
            "quantity_ea": [q for _, _, q in cells],
            "pack_ea": [6] * len(cells),
            "price_usd": [1.5] * len(cells),
            "kind_code": ["a"] * len(cells),
            "note": [None] * len(cells),
            "available_at_utc": pl.Series(days, dtype=pl.Date).cast(pl.Datetime("us", "UTC")),
            "sold_month": [f"{d:%Y-%m}" for d in days],
        },
        schema=schema,
    )
