"""Business days where clocks are put forward and back: the nights' clock and the models close each day at the same instant, once."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import duckdb
import pytest

from aios_assets.resources.clock import business_cutoff, closed_day
from tests.unit.dbt.models import macro

# Each side of every change: ordinary ones, one at midnight, and one of half an hour.
CHANGES = {
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "Europe/London": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/Havana": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
    "Asia/Kolkata": (date(2026, 6, 1),),
}
CUTOFFS = (time(0, 0), time(0, 30), time(1, 30), time(2, 0), time(2, 30), time(3, 0))


def asked(zone: str, cutoff: time, what: str, values: str) -> list[tuple[object, ...]]:
    """What DuckDB says for each value, in their order."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute(f"SET VARIABLE business_tz = '{zone}'")
        db.execute(f"SET VARIABLE cutoff = INTERVAL '{cutoff.hour} hours {cutoff.minute} minutes'")
        return db.execute(f"SELECT {what} FROM (SELECT unnest({values}) AS v) ORDER BY v").fetchall()


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("cutoff", CUTOFFS, ids=str)
def test_a_day_is_closed_once_and_at_the_same_instant_for_nights_and_models(zone: str, cutoff: time) -> None:
    for change in CHANGES[zone]:
        days = [change + timedelta(days=n) for n in range(-3, 3)]
        closes = [business_cutoff(day, zone, cutoff) for day in days]
        list_of_days = "[" + ", ".join(f"DATE '{day}'" for day in days) + "]"
        said = asked(zone, cutoff, f"epoch_us({macro('cutoff_of', 'v')})", list_of_days)
        assert [datetime.fromtimestamp(us / 1e6, UTC) for (us,) in said] == closes  # type: ignore[operator]

        instants = sorted({close + timedelta(minutes=m) for close in closes[1:-1] for m in range(-130, 131, 10)})
        written = "[" + ", ".join(f"TIMESTAMPTZ '{at.isoformat()}'" for at in instants) + "]"
        known = [day for (day,) in asked(zone, cutoff, macro("known_day", "v"), written)]
        # By definition, from the cut-offs alone.
        assert known == [next(d for d, close in zip(days, closes, strict=True) if at <= close) for at in instants]
        newest = [max(d for d, close in zip(days, closes, strict=True) if close <= at) for at in instants]
        assert [closed_day(at, zone, cutoff) for at in instants] == newest
