"""Sample paths of demand from quantile forecasts, with dependence over time; planning reads them as plain arrays.

Each period's distribution is the given quantiles: linear between levels, down to zero below the lowest, an exponential tail
above the highest that continues the last two levels. Periods are tied by a Gaussian copula: one shared level per path (a
series that sells more than forecast goes on doing so) and a first-order memory on top. A series' paths depend on the seed
and its own key only, not on which other series are asked for, so scenarios are common random numbers across policies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError

F64 = npt.NDArray[np.float64]
SHARED = 0.15
MEMORY = 0.2


def sample_paths(
    quantiles: F64, levels: Sequence[float], n: int, seed: int, *, keys: Sequence[str] | None = None, shared: float = SHARED,
    memory: float = MEMORY, whole: bool = True,
) -> F64:  # fmt: skip
    """Paths of every series.

    Args:
        quantiles: (series, periods, levels), not crossing, not negative.
        levels: ascending levels inside (0, 1).
        n: number of scenarios.
        seed: seed.
        keys: text per series that names its random numbers; by default its position.
        shared: correlation between any two periods of a path, at or above 0.
        memory: additional first-order correlation, at or above 0; `shared + memory` below 1.
        whole: round to whole units.

    Returns:
        (series, scenarios, periods), units of the target.

    Raises:
        BadInputError: quantiles that cross, are negative or not finite.
    """
    from scipy.special import ndtr

    series, periods, count = quantiles.shape
    if (
        count != len(levels)
        or (np.diff(quantiles, axis=2) < -1e-9).any()
        or not np.isfinite(quantiles).all()
        or (quantiles < 0).any()
    ):
        raise BadInputError("quantiles must ascend, be finite and not negative", where="sample paths")
    if shared < 0 or memory < 0 or shared + memory >= 1:
        raise BadInputError("correlations must not be negative and lie below 1 together", where="sample paths")
    names = [str(i) for i in range(series)] if keys is None else list(keys)
    out = np.empty((series, n, periods))
    for s, name in enumerate(names):
        word = hashlib.sha256(f"{seed}|{name}".encode()).digest()
        rng = np.random.Generator(np.random.Philox(key=int.from_bytes(word[:16], "little")))
        z = _normals(rng, n, periods, shared, memory)
        out[s] = quantile_function(quantiles[s], levels, ndtr(z))
    return np.round(out) if whole else out


def _normals(rng: np.random.Generator, n: int, periods: int, shared: float, memory: float) -> F64:
    """Standard normals (scenarios, periods): shared level plus a first-order autoregression plus its innovations."""
    level = rng.standard_normal((n, 1))
    noise = rng.standard_normal((n, periods))
    phi = memory / (1.0 - shared)
    own = np.empty_like(noise)
    own[:, 0] = noise[:, 0]
    for t in range(1, periods):
        own[:, t] = phi * own[:, t - 1] + np.sqrt(1.0 - phi * phi) * noise[:, t]
    out: F64 = np.sqrt(shared) * level + np.sqrt(1.0 - shared) * own
    return out


def quantile_function(quantiles: F64, levels: Sequence[float], u: F64) -> F64:
    """Values at probabilities `u` (scenarios, periods) of distributions given by quantiles (periods, levels)."""
    q = np.asarray(levels)
    out = np.empty_like(u)
    for t in range(u.shape[1]):
        points = np.concatenate([[0.0], quantiles[t]])
        value = np.interp(u[:, t], np.concatenate([[0.0], q]), points)
        above = u[:, t] > q[-1]
        if above.any() and q.size > 1:
            rate = (quantiles[t, -1] - quantiles[t, -2]) / np.log((1 - q[-2]) / (1 - q[-1]))
            value[above] = quantiles[t, -1] + rate * np.log((1 - q[-1]) / np.maximum(1 - u[above, t], 1e-12))
        out[:, t] = value
    return out


def paths_of_frame(
    frame: pl.DataFrame, keys: Sequence[str], time: str, n: int, seed: int, prefix: str = "q"
) -> tuple[pl.DataFrame, F64]:
    """Paths from a long frame of `aios forecast` (columns `q0.05` …): series index and (series, scenarios, periods).

    Raises:
        BadInputError: series of different lengths, or no quantile columns.
    """
    columns = sorted(
        (c for c in frame.columns if c.startswith(prefix) and c[len(prefix) :].replace(".", "").isdigit()),
        key=lambda c: float(c[len(prefix) :]),
    )
    if not columns:
        raise BadInputError(
            "there are no quantile columns", where="forecast frame", todo=f"name them {prefix}0.05, {prefix}0.5 …"
        )
    rows = frame.sort(*keys, time)
    index = rows.select(keys).unique(maintain_order=True)
    if rows.height % max(index.height, 1) or rows.group_by(keys).len()["len"].n_unique() > 1:
        raise BadInputError("series have different numbers of periods", where="forecast frame", count=index.height)
    wide = rows.select(columns).to_numpy().reshape(index.height, -1, len(columns))
    names = ["|".join(map(str, row)) for row in index.rows()]
    return index, sample_paths(
        np.ascontiguousarray(wide), [float(c[len(prefix) :]) for c in columns], n, seed, keys=names
    )
