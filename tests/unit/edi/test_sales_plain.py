"""Sales (852, SLSRPT) and invoices (810, INVOIC) beside a plain walk of their segments, written from the standards' loops.

852: N1 holds until the next one, a price of the shelf goes before one of purchase. SLSRPT: NAD behind QTY is that of the quantity, LOC+162 opens what was
sold in a place. Invoices: what follows SLN or ALC is about a component or an allowance, an order named in a line goes before that of the header.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from aios_assets.edi import read_documents
from tests.unit.edi.make import edifact, facts_of_each, frame, x12
from tests.unit.edi.test_orders_plain import best, cells, currency, cut

Row = tuple[Any, ...]
X12_SITES = ("ST", "RL", "WH", "BY", "SU", "SF", "DC", "SN", "RS", "BS")
SHELF = ("RTL", "RES")


def read_852(body: tuple[str, ...]) -> list[Row]:
    head, *items = cut([s.split("*") for s in body], "LIN")
    site = best(head, "N1", X12_SITES, 4) or "SENDER"
    start, end = (head[0] + [""])[2:4]
    rows = []
    for item in items:
        prices = [s for s in item if s[0] == "CTP" and s[3]]
        shelf = [s for code in SHELF for s in prices if s[2] == code]
        price = (shelf or prices or [["", "", "", ""]])[0][3]
        for s in item:
            if s[0] == "N1" and s[1] in X12_SITES:
                site = s[4]
            if s[0] == "ZA":
                za = s + [""] * 3
                own = za[5] if za[4] in ("007", "097", "405", "035") else ""
                since = start if not own and end and start != end else None
                figures = float(price) if price else None
                rows.append((site, item[0][3], za[1], float(za[2]), za[3] or "EA", own or end or start, since, figures))
    return rows


def an_852(draw: random.Random) -> tuple[str, ...]:
    def parties(chance: float) -> list[str]:
        return [f"N1*{draw.choice([*X12_SITES, 'VN'])}*X*92*P{draw.randrange(9)}"] if draw.random() < chance else []

    body = [f"XQ*H*20260105{draw.choice(['', '*20260105', '*20260111'])}", *parties(0.5), *parties(0.3)]
    for n in range(draw.randrange(1, 5)):
        body += [f"LIN**IN*I{n}", *parties(0.3)]
        codes = draw.sample(["WHL", "RES", "RTL", "MSR", ""], draw.choice([0, 1, 1, 2, 3]))
        body += [f"CTP**{code}*{draw.choice(['2.5', '3', ''])}*1*EA" for code in codes]
        for code in draw.sample(["QS", "QA", "QU", "QR"], draw.randrange(1, 4)):
            day = draw.choice(["", "", "*007*20260106", "*035*20260107", "*011*20260108"])
            body.append(f"ZA*{code}*{draw.randrange(50)}*{draw.choice(['', 'EA', 'CA'])}{day}".rstrip("*"))
    return tuple(body)


PLACES, SITES = ("162", "14", "18", "7", "198"), ("ST", "BY", "WH", "DP", "SN", "GM", "SE", "MR", "LSP", "DS")
SOLD = {"153": "QS", "25": "QS", "47": "QS", "145": "QA", "61": "QU", "48": "QR"}


def read_slsrpt(body: tuple[str, ...]) -> list[Row]:
    segments = [cells(s) for s in body]
    first = next(n for n, s in enumerate(segments) if s[0] == "LIN")
    head = segments[: next((n for n, s in enumerate(segments) if s[:2] == ["LOC", "162"]), first)]
    party, place = best(head, "NAD", SITES), None
    day = since = best(head, "DTM", ("137",))
    rows = []
    for stretch in cut(segments, "LOC", "LIN")[0:]:
        if stretch[0][:2] == ["LOC", "162"]:
            place = stretch[0][2]
            day, since = (best(stretch, "DTM", (k,)) or old for k, old in (("357", day), ("356", since)))
        if stretch[0][0] != "LIN":
            continue
        own, *quantities = cut(stretch, "QTY")
        price = next((float(s[2]) for s in own if s[0] == "PRI"), None)
        sites = [best(q, "NAD", SITES) for q in quantities]
        alone = sites[-1] if sum(s is not None for s in sites) == 1 else None
        for q, site in zip(quantities, sites, strict=True):
            where = site or best(own, "NAD", SITES) or alone or place or party or "SENDER"
            rows.append((where, own[0][3], SOLD[q[0][1]], float(q[0][2]), "PCE", day, since if since != day else None, price))  # fmt: skip
    return rows


def a_slsrpt(draw: random.Random) -> tuple[str, ...]:
    def party(chance: float) -> list[str]:
        return [f"NAD+{draw.choice([*SITES, 'SU'])}+N{draw.randrange(9)}::9"] if draw.random() < chance else []

    body = ["BGM+73E::9+R1+9", "DTM+137:20260120:102", *party(0.6), "CUX+2:USD:10"]
    placed = draw.random() < 0.6
    for place in range(draw.randrange(1, 3)) if placed else [0]:
        if placed:
            body += [f"LOC+162+S{place}::9", f"DTM+356:2026010{place + 1}:102", f"DTM+357:2026010{place + 5}:102"]
        for n in range(draw.randrange(1, 4)):
            body += [f"LIN+{n + 1}++I{n}:IN", *party(0.2), *(["PRI+AAA:2.5"] if draw.random() < 0.5 else [])]
            for kind in draw.sample(list(SOLD), draw.randrange(1, 4)):
                body += [f"QTY+{kind}:{draw.randrange(50)}:PCE", *(["MKS+9+A"] if draw.random() < 0.2 else [])]
                body += party(0.3)
    return tuple(body)


def read_810(body: tuple[str, ...]) -> list[Row]:
    head, *lines = cut([s.split("*") for s in body], "IT1")
    big = head[0] + [""] * 8
    rows = []
    for line in lines:
        own, it1 = cut(line, "SLN")[0], line[0]
        order = best(own, "REF", ("PO",)) or big[4] or best(head, "REF", ("PO",))
        sign = -1 if big[7] in ("CR", "CN") else 1
        seller = next((p for p in (best(s, "N1", ("SE", "SU", "VN", "RI", "RE"), 4) for s in (own, head)) if p), None)
        rows.append((big[2], big[1], order, it1[-1], sign * float(it1[2]), it1[3], float(it1[4]), currency(own) or currency(head), seller))  # fmt: skip
    return rows


def an_810(draw: random.Random) -> tuple[str, ...]:
    def around(chance: float) -> list[str]:
        every = [
            f"REF*{draw.choice(['PO', 'IA'])}*PO{draw.randrange(9)}",
            f"N1*{draw.choice(['SE', 'RI', 'ST', 'VN'])}*X*92*P{draw.randrange(9)}",
        ]
        return [s for s in every if draw.random() < chance]

    body = [f"BIG*20260105*INV1**{draw.choice(['', 'PO77'])}***{draw.choice(['', 'DI', 'CR', 'CN'])}", *around(0.5)]
    body += ["CUR*SE*CAD"] if draw.random() < 0.4 else []
    for n in range(draw.randrange(1, 5)):
        body += [f"IT1*{n + 1}*{draw.randrange(1, 50)}*{draw.choice(['EA', 'CA'])}*2.5**IN*I{n}"]
        body += ["CUR*SE*EUR"] if draw.random() < 0.2 else []
        body += ["CTP**RES*9", "CUR*SE*CHF"] if draw.random() < 0.2 else []
        body += around(0.3)
        body += ["SAC*A*C310***500", "CUR*SE*GBP"] if draw.random() < 0.2 else []
        body += ["SLN*1**I*2*EA*1***IN*PART", "REF*PO*PART", "N1*SE*X*92*PART"] if draw.random() < 0.2 else []
    return tuple(s.rstrip("*") for s in body)


BILLED = ("47", "46", "12", "21", "1", "136")


def read_invoic(body: tuple[str, ...]) -> list[Row]:
    head, *lines = cut([cells(s) for s in body], "LIN")
    sign = -1 if head[0][1] == "381" else 1
    money = next((s[2] for s in cut(head, "ALC")[0] if s[0] == "CUX"), None)
    rows = []
    for line in lines:
        groups = cut(line, "PRI", "RFF", "PAC", "LOC", "ALC", "TAX", "NAD")
        q = next(s for k in BILLED for s in groups[0] if s[:2] == ["QTY", k])
        price = next((float(s[2]) for s in line if s[0] == "PRI"), None)
        order = best(line, "RFF", ("ON",)) or best(head, "RFF", ("ON",))
        own = next((s[2] for g in groups if g[0][0] != "ALC" for s in g if s[0] == "CUX"), None)
        rows.append(("R1", "20260105", order, line[0][3], sign * float(q[2]), "PCE", price, own or money, best(head, "NAD", ("SU", "SE", "II"))))  # fmt: skip
    return rows


def an_invoic(draw: random.Random) -> tuple[str, ...]:
    body = [f"BGM+{draw.choice(['380', '381'])}+R1+9", "DTM+137:20260105:102"]
    body += ["RFF+ON:PO0", "DTM+171:20260101:102"] if draw.random() < 0.5 else []
    body += [f"NAD+{draw.choice(['SU', 'SE', 'BY', 'II'])}+N{draw.randrange(9)}::9" for _ in range(2)]
    body += ["CUX+2:CAD:4"] if draw.random() < 0.5 else []
    body += ["ALC+A", "CUX+2:JPY:4"] if draw.random() < 0.2 else []
    for n in range(draw.randrange(1, 5)):
        units = draw.randrange(1, 50)
        body += [f"LIN+{n + 1}++I{n}:IN", "QTY+59:12:PCE", f"QTY+{draw.choice(['47', '46', '12'])}:{units}:PCE"]
        body += ["PRI+AAA:2.5", *(["CUX+2:EUR:4"] if draw.random() < 0.2 else [])] if draw.random() < 0.6 else []
        body += [f"RFF+ON:PO{n + 1}"] if draw.random() < 0.3 else []
        body += ["PAC+4", "QTY+47:4:PCE"] if draw.random() < 0.2 else []
        body += ["LOC+7+S1::9", f"QTY+11:{units}:PCE"] if draw.random() < 0.2 else []
        body += ["ALC+A", "QTY+47:3:PCE", "CUX+2:JPY:4"] if draw.random() < 0.2 else []
    return tuple(body)


ACTIVITY = ("site_id", "item_id", "activity_code", "quantity", "unit_code", "activity_date", "period_start_date", "unit_price")  # fmt: skip
INVOICE = ("invoice_number", "invoice_date", "order_number", "item_id", "quantity", "unit_code", "unit_price", "currency_code", "seller_id")  # fmt: skip
KINDS: dict[str, tuple[str, tuple[str, ...], Callable[..., tuple[str, ...]], Callable[..., list[Row]]]] = {
    "852": ("product_activity", ACTIVITY, an_852, read_852),
    "SLSRPT": ("product_activity", ACTIVITY, a_slsrpt, read_slsrpt),
    "810": ("invoice_lines", INVOICE, an_810, read_810),
    "INVOIC": ("invoice_lines", INVOICE, an_invoic, read_invoic),
}


@pytest.mark.parametrize("window", [400, 1 << 20])
@pytest.mark.parametrize("kind", KINDS)
def test_every_line_has_what_its_loop_says(kind: str, window: int) -> None:
    table, columns, write, read = KINDS[kind]
    bodies = [write(random.Random(seed)) for seed in range(200 if window > 400 else 30)]
    contents = [
        edifact(kind, *b, control=f"{n}") if kind.isalpha() else x12(kind, *b, control=n + 1)
        for n, b in enumerate(bodies)
    ]
    facts = facts_of_each(f"raw_edi__{table}", contents, window)
    assert sum(own.height for own in facts) > len(bodies)
    for seed, (body, own) in enumerate(zip(bodies, facts, strict=True)):
        assert own.select(columns).rows() == read(body), (seed, body)


def test_a_sales_report_that_cancels_sells_nothing_until_a_person_releases_it() -> None:
    body = ("BGM+73E+R1+1", "DTM+137:20260105:102", "NAD+SN+S1::9", "LIN+1++A:IN", "QTY+153:7:PCE")
    batch = read_documents(frame(edifact("SLSRPT", *body)))
    assert batch.facts["raw_edi__product_activity"].is_empty()
    assert batch.rejects["error_code"].to_list() == ["cancelled"]
