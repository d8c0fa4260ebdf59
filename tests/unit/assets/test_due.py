"""When a demand model is trained again: by age, and a week after a first one was refused while none is live."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.assets.glue_training import DEMAND, due
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World
from ml.promotion.judge import score_rows
from tests.seams.ladder_world import rows
from tests.unit.promotion.test_judge import AS_OF, backtest

TRAINED = date(2026, 3, 2)
ANY = {
    "str": "x",
    "date": TRAINED,
    "ts": datetime(2026, 3, 3, tzinfo=UTC),
    "f64": 0.0,
    "i32": 1,
    "i64": 1,
    "bool": True,
}


def write(world: World, name: str, frame: pl.DataFrame) -> None:
    """Rows of a table; what is left out and may not be null is anything that the contract allows."""
    left = [c for c in TABLES[name].columns if not c.nullable and c.name not in frame.columns]
    world.lake.write(name, rows(name, frame, **{c.name: c.codes[0] if c.codes else ANY[c.type] for c in left}))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(home=str(tmp_path), inbox_path=str(tmp_path / "inbox"), business_tz="UTC", cutoff_hour=2)
    scores = pl.DataFrame({"model_name": [DEMAND], "model_version": ["3"], "trained_on_date": [TRAINED]})
    write(world, "mon_backtest_scores", scores)
    return world


def judged(world: World, *passed: bool) -> None:
    verdicts = pl.DataFrame(
        [(TRAINED, f"promote_{n}", "demand:3", good) for n, good in enumerate(passed)],
        schema=["verdict_date", "gate_code", "subject", "is_passed"], orient="row",
    )  # fmt: skip
    write(world, "mon_promotion_verdicts", verdicts)


def test_a_refused_first_model_is_followed_by_another_after_a_week(world: World) -> None:
    judged(world, True, False)
    assert due(world, DEMAND, TRAINED + timedelta(days=6), 28, False, "") == ""
    assert "the newest was refused; it is 7 days old" in due(world, DEMAND, TRAINED + timedelta(days=7), 28, False, "")


def test_one_that_still_climbs_is_left_alone(world: World) -> None:
    judged(world, True, True)
    assert due(world, DEMAND, TRAINED + timedelta(days=20), 28, False, "") == ""
    assert due(world, DEMAND, TRAINED + timedelta(days=28), 28, False, "") == "the newest version is 28 days old"


def test_where_a_version_is_live_a_refused_challenger_waits(world: World) -> None:
    judged(world, False)
    live = pl.DataFrame(
        {"model_name": [DEMAND], "alias": ["champion"], "model_version": ["2"], "valid_from_utc": [datetime(2026, 2, 1, tzinfo=UTC)]}
    )  # fmt: skip
    write(world, "mon_deployments", live)
    assert due(world, DEMAND, TRAINED + timedelta(days=20), 28, False, "") == ""


def scored(world: World, day: date, version: str, noise: float) -> None:
    """Scores of a version trained on `day` whose means are off by `noise`, beside what answers without it."""
    spans = {"origin_date": pl.col("origin_date") + (day - AS_OF), "newest_date": pl.col("newest_date") + (day - AS_OF)}
    roles = {"challenger": noise, "fallback": 0.3, "naive": 0.6}
    scores = pl.concat(score_rows(backtest(off, seed=n), role) for n, (role, off) in enumerate(roles.items()))
    named = scores.with_columns(
        **spans, model_name=pl.lit(DEMAND), model_version=pl.lit(version), trained_on_date=pl.lit(day)
    )
    write(world, "mon_backtest_scores", named)


def test_a_run_of_several_weeks_tries_as_often_as_its_nights_would(tmp_path: Path) -> None:
    """It trains all of its days before it judges one: the fourth version is good, and what is good is not followed."""
    world = World(home=str(tmp_path), inbox_path=str(tmp_path / "inbox"), business_tz="UTC", cutoff_hour=2)
    trained = []
    for k in range(42):
        day = TRAINED + timedelta(days=k)
        if due(world, DEMAND, day, 28, False, ""):
            scored(world, day, str(len(trained) + 1), 0.1 if len(trained) == 3 else 0.5)
            trained.append(k)
    assert trained == [0, 7, 14, 21]
