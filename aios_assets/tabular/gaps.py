"""What a sales file leaves out, where its mapping says that what is not listed sold nothing (`gaps: zero`).

A till lists what it sold. Without days of no sale, the average of a slow item is that of its few days with one: many times too high.
"""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.tabular.shape import Shaped

SERIES = ["site_id", "item_id", "item_gtin"]
# A slow item's days are hardly ever all listed; where not even this share is, and no row says zero, the file lists sales only.
LISTED_FRAC = 0.5


def with_gaps_as_zero(shaped: Shaped, uri: str, every: int = 1) -> pl.DataFrame:
    """Rows of sales, with one of zero for every day that the file does not list, from an item's first day to the last of the file.

    Such a row points to the row that lists its item first (`segment_no`), and is in its unit; its `line_no` is 1 plus the days since then.

    Args:
        shaped: rows of sales.
        uri: the file's name, for messages.
        every: days that a row is of, the last of which is its date: then it is about such stretches instead of days.

    Raises:
        BadInputError: rows were set aside, or are not all of `every` days: which day a row is missing of nobody knows then.
    """
    if shaped.faults:
        what = f"{len(shaped.faults):,} rows cannot be read (first: row {shaped.faults[0].row}), and days without a row sold nothing"
        raise BadInputError(what, where=uri, todo="correct them, or leave `gaps: zero` out of the mapping")
    rows = shaped.rows
    begin = pl.coalesce("period_start_date", "activity_date")
    if rows.filter(begin != pl.col("activity_date") - pl.duration(days=every - 1)).height:
        what = f"rows are of other periods than {'a day' if every == 1 else f'{every} days'}, and `gaps: zero` is about those"
        raise BadInputError(
            what, where=uri, todo="leave it out of the mapping, or say `period_days` if all are equally long"
        )
    apart = (pl.col("activity_date") - pl.col("activity_date").min()).dt.total_days() % every
    if rows.select(apart.n_unique()).item() > 1:
        what = f"periods of {every} days end on different days in this file, and `gaps: zero` needs one row of them to follow the other"
        raise BadInputError(what, where=uri, todo="leave it out of the mapping")
    first = rows.sort("activity_date", "_row").unique(SERIES, keep="first", maintain_order=True)
    days = pl.date_ranges("activity_date", pl.lit(rows["activity_date"].max()), interval=f"{every}d")
    listed = [*SERIES, "activity_date"]
    said = {"activity_code": "QS", "quantity": 0.0}
    begun = [] if every == 1 else ["period_start_date"]
    empty = [c for c in rows.columns if c not in (*listed, *said, *begun, "_row", "unit_code")]
    unlisted = (
        first.select(*SERIES, "_row", "unit_code", pl.col("activity_date").alias("_first"), days)
        .explode("activity_date")
        .join(rows.select(listed).unique(), on=listed, how="anti", nulls_equal=True)
        .sort("_row", "activity_date")
        .with_columns(**{k: pl.lit(v) for k, v in said.items()}, **{k: pl.lit(None, rows.schema[k]) for k in empty})
        .with_columns((pl.col("activity_date") - pl.duration(days=every - 1)).alias(c) for c in begun)
        .with_columns(line_no=((pl.col("activity_date") - pl.col("_first")).dt.total_days() + 1).cast(pl.Int32))
    )
    numbered = rows.with_columns(line_no=pl.lit(1, pl.Int32))
    return pl.concat([numbered, unlisted.select(numbered.columns)])


def listing_sales_only(rows: pl.DataFrame) -> list[str]:
    """A note where days are missing and no row says zero: is what is not listed zero, or unknown?"""
    if rows.is_empty() or (rows["quantity"] <= 0).any() or rows["period_start_date"].is_not_null().any():
        return []
    spans = rows.group_by(SERIES).agg(pl.col("activity_date").n_unique().alias("days"), pl.col("activity_date").min())
    last = pl.lit(rows["activity_date"].max())
    listed, span = spans.select(
        pl.col("days").sum(), ((last - pl.col("activity_date")).dt.total_days() + 1).sum().alias("span")
    ).row(0)
    if listed >= LISTED_FRAC * span:
        return []
    return [
        f"no row says zero, and {span - listed:,} of {span:,} site, item and days between an item's first day and the last of the file have "
        "no row: they are not known, unless stock of the day is. To do: if the file leaves out what did not sell, say `gaps: zero` in the mapping"
    ]
