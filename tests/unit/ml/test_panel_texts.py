"""Names known ahead become what their days sold over what was expected, and nothing after the day of knowing is read."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from ml.forecasting import PanelSpec, forecast_panel
from ml.models.boosted import BoostSpec
from ml.panel import PanelData, build_panel
from ml.panel_texts import with_effects

START, DAYS, HORIZON = date(2023, 1, 2), 420, 14


def days(series: int, *, fest: float = 2.0, closed: float = 0.0) -> pl.DataFrame:
    """Ten or more units a day, twice as many at weekends; every 30th day a feast, every 45th closed."""
    rng = np.random.default_rng(5)
    rows = []
    for s in range(series):
        for t in range(DAYS + HORIZON):
            name = "feast" if t % 30 == 7 else "closed" if t % 45 == 20 else None
            usual = (10.0 + s) * (2.0 if (START + timedelta(days=t)).weekday() >= 5 else 1.0)
            factor = {"feast": fest, "closed": closed, None: 1.0}[name]
            rows.append((f"S{s}", f"K{s % 2}", START + timedelta(days=t), float(rng.poisson(usual * factor)), name))
    return pl.DataFrame(rows, schema=["store", "kind", "day", "units", "event"], orient="row")


def panel_of(frame: pl.DataFrame) -> PanelData:
    past = frame.filter(pl.col("day") < START + timedelta(days=DAYS))
    ahead = frame.filter(pl.col("day") >= START + timedelta(days=DAYS)).drop("units")
    return build_panel(past, ["store", "kind"], "day", "units", "D", HORIZON, future=ahead)


def test_an_effect_is_what_was_sold_over_what_was_expected() -> None:
    panel = panel_of(days(20))
    assert panel.texts == ("event",)
    made = with_effects(panel, panel.periods - 1)
    feast, closed = np.arange(DAYS + HORIZON) % 30 == 7, np.arange(DAYS + HORIZON) % 45 == 20
    closed &= ~feast
    assert made.texts == () and set(made.future) == {"event", "event_before", "event_after"}
    assert made.future["event"][3, feast] == pytest.approx(2.0, abs=0.15)
    assert made.future["event"][3, closed] == pytest.approx(0.0, abs=0.1)
    assert np.isnan(made.future["event"][:, ~(feast | closed)]).all()
    np.testing.assert_array_equal(made.future["event_after"][:, :-1], made.future["event"][:, 1:])
    np.testing.assert_array_equal(made.future["event_before"][:, 1:], made.future["event"][:, :-1])


def test_nothing_after_the_last_period_is_read_and_what_was_not_seen_changes_nothing() -> None:
    frame = days(20)
    late = START + timedelta(days=300)
    changed = frame.with_columns(
        pl.when(pl.col("day") >= late).then(pl.col("units") * 9).otherwise("units").alias("units")
    )
    one, other = (with_effects(panel_of(f), 299).future["event"] for f in (frame, changed))
    np.testing.assert_array_equal(one, other)
    fresh = frame.with_columns(pl.when(pl.col("day") >= late).then(pl.lit("strike")).otherwise("event").alias("event"))
    assert (with_effects(panel_of(fresh), 299).future["event"][:, 300:] == 1.0).all()


def test_a_panel_without_texts_stays_as_it_is() -> None:
    panel = panel_of(days(2).with_columns(event=pl.lit(1.0)))
    assert panel.texts == () and with_effects(panel, 10) is panel


def test_numbers_in_one_file_and_texts_in_the_other_are_refused() -> None:
    frame = days(2)
    past = frame.filter(pl.col("day") < START + timedelta(days=DAYS))
    ahead = frame.filter(pl.col("day") >= START + timedelta(days=DAYS)).with_columns(event=pl.lit(3))
    with pytest.raises(BadInputError, match="numbers in one file and texts in the other"):
        build_panel(past, ["store", "kind"], "day", "units", "D", HORIZON, future=ahead)


def test_few_series_of_several_keys_are_known_by_all_keys_together() -> None:
    panel = panel_of(days(20))
    assert panel.coded == ("key_store", "key_kind", "keys_together")
    assert np.unique(panel.static["keys_together"]).size == 20


def test_a_forecast_knows_feasts_and_closed_days() -> None:
    few = BoostSpec(trees=150, leaves=15, learning_rate=0.1, min_rows_leaf=40)
    made = forecast_panel(
        panel_of(days(20)), PanelSpec(HORIZON, model="lightgbm", boost=few, most_rows=20_000, most_held_out=5_000)
    ).frame
    found = made.group_by("day").agg(pl.col("mean").sum()).sort("day")["mean"].to_numpy()
    ahead = np.arange(DAYS, DAYS + HORIZON)
    usual = np.array([390.0 * (2 if (START + timedelta(days=int(t))).weekday() >= 5 else 1) for t in ahead])
    feast, closed = ahead % 30 == 7, (ahead % 45 == 20) & (ahead % 30 != 7)
    assert feast.any()
    assert found[feast] / usual[feast] == pytest.approx(2.0, rel=0.25)
    assert found[~feast & ~closed] / usual[~feast & ~closed] == pytest.approx(1.0, rel=0.15)
