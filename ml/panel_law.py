"""The distribution of a panel forecast: two ways to read quantiles off, averaged, then corrected per class in time order.

The first reads quantiles of actual ÷ mean by the size of the mean and its spread (`ml.distribution`), the second a chance of a
sale and its size (`ml.occurrence`). Their quantiles are averaged level by level, the second counting more where series sell
now and then. Averages of quantiles are sharper and err less than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.distribution import F64, Levels, Shape, calibrated, fit_levels, fit_shape, shape_quantiles
from ml.models.base import Labels
from ml.occurrence import Hurdle, fit_hurdle, hurdle_quantiles

HURDLE_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of each row before its actual, in units of the target.

    Attributes:
        mean: positive centre.
        spread: positive expected absolute deviation.
        deviation: standard deviation of the series' past.
        scale: level of the series.
        chance: forecast chance of a sale, where a model says one.
    """

    mean: F64
    spread: F64
    deviation: F64
    scale: F64
    chance: F64 | None

    def take(self, pick: npt.NDArray[np.bool_]) -> Signals:
        """Some rows."""
        chance = None if self.chance is None else self.chance[pick]
        return Signals(self.mean[pick], self.spread[pick], self.deviation[pick], self.scale[pick], chance)


@dataclass(frozen=True, slots=True)
class PanelLaw:
    """A fitted distribution: shape, hurdle (where series have gaps) and corrected levels."""

    shape: Shape
    hurdle: Hurdle | None
    levels: Levels

    def quantiles(self, signals: Signals, cells: Labels, draws: F64) -> F64:
        """Quantiles at the promised levels, (rows, levels), not negative and not crossing.

        Args:
            signals: see there.
            cells: calibration cell of each row.
            draws: one number in [0, 1) per row, for ties at zero.
        """
        return calibrated(_grid(self.shape, self.hurdle, signals), self.levels.rows(cells), draws)


def fit_panel_law(signals: Signals, actual: F64, cells: Labels, levels: Sequence[float]) -> PanelLaw:
    """Fit on forecasts that were made before their actuals were known.

    Args:
        signals: of each row.
        actual: actuals.
        cells: calibration cell of each row.
        levels: levels promised.
    """
    shape = fit_shape(signals.mean, signals.spread, actual)
    hurdle = None
    if signals.chance is not None:
        hurdle = fit_hurdle(signals.chance, signals.mean, signals.deviation, signals.scale, actual)
    return PanelLaw(shape, hurdle, fit_levels(_grid(shape, hurdle, signals), actual, cells, levels))


def _grid(shape: Shape, hurdle: Hurdle | None, signals: Signals) -> F64:
    plain = shape_quantiles(shape, signals.mean, signals.spread)
    if hurdle is None or signals.chance is None:
        return plain
    split = hurdle_quantiles(hurdle, signals.chance, signals.mean, signals.deviation, signals.scale)
    out: F64 = HURDLE_SHARE * split + (1.0 - HURDLE_SHARE) * plain
    return out
