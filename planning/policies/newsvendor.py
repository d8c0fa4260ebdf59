"""Loss functions, newsvendor and base stock: one period, or the periods one order is exposed to.

Sources: Arrow, Harris & Marschak (1951); Snyder & Shen (2019) chapter 4 and appendix C; Eppen (1979); Erlang (1917);
Karush (1957) for (S−1, S) with lost sales.
"""

from __future__ import annotations

import math

from aios_assets.contracts.errors import BadInputError
from planning.policies.demand import Demand, distribution, is_discrete, loss, over_periods
from planning.policies.eoq import not_negative, positive, whole


def standard_normal_loss(z: float) -> tuple[float, float]:
    """E[(Z − z)⁺] and E[(z − Z)⁺]."""
    from scipy.stats import norm

    under = float(norm.pdf(z) - z * norm.sf(z))
    return under, under + z


def normal_loss(x: float, mu: float, sd: float) -> tuple[float, float]:
    """E[(D − x)⁺] and E[(x − D)⁺] of a normal demand."""
    positive(sd=sd)
    under, over = standard_normal_loss((x - mu) / sd)
    return sd * under, sd * over


def normal_second_loss(x: float, mu: float, sd: float) -> float:
    """½ E[((D − x)⁺)²] of a normal demand: the integral of its loss from x to infinity."""
    from scipy.stats import norm

    z = (x - mu) / sd
    return float(0.5 * sd * sd * ((z * z + 1) * norm.sf(z) - z * norm.pdf(z)))


def poisson_loss(x: float, mu: float) -> tuple[float, float]:
    """Losses of Poisson demand."""
    return loss(x, distribution({"kind": "poisson", "mean": mu}))


def negative_binomial_loss(x: float, mean: float, sd: float) -> tuple[float, float]:
    """Losses of negative binomial demand given by mean and standard deviation.

    Raises:
        BadInputError: the variance does not exceed the mean.
    """
    return loss(x, distribution({"kind": "negative-binomial", "mean": mean, "sd": sd}))


def demand_loss(x: float, demand: Demand) -> tuple[float, float]:
    """Losses of any demand of `planning.policies.demand`."""
    return loss(x, distribution(demand))


def newsvendor_normal(h: float, p: float, mu: float, sd: float, L: float = 0.0) -> tuple[float, float]:
    """Base stock and cost per period over L + 1 periods: S = μ(L+1) + zσ√(L+1), cost (h+p)φ(z)σ√(L+1)."""
    from scipy.stats import norm

    positive(h=h, p=p, sd=sd)
    not_negative(L=L)
    z = float(norm.ppf(p / (p + h)))
    spread = sd * math.sqrt(L + 1)
    return mu * (L + 1) + z * spread, (h + p) * float(norm.pdf(z)) * spread


def newsvendor(h: float, p: float, demand: Demand, L: int = 0) -> tuple[float, float]:
    """Smallest base stock S with F(S) ≥ p/(p+h), and its cost, of any demand; in whole units also over L + 1 periods.

    Raises:
        BadInputError: several periods of a continuous demand other than normal.
    """
    positive(h=h, p=p)
    not_negative(L=L)
    frozen = distribution(demand)
    if L and is_discrete(frozen):
        frozen = over_periods(frozen, L + 1)
    elif L and frozen.dist.name == "norm":
        return newsvendor_normal(h, p, float(frozen.mean()), float(frozen.std()), L)
    elif L:
        raise BadInputError(
            f"{L + 1} periods of a {frozen.dist.name} demand have no simple sum", where="newsvendor", todo="use L = 0"
        )
    level = float(frozen.ppf(p / (p + h)))
    under, over = loss(level, frozen)
    return level, h * over + p * under


def newsvendor_poisson(h: float, p: float, mu: float, L: float = 0.0) -> tuple[float, float]:
    """Base stock and cost per period of Poisson demand over L + 1 periods."""
    not_negative(L=L)
    return newsvendor(h, p, {"kind": "poisson", "mean": mu * (L + 1)})


def newsvendor_price(
    revenue: float, cost: float, demand: Demand, salvage: float = 0.0, holding: float = 0.0, stockout: float = 0.0
) -> tuple[float, float]:
    """Order and expected profit when a unit sells for `revenue`, costs `cost`, and what is left brings `salvage`.

    Args:
        holding: cost of a unit left; stockout: cost of a unit of unmet demand beside the margin lost.
    """
    h, p = cost - salvage + holding, revenue - cost + stockout
    level, lost = newsvendor(h, p, demand)
    return level, (revenue - cost) * float(distribution(demand).mean()) - lost


def newsvendor_additive_yield(h: float, p: float, d: float, y_mean: float, y_sd: float) -> tuple[float, float]:
    """Base stock and cost at known demand d when S + Y units are there, Y normal: S = d − μ + zσ, cost (h+p)φ(z)σ."""
    spare, cost = newsvendor_normal(h, p, 0.0, y_sd)
    return d - y_mean + spare, cost


def base_stock_disruptions(h: float, p: float, d: float, alpha: float, beta: float) -> tuple[float, float]:
    """Base stock and cost per period at known demand d when a working supplier fails with probability α, a failed one recovers with β.

    The number of periods since the last delivery has F(n) = 1 − α/(α+β)(1−β)ⁿ; S = (n+1)d at the smallest n with F ≥ p/(p+h).
    """
    positive(h=h, p=p, d=d, alpha=alpha, beta=beta)
    if beta >= 1 or alpha >= 1:
        raise BadInputError("alpha and beta are probabilities below 1", where="base stock with disruptions")
    share = alpha / (alpha + beta)
    n = 0
    while 1 - share * (1 - beta) ** n < p / (p + h):
        n += 1
    level = (n + 1) * d
    cost, k, tail = h * (level - d) * beta / (alpha + beta), 1, share
    while tail > 1e-16:
        weight = share * beta * (1 - beta) ** (k - 1)
        gap = level - (k + 1) * d
        cost += weight * (h * max(gap, 0) + p * max(-gap, 0))
        tail = share * (1 - beta) ** k
        k += 1
    return level, cost


def erlang_b(offered_load: float, S: int) -> float:
    """Share of demand lost under (S−1, S) with lost sales, for any lead-time distribution with that mean load."""
    positive(offered_load=offered_load)
    whole(S=S)
    loss = 1.0
    for k in range(1, int(S) + 1):
        loss = offered_load * loss / (k + offered_load * loss)
    return loss


def fill_rate(S: float, mean: float, lead: float, review: float, sd: float) -> float:
    """Share of demand met at once under order-up-to S: 1 − E[(D_{L+R} − S)⁺ − (D_L − S)⁺] / μR, normal demand per period."""
    positive(mean=mean, review=review, sd=sd)
    late = normal_loss(S, mean * (lead + review), sd * math.sqrt(lead + review))[0]
    early = normal_loss(S, mean * lead, sd * math.sqrt(lead))[0] if lead > 0 else max(-S, 0.0)
    return 1 - (late - early) / (mean * review)


def level_for_fill_rate(beta: float, mean: float, lead: float, review: float, sd: float) -> float:
    """Order-up-to level that meets the share `beta` of demand at once.

    Raises:
        BadInputError: beta is not between 0 and 1.
    """
    from scipy.optimize import brentq

    if not 0 < beta < 1:
        raise BadInputError(f"a fill rate of {beta} is not between 0 and 1", where="fill rate")
    top = mean * (lead + review) + 40 * sd * math.sqrt(lead + review)
    return float(brentq(lambda s: fill_rate(s, mean, lead, review, sd) - beta, -top, top, xtol=1e-10))


def pooling_ratio(n: int) -> float:
    """Cost of n separate newsvendors over one pooled, independent equal normal demands: √n (Eppen 1979)."""
    whole(n=n)
    positive(n=n)
    separate, pooled = n * newsvendor_normal(1, 9, 100, 20)[1], newsvendor_normal(1, 9, 100 * n, 20 * math.sqrt(n))[1]
    return separate / pooled
