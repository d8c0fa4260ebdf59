"""Documents that are read again, because a person released something of them: what is said of them now takes the place of what was said."""

from dataclasses import replace
from typing import Any

import polars as pl
from dagster import MaterializeResult

from aios_assets.assets.common import reported, write
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World

# Rejects of files that were never stored; reading documents says nothing of them.
NOT_READ = pl.col("error_code").str.starts_with("inbox:")


def read_before(world: World, documents: pl.DataFrame, feed: str) -> list[str]:
    """Ids of those `documents` that this feed read to the end before."""
    mine = pl.col("feed_code") == feed
    marks = world.lake.read("raw_edi__reads", columns=["document_id"], where=mine)
    return documents.select("document_id").join(marks, on="document_id", how="semi")["document_id"].sort().to_list()


def write_verdicts(
    world: World, name: str, frame: pl.DataFrame, again: list[str], **numbers: Any
) -> MaterializeResult[Any]:
    """`write` of verdicts or rejects that replaces the rows of the documents read again.

    Such a table only grows otherwise, so a set that was released would count as rejected for ever, with facts that nothing claims.
    A rebuild reads each document once, with all its releases, and comes to the same rows.

    Args:
        world: handles.
        name: table with a column `document_id`.
        frame: rows of all documents that were read now.
        again: documents read again.
        numbers: further figures to report.
    """
    if not again:
        return write(world, name, frame, **numbers)
    table = TABLES[name]
    replaced = pl.col("document_id").is_in(again)
    if "error_code" in table.names:
        replaced &= ~NOT_READ
    kept = world.lake.read(table, where=~replaced)
    commit = world.lake.write(replace(table, write="full"), pl.concat([kept, frame.select(table.names)]))
    return reported(table, frame, commit, read_again=len(again), **numbers)
