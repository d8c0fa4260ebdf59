"""Drift of a night: features and predictions beside the windows pinned when the champion was trained.

A reference is a file named by the champion's version, written once, so that the yardstick never drifts along. Two windows are
pinned: the weeks before the champion went live, and the weeks that followed the same date a year before, where they are known;
what is unlike both has drifted, so that a season that comes every year is none.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from aios_assets.assets.glue_scoring import covariates, deployed, scoring_features
from aios_assets.contracts.decision_tables import MON_DRIFT
from aios_assets.contracts.errors import AiosError, RefusedError
from aios_assets.resources.handles import World
from monitoring.predictions import SEGMENT

CURRENT_DAYS = 3
REFERENCE_DAYS = 56
YEAR_DAYS = 364
FEATURES = "feat_item_site__demand"
WATCHED = (
    "sales_qty_ea_lag_0",
    "sales_qty_ea_mean_7d",
    "sales_qty_ea_mean_28d",
    "zero_frac_28d",
    "in_stock_frac_28d",
    "days_since_sale",
    "price_rel_28d",
    "sales_vs_weekday_log",
)


def watched_rows(world: World, first: date, last: date) -> pl.DataFrame:
    """Feature rows of those days with their demand class, and each day's sales against what is usual for the series that weekday."""
    from ml.datasets import classes_of
    from monitoring.drift import with_surprise

    rows = world.feature_rows(first, last)
    return with_surprise(rows).with_columns(pl.Series(SEGMENT, classes_of(rows), dtype=pl.String))


def champion_predictions(world: World, first: date, last: date, day: date) -> pl.DataFrame:
    """What the champion of `day` says of the origins of those days: one row per sampled item and site and origin.

    Origins it answered for are read as they were written; those before it was live are scored now. Empty where the champion
    cannot be used: then nothing can be measured, and that counts as drift.
    """
    from monitoring.predictions import prediction_features, sampled_units

    try:
        live = world.deployment("demand", day)
    except RefusedError:
        return prediction_features(
            world.lake.read("pred_demand__28d", where=pl.lit(False)), world.feature_rows(day, day)
        )
    features = scoring_features(world, first, last).filter(pl.col("sales_qty_ea_mean_28d").is_not_null())
    features = features.join(sampled_units(features), on=["item_id", "site_id"], how="semi", maintain_order="left")
    written = _written(world, live, first, last).join(features, on=["item_id", "site_id"], how="semi")
    since = world.business_day_of(live["valid_from_utc"])
    before = features.filter(pl.col("feature_date") < since)
    scored = _scored(world, live, before) if before.height else written.clear()
    return prediction_features(pl.concat([scored, written]), features)


def _written(world: World, live: dict[str, Any], first: date, last: date) -> pl.DataFrame:
    since = world.business_day_of(live["valid_from_utc"])
    mine = pl.col("origin_date").is_between(max(first, since), last) & (pl.col("model_digest") == live["model_digest"])
    return world.lake.read("pred_demand__28d", where=mine & ~pl.col("is_fallback"))


def _scored(world: World, live: dict[str, Any], features: pl.DataFrame) -> pl.DataFrame:
    from ml.scoring import score_demand
    from monitoring.predictions import WEEK_DAYS

    last = features["feature_date"].max()
    assert isinstance(last, date)
    rows = score_demand(deployed(world, live), features, covariates(world, last), horizon=WEEK_DAYS)
    return rows.filter(~pl.col("is_fallback"))


@dataclass(frozen=True, slots=True)
class Subject:
    """A table whose columns are watched.

    Attributes:
        name: `mon_drift.subject`.
        columns: watched.
        date_column: day of each row.
        rows: rows of the days from first to last, as the champion of a day sees them.
    """

    name: str
    columns: tuple[str, ...]
    date_column: str
    rows: Callable[[World, date, date, date], pl.DataFrame]


def subjects() -> tuple[Subject, Subject]:
    """Features and predictions."""
    from monitoring import predictions

    return (
        Subject(FEATURES, WATCHED, "feature_date", lambda world, first, last, _day: watched_rows(world, first, last)),
        Subject(predictions.SUBJECT, predictions.WATCHED, "origin_date", champion_predictions),
    )


def drift_rows(world: World, day: date) -> pl.DataFrame:
    """Rows of `mon_drift`: this week's features and predictions against the windows pinned with the champion."""
    from monitoring.drift import measure_drift
    from monitoring.gates import load_thresholds

    found = [MON_DRIFT.empty()]
    for subject in subjects():
        references = pinned_references(world, day, subject)
        current = subject.rows(world, day - timedelta(days=CURRENT_DAYS - 1), day, day)
        if references and (current.height or subject.name != FEATURES):
            found.append(
                measure_drift(
                    references,
                    current,
                    drift_date=day,
                    available_at_utc=world.cutoff(day),
                    thresholds=load_thresholds(),
                    segment_column=SEGMENT,
                )
            )
    return pl.concat(found)


def pinned_references(world: World, day: date, subject: Subject) -> list[Any]:
    """The windows pinned when the live champion was trained; empty while there is no champion."""
    from monitoring.drift import Reference

    name = world.champion_label("demand", day)
    if name == "none":
        return []
    since = world.champion_since("demand", day)
    windows = {
        "weeks_before": (since - timedelta(days=REFERENCE_DAYS), since),
        "year_before": (since - timedelta(days=YEAR_DAYS), since - timedelta(days=YEAR_DAYS - REFERENCE_DAYS)),
    }
    pinned = [_pin(world, day, subject, name, window, days) for window, days in windows.items()]
    return [Reference.from_bytes(path.read_bytes()) for path in pinned if path is not None]


def _pin(world: World, day: date, subject: Subject, champion: str, window: str, days: tuple[date, date]) -> Path | None:
    """The file of a pinned window, made on first use; None where the data does not reach back to all of it."""
    from monitoring.drift import build_reference
    from monitoring.gates import load_thresholds

    path = Path(world.home) / "references" / f"{subject.name}__{champion}__{window}.json"
    if path.exists():
        return path
    if window == "year_before" and world.feature_rows(days[0], days[0]).is_empty():
        return None  # asked again every night, so before anything is scored
    rows = subject.rows(world, *days, day)
    if rows.is_empty() or (window == "year_before" and rows[subject.date_column].min() != days[0]):
        return None
    reference = build_reference(
        rows, subject=subject.name, columns=subject.columns, date_column=subject.date_column,
        segment_column=SEGMENT, window_days=CURRENT_DAYS, bins=int(load_thresholds().drift["bins"]),
    )  # fmt: skip
    keep(path, reference.to_bytes())
    return path


def reference_sample(world: World, day: date) -> pl.DataFrame:
    """Rows of the reference that the report shows: those pinned with the champion, or of the weeks before `day` without one."""
    from monitoring.reports import SAMPLE_ROWS, sample

    name = world.champion_label("demand", day)
    path = Path(world.home) / "references" / f"{FEATURES}__{name}.parquet"
    if name != "none" and path.exists():
        return pl.read_parquet(path)
    try:
        since = world.champion_since("demand", day)
    except AiosError:
        since = day
    window = watched_rows(world, since - timedelta(days=REFERENCE_DAYS), since)
    if window.is_empty():
        return window
    shown = sample(window.select(WATCHED), SAMPLE_ROWS, world.seed)
    if name != "none":
        buffer = io.BytesIO()
        shown.write_parquet(buffer)
        keep(path, buffer.getvalue())
    return shown


def keep(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a night killed here pins it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f"{path.suffix}.part")
    part.write_bytes(data)
    part.replace(path)
