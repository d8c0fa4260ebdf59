"""Policy parameters from simulated money: the user's own history, replayed with forecasts that knew nothing later.

Three parameters are walked through, one after the other: how much of the moving average is mixed into the learned means, how
wide demand spreads around them, and how many periods a unit too many is kept (which sets the critical ratio), the last one per
demand class, shrunk to all classes. Every candidate meets the same demand, lead times and random numbers. A candidate replaces
the default only when it saves more than two standard errors of the paired difference over the series: what could as well be
chance changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.config import PlanConfig
from planning.empirical import counted_paths, dispersion
from planning.panel import Panel
from planning.simulate.replay import replay
from planning.stateless import Terms, decide

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
WEIGHTS = {"W": (0.35, 0.0, 0.2, 0.5, 1.0), "D": (0.0,), "M": (0.0,)}  # the moving average knows weeks of the year only
SPREADS = (0.7, 0.4, 1.0, 1.6)
OVERAGES = (1.5, 0.75, 1.0, 2.2, 3.2)
SCENARIOS = 96
SHRINK_SERIES = 150.0
LEAST_PERIODS = 6
STANDARD_ERRORS = 2.0  # with 1, chance cost 2 points in older windows of a public inventory game and 0.1 in newer ones


@dataclass(frozen=True, slots=True)
class Past:
    """Means forecast at consecutive past origins, each by a model learned on what was known by then.

    Attributes:
        first: period index of the first origin.
        learned: (origin, series, horizon) means of the learned model.
        plain: (origin, series, horizon) means of the seasonal moving average.
    """

    first: int
    learned: F64
    plain: F64


@dataclass(frozen=True, slots=True)
class Tuned:
    """What the walk-forward simulation chose; the first value of each grid where it found nothing better.

    Attributes:
        weight: share of the moving average in the means, 0 to 1.
        spread: factor on the panel's dispersion φ.
        overage: (series,) periods that a unit too many is kept.
        by_class: overage periods by demand class.
        periods: periods scored, 0 when there was nothing to tune on.
        saving_frac: simulated saving against the defaults over these periods (in sample: it is what the choice was made by).
    """

    weight: float
    spread: float
    overage: F64
    by_class: dict[str, float]
    periods: int
    saving_frac: float


def untuned(series: int, config: PlanConfig) -> Tuned:
    """The defaults, where the history is too short to tune on."""
    return Tuned(WEIGHTS[config.period][0], SPREADS[0], np.full(series, config.overage_periods), {}, 0, 0.0)


def ratio_of(terms: Terms, config: PlanConfig, overage: F64 | float) -> F64:
    """Critical ratio (series,): shortage / (shortage + holding × review × periods kept), or the configured one."""
    if config.critical_ratio is not None:
        return np.full_like(terms.shortage, config.critical_ratio)
    return np.asarray(terms.shortage / (terms.shortage + terms.holding * config.review_periods * overage))


def demand_classes(panel: Panel) -> NDArray[np.str_]:
    """Smooth, erratic, intermittent or lumpy by ADI 1.32 and CV² 0.49 (Syntetos, Boylan and Croston 2005), last 104 periods."""
    known = np.where(panel.seen, panel.demand, np.nan)[:, -104:]
    seen = np.maximum((~np.isnan(known)).sum(axis=1), 1)
    hits = (np.nan_to_num(known) > 0).sum(axis=1)
    size = np.nansum(known, axis=1) / np.maximum(hits, 1)
    square = np.nansum(known**2, axis=1) / np.maximum(hits, 1)
    wide = square / np.maximum(size, 1e-9) ** 2 - 1 > 0.49
    rare = seen / np.maximum(hits, 1) > 1.32
    return np.where(rare, np.where(wide, "lumpy", "intermittent"), np.where(wide, "erratic", "smooth"))


def mixed(learned: F64, plain: F64, weight: float) -> F64:
    """Learned means with `weight` of the moving average."""
    return np.asarray((1 - weight) * learned + weight * plain)


class _Walk:
    """Replays of the past with candidate parameters; a cost per series each."""

    def __init__(self, panel: Panel, past: Past, config: PlanConfig, terms: Terms) -> None:
        self.panel, self.past, self.terms = panel, past, terms
        self.config = replace(config, budget=None, scenarios=SCENARIOS)
        self.names = [">".join(row) for row in panel.keys.iter_rows()]
        known = panel.upto(past.first + 1)
        self.phi = dispersion(known.demand / known.unit, known.seen)
        self.rounds = min(past.learned.shape[0], len(panel.periods) - 1 - past.first)
        self.warm = config.horizon
        self._paths: dict[tuple[float, float], list[F32]] = {}

    def paths(self, weight: float, spread: float) -> list[F32]:
        """Demand paths of every origin."""
        key = (weight, spread)
        if key not in self._paths:
            self._paths = {key: [
                counted_paths(
                    mixed(self.past.learned[k], self.past.plain[k], weight), self.phi * spread, SCENARIOS, self.config.seed + k, self.names,
                    self.panel.unit,
                )
                for k in range(self.rounds)
            ]}  # fmt: skip
        return self._paths[key]

    def cost(self, weight: float, spread: float, overage: float) -> F64:
        """Cost per series over the scored periods in which its demand was seen whole."""
        paths, ratio = self.paths(weight, spread), ratio_of(self.terms, self.config, overage)
        first, config = self.past.first, self.config
        start = mixed(self.past.learned[0], self.past.plain[0], weight)
        unit = self.panel.unit
        transit = np.rint(start[:, : max(config.longest, 1)] / unit) * unit

        def order(known: Panel, on_hand: F64, pipeline: F64, k: int) -> F64:
            return decide(paths[k], on_hand, pipeline, config, self.terms, ratio).quantity

        played = replay(
            self.panel, first, self.rounds, np.ceil(start[:, 0] / unit) * unit, transit, config, self.terms, order
        )
        scored = self.panel.seen[:, first + 1 + self.warm : first + 1 + self.rounds]
        money = (played.holding + played.shortage)[:, self.warm :]
        return np.asarray((money * scored).sum(axis=1))

    def best(self, grid: tuple[float, ...], run: Callable[[float], F64]) -> tuple[float, F64, dict[float, F64]]:
        """Cheapest candidate that beats the first by more than `STANDARD_ERRORS`; its cost, and all costs."""
        costs = {value: run(value) for value in grid}
        default = costs[grid[0]]
        chosen = grid[0]
        for value in grid[1:]:
            gain = default - costs[value]
            if gain.sum() > STANDARD_ERRORS * _error(gain) and costs[value].sum() < costs[chosen].sum():
                chosen = value
        return chosen, costs[chosen], costs


def _error(gain: F64) -> float:
    """Standard error of a sum of paired differences over the series."""
    return float(gain.std(ddof=1) * np.sqrt(gain.size)) if gain.size > 1 else float("inf")


def tune(panel: Panel, past: Past | None, config: PlanConfig, terms: Terms) -> Tuned:
    """Choose the policy's parameters by walk-forward simulation on the history.

    Args:
        panel: what is known; nothing later is read.
        past: forecasts of past origins; None when the history is too short for any.
        terms: costs and constraints per series.
    """
    series = panel.keys.height
    if past is None or min(past.learned.shape[0], len(panel.periods) - 1 - past.first) - config.horizon < LEAST_PERIODS:
        return untuned(series, config)
    walk = _Walk(panel, past, config, terms)
    prior = config.overage_periods
    weight, _, first = walk.best(WEIGHTS[config.period], lambda w: walk.cost(w, SPREADS[0], prior))
    spread, _, _ = walk.best(SPREADS, lambda s: walk.cost(weight, s, prior))
    grid = (prior, *(v for v in OVERAGES if v != prior))
    if config.critical_ratio is not None:
        grid = (prior,)
    _, _, costs = walk.best(grid, lambda o: walk.cost(weight, spread, o))
    overage, by_class = _by_class(demand_classes(panel), costs, grid)
    chosen = np.choose(np.searchsorted(sorted(costs), overage), [costs[v] for v in sorted(costs)])
    saving = 1 - float(chosen.sum()) / max(float(first[WEIGHTS[config.period][0]].sum()), 1e-9)
    return Tuned(weight, spread, overage, by_class, walk.rounds - walk.warm, saving)


def _by_class(
    classes: NDArray[np.str_], costs: dict[float, F64], grid: tuple[float, ...]
) -> tuple[F64, dict[str, float]]:
    """Overage periods per series: the cheapest of its class, whose costs are shrunk to those of all classes."""
    everyone = {v: float(costs[v].sum()) / max(float(costs[grid[0]].sum()), 1e-9) for v in grid}
    overage, by_class = np.full(classes.size, grid[0]), {}
    for name in sorted(set(classes.tolist())):
        pick = classes == name
        trust = pick.sum() / (pick.sum() + SHRINK_SERIES)
        base = max(float(costs[grid[0]][pick].sum()), 1e-9)
        shrunk = {v: trust * float(costs[v][pick].sum()) / base + (1 - trust) * everyone[v] for v in grid}
        best = min(grid, key=lambda v: shrunk[v])
        gain = trust * (costs[grid[0]] - costs[best])[pick].sum() / base + (1 - trust) * (1 - everyone[best])
        noise = _error((costs[grid[0]] - costs[best])[pick]) / base
        value = best if gain > trust * STANDARD_ERRORS * noise else grid[0]
        overage[pick], by_class[name] = value, float(value)
    return overage, by_class


def words_of(tuned: Tuned) -> dict[str, Any]:
    """What was chosen, as fields to print."""
    return {
        "tuned_on_periods": tuned.periods, "moving_average_weight": tuned.weight, "spread_factor": tuned.spread,
        "overage_periods": tuned.by_class, "tuning_saving_frac": round(tuned.saving_frac, 4),
    }  # fmt: skip
