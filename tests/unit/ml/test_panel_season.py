"""The season that series share: a peak that came back is expected again, noise and what came once are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from ml.forecasting import PanelSpec, forecast_panel
from ml.models.base import F64
from ml.models.boosted import BoostSpec
from ml.panel import PanelData, build_panel
from ml.panel_season import peak_ahead, shared_season

WEEKS, PEAKS = 148, (46, 98, 150)  # the third peak lies two weeks after the panel
SHOPS, SERIES = 30, 180
TOYS = 4  # of each shop's departments the first sells four times as much in the peak, the others a quarter more
TOY = np.arange(0, SERIES, 6)
SPEC = PanelSpec(
    8, boost=BoostSpec(trees=60, leaves=15, max_depth=5, learning_rate=0.1), most_rows=20_000, most_held_out=8_000
)


def panel(
    peaks: tuple[int, ...] = PEAKS, weeks: int = WEEKS, seed: int = 5, lull: tuple[int, ...] = ()
) -> tuple[PanelData, F64]:
    """Thirty shops × six departments, gamma noise; also the mean of every period up to eight weeks after the panel.

    In weeks of `lull` all sell half, so that something has come back before the second peak comes.
    """
    rng = np.random.default_rng(seed)
    level = rng.uniform(20, 200, (SHOPS, 1, 1)) * rng.uniform(0.5, 2.0, (1, 6, 1))
    mean = np.repeat(level, weeks + 8, axis=2)
    for week in peaks:
        if week < weeks + 8:
            mean[:, :, week] *= np.array([TOYS, *[1.25] * 5])[None, :]
    mean[:, :, [week for week in lull if week < weeks + 8]] *= 0.5
    y = mean * rng.gamma(20, 1 / 20, mean.shape)
    rows = pl.DataFrame(
        [
            {"shop": f"shop {s:02d}", "department": f"department {d}", "week": date(2023, 1, 2) + timedelta(weeks=w), "units": y[s, d, w]}
            for s in range(SHOPS) for d in range(6) for w in range(weeks)
        ]
    )  # fmt: skip
    return build_panel(rows, ["shop", "department"], "week", "units", "W", 8), mean.reshape(SERIES, -1)[:, weeks:]


def test_a_peak_of_earlier_years_is_expected_again_where_calm_weeks_taught_otherwise() -> None:
    data, truth = panel()
    found = forecast_panel(data, SPEC)
    mean = found.frame["mean"].to_numpy().reshape(SERIES, 8)
    toys, week = np.arange(SERIES) % 6 == 0, PEAKS[2] - WEEKS
    share = mean[:, week][toys].sum() / truth[:, week][toys].sum()
    assert 0.6 < share < 1.2, f"{share:.2f} of the peak"
    calm = np.delete(mean, week, axis=1).sum() / np.delete(truth, week, axis=1).sum()
    assert 0.9 < calm < 1.1, f"{calm:.2f} of the weeks beside it"
    assert any("a peak lies ahead" in note for note in found.notes)


def test_groups_of_every_key_are_told_apart_and_noise_stays_out() -> None:
    data, _ = panel()
    season = shared_season(data, WEEKS - 1, 8)
    each, week = np.arange(SERIES), np.full(SERIES, PEAKS[2])
    ratio = np.log(season.ratio(each, np.full(SERIES, WEEKS - 1), week - (WEEKS - 1), 8))
    toys = each % 6 == 0
    assert ratio[toys].min() > 0.6 * np.log(TOYS) and ratio[toys].max() < 1.2 * np.log(TOYS)
    assert 0 < ratio[~toys].mean() < 0.35 and ratio[~toys].max() < 0.6
    calm = [
        np.abs(season.ratio(each, np.full(SERIES, WEEKS - 1), np.full(SERIES, h), 8) - 1).mean() for h in (1, 2, 5, 8)
    ]
    assert max(calm) < 0.06


def test_what_came_once_and_what_never_came_is_not_carried_over() -> None:
    once = shared_season(panel(peaks=(98,), weeks=149)[0], 148, 8)
    each = np.arange(SERIES)
    assert np.abs(np.log(once.ratio(each, np.full(SERIES, 148), np.full(SERIES, 2), 8))).mean() < 0.02
    assert peak_ahead(panel(peaks=())[0], 8) is None
    assert peak_ahead(panel(weeks=60)[0], 8) is None  # too short to have seen anything come back


def test_a_calm_horizon_is_left_as_it_is() -> None:
    assert peak_ahead(panel(peaks=(20, 72, 124))[0], 8) is None


def test_nothing_after_the_day_judged_is_read() -> None:
    data, _ = panel()
    later = replace(data, y=np.where(np.arange(WEEKS) > 110, 9.0 * data.y, data.y))
    a, b = shared_season(data, 110, 8), shared_season(later, 110, 8)
    assert a.tables and all(np.array_equal(x, y) for x, y in zip(a.tables, b.tables, strict=True))


def test_daily_panels_are_left_to_the_trees() -> None:
    data, _ = panel()
    assert shared_season(replace(data, freq="D"), WEEKS - 1, 8).tables == ()


def test_a_forced_smoother_stays_as_published() -> None:
    data, _ = panel()
    found = forecast_panel(data, PanelSpec(8, model="ses")).frame["mean"].to_numpy().reshape(SERIES, 8)
    assert np.allclose(found, found[:, :1])


def test_a_peak_seen_once_counts_less_than_one_seen_twice() -> None:
    once, twice = (
        np.log(shared_season(panel(peaks, weeks=weeks, lull=lull)[0], weeks - 1, 8).ratio(TOY, np.full(SHOPS, weeks - 1), np.full(SHOPS, 3), 8)).mean()
        for peaks, weeks, lull in (((46, 98), 96, (20, 72)), ((46, 98, 150), 148, (20, 72, 124)))
    )  # fmt: skip
    assert 0.3 < once < 0.95 * twice
