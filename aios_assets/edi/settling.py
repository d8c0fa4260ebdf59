"""Candidate lines of the sets that are taken: what becomes a fact, what is set aside, and how many of each a set has."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aios_assets.edi.aside import REJECT_COLUMNS, shown
from aios_assets.edi.shelf import Shelf
from aios_assets.edi.strings import rows_at
from aios_assets.edi.typing_rules import Typed


@dataclass(frozen=True, slots=True)
class Lines:
    """What became of the candidate lines of taken sets: numbers seen, kept and set aside."""

    rejects: pl.DataFrame
    tally: pl.DataFrame
    seen: int
    kept: int


def settle(sets: pl.DataFrame, shelf: Shelf, texts: list[pl.DataFrame], released: pl.DataFrame) -> Lines:
    """Facts and line rejects of taken sets, with pointers and origin; facts go to the shelf part by part."""
    origin = sets.sort("gs").select(
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
    text = (
        pl.concat(texts).unique("row", keep="first")
        if texts
        else pl.DataFrame(schema={"row": pl.Int64, "seg": pl.String})
    )
    columns = [*REJECT_COLUMNS, "set"]
    rejected, tallies = [pl.DataFrame(schema={**REJECT_COLUMNS, "set": pl.Int32()})], []
    seen = kept = 0
    for part in shelf.held():
        facts_of: dict[str, list[pl.DataFrame]] = {}
        for t in part:
            facts, aside = _settle(t, origin, released)
            seen += facts.height + sum(a.height for a in aside)
            kept += facts.height
            facts_of.setdefault(t.table.name, []).append(facts)
            rejected += [
                a.join(text, on="row", how="left", maintain_order="left")
                .with_columns(level_code=pl.lit("line"), segment_text=shown(pl.col("seg")))
                .select(columns)
                for a in aside
                if a.height
            ]
        for name, frames in facts_of.items():
            facts = _in_order(frames)
            tallies.append(facts["set"])
            if facts.height:
                shelf.settle(name, facts)
    lines = pl.concat(rejected)
    return Lines(lines.drop("set"), _tally(tallies, lines), seen, kept)


def _settle(t: Typed, origin: pl.DataFrame, released: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Facts that pass, and lines to set aside, of the taken sets of a part."""
    aside = [_place(t.rejects, origin).with_columns(kind_code=pl.lit("syntax"))] if t.rejects.height else []
    facts = _place(t.facts, origin)
    if facts["soft"].null_count() == facts.height:
        return facts, aside
    allowed = released.with_columns(let=pl.lit(value=True))
    facts = facts.join(
        allowed, on=["document_id", "interchange_no", "set_no", "segment_no"], how="left", maintain_order="left"
    )
    held = pl.col("soft").is_not_null() & pl.col("let").is_null()
    aside.append(
        facts.filter(held).with_columns(
            error_code=pl.lit("negative_quantity"),
            kind_code=pl.lit("business"),
            reason=pl.col("soft"),
            element_no=pl.lit(None, dtype=pl.Int32),
        )
    )
    return facts.filter(~held), aside


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


def _tally(facts: list[pl.Series], lines: pl.DataFrame) -> pl.DataFrame:
    """Facts and line rejects per set."""
    none = pl.lit(0, dtype=pl.UInt32)
    per = [
        # Facts lie in set order: runs are counted without hashing.
        f.rle().struct.unnest().select(pl.col("value").alias("set"), pl.col("len").alias("facts"), rejected_lines=none)
        for f in facts
    ]
    per.append(lines.group_by("set").agg(facts=none, rejected_lines=pl.len()))
    return (
        pl.concat(per, how="vertical_relaxed")
        .group_by("set")
        .agg(pl.col("facts", "rejected_lines").sum().cast(pl.Int32))
        .rename({"set": "gs"})
    )
