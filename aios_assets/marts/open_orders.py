"""Order lines as they were known at an instant: the fold of `fct_order_events`, the twin of `fct_purchase_order_lines`.

A later message replaces what an earlier one said, in the order in which they were sent, whatever order they arrived in. The
mart stands at the newest thing known; this stands at any moment before, which is what a night, a backfill and a what-if need.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import polars as pl

from aios_assets.contracts.mart_tables import FCT_PURCHASE_ORDER_LINES

LINE = ["order_number", "item_id"]
SITE = [*LINE, "ship_to_no"]
SHORT_CLOSE_DAYS = 14
PLACED = ("ordered", "changed", "cancelled")
HEARD = ("confirmed", "shipped", "received", "refused", "status")
_MESSAGE = ["sent_at_utc", "control_no", "control_number", "document_id", "set_no"]
_EVENT = [*_MESSAGE, "segment_no", "line_no", *LINE, "event_code"]


def fold_parts(parts: Iterable[pl.DataFrame], newest: datetime | None) -> pl.DataFrame:
    """Order lines, closed ones too, from events that come some whole orders at a time: nothing of one order depends on another.

    A message that names a site for a line names all of them: what it leaves out is no longer ordered. A word about the line that
    names none of its sites is one about all of them, its quantity in proportion to what they ordered.

    Grain: one item of one order for one receiving site. Units: eaches. Columns: those of `fct_purchase_order_lines`.

    Args:
        parts: rows of `fct_order_events` as they were known at the instant asked for; every order is in one part.
        newest: newest instant at which anything became known, in any of them; None where there is nothing.

    Returns:
        Lines sorted by order, item and receiving site.
    """
    last = newest.date() if newest else None
    return pl.concat([FCT_PURCHASE_ORDER_LINES.empty(), *(_folded(part, last) for part in parts)]).sort(SITE)


def wanted(lines: pl.DataFrame, *, include_closed: bool) -> pl.DataFrame:
    """All lines, or those of which something is still to come."""
    return lines if include_closed else lines.filter(pl.col("open_qty_ea") > 0)


def _folded(known: pl.DataFrame, last: date | None) -> pl.DataFrame:
    """The lines of whole orders from all that is known of them; `last` is the newest day on which anything became known."""
    ranked = _ranked(known)
    orders = _orders(ranked)
    if orders.is_empty():
        return FCT_PURCHASE_ORDER_LINES.empty()
    sites = _sites(orders)
    heard, placed = _at_sites(_heard(ranked, sites), sites), _at_sites(orders, sites)
    lines = (
        _placed(placed)
        .join(_turned(placed), on=SITE, how="left")
        .join(_stated(orders), on=LINE, how="left")
        .join(sites.select(*SITE, "site_id"), on=SITE, how="left")
        .join(_confirmed(heard), on=SITE, how="left")
        .join(_moved(heard.join(orders.select(*LINE, "last_rank").unique(), on=LINE)), on=SITE, how="left")
        .join(_estimates(heard), on=SITE, how="left")
    )
    stated = ("order_date", "requested_date", "source_id", "unit_price_usd")
    lines = lines.with_columns(pl.coalesce(c, f"{c}_stated") for c in stated)
    lines = lines.with_columns(pl.coalesce("order_date", "changed_date").alias("order_date"))
    folded = _with_open_quantity(lines, last).select(FCT_PURCHASE_ORDER_LINES.names)
    return folded.cast(dict(FCT_PURCHASE_ORDER_LINES.schema))  # type: ignore[arg-type]


def _ranked(events: pl.DataFrame) -> pl.DataFrame:
    """Events in the order they were sent; all lines of one message share its rank."""
    numbered = events.with_columns(pl.col("control_number").cast(pl.Int64, strict=False).alias("control_no"))
    ordered = numbered.sort(_EVENT, nulls_last=False)
    return ordered.with_columns(
        pl.int_range(pl.len()).alias("event_rank"), pl.struct(_MESSAGE).rle_id().cast(pl.Int64).alias("message_rank")
    )


def _orders(ranked: pl.DataFrame) -> pl.DataFrame:
    """What was ordered, changed and cancelled; `is_everywhere` where the message names no site for the line."""
    message = [*LINE, "message_rank"]
    orders = ranked.filter(pl.col("event_code").is_in(PLACED)).with_columns(
        pl.col("message_rank").max().over(LINE).alias("last_rank"),
        (pl.col("site_id").is_not_null().sum().over(message) == 0).alias("is_everywhere"),
    )
    splits = ~pl.col("is_everywhere") & (pl.col("quantity_ea").sum().over(message) > 0)
    # Nulls in place of rows filtered out: a filter inside a group is evaluated group by group, and there is one per line.
    orders = orders.with_columns(pl.when(splits).then("message_rank").alias("split_rank"))
    newest = pl.col("message_rank") == pl.col("split_rank").max().over(LINE)
    return orders.with_columns(
        (pl.col("split_rank").is_not_null() & newest).fill_null(value=False).alias("is_split")
    ).drop("split_rank")


def _sites(orders: pl.DataFrame) -> pl.DataFrame:
    """Every site a line was ever ordered for, with the part of the whole that the newest split among sites gives it."""
    named = orders.filter(~pl.col("is_everywhere"))
    parts = named.group_by(*LINE, "site_id").agg(pl.col("quantity_ea").filter("is_split").sum().alias("part_ea"))
    nowhere = orders.join(named, on=LINE, how="anti").select(*LINE).unique()
    nowhere = nowhere.with_columns(pl.lit(None, dtype=pl.String).alias("site_id"), pl.lit(0.0).alias("part_ea"))
    sites = pl.concat([parts, nowhere]).sort([*LINE, "site_id"], nulls_last=False)
    is_split = pl.col("part_ea").sum().over(LINE) > 0
    sites = sites.with_columns(pl.when(is_split).then("part_ea").otherwise(1.0).alias("part_ea"))
    return sites.with_columns(
        pl.col("part_ea").sum().over(LINE).alias("whole_ea"),
        pl.int_range(1, pl.len() + 1).over(LINE).cast(pl.Int32).alias("ship_to_no"),
    )


def _at_sites(events: pl.DataFrame, sites: pl.DataFrame) -> pl.DataFrame:
    """Events at their site; those that name none of a line's sites at each that has a part, with that part of the quantity."""
    there = events.filter(~pl.col("is_everywhere")).join(
        sites.select(*LINE, "site_id", "ship_to_no"), on=[*LINE, "site_id"], nulls_equal=True
    )
    parts = sites.filter(pl.col("part_ea") > 0).drop("site_id")
    part, whole, quantity = pl.col("part_ea"), pl.col("whole_ea"), pl.col("quantity_ea")
    spread = events.filter("is_everywhere").join(parts, on=LINE)
    spread = spread.with_columns(
        pl.when(part == whole).then(quantity).otherwise(quantity * part / whole).alias("quantity_ea")
    )
    return pl.concat([there, spread.select(there.columns)]).sort("event_rank", "ship_to_no")


def _heard(ranked: pl.DataFrame, sites: pl.DataFrame) -> pl.DataFrame:
    """What was answered and moved; `is_everywhere` where it names none of the line's sites."""
    heard = ranked.filter(pl.col("event_code").is_in(HEARD))
    named = sites.filter(pl.col("site_id").is_not_null()).select(*LINE, "site_id", pl.lit(value=False).alias("away"))
    return (
        heard.join(named, on=[*LINE, "site_id"], how="left", maintain_order="left")
        .with_columns(pl.col("away").fill_null(value=True).alias("is_everywhere"))
        .drop("away")
    )


def _last(column: str, where: pl.Expr | None = None) -> pl.Expr:
    """The newest value stated."""
    condition = pl.col(column).is_not_null()
    return pl.col(column).filter(condition if where is None else condition & where).last()


def _stated(orders: pl.DataFrame) -> pl.DataFrame:
    """What the order says of the item, whichever site: it holds where nothing was said of a site."""
    return orders.group_by(LINE, maintain_order=True).agg(
        pl.col("event_date").filter(pl.col("event_code") == "ordered").min().alias("order_date_stated"),
        _last("expected_date").alias("requested_date_stated"),
        _last("source_id").alias("source_id_stated"),
        _last("unit_price_usd").alias("unit_price_usd_stated"),
    )


def _placed(orders: pl.DataFrame) -> pl.DataFrame:
    """What was ordered after all changes, and where that stands in the raw documents."""
    first, is_last = pl.col("event_code") == "ordered", pl.col("message_rank") == pl.col("last_rank")

    def pointer(column: str) -> pl.Expr:
        return pl.coalesce(pl.col(column).filter(first).first(), pl.col(column).first()).alias(column)

    return orders.group_by(SITE, maintain_order=True).agg(
        pl.col("event_date").filter(first).min().alias("order_date"),
        pl.col("event_date").min().alias("changed_date"),
        _last("expected_date").alias("requested_date"),
        _last("source_id"),
        _last("unit_price_usd"),
        pl.col("quantity_ea").filter(is_last).sum().alias("ordered_qty_ea"),
        # All that the newest message says of it is that it goes; or that message leaves it out.
        ((pl.col("event_code") == "cancelled") | ~is_last).all().alias("is_cancelled"),
        pl.col("message_rank").filter(~first).max().alias("changed_rank"),
        *(pointer(c) for c in ("document_id", "set_no", "segment_no")),
        pl.col("available_at_utc").min(),
    )


def _total(values: pl.Expr) -> pl.Expr:
    """The sum, or null where nothing was stated."""
    return pl.when(values.is_not_null().any()).then(values.sum())


def _turned(orders: pl.DataFrame) -> pl.DataFrame:
    """The newest message that orders another quantity than the one before it, where there is one: an order sent again can change it."""
    again = orders.filter(pl.col("message_rank").min().over(LINE) < pl.col("last_rank"))
    totals = again.group_by(*SITE, "message_rank").agg(pl.col("quantity_ea").sum()).sort(*SITE, "message_rank")
    turn = (pl.col("quantity_ea") - pl.col("quantity_ea").shift(1).over(SITE)).abs() > 1e-6
    return totals.filter(turn).group_by(SITE).agg(pl.col("message_rank").max().alias("turned_rank"))


def _confirmed(heard: pl.DataFrame) -> pl.DataFrame:
    """The supplier's newest answer."""
    is_last = pl.col("message_rank") == pl.col("message_rank").max()
    return (
        heard.filter(pl.col("event_code") == "confirmed")
        .group_by(SITE, maintain_order=True)
        .agg(
            _total(pl.col("quantity_ea").filter(is_last)).alias("confirmed_qty_ea"),
            pl.col("message_rank").max().alias("confirmed_rank"),
            pl.coalesce(pl.col("expected_date").filter(is_last).max(), _last("expected_date")).alias("promised_date"),
        )
    )


def _moved(heard: pl.DataFrame) -> pl.DataFrame:
    """What was shipped, received and refused; and sent after the newest word of the order itself."""
    shipped, received, refused = (pl.col("event_code") == code for code in ("shipped", "received", "refused"))
    return (
        heard.filter(shipped | received | refused)
        .group_by(SITE, maintain_order=True)
        .agg(
            pl.col("event_date").filter(shipped).min().alias("shipped_date"),
            pl.col("event_date").filter(shipped).max().alias("last_shipped_date"),
            pl.col("quantity_ea").filter(shipped).sum().alias("shipped_qty_ea"),
            pl.col("quantity_ea")
            .filter(shipped & (pl.col("message_rank") > pl.col("last_rank")))
            .sum()
            .alias("sent_after_qty_ea"),
            _last("shipment_id", shipped),
            _last("carrier_id", shipped),
            pl.col("event_date").filter(received).min().alias("received_date"),
            pl.col("event_date").filter(received | refused).max().alias("last_delivered_date"),
            pl.col("quantity_ea").filter(received).sum().alias("received_qty_ea"),
            pl.col("quantity_ea").filter(refused).sum().alias("refused_qty_ea"),
        )
    )


def _estimates(heard: pl.DataFrame) -> pl.DataFrame:
    """The newest estimate of arrival, and when a receipt was first known."""
    moving = pl.col("event_code").is_in(["shipped", "status"])
    return heard.group_by(SITE, maintain_order=True).agg(
        pl.col("available_at_utc").filter(pl.col("event_code") == "received").min().alias("received_known_at_utc"),
        _last("expected_date", moving),
    )


def _with_open_quantity(lines: pl.DataFrame, last_known: date | None) -> pl.DataFrame:
    """What is still to come: an answer counts unless the order changed after it; a forgotten remainder is closed.

    What was refused came and is not on the way; what replaces it is when it is announced. Of a cancelled line what was sent
    after the cancellation comes all the same.
    """
    answered = pl.col("confirmed_rank") > pl.max_horizontal("changed_rank", "turned_rank").fill_null(-1)
    # An answer without figures takes the order as it stands.
    confirmed = pl.coalesce("confirmed_qty_ea", pl.when(answered).then("ordered_qty_ea"))
    shipped, received, refused = (
        pl.col(f"{code}_qty_ea").fill_null(0.0) for code in ("shipped", "received", "refused")
    )
    due = pl.max_horizontal(pl.when(answered).then(confirmed).otherwise("ordered_qty_ea"), shipped)
    sign = pl.max_horizontal("last_delivered_date", "last_shipped_date", "promised_date", "expected_date")
    forgotten = (received + refused > 0) & (pl.lit(last_known) > sign + timedelta(days=SHORT_CLOSE_DAYS))
    sent_after = pl.min_horizontal(pl.col("sent_after_qty_ea").fill_null(0.0), shipped - received - refused)
    coming = pl.when("is_cancelled").then(sent_after).otherwise(due - received - refused)
    return lines.with_columns(
        confirmed.alias("confirmed_qty_ea"),
        shipped.alias("shipped_qty_ea"),
        received.alias("received_qty_ea"),
        refused.alias("refused_qty_ea"),
        pl.when(forgotten).then(0.0).otherwise(pl.max_horizontal(coming, pl.lit(0.0))).alias("open_qty_ea"),
    )
