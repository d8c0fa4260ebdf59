"""Master files that were put back: what they say counts again from then on, though their bytes are known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.tabular import MASTER_KINDS, put_back, restated
from aios_assets.tabular.mapping import stored_mapping

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

_KIND = r"(?:^|/)master/([^/]+)/"


def with_restated(lake: Lake, cutoff: datetime, read: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """What a night read of master files, and what files say that were put back where other bytes lay.

    Args:
        lake: the lake.
        cutoff: instant in UTC; later deliveries wait for their own night.
        read: rows of each master table that are not in the lake yet.
    """
    kinds = _deliveries(lake, cutoff)
    found = {}
    for kind, table in MASTER_KINDS.items():
        rows = read[table.name]
        again = put_back(kinds.filter(pl.col("kind") == kind).drop("kind"))
        if again.height:
            known = pl.concat([lake.read(table.name), rows]).unique(list(table.key), keep="first")
            keys = [k for k in table.key if k not in ("document_id", "available_at_utc")]
            rows = pl.concat([rows, restated(known, again, keys)]).sort(list(table.key))
        found[table.name] = rows
    return found


def _deliveries(lake: Lake, cutoff: datetime) -> pl.DataFrame:
    """Deliveries by `cutoff` with the kind of master data that their folder, or the mapping of their import, says they are."""
    names = ["source_uri", "document_id", "available_at_utc"]
    seen = lake.read("raw_edi__deliveries", columns=names, where=pl.col("available_at_utc") <= cutoff)
    imports = lake.read(
        "raw_edi__documents", columns=["document_id", "mapping_json"], where=pl.col("mapping_json").is_not_null()
    )
    kinds = [stored_mapping(text).kind for text in imports["mapping_json"]]
    named = imports.select("document_id", imported=pl.Series(kinds, dtype=pl.String))
    joined = seen.join(named, on="document_id", how="left", maintain_order="left")
    return joined.with_columns(kind=pl.coalesce("imported", pl.col("source_uri").str.extract(_KIND, 1))).drop("imported")  # fmt: skip
