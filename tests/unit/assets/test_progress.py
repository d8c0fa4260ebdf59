"""What ended a step is one line a person can act on, also when dbt said it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aios_assets.automation.progress import cause_of

DBT = """dagster_dbt.errors.DagsterDbtCliRuntimeError: The dbt CLI process with command

`dbt build --select fqn:*`

failed with exit code `1`. Check the stdout in the Dagster compute logs for the full information about the error, or view the dbt debug log: /h/dbt.log.

Errors parsed from dbt logs:

61 of 118 ERROR creating sql table model main.int_site_days_stated ............. [\x1b[31mERROR\x1b[0m in 0.01s]

\x1b[31mFailure in model int_site_days_stated (models/intermediate/demand/int_site_days_stated.sql)\x1b[0m

  'in_dollars' is undefined.
"""


def failed(message: str, cause: Any = None) -> Any:
    error = SimpleNamespace(message=message, cause=cause)
    return SimpleNamespace(step_failure_data=SimpleNamespace(error=error))


def test_what_dbt_found_comes_first_without_command_tally_and_colours() -> None:
    assert cause_of(failed(DBT)) == (
        "dbt: Failure in model int_site_days_stated (models/intermediate/demand/int_site_days_stated.sql); 'in_dollars' is undefined."
    )


def test_the_innermost_message_is_told_in_one_line() -> None:
    inner = SimpleNamespace(message="OSError: [Errno 28]\n No space left on device", cause=None)
    assert cause_of(failed("a step failed", inner)) == "OSError: [Errno 28] No space left on device"
    assert cause_of(SimpleNamespace()) == "no reason was given"
