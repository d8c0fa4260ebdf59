"""Two ways of ordering over the same days from the same morning: money and service side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.flow import DayResult
from sandbox.minmax import recompute
from sandbox.play import minmax_policy, play
from sandbox.spec import PolicySpec
from sandbox.state import NetworkState

MATCH_STEPS = 7
MATCH_RANGE = (0.1, 4.0)


@dataclass(slots=True)
class Tally:
    """Sums over days.

    Attributes:
        policy: name of the policy.
        days: days summed.
        demand_ea: what customers wanted at stores.
        lost_ea: what they did not get.
        stock_ea: stock at close, summed over days.
        costs: USD by kind (holding, shortage, expedite, ordering).
    """

    policy: str
    days: int = 0
    demand_ea: int = 0
    lost_ea: int = 0
    stock_ea: int = 0
    costs: dict[str, float] = dataclasses.field(default_factory=dict)

    def add(self, result: DayResult) -> None:
        """Take one day."""
        self.days += 1
        self.demand_ea += int(result.demand.sum())
        self.lost_ea += int((result.demand - result.sales).sum())
        self.stock_ea += int(result.closing.sum())
        for name, usd in result.costs.items():
            self.costs[name] = self.costs.get(name, 0.0) + usd

    @property
    def fill_rate_frac(self) -> float:
        """Units sold over units wanted; 1 when nothing was wanted."""
        return 1.0 - self.lost_ea / self.demand_ea if self.demand_ea else 1.0

    @property
    def holding_and_shortage_usd(self) -> float:
        """The headline: holding plus shortage cost."""
        return self.costs.get("holding_usd", 0.0) + self.costs.get("shortage_usd", 0.0)

    def row(self) -> dict[str, Any]:
        """As a row to print: cost by kind, headline, everything together, fill rate, mean stock."""
        return {
            "policy": self.policy,
            "days": self.days,
            **{k: round(self.costs.get(k, 0.0), 2) for k in ("holding_usd", "shortage_usd", "expedite_usd")},
            "holding_plus_shortage_usd": round(self.holding_and_shortage_usd, 2),
            "ordering_usd": round(self.costs.get("ordering_usd", 0.0), 2),
            "total_usd": round(sum(self.costs.values()), 2),
            "fill_rate_frac": round(self.fill_rate_frac, 5),
            "mean_stock_ea": round(self.stock_ea / max(1, self.days)),
            "lost_ea": self.lost_ea,
        }


def tally(policy: str, results: Iterable[DayResult]) -> Tally:
    """Sums of some days."""
    out = Tally(policy)
    for result in results:
        out.add(result)
    return out


def scaled(policy: PolicySpec, factor: float) -> PolicySpec:
    """The same planner with all safety stocks times `factor`."""
    return dataclasses.replace(policy, store_z=policy.store_z * factor, dc_z=policy.dc_z * factor)


def play_minmax(start: NetworkState, days: int, policy: PolicySpec, name: str) -> Tally:
    """Play the min-max planner on a branch of `start`; `start` stays as it is."""
    state = start.branch()
    recompute(state, policy)
    return tally(name, play(state, days, minmax_policy(policy)))


def minmax_at_service(start: NetworkState, days: int, fill_rate_frac: float) -> Tally:
    """The min-max planner whose safety factor gives the asked fill rate over exactly these days.

    It is handed one number in hindsight, which favours it. Found by bisection; the first factor that reaches the asked
    rate from below, or the largest tried when none does.
    """
    low, high = MATCH_RANGE
    base = start.net.spec.policy
    best = play_minmax(start, days, scaled(base, high), "minmax_same_service")
    for _ in range(MATCH_STEPS):
        middle = (low * high) ** 0.5
        found = play_minmax(start, days, scaled(base, middle), "minmax_same_service")
        if found.fill_rate_frac >= fill_rate_frac:
            best, high = found, middle
        else:
            low = middle
    return best


def report(start_date: object, end_date: object, tallies: list[Tally]) -> dict[str, Any]:
    """Rows of all policies, and how much cheaper the recommended orders are than each min-max."""
    rows = [t.row() for t in tallies]
    by_name = {t.policy: t for t in tallies}
    saved: dict[str, float] = {}
    mine = by_name.get("recommended")
    for name, other in by_name.items():
        if mine is not None and other is not mine and other.holding_and_shortage_usd > 0:
            saved[f"saved_against_{name}_frac"] = round(
                1 - mine.holding_and_shortage_usd / other.holding_and_shortage_usd, 4
            )
    return {"from_date": str(start_date), "to_date": str(end_date), "policies": rows, **saved}
