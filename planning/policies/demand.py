"""Demand of one period as a distribution: by name and parameters, as problems in the literature state it.

A distribution is a mapping with `kind` and its parameters, or a text such as `Poisson(5)` or `Normal(50, 8)`, whose numbers
stand in the order of `PARAMETERS`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aios_assets.contracts.errors import BadInputError
from planning.policies.eoq import positive

F64 = NDArray[np.float64]
Demand = Mapping[str, Any] | str
TAIL = 1e-13
TEXT = re.compile(r"\s*([A-Za-z -]+?)\s*\(([^()]*)\)\s*")


def distribution(demand: Demand) -> Any:
    """A frozen scipy distribution.

    Args:
        demand: `{"kind": "gamma", "mean": 5, "sd": 2}` or `"Gamma(5, 2)"`. Geometric demand starts at 0; discrete demand has
            whole, non-negative values.

    Raises:
        BadInputError: unknown kind, parameters missing, unknown or impossible.
    """
    given = _read(demand) if isinstance(demand, str) else dict(demand)
    kind = str(given.pop("kind", "")).strip().lower().replace(" ", "-").replace("_", "-")
    if kind not in PARAMETERS:
        raise BadInputError(
            f"there is no distribution '{kind}'", where="demand", todo=f"use one of {', '.join(PARAMETERS)}"
        )
    if set(given) != set(PARAMETERS[kind]):
        raise BadInputError(
            f"a {kind} demand has {', '.join(PARAMETERS[kind])}, not {', '.join(given) or 'nothing'}", where="demand"
        )
    return MADE[kind](**given)


def _read(text: str) -> dict[str, Any]:
    found = TEXT.fullmatch(text)
    name = "" if found is None else found[1].strip().lower().replace(" ", "-")
    try:
        numbers = [] if found is None else [float(v) for v in found[2].split(",")]
    except ValueError:
        numbers = []
    if not numbers or len(numbers) != len(PARAMETERS.get(name, ())):
        raise BadInputError(
            f"'{text}' is not a distribution",
            where="demand",
            todo='write Poisson(5), or {"kind": "poisson", "mean": 5}',
        )
    return {"kind": name, **dict(zip(PARAMETERS[name], numbers, strict=True))}


def _normal(mean: float, sd: float) -> Any:
    from scipy.stats import norm

    positive(sd=sd)
    return norm(mean, sd)


def _uniform(low: float, high: float) -> Any:
    from scipy.stats import uniform

    positive(width=high - low)
    return uniform(low, high - low)


def _exponential(mean: float) -> Any:
    from scipy.stats import expon

    positive(mean=mean)
    return expon(scale=mean)


def _gamma(mean: float, sd: float) -> Any:
    from scipy.stats import gamma

    positive(mean=mean, sd=sd)
    return gamma((mean / sd) ** 2, scale=sd * sd / mean)


def _lognormal(mean: float, sd: float) -> Any:
    from scipy.stats import lognorm

    positive(mean=mean, sd=sd)
    spread = math.sqrt(math.log1p((sd / mean) ** 2))
    return lognorm(spread, scale=mean / math.sqrt(1 + (sd / mean) ** 2))


def _poisson(mean: float) -> Any:
    from scipy.stats import poisson

    positive(mean=mean)
    return poisson(mean)


def _geometric(mean: float) -> Any:
    from scipy.stats import geom

    positive(mean=mean)
    return geom(1 / (1 + mean), loc=-1)


def _negative_binomial(mean: float, sd: float) -> Any:
    from scipy.stats import nbinom

    positive(mean=mean)
    if sd * sd <= mean:
        raise BadInputError(f"variance {sd * sd:g} does not exceed the mean {mean:g}", where="negative binomial")
    return nbinom(mean**2 / (sd * sd - mean), mean / (sd * sd))


def _binomial(n: float, probability: float) -> Any:
    from scipy.stats import binom

    if n < 1 or n != int(n) or not 0 < probability < 1:
        raise BadInputError(
            f"n {n:g} is a whole number and probability {probability:g} lies between 0 and 1", where="binomial"
        )
    return binom(int(n), probability)


def _discrete(values: ArrayLike, probabilities: ArrayLike) -> Any:
    from scipy.stats import rv_discrete

    whole, weight = np.asarray(values, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if whole.shape != weight.shape or not whole.size or (whole < 0).any() or (whole != np.round(whole)).any():
        raise BadInputError("values are whole and not negative, each with its probability", where="discrete demand")
    if (weight < 0).any() or abs(weight.sum() - 1) > 1e-9:
        raise BadInputError(f"probabilities sum to {weight.sum():g}, not to 1", where="discrete demand")
    return rv_discrete(values=(whole.astype(np.int64), weight / weight.sum()))


MADE: dict[str, Callable[..., Any]] = {
    "normal": _normal, "uniform": _uniform, "exponential": _exponential, "gamma": _gamma, "lognormal": _lognormal,
    "poisson": _poisson, "geometric": _geometric, "negative-binomial": _negative_binomial, "binomial": _binomial,
    "discrete": _discrete,
}  # fmt: skip


PARAMETERS = {kind: tuple(inspect.signature(make).parameters) for kind, make in MADE.items()}


def is_discrete(frozen: Any) -> bool:
    """Whether a frozen distribution lives on whole numbers."""
    return hasattr(frozen, "pmf")


def probabilities(frozen: Any, periods: int = 1) -> F64:
    """P(demand of some independent periods = 0, 1, …), up to where almost nothing is left.

    Raises:
        BadInputError: the demand is not discrete.
    """
    if not is_discrete(frozen):
        raise BadInputError("the demand is continuous", where="demand", todo="use a demand in whole units")
    one = np.asarray(frozen.pmf(np.arange(int(frozen.ppf(1 - TAIL)) + 2)), dtype=np.float64)
    out = np.ones(1)
    for _ in range(periods):
        out = np.convolve(out, one)
    return out


def over_periods(frozen: Any, periods: int) -> Any:
    """The demand of some independent periods together, in whole units.

    Raises:
        BadInputError: the demand is not discrete.
    """
    weight = probabilities(frozen, periods)
    return _discrete(np.arange(weight.size), weight)


def loss(x: float, frozen: Any) -> tuple[float, float]:
    """E[(D − x)⁺] and E[(x − D)⁺] of a demand that is not negative, or normal."""
    mean = float(frozen.mean())
    if is_discrete(frozen):
        if x < 0:
            return mean - x, 0.0
        whole = np.arange(0, math.floor(x) + 1)
        over = float(((x - whole) * frozen.pmf(whole)).sum())
        return over + mean - x, over
    from scipy.integrate import quad

    centre = float(frozen.ppf(0.5))
    if x >= centre:
        under = float(quad(frozen.sf, x, np.inf, epsabs=1e-13, epsrel=1e-12, limit=200)[0])
        return under, under + x - mean
    over = float(
        quad(
            frozen.cdf,
            max(float(frozen.support()[0]), x - 60 * float(frozen.std())),
            x,
            epsabs=1e-13,
            epsrel=1e-12,
            limit=200,
        )[0]
    )
    return over + mean - x, over
