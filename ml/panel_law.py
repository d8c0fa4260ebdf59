"""The distribution of a panel forecast: two ways to read quantiles off, averaged, then corrected per class in time order.

The first reads quantiles of actual ÷ mean by the size of the mean and its spread (`ml.distribution`), the second a chance of a
sale and its size (`ml.occurrence`). Their quantiles are averaged level by level, the second counting more where series sell
now and then. Quantiles learned directly (`ml.panel_direct`) are averaged in per demand class, with the share
that erred least on the held-out rows. Averages of quantiles are sharper and err less than each.

The correction per class is fitted on rows that the shapes had not seen: the held-out periods are cut into blocks in time order,
and each block's quantiles come from shapes of the other blocks. Corrections on the rows the shapes were read from promise too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml.distribution import F64, Levels, Shape, at_levels, calibrated, coded, fit_levels, fit_shape, shape_quantiles
from ml.metrics import pinball
from ml.models.base import Labels
from ml.occurrence import Hurdle, fit_hurdle, hurdle_quantiles
from ml.panel_direct import on_grid, pooled

HURDLE_SHARE = 0.75
DIRECT_SHARES = (0.0, 0.3, 0.6)
BLOCKS = 3
MIN_BLOCK_ROWS = 2_000
FEW_ROWS = 1_200  # fewer are one cell of `fit_shape`


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of each row before its actual, in units of the target.

    Attributes:
        mean: positive centre.
        spread: positive expected absolute deviation.
        deviation: standard deviation of the series' past.
        scale: level of the series.
        chance: forecast chance of a sale, where a model says one.
        direct: quantiles learned directly, (rows, levels of `ml.panel_direct`), where a model says them.
    """

    mean: F64
    spread: F64
    deviation: F64
    scale: F64
    chance: F64 | None
    direct: F64 | None = None

    def take(self, pick: npt.NDArray[np.bool_]) -> Signals:
        """Some rows."""
        chance = None if self.chance is None else self.chance[pick]
        direct = None if self.direct is None else self.direct[pick]
        return Signals(self.mean[pick], self.spread[pick], self.deviation[pick], self.scale[pick], chance, direct)


@dataclass(frozen=True, slots=True)
class PanelLaw:
    """A fitted distribution.

    Attributes:
        shape: quantiles of actual ÷ mean.
        hurdle: chance and size, where series have gaps.
        levels: corrected levels per calibration cell.
        shares: demand class to the share of directly learned quantiles; `all` serves classes not seen.
        most: furthest that a quantile may lie above its mean, in units of the target.
    """

    shape: Shape
    hurdle: Hurdle | None
    levels: Levels
    shares: dict[str, float] = field(default_factory=dict)
    most: float = np.inf

    def quantiles(self, signals: Signals, cells: Labels, draws: F64) -> F64:
        """Quantiles at the promised levels, (rows, levels), not negative and not crossing.

        Args:
            signals: see there.
            cells: calibration cell of each row.
            draws: one number in [0, 1) per row, for ties at zero.
        """
        grid = _with_direct(_grid(self.shape, self.hurdle, signals, self.most), signals, cells, self.shares)
        return calibrated(grid, self.levels.rows(cells), draws)


def fit_panel_law(
    signals: Signals, actual: F64, cells: Labels, levels: Sequence[float], period: npt.NDArray[np.int64] | None = None
) -> PanelLaw:
    """Fit on forecasts that were made before their actuals were known.

    Args:
        signals: of each row.
        actual: actuals.
        cells: calibration cell of each row, its demand class before a bar.
        levels: levels promised.
        period: target period of each row, to correct the levels on blocks of periods that the shapes had not seen.
    """
    shape, hurdle = _shapes(signals, actual)
    # A ratio of few rows, seen beside means of almost nothing, is no ratio for large ones: nobody saw so much more than expected.
    most = float(actual.max()) if actual.size < FEW_ROWS else np.inf
    grid = (
        _grid(shape, hurdle, signals, most)
        if period is None
        else _unseen_grid(signals, actual, period, shape, hurdle, most)
    )
    shares = _direct_shares(grid, signals, actual, cells, levels)
    grid = _with_direct(grid, signals, cells, shares)
    return PanelLaw(shape, hurdle, fit_levels(grid, actual, cells, levels), shares, most)


def _class_of(cells: Labels) -> Labels:
    names, place = coded(cells)
    out: Labels = np.array([name.split("|")[0] for name in names], dtype=np.str_)[place]
    return out


def _direct_shares(
    grid: F64, signals: Signals, actual: F64, cells: Labels, levels: Sequence[float]
) -> dict[str, float]:
    """Per demand class the share of directly learned quantiles with the least pinball loss; few rows take that of all."""
    if signals.direct is None:
        return {}
    kinds, asked = _class_of(cells), np.broadcast_to(np.asarray(levels), (actual.size, len(levels)))
    known = on_grid(signals.direct, grid)
    read = [at_levels(pooled(grid, known, np.full(actual.size, share)), asked) for share in DIRECT_SHARES]

    def best(pick: npt.NDArray[np.bool_]) -> float:
        errors = [pinball(actual[pick], q[pick], levels) for q in read]
        return DIRECT_SHARES[int(np.argmin(errors))]

    out = {"all": best(np.ones(actual.size, dtype=bool))}
    return out | {str(k): best(kinds == k) for k in np.unique(kinds) if (kinds == k).sum() >= MIN_BLOCK_ROWS}


def _with_direct(grid: F64, signals: Signals, cells: Labels, shares: dict[str, float]) -> F64:
    if signals.direct is None or not any(shares.values()):
        return grid
    kinds, place = coded(_class_of(cells))
    share = np.array([shares.get(k, shares["all"]) for k in kinds])[place]
    return pooled(grid, on_grid(signals.direct, grid), share)


def _shapes(signals: Signals, actual: F64) -> tuple[Shape, Hurdle | None]:
    # Of few rows, which are read together, a ratio counts as much as its mean: its quantiles then lose least in units of the target
    # (a regression through the origin), and what sold beside a mean of almost nothing does not speak for large means.
    weight = signals.mean if actual.size < FEW_ROWS else None
    shape = fit_shape(signals.mean, signals.spread, actual, weight)
    if signals.chance is None:
        return shape, None
    return shape, fit_hurdle(signals.chance, signals.mean, signals.deviation, signals.scale, actual)


def _unseen_grid(
    signals: Signals, actual: F64, period: npt.NDArray[np.int64], shape: Shape, hurdle: Hurdle | None, most: float
) -> F64:
    """Quantiles of each block of periods by the shapes of the other blocks; blocks too small use the shapes of all rows."""
    grid = _grid(shape, hurdle, signals, most)
    start, span = int(period.min()), int(period.max()) - int(period.min()) + 1
    block = (period - start) * BLOCKS // span
    sizes = np.bincount(block, minlength=BLOCKS)
    for b in np.flatnonzero((sizes >= MIN_BLOCK_ROWS) & (actual.size - sizes >= MIN_BLOCK_ROWS)):
        inside = block == b
        grid[inside] = _grid(*_shapes(signals.take(~inside), actual[~inside]), signals.take(inside), most)
    return grid


def _grid(shape: Shape, hurdle: Hurdle | None, signals: Signals, most: float) -> F64:
    plain = np.minimum(shape_quantiles(shape, signals.mean, signals.spread), signals.mean[:, None] + most)
    if hurdle is None or signals.chance is None:
        return plain
    split = hurdle_quantiles(hurdle, signals.chance, signals.mean, signals.deviation, signals.scale)
    out: F64 = HURDLE_SHARE * split + (1.0 - HURDLE_SHARE) * plain
    return out
