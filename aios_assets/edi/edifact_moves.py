"""EDIFACT movements and what follows: DESADV, RECADV, INVOIC, IFTSTA, CONTRL."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_ACKNOWLEDGEMENTS,
    RAW_EDI_INVOICE_LINES,
    RAW_EDI_RECEIPT_LINES,
    RAW_EDI_SHIPMENT_LINES,
    RAW_EDI_SHIPMENT_STATUSES,
)
from aios_assets.edi.edifact_orders import (
    day,
    dtm,
    lin_items,
    main_lines,
    opening,
    or_blanket,
    parties,
    party,
    price,
    references,
    zone,
)
from aios_assets.edi.packing import ENDS, ORDERED, despatched, direct, grouped_quantities, of_message, of_package
from aios_assets.edi.refusals import ask_about_units, edifact_taken
from aios_assets.edi.typing_rules import UNCLEAR, Typed, ask, below_zero, finish
from aios_assets.edi.view import View, attach, having, header, lines, scoped
from aios_assets.edi.withdrawn import EDIFACT_PURPOSES, heading, nothing_left, whole_notices, withdrawn
from aios_assets.edi.zones import in_utc


def _ordered(base: pl.DataFrame, view: View, *, packed: bool = False) -> pl.DataFrame:
    """order_number and order_line from RFF+ON of the line, else of its packages, else of the header."""
    found = references(view)
    rff = having(found, "kind", "ON", "CO")
    if packed:
        base = of_package(base, rff, view, "value")
        rff = pl.concat([of_message(rff, view), lines(rff)])
        base = scoped(base, header(rff), "head_order", "value")
        base = attach(base, lines(rff).filter(pl.col("value").is_not_null()), "line", "value")
        base = base.with_columns(order_number=pl.coalesce("value", "packed", "head_order"))
    else:
        base = scoped(base, rff, "order_number", "value")
    base = or_blanket(base, found)
    own = having(found, "kind", "ON", "LI", "CO")
    own = own.with_columns(
        position=pl.when(pl.col("kind") == "LI").then(pl.coalesce("position", "value")).otherwise("position")
    )
    return attach(base, lines(own).filter(pl.col("position").is_not_null()), "line", "position").with_columns(
        order_line=pl.coalesce("position", "order_line")
    )


SHIPPED, CAME = ("11", "186"), ("50", "310", "35")
SHIPPERS, RECEIVERS = ("SF", "PW", "SU", "SE", "CZ", "SH"), ("DP", "ST", "UC", "CN", "BY")


def shipments(view: View) -> list[Typed]:
    """DESADV to shipment lines: one row per LIN, or per place that a line is for.

    Args:
        view: messages; lines opened by LIN and closed by CPS.
    """
    base = _ordered(lin_items(view), view, packed=True)
    head = opening(view)
    base = attach(base, head, "set", "number").rename({"number": "shipment_id"})
    found = of_message(dtm(view), view)
    base = day(base, found, "shipped_date", *SHIPPED, "137")
    base = day(base, found, "expected_date", "17", "132", "2", "358", "191", "76", "69", "67")
    nad = parties(view)
    for name, kinds in (
        ("ship_to_site_id", ("DP", "ST", "UC", "CN", "BY")),
        ("ship_from_id", SHIPPERS),
    ):
        base = party(base, nad, name, *kinds)
    base = party(base, header(nad), "carrier_id", "CA", "FW")
    tdt = view.pick("TDT", carrier=(5, 1))
    base = attach(base, tdt.filter(pl.col("carrier").is_not_null()), "set", "carrier")
    base = main_lines(despatched(base, view), view).with_columns(
        ship_to_site_id=pl.coalesce("store", "ship_to_site_id"),
        carrier_id=pl.coalesce("carrier", "carrier_id"),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    base = nothing_left(base, head, EDIFACT_PURPOSES)
    typed = finish(RAW_EDI_SHIPMENT_LINES, base, {"quantity": 1, "item_id": 3}, standard="EDIFACT")
    head = heading(head, having(found, "kind", "137", *SHIPPED), having(nad, "who", *SHIPPERS))
    return whole_notices(ask(typed, base, "row", "disputed", UNCLEAR), head, EDIFACT_PURPOSES, "shipped", base["set"])


def receipts(view: View) -> list[Typed]:
    """RECADV to receipt lines: one row per LIN; quantity is what was taken in (`refusals`).

    Args:
        view: messages; lines opened by LIN and closed by CPS.
    """
    base = _ordered(lin_items(view), view, packed=True)
    head = opening(view)
    base = attach(base, head, "set", "number").rename({"number": "receipt_id"})
    base = main_lines(edifact_taken(base, view), view)
    found = dtm(view)
    of_all, nad = of_message(found, view), parties(view)
    base = day(base, pl.concat([of_all, _of_goods(found, view)]), "received_date", *CAME, "137")
    base = party(base, nad, "site_id", *RECEIVERS)
    base = scoped(base, having(references(view), "kind", "DQ", "AAK", "AAS", "DL"), "shipment_id", "value")
    base = base.with_columns(unit_code=pl.col("unit_code").fill_null("EA"))
    base = nothing_left(base, head, EDIFACT_PURPOSES)
    typed = finish(RAW_EDI_RECEIPT_LINES, base, {"quantity": 1, "item_id": 3}, standard="EDIFACT")
    head = heading(head, having(of_all, "kind", "137", *CAME), having(nad, "who", *RECEIVERS))
    return whole_notices(ask_about_units(typed, base), head, EDIFACT_PURPOSES, "received", base["set"])


def _of_goods(found: pl.DataFrame, view: View) -> pl.DataFrame:
    """Days on which the goods of a line came, which stand behind it and before its references."""
    inner = view.relined(("LIN", "RFF", "PCI", "DOC"), ENDS)
    at = inner.pick("DTM", kind=(1, 1)).filter(pl.col("kind").is_in(CAME)).select("row", at="line")
    own = lines(found).join(at, on="row", how="inner", maintain_order="left")
    return own.filter(pl.col("at") == pl.col("line")).drop("at")


# 1001: credit notes for goods, financial adjustments, self-billed, consolidated, of a third party, factored.
CREDITS = ("81", "83", "261", "262", "381", "396")


def invoices(view: View) -> list[Typed]:
    """INVOIC to invoice lines: one row per LIN; a credit note's quantities are below zero.

    Args:
        view: messages; lines opened by LIN.
    """
    base = _ordered(lin_items(view), view)
    base = attach(base, opening(view), "set", "document", "number").rename({"number": "invoice_number"})
    counted = direct(grouped_quantities(view, ORDERED), view, ("SCC", "LOC"))
    base = attach(base, having(counted, "kind", "47", "46", "12", "21", "1", "136"), "line", "quantity", "unit_code")
    base = main_lines(base, view)
    base = base.with_columns(quantity=below_zero("quantity", pl.col("document").is_in(list(CREDITS))))
    base = price(base, view)
    base = day(base, header(dtm(view)), "invoice_date", "137", "3", "263")
    base = party(base, header(parties(view)), "seller_id", "SU", "SE", "II")
    base = base.with_columns(unit_code=pl.col("unit_code").fill_null("EA"))
    return [
        finish(RAW_EDI_INVOICE_LINES, base, {"quantity": 1, "item_id": 3}, standard="EDIFACT", may_be_negative=True)
    ]


HEADS = ("UNH", "UNS", "CNT", "UNT")
_CONSIGNMENT = ("SRN", "CU", "CW", "AAZ", "BN", "BM", "FF", "AAM", "CN", "DQ", "ON", "AAS")


# 2005 of what happened: status changed, event, arrived, departed, delivered, received, collected.
_HAPPENED = ("334", "78", "178", "186", "35", "50", "310", "200", "7", "1", "137")


def statuses(view: View) -> list[Typed]:
    """IFTSTA to shipment statuses: one row per STS.

    Args:
        view: messages; lines opened by STS and closed by CNI, so that the places of a consignment are not those of the status before it.

    Source: UN/EDIFACT IFTSTA, groups of CNI, STS and TDT.
    """
    base = view.pick("STS", first=(1, 1), inner=(1, 2), status=(2, 1), reason_code=(3, 1))
    head = opening(view)
    base = attach(base, head, "set", "number")
    base = scoped(base, having(references(view), "kind", *_CONSIGNMENT), "reference", "value")
    base = party(base, parties(view), "carrier_id", "CA", "FW")
    base = _happened(_at_place(base, view), view)
    base = day(base, dtm(view), "estimated_date", "132", "17", "191")
    base = base.with_columns(
        shipment_id=pl.coalesce("consignment", "reference", "number"),
        # Some carriers put the status into the second component of C601.
        status_code=pl.coalesce("status", "inner", "first"),
        status_at_utc=pl.coalesce("instant", "instant_leg", "instant_head"),
        zone=pl.coalesce(
            pl.when(pl.col(f"instant{s}").is_not_null()).then(pl.coalesce(f"zone{s}", pl.lit("")))
            for s in ("", "_leg", "_head")
        ),
    )
    typed = finish(RAW_EDI_SHIPMENT_STATUSES, base, {"status_code": 2}, standard="EDIFACT")
    return [withdrawn(in_utc(typed, base), head, EDIFACT_PURPOSES, "BGM 1225")]


def _at_place(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add consignment and location_name: LOC of the status itself, else of its consignment, else of the message."""
    cni = view.pick("CNI", consignment=(2, 1)).drop("line").with_columns(cni="row")
    place = view.relined(("STS", "TDT", "EQD", "GID"), (*HEADS, "CNI")).pick("LOC", place=(2, 1), named=(2, 4))
    place = place.with_columns(where=pl.coalesce("named", "place")).filter(pl.col("where").is_not_null())
    base = attach(base, lines(place), "line", "where")
    around = header(place)
    if cni.height:
        base, around = (
            frame.sort("row").join_asof(
                cni.sort("row"), on="row", by="set", strategy="backward", check_sortedness=False
            )
            for frame in (base, around)
        )
    else:
        base, around = (
            frame.with_columns(consignment=pl.lit(None, dtype=pl.String), cni=pl.lit(None, dtype=pl.Int32))
            for frame in (base, around)
        )
    base = attach(base, around.filter(pl.col("cni").is_not_null()), "cni", "where", suffix="_cni")
    base = attach(base, around.filter(pl.col("cni").is_null()), "set", "where", suffix="_head")
    return base.with_columns(location_name=pl.coalesce("where", "where_cni", "where_head"))


def _happened(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add instant and zone of the status itself, of a leg of its transport (`_leg`), and of the message (`_head`)."""
    found = dtm(view.relined(("STS", "TDT", "EQD", "GID"), (*HEADS, "CNI"))).with_columns(zone=zone())
    base = attach(base, lines(having(found, "kind", *_HAPPENED)), "line", "instant", "zone")
    legs = lines(having(dtm(view), "kind", "178", "186")).with_columns(zone=zone())
    base = attach(base, legs, "line", "instant", "zone", suffix="_leg")
    return attach(base, header(having(found, "kind", "334", "78", "137")), "set", "instant", "zone", suffix="_head")


def acknowledgements(view: View) -> list[Typed]:
    """CONTRL to acknowledgements: one row per UCI (interchange), UCF (group) and UCM (message).

    Args:
        view: messages; lines opened by UCM.
    """
    uci = view.pick("UCI", acked_control_number=(1, 1), verdict_code=4, error=5).with_columns(
        level_code=pl.lit("interchange")
    )
    ucf = view.pick("UCF", acked_control_number=(1, 1), verdict_code=4, error=5).with_columns(
        level_code=pl.lit("group")
    )
    ucm = view.pick("UCM", acked_control_number=(1, 1), acked_set_code=(2, 1), verdict_code=3, error=4).with_columns(
        level_code=pl.lit("set")
    )
    base = pl.concat([uci, ucf, ucm], how="diagonal")
    base = base.with_columns(error_codes=pl.lit("CONTRL:") + pl.col("error"))
    return [finish(RAW_EDI_ACKNOWLEDGEMENTS, base, {"verdict_code": 4}, standard="EDIFACT")]
