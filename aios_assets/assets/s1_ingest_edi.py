"""Typed facts of every EDI document: X12 and EDIFACT alike, one table per grain, each row with a pointer to its bytes.

From: `raw_edi__documents`. Every night. In = kept + set aside: a bad line becomes a row of `raw_edi__rejects`, a bad
envelope stops its document, never the run.

Documents are read in batches of some bytes, oldest first, each marked when it is written: a history of years needs the memory of
a batch, and a run that was killed goes on behind the last one.
"""

from collections.abc import Iterator
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, MaterializeResult, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of
from aios_assets.assets.describe import asset_spec
from aios_assets.assets.glue_reading import Told, read_before, write_verdicts
from aios_assets.contracts.edi_tables import EDI_FACT_TABLES, EDI_VERDICT_TABLES
from aios_assets.resources.handles import World
from aios_assets.resources.unread import mark_read, unread_batches, unread_documents

FACTS = [t.name for t in EDI_FACT_TABLES]
VERDICTS = [t.name for t in EDI_VERDICT_TABLES]


@multi_asset(
    name="read_edi",
    specs=[asset_spec(name, ["raw_edi__documents"]) for name in [*FACTS, *VERDICTS, "raw_edi__reads"]],
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool="raw_edi",
)
def read_edi(context: AssetExecutionContext, world: World) -> Iterator[MaterializeResult[Any]]:
    """Read what is not read yet into facts, verdicts and rejects, batch by batch; the marks of what was read come last."""
    from aios_assets.tabular import read_import

    cutoff = world.cutoff(days_of(context)[-1])
    sheets = unread_documents(world.lake, cutoff, "import")
    imports = read_import(sheets, world.cutoff)
    told = Told()
    for documents in unread_batches(world.lake, cutoff, "edi"):
        _read_batch(world, documents, told)
    for name, facts in imports.frames.items():
        told.add(name, facts, world.lake.write(name, facts))
    refused = world.lake.write("raw_edi__rejects", imports.rejects)
    told.add("raw_edi__rejects", imports.rejects, refused, imported=imports.counts)
    mark_read(world.lake, sheets, "import")
    yield from told.results([*FACTS, *VERDICTS])
    yield MaterializeResult(
        asset_key="raw_edi__reads", metadata={"dagster/row_count": world.lake.count("raw_edi__reads")}
    )


def _read_batch(world: World, documents: pl.DataFrame, told: Told) -> None:
    """Read one batch of documents; it is marked as read when all that it says is written."""
    from aios_assets.edi import read_documents
    from aios_assets.edi.limits import Limits

    sizes = (world.document_cap_mb << 20, world.edi_max_segment_kb << 10, world.edi_max_sets)
    limits = Limits(*sizes, document_setting="AIOS_DOCUMENT_CAP_MB")
    ledger = world.lake.read("raw_edi__interchanges")
    batch = read_documents(documents, ledger=ledger, releases=world.releases(), limits=limits)
    again = read_before(world, documents, "edi")
    for name in FACTS:
        told.add(name, batch.facts[name], world.lake.write(name, batch.facts[name]), documents=documents.height)
    said: dict[str, tuple[pl.DataFrame, dict[str, Any]]] = {
        "raw_edi__rejects": (batch.rejects, {}),
        "raw_edi__sets": (batch.sets, {"documents": documents.height}),
        "raw_edi__interchanges": (batch.interchanges, {"counts": batch.counts}),
    }
    for name, (frame, numbers) in said.items():
        commit = write_verdicts(world, name, frame, again)
        told.add(name, frame, commit, **numbers, **({"read_again": len(again)} if again else {}))
    mark_read(world.lake, documents, "edi")
