"""Ceilings of the critical ratio tuned on the network's own weeks, when a demand model was trained; what is better is proposed.

The weeks played end eight weeks ago, with forecasts of the recipe trained before them on what was known then; the ladder's cost
trial judges the proposal on the eight weeks since. A change of planning parameters therefore climbs like any other, on weeks it
was not tuned on.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aios_assets.assets.common import settled
from aios_assets.assets.glue_cards import file_papers, policy_papers
from aios_assets.assets.glue_rollout import DEMAND, POLICY, champion_policy, live_row, policy_bytes
from aios_assets.assets.glue_scoring import scoring_features
from aios_assets.assets.glue_trials import TRIAL_WEEKS, forecasts_of, trial_units, twin
from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS
from aios_assets.contracts.errors import AiosError
from aios_assets.contracts.planning_tables import MON_POLICY_TUNINGS
from aios_assets.resources.handles import World

BEHIND = timedelta(days=7 * TRIAL_WEEKS)
WEEKS = 6


@dataclass(slots=True)
class Tuned:
    """What a day's tuning adds: rows of `mon_policy_tunings`, a proposal or none, and the reason in words."""

    rows: pl.DataFrame = field(default_factory=MON_POLICY_TUNINGS.empty)
    deployments: pl.DataFrame = field(default_factory=MON_DEPLOYMENTS.empty)
    said: str = ""


def tune_policy(world: World, day: date) -> Tuned:
    """Tune when a demand model was trained on `day` and another one was live before; write what was found and propose what is better.

    Too short a history, a policy that climbs already, or nothing surely better: nothing is proposed, and it says why.
    """
    trained = world.lake.read(
        "mon_backtest_scores", where=(pl.col("trained_on_date") == day) & (pl.col("model_name") == DEMAND)
    )
    if trained.is_empty() or live_row(world, DEMAND, "champion", day, before_verdict=True) is None:
        return Tuned()
    rules, name = champion_policy(world, day, before_verdict=True)
    try:
        found, since = played(world, day, rules)
    except AiosError as why:
        return Tuned(said=f"ceilings not tuned: {why}")
    climbing = [a for a in ("shadow", "canary") if live_row(world, POLICY, a, day, before_verdict=True) is not None]
    version, rows, said = None, MON_DEPLOYMENTS.empty(), f"ceilings of {name} stay: nothing is surely better"
    if found.is_new and climbing:
        said = f"ceilings not proposed while another policy is in {climbing[0]}: {found.words(world.currency)}"
    elif found.is_new:
        said = f"tuned on the weeks from {since}: {found.words(world.currency)}"
        known, rows = propose_policy(world, found.spec, said, world.cutoff(day))
        version = known if rows.height else None
        said = (
            said
            if version
            else f"not proposed again, these parameters are version {known} already: {found.words(world.currency)}"
        )
    tuned = Tuned(_rows(world, day, since, found, version), rows, said)
    world.lake.write(MON_POLICY_TUNINGS, tuned.rows)
    world.lake.write(MON_DEPLOYMENTS, tuned.deployments)
    return tuned


def played(world: World, day: date, rules: Any) -> tuple[Any, date]:
    """The tuning of the `WEEKS` weeks that ended `BEHIND` ago, and their first origin.

    Raises:
        AiosError: too little was known then to train, to forecast or to play.
    """
    from planning.simulate.alpha import tune_alpha

    end = day - BEHIND
    since = end - timedelta(days=7 * WEEKS)
    origins = [since + timedelta(days=7 * k) for k in range(WEEKS)]
    recipe = twin(world, since)
    features = pl.concat([scoring_features(world, o, o) for o in origins])
    trial, _ = trial_units(world, end, origins, features)
    known = features.join(trial.units.select("item_id", "site_id"), on=["item_id", "site_id"], how="semi")
    forecasts = forecasts_of(world, end, recipe, known, who="the recipe", where="policy tuning")
    return tune_alpha(trial, forecasts, rules), since


def _rows(world: World, day: date, since: date, found: Any, version: str | None) -> pl.DataFrame:
    known = pl.lit(world.cutoff(day)).cast(pl.Datetime("us", "UTC"))
    error = pl.col("standard_error_usd")
    made = found.rows.with_columns(
        pl.lit(day).alias("tuned_date"), pl.lit(since).alias("first_origin_date"), pl.col("units").cast(pl.Int32),
        pl.when(error.is_finite()).then(error).alias("standard_error_usd"),
        pl.lit(version, dtype=pl.String).alias("policy_version"), known.alias("available_at_utc"),
    )  # fmt: skip
    return settled(made.select(MON_POLICY_TUNINGS.names))


def register_policy(world: World, spec: Any, reason: str, day: date) -> Any:
    """A policy version in the registry, signed like a model, with its papers; the same parameters are registered once."""
    data = policy_bytes(spec)
    papers = policy_papers(world, asdict(spec), day, reason)
    ref = world.tracking.log_artifact(
        POLICY, data, data_versions={}, params=asdict(spec), training_key=f"{POLICY}|{hashlib.sha256(data).hexdigest()}", as_of=day,
        reason=reason, card=f"# Planning parameters\n\n{reason}", seed=spec.seed,
    )  # fmt: skip
    file_papers(world, ref, papers, [])
    return ref


def propose_policy(world: World, spec: Any, reason: str, instant: datetime) -> tuple[str, pl.DataFrame]:
    """Register planning parameters as a challenger from `instant` on, which the next night judges.

    The first proposal also notes the parameters shipped as the champion it has to beat.

    Returns:
        Their version, and rows of `mon_deployments` to write; no rows when these parameters were deployed or proposed before.
    """
    from ml.promotion.deployments import deployment_row
    from planning.inputs import load_spec

    day = world.business_day_of(instant)
    mine = (pl.col("model_name") == POLICY) & (pl.col("valid_from_utc") < instant)
    before, first = world.lake.read("mon_deployments", where=mine), MON_DEPLOYMENTS.empty()
    if before.is_empty():
        shipped = register_policy(world, load_spec(), "the parameters shipped in planning/policy.yaml", day)
        first = deployment_row(
            model_name=POLICY, model_version=shipped.version, model_digest=shipped.digest, alias="champion", share_frac=1.0,
            valid_from_utc=instant, verdict="first", reason="the parameters shipped, until one is promoted",
        )  # fmt: skip
    ref = register_policy(world, spec, reason, day)
    if ref.version in {*before["model_version"], *first["model_version"]}:
        return ref.version, MON_DEPLOYMENTS.empty()
    proposal = deployment_row(
        model_name=POLICY, model_version=ref.version, model_digest=ref.digest, alias="challenger", share_frac=0.0,
        valid_from_utc=instant, verdict="propose", reason=reason,
    )  # fmt: skip
    return ref.version, pl.concat([first, proposal])
