"""Text to typed facts: every value that cannot be read sets its line aside with a code, a place and plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from aios_assets.contracts.edi_tables import ORIGIN, POINTER
from aios_assets.contracts.table import Column, Table
from aios_assets.edi.words import say

_FRAME = {c.name for c in (*POINTER, *ORIGIN)} | {"available_month"}
_EARLIEST, _LATEST = 1970, 2099
# Codes of what a person may release: an impossible number, an unclear one, a message that cancels, one that only informs.
NEGATIVE, UNCLEAR, CANCELLED, INFORMS = "negative_quantity", "unclear_quantity", "cancelled", "informs"


@dataclass(frozen=True, slots=True)
class Typed:
    """Facts and rejected lines of one table in one batch.

    Attributes:
        table: contract of the facts.
        facts: set, row, line_no, the table's own columns, and `soft` with `soft_code`: why a person has to release it, in words
            and as a code; once numbered, where there is one, also the segment's text as `seg`.
        rejects: set, row, line_no, element_no, error_code, reason, and once numbered `seg`.
        seen: candidate lines; always facts + rejects.
    """

    table: Table
    facts: pl.DataFrame
    rejects: pl.DataFrame
    seen: int


@dataclass(frozen=True, slots=True)
class _Check:
    when: pl.Expr
    code: str
    element: int | str | None
    words: pl.Expr


def own_columns(table: Table) -> tuple[Column, ...]:
    """Columns of a fact table that are not pointer, origin or partition."""
    return tuple(c for c in table.columns if c.name not in _FRAME)


def read_date(text: pl.Expr) -> pl.Expr:
    """CCYYMMDD or YYMMDD (years 70–99 are 19xx) to a date; null when it is neither."""
    digits = text.str.len_bytes()
    full = (
        pl.when(digits == 8)
        .then(text)
        .when(digits == 6)
        .then(pl.when(text.str.head(2) >= "70").then(pl.lit("19") + text).otherwise(pl.lit("20") + text))
    )
    day = full.str.to_date("%Y%m%d", strict=False, exact=True)
    return pl.when(day.dt.year().is_between(_EARLIEST, _LATEST)).then(day)


def read_time(text: pl.Expr) -> pl.Expr:
    """CCYYMMDD[HHMM[SS]] to an instant in UTC; null when it cannot be read."""
    digits = text.str.len_bytes()
    full = pl.when(digits == 8).then(text + "000000").when(digits == 12).then(text + "00").when(digits == 14).then(text)
    at = full.str.to_datetime("%Y%m%d%H%M%S", strict=False, exact=True, time_unit="us")
    return pl.when(at.dt.year().is_between(_EARLIEST, _LATEST)).then(at).dt.replace_time_zone("UTC")


def below_zero(column: str, when: pl.Expr) -> pl.Expr:
    """A number as text, with a minus where it is wanted and there is none."""
    text = pl.col(column).str.strip_chars()
    is_plain = when.fill_null(value=False) & ~text.str.starts_with("-")
    return pl.when(is_plain).then(pl.lit("-") + text.str.strip_prefix("+")).otherwise(column)


def read_number(text: pl.Expr) -> pl.Expr:
    """X12 R/N and EDIFACT n to a float; null for anything that is not a plain finite decimal number."""
    number = text.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def with_number(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """EDIFACT numbers may use the comma as decimal mark."""
    if not frame[column].str.contains(",", literal=True).any():
        return frame
    return frame.with_columns(pl.col(column).str.replace(",", ".", literal=True))


_READ = {"date": read_date, "ts": read_time, "f64": read_number}
_BAD = {
    "date": ("AK4:8", "is not a date (CCYYMMDD or YYMMDD)"),
    "ts": ("AK4:8", "is not a date and time"),
    "f64": ("AK4:6", "is not a number"),
}
_EDIFACT_CODES = {"AK4:8": "CONTRL:12", "AK4:6": "CONTRL:37", "AK4:1": "CONTRL:13"}


def _read(texts: pl.Series, kind: str) -> pl.Series:
    """A column read by its type; dates mostly stand in the header of a set, so that each run of equal ones is read once."""
    if kind == "f64" or len(texts) < 2 or texts.null_count() == len(texts):
        return texts.to_frame("text").select(_READ[kind](pl.col("text"))).to_series()
    begins = texts.ne_missing(texts.shift(1))
    begins[0] = True
    firsts = texts.filter(begins).to_frame("text").select(_READ[kind](pl.col("text"))).to_series()
    if len(firsts) == len(texts):
        return firsts
    return firsts.gather(begins.cum_sum() - 1)


def _checks(columns: tuple[Column, ...], at: Mapping[str, int | str]) -> list[_Check]:
    """Hard faults, worst first: what is missing, then what cannot be read."""
    out = []
    for c in columns:
        where = at.get(c.name)
        if not c.nullable:
            words = f"{c.name} is missing: {c.means}"
            out.append(_Check(pl.col(c.name).is_null(), "AK4:1", where, pl.lit(words)))
    for c in columns:
        if c.type in _READ:
            code, words = _BAD[c.type]
            bad = pl.col(c.name).is_not_null() & pl.col(f"{c.name}:typed").is_null()
            said = say("{} '{}' " + words, pl.lit(c.name), pl.col(c.name).str.head(60))
            out.append(_Check(bad, code, at.get(c.name), said))
    return out


def finish(
    table: Table,
    frame: pl.DataFrame,
    at: Mapping[str, int | str],
    *,
    standard: str = "X12",
    may_be_negative: pl.Expr | bool = False,
) -> Typed:
    """Type the candidate lines of one fact table.

    Args:
        table: contract.
        frame: one row per candidate fact: set, row, line_no and the table's own columns as text.
        at: element number of a column in the fact's segment, or the column of `frame` that holds it, for error messages.
        standard: whose error codes to give.
        may_be_negative: where a quantity below zero makes sense.
    """
    columns = own_columns(table)
    missing = [c.name for c in columns if c.name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in missing)
    if "line_no" not in frame.columns:
        frame = frame.with_columns(line_no=pl.lit(1, dtype=pl.Int32))
    frame = frame.with_columns(
        _read(frame[c.name], c.type).alias(f"{c.name}:typed") for c in columns if c.type in _READ
    )
    checks = _checks(columns, at)
    fault: pl.Expr | None = None
    for n, check in enumerate(checks):
        fault = (pl.when(check.when) if fault is None else fault.when(check.when)).then(pl.lit(n, dtype=pl.Int8))  # type: ignore[attr-defined]
    frame = frame.with_columns(fault=fault if fault is not None else pl.lit(None, dtype=pl.Int8))
    bad = frame.filter(pl.col("fault").is_not_null())
    good = frame if bad.is_empty() else frame.filter(pl.col("fault").is_null())
    facts = good.select(
        "set",
        "row",
        "line_no",
        *(pl.col(f"{c.name}:typed").alias(c.name) if c.type in _READ else c.name for c in columns),
    )
    return Typed(table, _soften(facts, may_be_negative), _reject(bad, checks, standard), frame.height)


def _soften(facts: pl.DataFrame, may_be_negative: pl.Expr | bool) -> pl.DataFrame:
    """Mark readable but impossible rows: a person may release them."""
    soft: pl.Expr = pl.lit(None, dtype=pl.String)
    code: pl.Expr = soft
    if "quantity" in facts.columns and may_be_negative is not True:
        allowed = pl.lit(may_be_negative) if isinstance(may_be_negative, bool) else may_be_negative
        words = say("quantity {} is below zero where that cannot be; release it if it is meant", pl.col("quantity"))
        below = (pl.col("quantity") < 0) & ~allowed
        soft, code = pl.when(below).then(words), pl.when(below).then(pl.lit(NEGATIVE))
    return facts.with_columns(soft=soft, soft_code=code)


def ask(typed: Typed, asked: pl.DataFrame, key: str, words: str, code: str) -> Typed:
    """Set lines aside for a person to release.

    Args:
        typed: lines of one table.
        asked: `key` and `words`, the reason; rows without a reason ask nothing, of several with one key the first asks.
        key: `row` or `set`.
        words: column of `asked`.
        code: code of the reason.
    """
    asked = asked.filter(pl.col(words).is_not_null()).select(key, asks=words).unique(key, keep="first")
    if asked.is_empty():
        return typed
    facts = typed.facts.join(asked, on=key, how="left", maintain_order="left")
    new = pl.col("asks").is_not_null()
    facts = facts.with_columns(
        soft=pl.coalesce("asks", "soft"), soft_code=pl.when(new).then(pl.lit(code)).otherwise("soft_code")
    )
    return replace(typed, facts=facts.drop("asks"))


def wait_for_lines(whole: Typed, typed: Typed, number: str, words: str) -> Typed:
    """Replacements of which a line was set aside wait for a person: what cannot be read would count no more.

    Args:
        whole: what messages do to all of a document; those with action_code `replace` put their lines in the place of all of it.
        typed: the lines of the same messages.
        number: column with the document's number.
        words: why it waits, with a place for the number.
    """
    broken = pl.concat([typed.rejects["set"], typed.facts.filter(pl.col("soft").is_not_null())["set"]]).unique()
    waits = whole.facts.filter(pl.col("set").is_in(broken.implode()), pl.col("action_code") == "replace")
    return ask(whole, waits.with_columns(asks=say(words, number)), "set", "asks", CANCELLED)


def _reject(bad: pl.DataFrame, checks: list[_Check], standard: str) -> pl.DataFrame:
    out = []
    for n, check in enumerate(checks if bad.height else ()):
        hit = bad.filter(pl.col("fault") == n)
        if hit.is_empty():
            continue
        code = _EDIFACT_CODES[check.code] if standard == "EDIFACT" else check.code
        out.append(
            hit.select(
                "set",
                "row",
                "line_no",
                _element(check.element).alias("element_no"),
                pl.lit(code).alias("error_code"),
                check.words.alias("reason"),
            )
        )
    return pl.concat(out) if out else REJECT_CANDIDATES.clear()


def _element(place: int | str | None) -> pl.Expr:
    return pl.col(place) if isinstance(place, str) else pl.lit(place, dtype=pl.Int32)


REJECT_CANDIDATES = pl.DataFrame(
    schema={
        "set": pl.Int32,
        "row": pl.Int32,
        "line_no": pl.Int32,
        "element_no": pl.Int32,
        "error_code": pl.String,
        "reason": pl.String,
    }
)
