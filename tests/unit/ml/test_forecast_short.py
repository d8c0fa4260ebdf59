"""Panels that say little: short, constant, never sold, sold only of late. Each is forecast, soberly, and what was done is said."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from ml.forecasting import PanelForecast, PanelSpec, forecast_panel, without_silence
from ml.panel import PanelData
from ml.panel_rows import Freq


def panel_of(y: np.ndarray, freq: Freq = "M") -> PanelData:
    keys = pl.DataFrame({"k": [f"S{i:02}" for i in range(y.shape[0])]})
    return PanelData(keys, ("k",), "ds", freq, date(2022, 1, 3), y.astype(float), y.astype(float))


def told(made: PanelForecast, words: str) -> bool:
    return any(words in note for note in made.notes)


@pytest.mark.parametrize("periods", range(4, 12))
def test_a_handful_of_periods_is_forecast(periods: int) -> None:
    y = np.random.default_rng(periods).poisson(5, (3, periods))
    made = forecast_panel(panel_of(y), PanelSpec(6))
    assert np.isfinite(made.quantiles).all() and made.quantiles.max() <= 3 * y.max()
    assert 1 < made.frame["mean"].mean() < 12  # type: ignore[operator]


def test_what_never_changes_is_forecast_as_it_is() -> None:
    made = forecast_panel(panel_of(np.full((40, 24), 3.0)), PanelSpec(13))
    assert np.abs(made.frame["mean"].to_numpy() - 3).max() < 0.05
    assert np.abs(made.quantiles - 3).max() < 0.05


def test_few_rare_sales_do_not_promise_thousands() -> None:
    """Ratios of one sale to means of almost nothing were applied to means of one or two."""
    for seed in range(12):
        y = np.random.default_rng(seed).poisson(0.1, (1, 18))
        made = forecast_panel(panel_of(y), PanelSpec(13))
        assert made.quantiles.max() <= y.max() + made.frame["mean"].max() + 1e-6  # type: ignore[operator]


def test_a_panel_that_never_sold_is_forecast_at_zero_and_said() -> None:
    panel = panel_of(np.zeros((4, 600)), "D")
    made = forecast_panel(panel, PanelSpec(14))
    assert made.frame["mean"].max() == 0.0 and made.quantiles.max() < 1e-5
    assert told(made, "no global model: nothing sold up to")
    for model in ("lightgbm", "lightgbm_quantiles"):
        with pytest.raises(BadInputError, match="nothing sold that a global model could learn from"):
            forecast_panel(panel, PanelSpec(14, model=model))


@pytest.mark.parametrize("sold", [9, 20, 60])
def test_a_shop_that_opened_of_late_is_known_from_its_first_sale_on(sold: int) -> None:
    y = np.zeros((6, 600))
    y[:, -sold:] = np.random.default_rng(sold).poisson(4, (6, sold)) + 1
    made = forecast_panel(panel_of(y, "D"), PanelSpec(14))
    assert made.frame["mean"].to_numpy() == pytest.approx(np.full(84, 5.0), abs=4.5)
    assert made.quantiles.max() < 4 * y.max()
    assert told(made, f"nothing sold before {panel_of(y, 'D').day(600 - sold)}: the {600 - sold} periods before it")
    short = forecast_panel(panel_of(y, "D").since(600 - sold), PanelSpec(14))
    assert made.frame.equals(short.frame)


def test_only_silence_before_all_held_out_periods_is_left_out() -> None:
    y = np.zeros((2, 600))
    y[0, 300:] = 1.0  # sold before the held-out periods: the silence before says when it began
    assert without_silence(panel_of(y, "D"), 14).periods == 600
    y[0, :595] = 0.0  # too few periods would be left
    assert without_silence(panel_of(y, "D"), 14).periods == 600
    y[0, 560:] = 1.0
    left = without_silence(panel_of(y, "D"), 14)
    assert left.periods == 40 and left.first == panel_of(y, "D").day(560)
