"""The feature asset on a real lake: its first run is all days at once or none of them, and what was known at each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import DagsterInstance, materialize

from aios_assets.assets.glue_scoring import scoring_features
from aios_assets.assets.glue_training import FEATURES
from aios_assets.assets.s3_features import feat_item_site__demand
from aios_assets.resources.handles import World
from ml import features
from ml.features import demand_features
from tests.seams.ladder_world import rows
from tests.unit.ml import test_features
from tests.unit.ml.conftest import FIRST, make_versions

NAME = "feat_item_site__demand"
LAST = FIRST + timedelta(days=129)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Five months of reports, also late and corrected ones, and one that curation suspects."""
    world = World(home=str(tmp_path), inbox_path=str(tmp_path / "inbox"), business_tz="UTC", cutoff_hour=2)
    versions = make_versions(4, items=5, days=130)
    demand = rows("fct_demand_daily", versions).with_columns(
        is_suspect=(pl.col("item_id") == "I1") & (pl.col("demand_date") == date(2023, 3, 7))
    )
    world.lake.write("fct_demand_daily", demand, window=(FIRST, LAST + timedelta(days=1)))
    return world


def night(world: World, day: date, **more: Any) -> dict[str, Any]:
    """Play the asset for a day; its metadata."""
    with DagsterInstance.ephemeral() as instance:
        done = materialize(
            [feat_item_site__demand],
            partition_key=day.isoformat(),
            resources={"world": world},
            instance=instance,
            **more,
        )
    (made,) = done.asset_materializations_for_node(NAME)
    return {name: value.value for name, value in made.metadata.items()}


def expected(world: World, first: date, last: date) -> pl.DataFrame:
    versions = world.lake.read("fct_demand_daily", where=~pl.col("is_suspect"))
    return demand_features(versions, (first, last), world.cutoff)


def stored(world: World) -> pl.DataFrame:
    return world.lake.read(NAME).sort("item_id", "site_id", "feature_date")


def test_the_first_run_writes_every_month_in_one_commit_and_a_night_adds_its_day(world: World) -> None:
    before = LAST - timedelta(days=2)
    told = night(world, before)
    rows_made = expected(world, FIRST, before)
    assert stored(world).equals(rows_made, null_equal=True)
    assert (told["delta_version"], told["dagster/row_count"], told["rows_written"]) == (
        1,
        rows_made.height,
        rows_made.height,
    )
    assert (told["happened_first"], told["happened_last"]) == (FIRST.isoformat(), before.isoformat())
    assert {f.partition["feature_month"] for f in world.lake.files(NAME)} == {f"2023-0{m}" for m in range(1, 6)}
    again = night(world, before)
    assert (again["delta_version"], again["rows_written"]) == (1, 0)
    assert night(world, LAST)["delta_version"] == 2  # and the day between, which has none yet
    assert stored(world).equals(expected(world, FIRST, LAST), null_equal=True)


def known_by(versions: pl.DataFrame, instant: datetime) -> pl.DataFrame:
    """What the mart held at an instant: versions known by then, and whether something had taken their place."""
    gone = pl.col("superseded_at_utc") <= instant
    known = versions.filter(pl.col("available_at_utc") <= instant)
    return known.with_columns(superseded_at_utc=pl.when(gone).then("superseded_at_utc"))


def test_night_by_night_training_scoring_and_serving_read_what_a_plain_reader_of_that_night_could_have_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mart holds no more than was known at each night; categories change, one of them at the very cut-off."""
    versions, draw = world.lake.read("fct_demand_daily"), random.Random(2)
    for back in (9, 1, 0):
        day = LAST - timedelta(days=back)
        window = FIRST, LAST + timedelta(days=1)
        world.lake.write("fct_demand_daily", known_by(versions, world.cutoff(day)), window=window)
        night(world, day)
    believed = versions.filter(~pl.col("is_suspect"))
    assert stored(world).equals(demand_features(believed, (FIRST, LAST), world.cutoff), null_equal=True)
    said = [
        ("I0", "old", world.cutoff(FIRST)), ("I0", "new", world.cutoff(LAST)), ("I1", "a", world.cutoff(LAST) + timedelta(seconds=1)),
        ("I2", "b", world.cutoff(LAST - timedelta(days=3)) - timedelta(hours=1)), ("I2", None, world.cutoff(LAST - timedelta(days=1))),
    ]  # fmt: skip
    stated = pl.DataFrame(said, schema=["item_id", "category_code", "available_at_utc"], orient="row")
    world.lake.write("feat_item__attributes", rows("feat_item__attributes", stated, pack_ea=6))
    names = [ref.split(":")[1] for ref in FEATURES]
    monkeypatch.setattr(test_features, "cutoff", world.cutoff)
    for day in (LAST, LAST - timedelta(days=2), LAST - timedelta(days=40)):
        scored = scoring_features(world, day, day)
        asked = scored.select("item_id", "site_id", event_timestamp="available_at_utc")
        learned = world.features.training_frame(asked, FEATURES)
        assert learned.select(names).equals(scored.select(names), null_equal=True) and scored.height == 10
        for row in draw.sample(scored.rows(named=True), 4):
            plain = test_features.naive(believed, row["item_id"], row["site_id"], day)
            test_features.assert_same(row, plain)
            known = [c for i, c, at in said if i == row["item_id"] and at <= world.cutoff(day)]
            assert row["category_code"] == (known[-1] if known else None)
    world.features.publish_as_of(world.cutoff(LAST))
    tonight = scoring_features(world, LAST, LAST)
    served = world.features.online(tonight.select("item_id", "site_id").to_dicts(), FEATURES)
    for ours, theirs in zip(served.select(names).rows(), tonight.select(names).rows(), strict=True):
        assert ours == theirs


def test_a_first_run_that_stops_between_months_leaves_no_day_and_the_next_one_makes_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = features.monthly_features

    def stops(*given: Any) -> Iterator[Any]:
        for number, part in enumerate(whole(*given)):
            if number == 3:
                raise SystemExit("stopped between two months")
            yield part

    monkeypatch.setattr(features, "monthly_features", stops)
    with pytest.raises(SystemExit):
        night(world, LAST)
    assert list(world.lake.folder(NAME).rglob("aios-*.parquet"))  # months were on disk
    assert stored(world).is_empty() and world.feature_days([LAST]) == (FIRST, LAST)
    monkeypatch.setattr(features, "monthly_features", whole)
    night(world, LAST)
    assert stored(world).equals(expected(world, FIRST, LAST), null_equal=True)
