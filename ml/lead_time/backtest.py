"""How good a lead-time model would have been: fitted as of a day in the past, scored on the orders placed after it.

The baseline is what a planner with a spreadsheet does: empirical quantiles of completed orders per lane.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError
from ml.lead_time.lanes import fit_lead_times, lead_time_observations, predict_lanes

LANE = ["source_id", "site_id"]
COLUMNS = [f"lead_time_days_p{round(q * 100):02d}" for q in QUANTILES]
MIN_LANE_ORDERS = 5


def backtest_lead_times(orders: pl.DataFrame, as_of: date, holdout_days: int = 56) -> pl.DataFrame:
    """Pinball loss of the model and of grouped quantiles on orders neither had seen, those still open among them.

    An order of age c has taken min(T, c) days so far, received or not, and a forecast quantile says min(q, c) of it. Scored like that
    the true quantiles cost least (Powell 1986, Censored regression quantiles), and a slow order counts as what it is: longer
    than its age. Scoring received orders only would prefer whoever knows the quick ones only. Lines of one order weigh as much
    as one order together.

    Grain: one role (`challenger`, `naive`). Units: days, summed over orders.

    Args:
        orders: rows like `fct_purchase_order_lines` (see `lead_time_observations`).
        as_of: last day known.
        holdout_days: the model is fitted this many days before; orders of the first half after that are scored, so that
            each had at least the second half to arrive.

    Raises:
        BadInputError: nothing was received before the hold-out, or nothing within it.
    """
    cut = as_of - timedelta(days=holdout_days)
    model = fit_lead_times(orders, cut)
    seen, _ = lead_time_observations(orders, cut)
    # a line that looks forgotten by now is what a slow lane looks like: it is scored as longer than its age
    later, _ = lead_time_observations(orders, as_of, keep_forgotten=True)
    window = (pl.col("order_date") > cut) & (pl.col("order_date") <= cut + timedelta(days=holdout_days // 2))
    test = later.filter(window)
    if not test["is_received"].any():
        raise BadInputError(
            "no order was placed and received within the hold-out",
            where="lead-time backtest",
            todo="wait for more receipts",
        )
    instant = datetime.combine(cut, time(), UTC)
    mine = predict_lanes(model, test, origin_date=cut, available_at_utc=instant).select(*LANE, *COLUMNS)
    rows = [
        _row(role, test, test.select(*LANE).join(frame, on=LANE, how="left", maintain_order="left"), cut, as_of)
        for role, frame in (("challenger", mine), ("naive", grouped_quantiles(seen, test.select(LANE).unique())))
    ]
    return pl.DataFrame(rows)


def grouped_quantiles(observed: pl.DataFrame, lanes: pl.DataFrame) -> pl.DataFrame:
    """Empirical quantiles of completed orders per lane; lanes with few orders take all orders together."""
    done = observed.filter("is_received")
    exprs = [pl.col("days").quantile(q, "linear").alias(c) for q, c in zip(QUANTILES, COLUMNS, strict=True)]
    by_lane = done.group_by(LANE).agg(*exprs, pl.len().alias("n")).filter(pl.col("n") >= MIN_LANE_ORDERS).drop("n")
    whole = done.select(exprs).row(0)
    joined = lanes.join(by_lane, on=LANE, how="left")
    return joined.with_columns(pl.col(c).fill_null(v) for c, v in zip(COLUMNS, whole, strict=True))


def _row(role: str, test: pl.DataFrame, predicted: pl.DataFrame, cut: date, as_of: date) -> dict[str, object]:
    y = test["days"].to_numpy().astype(np.float64)
    age = (pl.Series([as_of]) - test["order_date"]).dt.total_days().to_numpy().astype(np.float64)
    q = np.minimum(predicted.select(COLUMNS).to_numpy(), age[:, None])
    weight = test["weight"].to_numpy()
    gap = y[:, None] - q
    levels = np.asarray(QUANTILES)[None, :]
    loss = np.maximum(levels * gap, (levels - 1) * gap).mean(axis=1)
    error = q[:, QUANTILES.index(0.5)] - y
    low, high = q[:, QUANTILES.index(0.1)], q[:, QUANTILES.index(0.9)]
    is_open = ~test["is_received"].to_numpy()
    inside = (y > low) & ((y < high) | (is_open & (high >= age)))
    return {
        "role": role, "demand_class": "all", "origin_date": cut, "newest_date": as_of, "rows": test.select(*LANE, "cluster").n_unique(),
        "pinball_sum_ea": float(weight @ loss), "error_sum_ea": float(weight @ error), "absolute_sum_ea": float(weight @ np.abs(error)),
        "demand_sum_ea": float(weight @ y), "closed80_rows": round(float(weight @ ((y >= np.floor(low)) & (y <= np.ceil(high))))),
        "open80_rows": round(float(weight @ inside)),
    }  # fmt: skip
