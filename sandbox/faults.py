"""Planted faults: which document or sensor gets which fault on which day, and what is done to its text.

Chosen by a hash of (seed, kind, document, day): no draw is shared with the world, so a fault changes bytes and never
what happens. Every planted fault is one record for `truth/faults.jsonl`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from sandbox.drafts import Draft
from sandbox.network import Network
from sandbox.spec import FaultSpec
from sandbox.telemetry import Series

REPORTS = frozenset({"852", "846", "SLSRPT"})
OWN_ORDERS = frozenset({"850", "ORDERS"})
ENVELOPE_KINDS = ("truncated", "wrong_se_count", "wrong_control_number")
RESEND_NIGHTS = 2
EXPECTED = {
    "duplicate": ("delivery", "is_duplicate on the second delivery; facts unchanged"),
    "late": ("finding", "late_document; the facts land on their own day"),
    "out_of_order": ("finding", "late_document; the facts land on their own day"),
    "corrected_resend": ("version", "version 2 supersedes version 1 of the line"),
    "truncated": ("reject", "envelope: no trailer; the re-send is accepted"),
    "wrong_se_count": ("reject", "envelope: segment count differs; the re-send is accepted"),
    "wrong_control_number": ("reject", "envelope: control number differs; the re-send is accepted"),
    "unknown_item": ("finding", "unknown_item; the other lines are accepted"),
    "unit_off_by_pack": ("finding", "unit_off_by_pack; nobody corrects it"),
    "sensor_spike": ("excursion", "spike"),
    "sensor_gap": ("excursion", "gap"),
    "sensor_stuck": ("excursion", "stuck"),
    "regime_change": ("finding", "regime_change"),
}
_X12_LINE = re.compile(r"LIN\*\*IN\*(\w+)\*UP\*\d+~CTP\*\*RTL\*[\d.]+~ZA\*QS\*(\d+)\*EA~")
_DC_LINE = re.compile(r"LIN\*\d+\*IN\*(\w+)\*UP\*\d+~QTY\*17\*(\d+)\*EA~")
_EDIFACT_LINE = re.compile(r"LIN\+\d+\+\+(\d+):EN'PRI\+AAE:[\d.]+::RTP'QTY\+153:(\d+):PCE'")
_LINES = {"852": _X12_LINE, "846": _DC_LINE, "SLSRPT": _EDIFACT_LINE}
_UNKNOWN_ITEM, _UNKNOWN_GTIN = "X99999", "0850009999993"


def chance(seed: int, *parts: object) -> float:
    """A number in [0, 1) that depends on its arguments only."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True, slots=True)
class Changed:
    """A body with one line changed: the item concerned, what it said and what it should have said."""

    body: str
    item_id: str
    said: int
    true: int


def record(net: Network, kind: str, day: int, **places: Any) -> dict[str, Any]:
    """One line of `truth/faults.jsonl`."""
    level, detail = EXPECTED[kind]
    if kind in ("late", "out_of_order") and places.get("document_kind") not in (*REPORTS, "INVRPT"):
        level, detail = "clock", "known late; the facts land on their own day"
    return {"kind": kind, "date": str(net.spec.date(day)), "expect_level": level, "expect": detail, **places}


def choose(net: Network, drafts: list[Draft], day: int) -> dict[int, str]:
    """Position of a draft → fault planted in it; at most one each. Specification order decides between two."""
    chosen: dict[int, str] = {}
    for fault in net.spec.faults:
        if not fault.from_day <= day < fault.to_day or fault.kind.startswith(("sensor", "regime")):
            continue
        able = [n for n, d in enumerate(drafts) if n not in chosen and _can(fault.kind, d)]
        hits = [
            n for n in able if chance(net.seed, fault.kind, drafts[n].kind, drafts[n].subject, day) < fault.rate_frac
        ]
        if day in fault.at_days and not hits and able:
            hits = [able[int(chance(net.seed, fault.kind, "at", day) * len(able))]]
        chosen |= dict.fromkeys(hits, fault.kind)
    return chosen


def _can(kind: str, draft: Draft) -> bool:
    if kind in ("corrected_resend", "unknown_item"):
        return draft.kind in REPORTS
    if kind == "unit_off_by_pack":
        return draft.kind in ("852", "SLSRPT")
    return kind == "duplicate" or draft.kind not in OWN_ORDERS


def break_envelope(draft: Draft, text: str, kind: str, control: int, dice: float) -> str:
    """Text of an interchange with its envelope broken.

    Args:
        draft: what it was made from.
        text: the good text.
        kind: truncated, wrong_se_count or wrong_control_number.
        control: its control number.
        dice: number in [0, 1) that chooses place or trailer.
    """
    if kind == "truncated":
        return text[: int(len(text) * (0.55 + 0.3 * dice))]
    is_x12 = draft.standard == "x12"
    if kind == "wrong_se_count":
        trailer = re.compile(r"SE\*(\d+)\*" if is_x12 else r"UNT\+(\d+)\+")
        return trailer.sub(lambda m: m.group(0).replace(m.group(1), str(int(m.group(1)) + 2)), text, count=1)
    if is_x12:
        swaps = ((f"IEA*1*{control:09d}", f"IEA*1*{control + 7:09d}"), (f"*{control}~IEA", f"*{control + 7}~IEA"))
        old, new = swaps[int(dice * len(swaps))]
    else:
        sets = len(draft.sets)
        old, new = f"UNZ+{sets}+{control:09d}", f"UNZ+{sets}+{control + 7:09d}"
    return text.replace(old, new)


def add_unknown_item(draft: Draft) -> Changed | None:
    """One more line, of an item no master knows; the other lines stay as they are."""
    code, body = draft.sets[0]
    if code == "852":
        extra = f"LIN**IN*{_UNKNOWN_ITEM}*UP*{_UNKNOWN_GTIN}~CTP**RTL*9.99~ZA*QS*1*EA~ZA*QA*5*EA~"
    elif code == "846":
        extra = f"LIN*999*IN*{_UNKNOWN_ITEM}*UP*{_UNKNOWN_GTIN}~QTY*17*5*EA~"
    else:
        return Changed(body + f"LIN+999++{_UNKNOWN_GTIN}:EN'PRI+AAE:9.99::RTP'QTY+153:1:PCE'", _UNKNOWN_GTIN, 1, 0)
    lines = int(body.rsplit("CTT*", 1)[1][:-1])
    return Changed(body.rsplit("CTT*", 1)[0] + extra + f"CTT*{lines + 1}~", _UNKNOWN_ITEM, 1, 0)


def change_quantity(net: Network, draft: Draft, kind: str, dice: float) -> Changed | None:
    """One reported quantity changed: another number, or off by the pack size. None where no line is large enough."""
    code, body = draft.sets[0]
    best: tuple[int, re.Match[str], int, str] | None = None
    index = {g: n for n, g in enumerate(net.gtins)} | {i: n for n, i in enumerate(net.item_ids)}
    for match in _LINES[code].finditer(body):
        item, quantity = index[match.group(1)], int(match.group(2))
        if quantity >= 4 and net.pack[item] >= 4 and (best is None or quantity > best[0]):
            best = (quantity, match, item, net.item_ids[item])
    if best is None:
        return None
    quantity, match, item, name = best
    unit, said = ("PCE" if code == "SLSRPT" else "EA"), quantity + max(2, quantity // 3)
    old_unit = unit
    if kind == "unit_off_by_pack":
        said = quantity * int(net.pack[item])
        if code == "852" and dice < 0.5:
            said, unit = quantity, "CA"
    mark = ":" if code == "SLSRPT" else "*"
    old, new = f"{mark}{quantity}{mark}{old_unit}", f"{mark}{said}{mark}{unit}"
    start, end = match.span()
    piece = body[start:end]
    head, tail = piece.rsplit(old, 1)
    return Changed(body[:start] + head + new + tail + body[end:], name, said, quantity)


def break_sensors(net: Network, series: list[Series], day: int) -> list[dict[str, Any]]:
    """Plant spikes, gaps and stuck stretches in today's readings, in place; returns their records."""
    records = []
    touched: set[int] = set()
    for fault in net.spec.faults:
        if not fault.kind.startswith("sensor") or not fault.from_day <= day < fault.to_day:
            continue
        able = [n for n, s in enumerate(series) if len(s.values) >= 12 and s.measure_code.endswith(("_c", "_mm_s"))]
        hits = [n for n in able if chance(net.seed, fault.kind, series[n].sensor_id, day) < fault.rate_frac]
        if day in fault.at_days and not hits and able:
            hits = [able[int(chance(net.seed, fault.kind, "at", day) * len(able))]]
        for n in hits:
            if n not in touched:
                touched.add(n)
                records.append(_break_sensor(net, fault, series[n], day))
    return records


def _break_sensor(net: Network, fault: FaultSpec, series: Series, day: int) -> dict[str, Any]:
    n = len(series.values)
    at = 2 + int(chance(net.seed, "place", fault.kind, series.sensor_id, day) * (n // 4))
    end = at + 1
    if fault.kind == "sensor_spike":
        series.values[at] = round(series.values[at] + (28.0 if series.measure_code.endswith("_c") else 15.0), 3)
    elif fault.kind == "sensor_stuck":
        end = at + max(8, n // 2)
        series.values[at:end] = [series.values[at]] * len(series.values[at:end])
    else:
        end = at + max(6, n // 3)
        series.values = series.values[:at] + series.values[end:]
        series.minutes = series.minutes[:at] + series.minutes[end:]
    return record(
        net, fault.kind, day, sensor_id=series.sensor_id, measure_code=series.measure_code, asset_id=series.asset_id,
        first_reading=at, readings=end - at, value=series.values[at] if fault.kind != "sensor_gap" else None,
    )  # fmt: skip
