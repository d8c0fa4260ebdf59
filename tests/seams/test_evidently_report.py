"""Evidently for real: the report renders, its PSI verdicts are those of our engine on the same sample, history is kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from monitoring.drift import build_reference, measure_drift
from monitoring.gates import load_thresholds
from monitoring.reports import drift_report, sample, shared_scripts

START = date(2025, 1, 1)
SHIFTED = {"b": 1.5, "e": -1.2}


def frame(seed: int, shift: bool) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    n = 6000
    columns = {
        c: (rng.gamma(2, 2, n) if c in "bc" else rng.normal(size=n)) + (SHIFTED.get(c, 0.0) if shift else 0.0)
        for c in "abcde"
    }
    kind = rng.choice(["x", "y", "z"], n, p=[0.2, 0.3, 0.5] if shift else [0.6, 0.3, 0.1])
    return pl.DataFrame(
        {**columns, "kind": kind, "day": [START + timedelta(days=int(k)) for k in rng.integers(0, 28, n)]}
    )


COLUMNS = [*"abcde", "kind"]


@pytest.fixture(scope="module")
def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    return frame(1, False), frame(2, True)


def test_same_verdicts_as_the_engine_on_the_same_sample(
    frames: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    left, right = (sample(f, 3000, 7) for f in frames)
    report = drift_report(
        *frames,
        columns=COLUMNS,
        thresholds=load_thresholds(),
        seed=7,
        sample_rows=3000,
        workspace=tmp_path / "ws",
        title="feat",
    )
    reference = build_reference(left, subject="feat", columns=COLUMNS, date_column="day", window_days=7)
    mine = measure_drift(
        [reference],
        right,
        drift_date=START,
        available_at_utc=datetime(2025, 2, 1, tzinfo=UTC),
        thresholds=load_thresholds(),
    )
    assert report.reference_rows == report.current_rows == 3000
    assert dict(report.verdicts.select("column_name", "is_drifted").iter_rows()) == dict(
        mine.select("column_name", "is_drifted").iter_rows()
    )
    assert set(report.verdicts.filter("is_drifted")["column_name"]) == {*SHIFTED, "kind"}
    assert b"<html" in report.html[:2000].lower() and len(report.html) > 100_000
    assert any((tmp_path / "ws").rglob("*"))


def test_a_page_leaves_the_drawing_library_to_a_file_that_all_nights_share(
    frames: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    """Put back in its place, the file gives a page that is whole again; nothing that a person reads has left it."""
    left, right = frames
    pages = [
        drift_report(left, f, columns=["a", "b", "c"], thresholds=load_thresholds(), seed=s, sample_rows=500)
        for f, s in ((right, 1), (left, 2))
    ]
    first, second = pages
    assert len(first.html) < 1_000_000 and first.scripts == second.scripts and len(first.scripts) == 1
    (name, script), *_ = first.scripts.items()
    link = f'<script charset="utf-8" src="../{name}"></script>'.encode()
    assert first.html.count(link) == 1 and len(script) > 1_000_000
    whole = first.html.replace(link, b"<script>" + script + b"</script>")
    assert shared_scripts(whole) == (first.html, first.scripts)
    assert whole.index(b"window.drawDashboard=") < whole.index(b"window.drawDashboard(")
    assert shared_scripts(b"<html><script>var a</script></html>") == (b"<html><script>var a</script></html>", {})


def test_columns_that_cannot_be_shown_are_named(frames: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    left, right = frames
    right = right.with_columns(pl.lit(None, dtype=pl.Float64).alias("a")).drop("b")
    report = drift_report(left, right, columns=["a", "b", "c"], thresholds=load_thresholds(), seed=1, sample_rows=500)
    assert set(report.skipped) == {"a", "b"}
    assert report.verdicts["column_name"].to_list() == ["c"]
    with pytest.raises(BadInputError):
        drift_report(left, right, columns=["a", "b"], thresholds=load_thresholds(), seed=1)


def test_the_sample_is_stated_and_repeatable(frames: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    left, _ = frames
    assert sample(left, 100, 3).equals(sample(left, 100, 3))
    assert not sample(left, 100, 3).equals(sample(left, 100, 4))
    assert sample(left, 10**6, 3) is left
