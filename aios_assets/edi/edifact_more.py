"""More EDIFACT messages to facts: IFTMIN, PRICAT, REMADV, APERAK."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_APPLICATION_ADVICES,
    RAW_EDI_LOAD_STOPS,
    RAW_EDI_PRICE_LINES,
    RAW_EDI_REMITTANCE_LINES,
)
from aios_assets.edi.edifact_orders import (
    day,
    dtm,
    lin_items,
    opening,
    parties,
    party,
    references,
)
from aios_assets.edi.price_basis import edifact_per_unit
from aios_assets.edi.typing_rules import Typed, finish, with_number
from aios_assets.edi.view import View, attach, having, header, lines, numbered, priced, scoped
from aios_assets.edi.withdrawn import EDIFACT_PURPOSES, withdrawn

# 2005 of the days on which goods are taken and brought, the best first.
_UP, _DOWN = ("200", "10", "11", "234"), ("2", "17", "191", "235")
_TAKES, _BRINGS = ("CZ", "PW", "SF"), ("CN", "DP", "ST")
# 1225 in the terms of X12 353; other codes mean the same in both.
_PURPOSES = {"1": "01", "3": "03", "4": "04", "5": "05", "9": "00", "21": "05", "20": "05", "31": "22", "22": "20"}


def loads(view: View) -> list[Typed]:
    """IFTMIN to load stops: one row per party where goods are taken or brought.

    A party of goods or equipment (GID, EQD) has a day of its own; else that of the message counts, else that of its transport.

    Args:
        view: messages; lines opened by NAD.

    Source: UN/EDIFACT IFTMIN, D.96A to D.21A: groups 1, 8, 11, 18 and 37.
    """
    nad = parties(view)
    base = nad.filter(pl.col("who").is_in([*_TAKES, *_BRINGS])).drop("number", "plain", "name")
    base = attach(base, opening(view), "set", "number", "purpose")
    base = attach(base, having(nad, "who", "CA", "FW").rename({"party": "carrier_id"}), "set", "carrier_id")
    every = dtm(view)
    found = dtm(view.relined(("NAD", "RFF", "DOC", "GOR", "GID", "EQD", "TDT", "LOC"), ("UNH", "UNT")))
    for name, kinds in (("up", _UP), ("down", _DOWN)):
        own = having(found, "kind", *kinds)
        base = attach(base, lines(own), "line", "day", suffix=f"_{name}")
        base = attach(base, header(own), "set", "day", suffix=f"_{name}_head")
        moves = having(every, "kind", *kinds).join(_of_goods(view), on="row", how="anti", maintain_order="left")
        base = attach(base, moves, "set", "day", suffix=f"_{name}_any")
    names = (tuple(f"day_{side}{scope}" for scope in ("", "_head", "_any")) for side in ("up", "down"))
    up, down = (pl.coalesce(name) for name in names)
    base = numbered(base.with_columns(stop_no=pl.lit(None, dtype=pl.String)), view, "stop_no").with_columns(
        shipment_id=pl.col("number"),
        purpose_code=pl.col("purpose").replace(_PURPOSES).str.zfill(2),
        stop_code=pl.col("who"),
        site_id=pl.col("party"),
        stop_date=pl.when(pl.col("who").is_in(list(_TAKES))).then(up).otherwise(down),
    )
    return [finish(RAW_EDI_LOAD_STOPS, base, {"site_id": 2}, standard="EDIFACT")]


def _of_goods(view: View) -> pl.DataFrame:
    """row of the DTM that stand behind goods or equipment, or behind a reference or document."""
    goods = view.relined(("GID", "EQD"), ("UNH", "UNT"))
    others = view.relined(("RFF", "DOC"), ("UNH", "UNT", "NAD", "TDT", "LOC", "GID", "EQD"))
    return pl.concat([lines(goods.places("DTM")), lines(others.places("DTM"))]).select("row").unique()


def prices(view: View) -> list[Typed]:
    """PRICAT to price lines: one row per PRI of an item."""
    base = lines(view.pick("PRI", kind=(1, 1), unit_price=(1, 2), price_count=(1, 5), unit_code=(1, 6)))
    base = with_number(base.filter(pl.col("unit_price").is_not_null()), "unit_price")
    base = edifact_per_unit(base.with_columns(price_unit="unit_code", own="row"))
    # What stands behind a price is its own.
    inner = view.relined(("LIN", "PRI"), ("UNH", "UNS", "CNT", "UNT"))
    base = priced(base, inner.pick("CUX", kind=(1, 1), code=(1, 2)), "currency_code", "code", "2")
    base = base.with_columns(pl.col("currency_code").str.to_uppercase())
    base = attach(base, lin_items(view), "line", "item_id", "item_gtin")
    base = attach(base, lines(view.pick("IMD", description=(3, 4))), "line", "description")
    base = attach(base, opening(view), "set", "number")
    found = dtm(view)
    base = day(base, header(found), "catalogue_date", "137")
    base = priced(base, dtm(inner), "effective_date", "day", "157", "7", "193", "194")
    base = base.with_columns(
        catalogue_id=pl.col("number").fill_null("unnumbered"),
        price_code=pl.col("kind"),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    return [finish(RAW_EDI_PRICE_LINES, base, {"unit_price": 1, "item_id": 3}, standard="EDIFACT")]


# 5025 of a settled document, the best first: paid, due, and its total.
_PAID, _DUE, _TOTAL = ("12", "11", "113"), ("9",), ("39", "388", "128", "98", "77", "86")


def payments(view: View) -> list[Typed]:
    """REMADV to remittance lines: one row per DOC; an advice that cancels waits for a person.

    Args:
        view: messages; lines opened by DOC.

    Source: UN/EDIFACT REMADV, D.96A to D.21A: adjustments (AJT) and lines (DLI) of a document have amounts of their own.
    """
    base = view.pick("DOC", reference_code=(1, 1), invoice_number=(2, 1))
    own = view.relined(("DOC", "AJT", "INP", "DLI", "NAD", "RFF"), ("UNH", "UNS", "CNT", "UNT"))
    money = with_number(lines(own.pick("MOA", kind=(1, 1), amount=(1, 2), paid_in=(1, 3))), "amount")
    money = money.filter(pl.col("amount").is_not_null())
    base = attach(base, having(money, "kind", *_PAID, *_DUE, *_TOTAL), "line", "amount", "paid_in")
    base = attach(base, having(money, "kind", *_TOTAL, *_DUE), "line", "amount", suffix="_invoiced")
    head = opening(view)
    base = attach(base, head, "set", "number")
    base = day(base, header(dtm(own)), "payment_date", "138", "137", "203")
    base = party(base, header(parties(view)), "payer_id", "PR", "PL", "BY")
    cux = view.relined(("DOC", "DLI"), ("UNH", "UNS", "CNT", "UNT")).pick("CUX", code=(1, 2))
    base = scoped(base, cux, "currency_code", "code")
    base = base.with_columns(
        payment_id=pl.col("number").fill_null("unnumbered"),
        invoice_amount=pl.col("amount_invoiced"),
        currency_code=pl.coalesce("paid_in", "currency_code").str.to_uppercase(),
    )
    typed = finish(RAW_EDI_REMITTANCE_LINES, base, {"invoice_number": 2}, standard="EDIFACT")
    return [withdrawn(typed, head, EDIFACT_PURPOSES, "BGM 1225")]


def advices(view: View) -> list[Typed]:
    """APERAK to application advices: one row per ERC, or one for a message without errors.

    Args:
        view: messages; lines opened by ERC.
    """
    errors = view.pick("ERC", error_code=(1, 1))
    whole = view.pick("BGM", document=(1, 1)).filter(~pl.col("set").is_in(errors["set"].implode()))
    base = pl.concat([errors, whole.drop("document")], how="diagonal")
    base = attach(base, opening(view), "set", "number", "document", "purpose", "answer")
    own = view.relined(("ERC", "RFF"), ("UNH", "CNT", "UNT"))
    told = pl.concat([frame.pick("FTX", text=(4, 1)) for frame in (own, view)]).filter(pl.col("text").is_not_null())
    base = attach(base, lines(told), "line", "text")
    base = attach(base, header(told), "set", "text", suffix="_head")
    refers = references(view).filter(pl.col("value").is_not_null())
    base = attach(base, lines(refers), "line", "kind", "value")
    base = attach(base, header(refers), "set", "kind", "value", suffix="_head")
    base = day(base, header(dtm(own)), "advice_date", "137")
    base = base.with_columns(
        advice_id=pl.col("number").fill_null("unnumbered"),
        error_text=pl.when(pl.col("error_code").is_null()).then("text_head").otherwise("text"),
        reference=pl.coalesce("value", "value_head", "number"),
        reference_code=pl.when(pl.col("value").is_not_null()).then("kind").otherwise("kind_head"),
        verdict_code=pl.coalesce(
            "answer", "document", pl.when(pl.col("error_code").is_null()).then(pl.lit("TA")).otherwise(pl.lit("TE"))
        ),
    )
    return [finish(RAW_EDI_APPLICATION_ADVICES, base, {"error_code": 1}, standard="EDIFACT")]
