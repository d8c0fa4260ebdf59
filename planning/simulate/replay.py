"""A plan replayed on its own history, round by round, each round shown only what was known then.

Timing: at the end of period t the planner sees demand up to t, on hand, and what is on the way; what he orders is on the
shelf at the start of t + lead time + 1. Costs are the true ones: holding per unit left at the end of a period, shortage per
unit of demand unmet. Every policy meets the same demand and the same lead times (common random numbers). Where the lead time is
a distribution, an order's own is drawn when it is made, and what is on the way is shown by the period in which it will arrive, as
the state of a plan states it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planning.config import PlanConfig
from planning.panel import Panel
from planning.stateless import Terms

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Policy = Callable[[Panel, F64, F64, int], F64]
"""(known panel, on hand, in transit by period ahead, round) → units to order per series."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What happened, (series, period) each, periods from the first after the start.

    Attributes:
        demand: what customers wanted; served: what they got.
        left: units on hand at the end of a period (negative while backordered).
        ordered: units ordered at the end of the period before.
        holding, shortage: cost per period.
    """

    demand: F64
    served: F64
    left: F64
    ordered: F64
    holding: F64
    shortage: F64

    def totals(self, skip: int = 0) -> dict[str, float]:
        """Cost and service of the periods from `skip` on."""
        demand, served = self.demand[:, skip:].sum(), self.served[:, skip:].sum()
        return {
            "holding_cost": float(self.holding[:, skip:].sum()),
            "shortage_cost": float(self.shortage[:, skip:].sum()),
            "total_cost": float(self.holding[:, skip:].sum() + self.shortage[:, skip:].sum()),
            "fill_rate_frac": float(served / demand) if demand > 0 else 1.0,
            "units_ordered": float(self.ordered.sum()),
            "units_demanded": float(demand),
            "mean_units_left": float(np.maximum(self.left[:, skip:], 0).sum(axis=0).mean()) if self.left.shape[1] > skip else 0.0,
        }  # fmt: skip


def replay(
    panel: Panel, first: int, rounds: int, on_hand: F64, in_transit: F64, config: PlanConfig, terms: Terms, policy: Policy,
    *, orders: int | None = None,
) -> Replay:  # fmt: skip
    """Play `rounds` periods from the end of period index `first` on.

    Args:
        panel: the whole history; the policy is handed only `panel.upto(first + round + 1)`.
        orders: rounds in which orders are made; default all.
    """
    n = panel.keys.height
    lost = config.unmet_demand == "lost"
    pipeline = np.zeros((n, rounds + config.longest + 2 + in_transit.shape[1]))
    pipeline[:, : in_transit.shape[1]] = in_transit
    rng = np.random.default_rng(config.seed)
    shares = [p for _, p in config.lead_time]
    leads = rng.choice([k for k, _ in config.lead_time], size=(n, rounds), p=shares)
    stock = on_hand.astype(np.float64).copy()
    out: dict[str, list[F64]] = {k: [] for k in ("demand", "served", "left", "ordered", "holding", "shortage")}
    for r in range(rounds):
        quantity = np.zeros(n)
        if r % config.review_periods == 0 and (orders is None or r < orders):
            quantity = np.maximum(
                policy(panel.upto(first + r + 1), np.maximum(stock, 0) if lost else stock, pipeline.copy(), r), 0
            )
        np.add.at(pipeline, (np.arange(n), leads[:, r]), quantity)
        want = np.nan_to_num(panel.demand[:, first + r + 1])
        owed = np.maximum(-stock, 0)
        available = stock + pipeline[:, 0]
        left = available - want
        served = np.clip(available, 0, owed + want) - np.clip(available, 0, owed)
        unmet = want - served if lost else np.maximum(-left, 0)
        stock = np.maximum(left, 0) if lost else left
        pipeline = np.concatenate([pipeline[:, 1:], np.zeros((n, 1))], axis=1)
        for name, value in (
            ("demand", want), ("served", served), ("left", stock), ("ordered", quantity),
            ("holding", terms.holding * np.maximum(stock, 0)), ("shortage", terms.shortage * unmet),
        ):  # fmt: skip
            out[name].append(value)
    return Replay(**{k: np.stack(v, axis=1) for k, v in out.items()})
