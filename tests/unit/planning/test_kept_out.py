"""Lines that count nowhere because of their unit are told with every decision; goods by weight are planned in their base unit."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from planning.inputs import PlanSpec
from planning.kept_out import KEPT_OUT_SCHEMA
from planning.position import brought_forward
from planning.recommend import recommend
from planning.unreported import spread_over_weeks
from tests.unit.planning.planning_world import AS_OF, simple

WHY = "item NUTS is counted in eaches and the line in KGM; it is kept out until the item master says base_unit_code KGM"
SPEC = PlanSpec(scenarios=64)


def kept_out(*rows: tuple[str, str, int, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=KEPT_OUT_SCHEMA, orient="row")


def test_an_item_of_which_no_line_counts_has_a_decision_that_says_why() -> None:
    inputs = dataclasses.replace(simple(0.0), kept_out=kept_out(("NUTS", "S1", 12, WHY), ("NUTS", "ELSEWHERE", 1, WHY)))
    rows = recommend(inputs, AS_OF, SPEC).filter(pl.col("item_id") == "NUTS").to_dicts()
    assert [r["site_id"] for r in rows] == ["S1"]  # the other is no site of ours
    assert rows[0]["decision_code"] == "none" and rows[0]["quantity_ea"] == 0
    said = f"Nothing can be decided: 12 lines of the last 28 days are kept out because of their unit ({WHY}); and no stock report."
    assert rows[0]["reason"] == said
    drivers = json.loads(rows[0]["drivers_json"])
    assert (drivers["kept_out_lines"], drivers["kept_out_days"], drivers["kept_out_reason"]) == (12, 28, WHY)


def test_a_decision_beside_which_lines_are_kept_out_says_so_and_stays_as_it_is() -> None:
    plain = recommend(simple(0.0), AS_OF, SPEC).row(0, named=True)
    told = recommend(dataclasses.replace(simple(0.0), kept_out=kept_out(("A", "S1", 3, WHY))), AS_OF, SPEC).row(0, named=True)  # fmt: skip
    assert plain["decision_code"] == "replenish" and "kept out" not in plain["reason"]
    assert told["reason"] == plain["reason"] + f" Not counted: 3 lines of the last 28 days are kept out because of their unit ({WHY})."  # fmt: skip
    assert told["quantity_ea"] == plain["quantity_ea"]


def test_goods_by_weight_are_ordered_in_whole_packs_of_their_unit() -> None:
    inputs = simple(0.3)
    items = inputs.frame("items").with_columns(base_unit_code=pl.lit("KGM"), pack_ea=pl.lit(10, pl.Int32))
    row = recommend(dataclasses.replace(inputs, items=items), AS_OF, SPEC).row(0, named=True)
    assert row["decision_code"] == "replenish" and row["base_unit_code"] == "KGM"
    assert row["quantity_ea"] == 10 * row["quantity_packs"] > 0 and row["quantity_ea"] % 10 == 0
    assert row["reason"].startswith(f"Order {row['quantity_ea']:g} KGM ({row['quantity_packs']:g} × 10) from ")
    assert recommend(inputs, AS_OF, SPEC)["base_unit_code"].null_count() == 1


def test_a_week_of_goods_by_weight_is_spread_as_it_is_and_one_of_pieces_in_whole_ones() -> None:
    paths = np.zeros((2, 500, 14), dtype=np.float32)
    paths[0, :, 6], paths[1, :, 6] = 2.5, 10.0
    uniforms = np.random.default_rng(1).random((500, 14)).astype(np.float32)
    ahead, _ = spread_over_weeks(paths, 7, uniforms)
    assert ahead[0, :, :7] == pytest.approx(np.full((500, 7), 2.5 / 7), abs=1e-6)
    assert (ahead[1] == np.floor(ahead[1])).all() and (ahead[1, :, :7].sum(axis=1) == 10).all()


def test_what_left_since_the_last_close_is_as_much_by_weight_and_whole_by_piece() -> None:
    closes = pl.DataFrame({"item_id": ["KG", "EA"], "site_id": ["S", "S"], "on_hand_qty_ea": [20.0, 20.0], "stock_date": [AS_OF] * 2})  # fmt: skip
    later = AS_OF.replace(day=AS_OF.day + 3)
    moves = pl.DataFrame(
        {"item_id": ["KG", "EA"], "site_id": ["S", "S"], "inventory_date": [later] * 2, "receipts_qty_ea": [0.0, 0.0], "outbound_qty_ea": [2.8, 3.0], "adjustments_qty_ea": [0.0, 0.0]}
    )  # fmt: skip
    left = dict(brought_forward(closes, moves, ["S"]).select("item_id", "on_hand_qty_ea").iter_rows())
    assert left == pytest.approx({"KG": 20 - 2.8 * 3 / 7, "EA": 19.0})
