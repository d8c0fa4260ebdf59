"""What stopped selling is told once, from its first day; what sells seldom, was out of stock or was closed is not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from ml.anomaly import zero_runs

DAY, NOW = date(2025, 3, 1), datetime(2025, 3, 2, 7, tzinfo=UTC)


def sales(rng: np.random.Generator, means: list[float], *, zero_days: int = 0, stopped: int = -1) -> pl.DataFrame:
    """Ten weeks of some items at one site; one of them sold nothing on the last days."""
    days = [DAY - timedelta(days=69 - d) for d in range(70)]
    parts = []
    for n, mean in enumerate(means):
        sold = rng.negative_binomial(2, 2 / (2 + mean), 70).astype(float)
        if n == stopped:
            sold[70 - zero_days - 1], sold[70 - zero_days :] = 1.0, 0.0
        parts.append(pl.DataFrame({"item_id": f"I{n}", "site_id": "S", "demand_date": days, "sales_qty_ea": sold}))
    return pl.concat(parts).with_columns(is_stockout=pl.lit(False))


def found(demand: pl.DataFrame, as_of: date = DAY) -> pl.DataFrame:
    value = pl.DataFrame({"item_id": ["I0"], "unit_price_usd": [2.0]})
    return zero_runs(demand, as_of=as_of, available_at_utc=NOW, unit_value=value)


def test_what_stopped_selling_is_found_once_with_its_first_day_and_money() -> None:
    demand = sales(np.random.default_rng(1), [6.0] * 30, zero_days=14, stopped=0)
    told = found(demand)
    assert told.select("kind_code", "subject", "finding_date", "value").rows() == [
        ("zero_run", "I0@S", DAY - timedelta(days=13), 0.0)
    ]
    usual = demand.filter((pl.col("item_id") == "I0") & (pl.col("demand_date") < DAY - timedelta(days=13)))["sales_qty_ea"].mean()  # fmt: skip
    assert told["expected_value"][0] == usual and told["money_at_risk_usd"][0] == usual * 28 * 2.0
    assert found(demand, DAY - timedelta(days=4))["finding_id"].to_list() == told["finding_id"].to_list()


def test_healthy_items_fast_and_slow_raise_no_alarm() -> None:
    rng = np.random.default_rng(2)
    assert sum(found(sales(rng, [0.1, 0.4, 1.0, 3.0, 9.0] * 20)).height for _ in range(20)) <= 1
    assert found(sales(rng, [0.3] * 30, zero_days=10, stopped=0)).is_empty()


def test_days_without_stock_and_closed_days_say_nothing() -> None:
    demand = sales(np.random.default_rng(3), [6.0] * 30, zero_days=10, stopped=0)
    late = pl.col("demand_date") > DAY - timedelta(days=10)
    assert found(demand.with_columns(is_stockout=late & (pl.col("item_id") == "I0"))).is_empty()
    shut = demand.with_columns(sales_qty_ea=pl.when(late).then(0.0).otherwise("sales_qty_ea"))
    assert found(shut).is_empty() and found(shut.head(0)).is_empty()
