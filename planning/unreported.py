"""Sales that nobody has told yet: of the days since a stock report, and of weeks that a site reports as one figure.

A stock report of Saturday holds nothing of what sold until Wednesday. A day of which a site reported no sales counts as its weekday
of the week ahead, on the same paths. A site that reports whole weeks (an 852 of seven days) is forecast with all of a week on its
last day; the week's total is right, the day is not: it is spread evenly over the seven days, in whole eaches.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from planning.projection import F32, F64, I64

WEEK = 7
# Weeks looked back for the day on which a site's weeks end, and the weeks that must have been told to know it.
LOOK_BACK_WEEKS = 8
LEAST_WEEKS = 3


def week_ends(reports: pl.DataFrame, as_of: date) -> dict[str, int]:
    """Sites that report whole weeks, with the days from `as_of` to the end of the running week (1 to 7).

    Such a site said so in one of its newest reports, and those, at least `LEAST_WEEKS`, are booked on one weekday: what it reported
    before, every day, does not count.

    Args:
        reports: site_id, demand_date, is_stretch (the report was of several days).
        as_of: last business day known.
    """
    lately = pl.col("demand_date") > pl.lit(as_of) - pl.duration(weeks=LOOK_BACK_WEEKS)
    known = reports.filter(lately & (pl.col("demand_date") <= as_of))
    newest = known.group_by("site_id").agg(pl.col("demand_date").max().alias("newest"))
    known = known.join(newest, on="site_id").with_columns(
        is_end=(pl.col("newest") - pl.col("demand_date")).dt.total_days() % WEEK == 0
    )
    other = known.filter(~pl.col("is_end")).group_by("site_id").agg(pl.col("demand_date").max().alias("other"))
    # A week in which other days were told as well is the one of the change, or one of days.
    since = pl.col("other").is_null() | (pl.col("demand_date") >= pl.col("other") + pl.duration(days=WEEK))
    sites = (
        known.join(other, on="site_id", how="left")
        .filter(since)
        .group_by("site_id", "newest")
        .agg(pl.col("demand_date").n_unique().alias("weeks"), pl.col("is_stretch").any())
        .filter("is_stretch", pl.col("weeks") >= LEAST_WEEKS)
        .sort("site_id")
    )
    return {site: WEEK - (as_of - newest).days % WEEK for site, newest in sites.select("site_id", "newest").iter_rows()}


def unreported_days(book: pl.DataFrame, reports: pl.DataFrame, weeks: dict[str, int], as_of: date) -> I64:
    """Days after the stock report, up to `as_of`, of which a row's site reported no sales.

    Args:
        book: site_id, stock_date (null or later than `as_of`: no such days).
        reports: as for `week_ends`; none at all: nothing is known of what was reported, and nothing is counted.
        weeks: from `week_ends`: all up to the newest end of a week is reported.
        as_of: last business day known.

    Returns:
        (rows, 7) days, by the weekday of the first week ahead they resemble: 0 is the day after `as_of`.
    """
    out = np.zeros((book.height, WEEK), dtype=np.int64)
    if reports.is_empty():
        return out
    age = (pl.lit(as_of) - pl.col("stock_date")).dt.total_days().clip(0, WEEK * LOOK_BACK_WEEKS).fill_null(0)
    ages = book.select(age).to_series().to_numpy()
    back = (pl.lit(as_of) - pl.col("demand_date")).dt.total_days()
    told = {site: set(days) for site, days in reports.group_by("site_id").agg(back).iter_rows()}
    sites = book["site_id"].to_numpy()
    for site in sorted(set(sites.tolist())):
        here = np.flatnonzero(sites == site)
        days = set(range(int(ages[here].max()))) - told.get(site, set())
        if site in weeks:
            days = {day for day in days if day < min(told[site])}
        for day in sorted(days):
            out[here, (WEEK - 1 - day) % WEEK] += ages[here] > day
    return out


def spread_over_weeks(paths: F32, ends: int, uniforms: F32) -> tuple[F32, F32]:
    """Weeks told as one figure, spread over their seven days: day by day the same units, n sevenths of a week after n days; of whole units whole ones.

    Args:
        paths: (series, scenario, day), day 0 is tomorrow; what is not booked on an end of a week stays where it is.
        ends: days until the running week ends, 1 to 7: the first booking is day `ends` - 1.
        uniforms: (scenario, day) where in a week a single unit falls.

    Returns:
        the days ahead without the last six, whose week is not over, and (series, scenario, 7) the last seven days up to today:
        those of the running week as they are, those before it as their weekday ahead.
    """
    n, scenarios, days = paths.shape
    spread = np.zeros((n, scenarios, days + WEEK - 1), dtype=np.float32)  # begins six days before tomorrow
    spread[:, :, WEEK - 1 :] = paths
    for end in range(ends - 1, days, WEEK):
        total = paths[:, :, end]
        first = np.floor(WEEK * uniforms[:, end])
        whole = total == np.floor(total)
        reached = [np.where(whole, np.floor((total * k + first) / WEEK), total * k / WEEK) for k in range(WEEK + 1)]
        spread[:, :, end + WEEK - 1] = 0
        for k in range(WEEK):
            spread[:, :, end + k] += reached[k + 1] - reached[k]
    ahead = spread[:, :, WEEK - 1 : days]
    behind = ahead[:, :, :WEEK].copy()
    behind[:, :, ends:] = spread[:, :, ends - 1 : WEEK - 1]
    return ahead, behind


def sold_since(days: I64, behind: F32) -> F32:
    """Units (rows, scenario) sold on the days that nobody reported.

    Args:
        days: (rows, 7) from `unreported_days`.
        behind: (rows, scenario, 7) what sells on such a day.
    """
    return np.asarray(np.einsum("nk,nsk->ns", days.astype(np.float32), behind), dtype=np.float32)


def taken_from(stock: F64, sold: F32) -> F32:
    """Units (rows, scenario) that left this stock (rows,): what sold since, and never more than was there."""
    return np.minimum(sold, np.maximum(stock, 0.0).astype(np.float32)[:, None])
