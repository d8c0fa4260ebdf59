"""Features of a whole M5-shaped history as they were known each night: `python -m benchmarks.feature_history ours|late|mlforecast|tenths [SERIES]`.

One JSON line of one process: CPU-seconds and seconds of the features alone (the making of reports is not counted), and the most memory
the process ever held. `ours` goes month by month, from versions to contract rows, and forgets each month as the asset does; `late`
is the same with one report in a hundred two days late and one in a hundred corrected after three days. mlforecast knows one
version of each day and makes 20 of the 30 features: of all series at once, as it is used (`mlforecast`, 11 GiB), or of a tenth of
them at a time, forgotten before the next (`tenths`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.forecast_speed import M5_SERIES, START, mlforecast_features

DAYS = 1_941
TENTH = 10
FRAC = 0.01  # of reports that are late, and of those that are corrected
ROOT = Path(__file__).resolve().parents[1]
Counts = npt.NDArray[np.uint16]


def history(series: int) -> Counts:
    """Synthetic daily sales (series, days), about 67 % zeros."""
    rng = np.random.default_rng(1)
    level = np.exp(rng.normal(-1.0, 1.1, series))[:, None]
    week = 1 + 0.3 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
    out = np.empty((series, DAYS), dtype=np.uint16)
    for low in range(0, series, 1_000):
        out[low : low + 1_000] = rng.poisson(level[low : low + 1_000] * week)
    return out


class Reports:
    """Months of the versioned demand mart, oldest first, as they would be read; counts what making them costs."""

    def __init__(self, sales: Counts, late: bool) -> None:
        """Args: sales: (series, days). late: whether some reports are late or corrected."""
        self.sales, self.late, self.cpu, self.wall = sales, late, 0.0, 0.0

    def __iter__(self) -> Iterator[pl.DataFrame]:
        first = START
        while (start := (first - START).days) < DAYS:
            after = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
            cpu, wall = time.process_time(), time.perf_counter()
            month = self._month(start, min((after - START).days, DAYS))
            self.cpu, self.wall = self.cpu + time.process_time() - cpu, self.wall + time.perf_counter() - wall
            yield month
            del month
            first = after

    def _month(self, start: int, stop: int) -> pl.DataFrame:
        n, width = self.sales.shape[0], stop - start
        series = pl.select(pl.int_range(n).repeat_by(width).explode().alias("s"))
        stamp, day = pl.Datetime("us", "UTC"), pl.Series([START + timedelta(days=k) for k in range(start, stop)])
        rows = series.select(
            pl.format("I{}", (pl.col("s") // TENTH).cast(pl.String).str.zfill(4)).alias("item_id"),  # in order, as the mart's rows are
            pl.format("S{}", pl.col("s") % TENTH).alias("site_id"),
            pl.Series("demand_date", day.gather(np.tile(np.arange(width, dtype=np.uint32), n))),
            pl.Series("sales_qty_ea", self.sales[:, start:stop].reshape(-1).astype(np.float64)),
            pl.lit(False).alias("is_stockout"), pl.lit(2.0).alias("price_usd"), pl.lit(None, dtype=stamp).alias("superseded_at_utc"),
        )  # fmt: skip
        evening = pl.col("demand_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=20)
        rows = rows.with_columns(available_at_utc=evening)
        return _with_late(rows, start) if self.late else rows


def _with_late(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    drawn = pl.Series(np.random.default_rng(seed).random(rows.height))
    known, corrected = pl.col("available_at_utc"), drawn.is_between(0.5, 0.5 + FRAC)
    after = known + pl.duration(days=3)
    newer = rows.filter(corrected).with_columns(pl.col("sales_qty_ea") + 1, available_at_utc=after)
    older = rows.with_columns(
        available_at_utc=pl.when(drawn < FRAC).then(known + pl.duration(days=2)).otherwise(known),
        superseded_at_utc=pl.when(corrected).then(after).otherwise(pl.col("superseded_at_utc")),
    )
    return pl.concat([older, newer])


def _ours(sales: Counts, late: bool) -> tuple[int, float, float]:
    """Rows, and seconds of CPU and clock spent on making reports."""
    from ml.features import monthly_features
    from tests.unit.ml.conftest import cutoff

    reports, rows = Reports(sales, late), 0
    for _, month in monthly_features(reports, (START, START + timedelta(days=DAYS - 1)), cutoff):
        rows += month.height
        del month
    return rows, reports.cpu, reports.wall


def _theirs(sales: Counts, parts: int) -> tuple[int, float, float]:
    peer, rows, step = mlforecast_features(threads=2), 0, max(1, sales.shape[0] // parts)
    cpu = wall = 0.0
    dates = pl.Series([START + timedelta(days=k) for k in range(DAYS)])
    for low in range(0, sales.shape[0], step):
        before, clock = time.process_time(), time.perf_counter()
        part = sales[low : low + step]
        ids = np.repeat(np.arange(low, low + part.shape[0]), DAYS)
        ds = dates.gather(np.tile(np.arange(DAYS, dtype=np.uint32), part.shape[0]))
        frame = pl.DataFrame({"unique_id": ids, "ds": ds, "y": part.reshape(-1).astype(np.float64)})
        cpu, wall = cpu + time.process_time() - before, wall + time.perf_counter() - clock
        rows += peer.preprocess(frame, dropna=False, static_features=[]).height
    return rows, cpu, wall


def _peak_gib() -> float:
    """The most memory of this process; the kernel's own figure counts that of the process which started it too."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 2**20


def main() -> None:
    """Print what the process named by the arguments needed."""
    kind, series = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else M5_SERIES
    works: dict[str, Callable[[Counts], tuple[int, float, float]]] = {
        "ours": lambda sales: _ours(sales, False),
        "late": lambda sales: _ours(sales, True),
        "mlforecast": lambda sales: _theirs(sales, 1),
        "tenths": lambda sales: _theirs(sales, TENTH),
    }
    works[kind](history(1_100))  # the first use pays for imports and for what is compiled
    sales = history(series)
    cpu, wall = time.process_time(), time.perf_counter()
    rows, made_cpu, made_wall = works[kind](sales)
    cpu, wall = time.process_time() - cpu - made_cpu, time.perf_counter() - wall - made_wall
    print(json.dumps({"rows": rows, "cpu_s": cpu, "wall_s": wall, "peak_gib": _peak_gib()}))


def run(kind: str, series: int) -> dict[str, Any]:
    """One process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.feature_history", kind, str(series)], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"feature_history {kind}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
