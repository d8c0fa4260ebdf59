"""What every asset shares: the days of a run, its retry policy, and how a write is reported."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
from dagster import (
    AssetCheckExecutionContext,
    AssetExecutionContext,
    BackfillPolicy,
    Backoff,
    Jitter,
    MaterializeResult,
    RetryPolicy,
)

from aios_assets.assets.describe import frame_metadata
from aios_assets.contracts.registry import TABLES
from aios_assets.contracts.table import Table
from aios_assets.resources.handles import World

if TYPE_CHECKING:
    from aios_assets.resources.lake import Commit

# Conflicts between writers pass within seconds; anything that lasts longer is for a person.
RETRY = RetryPolicy(max_retries=3, delay=2, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS)
SINGLE_RUN = BackfillPolicy.single_run()


def days_of(context: AssetExecutionContext | AssetCheckExecutionContext) -> list[date]:
    """The business days of this run, oldest first: one for a night, many for a backfill."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)


def settled(frame: pl.DataFrame, digits: int = 9) -> pl.DataFrame:
    """Measurements to nine significant digits: sums over threads differ in the last bits from run to run, and bytes must not."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    return frame.with_columns(pl.col(floats).round_sig_figs(digits)) if floats else frame


def write(
    world: World, name: str, frame: pl.DataFrame, *, window: tuple[date, date] | None = None, **numbers: Any
) -> MaterializeResult[Any]:
    """Write `frame` to its table and report rows, clocks and Delta versions.

    Args:
        world: handles.
        name: table.
        frame: rows that conform to the contract.
        window: half-open stretch of the table's window column that the rows replace.
        numbers: further figures to report.
    """
    table = TABLES[name]
    commit = world.lake.write(table, frame, window=window)
    return reported(table, frame, commit, **numbers)


def reported(table: Table, frame: pl.DataFrame, commit: "Commit", **numbers: Any) -> MaterializeResult[Any]:
    """What a commit did, as the result of its asset.

    Args:
        table: what was written to.
        frame: rows whose clocks are told.
        commit: what was done; the rows it was given are the rows counted.
        numbers: further figures to report.
    """
    report = frame_metadata(table, frame, delta_version=commit.version, rows_written=commit.rows_written, **numbers)
    return MaterializeResult(asset_key=table.name, metadata=report | {"dagster/row_count": commit.rows_in})


def write_parts(
    world: World, name: str, parts: Iterable[tuple[tuple[date, date], pl.DataFrame]], **numbers: Any
) -> MaterializeResult[Any]:
    """`write` of a window that comes in parts, each forgotten when it is written; one commit makes all of them visible.

    Args:
        world: handles.
        name: table.
        parts: half-open stretches of the table's window column, ascending, and the rows that replace each.
        numbers: further figures to report.
    """
    table = TABLES[name]
    clocks = [clock for clock in (table.event_clock, table.known_clock) if clock]
    limits = [table.empty().select(clocks)]

    def noted() -> Iterator[tuple[tuple[date, date], pl.DataFrame]]:
        for window, frame in parts:
            limits.append(frame.select(pl.col(clocks).min()))
            limits.append(frame.select(pl.col(clocks).max()))
            yield window, frame
            del frame

    commit = world.lake.write_parts(table, noted())
    return reported(table, pl.concat(limits), commit, **numbers)
