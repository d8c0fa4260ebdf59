"""Days played in memory: the loop shared by creating, advancing and comparing."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.flow import DayResult, step
from sandbox.minmax import minmax_orders
from sandbox.orders import OrderBatch, OrdersProvider, batch_from_frame
from sandbox.spec import PolicySpec
from sandbox.state import NetworkState

Decide = Callable[[NetworkState], OrderBatch]


def minmax_policy(policy: PolicySpec) -> Decide:
    """The min-max planner as a decision."""
    return lambda state: minmax_orders(state, policy)


def provider_policy(orders_for: OrdersProvider) -> Decide:
    """A caller's decisions: asked each morning about the close of the day before."""

    def decide(state: NetworkState) -> OrderBatch:
        day = state.net.spec.date(state.day - 1)
        return batch_from_frame(state.net, orders_for(day), f"orders after {day}")

    return decide


def play(state: NetworkState, days: int, decide: Decide) -> list[DayResult]:
    """Play `days` days in place."""
    return [step(state, decide(state)) for _ in range(days)]


def advance(state: NetworkState, days: int, orders: OrdersProvider | None = None) -> list[DayResult]:
    """Play `days` days in place under a caller's orders, or under the min-max planner when there is none.

    Args:
        state: the network; changed in place.
        days: how many days.
        orders: who decides; None is the min-max planner of the specification.
    """
    return play(state, days, provider_policy(orders) if orders else minmax_policy(state.net.spec.policy))
