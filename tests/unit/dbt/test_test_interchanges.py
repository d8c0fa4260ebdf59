"""What partners send as a test is kept in the raw tables and counts nowhere, unless a setting says that theirs counts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.seams.dbt_world import DAY, World, at
from tests.unit.dbt.models import build, failing
from tests.unit.dbt.test_marts_truth import raw_of
from tests.unit.edi.make import edifact, x12

MARTS = (
    "fct_demand_daily",
    "fct_inventory_daily",
    "fct_order_events",
    "fct_purchase_order_lines",
    "dim_item",
    "dim_site",
)
HEAD = ("BEG*00*SA*PO1**20260302", "N1*SE*X*92*SUP", "N1*ST*X*92*S1")
ORDER = x12("850", *HEAD, "PO1*1*6*EA***IN*A", control=11, sender="SHOP")
TESTS = (
    x12("850", *HEAD, "PO1*1*60*EA***IN*A", control=11, sender="SHOP").replace(b"*P*>", b"*T*>"),
    x12("852", "XQ*H*20260302", "N1*BY*X*92*S8", "LIN**IN*A", "ZA*QS*4*EA", control=13, sender="NEW").replace(b"*P*>", b"*t*>"),
    x12("846", "BIA*00*DD*X*20260302", "N1*WH*X*92*S9", "LIN**IN*B", "QTY*33*9*EA", control=14, sender="NEW").replace(b"*P*>", b"*I*>"),
)  # fmt: skip
# 0035 is the eleventh element of UNB: 1 to 5 are kinds of tests, 0 is none.
MESSAGE = ("BGM+220+PO2+9", "DTM+137:20260302:102", "NAD+SU+SUP::92", "NAD+DP+S7::92", "LIN+1++C:IN", "QTY+21:7")
ORDERS = {code: edifact("ORDERS", *MESSAGE, control=code).replace(f"+{code}'".encode(), f"+{code}++++++{code}'".encode(), 1) for code in "012"}  # fmt: skip


def world(tmp_path: Path, *contents: bytes) -> World:
    made = World(tmp_path / "lake")
    for content in contents:
        made.documents(content, known=at(DAY))
    return made


def marts(made: World, **setting: str) -> dict[str, list[dict[str, Any]]]:
    frames = build(raw_of(made), *MARTS, **setting)
    return {name: frame.drop("document_id", strict=False).to_dicts() for name, frame in frames.items()}


def findings(made: World, **setting: str) -> list[tuple[Any, ...]]:
    found = build(raw_of(made), "int_findings_detected", **setting)["int_findings_detected"]
    columns = ("finding_date", "subject", "value")
    return found.filter(kind_code="test_interchange").select(columns).sort("subject").rows()


def test_what_is_sent_as_a_test_changes_nothing_and_is_told_once_per_partner_and_night(tmp_path: Path) -> None:
    real = (ORDER, ORDERS["0"])
    made = world(tmp_path, *TESTS, ORDERS["1"], ORDERS["2"], *real)
    assert sorted(row["quantity"] for row in made.rows["raw_edi__order_lines"]) == [6, 7, 7, 7, 60]
    assert marts(made) == marts(world(tmp_path, *real))
    assert findings(made) == [(DAY, "NEW", 2), (DAY, "SENDER", 2), (DAY, "SHOP", 1)]
    checks = failing(raw_of(made), "int_findings_detected", *MARTS)
    assert len(checks) > 40 and {name: rows for name, rows in checks.items() if rows} == {}


@pytest.mark.parametrize("whose", ["NEW", "*"])
def test_a_setting_lets_tests_of_a_partner_or_of_all_count(tmp_path: Path, whose: str) -> None:
    meant = [t.replace(b"*t*>", b"*P*>").replace(b"*I*>", b"*P*>").replace(b"*T*>", b"*P*>") for t in TESTS]
    if whose == "NEW":
        meant[0] = TESTS[0]
    assert marts(world(tmp_path, *TESTS), count_tests_of=whose) == marts(world(tmp_path, *meant))
    assert findings(world(tmp_path, *TESTS), count_tests_of=whose) == ([(DAY, "SHOP", 1)] if whose == "NEW" else [])


def test_envelopes_read_before_usage_was_kept_count_as_production(tmp_path: Path) -> None:
    made = world(tmp_path, *TESTS)
    for row in made.rows["raw_edi__interchanges"]:
        row["usage_code"] = None
    assert [row["ordered_qty_ea"] for row in marts(made)["fct_purchase_order_lines"]] == [60]
    assert findings(made) == []


def test_a_test_of_after_the_cut_off_belongs_to_the_next_night(tmp_path: Path) -> None:
    made = World(tmp_path / "lake")
    made.documents(TESTS[0], known=datetime(2026, 3, 3, 7, tzinfo=UTC))  # 02:00 in New York, the cut-off of DAY itself
    made.documents(TESTS[1], known=datetime(2026, 3, 3, 7, 0, 0, 1, tzinfo=UTC))
    assert findings(made) == [(date(2026, 3, 3), "NEW", 1), (DAY, "SHOP", 1)]
    assert pl.DataFrame(made.rows["raw_edi__interchanges"])["usage_code"].to_list() == ["T", "t"]
