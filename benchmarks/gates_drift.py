"""Worlds with and without planted drift, and what the night's drift rule says of them: features, predictions and sensors.

Two windows are pinned, as in the night: the weeks before, and the weeks that followed the same date a year before.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.models.average import RecentAverage
from ml.models.base import Design
from monitoring import predictions
from monitoring.drift import SURPRISE, Reference, build_reference, measure_drift, with_surprise
from monitoring.gates import load_thresholds

Floats = npt.NDArray[np.float64]
START = date(2023, 1, 1)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
T = load_thresholds()
ENTITIES, REFERENCE_DAYS, HISTORY, YEAR, AHEAD = 400, 84, 56, 364, 56
DAYS = HISTORY + YEAR + REFERENCE_DAYS + 21
PINNED = HISTORY + YEAR + REFERENCE_DAYS - 1
WINDOW_DAYS = 3
FORECAST_ENTITIES = 100
WATCHED = (
    "sales_qty_ea_lag_0",
    "sales_qty_ea_mean_7d",
    "sales_qty_ea_mean_28d",
    "zero_frac_28d",
    "price_usd_lag_0",
    SURPRISE,
)
DRIFTS = ("level", "season shift", "mix", "unit of measure", "sensor")
PREDICTIONS = "predictions"
FEATURES, SENSORS = "feat_item_site__demand", "raw_telemetry__readings"
Row = tuple[str, str, str, bool]


def world(root: int, seed: int, drift: str = "", days: int = DAYS) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Features, predictions and sensor readings of one world; drift sets in on the last three days.

    Demand: gamma levels, weekday profile, slow autocorrelated swings per series, a common nightly shock of 5 %, yearly
    season of ±10 %, Poisson; price with weekly promotions. Sensors: 40 of them, 24 readings a day with daily cycle. The
    predictions are those of the recent average; where they are what drifts, they are 30 % too high on unchanged features.

    Args:
        root: first part of the seed: tuning or judging.
        seed: number of the world.
        drift: one of `DRIFTS`, `PREDICTIONS`, or empty.
        days: length of the history.
    """
    rng = np.random.default_rng([root, seed])
    base = rng.gamma(0.8, 6.0, ENTITIES) + 0.05
    weekday = 1 + 0.35 * np.sin(2 * np.pi * (np.arange(7) + rng.integers(0, 7)) / 7)
    swing, rows = np.zeros(ENTITIES), []
    price0 = rng.gamma(4, 2.0, ENTITIES) + 0.5
    mixed = rng.permutation(ENTITIES)
    for d in range(days):
        on = d >= days - 3
        swing = 0.95 * swing + rng.normal(0, 0.05, ENTITIES)
        common = rng.normal(0, 0.05) + 0.1 * np.sin(2 * np.pi * d / 365)
        level = base[mixed] if on and drift == "mix" else base
        profile = weekday[(d + 3) % 7] if on and drift == "season shift" else weekday[d % 7]
        rate = level * profile * np.exp(swing + common) * (1.6 if on and drift == "level" else 1.0)
        sold = rng.poisson(rate).astype(np.float64)
        if on and drift == "unit of measure":
            off = rng.random(ENTITIES) < 0.3
            sold = np.where(off, sold * 12, sold)
        rows.append((sold, np.round(price0 * np.where(rng.random(ENTITIES) < 0.05, 0.8, 1.0), 2)))
    speed = np.where(
        base < np.quantile(base, 1 / 3), "slow", np.where(base < np.quantile(base, 2 / 3), "medium", "fast")
    )
    seen, off = features(rows, speed), 1.3 if drift == PREDICTIONS else 1.0
    return seen, forecasts(np.stack([r[0] for r in rows]), speed, off), sensors(rng, days, drift == "sensor")


def features(rows: list[tuple[Floats, Floats]], speed: npt.NDArray[np.str_]) -> pl.DataFrame:
    """The feature rows of the days after the warm-up, by plain NumPy."""
    sales, price = np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
    frames = [
        pl.DataFrame(
            {
                "feature_date": [START + timedelta(days=d)] * ENTITIES,
                "speed": speed,
                "sales_qty_ea_lag_0": sales[d],
                "sales_qty_ea_mean_7d": sales[d - 6 : d + 1].mean(axis=0),
                "sales_qty_ea_mean_28d": sales[d - 27 : d + 1].mean(axis=0),
                "zero_frac_28d": (sales[d - 27 : d + 1] == 0).mean(axis=0),
                "price_usd_lag_0": price[d],
                "weekday_mean_56d": sales[d - HISTORY : d : 7].mean(axis=0),
            }
        )
        for d in range(HISTORY, len(rows))
    ]
    return with_surprise(pl.concat(frames))


def forecasts(sales: Floats, speed: npt.NDArray[np.str_], off: float) -> pl.DataFrame:
    """What the recent average says of the first entities at every origin looked at, summed up as in the night.

    Args:
        sales: (days, entities).
        speed: segment by entity.
        off: factor on the forecasts of the last three origins.
    """
    # only the pinned windows and the last weeks are looked at
    year, recent = PINNED - YEAR, PINNED - REFERENCE_DAYS + 1
    origins = np.concatenate([np.arange(year, year + AHEAD + 1), np.arange(recent, len(sales))])
    ahead = np.arange(1, predictions.WEEK_DAYS + 1)
    taken = sales[:, :FORECAST_ENTITIES]
    means = [np.stack([taken[d - n + 1 : d + 1].mean(axis=0) for d in origins]) for n in (7, 28, 56)]
    spread = np.stack([taken[d - 55 : d + 1].std(axis=0, ddof=1) for d in origins])
    week = np.stack([taken[origins - 7 + h] for h in ahead], axis=2)
    columns = [np.repeat(a.ravel(), ahead.size) for a in (*means, spread)] + [week.ravel()]
    day, unit, step = (i.ravel() for i in np.indices(week.shape))
    design = Design(
        np.stack(columns, axis=1).astype(np.float32), ("mean_7", "mean_28", "mean_56", "std_56", "same_weekday_lag"), (),
        np.ones(day.size), speed[unit], (step + 1).astype(np.int32), day + step, day,
    )  # fmt: skip
    said = RecentAverage().predict(design, (0.1, 0.9))
    factor = np.where(day >= origins.size - 3, off, 1.0)
    keys = pl.DataFrame({"item_id": unit, "site_id": 0, "day": origins[day], "horizon_days": step + 1})
    keys = keys.with_columns(
        pl.Series("demand_class", speed[unit]), (pl.lit(START) + pl.duration(days="day")).alias("origin_date")
    )
    told = keys.with_columns(
        pl.Series("demand_qty_ea_mean", said.mean * factor),
        *(pl.Series(f"demand_qty_ea_p{q}", said.quantiles[:, i] * factor) for i, q in enumerate((10, 90))),
    )
    level = keys.with_columns(pl.Series("sales_qty_ea_mean_28d", columns[1])).filter(pl.col("horizon_days") == 1)
    return predictions.prediction_features(told, level.rename({"origin_date": "feature_date"})).rename(
        {"origin_date": "feature_date", "demand_class": "speed"}
    )


def sensors(rng: np.random.Generator, days: int, drifts: bool) -> pl.DataFrame:
    """Hourly temperatures of 40 sensors."""
    n, hours = 40, np.arange(24)
    offset = rng.normal(0, 0.3, n)
    frames = []
    for d in range(HISTORY, days):
        value = 4 + np.sin(2 * np.pi * hours / 24)[:, None] + offset + rng.normal(0, 0.4, (24, n)) + rng.normal(0, 0.1)
        value += 1.5 if drifts and d >= days - 3 else 0.0
        frames.append(
            pl.DataFrame({"feature_date": [START + timedelta(days=d)] * (24 * n), "temperature_c": value.ravel()})
        )
    return pl.concat(frames)


def pinned(data: pl.DataFrame, subject: str, columns: tuple[str, ...]) -> list[Reference]:
    """The weeks before the champion went live, and the weeks after the same date a year before."""
    since = START + timedelta(days=PINNED)
    windows = [(since - timedelta(days=REFERENCE_DAYS - 1), since)]
    if subject != SENSORS:
        windows.append((since - timedelta(days=YEAR), since - timedelta(days=YEAR - AHEAD)))
    segment = "speed" if "speed" in data.columns else None
    return [
        build_reference(
            data.filter(pl.col("feature_date").is_between(*days)), subject=subject, columns=columns,
            date_column="feature_date", segment_column=segment, window_days=WINDOW_DAYS,
        )
        for days in windows
    ]  # fmt: skip


def nights(root: int, seed: int, drift: str) -> list[bool]:
    """Whether each of the last three nights alarms."""
    tables = zip(
        world(root, seed, drift), (FEATURES, predictions.SUBJECT, SENSORS), (WATCHED, predictions.WATCHED, ("temperature_c",)),
        strict=True,
    )  # fmt: skip
    sides = [(pinned(data, subject, columns), data) for data, subject, columns in tables]
    last = START + timedelta(days=DAYS - 1)
    alarms = []
    for night in (last - timedelta(days=back) for back in (2, 1, 0)):
        found = []
        for references, data in sides:
            window = data.filter(pl.col("feature_date").is_between(night - timedelta(days=WINDOW_DAYS - 1), night))
            segment = "speed" if "speed" in data.columns else None
            found.append(
                measure_drift(
                    references, window, drift_date=night, available_at_utc=NOW, thresholds=T, segment_column=segment
                )
            )
        alarms.append(bool(pl.concat(found)["is_drifted"].any()))
    return alarms


def drift_trials(root: int) -> list[Row]:
    """False alarms of quiet nights (the last of each world), planted drift caught within three nights."""
    quiet = sum(nights(root, 1000 + s, "")[-1] for s in range(100))
    rows = [("nights without drift: false alarms", f"{quiet} of 100", "at most 5", quiet <= 5)]
    hits = {kind: sum(any(nights(root, 5000 + 97 * k + s, kind)) for s in range(20)) for k, kind in enumerate(DRIFTS)}
    caught = sum(hits.values())
    rows += [(f"  of them {k}", f"{v} of 20", "", v >= 19) for k, v in hits.items()]
    whole = ("planted drift caught within 3 nights", f"{caught} of 100", "at least 95", caught >= 95)
    off = sum(any(nights(root, 9000 + s, PREDICTIONS)) for s in range(20))
    alone = ("predictions 30 % off on quiet features, caught", f"{off} of 20", "at least 19", off >= 19)
    return [rows[0], whole, *rows[1:], alone]
