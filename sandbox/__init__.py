"""The synthetic trading network a fresh machine runs on: real bytes in an inbox, planted faults, a known truth."""

from __future__ import annotations

from sandbox.api import advance_days, compare, create, current_date, root_inbox, status
from sandbox.orders import OrdersProvider
from sandbox.play import advance
from sandbox.state import NetworkState, new_network

__all__ = [
    "NetworkState",
    "OrdersProvider",
    "advance",
    "advance_days",
    "compare",
    "create",
    "current_date",
    "new_network",
    "root_inbox",
    "status",
]
