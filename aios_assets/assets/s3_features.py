"""Demand features, from what was known at each day's cut-off, and their publication to Feast's online store.

From: `fct_demand_daily`. Every night; the first run computes the whole history. Form: one row per item, site and business
day. A row is never rewritten by later knowledge: it shows what a model of that night could have seen.

Reports are read and rows are written month by month, as both tables lie on disk, so that a history needs the memory of its cells
(17 bytes for each series and day) and not of its rows. One commit follows the last month: a run that is stopped before leaves no
day of it, never some months that look like all of them, and the next run begins again.
"""

from datetime import timedelta
from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write_parts
from aios_assets.assets.describe import contract_metadata, plain, what_it_holds
from aios_assets.automation.partitions import DAILY
from aios_assets.contracts.mart_tables import FEAT_ITEM_SITE_DEMAND
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

# The longest lag, and the rows before it that say when a series was first and last sold.
LOOKBACK = timedelta(days=400)


@asset(
    name="feat_item_site__demand",
    deps=["fct_demand_daily"],
    group_name="s3_features",
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    metadata=contract_metadata(FEAT_ITEM_SITE_DEMAND),
    description=what_it_holds(FEAT_ITEM_SITE_DEMAND),
    kinds={"deltalake", "polars"},
    pool="feat_item_site__demand",
)
def feat_item_site__demand(context: AssetExecutionContext, world: World) -> MaterializeResult[Any]:
    """Compute the features of the run's days, and of every earlier day that has none yet."""
    from ml.features import VERSION_COLUMNS, monthly_features

    first, last = world.feature_days(days_of(context))
    history = as_known.demand_months(world.lake, first - LOOKBACK, last, VERSION_COLUMNS)
    rows = monthly_features(history, (first, last), world.cutoff)
    return write_parts(world, "feat_item_site__demand", rows, days=str((first, last)))


@asset(
    name="online_features",
    deps=["feat_item_site__demand", "feat_item__attributes", "feat_supplier_lane__lead_time"],
    group_name="s3_features",
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    kinds={"feast", "sqlite"},
    pool="online_features",
    description="The newest feature row of every entity in Feast's online store, written in bulk and read through Feast.",
)
def online_features(context: AssetExecutionContext, world: World) -> MaterializeResult[Any]:
    """Publish the newest feature rows known at the cut-off of the run's last day."""
    day = days_of(context)[-1]
    published = world.features.publish_as_of(world.cutoff(day))
    return MaterializeResult(metadata=plain({"published": published, "as_of": day}))
