"""EDI for human eyes: an indented, annotated listing of a document, and the difference of two."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from aios_assets.edi.canonical import pieces
from aios_assets.edi.delims import Delimiters
from aios_assets.edi.grammar import EDIFACT, X12
from aios_assets.edi.locate import segments
from aios_assets.edi.source import plain

NAMES: dict[str, str] = {
    "ISA": "interchange header",
    "IEA": "interchange trailer",
    "GS": "group header",
    "GE": "group trailer",
    "ST": "set header",
    "SE": "set trailer",
    "TA1": "interchange acknowledgement",
    "BEG": "purchase order",
    "BCH": "order change",
    "BAK": "order acknowledgement",
    "BCA": "change acknowledgement",
    "BSN": "shipment notice",
    "BIG": "invoice",
    "BIA": "inventory report",
    "BRA": "receiving advice",
    "XQ": "reporting period",
    "B10": "shipment status",
    "N1": "party",
    "N2": "party name",
    "N3": "address",
    "N4": "city",
    "PER": "contact",
    "REF": "reference",
    "DTM": "date",
    "CUR": "currency",
    "FOB": "terms of delivery",
    "ITD": "terms of payment",
    "TD1": "packages",
    "TD5": "carrier",
    "TD3": "equipment",
    "PO1": "order line",
    "POC": "changed line",
    "IT1": "invoice line",
    "ACK": "line answer",
    "PID": "description",
    "PO4": "pack",
    "SCH": "schedule",
    "SDQ": "quantities by store",
    "SLN": "subline",
    "LIN": "item",
    "SN1": "quantity shipped",
    "QTY": "quantity",
    "ZA": "activity",
    "CTP": "price",
    "CTT": "totals",
    "TDS": "invoice total",
    "SAC": "allowance or charge",
    "AMT": "amount",
    "TXI": "tax",
    "HL": "level",
    "MAN": "marks",
    "PRF": "order reference",
    "RCD": "receipt",
    "LX": "line number",
    "AT7": "status",
    "MS1": "place",
    "MS2": "equipment",
    "L11": "reference",
    "N9": "reference",
    "MSG": "message",
    "NTE": "note",
    "AK1": "group answered",
    "AK2": "set answered",
    "AK3": "segment in error",
    "AK4": "element in error",
    "AK5": "set verdict",
    "AK9": "group verdict",
    "IK3": "segment in error",
    "IK4": "element in error",
    "IK5": "set verdict",
    "G62": "date",
    "W05": "shipping order",
    "W01": "item to ship",
    "W06": "shipment",
    "W12": "item shipped",
    "W66": "carrier",
    "UIT": "unit",
    "MEA": "measurement",
    "NM1": "party",
    "UNA": "service characters",
    "UNB": "interchange header",
    "UNZ": "interchange trailer",
    "UNG": "group header",
    "UNE": "group trailer",
    "UNH": "message header",
    "UNT": "message trailer",
    "UNS": "section",
    "BGM": "document",
    "NAD": "party",
    "RFF": "reference",
    "CUX": "currency",
    "PIA": "item numbers",
    "IMD": "description",
    "PRI": "price",
    "MOA": "amount",
    "LOC": "place",
    "CPS": "packing level",
    "PAC": "packages",
    "TDT": "transport",
    "FTX": "text",
    "CNT": "totals",
    "ALC": "allowance or charge",
    "TAX": "tax",
    "CTA": "contact",
    "COM": "communication",
    "STS": "status",
    "CNI": "consignment",
    "PCI": "marks",
    "GIN": "serial numbers",
    "UCI": "interchange verdict",
    "UCM": "message verdict",
    "UCS": "segment in error",
    "UCD": "element in error",
    "PAT": "terms of payment",
    "TOD": "terms of delivery",
    "EQD": "equipment",
    "SCC": "schedule",
}
_DEPTH = {
    "ISA": 0,
    "UNB": 0,
    "IEA": 0,
    "UNZ": 0,
    "UNA": 0,
    "GS": 1,
    "GE": 1,
    "UNG": 1,
    "UNE": 1,
    "TA1": 1,
    "ST": 2,
    "SE": 2,
    "UNH": 2,
    "UNT": 2,
}
_OPENERS = {
    "PO1",
    "POC",
    "IT1",
    "LIN",
    "HL",
    "RCD",
    "AK2",
    "LX",
    "CNI",
    "STS",
    "CPS",
    "UCM",
    "W01",
    "W12",
    "CTT",
    "UNS",
}


def split(content: bytes) -> Iterator[tuple[int, str, list[str], Delimiters]]:
    """Every segment with its first byte, tag, elements and the delimiters in force."""
    content = plain(content)
    cut = pieces(content)
    which = 0
    for start, end, _tag in segments(content):
        while which + 1 < len(cut) and start >= cut[which].end:
            which += 1
        d = cut[which].delimiters
        raw = content[start:end].translate(None, b"\r\n") if d.wraps else content[start:end]
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode(d.encoding, "replace")
        yield start, *_elements(text, d)


def _elements(text: str, d: Delimiters) -> tuple[str, list[str], Delimiters]:
    element, release = d.element.decode("latin-1"), d.release.decode("latin-1")
    if not release or release not in text:
        parts = text.split(element)
        return parts[0].strip(), parts[1:], d
    parts, word, skip = [], "", False
    for char in text:
        if skip or char not in (element, release):
            word, skip = word + char, False
        elif char == release:
            word, skip = word + char, True
        else:
            parts.append(word)
            word = ""
    parts.append(word)
    return parts[0].strip(), parts[1:], d


def listing(content: bytes) -> Iterator[str]:
    """Lines of an annotated listing: byte position, indented segment, plain name, and known elements by name.

    Args:
        content: document as received; nothing is yielded for what is neither X12 nor EDIFACT.
    """
    depth = 3
    for start, tag, elements, d in split(content):
        own = _DEPTH.get(tag)
        if own is not None:
            level, depth = own, 3
        elif tag in _OPENERS:
            level, depth = 3, 4
        else:
            level = depth
        joiner = d.element.decode("latin-1") if d.element.isascii() and d.element > b"\x1f" else "*"
        text = joiner.join([tag, *elements])
        note = NAMES.get(tag, "")
        named = _named(tag, elements, d)
        yield f"{start:>8}  {'  ' * level}{text}" + (f"    — {note}" if note else "") + (f": {named}" if named else "")


def _named(tag: str, elements: list[str], d: Delimiters) -> str:
    out = []
    for e in (X12 if d.standard == "X12" else EDIFACT).get(tag, ()):
        number, component = (e.place, 0) if isinstance(e.place, int) else e.place
        value = elements[number - 1] if number <= len(elements) else ""
        if component:
            parts = value.split(d.component.decode("latin-1")) if d.component else [value]
            value = parts[component - 1] if component <= len(parts) else ""
        if value.strip():
            out.append(f"{e.name} {value.strip()}")
    return ", ".join(out)


def difference(a: bytes, b: bytes) -> list[str]:
    """Segments that differ, delimiters, line breaks and trailing blanks aside: lines that begin with `-` or `+`.

    Args:
        a: one document.
        b: the other.
    """
    left, right = ([_neutral(tag, elements, d) for _, tag, elements, d in split(x)] for x in (a, b))
    return [line for line in difflib.unified_diff(left, right, lineterm="", n=1) if not line.startswith(("---", "+++"))]


def _neutral(tag: str, elements: list[str], d: Delimiters) -> str:
    component = d.component.decode("latin-1")
    shown = [e.strip().replace(component, ":") if component and tag != "ISA" else e.strip() for e in elements]
    if tag == "ISA" and len(shown) == 16:
        shown[15] = ":"
    while shown and not shown[-1]:
        shown.pop()
    return "*".join([tag, *shown])
