"""What is accepted, what is set aside and why: envelope faults, duplicates, line faults and people's releases put together."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aios_assets.edi.aside import (
    count_strays,
    document_rejects,
    envelope_rejects,
    stray_rejects,
)
from aios_assets.edi.envelope import Envelopes, held, is_test
from aios_assets.edi.envelope_faults import MILD, NO_FAULTS
from aios_assets.edi.faults import Faults
from aios_assets.edi.mappings import MAPPINGS
from aios_assets.edi.settling import Lines, settle
from aios_assets.edi.shelf import Shelf
from aios_assets.edi.strings import rows_at
from aios_assets.edi.waiting import Tally, Waiting
from aios_assets.edi.words import say

_ORIGIN = ("document_id", "available_at_utc", "interchange_no", "sender_id", "receiver_id", "sent_at_utc")
_KEY = ["standard_code", "sender_id", "receiver_id", "control_number", "is_test"]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Frames of `EdiBatch` before they are put into contract order."""

    interchanges: pl.DataFrame
    groups: pl.DataFrame
    sets: pl.DataFrame
    headers: pl.DataFrame
    faults: Faults
    counts: dict[str, int]


def judge(
    docs: pl.DataFrame,
    refused: list[tuple[int, str, str]],
    envelopes: Envelopes,
    shelf: Shelf,
    ledger: pl.DataFrame | None,
    releases: pl.DataFrame | None,
    *,
    sizes: pl.DataFrame,
    findings: Waiting,
    found: Tally,
    told: pl.DataFrame,
    part_ends: list[int],
    strays: pl.DataFrame | None,
    repeated: pl.DataFrame,
    apart: bool,
) -> Verdicts:
    """Decide each interchange, group, set and line.

    Args:
        docs: document_id, available_at_utc in reading order.
        refused: documents that are no EDI, or more of it than is read: (ordinal, code, reason); nothing of them is taken.
        envelopes: what the envelopes say.
        shelf: candidate facts of mapped sets; takes those that pass.
        ledger: earlier interchanges.
        releases: released rejects.
        sizes: doc and doc_end, the row after its last segment.
        findings: grammar faults by row, part by part.
        found: how many of them each set has.
        told: grammar faults of whole sets.
        part_ends: the row behind the last of each part.
        strays: segments outside every set and envelope.
        repeated: how many more trailers there are like some that close nothing.
        apart: no document makes another a duplicate.
    """
    named = (
        docs.select("document_id", "available_at_utc").with_row_index("doc").with_columns(pl.col("doc").cast(pl.Int32))
    )
    released = _releases(releases)
    inter = envelopes.interchanges
    inter = inter.hstack(rows_at(named.drop("doc"), inter["doc"]))
    origin = inter.select(*_ORIGIN, pl.col("control_number").alias("interchange_control"))
    sets = envelopes.sets.hstack(rows_at(origin, envelopes.sets["gi"]))
    sets = _mark_released(sets, released)
    given_up = _given_up(inter, refused)
    faults = envelopes.faults.filter(~pl.col("gi").is_in(given_up["gi"].implode()))
    is_mild = faults["code"].is_in(list(MILD)) & (faults["level"] == "interchange")
    mild, grave = faults.filter(is_mild), faults.filter(~is_mild)
    grave = pl.concat([grave, _duplicates(inter, pl.concat([grave, given_up]), ledger, apart=apart)])
    faults = pl.concat([grave, mild])
    inter = count_strays(inter, strays)
    inter = _why(inter, mild, "interchange", "gi", "noted")
    inter, groups, sets = _reject(inter, envelopes.groups, sets, pl.concat([grave, given_up]))
    lines = settle(sets, shelf, released)
    found.add(told["set"])
    sets = _set_verdicts(sets, found.per_set(sets.height), lines)
    inter = _interchange_verdicts(inter, sets)
    groups = _group_verdicts(groups, inter, sets)
    whole = pl.concat(
        [
            document_rejects(named, refused, sizes),
            envelope_rejects(faults, inter, groups, sets, repeated),
            stray_rejects(inter, strays),
        ]
    )
    counts = _counts(docs.height, len(refused), inter, sets, lines)
    headers = inter.select(
        "document_id",
        "interchange_no",
        "sender_qualifier",
        "receiver_qualifier",
        "syntax_version",
        "ack_requested",
        "sent_date",
        "sent_time",
        "elements",
        "gi",
    )
    every = Faults(whole, lines.rejects, told, findings, part_ends, sets)
    return Verdicts(inter, groups, sets, headers, every, counts)


def _releases(releases: pl.DataFrame | None) -> pl.DataFrame:
    schema: dict[str, pl.DataType] = {
        "document_id": pl.String(),
        "interchange_no": pl.Int32(),
        "set_no": pl.Int32(),
        "segment_no": pl.Int32(),
    }
    if releases is None or releases.is_empty():
        return pl.DataFrame(schema=schema)
    return releases.select(pl.col(n).cast(t) for n, t in schema.items()).unique(maintain_order=True)


def _mark_released(sets: pl.DataFrame, released: pl.DataFrame) -> pl.DataFrame:
    """A set is released by its own pointer with segment 0, or with its whole interchange (set 0)."""
    if released.is_empty():
        return sets.with_columns(released=pl.lit(value=False))
    whole = released.filter(pl.col("segment_no") == 0)
    keys = ["document_id", "interchange_no", "set_no"]
    own = whole.filter(pl.col("set_no") > 0).select(*keys, own=pl.lit(value=True))
    all_ = whole.filter(pl.col("set_no") == 0).select("document_id", "interchange_no", every=pl.lit(value=True))
    sets = sets.join(own, on=keys, how="left", maintain_order="left").join(
        all_, on=keys[:2], how="left", maintain_order="left"
    )
    flag = pl.col("own").fill_null(value=False) | pl.col("every").fill_null(value=False)
    return sets.with_columns(released=flag).drop("own", "every")


def _duplicates(inter: pl.DataFrame, faults: pl.DataFrame, ledger: pl.DataFrame | None, *, apart: bool) -> pl.DataFrame:
    """A control number that an accepted interchange of the same partners used before; tests number for themselves.

    A rejected interchange does not use its number up: its correction comes under the same number. Neither does an earlier
    reading of the same document.
    """
    size = inter.height
    own = held(faults.filter(pl.col("level") == "interchange")["gi"], size)
    bad = held(faults.filter(pl.col("level") == "set").unique("gs")["gi"], size)
    alive = inter.filter(
        (pl.col("control_number") != "")
        & (pl.col("elements") > 0)
        & (own == 0)
        & ((pl.col("sets") == 0) | (bad < pl.col("sets")))
    ).with_columns(is_test=is_test())
    now = alive.select("gi", "row", "document_id", "available_at_utc", "interchange_no", *_KEY)
    if ledger is not None and ledger.height:
        taken = ledger.with_columns(is_test=is_test()).filter(
            pl.col("verdict_code").is_in(["accepted", "accepted_with_errors"])
        )
        taken = taken.filter(~pl.col("document_id").is_in(inter["document_id"].unique().implode())).select(
            pl.lit(None, dtype=pl.Int32).alias("gi"),
            pl.lit(None, dtype=pl.Int64).alias("row"),
            "document_id",
            "available_at_utc",
            "interchange_no",
            *_KEY,
        )
        now = pl.concat([now, taken], how="vertical_relaxed")
    key = [*_KEY, "document_id"] if apart else _KEY
    now = now.filter(now.select(key).is_duplicated())
    now = now.sort("available_at_utc", "document_id", "interchange_no", maintain_order=True)
    again = now.with_columns(nth=pl.int_range(pl.len()).over(key), first=pl.col("document_id").first().over(key))
    again = again.filter((pl.col("nth") > 0) & pl.col("gi").is_not_null())
    minus = pl.lit(-1, dtype=pl.Int32)
    return again.select(
        pl.lit("interchange").alias("level"),
        "gi",
        minus.alias("gg"),
        minus.alias("gs"),
        pl.col("row"),
        pl.lit(None, dtype=pl.Int32).alias("element_no"),
        pl.when(pl.col("standard_code") == "X12").then(pl.lit("TA1:025")).otherwise(pl.lit("CONTRL:26")).alias("code"),
        say(
            "control number {} of {} was used before by document {}…; the bytes differ",
            "control_number",
            "sender_id",
            pl.col("first").str.head(12),
        ).alias("reason"),
    )


def _given_up(inter: pl.DataFrame, refused: list[tuple[int, str, str]]) -> pl.DataFrame:
    """Faults of the interchanges of documents that were given up half-way: what is wrong with them is their document."""
    documents = pl.DataFrame(refused, schema={"doc": pl.Int32, "code": pl.String, "reason": pl.String}, orient="row")
    own = inter.select("doc", "gi", "row").join(documents, on="doc", how="inner", maintain_order="left")
    none = pl.lit(-1, dtype=pl.Int32)
    named = own.with_columns(level=pl.lit("interchange"), gg=none, gs=none, element_no=pl.lit(None, dtype=pl.Int32))
    return named.select(NO_FAULTS.columns)


def _why(frame: pl.DataFrame, faults: pl.DataFrame, level: str, key: str, name: str) -> pl.DataFrame:
    """Add what is wrong with each interchange, group or set; null where nothing is."""
    own = faults.filter(pl.col("level") == level)
    if own.is_empty():
        return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name))
    reasons = pl.col("reason").unique(maintain_order=True).str.join("; ").alias(name)
    per = own.group_by(key, maintain_order=True).agg(reasons)
    return frame.join(per, on=key, how="left", maintain_order="left")


def _reject(
    inter: pl.DataFrame, groups: pl.DataFrame, sets: pl.DataFrame, faults: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Carry envelope faults down: a rejected interchange takes its groups, a group its sets."""
    inter = _why(inter, faults, "interchange", "gi", "own_reason")
    groups = _why(groups, faults, "group", "gg", "own_reason")
    sets = _why(sets, faults, "set", "gs", "own_reason")
    above = rows_at(inter.select(ir=say("its interchange was rejected: {}", "own_reason")), sets["gi"])
    between = rows_at(groups.select(gr=say("its group was rejected: {}", "own_reason")), sets["gg"])
    sets = (
        sets.hstack(above)
        .hstack(between)
        .with_columns(envelope_reason=pl.coalesce("own_reason", "gr", "ir"))
        .drop("gr", "ir")
    )
    return inter, groups, sets.with_columns(taken=pl.col("envelope_reason").is_null() | pl.col("released"))


def _set_verdicts(sets: pl.DataFrame, findings: pl.Series, lines: Lines) -> pl.DataFrame:
    mapped = pl.DataFrame(
        {"standard_code": [k[0] for k in MAPPINGS], "set_code": [k[1] for k in MAPPINGS]}
    ).with_columns(mapped=pl.lit(value=True))
    sets = sets.with_columns(
        findings.alias("findings"), lines.facts_of.alias("facts"), lines.rejected_of.alias("rejected_lines")
    )
    sets = sets.join(mapped, on=["standard_code", "set_code"], how="left", maintain_order="left")
    forgiven = pl.col("released") & pl.col("envelope_reason").is_not_null()
    some = (pl.col("rejected_lines") > 0) | (pl.col("findings") > 0)
    verdict = (
        pl.when(~pl.col("taken"))
        .then(pl.lit("rejected"))
        .when(pl.col("mapped").is_null() & (pl.col("findings") == 0))
        .then(pl.lit("unmapped"))
        .when(forgiven | some)
        .then(pl.lit("accepted_with_errors"))
        .otherwise(pl.lit("accepted"))
    )
    reason = (
        pl.when(~pl.col("taken"))
        .then("envelope_reason")
        .when(pl.col("mapped").is_null() & (pl.col("findings") == 0))
        .then(say("{} is not mapped to a table; its segments are kept raw", "set_code"))
        .when(forgiven)
        .then(say("released by a person in spite of: {}", "envelope_reason"))
        .when(pl.col("rejected_lines") > 0)
        .then(say("{} lines were set aside", "rejected_lines"))
        .when(some)
        .then(say("{} elements or segments break the grammar", "findings"))
    )
    return sets.with_columns(verdict_code=verdict, reason=reason)


def _interchange_verdicts(inter: pl.DataFrame, sets: pl.DataFrame) -> pl.DataFrame:
    per = sets.group_by("gi").agg(
        pl.len().alias("all"),
        (pl.col("verdict_code") == "rejected").sum().alias("bad"),
        (pl.col("verdict_code") == "accepted_with_errors").sum().alias("some"),
        pl.col("taken").any().alias("any_taken"),
        pl.col("own_reason").drop_nulls().first().alias("first_reason"),
        pl.col("envelope_reason").drop_nulls().first().alias("env"),
    )
    inter = inter.join(per, on="gi", how="left", maintain_order="left")
    faulty = pl.col("own_reason").is_not_null() & ~pl.col("any_taken").fill_null(value=False)
    none_left = (pl.col("all") > 0) & (pl.col("bad") == pl.col("all"))
    rejected = (faulty | none_left).fill_null(value=False)
    errors = (
        (pl.col("bad") > 0)
        | (pl.col("some") > 0)
        | pl.col("own_reason").is_not_null()
        | pl.col("noted").is_not_null()
        | (pl.col("strays") > 0)
    ).fill_null(value=False)
    verdict = (
        pl.when(rejected)
        .then(pl.lit("rejected"))
        .when(errors)
        .then(pl.lit("accepted_with_errors"))
        .otherwise(pl.lit("accepted"))
    )
    reason = pl.coalesce(
        "own_reason",
        "env",
        "noted",
        pl.when(pl.col("some") > 0).then(pl.lit("some lines or elements are at fault")),
        pl.lit("text stands outside every set"),
    )
    return inter.with_columns(verdict_code=verdict, reason=pl.when(verdict != "accepted").then(reason))


def _group_verdicts(groups: pl.DataFrame, inter: pl.DataFrame, sets: pl.DataFrame) -> pl.DataFrame:
    """Groups with sets received and accepted, for AK9 and UCI."""
    verdicts = {
        "accepted_sets": pl.col("verdict_code") != "rejected",
        "sets_with_errors": pl.col("verdict_code") == "accepted_with_errors",
    }
    per = (held(sets.filter(which)["gg"], groups.height).alias(name) for name, which in verdicts.items())
    named = rows_at(inter.select("document_id", "interchange_no"), groups["gi"])
    out = groups.with_columns(per).hstack(named)
    bad = pl.col("own_reason").is_not_null() | (pl.col("accepted_sets") == 0)
    part = (pl.col("accepted_sets") < pl.col("sets")) | (pl.col("sets_with_errors") > 0)
    verdict = (
        pl.when(bad)
        .then(pl.lit("rejected"))
        .when(part)
        .then(pl.lit("accepted_with_errors"))
        .otherwise(pl.lit("accepted"))
    )
    return out.with_columns(verdict_code=verdict, reason=pl.col("own_reason")).select(
        "document_id",
        "interchange_no",
        "group_no",
        "group_code",
        "version_code",
        "control_number",
        "application_sender",
        "application_receiver",
        "said_count",
        "sets",
        "accepted_sets",
        "sets_with_errors",
        "verdict_code",
        "reason",
        "gg",
        "gi",
    )


def _counts(documents: int, refused: int, inter: pl.DataFrame, sets: pl.DataFrame, lines: Lines) -> dict[str, int]:
    """Figures of every level, counted on the way in and on the way out."""
    verdicts = dict(sets.group_by("verdict_code").len().iter_rows())
    bad = int((inter["verdict_code"] == "rejected").sum())
    kept, aside = int(lines.facts_of.sum()), int(lines.rejected_of.sum())
    return {
        "documents": documents,
        "documents_read": documents - refused,
        "documents_rejected": refused,
        "interchanges": inter.height,
        "interchanges_accepted": inter.height - bad,
        "interchanges_rejected": bad,
        "sets": sets.height,
        "sets_accepted": verdicts.get("accepted", 0),
        "sets_with_errors": verdicts.get("accepted_with_errors", 0),
        "sets_unmapped": verdicts.get("unmapped", 0),
        "sets_rejected": verdicts.get("rejected", 0),
        "lines": kept + aside,
        "facts": kept,
        "lines_rejected": aside,
    }
