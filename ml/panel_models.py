"""Members of a panel forecast: rules and smoothers, global LightGBMs for mean, spread, chance of a sale and quantiles, AutoETS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.base import F32, F64, Design
from ml.models.boosted import booster_of, train_booster, train_stopped
from ml.panel import PanelData
from ml.panel_direct import Direct
from ml.panel_features import WINDOWS, Origins, Rows, seasonal_columns
from ml.panel_rows import I64, SEASON

if TYPE_CHECKING:
    from ml.forecasting import PanelSpec

MOST_SHAPE_ROWS = 120_000
LEAST = 1e-6
ETS_PERIODS, LEAST_ETS_PERIODS = 112, 10  # statsforecast refuses to fit models to fewer
MOST_ETS_SEASON = 24
IN_SEASON = "_in_season"
MOST_YEAR_RATIO = (0.3, 3.0)  # this year's level over last year's


def statistical_means(panel: PanelData, origins: Origins, rows: Rows, plain: bool) -> dict[str, F64]:
    """Mean forecasts of every smoother and seasonal rule for some rows.

    Args:
        panel, origins: the panel and what it looks like at the origins.
        rows: which series, origin and horizon.
        plain: leave the season that series share out, as their papers do; otherwise levels follow it (`IN_SEASON` in their names).
    """
    out = {name: values[rows.s, rows.o] for name, values in origins.flat.items()}
    short, middle = (f"mean_{window}" for window in WINDOWS[panel.freq][:2])
    out["window_average"] = out[middle]
    level = np.nan_to_num(out["ses"])
    recent = out[short]
    if not plain and origins.season is not None:
        memory = {name: _memory(name, panel) for name in out}
        times = {window: origins.times(rows, window) for window in sorted(set(memory.values()))}
        out = {name + IN_SEASON: level * times[memory[name]] for name, level in out.items()}
        level = np.nan_to_num(out["ses" + IN_SEASON])
    phase = seasonal_columns(panel, rows.s, origins.index[rows.o], rows.h)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.nan_to_num(recent / phase["origin_year_ago_mean"], nan=1.0, posinf=1.0)
    out["seasonal_naive"] = np.where(np.isnan(phase["same_phase"]), level, phase["same_phase"])
    out["seasonal_mean"] = np.where(np.isnan(phase["same_phase_mean"]), level, phase["same_phase_mean"])
    year = phase["year_ago_mean"] * np.clip(ratio, *MOST_YEAR_RATIO)
    out["seasonal_level"] = np.where(np.isnan(year), level, 0.5 * (year + level))
    return {name: np.maximum(np.nan_to_num(values), 0.0) for name, values in out.items()}


def _memory(name: str, panel: PanelData) -> int:
    """Periods that a flat forecast remembers, about."""
    return int(name.removeprefix("mean_")) if name.startswith("mean_") else WINDOWS[panel.freq][1]


@dataclass(frozen=True, slots=True)
class Learned:
    """What the global models say of some rows: mean, expected absolute deviation and quantiles in units of the target, chance of a sale."""

    mean: F64
    spread: F64
    chance: F64
    direct: F64

    def take(self, pick: np.ndarray[Any, Any]) -> Learned:
        """Some rows."""
        return Learned(self.mean[pick], self.spread[pick], self.chance[pick], self.direct[pick])

    def put(self, pick: np.ndarray[Any, Any], part: Learned) -> None:
        """Replace what is said of some rows."""
        self.mean[pick], self.spread[pick], self.chance[pick] = part.mean, part.spread, part.chance
        self.direct[pick] = part.direct


@dataclass(slots=True)
class Boosted:
    """Boosters of mean, spread, chance and quantiles, with the number of trees that did best on held-out rows."""

    mean_text: str
    spread_text: str
    chance_text: str
    direct: Direct
    trees: int
    threads: int
    _loaded: tuple[Any, Any, Any] | None = None

    @classmethod
    def compete(cls, old: Design, held: Design, spec: PanelSpec) -> Boosted:
        """Learn on old rows; trees are added for as long as they help on the held-out rows."""
        assert old.y is not None and held.y is not None
        boost, weight = cls._leaf(old, spec), cls._weight(old)
        text, trees = train_stopped(
            old, old.y / old.scale, weight, held, held.y / held.scale, boost.params(spec.seed, "tweedie"), boost.trees
        )
        return cls.train(old, spec, trees, text)

    @staticmethod
    def _leaf(frame: Design, spec: PanelSpec) -> Any:
        return replace(spec.boost, min_rows_leaf=max(10, min(spec.boost.min_rows_leaf, frame.rows // 100)))

    @staticmethod
    def _weight(frame: Design) -> F64:
        age = (frame.target_index.max() - frame.target_index).astype(np.float64)
        out: F64 = np.power(0.5, age / max(age.max() / 2.0, 1.0)) * np.sqrt(frame.scale / frame.scale.mean())
        return out

    @classmethod
    def train(cls, frame: Design, spec: PanelSpec, trees: int, text: str = "") -> Boosted:
        """Learn the mean on some rows (unless its text is given), spread, chance and quantiles on a sample of them."""
        assert frame.y is not None
        direct = Direct.train(frame, spec, cls._weight)
        boost, weight = cls._leaf(frame, spec), cls._weight(frame)
        if not text:
            text = train_booster(frame, frame.y / frame.scale, weight, boost.params(spec.seed, "tweedie"), trees)
        if frame.rows > MOST_SHAPE_ROWS:
            pick = np.sort(np.random.default_rng(spec.seed).permutation(frame.rows)[:MOST_SHAPE_ROWS])
            frame, weight = frame.take(pick), weight[pick]
        assert frame.y is not None
        scaled = frame.y / frame.scale
        mean = np.maximum(booster_of(text).predict(frame.x, num_threads=boost.threads), LEAST)
        wide = replace(frame, x=_with_mean(frame.x, mean), names=(*frame.names, "log_mean"))
        small = replace(boost, leaves=16, learning_rate=0.08)
        away = np.abs(scaled - mean)
        if not away.any():
            away += LEAST  # LightGBM refuses to learn that nothing ever strays
        spread = train_booster(wide, away, weight, small.params(spec.seed + 1, "tweedie"), boost.spread_trees)
        sold = (frame.y > 0).astype(np.float64)
        chance = ""
        if 0 < sold.sum() < sold.size:
            params = small.params(spec.seed + 2, "binary")
            chance = train_booster(wide, sold, None, params, boost.spread_trees)
        return cls(text, spread, chance, direct, trees, boost.threads)

    def predict(self, frame: Design) -> Learned:
        """Mean, spread, chance and quantiles of every row."""
        if self._loaded is None:
            self._loaded = (
                booster_of(self.mean_text), booster_of(self.spread_text), booster_of(self.chance_text) if self.chance_text else None,
            )  # fmt: skip
        mean, spread, chance = self._loaded
        scaled = np.maximum(mean.predict(frame.x, num_threads=self.threads), 0.0)
        last = np.log(np.maximum(scaled, LEAST)).astype(np.float32)
        wide = np.maximum(spread.predict(frame.x, num_threads=self.threads, last=last), 1e-3)
        sold = np.ones(frame.rows) if chance is None else chance.predict(frame.x, num_threads=self.threads, last=last)
        return Learned(scaled * frame.scale, wide * frame.scale, sold, self.direct.predict(frame))


def _with_mean(x: F32, mean: F64) -> F32:
    return np.column_stack([x, np.log(mean).astype(np.float32)])


def auto_ets(panel: PanelData, origin: int, horizon: int, series: I64, *, trend: bool = True) -> dict[int, F64]:
    """AutoETS (statsforecast) of some series at one origin; series it cannot fit get their last level.

    Args:
        panel: panel.
        origin: newest period read.
        horizon: periods ahead.
        series: rows of the panel.
        trend: whether models with a trend compete; without them a fit is about six times faster.
    """
    from statsforecast.models import AutoETS

    out: dict[int, F64] = {}
    season = SEASON[panel.freq]
    for s in series.tolist():
        y = panel.y[s, : origin + 1]
        y = y[np.argmax(~np.isnan(y)) :]
        y = np.where(np.isnan(y), np.nanmean(y) if np.isfinite(y).any() else 0.0, y)[-max(5 * season, ETS_PERIODS) :]
        length = season if y.size >= 2 * season + 2 and season <= MOST_ETS_SEASON else 1
        if y.size < LEAST_ETS_PERIODS or not y.any():
            out[s] = np.full(horizon, float(y[-4:].mean()) if y.size else 0.0)
            continue
        mean = AutoETS(season_length=length, model="ZZZ" if trend else "ZNZ").forecast(
            y=y.astype(np.float64), h=horizon
        )["mean"]
        out[s] = np.maximum(np.nan_to_num(np.asarray(mean, dtype=np.float64), nan=float(y[-1])), 0.0)
    return out
