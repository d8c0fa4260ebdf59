"""Packages and places of a DESADV or RECADV: what is said behind CPS, PCI and LOC, and which line it is about.

LIN stands in the group of its CPS. What follows CPS up to the next LIN tells of packages: of those of the lines that follow, and of no line
before. QTY behind PCI is what the packages marked so hold of a line, QTY behind LOC what of it goes to that place.

Source: UN/EDIFACT DESADV and RECADV, D.96A to D.21A; EANCOM, notes on CPS, PCI and LOC.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from aios_assets.edi.typing_rules import read_number, with_number
from aios_assets.edi.view import At, View, attach, having, header, lines
from aios_assets.edi.words import say

ENDS = ("UNH", "UNS", "CNT", "UNT", "CPS")
# 6063 of what is despatched: 12 despatched, 46 delivered, 1 discrete, 113 to be delivered. What was ordered (21) was not shipped by that.
_SENT = ("12", "46", "1", "113")
_STORE = "7"
_PARTS = ("PCI", "LOC", "DGS", "SGP")
# Of a line of an order: packages, places, deliveries, allowances and equipment have quantities of their own.
ORDERED = ("PAC", "PCI", "LOC", "SCC", "ALC", "EQD")
_NEAR = 1e-6


def of_message(found: pl.DataFrame, view: View) -> pl.DataFrame:
    """Rows before the first CPS of their message."""
    first = view.places("CPS").unique("set", keep="first", maintain_order=True).select("set", cps="row")
    found = attach(header(found), first, "set", "cps")
    return found.filter(pl.col("cps").is_null() | (pl.col("row") < pl.col("cps").cast(pl.Int32))).drop("cps")


def of_package(base: pl.DataFrame, found: pl.DataFrame, view: View, value: str) -> pl.DataFrame:
    """Add `value` as `packed`: the first that stands behind the CPS of the line and before its lines; above the first lines also outer CPS.

    Args:
        base: LIN rows.
        found: row, set, line and `value` of segments of any place.
        view: messages; lines opened by LIN and closed by CPS.
        value: column of `found`.
    """
    inside = header(found).filter(pl.col(value).is_not_null())
    inside = inside.join(of_message(inside, view).select("row"), on="row", how="anti", maintain_order="left")
    cps = view.places("CPS").select("set", "row", cps="row").sort("row")
    if inside.is_empty():
        return base.with_columns(packed=pl.lit(None, dtype=pl.String))
    base, inside = (
        frame.sort("row").join_asof(cps, on="row", by="set", strategy="backward", check_sortedness=False)
        for frame in (base, inside)
    )
    base = attach(base, inside.filter(pl.col("cps").is_not_null()), "cps", value, suffix="_packed")
    lowest = base.group_by("set").agg(lowest=pl.col("cps").min())
    outer = inside.join(lowest, on="set", how="inner", maintain_order="left").filter(pl.col("cps") < pl.col("lowest"))
    base = attach(base, outer, "set", value, suffix="_outer").drop("cps")
    return base.with_columns(packed=pl.coalesce(f"{value}_packed", f"{value}_outer"))


def grouped(view: View, tag: str, parts: tuple[str, ...] = _PARTS, **at: At) -> pl.DataFrame:
    """Segments of lines with `at`, the LIN, PCI, LOC … (`parts`) that they stand behind, and `line`."""
    if not len(view.where(*parts)):
        return lines(view.pick(tag, **at)).with_columns(at="line")
    found = lines(view.relined(("LIN", *parts), ENDS).pick(tag, **at)).rename({"line": "at"})
    line = view.line[np.searchsorted(view.rows, found["row"].to_numpy())]
    # What stands behind a place of the header belongs to no line.
    return lines(found.with_columns(line=pl.Series(line, dtype=pl.Int32)))


def grouped_quantities(view: View, parts: tuple[str, ...] = _PARTS) -> pl.DataFrame:
    """QTY of lines as of `grouped`, with kind (6063), quantity and unit_code."""
    return with_number(grouped(view, "QTY", parts, kind=(1, 1), quantity=(1, 2), unit_code=(1, 3)), "quantity")


def direct(counted: pl.DataFrame, view: View, tags: tuple[str, ...] = ("PCI", "LOC")) -> pl.DataFrame:
    """Quantities of the line itself; where it has none, each kind that its marked packages or its places have (`tags`), added up."""
    if not len(view.where(*tags)):
        return counted.filter(pl.col("at") == pl.col("line"))
    own = counted.filter(pl.col("at") == pl.col("line"))
    parts = pl.concat([view.places(tag).select(at="row", tag=pl.lit(tag)) for tag in tags])
    parted = counted.join(parts, on="at", how="inner", maintain_order="left")
    parted = parted.filter(~pl.col("line").is_in(own["line"].implode()))
    number = read_number(pl.col("quantity"))
    # A quantity that cannot be read, or a second unit, leaves none, which sets the line aside.
    total = pl.when(number.is_not_null().all() & (pl.col("unit_code").n_unique() == 1)).then(number.sum())
    summed = parted.group_by("line", "tag", "kind", maintain_order=True).agg(
        pl.col("row", "set", "unit_code").first(),
        quantity=pl.when(pl.len() == 1).then(pl.col("quantity").first()).otherwise(total.cast(pl.String)),
    )
    return pl.concat([own, summed.drop("tag")], how="diagonal").sort("row")


def despatched(
    base: pl.DataFrame, view: View, kinds: tuple[str, ...] = _SENT, parts: tuple[str, ...] = _PARTS
) -> pl.DataFrame:
    """Add quantity, unit_code and `store` to LIN rows: one row per place where LOC and QTY split the line, and one of what is left.

    `disputed` says of a line why it stays whole: its places add up to more, or are in another unit.

    Args:
        base: LIN rows.
        view: messages; lines opened by LIN.
        kinds: 6063 of the quantity, the best first.
        parts: what in a line has quantities of its own.
    """
    counted = grouped_quantities(view, parts)
    summed = direct(counted, view, ("SCC", "LOC") if "SCC" in parts else ("PCI", "LOC"))
    base = attach(base, having(summed, "kind", *kinds), "line", "quantity", "unit_code")
    base = base.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in ("store", "disputed"))
    if not len(view.where("LOC")):
        return base
    places = view.pick("LOC", who=1, store=(2, 1)).filter((pl.col("who") == _STORE) & pl.col("store").is_not_null())
    given = having(counted, "kind", "11", *kinds).unique("at", keep="first", maintain_order=True)
    given = given.join(places.select("store", at="row"), on="at", how="inner", maintain_order="left").sort("row")
    return split_by_place(base, given.with_columns(line_no=pl.lit(1, dtype=pl.Int32))) if given.height else base


def split_by_place(base: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Replace each line by one row per place, and one of what is left; one that its places do not fit stays whole, with why in `disputed`.

    Args:
        base: lines with row, line, quantity, unit_code, store and disputed (both null).
        given: row, line, line_no, store, quantity and unit_code of each place.
    """
    base = base.with_columns(line_no=pl.lit(1, dtype=pl.Int32))
    amount = read_number(pl.col("quantity"))
    total = given.group_by("line").agg(
        summed=pl.when(amount.is_not_null().all()).then(amount.sum()),
        unit=pl.when(pl.col("unit_code").n_unique() == 1).then(pl.col("unit_code").first().fill_null("EA")),
        given=pl.len(),
    )
    base = base.join(total, on="line", how="left", maintain_order="left")
    near = pl.max_horizontal(amount.abs(), 1.0) * _NEAR
    same = pl.col("unit") == pl.col("unit_code").fill_null(pl.col("unit"))
    fits = pl.col("quantity").is_null() | (same & (amount - pl.col("summed") >= -near))
    left = amount - pl.col("summed")
    base = base.with_columns(
        is_split=(fits & pl.col("summed").is_not_null()).fill_null(value=False),
        left=pl.when(left.abs() > near).then(left),
    )
    words = say(
        "the line says {}, its places differ: release it to take what the line says",
        pl.col("quantity").fill_null("nothing"),
    )
    own = base.filter(~pl.col("is_split") | pl.col("left").is_not_null()).with_columns(
        quantity=pl.when("is_split").then(pl.col("left").cast(pl.String)).otherwise("quantity"),
        disputed=pl.when(~pl.col("is_split") & pl.col("given").is_not_null()).then(words),
    )
    stores = base.filter("is_split").rename({"unit_code": "line_unit"}).drop("row", "line_no", "quantity", "store")
    found = given.select("line", "row", "line_no", "quantity", "store", "unit_code")
    stores = stores.join(found, on="line", how="inner", maintain_order="left")
    stores = stores.with_columns(unit_code=pl.coalesce("unit_code", "line_unit"))
    return pl.concat([own, stores.select(own.columns)])
