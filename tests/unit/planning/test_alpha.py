"""Ceilings of the critical ratio by demand class: a planted one is found, chance is left alone, and each class keeps to its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from planning.inputs import CLASSES, PlanSpec
from planning.night import critical_ratio
from planning.simulate.alpha import tune_alpha
from planning.simulate.trial import TrialUnits, opening_stock, play
from tests.unit.planning.test_cost_trial import ORIGINS, forecasts, trial

SPEC = PlanSpec(scenarios=32)


def world(factor: float, seed: int = 5, units: int = 120) -> tuple[TrialUnits, pl.DataFrame]:
    """Half the units smooth and rightly forecast; the other half lumpy, their demand `factor` times what is forecast.

    Goods are dear: where forecasts are too high, a lower ceiling is cheaper.
    """
    made, level = trial(units, seed)
    made = TrialUnits(
        made.units.with_columns(unit_cost_usd=pl.lit(60.0), unit_price_usd=pl.lit(160.0)), ORIGINS, made.demand
    )
    lumpy = np.arange(units) % 2 == 1
    rows = forecasts(made, np.where(lumpy, level / factor, level))
    classes = made.units.select("item_id", "site_id").with_columns(
        demand_class=pl.Series(np.where(lumpy, "lumpy", "smooth"))
    )
    return made, rows.join(classes, on=["item_id", "site_id"])


def test_a_planted_ceiling_is_found_for_its_class_alone() -> None:
    made, rows = world(0.6)
    found = tune_alpha(made, rows, replace(SPEC, alpha_max=0.99, holding_rate_frac_per_year=1.0))
    assert (
        found.is_new
        and found.spec.ceiling("lumpy") <= 0.95
        and "lumpy from 0.99 to" in found.words("EUR")
        and " EUR, standard error" in found.words("EUR")
    )
    assert found.spec.ceiling("erratic") == 0.99, "a class without units keeps its ceiling"
    assert found.spec.ceiling("lumpy") <= found.spec.ceiling("smooth")
    chosen = found.rows.filter("is_chosen")
    assert chosen["demand_class"].to_list() == ["lumpy", "smooth"] and (chosen["saving_usd"] >= 0).all()


def test_the_costs_told_are_those_of_playing_it() -> None:
    """An independent sum: the tuned rules played as a whole cost what the chosen rows add up to."""
    made, rows = world(0.6)
    spec = replace(SPEC, alpha_max=0.99, holding_rate_frac_per_year=1.0)
    found = tune_alpha(made, rows, spec)
    opening = opening_stock(made, [rows], spec)
    played = play(made, rows, found.spec, opening, spec)["cost_usd"].sum()
    assert played == pytest.approx(found.rows.filter("is_chosen")["cost_usd"].sum())
    assert played < play(made, rows, spec, opening, spec)["cost_usd"].sum()


def test_what_is_best_already_stays_and_twice_is_the_same() -> None:
    made, rows = world(0.6)
    first = tune_alpha(made, rows, replace(SPEC, alpha_max=0.99, holding_rate_frac_per_year=1.0))
    again = tune_alpha(made, rows, replace(SPEC, alpha_max=0.99, holding_rate_frac_per_year=1.0))
    assert first.rows.equals(again.rows) and first.spec == again.spec
    settled = tune_alpha(made, rows, first.spec)
    assert not settled.is_new and settled.spec == first.spec and settled.words("EUR") == ""


def test_one_unit_proves_nothing() -> None:
    made, rows = world(0.6)
    alone = TrialUnits(made.units[1:2], ORIGINS, made.demand[1:2])
    one = rows.join(alone.units.select("item_id"), on="item_id", how="semi")
    assert not tune_alpha(alone, one, replace(SPEC, alpha_max=0.99)).is_new


def test_each_class_keeps_to_its_own_ceiling() -> None:
    spec = replace(SPEC, alpha_max_lumpy=0.8, alpha_max_smooth=0.98)
    n = 6
    alpha = critical_ratio(
        spec, np.full(n, 100.0), np.full(n, 1e-6), np.full(n, 7.0), np.array([False] * 5 + [True]),
        [*CLASSES, None, "lumpy"],
    )  # fmt: skip
    assert alpha.tolist() == [0.98, 0.97, 0.97, 0.8, 0.97, 0.8]
    with pytest.raises(BadInputError, match=r"alpha_max_lumpy is 1\.2"):
        replace(SPEC, alpha_max_lumpy=1.2)
