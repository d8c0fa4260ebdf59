"""Units that the writers write, beside the code lists of both standards."""

from __future__ import annotations

import csv
import itertools
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.price_basis import MEASURES, PIECES
from aios_assets.edi.writing.documents import write
from aios_assets.edi.writing.profiles import Partner
from tests.unit.edi.make import frame

CODES = Path(__file__).parents[3] / "dbt_project" / "codes" / "seed_unit_codes.csv"
# UN/ECE Recommendation 20, and what EDIFACT 6411 of D.96A has besides (PCE); CT, CS, PK, BX and CR are containers of both lists.
_REC_20 = (
    "PCE C62 H87 EA NAR PR DZN GRO GGR CEN MIL SET KGM GRM LBR ONZ APZ STN LTR MLT GLL MTR CMT INH FOT YRD FTK CT CS PK BX CR \
MGM HGM TNE DTN LTN DMQ CMQ CLT DLT HLT MTQ QTL PTL OZA GLI PTI OZI FTQ DMT MMT KMT MTK CMK INK YDK"
)
_X12_355 = "EA PC UN 1N PR DZ GS GG HC HU TH ST KG GR LB OZ TO TN LT ML GA MR CM IN FT YD SF CA CT CS PK BX CR \
ME MP LG CC QT PT FO GI CF MM LM LF LY SM SC SI SY"
# Measures that Recommendation 20 alone has a code for: a buyer who trades by them says so in his partner's profile.
NO_X12 = {"HGM", "DTN", "CLT", "DLT", "HLT", "MTQ", "PTI", "OZI", "DMT", "KMT"}
REC_20, X12_355 = set(_REC_20.split()), set(_X12_355.split())
# Of one measure in both lists.
SAME = {"KG": "KGM", "GR": "GRM", "LB": "LBR", "OZ": "ONZ", "TO": "APZ", "TN": "STN", "LT": "LTR", "ML": "MLT", "GA": "GLL", "MR": "MTR",
        "CM": "CMT", "IN": "INH", "FT": "FOT", "YD": "YRD", "SF": "FTK", "DZ": "DZN", "GS": "GRO", "GG": "GGR", "HC": "CEN", "TH": "MIL", "ST": "SET",
        "ME": "MGM", "MP": "TNE", "LG": "LTN", "CC": "CMQ", "QT": "QTL", "PT": "PTL", "FO": "OZA", "GI": "GLI", "CF": "FTQ", "MM": "MMT", "SM": "MTK", "SC": "CMK", "SI": "INK", "SY": "YDK"}  # fmt: skip


def written(kind: str, asked: list[str], **profile: object) -> list[str]:
    """Units as they stand in a document of one line for each."""
    rows = pl.DataFrame({"unit_code": asked}).with_columns(
        order_number=pl.lit("P1"), order_date=date(2026, 1, 3), order_line=pl.int_range(1, len(asked) + 1).cast(pl.String),
        buyer_id=pl.lit("B"), seller_id=pl.lit("S"), ship_to_site_id=pl.lit("T"), item_id=pl.lit("A"), quantity=1.0,
    )  # fmt: skip
    count = itertools.count(1)
    partner = Partner("p", "ME", "YOU", **profile)  # type: ignore[arg-type]
    made = write(
        kind, rows, partner, numbers=lambda _, p: [next(count) for _ in p], now=datetime(2026, 1, 3, tzinfo=UTC)
    )
    facts = read_documents(frame(*made.documents["content"])).facts["raw_edi__order_lines"]
    return facts["unit_code"].to_list()


@pytest.mark.parametrize(("kind", "known"), [("ORDERS", REC_20), ("850", X12_355 | NO_X12)])
def test_every_unit_that_we_know_is_written_in_the_words_of_the_standard(kind: str, known: set[str]) -> None:
    with CODES.open(encoding="utf-8") as file:
        units = {row["unit_code"] for row in csv.DictReader(file)}
    units |= REC_20 | X12_355 | set(PIECES) | {u for of, _ in MEASURES.values() for u in of}
    asked = sorted(u for u in units if not u.startswith("X"))  # X…: packages, which neither list has
    assert set(written(kind, asked)) <= known


@pytest.mark.parametrize(("own", "other"), SAME.items())
def test_a_unit_is_the_same_measure_in_either_standard(own: str, other: str) -> None:
    assert written("ORDERS", [own, other]) == [other, other] and written("850", [own, other]) == [own, own]


def test_a_profile_names_units_otherwise_and_what_nobody_knows_stays() -> None:
    assert written("ORDERS", ["KG", "EA", "QQ"], units={"KG": "KILO", "EA": "H87"}) == ["KILO", "H87", "QQ"]


@pytest.mark.parametrize(("kind", "units"), [("850", ["KG", "LT", "MR"]), ("ORDERS", ["KGM", "LTR", "MTR"])])
def test_an_order_of_goods_by_weight_is_written_with_its_decimals_and_reads_back(kind: str, units: list[str]) -> None:
    amounts = [160.0, 12.5, 0.375]
    rows = pl.DataFrame({"unit_code": ["KGM", "LTR", "MTR"], "quantity": amounts}).with_columns(
        order_number=pl.lit("P1"), order_date=date(2026, 1, 3), order_line=pl.int_range(1, 4).cast(pl.String),
        buyer_id=pl.lit("B"), seller_id=pl.lit("S"), ship_to_site_id=pl.lit("T"), item_id=pl.lit("A"),
    )  # fmt: skip
    made = write(
        kind, rows, Partner("p", "ME", "YOU"), numbers=lambda _, p: [1 for _ in p], now=datetime(2026, 1, 3, tzinfo=UTC)
    )
    facts = read_documents(frame(*made.documents["content"])).facts["raw_edi__order_lines"].sort("order_line")
    assert facts["quantity"].to_list() == amounts and facts["unit_code"].to_list() == units
