"""Prices count in the currency that money is counted in, and in no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.seams.dbt_world import DAY, World, at
from tests.unit.dbt.models import build
from tests.unit.dbt.test_marts_truth import raw_of
from tests.unit.edi.make import edifact, x12


def said_in(currency: str | None, number: str, world: World) -> None:
    """An order and a day's sales at 2 each, in X12 and in EDIFACT, by documents that name this currency or none."""
    cur, cux = ([f"CUR*BY*{currency}"], [f"CUX+2:{currency}:9"]) if currency else ([], [])
    order = (f"BEG*00*SA*P{number}**20260302", *cur, "N1*SE*X*92*SUP", "N1*ST*X*92*S1", "PO1*1*6*EA*2**IN*A")
    sales = ("XQ*H*20260302", *cur, f"N1*BY*X*92*S{number}", "LIN**IN*A", "ZA*QS*4*EA", "CTP*RS*RES*2")
    world.documents(x12("850", *order, control=int(number)), known=at(DAY))
    world.documents(x12("852", *sales, control=100 + int(number)), known=at(DAY))
    europe = (
        f"BGM+220+E{number}+9",
        "DTM+137:20260302:102",
        "NAD+SU+SUP::92",
        "NAD+DP+S1::92",
        *cux,
        "LIN+1++C:IN",
        "QTY+21:7",
        "PRI+AAA:2",
    )
    world.documents(edifact("ORDERS", *europe, control=number), known=at(DAY))


@pytest.mark.parametrize(("ours", "priced"), [("USD", {"1", "3"}), ("EUR", {"2", "3"})])
def test_prices_count_in_our_currency_or_where_none_is_named(tmp_path: Path, ours: str, priced: set[str]) -> None:
    world = World(tmp_path / "lake")
    for currency, number in (("USD", "1"), ("EUR", "2"), (None, "3")):
        said_in(currency, number, world)
    made = build(raw_of(world), "fct_order_events", "fct_demand_daily", "int_findings_detected", currency=ours)
    orders = made["fct_order_events"].drop_nulls("unit_price_usd")
    assert set(orders["order_number"]) == {kind + number for kind in "PE" for number in priced}
    assert set(orders["unit_price_usd"]) == {2.0}
    sold = dict(made["fct_demand_daily"].select("site_id", "price_usd").iter_rows())
    assert sold == {f"S{number}": 2.0 if number in priced else None for number in "123"}
    told = made["int_findings_detected"].filter(kind_code="foreign_currency")
    assert told["subject"].to_list() == ["EUR" if ours == "USD" else "USD"]
