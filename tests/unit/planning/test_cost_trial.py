"""The cost trial: the same side costs the same, better knowledge costs less, true costs decide, and nothing is played on gaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import poisson

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError
from planning.inputs import PlanSpec
from planning.simulate.trial import LEADS, TrialUnits, opening_stock, play

ORIGINS = [date(2026, 1, 4) + timedelta(days=7 * k) for k in range(6)]
SPEC = PlanSpec(scenarios=64)


def trial(units: int = 24, seed: int = 1) -> tuple[TrialUnits, np.ndarray]:
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 3.0, units) + 0.3
    frame = pl.DataFrame(
        {"item_id": [f"I{i:02}" for i in range(units)], "site_id": "S", "source_id": "DC", "unit_cost_usd": 5.0, "unit_price_usd": 8.0, "pack_ea": 2}
    ).with_columns(pl.lit(float(d)).alias(c) for c, d in zip(LEADS, (1, 1, 2, 2, 3, 4, 5), strict=True))  # fmt: skip
    demand = rng.poisson(level[:, None], (units, 7 * len(ORIGINS))).astype(float)
    return TrialUnits(frame, ORIGINS, demand), level


def forecasts(made: TrialUnits, mean: np.ndarray) -> pl.DataFrame:
    """Poisson forecasts of these daily means for every unit, origin and horizon."""
    base = made.units.select("item_id", "site_id").with_columns(pl.Series("demand_qty_ea_mean", mean))
    table = base.with_columns(
        pl.Series(f"demand_qty_ea_p{round(q * 100):02d}", poisson.ppf(q, mean)) for q in QUANTILES
    )
    days = pl.DataFrame({"origin_date": ORIGINS}).join(pl.DataFrame({"horizon_days": range(1, 29)}), how="cross")
    return table.join(days, how="cross")


def total(made: TrialUnits, rows: pl.DataFrame, spec: PlanSpec = SPEC, truth: PlanSpec | None = None) -> float:
    opening = opening_stock(made, [forecasts(made, made.demand.mean(axis=1) + 0.1)], SPEC)
    return float(play(made, rows, spec, opening, truth)["cost_usd"].sum())


def test_the_same_side_twice_gives_the_same_bytes_and_every_unit_and_week_once() -> None:
    made, level = trial()
    rows = forecasts(made, level)
    opening = opening_stock(made, [rows, rows], SPEC)
    once, again = (
        play(made, rows, SPEC, opening),
        play(made, rows.sample(fraction=1.0, shuffle=True, seed=3), SPEC, opening),
    )
    assert once.equals(again) and once.height == 24 * 6
    assert once["wanted_qty_ea"].sum() == pytest.approx(made.demand.sum())
    assert (once["lost_qty_ea"] <= once["wanted_qty_ea"]).all() and (once["ordered_qty_ea"] % 2 == 0).all()


def test_knowing_each_level_costs_less_than_knowing_the_average() -> None:
    made, level = trial()
    assert total(made, forecasts(made, level)) < 0.8 * total(made, forecasts(made, np.full(24, level.mean())))


def test_a_unit_alone_costs_what_it_costs_among_others() -> None:
    made, level = trial()
    rows = forecasts(made, level)
    opening = opening_stock(made, [rows], SPEC)
    whole = play(made, rows, SPEC, opening).filter(pl.col("item_id") == "I07")
    alone = TrialUnits(made.units[7:8], ORIGINS, made.demand[7:8])
    one = play(alone, rows.filter(pl.col("item_id") == "I07"), SPEC, opening[7:8])
    assert whole.equals(one)


def test_costs_are_the_true_ones_whatever_the_rules_believe() -> None:
    made, level = trial()
    rows = forecasts(made, level)
    careless = replace(SPEC, shortage_factor=0.05, alpha_min=0.01)
    believed, true = total(made, rows, careless), total(made, rows, careless, SPEC)
    assert true > believed, "a rule that thinks lost sales are cheap is charged what they cost"
    assert true > total(made, rows, SPEC, SPEC)


def test_gaps_are_refused() -> None:
    made, level = trial()
    rows, opening = forecasts(made, level), np.zeros(24)
    with pytest.raises(BadInputError, match="forecasts are needed"):
        play(made, rows.head(rows.height - 1), SPEC, opening)
    with pytest.raises(BadInputError, match="forecasts are needed"):
        play(made, pl.concat([rows.head(rows.height - 1), rows.head(1)]), SPEC, opening)
    for bad in (np.nan, -1.0):
        broken = made.demand.copy()
        broken[0, 0] = bad
        with pytest.raises(BadInputError, match="unknown or negative"):
            TrialUnits(made.units, ORIGINS, broken)
    with pytest.raises(BadInputError, match="nothing to play"):
        TrialUnits(made.units.clear(), ORIGINS, made.demand[:0])
