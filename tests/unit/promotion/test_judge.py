"""Promotion on rolling origins: first model, better, worse, biased, miscalibrated, bad in one class, unfit evidence."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.gates import Evidence, GateDecision
from ml.promotion.judge import QUANTILE_COLUMNS, judge_challenger, score_rows
from monitoring.gates import load_thresholds

AS_OF = date(2025, 3, 1)
CLASSES = {"smooth": 20.0, "erratic": 10.0, "lumpy": 2.0}
LIMITS = load_thresholds().gates


def backtest(
    noise: float,
    *,
    bias: float = 0.0,
    width: float = 1.0,
    spoil: str = "",
    seed: int = 0,
    series: int = 12,
    days: int = 14,
) -> pl.DataFrame:
    """Poisson demand; a forecast whose mean is off by `noise` (relative deviation), with Poisson quantiles of that mean."""
    from scipy.stats import poisson

    truth, mine = np.random.default_rng(1), np.random.default_rng(100 + seed)
    frames = []
    for name, level in CLASSES.items():
        for origin in range(4):
            n = series * days
            mean = level * truth.lognormal(0, 0.3, n)
            y = truth.poisson(mean).astype(float)
            off = noise * (3.0 if name == spoil else 1.0)
            guess = mean * np.exp(mine.normal(0, off, n) - off**2 / 2) * (1 + bias)
            mid = poisson.ppf(0.5, guess)
            quantiles = {
                c: np.maximum(mid + width * (poisson.ppf(q, guess) - mid), 0) for q, c in QUANTILE_COLUMNS.items()
            }
            start = AS_OF - timedelta(days=28 * (origin + 1))
            frames.append(
                pl.DataFrame({"demand_class": [name] * n, "origin_date": [start] * n, "target_date": [start + timedelta(days=27)] * n,
                              "actual_ea": y, "demand_qty_ea_mean": guess, **quantiles})
            )  # fmt: skip
    return pl.concat(frames)


NAIVE = score_rows(backtest(0.6, width=1.6, seed=9), "naive")
CHAMPION = score_rows(backtest(0.2), "champion")


def judge(
    challenger: pl.DataFrame | None, *, champion: bool = True, **more: object
) -> tuple[str, dict[str, GateDecision]]:
    parts = [NAIVE, *([CHAMPION] if champion else []), *([challenger] if challenger is not None else [])]
    verdict = judge_challenger(pl.concat(parts), subject="demand:7", as_of=AS_OF, limits=LIMITS, **more)  # type: ignore[arg-type]
    return verdict.decision, {d.gate_code: d for d in verdict.decisions}


def scores(**kwargs: object) -> pl.DataFrame:
    return score_rows(backtest(**kwargs), "challenger")  # type: ignore[arg-type]


def test_a_better_challenger_is_promoted() -> None:
    decision, gates = judge(scores(noise=0.1))
    assert decision == "promote"
    assert len(gates) == 6 and all(g.is_passed for g in gates.values())


def test_a_first_model_must_beat_seasonal_naive() -> None:
    assert judge(scores(noise=0.1), champion=False)[0] == "promote"
    decision, gates = judge(scores(noise=0.7, seed=3), champion=False)
    assert decision == "reject" and not gates["promote_pinball_vs_naive"].is_passed


def test_a_first_model_must_not_lose_to_what_answers_without_it() -> None:
    fallback = score_rows(backtest(0.25, seed=4), "fallback")
    decision, gates = judge(pl.concat([fallback, scores(noise=0.1)]), champion=False)
    assert decision == "promote" and gates["promote_pinball_vs_fallback"].is_passed
    decision, gates = judge(pl.concat([fallback, scores(noise=0.4, width=1.5)]), champion=False)
    assert decision == "reject" and not gates["promote_pinball_vs_fallback"].is_passed
    assert gates["promote_pinball_vs_naive"].is_passed, "better than last week's sales is not enough"
    assert "promote_pinball_vs_fallback" not in judge(pl.concat([fallback, scores(noise=0.1)]))[1]


def test_a_worse_challenger_is_rejected() -> None:
    decision, gates = judge(scores(noise=0.3))
    assert decision == "reject" and not gates["promote_pinball_vs_champion"].is_passed


def test_bias_is_rejected() -> None:
    decision, gates = judge(scores(noise=0.1, bias=0.15))
    assert decision == "reject" and not gates["promote_bias"].is_passed


@pytest.mark.parametrize("width", [0.5, 1.8])
def test_too_narrow_and_too_wide_are_rejected(width: float) -> None:
    decision, gates = judge(scores(noise=0.05, width=width))
    assert decision == "reject" and not gates["promote_coverage"].is_passed


def test_good_on_average_but_bad_in_one_class_is_rejected() -> None:
    decision, gates = judge(scores(noise=0.11, spoil="erratic"))
    worst = gates["promote_class_worst"]
    assert decision == "reject" and not worst.is_passed
    assert worst.evidence["worst"] == "erratic"


def test_far_too_good_is_leakage_until_proven_otherwise() -> None:
    leaky = backtest(0.1).with_columns(
        demand_qty_ea_mean="actual_ea", **{c: pl.col("actual_ea") for c in QUANTILE_COLUMNS.values()}
    )
    decision, gates = judge(score_rows(leaky, "challenger"))
    assert decision == "reject" and not gates["promote_gain_too_good"].is_passed


def test_cost_is_asked_for_when_required_and_its_upper_bound_decides() -> None:
    good = scores(noise=0.1)
    assert judge(good, require_cost=True)[0] == "reject"
    assert judge(good, require_cost=True, cost=Evidence(-0.01, 26, AS_OF))[0] == "promote"
    assert judge(good, require_cost=True, cost=Evidence(0.002, 26, AS_OF))[0] == "reject"


def test_a_failed_precondition_rejects() -> None:
    bad = GateDecision(AS_OF, "data_quality", "checks", False, "failed blocking checks", 1.0, 0.0, "failed")
    assert judge(scores(noise=0.1), preconditions=[bad])[0] == "reject"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f.clear(),
        lambda f: f.with_columns(pl.lit(math.nan).alias("pinball_sum_ea")),
        lambda f: f.with_columns(
            pl.when(pl.int_range(pl.len()) == 0).then(math.nan).otherwise("pinball_sum_ea").alias("pinball_sum_ea")
        ),
        lambda f: f.with_columns(pl.lit(None, dtype=pl.Float64).alias("error_sum_ea")),
        lambda f: f.with_columns(pl.lit(None, dtype=pl.Int64).alias("closed80_rows")),
        lambda f: f.head(5),
        lambda f: f.with_columns(pl.col("rows") - 1),
        lambda f: pl.concat([f, f]),
        lambda f: f.with_columns(pl.lit(AS_OF - timedelta(days=400)).alias("newest_date")),
        lambda f: f.with_columns(pl.lit(AS_OF + timedelta(days=4)).alias("newest_date")),
        lambda f: f.with_columns(pl.lit("other").alias("demand_class")),
    ],
)
def test_unfit_evidence_never_promotes(spoil) -> None:  # type: ignore[no-untyped-def]
    decision, gates = judge(spoil(scores(noise=0.1)))
    assert decision == "reject"
    assert any("refused" in g.reason for g in gates.values())


def test_missing_columns_missing_champion_scores_and_limits_refuse() -> None:
    both = pl.concat([NAIVE, CHAMPION, scores(noise=0.1)])
    assert judge_challenger(both.drop("error_sum_ea"), subject="s", as_of=AS_OF, limits=LIMITS).decision == "reject"
    assert judge_challenger(both, subject="s", as_of=AS_OF, limits={}).decision == "reject"
    assert (
        judge_challenger(both.filter(pl.col("role") != "naive"), subject="s", as_of=AS_OF, limits=LIMITS).decision
        == "reject"
    )
    with pytest.raises(BadInputError, match="role"):
        score_rows(backtest(0.1), "winner")
    with pytest.raises(BadInputError, match="actual_ea"):
        score_rows(backtest(0.1).drop("actual_ea"), "challenger")
