"""What a stranger's files say and would be passed over in silence: refused with what to do, or told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from planning.panel import build_panel, build_state
from tests.unit.planning.test_plan import GOOD, START, history, run, state

KEYS = ["store", "product"]


def stock_of(columns: dict[str, str], **more: Any) -> Any:
    panel = build_panel(history(), KEYS, "week", "units", "W")
    return build_state(state().rename(columns).with_columns(**more), panel)


@pytest.mark.parametrize("name", ["in_transit_1", "in_transit_1_unit", "In_Transit_1_units", "in_transit_units"])
def test_transit_under_a_name_that_is_not_read_is_refused(name: str) -> None:
    """It would be ordered a second time, though the other columns are read."""
    with pytest.raises(BadInputError, match=f"{name} looks like stock on the way and is not read"):
        stock_of({"in_transit_1_units": name})


@pytest.mark.parametrize("name", ["on_order", "OnOrder", "pipeline_units", "incoming_goods", "open_order_units"])
def test_all_that_is_on_order_under_another_name_is_refused(name: str) -> None:
    bare = state().drop("in_transit_1_units", "in_transit_2_units").with_columns(pl.lit(5.0).alias(name))
    panel = build_panel(history(), KEYS, "week", "units", "W")
    with pytest.raises(BadInputError, match="name it by when it arrives: in_transit_1_units"):
        build_state(bare, panel)
    # Beside columns that say when it arrives, a total is a total.
    assert stock_of({}, **{name: pl.lit(5.0)}).in_transit.tolist() == [[3.0, 0.0], [0.0, 1.0]]


def test_two_columns_for_one_period_are_refused() -> None:
    with pytest.raises(BadInputError, match="in_transit_1_units names a period that another column names"):
        stock_of({}, in_transit_week_1_units=pl.lit(1.0))


@pytest.mark.parametrize("name", ["capacity_units", "minimum_order_units", "maximum_order_units", "holding_cost"])
@pytest.mark.parametrize("cell", ["1,5", "many", "inf"])
def test_a_cell_that_is_no_number_is_not_read_as_no_limit(tmp_path: Path, name: str, cell: str) -> None:
    (tmp_path / "f.csv").write_text(f'store,product,{name}\na,x,"{cell}"\nb,x,3\n')
    done = run(tmp_path, config=GOOD | {name: "f.csv"})
    assert done.exit_code == 1 and f"{name} is no number, such as '{cell}'" in done.output


def test_a_negative_minimum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("store,product,minimum_order_units\na,x,-3\n")
    done = run(tmp_path, config=GOOD | {"minimum_order_units": "f.csv"})
    assert done.exit_code == 1 and "minimum_order_units is negative" in done.output


def test_series_without_a_limit_in_the_file_are_counted(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("store,product,capacity_units\na,x,300\n")
    done = run(tmp_path, config=GOOD | {"capacity_units": "f.csv"}, extra=("--model", "resample"))
    assert done.exit_code == 0
    assert "the file for capacity_units has no value for 1 of 2 series: no limit for them" in done.stderr


def test_weekly_data_called_daily_are_refused() -> None:
    """Else six days of seven count as days without a sale, and next to nothing is ordered."""
    with pytest.raises(BadInputError, match="all 12 days of 'week' fall on the same weekday"):
        build_panel(history(), KEYS, "week", "units", "D")
    sparse = history().with_columns(pl.col("week") + pl.duration(days=pl.int_range(pl.len()) % 2))
    assert build_panel(sparse, KEYS, "week", "units", "D").demand.shape[0] == 2


def test_several_rows_in_a_month_are_told_to_be_added_up() -> None:
    with pytest.raises(BadInputError, match="add up the rows of a month"):
        build_panel(history(), KEYS, "week", "units", "M")


def test_a_history_that_ends_a_period_before_the_state_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, as_of=(START + timedelta(weeks=12)).isoformat(), extra=("--model", "resample"))
    assert done.exit_code == 0 and "one before --as-of" in done.stderr
