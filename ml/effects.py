"""Additive effects of groups on a value, shrunken towards none: what a level is worth beyond what the others explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Effects:
    """Fitted effects: the base and one array of level effects per coded column, in the unit of the value."""

    base: float
    effects: tuple[Floats, ...]

    def predict(self, codes: Sequence[Ints]) -> Floats:
        """Sum of base and effects per row."""
        out = np.full(len(codes[0]) if codes else 0, self.base)
        for code, effect in zip(codes, self.effects, strict=True):
            if effect.size:
                out += np.where(code >= 0, effect[np.maximum(code, 0)], 0.0)
        return out

    def moved(self, at: int, by: Floats) -> Effects:
        """The same effects, those of one column moved level by level."""
        moved = (e + by if j == at else e for j, e in enumerate(self.effects))
        return replace(self, effects=tuple(moved))


def shrunken_means(place: Ints, size: int, y: Floats, weights: Floats, strength: float) -> Floats:
    """Weighted mean of each level, pulled towards zero by so many rows of weight one; every row has a level."""
    out: Floats = np.bincount(place, weights * y, size) / (np.bincount(place, weights, size) + strength)
    return out


def fit_effects(codes: Sequence[Ints], sizes: Sequence[int], y: Floats, weights: Floats, *, strength: float) -> Effects:
    """Backfit the effects.

    Args:
        codes: level numbers per effect.
        sizes: number of levels per effect.
        y: value of each row.
        weights: weight of each row.
        strength: weight of the pull towards zero, in rows of weight one.
    """
    base = float(np.average(y, weights=weights))
    effects = [np.zeros(n) for n in sizes]
    fitted = np.full(len(y), base)
    for _ in range(SWEEPS):
        shift = float(np.average(y - fitted, weights=weights))
        base, fitted = base + shift, fitted + shift
        for j, (code, n) in enumerate(zip(codes, sizes, strict=True)):
            if n == 0:
                continue
            inside = code >= 0
            place = code[inside]
            own = effects[j][place]
            new = shrunken_means(place, n, (y - fitted)[inside] + own, weights[inside], strength)
            fitted[inside] += new[place] - own
            effects[j] = new
    return Effects(base, tuple(effects))
