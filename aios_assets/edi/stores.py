"""X12 SDQ: the quantity of a line or an activity by store, up to ten stores a segment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.delims import EL
from aios_assets.edi.packing import split_by_place
from aios_assets.edi.tokens import Tokens
from aios_assets.edi.typing_rules import read_number
from aios_assets.edi.view import View, clean, lines
from aios_assets.edi.words import say

# What is split, and where its quantity, its unit and, in a change of an order, what is left to receive stand.
SPLIT = {"850": ("PO1", 2, 3, 2), "860": ("POC", 3, 5, 4), "852": ("ZA", 2, 3, 2)}
_TOLERANCE = 1e-6

# Tag, unit and qualifier stand before the first store; SDQ23 names a place within the stores and is no store itself.
_FIRST, _PAIRED = 3, 20


def by_store(view: View) -> pl.DataFrame:
    """One row per store of each SDQ.

    Args:
        view: sets of one type.

    Returns:
        row, set and line of the SDQ, line_no (from 1 within it), store, amount (null where none was sent), store_unit and
        amount_at (element number of the amount).
    """
    sdq = view.tag("SDQ").with_columns(el=pl.col("seg").str.split(EL))
    size = pl.max_horizontal(pl.col("el").list.len().cast(pl.Int64), _FIRST + 1)
    sent = pl.when(size == _FIRST + _PAIRED + 1).then(_FIRST + _PAIRED).otherwise(size)
    split = sdq.with_columns(
        store=pl.col("el").list.slice(_FIRST, sent - _FIRST).list.gather_every(2),
        amount=pl.col("el").list.slice(_FIRST + 1, sent - _FIRST - 1).list.gather_every(2),
        store_unit=clean(pl.col("el").list.get(1, null_on_oob=True)),
    )
    # A store without its quantity at the end still makes a row, which then fails as missing.
    split = split.with_columns(
        pl.col("amount").list.concat(pl.lit(None, dtype=pl.String)).list.head(pl.col("store").list.len()),
        amount_at=pl.int_ranges(_FIRST + 1, _FIRST + 1 + 2 * pl.col("store").list.len(), 2, dtype=pl.Int32),
    )
    split = split.explode("store", "amount", "amount_at")
    split = split.with_columns(store=clean(pl.col("store")), amount=clean(pl.col("amount")))
    # A quantity without its store is no empty pair: it is kept, and fails for want of a site.
    split = split.filter(pl.col("store").is_not_null() | pl.col("amount").is_not_null())
    split = split.with_columns(line_no=pl.int_range(pl.len()).over("row").add(1).cast(pl.Int32))
    wanted = ("row", "set", "line", "line_no", "store", "amount", "store_unit", "amount_at")
    return view.restore(split.select(wanted))


def for_stores(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Lines that SDQ splits as one row per store, which is their receiving site; of an item with several SN1 it splits none of them."""
    base = base.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in ("store", "disputed"))
    if not len(view.where("SDQ")):
        return base
    once = base.filter(pl.len().over("line") == 1).select("line")
    given = lines(by_store(view)).rename({"amount": "quantity", "store_unit": "unit_code"})
    given = given.join(once, on="line", how="semi", maintain_order="left")
    if given.is_empty():
        return base
    base = split_by_place(base, given)
    return base.with_columns(ship_to_site_id=pl.coalesce("store", "ship_to_site_id"))


def differs(said: pl.Expr, summed: pl.Expr) -> pl.Expr:
    """Whether a stated total is not the sum; null where one is missing."""
    return (said - summed).abs() > _TOLERANCE * pl.max_horizontal(said.abs(), 1.0)


def check_stores(
    tokens: Tokens, code: str, inside: npt.NDArray[np.bool_], owner: npt.NDArray[np.int32], fresh: int
) -> pl.DataFrame:
    """Order lines and activities whose quantity is not the sum of their stores; the stores land as they are.

    Args:
        tokens: a batch.
        code: 850, 860 or 852.
        inside: which segments stand in sets of this type.
        owner: set of each segment.
        fresh: the first segment that was not checked before.

    Returns:
        row, set, element_no, error_code, reason, value; a line with an unreadable store quantity is not told of again.
    """
    opener, quantity, unit, left = SPLIT[code]
    rows = np.flatnonzero(inside)
    ends = ("ST", "CTT", "SE", *(("LIN",) if code == "852" else ()))
    view = View(tokens, rows, owner[rows], rows.astype(np.int32), "X12").relined((opener,), ends)
    amount = pl.col("amount")
    stores = lines(by_store(view)).with_columns(amount=read_number(amount))
    summed = stores.group_by("line", maintain_order=True).agg(
        pl.when(amount.null_count() == 0).then(amount.sum()).alias("summed"), pl.col("store_unit").first()
    )
    line = view.pick(opener, value=quantity, unit=unit, left=left).filter(pl.col("row") >= fresh)
    line = line.join(summed, on="line", how="inner", maintain_order="left")
    number = read_number(pl.col("value"))

    other = (pl.col("unit") != pl.col("store_unit")).fill_null(value=False)
    added = pl.col("summed")
    wrong = differs(number, added) & differs(read_number(pl.col("left")), added).fill_null(value=True) & ~other
    told = (
        (wrong, quantity, "value", say("the line says {}, its stores add up to {}", "value", "summed")),
        (other, unit, "unit", say("the line is in {}, its stores are in {}: no price, no sum", "unit", "store_unit")),
    )
    return pl.concat(
        line.filter(when).select(
            "row",
            "set",
            element_no=pl.lit(at, dtype=pl.Int32),
            error_code=pl.lit("AK4:7"),
            reason=words,
            value=pl.col(value),
        )
        for when, at, value, words in told
    )
