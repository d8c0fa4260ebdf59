"""Scoring over partitions: in this process and on two Dask workers, the same numbers to the last digit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from aios_assets.contracts.errors import UsageError
from aios_assets.settings import Settings
from ml import partitions
from ml.backtest import backtest_panel
from ml.closing import CLOSED
from ml.datasets import training_origins
from ml.features import demand_features
from ml.forecasting import PanelSpec
from ml.models.boosted import BoostSpec
from ml.partitions import by_series, map_partitions, score_on, score_parts
from ml.scoring import Scorer, score_demand
from ml.training import TrainSpec, train_demand
from tests.model.demand_world import FIRST, cutoff, make_world
from tests.unit.ml.conftest import labels_as_of
from tests.unit.ml.test_forecasting import panel


@pytest.mark.slow
def test_two_workers_give_the_same_digits_as_one_process() -> None:
    world, last = make_world(12, 3, 200, 4), FIRST + timedelta(days=199)
    features = demand_features(world.versions, training_origins(last, 200, 14), cutoff)
    spec = TrainSpec(boost=BoostSpec(trees=20, spread_trees=8), most_rows=10_000)
    trained = train_demand(
        features, labels_as_of(world.versions, cutoff(last)), world.covariates, spec, 7, as_of=last, with_plots=False
    )
    newest = demand_features(world.versions, (last, last), cutoff)
    closed = pl.DataFrame({"site_id": [newest["site_id"][0]], "weekday": [7]}, schema=CLOSED)
    cov = replace(world.covariates, closed=closed)
    whole = score_demand(Scorer.of(trained.artifact, "demand", "1", trained.digest), newest, cov)
    for engine in ("inprocess", "dask"):
        parts = score_parts(trained.artifact, trained.digest, "1", newest, cov, parts=4, engine=engine)
        assert parts.equals(whole), engine


@pytest.mark.slow
def test_the_setting_alone_sends_the_nights_scoring_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    world, last = make_world(6, 2, 200, 4), FIRST + timedelta(days=199)
    features = demand_features(world.versions, training_origins(last, 200, 14), cutoff)
    spec = TrainSpec(boost=BoostSpec(trees=10, spread_trees=5), most_rows=5_000)
    trained = train_demand(
        features, labels_as_of(world.versions, cutoff(last)), world.covariates, spec, 7, as_of=last, with_plots=False
    )
    newest = demand_features(world.versions, (last, last), cutoff)
    scorer = Scorer.of(trained.artifact, "demand", "1", trained.digest)
    here = score_on("inprocess", scorer, newest, world.covariates)
    engines: list[str] = []
    plain = partitions.map_partitions
    monkeypatch.setattr(
        partitions, "map_partitions", lambda f, parts, *, engine, workers: engines.append(engine) or plain(f, parts)
    )
    monkeypatch.setenv("AIOS_ENGINE", "tcp://scheduler:8786")
    assert score_on(Settings().engine, scorer, newest, world.covariates).equals(here) and not here["is_fallback"].any()
    assert engines == ["tcp://scheduler:8786"]
    away = score_on("dask", Scorer.fallback("no champion"), newest, world.covariates)
    assert away["is_fallback"].all() and engines == ["tcp://scheduler:8786"]


@pytest.mark.slow
def test_a_backtest_on_two_workers_gives_the_same_digits_and_choices() -> None:
    spec = PanelSpec(4, boost=BoostSpec(trees=20, spread_trees=8, threads=1), most_rows=10_000)
    here = backtest_panel(panel(30, 70), spec, 2, baselines=("ses",))
    there = backtest_panel(panel(30, 70), spec, 2, baselines=("ses",), engine="dask")
    assert there.table.equals(here.table) and there.chosen == here.chosen


def test_parts_hold_whole_series_and_unknown_engines_are_refused() -> None:
    frame = pl.DataFrame({"k": ["b", "a", "c", "a"], "y": [1, 2, 3, 4]})
    parts = by_series(frame, ["k"], 2)
    assert sorted(p["k"].unique().sort().to_list() for p in parts) == [["a", "b"], ["c"]]
    assert map_partitions(len, parts) == [p.height for p in parts]
    with pytest.raises(UsageError, match="there is no engine spark"):
        map_partitions(len, parts, engine="spark")
