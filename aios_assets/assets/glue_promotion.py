"""Who is live after a day: versions trained by then meet the gates, and whoever climbs moves at most one rung.

Quality and cost are judged on the night a version was trained (a policy: the night after it was proposed); shadow and canary on
the nights that follow, on what earlier nights wrote. The state a night starts from is what `mon_deployments` held before its
cut-off, so that a night run again decides the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aios_assets.assets.glue_canary import assign, began_on, units_of_network, watched
from aios_assets.assets.glue_rollout import DEMAND, POLICY, SUBJECTS, align_aliases, rollout_code
from aios_assets.assets.glue_shadow import shadow_evidence
from aios_assets.assets.glue_trials import cost_trial
from aios_assets.contracts.decision_tables import (
    MON_CANARY_UNITS,
    MON_COST_TRIALS,
    MON_DEPLOYMENTS,
    MON_FINDINGS,
    MON_PROMOTION_VERDICTS,
)
from aios_assets.contracts.gates import Evidence, GateDecision, judge, verdict_frame
from aios_assets.resources.handles import World

INSTANT = pl.Datetime("us", "UTC")


@dataclass(slots=True)
class Judged:
    """What a day's judging adds: verdicts, deployments, trials, canary units, incidents, and the reasons in words."""

    verdicts: pl.DataFrame = field(default_factory=MON_PROMOTION_VERDICTS.empty)
    deployments: pl.DataFrame = field(default_factory=MON_DEPLOYMENTS.empty)
    trials: pl.DataFrame = field(default_factory=MON_COST_TRIALS.empty)
    units: pl.DataFrame = field(default_factory=MON_CANARY_UNITS.empty)
    incidents: pl.DataFrame = field(default_factory=MON_FINDINGS.empty)
    reasons: list[str] = field(default_factory=list)
    decisions: dict[str, list[GateDecision]] = field(default_factory=dict)
    passed: list[tuple[dict[str, Any], list[GateDecision], Any]] = field(default_factory=list)

    def add(self, verdicts: list[GateDecision], deployments: pl.DataFrame, instant: datetime, said: str) -> None:
        """Note what was decided about one version."""
        self.verdicts = pl.concat([self.verdicts, verdict_frame(verdicts, available_at_utc=instant)])
        self.deployments = pl.concat([self.deployments, deployments])
        self.reasons.append(said)
        for d in verdicts:
            self.decisions.setdefault(d.subject, []).append(d)


def judge_day(world: World, day: date) -> Judged:
    """Judge what is due on `day`, write what was decided, move the registry's aliases.

    The aliases follow the table and not the other way round: after a crash between the two, the next run moves them again.
    """
    from ml.promotion.rollback import incidents_of

    result, instant = Judged(), world.cutoff(day)
    before = world.lake.read("mon_deployments").filter(pl.col("valid_from_utc") < instant)
    scores = world.lake.read("mon_backtest_scores", where=pl.col("trained_on_date") == day)
    for row in _trained(scores):
        mine = scores.filter(
            (pl.col("model_name") == row["model_name"]) & (pl.col("model_version") == row["model_version"])
        )
        _judge_trained(world, day, row, mine, before, result)
    for row in _proposed(world, before, day):
        _challenge(world, day, row, [], before, result)
    _settle_passed(before, instant, result)
    for model in SUBJECTS:
        _climb_on(world, day, model, before, result)
    # rollbacks between the nights, by hand or by the sensor: their incidents follow from the record
    since = world.cutoff(day - timedelta(days=1))
    result.incidents = pl.concat([result.incidents, incidents_of(before.filter(pl.col("valid_from_utc") > since))])
    _write(world, result)
    for model in sorted({*scores["model_name"].to_list(), *result.deployments["model_name"].to_list()}):
        align_aliases(world, model, instant)
    return result


def _write(world: World, result: Judged) -> None:
    """Verdicts and their evidence before what follows from them."""
    world.lake.write(MON_COST_TRIALS, result.trials)
    world.lake.write(MON_PROMOTION_VERDICTS, result.verdicts)
    world.lake.write(MON_CANARY_UNITS, result.units)
    world.lake.write(MON_DEPLOYMENTS, result.deployments)
    if result.incidents.height:
        world.lake.write(MON_FINDINGS, result.incidents)


def _trained(scores: pl.DataFrame) -> list[dict[str, Any]]:
    rows = scores.select("model_name", "model_version", "model_digest").unique().sort("model_name", "model_version")
    return rows.to_dicts()


def _proposed(world: World, before: pl.DataFrame, day: date) -> list[dict[str, Any]]:
    """Policy versions that a person or the tuning proposed and that no earlier night judged, oldest first."""
    asked = before.filter((pl.col("verdict") == "propose") & (pl.col("model_name") == POLICY)).sort("valid_from_utc")
    judged = world.lake.read("mon_promotion_verdicts", columns=["subject"], where=pl.col("verdict_date") < day)
    open_rows = asked.filter(~(POLICY + ":" + pl.col("model_version")).is_in(judged["subject"].unique().to_list()))
    return open_rows.select("model_name", "model_version", "model_digest").to_dicts()


def _judge_trained(
    world: World, day: date, row: dict[str, Any], scores: pl.DataFrame, before: pl.DataFrame, result: Judged
) -> None:
    """The first rung: quality and calibration; without a champion it is the only one, and lead times have no other."""
    from ml.promotion.deployments import champion_at, promotion_rows
    from ml.promotion.judge import judge_challenger
    from monitoring.gates import load_thresholds

    subject, instant, limits = rollout_code(row), world.cutoff(day), load_thresholds().gates
    if row["model_name"] == DEMAND:
        details: dict[str, Any] = {"delta_versions": world.data_versions(), "model_digest": row["model_digest"]}
        verdict = judge_challenger(scores, subject=subject, as_of=day, limits=limits, details=details)
        decision, reason, decisions = verdict.decision, verdict.reason, list(verdict.decisions)
        if decision == "promote" and champion_at(before, instant, DEMAND) is not None:
            _challenge(world, day, row, decisions, before, result)
            return
    else:
        decision, reason, decisions = judge_lead_time(scores, subject, day, limits)
    added = promotion_rows(before, decision=decision, reason=reason, instant=instant, **row)
    result.add(decisions, added, instant, f"{subject}: {decision}, {reason}")


def judge_registered(
    world: World, day: date, trained: Any, ref: Any, instant: datetime, recipe: Callable[[date], Any]
) -> str:
    """Judge a demand version that a person registered on quality and cost, and keep the verdicts for whoever wants to promote it.

    As in the nights, cost is judged where quality passed and a champion is live. It climbs no further by itself.

    Args:
        world: handles.
        day: newest night; its champion is the one to beat.
        trained: the model with its backtest.
        ref: the registered version.
        instant: from when the verdicts are known.
        recipe: trains as the version was trained, on what was known on a day.

    Returns:
        What was decided and why, in plain words.
    """
    from aios_assets.assets.glue_cards import said_of
    from aios_assets.assets.glue_training import backtest_scores
    from ml.promotion.deployments import champion_at
    from ml.promotion.judge import judge_challenger
    from monitoring.gates import load_thresholds

    scores = backtest_scores(world, day + timedelta(days=1), trained, ref)
    details: dict[str, Any] = {"delta_versions": world.data_versions(), "model_digest": ref.digest}
    row = {"model_name": DEMAND, "model_version": ref.version, "model_digest": ref.digest}
    subject, limits = rollout_code(row), load_thresholds().gates
    verdict = judge_challenger(scores, subject=subject, as_of=day, limits=limits, details=details)
    decisions, said = list(verdict.decisions), f"{verdict.decision}: {verdict.reason}"
    if verdict.decision == "promote" and champion_at(world.lake.read("mon_deployments"), instant, DEMAND) is not None:
        trials, costs = _judged_cost(world, day, row, recipe)
        world.lake.write(MON_COST_TRIALS, trials.with_columns(pl.lit(instant).cast(INSTANT).alias("available_at_utc")))
        saved = "; ".join(d.reason for d in costs if d.gate_code == "promote_cost")
        dear = "; ".join(f"{d.gate_code} failed: {d.reason}" for d in costs if not d.is_passed)
        decisions, said = decisions + costs, f"reject: {dear}" if dear else f"promote: {saved}"
    world.lake.write(MON_PROMOTION_VERDICTS, verdict_frame(decisions, available_at_utc=instant))
    world.tracking.attach(ref, {}, {"gates": said_of(decisions)})
    return said


def _judged_cost(
    world: World, day: date, row: dict[str, Any], recipe: Callable[[date], Any] | None = None
) -> tuple[pl.DataFrame, list[GateDecision]]:
    """The cost trial of a challenger, and what its gates say of it; arguments as of `cost_trial`."""
    from monitoring.gates import load_thresholds

    limits, subject = load_thresholds(), rollout_code(row)
    trials, evidence = cost_trial(world, day, row, recipe)
    judged = [limits.judge(gate, found, subject=subject, as_of=day) for gate, found in sorted(evidence.items())]
    return trials, judged


def _challenge(
    world: World, day: date, row: dict[str, Any], quality: list[GateDecision], before: pl.DataFrame, result: Judged
) -> None:
    """The second rung: the cost trial. Who passed it waits for the others of the night, see `_settle_passed`."""
    from ml.promotion.ladder import climb

    subject, instant = rollout_code(row), world.cutoff(day)
    trials, judged = _judged_cost(world, day, row)
    moved = climb(before, verdicts=[*quality, *judged], nights_on_rung=0, instant=instant, **row)
    result.trials = pl.concat([result.trials, trials])
    if moved.rung == "shadow":
        result.passed.append((row, [*quality, *judged], moved))
        return
    result.add([*quality, *judged], moved.deployments, instant, f"{subject}: {moved.rung}, {moved.reason}")


def _settle_passed(before: pl.DataFrame, instant: datetime, result: Judged) -> None:
    """Of the versions of a model that passed on this night one begins its shadow nights, and an older climb ends; the others are refused."""
    from ml.promotion.deployments import promotion_rows
    from ml.promotion.ladder import one_into_shadow, supersede

    for model in sorted({row["model_name"] for row, _, _ in result.passed}):
        mine = {
            row["model_version"]: (row, said, moved) for row, said, moved in result.passed if row["model_name"] == model
        }
        first, refused = one_into_shadow({version: said for version, (_, said, _) in mine.items()})
        for version, (row, said, moved) in mine.items():
            if version == first:
                ended = supersede(before, model_name=model, newer=version, instant=instant)
                rows, words = pl.concat([ended, moved.deployments]), f"{moved.rung}, {moved.reason}"
            else:
                rows = promotion_rows(before, decision="reject", reason=refused[version], instant=instant, **row)
                words = f"rejected, {refused[version]}"
            result.add(said, rows, instant, f"{rollout_code(row)}: {words}")


def _climb_on(world: World, day: date, model: str, before: pl.DataFrame, result: Judged) -> None:
    """The later rungs: one night more in shadow or canary for whoever is there and was not superseded tonight."""
    from ml.promotion.deployments import live_at
    from ml.promotion.ladder import climb, steps_for
    from ml.promotion.rollback import tick
    from monitoring.gates import load_thresholds

    instant = world.cutoff(day)
    climbing = live_at(before, instant, model).filter(pl.col("alias").is_in(["shadow", "canary"]))
    tonight = result.deployments.filter((pl.col("model_name") == model) & (pl.col("alias") == "shadow"))
    if climbing.is_empty() or tonight.height:
        return
    live = climbing.row(0, named=True)
    row = {key: live[key] for key in ("model_name", "model_version", "model_digest")}
    nights = (day - began_on(world, live)).days
    limits, subject = load_thresholds(), rollout_code(row)
    if live["alias"] == "shadow":
        evidence, nights = shadow_evidence(world, day, live)
        decisions = [limits.judge(gate, found, subject=subject, as_of=day) for gate, found in sorted(evidence.items())]
    else:
        decisions = list(watched(world, day, model, limits.gates))
        nights = min(nights, canary_nights(world, live, day))
    details = {"rung": live["alias"], "nights_on_rung": nights, "delta_versions": world.data_versions()}
    decisions = [_with_details(d, details) for d in decisions]
    back = tick(before, tuple(decisions), model_name=model, instant=instant) if live["alias"] == "canary" else None
    if back is not None and back.rolled_back:
        result.incidents = pl.concat([result.incidents, back.incident])
        result.add(decisions, back.deployments, instant, f"{subject}: rolled back, {back.incident['reason'][0]}")
        return
    units = units_of_network(world, day)
    moved = climb(
        before, verdicts=decisions, nights_on_rung=nights, instant=instant, steps=steps_for(units.height), **row
    )
    for step in moved.deployments.filter((pl.col("alias") == "canary") & (pl.col("share_frac") > 0)).to_dicts():
        earlier = live if live["alias"] == "canary" else None
        result.units = pl.concat([result.units, assign(world, day, step, earlier, units)])
    result.add(decisions, moved.deployments, instant, f"{subject}: {moved.rung}, {moved.reason}")


def canary_nights(world: World, live: dict[str, Any], day: date) -> int:
    """Nights before `day` whose plans the canary's present share shaped: of a model, those with forecasts that name it."""
    since = began_on(world, live)
    if live["model_name"] != DEMAND:
        nights = pl.col("as_of_date").is_between(since, day, closed="left")
        return int(world.lake.read("rec_decisions", columns=["as_of_date"], where=nights)["as_of_date"].n_unique())
    mine = (pl.col("model_version") == live["model_version"]) & pl.col("origin_date").is_between(
        since, day, closed="left"
    )
    return int(world.lake.read("pred_demand__28d", columns=["origin_date"], where=mine)["origin_date"].n_unique())


def _with_details(decision: GateDecision, details: dict[str, Any]) -> GateDecision:
    from dataclasses import replace

    return replace(decision, evidence={**decision.evidence, **details})


def judge_lead_time(scores: pl.DataFrame, subject: str, day: date, limits: Any) -> tuple[Any, str, list[GateDecision]]:
    """Judge a lead-time version: its pinball loss must not exceed the grouped-quantile baseline's."""
    by_role = {r["role"]: r for r in scores.iter_rows(named=True)}
    mine, naive = by_role.get("challenger"), by_role.get("naive")
    evidence = None
    if mine is not None and naive is not None and naive["pinball_sum_ea"] > 0:
        evidence = Evidence(mine["pinball_sum_ea"] / naive["pinball_sum_ea"], int(mine["rows"]), mine["newest_date"])
    verdict = judge(limits["promote_lead_time"], evidence, subject=subject, as_of=day)
    return ("promote" if verdict.is_passed else "reject"), verdict.reason, [verdict]
