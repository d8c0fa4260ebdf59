"""Every kind of bad panel: refused or treated, in words that name series and count."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from ml.panel import PanelData, build_panel

WEEK = timedelta(weeks=1)
START = date(2024, 1, 1)


def long(series: int = 2, periods: int = 30, step: timedelta = WEEK) -> pl.DataFrame:
    rows = [(f"S{s}", START + step * t, float((s + t) % 4)) for s in range(series) for t in range(periods)]
    return pl.DataFrame(rows, schema=["store", "week", "units"], orient="row")


def build(frame: pl.DataFrame, **kw: object) -> PanelData:
    args: dict[str, object] = {"keys": ["store"], "time": "week", "target": "units", "freq": "W", "horizon": 4} | kw
    return build_panel(frame, **args)  # type: ignore[arg-type]


def test_a_clean_panel_is_wide_and_says_nothing() -> None:
    panel = build(long(), freq="W")
    assert panel.y.shape == (2, 30) and panel.y[1, 2] == 3.0
    assert panel.day(0) == START and panel.day(30) == START + 30 * WEEK
    assert [n for n in panel.notes if "shorter than a season" not in n] == []


def test_duplicate_keys_are_refused_with_series_and_count() -> None:
    with pytest.raises(BadInputError, match=r"several rows of one series and period, first for store=S0 .*2 of them"):
        build(pl.concat([long(), long().head(1)]))


def test_infinite_targets_are_refused_with_series_and_count() -> None:
    frame = long().with_columns(pl.when(pl.col("store") == "S1").then(float("inf")).otherwise("units").alias("units"))
    with pytest.raises(BadInputError, match=r"infinite targets, first in series store=S1 .*30 of them"):
        build(frame)


def test_irregular_weekly_dates_are_refused_with_the_count() -> None:
    frame = long()
    moved = frame.with_row_index().with_columns(
        pl.when(pl.col("index").is_in([3, 9])).then(pl.col("week") + timedelta(days=2)).otherwise("week").alias("week")
    )
    with pytest.raises(BadInputError, match=r"several weekdays .*2 of them"):
        build(moved.drop("index"))


def test_days_inside_a_month_are_read_as_that_month() -> None:
    frame = pl.DataFrame(
        {
            "store": ["A"] * 4,
            "week": [date(2024, 1, 31), date(2024, 2, 3), date(2024, 3, 15), date(2024, 4, 1)],
            "units": [1.0, 2, 3, 4],
        }
    )
    panel = build(frame, freq="M")
    assert panel.y.tolist() == [[1, 2, 3, 4]] and panel.day(4) == date(2024, 5, 1)


def test_gaps_are_unknown_and_counted_or_zero_when_asked() -> None:
    frame = long().filter(~((pl.col("store") == "S0") & pl.col("week").is_between(START + 5 * WEEK, START + 7 * WEEK)))
    panel = build(frame)
    assert np.isnan(panel.y[0, 5:8]).all() and "3 missing periods inside 1 series: not known" in panel.notes
    zero = build(frame, gaps="zero")
    assert (zero.y[0, 5:8] == 0).all() and "3 missing periods inside 1 series: no sale (zero)" in zero.notes
    sold = frame.with_columns(pl.col("units").clip(1))
    for of, gaps, told in (
        (sold, "unknown", True),
        (sold, "zero", False),
        (frame.with_columns(units=pl.lit(0.0)), "unknown", False),
    ):
        assert any("no row says zero" in note for note in build(of, gaps=gaps).notes) is told


def test_a_series_that_ended_early_is_said() -> None:
    frame = long().filter((pl.col("store") == "S1") | (pl.col("week") < START + 20 * WEEK))
    assert any("1 series end before the panel's last period" in n for n in build(frame).notes)


def test_negative_targets_are_read_as_zero_and_counted() -> None:
    frame = long().with_columns(pl.when(pl.col("units") == 3).then(-5.0).otherwise("units").alias("units"))
    panel = build(frame)
    assert np.nanmin(panel.y) == 0
    assert any(n.startswith("14 negative targets in 2 series read as zero demand") for n in panel.notes)


def test_missing_targets_are_not_known() -> None:
    frame = long().with_columns(pl.when(pl.col("units") == 3).then(None).otherwise("units").alias("units"))
    panel = build(frame)
    assert int(np.isnan(panel.y).sum()) == 14
    assert any(n.startswith("14 missing targets in 2 series") for n in panel.notes)


def test_out_of_stock_periods_are_masked_and_counted() -> None:
    panel = build(long().with_columns((pl.col("units") != 0).alias("ok")), in_stock="ok")
    assert int(np.isnan(panel.y).sum()) == 15 and not np.isnan(panel.sales).any()
    assert "15 periods out of stock in 2 series masked as censored demand" in panel.notes


def test_all_zero_short_and_single_series_are_said() -> None:
    zero = build(long().with_columns(pl.lit(0.0).alias("units")))
    assert any("2 series sold nothing at all" in n for n in zero.notes)
    assert any("2 series are shorter than a season of 52" in n for n in build(long()).notes)
    assert any("one series only" in n for n in build(long(1)).notes)
    assert build(long(1), keys=[]).keys["series"].to_list() == ["all"]


def test_a_future_frame_that_does_not_cover_the_horizon_is_refused_with_series_and_count() -> None:
    frame = long().with_columns(pl.lit(1.0).alias("price"))
    ahead = pl.DataFrame(
        [("S0", START + (30 + k) * WEEK, 1.0) for k in range(4)], schema=["store", "week", "price"], orient="row"
    )
    with pytest.raises(
        BadInputError, match=r"does not cover all 4 periods ahead, first for series store=S0 .*2 of them"
    ):
        build(frame, future=ahead.head(3))
    some = build(frame, future=ahead)
    assert "the future file lacks 4 rows of 1 series, first store=S1: their covariates are not known then" in some.notes
    assert np.isnan(some.future["price"][1, 30:]).all()
    both = pl.concat([ahead, ahead.with_columns(pl.lit("S1").alias("store"))])
    assert build(frame, future=both).future["price"].shape == (2, 34)
    with pytest.raises(BadInputError, match=r"infinite values"):
        build(frame, future=both.with_columns(pl.lit(float("inf")).alias("price")))


def test_a_future_column_without_a_past_is_not_used_and_said() -> None:
    ahead = pl.DataFrame(
        [(f"S{s}", START + (30 + k) * WEEK, 1.0) for s in range(2) for k in range(4)],
        schema=["store", "week", "promo"],
        orient="row",
    )
    panel = build(long(), future=ahead)
    assert panel.future == {} and "future column promo has no past in the panel: not used" in panel.notes


def test_static_attributes_become_numbers_and_codes() -> None:
    static = pl.DataFrame({"store": ["S1", "S0"], "size": [2.0, 1.0], "region": ["west", "east"]})
    panel = build(long(), static=static)
    assert panel.static["static_size"].tolist() == [1.0, 2.0] and panel.static["static_region"].tolist() == [0.0, 1.0]
    assert "static_region" in panel.coded
    with pytest.raises(BadInputError, match="several rows of one series"):
        build(long(), static=pl.concat([static, static]))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (long().drop("units"), "columns are missing: units"),
        (long().clear(), "the panel has no rows"),
        (long().with_columns(pl.lit("soon").alias("week")), "holds .soon., which is no day .*60 of them"),
        (long().with_columns(pl.lit(3).alias("week")), "is not a date but"),
        (long().with_columns(pl.lit("many").alias("units")), "targets are not numbers .*60 of them"),
        (long().with_columns(pl.lit(None, dtype=pl.String).alias("store")), "rows without a key"),
    ],
)
def test_what_cannot_be_read_is_refused(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        build(frame)


def test_dates_as_text_and_integer_keys_are_read() -> None:
    frame = long().with_columns(pl.col("week").cast(pl.String), pl.col("store").str.slice(1).cast(pl.Int64))
    assert build(frame).y.shape == (2, 30)


def test_a_calendar_counts_for_every_series_and_brings_its_own_past() -> None:
    days = [START + WEEK * t for t in range(-3, 40)]
    calendar = pl.DataFrame({"week": days, "feast": [float(d.month == 12) for d in days]})
    panel = build(long(), future=calendar)
    assert any("no column store: a row counts for every store" in n for n in panel.notes)
    expected = [float((START + WEEK * t).month == 12) for t in range(34)]
    assert panel.future["feast"].tolist() == [expected, expected]
    ahead_only = build(long(), future=calendar.filter(pl.col("week") >= START + 30 * WEEK))
    assert "feast" not in ahead_only.future
    assert any("feast has no past in the panel: not used" in n for n in ahead_only.notes)


def test_attributes_of_one_key_count_for_every_series_that_shares_it() -> None:
    frame = pl.concat([long().with_columns(item=pl.lit(i)) for i in ("x", "y")])
    static = pl.DataFrame({"store": ["S0", "S1"], "size": [10.0, 20.0]})
    panel = build(frame, keys=["store", "item"], static=static)
    assert panel.static["static_size"].tolist() == [10.0, 10.0, 20.0, 20.0]


def test_series_of_a_static_file_that_are_not_in_the_panel_are_named() -> None:
    static = pl.DataFrame({"store": ["S0", "S1", "S9"], "size": [10.0, 20.0, 30.0]})
    assert any(
        "1 series of the static file are not in the panel, first store=S9" in n
        for n in build(long(), static=static).notes
    )


def test_attributes_with_too_many_texts_are_said_not_to_be_used() -> None:
    static = pl.DataFrame({"store": [f"S{i}" for i in range(401)], "name": [f"N{i}" for i in range(401)]})
    panel = build(long(401, 4), static=static)
    assert "static_name" not in panel.static
    assert any("static column name has more than 400 values" in n for n in panel.notes)


@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), ("True", "FALSE"), ("1", "0"), (" Y ", "n")])
def test_in_stock_may_be_written_in_words(yes: str, no: str) -> None:
    frame = long().with_columns(
        pl.when(pl.col("week") == START).then(pl.lit(no)).otherwise(pl.lit(yes)).alias("stocked")
    )
    panel = build(frame, in_stock="stocked")
    assert np.isnan(panel.y[:, 0]).all() and not np.isnan(panel.y[:, 1:]).any()


def test_in_stock_that_is_neither_true_nor_false_is_refused_and_empty_is_said() -> None:
    with pytest.raises(BadInputError, match=r"'maybe', which is neither true nor false .*60 of them"):
        build(long().with_columns(stocked=pl.lit("maybe")), in_stock="stocked")
    panel = build(long().with_columns(stocked=pl.lit(None, dtype=pl.Boolean)), in_stock="stocked")
    assert any("60 rows do not say whether stocked was true" in n for n in panel.notes)


def test_weekly_rows_read_as_days_are_said_to_be_few() -> None:
    panel = build(long(), freq="D")
    assert any("more than 80% of the periods have no row" in n for n in panel.notes)
    assert not any("have no row" in n for n in build(long()).notes)
