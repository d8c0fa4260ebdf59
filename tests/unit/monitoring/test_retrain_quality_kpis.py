"""Retraining requests, matured forecast quality, KPIs: against hand-computed answers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.decision_tables import MON_DRIFT, MON_FORECAST_QUALITY, MON_RETRAIN_REQUESTS, PRED_DEMAND_28D
from aios_assets.contracts.errors import BadInputError
from monitoring.gates import load_thresholds
from monitoring.kpis import business_kpis
from monitoring.quality import QUANTILE_COLUMNS, calibration, forecast_quality, matured, pit, seasonal_naive
from monitoring.retrain import RetrainDecision, decide_retrain

NOW = datetime(2025, 3, 2, 2, tzinfo=UTC)
FIRST = date(2025, 3, 1)


def drift_rows(flags: list[bool], first: date = FIRST) -> pl.DataFrame:
    rows = [
        {"drift_date": first + timedelta(days=i), "subject": "feat", "column_name": "y", "segment": "all", "method": "psi", "value": 0.5 if f else 0.01,
         "threshold": 0.2, "is_drifted": f, "reference_rows": 1000, "current_rows": 500, "available_at_utc": NOW}
        for i, f in enumerate(flags)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=MON_DRIFT.schema)


def play(flags: list[bool], quality: bool | None = True) -> list[date]:
    """Nights on which a request was made when every night is decided in turn."""
    requests = MON_RETRAIN_REQUESTS.empty()
    for i in range(len(flags)):
        night = FIRST + timedelta(days=i)
        decision = decide(drift_rows(flags[: i + 1]), requests, night, quality)
        requests = pl.concat([requests, decision.requests])
        # deciding the same night again never asks twice
        assert decide(drift_rows(flags[: i + 1]), requests, night, quality).requests.height == 0
    return requests["request_date"].to_list()


def decide(drift: pl.DataFrame, requests: pl.DataFrame, night: date, quality: bool | None) -> RetrainDecision:
    return decide_retrain(
        drift,
        requests,
        as_of=night,
        model_name="m",
        data_quality_ok=quality,
        available_at_utc=NOW,
        thresholds=load_thresholds(),
    )


def test_one_drift_gives_exactly_one_request_however_long_it_lasts() -> None:
    assert play([False, False, True, True, True] + [True] * 40) == [FIRST + timedelta(days=4)]


def test_single_odd_nights_ask_for_nothing() -> None:
    assert play([True, False, False, False, False, True, False] * 5) == []


def test_the_newest_night_must_drift() -> None:
    assert play([True, True, False, False, False, False]) == []
    assert play([True, True, False, True]) == [FIRST + timedelta(days=3)]


def test_a_second_drift_after_quiet_and_cooldown_asks_again() -> None:
    flags = [True] * 5 + [False] * 14 + [True] * 5
    assert play(flags) == [FIRST + timedelta(days=2), FIRST + timedelta(days=21)]


def test_cooldown_holds_back_a_drift_that_returns_at_once() -> None:
    assert play([True] * 4 + [False] * 2 + [True] * 5) == [FIRST + timedelta(days=2)]


@pytest.mark.parametrize("quality", [False, None])
def test_bad_or_unknown_data_quality_asks_for_nothing(quality: bool | None) -> None:
    assert play([True] * 8, quality) == []


def test_a_night_without_measurement_asks_for_nothing() -> None:
    decision = decide(drift_rows([True] * 5), MON_RETRAIN_REQUESTS.empty(), FIRST + timedelta(days=9), True)
    assert not decision.requested and "not measured" in decision.reason


def test_failed_quality_nights_count_as_alarms() -> None:
    nights = [FIRST + timedelta(days=i) for i in range(3)]
    decision = decide_retrain(
        drift_rows([False] * 3), MON_RETRAIN_REQUESTS.empty(), as_of=nights[-1], model_name="m", data_quality_ok=True, available_at_utc=NOW,
        thresholds=load_thresholds(), extra_alarms=dict.fromkeys(nights, "forecast_vs_naive failed"),
    )  # fmt: skip
    assert decision.requested and "forecast_vs_naive" in decision.reason


def actuals(days: int = 90, stockout: bool = False) -> pl.DataFrame:
    rows = [
        {"item_id": i, "site_id": "S", "demand_date": FIRST - timedelta(days=k), "sales_qty_ea": float(5 + (k % 7)), "is_stockout": stockout and k == 0,
         "closing_qty_ea": 20.0}
        for i in ("A", "B")
        for k in range(days)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def forecasts(mean: float = 8.0, version: str = "3", name: str = "lgbm") -> pl.DataFrame:
    rows = []
    for item, klass in (("A", "smooth"), ("B", "lumpy")):
        for h in (1, 2):
            row: dict[str, object] = {
                "item_id": item, "site_id": "S", "origin_date": FIRST - timedelta(days=2), "horizon_days": h,
                "target_date": FIRST - timedelta(days=2 - h), "demand_qty_ea_mean": mean, "model_name": name, "model_version": version,
                "model_digest": "d", "is_fallback": False, "fallback_reason": None, "demand_class": klass, "available_at_utc": NOW, "origin_month": "2025-02",
            }  # fmt: skip
            row |= {c: mean - 4 + 8 * q for q, c in QUANTILE_COLUMNS.items()}
            rows.append(row)
    return pl.DataFrame(rows, schema=PRED_DEMAND_28D.schema)


def test_quality_is_what_the_hand_computes() -> None:
    out = forecast_quality(forecasts(), actuals(), quality_date=FIRST, available_at_utc=NOW)
    assert out.schema == MON_FORECAST_QUALITY.schema
    row = out.filter((pl.col("demand_class") == "all") & (pl.col("model_name") == "lgbm")).row(0, named=True)
    y = np.array([6.0, 5.0] * 2)  # days −1 and 0
    q = np.array(list(QUANTILE_COLUMNS))
    levels = 8.0 - 4 + 8 * q
    pinball = np.maximum(q * (y[:, None] - levels), (q - 1) * (y[:, None] - levels)).mean()
    assert row["rows"] == 4
    assert row["wape_frac"] == pytest.approx(np.abs(8 - y).sum() / y.sum())
    assert row["bias_frac"] == pytest.approx((8 - y).sum() / y.sum())
    assert row["pinball_ea"] == pytest.approx(pinball)
    assert row["coverage80_frac"] == pytest.approx(((y >= 4.8) & (y <= 11.2)).mean())
    assert set(out["model_name"]) == {"lgbm", "seasonal_naive"}


def test_a_perfectly_seasonal_series_is_no_error_for_the_naive() -> None:
    out = forecast_quality(forecasts(), actuals(), quality_date=FIRST, available_at_utc=NOW)
    naive = out.filter((pl.col("model_name") == "seasonal_naive") & (pl.col("demand_class") == "all")).row(
        0, named=True
    )
    assert naive["wape_frac"] == pytest.approx(0.0)
    assert naive["rows"] == 4


def test_seasonal_naive_uses_nothing_after_the_origin() -> None:
    past = actuals().filter(pl.col("demand_date") <= FIRST - timedelta(days=2))
    keys = ["item_id", "target_date"]
    assert seasonal_naive(forecasts(), actuals()).sort(keys).equals(seasonal_naive(forecasts(), past).sort(keys))


def test_stockout_days_are_left_out_and_doubles_refused() -> None:
    assert matured(forecasts(), actuals(stockout=True), quality_date=FIRST).height == 2
    with pytest.raises(BadInputError, match="twice"):
        matured(forecasts(), pl.concat([actuals(), actuals()]), quality_date=FIRST)


def test_nothing_matured_gives_no_rows() -> None:
    assert (
        forecast_quality(forecasts(), actuals(), quality_date=FIRST - timedelta(days=30), available_at_utc=NOW).height
        == 0
    )


def test_calibration_and_pit_of_a_true_forecast() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    y = rng.poisson(30, n).astype(float)
    from scipy.stats import poisson

    rows = pl.DataFrame(
        {"actual_ea": y, "demand_class": "smooth"}
        | {c: np.full(n, float(poisson.ppf(q, 30))) for q, c in QUANTILE_COLUMNS.items()}
    )
    share = calibration(rows).filter(pl.col("demand_class") == "all")
    assert (share["share_frac"] >= share["quantile"] - 0.01).all()
    assert (share["share_frac"] <= share["quantile"] + 0.08).all()
    u = pit(rows, 1).to_numpy()
    assert abs(u.mean() - 0.5) < 0.03 and abs(np.mean((u > 0.1) & (u < 0.9)) - 0.8) < 0.05


def test_kpis_are_what_the_hand_computes() -> None:
    demand = actuals(84).with_columns(
        pl.when((pl.col("item_id") == "A") & (pl.col("demand_date") == FIRST))
        .then(0.0)
        .otherwise("sales_qty_ea")
        .alias("sales_qty_ea"),
        ((pl.col("item_id") == "A") & (pl.col("demand_date") == FIRST)).alias("is_stockout"),
    )
    out = {
        r["kpi_code"]: r
        for r in business_kpis(demand, kpi_date=FIRST, window_days=7, expedite_cost_usd=11.0).iter_rows(named=True)
    }
    week = 5 + 6 + 7 + 8 + 9 + 10 + 11
    lost = (week * 12 - 5) / 83
    sold = 2 * week - 5
    assert out["fill_rate_frac"]["value"] == pytest.approx(sold / (sold + lost))
    assert out["stockout_frac"]["value"] == pytest.approx(1 / 14)
    assert out["expedite_cost_usd_per_ea"]["value"] == pytest.approx(11 / sold)


def test_days_of_inventory() -> None:
    items = pl.DataFrame({"item_id": ["A", "B"], "unit_cost_usd": [2.0, 2.0]})
    out = business_kpis(actuals(84), kpi_date=FIRST, window_days=7, items=items)
    assert out.filter(pl.col("kpi_code") == "inventory_days")["value"][0] == pytest.approx(20.0 / 8.0)
    with pytest.raises(BadInputError, match="is_stockout"):
        business_kpis(actuals(8).drop("is_stockout"), kpi_date=FIRST)
