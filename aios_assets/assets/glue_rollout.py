"""What is live on a day beside the champion: shadow, canary and its units, the policy; and the registry's aliases that follow."""

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aios_assets.contracts.errors import AiosError, IntegrityError, RefusedError
from aios_assets.resources.handles import World

DEMAND, POLICY = "demand", "policy"
SUBJECTS = (DEMAND, POLICY)
ALIASES = ("champion", "shadow", "canary")


def rollout_code(row: dict[str, Any]) -> str:
    """Name of a rollout: model or policy and its version."""
    return f"{row['model_name']}:{row['model_version']}"


def live_row(world: World, model: str, alias: str, day: date, *, before_verdict: bool = False) -> dict[str, Any] | None:
    """The row of `mon_deployments` behind an alias at the cut-off of `day`, or None.

    Args:
        world: handles.
        model: model or policy.
        alias: champion, shadow or canary.
        day: business day.
        before_verdict: as it stood just before that night's own verdicts took hold.
    """
    from ml.promotion.deployments import live_at

    instant = world.cutoff(day) - timedelta(microseconds=1 if before_verdict else 0)
    live = live_at(world.lake.read("mon_deployments"), instant, model).filter(pl.col("alias") == alias)
    return live.row(0, named=True) if live.height else None


def canary_assignment(world: World, row: dict[str, Any]) -> pl.DataFrame:
    """Units of a canary as assigned when its present share began: `item_id, site_id, stratum, draw, is_canary`.

    Raises:
        RefusedError: a canary is live and nobody was assigned to it.
    """
    mine = (pl.col("rollout_code") == rollout_code(row)) & (pl.col("share_frac") == row["share_frac"])
    units = world.lake.read("mon_canary_units", where=mine)
    if units.is_empty():
        raise RefusedError(
            "the canary has no units", where=rollout_code(row), todo="roll back with `aios model rollback`"
        )
    return units.select("item_id", "site_id", "stratum", "draw", "is_canary")


def split_by_canary(
    world: World, model: str, day: date, units: pl.DataFrame
) -> tuple[dict[str, Any] | None, pl.Series]:
    """The live canary of `model` on `day`, and for each row of `units` (item_id, site_id) whether it is served by it.

    A canary without an assignment serves nobody: the champion answers, and the gates of its rung find no evidence.
    """
    row = live_row(world, model, "canary", day)
    nobody = pl.Series([False] * units.height, dtype=pl.Boolean)
    if row is None:
        return None, nobody
    try:
        inside = canary_assignment(world, row).select("item_id", "site_id", "is_canary")
    except RefusedError:
        return None, nobody
    served = units.select("item_id", "site_id").join(
        inside, on=["item_id", "site_id"], how="left", maintain_order="left"
    )
    return row, served["is_canary"].fill_null(False)


def policy_bytes(spec: Any) -> bytes:
    """A planning specification as canonical JSON: the artefact of a policy version."""
    import json
    from dataclasses import asdict

    return json.dumps(asdict(spec), sort_keys=True, separators=(",", ":")).encode()


def policy_of(world: World, row: dict[str, Any]) -> Any:
    """The planning specification of a deployed policy version, verified by digest and signature before it is read.

    Raises:
        AiosError: missing, tampered, or values that cannot be planned with.
    """
    import json

    from planning.inputs import PlanSpec

    try:
        return PlanSpec(**json.loads(world.artifact(row)))
    except (TypeError, ValueError) as error:
        raise IntegrityError("these bytes are no planning specification", where=rollout_code(row)) from error


def champion_policy(world: World, day: date, *, before_verdict: bool = False) -> tuple[Any, str]:
    """The planning specification live on `day` and its name; the one shipped in `planning/policy.yaml` until one is promoted.

    A promoted policy that fails its hash is answered by the shipped one, and the name says so.
    """
    from planning.inputs import load_spec

    row = live_row(world, POLICY, "champion", day, before_verdict=before_verdict)
    if row is None:
        return load_spec(), "planning/policy.yaml"
    try:
        return policy_of(world, row), rollout_code(row)
    except AiosError as why:
        return load_spec(), f"planning/policy.yaml, because {why}"


def next_instant(world: World, day: date, deployments: pl.DataFrame, model: str, now: datetime) -> datetime:
    """From when a decision between nights holds: now, but between the newest night and the one to come, and after the last change.

    The nights that were run keep their answers; a sandbox whose days are not today's is served the same way.

    Args:
        world: handles.
        day: newest night.
        deployments: rows so far.
        model: whose changes count.
        now: what the clock says.
    """
    cutoff, following = world.cutoff(day), world.cutoff(day + timedelta(days=1))
    instant = now if cutoff < now < following else cutoff + timedelta(seconds=1)
    last = deployments.filter(pl.col("model_name") == model)["valid_from_utc"].max()
    return max(instant, last + timedelta(seconds=1)) if isinstance(last, datetime) else instant


def align_aliases(world: World, model: str, instant: datetime) -> dict[str, str]:
    """Let the registry's aliases say what `mon_deployments` says is live at `instant`; returns alias to version.

    The aliases follow the table and not the other way round: after a crash between the two, the next call moves them again.
    """
    from ml.promotion.deployments import live_at

    live = live_at(world.lake.read("mon_deployments"), instant, model)
    wanted = {r["alias"]: str(r["model_version"]) for r in live.iter_rows(named=True) if r["alias"] in ALIASES}
    for alias in ALIASES:
        now = world.tracking.alias_version(model, alias)
        if alias in wanted and now != wanted[alias]:
            world.tracking.set_alias(model, alias, wanted[alias])
        elif alias not in wanted and now:
            world.tracking.delete_alias(model, alias)
    return wanted
