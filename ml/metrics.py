"""Forecast metrics as plain functions of arrays, and tables of them by segment.

All take arrays of equal length, one entry per forecast; NaN actuals must be removed by the caller, who knows why they are
missing. Sources: Hyndman and Koehler (2006) for MASE, Makridakis et al. (M5) for RMSSE and scaled pinball, Gneiting and
Raftery (2007) for CRPS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

F64 = npt.NDArray[np.float64]


def wape(actual: F64, mean: F64) -> float:
    """Sum of absolute errors over sum of actuals; NaN when nothing was sold.

    >>> wape(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    0.5
    """
    total = float(np.abs(actual).sum())
    return float(np.abs(actual - mean).sum()) / total if total else float("nan")


def bias(actual: F64, mean: F64) -> float:
    """Sum of (forecast − actual) over sum of actuals: positive says too high.

    >>> bias(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    0.25
    """
    total = float(np.abs(actual).sum())
    return float((mean - actual).sum()) / total if total else float("nan")


def scales(history: F64, season: int = 1) -> tuple[F64, F64]:
    """Mean absolute and mean squared seasonal difference of each series, from its first non-zero value on (M5).

    Args:
        history: (series, periods), NaN where nothing is known.
        season: distance of the difference in periods.

    Returns:
        Two arrays; NaN for a series with no difference or only zero differences, which cannot be scaled.
    """
    started = np.logical_or.accumulate(np.nan_to_num(history) != 0, axis=1)
    known = np.where(started, history, np.nan)
    if known.shape[1] <= season:
        nothing = np.full(known.shape[0], np.nan)
        return nothing, nothing.copy()
    step = known[:, season:] - known[:, :-season]
    n = (~np.isnan(step)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        absolute = np.nansum(np.abs(step), axis=1) / n
        square = np.nansum(step * step, axis=1) / n
    return np.where(absolute > 0, absolute, np.nan), np.where(square > 0, square, np.nan)


def mase(error: F64, absolute_scale: F64) -> F64:
    """Mean absolute error of each series over its scale; `error` is (series, periods)."""
    out: F64 = np.nanmean(np.abs(error), axis=1) / absolute_scale
    return out


def rmsse(error: F64, square_scale: F64) -> F64:
    """Root of mean squared error of each series over its squared scale; `error` is (series, periods)."""
    out: F64 = np.sqrt(np.nanmean(error * error, axis=1) / square_scale)
    return out


def pinball_matrix(actual: F64, quantiles: F64, levels: Sequence[float]) -> F64:
    """Pinball loss of each forecast and level, (rows, levels), in units of the target.

    >>> pinball_matrix(np.array([2.0]), np.array([[1.0]]), [0.9]).round(2)
    array([[0.9]])
    """
    q = np.asarray(levels, dtype=np.float64)[None, :]
    gap = actual[:, None] - quantiles
    out: F64 = np.maximum(q * gap, (q - 1.0) * gap)
    return out


def pinball(actual: F64, quantiles: F64, levels: Sequence[float]) -> float:
    """Mean pinball loss over rows and levels."""
    return float(pinball_matrix(actual, quantiles, levels).mean())


def crps(actual: F64, quantiles: F64, levels: Sequence[float]) -> float:
    """Continuous ranked probability score from quantiles: twice the pinball loss integrated over the level.

    Source: Gneiting and Ranjan (2011). The integral is a trapezium over the given levels, with their outermost loss
    held out to 0 and 1 by half a step, so sets of levels compare only with themselves.
    """
    q = np.asarray(levels, dtype=np.float64)
    edges = np.concatenate([[0.0], (q[1:] + q[:-1]) / 2, [1.0]])
    return float(2.0 * (pinball_matrix(actual, quantiles, levels) * np.diff(edges)[None, :]).sum(axis=1).mean())


def coverage(actual: F64, low: F64, high: F64) -> float:
    """Share of actuals inside the closed interval."""
    return float(((actual >= low) & (actual <= high)).mean())


def score(actual: F64, mean: F64, quantiles: F64, levels: Sequence[float]) -> dict[str, float]:
    """All metrics of one set of forecasts."""
    where = {round(q, 4): i for i, q in enumerate(levels)}
    out = {
        "rows": float(actual.size),
        "wape_frac": wape(actual, mean),
        "bias_frac": bias(actual, mean),
        "rmse": float(np.sqrt(np.mean((actual - mean) ** 2))) if actual.size else float("nan"),
        "pinball": pinball(actual, quantiles, levels),
        "crps": crps(actual, quantiles, levels),
    }
    for low, high, name in ((0.1, 0.9, "coverage80_frac"), (0.05, 0.95, "coverage90_frac")):
        if low in where and high in where:
            out[name] = coverage(actual, quantiles[:, where[low]], quantiles[:, where[high]])
    return out


def score_by(
    segments: Mapping[str, npt.NDArray[np.str_]] | npt.NDArray[np.str_],
    actual: F64,
    mean: F64,
    quantiles: F64,
    levels: Sequence[float],
) -> pl.DataFrame:
    """Metrics per segment and over all rows.

    Args:
        segments: label per row, or several labellings by name.
        actual: actuals.
        mean: mean forecasts.
        quantiles: (rows, levels).
        levels: quantile levels.

    Returns:
        One row per labelling and label, first the row `all`; columns `by`, `segment` and those of `score`.
    """
    labellings = segments if isinstance(segments, Mapping) else {"segment": segments}
    rows: list[dict[str, object]] = [{"by": "all", "segment": "all", **score(actual, mean, quantiles, levels)}]
    for name, labels in labellings.items():
        for label in np.unique(labels):
            pick = labels == label
            rows.append({"by": name, "segment": str(label), **score(actual[pick], mean[pick], quantiles[pick], levels)})
    return pl.DataFrame(rows)


def scaled_errors(actual: F64, mean: F64, history: F64, season: int) -> dict[str, float]:
    """MASE (seasonal scale) and RMSSE (scale of one step), averaged over series that can be scaled.

    Args:
        actual: (series, periods) of the test window, NaN where unknown.
        mean: forecasts of the same shape.
        history: (series, periods) before the window.
        season: periods of a season for MASE.
    """
    absolute, _ = scales(history, season)
    _, square = scales(history, 1)
    with np.errstate(invalid="ignore"):
        error = actual - mean
        known = ~np.isnan(error).all(axis=1)
        a, b = mase(error[known], absolute[known]), rmsse(error[known], square[known])
    return {"mase": _mean(a), "rmsse": _mean(b), "unscalable_series": float(np.isnan(square).sum())}


def _mean(values: F64) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")
