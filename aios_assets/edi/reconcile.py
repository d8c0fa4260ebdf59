"""Both sides of an order: each line followed from its order to its answer, shipment and invoice, and what is wrong on the way."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_INVOICE_LINES,
    RAW_EDI_ORDER_LINES,
    RAW_EDI_ORDER_RESPONSES,
    RAW_EDI_SHIPMENT_LINES,
    RAW_EDI_WHOLE_ORDERS,
)
from aios_assets.contracts.table import Table
from aios_assets.edi.words import say

READ = tuple(
    t.name
    for t in (
        RAW_EDI_ORDER_LINES,
        RAW_EDI_WHOLE_ORDERS,
        RAW_EDI_ORDER_RESPONSES,
        RAW_EDI_SHIPMENT_LINES,
        RAW_EDI_INVOICE_LINES,
    )
)
_LINE = ["order_number", "item_id"]
_MESSAGE = ["sent_at_utc", "control_no", "control_number", "document_id", "interchange_no", "set_no"]
_CHANGES = ("860", "ORDCHG", "865")


def order_state(facts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Where each order line stands, from everything that both sides said of it, whatever order it came in.

    A later message replaces what an earlier one said of the line, so that a repeated order, answer, notice or invoice counts once.
    "After" is by when a message was known to us (sent or received), then by when its sender says it was made.

    Grain: one item of one order, all stores together. Units: as sent.

    Args:
        facts: raw tables by name: order lines, whole orders, order responses, shipment lines, invoice lines; a missing one is empty.

    Returns:
        order_number, item_id, ordered, times_ordered, is_cancelled, confirmed (null: no answer), is_refused,
        changed_after_confirm, cancelled_after_shipment, expected, shipped, invoiced (null: no invoice), invoiced_twice, open_to_answer,
        open_to_ship, open_to_invoice; sorted by order and item.
    """
    orders = _known(facts, RAW_EDI_ORDER_LINES)
    every = orders.select(*_LINE).unique()
    whole = _known(facts, RAW_EDI_WHOLE_ORDERS).join(every, on="order_number")
    lines = every.sort(_LINE)
    for frame in (
        _ordered(orders, whole),
        _answered(_known(facts, RAW_EDI_ORDER_RESPONSES), whole),
        _shipped(_known(facts, RAW_EDI_SHIPMENT_LINES)),
        _invoiced(_known(facts, RAW_EDI_INVOICE_LINES)),
    ):
        lines = lines.join(frame, on=_LINE, how="left", maintain_order="left")
    return _stand(lines)


def _known(facts: Mapping[str, pl.DataFrame], table: Table) -> pl.DataFrame:
    """The rows of a table, numbered by the message they stand in, in the order in which messages were sent."""
    frame = facts.get(table.name, table.empty())
    order = frame.with_columns(control_no=pl.col("control_number").cast(pl.Int64, strict=False))
    order = order.sort(_MESSAGE, nulls_last=False, maintain_order=True)
    return order.with_columns(
        message=pl.struct(_MESSAGE).rle_id(),
        known=pl.struct("available_at_utc", "sent_at_utc", "document_id", "set_no"),
    )


def _newest(*more: str) -> pl.Expr:
    """Whether a row stands in the newest message about its line."""
    return pl.col("message") == pl.col("message").max().over(*_LINE, *more)


def _ordered(orders: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """What is ordered after all changes; the cancellation of a whole order speaks of each of its lines."""
    change = pl.col("set_code").is_in(list(_CHANGES))
    shared = (*_LINE, *_MESSAGE, "set_code", "action_code", "quantity", "known")
    cancels = whole.filter(pl.col("action_code") == "cancel").with_columns(quantity=pl.lit(0.0))
    said = pl.concat([orders.select(shared), cancels.select(shared)]).sort(_MESSAGE, nulls_last=False)
    said = said.with_columns(message=pl.struct(_MESSAGE).rle_id())
    original, ends = ~change & (pl.col("action_code") == "new"), pl.col("action_code").is_in(["cancel", "delete"])
    return said.group_by(_LINE).agg(
        pl.col("quantity").filter(pl.col("message") == pl.col("message").max()).sum().alias("ordered"),
        pl.col("message").filter(original).n_unique().alias("times_ordered"),
        ends.last().alias("is_cancelled"),
        pl.col("known").filter(~original).last().alias("changed_at"),
    )


def _answered(responses: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """The newest answer: what it confirms, whether it refuses; an acceptance of the whole order confirms no figure."""
    takes = ~pl.col("response_code").is_in(["IR", "IB", "ID"])
    lines = (
        responses.filter(_newest())
        .group_by(_LINE)
        .agg(
            pl.col("quantity").filter(takes).sum().alias("confirmed"),
            (pl.col("response_code") == "IR").any().alias("is_refused"),
            pl.col("known").last().alias("answered_at"),
        )
    )
    first = responses.group_by(_LINE).agg(pl.col("known").first().alias("first_answered_at"))
    said = (
        whole.filter(pl.col("action_code") != "cancel")
        .group_by(_LINE)
        .agg(
            (pl.col("action_code").last() == "refuse").alias("whole_refused"), pl.col("known").last().alias("whole_at")
        )
    )
    both = lines.join(first, on=_LINE).join(said, on=_LINE, how="full", coalesce=True)
    refused = pl.col("whole_refused").fill_null(value=False)
    return both.select(
        *_LINE,
        pl.when(refused).then(0.0).otherwise("confirmed").alias("confirmed"),
        (pl.col("is_refused").fill_null(value=False) | refused).alias("is_refused"),
        pl.coalesce("answered_at", "whole_at").alias("answered_at"),
        pl.coalesce("first_answered_at", "whole_at").alias("first_answered_at"),
    )


def _shipped(shipments: pl.DataFrame) -> pl.DataFrame:
    """What was shipped, a notice sent again counting once, and when that was first known."""
    first = shipments.group_by(_LINE).agg(pl.col("known").first().alias("shipped_at"))
    sums = shipments.filter(_newest("shipment_id")).group_by(_LINE).agg(pl.col("quantity").sum().alias("shipped"))
    return first.join(sums, on=_LINE)


def _invoiced(invoices: pl.DataFrame) -> pl.DataFrame:
    """What was invoiced, an invoice sent again counting once, and whether one was."""
    again = invoices.group_by(*_LINE, "invoice_number").agg(pl.col("message").n_unique().alias("sent"))
    twice = again.group_by(_LINE).agg((pl.col("sent") > 1).any().alias("invoiced_twice"))
    sums = invoices.filter(_newest("invoice_number")).group_by(_LINE).agg(pl.col("quantity").sum().alias("invoiced"))
    return sums.join(twice, on=_LINE)


def _after(this: str, that: str) -> pl.Expr:
    """Whether one message was known after another; of two known at once, which was made later. False where one is missing."""

    def at(name: str, clock: str) -> pl.Expr:
        return pl.col(name).struct.field(clock)

    known, sent = "available_at_utc", "sent_at_utc"
    same = at(this, known) == at(that, known)
    later = (at(this, known) > at(that, known)) | (same & (at(this, sent) > at(that, sent)))
    return later.fill_null(value=False)


def _stand(lines: pl.DataFrame) -> pl.DataFrame:
    """What is expected, and what is still open, of each line."""
    none, false = pl.lit(0.0), pl.lit(value=False)
    lines = lines.with_columns(
        pl.col("is_refused", "invoiced_twice").fill_null(value=False),
        answered=pl.col("answered_at").is_not_null() & ~_after("changed_at", "answered_at"),
        late_change=_after("changed_at", "first_answered_at") & ~_after("answered_at", "changed_at"),
        late_cancel=pl.col("is_cancelled") & _after("changed_at", "shipped_at"),
    )
    # Goods that had left when the cancellation came are on their way; what was answered before a change no longer holds.
    gone = pl.when("late_cancel").then(pl.coalesce("shipped", none))
    expected = pl.coalesce(gone, pl.when("answered").then("confirmed"), "ordered")
    shipped = pl.coalesce("shipped", none)
    return lines.with_columns(expected=expected).select(
        *_LINE, "ordered", "times_ordered", "is_cancelled", "confirmed", "is_refused", "answered",
        pl.when("is_cancelled").then(false).otherwise("late_change").alias("changed_after_confirm"),
        pl.col("late_cancel").alias("cancelled_after_shipment"),
        "expected", shipped.alias("shipped"), "invoiced", "invoiced_twice",
        (pl.col("answered_at").is_null() & ~pl.col("is_cancelled")).alias("open_to_answer"),
        pl.max_horizontal(pl.col("expected") - shipped, none).alias("open_to_ship"),
        pl.max_horizontal(shipped - pl.coalesce("invoiced", none), none).alias("open_to_invoice"),
    )  # fmt: skip


def order_findings(state: pl.DataFrame) -> pl.DataFrame:
    """Where the two sides differ, or one of them broke the order of things; no row means that all reconciles.

    Args:
        state: what `order_state` returns.

    Returns:
        order_number, item_id, finding_code, reason.
    """
    ordered, confirmed, expected, shipped = (pl.col(c) for c in ("ordered", "confirmed", "expected", "shipped"))
    invoiced, short = pl.col("invoiced"), pl.col("answered") & ~pl.col("is_refused")
    checks = (
        (
            "ordered_twice",
            pl.col("times_ordered") > 1,
            say("the same order came {} times; it counts once", "times_ordered"),
        ),
        ("not_answered", pl.col("open_to_answer"), say("{} ordered, no answer came", "ordered")),
        ("line_refused", pl.col("is_refused"), say("{} ordered, the line was refused", "ordered")),
        ("confirmed_short", (confirmed < ordered) & short, say("{} ordered, {} confirmed", "ordered", "confirmed")),
        (
            "changed_after_confirm",
            pl.col("changed_after_confirm"),
            say("changed to {} after {} were confirmed; the change wants an answer", "ordered", "confirmed"),
        ),
        (
            "cancelled_after_shipment",
            pl.col("cancelled_after_shipment"),
            say("cancelled after {} had left; the cancellation is to be refused, or the goods come back", "shipped"),
        ),
        ("shipped_over", shipped > expected, say("{} expected, {} shipped", "expected", "shipped")),
        ("shipped_short", shipped < expected, say("{} expected, {} shipped", "expected", "shipped")),
        ("invoiced_otherwise", invoiced != shipped, say("{} shipped, {} invoiced", "shipped", "invoiced")),
        ("not_invoiced", invoiced.is_null() & (shipped > 0), say("{} shipped, not invoiced", "shipped")),
        ("invoiced_twice", pl.col("invoiced_twice"), pl.lit("the same invoice came more than once; it counts once")),
    )
    found = [
        state.filter(when.fill_null(value=False)).select(
            *_LINE, pl.lit(code).alias("finding_code"), words.alias("reason")
        )
        for code, when, words in checks
    ]
    return pl.concat(found).sort(*_LINE, "finding_code")
