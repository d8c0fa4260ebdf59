"""Who supplies what: facility location and supplier choice as mixed-integer programs, with the best three and their regret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError, InfeasibleError
from planning.transfers import solve_lp

F64 = NDArray[np.float64]


def capacitated_assignment(
    fixed: float | Sequence[float], capacity: Sequence[float], supply_cost: F64
) -> tuple[float, list[int], list[int]]:
    """Open sources and give each customer to one of them (customers × sources costs): cost, open sources, source of each.

    Source: capacitated warehouse location, CSPLib prob034.

    Raises:
        InfeasibleError: capacity is below the number of customers.
    """
    from scipy.sparse import lil_array

    costs = np.asarray(supply_cost, dtype=np.float64)
    n, m = costs.shape
    opening = np.full(m, float(fixed)) if isinstance(fixed, int | float) else np.asarray(fixed, dtype=np.float64)
    if sum(capacity) < n:
        raise InfeasibleError(f"capacity is {n - sum(capacity):g} below the {n} customers", where="assignment")
    rows = lil_array((n + m, n * m + m))
    for i in range(n):
        rows[i, i * m : (i + 1) * m] = 1
    for j in range(m):
        rows[n + j, j : n * m : m] = 1
        rows[n + j, n * m + j] = -capacity[j]
    x, cost = solve_lp(
        np.concatenate([costs.ravel(), opening]), rows.tocsc(), np.concatenate([np.ones(n), np.full(m, -np.inf)]),
        np.concatenate([np.ones(n), np.zeros(m)]), np.ones(n * m + m), np.ones(n * m + m),
    )  # fmt: skip
    return cost, [j for j in range(m) if x[n * m + j] > 0.5], [int(np.argmax(row)) for row in x[: n * m].reshape(n, m)]


@dataclass(frozen=True, slots=True)
class Quote:
    """What a supplier offers for one need.

    Attributes:
        supplier_id: who.
        fixed_usd: cost of an order.
        breaks: lower ends of price regions, first 0; prices: unit price in each (all units).
        capacity: most units.
        minimum: smallest order.
        late_probability_frac: chance to come after the need; late_cost_usd: cost per unit then.
    """

    supplier_id: str
    fixed_usd: float
    breaks: tuple[float, ...]
    prices: tuple[float, ...]
    capacity: float
    minimum: float = 0.0
    late_probability_frac: float = 0.0
    late_cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to buy: units by supplier, total cost, and how much dearer than the best."""

    quantities: dict[str, float]
    cost_usd: float
    regret_usd: float


def choose_suppliers(need: float, quotes: Sequence[Quote], top: int = 3) -> list[Choice]:
    """The `top` cheapest ways to buy `need` units, best first; each does without a supplier of every better one.

    Fixed costs, all-units price breaks, capacity, minimum order, and lateness priced as probability × cost per unit.

    Raises:
        InfeasibleError: all suppliers together cannot deliver; says how much is missing.
        BadInputError: a quote contradicts itself.
    """
    for q in quotes:
        if len(q.breaks) != len(q.prices) or not q.breaks or q.breaks[0] != 0 or q.capacity < 0:
            raise BadInputError("a quote's price breaks start at 0 and have one price each", where=q.supplier_id)
    room = sum(q.capacity for q in quotes)
    if need > room + 1e-9:
        raise InfeasibleError(
            f"suppliers can deliver {room:g}, {need - room:g} less than needed", where="supplier choice"
        )
    found: list[Choice] = []
    banned: list[frozenset[int]] = []
    while len(found) < top:
        solved = _solve_choice(need, quotes, banned)
        if solved is None:
            break
        cost, quantities, used = solved
        found.append(Choice(quantities, cost, cost - (found[0].cost_usd if found else cost)))
        banned.append(used)
    if not found:
        raise InfeasibleError("no set of suppliers meets minimum orders and capacity", where="supplier choice")
    return found


def _solve_choice(
    need: float, quotes: Sequence[Quote], banned: list[frozenset[int]]
) -> tuple[float, dict[str, float], frozenset[int]] | None:
    pieces = [(j, k) for j, q in enumerate(quotes) for k in range(len(q.breaks))]
    n, m = len(pieces), len(quotes)
    cost = np.zeros(2 * n + m)
    rows, low, high = [], [], []

    def add(entries: dict[int, float], lower: float, upper: float) -> None:
        row = np.zeros(2 * n + m)
        for c, v in entries.items():
            row[c] = v
        rows.append(row)
        low.append(lower)
        high.append(upper)

    for c, (j, k) in enumerate(pieces):
        q = quotes[j]
        cost[c] = q.prices[k] + q.late_probability_frac * q.late_cost_usd
        ceiling = min(q.breaks[k + 1], q.capacity) if k + 1 < len(q.breaks) else q.capacity
        add({c: 1, n + c: -ceiling}, -np.inf, 0)
        add({c: 1, n + c: -max(q.breaks[k], q.minimum)}, 0, np.inf)
    for j, q in enumerate(quotes):
        mine = [c for c, (a, _) in enumerate(pieces) if a == j]
        cost[2 * n + j] = q.fixed_usd
        add({**{n + c: 1.0 for c in mine}, 2 * n + j: -1}, 0, 0)
    add(dict.fromkeys(range(n), 1.0), need, np.inf)
    for used in banned:
        add({2 * n + j: 1.0 for j in used}, -np.inf, len(used) - 1)
    kind = np.concatenate([np.zeros(n), np.ones(n + m)])
    limit = np.concatenate([np.full(n, np.inf), np.ones(n + m)])
    try:
        x, total = solve_lp(cost, np.array(rows), np.array(low), np.array(high), limit, kind)
    except InfeasibleError:
        return None
    bought: dict[str, float] = {}
    for c, (j, _) in enumerate(pieces):
        if x[c] > 1e-7:
            bought[quotes[j].supplier_id] = bought.get(quotes[j].supplier_id, 0.0) + float(x[c])
    return total, bought, frozenset(j for j, q in enumerate(quotes) if bought.get(q.supplier_id, 0.0) > 0)
