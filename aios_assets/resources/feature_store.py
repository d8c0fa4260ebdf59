"""Features for models: point-in-time frames for training, the newest known row for serving; Feast behind one plain class.

Feast takes a second and more to import, so it is imported by what needs it, never by this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import BadInputError, ContractError, RefusedError

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView

REPO_PATH = Path(__file__).resolve().parents[2] / "feature_repo"
TOLERANCE = 1e-6


class Features:
    """The feature store of one home.

    Args:
        repo_path: folder of the Feast repository.
        lake_root: folder of the Delta tables.
        home: folder of registry and online store.
    """

    def __init__(self, repo_path: Path = REPO_PATH, *, lake_root: Path, home: Path) -> None:
        self.repo_path, self.lake_root, self.home = Path(repo_path), Path(lake_root), Path(home)

    @cached_property
    def store(self) -> FeatureStore:
        """Feast's store, configured for this home, with entities and views applied."""
        from feature_repo import FeatureStore, RepoConfig

        self.home.mkdir(parents=True, exist_ok=True)
        config = RepoConfig(
            project="aios",
            provider="local",
            registry=str(self.home.absolute() / "registry.db"),
            offline_store={"type": "feature_repo.polars_store.PolarsOfflineStore"},
            online_store={
                "type": "feature_repo.bulk_online.BulkSqliteOnlineStore",
                "path": str(self.home.absolute() / "online.db"),
            },
            entity_key_serialization_version=3,
            repo_path=self.repo_path,
        )
        store = FeatureStore(config=config)
        self._apply(store)
        return store

    def _apply(self, store: FeatureStore) -> None:
        from feature_repo.definitions import ENTITIES

        store.apply([*ENTITIES, *self.views.values()])

    @cached_property
    def views(self) -> dict[str, FeatureView]:
        """Feature views by name."""
        from feature_repo.definitions import feature_views

        return {view.name: view for view in feature_views(self.lake_root)}

    def apply(self) -> list[str]:
        """Register entities and views; doing it again changes nothing.

        Returns:
            Names of the views.
        """
        self._apply(self.store)
        return sorted(self.views)

    def register_service(self, model_name: str, version: str, features: Sequence[str]) -> str:
        """Register what one model version reads.

        Args:
            model_name: registered model.
            version: its version.
            features: references `view:feature`.

        Returns:
            Name of the service.

        Raises:
            RefusedError: the version has a service already, with other features: a service is never edited.
            BadInputError: a reference names no feature.
        """
        from feature_repo.definitions import service_for

        service = service_for(model_name, version, features, list(self.views.values()))
        known = {s.name: s for s in self.store.list_feature_services()}
        if service.name in known:
            if _refs(known[service.name]) != _refs(service):
                raise RefusedError(
                    f"version {version} of {model_name} is registered with other features",
                    where=service.name, todo="register a new version",
                )  # fmt: skip
            return str(service.name)
        self.store.apply([service])
        return str(service.name)

    def service_features(self, model_name: str, version: str) -> list[str]:
        """References that a registered model version reads.

        Raises:
            BadInputError: no service is registered for it.
        """
        from feature_repo.definitions import service_name

        name = service_name(model_name, version)
        for service in self.store.list_feature_services():
            if service.name == name:
                return _refs(service)
        raise BadInputError(
            f"no service '{name}' is registered", where=str(self.home), todo="register the model version"
        )

    def training_frame(self, entity_df: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """Features as known at the moment of each asked row, through Feast.

        Args:
            entity_df: join keys and `event_timestamp` (instants; usually the cut-off of a business day), any further columns.
            features: references `view:feature`.

        Returns:
            `entity_df` with the features beside it: the same rows in the same order.

        Raises:
            BadInputError: a key or a feature is missing.
            ContractError: the store answered with another number of rows than it was asked for.
        """
        self._known(features)
        if entity_df.is_empty():
            return entity_df.with_columns(self._empty_columns(features))
        job = self.store.get_historical_features(entity_df=entity_df, features=list(features))  # type: ignore[arg-type]
        frame: pl.DataFrame = job.to_polars()  # type: ignore[attr-defined]
        if frame.height != entity_df.height:
            raise ContractError(
                f"asked for {entity_df.height:,} rows and got {frame.height:,}", where=", ".join(sorted({f.split(":")[0] for f in features}))
            )  # fmt: skip
        return frame

    def _known(self, features: Sequence[str]) -> None:
        for ref in features:
            view, _, feature = ref.partition(":")
            if view not in self.views or feature not in {f.name for f in self.views[view].features}:
                raise BadInputError(
                    f"there is no feature '{ref}'", where=str(self.repo_path), todo="write it as view:feature"
                )

    def _empty_columns(self, features: Sequence[str]) -> list[pl.Expr]:
        from aios_assets.contracts.registry import TABLES

        pairs = [ref.split(":", 1) for ref in features]
        return [pl.lit(None, dtype=TABLES[view].column(name).dtype).alias(name) for view, name in pairs]

    def publish_online(self, view: str, frame: pl.DataFrame, *, whole: bool = False) -> int:
        """Write the newest rows of a view to the online store, by the column.

        Args:
            view: feature view.
            frame: keys, features and clocks; one row per entity.
            whole: these are all entities there are; others are forgotten.

        Returns:
            Entities written.
        """
        from feature_repo.bulk_online import BulkSqliteOnlineStore

        provider: Any = self.store._get_provider()
        online = provider.online_store
        assert isinstance(online, BulkSqliteOnlineStore)
        return online.bulk_write(self.store.config, self.store.get_feature_view(view), frame, whole=whole)

    def newest_rows(self, view: str, instant: datetime) -> pl.DataFrame:
        """The newest row of every entity of a view that was known at `instant`."""
        from feature_repo.polars_store import PolarsOfflineStore

        definition = self.store.get_feature_view(view)
        source = definition.batch_source
        start = instant - definition.ttl if definition.ttl else datetime(1, 1, 1, tzinfo=instant.tzinfo)
        job = PolarsOfflineStore.pull_latest_from_table_or_query(
            self.store.config, source, [c.name for c in definition.entity_columns], [f.name for f in definition.features],
            source.timestamp_field, source.created_timestamp_column or None, start, instant,
        )  # fmt: skip
        frame: pl.DataFrame = job.to_polars()  # type: ignore[attr-defined]
        return frame

    def publish_as_of(self, instant: datetime) -> dict[str, int]:
        """Publish the newest row of every entity of every view, as known at `instant`; entities without one are forgotten.

        A day that is run again does not take back what later ones published: then the newest day counts that there are features of.

        Returns:
            Entities written, by view; a view whose table does not exist yet is left out.
        """
        written, instant = {}, self._published_at(instant)
        for view in sorted(self.views):
            if (self.lake_root / view).is_dir():
                written[view] = self.publish_online(view, self.newest_rows(view, instant), whole=True)
        return written

    def _published_at(self, instant: datetime) -> datetime:
        """`instant`, or the newest cut-off that there are demand features of, if that is later."""
        from aios_assets.contracts.mart_tables import FEAT_ITEM_SITE_DEMAND
        from feature_repo.polars_store import scan

        if not (self.lake_root / FEAT_ITEM_SITE_DEMAND.name).is_dir():
            return instant
        rows = scan(self.views[FEAT_ITEM_SITE_DEMAND.name].batch_source, self.store.config)
        newest = rows.select(pl.col(str(FEAT_ITEM_SITE_DEMAND.known_clock)).max()).collect().item()
        return instant if newest is None else max(instant, newest)

    def online(self, keys: Sequence[Mapping[str, Any]], features: Sequence[str]) -> pl.DataFrame:
        """Features of entities as they are published, through Feast.

        Args:
            keys: join keys of each entity.
            features: references `view:feature`.

        Returns:
            Join keys and features, one row for each entity asked, in that order; null where nothing is published.
        """
        self._known(features)
        answer = self.store.get_online_features(features=list(features), entity_rows=[dict(k) for k in keys])
        return pl.DataFrame(answer.to_dict(), infer_schema_length=None)

    def compare_offline_online(self, view: str, instant: datetime, sample: int = 200, seed: int = 7) -> pl.DataFrame:
        """Differences between what is published and what the offline store knows at `instant`, on a sample of entities.

        Args:
            view: feature view.
            instant: moment of publication, as given to `publish_as_of`.
            sample: entities compared; all of them when there are fewer.
            seed: seed of the sample.

        Returns:
            Join keys, feature, offline and online value (as text); empty when they agree.
        """
        rows = self.newest_rows(view, self._published_at(instant))
        keys = [c.name for c in self.store.get_feature_view(view).entity_columns]
        chosen = rows.sample(min(sample, rows.height), seed=seed).sort(keys)
        names = [f.name for f in self.store.get_feature_view(view).features]
        if chosen.is_empty():
            return pl.DataFrame(schema={**dict.fromkeys([*keys, "feature", "offline", "online"], pl.String)})
        online = self.online(chosen.select(keys).to_dicts(), [f"{view}:{n}" for n in names])
        return _differences(chosen, online, keys, names)


def _differences(offline: pl.DataFrame, online: pl.DataFrame, keys: list[str], names: list[str]) -> pl.DataFrame:
    """Cells in which two frames of the same rows differ, nulls included."""
    found = []
    for name in names:
        left, right = offline[name], online[name]
        if left.dtype.is_temporal():
            left, right = left.cast(pl.Datetime("us")).dt.epoch("s"), _seconds(right)
        if left.dtype.is_numeric():
            left, right = left.cast(pl.Float64), right.cast(pl.Float64)
            same = ((left - right).abs() <= TOLERANCE * (1 + left.abs())).fill_null(False) | (left.is_nan() & right.is_nan()).fill_null(False)  # fmt: skip
        else:
            same = (left == right.cast(left.dtype)).fill_null(False)
        same = same | (left.is_null() & right.is_null())
        if not same.all():
            found.append(
                offline.filter(~same).select(
                    *(pl.col(k).cast(pl.String) for k in keys),
                    pl.lit(name).alias("feature"),
                    left.filter(~same).cast(pl.String).alias("offline"),
                    right.filter(~same).cast(pl.String).alias("online"),
                )
            )
    return (
        pl.concat(found)
        if found
        else pl.DataFrame(schema=dict.fromkeys((*keys, "feature", "offline", "online"), pl.String))
    )


def _seconds(column: pl.Series) -> pl.Series:
    return column.dt.epoch("s") if column.dtype.is_temporal() else column.cast(pl.Int64)


def _refs(service: FeatureService) -> list[str]:
    return [f"{p.name}:{f.name}" for p in service.feature_view_projections for f in p.features]
