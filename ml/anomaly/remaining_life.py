"""Remaining life of equipment from its sensors: the wear of the latest cycles, matched to how wear ended before.

Sensors that never vary are left out; the rest are standardised on young cycles, averaged over ten, and combined linearly
by ridge regression on the capped remaining life (early life shows no wear: the usual cap is 125 cycles, Heimes 2008).
Quantiles come from the residuals of engines that were not learned from, near the same prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError

Floats = npt.NDArray[np.float64]
CAP_CYCLES = 125.0
WINDOW = 10
LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class LifeModel:
    """A fitted model: sensors used, their young mean and deviation, weights, and residuals by prediction."""

    sensors: tuple[str, ...]
    mean: Floats
    sd: Floats
    weights: Floats
    predicted: Floats
    residual: Floats


def wear_features(frame: pl.DataFrame, sensors: Sequence[str], *, unit: str = "unit", cycle: str = "cycle") -> Floats:
    """Mean of the last ten cycles, their rise against the ten before, and the age, per row; needs nothing after the row."""
    ordered = frame.sort(unit, cycle)
    now = [pl.col(s).rolling_mean(WINDOW, min_samples=1).over(unit).alias(s) for s in sensors]
    rise = [
        (pl.col(s).rolling_mean(WINDOW, min_samples=1) - pl.col(s).rolling_mean(2 * WINDOW, min_samples=1))
        .over(unit)
        .alias(f"{s}_rise")
        for s in sensors
    ]
    return ordered.select(*now, *rise, pl.col(cycle).cast(pl.Float64)).to_numpy()


def fit_remaining_life(
    run_to_failure: pl.DataFrame, *, unit: str = "unit", cycle: str = "cycle", ridge: float = 10.0, folds: int = 5
) -> LifeModel:
    """Fit on equipment that ran until it failed.

    Args:
        run_to_failure: one row per unit and cycle; every other number column is a sensor.
        unit: column of the equipment.
        cycle: column of the cycle, from 1; the last cycle of a unit is its failure.
        ridge: strength of the ridge.
        folds: folds over whole units for the residuals.

    Raises:
        BadInputError: fewer than `folds` units, or no sensor that varies.
    """
    frame = run_to_failure.sort(unit, cycle)
    sensors = tuple(
        c for c in frame.columns if c not in (unit, cycle) and frame.schema[c].is_numeric() and frame[c].n_unique() > 2
    )
    units = frame[unit].to_numpy()
    if len(set(units.tolist())) < folds or not sensors:
        raise BadInputError(
            "too few units, or no sensor that varies",
            where="remaining life",
            count=len(set(units.tolist())),
            todo="give more histories",
        )
    left = frame.select((pl.col(cycle).max().over(unit) - pl.col(cycle)).cast(pl.Float64)).to_series().to_numpy()
    target = np.minimum(left, CAP_CYCLES)
    raw = wear_features(frame, sensors, unit=unit, cycle=cycle)
    mean, sd = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
    x = _design(raw, mean, sd)
    number = {u: i for i, u in enumerate(sorted(set(units.tolist())))}
    fold = np.array([number[u] % folds for u in units.tolist()])
    predicted = np.empty(len(target))
    for k in range(folds):
        predicted[fold == k] = x[fold == k] @ _solve(x[fold != k], target[fold != k], ridge)
    order = np.argsort(predicted, kind="stable")
    return LifeModel(sensors, mean, sd, _solve(x, target, ridge), predicted[order], (target - predicted)[order])


def _design(raw: Floats, mean: Floats, sd: Floats) -> Floats:
    """Standardised features, their squares, and a constant."""
    z = np.clip((raw - mean) / sd, -6.0, 6.0)
    return np.concatenate([z, z**2, np.ones((len(z), 1))], axis=1)


def _solve(x: Floats, y: Floats, ridge: float) -> Floats:
    penalty = ridge * np.eye(x.shape[1])
    penalty[-1, -1] = 0.0
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y))


def predict_remaining_life(
    model: LifeModel, history: pl.DataFrame, *, unit: str = "unit", cycle: str = "cycle"
) -> pl.DataFrame:
    """Cycles left after the last known cycle of each unit: p10, p50, p90, capped at `CAP_CYCLES`.

    Raises:
        BadInputError: a sensor is missing.
    """
    absent = [s for s in model.sensors if s not in history.columns]
    if absent:
        raise BadInputError(
            f"sensors are missing: {', '.join(absent)}",
            where="remaining life",
            count=len(absent),
            todo="send them, or fit without them",
        )
    frame = history.sort(unit, cycle)
    point = _design(wear_features(frame, model.sensors, unit=unit, cycle=cycle), model.mean, model.sd) @ model.weights
    last = frame.with_columns(pl.Series("_p", point)).group_by(unit, maintain_order=True).last()
    out = []
    for value in last["_p"].to_list():
        place = int(np.searchsorted(model.predicted, value))
        near = model.residual[max(place - 500, 0) : place + 500]
        out.append(np.clip(value + np.quantile(near, LEVELS), 0.0, CAP_CYCLES))
    names = [f"remaining_cycles_p{round(q * 100):02d}" for q in LEVELS]
    return (
        last.select(unit, cycle)
        .with_columns(pl.Series(n, [o[i] for o in out], dtype=pl.Float64) for i, n in enumerate(names))
        .sort(unit)
    )
