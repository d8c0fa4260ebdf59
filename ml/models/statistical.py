"""Statistical forecasters over a wide panel: every series at once, the forecast of every origin in one pass.

Each function takes `y` (series, periods; NaN = not known or not on sale) and returns the flat forecast made at the end of
each period, (series, periods): column t uses y up to and including t and nothing later. NaN until the first value.

Sources: Croston (1972); Syntetos and Boylan (2005) for SBA; Teunter, Syntetos and Babai (2011) for TSB; Nikolopoulos et al.
(2011) for ADIDA; Petropoulos and Kourentzes (2015) for IMAPA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ml.windows import WindowSums

F64 = npt.NDArray[np.float64]
ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.5)


def window_average(y: F64, window: int) -> F64:
    """Mean of the known values of the last `window` periods."""
    known = ~np.isnan(y)
    n = WindowSums(known.astype(np.float64)).over(window)
    total = WindowSums(np.where(known, y, 0.0)).over(window)
    with np.errstate(invalid="ignore", divide="ignore"):
        out: F64 = np.where(n > 0, total / n, np.nan)
    return out


def ses(y: F64, alpha: float) -> F64:
    """Simple exponential smoothing with one fixed weight; missing periods leave the level as it is."""
    out = np.empty_like(y)
    level = np.full(y.shape[0], np.nan)
    for t in range(y.shape[1]):
        now = y[:, t]
        fresh = np.isnan(level)
        moved = np.where(fresh, now, level + alpha * (now - level))
        level = np.where(np.isnan(now), level, moved)
        out[:, t] = level
    return out


def ses_chosen(y: F64, alphas: Sequence[float] = ALPHAS) -> F64:
    """SES whose weight is, at each origin and per series, the one with the least squared one-step error so far."""
    best_error: F64 | None = None
    best: F64 | None = None
    for alpha in alphas:
        level = ses(y, alpha)
        step = np.zeros_like(y)
        step[:, 1:] = np.nan_to_num((y[:, 1:] - level[:, :-1]) ** 2)
        error = np.cumsum(step, axis=1)
        if best is None or best_error is None:
            best, best_error = level, error
        else:
            better = error < best_error
            best, best_error = np.where(better, level, best), np.where(better, error, best_error)
    assert best is not None
    return best


def croston_sba(y: F64, alpha: float = 0.1) -> F64:
    """Croston's size over interval with the Syntetos-Boylan correction (1 − alpha / 2)."""
    n = y.shape[0]
    size, interval = np.full(n, np.nan), np.full(n, np.nan)
    gap = np.ones(n)
    out = np.zeros_like(y)
    for t in range(y.shape[1]):
        now = y[:, t]
        sold = now > 0
        fresh = np.isnan(size)
        size = np.where(sold, np.where(fresh, now, size + alpha * (now - size)), size)
        interval = np.where(sold, np.where(fresh, gap, interval + alpha * (gap - interval)), interval)
        gap = np.where(sold, 1.0, np.where(np.isnan(now), gap, gap + 1.0))
        out[:, t] = np.where(np.isnan(size), 0.0, (1 - alpha / 2) * size / np.maximum(interval, 1.0))
    return np.where(np.logical_or.accumulate(~np.isnan(y), axis=1), out, np.nan)


def tsb(y: F64, alpha: float = 0.2, beta: float = 0.05) -> F64:
    """Teunter-Syntetos-Babai: probability of a sale times its size; the probability decays while nothing sells."""
    n = y.shape[0]
    size, probability = np.full(n, np.nan), np.full(n, np.nan)
    out = np.full_like(y, np.nan)
    for t in range(y.shape[1]):
        now = y[:, t]
        known, sold = ~np.isnan(now), now > 0
        hit = sold.astype(np.float64)
        moved = np.where(np.isnan(probability), hit, probability + beta * (hit - probability))
        probability = np.where(known, moved, probability)
        size = np.where(sold, np.where(np.isnan(size), now, size + alpha * (now - size)), size)
        out[:, t] = np.where(np.isnan(size), np.where(np.isnan(probability), np.nan, 0.0), probability * size)
    return out


def aggregated_ses(y: F64, bucket: int, alpha: float = 0.1) -> F64:
    """SES on means of `bucket` consecutive periods counted back from each origin (one level of ADIDA).

    The origins' own phase is kept: at period t the buckets end at t, so no bucket is ever half full.
    """
    known = ~np.isnan(y)
    n = WindowSums(known.astype(np.float64)).over(bucket)
    total = WindowSums(np.where(known, y, 0.0)).over(bucket)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, total / n, np.nan)
    out = np.empty_like(y)
    level = np.full((y.shape[0], bucket), np.nan)
    for t in range(y.shape[1]):
        phase = t % bucket
        now, old = mean[:, t], level[:, phase]
        moved = np.where(np.isnan(old), now, old + alpha * (now - old))
        level[:, phase] = np.where(np.isnan(now), old, moved)
        out[:, t] = level[:, phase]
    return out


def adida(y: F64, alpha: float = 0.1, most: int = 26) -> F64:
    """ADIDA: SES at the aggregation level of the series' mean interval between sales, spread back evenly."""
    buckets = np.clip(np.round(mean_interval(y)), 1, most).astype(np.int64)
    out = np.empty_like(y)
    for bucket in np.unique(buckets):
        pick = buckets == bucket
        out[pick] = aggregated_ses(y[pick], int(bucket), alpha)
    return out


def imapa(y: F64, alpha: float = 0.1, levels: Sequence[int] = (1, 2, 4, 8)) -> F64:
    """IMAPA: the mean of SES forecasts at several aggregation levels (here a fixed short ladder)."""
    out: F64 = np.mean([aggregated_ses(y, k, alpha) for k in levels if k <= y.shape[1]], axis=0)
    return out


def mean_interval(y: F64) -> F64:
    """Average inter-demand interval (ADI) of each series over all its known periods; number of periods if none sold."""
    known = (~np.isnan(y)).sum(axis=1)
    sold = (np.nan_to_num(y) > 0).sum(axis=1)
    out: F64 = np.where(sold > 0, known / np.maximum(sold, 1), np.maximum(known, 1)).astype(np.float64)
    return out


def size_variation(y: F64) -> F64:
    """Squared coefficient of variation (CV²) of the sizes of sales; 0 with fewer than two sales."""
    sold = np.where(np.nan_to_num(y) > 0, y, np.nan)
    n = (~np.isnan(sold)).sum(axis=1)
    total = np.nansum(sold, axis=1)
    mean = total / np.maximum(n, 1)
    variance = np.nansum((sold - mean[:, None]) ** 2, axis=1) / np.maximum(n, 1)
    out: F64 = np.where(n > 1, variance / np.maximum(mean, 1e-12) ** 2, 0.0)
    return out


def demand_class(adi: F64, cv2: F64, is_new: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
    """Class by Syntetos, Boylan and Croston (2005): cut-offs ADI 1.32 and CV² 0.49.

    >>> demand_class(np.array([1.0, 2.0]), np.array([0.1, 0.9]), np.array([False, False])).tolist()
    ['smooth', 'lumpy']
    """
    rare, varied = adi >= 1.32, cv2 >= 0.49
    out = np.where(rare, np.where(varied, "lumpy", "intermittent"), np.where(varied, "erratic", "smooth"))
    return np.where(is_new, "new", out).astype(np.str_)


def seasonal_naive(y: F64, origins: npt.NDArray[np.int64], horizon: int, season: int) -> F64:
    """Last known value of the same phase of the season, (series, origins, horizon); the last value where there is none.

    Args:
        y: panel.
        origins: column indices of the origins.
        horizon: periods ahead.
        season: periods of a season.
    """
    out = np.full((y.shape[0], origins.size, horizon), np.nan)
    for h in range(1, horizon + 1):
        for back in range(-(-h // season), -(-h // season) + 4):
            column = origins + h - back * season
            ok = column >= 0
            value = np.where(ok[None, :], y[:, np.maximum(column, 0)], np.nan)
            out[:, :, h - 1] = np.where(np.isnan(out[:, :, h - 1]), value, out[:, :, h - 1])
    flat = window_average(y, season)[:, origins]
    return np.where(np.isnan(out), flat[:, :, None], out)


FLAT: dict[str, Callable[[F64], F64]] = {
    "ses": ses_chosen,
    "croston_sba": croston_sba,
    "tsb": tsb,
    "adida": adida,
    "imapa": imapa,
}
