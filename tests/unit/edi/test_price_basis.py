"""A price for a hundred is no price for one: what a document says of the basis of its prices is heeded."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.price_basis import PIECES
from tests.unit.edi.make import edifact, frame, x12


@pytest.mark.parametrize(
    ("unit", "price", "basis", "want"),
    [
        ("EA", "150", "", 150.0),
        ("EA", "150", "PE", 150.0),
        ("EA", "150", "SR", 150.0),
        ("EA", "150", "HP", 1.5),
        ("EA", "150", "hp", 1.5),
        ("EA", "24", "PD", 2.0),
        ("DZ", "24", "PD", 24.0),
        ("EA", "7.5", "TP", 0.0075),
        ("", "150", "HP", 1.5),
        ("CA", "150", "PE", 150.0),
        ("CA", "150", "HP", None),
        ("HC", "150", "PE", 150.0),
        ("GS", "100", "HP", 144.0),
        ("GR", "100", "HP", None),  # a gram, whatever it looks like
        ("LB", "4.5", "PP", 4.5),
        ("KG", "4.5", "PP", 4.5 / 0.45359237),
        ("OZ", "16", "PP", 1.0),
        ("GA", "4.5", "PP", None),  # a gallon of what
        ("YD", "250", "HF", 7.5),
        ("CA", "4.5", "PP", None),  # what a case weighs is not said
        ("FT", "250", "HF", 2.5),
        ("EA", "9", "PK", None),
        ("EA", "", "HP", None),
    ],
)
def test_x12_prices_are_of_one_unit(unit: str, price: str, basis: str, want: float | None) -> None:
    order = x12("850", "BEG*00*SA*P1**20260103", f"PO1*1*10*{unit}*{price}*{basis}*IN*A")
    change = x12("860", "BCH*04*SA*P1***20260103", f"POC*1*CA*10*10*{unit}*{price}*{basis}*IN*A", control=2)
    invoice = x12("810", "BIG*20260103*I1**P1", f"IT1*1*10*{unit}*{price}*{basis}*IN*A", "TDS*1", control=3)
    catalogue = x12("832", "BCT*PC*1", "LIN**IN*A", f"CTP**RES*{price or 9}**{unit or 'EA'}****{basis}", control=4)
    batch = read_documents(frame(order, change, invoice, catalogue))
    assert batch.rejects.filter(pl.col("level_code") == "line")["error_code"].to_list() == (
        ["AK4:1"] if want is None and price else []
    )
    assert batch.facts["raw_edi__order_lines"]["unit_price"].to_list() == pytest.approx([want, want])
    assert batch.facts["raw_edi__invoice_lines"]["unit_price"].to_list() == pytest.approx([want])
    if price and want is not None:
        assert batch.facts["raw_edi__price_lines"]["unit_price"].to_list() == pytest.approx([want])


@pytest.mark.parametrize(
    ("quantity", "price", "want"),
    [
        ("QTY+21:10:PCE", "PRI+AAA:150", 150.0),
        ("QTY+21:10:PCE", "PRI+AAA:150:::1:PCE", 150.0),
        ("QTY+21:10:PCE", "PRI+AAA:150:::100:PCE", 1.5),
        ("QTY+21:10:PCE", "PRI+AAA:150:::100", 1.5),
        ("QTY+21:10:PCE", "PRI+AAA:24:::1:DZN", 2.0),
        ("QTY+21:10:DZN", "PRI+AAA:2:::1:PCE", 24.0),
        ("QTY+21:10:KGM", "PRI+AAA:9,5:::1:KGM", 9.5),
        ("QTY+21:10:KGM", "PRI+AAA:950:::100:KGM", 9.5),
        ("QTY+21:10:GRM", "PRI+AAA:9.5:::1:KGM", 0.0095),
        ("QTY+21:10:KGM", "PRI+AAA:9.5:::100:GRM", 95.0),
        ("QTY+21:10:LTR", "PRI+AAA:9.5:::1:KGM", None),
        ("QTY+21:10:PCE", "PRI+AAA:9.5:::1:KGM", None),
        ("QTY+21:10:PCE", "PRI+AAA:9.5:::0:PCE", None),
        ("QTY+21:10", "PRI+AAA:150:::100:PCE", 1.5),
    ],
)
def test_edifact_prices_are_of_one_unit(quantity: str, price: str, want: float | None) -> None:
    order = edifact("ORDERS", "BGM+220+P1+9", "DTM+137:20260103:102", "LIN+1++A:IN", quantity, price)
    invoice = edifact(
        "INVOIC",
        "BGM+380+I1+9",
        "DTM+137:20260103:102",
        "LIN+1++A:IN",
        quantity.replace("21:", "47:"),
        price,
        control="2",
    )
    batch = read_documents(frame(order, invoice))
    assert batch.facts["raw_edi__order_lines"]["unit_price"].to_list() == pytest.approx([want])
    assert batch.facts["raw_edi__invoice_lines"]["unit_price"].to_list() == pytest.approx([want])


def test_a_catalogue_price_for_a_hundred_is_a_price_for_one() -> None:
    content = edifact("PRICAT", "BGM+9+C1+9", "LIN+1++A:IN", "PRI+NTP:150:::100:PCE")
    assert read_documents(frame(content)).facts["raw_edi__price_lines"]["unit_price"].to_list() == [1.5]


def test_the_currency_of_a_price_is_kept() -> None:
    order = x12("850", "BEG*00*SA*P1**20260103", "CUR*BY*cad", "PO1*1*1*EA*2**IN*A", "CUR*SE*EUR", "PO1*2*1*EA*2**IN*B")
    sold = x12(
        "852", "XQ*H*20260103", "CUR*BY*EUR", "N1*BY*X*92*S2", "LIN**IN*A", "CTP**RES*9", "ZA*QS*1*EA", control=2
    )
    euro = edifact(
        "ORDERS", "BGM+220+P2+9", "DTM+137:20260103:102", "CUX+2:EUR:9", "LIN+1++A:IN", "QTY+21:1", "PRI+AAA:2"
    )
    home = edifact(
        "INVOIC", "BGM+380+P3+9", "DTM+137:20260103:102", "CUX+1:USD", "LIN+1++A:IN", "QTY+47:1", control="2"
    )
    pricat = edifact("PRICAT", "BGM+9+C1+9", "CUX+2:SEK:10", "LIN+1++A:IN", "PRI+NTP:15", control="3")
    facts = read_documents(frame(order, sold, euro, home, pricat)).facts
    said = facts["raw_edi__order_lines"].sort("order_number", "order_line")
    assert said["currency_code"].to_list() == ["EUR", "CAD", "EUR"], "a CUR within a line is that line's"
    assert facts["raw_edi__product_activity"]["currency_code"].to_list() == ["EUR"]
    assert facts["raw_edi__invoice_lines"]["currency_code"].to_list() == [None]
    assert facts["raw_edi__price_lines"]["currency_code"].to_list() == ["SEK"]


def test_pieces_of_units_are_those_of_the_marts() -> None:
    path = Path(__file__).parents[3] / "dbt_project" / "codes" / "seed_unit_codes.csv"
    with path.open() as file:
        assert {r["unit_code"]: float(r["factor_ea"]) for r in csv.DictReader(file) if r["factor_ea"]} == PIECES
