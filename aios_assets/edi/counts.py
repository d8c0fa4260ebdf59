"""Totals and numbers inside an interchange that no trailer holds: line counts (CTT, CNT), repeated control numbers, missing segments.

They accept a set with errors; the set is whole, so its lines land.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.stores import SPLIT, check_stores
from aios_assets.edi.tokens import Ints, Tokens, code_of
from aios_assets.edi.words import say

# What CTT01 counts in each X12 set, and the segment each begins with. Source: X12 transaction set tables, position of CTT.
COUNTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("850", "855"), ("PO1",)),
    **dict.fromkeys(("860", "865"), ("POC",)),
    **dict.fromkeys(("846", "852", "830", "862", "832"), ("LIN",)),
    "810": ("IT1",),
    # The standard counts HL; half of the partners count items.
    "856": ("HL", "LIN", "SN1"),
    "861": ("RCD",),
}
BEGINNING = {
    "850": "BEG",
    "855": "BAK",
    "856": "BSN",
    "860": "BCH",
    "865": "BCA",
    "810": "BIG",
    "852": "XQ",
    "846": "BIA",
    "861": "BRA",
    "214": "B10",
    "204": "B2",
    "990": "B1",
    "997": "AK1",
    "999": "AK1",
    "940": "W05",
    "943": "W06",
    "944": "W17",
    "945": "W06",
    "947": "W15",
    "862": "BSS",
    "830": "BFR",
    "820": "BPR",
    "824": "BGN",
    "867": "BPT",
    "210": "B3",
    "832": "BCT",
}
# Functional identifier code of the group that each X12 set belongs in. Source: X12 data element 479.
GROUPED = {
    "204": "SM",
    "210": "IM",
    "214": "QM",
    "270": "HS",
    "271": "HB",
    "276": "HR",
    "277": "HN",
    "278": "HI",
    "810": "IN",
    "820": "RA",
    "824": "AG",
    "830": "PS",
    "832": "SC",
    "834": "BE",
    "835": "HP",
    "837": "HC",
    "846": "IB",
    "850": "PO",
    "852": "PD",
    "855": "PR",
    "856": "SH",
    "860": "PC",
    "861": "RC",
    "862": "SS",
    "864": "TX",
    "865": "CA",
    "867": "PT",
    "875": "OG",
    "940": "OW",
    "943": "AR",
    "944": "RE",
    "945": "SW",
    "947": "AW",
    "990": "GF",
    "997": "FA",
    "999": "FA",
}
# EDIFACT messages whose CNT+2 is the number of LIN segments, and all that begin with BGM.
_LINED = ("ORDERS", "ORDCHG", "ORDRSP", "DESADV", "RECADV", "INVOIC", "INVRPT", "SLSRPT", "DELFOR", "DELJIT", "PRICAT")
_BEGUN = (*_LINED, "IFTMIN", "IFTSTA", "REMADV", "APERAK")


def check_counts(
    tokens: Tokens,
    starts: Ints,
    types: list[tuple[str, str]],
    type_of: npt.NDArray[np.int32],
    owner: npt.NDArray[np.int32],
    fresh: int,
    before: tuple[int, ...],
) -> pl.DataFrame:
    """Line counts that differ from the lines, order lines and activities that differ from their stores, and sets without the segment they must begin with.

    Args:
        tokens: a batch.
        starts: header rows of its sets.
        types: (standard, type) by number.
        type_of: number of the type of each set.
        owner: set of each segment, -1 outside.
        fresh: the first segment that was not checked before.
        before: of the first set, how many of each of `counted_tags` were read before; empty where it begins here.

    Returns:
        as `grammar.check_elements`.
    """
    out = [_findings({})]
    for n, (standard, code) in enumerate(types):
        counted = counted_tags(standard, code)
        first = BEGINNING.get(code) if standard == "X12" else "BGM" if code in _BEGUN else None
        own = np.flatnonzero(type_of == n)
        inside = owner >= 0
        inside[inside] = type_of[owner[inside]] == n
        if counted:
            out.append(_wrong_totals(tokens, standard, counted, inside, owner, fresh, before))
        if first is not None:
            held = owner[inside & (tokens.code == code_of(first))]
            none = own[~np.isin(own, held)]
            none = none[starts[none] >= fresh]
            out.append(_missing(tokens, standard, first, none, starts))
        if standard == "X12" and code in SPLIT and (inside & (tokens.code == code_of("SDQ"))).any():
            found = check_stores(tokens, code, inside, owner, fresh)
            where = found["row"].to_numpy()
            texts = {"tag": tokens.tags(where), "seg": tokens.segments(where)}
            out.append(found.with_columns(**texts).select(*SCHEMA).cast(SCHEMA))  # type: ignore[arg-type]
    return pl.concat(out)


def counted_tags(standard: str, code: str) -> tuple[str, ...]:
    """Segments of which the total of a set may be the number."""
    return COUNTED.get(code, ()) if standard == "X12" else ("LIN",) if code in _LINED else ()


def _wrong_totals(
    tokens: Tokens,
    standard: str,
    counted: tuple[str, ...],
    inside: npt.NDArray[np.bool_],
    owner: npt.NDArray[np.int32],
    fresh: int,
    before: tuple[int, ...],
) -> pl.DataFrame:
    real = np.arange(tokens.height) >= fresh
    sets = int(owner.max(initial=0)) + 1
    own = inside & real
    lines = [np.bincount(owner[own & (tokens.code == code_of(tag))], minlength=sets) for tag in counted]
    if inside[owner == 0].any():
        for count, earlier in zip(lines, before, strict=False):
            count[0] += earlier
    rows = np.flatnonzero(inside & real & (tokens.code == code_of("CTT" if standard == "X12" else "CNT")))
    if standard == "EDIFACT":
        kind = tokens.value(rows, 1, 1)
        rows = rows[(kind == "2").fill_null(value=False).to_numpy()]
    said = tokens.value(rows, 1, 0 if standard == "X12" else 2)
    number = said.cast(pl.Int64, strict=False)
    have = lines[0][owner[rows]]
    right = np.zeros(len(rows), dtype=np.bool_)
    for count in lines:
        right |= (number == pl.Series(count[owner[rows]], dtype=pl.Int64)).fill_null(value=False).to_numpy()
    # A total of nothing at all is the unreadable element that the dictionary names.
    wrong = number.is_not_null().to_numpy() & ~right
    hit = rows[wrong]
    return _findings(
        {
            "row": hit,
            "set": owner[hit],
            "element_no": np.ones(len(hit), dtype=np.int32),
            "tag": ["CTT" if standard == "X12" else "CNT"] * len(hit),
            "error_code": ["AK4:7" if standard == "X12" else "CONTRL:29"] * len(hit),
            "reason": [
                f"the set says {a} line items, {b} {counted[0]} segments were counted"
                for a, b in zip(number.to_numpy()[wrong].astype(int), have[wrong], strict=True)
            ],
            "seg": tokens.segments(hit),
            "value": said.filter(pl.Series(wrong)),
        }
    )


def _missing(tokens: Tokens, standard: str, tag: str, sets: Ints, starts: Ints) -> pl.DataFrame:
    rows = starts[sets]
    return _findings(
        {
            "row": rows,
            "set": sets.astype(np.int32),
            "element_no": pl.Series([None] * len(rows), dtype=pl.Int32),
            "tag": [tag] * len(rows),
            "error_code": ["AK3:3" if standard == "X12" else "CONTRL:13"] * len(rows),
            "reason": [f"the mandatory segment {tag} is missing"] * len(rows),
            "seg": tokens.segments(rows),
            "value": [""] * len(rows),
        }
    )


def repeated_numbers(sets: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Control numbers that a set uses twice in its group, or a group twice in its interchange.

    Args:
        sets: as `Envelopes.sets`.
        groups: as `Envelopes.groups`.

    Returns:
        as `grammar.check_elements`, rows and sets counted over the whole reading; a group is told of at its first set.
    """
    x12 = pl.col("standard_code") == "X12"
    # Only the columns wanted: a filter of all of them is a copy of all.
    named = sets.select("gi", pl.col("gg").fill_null(-1), "control_number", "standard_code", "start", "gs")
    named = named.filter(pl.col("control_number") != "")
    # By a number for each first: tables of the numbers themselves would weigh more than the sets.
    named = named.filter(named.select(pl.struct("gi", "gg", "control_number").hash()).to_series().is_duplicated())
    again = named.filter(pl.int_range(pl.len()).over("gi", "gg", "control_number") > 0)
    twice = groups.filter(pl.col("control_number") != "")
    twice = twice.filter(pl.int_range(pl.len()).over("gi", "control_number") > 0)
    first = sets.select("gg", "gs", "start", own="control_number").unique("gg", keep="first", maintain_order=True)
    twice = twice.select("gg", "control_number", "standard_code").join(
        first, on="gg", how="inner", maintain_order="left"
    )
    frames = [
        frame.select(
            pl.col("start").alias("row"),
            pl.col("gs").alias("set"),
            pl.lit(2, dtype=pl.Int32).alias("element_no"),
            pl.when(x12).then(pl.lit(tags[0])).otherwise(pl.lit(tags[1])).alias("tag"),
            pl.when(x12).then(pl.lit(code)).otherwise(pl.lit("CONTRL:26")).alias("error_code"),
            say(words, "control_number").alias("reason"),
            pl.lit("").alias("seg"),
            pl.col("control_number").alias("value"),
        ).cast(SCHEMA | {"row": pl.Int64})  # type: ignore[arg-type]
        for frame, tags, code, words in (
            (again, ("ST", "UNH"), "AK5:23", "control number {} stands for an earlier set of the same group, too"),
            (
                twice,
                ("GS", "UNG"),
                "AK9:19",
                "group control number {} stands for an earlier group of the interchange, too",
            ),
        )
    ]
    return pl.concat(frames)


def misplaced(sets: pl.DataFrame) -> pl.DataFrame:
    """Sets in a group that is not for their type (GS01).

    Args:
        sets: as `Envelopes.sets`.

    Returns:
        as `repeated_numbers`; the identifier of a set that does not fit its group is AK502 6.
    """
    due = pl.col("set_code").replace_strict(GROUPED, default=None, return_dtype=pl.String)
    grouped = (
        sets.select("standard_code", "set_code", "group_code", "start", "gs")
        .filter(pl.col("standard_code") == "X12", pl.col("group_code") != "")
        .with_columns(due=due)
    )
    wrong = grouped.filter(pl.col("due") != pl.col("group_code").str.to_uppercase())
    words = say("{} belongs in a group of kind {}, GS01 of its group says {}", "set_code", "due", "group_code")
    found = wrong.select(
        pl.col("start").alias("row"),
        pl.col("gs").alias("set"),
        pl.lit(1, dtype=pl.Int32).alias("element_no"),
        pl.lit("ST").alias("tag"),
        pl.lit("AK5:6").alias("error_code"),
        words.alias("reason"),
        pl.lit("").alias("seg"),
        pl.col("group_code").alias("value"),
    )
    return found.cast(SCHEMA | {"row": pl.Int64})  # type: ignore[arg-type]


SCHEMA = {
    "row": pl.Int32,
    "set": pl.Int32,
    "element_no": pl.Int32,
    "tag": pl.String,
    "error_code": pl.String,
    "reason": pl.String,
    "seg": pl.String,
    "value": pl.String,
}


def _findings(columns: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(columns).cast(SCHEMA) if columns else pl.DataFrame(schema=SCHEMA)  # type: ignore[arg-type]
