"""Policies side by side on the same demand, and the picture of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from aios_assets.contracts.errors import BadInputError, UsageError
from planning.config import PlanConfig
from planning.explain_plan import blocked
from planning.panel import Panel, State
from planning.policies.simple import cover, tsb_order_up_to
from planning.simulate.replay import Policy, Replay, replay
from planning.stateless import F64, Terms, decide


def make_policy(
    name: str, config: PlanConfig, terms: Terms, forecast: Callable[[Panel, int], Any], ratio: Callable[[Panel], Any] | None = None
) -> Policy:  # fmt: skip
    """The policy of that name; `ratio` gives the critical ratios that a panel was tuned to.

    Raises:
        UsageError: there is none.
    """
    known: dict[str, Policy] = {
        "recommended": lambda p, x, t, r: (
            decide(forecast(p, config.horizon), x, t, config, terms, ratio(p) if ratio else None).quantity
        ),
        "cover": lambda p, x, t, r: cover(p, x, t),
        "tsb": lambda p, x, t, r: tsb_order_up_to(p, x, t, config, terms),
    }
    if name not in known:
        raise UsageError(f"there is no policy '{name}'", todo=f"use {', '.join(known)}")
    return known[name]


def compare(
    panel: Panel, state: State, config: PlanConfig, terms: Terms, start: date, end: date, names: list[str],
    forecast: Callable[[Panel, int], Any], skip: int = 0, ratio: Callable[[Panel], Any] | None = None,
) -> dict[str, Replay]:  # fmt: skip
    """Replay each policy from the end of the period that holds `start` to the period that holds `end`.

    Raises:
        BadInputError: the days lie outside the history, or a series cannot be played.
        UsageError: a policy has no such name.
    """
    first = int(np.searchsorted(np.array(panel.periods), np.datetime64(start).astype(object), side="right")) - 1
    last = int(np.searchsorted(np.array(panel.periods), np.datetime64(end).astype(object), side="right")) - 1
    if not 0 <= first < last < len(panel.periods) or skip >= last - first:
        raise BadInputError(
            f"nothing can be played from {start} to {end}: the history covers {panel.periods[0]} to {panel.periods[-1]}",
            where="--from, --to",
        )
    texts = [t for t in blocked(panel.upto(first + 1), state, terms) if t]
    if texts:
        raise BadInputError(
            f"a series cannot be played: {texts[0]}", where="state", count=len(texts), todo="correct the state or costs"
        )
    policies = {name: make_policy(name, config, terms, forecast, ratio) for name in names}
    return {
        name: replay(panel, first, last - first, state.on_hand, state.in_transit, config, terms, policy)
        for name, policy in policies.items()
    }


def draw(found: dict[str, Replay], path: Path) -> None:
    """Cost by period and policy, and total cost against fill rate, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for name, result in found.items():
        cost: F64 = (result.holding + result.shortage).sum(axis=0)
        left.plot(np.arange(1, len(cost) + 1), cost, marker="o", label=name)
        total = result.totals()
        right.scatter(total["fill_rate_frac"], total["total_cost"], label=name)
        right.annotate(name, (total["fill_rate_frac"], total["total_cost"]))
    left.set(xlabel="period", ylabel="holding + shortage cost", title="Cost by period")
    right.set(xlabel="fill rate", ylabel="total cost", title="Cost against service")
    left.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
