"""Envelope verdicts from the few header and trailer rows: counts, control references, what is missing or misplaced.

Works on the `envelope` frame of `tokens` with `doc` and rows that ascend over all batches of a reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aios_assets.edi.delims import COMP
from aios_assets.edi.words import say

_I32 = pl.Int32


@dataclass(frozen=True, slots=True)
class Envelopes:
    """What the envelopes say.

    Attributes:
        interchanges: gi (global ordinal), doc, interchange_no, row, standard, ids, control, dates, counts.
        groups: gg, gi, doc, group_no, code, version, control, counts.
        sets: gs, gi, gg, doc, set_no, group_no, code, version, control, start, end, segments.
        faults: level, gi, gg, gs, row, element_no, code, reason: every envelope fault found.
    """

    interchanges: pl.DataFrame
    groups: pl.DataFrame
    sets: pl.DataFrame
    faults: pl.DataFrame


def comp(column: str, n: int) -> pl.Expr:
    """n-th component (from 1) of a composite element, trimmed; empty is null."""
    value = pl.col(column).str.split(COMP).list.get(n - 1, null_on_oob=True).str.strip_chars(" \t\r\n\x00")
    return pl.when(value != "").then(value)


def _given(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.col(column))


def _ordinals(rows: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Add the global ordinals, what each row belongs to, and the next envelope row of the document."""
    kind = pl.col("kind")
    rows = rows.join(sizes, on="doc", how="left", maintain_order="left").with_columns(
        gi=(kind == 1).cum_sum().cast(_I32) - 1,
        gg_own=(kind == 2).cum_sum().cast(_I32) - 1,
        gs=(kind == 3).cum_sum().cast(_I32) - 1,
        next_row=pl.col("row").shift(-1),
        next_kind=kind.shift(-1),
        next_doc=pl.col("doc").shift(-1),
        next_e1=pl.col("e1").shift(-1),
        next_e2=pl.col("e2").shift(-1),
    )
    open_group = pl.when(kind == 2).then(pl.col("gg_own")).when(kind.is_in([1, 5, 6])).then(pl.lit(-1, dtype=_I32))
    open_interchange = pl.when(kind == 1).then(pl.col("gi")).when(kind == 6).then(pl.lit(-1, dtype=_I32))
    return rows.with_columns(
        gg=open_group.forward_fill(),
        # A trailer still belongs to what it closes.
        gg_before=open_group.forward_fill().shift(1),
        open_before=open_interchange.forward_fill().shift(1),
    )


def _number(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars(" \t\r\n\x00").cast(pl.Int64, strict=False)


def _interchanges(rows: pl.DataFrame) -> pl.DataFrame:
    x12 = pl.col("tag") == "ISA"
    out = rows.filter(pl.col("kind") == 1)
    first = pl.col("gi").min().over("doc")
    day = pl.when(x12).then(pl.col("e9")).otherwise(comp("e4", 1))
    hour = pl.when(x12).then(pl.col("e10")).otherwise(comp("e4", 2)).fill_null("")
    return out.select(
        "gi",
        "doc",
        "row",
        "elements",
        (pl.col("gi") - first + 1).alias("interchange_no"),
        pl.when(x12).then(pl.lit("X12")).otherwise(pl.lit("EDIFACT")).alias("standard_code"),
        pl.when(x12).then(_given("e6")).otherwise(comp("e2", 1)).fill_null("").alias("sender_id"),
        pl.when(x12).then(_given("e5")).otherwise(comp("e2", 2)).fill_null("").alias("sender_qualifier"),
        pl.when(x12).then(_given("e8")).otherwise(comp("e3", 1)).fill_null("").alias("receiver_id"),
        pl.when(x12).then(_given("e7")).otherwise(comp("e3", 2)).fill_null("").alias("receiver_qualifier"),
        pl.when(x12).then(_given("e13")).otherwise(comp("e5", 1)).fill_null("").alias("control_number"),
        pl.when(x12).then(_given("e12")).otherwise(comp("e1", 2)).alias("syntax_version"),
        pl.when(x12).then(_given("e14")).otherwise(_given("e9")).alias("ack_requested"),
        sent_at(day, hour).alias("sent_at_utc"),
        day.alias("sent_date"),
        hour.alias("sent_time"),
        pl.when(x12).then(_given("e15")).alias("usage_code"),
    )


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


def _groups(rows: pl.DataFrame) -> pl.DataFrame:
    x12 = pl.col("tag") == "GS"
    out = rows.filter(pl.col("kind") == 2)
    return out.select(
        pl.when(x12).then(pl.lit("X12")).otherwise(pl.lit("EDIFACT")).alias("standard_code"),
        pl.col("gg_own").alias("gg"),
        "gi",
        "doc",
        "row",
        (pl.col("gg_own") - pl.col("gg_own").min().over("doc") + 1).alias("group_no"),
        pl.col("e1").fill_null("").alias("group_code"),
        pl.when(x12).then(_given("e2")).otherwise(comp("e2", 1)).alias("application_sender"),
        pl.when(x12).then(_given("e3")).otherwise(comp("e3", 1)).alias("application_receiver"),
        pl.when(x12).then(_given("e6")).otherwise(comp("e5", 1)).fill_null("").alias("control_number"),
        pl.when(x12)
        .then(_given("e8"))
        .otherwise(pl.concat_str(comp("e7", 1), comp("e7", 2), ignore_nulls=True))
        .alias("version_code"),
    )


def _sets(rows: pl.DataFrame) -> pl.DataFrame:
    x12 = pl.col("tag") == "ST"
    out = rows.filter(pl.col("kind") == 3)
    same = (pl.col("next_doc") == pl.col("doc")).fill_null(value=False)
    closed = same & (pl.col("next_kind") == 4)
    end = (
        pl.when(closed)
        .then(pl.col("next_row"))
        .when(same)
        .then(pl.col("next_row") - 1)
        .otherwise(pl.col("doc_end") - 1)
    )
    return out.select(
        "gs",
        "gi",
        "gg",
        "doc",
        (pl.col("gs") - pl.col("gs").min().over("doc") + 1).alias("set_no"),
        pl.col("row").alias("start"),
        end.alias("end"),
        (end - pl.col("row") + 1).cast(_I32).alias("segments"),
        closed.alias("closed"),
        pl.when(x12).then(_given("e1")).otherwise(comp("e2", 1)).fill_null("").alias("set_code"),
        pl.when(x12).then(_given("e2")).otherwise(comp("e1", 1)).fill_null("").alias("control_number"),
        pl.when(x12)
        .then(_given("e3"))
        .otherwise(pl.concat_str(comp("e2", 2), comp("e2", 3), separator=".", ignore_nulls=True))
        .alias("version_code"),
        pl.when(x12).then(pl.lit("X12")).otherwise(pl.lit("EDIFACT")).alias("standard_code"),
        pl.col("next_e1").alias("said_count"),
        pl.col("next_e2").alias("said_control"),
    )


def read_envelopes(rows: pl.DataFrame, sizes: pl.DataFrame) -> Envelopes:
    """Reconstruct interchanges, groups and sets and find every envelope fault.

    Args:
        rows: envelope rows of all batches: row (i64, ascending), doc (i32), kind, tag, elements, e1 … e16.
        sizes: doc and doc_end, the row after its last segment.
    """
    rows = _ordinals(rows, sizes)
    interchanges, groups, sets = _interchanges(rows), _groups(rows), _sets(rows)
    sets = sets.join(
        groups.select(
            "gg",
            "group_no",
            pl.col("version_code").alias("gv"),
            "group_code",
            pl.col("control_number").alias("group_control_number"),
        ),
        on="gg",
        how="left",
        maintain_order="left",
    )
    sets = sets.with_columns(version_code=pl.coalesce("version_code", "gv")).drop("gv")
    interchanges, closing = _close_interchanges(rows, interchanges, groups, sets)
    groups, group_faults = _close_groups(rows, groups, sets)
    faults = [*closing, *group_faults, *_set_faults(sets), *_strays(rows)]
    return Envelopes(interchanges, groups, sets, pl.concat(faults) if faults else NO_FAULTS.clear())


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


def fault(
    frame: pl.DataFrame,
    when: pl.Expr,
    level: str,
    code: pl.Expr,
    reason: pl.Expr,
    *,
    row: str = "row",
    element: int | None = None,
) -> pl.DataFrame:
    """Rows of `frame` that have a fault, in the common shape."""
    hit = frame.filter(when)
    names = hit.columns
    return hit.select(
        pl.lit(level).alias("level"),
        *((pl.col(k) if k in names else pl.lit(-1, dtype=_I32).alias(k)) for k in ("gi", "gg", "gs")),
        pl.col(row).cast(pl.Int64).alias("row"),
        pl.lit(element, dtype=_I32).alias("element_no"),
        code.alias("code"),
        reason.alias("reason"),
    )


def _by(x12: str, edifact: str) -> pl.Expr:
    return pl.when(pl.col("standard_code") == "X12").then(pl.lit(x12)).otherwise(pl.lit(edifact))


def _differs(left: str, right: str) -> pl.Expr:
    """Two control references differ, leading zeros and blanks aside only when both are numbers."""
    a, b = pl.col(left).fill_null(""), pl.col(right).fill_null("")
    same_number = (_number(left) == _number(right)).fill_null(value=False)
    return (a != b) & ~same_number


def _set_faults(sets: pl.DataFrame) -> list[pl.DataFrame]:
    s = sets.with_columns(row=pl.col("start"), trailer=_by("SE", "UNT"))
    count = _number("said_count")
    closed = pl.col("closed")
    what = say("{} {}", pl.col("set_code"), pl.col("control_number"))
    return [
        fault(
            s,
            ~closed,
            "set",
            _by("AK5:2", "CONTRL:13"),
            say("{} has no {} segment: it was cut off", what, "trailer"),
            row="end",
        ),
        fault(
            s,
            closed & (count.is_null() | (count != pl.col("segments"))),
            "set",
            _by("AK5:4", "CONTRL:29"),
            say(
                "{} says {} segments in {}, {} were counted",
                what,
                pl.col("said_count").fill_null("no"),
                "trailer",
                "segments",
            ),
            row="end",
            element=1,
        ),
        fault(
            s,
            closed & _differs("said_control", "control_number"),
            "set",
            _by("AK5:3", "CONTRL:28"),
            say("{} is closed under control number {}", what, pl.col("said_control").fill_null("none")),
            row="end",
            element=2,
        ),
        fault(
            s,
            pl.col("set_code") == "",
            "set",
            _by("AK5:6", "CONTRL:13"),
            pl.lit("the set does not say what type it is"),
            element=1,
        ),
        fault(
            s,
            pl.col("control_number") == "",
            "set",
            _by("AK5:7", "CONTRL:13"),
            pl.lit("the set has no control number"),
            element=2,
        ),
    ]


def _close_groups(
    rows: pl.DataFrame, groups: pl.DataFrame, sets: pl.DataFrame
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    close = rows.filter((pl.col("kind") == 5) & (pl.col("gg_before") >= 0)).select(
        pl.col("gg_before").alias("gg"),
        pl.col("row").alias("close_row"),
        pl.col("e1").alias("said_count"),
        pl.col("e2").alias("said_control"),
        pl.lit(value=True).alias("closed"),
    )
    held = sets.filter(pl.col("gg") >= 0).group_by("gg", maintain_order=True).agg(pl.len().cast(_I32).alias("sets"))
    groups = groups.join(close, on="gg", how="left", maintain_order="left").join(
        held, on="gg", how="left", maintain_order="left"
    )
    groups = groups.with_columns(
        pl.col("sets").fill_null(0),
        pl.col("closed").fill_null(value=False),
        at=pl.coalesce("close_row", "row"),
        standard_code=pl.when(pl.col("version_code").str.contains("^[A-Z]"))
        .then(pl.lit("EDIFACT"))
        .otherwise(pl.lit("X12")),
    )
    count, closed = _number("said_count"), pl.col("closed")
    what = say("group {}", pl.col("control_number"))
    return groups, [
        fault(
            groups,
            ~closed,
            "group",
            _by("AK9:3", "CONTRL:13"),
            say("{} has no trailer: it was cut off", what),
            row="at",
        ),
        fault(
            groups,
            closed & (count.is_null() | (count != pl.col("sets"))),
            "group",
            _by("AK9:5", "CONTRL:29"),
            say("{} says {} sets in its trailer, {} were counted", what, pl.col("said_count").fill_null("no"), "sets"),
            row="at",
            element=1,
        ),
        fault(
            groups,
            closed & _differs("said_control", "control_number"),
            "group",
            _by("AK9:4", "CONTRL:28"),
            say("{} is closed under control number {}", what, pl.col("said_control").fill_null("none")),
            row="at",
            element=2,
        ),
    ]


def _close_interchanges(
    rows: pl.DataFrame, interchanges: pl.DataFrame, groups: pl.DataFrame, sets: pl.DataFrame
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    close = rows.filter((pl.col("kind") == 6) & (pl.col("open_before") >= 0)).select(
        "gi",
        pl.col("row").alias("close_row"),
        pl.col("e1").alias("said_count"),
        pl.col("e2").alias("said_control"),
        pl.lit(value=True).alias("closed"),
    )
    out = interchanges.join(close, on="gi", how="left", maintain_order="left")
    for frame, name in ((groups, "groups"), (sets, "sets")):
        held = frame.group_by("gi", maintain_order=True).agg(pl.len().cast(_I32).alias(name))
        out = out.join(held, on="gi", how="left", maintain_order="left").with_columns(pl.col(name).fill_null(0))
    ends = rows.group_by("doc", maintain_order=True).agg(pl.col("doc_end").first())
    out = out.join(ends, on="doc", how="left", maintain_order="left").with_columns(
        pl.col("closed").fill_null(value=False)
    )
    next_row = pl.when(pl.col("doc").shift(-1) == pl.col("doc")).then(pl.col("row").shift(-1))
    out = out.with_columns(
        last=pl.coalesce("close_row", next_row - 1, pl.col("doc_end") - 1),
        bare=pl.col("elements") == 0,
        counted=pl.when((pl.col("standard_code") == "X12") | (pl.col("groups") > 0))
        .then(pl.col("groups"))
        .otherwise(pl.col("sets")),
        trailer_tag=_by("IEA", "UNZ"),
    )
    tail = next_row.fill_null(pl.col("doc_end")) - 1
    out = out.with_columns(
        segments=pl.col("last") - pl.col("row") + 1 - pl.col("bare").cast(pl.Int64),
        at=pl.coalesce("close_row", "last"),
        tail=tail,
        said_count_no=_number("said_count"),
    )
    closed, here = pl.col("closed"), ~pl.col("bare")
    what = say("interchange {}", pl.col("control_number"))
    counted_words = say(
        "{} says {} groups or messages in {}, {} were counted",
        what,
        pl.col("said_count").fill_null("no"),
        "trailer_tag",
        "counted",
    )
    wrong = pl.col("said_count_no").is_null() | (pl.col("said_count_no") != pl.col("counted"))
    return out, [
        fault(
            out,
            ~here,
            "interchange",
            _by("TA1:024", "CONTRL:13"),
            pl.lit("the sets came without an interchange envelope (no ISA or UNB)"),
        ),
        fault(
            out,
            here & ~closed,
            "interchange",
            _by("TA1:023", "CONTRL:13"),
            say("{} has no {}: it was cut off", what, "trailer_tag"),
            row="at",
        ),
        fault(out, closed & wrong, "interchange", _by("TA1:021", "CONTRL:29"), counted_words, row="at", element=1),
        fault(
            out,
            closed & here & _differs("said_control", "control_number"),
            "interchange",
            _by("TA1:001", "CONTRL:28"),
            say("{} is closed under control number {}", what, pl.col("said_control").fill_null("none")),
            row="at",
            element=2,
        ),
        fault(
            out,
            here & (pl.col("control_number") == ""),
            "interchange",
            _by("TA1:018", "CONTRL:13"),
            pl.lit("the interchange has no control number"),
        ),
        *_dates(out.filter(here)),
    ]


# Faults of an interchange that accept it with errors: nothing hangs on when it says that it was made.
MILD = ("TA1:014", "TA1:015", "CONTRL:12")


def _dates(interchanges: pl.DataFrame) -> list[pl.DataFrame]:
    """Dates and times of the envelope (ISA09 and ISA10, S004 of UNB) that are none.

    Source: X12 TA105: 014 invalid interchange date, 015 invalid interchange time; EDIFACT 0085: 12 invalid value.
    """
    day, hour = pl.col("sent_date"), pl.col("sent_time")
    digits = hour.str.contains("^([01][0-9]|2[0-3])[0-5][0-9]([0-5][0-9]([0-9]{2})?)?$")
    x12 = pl.col("standard_code") == "X12"
    words = "{} '{}' is no {}: when the interchange was made is not known"
    return [
        fault(
            interchanges,
            sent_at(day, pl.lit("")).is_null() & day.is_not_null(),
            "interchange",
            _by("TA1:014", "CONTRL:12"),
            say(words, pl.when(x12).then(pl.lit("ISA09")).otherwise(pl.lit("the date of UNB")), day, pl.lit("date")),
            element=9,
        ),
        fault(
            interchanges,
            ~digits & (hour != ""),
            "interchange",
            _by("TA1:015", "CONTRL:12"),
            say(words, pl.when(x12).then(pl.lit("ISA10")).otherwise(pl.lit("the time of UNB")), hour, pl.lit("time")),
            element=10,
        ),
    ]


def _strays(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Trailers that close nothing."""
    kind, before = pl.col("kind"), pl.col("kind").shift(1)
    stray = (
        ((kind == 4) & (before != 3))
        | ((kind == 5) & (pl.col("gg_before") < 0))
        | ((kind == 6) & (pl.col("open_before") < 0))
    )
    code = pl.when(pl.col("tag").str.starts_with("UN")).then(pl.lit("CONTRL:15")).otherwise(pl.lit("TA1:024"))
    frame = rows.with_columns(stray=stray.fill_null(value=False)).drop("gg", "gs")
    return [fault(frame, pl.col("stray"), "interchange", code, say("{} closes nothing that was opened", "tag"))]
