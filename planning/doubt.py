"""Open orders that have been waited for longer than their lane's lead times support: still counted, never in silence.

A need is never ordered twice: what is on order counts in full until somebody says that it will not come (a cancellation, a
changed order). So an order that was lost would keep its shelf empty for ever. Which orders those are is not for the planner to
guess: it names them, says how much it would want without them, and asks a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planning.night import Chunk, World, demand_with, receipts_of
from planning.projection import F64, packs_to_order, project

# The factors by which the lead-time model takes an order as never closed (ml/lead_time/lanes.py: without_forgotten), which a sibling room
# cannot call; there over what 99 of 100 of a source's orders took, here over what the lane's forecast says of 95.
LEAD_TIMES, WEEK_DAYS = 3.0, 7.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """The doubtful orders of one item and site.

    Attributes:
        order_number: the one waited for longest; source_id: who was to send it, None where nobody is named.
        orders: how many there are; quantity: eaches still to come on all of them.
        waiting_days: days the oldest has been waited for, beyond a later day it was asked for or promised for.
        limit_days: days after which an order of its lane is asked about.
        without: eaches that would be wanted tonight if none of them were on order; None where nothing can be decided.
    """

    order_number: str
    source_id: str | None
    orders: int
    quantity: float
    waiting_days: float
    limit_days: float
    without: float | None = None


def doubtful_lines(world: World, lines: pl.DataFrame) -> dict[str, Any]:
    """Per order line (lines,): days `waited` for, days (`limit`) after which one of its lane is asked about, and whether it is `doubtful`.

    Waiting counts from the order day, or from half the lane's usual time before the newest day stated, whichever is later: what
    was asked for or promised for a later day is not late before it. The limit is three times what 95 of 100 orders of the lane
    take (`days_expected`; of the slowest lane where nothing is known of its own), and a week; at most the days looked ahead.
    """
    lanes = list(zip(lines["source_id"], lines["site_id"], strict=True))
    usual = [world.lanes.get((s or r, t)) for (s, t), r in zip(lanes, lines["regular_id"], strict=True)]
    p50 = np.array([q[3] if q else 0.0 for q in usual], dtype=np.float64)
    expected, slowest = world.expected
    p95 = np.array(
        [expected.get((s or r, t), slowest) for (s, t), r in zip(lanes, lines["regular_id"], strict=True)],
        dtype=np.float64,
    )
    stated = np.fmax(lines["due_day"].to_numpy(), lines["asked_day"].to_numpy())
    since = np.fmax(lines["order_day"].to_numpy(), stated - p50)
    limit = np.minimum(LEAD_TIMES * p95 + WEEK_DAYS, world.spec.max_horizon_days)
    return {"waited": -since, "limit": limit, "doubtful": -since > limit}


def find_doubts(world: World, chunk: Chunk, pipeline: Mapping[str, Any]) -> dict[int, Doubt]:
    """By row of the chunk: its doubtful orders, and what would be wanted without them, on the same paths."""
    doubtful: NDArray[np.bool_] = pipeline["doubtful"]
    found: dict[int, Doubt] = {}
    if not doubtful.any():
        return found
    lines, where = pipeline["lines"], pipeline["where"]
    rows = np.unique(where[doubtful])
    wanted = _without(chunk, pipeline, rows)
    waited, limit = pipeline["waited"], pipeline["limit"]
    for i, without in zip(rows.tolist(), wanted.tolist(), strict=True):
        here = np.flatnonzero(doubtful & (where == i))
        oldest = int(here[np.argmax(waited[here])])
        found[i] = Doubt(
            lines["order_number"][oldest], lines["source_id"][oldest], len(here), float(lines["qty"].to_numpy()[here].sum()),
            float(waited[oldest]), float(limit[oldest]), float(without) if chunk.ok[i] else None,
        )  # fmt: skip
    return found


def _without(chunk: Chunk, pipeline: Mapping[str, Any], rows: NDArray[np.int64]) -> F64:
    """Eaches (rows,) wanted with every doubtful order of these rows taken out of what is on the way."""
    pick = np.flatnonzero(pipeline["doubtful"])
    _, scenarios, periods = chunk.receipts.shape
    quantity = pipeline["lines"]["qty"].to_numpy()[pick]
    place = np.searchsorted(rows, pipeline["where"][pick])
    lost = receipts_of((len(rows), scenarios, periods), place, pipeline["days"][pick], quantity)
    left = np.maximum(chunk.receipts[rows] - lost, 0)
    centres = [(k, int(row)) for k, row in enumerate(rows) if int(row) in chunk.cushions]
    received = {
        row: chunk.cushions[row].received(left[k]) for k, row in centres
    }  # without these orders stores lose more
    demand = demand_with(chunk, rows, chunk.on_hand[rows], received)
    seen = project(
        chunk.on_hand[rows], demand, left, chunk.arrive[rows], chunk.until[rows], ~chunk.is_centre[rows], chunk.wait[rows]
    )  # fmt: skip
    return packs_to_order(seen.need, chunk.alpha[rows], chunk.pack[rows], chunk.minimum[rows]) * chunk.pack[rows]
