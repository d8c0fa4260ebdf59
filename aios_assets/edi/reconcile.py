"""Both sides of an order: each line followed from its order to its answer, shipment and invoice, and what is wrong on the way."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_INVOICE_LINES,
    RAW_EDI_ORDER_LINES,
    RAW_EDI_ORDER_RESPONSES,
    RAW_EDI_SHIPMENT_LINES,
    RAW_EDI_WHOLE_NOTICES,
    RAW_EDI_WHOLE_ORDERS,
)
from aios_assets.contracts.measures import COMMON_CODES
from aios_assets.contracts.table import Table
from aios_assets.edi.price_basis import PIECES
from aios_assets.edi.words import say

READ = tuple(
    t.name
    for t in (
        RAW_EDI_ORDER_LINES,
        RAW_EDI_WHOLE_ORDERS,
        RAW_EDI_ORDER_RESPONSES,
        RAW_EDI_SHIPMENT_LINES,
        RAW_EDI_WHOLE_NOTICES,
        RAW_EDI_INVOICE_LINES,
    )
)
# Codes of X12 668 that refuse a line, and units of which the item master says the pieces: as dbt_project/codes has them.
REFUSES = ("IR", "ID", "R1", "R2", "R3", "R4", "R5", "R6")
PACKS = ("CA", "CS", "CT", "CR", "PK", "BX", "BOX", "CASE", "XCT", "XCS", "XPK", "XBX")
_LATER = ("IB", "BP")
_LINE = ["order_number", "item_id"]
_MESSAGE = ["sent_at_utc", "control_no", "control_number", "document_id", "interchange_no", "set_no"]
_CHANGES = ("860", "ORDCHG", "865")
_NEAR = 1e-6


def order_state(facts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Where each order line stands, from everything that both sides said of it, whatever order it came in.

    A later message replaces what an earlier one said of the line, so that a repeated order, answer, notice or invoice counts once.
    "After" is by when a message was known to us (sent or received), then by when its sender says it was made.

    Grain: one item of one order, all stores together. Units: pieces where the unit says how many it is, else as sent.

    Args:
        facts: raw tables by name: order lines, whole orders, order responses, shipment lines, whole notices, invoice lines; a missing one is empty.

    Returns:
        order_number, item_id, ordered (null: no order names it), times_ordered, is_cancelled, confirmed (null: no answer, or one without
        figures), backordered, is_refused, answered, changed_after_confirm, cancelled_after_shipment, expected, shipped, invoiced (null:
        no invoice), invoiced_twice, units (all in which it was counted), open_to_answer, open_to_ship, open_to_invoice; sorted by
        order and item.
    """
    facts = by_call_off(facts)
    orders = _known(facts, RAW_EDI_ORDER_LINES)
    every = orders.select(*_LINE).unique()
    whole = _known(facts, RAW_EDI_WHOLE_ORDERS).join(every, on="order_number")
    said = (
        _ordered(orders, whole),
        _answered(_known(facts, RAW_EDI_ORDER_RESPONSES), whole),
        _shipped(_known(facts, RAW_EDI_SHIPMENT_LINES), _known(facts, RAW_EDI_WHOLE_NOTICES)),
        _invoiced(_known(facts, RAW_EDI_INVOICE_LINES)),
    )
    # Where no order was ever sent this way, nothing can be held against one.
    named = pl.concat([f.select(_LINE) for f in said]).drop_nulls() if every.height else every
    lines = named.unique().sort(_LINE)
    for frame in said:
        lines = lines.join(frame, on=_LINE, how="left", maintain_order="left")
    return _stand(lines)


def by_call_off(facts: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The same facts, each call-off an order of its own (`4711 release 3`) where everything said under its number names one.

    What its blanket order promises is none. Where something names the number alone nobody can know which call-off it is for, and all stay one order.

    Args:
        facts: raw tables by name.

    Returns:
        Raw tables by name.
    """
    orders = facts.get(RAW_EDI_ORDER_LINES.name)
    if orders is None or not orders["release_number"].is_not_null().any():
        return dict(facts)
    release = pl.col("release_number").str.strip_chars().str.strip_chars_start("0")
    release = pl.when(release != "").then(release)
    promises = pl.col("order_type_code").is_in(["BE", "BK"]).fill_null(value=False) & release.is_null()
    called = orders.filter(release.is_not_null())["order_number"].unique()
    kept = dict(facts) | {
        RAW_EDI_ORDER_LINES.name: orders.filter(~(promises & pl.col("order_number").is_in(called.implode())))
    }
    named = {name: frame for name, frame in kept.items() if {"order_number", "release_number"} <= set(frame.columns)}
    bare = pl.concat([frame.filter(release.is_null())["order_number"] for frame in named.values()])
    clear = called.filter(~called.is_in(bare.drop_nulls().implode()))
    name = pl.concat_str("order_number", pl.lit(" release "), release)
    own = pl.when(pl.col("order_number").is_in(clear.implode())).then(name).otherwise("order_number")
    return kept | {table: frame.with_columns(order_number=own) for table, frame in named.items()}


def _known(facts: Mapping[str, pl.DataFrame], table: Table) -> pl.DataFrame:
    """The rows of a table in the order in which their messages were sent, numbered by message, in pieces where that can be."""
    frame = facts.get(table.name, table.empty())
    if "unit_code" in frame.columns:
        unit = pl.col("unit_code").str.to_uppercase()
        pieces = unit.replace_strict(PIECES, default=None, return_dtype=pl.Float64)
        # A kilogram is one in either standard's words.
        measure = unit.replace(COMMON_CODES)
        packed = pl.when(unit.is_in(PACKS)).then(pl.lit("CA")).otherwise(measure)
        kind = pl.when(pieces.is_not_null()).then(pl.lit("EA")).otherwise(packed)
        frame = frame.with_columns(quantity=pl.col("quantity") * pieces.fill_null(1.0), unit=kind)
    frame = frame.with_columns(known=pl.struct("available_at_utc", "sent_at_utc", "document_id", "set_no"))
    return _by_message(frame)


def _by_message(frame: pl.DataFrame) -> pl.DataFrame:
    order = frame.with_columns(control_no=pl.col("control_number").cast(pl.Int64, strict=False))
    order = order.sort(_MESSAGE, nulls_last=False, maintain_order=True)
    return order.with_columns(message=pl.struct(_MESSAGE).rle_id())


def _newest(*key: str) -> pl.Expr:
    """Whether a row stands in the newest message about a key."""
    return pl.col("message") == pl.col("message").max().over(*key)


def _ordered(orders: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """What is ordered after all changes; the cancellation of a whole order speaks of each of its lines, a replacement of those of its
    sender that it does not list, and what goes counts nothing."""
    shared = (*_LINE, *_MESSAGE, "set_code", "action_code", "quantity", "unit", "known")
    sent = orders.select(*_LINE, "sender_id").unique()
    message = ["document_id", "interchange_no", "set_no"]
    again = whole.filter(pl.col("action_code") == "replace")
    dropped = again.join(sent, on=[*_LINE, "sender_id"], how="semi").join(orders, on=[*message, *_LINE], how="anti")
    cancels = pl.concat([whole.filter(pl.col("action_code") == "cancel"), dropped]).with_columns(
        action_code=pl.lit("cancel"), quantity=pl.lit(0.0), unit=pl.lit(None, dtype=pl.String)
    )
    said = _by_message(pl.concat([orders.select(shared), cancels.select(shared)]))
    said = said.join(
        again.select(*message, pl.lit(value=True).alias("replaces")).unique(),
        on=message,
        how="left",
        maintain_order="left",
    )
    ends = pl.col("action_code").is_in(["cancel", "delete"])
    said = said.with_columns(
        ends=ends,
        unit=pl.when(~ends).then("unit"),
        quantity=pl.when(ends).then(0.0).otherwise("quantity"),
        original=~pl.col("set_code").is_in(list(_CHANGES))
        & (pl.col("action_code") == "new")
        & pl.col("replaces").is_null(),
    )
    per = said.group_by(*_LINE, "message").agg(
        pl.col("quantity").sum(), pl.col("ends", "original").all(), pl.col("unit").unique(), pl.col("known").last()
    )
    per = per.sort(*_LINE, "message")
    # An order sent again with another quantity is a change of it.
    turned = (pl.col("quantity") - pl.col("quantity").shift(1).over(_LINE)).abs() > _NEAR
    per = per.with_columns(changes=~pl.col("original") | turned.fill_null(value=False))
    return per.group_by(_LINE, maintain_order=True).agg(
        pl.col("quantity").last().alias("ordered"),
        pl.col("original").sum().alias("times_ordered"),
        pl.col("ends").last().alias("is_cancelled"),
        pl.col("known").filter("changes").last().alias("changed_at"),
        pl.col("unit").last().alias("ordered_in"),
    )


def _answered(responses: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """The newest answer: what it confirms, whether it refuses; an acceptance of the whole order confirms no figure."""
    shared = (*_LINE, *_MESSAGE, "known", "quantity", "unit", "response_code", "action_code")
    lines = responses.with_columns(action_code=pl.lit(None, dtype=pl.String))
    orders = whole.filter(pl.col("action_code").is_in(["refuse", "accept"])).with_columns(
        quantity=pl.lit(None, dtype=pl.Float64),
        **dict.fromkeys(("unit", "response_code"), pl.lit(None, dtype=pl.String)),
    )
    said = _by_message(pl.concat([lines.select(shared), orders.select(shared)]))
    first = said.group_by(_LINE).agg(pl.col("known").first().alias("first_answered_at"))
    refuses = pl.col("response_code").is_in(REFUSES) | (pl.col("action_code") == "refuse").fill_null(value=False)
    quantity, takes = pl.col("quantity"), ~refuses & (pl.col("action_code") != "accept").fill_null(value=True)
    newest = (
        said.filter(_newest(*_LINE))
        .group_by(_LINE)
        .agg(
            pl.when((pl.col("action_code") == "accept").any())
            .then(None)
            .otherwise(quantity.filter(takes).sum())
            .alias("confirmed"),
            quantity.filter(pl.col("response_code").is_in(_LATER)).sum().alias("backordered"),
            refuses.any().alias("is_refused"),
            pl.col("known").last().alias("answered_at"),
            pl.col("unit").filter(takes).unique().alias("confirmed_in"),
        )
    )
    # What takes a part of the line and refuses the rest confirms less.
    newest = newest.with_columns(is_refused=pl.col("is_refused") & ~(pl.col("confirmed") > 0).fill_null(value=False))
    return newest.join(first, on=_LINE)


def _shipped(shipments: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """What was shipped, and when that was first known; a notice sent again counts once, also where it names another order now.

    Of one that was cancelled, or replaced by what does not list it, nothing was shipped.
    """
    first = shipments.group_by(_LINE).agg(pl.col("known").first().alias("shipped_at"))
    notice = ["sender_id", "shipment_id"]
    taken = whole.filter(pl.col("notice_code") == "shipped").rename({"notice_id": "shipment_id"})
    said = _by_message(
        pl.concat(
            [shipments.with_columns(takes=pl.lit(value=False)), taken.with_columns(takes=pl.lit(value=True))],
            how="diagonal",
        )
    )
    taken_at = pl.col("message").filter("takes").max().over(notice)
    stands = said.filter(~pl.col("takes"), (pl.col("message") >= taken_at).fill_null(value=True))
    newest = stands.filter(_newest(*notice, "item_id")).group_by(_LINE)
    sums = newest.agg(pl.col("quantity").sum().alias("shipped"), pl.col("unit").unique().alias("shipped_in"))
    return first.join(sums, on=_LINE)


def _invoiced(invoices: pl.DataFrame) -> pl.DataFrame:
    """What was invoiced, an invoice sent again counting once, and whether one was."""
    again = invoices.group_by(*_LINE, "sender_id", "invoice_number").agg(pl.col("message").n_unique().alias("sent"))
    twice = again.group_by(_LINE).agg((pl.col("sent") > 1).any().alias("invoiced_twice"))
    newest = invoices.filter(_newest(*_LINE, "sender_id", "invoice_number")).group_by(_LINE)
    sums = newest.agg(pl.col("quantity").sum().alias("invoiced"), pl.col("unit").unique().alias("invoiced_in"))
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
    counted = [pl.col(f"{what}_in").fill_null([]) for what in ("ordered", "confirmed", "shipped", "invoiced")]
    lines = lines.with_columns(
        pl.col("is_refused", "invoiced_twice", "is_cancelled").fill_null(value=False),
        answered=pl.col("answered_at").is_not_null() & ~_after("changed_at", "answered_at"),
        late_change=_after("changed_at", "first_answered_at") & ~_after("answered_at", "changed_at"),
        late_cancel=pl.col("is_cancelled") & _after("changed_at", "shipped_at"),
        units=pl.concat_list(counted).list.drop_nulls().list.unique().list.sort(),
    )
    # Goods that had left when the cancellation came are on their way; what was answered before a change no longer holds.
    gone = pl.when("late_cancel").then(pl.coalesce("shipped", none)).when("is_cancelled").then(none)
    known = pl.col("ordered").is_not_null()
    expected = pl.when(known).then(pl.coalesce(gone, pl.when("answered").then("confirmed"), "ordered"))
    shipped = pl.coalesce("shipped", none)
    waits = pl.col("answered_at").is_null() & ~pl.col("is_cancelled") & known
    return lines.with_columns(expected=expected).select(
        *_LINE, "ordered", "times_ordered", "is_cancelled", "confirmed", pl.coalesce("backordered", none).alias("backordered"),
        "is_refused", "answered",
        pl.when("is_cancelled").then(false).otherwise("late_change").alias("changed_after_confirm"),
        pl.col("late_cancel").alias("cancelled_after_shipment"),
        "expected", shipped.alias("shipped"), "invoiced", "invoiced_twice", "units", waits.alias("open_to_answer"),
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
    invoiced, short = pl.col("invoiced"), pl.col("answered") & ~pl.col("is_refused") & ~pl.col("is_cancelled")
    known, alike = ordered.is_not_null(), pl.col("units").list.len() < 2
    checks = (
        (
            "not_ordered",
            ~known,
            say(
                "no order names it: {} confirmed, {} shipped, {} invoiced",
                confirmed.fill_null(0.0),
                shipped,
                invoiced.fill_null(0.0),
            ),
        ),
        (
            "units_differ",
            ~alike,
            say("counted in {}: what was said cannot be compared", pl.col("units").list.join(" and ")),
        ),
        (
            "ordered_twice",
            pl.col("times_ordered") > 1,
            say("the same order came {} times; it counts once", "times_ordered"),
        ),
        ("not_answered", pl.col("open_to_answer"), say("{} ordered, no answer came", "ordered")),
        ("line_refused", pl.col("is_refused") & known, say("{} ordered, the line was refused", "ordered")),
        (
            "confirmed_short",
            (confirmed < ordered - _NEAR) & short & alike,
            say("{} ordered, {} confirmed", "ordered", "confirmed"),
        ),
        (
            "backordered",
            (pl.col("backordered") > 0) & short & known,
            say("{} of {} come later", "backordered", "ordered"),
        ),
        (
            "changed_after_confirm",
            pl.col("changed_after_confirm"),
            say(
                "changed to {} after {} were confirmed; the change wants an answer", "ordered", confirmed.fill_null(0.0)
            ),
        ),
        (
            "cancelled_after_shipment",
            pl.col("cancelled_after_shipment"),
            say("cancelled after {} had left; the cancellation is to be refused, or the goods come back", "shipped"),
        ),
        ("shipped_over", (shipped > expected + _NEAR) & alike, say("{} expected, {} shipped", "expected", "shipped")),
        ("shipped_short", (shipped < expected - _NEAR) & alike, say("{} expected, {} shipped", "expected", "shipped")),
        (
            "invoiced_otherwise",
            ((invoiced - shipped).abs() > _NEAR) & alike & known,
            say("{} shipped, {} invoiced", "shipped", "invoiced"),
        ),
        ("not_invoiced", invoiced.is_null() & (shipped > 0) & known, say("{} shipped, not invoiced", "shipped")),
        ("invoiced_twice", pl.col("invoiced_twice"), pl.lit("the same invoice came more than once; it counts once")),
    )
    found = [
        state.filter(when.fill_null(value=False)).select(
            *_LINE, pl.lit(code).alias("finding_code"), words.alias("reason")
        )
        for code, when, words in checks
    ]
    return pl.concat(found).sort(*_LINE, "finding_code")
