"""Units of an item master: what an item is counted in, as people write it, in the codes of UN/ECE Recommendation 20."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from aios_assets.contracts.measures import COMMON_CODES, EACH_UNITS
from aios_assets.tabular.cells import Fault
from aios_assets.tabular.files import Sheet
from aios_assets.tabular.mapping import Mapping
from aios_assets.tabular.shape import Shaped

BASE, PIECE, CASE = "base_unit_code", "piece_ea", "case_gtin"
# Symbols of the SI that are no codes of either standard.
_SYMBOLS = {"G": "GRM", "L": "LTR", "CL": "CLT", "M": "MTR"}
_CODES: dict[str, str | None] = {**COMMON_CODES, **_SYMBOLS, **dict.fromkeys(EACH_UNITS)}


def in_common_codes(sheet: Sheet, mapping: Mapping) -> tuple[Sheet, Mapping]:
    """A file and its mapping with units in one standard's codes (KG, kg and KGM are KGM), and none for what is counted in pieces.

    What is no unit stays as it is, to be set aside with its row.

    >>> in_common_codes(Sheet(pl.DataFrame({"base_unit_code": [" kg", "EA", "bag"]}), ["base_unit_code"]), Mapping())[0].rows.to_series().to_list()
    ['KGM', None, 'bag']
    """
    theirs = mapping.columns.get(BASE, BASE)
    if theirs in sheet.columns and BASE not in mapping.constants:
        written = pl.col(theirs).str.strip_chars().str.to_uppercase()
        known = written.replace_strict(_CODES, default=pl.col(theirs), return_dtype=pl.String)
        sheet = replace(sheet, rows=sheet.rows.with_columns(known.alias(theirs)))
    if BASE in mapping.constants:
        stated = mapping.constants[BASE]
        code = _CODES.get(stated.strip().upper(), stated)
        others = {k: v for k, v in mapping.constants.items() if k != BASE}
        mapping = replace(mapping, constants=others if code is None else others | {BASE: code})
    return sheet, mapping


def without_strays(shaped: Shaped, mapping: Mapping) -> Shaped:
    """Without rows whose piece or case cannot be: a piece of so many pieces, a GTIN of a case that is none."""
    stray = pl.col(PIECE).is_not_null() & pl.col(BASE).is_null()
    wrong = ~pl.col(CASE).str.contains(r"^[1-8]\d{13}$") & pl.col(CASE).is_not_null()
    piece, case = (mapping.columns.get(name, name) for name in (PIECE, CASE))
    faults = [
        Fault(row, piece, "stray_piece", f"{value:g} has no base_unit_code beside it: say of what a piece is so much", f"{value:g}")
        for row, value in shaped.rows.filter(stray).select("_row", PIECE).iter_rows()
    ]  # fmt: skip
    faults += [
        Fault(row, case, "no_case", f"'{value[:60]}' is no GTIN-14 of a case: 14 digits, of which the first is 1 to 8", value)
        for row, value in shaped.rows.filter(wrong).select("_row", CASE).iter_rows()
    ]  # fmt: skip
    return Shaped(shaped.rows.filter(~stray & ~wrong), [*shaped.faults, *faults], shaped.read)
