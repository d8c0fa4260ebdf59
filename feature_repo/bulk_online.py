"""Feast's SQLite online store with a writer by the column: one row per entity, which Feast's own reader still sees as its own.

Stock Feast stores one SQLite row per entity and feature and serialises each value by itself. Here an entity is one row with
its values packed side by side (`packing`); a view of the stock name and columns unpacks it, so whatever reads the stock
format reads this. Behind Feast's interface: `materialize`, `push` and `get_online_features` work as ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import polars as pl
from feast import Entity, FeatureView
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig, _quote_id, _table_id
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig
from feast.types import Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp

from aios_assets.contracts.errors import BadInputError, NotSupportedError
from feature_repo.packing import Slot, cut, entity_keys, key_column, layout, packed, texts
from feature_repo.point_in_time import instant

KINDS = {
    Float32: "float",
    Float64: "double",
    Int32: "int32",
    Int64: "int64",
    Bool: "bool",
    UnixTimestamp: "instant",
    String: "text",
}
_CHUNK = 5_000
# Fewer rows than this per block are not worth a statement of their own.
_BLOCK_ROWS = 20
Row = tuple[datetime | None, dict[str, Value] | None]


class BulkSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc]
    """What `feature_store.yaml` may say about this store."""

    type: Literal["feature_repo.bulk_online.BulkSqliteOnlineStore"] = "feature_repo.bulk_online.BulkSqliteOnlineStore"  # type: ignore[assignment]


def slots_of(view: FeatureView) -> tuple[Slot, ...]:
    """Where each feature of a view lies.

    Raises:
        NotSupportedError: a feature has a type that has no slot (lists, maps, vectors).
    """
    odd = [f.name for f in view.features if f.dtype not in KINDS]
    if odd:
        raise NotSupportedError(f"feature '{odd[0]}' has a type that this store does not pack", where=view.name)
    return layout([(f.name, KINDS[f.dtype]) for f in view.features])


class BulkSqliteOnlineStore(SqliteOnlineStore):  # type: ignore[misc]
    """The stock store with packed rows."""

    def bulk_write(self, config: RepoConfig, view: FeatureView, frame: pl.DataFrame, *, whole: bool = False) -> int:
        """Write the newest rows of a view, by the column.

        Args:
            config: Feast's configuration.
            view: feature view.
            frame: its join keys, features and clocks; one row per entity.
            whole: these are all entities there are; what is written of any other goes, in the same transaction.

        Returns:
            Entities written.

        Raises:
            BadInputError: a column is missing, or an entity stands twice.
        """
        keys = [c.name for c in view.entity_columns]
        source = view.batch_source
        event, created = source.timestamp_field, source.created_timestamp_column or source.timestamp_field
        slots = slots_of(view)
        missing = [c for c in (*keys, *(s.name for s in slots), event, created) if c not in frame.columns]
        if missing:
            raise BadInputError(
                f"column '{missing[0]}' is missing", where=view.name, todo="hand over the whole feature row"
            )
        if frame.select(keys).is_duplicated().any():
            raise BadInputError("an entity stands twice", where=view.name, todo="hand over its newest row only")
        name = _table_id(config.project, view, config.registry.enable_online_feature_view_versioning) + "__rows"
        clocks = frame.select(
            instant(event, frame.schema[event]).dt.epoch("s").alias("event"),
            instant(created, frame.schema[created]).dt.epoch("s").alias("created"),
        )
        connection = self._get_conn(config)
        with connection:
            if whole:
                connection.execute(f"DELETE FROM {_quote_id(name)}")
            _insert(connection, _quote_id(name), frame, keys, slots, clocks)
        return frame.height

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Feast's own path (materialize, push): the same rows, from its objects."""
        source = table.batch_source
        created = source.created_timestamp_column or source.timestamp_field
        newest: dict[bytes, dict[str, Any]] = {}
        for key, values, event, known in data:
            row = {n: _plain(v) for n, v in zip(key.join_keys, key.entity_values, strict=True)}
            row |= {n: _plain(v) for n, v in values.items()}
            newest[key.SerializeToString(deterministic=True)] = row | {
                created: known or event,
                source.timestamp_field: event,
            }
        if newest:
            self.bulk_write(config, table, _frame(table, list(newest.values()), created))
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Row]:
        """Values of each entity; (None, None) for one that was never written."""
        from feast.infra.key_encoding_utils import serialize_entity_key

        slots = [s for s in slots_of(table) if not requested_features or s.name in requested_features]
        wanted = [serialize_entity_key(k, config.entity_key_serialization_version) for k in entity_keys]
        name = _quote_id(
            _table_id(config.project, table, config.registry.enable_online_feature_view_versioning) + "__rows"
        )
        columns = ", ".join(
            ["entity_key", "packed", "event_ts", *(_quote_id(s.name) for s in slots if s.kind == "text")]
        )
        found: dict[bytes, Row] = {}
        cursor = self._get_conn(config).cursor()
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            cursor.execute(f"SELECT {columns} FROM {name} WHERE entity_key IN ({', '.join('?' * len(part))})", part)
            for key, blob, event, *written in cursor:
                found[key] = (event.replace(tzinfo=UTC), _values(blob, written, slots))
        return [found.get(key, (None, None)) for key in wanted]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make room for the views that stay; a view whose features changed starts empty."""
        connection = self._get_conn(config)
        versioning = config.registry.enable_online_feature_view_versioning
        connection.execute("CREATE TABLE IF NOT EXISTS aios_layouts (name TEXT PRIMARY KEY, layout TEXT)")
        for view in tables_to_delete:
            _drop(connection, _table_id(config.project, view, versioning))
        for view in tables_to_keep:
            name, slots = _table_id(config.project, view, versioning), slots_of(view)
            described = json.dumps([(s.name, s.kind) for s in slots])
            before = connection.execute("SELECT layout FROM aios_layouts WHERE name = ?", (name,)).fetchone()
            if before != (described,):
                _drop(connection, name)
                for statement in _tables_sql(name, slots):
                    connection.execute(statement)
                connection.execute("INSERT OR REPLACE INTO aios_layouts VALUES (?, ?)", (name, described))
        connection.commit()


def _insert(
    connection: Any, table: str, frame: pl.DataFrame, keys: Sequence[str], slots: Sequence[Slot], clocks: pl.DataFrame
) -> None:
    """Insert rows: in blocks that SQLite cuts itself where keys have few lengths and clocks few values, else one by one."""
    cells = packed(frame, slots)
    written = [texts(frame[s.name]) for s in slots if s.kind == "text"]
    named = None if written else key_column(frame, keys)
    if named is not None:
        blocks = clocks.with_columns(named.str.len_bytes().alias("size")).with_row_index("row")
        groups = blocks.group_by("size", "event", "created", maintain_order=True).agg("row")
        if groups.height * _BLOCK_ROWS <= frame.height:
            for size, event, created, found in groups.iter_rows():
                at = np.asarray(found)
                text = named.gather(at).str.join("").item().encode()
                width = cells.shape[1]
                connection.execute(
                    f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) "
                    f"INSERT OR REPLACE INTO {table} SELECT substr(?2, i * ?3 + 1, ?3), substr(?4, i * ?5 + 1, ?5), ?6, ?7 FROM n",
                    (len(found), text, size, cells[at].tobytes(), width, event, created),
                )
            return
    blobs = cut(cells.tobytes(), cells.shape[1], frame.height)
    places = ", ".join("?" * (len(written) + 4))
    rows = zip(
        entity_keys(frame, keys), blobs, *written, clocks["event"].to_list(), clocks["created"].to_list(), strict=True
    )
    connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows)


def _drop(connection: Any, name: str) -> None:
    kind = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    if kind:
        connection.execute(f"DROP {kind[0].upper()} {_quote_id(name)}")
    connection.execute(f"DROP TABLE IF EXISTS {_quote_id(name + '__rows')}")
    connection.execute("DELETE FROM aios_layouts WHERE name = ?", (name,))


def _tables_sql(name: str, slots: Sequence[Slot]) -> list[str]:
    """The table of packed rows, and the view that shows it as stock Feast's table."""
    rows = _quote_id(name + "__rows")
    written = "".join(f", {_quote_id(s.name)} BLOB" for s in slots if s.kind == "text")
    parts = []
    for slot in slots:
        value = _quote_id(slot.name)
        if slot.kind != "text":
            cut = f"substr(packed, {slot.offset + 1}, {slot.width})"
            value = f"CASE WHEN substr(packed, {slot.offset + 1}, 1) = x'00' THEN x'' ELSE {cut} END"
        label = slot.name.replace("'", "''")
        parts.append(
            f"SELECT entity_key, '{label}' AS feature_name, {value} AS value, NULL AS value_text, NULL AS vector_value, "
            f"event_ts, created_ts FROM {rows}"
        )
    return [
        f"CREATE TABLE {rows} (entity_key BLOB PRIMARY KEY, packed BLOB{written}, event_ts timestamp, created_ts timestamp) "
        "WITHOUT ROWID",
        f"CREATE VIEW {_quote_id(name)} AS {' UNION ALL '.join(parts)}",
    ]


def _values(blob: bytes, written: Sequence[bytes], slots: Sequence[Slot]) -> dict[str, Value]:
    values, beside = {}, iter(written)
    for slot in slots:
        if slot.kind == "text":
            values[slot.name] = Value.FromString(next(beside))
        elif blob[slot.offset]:
            values[slot.name] = Value.FromString(blob[slot.offset : slot.offset + slot.width])
        else:
            values[slot.name] = Value()
    return values


def _plain(value: Value) -> Any:
    """The Python value in Feast's, None for its null."""
    kind = value.WhichOneof("val")
    return getattr(value, kind) if kind else None


def _frame(view: FeatureView, rows: list[dict[str, Any]], created: str) -> pl.DataFrame:
    types: dict[str, pl.DataType] = {
        "float": pl.Float32(), "double": pl.Float64(), "int32": pl.Int32(), "int64": pl.Int64(), "bool": pl.Boolean(),
        "instant": pl.Int64(), "text": pl.String(),
    }  # fmt: skip
    schema: dict[str, Any] = {c.name: None for c in view.entity_columns}
    schema |= {s.name: types[s.kind] for s in slots_of(view)}
    schema |= {view.batch_source.timestamp_field: pl.Datetime("us", "UTC"), created: pl.Datetime("us", "UTC")}
    frame = pl.DataFrame(rows, schema=schema, infer_schema_length=None)
    return frame.with_columns(
        pl.from_epoch(s.name, "s").alias(s.name)
        for s in slots_of(view)
        if s.kind == "instant" and frame.schema[s.name] == pl.Int64
    )
