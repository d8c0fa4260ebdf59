"""Call-offs of blanket orders as docs/marts.md words them, in plain Python: what is known at one instant, message by message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tests.unit.dbt.marts_twin import Row
from tests.unit.dbt.supply_twin import Folded, Line, Names, Said, Supply

PLACING = ("ordered", "changed", "cancelled")
MESSAGES = ("order_lines", "whole_orders", "order_responses", "shipment_lines", "receipt_lines")
NEAR = 1e-9


def release(row: Row) -> str | None:
    """The release a row names, without padding."""
    return (row.get("release_number") or "").strip().lstrip("0") or None


def called(row: Row) -> str:
    return f"{row['order_number']} release {release(row)}" if release(row) else row["order_number"]


class CallOffs(Supply):
    """What is known of orders at one instant, what names a blanket order alone shared among its call-offs."""

    def __init__(self, raw: Mapping[str, list[Row]], names: Names, instant: datetime) -> None:
        every = raw.get("raw_edi__order_lines", [])
        self.blanket = {called(r): r["order_number"] for r in every if release(r)}
        numbers = set(self.blanket.values())
        renamed = {table: list(rows) for table, rows in raw.items()}
        for table in (f"raw_edi__{m}" for m in MESSAGES):
            # A release of a number of which nobody ever called off any says nothing.
            renamed[table] = [
                r | {"order_number": called(r), "sent_number": r["order_number"]}
                if release(r) and r["order_number"] in numbers
                else r | {"sent_number": r["order_number"]}
                for r in raw.get(table, [])
            ]
            self.blanket |= {r["order_number"]: r["sent_number"] for r in renamed[table] if r["order_number"] != r["sent_number"]}  # fmt: skip
        self.bare_whole = [
            r for r in renamed.get("raw_edi__whole_orders", []) if r["order_number"] in numbers and r["available_at_utc"] <= instant
        ]  # fmt: skip
        renamed["raw_edi__whole_orders"] = [
            r for r in renamed["raw_edi__whole_orders"] if r["order_number"] not in numbers
        ]
        known = [r for r in renamed["raw_edi__order_lines"] if r["available_at_utc"] <= instant]
        self.called = {self.blanket[r["order_number"]] for r in known if r["order_number"] in self.blanket}
        self.estimated = {r["order_number"] for r in known if r["order_type_code"] == "BE"}
        self.firm = {r["order_number"] for r in known if r["order_type_code"] == "BK"} & self.called
        renamed["raw_edi__order_lines"] = [r for r in renamed["raw_edi__order_lines"] if self._orders_goods(r)]
        super().__init__(renamed, names, instant)
        self.sent = {(called(r), r["sent_at_utc"]) for r in every}
        for key, said in self._said_of_all().items():
            self.said[key] = sorted([*self.said.get(key, []), *said], key=lambda s: (s.rank, s.place, s.code))
        for number, item in sorted({(self.blanket[o], i) for o, i in self.said if o in self.blanket}):
            self._share(number, item)
        self.today = max((s.known for said in self.said.values() for s in said), default=None)
        self.today = self.today and self.today.date()

    def _orders_goods(self, row: Row) -> bool:
        """Not what only promises: a blanket order, and what changes or cancels the number of one."""
        number = row["order_number"]
        if number in self.blanket:
            return True
        if row["order_type_code"] == "BE" or (row["order_type_code"] == "BK" and number in self.called):
            return False
        return row["action_code"] == "new" or number not in self.estimated | self.firm

    def _said_of_all(self) -> dict[Line, list[Said]]:
        """What names a whole blanket order, of each item that was ordered under it."""
        found: dict[Line, list[Said]] = defaultdict(list)
        for row in self.bare_whole:
            number, cancels = row["order_number"], row["action_code"] == "cancel"
            if cancels and number in self.estimated | self.firm:
                continue
            ordered = {i for o, i in self.said if number in (o, self.blanket.get(o)) and any(s.code == "ordered" or s.code in PLACING for s in self.said[o, i])}  # fmt: skip
            for item in ordered:
                figure = None if row["action_code"] == "accept" else 0.0
                found[number, item].append(self._said(row, "cancelled" if cancels else "confirmed", row["said_date"], quantity=figure))  # fmt: skip
        return found

    def _share(self, number: str, item: str) -> None:
        group = {o: self.said.pop((o, item)) for o, i in list(self.said) if i == item and number in (o, self.blanket.get(o))}  # fmt: skip
        members = {
            o for o, said in group.items() if any(s.code in PLACING and (o != number or s.code == "ordered") for s in said)
        }  # fmt: skip
        spread = Spread(number, members, self)
        for message in messages(group):
            spread.hear(message)
        for order, said in spread.said.items():
            self.said[order, item] = sorted(said, key=lambda s: (s.rank, s.place, s.code))


def messages(group: Mapping[str, list[Said]]) -> Iterable[list[tuple[str, Said]]]:
    """What is said in order; all that one message places of one order together, in the place of its first line."""
    flat = sorted(((o, s) for o, said in group.items() for s in said), key=lambda x: (x[1].rank, x[1].place, x[1].code))
    done: set[int] = set()
    for n, (order, said) in enumerate(flat):
        if n in done:
            continue
        same = [n]
        if said.code in PLACING:
            same = [m for m, (o, s) in enumerate(flat) if o == order and s.rank == said.rank and s.code in PLACING]
        done |= set(same)
        yield [flat[m] for m in same]


@dataclass(frozen=True)
class Room:
    """What a call-off can take at one site."""

    due: float
    ordered: float
    shipped: float
    open: float
    cancelled: bool
    answered: bool


class Spread:
    """The call-offs of one number and item, filled message by message."""

    def __init__(self, number: str, members: set[str], world: CallOffs) -> None:
        self.number, self.members, self.said = number, members, defaultdict[str, list[Said]](list)
        self.world = world

    def age(self, order: str) -> Any:
        """Sent first first, then the lower release."""
        placed = [s for s in self.said[order] if s.code in PLACING]
        name = order.removeprefix(f"{self.number} release ") if order != self.number else ""
        when = min(s.rank for s in placed)[0]
        return (when, not name.isdigit(), int(name) if name.isdigit() else 0, name == "", name)

    def hear(self, message: list[tuple[str, Said]]) -> None:
        order, said = message[0]
        named = order in self.members and (order != self.number or said.code in ("ordered", "changed"))
        if said.code in PLACING and named:
            self.said[order] += [s for _, s in message]
            return
        before = {o: list(said) for o, said in self.said.items()}
        for o, s in message:
            if s.code == "status":
                self._status(o, s)
            elif named:
                self.said[o].append(s)
            else:
                self._match(o, s, before if s.code == "cancelled" else self.said)

    def _status(self, order: str, said: Said) -> None:
        self.said[order].append(said)

    def _rooms(self, heard: list[Said]) -> dict[Any, Room]:
        folded, rooms = Folded(heard, None), {}
        for site, known in folded.sites():
            placed = [folded._at(site, m, names=any(s.site is not None for s in m)) for m in folded.placing]
            answers = folded._answer(site, placed, known.ordered)
            answered = answers[2]
            due = answers[0] if answered and answers[0] is not None else known.ordered
            rooms[site] = Room(due, known.ordered, known.shipped, known.open, known.cancelled, answered)
        return rooms

    def _match(self, order: str, said: Said, heard: Mapping[str, list[Said]]) -> None:
        """Share what names no call-off that we know."""
        rooms = {o: self._rooms(heard[o]) for o in self.members if any(s.code in PLACING for s in heard.get(o, ()))}
        if said.site is not None and any(said.site in r for r in rooms.values()):
            here = {o: r for o, r in rooms.items() if said.site in r}
            rooms = here if said.code in PLACING else {o: {said.site: r[said.site]} for o, r in here.items()}
        oldest = sorted(rooms, key=self.age)
        if not oldest:
            self.said[order].append(said)
            return
        still = [o for o in oldest if any(r.open > 0 for r in rooms[o].values())]
        newest = (still or oldest)[-1]
        for o, quantity in self._parts(said, {o: rooms[o] for o in oldest}, newest):
            self.said[o].append(replace(said, quantity=quantity, site=None if said.code in PLACING else said.site))

    def _parts(self, said: Said, rooms: dict[str, dict[Any, Room]], newest: str) -> list[tuple[str, float | None]]:
        if said.code == "cancelled":
            still = [o for o, at in rooms.items() if sum(r.open for r in at.values()) > 0]
            return [(o, 0.0) for o in still or [newest]]
        if said.code == "changed":
            return [(newest, said.quantity)]
        free = {o: self._free(said, o, list(at.values())) for o, at in rooms.items()}
        if said.quantity is None:
            return [(o, None) for o in [o for o in rooms if free[o] > 0] or [newest]]
        if said.quantity <= 0:
            first = next((o for o in rooms if free[o] > 0), newest) if said.code == "confirmed" else newest
            return [(first, said.quantity)]
        left, parts = said.quantity, dict.fromkeys(rooms, 0.0)
        for o in rooms:
            parts[o] = min(left, free[o])
            left -= parts[o]
        parts[newest] += left
        return [(o, q) for o, q in parts.items() if q > NEAR]

    def _free(self, said: Said, order: str, rooms: list[Room]) -> float:
        standing = [r for r in rooms if not r.cancelled]
        if said.code == "shipped":
            return sum(max(r.due - r.shipped, 0.0) for r in standing)
        if said.code in ("received", "refused"):
            return sum(r.open for r in rooms)
        own = [s.quantity or 0.0 for s in self.said[order] if s.code == "confirmed" and s.rank == said.rank]
        if own:
            return max(sum(r.ordered for r in standing) - sum(own), 0.0)
        return sum(r.ordered for r in standing if not r.answered and r.open > 0)
