"""The cost trial of a challenger: what the last weeks would have cost, had it ordered instead of the champion.

No side may play weeks it learned from. A demand challenger is represented by its recipe, trained again on what was known before
those weeks. A champion older than the weeks plays as it is; a younger one by its recipe too, trained so long before the weeks as it
is old now: then a fresh model plays against one of the champion's age, both on days neither has seen. A policy plays with the
champion's forecasts on both sides.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import polars as pl

from aios_assets.assets.common import settled
from aios_assets.assets.glue_monitoring import BASELINE_DAYS, current_demand
from aios_assets.assets.glue_rollout import DEMAND, champion_policy, live_row, policy_of, rollout_code
from aios_assets.assets.glue_scoring import covariates, deployed, scoring_features
from aios_assets.contracts.decision_tables import MON_COST_TRIALS
from aios_assets.contracts.errors import AiosError, BadInputError
from aios_assets.contracts.gates import Evidence
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

TRIAL_WEEKS = 8
MOST_UNITS = 2000
MOST_UNKNOWN_FRAC = 0.1
KEYS = ["item_id", "site_id"]


def cost_trial(
    world: World, day: date, row: dict[str, Any], recipe: Callable[[date], Any] | None = None
) -> tuple[pl.DataFrame, dict[str, Evidence]]:
    """Play challenger and champion over the same weeks.

    Args:
        world: handles.
        day: last business day known.
        row: the challenger: `model_name, model_version, model_digest`.
        recipe: trains a demand challenger on what was known on a day; that of the nights when None.

    Returns:
        Rows of `mon_cost_trials`, and the evidence by gate code: `promote_cost` and the fairness gates that apply. A trial that
        is not possible gives no rows and evidence that is refused with the reason.
    """
    try:
        trial, sides, details = _sides(world, day, row, recipe)
        costs = _play(world, day, row, trial, sides)
    except AiosError as why:
        return MON_COST_TRIALS.empty(), {"promote_cost": Evidence(None, None, day, problem=str(why))}
    return costs, trial_evidence(costs, world, day, details)


def trial_evidence(costs: pl.DataFrame, world: World, day: date, details: dict[str, Any]) -> dict[str, Evidence]:
    """Evidence of the gates that read a trial: the bound of the cost difference, and who gets served worse than before.

    Fewer than three sites or suppliers have no thirds to compare: those gates do not apply, and the details say so.
    """
    from ml.promotion.cost import cost_difference, cost_evidence
    from ml.promotion.fairness import gap_rise

    old, new = (costs.filter(pl.col("role") == role) for role in ("champion", "challenger"))
    newest = costs["week_date"].max()
    assert isinstance(newest, date)
    last = newest + timedelta(days=6)
    found = {}
    items = as_known.items_as_known(world.lake, world.cutoff(day)).select("item_id", "supplier_id")
    for gate, key, names in (
        ("fairness_site_size", "site_id", None), ("fairness_supplier_size", "supplier_id", items),
    ):  # fmt: skip
        sides = [f if names is None else f.join(names, on="item_id").drop_nulls(key) for f in (old, new)]
        if sides[0][key].n_unique() >= 3:
            found[gate] = gap_rise(sides[0], sides[1], key=key, newest=last)
        else:
            details[gate] = f"does not apply: {sides[0][key].n_unique()} values of {key}"
    difference = cost_difference(
        old.select(*KEYS, "week_date", "cost_usd"), new.select(*KEYS, "week_date", "cost_usd"), seed=world.seed
    )
    return {"promote_cost": cost_evidence(difference, newest=last, details=details)} | found


def _sides(
    world: World, day: date, row: dict[str, Any], recipe: Callable[[date], Any] | None
) -> tuple[Any, dict[str, tuple[pl.DataFrame, Any]], dict[str, Any]]:
    """What is played, forecasts and rules by role, and what an auditor wants to know of it."""
    since = day - timedelta(days=7 * TRIAL_WEEKS)
    origins = [since + timedelta(days=7 * k) for k in range(TRIAL_WEEKS)]
    features = pl.concat([scoring_features(world, o, o) for o in origins])
    rules, rules_name = champion_policy(world, day, before_verdict=True)
    champion = live_row(world, DEMAND, "champion", day, before_verdict=True)
    if champion is None:
        raise BadInputError("there is no champion whose forecasts could be played", where="cost trial")
    own = deployed(world, champion)
    if own.model is None:
        raise BadInputError(f"the champion cannot be played: {own.reason}", where="cost trial")
    details: dict[str, Any] = {"first_origin": str(since), "weeks_played": TRIAL_WEEKS, "champion_version": own.version,
                               "champion_policy": rules_name, "seed": world.seed, "delta_versions": world.data_versions()}  # fmt: skip
    if row["model_name"] == DEMAND:
        challenger, rules_new = scorer_of(recipe(since)) if recipe else twin(world, since), rules
        learned = _trained_on(world, champion)
        if learned > since:
            aged = since - (day - learned)
            own = twin(world, aged)
            details["champion"] = f"its recipe, trained on what was known on {aged}: as old then as the champion is now"
        details["challenger"] = f"its recipe, trained on what was known on {since}: {challenger.digest[:12]}"
    else:
        challenger, rules_new = own, policy_of(world, row)
        details["challenger"] = f"policy version {row['model_version']} on the champion's forecasts"
    trial, left_out = trial_units(world, day, origins, features)
    details |= left_out
    known = features.join(trial.units.select(KEYS), on=KEYS, how="semi")
    forecasts = {
        role: forecasts_of(world, day, s, known) for role, s in (("champion", own), ("challenger", challenger))
    }
    return (
        trial,
        {"champion": (forecasts["champion"], rules), "challenger": (forecasts["challenger"], rules_new)},
        details,
    )


def twin(world: World, since: date) -> Any:
    """The scorer of the demand recipe trained on what was known on `since`.

    Raises:
        AiosError: too little was known then.
    """
    from aios_assets.assets.glue_training import recipe_as_of

    return scorer_of(recipe_as_of(world, since))


def scorer_of(trained: Any) -> Any:
    """The scorer of a model that was trained and not registered."""
    from ml.scoring import Scorer

    return Scorer.of(trained.artifact, DEMAND, "0", trained.digest)


def _trained_on(world: World, row: dict[str, Any]) -> date:
    """Last business day a deployed demand version learned from; the day it went live where nobody noted it."""
    mine = (pl.col("model_name") == DEMAND) & (pl.col("model_version") == row["model_version"])
    found = world.lake.read("mon_backtest_scores", columns=["trained_on_date"], where=mine)["trained_on_date"].max()
    return found if isinstance(found, date) else world.business_day_of(row["valid_from_utc"])


def forecasts_of(
    world: World, day: date, scorer: Any, features: pl.DataFrame, who: str = "a side", where: str = "cost trial"
) -> pl.DataFrame:
    """Forecasts from these features; a baseline that would answer in the model's place is refused.

    Raises:
        BadInputError: the model could not forecast.
    """
    from ml.scoring import score_demand

    rows = score_demand(scorer, features, covariates(world, day))
    if rows["is_fallback"].any():
        raise BadInputError(f"{who} could not forecast: {rows['fallback_reason'][0]}", where=where)
    return rows


def _play(
    world: World, day: date, row: dict[str, Any], trial: Any, sides: dict[str, tuple[pl.DataFrame, Any]]
) -> pl.DataFrame:
    from planning.simulate.trial import opening_stock, play

    truth = sides["champion"][1]
    opening = opening_stock(trial, [forecasts for forecasts, _ in sides.values()], truth)
    rows = [
        play(trial, forecasts, rules, opening, truth).with_columns(pl.lit(role).alias("role"))
        for role, (forecasts, rules) in sides.items()
    ]
    out = pl.concat(rows).with_columns(
        pl.lit(rollout_code(row)).alias("rollout_code"),
        pl.lit(day).alias("trial_date"),
        pl.lit(world.cutoff(day)).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    )
    return settled(out.select(MON_COST_TRIALS.names)).sort(MON_COST_TRIALS.key)


def trial_units(world: World, day: date, origins: list[date], features: pl.DataFrame) -> tuple[Any, dict[str, Any]]:
    """Units that can be played, with the demand that came; what is left out is counted by reason."""
    from planning.simulate.trial import TrialUnits

    every = features.group_by(KEYS).len().filter(pl.col("len") == len(origins)).select(KEYS).sort(KEYS)
    priced = _priced(world, day, every)
    wide, unknown = _demand(world, day, origins, priced)
    good = unknown <= MOST_UNKNOWN_FRAC
    kept = priced.filter(good)
    chosen = _sample(kept)
    counts = {
        "units_forecast": every.height, "without_cost_price_or_lead_time": every.height - priced.height,
        "with_too_many_days_unknown": priced.height - kept.height, "units_sampled_away": kept.height - int(chosen.sum()),
        "share_of_days_estimated": round(float(unknown.filter(good).mean() or 0.0), 6),  # type: ignore[arg-type]
    }  # fmt: skip
    picked = wide[good.to_numpy()][chosen.to_numpy()]
    return TrialUnits(kept.filter(chosen), origins, picked), counts


def _sample(units: pl.DataFrame) -> pl.Series:
    """At most `MOST_UNITS` of the units, by a stable draw: a pair of some hundred already tells two per cent."""
    from ml.promotion.canary import stable_draw

    draws = pl.Series([stable_draw(i, s, "cost trial") for i, s in units.select(KEYS).iter_rows()], dtype=pl.Float64)
    return draws.rank("ordinal") <= MOST_UNITS


def _priced(world: World, day: date, units: pl.DataFrame) -> pl.DataFrame:
    """Units with source, money, pack and lead-time quantiles; those that lack one are left out."""
    from planning.inputs import PlanInputs
    from planning.network import LEAD_COLUMNS, lane_lead_times

    lake, cutoff = world.lake, world.cutoff(day)
    newest = lake.read("pred_lead_time__lane", where=pl.col("origin_date") < day)
    newest = newest.filter(pl.col("origin_date") == pl.col("origin_date").max())
    lanes = as_known.master_as_known(lake, "raw_master__lanes", ["origin_id", "destination_id", "mode_code"], cutoff)
    leads = lane_lead_times(PlanInputs(lead_times=newest, lanes=lanes)).select("source_id", "site_id", *LEAD_COLUMNS)
    items = as_known.items_as_known(lake, cutoff).select(
        "item_id", "supplier_id", "unit_cost_usd", "unit_price_usd", "pack_ea"
    )
    sites = as_known.sites_as_known(lake, cutoff).select("site_id", "serving_site_id")
    joined = (
        units.join(items, on="item_id").join(sites, on="site_id", how="left")
        .with_columns(pl.coalesce("serving_site_id", "supplier_id").alias("source_id"), pl.col("pack_ea").fill_null(1))
        .join(leads, on=["source_id", "site_id"])
        .filter((pl.col("unit_cost_usd") > 0) & (pl.col("unit_price_usd") > pl.col("unit_cost_usd")))
    )  # fmt: skip
    return joined.select(*KEYS, "source_id", "unit_cost_usd", "unit_price_usd", "pack_ea", *LEAD_COLUMNS).sort(KEYS)


def _demand(world: World, day: date, origins: list[date], units: pl.DataFrame) -> tuple[Any, pl.Series]:
    """Demand (units, days) with what stock-outs are estimated to have lost, and the share of days that are unknown.

    An unknown day is played at the unit's mean of the known ones, on both sides.
    """
    import numpy as np

    from monitoring.kpis import demand_days

    span = 7 * len(origins)
    rows = demand_days(
        current_demand(world, day, span + BASELINE_DAYS),
        kpi_date=day,
        window_days=span,
        history_days=span + BASELINE_DAYS,
    )
    wanted = rows.with_columns((pl.col("sales_qty_ea") + pl.col("lost_qty_ea")).alias("wanted_ea"))
    place = wanted.join(units.select(KEYS).with_row_index("u"), on=KEYS).with_columns(
        ((pl.col("demand_date") - origins[0]).dt.total_days() - 1).alias("t")
    )
    wide = np.full((units.height, span), np.nan)
    wide[place["u"].to_numpy(), place["t"].to_numpy()] = place["wanted_ea"].cast(pl.Float64).to_numpy()
    unknown = np.isnan(wide)
    known = np.where(unknown, 0.0, np.maximum(wide, 0.0))
    mean = known.sum(axis=1) / np.maximum((~unknown).sum(axis=1), 1)
    return np.where(unknown, mean[:, None], known), pl.Series("unknown", unknown.mean(axis=1))
