"""Messages that cancel what was said before: of a notice or a receipt nothing is left, of a report or a status nothing counts.

A notice or an advice sent again takes the place of the one of its number, so that one that cancels lands its lines with nothing.
What cancels a count must not land as a count of nothing: it is set aside for a person to release.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import polars as pl

from aios_assets.edi.typing_rules import REJECT_CANDIDATES, WITHDRAWN, Typed
from aios_assets.edi.words import say

# X12 353 and EDIFACT 1225: cancellation, deletion, cancelled to be issued again.
X12_WITHDRAWS, EDIFACT_WITHDRAWS = ("01", "03", "17"), ("1", "3", "17")


def nothing_left(base: pl.DataFrame, head: pl.DataFrame, codes: Collection[str]) -> pl.DataFrame:
    """Lines of messages that cancel, with a quantity of 0.

    Args:
        base: lines with set and quantity.
        head: set and purpose of each message.
        codes: purposes that cancel.
    """
    sets = _cancelling(head, codes)["set"]
    if sets.is_empty():
        return base
    cancels, none = pl.col("set").is_in(sets.implode()), pl.lit(None, dtype=pl.String)
    refused = {"rejected_quantity": none} if "rejected_quantity" in base.columns else {}
    return base.with_columns(
        pl.when(cancels).then(value).otherwise(name).alias(name)
        for name, value in {"quantity": pl.lit("0"), **refused}.items()
    )


def withdrawn(typed: Typed, head: pl.DataFrame, codes: Collection[str], where: str) -> Typed:
    """Set aside, for a person to release, the lines of messages that cancel.

    Args:
        typed: lines of one table.
        head: row, set and purpose of each message.
        codes: purposes that cancel.
        where: element of the purpose, for the reason.
    """
    cancels = _cancelling(head, codes)
    if cancels.is_empty():
        return typed
    facts = typed.facts.join(cancels.select("set", "purpose"), on="set", how="left", maintain_order="left")
    words = say(
        WITHDRAWN + " ({} is {}) cancels what it tells: release it if it counts all the same", pl.lit(where), "purpose"
    )
    soft = pl.when(pl.col("purpose").is_not_null()).then(words).otherwise("soft")
    return replace(typed, facts=facts.with_columns(soft=soft).drop("purpose"))


def told(typed: Typed, head: pl.DataFrame, codes: Collection[str], lined: pl.Series) -> Typed:
    """Tell of messages that cancel and name no line, by which nothing can be taken back.

    Args:
        typed: lines of one table.
        head: row, set, purpose and number of each message.
        codes: purposes that cancel.
        lined: sets that have lines.
    """
    bare = _cancelling(head, codes).filter(~pl.col("set").is_in(lined.unique().implode()))
    if bare.is_empty():
        return typed
    words = say(
        "the message cancels {} and names no line of it: what came under this number before still counts",
        pl.col("number").fill_null("a message without a number"),
    )
    rejects = bare.select(
        "set",
        "row",
        line_no=pl.lit(1, dtype=pl.Int32),
        element_no=pl.lit(None, dtype=pl.Int32),
        error_code=pl.lit("cancelled"),
        reason=words,
    ).cast(REJECT_CANDIDATES.schema)
    return replace(typed, rejects=pl.concat([typed.rejects, rejects]), seen=typed.seen + rejects.height)


def _cancelling(head: pl.DataFrame, codes: Collection[str]) -> pl.DataFrame:
    return head.filter(pl.col("purpose").is_in(list(codes))).unique("set", keep="first", maintain_order=True)
