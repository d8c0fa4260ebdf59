"""Quantiles learned directly: one small LightGBM per level, on target ÷ scale, for what ratios to a mean cannot say.

A promotion or a price changes more than the mean: the whole distribution of those rows is another one. Boosters of single
levels see it; between and beyond their levels, and for the share of zeros, the distribution they are pooled with speaks.

Source: Koenker and Bassett (1978) for the loss; quantile averaging (Vincentization) as in Ratcliff (1979).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ml.distribution import GRID, at_levels
from ml.models.base import F64, Design
from ml.models.boosted import BoostSpec, booster_of, rows_of_sales, train_boosters

if TYPE_CHECKING:
    from ml.forecasting import PanelSpec

DIRECT_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
MOST_ROWS = 60_000
MOST_TREES = 80
MOST_STRETCH = 5.0


@dataclass(frozen=True, slots=True)
class Direct:
    """One booster per level of `DIRECT_LEVELS`, as texts."""

    texts: tuple[str, ...]
    threads: int

    @classmethod
    def train(cls, frame: Design, spec: PanelSpec, weigh: Callable[[Design], F64]) -> Direct:
        """Learn on a sample of the rows; the levels share one set of bins.

        Args:
            frame: rows with actuals.
            spec: seed and threads.
            weigh: weight of each row.
        """
        if frame.rows > MOST_ROWS:
            frame = frame.take(np.sort(np.random.default_rng(spec.seed).permutation(frame.rows)[:MOST_ROWS]))
        assert frame.y is not None
        # Of forty rows two lie beyond the 5 or 95 % point; of a hundred that sell, five.
        leaf = max(10, min(spec.boost.min_rows_leaf, frame.rows // 100), rows_of_sales(frame.y, 0.05))
        small: BoostSpec = replace(spec.boost, leaves=16, learning_rate=0.1, min_rows_leaf=leaf)
        params = small.params(spec.seed + 3, "quantile")
        texts = train_boosters(
            frame, frame.y / frame.scale, weigh(frame), [params | {"alpha": q} for q in DIRECT_LEVELS],
            min(MOST_TREES, spec.boost.trees),
        )  # fmt: skip
        return cls(tuple(texts), spec.boost.threads)

    def predict(self, frame: Design) -> F64:
        """Quantiles at `DIRECT_LEVELS` in units of the target, (rows, levels), not negative and not crossing."""
        out = np.column_stack([booster_of(text).predict(frame.x, num_threads=self.threads) for text in self.texts])
        ordered: F64 = np.sort(np.maximum(out, 0.0) * frame.scale[:, None], axis=1)
        return ordered


def pooled(base: F64, direct: F64, share: F64) -> F64:
    """Average level by level of two distributions; where the first says zero it stays zero.

    Args:
        base: quantiles at `ml.distribution.GRID`, (rows, levels).
        direct: the same, from `on_grid`.
        share: weight of the second per row.
    """
    both = base + share[:, None] * (direct - base)
    out: F64 = np.maximum.accumulate(np.where(base > 0, both, 0.0), axis=1)
    return out


def on_grid(direct: F64, base: F64) -> F64:
    """Direct quantiles at every level of `GRID`: linear between their levels, beyond them with the tails of `base`."""
    grid, known = np.asarray(GRID), np.asarray(DIRECT_LEVELS)
    out = np.empty_like(base)
    place = np.clip(np.searchsorted(known, grid, side="right") - 1, 0, known.size - 2)
    part = (grid - known[place]) / (known[place + 1] - known[place])
    inside = (grid >= known[0]) & (grid <= known[-1])
    low, high = direct[:, place[inside]], direct[:, place[inside] + 1]
    out[:, inside] = low + (high - low) * part[inside]
    below, above = grid < known[0], grid > known[-1]
    out[:, below] = np.minimum(base[:, below], direct[:, :1])
    end = at_levels(base, np.full((base.shape[0], 1), known[-1]))
    stretch = np.clip(direct[:, -1:] / np.maximum(end, 1e-9), 1.0 / MOST_STRETCH, MOST_STRETCH)
    out[:, above] = direct[:, -1:] + np.maximum(base[:, above] - end, 0.0) * stretch
    result: F64 = np.maximum.accumulate(np.maximum(out, 0.0), axis=1)
    return result


def mean_of(grid_quantiles: F64) -> F64:
    """Mean of each row's distribution: its quantiles averaged over the levels of `GRID`."""
    mass = np.gradient(np.asarray(GRID))
    out: F64 = grid_quantiles @ (mass / mass.sum())
    return out
