"""Prices that are stated for more than one unit, or for another one, made prices of one unit of the quantity.

A price of 150 per hundred that is read as 150 each is wrong by a factor of a hundred. Where the units do not tell how many pieces they
are, there is no price per unit; the raw segment keeps what was said.
"""

from __future__ import annotations

import polars as pl

from aios_assets.contracts import measures
from aios_assets.edi.typing_rules import read_number

# Pieces in one unit, where the unit alone says so (as dbt_project/codes/seed_unit_codes.csv).
PIECES = {
    **dict.fromkeys(("EA", "PCE", "PC", "PCS", "C62", "H87", "UN", "EACH", "NAR", "1N", "ST", "SET"), 1.0),
    "PR": 2.0,
    **dict.fromkeys(("DZ", "DZN"), 12.0),
    **dict.fromkeys(("HC", "HU", "CEN"), 100.0),
    **dict.fromkeys(("GS", "GRO"), 144.0),
    **dict.fromkeys(("TH", "MIL"), 1000.0),
    **dict.fromkeys(("GG", "GGR"), 1728.0),
}
# Source: X12 element 639, the codes that say for how many pieces a price is.
COUNTS = {
    **dict.fromkeys(("PE", "LE", "QE", "RE", "TE", "WE"), 1.0),
    "PN": 10.0,
    **dict.fromkeys(("PD", "LD", "RD", "TD", "WD"), 12.0),
    **dict.fromkeys(("HP", "LC", "QH", "RC", "TC", "WC"), 100.0),
    **dict.fromkeys(("TP", "LM", "QS", "RM", "TM", "WM"), 1000.0),
    "TT": 10_000.0,
    "HT": 100_000.0,
}
# Source: X12 element 639, the codes that say per how much of which measure a price is: units of that measure, and how many of them.
MEASURES = {
    "PP": (("LB", "LBR"), 1.0),
    "PO": (("OZ", "ONZ"), 1.0),
    "PA": (("TO", "APZ"), 1.0),
    "PG": (("GR", "GRM"), 1.0),
    "PK": (("KG", "KGM"), 1.0),
    "PT": (("TN", "STN"), 1.0),
    "PL": (("LT", "LTR"), 1.0),
    "ML": (("ML", "MLT"), 1.0),
    "PF": (("FT", "FOT"), 1.0),
    "HF": (("FT", "FOT"), 100.0),
    "TF": (("FT", "FOT"), 1000.0),
    "PS": (("SF", "FTK"), 1000.0),
    "PY": (("YD", "YRD"), 1.0),
    "P1": (("MR", "MTR"), 1000.0),
    "P7": (("MR", "MTR"), 1.0),
}


def x12_per_unit(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines without `price_basis` (element 639), their `unit_price` per `unit_code`.

    A price per each goes with any unit: partners send it with cases too, where it means the case. A price per pound goes with goods
    by weight only: what a case weighs is not said.

    Args:
        lines: unit_price, price_basis and unit_code as texts, unit_code null for pieces.
    """
    if lines["price_basis"].null_count() == lines.height:
        return lines.drop("price_basis")
    basis, unit = pl.col("price_basis").str.to_uppercase(), pl.col("unit_code").str.to_uppercase()
    count = basis.replace_strict(COUNTS, default=None, return_dtype=pl.Float64)
    factor = _pieces(pl.col("unit_code")) / count
    for code, (units, many) in MEASURES.items():
        factor = pl.when(basis == code).then(_measured(unit, pl.lit(units[0])) / many).otherwise(factor)
    which = ((count > 1) | basis.is_in(list(MEASURES))) & pl.col("unit_price").is_not_null()
    return _repriced(lines, which, factor).drop("price_basis")


def edifact_per_unit(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines without `price_count` (5284) and `price_unit` (6411), their `unit_price` per `unit_code`.

    Args:
        lines: unit_price, price_count, price_unit and unit_code as texts, unit_code null for pieces.
    """
    said = lines.select("price_count", "price_unit")
    if said.null_count().sum_horizontal().item() == 2 * lines.height:
        return lines.drop("price_count", "price_unit")
    count = read_number(pl.col("price_count")).fill_null(1.0)
    other = pl.col("price_unit").is_not_null() & (pl.col("price_unit") != pl.col("unit_code").fill_null("PCE"))
    unit, priced = pl.col("unit_code"), pl.col("price_unit")
    ratio = pl.when(other).then(pl.coalesce(_pieces(unit) / _pieces(priced), _measured(unit, priced))).otherwise(1.0)
    which = pl.col("unit_price").is_not_null() & ((count != 1.0) | other & (ratio != 1.0).fill_null(value=True))
    return _repriced(lines, which, pl.when(count > 0).then(ratio / count)).drop("price_count", "price_unit")


def _pieces(unit: pl.Expr) -> pl.Expr:
    return unit.fill_null("EA").str.to_uppercase().replace_strict(PIECES, default=None, return_dtype=pl.Float64)


def _measured(unit: pl.Expr, other: pl.Expr) -> pl.Expr:
    """How many of another unit of the same dimension one unit is; null where it is of another, or none."""
    kind, amount = ({code: found[n] for code, found in measures.MEASURES.items()} for n in (0, 1))
    (own, its), (their, theirs) = (
        (u.replace_strict(kind, default=None, return_dtype=pl.String), u.replace_strict(amount, default=None, return_dtype=pl.Float64))
        for u in (unit.str.to_uppercase(), other.str.to_uppercase())
    )  # fmt: skip
    # Of one and the same unit exactly 1.
    return pl.when(own == their).then(its / theirs)


def _repriced(lines: pl.DataFrame, which: pl.Expr, factor: pl.Expr) -> pl.DataFrame:
    """Some prices times a factor; none where the factor is not known. A price that is no number is left to be rejected."""
    which = which.fill_null(value=False) & read_number(pl.col("unit_price")).is_not_null()
    if not lines.select(which.any()).item():
        return lines
    price = (read_number(pl.col("unit_price")) * factor).cast(pl.String)
    return lines.with_columns(unit_price=pl.when(which).then(price).otherwise("unit_price"))
