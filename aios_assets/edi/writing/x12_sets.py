"""Layouts of the X12 sets we write. Source: the X12 004010 set tables; every segment used exists unchanged to 008060."""

from __future__ import annotations

import polars as pl

from aios_assets.edi.writing.pen import Pen, Segment, day, number

Layout = tuple[list[Segment], list[Segment], list[Segment]]


def _given(name: str) -> pl.Expr:
    return pl.col(name).is_not_null()


def _n1(pen: Pen, code: str, name: str) -> Segment:
    """A party by its number; the number stands as name too, which X12 wants in one of the two."""
    return pen.seg("N1", code, "", pen.partner.party_qualifier, pl.col(name), when=_given(name))


def _currency(pen: Pen, whose: str) -> Segment:
    return pen.seg("CUR", whose, pl.col("currency_code"), when=_given("currency_code"))


def _item(pen: Pen) -> list[pl.Expr | str]:
    """Qualifier and number of our item, then of the GTIN where there is another one."""
    gtin = _given("item_gtin") & (pl.col("item_gtin") != pl.col("item_id"))
    only = _given("item_gtin") & (pl.col("item_gtin") == pl.col("item_id"))
    qualifier = pl.when(only).then(pl.lit(pen.partner.gtin_qualifier)).otherwise(pl.lit(pen.partner.item_qualifier))
    return [
        qualifier,
        pl.col("item_id"),
        pl.when(gtin).then(pl.lit(pen.partner.gtin_qualifier)),
        pl.when(gtin).then("item_gtin"),
    ]


def _kind() -> pl.Expr:
    """X12 92: a call-off of a blanket order, or an order that stands alone."""
    return pl.when(_given("release_number")).then(pl.lit("RL")).otherwise(pl.lit("SA"))


def order(pen: Pen) -> Layout:
    """850: one PO1 per order line, its date in DTM*002."""
    head = [
        pen.seg("BEG", "00", _kind(), pl.col("order_number"), pl.col("release_number"), day("order_date")),
        _currency(pen, "BY"),
        _n1(pen, "BY", "buyer_id"),
        _n1(pen, "SE", "seller_id"),
        _n1(pen, "ST", "ship_to_site_id"),
    ]
    line = [
        pen.seg(
            "PO1", pl.col("order_line"), number("quantity"), pl.col("unit_code"), number("unit_price"), "", *_item(pen)
        ),
        pen.seg("DTM", "002", day("requested_date"), when=_given("requested_date")),
    ]
    return head, line, [pen.seg("CTT", pl.col("lines"))]


def change(pen: Pen) -> Layout:
    """860: one POC per changed line; a document whose lines are all cancelled is a cancellation."""
    actions = {"new": "AI", "change": "CA", "delete": "DI", "cancel": "CA"}
    code = pl.col("action_code").replace_strict(actions, default="CA")
    purpose = pl.when(pl.col("action_code") == "cancel").then(pl.lit("01")).otherwise(pl.lit("04"))
    head = [
        pen.seg("BCH", purpose, _kind(), pl.col("order_number"), pl.col("release_number"), "", day("order_date")),
        _currency(pen, "BY"),
        _n1(pen, "BY", "buyer_id"),
        _n1(pen, "SE", "seller_id"),
        _n1(pen, "ST", "ship_to_site_id"),
    ]
    line = [
        pen.seg(
            "POC",
            pl.col("order_line"),
            code,
            number("quantity"),
            number("quantity"),
            pl.col("unit_code"),
            number("unit_price"),
            "",
            *_item(pen),
        ),
        pen.seg("DTM", "002", day("requested_date"), when=_given("requested_date")),
    ]
    return head, line, [pen.seg("CTT", pl.col("lines"))]


def response(pen: Pen) -> Layout:
    """855: one PO1 and ACK per answer."""
    answered = ("00", "AC", pl.col("order_number"), day("response_date"), pl.col("release_number"))
    head = [pen.seg("BAK", *answered), _n1(pen, "SE", "seller_id")]
    promised = _given("promised_date")
    line = [
        pen.seg(
            "PO1", pl.col("order_line"), number("quantity"), pl.col("unit_code"), number("unit_price"), "", *_item(pen)
        ),
        pen.seg(
            "ACK",
            pl.col("response_code"),
            number("quantity"),
            pl.col("unit_code"),
            pl.when(promised).then(pl.lit("067")),
            day("promised_date"),
        ),
    ]
    return head, line, [pen.seg("CTT", pl.col("lines"))]


def shipment(pen: Pen) -> Layout:
    """856: shipment, then an order and an item level per line (HL numbers 2n and 2n + 1)."""
    head = [
        pen.seg("BSN", "00", pl.col("shipment_id"), day("shipped_date"), "0000", "0001"),
        pen.seg("HL", "1", "", "S"),
        pen.seg("TD5", "", "2", pl.col("carrier_id"), when=_given("carrier_id")),
        pen.seg("DTM", "011", day("shipped_date")),
        pen.seg("DTM", "017", day("expected_date"), when=_given("expected_date")),
        _n1(pen, "SF", "ship_from_id"),
        _n1(pen, "ST", "ship_to_site_id"),
    ]
    nth = pl.col("nth").cast(pl.Int64)
    order_no, item_no = (nth * 2).cast(pl.String), (nth * 2 + 1).cast(pl.String)
    ordered = _given("order_number")
    line = [
        pen.seg("HL", order_no, "1", "O"),
        pen.seg("PRF", pl.col("order_number"), pl.col("release_number"), when=ordered),
        pen.seg("HL", item_no, order_no, "I"),
        pen.seg("LIN", "", *_item(pen)),
        pen.seg("SN1", pl.col("order_line"), number("quantity"), pl.col("unit_code")),
    ]
    # CTT is optional here and partners disagree whether it counts levels or items: it is left out.
    return head, line, []


def invoice(pen: Pen) -> Layout:
    """810: one IT1 per line; its order stands in BIG where all lines have the same, else with each line."""
    one = pl.col("order_number").n_unique().over("document") == 1
    head = [
        pen.seg("BIG", day("invoice_date"), pl.col("invoice_number"), "", pl.when(one).then("order_number")),
        _currency(pen, "SE"),
        _n1(pen, "SE", "seller_id"),
    ]
    line = [
        pen.seg(
            "IT1", pl.col("order_line"), number("quantity"), pl.col("unit_code"), number("unit_price"), "", *_item(pen)
        ),
        pen.seg("REF", "PO", pl.col("order_number"), when=~one & _given("order_number")),
    ]
    hundredths = (pl.col("amount") * 100).cast(pl.Int128).cast(pl.String)
    return head, line, [pen.seg("TDS", hundredths), pen.seg("CTT", pl.col("lines"))]


def warehouse_order(pen: Pen) -> Layout:
    """940: one LX and W01 per line; W76 holds the total."""
    head = [
        pen.seg("W05", "N", pl.col("order_number")),
        _n1(pen, "ST", "ship_to_site_id"),
        _n1(pen, "DE", "buyer_id"),
        _n1(pen, "WH", "seller_id"),
        pen.seg("G62", "10", day("requested_date"), when=_given("requested_date")),
    ]
    line = [pen.seg("LX", pl.col("nth")), pen.seg("W01", number("quantity"), pl.col("unit_code"), "", *_item(pen))]
    return head, line, [pen.seg("W76", pl.col("total"))]


def warehouse_shipment(pen: Pen) -> Layout:
    """945: one LX and W12 per line; W03 holds the total."""
    head = [
        pen.seg(
            "W06",
            "N",
            pl.col("order_number").fill_null(pl.col("shipment_id")),
            day("shipped_date"),
            pl.col("shipment_id"),
        ),
        _n1(pen, "SF", "ship_from_id"),
        _n1(pen, "ST", "ship_to_site_id"),
        pen.seg("G62", "11", day("shipped_date")),
        pen.seg("W27", "M", pl.col("carrier_id"), when=_given("carrier_id")),
    ]
    line = [
        pen.seg("LX", pl.col("nth")),
        pen.seg("W12", "CC", number("quantity"), number("quantity"), "0", pl.col("unit_code"), "", *_item(pen)),
    ]
    return head, line, [pen.seg("W03", pl.col("total"))]


def status(pen: Pen) -> Layout:
    """214: one LX and AT7 per event, its time in UTC."""
    head = [pen.seg("B10", pl.col("shipment_id"), pl.col("shipment_id"), pl.col("carrier_id"))]
    at = pl.col("status_at_utc")
    line = [
        pen.seg("LX", pl.col("nth")),
        pen.seg(
            "AT7",
            pl.col("status_code"),
            pl.col("reason_code").fill_null("NS"),
            "",
            "",
            at.dt.strftime("%Y%m%d"),
            at.dt.strftime("%H%M"),
            "UT",
        ),
        pen.seg("MS1", pl.col("location_name"), when=_given("location_name")),
    ]
    return head, line, []
