"""Clocks of other people: numbers since 1970 in some unit, text with a zone or without. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aios_assets.telemetry.checks import shown
from aios_assets.telemetry.mapping import TIME_UNITS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
A_LITTLE = timedelta(minutes=5)
# A moment of these decades as a number, by unit: 2001 to 2065.
_DIGITS = {"s": (10, 10), "ms": (12, 13), "us": (15, 16), "ns": (18, 19)}


def instant_of(said: Any, unit: str, zone: str, came_at: datetime) -> datetime:
    """The instant that a message states, to the microsecond.

    Args:
        said: number or text.
        unit: s, ms, us or ns of numbers; empty where none was named.
        zone: of text without one.
        came_at: when the message came: the hour that comes twice a year is the one that is not after it.

    Raises:
        ValueError: it is none; says why.

    >>> came = datetime(2026, 1, 5, 12, tzinfo=UTC)
    >>> instant_of(1767614400123, "ms", "UTC", came).isoformat(), instant_of("2026-01-05 08:00", "", "America/New_York", came).isoformat()
    ('2026-01-05T12:00:00.123000+00:00', '2026-01-05T13:00:00+00:00')
    """
    if isinstance(said, str) and _is_number(said):
        said = float(said) if "." in said else int(said)
    if isinstance(said, int | float) and not isinstance(said, bool):
        return _since_1970(said, unit)
    if not isinstance(said, str) or len(said) <= len("2026-01-05"):
        raise ValueError("is missing" if said in (None, "") else f"is {shown(said)}, which is no instant")
    try:
        instant = datetime.fromisoformat(said)
        return instant.astimezone(UTC) if instant.tzinfo else _local(instant, ZoneInfo(zone), came_at)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is {shown(said)}, which is no instant of ISO 8601") from error


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and text.isascii()


def _since_1970(said: float, unit: str) -> datetime:
    digits = len(str(abs(int(said)))) if abs(said) < 1e30 else 0
    if not unit:
        likely = next((name for name, (low, high) in _DIGITS.items() if low <= digits <= high), "s")
        raise ValueError(f"is the number {shown(said)}; say its unit in the mapping (time_unit: {likely})")
    low, high = _DIGITS[unit]
    if said and not low - 1 <= digits <= high:  # 1970 to 2001 is a clock that lost its battery: it is told as such
        raise ValueError(f"is {shown(said)}, which is no time in {unit} of our days; correct time_unit in the mapping")
    micros = round(said * 1_000_000) if unit == "s" else said * 1_000_000 // TIME_UNITS[unit]
    return EPOCH + timedelta(microseconds=int(micros))


def _local(instant: datetime, zone: ZoneInfo, came_at: datetime) -> datetime:
    """An instant of a clock on a wall; of the two that the hour put back makes, the later one that had come when the message did."""
    first, second = (instant.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return max(first, second) if max(first, second) <= came_at + A_LITTLE else min(first, second)
