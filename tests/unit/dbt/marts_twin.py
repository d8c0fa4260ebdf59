"""Demand and stock as docs/marts.md words them, in plain Python: no version, no stretch, only what is known at one instant.

Reads the raw rows of a made-up world (dicts, as tests.seams.dbt_world.World collects them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Key = tuple[str, str, date]
EACHES = {"EA": 1.0, "PCE": 1.0, "DZ": 12.0, "PR": 2.0}
CASES = ("CA", "CS")
ZONE = ZoneInfo("America/New_York")
EARLY = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    """One line that counts, in our names and eaches."""

    rank: tuple[Any, ...]
    known: datetime
    item: str
    site: str
    day: date
    code: str
    quantity: float
    price: float | None = None
    reference: str = ""


@dataclass(frozen=True)
class Master:
    """Item -> (GTIN, pack), site -> GLN, as stated last."""

    items: Mapping[str, tuple[str, int]]
    sites: Mapping[str, str]

    def item(self, row: Row) -> str | None:
        """The item a line names by id, or by a GTIN with or without its leading zeros."""
        for name in (row["item_id"], row["item_gtin"]):
            for item, (gtin, _) in self.items.items():
                if name and (name == item or name.lstrip("0") == gtin.lstrip("0")):
                    return item
        return None

    def site(self, name: str | None) -> str | None:
        """The site that an id or GLN names."""
        return next((site for site, gln in self.sites.items() if name in (site, gln)), None)

    def eaches(self, row: Row, item: str) -> float | None:
        """How many eaches one unit of a line holds."""
        unit = row["unit_code"].strip().upper()
        return float(self.items[item][1]) if unit in CASES else EACHES.get(unit)

    def site_of(self, row: Row, column: str) -> str | None:
        """The site that a column of a line names."""
        return self.site(row[column])

    def pack_at(self, item: str, instant: datetime) -> int:
        """Eaches of a case of which a message of this instant speaks."""
        return self.items[item][1]


def rank(row: Row) -> tuple[Any, ...]:
    """Messages in the order in which they were sent, then by control number, arrival and document."""
    number = row["control_number"]
    return (
        row["sent_at_utc"] or EARLY, int(number) if number.isdigit() else -1, number, row["available_at_utc"],
        row["document_id"], row["interchange_no"], row["set_no"],
    )  # fmt: skip


def counted(rows: Iterable[Row], master: Master, site: str, day: str, code: str, reference: str = "") -> list[Said]:
    """Lines of a raw table that may count; `site`, `day`, `code`, `reference` name its columns."""
    found = []
    for row in rows:
        item, where = master.item(row), master.site_of(row, site)
        factor = None if item is None else master.eaches(row, item)
        if item is None or where is None or factor is None:
            continue
        price = row.get("unit_price") if row.get("currency_code") in (None, "USD") else None
        found.append(
            Said(rank(row), row["available_at_utc"], item, where, row[day], row.get(code, code), row["quantity"] * factor,
                 None if price is None else price / factor, row.get(reference) or "")
        )  # fmt: skip
    return found


@dataclass
class Report:
    """What one message says of one item, site and day."""

    rank: tuple[Any, ...]
    says: dict[str, float]
    price: float | None


class Knowledge:
    """What is known at one instant."""

    def __init__(self, raw: Mapping[str, list[Row]], master: Master, instant: datetime) -> None:
        def lines(name: str, *columns: str) -> list[Said]:
            return [s for s in counted(raw.get(f"raw_edi__{name}", []), master, *columns) if s.known <= instant]

        self.master = master
        self.activity = self._reports(lines("product_activity", "site_id", "activity_date", "activity_code"))
        positions = self._reports(lines("inventory_positions", "site_id", "position_date", "quantity_code"))
        self.counts: dict[Key, list[Report]] = {}
        self.adjusted: dict[Key, float] = {}
        for key, said in positions.items():
            counts = [r for r in said if {"17", "33"} & r.says.keys()]
            only = [r for r in said if r.says.keys() == {"A5"}]
            if counts:
                self.counts[key] = counts
            if only:
                self.adjusted[key] = only[-1].says["A5"]
        self.whole = [w for w in raw.get("raw_edi__whole_notices", []) if w["available_at_utc"] <= instant]
        self.received = self._moves(lines("receipt_lines", "site_id", "received_date", "received", "receipt_id"))
        self.shipped = self._moves(lines("shipment_lines", "ship_from_id", "shipped_date", "shipped", "shipment_id"))
        self.selling = {key[1:] for key, said in self.activity.items() if any("QS" in r.says for r in said)}

    @staticmethod
    def _reports(lines: list[Said]) -> dict[Key, list[Report]]:
        """Reports of each item, site and day, the one sent last at the end; lines of one message add up."""
        found: dict[Key, dict[tuple[Any, ...], Report]] = defaultdict(dict)
        for line in lines:
            if line.code in ("QS", "QA", "QU", "QR", "QT", "17", "33", "A5"):
                report = found[line.item, line.site, line.day].setdefault(line.rank, Report(line.rank, {}, None))
                report.says[line.code] = report.says.get(line.code, 0.0) + line.quantity
                if line.code == "QS" and line.price is not None:
                    report.price = max(report.price or line.price, line.price)
        return {key: [by[r] for r in sorted(by)] for key, by in found.items()}

    def _moves(self, lines: list[Said]) -> dict[Key, float]:
        """Units moved of each item, site and day: of each notice number what was sent last, unless all of it was taken back later."""
        newest: dict[tuple[str, str, str], tuple[Any, ...]] = {}
        for line in lines:
            notice = (line.item, line.site, line.reference)
            newest[notice] = max(newest.get(notice, line.rank), line.rank)
        found: dict[Key, float] = {}
        for line in lines:
            gone = any(
                (w["notice_code"], w["notice_id"], self.master.site(w["party_id"]))
                == (line.code, line.reference, line.site)
                and rank(w) > line.rank
                for w in self.whole
            )
            if newest[line.item, line.site, line.reference] == line.rank and not gone:
                key = (line.item, line.site, line.day)
                found[key] = found.get(key, 0.0) + line.quantity
        return found

    def _day(self, key: Key) -> tuple[list[Report], dict[str, tuple[tuple[Any, ...], float]]]:
        """Reports since the newest that says both sales and close, and each thing said there last, with its rank."""
        said = self.activity.get(key, [])
        whole = max((n for n, r in enumerate(said) if {"QS", "QU"} & r.says.keys() and "QA" in r.says), default=0)
        last = {code: (report.rank, value) for report in said[whole:] for code, value in report.says.items()}
        return said[whole:], last

    def close(self, key: Key) -> float | None:
        """On hand at close: reported or counted, whichever was sent last."""
        said = [((r, 0), value) for code, (r, value) in self._day(key)[1].items() if code == "QA"]
        said += [((r.rank, 1), r.says.get("17", r.says.get("33", 0.0))) for r in self.counts.get(key, [])]
        return max(said)[1] if said else None

    def sold(self, key: Key) -> tuple[float, float, float | None] | None:
        """Sales, returns, price; None where nothing was said of sales."""
        reports, last = self._day(key)
        for report in reversed(reports):
            if {"QS", "QU"} & report.says.keys():
                return report.says.get("QS", 0.0), report.says.get("QU", 0.0), report.price
        if "QA" in last or (key in self.counts and key[1:] in self.selling):
            return 0.0, 0.0, None
        return None

    def demand(self) -> dict[Key, tuple[Any, ...]]:
        """(sales, returns, close, stock-out, price, suspect) of every day of which sales are known."""
        found = {}
        for key in self.activity.keys() | self.counts.keys():
            sold, close = self.sold(key), self.close(key)
            if sold:
                found[key] = (sold[0], sold[1], close, close is not None and close <= 0, sold[2], self.suspect(key))
        return found

    def stock(self) -> dict[Key, tuple[Any, ...]]:
        """(opening, receipts, outbound, adjustments, close, residual, suspect) of every day of which anything is known."""
        keys = (
            self.activity.keys()
            | self.counts.keys()
            | self.adjusted.keys()
            | self.received.keys()
            | self.shipped.keys()
        )
        found = {}
        for key in keys:
            opening, receipts, out, adjusted, close = self._balance(key)
            known = opening is not None and close is not None
            rest = opening + receipts - out + adjusted - close if known else None  # type: ignore[operator]
            found[key] = (opening, receipts, out, adjusted, close, rest, self.suspect(key))
        return found

    def _balance(self, key: Key) -> tuple[float | None, float, float, float, float | None]:
        item, site, day = key
        last = self._day(key)[1]
        sales, returns, _ = self.sold(key) or (0.0, 0.0, None)
        counts = self.counts.get(key, [])
        receipts = last["QR"][1] if "QR" in last else self.received.get(key, 0.0)
        adjusted = (last["QT"][1] if "QT" in last else 0.0) + (counts[-1].says.get("A5", 0.0) if counts else 0.0)
        adjusted += self.adjusted.get(key, 0.0)
        before = self.close((item, site, day - timedelta(days=1)))
        return before, receipts, sales + self.shipped.get(key, 0.0), adjusted + returns, self.close(key)

    def suspect(self, key: Key) -> bool:
        """Whether the balance closes exactly when one quantity, or all of the report, is taken times or divided by the pack."""
        ended = datetime.combine(key[2] + timedelta(days=1), time(), ZONE)
        pack = self.master.pack_at(key[0], ended)
        opening, receipts, out, adjusted, close = self._balance(key)
        if opening is None or close is None or pack <= 1:
            return False
        rest = opening + receipts - out + adjusted - close
        if abs(rest) <= 1e-6:
            return False
        shipped = self.shipped.get(key, 0.0)
        returns = (self.sold(key) or (0.0, 0.0))[1]
        sales = out - shipped
        parts = (-sales, receipts, -shipped, returns, -close, receipts - sales + adjusted - close)
        return any(abs(rest + part * scale - part) <= 1e-6 for part in parts if part for scale in (pack, 1 / pack))
