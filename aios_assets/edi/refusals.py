"""What a receiving advice takes in and what it refuses: X12 861 (RCD) and EDIFACT RECADV (QTY, QVR).

Refused units are neither stock nor on the way, so `quantity` of a receipt is what was taken in, in either standard, and
`rejected_quantity` what came and was not.
"""

from __future__ import annotations

import polars as pl

from aios_assets.edi.packing import direct, grouped, grouped_quantities
from aios_assets.edi.typing_rules import UNCLEAR, Typed, ask, read_number, with_number
from aios_assets.edi.view import View, attach, first_component, having
from aios_assets.edi.words import say

# X12 412: damaged, poor quality, wrong product, rejected, scrapped, over and returned. What is held (09), waits for its notice (13) or is
# over and kept (03) is on site; what is short (02, 16) never came.
NOT_TAKEN = ("01", "04", "05", "08", "10", "12")
ACCEPTANCE = "8"
# Quantity, unit and condition of the five quantities in question.
_QUESTIONS = tuple((n, n + 1, n + 2) for n in range(6, 21, 3))
# 6063: received and not accepted, to be returned, to be destroyed; damaged goods.
_RETURNED, _DAMAGED = ("195", "196"), "124"
# 4221 that say of a variance to what was despatched that it came and was not accepted: damaged, too late.
_CAME_REFUSED = ("AF", "AG")
_TAKEN = ("194", "48", "46", "12")


def _text(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.String)


def x12_taken(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add rejected_quantity and `other_unit` to RCD rows, and make quantity what was taken in.

    Units received (RCD02) include what is returned (RCD04) and what is in question because of its condition (RCD06 …), unless the set is
    an acceptance certificate (BRA04 is 8): there units received are units accepted. Units returned and units in question are
    mostly the same ones, so the larger of both counts. Where more is refused than was received, RCD02 can only be what was accepted.

    Args:
        base: RCD rows with set, quantity and unit_code, in order.
        view: 861 sets.

    Source: X12 861 and segment RCD, 003020 and later, note on BRA04; conditions are code list 412.
    """
    none = pl.lit(None, dtype=pl.String)
    if view.longest("RCD") < 4:
        return base.with_columns(rejected_quantity=none, other_unit=none)
    at = {f"{name}{q}": n for q, place in enumerate(_QUESTIONS) for name, n in zip("quc", place, strict=True)}
    more = view.pick("RCD", returned=4, returned_unit=5, **at)
    for unit in ("returned_unit", *(f"u{q}" for q in range(len(_QUESTIONS)))):
        more = first_component(more, unit)
    base = base.with_columns(more.drop("row", "set", "line").iter_columns())
    base = attach(base, view.pick("BRA", advice_kind=4), "set", "advice_kind")
    in_question = [pl.when(pl.col(f"c{q}").is_in(list(NOT_TAKEN))).then(f"q{q}") for q in range(len(_QUESTIONS))]
    told = [pl.col("returned"), *in_question]
    units = [pl.col("returned_unit"), *(pl.col(f"u{q}") for q in range(len(_QUESTIONS)))]
    base = base.with_columns(
        refused=pl.max_horizontal(
            read_number(pl.col("returned")), pl.sum_horizontal(read_number(text) for text in in_question)
        ),
        # It sets its line aside.
        unreadable=pl.coalesce(pl.when(read_number(text).is_null()).then(text) for text in told),
        other_unit=pl.coalesce(
            pl.when((read_number(text) > 0) & (unit != pl.col("unit_code"))).then(unit)
            for text, unit in zip(told, units, strict=True)
        ),
        stated=read_number(pl.col("quantity")),
    )
    includes = (pl.col("advice_kind").fill_null("") != ACCEPTANCE) & (pl.col("stated") >= pl.col("refused"))
    return _taken(base, includes)


def _taken(base: pl.DataFrame, includes: pl.Expr) -> pl.DataFrame:
    """quantity and rejected_quantity from `stated` (null: not told) and `refused` (null: none); only what `includes` says is subtracted."""
    refuses = (pl.col("refused") > 0) & pl.col("other_unit").is_null()
    nothing_else = pl.col("quantity").is_null()
    return base.with_columns(
        quantity=pl.when(refuses & nothing_else)
        .then(pl.lit("0"))
        .when(refuses & includes & pl.col("stated").is_not_null())
        .then(_text(pl.col("stated") - pl.col("refused")))
        .otherwise("quantity"),
        rejected_quantity=pl.coalesce("unreadable", pl.when(pl.col("refused") > 0).then(_text(pl.col("refused")))),
    )


def ask_about_units(typed: Typed, base: pl.DataFrame) -> Typed:
    """Set aside, for a person to release, the lines that tell what they refuse in another unit than what they received."""
    told = base.filter(pl.col("other_unit").is_not_null())
    words = say(
        "what is refused is told in {}, what was received in {}: the one cannot be taken from the other; release it to take in all of it",
        pl.col("other_unit"),
        pl.col("unit_code"),
    )
    return ask(typed, told.with_columns(asks=words), "row", "asks", UNCLEAR)


def edifact_taken(base: pl.DataFrame, view: View) -> pl.DataFrame:
    """Add quantity, unit_code, rejected_quantity and `other_unit` to LIN rows.

    Units received and accepted (194) are taken in as they stand. Units received (48), delivered (46) or despatched (12) include
    what was refused: QTY or QVR 195, 196 and 124, and variances to what was despatched that came damaged or too late. A variance
    of the stated kind that says no such thing is what came short or over. Where 48 and 194 are both told, the rest was refused.

    Source: UN/EDIFACT 6063 and 4221; EANCOM RECADV, notes on QTY and QVR.
    """
    counted = direct(grouped_quantities(view), view)
    base = attach(
        base, having(counted, "kind", *_TAKEN).with_columns(stated_kind="kind"), "line", "quantity", "unit_code", "stated_kind"
    )  # fmt: skip
    varied = with_number(grouped(view, "QVR", quantity=(1, 1), kind=(1, 2), discrepancy=2), "quantity")
    # Those behind PCI say of marked packages what the line says of all of them.
    is_own = pl.col("at") == pl.col("line")
    varied = varied.filter(is_own | ~is_own.any().over("line"))
    told = pl.concat([counted.select("line", "kind", "quantity", "unit_code"), varied], how="diagonal_relaxed")
    base = _joined(base, _refused(told), "refused", "unreadable", "refused_unit", "accepted", "received")
    base = _joined(base, _short(varied), "short", "short_kind")
    off = pl.when((pl.col("short_kind") == pl.col("stated_kind")) & (pl.col("stated_kind") != "194")).then("short")
    base = base.with_columns(
        refused=pl.max_horizontal("refused", (pl.col("received") - pl.col("accepted")).clip(0)),
        stated=read_number(pl.col("quantity")) + off.fill_null(0.0),
        other_unit=pl.when(pl.col("refused_unit") != pl.col("unit_code")).then("refused_unit"),
    )
    base = base.with_columns(quantity=pl.when(off.is_not_null()).then(_text(pl.col("stated"))).otherwise("quantity"))
    return _taken(base, (pl.col("stated_kind") != "194") & (pl.col("stated") >= pl.col("refused")))


def _joined(base: pl.DataFrame, found: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return base.join(found.select("line", *columns), on="line", how="left", maintain_order="left")


def _refused(told: pl.DataFrame) -> pl.DataFrame:
    """Per line: units refused, what of it cannot be read, the unit it is told in, and units accepted and received where both are told."""
    kind, number = pl.col("kind"), read_number(pl.col("quantity"))
    came = kind.is_in([*_RETURNED, _DAMAGED]) | pl.col("discrepancy").is_in(list(_CAME_REFUSED))
    returned = number.abs().filter(kind.is_in(list(_RETURNED))).sum()
    damaged = number.abs().filter(came & ~kind.is_in(list(_RETURNED))).sum()
    return told.group_by("line", maintain_order=True).agg(
        refused=pl.max_horizontal(returned, damaged),
        unreadable=pl.col("quantity").filter(came & pl.col("quantity").is_not_null() & number.is_null()).first(),
        refused_unit=pl.col("unit_code").filter(came & pl.col("unit_code").is_not_null()).first(),
        accepted=number.filter(kind == "194").first(),
        received=number.filter(kind == "48").first(),
    )


def _short(varied: pl.DataFrame) -> pl.DataFrame:
    """Per line the first variance to a quantity told that says how much less or more came."""
    plain = varied.filter(
        pl.col("kind").is_in(list(_TAKEN)) & ~pl.col("discrepancy").is_in(list(_CAME_REFUSED)).fill_null(value=False)
    )
    return plain.unique("line", keep="first", maintain_order=True).select(
        "line", short=read_number(pl.col("quantity")), short_kind="kind"
    )
