"""What a reading must hold: names, a number, an instant that can be. What does not is set aside with its reason."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

REQUIRED = ("sensor_id", "measure_code", "asset_type", "asset_id")
OPTIONAL = ("site_id", "shipment_id")
# A sensor's clock may run a little ahead of ours; more than this is a fault, and the reading's time cannot be trusted.
AHEAD = timedelta(hours=1)
# Loggers upload months late, but a clock that lost its battery says 1970, 1980 or 2000.
BEHIND = timedelta(days=20 * 365)
# Beyond this a number is a mark for "no reading" (3.4e38) or noise, and sums of such numbers overflow.
LARGEST = 1e30
SHOWN = 80


class Fault(ValueError):
    """Why a line is set aside: code, then words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def columns_of(said: dict[str, Any], available_at: datetime) -> tuple[Any, ...]:
    """Columns up to shipment_id, in contract order.

    Raises:
        Fault: something is missing or cannot be.
    """
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
        have = "is missing" if value is None else f"is {shown(value)}, which is no text"
        raise Fault("bad_text", f"{name} {have}; send a name that is not empty")
    if not value.isascii() and any(
        "\ud800" <= ch <= "\udfff" for ch in value
    ):  # half of an escaped character: no table can hold it
        raise Fault("bad_text", f"{name} is {shown(value)}, which is no valid text; send whole characters")
    return value.strip()


def shown(value: Any) -> str:
    """A value as a reason shows it: short, and what it is where it has parts."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    said = repr(value)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"


def _value(said: dict[str, Any]) -> float:
    value = said.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        have = "is missing" if value is None else f"is {shown(value)}, which is no number"
        raise Fault("bad_value", f"value {have}; send a JSON number")
    try:
        number = float(value)
    except OverflowError as error:
        raise Fault("bad_value", "value is too large to be a reading") from error
    if not math.isfinite(number):
        raise Fault("bad_value", "value is not finite; leave the line out when there is no reading")
    if abs(number) > LARGEST:
        raise Fault(
            "bad_value", f"value {number:g} is too large to be a reading; leave the line out when there is none"
        )
    return number


def _instant(value: Any, available_at: datetime) -> datetime:
    try:
        if not isinstance(value, datetime) and len(value) <= len("2026-01-05"):
            raise ValueError("a day is no instant")
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        have = "is missing" if value is None else f"is {shown(value)}, which is no instant"
        raise Fault("bad_instant", f"read_at_utc {have}; send ISO 8601 such as 2026-01-05T07:30:00Z") from error
    if instant > available_at + AHEAD:
        raise Fault(
            "future",
            f"read_at_utc {instant:%Y-%m-%dT%H:%M:%SZ} is after the document reached us; set the sensor's clock",
        )
    if instant < available_at - BEHIND:
        raise Fault(
            "past",
            f"read_at_utc {instant.isoformat()} is twenty years before the document reached us; set the sensor's clock",
        )
    return instant
