"""Features say what was known at each cut-off, whichever way they are computed."""

from __future__ import annotations

import itertools
import math
import statistics
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.mart_tables import FEAT_ITEM_SITE_DEMAND
from ml.features import demand_features, monthly_features
from ml.own_features import LAGS
from tests.unit.ml.conftest import FIRST, cutoff, make_versions


def naive(versions: pl.DataFrame, item: str, site: str, day: date) -> dict[str, float | None]:
    """The features of one row, read off the versions one by one (the independent answer)."""
    now = cutoff(day)
    seen = [
        r for r in versions.iter_rows(named=True)
        if r["demand_date"] <= day and r["available_at_utc"] <= now
        and (r["superseded_at_utc"] is None or r["superseded_at_utc"] > now)
    ]  # fmt: skip
    own = {r["demand_date"]: r for r in seen if r["item_id"] == item and r["site_id"] == site}

    def window(w: int) -> list[float]:
        return [own[d]["sales_qty_ea"] for k in range(w) if (d := day - timedelta(days=k)) in own]

    def mean_of(key: str, value: str) -> float | None:
        inside = [r for r in seen if r[key] == value and r["demand_date"] > day - timedelta(days=28)]
        reported = {r["demand_date"] for r in inside}
        return sum(r["sales_qty_ea"] for r in inside) / len(reported) if reported else None

    out: dict[str, float | None] = {}
    for k in LAGS:
        row = own.get(day - timedelta(days=k))
        out[f"sales_qty_ea_lag_{k}"] = row["sales_qty_ea"] if row else None
    for w in (7, 28, 56, 180):
        values = window(w)
        out[f"sales_qty_ea_mean_{w}d"] = statistics.fmean(values) if values else None
        out[f"sales_qty_ea_std_{w}d"] = statistics.pstdev(values) if values else None
        if w in (28, 180):
            out[f"zero_frac_{w}d"] = sum(v == 0 for v in values) / len(values) if values else None
    stock = [not own[d]["is_stockout"] for k in range(28) if (d := day - timedelta(days=k)) in own]
    out["in_stock_frac_28d"] = sum(stock) / len(stock) if stock else None
    year = day - timedelta(days=364)
    sold = [d for d, r in own.items() if r["sales_qty_ea"] > 0 and d >= year]
    out["days_since_sale"] = (day - max(sold)).days if sold else None
    out["days_on_sale"] = (day - min(sold)).days if sold else None
    told = [d for d in own if d >= year]
    out["days_reported"] = (day - min(told)).days if told else None
    weekly = [own[d]["sales_qty_ea"] for k in range(8) if (d := day - timedelta(days=7 * k)) in own]
    out["weekday_mean_56d"] = statistics.fmean(weekly) if weekly else None
    prices = {d: r["price_usd"] for d, r in own.items() if r["price_usd"] is not None and d >= year}
    last = prices[max(prices)] if prices else None
    recent = [p for d, p in prices.items() if d > day - timedelta(days=28)]
    out["price_usd_lag_0"] = last
    out["price_rel_28d"] = last / statistics.fmean(recent) if last is not None and recent else None
    out["site_sales_qty_ea_mean_28d"] = mean_of("site_id", site)
    out["item_sales_qty_ea_mean_28d"] = mean_of("item_id", item)
    return out


def assert_same(row: dict[str, object], expected: dict[str, float | None]) -> None:
    for name, value in expected.items():
        got = row[name]
        where = (name, row["item_id"], row["site_id"], row["feature_date"])
        if value is None:
            assert got is None, where
        else:
            assert isinstance(got, float) and math.isclose(got, value, rel_tol=2e-6, abs_tol=2e-6), (where, got, value)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_value_is_what_a_reader_of_that_night_could_have_seen(seed: int) -> None:
    versions = make_versions(seed)
    last = FIRST + timedelta(days=59)
    frame = demand_features(versions, (FIRST, last), cutoff)
    assert frame.schema == FEAT_ITEM_SITE_DEMAND.schema
    for row in frame.sample(150, seed=seed).iter_rows(named=True):
        assert_same(row, naive(versions, row["item_id"], row["site_id"], row["feature_date"]))
        assert row["available_at_utc"] == cutoff(row["feature_date"])


@pytest.mark.parametrize(("seed", "first"), [(1, 0), (2, 9), (4, 390)])
def test_the_compiled_kernel_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, seed: int, first: int) -> None:
    """Also with a history before the first day that is read, and with reports missing, late and corrected."""
    versions = make_versions(seed, days=first + 40)
    days = FIRST + timedelta(days=first), FIRST + timedelta(days=first + 39)
    plain = demand_features(versions, days, cutoff)
    monkeypatch.setattr("ml.features.COMPILE_FROM", 0)
    for at_once in (7, 512):
        monkeypatch.setattr("ml.features.COMPILED_DAYS", at_once)
        with_kernel = demand_features(versions, days, cutoff)
        assert plain.height > 200 and with_kernel.equals(plain, null_equal=True)
    alone = demand_features(versions, (days[1], days[1]), cutoff)
    assert alone.equals(plain.filter(pl.col("feature_date") == days[1]), null_equal=True)


@pytest.mark.parametrize("compile_from", [0, 10**9])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_night_that_reads_four_hundred_days_knows_what_the_whole_history_knows(
    monkeypatch: pytest.MonkeyPatch, seed: int, compile_from: int
) -> None:
    """Of items that sell or change their price once in a year or less, too: what a model learns from is what it is asked with."""
    monkeypatch.setattr("ml.features.COMPILE_FROM", compile_from)
    rare = pl.Series(np.random.default_rng(seed).random(20_000) < 0.004)
    versions = make_versions(seed, days=900, late_frac=0.02)
    versions = versions.with_columns(
        pl.when(rare[: versions.height]).then("sales_qty_ea").otherwise(0.0),
        pl.when(rare[: versions.height]).then("price_usd"),
    )
    last = FIRST + timedelta(days=899)
    whole = demand_features(versions, (last - timedelta(days=450), last), cutoff)
    for day in (last, last - timedelta(days=200), last - timedelta(days=449)):
        read = versions.filter(pl.col("demand_date") >= day - timedelta(days=400))
        night = demand_features(read, (day, day), cutoff)
        assert night.height == 6
        assert night.equals(whole.filter(pl.col("feature_date") == day), null_equal=True)
    assert whole["days_on_sale"].max() == 364 and whole["days_since_sale"].max() == 364
    assert whole["days_since_sale"].null_count() and whole["price_usd_lag_0"].null_count()
    for row in whole.sample(25, seed=seed).iter_rows(named=True):
        assert_same(row, naive(versions, row["item_id"], row["site_id"], row["feature_date"]))


@pytest.mark.parametrize("compile_from", [0, 10**9])
def test_an_item_that_is_sold_no_more_leaves_with_the_last_day_of_a_year_that_knows_it(
    monkeypatch: pytest.MonkeyPatch, compile_from: int
) -> None:
    """However far back is read; and it is there again when it comes back."""
    monkeypatch.setattr("ml.features.COMPILE_FROM", compile_from)
    versions, gone, back = (
        make_versions(3, days=900, late_frac=0.02),
        FIRST + timedelta(days=100),
        FIRST + timedelta(days=700),
    )
    is_away = (pl.col("item_id") == "I1") & pl.col("demand_date").is_between(gone, back, closed="left")
    versions = versions.filter(~is_away)
    whole = demand_features(versions, (FIRST + timedelta(days=80), FIRST + timedelta(days=899)), cutoff)
    for row in whole.sample(40, seed=4).iter_rows(named=True):
        assert_same(row, naive(versions, row["item_id"], row["site_id"], row["feature_date"]))
    there = whole.filter(pl.col("item_id") == "I1")["feature_date"].unique().to_list()
    away = {back - timedelta(days=k) for k in range(1, 700 - 100 - 364 + 1)}
    assert away.isdisjoint(there) and {gone + timedelta(days=363), back + timedelta(days=9)} <= set(there)
    for offset in (100, 463, 464, 470, 501, 699, 701, 899):
        day = FIRST + timedelta(days=offset)
        night = demand_features(versions.filter(pl.col("demand_date") >= day - timedelta(days=400)), (day, day), cutoff)
        assert night.equals(whole.filter(pl.col("feature_date") == day), null_equal=True), offset


def in_months(versions: pl.DataFrame) -> list[pl.DataFrame]:
    month = versions["demand_date"].dt.strftime("%Y-%m").alias("month")
    parts = versions.with_columns(month).partition_by("month", as_dict=True, include_key=False)
    return [part for _, part in sorted(parts.items())]


def withdrawn(versions: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Some of the newest versions are withdrawn three days after they were known, and nothing takes their place."""
    chosen = pl.Series(np.random.default_rng(seed).random(versions.height) < 0.05)
    gone = pl.col("available_at_utc") + pl.duration(days=3, hours=1)
    until = pl.when(chosen & pl.col("superseded_at_utc").is_null()).then(gone).otherwise(pl.col("superseded_at_utc"))
    return versions.with_columns(until.alias("superseded_at_utc"))


@pytest.mark.parametrize("compile_from", [0, 10**9])
@pytest.mark.parametrize(("seed", "first", "days"), [(1, 0, 75), (5, 33, 90), (6, 395, 440)])
def test_month_by_month_gives_the_same_bits_as_all_at_once(
    monkeypatch: pytest.MonkeyPatch, seed: int, first: int, days: int, compile_from: int
) -> None:
    """With reports missing, late (also over months), corrected and withdrawn, and series that begin later than others."""
    versions = withdrawn(make_versions(seed, items=4, sites=3, days=days, late_frac=0.15), seed)
    span = FIRST + timedelta(days=first), FIRST + timedelta(days=days - 1)
    expected = demand_features(versions, span, cutoff)
    for row in expected.sample(25, seed=seed).iter_rows(named=True):
        assert_same(row, naive(versions, row["item_id"], row["site_id"], row["feature_date"]))
    monkeypatch.setattr("ml.features.COMPILE_FROM", compile_from)
    assert demand_features(versions, span, cutoff).equals(expected, null_equal=True)
    for part_rows in (1, 800, 10**9):
        monkeypatch.setattr("ml.features.PART_ROWS", part_rows)
        parts = list(monthly_features(iter(in_months(versions)), span, cutoff))
        windows = [window for window, _ in parts]
        assert windows[0][0] == span[0] and windows[-1][1] == span[1] + timedelta(days=1)
        assert all(a[1] == b[0] and b[0].day == 1 for a, b in itertools.pairwise(windows))
        for (start, stop), rows in parts:  # kept until now: no later month was written over an earlier one
            inside = pl.col("feature_date").is_between(start, stop, closed="left")
            assert rows.equals(expected.filter(inside), null_equal=True)
        for (start, stop), rows in monthly_features(iter(in_months(versions)), span, cutoff):
            inside = pl.col("feature_date").is_between(start, stop, closed="left")
            assert rows.equals(expected.filter(inside), null_equal=True)
            del rows  # its memory is taken again


def test_a_month_before_the_first_report_has_no_rows_and_one_without_reports_has_all_series() -> None:
    versions = make_versions(2, days=20)
    span = FIRST - timedelta(days=40), FIRST + timedelta(days=70)
    parts = list(monthly_features(in_months(versions), span, cutoff))
    assert [window[0].isoformat() for window, _ in parts] == [
        "2022-11-22",
        "2022-12-01",
        "2023-01-01",
        "2023-02-01",
        "2023-03-01",
    ]
    assert [rows.height for _, rows in parts[:2]] == [0, 0]
    assert parts[3][1].height == 6 * 28 and parts[3][1]["sales_qty_ea_lag_0"].null_count() == 6 * 28
    nothing = list(monthly_features([versions.clear()], (FIRST, FIRST), cutoff))
    assert [(window, rows.height) for window, rows in nothing] == [((FIRST, FIRST + timedelta(days=1)), 0)]


def test_a_history_that_goes_back_in_days_is_refused(versions: pl.DataFrame) -> None:
    parts = in_months(versions)
    for wrong in (parts[::-1], [*parts, parts[-1]]):
        with pytest.raises(BadInputError, match="has to go up in days"):
            list(monthly_features(wrong, (FIRST, FIRST + timedelta(days=59)), cutoff))


def test_two_versions_valid_at_once_are_refused_in_any_month(versions: pl.DataFrame) -> None:
    newest = versions.filter(pl.col("is_current") & (pl.col("demand_date") >= date(2023, 2, 5))).head(2)
    with pytest.raises(BadInputError, match=r"two versions .* 2 of them"):
        list(monthly_features(in_months(pl.concat([versions, newest])), (FIRST, FIRST + timedelta(days=59)), cutoff))


def test_a_row_exists_from_the_first_known_report_on_even_without_a_report_that_day(versions: pl.DataFrame) -> None:
    last = FIRST + timedelta(days=59)
    frame = demand_features(versions, (FIRST, last), cutoff)
    firsts = versions.group_by("item_id", "site_id").agg(pl.col("available_at_utc").min())
    expected = sum(
        sum(cutoff(FIRST + timedelta(days=k)) >= first for k in range(60))
        for first in firsts["available_at_utc"].to_list()
    )
    assert frame.height == expected
    assert frame["sales_qty_ea_lag_0"].null_count() > 0
    assert frame.select("item_id", "site_id", "feature_date").is_duplicated().sum() == 0


def test_one_new_day_alone_equals_the_same_day_within_the_whole_history(versions: pl.DataFrame) -> None:
    whole = demand_features(versions, (FIRST, FIRST + timedelta(days=59)), cutoff)
    for offset in (20, 21, 40, 59):
        day = FIRST + timedelta(days=offset)
        alone = demand_features(versions, (day, day), cutoff)
        assert alone.equals(whole.filter(pl.col("feature_date") == day))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), offset=st.integers(5, 50))
def test_truncating_the_future_changes_nothing(seed: int, offset: int) -> None:
    versions = make_versions(seed, items=2, sites=2, days=55, late_frac=0.2)
    day = FIRST + timedelta(days=offset)
    past = versions.filter(pl.col("available_at_utc") <= cutoff(day))
    past = past.with_columns(
        pl.when(pl.col("superseded_at_utc") > cutoff(day))
        .then(None)
        .otherwise(pl.col("superseded_at_utc"))
        .alias("superseded_at_utc")
    )
    whole = demand_features(versions, (FIRST, FIRST + timedelta(days=54)), cutoff)
    seen = demand_features(past, (FIRST, day), cutoff)
    assert seen.equals(whole.filter(pl.col("feature_date") <= day))


def test_order_of_rows_does_not_matter(versions: pl.DataFrame) -> None:
    span = (FIRST + timedelta(days=30), FIRST + timedelta(days=40))
    assert demand_features(versions, span, cutoff).equals(
        demand_features(versions.sample(fraction=1, shuffle=True, seed=5), span, cutoff)
    )


def test_two_versions_valid_at_once_are_refused(versions: pl.DataFrame) -> None:
    twice = pl.concat([versions, versions.filter(pl.col("is_current")).head(3)])
    with pytest.raises(BadInputError, match=r"two versions .* 3 of them"):
        demand_features(twice, (FIRST, FIRST + timedelta(days=59)), cutoff)


def test_nothing_known_gives_no_rows(versions: pl.DataFrame) -> None:
    assert demand_features(versions.clear(), (FIRST, FIRST), cutoff).schema == FEAT_ITEM_SITE_DEMAND.schema
    assert demand_features(versions, (date(2022, 1, 1), date(2022, 1, 5)), cutoff).height == 0
