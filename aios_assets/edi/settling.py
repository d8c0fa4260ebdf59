"""Candidate lines of the sets that are taken: what becomes a fact, what is set aside, and how many of each a set has."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aios_assets.edi.shelf import Shelf
from aios_assets.edi.strings import rows_at
from aios_assets.edi.typing_rules import Typed
from aios_assets.edi.waiting import Tally, Waiting

# A line set aside, as it waits: its set, and what is wrong where.
LINE_COLUMNS: dict[str, pl.DataType] = {
    "set": pl.Int32(),
    "segment_no": pl.Int32(),
    "line_no": pl.Int32(),
    "element_no": pl.Int32(),
    "kind_code": pl.String(),
    "error_code": pl.String(),
    "reason": pl.String(),
    "seg": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Lines:
    """What became of the candidate lines of taken sets.

    Attributes:
        rejects: lines set aside (`LINE_COLUMNS`), one frame for each part of the reading.
        facts_of: facts of each set.
        rejected_of: lines set aside of each set.
    """

    rejects: Waiting
    facts_of: pl.Series
    rejected_of: pl.Series


def settle(sets: pl.DataFrame, shelf: Shelf, released: pl.DataFrame) -> Lines:
    """Facts and line rejects of taken sets, with pointers and origin; facts go to the shelf part by part.

    Args:
        sets: one row per set, by its ordinal from 0.
        shelf: candidate lines; takes those that pass.
        released: pointers of what people let pass.
    """
    origin = sets.select(
        "start",
        "taken",
        "document_id",
        "interchange_no",
        "set_no",
        "standard_code",
        "set_code",
        "sender_id",
        "receiver_id",
        pl.col("interchange_control").alias("control_number"),
        "sent_at_utc",
        "available_at_utc",
        pl.col("available_at_utc").dt.strftime("%Y-%m").alias("available_month"),
    )
    none = pl.DataFrame(schema=LINE_COLUMNS)
    rejects, rejected, kept = Waiting(), Tally(), Tally()
    for part in shelf.held():
        facts_of: dict[str, list[pl.DataFrame]] = {}
        found = [none]
        for t in part:
            facts, aside = _settle(t, origin, released)
            facts_of.setdefault(t.table.name, []).append(facts)
            found += [a.select(*LINE_COLUMNS) for a in aside]
        for name, frames in facts_of.items():
            facts = _in_order(frames)
            kept.add(facts["set"])
            if facts.height:
                shelf.settle(name, facts)
        lines = pl.concat(found)
        rejected.add(lines["set"])
        rejects.put(lines.sort("set", "segment_no", "line_no", "error_code", "reason", maintain_order=True))
    return Lines(rejects, kept.per_set(sets.height), rejected.per_set(sets.height))


def _settle(t: Typed, origin: pl.DataFrame, released: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Facts that pass, and lines to set aside, of the taken sets of a part."""
    aside = [_place(t.rejects, origin).with_columns(kind_code=pl.lit("syntax"))] if t.rejects.height else []
    facts = _place(t.facts, origin)
    if facts["soft"].null_count() == facts.height:
        return facts.drop("seg", strict=False), aside
    allowed = released.with_columns(let=pl.lit(value=True))
    facts = facts.join(
        allowed, on=["document_id", "interchange_no", "set_no", "segment_no"], how="left", maintain_order="left"
    )
    held = pl.col("soft").is_not_null() & pl.col("let").is_null()
    aside.append(
        facts.filter(held).with_columns(
            error_code=pl.col("soft_code"),
            kind_code=pl.lit("business"),
            reason=pl.col("soft"),
            element_no=pl.lit(None, dtype=pl.Int32),
        )
    )
    return facts.filter(~held).drop("seg", "let"), aside


def _in_order(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The facts of a table in document order; sets are numbered in it, and rows ascend."""
    facts = pl.concat(frames) if len(frames) > 1 else frames[0]
    rows = facts["row"].to_numpy()
    return facts if bool((rows[1:] > rows[:-1]).all()) else facts.sort("row", "line_no")


def _place(frame: pl.DataFrame, origin: pl.DataFrame) -> pl.DataFrame:
    """Add pointer and origin to rows of taken sets; drop rows of sets that are not taken (their set is the reject).

    Sets are numbered from 0 without a gap, so that the place in `origin` is the number.
    """
    at = frame["set"]
    if not origin["taken"].all():
        frame = frame.filter(origin["taken"].gather(at))
        at = frame["set"]
    placed = frame.hstack(rows_at(origin, at))
    return placed.with_columns(segment_no=(pl.col("row") - pl.col("start") + 1).cast(pl.Int32))
