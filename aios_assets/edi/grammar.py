"""Grammar as data: what the elements of common segments must look like, whatever the release.

The dictionary is our own and deliberately mild: what it flags is wrong in every release from 002040 to 008060 and from D.93A
to D.23A. Findings accept a set with errors; they never reject it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.counts import SCHEMA
from aios_assets.edi.tokens import Ints, Tokens, code_of
from aios_assets.edi.words import say


@dataclass(frozen=True, slots=True)
class Element:
    """What one element must be.

    Attributes:
        place: its number in the segment; for EDIFACT (element, component).
        name: plain name.
        kind: AN text, N whole number, R decimal number, DT date, TM time.
        must: whether it is mandatory.
        most: longest length over all releases; 0 is not checked.
    """

    place: int | tuple[int, int]
    name: str
    kind: str = "AN"
    must: bool = False
    most: int = 0


def _e(place: int | tuple[int, int], name: str, kind: str = "AN", *, must: bool = False, most: int = 0) -> Element:
    return Element(place, name, kind, must, most)


X12: dict[str, tuple[Element, ...]] = {
    "BEG": (
        _e(1, "purpose", must=True, most=2),
        _e(2, "order type", must=True, most=2),
        _e(3, "order number", must=True, most=22),
        _e(5, "order date", "DT", must=True),
    ),
    "BCH": (
        _e(1, "purpose", must=True, most=2),
        _e(2, "order type", must=True, most=2),
        _e(3, "order number", must=True, most=22),
        _e(6, "order date", "DT", must=True),
    ),
    "BAK": (
        _e(1, "purpose", must=True, most=2),
        _e(2, "acknowledgement type", must=True, most=2),
        _e(3, "order number", must=True, most=22),
        _e(4, "date", "DT", must=True),
    ),
    "BCA": (
        _e(1, "purpose", must=True, most=2),
        _e(3, "order number", must=True, most=22),
        _e(6, "date", "DT", must=True),
    ),
    "BSN": (
        _e(1, "purpose", must=True, most=2),
        _e(2, "shipment identification", must=True, most=30),
        _e(3, "date", "DT", must=True),
        _e(4, "time", "TM", must=True),
    ),
    "BIG": (
        _e(1, "invoice date", "DT", must=True),
        _e(2, "invoice number", must=True, most=22),
        _e(3, "order date", "DT"),
    ),
    "BIA": (
        _e(1, "purpose", must=True, most=2),
        _e(2, "report type", must=True, most=2),
        _e(3, "reference", must=True),
        _e(4, "date", "DT", must=True),
    ),
    "BRA": (_e(1, "reference", must=True), _e(2, "date", "DT", must=True), _e(3, "purpose", must=True, most=2)),
    "XQ": (_e(1, "handling code", must=True, most=3), _e(2, "date", "DT"), _e(3, "end date", "DT")),
    "DTM": (_e(1, "date qualifier", must=True, most=3), _e(2, "date", "DT"), _e(3, "time", "TM")),
    "PO1": (_e(2, "quantity", "R"), _e(4, "unit price", "R")),
    "POC": (
        _e(2, "change code", must=True, most=2),
        _e(3, "quantity", "R"),
        _e(4, "quantity left", "R"),
        _e(6, "unit price", "R"),
    ),
    "IT1": (_e(2, "quantity", "R"), _e(4, "unit price", "R")),
    "ACK": (_e(1, "line status", must=True, most=2), _e(2, "quantity", "R"), _e(5, "date", "DT")),
    "SN1": (_e(2, "units shipped", "R", must=True), _e(3, "unit", must=True)),
    "HL": (_e(1, "hierarchical number", must=True, most=12), _e(3, "level code", must=True, most=2)),
    "LIN": (_e(2, "item qualifier", must=True, most=2), _e(3, "item", must=True)),
    "QTY": (_e(1, "quantity qualifier", must=True, most=2), _e(2, "quantity", "R")),
    "ZA": (_e(1, "activity code", must=True, most=2), _e(2, "quantity", "R"), _e(5, "date", "DT")),
    "RCD": (_e(2, "quantity received", "R"), _e(4, "quantity returned", "R"), _e(6, "quantity in question", "R")),
    "N1": (_e(1, "entity code", must=True, most=3), _e(2, "name", most=60)),
    "REF": (_e(1, "reference qualifier", must=True, most=3),),
    "CTT": (_e(1, "number of lines", "N", must=True), _e(2, "hash total", "R")),
    "AT7": (_e(5, "date", "DT"), _e(6, "time", "TM")),
    "AK1": (_e(1, "group code", must=True, most=2), _e(2, "group control number", must=True)),
    "AK2": (_e(1, "set type", must=True, most=3), _e(2, "set control number", must=True, most=9)),
    "AK5": (_e(1, "verdict", must=True, most=1),),
    "AK9": (
        _e(1, "verdict", must=True, most=1),
        _e(2, "sets included", "N", must=True),
        _e(3, "sets received", "N", must=True),
        _e(4, "sets accepted", "N", must=True),
    ),
    "TDS": (_e(1, "total", "R", must=True),),
    "CTP": (_e(3, "unit price", "R"),),
    "SDQ": (_e(1, "unit", must=True), _e(3, "store", must=True), _e(4, "quantity", "R", must=True)),
    "SCH": (_e(1, "quantity", "R", must=True), _e(6, "date", "DT")),
}
EDIFACT: dict[str, tuple[Element, ...]] = {
    "BGM": (_e((1, 1), "document name"), _e((3, 1), "function", most=3)),
    "DTM": (_e((1, 1), "date qualifier", must=True, most=3), _e((1, 2), "date", "DTM")),
    "LIN": (_e((1, 1), "line number", most=6), _e((3, 1), "item", most=35)),
    "QTY": (_e((1, 1), "quantity qualifier", must=True, most=3), _e((1, 2), "quantity", "R", must=True)),
    "NAD": (_e((1, 1), "party qualifier", must=True, most=3),),
    "RFF": (_e((1, 1), "reference qualifier", must=True, most=3),),
    "PRI": (_e((1, 2), "price", "R"),),
    "MOA": (_e((1, 1), "amount qualifier", must=True, most=3), _e((1, 2), "amount", "R")),
    "LOC": (_e((1, 1), "place qualifier", must=True, most=3),),
    "CNT": (_e((1, 1), "control qualifier", must=True, most=3), _e((1, 2), "control total", "R", must=True)),
}
_SCHEMA = SCHEMA
NO_FINDINGS = pl.DataFrame(schema={**_SCHEMA, "row": pl.Int64})
_EDIFACT_CODES = {
    "1": "CONTRL:13",
    "5": "CONTRL:39",
    "6": "CONTRL:37",
    "8": "CONTRL:12",
    "9": "CONTRL:12",
    "3:1": "CONTRL:15",
}


def check_elements(tokens: Tokens, owner: npt.NDArray[np.int32], fresh: int = 0) -> pl.DataFrame:
    """Find element and segment errors.

    Args:
        tokens: a batch.
        owner: set of each of its segments, -1 outside.
        fresh: the first segment that was not checked before.

    Returns:
        row, set, element_no, tag, error_code (AK3 or AK4 code, or CONTRL code), reason, seg, value.
    """
    rows = np.flatnonzero(owner >= 0)
    rows = rows[rows >= fresh]
    opens = np.flatnonzero(tokens.kind == 3)
    x12 = (tokens.code[opens] == code_of("ST"))[owner[rows]] if len(opens) else np.zeros(len(rows), dtype=np.bool_)
    out = [_unknown_tags(tokens, owner, rows, x12)]
    for name, dictionary, own in (("X12", X12, rows[x12]), ("EDIFACT", EDIFACT, rows[~x12])):
        codes = tokens.code[own]
        for tag, elements in dictionary.items():
            some = own[codes == code_of(tag)]
            if len(some):
                out.extend(_check_tag(tokens, owner, some, tag, name, elements))
    return pl.concat(out)


def _unknown_tags(tokens: Tokens, owner: npt.NDArray[np.int32], rows: Ints, x12: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """Segment tags that no release can have: not two or three capitals and digits (three capitals in EDIFACT)."""
    start = tokens.start[rows]
    tag_end = np.minimum(tokens.tag_ends(rows), tokens.end[rows])
    letters = [tokens.slicer.bytes[np.minimum(start + n, tag_end - 1)] for n in range(3)]
    size = tag_end - start
    capital = [(c >= 0x41) & (c <= 0x5A) for c in letters]
    digit = [(c >= 0x30) & (c <= 0x39) for c in letters]
    known_x12 = (size >= 2) & (size <= 3) & capital[0] & (capital[1] | digit[1]) & (capital[2] | digit[2])
    known_edifact = (size == 3) & capital[0] & capital[1] & capital[2]
    bad = np.flatnonzero(~np.where(x12, known_x12, known_edifact))
    frame = pl.DataFrame(
        {
            "row": rows[bad],
            "set": owner[rows[bad]],
            "full": tokens.slicer.strings(start[bad], tag_end[bad]).fill_null(""),
            "x12": x12[bad],
            "seg": tokens.segments(rows[bad]).str.head(1000),
        }
    )
    code = pl.when(pl.col("x12")).then(pl.lit("AK3:1")).otherwise(pl.lit("CONTRL:15"))
    return frame.select(
        "row",
        "set",
        pl.lit(None, dtype=pl.Int32).alias("element_no"),
        pl.col("full").str.head(10).alias("tag"),
        code.alias("error_code"),
        say("'{}' is not a segment of the standard", pl.col("full").str.head(20)).alias("reason"),
        "seg",
        pl.col("full").alias("value"),
    ).cast(_SCHEMA)  # type: ignore[arg-type]


def _check_tag(
    tokens: Tokens,
    owner: npt.NDArray[np.int32],
    rows: Ints,
    tag: str,
    standard: str,
    elements: tuple[Element, ...],
) -> list[pl.DataFrame]:
    out = []
    form = tokens.value(rows, 1, 3).fill_null("") if any(e.kind == "DTM" for e in elements) else None
    for element in elements:
        number, component = (element.place, 0) if isinstance(element.place, int) else element.place
        value = pl.DataFrame({"value": tokens.value(rows, number, component).fill_null("")})
        if form is not None:
            value = value.with_columns(form=form)
        for code, wrong, words in _rules(element):
            hit = np.flatnonzero(value.select(wrong.alias("wrong"))["wrong"].fill_null(value=False).to_numpy())
            if not len(hit):
                continue
            name = f"AK4:{code}" if standard == "X12" else _EDIFACT_CODES[code]
            found = pl.DataFrame(
                {
                    "row": rows[hit],
                    "set": owner[rows[hit]],
                    "seg": tokens.segments(rows[hit]).str.head(1000),
                    "value": value["value"].gather(hit),
                }
            )
            out.append(
                found.select(
                    "row",
                    "set",
                    pl.lit(number, dtype=pl.Int32).alias("element_no"),
                    pl.lit(tag).alias("tag"),
                    pl.lit(name).alias("error_code"),
                    say("{} '{}' " + words, pl.lit(element.name), pl.col("value").str.head(40)).alias("reason"),
                    "seg",
                    "value",
                ).cast(_SCHEMA)  # type: ignore[arg-type]
            )
    return out


def _rules(element: Element) -> list[tuple[str, pl.Expr, str]]:
    """(code of X12 element 723, where it holds, plain words)."""
    value = pl.col("value")
    given = value != ""
    rules: list[tuple[str, pl.Expr, str]] = []
    if element.must:
        rules.append(("1", ~given, "is mandatory and missing"))
    if element.most:
        rules.append(("5", value.str.len_chars() > element.most, f"is longer than {element.most}"))
    if element.kind == "N":
        rules.append(("6", given & ~value.str.contains(r"^-?\d+$"), "is not a whole number"))
    if element.kind == "R":
        rules.append(
            ("6", given & ~value.str.contains(r"^[-+]?(\d+([.,]\d*)?|[.,]\d+)([Ee][-+]?\d+)?$"), "is not a number")
        )
    if element.kind == "DT":
        digits = value.str.len_bytes()
        full = pl.when(digits == 6).then(pl.lit("20") + value).otherwise(value)
        wrong = given & (~digits.is_in([6, 8]) | full.str.to_date("%Y%m%d", strict=False).is_null())
        rules.append(("8", wrong, "is not a date (CCYYMMDD or YYMMDD)"))
    if element.kind == "TM":
        rules.append(
            ("9", given & ~value.str.contains(r"^([01]\d|2[0-3])[0-5]\d([0-5]\d\d{0,2})?$"), "is not a time (HHMM)")
        )
    if element.kind == "DTM":
        form = pl.col("form")
        day = value.str.head(8).str.to_date("%Y%m%d", strict=False)
        digits = value.str.len_bytes()
        wrong = (form == "102") & ((digits != 8) | day.is_null()) | (form == "203") & (
            ~digits.is_in([12, 14]) | day.is_null()
        )
        rules.append(("8", given & wrong, "is not a date of the format it names"))
    return rules
