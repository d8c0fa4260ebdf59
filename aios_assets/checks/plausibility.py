"""Plausibility by Great Expectations: suites generated from the contracts' limits; they warn and never block."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from dagster import AssetCheckExecutionContext, AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, multi_asset_check

from aios_assets.contracts.registry import TABLES
from aios_assets.contracts.table import Table
from aios_assets.resources.handles import World

# Great Expectations reads pandas only; the newest rows are what a night adds, and older ones were judged in their night.
NEWEST_ROWS = 50_000
LIMITED = [t for t in TABLES.values() if any(c.low is not None or c.high is not None for c in t.columns)]


def expectations(table: Table) -> list[Any]:
    """The suite of a table: every column with limits stays between them.

    Args:
        table: its contract.
    """
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeBetween(column=c.name, min_value=c.low, max_value=c.high, severity="warning")
        for c in table.columns
        if c.low is not None or c.high is not None
    ]


def validate(table: Table, rows: pl.DataFrame) -> dict[str, int]:
    """Values outside their limits, by column.

    Args:
        table: its contract.
        rows: rows to judge.
    """
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = gx.ExpectationSuite(name=table.name, expectations=expectations(table))
    columns = [e.column for e in suite.expectations]
    batch = (
        context.data_sources.add_pandas(table.name)
        .add_dataframe_asset(table.name)
        .add_batch_definition_whole_dataframe("rows")
        .get_batch(batch_parameters={"dataframe": rows.select(columns).to_pandas()})
    )
    result = batch.validate(suite)
    return {
        r.expectation_config.kwargs["column"]: int(r.result["unexpected_count"])
        for r in result.results
        if not r.success
    }


def newest(world: World, table: Table) -> pl.DataFrame:
    """The newest rows of a table by its known clock, at most `NEWEST_ROWS`, with no row cut at random."""
    columns = [c.name for c in table.columns if c.low is not None or c.high is not None]
    clock = table.known_clock
    wanted = list(dict.fromkeys([*columns, clock, *table.key]))
    best = table.empty().select(wanted)
    for part in world.lake.scan_parts(table, newest_rows=NEWEST_ROWS):
        rows = pl.concat([best, part.select(wanted).collect()])
        best = rows.sort(clock, *table.key, descending=True).head(NEWEST_ROWS)
    return best


@multi_asset_check(
    name="plausibility",
    specs=[
        AssetCheckSpec(
            name="plausible", asset=t.name, description="Great Expectations suite generated from the contract's limits."
        )
        for t in LIMITED
    ],
    can_subset=True,
)
def plausibility(context: AssetCheckExecutionContext, world: World) -> Iterator[AssetCheckResult]:
    """Judge the newest rows of every table with limits."""
    for key in sorted(context.selected_asset_check_keys, key=str):
        table = TABLES[key.asset_key.to_user_string()]
        rows = newest(world, table)
        outside = validate(table, rows) if rows.height else {}
        yield AssetCheckResult(
            asset_key=key.asset_key,
            check_name="plausible",
            passed=not outside,
            severity=AssetCheckSeverity.WARN,
            metadata={"rows": rows.height, "outside_limits": str(outside or "none")},
        )
