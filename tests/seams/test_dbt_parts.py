"""A finished dbt model handed to the lake month by month leaves the files that handing it over whole leaves."""

from __future__ import annotations

import importlib.util
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import ModuleType

import duckdb
import polars as pl
import pytest

from aios_assets.contracts.errors import ContractError
from aios_assets.contracts.mart_tables import FCT_INVENTORY_DAILY
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.dbt import PROJECT_DIR
from aios_assets.resources.lake import Lake

FIRST, DAYS = date(2026, 1, 20), 60
NAME = FCT_INVENTORY_DAILY.name


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("aios_lake", PROJECT_DIR / "plugins" / "aios_lake.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stock(first: date, days: int) -> pl.DataFrame:
    """Five items at one site on each day, made as the model makes them, out of order."""
    dates = [first + timedelta(days=n) for n in range(days)]
    rows = pl.DataFrame({"inventory_date": dates}, schema={"inventory_date": pl.Date}).join(
        pl.DataFrame({"item_id": list("ECBAD")}), how="cross"
    )
    known = [datetime.combine(day + timedelta(days=1), time(1), UTC) for day in rows["inventory_date"]]
    given = {
        "item_id": "item_id", "inventory_date": "inventory_date",
        "inventory_month": pl.col("inventory_date").dt.strftime("%Y-%m"),
        "available_at_utc": pl.Series("available_at_utc", known, pl.Datetime("us", "UTC")),
    }  # fmt: skip
    plain = {"str": "x", "f64": 1.5, "i32": 1, "bool": False}
    columns = {
        c.name: given.get(c.name, pl.lit(None if c.nullable else plain.get(c.type), dtype=c.dtype))
        for c in FCT_INVENTORY_DAILY.columns
    }
    return rows.with_row_index("nth").select(**columns)  # type: ignore[arg-type]


def hand_over(plugin: ModuleType, lake: Lake, rows: pl.DataFrame, window: tuple[date, date], most: int) -> int:
    """Write by parts; returns how many there were."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.register("model", rows.sample(fraction=1.0, shuffle=True, seed=1).to_arrow())
    made = list(plugin.parts(connection, "model", FCT_INVENTORY_DAILY, window, most))
    lake.write_parts(NAME, made)
    return len(made)


def files(lake: Lake) -> list[str]:
    return sorted(f.path for f in lake.files(NAME))


def test_parts_leave_the_files_of_one_write(plugin: ModuleType, tmp_path: Path) -> None:
    rows, parted, whole = stock(FIRST, DAYS), Lake(tmp_path / "parted"), Lake(tmp_path / "whole")
    assert hand_over(plugin, parted, rows, plugin.ALL_DAYS, 100) == 3
    whole.write(NAME, rows, window=plugin.ALL_DAYS)
    assert files(parted) == files(whole)
    assert parted.content_hash(NAME) == whole.content_hash(NAME)
    # A window from mid-month on: the days before it are carried over, and what lay behind the last row is emptied.
    newer, window = stock(date(2026, 2, 10), 10), (date(2026, 2, 10), date(2026, 4, 1))
    hand_over(plugin, parted, newer, window, 1)
    whole.write(NAME, newer, window=window)
    assert parted.content_hash(NAME) == whole.content_hash(NAME)
    assert parted.read(NAME)["inventory_date"].max() == date(2026, 2, 19)


@pytest.mark.parametrize("day", [None, date(2026, 3, 25)])
def test_a_row_that_no_part_may_hold_is_refused_and_not_left_out(
    plugin: ModuleType, tmp_path: Path, day: date | None
) -> None:
    rows = stock(FIRST, DAYS)
    stray = rows.head(1).with_columns(pl.lit(day, dtype=pl.Date).alias("inventory_date"))
    with pytest.raises(ContractError):
        hand_over(plugin, Lake(tmp_path), pl.concat([rows, stray]), (FIRST, FIRST + timedelta(days=DAYS)), 100)


def test_no_rows_and_tables_without_partitions_are_one_part(plugin: ModuleType, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    hand_over(plugin, lake, stock(FIRST, DAYS), plugin.ALL_DAYS, 100)
    assert hand_over(plugin, lake, stock(FIRST, 0), plugin.ALL_DAYS, 100) == 1
    assert lake.count(NAME) == 0
    findings, connection = TABLES["int_findings_detected"], duckdb.connect()
    connection.register("model", findings.empty().to_arrow())
    assert len(list(plugin.parts(connection, "model", findings, plugin.ALL_DAYS, 1))) == 1
