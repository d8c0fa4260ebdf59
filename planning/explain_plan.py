"""Orders of the stateless plan as a table: quantity, expected cost, and the reason in words, for every key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError
from planning.config import PlanConfig
from planning.limits import Limit, problem
from planning.panel import Panel, State
from planning.rationale import words
from planning.stateless import Decision, Terms, decide

F64 = NDArray[np.float64]
DIGITS = 9  # seven packs of 0.01 are 0.07 and not 0.07000000000000001


@dataclass(frozen=True, slots=True)
class Orders:
    """Result of a plan.

    Attributes:
        frame: keys, quantity_units, expected_cost, reason and the figures the reason uses.
        problems: rows that could not be decided, by reason.
        summary: totals.
        overfull: places that hold more than fits before anything is ordered, in words.
    """

    frame: pl.DataFrame
    problems: dict[str, int]
    summary: dict[str, Any]
    overfull: list[str] = field(default_factory=list)


def blocked(panel: Panel, state: State, terms: Terms) -> list[str]:
    """Per series what keeps us from deciding, in words; empty where nothing does."""
    out = []
    for i in range(panel.keys.height):
        stock, pack, room = state.on_hand[i], terms.pack[i], terms.capacity[i]
        if np.isnan(stock):
            text = "the state has no row"
        elif stock < 0 or (state.in_transit[i] < 0).any():
            text = "stock or transit is negative"
        elif not panel.seen[i].any():
            text = "no period was ever in stock"
        elif np.isnan(terms.holding[i]) or np.isnan(terms.shortage[i]):
            text = "holding or shortage cost is missing"
        elif terms.holding[i] <= 0 or terms.shortage[i] <= 0:
            text = "holding or shortage cost is zero or negative"
        elif not pack > 0:
            text = "pack size is missing or not above zero"
        elif room < pack:
            text = f"capacity is below a single pack: {words(room)} against a pack of {words(pack)}, {words(pack - room)} too few"
        else:
            text = problem(terms.limits, i, float(pack), float(np.nan_to_num(terms.minimum[i])))
        out.append(text)
    return out


def _reason(i: int, d: Decision, state: State, config: PlanConfig, text: str) -> str:
    if text:
        return f"Nothing ordered: {text}."
    have = f"{words(state.on_hand[i])} on hand and {words(float(state.in_transit[i].sum()))} in transit"
    more = f" and {words(d.arriving[i])} more on the way then" if words(d.arriving[i]) != "0" else ""
    lasts = (
        f"{words(d.stock_at_arrival[i])} are expected when an order could arrive{more}, {words(d.demand_exposed[i])} wanted over the "
        f"{config.review_periods} period(s) it must last"
    )
    cut = f" {words(d.wanted[i])} wanted, cut by the {d.cut[i]}." if d.cut[i] else ""
    if d.quantity[i] > 0:
        return (
            f"Order {words(d.quantity[i])}: of {have} {lasts}; expected cost {words(d.expected_cost[i])} instead of "
            f"{words(d.cost_of_nothing[i])} without, at a critical ratio of {words(d.critical_ratio[i])}.{cut}"
        )
    return f"No order: of {have} {lasts}; one more pack costs more to keep than it saves.{cut}"


def order_table(
    panel: Panel,
    state: State,
    config: PlanConfig,
    terms: Terms,
    forecast: Callable[[Panel, int], Any],
    ratio: Callable[[Panel], F64 | None] | None = None,
) -> Orders:
    """Decide every series and say why.

    Args:
        forecast: (panel, horizon) → paths (series, scenario, period).
        ratio: panel → critical ratio (series,), tuned; default from configuration or costs.

    Raises:
        BadInputError: no series at all can be decided.
    """
    texts = blocked(panel, state, terms)
    fine = np.array([not t for t in texts])
    problems: dict[str, int] = {}
    examples: dict[str, str] = {}
    for t in texts:
        if t:
            kind = t.split(":")[0]
            problems[kind] = problems.get(kind, 0) + 1
            examples.setdefault(kind, t)
    if state.unknown.height:
        problems["unknown to the history"] = state.unknown.height
    if not fine.any():
        worst = max(problems, key=lambda k: problems[k])
        _refuse_strangers(panel, state)
        raise BadInputError(
            f"no series can be decided: {examples.get(worst, worst)}",
            where="state",
            count=problems[worst],
            todo="correct the state or costs",
        )
    safe = Terms(
        *(
            np.where(fine, v, f)
            for v, f in (
                (terms.holding, 1.0),
                (terms.shortage, 1.0),
                (terms.pack, 1.0),
                (terms.minimum, 0.0),
                (terms.capacity, np.nan),
            )
        ),
        limits=terms.limits,
    )
    paths = forecast(panel, config.horizon)
    # what is not decided takes room all the same
    on_hand = np.maximum(np.nan_to_num(state.on_hand), 0.0)
    transit = np.maximum(state.in_transit, 0.0)
    d = decide(
        np.where(fine[:, None, None], paths, 0.0).astype(np.float32),
        on_hand,
        transit,
        config,
        safe,
        ratio(panel) if ratio else None,
    )
    frame = panel.keys.with_columns(
        pl.Series("quantity_units", np.where(fine, d.quantity, 0.0)).round(DIGITS),
        pl.Series(
            "expected_cost",
            [float(v) if ok else None for v, ok in zip(d.expected_cost, fine, strict=True)],
            dtype=pl.Float64,
        ),
        pl.Series("reason", [_reason(i, d, state, config, t) for i, t in enumerate(texts)]),
        pl.Series("expected_demand_units", d.demand_exposed),
        pl.Series("stock_at_arrival_units", d.stock_at_arrival),
        pl.Series("critical_ratio_frac", d.critical_ratio),
        pl.Series("wanted_units", np.where(fine, d.wanted, 0.0)).round(DIGITS),
        pl.Series("cut_by", [c or None for c in np.where(fine, d.cut, "").tolist()], dtype=pl.String),
    )
    ghosts = state.unknown.with_columns(
        pl.lit(0.0).alias("quantity_units"), pl.lit(None, dtype=pl.Float64).alias("expected_cost"),
        pl.lit("Nothing ordered: the history has never seen this item.").alias("reason"),
        *(pl.lit(None, dtype=pl.Float64).alias(c) for c in ("expected_demand_units", "stock_at_arrival_units", "critical_ratio_frac")),
        pl.lit(0.0).alias("wanted_units"), pl.lit(None, dtype=pl.String).alias("cut_by"),
    )  # fmt: skip
    summary = {
        "series": panel.keys.height, "ordered_series": int((frame["quantity_units"] > 0).sum()),
        "units_ordered": round(float(frame["quantity_units"].sum()), DIGITS), "expected_cost": round(float(frame["expected_cost"].sum()), 2),
        "not_decided": int((~fine).sum()) + state.unknown.height,
    }  # fmt: skip
    if d.cut.any():
        summary["units_cut"] = round(float((d.wanted - d.quantity)[fine].sum()), DIGITS)
    return Orders(pl.concat([frame, ghosts]), problems, summary, overfull(terms.limits, on_hand + transit.sum(axis=1)))


def overfull(limits: tuple[Limit, ...], position: F64) -> list[str]:
    """Places that are too full before anything is ordered, and by how much."""
    out = []
    for limit in limits:
        if not limit.holds_stock:
            continue
        taken = limit.taken(position)
        for g in np.flatnonzero(taken > np.where(np.isnan(limit.room), np.inf, limit.room) + 1e-9):
            place = f" of {limit.names[g]}" if limit.names[g] else ""
            out.append(
                f"the {limit.what}{place} holds {limit.measure} {words(float(limit.room[g]))} and "
                f"{words(float(taken[g]))} are there or on the way, {words(float(taken[g] - limit.room[g]))} too many"
            )
    return out


def _refuse_strangers(panel: Panel, state: State) -> None:
    """Show how keys are written on both sides where none of the state is one of the history.

    Raises:
        BadInputError: there is none in common.
    """
    if state.unknown.is_empty() or not np.isnan(state.on_hand).all():
        return
    theirs, ours = (", ".join(repr(v) for v in frame.row(0)) for frame in (state.unknown, panel.keys))
    raise BadInputError(
        f"no key of the state is one of the history: the state has {theirs}, the history {ours}", where="state",
        count=state.unknown.height, todo="write keys alike in both: spaces, capitals and leading zeros count",
    )  # fmt: skip
