"""Tables people hand to commands: keys stay as written, only ISO days are days, any usual separator."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from aios_assets import cli_tables
from aios_assets.cli_tables import read_table, write_table
from aios_assets.contracts.days import as_days
from aios_assets.contracts.errors import BadInputError

ROWS = "sku,day,units\n007,2026-02-01,3\n008,2026-02-02,4.5\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_is_read_with_its_separator(tmp_path: Path, separator: str, mark: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(mark + ROWS.replace(",", separator).replace("\n", "\r\n"), encoding="utf-8")
    found = read_table(path, ["sku"])
    assert found.to_dict(as_series=False) == {
        "sku": ["007", "008"], "day": [date(2026, 2, 1), date(2026, 2, 2)], "units": [3.0, 4.5],
    }  # fmt: skip


def test_a_number_late_in_the_file_does_not_break_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("units\n" + "1\n" * 30_000 + "0.5\n")
    assert read_table(path)["units"].sum() == 30_000.5


@pytest.mark.parametrize("days", [["01/02/2026", "02/02/2026"], ["1.2.2026", "2.2.2026"], ["20260201", "20260202"]])
def test_a_day_that_is_not_iso_is_never_guessed(tmp_path: Path, days: list[str]) -> None:
    """Polars reads 01/02 as the first of February; who wrote it may have meant the second of January."""
    path = tmp_path / "rows.csv"
    path.write_text("day,units\n" + "".join(f"{d},1\n" for d in days))
    found = read_table(path)
    assert not found.schema["day"].is_temporal()
    with pytest.raises(BadInputError, match="use YYYY-MM-DD"):
        as_days(found["day"], "rows.csv")


def test_times_are_days_unless_instants_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("at\n2026-02-01 23:30:00\n2026-02-02T01:00:00\n")
    assert read_table(path)["at"].to_list() == [date(2026, 2, 1), date(2026, 2, 2)]
    assert read_table(path, stamps=True)["at"].to_list() == [datetime(2026, 2, 1, 23, 30), datetime(2026, 2, 2, 1)]


def test_days_of_months_and_empty_cells() -> None:
    assert as_days(pl.Series("m", ["2026-02", "2026-03-15"]), "x").to_list() == [date(2026, 2, 1), date(2026, 3, 15)]
    gaps = pl.Series("d", ["2026-02-01", None, " "])
    assert as_days(gaps, "x", empty=True).to_list() == [date(2026, 2, 1), None, None]
    with pytest.raises(BadInputError, match="2 of them"):
        as_days(gaps, "x")
    with pytest.raises(BadInputError, match=r"'soon', which is no day .*1 of them"):
        as_days(pl.Series("d", ["2026-02-01", None, "soon"]), "x", empty=True)


def test_what_stands_for_no_day_is_empty_only_where_a_day_may_be_missing() -> None:
    words = pl.Series("received", ["2026-02-01", "NULL", "NaT", " ", None])
    assert as_days(words, "x", empty=True).to_list() == [date(2026, 2, 1), None, None, None, None]
    with pytest.raises(BadInputError, match="4"):
        as_days(words, "x")


def test_text_behind_a_day_is_not_cut_off() -> None:
    with pytest.raises(BadInputError, match="2026-02-01x"):
        as_days(pl.Series("d", ["2026-02-01x", "2026-02-01T10:00:00+01:00"]), "x", empty=True)


def test_only_the_newest_days_of_a_file_too_long_are_read_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.parquet"
    days = pl.date_range(date(2020, 1, 1), date(2026, 1, 1), eager=True)
    write_table(pl.DataFrame({"day": days, "units": range(days.len())}), path)
    assert read_table(path, recent="day").height == days.len()
    monkeypatch.setattr(cli_tables, "MOST_ROWS", 2_000)
    assert read_table(path, recent="day")["day"].to_list() == days[-cli_tables.MOST_DAYS :].to_list()
    assert "only the newest 1,120 days up to 2026-01-01 are read" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.part"))
