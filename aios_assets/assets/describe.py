"""From contract to Dagster: the specification of an asset, and the numbers a run reports about it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl
from dagster import AssetSpec, MetadataValue, TableColumn, TableColumnConstraints, TableSchema

from aios_assets.automation.partitions import DAILY
from aios_assets.contracts.registry import TABLES
from aios_assets.contracts.table import Table


def asset_spec(name: str, deps: list[str] | None = None, **extra: Any) -> AssetSpec:
    """The specification of the asset that writes the table of that name.

    Args:
        name: table name, which is the asset key.
        deps: names of the tables it is made from.
        extra: further arguments of `AssetSpec`.
    """
    table = TABLES[name]
    return AssetSpec(
        key=name,
        deps=deps or [],
        group_name=table.stage,
        description=what_it_holds(table),
        metadata=contract_metadata(table),
        owners=[f"team:{table.owner}"],
        partitions_def=DAILY,
        kinds={"deltalake", "polars"},
        **extra,
    )


def what_it_holds(table: Table) -> str:
    """The description of a table's asset: its grain and where its rows come from."""
    return f"One row is {table.grain}. Source: {table.source}."


def contract_metadata(table: Table) -> dict[str, Any]:
    """What the contract says, as definition metadata: grain, key, clocks, columns with units."""
    return {
        "grain": table.grain,
        "key": ", ".join(table.key),
        "happened_at": table.event_clock or "not applicable",
        "known_at": table.known_clock or "not applicable",
        "write": table.write,
        "dagster/column_schema": MetadataValue.table_schema(
            TableSchema(
                columns=[
                    TableColumn(
                        name=c.name,
                        type=c.type + (f" ({c.unit})" if c.unit else ""),
                        description=c.means + (f"; null: {c.null_means}" if c.null_means else ""),
                        constraints=TableColumnConstraints(nullable=c.nullable),
                    )
                    for c in table.columns
                ]
            )
        ),
    }


def frame_metadata(table: Table, frame: pl.DataFrame, **numbers: Any) -> dict[str, Any]:
    """What a run reports of one table: rows, range of both clocks, and the numbers given.

    Args:
        table: its contract.
        frame: the rows written or considered.
        numbers: further figures (rejects, versions, seed …); mappings become JSON.
    """
    report: dict[str, Any] = {"dagster/row_count": frame.height}
    for label, clock in (("happened", table.event_clock), ("known", table.known_clock)):
        if clock and frame.height and clock in frame.columns:
            report[f"{label}_first"] = str(frame[clock].min())
            report[f"{label}_last"] = str(frame[clock].max())
    return report | plain(numbers)


def plain(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata values Dagster accepts: mappings and lists become JSON, dates become text, the rest stays."""
    result: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, dict | list):
            result[name] = MetadataValue.json(value)
        elif isinstance(value, date):
            result[name] = value.isoformat()
        elif value is not None:
            result[name] = value
    return result


def png_metadata(png: bytes) -> Any:
    """A picture shown inside the run's metadata."""
    import base64

    return MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(png).decode()})")
