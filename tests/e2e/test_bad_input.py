"""Whatever a person gets wrong is one clear line: what, where, what to do; and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Home


@pytest.fixture
def fresh(tmp_path: Path) -> Home:
    (tmp_path / "inbox").mkdir()
    return Home(tmp_path / "home", {"AIOS_INBOX": str(tmp_path / "inbox")})


def one_line(home: Home, *words: str, code: int) -> str:
    done = home.aios(*words, ok=(code,))
    lines = [line for line in done.stderr.splitlines() if line.startswith("aios:")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"AIOS_INBOX": str(tmp_path / "nowhere")})
    assert "inbox folder does not exist" in one_line(home, "run", code=1)


def test_a_file_that_does_not_exist(fresh: Home) -> None:
    assert "does not exist" in one_line(fresh, "ingest", "/nowhere/file.edi", code=1)


def test_a_csv_with_a_missing_column(fresh: Home, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text("item;store;day\nA;S1;2024-01-01\n")
    line = one_line(fresh, "import", "sales", str(file), code=1)
    assert "sales.csv" in line and "To do" in line


def test_an_unknown_kind_of_import(fresh: Home, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    assert "sales, stock, orders, receipts, items" in one_line(
        fresh, "import", "weather", str(tmp_path / "x.csv"), code=2
    )


def test_a_date_that_is_none(fresh: Home) -> None:
    assert "YYYY-MM-DD" in one_line(fresh, "backfill", "--from", "yesterday", "--to", "2024-01-01", code=2)


def test_dates_the_wrong_way_round(fresh: Home) -> None:
    assert "swap" in one_line(fresh, "backfill", "--from", "2024-02-01", "--to", "2024-01-01", code=2)


def test_a_day_to_run_that_is_none(fresh: Home) -> None:
    assert "YYYY-MM-DD" in one_line(fresh, "run", "--day", "tomorrow", code=2)


@pytest.mark.parametrize(("day", "words"), [("2019-01-01", "before 2023-01-01"), ("2999-01-01", "after")])
def test_days_that_the_network_does_not_have(fresh: Home, day: str, words: str) -> None:
    assert words in one_line(fresh, "run", "--day", day, code=2)
    assert words in one_line(fresh, "backfill", "--from", day, "--to", day, code=2)


def test_a_recommendation_that_is_not_there(fresh: Home) -> None:
    assert "no recommendation has that id" in one_line(fresh, "explain", "ffff", code=1)


def test_a_status_before_any_night(fresh: Home) -> None:
    assert "no night was run yet" in one_line(fresh, "status", code=1)


def test_a_setting_that_does_not_fit(tmp_path: Path) -> None:
    home = Home(tmp_path, {"AIOS_PROFILE": "gigantic"})
    assert "AIOS_PROFILE" in one_line(home, "status", code=2)


@pytest.mark.parametrize("words", [("run",), ("ingest", "/nowhere"), ("import", "items", "/nowhere")])
def test_a_home_that_is_no_folder(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "home").write_text("a file")
    home = Home(tmp_path / "home", {"AIOS_INBOX": str(tmp_path / "inbox")})
    assert "home folder cannot be written" in one_line(home, *words, code=1)


def test_rows_that_do_not_fit_are_told_one_to_a_line(fresh: Home, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("item_id,pack_ea\n007,6\n" + "".join(f"{n},x\n" for n in range(25)))
    said = fresh.aios("import", "items", str(file)).stdout.splitlines()
    assert (
        next(line for line in said if line.startswith("row ")) == "row 3, column 'pack_ea': 'x' is not a whole number"
    )
    assert said[-1] == "… and 5 more; after the next run see `aios quarantine list`"


def test_ports_that_cannot_be(fresh: Home) -> None:
    assert "two pages cannot have one port" in one_line(fresh, "ui", "--port", "3998", "--mlflow-port", "3998", code=2)
    assert "65535" in fresh.aios("ui", "--port", "99999", ok=(2,)).stderr
