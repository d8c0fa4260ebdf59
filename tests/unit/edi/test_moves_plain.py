"""Receipts (861), statuses (214, IFTSTA) and warehouse sets (940, 945) beside a plain walk of their segments, written from the standards' loops."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aios_assets.edi import EdiBatch, read_documents
from tests.unit.edi.make import edifact, facts_of_each, frame, x12

Row = tuple[Any, ...]
Segments = list[list[str]]
ZONES = {"UT": 0, "ES": -5, "ED": -4, "CS": -6, "01": 1, "24": -1, "LT": 0, "": 0}
PLACES = {"ET": "America/New_York", "PT": "America/Los_Angeles"}
OFFSETS = {"UTC": 0.0, "CET": 1.0, "EST": -5.0, "?+0530": 5.5, "-0300": -3.0}
ESTIMATES = ("AG", "X2", "BD", "AD", "AB", "AC", "X9")
NOT_TAKEN = ("01", "04", "05", "08", "10", "12")
HAPPENED = ("334", "78", "178", "186", "35", "50", "310", "200", "7", "1", "137")


def cut(segments: Segments, *tags: str) -> list[Segments]:
    """Segments in stretches, each but the first begun by one of the tags."""
    out: list[Segments] = [[]]
    for s in segments:
        if s[0] in tags:
            out.append([])
        out[-1].append(s)
    return out


def best(segments: Segments, tag: str, codes: tuple[str, ...], place: int) -> str | None:
    found = [(codes.index(s[1]), n, s[place]) for n, s in enumerate(segments) if s[0] == tag and s[1] in codes]
    return min(found)[2] if found else None


def read_861(body: tuple[str, ...]) -> list[Row]:
    head, *lines = cut([s.split("*") for s in body], "RCD")
    sites, days, numbers = ("ST", "WH", "RC", "UC", "CN", "BY"), ("050", "035"), ("SI", "2I", "BM", "ASN", "DN")
    rows = []
    for line in lines:
        rcd = line[0] + [""] * 12

        def told(place: Callable[[Segments], str | None], line: Segments = line) -> str | None:
            return place(line) or place(head)

        refused = max(float(rcd[4] or 0), float(rcd[6] or 0) if rcd[8] in NOT_TAKEN else 0.0)
        rows.append(
            (
                next(s[3] for s in line if s[0] == "LIN"),
                float(rcd[2]) - refused,
                rcd[3],
                refused or None,
                told(lambda s: best(s, "N1", sites, 4)),
                told(lambda s: next((p[1] for p in s if p[0] == "PRF"), None) or best(s, "REF", ("PO",), 2))
                or next((s[5] for s in line if s[0] == "LIN" and len(s) > 5), None),
                told(lambda s: best(s, "REF", numbers, 2)),
                told(lambda s: best(s, "DTM", days, 2)) or head[0][2],
            )
        )
    return rows


def an_861(draw: random.Random) -> tuple[str, ...]:
    def around(chance: float) -> list[str]:
        all_of = [
            f"N1*{draw.choice(['ST', 'WH', 'RC', 'BY', 'SF'])}*X*92*N{draw.randrange(9)}",
            f"REF*{draw.choice(['SI', 'BM', 'PO', 'ZZ'])}*R{draw.randrange(9)}",
            f"PRF*P{draw.randrange(9)}",
            f"DTM*{draw.choice(['050', '035', '011', '007'])}*202602{draw.randrange(10, 28)}",
        ]
        return [s for s in all_of if draw.random() < chance]

    body = ["BRA*R1*20260106*00*1", *around(0.7)]
    for n in range(draw.randrange(1, 5)):
        unit = draw.choice(["EA", "CA"])
        returned = draw.choice(["***", f"*{draw.randrange(1, 5)}*{unit}*"])
        asked = draw.choice(["", f"{draw.randrange(1, 5)}*{unit}*{draw.choice(['01', '02', '03', '08', '09'])}"])
        body += [f"RCD*{n}*{draw.randrange(9, 50)}*{unit}{returned if asked or returned != '***' else ''}{asked}", f"LIN**IN*I{n}{draw.choice(['', '*PO*P77'])}", *around(0.25)]  # fmt: skip
    return tuple(s.rstrip("*") for s in body)


def x12_time(day: str, hour: str, zone: str) -> datetime:
    at = datetime.strptime(day + (hour or "0000"), "%Y%m%d%H%M").replace(tzinfo=UTC)
    if zone in PLACES:
        return at.replace(tzinfo=ZoneInfo(PLACES[zone])).astimezone(UTC)
    return at - timedelta(hours=ZONES[zone])


def read_214(body: tuple[str, ...]) -> list[Row]:
    head, *loops = cut([s.split("*") for s in body], "LX")
    rows = []
    for loop in loops:
        shipper = next((s[1] for s in loop if s[0] == "L11" and s[2] == "SI"), None)
        for event in cut(loop, "AT7")[1:]:
            at7 = event[0] + [""] * 8
            place = ", ".join(c for s in event if s[0] == "MS1" for c in s[1:])
            code = at7[1] or at7[3]
            eta = best(loop, "G62", ("17", "70"), 2) or best(head, "G62", ("17", "70"), 2)
            rows.append(
                (
                    shipper or head[0][2] or head[0][1],
                    code,
                    at7[2] or at7[4] or None,
                    x12_time(at7[5], at7[6], at7[7]),
                    place or None,
                    at7[5] if code in ESTIMATES else eta,
                )
            )
    return rows


def a_214(draw: random.Random) -> tuple[str, ...]:
    def eta(chance: float) -> list[str]:
        return (
            [f"G62*{draw.choice(['17', '70', '02', '11'])}*202603{draw.randrange(10, 28)}"]
            if draw.random() < chance
            else []
        )

    body = [f"B10*PRO1*{draw.choice(['', 'SH0'])}*SCAC", "L11*X*SI", *eta(0.3)]
    for n in range(draw.randrange(1, 4)):
        body.append(f"LX*{n + 1}")
        ids = [f"L11*S{n}*{draw.choice(['SI', 'SI', 'PO'])}"] if draw.random() < 0.6 else []
        first = draw.random() < 0.5
        body += ids if first else []
        for _ in range(draw.randrange(1, 4)):
            said = draw.choice(["X3*NS**", "D1*NS**", "AG*NS**", "**AB*NA", "SD*AI**", "X2***"])
            hour = draw.choice(["0130", "1430", ""])
            body.append(
                f"AT7*{said}*202602{draw.randrange(10, 28)}*{hour}*{draw.choice([*ZONES, *PLACES]) if hour else ''}"
            )
            body += [f"MS1*CITY{draw.randrange(9)}*TN"] if draw.random() < 0.5 else []
        body += [] if first else ids
        body += ["N1*CN*X", *eta(0.4)]
    return tuple(body)


def read_iftsta(body: tuple[str, ...]) -> list[Row]:
    def cells(s: str) -> list[str]:
        tag, *elements = s.split("+") if "?+" not in s else [s[:3], s[4:]]
        return [tag, *elements[0].split(":")] if tag in ("DTM", "RFF") else [tag, *(e.split(":")[0] for e in elements)]

    def instant(segments: Segments, codes: tuple[str, ...]) -> datetime | None:
        found = [(codes.index(s[1]), n, s) for n, s in enumerate(segments) if s[0] == "DTM" and s[1] in codes]
        if not found:
            return None
        text, form = min(found)[2][2:4]
        at = datetime.strptime(text[:12] if form != "201" else "20" + text, "%Y%m%d%H%M").replace(tzinfo=UTC)
        return at - timedelta(hours=OFFSETS[text[12:]] if form in ("205", "303") else 0)

    def place(segments: Segments) -> str | None:
        return next((s[2] for s in segments if s[0] == "LOC"), None)

    head, *consignments = cut([cells(s) for s in body], "CNI")
    rows = []
    for consignment in consignments:
        around, *events = cut(consignment, "STS")
        for event in events:
            own, *legs = cut(event, "TDT")
            leg = [s for x in legs for s in x]
            when = instant(own, HAPPENED) or instant(leg, ("178", "186")) or instant(head, ("334", "78", "137"))
            rows.append((around[0][2], event[0][2], when, place(own) or place(around) or place(head)))
    return rows


def an_iftsta(draw: random.Random) -> tuple[str, ...]:
    def day(*codes: str) -> str:
        at = f"202602{draw.randrange(10, 28)}{draw.choice(['0130', '1430'])}"
        forms = [f"{at}:203", f"{at[2:]}:201", *(f"{at}{z}:{'205' if z[-1].isdigit() else '303'}" for z in OFFSETS)]
        return f"DTM+{draw.choice(codes)}:{draw.choice(forms)}"

    def places(chance: float, name: str) -> list[str]:
        return [f"LOC+{draw.choice(['5', '8', '14'])}+{name}{draw.randrange(9)}"] if draw.random() < chance else []

    body = ["BGM+23+S1+9", "DTM+137:202601050900:203", *places(0.2, "H")]
    for n in range(draw.randrange(1, 4)):
        body += [f"CNI+{n + 1}+C{n}", *places(0.5, "C")]
        for _ in range(draw.randrange(1, 4)):
            body += [f"STS+1+{draw.randrange(1, 60)}"]
            body += [day(*HAPPENED, "132", "17")] if draw.random() < 0.7 else []
            body += places(0.4, "S")
            body += ["TDT+20", "LOC+9+LEG", day("178", "186", "133")] if draw.random() < 0.3 else []
    return tuple(body)


def read_warehouse(code: str, body: tuple[str, ...]) -> list[Row]:
    tag, amount, unit, first = WAREHOUSES[code]
    parties = (("WH", "SF"), ("ST", "CN"))
    every = [s.split("*") for s in body]
    # What stands between LS and LE is a loop of its own.
    begins, ends = ([n for n, s in enumerate(every) if s[0] == tag] for tag in ("LS", "LE"))
    inner = {n for a, b in zip(begins, ends, strict=True) for n in range(a, b + 1)}
    head, *loops = cut([s for n, s in enumerate(every) if n not in inner], "LX")
    rows: list[Row] = []
    for loop in loops:
        around, *lines = cut(loop, tag)
        for line in lines:
            keeper, to = (next(filter(None, (best(s, "N1", who, 4) for s in (line, around, head))), None) for who in parties)  # fmt: skip
            refused = sum(float(s[1]) for s in line if s[0] == "W13" and s[3] in NOT_TAKEN)
            whole = float(line[0][amount]) - (refused if refused <= float(line[0][amount]) else 0)
            stores = [(s[n], float(s[n + 1])) for s in line if s[0] == "SDQ" for n in range(3, len(s), 2)]
            rest = whole - sum(units for _, units in stores)
            rows += [(line[0][first + 1], rest, line[0][unit], keeper, to)] if rest or not stores else []
            rows += [(line[0][first + 1], units, line[0][unit], keeper, store) for store, units in stores]
    return rows


# Item segment, and where its quantity, its unit and its first item number's qualifier stand.
WAREHOUSES = {
    "940": ("W01", 1, 2, 4),
    "943": ("W04", 1, 2, 4),
    "944": ("W07", 1, 2, 4),
    "945": ("W12", 3, 5, 7),
    "947": ("W19", 2, 3, 5),
}
HEADS = {
    "940": "W05*N*D1*PO1",
    "943": "W06*F*D1*20260105*SH1",
    "944": "W17*F*20260105*R1*D1",
    "945": "W06*F*D1*20260105*SH1",
    "947": "W15*20260105*D1",
}
LINES = {
    "940": "W01*{0}*EA**IN*{1}",
    "943": "W04*{0}*EA**IN*{1}",
    "944": "W07*{0}*EA**IN*{1}",
    "945": "W12*CC*99*{0}**EA**IN*{1}",
    "947": "W19*AC*{0}*EA**IN*{1}",
}


def a_warehouse(code: str, draw: random.Random) -> tuple[str, ...]:
    def parties(chance: float) -> list[str]:
        return [f"N1*{who}*X*92*{who}{draw.randrange(9)}" for who in ("WH", "SF", "ST", "CN") if draw.random() < chance]

    body = [HEADS[code], *parties(0.4)]
    for n in range(draw.randrange(1, 4)):
        body += [f"LX*{n + 1}", *parties(0.3)]
        for _ in range(draw.randrange(1, 3)):
            units = draw.randrange(10, 50)
            body += [LINES[code].format(units, f"I{draw.randrange(9)}"), "G69*NAME", *parties(0.15)]
            if code == "940" and draw.random() < 0.3:
                body += [f"SDQ*EA*92*S1*4*S2*{draw.choice([units - 4, 3])}"]
            if code == "944":
                conditions = draw.sample(["01", "02", "03", "07", "08", "12"], draw.choice([0, 0, 1, 2]))
                body += [f"W13*{draw.randrange(1, 12)}*EA*{c}" for c in conditions]
            body += ["LS*0330", "LX*1", *parties(0.8), "LE*0330"] if draw.random() < 0.2 else []
    return (*body, "W76*9" if code == "940" else "W03*9")


RECEIPT = ("item_id", "quantity", "unit_code", "rejected_quantity", "site_id", "order_number", "shipment_id", "received_date")  # fmt: skip
STATUS = ("shipment_id", "status_code", "reason_code", "status_at_utc", "location_name", "estimated_date")
WAREHOUSE = ("item_id", "quantity", "unit_code", "warehouse_id", "ship_to_site_id")
KINDS: dict[str, tuple[str, tuple[str, ...], Callable[..., tuple[str, ...]], Callable[..., list[Row]]]] = {
    "861": ("receipt_lines", RECEIPT, an_861, read_861),
    "214": ("shipment_statuses", STATUS, a_214, read_214),
    "IFTSTA": (
        "shipment_statuses",
        ("shipment_id", "status_code", "status_at_utc", "location_name"),
        an_iftsta,
        read_iftsta,
    ),
    **{
        code: ("warehouse_lines", WAREHOUSE, partial(a_warehouse, code), partial(read_warehouse, code))
        for code in WAREHOUSES
    },
}


@pytest.mark.parametrize("window", [400, 1 << 20])
@pytest.mark.parametrize("kind", KINDS)
def test_every_line_has_what_its_loop_says(kind: str, window: int) -> None:
    table, columns, write, read = KINDS[kind]
    bodies = [write(random.Random(seed)) for seed in range(150 if window > 400 else 25)]
    contents = [
        edifact(kind, *b, control=f"{n}") if kind == "IFTSTA" else x12(kind, *b, control=n + 1)
        for n, b in enumerate(bodies)
    ]
    facts = facts_of_each(f"raw_edi__{table}", contents, window)
    assert sum(own.height for own in facts) > len(bodies)
    for seed, (body, own) in enumerate(zip(bodies, facts, strict=True)):
        assert own.select(columns).rows() == read(body), (seed, body)


# Header and lines of messages about D1 of SF1, said on 5 January; {} is their purpose.
NOTICES = {
    "856": (("BSN*{}*D1*20260105*0900", "HL*1**S", "N1*SE*X*92*SE1", "N1*SF*X*92*SF1"), ("HL*2*1*I", "LIN**IN*A", "SN1**5*EA")),
    "861": (("BRA*D1*20260105*{}*1", "N1*ST*X*92*SF1"), ("RCD*1*5*EA*1*EA", "LIN**IN*A")),
    "940": (("W05*{}*D1*PO1", "N1*SF*X*92*SF1", "G62*10*20260105"), ("LX*1", "W01*5*EA**IN*A")),
    "947": (("W15*20260105*D1**{}", "N1*WH*X*92*SF1"), ("W19*AC*5*EA**IN*A",)),
    "DESADV": (("BGM+351+D1+{}", "DTM+137:20260105:102", "NAD+SU+SF1::9"), ("LIN+1++A:IN", "QTY+12:5")),
    "RECADV": (("BGM+632+D1+{}", "DTM+137:20260105:102", "NAD+DP+SF1::9"), ("LIN+1++A:IN", "QTY+48:5", "QTY+195:1")),
}  # fmt: skip
CODES = {"940": ("F", ""), "DESADV": ("1", "5"), "RECADV": ("3", "21")}
TABLES = {"861": "receipt", "RECADV": "receipt", "940": "warehouse", "947": "warehouse"}


def told(kind: str, purpose: str, *, lines: bool) -> EdiBatch:
    head, body = NOTICES[kind]
    segments = [s.format(purpose) for s in head] + (list(body) if lines else [])
    return read_documents(frame((edifact if kind.isalpha() else x12)(kind, *segments)))


def whole(batch: EdiBatch) -> list[Row]:
    frame = batch.facts["raw_edi__whole_notices"]
    return frame.select("notice_code", "notice_id", "said_date", "action_code", "party_id").rows()


@pytest.mark.parametrize("kind", NOTICES)
def test_what_is_cancelled_leaves_nothing_of_the_whole_document_whichever_lines_it_lists(kind: str) -> None:
    cancels, _ = CODES.get(kind, ("01", "05"))
    kept = told(kind, cancels, lines=True)
    table = TABLES.get(kind, "shipment")
    assert kept.facts[f"raw_edi__{table}_lines"]["quantity"].to_list() == [0.0]
    bare = told(kind, cancels, lines=False)
    code = {"shipment": "shipped", "receipt": "received"}.get(table, table)
    gone = [(code, "D1", date(2026, 1, 5), "cancel", "SF1")]
    assert whole(bare) == gone and bare.rejects.is_empty()
    # A deletion (1225 3) is of the lines that it lists.
    assert kept.rejects.is_empty() and whole(kept) == ([] if cancels == "3" else gone)


def test_a_cancellation_that_lists_lines_and_names_nobody_speaks_of_what_its_sender_sent() -> None:
    head, body = NOTICES["856"]
    batch = read_documents(frame(x12("856", head[0].format("01"), head[1], *body)))
    assert whole(batch) == [("shipped", "D1", date(2026, 1, 5), "cancel", None)]
    deletes = read_documents(frame(x12("856", *(s.format("03") for s in head), *body)))
    assert whole(deletes) == [] and deletes.facts["raw_edi__shipment_lines"]["quantity"].to_list() == [0.0]


@pytest.mark.parametrize("kind", [k for k in NOTICES if k not in ("940",)])
def test_a_replacement_takes_the_place_of_the_whole_document(kind: str) -> None:
    _, replaces = CODES.get(kind, ("01", "05"))
    batch = told(kind, replaces, lines=True)
    assert [(row[1], row[3], row[4]) for row in whole(batch)] == [("D1", "replace", "SF1")]
    assert batch.facts[f"raw_edi__{TABLES.get(kind, 'shipment')}_lines"]["quantity"].to_list() == [
        {"861": 4.0, "RECADV": 4.0}.get(kind, 5.0)
    ]
    original = told(kind, "9" if kind.isalpha() else "00", lines=True)
    assert whole(original) == []


def test_a_replacement_that_cannot_be_read_whole_waits_for_a_person() -> None:
    body = (
        "BSN*05*D1*20260105*0900",
        "HL*1**S",
        "HL*2*1*I",
        "LIN**IN*A",
        "SN1**5*EA",
        "HL*3*1*I",
        "LIN**IN*B",
        "SN1**X*EA",
    )
    batch = read_documents(frame(x12("856", *body)))
    assert whole(batch) == [] and batch.facts["raw_edi__shipment_lines"].height == 1
    assert sorted(batch.rejects["error_code"]) == ["AK4:6", "cancelled"]
    waiting = batch.rejects.filter(error_code="cancelled").select(
        "document_id", "interchange_no", "set_no", "segment_no"
    )
    assert [row[3] for row in whole(read_documents(frame(x12("856", *body)), releases=waiting))] == ["replace"]


def test_a_cancellation_without_number_and_line_is_told() -> None:
    batch = read_documents(frame(edifact("DESADV", "BGM+351++1", "DTM+137:20260105:102")))
    assert batch.counts["facts"] == 0 and batch.rejects["error_code"].to_list() == ["cancelled"]


def test_exceptions_in_another_unit_and_stores_that_add_up_to_more_wait_for_a_person() -> None:
    other = read_documents(frame(x12("944", HEADS["944"], "LX*1", "W07*9*CA**IN*A", "W13*2*EA*01")))
    more = read_documents(frame(x12("940", HEADS["940"], "LX*1", "W01*9*EA**IN*A", "SDQ*EA*92*S1*4*S2*6")))
    for batch in (other, more):
        assert batch.counts["facts"] == 0 and batch.rejects["error_code"].to_list() == ["unclear_quantity"]
    kept = read_documents(frame(x12("944", HEADS["944"], "LX*1", "W07*9*EA**IN*A", "W13*2*EA*02"))).facts
    assert kept["raw_edi__warehouse_lines"].select("quantity", "reason_code").rows() == [(9.0, "02")]


def test_a_status_that_cancels_waits_for_a_person() -> None:
    batch = read_documents(frame(edifact("IFTSTA", "BGM+23+S1+1", "DTM+137:202601050900:203", "CNI+1+C1", "STS+1+21")))
    assert batch.counts["facts"] == 0 and batch.rejects["error_code"].to_list() == ["cancelled"]
