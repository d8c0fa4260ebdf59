"""Partner profiles as data: delimiters, identifications, versions, qualifiers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.contracts.flags import as_flags
from aios_assets.edi.writing.units import USUAL

DEFAULT_FILE = Path(__file__).with_name("partners.yaml")


@dataclass(frozen=True, slots=True)
class Partner:
    """How one partner wants to be written to.

    Attributes:
        name: how we call it.
        our_id: our identification in ISA06 or UNB.
        our_qualifier: its qualifier (ISA05, 0007).
        partner_id: theirs in ISA08 or UNB.
        partner_qualifier: its qualifier.
        our_group_id: GS02; ours where empty.
        partner_group_id: GS03; theirs where empty.
        element: element separator.
        component: component separator.
        segment: segment terminator.
        release: EDIFACT release character.
        repetition: repetition separator, written from 00402 on.
        line_break: whether a line feed follows each segment.
        x12_version: GS08, such as 004010 or 005010.
        edifact_version: such as D:96A:UN.
        edifact_syntax: such as UNOC:3.
        usage: P production or T test.
        item_qualifier: how our item numbers are named (IN, BP, SK; EDIFACT IN).
        party_qualifier: how sites and parties are numbered (N103: 92 by buyer; EDIFACT 3055: 92).
        gtin_qualifier: X12 qualifier of the GTIN (UP, EN, UK).
        units: our unit codes in the partner's words; those of X12 355 and of Recommendation 20 are written in the standard's own unless named
            otherwise (`units.py`; EDIFACT partners read PCE for EA and CT for CA).
    """

    name: str
    our_id: str
    partner_id: str
    our_qualifier: str = "ZZ"
    partner_qualifier: str = "ZZ"
    our_group_id: str = ""
    partner_group_id: str = ""
    element: str = ""
    component: str = ""
    segment: str = ""
    release: str = "?"
    repetition: str = "^"
    line_break: bool = True
    x12_version: str = "004010"
    edifact_version: str = "D:96A:UN"
    edifact_syntax: str = "UNOC:3"
    usage: str = "P"
    item_qualifier: str = "IN"
    party_qualifier: str = "92"
    gtin_qualifier: str = "UP"
    units: dict[str, str] = field(default_factory=dict)

    def unit_codes(self, standard: str) -> dict[str, str]:
        """Our unit codes in the partner's words."""
        return {**USUAL[standard], **self.units}

    def delimiters(self, standard: str) -> tuple[str, str, str]:
        """Element separator, component separator and terminator; the standard's own where the profile names none."""
        usual = ("*", ">", "~") if standard == "X12" else ("+", ":", "'")
        return self.element or usual[0], self.component or usual[1], self.segment or usual[2]


def _partner(name: str, values: dict[str, Any], where: str) -> Partner:
    known = {f.name for f in fields(Partner)} - {"name"}
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadInputError(
            f"partner '{name}' has unknown settings: {', '.join(unknown)}",
            where=where,
            todo=f"use {', '.join(sorted(known))}",
        )
    odd = sorted(k for k, v in values.items() if not isinstance(v, dict if k == "units" else str))
    if odd:
        raise BadInputError(f"settings of partner '{name}' are no plain values: {', '.join(odd)}", where=where)
    try:
        settings = values | {"line_break": _flag(values["line_break"], where)} if "line_break" in values else values
        partner = Partner(name=name, **settings)
    except TypeError as error:
        raise BadInputError(f"partner '{name}' lacks our_id or partner_id", where=where, todo="add them") from error
    for standard in ("X12", "EDIFACT"):
        marks = partner.delimiters(standard)
        if len(set(marks)) != 3 or any(len(m) != 1 or m.isalnum() for m in marks):
            raise BadInputError(
                f"the delimiters of partner '{name}' are not three different service characters",
                where=where,
                todo="correct them",
            )
    if max(len(partner.our_id), len(partner.partner_id)) > 15:
        raise BadInputError(
            f"an identification of partner '{name}' is longer than the 15 characters of ISA",
            where=where,
            todo="shorten it",
        )
    return partner


def _flag(text: str, where: str) -> bool:
    flag = as_flags(pl.Series("line_break", [text]), where)[0]
    if flag is None:
        raise BadInputError("'line_break' is empty", where=where, todo="use true or false, or leave it out")
    return bool(flag)


def load_partners(path: Path | None = None) -> dict[str, Partner]:
    """Profiles by name from a YAML file; the examples that come with the package when none is named.

    Raises:
        BadInputError: the file is no mapping of partners, or a profile is wrong.
        UsageError: there is no such file.
    """
    source = path or DEFAULT_FILE
    if not source.is_file():
        raise UsageError("there is no such file of partner profiles", where=str(source), todo="name a YAML file")
    try:
        # values as written: qualifier 01 and version 004010 are no numbers, and NO is no false
        data = yaml.load(source.read_text("utf-8"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(
            "the partner profiles are no readable YAML", where=str(source), todo="correct the file"
        ) from error
    if not isinstance(data, dict) or not all(isinstance(v, dict) for v in data.values()):
        raise BadInputError(
            "the partner profiles are not a mapping of names to settings", where=str(source), todo="see docs/edi.md"
        )
    return {str(name): _partner(str(name), values, str(source)) for name, values in data.items()}
