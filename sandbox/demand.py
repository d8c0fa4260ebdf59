"""True demand of one day: what customers want, whatever is on the shelf."""

from __future__ import annotations

import numpy as np

from sandbox.calendar import holiday_factor, is_promoted
from sandbox.draws import Bools, Floats, Ints, stream
from sandbox.network import Network

LEVEL_PHI = 0.985
LEVEL_SIGMA = 0.022


def next_level(net: Network, level: Floats, day: int) -> Floats:
    """[S, I] log level of the day: a slow autoregression around zero, different for each item and site."""
    noise = stream(net.seed, "level", day).normal(0.0, LEVEL_SIGMA, level.shape)
    return LEVEL_PHI * level + noise


def regime_factor(net: Network, day: int) -> Floats:
    """[I] factor of planted changes of level; 1 elsewhere."""
    factor = np.ones(net.items)
    for fault in net.spec.faults:
        if fault.kind == "regime_change" and day >= fault.from_day:
            factor[regime_items(net, fault.from_day, fault.rate_frac)] *= fault.factor
    return factor


def regime_items(net: Network, from_day: int, share: float) -> Ints:
    """Indices of the items whose level shifts on that day."""
    chosen = stream(net.seed, "regime", from_day).random(net.items) < share
    steady = (net.introduced == 0) & (net.half_life == 0)
    return np.flatnonzero(chosen & steady).astype(np.int64)


def life_factor(net: Network, day: int) -> Floats:
    """[I] ramp of new items, decline of dying ones, zero when not on sale."""
    age = np.maximum(day - net.introduced, 0)
    ramp = np.where(net.introduced > 0, 0.25 + 0.75 * (1 - np.exp(-age / 25.0)), 1.0)
    since = np.maximum(day - net.decline_from, 0)
    decline = np.where(net.half_life > 0, 0.5 ** (since / np.maximum(net.half_life, 1.0)), 1.0)
    factor: Floats = ramp * decline * net.is_sold(day)
    return factor


def mean_demand(net: Network, level: Floats, day: int) -> tuple[Floats, Bools]:
    """[S, I] expected demand of the day, and what is on promotion."""
    date = net.spec.date(day)
    promoted = is_promoted(net, day)
    after = is_promoted(net, day - net.spec.promotion_days) & ~promoted if day >= 7 else np.zeros_like(promoted)
    year = 1 + net.season * np.cos(2 * np.pi * (date.timetuple().tm_yday - net.phase) / 365.25)
    growth = np.exp(net.trend * day / 365.25)
    by_item = year * growth * life_factor(net, day) * regime_factor(net, day) * holiday_factor(date)
    promo = np.where(promoted, net.uplift, np.where(after, 0.9, 1.0))
    return net.rate * net.weekday[:, :, date.weekday()] * np.exp(level) * by_item * promo, promoted


def draw_demand(net: Network, mean: Floats, day: int) -> Ints:
    """[S, I] demand of the day: negative binomial given a weather shock per site."""
    rng = stream(net.seed, "demand", day)
    weather = np.exp(rng.normal(0.0, 0.07, (net.sites, 1)) - 0.07**2 / 2)
    size = np.broadcast_to(net.dispersion, mean.shape)
    expected = mean * weather
    drawn: Ints = rng.negative_binomial(size, size / (size + expected)).astype(np.int64)
    return drawn
