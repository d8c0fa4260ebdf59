"""EDIFACT call-offs to facts: DELFOR and DELJIT.

Source: UN/EDIFACT DELFOR and DELJIT, D.96A to D.21A. A DELFOR lists its delivery points, each with its items (from D.97A behind GIS), or its
items, each with delivery points (NAD) and what goes there. A DELJIT lists sequences (SEQ), each with its items. SCC stands behind its quantity
(DELJIT, DELFOR of D.96A) or before the quantities of which it tells (DELFOR from D.97A).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_DELIVERY_SCHEDULES
from aios_assets.edi.edifact_orders import dtm, lin_items, opening, parties, references
from aios_assets.edi.tokens import Ints
from aios_assets.edi.typing_rules import Typed, finish, with_number
from aios_assets.edi.view import Rows32, View, attach, beside, having, header, lined, lines
from aios_assets.edi.whole_orders import EDIFACT_CANCELS, EDIFACT_INFORMS, EDIFACT_REPLACES, informing, says

# 2005 of what is wanted, the best first; a horizon (158) is that of the message and no wanted day of an item.
_WANTED = ("2", "64", "63", "10", "69", "76", "17", "61", "194")
# Last days of what begins with the first (2005).
_SPANS = {"64": "63", "194": "206"}
# 6063 of what is not called off: what was delivered, received or cancelled before, and cumulated quantities of it; what packages hold and the least
# or most there may be; stock. They repeat what other messages say, or limit what this one asks for.
_NOT_WANTED = (
    "3", "70", "71", "72", "74", "75", "78", "79", "132", "133", "134", "136", "137", "138", "139", "140", "141", "150", "173", "174", "186", "204",
    "261", "12", "46", "48", "117", "169", "190", "194", "195", "196", "85", "182", "183", "32", "33", "52", "53", "54", "59", "164", "165", "17",
    "60", "97", "98", "145", "146", "197",
)  # fmt: skip
_SITES = ("CN", "DP", "ST", "BY")
_ORDERS = ("ON", "BO")
_ENDS = ("UNH", "UNS", "CNT", "UNT")
_GROUPS = ("GIS", "GEI")
# What in an item has days and references of its own; PAC does in a DELFOR, a DELJIT has it among the segments of the item.
_DATED = ("LIN", "QTY", "RFF", "TDT", "QVR", "DOC", "NAD", "PRI")
_REFERRED = ("LIN", "QTY", "TDT", "QVR", "NAD")
GROUPING = (*_GROUPS, "SEQ", "NAD")
_NO_ROWS: Rows32 = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class _Parted:
    """Call-offs of which every segment knows its item and its group of items.

    Attributes:
        view: lines opened by LIN, ended by what opens a group.
        group: row of the segment that opened the group of each segment, -1 in the header.
        opens: rows that open a group.
        code: the message type.
    """

    view: View
    group: Rows32
    opens: Rows32
    code: str

    def loops(self, *tags: str, also: Rows32 | None = None) -> View:
        """The messages by these loops; what stands in none, be it in a group or in the header, has no line."""
        bounds = self.opens if also is None else np.union1d(self.opens, also).astype(np.int32)
        tags = (*tags, "PAC") if self.code == "DELFOR" else tags
        return self.view.relined(tags, _ENDS, also=bounds)

    def grouped(self, found: pl.DataFrame) -> pl.DataFrame:
        """Picked segments with the group that they stand in."""
        at = np.searchsorted(self.view.rows, found["row"].to_numpy())
        return found.with_columns(group=pl.Series(self.group[at], dtype=pl.Int32))

    def around(self, base: pl.DataFrame, found: pl.DataFrame, name: str) -> pl.DataFrame:
        """Add what stands in no loop: that of the group of a line as `name`_group, that of the header as `name`_head."""
        outside = self.grouped(header(found).filter(pl.col(name).is_not_null()))
        base = attach(base, outside.filter(pl.col("group") >= 0), "group", name, suffix="_group")
        return attach(base, outside.filter(pl.col("group") < 0), "set", name, suffix="_head")


def _parted(view: View, code: str) -> _Parted:
    opens = np.zeros(len(view.rows), dtype=np.bool_)
    starts = np.zeros(len(view.rows), dtype=np.bool_)
    for at in (view.where(*_GROUPS), _sequences(view), _delivery_points(view)):
        opens[at] = True
    starts[view.where("UNH", "CNT", "UNT")] = True
    rows = view.rows[opens].astype(np.int32)
    return _Parted(view.relined(("LIN",), _ENDS, also=rows), lined(view.rows, opens, starts), rows, code)


def _sequences(view: View) -> Ints:
    """Places of the SEQ that items follow; some partners write SEQ into the item, before each of its quantities."""
    at, marks = view.where("SEQ"), view.where("LIN", "QTY", "UNS", "UNT")
    if not len(at) or not len(marks):
        return at[:0]
    follows = marks[np.minimum(np.searchsorted(marks, at), len(marks) - 1)]
    return at[np.isin(follows, view.where("LIN"))]


def _delivery_points(view: View) -> Ints:
    """Places of the NAD that items follow (DELFOR of D.96A): all behind UNS, where one stands between it and the first item."""
    at = view.where("NAD")
    firsts = {tag: _first_of_set(view, tag) for tag in ("UNS", "LIN")}
    behind = at[at > firsts["UNS"][at]]
    leads = np.unique(view.sets[behind[behind < firsts["LIN"][behind]]])
    leads = np.setdiff1d(leads, view.sets[view.where(*_GROUPS)])
    return behind[np.isin(view.sets[behind], leads)]


def _first_of_set(view: View, tag: str) -> Ints:
    """Of every segment, where the first segment with a tag stands in its set; behind all where there is none."""
    at = view.where(tag)
    first = np.full(int(view.sets.max(initial=-1)) + 1, len(view.rows), dtype=np.int64)
    first[view.sets[at][::-1]] = at[::-1]
    return first[view.sets]


def schedules(view: View, code: str) -> list[Typed]:
    """DELFOR and DELJIT to delivery schedules: one row per QTY that asks for goods.

    Args:
        view: messages of one type.
        code: the message type.
    """
    parted = _parted(view, code)
    own = parted.view
    base = parted.grouped(_called_off(parted)).sort("row")
    base, leading = _committed(base, own)
    base = _wanted(base, parted, leading)
    base = attach(base, lin_items(own), "line", "item_id", "item_gtin", "change")
    base = attach(base, opening(own), "set", "number", "purpose")
    base = _ordered(_delivered_to(base, parted), parted)
    issued = having(dtm(parted.loops(*_DATED)), "kind", "137").rename({"day": "issued"})
    base = parted.around(base, issued, "issued")
    base = base.with_columns(
        schedule_id=pl.col("number").fill_null("unnumbered"),
        issued_date=pl.col("issued_head"),
        action_code=_action(),
        unit_code=pl.col("unit_code").fill_null("EA"),
    )
    typed = finish(RAW_EDI_DELIVERY_SCHEDULES, base, {"quantity": 1, "item_id": 3}, standard="EDIFACT")
    return [informing(typed, opening(own), EDIFACT_INFORMS, "BGM 1225")]


def _called_off(parted: _Parted) -> pl.DataFrame:
    """Quantities of items that ask for goods, with `own`, the row of each; those of packages only where the item has no other."""
    base = lines(parted.view.pick("QTY", kind=(1, 1), quantity=(1, 2), unit_code=(1, 3)))
    base = base.filter(~pl.col("kind").is_in(list(_NOT_WANTED)).fill_null(value=False)).with_columns(own="row")
    packs = parted.view.places("PAC") if parted.code == "DELFOR" else base.clear()
    if packs.height:
        around = parted.loops("LIN", "NAD", "SCC").places("QTY").select("row", at="line")
        packed = (pl.col("at").is_in(packs["row"].implode())).fill_null(value=False)
        base = base.join(around, on="row", how="left", maintain_order="left")
        base = base.filter(~packed | packed.all().over("line")).drop("at")
    return with_number(base, "quantity")


def _action() -> pl.Expr:
    """1225 of the message, and 1229 of the line where that deletes it."""
    return pl.coalesce(
        says("purpose", "cancel", *EDIFACT_CANCELS),
        says("change", "delete", "2"),
        says("purpose", "change", "4"),
        says("purpose", "replace", *EDIFACT_REPLACES),
        pl.lit("new"),
    )


def _committed(base: pl.DataFrame, view: View) -> tuple[pl.DataFrame, Rows32]:
    """Add commitment_code and period_code of the SCC of each quantity; and the rows of those SCC that stand before their quantities.

    In an item SCC stands behind its quantity where each follows one at once, and one of them is not followed by one.
    """
    names = ("commitment_code", "period_code")
    scc = lines(view.pick("SCC", commitment_code=1, period_code=(3, 1))).drop("set").rename({"row": "scc"}).sort("scc")
    if scc.is_empty():
        return base.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in names), _NO_ROWS
    at, counts = np.searchsorted(view.rows, scc["scc"].to_numpy()), view.where("QTY")
    scc = scc.with_columns(follows=pl.Series(np.isin(at - 1, counts)), leads=pl.Series(np.isin(at + 1, counts)))
    scc = scc.with_columns(is_behind=(pl.col("follows").all() & ~pl.col("leads").all()).over("line"))
    before, behind = beside(base, scc, "row", "scc")
    # A delivery point of an item has SCC of its own.
    points = lines(having(parties(view), "who", *_SITES)).select("line", point="row").sort("point")
    point, _ = beside(base, points, "row", "point")
    is_before = ~before["is_behind"] & (before["scc"] > point["point"].fill_null(-1))
    is_behind = behind["is_behind"] & (behind["scc"] == base["row"] + 1)
    base = base.with_columns(
        pl.when(is_before.fill_null(value=False)).then(before[n]).when(is_behind.fill_null(value=False)).then(behind[n]).alias(n)
        for n in names
    )  # fmt: skip
    return base, scc.filter(~pl.col("is_behind"))["scc"].to_numpy()


def _wanted(base: pl.DataFrame, parted: _Parted, leading: Rows32) -> pl.DataFrame:
    """wanted_date and until_date: behind the quantity, else of its item, else of its sequence, else of the message."""
    found = dtm(parted.loops(*_DATED, also=leading)).filter(pl.col("day").is_not_null())
    first = having(found, "kind", *_WANTED)
    for kind, last in _SPANS.items():
        first = attach(first, lines(having(found, "kind", last)), "line", "day", suffix="_last")
        until = pl.coalesce("until", pl.when(pl.col("kind") == kind).then("day_last"))
        first = first.with_columns(until=until).drop("day_last")
    base = attach(base, lines(first).rename({"line": "own"}), "own", "day", "until", suffix="_own")
    base = attach(base, lines(first), "line", "day", "until", suffix="_item")
    # Of the message and a sequence, days of the horizon begin what it tells, not what is wanted.
    base = parted.around(base, first.filter(pl.col("kind") != "194"), "day")
    return base.with_columns(
        wanted_date=pl.coalesce("day_own", "day_item", "day_group", "day_head"),
        until_date=pl.when(pl.col("day_own").is_not_null()).then("until_own").otherwise("until_item"),
    )


def _delivered_to(base: pl.DataFrame, parted: _Parted) -> pl.DataFrame:
    """ship_to_site_id: the delivery point behind which the quantity stands, else that of its item, of its group, of the message."""
    found = having(parties(parted.view), "who", *_SITES).filter(pl.col("party").is_not_null())
    base = parted.around(base, found, "party")
    inside = lines(found)
    if inside.is_empty():
        return base.with_columns(ship_to_site_id=pl.coalesce("party_group", "party_head"))
    points = inside.select("line", point="row", site="party").sort("point")
    point, _ = beside(base, points, "row", "point")
    base = base.with_columns(point["site"])
    # A delivery point behind all quantities is that of the item.
    split = base.filter(pl.col("site").is_not_null())["line"].unique()
    base = attach(base, inside.filter(~pl.col("line").is_in(split.implode())), "line", "party", suffix="_item")
    return base.with_columns(ship_to_site_id=pl.coalesce("site", "party_item", "party_group", "party_head"))


def _ordered(base: pl.DataFrame, parted: _Parted) -> pl.DataFrame:
    """order_number: what the quantity, else its item, its group or the message refers to."""
    found = having(references(parted.loops(*_REFERRED)), "kind", *_ORDERS).filter(pl.col("value").is_not_null())
    base = attach(base, lines(found).rename({"line": "own"}), "own", "value", suffix="_own")
    base = attach(base, lines(found), "line", "value", suffix="_item")
    base = parted.around(base, found, "value")
    return base.with_columns(order_number=pl.coalesce("value_own", "value_item", "value_group", "value_head"))
