"""Which models answer for a demand class, and with what weight: judged by RMSSE on held-out rows, mixed greedily."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.models.base import F64, Design, Labels

BOOSTED = "lightgbm"
MOST_PICKS = 6


class Judge:
    """RMSSE of some rows: root mean squared error over scale of each series and origin, averaged over them.

    One window as long as the horizon is one figure, as it is when forecasts are judged: over longer stretches of a series
    that rarely sells another forecast would win.
    """

    def __init__(self, held: Design, window: npt.NDArray[np.int64], scale: F64) -> None:
        assert held.y is not None
        self.y, self.window, self.scale = held.y, np.unique(window, return_inverse=True)[1], scale

    def take(self, pick: npt.NDArray[np.bool_]) -> Judge:
        """Some rows."""
        part = object.__new__(Judge)
        part.y, part.scale = self.y[pick], self.scale[pick]
        part.window = np.unique(self.window[pick], return_inverse=True)[1]
        return part

    def error(self, mean: F64) -> float:
        """Figure of a mean forecast."""
        n = np.bincount(self.window)
        square = np.bincount(self.window, ((mean - self.y) / self.scale) ** 2) / n
        return float(np.sqrt(square).mean())


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


@dataclass(frozen=True, slots=True)
class Choice:
    """Per demand class the weight of each model; `all` serves classes not seen."""

    mixes: dict[str, dict[str, float]]

    def mean(self, segment: Labels, means: dict[str, F64]) -> F64:
        """Mixed mean of every row."""
        out = np.zeros(segment.size)
        for name in np.unique(segment):
            pick = segment == name
            for model, weight in self.mixes.get(str(name), self.mixes["all"]).items():
                out[pick] += weight * means[model][pick]
        return out

    def uses(self, model: str) -> bool:
        """Whether any class needs the model."""
        return any(model in mix for mix in self.mixes.values())

    def words(self) -> dict[str, str]:
        """Class to mixture, largest weight first."""
        ranked = {name: sorted(mix.items(), key=lambda kv: -kv[1]) for name, mix in self.mixes.items()}
        return {
            name: mix[0][0] if len(mix) == 1 else " + ".join(f"{w:.0%} {m}" for m, w in mix)
            for name, mix in ranked.items()
        }
