"""Price catalogues (832, PRICAT) beside a plain walk of their segments: days and currencies behind a price are its own.

Before the first price of an item they are those of the item, before the first item those of the catalogue; one behind the last price only is that of all.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.unit.edi.make import edifact, facts_of_each, x12
from tests.unit.edi.test_orders_plain import Segments, best, cells, cut

Row = tuple[Any, ...]
COLUMNS = ("item_id", "price_code", "unit_price", "unit_code", "currency_code", "effective_date", "description")
# How each standard names price, currency and day, and 374 or 2005 of the days from which prices hold.
NAMES = {"832": ("CTP", "CUR", ("007", "036", "129")), "PRICAT": ("PRI", "CUX", ("157", "7", "193", "194"))}


def scoped(groups: list[Segments], head: Segments, find: Any) -> list[str | None]:
    """The value of each price: its own, else the item's, else the only one behind the last, else the header's."""
    found = [find(g) for g in groups[1:]]
    alone = found[-1] if sum(f is not None for f in found) == 1 else None
    return [f or find(groups[0]) or alone or find(head) for f in found]


def read(kind: str, body: tuple[str, ...]) -> list[Row]:
    tag, money, days = NAMES[kind]
    head, *lines = cut([s.split("*") if kind == "832" else cells(s) for s in body], "LIN")
    rows: list[Row] = []
    for line in lines:
        groups = cut(line, tag)
        currencies = scoped(groups, head, lambda g: next((s[2] for s in g if s[0] == money), None))
        starts = scoped(groups, head if kind == "PRICAT" else [], lambda g: best(g, "DTM", days))
        name = next((s[-1] for s in line if s[0] == "PID"), "NAME")
        for group, currency, start in zip(groups[1:], currencies, starts, strict=True):
            code, price = (group[0][2], group[0][3]) if kind == "832" else (group[0][1], group[0][2])
            item, unit = line[0][3], "EA" if kind == "832" else "PCE"
            rows.append((item, code, float(price), unit, currency, start, name))
    return rows


def a_catalogue(kind: str, draw: random.Random) -> tuple[str, ...]:
    x = kind == "832"
    _, _, days = NAMES[kind]

    def around(chance: float) -> list[str]:
        day, code = f"202602{draw.randrange(10, 28)}", draw.choice([*days, "197"])
        money = draw.choice(["EUR", "CAD", "GBP"])
        every = [f"CUR*SE*{money}", f"DTM*{code}*{day}"] if x else [f"CUX+2:{money}:8", f"DTM+{code}:{day}:102"]
        return [s for s in every if draw.random() < chance]

    body = ["BCT*SC*C1", "DTM*092*20260105"] if x else ["BGM+9+C1+9", "DTM+137:20260105:102"]
    body += around(0.4)
    for n in range(draw.randrange(1, 4)):
        body += [f"LIN**IN*I{n}", "PID*F****NAME"] if x else [f"LIN+{n + 1}++I{n}:IN", "IMD+F++:::NAME"]
        body += around(0.3)
        for _ in range(draw.randrange(1, 4)):
            price = f"{draw.randrange(1, 99)}.5"
            body += [f"CTP**WHL*{price}*1*EA"] if x else [f"PRI+{draw.choice(['AAA', 'AAB'])}:{price}:::1:PCE"]
            body += around(0.4)
    return tuple(body)


@pytest.mark.parametrize("window", [400, 1 << 20])
@pytest.mark.parametrize("kind", NAMES)
def test_every_price_has_the_day_and_the_currency_that_stand_behind_it(kind: str, window: int) -> None:
    bodies = [a_catalogue(kind, random.Random(seed)) for seed in range(200 if window > 400 else 30)]
    contents = [x12(kind, *b, control=n + 1) if kind == "832" else edifact(kind, *b, control=f"{n}") for n, b in enumerate(bodies)]  # fmt: skip
    facts = facts_of_each("raw_edi__price_lines", contents, window)
    assert sum(own.height for own in facts) > len(bodies)
    for seed, (body, own) in enumerate(zip(bodies, facts, strict=True)):
        assert own.select(COLUMNS).rows() == read(kind, body), (seed, body)
