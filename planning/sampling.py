"""Sample paths from quantiles: the one interface between forecasts and decisions, shaped (series, scenario, period).

A forecast row states quantiles at 0.05 … 0.95 and a mean. Between the quantiles we interpolate linearly; above 0.95 an
exponential tail takes the mean that is left, so that the paths keep the stated mean exactly in expectation. The uniforms
depend only on seed and site (demand) or lane (lead time): one series alone is sampled as it is among a thousand.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aios_assets.contracts.decision_tables import QUANTILES

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
LEVELS: tuple[float, ...] = (0.0, *QUANTILES)
TAIL_LOG_CAP = math.log(0.05 / 1e-4)


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends only on the seed and the names, never on batch mates."""
    digest = hashlib.sha256("|".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def normal_cdf(z: F64) -> F64:
    """Standard normal distribution function, elementwise."""
    from scipy.special import ndtr

    return np.asarray(ndtr(z), dtype=np.float64)


def stratified_normals(rng: np.random.Generator, scenarios: int) -> F64:
    """One standard normal per scenario, one in each of `scenarios` equal strata, in random order."""
    from scipy.special import ndtri

    return np.asarray(ndtri((rng.permutation(scenarios) + rng.random(scenarios)) / scenarios), dtype=np.float64)


def site_uniforms(seed: int, site_id: str, scenarios: int, periods: int, day_rho: float, site_rho: float) -> F64:
    """Uniforms (scenario, period) of one site from a Gaussian copula with a shared market and a shared path factor.

    Args:
        day_rho: correlation that all days of one path share (error of level).
        site_rho: correlation that all sites share on one day (weather, campaigns).
    """
    market = stream(seed, "market").standard_normal((periods, scenarios)).T
    rng = stream(seed, "site", site_id)
    level = stratified_normals(rng, scenarios)[:, None]
    own = rng.standard_normal((periods, scenarios)).T
    z = math.sqrt(day_rho) * level + math.sqrt(site_rho) * market + math.sqrt(1 - day_rho - site_rho) * own
    return np.clip(normal_cdf(z), 1e-9, 1 - 1e-9)


def basis(u: F64) -> F32:
    """Weights that turn knot values into samples: shape (*u.shape, knots + 1); the last is the exponential tail.

    The tail grows as ln(0.05 / (1 − u)) above 0.95 and stops at the 99.99 % point.
    """
    levels = np.asarray(LEVELS)
    k = np.clip(np.searchsorted(levels, u, side="right") - 1, 0, len(levels) - 1)
    inside = k < len(levels) - 1
    upper = np.where(inside, k + 1, k)
    width = np.where(inside, levels[upper] - levels[k], 1.0)
    w = np.where(inside, (u - levels[k]) / width, 0.0)
    out = np.zeros((*u.shape, len(levels) + 1), dtype=np.float32)
    np.put_along_axis(out, k[..., None], (1 - w)[..., None].astype(np.float32), axis=-1)
    taken = np.take_along_axis(out, upper[..., None], axis=-1)
    np.put_along_axis(
        out, upper[..., None], np.where(inside[..., None], w[..., None], taken).astype(np.float32), axis=-1
    )
    out[..., -1] = np.where(inside, 0.0, np.minimum(np.log(0.05 / (1 - u)), TAIL_LOG_CAP))
    return out


def knots(quantiles: F64, mean: F64) -> F32:
    """Knot values and tail scale (…, 9) of a non-negative variable with the given quantiles (…, 7) and mean (…).

    Where the mean is below what the quantiles imply, all knots are scaled down to it; where above, the tail takes the rest.
    """
    q = np.maximum.accumulate(np.maximum(quantiles, 0.0), axis=-1)
    q0 = np.maximum(2 * q[..., 0] - q[..., 1], 0.0)
    values = np.concatenate([q0[..., None], q], axis=-1)
    levels = np.asarray(LEVELS)
    body = ((values[..., 1:] + values[..., :-1]) / 2 * np.diff(levels)).sum(axis=-1)
    least = body + 0.05 * values[..., -1]
    tail = np.maximum(mean - least, 0.0) / 0.05
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where((mean < least) & (least > 0), mean / least, 1.0)
    return np.concatenate([values * scale[..., None], tail[..., None]], axis=-1).astype(np.float32)


def demand_paths(knot: F32, weights: F32, rounding: F32 | None) -> F32:
    """Paths (series, scenario, period) from knots (series, period, 9) and weights (scenario, period, 9).

    Args:
        rounding: uniforms (scenario, period) for stochastic rounding to whole eaches that keeps the mean; None keeps fractions.
    """
    n, periods, _ = knot.shape
    out = np.empty((n, weights.shape[0], periods), dtype=np.float32)
    for t in range(periods):
        out[:, :, t] = knot[:, t, :] @ weights[:, t, :].T
    if rounding is not None:
        np.floor(out + rounding[None], out=out)
    return out


def lead_time_scenarios(
    seed: int, lane: str, quantiles: Sequence[float], scenarios: int, longest: int
) -> NDArray[np.int64]:
    """Whole days of lead time, one per scenario, from its seven quantiles; at most `longest`."""
    q = np.maximum.accumulate(np.asarray(quantiles, dtype=np.float64))
    u = normal_cdf(stratified_normals(stream(seed, "lane", lane), scenarios))
    tail = max(q[-1] - q[-2], 0.0) / math.log(2)
    values = np.concatenate([[max(2 * q[0] - q[1], 0.0)], q, [tail]]).astype(np.float32)
    days = basis(u) @ values
    return np.asarray(np.clip(np.rint(days), 0, longest), dtype=np.int64)


def arrival_uniforms(seed: int, lane: str, scenarios: int) -> F64:
    """The lane's uniforms again: an open order is late in the scenarios in which a new order of its lane is."""
    return normal_cdf(stratified_normals(stream(seed, "lane", lane), scenarios))


def remaining_days(p50: F64, p90: F64, u: F64) -> F64:
    """Days to go (lines, scenario) from their median and 90 % point: linear below 0.9, exponential above.

    Shape: p50, p90 (lines,), u (lines, scenario).
    """
    p50, p90 = p50[:, None], np.maximum(p90, p50)[:, None]
    low = p50 * u / 0.5
    middle = p50 + (p90 - p50) * (u - 0.5) / 0.4
    high = p90 + (p90 - p50) / math.log(5) * np.log(0.1 / np.maximum(1 - u, 1e-4))
    return np.where(u < 0.5, low, np.where(u < 0.9, middle, high))
