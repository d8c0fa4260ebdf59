"""Text cells to typed columns: every cell that does not fit sets its row aside with the place and the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from aios_assets.contracts.table import Column
    from aios_assets.tabular.mapping import Mapping

_SPACES = (
    "[ \u00a0\u202f]"  # a spreadsheet that is told to write a space between thousands writes one that does not break
)
_FIRST_YEAR = 1900
_TRUE, _FALSE = ("true", "1", "yes", "y", "t"), ("false", "0", "no", "n", "f")
_REAL = ("f64", "f32")
_COMMA = r"^[+-]?\d+,\d+$"
_COMMA_TODO = "write it with a decimal point, or import the file with `decimal_comma: true` in its mapping"
_WANTED = {
    "i32": "a whole number", "i64": "a whole number", "f64": "a number", "f32": "a number", "date": "a date",
    "ts": "an instant", "bool": "true or false", "str": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One cell that does not fit.

    Attributes:
        row: row number in the file, header is 1.
        column: name in the file.
        code: short word for the kind of fault.
        reason: plain words.
        text: the cell.
    """

    row: int
    column: str
    code: str
    reason: str
    text: str | None


def typed(
    rows: pl.DataFrame, source: str, column: Column, mapping: Mapping, *, least: float | None = None
) -> tuple[pl.Series, list[Fault]]:
    """One column of `rows` in the contract's type, and the cells that do not fit (null in the result).

    Args:
        rows: text cells and `_row`.
        source: name of the column in `rows`.
        column: contract.
        mapping: how dates and numbers are written.
        least: smallest value that is taken; None takes any.
    """
    text = rows.get_column(source)
    values = _parse(text, column, mapping).alias(column.name)
    wrong, reads = text.is_not_null() & values.is_null(), _reads(column, mapping)
    comma = wrong & text.str.contains(_COMMA).fill_null(False) & (column.type in _REAL and not mapping.decimal_comma)
    faults = _faults(rows, source, wrong & ~comma, "wrong_type", reads)
    faults += _faults(rows, source, comma, "wrong_type", f"{reads}; {_COMMA_TODO}")
    if column.type == "date":
        early = (values.dt.year() < _FIRST_YEAR).fill_null(False)
        why = f"is a day before {_FIRST_YEAR}; write years with four digits, or use %y in date_format"
        faults += _faults(rows, source, early, "too_early", why)
    if not column.nullable:
        faults += _faults(rows, source, text.is_null(), "empty", "is empty; a value is needed")
    if column.codes:
        foreign = values.is_not_null() & ~values.is_in(list(column.codes))
        faults += _faults(rows, source, foreign, "unknown_code", f"is none of {', '.join(column.codes)}")
    if least is not None and values.dtype.is_numeric():
        word = "is negative" if least == 0 else f"is less than {least:g}"
        faults += _faults(rows, source, (values < least).fill_null(False), "too_small", word)
    return values, faults


def _faults(rows: pl.DataFrame, source: str, mask: pl.Series, code: str, reason: str) -> list[Fault]:
    if not mask.any():
        return []
    bad = zip(rows.get_column("_row").filter(mask), rows.get_column(source).filter(mask), strict=True)
    return [Fault(row, source, code, f"{_shown(cell)}{reason}", cell) for row, cell in bad]


def _shown(cell: str | None) -> str:
    return "" if cell is None else f"'{cell[:60]}' "


def _reads(column: Column, mapping: Mapping) -> str:
    if column.type == "date":
        return f"is no date of the form {mapping.date_format or '%Y-%m-%d'}"
    form = ""
    if column.type in ("i32", "i64", "f64", "f32") and (mapping.decimal_comma or mapping.thousands):
        form = f" of the form 1{mapping.thousands}234" + ("" if column.type[0] == "i" else f"{_decimal(mapping)}5")
    return f"is not {_WANTED[column.type]}{form}"


def _parse(text: pl.Series, column: Column, mapping: Mapping) -> pl.Series:
    """`text` in the column's type; null where a cell does not fit."""
    if column.type == "str":
        return text
    if column.type == "date":
        return text.str.to_date(mapping.date_format or "%Y-%m-%d", strict=False, exact=True)
    if column.type == "ts":
        return text.str.to_datetime("%+", strict=False, time_unit="us", time_zone="UTC")
    if column.type == "bool":
        low = text.str.to_lowercase()
        frame = pl.DataFrame({"t": low})
        said = pl.when(pl.col("t").is_in(_TRUE)).then(True).when(pl.col("t").is_in(_FALSE)).then(False)
        return frame.select(said.alias("t")).get_column("t")
    return _number(text, column, mapping)


def _decimal(mapping: Mapping) -> str:
    return "," if mapping.decimal_comma else "."


def _mark(mapping: Mapping) -> str:
    """Pattern of the mark between thousands; empty when there is none."""
    return _SPACES if mapping.thousands == " " else re.escape(mapping.thousands)


def _number_form(mapping: Mapping) -> str:
    """Pattern of a number as the mapping says numbers are written.

    A mark between thousands has three digits after it, and no other mark is taken: `1.5` is not 15, nor `1.234` one and a bit.
    """
    mark, decimal = _mark(mapping), re.escape(_decimal(mapping))
    whole = rf"(\d+|\d{{1,3}}({mark}\d{{3}})+)" if mark else r"\d+"
    if mapping.thousands == _decimal(mapping):
        return rf"^[+-]?{whole}$"
    return rf"^[+-]?({whole}({decimal}\d*)?|{decimal}\d+)([eE][+-]?\d{{1,3}})?$"


def _number(text: pl.Series, column: Column, mapping: Mapping) -> pl.Series:
    fits = text.str.contains(_number_form(mapping))
    if mapping.thousands:
        text = text.str.replace_all(_mark(mapping), "")
    if mapping.decimal_comma:
        text = text.str.replace(",", ".", literal=True)
    frame = pl.DataFrame({"t": text, "fits": fits})
    number = pl.when("fits").then(pl.col("t").cast(pl.Float64, strict=False))
    values = frame.select(number.alias("v")).get_column("v")
    values = frame.with_columns(values).select(pl.when(pl.col("v").is_finite()).then(pl.col("v"))).to_series()
    if column.type in ("i32", "i64"):
        whole = pl.DataFrame({"v": values}).select(pl.when(pl.col("v") == pl.col("v").round(0)).then(pl.col("v")))
        return whole.to_series().cast(column.dtype, strict=False)
    return values
