"""Columns of an order table that give the outcome away, and columns that are mere identifiers.

A column leaks when it could only be filled in after ordering: it equals or shadows the received date, it is null exactly
while an order is open, it is a later event, it reproduces the lead time, it cuts lead times or delays at a point (a late
flag), or it tells open from received. Such a column makes a model look perfect on the past and useless on an order placed
today.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

Days = npt.NDArray[np.int64]
MIN_ROWS = 5
MOST_LEVELS = 30
MOST_CLASSES = 200
NEAR_ROWS = 15


def find_leaks(
    orders: pl.DataFrame,
    columns: Sequence[str],
    *,
    ordered: str,
    received: str,
    as_of: date,
    supplier: str | None = None,
) -> dict[str, str]:
    """Columns to refuse, each with the reason.

    Args:
        orders: order table as known on `as_of`; `received` is null while an order is open.
        columns: columns to look at (neither `ordered` nor `received`).
        ordered: column of the order date.
        received: column of the received date.
        as_of: last day known.
        supplier: column of the supplier; who delivers is known when ordering, however well it tells the lead time.
    """
    rows = orders.filter(pl.col(ordered).is_not_null())
    known = pl.col(received).is_not_null() & (pl.col(received) <= as_of)
    rows = rows.with_columns(
        known.alias("_closed"), (pl.col(received) - pl.col(ordered)).dt.total_days().alias("_days")
    )
    closed, waiting = rows.filter("_closed"), rows.filter(~pl.col("_closed"))
    measures = {"lead times": closed["_days"]} | {
        f"days from {c} to receipt": closed.select((pl.col(received) - pl.col(c).cast(pl.Date)).dt.total_days()).to_series()
        for c in columns if rows.schema[c].base_type() in (pl.Date, pl.Datetime)
    }  # fmt: skip
    found: dict[str, str] = {}
    for column in columns:
        reason = _missing_pattern(closed[column], waiting[column])
        if not reason and rows.schema[column].is_temporal():
            reason = _date_reason(closed, waiting, column, ordered, received, as_of)
        elif not reason:
            reason = _number_reason(closed, column) if rows.schema[column].is_numeric() else ""
            reason = reason or _status_reason(rows, column)
            reason = reason or ("" if column == supplier else _outcome_reason(closed[column], measures))
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
    """A code, flag or number whose values tell open from received: OPEN, 1, or a quantity that is zero until receipt."""
    waiting = int((~rows["_closed"]).sum())
    if waiting < MIN_ROWS:
        return ""
    value = pl.col(column).cast(pl.String)
    tries = [value] if rows[column].n_unique() <= MOST_LEVELS else []
    if rows.schema[column].is_numeric():
        usual = [
            rows.filter(side)[column].drop_nulls().mode().sort() for side in (~pl.col("_closed"), pl.col("_closed"))
        ]
        tries += [pl.format("{}{}", pl.when(pl.col(column) == u[0]).then(pl.lit("")).otherwise(pl.lit("not ")), pl.lit(u[0]))
                  for u in usual if u.len()]  # fmt: skip
    for level in tries:
        levels = rows.group_by(level.alias("level")).agg(pl.len().alias("n"), (~pl.col("_closed")).sum().alias("open"))
        telling = levels.filter(pl.col("open") >= 0.9 * pl.col("n"))
        share = int(telling["open"].sum()) / waiting
        if share >= 0.9 and telling.height < levels.height:
            values = ", ".join(str(v) for v in telling["level"].sort().head(3).to_list())
            return f"its values tell open from received orders ({values} covers {share:.0%} of the open ones)"
    return ""


def _outcome_reason(values: pl.Series, measures: dict[str, pl.Series]) -> str:
    """A late flag or a class of lead times: its values cut what was only known on receipt, sharply, where orders are dense."""
    levels = values.cast(pl.String)
    if not 2 <= levels.drop_nulls().n_unique() <= MOST_CLASSES:
        return ""
    for name, days in measures.items():
        both = pl.DataFrame({"level": levels, "days": days}).drop_nulls()
        groups = [g["days"].sort().to_numpy() for _, g in both.group_by("level") if g.height >= MIN_ROWS]
        groups.sort(key=lambda g: float(np.median(g)))
        near = max(0.1 * _spread(both["days"].to_numpy()), 3.0) if both.height else 0.0
        if _is_cut([_meeting(a, b, near) for a, b in pairwise(groups)]):
            return f"its values cut {name} at a point, where orders lie on both sides: it was filled in on receipt"
    return ""


def _meeting(low: Days, high: Days, near: float) -> tuple[int, int, int, int, int]:
    """Where two groups meet: rows close below and above, those of them right beside the point, and those across it."""
    cut = float(np.sort(np.concatenate([low, high]))[len(low) - 1])
    below, above = low[low > cut - near], high[high <= cut + near]
    if min(len(below), len(above)) < NEAR_ROWS or min(len(np.unique(below)), len(np.unique(above))) < 3:
        return 0, 0, 0, 0, 0
    beside = int((below > cut - near / 3).sum()), int((above <= cut + near / 3).sum())
    return len(below), len(above), *beside, int((below > cut).sum()) + int((above <= cut).sum())


def _is_cut(meetings: Sequence[tuple[int, int, int, int, int]]) -> bool:
    """Whether groups meet where none crosses, with as many orders right beside the point as further off.

    Groups that merely differ, such as air and sea, overlap, or thin out on the way to each other.
    """
    below, above, beside_below, beside_above, crossed = (
        (sum(m) for m in zip(*meetings, strict=True)) if meetings else (0,) * 5
    )
    return below > 0 and crossed <= 0.02 * (below + above) and min(beside_below / below, beside_above / above) >= 0.2


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
