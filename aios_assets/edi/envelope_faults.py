"""What is wrong with envelopes: missing headers and trailers, counts and control references that do not agree, dates that are none.

Works on the frames of `envelope`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import polars as pl

from aios_assets.edi.words import say

_I32 = pl.Int32
# Faults of an interchange that accept it with errors: nothing hangs on when it says that it was made.
MILD = ("TA1:014", "TA1:015", "CONTRL:12")
NO_FAULTS = pl.DataFrame(
    schema={
        "level": pl.String,
        "gi": _I32,
        "gg": _I32,
        "gs": _I32,
        "row": pl.Int64,
        "element_no": _I32,
        "code": pl.String,
        "reason": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class _Fault:
    """A fault that rows of a frame may have.

    Attributes:
        when: which rows have it.
        code: its standard code.
        reason: what is told.
        row: the column that says where.
        element: number of the element at fault.
    """

    when: pl.Expr
    code: pl.Expr
    reason: pl.Expr
    row: str = "row"
    element: int | None = None


def envelope_faults(
    rows: pl.DataFrame, interchanges: pl.DataFrame, groups: pl.DataFrame, sets: pl.DataFrame
) -> pl.DataFrame:
    """Every envelope fault: level, gi, gg, gs, row, element_no, code, reason.

    Args:
        rows: envelope rows with what was open before each.
        interchanges: as `Envelopes.interchanges`.
        groups: as `Envelopes.groups`.
        sets: as `Envelopes.sets`.
    """
    found = [
        *_found(interchanges, "interchange", [*_interchange_faults(), *_date_faults()]),
        *_found(groups, "group", _group_faults()),
        *_found(sets.filter(~pl.col("right")), "set", _set_faults()),
        *_found(rows.drop("gg", "gs"), "interchange", [_stray()]),
    ]
    return pl.concat([NO_FAULTS, *found])


def _found(frame: pl.DataFrame, level: str, faults: list[_Fault]) -> list[pl.DataFrame]:
    """Rows that have one of the faults, in the common shape; all faults are looked for at once."""
    masks = frame.select(fault.when.fill_null(value=False).alias(str(n)) for n, fault in enumerate(faults))
    names = frame.columns
    return [
        frame.filter(mask).select(
            pl.lit(level).alias("level"),
            *((pl.col(k) if k in names else pl.lit(-1, dtype=_I32).alias(k)) for k in ("gi", "gg", "gs")),
            pl.col(fault.row).cast(pl.Int64).alias("row"),
            pl.lit(fault.element, dtype=_I32).alias("element_no"),
            fault.code.alias("code"),
            fault.reason.alias("reason"),
        )
        for mask, fault in zip(masks, faults, strict=True)
        if mask.any()
    ]


def _number(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars(" \t\r\n\x00").cast(pl.Int64, strict=False)


def _by(x12: str, edifact: str) -> pl.Expr:
    return pl.when(pl.col("standard_code") == "X12").then(pl.lit(x12)).otherwise(pl.lit(edifact))


def _differs(left: str, right: str) -> pl.Expr:
    """Two control references differ, leading zeros and blanks aside only when both are numbers."""
    a, b = pl.col(left).fill_null(""), pl.col(right).fill_null("")
    same_number = (_number(left) == _number(right)).fill_null(value=False)
    return (a != b) & ~same_number


def _trailer_faults(
    what: pl.Expr, counted: str, noun: str, place: pl.Expr, codes: tuple[str, str], row: str, *, named: pl.Expr
) -> list[_Fault]:
    """A trailer says another number than was counted, or none; or another control reference.

    Args:
        what: words for what it closes.
        counted: column of what was counted.
        noun: what that is.
        place: where the number stands.
        codes: X12's codes of the two faults.
        row: see `_Fault`.
        named: whether what it closes has a control reference.
    """
    closed, said = pl.col("closed"), _number("said_count")
    words = "{} says {} {} in {}, {} were counted"
    return [
        _Fault(
            closed & (said.is_null() | (said != pl.col(counted))),
            _by(codes[0], "CONTRL:29"),
            say(words, what, pl.col("said_count").fill_null("no"), pl.lit(noun), place, counted),
            row,
            element=1,
        ),
        _Fault(
            closed & named & _differs("said_control", "control_number"),
            _by(codes[1], "CONTRL:28"),
            say("{} is closed under control number {}", what, pl.col("said_control").fill_null("none")),
            row,
            element=2,
        ),
    ]


@cache
def _set_faults() -> list[_Fault]:
    trailer = _by("SE", "UNT")
    what = say("{} {}", pl.col("set_code"), pl.col("control_number"))
    cut = say("{} has no {} segment: it was cut off", what, trailer)
    return [
        _Fault(~pl.col("closed"), _by("AK5:2", "CONTRL:13"), cut, "end"),
        *_trailer_faults(what, "segments", "segments", trailer, ("AK5:4", "AK5:3"), "end", named=pl.lit(value=True)),
        _Fault(
            pl.col("set_code") == "",
            _by("AK5:6", "CONTRL:13"),
            pl.lit("the set does not say what type it is"),
            "start",
            element=1,
        ),
        _Fault(
            pl.col("control_number") == "",
            _by("AK5:7", "CONTRL:13"),
            pl.lit("the set has no control number"),
            "start",
            element=2,
        ),
    ]


@cache
def _group_faults() -> list[_Fault]:
    what, place = say("group {}", pl.col("control_number")), pl.lit("its trailer")
    cut = say("{} has no trailer: it was cut off", what)
    return [
        _Fault(~pl.col("closed"), _by("AK9:3", "CONTRL:13"), cut, "at"),
        *_trailer_faults(what, "sets", "sets", place, ("AK9:5", "AK9:4"), "at", named=pl.lit(value=True)),
    ]


@cache
def _interchange_faults() -> list[_Fault]:
    here, trailer = ~pl.col("bare"), _by("IEA", "UNZ")
    what, noun = say("interchange {}", pl.col("control_number")), "groups or messages"
    bare = pl.lit("the sets came without an interchange envelope (no ISA or UNB)")
    cut = say("{} has no {}: it was cut off", what, trailer)
    return [
        _Fault(~here, _by("TA1:024", "CONTRL:13"), bare),
        _Fault(here & ~pl.col("closed"), _by("TA1:023", "CONTRL:13"), cut, "at"),
        *_trailer_faults(what, "counted", noun, trailer, ("TA1:021", "TA1:001"), "at", named=here),
        _Fault(
            here & (pl.col("control_number") == ""),
            _by("TA1:018", "CONTRL:13"),
            pl.lit("the interchange has no control number"),
        ),
    ]


def sent_at(day: pl.Expr, hour: pl.Expr) -> pl.Expr:
    """Envelope date (YYMMDD or CCYYMMDD) and time (HHMM…) as an instant; null when they cannot be read."""
    full = (
        pl.when(day.str.len_bytes() == 8)
        .then(day)
        .when(day.str.len_bytes() == 6)
        .then(pl.when(day.str.head(2) >= "70").then(pl.lit("19") + day).otherwise(pl.lit("20") + day))
    )
    clock = pl.when(hour.str.len_bytes() >= 4).then(hour.str.head(4)).otherwise(pl.lit("0000"))
    at = (full + clock).str.to_datetime("%Y%m%d%H%M", strict=False, exact=True, time_unit="us")
    return at.dt.replace_time_zone("UTC")


@cache
def _date_faults() -> list[_Fault]:
    """Dates and times of the envelope (ISA09 and ISA10, S004 of UNB) that are none.

    Source: X12 TA105: 014 invalid interchange date, 015 invalid interchange time; EDIFACT 0085: 12 invalid value.
    """
    day, hour, here = pl.col("sent_date"), pl.col("sent_time"), ~pl.col("bare")
    digits = hour.str.contains("^([01][0-9]|2[0-3])[0-5][0-9]([0-5][0-9]([0-9]{2})?)?$")
    words = "{} '{}' is no {}: when the interchange was made is not known"
    return [
        _Fault(
            here & sent_at(day, pl.lit("")).is_null() & day.is_not_null(),
            _by("TA1:014", "CONTRL:12"),
            say(words, _by("ISA09", "the date of UNB"), day, pl.lit("date")),
            element=9,
        ),
        _Fault(
            here & ~digits & (hour != ""),
            _by("TA1:015", "CONTRL:12"),
            say(words, _by("ISA10", "the time of UNB"), hour, pl.lit("time")),
            element=10,
        ),
    ]


@cache
def _stray() -> _Fault:
    """Trailers that close nothing."""
    kind = pl.col("kind")
    stray = (
        ((kind == 4) & ~pl.col("closes_set"))
        | ((kind == 5) & (pl.col("gg_before") < 0))
        | ((kind == 6) & (pl.col("open_before") < 0))
    )
    return _Fault(stray, stray_code(), say("{} closes nothing that was opened", "tag"))


def stray_code() -> pl.Expr:
    """Code of a trailer that closes nothing, by its tag."""
    edifact = pl.col("tag").str.starts_with("UN")
    return pl.when(edifact).then(pl.lit("CONTRL:15")).otherwise(pl.lit("TA1:024")).alias("code")
