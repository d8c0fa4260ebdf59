"""Dynamic programs: finite-horizon (s, S) and lost sales with a lead time.

Sources: Scarf (1960) for the form of the finite-horizon policy; Zipkin (2008), Operations Research 56(5), for lost sales.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError, NotSupportedError
from planning.policies.eoq import positive

F64 = NDArray[np.float64]


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
        start: stock before the first order.
    """
    positive(T=T, h=h, p=p, K=K, mu=mu, sd=sd)
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
        lows[t] = int(y[under[-1]]) if under.size else int(floor)
        new = np.where(y <= lows[t], K + total[best], total) - c * y
        # below the grid the policy orders up to the same level, so the value is linear there
        below = K + total[best] - c * np.arange(floor - high, floor)
        value = np.concatenate([below, new])
    return lows, tops, float(value[start - (floor - high)])


def lost_sales_optimal(h: float, p: float, L: int, mu: float, *, tolerance: float = 1e-3) -> float:
    """Least average cost per period of Poisson demand with lost sales; an order made before demand arrives L periods later.

    Value iteration on stock and the pipeline of L − 1 orders, bounds of MacQueen as stopping rule.

    Raises:
        NotSupportedError: a lead time above 3: the state space grows as orders to the power L.
    """
    positive(h=h, p=p, mu=mu)
    if L < 1:
        raise BadInputError(
            f"a lead time of {L} periods", where="lost sales", todo="use 1, 2 or 3; with 0 it is the newsvendor"
        )
    if L > 3:
        raise NotSupportedError(f"lost sales with a lead time of {L} periods", todo="use 1, 2 or 3")
    from scipy.stats import poisson

    most = int(poisson.ppf(0.9999, mu)) + 1
    stock = int(poisson.ppf(1 - h / (p + h) / 20, mu * (L + 1))) + most + 1
    d = np.arange(stock + 1)
    pmf = poisson.pmf(d, mu)
    move = np.zeros((stock + 1, stock + 1))  # stock before demand → left after demand
    for x in range(stock + 1):
        move[x, 1 : x + 1] = pmf[:x][::-1]
        move[x, 0] = 1 - pmf[:x].sum()
    left = move @ d
    lost = mu - (d - left)
    cost = h * left + p * lost
    shape = (stock + 1,) + (most + 1,) * (L - 1)
    value = np.zeros(shape)
    for _ in range(5000):
        new = _step(value, move, cost, most, L)
        change = new - value
        value = new - new.min()
        if change.max() - change.min() < tolerance:
            return float((change.max() + change.min()) / 2)
    raise BadInputError("value iteration did not settle", where="lost sales")


def _step(value: F64, move: F64, cost: F64, most: int, lead: int) -> F64:
    """One step: order z, meet demand, take in the oldest order of the pipeline."""
    top = value.shape[0] - 1
    if lead == 1:
        arrive = np.minimum(np.arange(top + 1)[:, None] + np.arange(most + 1)[None, :], top)
        expected = move @ value[arrive]
        return np.asarray(cost + expected.min(axis=1))
    # state (x, q1[, q2]); next (left + q1, [q2,] z)
    out = np.empty(value.shape)
    for q in range(most + 1):
        shifted = value[np.minimum(np.arange(top + 1) + q, top)]
        if lead == 2:
            # the order z becomes the pipeline: choose it before demand is known
            expected = (move @ shifted).min(axis=-1)
            out[:, q] = cost + expected
        else:
            expected = np.tensordot(move, shifted, axes=(1, 0)).min(axis=-1)
            out[:, q, :] = cost[:, None] + expected
    return out
