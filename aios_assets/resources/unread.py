"""Which received documents still have to be read, by each feed, and the mark that one was read to the end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.contracts.raw_tables import RAW_EDI_READS

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

KINDS: dict[str, tuple[str, ...]] = {
    "edi": ("x12", "edifact", "unknown"),
    "telemetry": ("telemetry",),
    "master": ("csv", "parquet"),
    "import": ("csv", "parquet"),
}


def unread_documents(lake: Lake, cutoff: datetime, feed: str) -> pl.DataFrame:
    """Documents received before `cutoff` that this feed has not read to the end, or that hold something released since.

    Args:
        lake: the lake.
        cutoff: instant in UTC; later documents wait for their own night.
        feed: edi, telemetry, master or import.

    Returns:
        Rows of `raw_edi__documents`, oldest first.
    """
    received = lake.scan("raw_edi__documents").filter(
        pl.col("kind_code").is_in(list(KINDS[feed])) & (pl.col("available_at_utc") < cutoff)
    )
    names = received.select("document_id", "available_at_utc").collect()
    read = lake.read(RAW_EDI_READS, columns=["document_id"], where=pl.col("feed_code") == feed)
    released = lake.read("raw_edi__releases", columns=["document_id"]).unique()
    wanted = pl.concat(
        [names.join(read, on="document_id", how="anti"), names.join(released, on="document_id", how="semi")]
    ).unique("document_id")
    if wanted.is_empty():
        return received.head(0).collect()
    ids = wanted["document_id"].implode()
    return received.filter(pl.col("document_id").is_in(ids)).collect().sort("available_at_utc", "document_id")


def mark_read(lake: Lake, documents: pl.DataFrame, feed: str) -> None:
    """Note that the feed has read these documents: everything taken from them is written."""
    rows = documents.select("document_id", pl.lit(feed).alias("feed_code"), "available_at_utc")
    lake.write(RAW_EDI_READS, rows)
