"""Received documents of any kind, whole and immutable: the replayable event store.

From: the inbox folder (trading partners' EDI, telemetry, master data, imports). Every night, and whenever the inbox
sensor sees something new. Form: bytes, named by their SHA-256. A document counts as received once its bytes are on disk.
"""

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of
from aios_assets.assets.describe import asset_spec, plain
from aios_assets.contracts.raw_tables import RAW_EDI_DELIVERIES, RAW_EDI_DOCUMENTS
from aios_assets.resources.handles import World


@multi_asset(
    name="take_documents",
    specs=[asset_spec(t.name, skippable=True) for t in (RAW_EDI_DOCUMENTS, RAW_EDI_DELIVERIES)],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="raw_edi__documents",
)
def take_documents(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Take every document that reached the inbox before the cut-off of the run's last day."""
    cutoff = world.cutoff(days_of(context)[-1])
    taken = world.take_documents(cutoff, progress=context.log.info)
    for table in (RAW_EDI_DOCUMENTS, RAW_EDI_DELIVERIES):
        yield MaterializeResult(
            asset_key=table.name,
            metadata=plain(
                {
                    "dagster/row_count": world.lake.count(table),
                    "delta_version": world.lake.version(table),
                    "cutoff": cutoff.isoformat(),
                    **taken,
                }
            ),
        )
