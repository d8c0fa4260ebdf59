"""The harmonic regression: dense algebra gives the same steps, known effects are found, nothing later than the origin is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from ml import panel_harmonic
from ml.backtest import cut
from ml.panel import PanelData, build_panel
from ml.panel_harmonic import Blocks, Harmonic, Working, regressors, worth_trying

WEEKDAY = np.array([0.9, 0.8, 0.8, 0.9, 1.1, 1.4, 1.1])
DAYS, AHEAD = 800, 28


def world(series: int = 6, seed: int = 3) -> tuple[PanelData, np.ndarray]:
    """Daily counts with a known mean: weekday, year, a price, an event (the day before sells more), a level that drifts."""
    rng = np.random.default_rng(seed)
    t = np.arange(DAYS + AHEAD)
    days = [date(2022, 1, 3) + timedelta(days=int(i)) for i in t]
    year = np.array([0.25 * np.sin(2 * np.pi * d.timetuple().tm_yday / 365.25) for d in days])
    price = np.where(rng.random((series, t.size)) < 0.1, 0.7, 1.0) * np.linspace(2, 9, series)[:, None]
    event = np.where((t % 60) == 19, 1.0, np.nan)
    felt = 0.5 * (event == 1) + 0.3 * (np.roll(event, -1) == 1)
    level = np.exp(np.linspace(3, 5, series)[:, None] + np.linspace(0, 0.3, t.size)[None])
    elasticity = -2 * np.log(price / np.linspace(2, 9, series)[:, None])
    mean = level * WEEKDAY[t % 7] * np.exp(year + felt + elasticity)
    rows = pl.DataFrame({
        "k": np.repeat([f"S{i}" for i in range(series)], DAYS),
        "ds": days[:DAYS] * series,
        "y": rng.poisson(mean[:, :DAYS]).astype(float).ravel(),
    })  # fmt: skip
    panel = build_panel(rows, ["k"], "ds", "y", "D", AHEAD)
    future = {"price": price, "event": np.tile(event, (series, 1))}
    return replace(panel, future=future, texts=("event",)), mean


def ahead(model: Harmonic, panel: PanelData, origin: int) -> np.ndarray:
    s, h = np.repeat(np.arange(panel.n), AHEAD), np.tile(np.arange(1, AHEAD + 1), panel.n)
    return model.means(s, np.full(s.size, origin), h).reshape(panel.n, AHEAD)


def test_known_effects_are_found() -> None:
    panel, mean = world()
    told = ahead(Harmonic.fit(panel, DAYS - 1, AHEAD), panel, DAYS - 1)
    assert np.abs(told / mean[:, DAYS:] - 1).mean() < 0.06
    blind = replace(panel, future={}, texts=())
    without = ahead(Harmonic.fit(blind, DAYS - 1, AHEAD), blind, DAYS - 1)
    assert np.abs(without / mean[:, DAYS:] - 1).mean() > 0.12


def test_nothing_later_is_read() -> None:
    panel, _ = world()
    last, origin = 700, 740
    known = cut(panel, origin + 1, AHEAD)
    known = replace(
        known, future={name: wide[:, : origin + 1 + AHEAD] for name, wide in panel.future.items()}, texts=panel.texts
    )
    told = ahead(Harmonic.fit(panel, last, AHEAD), panel, origin)
    assert told == pytest.approx(ahead(Harmonic.fit(known, last, AHEAD), known, origin), rel=1e-9)
    later = panel.y.copy()
    later[:, origin + 1 :] = 1e6
    changed = replace(panel, y=later)
    assert np.array_equal(told, ahead(Harmonic.fit(changed, last, AHEAD), changed, origin))


def test_a_step_is_that_of_the_whole_system_solved_at_once() -> None:
    """Effects and levels of one series as one dense penalised regression (Wood 2017, 6.2) against their elimination by blocks."""
    panel, _ = world(1)
    last = 200
    z, known, _ = panel_harmonic._in_units(panel, last)
    table = regressors(panel, last, DAYS + AHEAD)
    fit = panel_harmonic._Fit(panel, table, last, z, known)
    series = np.array([0])
    level = fit._start(series)
    x = fit.columns(series)[:, : last + 1]
    left, right, back = fit._step(series, x, fit.none[None], level)
    precision = np.diag(table.deviations**-2.0)
    effects = np.linalg.solve(left[0] + precision, right[0])
    levels = panel_harmonic._put_back(back, effects[None])[0]

    x = x[0]
    block = np.eye(fit.blocks.starts.size)[fit.blocks.of]
    step = Working.at(fit.z, fit.weight, level[:, fit.blocks.of])
    steps = np.diff(np.eye(block.shape[1]), axis=0)
    penalty = np.zeros((x.shape[1] + block.shape[1],) * 2)
    penalty[: x.shape[1], : x.shape[1]] = precision
    penalty[x.shape[1] :, x.shape[1] :] = fit.blocks.stiffness * steps.T @ steps + 1e-9 * np.eye(block.shape[1])
    wide = np.column_stack([x, block])
    dense = np.linalg.solve(
        wide.T @ (wide * step.weight[0][:, None]) + penalty, wide.T @ (step.weight[0] * step.response[0])
    )
    assert effects == pytest.approx(dense[: x.shape[1]], rel=1e-6, abs=1e-9)
    assert levels == pytest.approx(dense[x.shape[1] :], rel=1e-6, abs=1e-9)


def test_blocks_are_solved_as_a_dense_system_is() -> None:
    rng = np.random.default_rng(1)
    blocks = Blocks.ending(40, "D")
    weight, right = rng.random((2, blocks.starts.size)), rng.random((2, blocks.starts.size, 3))
    steps = np.diff(np.eye(blocks.starts.size), axis=0)
    for s, told in enumerate(blocks.solve(weight, right)):
        whole = np.diag(weight[s] + 1e-9) + blocks.stiffness * steps.T @ steps
        assert told == pytest.approx(np.linalg.solve(whole, right[s]), rel=1e-8)
    assert blocks.starts[-1] == 40 + 1 - 7 and blocks.of[-1] == blocks.starts.size - 1


def test_series_without_sales_stock_outs_and_odd_covariates_stay_finite() -> None:
    panel, mean = world()
    y = panel.y.copy()
    y[0] = 0.0
    y[1] = np.nan
    y[2, 100:400] = np.nan
    y[3, :-20] = np.nan
    price = panel.future["price"].copy()
    price[4, -5:] = 900.0
    price[5, 50:90] = np.nan
    odd = replace(panel, y=y, future=panel.future | {"price": price, "constant": np.ones_like(price)})
    told = ahead(Harmonic.fit(odd, DAYS - 1, AHEAD), odd, DAYS - 1)
    assert np.isfinite(told).all() and not told[:2].any()
    assert np.abs(told[2] / mean[2, DAYS:] - 1).mean() < 0.15
    assert np.abs(told[3] / mean[3, DAYS:] - 1).mean() < 0.3
    assert (told[4, -5:] > 0).all()


def test_some_series_speak_for_all_and_too_many_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    panel, mean = world()
    monkeypatch.setattr(panel_harmonic, "MOST_SHARED", 4)
    told = ahead(Harmonic.fit(panel, DAYS - 1, AHEAD), panel, DAYS - 1)
    assert np.abs(told / mean[:, DAYS:] - 1).mean() < 0.06
    assert worth_trying(panel, DAYS - 1)
    monkeypatch.setattr(panel_harmonic, "MOST_SERIES", 5)
    assert not worth_trying(panel, DAYS - 1)


def test_a_short_panel_without_covariates_has_nothing_to_regress_on() -> None:
    panel, _ = world(2)
    short = cut(replace(panel, future={}, texts=()), 40, 4)
    assert not worth_trying(short, 30) and worth_trying(panel, 500)
    level = Harmonic.fit(short, 39, 4).means(np.array([0, 1]), np.array([39, 39]), np.array([1, 4]))
    assert level == pytest.approx(np.nanmean(short.y[:, -28:], axis=1), rel=0.15)
