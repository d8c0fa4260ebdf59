"""Networks: echelon base stock in series (Clark & Scarf) and guaranteed service in trees (Graves & Willems).

Sources: Clark & Scarf (1960), Chen & Zheng (1994); Graves & Willems (2000); Snyder & Shen (2019) chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError, InfeasibleError
from planning.policies.eoq import not_negative, positive, whole

F64 = NDArray[np.float64]


def _pmf(kind: str, mean: float, sd: float, step: float) -> tuple[F64, F64]:
    """Support and probabilities of lead-time demand."""
    from scipy.stats import norm, poisson

    if mean == 0:
        return np.zeros(1), np.ones(1)
    if kind == "poisson":
        whole = np.arange(0, int(poisson.ppf(1 - 1e-14, mean)) + 2, dtype=np.float64)
        return whole, np.asarray(poisson.pmf(whole, mean))
    low, high = math.floor((mean - 8 * sd) / step), math.ceil((mean + 8 * sd) / step)
    d = np.asarray(np.arange(low, high + 1) * step, dtype=np.float64)
    p = norm.cdf(d + step / 2, mean, sd) - norm.cdf(d - step / 2, mean, sd)
    return d, np.asarray(p / p.sum())


def serial_base_stock(
    L: Sequence[float],
    h_echelon: Sequence[float],
    p: float,
    *,
    mu: float,
    sd: float | None = None,
    step: float | None = None,
) -> tuple[dict[int, float], float]:
    """Optimal echelon base-stock levels {stage: level} and cost rate of a line of stages, stage 1 faces customers.

    Recursion: C₀(x) = (p + Σh)·x⁻; Cⱼ(y) = E[hⱼ(y − D) + Cⱼ₋₁(min(Sⱼ₋₁, y − D))] with D the demand over Lⱼ; Sⱼ = argmin.

    Args:
        L: lead time of each stage, from its supplier; h_echelon: echelon holding cost of each.
        mu: demand per unit time; sd: its standard deviation for normal demand, None for Poisson.
        step: grid of normal demand; default sd of the shortest lead time / 50.
    """
    if len(L) != len(h_echelon) or not L or min(h_echelon) < 0 or p <= 0:
        raise BadInputError(
            "every stage needs a lead time and an echelon holding cost ≥ 0, and p above 0", where="serial system"
        )
    positive(mu=mu, **({} if sd is None else {"sd": sd}))
    not_negative(L=L)
    kind = "poisson" if sd is None else "normal"
    shortest = min((v for v in L if v > 0), default=1.0)
    grid = 1.0 if sd is None else step or sd * math.sqrt(shortest) / 50
    spread = math.sqrt(mu * sum(L)) if sd is None else sd * math.sqrt(sum(L))
    top = math.ceil((mu * sum(L) + 10 * spread + 5) / grid)
    low = -math.ceil((mu * sum(L) + 16 * spread + 10) / grid)
    x = np.arange(low, top + 1) * grid
    slope = p + sum(h_echelon)
    lower = slope * np.maximum(-x, 0)
    levels, cost = {}, math.nan
    for j, (lead, h) in enumerate(zip(L, h_echelon, strict=True), start=1):
        d, prob = _pmf(kind, mu * lead, (sd or 0.0) * math.sqrt(lead), grid)
        inside = h * x + lower
        # beyond the left edge the function is linear with its edge slope
        edge = inside[1] - inside[0]
        first, last = round(d[0] / grid), round(d[-1] / grid)
        left = inside[0] + edge * np.arange(-max(last, 0), 0)
        right = inside[-1] + (inside[-1] - inside[-2]) * np.arange(1, max(-first, 0) + 1)
        wide = np.concatenate([left, inside, right])
        offset = max(last, 0)
        total = np.zeros_like(x)
        for k, weight in zip(range(first, last + 1), prob, strict=True):
            total += weight * wide[offset - k : offset - k + len(x)]
        best = int(np.argmin(total))
        levels[j], cost = float(x[best]), float(total[best])
        lower = np.where(np.arange(len(x)) >= best, total[best], total)
    return levels, cost


def guaranteed_service(
    edges: Sequence[tuple[Any, Any]], T: Mapping[Any, int], h: Mapping[Any, float], sd: Mapping[Any, float], *,
    s_in: Mapping[Any, int] | None = None, s_out: Mapping[Any, int] | None = None, dbc: float = 1.0,
) -> tuple[dict[Any, int], float]:  # fmt: skip
    """Committed service times {stage: periods} and safety-stock cost of a tree (Graves & Willems 2000).

    Safety stock is dbc·σ·√(inbound + processing − outbound); a stage's σ² adds up the customers it serves.

    Args:
        edges: (supplier, customer) pairs forming a tree; T: processing times; h: local holding costs.
        sd: demand standard deviation of stages that face customers; s_in: external inbound service times;
        s_out: longest service time promised to customers.

    Raises:
        BadInputError: a stage without processing time or holding cost, times that are not whole, or no promise to customers
            (who would wait for ever, at no cost).
        InfeasibleError: the edges are no tree, or a promise cannot be kept.
    """
    _refuse_stages(edges, T, h, sd, s_in or {}, s_out or {})
    nodes = sorted({*T}, key=str)
    ups: dict[Any, list[Any]] = {n: [] for n in nodes}
    downs: dict[Any, list[Any]] = {n: [] for n in nodes}
    for a, b in edges:
        downs[a].append(b)
        ups[b].append(a)
    if len(edges) != len(nodes) - 1:
        raise InfeasibleError(
            f"{len(edges)} edges do not make a tree of {len(nodes)} stages", where="guaranteed service"
        )
    variance = {n: float(sd.get(n, 0.0)) ** 2 for n in nodes}
    seen: dict[Any, float] = {}

    def served(n: Any) -> float:
        if n not in seen:
            seen[n] = variance[n] + sum(served(m) for m in downs[n])
        return seen[n]

    sigma = {n: math.sqrt(served(n)) for n in nodes}
    longest = int(sum(T.values()) + max((s_in or {}).values(), default=0))
    tree = _ServiceTree(nodes, ups, downs, T, h, sigma, s_in or {}, s_out or {}, dbc, longest)
    return tree.solve()


def _refuse_stages(
    edges: Sequence[tuple[Any, Any]], T: Mapping[Any, int], h: Mapping[Any, float], sd: Mapping[Any, float],
    s_in: Mapping[Any, int], s_out: Mapping[Any, int],
) -> None:  # fmt: skip
    where = "guaranteed service"
    named = [n for edge in edges for n in edge]
    for what, given in (("edges", named), ("h", h), ("sd", sd), ("s_in", s_in), ("s_out", s_out)):
        strange = sorted({str(n) for n in given if n not in T})
        if strange:
            raise BadInputError(f"{what} names stage {', '.join(strange)}, which T does not have", where=where)
    lacking = sorted(str(n) for n in T if n not in h)
    if lacking:
        raise BadInputError(f"h has no holding cost for stage {', '.join(lacking)}", where=where)
    for name, times in (("T", T), ("s_in", s_in), ("s_out", s_out)):
        for stage, value in times.items():
            whole(**{f"{name} of stage {stage}": value})
    open_ended = sorted(str(n) for n in sd if sd[n] and n not in s_out)
    if open_ended or not sd:
        raise BadInputError(
            f"nothing is promised to the customers of stage {', '.join(open_ended)}" if open_ended else "sd names no stage",
            where=where, todo="state s_out, the longest service time, and sd of each stage that faces customers; 0 delivers at once",
        )  # fmt: skip
    _refuse_circle(edges, T)


def _refuse_circle(edges: Sequence[tuple[Any, Any]], stages: Mapping[Any, int]) -> None:
    """A tree reaches every stage once."""
    met = {n: n for n in stages}

    def root(n: Any) -> Any:
        while met[n] != n:
            n = met[n]
        return n

    for a, b in edges:
        if root(a) == root(b):
            raise InfeasibleError(f"the edge from {a} to {b} closes a circle", where="guaranteed service")
        met[root(a)] = root(b)


class _ServiceTree:
    """Dynamic program over a tree rooted at its first stage: tables of least cost by outbound or inbound service time."""

    def __init__(
        self, nodes: list[Any], ups: dict[Any, list[Any]], downs: dict[Any, list[Any]], T: Mapping[Any, int], h: Mapping[Any, float],
        sigma: dict[Any, float], s_in: Mapping[Any, int], s_out: Mapping[Any, int], dbc: float, longest: int,
    ) -> None:  # fmt: skip
        self.nodes, self.ups, self.downs, self.T, self.h = nodes, ups, downs, T, h
        self.sigma, self.s_in, self.s_out, self.dbc, self.size = sigma, s_in, s_out, dbc, longest + 1
        self.picked: dict[Any, F64] = {}

    def table(self, node: Any, parent: Any) -> F64:
        """(outbound, inbound) least cost of the part of the tree behind `node`, seen from `parent`."""
        inbound = np.arange(self.size)[None, :]
        outbound = np.arange(self.size)[:, None]
        span = inbound + self.T[node] - outbound
        cost = self.h[node] * self.dbc * self.sigma[node] * np.sqrt(np.maximum(span, 0))
        cost = np.where(span < 0, np.inf, cost)
        cost = np.where(inbound < self.s_in.get(node, 0), np.inf, cost)
        if node in self.s_out:
            cost = np.where(outbound > self.s_out[node], np.inf, cost)
        for up in self.ups[node]:
            if up != parent:
                best = self.table(up, node).min(axis=1)  # by its outbound, which may not exceed our inbound
                cost = cost + np.minimum.accumulate(best)[None, :]
        for down in self.downs[node]:
            if down != parent:
                best = self.table(down, node).min(axis=0)  # by its inbound, which may not be below our outbound
                cost = cost + np.minimum.accumulate(best[::-1])[::-1][:, None]
        self.picked[node] = cost
        return cost

    def solve(self) -> tuple[dict[Any, int], float]:
        """Fill the tables from the root, then walk back."""
        root = self.nodes[0]
        cost = self.table(root, None)
        if not np.isfinite(cost).any():
            raise InfeasibleError(
                "no service times keep every promise", where="guaranteed service", todo="allow a longer service time"
            )
        times: dict[Any, int] = {}
        self._walk(root, None, np.ones_like(cost, dtype=bool), times)
        return {n: times[n] for n in self.nodes}, float(cost.min())

    def _walk(self, node: Any, parent: Any, allowed: NDArray[np.bool_], times: dict[Any, int]) -> None:
        cost = np.where(allowed, self.picked[node], np.inf)
        out, into = np.unravel_index(int(np.argmin(cost)), cost.shape)
        times[node] = int(out)
        grid = np.arange(self.size)
        for up in self.ups[node]:
            if up != parent:
                self._walk(up, node, np.broadcast_to((grid <= into)[:, None], cost.shape), times)
        for down in self.downs[node]:
            if down != parent:
                self._walk(down, node, np.broadcast_to((grid >= out)[None, :], cost.shape), times)
