"""Checks judge the run's own days: an old break nobody corrected does not fail them for ever, and a newer night is not judged in place of an older."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from dagster import AssetCheckResult

from aios_assets.checks.reconciliation import every_item_has_a_reason, every_series_has_28_days, stock_identity
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.lake import Lake

DAY = date(2026, 3, 20)
FILLED = {"str": "x", "i32": 1, "i64": 1, "f64": 1.0, "bool": True, "date": DAY}


def rows(table: str, *of: dict[str, Any]) -> pl.DataFrame:
    """Rows that conform; what is not given is null, or any value where null is not allowed."""
    contract = TABLES[table]
    at = datetime(2026, 3, 21, 6, tzinfo=UTC)
    filled = [
        {
            c.name: (c.codes[0] if c.codes and not c.nullable else None if c.nullable else FILLED.get(c.type, at))
            for c in contract.columns
        }
        | one
        for one in of
    ]
    return pl.DataFrame(filled, schema=contract.schema)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def judged(check: Any, lake: Lake, *days: date) -> AssetCheckResult:
    context = SimpleNamespace(partition_keys=[day.isoformat() for day in days])
    result = check.node_def.compute_fn.decorated_fn(context, SimpleNamespace(lake=lake))
    assert isinstance(result, AssetCheckResult)
    return result


@pytest.mark.parametrize(("days_ago", "passes"), [(0, False), (7, False), (8, True), (60, True)])
def test_a_break_of_the_stock_balance_fails_the_nights_that_can_still_mend_it(
    lake: Lake, days_ago: int, passes: bool
) -> None:
    day = DAY - timedelta(days=days_ago)
    broken = {"inventory_date": day, "inventory_month": f"{day:%Y-%m}", "residual_qty_ea": 9.0}
    lake.write("fct_inventory_daily", rows("fct_inventory_daily", broken), window=(day, day + timedelta(days=1)))
    result = judged(stock_identity, lake, DAY)
    assert result.passed is passes
    assert result.metadata["broken_ever"].value == 1


@pytest.mark.parametrize(("unit", "gap", "passes"), [(None, 0.4, True), (None, 0.6, False), ("KGM", 0.02, True), ("KGM", 0.4, False), ("GRM", 19.0, True), ("GRM", 21.0, False)])  # fmt: skip
def test_a_balance_of_goods_by_weight_closes_to_a_thousandth(lake: Lake, unit: str | None, gap: float, passes: bool) -> None:  # fmt: skip
    lake.write("dim_item", rows("dim_item", {"item_id": "A", "base_unit_code": unit}))
    held = 20_000.0 if unit == "GRM" else 30.0
    broken = {"item_id": "A", "inventory_date": DAY, "inventory_month": f"{DAY:%Y-%m}", "opening_qty_ea": held, "residual_qty_ea": gap}  # fmt: skip
    lake.write("fct_inventory_daily", rows("fct_inventory_daily", broken), window=(DAY, DAY + timedelta(days=1)))
    assert judged(stock_identity, lake, DAY).passed is passes


def test_a_series_without_all_its_days_fails_its_own_night(lake: Lake) -> None:
    old, new = DAY - timedelta(days=1), DAY
    for day, horizons in ((old, 27), (new, 28)):
        made = [
            {
                "origin_date": day,
                "origin_month": f"{day:%Y-%m}",
                "horizon_days": h,
                "target_date": day + timedelta(days=h),
            }
            for h in range(1, horizons + 1)
        ]
        lake.write("pred_demand__28d", rows("pred_demand__28d", *made), window=(day, day + timedelta(days=1)))
    assert judged(every_series_has_28_days, lake, new).passed
    assert not judged(every_series_has_28_days, lake, old).passed
    assert not judged(every_series_has_28_days, lake, old, new).passed
    assert not judged(every_item_has_a_reason, lake, new).passed, "forecast, and nothing decided"
