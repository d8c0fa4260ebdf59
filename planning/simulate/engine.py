"""The closed loop at speed: many items, many days, lost sales or backorders, random lead times, orders that cross.

Timing of a day: deliveries due arrive → demand is met → on review days the policy looks at the inventory position and orders;
an order with lead time L placed at the end of day t is on the shelf at the start of day t + L + 1. Demand and lead times come in
as arrays, so that every policy meets the same ones (common random numbers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rules:
    """Periodic-review policy of each item, (items,) each: below or at `reorder` order up to `level`, in packs.

    (R, s, S): reorder < level. Order-up-to: reorder = level − 1 pack. (r, nQ): `fixed_quantity` > 0 orders multiples of it.
    """

    reorder: F64
    level: F64
    review: NDArray[np.int64]
    pack: F64
    fixed_quantity: F64

    @classmethod
    def order_up_to(cls, level: F64, review: int = 1, pack: float = 1.0) -> Rules:
        """Order up to `level` at every review."""
        n = len(level)
        return cls(level - 1e-9, level, np.full(n, review, dtype=np.int64), np.full(n, pack), np.zeros(n))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Per item over the scored days: sums of units held at day's end, units unmet, waiting unit-days, demand, orders, units ordered."""

    held: F64
    unmet: F64
    waiting: F64
    demand: F64
    orders: F64
    ordered: F64
    last_stock: F64

    def cost(self, holding: F64 | float, shortage: F64 | float, fixed: F64 | float = 0.0) -> F64:
        """Holding per unit-day, shortage per unit unmet, fixed per order: at the true costs, whatever the policy was tuned at."""
        return np.asarray(holding * self.held + shortage * self.unmet + fixed * self.orders)

    def fill_rate(self) -> float:
        """Share of all demand met on the day."""
        total = float(self.demand.sum())
        return 1 - float(self.unmet.sum()) / total if total > 0 else 1.0


@lru_cache(maxsize=1)
def _kernel() -> Callable[..., tuple[F64, F64, F64, F64, F64, F64, F64]]:
    import numba

    @numba.njit(cache=True, fastmath=False)  # type: ignore[misc, untyped-decorator, unused-ignore]
    def run(demand, leads, stock0, pipe0, reorder, level, review, pack, fixed, lost, warm):  # type: ignore[no-untyped-def]
        items, days = demand.shape
        span = pipe0.shape[1]
        size = 1
        while size < span:
            size *= 2
        mask = size - 1
        held, unmet, waiting = np.zeros(items), np.zeros(items), np.zeros(items)
        wanted, orders, ordered, last = np.zeros(items), np.zeros(items), np.zeros(items), np.zeros(items)
        ring = np.zeros(size)
        for i in range(items):
            ring[:] = 0.0
            coming = 0.0
            for k in range(span):
                ring[k] = pipe0[i, k]
                coming += pipe0[i, k]
            stock, slot, look = stock0[i], 0, review[i] - 1
            s, top, every, lot, whole = reorder[i], level[i], review[i], pack[i], fixed[i]
            h, u, w, d_sum, o, q_sum = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for t in range(days):
                got = ring[slot]
                ring[slot] = 0.0
                slot = (slot + 1) & mask
                coming -= got
                d = np.float64(demand[i, t])
                after = stock + (got - d)  # got − d waits for no earlier day
                left = max(after, 0.0)
                stock = left if lost else after
                if t >= warm:
                    h += left
                    w += left - stock
                    u += min(left - after, d)
                    d_sum += d
                if t == look:
                    look += every
                    position = stock + coming
                    if position <= s:
                        gap = top - position
                        step = whole if whole > 0 else lot
                        q = np.ceil(gap / step - 1e-9) * step
                        if q > 0:
                            ring[(slot + np.int64(leads[i, t])) & mask] += q
                            coming += q
                            if t >= warm:
                                o += 1
                                q_sum += q
            held[i], unmet[i], waiting[i], wanted[i] = h, u, w, d_sum
            orders[i], ordered[i], last[i] = o, q_sum, stock
        return held, unmet, waiting, wanted, orders, ordered, last

    return run  # type: ignore[no-any-return, unused-ignore]


def simulate(
    demand: NDArray[Any],
    leads: NDArray[Any],
    rules: Rules,
    stock: F64,
    *,
    pipeline: F64 | None = None,
    lost: bool = True,
    warm: int = 0,
) -> Outcome:
    """Run all items over all days.

    Args:
        demand: (items, days) units; any numeric type, float32 or int32 is fastest.
        leads: (items, days) lead time in whole days of an order placed at the end of that day.
        stock: (items,) on hand before day 1; pipeline: (items, k) arriving at the start of day 1, 2, ….
        lost: unmet demand is lost; else it waits (stock goes below zero).
        warm: days at the start that are not scored.

    Raises:
        BadInputError: shapes do not fit, or a quantity or lead time is negative.
    """
    items = demand.shape[0]
    if leads.shape != demand.shape or stock.shape != (items,) or rules.level.shape != (items,):
        raise BadInputError("demand, lead times, stock and rules do not fit together", where="simulation")
    if (
        (stock < 0).any()
        or demand.min(initial=0) < 0
        or leads.min(initial=0) < 0
        or (rules.review < 1).any()
        or (rules.pack <= 0).any()
    ):
        raise BadInputError("negative stock, demand or lead time, or a review or pack below 1", where="simulation")
    span = int(leads.max(initial=0)) + 2
    known = pipeline if pipeline is not None else np.zeros((items, 1))
    pipe = np.zeros((items, max(span, known.shape[1])))
    pipe[:, : known.shape[1]] = known
    found = _kernel()(
        np.ascontiguousarray(demand), np.ascontiguousarray(leads), stock.astype(np.float64), pipe, rules.reorder.astype(np.float64),
        rules.level.astype(np.float64), rules.review, rules.pack.astype(np.float64), rules.fixed_quantity.astype(np.float64), lost, warm,
    )  # fmt: skip
    return Outcome(*found)


def simulate_plain(
    demand: NDArray[Any],
    leads: NDArray[Any],
    rules: Rules,
    stock: F64,
    *,
    pipeline: F64 | None = None,
    lost: bool = True,
    warm: int = 0,
) -> Outcome:
    """The same loop in NumPy, day by day: the reference that the compiled one must equal."""
    items, days = demand.shape
    known = pipeline if pipeline is not None else np.zeros((items, 1))
    pipe = np.zeros((items, days + max(int(leads.max(initial=0)) + 2, known.shape[1])))
    pipe[:, : known.shape[1]] = known
    shelf, sums = stock.astype(np.float64).copy(), np.zeros((6, items))
    for t in range(days):
        shelf = shelf + pipe[:, t]
        d = demand[:, t].astype(np.float64)
        miss = np.maximum(d - np.maximum(shelf, 0), 0)
        shelf = np.maximum(shelf - d, 0) if lost else shelf - d
        position = shelf + pipe[:, t + 1 :].sum(axis=1)
        look = ((t + 1) % rules.review == 0) & (position <= rules.reorder)
        step = np.where(rules.fixed_quantity > 0, rules.fixed_quantity, rules.pack)
        q = np.where(look, np.maximum(np.ceil((rules.level - position) / step - 1e-9) * step, 0), 0)
        np.add.at(pipe, (np.arange(items), t + 1 + leads[:, t].astype(np.int64)), q)
        if t >= warm:
            sums += np.stack([np.maximum(shelf, 0), miss, np.maximum(-shelf, 0), d, q > 0, q])
    return Outcome(sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], shelf)


def frontier(
    demand: NDArray[Any], leads: NDArray[Any], levels: list[F64], holding: F64 | float, shortage: F64 | float, *, review: int = 1,
    lost: bool = True, warm: int = 0,
) -> list[dict[str, float]]:  # fmt: skip
    """Cost and service of order-up-to at each set of levels, on the same demand and lead times: points of a frontier."""
    out = []
    for level in levels:
        found = simulate(demand, leads, Rules.order_up_to(level, review), np.maximum(level, 0), lost=lost, warm=warm)
        out.append(
            {
                "mean_level": float(level.mean()),
                "fill_rate_frac": found.fill_rate(),
                "holding_cost": float((holding * found.held).sum()),
                "cost": float(found.cost(holding, shortage).sum()),
            }
        )
    return out
