"""Schedules and call-offs (830, 862, DELFOR, DELJIT) beside a plain walk of their segments, by the loop tables of the standards.

DELFOR of D.96A: delivery points (NAD) with their items, or items with their delivery points, QTY (SCC, DTM, RFF with DTM); from D.97A GIS, one NAD,
items with QTY (DTM), then SCC with its QTY (DTM). DELJIT: SEQ (DTM), items, QTY (SCC, DTM, RFF). 830 and 862: FST (SDQ) of an item, also behind SDP.
"""

from __future__ import annotations

import hashlib
import random
import re
from typing import Any

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.limits import Limits
from tests.unit.edi.make import edifact, frame, x12
from tests.unit.edi.test_orders_plain import Segments, best, cut

Row = tuple[Any, ...]
COLUMNS = ("item_id", "quantity", "unit_code", "wanted_date", "until_date", "ship_to_site_id", "commitment_code", "period_code", "order_number", "action_code")  # fmt: skip
SITES = ("CN", "DP", "ST", "BY")
DAYS = ("2", "64", "63", "10", "69", "76", "17", "61", "194")
# 6063 of cumulated, received, cancelled and packed quantities, of stock and of "no requirement": they call nothing off.
APART = ("70", "71", "79", "48", "52", "12", "194", "85", "145", "183", "74", "204")
ACTIONS = {
    "9": "new",
    "5": "replace",
    "4": "change",
    "1": "cancel",
    "3": "cancel",
    "17": "cancel",
    "21": "replace",
    "22": "new",
}


def cells(segment: str) -> list[str]:
    """Tag and components, those of the first element beside each other where it is a composite."""
    tag, *elements = (re.sub(r"\?(.)", r"\1", e) if "?" in e else e for e in re.split(r"(?<!\?)\+", segment))
    if tag in ("DTM", "QTY", "RFF"):
        return [tag, *elements[0].split(":")]
    return [tag, *(e.split(":")[0] for e in elements)]


def days(group: Segments) -> tuple[str | None, str | None]:
    """The day that is wanted, and the last day where both ends of a period stand there."""
    own = [s for s in group if s[0] == "DTM"]
    kind = min((DAYS.index(s[1]) for s in own if s[1] in DAYS), default=None)
    if kind is None:
        return None, None
    first = next(s for s in own if s[1] == DAYS[kind])
    last = next((s[2] for s in own if s[1] == {"64": "63", "194": "206"}.get(first[1])), None)
    if len(first) > 3 and first[3] == "718":
        return first[2][:8], first[2][8:]
    return first[2], last


def order(group: Segments) -> str | None:
    return best(group, "RFF", ("ON", "BO"))


def groups_of(segments: Segments) -> tuple[Segments, list[Segments]]:
    """The header, and the groups of items: behind GIS, a delivery point (D.96A) or SEQ; else one group without a beginning."""
    tags = [s[0] for s in segments]
    detail = tags.index("UNS") if "UNS" in tags else len(tags)
    points = "GIS" not in tags and "NAD" in tags[detail : tags.index("LIN")]
    starts = [
        n
        for n, tag in enumerate(tags)
        if tag == "GIS"
        or (points and tag == "NAD" and n > detail)
        or (tag == "SEQ" and next(t for t in tags[n:] if t in ("LIN", "QTY")) == "LIN")
    ]
    if not starts:
        first = tags.index("LIN")
        return segments[:first], [segments[first:]]
    return segments[: starts[0]], [segments[a:b] for a, b in zip(starts, [*starts[1:], len(tags)], strict=True)]


def read_edifact(kind: str, body: tuple[str, ...]) -> list[Row]:
    segments = [cells(s) for s in body]
    head, groups = groups_of(segments)
    action = ACTIONS[head[0][3]]
    rows: list[Row] = []
    for group in groups:
        around, *items = cut(group, "LIN")
        before = days(around)[0] or days(cut(head, "RFF", "NAD", "TDT")[0])[0]
        order_before = order(cut(head, "NAD", "TDT")[0])
        for item in items:
            does = "delete" if item[0][2] == "2" and action != "cancel" else action
            site = best(around, "NAD", SITES) or best(head, "NAD", SITES)
            for amount, unit, when, until, at, said, number in read_item(kind, item):
                rows.append(
                    (item[0][3], amount, unit, when or before, until, at or site, *said, number or order_before, does)
                )
    return rows


def read_item(kind: str, item: Segments) -> list[Row]:
    """Quantity, unit, day, last day, delivery point, SCC and order of each quantity of an item, by its own loops."""
    loops = ["QTY", "NAD", "TDT", *(["PAC"] if kind == "DELFOR" else [])]
    parts = cut(item, *loops, "SCC", "RFF")
    conditions = [n for n, s in enumerate(item) if s[0] == "SCC"]
    trailing = all(item[n - 1][0] == "QTY" for n in conditions) and any([*item, ["", ""]][n + 1][0] != "QTY" for n in conditions)  # fmt: skip
    own_day, own_order = days(parts[0]), order(cut(item, *loops)[0])
    is_point = [part[0][0] == "NAD" and part[0][1] in SITES for part in parts]
    is_count = [part[0][0] == "QTY" and part[0][1] not in APART for part in parts]
    split = any(point and any(is_count[n:]) for n, point in enumerate(is_point))
    point, said, packed = None if split else best(item, "NAD", SITES), (None, None), False
    rows: list[Row] = []
    for n, part in enumerate(parts):
        if is_point[n] and split:
            point = part[0][2]
        if part[0][0] in ("NAD", "PAC", "SCC"):
            packed, said = part[0][0] == "PAC", scc(part[0]) if part[0][0] == "SCC" and not trailing else (None, None)
        if not is_count[n] or packed:
            continue
        behind = [p for p in parts[n + 1 : n + 2] if trailing and p[0][0] == "SCC"]
        refs = []
        for part_behind in parts[n + 1 + len(behind) :]:
            if part_behind[0][0] != "RFF":
                break
            refs.append(part_behind[0])
        when, until = days(part + [s for p in behind for s in p])
        when, until = (when, until) if when else own_day
        unit = part[0][3] if len(part[0]) > 3 else "EA"
        rows.append((float(part[0][2]), unit, when, until, point, scc(behind[0][0]) if behind else said, order(refs) or own_order))  # fmt: skip
    return rows


def scc(segment: list[str]) -> tuple[str | None, str | None]:
    return segment[1], (segment[3] if len(segment) > 3 else None)


def a_call_off(kind: str, draw: random.Random) -> tuple[str, ...]:
    def day(chance: float, *kinds: str) -> list[str]:
        if draw.random() >= chance:
            return []
        one = draw.choice([*(kinds or DAYS), "171", "11"])
        first = draw.randrange(10, 19)
        if one in ("64", "194") and draw.random() < 0.6:
            pair = [f"DTM+{one}:202602{first}:102", f"DTM+{ {'64': '63', '194': '206'}[one] }:202602{first + 7}:102"]
            return draw.sample(pair, 2)
        if draw.random() < 0.15:
            return [f"DTM+{one}:202602{first}202602{first + 5}:718"]
        return [f"DTM+{one}:202602{first}:102"]

    def site(kinds: tuple[str, ...] = SITES) -> str:
        return f"NAD+{draw.choice(kinds)}+N?+{draw.randrange(99)}::92"

    def reference(chance: float) -> list[str]:
        if draw.random() >= chance:
            return []
        return [f"RFF+{draw.choice(['ON', 'BO', 'AAN', 'ADE', 'AIF'])}:R{draw.randrange(99)}", *(["DTM+171:20260101:102", "DTM+2:20260102:102"] if draw.random() < 0.4 else [])]  # fmt: skip

    def apart(chance: float) -> list[str]:
        return [f"QTY+{draw.choice(APART)}:{draw.randrange(900)}:PCE", *day(0.5)] if draw.random() < chance else []

    def conditions() -> str:
        return f"SCC+{draw.choice('14')}{draw.choice(['', '++W', '++M:9'])}"

    def counts(trailing: bool) -> list[str]:
        out: list[str] = []
        for _ in range(draw.randrange(1, 4)):
            qty = f"QTY+{draw.choice(['113', '1', '21', '131', '84'])}:{draw.randrange(1, 99)}{draw.choice(['', ':PCE', ':CT'])}"
            if trailing:
                out += [qty, conditions(), *(day(1, *DAYS) or ["DTM+2:20260203:102"]), *reference(0.3)]
            else:
                out += [conditions()] if not out or draw.random() < 0.6 else []
                out += [qty, *day(0.9), *reference(0.3)]
        return out

    number = iter(range(1, 99))

    def an_item(trailing: bool, points: bool) -> list[str]:
        n = next(number)
        out = [
            f"LIN+{n}+{draw.choice(['', '', '2', '3'])}+I?'{n}:IN".replace("?'", ""),
            "IMD+F++:::NAME",
            *day(0.3),
            *reference(0.4),
        ]
        out += ["TDT+20", "DTM+2:20260301:102"] if draw.random() < 0.2 else []
        if kind == "DELJIT":
            return [
                *out[:2],
                *(["PAC+4++PX"] if draw.random() < 0.3 else []),
                *out[2:],
                "LOC+11+DOCK",
                *apart(0.3),
                *counts(trailing),
            ]
        out += [*apart(0.4), *(counts(trailing) if not points or draw.random() < 0.4 else [])]
        out += ["PAC+2++PX", f"QTY+{draw.choice(['52', '1', '113'])}:6:PCE", "DTM+2:20260402:102"] if draw.random() < 0.3 and any(s.startswith("QTY+1") for s in out) else []  # fmt: skip
        for _ in range(draw.randrange(1, 3) if points else 0):
            out += [site(), "LOC+11+DOCK", *(counts(trailing) if draw.random() < 0.8 else [])]
        return out

    body = [
        f"BGM+241+C1+{draw.choice(list(ACTIONS))}",
        "DTM+137:20260105:102",
        *day(0.4, "2", "64", "10"),
        *reference(0.4),
    ]
    body += [site() for _ in range(2) if draw.random() < 0.7] + ["NAD+SU+S1::92"]
    if kind == "DELJIT":
        loose = draw.random() < 0.3
        for n in range(draw.randrange(1, 4)):
            body += [] if loose else [f"SEQ++{n + 1}", *day(0.5, "2", "10"), "LOC+7+X"]
            for _ in range(draw.randrange(1, 3)):
                item = an_item(True, False)
                body += [
                    x
                    for s in item
                    for x in ((["SEQ++9"] if loose and s.startswith("QTY") and draw.random() < 0.5 else []) + [s])
                ]
        return tuple(body)
    form = draw.choice(["points", "items", "gis"])
    body += [] if form == "gis" else ["UNS+D"]
    for _ in range(1 if form == "items" else draw.randrange(1, 4)):
        if form == "gis":
            body += ["GIS+37", *([site(), "LOC+11+X"] if draw.random() < 0.8 else [])]
        elif form == "points":
            body += [site(), "LOC+11+X"]
        for _ in range(draw.randrange(1, 4)):
            body += an_item(form != "gis", form == "items" or (form == "gis" and draw.random() < 0.3))
    return (*body, "UNS+S") if form != "gis" else tuple(body)


X12_ACTIONS = {
    "00": "new",
    "01": "cancel",
    "03": "cancel",
    "04": "change",
    "05": "replace",
    "17": "cancel",
    "06": "new",
}
SHIP_TO = ("ST", "BS", "BY", "FR")


def read_x12(kind: str, body: tuple[str, ...]) -> list[Row]:
    segments = [s.split("*") + [""] * 12 for s in body]
    begin, (head, *items) = segments[0], cut(segments, "LIN")
    action = X12_ACTIONS[begin[1]]
    header_order = best(cut(head, "N1")[0], "REF", ("PO",)) or begin[11 if kind == "830" else 10]
    rows: list[Row] = []
    for item in items:
        lin, *loops = cut(item, "N1", "FST", "SDP", "SHP", "JIT")
        numbers = dict(zip(lin[0][2::2], lin[0][3::2], strict=False))
        order = best(lin, "REF", ("PO",)) or numbers.get("PO") or header_order or None
        site = best(item, "N1", SHIP_TO, 4) or best(head, "N1", SHIP_TO, 4)
        unit = next((s[1] for s in lin if s[0] == "UIT"), "")
        for loop in loops:
            if loop[0][0] != "FST":
                continue
            fst = loop[0]
            stores = [
                (s[1], *pair) for s in loop if s[0] == "SDQ" for pair in zip(s[3::2], s[4::2], strict=False) if pair[0]
            ]
            rest = float(fst[1]) - sum(float(amount) for _, _, amount in stores)
            named = unit or (stores[0][0] if stores else "") or "EA"
            said = (fst[4], fst[5] or None)
            tail = (fst[2] or None, fst[3] or None, (fst[9] if fst[8] == "PO" else "") or order, action)
            if rest or not stores:
                rows.append((numbers["IN"], rest, named, *said, site, *tail))
            rows += [(numbers["IN"], float(amount), given, *said, store, *tail) for given, store, amount in stores]
    return rows


def an_x12_schedule(kind: str, draw: random.Random) -> tuple[str, ...]:
    def parties(chance: float) -> list[str]:
        return [s for _ in range(2) if draw.random() < chance for s in (f"N1*{draw.choice([*SHIP_TO, 'SU', 'MI'])}*X*92*P{draw.randrange(99)}", *(["REF*PO*PARTY"] if draw.random() < 0.3 else []))]  # fmt: skip

    def reference(chance: float) -> list[str]:
        return [f"REF*{draw.choice(['PO', 'CT', 'DK'])}*R{draw.randrange(99)}"] if draw.random() < chance else []

    order = draw.choice(["", f"B{draw.randrange(99)}"])
    purpose = draw.choice(list(X12_ACTIONS))
    if kind == "830":
        body = [f"BFR*{purpose}*S1**DL*A*20260101*20260301*20260105***{order}".rstrip("*"), *reference(0.3)]
    else:
        body = [f"BSS*{purpose}*S1*20260105*DL*20260101*20260301****{order}".rstrip("*")]
    body += parties(0.7)
    for n in range(draw.randrange(1, 4)):
        unit = draw.choice(["", "EA", "CA"])
        body += [f"LIN**IN*I{n}{draw.choice(['', f'*PO*L{n}', f'*VN*V{n}'])}", *([f"UIT*{unit}"] if unit else [])]
        body += [*reference(0.3), *(parties(0.3) if kind == "830" else [])]
        body += ["SDP*A*Y"] if kind == "830" and draw.random() < 0.2 else []
        for _ in range(draw.randrange(1, 4)):
            amount = draw.randrange(20, 99)
            until = draw.choice(["", "*20260225"])
            own = draw.choice(["", "", f"{'' if until else '*'}****{draw.choice(['PO', 'DO'])}*F{n}"])
            body.append(
                f"FST*{amount}*{draw.choice('CD')}*{draw.choice('DWF')}*202602{draw.randrange(10, 28)}{until}{own}"
            )
            if draw.random() < 0.3:
                given = unit or draw.choice(["EA", "CA"])
                body.append(f"SDQ*{given}*92*S1*8*S2*{draw.choice([amount - 8, 5])}")
                body += [f"SDQ*{given}*92*S3*2"] if body[-1].endswith("*5") else []
            body += ["JIT*5*0800", "REF*PO*JIT"] if kind == "862" and draw.random() < 0.2 else []
        body += ["SHP*01*500*011*20260101", "REF*PO*OLD"] if draw.random() < 0.4 else []
    return (*body, "CTT*1")


def mismatches(kind: str, bodies: list[tuple[str, ...]], window: int) -> list[Any]:
    """Messages of which facts or rejects differ from the plain reading, in which a quantity without a day is a reject."""
    is_x12 = kind.isdigit()
    contents = [x12(kind, *b, control=n + 1) if is_x12 else edifact(kind, *b, control=f"{n}") for n, b in enumerate(bodies)]  # fmt: skip
    batch = read_documents(frame(*contents), limits=Limits(window_bytes=window))
    facts = batch.facts["raw_edi__delivery_schedules"].with_columns(pl.col(pl.Date).dt.strftime("%Y%m%d"))
    wrong = []
    for body, content in zip(bodies, contents, strict=True):
        own = pl.col("document_id") == hashlib.sha256(content).hexdigest()
        rows = read_x12(kind, body) if is_x12 else read_edifact(kind, body)
        got, dated = facts.filter(own).select(COLUMNS).rows(), [row for row in rows if row[3]]
        # The rest of a quantity lands behind its stores or before them, by where it stands.
        if sorted(map(str, got)) != sorted(map(str, dated)) or batch.rejects.filter(own).height != len(rows) - len(
            dated
        ):
            wrong.append((body, got, dated, batch.rejects.filter(own)["reason"].to_list()))
    assert facts.height > 2 * len(bodies)
    return wrong


@pytest.mark.parametrize("window", [1500, 1 << 20])
@pytest.mark.parametrize("kind", ["830", "862", "DELFOR", "DELJIT"])
def test_every_quantity_called_off_has_what_its_loop_says(kind: str, window: int) -> None:
    write = an_x12_schedule if kind.isdigit() else a_call_off
    bodies = [write(kind, random.Random(seed)) for seed in range(200 if window > 1500 else 30)]
    wrong = mismatches(kind, bodies, window)
    assert not wrong, (len(wrong), wrong[0])


@pytest.mark.parametrize(
    "content",
    [
        x12("830", "BFR*22*S1**DL*A*20260101*20260301*20260105", "LIN**IN*A", "FST*5*C*D*20260210"),
        x12("862", "BSS*16*S1*20260105*DL*20260101*20260301", "LIN**IN*A", "FST*5*C*D*20260210"),
        edifact("DELFOR", "BGM+241+C1+31", "DTM+137:20260105:102", "LIN+1++A:IN", "QTY+113:5", "DTM+2:20260210:102"),
    ],
)
def test_a_copy_or_a_proposal_calls_off_when_a_person_releases_it(content: bytes) -> None:
    batch = read_documents(frame(content))
    assert batch.counts["facts"] == 0 and batch.rejects["error_code"].to_list() == ["informs"]
    released = batch.rejects.select("document_id", "interchange_no", "set_no", "segment_no")
    assert read_documents(frame(content), releases=released).counts["facts"] == 1
