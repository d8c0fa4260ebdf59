"""Days summed to weeks where all of a week was told, and never where it was not."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from ml.weeks import as_weeks, told_days_before

SUNDAY = date(2025, 3, 2)
SCHEMA = {
    "item_id": pl.String, "site_id": pl.String, "demand_date": pl.Date, "sales_qty_ea": pl.Float64, "is_stockout": pl.Boolean,
    "price_usd": pl.Float64,
}  # fmt: skip
Row = tuple[str, str, date, float | None, bool, float | None]


def days(
    first: int, last: int, units: float = 2.0, item: str = "A", site: str = "S", closed: tuple[int, ...] = ()
) -> list[Row]:
    """Rows of the days from `first` to `last` days before the newest end of a week, but weekdays on which the site is closed."""
    dates = [SUNDAY - timedelta(days=k) for k in range(first, last - 1, -1)]
    return [(item, site, d, units, False, 1.0 + d.day) for d in dates if d.isoweekday() not in closed]


def weeks(count: int, units: float = 14.0, item: str = "A", site: str = "S") -> list[Row]:
    """Whole weeks as one figure, the newest ones."""
    return [(item, site, SUNDAY - timedelta(weeks=k), units, False, None) for k in range(count)]


def summed(*rows: list[Row]) -> dict[tuple[str, int], float]:
    """Units by item and weeks before the newest end."""
    frame = pl.DataFrame([r for part in rows for r in part], schema=SCHEMA, orient="row")
    out = as_weeks(frame, {"S": SUNDAY})
    assert out.schema == frame.schema and set(out["site_id"]) <= {"S"}
    assert {d.isoweekday() for d in out["demand_date"]} <= {7}
    return {
        (i, (SUNDAY - d).days // 7): q for i, d, q in out.select("item_id", "demand_date", "sales_qty_ea").iter_rows()
    }


def test_whole_weeks_of_days_are_summed_and_weeks_stay_as_they_are() -> None:
    # Days up to the Sunday before three weeks: the newest of their weeks is that of the change, and not believed.
    assert summed(weeks(3), days(55, 21)) == {("A", k): 14.0 for k in (0, 1, 2, 4, 5, 6, 7)}


def test_the_week_of_the_change_is_not_counted_twice() -> None:
    """Days up to Saturday, and on Sunday all of the week once more."""
    told = summed(weeks(4), days(55, 22))
    assert ("A", 3) not in told and told[("A", 4)] == 14.0


def test_a_week_with_a_day_missing_is_not_known() -> None:
    lost = [r for r in days(55, 21) if r[2] != SUNDAY - timedelta(days=31)]
    assert set(summed(weeks(3), lost)) == {("A", k) for k in (0, 1, 2, 5, 6, 7)}


def test_a_shop_that_is_closed_on_a_weekday_tells_whole_weeks_without_it() -> None:
    told = summed(weeks(3), days(55, 21, closed=(6,)))
    assert told == {("A", k): 14.0 if k < 3 else 12.0 for k in (0, 1, 2, 4, 5, 6, 7)}


def test_of_an_item_all_days_that_its_site_told_must_be_known() -> None:
    late = days(46, 21, item="B", units=1.0)  # begins on a Wednesday
    unknown = [(*r[:3], None, *r[4:]) for r in days(34, 34, item="B")]
    told = summed(weeks(3), days(55, 21), [r for r in late if r[2] != SUNDAY - timedelta(days=34)], unknown)  # type: ignore[list-item]
    assert {k: v for k, v in told.items() if k[0] == "B"} == {("B", 5): 7.0}


def test_stock_that_ran_out_and_the_last_price_are_those_of_the_week() -> None:
    rows = days(55, 21)
    rows[8] = (*rows[8][:4], True, rows[8][5])
    out = as_weeks(pl.DataFrame([*weeks(3), *rows], schema=SCHEMA, orient="row"), {"S": SUNDAY})
    found = out.filter(pl.col("demand_date") == SUNDAY - timedelta(weeks=6)).row(0, named=True)
    assert found["is_stockout"] and found["price_usd"] == 1.0 + (SUNDAY - timedelta(weeks=6)).day
    assert out["is_stockout"].sum() == 1


def test_who_always_told_weeks_told_no_days_before() -> None:
    rows = [*weeks(9, site="always"), *weeks(3, site="now"), *days(55, 21, site="now"), *days(55, 0, site="days")]
    reports = pl.DataFrame(rows, schema=SCHEMA, orient="row").select("site_id", "demand_date")
    assert told_days_before(reports, {"always": SUNDAY, "now": SUNDAY}) == ["now"]


def test_where_nobody_tells_weeks_nothing_is_summed() -> None:
    sales = pl.DataFrame(days(20, 0), schema=SCHEMA, orient="row")
    assert told_days_before(sales.select("site_id", "demand_date"), {}) == []
    assert as_weeks(sales, {}).is_empty()
