"""Entities, feature views and services: what Feast knows of the feature tables, derived from their contracts.

Every view has two clocks: the moment a row speaks of, and the moment it could first be known.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.data_format import DeltaFormat
from feast.types import Bool, FeastType, Float32, Float64, Int32, Int64, String, UnixTimestamp

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.mart_tables import FEAT_ITEM_ATTRIBUTES, FEAT_ITEM_SITE_DEMAND, FEAT_SUPPLIER_LANE_LEAD_TIME
from aios_assets.contracts.table import Table

PROJECT = "aios"
FEAST_TYPES: dict[str, FeastType] = {
    "str": String, "i64": Int64, "i32": Int32, "f64": Float64, "f32": Float32, "bool": Bool, "date": UnixTimestamp, "ts": UnixTimestamp,
}  # fmt: skip

ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING, description="an item")
SITE = Entity(name="site", join_keys=["site_id"], value_type=ValueType.STRING, description="a store or centre")
SUPPLIER = Entity(
    name="supplier",
    join_keys=["source_id"],
    value_type=ValueType.STRING,
    description="a supplier or a delivering centre",
)
LANE = Entity(
    name="lane",
    join_keys=["lane_id"],
    value_type=ValueType.STRING,
    description="a source and a receiving site: source>site",
)
ENTITIES = [ITEM, SITE, SUPPLIER, LANE]

# Table, entities, and how long a row may stand in for a newer one: a day's features for a week, attributes for good.
VIEWS: tuple[tuple[Table, tuple[Entity, ...], timedelta], ...] = (
    (FEAT_ITEM_SITE_DEMAND, (ITEM, SITE), timedelta(days=7)),
    (FEAT_ITEM_ATTRIBUTES, (ITEM,), timedelta(0)),
    (FEAT_SUPPLIER_LANE_LEAD_TIME, (LANE,), timedelta(days=7)),
)


def feature_columns(table: Table, entities: Sequence[Entity]) -> list[str]:
    """Columns of a feature table that are features: neither keys nor clocks nor the partition."""
    keys = {e.join_key for e in entities}
    clocks = {table.event_clock, table.known_clock, *table.partition_by}
    return [c.name for c in table.columns if c.name not in keys | clocks]


def feature_view(table: Table, entities: Sequence[Entity], ttl: timedelta, lake_root: Path) -> FeatureView:
    """The feature view of a feature table; it carries the table's name."""
    fields = [Field(name=e.join_key, dtype=String) for e in entities]
    fields += [
        Field(name=n, dtype=FEAST_TYPES[table.column(n).type], description=table.column(n).means)
        for n in feature_columns(table, entities)
    ]
    source = FileSource(
        name=f"{table.name}_source",
        path=str(lake_root.absolute() / table.name),
        file_format=DeltaFormat(),
        timestamp_field=table.event_clock,
        # Master data speaks of the moment it was stated: one clock is both, and Feast refuses to be told so twice.
        created_timestamp_column="" if table.known_clock == table.event_clock else table.known_clock,
    )
    return FeatureView(
        name=table.name, entities=list(entities), ttl=ttl, schema=fields, source=source, online=True,
        description=f"Grain: {table.grain}", owner=table.owner,
    )  # fmt: skip


def feature_views(lake_root: Path) -> list[FeatureView]:
    """All views over one lake."""
    return [feature_view(table, entities, ttl, lake_root) for table, entities, ttl in VIEWS]


def service_for(model_name: str, version: str, features: Sequence[str], views: Sequence[FeatureView]) -> FeatureService:
    """What one version of a model reads. A new version gets a new service; an existing one is never edited.

    Args:
        model_name: registered model.
        version: its version.
        features: references `view:feature`, in the order the model takes them.
        views: views to choose from.

    Raises:
        BadInputError: a reference names no feature.
    """
    named = {view.name: view for view in views}
    chosen: dict[str, list[str]] = {}
    for ref in features:
        view, _, feature = ref.partition(":")
        if view not in named or feature not in {f.name for f in named[view].features}:
            raise BadInputError(
                f"there is no feature '{ref}'", where=f"{model_name} v{version}", todo="write it as view:feature"
            )
        chosen.setdefault(view, []).append(feature)
    return FeatureService(
        name=service_name(model_name, version),
        features=[named[view][names] for view, names in chosen.items()],
        description=f"features of {model_name} version {version}",
        tags={"model_name": model_name, "model_version": version},
    )


def service_name(model_name: str, version: str) -> str:
    """Name of the service of one model version."""
    return f"{model_name}_v{version}"


# What `feast apply` on the command line finds; programs build their own views over the lake they mean.
_CLI_VIEWS = feature_views(Path(os.environ.get("AIOS_LAKE_ROOT", ".aios/lake")))
feat_item_site__demand, feat_item__attributes, feat_supplier_lane__lead_time = _CLI_VIEWS
