"""Orders as docs/marts.md words them, in plain Python: no version, no stretch, only what is known at one instant.

Reads the raw rows of a made-up world (dicts, as tests.seams.dbt_world.World collects them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.unit.dbt.marts_twin import Master, Row, rank

Rank = tuple[Any, ...]
Line = tuple[str, str]
Site = str | None
REFUSED = ("IR", "ID", "R1", "R2", "R3", "R4", "R5", "R6")
ANOTHER_ORDER_DAYS = 270


@dataclass(frozen=True)
class Names(Master):
    """Items and sites as stated last, and supplier -> GLN; sites come before suppliers."""

    suppliers: Mapping[str, str]

    def party(self, name: str | None) -> str | None:
        """Our name of a party, or its own."""
        for known in (self.sites, self.suppliers):
            for party, gln in known.items():
                if name in (party, gln):
                    return party
        return name


@dataclass(frozen=True)
class Said:
    """One thing that one message says of one order line; `quantity` None: no figure."""

    rank: Rank
    known: datetime
    place: tuple[int, int]
    code: str
    day: date
    site: Site = None
    quantity: float | None = None
    expected: date | None = None
    source: str | None = None
    price: float | None = None
    number: str | None = None
    carrier: str | None = None
    order_line: str | None = None


@dataclass
class Known:
    """What stands of one order line for one site."""

    ordered: float
    confirmed: float | None
    shipped: float
    received: float
    refused: float
    open: float
    cancelled: bool
    source: str | None
    price: float | None
    dates: dict[str, date | None] = field(default_factory=dict)

    def row(self) -> tuple[Any, ...]:
        """Figures as the mart orders them."""
        return (self.ordered, self.confirmed, self.shipped, self.received, self.refused, self.open, self.cancelled, self.source,
                self.price, *self.dates.values())  # fmt: skip


class Supply:
    """What is known of orders at one instant."""

    def __init__(self, raw: Mapping[str, list[Row]], names: Names, instant: datetime) -> None:
        self.names = names
        self.raw = {k: [r for r in v if r["available_at_utc"] <= instant] for k, v in raw.items()}
        self.notices = list(self._lines("shipment_lines"))
        self.advices = list(self._lines("receipt_lines"))
        self.whole = self.raw.get("raw_edi__whole_notices", [])
        self.said: dict[Line, list[Said]] = defaultdict(list)
        self.placed: dict[str, dict[date, datetime]] = defaultdict(dict)
        for row, _, _ in self._lines("order_lines"):
            if row["action_code"] == "new":
                days, known = self.placed[row["order_number"]], row["available_at_utc"]
                days[row["order_date"]] = min(days.get(row["order_date"], known), known)
        for gather in (
            self._orders,
            self._answers,
            self._shipments,
            self._receipts,
            self._store_receipts,
            self._statuses,
        ):
            for (order, item), said in gather():
                if order is not None:
                    name, begun = self._named(order, said.day)
                    self.said[name, item].append(replace(said, known=max(said.known, begun or said.known)))
        self.said = {key: sorted(said, key=lambda s: (s.rank, s.place, s.code)) for key, said in self.said.items()}
        known = [s.known for said in self.said.values() for s in said]
        self.today = max(known).date() if known else None

    def _named(self, order: str, day: date) -> tuple[str, datetime | None]:
        """The order that a number means on a day: dated 270 days after the one before it is another one; and when that was known."""
        days = self.placed.get(order, {})
        begun = [
            (b, max(days[a], days[b]))
            for a, b in pairwise(sorted(days))
            if (b - a).days > ANOTHER_ORDER_DAYS and b <= day
        ]
        return (f"{order} of {begun[-1][0]}", begun[-1][1]) if begun else (order, None)

    def _lines(self, table: str) -> Iterable[tuple[Row, str, float]]:
        """Lines that count: the row, our item, eaches."""
        for row in self.raw.get(f"raw_edi__{table}", []):
            item = self.names.item(row)
            factor = self.names.eaches(row, item) if item else None
            if item and factor:
                yield row, item, factor

    def _said(self, row: Row, code: str, day: date, **more: Any) -> Said:
        known = more.pop("known", None) or row["available_at_utc"]
        return Said(rank(row), known, (row["segment_no"], row["line_no"]), code, day, **more)

    def _orders(self) -> Iterable[tuple[tuple[str, str], Said]]:
        first: dict[tuple[str, str], datetime] = {}
        sellers: dict[tuple[str, str], set[str | None]] = defaultdict(set)
        for row, item, factor in self._lines("order_lines"):
            key, action = (row["order_number"], item), row["action_code"]
            seller = row["seller_id"] or (None if row["set_code"] == "orders" else row["receiver_id"])
            sellers[key].add(self.names.party(seller))
            first[key] = min(first.get(key, row["available_at_utc"]), row["available_at_utc"])
            code = {"new": "ordered", "change": "changed"}.get(action, "cancelled")
            site = row["ship_to_site_id"] or (row["buyer_id"] if action == "new" else None)
            dollars = row.get("unit_price") is not None and row.get("currency_code") in (None, "USD")
            yield key, self._said(
                row, code, row["order_date"], site=self.names.party(site), expected=row["requested_date"],
                quantity=0.0 if code == "cancelled" else row["quantity"] * factor, source=self.names.party(seller),
                price=row["unit_price"] / factor if dollars else None, order_line=row["order_line"],
            )  # fmt: skip
        for row in self.raw.get("raw_edi__whole_orders", []):
            if row["action_code"] == "replace":
                for key, known in self._taken_back(row).items():
                    yield key, self._said(row, "cancelled", row["said_date"], quantity=0.0, known=known)
                continue
            cancels = row["action_code"] == "cancel"
            teller = self.names.party(row["seller_id"] or (None if cancels else row["sender_id"]))
            lines = {key for key in first if key[0] == row["order_number"]}
            # Of a number given to two suppliers each speaks of his own.
            lines = {key for key in lines if teller is not None and teller in sellers[key]} or lines
            for key in sorted(lines):
                code, figure = (
                    ("cancelled" if cancels else "confirmed"),
                    None if row["action_code"] == "accept" else 0.0,
                )
                known = max(first[key], row["available_at_utc"])
                yield key, self._said(row, code, row["said_date"], quantity=figure, known=known)

    def _taken_back(self, whole: Row) -> dict[tuple[str, str], datetime]:
        """Lines that its sender had ordered under the number before and that it does not list, and since when that is known."""
        listed = {self.names.item(r) for r in self.raw["raw_edi__order_lines"] if rank(r) == rank(whole)}
        gone: dict[tuple[str, str], datetime] = {}
        for row, item, _ in self._lines("order_lines"):
            mine = row["order_number"] == whole["order_number"] and row["sender_id"] == whole["sender_id"]
            if mine and rank(row) < rank(whole) and item not in listed:
                key, known = (row["order_number"], item), max(row["available_at_utc"], whole["available_at_utc"])
                gone[key] = min(gone.get(key, known), known)
        return gone

    def _answers(self) -> Iterable[tuple[tuple[str, str], Said]]:
        for row, item, factor in self._lines("order_responses"):
            quantity = 0.0 if row["response_code"] in REFUSED else row["quantity"] * factor
            said = self._said(row, "confirmed", row["response_date"], quantity=quantity, expected=row["promised_date"])
            yield (row["order_number"], item), said

    def _newest(
        self, lines: Iterable[tuple[Row, str, float]], number: Callable[[Row], Any], instant: datetime | None = None
    ) -> list[tuple[Row, str, float]]:
        """Of each notice number and item what was sent last; a notice without a number replaces none.

        What a later message takes back whole, or replaces whole and does not list, stands no more.
        """
        rows = list(lines)
        last: dict[Any, Rank] = {}

        def key(row: Row, item: str) -> Any:
            return item, number(row) or ("unnumbered", rank(row))

        for row, item, _ in rows:
            last[key(row, item)] = max(last.get(key(row, item), rank(row)), rank(row))
        newest = [(row, item, factor) for row, item, factor in rows if rank(row) == last[key(row, item)]]
        whole = [w for w in self.whole if instant is None or w["available_at_utc"] <= instant]
        return [(row, *rest) for row, *rest in newest if not any(self._takes_back(w, row, number(row)) for w in whole)]  # type: ignore[misc]

    def _takes_back(self, whole: Row, row: Row, number: Any) -> bool:
        """Whether a message about a whole notice was sent after this line of it; one that names no party speaks of its sender's."""
        code = "shipped" if "shipment_id" in row and "receipt_id" not in row else "received"
        if not number or (whole["notice_code"], whole["notice_id"]) != (code, number[0]) or rank(whole) <= rank(row):
            return False
        if whole["party_id"] is None:
            return self.names.party(whole["sender_id"]) == self.names.party(row["sender_id"])
        return self.names.party(whole["party_id"]) == number[1]

    def _shipper(self, row: Row) -> str | None:
        return self.names.party(row["ship_from_id"] or row["sender_id"])

    def _sent(self) -> list[tuple[Row, str, float]]:
        """Shipment lines that stand."""
        return self._newest(self.notices, lambda r: r["shipment_id"] and (r["shipment_id"], self._shipper(r)))

    def _shipments(self) -> Iterable[tuple[tuple[str, str], Said]]:
        for row, item, factor in self._sent():
            # Of what is none nothing was shipped.
            if row["quantity"] != 0:
                yield (row["order_number"], item), self._said(
                row, "shipped", row["shipped_date"], site=self.names.party(row["ship_to_site_id"]), number=row["shipment_id"],
                quantity=row["quantity"] * factor, expected=row["expected_date"], carrier=row["carrier_id"],
                )  # fmt: skip

    def _first_notice(
        self, number: str, item: str, site: Site = None, order: str | None = None
    ) -> list[tuple[Row, float]]:
        """Lines of the notice of a shipment that stood first: of those to the site where one goes there, else of all."""
        stood = self._stood(lambda r: r["shipment_id"] == number and (number, self._shipper(r)))
        lines = [(r, q) for r, i, q in stood if i == item and r["order_number"] and order in (None, r["order_number"])]
        there = [(r, q) for r, q in lines if site is not None and self.names.party(r["ship_to_site_id"]) == site]
        best = there or lines
        first = min(((r["available_at_utc"], rank(r)) for r, _ in best), default=None)
        return [(r, q) for r, q in best if (r["available_at_utc"], rank(r)) == first]

    def _stood(self, number: Callable[[Row], Any]) -> list[tuple[Row, str, float]]:
        """Shipment lines that were the newest of their number at some moment, in eaches."""
        found = []
        for instant in sorted({r["available_at_utc"] for r, _, _ in self.notices}):
            known = [n for n in self.notices if number(n[0]) and n[0]["available_at_utc"] <= instant]
            found += [
                (r, i, r["quantity"] * f)
                for r, i, f in self._newest(known, number, instant)
                if r["available_at_utc"] == instant
            ]
        return found

    def _received_at(self, row: Row) -> Site:
        return self.names.party(row["site_id"] or row["sender_id"])

    def _receipts(self) -> Iterable[tuple[tuple[str, str], Said]]:
        stands = self._newest(
            self.advices, lambda r: r["receipt_id"].strip() and (r["receipt_id"].strip(), self._received_at(r))
        )
        for row, item, factor in stands:
            site, quantity, refused = (
                self._received_at(row),
                row["quantity"] * factor,
                (row.get("rejected_quantity") or 0.0) * factor,
            )
            shares = [(row["order_number"], 1.0, row["available_at_utc"])]
            if row["order_number"] is None:
                notice = self._first_notice(row["shipment_id"], item, site) if row["shipment_id"] else []
                whole = sum(q for _, q in notice)
                shares = [
                    (r["order_number"], q / whole if whole else 1 / len(notice), r["available_at_utc"])
                    for r, q in notice
                ]
            for order, share, known in shares:
                # Of what was refused altogether, or never came, nothing was received.
                for code, units in {"received": quantity, "refused": refused}.items():
                    if units > 0:
                        yield (order, item), self._said(
                            row, code, row["received_date"], site=site, quantity=units * share, number=row["receipt_id"],
                            known=max(known, row["available_at_utc"]),
                        )  # fmt: skip

    def _statuses(self) -> Iterable[tuple[tuple[str, str], Said]]:
        for row in self.raw.get("raw_edi__shipment_statuses", []):
            for item in self.names.items:
                of_number = [r for r, i, _ in self.notices if i == item and r["shipment_id"] == row["shipment_id"]]
                for order in sorted({r["order_number"] for r in of_number if r["order_number"]}):
                    own = [r for r, _ in self._first_notice(row["shipment_id"], item, order=order)]
                    if not own:  # overtaken on its way: never stood
                        continue
                    sites = {self.names.party(r["ship_to_site_id"]) for r in own}
                    yield (order, item), self._said(
                        row, "status", row["status_at_utc"].date(), expected=row["estimated_date"],
                        site=sites.pop() if len(sites) == 1 else None, known=max(row["available_at_utc"], own[0]["available_at_utc"]),
                    )  # fmt: skip

    def _store_receipts(self) -> Iterable[tuple[tuple[str, str], Said]]:
        """QR of an 852 uses up what was shipped to the store, oldest first; nothing from the day on which a site advises receipts."""
        advised: dict[Site, date] = {}
        for row in self.raw.get("raw_edi__receipt_lines", []):
            site = self._received_at(row)
            advised[site] = min(advised.get(site, row["received_date"]), row["received_date"])
        newest: dict[tuple[str, Site, date], tuple[Rank, list[tuple[Row, float]]]] = {}
        for row, item, factor in self._lines("product_activity"):
            key = (item, self.names.party(row["site_id"]), row["activity_date"])
            full = row["activity_code"] in ("QS", "QU", "QA") and self._is_full(row)
            if row["activity_code"] != "QR" and not full:
                continue
            said = newest.get(key)
            if said is None or rank(row) > said[0]:
                newest[key] = said = (rank(row), [])
            if rank(row) == said[0] and row["activity_code"] == "QR":
                said[1].append((row, row["quantity"] * factor))
        flows: dict[tuple[str, Site], list[tuple[Any, ...]]] = defaultdict(list)
        for row, item, factor in self._sent():
            units, site = row["quantity"] * factor, self.names.party(row["ship_to_site_id"])
            if row["order_number"] and site is not None:
                place = (row["shipped_date"], 0, rank(row), (row["segment_no"], row["order_number"]))
                flows[item, site].append((*place, units, row))
        for (item, site, day), (told, rows) in newest.items():
            total = sum(q for _, q in rows)
            if total > 0 and not (site in advised and day >= advised[site]):
                flows[item, site].append((day, 1, told, (), total, rows[0][0]))
        for (item, site), flow in flows.items():
            yield from self._used_up(item, site, sorted(flow, key=lambda f: f[:4]))

    def _is_full(self, row: Row) -> bool:
        codes = {
            r["activity_code"]
            for r in self.raw["raw_edi__product_activity"]
            if rank(r) == rank(row) and self.names.item(r) == self.names.item(row)
            and r["activity_date"] == row["activity_date"] and self.names.party(r["site_id"]) == self.names.party(row["site_id"])
        }  # fmt: skip
        return bool({"QS", "QU"} & codes) and "QA" in codes

    def _used_up(self, item: str, site: Site, flow: list[tuple[Any, ...]]) -> Iterable[tuple[tuple[str, str], Said]]:
        shelf: list[list[Any]] = []
        for day, kind, _, place, units, row in flow:
            if kind == 0:
                shelf.append([place[1], units, row])
                continue
            for held in shelf:
                used = min(held[1], units)
                if used > 0:
                    held[1], units = held[1] - used, units - used
                    yield (held[0], item), self._said(
                        row, "received", day, site=site, quantity=used, number=f"QR {day}",
                        known=max(row["available_at_utc"], held[2]["available_at_utc"]),
                    )  # fmt: skip

    def lines(self) -> dict[tuple[str, str, Site], Known]:
        """Every line that anything was ordered of, by order, item and site."""
        found = {}
        for (order, item), said in self.said.items():
            for site, known in Folded(said, self.today).sites():
                found[order, item, site] = known
        return found


class Folded:
    """One order line, folded message by message."""

    def __init__(self, said: list[Said], today: date | None) -> None:
        self.today = today
        self.placing = in_messages(s for s in said if s.code in ("ordered", "changed", "cancelled"))
        self.heard = [s for s in said if s.code not in ("ordered", "changed", "cancelled")]
        split: dict[Site, float] = {}
        every: set[Site] = set()
        for message in self.placing:
            if any(s.site is not None for s in message):
                here: dict[Site, float] = defaultdict(float)
                for s in message:
                    here[s.site] += s.quantity or 0.0
                every |= here.keys()
                split = here if sum(here.values()) > 0 else split
        self.every: list[Site] = sorted(every, key=lambda s: s or "") or [None]
        whole = sum(split.values())
        self.share = {s: split.get(s, 0.0) / whole if whole else 1 / len(self.every) for s in self.every}

    def _at(self, site: Site, said: Iterable[Said], *, names: bool | None = None) -> list[tuple[Said, float]]:
        """What is said of a site, with the part of the quantity that is its own."""
        found = []
        for s in said:
            placed = names if names is not None else s.site is not None and s.site in self.every
            part = float(s.site == site) if placed else self.share[site]
            if part > 0:
                found.append((s, part))
        return found

    def sites(self) -> Iterable[tuple[Site, Known]]:
        if not self.placing:
            return
        for site in self.every:
            yield site, self._site(site)

    def _site(self, site: Site) -> Known:
        placed = [self._at(site, message, names=any(s.site is not None for s in message)) for message in self.placing]
        last = placed[-1]
        ordered = sum((s.quantity or 0.0) * part for s, part in last)
        cancelled = not last or all(s.code == "cancelled" for s, _ in last)
        flat = [s for message in placed for s, _ in message]
        confirmed, promised, counts = self._answer(site, placed, ordered)
        moved = self._at(site, (s for s in self.heard if s.code in ("shipped", "received", "refused")))
        shipped = [(s, part) for s, part in moved if s.code == "shipped"]
        received = [(s, part) for s, part in moved if s.code == "received"]
        sent = sum((s.quantity or 0.0) * part for s, part in shipped)
        got = sum((s.quantity or 0.0) * part for s, part in received)
        refused = sum((s.quantity or 0.0) * part for s, part in moved if s.code == "refused")
        estimates = [s for s, _ in self._at(site, self.heard) if s.code in ("shipped", "status") and s.expected]
        expected = estimates[-1].expected if estimates else None
        due = max(confirmed if counts and confirmed is not None else ordered, sent)
        signs = [s.day for s, _ in moved] + [d for d in (promised, expected) if d]
        forgotten = (
            got + refused > 0 and signs and self.today is not None and self.today > max(signs) + timedelta(days=14)
        )
        # What was sent after the order was cancelled comes all the same.
        after = sum((s.quantity or 0.0) * part for s, part in shipped if s.rank > self.placing[-1][0].rank)
        coming = min(after, sent - got - refused) if cancelled else due - got - refused
        rest = 0.0 if forgotten else max(coming, 0.0)
        everything = [s for message in self.placing for s in message]
        dates = {
            "order": min(
                [s.day for s in flat if s.code == "ordered"]
                or [s.day for s in everything if s.code == "ordered"]
                or [s.day for s in flat]
            ),
            "requested": _newest(flat, "expected") or _newest(everything, "expected"),
            "promised": promised,
            "expected": expected,
            "shipped": min((s.day for s, _ in shipped), default=None),
            "received": min((s.day for s, _ in received), default=None),
        }
        source = _newest(flat, "source") or _newest(everything, "source")
        price = _newest(flat, "price")
        price = _newest(everything, "price") if price is None else price
        return Known(ordered, confirmed, sent, got, refused, rest, cancelled, source, price, dates)

    def _answer(
        self, site: Site, placed: list[list[tuple[Said, float]]], ordered: float
    ) -> tuple[float | None, date | None, bool]:
        """Confirmed, promised, and whether the answer counts: it does unless what it answers was changed afterwards."""
        answers = self._at(site, (s for s in self.heard if s.code == "confirmed"))
        if not answers:
            return None, None, False
        newest = answers[-1][0].rank
        said = [(s, part) for s, part in answers if s.rank == newest]
        figures = [s.quantity * part for s, part in said if s.quantity is not None]
        promised = max((s.expected for s, _ in said if s.expected), default=None) or _newest(
            [s for s, _ in answers], "expected"
        )
        stated = [m for m in placed if m]
        changed = [m for m in stated if m[0][0].rank > newest and any(s.code != "ordered" for s, _ in m)]
        for before, after in pairwise(stated):
            totals = [sum((s.quantity or 0.0) * part for s, part in m) for m in (before, after)]
            if after[0][0].rank > newest and abs(totals[0] - totals[1]) > 1e-9:
                changed.append(after)
        return (sum(figures) if figures else None if changed else ordered), promised, not changed


def in_messages(said: Iterable[Said]) -> list[list[Said]]:
    by_rank: dict[Rank, list[Said]] = defaultdict(list)
    for s in said:
        by_rank[s.rank].append(s)
    return [by_rank[r] for r in sorted(by_rank)]


def _newest(said: list[Said], what: str) -> Any:
    stated = [v for s in said if (v := getattr(s, what)) is not None]
    return stated[-1] if stated else None
