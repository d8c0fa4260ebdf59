"""DESADV and RECADV beside a plain walk of their segments: random messages with packages, marked packages, places and references.

What stands between CPS and its lines tells of the packages of these lines, and of no line before. QTY behind PCI is a part of the line's, QTY behind
LOC what goes there.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.unit.edi.make import edifact, facts_of_each

Row = tuple[Any, ...]
SENT, SENT_TO = ("12", "46", "1", "113"), ("11", "12", "46", "1", "113")
SHIPPED, EXPECTED = ("11", "186", "137"), ("17", "132", "2", "358", "191", "76", "69", "67")
TO, SHIPPER = ("DP", "ST", "UC", "CN", "BY"), ("SF", "PW", "SU", "SE", "CZ", "SH")
SHIPMENT = (
    "item_id",
    "quantity",
    "unit_code",
    "ship_to_site_id",
    "ship_from_id",
    "order_number",
    "shipped_date",
    "expected_date",
)
RECEIPT = ("item_id", "quantity", "rejected_quantity", "site_id", "order_number", "shipment_id", "received_date")


def best(segments: list[list[str]], tag: str, codes: tuple[str, ...]) -> list[str] | None:
    """The segment whose qualifier ranks first, of equals the first."""
    found = [(codes.index(s[1]), n, s) for n, s in enumerate(segments) if s[0] == tag and s[1] in codes]
    return min(found)[2] if found else None


def value(segments: list[list[str]], tag: str, codes: tuple[str, ...]) -> str | None:
    found = best(segments, tag, codes)
    return found[2] if found else None


def cells(segment: str) -> list[str]:
    tag, *elements = segment.split("+")
    return (
        [tag, *elements[0].split(":")] if tag in ("DTM", "QTY", "RFF") else [tag, *(e.split(":")[0] for e in elements)]
    )


def parts(body: tuple[str, ...]) -> tuple[list[list[str]], list[tuple[list[list[str]], list[list[list[str]]]]]]:
    """The header, and for each line what says of its packages and its groups, the first that of LIN itself."""
    head: list[list[str]] = []
    packages: list[list[list[str]]] = []
    found: list[tuple[list[list[str]], list[list[list[str]]]]] = []
    at, outer = head, []
    for s in map(cells, body):
        if s[0] == "CPS":
            if found or not packages:
                at = []
            else:
                outer, at = [*outer, *at], []
            packages.append(at)
        elif s[0] == "LIN":
            found.append(([*packages[-1], *outer] if packages else [], [[]]))
            at = found[-1][1][-1]
        elif s[0] in ("PCI", "LOC") and found and at is found[-1][1][-1]:
            found[-1][1].append([])
            at = found[-1][1][-1]
        at.append(s)
    return head, found


def read_desadv(body: tuple[str, ...]) -> list[Row]:
    head, found = parts(body)
    rows = []
    for package, groups in found:
        own, others = groups[0], groups[1:]
        stated = best(own, "QTY", SENT)
        marked = [best(g, "QTY", SENT) for g in others if g[0][0] == "PCI"]
        total = float(stated[2]) if stated else sum(float(q[2]) for q in marked if q)
        order = next(
            (o for o in (value(p, "RFF", ("ON",)) for p in ([s for g in groups for s in g], package, head)) if o), None
        )
        of_all = [s for g in groups for s in g]
        tail = (
            value(of_all, "NAD", SHIPPER) or value(head, "NAD", SHIPPER),
            order,
            value(head, "DTM", SHIPPED),
            value(head, "DTM", EXPECTED),
        )
        to = value(of_all, "NAD", TO) or value(head, "NAD", TO)
        places = [(g[0][2], best(g, "QTY", SENT_TO)) for g in others if g[0][:2] == ["LOC", "7"]]
        given = [(place, float(q[2])) for place, q in places if q]
        rest = total - sum(amount for _, amount in given)
        rows += [(own[0][3], rest, "PCE", to, *tail)] if rest or not given else []
        rows += [(own[0][3], amount, "PCE", place, *tail) for place, amount in given]
    return rows


def a_desadv(draw: random.Random) -> tuple[str, ...]:
    body = ["BGM+351+D1+9", f"DTM+137:202601{draw.randrange(10, 28)}:102"]
    body += [f"DTM+{draw.choice([*SHIPPED, *EXPECTED, '10'])}:202602{draw.randrange(10, 28)}:102" for _ in range(2)]
    body += ["RFF+ON:PO0"] if draw.random() < 0.4 else []
    body += [f"NAD+{draw.choice([*TO, *SHIPPER, 'IV'])}+N{draw.randrange(9)}::9" for _ in range(3)]
    item = 0
    levels = draw.randrange(1, 5)
    for n in range(levels):
        body += [f"CPS+{n + 1}", f"PAC+{draw.randrange(1, 9)}", f"QTY+12:{draw.randrange(90, 99)}:PCE"]
        body += (
            ["PCI+33E", *([f"RFF+ON:PO{n + 10}"] if draw.random() < 0.4 else []), "DTM+17:20260401:102", "GIN+BJ+1"]
            if draw.random() < 0.7
            else []
        )
        for _ in range(draw.choice([0, 1, 1, 2]) if item or n < levels - 1 else 1):
            item += 1
            total = draw.randrange(20, 60)
            body.append(f"LIN+{item}++I{item}:IN")
            marked, places = draw.random() < 0.3, draw.random() < 0.3
            body += [] if marked else [f"QTY+21:{total + 5}:PCE", f"QTY+12:{total}:PCE"]
            body += [f"RFF+ON:PO{item + 50}"] if draw.random() < 0.3 else []
            body += [f"NAD+DP+M{draw.randrange(9)}::9"] if draw.random() < 0.1 else []
            if marked:
                body += ["PCI+33E", "QTY+12:8:PCE", "GIN+BJ+2", "PCI+33E", f"QTY+12:{total - 8}:PCE"]
            elif places:
                body += ["LOC+7+S1::9", "QTY+11:8:PCE", "LOC+7+S2::9", f"QTY+11:{draw.choice([total - 8, 5])}:PCE"]
    return tuple(body)


def read_recadv(body: tuple[str, ...]) -> list[Row]:
    head, found = parts(body)
    rows = []
    for package, groups in found:
        own, of_all = groups[0], [s for g in groups for s in g]
        counted = own if any(s[0] == "QTY" for s in own) else [s for s in of_all if s[0] in ("PCI", "QTY")]

        def told(kind: str, counted: list[list[str]] = counted) -> float | None:
            numbers = [float(s[2]) for s in counted if s[0] == "QTY" and s[1] == kind]
            return sum(numbers) if numbers else None

        accepted, received, refused = told("194"), told("48"), told("195") or 0.0
        if accepted is not None and received is not None:
            refused = max(refused, received - accepted)
        # Received (48) includes what was refused, received and accepted (194) does not.
        taken = accepted if accepted is not None else (received or 0.0) - refused
        # A reference has a day of its own.
        came = [s for n, s in enumerate(own) if s[0] == "DTM" and not any(r[0] == "RFF" for r in own[:n])]
        rows.append(
            (
                own[0][3],
                taken,
                refused or None,
                value(of_all, "NAD", TO) or value(head, "NAD", TO),
                next((o for o in (value(p, "RFF", ("ON",)) for p in (of_all, package, head)) if o), None),
                value(of_all, "RFF", ("DQ",)) or value(head, "RFF", ("DQ",)),
                value(came, "DTM", ("50", "310", "35")) or value(head, "DTM", ("50", "310", "35", "137")),
            )
        )
    return rows


def a_recadv(draw: random.Random) -> tuple[str, ...]:
    body = ["BGM+632+R1+9", "DTM+137:20260105:102", *(["DTM+50:20260104:102"] if draw.random() < 0.5 else [])]
    body += ["RFF+ON:PO0"] if draw.random() < 0.4 else []
    body += ["RFF+DQ:D0"] if draw.random() < 0.4 else []
    body += [f"NAD+{draw.choice([*TO, 'SU'])}+N{draw.randrange(9)}::9" for _ in range(2)]
    for n in range(draw.randrange(1, 5)):
        if draw.random() < 0.5:
            body += [f"CPS+{n + 1}", "PAC+3", "PCI+33E", *([f"RFF+ON:PO{n + 10}"] if draw.random() < 0.4 else [])]
        body.append(f"LIN+{n + 1}++I{n + 1}:IN")
        received, refused = draw.randrange(20, 60), draw.randrange(1, 9)
        kinds = draw.choice([["194", "195"], ["48", "195"], ["48"], ["194"], ["48", "194"]])
        amount = {"194": received - refused, "48": received, "195": refused}
        if draw.random() < 0.3:
            body += [
                "PCI+33E",
                *(f"QTY+{k}:{amount[k] - 1}:PCE" for k in kinds),
                "PCI+33E",
                *(f"QTY+{k}:1:PCE" for k in kinds),
            ]
            continue
        body += [f"QTY+{k}:{amount[k]}:PCE" for k in kinds]
        body += ["DTM+50:20260103:102"] if draw.random() < 0.3 else []
        body += [f"RFF+ON:PO{n + 50}", "DTM+50:20251201:102"] if draw.random() < 0.3 else []
        body += ["RFF+DQ:D9"] if draw.random() < 0.3 else []
        body += ["PCI+33E", f"QTY+{kinds[0]}:1:PCE"] if draw.random() < 0.3 else []
    return tuple(body)


@pytest.mark.parametrize("window", [400, 1 << 20])
@pytest.mark.parametrize("kind", ["DESADV", "RECADV"])
def test_every_line_has_what_its_group_says(kind: str, window: int) -> None:
    write, read = (a_desadv, read_desadv) if kind == "DESADV" else (a_recadv, read_recadv)
    table, columns = ("shipment", SHIPMENT) if kind == "DESADV" else ("receipt", RECEIPT)
    bodies = [write(random.Random(seed)) for seed in range(200 if window > 400 else 30)]
    contents = [edifact(kind, *b, control=f"{n}") for n, b in enumerate(bodies)]
    facts = facts_of_each(f"raw_edi__{table}_lines", contents, window)
    assert sum(own.height for own in facts) > len(bodies)
    for seed, (body, own) in enumerate(zip(bodies, facts, strict=True)):
        assert own.select(columns).rows() == read(body), (seed, body)
