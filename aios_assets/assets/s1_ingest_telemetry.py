"""Sensor readings and the stretches in which they left their limits.

From: trailers, docks and conveyors, as JSON lines in files or over MQTT and NATS. Every night. Duplicates of a sensor's
reading at one instant keep the earliest received, and those of another value are counted as conflicts; bad lines become rejects with
their line number. A person's own limits are kept as they stood from each night on, so that an older night judges as it did; a file of them that cannot be used is passed over for those
of the night before, and that is told.
"""

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import asset_spec
from aios_assets.assets.glue_telemetry import (
    READINGS,
    against_known,
    limits_found,
    limits_of,
    limits_refused,
    stored_then,
)
from aios_assets.contracts.raw_tables import TELEMETRY_TABLES
from aios_assets.resources.handles import World
from aios_assets.resources.unread import mark_read, unread_documents


@multi_asset(
    name="read_telemetry",
    specs=[asset_spec(t.name, ["raw_edi__documents"]) for t in TELEMETRY_TABLES],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="raw_telemetry",
)
def read_telemetry(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Read new readings, then find excursions over all readings there are."""
    from aios_assets.telemetry import excursions, not_judged, read_telemetry

    days = days_of(context)
    refused = limits_refused(world)
    if refused:
        context.log.warning(refused)
    yield write(world, "raw_telemetry__limits", limits_found(world, days), passed_over=refused)
    cutoff, limits = world.cutoff(days[-1]), limits_of(world)
    documents = unread_documents(world.lake, cutoff, "telemetry")
    batch = read_telemetry(documents)
    world.write_rejects(batch.rejects)
    unjudged = not_judged(batch.readings, limits)
    counts = against_known(batch.readings, stored_then(world, batch.readings), batch.counts)
    yield write(world, READINGS, batch.readings, counts=counts, not_judged=unjudged)
    mark_read(world.lake, documents, "telemetry")
    found = excursions(world.lake.read(READINGS), limits)
    yield write(world, "raw_telemetry__excursions", found, kinds=dict(found["kind_code"].value_counts().iter_rows()))
