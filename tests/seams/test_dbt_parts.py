"""A finished dbt model handed to the lake month by month leaves the files that handing it over whole leaves."""

from __future__ import annotations

import importlib.util
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import ModuleType

import duckdb
import polars as pl
import pytest

from aios_assets.contracts.errors import ContractError, UsageError
from aios_assets.contracts.mart_tables import FCT_INVENTORY_DAILY, FCT_ORDER_EVENTS
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.dbt import PROJECT_DIR, dbt_environment, dbt_memory
from aios_assets.resources.lake import Lake
from tests.unit.dbt.test_open_orders import event, frame

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


def test_memory_before_spilling_goes_by_the_machine_and_may_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, pages = tmp_path / "memory.max", {"SC_PAGE_SIZE": 4_096, "SC_PHYS_PAGES": 6_000_000}
    monkeypatch.setattr("os.sysconf", pages.__getitem__)
    assert dbt_memory(said) == "6144MB"
    for limit, memory in (("max", "6144MB"), ("16000000000", "4000MB"), ("64000000000", "6144MB"), ("1000", "1500MB")):
        said.write_text(f"{limit}\n")
        assert dbt_memory(said) == memory
    monkeypatch.delenv("AIOS_DBT_MEMORY", raising=False)
    assert dbt_environment(tmp_path, tmp_path)["AIOS_DBT_MEMORY"] == dbt_memory()
    monkeypatch.setenv("AIOS_DBT_MEMORY", "3GB")
    assert dbt_environment(tmp_path, tmp_path)["AIOS_DBT_MEMORY"] == "3GB"


def events(numbers: range, quantity: float = 1.0) -> pl.DataFrame:
    return frame([event(n, "ordered", quantity, sent=n, known=n, order_number=f"P{n:03d}") for n in numbers])


def cut(rows: pl.DataFrame, size: int) -> list[pl.DataFrame]:
    return list(rows.sort(FCT_ORDER_EVENTS.key).iter_slices(size)) or [rows]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_full_table_in_parts_is_the_table_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("aios_assets.resources.lake_plan.PART_ROWS", 3)
    lake, whole = Lake(tmp_path / "parts"), Lake(tmp_path / "whole")
    states = [
        events(range(0)),
        events(range(9)),
        events(range(12)),
        events(range(2, 12)),
        events(range(5)),
        events(range(0)),
    ]
    states.insert(3, pl.concat([events(range(6)), events(range(6, 9), 2.0), events(range(9, 12))]))
    for rows in states:
        before = lake.version("fct_order_events")
        done, plain = lake.write_ordered("fct_order_events", cut(rows, size)), whole.write("fct_order_events", rows)
        assert (done.is_new, done.rows_in, done.rows_written) == (plain.is_new, plain.rows_in, plain.rows_written)
        assert lake.content_hash("fct_order_events") == whole.content_hash("fct_order_events")
        assert not lake.write_ordered("fct_order_events", cut(rows, size)).is_new
        assert lake.version("fct_order_events") <= max(before, 0) + 1
    assert lake.sweep("fct_order_events", keep_versions=1) > 0


def test_parts_that_do_not_ascend_and_other_tables_are_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(ContractError, match="does not ascend"):
        lake.write_ordered("fct_order_events", [events(range(5, 9)), events(range(6))])
    assert lake.count("fct_order_events") == 0
    with pytest.raises(UsageError):
        lake.write_ordered(NAME, [])


def test_a_model_is_handed_over_in_order_and_in_equal_cuts(plugin: ModuleType) -> None:
    rows, connection = events(range(5_000)), duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.register("model", rows.sample(fraction=1.0, shuffle=True, seed=1).to_arrow())
    parts = list(plugin.in_order(connection, "model", FCT_ORDER_EVENTS, 3_000))
    assert [p.height for p in parts] == [3_000, 2_000]
    assert pl.concat(parts).equals(rows.sort(FCT_ORDER_EVENTS.key))
    connection.register("model", rows.head(0).to_arrow())
    assert [p.height for p in plugin.in_order(connection, "model", FCT_ORDER_EVENTS)] == [0]
