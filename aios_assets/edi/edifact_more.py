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


def loads(view: View) -> list[Typed]:
    """IFTMIN to load stops: one row per party where goods are taken or brought."""
    base = parties(view).filter(pl.col("who").is_in(["CZ", "PW", "SF", "CN", "DP", "ST"]))
    base = base.drop("line", "number", "plain", "name")
    base = base.with_columns(line=pl.col("row"))
    base = attach(base, opening(view), "set", "number", "purpose")
    base = attach(base, having(parties(view), "who", "CA", "FW").rename({"party": "carrier_id"}), "set", "carrier_id")
    found = dtm(view)
    for name, kinds in (("up", ("200", "10", "11", "234")), ("down", ("2", "17", "191", "235"))):
        base = attach(
            base, having(found, "kind", *kinds).select("row", "set", "line", pl.col("day").alias(name)), "set", name
        )
    takes = pl.col("who").is_in(["CZ", "PW", "SF"])
    base = base.drop("line").with_columns(line=pl.col("row"), stop_no=pl.lit(None, dtype=pl.String))
    base = numbered(base, view, "stop_no").with_columns(
        shipment_id=pl.col("number"),
        purpose_code=pl.col("purpose"),
        stop_code=pl.col("who"),
        site_id=pl.col("party"),
        stop_date=pl.when(takes).then("up").otherwise("down"),
    )
    return [finish(RAW_EDI_LOAD_STOPS, base, {"site_id": 2}, standard="EDIFACT")]


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


def payments(view: View) -> list[Typed]:
    """REMADV to remittance lines: one row per DOC.

    Args:
        view: messages; lines opened by DOC.
    """
    base = view.pick("DOC", reference_code=(1, 1), invoice_number=(2, 1))
    money = with_number(lines(view.pick("MOA", kind=(1, 1), amount=(1, 2))), "amount")
    base = attach(base, having(money, "kind", "12", "11", "113"), "line", "amount", suffix="_paid")
    base = attach(base, having(money, "kind", "9", "77", "39", "86"), "line", "amount", suffix="_due")
    base = attach(base, opening(view), "set", "number")
    base = day(base, header(dtm(view)), "payment_date", "138", "137", "203")
    base = party(base, header(parties(view)), "payer_id", "PR", "PL", "BY")
    base = base.with_columns(
        payment_id=pl.col("number").fill_null("unnumbered"),
        amount=pl.coalesce("amount_paid", "amount_due"),
        invoice_amount=pl.col("amount_due"),
    )
    return [finish(RAW_EDI_REMITTANCE_LINES, base, {"invoice_number": 2}, standard="EDIFACT")]


def advices(view: View) -> list[Typed]:
    """APERAK to application advices: one row per ERC, or one for a message without errors.

    Args:
        view: messages; lines opened by ERC.
    """
    errors = view.pick("ERC", error_code=(1, 1))
    whole = view.pick("BGM", document=(1, 1)).filter(~pl.col("set").is_in(errors["set"].implode()))
    base = pl.concat([errors, whole.drop("document")], how="diagonal")
    base = attach(base, opening(view), "set", "number", "document", "purpose", "answer")
    base = attach(base, lines(view.pick("FTX", error_text=(4, 1))), "line", "error_text")
    base = scoped(base, references(view), "reference", "value")
    base = scoped(base, references(view), "reference_code", "kind")
    base = day(base, header(dtm(view)), "advice_date", "137")
    base = base.with_columns(
        advice_id=pl.col("number").fill_null("unnumbered"),
        reference=pl.coalesce("reference", "number"),
        verdict_code=pl.coalesce(
            "answer", "document", pl.when(pl.col("error_code").is_null()).then(pl.lit("TA")).otherwise(pl.lit("TE"))
        ),
    )
    return [finish(RAW_EDI_APPLICATION_ADVICES, base, {"error_code": 1}, standard="EDIFACT")]
