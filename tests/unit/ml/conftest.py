"""Small demand histories with late and corrected reports, and a plain-Python reading of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.mart_tables import FCT_DEMAND_DAILY
from aios_assets.marts.versions import known_at
from ml.datasets import LABELS

FIRST = date(2023, 1, 1)


def cutoff(day: date) -> datetime:
    """02:00 of the next day, in UTC for simplicity."""
    return datetime.combine(day + timedelta(days=1), time(2), UTC)


def labels_as_of(versions: pl.DataFrame, instant: datetime) -> pl.DataFrame:
    """What a model may learn from at `instant`: of every day the version known then."""
    return versions.filter(known_at(instant)).select(c for c in LABELS if c in versions.columns)


def make_versions(seed: int, items: int = 3, sites: int = 2, days: int = 60, late_frac: float = 0.1) -> pl.DataFrame:
    """Versions of `fct_demand_daily`: some days missing, some late, some corrected (also twice), whole documents late."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for i in range(items):
        for s in range(sites):
            start = int(rng.integers(0, 12))
            for t in range(start, days):
                if rng.random() < 0.04:
                    continue
                day = FIRST + timedelta(days=t)
                price = None if rng.random() < 0.2 else float(rng.integers(100, 900)) / 100
                known = cutoff(day) - timedelta(hours=1)
                if rng.random() < late_frac or (s == 0 and t == 20):
                    known = cutoff(day + timedelta(days=int(rng.integers(1, 9)))) - timedelta(minutes=5)
                stamps = [known]
                while rng.random() < late_frac and len(stamps) < 3:
                    stamps.append(stamps[-1] + timedelta(days=int(rng.integers(0, 6)), hours=3))
                for v, stamp in enumerate(stamps):
                    qty = float(rng.poisson(0.8 + i))
                    rows.append(
                        {
                            "item_id": f"I{i}", "site_id": f"S{s}", "demand_date": day, "version_no": v + 1,
                            "sales_qty_ea": qty, "returns_qty_ea": 0.0, "closing_qty_ea": float(rng.integers(0, 9)),
                            "is_stockout": bool(rng.random() < 0.1), "price_usd": price, "document_id": "d", "set_no": 1,
                            "segment_no": v, "available_at_utc": stamp,
                            "superseded_at_utc": stamps[v + 1] if v + 1 < len(stamps) else None,
                            "is_current": v + 1 == len(stamps), "demand_month": day.strftime("%Y-%m"),
                        }
                    )  # fmt: skip
    return pl.DataFrame(rows, schema=FCT_DEMAND_DAILY.schema)


@pytest.fixture(scope="session")
def versions() -> pl.DataFrame:
    """One history with many late and corrected reports."""
    return make_versions(3)
