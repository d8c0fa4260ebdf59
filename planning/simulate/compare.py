"""Policies side by side on the same demand, and the picture of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from aios_assets.contracts.errors import BadInputError, UsageError
from planning.config import PlanConfig
from planning.explain_plan import blocked
from planning.limits import cut_evenly
from planning.panel import Bools, Panel, State
from planning.policies.simple import cover, tsb_order_up_to
from planning.simulate.replay import Policy, Replay, replay
from planning.stateless import F64, Terms, decide


def make_policy(
    name: str, config: PlanConfig, terms: Terms, forecast: Callable[[Panel, int], Any], ratio: Callable[[Panel], Any] | None = None
) -> Policy:  # fmt: skip
    """The policy of that name; `ratio` gives the critical ratios that a panel was tuned to. Yardsticks are cut evenly to shared limits.

    Raises:
        UsageError: there is none.
    """

    def within(quantity: F64, on_hand: F64, in_transit: F64) -> F64:
        return cut_evenly(quantity, on_hand + in_transit.sum(axis=1), terms.pack, terms.minimum, terms.limits)

    known: dict[str, Policy] = {
        "recommended": lambda p, x, t, r: (
            decide(forecast(p, config.horizon), x, t, config, terms, ratio(p) if ratio else None).quantity
        ),
        "cover": lambda p, x, t, r: within(cover(p, x, t), x, t),
        "tsb": lambda p, x, t, r: within(tsb_order_up_to(p, x, t, config, terms), x, t),
    }
    if name not in known:
        raise UsageError(f"there is no policy '{name}'", todo=f"use {', '.join(known)}")
    return known[name]


def stretch(panel: Panel, start: date, end: date, skip: int = 0) -> tuple[int, int]:
    """Indices of the periods that hold `start` and `end`.

    Raises:
        BadInputError: the days lie outside the history, or `skip` leaves nothing to score.
    """
    first = int(np.searchsorted(np.array(panel.periods), np.datetime64(start).astype(object), side="right")) - 1
    last = int(np.searchsorted(np.array(panel.periods), np.datetime64(end).astype(object), side="right")) - 1
    if not 0 <= first < last < len(panel.periods):
        raise BadInputError(
            f"nothing can be played from {start} to {end}: the history covers {panel.periods[0]} to {panel.periods[-1]}",
            where="--from, --to", todo="begin within the history, and end at least one period later",
        )  # fmt: skip
    if not 0 <= skip < last - first:
        raise BadInputError(
            f"{skip} periods are to be left out of the {last - first} played", where="--skip",
            todo=f"leave out between 0 and {last - first - 1}",
        )  # fmt: skip
    return first, last


@dataclass(frozen=True, slots=True)
class Opening:
    """State of a replay's first evening, and the series that are not sold yet.

    Attributes:
        state: stock and transit; zero for a series that starts later and has no row in the state.
        joining: (series,) first sold after the start of the replay and before its end: it joins when it starts.
        absent: (series,) first sold after the end: never played.
    """

    state: State
    joining: Bools
    absent: Bools


def opening(panel: Panel, state: State, first: int, last: int) -> Opening:
    """The opening of a replay from the end of period index `first` to period index `last`.

    A series without history at `first` needs no row in the state; one with a row opens with that stock.
    """
    begins = np.where(~np.isnan(panel.demand), np.arange(len(panel.periods)), len(panel.periods)).min(axis=1)
    on_hand = np.where((begins > first) & np.isnan(state.on_hand), 0.0, state.on_hand)
    return Opening(replace(state, on_hand=on_hand), (begins > first) & (begins <= last), begins > last)


def compare(
    panel: Panel, state: State, config: PlanConfig, terms: Terms, start: date, end: date, names: list[str],
    forecast: Callable[[Panel, int], Any], skip: int = 0, ratio: Callable[[Panel], Any] | None = None,
) -> dict[str, Replay]:  # fmt: skip
    """Replay each policy from the end of the period that holds `start` to the period that holds `end`.

    A series that is first sold later joins with its first period. No policy can know of it before, so what it sells until a
    first order arrives is lost under each of them, unless the state holds stock of it.

    Raises:
        BadInputError: the days lie outside the history, or a series cannot be played.
        UsageError: a policy has no such name.
    """
    first, last = stretch(panel, start, end, skip)
    begun = opening(panel, state, first, last)
    state = begun.state
    late = begun.joining | begun.absent
    # what is asked of a series that has not started is everything but a history
    seen = np.where(late[:, None], True, panel.seen[:, : first + 1])
    texts = [t for t in blocked(replace(panel.upto(first + 1), seen=seen), state, terms) if t]
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
