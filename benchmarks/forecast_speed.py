"""Speed of forecasting at the shape of M5, every peer in the same run, in CPU-seconds; the lines of `bench_forecast`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import numpy as np
import polars as pl

START = date(2011, 1, 29)
LAGS = (7, 14, 21, 28, 35)  # of the recursive peer
M5_SERIES = 30_490


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU-seconds and result."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


@dataclass(frozen=True, slots=True)
class Spent:
    """Medians of what several calls took, what the first took (it pays for fresh memory), and the last one's result."""

    cpu_s: float
    wall_s: float
    first_wall_s: float
    result: Any


def middle(*works: Callable[[], Any], rounds: int = 3) -> list[Spent]:
    """What each of several works took that take turns."""
    spent: list[list[tuple[float, float]]] = [[] for _ in works]
    results: list[Any] = [None] * len(works)
    for _ in range(rounds):
        for k, work in enumerate(works):
            results[k] = None  # two of them at once are more than a machine may hold
            start = time.perf_counter()
            seconds, results[k] = cpu(work)
            spent[k].append((seconds, time.perf_counter() - start))
    return [
        Spent(*(float(np.median([x[c] for x in one])) for c in (0, 1)), one[0][1], result)
        for one, result in zip(spent, results, strict=True)
    ]


def m5_shape(series: int, days: int) -> pl.DataFrame:
    """Synthetic daily sales, about 67 % zeros."""
    rng = np.random.default_rng(1)
    level = np.exp(rng.normal(-1.0, 1.1, series))[:, None]
    y = rng.poisson(level * (1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 7))[None, :]).astype(np.float32)
    ds = pl.Series([START + timedelta(days=t) for t in range(days)])
    return pl.DataFrame(
        {"unique_id": np.repeat(np.arange(series), days), "ds": ds[np.tile(np.arange(days), series)], "y": y.ravel()}
    )


def features(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The nightly features of a whole panel, made as the product makes them, beside mlforecast's of the same kind.

    Both use two threads, and hold their result in memory. mlforecast makes 20 of the 28 (no share of zeros or of days in stock, no
    days since a sale, no price).
    """
    days, series = frame["ds"].n_unique(), frame["unique_id"].n_unique()
    peer = mlforecast_features(threads=2)
    _own(frame.head(days), days)  # the first use pays for imports
    peer.preprocess(frame.head(20 * days).cast({"y": pl.Float64}), dropna=False, static_features=[])
    ours, theirs = middle(
        lambda: _own(frame, days),
        lambda: peer.preprocess(frame.cast({"y": pl.Float64}), dropna=False, static_features=[]),
    )
    _agree(ours.result, theirs.result.sort("unique_id", "ds"), days)
    tenth = frame.filter(pl.col("unique_id") < max(series // 10, 1)).to_pandas()
    pandas, _ = cpu(lambda: _pandas(tenth))
    pandas *= frame.height / len(tenth)
    note = f"{frame.height:,} rows, two threads; equal counts and sums; first calls {ours.first_wall_s:.2f} and {theirs.first_wall_s:.2f}"
    return [
        _line("features, whole panel, seconds", ours.wall_s, "mlforecast", theirs.wall_s, 0.7, note),
        _line("features, whole panel, CPU-s", ours.cpu_s, "mlforecast", theirs.cpu_s, 0.7, ""),
        _line("features, whole panel, CPU-s", ours.cpu_s, "pandas (a tenth, scaled)", pandas, 0.2, ""),
    ]


def _own(frame: pl.DataFrame, days: int) -> dict[str, Any]:
    """Every feature of a series' own history, in wide arrays, by the kernel of `ml.own_features`."""
    from ml.features import COMPILED_DAYS
    from ml.own_features import Cells, Wide, own_feature_names, own_features_compiled

    sales = frame["y"].cast(pl.Float64).to_numpy().reshape(-1, days)
    n, names = sales.shape[0], own_feature_names()
    cells = Cells(len(names), n, np.array([0, days]))
    wide = Wide(sales, np.ones(sales.shape, dtype=bool), np.full(sales.shape, 2.0))
    for low in range(0, days, COMPILED_DAYS):
        own_features_compiled(wide, low, min(low + COMPILED_DAYS, days), cells, low)
    return dict(zip(names, cells.part(0), strict=True))


def mlforecast_features(threads: int) -> Any:
    """mlforecast, set to the lags and windows of the night."""
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd, SeasonalRollingMean

    from ml.own_features import LAGS, WINDOWS

    rolls = [f(w) for w in WINDOWS for f in (RollingMean, RollingStd)] + [SeasonalRollingMean(7, 8)]
    return MLForecast(models=[], freq="1d", lags=[k for k in LAGS if k], lag_transforms={1: rolls}, num_threads=threads)


def _agree(ours: dict[str, Any], theirs: pl.DataFrame, days: int) -> None:
    """Ours of a day are theirs of the next one, where their windows are full; their deviation divides by n - 1."""
    for name, column, factor in (
        ("sales_qty_ea_mean_56d", "rolling_mean_lag1_window_size56", 1.0),
        ("sales_qty_ea_std_180d", "rolling_std_lag1_window_size180", (179 / 180) ** 0.5),
        ("weekday_mean_56d", "seasonal_rolling_mean_lag1_season_length7_window_size8", 1.0),
    ):
        known = theirs[column].to_numpy().astype(np.float64).reshape(-1, days)[:, 1:] * factor
        full = ~np.isnan(known)
        assert full.any() and np.allclose(ours[name][:, :-1][full], known[full], rtol=2e-4, atol=2e-4), name


def whole_history(series: int = M5_SERIES, turns: int = 2) -> list[dict[str, Any]]:
    """From versions to contract rows of the whole M5 shape as known at each cut-off, in processes of their own that take turns.

    No peer knows what was known when: mlforecast gets the newest version of each day, all series at once, or a tenth at a time.
    """
    from benchmarks import feature_history

    kinds = ("ours", "mlforecast", "tenths")
    runs = {kind: [feature_history.run(kind, series)] for kind in (*kinds, "late")}
    for _ in range(turns - 1):
        for kind in kinds:
            runs[kind].append(feature_history.run(kind, series))
    cpu_s, wall_s = ({k: float(np.median([r[c] for r in v])) for k, v in runs.items()} for c in ("cpu_s", "wall_s"))
    note = f"{runs['ours'][0]['rows']:,} rows, month by month, two threads; CPU-s {cpu_s['ours']:.1f}, mlforecast {cpu_s['mlforecast']:.1f}"
    peaks = {kind: max(r["peak_gib"] for r in done) for kind, done in runs.items()}
    return [
        _line("features, whole history as known, seconds", wall_s["ours"], "mlforecast, newest versions", wall_s["mlforecast"], 0.7, note),
        _line("the same", wall_s["ours"], "mlforecast, a tenth at a time", wall_s["tenths"], 0.7, f"CPU-s {cpu_s['tenths']:.1f}"),
        _limit("the same, most memory of the process, GiB", peaks["ours"], 3.0, f"mlforecast {peaks['mlforecast']:.1f}, {peaks['tenths']:.1f}"),
        _limit("the same with 1 % late and 1 % corrected, GiB", peaks["late"], 3.0, f"{cpu_s['late']:.1f} CPU-s"),
    ]  # fmt: skip


def _pandas(frame: Any) -> Any:
    from ml.own_features import LAGS, WINDOWS

    group = frame.groupby("unique_id")["y"]
    for k in LAGS:
        frame[f"lag_{k}"] = group.shift(k)
    moved = group.shift(1).groupby(frame["unique_id"])
    for w in WINDOWS:
        frame[f"mean_{w}"] = moved.rolling(w).mean().reset_index(level=0, drop=True)
        frame[f"std_{w}"] = moved.rolling(w).std().reset_index(level=0, drop=True)
    return frame


def mart(frame: pl.DataFrame) -> pl.DataFrame:
    """The panel as rows of the versioned demand mart, each known in the evening of its day."""
    return frame.select(
        (pl.col("unique_id") // 10).cast(pl.String).alias("item_id"), (pl.col("unique_id") % 10).cast(pl.String).alias("site_id"),
        pl.col("ds").alias("demand_date"), pl.col("y").cast(pl.Float64).alias("sales_qty_ea"), pl.lit(False).alias("is_stockout"), pl.lit(2.0).alias("price_usd"),
        (pl.col("ds").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=20)).alias("available_at_utc"),
        pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("superseded_at_utc"),
    )  # fmt: skip


def new_day(series: int) -> list[dict[str, Any]]:
    """One new day of the nightly features from a year of the versioned mart, the middle of three runs."""
    from ml.features import demand_features
    from tests.unit.ml.conftest import cutoff

    versions, last = mart(m5_shape(series, 365)), START + timedelta(days=364)
    demand_features(versions.head(3_650), (last, last), cutoff)  # the first use pays for imports
    runs = [cpu(lambda: demand_features(versions, (last, last), cutoff)) for _ in range(3)]
    spent = sorted(seconds for seconds, _ in runs)[1]
    limit = 2.0 * series / M5_SERIES
    return [
        _limit(f"features, one new day of {runs[0][1].height:,} series, CPU-s", spent, limit, "a year of history read")
    ]


def scoring(series: int = M5_SERIES) -> list[dict[str, Any]]:
    """28 days of every series: ours direct (matrix, mean, spread, quantiles) beside mlforecast's recursive mean."""
    from ml.datasets import Covariates, Encoding, demand_frame
    from ml.features import demand_features
    from ml.models.boosted import BoostedModel, BoostSpec, booster_of
    from tests.unit.ml.conftest import cutoff, labels_as_of

    frame = m5_shape(series, 200)
    versions, last = mart(frame), START + timedelta(days=199)
    few = versions.head(200 * min(series, 1_500))
    origins = [last - timedelta(days=k) for k in (84, 70, 56, 42, 28)]
    old = demand_features(few, sorted(origins), cutoff)
    encoding = Encoding.fit(old)
    labels = labels_as_of(few, cutoff(last))
    fitted = BoostedModel(BoostSpec(trees=100, spread_trees=30)).fit(
        demand_frame(old, Covariates(), encoding, labels=labels, most_rows=60_000).design, 7
    )
    features = demand_features(versions, (last, last), cutoff)
    boosters = booster_of(fitted._mean_text), booster_of(fitted._spread_text)
    small = demand_frame(features.head(50), Covariates(), encoding).design
    fitted.predict(small)  # the first use pays for imports
    boosters[0].walked(small.x)  # and for loading what was compiled
    whole, made = cpu(lambda: fitted.predict(demand_frame(features, Covariates(), encoding).design))
    design = demand_frame(features, Covariates(), encoding).design
    ours, _ = cpu(lambda: fitted.predict(design))
    wide, theirs = np.column_stack([design.x, design.x[:, :1]]), [booster.native for booster in boosters]
    bare, _ = cpu(lambda: (theirs[0].predict(design.x, num_threads=2), theirs[1].predict(wide, num_threads=2)))
    mean, _ = cpu(lambda: boosters[0].predict(demand_frame(features, Covariates(), encoding).design.x, num_threads=2))
    rows, recursive = made.mean.size, _recursive(frame)
    return [
        _line("scoring with quantiles", ours, "the two bare predicts", bare, 1.1, f"{rows:,} rows"),
        _line("matrix and mean", mean, "mlforecast, recursive mean", recursive, 0.4, f"{rows:,} rows, as many trees"),
        _line("matrix, mean, spread, quantiles", whole, "mlforecast, recursive mean", recursive, 0.4, f"{rows:,} rows"),
    ]


def _recursive(frame: pl.DataFrame) -> float:
    """CPU-seconds of mlforecast's predict(28) with a LightGBM of as many trees, learned beforehand on some of the series."""
    import lightgbm as lgb
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd
    from sklearn.base import BaseEstimator, RegressorMixin

    class Ready(RegressorMixin, BaseEstimator):  # type: ignore[misc]
        """A booster that is learned already."""

        booster: Any = None

        def fit(self, x: Any, y: Any) -> Ready:
            """Nothing to learn."""
            return self

        def predict(self, x: Any) -> Any:
            """The booster's answer."""
            return Ready.booster.predict(np.asarray(x, dtype=np.float32), num_threads=2)

    rolls = [f(w) for w in (7, 28, 56) for f in (RollingMean, RollingStd)]
    peer = MLForecast(
        models={"ready": Ready()}, freq="1d", lags=list(LAGS), lag_transforms={1: rolls}, date_features=["weekday"], num_threads=1
    )  # fmt: skip
    recent = frame.filter(pl.col("ds") > START + timedelta(days=99)).cast({"y": pl.Float64})
    few = peer.preprocess(recent.filter(pl.col("unique_id") < 500), static_features=[])
    x = few.drop("unique_id", "ds", "y").to_numpy().astype(np.float32)
    params = {"objective": "tweedie", "num_leaves": 48, "max_depth": 8, "verbosity": -1, "num_threads": 2}
    Ready.booster = lgb.train(params, lgb.Dataset(x, label=few["y"].to_numpy()), 100)
    peer.fit(recent, static_features=[])
    return cpu(lambda: peer.predict(28))[0]


def store(rows: int = 1_000_000, peer_rows: int = 50_000, entities: int = M5_SERIES) -> list[dict[str, Any]]:
    """Point-in-time join and online write through Feast's interface, ours beside Feast's own stores."""
    from benchmarks import feature_store as bench

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bench.rows(peer_rows // 50, 50).write_parquet(folder / "rows.parquet")
        bench.historical(folder, bench.OURS, 1_000, 50)
        ours, peer = (bench.historical(folder, kind, peer_rows, 50) for kind in (bench.OURS, "dask"))
        bench.rows(rows // 50, 50).write_parquet(folder / "rows.parquet")
        whole = bench.historical(folder, bench.OURS, rows, 50)
        bench.rows(entities, 3).write_parquet(folder / "rows.parquet")
        written, other = bench.online(folder, entities, False), bench.online(folder, entities, True)
    note = f"{peer_rows:,} rows; peer returned {peer['returned']:,}"
    return [
        _line("point-in-time join", ours["cpu_s"], "Feast's dask store", peer["cpu_s"], 1 / 40, note),
        _limit(
            f"point-in-time join of {rows:,}: rows not returned", rows - whole["returned"], 0, f"{whole['cpu_s']} CPU-s"
        ),
        _line(
            "online bulk write",
            written["cpu_s"],
            "Feast's materialize",
            other["cpu_s"],
            1 / 30,
            f"{entities:,} entities",
        ),
        _limit(
            "online read of one entity, p99 CPU-ms", written["one_request_cpu_ms_p99"], 5, "through Feast's interface"
        ),
    ]


def model() -> list[dict[str, Any]]:
    """Training beside bare LightGBM on the same rows, scoring beside bare predict."""
    from ml.models.base import Design
    from ml.models.boosted import BoostedModel, BoostSpec, booster_of, train_booster

    rng = np.random.default_rng(2)
    n, k = 200_000, 40
    x = rng.random((n, k), dtype=np.float32)
    scale, origin = np.exp(rng.normal(0, 1, n)), np.sort(rng.integers(0, 50, n)) * 7
    y = rng.poisson(scale * (0.5 + x[:, 0] + x[:, 1] * x[:, 2])).astype(np.float64)
    horizon = rng.integers(1, 29, n).astype(np.int32)
    frame = Design(
        x, tuple(f"f{i}" for i in range(k)), (), scale, np.full(n, "smooth"), horizon, origin + horizon, origin, y
    )
    spec = BoostSpec(trees=100, spread_trees=30)
    fitted = BoostedModel(spec)
    fitted._train(frame.take(np.arange(1_000)), 7)  # the first use pays for imports
    train, _ = cpu(lambda: fitted._train(frame, 7))
    bare, _ = cpu(lambda: train_booster(frame, y / scale, None, spec.params(7, "tweedie"), spec.trees))
    spread, _ = cpu(
        lambda: train_booster(
            frame, np.abs(y / scale - 1), None, replace(spec, leaves=24).params(8, "tweedie"), spec.spread_trees
        )
    )
    fitted._calibrate(frame)  # loads the compiler's output too
    score, _ = cpu(lambda: fitted.predict(frame))
    boosters = [booster_of(text).native for text in (fitted._mean_text, fitted._spread_text)]
    wide = np.column_stack([x, x[:, :1]])
    predict, _ = cpu(lambda: (boosters[0].predict(x, num_threads=2), boosters[1].predict(wide, num_threads=2)))
    one = frame.take(np.arange(1))
    fitted.spec = replace(spec, threads=1)
    waits = sorted(cpu(lambda: fitted.predict(one))[0] * 1000 for _ in range(300))
    return [
        _line(
            "training, mean and spread",
            train,
            "the two bare LightGBM trainings",
            bare + spread,
            1.1,
            f"{n:,} rows, {k} features",
        ),
        _line("scoring with quantiles", score, "the two bare predicts", predict, 1.1, f"{n:,} rows"),
        _limit("one request scored, p99 CPU-ms", waits[296], 5, "one row, one thread"),
    ]


def _line(figure: str, ours: float, peer: str, theirs: float, limit: float, note: str) -> dict[str, Any]:
    return {
        "figure": figure, "ours": round(ours, 3), "peer": f"{peer} {theirs:.3f}", "ratio": round(ours / theirs, 3),
        "limit": round(limit, 3), "met": ours / theirs <= limit, "note": note,
    }  # fmt: skip


def _limit(figure: str, ours: float, limit: float, note: str) -> dict[str, Any]:
    return {
        "figure": figure, "ours": round(ours, 3), "peer": "", "ratio": None, "limit": round(limit, 3), "met": ours <= limit, "note": note,
    }  # fmt: skip
