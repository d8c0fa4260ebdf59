"""Runs that Dagster starts take the night's lock: two at once end as one after the other, and a killed one is in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, build_sensor_context, job, op
from dagster._core.errors import DagsterResourceFunctionError

from aios_assets.automation.sensors import killed_runs_sensor
from aios_assets.contracts.errors import BusyError
from aios_assets.night import DAGSTER_YAML, EARLIER_YAML, only_one, prepare_home
from aios_assets.resources.handles import World
from aios_assets.resources.locks import NIGHT_LOCK, file_lock, is_held
from aios_assets.resources.one_run import BY_DAEMON, UNDER_LOCK, end_killed_runs, killed_runs
from aios_assets.settings import Settings

# What Dagster's daemon does for a run that a page asked for, in a process of its own: a run with the lake's handles, whose step
# says that it is inside and waits for the file `go`.
FROM_A_PAGE = """
import sys, time
from pathlib import Path
from dagster import DagsterInstance, job, op, multiprocess_executor, execute_job, reconstructable
from aios_assets.resources.handles import World

HOME = Path(sys.argv[1] if len(sys.argv) > 1 else __import__("os").environ["PAGE_HOME"])

@op(required_resource_keys={"world"}, pool="dbt")
def wait():
    print("inside", flush=True)
    while not (HOME / "go").exists():
        time.sleep(0.05)

@job(resource_defs={"world": World(home=str(HOME), inbox_path=str(HOME / "inbox"))})
def page():
    wait()

if __name__ == "__main__":
    page.execute_in_process(instance=DagsterInstance.get())
"""

# The same with a process for each step, as an executor of somebody's own has them: the steps exclude each other.
MANY = """
from aios_assets.resources.locks import NIGHT_LOCK

@op(required_resource_keys={"world"})
def alone():
    held = HOME / "held"
    assert not held.exists(), "two steps at once"
    held.touch()
    time.sleep(1.0)
    held.unlink()

@job(resource_defs={"world": World(home=str(HOME), inbox_path=str(HOME / "inbox"), lock_wait_s=60)}, executor_def=multiprocess_executor)
def many():
    alone.alias("first")()
    alone.alias("second")()

if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        assert execute_job(reconstructable(many), instance=instance).success
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text(DAGSTER_YAML)
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return tmp_path


@contextmanager
def run_from_a_page(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process whose run is inside its step."""
    with subprocess.Popen(
        [sys.executable, "-c", FROM_A_PAGE, str(home)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == "inside\n"
            yield child
        finally:
            (home / "go").touch()
            child.wait(30)


def world(home: Path, wait_s: float = 0.0) -> World:
    return World(home=str(home), inbox_path=str(home / "inbox"), lock_wait_s=wait_s)


def page_job(home: Path, wait_s: float = 0.0) -> object:
    @op(required_resource_keys={"world"})
    def step() -> bool:
        return is_held(home / NIGHT_LOCK)

    @job(resource_defs={"world": world(home, wait_s)})
    def page() -> None:
        step()

    return page


def test_the_command_line_waits_for_no_run_of_a_page(home: Path) -> None:
    with run_from_a_page(home) as child:
        said = rf"cannot start to run the night: process {child.pid} on .*run job page, Dagster's run .*holds it"
        with pytest.raises(BusyError, match=said), only_one(Settings()):
            raise AssertionError("entered")
    with only_one(Settings()):
        pass
    with DagsterInstance.get() as instance:
        assert [r.status for r in instance.get_runs()] == [DagsterRunStatus.SUCCESS]


def test_a_second_run_of_a_page_is_told_who_holds_the_lock(home: Path) -> None:
    with run_from_a_page(home) as child, DagsterInstance.get() as instance:
        with pytest.raises(DagsterResourceFunctionError) as caught:
            page_job(home).execute_in_process(instance=instance)  # type: ignore[attr-defined]
        assert isinstance(caught.value.user_exception, BusyError)
        assert f"process {child.pid}" in str(caught.value.user_exception)
        assert [r.status for r in instance.get_runs()] == [DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED]


def test_a_second_run_of_a_page_waits(home: Path) -> None:
    with run_from_a_page(home), DagsterInstance.get() as instance:
        (home / "go").touch()
        done = page_job(home, 30).execute_in_process(instance=instance)  # type: ignore[attr-defined]
        assert done.success and done.output_for_node("step")
    with DagsterInstance.get() as instance:
        assert {r.status for r in instance.get_runs()} == {DagsterRunStatus.SUCCESS}
        assert killed_runs(instance) == []


def test_a_run_of_the_command_line_takes_its_lock_once(home: Path) -> None:
    with only_one(Settings()), DagsterInstance.get() as instance:
        done = page_job(home).execute_in_process(instance=instance)  # type: ignore[attr-defined]
    assert done.success and not is_held(home / NIGHT_LOCK)


def test_a_killed_run_of_a_page_is_ended_by_the_next(home: Path) -> None:
    with run_from_a_page(home) as child:
        child.send_signal(signal.SIGKILL)
        child.wait(30)
    with DagsterInstance.get() as instance:
        assert [r.status for r in instance.get_runs()] == [DagsterRunStatus.STARTED]
        assert page_job(home).execute_in_process(instance=instance).success  # type: ignore[attr-defined]
        assert [r.status for r in instance.get_runs()] == [DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED]
        assert instance.event_log_storage.get_concurrency_info("dbt").active_slot_count == 0


def test_a_killed_run_that_dagster_calls_failed_gives_back_its_places(home: Path) -> None:
    with run_from_a_page(home) as child:
        child.send_signal(signal.SIGKILL)
        child.wait(30)
    with DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        instance.report_run_failed(run)  # as the server of the code location does
        assert instance.event_log_storage.get_concurrency_info("dbt").active_slot_count == 1
        assert page_job(home).execute_in_process(instance=instance).success  # type: ignore[attr-defined]
        assert instance.event_log_storage.get_concurrency_info("dbt").active_slot_count == 0


def test_the_sensor_ends_killed_runs_and_only_those(home: Path) -> None:
    with DagsterInstance.get() as instance:

        def tick() -> str:
            with build_sensor_context(instance=instance, resources={"world": world(home)}) as context:
                return str(killed_runs_sensor(context).skip_message)  # type: ignore[union-attr]

        assert tick() == "no run was killed"
        with run_from_a_page(home) as child:
            assert tick() == "no run was killed"
            child.send_signal(signal.SIGKILL)
            child.wait(30)
        with file_lock(home / NIGHT_LOCK, "hold it"):
            assert tick() == "no run was killed"  # whoever holds the lock ends them
        assert tick() == "ended 1 run(s) whose process was killed"
        assert tick() == "no run was killed"


def test_with_a_process_for_each_step_each_takes_the_lock(home: Path) -> None:
    environment = {"PYTHONPATH": str(home), "PAGE_HOME": str(home)}
    (home / "many.py").write_text(FROM_A_PAGE.split("@job")[0] + MANY)
    done = subprocess.run(
        [sys.executable, str(home / "many.py")],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not is_held(home / NIGHT_LOCK)


def test_a_run_that_repeats_another_is_not_taken_for_it(home: Path) -> None:
    @job
    def page() -> None:
        pass

    with DagsterInstance.get() as instance:
        started = DagsterRunStatus.STARTED
        instance.create_run_for_job(page, status=started, tags={UNDER_LOCK: "true", BY_DAEMON: "{}"})
        instance.create_run_for_job(page, status=started, tags={UNDER_LOCK: "the id of the run it repeats"})
        assert end_killed_runs(instance) == 0
        instance.create_run_for_job(page, status=started, tags={UNDER_LOCK: "true"})  # of a home made before
        assert end_killed_runs(instance) == 1


def test_a_day_that_the_sandbox_has_not_lived_through_is_refused(home: Path) -> None:
    import sandbox
    from aios_assets.contracts.errors import RefusedError

    sandbox.create(home / "sandbox", "tiny", 7)
    newest = sandbox.current_date(home / "sandbox")
    handles = World(home=str(home), inbox_path=str(home / "inbox"), sandbox_root=str(home / "sandbox"))

    @op(required_resource_keys={"world"})
    def step() -> None:
        pass

    @job(resource_defs={"world": handles})
    def page() -> None:
        step()

    with DagsterInstance.get() as instance:
        tags = {"dagster/partition": newest.isoformat()}
        assert page.execute_in_process(instance=instance, tags=tags).success
        for tomorrow in ({"dagster/partition": "2099-01-01"}, {"dagster/asset_partition_range_start": newest.isoformat(), "dagster/asset_partition_range_end": "2099-01-01"}):  # fmt: skip
            with pytest.raises(DagsterResourceFunctionError) as caught:
                page.execute_in_process(instance=instance, tags=tomorrow)
            said = str(caught.value.user_exception)
            assert isinstance(caught.value.user_exception, RefusedError)
            assert f"2099-01-01 lies after {newest}, the newest business day of the sandbox" in said
            assert instance.get_runs(limit=1)[0].tags["dagster/max_retries"] == "0"


def test_homes_made_before_let_one_run_wait_for_another_too(home: Path) -> None:
    yaml = home / "dagster" / "dagster.yaml"
    yaml.write_text(EARLIER_YAML)
    prepare_home(Settings())
    assert yaml.read_text() == DAGSTER_YAML and EARLIER_YAML != DAGSTER_YAML
    yaml.write_text("telemetry:\n  enabled: false\n")  # somebody's own stays
    prepare_home(Settings())
    assert yaml.read_text() == "telemetry:\n  enabled: false\n"


HELPER = """
import os, subprocess, sys, time
from aios_assets.resources.processes import end_with
if len(sys.argv) > 1:
    end_with(int(sys.argv[1]))
    print(os.getpid(), flush=True)
    time.sleep(600)
else:
    subprocess.run([sys.executable, __file__, str(os.getpid())])
"""


def is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_helper_of_a_killed_run_does_not_go_on_without_its_lock(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(HELPER)
    with subprocess.Popen([sys.executable, str(tmp_path / "helper.py")], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        helper = int(run.stdout.readline())
        assert is_there(helper)
        run.kill()
        run.wait(30)
        end = time.monotonic() + 30
        while is_there(helper):
            assert time.monotonic() < end, "the helper outlived its run"
            time.sleep(0.05)
    late = subprocess.run(
        [sys.executable, str(tmp_path / "helper.py"), "1"], capture_output=True, text=True, timeout=60
    )
    assert late.returncode != 0 and "nothing was written" in late.stderr


def test_dbt_ends_with_the_run_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What dbt is told when a run starts it, and that its door to the lake asks for it."""
    from dagster_dbt import DbtCliResource

    from aios_assets.resources.dbt import PROJECT_DIR, dbt_resource

    told: dict[str, str] = {}
    monkeypatch.setattr(DbtCliResource, "cli", lambda *_words, **_more: told.update(os.environ))
    dbt_resource(tmp_path).start(["build"], window=None)
    assert told["AIOS_DBT_PARENT"] == str(os.getpid()) and "AIOS_DBT_PARENT" not in os.environ
    monkeypatch.setenv("AIOS_DBT_PARENT", "4711")
    monkeypatch.syspath_prepend(str(PROJECT_DIR / "plugins"))
    import aios_lake

    asked: list[int] = []
    monkeypatch.setattr(aios_lake, "end_with", asked.append)
    aios_lake.Plugin.__new__(aios_lake.Plugin).initialize({})
    assert asked == [4711]
