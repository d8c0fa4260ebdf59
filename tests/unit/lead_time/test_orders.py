"""`aios lead-times`: leaks found and refused, planted truth, censoring, truncation, command line, bad input."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from aios_assets.cli_lead_times import lead_times
from aios_assets.contracts.errors import BadInputError
from ml.lead_time.aft import Columns, fit_aft
from ml.lead_time.leaks import find_leaks, identifiers
from ml.lead_time.orders import OrderColumns, drop_truncated, forecast_lead_times, prepare, quantile_name
from ml.lead_time.residuals import kaplan_meier

AS_OF = date(2024, 7, 1)
RUNNER = CliRunner()
APP = typer.Typer()
APP.command()(lead_times)
LEVELS = {"A": 10.0, "B": 25.0, "C": 60.0}


def table(seed: int = 0, n: int = 900, slow: float = 1.0) -> pl.DataFrame:
    """Orders of three suppliers and two modes; true days are level × mode × Weibull noise."""
    rng = np.random.default_rng(seed)
    supplier = rng.choice(list(LEVELS), n)
    mode = rng.choice(["air", "sea"], n)
    age = rng.integers(-60, 700, n)
    true = (
        np.array([LEVELS[s] for s in supplier])
        * np.where(mode == "sea", 2.0, 1.0)
        * rng.gamma(20, 1 / 20, n)
        * np.where(age < 90, slow, 1.0)
    )
    ordered = [AS_OF - timedelta(days=int(a)) for a in age]
    return pl.DataFrame(
        {
            "po_no": [f"P{i // 2}" for i in range(n)], "vendor": supplier, "mode": mode, "qty": rng.integers(1, 500, n), "order_date": ordered,
            "received_date": [o + timedelta(days=int(max(t, 1))) for o, t in zip(ordered, true, strict=True)],
        }
    )  # fmt: skip


def known(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("order_date") <= AS_OF).with_columns(
        pl.when(pl.col("received_date") <= AS_OF).then("received_date").alias("received_date")
    )


COLUMNS = OrderColumns("order_date", "received_date", "vendor", None, "po_no")


def test_planted_truth_is_found_and_intervals_hold() -> None:
    full = table(n=2000)
    ahead = full.filter(pl.col("order_date") > AS_OF)
    answer = forecast_lead_times(known(full), ahead.drop("received_date"), COLUMNS, AS_OF, model="effects")
    true = (ahead["received_date"] - ahead["order_date"]).dt.total_days().to_numpy()
    rows = answer.rows
    assert np.median(np.abs(rows["lead_time_days_p50"].to_numpy() / true - 1)) < 0.25
    assert 0.82 <= (true <= rows["lead_time_days_p90"].to_numpy()).mean() <= 0.97
    assert 0.03 <= (true <= rows["lead_time_days_p10"].to_numpy()).mean() <= 0.2
    assert rows.height == ahead.height and set(answer.used) == {"vendor", "mode", "qty"}


def test_a_slow_down_is_followed_with_open_orders_and_not_without() -> None:
    full = table(n=2500, slow=2.5)
    ahead = full.filter((pl.col("order_date") > AS_OF) & (pl.col("vendor") == "C"))
    true = float((ahead["received_date"] - ahead["order_date"]).dt.total_days().median())  # type: ignore[arg-type]
    seen = known(full)
    with_open = (
        forecast_lead_times(seen, ahead.drop("received_date"), COLUMNS, AS_OF).rows["lead_time_days_p50"].median()
    )
    done = (
        forecast_lead_times(seen.drop_nulls("received_date"), ahead.drop("received_date"), COLUMNS, AS_OF)
        .rows["lead_time_days_p50"]
        .median()
    )
    assert done < with_open
    assert abs(with_open - true) < abs(done - true)


def test_the_future_is_not_used_and_row_order_does_not_matter() -> None:
    full = table()
    ahead = full.filter(pl.col("order_date") > AS_OF).drop("received_date")
    a = forecast_lead_times(full, ahead, COLUMNS, AS_OF).rows
    b = forecast_lead_times(known(full), ahead, COLUMNS, AS_OF).rows
    assert a.equals(b)
    one = forecast_lead_times(known(full), ahead.head(1), COLUMNS, AS_OF).rows
    assert one.equals(a.head(1))


def test_open_rows_are_conditioned_on_their_age() -> None:
    rows = pl.DataFrame(
        {
            "vendor": ["A", "A"],
            "mode": ["air", "air"],
            "qty": [5, 5],
            "order_date": [AS_OF + timedelta(days=1), AS_OF - timedelta(days=12)],
        }
    )
    answer = forecast_lead_times(known(table()), rows, COLUMNS, AS_OF).rows
    fresh, waiting = answer.row(0, named=True), answer.row(1, named=True)
    assert waiting["lead_time_days_p05"] >= 12
    assert waiting["lead_time_days_p50"] > fresh["lead_time_days_p50"]


def test_late_is_measured_against_the_due_date() -> None:
    rows = pl.DataFrame(
        {
            "vendor": ["B"] * 4, "mode": ["air"] * 4, "qty": [5] * 4,
            "order_date": [AS_OF + timedelta(days=1)] * 3 + [AS_OF - timedelta(days=5)],
            "due": [AS_OF + timedelta(days=8), AS_OF + timedelta(days=26), AS_OF + timedelta(days=90), AS_OF - timedelta(days=1)],
        }
    )  # fmt: skip
    columns = OrderColumns("order_date", "received_date", "vendor", "due", "po_no")
    late = forecast_lead_times(known(table()), rows, columns, AS_OF).rows["late_probability_frac"].to_list()
    assert late[0] > 0.95 and 0.2 < late[1] < 0.8 and late[2] < 0.05 and late[3] == 1.0


def test_leaks_are_found_with_their_reason_and_honest_columns_are_not() -> None:
    rng = np.random.default_rng(5)
    seen = known(table(n=1500))
    n = seen.height
    days = (pl.col("received_date") - pl.col("order_date")).dt.total_days()
    frame = seen.with_columns(
        pl.col("received_date").alias("recorded"),
        pl.coalesce("received_date", pl.col("order_date") + pl.duration(days=40)).alias("scheduled"),
        (pl.coalesce("received_date", pl.col("order_date") + pl.duration(days=44)) - pl.duration(days=1) + pl.duration(days=pl.Series(rng.integers(0, 3, n)))).alias("shadow"),
        pl.when(pl.col("received_date").is_not_null()).then(pl.lit("closed")).otherwise(pl.lit("open")).alias("status"),
        days.alias("transit_days"), (days.fill_null(30) * 24.0).alias("hours"),
        pl.when(pl.col("received_date").is_not_null()).then(7.5).alias("freight_invoice"),
        pl.min_horizontal(pl.col("order_date") + pl.duration(days=pl.Series(rng.integers(1, 9, n))), pl.lit(AS_OF)).alias("shipped"),
        (pl.col("order_date") + pl.duration(days=pl.Series(rng.integers(20, 60, n)))).alias("promised"),
        (pl.col("order_date") - pl.duration(days=pl.Series(rng.integers(3, 30, n)))).alias("quoted"),
        pl.Series("freight_quote", rng.gamma(2, 50, n)),
        pl.when(pl.Series(rng.random(n)) < 0.3).then(None).otherwise(pl.lit(3.0)).alias("weight"),
    )  # fmt: skip
    found = find_leaks(
        frame,
        [c for c in frame.columns if c not in ("order_date", "received_date")],
        ordered="order_date",
        received="received_date",
        as_of=AS_OF,
    )
    assert set(found) == {
        "recorded",
        "scheduled",
        "shadow",
        "status",
        "transit_days",
        "hours",
        "freight_invoice",
        "shipped",
    }
    assert "equals the received date" in found["scheduled"] and "null in 100%" in found["recorded"]
    assert "tell open from received" in found["status"] and "reproduces" in found["hours"]


def test_identifiers_and_constants_are_not_learned_from() -> None:
    frame = table().with_columns(pl.int_range(pl.len()).alias("id"), pl.lit("x").alias("same"))
    assert set(identifiers(frame, ["id", "same", "po_no", "vendor", "mode", "qty"])) == {"id", "same", "po_no"}


def test_suppliers_without_open_orders_are_right_truncated_not_quick() -> None:
    seen = known(table(n=3000))
    cut = seen.filter((pl.col("vendor") != "C") | pl.col("received_date").is_not_null())
    rows, _ = prepare(cut, COLUMNS, AS_OF)
    kept, dropped = drop_truncated(rows, COLUMNS, AS_OF)
    assert dropped > 20 and dropped == rows.height - kept.height
    assert set(rows.join(kept, on="_cluster", how="anti")["vendor"]) <= {"C"}
    honest, _ = prepare(seen, COLUMNS, AS_OF)
    assert drop_truncated(honest, COLUMNS, AS_OF)[1] == 0


def test_kaplan_meier_agrees_with_lifelines() -> None:
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(2)
    v, e = rng.gamma(3, 4, 200), rng.random(200) < 0.6
    values, survival = kaplan_meier(v, e, np.ones(200))
    oracle = KaplanMeierFitter().fit(v, e).survival_function_at_times(values).to_numpy()
    assert np.allclose(survival, oracle, atol=1e-9)


def test_quantiles_invert_survival() -> None:
    rows, _ = prepare(known(table()), COLUMNS, AS_OF)
    model = fit_aft(rows, AS_OF, Columns(("vendor", "mode"), (), (), "vendor", "order_date"))
    location = model.place(rows)
    for q in (0.05, 0.5, 0.95, 0.999):
        days = model.quantile(location, q)
        assert (model.survive(location, days + 1e-6) <= 1 - q + 1e-9).all()
        assert (model.survive(location, np.maximum(days - 1e-3, 0) - 1e-3) >= 1 - q - 1e-9).all()


def test_names_of_quantiles() -> None:
    assert [quantile_name(q) for q in (0.05, 0.5, 0.975)] == [
        "lead_time_days_p05",
        "lead_time_days_p50",
        "lead_time_days_p97_5",
    ]


def run(
    tmp_path: Path, orders: pl.DataFrame, rows: pl.DataFrame, *more: str, suffix: str = ".csv"
) -> tuple[int, str, Path]:
    a, b, out = tmp_path / f"orders{suffix}", tmp_path / f"rows{suffix}", tmp_path / f"out{suffix}"
    for frame, path in ((orders, a), (rows, b)):
        frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    done = RUNNER.invoke(APP, [str(a), "--as-of", "2024-07-01", "--predict", str(b), "--out", str(out), *more])
    return done.exit_code, done.output, out


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_command_line_writes_every_row_and_the_same_bytes_twice(tmp_path: Path, suffix: str) -> None:
    full = table()
    ahead = full.filter(pl.col("order_date") > AS_OF).drop("received_date")
    leaky = known(full).with_columns(pl.col("received_date").alias("recorded"))
    code, text, out = run(
        tmp_path, leaky, ahead.with_columns(pl.lit(None, dtype=pl.Date).alias("recorded")), "--json", suffix=suffix
    )
    assert code == 0, text
    report = json.loads(text)
    assert "recorded" in report["refused"] and report["supplier"] == "vendor" and report["order"] == "po_no"
    first = out.read_bytes()
    answer = pl.read_csv(out) if suffix == ".csv" else pl.read_parquet(out)
    assert answer.height == ahead.height
    assert answer["late_probability_frac"].is_between(0, 1).all()
    run(tmp_path, leaky, ahead.with_columns(pl.lit(None, dtype=pl.Date).alias("recorded")), "--json", suffix=suffix)
    assert out.read_bytes() == first
    assert run(tmp_path, leaky, ahead, "--strict", suffix=suffix)[0] == 1


def test_human_output_says_what_was_refused(tmp_path: Path) -> None:
    full = table()
    code, text, _ = run(
        tmp_path,
        known(full).with_columns(pl.col("received_date").alias("recorded")),
        full.head(3).drop("received_date"),
    )
    assert code == 0 and "refused: recorded" in text and "walk-forward" in text


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--ordered", "nothere"], 1, "'nothere' is missing"),
        (["--quantiles", "0.5,2"], 1, "between 0 and 1"),
        (["--quantiles", "a"], 2, "no quantiles"),
        (["--model", "magic"], 1, "not known"),
        (["--due", "nothere"], 1, "missing from the rows"),
        (["--as-of", "tomorrow"], 2, "not a day"),
        (["--out", "/tmp/x.txt"], 2, ".csv or .parquet"),
        (["--as-of", "2010-01-01"], 1, "too few received"),
    ],
)
def test_wrong_calls_are_one_clear_line(tmp_path: Path, more: list[str], code: int, words: str) -> None:
    full = table(n=200)
    got, text, _ = run(tmp_path, known(full), full.head(3).drop("received_date"), *more)
    assert got == code and words in text.replace("\n", " ") and "Traceback" not in text


def test_bad_files_are_one_clear_line(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    known(table(n=200)).write_csv(good)
    empty, picture, header, undated = (tmp_path / n for n in ("empty.csv", "picture.csv", "header.csv", "undated.csv"))
    empty.write_bytes(b"")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe" * 20)
    header.write_text("order_date,received_date\n")
    undated.write_text("order_date,received_date\n31/12/2023,2024-01-05\n2024-01-01,\n")
    for path, words in (
        (tmp_path / "none.csv", "no such file"),
        (empty, "is empty"),
        (header, "no rows"),
        (undated, "no day"),
        (picture, ""),
    ):
        done = RUNNER.invoke(
            APP, [str(path), "--as-of", "2024-07-01", "--predict", str(good), "--out", str(tmp_path / "o.csv")]
        )
        assert done.exit_code == 1 and words in done.output.replace("\n", " "), done.output
        assert "Traceback" not in done.output


def test_rows_that_cannot_be_learned_from_are_counted() -> None:
    seen = known(table(n=300))
    bad = seen.head(2).with_columns(
        pl.Series("order_date", [None, AS_OF - timedelta(days=10)]),
        pl.lit(AS_OF - timedelta(days=20)).alias("received_date"),
    )
    answer = forecast_lead_times(pl.concat([seen, bad]), seen.head(2).drop("received_date"), COLUMNS, AS_OF)
    assert answer.set_aside == {"no order date": 1, "received before it was ordered": 1}
    with pytest.raises(BadInputError, match="missing"):
        prepare(seen.drop("order_date"), COLUMNS, AS_OF)
    with pytest.raises(BadInputError, match="not dates"):
        prepare(seen.with_columns(pl.lit(3).alias("order_date")), COLUMNS, AS_OF)


def test_a_supplier_is_a_code_and_not_a_number() -> None:
    full = known(table())
    numbers = {"A": 101, "B": 907, "C": 102}
    as_number = pl.col("vendor").replace_strict(numbers, return_dtype=pl.Int64).alias("vendor")
    rows = full.tail(40).drop("received_date")
    plain = forecast_lead_times(full, rows, COLUMNS, AS_OF).rows.drop("vendor")
    coded = forecast_lead_times(full.with_columns(as_number), rows.with_columns(as_number), COLUMNS, AS_OF).rows
    assert coded["vendor"].dtype == pl.Int64
    assert coded.drop("vendor").equals(plain)
    with_point = rows.with_columns(as_number.cast(pl.Float64))
    assert (
        forecast_lead_times(full.with_columns(as_number), with_point, COLUMNS, AS_OF).rows.drop("vendor").equals(plain)
    )


def test_a_supplier_without_orders_is_named() -> None:
    rows = pl.DataFrame({"vendor": ["A", "N", "N"], "mode": ["sea"] * 3, "order_date": [AS_OF] * 3, "qty": [1, 2, 3]})
    assert forecast_lead_times(known(table()), rows, COLUMNS, AS_OF).unseen == {"N": 2}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_leading_zeros_of_a_supplier_survive_a_file_of_numbers_only(tmp_path: Path, ending: str) -> None:
    code = pl.col("vendor").replace({"C": "007"})
    full = known(table()).with_columns(code)
    full.write_csv(tmp_path / "orders.csv") if ending == "csv" else full.write_parquet(tmp_path / "orders.parquet")
    rows = table().with_columns(code).filter(pl.col("order_date") > AS_OF, pl.col("vendor") == "007").head(3)
    rows.drop("received_date").write_csv(tmp_path / "rows.csv")
    where = [str(tmp_path / f"orders.{ending}"), "--as-of", str(AS_OF), "--predict", str(tmp_path / "rows.csv")]
    found = RUNNER.invoke(APP, [*where, "--out", str(tmp_path / "out.parquet"), "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["unseen"] == {}
    answer = pl.read_parquet(tmp_path / "out.parquet")
    assert answer["vendor"].to_list() == ["007"] * 3
    assert (answer["lead_time_days_p50"] > 40).all()


def test_rows_without_an_order_date_are_told_with_what_becomes_of_their_due_date(tmp_path: Path) -> None:
    known(table()).write_csv(tmp_path / "o.csv")
    rows = pl.DataFrame({"vendor": ["A", "B"], "mode": ["air", "sea"], "due_date": [AS_OF + timedelta(days=9)] * 2})
    dated = rows.with_columns(order_date=pl.Series([AS_OF + timedelta(days=1), None]))
    for name, frame, count in (("bare", rows, 2), ("dated", dated, 1)):
        frame.write_csv(tmp_path / f"{name}.csv")
        done = RUNNER.invoke(
            APP,
            [str(tmp_path / "o.csv"), "--as-of", str(AS_OF), "--predict", str(tmp_path / f"{name}.csv"),
             "--out", str(tmp_path / "a.csv")],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert f"{count} of 2 rows to answer have no order_date" in done.stderr
        assert "due_date is not used, and late means later than eight of ten recent orders" in done.stderr
