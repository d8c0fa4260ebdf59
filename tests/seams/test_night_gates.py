"""What a night's gates and the request to retrain read from the lake: stale actuals, a rolled-back champion, one drift told once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.assets.glue_monitoring import gate_rows, retrain_rows
from aios_assets.assets.glue_scoring import sales_reports
from aios_assets.contracts.decision_tables import (
    MON_BACKTEST_SCORES,
    MON_DRIFT,
    MON_FORECAST_QUALITY,
    MON_GATE_VERDICTS,
)
from aios_assets.resources.handles import World
from ml.promotion.deployments import deployment_row
from tests.seams.ladder_world import rows

DAY = date(2025, 3, 1)
KNOWN = datetime(2024, 12, 1, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(home=str(tmp_path), inbox_path=str(tmp_path / "inbox"), business_tz="UTC", cutoff_hour=2)


def sold(world: World, last: date, days: int = 60, every: int = 1) -> None:
    """Demand of one item and site up to `last`, all of it known, told for every day or in stretches of `every` days."""
    dates = [last - timedelta(days=k) for k in range(0, days, every)]
    frame = pl.DataFrame({"item_id": "I", "site_id": "S", "demand_date": dates}).with_columns(
        pl.col("demand_date").dt.strftime("%Y-%m").alias("demand_month")
    )
    stated = rows(
        "fct_demand_daily", frame, sales_qty_ea=3.0, returns_qty_ea=0.0, is_stockout=False, document_id="d", set_no=1,
        segment_no=1, version_no=1, is_suspect=False, is_current=True, available_at_utc=KNOWN,
    )  # fmt: skip
    world.lake.write("fct_demand_daily", stated, window=(dates[-1], last + timedelta(days=1)))


def judged_well(world: World, day: date) -> None:
    """Forecast quality of that night, as good as can be."""
    both = [
        {"quality_date": day, "demand_class": "all", "model_name": name, "rows": 5000, "wape_frac": 0.2, "bias_frac": 0.0,
         "pinball_ea": pinball, "coverage80_frac": 0.8, "available_at_utc": KNOWN}
        for name, pinball in (("demand", 0.5), ("seasonal_naive", 1.0))
    ]  # fmt: skip
    frame = pl.DataFrame(both, schema=MON_FORECAST_QUALITY.schema)
    world.lake.write(MON_FORECAST_QUALITY, frame, window=(day, day + timedelta(days=1)))


def verdicts_of(world: World, day: date) -> dict[str, tuple[bool, str]]:
    found = gate_rows(world, day)
    return {r["gate_code"]: (r["is_passed"], r["reason"]) for r in found.iter_rows(named=True)}


def test_forecasts_judged_on_old_actuals_are_refused(world: World) -> None:
    sold(world, DAY - timedelta(days=1))
    judged_well(world, DAY)
    assert verdicts_of(world, DAY)["forecast_vs_naive"][0]
    night = DAY + timedelta(days=9)
    judged_well(world, night)
    found = verdicts_of(world, night)
    for gate in ("forecast_vs_naive", "forecast_coverage_low", "forecast_coverage_high", "forecast_bias"):
        assert not found[gate][0] and "10 days old" in found[gate][1]
    assert not found["label_delay"][0]


def test_the_running_week_of_who_reports_weeks_is_no_delay(world: World) -> None:
    sold(world, DAY, every=7)
    told = {
        "finding_id": "f",
        "finding_date": DAY,
        "kind_code": "period_report",
        "site_id": "S",
        "available_at_utc": KNOWN,
    }
    findings = rows("int_findings_detected", pl.DataFrame([told]), subject="s", reason="r")
    world.lake.write("int_findings_detected", findings, window=(DAY, DAY + timedelta(days=1)))
    reports = sales_reports(world, DAY)
    assert reports.rows() == [("S", DAY - timedelta(weeks=8 - k), k == 8) for k in range(9)]
    for later, on_time, judged in ((6, True, True), (8, True, True), (9, False, True), (10, False, False)):
        night = DAY + timedelta(days=later)
        judged_well(world, night)
        found = verdicts_of(world, night)
        assert (found["label_delay"][0], found["forecast_vs_naive"][0]) == (on_time, judged), (later, found)


def test_a_rollback_makes_no_champion_young(world: World) -> None:
    trained = DAY - timedelta(days=100)
    scored = {
        "model_name": "demand", "model_version": "1", "model_digest": "a", "role": "challenger", "demand_class": "smooth",
        "trained_on_date": trained, "origin_date": trained, "newest_date": trained,
    }  # fmt: skip
    scores = rows(MON_BACKTEST_SCORES.name, pl.DataFrame([scored]), rows=1, available_at_utc=KNOWN)
    world.lake.write(
        MON_BACKTEST_SCORES, scores.with_columns(pl.col(pl.Float64).fill_null(0.0), pl.col(pl.Int64).fill_null(0))
    )
    for version, verdict, back in (("1", "first", 95), ("2", "promote", 8), ("1", "rollback", 2)):
        world.lake.write("mon_deployments", deployment_row(
            model_name="demand", model_version=version, model_digest="abc", alias="champion", share_frac=1.0, reason="r",
            valid_from_utc=world.cutoff(DAY - timedelta(days=back)), verdict=verdict,
        ))  # fmt: skip
    passed, reason = verdicts_of(world, DAY)["champion_age"]
    assert not passed and "is 100" in reason
    # version 2 was registered by hand and has no scores on record: it counts from when it first went live
    assert "is 5" in verdicts_of(world, DAY - timedelta(days=3))["champion_age"][1]


def drifted(world: World, flags: list[bool], first: date) -> None:
    frame = pl.DataFrame(
        [
            {"drift_date": first + timedelta(days=i), "subject": "feat", "column_name": "y", "segment": "all", "method": "psi",
             "value": 0.5 if f else 0.01, "threshold": 0.2, "is_drifted": f, "reference_rows": 1000, "current_rows": 500,
             "available_at_utc": KNOWN}
            for i, f in enumerate(flags)
        ],
        schema=MON_DRIFT.schema,
    )  # fmt: skip
    world.lake.write(MON_DRIFT, frame, window=(first, first + timedelta(days=len(flags))))


def good_data(days: list[date]) -> pl.DataFrame:
    return rows(
        MON_GATE_VERDICTS.name,
        pl.DataFrame({"verdict_date": days}),
        gate_code="data_quality",
        subject="blocking checks",
        is_passed=True,
    )


def played(world: World, nights: list[list[date]]) -> list[date]:
    """Dates of the requests when the nights are run in these groups."""
    for days in nights:
        world.lake.write("mon_retrain_requests", retrain_rows(world, days, good_data(days)))
    return world.lake.read("mon_retrain_requests")["request_date"].sort().to_list()


@pytest.mark.parametrize("at_once", [1, 4, 30])
def test_one_drift_is_asked_for_once_whether_nights_come_singly_or_as_a_backfill(world: World, at_once: int) -> None:
    flags = [False] * 2 + [True] * 28
    drifted(world, flags, DAY)
    days = [DAY + timedelta(days=i) for i in range(len(flags))]
    assert played(world, [days[i : i + at_once] for i in range(0, len(days), at_once)]) == [DAY + timedelta(days=4)]
    assert played(world, [days]) == [DAY + timedelta(days=4)]


def test_a_second_drift_that_begins_within_the_cooldown_is_asked_for_when_it_ends(world: World) -> None:
    flags = [True] * 3 + [False] * 4 + [True] * 20
    drifted(world, flags, DAY)
    days = [DAY + timedelta(days=i) for i in range(len(flags))]
    assert played(world, [[d] for d in days]) == [DAY + timedelta(days=2), DAY + timedelta(days=16)]
