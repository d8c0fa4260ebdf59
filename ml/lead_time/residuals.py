"""What the effects leave of a lead time: one Kaplan-Meier curve of residuals, or one per level of the column whose shapes differ.

Effects move a distribution, they do not change its shape: parcels of "same day" and of "standard" differ in more than their
middle. Where a column's levels have shapes of their own, each level gets its own curve, leaning on the common one. Which column,
if any, is tried on orders that the curves have not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aios_assets.contracts.decision_tables import QUANTILES
from ml.effects import Floats, Ints
from ml.metrics import pinball_matrix

Bools = npt.NDArray[np.bool_]
LEANS = 20.0  # orders of weight one that the common curve counts for in a level's own
MOST_LEVELS = 60
LEAST_ORDERS = 30
LEAST_GAIN = 0.05  # share of the loss by which a column has to do better than one curve


@dataclass(frozen=True, slots=True)
class Residuals:
    """Residuals of orders under models that had not seen them; one row is an order line.

    Attributes:
        values: log(days + c) less the location.
        arrived: false while open.
        weights: weight of each.
        location: what the effects said, log(days + c).
        cluster: number of the order; lines of one order are never split.
        codes: (rows, columns) level of each column of the effects, −1 where unknown.
    """

    values: Floats
    arrived: Bools
    weights: Floats
    location: Floats
    cluster: Ints
    codes: Ints

    def take(self, pick: Bools) -> Residuals:
        """Some rows."""
        return Residuals(
            self.values[pick], self.arrived[pick], self.weights[pick], self.location[pick], self.cluster[pick], self.codes[pick]
        )  # fmt: skip

    @staticmethod
    def joined(parts: Sequence[Residuals], shares: Sequence[float] | None = None) -> Residuals:
        """All rows of some parts; with shares each part's weights add up to its share of the number of rows."""
        rows = sum(p.values.size for p in parts)
        scaled = [p.weights for p in parts]
        if shares is not None:
            scaled = [p.weights * (share * rows / p.weights.sum()) for p, share in zip(parts, shares, strict=True)]
        return Residuals(
            np.concatenate([p.values for p in parts]), np.concatenate([p.arrived for p in parts]), np.concatenate(scaled),
            np.concatenate([p.location for p in parts]), np.concatenate([p.cluster for p in parts]),
            np.concatenate([p.codes for p in parts]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Curve:
    """Distribution of a residual.

    Attributes:
        support: values, rising.
        survival: P(residual > value) at each of them.
        tail: scale of the exponential tail beyond the support, in log days.
    """

    support: Floats
    survival: Floats
    tail: float

    @staticmethod
    def of(values: Floats, arrived: Bools, weights: Floats) -> Curve:
        """Kaplan-Meier with a tail as wide as the residuals' deviation."""
        support, survival = kaplan_meier(values, arrived, weights)
        survival = np.maximum(survival, 0.5 / len(values))
        middle = np.average(values, weights=weights)
        return Curve(support, survival, max(float(np.sqrt(np.average((values - middle) ** 2, weights=weights))), 0.05))

    def survive(self, value: Floats) -> Floats:
        """P(residual > value)."""
        place = np.searchsorted(self.support, value, side="right") - 1
        inside = np.where(place >= 0, self.survival[np.maximum(place, 0)], 1.0)
        beyond = self.survival[-1] * np.exp(-np.maximum(value - self.support[-1], 0.0) / self.tail)
        return np.where(value > self.support[-1], beyond, inside)

    def where(self, target: Floats) -> Floats:
        """Value beyond which a share `target` lies."""
        place = np.searchsorted(-self.survival, -target - 1e-12, side="left")
        inside = self.support[np.minimum(place, len(self.support) - 1)]
        beyond = self.support[-1] + self.tail * np.log(np.maximum(self.survival[-1], 1e-12) / target)
        return np.where(place >= len(self.support), beyond, inside)


@dataclass(frozen=True, slots=True)
class Shapes:
    """Curves of residuals.

    Attributes:
        common: curve of all orders.
        column: number of the column of effects whose levels have curves of their own; −1: none.
        own: level to its curve; every other level has the common one.
    """

    common: Curve
    column: int
    own: dict[int, Curve]

    def of(self, codes: Sequence[Ints], rows: int) -> Ints:
        """(rows,) which curve each row has: its level, or −1 for the common one."""
        if self.column < 0:
            return np.full(rows, -1, dtype=np.int64)
        level = codes[self.column]
        return np.where(np.isin(level, list(self.own)), level, -1)

    def survive(self, curve: Ints, value: Floats) -> Floats:
        """P(residual > value) per row."""
        return self._by_curve(curve, value, Curve.survive)

    def where(self, curve: Ints, target: Floats) -> Floats:
        """Value beyond which a share `target` lies, per row."""
        return self._by_curve(curve, target, Curve.where)

    def _by_curve(self, curve: Ints, given: Floats, answer: Callable[[Curve, Floats], Floats]) -> Floats:
        out = np.empty(given.size)
        for level in np.unique(curve):
            pick = curve == level
            out[pick] = answer(self.own.get(int(level), self.common), given[pick])
        return out


def fit_shapes(residuals: Residuals, column: int) -> Shapes:
    """Curves of all residuals and of each level of one column (−1: of none) that has enough orders."""
    common = Curve.of(residuals.values, residuals.arrived, residuals.weights)
    own = {}
    for level in _levels(residuals, column):
        mine = residuals.codes[:, column] == level
        rest = residuals.weights * (LEANS / residuals.weights.sum())
        weights = rest + np.where(mine, residuals.weights, 0.0)
        own[level] = Curve.of(residuals.values, residuals.arrived, weights)
    return Shapes(common, column, own)


def _levels(residuals: Residuals, column: int) -> list[int]:
    if column < 0:
        return []
    code = residuals.codes[:, column]
    count = np.bincount(code[(code >= 0) & residuals.arrived], minlength=1)
    return [int(level) for level in np.flatnonzero(count >= LEAST_ORDERS)]


def column_of_shapes(residuals: Residuals, shift: float) -> int:
    """Column whose levels' own curves err least on orders they have not seen; −1 where one curve does as well.

    Half of the orders give the curves, the other half judges them, and the other way round: pinball loss in days.
    """
    known = [j for j in range(residuals.codes.shape[1]) if 2 <= len(_levels(residuals, j)) <= MOST_LEVELS]
    if not known:
        return -1
    half = (residuals.cluster * 2654435761) % 2**32 % 2 == 0
    if not all(residuals.arrived[part].sum() >= LEAST_ORDERS for part in (half, ~half)):
        return -1
    loss = {j: _loss(residuals, half, j, shift) + _loss(residuals, ~half, j, shift) for j in (-1, *known)}
    best = min(loss, key=lambda j: loss[j])
    return best if loss[best] < (1 - LEAST_GAIN) * loss[-1] else -1


def _loss(residuals: Residuals, inside: Bools, column: int, shift: float) -> float:
    shapes, rest = fit_shapes(residuals.take(inside), column), residuals.take(~inside & residuals.arrived)
    curve = shapes.of([*rest.codes.T], rest.values.size)
    days = np.exp(rest.location + rest.values) - shift
    found = [np.exp(rest.location + shapes.where(curve, np.full(days.size, 1 - q))) - shift for q in QUANTILES]
    return float((rest.weights @ pinball_matrix(days, np.maximum(np.stack(found, axis=1), 0.0), QUANTILES)).sum())


def kaplan_meier(values: Floats, arrived: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted Kaplan-Meier of a continuous value: sorted values and P(value > v) at each."""
    order = np.lexsort((~arrived, values))
    v, e, w = values[order], arrived[order], weights[order]
    at_risk = np.cumsum(w[::-1])[::-1]
    return v, np.asarray(np.cumprod(1.0 - np.where(e, w / at_risk, 0.0)), dtype=np.float64)
