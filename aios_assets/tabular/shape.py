"""One file to the rows of one table: columns found, cells typed, faulty rows set aside, repeated keys noticed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.rejects import Reject
from aios_assets.contracts.table import Column
from aios_assets.tabular.cells import Fault, typed
from aios_assets.tabular.files import Sheet
from aios_assets.tabular.mapping import Mapping

# The zone in which a day begins first. A file does not say where its shop is, so only what has begun nowhere is future.
_FIRST_ZONE = timedelta(hours=14)
# What a date format reads a time zone, an hour and a day with.
_ZONE = re.compile(r"%(:{0,3}z|#z|Z|\+|s)")
_HOUR = re.compile(r"%[-_0]?[HIklTRXrc]")
_DAY = re.compile(r"%[-_0]?[dejDFvxcaAuw]")
Least = Callable[[Column], float | None]


@dataclass(frozen=True, slots=True)
class Shaped:
    """The good rows of one file, and what was set aside.

    Attributes:
        rows: typed columns of the table that the file or a constant gave, and `_row`.
        faults: one per faulty cell or row.
        read: rows in the file, bad ones included.
    """

    rows: pl.DataFrame
    faults: list[Fault]
    read: int


def shape(
    sheet: Sheet, columns: Sequence[Column], key: Sequence[str], mapping: Mapping, where: str, least: Least
) -> Shaped:
    """The columns asked for, typed.

    Args:
        sheet: the file as text.
        columns: contract columns wanted; one that may be null may be absent from the file.
        key: columns that are unique in one file.
        mapping: where columns are, constants, formats.
        where: the file, for messages.
        least: smallest value taken, per column.

    Raises:
        BadInputError: a needed column is missing, the mapping names one that is not there, its dates are no days, or there is
            no row.
    """
    _refuse_date_format(mapping.date_format, where)
    rows, sources = _sources(sheet, columns, mapping, where)
    if not rows.height and not sheet.bad_rows:
        raise BadInputError(
            "the file has a header and no rows", where=where, todo="nothing, if there is nothing to say; otherwise export it again"
        )  # fmt: skip
    faults = [Fault(n, "", "ragged", reason, text) for n, text, reason in sheet.bad_rows]
    out = [rows.get_column("_row")]
    for column in columns:
        source = sources[column.name]
        if column.type == "str" and source in sheet.floats:
            raise BadInputError(
                f"column '{source}' holds {column.name} as floating-point numbers, in which no name survives",
                where=where, todo="write it as text or as whole numbers",
            )  # fmt: skip
        written = Mapping() if source in sheet.typed else mapping
        values, bad = typed(rows, source, column, written, least=least(column))
        faults += bad
        out.append(values)
    frame = pl.DataFrame(out)
    good = frame.filter(~pl.col("_row").is_in([f.row for f in faults]))
    first = pl.col("_row").min().over(list(key)) if key else pl.col("_row")
    repeated = good.filter(pl.col("_row") != first).select("_row", first.alias("first"))
    for row, earlier in good.select("_row", first.alias("first")).filter(pl.col("_row") != pl.col("first")).iter_rows():
        faults.append(Fault(row, "", "repeated", f"repeats the {', '.join(key)} of row {earlier}; keep one", None))
    good = good.filter(~pl.col("_row").is_in(repeated.get_column("_row").implode()))
    return Shaped(good, faults, sheet.rows.height + len(sheet.bad_rows))


def _sources(
    sheet: Sheet, columns: Sequence[Column], mapping: Mapping, where: str
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The rows with constants added, and for each wanted column the name it has there."""
    rows, sources = sheet.rows, {}
    constants = dict(mapping.constants) | ({"unit_code": mapping.unit} if mapping.unit else {})
    known = {c.name for c in columns}
    strange = sorted((set(mapping.columns) | set(constants)) - known)
    if strange:
        raise BadInputError(
            f"the mapping names columns we do not have: {', '.join(strange)}", where=where, todo=f"use {', '.join(sorted(known))}"
        )  # fmt: skip
    missing = []
    for column in columns:
        theirs = mapping.columns.get(column.name, column.name)
        if column.name in constants:
            sources[column.name] = f"(constant {column.name})"
            rows = rows.with_columns(pl.lit(constants[column.name]).alias(sources[column.name]))
        elif theirs in sheet.columns:
            sources[column.name] = theirs
        elif column.nullable and column.name not in mapping.columns:
            sources[column.name] = f"(absent {column.name})"
            rows = rows.with_columns(pl.lit(None, pl.String).alias(sources[column.name]))
        else:
            missing.append((column.name, theirs))
    if missing:
        wanted = ", ".join(f"'{theirs}'" for _, theirs in missing)
        keys = ", ".join(f"{ours}: <their column>" for ours, _ in missing)
        raise BadInputError(
            f"column {wanted} is missing; the file has {', '.join(sheet.columns)}",
            where=where, todo=f"name it in the mapping under `columns:` as `{keys}`",
        )  # fmt: skip
    return rows, sources


def _refuse_date_format(form: str, where: str) -> None:
    """A business day is that of the shop: no instant of another zone, and no month.

    Raises:
        BadInputError: the format reads a time zone, or no day.
    """
    if form and (_ZONE.search(form) or (_HOUR.search(form) and form.rstrip("'").endswith("Z"))):
        raise BadInputError(
            f"date_format '{form}' reads an instant with its time zone; an evening's sale would land on the next day", where=where,
            todo="give a column with the business day at the shop",
        )  # fmt: skip
    if form and not _DAY.search(form):
        raise BadInputError(
            f"date_format '{form}' reads no day", where=where, todo="give a column with the business day, or the last day of the stretch",
        )  # fmt: skip


def without_future(shaped: Shaped, event: str, theirs: str, at: datetime) -> Shaped:
    """What lies after the day of receipt, in the zone where that is latest, cannot have happened yet; days that are not named stay.

    By the day in UTC a shop in Sydney could not hand in this morning's sales before its evening.

    Args:
        shaped: rows of one file.
        event: our name of the day.
        theirs: its name in the file.
        at: instant at which the file reached us.
    """
    today: date = (at + _FIRST_ZONE).date()
    is_late = (pl.col(event) > today).fill_null(value=False)
    faults = [
        Fault(
            row,
            theirs,
            "future",
            f"{day} had begun nowhere on earth when the file reached us ({at:%Y-%m-%d %H:%M} UTC); correct the date",
            str(day),
        )
        for row, day in shaped.rows.filter(is_late).select("_row", event).iter_rows()
    ]
    return Shaped(shaped.rows.filter(~is_late), [*shaped.faults, *faults], shaped.read)


def as_rejects(
    faults: Sequence[Fault], columns: Sequence[str], document_id: str, available_at: datetime, where: str
) -> list[Reject]:
    """One reject per fault; element_no is the column's position in the file."""
    place = {name: n for n, name in enumerate(columns, start=1)}
    return [
        Reject(
            document_id,
            f"csv:{f.code}",
            f"{where}, row {f.row}{f', column {f.column!r}' if f.column else ''}: {f.reason}",
            available_at,
            segment_no=f.row,
            element_no=place.get(f.column),
            segment_text=f.text,
        )
        for f in faults
    ]
