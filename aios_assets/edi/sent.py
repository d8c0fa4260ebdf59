"""What we sent and whether it was acknowledged: accepted, rejected, waiting or overdue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from aios_assets.contracts.errors import UsageError
from aios_assets.edi.counts import GROUPED

ACKNOWLEDGEMENTS = ("997", "999", "TA1", "CONTRL")
OVERDUE_AFTER = timedelta(hours=24)
# X12 717 and 715, CONTRL 0083. All else refuses: R, M, W, X, 4, and P, where one of the sets was not taken.
_ACCEPTS, _REFUSES = {"A": 0, "7": 0, "8": 0, "E": 1}, 3
# The number was used before: the partner has what came first, and refuses what came again.
_COPY = ("TA1:025", "CONTRL:26", "AK9:19")
# Envelopes may tell local time, which is at most so far ahead: what was sent then may have been answered "before".
_CLOCKS_DIFFER = timedelta(hours=14)
_SET = ["document_id", "interchange_no", "set_no"]
_KEY = ["standard_code", "our_id", "partner_id", "quoted_code", "quoted_number"]


def own_ids(interchanges: pl.DataFrame) -> list[str]:
    """Who we are, told from who is a party to most interchanges of a standard.

    Args:
        interchanges: `raw_edi__interchanges`.

    Returns:
        Identifications, sorted; none where there is nothing.

    Raises:
        UsageError: two parties stand in equally many interchanges of a standard, as with a single partner.
    """
    sides = [interchanges.select("standard_code", pl.col(c).alias("party")) for c in ("sender_id", "receiver_id")]
    counts = pl.concat(sides).group_by("standard_code", "party").len()
    most = counts.filter(pl.col("len") == pl.col("len").max().over("standard_code")).sort("standard_code", "party")
    if most.height > most["standard_code"].n_unique():
        raise UsageError(
            f"it cannot be told who of {', '.join(most['party'])} we are",
            where="interchanges",
            todo="give --our-id or set AIOS_OUR_IDS to our identifications, separated by commas",
        )
    return sorted(most["party"].unique())


def sent_by_us(interchanges: pl.DataFrame, sets: pl.DataFrame, ours: Sequence[str], as_of: datetime) -> pl.DataFrame:
    """What we sent that wants an acknowledgement.

    Grain: one functional group (X12) or interchange (EDIFACT). Left out: acknowledgements, and the same interchange again.

    Args:
        interchanges: `raw_edi__interchanges`.
        sets: `raw_edi__sets`.
        ours: our identifications.
        as_of: the moment of asking.

    Returns:
        standard_code, our_id, partner_id, control_number, group_control_number, set_codes, sent_at_utc (when the envelope has no date,
        or one after that, when we came to know it), document_id; oldest first.
    """
    key = ["standard_code", "sender_id", "receiver_id", "control_number"]
    mine = interchanges.filter(pl.col("sender_id").is_in(list(ours)), pl.col("available_at_utc") <= as_of)
    # A copy under the same number is set aside, as is what was corrected under it.
    copy = pl.col("verdict_code") == "rejected"
    mine = mine.filter(~copy | ~(~copy).any().over(key)).select(
        "document_id", "interchange_no", "standard_code", pl.col("sender_id").alias("our_id"),
        pl.col("receiver_id").alias("partner_id"), "control_number",
        # Local time of an envelope may be ahead of ours.
        pl.min_horizontal("sent_at_utc", "available_at_utc").alias("sent_at_utc"),
    )  # fmt: skip
    wanted = sets.filter(~pl.col("set_code").is_in(list(ACKNOWLEDGEMENTS))).select(
        "document_id", "interchange_no", "set_code",
        pl.when(pl.col("standard_code") == "X12").then("group_control_number").alias("group_control_number"),
    )  # fmt: skip
    per = wanted.group_by("document_id", "interchange_no", "group_control_number").agg(
        pl.col("set_code").unique().sort().str.join(" ").alias("set_codes")
    )
    found = mine.join(per, on=["document_id", "interchange_no"])
    return found.select(
        "standard_code", "our_id", "partner_id", "control_number", "group_control_number", "set_codes", "sent_at_utc", "document_id"
    ).sort("sent_at_utc", "partner_id", "control_number", "group_control_number", "document_id")  # fmt: skip


def match_acknowledgements(
    sent: pl.DataFrame, answers: pl.DataFrame, *, as_of: datetime, overdue_after: timedelta = OVERDUE_AFTER
) -> pl.DataFrame:
    """State of everything that we sent.

    A 997 or 999 answers the group whose kind and number it quotes, a CONTRL the interchange. A TA1 that accepts says nothing of the
    sets and answers nothing; one that refuses does. Of several under one number the newest that was sent by then is meant. The worst
    answer counts, but a number that was used before refuses the copy and not what was accepted. What is not known to accept refuses.

    Args:
        sent: what `sent_by_us` returns, or at least standard_code, our_id, partner_id, control_number, group_control_number,
            set_codes and sent_at_utc.
        answers: `raw_edi__acknowledgements`.
        as_of: the moment of asking; later answers do not count.
        overdue_after: how long a partner may take.

    Returns:
        the rows of `sent` with `state` (accepted, accepted_with_errors, rejected, waiting or overdue), answered_at_utc (null: not yet)
        and due_at_utc.
    """
    rows = sent.with_row_index("row")
    heard = _meant(rows, _quoted(answers.filter(pl.col("available_at_utc") <= as_of)))
    first = pl.col("worst").filter(~pl.col("is_copy"))
    found = heard.group_by("row").agg(
        pl.coalesce(first.max(), pl.col("worst").max()).alias("worst"),
        pl.col("available_at_utc").min().alias("answered_at_utc"),
    )
    due = pl.col("sent_at_utc") + overdue_after
    late = due < pl.lit(as_of).dt.convert_time_zone("UTC")
    silent = pl.when(late).then(pl.lit("overdue")).otherwise(pl.lit("waiting"))
    said = pl.col("worst").replace_strict(
        {0: "accepted", 1: "accepted_with_errors", _REFUSES: "rejected"}, return_dtype=pl.String
    )
    out = rows.join(found, on="row", how="left", maintain_order="left")
    return out.with_columns(state=pl.coalesce(said, silent), due_at_utc=due).drop("row", "worst")


def _meant(rows: pl.DataFrame, heard: pl.DataFrame) -> pl.DataFrame:
    """Each answer with the row it means: of those with the number it quotes, sent by then, those of its kind, and of these the newest."""
    asked = pl.concat(
        rows.select(
            "row", "standard_code", "our_id", "partner_id", "sent_at_utc", pl.lit(code).alias("quoted_code"),
            _number(column), pl.col("set_codes").str.split(" ").list.eval(pl.element().replace_strict(GROUPED, default=None)).alias("kinds"),
        ).filter(pl.col("quoted_number").is_not_null())
        for code, column in (("interchange", "control_number"), ("group", "group_control_number"))
    )  # fmt: skip
    pairs = heard.with_row_index("answer").join(asked, on=_KEY)
    ahead = pl.col("sent_at_utc") - pl.col("available_at_utc")
    by_then = ahead <= pl.duration()
    pairs = pairs.filter(by_then | ((ahead <= _CLOCKS_DIFFER) & ~by_then.any().over("answer")))
    kind = pl.col("kinds").list.contains(pl.col("acked_group_code")).fill_null(value=False)
    pairs = pairs.filter(kind | ~kind.any().over("answer"))
    at = pl.col("sent_at_utc")
    return pairs.filter(at == pl.when(by_then).then(at.max().over("answer")).otherwise(at.min().over("answer")))


def _number(column: str) -> pl.Expr:
    """A control number as it compares: partners quote it with and without its leading zeros."""
    return pl.col(column).cast(pl.String).str.strip_chars_start("0").alias("quoted_number")


def _quoted(answers: pl.DataFrame) -> pl.DataFrame:
    """Answers by what they quote; a CONTRL names its interchange once, for all its messages."""
    whole = pl.col("acked_control_number").filter(pl.col("level_code") == "interchange").first().over(_SET)
    is_ta1, is_edifact = pl.col("set_code") == "TA1", pl.col("standard_code") == "EDIFACT"
    quoted = (
        pl.when(is_edifact)
        .then(whole)
        .when(is_ta1)
        .then("acked_control_number")
        .otherwise("acked_group_control_number")
    )
    verdict = pl.col("verdict_code").str.to_uppercase().replace_strict(_ACCEPTS, default=_REFUSES, return_dtype=pl.Int8)
    told = answers.with_columns(quoted=quoted).filter(~(is_ta1 & (pl.col("verdict_code") == "A")))
    return told.select(
        "standard_code",
        pl.col("receiver_id").alias("our_id"),
        pl.col("sender_id").alias("partner_id"),
        pl.when(is_edifact | is_ta1).then(pl.lit("interchange")).otherwise(pl.lit("group")).alias("quoted_code"),
        _number("quoted"),
        pl.col("acked_group_code").str.to_uppercase(),
        verdict.alias("worst"),
        ((verdict == _REFUSES) & _any_of("error_codes", _COPY)).alias("is_copy"),
        "available_at_utc",
    )


def _any_of(column: str, codes: Sequence[str]) -> pl.Expr:
    found = pl.col(column).str.split(" ")
    return pl.any_horizontal(found.list.contains(code) for code in codes).fill_null(value=False)
