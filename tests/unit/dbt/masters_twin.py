"""Master data as docs/marts.md words it, in plain Python: what a name meant and what a case held when a message was written.

Reads the raw rows of a made-up world (dicts, as tests.seams.dbt_world.World collects them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from operator import itemgetter
from typing import Any

from tests.unit.dbt.marts_twin import CASES, EACHES, ZONE, Master, Row

FEEDS = ("product_activity", "inventory_positions", "order_lines", "order_responses", "shipment_lines", "receipt_lines")
# Columns of a feed that name a party, the one that the line is about first.
PARTIES: dict[str, tuple[str, ...]] = {
    "product_activity": ("site_id",),
    "inventory_positions": ("site_id",),
    "order_lines": ("ship_to_site_id", "buyer_id", "seller_id", "receiver_id"),
    "order_responses": ("seller_id", "sender_id"),
    "shipment_lines": ("ship_from_id", "ship_to_site_id", "sender_id"),
    "receipt_lines": ("site_id", "sender_id"),
}
# Kilograms, litres and metres of one unit, as the treaties and standards define them.
MEASURES = {
    "KGM": ("kg", 1.0), "KG": ("kg", 1.0), "GRM": ("kg", 1e-3), "LB": ("kg", 0.45359237), "LBR": ("kg", 0.45359237), "ONZ": ("kg", 0.45359237 / 16),
    "TNE": ("kg", 1e3), "LTR": ("l", 1.0), "MLT": ("l", 1e-3), "GA": ("l", 231 * 0.254**3), "MTR": ("m", 1.0), "CMT": ("m", 0.01), "YD": ("m", 0.9144),
}  # fmt: skip


def contained(name: str | None) -> str | None:
    """The GTIN of what a GTIN-14 groups, by the check digit as GS1 works it out: from the right, 3 and 1 in turn, up to the next ten."""
    if (
        not name
        or len(name) != 14
        or not name.isdigit()
        or name[0] not in "12345678"
        or check_digit(name[:13]) != name[13]
    ):
        return None
    return "0" + name[1:13] + check_digit("0" + name[1:13])


def check_digit(digits: str) -> str:
    """The check digit of the digits before it."""
    total = sum(int(d) * (3, 1)[n % 2] for n, d in enumerate(reversed(digits)))
    return str(-total % 10)


def written(row: Row) -> datetime:
    """When a message was written: when it was sent, and never after it reached us."""
    sent, came = row["sent_at_utc"], row["available_at_utc"]
    return came if sent is None else min(sent, came)


def order(statement: Row) -> tuple[Any, ...]:
    """Statements in the order in which they reached us."""
    return (statement["available_at_utc"], statement["document_id"], statement["line_no"])


@dataclass(frozen=True)
class Line:
    """What becomes of one line of a message."""

    item: str
    parties: tuple[str | None, ...]
    factor: float | None
    reject: str | None
    is_assumed: bool


class Stated(Master):
    """All statements of items, sites and suppliers that are known."""

    def __init__(self, raw: Mapping[str, list[Row]], instant: datetime | None = None) -> None:
        def known(name: str) -> list[Row]:
            rows = raw.get(f"raw_master__{name}", [])
            return sorted((r for r in rows if instant is None or r["available_at_utc"] <= instant), key=order)

        self.raw, self.instant = raw, instant or datetime.max.replace(tzinfo=UTC)
        self.stated = {name: known(name) for name in ("items", "sites", "suppliers")}
        super().__init__(
            {r["item_id"]: (r["item_gtin"] or "", r["pack_ea"]) for r in self.stated["items"]},
            {r["site_id"]: r["site_gln"] or "" for r in self.stated["sites"]},
        )

    def newest(self, name: str, key: str) -> dict[str, Row]:
        """The statement that came last, by key."""
        return {r[key]: r for r in self.stated[name]}

    def base(self, item: str) -> str | None:
        """The unit an item is counted in, at all times: that of its latest statement; none for pieces."""
        return self.newest("items", "item_id")[item].get("base_unit_code")

    def held(self, item: str, instant: datetime) -> Row:
        """The statement of cases and pieces of which a message of this instant speaks, of those in the unit of the latest."""
        base = self.base(item)
        rows = [r for r in self.stated["items"] if r["item_id"] == item and r.get("base_unit_code") == base]
        held = [r for r in rows if self._since(r) <= instant]
        return held[-1] if held else rows[0]

    def pack_at(self, item: str, instant: datetime) -> int:
        """Eaches of a case of which a message of this instant speaks."""
        return int(self.held(item, instant)["pack_ea"])

    @staticmethod
    def _since(row: Row) -> datetime:
        """A pack holds from when it was stated, or from the day that the statement names, if that is earlier."""
        day: date | None = row.get("pack_from_date")
        stated: datetime = row["available_at_utc"]
        return stated if day is None else min(stated, datetime.combine(day, time(), ZONE))

    @staticmethod
    def _said_last(rows: Iterable[Row], instant: datetime, rank: Callable[[Row], Any]) -> Row | None:
        """Of statements that claim one name the last at an instant, else the first to come; of one moment the lowest rank."""
        known = sorted(rows, key=lambda r: (r["available_at_utc"], rank(r)))
        moments = sorted({r["available_at_utc"] for r in known})
        if not moments:
            return None
        moment = max((m for m in moments if m <= instant), default=moments[0])
        return next(r for r in known if r["available_at_utc"] == moment)

    def item_named(self, name: str | None, instant: datetime) -> str | None:
        """The item that a name meant at an instant."""
        if not name:
            return None
        if name in self.items:
            return name
        claims = [r for r in self.stated["items"] if r["item_gtin"] and r["item_gtin"].lstrip("0") == name.lstrip("0")]
        found = self._said_last(claims, instant, lambda r: (r["item_gtin"] != name, r["item_id"]))
        return found["item_id"] if found else None

    def item(self, row: Row) -> str | None:
        """The item a line names by id, else by GTIN: that of a piece, or of a grouping of it."""
        return self._meant(row)[0]

    def _meant(self, row: Row) -> tuple[str | None, str | None]:
        """The item a line names, and the GTIN-14 of a grouping where it is named by that."""
        when = written(row)
        for name in (row["item_id"], row["item_gtin"]):
            if found := self.item_named(name, when):
                return found, None
            if found := self._grouped(name, when):
                return found, name
        return None, None

    def _grouped(self, name: str | None, instant: datetime) -> str | None:
        """The item of which a GTIN-14 is a grouping, unless some item has that number itself."""
        inner = contained(name)
        stated = any((r["item_gtin"] or "").lstrip("0") == name or r["item_id"] == name for r in self.stated["items"])
        return None if inner is None or stated else self.item_named(inner, instant)

    def _doubted(self, item: str, name: str, known: datetime) -> bool:
        """Whether a GTIN-14 need not be the case that the master knows: it names another, or messages had named a second by then."""
        stated = self.newest("items", "item_id")[item].get("case_gtin")
        if stated:
            return bool(stated != name)
        moments = [r["available_at_utc"] for r in self.stated["items"]]
        first: dict[str, datetime] = {}
        for feed in FEEDS:
            for row in self.raw.get(f"raw_edi__{feed}", []):
                for other in (row["item_id"], row["item_gtin"]):
                    if row["available_at_utc"] <= self.instant and any(
                        self._grouped(other, m) == item for m in [min(moments) - timedelta(1), *moments]
                    ):
                        first[other] = min(first.get(other, row["available_at_utc"]), row["available_at_utc"])
        return len(first) > 1 and sorted(first.values())[1] <= known

    def party_named(self, name: str | None, instant: datetime) -> tuple[str, bool] | None:
        """The site (true) or supplier (false) that a name meant at an instant: sites first, and ids before GLNs."""
        for table, key, gln in (("sites", "site_id", "site_gln"), ("suppliers", "supplier_id", "supplier_gln")):
            if any(r[key] == name for r in self.stated[table]):
                return str(name), table == "sites"
            claims = [r for r in self.stated[table] if name and r[gln] == name]
            if found := self._said_last(claims, instant, itemgetter(key)):
                return str(found[key]), table == "sites"
        return None

    def site_of(self, row: Row, column: str) -> str | None:
        """The site that a column of a line names."""
        found = self.party_named(row[column], written(row))
        return found[0] if found and found[1] else None

    def eaches(self, row: Row, item: str) -> float | None:
        """How many eaches one unit of a line holds; none where nobody can know."""
        unit, held, base = row["unit_code"].strip().upper(), self.held(item, written(row)), self.base(item)
        if unit in MEASURES:
            (kind, amount), (own, each) = MEASURES[unit], MEASURES.get(base or "", ("pieces", 1.0))
            return amount / each if kind == own else None
        if unit not in CASES and unit not in EACHES:
            return None
        _, grouping = self._meant(row)
        if grouping is not None:  # one piece of a grouping is one case
            clear = held["pack_ea"] > 1 and not self._doubted(item, grouping, row["available_at_utc"])
            return held["pack_ea"] * EACHES.get(unit, 1.0) if clear else None
        if unit in CASES:
            return float(held["pack_ea"])
        if base is None:
            return EACHES[unit]
        return EACHES[unit] * held["piece_ea"] if held.get("piece_ea") else None

    def line(self, feed: str, row: Row) -> Line:
        """A line in our names and eaches, and why it may not count."""
        (item, grouping), unit, when = self._meant(row), row["unit_code"].strip().upper(), written(row)
        parties = [self.party_named(row[column], when) for column in PARTIES[feed]]
        factor = self.eaches(row, item) if item else (1.0 if unit in CASES else EACHES.get(unit))
        reject = None
        if self.stated["items"] and item is None:
            reject = "unknown_item"
        elif feed in ("product_activity", "inventory_positions") and self._is_strange(
            row[PARTIES[feed][0]], parties[0]
        ):
            reject = "unknown_site"
        elif factor is None:
            reject = "unknown_pack" if grouping and (unit in CASES or unit in EACHES) else "unknown_unit"
        names = tuple(found[0] if found else row[column] for found, column in zip(parties, PARTIES[feed], strict=True))
        return Line(item or row["item_id"], names, factor, reject, unit in CASES and item is None)

    def _is_strange(self, name: str | None, party: tuple[str, bool] | None) -> bool:
        return name is None or (bool(self.stated["sites"]) and not (party and party[1]))


def dimensions(raw: Mapping[str, list[Row]], instant: datetime) -> dict[str, dict[str, tuple[Any, ...]]]:
    """`dim_item`, `dim_site` and `dim_supplier` as known: who was stated last, and who was only seen in messages, since when."""
    stated = Stated(raw, instant)
    items = {i: _columns(r, ITEM) for i, r in stated.newest("items", "item_id").items()}
    sites = {s: _columns(r, SITE) for s, r in stated.newest("sites", "site_id").items()}
    suppliers = {s: _columns(r, SUPPLIER) for s, r in stated.newest("suppliers", "supplier_id").items()}
    for feed in FEEDS:
        for row in raw.get(f"raw_edi__{feed}", []):
            known = row["available_at_utc"]
            if known > instant:
                continue
            if stated.item(row) is None:
                _see(items, row["item_id"], known, (None, None, 1, *[None] * 6))
            for column in _receiving(feed, row):
                if row[column] is not None and stated.party_named(row[column], written(row)) is None:
                    _see(sites, row[column], known, (None, "store", None, None))
            if feed == "order_lines":
                seller = row["seller_id"] or row["receiver_id"]
                if stated.party_named(seller, written(row)) is None:
                    _see(suppliers, seller, known, (None, None))
    return {"dim_item": items, "dim_site": sites, "dim_supplier": suppliers}


ITEM = ("category_code", "description", "pack_ea", "base_unit_code", "unit_cost_usd", "unit_price_usd", "supplier_id", "shelf_life_days", "introduced_date")  # fmt: skip
SITE = ("site_gln", "site_type", "region_code", "serving_site_id")
SUPPLIER = ("supplier_name", "minimum_order_usd")
DIMENSIONS = {
    "dim_item": ("item_id", ITEM),
    "dim_site": ("site_id", SITE),
    "dim_supplier": ("supplier_id", SUPPLIER),
}


def _columns(row: Row, names: tuple[str, ...]) -> tuple[Any, ...]:
    return (*(row.get(n) for n in names), True, row["available_at_utc"])


def _see(members: dict[str, tuple[Any, ...]], name: str, known: datetime, blank: tuple[Any, ...]) -> None:
    before = members.get(name)
    if before is None or known < before[-1]:
        members[name] = (*blank, False, known)


def _receiving(feed: str, row: Row) -> tuple[str, ...]:
    """The column that says which site a line is about: who orders or receives and names none means his own."""
    if feed in ("product_activity", "inventory_positions"):
        return ("site_id",)
    if feed == "order_lines":
        return ("ship_to_site_id",) if row["ship_to_site_id"] else ("buyer_id",)
    if feed == "receipt_lines":
        return ("site_id",) if row["site_id"] else ("sender_id",)
    return ()
