"""When the night runs: at the cut-off in the business time zone, once the day's knowledge is closed."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from dagster import DefaultScheduleStatus, RunRequest, ScheduleEvaluationContext, schedule

from aios_assets.automation.jobs import nightly
from aios_assets.automation.partitions import BUSINESS_TZ, CUTOFF
from aios_assets.resources.handles import World


@schedule(
    job=nightly,
    name="nightly_at_cutoff",
    cron_schedule=f"{CUTOFF.minute} {CUTOFF.hour} * * *",
    execution_timezone=BUSINESS_TZ,
    default_status=DefaultScheduleStatus.STOPPED,
    description="Starts the night of the day that was just closed (AIOS_CUTOFF); in the sandbox, of its newest day.",
)
def nightly_schedule(context: ScheduleEvaluationContext, world: World) -> RunRequest:
    """Ask for the business day before the tick; the same day asked twice starts one run."""
    day = world.newest_sandbox_day() or _day_before(context)
    return RunRequest(run_key=f"night-{day}", partition_key=day.isoformat())


def _day_before(context: ScheduleEvaluationContext) -> date:
    return context.scheduled_execution_time.astimezone(ZoneInfo(BUSINESS_TZ)).date() - timedelta(days=1)
