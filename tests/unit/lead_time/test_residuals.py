"""Shapes of lead times that differ by more than their middle: a curve for each level where that helps, one curve where it does not."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from ml.effects import Ints
from ml.lead_time.aft import pinball
from ml.lead_time.orders import OrderColumns, forecast_lead_times
from ml.lead_time.residuals import Residuals, column_of_shapes, fit_shapes

AS_OF = date(2026, 6, 1)
COLUMNS = OrderColumns("ordered", "received", "supplier", None, None)
DAYS = {"same day": (0, 1), "first": (1, 3), "second": (1, 5), "standard": (4, 7)}  # least and most, each as likely


def parcels(seed: int, n: int, first: date, span: int) -> pl.DataFrame:
    """Parcels whose days depend on the mode alone; supplier and state mean nothing."""
    rng = np.random.default_rng(seed)
    mode = rng.choice(list(DAYS), n, p=[0.1, 0.15, 0.2, 0.55])
    days = np.array([rng.integers(DAYS[m][0], DAYS[m][1] + 1) for m in mode])
    ordered = [first + timedelta(days=int(d)) for d in np.sort(rng.integers(0, span, n))]
    return pl.DataFrame(
        {
            "ordered": ordered,
            "received": [o + timedelta(days=int(d)) for o, d in zip(ordered, days, strict=True)],
            "supplier": rng.choice(["east", "west", "south"], n),
            "state": rng.choice([f"s{i}" for i in range(20)], n),
            "mode": mode,
        }
    )


def test_modes_with_shapes_of_their_own_are_answered_almost_as_by_their_true_quantiles() -> None:
    past, ahead = parcels(1, 1_500, date(2024, 6, 1), 730), parcels(2, 400, AS_OF + timedelta(days=1), 60)
    past = past.with_columns(pl.when(pl.col("received") <= AS_OF).then("received"))
    answer = forecast_lead_times(past, ahead.drop("received"), COLUMNS, AS_OF)
    q = answer.rows.select([f"lead_time_days_p{round(level * 100):02d}" for level in QUANTILES]).to_numpy()
    truth = np.array(
        [np.quantile(np.arange(DAYS[m][0], DAYS[m][1] + 1), QUANTILES, method="inverted_cdf") for m in ahead["mode"]]
    )
    days = (ahead["received"] - ahead["ordered"]).dt.total_days().to_numpy().astype(float)
    ours, best = pinball(days, q, QUANTILES).mean(), pinball(days, truth.astype(float), QUANTILES).mean()
    assert ours < 1.08 * best, f"{ours:.3f} days, the truth {best:.3f}"
    assert answer.used == ("mode",)


def sample(shapes: tuple[float, ...], n: int = 4_000) -> Residuals:
    """Residuals of levels that spread by `shapes`; a second column means nothing."""
    rng = np.random.default_rng(3)
    level: Ints = rng.integers(0, len(shapes), n)
    values = rng.normal(0, 1, n) * np.array(shapes)[level]
    codes = np.column_stack([rng.integers(0, 3, n), level])
    return Residuals(values, np.ones(n, dtype=bool), np.ones(n), np.full(n, 3.0), np.arange(n), codes)


def test_the_column_whose_levels_differ_in_shape_is_found_and_none_where_none_does() -> None:
    assert column_of_shapes(sample((0.1, 0.6)), 1.0) == 1
    assert column_of_shapes(sample((0.3, 0.3, 0.3)), 1.0) == -1


def test_a_level_of_its_own_has_its_own_spread_and_an_unknown_one_the_common() -> None:
    residuals = sample((0.1, 0.6))
    shapes = fit_shapes(residuals, 1)
    curve = shapes.of([np.zeros(3, dtype=np.int64), np.array([0, 1, -1])], 3)
    p90 = shapes.where(curve, np.full(3, 0.1))
    assert abs(p90[0] - 0.128) < 0.02 and abs(p90[1] - 0.769) < 0.06
    assert p90[0] < p90[2] < p90[1]
    back = shapes.survive(curve, p90)
    assert np.allclose(back, 0.1, atol=0.002)


def test_lines_of_one_order_stay_on_one_side() -> None:
    residuals = sample((0.1, 0.6), 400)
    together = Residuals(
        residuals.values, residuals.arrived, residuals.weights, residuals.location, np.zeros(400, dtype=np.int64), residuals.codes
    )  # fmt: skip
    assert column_of_shapes(together, 1.0) == -1  # one order alone judges nothing
