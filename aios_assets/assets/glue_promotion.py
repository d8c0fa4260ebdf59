"""Who is champion after a day: versions trained by then and not judged yet meet the gates, oldest first."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS, MON_PROMOTION_VERDICTS
from aios_assets.contracts.gates import verdict_frame
from aios_assets.resources.handles import World


@dataclass(slots=True)
class Judged:
    """What a day's judging adds: verdicts, deployments, and the reasons in words."""

    verdicts: pl.DataFrame = field(default_factory=MON_PROMOTION_VERDICTS.empty)
    deployments: pl.DataFrame = field(default_factory=MON_DEPLOYMENTS.empty)
    reasons: list[str] = field(default_factory=list)


def judge_day(world: World, day: date) -> Judged:
    """Judge what was trained on `day`, write verdicts and deployments, move the alias in the registry.

    The alias follows the table and not the other way round: after a crash between the two, the next run moves it again.
    """
    result = Judged()
    scores = world.lake.read("mon_backtest_scores", where=pl.col("trained_on_date") == day)
    for model, version, digest in _trained(scores):
        mine = scores.filter((pl.col("model_name") == model) & (pl.col("model_version") == version))
        _judge_one(world, day, model, version, digest, mine, result)
    world.lake.write(MON_PROMOTION_VERDICTS, result.verdicts)
    world.lake.write(MON_DEPLOYMENTS, result.deployments)
    for name in sorted(set(scores["model_name"].to_list())):
        world.follow_deployment(name, day)
    return result


def _trained(scores: pl.DataFrame) -> list[tuple[str, str, str]]:
    rows = scores.select("model_name", "model_version", "model_digest").unique().sort("model_name", "model_version")
    return list(rows.iter_rows())


def _judge_one(
    world: World, day: date, model: str, version: str, digest: str, scores: pl.DataFrame, result: Judged
) -> None:
    from ml.promotion.deployments import promotion_rows
    from ml.promotion.judge import judge_challenger
    from monitoring.gates import load_thresholds

    subject, instant = f"{model}:{version}", world.cutoff(day)
    limits = load_thresholds().gates
    details: dict[str, Any] = {"delta_versions": world.data_versions(), "model_digest": digest}
    if model == "demand":
        verdict = judge_challenger(scores, subject=subject, as_of=day, limits=limits, details=details)
        decision, reason, decisions = verdict.decision, verdict.reason, verdict.decisions
    else:
        decision, reason, decisions = judge_lead_time(scores, subject, day, limits)
    rows = verdict_frame(decisions, available_at_utc=instant)
    deployments = world.lake.read("mon_deployments")
    added = promotion_rows(
        deployments,
        decision=decision,
        model_name=model,
        model_version=version,
        model_digest=digest,
        reason=reason,
        instant=instant,
    )
    result.verdicts = pl.concat([result.verdicts, rows])
    result.deployments = pl.concat([result.deployments, added])
    result.reasons.append(f"{subject}: {decision}, {reason}")


def judge_lead_time(scores: pl.DataFrame, subject: str, day: date, limits: Any) -> tuple[Any, str, Any]:
    """Judge a lead-time version: its pinball loss must not exceed the grouped-quantile baseline's."""
    from aios_assets.contracts.gates import Evidence, judge

    by_role = {r["role"]: r for r in scores.iter_rows(named=True)}
    mine, naive = by_role.get("challenger"), by_role.get("naive")
    evidence = None
    if mine is not None and naive is not None and naive["pinball_sum_ea"] > 0:
        evidence = Evidence(mine["pinball_sum_ea"] / naive["pinball_sum_ea"], int(mine["rows"]), mine["newest_date"])
    verdict = judge(limits["promote_lead_time"], evidence, subject=subject, as_of=day)
    return ("promote" if verdict.is_passed else "reject"), verdict.reason, (verdict,)
