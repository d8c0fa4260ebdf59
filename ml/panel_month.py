"""What each series sells on each day of the month over a usual day: paydays, benefits, ends of months.

A day is held against the mean of the 28 days around it and against what its weekday usually sells over such means; the mean of
that by day of the month, newer months weighing more, is drawn towards none. At an origin it holds only days whose surroundings
lie at or before the origin, so that it may be given to a model that learns from many origins. Days that a text names are left
out, or 25 December would speak for the 25th of every month.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from ml.models.base import F64
from ml.panel import PanelData
from ml.windows import WindowSums

I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
AROUND, BEHIND = 28, 14
LEAST_KNOWN = 20
WEEKS, LEAST_WEEKS = 26, 8
HALF_LIFE_MONTHS = 24.0
DRAWN = 1.5  # months that say "a day like any other" beside those seen
MOST = 3.0
BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class MonthDays:
    """Effects by day of the month as known at any origin.

    Attributes:
        effect: (series, months, 31) share above a usual day, by what was known when that day of that month was.
        first: first period of the panel.
    """

    effect: F32
    first: date

    @classmethod
    def of(cls, panel: PanelData) -> MonthDays | None:
        """Effects of a daily panel, none where too little is known; None for others."""
        if panel.freq != "D":
            return None
        month, day = _place(panel.first, np.arange(panel.periods))
        weekday = (panel.first.weekday() + np.arange(panel.periods)) % 7
        effect = np.empty((panel.n, int(month[-1]) + 1, 31), dtype=np.float32)
        step = max(1, BLOCK_CELLS // panel.periods)
        for low in range(0, panel.n, step):
            block = slice(low, low + step)
            effect[block] = _by_day(_over_usual(panel.unnamed(block), weekday), month, day)
        return cls(effect, panel.first)

    def columns(self, s: I64, origin: I64, h: I64) -> dict[str, F64]:
        """Effect of the target's day of the month, and the mean effect of the week up to the origin, per row."""
        known = _place(self.first, np.maximum(origin - BEHIND, 0))
        week = [self._at(s, known, np.maximum(origin - k, 0)) for k in range(7)]
        return {"month_day": self._at(s, known, origin + h), "month_day_week": np.mean(week, axis=0)}

    def _at(self, s: I64, known: tuple[I64, I64], target: I64) -> F64:
        _, day = _place(self.first, target)
        month = known[0] - (day > known[1])  # of a month that had not come so far, the one before is the newest
        return np.where(month >= 0, self.effect[s, np.maximum(month, 0), day].astype(np.float64), 0.0)


def _place(first: date, index: I64) -> tuple[I64, I64]:
    """Months since the first period's, and day of the month from 0, of some periods of a daily panel."""
    days = np.datetime64(first, "D") + index
    months = days.astype("datetime64[M]")
    return (months - np.datetime64(first, "M")).astype(np.int64), (days - months).astype(np.int64)


def _over_usual(y: F64, weekday: I64) -> F64:
    """(series, periods) sales over what is usual at that time on that weekday, NaN where that is not known."""
    known = ~np.isnan(y)
    sold = np.where(known, y, 0.0)
    level = np.full(y.shape, np.nan)
    if y.shape[1] <= BEHIND:
        return level
    count, total = (WindowSums(v).over(AROUND)[:, BEHIND:] for v in (known.astype(np.float64), sold))
    enough = (count >= LEAST_KNOWN) & (total > 0)
    np.divide(total, count, out=level[:, :-BEHIND], where=enough)
    ratio = np.where(known, y / level, np.nan)
    for k in range(7):
        of = np.flatnonzero(weekday == k)
        part = ratio[:, of]
        some = ~np.isnan(part)
        n = WindowSums(some.astype(np.float64)).over(WEEKS)
        usual = WindowSums(np.where(some, np.minimum(part, MOST), 0.0)).over(WEEKS)
        told = (n >= LEAST_WEEKS) & (usual > 0)
        ratio[:, of] = np.divide(part * n, usual, out=np.full(part.shape, np.nan), where=told)
    return np.minimum(ratio, MOST)


def _by_day(ratio: F64, month: I64, day: I64) -> F32:
    """(series, months, 31) drawn mean effect of each day of the month, up to and including that month."""
    months = int(month[-1]) + 1
    some = ~np.isnan(ratio)
    total, count = (np.zeros((ratio.shape[0], months, 31)) for _ in range(2))
    total[:, month, day] = np.where(some, ratio - 1.0, 0.0)
    count[:, month, day] = some
    kept = 0.5 ** (1.0 / HALF_LIFE_MONTHS)
    for m in range(1, months):
        total[:, m] += kept * total[:, m - 1]
        count[:, m] += kept * count[:, m - 1]
    return (total / (count + DRAWN)).astype(np.float32)
