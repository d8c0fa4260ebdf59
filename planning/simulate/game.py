"""The VN2 inventory game inside its own history: windows of eight weeks, six orders, weeks 3 to 8 scored.

Every policy starts a window from the same state: the one the organisers' benchmark had reached after ten weeks of ordering.
Source: rules as published with the data; the benchmark orders up to four weeks of a 13-week seasonal moving average.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.config import PlanConfig
from planning.panel import Panel
from planning.policies.simple import cover, seasonal_moving_average
from planning.simulate.compare import make_policy
from planning.simulate.replay import replay
from planning.stateless import Terms

F64 = NDArray[np.float64]
WEEKS, ORDERS, SKIP, WARM = 8, 6, 2, 10


def opening_state(panel: Panel, first: int) -> tuple[F64, F64]:
    """On hand and in transit (series, 2) at the end of period `first` after ten weeks under the benchmark."""
    begin = first - WARM
    ahead = np.ceil(seasonal_moving_average(panel.upto(begin + 1), 4))
    stock, transit = np.ceil(ahead.sum(axis=1) / 2), ahead[:, :2].copy()
    for k in range(WARM):
        known = panel.upto(begin + k + 1)
        quantity = cover(known, stock, transit)
        stock = np.maximum(stock + transit[:, 0] - np.nan_to_num(panel.demand[:, begin + k + 1]), 0)
        transit = np.stack([transit[:, 1], quantity], axis=1)
    return stock, transit


def play_windows(
    panel: Panel, config: PlanConfig, forecast: Callable[[Panel, int], Any], windows: int,
    ratio: Callable[[Panel], Any] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Cost of the scored weeks by policy in each of the newest `windows` windows, oldest first."""
    n, last = panel.keys.height, len(panel.periods) - 1
    terms = Terms(*(np.full(n, v) for v in (float(config.holding_cost), float(config.shortage_cost), 1.0, 0.0, np.nan)))
    out = []
    for k in range(windows, 0, -1):
        first = last - WEEKS * k
        stock, transit = opening_state(panel, first)
        row: dict[str, Any] = {"from": panel.periods[first + 1].isoformat()}
        for name in ("recommended", "cover", "tsb"):
            policy = make_policy(name, config, terms, forecast, ratio)
            played = replay(panel, first, WEEKS, stock, transit, config, terms, policy, orders=ORDERS)
            row[name] = round(played.totals(SKIP)["total_cost"], 1)
        out.append(row)
    return out
