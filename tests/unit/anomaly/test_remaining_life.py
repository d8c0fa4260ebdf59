"""Remaining life on the turbofan data: engines that were not learned from, cut at a random cycle."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from ml.anomaly.remaining_life import CAP_CYCLES, fit_remaining_life, predict_remaining_life

SHARED = Path(os.environ.get("AIOS_SHARED", Path(__file__).resolve().parents[4] / "shared"))
TURBOFAN = SHARED / "data" / "cmapss" / "train_FD001.parquet"


def cut(frame: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    parts, left = [], []
    for _, part in frame.sort("unit", "cycle").group_by("unit", maintain_order=True):
        keep = int(rng.integers(30, part.height))
        parts.append(part.head(keep))
        left.append(part.height - keep)
    return pl.concat(parts), np.array(left, dtype=float)


@pytest.mark.shared
def test_unseen_engines_are_better_than_the_mean_and_intervals_hold() -> None:
    if not TURBOFAN.exists():
        pytest.skip(f"no turbofan data at {TURBOFAN}")
    frame = pl.read_parquet(TURBOFAN)
    errors, inside, naive = [], [], []
    for k in range(4):
        train, test = frame.filter(pl.col("unit") % 4 != k), frame.filter(pl.col("unit") % 4 == k)
        history, left = cut(test, k)
        truth = np.minimum(left, CAP_CYCLES)
        out = predict_remaining_life(fit_remaining_life(train), history)
        errors.append(out["remaining_cycles_p50"].to_numpy() - truth)
        inside.append(
            (truth >= out["remaining_cycles_p10"].to_numpy() - 1e-6)
            & (truth <= out["remaining_cycles_p90"].to_numpy() + 1e-6)
        )
        naive.append(truth - truth.mean())
    rmse = [float(np.sqrt(np.mean(np.concatenate(e) ** 2))) for e in (errors, naive)]
    assert rmse[0] < 20 and rmse[0] < 0.6 * rmse[1], rmse
    assert 0.7 <= np.concatenate(inside).mean() <= 0.95


def worn(units: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for u in range(units):
        life = int(rng.integers(120, 220))
        rows += [(u, c, 1.0, max(0.0, 1 - (life - c) / 100) + rng.normal(0, 0.05)) for c in range(1, life + 1)]
    return pl.DataFrame(rows, schema=["unit", "cycle", "fixed", "wear"], orient="row")


def test_the_future_of_a_unit_is_not_used_and_bad_input_is_named() -> None:
    model = fit_remaining_life(worn(20, 1))
    frame = worn(4, 2)
    early = frame.filter(pl.col("cycle") <= 80)
    assert model.sensors == ("wear",)
    assert predict_remaining_life(model, early).equals(
        predict_remaining_life(model, early.sample(fraction=1.0, shuffle=True, seed=1))
    )
    late = predict_remaining_life(model, frame)
    assert (late["remaining_cycles_p50"] < predict_remaining_life(model, early)["remaining_cycles_p50"]).all()
    with pytest.raises(BadInputError, match="wear"):
        predict_remaining_life(model, early.drop("wear"))
    with pytest.raises(BadInputError):
        fit_remaining_life(worn(2, 1))
