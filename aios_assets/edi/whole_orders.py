"""Messages that speak of a whole order and name no line: a cancellation, a refusal, an acceptance."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_WHOLE_ORDERS
from aios_assets.edi.typing_rules import Typed, finish
from aios_assets.edi.view import View, header

# X12 353 of BEG01 and BCH01, 587 of BAK02 and BCA02; EDIFACT 1225 and 4343 of BGM (NA asks for no answer, and is none).
X12_CANCELS, EDIFACT_CANCELS = ("01", "03"), ("1",)
X12_REFUSES, EDIFACT_REFUSES = ("RD", "RF", "RJ", "RO"), ("27", "RE")
X12_ACCEPTS, EDIFACT_ACCEPTS = ("AC", "AD", "AE", "AK", "AT"), ("6", "29", "AP", "AC", "AD")


def says(column: str, action: str, *codes: str) -> pl.Expr:
    """The action where the column holds one of the codes, else null."""
    return pl.when(pl.col(column).is_in(list(codes))).then(pl.lit(action))


def whole_orders(view: View, opener: str, head: pl.DataFrame, standard: str = "X12") -> Typed:
    """Messages without a line that cancel, refuse or accept; one that does none of these says nothing of a whole order.

    Args:
        view: sets of one type.
        opener: the tag of the lines that such a message lacks.
        head: one row per set: row, set, action_code (null for none), order_number, said_date, and any of buyer_id, seller_id.
        standard: whose error codes to give.
    """
    lined = view.places(opener)["set"].unique()
    spoken = head.filter(pl.col("action_code").is_not_null() & ~pl.col("set").is_in(lined.implode()))
    return finish(RAW_EDI_WHOLE_ORDERS, header(spoken), {}, standard=standard)
