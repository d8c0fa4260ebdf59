"""What we sent against what came back: acknowledgements matched or overdue, and each order line followed to its invoice."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from aios_assets.edi.words import say

_GOOD = ("A", "E", "M", "7", "8")


def match_acknowledgements(
    sent: pl.DataFrame, answers: pl.DataFrame, *, as_of: datetime, overdue_after: timedelta = timedelta(hours=24)
) -> pl.DataFrame:
    """State of every interchange that we sent.

    Args:
        sent: control_number (i64), standard_code, our_id, partner_id, sent_at_utc: one row per interchange.
        answers: `raw_edi__acknowledgements`.
        as_of: the moment of asking; later answers do not count.
        overdue_after: how long a partner may take.

    Returns:
        the rows of `sent` with `state`: accepted, accepted_with_errors, rejected, waiting or overdue.
    """
    heard = answers.filter((pl.col("available_at_utc") <= as_of) & pl.col("level_code").is_in(["interchange", "group"]))
    number = pl.coalesce("acked_group_control_number", "acked_control_number").cast(pl.Int64, strict=False)
    order = pl.col("verdict_code").replace_strict({"R": 3, "4": 3, "P": 2, "E": 1}, default=0, return_dtype=pl.Int8)
    worst = (
        heard.select(pl.col("sender_id").alias("partner_id"), number.alias("control_number"), order.alias("worst"))
        .group_by("partner_id", "control_number")
        .agg(pl.col("worst").max())
    )
    sets = answers.filter((pl.col("available_at_utc") <= as_of) & (pl.col("level_code") == "set"))
    refused = (
        sets.filter(~pl.col("verdict_code").is_in(list(_GOOD)))
        .select(pl.col("sender_id").alias("partner_id"), number.alias("control_number"))
        .unique()
        .with_columns(refused=pl.lit(value=True))
    )
    keys = ["partner_id", "control_number"]
    out = sent.join(worst, on=keys, how="left", maintain_order="left").join(
        refused, on=keys, how="left", maintain_order="left"
    )
    late = pl.lit(as_of).dt.convert_time_zone("UTC") - pl.col("sent_at_utc") > overdue_after
    state = (
        pl.when(pl.col("worst").is_null() & late)
        .then(pl.lit("overdue"))
        .when(pl.col("worst").is_null())
        .then(pl.lit("waiting"))
        .when((pl.col("worst") == 3) | pl.col("refused").fill_null(value=False))
        .then(pl.lit("rejected"))
        .when(pl.col("worst") > 0)
        .then(pl.lit("accepted_with_errors"))
        .otherwise(pl.lit("accepted"))
    )
    return out.with_columns(state=state).drop("worst", "refused")


def order_findings(
    orders: pl.DataFrame, responses: pl.DataFrame, shipments: pl.DataFrame, invoices: pl.DataFrame
) -> pl.DataFrame:
    """Where answers, shipments and invoices differ from the order, line by line; no row means that it reconciles.

    Args:
        orders: order lines sent (order_number, order_line, item_id, quantity).
        responses: `raw_edi__order_responses`.
        shipments: `raw_edi__shipment_lines`.
        invoices: `raw_edi__invoice_lines`.

    Returns:
        order_number, item_id, finding_code, reason.
    """
    key = ["order_number", "item_id"]
    ordered = orders.group_by(key, maintain_order=True).agg(pl.col("quantity").sum().alias("ordered"))
    taken = pl.col("response_code").is_in(["IR", "IB", "ID"])
    confirmed = responses.group_by(key).agg(
        pl.col("quantity").filter(~taken).sum().alias("confirmed"),
        (pl.col("response_code") == "IR").any().alias("refused"),
    )
    shipped = shipments.group_by(key).agg(
        pl.col("quantity").sum().alias("shipped"), pl.col("available_at_utc").min().alias("shipped_at")
    )
    once = invoices.unique(["invoice_number", *key, "order_line", "quantity"], keep="first", maintain_order=True)
    invoiced = once.group_by(key).agg(pl.col("quantity").sum().alias("invoiced"))
    numbers = invoices.group_by(*key, "invoice_number").agg(pl.col("document_id").n_unique().alias("sent"))
    again = numbers.filter(pl.col("sent") > 1).select(*key).unique().with_columns(again=pl.lit(value=True))
    all_ = ordered
    for frame in (confirmed, shipped, invoiced, again):
        all_ = all_.join(frame, on=key, how="left", maintain_order="left")
    none = pl.lit(0.0)
    expected = pl.coalesce("confirmed", "ordered")
    checks = (
        ("not_answered", pl.col("confirmed").is_null(), say("{} ordered, no answer came", "ordered")),
        ("line_refused", pl.col("refused"), say("{} ordered, the line was refused", "ordered")),
        (
            "confirmed_short",
            (pl.col("confirmed") < pl.col("ordered")) & ~pl.col("refused"),
            say("{} ordered, {} confirmed", "ordered", "confirmed"),
        ),
        ("shipped_over", pl.col("shipped") > expected, say("{} expected, {} shipped", expected, "shipped")),
        (
            "shipped_short",
            pl.coalesce("shipped", none) < expected,
            say("{} expected, {} shipped", expected, pl.coalesce("shipped", none)),
        ),
        (
            "invoiced_otherwise",
            pl.col("invoiced").is_not_null() & (pl.col("invoiced") != pl.coalesce("shipped", none)),
            say("{} shipped, {} invoiced", pl.coalesce("shipped", none), "invoiced"),
        ),
        (
            "not_invoiced",
            pl.col("invoiced").is_null() & pl.col("shipped").is_not_null(),
            say("{} shipped, not invoiced", "shipped"),
        ),
        ("invoiced_twice", pl.col("again"), pl.lit("the same invoice came more than once; it counts once")),
    )
    found = [
        all_.filter(when.fill_null(value=False)).select(*key, pl.lit(code).alias("finding_code"), words.alias("reason"))
        for code, when, words in checks
    ]
    return pl.concat(found).sort(*key, "finding_code")
