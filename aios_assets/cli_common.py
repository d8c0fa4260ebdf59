"""What every command shares: errors in one line, JSON on request, figures people can read."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from aios_assets.contracts.errors import AiosError, UsageError
from aios_assets.outage import outage_of

P = ParamSpec("P")
R = TypeVar("R")


def handle_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an `AiosError`, a full disk or a missing right into one line on standard error and its exit code.

    Other exceptions are our own defects and pass.
    """
    import typer

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            _check_environment()
            return command(*args, **kwargs)
        except AiosError as error:
            raise _told(error, bool(kwargs.get("as_json"))) from error
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            outage = outage_of(error, Path(os.environ.get("AIOS_HOME", ".aios")))
            if outage is None:
                raise
            raise _told(outage, bool(kwargs.get("as_json"))) from error

    return guarded


def _told(error: AiosError, as_json: bool) -> Exception:
    """Tell the error; the answer ends the command with its exit code."""
    import typer

    if as_json:
        print(json.dumps({"error": error.code, "message": str(error)}))
    print(f"aios: {error}", file=sys.stderr)
    return typer.Exit(error.exit_code)


def _check_environment() -> None:
    from aios_assets.settings import check_variables

    for name in check_variables(os.environ):
        note(f"{name} is no setting and was passed over. To do: see aios_assets/settings.py for those that are")


def note(text: str) -> None:
    """A line for the person, beside the result."""
    print(f"aios: {text}", file=sys.stderr)


def parse_day(text: str, option: str) -> date:
    """The day that an option names.

    Raises:
        UsageError: it is not a day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} is '{text}', not a day", todo="use YYYY-MM-DD") from error


def emit(data: Any, as_json: bool) -> None:
    """Print `data` as one JSON document, or as readable lines.

    Args:
        data: mapping, list of mappings, or scalar that `json` can write (dates and paths become strings).
        as_json: JSON on one line when true.
    """
    if as_json:
        print(json.dumps(data, default=str, sort_keys=False))
        return
    if isinstance(data, dict):
        width = max((len(str(k)) for k in data), default=0)
        for key, value in data.items():
            print(f"{key!s:<{width}}  {value}")
    elif isinstance(data, list):
        for row in data:
            print("  ".join(f"{k}={v}" for k, v in row.items()) if isinstance(row, dict) else row)
    else:
        print(data)
