"""The season that series of a panel share: how sales of a group moved around their level at this time of earlier years.

One series a year ago is mostly noise, and a forecast judged on calm periods never learns what a peak asks for. The sum over all
series, or over those that share a key (a department, a store), shows the peak clearly. How far last year's movement comes back
is regressed on the panel's own history; only movements that stand out are carried over, and only where one lies ahead: elsewhere
the models do better by themselves. Weeks and months only: of a daily panel the trees read the day a year ago, and do better too.

Sources: Dalhart (1974), Withycombe (1989), Bunn and Vassilopoulos (1993), group seasonal indices; Chen and Boylan (2007), when
they serve better than individual ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.models.base import F64
from ml.panel import PanelData
from ml.panel_rows import I64, YEAR

LEVEL: Mapping[str, int] = {"W": 13, "M": 12}  # periods around that say what is usual
TRUST_ROWS = 10  # rows of an average series that say "as usual" beside those of a group
MOST_YEARS = 3
YEARS_OF_DOUBT = 0.33  # that say a movement will not fall into the same period
LEAST_T = 3.0  # of an effect's repetition over its standard error
LEAST_PAIRS = 12  # periods with one a year before
STANDS_OUT = 2.0  # deviations (by the median) from the usual
TO_NORMAL = 1.4826  # median absolute deviation to standard deviation
LEAST_AHEAD = 0.1  # mean movement of sales in the strongest period ahead
MOST_EFFECT = 1.6  # on the log scale: five times the usual
MOST_OWN_CELLS = 20_000_000
MOST_MEDIAN_CELLS = 10_000_000
LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class SharedSeason:
    """Expected movement of every series' groups in every period, on the log scale.

    Attributes:
        members: for each grouping (series,) number of the group of each series.
        tables: for each grouping (groups, periods + horizon) what it adds.
    """

    members: tuple[I64, ...]
    tables: tuple[F64, ...]

    def ratio(self, s: I64, origin: I64, h: I64, window: int) -> F64:
        """(rows,) what a level of the `window` periods up to the origin has to be multiplied by for the target's period."""
        usual = tuple(_trailing(table, window) for table in self.tables)
        moved = self._sum(self.tables, s, origin + h) - self._sum(usual, s, origin)
        out: F64 = np.exp(np.clip(moved, -MOST_EFFECT, MOST_EFFECT))
        return out

    def strongest(self, panel: PanelData) -> float:
        """Movement of the strongest period after the panel's last: mean over series, weighted by what they sold in a year."""
        weight = np.nansum(panel.y[:, -YEAR[panel.freq] :], axis=1)
        if not self.tables or weight.sum() <= 0:
            return 0.0
        ahead = range(panel.periods, self.tables[0].shape[1])
        each = np.arange(panel.n)
        moved = [np.abs(self._sum(self.tables, each, np.full(panel.n, t))) @ weight for t in ahead]
        return float(max(moved) / weight.sum())

    def _sum(self, tables: tuple[F64, ...], s: I64, t: I64) -> F64:
        out = np.zeros(s.size)
        for member, table in zip(self.members, tables, strict=True):
            out += table[member[s], t]
        return out


def peak_ahead(panel: PanelData, horizon: int) -> SharedSeason | None:
    """The season that series share, where it moves sales ahead by more than they usually move; else none."""
    season = shared_season(panel, panel.periods - 1, horizon)
    return season if season.strongest(panel) >= LEAST_AHEAD else None


def shared_season(panel: PanelData, last: int, horizon: int) -> SharedSeason:
    """What earlier years say of every period: outstanding movements of all series, of groups by each key, and of each series.

    Args:
        panel: the panel.
        last: newest period whose sales are read.
        horizon: periods after the panel's last to speak of.
    """
    year = YEAR[panel.freq]
    if panel.freq not in LEVEL or last + 1 < year + LEAST_PAIRS:
        return SharedSeason((), ())
    y = panel.y[:, : last + 1]
    members: list[I64] = []
    tables: list[F64] = []
    common, explained = np.zeros((1, last + 1)), np.zeros((panel.n, last + 1))
    for member in _groupings(panel):
        groups = int(member.max(initial=0)) + 1
        single = groups == panel.n > 1
        moved = _movements(y, member, LEVEL[panel.freq], single)
        moved -= explained if single else common
        table = _carried(moved, panel.periods + horizon, year)
        if table is None:
            continue
        members.append(member)
        tables.append(table)
        common = moved if groups == 1 else common
        explained += moved[member]
    return SharedSeason(tuple(members), tuple(tables))


def _groupings(panel: PanelData) -> list[I64]:
    """Numbers of the groups: all series together, those that share one key (several series to a value), each series for itself."""
    out = [np.zeros(panel.n, dtype=np.int64)]
    for name in panel.key_names:
        codes = panel.keys[name].rank("dense").to_numpy().astype(np.int64) - 1
        if codes.max(initial=0) >= 1 and codes.max() + 1 <= panel.n / 3:
            out.append(codes)
    if panel.n > 1 and panel.y.size <= MOST_OWN_CELLS:
        out.append(np.arange(panel.n, dtype=np.int64))
    return out


def _movements(y: F64, member: I64, window: int, single: bool) -> F64:
    """(groups, periods) log of what each group sold over its level around each period.

    The level leaves out periods that stand out, so that a peak does not turn the calm periods beside it into dips.
    """
    known = ~np.isnan(y)
    sold = np.where(known, y, 0.0)
    doubt = sold.mean(axis=1, keepdims=True) if single else TRUST_ROWS * float(sold.sum() / max(known.sum(), 1))
    total = _totals(member, sold)
    first = _log_ratio(total, _median_around(total, window), doubt)
    calm = known & ~_stands_out(first, first)[member]
    count = _around(calm.astype(np.float64), window)
    level = _around(np.where(calm, sold, 0.0), window) / np.maximum(count, 1.0)
    return _log_ratio(total, _totals(member, np.where(known, np.where(count > 0, level, sold), 0.0)), doubt)


def _totals(member: I64, values: F64) -> F64:
    """(groups, periods) sums over the series of each group."""
    out = np.zeros((int(member.max(initial=0)) + 1, values.shape[1]))
    np.add.at(out, member, values)
    return out


def _log_ratio(found: F64, expected: F64, doubt: F64 | float) -> F64:
    """Log of what was found over what was expected, both with `doubt` units more."""
    pseudo = np.maximum(doubt, LEAST)
    out: F64 = np.log((found + pseudo) / (expected + pseudo))
    return out


def _stands_out(values: F64, moved: F64) -> npt.NDArray[np.bool_]:
    """Which of some movements are larger than those of their group usually are."""
    usual = STANDS_OUT * TO_NORMAL * np.median(np.abs(moved), axis=1, keepdims=True)
    out: npt.NDArray[np.bool_] = np.abs(values) > usual
    return out


def _around(values: F64, window: int) -> F64:
    """Sums over a window around each period, cut at the edges."""
    total = np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)
    at = np.arange(values.shape[1])
    low, high = np.maximum(at - window // 2, 0), np.minimum(at + (window - 1) // 2 + 1, values.shape[1])
    out: F64 = total[:, high] - total[:, low]
    return out


def _median_around(values: F64, window: int) -> F64:
    """Median of a window around each period, moved inside at the edges."""
    at = np.clip(np.arange(values.shape[1]) - window // 2, 0, values.shape[1] - window)
    step = max(1, MOST_MEDIAN_CELLS // (values.shape[1] * window))
    parts = [
        np.median(np.lib.stride_tricks.sliding_window_view(values[low : low + step], window, axis=1), axis=2)
        for low in range(0, values.shape[0], step)
    ]
    out: F64 = np.concatenate(parts)[:, at]
    return out


def _carried(moved: F64, width: int, year: int) -> F64 | None:
    """(groups, width) what of the movements of earlier years is expected again; None where they do not come back.

    What few years have seen may fall into another period (a feast that moves): it counts less.
    """
    before, years = _years_before(moved, width, year)
    outstanding = np.where(np.isnan(before) | _stands_out(before, moved), before, 0.0)
    share = _repeats(moved, before[:, : moved.shape[1]])
    if share <= 0:
        return None
    share = max(share, _repeats(moved, outstanding[:, : moved.shape[1]]))
    out: F64 = share * np.nan_to_num(outstanding) * years / (years + YEARS_OF_DOUBT)
    return out


def _years_before(moved: F64, width: int, year: int) -> tuple[F64, F64]:
    """(groups, width) mean movement one, two and three years before, NaN where there is none; (width,) how many of them there are."""
    total, count = np.zeros((moved.shape[0], width)), np.zeros(width)
    for k in range(1, MOST_YEARS + 1):
        n = min(width - k * year, moved.shape[1])
        if n > 0:
            total[:, k * year : k * year + n] += moved[:, :n]
            count[k * year : k * year + n] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def _repeats(moved: F64, before: F64) -> float:
    """Share of an earlier movement that comes back, at most 1; 0 where that is not sure.

    Least squares through the origin; the standard error takes all groups of a period as one answer.
    """
    known = ~np.isnan(before)
    periods = known.any(axis=0)
    if periods.sum() < LEAST_PAIRS:
        return 0.0
    x = np.where(known, before, 0.0)
    power = float((x * x).sum())
    if power <= 0:
        return 0.0
    share = float((x * moved).sum() / power)
    each = (x * (moved - share * x)).sum(axis=0)[periods]
    error = np.sqrt(float((each * each).sum())) / power
    return min(share, 1.0) if share > LEAST_T * error else 0.0


def _trailing(table: F64, window: int) -> F64:
    """Mean over the `window` columns up to each one."""
    total = np.concatenate([np.zeros((table.shape[0], 1)), np.cumsum(table, axis=1)], axis=1)
    at = np.arange(table.shape[1])
    low = np.maximum(at + 1 - window, 0)
    out: F64 = (total[:, at + 1] - total[:, low]) / (at + 1 - low)
    return out
