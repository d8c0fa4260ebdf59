"""A stock report that did not come: what was received since the last one is neither lost nor ordered again."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from aios_assets.assets.s7_recommend import stock_tonight
from aios_assets.contracts.mart_tables import FCT_INVENTORY_DAILY
from aios_assets.resources.lake import Lake
from planning.inputs import MOST_STOCK_AGE_DAYS, PlanSpec
from planning.recommend import recommend
from tests.unit.planning.planning_world import AS_OF, simple

CUTOFF = datetime(2026, 1, 6, 8, tzinfo=UTC)


def balance(
    site: str, ago: int, close: float | None, received: float = 0.0, gone: float = 0.0, hours: int = 2
) -> dict[str, object]:
    """One day's balance, known `hours` after midnight UTC of the day after."""
    day = AS_OF - timedelta(days=ago)
    known = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, hours=hours)
    stated = {
        "item_id": "A", "site_id": site, "inventory_date": day, "version_no": 1, "receipts_qty_ea": received, "outbound_qty_ea": gone,
        "adjustments_qty_ea": 0.0, "closing_qty_ea": close, "is_suspect": False, "document_id": "d", "set_no": 1, "segment_no": 1,
        "available_at_utc": known, "is_current": True, "inventory_month": f"{day:%Y-%m}",
    }  # fmt: skip
    return {name: stated.get(name) for name in FCT_INVENTORY_DAILY.schema}


def test_what_came_in_after_the_last_report_is_stock(tmp_path: Path) -> None:
    rows = [
        balance("S1", 2, 4.0, received=50.0), balance("S1", 1, None, received=60.0), balance("S1", 0, None, gone=9.0),
        balance("S2", 0, 7.0, received=3.0, gone=5.0),
        balance("S3", 1, 2.0), balance("S3", 0, None, gone=5.0),
        balance("S4", 1, 2.0), balance("S4", 0, None, received=90.0, hours=30),
    ]  # fmt: skip
    lake = Lake(tmp_path)
    window = (AS_OF - timedelta(days=5), AS_OF + timedelta(days=1))
    lake.write("fct_inventory_daily", pl.DataFrame(rows, schema=FCT_INVENTORY_DAILY.schema), window=window)
    found = stock_tonight(lake, CUTOFF, AS_OF)
    assert dict(found.select("site_id", "on_hand_qty_ea").iter_rows()) == {"S1": 55.0, "S2": 7.0, "S3": 0.0, "S4": 2.0}
    assert found["stock_date"].to_list() == [AS_OF - timedelta(days=n) for n in (2, 0, 1, 1)]
    inputs = dataclasses.replace(simple(0.0), stock=found.filter(pl.col("site_id") == "S1"))
    row = recommend(inputs, AS_OF, PlanSpec(scenarios=64)).row(0, named=True)
    assert (row["decision_code"], row["on_hand_qty_ea"]) == ("none", 55.0)
    assert "The stock is the one reported for 2026-01-03, with what is known to have moved since." in row["reason"]


def test_stock_is_read_as_far_back_as_a_policy_may_take_it(tmp_path: Path) -> None:
    ages = (MOST_STOCK_AGE_DAYS, MOST_STOCK_AGE_DAYS + 6, MOST_STOCK_AGE_DAYS + 8)
    lake, day = Lake(tmp_path), timedelta(days=1)
    closes = pl.DataFrame([balance(f"S{n}", n, 5.0) for n in ages], schema=FCT_INVENTORY_DAILY.schema)
    lake.write("fct_inventory_daily", closes, window=(AS_OF - 60 * day, AS_OF + day))
    found = stock_tonight(lake, CUTOFF, AS_OF)
    assert found["site_id"].to_list() == [f"S{n}" for n in ages[:2]], "six days more are taken from who reports weeks"


def test_a_week_told_as_one_figure_went_out_after_a_count_within_it_in_part(tmp_path: Path) -> None:
    rows = [
        balance("S1", 3, 50.0), balance("S1", 1, None, received=10.0, gone=21.0),  # two of its seven days
        balance("S2", 9, 50.0), balance("S2", 8, None, gone=20.0), balance("S2", 1, None, gone=21.0),  # one of seven, and a week
    ]  # fmt: skip
    lake = Lake(tmp_path)
    window = (AS_OF - timedelta(days=30), AS_OF + timedelta(days=1))
    lake.write("fct_inventory_daily", pl.DataFrame(rows, schema=FCT_INVENTORY_DAILY.schema), window=window)
    told = {
        weeks: stock_tonight(lake, CUTOFF, AS_OF, weeks)["on_hand_qty_ea"].to_list() for weeks in ((), ("S1", "S2"))
    }
    assert told == {(): [39.0, 9.0], ("S1", "S2"): [54.0, 26.0]}
