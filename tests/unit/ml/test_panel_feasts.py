"""Feasts planted in sales are found and named, noise has none, nothing after the last period is read, and a forecast knows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from ml.backtest import cut
from ml.forecasting import PanelSpec, forecast_panel
from ml.panel import PanelData, build_panel
from ml.panel_feasts import FEAST, Feast, feasts_said, find_feasts, rule_words, rules_of, with_feasts
from ml.panel_harmonic import Harmonic
from ml.panel_texts import with_effects

START, DAYS, AHEAD = date(2021, 1, 4), 4 * 365, 28
PLANTED = {("date", 12, 24, 0): 1.8, ("date", 12, 25, 0): 0.0, ("nth", 5, 6, 2): 0.6, ("easter", -2, 0, 0): 1.5}


def world(
    series: int = 12, *, planted: dict[tuple[str, int, int, int], float] = PLANTED, days: int = DAYS, seed: int = 8
) -> PanelData:
    """Poisson sales with a weekday profile, a level of each series that grows, and feasts at the planted rules."""
    rng = np.random.default_rng(seed)
    t = [START + timedelta(days=i) for i in range(days)]
    factor = np.array([np.prod([planted.get(rule, 1.0) for rule in rules_of(d)]) for d in t])
    weekday = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 0.9])[[d.weekday() for d in t]]
    level = np.linspace(20, 60, series)[:, None] * np.linspace(1, 1.4, days)[None]
    rows = pl.DataFrame(
        {"k": np.repeat([f"S{i:02}" for i in range(series)], days), "ds": t * series}
    ).with_columns(y=pl.Series(rng.poisson(level * weekday * factor).astype(float).ravel()))  # fmt: skip
    return build_panel(rows, ["k"], "ds", "y", "D", AHEAD)


def test_planted_feasts_are_found_with_their_effect_and_nothing_else() -> None:
    panel = world()
    found = {f.rule: f for f in find_feasts(panel, panel.periods - 1, AHEAD)}
    assert set(found) == set(PLANTED)
    for rule in (("date", 12, 24, 0), ("nth", 5, 6, 2), ("easter", -2, 0, 0)):
        assert np.exp(found[rule].effect) == pytest.approx(PLANTED[rule], rel=0.08)
    assert np.exp(found["date", 12, 25, 0].effect) < 0.05
    assert [panel.day(i) for i in found["easter", -2, 0, 0].days.tolist()] == [
        date(2021, 4, 2),
        date(2022, 4, 15),
        date(2023, 4, 7),
        date(2024, 3, 29),
    ]  # fmt: skip (Good Fridays)


def test_noise_has_no_feasts_nor_have_weeks_nor_one_year() -> None:
    found = [find_feasts(world(n, planted={}, seed=n), DAYS - 1, AHEAD) for n in range(1, 7)]
    assert sum(map(len, found)) <= 2  # 900 rules each
    short = world(days=360)
    assert find_feasts(short, 359, AHEAD) == () and with_feasts(short, 359, AHEAD) is short
    assert find_feasts(replace(world(2), freq="W"), DAYS - 1, 0) == ()
    nothing = replace(world(2), y=np.full((2, DAYS), np.nan))
    assert find_feasts(nothing, DAYS - 1, AHEAD) == ()


def test_nothing_after_the_last_period_is_read() -> None:
    panel, last = world(), DAYS - 200
    changed = replace(panel, y=np.where(np.arange(DAYS) > last, 7.0, panel.y))
    short = cut(panel, last + 1, 0)
    whole = find_feasts(panel, last, AHEAD)
    others = [find_feasts(changed, last, AHEAD), find_feasts(short, last, DAYS + AHEAD - last - 1)]
    for other in others:
        assert [(f.rule, f.effect, f.days.tolist()) for f in other] == [
            (f.rule, f.effect, f.days.tolist()) for f in whole
        ]


def test_days_that_a_given_text_names_are_not_found_again() -> None:
    panel = world()
    christmas = np.array(
        [1.0 if (d := panel.day(i)).month == 12 and d.day == 25 else np.nan for i in range(DAYS + AHEAD)]
    )
    told = replace(panel, future={"event": np.tile(christmas, (panel.n, 1))}, texts=("event",))
    assert {f.rule for f in find_feasts(told, DAYS - 1, AHEAD)} == set(PLANTED) - {("date", 12, 25, 0)}
    daily = replace(told, future={"event": np.ones((panel.n, DAYS + AHEAD))})  # names every day, so no feast
    assert {f.rule for f in find_feasts(daily, DAYS - 1, AHEAD)} == set(PLANTED)


def test_effects_of_a_covariate_that_is_alike_for_all_are_those_of_one_written_out() -> None:
    panel = with_feasts(world(), DAYS - 1, AHEAD)
    assert panel.texts == (FEAST,) and panel.ahead(FEAST).shape == (1, DAYS + AHEAD)
    one = with_effects(panel, DAYS - 1)
    written = with_effects(replace(panel, future={FEAST: panel.future[FEAST].copy()}), DAYS - 1)
    assert one.future.keys() == written.future.keys()
    for name in one.future:
        np.testing.assert_allclose(one.future[name], written.future[name], rtol=1e-12)


def test_a_forecast_without_a_calendar_knows_the_feasts_that_lie_ahead() -> None:
    whole = world()
    end = next(i for i in range(DAYS) if whole.day(i) == date(2024, 12, 10))
    panel = cut(whole, end, AHEAD)
    made = forecast_panel(panel, PanelSpec(20, model="harmonic_regression"))
    total = made.frame.group_by("ds").agg(pl.col("mean").sum()).sort("ds")["mean"].to_numpy()
    actual = whole.y[:, end : end + 20].sum(axis=0)
    assert np.abs(total - actual).sum() < 0.06 * actual.sum()
    assert total[15] < 0.1 * total[8]  # closed on 25 December, as in the three years before
    assert any("24 December (+7" in note and "25 December (-9" in note for note in made.notes)
    plain = Harmonic.fit(panel, end - 1, 20)
    s, h = np.repeat(np.arange(panel.n), 20), np.tile(np.arange(1, 21), panel.n)
    without = plain.means(s, np.full(s.size, end - 1), h).reshape(panel.n, 20).sum(axis=0)
    assert np.abs(without - actual).sum() > 2 * np.abs(total - actual).sum()


def test_rules_and_notes_speak_in_words() -> None:
    assert [rule_words(r) for r in rules_of(date(2024, 3, 31))] == [
        "31 March",
        "fifth Sunday of March",
        "last Sunday of March",
        "Easter",
    ]
    feast = Feast(("date", 12, 25, 0), np.log(0.02), np.array([5, 370]))
    assert feasts_said((feast,), 100) == "1 day of the year recurs in the sales; ahead lies 25 December (-98 %)"
    assert feasts_said((feast, feast), 400) == "2 days of the year recur in the sales; none of them lies ahead"
