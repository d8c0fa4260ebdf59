"""Columns of an order table that give the outcome away, and columns that are mere identifiers.

A column leaks when it could only be filled in after ordering: it equals or shadows the received date, it is null exactly
while an order is open, it is a later event, it reproduces the lead time, or it tells open from received. Such a column
makes a model look perfect on the past and useless on an order placed today.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

MIN_ROWS = 5


def find_leaks(
    orders: pl.DataFrame, columns: Sequence[str], *, ordered: str, received: str, as_of: date
) -> dict[str, str]:
    """Columns to refuse, each with the reason.

    Args:
        orders: order table as known on `as_of`; `received` is null while an order is open.
        columns: columns to look at (neither `ordered` nor `received`).
        ordered: column of the order date.
        received: column of the received date.
        as_of: last day known.
    """
    rows = orders.filter(pl.col(ordered).is_not_null())
    known = pl.col(received).is_not_null() & (pl.col(received) <= as_of)
    rows = rows.with_columns(
        known.alias("_closed"), (pl.col(received) - pl.col(ordered)).dt.total_days().alias("_days")
    )
    closed, waiting = rows.filter("_closed"), rows.filter(~pl.col("_closed"))
    found: dict[str, str] = {}
    for column in columns:
        reason = _missing_pattern(closed[column], waiting[column])
        if not reason and rows.schema[column].is_temporal():
            reason = _date_reason(closed, waiting, column, ordered, received, as_of)
        elif not reason and rows.schema[column].is_numeric():
            reason = _number_reason(closed, column)
        elif not reason:
            reason = _status_reason(rows, column)
        if reason:
            found[column] = reason
    return found


def _missing_pattern(closed: pl.Series, waiting: pl.Series) -> str:
    if closed.len() < MIN_ROWS or waiting.len() < MIN_ROWS:
        return ""
    gone_open, gone_closed = waiting.null_count() / waiting.len(), closed.null_count() / closed.len()
    if gone_open >= 0.95 and gone_closed <= 0.5 and gone_open - gone_closed >= 0.5:
        return f"it is null in {gone_open:.0%} of open and {gone_closed:.0%} of received orders: it is filled in on receipt"
    return ""


def _date_reason(
    closed: pl.DataFrame, waiting: pl.DataFrame, column: str, ordered: str, received: str, as_of: date
) -> str:
    day = pl.col(column).cast(pl.Date)
    both = closed.filter(pl.col(column).is_not_null())
    if both.height < MIN_ROWS:
        return ""
    off = both.select((day - pl.col(received)).dt.total_days()).to_series().to_numpy()
    same = float((off == 0).mean())
    if same >= 0.5:
        return f"it equals the received date in {same:.0%} of received orders"
    spread = _spread(both["_days"].to_numpy())
    if spread > 0 and _spread(off) <= 0.1 * spread:
        return f"it follows the received date within {_spread(off):.1f} days, while lead times spread over {spread:.1f}"
    after = float(both.select((day > pl.col(ordered)).mean()).item())
    shown = waiting.filter(pl.col(column).is_not_null())
    future = shown.filter(day > as_of).height
    if after >= 0.5 and waiting.height >= MIN_ROWS and future == 0:
        return f"it lies after the order date in {after:.0%} of received orders and never after {as_of}: it is an event after ordering, not a plan"
    gone_open, gone_closed = 1 - shown.height / max(waiting.height, 1), 1 - both.height / max(closed.height, 1)
    if after >= 0.5 and waiting.height >= MIN_ROWS and gone_open - gone_closed >= 0.3:
        return f"it lies after the order date and is null in {gone_open:.0%} of open but {gone_closed:.0%} of received orders: it is filled in after ordering"
    return ""


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Range between the 10 % and the 90 % point."""
    low, high = np.quantile(values, [0.1, 0.9])
    return float(high - low)


def _number_reason(closed: pl.DataFrame, column: str) -> str:
    both = closed.select(pl.col(column).cast(pl.Float64), "_days").drop_nulls().filter(pl.col(column).is_finite())
    if both.height < 4 * MIN_ROWS or both[column].n_unique() < 3:
        return ""
    rank = both.select(pl.corr(column, "_days", method="spearman")).item()
    if rank is not None and abs(rank) >= 0.95:
        return f"it reproduces the lead time (rank correlation {rank:+.2f})"
    return ""


def _status_reason(rows: pl.DataFrame, column: str) -> str:
    """A code whose values tell open from received."""
    waiting = int((~rows["_closed"]).sum())
    if waiting < MIN_ROWS or rows[column].n_unique() > 30:
        return ""
    levels = rows.group_by(pl.col(column).cast(pl.String)).agg(
        pl.len().alias("n"), (~pl.col("_closed")).sum().alias("open")
    )
    telling = levels.filter(pl.col("open") >= 0.9 * pl.col("n"))
    share = int(telling["open"].sum()) / waiting
    if share >= 0.9 and telling.height < levels.height:
        values = ", ".join(str(v) for v in telling[column].sort().head(3).to_list())
        return f"its values tell open from received orders ({values} covers {share:.0%} of the open ones)"
    return ""


def identifiers(orders: pl.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Columns that name rows rather than describe them, and constants; each with the reason."""
    found: dict[str, str] = {}
    for column in columns:
        series = orders[column].drop_nulls()
        distinct = series.n_unique()
        if distinct <= 1:
            found[column] = "it has one value only"
        elif series.dtype == pl.String and distinct > 0.3 * orders.height:
            found[column] = f"it names rows: {distinct:,} values in {orders.height:,} rows"
        elif series.dtype.is_integer() and distinct >= 0.99 * orders.height and orders.height >= 50:
            found[column] = f"it numbers rows: {distinct:,} values in {orders.height:,} rows"
        elif not (
            series.dtype == pl.String
            or series.dtype == pl.Boolean
            or series.dtype.is_numeric()
            or series.dtype.is_temporal()
        ):
            found[column] = f"its type {series.dtype} is not used"
    return found
