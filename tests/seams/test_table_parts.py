"""Checks look at a table some files at a time: what they count and which rows they call newest does not depend on it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aios_assets.contracts.faults import contract_faults
from aios_assets.contracts.mart_tables import FCT_INVENTORY_DAILY as STOCK
from aios_assets.resources import lake_read
from aios_assets.resources.lake import Lake
from aios_assets.resources.lake_files import DataFile, in_parts, newest_files

# The package exports a check of the same name.
plausibility = import_module("aios_assets.checks.plausibility")


def stock(first: date, days: int, late_days: int = 0) -> pl.DataFrame:
    dates = [first + timedelta(days=n) for n in range(days)]
    known = [datetime.combine(day + timedelta(days=1 + late_days), time(1), UTC) for day in dates]
    plain = {"str": "x", "f64": 1.5, "i32": 1, "bool": False}
    given: dict[str, Any] = {
        "inventory_date": dates, "inventory_month": [d.strftime("%Y-%m") for d in dates], "available_at_utc": known,
    }  # fmt: skip
    columns = {c.name: given.get(c.name, [None if c.nullable else plain.get(c.type)] * days) for c in STOCK.columns}
    return pl.DataFrame(columns, schema=STOCK.schema)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.write(STOCK, stock(date(2026, 1, 1), 100), window=(date(2026, 1, 1), date(2026, 5, 1)))
    # One day of January became known after everything else.
    late = stock(date(2026, 1, 7), 1, late_days=200)
    made.write(STOCK, late, window=(date(2026, 1, 7), date(2026, 1, 8)))
    return made


def test_the_newest_rows_are_the_same_whatever_is_looked_at(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_read, "PART_ROWS", 1)
    for rows in (1, 3, 12, 35, 1_000):
        monkeypatch.setattr(plausibility, "NEWEST_ROWS", rows)
        found = plausibility.newest(SimpleNamespace(lake=lake), STOCK)
        everything = lake.read(STOCK).sort("available_at_utc", *STOCK.key, descending=True).head(rows)
        assert_frame_equal(found, everything.select(found.columns))
    assert 0 < len(lake.scan_parts(STOCK, newest_rows=3)) < len(lake.scan_parts(STOCK)) == len(lake.files(STOCK))


def test_faults_are_counted_over_all_parts_and_equal_hashes_are_settled_by_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    january, march = stock(date(2026, 1, 1), 31), stock(date(2026, 3, 1), 31)
    twice = march.head(2).with_columns(pl.lit(None, dtype=pl.Boolean).alias("is_suspect"))
    rows = [january.lazy(), march.lazy(), twice.lazy()]
    assert contract_faults(STOCK, *rows) == {"duplicate_key": 2, "null:is_suspect": 2}
    assert contract_faults(STOCK, *rows) == contract_faults(STOCK, pl.concat(rows))
    assert contract_faults(STOCK, *rows[:2]) == contract_faults(STOCK, STOCK.empty().lazy()) == {}
    monkeypatch.setattr(pl.Expr, "hash", lambda column: pl.lit(1, dtype=pl.UInt64).repeat_by(pl.len()).explode())
    assert contract_faults(STOCK, *rows[:2]) == {}


def file(rows: int, low: str | None, high: str | None) -> DataFile:
    limits = [{} if v is None else {"at": v} for v in (low, high)]
    return DataFile(f"{low}", 1, rows, {}, *limits)


def test_files_whose_limits_do_not_tell_are_all_looked_at() -> None:
    old, new, silent = file(5, "2026-01-01", "2026-01-31"), file(5, "2026-02-01", "2026-02-28"), file(5, None, None)
    assert newest_files([old, new], "at", 5) == (new,)
    assert newest_files([old, new], "at", 6) == newest_files([old, new], "", 1) == (old, new)
    assert newest_files([old, new, silent], "at", 1) == (old, new, silent)
    assert newest_files([], "at", 1) == ()
    assert in_parts([old, new, silent], 10) == [(old, new), (silent,)] and in_parts([], 10) == [()]
