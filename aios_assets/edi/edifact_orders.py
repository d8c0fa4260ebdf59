"""EDIFACT order messages to facts: ORDERS, ORDCHG and ORDRSP; and what all EDIFACT mappings share."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_ORDER_LINES, RAW_EDI_ORDER_RESPONSES
from aios_assets.edi.packing import ORDERED, despatched, direct, grouped_quantities
from aios_assets.edi.price_basis import edifact_per_unit
from aios_assets.edi.typing_rules import UNCLEAR, Typed, ask, finish, with_number
from aios_assets.edi.view import (
    BUYER,
    DESIGN,
    GTIN,
    TELLING,
    VENDOR,
    View,
    among,
    attach,
    having,
    header,
    lines,
    numbered,
    scoped,
)
from aios_assets.edi.whole_orders import (
    EDIFACT_ACCEPTS,
    EDIFACT_CANCELS,
    EDIFACT_INFORMS,
    EDIFACT_REFUSES,
    EDIFACT_REPLACES,
    informing,
    says,
    waiting,
    whole_orders,
)

_GROUPS = ("UNH", "UNS", "LIN", "RFF", "NAD", "PAT", "TDT", "TOD", "PAC", "LOC", "PRI", "SCC", "CNT", "UNT")
_ENDS = ("UNH", "UNS", "CNT", "UNT")
REQUESTED = ("2", "64", "63", "69", "10", "76", "75", "61")
# Days of delivery before days of shipment (2005: 69, 67, 76 and 17 promised, scheduled and estimated delivery, 79 shipment).
PROMISED = ("69", "67", "76", "17", "2", "79", "10", "44")
# Who issued an item number, the one that names it best first (7143; MF is the maker's article number here).
NUMBERS = (("buyer_item", BUYER), ("vendor_item", (*VENDOR, "MF")), ("gtin", GTIN), ("design", DESIGN))
QUANTITY_SENT = ("21", "1", "11", "46", "131")
_TYPES = {"221": "BE", "226": "RL"}


def lin_items(view: View, **at: int | tuple[int, int]) -> pl.DataFrame:
    """LIN rows with item_id and item_gtin from C212 and the PIA segments of the line.

    Buyer's numbers (IN, BP) come first, then the supplier's (SA, VN), then the GTIN (EN, SRV, UP), then what names a style only.
    """
    base = view.pick("LIN", number=(3, 1), kind=(3, 2), order_line=1, change=2, **at)
    pia = _further_numbers(view)
    for name, kinds in NUMBERS:
        base = attach(base, among(pia, "q", kinds).select("line", pl.col("v").alias(name)), "line", name)
        base = base.with_columns(
            pl.coalesce(pl.when(pl.col("kind").is_in(list(kinds))).then("number"), name).alias(name)
        )
    base = attach(base, pia.filter(_names("q")).select("line", any_item="v"), "line", "any_item")
    base = attach(base, pia.select("line", telling="v"), "line", "telling")
    found, own = [name for name, _ in NUMBERS], pl.when(_names("kind")).then("number")
    base = base.with_columns(
        item_id=pl.coalesce(*found, own, "any_item", "number", "telling"), item_gtin=pl.col("gtin")
    )
    return base.drop(*found, "any_item", "telling", "number", "kind")


def main_lines(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Lines without the sub-lines (LIN 4, C829) of a line that has a quantity: they tell what its sets consist of.

    Args:
        base: lines with row of LIN as `line`, set and quantity.
        view: messages; lines opened by LIN.

    Source: UN/EDIFACT 5495 (1 sub-line); EANCOM, part I, sub-lines, which follow their line.
    """
    subs = view.pick("LIN", sub=(4, 1)).select("line", "set", sub=(pl.col("sub") == "1").fill_null(value=False))
    if not subs["sub"].any():
        return base
    main = pl.when(~pl.col("sub")).then("line").forward_fill().over("set")
    subs = subs.sort("line").with_columns(main=main).filter("sub").select("line", "main")
    counted = base.filter(pl.col("quantity").is_not_null())["line"].unique()
    # The line of the first sub-lines of a stretch may stand in the one before.
    earlier = pl.col("main").is_null() if view.before else pl.lit(value=False)
    parts = subs.filter(pl.col("main").is_in(counted.implode()).fill_null(value=False) | earlier)
    return base.join(parts, on="line", how="anti", maintain_order="left")


def _names(qualifier: str) -> pl.Expr:
    """Whether a number of this qualifier names an item, and does not only tell of it."""
    return ~pl.col(qualifier).is_in(list(TELLING)).fill_null(value=False)


def _further_numbers(view: View) -> pl.DataFrame:
    """Item numbers of PIA in lines, in document order: row, line, v (the number) and q (7143)."""
    places = range(2, min(view.longest("PIA"), 6) + 1)
    spots: dict[str, int | tuple[int, int]] = {f"{x}{n}": (n, c) for n in places for x, c in (("v", 1), ("q", 2))}
    pia = lines(view.pick("PIA", **spots))
    found = [pia.select("line", "row", pl.col(f"v{n}").alias("v"), pl.col(f"q{n}").alias("q")) for n in places]
    if not found:
        return pl.DataFrame(schema={"line": pl.Int32, "row": pl.Int32, "v": pl.String, "q": pl.String})
    every = found[0] if len(found) == 1 else pl.concat(found).sort("row", maintain_order=True)
    return every.filter(pl.col("v").is_not_null()) if every["v"].null_count() else every


_TIMED = ("203", "204", "205", "303", "304")
_SHORT = ("201", "202", "301", "302")
# Periods whose ends are CCYYMMDD, with a time in 719, and YYMMDD, with a time in 713.
_SPANS, _SHORT_SPANS = ("711", "718", "719"), ("713", "717")


def dtm(view: View) -> pl.DataFrame:
    """DTM rows with kind, day (CCYYMMDD or YYMMDD), until (end of a period) and instant (CCYYMMDDHHMM…), zone left out.

    Source: UN/EDIFACT 2379: 101 YYMMDD, 102 CCYYMMDD, 201 to 205 with time, 301 to 304 and 205 with time and zone, 711 to 719 a period,
    610 a month.
    """
    found = view.pick("DTM", kind=(1, 1), value=(1, 2), form=(1, 3))
    value, form = pl.col("value"), pl.col("form")
    long = form.is_in(list(_TIMED)) | form.is_null() & (value.str.len_bytes() >= 12)
    short = form.is_in(list(_SHORT))
    span, short_span = form.is_in(list(_SPANS)), form.is_in(list(_SHORT_SPANS))
    plain = value.str.replace_all("-", "")
    end = plain.str.tail(plain.str.len_bytes() // 2)
    return found.with_columns(
        day=pl.when(long)
        .then(value.str.head(8))
        .when(short)
        .then(value.str.head(6))
        .when(span)
        .then(plain.str.head(8))
        .when(short_span)
        .then(plain.str.head(6))
        .when(form == "610")
        .then(value + "01")
        .otherwise("value"),
        until=pl.when(span).then(end.str.head(8)).when(short_span).then(end.str.head(6)),
        instant=pl.when(form.is_in(["203", "205", "303"]))
        .then(value.str.head(12))
        .when(form.is_in(["204", "304"]))
        .then(value.str.head(14))
        .when(form.is_in(["201", "301"]))
        .then(pl.lit("20") + value.str.head(10))
        .when(short)
        .then(pl.lit("20") + value.str.head(12))
        .otherwise("value"),
    )


def zone() -> pl.Expr:
    """What the DTM rows of `dtm` say of their time zone."""
    value, form = pl.col("value"), pl.col("form")
    places = {"205": 12, "303": 12, "304": 14, "301": 10, "302": 12}
    return pl.coalesce(
        pl.when(form == name).then(value.str.slice(at)) for name, at in places.items()
    ).str.to_uppercase()


def parties(view: View) -> pl.DataFrame:
    """NAD rows with who (3035) and party: the identification C082, else the first line of the name."""
    found = view.pick("NAD", who=1, number=(2, 1), plain=(3, 1), name=(4, 1))
    return found.with_columns(party=pl.coalesce("number", "name", "plain"))


def party(base: pl.DataFrame, nad: pl.DataFrame, name: str, *kinds: str) -> pl.DataFrame:
    """Add a party of the header, overridden by one inside the line."""
    return scoped(base, having(nad, "who", *kinds), name, "party")


def day(base: pl.DataFrame, found: pl.DataFrame, name: str, *kinds: str) -> pl.DataFrame:
    """Add a date of the header, overridden by one inside the line."""
    return scoped(base, having(found, "kind", *kinds), name, "day")


def quantities(view: View) -> pl.DataFrame:
    """QTY rows of lines with kind (6063), quantity and unit_code."""
    found = lines(view.pick("QTY", kind=(1, 1), quantity=(1, 2), unit_code=(1, 3)))
    return with_number(found, "quantity")


def price(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add unit_price: the first net, else gross, price of the line, per `unit_code` of `base`; and its currency_code."""
    base = currency(base, view)
    pri = lines(view.pick("PRI", kind=(1, 1), unit_price=(1, 2), price_count=(1, 5), price_unit=(1, 6)))
    pri = with_number(pri, "unit_price")
    net = having(pri, "kind", "AAA", "NTP", "AAB", "GRP", "AAE", "CAL", "INF", "INV", "CT")
    net = net.filter(pl.col("unit_price").is_not_null())
    return edifact_per_unit(attach(base, net, "line", "unit_price", "price_count", "price_unit"))


def currency(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add currency_code: the reference currency (CUX, 6347 of 2) of the header, overridden by one inside the line; not that of an allowance."""
    cux = having(view.pick("CUX", kind=(1, 1), code=(1, 2)), "kind", "2")
    if len(view.where("ALC")):
        allowed = lines(view.relined(("ALC",), _GROUPS).places("CUX"))
        cux = cux.join(allowed, on="row", how="anti", maintain_order="left")
    return scoped(base, cux.with_columns(pl.col("code").str.to_uppercase()), "currency_code", "code")


def references(view: View) -> pl.DataFrame:
    """RFF rows with kind (1153), value and position (the line within the referenced document)."""
    return view.pick("RFF", kind=(1, 1), value=(1, 2), position=(1, 3))


def or_blanket(base: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """order_number, else the blanket order that the header names (RFF+BO): what names that alone is for its call-offs."""
    base = _blanket_of(base, found)
    return base.with_columns(order_number=pl.coalesce("order_number", "value_blanket")).drop("value_blanket")


def _blanket_of(base: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Add value_blanket, the blanket order that the header names."""
    return attach(base, header(having(found, "kind", "BO")), "set", "value", suffix="_blanket")


def opening(view: View) -> pl.DataFrame:
    """BGM with document (1001), number (1004) and purpose (1225), whichever release wrote them."""
    return view.pick("BGM", document=(1, 1), number=(2, 1), purpose=(3, 1), answer=(4, 1))


def orders(view: View, code: str) -> list[Typed]:
    """ORDERS and ORDCHG to order lines, one row per LIN; without a line, or in place of another ORDERS, to whole orders.

    Args:
        view: messages of one type; lines opened by LIN.
        code: the message type.
    """
    base = numbered(lin_items(view), view)
    base = attach(base, opening(view), "set", "number", "purpose")
    base = main_lines(despatched(base, view, QUANTITY_SENT, ORDERED), view)
    found = dtm(view)
    base = attach(base, header(having(found, "kind", "137", "4")), "set", "day").rename({"day": "order_date"})
    base = _scheduled(base, view, "requested_date", *REQUESTED)
    nad = parties(view)
    for name, kinds in (
        ("buyer_id", ("BY", "OB")),
        ("seller_id", ("SU", "SE")),
        ("ship_to_site_id", ("DP", "ST", "UC", "CN", "UD")),
    ):
        base = party(base, nad, name, *kinds)
    base = base.with_columns(ship_to_site_id=pl.coalesce("store", "ship_to_site_id"))
    base = price(base, view)
    referred = references(view)
    named = header(having(referred, "kind", "ON"))
    base = attach(base, named, "set", "value")
    base = _blanket(base, view, referred)
    base = base.with_columns(
        # A change names the order in RFF+ON; its BGM number is its own.
        order_number=pl.coalesce("value", "number") if code == "ORDCHG" else pl.col("number"),
        action_code=_action(code),
        unit_code=pl.col("unit_code").fill_null("EA"),
    ).with_columns(
        quantity=pl.when(pl.col("action_code").is_in(["delete", "cancel"]))
        .then(pl.col("quantity").fill_null("0"))
        .otherwise("quantity")
    )
    typed = finish(RAW_EDI_ORDER_LINES, base, {"quantity": 1, "item_id": 3}, standard="EDIFACT")
    replaces = EDIFACT_REPLACES if code == "ORDERS" else ()
    said = says("purpose", "cancel", *EDIFACT_CANCELS), says("purpose", "replace", *replaces)
    head = opening(view).with_columns(action_code=pl.coalesce(said))
    typed = informing(ask(typed, base, "row", "disputed", UNCLEAR), head, EDIFACT_INFORMS, "BGM 1225")
    return [typed, waiting(_whole(view, head, named if code == "ORDCHG" else named.clear()), typed)]


def _scheduled(base: pl.DataFrame, view: View, name: str, *kinds: str) -> pl.DataFrame:
    """Add a date of the line itself, else of its deliveries (SCC), else of the header."""
    if not len(view.where("SCC")):
        return day(base, dtm(view), name, *kinds)
    inner = having(dtm(view.relined(("LIN", "SCC"), _ENDS)), "kind", *kinds)
    base = attach(base, lines(inner), "line", "day", suffix="_own")
    base = attach(base, lines(having(dtm(view), "kind", *kinds)), "line", "day", suffix="_planned")
    base = attach(base, header(inner), "set", "day", suffix="_head")
    return base.with_columns(pl.coalesce("day_own", "day_planned", "day_head").alias(name))


def _blanket(base: pl.DataFrame, view: View, referred: pl.DataFrame) -> pl.DataFrame:
    """Add order_type_code (X12 92 of BGM 221, a blanket order, and 226, a call-off) and blanket_number (RFF+BO)."""
    base = attach(base, opening(view), "set", "document")
    base = _blanket_of(base, referred)
    kind = pl.col("document").replace_strict(_TYPES, default=None, return_dtype=pl.String)
    return base.with_columns(order_type_code=kind, blanket_number="value_blanket").drop("document")


def _whole(view: View, head: pl.DataFrame, named: pl.DataFrame) -> Typed:
    """What messages do to all of an order, which RFF names or else BGM."""
    head = attach(head, named, "set", "value").with_columns(order_number=pl.coalesce("value", "number"))
    head = attach(head, header(having(dtm(view), "kind", "137", "4")), "set", "day").rename({"day": "said_date"})
    nad = parties(view)
    head = party(party(head, nad, "buyer_id", "BY", "OB"), nad, "seller_id", "SU", "SE")
    return whole_orders(view, "LIN", head, "EDIFACT")


def _action(code: str) -> pl.Expr:
    """1229 of the line (1 added, 2 deleted, 3 changed) under 1225 of the message (1, 3, 17 cancellation)."""
    cancels = pl.when(pl.col("purpose").is_in(list(EDIFACT_CANCELS))).then(pl.lit("cancel"))
    change = pl.col("change")
    if code == "ORDERS":
        return cancels.when(change == "2").then(pl.lit("delete")).otherwise(pl.lit("new"))
    return (
        cancels.when(change == "2")
        .then(pl.lit("delete"))
        .when(change == "1")
        .then(pl.lit("new"))
        .otherwise(pl.lit("change"))
    )


_WHOLE = (("refuse", EDIFACT_REFUSES), ("accept", EDIFACT_ACCEPTS))
_ANSWERS = {"5": "IA", "1": "IA", "6": "IC", "3": "IQ", "7": "IR", "2": "IR", "10": "IR", "24": "IA", "4": "IA"}


def responses(view: View) -> list[Typed]:
    """ORDRSP to order responses, one row per LIN, its answer in X12 668 terms; without a line to whole orders.

    Args:
        view: messages; lines opened by LIN.
    """
    base = numbered(lin_items(view), view)
    base = attach(base, opening(view), "set", "number", "purpose", "answer")
    counted = direct(grouped_quantities(view, ORDERED), view, ("SCC", "LOC"))
    base = attach(base, having(counted, "kind", "113", "12", "21", "1", "192", "11"), "line", "quantity", "unit_code")
    base = main_lines(base, view)
    found = dtm(view)
    base = attach(base, header(having(found, "kind", "137", "4")), "set", "day").rename({"day": "response_date"})
    base = _scheduled(base, view, "promised_date", *PROMISED)
    base = party(base, parties(view), "seller_id", "SU", "SE")
    referred = references(view)
    rff = having(referred, "kind", "ON", "CO")
    base = or_blanket(scoped(base, rff, "order_number", "value"), referred)
    base = attach(base, lines(rff), "line", "position")
    refused = pl.any_horizontal(pl.col("purpose", "answer").is_in(list(EDIFACT_REFUSES)))
    whole = pl.when(refused.fill_null(value=False)).then(pl.lit("IR")).otherwise(pl.lit("IA"))
    base = base.with_columns(
        order_number=pl.coalesce("order_number", "number"),
        order_line=pl.coalesce("position", "order_line"),
        response_code=pl.coalesce(
            pl.col("change").replace_strict(_ANSWERS, default=None, return_dtype=pl.String), whole
        ),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    typed = finish(RAW_EDI_ORDER_RESPONSES, base, {"quantity": 1, "item_id": 3}, standard="EDIFACT")
    said = [says(c, action, *codes) for action, codes in _WHOLE for c in ("purpose", "answer")]
    return [typed, _whole(view, opening(view).with_columns(action_code=pl.coalesce(said)), header(rff))]
