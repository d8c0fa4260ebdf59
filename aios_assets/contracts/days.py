"""Days as people write them in files: ISO, or refused. 02/01 is January to some and February to others, so it is never guessed."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.errors import BadInputError

ISO_DAY = r"^\s*\d{4}-\d{2}-\d{2}\s*$"
ISO_TIME = r"^\s*\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*$"
NO_DAY = ("", "null", "nat", "nan", "none", "n/a")


def as_days(column: pl.Series, where: str, *, empty: bool = False) -> pl.Series:
    """A time column as dates: dates, timestamps, ISO text, or YYYY-MM for its first day.

    Args:
        column: dates, timestamps or text.
        where: what to name in an error.
        empty: whether empty cells may stay, as null; so may the words that databases and pandas write for them.

    Raises:
        BadInputError: a value is not a day.
    """
    given = column.is_not_null()
    if column.dtype == pl.Date:
        days = column
    elif column.dtype.base_type() == pl.Datetime:
        days = column.dt.date()
    elif column.dtype in (pl.String, pl.Null):
        text = column.cast(pl.String).str.strip_chars()
        given = ~text.str.to_lowercase().is_in(NO_DAY if empty else NO_DAY[:1])
        text = pl.select(pl.when(text.str.len_chars() == 7).then(text + "-01").otherwise(text)).to_series()
        iso = text.str.contains(ISO_DAY) | text.str.contains(ISO_TIME)
        days = pl.select(pl.when(iso).then(text.str.slice(0, 10))).to_series().str.to_date("%Y-%m-%d", strict=False)
    else:
        raise BadInputError(f"'{column.name}' is not a date but {column.dtype}", where=where, todo="use YYYY-MM-DD")
    bad = days.is_null() & given if empty else days.is_null()
    if bad.any():
        first = column.filter(bad)[0]
        raise BadInputError(
            f"'{column.name}' holds {first!r}, which is no day",
            where=where,
            count=int(bad.sum()),
            todo="use YYYY-MM-DD",
        )
    return days.alias(column.name)


def with_iso_times(frame: pl.DataFrame, *, stamps: bool = False) -> pl.DataFrame:
    """Text columns in which every value is an ISO day or timestamp, as days; one odd value leaves the column as text.

    Args:
        frame: any rows.
        stamps: timestamps stay instants; without it they become the day that is written.
    """
    for name in (c for c, t in frame.schema.items() if t == pl.String):
        values = frame[name].drop_nulls()
        if values.is_empty():
            continue
        text = frame[name].str.strip_chars()
        day, stamp = values.str.contains(ISO_DAY).all(), values.str.contains(ISO_TIME).all()
        if stamp and stamps:
            parsed: pl.Series = text.str.to_datetime(strict=False)
        elif day or stamp:
            parsed = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        else:
            continue
        if parsed.null_count() == frame[name].null_count():
            frame = frame.with_columns(parsed)
    return frame
