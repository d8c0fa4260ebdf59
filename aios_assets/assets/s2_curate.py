"""Curation: dbt turns raw facts into versioned marts and lane features, every model an asset, every dbt test an asset check.

From: the typed EDI facts and master data in the lake. Every night, for the night's days and every day that something new was
said about; everything at the first run and after a change of master data or models. Form: Delta tables named as the models.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import AssetCheckResult, AssetExecutionContext, AssetKey, AssetMaterialization, Output
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from aios_assets.assets.common import SINGLE_RUN, days_of
from aios_assets.assets.describe import contract_metadata, plain
from aios_assets.automation.partitions import DAILY
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.dbt import FastDbt, ensure_manifest, remember_build, window_to_build
from aios_assets.resources.handles import World

FLAGS = ["build", "--exclude-resource-type", "unit_test"]


class Translator(DagsterDbtTranslator):
    """One name everywhere: asset key = model name = Delta table; groups are the numbered stages."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        """The model's, seed's or source table's own name."""
        return AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The contract's stage; what has none belongs to curation."""
        contract = TABLES.get(dbt_resource_props["name"])
        return contract.stage if contract else "s2_curate"

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Grain, key, clocks and columns from the contract where there is one."""
        contract = TABLES.get(dbt_resource_props["name"])
        return contract_metadata(contract) if contract else super().get_metadata(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The model's own words, without its SQL."""
        return str(dbt_resource_props.get("description", ""))


@dbt_assets(
    manifest=ensure_manifest(),
    dagster_dbt_translator=Translator(DagsterDbtTranslatorSettings(enable_asset_checks=True)),
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    name="curate",
    pool="dbt",
)
def curate(context: AssetExecutionContext, dbt: FastDbt, world: World) -> Iterator[Any]:
    """Build all models and tests for the days that need it, and report rows and Delta versions of what was written."""
    home = Path(world.home)
    window = window_to_build(world.lake, home, days_of(context), dbt.settled)
    context.log.info(f"curating {f'{window[0]} to before {window[1]}' if window else 'everything'}")
    for event in dbt.start(FLAGS, window=window, context=context).stream():
        yield described(event, world, window)
    if not context.is_subset:
        remember_build(world.lake, home, dbt.settled)


def described(event: Any, world: World, window: tuple[Any, Any] | None) -> Any:
    """A dbt event with what is known of the table it wrote.

    Args:
        event: what dagster-dbt streams.
        world: handles.
        window: half-open stretch that was made again; None for everything.
    """
    if isinstance(event, AssetCheckResult) or not isinstance(event, (Output, AssetMaterialization)):
        return event
    name = event.output_name if isinstance(event, Output) else event.asset_key.path[-1]
    if name not in TABLES or TABLES[name].writer != "dbt":
        return event
    lake = world.lake
    metadata = dict(event.metadata) | plain(
        {
            "dagster/row_count": lake.count(name),
            "delta_version": lake.version(name),
            "window": f"{window[0]} to before {window[1]}"
            if window and TABLES[name].write == "window"
            else "everything",
        }
    )
    if isinstance(event, Output):
        return Output(value=event.value, output_name=name, metadata=metadata)
    return event._replace(metadata=metadata)
