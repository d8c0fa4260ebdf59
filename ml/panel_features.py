"""Features of any panel at chosen origins, and designs of (series, origin, horizon) rows made from them.

The same kernels as the nightly features (`ml.windows`), on the wide arrays of `ml.panel`. Everything an origin's features
read lies at or before the origin; what a target's features read is known ahead (calendar, covariates) or lies at or before
the origin (seasonal lags). Series are computed in blocks, so that memory does not grow with the panel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.models.base import F32, F64, Design, Labels
from ml.models.statistical import FLAT, demand_class, ses, window_average
from ml.panel import PanelData
from ml.panel_month import MonthDays
from ml.panel_rows import I64, SEASON, YEAR
from ml.panel_season import SharedSeason
from ml.windows import WindowSums, last_true, shift

LAGS: Mapping[str, tuple[int, ...]] = {
    "D": (0, 1, 2, 3, 4, 5, 6, 13, 20, 27),
    "W": (0, 1, 2, 3, 4, 5, 7, 12),
    "M": (0, 1, 2, 3, 4, 5, 11),
}
WINDOWS: Mapping[str, tuple[int, ...]] = {"D": (7, 28, 91, 182), "W": (4, 8, 13, 26, 52), "M": (3, 6, 12, 24)}
LONG: Mapping[str, int] = {"D": 182, "W": 52, "M": 24}
AROUND: Mapping[str, int] = {"D": 28, "W": 5, "M": 3}
NEW: Mapping[str, int] = {"D": 28, "W": 8, "M": 4}
BLOCK_CELLS = 4_000_000
NEVER = np.int64(-(1 << 40))


@dataclass(frozen=True, slots=True)
class Origins:
    """What every series looks like at every chosen origin.

    Attributes:
        index: (origins,) period index of each origin.
        x: (series, origins, features) ratios to the scale, in 32 bits.
        names: feature names.
        scale: (series, origins) level in units of the target.
        segment: (series, origins) demand class.
        flat: flat statistical forecasts by name, (series, origins).
        known: (series, origins) whether anything is known by then.
        smooth: (series, periods) mean of the last few periods (`AROUND`), for comparisons with last year.
        season: season that series share, if any.
        months: effects by day of the month, of daily panels.
    """

    index: I64
    x: F32
    names: tuple[str, ...]
    scale: F64
    segment: Labels
    flat: dict[str, F64]
    known: npt.NDArray[np.bool_]
    smooth: F64
    season: SharedSeason | None = None
    months: MonthDays | None = None

    def times(self, rows: Rows, window: int) -> F64:
        """(rows,) what a level of the `window` periods up to the origin is multiplied by for the season that series share."""
        if self.season is None:
            return np.ones(rows.s.size)
        return self.season.ratio(rows.s, self.index[rows.o], rows.h, window)


def origin_features(panel: PanelData, index: I64, season: SharedSeason | None = None) -> Origins:
    """Features, scale, class and flat forecasts of every series at the given origins."""
    n, o = panel.n, index.size
    width = panel.periods
    step = max(1, BLOCK_CELLS // max(width, 1))
    x: F32 | None = None
    scale, segment, known = np.empty((n, o)), np.empty((n, o), dtype="<U12"), np.empty((n, o), dtype=bool)
    flat: dict[str, F64] = {}
    names: tuple[str, ...] = ()
    for low in range(0, n, step):
        rows = slice(low, min(low + step, n))
        columns, block_scale, block_class, block_flat = _block(panel.y[rows], panel.freq, index)
        if x is None:
            names = tuple(columns)
            x = np.empty((n, o, len(names)), dtype=np.float32)
            flat = {name: np.empty((n, o)) for name in block_flat}
        for i, values in enumerate(columns.values()):
            x[rows, :, i] = values
        scale[rows], segment[rows] = block_scale, block_class
        known[rows] = np.logical_or.accumulate(~np.isnan(panel.y[rows]), axis=1)[:, index]
        for name, values in block_flat.items():
            flat[name][rows] = values
    assert x is not None
    floor = _floor(scale, known)
    x = _rescaled(x, scale, floor, names)
    smooth = window_average(panel.y, AROUND[panel.freq])
    months = MonthDays.of(panel)
    return Origins(index, x, names, np.maximum(scale, floor), segment, flat, known, smooth, season, months)


def _floor(scale: F64, known: npt.NDArray[np.bool_]) -> float:
    positive = scale[known & (scale > 0)]
    return float(0.3 * np.quantile(positive, 0.02)) if positive.size else 1.0


def _rescaled(x: F32, scale: F64, floor: float, names: Sequence[str]) -> F32:
    """Divide what is in units of the target by the floored scale, and add the scale itself."""
    safe = np.maximum(scale, floor).astype(np.float32)
    for i, name in enumerate(names):
        if name.startswith(("lag_", "mean_", "std_", "max_", "ses_", "flat_")):
            x[:, :, i] /= safe
        elif name == "log_scale":
            x[:, :, i] = np.log(safe)
    return x


def _block(y: F64, freq: str, index: I64) -> tuple[dict[str, F64], F64, Labels, dict[str, F64]]:
    known = ~np.isnan(y)
    ones, sold = known.astype(np.float64), np.where(known, y, 0.0)
    count, total, square = WindowSums(ones), WindowSums(sold), WindowSums(sold * sold)
    zeros = WindowSums((known & (y == 0)).astype(np.float64))
    long = LONG[freq]
    n_long = count.over(long)[:, index]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_long = total.over(long)[:, index] / n_long
        power = square.over(long)[:, index] / n_long
        zero_long = zeros.over(long)[:, index] / n_long
        scale = np.nan_to_num(np.sqrt(mean_long * np.sqrt(power)))  # between the mean and the root mean square
        out: dict[str, F64] = {f"lag_{k}": shift(y, k)[:, index] for k in LAGS[freq]}
        for w in WINDOWS[freq]:
            n = count.over(w)[:, index]
            mean = total.over(w)[:, index] / n
            out[f"mean_{w}"] = mean
            out[f"std_{w}"] = np.sqrt(np.maximum(square.over(w)[:, index] / n - mean * mean, 0.0))
            out[f"zero_frac_{w}"] = zeros.over(w)[:, index] / n
        adi, cv2 = 1.0 / (1.0 - zero_long), power * (1.0 - zero_long) / mean_long**2 - 1.0
    age = np.cumsum(known, axis=1)[:, index]
    segment = demand_class(
        np.nan_to_num(adi, nan=np.inf, posinf=np.inf), np.nan_to_num(cv2, posinf=0.0), age < NEW[freq]
    )
    last = last_true(known & (y > 0), np.full(y.shape[0], NEVER))[:, index]
    out["log_since_sale"] = np.where(last > NEVER, np.log1p(index[None, :] - last), np.nan)
    out["log_age"] = np.log1p(age).astype(np.float64)
    flat = {name: rule(y)[:, index] for name, rule in FLAT.items()}
    flat |= {f"mean_{w}": window_average(y, w)[:, index] for w in WINDOWS[freq]}
    out |= {f"flat_{name}": flat[name] for name in ("ses", "croston_sba", "tsb", "imapa")}
    out["ses_05"] = ses(y, 0.05)[:, index]
    out["log_scale"] = np.zeros_like(scale)
    return out, scale, segment, flat


@dataclass(frozen=True, slots=True)
class Rows:
    """Which series, origin (position in `Origins.index`) and horizon each row of a design is."""

    s: I64
    o: I64
    h: I64

    def take(self, pick: npt.NDArray[np.bool_] | I64) -> Rows:
        """A part of the rows."""
        return Rows(self.s[pick], self.o[pick], self.h[pick])


def all_rows(
    origins: Origins,
    positions: I64,
    horizon: int,
    last_target: int,
    most: int,
    seed: int,
    *,
    every: bool = False,
    whole: bool = False,
) -> Rows:
    """Rows of series × origins × horizons whose target lies at or before `last_target`, a random sample of at most about `most`.

    Args:
        origins: see `origin_features`.
        positions: positions of the origins wanted.
        horizon: horizons 1 … `horizon`.
        last_target: newest period allowed as target.
        most: number of rows to sample down to.
        seed: seed of the sample.
        every: keep series of which nothing is known yet (scoring has to answer for all).
        whole: sample series and origins with all their horizons, not single rows.
    """
    n = origins.scale.shape[0]
    allowed = np.minimum(horizon, last_target - origins.index[positions])
    total = n * int(np.maximum(allowed, 0).sum())
    rng = np.random.default_rng(seed)
    parts: list[tuple[I64, I64, I64]] = []
    for position, limit in zip(positions, allowed, strict=True):
        if limit < 1:
            continue
        s, h = np.repeat(np.arange(n), limit), np.tile(np.arange(1, limit + 1), n)
        keep = np.ones(s.size, dtype=bool)
        if total > most:
            keep = np.repeat(rng.random(n), limit) < most / total if whole else rng.random(s.size) < most / total
        keep &= every | origins.known[s, position]
        parts.append((s[keep], np.full(int(keep.sum()), position), h[keep]))
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Rows(empty, empty, empty)
    s_all, o_all, h_all = (np.concatenate([p[i] for p in parts]) for i in range(3))
    return Rows(s_all, o_all, h_all)


def design(panel: PanelData, origins: Origins, rows: Rows, with_target: bool, most_ahead: int = 1 << 30) -> Design:
    """The model's input for some rows, with actuals when `with_target`; horizons beyond `most_ahead` read as that one."""
    scale = origins.scale[rows.s, rows.o]
    origin = origins.index[rows.o]
    target = origin + rows.h
    columns = _seasonal(panel, rows.s, origin, rows.h, scale)
    if panel.freq == "D":
        columns |= _yearly(panel, origins.smooth, rows.s, origin, rows.h)
    columns |= _calendar(panel, target, np.minimum(rows.h, most_ahead))
    if origins.months is not None:
        columns |= origins.months.columns(rows.s, origin, rows.h)
    columns |= _future(panel, rows.s, origin, target)
    columns |= {name: values[rows.s] for name, values in panel.static.items()}
    shared = origins.times(rows, LONG[panel.freq])
    if origins.season is not None:
        columns["shared_season"] = shared
    x = np.empty((rows.s.size, len(origins.names) + len(columns)), dtype=np.float32)
    x[:, : len(origins.names)] = origins.x[rows.s, rows.o]
    for i, values in enumerate(columns.values()):
        x[:, len(origins.names) + i] = values
    coded = tuple(c for c in ("period_code",) if c in columns) + panel.coded
    y = panel.y[rows.s, target] if with_target else None
    names = clean_names((*origins.names, *columns))
    return Design(
        x, names, clean_names(coded), scale * shared, origins.segment[rows.s, rows.o],
        rows.h.astype(np.int32), target, origin, y, None,
    )  # fmt: skip


def clean_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names that LightGBM accepts: letters, digits and underscores."""
    return tuple(re.sub(r"[^0-9A-Za-z_]", "_", name) for name in names)


def _at(panel: PanelData, s: I64, column: I64, origin: I64) -> F64:
    """Values at some columns, NaN where they lie before the panel or after the origin."""
    ok = (column >= 0) & (column <= origin)
    out: F64 = np.where(ok, panel.y[s, np.clip(column, 0, panel.periods - 1)], np.nan)
    return out


def _mean(values: list[F64]) -> F64:
    stacked = np.array(values)
    n = (~np.isnan(stacked)).sum(axis=0)
    out: F64 = np.where(n > 0, np.nansum(stacked, axis=0) / np.maximum(n, 1), np.nan)
    return out


def seasonal_columns(panel: PanelData, s: I64, origin: I64, h: I64) -> dict[str, F64]:
    """Values of the same phase of earlier seasons, in units of the target: last one, mean of four, around a year ago."""
    season, year = SEASON[panel.freq], YEAR[panel.freq]
    back = -(-h // season) * season
    target = origin + h
    same = [_at(panel, s, target - back - k * season, origin) for k in range(4 if panel.freq == "D" else 2)]
    out = {"same_phase": same[0], "same_phase_mean": _mean(same)}
    around = [_at(panel, s, target - year + k, origin) for k in (-1, 0, 1)]
    out["year_ago_mean"] = _mean(around)
    before = [_at(panel, s, origin - year + k, origin) for k in range(-3, 1)]
    out["origin_year_ago_mean"] = _mean(before)
    if panel.freq == "D":
        out["year_ago"] = _at(panel, s, target - year, origin)
    return out


def _seasonal(panel: PanelData, s: I64, origin: I64, h: I64, scale: F64) -> dict[str, F64]:
    return {name: values / scale for name, values in seasonal_columns(panel, s, origin, h).items()}


def _yearly(panel: PanelData, smooth: F64, s: I64, origin: I64, h: I64) -> dict[str, F64]:
    """How last year went on from the origin's day to the target's, and how this year compares with it, as ratios."""
    around, year = AROUND[panel.freq], YEAR[panel.freq]

    def mean(column: I64) -> F64:
        ok = (column >= 0) & (column <= origin)
        return np.where(ok, smooth[s, np.clip(column, 0, panel.periods - 1)], np.nan)

    then, ahead = mean(origin - year), mean(origin + h - year + around // 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "year_ahead_growth": np.where(then > 0, ahead / then, np.nan),
            "year_growth": np.where(then > 0, mean(origin) / then, np.nan),
        }


def _calendar(panel: PanelData, target: I64, h: I64) -> dict[str, F64]:
    index = np.arange(int(target.min(initial=0)), int(target.max(initial=0)) + 1)
    days = [panel.day(int(i)) for i in index]
    angle = np.array([2 * np.pi * day.timetuple().tm_yday / 365.25 for day in days])
    place = target - index[0]
    out: dict[str, F64] = {"horizon": h.astype(np.float64)}
    if panel.freq == "D":
        out["period_code"] = np.array([float(day.weekday()) for day in days])[place]
        out["day_of_month"] = np.array([float(day.day) for day in days])[place]
    elif panel.freq == "M":
        out["period_code"] = np.array([float(day.month) for day in days])[place]
    for k in (1, 2):
        out[f"year_sin_{k}"], out[f"year_cos_{k}"] = np.sin(k * angle)[place], np.cos(k * angle)[place]
    return out


def _future(panel: PanelData, s: I64, origin: I64, target: I64) -> dict[str, F64]:
    """Known-ahead covariates at the target: as they are, over their recent mean at the origin, and against the origin's value."""
    out: dict[str, F64] = {}
    for name in panel.future:
        wide = panel.ahead(name)
        of = s if wide.shape[0] == panel.n else np.zeros_like(s)
        value, now = wide[of, target], wide[of, origin]
        recent = window_average(wide[:, : panel.periods], WINDOWS[panel.freq][2])[of, origin]
        out[f"ahead_{name}"] = value
        with np.errstate(invalid="ignore", divide="ignore"):
            out[f"ahead_{name}_rel"] = np.where(recent != 0, value / recent, np.nan)
        out[f"ahead_{name}_step"] = value - now
    return out
