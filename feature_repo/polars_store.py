"""Feast's offline store on polars: Delta tables by their file list, point-in-time joins that honour both clocks.

It answers with as many rows as it was asked for, in the order asked; a row of which nothing was known has null features.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import polars as pl
import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from feast.infra.offline_stores.file_source import FileSource, SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from aios_assets.contracts.errors import BadInputError, NotSupportedError
from feature_repo.point_in_time import INSTANT, as_known, by_stretches, instant, newest_known

EVENT_TIMESTAMP = "event_timestamp"
STRETCHES_FROM = 3_000_000  # feature rows; fewer are joined at once, which is twice as fast


class PolarsOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """What `feature_store.yaml` may say about this store."""

    type: Literal["feature_repo.polars_store.PolarsOfflineStore"] = "feature_repo.polars_store.PolarsOfflineStore"


class PolarsRetrievalJob(RetrievalJob):  # type: ignore[misc]
    """A retrieval that runs when its result is asked for.

    Args:
        evaluate: makes the result.
        metadata: what was asked.
        full_feature_names: whether features carry their view's name.
        on_demand_feature_views: views computed from the result.
    """

    def __init__(
        self,
        evaluate: Callable[[], pl.DataFrame],
        metadata: RetrievalMetadata | None = None,
        full_feature_names: bool = False,
        on_demand_feature_views: list[OnDemandFeatureView] | None = None,
    ) -> None:
        self._evaluate, self._metadata = evaluate, metadata
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = on_demand_feature_views or []

    def to_polars(self) -> pl.DataFrame:
        """The result without a detour through pandas."""
        return self._evaluate()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._evaluate().to_pandas()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._evaluate().to_arrow(compat_level=pl.CompatLevel.oldest())

    @property
    def full_feature_names(self) -> bool:
        """Whether features carry their view's name."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views computed from the result."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked."""
        return self._metadata

    def persist(self, storage: Any, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the result as one Parquet file.

        Raises:
            NotSupportedError: the storage is not a file.
            BadInputError: the file exists and may not be overwritten.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise NotSupportedError("results can be kept as Parquet files only", where=type(storage).__name__)
        path = Path(storage.file_options.uri.removeprefix("file://"))
        if path.exists() and not allow_overwrite:
            raise BadInputError(
                "the file exists already", where=str(path), todo="allow overwriting, or name another file"
            )
        self._evaluate().write_parquet(path)


class PolarsOfflineStore(OfflineStore):  # type: ignore[misc]
    """Feast's `OfflineStore` over Delta or Parquet, on polars."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | pl.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **kwargs: Any,
    ) -> RetrievalJob:
        asked = _asked(entity_df)
        at = _moment_column(asked)
        wanted = _wanted(feature_views, feature_refs)
        moments = asked.select(instant(at, asked.schema[at]).alias(at))[at]

        def evaluate() -> pl.DataFrame:
            parts = [asked]
            for view, features in wanted:
                parts.append(_joined(config, view, features, asked, at, full_feature_names))
            return pl.concat(parts, how="horizontal")

        metadata = RetrievalMetadata(
            features=feature_refs,
            keys=[c for c in asked.columns if c != at],
            min_event_timestamp=moments.min(),  # type: ignore[arg-type]
            max_event_timestamp=moments.max(),  # type: ignore[arg-type]
        )
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        return PolarsRetrievalJob(evaluate, metadata, full_feature_names, on_demand)

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        columns = _columns(join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)

        def evaluate() -> pl.DataFrame:
            rows = (
                scan(data_source, config)
                .select(columns)
                .filter(_between(timestamp_field, data_source, config, start_date, end_date))
            )
            if created_timestamp_column:
                # What was not yet known at the end of the stretch cannot be the newest thing known there.
                rows = rows.filter(_between(created_timestamp_column, data_source, config, None, end_date))
            frame = newest_known(rows.collect(), join_key_columns, timestamp_field, created_timestamp_column)
            return _with_instants(frame, timestamp_field, created_timestamp_column)

        return PolarsRetrievalJob(evaluate)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        columns = _columns(join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)

        def evaluate() -> pl.DataFrame:
            rows = (
                scan(data_source, config)
                .select(columns)
                .filter(_between(timestamp_field, data_source, config, start_date, end_date))
            )
            frame = rows.collect().sort(*join_key_columns, timestamp_field)
            return _with_instants(frame, timestamp_field, created_timestamp_column)

        return PolarsRetrievalJob(evaluate)


def scan(source: DataSource, config: RepoConfig) -> pl.LazyFrame:
    """The rows of a data source: a Delta table by its live files, else a Parquet file or folder.

    Raises:
        NotSupportedError: not a file source, or a Delta table whose features a list of files cannot express.
        BadInputError: there is nothing at the path.
    """
    from deltalake import DeltaTable

    if not isinstance(source, FileSource):
        raise NotSupportedError(f"source '{source.name}' is a {type(source).__name__}", todo="use a FileSource")
    path = Path(source.path.removeprefix("file://"))
    if not path.is_absolute() and config.repo_path:
        path = Path(config.repo_path) / path
    if not path.exists():
        raise BadInputError("there is no feature table", where=str(path), todo="run the stage that writes it")
    if path.is_file() or not DeltaTable.is_deltatable(str(path)):
        return pl.scan_parquet(path)
    table = DeltaTable(str(path))
    features = set(table.protocol().reader_features or ()) - {"timestampNtz"}
    if features:
        raise NotSupportedError(f"the Delta table uses features {sorted(features)}", where=str(path))
    # The table's own schema: files written before it gained a column do not have that column.
    schema = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([], pa.schema(table.schema().to_arrow())))).schema
    files = sorted(table.file_uris())
    if not files:
        return pl.LazyFrame(schema=schema)
    parts = {name: schema[name] for name in table.metadata().partition_columns}
    return pl.scan_parquet(
        files,
        schema={name: dtype for name, dtype in schema.items() if name not in parts},
        hive_partitioning=bool(parts),
        hive_schema=parts or None,
        try_parse_hive_dates=False,
        missing_columns="insert",
    )


def _asked(entity_df: pd.DataFrame | pl.DataFrame | str | None) -> pl.DataFrame:
    if isinstance(entity_df, pl.DataFrame):
        return entity_df
    if isinstance(entity_df, pd.DataFrame):
        return pl.from_pandas(entity_df, nan_to_null=False)
    raise NotSupportedError(
        "this store needs the rows that are asked for",
        where="entity_df",
        todo="pass a frame of keys and event_timestamp",
    )


def _moment_column(asked: pl.DataFrame) -> str:
    if EVENT_TIMESTAMP in asked.columns:
        return EVENT_TIMESTAMP
    moments = [name for name, dtype in asked.schema.items() if isinstance(dtype, pl.Datetime)]
    if len(moments) != 1:
        raise BadInputError(
            f"the asked rows have no column '{EVENT_TIMESTAMP}'", where=", ".join(asked.columns), todo="say as of when"
        )
    return moments[0]


def _wanted(views: list[FeatureView], refs: list[str]) -> list[tuple[FeatureView, list[str]]]:
    """Views with the features asked of each, in the order asked."""
    named = {view.projection.name_to_use(): view for view in views}
    wanted: dict[str, list[str]] = {}
    for ref in refs:
        view, feature = ref.split(":", 1)
        name = view.split("@", 1)[0]
        if name in named:
            wanted.setdefault(name, []).append(feature)
    return [(named[name], features) for name, features in wanted.items()]


def _joined(
    config: RepoConfig, view: FeatureView, features: list[str], asked: pl.DataFrame, at: str, full_names: bool
) -> pl.DataFrame:
    """One view's features for the asked rows."""
    source = view.batch_source
    event, created = source.timestamp_field, source.created_timestamp_column or None
    renames = {ours: theirs for theirs, ours in (source.field_mapping or {}).items()}
    stored_keys = [renames.get(c.name, c.name) for c in view.entity_columns]
    asked_keys = [view.projection.join_key_map.get(c.name, c.name) for c in view.entity_columns]
    missing = [k for k in asked_keys if k not in asked.columns]
    if missing:
        raise BadInputError(
            f"the asked rows lack the key '{missing[0]}'", where=view.name, todo="add it to the asked rows"
        )
    stored = [renames.get(f, f) for f in features]
    ttl = view.ttl if view.ttl and view.ttl > timedelta(0) else None
    names_ours = dict(zip(stored_keys, asked_keys, strict=True)) | dict(zip(stored, features, strict=True))
    rows = scan(source, config)
    wanted = rows.select(_columns(stored_keys, stored, event, created))

    def known(part: pl.DataFrame) -> pl.DataFrame:
        moments = part.select(instant(at, part.schema[at]).alias(at))[at]
        first = moments.min() - ttl if ttl and len(moments) else None  # type: ignore[operator]
        frame = wanted.filter(_between(event, source, config, first, moments.max())).collect().rename(names_ours)  # type: ignore[arg-type]
        return as_known(part, frame, keys=asked_keys, at=at, features=features, event=event, created=created, ttl=ttl)

    is_long = ttl is not None and rows.select(pl.len()).collect().item() > STRETCHES_FROM
    result = by_stretches(asked, at, known) if is_long else known(asked)
    names = [f"{view.projection.name_to_use()}__{f}" if full_names else f for f in features]
    return result.rename(dict(zip(features, names, strict=True)))


def _columns(keys: list[str], features: list[str], event: str, created: str | None) -> list[str]:
    return list(dict.fromkeys([*keys, *features, event, *([created] if created else [])]))


def _between(
    column: str, source: DataSource, config: RepoConfig, first: datetime | None, last: datetime | None
) -> pl.Expr:
    """Condition on a clock; dates are compared as dates so that files can be skipped by their statistics."""
    dtype = scan(source, config).collect_schema()[column]
    bounds = []
    for limit, upper in ((first, False), (last, True)):
        if limit is None:
            continue
        # In UTC, for the day of an instant depends on the zone it is told in.
        aware = pl.lit(limit.replace(tzinfo=UTC) if limit.tzinfo is None else limit.astimezone(UTC), dtype=INSTANT)
        if dtype == pl.Date:  # the midnight of a day is within the stretch, or it is not
            day, starts = aware.dt.date(), aware.dt.truncate("1d") == aware
            bounds.append(
                pl.col(column) <= day if upper else (pl.col(column) > day) | (starts & (pl.col(column) == day))
            )
        else:
            value = instant(column, dtype)
            bounds.append(value <= aware if upper else value >= aware)
    return pl.all_horizontal(bounds) if bounds else pl.lit(True)


def _with_instants(frame: pl.DataFrame, event: str, created: str | None) -> pl.DataFrame:
    return frame.with_columns(instant(c, frame.schema[c]).alias(c) for c in (event, *([created] if created else [])))
