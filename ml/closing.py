"""Weekdays on which a site is closed: nothing was ever sold on them, while on nearly every other day something was.

A shop that is closed on Sundays sends nothing for them, so that they are unknown and no model learns that nothing is sold then; one
that counts its stock every night says zero, which an average of the last weeks spreads over all days.
What a feed leaves out of its Sundays and books on Mondays is right as well: forecasts are of what is reported.
"""

from __future__ import annotations

from calendar import day_name
from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.models.base import F64

# Whole weeks that are looked at, each weekday as often; and the share of its other days on which a site must have sold something.
WEEKS = 8
LEAST_REPORTED_FRAC = 0.75
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
CLOSED = pl.Schema({"site_id": pl.String(), "weekday": pl.Int8()})


def closed_weekdays(selling: pl.DataFrame, day: date) -> pl.DataFrame:
    """Sites and weekdays on which nothing is to be expected.

    Args:
        selling: site_id, demand_date of all days on which a site sold anything, as known on `day`.
        day: last business day known.

    Returns:
        site_id, weekday (1 is Monday), sorted; none for a site that sold nothing before the last `WEEKS` weeks.
    """
    first = day - timedelta(weeks=WEEKS)  # the day before the stretch
    days = selling.filter(pl.col("demand_date") <= day).select("site_id", "demand_date").unique()
    sites = days.select(pl.col("site_id").unique().sort()).with_row_index("s")
    known = days.join(sites, on="site_id", maintain_order="left")
    s, weekday = known["s"].to_numpy(), known["demand_date"].dt.weekday().to_numpy() - 1
    lately = (known["demand_date"] > first).to_numpy()
    seen = np.bincount(s[lately] * 7 + weekday[lately], minlength=sites.height * 7).reshape(sites.height, 7)
    older = np.bincount(s[~lately], minlength=sites.height) > 0
    site, day_no = np.nonzero(_never(seen, older))
    return pl.DataFrame({"site_id": sites["site_id"][site], "weekday": day_no + 1}, schema=CLOSED)


def closed_within_weeks(closed: pl.DataFrame, weeks: Mapping[str, int], day: date) -> pl.DataFrame:
    """The same with sites that report whole weeks as one figure: nothing is to be expected but on the day that ends their week.

    Args:
        closed: from `closed_weekdays`.
        weeks: by such a site the days from `day` to the end of its running week.
        day: last business day known.
    """
    ends = {site: (day + timedelta(days=left)).isoweekday() for site, left in weeks.items()}
    others = [(site, k) for site, end in sorted(ends.items()) for k in range(1, 8) if k != end]
    known = closed.filter(~pl.col("site_id").is_in(list(ends)))
    return pl.concat([known, pl.DataFrame(others, schema=CLOSED, orient="row")]).sort("site_id", "weekday")


def closed_in_panel(known: Flags, weekday: Places) -> Flags:
    """The same for series of a daily panel: (series, 7), true for a weekday on which nothing is to be expected.

    Args:
        known: (series, days) whether something was reported.
        weekday: (days,) 0 is Monday.
    """
    recent = 7 * WEEKS
    if known.shape[1] <= recent:
        return np.zeros((known.shape[0], 7), dtype=bool)
    seen = np.stack([known[:, -recent:][:, weekday[-recent:] == k].sum(axis=1) for k in range(7)], axis=1)
    older: Flags = np.asarray(known[:, :-recent].any(axis=1))
    return _never(seen, older)


def closed_as_zero(known: Flags, weekday: Places, mean: F64, quantiles: F64) -> tuple[F64, F64, list[str]]:
    """Forecasts of a daily panel, zero on weekdays of which a series never says anything, and a note if there are any.

    Args:
        known: (series, days) whether something was reported.
        weekday: (days + horizon,) 0 is Monday.
        mean: (series, horizon).
        quantiles: (series, horizon, levels).
    """
    closed = closed_in_panel(known, weekday[: known.shape[1]])
    if not closed.any():
        return mean, quantiles, []
    opened = ~closed[:, weekday[known.shape[1] :]]
    names = ", ".join(day_name[k] for k in np.flatnonzero(closed.any(axis=0)).tolist())
    note = f"{closed.any(axis=1).sum():,} series have no row of a weekday ({names}) for {WEEKS} weeks: forecast as zero there"
    return mean * opened, quantiles * opened[:, :, None], [note]


def _never(seen: Places, older: Flags) -> Flags:
    """Weekdays never seen of whoever was there before and reported most of the other days; `seen` counts `WEEKS` weeks."""
    never = seen == 0
    others = (7 - never.sum(axis=1)) * WEEKS
    reliable = older & (others > 0) & (seen.sum(axis=1) >= LEAST_REPORTED_FRAC * others)
    out: Flags = never & reliable[:, None]
    return out
