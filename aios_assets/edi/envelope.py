"""Envelope verdicts from the few header and trailer rows: counts, control references, what is missing or misplaced.

Works on the `envelope` frame of `tokens` with `doc` and rows that ascend over all batches of a reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from aios_assets.edi.delims import COMP
from aios_assets.edi.envelope_faults import envelope_faults, sent_at
from aios_assets.edi.strings import rows_at

_I32 = pl.Int32
# Sets that are looked at together.
_SETS = 200_000
# What both standards say in a header, then what each says.
Columns = tuple[list[pl.Expr], dict[str, pl.Expr], dict[str, pl.Expr]]


@dataclass(frozen=True, slots=True)
class Envelopes:
    """What the envelopes say.

    Attributes:
        interchanges: gi (global ordinal), doc, interchange_no, row, standard, ids, control, dates, counts.
        groups: gg, gi, doc, group_no, code, version, control, counts.
        sets: gs, gi, gg, doc, set_no, group_no, code, version, control, start, end, segments.
        answers: TA1 segments as envelope rows.
        faults: level, gi, gg, gs, row, element_no, code, reason: every envelope fault found.
    """

    interchanges: pl.DataFrame
    groups: pl.DataFrame
    sets: pl.DataFrame
    answers: pl.DataFrame
    faults: pl.DataFrame


def comp(column: str, n: int) -> pl.Expr:
    """n-th component (from 1) of a composite element, trimmed; empty is null."""
    value = pl.col(column).str.split(COMP).list.get(n - 1, null_on_oob=True).str.strip_chars(" \t\r\n\x00")
    return pl.when(value != "").then(value)


def is_test() -> pl.Expr:
    """Whether an interchange says that it is a test, or for information only; one that does not say is neither."""
    return pl.col("usage_code").str.strip_chars(" ").str.to_uppercase().is_in(["T", "I"]).fill_null(value=False)


def _given(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.col(column))


def _filled(column: str) -> pl.Expr:
    return pl.col(column).fill_null("")


def _ordinals(rows: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Add the ordinals in the reading and in the document, and what each row belongs to."""
    kind = pl.col("kind")
    rows = rows.join(sizes, on="doc", how="left", maintain_order="left").with_columns(
        gi=(kind == 1).cum_sum().cast(_I32) - 1,
        gg_own=(kind == 2).cum_sum().cast(_I32) - 1,
        gs=(kind == 3).cum_sum().cast(_I32) - 1,
        closes_set=(kind == 4) & (kind.shift(1, fill_value=0) == 3) & pl.col("end").shift(1).is_null(),
        begins=pl.col("doc").ne_missing(pl.col("doc").shift(1)),
    )
    open_group = pl.when(kind == 2).then(pl.col("gg_own")).when(kind.is_in([1, 5, 6])).then(pl.lit(-1, dtype=_I32))
    open_interchange = pl.when(kind == 1).then(pl.col("gi")).when(kind == 6).then(pl.lit(-1, dtype=_I32))
    return rows.with_columns(
        gg=open_group.forward_fill(),
        # A trailer still belongs to what it closes.
        gg_before=open_group.forward_fill().shift(1),
        open_before=open_interchange.forward_fill().shift(1),
        interchange_no=_in_document("gi", 1),
        group_no=_in_document("gg_own", 2),
        set_no=_in_document("gs", 3),
    )


def _in_document(number: str, kind: int) -> pl.Expr:
    """An ordinal counted from 1 in each document, whose first row may be the first of the kind."""
    before = pl.col(number) - (pl.col("kind") == kind).cast(_I32)
    return pl.col(number) - pl.when("begins").then(before).forward_fill()


def _whole(rows: pl.DataFrame, kind: int, headers: pl.DataFrame) -> pl.DataFrame:
    """The headers of a kind with all their elements."""
    return rows.filter(pl.col("kind") == kind).join(headers, on="row", how="left", maintain_order="left")


def _headers(
    own: pl.DataFrame, common: list[pl.Expr], x12: dict[str, pl.Expr], edifact: dict[str, pl.Expr]
) -> pl.DataFrame:
    """Headers of a kind with what each standard says in them, in order."""
    is_x12 = own["tag"].is_in(["ISA", "GS", "ST"])
    one = is_x12.all() or not is_x12.any()
    both = [
        (own if one else own.filter(which)).select(*common, standard_code=pl.lit(standard), **said)
        for standard, which, said in (("X12", is_x12, x12), ("EDIFACT", ~is_x12, edifact))
        if which.any() or (own.is_empty() and standard == "X12")
    ]
    return both[0] if len(both) == 1 else pl.concat(both).sort(common[0].meta.output_name())


def _interchanges(rows: pl.DataFrame, headers: pl.DataFrame) -> pl.DataFrame:
    return _headers(_whole(rows, 1, headers), *_interchange_columns())


# Expressions are built once for all readings.
@cache
def _interchange_columns() -> Columns:
    common = [pl.col(n) for n in ("gi", "doc", "row", "elements", "interchange_no", "doc_end")]
    sides = {"sender_id": "e6", "sender_qualifier": "e5", "receiver_id": "e8", "receiver_qualifier": "e7"}
    x12 = {name: _filled(column) for name, column in (sides | {"control_number": "e13"}).items()}
    x12 |= {"syntax_version": _given("e12"), "ack_requested": _given("e14"), "usage_code": _given("e15")}
    x12 |= _sent(pl.col("e9"), _filled("e10"))
    edifact = {
        "sender_id": comp("e2", 1).fill_null(""),
        "sender_qualifier": comp("e2", 2).fill_null(""),
        "receiver_id": comp("e3", 1).fill_null(""),
        "receiver_qualifier": comp("e3", 2).fill_null(""),
        "control_number": comp("e5", 1).fill_null(""),
        "syntax_version": comp("e1", 2),
        "ack_requested": _given("e9"),
        "usage_code": pl.when(comp("e11", 1) != "0").then(pl.lit("T")).otherwise(pl.lit("P")),
        **_sent(comp("e4", 1), comp("e4", 2).fill_null("")),
    }
    return common, x12, edifact


def _sent(day: pl.Expr, hour: pl.Expr) -> dict[str, pl.Expr]:
    return {"sent_at_utc": sent_at(day, hour), "sent_date": day, "sent_time": hour}


def _groups(rows: pl.DataFrame, headers: pl.DataFrame) -> pl.DataFrame:
    return _headers(_whole(rows, 2, headers), *_group_columns())


@cache
def _group_columns() -> Columns:
    common = [pl.col("gg_own").alias("gg"), *(pl.col(n) for n in ("gi", "doc", "row", "group_no"))]
    common.append(_filled("e1").alias("group_code"))
    x12 = {
        "application_sender": _given("e2"),
        "application_receiver": _given("e3"),
        "control_number": _filled("e6"),
        "version_code": _given("e8"),
    }
    edifact = {
        "application_sender": comp("e2", 1),
        "application_receiver": comp("e3", 1),
        "control_number": comp("e5", 1).fill_null(""),
        "version_code": pl.concat_str(comp("e7", 1), comp("e7", 2), ignore_nulls=True),
    }
    return common, x12, edifact


def _sets(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Sets, each with what its trailer says, which is the envelope row behind its header unless `paired` took it away.

    Some at a time, since there may be millions.
    """
    headers = np.flatnonzero(rows["kind"].to_numpy() == 3)
    names = ("gs", "gi", "gg", "doc", "set_no", "row", "end", "doc_end", "tag", "e1", "e2", "e3")
    after = rows.select(pl.col("row", "kind", "doc", "e1", "e2").name.prefix("next_"))
    for at in range(0, max(len(headers), 1), _SETS):
        own = pl.Series(headers[at : at + _SETS])
        found = rows_at(rows.select(names), own)
        behind = pl.when((own + 1 < rows.height) & found["end"].is_null()).then(own + 1)
        found = found.hstack(rows_at(after, own.to_frame("n").select(behind).to_series()))
        yield _headers(found, *_set_columns())


@cache
def _set_columns() -> Columns:
    same = (pl.col("next_doc") == pl.col("doc")).fill_null(value=False)
    closed = same & (pl.col("next_kind") == 4)
    right = pl.col("end").is_not_null()
    end = (
        pl.when(right)
        .then("end")
        .when(closed)
        .then(pl.col("next_row"))
        .when(same)
        .then(pl.col("next_row") - 1)
        .otherwise(pl.col("doc_end") - 1)
    )
    common = [
        *(pl.col(n) for n in ("gs", "gi", "doc", "set_no")),
        pl.when(pl.col("gg") >= 0).then("gg").alias("gg"),
        pl.col("row").alias("start"),
        end.alias("end"),
        (end - pl.col("row") + 1).cast(_I32).alias("segments"),
        (closed | right).alias("closed"),
        right.alias("right"),
        pl.col("next_e1").alias("said_count"),
        pl.col("next_e2").alias("said_control"),
    ]
    x12 = {"set_code": _filled("e1"), "control_number": _filled("e2"), "version_code": _given("e3")}
    edifact = {
        "set_code": comp("e2", 1).fill_null(""),
        "control_number": comp("e1", 1).fill_null(""),
        "version_code": pl.concat_str(comp("e2", 2), comp("e2", 3), separator=".", ignore_nulls=True),
    }
    return common, x12, edifact


def read_envelopes(parts: list[pl.DataFrame], headers: list[pl.DataFrame], sizes: pl.DataFrame) -> Envelopes:
    """Reconstruct interchanges, groups and sets and find every envelope fault.

    Args:
        parts: envelope rows of each batch: row (i64, ascending over all), doc (i32), kind, tag, elements, e1 … e3; forgotten here,
            so that millions of them are in memory once.
        headers: row and e4 … e16 of headers of interchanges and groups, likewise.
        sizes: doc and doc_end, the row after its last segment.
    """
    # In one piece, since each filter of several would first put all columns together anew.
    rows, more = pl.concat(parts, rechunk=True), pl.concat(headers, rechunk=True)
    parts.clear()
    headers.clear()
    rows = _ordinals(rows, sizes)
    of_sets = list(_sets(rows))
    # What sets hold is read: of a million small ones their own rows weigh more than all that follows.
    rows = rows.filter((pl.col("kind") != 3) & ~pl.col("closes_set"))
    sets = pl.concat(of_sets, rechunk=True)
    of_sets.clear()
    answers = rows.filter(pl.col("tag") == "TA1").join(more, on="row", how="left")
    groups = _groups(rows, more)
    named = groups.select("group_no", "group_code", gv="version_code", group_control_number="control_number")
    sets = sets.hstack(rows_at(named, sets["gg"]))
    sets = sets.with_columns(version_code=pl.coalesce("version_code", "gv")).drop("gv")
    groups = _close_groups(rows, groups, sets)
    interchanges = _close_interchanges(rows, _interchanges(rows, more), groups, sets)
    faults = envelope_faults(rows, interchanges, groups, sets)
    return Envelopes(interchanges, groups, sets.drop("said_count", "said_control", "right"), answers, faults)


def _trailers(rows: pl.DataFrame, kind: int, closes: str) -> pl.LazyFrame:
    """Trailers that close something: which, where they stand, and what they say."""
    return (
        rows.lazy()
        .filter(pl.col("kind") == kind, pl.col(closes) >= 0)
        .select(closes, close_row="row", said_count="e1", said_control="e2", closed=pl.lit(value=True))
    )


def held(ordinals: pl.Series, size: int) -> pl.Series:
    """How often each ordinal from 0 to below `size` occurs; nulls are left out."""
    return pl.Series(np.bincount(ordinals.drop_nulls().to_numpy(), minlength=size).astype(np.int32))


def _close_groups(rows: pl.DataFrame, groups: pl.DataFrame, sets: pl.DataFrame) -> pl.DataFrame:
    close = _trailers(rows, 5, "gg_before")
    out = groups.with_columns(held(sets["gg"], groups.height).alias("sets")).lazy()
    out = out.join(close, left_on="gg", right_on="gg_before", how="left", maintain_order="left")
    return out.with_columns(pl.col("closed").fill_null(value=False), at=pl.coalesce("close_row", "row")).collect()


def _close_interchanges(
    rows: pl.DataFrame, interchanges: pl.DataFrame, groups: pl.DataFrame, sets: pl.DataFrame
) -> pl.DataFrame:
    close = _trailers(rows, 6, "open_before")
    size = interchanges.height
    out = interchanges.with_columns(
        held(groups["gi"], size).alias("groups"), held(sets["gi"], size).alias("sets")
    ).lazy()
    out = out.join(close, left_on="gi", right_on="open_before", how="left", maintain_order="left")
    next_row = pl.when(pl.col("doc").shift(-1) == pl.col("doc")).then(pl.col("row").shift(-1))
    grouped = (pl.col("standard_code") == "X12") | (pl.col("groups") > 0)
    out = out.with_columns(
        pl.col("closed").fill_null(value=False),
        at=pl.coalesce("close_row", next_row - 1, pl.col("doc_end") - 1),
        bare=pl.col("elements") == 0,
        counted=pl.when(grouped).then("groups").otherwise("sets"),
    )
    return out.with_columns(segments=pl.col("at") - pl.col("row") + 1 - pl.col("bare").cast(pl.Int64)).collect()
