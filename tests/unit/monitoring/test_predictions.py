"""What a night's forecasts look like: sums checked by hand, the same units every night, and what cannot be told is missing."""

from __future__ import annotations

import math
from datetime import date

import polars as pl

from monitoring.predictions import prediction_features, sampled_units

ORIGIN = date(2025, 1, 6)


def forecasts(item: str, horizons: range, mean: float) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": item, "site_id": "S1", "origin_date": ORIGIN, "horizon_days": list(horizons),
            "demand_qty_ea_mean": [mean * h for h in horizons], "demand_qty_ea_p10": 1.0, "demand_qty_ea_p90": 4.0, "demand_class": "smooth",
        }
    )  # fmt: skip


def features(**means: float | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"item_id": list(means), "site_id": "S1", "feature_date": ORIGIN, "sales_qty_ea_mean_28d": list(means.values())},
        schema_overrides={"sales_qty_ea_mean_28d": pl.Float64},
    )  # fmt: skip


def test_a_week_of_horizons_beside_what_was_sold_of_late() -> None:
    rows = prediction_features(forecasts("A", range(1, 29), 2.0), features(A=7.9))
    (row,) = rows.to_dicts()
    assert row["demand_class"] == "smooth" and row["forecast_week_ea"] == 2.0 * (1 + 2 + 3 + 4 + 5 + 6 + 7)
    assert math.isclose(row["forecast_vs_recent_log"], math.log(56.5 / (7.9 * 7 + 0.5)))
    assert math.isclose(row["forecast_spread_frac"], 7 * 3.0 / 56.5)


def test_a_forecast_that_lacks_a_day_and_a_series_without_sales_are_missing_and_stay() -> None:
    both = pl.concat([forecasts("A", range(2, 9), 2.0), forecasts("B", range(1, 8), 2.0)])
    rows = prediction_features(both, features(A=1.0, B=None))
    assert rows["item_id"].to_list() == ["A", "B"]
    assert rows["forecast_week_ea"].is_null().to_list() == [True, False]
    assert rows["forecast_vs_recent_log"].is_null().to_list() == [True, True]


def test_the_sample_is_the_same_whatever_comes_beside_it() -> None:
    units = pl.DataFrame({"item_id": [f"I{i:04}" for i in range(900)], "site_id": "S1"})
    picked = sampled_units(units, 200)
    assert picked.equals(sampled_units(pl.concat([units.reverse(), units]), 200)) and picked.height == 200
    fewer = units.join(picked.head(10), on=["item_id", "site_id"], how="anti")
    kept = sampled_units(fewer, 200).join(picked, on=["item_id", "site_id"], how="semi")
    assert kept.height == 190, "units that leave are replaced one by one, the others stay"
    assert sampled_units(units.head(50), 200).height == 50
