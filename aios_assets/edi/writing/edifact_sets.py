"""Layouts of the EDIFACT messages we write. Source: UN/EDIFACT D.96A message tables; unchanged segments to D.23A."""

from __future__ import annotations

import polars as pl

from aios_assets.edi.writing.pen import Pen, Segment, day, number, plain

Layout = tuple[list[Segment], list[Segment], list[Segment]]


def _given(name: str) -> pl.Expr:
    return pl.col(name).is_not_null()


def _dtm(pen: Pen, kind: str, name: str) -> Segment:
    return pen.seg("DTM", pen.comp(kind, day(name), "102"), when=_given(name))


def _nad(pen: Pen, kind: str, name: str) -> Segment:
    return pen.seg("NAD", kind, pen.comp(pl.col(name), "", pen.partner.party_qualifier), when=_given(name))


def _currency(pen: Pen, whose: str) -> Segment:
    """CUX: reference currency (2) of the order (9) or invoice (4)."""
    return pen.seg("CUX", pen.comp("2", pl.col("currency_code"), whose), when=_given("currency_code"))


def _lin(pen: Pen, number: str, action: pl.Expr | str = "") -> list[Segment]:
    """LIN by GTIN with our number in PIA, or by our number alone; `number` is the column of its line number."""
    gtin = _given("item_gtin")
    both = gtin & (pl.col("item_gtin") != pl.col("item_id"))
    own = pen.comp(pl.col("item_id"), pen.partner.item_qualifier)
    named = pl.when(gtin).then(pen.comp(pl.col("item_gtin"), "EN")).otherwise(own)
    return [pen.seg("LIN", pl.col(number), action, named), pen.seg("PIA", "1", own, when=both)]


def order(pen: Pen) -> Layout:
    """ORDERS: one LIN per order line."""
    head = [
        pen.seg("BGM", "220", pl.col("order_number"), "9"),
        _dtm(pen, "137", "order_date"),
        _nad(pen, "BY", "buyer_id"),
        _nad(pen, "SU", "seller_id"),
        _nad(pen, "DP", "ship_to_site_id"),
        _currency(pen, "9"),
    ]
    return (
        head,
        [*_lin(pen, "order_line"), *_ordered(pen)],
        [pen.seg("UNS", "S"), pen.seg("CNT", pen.comp("2", pl.col("lines")))],
    )


def _ordered(pen: Pen) -> list[Segment]:
    return [
        pen.seg("QTY", pen.comp("21", number("quantity"), pl.col("unit_code"))),
        _dtm(pen, "2", "requested_date"),
        pen.seg("PRI", pen.comp("AAA", number("unit_price")), when=_given("unit_price")),
    ]


def change(pen: Pen) -> Layout:
    """ORDCHG: one LIN with its action (1 added, 2 deleted, 3 changed) per changed line."""
    code = pl.col("action_code").replace_strict({"new": "1", "delete": "2", "cancel": "2", "change": "3"}, default="3")
    cancels = pl.col("action_code") == "cancel"
    head = [
        pen.seg("BGM", "230", pl.col("order_number"), pl.when(cancels).then(pl.lit("1")).otherwise(pl.lit("4"))),
        _dtm(pen, "137", "order_date"),
        pen.seg("RFF", pen.comp("ON", pl.col("order_number"))),
        _nad(pen, "BY", "buyer_id"),
        _nad(pen, "SU", "seller_id"),
        _nad(pen, "DP", "ship_to_site_id"),
        _currency(pen, "9"),
    ]
    return (
        head,
        [*_lin(pen, "order_line", code), *_ordered(pen)],
        [pen.seg("UNS", "S"), pen.seg("CNT", pen.comp("2", pl.col("lines")))],
    )


def shipment(pen: Pen) -> Layout:
    """DESADV: one CPS, one LIN per line, its order in RFF+ON."""
    head = [
        pen.seg("BGM", "351", pl.col("shipment_id"), "9"),
        _dtm(pen, "137", "shipped_date"),
        _dtm(pen, "11", "shipped_date"),
        _dtm(pen, "17", "expected_date"),
        _nad(pen, "SF", "ship_from_id"),
        _nad(pen, "DP", "ship_to_site_id"),
        pen.seg("TDT", "20", "", "30", "", pl.col("carrier_id"), when=_given("carrier_id")),
        pen.seg("CPS", "1"),
    ]
    line = [
        *_lin(pen, "nth"),
        pen.seg("QTY", pen.comp("12", number("quantity"), pl.col("unit_code"))),
        pen.seg("RFF", pen.comp("ON", pl.col("order_number"), pl.col("order_line")), when=_given("order_number")),
    ]
    return head, line, []


def invoice(pen: Pen) -> Layout:
    """INVOIC: one LIN per line, its order in RFF+ON."""
    head = [
        pen.seg("BGM", "380", pl.col("invoice_number"), "9"),
        _dtm(pen, "137", "invoice_date"),
        _nad(pen, "SU", "seller_id"),
        _currency(pen, "4"),
    ]
    line = [
        *_lin(pen, "nth"),
        pen.seg("QTY", pen.comp("47", number("quantity"), pl.col("unit_code"))),
        pen.seg("PRI", pen.comp("AAA", number("unit_price"))),
        pen.seg("RFF", pen.comp("ON", pl.col("order_number"), pl.col("order_line")), when=_given("order_number")),
    ]
    tail = [
        pen.seg("UNS", "S"),
        pen.seg("CNT", pen.comp("2", pl.col("lines"))),
        pen.seg("MOA", pen.comp("77", plain("amount"))),
    ]
    return head, line, tail
