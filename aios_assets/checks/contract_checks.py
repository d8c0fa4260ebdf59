"""Asset checks generated from the table contracts: keys and nulls block what follows, closed codes too."""

from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    multi_asset_check,
)

from aios_assets.contracts.faults import contract_faults
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World


def _stage_check(stage: str) -> AssetChecksDefinition:
    tables = [t for t in TABLES.values() if t.stage == stage]

    @multi_asset_check(
        name=f"contracts_of_{stage}",
        specs=[
            AssetCheckSpec(
                name="contract",
                asset=t.name,
                blocking=True,
                description=f"Key ({', '.join(t.key)}) is unique; what the contract says is never null is not null; codes are known.",
            )
            for t in tables
        ],
        can_subset=True,
    )
    def check(context: AssetCheckExecutionContext, world: World) -> Iterator[AssetCheckResult]:
        for key in sorted(context.selected_asset_check_keys, key=str):
            table = TABLES[key.asset_key.to_user_string()]
            faults = contract_faults(table, *world.lake.scan_parts(table))
            metadata: dict[str, Any] = {"rows": world.lake.count(table), "faults": str(faults or "none")}
            yield AssetCheckResult(
                asset_key=key.asset_key,
                check_name="contract",
                passed=not faults,
                severity=AssetCheckSeverity.ERROR,
                metadata=metadata,
            )

    return check


CONTRACT_CHECKS = [_stage_check(stage) for stage in sorted({t.stage for t in TABLES.values()})]
