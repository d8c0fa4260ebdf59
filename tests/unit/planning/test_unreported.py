"""Sales that nobody has told yet: days since the stock report, and weeks told as one figure."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from planning.inputs import PlanInputs, PlanSpec
from planning.recommend import recommend
from planning.unreported import WEEK, sold_since, spread_over_weeks, taken_from, unreported_days, week_ends
from tests.unit.planning.planning_world import AS_OF, forecast, simple, stock

SPEC = PlanSpec(scenarios=256)
SATURDAY = date(2026, 1, 3)  # two days before AS_OF, a Monday


def reports(*days: tuple[str, date, bool]) -> pl.DataFrame:
    schema = {"site_id": pl.String, "demand_date": pl.Date, "is_stretch": pl.Boolean}
    return pl.DataFrame(list(days), schema=schema, orient="row")


def weeks_of(site: str, newest: date, count: int = 8, *, stretch: bool = True) -> list[tuple[str, date, bool]]:
    return [(site, newest - timedelta(weeks=k), stretch) for k in range(count)]


def days_of(site: str, newest: date, missing: tuple[int, ...] = ()) -> list[tuple[str, date, bool]]:
    return [(site, newest - timedelta(days=k), False) for k in range(56) if k not in missing]


def weekly(mean_a_day: float, newest: date = SATURDAY) -> pl.DataFrame:
    """The forecast of a site that reports weeks: all of a week on its last day, nothing on the others."""
    rows = forecast("A", "S1", mean_a_day * WEEK, spread=0.25)
    ends = (pl.col("target_date") - pl.lit(newest)).dt.total_days() % WEEK == 0
    figures = [c for c in rows.columns if c.startswith("demand_qty_ea_")]
    return rows.with_columns(pl.when(ends).then(pl.col(c)).otherwise(0.0).alias(c) for c in figures)


def test_who_reports_weeks_says_so_and_books_them_on_one_weekday() -> None:
    told = reports(
        *weeks_of("weeks", SATURDAY), *weeks_of("today", AS_OF), *weeks_of("late", SATURDAY - timedelta(weeks=1), 4),
        *weeks_of("market", SATURDAY, stretch=False), *weeks_of("new", SATURDAY, 2), *days_of("days", AS_OF),
        *weeks_of("both", SATURDAY), ("both", SATURDAY - timedelta(days=2), False),
        *weeks_of("once", AS_OF - timedelta(weeks=9)),
    )  # fmt: skip
    assert week_ends(told, AS_OF) == {"weeks": 5, "today": 7, "late": 5}


def test_a_site_that_changed_from_days_to_weeks_reports_weeks_from_the_third_on() -> None:
    for count, found in ((2, {}), (3, {"S": 5}), (6, {"S": 5})):
        changed = SATURDAY - timedelta(weeks=count)
        told = reports(*weeks_of("S", SATURDAY, count), *days_of("S", changed))
        assert week_ends(told, AS_OF) == found
    back = reports(*weeks_of("S", SATURDAY - timedelta(weeks=1), 3), *days_of("S", SATURDAY)[:4])
    assert week_ends(back, AS_OF) == {}


def test_days_nobody_reported_are_counted_as_a_plain_loop_counts_them() -> None:
    rng = np.random.default_rng(7)
    sites = ["weeks", "days", "never"]
    told = [*weeks_of("weeks", SATURDAY - timedelta(weeks=1)), *days_of("days", AS_OF, missing=(0, 2, 3, 9))]
    rows = [(site, AS_OF - timedelta(days=int(age))) for site in sites for age in rng.integers(-1, 14, 12)]
    book = pl.DataFrame([*rows, ("days", None)], schema={"site_id": pl.String, "stock_date": pl.Date}, orient="row")
    frame = reports(*told)
    found = unreported_days(book, frame, week_ends(frame, AS_OF), AS_OF)
    dates = {site: {d for s, d, _ in told if s == site} for site in sites}
    for (site, since), counts in zip(rows, found[:-1], strict=True):
        expected = [0] * WEEK
        day = since + timedelta(days=1)
        while day <= AS_OF:
            covered = day <= max(dates[site]) if site == "weeks" else day in dates[site]
            like = next(k for k in range(WEEK) if (AS_OF + timedelta(days=1 + k)).weekday() == day.weekday())
            expected[like] += not covered
            day += timedelta(days=1)
        assert counts.tolist() == expected, (site, since)
    assert not found[-1].any()
    assert not unreported_days(book, frame.clear(), {}, AS_OF).any()


@pytest.mark.parametrize("ends", range(1, WEEK + 1))
def test_a_week_told_as_one_figure_keeps_its_total_in_whole_units(ends: int) -> None:
    rng = np.random.default_rng(ends)
    days = 21 + WEEK - 1
    paths = np.zeros((3, 4000, days), dtype=np.float32)
    paths[:, :, ends - 1 :: WEEK] = rng.poisson([[[1.0]], [[0.3]], [[40.0]]], paths[:, :, ends - 1 :: WEEK].shape)
    ahead, behind = spread_over_weeks(paths, ends, rng.random((4000, days)).astype(np.float32))
    assert ahead.shape == (3, 4000, 21) and (ahead >= 0).all() and (ahead == np.round(ahead)).all()
    running = behind[:, :, ends:].sum(axis=2) + ahead[:, :, :ends].sum(axis=2)
    assert np.array_equal(running, paths[:, :, ends - 1])
    assert np.array_equal(ahead[:, :, ends : ends + WEEK].sum(axis=2), paths[:, :, ends - 1 + WEEK])
    assert np.allclose(ahead.mean(axis=(1, 2)), [1 / 7, 0.3 / 7, 40 / 7], rtol=0.1)
    assert np.allclose(ahead[2].mean(axis=0), 40 / 7, rtol=0.05), "no day of the week is preferred"
    assert np.array_equal(behind[:, :, :ends], ahead[:, :, :ends])


def test_what_sold_unreported_is_never_more_than_was_there() -> None:
    sold = sold_since(np.array([[0, 0, 0, 0, 0, 1, 2]]), np.arange(14, dtype=np.float32).reshape(1, 2, 7))
    assert sold.tolist() == [[17.0, 38.0]]
    assert taken_from(np.array([20.0]), sold).tolist() == [[17.0, 20.0]]
    assert taken_from(np.array([-1.0]), sold).tolist() == [[0.0, 0.0]]


def decided(inputs: PlanInputs) -> dict[str, object]:
    return recommend(inputs, AS_OF, SPEC).row(0, named=True)


def test_a_site_that_reports_weeks_is_planned_like_one_that_reports_days() -> None:
    told = reports(*weeks_of("S1", SATURDAY))
    told_weeks = simple(
        forecasts=weekly(5.0), stock=stock(("A", "S1", 30.0), day=SATURDAY), reports=told
    )  # fmt: skip
    told_days = dataclasses.replace(
        simple(), forecasts=forecast("A", "S1", 5.0, 0.6), stock=stock(("A", "S1", 20.0)), reports=None
    )
    weeks, days = decided(told_weeks), decided(told_days)
    assert weeks["decision_code"] == days["decision_code"] == "replenish"
    assert abs(weeks["quantity_ea"] - days["quantity_ea"]) <= 4, (weeks["quantity_ea"], days["quantity_ea"])  # type: ignore[operator]
    drivers = json.loads(str(weeks["drivers_json"]))
    assert drivers["unreported_days"] == 2 and 9 < drivers["unreported_qty_ea"] < 11
    said = f"Sales of 2 days since are not reported: {drivers['unreported_qty_ea']:g} are reckoned with, within the expected demand."
    assert said in str(weeks["reason"])
    left_late = decided(dataclasses.replace(told_weeks, reports=None))
    assert left_late["quantity_ea"] < weeks["quantity_ea"], "booked on Saturday, the week asks for nothing before"  # type: ignore[operator]


def test_the_stock_of_a_week_ago_is_taken_from_who_reports_weeks_only() -> None:
    friday_after = SATURDAY - timedelta(weeks=1)  # nine days old on AS_OF
    told = simple(
        forecasts=weekly(5.0), stock=stock(("A", "S1", 60.0), day=friday_after), reports=reports(*weeks_of("S1", friday_after, 7))
    )  # fmt: skip
    row = decided(told)
    drivers = json.loads(str(row["drivers_json"]))
    assert drivers["unreported_days"] == 9 and 42 < drivers["unreported_qty_ea"] < 48
    assert "9 days old, and at most 3 are taken" in str(decided(dataclasses.replace(told, reports=None))["reason"])
    older = stock(("A", "S1", 60.0), day=friday_after - timedelta(days=1))
    assert "10 days old, and at most 9 are taken" in str(decided(dataclasses.replace(told, stock=older))["reason"])


def test_a_day_whose_report_was_lost_counts_as_sold() -> None:
    told = simple(
        stock=stock(("A", "S1", 40.0), day=AS_OF - timedelta(days=2)), reports=reports(*days_of("S1", AS_OF, (0, 1)))
    )
    lost, reported = decided(told), decided(simple(40.0))
    known = decided(dataclasses.replace(told, reports=reports(*days_of("S1", AS_OF))))
    assert known["quantity_ea"] == reported["quantity_ea"]
    fewer = decided(simple(30.0))
    assert lost["quantity_ea"] > known["quantity_ea"] and abs(lost["quantity_ea"] - fewer["quantity_ea"]) <= 3  # type: ignore[operator]


@pytest.mark.parametrize("on_hand", [2.0, 12.0, 25.0, 60.0, 90.0])
def test_a_flip_counts_what_sold_unreported_on_the_changed_stock(on_hand: float) -> None:
    told = reports(*weeks_of("S1", SATURDAY))
    world = simple(forecasts=weekly(5.0), stock=stock(("A", "S1", on_hand), day=SATURDAY), reports=told)
    row = decided(world)
    flip = json.loads(str(row["flip_json"]))
    for less, turned in ((0, True), (1, False)):
        changed = on_hand + flip["change_ea"] - less * np.sign(flip["change_ea"])
        again = decided(dataclasses.replace(world, stock=stock(("A", "S1", changed), day=SATURDAY)))
        assert (again["decision_code"] != row["decision_code"]) is turned, (on_hand, flip, less)
