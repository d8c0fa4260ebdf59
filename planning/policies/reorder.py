"""Reorder policies: (r, Q) under continuous review, (s, S) under periodic review, both exact and by approximation.

Sources: Federgruen & Zheng (1992) for (r, Q); Zheng & Federgruen (1991) for (s, S); Ehrhardt & Mosier (1984) for the power
approximation; Hadley & Whitin (1963); Snyder & Shen (2019) chapters 4 and 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from aios_assets.contracts.errors import BadInputError
from planning.policies.demand import Demand, distribution, is_discrete, loss, over_periods
from planning.policies.eoq import eoq, eoq_backorders, not_negative, positive, whole
from planning.policies.newsvendor import normal_loss, normal_second_loss


class NormalRQ:
    """(r, Q) with normal lead-time demand: rate λ, standard deviation sd per unit time, lead time L in the same time unit."""

    def __init__(self, h: float, p: float, K: float, lam: float, sd: float, L: float) -> None:
        positive(h=h, p=p, K=K, lam=lam, sd=sd, L=L)
        self.h, self.p, self.K, self.lam = h, p, K, lam
        self.mu, self.sd = lam * L, sd * math.sqrt(L)

    def point(self, y: float) -> float:
        """Cost rate at inventory position y."""
        under, over = normal_loss(y, self.mu, self.sd)
        return self.h * over + self.p * under

    def cost(self, r: float, Q: float) -> float:
        """Exact cost rate: (Kλ + ∫ point over (r, r+Q)) / Q."""
        positive(Q=Q)
        a, b = r - self.mu, r + Q - self.mu
        tail = normal_second_loss(r, self.mu, self.sd) - normal_second_loss(r + Q, self.mu, self.sd)
        return (self.K * self.lam + self.h * (b * b - a * a) / 2 + (self.h + self.p) * tail) / Q

    def r_for(self, Q: float) -> float:
        """Best reorder point for Q: point(r) = point(r + Q)."""
        from scipy.optimize import brentq
        from scipy.stats import norm

        low = self.mu + self.sd * float(norm.ppf(self.p / (self.p + self.h)))
        return float(
            brentq(lambda r: self.point(r) - self.point(r + Q), low - Q - 10 * self.sd, low, xtol=1e-12, rtol=1e-14)
        )

    def optimal(self) -> tuple[float, float, float]:
        """Exact optimum (r, Q, cost): the Q at which the cost equals point(r(Q))."""
        from scipy.optimize import brentq

        def gap(q: float) -> float:
            r = self.r_for(q)
            return self.cost(r, q) - self.point(r)

        low = eoq(self.K, self.h, self.lam)[0] * 0.2
        high = eoq_backorders(self.K, self.h, self.p, self.lam)[0] + 20 * self.sd
        quantity = float(brentq(gap, low, high * 4, xtol=1e-12, rtol=1e-14))
        r = self.r_for(quantity)
        return r, quantity, self.cost(r, quantity)

    def loss_approximation(self) -> tuple[float, float]:
        """(r, Q) neglecting shortages at r + Q: n(r) = hQ/(h+p), Q² = 2[Kλ + (h+p)n₂(r)]/h."""
        from scipy.optimize import brentq

        quantity = eoq(self.K, self.h, self.lam)[0]
        r = self.mu
        for _ in range(500):
            want = self.h * quantity / (self.h + self.p)
            r = float(
                brentq(
                    lambda x, w=want: normal_loss(x, self.mu, self.sd)[0] - w,
                    self.mu - quantity - 20 * self.sd,
                    self.mu + 40 * self.sd,
                    xtol=1e-13,
                )
            )
            tail = normal_second_loss(r, self.mu, self.sd)
            new = math.sqrt(2 * (self.K * self.lam + (self.h + self.p) * tail) / self.h)
            if abs(new - quantity) < 1e-11 * new:
                break
            quantity = new
        return r, quantity

    def eil_approximation(self) -> tuple[float, float, float]:
        """Expected-inventory-level approximation (Hadley & Whitin): backorders counted per unit, not per time."""
        from scipy.stats import norm

        quantity, r = eoq(self.K, self.h, self.lam)[0], self.mu
        for _ in range(2000):
            share = self.h * quantity / (self.p * self.lam)
            if share >= 1:
                raise BadInputError("holding is too dear against shortage for this approximation", where="(r, Q) EIL")
            r = self.mu + self.sd * float(norm.isf(share))
            short = normal_loss(r, self.mu, self.sd)[0]
            new = math.sqrt(2 * self.lam * (self.K + self.p * short) / self.h)
            if abs(new - quantity) < 1e-12 * new:
                break
            quantity = new
        short = normal_loss(r, self.mu, self.sd)[0]
        cost = (
            self.h * (r - self.mu + quantity / 2) + self.K * self.lam / quantity + self.p * self.lam * short / quantity
        )
        return r, quantity, cost

    def eoqb_approximation(self) -> tuple[float, float]:
        """Q from the EOQ with backorders, r best for it."""
        quantity = eoq_backorders(self.K, self.h, self.p, self.lam)[0]
        return self.r_for(quantity), quantity

    def eoqss_approximation(self) -> tuple[float, float]:
        """Q from the EOQ, r with the newsvendor's safety stock over the lead time."""
        from scipy.stats import norm

        return self.mu + self.sd * float(norm.ppf(self.p / (self.p + self.h))), eoq(self.K, self.h, self.lam)[0]


def rq_poisson(h: float, p: float, K: float, lam: float, L: float) -> tuple[int, int, float]:
    """Exact (r, Q, cost) for Poisson demand (Federgruen & Zheng 1992): grow the interval by its cheaper end while that pays."""
    from scipy.stats import poisson

    positive(h=h, p=p, K=K, lam=lam, L=L)
    demand = poisson(lam * L)

    def point(y: int) -> float:
        under, over = loss(y, demand)
        return h * over + p * under

    level = int(demand.ppf(p / (p + h)))
    low = high = level
    total, quantity = K * lam + point(level), 1
    best = total
    while True:
        left, right = point(low - 1), point(high + 1)
        cheaper = min(left, right)
        if best <= cheaper:
            return low - 1, quantity, best
        total += cheaper
        quantity += 1
        best = total / quantity
        if left <= right:
            low -= 1
        else:
            high += 1


def power_approximation(
    h: float, p: float, K: float, mu: float, sd: float, L: float = 0.0, *, cap: bool = False
) -> tuple[float, float]:
    """(s, S) by the power approximation of Ehrhardt & Mosier (1984).

    Args:
        cap: apply the original rule's ceiling for small orders (Q/μ ≤ 1.5): s and S not above the newsvendor's level.
            Textbook figures are without it.
    """
    from scipy.stats import norm

    positive(h=h, p=p, K=K, mu=mu, sd=sd)
    not_negative(L=L)
    mean, spread = mu * (L + 1), sd * math.sqrt(L + 1)
    quantity = 1.30 * mu**0.494 * (K / h) ** 0.506 * (1 + spread**2 / mu**2) ** 0.116
    z = math.sqrt(quantity * h / (p * spread))
    s = 0.973 * mean + spread * (0.183 / z + 1.063 - 2.192 * z)
    if cap and quantity / mu <= 1.5:
        level = mean + spread * float(norm.ppf(p / (p + h)))
        return min(s, level), min(s + quantity, level)
    return s, s + quantity


def s_s_exact(h: float, p: float, K: float, distribution: Any, lead: Any = None) -> tuple[int, int, float]:
    """Optimal (s, S, cost per period) for integer demand, periodic review, backorders (Zheng & Federgruen 1991).

    Args:
        distribution: demand per period (frozen scipy distribution on 0, 1, …).
        lead: demand over lead time + 1 periods; default one period (no lead time).
    """
    positive(h=h, p=p, K=K)
    over_lead = lead or distribution
    most = int(distribution.ppf(1 - 1e-13)) + 1
    pmf = distribution.pmf(np.arange(most + 1))
    memo: dict[int, float] = {}

    def point(y: int) -> float:
        if y not in memo:
            under, over = loss(y, over_lead)
            memo[y] = h * over + p * under
        return memo[y]

    renewals: list[float] = [1 / (1 - pmf[0])]

    def renewal(j: int) -> float:
        while len(renewals) <= j:
            k = len(renewals)
            reach = np.arange(1, min(k, most) + 1)
            past = np.array([renewals[k - int(i)] for i in reach])
            renewals.append(float((pmf[reach] * past).sum() / (1 - pmf[0])))
        return renewals[j]

    def cost(s: int, S: int) -> float:
        length = sum(renewal(j) for j in range(S - s))
        return (K + sum(renewal(j) * point(S - j) for j in range(S - s))) / length

    best_level = int(over_lead.ppf(p / (p + h)))
    s = best_level - 1
    while cost(s, best_level) > point(s):
        s -= 1
    best_s, top, best = s, best_level, cost(s, best_level)
    level = best_level + 1
    while point(level) <= best:
        if cost(best_s, level) < best:
            top = level
            while cost(best_s, level) <= point(best_s + 1):
                best_s += 1
            best = cost(best_s, level)
        level += 1
    return best_s, top, best


def s_s(h: float, p: float, K: float, demand: Demand, L: int = 0) -> tuple[int, int, float]:
    """Optimal (s, S, cost) for any demand in whole units and L periods of lead time."""
    frozen = distribution(demand)
    whole(L=L)
    if not is_discrete(frozen):
        raise BadInputError(
            "the demand is continuous", where="(s, S)",
            todo="use a demand in whole units (discrete, poisson, negative-binomial, …), or the power-approximation",
        )  # fmt: skip
    return s_s_exact(h, p, K, frozen, over_periods(frozen, L + 1) if L else None)


def s_s_poisson(h: float, p: float, K: float, mu: float, L: float = 0.0) -> tuple[int, int, float]:
    """Optimal (s, S, cost) for Poisson demand and L periods of lead time."""
    from scipy.stats import poisson

    positive(mu=mu)
    not_negative(L=L)
    return s_s_exact(h, p, K, poisson(mu), poisson(mu * (L + 1)))
