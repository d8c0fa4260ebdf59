"""Tuning by walk-forward simulation: it finds what pays, ignores what could be chance, and reads nothing of the future."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.plan_forecasts import Learner, Planner, Source, harmless, panel_data
from planning.config import PlanConfig, parse_config
from planning.panel import Panel, build_panel
from planning.stateless import Terms
from planning.tuning import Past, demand_classes, ratio_of, tune

SERIES, WEEKS = 40, 70
START = date(2024, 1, 1)


def world(holding: float = 0.2) -> tuple[PlanConfig, pl.DataFrame, Panel, Terms]:
    """Weekly Poisson demand of known means, as rows and as a panel."""
    g = np.random.default_rng(5)
    demand = g.poisson(np.linspace(0.5, 12, SERIES)[:, None], (SERIES, WEEKS))
    rows = pl.DataFrame(
        [(f"s{i:02d}", START + timedelta(weeks=w), int(demand[i, w])) for i in range(SERIES) for w in range(WEEKS)],
        schema=["item", "week", "units"],
        orient="row",
    )
    config = parse_config(
        {"period": "W", "lead_time_periods": 2, "holding_cost": holding, "shortage_cost": 1.0, "scenarios": 64}, "test"
    )
    terms = Terms(*(np.full(SERIES, v) for v in (holding, 1.0, 1.0, 0.0, np.nan)))
    return config, rows, build_panel(rows, ["item"], "week", "units", "W"), terms


def past(learned: float, plain: float, origins: int = 20) -> Past:
    """Forecasts that are the true means times a factor each."""
    mean = np.broadcast_to(np.linspace(0.5, 12, SERIES)[None, :, None], (origins, SERIES, 3))
    return Past(WEEKS - 1 - origins, mean * learned, mean * plain)


def test_the_better_forecast_gets_the_weight() -> None:
    config, _, panel, terms = world()
    assert tune(panel, past(3.0, 1.0), config, terms).weight == 1.0
    assert tune(panel, past(1.0, 3.0), config, terms).weight == 0.0


def test_what_could_be_chance_changes_nothing() -> None:
    config, _, panel, terms = world()
    tuned = tune(panel, past(1.0, 1.0), config, terms)
    assert tuned.weight == 0.35, "both forecasts are the same, so no weight saves anything"
    assert tuned.periods == 20 - config.horizon


def test_a_forecast_that_is_too_high_lowers_the_critical_ratio() -> None:
    config, _, panel, terms = world()
    low = ratio_of(terms, config, tune(panel, past(1.5, 1.5), config, terms).overage).mean()
    high = ratio_of(terms, config, tune(panel, past(0.7, 0.7), config, terms).overage).mean()
    assert low < ratio_of(terms, config, config.overage_periods).mean() < high


def test_a_short_history_keeps_the_defaults() -> None:
    config, _, panel, terms = world()
    for given in (None, past(3.0, 1.0, origins=6)):
        tuned = tune(panel, given, config, terms)
        assert (tuned.periods, tuned.weight) == (0, 0.35)
        assert (tuned.overage == config.overage_periods).all()


def test_a_configured_critical_ratio_is_not_tuned() -> None:
    config, _, panel, terms = world()
    fixed = PlanConfig(
        **{f: getattr(config, f) for f in config.__dataclass_fields__ if f != "critical_ratio"}, critical_ratio=0.6
    )
    assert (ratio_of(terms, fixed, tune(panel, past(1.5, 1.5), fixed, terms).overage) == 0.6).all()


def test_classes_by_hand() -> None:
    demand = np.array([[5.0] * 8, [1, 20] * 4, [0, 5] * 4, [0, 0, 0, 1, 0, 0, 0, 30]])
    panel = Panel(pl.DataFrame({"k": list("abcd")}), [START + timedelta(weeks=w) for w in range(8)], demand,
                  np.ones_like(demand, dtype=bool), pl.DataFrame({"k": list("abcd")}))  # fmt: skip
    assert demand_classes(panel).tolist() == ["smooth", "erratic", "intermittent", "lumpy"]


@pytest.fixture(scope="module")
def planned() -> tuple[Planner, Panel]:
    config, rows, panel, terms = world()
    planner = Planner(config, Source(rows, ("item",), "week", "units", None), "auto", terms)
    planner.tuned(panel)
    return planner, panel


def test_means_are_near_the_truth_and_come_out_twice_the_same(planned: tuple[Planner, Panel]) -> None:
    planner, panel = planned
    paths = planner.paths(panel, 3)
    assert paths.shape == (SERIES, 64, 3)
    assert np.array_equal(paths, planner.paths(panel, 3))
    assert np.corrcoef(paths.mean(axis=(1, 2)), np.linspace(0.5, 12, SERIES))[0, 1] > 0.95


def test_a_model_of_the_past_has_not_seen_what_came_after(planned: tuple[Planner, Panel]) -> None:
    config, rows, panel, _ = world()
    source = Source(rows, ("item",), "week", "units", None)
    changed = rows.with_columns(
        pl.when(pl.col("week") > START + timedelta(weeks=50))
        .then(pl.col("units") * 9)
        .otherwise(pl.col("units"))
        .alias("units")
    )
    one, two = (
        Learner(panel_data(config, s, panel, 3), 3, 7).means(46, 46, 50)
        for s in (source, Source(changed, ("item",), "week", "units", None))
    )
    assert one is not None and two is not None
    assert np.array_equal(one, two)


def test_a_month_may_be_dated_by_any_of_its_days() -> None:
    """Files of books that close a month on its last day ended in an IndexError: the newest month was left out."""
    config = parse_config({"period": "M", "lead_time_periods": 2, "holding_cost": 0.2, "shortage_cost": 1.0}, "test")
    firsts = pl.DataFrame({"month": [date(2023 + k // 12, k % 12 + 1, 1) for k in range(15)], "units": range(15)})
    rows = firsts.with_columns(item=pl.lit("A"))
    by = {how: rows.with_columns(month=month) for how, month in (("first", pl.col("month")), ("last", pl.col("month").dt.month_end()))}  # fmt: skip
    panel = build_panel(by["last"], ["item"], "month", "units", "M")
    first, last = (panel_data(config, Source(by[how], ("item",), "month", "units", None), panel, 3) for how in by)
    assert last.y.shape == (1, 15)
    assert np.array_equal(first.y, last.y, equal_nan=True)


def test_harmless_terms_keep_what_can_be_used() -> None:
    terms = Terms(*(np.array(v) for v in ([0.2, np.nan], [1.0, 0.0], [6.0, np.nan], [np.nan, 2.0], [3.0, np.nan])))
    safe = harmless(terms)
    assert (
        safe.holding.tolist() == [0.2, 1.0]
        and safe.shortage.tolist() == [1.0, 1.0]
        and safe.pack.tolist() == [6.0, 1.0]
    )
    assert np.isnan(safe.capacity).all(), "a capacity below a single pack would hold every candidate at zero"
