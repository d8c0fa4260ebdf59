"""Orders and their answers beside a plain walk of their segments: random ones with prices, parties, days, sublines, schedules and places.

X12 850, 860, 855, 865: what stands behind SLN is about a component, behind N9 about a reference, CUR behind SAC or CTP about that amount; a day behind
ACK is that of this part of the answer. EDIFACT ORDERS, ORDCHG, ORDRSP: QTY behind LOC goes to that place, behind SCC comes by that delivery, behind
ALC or PAC is no ordered quantity; CUX behind ALC is that of an allowance; sub-lines (C829) tell what a set consists of.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from aios_assets.edi import read_documents
from tests.unit.edi.make import edifact, facts_of_each, frame, x12

Row = tuple[Any, ...]
Segments = list[list[str]]
ORDER = ("item_id", "quantity", "unit_code", "unit_price", "currency_code", "ship_to_site_id", "buyer_id", "seller_id", "requested_date", "action_code")  # fmt: skip
ANSWER = ("item_id", "response_code", "quantity", "unit_code", "seller_id", "promised_date")
WANTED = ("002", "067", "106", "074", "064", "010", "038", "063", "037")
PROMISED = ("067", "017", "002", "068", "079", "010", "011", "038", "037", "063")
SHIP_TO, BUYER, SELLER = ("ST", "BS", "CN", "WH"), ("BY", "BO"), ("SE", "SU", "VN")


def best(segments: Segments, tag: str, codes: tuple[str, ...], place: int = 2) -> str | None:
    """The value of the segment whose qualifier ranks first, of equals the first."""
    found = [(codes.index(s[1]), n, s[place]) for n, s in enumerate(segments) if s[0] == tag and s[1] in codes and s[place]]  # fmt: skip
    return min(found)[2] if found else None


def cut(segments: Segments, *tags: str) -> list[Segments]:
    """Segments in stretches, each but the first begun by one of the tags."""
    out: list[Segments] = [[]]
    for s in segments:
        if s[0] in tags:
            out.append([])
        out[-1].append(s)
    return out


def currency(segments: Segments) -> str | None:
    own = cut(segments, "SAC", "CTP")[0]
    return next((s[2] for s in own if s[0] == "CUR"), None)


def x12_lines(body: tuple[str, ...], tag: str) -> tuple[Segments, list[tuple[Segments, Segments, Segments]]]:
    """The header, and of each line: all before its components, what is its own, and its schedule."""
    head, *lines = cut([s.split("*") for s in body], tag)
    found = []
    for line in lines:
        whole = cut(line, "SLN")[0]
        own, *loops = cut(whole, "N9", "SCH", "N1")
        found.append((whole, own, [s for loop in loops for s in loop if s[0] == "SCH"]))
    return head, found


def of_header(head: Segments, codes: tuple[str, ...]) -> str | None:
    """Days of the header itself go before those of its references."""
    own, *references = cut(head, "N9")
    return best(own, "DTM", codes) or best([s for r in references for s in r], "DTM", codes)


def read_x12_orders(code: str, body: tuple[str, ...]) -> list[Row]:
    head, lines = x12_lines(body, "PO1" if code == "850" else "POC")
    amount, price = (2, 4) if code == "850" else (3, 6)
    change = {"DI": "delete", "AI": "new"}
    rows = []
    for whole, own, schedule in lines:
        cells = own[0] + [""] * 6
        planned = [s for s in schedule if s[5] in WANTED]
        when = min(planned, key=lambda s: WANTED.index(s[5]))[6] if planned else None
        rows.append(
            (
                own[0][-1],
                float(cells[amount]),
                cells[amount + (1 if code == "850" else 2)],
                float(cells[price]) if cells[price] else None,
                currency(own) or currency(head),
                *(best(whole, "N1", who, 4) or best(head, "N1", who, 4) for who in (SHIP_TO, BUYER, SELLER)),
                when or best(own, "DTM", WANTED) or of_header(head, WANTED),
                "new" if code == "850" else change.get(cells[2], "change"),
            )
        )
    return rows


def read_875(body: tuple[str, ...]) -> list[Row]:
    """G50 says by 473 what the order is, G62 by 432 when it is wanted."""
    head, *lines = cut([s.split("*") for s in body], "G68")
    action = {"F": "cancel", "D": "cancel", "R": "change"}.get(head[0][1], "new")
    when = best(head, "G62", ("02", "54", "53", "10", "38", "37"))
    parties = [best(head, "N1", who, 4) for who in (SHIP_TO, BUYER, SELLER)]
    return [(s[0][6], float(s[0][1]), s[0][2], float(s[0][3]), None, *parties, when, action) for s in lines]


def an_875(draw: random.Random) -> tuple[str, ...]:
    body = [f"G50*{draw.choice('NNFDR')}*20260105*PO1", "N9*DP*1"]
    body += [
        f"G62*{draw.choice(['02', '10', '54', '38', '11'])}*202602{draw.randrange(10, 28)}"
        for _ in range(draw.randrange(3))
    ]
    body += [f"N1*{draw.choice(['ST', 'BY', 'VN', 'BT'])}*X*92*P{draw.randrange(9)}" for _ in range(3)]
    for n in range(draw.randrange(1, 5)):
        body += [f"G68*{draw.randrange(1, 99)}*CA*2.5**IN*I{n}", "G69*NAME"]
    return (*body, "G76*9*CA")


def read_x12_answers(code: str, body: tuple[str, ...]) -> list[Row]:
    head, lines = x12_lines(body, "PO1" if code == "855" else "POC")
    at = 2 if code == "855" else 3
    rows = []
    for whole, own, _ in lines:
        before, *answers = cut(own, "ACK")
        unit = own[0][at + (1 if code == "855" else 2)]
        common = best(before, "DTM", PROMISED) or of_header(head, PROMISED)
        for answer in answers or [[["ACK", "IA", own[0][at], unit]]]:
            ack = answer[0] + [""] * 5
            said = ack[5] if ack[4] in ("", *PROMISED) else ""
            rows.append(
                (
                    own[0][-1],
                    ack[1],
                    float(ack[2] or own[0][at]),
                    ack[3] or unit,
                    best(whole, "N1", SELLER, 4) or best(head, "N1", SELLER, 4),
                    said or best(answer, "DTM", PROMISED) or common,
                )
            )
    return rows


def x12_body(code: str, draw: random.Random) -> tuple[str, ...]:
    answers = code in ("855", "865")
    kinds = PROMISED if answers else WANTED

    def days(chance: float) -> list[str]:
        return [f"DTM*{draw.choice([*kinds, '055', '007'])}*202602{draw.randrange(10, 28)}" for _ in range(2) if draw.random() < chance]  # fmt: skip

    def parties(chance: float) -> list[str]:
        every = [*SHIP_TO, *BUYER, *SELLER, "BT"]
        return [f"N1*{draw.choice(every)}*X*92*P{draw.randrange(9)}" for _ in range(3) if draw.random() < chance]

    def allowance(chance: float) -> list[str]:
        return ["SAC*A*C310***500", f"CUR*BY*{draw.choice(['GBP', 'JPY'])}"] if draw.random() < chance else []

    begins = {"850": "BEG*00*SA*PO1**20260105", "860": "BCH*04*SA*PO1***20260105", "855": "BAK*00*AC*PO1*20260105", "865": "BCA*00*AC*PO1***20260105"}  # fmt: skip
    body = [begins[code], *(["CUR*BY*CAD"] if draw.random() < 0.4 else []), *allowance(0.2), *days(0.5)]
    body += ["N9*L1*X", f"DTM*{draw.choice(kinds)}*20260401", "MSG*T"] if draw.random() < 0.3 else []
    body += parties(0.6)
    for n in range(draw.randrange(1, 5)):
        units, unit = draw.randrange(1, 99), draw.choice(["EA", "CA"])
        price = draw.choice(["", "2.5"])
        line = f"PO1*{n + 1}*{units}*{unit}*{price}**IN*I{n}"
        if code in ("860", "865"):
            line = f"POC*{n + 1}*{draw.choice(['QD', 'DI', 'AI', 'CA'])}*{units}*{units}*{unit}*{price}**IN*I{n}"
        body += [line, *(["CUR*BY*EUR"] if draw.random() < 0.2 else [])]
        body += ["CTP**RES*9", "CUR*BY*CHF"] if draw.random() < 0.2 else []
        body += [*allowance(0.2), *days(0.3)]
        for _ in range(draw.choice([0, 1, 1, 2]) if answers else 0):
            day = draw.choice(["", f"*{draw.choice([*kinds, '055', ''])}*202603{draw.randrange(10, 28)}"])
            body += [f"ACK*{draw.choice(['IA', 'IB', 'IQ', 'IR'])}*{draw.choice(['', units])}*{unit}{day}", *days(0.4)]
        body += [f"SCH*{units}*{unit}***{draw.choice([*kinds, '055'])}*202605{draw.randrange(10, 28)}"] if not answers and draw.random() < 0.2 else []  # fmt: skip
        body += ["N9*L1*X", f"DTM*{draw.choice(kinds)}*20260402"] if draw.random() < 0.2 else []
        body += parties(0.15)
        body += ["SLN*1**I*2*EA*1***IN*PART", "CUR*BY*AUD", *days(0.6), "N1*ST*X*92*PART", "N1*SE*X*92*PART"] if draw.random() < 0.25 else []  # fmt: skip
    return tuple(body)


EDI_WANTED = ("2", "64", "63", "69", "10", "76", "75", "61")
EDI_PROMISED = ("69", "67", "76", "17", "2", "79", "10", "44")
EDI_TO, EDI_BUYER, EDI_SELLER = ("DP", "ST", "UC", "CN", "UD"), ("BY", "OB"), ("SU", "SE")
GROUPS = ("PRI", "RFF", "PAC", "LOC", "NAD", "ALC", "TDT", "SCC")


def cells(segment: str) -> list[str]:
    tag, *elements = segment.split("+")
    split = tag in ("DTM", "QTY", "RFF", "PRI", "CUX")
    return [tag, *elements[0].split(":"), *elements[1:]] if split else [tag, *(e.split(":")[0] for e in elements)]


def edifact_counts(
    groups: list[Segments], kinds: tuple[str, ...], here: str | None
) -> list[tuple[float, str, str | None]]:
    """Quantity, unit and place of a line: its own, else what its deliveries or its places add up to; what goes to a place is a row of its own."""
    own = next((s for k in kinds for s in groups[0] if s[0] == "QTY" and s[1] == k), None)
    places = [(g[0][2], next((s for k in ("11", *kinds) for s in g if s[:2] == ["QTY", k]), None)) for g in groups if g[0][:2] == ["LOC", "7"]]  # fmt: skip
    given = [(place, q) for place, q in places if q]
    plans = [q for g in groups if g[0][0] == "SCC" for q in [next((s for k in kinds for s in g if s[:2] == ["QTY", k]), None)] if q]  # fmt: skip
    parts = [own] if own else plans or [q for _, q in given]
    rest = sum(float(q[2]) for q in parts) - sum(float(q[2]) for _, q in given)
    rows = [(rest, parts[0][3], here)] if rest or not given else []
    return rows + [(float(q[2]), q[3], place) for place, q in given]


def read_edifact(kind: str, body: tuple[str, ...]) -> list[Row]:
    head, *lines = cut([cells(s) for s in body], "LIN")
    answers = kind == "ORDRSP"
    days = EDI_PROMISED if answers else EDI_WANTED
    amounts = ("113", "12", "21", "1", "192") if answers else ("21", "1", "11", "46", "131")
    actions = {"1": "new", "2": "delete", "3": "change" if kind == "ORDCHG" else "new"}
    codes = {"5": "IA", "3": "IQ", "7": "IR"}
    rows: list[Row] = []
    for line in lines:
        if line[0][4:] == ["1"]:
            continue  # what a set consists of
        groups = cut(line, *GROUPS)
        plans = [s for g in groups if g[0][0] == "SCC" for s in g]
        when = best(groups[0], "DTM", days) or best(plans, "DTM", days) or best(cut(head, "ALC")[0], "DTM", days)
        price = next((s[2] for s in line if s[0] == "PRI"), None)
        money = next((s[2] for g in groups if g[0][0] != "ALC" for s in g if s[0] == "CUX"), None)
        money = money or next((s[2] for s in cut(head, "ALC")[0] if s[0] == "CUX"), None)
        to, buyer, seller = (best(line, "NAD", who) or best(head, "NAD", who) for who in (EDI_TO, EDI_BUYER, EDI_SELLER))  # fmt: skip
        counts = edifact_counts(groups, amounts, None)
        if answers:
            rows.append((line[0][3], codes[line[0][2]], sum(c[0] for c in counts), counts[0][1], seller, when))
        else:
            for quantity, unit, place in counts:
                figures = (quantity, unit, float(price) if price else None, money, place or to, buyer, seller, when)
                rows.append((line[0][3], *figures, actions[line[0][2]]))
    return rows


def edifact_body(kind: str, draw: random.Random) -> tuple[str, ...]:
    answers = kind == "ORDRSP"
    kinds = EDI_PROMISED if answers else EDI_WANTED
    first = "113" if answers else "21"

    def day(chance: float) -> list[str]:
        return [f"DTM+{draw.choice([*kinds, '171', '7'])}:202602{draw.randrange(10, 28)}:102"] if draw.random() < chance else []  # fmt: skip

    def parties(chance: float) -> list[str]:
        every = [*EDI_TO, *EDI_BUYER, *EDI_SELLER, "IV"]
        return [f"NAD+{draw.choice(every)}+N{draw.randrange(9)}::9" for _ in range(3) if draw.random() < chance]

    def allowance(chance: float) -> list[str]:
        return ["ALC+A", f"QTY+{draw.choice(['1', '21'])}:3:PCE", "CUX+2:JPY:9"] if draw.random() < chance else []

    body = ["BGM+220+C1+9", "DTM+137:20260105:102", *day(0.6), "RFF+ON:PO1", "DTM+171:20260101:102", *parties(0.7)]
    body += ["CUX+2:CAD:9"] if draw.random() < 0.5 else []
    for n in range(draw.randrange(1, 5)):
        units, unit = draw.randrange(20, 99), draw.choice(["PCE", "CT"])
        body.append(f"LIN+{n + 1}+{draw.choice(['5', '3', '7'] if answers else ['1', '3'])}+I{n}:IN")
        split = draw.choice(["", "", "", "places", "plans"])
        whole = split == "" or draw.random() < 0.6
        body += [f"QTY+59:12:{unit}", f"QTY+{first}:{units}:{unit}"] if whole else []
        body += day(0.3)
        body += ["PRI+AAA:2.5", *(["CUX+2:EUR:9"] if draw.random() < 0.3 else [])] if draw.random() < 0.6 else []
        body += ["RFF+LI:1"] if draw.random() < 0.2 else []
        body += ["PAC+4", f"QTY+{first}:4:{unit}"] if draw.random() < 0.2 else []
        if split == "places":
            body += ["LOC+7+S1::9", f"QTY+11:8:{unit}", "LOC+7+S2::9", f"QTY+11:{draw.choice([units - 8, 5]) if whole else 7}:{unit}"]  # fmt: skip
        body += parties(0.1)
        body += allowance(0.2)
        if split == "plans":
            body += ["SCC+1", f"QTY+{first}:8:{unit}", *day(0.7), "SCC+1", f"QTY+{first}:{units - 8}:{unit}", *day(0.7)]
        for part in range(draw.choice([0, 0, 0, 1, 2])):
            body += [f"LIN+9{part}+3+PART:IN+1:{n + 1}", f"QTY+{first}:3:PCE", *day(0.4), "PRI+AAA:9", *parties(0.2)]
    return tuple(body)


@pytest.mark.parametrize("window", [400, 1 << 20])
@pytest.mark.parametrize("kind", ["850", "860", "875", "855", "865", "ORDERS", "ORDCHG", "ORDRSP"])
def test_every_line_has_what_its_loop_says(kind: str, window: int) -> None:
    answers = kind in ("855", "865", "ORDRSP")
    draws = [random.Random(seed) for seed in range(200 if window > 400 else 30)]
    if kind.isalpha():
        bodies = [edifact_body(kind, draw) for draw in draws]
        contents = [edifact(kind, *b, control=f"{n}") for n, b in enumerate(bodies)]
        plain = [read_edifact(kind, b) for b in bodies]
    else:
        bodies = [an_875(draw) if kind == "875" else x12_body(kind, draw) for draw in draws]
        contents = [x12(kind, *b, control=n + 1) for n, b in enumerate(bodies)]
        read = read_x12_answers if answers else read_x12_orders
        plain = [read_875(b) if kind == "875" else read(kind, b) for b in bodies]
    table, columns = ("order_responses", ANSWER) if answers else ("order_lines", ORDER)
    facts = facts_of_each(f"raw_edi__{table}", contents, window)
    assert sum(own.height for own in facts) > len(bodies)
    wrong = [(seed, body, own.select(columns).rows(), rows) for seed, (body, own, rows) in enumerate(zip(bodies, facts, plain, strict=True)) if own.select(columns).rows() != rows]  # fmt: skip
    assert not wrong, (len(wrong), wrong[0])


def order(purpose: str, *sub: str) -> bytes:
    return edifact("ORDERS", f"BGM+220+PO1+{purpose}", "DTM+137:20260105:102", "LIN+1++SET:IN", *sub)


PARTS = ("LIN+2++A:IN+1:1", "QTY+21:6:PCE", "LIN+3++B:IN+1:1", "QTY+21:4:PCE")


def test_parts_of_a_set_count_where_the_set_has_no_quantity() -> None:
    columns = ("item_id", "quantity")
    counted = read_documents(frame(order("9", "QTY+21:2:PCE", *PARTS, "LIN+4++C:IN", "QTY+21:1:PCE")))
    assert counted.facts["raw_edi__order_lines"].select(columns).rows() == [("SET", 2.0), ("C", 1.0)]
    structure = read_documents(frame(order("9", *PARTS)))
    assert structure.facts["raw_edi__order_lines"].select(columns).rows() == [("A", 6.0), ("B", 4.0)]
    assert structure.rejects["segment_no"].to_list() == [4]


@pytest.mark.parametrize(
    ("kind", "head", "line"),
    [
        ("DESADV", ("BGM+351+D1+9", "DTM+137:20260105:102", "RFF+ON:PO1", "CPS+1"), "QTY+12"),
        ("RECADV", ("BGM+632+R1+9", "DTM+137:20260105:102", "RFF+ON:PO1", "NAD+DP+S1::9", "CPS+1"), "QTY+194"),
        ("INVOIC", ("BGM+380+I1+9", "DTM+137:20260105:102", "RFF+ON:PO1"), "QTY+47"),
    ],
)
def test_parts_of_a_set_are_not_shipped_received_or_billed_beside_it(
    kind: str, head: tuple[str, ...], line: str
) -> None:
    content = edifact(kind, *head, "LIN+1++SET:IN", f"{line}:2:PCE", "LIN+2++A:IN+1:1", f"{line}:6:PCE")
    table = {"DESADV": "shipment_lines", "RECADV": "receipt_lines", "INVOIC": "invoice_lines"}[kind]
    facts = read_documents(frame(content)).facts[f"raw_edi__{table}"]
    assert facts.select("item_id", "quantity").rows() == [("SET", 2.0)]


def test_parts_of_a_set_whose_line_stood_in_the_stretch_before_are_not_ordered() -> None:
    lines = [
        s for n in range(60) for s in (f"LIN+{n}++S{n}:IN", "QTY+21:2:PCE", f"LIN+9{n}++PART:IN+1:{n}", "QTY+21:6:PCE")
    ]
    facts = facts_of_each(
        "raw_edi__order_lines", [edifact("ORDERS", "BGM+220+PO1+9", "DTM+137:20260105:102", *lines)], 500
    )
    assert facts[0]["item_id"].to_list() == [f"S{n}" for n in range(60)]


@pytest.mark.parametrize(
    "content",
    [
        *(x12("850", f"BEG*{code}*SA*PO1**20260105", "PO1*1*5*EA***IN*A") for code in ("16", "22", "24")),
        x12("860", "BCH*16*SA*PO1***20260105", "POC*1*QI*5**EA***IN*A"),
        *(order(code, "QTY+21:2:PCE") for code in ("16", "31")),
    ],
)
def test_a_copy_or_a_proposal_orders_when_a_person_releases_it(content: bytes) -> None:
    batch = read_documents(frame(content))
    assert batch.facts["raw_edi__order_lines"].is_empty()
    assert batch.rejects["error_code"].to_list() == ["informs"]
    released = batch.rejects.select("document_id", "interchange_no", "set_no", "segment_no")
    assert read_documents(frame(content), releases=released).counts["facts"] == 1


@pytest.mark.parametrize("code", ["00", "06", "07", "18"])
def test_an_order_that_confirms_or_repeats_one_is_an_order(code: str) -> None:
    content = x12("850", f"BEG*{code}*SA*PO1**20260105", "PO1*1*5*EA***IN*A")
    assert read_documents(frame(content)).facts["raw_edi__order_lines"]["quantity"].to_list() == [5.0]
