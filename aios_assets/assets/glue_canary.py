"""The canary: who is in it, how it serves against its control, and the way back within one tick."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aios_assets.assets.glue_monitoring import BASELINE_DAYS, current_demand
from aios_assets.assets.glue_rollout import (
    SUBJECTS,
    align_aliases,
    canary_assignment,
    live_row,
    next_instant,
    rollout_code,
)
from aios_assets.contracts.decision_tables import MON_CANARY_UNITS, MON_DEPLOYMENTS, MON_FINDINGS
from aios_assets.contracts.errors import AiosError
from aios_assets.contracts.gates import GateDecision
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

STRATA_DAYS = 182
BEFORE_DAYS = 28
GUARD_NIGHTS = 7
KEYS = ["item_id", "site_id"]


def units_of_network(world: World, day: date) -> pl.DataFrame:
    """Every item × site that sold or reported within half a year, with its ABC/XYZ stratum."""
    from ml.promotion.canary import strata

    demand = current_demand(world, day, STRATA_DAYS)
    prices = as_known.items_as_known(world.lake, world.cutoff(day)).select("item_id", "unit_price_usd")
    return (
        strata(demand, prices)
        if demand.height
        else pl.DataFrame(schema={"item_id": pl.String, "site_id": pl.String, "stratum": pl.String})
    )


def assign(
    world: World, day: date, row: dict[str, Any], before: dict[str, Any] | None, units: pl.DataFrame
) -> pl.DataFrame:
    """Rows of `mon_canary_units` for a share that begins tonight; whoever was in stays in.

    Args:
        world: handles.
        day: tonight.
        row: the canary's new row of `mon_deployments`.
        before: its row at the share before, or None.
        units: from `units_of_network`.
    """
    from ml.promotion.canary import assign_canary

    code = rollout_code(row)
    previous = canary_assignment(world, before) if before is not None else None
    rows = assign_canary(units, float(row["share_frac"]), rollout=code, previous=previous)
    instant = pl.lit(row["valid_from_utc"]).cast(pl.Datetime("us", "UTC"))
    return rows.with_columns(
        pl.lit(code).alias("rollout_code"), pl.lit(float(row["share_frac"])).alias("share_frac"),
        instant.alias("valid_from_utc"), instant.alias("available_at_utc"),
    ).select(MON_CANARY_UNITS.names)  # fmt: skip


def began_on(world: World, row: dict[str, Any]) -> date:
    """Business day at whose close a row of `mon_deployments` took hold."""
    return world.business_day_of(row["valid_from_utc"])


def expedite_premiums(world: World, first: date, last: date) -> pl.DataFrame:
    """Premiums of the orders hurried by the nights whose plans were carried out from `first` to `last`."""
    nights = pl.col("as_of_date").is_between(first - timedelta(days=1), last - timedelta(days=1))
    rows = world.lake.read(
        "rec_decisions", columns=[*KEYS, "order_cost_usd"], where=nights & (pl.col("decision_code") == "expedite")
    )
    return rows.rename({"order_cost_usd": "expedite_cost_usd"})


def service(world: World, day: date, assignment: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """`unit_service` of a stretch, as known at the cut-off of `day`."""
    from monitoring.kpis import unit_service

    demand = current_demand(world, day, (day - first).days + 84 + BASELINE_DAYS)
    return unit_service(demand, assignment, first=first, last=last, expedite=expedite_premiums(world, first, last))


def canary_service(world: World, day: date, row: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sums per unit since the present share began, and over four weeks before the rollout's canary began.

    Raises:
        RefusedError: nobody was assigned.
    """
    units, since = canary_assignment(world, row), began_on(world, row)
    mine = (pl.col("rollout_code") == rollout_code(row)) & pl.col("is_canary")
    begun = world.lake.read("mon_canary_units", columns=["valid_from_utc"], where=mine)["valid_from_utc"].min()
    first = world.business_day_of(begun) if isinstance(begun, datetime) else since
    during = service(world, day, units, since + timedelta(days=1), day)
    return during, service(world, day, units, first - timedelta(days=BEFORE_DAYS - 1), first)


def canary_decisions(world: World, day: date, row: dict[str, Any], limits: Any) -> tuple[GateDecision, ...]:
    """One verdict per business KPI on the live canary; what cannot be judged is refused."""
    from ml.promotion.rollback import judge_kpis

    try:
        during, before = canary_service(world, day, row)
    except AiosError:
        during, before = pl.DataFrame(), None
    newest = day if during.height else None
    return judge_kpis(during, before, subject=rollout_code(row), as_of=day, newest=newest, limits=limits)


def guard_decisions(world: World, day: date, row: dict[str, Any], limits: Any) -> tuple[GateDecision, ...]:
    """One verdict per business KPI on a champion promoted within the last nights.

    No control share is left: the network is compared with itself over the weeks before the change.
    """
    from ml.promotion.rollback import judge_kpis

    since = began_on(world, row)
    units = units_of_network(world, day).select(KEYS)
    after = service(world, day, units.with_columns(pl.lit(True).alias("is_canary")), since + timedelta(days=1), day)
    prior = service(world, day, units.with_columns(pl.lit(False).alias("is_canary")), since - timedelta(days=BEFORE_DAYS - 1), since)  # fmt: skip
    both = pl.concat([after, prior])
    return judge_kpis(
        both, None, subject=rollout_code(row), as_of=day, newest=day if after.height else None, limits=limits
    )


def watched(world: World, day: date, model: str, limits: Any) -> tuple[GateDecision, ...]:
    """Tonight's KPI verdicts on what a rollout of `model` changed lately; none when nothing did.

    The canary while there is one; else the champion for `GUARD_NIGHTS` after it was promoted over an earlier one.
    """
    from ml.promotion.deployments import previous_champion

    row = live_row(world, model, "canary", day)
    if row is not None:
        return canary_decisions(world, day, row, limits) if began_on(world, row) < day else ()
    champion = live_row(world, model, "champion", day)
    if champion is None or champion["verdict"] != "promote":
        return ()
    nights = (day - began_on(world, champion)).days
    if not 1 <= nights <= GUARD_NIGHTS or previous_champion(world.lake.read("mon_deployments"), model) is None:
        return ()
    return guard_decisions(world, day, champion, limits)


@dataclass(frozen=True, slots=True)
class Tock:
    """What one tick of the rollback sensor did to one model.

    Attributes:
        model: model or policy.
        rolled_back: whether an alias moved.
        frozen: whether the canary must not grow.
        reason: plain words.
        aliases: what the registry's aliases point to afterwards.
    """

    model: str
    rolled_back: bool
    frozen: bool
    reason: str
    aliases: dict[str, str]


def newest_scored_day(world: World) -> date | None:
    """Newest day whose forecasts are written: the newest night."""
    found = world.lake.scan("pred_demand__28d").select(pl.col("origin_date").max()).collect().item()
    return found if isinstance(found, date) else None


def tick_all(world: World, now: datetime) -> list[Tock]:
    """One tick: judge what every rollout does to service, and go back at once where it breaks.

    Order: the record first, then the alias, then the incident, all within the tick; a tick that was cut short is finished by
    the next, because aliases follow the record and an incident is written once.
    """
    from ml.promotion.rollback import tick
    from monitoring.gates import load_thresholds

    day = newest_scored_day(world)
    if day is None:
        return []
    done = []
    for model in SUBJECTS:
        deployments = world.lake.read("mon_deployments")
        instant = next_instant(world, day, deployments, model, now)
        if _ended_since(deployments, model, world.cutoff(day)):
            align_aliases(world, model, instant)
            continue
        decisions = watched(world, day, model, load_thresholds().gates)
        if not decisions:
            continue
        result = tick(deployments, decisions, model_name=model, instant=instant)
        if result.rolled_back:
            world.lake.write(MON_DEPLOYMENTS, result.deployments)
            world.lake.write(MON_FINDINGS, result.incident)
        aliases = align_aliases(world, model, instant)
        said = "; ".join(f"{d.gate_code} {d.reason}" for d in decisions)
        done.append(Tock(model, result.rolled_back, result.canary_frozen, said, aliases))
    return done


def _ended_since(deployments: pl.DataFrame, model: str, instant: datetime) -> bool:
    """Whether a rollback was recorded after the newest night: it holds, and the same evidence is not judged again."""
    mine = (pl.col("model_name") == model) & (pl.col("verdict") == "rollback")
    return bool(deployments.filter(mine & (pl.col("valid_from_utc") > instant)).height)
