"""The forecast that answers when there is no healthy model: an average of recent sales with a negative binomial around it.

Mean: the 7-, 28- and 56-day means weighted 1 : 2 : 1, moved by a fifth of how far the newest same weekday lay from the 7-day mean.
What sells on fewer than four days in four weeks has too few sales in those: it leans, the more the fewer, on the half-year (the average
of the 56- and 180-day means). Where the history begins with a sale (`ml.newborn`), means that hold it are discounted, and its half-year leans
less on 56 days the more days it takes to know anything there. Distribution: negative binomial whose overdispersion is the series' own over 56 days, for slow ones 180
(method of moments; Hilbe, Negative Binomial Regression, 2011), plus the error of the mean itself. It needs no training. On sandbox
networks its pinball loss lies 21 to 25 % below that of seasonal naive, which stays the yardstick (docs/forecasting.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ml.models.base import F64, Design, Forecast
from ml.models.naive import column

NAME = "recent_average"
WEEKDAY_WEIGHT = 0.2
LEAST_SHARE_FRAC = 0.05
LEAST_MEAN_EA = 1e-3
LEAST_DISPERSION = 1.02
MEAN_DAYS = (7, 28, 56, 180)
OFTEN_DAYS = 4.0  # selling days in four weeks from which on recent means hold enough sales
SPECIFICATION = (
    "recent_average: often = min(1, 28 selling share_180 / 4); level = often (mean_7 + 2 mean_28 + mean_56) / 4 "
    "+ (1 - often) (mean_56 + mean_180) / 2; of histories that begin with a sale windows with it are discounted by "
    "((sales - 1 + shape) / (days - 1 + before)) / (sales / days), deviations by its root, and mean_56 counts 56 / (56 + before) / 2; mean = level + 0.2 often (last same weekday - mean_7); "
    "negative binomial, overdispersion from std = often std_56 + (1 - often) std_180, variance + std**2 (1/28 + (0.2 often)**2)"
)


def specification_digest() -> str:
    """SHA-256 of the specification; stands in for an artefact's digest."""
    return hashlib.sha256(SPECIFICATION.encode()).hexdigest()


class RecentAverage:
    """Average of recent sales, negative binomial."""

    name = NAME

    def fit(self, frame: Design, seed: int) -> RecentAverage:
        """Nothing to learn."""
        return self

    def predict(self, frame: Design, levels: Sequence[float]) -> Forecast:
        """Mean and quantiles of every row, in units of the target; zero where nothing was ever sold."""
        from scipy.stats import nbinom

        week, month, season, half = (_counted(frame, f"mean_{days}", days) for days in MEAN_DAYS)
        selling = 1.0 - np.nan_to_num(column(frame, "zero_frac_180d"))
        often = np.minimum(1.0, 28 * selling * _discount(frame, 180) / OFTEN_DAYS)
        lately = np.full(frame.rows, 0.5)
        if frame.newborn is not None:
            lately *= 56 / (56 + frame.newborn.days)
        level = _leaning(
            often, _weighted((week, 1.0), (month, 2.0), (season, 1.0)), _weighted((season, lately), (half, 1 - lately))
        )
        move = WEEKDAY_WEIGHT * often
        moved = level + move * np.nan_to_num(_counted(frame, "same_weekday_lag", 7) - week)
        mean = np.maximum(moved, LEAST_SHARE_FRAC * level)
        spread = _leaning(often, *(np.nan_to_num(_counted(frame, f"std_{days}", days, 0.5)) for days in (56, 180)))
        usual = _leaning(often, *(np.where(np.isnan(known), level, known) for known in (season, half)))
        usual = np.maximum(usual, LEAST_MEAN_EA)
        over = np.maximum(spread**2 - usual, 0.0) / usual**2
        m = np.maximum(mean, LEAST_MEAN_EA)
        variance = m + over * m**2 + spread**2 * (1 / 28 + move**2)
        variance = np.maximum(variance, LEAST_DISPERSION * m)
        quantiles = np.stack([nbinom.ppf(q, m**2 / (variance - m), m / variance) for q in levels], axis=1)
        return Forecast(mean, np.where(level[:, None] > 0, quantiles, 0.0), tuple(levels))


def _discount(frame: Design, days: int) -> F64:
    """What a figure of the last `days` days counts: 1, or less where they hold the sale that the history began with."""
    if frame.newborn is None:
        return np.ones(frame.rows)
    out: F64 = np.where(frame.newborn.age < days, frame.newborn.discount, 1.0)
    return out


def _counted(frame: Design, name: str, days: int, power: float = 1.0) -> F64:
    """A figure of the last `days` days in units of the target, discounted by its power where they hold the first sale."""
    out: F64 = column(frame, name) * frame.scale * _discount(frame, days) ** power
    return out


def _weighted(*parts: tuple[F64, float | F64]) -> F64:
    """The weighted mean of what is known, zero where nothing is."""
    means = np.stack([values for values, _ in parts])
    weights = np.stack([np.broadcast_to(weight, means.shape[1]) for _, weight in parts])
    known = ~np.isnan(means)
    total = (known * weights).sum(axis=0)
    out: F64 = (np.where(known, means, 0.0) * weights).sum(axis=0) / np.where(total > 0, total, 1.0)
    return out


def _leaning(often: F64, recent: F64, long: F64) -> F64:
    """Between what the last weeks say and what the half-year says."""
    return often * recent + (1.0 - often) * long
