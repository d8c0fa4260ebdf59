"""Economic order quantities: deterministic demand, closed forms. Units: K per order, h per unit and time, λ units per time.

Sources: Harris (1913); Snyder & Shen, Fundamentals of Supply Chain Theory, 2nd ed. (2019), chapters 3 and 9; Silver (1976);
Wagner & Whitin (1958); Parlar & Berkin (1991).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aios_assets.contracts.errors import BadInputError


def positive(**values: float) -> None:
    """Refuse values that are not above zero.

    Raises:
        BadInputError: names the value.
    """
    for name, value in values.items():
        if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
            raise BadInputError(f"{name} is {value}, needed is a number above 0", where="policy input")


def not_negative(**values: float | Sequence[float]) -> None:
    """Refuse values, or lists with a value, below zero.

    Raises:
        BadInputError: names the value.
    """
    for name, value in values.items():
        for one in [value] if isinstance(value, int | float) else value:
            if not (isinstance(one, int | float) and math.isfinite(one) and one >= 0):
                raise BadInputError(f"{name} is {one}, needed is a number from 0 up", where="policy input")


def whole(**values: float) -> None:
    """Refuse values that are not whole numbers from 0 up.

    Raises:
        BadInputError: names the value.
    """
    not_negative(**values)
    for name, value in values.items():
        if value != int(value):
            raise BadInputError(f"{name} is {value}, needed is a whole number", where="policy input")


def same_length(where: str, **lists: Sequence[float]) -> None:
    """Refuse lists of different length.

    Raises:
        BadInputError: names them with their lengths.
    """
    if len({len(v) for v in lists.values()}) > 1:
        said = ", ".join(f"{name} has {len(v)}" for name, v in lists.items())
        raise BadInputError(f"lists differ in length: {said}", where=where, todo="give one value each")


def eoq(K: float, h: float, lam: float) -> tuple[float, float]:
    """Order quantity and cost rate: Q = √(2Kλ/h), cost √(2Kλh).

    >>> [round(v, 2) for v in eoq(8, 0.225, 1300)]
    [304.05, 68.41]
    """
    positive(K=K, h=h, lam=lam)
    return math.sqrt(2 * K * lam / h), math.sqrt(2 * K * lam * h)


def eoq_backorders(K: float, h: float, p: float, lam: float) -> tuple[float, float, float]:
    """Order quantity, share backordered and cost rate with planned backorders at p per unit and time."""
    positive(K=K, h=h, p=p, lam=lam)
    return math.sqrt(2 * K * lam * (h + p) / (h * p)), h / (h + p), math.sqrt(2 * K * lam * h * p / (h + p))


def epq(K: float, h: float, lam: float, mu: float) -> tuple[float, float]:
    """Production quantity and cost rate at a finite production rate `mu` above demand.

    Raises:
        BadInputError: production is not faster than demand.
    """
    positive(K=K, h=h, lam=lam, mu=mu)
    if mu <= lam:
        raise BadInputError(f"the production rate {mu} does not exceed demand {lam}", where="EPQ")
    return eoq(K, h * (1 - lam / mu), lam)


def eoq_all_units(
    K: float, i: float, lam: float, breaks: Sequence[float], c: Sequence[float]
) -> tuple[float, int, float]:
    """Order quantity, price region and cost rate (purchases included) with a discount on all units.

    Args:
        i: holding rate per value and time.
        breaks: lower ends of the regions, first 0; c: unit cost in each.
    """
    _regions(breaks, c)
    best = (math.inf, 0.0, 0)
    for n, (low, cost) in enumerate(zip(breaks, c, strict=True)):
        high = breaks[n + 1] if n + 1 < len(breaks) else math.inf
        quantity = max(eoq(K, i * cost, lam)[0], low)
        if quantity >= high:
            continue
        rate = cost * lam + K * lam / quantity + i * cost * quantity / 2
        best = min(best, (rate, quantity, n))
    return best[1], best[2], best[0]


def eoq_incremental(
    K: float, i: float, lam: float, breaks: Sequence[float], c: Sequence[float]
) -> tuple[float, int, float]:
    """Order quantity, price region and cost rate with a discount only on the units beyond each break."""
    _regions(breaks, c)
    positive(K=K, i=i, lam=lam)
    if list(c) != sorted(c, reverse=True):
        raise BadInputError(
            "c rises: a discount makes units cheaper", where="quantity discount", todo="let c fall with breaks"
        )
    best, paid = (math.inf, 0.0, 0), 0.0
    for n, (low, cost) in enumerate(zip(breaks, c, strict=True)):
        if n:
            paid += c[n - 1] * (low - breaks[n - 1])
        extra = paid - cost * low
        quantity = math.sqrt(2 * (K + extra) * lam / (i * cost))
        high = breaks[n + 1] if n + 1 < len(breaks) else math.inf
        if low <= quantity < high:
            rate = cost * lam + i * extra / 2 + math.sqrt(2 * (K + extra) * lam * i * cost)
            best = min(best, (rate, quantity, n))
    return best[1], best[2], best[0]


def _regions(breaks: Sequence[float], c: Sequence[float]) -> None:
    if len(breaks) != len(c) or not breaks or breaks[0] != 0 or list(breaks) != sorted(set(breaks)):
        raise BadInputError("breaks start at 0, rise, and have one unit cost each", where="quantity discount")


def joint_replenishment(
    K: float, k: Sequence[float], h: Sequence[float], lam: Sequence[float]
) -> tuple[list[float], float, list[int], float]:
    """Order quantities, base period, multiples and cost rate of a family (Silver 1976).

    Args:
        K: major cost of every order; k: minor cost of each item in it.
    """
    not_negative(K=K)
    same_length("joint replenishment", k=k, h=h, lam=lam)
    for a, b, d in zip(k, h, lam, strict=True):
        positive(k=a, h=b, lam=d)
    base = min(range(len(k)), key=lambda n: k[n] / (h[n] * lam[n]))
    first = (K + k[base]) / (h[base] * lam[base])
    multiples = [max(1, round(math.sqrt(k[n] / (h[n] * lam[n]) / first))) for n in range(len(k))]
    multiples[base] = 1
    fixed = K + sum(a / m for a, m in zip(k, multiples, strict=True))
    hold = sum(b * d * m for b, d, m in zip(h, lam, multiples, strict=True))
    period = math.sqrt(2 * fixed / hold)
    return (
        [d * m * period for d, m in zip(lam, multiples, strict=True)],
        period,
        multiples,
        fixed / period + hold * period / 2,
    )


def wagner_whitin(
    T: int, h: float | Sequence[float], K: float | Sequence[float], d: Sequence[float], c: float | Sequence[float] = 0.0
) -> tuple[list[float], float]:
    """Orders by period (index 0 unused) and least cost of known demands (Wagner & Whitin 1958)."""
    if len(d) != T:
        raise BadInputError(f"{len(d)} demands for {T} periods", where="Wagner-Whitin")
    not_negative(h=h, K=K, d=d, c=c)
    given = {"h": h, "K": K, "c": c}
    same_length("Wagner-Whitin", d=d, **{n: v for n, v in given.items() if not isinstance(v, int | float)})
    hold, fixed, unit = ([float(v)] * T if isinstance(v, int | float) else [float(x) for x in v] for v in (h, K, c))
    best, choice = [0.0] * (T + 1), [T] * T
    for t in range(T - 1, -1, -1):
        best[t] = math.inf
        carried, quantity, per_unit = 0.0, 0.0, 0.0
        for s in range(t, T):
            quantity += d[s]
            carried += d[s] * per_unit
            per_unit += hold[s]
            cost = (fixed[t] if quantity > 0 else 0.0) + unit[t] * quantity + carried + best[s + 1]
            if cost < best[t] - 1e-12:
                best[t], choice[t] = cost, s + 1
    orders, t = [0.0] * (T + 1), 0
    while t < T:
        orders[t + 1] = float(sum(d[t : choice[t]]))
        t = choice[t]
    return orders, best[0]


def eoq_disruptions(
    K: float, h: float, p: float, lam: float, disruption_rate: float, recovery_rate: float
) -> tuple[float, float]:
    """Order quantity and cost rate when the supplier fails and recovers at exponential rates; unmet demand is lost at p.

    Cost (K + hQ²/2λ + λpβ/μ) / (Q/λ + β/μ) with β = α/(α+μ)·(1 − e^{−(α+μ)Q/λ}); source: Parlar & Berkin (1991), Berk &
    Arreola-Risa (1994); minimised numerically.
    """
    positive(K=K, h=h, p=p, lam=lam, disruption_rate=disruption_rate, recovery_rate=recovery_rate)
    from scipy.optimize import minimize_scalar

    total = disruption_rate + recovery_rate

    def rate(q: float) -> float:
        down = disruption_rate / total * -math.expm1(-total * q / lam)
        return (K + h * q * q / (2 * lam) + lam * p * down / recovery_rate) / (q / lam + down / recovery_rate)

    top = 20 * eoq(K, h, lam)[0] + 10 * lam / total + 10 * lam * p / h / total
    found = minimize_scalar(rate, bounds=(1e-9, top), method="bounded", options={"xatol": 1e-10 * top})
    return float(found.x), float(found.fun)


def eoq_additive_yield(K: float, h: float, lam: float, y_mean: float, y_sd: float) -> tuple[float, float]:
    """Order quantity and cost rate when Q + Y arrive: Q = √(2Kλ/h + σ²) − μ."""
    positive(K=K, h=h, lam=lam)
    root = math.sqrt(2 * K * lam / h + y_sd**2)
    if root <= y_mean:
        raise BadInputError(
            f"what comes unordered (y_mean {y_mean:g}) exceeds the best delivery of {root:g}: nothing is to be ordered",
            where="EOQ with additive yield",
        )
    return root - y_mean, h * root


def eoq_multiplicative_yield(K: float, h: float, lam: float, y_mean: float, y_var: float) -> tuple[float, float]:
    """Order quantity and cost rate when Q·Y arrive: Q = √(2Kλ / h(σ² + μ²))."""
    positive(K=K, h=h, lam=lam, y_mean=y_mean)
    second = y_var + y_mean**2
    return math.sqrt(2 * K * lam / (h * second)), math.sqrt(2 * K * lam * h * second) / y_mean
