"""Effects of days of the month: planted ones come out, an origin knows nothing later, feasts do not speak for their day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from ml.backtest import cut
from ml.panel import PanelData, build_panel
from ml.panel_month import BEHIND, MonthDays

START, DAYS = date(2021, 2, 1), 3 * 365
PAYDAYS = {0: 1.5, 14: 1.3}


def world() -> PanelData:
    """Two series with a weekday profile: one sells more on paydays (1st and 15th), the other does not."""
    days = [START + timedelta(days=i) for i in range(DAYS)]
    weekday = np.array([1.0, 0.8, 0.9, 1.0, 1.2, 1.3, 0.8])[[d.weekday() for d in days]]
    pay = np.array([PAYDAYS.get(d.day - 1, 1.0) for d in days])
    mean = np.array([40 * weekday * pay, 90 * weekday])
    rows = pl.DataFrame({"k": np.repeat(["a", "b"], DAYS), "ds": days * 2}).with_columns(
        y=pl.Series(np.random.default_rng(4).poisson(mean).astype(float).ravel())
    )
    return build_panel(rows, ["k"], "ds", "y", "D", 28)


def at(months: MonthDays, series: int, origin: int, target: int) -> float:
    return float(months.columns(np.array([series]), np.array([origin]), np.array([target - origin]))["month_day"][0])


def test_planted_paydays_come_out_by_series() -> None:
    panel = world()
    months = MonthDays.of(panel)
    assert months is not None
    days = [panel.day(i) for i in range(DAYS, DAYS + 31)]
    usual = 1 + (0.5 + 0.3) / 30.4  # the mean that days are held against holds the paydays too
    for i, day in enumerate(days):
        expected = (PAYDAYS.get(day.day - 1, 1.0) / usual - 1) * 0.92  # drawn towards none by one and a half months
        assert at(months, 0, DAYS - 1, DAYS + i) == pytest.approx(expected, abs=0.12)
        assert at(months, 1, DAYS - 1, DAYS + i) == pytest.approx(0.0, abs=0.08)
    week = months.columns(np.array([0]), np.array([DAYS - 1]), np.array([1]))["month_day_week"][0]
    assert week == pytest.approx(np.mean([at(months, 0, DAYS - 1, DAYS - 1 - k) for k in range(7)]))


def test_an_origin_knows_nothing_later() -> None:
    panel = world()
    whole = MonthDays.of(panel)
    assert whole is not None
    s, h = np.repeat([0, 1], 40), np.tile(np.arange(1, 41), 2)
    for origin in (0, BEHIND, 45, 400, 731):
        known = MonthDays.of(cut(panel, origin + 1, 0))
        assert known is not None
        rows = s, np.full(s.size, origin), h
        for name, value in whole.columns(*rows).items():
            np.testing.assert_array_equal(value, known.columns(*rows)[name])
    changed = MonthDays.of(replace(panel, y=np.where(np.arange(DAYS) > 400, 1e6, panel.y)))
    assert changed is not None
    rows = s, np.full(s.size, 400), h
    np.testing.assert_array_equal(whole.columns(*rows)["month_day"], changed.columns(*rows)["month_day"])


def test_a_day_that_a_text_names_does_not_speak_for_its_day_of_the_month() -> None:
    panel = world()
    feast = np.array([(d := panel.day(i)).month % 4 == 0 and d.day == 25 for i in range(DAYS + 28)])
    closed = replace(panel, y=np.where(feast[:DAYS], 0.0, panel.y))
    told = replace(closed, future={"event": np.tile(np.where(feast, 1.0, np.nan), (2, 1))}, texts=("event",))
    target = next(i for i in range(DAYS, DAYS + 31) if panel.day(i).day == 25)
    blind, seeing = (MonthDays.of(p) for p in (closed, told))
    assert blind is not None and seeing is not None
    assert at(blind, 1, DAYS - 1, target) < -0.15
    assert at(seeing, 1, DAYS - 1, target) == pytest.approx(0.0, abs=0.08)


def test_weeks_have_no_days_of_the_month_and_what_is_not_known_says_nothing() -> None:
    assert MonthDays.of(replace(world(), freq="W")) is None
    for periods in (1, BEHIND, 40):
        months = MonthDays.of(cut(world(), periods, 0))
        assert months is not None and at(months, 0, periods - 1, periods + 5) == 0.0
    unknown = MonthDays.of(replace(world(), y=np.full((2, DAYS), np.nan)))
    assert unknown is not None and not unknown.effect.any()
