"""Drift: distances against independent formulas, planted drift, quiet panels, what cannot be measured."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.decision_tables import MON_DRIFT
from aios_assets.contracts.errors import BadInputError, IntegrityError
from monitoring.drift import Reference, build_reference, discoveries, measure_drift
from monitoring.gates import load_thresholds
from monitoring.histograms import bin_numbers, count, make_grid, psi, wasserstein

START = date(2024, 1, 1)
NIGHT = date(2024, 4, 1)
NOW = datetime(2024, 4, 2, tzinfo=UTC)
COLUMNS = ["y", "p", "kind"]


def panel(seed: int, days: int, shift: float = 1.0, entities: int = 120, start: date = START) -> pl.DataFrame:
    base = np.random.default_rng(7).gamma(1.0, 4.0, entities)
    rng = np.random.default_rng(seed)
    frames = []
    for d in range(days):
        week = 1 + 0.3 * np.sin(2 * np.pi * d / 7)
        y = rng.poisson(base * week * shift).astype(float)
        frames.append(
            pl.DataFrame(
                {
                    "d": [start + timedelta(days=d)] * entities,
                    "y": y,
                    "p": rng.normal(10, 1, entities),
                    "kind": np.where(base > 3, "fast", "slow"),
                }
            )
        )
    return pl.concat(frames)


def drift(
    current: pl.DataFrame, references: list[Reference] | None = None, segment: str | None = "kind"
) -> pl.DataFrame:
    return measure_drift(
        references or [REFERENCE],
        current,
        drift_date=NIGHT,
        available_at_utc=NOW,
        thresholds=load_thresholds(),
        segment_column=segment,
    )


REFERENCE = build_reference(panel(1, 84), subject="feat", columns=COLUMNS, date_column="d", segment_column="kind")


def test_wasserstein_agrees_with_scipy() -> None:
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(0)
    for reference, current in [
        (rng.normal(size=20_000), rng.normal(0.7, 1.3, 20_000)),
        (rng.poisson(4, 20_000).astype(float), rng.poisson(6, 20_000).astype(float)),
        (rng.poisson(4, 20_000).astype(float), np.where(rng.random(20_000) < 0.03, -999.0, rng.poisson(4, 20_000))),
    ]:
        grid = make_grid(pl.Series("x", reference), 20)
        zero = np.zeros(20_000, dtype=np.int64)
        left, right = (count(bin_numbers(pl.Series("x", v), grid), zero, 1, grid.bins)[0] for v in (reference, current))
        mine = wasserstein(left, right, grid, current.min(), current.max())[0]
        assert mine == pytest.approx(wasserstein_distance(reference, current) / reference.std(), rel=0.05)


def test_psi_agrees_with_the_textbook_sum() -> None:
    grid = make_grid(pl.Series("x", np.repeat([1.0, 2.0, 3.0], 1000)), 20)
    left, right = np.array([[0.0, 1000.0, 1000.0, 1000.0, 0.0]]), np.array([[0.0, 600.0, 900.0, 1500.0, 0.0]])
    p, q = np.array([1, 1, 1]) / 3, np.array([0.2, 0.3, 0.5])
    assert grid.bins == 5
    assert psi(left, right, grid)[0] == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=0.01)


def test_a_sentinel_below_all_counts_is_drift() -> None:
    """3 % of -999 in a column of counts: too few for the PSI, which sees them among the zeros."""
    rng = np.random.default_rng(4)
    days = [NIGHT - timedelta(days=int(d)) for d in rng.integers(3, 87, 40_000)]
    seen = pl.DataFrame({"d": days, "y": rng.poisson(4, 40_000).astype(float)})
    reference = build_reference(seen, subject="feat", columns=["y"], date_column="d")
    now = pl.DataFrame({"d": [NIGHT] * 3000, "y": rng.poisson(4, 3000).astype(float)})
    broken = now.with_columns(y=pl.when(pl.int_range(pl.len()) % 33 == 0).then(-999.0).otherwise("y"))
    assert not drift(now, [reference], None)["is_drifted"].any()
    assert drift(broken, [reference], None)["is_drifted"].all()


def test_counts_of_bins_are_the_counts_of_values() -> None:
    values = pl.Series("x", [1.0, 1.0, 2.0, None, float("nan"), 9.0])
    grid = make_grid(pl.Series("x", [1.0] * 200 + [2.0] * 200 + [3.0] * 200), 10)
    counts, gone = count(bin_numbers(values, grid), np.zeros(6, dtype=np.int64), 1, grid.bins)
    assert counts[0].tolist() == [0.0, 2.0, 1.0, 0.0, 1.0]
    assert gone[0] == 2


def test_quiet_nights_stay_quiet_and_a_level_shift_is_seen() -> None:
    for seed in range(2, 12):
        assert not drift(panel(seed, 7))["is_drifted"].any()
    shifted = drift(panel(3, 7, shift=1.8))
    assert set(shifted.filter("is_drifted")["column_name"]) == {"y"}
    assert shifted.schema == MON_DRIFT.schema
    assert shifted.select(MON_DRIFT.key).n_unique() == shifted.height


def test_a_segment_drifts_on_its_own() -> None:
    current = panel(4, 7).with_columns(
        pl.when(pl.col("kind") == "slow").then(pl.col("y") + 4).otherwise("y").alias("y")
    )
    found = {(r["column_name"], r["segment"]) for r in drift(current).filter("is_drifted").iter_rows(named=True)}
    assert ("y", "slow") in found
    assert ("y", "fast") not in found


def test_missing_column_all_null_and_rising_missing_share_are_drift() -> None:
    gone = drift(panel(5, 7).drop("p"))
    row = gone.filter(pl.col("column_name") == "p").row(0, named=True)
    assert row["is_drifted"] and row["value"] is None
    empty = drift(panel(5, 7).with_columns(pl.lit(None, dtype=pl.Float64).alias("p")))
    assert empty.filter(pl.col("column_name") == "p")["is_drifted"].all()
    some = panel(5, 7).with_columns(pl.when(pl.int_range(pl.len()) % 8 != 0).then("p").alias("p"))
    hit = drift(some).filter((pl.col("column_name") == "p") & (pl.col("segment") == "all")).row(0, named=True)
    assert hit["is_drifted"] and hit["method"] == "missing"


def test_too_few_rows_and_a_wrong_type_count_as_drift() -> None:
    assert drift(panel(5, 7).head(10)).filter(pl.col("segment") == "all")["is_drifted"].all()
    text = panel(5, 7).with_columns(pl.lit("n/a").alias("p"))
    row = drift(text).filter((pl.col("column_name") == "p") & (pl.col("segment") == "all")).row(0, named=True)
    assert row["is_drifted"] and row["value"] is None


def test_infinite_values_do_not_hide_drift() -> None:
    current = panel(6, 7).with_columns(pl.lit(float("inf")).alias("p"))
    assert drift(current).filter(pl.col("column_name") == "p")["is_drifted"].all()


def test_season_is_no_drift_when_the_same_season_was_pinned() -> None:
    last_year = build_reference(
        panel(9, 84, shift=1.9), subject="feat", columns=COLUMNS, date_column="d", segment_column="kind"
    )
    current = panel(10, 7, shift=1.9)
    assert drift(current)["is_drifted"].any()
    assert not drift(current, [REFERENCE, last_year])["is_drifted"].any()


def test_reference_is_pinned_by_digest() -> None:
    data = REFERENCE.to_bytes()
    back = Reference.from_bytes(data, REFERENCE.digest)
    assert back.to_bytes() == data
    assert drift(panel(3, 7, 1.8), [back]).equals(drift(panel(3, 7, 1.8)))
    with pytest.raises(IntegrityError):
        Reference.from_bytes(data[:-1] + b" ", REFERENCE.digest)
    with pytest.raises(IntegrityError):
        Reference.from_bytes(b"{}")


def test_bad_references_are_one_clear_sentence() -> None:
    with pytest.raises(BadInputError, match="lacks nothere"):
        build_reference(panel(1, 7), subject="feat", columns=["nothere"], date_column="d")
    with pytest.raises(BadInputError, match="no rows"):
        build_reference(panel(1, 7).clear(), subject="feat", columns=["y"], date_column="d")
    with pytest.raises(BadInputError):
        measure_drift([], panel(1, 7), drift_date=NIGHT, available_at_utc=NOW, thresholds=load_thresholds())


def test_row_order_does_not_matter() -> None:
    current = panel(3, 7, 1.8)
    assert drift(current).equals(drift(current.sample(fraction=1.0, shuffle=True, seed=1)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.01, 0.5))
def test_false_discovery_control_matches_the_definition(p: list[float], rate: float) -> None:
    mine = discoveries(np.array(p), rate)
    ranked = sorted(p)
    cut = max((ranked[k - 1] for k in range(1, len(p) + 1) if ranked[k - 1] <= rate * k / len(p)), default=-1.0)
    assert mine.tolist() == [v <= cut for v in p]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["normal", "lognormal", "poisson", "mixed"]))
def test_the_quick_binning_is_searchsorted(seed: int, kind: str) -> None:
    from monitoring import histograms

    rng = np.random.default_rng(seed)
    n = 20_500
    values = {
        "normal": rng.normal(size=n), "lognormal": rng.lognormal(0, 3, n), "poisson": rng.poisson(2, n).astype(float),
        "mixed": np.where(rng.random(n) < 0.5, 0.0, rng.normal(1e6, 1, n)),
    }[kind]  # fmt: skip
    edges = np.unique(rng.choice(values, 60))
    values[:6] = [np.nan, np.inf, -np.inf, edges[0], edges[-1], 1e300]
    expected = np.searchsorted(edges, values, side="left")
    expected[0] = -1
    assert (histograms._place(values, edges) == expected).all()
