"""A site that changes from daily to weekly reports is forecast from its third whole week on, at what it sells."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.assets.glue_scoring import changed_to_weeks, demand_rows, sales_reports, series_to_score
from aios_assets.resources.handles import World
from ml.features import demand_features
from tests.seams.ladder_world import rows

SUNDAY = date(2025, 3, 2)
DAILY, WEEKLY = 2.0, 14.0


def told(world: World, weeks: int) -> None:
    """Site D tells every day, site W did until `weeks` weeks ago; the night's features are made of it."""
    days = [SUNDAY - timedelta(days=k) for k in range(200)]
    change = SUNDAY - timedelta(weeks=weeks)
    told = [("A", site, d, DAILY) for site in ("D", "W") for d in days if site == "D" or d <= change]
    ends = [SUNDAY - timedelta(weeks=k) for k in range(weeks)]
    told += [("A", "W", d, WEEKLY) for d in ends]
    schema = {"item_id": pl.String, "site_id": pl.String, "demand_date": pl.Date, "sales_qty_ea": pl.Float64}
    frame = pl.DataFrame(told, schema=schema, orient="row").with_columns(
        pl.col("demand_date").dt.strftime("%Y-%m").alias("demand_month"),
        pl.col("demand_date").cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    )
    stated = rows(
        "fct_demand_daily", frame, returns_qty_ea=0.0, is_stockout=False, document_id="d", set_no=1, segment_no=1,
        version_no=1, is_suspect=False, is_current=True,
    )  # fmt: skip
    window = (days[-1], SUNDAY + timedelta(days=1))
    world.lake.write("fct_demand_daily", stated, window=window)
    found = pl.DataFrame({"finding_id": [f"f{d}" for d in ends], "finding_date": ends})
    world.lake.write(
        "int_findings_detected",
        rows("int_findings_detected", found, kind_code="period_report", site_id="W", subject="s", reason="r",
             available_at_utc=world.cutoff(days[-1])), window=window,
    )  # fmt: skip
    night = (SUNDAY, SUNDAY)
    made = demand_features(stated, night, world.cutoff)
    world.lake.write("feat_item_site__demand", made, window=(SUNDAY, SUNDAY + timedelta(days=1)))


@pytest.mark.parametrize(("weeks", "is_forecast"), [(2, False), (3, True), (5, True)])
def test_from_its_third_whole_week_on(tmp_path: Path, weeks: int, is_forecast: bool) -> None:
    world = World(home=str(tmp_path), inbox_path=str(tmp_path / "inbox"), business_tz="UTC", cutoff_hour=2)
    told(world, weeks)
    asked = series_to_score(world, SUNDAY)
    forecast = demand_rows(world, SUNDAY, asked)
    site = forecast.filter(pl.col("site_id") == "W")
    assert set(asked.stretches["site_id"]) == (set() if is_forecast else {"W"})
    assert forecast.filter(pl.col("site_id") == "D")["demand_qty_ea_mean"].sum() == pytest.approx(28 * DAILY)
    assert site.is_empty() is not is_forecast
    if is_forecast:
        assert asked.summed == ["W"] and changed_to_weeks(SUNDAY, sales_reports(world, SUNDAY)) == ["W"]
        sold = site.filter(pl.col("demand_qty_ea_mean") > 0)
        assert set(sold["target_date"].dt.weekday()) == {7}
        assert sold["demand_qty_ea_mean"].to_list() == pytest.approx([WEEKLY] * 4)
