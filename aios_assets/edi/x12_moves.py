"""X12 movements and what follows: 856 (shipment notice), 861 (receipt), 810 (invoice), 214 (status), 997 and 999."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_ACKNOWLEDGEMENTS,
    RAW_EDI_INVOICE_LINES,
    RAW_EDI_RECEIPT_LINES,
    RAW_EDI_SHIPMENT_LINES,
    RAW_EDI_SHIPMENT_STATUSES,
)
from aios_assets.edi.delims import COMP
from aios_assets.edi.price_basis import x12_per_unit
from aios_assets.edi.refusals import ask_about_units, x12_taken
from aios_assets.edi.stores import for_stores
from aios_assets.edi.typing_rules import UNCLEAR, Typed, ask, below_zero, finish
from aios_assets.edi.view import View, attach, first_component, having, header, item, lines, scoped
from aios_assets.edi.withdrawn import X12_PURPOSES, heading, nothing_left, whole_notices
from aios_assets.edi.x12_orders import dates, parties, with_currency, with_date, with_party
from aios_assets.edi.zones import in_utc

_DEEPEST = 12
# Levels of an 856 (X12 735) from the top: shipment, order, tare, pack; items and all others stand below.
RANKS, LOWEST = {"S": 0, "O": 1, "T": 2, "P": 3}, 4
_DATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # 370 and 371: departure and arrival. What was asked for (010) is no day of shipment, nor a schedule to ship (068) one of delivery.
    ("shipped_date", ("011", "370")),
    ("expected_date", ("017", "067", "371", "002")),
)


_SHIPPERS = ("SF", "SH", "SU", "VN", "SE")
_INHERITED = (
    "order_number",
    "release_number",
    "ship_to_site_id",
    "ship_from_id",
    "carrier_id",
    "shipped_date",
    "expected_date",
)


def _tree(view: View) -> pl.DataFrame:
    """HL rows with what hangs on each level; every value not stated is inherited from the parent.

    Source: X12 HL02 names the parent's HL01 within the set.
    """
    hl = _under_the_nearest(view.pick("HL", own=1, parent=2, level=3))
    hl = attach(
        hl, _releases(view.pick("PRF", order_number=1, release_number=2)), "line", "order_number", "release_number"
    )
    n1 = parties(view)
    for name, who in (("ship_to_site_id", ("ST", "BS")), ("ship_from_id", _SHIPPERS)):
        found = having(n1, "who", *who).select("set", "line", "row", pl.col("party").alias(name))
        hl = attach(hl, found, "line", name)
    carrier = view.pick("TD5", scac=3, name=5).with_columns(carrier_id=pl.coalesce("scac", "name"))
    hl = attach(hl, carrier.filter(pl.col("carrier_id").is_not_null()), "line", "carrier_id")
    found = dates(view)
    for name, kinds in _DATES:
        hl = attach(
            hl, having(found, "kind", *kinds).select("set", "line", "row", pl.col("day").alias(name)), "line", name
        )
    top = pl.when(pl.col("level") == "S").then(pl.col("line").cast(pl.String))
    tree = _inherit(hl.with_columns(shipment=top), [*_INHERITED, "shipment"])
    return tree.with_columns(release_number=_given("release_number"))


def _releases(prf: pl.DataFrame) -> pl.DataFrame:
    """PRF with an empty release where it names none: the release of a level above is one of the order named there."""
    named = pl.col("order_number").is_not_null()
    return prf.with_columns(release_number=pl.when(named).then(pl.col("release_number").fill_null("")))


def _given(name: str) -> pl.Expr:
    """A column without its empty texts."""
    return pl.when(pl.col(name) != "").then(name).alias(name)


def _under_the_nearest(hl: pl.DataFrame) -> pl.DataFrame:
    """Hang levels that name no parent, as some partners leave HL02 out, under the nearest higher one before them."""
    rank = pl.col("level").replace_strict(RANKS, default=LOWEST, return_dtype=pl.Int8)
    hl = hl.with_columns(rank=rank)
    loose = pl.col("parent").is_null() & (pl.col("rank") > 0)
    if not hl.select(loose.any()).item():
        return hl.drop("rank")
    higher = (
        pl.when(pl.col("rank") == r).then(pl.when(pl.col("rank") < r).then("own").forward_fill().over("set"))
        for r in range(1, LOWEST + 1)
    )
    return hl.with_columns(parent=pl.when(loose).then(pl.coalesce(higher)).otherwise("parent")).drop("rank")


def _inherit(hl: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Pull values down the tree by joining parents, at most `_DEEPEST` times (a cycle cannot spin).

    Of a number that several levels have the first is their children's parent; each keeps its own values.
    """
    first = hl.select(pl.struct("set", "own").is_first_distinct()).to_series()
    current = hl
    for _ in range(_DEEPEST):
        if current["parent"].null_count() == current.height:
            break
        above = current.filter(first).select(
            "set",
            pl.col("own").alias("parent"),
            pl.col("parent").alias("grand"),
            *(pl.col(n).alias(f"{n}:up") for n in names),
        )
        joined = current.join(above, on=["set", "parent"], how="left", maintain_order="left")
        current = joined.select(
            "row",
            "set",
            "line",
            "own",
            "level",
            pl.col("grand").alias("parent"),
            *(pl.coalesce(n, f"{n}:up").alias(n) for n in names),
        )
    return current


def shipments(view: View) -> list[Typed]:
    """856 to shipment lines: one row per SN1, with the LIN before it in the same HL.

    Args:
        view: 856 sets; lines opened by HL.
    """
    tree = _tree(view)
    inner = view.relined(("LIN",), ("ST", "HL", "CTT", "SE"))
    items = item(inner.pairs("LIN", first=2))
    counted = inner.pick("SN1", order_line=1, quantity=2, unit_code=3)
    hl_of = view.places("SN1", "LIN").select("row", pl.col("line").alias("hl"))
    silent = items.filter(~pl.col("line").is_in(counted["line"].implode())).select("row", "set", "line")
    if counted.height == 0:
        silent = items.select("row", "set", "line")
    base = pl.concat([counted, silent], how="diagonal").join(hl_of, on="row", how="left", maintain_order="left")
    base = attach(base, items, "line", "item_id", "item_gtin")
    base = base.join(
        tree.select(pl.col("line").alias("hl"), *_INHERITED, "shipment"), on="hl", how="left", maintain_order="left"
    )
    base = _order_of_item(base, inner)
    head = view.pick("BSN", purpose=1, shipment_id=2, noticed=3)
    base = attach(base, head, "set", "shipment_id", "noticed")
    base = _shipment_defaults(base, view, tree)
    base = base.with_columns(
        shipped_date=pl.coalesce("shipped_date", "noticed"),
        unit_code=pl.col("unit_code").str.split(COMP).list.get(0, null_on_oob=True).fill_null("EA"),
    )
    base = nothing_left(for_stores(base, inner), head, X12_PURPOSES)
    typed = finish(RAW_EDI_SHIPMENT_LINES, base, {"quantity": 2, "item_id": 3, "shipped_date": 2})
    head = head.rename({"shipment_id": "number", "noticed": "day"})
    head = heading(head, head, having(parties(view), "who", *_SHIPPERS))
    return whole_notices(ask(typed, base, "row", "disputed", UNCLEAR), head, X12_PURPOSES, "shipped", items["set"])


def _order_of_item(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """order_number from the LIN of the line (235: PO) where nothing else names one, as notices of car makers do."""
    if base["order_number"].null_count() == 0:
        return base
    places = range(2, min(view.longest("LIN"), 32), 2)
    lin = view.pick("LIN", **{f"{name}{n}": n + at for n in places for name, at in (("q", 0), ("v", 1))})
    named = (pl.when(pl.col(f"q{n}") == "PO").then(f"v{n}") for n in places)
    lin = lin.with_columns(order_of_item=pl.coalesce(pl.lit(None, dtype=pl.String), *named))
    base = attach(base, lin.filter(pl.col("order_of_item").is_not_null()), "line", "order_of_item")
    return base.with_columns(order_number=pl.coalesce("order_number", "order_of_item"))


def _shipment_defaults(base: pl.DataFrame, view: View, tree: pl.DataFrame) -> pl.DataFrame:
    """Values of the shipment level where the tree is broken or flat, and dates of the header.

    A line that hangs under a shipment level has no values of another; where a set has several, a line under none has those of none.
    """
    top = tree.filter(pl.col("level") == "S").filter(pl.len().over("set") == 1)
    shipment = [n for n in _INHERITED if n not in ("order_number", "release_number")]
    base = attach(base, top, "set", *shipment, suffix="_top").with_columns(
        pl.coalesce(n, pl.when(pl.col("shipment").is_null()).then(f"{n}_top")).alias(n) for n in shipment
    )
    found = header(dates(view))
    for name, kinds in _DATES:
        base = attach(
            base, having(found, "kind", *kinds).select("set", "row", "line", pl.col("day").alias("hd")), "set", "hd"
        )
        base = base.with_columns(pl.coalesce(name, "hd").alias(name)).drop("hd")
    return base


_RECEIVERS = ("ST", "WH", "RC", "UC", "CN", "BY")


def receipts(view: View) -> list[Typed]:
    """861 to receipt lines: one row per RCD; quantity is what was taken in (`refusals`).

    Args:
        view: 861 sets; lines opened by RCD.
    """
    base = first_component(view.pick("RCD", order_line=1, quantity=2, unit_code=3), "unit_code")
    base = x12_taken(base, view)
    base = attach(base, item(view.pairs("LIN", first=2, named=1)), "line", "item_id", "item_gtin", "named")
    head = view.pick("BRA", receipt_id=1, made=2, purpose=3)
    base = attach(base, head, "set", "receipt_id", "made")
    # The day of shipment (011) is none of receipt.
    base = with_date(base, dates(view), "received_date", "050", "035")
    base = with_party(base, parties(view), "site_id", *_RECEIVERS)
    prf = _releases(view.pick("PRF", order_number=1, release_number=2))
    ref = view.pick("REF", kind=1, value=2)
    ref_po = having(ref, "kind", "PO").drop("kind").with_columns(release_number=pl.lit(""))
    ordered = pl.concat([prf.rename({"order_number": "value"}), ref_po], how="diagonal").filter(
        pl.col("value").is_not_null()
    )
    base = scoped(scoped(base, ordered, "order_number", "value"), ordered, "release_number", "release_number")
    base = base.with_columns(release_number=_given("release_number"))
    base = _order_of_item(base, view)
    base = scoped(base, having(ref, "kind", "SI", "2I", "BM", "ASN", "DN"), "shipment_id", "value")
    base = base.with_columns(
        received_date=pl.coalesce("received_date", "made"),
        order_line=pl.coalesce("order_line", "named"),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    base = nothing_left(base, head, X12_PURPOSES)
    typed = finish(RAW_EDI_RECEIPT_LINES, base, {"quantity": 2, "rejected_quantity": 4, "item_id": 3})
    head = head.rename({"receipt_id": "number", "made": "day"})
    head = heading(head, head, having(parties(view), "who", *_RECEIVERS))
    return whole_notices(ask_about_units(typed, base), head, X12_PURPOSES, "received", base["set"])


CREDITS = ("CR", "CN")  # 640: credit memo, credit invoice


def invoices(view: View) -> list[Typed]:
    """810 to invoice lines: one row per IT1; quantities of a credit are below zero.

    Args:
        view: 810 sets; lines opened by IT1.
    """
    base = view.pairs("IT1", first=6, order_line=1, quantity=2, unit_code=3, unit_price=4, price_basis=5)
    base = x12_per_unit(first_component(item(base), "unit_code"))
    head = view.pick("BIG", invoice_date=1, invoice_number=2, order_number=4, release_number=5, kind=7)
    base = attach(base, head, "set", "invoice_date", "invoice_number", "order_number", "release_number", "kind")
    base = with_currency(base, view, "IT1", "SLN", "SAC", "CTP")
    base = base.with_columns(quantity=below_zero("quantity", pl.col("kind").is_in(list(CREDITS))))
    # What stands behind SLN is about a component.
    own = view.relined(("IT1", "SLN"), ("ST", "TDS", "CTT", "SE"))
    ordered = having(own.pick("REF", kind=1, value=2), "kind", "PO").filter(pl.col("value").is_not_null())
    base = attach(base, lines(ordered), "line", "value", suffix="_line")
    base = attach(base, header(ordered), "set", "value", suffix="_head")
    base = with_party(base, parties(own), "seller_id", "SE", "SU", "VN", "RI", "RE")
    base = base.with_columns(
        order_number=pl.coalesce("value_line", "order_number", "value_head"),
        # The release in BIG is one of the order in BIG.
        release_number=pl.when(pl.coalesce("value_line", "order_number") == pl.col("order_number")).then(
            "release_number"
        ),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    return [finish(RAW_EDI_INVOICE_LINES, base, {"quantity": 2, "unit_price": 4, "item_id": 7}, may_be_negative=True)]


# 1650 and 1652 that give a day to come: estimated delivery or arrival, recommitted, delivery appointments.
ESTIMATES = ("AG", "X2", "BD", "AD", "AB", "AC", "X9")


def statuses(view: View) -> list[Typed]:
    """214 to shipment statuses: one row per AT7.

    A set may tell of several shipments: L11 of a loop LX names its own (SI, the shipper's number, as B1002), G62 its own estimate.

    Args:
        view: 214 sets; lines opened by AT7.
    """
    base = view.pick("AT7", status=1, reason=2, planned=3, planned_reason=4, day=5, hour=6, zone=7)
    base = attach(base, view.pick("B10", own=1, shipment=2, carrier_id=3), "set", "own", "shipment", "carrier_id")
    place = view.pick("MS1", city=1, state=2, country=3)
    place = place.with_columns(
        location_name=pl.concat_str("city", "state", "country", separator=", ", ignore_nulls=True)
    )
    base = _of_loop(attach(base, lines(place), "line", "location_name"), view)
    base = base.with_columns(
        shipment_id=pl.coalesce("named", "shipment", "own"),
        status_code=pl.coalesce("status", "planned"),
        reason_code=pl.coalesce("reason", "planned_reason"),
        status_at_utc=pl.col("day") + pl.coalesce("hour", pl.lit("")).str.head(4).str.replace("^.{1,3}$", ""),
        estimated_date=pl.coalesce(
            pl.when(pl.any_horizontal(pl.col("status", "planned").is_in(list(ESTIMATES)))).then("day"), "estimated"
        ),
        location_name=pl.when(pl.col("location_name") != "").then("location_name"),
    ).with_columns(
        # Two-digit years occur in old releases.
        status_at_utc=pl.when(pl.col("day").str.len_bytes() == 6)
        .then(pl.lit("20") + pl.col("status_at_utc"))
        .otherwise("status_at_utc")
    )
    typed = finish(RAW_EDI_SHIPMENT_STATUSES, base, {"status_code": 1, "status_at_utc": 5})
    return [in_utc(typed, base)]


def _of_loop(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add `named` and `estimated` of the LX that a status stands in, and the estimate of the header where there is none."""
    loops = view.relined(("LX",), ("ST", "SE"))
    base = base.join(loops.pick("AT7").select("row", lx="line"), on="row", how="left", maintain_order="left")
    shippers = having(loops.pick("L11", named=1, kind=2), "kind", "SI").rename({"line": "lx"})
    base = attach(base, shippers.filter(pl.col("lx") >= 0), "lx", "named")
    eta = having(loops.pick("G62", kind=1, estimated=2), "kind", "17", "70")
    dtm = having(dates(loops), "kind", "017", "371").rename({"day": "estimated"})
    told = pl.concat([eta, dtm.select(eta.columns)])
    base = attach(base, lines(told).rename({"line": "lx"}), "lx", "estimated", suffix="_lx")
    base = attach(base, header(told), "set", "estimated", suffix="_head")
    return base.with_columns(estimated=pl.coalesce("estimated_lx", "estimated_head"))


def acknowledgements(view: View) -> list[Typed]:
    """997 and 999 to acknowledgements: one row per set answered (AK2 … AK5 or IK5) and one per group (AK9).

    Args:
        view: 997 or 999 sets; lines opened by AK2.
    """
    sets = view.pick("AK2", acked_set_code=1, acked_control_number=2)
    answer = view.pick("AK5", "IK5", verdict_code=1, e2=2, e3=3, e4=4, e5=5, e6=6)
    sets = attach(sets, _codes(answer, "AK5"), "line", "verdict_code", "error_codes")
    group = view.pick("AK9", verdict_code=1, e2=5, e3=6, e4=7, e5=8, e6=9)
    group = _codes(group, "AK9").select("row", "set", "line", "verdict_code", "error_codes")
    head = view.pick("AK1", acked_group_code=1, acked_group_control_number=2)
    base = pl.concat(
        [
            sets.with_columns(level_code=pl.lit("set")),
            attach(
                group,
                head.with_columns(acked_control_number=pl.col("acked_group_control_number")),
                "set",
                "acked_control_number",
            ).with_columns(level_code=pl.lit("group")),
        ],
        how="diagonal",
    )
    base = attach(base, head, "set", "acked_group_code", "acked_group_control_number")
    return [finish(RAW_EDI_ACKNOWLEDGEMENTS, base, {"verdict_code": 1})]


def _codes(answer: pl.DataFrame, prefix: str) -> pl.DataFrame:
    """Error codes joined by blanks, each with its segment."""
    found = pl.concat_str(
        *(pl.concat_str(pl.lit(f"{prefix}:"), pl.col(f"e{n}")) for n in range(2, 7)), separator=" ", ignore_nulls=True
    )
    return answer.with_columns(error_codes=pl.when(found != "").then(found))
