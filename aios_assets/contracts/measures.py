"""Units of weight, volume, length and area: how many kilograms, litres, metres or square metres one of each is.

Source: UN/ECE Recommendation 20 (codes of EDIFACT 6411) and X12 element 355 (codes of X12); factors as the SI Brochure, the international
yard and pound agreement of 1959 (1 lb = 0.45359237 kg, 1 yd = 0.9144 m), NIST Handbook 44 appendix C (1 US gallon = 231 in³) and the UK
Weights and Measures Act 1985 (1 imperial gallon = 4.54609 l) define them: all exact. `dbt_project/codes/seed_unit_codes.csv` holds the same.

A code that one standard gives another meaning than the other is that of the standard that lists it as a measure (X12 GR is a gram, GS a gross).
"""

from __future__ import annotations

_POUND_KG, _FOOT_M, _INCH_M, _YARD_M = 0.45359237, 0.3048, 0.0254, 0.9144
_GALLON_L, _IMPERIAL_GALLON_L, _CUBIC_FOOT_L = 3.785411784, 4.54609, 28.316846592

# Dimension → amount in its own unit (kg, l, m, m²) → codes of that amount, that of Recommendation 20 first.
_AMOUNTS: dict[str, dict[float, tuple[str, ...]]] = {
    "weight": {
        1.0: ("KGM", "KG"),
        0.001: ("GRM", "GR"),
        0.000001: ("MGM", "ME"),
        0.1: ("HGM",),
        1000.0: ("TNE", "MP"),
        100.0: ("DTN",),
        _POUND_KG: ("LBR", "LB"),
        0.028349523125: ("ONZ", "OZ"),
        0.0311034768: ("APZ", "TO"),
        907.18474: ("STN", "TN"),
        1016.0469088: ("LTN", "LG"),
    },
    "volume": {
        1.0: ("LTR", "LT", "DMQ"),
        0.001: ("MLT", "ML", "CMQ", "CC"),
        0.01: ("CLT",),
        0.1: ("DLT",),
        100.0: ("HLT",),
        1000.0: ("MTQ",),
        _GALLON_L: ("GLL", "GA"),
        0.946352946: ("QTL", "QT"),
        0.473176473: ("PTL", "PT"),
        0.0295735295625: ("OZA", "FO"),
        _IMPERIAL_GALLON_L: ("GLI", "GI"),
        0.56826125: ("PTI",),
        0.0284130625: ("OZI",),
        _CUBIC_FOOT_L: ("FTQ", "CF"),
    },
    "length": {
        1.0: ("MTR", "MR", "LM"),
        0.1: ("DMT",),
        0.01: ("CMT", "CM"),
        0.001: ("MMT", "MM"),
        1000.0: ("KMT",),
        _INCH_M: ("INH", "IN"),
        _FOOT_M: ("FOT", "FT", "LF"),
        _YARD_M: ("YRD", "YD", "LY"),
    },
    "area": {
        1.0: ("MTK", "SM"),
        0.0001: ("CMK", "SC"),
        0.00064516: ("INK", "SI"),
        0.09290304: ("FTK", "SF"),
        0.83612736: ("YDK", "SY"),
    },
}
# Code → dimension and how many of its own unit (kg, l, m, m²) one is.
MEASURES: dict[str, tuple[str, float]] = {
    code: (dimension, amount) for dimension, amounts in _AMOUNTS.items() for amount, codes in amounts.items() for code in codes
}  # fmt: skip
# Code → the code of Recommendation 20 for the same amount.
COMMON_CODES: dict[str, str] = {
    code: codes[0] for amounts in _AMOUNTS.values() for codes in amounts.values() for code in codes
}
# What an item may be counted in instead of eaches.
BASE_UNITS: tuple[str, ...] = tuple(dict.fromkeys(COMMON_CODES.values()))
# Units in which one is one each.
EACH_UNITS: tuple[str, ...] = ("EA", "PCE", "PC", "PCS", "C62", "H87", "UN", "EACH", "NAR")


def converted(quantity: float, unit: str, other: str) -> float | None:
    """A quantity in another unit of the same dimension; None where they measure different things, or one of them nothing known.

    >>> converted(10, "LB", "OZ"), converted(1, "KGM", "LTR")
    (160.0, None)
    """
    (kind, amount), (other_kind, other_amount) = (MEASURES.get(code, ("", 1.0)) for code in (unit, other))
    return quantity * amount / other_amount if kind and kind == other_kind else None
