"""Weighted Kaplan-Meier curves on a grid of days, many groups at once, with a parent curve as prior.

Source: Kaplan & Meier (1958); the prior is the beta-Stacy process (Walker & Muliere 1997), whose posterior mean is the
Kaplan-Meier estimate after adding `strength` pseudo-orders that follow the parent curve.

Days are whole: an order of age a that is open at the close of a day has lasted longer than a days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Curves:
    """Survival curves of G groups.

    Attributes:
        survival: shape (G, H + 1); column t is P(T > t days), not increasing.
        tail_hazard: shape (G,); chance of arriving on any one day after the grid ends, above zero.
    """

    survival: Floats
    tail_hazard: Floats

    def take(self, index: Ints) -> Curves:
        """The curves of these groups, in this order."""
        return Curves(self.survival[index], self.tail_hazard[index])

    @property
    def horizon(self) -> int:
        """Last day of the grid."""
        return int(self.survival.shape[1]) - 1


def survival_curves(
    groups: Ints,
    days: Ints,
    received: npt.NDArray[np.bool_],
    weights: Floats,
    *,
    count: int,
    parent: Curves | None,
    strength: float,
    horizon: int,
) -> Curves:
    """Kaplan-Meier with right-censored rows, shrunk towards the parent curves.

    Args:
        groups: group number of each row, 0 … count − 1.
        days: lead time of received rows, age of open ones; whole days from 0.
        received: true when it arrived, false when it is open (censored).
        weights: weight of each row, above zero.
        count: number of groups.
        parent: one curve per group to shrink to; None for no prior.
        strength: pseudo-orders that follow the parent curve.
        horizon: last day of the grid; no row may lie beyond it.

    Returns:
        Curves of all groups; without a parent a group needs at least one received row.
    """
    shape = (count, horizon + 1)
    flat = groups * (horizon + 1) + days
    arrived = np.asarray(
        np.bincount(flat[received], weights=weights[received], minlength=count * (horizon + 1)).reshape(shape),
        dtype=np.float64,
    )
    left = np.bincount(flat, weights=weights, minlength=count * (horizon + 1)).reshape(shape)
    at_risk = np.asarray(np.cumsum(left[:, ::-1], axis=1)[:, ::-1], dtype=np.float64)
    tail_d, tail_n = _late_half(arrived, at_risk)
    if parent is not None:
        before = np.concatenate([np.ones((count, 1)), parent.survival[:, :-1]], axis=1)
        arrived = arrived + strength * (before - parent.survival)
        at_risk = at_risk + strength * before
        tail_d, tail_n = tail_d + strength * parent.tail_hazard, tail_n + strength
    hazard = np.divide(arrived, at_risk, out=np.zeros(shape), where=at_risk > 1e-12)
    survival = np.asarray(np.cumprod(1.0 - np.clip(hazard, 0.0, 1.0), axis=1), dtype=np.float64)
    tail = np.divide(tail_d, tail_n, out=np.full(count, 1.0 / 30.0), where=tail_n > 1e-12)
    return Curves(survival, np.clip(np.asarray(tail, dtype=np.float64), 1e-3, 1.0))


def _late_half(arrived: Floats, at_risk: Floats) -> tuple[Floats, Floats]:
    """Arrivals and order-days at risk in the later half of each group's arrivals: its hazard in the tail."""
    done = np.cumsum(arrived, axis=1)
    late = done > 0.5 * done[:, -1:]
    return (arrived * late).sum(axis=1), (at_risk * late).sum(axis=1)


def survive(curves: Curves, groups: Ints, days: Ints) -> Floats:
    """P(T > days) per row; days below 0 give 1, days beyond the grid follow the tail hazard."""
    inside = np.clip(days, 0, curves.horizon)
    base = curves.survival[groups, inside]
    beyond = np.maximum(days - curves.horizon, 0)
    value = base * (1.0 - curves.tail_hazard[groups]) ** beyond
    return np.where(days < 0, 1.0, value)


def remaining_quantile(curves: Curves, groups: Ints, ages: Ints, q: float) -> Floats:
    """Smallest whole r ≥ 0 with P(T ≤ age + r | T > age) ≥ q; age −1 gives the plain quantile plus one.

    Args:
        curves: survival curves.
        groups: curve of each row.
        ages: days already waited.
        q: probability, between 0 and 1.
    """
    target = survive(curves, groups, ages) * (1.0 - q)
    out = np.empty(len(groups), dtype=np.float64)
    for i, (g, age, limit) in enumerate(zip(groups, ages, target, strict=True)):
        row = curves.survival[g]
        # survival never rises, so the first day at or below the limit is found by bisection on its mirror image
        day = int(np.searchsorted(-row, -(limit + 1e-12), side="left"))
        if day > curves.horizon or limit <= 1e-300:
            day = _tail_day(float(row[-1]), float(curves.tail_hazard[g]), curves.horizon, int(age), q, float(limit))
        out[i] = max(day - int(age), 0)
    return out


def _tail_day(last: float, hazard: float, horizon: int, age: int, q: float, limit: float) -> int:
    """Day on which survival falls to the limit when that lies beyond the grid."""
    if hazard >= 1.0:
        return max(age, horizon) + 1
    if age >= horizon or last <= 1e-300 or limit <= 1e-300:
        return max(age, horizon) + int(np.ceil(np.log(1.0 - q) / np.log1p(-hazard) - 1e-9))
    return horizon + int(np.ceil(np.log(limit / last) / np.log1p(-hazard) - 1e-9))


def mean_days(curves: Curves) -> Floats:
    """Expected days: the sum of P(T > t), with the tail summed in closed form."""
    rest = curves.survival[:, -1] * (1.0 - curves.tail_hazard) / curves.tail_hazard
    return np.asarray(curves.survival.sum(axis=1) + rest)
