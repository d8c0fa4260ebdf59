"""A killed run must not hold the pools of those that come after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus

from aios_assets.night import DAGSTER_YAML
from aios_assets.resources.one_run import end_killed_runs

# A job whose only step sits in a pool and never ends, run in process as the night is.
ENDLESS = """
import sys, time
from dagster import DagsterInstance, job, op
from aios_assets.resources.one_run import UNDER_LOCK

@op(pool="dbt")
def wait():
    print("inside", flush=True)
    time.sleep(600)

@job(tags={UNDER_LOCK: "true"})
def endless():
    wait()

endless.execute_in_process(instance=DagsterInstance.get())
"""


def test_a_killed_run_gives_back_its_place_in_the_pool(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML)
    environment = dict(os.environ) | {"DAGSTER_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "inside\n"
        child.send_signal(signal.SIGKILL)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        (run,) = instance.get_runs()
        assert run.status == DagsterRunStatus.STARTED  # nobody told Dagster that it is gone
        assert instance.event_log_storage.get_concurrency_info("dbt").active_slot_count == 1
        assert end_killed_runs(instance) == 1
        assert instance.event_log_storage.get_concurrency_info("dbt").active_slot_count == 0
        assert [r.status for r in instance.get_runs()] == [DagsterRunStatus.CANCELED]
        assert end_killed_runs(instance) == 0
