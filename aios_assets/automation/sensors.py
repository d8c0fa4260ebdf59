"""What happens without a schedule: new documents start a run, a request starts training, broken service rolls back at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dagster import (
    DefaultSensorStatus,
    RunConfig,
    RunRequest,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from aios_assets.assets.glue_canary import tick_all
from aios_assets.assets.s4_train import TrainConfig
from aios_assets.automation.jobs import decide, nightly, retrain
from aios_assets.automation.partitions import DAILY
from aios_assets.contracts.errors import BusyError
from aios_assets.resources.clock import now_utc
from aios_assets.resources.handles import World
from aios_assets.resources.locks import NIGHT_LOCK, file_lock, is_held
from aios_assets.resources.one_run import end_killed_runs, killed_runs


@sensor(
    job=nightly,
    name="inbox_sensor",
    minimum_interval_seconds=300,
    description="New documents: runs the open business day (the sandbox's newest) when the inbox holds something not taken yet.",
)
def inbox_sensor(context: SensorEvaluationContext, world: World) -> Iterator[RunRequest | SkipReason]:
    """Ask for one run per state of the inbox: the cursor is the fingerprint of what is waiting."""
    played = world.newest_sandbox_day()
    day = played.isoformat() if played is not None else DAILY.get_last_partition_key()
    if day is None:
        yield SkipReason("no business day is closed yet")
        return
    waiting = world.waiting_documents(day)
    if waiting.count == 0:
        yield SkipReason("the inbox holds nothing new")
    elif waiting.fingerprint == context.cursor:
        yield SkipReason(f"{waiting.count} documents are waiting and a run was asked for already")
    else:
        context.update_cursor(waiting.fingerprint)
        yield RunRequest(run_key=f"inbox-{waiting.fingerprint}", partition_key=day)


@sensor(
    job=retrain,
    name="retrain_sensor",
    minimum_interval_seconds=60,
    description="Starts training once for every request that monitoring wrote; a request is written once per cooldown.",
)
def retrain_sensor(context: SensorEvaluationContext, world: World) -> Iterator[RunRequest | SkipReason]:
    """Ask for one run per request: the request's id is the run key, so that a second look changes nothing."""
    requests = world.lake.read("mon_retrain_requests").sort("request_date", "request_id")
    if requests.is_empty():
        yield SkipReason("nobody asked to retrain")
    for row in requests.iter_rows(named=True):
        config = TrainConfig(force=True, reason=row["reason"])
        yield RunRequest(
            run_key=row["request_id"],
            partition_key=row["request_date"].isoformat(),
            run_config=RunConfig(ops={"train": config}),
        )


@sensor(
    name="rollback_sensor",
    target=decide,
    minimum_interval_seconds=300,
    description="Compares canary and control, and a new champion with the weeks before it; moves the alias back within the tick.",
)
def rollback_sensor(context: SensorEvaluationContext, world: World) -> SkipReason:
    """Judge and act within the tick: waiting for a run would let orders go out on a broken forecast. It starts no run."""
    done = tick_all(world, now_utc())
    for one in done:
        (context.log.warning if one.rolled_back else context.log.info)(f"{one.model}: {one.reason}")
    if not done:
        return SkipReason("no canary runs and no champion is new")
    words = [
        f"{one.model}: {'ROLLED BACK' if one.rolled_back else 'frozen' if one.frozen else 'serves as well as its control'}"
        for one in done
    ]
    return SkipReason("; ".join(words))


@sensor(
    name="killed_runs_sensor",
    target=nightly,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed, so that those that wait can begin. It starts no run.",
)
def killed_runs_sensor(context: SensorEvaluationContext, world: World) -> SkipReason:
    """End what counts as running while nobody holds the night's lock."""
    lock = Path(world.home) / NIGHT_LOCK
    if is_held(lock) or not killed_runs(context.instance):
        return SkipReason("no run was killed")
    try:
        with file_lock(lock, "end runs whose process was killed", timeout_s=0):
            ended = end_killed_runs(context.instance)
    except BusyError as error:
        return SkipReason(f"{error.what}; it ends them itself")
    context.log.warning(f"ended {ended} run(s) whose process was killed")
    return SkipReason(f"ended {ended} run(s) whose process was killed")
