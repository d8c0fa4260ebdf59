"""From a mean and an expected spread to a calibrated distribution.

Two steps, both fitted on forecasts that were made before their actuals were known:

1. *Shape*: rows are grouped by the size of the mean and by mean over spread; in each cell the quantiles of actual ÷ mean
   are read off. Zero stays exactly zero, the shape of intermittent demand needs no parametric family.
2. *Conformal correction*, on later rows, per segment: the level asked for is moved until the share of actuals outside is
   the one promised.

Counts have ties. Where more than, say, 10 % of actuals are zero, the 10 % point is zero and the closed interval from it
covers too much. So, as in Stevens's randomised limits for discrete distributions (1950), the lower point of some rows is put
just above zero (`NUDGE`), for as many rows as make the interval cover what it promises; which rows, a hash of the row's own
values decides, so the answer is the same every time and for any batch. Rounding to whole units gives the plain quantile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
GRID: tuple[float, ...] = tuple(
    sorted(
        {0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998}
        | {round(0.05 + 0.0225 * k, 4) for k in range(41)}
    )
)
# So little that it costs nothing in any loss: a hundredth of a unit was a quarter of the pinball loss of parts that sell once in two years.
NUDGE = 1e-6
FEW_LABELS = 40
GOLDEN = 0.6180339887498949
ROWS_PER_CELL = 300
MAX_MEAN_CELLS = 8
MAX_SPREAD_KNOTS = 6
SHRINK_ROWS = 60.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Quantiles of actual ÷ mean per cell.

    Attributes:
        mean_edges: inner edges of the mean's cells.
        knots: per mean cell, ascending values of log(mean ÷ spread).
        ratios: per mean cell, (knots, levels of `GRID`).
    """

    mean_edges: F64
    knots: list[F64]
    ratios: list[F64]

    def to_json(self) -> dict[str, Any]:
        """Lists of numbers."""
        return {
            "mean_edges": self.mean_edges.tolist(),
            "knots": [k.tolist() for k in self.knots],
            "ratios": [r.tolist() for r in self.ratios],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Shape:
        """Inverse of `to_json`."""
        return cls(
            np.array(data["mean_edges"], dtype=np.float64),
            [np.array(k, dtype=np.float64) for k in data["knots"]],
            [
                np.array(r, dtype=np.float64).reshape(len(k), len(GRID))
                for k, r in zip(data["knots"], data["ratios"], strict=True)
            ],
        )


def fit_shape(mean: F64, spread: F64, actual: F64, weight: F64 | None = None) -> Shape:
    """Read the shape off forecasts and their actuals.

    Args:
        mean: positive mean forecasts.
        spread: positive expected absolute deviations.
        actual: actuals of the same rows.
        weight: optional weights of rows (recency).

    Raises:
        ValueError: no rows.
    """
    if actual.size == 0:
        raise ValueError("no rows to calibrate on")
    cells = int(np.clip(actual.size // (2 * ROWS_PER_CELL), 1, MAX_MEAN_CELLS))
    edges = np.unique(np.quantile(mean, np.linspace(0, 1, cells + 1)[1:-1])) if cells > 1 else np.array([])
    which = np.searchsorted(edges, mean, side="right")
    kappa = np.log(mean / spread)
    weights = np.ones_like(actual) if weight is None else weight
    knots, ratios = [], []
    for cell in range(edges.size + 1):
        pick = which == cell
        k, r = (
            _cell(kappa[pick], (actual / mean)[pick], weights[pick])
            if pick.any()
            else (np.zeros(1), np.ones((1, len(GRID))))
        )
        knots.append(k)
        ratios.append(r)
    return Shape(edges.astype(np.float64), knots, ratios)


def _cell(kappa: F64, ratio: F64, weight: F64) -> tuple[F64, F64]:
    """Knots and ratio quantiles of one mean cell; each knot reads a window of neighbours that overlaps the next one's."""
    knots = int(np.clip(kappa.size // ROWS_PER_CELL, 1, MAX_SPREAD_KNOTS))
    order = np.argsort(kappa, kind="stable")
    centres, rows = [], []
    size = kappa.size / knots
    for i in range(knots):
        low, high = int(max(0, (i - 0.25) * size)), int(min(kappa.size, (i + 1.25) * size))
        part = order[low:high]
        centres.append(float(np.mean(kappa[part])))
        rows.append(weighted_quantiles(ratio[part], weight[part], GRID))
    unique = [0] + [i for i in range(1, knots) if centres[i] > centres[i - 1]]
    return np.array(centres)[unique], np.array(rows)[unique]


def weighted_quantiles(values: F64, weight: F64, levels: Sequence[float]) -> F64:
    """Quantiles of a weighted sample, linear between the midpoints of steps (Hazen); ties keep their value."""
    order = np.argsort(values, kind="stable")
    v, w = values[order], weight[order]
    position = (np.cumsum(w) - 0.5 * w) / w.sum()
    out: F64 = np.interp(np.asarray(levels), position, v)
    return out


def shape_quantiles(shape: Shape, mean: F64, spread: F64) -> F64:
    """Quantiles at every level of `GRID`, (rows, levels), not negative and not crossing."""
    which = np.searchsorted(shape.mean_edges, mean, side="right")
    kappa = np.log(mean / spread)
    out = np.empty((mean.size, len(GRID)))
    for cell, (knots, ratios) in enumerate(zip(shape.knots, shape.ratios, strict=True)):
        pick = np.flatnonzero(which == cell)
        if pick.size == 0:
            continue
        place = np.interp(kappa[pick], knots, np.arange(knots.size, dtype=np.float64))
        low = np.minimum(place.astype(np.int64), max(knots.size - 2, 0))
        high = np.minimum(low + 1, knots.size - 1)
        part = (place - low)[:, None]
        out[pick] = (ratios[low] * (1 - part) + ratios[high] * part) * mean[pick, None]
    result: F64 = np.maximum.accumulate(np.maximum(out, 0.0), axis=1)
    return result


def quantiles_at(shape: Shape, mean: F64, spread: F64, group: npt.NDArray[np.int64], levels: F64) -> F64:
    """`at_levels` of `shape_quantiles` without the whole grid, for rows that share their levels by group.

    Args:
        shape: see `fit_shape`.
        mean: positive means.
        spread: positive expected deviations.
        group: row of `levels` that each row reads.
        levels: (groups, k).

    Returns:
        (rows, k), not negative.
    """
    cell = np.searchsorted(shape.mean_edges, mean, side="right")
    kappa = np.log(mean / spread)
    out = np.empty((mean.size, levels.shape[1]))
    combined = group * (shape.mean_edges.size + 1) + cell
    if combined.max(initial=0) < np.iinfo(np.int16).max:
        combined = combined.astype(np.int16)  # short integers are sorted in one sweep
    order = np.argsort(combined, kind="stable")
    starts = np.flatnonzero(np.diff(combined[order], prepend=-1))
    for part in np.split(order, starts[1:]):
        if part.size == 0:
            continue
        g, c = int(group[part[0]]), int(cell[part[0]])
        knots = shape.knots[c]
        table = at_levels(shape.ratios[c], np.broadcast_to(levels[g], (knots.size, levels.shape[1])))
        place = np.interp(kappa[part], knots, np.arange(knots.size, dtype=np.float64))
        low = np.minimum(place.astype(np.int64), max(knots.size - 2, 0))
        high = np.minimum(low + 1, knots.size - 1)
        share = (place - low)[:, None]
        out[part] = (table[low] * (1 - share) + table[high] * share) * mean[part, None]
    result: F64 = np.maximum(out, 0.0)
    return result


def at_levels(grid_quantiles: F64, levels: npt.NDArray[np.float64]) -> F64:
    """Read quantiles between the levels of `GRID`; `levels` is (rows, k), one set per row."""
    grid = np.asarray(GRID)
    place = np.clip(np.searchsorted(grid, levels, side="right") - 1, 0, grid.size - 2)
    part = np.clip((levels - grid[place]) / (grid[place + 1] - grid[place]), 0.0, 1.0)
    low = np.take_along_axis(grid_quantiles, place, axis=1)
    high = np.take_along_axis(grid_quantiles, place + 1, axis=1)
    out: F64 = low + (high - low) * part
    return out


def coded(labels: npt.NDArray[np.str_]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """`np.unique` with its inverse for long arrays of few labels: compared label by label instead of sorted.

    >>> coded(np.array(["b", "a", "b"]))[0]
    ['a', 'b']
    """
    met: dict[str, npt.NDArray[np.bool_]] = {}
    left = np.ones(labels.size, dtype=bool)
    while left.any():
        if len(met) == FEW_LABELS:
            found, place = np.unique(labels, return_inverse=True)
            return found.tolist(), place.astype(np.int64)
        name = str(labels[int(left.argmax())])
        met[name] = labels == name
        left &= ~met[name]
    inverse = np.zeros(labels.size, dtype=np.int64)
    names = sorted(met)
    for i, name in enumerate(names[1:], start=1):
        inverse[met[name]] = i
    return names, inverse


@dataclass(frozen=True, slots=True)
class Levels:
    """Corrections per segment; the last row of each array serves segments never seen.

    Attributes:
        segments: labels.
        asked: levels promised.
        moved: (segments + 1, levels) level to read instead of the one promised, where the quantile is above zero.
        nudge: (segments + 1, levels) share of the rows with a quantile of zero whose limit is put just above zero.
    """

    segments: tuple[str, ...]
    asked: tuple[float, ...]
    moved: F64
    nudge: F64

    def rows(self, segment: npt.NDArray[np.str_]) -> tuple[F64, F64]:
        """Corrected levels and nudged shares of each row."""
        index = self.groups(segment)
        return self.moved[index], self.nudge[index]

    def groups(self, segment: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
        """Row of `moved` and `nudge` that each row reads."""
        place = {name: i for i, name in enumerate(self.segments)}
        names, inverse = coded(segment)
        index = np.array([place.get(str(name), self.moved.shape[0] - 1) for name in names], dtype=np.int64)
        found: npt.NDArray[np.int64] = index[inverse]
        return found

    def to_json(self) -> dict[str, Any]:
        """Lists of numbers."""
        return {
            "segments": list(self.segments),
            "asked": list(self.asked),
            "moved": self.moved.tolist(),
            "nudge": self.nudge.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Levels:
        """Inverse of `to_json`."""
        return cls(tuple(data["segments"]), tuple(data["asked"]), np.array(data["moved"]), np.array(data["nudge"]))


def fit_levels(
    grid_quantiles: F64, actual: F64, segment: npt.NDArray[np.str_], asked: Sequence[float], weight: F64 | None = None
) -> Levels:
    """Move each level, per segment, until the promised share of actuals lies outside.

    A level below one half promises its share strictly below the quantile, one above promises the rest strictly above; both
    are corrected on rows whose quantile is above zero. Segments with few rows are pulled towards all rows.

    Args:
        grid_quantiles: (rows, levels of `GRID`), made before the actuals were known.
        actual: actuals.
        segment: label per row.
        asked: levels promised.
        weight: optional weights of rows.
    """
    weights = np.ones_like(actual) if weight is None else weight
    start = np.asarray(asked, dtype=np.float64)
    everyone = _moved(grid_quantiles, actual, weights, asked, start)
    names = tuple(str(name) for name in np.unique(segment))
    moved, nudge = [], []
    for name in [*names, None]:
        pick = np.ones(actual.size, dtype=bool) if name is None else segment == name
        m = everyone if name is None else _moved(grid_quantiles[pick], actual[pick], weights[pick], asked, everyone)
        moved.append(m)
        nudge.append(_nudges(grid_quantiles[pick], actual[pick], weights[pick], asked, m))
    return Levels(names, tuple(asked), np.array(moved), np.array(nudge))


def _moved(grid_quantiles: F64, actual: F64, weight: F64, asked: Sequence[float], prior: F64) -> F64:
    grid = np.asarray(GRID)
    out = np.array(prior)
    for i, q in enumerate(asked):
        pick = at_levels(grid_quantiles, np.full((actual.size, 1), q))[:, 0] > 0
        total = float(weight[pick].sum())
        if total <= 0:
            continue
        outside = actual[pick, None] < grid_quantiles[pick] if q < 0.5 else actual[pick, None] <= grid_quantiles[pick]
        share = (weight[pick, None] * outside).sum(axis=0) / total
        # the share rises with the level up to noise; make it strictly so before reading the level off
        share = np.maximum.accumulate(share) + 1e-9 * np.arange(grid.size)
        trust = total / (total + SHRINK_ROWS)
        out[i] = trust * float(np.interp(q, share, grid)) + (1 - trust) * prior[i]
    result: F64 = np.maximum.accumulate(out)
    return result


def _nudges(grid_quantiles: F64, actual: F64, weight: F64, asked: Sequence[float], moved: F64) -> F64:
    """Share of the rows tied at zero to put just above it, per level below one half.

    The promised share below is missed where zero alone holds more than that; if the level opposite (1 − q) is asked for too
    and its share above is smaller than promised, the rest is made up here, so that the interval covers what it promises.
    """
    total = float(weight.sum())
    out = np.zeros(len(asked))
    if total <= 0:
        return out
    limits = at_levels(grid_quantiles, np.broadcast_to(moved, (actual.size, len(asked))))
    place = {round(q, 6): i for i, q in enumerate(asked)}
    for i, q in enumerate(asked):
        if q >= 0.5:
            continue
        opposite = place.get(round(1 - q, 6))
        above = q if opposite is None else float((weight * (actual > limits[:, opposite])).sum()) / total
        wanted = q + max(0.0, q - above)
        below = float((weight * (actual < limits[:, i])).sum()) / total
        tied = float((weight * ((limits[:, i] <= 0) & (actual <= 0))).sum()) / total
        out[i] = min(1.0, max(0.0, (wanted - below) / tied)) if tied > 0 else 0.0
    result: F64 = np.maximum.accumulate(out)
    return result


def row_draws(*parts: npt.NDArray[Any]) -> F64:
    """One number in [0, 1) per row that depends on the row's own values only (SplitMix64 of their bits)."""
    word = np.zeros(parts[0].shape[0], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            bits = np.ascontiguousarray(part, dtype=np.float64).view(np.uint64)
            word = (word ^ bits) * np.uint64(0x9E3779B97F4A7C15)
            word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            word ^= word >> np.uint64(31)
    out: F64 = (word >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return out


def text_draws(names: Sequence[str]) -> F64:
    """One number in [0, 1) per name, the first eight bytes of its SHA-256: the same on every machine."""
    words = np.array([int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 11 for name in names])
    out: F64 = words.astype(np.float64) / float(1 << 53)
    return out


def even_draws(start: F64, step: npt.NDArray[np.int64]) -> F64:
    """Numbers in [0, 1) that fill the interval evenly as `step` counts up from any start (a Kronecker sequence)."""
    out: F64 = np.mod(start + step * GOLDEN, 1.0)
    return out


def calibrated(grid_quantiles: F64, corrections: tuple[F64, F64], draws: F64) -> F64:
    """Quantiles at the promised levels after correction, with ties at zero split (see the module's text).

    Args:
        grid_quantiles: (rows, levels of `GRID`).
        corrections: corrected levels and nudged shares, each (rows, levels).
        draws: one number in [0, 1) per row; rows below the nudged share get the limit just above zero.

    Returns:
        (rows, levels), not negative, not crossing.
    """
    moved, nudge = corrections
    return split_ties(at_levels(grid_quantiles, moved), nudge, draws)


def split_ties(limits: F64, nudge: F64, draws: F64) -> F64:
    """Put the limits of a hashed share of the rows that are tied at zero just above it; keep them ascending."""
    limits = np.where((limits <= 0) & (draws[:, None] < nudge), NUDGE, limits)
    out: F64 = np.maximum.accumulate(np.maximum(limits, 0.0), axis=1)
    return out
