"""X12 transport and money to facts: 204, 990, 210 (loads), 820 (payment), 832 (prices), 867 (resale), 824 (advice)."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_APPLICATION_ADVICES,
    RAW_EDI_FREIGHT_CHARGES,
    RAW_EDI_LOAD_RESPONSES,
    RAW_EDI_LOAD_STOPS,
    RAW_EDI_PRICE_LINES,
    RAW_EDI_PRODUCT_TRANSFERS,
    RAW_EDI_REMITTANCE_LINES,
)
from aios_assets.edi.price_basis import x12_per_unit
from aios_assets.edi.typing_rules import Typed, finish
from aios_assets.edi.view import View, attach, first_component, having, header, item, lines, priced
from aios_assets.edi.x12_orders import dates, parties, with_currency, with_party


def _cents(name: str) -> pl.Expr:
    """X12 N2 amounts have two implied decimals; one with a decimal point is taken as it stands."""
    whole = (pl.col(name).cast(pl.Int64, strict=False) / 100).cast(pl.String)
    return pl.coalesce(whole, name).alias(name)


def loads(view: View) -> list[Typed]:
    """204 to load stops: one row per S5."""
    base = view.pick("S5", stop_no=1, stop_code=2)
    base = attach(base, view.pick("B2", carrier_id=2, shipment_id=4), "set", "carrier_id", "shipment_id")
    base = attach(base, view.pick("B2A", purpose_code=1), "set", "purpose_code")
    base = attach(base, lines(parties(view)).rename({"party": "site_id"}), "line", "site_id")
    g62 = lines(view.pick("G62", day=2)).filter(pl.col("day").is_not_null())
    base = attach(base, g62.rename({"day": "stop_date"}), "line", "stop_date")
    return [finish(RAW_EDI_LOAD_STOPS, base, {"stop_no": 1})]


def load_answers(view: View) -> list[Typed]:
    """990 to load responses: one row per B1."""
    base = view.pick("B1", carrier_id=1, shipment_id=2, response_date=3, response_code=4)
    return [finish(RAW_EDI_LOAD_RESPONSES, base, {"shipment_id": 2, "response_date": 3, "response_code": 4})]


def freight(view: View) -> list[Typed]:
    """210 to freight charges: one row per L1 with an amount, and one for the total of B3."""
    names = {"invoice_number": 2, "shipment_id": 3, "invoice_date": 6, "carrier_id": 11}
    head = view.pick("B3", **names, amount=7).with_columns(_cents("amount"), charge_code=pl.lit("total"))
    charges = (
        view.pick("L1", amount=4, charge_code=8).filter(pl.col("amount").is_not_null()).with_columns(_cents("amount"))
    )
    charges = attach(charges, head, "set", *names).with_columns(pl.col("charge_code").fill_null("freight"))
    base = pl.concat([head, charges], how="diagonal")
    return [finish(RAW_EDI_FREIGHT_CHARGES, base, {"amount": 4, "invoice_number": 2})]


def payments(view: View) -> list[Typed]:
    """820 to remittance lines: one row per RMR."""
    base = view.pick("RMR", reference_code=1, invoice_number=2, amount=4, invoice_amount=5)
    base = attach(base, view.pick("BPR", payment_date=16), "set", "payment_date")
    base = attach(base, view.pick("TRN", payment_id=2), "set", "payment_id")
    base = attach(base, having(parties(view), "who", "PR", "BY").rename({"party": "payer_id"}), "set", "payer_id")
    base = base.with_columns(
        pl.col("payment_id").fill_null("unnumbered"), amount=pl.coalesce("amount", "invoice_amount")
    )
    return [finish(RAW_EDI_REMITTANCE_LINES, base, {"invoice_number": 2, "amount": 4, "invoice_amount": 5})]


def prices(view: View) -> list[Typed]:
    """832 to price lines: one row per CTP of an item."""
    base = lines(view.pick("CTP", price_code=2, unit_price=3, unit_code=5, price_basis=9))
    base = x12_per_unit(first_component(base.filter(pl.col("unit_price").is_not_null()), "unit_code"))
    base = attach(base.with_columns(own="row"), item(view.pairs("LIN", first=2)), "line", "item_id", "item_gtin")
    # What stands behind a price is its own.
    inner = view.relined(("LIN", "CTP"), ("ST", "CTT", "SE"))
    named = inner.pick("CUR", code=2).with_columns(kind=pl.lit("CUR"))
    base = priced(base, named, "currency_code", "code", "CUR")
    base = base.with_columns(pl.col("currency_code").str.to_uppercase())
    base = attach(base, lines(view.pick("PID", description=5)), "line", "description")
    base = attach(base, view.pick("BCT", catalogue_id=2), "set", "catalogue_id")
    found = dates(view)
    base = attach(base, header(found).rename({"day": "catalogue_date"}), "set", "catalogue_date")
    base = priced(base, lines(dates(inner)), "effective_date", "day", "007", "036", "129")
    base = base.with_columns(pl.col("catalogue_id").fill_null("unnumbered"), pl.col("unit_code").fill_null("EA"))
    return [finish(RAW_EDI_PRICE_LINES, base, {"unit_price": 3, "item_id": 3})]


def transfers(view: View) -> list[Typed]:
    """867 to product transfers: one row per QTY of a PTD loop, its item in the LIN that follows.

    Args:
        view: 867 sets; lines opened by PTD.
    """
    inner = view.relined(("QTY",), ("ST", "PTD", "CTT", "SE"))
    base = with_currency(lines(view.pick("QTY", quantity=2, unit_code=3)), view).rename({"line": "loop"})
    base = base.with_columns(line=pl.col("row"))
    base = attach(base, lines(item(inner.pairs("LIN", first=2))), "line", "item_id", "item_gtin")
    uit = lines(inner.pick("UIT", unit=1, unit_price=2, price_basis=3))
    base = x12_per_unit(attach(base, uit, "line", "unit_price", "price_basis"))
    loop = view.pick("PTD", transfer_code=1)
    loop = attach(loop, lines(having(parties(view), "who", "ST", "EN", "BY")), "line", "party")
    loop = attach(loop, lines(dates(view)), "line", "day")
    loop = loop.select(pl.col("line").alias("loop"), "transfer_code", "party", "day")
    base = base.join(loop, on="loop", how="left", maintain_order="left")
    base = attach(base, view.pick("BPT", report_id=2, report_date=3), "set", "report_id", "report_date")
    base = with_party(base.drop("line"), parties(view), "distributor_id", "DB", "DS", "SE", "SU")
    base = first_component(base, "unit_code").with_columns(
        pl.col("unit_code").fill_null("EA"), end_user_id=pl.col("party"), transfer_date=pl.col("day")
    )
    return [finish(RAW_EDI_PRODUCT_TRANSFERS, base, {"quantity": 2, "item_id": 3}, may_be_negative=True)]


def advices(view: View) -> list[Typed]:
    """824 to application advices: one row per OTI, with its first TED.

    Args:
        view: 824 sets; lines opened by OTI.
    """
    base = view.pick("OTI", verdict_code=1, reference_code=2, reference=3)
    base = attach(base, view.pick("BGN", advice_id=2, advice_date=3), "set", "advice_id", "advice_date")
    base = attach(base, lines(view.pick("TED", error_code=1, error_text=2)), "line", "error_code", "error_text")
    return [finish(RAW_EDI_APPLICATION_ADVICES, base, {"verdict_code": 1, "reference": 3})]
