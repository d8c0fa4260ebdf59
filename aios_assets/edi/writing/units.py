"""Units of measure in the words of each standard: X12 element 355 and UN/ECE Recommendation 20 (EDIFACT 6411).

Facts keep units as partners sent them, in either standard's words; a document is written in those of its own. A code that both lists
have stays, as does one that neither has.
"""

from __future__ import annotations

# X12 355 to Recommendation 20, where they differ. Of pieces and cartons the codes of D.96A, which partners read, stand for those of today (H87).
TO_REC_20 = {
    "EA": "PCE",
    "PC": "PCE",
    "UN": "PCE",
    "CA": "CT",
    "DZ": "DZN",
    "GS": "GRO",
    "GG": "GGR",
    "HC": "CEN",
    "HU": "CEN",
    "TH": "MIL",
    "ST": "SET",
    "KG": "KGM",
    "GR": "GRM",
    "LB": "LBR",
    "OZ": "ONZ",
    "TO": "APZ",
    "TN": "STN",
    "LT": "LTR",
    "ML": "MLT",
    "GA": "GLL",
    "MR": "MTR",
    "CM": "CMT",
    "IN": "INH",
    "FT": "FOT",
    "YD": "YRD",
    "SF": "FTK",
    "ME": "MGM",
    "MP": "TNE",
    "LG": "LTN",
    "CC": "CMQ",
    "GI": "GLI",
    "QT": "QTL",
    "PT": "PTL",
    "FO": "OZA",
    "CF": "FTQ",
    "MM": "MMT",
    "LM": "MTR",
    "LF": "FOT",
    "LY": "YRD",
    "SM": "MTK",
    "SC": "CMK",
    "SI": "INK",
    "SY": "YDK",
}
_SPELT = {"EACH": "EA", "PCS": "PC", "BOX": "BX", "CASE": "CA"}
_TO_X12 = {
    **{other: own for own, other in reversed(TO_REC_20.items()) if other not in ("PCE", "CT")},
    **dict.fromkeys(("PCE", "C62", "H87", "NAR"), "EA"),
    "DMQ": "LT",
    **_SPELT,
}
USUAL = {
    "X12": _TO_X12,
    "EDIFACT": {**TO_REC_20, **{word: TO_REC_20.get(code, code) for word, code in _SPELT.items()}, "1N": "PCE"},
}
