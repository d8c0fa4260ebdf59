"""A run of Dagster and the home it writes to: one run at a time, on a day that has begun, and an end for runs without a process.

`aios run` takes the night's lock before its run is made. A run that Dagster's pages, a schedule or a sensor started takes the
same lock when its resources are made, and keeps it until the last step is done: all steps are in one process. The kernel frees
the lock when that process dies. With a process per step (an executor of somebody's own) each step takes it for itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from dagster import DagsterRunStatus

from aios_assets.contracts.errors import RefusedError
from aios_assets.resources.locks import NIGHT_LOCK, file_lock, holder_of, is_held, is_held_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dagster import DagsterInstance, DagsterRun

# Tag of runs that hold the night's lock for as long as they live. Its value is the run's own id: Dagster copies tags to the runs
# that take up or repeat another.
UNDER_LOCK = "aios/under_lock"
RELEASED = "released"
# Set by Dagster on every run that its own daemon started.
BY_DAEMON = ".dagster/grpc_info"
NO_RETRY = {"dagster/max_retries": "0"}
ALIVE = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
# What Dagster calls a run of assets that were chosen on its pages.
CHOSEN_ASSETS = "__ASSET_JOB"


def days_asked(tags: Mapping[str, str]) -> tuple[date, date] | None:
    """First and last business day that a run's tags name; None where it has no partition.

    >>> days_asked({"dagster/partition": "2026-01-14"})
    (datetime.date(2026, 1, 14), datetime.date(2026, 1, 14))
    """
    one = tags.get("dagster/partition")
    first = tags.get("dagster/asset_partition_range_start", one)
    last = tags.get("dagster/asset_partition_range_end", one)
    return (date.fromisoformat(first), date.fromisoformat(last)) if first and last else None


def purpose_of(run: DagsterRun) -> str:
    """What a run does, for whoever waits for it."""
    what = "chosen assets" if run.job_name.startswith(CHOSEN_ASSETS) else f"job {run.job_name}"
    days = days_asked(run.tags)
    when = f" of {days[0]}" if days else ""
    until = f" to {days[1]}" if days and days[0] != days[1] else ""
    return f"run {what}{when}{until}, Dagster's run {run.run_id[:8]}"


def refuse_days_to_come(tags: Mapping[str, str], newest: date | None) -> None:
    """Refuse a run for a day on which nothing can have happened yet.

    Args:
        tags: the run's tags.
        newest: newest day there is; None where the calendar of Dagster's partitions says it already.

    Raises:
        RefusedError: names both days.

    >>> refuse_days_to_come({"dagster/partition": "2026-01-14"}, date(2026, 1, 14))
    """
    days = days_asked(tags)
    if newest is not None and days is not None and days[1] > newest:
        raise RefusedError(
            f"{days[1]} lies after {newest}, the newest business day of the sandbox",
            todo=f"choose {newest} or an earlier day, or let days pass with `aios run --days 1`",
        )


@contextmanager
def under_lock(
    home: Path, run: DagsterRun, instance: DagsterInstance, say: Callable[[str], object], wait_s: float
) -> Iterator[None]:
    """Hold the night's lock of `home` for this run, unless this process holds it already.

    Args:
        home: folder of the lake.
        run: the run that wants it.
        instance: Dagster's instance, where runs whose process is gone are ended.
        say: takes a line for the person who watches the run.
        wait_s: seconds to wait for another run or command.

    Raises:
        BusyError: it was not free in that time; names who holds it.
    """
    path = home / NIGHT_LOCK
    if is_held_here(path):
        yield
        return
    if is_held(path):
        say(f"waiting up to {wait_s:.0f} s for {holder_of(path)}")
    with file_lock(path, purpose_of(run), timeout_s=wait_s):
        instance.add_run_tags(run.run_id, {UNDER_LOCK: run.run_id})
        ended = end_killed_runs(instance, but=run.run_id)
        if ended:
            say(f"ended {ended} run(s) whose process was killed")
        try:
            yield
        finally:
            # Dagster notes the end of the run a moment after the lock is free: nobody may take it for killed in between.
            instance.add_run_tags(run.run_id, {UNDER_LOCK: RELEASED})


def killed_runs(instance: DagsterInstance, *, but: str = "") -> list[DagsterRun]:
    """Runs that took the night's lock and count as running; whoever holds that lock knows that they have no process any more.

    Args:
        instance: Dagster's instance.
        but: id of the run that asks.
    """
    from dagster import RunsFilter

    alive = instance.get_runs(RunsFilter(statuses=ALIVE))
    return [run for run in alive if run.run_id != but and _had_the_lock(run)]


def _had_the_lock(run: DagsterRun) -> bool:
    value = run.tags.get(UNDER_LOCK)
    # Homes made before hold `true`, which runs that repeat another copied.
    return value == run.run_id or (value == "true" and BY_DAEMON not in run.tags)


def end_killed_runs(instance: DagsterInstance, *, but: str = "") -> int:
    """End every run that was killed and give back all places in the pools; else later runs would wait for them for ever.

    Only for a caller that holds the night's lock: no other run is inside a step. A killed run whose end Dagster noticed itself
    counts as failed and holds its places all the same.

    Args:
        instance: Dagster's instance.
        but: id of the run that asks.

    Returns:
        How many runs were ended.
    """
    killed = killed_runs(instance, but=but)
    for run in killed:
        instance.report_run_canceled(
            run, message="the process was killed before the run ended; the next run takes up its work"
        )
    _free_places(instance, but)
    return len(killed)


def _free_places(instance: DagsterInstance, but: str) -> None:
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    pools = [storage.get_concurrency_info(key) for key in sorted(storage.get_concurrency_keys())]
    holders = {run_id for pool in pools for run_id in (*pool.active_run_ids, *pool.pending_run_ids)}
    for run_id in sorted(holders - {but}):
        storage.free_concurrency_slots_for_run(run_id)
