"""Which received documents still have to be read, by each feed, and the mark that one was read to the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.contracts.raw_tables import RAW_EDI_READS, RAW_EDI_RELEASES
from aios_assets.tabular import MASTER_KINDS, Mapping, kind_of_source
from aios_assets.tabular.master import UNPLACED

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

# Who releases a table that came again in its right place; no person decided that.
BY_INBOX = "inbox"
# Documents that are in memory together; what is read of them takes about ten times as much.
BATCH_BYTES = 128_000_000
KINDS: dict[str, tuple[str, ...]] = {
    "edi": ("x12", "edifact", "unknown"),
    "telemetry": ("telemetry",),
    "master": ("csv", "parquet"),
    "import": ("csv", "parquet"),
}


def unread_documents(lake: Lake, cutoff: datetime, feed: str) -> pl.DataFrame:
    """Documents received by `cutoff` that this feed has not read to the end with all that was released of them.

    Args:
        lake: the lake.
        cutoff: instant in UTC; later documents wait for their own night.
        feed: edi, telemetry, master or import.

    Returns:
        Rows of `raw_edi__documents`, oldest first.
    """
    received = _received(lake, cutoff, KINDS[feed])
    unread = _unread(lake, received, feed)
    if unread.is_empty():
        return received.head(0).collect()
    documents = _contents(received, unread)
    return _where_they_belong(lake, documents) if feed == "master" else documents


def unread_batches(lake: Lake, cutoff: datetime, feed: str, most_bytes: int = BATCH_BYTES) -> Iterator[pl.DataFrame]:
    """`unread_documents` in batches of about `most_bytes`, oldest first: a history that need not fit in memory.

    What is unread is settled at the first batch; at least one is given, empty when there is nothing to read.

    Args:
        lake: the lake.
        cutoff: as above.
        feed: edi, telemetry or import.
        most_bytes: bytes of a batch; a single document may be larger.
    """
    received = _received(lake, cutoff, KINDS[feed])
    unread = _unread(lake, received, feed)
    if unread.is_empty():
        yield received.head(0).collect()
        return
    before = pl.col("size_bytes").cum_sum() - pl.col("size_bytes")
    ordered = unread.sort("available_at_utc", "document_id").with_columns(batch=before // most_bytes)
    for batch in ordered.partition_by("batch", maintain_order=True):
        yield _contents(received, batch)


def _received(lake: Lake, cutoff: datetime, kinds: tuple[str, ...]) -> pl.LazyFrame:
    """Documents of these kinds that were received by `cutoff`; what came at that very instant is known then (`marts.versions.known_at`)."""
    is_wanted = pl.col("kind_code").is_in(list(kinds)) & (pl.col("available_at_utc") <= cutoff)
    return lake.scan("raw_edi__documents").filter(is_wanted)


def _unread(lake: Lake, received: pl.LazyFrame, feed: str) -> pl.DataFrame:
    """Which of the `received` documents this feed has not read to the end with all that was released of them; no contents."""
    names = received.select("document_id", "available_at_utc", "available_month", "size_bytes").collect()
    return _with_releases(lake, names).join(_marks(lake, feed), on=["document_id", "release_no"], how="anti")


def _contents(received: pl.LazyFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """The `wanted` documents with their bytes, oldest first; only the months they came in are read."""
    months = pl.col("available_month").is_in(wanted["available_month"].unique().sort().implode())
    rows = received.filter(months & pl.col("document_id").is_in(wanted["document_id"].implode()))
    return rows.collect().sort("available_at_utc", "document_id")


def release_placed(lake: Lake) -> int:
    """Release tables that were set aside because nothing said what they are, and came again below `master/<kind>/`.

    Their bytes are stored once, so the second delivery alone would be a duplicate and change nothing.

    Returns:
        How many were released; the reading that follows takes them.
    """
    aside = lake.read("raw_edi__rejects", where=pl.col("error_code") == UNPLACED)
    aside = aside.join(lake.read(RAW_EDI_RELEASES, columns=["reject_id"]), on="reject_id", how="anti")
    placed = aside.drop("available_at_utc").join(_placed(lake, aside["document_id"]), on="document_id")
    rows = placed.with_columns(
        pl.lit(BY_INBOX).alias("released_by"), pl.format("delivered again as {}", "placed_uri").alias("reason")
    )
    if rows.height:  # writing nothing would still make the table, and with it the night one that was not seen yet
        lake.write(RAW_EDI_RELEASES, rows.select(RAW_EDI_RELEASES.names))
    return rows.height


def _where_they_belong(lake: Lake, documents: pl.DataFrame) -> pl.DataFrame:
    """`documents` with the place of a later delivery as source, where the first place does not say what a table is."""
    stray = documents.filter(
        pl.col("mapping_json").is_null() & ~pl.col("source_uri").map_elements(_is_placed, pl.Boolean)
    )
    placed = _placed(lake, stray["document_id"]).select("document_id", "placed_uri")
    joined = documents.join(placed, on="document_id", how="left", maintain_order="left")
    return joined.with_columns(source_uri=pl.coalesce("placed_uri", "source_uri")).drop("placed_uri")


def _placed(lake: Lake, document_ids: pl.Series) -> pl.DataFrame:
    """document_id, placed_uri, available_at_utc of the first delivery of each that lies below `master/<kind>/`."""
    wanted = pl.col("document_id").is_in(document_ids.implode())
    seen = lake.read("raw_edi__deliveries", columns=["document_id", "source_uri", "available_at_utc"], where=wanted)
    below = seen.filter(pl.col("source_uri").map_elements(_is_placed, pl.Boolean))
    first = below.sort("available_at_utc", "source_uri").unique("document_id", keep="first", maintain_order=True)
    return first.rename({"source_uri": "placed_uri"})


def _is_placed(uri: str) -> bool:
    return kind_of_source(uri, Mapping()) in MASTER_KINDS


def mark_read(lake: Lake, documents: pl.DataFrame, feed: str) -> None:
    """Note that the feed has read these documents with all their releases: everything taken from them is written."""
    rows = _with_releases(lake, documents.select("document_id", "available_at_utc"))
    each = rows.with_columns(pl.int_ranges(0, pl.col("release_no") + 1, dtype=pl.Int32).alias("release_no"))
    marks = each.explode("release_no").with_columns(pl.lit(feed).alias("feed_code"))
    lake.write(RAW_EDI_READS, marks.select(RAW_EDI_READS.names))


def count_unread(lake: Lake, cutoff: datetime, kinds: tuple[str, ...], feeds: tuple[str, ...]) -> int:
    """Documents of these kinds, received by `cutoff`, that at least one of the feeds has not read to the end."""
    names = _received(lake, cutoff, kinds).select("document_id").collect()
    left = [names.join(_marks(lake, feed), on="document_id", how="anti") for feed in feeds]
    return pl.concat(left).unique().height


def _with_releases(lake: Lake, documents: pl.DataFrame) -> pl.DataFrame:
    """`documents` with `release_no`, how many of their rejects people have released."""
    released = lake.read("raw_edi__releases", columns=["document_id"]).group_by("document_id").len("release_no")
    joined = documents.join(released, on="document_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("release_no").fill_null(0).cast(pl.Int32))


def _marks(lake: Lake, feed: str) -> pl.DataFrame:
    """What the feed has read, by number of releases."""
    return lake.read(RAW_EDI_READS, columns=["document_id", "release_no"], where=pl.col("feed_code") == feed)
