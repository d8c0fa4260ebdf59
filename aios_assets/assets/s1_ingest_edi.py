"""Typed facts of every EDI document: X12 and EDIFACT alike, one table per grain, each row with a pointer to its bytes.

From: `raw_edi__documents`. Every night. In = kept + set aside: a bad line becomes a row of `raw_edi__rejects`, a bad
envelope stops its document, never the run.
"""

from collections.abc import Iterator
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, MaterializeResult, multi_asset

from aios_assets.assets.common import RETRY, SINGLE_RUN, days_of, write
from aios_assets.assets.describe import asset_spec
from aios_assets.assets.glue_reading import read_before, write_verdicts
from aios_assets.contracts.edi_tables import EDI_FACT_TABLES, EDI_VERDICT_TABLES
from aios_assets.resources.handles import World
from aios_assets.resources.unread import mark_read, unread_documents

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
    """Read what is not read yet into facts, verdicts and rejects; the marks of what was read come last."""
    from aios_assets.edi import read_documents
    from aios_assets.edi.limits import Limits
    from aios_assets.tabular import read_import

    cutoff = world.cutoff(days_of(context)[-1])
    documents = unread_documents(world.lake, cutoff, "edi")
    sizes = (world.document_cap_mb << 20, world.edi_max_segment_kb << 10, world.edi_max_sets)
    limits = Limits(*sizes, document_setting="AIOS_DOCUMENT_CAP_MB")
    ledger = world.lake.read("raw_edi__interchanges")
    batch = read_documents(documents, ledger=ledger, releases=world.releases(), limits=limits)
    sheets = unread_documents(world.lake, cutoff, "import")
    imports = read_import(sheets)
    for name in FACTS:
        facts = pl.concat([batch.facts[name], *([imports.frames[name]] if name in imports.frames else [])])
        yield write(world, name, facts, documents=documents.height)
    rejects = pl.concat([batch.rejects, imports.rejects])
    again = read_before(world, documents, "edi")
    yield write_verdicts(world, "raw_edi__rejects", rejects, again, imported=imports.counts)
    yield write_verdicts(world, "raw_edi__sets", batch.sets, again, documents=documents.height)
    yield write_verdicts(world, "raw_edi__interchanges", batch.interchanges, again, counts=batch.counts)
    mark_read(world.lake, documents, "edi")
    mark_read(world.lake, sheets, "import")
    yield MaterializeResult(
        asset_key="raw_edi__reads", metadata={"dagster/row_count": world.lake.count("raw_edi__reads")}
    )
