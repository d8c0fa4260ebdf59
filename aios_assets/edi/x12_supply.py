"""X12 schedules and warehouses to facts: 830 and 862 (delivery schedules), 940, 943, 944, 945, 947 (third-party warehouse)."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_DELIVERY_SCHEDULES, RAW_EDI_WAREHOUSE_LINES
from aios_assets.edi.refusals import NOT_TAKEN
from aios_assets.edi.stores import for_stores
from aios_assets.edi.typing_rules import UNCLEAR, Typed, ask, finish, read_number
from aios_assets.edi.view import View, attach, first_component, having, header, item, lines, outside_of_loops
from aios_assets.edi.whole_orders import X12_CANCELS, X12_INFORMS, X12_REPLACES, informing, says
from aios_assets.edi.withdrawn import X12_PURPOSES, Purposes, heading, nothing_left, whole_notices
from aios_assets.edi.words import say
from aios_assets.edi.x12_orders import dates, parties, with_party

_SHIP_TO = ("ST", "BS", "BY", "FR")
# What in a schedule has references of its own, and what ends the quantities of an item.
_LOOPS, _ENDS_OF_LINES = ("LIN", "N1", "LM", "FST", "SDP", "JIT", "SHP"), ("ST", "CTT", "SE")


def schedules(view: View, code: str) -> list[Typed]:
    """830 and 862 to delivery schedules: one row per FST of an item, per store where SDQ splits it.

    Args:
        view: sets of one type; lines opened by LIN.
        code: the set type.

    Source: X12 830 and 862, 004010: loops LIN, FST (SDQ, JIT), SDP, SHP.
    """
    head = (
        view.pick("BFR", purpose=1, first=2, second=3, issued=8, start=6, quantity_basis_code=5, order=11)
        if code == "830"
        else view.pick("BSS", purpose=1, first=2, second=7, issued=3, start=5, quantity_basis_code=11, order=10)
    )
    base = lines(
        view.pick("FST", quantity=1, commitment_code=2, period_code=3, wanted_date=4, until_date=5, kind=8, reference=9)
    )
    base = attach(base, item(view.pairs("LIN", first=2)), "line", "item_id", "item_gtin")
    base = attach(base, head, "set", *(c for c in head.columns if c not in ("row", "set", "line")))
    base = first_component(attach(base, lines(view.pick("UIT", unit_code=1)), "line", "unit_code"), "unit_code")
    base = with_party(base, parties(view), "ship_to_site_id", *_SHIP_TO)
    base = _by_store(_ordered(base, view), view)
    base = base.with_columns(
        schedule_id=pl.coalesce("first", "second", pl.lit("unnumbered")),
        issued_date=pl.coalesce("issued", "start"),
        unit_code=pl.col("unit_code").fill_null("EA"),
        action_code=pl.coalesce(
            says("purpose", "cancel", *X12_CANCELS),
            says("purpose", "change", "04"),
            says("purpose", "replace", *X12_REPLACES),
            pl.lit("new"),
        ),
    )
    typed = finish(RAW_EDI_DELIVERY_SCHEDULES, base, {"quantity": 1, "wanted_date": 4, "until_date": 5, "item_id": 3})
    typed = ask(typed, base, "row", "disputed", UNCLEAR)
    return [informing(typed, head, X12_INFORMS, "BFR01" if code == "830" else "BSS01")]


def _by_store(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Quantities that SDQ gives to stores, one row per store; SDQ names the unit where the item does not."""
    inner = view.relined(("FST",), ("LIN", "SDP", "SHP", *_ENDS_OF_LINES))
    base = attach(base.with_columns(line="row"), lines(inner.pick("SDQ", store_unit=1)), "line", "store_unit")
    return for_stores(base.with_columns(unit_code=pl.coalesce("unit_code", "store_unit")), inner)


def _ordered(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """order_number: of the quantity (FST09), else of its item (REF, LIN), else of the schedule (REF, BFR11, BSS10)."""
    found = having(view.relined(_LOOPS, _ENDS_OF_LINES).pick("REF", ref=1, value=2), "ref", "PO")
    base = attach(base, lines(found), "line", "value")
    base = attach(base, header(found), "set", "value", suffix="_head")
    longest = min(view.longest("LIN"), 31)
    pairs = [view.pick("LIN", kind=n, number=n + 1).with_columns(n=pl.lit(n)) for n in range(2, longest, 2)]
    named = pl.concat(pairs).filter(pl.col("kind") == "PO", pl.col("number").is_not_null()) if pairs else None
    if named is None or named.is_empty():
        base = base.with_columns(number=pl.lit(None, dtype=pl.String))
    else:
        base = attach(base, named.sort("row", "n"), "line", "number")
    own = pl.when(pl.col("kind") == "PO").then("reference")
    return base.with_columns(order_number=pl.coalesce(own, "value", "number", "value_head", "order"))


_MOVEMENTS = {"940": "ordered", "943": "transfer", "944": "received", "945": "shipped", "947": "adjusted"}
# 473 of W0501: the order is cancelled or deleted. 353 of W1504. A receipt or shipment (514 of W0601 and W1701) cannot cancel.
_PURPOSES = {"940": Purposes(("F", "D")), "947": X12_PURPOSES}
_KEEPERS, _ENDS = ("WH", "SF"), ("ST", "SE")
_DETAILS = {"940": ("W01", 4), "943": ("W04", 4), "944": ("W07", 4), "945": ("W12", 7), "947": ("W19", 5)}


def _warehouse_head(view: View, code: str) -> pl.DataFrame:
    if code == "940":
        head = view.pick("W05", purpose=1, document_number=2, order_number=3)
    elif code == "944":
        head = view.pick("W17", movement_date=2, document_number=3, order_number=4, shipment_id=5)
    elif code == "947":
        head = view.pick("W15", movement_date=1, document_number=2, order_number=3, purpose=4)
    else:
        head = view.pick("W06", document_number=2, movement_date=3, shipment_id=4, order_number=6)
    names = ("document_number", "order_number", "movement_date", "shipment_id", "purpose")
    return head.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in names if n not in head.columns)


def warehouse(view: View, code: str) -> list[Typed]:
    """940, 943, 944, 945 and 947 to warehouse lines: one row per item segment.

    Args:
        view: sets of one type; the item segment opens the line.
        code: the set type.
    """
    tag, first = _DETAILS[code]
    at = {
        "945": {"reason_code": 1, "ordered": 2, "quantity": 3, "unit_code": 5, "upc": 6},
        "947": {"reason_code": 1, "quantity": 2, "unit_code": 3, "upc": 4},
    }.get(code, {"quantity": 1, "unit_code": 2, "upc": 3})
    base = view.pairs(tag, first=first, **at).with_columns(gtin=pl.coalesce("gtin", "upc"))
    base = first_component(item(base), "unit_code")
    head = _warehouse_head(view, code)
    base = attach(base, head, "set", "document_number", "order_number", "movement_date", "shipment_id")
    outer = outside_of_loops(view)
    base = _parties_of_loop(base, outer, tag, "warehouse_id", *_KEEPERS)
    base = _parties_of_loop(base, outer, tag, "ship_to_site_id", "ST", "CN")
    base = _excepted(for_stores(base, view), view)
    day = having(view.pick("G62", kind=1, day=2), "kind", "11", "09", "10", "37", "86", "07", "02")
    base = attach(base, header(day), "set", "day")
    when = header(dates(view)).rename({"day": "dtm"})
    base = attach(base, when, "set", "dtm")
    base = base.with_columns(
        movement_code=pl.lit(_MOVEMENTS[code]),
        document_number=pl.coalesce("document_number", "order_number", "shipment_id", pl.lit("unnumbered")),
        movement_date=pl.coalesce("movement_date", "day", "dtm"),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    if code in _PURPOSES:
        base = nothing_left(base, head, _PURPOSES[code])
    asked = base.with_columns(asks=pl.coalesce("disputed", "excepted_in"))
    place = {"quantity": at["quantity"], "item_id": first + 1}
    typed = finish(RAW_EDI_WAREHOUSE_LINES, base, place, may_be_negative=code == "947")
    typed = ask(typed, asked, "row", "asks", UNCLEAR)
    if code not in _PURPOSES:
        return [typed]
    said = attach(attach(head, header(day), "set", "day"), when, "set", "dtm")
    said = said.with_columns(pl.coalesce("movement_date", "day", "dtm").alias("day"))
    who = having(parties(view), "who", *_KEEPERS)
    head = heading(head.rename({"document_number": "number"}), said, who)
    return whole_notices(typed, head, _PURPOSES[code], "warehouse", base["set"])


def _excepted(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add `excepted_in`, and make the quantity of a 944 what was taken in, its reason_code the condition of the first exception (W13).

    What was received (W07) includes what came damaged, wrong, rejected … (412, as in an 861), unless that is more than was received. Exceptions in
    another unit cannot be taken from it: `excepted_in` says so.
    """
    none = pl.lit(None, dtype=pl.String)
    if not len(view.where("W13")):
        return base.with_columns(excepted_in=none)
    found = lines(first_component(view.pick("W13", amount=1, unit=2, condition=3), "unit"))
    bad = pl.col("condition").is_in(list(NOT_TAKEN)).fill_null(value=False)
    per = found.group_by("line", maintain_order=True).agg(
        pl.col("condition").first(),
        excepted=read_number(pl.col("amount")).filter(bad).sum(),
        excepted_unit=pl.col("unit").filter(bad).first(),
    )
    base = base.join(per, on="line", how="left", maintain_order="left")
    other = (pl.col("excepted_unit") != pl.col("unit_code")).fill_null(value=False) & (pl.col("excepted") > 0)
    received = read_number(pl.col("quantity"))
    includes = (pl.col("excepted") > 0) & (received >= pl.col("excepted")) & ~other
    words = say("received in {}, excepted in {}: release it to take in all of it", "unit_code", "excepted_unit")
    return base.with_columns(
        quantity=pl.when(includes).then((received - pl.col("excepted")).cast(pl.String)).otherwise("quantity"),
        reason_code=pl.coalesce("reason_code", "condition") if "reason_code" in base.columns else pl.col("condition"),
        excepted_in=pl.when(other).then(words),
    )


def _parties_of_loop(base: pl.DataFrame, view: View, tag: str, name: str, *kinds: str) -> pl.DataFrame:
    """Add a party of the line, else of the loop LX that it stands in, else of the header."""
    found = having(parties(view.relined(("LX", tag), _ENDS)), "who", *kinds).rename({"party": name})
    found = found.filter(pl.col(name).is_not_null())
    loop = view.relined(("LX",), _ENDS).pick(tag).select("row", lx="line")
    base = base.join(loop, on="row", how="left", maintain_order="left")
    base = attach(base, lines(found), "line", name)
    base = attach(base, lines(found).rename({"line": "lx"}), "lx", name, suffix="_lx")
    base = attach(base, header(found), "set", name, suffix="_head").drop("lx")
    return base.with_columns(pl.coalesce(name, f"{name}_lx", f"{name}_head").alias(name))
