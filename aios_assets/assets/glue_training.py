"""When training is due, what it learns from, and how its result is registered so that a second try registers nothing twice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from aios_assets.assets.common import settled
from aios_assets.assets.glue_cards import demand_papers, file_papers, lead_time_papers
from aios_assets.assets.glue_scoring import changed_to_weeks, covariates, known_and_stretches, sales_reports
from aios_assets.contracts.decision_tables import MON_BACKTEST_SCORES
from aios_assets.contracts.errors import AiosError, RefusedError
from aios_assets.contracts.mart_tables import FEAT_ITEM_SITE_DEMAND
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

DEMAND, LEAD_TIME = "demand", "lead_time"
LEAD_TIME_DAYS = 7
MIN_HISTORY_DAYS = 84
LEAD_TIME_HOLDOUT_DAYS = 56
RETRY_DAYS = 7
NOT_FEATURES = ("item_id", "site_id", "feature_date", "available_at_utc", "feature_month")
FEATURES = [
    *(f"feat_item_site__demand:{c.name}" for c in FEAT_ITEM_SITE_DEMAND.columns if c.name not in NOT_FEATURES),
    "feat_item__attributes:category_code",
]


@dataclass(slots=True)
class Outcome:
    """What became of one day's question whether to train."""

    model: str
    day: date
    trained: bool
    reason: str
    version: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    plots: dict[str, bytes] = field(default_factory=dict)
    pages: dict[str, Path] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The figures for the run's metadata."""
        headline = {
            k: v for k, v in self.metrics.items() if k.startswith(("pinball", "coverage")) and k.count(".") <= 2
        }
        return {
            "model": self.model, "day": self.day.isoformat(), "trained": self.trained, "reason": self.reason,
            "version": self.version, "metrics": headline,
        }  # fmt: skip


def due(world: World, model: str, day: date, every_days: int, force: bool, why: str) -> str:
    """Why `model` is to be trained on `day`, or the empty string.

    Trainings so far are read from `mon_backtest_scores`, so that a day that was trained is not trained again.
    """
    runs = world.lake.read("mon_backtest_scores", where=pl.col("model_name") == model)
    past = runs.filter(pl.col("trained_on_date") <= day)["trained_on_date"]
    if (past == day).any():
        return ""
    if force:
        return why or "asked for"
    if past.is_empty():
        return "there is no model yet"
    newest = past.max()
    assert isinstance(newest, date)
    asked = world.lake.read(
        "mon_retrain_requests", where=(pl.col("model_name") == model) & (pl.col("request_date") < day)
    )
    if (asked["request_date"] >= newest).any():
        return f"monitoring asked for it: {asked.sort('request_date').row(-1, named=True)['reason']}"
    age = (day - newest).days
    if age >= every_days:
        return f"the newest version is {age} days old"
    if age >= RETRY_DAYS and _is_refused(world, model, runs.filter(pl.col("trained_on_date") == newest), day):
        return f"no version is live, and the newest was refused; it is {age} days old"
    return ""


def _is_refused(world: World, model: str, newest: pl.DataFrame, day: date) -> bool:
    """Whether no version is live on `day` and a gate failed the newest one: it does not climb, and the history has grown."""
    try:
        world.deployment(model, day)
    except RefusedError:
        version, columns = newest["model_version"][0], ["is_passed"]
        judged = (pl.col("subject") == f"{model}:{version}") & (pl.col("verdict_date") < day)
        verdicts = world.lake.read("mon_promotion_verdicts", columns=columns, where=judged)["is_passed"]
        if verdicts.is_empty():
            return model == DEMAND and _will_fail(newest.filter(pl.col("model_version") == version))
        return not verdicts.all()
    return False


def _will_fail(scores: pl.DataFrame) -> bool:
    """Whether a first version that is not judged yet fails a gate: a run of several days trains all of them before it judges one."""
    from ml.promotion.judge import judge_challenger
    from monitoring.gates import load_thresholds

    subject, trained = f"{DEMAND}:{scores['model_version'][0]}", scores["trained_on_date"][0]
    verdict = judge_challenger(scores, subject=subject, as_of=trained, limits=load_thresholds().gates)
    return not all(decision.is_passed for decision in verdict.decisions)


def train_demand_if_due(world: World, day: date, force: bool, why: str, say: Callable[[str], None]) -> Outcome:
    """Train, register and score a demand challenger when that is due."""
    reason = due(world, DEMAND, day, world.retrain_every_days, force, why)
    if not reason:
        return Outcome(DEMAND, day, False, "not due")
    try:
        trained, asked = _train_demand(world, day, say)
        _refuse_unmeasured(trained)
        papers = demand_papers(world, trained, day)
    except AiosError as error:
        say(f"no demand model is trained, though it is due ({reason}): {error}")
        return Outcome(DEMAND, day, False, f"due ({reason}), but not possible: {error}")
    key = f"{DEMAND}|{day.isoformat()}|{trained.digest}"
    ref = world.tracking.log_training(
        trained, training_key=key, as_of=day, data_versions=world.data_versions(), reason=reason
    )
    pages = file_papers(world, ref, papers, [])
    world.lake.write(MON_BACKTEST_SCORES, settled(backtest_scores(world, day, trained, ref)))
    world.features.register_service(DEMAND, ref.version, FEATURES)
    say(f"demand version {ref.version} trained on {asked:,} rows: {reason}")
    return Outcome(DEMAND, day, True, reason, ref.version, trained.metrics, trained.plots, pages)


def recipe_as_of(world: World, day: date) -> Any:
    """The demand recipe trained on what was known on an earlier day; nothing is registered.

    Raises:
        AiosError: too little was known then.
    """
    return _train_demand(world, day, lambda said: None)[0]


def _train_demand(world: World, day: date, say: Callable[[str], None]) -> tuple[Any, int]:
    from aios_assets.contracts.errors import BadInputError
    from ml.datasets import LABELS, training_origins, training_request
    from ml.gaps import known_of_too_few_days
    from ml.training import TrainSpec, train_demand

    since = day - timedelta(days=world.training_days)
    labels = as_known.demand_as_known(world.lake, since, day, world.cutoff(day), list(LABELS))
    first = labels.group_by("item_id", "site_id").agg(pl.col("demand_date").min().alias("first_date"))
    oldest = labels["demand_date"].min()
    days = (day - oldest).days if isinstance(oldest, date) else 0
    if days < MIN_HISTORY_DAYS:
        raise BadInputError(
            "the history is too short to train on",
            where="fct_demand_daily",
            count=days,
            todo=f"{MIN_HISTORY_DAYS} days are needed",
        )
    # What is known only of the days on which it sold would teach that it sells every day, and of months that a day sells as much.
    reports = sales_reports(world, day)
    known, stretches = known_and_stretches(world, day, reports)
    first = first.join(stretches, on="site_id", how="anti").filter(
        ~pl.col("site_id").is_in(changed_to_weeks(day, reports))
    )
    too_few = known_of_too_few_days(labels, first, known.closed, day)
    first = first.join(too_few, on=["item_id", "site_id"], how="anti")
    if first.is_empty():
        raise BadInputError(
            "of every series sales are known of fewer than half of its days, or in stretches that are no weeks", where="fct_demand_daily",
            todo="where days without a row are days without a sale, import sales with `gaps: zero`, or stock of every day",
        )  # fmt: skip
    origins = training_origins(day, min(days, world.training_days), world.training_stride_days)
    request = training_request(first, origins, world.cutoff)
    say(f"training set: {request.height:,} rows asked of Feast, {len(origins)} origins")
    found = world.features.training_frame(request, FEATURES)
    features = found.rename({"event_timestamp": "available_at_utc"})
    return train_demand(features, labels, known, TrainSpec(), world.seed, as_of=day), features.height


def _refuse_unmeasured(trained: Any) -> None:
    """No gate could judge a version that was measured on nothing; a recipe that is only played in a trial may be such a one."""
    from aios_assets.contracts.errors import BadInputError

    if trained.backtest.is_empty():
        raise BadInputError(
            "there are too few origins to calibrate on some and to measure on others", where="training set",
            todo="wait for more days of history, or set fewer days between origins (AIOS_TRAINING_STRIDE_DAYS)",
        )  # fmt: skip


def backtest_scores(world: World, day: date, trained: Any, ref: Any) -> pl.DataFrame:
    """Rolling-origin scores of challenger, fallback and seasonal naive, and of the live champion on exactly the same rows."""
    from ml.promotion.judge import score_rows

    roles = {role: trained.backtest.filter(pl.col("role") == role) for role in ("challenger", "fallback", "naive")}
    champion = _champion_backtest(world, day, roles["challenger"])
    if champion is not None:
        roles["champion"] = champion
    rows = pl.concat([score_rows(frame, role) for role, frame in roles.items()])
    return rows.with_columns(
        pl.lit(DEMAND).alias("model_name"),
        pl.lit(ref.version).alias("model_version"),
        pl.lit(ref.digest).alias("model_digest"),
        pl.lit(day).alias("trained_on_date"),
        pl.lit(world.cutoff(day)).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    ).select(MON_BACKTEST_SCORES.names)


def _champion_backtest(world: World, day: date, rows: pl.DataFrame) -> pl.DataFrame | None:
    """The live champion's forecasts for the challenger's held-out rows; None when there is no champion."""
    from aios_assets.assets.glue_scoring import champion, scoring_features
    from ml.scoring import score_demand

    scorer = champion(world, day - timedelta(days=1))
    if scorer.model is None:
        return None
    origins = rows["origin_date"].unique().sort().to_list()
    features = pl.concat([scoring_features(world, o, o) for o in origins])
    keys = ["item_id", "site_id", "origin_date", "horizon_days"]
    forecasts = score_demand(scorer, features, covariates(world, day)).drop("demand_class", "target_date")
    actuals = rows.select(*keys, "target_date", "demand_class", "actual_ea")
    return actuals.join(forecasts, on=keys, how="inner")


def register_once(world: World, trained: Any, day: date, reason: str) -> Any:
    """Register a trained model; the same training of the same day is found again and not registered twice.

    A run that was killed after registering and before writing its scores therefore ends, when repeated, with the same version.
    """
    key = f"{trained.name}|{day.isoformat()}|{trained.digest}"
    ref = world.tracking.log_training(
        trained,
        training_key=key,
        as_of=day,
        data_versions=world.data_versions(),
        reason=reason,
        run_name=f"{trained.name} {day}",
    )
    world.tracking.set_alias(trained.name, "challenger", ref.version)
    return ref


@dataclass(frozen=True, slots=True)
class LeadTimeTraining:
    """A lead-time model in the form that the registry records."""

    artifact: bytes
    digest: str
    params: dict[str, Any]
    metrics: dict[str, float]
    card: str
    seed: int = 0
    name: str = LEAD_TIME
    plots: dict[str, bytes] = field(default_factory=dict)
    feature_names: tuple[str, ...] = ("source_id", "site_id")


def _lead_time_as_trained(model: Any, scores: pl.DataFrame) -> LeadTimeTraining:
    means = {r["role"]: r["pinball_sum_ea"] / max(r["rows"], 1) for r in scores.iter_rows(named=True)}
    params = {
        "as_of": model.as_of.isoformat(), "half_life_days": model.half_life_days, "strength_orders": model.strength_orders,
        "lanes": len(model.lanes), "received_orders": model.received[-1], "open_orders": model.open[-1],
        "slowed_down": len(model.slowed),
    }  # fmt: skip
    slowed = [f"- {s}{'>' + t if t else ''} slowed down after {day}" for s, t, day in model.slowed]
    lines = [f"- {k}: {v}" for k, v in params.items()] + [
        f"- pinball loss in days, {k}: {v:.3f}" for k, v in means.items()
    ]
    card = "# Lead-time model\n\nKaplan-Meier per lane, open orders censored, small lanes shrunk to their source. Of what slowed down lately the orders before count a tenth.\n\n"
    metrics = {f"pinball.{k}": v for k, v in means.items()}
    return LeadTimeTraining(model.to_bytes(), model.digest, params, metrics, card + "\n".join(lines + slowed))


def train_lead_time_if_due(world: World, day: date, force: bool, why: str, say: Callable[[str], None]) -> Outcome:
    """Fit, register and score a lead-time challenger when that is due."""
    reason = due(world, LEAD_TIME, day, LEAD_TIME_DAYS, force, why)
    if not reason:
        return Outcome(LEAD_TIME, day, False, "not due")
    cutoff = world.cutoff(day)
    orders = as_known.orders_as_known(world.lake, cutoff, include_closed=True)
    try:
        from ml.lead_time import fit_lead_times
        from ml.lead_time.backtest import backtest_lead_times

        model = fit_lead_times(orders, day)
        scores = backtest_lead_times(orders, day, LEAD_TIME_HOLDOUT_DAYS)
    except AiosError as error:
        return Outcome(LEAD_TIME, day, False, f"due ({reason}), but not possible: {error}")
    trained = _lead_time_as_trained(model, scores)
    papers = lead_time_papers(world, trained, day)
    ref = register_once(world, trained, day, reason)
    pages = file_papers(world, ref, papers, [])
    rows = scores.with_columns(
        pl.lit(LEAD_TIME).alias("model_name"), pl.lit(ref.version).alias("model_version"), pl.lit(ref.digest).alias("model_digest"),
        pl.lit(day).alias("trained_on_date"), pl.lit(cutoff).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    )  # fmt: skip
    world.lake.write(MON_BACKTEST_SCORES, settled(rows.select(MON_BACKTEST_SCORES.names)))
    say(f"lead-time version {ref.version} fitted on {orders.height:,} order lines: {reason}")
    return Outcome(LEAD_TIME, day, True, reason, ref.version, pages=pages)
