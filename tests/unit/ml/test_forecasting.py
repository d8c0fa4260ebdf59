"""Panel forecasts: leak-free, calibrated columns, the same answer twice, every model by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError, UsageError
from ml.backtest import backtest_panel, cut
from ml.forecasting import PanelSpec, forecast_panel, model_names
from ml.panel import PanelData, build_panel
from ml.panel_features import all_rows, design, origin_features

QUICK = replace(PanelSpec(4).boost, trees=30, spread_trees=10, threads=1)


def panel(series: int = 60, periods: int = 80, seed: int = 1, freq: str = "W") -> PanelData:
    rng = np.random.default_rng(seed)
    level = np.exp(rng.normal(0.5, 1, series))[:, None]
    season = 1 + 0.4 * np.sin(2 * np.pi * np.arange(periods) / 26)[None, :]
    y = rng.negative_binomial(2, 2 / (2 + level * season)).astype(float)
    step = {"W": timedelta(weeks=1), "D": timedelta(days=1)}[freq]
    rows = {
        "key": np.repeat([f"K{i:03}" for i in range(series)], periods), "ds": [date(2022, 1, 3) + step * t for _ in range(series) for t in range(periods)],
        "y": y.ravel(),
    }  # fmt: skip
    return build_panel(pl.DataFrame(rows), ["key"], "ds", "y", freq, 4)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data() -> PanelData:
    return panel()


@pytest.fixture(scope="module")
def spec() -> PanelSpec:
    return PanelSpec(4, boost=QUICK, most_rows=8_000)


def test_output_has_keys_time_mean_and_named_quantiles(data: PanelData, spec: PanelSpec) -> None:
    out = forecast_panel(data, spec)
    assert out.frame.columns == ["key", "ds", "mean", "q0.05", "q0.1", "q0.25", "q0.5", "q0.75", "q0.9", "q0.95"]
    assert out.frame.height == 60 * 4 and out.frame["ds"].min() == data.day(80)
    q = out.frame.select(pl.col("^q.*$")).to_numpy()
    assert (np.diff(q, axis=1) >= 0).all() and (q >= 0).all() and np.isfinite(q).all()
    assert set(out.expected) >= {"all"} and 0.7 < out.expected["all"]["coverage80_frac"] < 0.9
    assert "all" in out.chosen


def test_the_same_panel_and_seed_give_the_same_forecast_and_each_long_step_is_said(
    data: PanelData, spec: PanelSpec
) -> None:
    steps: list[str] = []
    assert forecast_panel(data, spec).frame.equals(forecast_panel(panel(), spec, steps.append).frame)
    assert [step.split(" ")[0] for step in steps] == ["learning", "learning", "learning", "forecasting"]
    days = [step.split(" up to ")[1][:10] for step in steps[:3]]
    assert days == sorted(set(days)) and days[-1] == data.day(79).isoformat()
    assert steps[-1] == "forecasting series 1 to 60 of 60"


def test_demand_in_small_units_is_forecast_as_well_as_in_large_ones(data: PanelData, spec: PanelSpec) -> None:
    """Tonnes instead of pieces: the same shares, and the same numbers but for the unit."""
    tonnes = forecast_panel(data.times(2.0**-12), spec)
    pieces = forecast_panel(data.times(2.0**-10), spec)
    assert tonnes.frame["mean"].to_numpy() == pytest.approx(pieces.frame["mean"].to_numpy() / 4, rel=1e-12)
    assert tonnes.quantiles == pytest.approx(pieces.quantiles / 4, rel=1e-12)
    assert tonnes.expected["all"]["pinball"] == pytest.approx(pieces.expected["all"]["pinball"] / 4)
    assert tonnes.expected["all"]["coverage80_frac"] == pieces.expected["all"]["coverage80_frac"] > 0.7


@pytest.mark.parametrize("name", [m for m in model_names() if m not in ("auto", "auto_ets")])
def test_every_model_can_be_forced(name: str, spec: PanelSpec) -> None:
    out = forecast_panel(panel(20, 60), replace(spec, model=name, horizon=2))
    assert out.chosen["all"] == name
    assert np.isfinite(out.frame["mean"].to_numpy()).all()


def test_truncating_the_future_changes_no_feature(data: PanelData) -> None:
    index = np.array([30, 45, 60])
    whole, past = origin_features(data, index), origin_features(cut(data, 61, 4), index)
    assert np.array_equal(whole.x[:, :, :-1], past.x[:, :, :-1], equal_nan=True)
    rows = all_rows(whole, np.arange(3), 4, 200, 10_000, 1)
    a, b = design(data, whole, rows, False), design(cut(data, 61, 4), past, rows, False)
    assert a.names == b.names and np.array_equal(a.x, b.x, equal_nan=True)


def test_one_series_is_forecast_by_the_statistical_models(spec: PanelSpec) -> None:
    out = forecast_panel(panel(1, 120, freq="D"), spec)
    assert "lightgbm" not in out.chosen["all"] and any("one series" in n for n in out.notes)


def test_all_zero_series_are_forecast_near_zero(spec: PanelSpec) -> None:
    base = panel(40)
    y = base.y.copy()
    y[:5] = 0.0
    out = forecast_panel(replace(base, y=y, sales=y), spec)
    assert out.frame["mean"].to_numpy().reshape(40, 4)[:5].max() < 0.5


def test_a_horizon_longer_than_a_quarter_of_the_history_is_held_flat_and_said(spec: PanelSpec) -> None:
    out = forecast_panel(panel(200, 13), replace(spec, horizon=13))
    assert out.frame.height == 200 * 13 and any("learned up to 3 periods ahead" in n for n in out.notes)


def test_wrong_calls_are_refused(data: PanelData, spec: PanelSpec) -> None:
    with pytest.raises(UsageError, match="there is no model oracle"):
        forecast_panel(data, replace(spec, model="oracle"))
    with pytest.raises(UsageError, match="quantile levels"):
        forecast_panel(data, replace(spec, levels=(0.5, 1.5)))
    with pytest.raises(UsageError, match="horizon"):
        forecast_panel(data, replace(spec, horizon=0))
    with pytest.raises(BadInputError, match="at least four periods"):
        forecast_panel(panel(3, 3), spec)


def test_backtest_compares_with_baselines_by_class_and_horizon(data: PanelData, spec: PanelSpec) -> None:
    result = backtest_panel(data, spec, 2, baselines=("ses", "seasonal_naive"))
    summary = result.summary()
    assert set(summary["model"]) == {"aios", "ses", "seasonal_naive"}
    assert {"all", "demand_class", "horizon"} == set(summary["by"])
    assert result.table["fold"].unique().sort().to_list() == [0, 1] and len(result.chosen) == 2
    with pytest.raises(BadInputError, match="too few for 40 folds"):
        backtest_panel(data, spec, 40)
