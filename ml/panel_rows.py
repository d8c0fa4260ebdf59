"""Rows of a panel before they are arrays: columns, numbers, days and gaps are checked, what is odd is refused or said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Freq = Literal["D", "W", "M"]
SEASON: Mapping[str, int] = {"D": 7, "W": 52, "M": 12}
YEAR: Mapping[str, int] = {"D": 364, "W": 52, "M": 12}
MONDAY = date(2000, 1, 3)
MOSTLY = 0.8


def with_gaps(sales: F64, s: npt.NDArray[np.int64], t: npt.NDArray[np.int64], gaps: str, notes: list[str]) -> F64:
    """Say (or fill with zero) periods without a row between the first and the last of a series."""
    given = np.zeros(sales.shape, dtype=bool)
    given[s, t] = True
    inside = np.logical_or.accumulate(given, axis=1) & ~given
    ended = inside & ~np.logical_or.accumulate(given[:, ::-1], axis=1)[:, ::-1]
    gap = inside & ~ended
    meaning = "no sale (zero)" if gaps == "zero" else "not known"
    if gap.any():
        notes.append(f"{int(gap.sum()):,} missing periods inside {int(gap.any(axis=1).sum()):,} series: {meaning}")
    if gaps != "zero" and gap.any() and not (sales[given] <= 0).any():
        notes.append(
            "no row says zero: if periods are left out because nothing sold, forecasts of the others are too high; say so with --gaps zero"
        )
    if gap.sum() > MOSTLY * (gap | given).sum():
        notes.append(
            f"more than {MOSTLY:.0%} of the periods have no row: the rows may be of longer periods than --freq says"
        )
    if ended.any():
        notes.append(
            f"{int(ended.any(axis=1).sum()):,} series end before the panel's last period: {meaning} from there on"
        )
    if gaps == "zero":
        sales = np.where(inside, 0.0, sales)
    return sales


def say_kind(y: F64, freq: Freq, notes: list[str]) -> None:
    """Note series that are empty, all zero, short or alone."""
    known = (~np.isnan(y)).sum(axis=1)
    zero = int(((known > 0) & (np.nansum(y, axis=1) == 0)).sum())
    short = int(((known > 0) & (known < SEASON[freq])).sum())
    if zero:
        notes.append(f"{zero:,} series sold nothing at all: their forecast stays near zero")
    if short:
        notes.append(
            f"{short:,} series are shorter than a season of {SEASON[freq]} periods: no seasonal pattern of their own"
        )
    if y.shape[0] == 1:
        notes.append("one series only: no global model, the statistical models compete")


def need_columns(frame: pl.DataFrame, needed: Sequence[str], where: str) -> None:
    """Refuse a frame that lacks a column.

    Raises:
        BadInputError: one is missing; the message names those that are there.
    """
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise BadInputError(
            f"columns are missing: {', '.join(missing)}", where=where, todo=f"there are {', '.join(frame.columns[:20])}"
        )


def as_numbers(rows: pl.DataFrame, target: str) -> pl.Expr:
    """The target as numbers, named `_target`.

    Raises:
        BadInputError: some are not.
    """
    if not rows[target].dtype.is_numeric():
        bad = rows.filter(pl.col(target).is_not_null() & pl.col(target).cast(pl.Float64, strict=False).is_null()).height
        if bad or rows[target].dtype != pl.String:
            raise BadInputError("targets are not numbers", where=target, count=bad)
    return pl.col(target).cast(pl.Float64).alias("_target")


def period_index(rows: pl.DataFrame, freq: Freq) -> pl.Series:
    """Index of the period of each row on a fixed calendar."""
    day = rows["_date"]
    if freq == "D":
        return (day - MONDAY).dt.total_days()
    if freq == "W":
        weekdays = day.dt.weekday().value_counts(sort=True)
        if weekdays.height > 1:
            count = int(weekdays["count"][1:].sum())
            raise BadInputError(
                "weekly rows lie on several weekdays",
                where="panel or future file",
                count=count,
                todo="move all to one weekday, or use --freq D",
            )
        return (day - MONDAY).dt.total_days() // 7
    return day.dt.year().cast(pl.Int64) * 12 + day.dt.month().cast(pl.Int64) - 1


def first_day(rows: pl.DataFrame, freq: Freq, index: int) -> date:
    """First day of a panel whose first period has that index."""
    if freq == "M":
        return date(index // 12, index % 12 + 1, 1)
    low = rows["_date"].min()
    assert isinstance(low, date)
    return low


def refuse_rows(rows: pl.DataFrame, names: tuple[str, ...], wrong: pl.Expr, what: str) -> None:
    """Refuse rows for which `wrong` holds.

    Raises:
        BadInputError: there are some; the message names the first series and the count.
    """
    bad = rows.filter(wrong)
    if bad.height:
        raise BadInputError(
            f"{what}, first in series {series_name(bad, names)}",
            where="panel",
            count=bad.height,
            todo="correct or remove them",
        )


def series_name(rows: pl.DataFrame, names: Sequence[str]) -> str:
    """The series of the first row, in words."""
    return ", ".join(f"{k}={rows[k][0]}" for k in names)
