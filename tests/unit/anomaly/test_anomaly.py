"""Anomalies: planted faults are found and named, quiet data stays quiet, money ranks, the budget holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.decision_tables import MON_FINDINGS
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import RAW_TELEMETRY_EXCURSIONS
from ml.anomaly import (
    demand_anomalies,
    finding_rows,
    lead_time_changes,
    rank_findings,
    regime_changes,
    sensor_drifts,
    stock_identity_breaks,
    telemetry_findings,
    unit_off_by_pack,
    unjudged_measures,
    value_on_board,
)  # fmt: skip
from ml.anomaly.demand import tail_probability

DAY = date(2025, 3, 1)
NOW = datetime(2025, 3, 2, 2, tzinfo=UTC)
PRICE = pl.DataFrame({"item_id": [f"I{i}" for i in range(400)], "unit_price_usd": 2.0, "unit_cost_usd": 1.0})


def day_rows(seed: int, n: int = 400, level: float = 12.0, pack: int = 12) -> pl.DataFrame:
    from scipy.stats import poisson

    rng = np.random.default_rng(seed)
    mean = np.full(n, level)
    return pl.DataFrame(
        {
            "item_id": [f"I{i}" for i in range(n)], "site_id": "S", "target_date": DAY, "actual_ea": rng.poisson(mean).astype(float),
            "demand_qty_ea_mean": mean, "demand_qty_ea_p05": poisson.ppf(0.05, mean), "demand_qty_ea_p95": poisson.ppf(0.95, mean), "pack_ea": pack,
        }
    )  # fmt: skip


def plant(rows: pl.DataFrame, item: str, value: float) -> pl.DataFrame:
    return rows.with_columns(pl.when(pl.col("item_id") == item).then(value).otherwise("actual_ea").alias("actual_ea"))


def test_tail_probabilities_are_the_negative_binomial() -> None:
    from scipy.stats import nbinom

    mean, sd = np.array([3.0, 10.0, 40.0]), np.array([3.0, 6.0, 20.0])
    y = np.array([0.0, 17.0, 90.0])
    var = sd**2
    size, p = mean**2 / (var - mean), mean / var
    low, high = tail_probability(y, mean, sd)
    assert np.allclose(low, nbinom.cdf(y, size, p)) and np.allclose(high, nbinom.sf(y - 1, size, p))


def test_quiet_days_give_few_findings_and_a_planted_one_is_found() -> None:
    quiet = sum(demand_anomalies(day_rows(s), available_at_utc=NOW).height for s in range(20))
    assert quiet <= 4
    found = demand_anomalies(plant(day_rows(3), "I7", 48.0), available_at_utc=NOW, unit_value=PRICE)
    row = found.filter(pl.col("item_id") == "I7").row(0, named=True)
    assert found.schema == MON_FINDINGS.schema
    assert row["money_at_risk_usd"] == pytest.approx(72.0)
    assert "48" in row["reason"] and "12.0" in row["reason"]
    assert demand_anomalies(day_rows(1).clear(), available_at_utc=NOW).height == 0


def test_unit_off_by_pack_is_told_from_a_plain_surge() -> None:
    rows = plant(plant(plant(day_rows(5), "I7", 144.0), "I9", 1.0), "I11", 40.0)
    found = unit_off_by_pack(rows, available_at_utc=NOW, unit_value=PRICE)
    assert set(found["item_id"]) == {"I7", "I9"}
    assert set(found["expected_value"]) == {12.0}
    assert unit_off_by_pack(day_rows(6), available_at_utc=NOW).height == 0


def history(seed: int, *, change: float = 1.0, item: str = "I3", season: float = 1.0, items: int = 30) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for d in range(70):
        day = DAY - timedelta(days=69 - d)
        for i in range(items):
            recent = d >= 56
            level = (
                6.0
                * (1 + 0.3 * np.sin(2 * np.pi * d / 7))
                * (season if recent else 1.0)
                * (change if recent and f"I{i}" == item else 1.0)
            )
            rows += [(f"I{i}", s, day, float(rng.poisson(level)), False) for s in ("A", "B")]
    return pl.DataFrame(rows, schema=["item_id", "site_id", "demand_date", "sales_qty_ea", "is_stockout"], orient="row")


def test_regime_change_is_found_and_season_of_the_group_is_not_one() -> None:
    group = pl.DataFrame({"item_id": [f"I{i}" for i in range(30)], "category_code": "c"})
    for change in (2.0, 0.4):
        found = regime_changes(
            history(1, change=change), as_of=DAY, available_at_utc=NOW, unit_value=PRICE, group=group
        )
        assert found["item_id"].to_list() == ["I3"]
        assert found["money_at_risk_usd"][0] > 100
    assert regime_changes(history(2, season=1.6), as_of=DAY, available_at_utc=NOW, group=group).height == 0
    assert (
        sum(regime_changes(history(s), as_of=DAY, available_at_utc=NOW, group=group).height for s in range(3, 9)) == 0
    )
    assert regime_changes(history(1).clear(), as_of=DAY, available_at_utc=NOW).height == 0


def test_stock_identity_names_the_gap() -> None:
    books = pl.DataFrame(
        {
            "item_id": ["A", "B", "C"], "site_id": "S", "inventory_date": DAY, "closing_qty_ea": [10.0, 10.0, 10.0],
            "residual_qty_ea": [0.0, 7.0, None], "document_id": ["d1", "d2", "d3"],
        }
    )  # fmt: skip
    found = stock_identity_breaks(
        books, available_at_utc=NOW, unit_value=pl.DataFrame({"item_id": ["B"], "unit_cost_usd": [3.0]})
    )
    row = found.row(0, named=True)
    assert found.height == 1 and row["item_id"] == "B"
    assert (row["money_at_risk_usd"], row["expected_value"], row["document_id"]) == (21.0, 17.0, "d2")


def lane_orders(seed: int, slow: float = 1.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for lane in range(6):
        for k in range(120):
            age = int(rng.integers(0, 300))
            days = max(int(rng.gamma(16, 0.6) * (slow if lane == 2 and age < 42 else 1.0)), 1)
            order = DAY - timedelta(days=age)
            received = order + timedelta(days=days)
            rows.append((f"{lane}-{k}", f"S{lane}", "D", order, received if received <= DAY else None, 10.0, 2.0))
    return pl.DataFrame(
        rows,
        schema=["order_number", "source_id", "site_id", "order_date", "received_date", "open_qty_ea", "unit_price_usd"],
        orient="row",
    )


def test_a_lane_that_slows_down_is_found_also_through_its_open_orders() -> None:
    found = lead_time_changes(lane_orders(1, slow=2.2), as_of=DAY, available_at_utc=NOW)
    assert found["subject"].to_list() == ["S2>D"]
    assert "slower" in found["reason"][0] and found["money_at_risk_usd"][0] > 0
    assert sum(lead_time_changes(lane_orders(s), as_of=DAY, available_at_utc=NOW).height for s in range(2, 10)) <= 1


def test_telemetry_excursions_become_findings_with_money_only_for_the_goods() -> None:
    at = datetime(2025, 3, 1, 23, 30, tzinfo=UTC)
    rows = [
        {"sensor_id": "T1", "measure_code": "temperature_c", "kind_code": k, "started_at_utc": at, "ended_at_utc": at + timedelta(minutes=40), "readings": 8,
         "peak_value": None if k == "gap" else 9.0, "limit_value": 5.0, "asset_id": "TR1", "shipment_id": "SH1", "document_id": "d", "available_at_utc": NOW}
        for k in ("high", "spike", "gap", "stuck")
    ]  # fmt: skip
    found = telemetry_findings(
        pl.DataFrame(rows, schema=RAW_TELEMETRY_EXCURSIONS.schema),
        available_at_utc=NOW,
        business_zone="Europe/Berlin",
        shipment_value_usd={"SH1": 900.0},
    )
    money = dict(found.select("kind_code", "money_at_risk_usd").iter_rows())
    assert money == {"telemetry_excursion": 900.0, "sensor_spike": None, "sensor_gap": None, "sensor_stuck": None}
    assert set(found["finding_date"]) == {date(2025, 3, 2)}
    assert telemetry_findings(RAW_TELEMETRY_EXCURSIONS.empty(), available_at_utc=NOW).height == 0


def test_an_excursion_that_goes_on_is_told_every_night_with_all_of_its_length() -> None:
    began = datetime(2025, 3, 1, 22, tzinfo=UTC)

    def night(hours: int) -> pl.DataFrame:
        row = {
            "sensor_id": "T1", "measure_code": "temperature_c", "kind_code": "high", "started_at_utc": began, "readings": 4 * hours,
            "ended_at_utc": began + timedelta(hours=hours), "peak_value": 9.0, "limit_value": 8.0, "asset_id": "TR1",
            "shipment_id": "SH1", "document_id": "d", "available_at_utc": NOW,
        }  # fmt: skip
        frame = pl.DataFrame([row], schema=RAW_TELEMETRY_EXCURSIONS.schema)
        return telemetry_findings(frame, available_at_utc=NOW, shipment_value_usd={"SH1": 900.0})

    first, second, third = night(1), night(20), night(40)
    new = second.join(first, on="finding_id", how="anti")
    assert new["finding_date"].to_list() == [date(2025, 3, 2)] and "for 1200 minutes" in new["reason"][0]
    newer = third.join(pl.concat([first, second]), on="finding_id", how="anti")
    assert newer["finding_date"].to_list() == [date(2025, 3, 3)] and "for 2400 minutes" in newer["reason"][0]
    assert set(pl.concat([first, new, newer])["money_at_risk_usd"]) == {900.0}


def test_value_on_board_is_what_the_lines_of_a_shipment_shipped_at_their_price() -> None:
    orders = pl.DataFrame({
        "shipment_id": ["A", "A", "B", None, "C"], "shipped_qty_ea": [10.0, 5.0, 2.0, 7.0, 3.0],
        "unit_price_usd": [2.0, 4.0, 1.5, 9.0, None],
    })  # fmt: skip
    assert value_on_board(orders) == {"A": 40.0, "B": 3.0}


def test_a_drifting_sensor_is_told_from_weather() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for s in range(8):
        for d in range(14):
            for h in range(0, 24, 3):
                at = datetime(2025, 2, 16, h, tzinfo=UTC) + timedelta(days=d)
                value = 4.0 + 0.4 * d + rng.normal(0, 0.3) + (0.25 * d if s == 5 else 0.0)
                rows.append((f"T{s}", "temperature_c", at, value, "trailer"))
    readings = pl.DataFrame(
        rows, schema=["sensor_id", "measure_code", "read_at_utc", "value", "asset_type"], orient="row"
    ).with_columns(pl.col("read_at_utc").cast(pl.Datetime("us", "UTC")))
    found = sensor_drifts(readings, as_of=DAY, available_at_utc=NOW)
    assert found["subject"].to_list() == ["T5/temperature_c"]
    assert found["value"][0] == pytest.approx(3.25, abs=0.5)
    assert sensor_drifts(readings.filter(pl.col("sensor_id") != "T5"), as_of=DAY, available_at_utc=NOW).height == 0


def sensor_days(rng: np.random.Generator, memory: float, days: int, slope: float = 0.0) -> pl.DataFrame:
    """Eight sensors whose days hang together by `memory`, one reading a day; T5 drifts over the last 14 days."""
    noise = rng.normal(0, 1, (8, days))
    for d in range(1, days):
        noise[:, d] = memory * noise[:, d - 1] + np.sqrt(1 - memory**2) * noise[:, d]
    noise[5] += slope * np.maximum(np.arange(days) - (days - 14), 0)
    first = datetime.combine(DAY, datetime.min.time(), UTC) - timedelta(days=days - 1)
    at = [first + timedelta(days=d, hours=12) for d in range(days)]
    parts = [
        pl.DataFrame({"sensor_id": f"T{s}", "measure_code": "c", "read_at_utc": at, "value": noise[s], "asset_type": "trailer"})
        for s in range(8)
    ]  # fmt: skip
    return pl.concat(parts)


def test_sensors_that_wander_by_themselves_are_no_drift_and_real_drift_still_is() -> None:
    """Of twelve quiet nights of such sensors, an eye for independent days raised the alarm on some five."""
    rng = np.random.default_rng(3)
    quiet = [sensor_drifts(sensor_days(rng, 0.85, 42), as_of=DAY, available_at_utc=NOW).height for _ in range(12)]
    assert sum(n > 0 for n in quiet) <= 1
    for memory, slope in ((0.0, 0.6), (0.85, 0.6)):
        found = sensor_drifts(sensor_days(rng, memory, 42, slope), as_of=DAY, available_at_utc=NOW)
        assert found["subject"].to_list() == ["T5/c"], memory


def test_a_sensor_on_two_types_of_asset_drifts_by_a_number() -> None:
    """It has two values a day; on one day it is the median of its peers on both, and nothing over nothing is no slope."""
    rng, trailer = np.random.default_rng(1), sensor_days(np.random.default_rng(2), 0.0, 42, 3.0)
    other = trailer.with_columns(pl.col("value") + rng.normal(0, 0.01, trailer.height), asset_type=pl.lit("dock"))
    middle = pl.col("value").median().over("asset_type", "read_at_utc")
    is_same = (pl.col("sensor_id") == "T5") & (pl.col("read_at_utc").dt.date() == DAY - timedelta(days=13))
    few = pl.concat([trailer, other]).filter(pl.col("sensor_id") != "T0")
    both = few.with_columns(pl.when(is_same).then(middle).otherwise("value").alias("value"))
    found = sensor_drifts(both, as_of=DAY, available_at_utc=NOW)
    assert found["subject"].to_list() == ["T5/c"] and found["value"].is_finite().all()


def test_measures_that_nothing_judges_are_told_and_counted() -> None:
    days = sensor_days(np.random.default_rng(0), 0.0, 20)
    found = unjudged_measures(days, {("trailer", "temperature_c")}, as_of=DAY, available_at_utc=NOW)
    assert found.select("kind_code", "subject", "value").rows() == [("measure_not_judged", "trailer/c", 8 * 14.0)]
    assert "112 readings of c from 8 trailer sensors in 14 days" in found["reason"][0]
    assert unjudged_measures(days, {("trailer", "c")}, as_of=DAY, available_at_utc=NOW).is_empty()


def test_ranking_by_money_keeps_the_budget_and_every_kind() -> None:
    loud = finding_rows(
        [
            {
                "finding_date": DAY,
                "kind_code": "demand_anomaly",
                "subject": f"a{i}",
                "reason": "r",
                "money_at_risk_usd": 1000.0 + i,
            }
            for i in range(100)
        ],
        NOW,
    )
    quiet = finding_rows([{"finding_date": DAY, "kind_code": "sensor_gap", "subject": "s", "reason": "r"}], NOW)
    kept, left = rank_findings([loud, quiet], budget=10)
    assert kept.height == 10 and "sensor_gap" in kept["kind_code"].to_list()
    assert kept["money_at_risk_usd"][0] == 1099.0
    assert left == {"demand_anomaly": 91}
    assert rank_findings([], budget=10)[0].height == 0
    assert rank_findings([loud], budget=0)[0].height == 0
    with pytest.raises(BadInputError):
        rank_findings([loud], budget=-1)


def test_the_same_finding_twice_is_one() -> None:
    row = {"finding_date": DAY, "kind_code": "k", "subject": "s", "reason": "r"}
    assert finding_rows([row, row], NOW).height == 1


def daily_orders(seed: int, *, slow_source: str = "") -> pl.DataFrame:
    """Lanes of one day, nearly always: the orders of a centre's stores, and three suppliers of two sites each."""
    rng = np.random.default_rng(seed)
    rows = []
    for lane in range(10):
        source = "DC" if lane < 4 else f"SUP{lane // 2}"
        for k in range(150):
            age = int(rng.integers(0, 300))
            slow = 1.35 if source == slow_source and age < 42 else 1.0
            days = (1 if rng.random() < 0.94 else 2) if source == "DC" else max(int(rng.gamma(25, 0.3) * slow), 1)
            order = DAY - timedelta(days=age)
            received = order + timedelta(days=days)
            rows.append(
                (
                    f"{lane}-{k}",
                    source,
                    f"S{lane}",
                    order,
                    received if received <= DAY else None,
                    0.0 if received <= DAY else 5.0,
                )
            )
    return pl.DataFrame(
        rows,
        schema=["order_number", "source_id", "site_id", "order_date", "received_date", "open_qty_ea"],
        orient="row",
    )


def test_lanes_of_nearly_always_one_day_raise_no_alarm() -> None:
    assert sum(lead_time_changes(daily_orders(s), as_of=DAY, available_at_utc=NOW).height for s in range(10)) <= 1


def test_a_supplier_that_slows_down_on_all_its_lanes_is_one_finding_of_its_own() -> None:
    found = [lead_time_changes(daily_orders(s, slow_source="SUP3"), as_of=DAY, available_at_utc=NOW) for s in range(10)]
    assert sum(f["subject"].to_list() == ["SUP3"] for f in found) >= 7
    assert {subject for f in found for subject in f["subject"].to_list()} <= {"SUP3", "SUP3>S6", "SUP3>S7"}


def test_a_line_of_which_nothing_comes_says_nothing_about_time() -> None:
    orders = daily_orders(1)
    refused = orders.head(60).with_columns(
        received_date=pl.lit(None, pl.Date),
        open_qty_ea=0.0,
        order_date=DAY - timedelta(days=9),
        order_number=pl.lit("X"),
    )
    assert lead_time_changes(pl.concat([orders, refused]), as_of=DAY, available_at_utc=NOW).is_empty()
