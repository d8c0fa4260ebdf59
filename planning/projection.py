"""Stock projected through the pipeline with sample paths, and the newsvendor on what is exposed.

Lost sales: stock never falls below zero, so a day without stock does not eat the next delivery. `need` of a scenario is the
smallest quantity, arriving with tonight's order, that loses no sale until the next order could arrive.
Source: projected inventory position for lost sales (van Jaarsveld & Arts 2024); pack rule by marginal analysis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
COMPILE_ABOVE = 4_000_000  # cells; below this compiling costs more than it saves


@dataclass(frozen=True, slots=True)
class Projection:
    """What the paths say. Shapes (series, scenario).

    Attributes:
        need: units short in the exposed window if nothing is ordered; negative is stock to spare.
        lost_before: units lost before tonight's order could arrive; only something faster can save them.
        stock_at_arrival: on hand when the order arrives.
        demand_exposed: demand in the exposed window.
        need_wait: as `need`, only until the next review's order could arrive: what waiting one review risks.
    """

    need: F32
    lost_before: F32
    stock_at_arrival: F32
    demand_exposed: F32
    need_wait: F32


def project(
    on_hand: F64,
    demand: F32,
    receipts: F32,
    arrive: I64,
    until: I64,
    lost: bool | NDArray[np.bool_],
    wait: I64 | None = None,
) -> Projection:
    """Project every series through its scenarios, day by day.

    Args:
        on_hand: (series,) units at the close of day 0.
        demand: (series, scenario, day) day 1 is index 0.
        receipts: same shape: open orders on the day they become sellable.
        arrive: (series, scenario) day on which tonight's order becomes sellable, from 1.
        until: (series, scenario) day on which the order of the next review becomes sellable; exposed is [arrive, until).
        lost: per series or one for all: unmet demand is lost (True) or waits (False).
        wait: (series, scenario) day on which an order placed at the next review becomes sellable; default `until`.
    """
    wait = until if wait is None else wait
    floor = np.broadcast_to(np.where(np.asarray(lost), 0.0, -np.inf).astype(np.float32).reshape(-1), (demand.shape[0],))
    run = compiled_kernel() if demand.size > COMPILE_ABOVE else _project_plain
    return Projection(*run(on_hand.astype(np.float32), demand, receipts, arrive, until, wait, floor))


def _project_plain(
    on_hand: F32, demand: F32, receipts: F32, arrive: I64, until: I64, wait: I64, floor: F32
) -> tuple[F32, F32, F32, F32, F32]:
    """The projection in NumPy: the reference, and quick to start for few series."""
    n, scenarios, days = demand.shape
    stock = np.repeat(on_hand[:, None], scenarios, axis=1)
    lowest = floor[:, None]
    lost_before, running, exposed = (np.zeros((n, scenarios), dtype=np.float32) for _ in range(3))
    need = np.full((n, scenarios), -np.inf, dtype=np.float32)
    need_wait, at_arrival = need.copy(), stock.copy()
    last = min(days, int(until.max()) - 1 if until.size else 0)
    for t in range(1, last + 1):
        d, r = demand[:, :, t - 1], receipts[:, :, t - 1]
        before, inside = t < arrive, (t >= arrive) & (t < until)
        moved = stock + r - d
        lost_before += np.where(before, np.clip(-moved, 0, d), 0)
        stock = np.where(before, np.maximum(moved, lowest), stock)
        at_arrival = np.where(before, stock, at_arrival)
        running = np.where(inside, running + d - r, running)
        need = np.where(inside, np.maximum(need, running - at_arrival), need)
        need_wait = np.where(inside & (t < wait), need, need_wait)
        exposed += np.where(inside, d, 0)
    need = np.where(np.isneginf(need), -at_arrival, need)
    need_wait = np.where(np.isneginf(need_wait), -at_arrival, need_wait)
    return need, lost_before, at_arrival, exposed, need_wait


@lru_cache(maxsize=1)
def compiled_kernel() -> Callable[..., tuple[F32, F32, F32, F32, F32]]:
    """The same projection compiled, scenario by scenario; equal to the plain one to the last bit (a test says so)."""
    import numba

    one = np.float32(0.0)

    @numba.njit(cache=True)  # type: ignore[misc, untyped-decorator, unused-ignore]
    def kernel(on_hand, demand, receipts, arrive, until, wait, floor):  # type: ignore[no-untyped-def]
        n, scenarios, days = demand.shape
        need = np.empty((n, scenarios), dtype=np.float32)
        lost_before, at_arrival = np.zeros_like(need), np.empty_like(need)
        exposed, need_wait = np.zeros_like(need), np.empty_like(need)
        for i in range(n):
            for s in range(scenarios):
                stock, running, worst, worst_wait = on_hand[i], one, np.float32(-np.inf), np.float32(-np.inf)
                start, end, early = arrive[i, s], until[i, s], wait[i, s]
                for t in range(1, min(days, end - 1) + 1):
                    d, r = demand[i, s, t - 1], receipts[i, s, t - 1]
                    if t < start:
                        moved = stock + r - d
                        lost_before[i, s] += min(max(-moved, one), d)
                        stock = max(moved, floor[i])
                    else:
                        running = running + d - r
                        worst = max(worst, running - stock)
                        if t < early:
                            worst_wait = worst
                        exposed[i, s] += d
                at_arrival[i, s] = stock
                need[i, s] = -stock if np.isneginf(worst) else worst
                need_wait[i, s] = -stock if np.isneginf(worst_wait) else worst_wait
        return need, lost_before, at_arrival, exposed, need_wait

    return kernel  # type: ignore[no-any-return, unused-ignore]


def quantile_rank(values: F32, alpha: F64) -> F64:
    """Smallest value v of each row with P(row ≤ v) ≥ alpha; shape (series,)."""
    ordered = np.sort(values, axis=1)
    count = ordered.shape[1]
    index = np.clip(np.ceil(alpha * count - 1e-9).astype(np.int64) - 1, 0, count - 1)
    return np.take_along_axis(ordered, index[:, None], axis=1)[:, 0].astype(np.float64)


def packs_to_order(need: F32, alpha: F64, pack: F64, minimum: F64) -> F64:
    """Packs that pay, by marginal analysis on units: the last pack's expected share used is at least 1 − alpha.

    For a pack of one this is the newsvendor: smallest q with P(need ≤ q) ≥ alpha. A minimum above that is ordered whole if
    the whole pays, else nothing.

    Args:
        need: (series, scenario) units.
        alpha: (series,) critical ratio.
        pack: (series,) eaches per pack.
        minimum: (series,) smallest quantity taken, in eaches; 0 for none.

    Returns:
        (series,) packs, whole numbers.
    """
    target = np.maximum(quantile_rank(need, alpha), 0.0)
    full = np.floor(target / pack + 1e-9)
    start = (full * pack).astype(np.float32)[:, None]
    used = np.clip(need - start, 0, pack.astype(np.float32)[:, None]).mean(axis=1) / pack
    # the last pack is worth it when its expected use in the exposed days beats the critical ratio's complement
    packs = full + ((used > 0) & (used >= 1 - alpha - 1e-9) & (target > full * pack + 1e-9))
    least = np.ceil(np.maximum(minimum, 0) / pack - 1e-9)
    short = (packs > 0) & (packs < least)
    whole = np.maximum(least * pack, 1e-9)
    pays = np.clip(need, 0, whole.astype(np.float32)[:, None]).mean(axis=1) / whole >= 1 - alpha - 1e-9
    return np.asarray(np.where(short, np.where(pays, least, 0.0), packs), dtype=np.float64)


def order_value(need: F32, quantity: F64, shortage: F64, holding: F64, fixed: F64) -> tuple[F64, F64, F64]:
    """Expected saving, its probability, and expected units saved by ordering now instead of at the next review.

    Args:
        need: (series, scenario).
        quantity: (series,) eaches.
        shortage: (series,) cost per unit lost.
        holding: (series,) cost per unit kept over the exposed days.
        fixed: (series,) cost of the order itself, freight included.

    Returns:
        (saving, confidence, units saved), each (series,).
    """
    q = quantity.astype(np.float32)[:, None]
    saved = np.minimum(np.maximum(need, 0), q)
    gain = saved * shortage.astype(np.float32)[:, None] - (q - saved) * holding.astype(np.float32)[:, None]
    gain -= fixed.astype(np.float32)[:, None]
    return (
        gain.mean(axis=1, dtype=np.float64),
        (gain > 0).mean(axis=1, dtype=np.float64),
        saved.mean(axis=1, dtype=np.float64),
    )
