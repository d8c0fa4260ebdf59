"""Whether orders lately arrive as the orders before them did: log-rank tests of lanes, and of sources as a whole.

One-sample log-rank test (Breslow 1975) of recent orders, open ones included as censored, against curves learned from the orders
before, in whole days: each order adds the sum of its daily hazards h to what was expected and the sum of h (1 − h) to the
variance, so that a lane on which nearly all arrive on one day is judged by that day and not by the logarithm of a share close
to zero.

A lane that slowed down is believed at once, and what came before counts a tenth. One that became quicker is followed only as its old
orders age: where lead times come and go with the season, believing the quick ones would order too late.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from ml.lead_time.grid import LaneGrid, decayed
from ml.lead_time.survival import Curves, Floats, Ints, survive

# Stretches up to today that may differ from what was before, and what it takes to believe it.
WINDOWS_DAYS = (28, 56, 84, 126)
MIN_ORDERS, MIN_RATIO, FALSE_ALARMS = 8, 1.3, 0.05
SHARE_BEFORE = 0.1
NO_CHANGES = pl.DataFrame(schema={"source_id": pl.String, "site_id": pl.String, "cut_date": pl.Date})


def arrivals_tested(obs: pl.DataFrame, curves: Curves, index: Ints, known: Floats, min_orders: int) -> pl.DataFrame:
    """Arrivals of recent orders beside what was expected, per lane, and per source of several lanes (`site_id` null).

    A supplier that slows down does so everywhere: all its lanes together show it before one of them does.

    Args:
        obs: recent rows of `ml.lead_time.lanes.lead_time_observations`.
        curves: curves learned from the orders before.
        index: curve of each row.
        known: received orders that each row's curve was learned from.
        min_orders: fewest recent orders that say anything.

    Returns:
        `source_id, site_id, arrived, expected, variance, orders, p`, sorted lanes, then sources; p is two-sided.
    """
    expected, spread = _compensator(curves, index, obs["days"].to_numpy().astype(np.int64), known)
    obs = obs.with_columns(pl.Series("expected", expected), pl.Series("spread", spread), pl.Series("known", known))
    lanes = _lanes(obs)
    several = lanes.filter(pl.len().over("source_id") > 1)
    whole = several.group_by("source_id").agg(pl.col("arrived", "expected", "variance", "orders").sum())
    tested = pl.concat([lanes, whole.with_columns(site_id=pl.lit(None, pl.String)).select(lanes.columns)])
    tested = tested.filter((pl.col("orders") >= min_orders) & (pl.col("expected") > 0.5))
    tested = tested.sort(pl.col("site_id").is_null(), "source_id", "site_id")
    return tested.with_columns(pl.Series("p", _log_rank_p(tested)))


def sources_before_lanes(found: pl.DataFrame) -> pl.DataFrame:
    """Rows of `arrivals_tested` without the lanes of sources that were found as a whole."""
    whole = found.filter(pl.col("site_id").is_null())["source_id"].implode()
    return found.filter(pl.col("site_id").is_null() | ~pl.col("source_id").is_in(whole))


def is_slower(min_ratio: float) -> pl.Expr:
    """Whether the rate of arrival fell by this factor or more."""
    return pl.col("arrived") * min_ratio <= pl.col("expected")


def is_quicker(min_ratio: float) -> pl.Expr:
    """Whether the rate of arrival rose by this factor or more."""
    return pl.col("arrived") >= pl.col("expected") * min_ratio


def _lanes(obs: pl.DataFrame) -> pl.DataFrame:
    """Arrivals beside what was expected per lane; the variance is widened by the error of a curve learned from few orders."""
    sums = obs.group_by("source_id", "site_id").agg(
        (pl.col("is_received") * pl.col("weight")).sum().alias("arrived"),
        (pl.col("expected") * pl.col("weight")).sum().alias("expected"),
        (pl.col("spread") * pl.col("weight")).sum().alias("spread"),
        pl.col("cluster").n_unique().cast(pl.Int64).alias("orders"),
        pl.col("known").min().clip(lower_bound=1.0),
    )
    variance = pl.col("spread").clip(lower_bound=0.25) * (1.0 + pl.col("expected") / pl.col("known"))
    lanes = sums.select("source_id", "site_id", "arrived", "expected", variance.alias("variance"), "orders")
    return lanes.sort("source_id", "site_id")  # sums over a source's lanes are the same bits each time


def _compensator(before: Curves, index: Ints, days: Ints, known: Floats) -> tuple[Floats, Floats]:
    """Sum of daily hazards up to each row's days, and of their variances; a day that no earlier order lived to expects nothing."""
    grid = np.arange(int(days.max()) + 1)
    used = np.unique(index)
    survival = survive(before, np.repeat(used, grid.size), np.tile(grid, used.size)).reshape(used.size, grid.size)
    place = np.searchsorted(used, index)
    learned_from = np.zeros(used.size)
    learned_from[place] = known
    alive = np.concatenate([np.ones((used.size, 1)), survival[:, :-1]], axis=1)
    # Half an order more at risk than there was: one arrival among the last few says little about the next.
    hazard = learned_from[:, None] * (alive - survival) / (learned_from[:, None] * alive + 0.5)
    expected, spread = np.cumsum(hazard, axis=1), np.cumsum(hazard * (1.0 - hazard), axis=1)
    return expected[place, days], spread[place, days]


def _log_rank_p(lanes: pl.DataFrame) -> Floats:
    """Two-sided p of arrivals against the expected."""
    from scipy.special import ndtr

    gap = np.abs(lanes["arrived"].to_numpy() - lanes["expected"].to_numpy())
    # Continuity correction: arrivals are whole.
    z = np.maximum(gap - 0.5, 0.0) / np.sqrt(lanes["variance"].to_numpy())
    return np.asarray(2.0 * ndtr(-z), dtype=np.float64)


def slow_downs(obs: pl.DataFrame, grid: LaneGrid, as_of: date, half_life_days: float) -> pl.DataFrame:
    """Sources, and lanes of other sources, that slowed down lately, with the last day before: `source_id, site_id, cut_date`.

    Of several stretches up to today the one that differs most from what was before is taken. Both are judged by all that is
    known now: orders of before had their time to arrive.

    Args:
        obs: rows of `ml.lead_time.lanes.lead_time_observations`, weighing one an order, numbered by the grid.
        grid: their lanes.
        as_of: last day known.
        half_life_days: age at which an order of before counts half.

    Returns:
        One row per source (`site_id` null) or lane. Where nothing changes it stays empty in 95 of 100 nights or more.
    """
    found = []
    for window in WINDOWS_DAYS:
        cut = as_of - timedelta(days=window)
        before, recent = obs.filter(pl.col("order_date") <= cut), obs.filter(pl.col("order_date") > cut)
        if not before["is_received"].any() or recent.height == 0:
            continue
        before = decayed(before, cut, half_life_days)
        lane, counted = recent["lane"].to_numpy(), before.filter("is_received")
        known = np.bincount(counted["lane"], counted["weight"], len(grid.lanes)).astype(np.float64)
        tested = arrivals_tested(recent, grid.curves(before), lane, known[lane], MIN_ORDERS)
        # Half of the false alarms are for sources, half for lanes; of both directions one is looked for.
        alike = pl.len().over(pl.col("site_id").is_null())
        tested = tested.with_columns(alarms=pl.col("p") * alike * len(WINDOWS_DAYS), cut_date=pl.lit(cut))
        found.append(tested.filter(is_slower(MIN_RATIO) & (pl.col("alarms") < FALSE_ALARMS)))
    if not found:
        return NO_CHANGES
    first = (
        pl.concat(found)
        .sort("p", "cut_date")
        .unique(subset=["source_id", "site_id"], keep="first", maintain_order=True)
    )
    return sources_before_lanes(first).select(NO_CHANGES.columns).sort("source_id", "site_id")


def faded(obs: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Weights in which orders of before a slow-down (`slow_downs`) count a tenth."""
    if changed.is_empty():
        return obs
    whole = changed.filter(pl.col("site_id").is_null()).select("source_id", by_source="cut_date")
    lanes = changed.filter(pl.col("site_id").is_not_null()).select("source_id", "site_id", by_lane="cut_date")
    joined = obs.join(whole, on="source_id", how="left", maintain_order="left").join(
        lanes, on=["source_id", "site_id"], how="left", maintain_order="left"
    )
    is_old = (pl.col("order_date") <= pl.coalesce("by_source", "by_lane")).fill_null(False)
    weight = pl.when(is_old).then(pl.col("weight") * SHARE_BEFORE).otherwise("weight")
    return joined.with_columns(weight=weight).select(obs.columns)
