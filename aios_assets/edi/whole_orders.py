"""Messages that speak of a whole order: a cancellation, a refusal, an acceptance that names no line; an order sent in place of another."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_WHOLE_ORDERS
from aios_assets.edi.typing_rules import INFORMS, Typed, ask, finish, wait_for_lines
from aios_assets.edi.view import View, header
from aios_assets.edi.words import say

# X12 353 of BEG01 and BCH01, 587 of BAK02 and BCA02; EDIFACT 1225 and 4343 of BGM (NA asks for no answer, and is none).
X12_CANCELS, EDIFACT_CANCELS = ("01", "03", "17"), ("1", "3", "17")
# Of an order (850, ORDERS) alone: a change that replaces takes the place of a change, not of the order.
X12_REPLACES, EDIFACT_REPLACES = ("05",), ("5", "21")
# What orders nothing: a status, a proposal, a draft, an information copy, a query, a simulation; an order on hold; a copy, a test, a verification.
X12_INFORMS = ("08", "16", "21", "22", "24", "27", "28", "51", "52", "77")
EDIFACT_INFORMS = ("8", "16", "23", "31", "53", "55", "64")
X12_REFUSES, EDIFACT_REFUSES = ("RD", "RF", "RJ", "RO"), ("27", "RE")
X12_ACCEPTS, EDIFACT_ACCEPTS = ("AC", "AD", "AE", "AK", "AT"), ("6", "29", "AP", "AC", "AD")


def says(column: str, action: str, *codes: str) -> pl.Expr:
    """The action where the column holds one of the codes, else null."""
    return pl.when(pl.col(column).is_in(list(codes))).then(pl.lit(action))


def whole_orders(view: View, opener: str, head: pl.DataFrame, standard: str = "X12") -> Typed:
    """Messages that cancel, refuse or accept and name no line, and those that name the lines which replace all others of the order.

    Args:
        view: sets of one type.
        opener: the tag of the lines.
        head: one row per set: row, set, action_code (null for none), order_number, said_date, and any of buyer_id, seller_id.
        standard: whose error codes to give.
    """
    lined = view.places(opener)["set"].unique()
    has_lines, replaces = pl.col("set").is_in(lined.implode()), pl.col("action_code") == "replace"
    spoken = head.filter(pl.col("action_code").is_not_null(), has_lines == replaces)
    return finish(RAW_EDI_WHOLE_ORDERS, header(spoken), {}, standard=standard)


def informing(typed: Typed, head: pl.DataFrame, codes: tuple[str, ...], where: str) -> Typed:
    """Set aside, for a person to release, the lines of messages that order nothing.

    Args:
        typed: lines of orders or schedules.
        head: set and purpose of each message.
        codes: purposes that order nothing.
        where: element of the purpose, for the reason.
    """
    words = "the message ({} is {}) orders nothing, it informs, asks or proposes: release it if it orders all the same"
    informs = head.filter(pl.col("purpose").is_in(list(codes)).fill_null(value=False))
    return ask(typed, informs.with_columns(asks=say(words, pl.lit(where), "purpose")), "set", "asks", INFORMS)


def waiting(whole: Typed, typed: Typed) -> Typed:
    """What `whole_orders` returns, of which replacements with a line set aside (`typed`) wait for a person."""
    words = "lines of the replacement of order {} were set aside: what it no longer lists stays on order, release it to order it no more"
    return wait_for_lines(whole, typed, "order_number", words)
