"""Limits of sensors, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from math import isfinite

import yaml

from aios_assets.contracts.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Limit:
    """What is judged for one measure on one type of asset; None judges nothing. See `limits.yaml` for the meaning."""

    asset_type: str
    measure_code: str
    high: float | None = None
    low: float | None = None
    spike_mads: float | None = None
    spike_floor: float = 0.0
    spike_readings: int = 2
    gap_intervals: float | None = None
    pause_minutes: float | None = None
    stuck_readings: int | None = None
    gap_minutes: float | None = None
    stuck_minutes: float | None = None


def parse_limits(text: str, where: str = "limits.yaml") -> tuple[Limit, ...]:
    """Limits from YAML text.

    Raises:
        BadInputError: it is no list of limits, or one has an unknown field or a value that fits none, or two judge the same measure.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInputError(
            f"the limits are not valid YAML{line_of(error)}", where=where, todo="correct the file"
        ) from error
    names = {f.name for f in fields(Limit)}
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise BadInputError("the limits are not a list of entries", where=where, todo="see telemetry/limits.yaml")
    found: dict[tuple[str, str], Limit] = {}
    for number, row in enumerate(data, start=1):
        unknown = sorted(set(row) - names)
        if unknown or not {"asset_type", "measure_code"} <= set(row):
            what = (
                f"entry {number} has unknown fields {unknown}"
                if unknown
                else f"entry {number} names no asset and measure"
            )
            raise BadInputError(what, where=where, todo=f"use {', '.join(sorted(names))}")
        wrong = sorted(name for name, value in row.items() if not _fits(name, value))
        if wrong:
            todo = "write names as text and limits as numbers; leave out what is not judged"
            raise BadInputError(f"entry {number} has no number or name in {wrong}", where=where, todo=todo)
        limit = Limit(**row)
        if (limit.asset_type, limit.measure_code) in found:
            raise BadInputError(f"entry {number} judges a measure that is judged above", where=where, todo="keep one")
        found[limit.asset_type, limit.measure_code] = limit
    return tuple(found.values())


def line_of(error: yaml.YAMLError) -> str:
    """Where a YAML file stops making sense, for a message: ` (line 3)`, or nothing."""
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark else ""


def _fits(name: str, value: object) -> bool:
    """Whether a value may stand in a field."""
    if name in ("asset_type", "measure_code"):
        return isinstance(value, str) and bool(value.strip())
    if name in ("stuck_readings", "spike_readings"):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def with_own(own: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """The shipped limits, with a person's own in the place of those for the same measure, and beside the others."""
    stated = {(x.asset_type, x.measure_code): x for x in (*default_limits(), *own)}
    return tuple(stated.values())


@cache
def default_limits() -> tuple[Limit, ...]:
    """The limits shipped in `limits.yaml`."""
    return parse_limits(resources.files("aios_assets.telemetry").joinpath("limits.yaml").read_text(encoding="utf-8"))
