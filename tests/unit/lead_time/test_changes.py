"""Lanes that slowed down are believed at once, quicker ones as their old orders age, and nothing is seen where nothing changed."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from ml.lead_time.lanes import LeadTimeModel, fit_lead_times
from ml.lead_time.survival import survive

AS_OF = date(2023, 12, 31)
SITES = 5


def world(seed: int, factor: float, changed: int, sites: int = SITES, source: str = "s1") -> pl.DataFrame:
    """Weekly orders of four sources to five sites over two years; since `changed` days ago some of one source take longer."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(4):
        level = 14 * np.exp(rng.normal(0, 0.3))
        for t in range(SITES):
            for age in range(int(rng.integers(0, 7)), 730, 7):
                hit = f"s{s}" == source and t < sites and age <= changed
                days = max(1, round(level * (factor if hit else 1.0) * rng.gamma(12, 1 / 12)))
                day = AS_OF - timedelta(days=age)
                rows.append((f"s{s}", f"t{t}", day, day + timedelta(days=days), f"{s}-{t}-{age}"))
    names = ["source_id", "site_id", "order_date", "received_date", "order_number"]
    return pl.DataFrame(rows, schema=names, orient="row")


def late_share(model: LeadTimeModel, orders: pl.DataFrame, factor: float) -> float:
    """Share of the source's true lead times, slowed by the factor, that are above what its model takes for p90."""
    old = orders.filter((pl.col("source_id") == "s1") & (pl.col("order_date") < AS_OF - timedelta(days=200)))
    days = (old["received_date"] - old["order_date"]).dt.total_days().to_numpy() * factor
    curve = model.curve_of(old["source_id"].to_list(), old["site_id"].to_list())
    return float((survive(model.curves, curve, np.floor(days).astype(np.int64)) < 0.1).mean())


@pytest.mark.parametrize("changed", [45, 80])
def test_a_source_that_slowed_by_half_is_believed_at_once(changed: int) -> None:
    orders = world(1, 1.5, changed)
    model = fit_lead_times(orders, AS_OF)
    assert [(s, t) for s, t, _ in model.slowed] == [("s1", None)]
    cut = date.fromisoformat(model.slowed[0][2])
    assert abs((AS_OF - cut).days - changed) <= 30
    assert late_share(model, orders, 1.5) < 0.2  # 0.40 and 0.29 by age of orders alone
    again = LeadTimeModel.from_bytes(model.to_bytes(), model.digest)
    assert again.slowed == model.slowed and again.digest == model.digest


def test_a_lane_that_slowed_alone_is_named_and_the_others_stay() -> None:
    orders = world(2, 2.0, 80, sites=1)
    model, calm = fit_lead_times(orders, AS_OF), fit_lead_times(world(2, 1.0, 0), AS_OF)
    assert [(s, t) for s, t, _ in model.slowed] == [("s1", "t0")]
    other = [i for i, (s, t) in enumerate(model.lanes) if s != "s1"]
    assert np.abs(model.curves.survival[other][:, :30] - calm.curves.survival[other][:, :30]).max() < 0.02


def test_what_did_not_change_or_became_quicker_is_left_to_the_age_of_orders() -> None:
    for seed in range(12):
        assert fit_lead_times(world(seed, 1.0, 0), AS_OF).slowed == ()
    quick = fit_lead_times(world(1, 0.6, 80), AS_OF)
    assert quick.slowed == () and b"slowed" not in quick.to_bytes()


def test_all_history_alike_weighs_alike() -> None:
    orders = world(1, 1.5, 80)
    assert fit_lead_times(orders, AS_OF, half_life_days=0.0).slowed == ()
