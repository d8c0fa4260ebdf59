"""Service figures and stock of a few days whose truth is plain: who has stock, what was late, what is unknown."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.seams.dbt_world import DAY, World, at
from tests.unit.dbt.models import build
from tests.unit.dbt.test_marts_truth import raw_of

MODELS = ("fct_service_daily", "fct_inventory_daily", "int_findings_detected", "dim_item", "dim_site")


def day(offset: int) -> date:
    return DAY + timedelta(days=offset)


@pytest.fixture(scope="module")
def made() -> dict[str, pl.DataFrame]:
    world = World(Path("service"))
    world.masters(at(day(-1)), {"A": 12, "B": 6, "C": 1}, {"S1": "store", "S2": "store", "DC": "dc"}, ["SUP"])
    # Day 0, S1: A in stock, B out of stock, C sold and its stock not told. S2 tells no stock at all.
    world.activity(day(0), "S1", "A", QS=3, QA=20)
    world.activity(day(0), "S1", "B", QS=6, QA=0)
    world.activity(day(0), "S1", "C", QS=1)
    world.activity(day(0), "S2", "A", QS=2)
    # Five orders of 10 promised for day 2: whole in time, in two parts in time, the rest late, short for ever, the rest taken back.
    for number, item, parts in (
        ("P1", "A", [(1, 10)]), ("P2", "B", [(1, 4), (2, 6)]), ("P3", "C", [(1, 4), (3, 6)]), ("P4", "A", [(1, 9)]), ("P5", "B", [(1, 10), (1, 10)]),
    ):  # fmt: skip
        world.order(number, day(-2), item, 10, source="SUP", site="DC", wanted=day(9), known=at(day(-2)))
        world.answer(number, day(-2), item, 10, source="SUP", promised=day(2), known=at(day(-2)))
        world.shipment(f"H{number}", day(0), item, 10, order=number, source="SUP", site="DC")
        for n, (when, quantity) in enumerate(parts):
            world.receipt(
                f"R{number}-{0 if number == 'P5' else n}",
                day(when),
                item,
                quantity,
                site="DC",
                order=number,
                known=at(day(when), 5 + n),
            )
    world.receipt("R9", day(1), "A", 7, site="ELSEWHERE")
    return build(raw_of(world), *MODELS)


def service(made: dict[str, pl.DataFrame], site: str, when: date) -> dict[str, object]:
    return made["fct_service_daily"].row(
        by_predicate=(pl.col("site_id") == site) & (pl.col("service_date") == when), named=True
    )


def test_an_item_whose_stock_nobody_told_is_neither_in_stock_nor_out_of_it(made: dict[str, pl.DataFrame]) -> None:
    told = service(made, "S1", day(0))
    assert [told[c] for c in ("items", "stockout_items", "sales_qty_ea", "in_stock_frac")] == [3, 1, 10, 0.5]
    untold = service(made, "S2", day(0))
    assert [untold[c] for c in ("items", "stockout_items", "sales_qty_ea", "in_stock_frac")] == [1, 0, 2, None]


def test_a_line_is_on_time_and_in_full_only_when_all_of_it_came_by_the_promise(made: dict[str, pl.DataFrame]) -> None:
    # P1, P2 and P5 of the five that first came that day; P5's receipt was told twice under one number.
    assert service(made, "DC", day(1))["otif_frac"] == pytest.approx(3 / 5)


def test_only_sites_have_stock_and_what_came_elsewhere_is_told(made: dict[str, pl.DataFrame]) -> None:
    assert (
        set(made["fct_inventory_daily"]["site_id"]) == {"S1", "S2", "DC"} == set(made["fct_service_daily"]["site_id"])
    )
    strange = made["int_findings_detected"].filter(pl.col("kind_code") == "unknown_site")
    assert strange.select("item_id", "site_id", "value").rows() == [("A", "ELSEWHERE", 7)]


def test_dimensions_name_everything_that_was_stated_or_seen(made: dict[str, pl.DataFrame]) -> None:
    assert made["dim_item"].select("item_id", "pack_ea", "is_in_master").rows() == [
        ("A", 12, True),
        ("B", 6, True),
        ("C", 1, True),
    ]
    sites = made["dim_site"].select("site_id", "site_type", "is_in_master").rows()
    assert sites == [("DC", "dc", True), ("ELSEWHERE", "store", False), ("S1", "store", True), ("S2", "store", True)]


def test_stock_is_worth_what_it_cost_on_its_day() -> None:
    """A costs 2 from the day before, 3 from day 2 on, is unknown from day 4; B is first stated at day 3; C never with a cost."""
    world = World(Path("worth"))
    world.masters(at(day(-1)), {"A": 1}, {"S1": "store"}, ["SUP"])
    for n in range(6):
        for item in ("A", "B", "C"):
            world.activity(day(n), "S1", item, QS=1, QA=10)
    raw = raw_of(world)
    first = raw["raw_master__items"]
    stated = [
        (2, 1, "A", 3.0),
        (2, 2, "A", 3.0),
        (4, 1, "A", None),
        (3, 1, "B", 7.0),
        (3, 2, "B", 5.0),
        (5, 1, "B", 6.0),
        (0, 1, "C", None),
    ]
    later = [
        first.with_columns(
            pl.lit(item).alias("item_id"), pl.lit(cost, pl.Float64).alias("unit_cost_usd"), pl.lit(f"m{n}").alias("document_id"),
            pl.lit(at(day(when), hour)).cast(first.schema["available_at_utc"]).alias("available_at_utc"),
        )
        for n, (when, hour, item, cost) in enumerate(stated)
    ]  # fmt: skip
    raw["raw_master__items"] = pl.concat([first, *later])
    worth = build(raw, "fct_service_daily")["fct_service_daily"].sort("service_date")["on_hand_value_usd"].to_list()
    assert worth == [20 + 50, 20 + 50, 30 + 50, 30 + 50, 50, 60]
