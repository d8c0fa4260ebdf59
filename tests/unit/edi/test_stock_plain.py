"""Stock reports (846, INVRPT) beside a plain walk of their segments: random ones, with the liberties that the standards leave.

846: DTM and UIT behind a QTY are in its loop, those before the first QTY in that of the item; N1 stands behind the quantities and is in the
loop of the item. INVRPT: LOC, NAD and DTM behind a QTY are in its group, those before the first in that of LIN; what follows CPS is packages.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from aios_assets.edi import read_documents
from tests.unit.edi.make import edifact, facts_of_each, frame, x12

Row = tuple[Any, ...]
COLUMNS = ("site_id", "item_id", "quantity_code", "quantity", "unit_code", "position_date")
X12_SITES = ("WH", "RL", "ST", "SN", "DC", "SF", "BY", "SU", "RS", "BS")
X12_DAYS = ("184", "007", "091", "097", "009", "405", "140", "090")
PLACES, HOLDERS = ("162", "14", "18", "7", "198"), ("WH", "ST", "DP", "SN", "GY", "BY", "GM", "SE", "LSP", "DS")
DAYS = ("366", "91", "356", "194", "90", "137", "7")
# 6063 and, of what is on hand, 7491 to X12 673.
KINDS, STOCKS = {"145": "17", "17": "17", "191": "A5"}, {"2": "74", "5": "QH", "10": "37", "11": "37"}


def best(segments: list[list[str]], tag: str, codes: tuple[str, ...], place: int) -> str | None:
    """The value of the segment whose qualifier ranks first, of equals the first."""
    found = [(codes.index(s[1]), n, s[place]) for n, s in enumerate(segments) if s[0] == tag and s[1] in codes]
    return min(found)[2] if found else None


def cut(segments: list[list[str]], *tags: str) -> list[list[list[str]]]:
    """Segments in stretches, each but the first begun by one of the tags."""
    out: list[list[list[str]]] = [[]]
    for s in segments:
        if s[0] in tags:
            out.append([])
        out[-1].append(s)
    return out


def read_846(body: tuple[str, ...]) -> list[Row]:
    head, *items = cut([s.split("*") for s in body], "LIN")
    # What a seller reports is his, not the buyer's.
    holders = tuple(who for who in X12_SITES if who != "BY" or head[0][2] != "SI")
    site, day = best(head, "N1", holders, 4), best(head, "DTM", X12_DAYS, 2)
    rows = []
    for found in items:
        own, *quantities = cut(found, "QTY")
        days = [best(q, "DTM", X12_DAYS, 2) for q in quantities]
        unit = next((s[1] for s in own if s[0] == "UIT"), None)
        places = [best(q, "N1", holders, 4) for q in [own, *quantities]]
        for n, (q, when) in enumerate(zip(quantities, days, strict=True)):
            # One day behind the last quantity stood in the loop of the item up to 003020.
            late = days[-1] if sum(d is not None for d in days) == 1 else None
            units = [q[0][3] if len(q[0]) > 3 else "", next((s[1] for s in q if s[0] == "UIT"), ""), unit, "EA"]
            around = [p for p in places[: n + 1][::-1] if p], [p for p in places[n + 1 :] if p]
            near = (around[0] + around[1]) if places[0] else (around[1] + around[0])
            rows.append(
                (
                    (near or [site or "SENDER"])[0],
                    own[0][3],
                    q[0][1],
                    float(q[0][2]),
                    next(u for u in units if u),
                    when or best(own, "DTM", X12_DAYS, 2) or late or day or head[0][4],
                )
            )
    return rows


def an_846(draw: random.Random) -> tuple[str, ...]:
    def parties(chance: float) -> list[str]:
        return [
            f"N1*{draw.choice([*X12_SITES, 'SE', 'MF'])}*X*92*P{draw.randrange(9)}"
            for _ in range(draw.choice([1, 2]) if draw.random() < chance else 0)
        ]

    def days(chance: float) -> list[str]:
        kinds = [*X12_DAYS, "017", "371", "050"]
        return [
            f"DTM*{draw.choice(kinds)}*202602{draw.randrange(10, 28)}"
            for _ in range(2 if draw.random() < chance else 0)
        ]

    body = [
        f"BIA*00*{draw.choice(['DD', 'SI'])}*R{draw.randrange(9)}*202601{draw.randrange(10, 28)}",
        *days(0.5),
        *parties(0.7),
    ]
    form = draw.choice(["standard", "standard", "leads", "trails"])
    for item in range(draw.randrange(1, 5)):
        body += [f"LIN**IN*I{item}", *days(0.2), *(["UIT*CA"] if draw.random() < 0.3 else [])]
        for _ in range(draw.randrange(1, 4)):
            body += parties(1.0) if form == "leads" else []
            body.append(
                f"QTY*{draw.choice(['17', '33', 'QH', '20', '63'])}*{draw.randrange(99)}{draw.choice(['', '*EA', '*CA'])}"
            )
            body += [*(["UIT*DZ"] if draw.random() < 0.3 else []), *days(0.3)]
            body += parties(1.0) if form == "trails" else []
        body += parties(0.6) if form == "standard" else []
    return tuple(body)


def read_invrpt(body: tuple[str, ...]) -> list[Row]:
    segments = [[e.split(":")[0] for e in s.split("+")] for s in body]
    whole = [s.split("+") for s in body]
    for cells, full in zip(segments, whole, strict=True):
        if cells[0] in ("DTM", "QTY"):
            cells[1:] = full[1].split(":")
    head, *items = cut(segments, "LIN")
    supplier = best(head, "NAD", ("SU", "SE"), 2)

    def site(found: list[list[str]]) -> str | None:
        return best(found, "LOC", PLACES, 2) or best(found, "NAD", HOLDERS, 2)

    def day(found: list[list[str]]) -> str | None:
        return best(cut(found, "RFF", "PRI")[0], "DTM", DAYS, 2)

    rows = []
    for found in items:
        counted = cut(found, "CPS")[0]
        own, *quantities = cut(counted, "QTY")
        leads = any(s[0] == "INV" for s in own)
        for n, q in enumerate(quantities):
            stretch = ([own, *quantities][n]) if leads else q
            inv = next((s for s in (stretch[::-1] if leads else stretch) if s[0] == "INV"), ["INV", "", ""])
            kind, number = q[0][1], float(q[0][2])
            code = STOCKS.get(inv[2], KINDS[kind]) if kind in ("145", "17") else KINDS.get(kind, kind)
            number = -number if kind == "191" and inv[1] == "1" else number
            unit = q[0][3] if len(q[0]) > 3 else "EA"
            whose = min((HOLDERS.index(s[1]) for s in head if s[0] == "NAD" and s[1] in HOLDERS), default=-1)
            named = best(head, "LOC", PLACES, 2) or (
                "SENDER" if HOLDERS[whose] == "BY" and supplier == "SENDER" else site(head)
            )
            place = site(q) or site(own) or named or "SENDER"
            when = day(q) or day(own) or day(head)
            rows.append((place, own[0][3], code, number, unit, when))
    return rows


def an_invrpt(draw: random.Random) -> tuple[str, ...]:
    def places(chance: float) -> list[str]:
        one = [
            f"LOC+{draw.choice([*PLACES, '11'])}+L{draw.randrange(9)}::92",
            f"NAD+{draw.choice([*HOLDERS, 'SU', 'MR'])}+N{draw.randrange(9)}::9",
        ]
        return draw.sample(one, draw.choice([1, 2])) if draw.random() < chance else []

    def days(chance: float) -> list[str]:
        return (
            [f"DTM+{draw.choice([*DAYS, '36', '17'])}:202602{draw.randrange(10, 28)}:102"]
            if draw.random() < chance
            else []
        )

    leads = draw.random() < 0.5
    seller = ["NAD+BY+N8::9", f"NAD+SU+{draw.choice(['SENDER', 'N9'])}::9"] if draw.random() < 0.3 else []
    body = ["BGM+35+R1+9", f"DTM+137:202601{draw.randrange(10, 28)}:102", *days(0.3), *(seller or places(0.7))]
    for item in range(draw.randrange(1, 5)):
        body += [f"LIN+{item + 1}++I{item}:IN", *places(0.3), *days(0.3)]
        body += ["RFF+AEN:1", "DTM+366:20260301:102"] if draw.random() < 0.3 else []
        for _ in range(draw.randrange(1, 4)):
            inv = [f"INV+{draw.choice(['1', '2', ''])}+{draw.choice(['1', '2', '3', '4', '5', '10'])}"]
            inv = inv if leads or draw.random() < 0.5 else []
            qty = [
                f"QTY+{draw.choice(['145', '17', '191', '198', '156'])}:{draw.randrange(1, 99)}{draw.choice(['', ':PCE', ':CA'])}"
            ]
            body += (inv + qty) if leads else (qty + inv)
            body += [*days(0.3), *places(0.4)]
            body += ["PRI+AAA:5", "DTM+7:20260302:102"] if draw.random() < 0.2 else []
        body += (
            ["CPS+1", "PAC+4", "QTY+145:7", "LOC+14+INSIDE", "PCI+33E", "DTM+366:20260303:102"]
            if draw.random() < 0.3
            else []
        )
    return tuple(body)


@pytest.mark.parametrize("window", [400, 1 << 20])
@pytest.mark.parametrize("standard", ["X12", "EDIFACT"])
def test_every_quantity_has_the_site_unit_and_day_that_the_standard_gives_it(standard: str, window: int) -> None:
    write, read = (an_846, read_846) if standard == "X12" else (an_invrpt, read_invrpt)
    bodies = [write(random.Random(seed)) for seed in range(200 if window > 400 else 30)]
    contents = [
        x12("846", *b, control=n + 1) if standard == "X12" else edifact("INVRPT", *b, control=f"{n}")
        for n, b in enumerate(bodies)
    ]
    facts = facts_of_each("raw_edi__inventory_positions", contents, window)
    assert sum(own.height for own in facts) > 2 * len(bodies)
    for seed, (body, own) in enumerate(zip(bodies, facts, strict=True)):
        assert own.select(COLUMNS).rows() == read(body), (seed, body)


def test_846_stores_take_the_place_of_the_quantity_they_add_up_to() -> None:
    head = ("BIA*00*DD*R1*20260105", "N1*WH*X*92*W1", "LIN**IN*A", "SDQ*CA*92*S1*3*S2*4")
    batch = read_documents(frame(x12("846", *head, "QTY*33*9*EA", "QTY*17*7*CA")))
    rows = (
        batch.facts["raw_edi__inventory_positions"].select("site_id", "quantity_code", "quantity", "unit_code").rows()
    )
    assert sorted(rows) == [("S1", "17", 3.0, "CA"), ("S2", "17", 4.0, "CA"), ("W1", "33", 9.0, "EA")]
    told = read_documents(frame(x12("846", *head, "QTY*17*9*CA")))
    assert told.facts["raw_edi__inventory_positions"].select("site_id", "quantity").rows() == [("W1", 9.0)]
    assert told.rejects["segment_text"].to_list() == [head[-1]] * 2


@pytest.mark.parametrize(
    "content",
    [
        x12("846", "BIA*01*DD*R1*20260105", "LIN**IN*A", "QTY*17*7*EA"),
        edifact("INVRPT", "BGM+35+R1+1", "DTM+137:20260105:102", "LIN+1++A:IN", "QTY+145:7"),
    ],
)
def test_a_report_that_cancels_counts_nothing_until_a_person_releases_it(content: bytes) -> None:
    batch = read_documents(frame(content))
    assert batch.facts["raw_edi__inventory_positions"].is_empty()
    assert batch.rejects["error_code"].to_list() == ["cancelled"]
    released = batch.rejects.select("document_id", "interchange_no", "set_no", "segment_no")
    assert read_documents(frame(content), releases=released).counts["facts"] == 1
