"""Messages that cancel or replace what was said before: of a notice or a receipt nothing is left, of a report or a status nothing counts.

A notice or an advice sent again takes the place of the one of its number, so that one that cancels lands its lines with nothing.
One that cancels, or that replaces all of another, speaks of the whole document (`raw_edi__whole_notices`), whichever lines it lists; one that
deletes (353 03, 1225 3) and lists lines, of these.
What cancels a count must not land as a count of nothing: it is set aside for a person to release.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_WHOLE_NOTICES
from aios_assets.edi.typing_rules import CANCELLED, REJECT_CANDIDATES, Typed, ask, finish, wait_for_lines
from aios_assets.edi.view import attach
from aios_assets.edi.words import say


@dataclass(frozen=True, slots=True)
class Purposes:
    """What the purpose of a message may do to what was said before.

    Attributes:
        cancels: codes that take it back.
        replaces: codes that put the message in the place of all of it.
        standard: whose codes these are.
        listing: codes that take back the lines which the message lists, where it lists any.
    """

    cancels: tuple[str, ...]
    replaces: tuple[str, ...] = ()
    standard: str = "X12"
    listing: tuple[str, ...] = ()

    def cancelling(self, head: pl.DataFrame) -> pl.DataFrame:
        """Rows of the messages that cancel."""
        found = head.filter(pl.col("purpose").is_in(list(self.cancels)))
        return found.unique("set", keep="first", maintain_order=True)


# X12 353 and EDIFACT 1225: cancellation, deletion, cancelled to be issued again; replacement, also of all that stands behind the header.
X12_PURPOSES = Purposes(("01", "03", "17"), ("05",), listing=("03",))
EDIFACT_PURPOSES = Purposes(("1", "3", "17"), ("5", "21"), "EDIFACT", listing=("3",))


def nothing_left(base: pl.DataFrame, head: pl.DataFrame, purposes: Purposes) -> pl.DataFrame:
    """Lines of messages that cancel, with a quantity of 0.

    Args:
        base: lines with set and quantity.
        head: set and purpose of each message.
        purposes: what its codes do.
    """
    sets = purposes.cancelling(head)["set"]
    if sets.is_empty():
        return base
    cancels, none = pl.col("set").is_in(sets.implode()), pl.lit(None, dtype=pl.String)
    refused = {"rejected_quantity": none} if "rejected_quantity" in base.columns else {}
    return base.with_columns(
        pl.when(cancels).then(value).otherwise(name).alias(name)
        for name, value in {"quantity": pl.lit("0"), **refused}.items()
    )


def withdrawn(typed: Typed, head: pl.DataFrame, purposes: Purposes, where: str) -> Typed:
    """Set aside, for a person to release, the lines of messages that cancel.

    Args:
        typed: lines of one table.
        head: row, set and purpose of each message.
        purposes: what its codes do.
        where: element of the purpose, for the reason.
    """
    words = "the message ({} is {}) cancels what it tells: release it if it counts all the same"
    cancels = purposes.cancelling(head).with_columns(asks=say(words, pl.lit(where), "purpose"))
    return ask(typed, cancels, "set", "asks", CANCELLED)


def whole_notices(
    typed: Typed, head: pl.DataFrame, purposes: Purposes, notice_code: str, lined: pl.Series
) -> list[Typed]:
    """The lines, and what their messages do to all of the document they name: cancel it, whichever of its lines they list, or replace it.

    A replacement of which a line was set aside waits for a person, for what cannot be read would count nothing.

    Args:
        typed: lines of one table.
        head: row, set, purpose, number, said_date and party_id of each message.
        purposes: what its codes do.
        notice_code: what the message speaks of.
        lined: sets that have lines.
    """
    has_lines = pl.col("set").is_in(lined.unique().implode())
    bare = purposes.cancelling(head).filter(~has_lines)
    whole = purposes.cancelling(head).filter(~has_lines | ~pl.col("purpose").is_in(list(purposes.listing)))
    again = head.filter(pl.col("purpose").is_in(list(purposes.replaces)), pl.col("number").is_not_null())
    said = pl.concat(
        [
            whole.filter(pl.col("number").is_not_null()).with_columns(action_code=pl.lit("cancel")),
            again.unique("set", keep="first", maintain_order=True).with_columns(action_code=pl.lit("replace")),
        ]
    ).sort("row")
    if bare.is_empty() and said.is_empty():
        return [typed]
    typed = _told(typed, bare.filter(pl.col("number").is_null()))
    said = said.with_columns(notice_code=pl.lit(notice_code)).rename({"number": "notice_id"})
    taken = finish(RAW_EDI_WHOLE_NOTICES, said, {}, standard=purposes.standard)
    words = "lines of the replacement of {} were set aside: what it no longer lists still counts, release it to count it no more"
    return [typed, wait_for_lines(taken, typed, "notice_id", words)]


def _told(typed: Typed, bare: pl.DataFrame) -> Typed:
    """Tell of messages that cancel and name neither a line nor a number, by which nothing can be taken back."""
    if bare.is_empty():
        return typed
    words = "the message cancels a message without a number and names no line of it: what it cancels still counts"
    rejects = bare.select(
        "set",
        "row",
        line_no=pl.lit(1, dtype=pl.Int32),
        element_no=pl.lit(None, dtype=pl.Int32),
        error_code=pl.lit(CANCELLED),
        reason=pl.lit(words),
    ).cast(REJECT_CANDIDATES.schema)
    return replace(typed, rejects=pl.concat([typed.rejects, rejects]), seen=typed.seen + rejects.height)


def heading(head: pl.DataFrame, said: pl.DataFrame, who: pl.DataFrame) -> pl.DataFrame:
    """Headers with said_date, the first day of a message, and party_id, its party where it names one only.

    Args:
        head: row, set, purpose and number of each message.
        said: set and day, the best first.
        who: set, who (its kind) and party, the best first.
    """
    head = attach(head, said.filter(pl.col("day").is_not_null()), "set", "day").rename({"day": "said_date"})
    named = who.filter(pl.col("party").is_not_null())
    best = named.filter(pl.col("who") == pl.col("who").first().over("set"))
    one = best.filter((pl.col("party").n_unique() == 1).over("set"))
    head = attach(head, one, "set", "party").rename({"party": "party_id"})
    return head.select("row", "set", "purpose", "number", "said_date", "party_id")
