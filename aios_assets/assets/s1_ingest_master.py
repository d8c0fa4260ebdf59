"""Master data and imports from people who have no EDI: items, sites, suppliers, lanes, promotions, holidays; sales, stock, orders.

From: CSV or Parquet files below `master/<kind>/` of the inbox, and files handed to `aios import`. Every night. A bad cell
sets its row aside with the reason; the other rows land. A file that is put back states again what it said.
"""

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import asset_spec
from aios_assets.contracts.raw_tables import MASTER_TABLES
from aios_assets.resources.handles import World
from aios_assets.resources.restated import with_restated
from aios_assets.resources.unread import mark_read, release_placed, unread_documents

NAMES = [t.name for t in MASTER_TABLES]


@multi_asset(
    name="read_master",
    specs=[asset_spec(name, ["raw_edi__documents"]) for name in NAMES],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="raw_master",
)
def read_master(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Read master files and imports that are not read yet."""
    from aios_assets.tabular import read_master

    release_placed(world.lake)
    cutoff = world.cutoff(days_of(context)[-1])
    documents = unread_documents(world.lake, cutoff, "master")
    batch = read_master(documents)
    world.write_rejects(batch.rejects)
    frames = with_restated(world.lake, cutoff, batch.frames)
    for name in NAMES:
        yield write(world, name, frames[name], documents=documents.height)
    mark_read(world.lake, documents, "master")
