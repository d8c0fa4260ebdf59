"""Lines that the marts keep out because of their unit, as they were known at an instant."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.marts.versions import known_at
from planning.kept_out import LOOK_BACK_DAYS

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

_KINDS = ("unknown_unit", "unknown_pack")


def lines_kept_out(lake: Lake, day: date, instant: datetime, where: pl.Expr | None = None) -> pl.DataFrame:
    """Findings of the weeks up to `day` about lines kept out for their unit, oldest first.

    Grain: one finding (`int_findings_detected`), which is one line.

    Args:
        lake: the lake.
        day: last business day.
        instant: moment of knowledge.
        where: further condition, such as one item and site.
    """
    recent = pl.col("finding_date").is_between(day - timedelta(days=LOOK_BACK_DAYS - 1), day)
    # A case without any item master is taken as 1, and told, but not kept out.
    out = pl.col("kind_code").is_in(_KINDS) & pl.col("reason").str.contains("kept out", literal=True)
    asked = recent & out & known_at(instant)
    found = lake.read("int_findings_detected", where=asked if where is None else asked & where)
    return found.sort("finding_date", "available_at_utc", "finding_id")


def kept_out_by_place(lake: Lake, day: date, instant: datetime) -> pl.DataFrame:
    """By item and site: item_id, site_id, lines, and the newest one's reason; sorted."""
    found = lines_kept_out(lake, day, instant, pl.col("site_id").is_not_null() & pl.col("item_id").is_not_null())
    return (
        found.group_by("item_id", "site_id", maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("lines"), pl.col("reason").last())
        .sort("item_id", "site_id")
    )
