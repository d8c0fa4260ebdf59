"""Who gets the canary: a stable share of item × site per ABC/XYZ stratum, nested as it grows, sticky for ever."""

from __future__ import annotations

import hashlib

import polars as pl

from aios_assets.contracts.errors import BadInputError

STEPS: tuple[float, ...] = (0.01, 0.05, 0.25, 1.0)
_UNIT = ("item_id", "site_id")


def strata(demand: pl.DataFrame, value: pl.DataFrame | None = None) -> pl.DataFrame:
    """ABC (money: 80 %, 95 %, rest) and XYZ (weekly coefficient of variation: 0.5, 1.0) of every item × site.

    Args:
        demand: `item_id, site_id, demand_date, sales_qty_ea`, some months of it.
        value: `item_id, unit_price_usd`; eaches count alike when not given.

    Returns:
        `item_id, site_id, stratum` such as `AX`.
    """
    weekly = demand.group_by(*_UNIT, pl.col("demand_date").dt.truncate("1w").alias("week")).agg(
        pl.col("sales_qty_ea").sum()
    )
    units = weekly.group_by(_UNIT).agg(
        pl.col("sales_qty_ea").sum().alias("total"),
        pl.col("sales_qty_ea").mean().alias("mean"),
        pl.col("sales_qty_ea").std().alias("sd"),
    )
    if value is not None:
        prices = value.select("item_id", "unit_price_usd").unique(subset=["item_id"], keep="first")
        units = units.join(prices, on="item_id", how="left").with_columns(
            pl.col("total") * pl.col("unit_price_usd").fill_null(0.0)
        )
    units = units.sort("total", *_UNIT, descending=[True, False, False])
    before = pl.col("total").cum_sum() - pl.col("total")
    share = before / pl.max_horizontal(pl.col("total").sum(), 1e-12)
    varied = pl.col("sd").fill_null(0.0) / pl.max_horizontal(pl.col("mean"), 1e-12)
    abc = pl.when(share < 0.8).then(pl.lit("A")).when(share < 0.95).then(pl.lit("B")).otherwise(pl.lit("C"))
    xyz = pl.when(varied <= 0.5).then(pl.lit("X")).when(varied <= 1.0).then(pl.lit("Y")).otherwise(pl.lit("Z"))
    return units.select(*_UNIT, (abc + xyz).alias("stratum")).sort(_UNIT)


def stable_draw(item_id: str, site_id: str, rollout: str) -> float:
    """A number in [0, 1) that depends on unit and rollout alone.

    >>> stable_draw("I1", "S1", "demand:7") == stable_draw("I1", "S1", "demand:7")
    True
    """
    digest = hashlib.sha256(f"{rollout}\x1f{item_id}\x1f{site_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def assign_canary(
    units: pl.DataFrame, share: float, *, rollout: str, previous: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Assign units to canary or control.

    Within each stratum the units with the smallest stable draws are in the canary, so that a larger share holds every
    unit of a smaller one. Units of `previous` that were in the canary stay in it, whatever their stratum has become;
    units that were in control leave it only when the share grows. New units fill up to the share.

    Args:
        units: `item_id, site_id, stratum`.
        share: share wanted, 0 to 1.
        rollout: what is rolled out, such as `demand:7`; another rollout draws anew.
        previous: what this function returned at the step before.

    Returns:
        `item_id, site_id, stratum, draw, is_canary`, sorted; shares are exact to half a unit per stratum.

    Raises:
        BadInputError: a share outside 0–1, or units twice.
    """
    if not 0.0 <= share <= 1.0:
        raise BadInputError(f"canary share {share} is not between 0 and 1", where=rollout, todo=f"use one of {STEPS}")
    if units.select(_UNIT).n_unique() != units.height:
        raise BadInputError(
            "units are listed twice", where=rollout, count=units.height, todo="one row per item and site"
        )
    draws = [stable_draw(i, s, rollout) for i, s in units.select(_UNIT).iter_rows()]
    frame = units.select(*_UNIT, "stratum").with_columns(pl.Series("draw", draws, dtype=pl.Float64))
    if previous is not None and previous.height:
        kept = previous.select(*_UNIT, pl.col("stratum").alias("_s"), pl.col("is_canary").alias("_was"))
        frame = (
            frame.join(kept, on=_UNIT, how="left")
            .with_columns(pl.coalesce("_s", "stratum").alias("stratum"))
            .drop("_s")
        )
    else:
        frame = frame.with_columns(pl.lit(None, dtype=pl.Boolean).alias("_was"))
    # those in the canary come first, then by draw: nobody who was in ever falls out while the share holds or grows
    was = pl.col("_was").fill_null(False)
    ordered = frame.sort("stratum", ~was, "draw", *_UNIT)
    place, size = pl.int_range(pl.len()).over("stratum"), pl.len().over("stratum")
    wanted = (size * share + 0.5).floor()
    ordered = ordered.with_columns(((place < wanted) | (was & (share > 0))).alias("is_canary"))
    return ordered.drop("_was").sort(_UNIT)


def shares(assignment: pl.DataFrame) -> pl.DataFrame:
    """Share and size per stratum: `stratum, units, share_frac`."""
    return (
        assignment.group_by("stratum")
        .agg(pl.len().alias("units"), pl.col("is_canary").mean().alias("share_frac"))
        .sort("stratum")
    )
