"""Days that sell more or less every year, found in the sales of a daily panel: feasts that nobody had to list.

A forecast that is given no calendar of events sees 25 December as any Thursday. Every day is held against the same weekdays
around it, and what the usual day of the month explains is taken off; what is left is asked of every rule that names one day a
year: a date (25 December), a weekday of a month (second Sunday of May, last Monday of May) and a distance from Easter. The
rule that stands out most is taken, its effect is taken off, and so on. A rule needs two years, stands out from the noise by
far, and holds in nearly all of its years. Feasts of the moon (Ramadan, Chinese New Year) follow no such rule: give them with
`--future`.

Sources: Easter from dateutil; the search is forward selection by the size of a median over its robust standard error (1.4826
times the median absolute deviation, Rousseeuw and Croux 1993).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from dateutil.easter import easter

from ml.models.base import F64
from ml.panel import PanelData

FEAST = "recurring_day"
I64 = npt.NDArray[np.int64]
Rule = tuple[str, int, int, int]
MOST_FEASTS = 40
LEAST_T, LEAST_T_OF_TWO = (
    4.5,
    6.0,
)  # of some 900 rules one passes in a sixth of panels of mere noise; its effect is drawn towards none
LEAST_EFFECT = 0.03
LEAST_YEARS = 2
WEEKS_AROUND = 4
BEFORE_EASTER, AFTER_EASTER = 50, 60
EMPTIEST = 0.02  # a day on which all is closed counts as this share of the median day
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True, slots=True)
class Feast:
    """A day of the year that recurs.

    Attributes:
        rule: which day it is.
        effect: what it sells over a usual day, as the median log ratio of its years.
        days: index of each of its days, in order; those ahead of the panel included.
    """

    rule: Rule
    effect: float
    days: I64

    def words(self) -> str:
        """In words, with its effect: `25 December (-98 %)`."""
        return f"{rule_words(self.rule)} ({np.expm1(self.effect):+.0%})".replace("%", " %")


def rule_words(rule: Rule) -> str:
    """A rule in words.

    >>> rule_words(("date", 12, 25, 0)), rule_words(("nth", 5, 6, 2)), rule_words(("last", 5, 0, 0)), rule_words(("easter", -2, 0, 0))
    ('25 December', 'second Sunday of May', 'last Monday of May', '2 days before Easter')
    """
    kind, a, b, c = rule
    if kind == "date":
        return f"{b} {MONTHS[a - 1]}"
    if kind == "easter":
        return "Easter" if a == 0 else f"{abs(a)} day{'s' * (abs(a) > 1)} {'before' if a < 0 else 'after'} Easter"
    return f"{ORDINALS[c - 1] if kind == 'nth' else 'last'} {WEEKDAYS[b]} of {MONTHS[a - 1]}"


@lru_cache(maxsize=20_000)
def rules_of(day: date) -> tuple[Rule, ...]:
    """Every rule that names this day in its year.

    >>> rules_of(date(2016, 5, 8))
    (('date', 5, 8, 0), ('nth', 5, 6, 2), ('easter', 42, 0, 0))
    """
    out: list[Rule] = [("date", day.month, day.day, 0), ("nth", day.month, day.weekday(), (day.day + 6) // 7)]
    if (day + timedelta(days=7)).month != day.month:
        out.append(("last", day.month, day.weekday(), 0))
    away = (day - easter(day.year)).days
    if -BEFORE_EASTER <= away <= AFTER_EASTER:
        out.append(("easter", away, 0, 0))
    return tuple(out)


def find_feasts(panel: PanelData, last: int, ahead: int) -> tuple[Feast, ...]:
    """Feasts of a daily panel, the clearest first, by sales up to period `last`.

    Args:
        panel: a panel; one that is not daily has none.
        last: newest period whose sales are read.
        ahead: periods beyond the panel whose feasts are named too.
    """
    if panel.freq != "D":
        return ()
    days = [panel.first + timedelta(days=i) for i in range(panel.periods + ahead)]
    left = _unexplained(_typical(panel.unnamed(slice(None))[:, : last + 1]), days[: last + 1])
    noise = 1.4826 * float(np.nanmedian(np.abs(left))) if np.isfinite(left).any() else 0.0
    if noise == 0.0:
        return ()
    at: dict[Rule, list[int]] = {}
    for i, day in enumerate(days):
        for rule in rules_of(day):
            at.setdefault(rule, []).append(i)
    places = {rule: np.array(where, dtype=np.int64) for rule, where in at.items()}
    clear = {rule: _clear(rule, where, left, noise) for rule, where in places.items()}
    found: list[Feast] = []
    while len(found) < MOST_FEASTS:
        rule = max(clear, key=lambda r: clear[r][0])
        feast = clear.pop(rule)[1]
        if feast is None:
            break
        found.append(feast)
        left[feast.days[feast.days <= last]] -= feast.effect
        for other in {r for i in feast.days.tolist() for r in rules_of(days[i])} & clear.keys():
            clear[other] = _clear(other, places[other], left, noise)
    return tuple(found)


def _typical(y: F64) -> F64:
    """(periods,) mean over series of each day's sales, each series in its own mean; NaN where nothing is known."""
    known = ~np.isnan(y)
    count = known.sum(axis=1)
    sold = np.where(known, y, 0.0)
    unit = sold.sum(axis=1) / np.maximum(count, 1)
    share = np.divide(1.0, unit, out=np.zeros_like(unit), where=unit > 0)
    n = known[unit > 0].sum(axis=0)
    total = share @ sold
    out: F64 = np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)
    return out


def _unexplained(typical: F64, days: list[date]) -> F64:
    """(periods,) log of each day over its weekday's median within four weeks, less the usual of its day of the month."""
    floor = EMPTIEST * float(np.nanmedian(typical)) if np.isfinite(typical).any() else 0.0
    level = np.log(np.maximum(typical, max(floor, 1e-12)))
    weekday, place = np.array([d.weekday() for d in days]), np.array([d.day for d in days])
    left = np.full(level.size, np.nan)
    steps = [k for k in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if k]
    for k in range(7):
        of = np.flatnonzero(weekday == k)
        wide = np.pad(level[of], WEEKS_AROUND, constant_values=np.nan)
        around = np.array([wide[WEEKS_AROUND + s : WEEKS_AROUND + s + of.size] for s in steps])
        left[of] = level[of] - _median(around)
    for k in range(1, 32):
        of = place == k
        usual = float(_median(left[of][:, None])[0])
        left[of] -= 0.0 if np.isnan(usual) else usual
    return left


def _median(values: F64) -> F64:
    """Median over the first axis of what is known, NaN where nothing is."""
    some = ~np.isnan(values).all(axis=0)
    out = np.full(values.shape[1:], np.nan)
    out[some] = np.nanmedian(values[:, some], axis=0)
    return out


def _clear(rule: Rule, days: I64, left: F64, noise: float) -> tuple[float, Feast | None]:
    """How far a rule stands out from the noise, and the feast it makes; 0 and None where that is not far enough."""
    seen = left[days[days < left.size]]
    seen = seen[~np.isnan(seen)]
    if seen.size < LEAST_YEARS:
        return 0.0, None
    effect = float(np.median(seen))
    clear = abs(effect) * float(np.sqrt(seen.size)) / noise
    alike = int(((np.sign(seen) == np.sign(effect)) & (np.abs(seen) > noise)).sum())
    least = LEAST_T if seen.size > LEAST_YEARS else LEAST_T_OF_TWO
    if clear < least or abs(effect) < LEAST_EFFECT or alike < max(LEAST_YEARS, seen.size - seen.size // 4):
        return 0.0, None
    return clear, Feast(rule, effect, days)


def with_feasts(panel: PanelData, last: int, ahead: int) -> PanelData:
    """The panel with its feasts as one more text known ahead (`FEAST`), alike for all series; the panel itself where none is found."""
    return with_found(panel, find_feasts(panel, last, ahead), ahead)


def with_found(panel: PanelData, feasts: tuple[Feast, ...], ahead: int) -> PanelData:
    """`with_feasts` of feasts that were found before."""
    if not feasts:
        return panel
    code = np.full(panel.periods + ahead, np.nan)
    for number, feast in reversed(list(enumerate(feasts))):  # the clearer feast names a day that two share
        code[feast.days] = number
    future = dict(panel.future) | {FEAST: np.broadcast_to(code, (panel.n, code.size))}
    return replace(panel, future=future, texts=(*panel.texts, FEAST))


def feasts_said(feasts: tuple[Feast, ...], periods: int) -> str:
    """What was found, for the one who reads the forecast: how many, and which of them lie ahead."""
    coming = [f.words() for f in feasts if (f.days >= periods).any()]
    lie = "lies" if len(coming) == 1 else "lie"
    ahead = f"; ahead {lie} {', '.join(coming)}" if coming else "; none of them lies ahead"
    return f"{len(feasts)} {'day of the year recurs' if len(feasts) == 1 else 'days of the year recur'} in the sales{ahead}"
