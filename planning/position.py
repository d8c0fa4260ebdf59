"""The one definition of inventory position; every policy and page uses this and no other.

position = on hand + on order (still to come, in transit included) − allocated (promised to others, not yet shipped) − backorders
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError
from planning.unreported import WEEK

F64 = NDArray[np.float64]


def inventory_position(on_hand: F64, on_order: F64, allocated: F64 | float = 0.0, backorders: F64 | float = 0.0) -> F64:
    """Inventory position in eaches, elementwise.

    In transit is part of on order: counting it beside on order would count it twice.

    Raises:
        BadInputError: a component is negative or not a number.

    >>> inventory_position(np.array([5.0]), np.array([12.0]), 3.0, 1.0).tolist()
    [13.0]
    """
    for name, value in (
        ("on hand", on_hand), ("on order", on_order), ("allocated", allocated), ("backorders", backorders),
    ):  # fmt: skip
        bad = int((~(np.asarray(value) >= 0)).sum())
        if bad:
            raise BadInputError(f"{name} is negative or not a number", where="inventory position", count=bad)
    return np.asarray(on_hand + on_order - allocated - backorders, dtype=np.float64)


def open_position(open_orders: pl.DataFrame) -> pl.DataFrame:
    """On order and allocated per item and site.

    Grain: one item and site that has an open order, as receiver (on order) or as source (allocated).
    An order leaves its source's stock when it is shipped. Where the shipped quantity is not stated, nothing counts as
    allocated: the source's stock report is taken at its word.

    Args:
        open_orders: item_id, site_id, source_id, open_qty_ea, and shipped_qty_ea, received_qty_ea, refused_qty_ea (each may be null).
    """
    live = open_orders.filter(pl.col("open_qty_ea") > 0)
    received = live.group_by("item_id", "site_id").agg(pl.col("open_qty_ea").sum().alias("on_order_qty_ea"))
    arrived = pl.col("received_qty_ea").fill_null(0.0) + pl.col("refused_qty_ea").fill_null(0.0)
    on_the_road = (pl.col("shipped_qty_ea") - arrived).clip(lower_bound=0.0)
    allocated = (
        live.filter(pl.col("source_id").is_not_null() & pl.col("shipped_qty_ea").is_not_null())
        .group_by("item_id", pl.col("source_id").alias("site_id"))
        .agg((pl.col("open_qty_ea") - on_the_road).clip(lower_bound=0.0).sum().alias("allocated_qty_ea"))
    )
    return (
        received.join(allocated, on=["item_id", "site_id"], how="full", coalesce=True)
        .with_columns(pl.col("on_order_qty_ea", "allocated_qty_ea").fill_null(0.0))
        .sort("item_id", "site_id")
    )


def brought_forward(closes: pl.DataFrame, moves: pl.DataFrame, weeks: Collection[str] = ()) -> pl.DataFrame:
    """Stock of the newest close, moved on by what is known to have come in and gone out on later days.

    What was received after a close is no longer on order and not yet in the stock reported: without it the same need would be
    ordered twice. More than was there cannot have gone out: a stock that would fall below zero is empty.

    Grain: one item and site. Units: eaches.

    Args:
        closes: item_id, site_id, on_hand_qty_ea, stock_date.
        moves: item_id, site_id, inventory_date, receipts_qty_ea, outbound_qty_ea, adjustments_qty_ea.
        weeks: sites whose sales are told a week at a time: of a week that had begun before the close, as many sevenths went out
            after it as days of it were left; of whole eaches whole ones, of goods by weight or measure as much.
    """
    key = ["item_id", "site_id"]
    after = (pl.col("inventory_date") - pl.col("stock_date")).dt.total_days()
    running = pl.col("site_id").is_in(list(weeks)) & (after < WEEK)
    out = pl.col("outbound_qty_ea")
    part = out * after / WEEK
    out = pl.when(running).then(pl.when(out == out.round()).then(part.round()).otherwise(part)).otherwise(out)
    moved = pl.col("receipts_qty_ea") - out + pl.col("adjustments_qty_ea")
    since = (
        moves.join(closes.select(*key, "stock_date"), on=key)
        .filter(after > 0)
        .group_by(key)
        .agg(moved.sum().alias("_moved"))
    )
    stock = pl.col("on_hand_qty_ea")
    later = pl.max_horizontal(stock + pl.col("_moved"), pl.min_horizontal(stock, pl.lit(0.0)))
    return (
        closes.join(since, on=key, how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("_moved").is_null()).then(stock).otherwise(later).alias("on_hand_qty_ea"))
        .select(closes.columns)
    )
