"""What an item master says an item is counted in, as people write it."""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from aios_assets.contracts.measures import BASE_UNITS, COMMON_CODES, MEASURES, converted
from aios_assets.tabular import read_master
from aios_assets.tabular.master import MASTER_KINDS

CODES = Path(__file__).parents[3] / "dbt_project" / "codes" / "seed_unit_codes.csv"
DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
ITEMS = MASTER_KINDS["items"].name


def items(text: str, mapping: str | None = None) -> tuple[pl.DataFrame, list[str]]:
    """Rows and reasons of a file of items."""
    row = {"document_id": "d", "content": text.encode(), "source_uri": "master/items/i.csv", "mapping_json": mapping, "available_at_utc": DAY}  # fmt: skip
    batch = read_master(pl.DataFrame([row], schema_overrides={"mapping_json": pl.String}))
    return batch.frames[ITEMS], batch.rejects["reason"].to_list()


def test_units_are_taken_as_people_write_them() -> None:
    text = "item_id,pack_ea,base_unit_code,piece_ea\nA,10,kg,\nB,10,KGM,0.25\nC,6,L,\nD,5,FT,\nE,12,EA,\nF,1,,\n"
    rows, reasons = items(text)
    assert not reasons and dict(rows.select("item_id", "base_unit_code").iter_rows()) == {
        "A": "KGM", "B": "KGM", "C": "LTR", "D": "FOT", "E": None, "F": None,
    }  # fmt: skip
    assert rows["piece_ea"].to_list() == [None, 0.25, None, None, None, None]


def test_a_file_without_the_columns_is_of_pieces() -> None:
    rows, reasons = items("item_id,pack_ea\nA,12\n")
    assert not reasons and rows.select("base_unit_code", "piece_ea", "case_gtin").row(0) == (None, None, None)


def test_a_unit_piece_or_case_that_cannot_be_sets_its_row_aside_and_says_why() -> None:
    text = (
        "item_id,pack_ea,base_unit_code,piece_ea,case_gtin\nA,1,bag,,\nB,1,,0.5,\nC,1,KGM,0,\nD,6,,,4006381333931\nE,6,,,14006381333938\n"
    )  # fmt: skip
    rows, reasons = items(text)
    assert rows["item_id"].to_list() == ["E"] and len(reasons) == 4
    for part in ("'bag' is none of KGM", "0.5 has no base_unit_code beside it", "is less than 1e-06", "'4006381333931' is no GTIN-14"):  # fmt: skip
        assert any(part in reason for reason in reasons), (part, reasons)


def test_the_marts_convert_by_the_same_factors() -> None:
    with CODES.open(encoding="utf-8") as file:
        rows = {r["unit_code"]: (r["conversion_code"], float(r["factor_base"])) for r in csv.DictReader(file) if r["factor_base"]}  # fmt: skip
    assert rows == MEASURES and set(BASE_UNITS) <= set(rows) and set(COMMON_CODES) == set(rows)


# Each by its definition: 7000 grains to the pound and 437.5 to the ounce, 12 inches to the foot, 231 cubic inches to the gallon of 128 fl oz.
@pytest.mark.parametrize(
    ("quantity", "unit", "other", "expected"),
    [
        (16, "OZ", "LB", 1), (2000, "LB", "STN", 1), (2240, "LB", "LG", 1), (1000, "GRM", "KGM", 1), (1, "TNE", "KGM", 1000), (10, "HGM", "KG", 1),
        (5760 / 437.5, "ONZ", "APZ", 12), (128, "FO", "GA", 1), (8, "PT", "GLL", 1), (4, "QT", "GA", 1), (160, "OZI", "GLI", 1), (8, "PTI", "GI", 1),
        (1728 / 231, "GA", "CF", 1), (1, "MTQ", "LTR", 1000), (12, "IN", "FT", 1), (3, "FOT", "YRD", 1), (2.54, "CM", "INH", 1), (144, "SI", "SF", 1),
        (9, "FTK", "SY", 1), (10_000, "CMK", "SM", 1),
    ],
)  # fmt: skip
def test_a_measure_is_as_much_as_its_definition_says(quantity: float, unit: str, other: str, expected: float) -> None:
    made = converted(quantity, unit, other)
    assert made is not None and math.isclose(made, expected, rel_tol=1e-12)


@pytest.mark.parametrize(("unit", "other"), [("KGM", "LTR"), ("MTR", "MTK"), ("EA", "KGM"), ("KGM", "EA"), ("ZZ", "ZZ")])  # fmt: skip
def test_what_measures_another_thing_is_not_converted(unit: str, other: str) -> None:
    assert converted(1, unit, other) is None
