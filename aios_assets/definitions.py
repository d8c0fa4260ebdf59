"""The Dagster code location: assembly only. Run `dagster dev -w workspace.yaml`, or `aios ui`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aios_assets.settings import Settings, check_variables, quiet_libraries

quiet_libraries()

from dagster import Definitions, in_process_executor, load_assets_from_modules  # noqa: E402 - telemetry is off before any library loads

from aios_assets.assets import (  # noqa: E402
    s1_ingest_documents,
    s1_ingest_edi,
    s1_ingest_master,
    s1_ingest_telemetry,
    s2_curate,
    s3_features,
    s4_train,
    s5_promote,
    s6_score,
    s7_recommend,
    s7_shadow,
    s8_monitor,
)
from aios_assets.automation.jobs import decide, nightly, retrain  # noqa: E402
from aios_assets.automation.progress import progress_logger  # noqa: E402
from aios_assets.automation.schedules import nightly_schedule  # noqa: E402
from aios_assets.automation.sensors import inbox_sensor, killed_runs_sensor, retrain_sensor, rollback_sensor  # noqa: E402
from aios_assets.checks import ALL_CHECKS  # noqa: E402
from aios_assets.resources.dbt import dbt_resource  # noqa: E402
from aios_assets.resources.handles import world_of  # noqa: E402

STAGES = [
    s1_ingest_documents,
    s1_ingest_edi,
    s1_ingest_telemetry,
    s1_ingest_master,
    s2_curate,
    s3_features,
    s4_train,
    s5_promote,
    s6_score,
    s7_recommend,
    s7_shadow,
    s8_monitor,
]


def build_defs(settings: Settings, overrides: Mapping[str, Any] | None = None) -> Definitions:
    """Assemble the code location.

    Args:
        settings: all settings.
        overrides: resources that replace the usual ones, for tests.
    """
    dbt = dbt_resource(settings.home.resolve(), count_tests_of=settings.count_tests_of, currency=settings.currency)
    resources: dict[str, Any] = {"world": world_of(settings), "dbt": dbt}
    return Definitions(
        assets=load_assets_from_modules(STAGES),
        asset_checks=ALL_CHECKS,
        jobs=[nightly, decide, retrain],
        schedules=[nightly_schedule],
        sensors=[inbox_sensor, retrain_sensor, rollback_sensor, killed_runs_sensor],
        resources=resources | dict(overrides or {}),
        executor=in_process_executor,  # also of assets chosen on a page: one process holds the night's lock for all steps
        loggers={"progress": progress_logger},
    )


check_variables(os.environ)
defs = build_defs(Settings())
