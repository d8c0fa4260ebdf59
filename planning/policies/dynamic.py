"""Dynamic programs: finite-horizon (s, S) and lost sales with a lead time.

Sources: Scarf (1960) for the form of the finite-horizon policy; Zipkin (2008), Operations Research 56(5), for lost sales.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError, NotSupportedError
from planning.policies.demand import Demand, distribution, probabilities
from planning.policies.eoq import not_negative, positive

F64 = NDArray[np.float64]
MOST_STATES = 1_000_000


def finite_horizon(
    T: int,
    h: float,
    p: float,
    hT: float,
    pT: float,
    c: float,
    K: float,
    mu: float,
    sd: float,
    *,
    gamma: float = 1.0,
    start: int = 0,
    width: float = 4.0,
) -> tuple[list[int], list[int], float]:
    """Reorder points, order-up-to levels by period, and expected cost of T periods of normal demand, backorders.

    Stock is searched on whole units. The cost of a period is exact; the next period's state takes demand in whole units
    within `width` standard deviations. The published figures keep the mass of four standard deviations as it is; with
    `width=8` the answer is the true one (0.013 % higher in the textbook's example).

    Args:
        hT, pT: cost per unit left or backordered after the last period; c: unit cost; gamma: discount per period.
        K: cost of an order; without one every period orders up to its level, which is its reorder point too.
        start: stock before the first order.
    """
    positive(T=T, h=h, p=p, mu=mu, sd=sd)
    not_negative(K=K)
    from scipy.stats import norm

    low, high = max(0, round(mu - width * sd)), round(mu + width * sd)
    d = np.arange(low, high + 1)
    pmf = norm.cdf(d + 0.5, mu, sd) - norm.cdf(d - 0.5, mu, sd)
    floor, top = -high * 2 - 50, int(mu * 4 + 8 * sd + np.sqrt(2 * K * mu / h)) + 50
    x = np.arange(floor - high, top + 1)
    value = hT * np.maximum(x, 0) + pT * np.maximum(-x, 0)
    lows, tops = [0] * T, [0] * T
    for t in range(T - 1, -1, -1):
        y = np.arange(floor, top + 1)
        z = (y - mu) / sd
        short = sd * (norm.pdf(z) - z * norm.sf(z))
        future = value[y[:, None] - d[None, :] - (floor - high)]
        total = c * y + h * (short + y - mu) + p * short + gamma * (future * pmf).sum(axis=1)
        best = int(np.argmin(total))
        tops[t] = int(y[best])
        under = np.flatnonzero(total[: best + 1] > total[best] + K)
        lows[t] = tops[t] if K == 0 else int(y[under[-1]]) if under.size else int(floor)
        new = np.where(y <= lows[t], K + total[best], total) - c * y
        # below the grid the policy orders up to the same level, so the value is linear there
        below = K + total[best] - c * np.arange(floor - high, floor)
        value = np.concatenate([below, new])
    return lows, tops, float(value[start - (floor - high)])


def lost_sales_optimal(
    h: float, p: float, L: int, mu: float | None = None, demand: Demand | None = None, *, tolerance: float = 1e-3
) -> float:
    """Least average cost per period with lost sales; an order made before demand arrives L periods later.

    Value iteration on stock and the pipeline of L − 1 orders, bounds of MacQueen as stopping rule.

    Args:
        mu: mean of Poisson demand; or else `demand`: any demand in whole units.

    Raises:
        BadInputError: neither or both of `mu` and `demand`, or a lead time below 1.
        NotSupportedError: too many states: they grow as orders to the power L.
    """
    positive(h=h, p=p)
    if (mu is None) == (demand is None):
        raise BadInputError("a demand is needed, once", where="lost sales", todo="give mu (Poisson) or demand")
    if L < 1:
        raise BadInputError(
            f"a lead time of {L} periods", where="lost sales", todo="use 1 or more; with 0 it is the newsvendor"
        )
    frozen = distribution({"kind": "poisson", "mean": mu} if demand is None else demand)
    one = probabilities(frozen)
    most = _quantile(one, 0.9999) + 1
    stock = _quantile(probabilities(frozen, L + 1), 1 - h / (p + h) / 20) + most + 1
    shape = (stock + 1,) + (most + 1,) * (L - 1)
    if math.prod(shape) > MOST_STATES:
        raise NotSupportedError(
            f"lost sales with a lead time of {L} periods: {math.prod(shape):,} states", todo="use a shorter lead time"
        )
    move, d = _left_over(one, stock), np.arange(stock + 1)
    left = move @ d
    cost = h * left + p * (float(frozen.mean()) - (d - left))
    value = np.zeros(shape)
    for _ in range(5000):
        new = _step(value, move, cost, most, L)
        change = new - value
        value = new - new.min()
        if change.max() - change.min() < tolerance:
            return float((change.max() + change.min()) / 2)
    raise BadInputError("value iteration did not settle", where="lost sales")


def _left_over(one: F64, most: int) -> F64:
    """Probability of each stock left after demand (column) by the stock before it (row), 0 … `most`."""
    pmf = np.pad(one, (0, most + 1))[: most + 1]
    out = np.zeros((most + 1, most + 1))
    for x in range(most + 1):
        out[x, 1 : x + 1] = pmf[:x][::-1]
        out[x, 0] = 1 - pmf[:x].sum()
    return out


def _quantile(weight: F64, level: float) -> int:
    return int(np.searchsorted(np.cumsum(weight), level))


def _step(value: F64, move: F64, cost: F64, most: int, lead: int) -> F64:
    """One step: order z, meet demand, take in the oldest order of the pipeline."""
    top = value.shape[0] - 1
    if lead == 1:
        arrive = np.minimum(np.arange(top + 1)[:, None] + np.arange(most + 1)[None, :], top)
        return np.asarray(cost + (move @ value[arrive]).min(axis=1))
    # state (stock, q1, q2, …); next (left + q1, q2, …, z); z is chosen before demand is known
    out = np.empty(value.shape)
    each = cost.reshape((-1,) + (1,) * (lead - 2))
    for q in range(most + 1):
        shifted = value[np.minimum(np.arange(top + 1) + q, top)]
        out[:, q] = each + np.tensordot(move, shifted, axes=(1, 0)).min(axis=-1)
    return out
