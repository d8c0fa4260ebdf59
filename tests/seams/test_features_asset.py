"""The feature asset on a real lake: its first run is all days at once or none of them, and what was known at each of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import DagsterInstance, materialize

from aios_assets.assets.s3_features import feat_item_site__demand
from aios_assets.resources.handles import World
from ml import features
from ml.features import demand_features
from tests.seams.ladder_world import rows
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
