"""Weekdays on which a site is closed, by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from ml.closing import CLOSED, closed_in_panel, closed_weekdays, closed_within_weeks
from ml.forecasting import PanelSpec, forecast_panel
from ml.panel import build_panel

DAY = date(2026, 3, 1)  # a Sunday
REPORTED = pl.Schema({"site_id": pl.String(), "demand_date": pl.Date()})
MONDAY, SATURDAY, SUNDAY = 1, 6, 7


def reported(days: int, *closed: int, site: str = "S", without: tuple[int, ...] = ()) -> pl.DataFrame:
    """Days of which a site reported: all of the last `days` but closed weekdays and those so many days back."""
    all_days = (DAY - timedelta(days=n) for n in range(days) if n not in without)
    kept = [d for d in all_days if d.isoweekday() not in closed]
    return pl.DataFrame(
        {"site_id": [site] * len(kept), "demand_date": kept}, schema={"site_id": pl.String, "demand_date": pl.Date}
    )


@pytest.mark.parametrize(
    ("history", "closed"),
    [
        (reported(70), []),
        (reported(70, SUNDAY), [("S", SUNDAY)]),
        (reported(70, MONDAY, SATURDAY), [("S", MONDAY), ("S", SATURDAY)]),
        # One report of a Sunday within eight weeks, however long ago, and it is open on Sundays.
        (pl.concat([reported(70, SUNDAY), reported(50, without=tuple(range(49)))]), []),
        (pl.concat([reported(70, SUNDAY), reported(57, without=tuple(range(56)))]), [("S", SUNDAY)]),
        # The newest Saturday comes late; the seven before it are there.
        (reported(70, without=(1,)), []),
        # A new site: eight weeks are not over yet.
        (reported(56, SUNDAY), []),
        # Where reports are rare, a weekday without any is chance.
        (reported(70, SUNDAY, without=tuple(range(1, 56, 3))), []),
        (reported(70, SUNDAY, without=tuple(range(1, 56, 9))), [("S", SUNDAY)]),
        (reported(0), []),
    ],
)  # fmt: skip
def test_a_weekday_of_which_nothing_was_reported_for_eight_weeks_is_closed(
    history: pl.DataFrame, closed: list[tuple[str, int]]
) -> None:
    found = closed_weekdays(history, DAY)
    assert found.schema == CLOSED
    assert found.rows() == closed


def test_each_site_by_itself_and_later_days_change_nothing() -> None:
    history = pl.concat([reported(70, SUNDAY, site="B"), reported(70, site="A"), reported(70, SATURDAY, site="C")])
    assert closed_weekdays(history, DAY).rows() == [("B", SUNDAY), ("C", SATURDAY)]
    later = pl.DataFrame({"site_id": ["B"], "demand_date": [DAY + timedelta(days=7)]})
    assert closed_weekdays(pl.concat([history, later]), DAY).rows() == [("B", SUNDAY), ("C", SATURDAY)]


def test_series_of_a_panel_are_judged_by_the_same_rule() -> None:
    g, days = np.random.default_rng(2), 90
    known = g.random((200, days)) < g.choice([0.4, 0.8, 1.0], 200)[:, None]
    weekday = np.array([(DAY - timedelta(days=days - 1 - k)).weekday() for k in range(days)])
    for i in range(200):
        known[i, (weekday == i % 7) & (g.random() < 0.7)] = False
    known[:20, :40] = False  # new ones
    closed = closed_in_panel(known, weekday)
    assert 0.2 < closed.any(axis=1).mean() < 0.7
    for i in range(200):
        told = [DAY - timedelta(days=days - 1 - k) for k in np.flatnonzero(known[i]).tolist()]
        rows = pl.DataFrame({"site_id": ["S"] * len(told), "demand_date": told}, schema=REPORTED)
        assert closed_weekdays(rows, DAY)["weekday"].to_list() == [k + 1 for k in np.flatnonzero(closed[i]).tolist()]


def test_a_daily_panel_without_sundays_has_none_ahead_and_says_so() -> None:
    days = [DAY - timedelta(days=n) for n in range(119, -1, -1) if (DAY - timedelta(days=n)).isoweekday() != SUNDAY]
    g = np.random.default_rng(1)
    rows = pl.concat(
        pl.DataFrame({"k": [name] * len(days), "day": days, "units": g.poisson(5, len(days))}) for name in ("A", "B")
    )
    found = forecast_panel(
        build_panel(rows, ["k"], "day", "units", "D", 14), PanelSpec(horizon=14, model="window_average")
    )
    ahead = found.frame.with_columns(is_sunday=pl.col("day").dt.weekday() == SUNDAY)
    figures = ["mean", "q0.05", "q0.5", "q0.95"]
    assert ahead.filter("is_sunday").select(figures).unique().rows() == [(0, 0, 0, 0)]
    assert ahead.filter(~pl.col("is_sunday"))["mean"].min() > 3  # type: ignore[operator]
    assert "2 series have no row of a weekday (Sunday) for 8 weeks: forecast as zero there" in found.notes


def test_who_reports_whole_weeks_is_closed_on_the_days_before_their_end() -> None:
    known = pl.DataFrame([("A", 7), ("W", 1), ("W", 2)], schema=CLOSED, orient="row")
    found = closed_within_weeks(known, {"W": 3, "V": 7}, DAY)
    ends = {"W": (DAY + timedelta(days=3)).isoweekday(), "V": DAY.isoweekday()}
    expected = [("A", 7), *((site, k) for site in ("V", "W") for k in range(1, 8) if k != ends[site])]
    assert found.schema == CLOSED
    assert found.rows() == expected
    assert closed_within_weeks(known, {}, DAY).rows() == known.rows()
