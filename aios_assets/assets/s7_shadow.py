"""Shadow nights: what a challenger would have forecast and ordered tonight, written and never executed.

From: the night's own features and planning inputs, and the version that `mon_deployments` says is in shadow. Every night; empty
while nothing is in shadow. Form: forecasts and decisions in the shape of the real ones.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, MaterializeResult, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import asset_spec
from aios_assets.assets.glue_shadow import shadow_night
from aios_assets.assets.s7_recommend import plan_inputs
from aios_assets.resources.handles import World


@multi_asset(
    name="shadow",
    specs=[asset_spec(n, ["pred_demand__28d", "rec_decisions", "mon_deployments"]) for n in ("pred_demand__shadow", "rec_decisions__shadow")],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="rec_decisions__shadow",
)  # fmt: skip
def shadow(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Let whoever is in shadow forecast and plan beside the champion on each day of the run."""
    days = days_of(context)
    window = (days[0], days[-1] + timedelta(days=1))
    nights = [shadow_night(world, day, plan_inputs) for day in days]
    said = [line for _, _, lines in nights for line in lines]
    yield write(world, "pred_demand__shadow", pl.concat([n[0] for n in nights]), window=window, said=said)
    yield write(world, "rec_decisions__shadow", pl.concat([n[1] for n in nights]), window=window, said=said)
