"""Lines and activities whose stores do not add up to them are told at night, once each, and stand as sent."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.seams.dbt_world import DAY, World, at
from tests.unit.dbt.models import build, failing
from tests.unit.dbt.test_marts_truth import raw_of
from tests.unit.edi.make import x12

SOLD = ("XQ*H*20260302", "LIN**IN*A", "ZA*QS*9*CA", "SDQ*CA*92*S1*3*S2*5", "ZA*QA*4*EA", "SDQ*EA*92*S1*1*S2*3")


def test_an_activity_and_an_order_line_that_differ_from_their_stores_are_findings(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.masters(at(DAY), {"A": 12}, {"S1": "store", "S2": "store"}, ["SUP"])
    world.documents(x12("852", *SOLD, control=7, sender="HQ"), known=at(DAY))
    world.split_order("PO1", DAY, "A", {"S1": 6, "S2": 10}, source="SUP", total=20)
    world.split_order("PO2", DAY, "A", {"S1": 6, "S2": 10}, source="SUP")
    raw = raw_of(world)
    found = build(raw, "int_findings_detected")["int_findings_detected"].filter(kind_code="stores_differ")
    assert found.select("item_id", "subject", "value", "expected_value", "money_at_risk_usd").sort("value").rows() == [
        ("A", "order PO1 line 1 set 1 segment 6", 16, 20, 8),
        ("A", "activity QS set 1 segment 5", 96, 108, 24),
    ]
    assert "says 9.0 CA, its 2 stores add up to 8.0" in found.sort("value")["reason"][1]
    sold = build(raw, "fct_demand_daily")["fct_demand_daily"].filter(pl.col("sales_qty_ea") > 0)
    assert sold.select("site_id", "sales_qty_ea").sort("site_id").rows() == [("S1", 36), ("S2", 60)]
    checks = failing(raw, "int_findings_detected", "int_activity_split_conformed")
    assert {name: rows for name, rows in checks.items() if rows} == {}
