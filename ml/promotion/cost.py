"""Is the challenger cheaper? Paired costs on common random numbers, with a bootstrap over weeks and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from aios_assets.contracts.gates import Evidence

KEYS = ("item_id", "site_id", "week_date")


@dataclass(frozen=True, slots=True)
class CostDifference:
    """Relative cost difference of challenger to champion; negative is cheaper.

    Attributes:
        difference: (challenger − champion) / champion over everything.
        low: lower end of the interval.
        high: upper end of the interval: what promotion is decided on.
        weeks: weeks compared.
        units: item × site compared.
    """

    difference: float
    low: float
    high: float
    weeks: int
    units: int


def cost_difference(
    champion: pl.DataFrame,
    challenger: pl.DataFrame,
    *,
    seed: int,
    block_weeks: int = 4,
    draws: int = 2000,
    level: float = 0.95,
) -> CostDifference | str:
    """Paired cost difference with a one-sided bootstrap bound at each end.

    Items × sites are drawn with replacement, weeks in blocks of `block_weeks` (stock carries over), both at once, so that
    neither a few items nor a few odd weeks decide (Owen 2007 shows that this two-way bootstrap errs on the safe side).

    Args:
        champion: `item_id, site_id, week_date, cost_usd`, simulated with common random numbers.
        challenger: the same keys.
        seed: of the draws.
        block_weeks: length of a block.
        draws: bootstrap draws.
        level: one-sided confidence of each bound.

    Returns:
        The difference, or the reason why these costs cannot be compared.
    """
    for name, frame in (("champion", champion), ("challenger", challenger)):
        lacking = [c for c in (*KEYS, "cost_usd") if c not in frame.columns]
        if lacking:
            return f"costs of the {name} lack {', '.join(lacking)}"
        if frame.height == 0:
            return f"there are no costs of the {name}"
        if frame["cost_usd"].null_count() or not frame["cost_usd"].is_finite().all():
            return f"costs of the {name} hold missing or infinite values"
        if frame.select(KEYS).n_unique() != frame.height:
            return f"costs of the {name} hold a week twice"
    both = champion.join(challenger, on=KEYS, how="inner", suffix="_new")
    if both.height != champion.height or both.height != challenger.height:
        return "champion and challenger were not simulated on the same items, sites and weeks"
    old, new = _matrix(both, "cost_usd"), _matrix(both, "cost_usd_new")
    total = float(old.sum())
    if total <= 0:
        return "the champion's cost is zero: a relative difference says nothing"
    low, high = _bounds(old, new - old, seed, block_weeks, draws, level)
    return CostDifference(float((new - old).sum() / total), low, high, old.shape[1], old.shape[0])


def _matrix(both: pl.DataFrame, column: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    unit = both.select(pl.struct("item_id", "site_id").rank("dense")).to_series().to_numpy() - 1
    week = both["week_date"].rank("dense").to_numpy() - 1
    out = np.zeros((int(unit.max()) + 1, int(week.max()) + 1))
    out[unit, week] = both[column].to_numpy()
    return out


def _bounds(
    old: np.ndarray[tuple[int, int], np.dtype[np.float64]], gap: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    seed: int, block_weeks: int, draws: int, level: float,
) -> tuple[float, float]:  # fmt: skip
    rng = np.random.default_rng(seed)
    units, weeks = old.shape
    block = np.arange(weeks) // block_weeks
    blocks = int(block.max()) + 1
    by_unit = rng.multinomial(units, np.full(units, 1.0 / units), size=draws).astype(np.float64)
    by_week = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=draws).astype(np.float64)[:, block]
    top = ((by_unit @ gap) * by_week).sum(axis=1)
    bottom = ((by_unit @ old) * by_week).sum(axis=1)
    ratio = top / np.maximum(bottom, 1e-12)
    return float(np.quantile(ratio, 1.0 - level)), float(np.quantile(ratio, level))


def cost_evidence(
    found: CostDifference | str, *, newest: date | None, details: Mapping[str, Any] | None = None
) -> Evidence:
    """Evidence for the gate `promote_cost`: the upper bound, counted in weeks."""
    if isinstance(found, str):
        return Evidence(None, None, newest, problem=found, details=details or {})
    extra = {
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "units": found.units,
        "weeks": found.weeks,
    }
    return Evidence(found.high, found.weeks, newest, details={**(details or {}), **extra})
