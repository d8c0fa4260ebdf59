"""Forecasts of demand, lead times and arrivals, each row naming the model version that made it.

From: the newest features and the champion that was live at the cut-off; a recent average where there is no healthy champion,
and the row says so. Every night. Form: 28 days × item × site with quantiles; lanes; open order lines.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, MaterializeResult, asset, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import asset_spec, contract_metadata, png_metadata, what_it_holds
from aios_assets.assets.glue_lead_time import lead_time_rows
from aios_assets.assets.glue_scoring import closed_words, demand_rows, gap_words, recent_sales, series_to_score
from aios_assets.assets.pictures import forecast_picture
from aios_assets.automation.partitions import DAILY
from aios_assets.contracts.decision_tables import PRED_DEMAND_28D
from aios_assets.resources.handles import World


@asset(
    name="pred_demand__28d",
    deps=["feat_item_site__demand", "feat_item__attributes", "mon_deployments"],
    group_name="s6_score",
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    metadata=contract_metadata(PRED_DEMAND_28D),
    description=what_it_holds(PRED_DEMAND_28D),
    kinds={"deltalake", "lightgbm"},
    pool="pred_demand__28d",
    owners=["team:data-science"],
)
def pred_demand__28d(context: AssetExecutionContext, world: World) -> MaterializeResult[Any]:
    """Score every item and site on each day of the run."""
    days = days_of(context)
    frames = []
    for day in days:
        asked = series_to_score(world, day)
        frames.append(demand_rows(world, day, asked))
    frame = pl.concat(frames)
    models = [f"{n} {v}" for n, v in frame.select("model_name", "model_version").unique().sort(pl.all()).iter_rows()]
    return write(
        world, "pred_demand__28d", frame, window=(days[0], days[-1] + timedelta(days=1)),
        models=models, fallback_rows=int(frame["is_fallback"].sum()), closed_weekdays=closed_words(asked.known.closed),
        not_forecast=gap_words(asked), days_summed_to_weeks=asked.summed,
        picture=png_metadata(forecast_picture(recent_sales(world, days[-1]), frame)),
    )  # fmt: skip


@multi_asset(
    name="score_lead_times",
    specs=[
        asset_spec(n, ["fct_order_events", "mon_deployments"]) for n in ("pred_lead_time__lane", "pred_order__arrival")
    ],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="pred_lead_time",
)
def score_lead_times(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Lead-time quantiles per lane, and the arrival of every open order line, on each day of the run."""
    days = days_of(context)
    window = (days[0], days[-1] + timedelta(days=1))
    pairs = [lead_time_rows(world, day) for day in days]
    yield write(world, "pred_lead_time__lane", pl.concat([p[0] for p in pairs]), window=window)
    yield write(world, "pred_order__arrival", pl.concat([p[1] for p in pairs]), window=window)
