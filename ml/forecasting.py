"""Forecast any panel: the models compete on held-out periods, the winner per demand class answers, quantiles are calibrated.

1. The newest periods are held out. The global LightGBM model learns on what was known before them; the statistical models
   forecast the same origins. Per demand class the mixture of LightGBM and one statistical model with the least scaled squared
   error is chosen (a mixture of weight 0 or 1 is a plain model).
2. The held-out forecasts and their actuals give the distribution (`ml.distribution`); coverage is as promised per class and
   group of horizons.
3. Everything is learned again on all periods, with the chosen number of trees, and forecasts the periods ahead.

The expected error that is reported comes from the newer half of the held-out origins, calibrated on the older half only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError, UsageError
from ml.distribution import Levels, Shape, calibrated, fit_levels, fit_shape, row_draws, shape_quantiles
from ml.metrics import scales, score
from ml.mixture import BOOSTED, Choice, Judge, best_mix
from ml.models.base import F64, Design
from ml.models.boosted import BoostSpec, booster_of, cells_of, train_booster
from ml.models.statistical import FLAT
from ml.panel import PanelData
from ml.panel_features import I64, WINDOWS, Origins, Rows, all_rows, design, origin_features, seasonal_columns

SEASONAL = ("seasonal_naive", "seasonal_mean", "seasonal_level")
ETS = "auto_ets"
MIN_ROWS_BOOSTED = 1_500
MIN_ROWS_CLASS = 150
MOST_ETS_FITS = 300
MOST_ORIGIN_CELLS = 120_000_000
STEPS = (0.15, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """What a panel forecast is asked for.

    Attributes:
        horizon: periods ahead.
        levels: quantile levels.
        model: `auto`, or the name of one model.
        seed: seed of sampling and LightGBM.
        boost: LightGBM's parameters.
        most_rows: rows to learn from; more are sampled down.
        most_held_out: held-out rows.
    """

    horizon: int
    levels: tuple[float, ...] = QUANTILES
    model: str = "auto"
    seed: int = 7
    boost: BoostSpec = field(
        default_factory=lambda: BoostSpec(trees=300, leaves=31, max_depth=7, learning_rate=0.04, min_rows_leaf=40)
    )
    most_rows: int = 300_000
    most_held_out: int = 120_000


@dataclass(frozen=True, slots=True)
class PanelForecast:
    """Forecasts with what was chosen and what may be expected of it.

    Attributes:
        frame: keys, time, mean, and one column `q<level>` per level.
        chosen: demand class to model, in words.
        expected: demand class to metrics on held-out origins.
        candidates: model, class, scaled error of every candidate.
        notes: treatments and limits, in words.
        quantiles: (series, horizon, levels), in the order of `panel.keys`.
    """

    frame: pl.DataFrame
    chosen: dict[str, str]
    expected: dict[str, dict[str, float]]
    candidates: pl.DataFrame
    notes: tuple[str, ...]
    quantiles: F64


def model_names() -> tuple[str, ...]:
    """Names that `PanelSpec.model` accepts."""
    return ("auto", BOOSTED, *FLAT, "window_average", *SEASONAL, ETS)


def forecast_panel(panel: PanelData, spec: PanelSpec) -> PanelForecast:
    """Forecast every series of a panel.

    Raises:
        BadInputError: fewer than four periods.
        UsageError: unknown model, levels outside (0, 1), horizon below 1.
    """
    _check(panel, spec)
    return _Run(panel, spec).forecast()


def _check(panel: PanelData, spec: PanelSpec) -> None:
    if spec.horizon < 1:
        raise UsageError(f"a horizon of {spec.horizon} periods is none", todo="use --horizon 1 or more")
    if spec.model not in model_names():
        raise UsageError(f"there is no model {spec.model}", todo=f"choose one of {', '.join(model_names())}")
    if not spec.levels or any(not 0 < q < 1 for q in spec.levels) or list(spec.levels) != sorted(set(spec.levels)):
        raise UsageError("quantile levels lie between 0 and 1, ascending, each once", where=str(list(spec.levels)))
    if panel.periods < 4:
        raise BadInputError("a panel needs at least four periods", where="panel", count=panel.periods)


class _Run:
    """One forecast: its origins, its rows, its candidates."""

    def __init__(self, panel: PanelData, spec: PanelSpec) -> None:
        self.panel, self.spec, self.last = panel, spec, panel.periods - 1
        self.notes: list[str] = list(panel.notes)
        self.ahead = max(1, min(spec.horizon, panel.periods // 4))
        if self.ahead < spec.horizon:
            self.notes.append(
                f"{panel.periods} periods of history for {spec.horizon} ahead: learned up to {self.ahead} periods ahead, held from there on"
            )
        extra = min(panel.periods // 8, {"D": 112, "W": 26, "M": 9}[panel.freq])
        self.first_held = max(self.last - self.ahead - extra, min(self.last - 1, max(2, panel.periods // 3)))
        earliest = min(
            max(1, min({"D": 28, "W": 8, "M": 4}[panel.freq], panel.periods // 3, self.first_held // 2)),
            self.first_held,
        )
        held = np.unique(
            np.linspace(self.first_held, self.last - 1, min(14, self.last - self.first_held)).round().astype(np.int64)
        )
        most = max(20, MOST_ORIGIN_CELLS // (panel.n * 60))
        stride = max(1, -(-(self.last - earliest) // min(most, 400)))
        learn = np.arange(self.last - 1, earliest - 1, -stride, dtype=np.int64)
        index = np.unique(np.concatenate([learn, held, [self.last]]))
        self.origins: Origins = origin_features(panel, index)
        self.held = np.flatnonzero(np.isin(index, held))
        self.learn = np.flatnonzero(np.isin(index, learn))
        self.edges = tuple(sorted({max(1, self.ahead // 3), max(1, 2 * self.ahead // 3)}))

    # --- rows and candidates ----------------------------------------------------------------------------------------
    def _rows(self, positions: I64, last_target: int, most: int, seed: int) -> tuple[Rows, Design]:
        rows = all_rows(self.origins, positions, self.ahead, last_target, most, seed)
        frame = design(self.panel, self.origins, rows, True)
        assert frame.y is not None
        keep = ~np.isnan(frame.y)
        return rows.take(keep), frame.take(keep)

    def statistical(self, rows: Rows) -> dict[str, F64]:
        """Mean forecasts of every statistical model for some rows."""
        out = {name: values[rows.s, rows.o] for name, values in self.origins.flat.items()}
        window = f"mean_{WINDOWS[self.panel.freq][1]}"
        out["window_average"] = out[window]
        level = np.nan_to_num(out["ses"])
        phase = seasonal_columns(self.panel, rows.s, self.origins.index[rows.o], rows.h)
        with np.errstate(invalid="ignore", divide="ignore"):
            drift = np.clip(
                np.nan_to_num(
                    out[f"mean_{WINDOWS[self.panel.freq][0]}"] / phase["origin_year_ago_mean"], nan=1.0, posinf=1.0
                ),
                0.3,
                3.0,
            )
        out["seasonal_naive"] = np.where(np.isnan(phase["same_phase"]), level, phase["same_phase"])
        out["seasonal_mean"] = np.where(np.isnan(phase["same_phase_mean"]), level, phase["same_phase_mean"])
        year = phase["year_ago_mean"] * drift
        out["seasonal_level"] = np.where(np.isnan(year), level, 0.5 * (year + level))
        return {name: np.maximum(np.nan_to_num(values), 0.0) for name, values in out.items()}

    # --- the whole --------------------------------------------------------------------------------------------------
    def forecast(self) -> PanelForecast:
        """Compete, calibrate, learn again, forecast."""
        spec = self.spec
        rows, held = self._rows(self.held, self.last, spec.most_held_out, spec.seed + 11)
        assert held.y is not None
        means = self.statistical(rows)
        booster = self._compete_booster(held)
        if booster is not None:
            means[BOOSTED] = booster.mean(held)
        if spec.model in (ETS,) or (spec.model == "auto" and self.panel.n * self.held.size <= MOST_ETS_FITS):
            means[ETS] = self._ets(rows)
        choice, candidates = self._choose(rows, held, means)
        centre = self._choose_centre(rows, held, means, choice, booster)
        mean = centre.mean(held.segment, means)
        spread = self._spread(rows, held, mean, booster)
        expected = self._expect(held, choice.mean(held.segment, means), mean, spread)
        shape, levels = self._calibrate(held, mean, spread, np.ones(held.rows, dtype=bool))
        final = self._final_booster(booster)
        return self._answer(choice, centre, candidates, expected, shape, levels, final)

    def _choose_centre(
        self, rows: Rows, held: Design, means: dict[str, F64], choice: Choice, booster: _Booster | None
    ) -> Choice:
        """What the quantiles are spread around: the mixture, or LightGBM alone, by pinball loss of the newer held-out rows.

        The mixture errs less in the mean; but where its members say nothing of the shape (whether a series will sell at all),
        LightGBM alone orders the rows better.
        """
        if booster is None or BOOSTED not in means or self.spec.model != "auto":
            return choice
        lone = Choice({name: {BOOSTED: 1.0} for name in choice.mixes})
        losses = []
        for option in (choice, lone):
            mean = option.mean(held.segment, means)
            scores = self._expect(held, mean, mean, self._spread(rows, held, mean, booster), quiet=True)
            losses.append({name: figures["pinball"] for name, figures in scores.items()})
        better = {name: losses[1].get(name, np.inf) < losses[0].get(name, np.inf) for name in choice.mixes}
        return Choice({name: lone.mixes[name] if better[name] else mix for name, mix in choice.mixes.items()})

    def _compete_booster(self, held: Design) -> _Booster | None:
        if self.spec.model not in ("auto", BOOSTED):
            return None
        before = self.learn[self.origins.index[self.learn] < self.first_held]
        _, old = self._rows(before, int(self.first_held), self.spec.most_rows, self.spec.seed)
        if old.rows < MIN_ROWS_BOOSTED or self.panel.n < 2:
            if self.spec.model == BOOSTED:
                raise BadInputError(
                    "too few rows for a global model", where="panel", count=old.rows, todo="use --model auto"
                )
            self.notes.append(
                f"no global model: {old.rows:,} rows to learn from, {MIN_ROWS_BOOSTED:,} are needed, and more than one series"
            )
            return None
        return _Booster.compete(old, held, self.spec)

    def _final_booster(self, booster: _Booster | None) -> _Booster | None:
        if booster is None:
            return None
        _, everything = self._rows(self.learn, self.last, self.spec.most_rows, self.spec.seed + 1)
        return _Booster.train(everything, self.spec, booster.trees)

    def _ets(self, rows: Rows) -> F64:
        """AutoETS of statsforecast for each series and origin of the rows."""
        out = np.zeros(rows.s.size)
        for position in np.unique(rows.o):
            pick = rows.o == position
            ahead = auto_ets(self.panel, int(self.origins.index[position]), self.spec.horizon, np.unique(rows.s[pick]))
            out[pick] = [ahead[s][h - 1] for s, h in zip(rows.s[pick].tolist(), rows.h[pick].tolist(), strict=True)]
        return out

    def _choose(self, rows: Rows, held: Design, means: dict[str, F64]) -> tuple[Choice, pl.DataFrame]:
        assert held.y is not None
        forced = self.spec.model if self.spec.model != "auto" else ""
        judge = Judge(held, rows.s, self._series_scale(held, rows))
        table: list[dict[str, Any]] = []
        chosen: dict[str, dict[str, float]] = {}
        for name in ["all", *sorted(set(held.segment.tolist()))]:
            pick = np.ones(held.rows, dtype=bool) if name == "all" else held.segment == name
            if name != "all" and pick.sum() < MIN_ROWS_CLASS:
                continue
            part = judge.take(pick)
            some = {m: v[pick] for m, v in means.items()}
            errors = {m: part.error(v) for m, v in some.items()}
            table += [
                {"model": m, "segment": name, "scaled_error": e}
                for m, e in sorted(errors.items(), key=lambda kv: kv[1])
            ]
            chosen[name] = {forced: 1.0} if forced else best_mix(part, some, errors)
        return Choice(chosen), pl.DataFrame(table)

    def _series_scale(self, held: Design, rows: Rows) -> F64:
        """Root of the mean squared one-step difference of each series (RMSSE's scale), not far below its level."""
        out = np.sqrt(scales(self.panel.y)[1])[rows.s]
        safe: F64 = np.maximum(np.nan_to_num(out), 0.3 * held.scale)
        return safe

    def _spread(self, rows: Rows, frame: Design, mean: F64, booster: _Booster | None) -> F64:
        if booster is not None:
            return booster.spread(frame)
        names = {name: i for i, name in enumerate(self.origins.names)}
        wide = np.column_stack([frame.x[:, names[f"std_{w}"]] for w in WINDOWS[self.panel.freq][:2]]).astype(np.float64)
        deviation = np.nan_to_num(wide).max(axis=1) * frame.scale
        out: F64 = np.maximum(deviation, 0.2 * mean + 0.05 * frame.scale)
        return out

    def _calibrate(self, held: Design, mean: F64, spread: F64, pick: npt.NDArray[np.bool_]) -> tuple[Shape, Levels]:
        assert held.y is not None
        m, s = _positive(mean[pick], held.scale[pick]), spread[pick]
        shape = fit_shape(m, s, held.y[pick])
        cells = cells_of(held.segment[pick], held.horizon[pick], self.edges)
        return shape, fit_levels(shape_quantiles(shape, m, s), held.y[pick], cells, self.spec.levels)

    def _quantiles(self, shape: Shape, levels: Levels, frame: Design, mean: F64, spread: F64) -> F64:
        grid = shape_quantiles(shape, _positive(mean, frame.scale), spread)
        cells = cells_of(frame.segment, frame.horizon, self.edges)
        return calibrated(grid, levels.rows(cells), row_draws(frame.scale, frame.target_index, frame.horizon))

    def _expect(
        self, held: Design, point: F64, mean: F64, spread: F64, quiet: bool = False
    ) -> dict[str, dict[str, float]]:
        """Metrics on the newer half of the held-out rows, calibrated on the older half only."""
        assert held.y is not None
        middle = int(np.median(held.target_index))
        old = held.target_index <= middle
        if old.sum() < 30 or (~old).sum() < 10:
            self.notes.append(
                "the history is too short to measure apart from calibrating: the expected error is optimistic"
            )
            old = np.ones(held.rows, dtype=bool)
            new = old
        else:
            new = ~old
        shape, levels = self._calibrate(held, mean, spread, old)
        test = held.take(new)
        assert test.y is not None
        q = self._quantiles(shape, levels, test, mean[new], spread[new])
        out = {"all": score(test.y, point[new], q, self.spec.levels)}
        for name in sorted(set(test.segment.tolist())):
            pick = test.segment == name
            out[name] = score(test.y[pick], point[new][pick], q[pick], self.spec.levels)
        return out

    def _answer(
        self, choice: Choice, centre: Choice, candidates: pl.DataFrame, expected: dict[str, dict[str, float]], shape: Shape, levels: Levels,
        final: _Booster | None,
    ) -> PanelForecast:  # fmt: skip
        n, horizon = self.panel.n, self.spec.horizon
        position = np.flatnonzero(self.origins.index == self.last)
        mean, quantiles = np.empty((n, horizon)), np.empty((n, horizon, len(self.spec.levels)))
        step = max(1, 400_000 // horizon)
        for low in range(0, n, step):
            s = np.repeat(np.arange(low, min(low + step, n)), horizon)
            h = np.tile(np.arange(1, horizon + 1), s.size // horizon)
            rows = Rows(s, np.full(s.size, position[0]), h)
            frame = design(self.panel, self.origins, rows, False, self.ahead)
            means = self.statistical(rows)
            if final is not None:
                means[BOOSTED] = final.mean(frame)
            if choice.uses(ETS):
                means[ETS] = self._ets(rows)
            m = choice.mean(frame.segment, means)
            c = centre.mean(frame.segment, means)
            q = self._quantiles(shape, levels, frame, c, self._spread(rows, frame, c, final))
            mean[s, h - 1], quantiles[s, h - 1] = m, q
        frame_out = long_frame(self.panel, mean, quantiles, self.spec.levels)
        return PanelForecast(frame_out, choice.words(), expected, candidates, tuple(self.notes), quantiles)


def _positive(mean: F64, scale: F64) -> F64:
    out: F64 = np.maximum(mean, 1e-4 * scale)
    return out


@dataclass(slots=True)
class _Booster:
    """Mean and spread boosters with the number of trees that did best on held-out rows."""

    mean_text: str
    spread_text: str
    trees: int
    threads: int
    _loaded: tuple[Any, Any] | None = None

    @classmethod
    def compete(cls, old: Design, held: Design, spec: PanelSpec) -> _Booster:
        """Learn on old rows; the number of trees is the best of a few on the held-out rows."""
        assert held.y is not None
        full = cls.train(old, spec, spec.boost.trees)
        booster = booster_of(full.mean_text)
        errors = {}
        for step in STEPS:
            trees = max(5, round(spec.boost.trees * step))
            mean = booster.predict(held.x, num_iteration=trees, num_threads=spec.boost.threads)
            errors[trees] = float(np.mean((mean - held.y / held.scale) ** 2))
        full.trees = min(errors, key=lambda t: errors[t])
        return full

    @classmethod
    def train(cls, frame: Design, spec: PanelSpec, trees: int) -> _Booster:
        """Learn mean and spread on some rows."""
        assert frame.y is not None
        boost = replace(spec.boost, min_rows_leaf=max(10, min(spec.boost.min_rows_leaf, frame.rows // 100)))
        scaled = frame.y / frame.scale
        age = (frame.target_index.max() - frame.target_index).astype(np.float64)
        weight = np.power(0.5, age / max(age.max() / 2.0, 1.0)) * np.sqrt(frame.scale / frame.scale.mean())
        text = train_booster(frame.x, scaled, weight, frame, boost.params(spec.seed, "tweedie"), trees)
        mean = np.maximum(booster_of(text).predict(frame.x, num_threads=boost.threads), 1e-6)
        wide = replace(
            frame, x=np.column_stack([frame.x, np.log(mean).astype(np.float32)]), names=(*frame.names, "log_mean")
        )
        params = replace(boost, leaves=16, learning_rate=0.08).params(spec.seed + 1, "tweedie")
        spread = train_booster(wide.x, np.abs(scaled - mean), weight, wide, params, boost.spread_trees)
        return cls(text, spread, trees, boost.threads)

    def _boosters(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self._loaded = (booster_of(self.mean_text), booster_of(self.spread_text))
        return self._loaded

    def mean(self, frame: Design) -> F64:
        """Mean forecasts in units of the target."""
        raw = self._boosters()[0].predict(frame.x, num_iteration=self.trees, num_threads=self.threads)
        out: F64 = np.maximum(raw, 0.0) * frame.scale
        return out

    def spread(self, frame: Design) -> F64:
        """Expected absolute deviations in units of the target."""
        mean = np.maximum(self.mean(frame) / frame.scale, 1e-6)
        x = np.column_stack([frame.x, np.log(mean).astype(np.float32)])
        raw = self._boosters()[1].predict(x, num_threads=self.threads)
        out: F64 = np.maximum(raw, 1e-3) * frame.scale
        return out


def auto_ets(panel: PanelData, origin: int, horizon: int, series: I64) -> dict[int, F64]:
    """AutoETS (statsforecast) of some series at one origin; series it cannot fit get their last level."""
    from statsforecast.models import AutoETS

    from ml.panel import SEASON

    out: dict[int, F64] = {}
    season = SEASON[panel.freq]
    for s in series.tolist():
        y = panel.y[s, : origin + 1]
        y = y[np.argmax(~np.isnan(y)) :]
        y = np.where(np.isnan(y), np.nanmean(y) if np.isfinite(y).any() else 0.0, y)[-5 * season :]
        length = season if y.size >= 2 * season + 2 and season <= 24 else 1
        if y.size < 6 or not y.any():
            out[s] = np.full(horizon, float(y[-4:].mean()) if y.size else 0.0)
            continue
        mean = AutoETS(season_length=length).forecast(y=y.astype(np.float64), h=horizon)["mean"]
        out[s] = np.maximum(np.nan_to_num(np.asarray(mean, dtype=np.float64), nan=float(y[-1])), 0.0)
    return out


def quantile_name(level: float) -> str:
    """Name of a quantile's column.

    >>> quantile_name(0.05)
    'q0.05'
    """
    return f"q{level:g}"


def long_frame(panel: PanelData, mean: F64, quantiles: F64, levels: Sequence[float]) -> pl.DataFrame:
    """Keys, time, mean and quantiles, sorted by key and time."""
    n, horizon = mean.shape
    days = pl.Series(panel.time_name, [panel.day(panel.periods + k) for k in range(horizon)], dtype=pl.Date)
    s = np.repeat(np.arange(n), horizon)
    h = np.tile(np.arange(horizon), n)
    return panel.keys[s].with_columns(
        days[h],
        pl.Series("mean", mean.ravel()),
        *(pl.Series(quantile_name(q), quantiles[:, :, i].ravel()) for i, q in enumerate(levels)),
    )
