"""Time codes of X12 (element 623) and EDIFACT (2379), and the time in UTC that they make of a local one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import polars as pl

from aios_assets.edi.typing_rules import Typed

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
# What EDIFACT 2379 303 and 304 (CCYYMMDDHHMM[SS]ZZZ) name in three letters. Source: names in use; each stands for one offset.
_NAMES = {
    **{"UTC": 0, "GMT": 0, "WET": 0, "CET": 60, "MET": 60, "CES": 120, "MES": 120, "EET": 120, "EES": 180, "MSK": 180},
    **{
        "EST": -300,
        "EDT": -240,
        "CST": -360,
        "CDT": -300,
        "MST": -420,
        "MDT": -360,
        "PST": -480,
        "PDT": -420,
        "JST": 540,
    },
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
    named = pl.col(zone).replace_strict(MINUTES | _NAMES, default=None, return_dtype=pl.Int32)
    minutes = pl.coalesce(named, _offset(pl.col(zone)), pl.lit(0))
    moved = pl.col(at) - pl.duration(minutes=minutes)
    naive = pl.col(at).dt.replace_time_zone(None)
    for code in sorted(set(frame[zone].drop_nulls()) & set(PLACES)):
        there = shown_in(PLACES[code], naive)
        moved = pl.when(pl.col(zone) == code).then(there).otherwise(moved)
    return frame.with_columns(moved.alias(at))


def shown_in(place: str, naive: pl.Expr, twice: Literal["earliest", "latest"] = "earliest") -> pl.Expr:
    """Instants (UTC) at which the clocks of a place showed a time; one that they skip is taken with the offset from before the change.

    Args:
        place: name of the time zone.
        naive: times without a zone.
        twice: which is meant of an hour that they show twice.
    """
    here, before = (
        at.dt.replace_time_zone(place, ambiguous=twice, non_existent="null")
        for at in (naive, naive - pl.duration(hours=2))
    )
    return pl.coalesce(here, before + pl.duration(hours=2)).dt.convert_time_zone("UTC")


def in_utc(typed: Typed, base: pl.DataFrame) -> Typed:
    """Facts with status_at_utc moved by the `zone` of their rows in `base`."""
    zones = base.select("row", pl.col("zone").str.to_uppercase()).unique("row", keep="first")
    facts = to_utc(typed.facts.join(zones, on="row", how="left", maintain_order="left"), "status_at_utc", "zone")
    return replace(typed, facts=facts.drop("zone"))


def _offset(zone: pl.Expr) -> pl.Expr:
    """Minutes of an offset written as +HHMM or +HH; null for anything else."""
    hours, minutes = (zone.str.extract(r"^[+-](\d{2}):?(\d{2})?$", n).cast(pl.Int32) for n in (1, 2))
    size = 60 * hours + minutes.fill_null(0)
    return pl.when(zone.str.starts_with("-")).then(-size).otherwise(size)
