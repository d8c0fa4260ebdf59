"""Dagster's event log while a night runs: held open in between events, whole and closed at the end."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dagster import DagsterEventType, DagsterInstance, job, op

from aios_assets.automation.event_log import INDEX, held_open

RUN = "11111111-2222-3333-4444-555555555555"


@op
def nothing() -> None:
    """Leaves events, no more."""


@job
def leaves_events() -> None:
    """A run of one step."""
    nothing()


def test_journals_stay_while_held_and_all_events_are_written_back_at_the_end(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        path_of = instance.event_log_storage.path_for_shard  # type: ignore[attr-defined]
        journals = [Path(f"{path_of(shard)}-wal") for shard in (INDEX, RUN)]
        with held_open(instance, RUN):
            assert leaves_events.execute_in_process(instance=instance, run_id=RUN).success
            assert all(journal.exists() for journal in journals)
        assert not any(journal.exists() for journal in journals)
        with sqlite3.connect(f"file:{path_of(RUN)}?immutable=1", uri=True) as alone:  # the file alone, no journal read
            kinds = [kind for (kind,) in alone.execute("SELECT dagster_event_type FROM event_logs ORDER BY id")]
        assert kinds[-1] == DagsterEventType.RUN_SUCCESS.value
        assert len(kinds) == len(instance.all_logs(RUN))


def test_storage_without_files_is_left_alone() -> None:
    with DagsterInstance.ephemeral() as instance, held_open(instance, RUN):
        assert leaves_events.execute_in_process(instance=instance, run_id=RUN).success
