"""Envelopes of what we write: ISA to IEA and UNB to UNZ around each body, and profiles that cannot make one refused."""

from __future__ import annotations

import re

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.edi.writing.pen import Pen
from aios_assets.edi.writing.profiles import Partner

# ISO 9735: the character set that the syntax identifier promises; of those not named here only ASCII is sure.
_CHARSETS = {
    "UNOC": "iso8859-1",
    "UNOD": "iso8859-2",
    "UNOE": "iso8859-5",
    "UNOF": "iso8859-7",
    "UNOG": "iso8859-3",
    "UNOH": "iso8859-4",
    "UNOI": "iso8859-6",
    "UNOJ": "iso8859-8",
    "UNOK": "iso8859-9",
    "UNOW": "utf-8",
}
_TWO, _X12_VERSION = re.compile(r"\S{2}"), re.compile(r"00(40[1-9]|4[1-9]\d|[5-9]\d\d)\d[A-Z0-9]{0,6}")
_SYNTAX, _EDIFACT_VERSION = (
    re.compile(r"UNO[A-Z]:[1-4]"),
    re.compile(r"[A-Z0-9]{1,3}:[A-Z0-9]{1,3}:[A-Z]{1,3}(:\w{1,6})?"),
)


def refuse_profile(partner: Partner, standard: str) -> None:
    """Refuse a profile whose envelope no partner could read: the fields of ISA have a fixed width, those of UNB a fixed form.

    Raises:
        BadInputError: with the setting and what it may be.
    """
    x12 = (
        ("our_qualifier", _TWO, "two characters, such as ZZ or 01"),
        ("partner_qualifier", _TWO, "two characters, such as ZZ or 01"),
        ("x12_version", _X12_VERSION, "six digits from 004010 on, such as 005010"),
        ("usage", re.compile("[PTI]"), "P production, T test or I information"),
    )
    edifact = (
        ("edifact_syntax", _SYNTAX, "such as UNOC:3"),
        ("edifact_version", _EDIFACT_VERSION, "such as D:96A:UN"),
        ("usage", re.compile("[PT]"), "P production or T test"),
    )
    for setting, form, meant in x12 if standard == "X12" else edifact:
        value = str(getattr(partner, setting))
        if form.fullmatch(value) is None:
            raise BadInputError(
                f"{setting} is '{value}', with which {standard} cannot be written",
                where=f"partner {partner.name}",
                todo=f"give {meant}",
            )


def x12_text(kind: str, group: str, pen: Pen) -> pl.Expr:
    """ISA, GS, ST, body, SE, GE, IEA of each row, from `control`, `body`, `segments` and `made_at`."""
    p = pen.partner
    element, component, _segment = p.delimiters("X12")
    padded, plain = pl.col("control").cast(pl.String).str.zfill(9), pl.col("control").cast(pl.String)
    sides = [f"{p.our_qualifier:<2}", f"{p.our_id:<15}", f"{p.partner_qualifier:<2}", f"{p.partner_id:<15}"]
    start = element.join(["ISA", "00", " " * 10, "00", " " * 10, *sides, ""])
    standards = element.join(["", p.repetition if p.x12_version >= "004020" else "U", p.x12_version[:5], ""])
    names = element.join(["GS", group, p.our_group_id or p.our_id, p.partner_group_id or p.partner_id, ""])
    end = pen.end
    return pl.concat_str(
        [
            pl.lit(start),
            _made("%y%m%d", element),
            pl.lit(standards),
            padded,
            pl.lit(f"{element}0{element}{p.usage}{element}{component}{end}{names}"),
            _made("%Y%m%d", element),
            pl.lit(element),
            plain,
            pl.lit(f"{element}X{element}{p.x12_version}{end}ST{element}{kind}{element}0001{end}"),
            pl.col("body"),
            pl.lit(f"SE{element}"),
            pl.col("segments").cast(pl.String),
            pl.lit(f"{element}0001{end}GE{element}1{element}"),
            plain,
            pl.lit(f"{end}IEA{element}1{element}"),
            padded,
            pl.lit(end),
        ]
    )


def edifact_text(kind: str, pen: Pen) -> pl.Expr:
    """UNA where the delimiters are not the usual ones, UNB, UNH, body, UNT, UNZ; from the same columns."""
    p = pen.partner
    element, component, segment = p.delimiters("EDIFACT")
    end = pen.end
    usual = (element, component, segment, p.release) == ("+", ":", "'", "?")
    una = "" if usual else f"UNA{component}{element}.{p.release} {segment}" + ("\n" if p.line_break else "")

    def party(identity: str, qualifier: str) -> str:
        return pen.released(identity) + (component + pen.released(qualifier) if qualifier else "")

    sides = [party(p.our_id, p.our_qualifier), party(p.partner_id, p.partner_qualifier)]
    unb = element.join(["UNB", p.edifact_syntax.replace(":", component), *sides, ""])
    # 0035, the eleventh element: without it a test message is a real one.
    test = element * 6 + "1" if p.usage == "T" else ""
    version = p.edifact_version.replace(":", component)
    control = pl.col("control").cast(pl.String)
    return pl.concat_str(
        [
            pl.lit(una + unb),
            _made("%Y%m%d" if p.edifact_syntax.endswith("4") else "%y%m%d", component),
            pl.lit(element),
            control,
            pl.lit(f"{test}{end}UNH{element}1{element}{kind}{component}{version}{end}"),
            pl.col("body"),
            pl.lit(f"UNT{element}"),
            pl.col("segments").cast(pl.String),
            pl.lit(f"{element}1{end}UNZ{element}1{element}"),
            control,
            pl.lit(end),
        ]
    )


def _made(day: str, separator: str) -> pl.Expr:
    """Date and time of an envelope."""
    at = pl.col("made_at").dt
    return pl.concat_str(at.strftime(day), at.strftime("%H%M"), separator=separator)


def as_bytes(texts: pl.DataFrame, partner: Partner, standard: str) -> pl.Series:
    """Documents as bytes in the character set that their envelope names; X12 names none, and is UTF-8.

    Args:
        texts: document and text.
        partner: whose syntax identifier holds.
        standard: X12 or EDIFACT.

    Raises:
        BadInputError: a document holds a character that its set does not have.
    """
    level = partner.edifact_syntax[:4]
    charset = _CHARSETS.get(level, "ascii") if standard == "EDIFACT" else "utf-8"
    plain = texts["text"].str.len_bytes() == texts["text"].str.len_chars()
    if charset == "utf-8" or bool(plain.all()):
        return texts["text"].cast(pl.Binary)
    out = []
    for document, text in texts.select("document", "text").iter_rows():
        try:
            out.append(text.encode(charset))
        except UnicodeEncodeError as error:
            raise BadInputError(
                f"{level} has no character '{text[error.start]}'",
                where=f"document {document}, partner {partner.name}",
                todo="change the value, or agree with the partner on another edifact_syntax",
            ) from error
    return pl.Series(out, dtype=pl.Binary)
