"""Shipment notices (856) beside a plain walk of their segments: random trees of levels, values at any of them, parents named or left out."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aios_assets.edi import read_documents
from tests.unit.edi.make import facts_of_each, frame, x12

ABOVE = {"S": "", "O": "S", "T": "SO", "P": "SOT"}
FROM, TO = ("SF", "SH", "SU", "VN", "SE"), ("ST", "BS")
SHIPPED, EXPECTED = ("011", "370"), ("017", "067", "371", "002")
COLUMNS = ("order_number", "ship_to_site_id", "ship_from_id", "carrier_id", "shipped_date", "expected_date")


def values_of(segments: list[list[str]]) -> dict[str, str | None]:
    """What one level says itself."""

    def ranked(tag: str, codes: tuple[str, ...], place: int) -> str | None:
        found = [(codes.index(s[1]), n, s[place]) for n, s in enumerate(segments) if s[0] == tag and s[1] in codes]
        return min(found)[2] if found else None

    carriers = [s[3] or (s[5] if len(s) > 5 else "") for s in segments if s[0] == "TD5"]
    return {
        "order_number": next((s[1] for s in segments if s[0] == "PRF"), None),
        "ship_to_site_id": ranked("N1", TO, 4),
        "ship_from_id": ranked("N1", FROM, 4),
        "carrier_id": next((c for c in carriers if c), None),
        "shipped_date": ranked("DTM", SHIPPED, 2),
        "expected_date": ranked("DTM", EXPECTED, 2),
    }


def walked(body: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Rows of a notice: for each SN1 the item of its level, and each value from the level itself or the nearest above that has one."""
    levels: list[tuple[list[str], list[list[str]]]] = []
    head: list[list[str]] = []
    for cells in (segment.split("*") for segment in body):
        if cells[0] == "HL":
            levels.append((cells, []))
        else:
            (levels[-1][1] if levels else head).append(cells)
    own = [values_of(inside) for _, inside in levels]
    numbers = [hl[1] for hl, _ in levels]
    defaults = values_of(head) | {"order_number": None}
    tops = [n for n, (hl, _) in enumerate(levels) if hl[3] == "S"]
    shipment = own[tops[0]] if len(tops) == 1 else {}

    def parent(n: int) -> int | None:
        hl = levels[n][0]
        if hl[2]:
            return numbers.index(hl[2]) if hl[2] in numbers else None
        higher = ABOVE.get(hl[3], "SOTP")
        return next((k for k in range(n - 1, -1, -1) if levels[k][0][3] in higher), None)

    def value(n: int, name: str) -> str | None:
        seen: set[int] = set()
        at: int | None = n
        while at is not None and at not in seen:
            if own[at][name]:
                return own[at][name]
            seen.add(at)
            at = parent(at)
        if name == "order_number":
            return None
        # What hangs under a shipment has the values of no other.
        of_one = None if seen & set(tops) else shipment.get(name)
        return of_one or (defaults[name] if name.endswith("date") else None)

    rows = []
    for n, (_, inside) in enumerate(levels):
        item = own_order = None
        for cells in inside:
            if cells[0] == "LIN":
                item, own_order = cells[3], cells[5] if len(cells) > 5 else None
            elif cells[0] == "SN1":
                order, *others = (value(n, name) for name in COLUMNS)
                rows.append((item, float(cells[2]), order or own_order, *others))
    noticed = next(s[3] for s in head if s[0] == "BSN")
    return [(*row[:6], row[6] or noticed, row[7]) for row in rows]


def a_notice(draw: random.Random) -> tuple[str, ...]:
    """Shipments, orders, tares, packs and items; the numbers of levels are shuffled, and parents named, left out or (seldom) unknown."""
    body = [f"BSN*00*SH{draw.randrange(99)}*202601{draw.randrange(10, 28)}*0900"]
    several = draw.random() < 0.3
    if draw.random() < 0.3:
        body.append(f"DTM*{draw.choice([*SHIPPED, *EXPECTED, '068'])}*202602{draw.randrange(10, 28)}")
    codes = ["S"] + [draw.choice("OOTPIIII" + ("S" if several else "")) for _ in range(draw.randrange(1, 14))]
    numbers = draw.sample(range(1, 99), len(codes))
    named = draw.random() < 0.7
    item = 0
    for n, code in enumerate(codes):
        higher = [k for k in range(n) if codes[k] in ABOVE.get(code, "SOTP")]
        parent = str(numbers[draw.choice(higher)]) if higher and (named or draw.random() < 0.3) else ""
        body.append(f"HL*{numbers[n]}*{parent if draw.random() > 0.03 else '999'}*{code}")
        if code == "O" or draw.random() < 0.05:
            body.append(f"PRF*PO{draw.randrange(9)}")
        if draw.random() < (0.8 if code == "S" else 0.15):
            body += [f"N1*{draw.choice([*TO, *FROM, 'BT'])}*X*92*P{draw.randrange(9)}" for _ in range(2)]
        if draw.random() < (0.6 if code == "S" else 0.1):
            body.append(draw.choice(["TD5*B*2*SCAC", "TD5*B***M*NAME", "TD5*B*2*"]))
        for _ in range(draw.choice([0, 0, 1, 2])):
            body.append(f"DTM*{draw.choice([*SHIPPED, *EXPECTED, '010'])}*202603{draw.randrange(10, 28)}")
        if code == "I":
            item += 1
            body += [
                f"LIN**IN*I{item}{draw.choice(['', '*PO*PO77'])}",
                *(f"SN1**{draw.randrange(1, 50)}*EA" for _ in range(draw.choice([1, 1, 2]))),
            ]
    return tuple(body)


@pytest.mark.parametrize("window", [400, 1 << 20])
def test_every_line_has_what_its_level_or_the_nearest_above_it_says(window: int) -> None:
    notices = [a_notice(random.Random(seed)) for seed in range(250)]
    contents = [x12("856", *notice, control=n + 1) for n, notice in enumerate(notices)]
    facts = facts_of_each("raw_edi__shipment_lines", contents, window)
    assert sum(own.height for own in facts) > 800
    for seed, (notice, own) in enumerate(zip(notices, facts, strict=True)):
        assert own.select("item_id", "quantity", *COLUMNS).rows() == walked(notice), seed


def test_levels_that_share_a_number_keep_their_own_values() -> None:
    body = ("BSN*00*SH1*20260105*0900", "HL*1**S", "N1*ST*X*92*S1", "HL*2*1*O", "PRF*PO1", "HL*2*1*O", "PRF*PO2", "LIN**IN*A", "SN1**5*EA")  # fmt: skip
    facts = read_documents(frame(x12("856", *body))).facts["raw_edi__shipment_lines"]
    assert facts.select("order_number", "ship_to_site_id").rows() == [("PO2", "S1")]


def test_stores_of_an_item_are_its_receiving_sites() -> None:
    body = ("BSN*00*SH1*20260105*0900", "HL*1**S", "N1*ST*X*92*DC", "HL*2*1*I", "LIN**IN*A", "SN1**9*EA", "SDQ*EA*92*S1*3*S2*4", "HL*3*1*I", "LIN**IN*B", "SN1**5*EA", "SDQ*EA*92*S1*6")  # fmt: skip
    batch = read_documents(frame(x12("856", *body)))
    rows = batch.facts["raw_edi__shipment_lines"].select("item_id", "ship_to_site_id", "quantity").rows()
    assert rows == [("A", "DC", 2.0), ("A", "S1", 3.0), ("A", "S2", 4.0)]
    assert batch.rejects.select("error_code", "segment_text").rows() == [("unclear_quantity", "SN1**5*EA")]
