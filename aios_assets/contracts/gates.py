"""What a gate is: a limit with its reason, a measurement with its evidence, and a decision that fails closed.

Both model promotion and monitoring decide with these types, so that every verdict in `mon_gate_verdicts` reads alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import polars as pl

from aios_assets.contracts.decision_tables import MON_GATE_VERDICTS
from aios_assets.contracts.errors import ContractError

Side = Literal["at_most", "at_least"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One threshold.

    Attributes:
        gate_code: gate it belongs to.
        metric: what is measured.
        side: `at_most` passes values up to the limit, `at_least` passes values from it.
        value: the limit, in the unit of the metric.
        min_rows: fewest rows of evidence; fewer is refused.
        max_age_days: oldest evidence in days; older is refused.
        why: reason for this value.
        measured_on: data it was measured on.
        dated: day it was set.
    """

    gate_code: str
    metric: str
    side: Side
    value: float
    min_rows: int
    max_age_days: int
    why: str
    measured_on: str
    dated: date


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement handed to a gate.

    Attributes:
        value: measured; None or NaN when it could not be measured.
        rows: rows it was measured on; None when nobody counted.
        newest: newest day in it; None when unknown.
        problem: why the evidence does not fit (schema, window, version), or empty.
        details: data versions, windows, segments; stored with the verdict.
    """

    value: float | None
    rows: int | None
    newest: date | None
    problem: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateDecision:
    """One verdict of one gate on one subject."""

    verdict_date: date
    gate_code: str
    subject: str
    is_passed: bool
    metric: str
    value: float | None
    threshold: float | None
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def refusal(limit: Limit, evidence: Evidence | None, as_of: date) -> str:
    """Why this evidence cannot be judged, or the empty string.

    Missing, mismatched, NaN, infinite, too few rows, undated, from the future and stale evidence is refused.
    """
    if evidence is None:
        return "no evidence was given"
    if evidence.problem:
        return f"evidence does not fit: {evidence.problem}"
    if evidence.value is None:
        return "the value is missing"
    if not math.isfinite(evidence.value):
        return f"the value is {evidence.value}, not a number to judge"
    if evidence.rows is None:
        return "the number of rows is not stated"
    if evidence.rows < limit.min_rows:
        return f"only {evidence.rows:,} rows of evidence, {limit.min_rows:,} are needed"
    if evidence.newest is None:
        return "the newest day of the evidence is not stated"
    age = (as_of - evidence.newest).days
    if age < 0:
        return f"the evidence is dated {evidence.newest}, after the day judged"
    if age > limit.max_age_days:
        return f"the newest evidence is {age} days old, at most {limit.max_age_days} are allowed"
    return ""


def judge(limit: Limit, evidence: Evidence | None, *, subject: str, as_of: date) -> GateDecision:
    """Judge one measurement against one limit; anything that cannot be judged is refused.

    Args:
        limit: the threshold.
        evidence: the measurement, or None when there is none.
        subject: model version, table or segment judged.
        as_of: business day of the verdict.

    Returns:
        A decision that passes only on enough, fresh, finite, fitting evidence on the right side.
    """
    why_not = refusal(limit, evidence, as_of)
    details = dict(evidence.details) if evidence is not None else {}
    if evidence is not None:
        details |= {"rows": evidence.rows, "newest": str(evidence.newest) if evidence.newest else None}
    if why_not:
        value = evidence.value if evidence is not None and evidence.value is not None else None
        value = value if value is not None and math.isfinite(value) else None
        reason = f"refused: {why_not}"
        return GateDecision(as_of, limit.gate_code, subject, False, limit.metric, value, limit.value, reason, details)
    assert evidence is not None and evidence.value is not None  # refusal() said so
    value = float(evidence.value)
    passed = value <= limit.value if limit.side == "at_most" else value >= limit.value
    words = "at most" if limit.side == "at_most" else "at least"
    verdict = "passed" if passed else "failed"
    reason = f"{verdict}: {limit.metric} is {value:.4g}, {words} {limit.value:.4g} is allowed ({limit.why})"
    return GateDecision(as_of, limit.gate_code, subject, passed, limit.metric, value, limit.value, reason, details)


def verdict_frame(decisions: Iterable[GateDecision], available_at_utc: datetime) -> pl.DataFrame:
    """Rows of `mon_gate_verdicts`, sorted by key.

    Raises:
        ContractError: two decisions share gate and subject on one day.
    """
    rows = [
        {
            "verdict_date": d.verdict_date,
            "gate_code": d.gate_code,
            "subject": d.subject,
            "is_passed": d.is_passed,
            "metric": d.metric,
            "value": d.value,
            "threshold": d.threshold,
            "reason": d.reason,
            "evidence_json": json.dumps(d.evidence, sort_keys=True, default=str),
            "available_at_utc": available_at_utc,
        }
        for d in decisions
    ]
    frame = pl.DataFrame(rows, schema=MON_GATE_VERDICTS.schema).sort(MON_GATE_VERDICTS.key)
    doubled = frame.height - frame.select(MON_GATE_VERDICTS.key).n_unique() if frame.height else 0
    if doubled:
        raise ContractError("two verdicts share day, gate and subject", where=MON_GATE_VERDICTS.name, count=doubled)
    return frame
