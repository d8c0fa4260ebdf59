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
from aios_assets.edi.withdrawn import X12_PURPOSES, Purposes, withdrawn
from aios_assets.edi.x12_orders import dates, parties, with_currency


def _cents(name: str) -> pl.Expr:
    """X12 N2 amounts have two implied decimals; one with a decimal point is taken as it stands."""
    text = pl.col(name).str.strip_chars()
    digits = text.str.strip_prefix("-").str.strip_prefix("+").str.zfill(3)
    sign = pl.when(text.str.starts_with("-")).then(pl.lit("-")).otherwise(pl.lit(""))
    whole = pl.when(text.str.contains(r"^[+-]?\d+$")).then(sign + digits.str.head(-2) + "." + digits.str.tail(2))
    return pl.coalesce(whole, name).alias(name)


# 432 of a stop, the best first: requested, scheduled, not before, not after, estimated.
_STOPS_ON = ("10", "02", "68", "69", "70", "37", "53", "38", "54", "17")
# 202 of B308: cancelled bill, bad order setback with the bill cancelled.
_BILLS = Purposes(("CA", "BO"))
# 374 of a transfer, the best first: sold, shipped, delivered, invoiced, received.
_TRANSFERRED = ("006", "011", "035", "003", "050")


def loads(view: View) -> list[Typed]:
    """204 to load stops: one row per S5.

    Source: X12 204, 004010: what stands behind OID or L5 is about an order or a freight item of the stop, not about the stop.
    """
    base = view.pick("S5", stop_no=1, stop_code=2)
    base = attach(base, view.pick("B2", carrier_id=2, shipment_id=4), "set", "carrier_id", "shipment_id")
    base = attach(base, view.pick("B2A", purpose_code=1), "set", "purpose_code")
    own = view.relined(("S5", "OID", "L5"), ("ST", "L3", "SE"))
    base = attach(base, lines(parties(own)).rename({"party": "site_id"}), "line", "site_id")
    g62 = lines(own.pick("G62", kind=1, day=2)).filter(pl.col("day").is_not_null())
    base = attach(base, having(g62, "kind", *_STOPS_ON), "line", "day")
    base = attach(base, g62, "line", "day", suffix="_other").with_columns(stop_date=pl.coalesce("day", "day_other"))
    return [finish(RAW_EDI_LOAD_STOPS, base, {"stop_no": 1})]


def load_answers(view: View) -> list[Typed]:
    """990 to load responses: one row per B1."""
    base = view.pick("B1", carrier_id=1, shipment_id=2, response_date=3, response_code=4)
    return [finish(RAW_EDI_LOAD_RESPONSES, base, {"shipment_id": 2, "response_date": 3, "response_code": 4})]


def freight(view: View) -> list[Typed]:
    """210 to freight charges: one row per L1 with an amount, and one for the total of B3; a cancelled bill waits for a person."""
    names = {"invoice_number": 2, "shipment_id": 3, "invoice_date": 6, "carrier_id": 11, "correction_code": 8}
    head = view.pick("B3", **names, amount=7).with_columns(_cents("amount"), charge_code=pl.lit("total"))
    charges = (
        view.pick("L1", amount=4, charge_code=8).filter(pl.col("amount").is_not_null()).with_columns(_cents("amount"))
    )
    charges = attach(charges, head, "set", *names).with_columns(pl.col("charge_code").fill_null("freight"))
    base = pl.concat([head, charges], how="diagonal")
    base = attach(base, header(view.pick("C3", currency_code=1)), "set", "currency_code")
    base = base.with_columns(pl.col("currency_code").str.to_uppercase())
    typed = finish(RAW_EDI_FREIGHT_CHARGES, base, {"amount": 4, "invoice_number": 2})
    return [withdrawn(typed, head.rename({"correction_code": "purpose"}), _BILLS, "B308")]


def payments(view: View) -> list[Typed]:
    """820 to remittance lines: one row per RMR.

    Source: X12 820, 004010: TRN, CUR and N1 of the header; those of later loops are about deductions and claims.
    """
    base = view.pick("RMR", reference_code=1, invoice_number=2, amount=4, invoice_amount=5)
    base = attach(base, view.pick("BPR", payment_date=16), "set", "payment_date")
    base = attach(base, header(view.pick("TRN", payment_id=2)), "set", "payment_id")
    payer = having(header(parties(view)), "who", "PR", "BY").rename({"party": "payer_id"})
    base = attach(with_currency(base, view), payer, "set", "payer_id")
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
    """867 to product transfers: one row per QTY of a PTD loop, its item in the LIN that follows; a report that cancels waits for a person.

    Args:
        view: 867 sets; lines opened by PTD.

    Source: X12 867, 004010: N1 of the header and of PTD, QTY with LIN, UIT, DTM and CUR; LX with N1 and DTM of a part of the quantity.
    """
    inner = view.relined(("PTD", "QTY", "LX"), ("ST", "CTT", "SE"))
    base = lines(view.pick("QTY", quantity_code=1, quantity=2, unit_code=3)).rename({"line": "loop"})
    base = with_currency(base.with_columns(line="row"), view, "PTD", "QTY", "LX")
    base = attach(base, lines(item(inner.pairs("LIN", first=2))), "line", "item_id", "item_gtin")
    base = _valued(first_component(base, "unit_code"), inner)
    named, days = parties(inner), having(dates(inner), "kind", *_TRANSFERRED)
    for name, kinds in (("end_user_id", ("ST", "EN", "BY")), ("distributor_id", ("DB", "DS", "SE", "SU"))):
        found = having(named, "who", *kinds).filter(pl.col("party").is_not_null())
        base = attach(base, lines(found).rename({"line": "loop"}), "loop", "party", suffix=f"_{name}")
        base = base.rename({f"party_{name}": name})
        if name == "distributor_id":
            base = attach(base, header(found), "set", "party").with_columns(pl.coalesce(name, "party").alias(name))
    base = attach(base, lines(days), "line", "day")
    base = attach(base, lines(days).rename({"line": "loop"}), "loop", "day", suffix="_loop")
    base = attach(base, view.pick("PTD", transfer_code=1).rename({"line": "loop"}), "loop", "transfer_code")
    head = view.pick("BPT", purpose=1, report_id=2, report_date=3)
    base = attach(base, head, "set", "report_id", "report_date")
    base = base.with_columns(pl.col("unit_code").fill_null("EA"), transfer_date=pl.coalesce("day", "day_loop"))
    typed = finish(RAW_EDI_PRODUCT_TRANSFERS, base, {"quantity": 2, "item_id": 3}, may_be_negative=True)
    return [withdrawn(typed, head, X12_PURPOSES, "BPT01")]


def _valued(base: pl.DataFrame, inner: View) -> pl.DataFrame:
    """Add unit_price of the first UIT behind a quantity, and its unit where QTY names none; a price of another unit is none."""
    uit = first_component(lines(inner.pick("UIT", priced_unit=1, unit_price=2, price_basis=3)), "priced_unit")
    base = attach(base, uit, "line", "priced_unit", "unit_price", "price_basis")
    other = (pl.col("priced_unit") != pl.col("unit_code")).fill_null(value=False)
    base = base.with_columns(
        unit_price=pl.when(~other).then("unit_price"), unit_code=pl.coalesce("unit_code", "priced_unit")
    )
    return x12_per_unit(base)


def advices(view: View) -> list[Typed]:
    """824 to application advices: one row per TED, or one for an OTI without.

    Args:
        view: 824 sets; lines opened by OTI.
    """
    base = view.pick("OTI", verdict_code=1, reference_code=2, reference=3)
    base = attach(base, view.pick("BGN", advice_id=2, advice_date=3), "set", "advice_id", "advice_date")
    ted = lines(view.pick("TED", error_code=1, error_text=2)).rename({"row": "error_row"}).drop("set")
    notes = lines(view.relined(("OTI", "TED"), ("ST", "SE")).pick("NTE", note=2)).filter(pl.col("note").is_not_null())
    ted = attach(ted, notes.rename({"line": "error_row"}), "error_row", "note")
    base = base.join(ted, on="line", how="left", maintain_order="left_right").with_columns(
        row=pl.coalesce("error_row", "row"), error_text=pl.coalesce("error_text", "note")
    )
    return [finish(RAW_EDI_APPLICATION_ADVICES, base, {"verdict_code": 1, "reference": 3})]
