"""Where an order line stands, against a walk through the messages in plain words: random conversations that arrive in any order."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.reconcile import PACKS, REFUSES, order_findings, order_state
from tests.unit.edi.make import frame, x12

START = datetime(2026, 1, 5, tzinfo=UTC)
ORDERS, ITEMS = ("P1", "P2"), ("A", "B")
CODES = ("IA", "IA", "IQ", "IB", "IR", "ID", "R1", "IP")
UNITS = {"EA": 1, "DZ": 12}
Line = tuple[str, str]


@dataclass(frozen=True)
class Message:
    """One message: when it was sent and came to be known, and rows of (order, item or None for all, what, quantity)."""

    code: str
    sent: datetime
    known: datetime
    name: str
    rows: tuple[tuple[str, str | None, str, int], ...]

    @property
    def came(self) -> tuple[datetime, datetime]:
        return self.known, self.sent


def _lines(dice: random.Random) -> list[tuple[str, int, str, int]]:
    """Item, quantity in pieces, unit, quantity in it, for one or two lines; an item may stand on both."""
    out = []
    for _ in range(dice.randint(1, 2)):
        unit, quantity = dice.choice(list(UNITS)), dice.randint(1, 4)
        out.append((dice.choice(ITEMS), quantity * UNITS[unit], unit, quantity))
    return out


def _draw(dice: random.Random) -> tuple[str, str, list[tuple[str, str | None, str, int]], list[str]]:
    """Type, number, rows, and the segments that say so."""
    kind, order = (
        dice.choice(["850", "860", "cancel", "855", "855", "accept", "refuse", "856", "856", "810"]),
        dice.choice(ORDERS),
    )
    lines = _lines(dice)
    if kind == "850":
        rows = [(order, i, "new", n) for i, n, _, _ in lines]
        return (
            kind,
            "",
            list(rows),
            [
                f"BEG*00*SA*{order}**20260101",
                *(f"PO1*{k}*{q}*{u}*2**IN*{i}" for k, (i, _, u, q) in enumerate(lines, 1)),
            ],
        )
    if kind == "860":
        acts = [dice.choice(["change", "delete"]) for _ in lines]
        said = [
            f"POC*{k}*{'DI' if a == 'delete' else 'CA'}*{q}*{q}*{u}*2**IN*{i}"
            for k, ((i, _, u, q), a) in enumerate(zip(lines, acts, strict=True), 1)
        ]
        return (
            kind,
            "",
            [(order, i, a, n) for (i, n, _, _), a in zip(lines, acts, strict=True)],
            [f"BCH*04*SA*{order}***20260102", *said],
        )
    if kind == "cancel":
        return "860", "", [(order, None, "cancel", 0)], [f"BCH*01*SA*{order}***20260102"]
    if kind == "855":
        codes = [dice.choice(CODES) for _ in lines]
        said = [
            f"PO1*{k}*{q}*{u}***IN*{i}~ACK*{c}*{q}*{u}"
            for k, ((i, _, u, q), c) in enumerate(zip(lines, codes, strict=True), 1)
        ]
        return (
            kind,
            "",
            [(order, i, c, n) for (i, n, _, _), c in zip(lines, codes, strict=True)],
            [f"BAK*00*AC*{order}*20260101", *"~".join(said).split("~")],
        )
    if kind in ("accept", "refuse"):
        return "855", "", [(order, None, kind, 0)], [f"BAK*00*{'AK' if kind == 'accept' else 'RJ'}*{order}*20260101"]
    if kind == "810":
        number = dice.choice(["V1", "V2"])
        said = [f"IT1*{k}*{q}*{u}*2**IN*{i}" for k, (i, _, u, q) in enumerate(lines, 1)]
        return (
            kind,
            number,
            [(order, i, "", n) for i, n, _, _ in lines],
            [f"BIG*20260101*{number}**{order}", *said, "TDS*1"],
        )
    number, body = dice.choice(["H1", "H2", "H3"]), []
    for k, (i, _, u, q) in enumerate(lines, 1):
        body += [f"HL*{2 * k}*1*O", f"PRF*{order}", f"HL*{2 * k + 1}*{2 * k}*I", f"LIN**IN*{i}", f"SN1**{q}*{u}"]
    return (
        kind,
        number,
        [(order, i, "", n) for i, n, _, _ in lines],
        [f"BSN*00*{number}*20260101*1200", "HL*1**S", *body],
    )


def conversation(seed: int) -> tuple[list[Message], list[bytes]]:
    dice, out, contents = random.Random(seed), [], []
    for nth in range(1, dice.randint(3, 16)):
        sent = START + timedelta(minutes=10 * nth)
        code, name, rows, body = _draw(dice)
        known = sent + timedelta(minutes=dice.choice([1, 1, 2, 35]), seconds=nth)
        out.append(Message(code, sent, known, name, tuple(rows)))
        content = x12(code, *body, control=nth, sender="US" if code in ("850", "860") else "SUP")
        contents.append(content.replace(b"260101*1200*U", f"{sent:%y%m%d*%H%M}*U".encode(), 1))
    return out, contents


def expected(messages: list[Message]) -> dict[Line, dict[str, Any]]:
    """The model: for each line what its own messages say, one after the other as they were sent."""
    orders = {(o, i) for m in messages if m.code in ("850", "860") for o, i, _, _ in m.rows if i}
    if not orders:
        return {}
    # A notice sent again under its number says where the goods go now; of what it said before nothing stands.
    standing = {(m.name, i): m for m in messages if m.code == "856" for _, i, _, _ in m.rows}
    named = {(o, i) for (_, item), m in standing.items() for o, i, _, _ in m.rows if i == item}
    lines = orders | named | {(o, i) for m in messages if m.code != "856" for o, i, _, _ in m.rows if i}
    return {line: _line(line, [m for m in messages if _speaks(m, line, orders)], messages) for line in lines}


def _speaks(m: Message, line: Line, orders: set[Line]) -> bool:
    return any(o == line[0] and (i == line[1] or (i is None and line in orders)) for o, i, _, _ in m.rows)


def _line(line: Line, about: list[Message], every: list[Message]) -> dict[str, Any]:
    def said(m: Message) -> list[tuple[str, int]]:
        return [(w, n) for o, i, w, n in m.rows if o == line[0] and i in (line[1], None)]

    ordered, times, cancelled, changed, newest = None, 0, False, None, None
    for m in [m for m in about if m.code in ("850", "860")]:
        total = sum(n for w, n in said(m) if w in ("new", "change"))
        if m.code == "860" or (ordered is not None and total != ordered):
            changed = m.came
        times += m.code == "850"
        ordered, cancelled = total, all(w in ("cancel", "delete") for w, _ in said(m))
    answers = [m for m in about if m.code == "855"]
    confirmed, refused, later, answer = None, False, 0, None
    for m in answers:
        codes, answer = said(m), m.came
        takes = [n for w, n in codes if w not in REFUSES and w not in ("accept", "refuse")]
        confirmed = None if codes[0][0] == "accept" else sum(takes)
        refused = any(w in REFUSES or w == "refuse" for w, _ in codes) and not confirmed
        later = sum(n for w, n in codes if w == "IB")
    shipments = [m for m in every if m.code == "856"]
    last = {(m.name, i): m for m in shipments for _, i, _, _ in m.rows}
    stands = any(m in about for (_, i), m in last.items() if i == line[1])
    about_shipments = [m for m in shipments if m in about] if stands else []
    shipped = sum(sum(n for _, n in said(m)) for (_, i), m in last.items() if i == line[1])
    invoices = [m for m in about if m.code == "810"]
    newest = {m.name: m for m in invoices}
    invoiced = sum(sum(n for _, n in said(m)) for m in newest.values()) if invoices else None
    left = cancelled and bool(about_shipments) and changed is not None and changed > about_shipments[0].came
    answered = answer is not None and not (changed is not None and changed > answer)
    wants = ordered
    if left or cancelled:
        wants = shipped if left else 0
    elif answered and confirmed is not None and ordered is not None:
        wants = confirmed
    late = (
        changed is not None
        and bool(answers)
        and changed > answers[0].came
        and not (answer is not None and answer > changed)
    )
    per: dict[str, int] = defaultdict(int)
    for m in invoices:
        per[m.name] += 1
    return {
        "ordered": ordered, "is_cancelled": cancelled, "confirmed": confirmed, "backordered": later, "is_refused": refused,
        "expected": wants, "shipped": shipped, "invoiced": invoiced, "cancelled_after_shipment": left,
        "changed_after_confirm": late and not cancelled, "times_ordered": times, "answered": answered,
        "invoiced_twice": any(n > 1 for n in per.values()), "open_to_answer": answer is None and not cancelled and ordered is not None,
    }  # fmt: skip


def _codes(s: dict[str, Any]) -> list[str]:
    """What is told of a line, from where it stands."""
    if s["ordered"] is None:
        return sorted(["not_ordered", *(["invoiced_twice"] if s["invoiced_twice"] else [])])
    takes = s["answered"] and not s["is_refused"] and not s["is_cancelled"]
    found = {
        "ordered_twice": s["times_ordered"] > 1,
        "not_answered": s["open_to_answer"],
        "line_refused": s["is_refused"],
        "confirmed_short": takes and s["confirmed"] is not None and s["confirmed"] < s["ordered"],
        "backordered": takes and s["backordered"] > 0,
        "changed_after_confirm": s["changed_after_confirm"],
        "cancelled_after_shipment": s["cancelled_after_shipment"],
        "shipped_over": s["shipped"] > s["expected"],
        "shipped_short": s["shipped"] < s["expected"],
        "invoiced_otherwise": s["invoiced"] is not None and s["invoiced"] != s["shipped"],
        "not_invoiced": s["invoiced"] is None and s["shipped"] > 0,
        "invoiced_twice": s["invoiced_twice"],
    }
    return sorted(code for code, when in found.items() if when)


@pytest.mark.parametrize("seeds", range(2))
def test_every_line_stands_where_a_walk_through_the_messages_puts_it(seeds: int) -> None:
    for seed in range(seeds * 25, seeds * 25 + 25):
        messages, contents = conversation(seed)
        batch = read_documents(frame(*contents, when=[m.known for m in messages]))
        assert batch.rejects.is_empty(), batch.rejects["reason"].to_list()
        state = order_state(batch.facts)
        want = expected(messages)
        got = {(r["order_number"], r["item_id"]): r for r in state.iter_rows(named=True)}
        assert got.keys() == want.keys(), seed
        told = order_findings(state)
        for line, model in want.items():
            seen = {name: got[line][name] for name in model}
            seen["times_ordered"] = seen["times_ordered"] or 0
            assert seen == model, (seed, line)
            found = told.filter(order_number=line[0], item_id=line[1])["finding_code"].to_list()
            assert found == _codes(model), (seed, line)


def test_codes_are_those_of_the_marts() -> None:
    def column(name: str, when: str, is_: str) -> set[str]:
        path = Path(__file__).parents[3] / "dbt_project" / "codes" / f"{name}.csv"
        return {next(iter(r.values())) for r in csv.DictReader(path.open()) if r[when] == is_}

    assert column("seed_response_codes", "is_refused", "true") == set(REFUSES)
    assert column("seed_unit_codes", "conversion_code", "pack") == set(PACKS)
