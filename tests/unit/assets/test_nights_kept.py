"""A rebuild runs every night again, also the days of a backfill and those that Dagster started: none is dropped for good."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.night import _mark, is_complete, mark_path
from aios_assets.nights import keep_nights, left_out, newest_night
from aios_assets.resources.lake import Lake
from aios_assets.settings import Settings
from planning.inputs import PlanSpec
from planning.recommend import recommend
from tests.unit.planning.planning_world import AS_OF, simple

DAYS = [AS_OF - timedelta(days=n) for n in (2, 1, 0)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))
    (tmp_path / "nights").mkdir()
    return Settings()


def decided(lake: Lake, day: date) -> None:
    rows = recommend(simple(0.0), AS_OF, PlanSpec(scenarios=16)).with_columns(
        pl.lit(day).alias("as_of_date"),
        pl.lit(datetime(day.year, day.month, day.day, 7, tzinfo=UTC)).dt.cast_time_unit("us").alias("available_at_utc"),
        (pl.col("rec_id") + day.isoformat()).alias("rec_id"),
    )
    lake.write("rec_decisions", rows, window=(day, day + timedelta(days=1)))


def test_nights_without_a_mark_are_told_from_their_rows(home: Settings) -> None:
    lake = Lake(home.lake_root)
    for day in DAYS:
        decided(lake, day)
    mark_path(home, DAYS[-1]).write_text('{"fingerprint": "f", "versions": {}}')
    assert keep_nights(home, lake) == DAYS
    lake.drop("rec_decisions")  # a rebuild that stops here still knows them
    assert keep_nights(home, Lake(home.lake_root)) == DAYS


def test_damage_in_one_table_ends_nothing(home: Settings) -> None:
    lake = Lake(home.lake_root)
    decided(lake, DAYS[0])
    Path(lake.file_uris("rec_decisions")[0]).write_bytes(b"not a file")
    mark_path(home, DAYS[1]).write_text("{}")
    assert keep_nights(home, Lake(home.lake_root)) == [DAYS[1]]


def test_a_backfill_marks_each_of_its_days_and_proves_the_last(home: Settings) -> None:
    _mark(home, DAYS[0], DAYS[-1], {"fingerprint": "f", "versions": {}})
    assert keep_nights(home, Lake(home.lake_root)) == DAYS
    assert newest_night(home) == DAYS[-1]
    assert not is_complete(home, DAYS[0], "")


def test_a_night_that_only_dagster_ran_is_the_newest(home: Settings) -> None:
    from aios_assets.contracts.errors import BadInputError
    from aios_assets.contracts.gates import Evidence, Limit, judge, verdict_frame

    with pytest.raises(BadInputError, match="no night was run yet"):
        newest_night(home)
    mark_path(home, DAYS[0]).write_text("{}")
    assert newest_night(home) == DAYS[0]
    limit = Limit("label_delay", "days", "at_most", 2.0, 0, 9, "a test", "a test", DAYS[1])
    verdict = judge(limit, Evidence(0.0, 1, DAYS[1]), subject="actuals", as_of=DAYS[1])
    rows = verdict_frame([verdict], available_at_utc=datetime(2026, 3, 3, 7, tzinfo=UTC))
    Lake(home.lake_root).write("mon_gate_verdicts", rows, window=(DAYS[1], DAYS[1] + timedelta(days=1)))
    assert newest_night(home) == DAYS[1]


def test_days_on_which_no_night_was_run_are_told(home: Settings) -> None:
    assert left_out(home, AS_OF) is None  # the first night of all
    _mark(home, DAYS[0], DAYS[0], {"fingerprint": "f", "versions": {}})
    _mark(home, AS_OF + timedelta(days=9), AS_OF + timedelta(days=9), {"fingerprint": "f", "versions": {}})
    assert left_out(home, DAYS[1]) is None
    assert left_out(home, AS_OF) == (DAYS[1], DAYS[1])
    assert left_out(home, AS_OF + timedelta(days=3)) == (DAYS[1], AS_OF + timedelta(days=2))
    assert left_out(home, DAYS[0]) is None
