"""Promotion: a challenger becomes champion only through the gates, and every change of what is live is a row.

From: rolling-origin scores of `mon_backtest_scores`, limits of `monitoring/thresholds.yaml`. Every night; it has something to
judge when a training added a version. Form: one verdict per gate, and append-only deployments.
"""

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import asset_spec
from aios_assets.assets.glue_promotion import judge_day
from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS, MON_PROMOTION_VERDICTS
from aios_assets.resources.handles import World


@multi_asset(
    name="promote",
    specs=[
        asset_spec(MON_PROMOTION_VERDICTS.name, ["mon_backtest_scores"]),
        asset_spec(MON_DEPLOYMENTS.name, ["mon_backtest_scores"]),
    ],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="mon_deployments",
)
def promote(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Judge every version that was trained by the run's days and has no verdict yet, oldest first."""
    import polars as pl

    judged = [judge_day(world, day) for day in days_of(context)]
    verdicts = pl.concat([j.verdicts for j in judged])
    yield write(world, MON_PROMOTION_VERDICTS.name, verdicts, reasons=[r for j in judged for r in j.reasons])
    yield write(world, MON_DEPLOYMENTS.name, pl.concat([j.deployments for j in judged]))
