"""The point-in-time join: for each asked row, the newest feature row that had happened and was known at that moment.

Pure polars. Two clocks: `event` says what moment a feature row speaks of, `created` when it could first be known. Feast's own
stores look at the event clock alone, so a late correction leaks into the past; here a row counts from the later of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import polars as pl

INSTANT = pl.Datetime("us", "UTC")
_EVENT, _USABLE, _ASKED, _ROW = "__event", "__usable", "__asked", "__row"


def instant(column: str, dtype: pl.DataType) -> pl.Expr:
    """A date, or an instant with or without zone, as an instant in UTC (a date is its midnight, a bare instant is UTC)."""
    value = pl.col(column)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return value.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Datetime):
        return value.dt.convert_time_zone("UTC").cast(INSTANT)
    return value.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def usable_rows(
    rows: pl.DataFrame, keys: Sequence[str], features: Sequence[str], event: str, created: str | None
) -> pl.DataFrame:
    """Feature rows in the order in which they became usable, without those that were out of date when they did.

    Args:
        rows: feature rows, any order.
        keys: join keys.
        features: columns to keep.
        event: event clock.
        created: known clock; None when a row is known when it happens.

    Returns:
        keys, features, `__event` and `__usable` (both instants), sorted by `__usable`.
    """
    happened = instant(event, rows.schema[event])
    known = instant(created, rows.schema[created]) if created else happened
    frame = rows.select(
        *keys,
        *features,
        happened.alias(_EVENT),
        pl.max_horizontal(happened, known).alias(_USABLE),
        known.alias("__known"),
    )
    frame = frame.sort(_USABLE, _EVENT, "__known", maintain_order=True)
    if not frame[_EVENT].is_sorted():
        # A late row about an older moment never takes the place of what was known about a newer one.
        frame = frame.filter(pl.col(_EVENT) >= pl.col(_EVENT).cum_max().over(list(keys)))
    return frame.drop("__known")


def as_known(
    asked: pl.DataFrame,
    rows: pl.DataFrame,
    *,
    keys: Sequence[str],
    at: str,
    features: Sequence[str],
    event: str,
    created: str | None = None,
    ttl: timedelta | None = None,
) -> pl.DataFrame:
    """Features of `rows` for every row of `asked`, as known at its moment.

    Args:
        asked: keys and a moment; the same row may be asked twice.
        rows: feature rows.
        keys: join keys, in both frames.
        at: column of `asked` that holds the moment.
        features: columns wanted.
        event: event clock of `rows`.
        created: known clock of `rows`.
        ttl: a feature row older than this at the moment counts as missing; None never expires.

    Returns:
        The features alone, one row for each row of `asked` and in its order; null where nothing was known.
    """
    left = asked.select(*keys, instant(at, asked.schema[at]).alias(_ASKED)).with_row_index(_ROW).sort(_ASKED)
    right = usable_rows(rows, keys, features, event, created)
    right, left, by = _coded(right, left, keys)
    joined = left.join_asof(
        right, left_on=_ASKED, right_on=_USABLE, by=by, strategy="backward", check_sortedness=False, coalesce=False
    )
    if ttl:
        alive = pl.col(_EVENT) >= pl.col(_ASKED) - ttl
        joined = joined.with_columns(pl.when(alive).then(pl.col(f)).alias(f) for f in features)
    return joined.sort(_ROW).select(features)


def by_stretches(asked: pl.DataFrame, at: str, known: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """What is known at the asked rows, calendar month by month of their moments, in the order asked.

    Where rows expire, a month of moments can meet the feature rows of that month and of one expiry before it only: years of features
    are never in memory together.

    Args:
        asked: rows with a moment.
        at: column of `asked` that holds the moment.
        known: what is known at some of the rows, one row each and in their order.
    """
    month = asked.select(instant(at, asked.schema[at]).dt.strftime("%Y-%m").alias("month"))["month"]
    if month.n_unique() <= 1:
        return known(asked)
    order = pl.DataFrame({"month": month}).with_row_index("nth").group_by("month").agg("nth").sort("month")
    picks = order["nth"].to_list()
    parts = [known(asked[pick]) for pick in picks]
    back = pl.concat([pl.Series("nth", pick, dtype=pl.UInt32) for pick in picks]).arg_sort()
    return pl.concat(parts)[back]


def _coded(
    right: pl.DataFrame, left: pl.DataFrame, keys: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Both frames with one integer in place of several keys or a text: comparing it is several times cheaper."""
    if len(keys) == 1 and right.schema[keys[0]].is_integer():
        return right, left, list(keys)
    codes = right.select(keys).unique().with_row_index("__code")
    code = left.select(keys).join(codes, on=list(keys), how="left", maintain_order="left")["__code"]
    own = right.select(keys).join(codes, on=list(keys), how="left", maintain_order="left")["__code"]
    # A key without any feature row must match nothing, not another unknown key.
    left = left.drop(keys).with_columns(code.fill_null(codes.height).alias("__code"))
    return right.drop(keys).with_columns(own.alias("__code")), left, ["__code"]


def newest_known(rows: pl.DataFrame, keys: Sequence[str], event: str, created: str | None) -> pl.DataFrame:
    """The newest row of each key by event, then known clock, sorted by key.

    Args:
        rows: feature rows.
        keys: join keys.
        event: event clock.
        created: known clock, if any.
    """
    order = [event, *([created] if created else [])]
    return rows.sort(*order, maintain_order=True).unique(list(keys), keep="last").sort(list(keys))
