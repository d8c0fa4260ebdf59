"""Judge a challenger on rolling origins: against the champion, against seasonal naive, in every demand class, calibrated.

The first model has no champion to beat: it must clearly beat seasonal naive, and what would answer without it (the fallback), in
every class no worse than its limit.
Evidence that is missing, thin, stale or not finite refuses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.gates import Evidence, GateDecision, Limit, judge

QUANTILE_COLUMNS: dict[float, str] = {q: f"demand_qty_ea_p{round(q * 100):02d}" for q in QUANTILES}
ROLES = ("challenger", "champion", "fallback", "naive")
AGAINST = {
    "champion": "the champion",
    "fallback": "what answers without a model (there is no champion yet)",
    "naive": "seasonal naive (there is no champion yet)",
}
SCORES_SCHEMA = pl.Schema(
    {
        "role": pl.String(), "demand_class": pl.String(), "origin_date": pl.Date(), "newest_date": pl.Date(), "rows": pl.Int64(),
        "pinball_sum_ea": pl.Float64(), "error_sum_ea": pl.Float64(), "absolute_sum_ea": pl.Float64(),
        "demand_sum_ea": pl.Float64(), "closed80_rows": pl.Int64(), "open80_rows": pl.Int64(),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PromotionVerdict:
    """What was decided about a challenger.

    Attributes:
        decision: promote or reject.
        reason: plain words; of a rejection every failed gate.
        decisions: one verdict per gate, with metric, value, threshold and why.
    """

    decision: Literal["promote", "reject"]
    reason: str
    decisions: tuple[GateDecision, ...]


def score_rows(forecasts: pl.DataFrame, role: str) -> pl.DataFrame:
    """Sum up backtest rows: one row per demand class and origin.

    Args:
        forecasts: `demand_class, origin_date, target_date, actual_ea, demand_qty_ea_mean` and the seven quantiles, one row
            per item, site, origin and horizon.
        role: `challenger`, `champion`, `fallback` or `naive`.

    Returns:
        Frame of `SCORES_SCHEMA`. A calibrated forecast of discrete demand covers at least 80 % with both ends of p10 to
        p90 counted in (`closed80_rows`) and at most 80 % with both ends left out (`open80_rows`).

    Raises:
        BadInputError: unknown role, missing column.
    """
    needed = [
        "demand_class",
        "origin_date",
        "target_date",
        "actual_ea",
        "demand_qty_ea_mean",
        *QUANTILE_COLUMNS.values(),
    ]
    missing = [c for c in needed if c not in forecasts.columns]
    if role not in ROLES or missing:
        what = f"backtest rows lack {', '.join(missing)}" if missing else f"role {role} is not known"
        raise BadInputError(what, where="promotion evidence", todo=f"roles are {', '.join(ROLES)}")
    y, low, high = pl.col("actual_ea"), pl.col("demand_qty_ea_p10"), pl.col("demand_qty_ea_p90")
    loss = [pl.max_horizontal(q * (y - pl.col(c)), (q - 1) * (y - pl.col(c))) for q, c in QUANTILE_COLUMNS.items()]
    whole = bool((forecasts["actual_ea"].fill_null(0.0) % 1 == 0).all())
    closed = (y >= low.floor()) & (y <= high.ceil()) if whole else (y >= low) & (y <= high)
    error = pl.col("demand_qty_ea_mean") - y
    return (
        forecasts.group_by("demand_class", "origin_date")
        .agg(
            pl.col("target_date").max().alias("newest_date"),
            pl.len().cast(pl.Int64).alias("rows"),
            pl.mean_horizontal(loss).sum().alias("pinball_sum_ea"),
            error.sum().alias("error_sum_ea"),
            error.abs().sum().alias("absolute_sum_ea"),
            y.sum().alias("demand_sum_ea"),
            closed.sum().cast(pl.Int64).alias("closed80_rows"),
            ((y > low) & (y < high)).sum().cast(pl.Int64).alias("open80_rows"),
        )
        .with_columns(pl.lit(role).alias("role"))
        .select(SCORES_SCHEMA.names())
        .sort("demand_class", "origin_date")
    )


def judge_challenger(
    scores: pl.DataFrame,
    *,
    subject: str,
    as_of: date,
    limits: Mapping[str, Limit],
    cost: Evidence | None = None,
    require_cost: bool = False,
    preconditions: Sequence[GateDecision] = (),
    details: Mapping[str, Any] | None = None,
) -> PromotionVerdict:
    """Decide on a challenger from its rolling-origin scores.

    Args:
        scores: rows of `score_rows` for challenger, fallback, naive and, when one is live, champion; same classes and origins.
        subject: model version judged, `name:version`.
        as_of: day of the verdict.
        limits: limits by gate code (`monitoring/thresholds.yaml`, handed over as values).
        cost: upper bound of the relative cost difference to the champion, from simulation.
        require_cost: refuse without `cost` when there is a champion.
        preconditions: verdicts that must have passed (data quality, integrity, drift of the evidence).
        details: data versions and the like, stored with every verdict.

    Returns:
        The verdict with one decision per gate.
    """
    found = _Tally(scores, details or {})
    reference = next((role for role in ("champion", "fallback") if found.has(role)), "naive")
    gates: list[tuple[str, Evidence | None]] = [
        ("promote_pinball_vs_naive", found.ratio("naive")),
        ("promote_class_worst", found.worst_class(reference, limits)),
        ("promote_coverage", found.coverage(limits)),
        ("promote_bias", found.bias()),
    ]
    if reference == "fallback":
        gates.append(("promote_pinball_vs_fallback", found.ratio("fallback")))
    if reference == "champion":
        gates += [
            ("promote_pinball_vs_champion", found.ratio("champion")),
            ("promote_gain_too_good", found.ratio("champion")),
        ]
        if require_cost or cost is not None:
            gates.append(("promote_cost", cost))
    decisions = [_judge(limits, code, evidence, subject, as_of) for code, evidence in gates]
    everything = (*preconditions, *decisions)
    failed = [d for d in everything if not d.is_passed]
    if failed:
        return PromotionVerdict("reject", "; ".join(f"{d.gate_code} {d.reason}" for d in failed), tuple(everything))
    ratio = found.ratio(reference)
    gain = 100.0 * (1.0 - ratio.value) if ratio is not None and ratio.value is not None else 0.0
    against = AGAINST[reference]
    reason = f"pinball loss {gain:.1f} % below {against}, calibrated, no demand class worse than its limit"
    return PromotionVerdict("promote", reason, tuple(everything))


def _judge(
    limits: Mapping[str, Limit], code: str, evidence: Evidence | None, subject: str, as_of: date
) -> GateDecision:
    limit = limits.get(code)
    if limit is None:
        return GateDecision(as_of, code, subject, False, "none", None, None, "refused: no limit of this name is set")
    return judge(limit, evidence, subject=subject, as_of=as_of)


class _Tally:
    """Scores of the roles on the classes and origins that all of them have."""

    def __init__(self, scores: pl.DataFrame, details: Mapping[str, Any]) -> None:
        missing = [c for c in SCORES_SCHEMA if c not in scores.columns]
        self.problem = f"scores lack {', '.join(missing)}" if missing else ""
        self.details = details
        self.frames: dict[str, pl.DataFrame] = {}
        if missing:
            return
        keys = ["demand_class", "origin_date"]
        parts = {r: scores.filter(pl.col("role") == r) for r in ROLES}
        self.frames = {r: f for r, f in parts.items() if f.height}
        first = self.frames.get("challenger")
        for role, frame in self.frames.items():
            if first is None or frame.select(keys).n_unique() != frame.height:
                self.problem = (
                    "no challenger scores" if first is None else f"{role} is scored twice on a class and origin"
                )
            elif not frame.select(*keys, "rows").sort(*keys).equals(first.select(*keys, "rows").sort(*keys)):
                self.problem = f"{role} was not scored on the same classes, origins and rows as the challenger"

    def has(self, role: str) -> bool:
        return role in self.frames

    def evidence(self, value: float | None, rows: int, extra: Mapping[str, Any] | None = None) -> Evidence | None:
        """Evidence with rows and newest day of the challenger's scores."""
        mine = self.frames.get("challenger")
        if mine is None and not self.problem:
            return None
        newest = mine["newest_date"].max() if mine is not None else None
        return Evidence(
            value, rows, newest if isinstance(newest, date) else None, self.problem, {**self.details, **(extra or {})}
        )

    def total(self, role: str, column: str, demand_class: str | None = None) -> float:
        frame = self.frames[role]
        if demand_class is not None:
            frame = frame.filter(pl.col("demand_class") == demand_class)
        # a NaN anywhere must reach the gate, so nulls count as NaN
        return float(frame[column].cast(pl.Float64).fill_null(math.nan).sum())

    def ratio(self, role: str) -> Evidence | None:
        """Pinball loss of the challenger over that of the role."""
        if self.problem or role not in self.frames or "challenger" not in self.frames:
            return self.evidence(None, 0) if self.problem else None
        theirs = self.total(role, "pinball_sum_ea")
        value = self.total("challenger", "pinball_sum_ea") / theirs if theirs > 0 else None
        return self.evidence(value, int(self.total("challenger", "rows")), {"against": role})

    def classes(self) -> list[str]:
        return sorted(self.frames["challenger"]["demand_class"].unique().to_list())

    def worst_class(self, role: str, limits: Mapping[str, Limit]) -> Evidence | None:
        """Worst pinball ratio of any class; classes with too few rows are named and left to the total."""
        if self.problem or role not in self.frames or "challenger" not in self.frames:
            return self.evidence(None, 0) if self.problem else None
        need = limits["promote_class_worst"].min_rows if "promote_class_worst" in limits else 0
        ratios: dict[str, float] = {}
        thin: list[str] = []
        rows = 0
        for name in self.classes():
            if self.total("challenger", "rows", name) < need:
                thin.append(name)
                continue
            theirs, mine = self.total(role, "pinball_sum_ea", name), self.total("challenger", "pinball_sum_ea", name)
            ratios[name] = mine / theirs if theirs > 0 else (1.0 if mine == 0 else math.inf)
            rows += int(self.total("challenger", "rows", name))
        worst = _worst(ratios)
        extra = {"against": role, "ratio_by_class": ratios, "too_few_rows": thin, "worst": worst}
        return self.evidence(ratios[worst] if worst else None, rows, extra)

    def coverage(self, limits: Mapping[str, Limit]) -> Evidence | None:
        """How far p10 to p90 of the worst class lies outside what a calibrated forecast can cover."""
        if self.problem or "challenger" not in self.frames:
            return self.evidence(None, 0) if self.problem else None
        need = limits["promote_coverage"].min_rows if "promote_coverage" in limits else 0
        off: dict[str, float] = {}
        rows = 0
        for name in self.classes():
            n = self.total("challenger", "rows", name)
            if n < need:
                continue
            closed, opened = (
                self.total("challenger", "closed80_rows", name) / n,
                self.total("challenger", "open80_rows", name) / n,
            )
            off[name] = max(0.8 - closed, opened - 0.8, 0.0) if math.isfinite(closed + opened) else math.nan
            rows += int(n)
        worst = _worst(off)
        return self.evidence(off[worst] if worst else None, rows, {"outside_by_class": off, "worst": worst})

    def bias(self) -> Evidence | None:
        """Absolute sum of errors over demand."""
        if self.problem or "challenger" not in self.frames:
            return self.evidence(None, 0) if self.problem else None
        demand = self.total("challenger", "demand_sum_ea")
        value = (
            abs(self.total("challenger", "error_sum_ea")) / demand
            if demand > 0
            else (math.nan if math.isnan(demand) else None)
        )
        return self.evidence(value, int(self.total("challenger", "rows")))


def _worst(values: Mapping[str, float]) -> str | None:
    """Name of the largest value; a NaN is worse than any number."""
    return max(values, key=lambda k: (math.isnan(values[k]), values[k]), default=None)
