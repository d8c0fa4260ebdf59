"""A regression on calendar and covariates around a level that wanders: one member of a panel forecast, for all frequencies.

The mean of a period is exp(level + effects): weekday, place in the month and in the year (harmonics), numbers known ahead
(price, promotion), and one effect for each text (an event) and the days beside it. Where trees see an event of each kind once
a year at best, a regression carries its effect over; the two err differently, so that their mixture errs less than either.

Every effect is drawn towards zero, and each series' effects towards those of all series, as much as its own noise asks for
(ridge with prior deviations on the log scale; a series' noise is Pearson's dispersion). The level may move by a random walk
from one block of periods to the next, so a series that grows or dies is not read as a season.

Sources: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 10.5 (dynamic harmonic regression); Harvey
(1989), the local level; Wood (2017), Generalized Additive Models, 4.2 and 6.2 (penalised quasi-likelihood, log link).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from ml.models.base import F64
from ml.panel import PanelData
from ml.panel_feasts import FEAST
from ml.panel_rows import I64, YEAR

BLOCK = {"D": 7, "W": 1, "M": 1}
LEVEL_SD = {"D": 0.035, "W": 0.035, "M": 0.07}
HALF_LIFE = {"D": 1_000.0, "W": 143.0, "M": 33.0}
WEEKDAY_SD, YEAR_SD, MONTH_SD, MONTH_DAY_SD, NUMBER_SD, TEXT_SD = 0.5, 0.12, 0.15, 0.1, 0.3, 0.6
YEAR_HARMONICS, MONTH_HARMONICS = 3, 2
OWN_SHARE = 0.25
LEAST_YEARS = 1.5
LEAST_WEEKS = 8
MOST_TEXTS = 60
MOST_SHARED, MOST_SERIES, MOST_BESIDE = 300, 6_000, 500
SHARED_STEPS, OWN_STEPS, LEVEL_STEPS = 4, 3, 4
LEAST_NOISE = 1e-3
LOWEST, HIGHEST = -6.0, 3.0
TOGETHER, MOST_CELLS = 500, 4_000_000


@dataclass(frozen=True, slots=True)
class Regressors:
    """What all series are regressed on, and how far each effect may reach before data speak.

    Attributes:
        common: (periods, columns) columns that are alike for all series.
        deviations: prior standard deviation of each effect on the log scale, common columns first, then the series' own.
        weekend: (periods,) 1 on Saturdays and Sundays of daily panels, else 0.
        numbers: name of each numeric covariate to centre, spread, least and largest value seen, and whether logs are taken.
        codes: name of each covariate of texts to its codes seen.
    """

    common: F64
    deviations: F64
    weekend: F64
    numbers: dict[str, tuple[float, float, float, float, bool]]
    codes: dict[str, F64]

    def own(self, panel: PanelData, series: int) -> F64:
        """(periods, columns) the columns that may differ by series."""
        periods = self.common.shape[0]
        out = []
        for name, (centre, spread, least, most, logs) in self.numbers.items():
            given = np.clip(panel.future[name][series, :periods], least, most)
            value = ((np.log(given) if logs else given) - centre) / spread
            out.append(np.where(np.isnan(value), 0.0, value))
            if panel.freq == "D":
                out.append(out[-1] * self.weekend)
        for name, codes in self.codes.items():
            given = panel.future[name][series, :periods]
            for lag in _lags(panel, name):
                moved = np.full(periods, np.nan)
                moved[max(lag, 0) : periods + min(lag, 0)] = given[max(-lag, 0) : periods - max(lag, 0)]
                out.extend((moved[:, None] == codes).T.astype(np.float64))
        return np.array(out, dtype=np.float64).reshape(len(out), periods).T


def _lags(panel: PanelData, name: str) -> tuple[int, ...]:
    """Periods after a text's own in which it is felt too: before a day on which shops are closed people buy.

    The days beside a feast that was found are found too where they stand out; for large panels that must do, for time.
    """
    beside = panel.freq == "D" and (name != FEAST or panel.n <= MOST_BESIDE)
    return (0, -2, -1, 1) if beside else (0,)


def worth_trying(panel: PanelData, last: int) -> bool:
    """Whether there is something to regress on by `last`, and few enough series to do it for."""
    return panel.n <= MOST_SERIES and regressors(panel, last, last + 1).deviations.size > 0


def regressors(panel: PanelData, last: int, periods: int) -> Regressors:
    """Calendar and covariates of periods 0 … `periods` - 1; of sales nothing is read, of covariates what was known by `last`."""
    columns, deviations = [], []
    days = [panel.day(i) for i in range(periods)]
    angle = np.array([2 * np.pi * day.timetuple().tm_yday / 365.25 for day in days])
    weekday = np.array([day.weekday() for day in days])
    weekend = (weekday >= 5).astype(np.float64) if panel.freq == "D" else np.zeros(periods)
    yearly = last + 1 >= LEAST_YEARS * YEAR[panel.freq]
    if panel.freq == "D" and last + 1 >= 7 * LEAST_WEEKS:
        month = np.array([2 * np.pi * (day.day - 1) / 30.4 for day in days])
        columns += [(weekday == k) - 1 / 7 for k in range(7)]
        deviations += [WEEKDAY_SD] * 7
        for k in range(1, MONTH_HARMONICS + 1):
            columns += [np.sin(k * month), np.cos(k * month)]
            deviations += [MONTH_SD / k] * 2
        place = np.array([day.day for day in days])
        columns += [(place == k) - 12 / 365.25 for k in range(1, 32)]
        deviations += [MONTH_DAY_SD] * 31
        if yearly:
            columns += [np.sin(angle) * (weekend - 2 / 7), np.cos(angle) * (weekend - 2 / 7)]
            deviations += [YEAR_SD / 2] * 2
    if yearly:
        for k in range(1, YEAR_HARMONICS + 1):
            columns += [np.sin(k * angle), np.cos(k * angle)]
            deviations += [YEAR_SD / k] * 2
    common = np.array(columns, dtype=np.float64).reshape(len(columns), periods).T
    numbers, codes = _numbers(panel, last), _codes(panel, last)
    deviations += [sd for _ in numbers for sd in ((NUMBER_SD, NUMBER_SD / 2) if panel.freq == "D" else (NUMBER_SD,))]
    for name in codes:
        for lag in _lags(panel, name):
            deviations += [TEXT_SD if lag == 0 else 0.7 * TEXT_SD] * codes[name].size
    return Regressors(common, np.array(deviations), weekend, numbers, codes)


def _numbers(panel: PanelData, last: int) -> dict[str, tuple[float, float, float, float, bool]]:
    """Centre, spread, range and scale of each numeric covariate; what lies beyond the range seen counts as its end."""
    out = {}
    for name, wide in panel.future.items():
        if name in panel.texts:
            continue
        seen = wide[:, : last + 1]
        seen = seen[~np.isnan(seen)]
        logs = bool(seen.size and seen.min() > 0 and np.unique(seen[:: max(1, seen.size // 1_000)]).size > 2)
        value = np.log(seen) if logs else seen
        if seen.size and value.std() > 0:
            out[name] = (float(value.mean()), float(value.std()), float(seen.min()), float(seen.max()), logs)
    return out


def _codes(panel: PanelData, last: int) -> dict[str, F64]:
    """Codes of each covariate of texts seen by `last`, at most `MOST_TEXTS` of the most frequent ones."""
    out = {}
    for name in panel.texts:
        seen = panel.future[name][:, : last + 1]
        code, times = np.unique(seen[~np.isnan(seen)], return_counts=True)
        out[name] = np.sort(code[np.argsort(-times, kind="stable")[:MOST_TEXTS]])
    return out


@dataclass(frozen=True, slots=True)
class Blocks:
    """Stretches of periods that share a level, counted back from the newest period.

    Attributes:
        of: (periods,) block of each period.
        starts: first period of each block.
        stiffness: precision of a step of the level.
    """

    of: I64
    starts: I64
    stiffness: float

    @classmethod
    def ending(cls, last: int, freq: str) -> Blocks:
        """Blocks of periods 0 … `last`."""
        size = BLOCK[freq]
        count = -(-(last + 1) // size)
        of = (np.arange(last + 1) + count * size - last - 1) // size
        return cls(of, np.flatnonzero(np.diff(of, prepend=-1)), 1 / LEVEL_SD[freq] ** 2)

    def flat(self, z: F64, weight: F64, usual: F64 | float) -> F64:
        """(series, blocks) the same level in every block on the log scale: what sold over what is usual, to begin with."""
        told = np.maximum((weight * usual).sum(axis=1), 1e-9)
        level = np.log(np.maximum((weight * z).sum(axis=1) / told, np.exp(LOWEST)))
        return np.repeat(level[:, None], self.starts.size, axis=1)

    def solve(self, weight: F64, right: F64) -> F64:
        """Solve (diag(weight) + random walk) x = right for many series at once (Thomas' algorithm).

        Args:
            weight: (series, blocks) information on each block's level.
            right: (series, blocks, right-hand sides).
        """
        count = weight.shape[1]
        diagonal = weight + self.stiffness * (2.0 - (np.arange(count) == 0) - (np.arange(count) == count - 1)) + 1e-9
        out, ratio = right.copy(), np.empty_like(weight)
        ratio[:, 0] = diagonal[:, 0]
        for k in range(1, count):
            factor = self.stiffness / ratio[:, k - 1]
            ratio[:, k] = diagonal[:, k] - self.stiffness * factor
            out[:, k] += factor[:, None] * out[:, k - 1]
        out[:, -1] /= ratio[:, -1, None]
        for k in range(count - 2, -1, -1):
            out[:, k] = (out[:, k] + self.stiffness * out[:, k + 1]) / ratio[:, k, None]
        return out


@dataclass(frozen=True, slots=True)
class Working:
    """One step of iteratively reweighted least squares: weights and working responses of some series, (series, periods)."""

    weight: F64
    response: F64

    @classmethod
    def at(cls, z: F64, age_weight: F64, eta: F64) -> Working:
        """Quasi-Poisson with log link; a series' weights are over its dispersion."""
        mean = np.exp(np.clip(eta, LOWEST, HIGHEST))
        known = np.maximum(age_weight.sum(axis=1), 1e-9)
        noise = (age_weight * (z - mean) ** 2 / np.maximum(mean, 0.05)).sum(axis=1) / known
        weight = age_weight * mean / np.maximum(noise, LEAST_NOISE)[:, None]
        return cls(weight, np.clip(eta, LOWEST, HIGHEST) + (z - mean) / mean)


@dataclass(frozen=True, slots=True)
class Harmonic:
    """Effects of a panel learned up to one period.

    Attributes:
        z: (series, periods) demand over the series' unit, 0 where not known.
        known: (series, periods) whether demand is known, from the first sale on.
        unit: (series,) mean demand; 0 where nothing has sold.
        effects: (series, periods ahead of the panel included) sum of effects on the log scale.
        freq: frequency of the panel.
    """

    z: F64
    known: npt.NDArray[np.bool_]
    unit: F64
    effects: F64
    freq: str

    @classmethod
    def fit(cls, panel: PanelData, last: int, ahead: int) -> Harmonic:
        """Learn effects from what was known by `last`, for all periods up to `ahead` beyond the panel's own.

        Series that share a panel share days, so that n series count as the square root of n for what they have in common;
        beyond `MOST_SHARED` series some speak for all.
        """
        z, known, unit = _in_units(panel, last)
        table = regressors(panel, last, panel.periods + ahead)
        spoken = np.flatnonzero(unit > 0)
        with threadpool_limits(1, "blas"):  # sums of several threads differ in their last digit
            fit = _Fit(panel, table, last, z, known)
            shared = fit.shared(_some(spoken)) if spoken.size else fit.none
            effects = fit.effects(shared)
        return cls(z, known, unit, effects, panel.freq)

    def means(self, s: I64, origin: I64, h: I64) -> F64:
        """Mean forecasts of some rows: the level given what is known at the row's origin, times the target's effects."""
        out = np.zeros(s.size)
        for now in np.unique(origin):
            pick = np.flatnonzero(origin == now)
            series, place = np.unique(s[pick], return_inverse=True)
            level = np.concatenate([self._levels(part, int(now)) for part in _chunks(series, TOGETHER)])
            out[pick] = np.exp(level[place] + self.effects[s[pick], now + h[pick]]) * self.unit[s[pick]]
        return out

    def _levels(self, series: I64, now: int) -> F64:
        """Level of some series at one origin on the log scale, of periods up to it."""
        z, effects = self.z[series, : now + 1], self.effects[series, : now + 1]
        weight = _age_weight(self.known[series, : now + 1], self.freq)
        blocks = Blocks.ending(now, self.freq)
        level = blocks.flat(z, weight, np.exp(effects))
        for _ in range(LEVEL_STEPS):
            step = Working.at(z, weight, effects + level[:, blocks.of])
            sums = np.add.reduceat(step.weight, blocks.starts, axis=1)
            right = np.add.reduceat(step.weight * (step.response - effects), blocks.starts, axis=1)
            level = np.clip(blocks.solve(sums, right[:, :, None])[:, :, 0], LOWEST, HIGHEST)
        out: F64 = level[:, -1]
        return out


class _Fit:
    """Effects by Newton's steps: levels are eliminated block by block, effects solved, levels put back; some series at a time."""

    def __init__(self, panel: PanelData, table: Regressors, last: int, z: F64, known: npt.NDArray[np.bool_]) -> None:
        self.panel, self.table = panel, table
        self.periods = last + 1
        self.z = z[:, : self.periods]
        self.weight = _age_weight(known[:, : self.periods], panel.freq)
        self.blocks = Blocks.ending(last, panel.freq)
        self.none = np.zeros(table.deviations.size)
        self.together = max(1, MOST_CELLS // (table.common.shape[0] * (self.none.size + 1)))

    def columns(self, series: I64) -> F64:
        """(series, periods, columns) all columns of some series."""
        out = np.empty((series.size, self.table.common.shape[0], self.none.size))
        out[:, :, : self.table.common.shape[1]] = self.table.common
        kept: dict[bytes, F64] = {}
        for i, s in enumerate(series.tolist()):
            key = b"".join(wide[s].tobytes() for wide in self.panel.future.values())
            if key not in kept:
                kept[key] = self.table.own(self.panel, s)
            out[i, :, self.table.common.shape[1] :] = kept[key]
        return out

    def _start(self, series: I64) -> F64:
        return self.blocks.flat(self.z[series], self.weight[series], 1.0)

    def _step(self, series: I64, x: F64, beta: F64, level: F64) -> tuple[F64, F64, F64]:
        """Normal equations of each series' effects with the levels eliminated (Schur complement), and what puts the levels back.

        Args:
            series: series.
            x: their columns, of known periods.
            beta: (series, columns) effects.
            level: (series, blocks) levels.
        """
        eta = (x @ beta[:, :, None])[:, :, 0] + level[:, self.blocks.of]
        step = Working.at(self.z[series], self.weight[series], eta)
        weighted = x * step.weight[:, :, None]
        told = step.weight * step.response
        by_block = np.add.reduceat(np.concatenate([weighted, told[:, :, None]], axis=2), self.blocks.starts, axis=1)
        sums = np.add.reduceat(step.weight, self.blocks.starts, axis=1)
        back = self.blocks.solve(sums, by_block)
        p = x.shape[2]
        levels = by_block[:, :, :p].transpose(0, 2, 1) @ back
        left = x.transpose(0, 2, 1) @ weighted - levels[:, :, :p]
        return left, (x.transpose(0, 2, 1) @ told[:, :, None])[:, :, 0] - levels[:, :, p], back

    def shared(self, series: I64) -> F64:
        """Effects that all series have in common."""
        beta, levels = self.none, self._start(series)
        for _ in range(SHARED_STEPS):
            left, right, backs = np.diag(self.table.deviations**-2.0), np.zeros(beta.size), []
            for places in _chunks(np.arange(series.size), self.together):
                part = series[places]
                x = self.columns(part)[:, : self.periods]
                a, b, back = self._step(part, x, np.tile(beta, (part.size, 1)), levels[places])
                left = left + a.sum(axis=0) / np.sqrt(series.size)
                right = right + b.sum(axis=0) / np.sqrt(series.size)
                backs.append(back)
            beta = _solved(left, right)
            levels = _put_back(np.concatenate(backs), np.tile(beta, (series.size, 1)))
        return beta

    def effects(self, shared: F64) -> F64:
        """(series, periods) sum of effects of every series, its own drawn towards those in common."""
        out = np.empty((self.panel.n, self.table.common.shape[0]))
        for series in _chunks(np.arange(self.panel.n), self.together):
            x = self.columns(series)
            beta = self._own(series, x[:, : self.periods], shared)
            out[series] = (x @ beta[:, :, None])[:, :, 0]
        return out

    def _own(self, series: I64, x: F64, shared: F64) -> F64:
        """Effects of some series; those of one that has not sold are the ones in common."""
        precision = (OWN_SHARE * self.table.deviations) ** -2.0
        beta, level = np.tile(shared, (series.size, 1)), self._start(series)
        for _ in range(OWN_STEPS):
            left, right, back = self._step(series, x, beta, level)
            beta = _solved(left + np.diag(precision), (right + precision * shared)[:, :, None])[:, :, 0]
            level = _put_back(back, beta)
        return beta


def _solved(left: F64, right: F64) -> F64:
    return np.asarray(np.linalg.solve(left, right), dtype=np.float64)


def _put_back(back: F64, beta: F64) -> F64:
    """(series, blocks) levels, given the effects that were solved without them."""
    out: F64 = np.clip(back[:, :, -1] - (back[:, :, :-1] @ beta[:, :, None])[:, :, 0], LOWEST, HIGHEST)
    return out


def _some(series: I64) -> I64:
    """At most `MOST_SHARED` series, evenly spread over their order."""
    return series[np.unique(np.linspace(0, series.size - 1, MOST_SHARED).astype(np.int64))]


def _chunks(series: I64, size: int) -> list[I64]:
    return [series[low : low + size] for low in range(0, series.size, size)]


def _age_weight(known: npt.NDArray[np.bool_], freq: str) -> F64:
    out: F64 = known * 0.5 ** (np.arange(known.shape[1])[::-1] / HALF_LIFE[freq])
    return out


def _in_units(panel: PanelData, last: int) -> tuple[F64, npt.NDArray[np.bool_], F64]:
    """Demand over each series' mean of the newest year known by `last`, from the first sale on; the mean."""
    y = np.nan_to_num(panel.y)
    known = ~np.isnan(panel.y)
    known &= np.logical_or.accumulate(known & (y > 0), axis=1)
    y = np.where(known, y, 0.0)
    unit: F64 = np.zeros(panel.n)
    for first in (0, max(0, last + 1 - YEAR[panel.freq])):
        total, count = y[:, first : last + 1].sum(axis=1), known[:, first : last + 1].sum(axis=1)
        unit = np.where(total > 0, total / np.maximum(count, 1), unit)
    z = np.divide(y, unit[:, None], out=np.zeros_like(y), where=unit[:, None] > 0)
    return z, known, unit
