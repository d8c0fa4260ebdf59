"""Plain policies others use, as yardsticks: moving-average cover, TSB with order-up-to, normal (s, S), min-max.

Each takes (known panel, on hand, in transit) and gives units to order; positions by `planning.position`.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from planning.config import PlanConfig
from planning.panel import Panel
from planning.stateless import Terms

F64 = NDArray[np.float64]


def _week(day: date) -> int:
    return day.isocalendar()[1]


def _later(panel: Panel, ahead: int) -> int:
    step = (panel.periods[-1] - panel.periods[-2]).days if len(panel.periods) > 1 else 7
    return _week(date.fromordinal(panel.periods[-1].toordinal() + step * ahead))


def seasonal_moving_average(panel: Panel, horizon: int, window: int = 13) -> F64:
    """Mean of the last `window` seen periods, deseasonalised by week of year over the whole panel; (series, horizon).

    Source: the benchmark of the VN2 inventory challenge (13 weeks, seasonal).
    """
    known = np.where(panel.seen, panel.demand, np.nan)
    total = np.nansum(known, axis=0)
    week = np.array([_week(d) for d in panel.periods])
    mean = max(float(total.mean()), 1e-9)
    index = np.ones(54)
    for w in np.unique(week):
        index[w] = total[week == w].mean() / mean
    flat = (known / np.maximum(index[week], 0.2))[:, -window:]
    count = (~np.isnan(flat)).sum(axis=1)
    level = np.where(count > 0, np.nansum(flat, axis=1) / np.maximum(count, 1), 0.0)
    return np.stack([level * index[_later(panel, h)] for h in range(1, horizon + 1)], axis=1)


def cover(panel: Panel, on_hand: F64, in_transit: F64, periods: int = 4) -> F64:
    """Order up to `periods` periods of forecast: the VN2 organisers' benchmark with 4 weeks."""
    target = seasonal_moving_average(panel, periods).sum(axis=1)
    lacking = (target - on_hand - in_transit.sum(axis=1)) / panel.unit
    return np.asarray(np.maximum(np.rint(lacking), 0.0) * panel.unit)


def tsb_mean(panel: Panel, alpha: float = 0.1, beta: float = 0.1) -> F64:
    """Teunter, Syntetos and Babai (2011): probability and size of demand smoothed apart; censored periods are skipped."""
    demand, seen = np.nan_to_num(panel.demand), panel.seen
    head = demand[:, :13]
    hits = (head > 0).sum(axis=1)
    chance = hits / max(head.shape[1], 1)
    size = np.where(hits > 0, head.sum(axis=1) / np.maximum(hits, 1), 0.0)
    for t in range(13, demand.shape[1]):
        hit, ok = demand[:, t] > 0, seen[:, t]
        chance = np.where(ok, chance + beta * (hit - chance), chance)
        size = np.where(ok & hit, np.where(size > 0, size + alpha * (demand[:, t] - size), demand[:, t]), size)
    return np.asarray(chance * size)


def tsb_order_up_to(panel: Panel, on_hand: F64, in_transit: F64, config: PlanConfig, terms: Terms) -> F64:
    """TSB mean, negative-binomial spread of the last 26 seen periods, order up to the critical ratio over lead time + review."""
    from scipy.stats import nbinom, poisson

    span = config.longest + config.review_periods
    mean = np.maximum(span * tsb_mean(panel), 1e-9)
    known = np.where(panel.seen, panel.demand, np.nan)[:, -26:]
    count = (~np.isnan(known)).sum(axis=1)
    centred = known - np.where(count > 0, np.nansum(known, axis=1) / np.maximum(count, 1), 0.0)[:, None]
    variance = span * np.nansum(centred**2, axis=1) / np.maximum(count - 1, 1)
    ratio = terms.shortage / (terms.shortage + terms.holding * config.review_periods)
    wide = variance > mean * 1.01
    gap = np.where(wide, variance - mean, 1.0)
    level = np.where(
        wide, nbinom.ppf(ratio, mean**2 / gap, mean / np.where(wide, variance, mean + 1)), poisson.ppf(ratio, mean)
    )
    return np.asarray(np.maximum(level - on_hand - in_transit.sum(axis=1), 0.0))


def normal_s_S(panel: Panel, on_hand: F64, in_transit: F64, fixed: F64, config: PlanConfig, terms: Terms) -> F64:
    """(s, S) by the normal approximation: s = μ(L+R) + z σ √(L+R), S = s + economic order quantity.

    Args:
        fixed: (series,) cost of one order.
    """
    from scipy.special import ndtri

    known = np.where(panel.seen, panel.demand, np.nan)[:, -52:]
    count = np.maximum((~np.isnan(known)).sum(axis=1), 1)
    mean = np.nansum(known, axis=1) / count
    sd = np.sqrt(np.nansum((known - mean[:, None]) ** 2, axis=1) / np.maximum(count - 1, 1))
    span = config.longest + config.review_periods
    ratio = terms.shortage / (terms.shortage + terms.holding * config.review_periods)
    low = mean * span + ndtri(ratio) * sd * np.sqrt(span)
    top = low + np.sqrt(2 * fixed * mean / np.maximum(terms.holding, 1e-12))
    position = on_hand + in_transit.sum(axis=1)
    raw = np.where(position < low, top - position, 0.0)
    packs = np.ceil(np.maximum(raw, 0) / terms.pack - 1e-9) * terms.pack
    return np.asarray(np.where(packs > 0, np.maximum(packs, np.ceil(terms.minimum / terms.pack) * terms.pack), 0.0))
