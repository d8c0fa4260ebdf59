"""What a stranger's files say and would be passed over in silence: refused with what to do, or told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from aios_assets.contracts.errors import BadInputError
from planning.panel import build_panel, build_state
from tests.unit.planning.test_plan import GOOD, START, app, history, run, simulate_from, state

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


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--skip", "-1"), "leave out between 0 and 5"),  # scored the last period alone
        (("--skip", "6"), "6 periods are to be left out of the 6 played"),
        (("--plot", "p.foo"), "the plot must end in .png"),  # ended in a traceback after everything was played
        (("--plot", "/no/such/folder/p.png"), "the folder of the plot does not exist"),
    ],
)
def test_a_replay_that_cannot_be_scored_or_drawn_is_refused(tmp_path: Path, extra: tuple[str, ...], words: str) -> None:
    done = simulate_from(tmp_path, history(), state(), policy="cover", extra=extra)
    assert done.exit_code in (1, 2) and words in done.stderr and "To do: " in done.stderr


def test_an_answer_is_not_written_over_a_folder(tmp_path: Path) -> None:
    (tmp_path / "o.csv").mkdir()
    done = run(tmp_path)
    assert done.exit_code == 2 and "the output file is a folder" in done.stderr


def plan_of(tmp: Path, hist: bytes, st: bytes, keys: str = "store,product", config: str = "") -> tuple[int, str]:
    """A call with files exactly as somebody saved them."""
    (tmp / "h.csv").write_bytes(hist)
    (tmp / "s.csv").write_bytes(st)
    (tmp / "c.yaml").write_text(config or yaml.safe_dump(GOOD))
    done = CliRunner().invoke(
        app,
        ["plan", str(tmp / "h.csv"), "--keys", keys, "--time", "week", "--target", "units", "--state", str(tmp / "s.csv"), "--model", "resample",
         "--config", str(tmp / "c.yaml"), "--as-of", str(START + timedelta(weeks=11)), "--out", str(tmp / "o.csv")],
    )  # fmt: skip
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


HISTORY, STATE = history().write_csv().encode(), state().write_csv().encode()
COMMA = history().with_columns(pl.format("{},5", "units").alias("units")).write_csv(separator=";").encode()


@pytest.mark.parametrize(
    ("hist", "st", "words"),
    [
        (COMMA, STATE, "',5': numbers are written with a point"),
        (HISTORY.decode().encode("utf-16"), STATE, "the file is not UTF-8 text"),
        (HISTORY.replace(b"a,x", "K\u00e4se,x".encode("latin-1")), STATE, "the file is not UTF-8 text"),
        (b"PK\x03\x04....xl/workbook.xml....", STATE, "the file is a spreadsheet, not CSV"),
        (
            HISTORY,
            STATE.replace(b"a,x", b"A,x").replace(b"b,x", b"b ,x"),
            "the state has 'A', 'x', the history 'a', 'x'",
        ),
    ],
)
def test_files_as_offices_save_them_say_what_to_do(tmp_path: Path, hist: bytes, st: bytes, words: str) -> None:
    code, said = plan_of(tmp_path, hist, st)
    assert code == 1 and words.strip("'") in said and "To do: " in said


@pytest.mark.parametrize("value", ["0,2", "'0.2'", "1.000,5"])
def test_a_cost_in_quotes_or_with_a_comma_is_no_file(tmp_path: Path, value: str) -> None:
    config = f"period: W\nlead_time_periods: 2\nholding_cost: {value}\nshortage_cost: 1\n"
    code, said = plan_of(tmp_path, HISTORY, STATE, config=config)
    assert code == 1 and "needed is a number or a file by key" in said and "with a point and without quotes" in said


@pytest.mark.parametrize("keys", ["store,store", "store,week", "store,product,units"])
def test_a_column_plays_one_part(tmp_path: Path, keys: str) -> None:
    code, said = plan_of(tmp_path, HISTORY, STATE, keys=keys)
    assert code == 2 and "cannot be a key twice, nor time or target" in said


def test_keys_that_were_saved_as_floating_point_numbers_match(tmp_path: Path) -> None:
    """One file has 7.0 where the other has 7, as happens once a column had a gap."""
    number = pl.col("store").replace_strict({"a": 7, "b": 8}, return_dtype=pl.Int64)
    whole = run(
        tmp_path, hist=history().with_columns(number), st=state().with_columns(number), extra=("--model", "resample")
    )
    expected = pl.read_csv(tmp_path / "o.csv")
    floats = run(
        tmp_path,
        hist=history().with_columns(number.cast(pl.Float64)),
        st=state().with_columns(number),
        extra=("--model", "resample"),
    )
    assert (whole.exit_code, floats.exit_code) == (0, 0)
    assert pl.read_csv(tmp_path / "o.csv").equals(expected) and expected["quantity_units"][0] > 0


def test_a_folder_is_told_as_one(tmp_path: Path) -> None:
    done = run(tmp_path, config=GOOD | {"holding_cost": "."})
    assert done.exit_code == 1 and "it is a folder, not a file" in done.stderr
