"""Gates fail closed: every kind of evidence that cannot be judged is refused, with its reason."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios_assets.contracts.decision_tables import MON_FORECAST_QUALITY, MON_GATE_VERDICTS
from aios_assets.contracts.errors import BadInputError, ContractError
from aios_assets.contracts.gates import Evidence, Limit, judge, verdict_frame
from monitoring.gates import champion_age, data_quality, label_delay, load_thresholds, quality_gates, schema_problem

DAY = date(2025, 3, 1)
NOW = datetime(2025, 3, 2, 2, tzinfo=UTC)
LIMIT = Limit("g", "loss", "at_most", 1.0, 100, 3, "because", "here", DAY)


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (None, "no evidence"),
        (Evidence(None, 500, DAY), "missing"),
        (Evidence(math.nan, 500, DAY), "nan"),
        (Evidence(math.inf, 500, DAY), "inf"),
        (Evidence(-math.inf, 500, DAY), "inf"),
        (Evidence(0.5, 99, DAY), "only 99 rows"),
        (Evidence(0.5, 0, DAY), "only 0 rows"),
        (Evidence(0.5, None, DAY), "rows is not stated"),
        (Evidence(0.5, 500, None), "newest day"),
        (Evidence(0.5, 500, date(2025, 2, 20)), "9 days old"),
        (Evidence(0.5, 500, date(2025, 3, 2)), "after the day judged"),
        (Evidence(0.5, 500, DAY, "columns missing: price"), "price"),
    ],
)
def test_unfit_evidence_is_refused_with_its_reason(evidence: Evidence | None, why: str) -> None:
    decision = judge(LIMIT, evidence, subject="m:1", as_of=DAY)
    assert not decision.is_passed
    assert decision.reason.startswith("refused")
    assert why in decision.reason


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["at_most", "at_least"]))
def test_passes_exactly_on_the_right_side(value: float, side: str) -> None:
    limit = Limit("g", "x", side, 1.0, 1, 1, "w", "m", DAY)  # type: ignore[arg-type]
    passed = judge(limit, Evidence(value, 1, DAY), subject="s", as_of=DAY).is_passed
    assert passed == (math.isfinite(value) and (value <= 1.0 if side == "at_most" else value >= 1.0))


def test_a_gate_without_limit_refuses() -> None:
    assert not load_thresholds().judge("nobody_set_this", Evidence(0.0, 10**6, DAY), subject="s", as_of=DAY).is_passed


def test_every_threshold_says_why_where_and_when() -> None:
    for limit in load_thresholds().gates.values():
        assert len(limit.why) > 10 and limit.dated.year >= 2026
        kind, _, what = limit.measured_on.partition(": ")
        assert kind in ("measured", "published", "definition", "decision") and len(what) > 8, limit.gate_code


@pytest.mark.parametrize(
    "text",
    ["", "gates: {}", "gates: {x: {metric: m, side: at_most, value: 1}}\ndrift: {}\nretrain: {}", "gates: [", "- 1"],
)
def test_a_broken_threshold_file_is_one_clear_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError):
        load_thresholds(path)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("    value: 0.1\n", "    value: .nan\n", "drift_psi"),
        ("    value: 0.1\n", "    value: .inf\n", "drift_psi"),
        ("  drift_psi:", "  drift_ps:", "drift_psi"),
        ("  promote_lead_time:", "  promote_leadtime:", "promote_lead_time"),
        ("  nights: 3", "  night: 3", "nights"),
        ("  cooldown_days: 14", "  cooldown_days: two weeks", "cooldown_days"),
        ("  discovery_rate: 0.01", "  discovery_rate: 0", "discovery_rate"),
        ("  bins: 20", "  bin: 20", "bins"),
    ],
)
def test_a_slip_of_the_pen_is_refused_by_name(tmp_path: Path, right: str, wrong: str, words: str) -> None:
    source = (Path(__file__).parents[3] / "monitoring" / "thresholds.yaml").read_text()
    assert source.count(right) >= 1
    path = tmp_path / "t.yaml"
    path.write_text(source.replace(right, wrong, 1))
    with pytest.raises(BadInputError, match=words):
        load_thresholds(path)


def test_an_entry_with_a_wrong_side_is_refused(tmp_path: Path) -> None:
    source = (Path(__file__).parents[3] / "monitoring" / "thresholds.yaml").read_text()
    path = tmp_path / "t.yaml"
    path.write_text(source.replace("    side: at_most", "    side: about", 1))
    with pytest.raises(BadInputError, match="drift_psi"):
        load_thresholds(path)


def test_verdict_rows_keep_the_contract_and_refuse_doubles() -> None:
    one = judge(LIMIT, Evidence(0.5, 500, DAY, details={"delta_version": 7}), subject="m:1", as_of=DAY)
    frame = verdict_frame([one], NOW)
    assert frame.schema == MON_GATE_VERDICTS.schema
    assert json.loads(frame["evidence_json"][0])["delta_version"] == 7
    assert verdict_frame([], NOW).height == 0
    with pytest.raises(ContractError):
        verdict_frame([one, one], NOW)


def test_data_quality_needs_checks_that_ran() -> None:
    t = load_thresholds()
    assert data_quality([], 12, as_of=DAY, thresholds=t).is_passed
    assert not data_quality([], 0, as_of=DAY, thresholds=t).is_passed
    assert not data_quality(None, 12, as_of=DAY, thresholds=t).is_passed
    failed = data_quality(["keys of fct_demand_daily"], 12, as_of=DAY, thresholds=t)
    assert not failed.is_passed and "keys of fct_demand_daily" in str(failed.evidence)


def test_age_of_champion_and_of_labels() -> None:
    t = load_thresholds()
    assert champion_age(date(2025, 2, 1), version="m:3", as_of=DAY, thresholds=t).is_passed
    assert not champion_age(date(2024, 11, 1), version="m:3", as_of=DAY, thresholds=t).is_passed
    assert not champion_age(None, version="m:3", as_of=DAY, thresholds=t).is_passed
    assert label_delay(date(2025, 2, 28), as_of=DAY, thresholds=t).is_passed
    assert not label_delay(date(2025, 2, 20), as_of=DAY, thresholds=t).is_passed
    assert not label_delay(None, as_of=DAY, thresholds=t).is_passed


def quality(
    pinball: float, base: float, coverage: float = 0.8, bias: float | None = 0.01, rows: int = 5000
) -> pl.DataFrame:
    both = [("lgbm", pinball, coverage, bias), ("seasonal_naive", base, 0.8, 0.0)]
    data = [
        {"quality_date": DAY, "demand_class": "all", "model_name": m, "rows": rows, "wape_frac": 0.5, "bias_frac": b, "pinball_ea": p,
         "coverage80_frac": c, "available_at_utc": NOW}
        for m, p, c, b in both
    ]  # fmt: skip
    return pl.DataFrame(data, schema=MON_FORECAST_QUALITY.schema)


def test_quality_gates_judge_against_the_baseline_and_refuse_when_it_is_missing() -> None:
    t = load_thresholds()

    def run(q: pl.DataFrame, newest: date | None = DAY) -> dict[str, bool]:
        found = quality_gates(
            q, model_name="lgbm", baseline_name="seasonal_naive", as_of=DAY, thresholds=t, newest=newest
        )
        return {d.gate_code: d.is_passed for d in found}

    assert all(run(quality(0.8, 1.0)).values())
    assert not run(quality(1.2, 1.0))["forecast_vs_naive"]
    assert not run(quality(0.8, 1.0, coverage=0.5))["forecast_coverage_low"]
    assert not run(quality(0.8, 1.0, coverage=0.99))["forecast_coverage_high"]
    assert not run(quality(0.8, 1.0, bias=-0.4))["forecast_bias"]
    assert not run(quality(0.8, 1.0, bias=None))["forecast_bias"]
    assert not run(quality(0.8, 1.0).filter(pl.col("model_name") == "lgbm"))["forecast_vs_naive"]
    assert not any(run(quality(0.8, 1.0).clear()).values())
    assert not any(run(quality(0.8, 1.0, rows=3)).values())
    assert not any(run(quality(0.8, 1.0), newest=None).values())
    assert not any(run(quality(0.8, 1.0), newest=DAY - timedelta(days=5)).values())


def test_schema_problem_names_the_column() -> None:
    frame = pl.DataFrame({"a": [1], "b": ["x"]})
    assert schema_problem(frame, {"a": pl.Int64()}) == ""
    assert "c" in schema_problem(frame, {"c": pl.Int64()})
    assert "b is String" in schema_problem(frame, {"b": pl.Float64()})
