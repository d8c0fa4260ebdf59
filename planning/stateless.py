"""From sample paths and a state to orders, for any data: projected-inventory newsvendor with lost or waiting demand.

Arrays: demand paths (series, scenario, period 1…H after as_of), on hand (series,), in transit (series, k). What is ordered
now is on the shelf at the start of period lead time + 1 and is judged over the `review_periods` from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planning.config import PlanConfig
from planning.limits import Limit, fit_limits
from planning.projection import packs_to_order

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Terms:
    """Costs and constraints per series, (series,) each; NaN in capacity means no limit; `limits` are shared by several series."""

    holding: F64
    shortage: F64
    pack: F64
    minimum: F64
    capacity: F64
    limits: tuple[Limit, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Decision:
    """Orders and what they are expected to do, (series,) each, in units and money; `wanted` before any limit, `cut` names it.

    `stock_at_arrival` is what is left when the order arrives, `arriving` what comes beside it while it must last.
    """

    quantity: F64
    expected_cost: F64
    cost_of_nothing: F64
    stock_at_arrival: F64
    arriving: F64
    demand_exposed: F64
    critical_ratio: F64
    cut: NDArray[np.str_]
    wanted: F64


def lead_scenarios(config: PlanConfig, scenarios: int) -> I64:
    """Lead time per scenario, in exact shares, shuffled once by the seed."""
    shares = np.array([p for _, p in config.lead_time])
    edges = np.rint(np.cumsum(shares) * scenarios).astype(np.int64)
    counts = np.diff(np.concatenate([[0], edges]))
    periods = np.repeat([n for n, _ in config.lead_time], counts)
    return np.random.default_rng(config.seed).permutation(periods)


def exposed_need(
    on_hand: F64, in_transit: F64, paths: F32, leads: I64, review: int, lost: bool
) -> tuple[F32, F32, F32]:
    """Units needed from tonight's order, stock when it arrives, and demand while it must last, (series, scenario) each."""
    n, scenarios, horizon = paths.shape
    stock = np.repeat(on_hand.astype(np.float32)[:, None], scenarios, axis=1)
    need = np.full((n, scenarios), -np.inf, dtype=np.float32)
    running, exposed = np.zeros_like(need), np.zeros_like(need)
    for t in range(1, horizon + 1):
        arriving = _arriving(in_transit, t)
        d = paths[:, :, t - 1]
        before = (t <= leads)[None, :]
        inside = ((t > leads) & (t <= leads + review))[None, :]
        moved = stock + arriving - d
        stock = np.where(before, np.maximum(moved, 0) if lost else moved, stock)
        running = np.where(inside, running + d - arriving, running)
        need = np.where(inside, np.maximum(need, running - stock), need)
        exposed += np.where(inside, d, 0)
    return need, stock, exposed


def exposed_cost(
    stock: F32, in_transit: F64, paths: F32, leads: I64, review: int, lost: bool, quantity: F64, terms: Terms
) -> F64:
    """Expected cost (series,) of the periods an order made now must last, as they are charged: what is left and what is unmet in each.

    Args:
        stock: (series, scenario) left when the order arrives, before anything that arrives with it.
    """
    level = stock + quantity.astype(np.float32)[:, None]
    over, under = np.zeros(len(quantity)), np.zeros(len(quantity))
    for t in range(1, paths.shape[2] + 1):
        inside = ((t > leads) & (t <= leads + review))[None, :]
        moved = level + _arriving(in_transit, t) - paths[:, :, t - 1]
        over += np.where(inside, np.maximum(moved, 0), 0).mean(axis=1, dtype=np.float64)
        under += np.where(inside, np.maximum(-moved, 0), 0).mean(axis=1, dtype=np.float64)
        level = np.where(inside, np.maximum(moved, 0) if lost else moved, level)
    return np.asarray(terms.holding * over + terms.shortage * under, dtype=np.float64)


def arriving_exposed(in_transit: F64, leads: I64, review: int) -> F64:
    """Units (series,) on the way that arrive on average within the periods an order made now must last."""
    period = np.arange(1, in_transit.shape[1] + 1)
    inside = (period[None, :] > leads[:, None]) & (period[None, :] <= leads[:, None] + review)
    return np.asarray(in_transit @ inside.mean(axis=0))


def _arriving(in_transit: F64, t: int) -> NDArray[np.float32] | np.float32:
    """What is on the shelf at the start of period t, (series, 1)."""
    return in_transit[:, t - 1].astype(np.float32)[:, None] if t <= in_transit.shape[1] else np.float32(0)


def decide(
    paths: F32, on_hand: F64, in_transit: F64, config: PlanConfig, terms: Terms, ratio: F64 | None = None
) -> Decision:
    """Orders of all series.

    Args:
        paths: (series, scenario, period) with at least longest lead time + review periods.
        ratio: (series,) critical ratio, tuned; default from configuration or costs.
    """
    leads = lead_scenarios(config, paths.shape[1])
    lost = config.unmet_demand == "lost"
    need, stock, exposed = exposed_need(on_hand, in_transit, paths, leads, config.review_periods, lost)
    if ratio is None:
        natural = terms.shortage / (terms.shortage + terms.holding * config.review_periods * config.overage_periods)
        ratio = natural if config.critical_ratio is None else np.full_like(natural, config.critical_ratio)
    quantity = packs_to_order(need, ratio, terms.pack, terms.minimum) * terms.pack
    wanted, position = quantity, on_hand + in_transit.sum(axis=1)
    quantity, cut = _fit_capacity(quantity, position, terms)
    limits = (*terms.limits, *_budget(config.budget, quantity.size))
    if limits:
        quantity, shared = fit_limits(
            quantity, need, position, terms.shortage, terms.holding, terms.pack, terms.minimum, limits
        )
        cut = np.where(shared == "", cut, shared).astype(np.str_)
    zero = np.zeros_like(quantity)
    seen = (stock, in_transit, paths, leads, config.review_periods, lost)
    return Decision(
        quantity, exposed_cost(*seen, quantity, terms), exposed_cost(*seen, zero, terms), stock.mean(axis=1, dtype=np.float64),
        arriving_exposed(in_transit, leads, config.review_periods), exposed.mean(axis=1, dtype=np.float64), ratio, cut, wanted,
    )  # fmt: skip


def _fit_capacity(quantity: F64, position: F64, terms: Terms) -> tuple[F64, NDArray[np.str_]]:
    """Whole packs that fit beside the position; nothing when that falls below the minimum."""
    room = np.where(np.isnan(terms.capacity), np.inf, np.maximum(terms.capacity - position, 0))
    fits = np.minimum(quantity, np.floor(np.where(np.isinf(room), quantity, room) / terms.pack + 1e-9) * terms.pack)
    fits = np.where(fits < terms.minimum, 0.0, fits)
    return fits, np.where(fits < quantity, "capacity", "").astype(np.str_)


def _budget(units: float | None, series: int) -> tuple[Limit, ...]:
    """The budget of all orders together as a limit; none where none is stated."""
    if units is None:
        return ()
    return (Limit("budget", "units", np.zeros(series, dtype=np.int64), ("",), np.ones(series), np.array([units])),)
