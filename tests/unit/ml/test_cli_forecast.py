"""`aios forecast` and `aios backtest` as a person calls them: files in, a file and plain words out, one line on bad input."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from aios_assets.cli_forecast import backtest, forecast

app = typer.Typer()
app.command("forecast")(forecast)
app.command("backtest")(backtest)
BASE = ["--time", "week", "--target", "units", "--freq", "W", "--horizon", "3", "--keys", "store,sku", "--model", "ses"]


def long(series: int = 4, periods: int = 40) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        (f"{s // 2:03}", s % 2, date(2023, 1, 2) + timedelta(weeks=t), int(rng.poisson(3 + s)))
        for s in range(series)
        for t in range(periods)
    ]
    return pl.DataFrame(rows, schema=["store", "sku", "week", "units"], orient="row")


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    path = tmp_path / "panel.csv"
    long().write_csv(path)
    return path


def test_a_csv_in_a_parquet_out_keys_unchanged(panel: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    code, text, steps = call("forecast", panel, *BASE, "--out", out)
    assert code == 0 and "all: ses" in text and "expected all" in text and "wrote 12 rows" in text
    assert "aios: forecasting series 1 to 4 of 4" in steps
    frame = pl.read_parquet(out)
    assert frame.columns == ["store", "sku", "week", "mean", "q0.05", "q0.1", "q0.25", "q0.5", "q0.75", "q0.9", "q0.95"]
    assert frame["store"].unique().sort().to_list() == ["000", "001"]


def test_models_that_are_one_on_a_short_history_are_named_once(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    long(periods=20).write_csv(path)  # no series has a season of its own, so every seasonal model is the smoothed level
    words = [word for word in BASE if word not in ("--model", "ses")]
    code, text, _ = call("forecast", path, *words, "--out", tmp_path / "o.csv")
    ranked = text.split("best single models: ")[1].split(")")[0].split(", ")
    assert code == 0 and len(ranked) == len({one.split(" ")[1] for one in ranked}) == 3


def test_integer_keys_of_a_parquet_stay_integers_and_json_is_one_document(tmp_path: Path) -> None:
    path, out = tmp_path / "p.parquet", tmp_path / "o.csv"
    long().write_parquet(path)
    code, text, _ = call("forecast", path, *BASE, "--out", out, "--json", "--quantiles", "0.1,0.9")
    report = json.loads(text)
    assert code == 0 and report["rows"] == 12 and report["chosen"]["all"] == "ses" and "expected" in report
    assert pl.read_csv(out).columns == ["store", "sku", "week", "mean", "q0.1", "q0.9"]
    call("forecast", path, *BASE, "--out", tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet").schema["sku"] == pl.Int64


def test_the_same_call_writes_the_same_bytes(panel: Path, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        assert call("forecast", panel, *BASE, "--out", tmp_path / name)[0] == 0
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_backtest_prints_baselines_and_logs_parent_and_children(panel: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    code, text, error = call("backtest", panel, *BASE, "--folds", "2", "--out", out)
    assert code == 0 and "seasonal_naive" in text and "fold 1 of 2" in error
    assert set(pl.read_csv(out)["model"]) >= {"aios", "ses", "croston_sba"}


def broken(path: Path, kind: str) -> None:
    frame = long()
    if kind == "duplicate":
        frame = pl.concat([frame, frame.head(2)])
    elif kind == "infinite":
        frame = frame.with_columns(
            pl.when(pl.col("sku") == 1).then(float("inf")).otherwise(pl.col("units").cast(pl.Float64)).alias("units")
        )
    elif kind == "irregular":
        frame = frame.with_columns(
            pl.when(pl.col("units") > 6).then(pl.col("week") + timedelta(days=1)).otherwise("week").alias("week")
        )
    elif kind == "column":
        frame = frame.rename({"units": "pieces"})
    elif kind == "short":
        frame = frame.filter(pl.col("week") < date(2023, 1, 16))
    frame.write_csv(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("duplicate", "several rows of one series and period, first for store=000, sku=0"),
        ("infinite", "infinite targets, first in series store=000, sku=1"),
        ("irregular", "weekly rows lie on several weekdays"),
        ("column", "columns are missing: units"),
        ("short", "a panel needs at least four periods"),
    ],
)
def test_bad_panels_are_one_line_with_what_where_and_count(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "p.csv"
    broken(path, kind)
    code, _, error = call("forecast", path, *BASE, "--out", tmp_path / "o.csv")
    assert code == 1 and words in error and error.count("\n") == 1 and not (tmp_path / "o.csv").exists()


def test_a_future_file_that_falls_short_is_one_line(panel: Path, tmp_path: Path) -> None:
    ahead = (
        long(4, 42).filter(pl.col("week") > date(2023, 10, 2)).select("store", "sku", "week").with_columns(price=1.0)
    )
    ahead.write_csv(tmp_path / "f.csv")
    pl.read_csv(panel, schema_overrides={"store": pl.String}).with_columns(price=1.0).write_csv(panel)
    code, _, error = call("forecast", panel, *BASE, "--future", tmp_path / "f.csv", "--out", tmp_path / "o.csv")
    assert code == 1 and "does not cover all 3 periods ahead" in error and "4 of them" in error


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "there is no such file"),
        ("empty.csv", b"", "the file is empty"),
        ("broken.parquet", b"not parquet at all", "cannot be read as .parquet"),
    ],
)
def test_unreadable_files_are_one_line(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, _, error = call("forecast", path, *BASE, "--out", tmp_path / "o.csv")
    assert code == 1 and words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--freq", "H"], "frequency H is not known"),
        (["--horizon", "0"], "a horizon of 0 periods is none"),
        (["--quantiles", "0.1,2"], "quantile levels lie between 0 and 1"),
        (["--quantiles", "a"], "quantiles are numbers"),
        (["--model", "oracle"], "there is no model oracle"),
        (["--gaps", "guess"], "a gap cannot mean guess"),
        (["--out", "x.xlsx"], "must end in .csv or .parquet"),
        (["--out", "/nowhere/x.csv"], "the output folder does not exist"),
    ],
)
def test_wrong_calls_exit_with_2(panel: Path, tmp_path: Path, change: list[str], words: str) -> None:
    code, _, error = call("forecast", panel, *BASE, "--out", tmp_path / "o.csv", *change)
    assert code == 2 and words in error, (code, error)


def test_levels_are_reconciled_and_add_up(panel: Path, tmp_path: Path) -> None:
    out, nodes = tmp_path / "o.csv", tmp_path / "levels.parquet"
    code, text, _ = call("forecast", panel, *BASE, "--out", out, "--levels", "total;store", "--levels-out", nodes)
    assert code == 0 and "reconciled levels" in text
    frame = pl.read_parquet(nodes)
    assert frame.columns == ["level", "store", "sku", "week", "mean", "mean_bottom_up"]
    sums = frame.group_by("level").agg(pl.col("mean", "mean_bottom_up").sum()).sort("level")
    assert sums["level"].to_list() == ["store", "store,sku", "total"]
    assert np.ptp(sums["mean"].to_numpy()) < 1e-4 and np.ptp(sums["mean_bottom_up"].to_numpy()) < 1e-9
    code, _, error = call("forecast", panel, *BASE, "--out", out, "--levels", "total")
    assert code != 0 and "belong together" in error
