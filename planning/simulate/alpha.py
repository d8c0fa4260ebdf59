"""How much certainty each kind of demand is worth: the ceiling of the critical ratio by demand class, from simulated money.

The costs alone ask for ratios near 0.99, where quantile forecasts say little; how far they may be believed differs between smooth
and lumpy demand. Every candidate ceiling plays the same weeks with the same forecasts, demand, lead times and opening stock
(`planning.simulate.trial`), and a class takes another ceiling only when that saves more than two standard errors of the paired
difference over its units, the differences shrunk to those of all classes. What could as well be chance changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from planning.inputs import CLASSES, PlanSpec
from planning.projection import F64
from planning.simulate.trial import TrialUnits, demand_classes, opening_stock, play

CEILINGS = (0.80, 0.85, 0.90, 0.93, 0.95, 0.97, 0.98, 0.99)
SHRINK_UNITS = 150.0
STANDARD_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class AlphaTuning:
    """What the simulation found.

    Attributes:
        spec: the rules with the ceilings chosen; equal to the rules given when nothing is surely better.
        rows: one row per demand class and ceiling played: `demand_class, alpha_max_frac, units, cost_usd, saving_usd,
            standard_error_usd, is_now, is_chosen`, sorted.
    """

    spec: PlanSpec
    rows: pl.DataFrame

    @property
    def is_new(self) -> bool:
        """Whether any class takes another ceiling."""
        return bool(self.rows.filter(pl.col("is_chosen") & ~pl.col("is_now")).height)

    def words(self, currency_code: str) -> str:
        """What changes, in one line: class, ceilings before and after, saving in these weeks, in what money is counted in."""
        parts = []
        for row in self.rows.filter(pl.col("is_chosen") & ~pl.col("is_now")).iter_rows(named=True):
            now = self.rows.filter(pl.col("is_now") & (pl.col("demand_class") == row["demand_class"]))[
                "alpha_max_frac"
            ][0]
            parts.append(
                f"{row['demand_class']} from {now:g} to {row['alpha_max_frac']:g} (saves {row['saving_usd']:.2f} {currency_code}, "
                f"standard error {row['standard_error_usd']:.2f}, {row['units']} item x site)"
            )
        return "; ".join(parts)


def tune_alpha(trial: TrialUnits, forecasts: pl.DataFrame, spec: PlanSpec) -> AlphaTuning:
    """Choose the ceiling of each demand class.

    Args:
        trial: units, origins and the demand that came.
        forecasts: rows of `pred_demand__28d` for every unit and origin by a model that knew none of these weeks.
        spec: the rules in force; they also say what things cost.

    Raises:
        BadInputError: a unit lacks a forecast at an origin.
    """
    classes = demand_classes(trial, forecasts)
    opening = opening_stock(trial, [forecasts], spec)
    now = {name: spec.ceiling(name) for name in CLASSES}
    costs = {c: _costs(trial, forecasts, spec, opening, c) for c in sorted({*CEILINGS, *now.values()})}
    current = np.select([classes == n for n in CLASSES], [costs[now[n]] for n in CLASSES], costs[spec.alpha_max])
    everyone = {c: current - cost for c, cost in costs.items()}
    chosen: dict[str, float] = {}
    rows = []
    for name in CLASSES:
        pick = classes == name
        if not pick.any():
            continue
        trust = pick.sum() / (pick.sum() + SHRINK_UNITS)
        per_unit = {c: float(trust * g[pick].mean() + (1 - trust) * g.mean()) for c, g in everyone.items()}
        error = {c: _error(g[pick]) for c, g in everyone.items()}
        best = max(per_unit, key=lambda c: (per_unit[c], -abs(c - now[name])))
        saving = float(everyone[best][pick].sum())
        sure = saving > STANDARD_ERRORS * error[best] and per_unit[best] > 0
        chosen[name] = best if sure else now[name]
        rows += [
            {
                "demand_class": name, "alpha_max_frac": c, "units": int(pick.sum()), "cost_usd": float(costs[c][pick].sum()),
                "saving_usd": float(everyone[c][pick].sum()), "standard_error_usd": error[c], "is_now": c == now[name],
                "is_chosen": c == chosen[name],
            }
            for c in costs
        ]  # fmt: skip
    changes = {n: c for n, c in chosen.items() if c != now[n]}
    return AlphaTuning(spec.with_ceilings(changes), pl.DataFrame(rows).sort("demand_class", "alpha_max_frac"))


def _costs(trial: TrialUnits, forecasts: pl.DataFrame, spec: PlanSpec, opening: F64, ceiling: float) -> F64:
    """Cost of each unit (units,) when every class has this ceiling."""
    rules = replace(spec, alpha_max=ceiling).with_ceilings(dict.fromkeys(CLASSES))
    played = play(trial, forecasts, rules, opening, spec)
    found = trial.units.select("item_id", "site_id").join(
        played.group_by("item_id", "site_id").agg(pl.col("cost_usd").sum()), on=["item_id", "site_id"], how="left", maintain_order="left"
    )  # fmt: skip
    return np.asarray(found["cost_usd"].to_numpy(), dtype=np.float64)


def _error(gain: F64) -> float:
    """Standard error of a sum of paired differences over the units; infinite for a single one."""
    return float(gain.std(ddof=1) * np.sqrt(gain.size)) if gain.size > 1 else float("inf")
