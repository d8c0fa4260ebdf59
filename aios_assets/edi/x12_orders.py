"""X12 order documents to facts: 850, 860, 875 (orders and changes), 855, 865 (answers)."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_ORDER_LINES, RAW_EDI_ORDER_RESPONSES
from aios_assets.edi.price_basis import x12_per_unit
from aios_assets.edi.stores import by_store, differs
from aios_assets.edi.typing_rules import Typed, finish, read_number
from aios_assets.edi.view import View, attach, first_component, having, header, item, lines, numbered, scoped
from aios_assets.edi.whole_orders import (
    X12_ACCEPTS,
    X12_CANCELS,
    X12_INFORMS,
    X12_REFUSES,
    X12_REPLACES,
    informing,
    says,
    waiting,
    whole_orders,
)

REQUESTED = ("002", "067", "106", "074", "064", "010", "038", "063", "037")
_ENDS = ("ST", "CTT", "SE")
# What follows these tells of a component, of a reference, of a part of the answer; or has an amount, whose currency is not the line's.
_APART, _AMOUNTS = ("SLN", "N9", "ACK"), ("SLN", "SAC", "CTP")
# 473 of G5001 in 353 terms: cancelled, deleted, changed. 432 of G62: delivery requested, at the latest, not before, then shipment.
_STATUSES = {"F": "01", "D": "03", "R": "04", "L": "04", "G": "04"}
_GROCERY_REQUESTED = ("02", "54", "53", "10", "38", "37")
OPENERS = {"850": "PO1", "860": "POC", "875": "G68"}
# Days of delivery before days of shipment (374: 067 and 017 scheduled and estimated delivery, 068 and 079 shipment).
PROMISED = ("067", "017", "002", "068", "079", "010", "011", "038", "037", "063")


def parties(view: View) -> pl.DataFrame:
    """N1 segments with `who` (N101) and `party`: the identification N104, else the name N102."""
    return view.pick("N1", who=1, name=2, number=4).with_columns(party=pl.coalesce("number", "name"))


def with_party(base: pl.DataFrame, n1: pl.DataFrame, name: str, *kinds: str) -> pl.DataFrame:
    """Add a party column from the header, overridden by one inside the line."""
    return scoped(base, having(n1, "who", *kinds), name, "party")


def with_date(base: pl.DataFrame, dates: pl.DataFrame, name: str, *kinds: str) -> pl.DataFrame:
    """Add a date column from DTM in the header, overridden by one inside the line."""
    return scoped(base, having(dates, "kind", *kinds), name, "day")


def dates(view: View) -> pl.DataFrame:
    """DTM segments with `kind` (374) and `day` (CCYYMMDD; a D8 or RD8 in DTM06 is read too)."""
    found = view.pick("DTM", kind=1, plain=2, form=5, period=6)
    return found.with_columns(day=pl.coalesce("plain", pl.col("period").str.head(8)))


def with_currency(base: pl.DataFrame, view: View, *openers: str) -> pl.DataFrame:
    """Add currency_code: CUR02 of the header, overridden by one inside the line.

    Args:
        base: lines.
        view: sets of one type.
        openers: where lines have loops with amounts of their own, what opens lines and these loops: their CUR is not the line's.
    """
    inner = view.relined(openers, _ENDS) if openers else view
    named = inner.pick("CUR", code=2).with_columns(pl.col("code").str.to_uppercase())
    return scoped(base, named, "currency_code", "code")


def _with_days(base: pl.DataFrame, view: View, opener: str, name: str, *kinds: str) -> pl.DataFrame:
    """Add a date of the line itself, else of the header itself, else of a reference (N9) of the header."""
    base = with_date(base, dates(view.relined((opener, *_APART), _ENDS)), name, *kinds)
    if not len(view.where("N9")):
        return base
    base = attach(base, header(having(dates(view), "kind", *kinds)), "set", "day", suffix="_any")
    return base.with_columns(pl.coalesce(name, "day_any").alias(name)).drop("day_any")


def orders(view: View, code: str) -> list[Typed]:
    """850, 875 and 860 to order lines, one per store where SDQ splits them; without a line to whole orders.

    Args:
        view: sets of one type; lines opened by PO1 or POC.
        code: the set type.
    """
    if code == "860":
        head = view.pick(
            "BCH", purpose=1, order_type_code=2, order_number=3, release_number=4, order_date=6, changed=11
        )
        base = view.pairs(
            "POC", first=8, order_line=1, change=2, quantity=3, left=4, unit_code=5, unit_price=6, price_basis=7
        )
    elif code == "875":
        head = view.pick("G50", status=1, order_number=3, order_date=2).with_columns(
            changed=pl.lit(None, dtype=pl.String),
            release_number=pl.lit(None, dtype=pl.String),
            order_type_code=pl.lit(None, dtype=pl.String),
            purpose=pl.col("status").replace_strict(_STATUSES, default=None, return_dtype=pl.String),
        )
        base = _grocery(view)
    else:
        head = view.pick(
            "BEG", purpose=1, order_type_code=2, order_number=3, release_number=4, order_date=5
        ).with_columns(changed=pl.lit(None, dtype=pl.String))
        base = view.pairs("PO1", first=6, order_line=1, quantity=2, unit_code=3, unit_price=4, price_basis=5)
    base = x12_per_unit(numbered(first_component(item(base), "unit_code"), view))
    opener = OPENERS[code]
    named = ("purpose", "order_type_code", "order_number", "release_number", "order_date", "changed")
    base = attach(base, head, "set", *named).with_columns(blanket_number=pl.lit(None, dtype=pl.String))
    base = with_currency(base, view, opener, *_AMOUNTS)
    own = view.relined((opener, "SLN"), _ENDS)
    n1 = parties(own)
    base = with_party(base, n1, "buyer_id", "BY", "BO")
    base = with_party(base, n1, "seller_id", "SE", "SU", "VN")
    base = with_party(base, n1, "ship_to_site_id", "ST", "BS", "CN", "WH")
    base = _with_days(base, view, opener, "requested_date", *REQUESTED)
    if code == "875":
        g62 = view.pick("G62", kind=1, day=2)
        base = with_date(base.drop("requested_date"), g62, "requested_date", *_GROCERY_REQUESTED)
    base = _scheduled(base, own)
    base = _for_stores(base, view)
    base = base.with_columns(
        order_date=pl.coalesce("order_date", "changed"),
        unit_code=pl.col("unit_code").fill_null("EA"),
        action_code=_action(code),
    ).with_columns(
        # Nothing is left on order after a delete or cancel that names no quantity.
        quantity=pl.when(pl.col("action_code").is_in(["delete", "cancel"]))
        .then(pl.col("quantity").fill_null("0"))
        .otherwise("quantity")
    )
    quantity_at = 3 if code == "860" else 2
    base = base.with_columns(quantity_at=pl.coalesce("amount_at", pl.lit(quantity_at, dtype=pl.Int32)))
    at = {"quantity": "quantity_at"} | (
        {"unit_price": 6, "item_id": 9} if code == "860" else {"unit_price": 4, "item_id": 7}
    )
    typed = finish(RAW_EDI_ORDER_LINES, base, at)
    typed = informing(typed, head, X12_INFORMS, "BCH01" if code == "860" else "BEG01")
    return [typed, waiting(_whole(view, code, head, n1), typed)]


def _whole(view: View, code: str, head: pl.DataFrame, n1: pl.DataFrame) -> Typed:
    """What sets do to all of an order: cancel it without a line, or replace it."""
    opener, replaces = OPENERS[code], X12_REPLACES if code == "850" else ()
    said = says("purpose", "cancel", *X12_CANCELS), says("purpose", "replace", *replaces)
    head = head.with_columns(action_code=pl.coalesce(said), said_date=pl.coalesce("changed", "order_date"))
    head = with_party(head, n1, "buyer_id", "BY", "BO")
    return whole_orders(view, opener, with_party(head, n1, "seller_id", "SE", "SU", "VN"))


def _for_stores(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Each line that SDQ splits by store as one row per store, in place of its total, which would count twice."""
    if not len(view.where("SDQ")):
        return base.with_columns(amount_at=pl.lit(None, dtype=pl.Int32))
    sdq = lines(by_store(view)).rename({"row": "store_row"}).drop("set")
    base = _totals(base, sdq)
    base = base.join(sdq, on="line", how="left", maintain_order="left_right")
    split = pl.col("store_row").is_not_null()
    return base.with_columns(
        row=pl.coalesce("store_row", "row"),
        line_no=pl.coalesce("line_no", pl.lit(1, dtype=pl.Int32)),
        # A quantity that SDQ gives to no store is not one for the site of the header.
        ship_to_site_id=pl.when(split).then("store").otherwise("ship_to_site_id"),
        quantity=pl.when(split).then("amount").otherwise("quantity"),
        unit_code=pl.coalesce("store_unit", "unit_code"),
        # The price is one per unit of the line, and no price for another unit.
        unit_price=pl.when(pl.col("store_unit").eq(pl.col("unit_code")).fill_null(value=True)).then("unit_price"),
    )


def _totals(base: pl.DataFrame, sdq: pl.DataFrame) -> pl.DataFrame:
    """Add line_quantity: what the line states for all its stores, where it and each of them can be read, in one unit.

    A change may split what is ordered (POC03) or what is left to receive (POC04).
    """
    amount = read_number(pl.col("amount"))
    summed = sdq.group_by("line").agg(
        pl.when(amount.null_count() == 0).then(amount.sum()).alias("summed"),
        pl.col("store_unit").first().alias("summed_unit"),
    )
    base = base.join(summed, on="line", how="left", maintain_order="left")
    left = pl.col("left") if "left" in base.columns else pl.lit(None, dtype=pl.String)
    one_unit = pl.col("summed_unit").eq(pl.col("unit_code")).fill_null(value=True)
    stated = (
        pl.when(differs(read_number(left), pl.col("summed")).fill_null(value=True)).then("quantity").otherwise(left)
    )
    can_add = pl.col("summed").is_not_null() & one_unit & read_number(stated).is_not_null()
    return base.with_columns(line_quantity=pl.when(can_add).then(stated)).drop("summed", "summed_unit")


def _grocery(view: View) -> pl.DataFrame:
    """G68 lines of an 875: quantity, unit, cost, UPC case code, then qualifier and number pairs."""
    base = view.pairs("G68", first=5, quantity=1, unit_code=2, unit_price=3, upc=4)
    none = pl.lit(None, dtype=pl.String)
    return base.with_columns(gtin=pl.coalesce("gtin", "upc"), order_line=none, price_basis=none).drop("upc")


def _scheduled(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """The date of the first SCH where the line has none of its own and the header none either."""
    sch = having(view.pick("SCH", kind=5, day=6), "kind", *REQUESTED).with_columns(pl.col("day").alias("scheduled"))
    base = attach(base, lines(sch), "line", "scheduled")
    return base.with_columns(requested_date=pl.coalesce("scheduled", "requested_date"))


def _action(code: str) -> pl.Expr:
    """What a line does, from the purpose (353) and the change code (670)."""
    cancels = pl.when(pl.col("purpose").is_in(list(X12_CANCELS))).then(pl.lit("cancel"))
    if code != "860":
        return (
            cancels.when((pl.col("purpose") == "04") & (code == "875")).then(pl.lit("change")).otherwise(pl.lit("new"))
        )
    change = pl.col("change")
    return (
        cancels.when(change == "DI")
        .then(pl.lit("delete"))
        .when(change == "AI")
        .then(pl.lit("new"))
        .otherwise(pl.lit("change"))
    )


def responses(view: View, code: str) -> list[Typed]:
    """855 and 865 to order responses: one row per ACK, or per line without one; without a line to whole orders.

    Args:
        view: sets of one type; lines opened by PO1 or POC.
        code: the set type.
    """
    if code == "865":
        head = view.pick("BCA", verdict=2, order_number=3, release_number=4, response_date=6, changed=10)
        base = view.pairs("POC", first=8, order_line=1, quantity=3, unit_code=5)
    else:
        head = view.pick("BAK", verdict=2, order_number=3, response_date=4, release_number=5, changed=9)
        base = view.pairs("PO1", first=6, order_line=1, quantity=2, unit_code=3)
    base = numbered(first_component(item(base), "unit_code"), view)
    base = attach(base, head, "set", "verdict", "order_number", "release_number", "response_date", "changed")
    opener = "POC" if code == "865" else "PO1"
    own = view.relined((opener, "SLN"), _ENDS)
    n1 = parties(own)
    base = with_party(base, n1, "seller_id", "SE", "SU", "VN")
    base = _with_days(base, view, opener, "promised_date", *PROMISED)
    ack = lines(own.pick("ACK", response_code=1, ack_quantity=2, ack_unit=3, ack_kind=4, ack_day=5))
    told = having(dates(view.relined((opener, *_APART), _ENDS)), "kind", *PROMISED).rename(
        {"line": "row", "row": "dtm"}
    )
    ack = attach(ack, told, "row", "day")
    # An order date, say, is no promise.
    promises = pl.col("ack_kind").is_in(list(PROMISED)).fill_null(value=True)
    ack = ack.with_columns(ack_day=pl.coalesce(pl.when(promises).then("ack_day"), "day")).drop("day", "ack_kind")
    base = base.join(ack.drop("set").rename({"row": "ack_row"}), on="line", how="left", maintain_order="left_right")
    refused = pl.col("verdict").is_in(list(X12_REFUSES))
    base = base.with_columns(
        row=pl.coalesce("ack_row", "row"),
        response_code=pl.coalesce("response_code", pl.when(refused).then(pl.lit("IR")).otherwise(pl.lit("IA"))),
        quantity=pl.coalesce("ack_quantity", "quantity"),
        unit_code=pl.coalesce("ack_unit", "unit_code", pl.lit("EA")),
        promised_date=pl.coalesce("ack_day", "promised_date"),
        response_date=pl.coalesce("changed", "response_date"),
    )
    typed = finish(RAW_EDI_ORDER_RESPONSES, base, {"quantity": 2, "promised_date": 5, "item_id": 7})
    head = head.with_columns(
        action_code=pl.coalesce(says("verdict", "refuse", *X12_REFUSES), says("verdict", "accept", *X12_ACCEPTS)),
        said_date=pl.coalesce("changed", "response_date"),
    )
    head = with_party(head, n1, "seller_id", "SE", "SU", "VN")
    return [typed, whole_orders(view, opener, head)]
