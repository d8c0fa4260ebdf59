"""A forecaster without a model: recent demand resampled around a seasonal index of the whole panel.

It is the yardstick, and the fallback where a history is too short to learn from. Interface of every forecaster here:
(demand, seen, horizon, scenarios, seed) → paths (series, scenario, period).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


def seasonal_index(demand: F64, seen: Bools, season: int) -> F64:
    """Panel-wide index of each position in the season, mean 1; flat where fewer than two seasons are known."""
    periods = demand.shape[1]
    if season < 2 or periods < 2 * season:
        return np.ones(max(season, 1))
    scale = np.maximum(np.nanmean(np.where(seen, demand, np.nan), axis=1, keepdims=True), 1e-9)
    level = np.nanmean(np.where(seen, demand / scale, np.nan), axis=0)
    position = np.arange(periods) % season
    raw = np.array([np.nanmean(level[position == k]) for k in range(season)])
    index = 0.5 + 0.5 * np.nan_to_num(raw, nan=1.0) / max(float(np.nanmean(raw)), 1e-9)
    return np.asarray(index / index.mean())


def resample(
    demand: F64, seen: Bools, horizon: int, scenarios: int, seed: int, *, season: int = 52, window: int = 26
) -> F32:
    """Paths from the last `window` seen periods of each series, deseasonalised, the newest twice as likely as the oldest."""
    n, periods = demand.shape
    with np.errstate(all="ignore"):
        index = seasonal_index(demand, seen, season)
    position = np.arange(periods) % max(season, 1)
    ahead = index[(periods + np.arange(horizon)) % len(index)]
    out = np.zeros((n, scenarios, horizon), dtype=np.float32)
    uniform = np.random.default_rng(seed).random((scenarios, horizon))
    for i in range(n):
        known = np.flatnonzero(seen[i] & ~np.isnan(demand[i]))[-window:]
        if not known.size:
            continue
        values = demand[i, known] / index[position[known]]
        weight = np.cumsum(1.0 + np.arange(known.size) / known.size)
        pick = np.searchsorted(weight / weight[-1], uniform)
        out[i] = values[np.minimum(pick, known.size - 1)] * ahead[None, :]
    return out


def dispersion(demand: F64, seen: Bools, window: int = 8) -> float:
    """φ of the variance μ + φ·μ^1.5 that the panel's series show around their own recent mean: the median over series.

    The median, because a few promotions or stock-outs would otherwise set the spread of all; kept between 0.1 and 3. Where series
    sell more than some sixteen at a time, the upper limit is a variance of μ² · 0.75 at the median level: the same share
    of demand whether it is counted in pieces or in pallets.

    Args:
        demand: (series, period) counts.
        seen: (series, period) false where sales are censored or unknown.
        window: periods of the recent mean.
    """
    known = np.where(seen, demand, np.nan)[:, -104:]
    if known.shape[1] <= window + 4:
        return 1.0
    filled, ok = np.nan_to_num(known), ~np.isnan(known)
    total = np.cumsum(np.pad(filled, ((0, 0), (1, 0))), axis=1)
    count = np.cumsum(np.pad(ok.astype(np.float64), ((0, 0), (1, 0))), axis=1)
    before = total[:, window:-1] - total[:, : -window - 1]
    number = count[:, window:-1] - count[:, : -window - 1]
    use = ok[:, window:] & (number > window / 2)
    mean = before / np.maximum(number, 1)
    error = np.where(use, (filled[:, window:] - mean) ** 2 * window / (window + 1), 0.0).sum(axis=1)
    cases = use.sum(axis=1)
    level = np.where(use, mean, 0.0).sum(axis=1) / np.maximum(cases, 1)
    fine = (cases >= 8) & (level > 0)
    if not fine.any():
        return 1.0
    ratio = (error[fine] / cases[fine] - level[fine]) / level[fine] ** 1.5
    most = max(3.0, 0.75 * float(np.sqrt(np.median(level[fine]))))
    return float(np.clip(np.median(ratio), 0.1, most))


def counted_paths(mean: F64, phi: float, scenarios: int, seed: int, names: list[str], unit: float = 1.0) -> F32:
    """Negative-binomial paths (series, scenario, period) with these means and, counted in `unit`, variance μ + φ·μ^1.5.

    Each series draws from its own stream, named by its key: alone it gets the same paths as among thousands.
    """
    from planning.sampling import stream

    n, periods = mean.shape
    out = np.empty((n, scenarios, periods), dtype=np.float32)
    for i, name in enumerate(names):
        mu = np.maximum(mean[i] / unit, 1e-9)
        scale = phi * np.sqrt(mu)
        rng = stream(seed, "counts", name)
        out[i] = unit * rng.poisson(rng.gamma(mu / scale, scale, (scenarios, periods)))
    return out
