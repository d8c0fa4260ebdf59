"""What a person in a terminal sees of a run: one line when a step starts, ends or fails, and what assets report."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time

from dagster import InitLoggerContext, logger

# What frameworks say for their own debugging; it stays in the event log.
NOISE = (
    "Dependencies for step",
    "A dbt subsetted execution",
    "Running dbt command",
    "Finished dbt command",
    "Logging an `AssetObservation`",
)


# dagster-dbt's own words in front of what dbt reported, dbt's count of results, and the colours of both.
BEFORE_DBT_ERRORS = "Errors parsed from dbt logs:"
TALLY = re.compile(r"\s*\d+ of \d+ ")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class ProgressHandler(logging.Handler):
    """Writes readable lines to standard error; everything else stays in Dagster's event log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.started: dict[str, tuple[float, float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record if a person would want to see it."""
        meta = getattr(record, "dagster_meta", None) or {}
        event = meta.get("dagster_event")
        line = self.step_line(event) if event is not None else self.message_line(record, meta)
        if line:
            print(line, file=sys.stderr, flush=True)

    def step_line(self, event: object) -> str:
        """The line of a step event, or nothing."""
        kind = getattr(event, "event_type_value", "")
        step = getattr(event, "step_key", None) or ""
        if kind == "STEP_START":
            self.started[step] = (time.perf_counter(), cpu_seconds())
            return f"  …  {step}"
        if kind in ("STEP_SUCCESS", "STEP_FAILURE"):
            wall, cpu = self.started.get(step, (time.perf_counter(), cpu_seconds()))
            wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
            keep_times(step, wall, cpu)
            said = f"\n       {cause_of(event)}" if kind == "STEP_FAILURE" else ""
            return f"  {'ok' if kind == 'STEP_SUCCESS' else 'FAILED'}  {step}  {wall:.1f} s{said}"
        if kind == "STEP_SKIPPED":
            return f"  skipped  {step}"
        return ""

    @staticmethod
    def message_line(record: logging.LogRecord, meta: dict[str, object]) -> str:
        """The line of a message that an asset logged, without Dagster's prefix."""
        text = str(meta.get("orig_message") or record.getMessage())
        return f"       {text}" if record.levelno >= logging.INFO and not text.startswith(NOISE) else ""


def cause_of(event: object) -> str:
    """The innermost message of a failed step, in one line; the whole story is in Dagster's event log.

    Of dbt it is what dbt found, without the command and the colours that come before it.
    """
    error = getattr(getattr(event, "step_failure_data", None), "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    said = COLOURS.sub("", str(getattr(error, "message", "no reason was given")))
    found = said.partition(BEFORE_DBT_ERRORS)[2].splitlines()
    told = [line for line in found if line.strip() and not TALLY.match(line)]
    return " ".join(("dbt: " + "; ".join(" ".join(line.split()) for line in told) if told else said).split())[:500]


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def keep_times(step: str, wall: float, cpu: float) -> None:
    """Append a step's times to the file that `AIOS_STEP_TIMES` names, for benchmarks; nothing otherwise."""
    path = os.environ.get("AIOS_STEP_TIMES")
    if path:
        with open(path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps({"step": step, "wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}) + "\n")


@logger({}, "Readable progress for a person in a terminal.")
def progress_logger(context: InitLoggerContext) -> logging.Logger:
    """A logger with one `ProgressHandler`."""
    log = logging.Logger("aios.progress", logging.DEBUG)
    log.addHandler(ProgressHandler())
    return log
