"""Which models answer for a demand class, and with what weight: judged by RMSSE on held-out rows, mixed greedily.

A mixture that forecast too much on the held-out rows is taken back by half of that, and by up to five in a hundred (as the
Syntetos-Boylan correction of Croston's method does) where less would have erred less; never by more than half of what the sums
over series err by, so that sums stay as good as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml.models.base import F64, Design, Labels

BOOSTED = "lightgbm"
DIRECT = "lightgbm_quantiles"
MOST_PICKS = 6
TRIED_FACTORS = tuple(round(0.7 + 0.05 * k, 2) for k in range(7))
TRUST = 0.5
MOST_DEFLATED, MOST_BIAS_TAKEN = 0.95, 0.85


class Judge:
    """RMSSE of some rows: root mean squared error over scale of each series and origin, averaged over them.

    One window as long as the horizon is one figure, as it is when forecasts are judged: over longer stretches of a series
    that rarely sells another forecast would win.
    """

    def __init__(self, held: Design, window: npt.NDArray[np.int64], scale: F64) -> None:
        assert held.y is not None
        self.y, self.window, self.scale = held.y, np.unique(window, return_inverse=True)[1], scale
        self.origin = np.unique(held.origin_index, return_inverse=True)[1]

    def take(self, pick: npt.NDArray[np.bool_]) -> Judge:
        """Some rows."""
        part = object.__new__(Judge)
        part.y, part.scale = self.y[pick], self.scale[pick]
        part.window = np.unique(self.window[pick], return_inverse=True)[1]
        part.origin = np.unique(self.origin[pick], return_inverse=True)[1]
        return part

    def error(self, mean: F64) -> float:
        """Figure of a mean forecast."""
        n = np.bincount(self.window)
        square = np.bincount(self.window, ((mean - self.y) / self.scale) ** 2) / n
        return float(np.sqrt(square).mean())

    def sums_error(self, mean: F64) -> float:
        """Root mean squared relative error of the sum over series and horizons, one per origin."""
        found, told = np.bincount(self.origin, self.y), np.bincount(self.origin, mean)
        some = found > 0
        return float(np.sqrt(np.mean((told[some] / found[some] - 1) ** 2))) if some.any() else 0.0


def best_mix(judge: Judge, means: dict[str, F64], errors: dict[str, float]) -> dict[str, float]:
    """Weights of models by greedy selection with replacement (Caruana et al. 2004), from the best model and LightGBM.

    A mixture of several passable models errs less on new periods than the one that happened to win on the old ones.
    """
    ranked = sorted(errors, key=lambda m: errors[m])
    picks = [ranked[0], BOOSTED if BOOSTED in means else ranked[min(1, len(ranked) - 1)]]
    total = means[picks[0]] + means[picks[1]]
    if judge.error(total / 2) > errors[ranked[0]]:
        picks, total = picks[:1], means[picks[0]].copy()
    best = judge.error(total / len(picks))
    for _ in range(MOST_PICKS - len(picks)):
        tried = {m: judge.error((total + v) / (len(picks) + 1)) for m, v in means.items()}
        name = min(tried, key=lambda m: tried[m])
        if tried[name] >= best:
            break
        best, total = tried[name], total + means[name]
        picks.append(name)
    return {name: picks.count(name) / len(picks) for name in dict.fromkeys(picks)}


def deflator(judge: Judge, mean: F64) -> float:
    """Factor of at most 1 for a mixture: half of the way to the factor with the least error, within limits.

    The limit is 0.95, or half of what sums err by where that is less; where the mixture forecast too much on the held-out rows,
    half of that too, down to 0.85.
    """
    best = min(TRIED_FACTORS, key=lambda factor: judge.error(factor * mean))
    told, found = float(mean.sum()), float(judge.y.sum())
    ratio = min(found / told, 1.0) if told > 0 else 1.0
    least = max(MOST_DEFLATED, 1 - TRUST * judge.sums_error(mean))
    lowest = min(least, max(1 + TRUST * (ratio - 1), MOST_BIAS_TAKEN))
    return min(max(1 + TRUST * (best - 1), lowest), 1.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """Per demand class the weight of each model and a factor; `all` serves classes not seen."""

    mixes: dict[str, dict[str, float]]
    factors: dict[str, float] = field(default_factory=dict)

    def mean(self, segment: Labels, means: dict[str, F64]) -> F64:
        """Mixed mean of every row."""
        out = np.zeros(segment.size)
        for name in np.unique(segment):
            pick = segment == name
            known = str(name) if str(name) in self.mixes else "all"
            for model, weight in self.mixes[known].items():
                out[pick] += weight * self.factors.get(known, 1.0) * means[model][pick]
        return out

    def uses(self, model: str) -> bool:
        """Whether any class needs the model."""
        return any(model in mix for mix in self.mixes.values())

    def words(self) -> dict[str, str]:
        """Class to mixture, largest weight first."""
        ranked = {name: sorted(mix.items(), key=lambda kv: -kv[1]) for name, mix in self.mixes.items()}
        words = {
            name: mix[0][0] if len(mix) == 1 else " + ".join(f"{w:.0%} {m}" for m, w in mix)
            for name, mix in ranked.items()
        }
        cut = {name: factor for name, factor in self.factors.items() if factor < 1}
        return {name: text + (f", times {cut[name]:.3f}" if name in cut else "") for name, text in words.items()}
