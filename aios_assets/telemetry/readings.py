"""Sensor readings from documents of JSON lines.

One line is one reading: sensor_id, measure_code, read_at_utc (ISO 8601; an instant without offset is UTC), value, asset_type,
asset_id, and optionally site_id and shipment_id. In = kept + duplicates + rejected, line by line.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.raw_tables import RAW_TELEMETRY_READINGS
from aios_assets.contracts.rejects import Reject, reject_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIRED = ("sensor_id", "measure_code", "asset_type", "asset_id")
OPTIONAL = ("site_id", "shipment_id")
# A sensor's clock may run a little ahead of ours; more than this is a fault, and the reading's time cannot be trusted.
AHEAD = timedelta(hours=1)
# Loggers upload months late, but a clock that lost its battery says 1970, 1980 or 2000.
BEHIND = timedelta(days=20 * 365)
# Beyond this a number is a mark for "no reading" (3.4e38) or noise, and sums of such numbers overflow.
LARGEST = 1e30
SHOWN = 80


@dataclass(frozen=True, slots=True)
class TelemetryBatch:
    """What was read.

    Attributes:
        readings: rows of `raw_telemetry__readings`, unique by key, sorted by key.
        rejects: rows of `raw_edi__rejects`; segment_no is the line number.
        counts: lines, kept, duplicates, conflicts (duplicates with another value), rejected.
    """

    readings: pl.DataFrame
    rejects: pl.DataFrame
    counts: dict[str, int]


class _Fault(ValueError):
    """Why a line is set aside: code, then words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_telemetry(documents: pl.DataFrame) -> TelemetryBatch:
    """Read telemetry documents.

    Args:
        documents: rows of `raw_edi__documents` (document_id, content, available_at_utc are used).

    Returns:
        Readings, rejects and counts. Of readings of one sensor, measure and instant the earliest received stays.
    """
    rows: list[tuple[Any, ...]] = []
    rejects: list[Reject] = []
    lines = 0
    wanted = documents.select("document_id", "content", "available_at_utc").sort("available_at_utc", "document_id")
    for document_id, content, available_at in wanted.iter_rows():
        for number, line in _lines(content):
            lines += 1
            try:
                rows.append((*_reading(line, available_at), document_id, number, available_at, f"{available_at:%Y-%m}"))
            except _Fault as fault:
                shown = line.decode("utf-8", "replace")
                rejects.append(
                    Reject(document_id, f"telemetry:{fault.code}", f"line {number}: {fault}", available_at,
                           kind_code="syntax", segment_no=number, segment_text=shown)
                )  # fmt: skip
    everything = pl.DataFrame(rows, schema=RAW_TELEMETRY_READINGS.schema, orient="row")
    key = list(RAW_TELEMETRY_READINGS.key)
    # Rows are in order of receipt, so the first of a key is the earliest received.
    readings = everything.unique(key, keep="first", maintain_order=True).sort(key)
    different = everything.unique([*key, "value"]).height - readings.height
    counts = {
        "lines": lines,
        "kept": readings.height,
        "duplicates": everything.height - readings.height,
        "conflicts": different,
        "rejected": len(rejects),
    }
    return TelemetryBatch(readings, reject_frame(rejects), counts)


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that hold anything."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if stripped := line.strip():
            yield number, stripped


def _reading(line: bytes, available_at: datetime) -> tuple[Any, ...]:
    """Columns up to shipment_id, in contract order."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:  # brackets within brackets, as deep as the line is long
        raise _Fault("not_json", "not valid JSON; send one whole object per line") from error
    if not isinstance(said, dict):
        raise _Fault("not_object", "not a JSON object; send one object per line")
    sensor, measure, asset_type, asset = (_text(said, name) for name in REQUIRED)
    site, shipment = (_text(said, name) if said.get(name) is not None else None for name in OPTIONAL)
    return (
        sensor,
        measure,
        _instant(said.get("read_at_utc"), available_at),
        _value(said),
        asset_type,
        asset,
        site,
        shipment,
    )


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value.strip():
        have = "is missing" if value is None else f"is {_shown(value)}, which is no text"
        raise _Fault("bad_text", f"{name} {have}; send a name that is not empty")
    if any("\ud800" <= ch <= "\udfff" for ch in value):  # half of an escaped character: no table can hold it
        raise _Fault("bad_text", f"{name} is {_shown(value)}, which is no valid text; send whole characters")
    return value.strip()


def _shown(value: Any) -> str:
    """A value as a reason shows it: short, and what it is where it has parts."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    said = repr(value)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"


def _value(said: dict[str, Any]) -> float:
    value = said.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        have = "is missing" if value is None else f"is {_shown(value)}, which is no number"
        raise _Fault("bad_value", f"value {have}; send a JSON number")
    try:
        number = float(value)
    except OverflowError as error:
        raise _Fault("bad_value", "value is too large to be a reading") from error
    if not math.isfinite(number):
        raise _Fault("bad_value", "value is not finite; leave the line out when there is no reading")
    if abs(number) > LARGEST:
        raise _Fault(
            "bad_value", f"value {number:g} is too large to be a reading; leave the line out when there is none"
        )
    return number


def _instant(value: Any, available_at: datetime) -> datetime:
    try:
        if len(value) <= len("2026-01-05"):
            raise ValueError("a day is no instant")
        instant = datetime.fromisoformat(value)
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        have = "is missing" if value is None else f"is {_shown(value)}, which is no instant"
        raise _Fault("bad_instant", f"read_at_utc {have}; send ISO 8601 such as 2026-01-05T07:30:00Z") from error
    if instant > available_at + AHEAD:
        raise _Fault(
            "future",
            f"read_at_utc {instant:%Y-%m-%dT%H:%M:%SZ} is after the document reached us; set the sensor's clock",
        )
    if instant < available_at - BEHIND:
        raise _Fault(
            "past",
            f"read_at_utc {instant.isoformat()} is twenty years before the document reached us; set the sensor's clock",
        )
    return instant
