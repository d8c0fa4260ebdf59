"""Call-offs of one blanket order under its number: the older one stands no longer, and a person is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.seams.dbt_world import DAY, World, at
from tests.unit.dbt.models import build
from tests.unit.dbt.test_marts_truth import raw_of
from tests.unit.edi.make import x12


def call_off(release: str, quantity: int, control: int) -> bytes:
    head = (f"BEG*00*RL*PO1*{release}*20260302", "N1*SE*X*92*SUP", "N1*ST*X*92*S1")
    return x12("850", *head, f"PO1*1*{quantity}*EA***IN*A", control=control)


@pytest.mark.parametrize(("second", "told"), [("R2", True), ("R1", False), ("", False)])
def test_a_second_release_under_one_number_is_told(tmp_path: Path, second: str, told: bool) -> None:
    world = World(tmp_path / "lake")
    world.documents(call_off("R1", 10, 11), known=at(DAY))
    world.documents(call_off(second, 7, 12), known=at(DAY + timedelta(days=1)))
    made = build(raw_of(world), "fct_purchase_order_lines", "int_findings_detected")
    assert made["fct_purchase_order_lines"].select("order_number", "open_qty_ea").rows() == [("PO1", 7.0)]
    found = made["int_findings_detected"].filter(kind_code="release_replaced")
    assert found.height == told
    if told:
        row = found.row(0, named=True)
        assert (row["item_id"], row["value"], row["expected_value"]) == ("A", 7.0, 17.0)
        assert row["reason"].startswith(
            "release R2 of order PO1 calls off 7.0 of item A, release R1 before it 10.0; only"
        )
        assert row["available_at_utc"] == at(DAY + timedelta(days=1))
