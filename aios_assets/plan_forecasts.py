"""Demand means for a plan: LightGBM learned on what was known, now and at past origins, so that a policy can be tuned on them.

Glue: features and boosters come from `ml`, decisions from `planning`. Means, not quantiles: in walk-forward on a public inventory
game, orders from the forecast's quantiles cost more than orders from its mean with negative-binomial spread.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ml.panel import PanelData
    from planning.config import PlanConfig
    from planning.panel import Panel
    from planning.stateless import Terms
    from planning.tuning import Past, Tuned

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
SHORT = {"D": 56, "W": 30, "M": 18}  # periods below which there is nothing to learn a model from
STEP = {"D": 14, "W": 8, "M": 3}  # periods between two of the models that walk through the past
STEPS = 3
OBJECTIVES = ("tweedie", "regression")  # the square loss meets seasonal peaks better, Tweedie the quiet weeks
TREES = 150
LEARN_AHEAD = 2  # times the horizon planned for: 12.4 instead of 11.7 % below the benchmark in six windows of the game
MOST_ROWS = 250_000
MOST_CELLS = 12_000_000  # series × origins learned from
MIN_ROWS = 1_500


@dataclass(frozen=True)
class Source:
    """Where the forecaster reads: the history as given, its columns, and what is known of the future."""

    history: pl.DataFrame
    keys: tuple[str, ...]
    time: str
    target: str
    in_stock: str | None
    future: pl.DataFrame | None = None


def panel_data(config: PlanConfig, source: Source, panel: Panel, horizon: int) -> PanelData:
    """The rows of the panel's periods, as `ml` wants them."""
    from aios_assets.contracts.days import as_days
    from ml.panel import build_panel

    days = as_days(source.history[source.time], "history")
    if config.period == "M":
        days = days.dt.month_start()  # as the panel counts them: a month may be dated by any of its days
    known = source.history.with_columns(days.alias(source.time)).filter(pl.col(source.time) <= panel.periods[-1])
    return build_panel(
        known, source.keys, source.time, source.target, config.period, horizon, in_stock=source.in_stock,
        future=source.future, gaps=config.missing_periods,
    )  # fmt: skip


def order_of(data: PanelData, panel: Panel) -> NDArray[np.int64]:
    """Position in `data` of each series of the panel, −1 where it has not started yet."""
    place = {">".join(row): i for i, row in enumerate(data.keys.iter_rows())}
    return np.array([place.get(">".join(row), -1) for row in panel.keys.iter_rows()], dtype=np.int64)


def in_order(values: F64, order: NDArray[np.int64]) -> F64:
    """Means (…, series, period) in the panel's order; a series that has not started yet is not expected to sell."""
    return np.where((order >= 0)[:, None], values[..., np.maximum(order, 0), :], 0.0)


@dataclass
class Learner:
    """Means of one history at any origin, by models that are learned once per cut and kept.

    Attributes:
        data: the whole history; a model of a cut sees its periods up to the cut only.
        horizon: periods ahead.
        seed: seed of the boosters.
    """

    data: PanelData
    horizon: int
    seed: int
    _models: dict[int, list[Any]] = field(default_factory=dict)

    def upto(self, last: int) -> PanelData:
        """The periods up to index `last`."""
        return replace(self.data, y=self.data.y[:, : last + 1], sales=self.data.sales[:, : last + 1])

    def models(self, cut: int) -> list[Any]:
        """Boosters learned on targets up to the cut; empty where there is too little to learn from."""
        if cut not in self._models:
            self._models[cut] = self._learn(cut)
        return self._models[cut]

    def _learn(self, cut: int) -> list[Any]:
        from ml.models.boosted import BoostSpec, booster_of, train_booster
        from ml.panel_feasts import with_feasts
        from ml.panel_features import all_rows, design, origin_features
        from ml.panel_texts import with_effects

        known = with_feasts(self.upto(cut), cut, LEARN_AHEAD * self.horizon)
        data = with_effects(known, cut)
        earliest = min(8, cut // 3)
        stride = max(1, -(-(cut - earliest) * data.n // MOST_CELLS))
        index = np.unique(np.arange(cut - 1, earliest - 1, -stride))
        if not index.size or data.n < 2:
            return []
        origins = origin_features(known, index)
        ahead = LEARN_AHEAD * self.horizon
        rows = all_rows(origins, np.arange(index.size), ahead, cut, MOST_ROWS, self.seed)
        frame = design(data, origins, rows, True)
        assert frame.y is not None
        frame = frame.take(~np.isnan(frame.y))
        if frame.rows < MIN_ROWS:
            return []
        assert frame.y is not None
        year = {"D": 365, "W": 52, "M": 12}[data.freq]
        weight = 0.5 ** ((cut - frame.target_index) / year) * np.sqrt(frame.scale / frame.scale.mean())
        spec = BoostSpec(leaves=31, max_depth=7, learning_rate=0.05, min_rows_leaf=max(10, min(40, frame.rows // 100)))
        return [
            booster_of(train_booster(frame, frame.y / frame.scale, weight, spec.params(self.seed + k, name), TREES))
            for k, name in enumerate(OBJECTIVES)
        ]  # fmt: skip

    def means(self, cut: int, first: int, last: int) -> F64 | None:
        """Means (origin, series, horizon) at the origins first … last by the models of the cut; None without models."""
        from ml.panel_feasts import with_feasts
        from ml.panel_features import Rows, design, origin_features
        from ml.panel_texts import with_effects

        models = self.models(cut)
        if not models:
            return None
        n, h = self.data.n, self.horizon
        known = with_feasts(self.upto(last), cut, self.horizon)
        data, index = with_effects(known, cut), np.arange(first, last + 1)
        origins = origin_features(known, index)
        rows = Rows(
            np.tile(np.repeat(np.arange(n), h), index.size), np.repeat(np.arange(index.size), n * h),
            np.tile(np.arange(1, h + 1), n * index.size),
        )  # fmt: skip
        frame = design(data, origins, rows, False)
        found = np.mean([np.maximum(m.predict(frame.x, num_threads=2), 0.0) for m in models], axis=0) * frame.scale
        return np.asarray(found.reshape(index.size, n, h), dtype=np.float64)

    def past(self, panel: Panel) -> Past | None:
        """Forecasts of the newest origins before the panel's end, each by a model learned at most one step before."""
        from planning.policies.simple import seasonal_moving_average
        from planning.tuning import Past

        last, step = len(panel.periods) - 1, STEP[self.data.freq]
        cuts = [last - step * k for k in range(STEPS, 0, -1)]
        cuts = [c for c in cuts if c >= SHORT[self.data.freq]]
        parts = [self.means(c, c, c + step - 1) for c in cuts]
        if not parts or any(p is None for p in parts):
            return None
        learned = in_order(np.concatenate([p for p in parts if p is not None]), order_of(self.data, panel))
        plain = np.stack(
            [seasonal_moving_average(panel.upto(cuts[0] + k + 1), self.horizon) for k in range(learned.shape[0])]
        )
        return Past(cuts[0], learned, plain)


class Planner:
    """From a known panel to demand paths and critical ratios, with the policy's parameters tuned on the panel's own past.

    `auto` learns and tunes, `resample` never learns, any other name is a model of `aios forecast`, untuned. Where the history is
    too short to learn from, recent demand is resampled. Every answer reads the periods of the panel it is given and no later one.

    Attributes:
        config, source, model, terms: what was asked for; series that cannot be decided count with harmless terms.
        keep: periods for which what was learned and tuned is kept in a replay; 0 learns anew at every panel.
    """

    def __init__(self, config: PlanConfig, source: Source, model: str, terms: Terms, keep: int = 0) -> None:
        self.config, self.source, self.model, self.keep = config, source, model, keep
        self.terms = harmless(terms)
        self._learner: Learner | None = None
        self._anchor: int | None = None
        self._tuned: dict[int, Tuned | None] = {}

    def learns(self, panel: Panel) -> bool:
        """Whether the history is long enough, and the model asked for one that learns."""
        return self.model == "auto" and len(panel.periods) >= SHORT[self.config.period]

    def _cut(self, panel: Panel) -> int:
        last = len(panel.periods) - 1
        if self._anchor is None:
            self._anchor = last
        return last - (last - self._anchor) % self.keep if self.keep and last >= self._anchor else last

    def _learn(self, panel: Panel) -> Learner:
        """The learner of this history, widened when the panel has grown."""
        if self._learner is None or self._learner.data.periods < len(panel.periods):
            data = panel_data(self.config, self.source, panel, self.config.horizon)
            old = self._learner
            models = old._models if old is not None and old.data.keys.equals(data.keys) else {}
            self._learner = Learner(data, self.config.horizon, self.config.seed % 2**31, models)
        return self._learner

    def tuned(self, panel: Panel) -> Tuned | None:
        """Parameters tuned on what the panel knew at its cut; None where there is no model to tune for."""
        from planning.tuning import tune

        if not self.learns(panel):
            return None
        cut = self._cut(panel)
        if cut not in self._tuned:
            learner, known = self._learn(panel), panel.upto(cut + 1)
            fine = bool(learner.models(cut))
            self._tuned[cut] = tune(known, learner.past(known), self.config, self.terms) if fine else None
        return self._tuned[cut]

    def ratio(self, panel: Panel) -> F64 | None:
        """Critical ratio (series,), tuned; None takes it from the costs."""
        from planning.tuning import ratio_of

        tuned = self.tuned(panel)
        return None if tuned is None else ratio_of(self.terms, self.config, tuned.overage)

    def paths(self, panel: Panel, horizon: int) -> F32:
        """Demand paths (series, scenario, period)."""
        from planning.empirical import counted_paths, dispersion, resample
        from planning.policies.simple import seasonal_moving_average
        from planning.tuning import SPREADS, WEIGHTS, mixed

        config = self.config
        if self.model == "resample" or len(panel.periods) < SHORT[config.period]:
            season = {"W": 52, "M": 12, "D": 7}[config.period]
            return resample(panel.demand, panel.seen, horizon, config.scenarios, config.seed, season=season)
        tuned, last = self.tuned(panel), len(panel.periods) - 1
        weight, spread = (WEIGHTS[config.period][0], SPREADS[0]) if tuned is None else (tuned.weight, tuned.spread)
        learner = None if tuned is None else self._learn(panel)
        found = None if learner is None else learner.means(self._cut(panel), last, last)
        if learner is None or found is None:
            mean = self._panel_model(panel, horizon)
        else:
            mean = in_order(found[0], order_of(learner.data, panel))
        if weight:
            mean = mixed(mean, seasonal_moving_average(panel, horizon), weight)
        names = [">".join(row) for row in panel.keys.iter_rows()]
        phi = spread * dispersion(panel.demand / panel.unit, panel.seen)
        return counted_paths(mean, phi, config.scenarios, config.seed, names, panel.unit)

    def _panel_model(self, panel: Panel, horizon: int) -> F64:
        """Means (series, period) of the competition of `aios forecast`, or of the model named."""
        from ml.forecasting import PanelSpec, forecast_panel

        data = panel_data(self.config, self.source, panel, horizon)
        found = forecast_panel(data, PanelSpec(horizon=horizon, model=self.model, seed=self.config.seed % 2**31))
        mean = found.frame["mean"].to_numpy().reshape(data.n, horizon)
        return in_order(mean, order_of(data, panel))


def harmless(terms: Terms) -> Terms:
    """Terms in which a cost, pack or minimum that cannot be used is 1, so that the other series can be tuned."""
    from planning.stateless import Terms

    holding, shortage, pack = (
        np.where(np.nan_to_num(v) > 0, v, 1.0) for v in (terms.holding, terms.shortage, terms.pack)
    )
    room = np.where(terms.capacity < pack, np.nan, terms.capacity)
    return Terms(holding, shortage, pack, np.maximum(np.nan_to_num(terms.minimum), 0.0), room)
