"""Loads, bills, payments, resales, advices and answers (204, 990, 210, 820, 867, 824, 997, 999; IFTMIN, REMADV, APERAK, CONTRL) beside a plain walk of their segments.

204: OID and L5 of a stop have days and parties of their own. 820: N1 and TRN of the header alone. 867: QTY has LIN, UIT, DTM and CUR, LX a part of it.
824: each TED is an error. 997: AK5 answers AK2, AK9 the group. REMADV: AJT and DLI have amounts of their own. IFTMIN: goods (GID) and equipment have parties with days of their own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.limits import Limits
from tests.unit.edi.make import edifact, frame, x12
from tests.unit.edi.test_orders_plain import Segments, best, cut

Row = tuple[Any, ...]
Body = tuple[str, ...]
STOPS_ON = ("10", "02", "68", "69", "70", "37", "53", "38", "54", "17")
SOLD_ON = ("006", "011", "035", "003", "050")


def stars(body: Body) -> Segments:
    return [s.split("*") + [""] * 16 for s in body]


def pluses(body: Body) -> Segments:
    """Tag and components: of DTM, MOA, RFF and CUX those of the first element, else the first of each."""
    out = []
    for s in body:
        tag, *elements = s.split("+")
        whole = tag in ("DTM", "MOA", "RFF", "CUX")
        out.append([tag, *(elements[0].split(":") if whole else [e.split(":")[0] for e in elements]), *[""] * 6])
    return out


def first(segments: Segments, tag: str, place: int) -> str | None:
    return next((s[place] for s in segments if s[0] == tag and s[place]), None)


def day(draw: random.Random) -> str:
    return f"202602{draw.randrange(10, 28)}"


def some(draw: random.Random, chance: float, *segments: str) -> list[str]:
    return list(segments) if draw.random() < chance else []


def a_204(draw: random.Random) -> Body:
    def days() -> list[str]:
        return [f"G62*{draw.choice([*STOPS_ON, '86', 'EP'])}*{day(draw)}" for _ in range(draw.randrange(3))]

    body = [
        "B2**SCAC**LOAD1**PP",
        f"B2A*{draw.choice(['00', '01', '04', '05'])}*LT",
        f"G62*64*{day(draw)}",
        "N1*BT*X*92*PAYER",
    ]
    for n in range(draw.randrange(1, 5)):
        body += [f"S5*{n + 1}*{draw.choice(['LD', 'UL', 'CL'])}", "L11*1*PO", *days()]
        body += some(draw, 0.7, f"N1*{draw.choice(['SF', 'ST'])}*X{draw.choice(['', f'*92*P{n}'])}", "N4*CITY")
        body += some(draw, 0.4, "L5*1*PAPER", "OID*O1*P1", *days(), "N1*ST*X*92*ORDER")
    return (*body, "L3*100*G")


def read_204(body: Body) -> list[Row]:
    head, *stops = cut(stars(body), "S5")
    rows: list[Row] = []
    for stop in stops:
        own = cut(stop, "L5", "OID")[0]
        when = best(own, "G62", STOPS_ON) or first(own, "G62", 2)
        site = first(own, "N1", 4) or first(own, "N1", 2)
        rows.append(
            (first(head, "B2", 4), first(head, "B2", 2), first(head, "B2A", 1), own[0][1], own[0][2], site, when)
        )
    return rows


def a_990(draw: random.Random) -> Body:
    return (
        f"B1*SCAC*LOAD{draw.randrange(9)}*{day(draw)}*{draw.choice('ADRE')}",
        "N9*CN*1",
        f"G62*64*{day(draw)}",
        "S5*1*LD",
    )


def read_990(body: Body) -> list[Row]:
    b1 = stars(body)[0]
    return [(b1[2], b1[1], b1[4], b1[3])]


def a_210(draw: random.Random) -> Body:
    cents = draw.randrange(100, 99999)
    body = [
        f"B3**BILL{draw.randrange(9)}*SHIP1*PP**{day(draw)}*{cents}*{draw.choice(['', 'CO', 'RB', 'BD'])}*20260301*035*SCAC"
    ]
    body += some(draw, 0.5, f"C3*{draw.choice(['CAD', 'EUR'])}")
    for n in range(draw.randrange(1, 5)):
        charge = draw.choice(["", str(draw.randrange(-999, 9999)), f"{draw.randrange(99)}.5"])
        body += [
            f"LX*{n + 1}",
            "L5*1*GOODS",
            f"L1*{n + 1}*12.5*PH*{charge}****{draw.choice(['', 'FUE', 'DSC'])}",
            "N1*SH*X*92*P1",
        ]
    return (*body, f"L3*100*G***{cents}")


def read_210(body: Body) -> list[Row]:
    segments = stars(body)
    b3 = segments[0]
    common = (b3[2], b3[3], b3[11], b3[6])
    tail = (first(segments, "C3", 1), b3[8] or None)
    charges = [("total", b3[7])] + [(s[8] or "freight", s[4]) for s in segments if s[0] == "L1" and s[4]]
    return [(*common, code, float(amount) / (1 if "." in amount else 100), *tail) for code, amount in charges]


def an_820(draw: random.Random) -> Body:
    body = [f"BPR*I*100*C*ACH*CTX*01*1*DA*1*2**01*2*DA*3*{day(draw)}", *some(draw, 0.8, "TRN*1*PAY1")]
    body += [*some(draw, 0.4, f"CUR*BY*{draw.choice(['EUR', 'cad'])}"), f"DTM*097*{day(draw)}"]
    body += [
        f"N1*{who}*X*92*{who}{draw.randrange(9)}" for who in draw.sample(["PE", "BY", "PR", "RB"], draw.randrange(5))
    ]
    body += ["ENT*1"]
    for n in range(draw.randrange(1, 5)):
        body += [
            f"RMR*{draw.choice(['IV', 'CM'])}*INV{n}**{draw.choice(['', '-5', '97.5'])}*100*2.5",
            "REF*PO*1",
            f"DTM*003*{day(draw)}",
        ]
        body += some(draw, 0.4, "ADX*-2.5*01", "NTE**TEXT", "IT1*1*5*EA*3", "DTM*003*20260101")
    return (*body, *some(draw, 0.3, "N9*II*X", "AMT*3*50", "N1*PR*Y*92*OTHER", "TRN*2*LATE"))


def read_820(body: Body) -> list[Row]:
    head, *settled = cut(stars(body), "RMR")
    money, payer = first(head, "CUR", 2), best(head, "N1", ("PR", "BY"), 4)
    common = (first(head, "TRN", 2) or "unnumbered", head[0][16], payer)
    rows = []
    for rmr, *_ in settled:
        rows.append((*common, rmr[1], rmr[2], float(rmr[4] or rmr[5]), float(rmr[5]), money.upper() if money else None))
    return rows


def an_867(draw: random.Random) -> Body:
    def days(chance: float) -> list[str]:
        return [f"DTM*{draw.choice([*SOLD_ON, '004', '036'])}*{day(draw)}" for _ in range(2) if draw.random() < chance]

    def parties(chance: float, *kinds: str) -> list[str]:
        return [f"N1*{draw.choice(kinds)}*X*92*P{draw.randrange(99)}" for _ in range(2) if draw.random() < chance]

    body = [
        f"BPT*00*R1*{day(draw)}*SS",
        *some(draw, 0.4, "CUR*SE*CAD"),
        "DTM*090*20260101",
        *parties(0.7, "DB", "SE", "SU", "MF"),
    ]
    for n in range(draw.randrange(1, 4)):
        body += [
            f"PTD*{draw.choice(['SS', 'RV'])}",
            *days(0.4),
            "REF*PO*1",
            *parties(0.6, "ST", "EN", "BY", "SU", "BT"),
        ]
        for m in range(draw.randrange(1, 4)):
            unit = draw.choice(["", "*EA", "*CA"])
            body += [f"QTY*{draw.choice(['32', '76'])}*{draw.randrange(-9, 99)}{unit}", f"LIN**IN*I{n}{m}"]
            body += some(draw, 0.6, f"UIT*{draw.choice(['EA', 'CA'])}*{draw.randrange(1, 9)}.5", "UIT*BX*99")
            body += [*days(0.4), *some(draw, 0.3, "CUR*SE*EUR")]
            body += some(draw, 0.3, "LX*1", "REF*LT*1", "DTM*006*20260101", "N1*EN*X*92*PART", "CUR*SE*JPY")
    return (*body, "CTT*1")


def read_867(body: Body) -> list[Row]:
    head, *transfers = cut(stars(body), "PTD")
    rows: list[Row] = []
    for transfer in transfers:
        own, *counted = cut(transfer, "QTY")
        buyer = best(own, "N1", ("ST", "EN", "BY"), 4)
        seller = best(own, "N1", ("DB", "DS", "SE", "SU"), 4) or best(head, "N1", ("DB", "DS", "SE", "SU"), 4)
        for whole in counted:
            part = cut(whole, "LX")[0]
            uit = next((s for s in part if s[0] == "UIT"), ["", "", ""])
            unit = part[0][3] or uit[1] or "EA"
            price = float(uit[2]) if uit[2] and uit[1] == unit else None
            money = first(part, "CUR", 2) or first(head, "CUR", 2)
            when = best(part, "DTM", SOLD_ON) or best(own, "DTM", SOLD_ON)
            rows.append(
                (
                    own[0][1],
                    when,
                    seller,
                    buyer,
                    first(part, "LIN", 3),
                    part[0][1],
                    float(part[0][2]),
                    unit,
                    price,
                    money,
                )
            )
    return rows


def an_824(draw: random.Random) -> Body:
    body = [f"BGN*00*A1*{day(draw)}", "N1*SU*X*92*1"]
    for n in range(draw.randrange(1, 4)):
        body += [f"OTI*{draw.choice(['TA', 'TE', 'TR'])}*IV*INV{n}", "REF*PO*1", f"DTM*003*{day(draw)}"]
        for m in range(draw.randrange(3)):
            body += [
                f"TED*{draw.choice(['007', '024'])}{draw.choice(['', f'*TEXT {m}'])}",
                *some(draw, 0.4, f"NTE**NOTE {m}", "RED*1"),
            ]
    return tuple(body)


def read_824(body: Body) -> list[Row]:
    head, *verdicts = cut(stars(body), "OTI")
    rows: list[Row] = []
    for verdict in verdicts:
        (oti, *_), *errors = cut(verdict, "TED")
        found = [(e[0][1], e[0][2] or first(e, "NTE", 2)) for e in errors] or [(None, None)]
        rows += [(head[0][2], head[0][3], oti[1], oti[2], oti[3], *error) for error in found]
    return rows


UP, DOWN = ("200", "10", "11", "234"), ("2", "17", "191", "235")


def an_iftmin(draw: random.Random) -> Body:
    def days(chance: float) -> list[str]:
        return [f"DTM+{draw.choice([*UP, *DOWN, '171'])}:{day(draw)}:102" for _ in range(2) if draw.random() < chance]

    purpose = draw.choice(["9", "1", "5", "4"])
    body = [
        f"BGM+610+T1+{purpose}",
        "DTM+137:20260105:102",
        *days(0.4),
        "RFF+CU:1",
        *days(0.2),
        *some(draw, 0.5, "TDT+20", *days(0.5)),
    ]
    kinds = ["CZ", "PW", "SF", "CN", "DP", "ST", "CA", "FW", "BY"]
    body += [
        x
        for who in draw.sample(kinds, 4)
        for x in (f"NAD+{who}+N{draw.randrange(99)}::92", *some(draw, 0.2, "RFF+ON:1", *days(0.5)))
    ]
    for n in range(draw.randrange(3)):
        body += [
            f"GID+{n + 1}+5:PX",
            *some(draw, 0.6, f"NAD+{draw.choice(kinds[:6])}+G{n}::92", *days(0.6)),
            "RFF+ON:2",
            *days(0.2),
        ]
    return tuple(body)


def read_iftmin(body: Body) -> list[Row]:
    segments = pluses(body)
    groups = cut(segments, "NAD", "RFF", "TDT", "GID")
    goods = next((n for n, g in enumerate(groups) if g and g[0][0] == "GID"), len(groups))
    own = [s for g in groups[:1] for s in g]
    anywhere = own + [s for g in groups[1:goods] if g[0][0] != "RFF" for s in g]
    purpose = {"9": "00", "1": "01", "5": "05", "4": "04"}[segments[0][3]]
    carrier = best(segments, "NAD", ("CA", "FW"))
    rows: list[Row] = []
    for group in groups[1:]:
        tag, who, party = group[0][:3]
        if tag == "NAD" and who in ("CZ", "PW", "SF", "CN", "DP", "ST"):
            kinds = UP if who in ("CZ", "PW", "SF") else DOWN
            when = best(group, "DTM", kinds) or best(own, "DTM", kinds) or best(anywhere, "DTM", kinds)
            rows.append(("T1", carrier, purpose, str(len(rows) + 1), who, party, when))
    return rows


PAID, DUE, TOTAL = ("12", "11", "113"), ("9",), ("39", "388", "128", "98", "77", "86")


def a_remadv(draw: random.Random) -> Body:
    def money(*kinds: str, chance: float = 0.6) -> list[str]:
        return [
            f"MOA+{kind}:{draw.randrange(1, 999)}{draw.choice(['', ',5', ':eur'])}"
            for kind in kinds
            if draw.random() < chance
        ]

    body = [
        "BGM+481+R1+9",
        "DTM+137:20260105:102",
        *some(draw, 0.5, "DTM+138:20260110:102"),
        "NAD+PE+P1::9",
        "NAD+PR+P2::9",
    ]
    body += [
        *some(draw, 0.2, "RFF+AAB:1", "DTM+138:20260501:102"),
        *some(draw, 0.5, "CUX+2:CAD:11", "DTM+138:20260601:102"),
    ]
    for n in range(draw.randrange(1, 4)):
        body += [
            f"DOC+{draw.choice(['380', '381'])}+INV{n}",
            *(money("52", *draw.sample([*PAID, *DUE, *TOTAL], 4)) or ["MOA+9:5"]),
        ]
        body += [
            "MOA+39:70",
            "DTM+171:20260101:102",
            *some(draw, 0.3, "CUX+2:GBP:11"),
            *some(draw, 0.4, "AJT+1", *money(*PAID, "39")),
        ]
        body += some(draw, 0.4, "DLI+1+1", *money(*PAID, *TOTAL), "CUX+2:JPY:11")
    return (*body, "UNS+S", "MOA+12:99999")


def read_remadv(body: Body) -> list[Row]:
    head, *settled = cut(pluses(body), "DOC", "UNS")
    when = best(cut(head, "NAD", "CUX", "RFF")[0], "DTM", ("138", "137"))
    rows: list[Row] = []
    for document in settled[:-1]:
        own = cut(document, "AJT", "DLI")[0]
        amounts = [s for s in own if s[0] == "MOA"]
        paid = next(s for kind in (*PAID, *DUE, *TOTAL) for s in amounts if s[1] == kind)
        due = next(s for kind in (*TOTAL, *DUE) for s in amounts if s[1] == kind)
        money = paid[3] or first(cut(document, "DLI")[0], "CUX", 2) or first(head, "CUX", 2)
        said = (own[0][1], own[0][2], float(paid[2].replace(",", ".")), float(due[2].replace(",", ".")))
        rows.append(("R1", when, "P2", *said, money.upper() if money else None))
    return rows


def an_aperak(draw: random.Random) -> Body:
    body = [
        "BGM+313+A1+9",
        "DTM+137:20260105:102",
        *some(draw, 0.4, "FTX+AAO+++HEADER"),
        *some(draw, 0.8, "RFF+ON:PO1", "DTM+137:20260301:102"),
    ]
    body += ["NAD+SU+S1::9"]
    for n in range(draw.randrange(3)):
        body += [
            f"ERC+{n}9",
            *some(draw, 0.6, f"FTX+AAO+++TEXT {n}"),
            *some(draw, 0.5, f"RFF+LI:{n}", "FTX+AAO+++OF REFERENCE"),
        ]
    return tuple(body)


def read_aperak(body: Body) -> list[Row]:
    head, *errors = cut(pluses(body), "ERC")
    named = next(((s[1], s[2]) for s in head if s[0] == "RFF"), (None, "A1"))
    if not errors:
        return [("A1", "20260105", "313", *named, None, first(head, "FTX", 4))]
    rows: list[Row] = []
    for error in errors:
        own = next(((s[1], s[2]) for s in error if s[0] == "RFF"), named)
        rows.append(("A1", "20260105", "313", *own, error[0][1], first(error, "FTX", 4)))
    return rows


def a_997(draw: random.Random) -> Body:
    ik = draw.random() < 0.5
    body = [f"AK1*PO*{draw.randrange(99)}"]
    for n in range(draw.randrange(4)):
        body += [f"AK2*850*{n + 1:04d}", *some(draw, 0.4, f"{'IK3' if ik else 'AK3'}*PO1*3**8", "AK4*2**7*X")]
        body.append(f"{'IK5' if ik else 'AK5'}*{draw.choice('AER')}{draw.choice(['', '*5', '*5*23', '**4'])}")
    return (*body, f"AK9*{draw.choice('AEPR')}*3*3*2{draw.choice(['', '*1', '*1*5'])}")


def read_997(body: Body) -> list[Row]:
    ak1, *segments = stars(body)
    rows: list[Row] = []
    for n, s in enumerate(segments):
        if s[0] == "AK2":
            answer = next(a for a in segments[n:] if a[0] in ("AK5", "IK5"))
            errors = " ".join(f"AK5:{e}" for e in answer[2:7] if e)
            rows.append(("set", ak1[1], ak1[2], s[1], s[2], answer[1], errors or None))
        if s[0] == "AK9":
            errors = " ".join(f"AK9:{e}" for e in s[5:10] if e)
            rows.append(("group", ak1[1], ak1[2], None, ak1[2], s[1], errors or None))
    return rows


def a_contrl(draw: random.Random) -> Body:
    error = ["", "+29", "+13"]
    body = [f"UCI+I1+A:14+B:14+{draw.choice('478')}{draw.choice(error)}"]
    for group in range(draw.randrange(3)):
        body += [f"UCF+G{group}+A+B+{draw.choice('47')}{draw.choice(error)}"]
        for n in range(draw.randrange(3)):
            body += [
                f"UCM+{n + 1}+ORDERS:D:96A:UN+{draw.choice('47')}{draw.choice(error)}",
                *some(draw, 0.4, "UCS+3+13", "UCD+12+1:2"),
            ]
    return tuple(body)


def read_contrl(body: Body) -> list[Row]:
    levels = {"UCI": ("interchange", 4), "UCF": ("group", 4), "UCM": ("set", 3)}
    rows: list[Row] = []
    for s in pluses(body):
        if s[0] in levels:
            level, at = levels[s[0]]
            rows.append(
                (
                    level,
                    None,
                    None,
                    s[2] if s[0] == "UCM" else None,
                    s[1],
                    s[at],
                    f"CONTRL:{s[at + 1]}" if s[at + 1] else None,
                )
            )
    return rows


STOP = ("shipment_id", "carrier_id", "purpose_code", "stop_no", "stop_code", "site_id", "stop_date")
SETTLED = (
    "payment_id",
    "payment_date",
    "payer_id",
    "reference_code",
    "invoice_number",
    "amount",
    "invoice_amount",
    "currency_code",
)
ADVICE = ("advice_id", "advice_date", "verdict_code", "reference_code", "reference", "error_code", "error_text")
ANSWER = ("level_code", "acked_group_code", "acked_group_control_number", "acked_set_code", "acked_control_number", "verdict_code", "error_codes")  # fmt: skip
READINGS: dict[str, tuple[str, tuple[str, ...], Callable[[random.Random], Body], Callable[[Body], list[Row]]]] = {
    "204": ("load_stops", STOP, a_204, read_204),
    "990": ("load_responses", ("shipment_id", "carrier_id", "response_code", "response_date"), a_990, read_990),
    "210": ("freight_charges", ("invoice_number", "shipment_id", "carrier_id", "invoice_date", "charge_code", "amount", "currency_code", "correction_code"), a_210, read_210),
    "820": ("remittance_lines", SETTLED, an_820, read_820),
    "867": ("product_transfers", ("transfer_code", "transfer_date", "distributor_id", "end_user_id", "item_id", "quantity_code", "quantity", "unit_code", "unit_price", "currency_code"), an_867, read_867),
    "824": ("application_advices", ADVICE, an_824, read_824),
    "IFTMIN": ("load_stops", STOP, an_iftmin, read_iftmin),
    "REMADV": ("remittance_lines", SETTLED, a_remadv, read_remadv),
    "997": ("acknowledgements", ANSWER, a_997, read_997),
    "999": ("acknowledgements", ANSWER, a_997, read_997),
    "CONTRL": ("acknowledgements", ANSWER, a_contrl, read_contrl),
    "APERAK": ("application_advices", ADVICE, an_aperak, read_aperak),
}  # fmt: skip


@pytest.mark.parametrize("kind", READINGS)
def test_every_row_has_what_its_loop_says(kind: str) -> None:
    table, columns, write, read = READINGS[kind]
    bodies = [write(random.Random(seed)) for seed in range(150)]
    contents = [edifact(kind, *b, control=f"{n}") if kind.isalpha() else x12(kind, *b, control=n + 1) for n, b in enumerate(bodies)]  # fmt: skip
    batch = read_documents(frame(*contents), limits=Limits(window_bytes=1 << 20))
    assert batch.rejects["reason"].to_list() == []
    facts = batch.facts[f"raw_edi__{table}"].with_columns(pl.col(pl.Date).dt.strftime("%Y%m%d"))
    wrong = []
    for body, content in zip(bodies, contents, strict=True):
        own = facts.filter(pl.col("document_id") == hashlib.sha256(content).hexdigest()).select(columns).rows()
        if own != read(body):
            wrong.append((body, own, read(body)))
    assert not wrong, (len(wrong), wrong[0])


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("product_transfers", x12("867", "BPT*01*R1*20260105*SS", "PTD*SS", "QTY*32*5*EA", "LIN**IN*A")),
        ("freight_charges", x12("210", "B3**BILL1*SHIP1*PP**20260105*5000*CA*20260301*035*SCAC", "L3*100*G***5000")),
        ("remittance_lines", edifact("REMADV", "BGM+481+R1+1", "DTM+137:20260105:102", "DOC+380+INV1", "MOA+12:5")),
    ],
)
def test_what_cancels_a_report_a_bill_or_a_payment_counts_when_a_person_releases_it(table: str, content: bytes) -> None:
    batch = read_documents(frame(content))
    assert batch.facts[f"raw_edi__{table}"].is_empty()
    assert batch.rejects["error_code"].to_list() == ["cancelled"]
    released = batch.rejects.select("document_id", "interchange_no", "set_no", "segment_no")
    assert read_documents(frame(content), releases=released).facts[f"raw_edi__{table}"].height == 1
