"""Series that have not sold yet: forecast from what series with the same keys and attributes are forecast to sell.

The level of a series (its mean forecast over the periods ahead) is explained by shrunken additive effects of its keys and
attributes (`ml.effects`). What the effects do not explain of series that took no part in learning them is the spread of a
newcomer's level. Each level of that spread takes its shape from the known series whose own level is nearest, and the newcomer's
distribution is the mixture of all of these.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.effects import fit_effects
from ml.panel import PanelData
from ml.panel_rows import F64

I64 = npt.NDArray[np.int64]
LEAST_DONORS = 5
STRENGTH = 1.0
SHARED = 3
FOLDS = 5
FIFTHS = 5
MOST_LEVELS = 60
TOGETHER = "keys_together"


def unsold(panel: PanelData) -> npt.NDArray[np.bool_]:
    """(series,) without a single known value."""
    return np.asarray(np.isnan(panel.y).all(axis=1))


def with_newcomers(
    panel: PanelData, mean: F64, quantiles: F64, levels: Sequence[float], notes: list[str]
) -> tuple[F64, F64]:
    """Forecasts in which series without history take theirs from the others.

    Args:
        panel: series with keys and attributes as codes and numbers.
        mean: (series, periods) forecasts; not negative.
        quantiles: (series, periods, levels).
        levels: quantile levels.
        notes: told how many series were forecast this way, or why not.
    """
    new = unsold(panel)
    donors = np.flatnonzero(~new)
    level = mean[donors].mean(axis=1)
    sold = level > 0
    if not new.any():
        return mean, quantiles
    if sold.sum() < LEAST_DONORS:
        notes.append(
            f"{int(new.sum()):,} series without history: fewer than {LEAST_DONORS} others that sell to learn from, their forecast is near zero"
        )
        return mean, quantiles
    notes.append(
        f"{int(new.sum()):,} series without history: forecast from what series with like keys and attributes sell"
    )
    wanted = _levels(level_codes(panel, donors), donors, np.flatnonzero(new), level)
    rank = np.argsort(level[sold], kind="stable")
    order, known = donors[sold][rank], level[sold][rank]
    mean, quantiles = mean.copy(), quantiles.copy()
    for place, own in zip(np.flatnonzero(new), wanted, strict=True):
        mean[place], quantiles[place] = _mixed(own, order, known, mean, quantiles, levels)
    return mean, quantiles


def level_codes(panel: PanelData, donors: I64) -> list[I64]:
    """Level numbers of keys and attributes, (series,) each, −1 where missing.

    Whole numbers of which several donors share each are taken for codes, other numbers are cut into fifths of the donors'.
    """
    out = [np.zeros(panel.n, dtype=np.int64)]
    for name, values in panel.static.items():
        if name == TOGETHER:
            continue
        known = np.unique(values[donors][~np.isnan(values[donors])])
        if name not in panel.coded and not (known.size * SHARED <= donors.size and (known == known.round()).all()):
            known = np.unique(np.quantile(known, np.arange(1, FIFTHS) / FIFTHS))
            place = np.searchsorted(known, values)
        else:
            place = np.where(np.isin(values, known), np.searchsorted(known, values), -1)
        out.append(np.where(np.isnan(values), -1, place).astype(np.int64))
    return out


def _levels(codes: list[I64], donors: I64, new: I64, level: F64) -> F64:
    """(new series, levels) equally likely levels of each new series.

    What the effects leave of donors that they were not learned from is the spread; the whole is scaled until the donors'
    levels, answered the same way, add up to what they are.
    """
    offset = 0.05 * float(np.median(level[level > 0]))
    y = np.log(level + offset)
    sizes = [int(c.max(initial=-1)) + 1 for c in codes]

    def fitted(learn: I64, ask: I64, values: F64) -> F64:
        effects = fit_effects([c[learn] for c in codes], sizes, values, np.ones(values.size), strength=STRENGTH)
        return effects.predict([c[ask] for c in codes])

    seen = np.empty(y.size)
    for k in range(FOLDS):
        out = np.arange(y.size) % FOLDS == k
        seen[out] = fitted(donors[~out], donors[out], y[~out])
    count = min(MOST_LEVELS, y.size)
    spread = np.quantile(y - seen, (np.arange(count) + 0.5) / count)

    def spread_around(middle: F64) -> F64:
        return np.asarray(np.maximum(np.exp(middle[:, None] + spread) - offset, 0.0))

    share = float(level.sum() / spread_around(seen).mean(axis=1).sum())
    return spread_around(fitted(donors, new, y)) * share


def _mixed(wanted: F64, order: I64, level: F64, mean: F64, quantiles: F64, levels: Sequence[float]) -> tuple[F64, F64]:
    """Mean and quantiles of an even mixture: each wanted level in the shape of the series of `order` whose level is nearest."""
    place = np.clip(np.searchsorted(level, wanted), 0, order.size - 1)
    below = np.maximum(place - 1, 0)
    near = np.where(np.abs(level[below] - wanted) < np.abs(level[place] - wanted), below, place)
    scale = (wanted / level[near])[:, None]
    paths = mean[order[near]] * scale
    points = quantiles[order[near]] * scale[:, :, None]
    edges = np.concatenate([[0.0], (np.asarray(levels)[1:] + np.asarray(levels)[:-1]) / 2, [1.0]])
    mass = np.tile(np.diff(edges), wanted.size) / wanted.size
    mixed = np.empty((mean.shape[1], len(levels)))
    for h in range(mean.shape[1]):
        values = points[:, h].ravel()
        rank = np.argsort(values, kind="stable")
        share = np.cumsum(mass[rank]) - 0.5 * mass[rank]
        mixed[h] = np.interp(levels, share, values[rank])
    return paths.mean(axis=0), mixed
