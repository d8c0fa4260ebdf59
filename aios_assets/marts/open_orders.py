"""Order lines as they were known at an instant: the fold of `fct_order_events`, the twin of `fct_purchase_order_lines`.

A later message replaces what an earlier one said, in the order in which they were sent, whatever order they arrived in. The
mart stands at the newest thing known; this stands at any moment before, which is what a night, a backfill and a what-if need.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from aios_assets.contracts.mart_tables import FCT_PURCHASE_ORDER_LINES
from aios_assets.marts.versions import known_at

LINE = ["order_number", "item_id"]
SHORT_CLOSE_DAYS = 14
PLACED = ("ordered", "changed", "cancelled")
_MESSAGE = ["sent_at_utc", "control_no", "control_number", "document_id", "set_no"]
_EVENT = [*_MESSAGE, "segment_no", "line_no", *LINE, "event_code"]


def open_orders_as_of(events: pl.DataFrame, instant: datetime, *, include_closed: bool = False) -> pl.DataFrame:
    """Order lines as known at `instant`.

    Grain: one item of one order. Units: eaches. Columns: those of `fct_purchase_order_lines`.

    Args:
        events: rows of `fct_order_events`; what became known after `instant`, or was superseded by then, is not looked at.
        instant: moment of knowledge, UTC.
        include_closed: also lines of which nothing is to come (received, cancelled).

    Returns:
        Lines sorted by order and item.
    """
    known = events.filter(known_at(instant))
    if known.is_empty():
        return FCT_PURCHASE_ORDER_LINES.empty()
    ranked = _ranked(known)
    lines = (
        _placed(ranked)
        .join(_confirmed(ranked), on=LINE, how="left")
        .join(_moved(ranked), on=LINE, how="left")
        .join(_estimates(ranked), on=LINE, how="left")
    )
    last = known["available_at_utc"].dt.date().max()
    folded = _with_open_quantity(lines, last).select(FCT_PURCHASE_ORDER_LINES.names)
    folded = folded.cast(dict(FCT_PURCHASE_ORDER_LINES.schema)).sort(LINE)  # type: ignore[arg-type]
    return folded if include_closed else folded.filter(pl.col("open_qty_ea") > 0)


def _ranked(events: pl.DataFrame) -> pl.DataFrame:
    """Events in the order they were sent; all lines of one message share its rank."""
    numbered = events.with_columns(pl.col("control_number").cast(pl.Int64, strict=False).alias("control_no"))
    ordered = numbered.sort(_EVENT, nulls_last=False)
    return ordered.with_columns(
        pl.int_range(pl.len()).alias("event_rank"), pl.struct(_MESSAGE).rle_id().cast(pl.Int64).alias("message_rank")
    )


def _last(column: str, where: pl.Expr | None = None) -> pl.Expr:
    """The newest value stated."""
    condition = pl.col(column).is_not_null()
    return pl.col(column).filter(condition if where is None else condition & where).last()


def _placed(ranked: pl.DataFrame) -> pl.DataFrame:
    """What was ordered after all changes, and where that stands in the raw documents."""
    orders = ranked.filter(pl.col("event_code").is_in(PLACED))
    first, is_last = pl.col("event_code") == "ordered", pl.col("message_rank") == pl.col("message_rank").max()

    def pointer(column: str) -> pl.Expr:
        return pl.coalesce(pl.col(column).filter(first).first(), pl.col(column).first()).alias(column)

    return orders.group_by(LINE, maintain_order=True).agg(
        pl.coalesce(pl.col("event_date").filter(first).min(), pl.col("event_date").min()).alias("order_date"),
        _last("expected_date").alias("requested_date"),
        _last("source_id"),
        _last("site_id"),
        _last("unit_price_usd"),
        _total(pl.col("quantity_ea").filter(is_last)).alias("ordered_qty_ea"),
        (pl.col("event_code").last() == "cancelled").alias("is_cancelled"),
        pl.col("message_rank").filter(~first).max().alias("changed_rank"),
        *(pointer(c) for c in ("document_id", "set_no", "segment_no")),
        pl.col("available_at_utc").min(),
    )


def _total(values: pl.Expr) -> pl.Expr:
    """The sum, or null where nothing was stated."""
    return pl.when(values.is_not_null().any()).then(values.sum())


def _confirmed(ranked: pl.DataFrame) -> pl.DataFrame:
    """The supplier's newest answer."""
    is_last = pl.col("message_rank") == pl.col("message_rank").max()
    return (
        ranked.filter(pl.col("event_code") == "confirmed")
        .group_by(LINE, maintain_order=True)
        .agg(
            _total(pl.col("quantity_ea").filter(is_last)).alias("confirmed_qty_ea"),
            pl.col("message_rank").max().alias("confirmed_rank"),
            pl.coalesce(pl.col("expected_date").filter(is_last).max(), _last("expected_date")).alias("promised_date"),
        )
    )


def _moved(ranked: pl.DataFrame) -> pl.DataFrame:
    """What was shipped and received; a notice sent again replaces the one before it."""
    notices = ranked.filter(pl.col("event_code").is_in(["shipped", "received"]))
    newest = notices.group_by([*LINE, "event_code", "reference_id"]).agg(pl.col("message_rank").max())
    kept = notices.join(newest, on=[*LINE, "event_code", "reference_id", "message_rank"], nulls_equal=True, how="semi")
    shipped, received = pl.col("event_code") == "shipped", pl.col("event_code") == "received"
    return (
        kept.sort("event_rank")
        .group_by(LINE, maintain_order=True)
        .agg(
            pl.col("event_date").filter(shipped).min().alias("shipped_date"),
            pl.col("event_date").filter(shipped).max().alias("last_shipped_date"),
            pl.col("quantity_ea").filter(shipped).sum().alias("shipped_qty_ea"),
            _last("shipment_id", shipped),
            _last("carrier_id", shipped),
            pl.col("event_date").filter(received).min().alias("received_date"),
            pl.col("event_date").filter(received).max().alias("last_received_date"),
            pl.col("quantity_ea").filter(received).sum().alias("received_qty_ea"),
        )
    )


def _estimates(ranked: pl.DataFrame) -> pl.DataFrame:
    """The newest estimate of arrival, and when a receipt was first known."""
    moving = pl.col("event_code").is_in(["shipped", "status"])
    return ranked.group_by(LINE, maintain_order=True).agg(
        pl.col("available_at_utc").filter(pl.col("event_code") == "received").min().alias("received_known_at_utc"),
        _last("expected_date", moving),
    )


def _with_open_quantity(lines: pl.DataFrame, last_known: object) -> pl.DataFrame:
    """What is still to come: an answer counts unless the order changed after it; a forgotten remainder is closed."""
    answered = pl.col("confirmed_rank").is_not_null() & (
        pl.col("changed_rank").is_null() | (pl.col("confirmed_rank") > pl.col("changed_rank"))
    )
    shipped, received = pl.col("shipped_qty_ea").fill_null(0.0), pl.col("received_qty_ea").fill_null(0.0)
    due = pl.max_horizontal(pl.when(answered).then("confirmed_qty_ea").otherwise("ordered_qty_ea"), shipped)
    sign = pl.max_horizontal("last_received_date", "last_shipped_date", "promised_date", "expected_date")
    forgotten = (received > 0) & (pl.lit(last_known) > sign + timedelta(days=SHORT_CLOSE_DAYS))
    rest = pl.max_horizontal(due - received, pl.lit(0.0))
    return lines.with_columns(
        shipped.alias("shipped_qty_ea"),
        received.alias("received_qty_ea"),
        pl.when(pl.col("is_cancelled") | forgotten).then(0.0).otherwise(rest).alias("open_qty_ea"),
    )
