"""Recommendations: replenish, transfer, expedite, another supplier; and the reason for every item that is not ordered.

From: forecasts, lead times, stock and open orders as known at the cut-off, master data, `planning/policy.yaml`. Every night.
A night's recommendations replace those of the same night and expire with the next: the same need is never ordered twice.
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, FreshnessPolicy, MaterializeResult, asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import contract_metadata, png_metadata, what_it_holds
from aios_assets.assets.glue_policy import decide_night
from aios_assets.assets.glue_scoring import sales_reports
from aios_assets.assets.pictures import decisions_picture
from aios_assets.automation.partitions import DAILY
from aios_assets.contracts.decision_tables import REC_DECISIONS
from aios_assets.resources import as_known
from aios_assets.resources.handles import World
from aios_assets.resources.kept_out import kept_out_by_place

MOVES = ["item_id", "site_id", "inventory_date", "receipts_qty_ea", "outbound_qty_ea", "adjustments_qty_ea"]


def stock_tonight(lake: Any, cutoff: datetime, day: date, weeks: Collection[str] = ()) -> pl.DataFrame:
    """Stock of every item and site at the close of `day`: the newest close, with what is known to have moved since.

    Args:
        lake: the lake.
        cutoff: moment of knowledge.
        day: business day.
        weeks: sites whose sales are told a week at a time.

    Returns:
        item_id, site_id, on_hand_qty_ea, stock_date (the day of the close).
    """
    from planning.inputs import MOST_STOCK_AGE_DAYS
    from planning.position import brought_forward
    from planning.unreported import WEEK

    closes = as_known.stock_as_known(lake, cutoff, day - timedelta(days=MOST_STOCK_AGE_DAYS + WEEK), day)
    older = closes.filter(pl.col("stock_date") < day)
    if older.is_empty():
        return closes
    later = pl.col("inventory_date").is_between(older["stock_date"].min(), day) & ~pl.col("is_suspect")
    moves = lake.read("fct_inventory_daily", columns=MOVES, where=later & as_known.known_at(cutoff))
    return brought_forward(closes, moves, weeks)


def plan_inputs(world: World, day: date) -> Any:
    """Everything known at the cut-off of `day` that planning asks for."""
    from planning.inputs import PlanInputs
    from planning.unreported import week_ends

    lake, cutoff, reports = world.lake, world.cutoff(day), sales_reports(world, day)
    origin = pl.col("origin_date") == day
    return PlanInputs(
        forecasts=lake.read("pred_demand__28d", where=origin),
        lead_times=lake.read("pred_lead_time__lane", where=origin),
        arrivals=lake.read("pred_order__arrival", where=origin),
        stock=stock_tonight(lake, cutoff, day, week_ends(reports, day)),
        open_orders=as_known.orders_as_known(lake, cutoff),
        items=as_known.items_as_known(lake, cutoff),
        sites=as_known.sites_as_known(lake, cutoff),
        suppliers=as_known.suppliers_as_known(lake, cutoff),
        lanes=as_known.master_as_known(lake, "raw_master__lanes", ["origin_id", "destination_id", "mode_code"], cutoff),
        supplier_items=as_known.master_as_known(lake, "raw_master__supplier_items", ["supplier_id", "item_id"], cutoff),
        loads=as_known.master_as_known(lake, "raw_master__items", ["item_id"], cutoff),
        reports=reports,
        kept_out=kept_out_by_place(lake, day, cutoff),
        currency_code=world.currency,
    )


def _stamped(frame: pl.DataFrame, world: World, day: date) -> pl.DataFrame:
    """The rows with the cut-off of their day, also on a night without any forecast to take it from."""
    return frame.with_columns(pl.lit(world.cutoff(day)).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"))


@asset(
    name="rec_decisions",
    deps=[
        "pred_demand__28d",
        "pred_lead_time__lane",
        "pred_order__arrival",
        "fct_inventory_daily",
        "fct_order_events",
        "fct_demand_daily",
        "int_findings_detected",
    ],
    group_name="s7_recommend",
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    metadata=contract_metadata(REC_DECISIONS),
    description=what_it_holds(REC_DECISIONS),
    kinds={"deltalake", "polars"},
    pool="rec_decisions",
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=30)),
    owners=["team:planning"],
)
def rec_decisions(context: AssetExecutionContext, world: World) -> MaterializeResult[Any]:
    """Decide for every item and site, on each day of the run."""
    days, made = days_of(context), [decide_night(world, day, plan_inputs(world, day)) for day in days_of(context)]
    decided = pl.concat([_stamped(frame, world, day) for day, (frame, _) in zip(days, made, strict=True)])
    kinds = dict(decided["decision_code"].value_counts(sort=True).iter_rows())
    stake = decided.filter(pl.col("decision_code") != "none")["money_at_stake_usd"].sum()
    return write(
        world,
        "rec_decisions",
        decided,
        window=(days[0], days[-1] + timedelta(days=1)),
        decisions=kinds,
        policies=sorted({name for _, names in made for name in names}),
        money_at_stake_usd=round(stake, 2),
        picture=png_metadata(decisions_picture(decided)),
    )
