"""Holidays and promotions: known far ahead, the same for everyone, from (specification, seed) alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sandbox.draws import Bools, Floats, stream
from sandbox.network import Network

KNOWN_AHEAD_DAYS = 35


@dataclass(frozen=True, slots=True)
class Holiday:
    """One holiday: date, name, whether stores are closed."""

    date: dt.date
    name: str
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Campaign:
    """One promotion: items at the stores of one centre for some days `[start, end)`."""

    number: int
    start: int
    end: int
    centre: int
    items: tuple[int, ...]

    @property
    def id(self) -> str:
        """Promotion id."""
        return f"P{self.number:04d}C{self.centre + 1}"


def _nth(year: int, month: int, weekday: int, n: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


@lru_cache(maxsize=64)
def holidays(year: int) -> tuple[Holiday, ...]:
    """Holidays of one year, in order of date."""
    memorial = _nth(year, 6, 0, 1) - dt.timedelta(days=7)
    return (
        Holiday(dt.date(year, 1, 1), "New Year's Day", False),
        Holiday(memorial, "Memorial Day", False),
        Holiday(dt.date(year, 7, 4), "Independence Day", False),
        Holiday(_nth(year, 9, 0, 1), "Labor Day", False),
        Holiday(_nth(year, 11, 3, 4), "Thanksgiving Day", True),
        Holiday(dt.date(year, 12, 25), "Christmas Day", True),
    )


def holiday_factor(date: dt.date) -> float:
    """Factor of demand: zero when closed, raised on the three days before a holiday."""
    for year in (date.year, date.year + 1):
        for holiday in holidays(year):
            ahead = (holiday.date - date).days
            if ahead == 0:
                return 0.0 if holiday.is_closed else 0.85
            if 1 <= ahead <= 3:
                return 1.35 if holiday.is_closed else 1.18
    return 1.0


def campaigns(net: Network, number: int) -> tuple[Campaign, ...]:
    """The campaigns with this number, one per centre."""
    spec = net.spec
    start = 14 + number * spec.promotion_every_days
    made = []
    promotable = np.array([c.promoted for c in spec.categories])[net.category]
    for centre in range(spec.centres):
        rng = stream(net.seed, f"campaign{centre}", number)
        chosen = promotable & (rng.random(net.items) < spec.promotion_item_frac) & net.is_sold(start)
        items = tuple(int(i) for i in np.flatnonzero(chosen))
        if items:
            made.append(Campaign(number, start, start + spec.promotion_days, centre, items))
    return tuple(made)


def campaigns_running(net: Network, first: int, last: int) -> tuple[Campaign, ...]:
    """Campaigns that touch the days `first` to `last`, both included."""
    every = net.spec.promotion_every_days
    low = max(0, (first - 14 - net.spec.promotion_days) // every)
    high = max(-1, (last - 14) // every)
    return tuple(c for n in range(low, high + 1) for c in _cached(net, n) if c.start <= last and c.end > first)


def _cached(net: Network, number: int) -> tuple[Campaign, ...]:
    key = ("campaigns", number)
    if key not in net.memo:
        net.memo[key] = campaigns(net, number)
    found: tuple[Campaign, ...] = net.memo[key]
    return found


def is_promoted(net: Network, day: int) -> Bools:
    """[S, I] whether the item is on promotion at the site that day."""
    flag = np.zeros((net.sites, net.items), dtype=np.bool_)
    for campaign in campaigns_running(net, day, day):
        flag[np.ix_(net.serving == campaign.centre, np.array(campaign.items))] = True
    return flag


def price_on(net: Network, promoted: Bools) -> Floats:
    """[S, I] selling price given what is promoted."""
    price: Floats = np.where(promoted, np.round(net.price * (1 - net.discount), 2), net.price)
    return price
