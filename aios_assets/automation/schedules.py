"""When the night runs: 02:00 in the business time zone, once the day's knowledge is closed."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from dagster import DefaultScheduleStatus, RunRequest, ScheduleEvaluationContext, schedule

from aios_assets.automation.jobs import nightly
from aios_assets.automation.partitions import BUSINESS_TZ


@schedule(
    job=nightly,
    name="nightly_at_cutoff",
    cron_schedule="0 2 * * *",
    execution_timezone=BUSINESS_TZ,
    default_status=DefaultScheduleStatus.STOPPED,
    description="Starts the night of the day that was just closed. Switch it on in the Dagster UI.",
)
def nightly_schedule(context: ScheduleEvaluationContext) -> RunRequest:
    """Ask for the business day before the tick; the same tick asked twice starts one run."""
    day = (context.scheduled_execution_time.astimezone(ZoneInfo(BUSINESS_TZ)) - timedelta(days=1)).date().isoformat()
    return RunRequest(run_key=f"night-{day}", partition_key=day)
