"""X12 time codes (element 623) and the time in UTC that they make of a local one."""

from __future__ import annotations

import polars as pl

# Source: X12 element 623. 13 to 24 count down from twelve hours west.
MINUTES = {
    **{f"{n:02d}": 60 * n for n in range(1, 13)},
    **{f"{n:02d}": 60 * (n - 25) for n in range(13, 25)},
    "AD": -480,
    "AS": -540,
    "CD": -300,
    "CS": -360,
    "ED": -240,
    "ES": -300,
    "HD": -540,
    "HS": -600,
    "MD": -360,
    "MS": -420,
    "ND": -150,
    "NS": -210,
    "PD": -420,
    "PS": -480,
    "TD": -180,
    "TS": -240,
    "GM": 0,
    "UT": 0,
}
# Codes that leave open whether it is summer time: what the clocks of the place showed then.
PLACES = {
    "AT": "America/Anchorage",
    "CT": "America/Chicago",
    "ET": "America/New_York",
    "HT": "Pacific/Honolulu",
    "MT": "America/Denver",
    "NT": "America/St_Johns",
    "PT": "America/Los_Angeles",
    "TT": "America/Halifax",
}


def to_utc(frame: pl.DataFrame, at: str, zone: str) -> pl.DataFrame:
    """Frame with the instants of `at` (written as if in UTC) moved to UTC by their time code; local (LT) or no code: as it is.

    Of an hour that a clock shows twice the first is meant; one that it skips is taken as standard time.
    """
    minutes = pl.col(zone).replace_strict(MINUTES, default=0, return_dtype=pl.Int32).fill_null(0)
    moved = pl.col(at) - pl.duration(minutes=minutes)
    naive = pl.col(at).dt.replace_time_zone(None)
    for code in sorted(set(frame[zone].drop_nulls()) & set(PLACES)):
        here = naive.dt.replace_time_zone(PLACES[code], ambiguous="earliest", non_existent="null")
        before = (naive - pl.duration(hours=2)).dt.replace_time_zone(
            PLACES[code], ambiguous="earliest", non_existent="null"
        )
        there = pl.coalesce(here, before + pl.duration(hours=2)).dt.convert_time_zone("UTC")
        moved = pl.when(pl.col(zone) == code).then(there).otherwise(moved)
    return frame.with_columns(moved.alias(at))
