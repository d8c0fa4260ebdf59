"""EDIFACT stock messages to facts: SLSRPT (sales) and INVRPT (inventory)."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_INVENTORY_POSITIONS, RAW_EDI_PRODUCT_ACTIVITY
from aios_assets.edi.edifact_orders import dtm, lin_items, opening, parties, price, quantities
from aios_assets.edi.typing_rules import Typed, below_zero, finish
from aios_assets.edi.view import Rows32, View, attach, behind, beside, having, header, lines
from aios_assets.edi.withdrawn import EDIFACT_PURPOSES, withdrawn

PLACES = ("162", "14", "18", "7", "198")
SITES = ("ST", "BY", "WH", "DP", "SN", "GM", "SE", "MR", "LSP", "DS")
# 6063 to X12 859 and 673; other codes stay as sent.
SOLD = {"153": "QS", "25": "QS", "47": "QS", "145": "QA", "17": "QA", "191": "QT", "61": "QU", "48": "QR", "194": "QR"}
# Who has the stock of an INVRPT: a warehouse or a store before its owner; GY reports it.
HOLDERS = ("WH", "ST", "DP", "SN", "GY", "BY", "GM", "SE", "LSP", "DS")
# 7491 to X12 673 of what is there and cannot be sold: damaged, awaiting inspection, unfinished. Accepted, bonded and reserved products are on hand.
UNSALEABLE = {"2": "74", "5": "QH", "10": "37", "11": "37"}
_AS_OF = ("366", "91", "356", "194", "90", "137", "7")
_ENDS = ("UNH", "UNS", "CNT", "UNT")
COUNTED = {"145": "17", "17": "17", "191": "A5"}
# On hand in D.96A, consignment stock later; some partners report with it, and with nothing else, what was sold.
LOOSE = "152"


def _sites(view: View) -> pl.DataFrame:
    """Every statement of a place: LOC of a kind that is a site, or NAD of a kind that can report; rank 0 beats 1."""
    loc = having(view.pick("LOC", who=1, site=(2, 1)), "who", *PLACES).select("row", "set", "line", "site")
    nad = having(parties(view), "who", *SITES).select("row", "set", "line", pl.col("party").alias("site"))
    return pl.concat([loc.with_columns(rank=pl.lit(0)), nad.with_columns(rank=pl.lit(1))]).filter(
        pl.col("site").is_not_null()
    )


def _sited(base: pl.DataFrame, view: View, sender: pl.DataFrame) -> pl.DataFrame:
    """site_id: a party behind the quantity, else a place of the line, else its party, else the last place named before it, else a party of the
    header, else the sender."""
    found = _sites(view)
    loc = found.filter(pl.col("rank") == 0)
    named = parties(view.relined(("LIN", "QTY"), _ENDS, also=_grouping(view))).rename({"party": "site"})
    inside = lines(having(named, "who", *SITES).filter(pl.col("site").is_not_null()))
    base = behind(base.with_columns(own="row"), inside, "site").rename({"site": "site_party"})
    base = attach(base, inside.rename({"line": "own"}), "own", "site", suffix="_counted")
    base = attach(base, lines(loc), "line", "site", suffix="_own")
    groups = view.pick("LOC", who=1, group=(2, 1)).filter(pl.col("who").is_in(list(PLACES)) & (pl.col("line") < 0))
    base = (
        attach(base, header(loc), "set", "site", suffix="_loc")
        if loc.height
        else base.with_columns(site_loc=pl.lit(None, dtype=pl.String))
    )
    if groups.height:
        since = groups.select("row", "set", "group").sort("row")
        base = base.sort("row").join_asof(since, on="row", by="set", strategy="backward", check_sortedness=False)
    else:
        base = base.with_columns(group=pl.lit(None, dtype=pl.String))
    base = attach(base, header(found.filter(pl.col("rank") == 1)), "set", "site", suffix="_nad")
    base = base.join(sender, on="set", how="left", maintain_order="left")
    return base.with_columns(
        site_id=pl.coalesce("site_counted", "site_own", "site_party", "group", "site_loc", "site_nad", "sender_id")
    )


def grouped(view: View) -> View:
    """A LOC of place of sale opens a group of lines: it and what follows it up to the next LIN belong to no line.

    Without this the LOC of the next store would be read as part of the last line of this one.
    """
    return view.relined(("LIN",), _ENDS, also=_grouping(view))


def _grouping(view: View) -> Rows32:
    """Rows that open a group of lines."""
    return view.pick("LOC", who=1).filter(pl.col("who").is_in(["162", "198"]))["row"].to_numpy()


def sales(view: View, sender: pl.DataFrame) -> list[Typed]:
    """SLSRPT to product activity: one row per QTY of a line.

    Args:
        view: messages; lines opened by LIN.
        sender: set and sender_id, the site of last resort.
    """
    view = grouped(view)
    base, silent = _counted(view)
    base = _sited(pl.concat([base, silent], how="diagonal"), view, sender)
    base = attach(price(base, view), lin_items(view), "line", "item_id", "item_gtin")
    base = _sold_on(base, view)
    code = pl.col("kind").replace(SOLD)
    alone = (pl.col("kind") == LOOSE) & ~(code == "QS").any().over("set")
    base = base.with_columns(
        activity_code=pl.when(alone).then(pl.lit("QS")).otherwise(code),
        unit_code=pl.when(pl.col("kind").is_not_null()).then(pl.col("unit_code").fill_null("EA")),
    ).with_columns(pl.col("activity_code").fill_null("QS"), pl.col("unit_code").fill_null("EA"))
    at, negative = {"quantity": 1, "item_id": 3}, pl.col("activity_code") != "QA"
    typed = finish(RAW_EDI_PRODUCT_ACTIVITY, base, at, standard="EDIFACT", may_be_negative=negative)
    return [withdrawn(typed, opening(view), EDIFACT_PURPOSES, "BGM 1225")]


def _counted(view: View) -> tuple[pl.DataFrame, pl.DataFrame]:
    """QTY rows, and the LIN rows that have none."""
    qty = _directed(quantities(view), view)
    lin = view.places("LIN").filter(~pl.col("line").is_in(qty["line"].implode()))
    return qty, lin


def _with_inv(qty: pl.DataFrame, view: View) -> pl.DataFrame:
    """direction (4501) and stock (7491) of each quantity from its INV.

    INV stands after its QTY up to D.96A and before it since D.01B; which of them a line has first tells the order.
    """
    inv = lines(view.pick("INV", direction=1, stock=2)).rename({"row": "inv_row"}).drop("set").sort("inv_row")
    if inv.is_empty():
        return qty.with_columns(direction=pl.lit(None, dtype=pl.String), stock=pl.lit(None, dtype=pl.String))
    first = inv.group_by("line").agg(first_inv=pl.col("inv_row").min())
    qty = qty.join(first, on="line", how="left", maintain_order="left").sort("row")
    before, after = beside(qty, inv, "row", "inv_row")
    next_qty = pl.col("row").shift(-1).over("line")
    is_own = after.select(((pl.col("inv_row") < next_qty) | next_qty.is_null()).fill_null(value=False)).to_series()
    leads = pl.col("first_inv") < pl.col("row").min().over("line")
    return qty.with_columns(
        pl.when(leads).then(before[name]).when(is_own).then(after[name]).alias(name) for name in ("direction", "stock")
    ).drop("first_inv")


def _directed(qty: pl.DataFrame, view: View) -> pl.DataFrame:
    """Adjustments (191) below zero where their INV says out of inventory (4501: 1)."""
    qty = _with_inv(qty, view)
    goes_out = (pl.col("kind") == "191") & (pl.col("direction") == "1")
    return qty.with_columns(quantity=below_zero("quantity", goes_out)).drop("direction")


def _sold_on(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Day or period: of the line, else of its place (what stands between LOC and LIN), else of the message."""
    found = _with_ends(dtm(view).select("row", "set", "line", "kind", "day", "until"))
    for scope, frame in (("line", lines(found)), ("set", header(found))):
        for kind in ("356", "357", "90", "91", "137"):
            hit = frame.filter(pl.col("kind") == kind)
            name = f"{scope}_{kind}"
            if scope == "line" or kind == "137":
                base = attach(base, hit.rename({"day": name}), scope, name)
            elif hit.height:
                since = hit.select("row", "set", pl.col("day").alias(name)).sort("row")
                base = base.sort("row").join_asof(
                    since, on="row", by="set", strategy="backward", check_sortedness=False
                )
            else:
                base = base.with_columns(pl.lit(None, dtype=pl.String).alias(name))
    span = header(found).filter(pl.col("until").is_not_null())
    base = attach(base, span, "set", "day", "until")
    single = pl.coalesce("line_356", pl.when(pl.col("set_357").is_null()).then("set_356"))
    end = pl.coalesce("line_357", "line_91", single, "set_357", "set_91", "until", "set_137")
    start = pl.coalesce(
        "line_90",
        "line_356",
        pl.when(pl.col("set_357").is_not_null()).then("set_356"),
        pl.when(single.is_null()).then(pl.coalesce("set_90", "day")),
    )
    return base.with_columns(activity_date=end).with_columns(
        period_start_date=pl.when(start != pl.col("activity_date")).then(start)
    )


def _with_ends(found: pl.DataFrame) -> pl.DataFrame:
    """DTM rows, and of each sales period in one piece (356 with 711 to 719) its end as a row of its own (357).

    A single day behind such a period ends it: there the end is null.
    """
    sold = found.filter(pl.col("kind") == "356")
    spans = sold.filter(pl.col("until").is_not_null())["set"].unique()
    ends = sold.filter(pl.col("set").is_in(spans.implode()))
    ends = ends.with_columns(kind=pl.lit("357"), day="until").filter(pl.col("day").is_not_null() | (pl.col("line") < 0))
    return pl.concat([found, ends]).sort("row", maintain_order=True)


def _held_at(base: pl.DataFrame, inner: View, sender: pl.DataFrame) -> pl.DataFrame:
    """site_id: the place or party behind the quantity, else of its item, else of the message, else the sender.

    Args:
        base: QTY rows with `own`, the row of each.
        inner: the messages, lines opened by LIN, QTY and CPS.
        sender: set and sender_id.
    """
    nad = parties(inner)
    loc = having(inner.pick("LOC", who=1, site=(2, 1)), "who", *PLACES)
    for name, found in (("loc", loc), ("nad", having(nad, "who", *HOLDERS).rename({"party": "site"}))):
        named = found.filter(pl.col("site").is_not_null())
        inside = lines(named)
        base = attach(base, inside.rename({"line": "own"}), "own", "site", suffix=f"_own_{name}")
        base = attach(base, inside, "line", "site", suffix=f"_line_{name}")
        base = attach(base, header(named), "set", "site", suffix=f"_set_{name}")
    base = base.join(sender, on="set", how="left", maintain_order="left")
    # A supplier who reports to a buyer reports his own stock.
    supplier = having(nad, "who", "SU", "SE").rename({"party": "supplier"})
    base = attach(base, header(supplier), "set", "supplier")
    base = attach(base, header(having(nad, "who", *HOLDERS)), "set", "who")
    own = (pl.col("supplier") == pl.col("sender_id")) & (pl.col("who") == "BY")
    base = base.with_columns(site_set_nad=pl.when(own).then("sender_id").otherwise("site_set_nad"))
    told = (f"site_{scope}_{name}" for scope in ("own", "line", "set") for name in ("loc", "nad"))
    return base.with_columns(site_id=pl.coalesce(*told, "sender_id"))


def _reported_on(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """position_date: the day behind the quantity, else of its item, else of the message."""
    found = having(dtm(view), "kind", *_AS_OF, "50")
    base = attach(base, header(found), "set", "day", suffix="_set")
    if lines(found).is_empty():
        return base.with_columns(position_date="day_set")
    # A reference, a price and a package have days of their own.
    when = lines(having(dtm(view.relined(("LIN", "QTY", "CPS", "RFF", "PRI"), _ENDS)), "kind", *_AS_OF))
    base = attach(attach(base, when.rename({"line": "own"}), "own", "day"), when, "line", "day", suffix="_line")
    return base.with_columns(position_date=pl.coalesce("day", "day_line", "day_set"))


def inventory(view: View, sender: pl.DataFrame) -> list[Typed]:
    """INVRPT to inventory positions: one row per QTY of a line, without those that say what is in its packages.

    LOC, NAD and DTM behind a QTY are its own, before the first they are the item's.

    Args:
        view: messages; lines opened by LIN.
        sender: set and sender_id, the site of last resort.

    Source: UN/EDIFACT INVRPT, D.96A to D.21A: groups of LIN, QTY (INV) and CPS.
    """
    qty, silent = _counted(view.relined(("LIN",), (*_ENDS, "CPS")))
    base = pl.concat([qty.with_columns(own="row"), silent], how="diagonal")
    base = _held_at(base, view.relined(("LIN", "QTY", "CPS"), _ENDS), sender)
    base = attach(base, lin_items(view), "line", "item_id", "item_gtin")
    base = _reported_on(base, view)
    on_hand = pl.col("kind").is_in(["145", "17"])
    other = pl.when(on_hand).then(pl.col("stock").replace_strict(UNSALEABLE, default=None, return_dtype=pl.String))
    code = pl.coalesce(other, pl.col("kind").replace(COUNTED))
    base = base.with_columns(
        quantity_code=pl.when(pl.col("kind").is_null()).then(pl.lit("17")).otherwise(code),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    at, negative = {"quantity": 1, "item_id": 3}, pl.col("quantity_code") != "17"
    typed = finish(RAW_EDI_INVENTORY_POSITIONS, base, at, standard="EDIFACT", may_be_negative=negative)
    return [withdrawn(typed, opening(view), EDIFACT_PURPOSES, "BGM 1225")]
