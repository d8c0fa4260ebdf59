"""Labels and what was announced, row by row beside a plain reading: what a model learns from, and nothing that was said later."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.registry import TABLES
from aios_assets.marts.versions import statements
from aios_assets.tabular import read_master
from ml.datasets import Covariates, Encoding, demand_frame, describe, promoted_days
from ml.features import demand_features
from tests.unit.ml.conftest import FIRST, cutoff, labels_as_of, make_versions

Row = dict[str, Any]


def hostile(seed: int) -> pl.DataFrame:
    """Labels with returns beyond sales, stock-outs, suspects and missing days."""
    draw = random.Random(seed)
    labels = labels_as_of(make_versions(seed, items=3, sites=2, days=60), cutoff(FIRST + timedelta(days=59)))
    sold = [draw.choice([q, q, q, -q, -1.0]) for q in labels["sales_qty_ea"]]
    return labels.with_columns(
        pl.Series("sales_qty_ea", sold), pl.Series("is_suspect", [draw.random() < 0.1 for _ in sold])
    )


def test_labels_are_what_was_sold_never_below_zero_and_days_without_stock_stand_apart() -> None:
    labels, origins = hostile(4), [FIRST + timedelta(days=k) for k in (20, 26, 33)]
    features = demand_features(make_versions(4, items=3, sites=2, days=60), origins, cutoff)
    frame = demand_frame(features, Covariates(), Encoding.fit(features), labels=labels)
    told = {(r["item_id"], r["site_id"], r["demand_date"]): r for r in labels.iter_rows(named=True)}
    kept, bounds, counts = [], [], {"no_report": 0, "suspect": 0, "stockout_censored": 0, "net_returns": 0}
    for row in features.sort("item_id", "site_id", "feature_date").iter_rows(named=True):
        for ahead in range(1, 29):
            day = told.get((row["item_id"], row["site_id"], row["feature_date"] + timedelta(days=ahead)))
            if day is None or day["is_suspect"]:
                counts["no_report" if day is None else "suspect"] += 1
                continue
            counts["stockout_censored"] += day["is_stockout"]
            counts["net_returns"] += day["sales_qty_ea"] < 0
            (bounds if day["is_stockout"] else kept).append(max(day["sales_qty_ea"], 0.0))
    assert frame.design.y is not None and frame.censored is not None and frame.censored.y is not None
    assert (frame.design.y.tolist(), frame.censored.y.tolist()) == (kept, bounds)
    figures = describe(frame)
    assert {k: figures[f"rows_{k}"] for k in counts} == counts and counts["net_returns"] > 0


def test_a_model_learns_only_from_days_on_which_it_would_have_been_asked() -> None:
    """A history that reached us at once on its 50th day: nothing was known before, and nothing is learned of the days before."""
    arrived = FIRST + timedelta(days=50)
    versions = make_versions(5, items=2, sites=2, days=90)
    at_once = pl.max_horizontal(
        "available_at_utc", pl.lit(cutoff(arrived) - timedelta(hours=3)).cast(pl.Datetime("us", "UTC"))
    )
    stays = pl.col("superseded_at_utc").is_null() | (pl.col("superseded_at_utc") > at_once)
    versions = versions.filter(stays).with_columns(at_once)
    labels = labels_as_of(versions, cutoff(FIRST + timedelta(days=89)))
    origins = [FIRST + timedelta(days=k) for k in (13, 27, 48, 50, 55)]
    keys = versions.select("item_id", "site_id").unique()
    asked = keys.join(pl.DataFrame({"feature_date": origins}), how="cross")
    known = demand_features(versions, origins, cutoff)
    features = asked.join(known, on=asked.columns, how="left").with_columns(
        available_at_utc=pl.col("feature_date").map_elements(cutoff, pl.Datetime("us", "UTC"))
    )
    frame = demand_frame(features, Covariates(), Encoding.fit(features), labels=labels)
    assert set(frame.rows["origin_date"]) == {arrived, arrived + timedelta(days=5)}
    figures = describe(frame)
    assert figures["rows_nothing_known"] == 3 * 4 * 28 and figures["rows_asked"] == 5 * 4 * 28
    assert figures["rows_asked"] == sum(v for k, v in figures.items() if k not in ("rows_asked", "rows_net_returns"))
    assert frame.design.scale.min() > 0.1 and not np.isnan(frame.design.x[:, frame.design.names.index("mean_28")]).any()
    few = demand_frame(features, Covariates(), Encoding.fit(features), labels=labels, most_rows=60)
    assert set(few.rows["origin_date"]) <= set(frame.rows["origin_date"])
    figures = describe(few)
    assert figures["rows_asked"] == sum(v for k, v in figures.items() if k not in ("rows_asked", "rows_net_returns"))
    before = features.filter(pl.col("feature_date") < arrived)
    assert demand_frame(before, Covariates(), Encoding.fit(before)).design.rows == 3 * 4 * 28, (
        "asked to score, it answers"
    )
    with pytest.raises(
        BadInputError, match=r"nothing was known at any day to learn from .* 12 of them.*wait eight weeks"
    ):
        demand_frame(before, Covariates(), Encoding.fit(before), labels=labels)


def stated(seed: int) -> pl.DataFrame:
    """Whole lists of promotions, delivered again and again: some change, some go on, one comes twice at once."""
    draw, rows = random.Random(seed), []
    said: dict[str, Row] = {}
    for n in range(8):
        known = cutoff(FIRST + timedelta(days=3 * n)) - timedelta(hours=draw.choice([0, 1]))
        for promotion in ("P1", "P2", "P3"):
            if promotion not in said or draw.random() < 0.3:
                start = FIRST + timedelta(days=draw.randrange(15, 45))
                said[promotion] = {
                    "promotion_id": promotion, "item_id": "I0", "site_id": "S0", "start_date": start,
                    "end_date": start + timedelta(days=draw.randrange(1, 5)), "promo_price_usd": float(draw.randrange(1, 4)),
                }  # fmt: skip
            rows.append(said[promotion] | {"document_id": f"d{n}", "line_no": 2, "available_at_utc": known})
    return pl.DataFrame(rows, schema=TABLES["raw_master__promotions"].schema)


def standing(rows: pl.DataFrame, instant: datetime) -> list[Row]:
    """Of each promotion what was said last by an instant."""
    last: dict[str, Row] = {}
    for row in rows.sort("available_at_utc", "document_id").iter_rows(named=True):
        if row["available_at_utc"] <= instant:
            last[row["promotion_id"]] = row
    return list(last.values())


def test_an_origin_sees_the_promotions_and_holidays_that_stood_then_however_often_the_list_came_again() -> None:
    versions = make_versions(6, items=1, sites=1, days=60)
    features = demand_features(versions, [FIRST + timedelta(days=k) for k in range(14, 26, 2)], cutoff)
    eve = {"holiday_date": FIRST + timedelta(days=30), "holiday_name": "eve", "is_closed": True, "line_no": 2}
    told = [eve | {"document_id": f"h{n}", "available_at_utc": cutoff(FIRST + timedelta(days=n))} for n in (10, 17, 55)]
    holidays = statements(
        pl.DataFrame(told, schema=TABLES["raw_master__holidays"].schema), ["holiday_date", "holiday_name"]
    )
    assert holidays["available_at_utc"].to_list() == [cutoff(FIRST + timedelta(days=10))]
    seen = 0
    for seed in range(3):
        given = stated(seed)
        promotions = statements(given, ["promotion_id", "item_id", "site_id"])
        frame = demand_frame(features, Covariates(promotions, holidays), Encoding.fit(features))
        x = dict(zip(frame.design.names, frame.design.x.T, strict=True))
        for n, row in enumerate(frame.rows.iter_rows(named=True)):
            known = [
                p
                for p in standing(given, cutoff(row["origin_date"]))
                if p["start_date"] <= row["target_date"] < p["end_date"]
            ]
            assert x["is_promo"][n] == (len(known) > 0), (seed, row)
            seen += len(known)
    away = np.abs([(d - eve["holiday_date"]).days for d in frame.rows["target_date"]])  # type: ignore[operator]
    assert (x["is_closed"] == (away == 0)).all() and seen > 20


def test_a_holiday_that_was_withdrawn_is_none_for_origins_from_then_on() -> None:
    """Told on the sixteenth day, taken back on the twentieth in a file as people send it; another one stands."""
    versions = make_versions(6, items=1, sites=1, days=60)
    features = demand_features(versions, [FIRST + timedelta(days=k) for k in range(14, 26, 2)], cutoff)
    eve, fair = FIRST + timedelta(days=30), FIRST + timedelta(days=34)
    files = [
        (15, f"holiday_date,holiday_name,is_closed\n{eve},eve,true\n{fair},fair,true\n"),
        (20, f"holiday_date,holiday_name,is_closed,is_withdrawn\n{eve},eve,true,true\n{fair},fair,true,\n"),
    ]
    documents = pl.DataFrame([
        {"document_id": f"d{day}", "content": text.encode(), "source_uri": "master/holidays/list.csv", "mapping_json": None,
         "available_at_utc": cutoff(FIRST + timedelta(days=day))} for day, text in files
    ], schema_overrides={"mapping_json": pl.String})  # fmt: skip
    batch = read_master(documents)
    assert batch.rejects.is_empty()
    holidays = statements(batch.frames["raw_master__holidays"], ["holiday_date", "holiday_name"])
    frame = demand_frame(features, Covariates(holidays=holidays), Encoding.fit(features))
    closed = dict(zip(frame.design.names, frame.design.x.T, strict=True))["is_closed"]
    for n, (origin, target) in enumerate(frame.rows.select("origin_date", "target_date").iter_rows()):
        known = (origin - FIRST).days
        assert closed[n] == ((target == eve and 15 <= known < 20) or (target == fair and known >= 15)), (origin, target)
    assert closed.sum() > 5


def test_statements_stand_from_when_they_were_first_said_until_something_else_is() -> None:
    def at(day: int) -> datetime:
        return datetime(2026, 1, day, tzinfo=UTC)

    rows = [
        {"holiday_date": date(2026, 5, 1), "holiday_name": "may", "is_closed": closed, "document_id": document, "line_no": 2,
         "available_at_utc": at(day)}
        for closed, document, day in ((True, "c", 1), (True, "a", 2), (False, "b", 3), (False, "x", 4), (True, "y", 4), (True, "z", 9))
    ]  # fmt: skip
    found = statements(
        pl.DataFrame(rows, schema=TABLES["raw_master__holidays"].schema), ["holiday_date", "holiday_name"]
    )
    stretches = found.select("is_closed", "available_at_utc", "superseded_at_utc").rows()
    assert stretches == [(True, at(1), at(3)), (False, at(3), at(4)), (True, at(4), None)]


def test_a_promotion_until_further_notice_is_told_by_the_days_asked_for_and_no_others() -> None:
    known = cutoff(FIRST)
    given = [
        {"promotion_id": f"P{n}", "item_id": "I0", "site_id": "S0", "start_date": start, "end_date": end, "promo_price_usd": 1.0,
         "document_id": "d", "line_no": n, "available_at_utc": known}
        for n, (start, end) in enumerate([
            (date(1900, 1, 1), date(9999, 12, 31)), (FIRST, FIRST), (FIRST + timedelta(days=2), FIRST + timedelta(days=9)),
            (FIRST - timedelta(days=5), FIRST + timedelta(days=1)), (FIRST + timedelta(days=4), date(9999, 12, 31)),
        ])
    ]  # fmt: skip
    promotions, last = pl.DataFrame(given, schema=TABLES["raw_master__promotions"].schema), FIRST + timedelta(days=3)
    theirs = sorted(
        FIRST + timedelta(days=n) for n in range(4) for p in given if p["start_date"] <= FIRST + timedelta(days=n) < p["end_date"]
    )  # fmt: skip
    assert promoted_days(promotions, FIRST, last)["target_date"].sort().to_list() == theirs
