"""X12 stock documents to facts: 852 (product activity) and 846 (inventory)."""

from __future__ import annotations

import numpy as np
import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_INVENTORY_POSITIONS, RAW_EDI_PRODUCT_ACTIVITY
from aios_assets.edi.price_basis import x12_per_unit
from aios_assets.edi.stores import by_store, differs
from aios_assets.edi.typing_rules import Typed, finish, read_number
from aios_assets.edi.view import View, attach, behind, beside, first_component, having, header, item, lines
from aios_assets.edi.withdrawn import X12_PURPOSES, withdrawn
from aios_assets.edi.x12_orders import dates, parties, with_currency

SITE = ("ST", "RL", "WH", "BY", "SU", "SF", "DC", "SN", "RS", "BS")
# Sold, adjusted, returned and transferred may be net negative; stock on hand or received may not.
NET_ACTIVITIES = ("QS", "QT", "QU", "QZ", "TS", "QO", "QI", "QG", "NS")
NET_POSITIONS = ("02", "33", "QA", "A5", "AV", "QT")
# 236: price on the shelf, price for resale.
_SHELF = {"RTL": 0, "RES": 1}
_DAY = ("405", "371", "007", "097", "090", "091", "009", "017", "050", "371")


def sites(view: View) -> pl.DataFrame:
    """Parties that can be the reporting site, with `site`."""
    return having(parties(view), "who", *SITE).with_columns(site=pl.col("party"))


def current_site(base: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """The last site named before each row of `base` in its set; the header's best where none came since.

    An 852 may name a new reporting location between lines, which then holds until the next.
    """
    base = attach(base, header(found), "set", "site")
    inside = lines(found).select("row", "set", pl.col("site").alias("site_since")).sort("row")
    if inside.is_empty():
        return base
    joined = base.sort("row").join_asof(inside, on="row", by="set", strategy="backward", check_sortedness=False)
    return joined.with_columns(site=pl.coalesce("site_since", "site")).drop("site_since")


def activity(view: View, sender: pl.DataFrame) -> list[Typed]:
    """852 to product activity: one row per ZA, or per store where SDQ splits it.

    Args:
        view: 852 sets; lines opened by LIN.
        sender: set and sender_id, the site of last resort.
    """
    items = item(view.pairs("LIN", first=2))
    za = view.pick("ZA", activity_code=1, quantity=2, unit_code=3, own_kind=4, own_day=5).with_columns(
        line_no=pl.lit(1, dtype=pl.Int32)
    )
    facts = _split_by_store(view, za)
    silent = items.filter(~pl.col("line").is_in(facts["line"].implode())).select(
        "row", "set", "line", line_no=pl.lit(1, dtype=pl.Int32)
    )
    base = pl.concat([facts, silent], how="diagonal")
    base = attach(base, items, "line", "item_id", "item_gtin")
    base = current_site(base, sites(view)).join(sender, on="set", how="left", maintain_order="left")
    price = view.pick("CTP", kind=2, unit_price=3, price_basis=9).filter(pl.col("unit_price").is_not_null())
    # What it sells for goes before what it costs.
    price = price.sort(pl.col("kind").replace_strict(_SHELF, default=len(_SHELF), return_dtype=pl.Int8), "row")
    base = x12_per_unit(attach(base, lines(price), "line", "unit_price", "price_basis"))
    base = with_currency(base, view)
    base = _period(base, view)
    base = base.with_columns(
        # A quantity that SDQ gives to no store is nobody else's either.
        site_id=pl.when(pl.col("amount_at").is_null()).then(pl.coalesce("site", "sender_id")).otherwise("store"),
        unit_code=pl.coalesce("unit_code", pl.lit("EA")),
    )
    base = base.with_columns(quantity_at=pl.coalesce("amount_at", pl.lit(2, dtype=pl.Int32)))
    at: dict[str, int | str] = {"quantity": "quantity_at", "activity_code": 1, "item_id": 3}
    return [
        finish(RAW_EDI_PRODUCT_ACTIVITY, base, at, may_be_negative=pl.col("activity_code").is_in(list(NET_ACTIVITIES)))
    ]


def _split_by_store(view: View, za: pl.DataFrame) -> pl.DataFrame:
    """ZA rows, each replaced by its SDQ stores where it has any: the total would count twice."""
    text = pl.lit(None, dtype=pl.String)
    none = {"store": text, "amount_at": pl.lit(None, dtype=pl.Int32), "stated_quantity": text}
    if not len(view.where("SDQ")):
        return za.with_columns(**none)
    sdq = by_store(view).sort("row", "line_no")
    # Stores that follow no activity of their own item have none: that of the item before is not theirs.
    named = za.rename({"row": "za", "quantity": "stated"}).drop("set", "line_no").sort("za")
    split = sdq.join_asof(named, left_on="row", right_on="za", by="line", strategy="backward", check_sortedness=False)
    split = split.join(_not_their_sum(split), on="za", how="left", maintain_order="left").with_columns(
        quantity=pl.col("amount"), unit_code=pl.coalesce("store_unit", "unit_code")
    )
    whole = za.filter(~pl.col("row").is_in(split["za"].drop_nulls().implode())).with_columns(**none)
    return pl.concat([whole, split.select(whole.columns)])


def _not_their_sum(split: pl.DataFrame) -> pl.DataFrame:
    """za and stated_quantity of activities that, as each of their stores, can be read, in one unit, and that these do not add up to."""
    amount = read_number(pl.col("amount"))
    readable = amount.is_not_null() & pl.col("store_unit").eq(pl.col("unit_code")).fill_null(value=True)
    sums = split.group_by("za").agg(readable.all().alias("readable"), amount.sum(), pl.col("stated").first())
    wrong = pl.col("readable") & differs(read_number(pl.col("stated")), pl.col("amount"))
    return sums.filter(wrong).select("za", stated_quantity="stated")


def _period(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Dates from the activity itself, else XQ, else DTM of the header."""
    base = attach(base, view.pick("XQ", start=2, end=3), "set", "start", "end")
    base = attach(base, header(having(dates(view), "kind", *_DAY)), "set", "day")
    own = pl.when(pl.col("own_kind").is_in(["007", "097", "405", "035"])).then("own_day")
    last = pl.coalesce(own, "end", "start", "day")
    return base.with_columns(
        activity_date=last,
        period_start_date=pl.when(
            own.is_null() & pl.col("end").is_not_null() & (pl.col("start") != pl.col("end"))
        ).then("start"),
    )


# Of an 846 the day it tells of: 184 of the inventory, 091 and 090 end and start of the report. Days of arrival (017, 371, 050) tell of other goods.
_AS_OF = ("184", "007", "091", "097", "009", "405", "140", "090")
_HOLDS = ("WH", "RL", "ST", "SN", "DC", "SF", "BY", "SU", "RS", "BS")
# BIA02 of a seller who reports his own stock to the buyer.
_OF_SELLER = "SI"
_SET_ENDS = ("ST", "CTT", "SE")


def inventory(view: View, sender: pl.DataFrame) -> list[Typed]:
    """846 to inventory positions: one row per QTY of a line, or per store where SDQ splits it.

    DTM and UIT behind a QTY are its own, before the first they are the line's. N1 stands behind the quantities of its item and holds
    for these only.

    Args:
        view: 846 sets; lines opened by LIN.
        sender: set and sender_id, the site of last resort.

    Source: X12 846, 003040 and later: loops LIN, QTY and N1.
    """
    items = item(view.pairs("LIN", first=2))
    inner = view.relined(("LIN", "QTY"), _SET_ENDS)
    qty = _stocked_by_store(view, lines(view.pick("QTY", quantity_code=1, quantity=2, unit_code=3)))
    silent = items.filter(~pl.col("line").is_in(qty["line"].implode())).select("row", "set", "line")
    base = attach(pl.concat([qty, silent], how="diagonal"), items, "line", "item_id", "item_gtin")
    base = _held_at(base, view, inner).join(sender, on="set", how="left", maintain_order="left")
    unit = first_component(inner.pick("UIT", uit=1), "uit")
    base = attach(attach(base, unit.rename({"line": "own"}), "own", "uit"), unit, "line", "uit", suffix="_line")
    base = _counted_on(first_component(base, "unit_code"), view, inner)
    base = base.with_columns(
        site_id=pl.coalesce("store", "site", "sender_id"),
        unit_code=pl.coalesce("store_unit", "unit_code", "uit", "uit_line", pl.lit("EA")),
    )
    at: dict[str, int | str] = {"quantity": "amount_at", "quantity_code": 1, "item_id": 3}
    negative = pl.col("quantity_code").is_in(list(NET_POSITIONS))
    typed = finish(RAW_EDI_INVENTORY_POSITIONS, base, at, may_be_negative=negative)
    return [withdrawn(typed, view.pick("BIA", purpose=1), X12_PURPOSES, "BIA01")]


def _counted_on(base: pl.DataFrame, view: View, inner: View) -> pl.DataFrame:
    """position_date: the day of the quantity itself, else of its item, else of the report."""
    when = having(dates(inner), "kind", *_AS_OF)
    base = attach(behind(base, lines(when), "day"), header(when), "set", "day", suffix="_head")
    base = attach(base, view.pick("BIA", issued=4), "set", "issued")
    return base.with_columns(position_date=pl.coalesce("day", "day_head", "issued"))


def _held_at(base: pl.DataFrame, view: View, inner: View) -> pl.DataFrame:
    """site: the best party behind the quantity or, where parties stand before the quantities, before it; else the header's best."""
    found = having(parties(inner), "who", *_HOLDS).rename({"line": "at", "party": "site"})
    sellers = view.pick("BIA", report=2).filter(pl.col("report") == _OF_SELLER)["set"]
    found = found.filter((pl.col("who") != "BY") | ~pl.col("set").is_in(sellers.implode()))
    base = attach(base, found.filter(pl.col("at") < 0), "set", "site")
    # N1 loops between two quantities are one statement: who reports, who supplies and where the goods are.
    inside = found.filter(pl.col("at") >= 0).unique("at", keep="first", maintain_order=True).sort("at")
    if inside.is_empty():
        return base
    line = pl.Series(view.line[np.searchsorted(view.rows, inside["at"].to_numpy())])
    inside = inside.select("at", "site").with_columns(line=line)
    leads = inside.group_by("line").agg(leads=pl.col("at").min() == pl.col("line").first())
    base = base.join(leads, on="line", how="left", maintain_order="left").sort("own")
    before, after = (side["site"] for side in beside(base, inside, "own", "at"))
    said = pl.when("leads").then(pl.coalesce(before, after)).otherwise(pl.coalesce(after, before))
    return base.with_columns(site=pl.coalesce(said, "site"))


def _stocked_by_store(view: View, qty: pl.DataFrame) -> pl.DataFrame:
    """QTY rows, the one that the stores of its item add up to replaced by them: the total would count twice.

    Stores that add up to none of them do not say what they hold, and are set aside for want of a quantity code.
    """
    qty = qty.with_columns(own="row", line_no=pl.lit(1, dtype=pl.Int32), amount_at=pl.lit(2, dtype=pl.Int32))
    text = pl.lit(None, dtype=pl.String)
    if not len(view.where("SDQ")):
        return qty.with_columns(store=text, store_unit=text)
    sdq = lines(by_store(view))
    total = sdq.group_by("line").agg(summed=read_number(pl.col("amount")).sum())
    said = qty.join(total, on="line", how="inner", maintain_order="left")
    said = said.filter(~differs(read_number(pl.col("quantity")), pl.col("summed"))).unique("line", keep="first")
    split = sdq.join(
        said.select("line", "own", "quantity_code", "unit_code"), on="line", how="left", maintain_order="left"
    )
    split = split.with_columns(pl.coalesce("own", "row"), quantity="amount")
    whole = qty.filter(~pl.col("own").is_in(said["own"].implode())).with_columns(store=text, store_unit=text)
    return pl.concat([whole, split.select(whole.columns)])
