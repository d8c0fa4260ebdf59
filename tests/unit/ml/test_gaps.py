"""Series known only of the days on which they sold are found, whatever else their site reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.closing import CLOSED
from ml.gaps import known_of_too_few_days, told_in_stretches

DAY = date(2026, 3, 1)
STRETCH = 56
SCHEMA = {"item_id": pl.String, "site_id": pl.String, "demand_date": pl.Date, "sales_qty_ea": pl.Float64}


def found(
    rows: Sequence[tuple[str, str, int, float]],
    first: dict[tuple[str, str], int] | None = None,
    closed: tuple[tuple[str, int], ...] = (),
) -> list[tuple[str, str, int, int]]:
    """Rows are item, site, days before `DAY` and quantity; `first` is how long ago a series began."""
    sales = pl.DataFrame(
        [(i, s, DAY - timedelta(days=d), float(q)) for i, s, d, q in rows], schema=SCHEMA, orient="row"
    )
    began = {k: DAY - timedelta(days=d) for k, d in (first or {}).items()}
    firsts = pl.DataFrame([(*k, d) for k, d in began.items()], schema=["item_id", "site_id", "first_date"], orient="row") if began else (
        sales.group_by("item_id", "site_id").agg(pl.col("demand_date").min().alias("first_date"))
    )  # fmt: skip
    shut = pl.DataFrame(closed, schema=CLOSED, orient="row")
    return known_of_too_few_days(sales, firsts, shut, DAY).rows()


def test_a_till_that_lists_sales_only_is_found() -> None:
    slow = [("PART", "S", d, 1) for d in (3, 20, 50)]
    busy = [("MILK", "S", d, 9) for d in range(STRETCH)]
    assert found(slow + busy) == [("PART", "S", 3, 51)]
    # Alone at its site, no other item says on which days it was open.
    assert found(slow) == [("PART", "S", 3, 48)]
    # Sold long ago and once lately: its one day is not all of its days.
    assert found([("PART", "S", 0, 1)], {("PART", "S"): 200}) == [("PART", "S", 1, STRETCH)]


def test_zeros_of_a_weekly_count_do_not_hide_the_gaps() -> None:
    slow = [("PART", "S", d, 1) for d in (3, 20)] + [("PART", "S", d, 0) for d in range(0, STRETCH, 7)]
    busy = [("MILK", "S", d, 9) for d in range(STRETCH)]
    assert found(slow + busy) == [("PART", "S", 10, 50)]


def test_reports_that_are_lost_late_or_not_due_are_no_gap() -> None:
    every_day = [("A", "S", d, d % 2) for d in range(STRETCH)] + [("B", "S", d, 0) for d in range(STRETCH)]
    lost = [r for r in every_day if not 10 <= r[2] < 45]
    weekly = [("A", "S", d, 5) for d in range(7, STRETCH)]
    workdays = [("A", "S", d, 5) for d in range(STRETCH) if d % 7 not in (0, 1)]
    new = [*every_day, ("NEW", "S", 1, 4), ("NEW", "S", 0, 2)]
    for rows in (every_day, lost, weekly, workdays, new):
        assert found(rows) == []
    assert found([]) == []


def test_a_site_that_reports_whole_weeks_is_known_of_all_its_days() -> None:
    weekly = [("A", "S", d, 40) for d in range(0, STRETCH, 7)]
    sunday = DAY.isoweekday()
    assert found(weekly, closed=tuple(("S", k) for k in range(1, 8) if k != sunday)) == []
    assert found(weekly, closed=tuple(("T", k) for k in range(1, 8) if k != sunday)) == [("A", "S", 8, 50)]
    rare = [("A", "S", 0, 40), ("A", "S", 49, 40), ("B", "S", 7, 1)]
    assert found(rare, closed=tuple(("S", k) for k in range(1, 8) if k != sunday)) == [("A", "S", 2, 8)]


@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.sampled_from("ST"), st.integers(-3, 70), st.integers(0, 2)), max_size=60
    )
)
def test_against_a_plain_count(rows: list[tuple[str, str, int, int]]) -> None:
    rows = list({r[:3]: r for r in rows}.values())
    known = [r for r in rows if 0 <= r[2] < STRETCH]
    expected = []
    for item, site in sorted({r[:2] for r in known}):
        own = [r for r in known if r[:2] == (item, site)]
        began = min(max(d for i, s, d, _ in rows if (i, s) == (item, site)), STRETCH - 1)
        open_days = {d for _, s, d, _ in known if s == site}
        days = began - min(open_days) + 1 if all(q > 0 for *_, q in own) else len([d for d in open_days if d <= began])
        if len(own) < 0.5 * days:
            expected.append((item, site, len(own), days))
    assert found(rows) == expected


def told(days: Sequence[int], stretches: Sequence[int] = (), site: str = "S") -> pl.DataFrame:
    """Days before `DAY` of which sales were reported, and those of them that ended a stretch."""
    rows = [(site, DAY - timedelta(days=d), d in stretches) for d in days]
    return pl.DataFrame(
        rows, schema={"site_id": pl.String, "demand_date": pl.Date, "is_stretch": pl.Boolean}, orient="row"
    )


WEEKS_TOLD = range(0, STRETCH, 7)
DAYS_TOLD = range(STRETCH)


@pytest.mark.parametrize(
    ("reports", "found"),
    [
        (told(DAYS_TOLD), []),
        # Whole weeks, before the site is known to be closed on the other days; a first one; months, with a zero or not.
        (told(WEEKS_TOLD, WEEKS_TOLD), [("S", 2, 14)]),
        (told([0], [0]), [("S", 1, 14)]),
        (told([3, 33], [3, 33]), [("S", 1, 14)]),
        # It reported days, and reports weeks since one or two of them.
        (told([0, *range(7, STRETCH)], [0]), [("S", 8, 14)]),
        (told([0, 7, *range(14, STRETCH)], [0, 7]), [("S", 2, 14)]),
        # Sunday and Monday in one report; five days a week; the newest days come late; six of fourteen days were lost.
        (told([d for d in DAYS_TOLD if d % 7 != 1], WEEKS_TOLD), []),
        (told([d for d in DAYS_TOLD if d % 7 not in (1, 2)], WEEKS_TOLD), []),
        (told(range(9, STRETCH)), []),
        (told([d for d in DAYS_TOLD if not 3 <= d < 9]), []),
        # Weekly figures of a table that does not say so; a new site that opened three days ago.
        (told(WEEKS_TOLD), [("S", 2, 14)]),
        (told(range(3)), []),
        (told([]), []),
        (told([-1, *DAYS_TOLD], [-1]), []),
    ],
)
def test_sites_that_tell_stretches_are_found(reports: pl.DataFrame, found: list[tuple[str, int, int]]) -> None:
    none = pl.DataFrame([], schema=CLOSED, orient="row")
    assert told_in_stretches(reports, none, DAY).rows() == found


def test_weeks_are_no_stretches_where_the_other_days_are_closed() -> None:
    others = pl.DataFrame([("S", k) for k in range(1, 8) if k != DAY.isoweekday()], schema=CLOSED, orient="row")
    both = pl.concat([told(WEEKS_TOLD, WEEKS_TOLD), told([0, 30], [0, 30], "T")])
    assert told_in_stretches(both, others, DAY).rows() == [("T", 1, 14)]
