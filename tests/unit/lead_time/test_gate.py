"""The lead-time gate's scores on orders of known truth, slow ones included, and against a plain loop."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError
from ml.lead_time.backtest import COLUMNS, _row, backtest_lead_times
from ml.lead_time.lanes import lead_time_observations

AS_OF = date(2026, 1, 5)
SCHEMA = {
    "order_number": pl.String, "source_id": pl.String, "site_id": pl.String, "order_date": pl.Date, "received_date": pl.Date,
}  # fmt: skip


def lane(seed: int, slow_share: float, history: int = 150) -> pl.DataFrame:
    """Orders of two sources over `history` days: some 5 days by air, and a share of them some 72 days by sea."""
    rng = np.random.default_rng(seed)
    rows = []
    for back in range(history):
        for source in ("A", "B"):
            for k in range(rng.poisson(0.8)):
                days = round(rng.gamma(60, 1.2) if rng.random() < slow_share else rng.gamma(9, 0.6))
                day = AS_OF - timedelta(days=back)
                received = day + timedelta(days=days)
                rows.append((f"{source}{back}-{k}", source, "X", day, received if received <= AS_OF else None))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_knows_of_slow_orders_is_not_refused_for_it(seed: int) -> None:
    """Scored on received orders only it was 2.6 to 7.9 times as dear as quantiles of the quick ones, on each seed."""
    scores = backtest_lead_times(lane(seed, 0.4), AS_OF)
    ratio = scores.filter(role="challenger")["pinball_sum_ea"][0] / scores.filter(role="naive")["pinball_sum_ea"][0]
    assert ratio <= 1.1
    placed = lane(seed, 0.4).filter(
        pl.col("order_date").is_between(AS_OF - timedelta(days=55), AS_OF - timedelta(days=28))
    )
    assert scores["rows"].to_list() == [placed.height] * 2, "every order of the window counts"


def scored(test: pl.DataFrame, quantiles: list[float]) -> float:
    """Pinball sum of the same quantiles for every order."""
    said = pl.DataFrame({c: [v] * test.height for c, v in zip(COLUMNS, quantiles, strict=True)})
    total = _row("challenger", test, said, AS_OF, AS_OF)["pinball_sum_ea"]
    assert isinstance(total, float)
    return total


def test_the_truth_costs_less_than_the_quick_part_of_it() -> None:
    """Of many orders 40 % take some 72 days: whoever says 5 for all must not look better than whoever says so."""
    orders = pl.concat(
        [
            lane(s, 0.4, 56).with_columns(pl.lit(f"L{s}").alias("source_id"), pl.col("order_number") + f"/{s}")
            for s in range(20)
        ]
    )
    kept, _ = lead_time_observations(orders, AS_OF, keep_forgotten=True)
    test = kept.filter(pl.col("order_date") <= AS_OF - timedelta(days=28))
    rng = np.random.default_rng(1)
    quick = np.round(rng.gamma(9, 0.6, 20_000))
    all_of_it = np.where(rng.random(20_000) < 0.4, np.round(rng.gamma(60, 1.2, 20_000)), quick)
    truth, part = ([float(v) for v in np.quantile(x, QUANTILES)] for x in (all_of_it, quick))
    assert scored(test, truth) < 0.6 * scored(test, part)
    done = test.filter("is_received")
    assert scored(done, truth) > 2 * scored(done, part), "on received orders alone the wrong one looked better"


def test_the_loss_is_that_of_a_plain_loop() -> None:
    rows = [("P", "A", "X", 40, 7), ("P", "A", "X", 40, None), ("Q", "A", "X", 30, None), ("R", "A", "X", 33, 31)]
    orders = pl.DataFrame(
        [(o, s, t, AS_OF - timedelta(days=a), None if d is None else AS_OF - timedelta(days=a - d)) for o, s, t, a, d in rows],
        schema=SCHEMA, orient="row",
    )  # fmt: skip
    test, _ = lead_time_observations(orders, AS_OF, keep_forgotten=True)
    says = [2.0, 4.0, 6.0, 9.0, 20.0, 36.0, 50.0]
    total = 0.0
    for order, _, _, age, days in rows:
        share = 0.5 if order == "P" else 1.0
        taken = age if days is None else days
        for level, q in zip(QUANTILES, says, strict=True):
            gap = taken - min(q, age)
            total += share * max(level * gap, (level - 1) * gap) / len(says)
    assert scored(test, says) == pytest.approx(total)


def test_nothing_received_is_no_evidence() -> None:
    orders = lane(0, 0.0)
    recent = pl.col("order_date") > AS_OF - timedelta(days=56)
    silent = orders.with_columns(pl.when(~recent).then("received_date").alias("received_date"))
    with pytest.raises(BadInputError, match="no order was placed and received"):
        backtest_lead_times(silent, AS_OF)
