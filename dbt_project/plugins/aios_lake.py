"""dbt's two doors to the lake: raw Delta tables in as views, finished models out through the lake's one writer.

From: Delta tables at `AIOS_LAKE_ROOT`. When: once per dbt invocation, so all its models see one snapshot of each table. Form: one
view `lake.<table>` over the live Parquet files of each table; a table that does not exist yet is an empty view of its
contract's columns. Results go out with `Lake.write`, the same call and the same checks as every other table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from deltalake import DeltaTable

from aios_assets.contracts.errors import AiosError, NotSupportedError, UsageError
from aios_assets.contracts.registry import TABLES
from aios_assets.contracts.table import Column, Table
from aios_assets.resources.processes import end_with

if TYPE_CHECKING:
    from dbt.adapters.duckdb.utils import TargetConfig

SQL_TYPES = {
    "str": "varchar",
    "i64": "bigint",
    "i32": "integer",
    "f64": "double",
    "f32": "float",
    "bool": "boolean",
    "date": "date",
    "ts": "timestamp with time zone",
    "bytes": "blob",
}
# A full rebuild replaces every day there is.
ALL_DAYS = (date.min, date.max)
# Rows of a model that are in memory together when it is handed over; about a gigabyte.
PART_ROWS = 1_500_000
# What a list of Parquet files can express; anything else (deletion vectors, column mapping) would be read wrongly.
_KNOWN_READER_FEATURES = {"timestampNtz"}


def quoted(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def window() -> tuple[date, date] | None:
    """The half-open window of business days from `AIOS_WINDOW_START` and `AIOS_WINDOW_END`; None rebuilds everything.

    Raises:
        UsageError: only one of the two is set, one is no date, or they are in the wrong order.
    """
    start, end = os.environ.get("AIOS_WINDOW_START", ""), os.environ.get("AIOS_WINDOW_END", "")
    if not start and not end:
        return None
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError as error:
        raise UsageError(
            f"AIOS_WINDOW_START '{start}' and AIOS_WINDOW_END '{end}' must both be dates",
            todo="write them as 2026-11-20",
        ) from error
    if first >= last:
        raise UsageError(
            f"the window from {first} to {last} holds no day", todo="AIOS_WINDOW_END is the day after the last"
        )
    return first, last


def variables_sql() -> list[str]:
    """Statements that make window, time zone, cut-off, whose tests count and our currency readable by `getvariable`."""
    days = window()
    bounds = [f"date '{day.isoformat()}'" for day in days] if days else ["null::date", "null::date"]
    cutoff = os.environ.get("AIOS_CUTOFF", "02:00")
    if not re.fullmatch(r"\d{2}:\d{2}(:\d{2})?", cutoff):
        raise UsageError(f"AIOS_CUTOFF '{cutoff}' is no time of day", todo="write it as 02:00")
    hours, minutes = cutoff.split(":")[:2]
    senders = [quoted(n.strip()) for n in os.environ.get("AIOS_COUNT_TESTS_OF", "").split(",") if n.strip()]
    return [
        f"set variable window_start = {bounds[0]}",
        f"set variable window_end = {bounds[1]}",
        f"set variable business_tz = {quoted(os.environ.get('AIOS_BUSINESS_TZ', 'America/New_York'))}",
        f"set variable cutoff = interval '{int(hours)} hours {int(minutes)} minutes'",
        f"set variable count_tests_of = [{', '.join(senders)}]::varchar[]",
        f"set variable currency = {quoted(os.environ.get('AIOS_CURRENCY', 'USD'))}",
    ]


def _column_sql(column: Column, present: set[str]) -> str:
    kind = SQL_TYPES[column.type]
    value = f'"{column.name}"' if column.name in present else "null"
    return f'cast({value} as {kind}) as "{column.name}"'


def view_sql(table: Table, root: Path) -> str:
    """The statement that makes `lake.<table>` over the table's live files.

    Raises:
        NotSupportedError: the Delta table uses features that a list of files cannot express.
    """
    path = root / table.name
    names: set[str] = set()
    source = "(select 1 where false)"
    if DeltaTable.is_deltatable(str(path)):
        delta = DeltaTable(str(path))
        features = set(delta.protocol().reader_features or ()) - _KNOWN_READER_FEATURES
        if features:
            raise NotSupportedError(
                f"table {table.name} uses Delta features {sorted(features)}",
                where=str(path),
                todo="rewrite it with `aios repair`",
            )
        files = delta.file_uris()
        if files:
            names = {field.name for field in delta.schema().fields}
            listed = ", ".join(quoted(uri.removeprefix("file://")) for uri in sorted(files))
            source = f"read_parquet([{listed}], union_by_name=true, hive_partitioning={'true' if table.partition_by else 'false'}, hive_types_autocast=false)"
    columns = ", ".join(_column_sql(column, names) for column in table.columns)
    return f"create or replace view lake.{table.name} as select {columns} from {source}"


class Plugin(BasePlugin):  # type: ignore[misc]
    """Reads the lake into DuckDB, and writes models back to it."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the lake's folder from the environment; without one (parsing, docs) every table is empty."""
        if parent := os.environ.get("AIOS_DBT_PARENT", ""):
            end_with(int(parent))
        root = os.environ.get("AIOS_LAKE_ROOT", "")
        self.root = Path(root) if root else None
        self.connection: Any = None

    def configure_connection(self, conn: Any) -> None:
        """Make one view per table of the lake, all of one snapshot."""
        self.connection = conn
        conn.execute("create schema if not exists lake")
        for table in TABLES.values():
            if table.stage in ("s1_ingest", "s2_curate", "s3_features"):
                conn.execute(view_sql(table, self.root or Path("/nonexistent")))

    def configure_cursor(self, cursor: Any) -> None:
        """Set the variables of this invocation; DuckDB keeps them per cursor."""
        for statement in variables_sql():
            cursor.execute(statement)

    def store(self, target_config: TargetConfig) -> None:
        """Hand a finished model to the lake's writer, with the window as its predicate.

        Raises:
            UsageError: no lake is named.
        """
        if self.root is None:
            raise UsageError(
                "no lake is named", where="AIOS_LAKE_ROOT", todo="set AIOS_LAKE_ROOT, or run through `aios run`"
            )
        relation, table = str(target_config.relation), TABLES[target_config.relation.identifier]
        cursor = self.connection.cursor()
        try:
            cursor.execute("set TimeZone = 'UTC'")
            if table.write == "window":
                days = window() or ALL_DAYS
                lake_of(self.root).write_parts(table, parts(cursor, relation, table, days))
            else:
                lake_of(self.root).write_ordered(table, in_order(cursor, relation, table))
        except AiosError as error:
            raise RuntimeError(str(error)) from error
        finally:
            cursor.close()


def parts(
    cursor: Any, relation: str, table: Table, days: tuple[date, date], most_rows: int = PART_ROWS
) -> Iterator[tuple[tuple[date, date], pl.DataFrame]]:
    """The rows of a finished model in stretches of whole months, so that a history of years is never in memory at once.

    Args:
        cursor: connection that sees the model.
        relation: the model as SQL names it.
        table: its contract; without partitions it is one part, since its files hold any days.
        days: half-open window; the stretches cover all of it, so that days without rows are emptied too.
        most_rows: rows after which a part ends, at the end of its month.

    Yields:
        Half-open stretch and its rows. Rows without a day or outside the window are among them: the lake refuses those by name.
    """
    day = f'"{table.window}"'
    counted = f"select cast(date_trunc('month', {day}) as date), count(*) from {relation} where {day} is not null group by 1 order by 1"
    months: list[tuple[date, int]] = cursor.execute(counted).fetchall() if table.partition_by else []
    starts, held = [days[0]], 0
    for month, rows in months:
        if held and held + rows > most_rows and days[0] < month < days[1]:
            starts, held = [*starts, month], 0
        held += rows
    ends = [*starts[1:], days[1]]
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        low = f"{day} >= date '{start}'" if i else "true"
        high = f"{day} < date '{end}'" if i < len(starts) - 1 else "true"
        lost = f" or {day} is null" if i and i == len(starts) - 1 else ""
        yield (start, end), _rows(cursor, relation, table, f"({low} and {high}){lost}")


def in_order(cursor: Any, relation: str, table: Table, most_rows: int = PART_ROWS) -> Iterator[pl.DataFrame]:
    """All rows of a finished model in the order of its key, cut every `most_rows` rows; at least one part."""
    reader = cursor.sql(_query(relation, table, "true")).to_arrow_reader(most_rows)
    held: list[pa.RecordBatch] = []
    for batch in reader:
        held.append(batch)
        while sum(b.num_rows for b in held) >= most_rows:
            whole = pa.Table.from_batches(held)
            yield _frame(whole.slice(0, most_rows), table)
            held = whole.slice(most_rows).to_batches()
    yield _frame(pa.Table.from_batches(held, reader.schema), table)


def _rows(cursor: Any, relation: str, table: Table, where: str) -> pl.DataFrame:
    """Rows of a finished model in its contract's columns and types, in the order of its key."""
    return _frame(cursor.sql(_query(relation, table, where)).to_arrow_table(), table)


def _query(relation: str, table: Table, where: str) -> str:
    columns, order = (", ".join(f'"{name}"' for name in names) for names in (table.names, table.key))
    return f"select {columns} from {relation} where {where} order by {order}"


def _frame(arrow: pa.Table, table: Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(arrow)).cast(dict(table.schema.items()))  # type: ignore[arg-type]


def lake_of(root: Path) -> Any:
    """The lake's one writer."""
    from aios_assets.resources.lake import Lake

    return Lake(root)
