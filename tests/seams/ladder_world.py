"""A small network in a lake of its own, with real Feast and real MLflow: 105 item × site, half a year, four suppliers, three stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from dagster import materialize

from aios_assets.assets.glue_rollout import live_row
from aios_assets.assets.glue_scoring import covariates, scoring_features
from aios_assets.assets.s5_promote import promote
from aios_assets.assets.s6_score import pred_demand__28d
from aios_assets.assets.s7_recommend import rec_decisions
from aios_assets.assets.s7_shadow import shadow
from aios_assets.checks.ladder_checks import LADDER_CHECKS
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World
from ml.datasets import Encoding, demand_frame
from ml.features import demand_features
from ml.models.boosted import BoostedModel, BoostSpec
from ml.promotion.deployments import deployment_row
from tests.model.demand_world import DemandWorld, make_world
from tests.unit.ml.conftest import labels_as_of

ITEMS, SITES, DAYS = 35, 3, 190
DAY0 = date(2023, 1, 1) + timedelta(days=165)
NIGHT = [promote, pred_demand__28d, rec_decisions, shadow, *LADDER_CHECKS]
Live = dict[tuple[str, str], tuple[str, float]]
KNOWN = datetime(2022, 12, 1, tzinfo=UTC)
TS = pl.Datetime("us", "UTC")


def cutoff(day: date) -> datetime:
    """02:00 UTC of the next day."""
    return datetime.combine(day + timedelta(days=1), time(2), UTC)


def rows(name: str, frame: pl.DataFrame, **values: Any) -> pl.DataFrame:
    """`frame` as rows of a table: constants added, what is left out is null, types as the contract has them."""
    table = TABLES[name]
    full = frame.with_columns(**{k: pl.lit(v) for k, v in values.items()})
    return full.select(
        (pl.col(c.name) if c.name in full.columns else pl.lit(None).alias(c.name)).cast(c.dtype) for c in table.columns
    )


def build_world(home: Path, days: int = DAYS) -> tuple[World, DemandWorld]:
    """Write the network's tables; training reads four months at a stride of a week."""
    made = make_world(ITEMS, SITES, days, seed=11)
    world = World(
        home=str(home), inbox_path=str(home / "inbox"), business_tz="UTC", cutoff_hour=2,
        tracking_uri=f"sqlite:///{home}/mlflow/mlflow.db", seed=7, training_days=112, training_stride_days=7,
    )  # fmt: skip
    stamp = {"document_id": "d", "set_no": 1, "segment_no": 1, "version_no": 1, "is_suspect": False, "is_current": True}
    write_demand(world, made.versions)
    closing = made.versions.select(
        "item_id", "site_id", pl.col("demand_date").alias("inventory_date"), "available_at_utc"
    )
    closes = closing.with_columns(pl.lit(None, dtype=TS).alias("superseded_at_utc")).filter(
        pl.col("inventory_date") >= DAY0
    )
    level = np.random.default_rng(3).integers(0, 60, closes.height).astype(float)
    stock = rows(
        "fct_inventory_daily", closes.with_columns(pl.Series("closing_qty_ea", level), pl.col("inventory_date").dt.strftime("%Y-%m").alias("inventory_month")),
        receipts_qty_ea=0.0, outbound_qty_ea=0.0, adjustments_qty_ea=0.0, **stamp,
    )  # fmt: skip
    world.lake.write("fct_inventory_daily", stock, window=(DAY0, DAY0 + timedelta(days=60)))
    _master(world, made)
    first = date(2023, 1, 1)  # recipes of earlier days learn from the months before theirs
    features = demand_features(made.versions, (first, first + timedelta(days=days - 1)), cutoff)
    last = features["feature_date"].max()
    assert isinstance(last, date)
    world.lake.write("feat_item_site__demand", features, window=(first, last + timedelta(days=1)))
    return world, made


def write_demand(world: World, versions: pl.DataFrame) -> None:
    """Replace the demand mart by these versions."""
    month = pl.col("demand_date").dt.strftime("%Y-%m").alias("demand_month")
    frame = rows(
        "fct_demand_daily", versions.with_columns(month), returns_qty_ea=0.0, document_id="d", set_no=1, segment_no=1,
        version_no=1, is_suspect=False, is_current=True,
    )  # fmt: skip
    world.lake.write("fct_demand_daily", frame, window=(date(2022, 12, 1), date(2024, 1, 1)))


def _master(world: World, made: DemandWorld) -> None:
    items = made.versions.group_by("item_id").agg(pl.col("price_usd").max().alias("unit_price_usd")).sort("item_id")
    line = {"document_id": "m", "line_no": 1, "available_at_utc": KNOWN}
    priced = items.with_columns(
        (pl.col("unit_price_usd") * 0.7).alias("unit_cost_usd"), pl.lit("C").alias("category_code"),
        pl.format("SUP{}", pl.int_range(pl.len()) % 4).alias("supplier_id"), pl.lit(1).alias("pack_ea"),
    )  # fmt: skip
    stores = pl.DataFrame({"site_id": [f"S{s:02}" for s in range(SITES)], "site_type": "store"})
    lanes = pl.DataFrame({"origin_id": ["SUP0", "SUP1", "SUP2", "SUP3"]}).join(
        stores.select(pl.col("site_id").alias("destination_id")), how="cross"
    )
    lake = world.lake
    lake.write("raw_master__items", rows("raw_master__items", priced, **line))
    lake.write("raw_master__sites", rows("raw_master__sites", stores, **line))
    lake.write(
        "raw_master__lanes",
        rows("raw_master__lanes", lanes, mode_code="standard", quoted_lead_time_days=3.0, cost_per_order_usd=0.0, cost_per_ea_usd=0.0, **line),
    )  # fmt: skip
    suppliers = pl.DataFrame({"supplier_id": ["SUP0", "SUP1", "SUP2", "SUP3"], "supplier_name": "S"})
    lake.write("raw_master__suppliers", rows("raw_master__suppliers", suppliers, **line))
    lake.write("feat_item__attributes", rows("feat_item__attributes", priced, available_at_utc=KNOWN))


def models(world: World, made: DemandWorld, day: date, kinds: Sequence[tuple[int, float]]) -> list[Any]:
    """Demand versions learned from what was known on `day`, registered and signed: one for each number of trees and bias."""
    origins = [day - timedelta(days=28 + 7 * k) for k in range(9)]
    features = pl.concat([scoring_features(world, o, o) for o in origins])
    labels, encoding = labels_as_of(made.versions, world.cutoff(day)), Encoding.fit(features)
    frame = demand_frame(features, covariates(world, day), encoding, labels=labels)
    refs = []
    for trees, bias in kinds:
        model = BoostedModel(BoostSpec(trees=trees, spread_trees=10, threads=1))
        model.fit(replace(frame.design), 7)
        model.bias = dict.fromkeys(map(str, set(frame.design.segment)), bias)
        model.extra = {"maps": {k: dict(v) for k, v in encoding.maps.items()}, "horizon": 28, "as_of": str(day), "drop": []}  # fmt: skip
        refs.append(world.tracking.log_artifact("demand", model.to_bytes(), data_versions={}))
    return refs


def deploy(world: World, ref: Any, alias: str, day: date, verdict: Any) -> None:
    """Make a version what is live at the close of `day`."""
    row = deployment_row(model_name=ref.name, model_version=ref.version, model_digest=ref.digest, alias=alias, share_frac=1.0,
                         valid_from_utc=world.cutoff(day), verdict=verdict, reason="the start of this test")  # fmt: skip
    world.lake.write("mon_deployments", row)


def play(world: World, day: date) -> tuple[dict[str, bool], Live]:
    """One night: promotion, scoring, planning, shadow; the ladder's checks, and who is live afterwards with which share."""
    done = materialize(NIGHT, partition_key=day.isoformat(), resources={"world": world})
    live = {
        (m, alias): (row["model_version"], row["share_frac"])
        for m in ("demand", "policy") for alias in ("champion", "shadow", "canary")
        if (row := live_row(world, m, alias, day)) is not None
    }  # fmt: skip
    nights = Path(world.home) / "nights"
    nights.mkdir(exist_ok=True)
    (nights / f"{day}.json").write_text("{}")
    return {c.check_name: c.passed for c in done.get_asset_check_evaluations()}, live
