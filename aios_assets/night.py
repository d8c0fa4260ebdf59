"""One night, from the command line: the same Dagster job that the schedule runs, with progress a person can follow."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from aios_assets.contracts.errors import BadInputError
from aios_assets.settings import Settings, quiet_libraries

DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
run_retries:
  enabled: true
  max_retries: 1
concurrency:
  pools:
    granularity: op
    default_limit: 1
  runs:
    max_concurrent_runs: 1
freshness:
  enabled: true
code_servers:
  local_startup_timeout: 120
"""
# What homes made before hold: Dagster itself lets one run wait for another, so that none begins only to wait.
EARLIER_YAML = DAGSTER_YAML.replace("max_concurrent_runs: 1", "max_concurrent_runs: 2")
SHORT_TEXT = 80
# Mark of a night that was run, of which it is not known on which documents: asked for again, it is run again.
UNPROVEN: dict[str, object] = {"fingerprint": "", "versions": {}}
# What Dagster's page of a job finds its runs by; a run that was started in process has none of its own.
BELONGS_TO = {".dagster/repository": "__repository__@aios_assets.definitions"}


@dataclass(frozen=True, slots=True)
class NightResult:
    """How a night ended.

    Attributes:
        first: first business day of the run.
        last: last business day of the run.
        run_id: Dagster run, empty when nothing had to be done.
        is_success: every step ended well.
        failed_steps: steps that did not.
        causes: what ended each of them, in one line, in the same order.
        failed_checks: asset checks that failed, with their severity.
        changed_tables: tables that gained a Delta version.
    """

    first: date
    last: date
    run_id: str
    is_success: bool
    failed_steps: list[str] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    failed_checks: list[dict[str, str]] = field(default_factory=list)
    changed_tables: list[str] = field(default_factory=list)


def prepare_home(settings: Settings) -> None:
    """Make the folders of `home` and Dagster's settings, and point Dagster there.

    Raises:
        BadInputError: home cannot be written, or the inbox does not exist.
        RefusedError: a newer version of this software used the home.
    """
    from aios_assets.resources.home_version import note_use

    quiet_libraries()
    folder, is_new = settings.at_home("dagster").resolve(), not settings.lake_root.exists()
    try:
        for name in ("dagster", "lake", "mlflow", "feast", "reports", "nights"):
            settings.at_home(name).mkdir(parents=True, exist_ok=True)
        note_use(settings.home, is_new=is_new)
    except OSError as error:
        raise BadInputError(
            "the home folder cannot be written",
            where=str(settings.home),
            todo="set AIOS_HOME to a folder you may write to",
        ) from error
    yaml = folder / "dagster.yaml"
    if not yaml.exists() or yaml.read_text() == EARLIER_YAML:
        yaml.write_text(DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["AIOS_HOME"] = str(settings.home.resolve())
    if settings.inbox is not None and not settings.inbox.is_dir():
        raise BadInputError(
            "the inbox folder does not exist",
            where=str(settings.inbox),
            todo="make it, or set AIOS_INBOX to the right folder",
        )


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the night's lock: two nightly runs at once end as one.

    Raises:
        BusyError: another process holds it.
        RefusedError: a newer version of this software used the home.
    """
    from aios_assets.resources.home_version import note_use
    from aios_assets.resources.locks import NIGHT_LOCK, file_lock

    note_use(settings.home, is_new=not settings.lake_root.exists())
    with file_lock(settings.at_home(NIGHT_LOCK), "run the night", timeout_s=0):
        yield


def table_versions(settings: Settings) -> dict[str, int]:
    """Delta version of every table, -1 where there is none yet."""
    from aios_assets.contracts.registry import TABLES
    from aios_assets.resources.lake import Lake

    lake = Lake(settings.lake_root)
    return {name: lake.version(name) for name in sorted(TABLES)}


def mark_path(settings: Settings, last: date) -> Path:
    """File that says a night was completed, and on what."""
    return settings.at_home("nights", f"{last.isoformat()}.json")


def begun_path(settings: Settings, last: date) -> Path:
    """File that is there from the beginning of a night until it ended well."""
    return settings.at_home("nights", f"{last.isoformat()}.begun")


def is_complete(settings: Settings, last: date, fingerprint: str) -> bool:
    """Whether that night ended well on just these documents and nothing was changed since."""
    path = mark_path(settings, last)
    if not path.exists():
        return False
    mark = json.loads(path.read_text() or json.dumps(UNPROVEN))  # a full disk may have left it empty
    return bool(mark["fingerprint"] == fingerprint and mark["versions"] == table_versions(settings))


def run_night(
    settings: Settings, first: date, last: date, *, job_name: str = "nightly", force: bool = False
) -> NightResult:
    """Run the nightly job for the business days `first` to `last` (both included) in this process.

    Args:
        settings: all settings; `prepare_home` was called.
        first: first business day.
        last: last business day; the same as `first` for a night.
        job_name: job to run.
        force: run even if that night is complete.

    Raises:
        ConflictError: another run is under way.
        BadInputError: a person's own limits of sensors cannot be used, and no night before had any.
    """
    with only_one(settings):
        from aios_assets.assets.glue_telemetry import limits_refused
        from aios_assets.resources.handles import world_of

        world = world_of(settings)
        waiting = world.waiting_documents(last.isoformat())
        if not force and first == last and is_complete(settings, last, waiting.fingerprint):
            return NightResult(first, last, "", True)
        if refused := limits_refused(world):
            print(f"aios: {refused}", file=sys.stderr)
        from aios_assets.definitions import build_defs  # the models are parsed for it where nobody did so before

        before = table_versions(settings)
        if job_name == "nightly":
            _note_begun(settings, last, None)
        result = _execute(settings, build_defs(settings), job_name, first, last)
        after = table_versions(settings)
        changed = [name for name in after if after[name] != before[name]]
        outcome = _outcome(result, first, last, changed)
        if outcome.is_success and job_name == "nightly":
            _mark(settings, first, last, {"fingerprint": waiting.fingerprint, "versions": after})
        elif job_name == "nightly":
            _note_begun(settings, last, outcome)
        return outcome


def _note_begun(settings: Settings, last: date, outcome: NightResult | None) -> None:
    """Note that a night was begun, and then how it failed; that a rebuild dropped it stays noted until it ends well."""
    path = begun_path(settings, last)
    before = json.loads(path.read_text() or "{}") if path.exists() else {}
    said = {
        "is_dropped": bool(before.get("is_dropped")),
        "run_id": outcome.run_id if outcome else "",
        "failed_steps": outcome.failed_steps if outcome else [],
        "causes": outcome.causes if outcome else [],
    }
    path.write_text(json.dumps(said))


def _mark(settings: Settings, first: date, last: date, proven: dict[str, object]) -> None:
    """Mark every day of a run that ended well, so that a rebuild runs each again; what is proven is so of the last."""
    from aios_assets.resources.lake_files import put_durably

    for day in (first + timedelta(days=n) for n in range((last - first).days)):
        put_durably(mark_path(settings, day), json.dumps(UNPROVEN).encode())
    put_durably(mark_path(settings, last), json.dumps(proven).encode())
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        begun_path(settings, day).unlink(missing_ok=True)


def log_path(settings: Settings) -> Path:
    """File that keeps what tools print during a night."""
    folder = settings.at_home("logs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "night.log"


def _execute(settings: Settings, defs: Any, job_name: str, first: date, last: date) -> Any:
    from dagster import DagsterInstance

    from aios_assets.automation.event_log import held_open
    from aios_assets.resources.one_run import NO_RETRY, UNDER_LOCK, end_killed_runs

    job, run_id = defs.resolve_job_def(job_name), str(uuid4())
    with DagsterInstance.get() as instance:
        end_killed_runs(instance)
        scope: dict[str, Any] = {"run_id": run_id, "tags": {UNDER_LOCK: run_id, **NO_RETRY, **BELONGS_TO}}
        if first == last:
            scope["partition_key"] = last.isoformat()
        else:
            scope["tags"] |= {
                "dagster/asset_partition_range_start": first.isoformat(),
                "dagster/asset_partition_range_end": last.isoformat(),
            }
        print(f"night of {last}" if first == last else f"days {first} to {last}", file=sys.stderr)
        # dbt speaks on standard output, which belongs to the summary and to `--json`.
        with (
            held_open(instance, run_id),
            log_path(settings).open("a", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
        ):
            return job.execute_in_process(
                instance=instance, raise_on_error=False, run_config={"loggers": {"progress": {"config": {}}}}, **scope
            )


def figures_of(metadata: Mapping[str, Any]) -> str:
    """What a check reported, in one line: figures and short texts; tables and pictures are in Dagster's pages.

    >>> from dagster import IntMetadataValue
    >>> figures_of({"broken": IntMetadataValue(1), "item_site_days": IntMetadataValue(224)})
    'broken 1, item site days 224'
    """
    values = {name: getattr(value, "value", value) for name, value in metadata.items()}
    shown = {n: v for n, v in values.items() if isinstance(v, (int, float, str)) and len(str(v)) <= SHORT_TEXT}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())


def _outcome(result: Any, first: date, last: date, changed: list[str]) -> NightResult:
    from aios_assets.automation.progress import cause_of

    failures = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    checks = [
        {
            "asset": c.asset_key.to_user_string(),
            "check": c.check_name,
            "severity": c.severity.value,
            "said": figures_of(c.metadata),
        }
        for c in result.get_asset_check_evaluations()
        if not c.passed
    ]
    steps, causes = [e.step_key or "" for e in failures], [cause_of(e) for e in failures]
    return NightResult(first, last, result.run_id, result.success, steps, causes, checks, changed)
