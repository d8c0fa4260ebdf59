"""Master data that a file says again: its place holds bytes once more that other bytes had taken the place of."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_ORDER = ("available_at_utc", "document_id", "line_no")


def put_back(deliveries: pl.DataFrame) -> pl.DataFrame:
    """Deliveries that put known bytes where other bytes, or none, lay before.

    A file that is touched or copied with all others says nothing again: what lies in its place is what lay there.

    Args:
        deliveries: source_uri, document_id, available_at_utc; in any order.

    Returns:
        document_id, available_at_utc; oldest first, each once.
    """
    ordered = deliveries.sort("source_uri", "available_at_utc", "document_id")
    is_other = (pl.col("document_id") != pl.col("document_id").shift(1).over("source_uri")).fill_null(value=True)
    first = pl.col("available_at_utc").min().over("document_id")
    again = ordered.filter(is_other & (pl.col("available_at_utc") > first))
    return again.select("available_at_utc", "document_id").unique().sort("available_at_utc", "document_id")


def restated(rows: pl.DataFrame, again: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Rows that files state again: of each only those of which something else was known by then.

    Args:
        rows: all rows of one `raw_master__` table.
        again: what `put_back` found; documents of other tables are passed over.
        keys: what one statement is about.

    Returns:
        Rows of the table with the moment of the later delivery; none that `rows` has already.
    """
    says = [c for c in rows.columns if c not in _ORDER and c not in keys]
    new = rows.clear()
    for known, document in again.iter_rows():
        said = rows.filter(pl.col("document_id") == document).sort("available_at_utc").unique(list(keys), keep="first")
        stated = pl.concat([rows, new]).filter(pl.col("available_at_utc") <= known)
        stated = stated.join(said.select(keys), on=list(keys), how="semi", nulls_equal=True)
        last = stated.sort(_ORDER).unique(list(keys), keep="last").select(*keys, *says)
        same = said.join(last, on=[*keys, *says], how="semi", nulls_equal=True).select(keys)
        other = said.join(same, on=list(keys), how="anti", nulls_equal=True)
        new = pl.concat([new, other.with_columns(pl.lit(known).cast(rows.schema["available_at_utc"]).alias("available_at_utc"))])  # fmt: skip
    return new
