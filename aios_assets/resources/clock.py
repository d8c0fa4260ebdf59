"""The only place that asks what time it is: everywhere else the instant is an argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]


def now_utc() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def business_cutoff(day: date, tz: str, at: time = time(2, 0)) -> datetime:
    """The instant (UTC) at which the knowledge of business day `day` is closed: `at` on the next day in zone `tz`.

    A wall time that a daylight-saving change skips is read with the offset from before the change, one that occurs
    twice is read as its first occurrence, as `zoneinfo` does (PEP 495).

    >>> business_cutoff(date(2026, 1, 14), "America/New_York").isoformat()
    '2026-01-15T07:00:00+00:00'
    """
    return datetime.combine(day + timedelta(days=1), at, ZoneInfo(tz)).astimezone(UTC)


def closed_day(instant: datetime, tz: str, at: time = time(2, 0)) -> date:
    """The newest business day that is closed at `instant`: its cut-off has come.

    Said by the cut-offs themselves, so that clocks put back or forward cannot close a day twice or never.

    >>> closed_day(datetime(2026, 1, 15, 7, tzinfo=UTC), "America/New_York").isoformat()
    '2026-01-14'
    """
    today = instant.astimezone(ZoneInfo(tz)).date()
    yesterday = today - timedelta(days=1)
    return yesterday if business_cutoff(yesterday, tz, at) <= instant else yesterday - timedelta(days=1)
