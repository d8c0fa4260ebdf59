"""Promotion: a challenger climbs quality → cost → shadow → canary → full, and every change of what is live is a row.

From: rolling-origin scores of `mon_backtest_scores`, the cost trial on the last weeks, the shadow and canary nights so far, limits
of `monitoring/thresholds.yaml`. Every night; it has something to judge when a version was trained, proposed, or is climbing.
Form: one verdict per gate, append-only deployments, the costs that were played, and who is in the canary. On a night that trained a
demand model the planning parameters are tuned too, and what is better is proposed like a change by hand.
"""

from collections.abc import Iterator
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import asset_spec
from aios_assets.assets.glue_cards import cards_after
from aios_assets.assets.glue_promotion import judge_day
from aios_assets.assets.glue_tuning import tune_policy
from aios_assets.contracts.decision_tables import (
    MON_CANARY_UNITS,
    MON_COST_TRIALS,
    MON_DEPLOYMENTS,
    MON_PROMOTION_VERDICTS,
)
from aios_assets.contracts.planning_tables import MON_POLICY_TUNINGS
from aios_assets.resources.handles import World

WRITES = (MON_COST_TRIALS, MON_PROMOTION_VERDICTS, MON_CANARY_UNITS, MON_POLICY_TUNINGS, MON_DEPLOYMENTS)


@multi_asset(
    name="promote",
    specs=[asset_spec(table.name, ["mon_backtest_scores", "fct_demand_daily"]) for table in WRITES],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="mon_deployments",
)
def promote(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Judge every version that was trained or proposed by the run's days, and move whoever climbs, oldest day first."""
    both = [(judge_day(world, day), tune_policy(world, day)) for day in days_of(context)]
    judged, tuned = [j for j, _ in both], [t for _, t in both]
    cards = {k: v for j in judged for k, v in cards_after(world, j).items()}
    links = {name: MetadataValue.url(world.page_url(path)) for name, path in cards.items()}
    reasons = [r for j in judged for r in j.reasons] + [t.said for t in tuned if t.said]
    frames = {
        MON_COST_TRIALS.name: [j.trials for j in judged],
        MON_PROMOTION_VERDICTS.name: [j.verdicts for j in judged],
        MON_CANARY_UNITS.name: [j.units for j in judged],
        MON_POLICY_TUNINGS.name: [t.rows for t in tuned],
        MON_DEPLOYMENTS.name: [j.deployments for j in judged] + [t.deployments for t in tuned],
    }
    for name, parts in frames.items():
        extra: dict[str, Any] = {"reasons": reasons, **links} if name == MON_PROMOTION_VERDICTS.name else {}
        yield write(world, name, pl.concat(parts), **extra)
