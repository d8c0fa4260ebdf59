"""Moving goods between places: the transport problem, and transfers on scenarios, as linear programs in HiGHS.

Formulated on sparse arrays straight into the solver: model-building layers cost more than the solve (measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError, InfeasibleError

F64 = NDArray[np.float64]


def solve_lp(
    cost: F64, rows: Any, lower: F64, upper: F64, top: F64, integrality: Any = None, gap: float = 0.0
) -> tuple[F64, float]:
    """Minimise cost·x subject to lower ≤ rows·x ≤ upper and 0 ≤ x ≤ top; integers where asked.

    Raises:
        InfeasibleError: no x keeps the limits.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    found = milp(
        cost, constraints=LinearConstraint(rows, lower, upper), bounds=Bounds(np.zeros_like(cost), top), integrality=integrality,
        options={"mip_rel_gap": gap, "presolve": True},
    )  # fmt: skip
    if found.x is None:
        raise InfeasibleError(f"no plan keeps every limit: {found.message}", where="optimisation")
    return np.asarray(found.x), float(found.fun)


def transport(supply: F64, demand: F64, unit_cost: F64) -> tuple[F64, float]:
    """Least-cost shipment (sources × places) that meets all demand; integral when supply and demand are.

    Raises:
        InfeasibleError: demand exceeds supply, with the amount.
    """
    from scipy.sparse import coo_array

    supply, demand, unit_cost = (np.asarray(v, dtype=np.float64) for v in (supply, demand, unit_cost))
    n, m = unit_cost.shape
    if supply.shape != (n,) or demand.shape != (m,):
        raise BadInputError("supply and demand do not fit the cost matrix", where="transport")
    if demand.sum() > supply.sum() + 1e-9:
        raise InfeasibleError(
            f"demand exceeds supply by {demand.sum() - supply.sum():g}",
            where="transport",
            todo="add supply or drop demand",
        )
    column = np.arange(n * m)
    rows = coo_array(
        (np.ones(2 * n * m), (np.concatenate([column // m, n + column % m]), np.concatenate([column, column]))),
        shape=(n + m, n * m),
    ).tocsc()
    x, cost = solve_lp(
        unit_cost.ravel(),
        rows,
        np.concatenate([np.zeros(n), demand]),
        np.concatenate([supply, demand]),
        np.full(n * m, np.inf),
    )
    return x.reshape(n, m), cost


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """Moves as parallel arrays and what they save.

    Attributes:
        item, origin, to: indices; quantity: units.
        cost: freight plus expected shortage plus holding; cost_without: the same with no move.
    """

    item: NDArray[np.int64]
    origin: NDArray[np.int64]
    to: NDArray[np.int64]
    quantity: F64
    cost: float
    cost_without: float


def plan_transfers(
    stock: F64,
    demand: F64,
    shortage: F64,
    holding: F64,
    freight: F64,
    *,
    segments: int = 4,
    lane_capacity: F64 | None = None,
) -> TransferPlan:
    """Move stock between sites where it saves more expected shortage than it costs.

    Expected shortage of a site is convex in its stock; it is cut into `segments` equal-probability pieces, so that units with
    a high chance of being sold are worth more. With linear pieces and no joint lane capacity the optimum moves whole units.

    Args:
        stock: (item, site) units now.
        demand: (item, site, scenario) until the next delivery.
        shortage, holding: (item,) per unit lost, per unit left over.
        freight: (site, site) per unit moved; infinite where there is no lane.
        lane_capacity: (site, site) units over all items; default unlimited.
    """
    from scipy.sparse import coo_array

    items, sites, _ = demand.shape
    if (stock < 0).any() or not np.isfinite(stock).all():
        raise BadInputError("stock is negative or not a number", where="transfers", count=int((~(stock >= 0)).sum()))
    ordered = np.sort(demand, axis=2)
    edges = np.stack(
        [ordered[:, :, int(np.ceil((k + 1) / segments * ordered.shape[2])) - 1] for k in range(segments)], axis=2
    )
    edges = np.floor(edges)
    width = np.diff(np.concatenate([np.zeros((items, sites, 1)), edges], axis=2), axis=2)
    before = np.concatenate([np.zeros((items, sites, 1)), edges[:, :, :-1]], axis=2)
    used = np.clip(demand[:, :, None, :] - before[..., None], 0, np.maximum(width, 1e-9)[..., None]).mean(
        axis=3
    ) / np.maximum(width, 1e-9)
    value = shortage[:, None, None] * used - holding[:, None, None] * (1 - used)
    pairs = np.argwhere(np.isfinite(freight) & ~np.eye(sites, dtype=bool))
    # only items short somewhere and spare elsewhere can move
    short = (stock < edges[:, :, -1]).any(axis=1) & (stock > edges[:, :, 0]).any(axis=1)
    live = np.flatnonzero(short)
    count, lanes = len(live), len(pairs)
    moves = count * lanes
    cells = count * sites * segments
    move_cost = np.tile(freight[pairs[:, 0], pairs[:, 1]], count)
    cost = np.concatenate([move_cost, -value[live].ravel(), np.repeat(holding[live], sites)])
    # one row per item and site: pieces used + left over + moved out − moved in = stock
    item_of = np.repeat(np.arange(count), lanes)
    out_row = item_of * sites + np.tile(pairs[:, 0], count)
    in_row = item_of * sites + np.tile(pairs[:, 1], count)
    cell = np.arange(cells)
    rest = np.arange(count * sites)
    entries = (
        np.concatenate([np.ones(moves), -np.ones(moves), np.ones(cells), np.ones(count * sites)]),
        (
            np.concatenate([out_row, in_row, cell // segments, rest]),
            np.concatenate([np.arange(moves), np.arange(moves), moves + cell, moves + cells + rest]),
        ),
    )
    rows = coo_array(entries, shape=(count * sites, len(cost))).tocsc()
    right = stock[live].ravel()
    low = high = right
    if lane_capacity is not None:
        from scipy.sparse import vstack

        joint = coo_array(
            (np.ones(moves), (np.tile(np.arange(lanes), count), np.arange(moves))), shape=(lanes, len(cost))
        )
        rows = vstack([rows, joint]).tocsc()
        low = np.concatenate([right, np.zeros(lanes)])
        high = np.concatenate([right, lane_capacity[pairs[:, 0], pairs[:, 1]]])
    top = np.concatenate([np.full(moves, np.inf), width[live].ravel(), np.full(count * sites, np.inf)])
    x, _ = solve_lp(cost, rows, low, high, top) if count else (np.zeros(0), 0.0)
    quantity = np.rint(x[:moves] * 1e6) / 1e6
    picked = np.flatnonzero(quantity > 1e-6)
    plan_stock = stock.copy()
    item, origin, to = live[item_of[picked]], np.tile(pairs[:, 0], count)[picked], np.tile(pairs[:, 1], count)[picked]
    np.add.at(plan_stock, (item, origin), -quantity[picked])
    np.add.at(plan_stock, (item, to), quantity[picked])

    def expected(level: F64) -> float:
        left = level[:, :, None] - demand
        short_cost = shortage[:, None] * np.maximum(-left, 0).mean(axis=2)
        return float((short_cost + holding[:, None] * np.maximum(left, 0).mean(axis=2)).sum())

    paid = float((freight[origin, to] * quantity[picked]).sum())
    return TransferPlan(item, origin, to, quantity[picked], expected(plan_stock) + paid, expected(stock))
