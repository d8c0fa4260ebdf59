"""Training: a demand model and a lead-time model, tracked by MLflow, when they are due.

From: the features through Feast, `fct_demand_daily`, `fct_order_events`. Due on the first night with enough history, every
`retrain_every_days`, and when a retrain request stands. Form: MLflow runs with data versions, seed, metrics by demand
class, plots and model card; a registered version under the alias challenger.
"""

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, AssetSpec, Config, MaterializeResult, MetadataValue, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of
from aios_assets.assets.describe import asset_spec, frame_metadata, plain, png_metadata
from aios_assets.assets.glue_training import train_demand_if_due, train_lead_time_if_due
from aios_assets.automation.partitions import DAILY
from aios_assets.contracts.decision_tables import MON_BACKTEST_SCORES
from aios_assets.resources.handles import World

DEPS = ["feat_item_site__demand", "feat_item__attributes", "fct_demand_daily", "fct_order_events"]


class TrainConfig(Config):
    """What a person or the retrain sensor may ask of a training run."""

    force: bool = False
    reason: str = ""


def _model(name: str, what: str) -> AssetSpec:
    return AssetSpec(
        name,
        deps=DEPS,
        group_name="s4_train",
        partitions_def=DAILY,
        description=what,
        kinds={"mlflow"},
        owners=["team:data-science"],
    )


@multi_asset(
    name="train",
    specs=[
        _model("model_demand", "The global demand model's newest version in MLflow; trained only when due."),
        _model(
            "model_lead_time", "Lead-time distributions per lane, open orders censored; the newest version in MLflow."
        ),
        asset_spec(MON_BACKTEST_SCORES.name, DEPS),
    ],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="mon_backtest_scores",
)
def train(context: AssetExecutionContext, config: TrainConfig, world: World) -> Iterator[MaterializeResult[Any]]:
    """Train a challenger on each day of the run on which training is due; say why, or why not."""
    days, say = days_of(context), context.log.info
    for name, one in (("model_demand", train_demand_if_due), ("model_lead_time", train_lead_time_if_due)):
        outcomes = [one(world, day, config.force, config.reason, say) for day in days]
        pictures = {f"{plot} v{o.version}": png_metadata(png) for o in outcomes for plot, png in o.plots.items()}
        links = {n: MetadataValue.url(world.page_url(p)) for o in outcomes for n, p in o.pages.items()}
        yield MaterializeResult(
            asset_key=name, metadata=plain({"outcomes": [o.summary() for o in outcomes]}) | pictures | links
        )
    scores = world.lake.read(MON_BACKTEST_SCORES)
    yield MaterializeResult(
        asset_key=MON_BACKTEST_SCORES.name,
        metadata=frame_metadata(MON_BACKTEST_SCORES, scores, delta_version=world.lake.version(MON_BACKTEST_SCORES)),
    )
