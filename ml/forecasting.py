"""Forecast any panel: the models compete on held-out periods, the winner per demand class answers, quantiles are calibrated.

1. The newest periods are held out. The global LightGBM model learns on what was known before them, with as many trees as help
   there; the statistical models forecast the same origins. Per demand class the mixture of all of them with the least scaled
   squared error over windows as long as the horizon is chosen.
2. The held-out forecasts and their actuals give the distribution (`ml.panel_law`); coverage is as promised per class and group
   of horizons.
3. Everything is learned again on all periods, with the chosen number of trees, and forecasts the periods ahead.

The expected error that is reported comes from the newer half of the held-out origins, calibrated on the older half only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError, UsageError
from ml.closing import closed_as_zero
from ml.distribution import Shape, even_draws, fit_shape, shape_quantiles, text_draws
from ml.metrics import scales, score
from ml.mixture import BOOSTED, DIRECT, Choice, Judge, best_mix, deflator
from ml.models.base import F64, Design
from ml.models.boosted import BoostSpec, cells_of
from ml.models.statistical import FLAT
from ml.panel import PanelData
from ml.panel_direct import mean_of, on_grid
from ml.panel_feasts import Feast, feasts_said, find_feasts, with_found
from ml.panel_features import WINDOWS, Origins, Rows, all_rows, design, origin_features
from ml.panel_harmonic import Harmonic, worth_trying
from ml.panel_law import PanelLaw, Signals, fit_panel_law
from ml.panel_models import MOST_ETS_SEASON, Boosted, Learned, auto_ets, statistical_means
from ml.panel_newcomers import with_newcomers
from ml.panel_rows import I64, SEASON, Freq
from ml.panel_season import peak_ahead, shared_season
from ml.panel_texts import with_effects

SEASONAL = ("seasonal_naive", "seasonal_mean", "seasonal_level")
ETS = "auto_ets"
HARMONIC = "harmonic_regression"
MIN_ROWS_BOOSTED = 1_500
LEAST_SOLD_PERIODS = 8
MIN_ROWS_CLASS = 150
MOST_ETS_FITS = 300
MOST_LIGHT_ETS_FITS = 3_000
LEAST_MEAN = 0.01
MIN_ORIGINS_AGAIN = 4
MOST_ORIGIN_CELLS = 120_000_000
IN_UNITS = ("rmse", "pinball", "crps")


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
        default_factory=lambda: BoostSpec(trees=700, leaves=31, max_depth=7, learning_rate=0.04, min_rows_leaf=40)
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

    def times(self, factor: float) -> PanelForecast:
        """The same forecast in other units; errors that are shares stay as they are."""
        if factor == 1:
            return self
        numbers = [c for c, t in self.frame.schema.items() if t == pl.Float64]
        expected = {
            segment: {k: v * factor if k in IN_UNITS else v for k, v in figures.items()}
            for segment, figures in self.expected.items()
        }
        frame = self.frame.with_columns(pl.col(numbers) * factor)
        return replace(self, frame=frame, expected=expected, quantiles=self.quantiles * factor)


def model_names() -> tuple[str, ...]:
    """Names that `PanelSpec.model` accepts."""
    return ("auto", BOOSTED, DIRECT, *FLAT, "window_average", *SEASONAL, HARMONIC, ETS)


def forecast_panel(panel: PanelData, spec: PanelSpec, say: Callable[[str], None] = lambda _: None) -> PanelForecast:
    """Forecast every series of a panel.

    Args:
        panel: what is known.
        spec: what is asked.
        say: told one line before each long step.

    Raises:
        BadInputError: fewer than four periods.
        UsageError: unknown model, levels outside (0, 1), horizon below 1.
    """
    _check(panel, spec)
    panel = without_silence(panel, spec.horizon)
    unit = small_unit(panel.y)
    return _Run(panel.times(1 / unit), spec, say).forecast().times(unit)


def first_held_out(periods: int, freq: Freq, ahead: int) -> int:
    """Newest period before those that are held out."""
    last = periods - 1
    extra = min(periods // 8, {"D": 112, "W": 26, "M": 9}[freq])
    return max(last - ahead - extra, min(last - 1, max(2, periods // 3)))


def without_silence(panel: PanelData, horizon: int) -> PanelData:
    """The panel from its first sale on where nothing sold before the held-out periods: there is nothing to learn from, and what
    sells would look without measure beside what was expected of it."""
    sold = np.flatnonzero((np.nan_to_num(panel.y) > 0).any(axis=0))
    held = first_held_out(panel.periods, panel.freq, ahead_learned(panel.periods, horizon))
    if not sold.size or sold[0] <= held:
        return panel
    start = int(sold[0])
    if start > panel.periods - LEAST_SOLD_PERIODS:
        return panel
    note = f"nothing sold before {panel.day(start)}: the {start:,} periods before it are left out"
    return replace(panel.since(start), notes=(*panel.notes, note))


def ahead_learned(periods: int, horizon: int) -> int:
    """Periods ahead that a history of so many periods can teach."""
    return max(1, min(horizon, periods // 4))


def small_unit(y: F64) -> float:
    """Unit in which demand of fractions (tonnes, pallets) is about as large as demand in pieces; 1 where it is large enough.

    A power of two, so that counting in it is exact. Limits such as the one just above zero are made for pieces.
    """
    sold = y[y > 0]
    middle = float(np.median(sold)) if sold.size else 1.0
    return 1.0 if middle >= 1 else 2.0 ** (np.floor(np.log2(middle)) - 3)


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

    def __init__(self, panel: PanelData, spec: PanelSpec, say: Callable[[str], None]) -> None:
        self.given, self.spec, self.say, self.last = panel, spec, say, panel.periods - 1
        self.notes: list[str] = list(panel.notes)
        self._feasts: dict[int, tuple[Feast, ...]] = {}
        self.ahead = ahead_learned(panel.periods, spec.horizon)
        if self.ahead < spec.horizon:
            self.notes.append(
                f"{panel.periods} periods of history for {spec.horizon} ahead: learned up to {self.ahead} periods ahead, held from there on"
            )
        self.first_held = first_held_out(panel.periods, panel.freq, self.ahead)
        self.panel = with_effects(self._with_feasts(self.first_held), self.first_held)
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
        self.season = peak_ahead(panel, spec.horizon)
        known = None if self.season is None else shared_season(panel, self.first_held, spec.horizon)
        if self.season is not None and spec.model == "auto":
            self.notes.append(
                f"a peak lies ahead: in its strongest period sales are expected some {self.season.strongest(panel):.0%} off their level, "
                "by what all series, groups by key and each series did at this time of earlier years"
            )
        self.origins: Origins = origin_features(self._with_feasts(self.first_held), index, known)
        self.held = np.flatnonzero(np.isin(index, held))
        self.learn = np.flatnonzero(np.isin(index, learn))
        self.edges = tuple(sorted({max(1, self.ahead // 3), max(1, 2 * self.ahead // 3)}))
        self.shape: Shape | None = None
        self.key_draws = text_draws(["|".join(map(str, key)) for key in panel.keys.iter_rows()])

    def _with_feasts(self, last: int) -> PanelData:
        """What was given, and the days of the year that recur in what was known by `last`."""
        if last not in self._feasts:
            self._feasts[last] = find_feasts(self.given, last, self.spec.horizon)
        return with_found(self.given, self._feasts[last], self.spec.horizon)

    # --- rows and candidates ----------------------------------------------------------------------------------------
    def _rows(self, positions: I64, last_target: int, most: int, seed: int, whole: bool = False) -> tuple[Rows, Design]:
        rows = all_rows(self.origins, positions, self.ahead, last_target, most, seed, whole=whole)
        frame = design(self.panel, self.origins, rows, True)
        assert frame.y is not None
        keep = ~np.isnan(frame.y)
        return rows.take(keep), frame.take(keep)

    # --- the whole --------------------------------------------------------------------------------------------------
    def forecast(self) -> PanelForecast:
        """Compete, calibrate, learn again, forecast."""
        rows, held = self._rows(self.held, self.last, self.spec.most_held_out, self.spec.seed + 11, whole=True)
        assert held.y is not None
        means = statistical_means(self.panel, self.origins, rows, self.spec.model != "auto")
        boosted = self._compete(held)
        learned = self._forecast_held(boosted, held) if boosted is not None else None
        if learned is not None:
            self.shape = fit_shape(np.maximum(learned.mean, LEAST_MEAN * held.scale), learned.spread, held.y)
            means |= self._learned_means(held, learned)
        if self._ets_helps():
            means[ETS] = self._ets(rows)
        if self._harmonic_helps():
            means[HARMONIC] = self._harmonic_held(rows)
        choice, candidates = self._choose(rows, held, means)
        mean = choice.mean(held.segment, means)
        signals = self._signals(held, mean, learned)
        draws = self._draws(rows)
        expected = self._expect(held, mean, signals, draws)
        cells = cells_of(held.segment, held.horizon, self.edges)
        law = fit_panel_law(signals, held.y, cells, self.spec.levels, held.target_index)
        self.panel = with_effects(self._with_feasts(self.last), self.last)
        if feasts := self._feasts[self.last]:
            self.notes.append(feasts_said(feasts, self.panel.periods))
        self.origins = replace(self.origins, season=self.season)
        return self._answer(choice, candidates, expected, law, self._again(boosted))

    def _compete(self, held: Design) -> Boosted | None:
        if self.spec.model not in ("auto", BOOSTED, DIRECT):
            return None
        before = self.learn[self.origins.index[self.learn] < self.first_held]
        _, old = self._rows(before, int(self.first_held), self.spec.most_rows, self.spec.seed)
        assert old.y is not None
        few = old.rows < MIN_ROWS_BOOSTED or self.panel.n < 2
        if few or not (old.y > 0).any():
            if self.spec.model != "auto":
                what = "too few rows for a global model" if few else "nothing sold that a global model could learn from"
                raise BadInputError(what, where="panel", count=old.rows, todo="use --model auto")
            self.notes.append(
                f"no global model: {old.rows:,} rows to learn from, {MIN_ROWS_BOOSTED:,} are needed, and more than one series"
                if few else f"no global model: nothing sold up to {self.panel.day(self.first_held)}"
            )  # fmt: skip
            return None
        self.say(f"learning from {old.rows:,} rows up to {self.panel.day(int(self.first_held))}")
        return Boosted.compete(old, held, self.spec)

    def _forecast_held(self, first: Boosted, held: Design) -> Learned:
        """What the models say of the held-out rows; of the newer half after learning again in between, as they will at the end.

        A model of long ago errs in other ways than the one that answers in the end, and calibration would learn its errors.
        """
        learned = first.predict(held)
        middle = self._middle(held.origin_index)
        if middle is None:
            return learned
        before = self.learn[self.origins.index[self.learn] < middle]
        _, known = self._rows(before, middle, self.spec.most_rows, self.spec.seed)
        self.say(f"learning again from {known.rows:,} rows up to {self.panel.day(middle)}, {first.trees} trees")
        newer = held.origin_index >= middle
        learned.put(newer, Boosted.train(known, self.spec, first.trees).predict(held.take(newer)))
        return learned

    @staticmethod
    def _middle(origin: I64) -> int | None:
        """Origin from which on models learn again on the held-out periods; none where there are few."""
        origins = np.unique(origin)
        return int(origins[origins.size // 2]) if origins.size >= MIN_ORIGINS_AGAIN else None

    def _learned_means(self, frame: Design, learned: Learned) -> dict[str, F64]:
        """Mean forecasts of the global models: learned as such, and as the mean of the quantiles learned directly."""
        assert self.shape is not None
        centre = np.maximum(learned.mean, LEAST_MEAN * frame.scale)
        whole = on_grid(learned.direct, shape_quantiles(self.shape, centre, learned.spread))
        return {BOOSTED: learned.mean, DIRECT: mean_of(whole)}

    def _again(self, boosted: Boosted | None) -> Boosted | None:
        """The global model learned on everything, with as many trees as helped."""
        if boosted is None:
            return None
        _, everything = self._rows(self.learn, self.last, self.spec.most_rows, self.spec.seed + 1)
        self.say(f"learning from {everything.rows:,} rows up to {self.panel.day(self.last)}, {boosted.trees} trees")
        return Boosted.train(everything, self.spec, boosted.trees)

    def _ets_helps(self) -> bool:
        """Whether AutoETS competes: asked for, few fits, or a short season that others follow less well and time for it."""
        if self.spec.model != "auto":
            return self.spec.model == ETS
        fits = self.panel.n * (self.held.size + 1)
        seasonal = 1 < SEASON[self.panel.freq] <= MOST_ETS_SEASON and self.first_held > 3 * SEASON[self.panel.freq]
        return fits <= MOST_ETS_FITS or (seasonal and fits <= MOST_LIGHT_ETS_FITS)

    def _ets(self, rows: Rows) -> F64:
        """AutoETS of statsforecast for each series and origin of the rows."""
        out = np.zeros(rows.s.size)
        fits = self.panel.n * (self.held.size + 1)
        trend = self.spec.model == ETS or fits <= MOST_ETS_FITS
        self.say(f"fitting AutoETS to {np.unique(rows.s * self.origins.index.size + rows.o).size:,} histories")
        for position in np.unique(rows.o):
            pick = rows.o == position
            series = np.unique(rows.s[pick])
            ahead = auto_ets(self.panel, int(self.origins.index[position]), self.spec.horizon, series, trend=trend)
            out[pick] = [ahead[s][h - 1] for s, h in zip(rows.s[pick].tolist(), rows.h[pick].tolist(), strict=True)]
        return out

    def _harmonic_helps(self) -> bool:
        """Whether the harmonic regression competes: asked for, or something to regress on and not too many series."""
        if self.spec.model != "auto":
            return self.spec.model == HARMONIC
        return worth_trying(self.given, int(self.first_held))

    def _harmonic(self, last: int) -> Harmonic:
        """The harmonic regression as learned up to a period."""
        self.say(f"regressing {self.panel.n:,} series on calendar and covariates up to {self.panel.day(last)}")
        return Harmonic.fit(self._with_feasts(last), last, self.spec.horizon)

    def _harmonic_held(self, rows: Rows) -> F64:
        """Its means for the held-out rows; it learns again in between, as the global models do."""
        origin = self.origins.index[rows.o]
        out = self._harmonic(int(self.first_held)).means(rows.s, origin, rows.h)
        middle = self._middle(origin)
        if middle is not None:
            newer = origin >= middle
            out[newer] = self._harmonic(middle).means(rows.s[newer], origin[newer], rows.h[newer])
        return out

    def _choose(self, rows: Rows, held: Design, means: dict[str, F64]) -> tuple[Choice, pl.DataFrame]:
        assert held.y is not None
        forced = self.spec.model if self.spec.model != "auto" else ""
        window = rows.s * self.origins.index.size + rows.o
        judge = Judge(held, window, self._series_scale(held, rows))
        table: list[dict[str, Any]] = []
        chosen: dict[str, dict[str, float]] = {}
        factors: dict[str, float] = {}
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
            if not forced:
                mixed = np.sum([weight * some[m] for m, weight in chosen[name].items()], axis=0)
                factors[name] = deflator(part, mixed)
        return Choice(chosen, factors), pl.DataFrame(table)

    def _series_scale(self, held: Design, rows: Rows) -> F64:
        """Root of the mean squared one-step difference of each series (RMSSE's scale), not far below its level."""
        out = np.sqrt(scales(self.panel.y)[1])[rows.s]
        safe: F64 = np.maximum(np.nan_to_num(out), 0.3 * held.scale)
        return safe

    # --- distribution -----------------------------------------------------------------------------------------------
    def _signals(self, frame: Design, mean: F64, learned: Learned | None) -> Signals:
        """What the distribution is made from: its centre lies halfway between the mixture and the global model."""
        names = {name: i for i, name in enumerate(self.origins.names)}
        windows = WINDOWS[self.panel.freq]
        wide = np.nan_to_num(frame.x[:, [names[f"std_{w}"] for w in windows]].astype(np.float64))
        centre = mean if learned is None else 0.5 * (mean + learned.mean)
        if learned is not None:
            spread = learned.spread
        else:
            spread = np.maximum(wide[:, :2].max(axis=1) * frame.scale, 0.2 * mean + 0.05 * frame.scale)
        chance, direct = (None, None) if learned is None else (learned.chance, learned.direct)
        return Signals(
            np.maximum(centre, LEAST_MEAN * frame.scale), spread, wide[:, -1] * frame.scale, frame.scale, chance, direct
        )

    def _draws(self, rows: Rows) -> F64:
        """A number in [0, 1) per row that depends on its own keys and period only, spread evenly over a series' periods."""
        return even_draws(self.key_draws[rows.s], self.origins.index[rows.o] + rows.h)

    def _expect(self, held: Design, point: F64, signals: Signals, draws: F64) -> dict[str, dict[str, float]]:
        """Metrics on the newer half of the held-out rows, calibrated on the older half only."""
        assert held.y is not None
        middle = int(np.median(held.target_index))
        old = held.target_index <= middle
        new = ~old
        if old.sum() < 30 or new.sum() < 10:
            self.notes.append(
                "the history is too short to measure apart from calibrating: the expected error is optimistic"
            )
            old = new = np.ones(held.rows, dtype=bool)
        cells = cells_of(held.segment, held.horizon, self.edges)
        law = fit_panel_law(signals.take(old), held.y[old], cells[old], self.spec.levels, held.target_index[old])
        q = law.quantiles(signals.take(new), cells[new], draws[new])
        y, point, segment = held.y[new], point[new], held.segment[new]
        out = {"all": score(y, point, q, self.spec.levels)}
        for name in sorted(set(segment.tolist())):
            pick = segment == name
            out[name] = score(y[pick], point[pick], q[pick], self.spec.levels)
        return out

    def _answer(
        self, choice: Choice, candidates: pl.DataFrame, expected: dict[str, dict[str, float]], law: PanelLaw, final: Boosted | None
    ) -> PanelForecast:  # fmt: skip
        n, horizon = self.panel.n, self.spec.horizon
        position = np.flatnonzero(self.origins.index == self.last)
        mean, quantiles = np.empty((n, horizon)), np.empty((n, horizon, len(self.spec.levels)))
        harmonic = self._harmonic(self.last) if choice.uses(HARMONIC) else None
        step = max(1, 400_000 // horizon)
        for low in range(0, n, step):
            self.say(f"forecasting series {low + 1:,} to {min(low + step, n):,} of {n:,}")
            s = np.repeat(np.arange(low, min(low + step, n)), horizon)
            h = np.tile(np.arange(1, horizon + 1), s.size // horizon)
            rows = Rows(s, np.full(s.size, position[0]), h)
            frame = design(self.panel, self.origins, rows, False, self.ahead)
            means = statistical_means(self.panel, self.origins, rows, self.spec.model != "auto")
            learned = final.predict(frame) if final is not None else None
            if learned is not None:
                means |= self._learned_means(frame, learned)
            if choice.uses(ETS):
                means[ETS] = self._ets(rows)
            if harmonic is not None:
                means[HARMONIC] = harmonic.means(s, self.origins.index[rows.o], h)
            m = choice.mean(frame.segment, means)
            cells = cells_of(frame.segment, frame.horizon, self.edges)
            mean[s, h - 1] = m
            quantiles[s, h - 1] = law.quantiles(self._signals(frame, m, learned), cells, self._draws(rows))
        mean, quantiles = with_newcomers(self.panel, mean, quantiles, self.spec.levels, self.notes)
        if self.panel.freq == "D":
            weekday = np.array([self.panel.day(k).weekday() for k in range(self.panel.periods + horizon)])
            mean, quantiles, note = closed_as_zero(~np.isnan(self.panel.sales), weekday, mean, quantiles)
            self.notes += note
        frame_out = long_frame(self.panel, mean, quantiles, self.spec.levels)
        return PanelForecast(frame_out, choice.words(), expected, candidates, tuple(self.notes), quantiles)


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
