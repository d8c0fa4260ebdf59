"""Quantiles from two questions: does it sell at all, and how much when it does.

A mean and a spread do not tell a series that sells one unit every fifth period from one that sells five units every
twenty-fifth. Here the chance of a sale is forecast for itself; sizes, given a sale, are read off as ratios to the expected
size, as `ml.distribution` reads ratios to the mean. Chance and sizes together give the quantile of any level.

Source: the hurdle form of count models (Mullahy 1986), with empirical sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.distribution import F64, GRID, Shape, at_levels, fit_shape, shape_quantiles

MIN_SALES = 200
BINS = 20
LEAST, MOST = 0.001, 0.999
SMALLEST_SIZE = 0.05


@dataclass(frozen=True, slots=True)
class Hurdle:
    """A calibrated chance of a sale and the shape of sizes.

    Attributes:
        raw: ascending mean forecasts of the chance, per bin of held-out rows.
        seen: share of those rows that sold, not falling.
        sizes: quantiles of size ÷ expected size.
    """

    raw: F64
    seen: F64
    sizes: Shape


def fit_hurdle(chance: F64, mean: F64, deviation: F64, scale: F64, actual: F64) -> Hurdle | None:
    """Calibrate on rows held out in time order; None where hardly any, or hardly any not, sold.

    Args:
        chance: forecast chance of a sale.
        mean: forecast mean, sales or not.
        deviation: standard deviation of the series' past.
        scale: level of the series; expected sizes are not below a twentieth of it.
        actual: actuals.
    """
    sold = actual > 0
    if sold.sum() < MIN_SALES or (~sold).sum() < MIN_SALES:
        return None
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, BINS + 1)))
    place = np.clip(np.searchsorted(edges, chance, side="right") - 1, 0, max(edges.size - 2, 0))
    rows = np.bincount(place)
    some = rows > 0
    raw = np.bincount(place, chance)[some] / rows[some]
    seen = np.maximum.accumulate(np.bincount(place, sold.astype(np.float64))[some] / rows[some])
    found = np.clip(np.interp(chance, raw, seen), LEAST, MOST)
    size, spread = _size(found, mean, deviation, scale)
    return Hurdle(raw, seen, fit_shape(size[sold], spread[sold], actual[sold]))


def _size(chance: F64, mean: F64, deviation: F64, scale: F64) -> tuple[F64, F64]:
    size = np.maximum(mean / chance, SMALLEST_SIZE * scale)
    spread: F64 = np.maximum(deviation, SMALLEST_SIZE * size)
    return size, spread


def hurdle_quantiles(hurdle: Hurdle, chance: F64, mean: F64, deviation: F64, scale: F64) -> F64:
    """Quantiles at every level of `ml.distribution.GRID`, (rows, levels), not negative and not crossing."""
    found = np.clip(np.interp(chance, hurdle.raw, hurdle.seen), LEAST, MOST)
    size, spread = _size(found, mean, deviation, scale)
    sizes = shape_quantiles(hurdle.sizes, size, spread)
    grid = np.asarray(GRID)
    level = (grid[None, :] - (1.0 - found)[:, None]) / found[:, None]
    out: F64 = np.where(level > 0, at_levels(sizes, np.clip(level, grid[0], grid[-1])), 0.0)
    return np.maximum.accumulate(out, axis=1)
