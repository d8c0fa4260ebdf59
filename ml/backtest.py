"""Rolling-origin backtest of a panel forecast: the whole procedure, from choosing to calibrating, at each of several origins.

Each fold cuts the panel at its origin, forecasts as `aios forecast` would have done that day, and compares with what came.
Nothing of a fold's future is read (the panel is cut before anything is computed; covariates ahead stay, they are known).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl

from aios_assets.contracts.errors import BadInputError
from ml.forecasting import PanelForecast, PanelSpec, forecast_panel
from ml.metrics import scaled_errors, score
from ml.models.base import F64
from ml.models.statistical import demand_class, mean_interval, size_variation
from ml.panel import PanelData
from ml.panel_rows import SEASON
from ml.partitions import map_partitions

BASELINES = ("seasonal_naive", "window_average", "ses", "croston_sba", "tsb", "adida", "imapa")


@dataclass(frozen=True, slots=True)
class Backtest:
    """Figures per fold, model, segment; the mixtures chosen in each fold.

    Attributes:
        table: fold, origin, model, by, segment, metrics.
        chosen: per fold, class to model.
    """

    table: pl.DataFrame
    chosen: list[dict[str, str]]

    def summary(self) -> pl.DataFrame:
        """Mean of each metric over folds, per model and segment, best pinball first."""
        numbers = [c for c, t in self.table.schema.items() if t == pl.Float64]
        return (
            self.table.group_by("by", "segment", "model").agg(pl.col(numbers).mean()).sort("by", "segment", "pinball")
        )


def cut(panel: PanelData, periods: int, horizon: int) -> PanelData:
    """The panel as it was known after its first `periods` periods; covariates reach `horizon` further."""
    future = {name: wide[:, : periods + horizon] for name, wide in panel.future.items()}
    return replace(panel, y=panel.y[:, :periods], sales=panel.sales[:, :periods], future=future, notes=())


def backtest_panel(
    panel: PanelData, spec: PanelSpec, folds: int, *, stride: int | None = None, baselines: Sequence[str] = BASELINES,
    say: Callable[[str], None] = lambda _: None, engine: str = "inprocess",
) -> Backtest:  # fmt: skip
    """Forecast from `folds` origins, `stride` periods apart (the horizon by default), and score.

    Every fold and model is a part of its own, so the figures are the same to the last digit on whatever engine.

    Args:
        panel: all that is known.
        spec: what is asked at each origin.
        folds: number of origins.
        stride: periods between origins.
        baselines: models to compare with.
        say: told of each fold.
        engine: see `ml.partitions.map_partitions`.

    Raises:
        BadInputError: the panel is too short for so many folds.
    """
    step = stride or spec.horizon
    first = panel.periods - spec.horizon - (folds - 1) * step
    if folds < 1 or first < 4:
        raise BadInputError(
            f"{panel.periods} periods are too few for {folds} folds of {spec.horizon}", where="panel", todo="use fewer folds or a shorter horizon"
        )  # fmt: skip
    parts = [(fold, first + fold * step, name) for fold in range(folds) for name in ("", *baselines)]
    for fold in range(folds):
        say(f"fold {fold + 1} of {folds}: origin {panel.day(first + fold * step - 1)}")
    done = map_partitions(partial(_fold, panel, spec), parts, engine=engine)
    return Backtest(pl.concat([table for table, _ in done]), [chosen for _, chosen in done if chosen is not None])


def _fold(panel: PanelData, spec: PanelSpec, part: tuple[int, int, str]) -> tuple[pl.DataFrame, dict[str, str] | None]:
    """One model at one origin; the empty name is the whole procedure, and says what it chose."""
    fold, periods, name = part
    known = cut(panel, periods, spec.horizon)
    forecast = forecast_panel(known, replace(spec, model=name) if name else spec)
    actual = panel.y[:, periods : periods + spec.horizon]
    table = _scores(known, actual, forecast, spec, name or "aios")
    marks = pl.lit(fold).alias("fold"), pl.lit(panel.day(periods - 1)).alias("origin")
    return table.with_columns(*marks), None if name else forecast.chosen


def _scores(known: PanelData, actual: F64, forecast: PanelForecast, spec: PanelSpec, model: str) -> pl.DataFrame:
    mean = forecast.frame["mean"].to_numpy().reshape(known.n, spec.horizon)
    classes = demand_class(mean_interval(known.y), size_variation(known.y), np.zeros(known.n, dtype=bool))
    rows: list[dict[str, object]] = []
    third = max(1, -(-spec.horizon // 3))
    for by, segment, series, periods in _segments(classes, spec.horizon, third):
        part = actual[series][:, periods]
        ok = ~np.isnan(part)
        if not ok.any():
            continue
        m, q = mean[series][:, periods], forecast.quantiles[series][:, periods]
        scaled = scaled_errors(part, m, known.y[series], SEASON[known.freq])
        rows.append(
            {
                "model": model,
                "by": by,
                "segment": segment,
                **score(part[ok], m[ok], q[ok], spec.levels),
                "mase": scaled["mase"],
                "rmsse": scaled["rmsse"],
            }
        )
    return pl.DataFrame(rows)


def _segments(
    classes: np.ndarray[tuple[int, ...], np.dtype[np.str_]], horizon: int, third: int
) -> list[tuple[str, str, F64, slice]]:
    everyone = np.ones(classes.size, dtype=bool)
    out: list[tuple[str, str, F64, slice]] = [("all", "all", everyone, slice(None))]  # type: ignore[list-item]
    out += [("demand_class", str(c), classes == c, slice(None)) for c in np.unique(classes)]  # type: ignore[misc]
    out += [
        ("horizon", f"{low + 1}-{min(low + third, horizon)}", everyone, slice(low, low + third))
        for low in range(0, horizon, third)
    ]  # type: ignore[misc]
    return out
