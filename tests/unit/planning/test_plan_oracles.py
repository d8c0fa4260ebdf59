"""Plans and replays against plain simulations written here, period by period, and against themselves with another future."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from aios_assets.plan_forecasts import STEP, Planner, Source
from planning.config import PlanConfig, parse_config
from planning.panel import Panel, build_panel, build_state, calendar
from planning.policies.simple import cover
from planning.simulate.compare import compare
from planning.simulate.replay import replay
from planning.stateless import Terms, decide, lead_scenarios

HOLDING, SHORTAGE = 0.3, 1.7


def config(period: str = "W", **more: Any) -> PlanConfig:
    stated = {
        "period": period,
        "lead_time_periods": 1,
        "holding_cost": HOLDING,
        "shortage_cost": SHORTAGE,
        "scenarios": 40,
    }
    return parse_config(stated | more, "test")


def terms(n: int) -> Terms:
    return Terms(np.full(n, HOLDING), np.full(n, SHORTAGE), np.ones(n), np.zeros(n), np.full(n, np.nan))


def panel(period: str, series: int, periods: int, seed: int) -> Panel:
    g = np.random.default_rng(seed)
    days = calendar(date(2023, 1, 2), date(2040, 1, 1), period)[:periods]
    rows = [(f"k{i}", d, int(g.poisson(3))) for i in range(series) for d in days]
    return build_panel(pl.DataFrame(rows, schema=["k", "t", "u"], orient="row"), ["k"], "t", "u", period)


def play(demand: Any, stock: float, arrivals: dict[int, float], lost: bool) -> tuple[float, float]:
    """Cost of one series whose arrivals are on the shelf at the start of their period, counted from 1."""
    holding = shortage = 0.0
    for t, wanted in enumerate(demand, start=1):
        stock += arrivals.get(t, 0.0)
        stock -= wanted
        shortage += SHORTAGE * max(-stock, 0.0)
        stock = max(stock, 0.0) if lost else stock
        holding += HOLDING * max(stock, 0.0)
    return holding, shortage


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("period", ["D", "W", "M"])
@pytest.mark.parametrize(("lead", "review"), [(0, 1), (1, 2), (3, 3), ({0: 0.3, 2: 0.5, 4: 0.2}, 2)])
def test_a_replay_costs_what_a_plain_one_costs(lost: bool, period: str, lead: Any, review: int) -> None:
    """What is ordered at the end of period X is on the shelf at the start of X + n + 1."""
    first, rounds, g = 5, 12, np.random.default_rng(7)
    known = panel(period, 4, 20, 3)
    unmet = "lost" if lost else "backordered"
    stated = config(period, lead_time_periods=lead, review_periods=review, unmet_demand=unmet)
    on_hand, transit = g.integers(0, 8, 4).astype(float), g.integers(0, 5, (4, 3)).astype(float)
    made: dict[int, Any] = {}

    def order(seen: Panel, have: Any, coming: Any, r: int) -> Any:
        assert len(seen.periods) == first + r + 1
        made[r] = g.integers(0, 7, 4).astype(float)
        return made[r]

    out = replay(known, first, rounds, on_hand, transit, stated, terms(4), order)
    assert sorted(made) == list(range(0, rounds, review))
    drawn = np.random.default_rng(stated.seed).choice(
        [n for n, _ in stated.lead_time], size=(4, rounds), p=[p for _, p in stated.lead_time]
    )
    for i in range(4):
        arrivals = {k + 1: float(q) for k, q in enumerate(transit[i])}
        for r, units in made.items():
            arrivals[r + int(drawn[i, r]) + 1] = arrivals.get(r + int(drawn[i, r]) + 1, 0.0) + float(units[i])
        expected = play(known.demand[i, first + 1 : first + 1 + rounds], on_hand[i], arrivals, lost)
        assert (out.holding[i].sum(), out.shortage[i].sum()) == pytest.approx(expected)


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize(("lead", "review"), [(0, 1), (2, 1), (1, 3), ({1: 0.5, 3: 0.5}, 2)])
def test_expected_costs_and_orders_are_those_of_a_plain_simulation(lost: bool, lead: Any, review: int) -> None:
    """All that is on the way counts, also what arrives beside the order or after it; every quantity is tried."""
    g = np.random.default_rng(11)
    stated = config(lead_time_periods=lead, review_periods=review, unmet_demand="lost" if lost else "backordered")
    paths = g.poisson(3, (5, 40, stated.horizon)).astype(np.float32)
    on_hand, transit = g.integers(0, 9, 5).astype(float), g.integers(0, 6, (5, 5)).astype(float)
    leads = lead_scenarios(stated, 40)
    found = decide(paths, on_hand, transit, stated, terms(5))

    def simulated(i: int, units: float) -> tuple[float, Any]:
        """Mean cost of the periods that the order must last, and the units it lacks in each scenario."""
        cost, lacking = 0.0, np.zeros(40)
        for s, n in enumerate(leads):
            arrivals = {k + 1: float(q) for k, q in enumerate(transit[i])}
            arrivals[n + 1] = arrivals.get(n + 1, 0.0) + units
            whole, before = (play(paths[i, s, :end], on_hand[i], arrivals, lost) for end in (n + review, n))
            cost += (sum(whole) - sum(before)) / 40
            lacking[s] = (whole[1] - before[1]) / SHORTAGE
        return cost, lacking

    for i in range(5):
        assert found.expected_cost[i] == pytest.approx(simulated(i, found.quantity[i])[0], rel=1e-5)
        assert found.cost_of_nothing[i] == pytest.approx(simulated(i, 0.0)[0], rel=1e-5)
        # the smallest quantity that is enough in the share of scenarios that the critical ratio asks for
        enough = [q for q in range(40) if (simulated(i, float(q))[1] <= 1e-9).mean() >= found.critical_ratio[i] - 1e-9]
        assert found.quantity[i] == enough[0]


def sold(seed: int, series: int = 14, weeks: int = 66) -> pl.DataFrame:
    g = np.random.default_rng(seed)
    days = calendar(date(2023, 1, 2), date(2040, 1, 1), "W")[:weeks]
    rows = [
        (f"p{i:02d}", d, int(g.poisson(1 + i % 7)), float(g.choice([2.0, 1.5])), bool(g.random() > 0.05), "AB"[i % 2])
        for i in range(series) for d in days
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=["k", "t", "u", "price", "seen", "group"], orient="row")


def orders_of(history: pl.DataFrame, stated: PlanConfig, start: date, end: date) -> tuple[Any, Any]:
    """Orders of a replay, and of a plan made at its first evening on the history up to then; by the quickest model there is."""

    def setting(rows: pl.DataFrame, keep: int) -> tuple[Panel, Any, Planner]:
        known = build_panel(rows, ["k"], "t", "u", "W", in_stock="seen")
        state = known.keys.with_columns(on_hand_units=pl.lit(4.0), in_transit_1_units=pl.lit(2.0))
        n = known.keys.height
        return (
            known,
            build_state(state, known),
            Planner(stated, Source(rows, ("k",), "t", "u", "seen"), "ses", terms(n), keep),
        )

    known, state, planner = setting(history, STEP["W"])
    n = known.keys.height
    played = compare(known, state, stated, terms(n), start, end, ["recommended"], planner.paths, 0, planner.ratio)
    then, state, alone = setting(history.filter(pl.col("t") <= start), 0)
    plan = decide(
        alone.paths(then, stated.horizon), state.on_hand, state.in_transit, stated, terms(n), alone.ratio(then)
    )
    return played["recommended"].ordered, plan.quantity


def test_another_future_moves_no_earlier_order_and_a_plan_is_the_first_round() -> None:
    history = sold(3)
    days = sorted(history["t"].unique())
    start, cut, end = days[59], days[60], days[62]
    stated = config(lead_time_periods={1: 0.5, 2: 0.5})
    ordered, planned = orders_of(history, stated, start, end)
    later = pl.col("t") > cut
    other = history.with_columns(
        pl.when(later).then(pl.col("u") * 3 + 5).otherwise("u").alias("u"), pl.when(later).then(9.0).otherwise("price").alias("price"),
        pl.when(later).then(False).otherwise("seen").alias("seen"), pl.when(later).then(pl.lit("Z")).otherwise("group").alias("group"),
    )  # fmt: skip
    moved, same = orders_of(other, stated, start, end)
    known = 60 - 59 + 1
    assert ordered[:, :known].sum() > 0 and (ordered[:, :known] == moved[:, :known]).all()
    assert (ordered[:, known:] != moved[:, known:]).any(), "what is known then is used then"
    assert (ordered[:, 0] == planned).all() and (planned == same).all()


def test_the_yardstick_covers_what_is_on_the_way_too() -> None:
    known = panel("W", 3, 60, 2)
    nothing = np.zeros((3, 2))
    bare = cover(known, np.zeros(3), nothing)
    assert (cover(known, np.zeros(3), nothing + 2) == np.maximum(bare - 4, 0)).all()
