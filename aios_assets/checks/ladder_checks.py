"""The ladder of evidence as asset checks: one per rung, read from the verdicts that the night stored. They warn; the champion answers on.

A rung that somebody stood on without a verdict stored fails: nothing climbs, and nothing passes, on evidence that is missing.
"""

from datetime import date
from typing import Any

import polars as pl
from dagster import AssetCheckExecutionContext, AssetCheckResult, AssetChecksDefinition, AssetCheckSeverity, asset_check

from aios_assets.resources.handles import World

RUNGS = {
    "quality": "No worse than the champion and seasonal naive, no demand class beyond its limit, calibrated, unbiased.",
    "cost": "Cheaper on the network's own weeks with common random numbers, even by the upper bound; service stays fair.",
    "shadow": "Shadow nights: plans written and never executed stray no further than allowed.",
    "canary": "Canary against control: fill rate, stock-outs, expedite cost.",
}
SHOWN = ["subject", "gate_code", "metric", "value", "threshold", "is_passed", "reason"]


def rung_verdicts(world: World, day: date, rung: str) -> pl.DataFrame:
    """Verdicts of one rung stored on `day`."""
    from ml.promotion.ladder import RUNG_OF_GATE

    gates = [gate for gate, of in RUNG_OF_GATE.items() if of == rung]
    return world.lake.read(
        "mon_promotion_verdicts", where=(pl.col("verdict_date") == day) & pl.col("gate_code").is_in(gates)
    )


def standing(world: World, day: date, rung: str) -> list[str]:
    """Who needed a verdict of this rung tonight: versions trained today (quality), or in shadow or canary before tonight."""
    if rung == "quality":
        rows = world.lake.read(
            "mon_backtest_scores", columns=["model_name", "model_version"], where=pl.col("trained_on_date") == day
        )
        return sorted({f"{m}:{v}" for m, v in rows.iter_rows()})
    if rung == "cost":
        return sorted({s for s in _passed_quality(world, day) if _had_champion(world, day, s.split(":")[0])})
    from ml.promotion.deployments import live_at

    before = world.lake.read("mon_deployments", where=pl.col("valid_from_utc") < world.cutoff(day))
    live = live_at(before, world.cutoff(day)).filter(pl.col("alias") == rung)
    ended = _superseded(world, day)
    return sorted({f"{r['model_name']}:{r['model_version']}" for r in live.iter_rows(named=True)} - ended)


def _passed_quality(world: World, day: date) -> list[str]:
    rows = rung_verdicts(world, day, "quality").group_by("subject").agg(pl.col("is_passed").all())
    return rows.filter(pl.col("is_passed") & pl.col("subject").str.starts_with("demand:"))["subject"].to_list()


def _had_champion(world: World, day: date, model: str) -> bool:
    from ml.promotion.deployments import champion_at

    before = world.lake.read("mon_deployments", where=pl.col("valid_from_utc") < world.cutoff(day))
    return champion_at(before, world.cutoff(day), model) is not None


def _superseded(world: World, day: date) -> set[str]:
    """Versions whose climb a newer one ended tonight: they are not judged any more."""
    tonight = (pl.col("valid_from_utc") == world.cutoff(day)) & (pl.col("verdict") == "reject")
    rows = world.lake.read("mon_deployments", columns=["model_name", "model_version"], where=tonight)
    judged = world.lake.read("mon_promotion_verdicts", columns=["subject"], where=pl.col("verdict_date") == day)
    return {f"{m}:{v}" for m, v in rows.iter_rows()} - set(judged["subject"].to_list())


def judge_rung(verdicts: pl.DataFrame, needed: list[str]) -> tuple[bool, dict[str, Any]]:
    """Whether a rung's check passes, and its evidence: every stored verdict passed, and nobody lacks one."""
    missing = sorted(set(needed) - set(verdicts["subject"].to_list()))
    rows = verdicts.sort("subject", "gate_code").select(SHOWN).to_dicts()
    said = "nobody stood on this rung tonight" if not rows and not missing else ""
    metadata = {"evidence": rows, "without_evidence": missing} | ({"note": said} if said else {})
    return not missing and bool(verdicts["is_passed"].all()), metadata


def _check(rung: str, what: str) -> AssetChecksDefinition:
    @asset_check(
        asset="mon_promotion_verdicts",
        name=f"ladder_{rung}",
        description=what,
        additional_deps=["mon_deployments"],
    )
    def check(context: AssetCheckExecutionContext, world: World) -> AssetCheckResult:
        from aios_assets.assets.describe import plain

        days = sorted(date.fromisoformat(key) for key in context.partition_keys)
        found = [judge_rung(rung_verdicts(world, day, rung), standing(world, day, rung)) for day in days]
        return AssetCheckResult(
            passed=all(passed for passed, _ in found),
            severity=AssetCheckSeverity.WARN,
            metadata=plain({day.isoformat(): metadata for day, (_, metadata) in zip(days, found, strict=True)}),
        )

    return check


LADDER_CHECKS = [_check(rung, what) for rung, what in RUNGS.items()]
