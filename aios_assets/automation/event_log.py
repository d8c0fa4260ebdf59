"""Dagster's event log, held open while a night runs in this process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from dagster import DagsterInstance

INDEX = "index"


@contextmanager
def held_open(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold one connection to each SQLite file that this run's events go to.

    Dagster opens a connection for every event, some 1,500 a night. When the last one to a file closes, SQLite writes its
    journal back, syncs twice and removes it: 17 instead of 4 to 6 ms an event (measured). Any other storage is left alone.

    Args:
        instance: Dagster's instance of the home.
        run_id: the run that is about to be created.
    """
    # Only Dagster's SQLite storage, the default of a home, keeps a file per run.
    path_of: Callable[[str], str] | None = getattr(instance.event_log_storage, "path_for_shard", None)
    files = [path_of(INDEX), path_of(run_id)] if path_of else []
    with ExitStack() as held:
        for file in files:
            connection = held.enter_context(closing(sqlite3.connect(file)))
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the first read opens the journal
        yield
