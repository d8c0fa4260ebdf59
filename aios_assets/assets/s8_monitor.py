"""Monitoring: findings, matured forecasts, drift, gates, and the request to retrain when drift holds.

From: everything the night wrote. Every night. Form: one row per finding, class, column, gate; a report page that opens from
this asset's metadata.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, asset, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, settled, write
from aios_assets.assets.describe import asset_spec
from aios_assets.assets.glue_drift import drift_rows
from aios_assets.assets.glue_findings import finding_rows
from aios_assets.assets.glue_monitoring import gate_rows, quality_rows, retrain_rows, write_reports
from aios_assets.automation.partitions import DAILY
from aios_assets.resources.handles import World

DAY = timedelta(days=1)


@multi_asset(
    name="find_anomalies",
    specs=[
        asset_spec(
            "mon_findings",
            [
                "int_findings_detected",
                "fct_demand_daily",
                "pred_demand__28d",
                "raw_telemetry__excursions",
                "pred_lead_time__lane",
            ],
        )
    ],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="mon_findings",
)
def find_anomalies(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """What each night of the run finds that no night before it found."""
    frame = settled(finding_rows(world, days_of(context)))
    kinds = dict(frame["kind_code"].value_counts(sort=True).iter_rows())
    yield write(world, "mon_findings", frame, kinds=kinds)


@multi_asset(
    name="measure_quality_and_drift",
    specs=[
        asset_spec("mon_forecast_quality", ["pred_demand__28d", "fct_demand_daily"]),
        asset_spec("mon_drift", ["feat_item_site__demand", "pred_demand__28d", "mon_deployments"]),
    ],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="mon_drift",
)
def measure_quality_and_drift(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Matured forecasts beside the baseline, and this week's features and predictions beside the pinned windows."""
    days = days_of(context)
    window = (days[0], days[-1] + DAY)
    yield write(
        world, "mon_forecast_quality", settled(pl.concat([quality_rows(world, day) for day in days])), window=window
    )
    drift = settled(pl.concat([drift_rows(world, day) for day in days]))
    yield write(world, "mon_drift", drift, window=window, drifted=int(drift["is_drifted"].sum()))


@multi_asset(
    name="judge_the_night",
    specs=[
        asset_spec("mon_gate_verdicts", ["mon_forecast_quality", "mon_drift", "mon_findings", "rec_decisions"]),
        asset_spec("mon_retrain_requests", ["mon_forecast_quality", "mon_drift"]),
    ],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="mon_gate_verdicts",
)
def judge_the_night(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Judge each day by the thresholds; ask for training when drift held for N of M nights."""
    days = days_of(context)
    verdicts = settled(pl.concat([gate_rows(world, day) for day in days]))
    yield write(
        world,
        "mon_gate_verdicts",
        verdicts,
        window=(days[0], days[-1] + DAY),
        refused=int((~verdicts["is_passed"]).sum()),
    )
    yield write(world, "mon_retrain_requests", retrain_rows(world, days, verdicts))


@asset(
    name="night_report",
    deps=[
        "mon_gate_verdicts",
        "mon_promotion_verdicts",
        "mon_canary_units",
        "mon_forecast_quality",
        "mon_drift",
        "rec_decisions",
    ],
    group_name="s8_monitor",
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    kinds={"evidently", "html"},
    description="One page per night for people: drift, quality, calibration, KPIs; and Evidently's drift report beside it.",
)
def night_report(context: AssetExecutionContext, world: World) -> MaterializeResult[Any]:
    """Write the report pages of the run's last day."""
    pages = write_reports(world, days_of(context)[-1])
    return MaterializeResult(metadata={name: MetadataValue.url(world.page_url(path)) for name, path in pages.items()})
