"""Lead times on real purchase orders, walk-forward: our model beside grouped quantiles of completed orders.

Data: `scms/` beside the repository (AIOS_SHARED or ../shared). At each origin both see what was known that day (later
receipts are open orders) and answer for the orders of the next quarter; the year-ahead rows answer a whole year at once.

Run: python -m benchmarks.bench_lead_time [--json]
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from ml.lead_time.aft import pinball
from ml.lead_time.orders import OrderColumns, forecast_lead_times

Floats = npt.NDArray[np.float64]
Answer = Callable[[pl.DataFrame, pl.DataFrame, date], Floats]
ORIGINS = tuple(date(y, m, 1) for y in (2010, 2011, 2012) for m in (1, 4, 7, 10))[:11]
COLUMNS = OrderColumns("po_date", "delivered_date", "vendor", None, "po_no")


def shared() -> Path:
    """Folder of the real data."""
    return Path(os.environ.get("AIOS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def load() -> pl.DataFrame:
    """Lines with an order date; the recorded date leaks and is left in, for the command to find."""
    frame = pl.read_parquet(shared() / "data" / "scms" / "purchase_orders_as_of_2013-07-01.parquet")
    return frame.filter(pl.col("po_date").is_not_null())


def at(frame: pl.DataFrame, origin: date, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What was known at the origin, and the orders of the days after it that have arrived since."""
    later = pl.col("delivered_date") > origin
    past = frame.filter(pl.col("po_date") <= origin).with_columns(
        pl.when(later).then(None).otherwise("delivered_date").alias("delivered_date"),
        pl.when(pl.col("recorded_date") > origin).then(None).otherwise("recorded_date").alias("recorded_date"),
    )
    ahead = frame.filter(
        (pl.col("po_date") > origin)
        & (pl.col("po_date") <= origin + timedelta(days=days))
        & pl.col("delivered_date").is_not_null()
    )
    return past, ahead.filter(pl.col("delivered_date") >= pl.col("po_date"))


def ours(past: pl.DataFrame, ahead: pl.DataFrame, origin: date) -> Floats:
    """The command's own path."""
    answer = forecast_lead_times(
        past, ahead.drop("delivered_date", "recorded_date"), COLUMNS, origin, model="effects"
    ).rows
    return answer.select([f"lead_time_days_p{round(q * 100):02d}" for q in QUANTILES]).to_numpy()


def grouped(*names: str) -> Answer:
    """Empirical quantiles of completed orders per group of at least ten, else of all."""

    def answer(past: pl.DataFrame, ahead: pl.DataFrame, origin: date) -> Floats:
        done = past.filter(pl.col("delivered_date").is_not_null()).with_columns(
            (pl.col("delivered_date") - pl.col("po_date")).dt.total_days().alias("d")
        )
        done = done.filter(pl.col("d") >= 0)
        whole = np.quantile(done["d"].to_numpy(), QUANTILES)
        by = {k: np.quantile(v["d"].to_numpy(), QUANTILES) for k, v in done.group_by(names) if v.height >= 10}
        return np.array([by.get(k, whole) for k in ahead.select(names).iter_rows()])

    return answer


def walk(answer: Answer, frame: pl.DataFrame, origins: tuple[date, ...], days: int) -> dict[str, float]:
    """Pinball loss in days and coverage over all origins, and over those from 2011 on."""
    found, actual, late = [], [], []
    start = time.process_time()
    for origin in origins:
        past, ahead = at(frame, origin, days)
        found.append(answer(past, ahead, origin))
        actual.append(
            ahead.select((pl.col("delivered_date") - pl.col("po_date")).dt.total_days())
            .to_series()
            .to_numpy()
            .astype(float)
        )
        late.append(np.full(ahead.height, origin >= date(2011, 1, 1)))
    q, y, recent = np.vstack(found), np.concatenate(actual), np.concatenate(late)
    loss = pinball(y, q, QUANTILES)
    p90 = y <= q[:, QUANTILES.index(0.9)]
    return {
        "orders": float(y.size), "pinball_days": float(loss.mean()), "below_p50": float((y <= q[:, QUANTILES.index(0.5)]).mean()),
        "below_p90": float(p90.mean()), "pinball_days_2011_on": float(loss[recent].mean()), "below_p90_2011_on": float(p90[recent].mean()),
        "cpu_s": time.process_time() - start,
    }  # fmt: skip


def main() -> None:
    """Print the table."""
    frame = load()
    models: dict[str, Answer] = {
        "ours (effects)": ours, "grouped by vendor": grouped("vendor"), "grouped by vendor, country": grouped("vendor", "country"),
        "grouped by vendor, mode": grouped("vendor", "mode"), "grouped by mode": grouped("mode"),
    }  # fmt: skip
    year = tuple(o for o in ORIGINS if o <= date(2012, 4, 1))
    rows = [
        {"model": name, "horizon": label, **walk(model, frame, origins, days)}
        for label, days, origins in (("quarter ahead", 91, ORIGINS), ("year ahead", 365, year))
        for name, model in models.items()
    ]
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    with pl.Config(
        tbl_rows=20,
        tbl_cols=12,
        tbl_width_chars=180,
        float_precision=3,
        tbl_hide_dataframe_shape=True,
        fmt_str_lengths=40,
    ):
        print(pl.DataFrame(rows))


if __name__ == "__main__":
    main()
