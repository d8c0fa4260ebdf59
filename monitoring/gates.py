"""Gates: limits from `thresholds.yaml`, verdicts that fail closed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.gates import Evidence, GateDecision, Limit, judge, verdict_frame

THRESHOLDS_FILE = Path(__file__).with_name("thresholds.yaml")
# Limits that are measured against and not only judged by: without them there is no drift to speak of.
NEEDED = ("drift_psi", "drift_wasserstein", "drift_missing", "drift_night", "promote_lead_time")
SETTINGS = {"drift": ("bins", "discovery_rate"), "retrain": ("nights", "window_nights", "cooldown_days")}
__all__ = [
    "Thresholds",
    "champion_age",
    "data_quality",
    "label_delay",
    "load_thresholds",
    "quality_gates",
    "schema_problem",
    "verdict_frame",
]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All limits of `thresholds.yaml`.

    Attributes:
        gates: limit by gate code.
        drift: settings of the drift engine (`bins`, `discovery_rate`).
        retrain: `nights` of `window_nights`, `cooldown_days`.
    """

    gates: Mapping[str, Limit]
    drift: Mapping[str, float]
    retrain: Mapping[str, int]

    def judge(self, gate_code: str, evidence: Evidence | None, *, subject: str, as_of: date) -> GateDecision:
        """Judge by the limit of that name; a gate nobody set a limit for refuses."""
        limit = self.gates.get(gate_code)
        if limit is None:
            reason = "refused: no limit of this name in monitoring/thresholds.yaml"
            return GateDecision(as_of, gate_code, subject, False, "none", None, None, reason)
        return judge(limit, evidence, subject=subject, as_of=as_of)


@lru_cache(maxsize=8)
def load_thresholds(path: Path = THRESHOLDS_FILE) -> Thresholds:
    """Read and check the thresholds; every one states why, where it was measured and when.

    Raises:
        BadInputError: the file is unreadable or an entry is incomplete.
    """
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadInputError("thresholds cannot be read", where=str(path), todo="restore the file") from error
    if not isinstance(body, dict) or not {"gates", "drift", "retrain"} <= set(body):
        raise BadInputError(
            "thresholds need the parts gates, drift and retrain", where=str(path), todo="restore the file"
        )
    gates = {str(code): _limit(str(code), entry, path) for code, entry in body["gates"].items()}
    absent = [code for code in NEEDED if code not in gates]
    if absent:
        raise BadInputError(
            f"no limit is named {', '.join(absent)}", where=str(path), count=len(absent), todo="restore the entries"
        )
    numbers = {part: _settings(part, body[part], path) for part in SETTINGS}
    return Thresholds(gates, numbers["drift"], {k: int(v) for k, v in numbers["retrain"].items()})


def _settings(part: str, entry: Any, path: Path) -> dict[str, float]:
    """The numbers of a part, every one of them there and above zero."""
    _reasons(part, entry, path)
    wrong = [
        k
        for k in SETTINGS[part]
        if isinstance(entry.get(k), bool) or not isinstance(entry.get(k), int | float) or not 0 < entry[k] < math.inf
    ]
    if wrong:
        raise BadInputError(
            f"{part} needs numbers above zero for {', '.join(wrong)}",
            where=str(path),
            count=len(wrong),
            todo="set them",
        )
    return {k: entry[k] for k in SETTINGS[part]}


def _reasons(code: str, entry: Any, path: Path) -> None:
    if not isinstance(entry, dict):
        raise BadInputError(f"threshold {code} is no mapping", where=str(path), todo="see the entries beside it")
    empty = [k for k in ("why", "measured_on", "dated") if not entry.get(k)]
    if empty:
        raise BadInputError(f"threshold {code} lacks {', '.join(empty)}", where=str(path), todo="say why this value")


def _limit(code: str, entry: Any, path: Path) -> Limit:
    _reasons(code, entry, path)
    try:
        if entry["side"] not in ("at_most", "at_least") or isinstance(entry["value"], bool):
            raise ValueError(entry["side"])
        if not math.isfinite(float(entry["value"])):
            raise ValueError(f"{entry['value']} is no limit")
        if not isinstance(entry["dated"], date):
            raise ValueError(entry["dated"])
        return Limit(
            code, str(entry["metric"]), entry["side"], float(entry["value"]), int(entry["min_rows"]),
            int(entry["max_age_days"]), str(entry["why"]), str(entry["measured_on"]), entry["dated"],
        )  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise BadInputError(
            f"threshold {code} is incomplete or wrong: {error}", where=str(path), todo="see the entries beside it"
        ) from error


def schema_problem(frame: pl.DataFrame, expected: Mapping[str, pl.DataType]) -> str:
    """What is wrong with the columns of this frame, or the empty string."""
    missing = [c for c in expected if c not in frame.columns]
    wrong = [
        f"{c} is {frame.schema[c]}, not {t}" for c, t in expected.items() if c in frame.columns and frame.schema[c] != t
    ]
    parts = ([f"columns missing: {', '.join(missing)}"] if missing else []) + wrong
    return "; ".join(parts)


def label_delay(
    newest_actual: date | None, *, as_of: date, thresholds: Thresholds, subject: str = "actuals"
) -> GateDecision:
    """Are the newest actuals fresh enough to judge forecasts by?"""
    evidence = None if newest_actual is None else Evidence(float((as_of - newest_actual).days), 1, newest_actual)
    return thresholds.judge("label_delay", evidence, subject=subject, as_of=as_of)


NO_CHAMPION = (
    "No demand model is live: the recent average answers, and gates that judge a champion have no evidence. "
    "`aios model history --model demand` says why."
)


def champion_age(trained_on: date | None, *, version: str, as_of: date, thresholds: Thresholds) -> GateDecision:
    """Is the champion young enough? Its age is a gate of its own."""
    evidence = None if trained_on is None else Evidence(float((as_of - trained_on).days), 1, trained_on)
    return thresholds.judge("champion_age", evidence, subject=version, as_of=as_of)


def data_quality(
    failed_checks: Sequence[str] | None, checks: int, *, as_of: date, thresholds: Thresholds
) -> GateDecision:
    """Did every blocking check pass tonight? No check at all is a refusal.

    Args:
        failed_checks: names of the blocking checks that failed; None when they were not run.
        checks: how many were run.
        as_of: business day.
        thresholds: limits.
    """
    if failed_checks is None:
        return thresholds.judge("data_quality", None, subject="blocking checks", as_of=as_of)
    evidence = Evidence(float(len(failed_checks)), checks, as_of, details={"failed": sorted(failed_checks)})
    return thresholds.judge("data_quality", evidence, subject="blocking checks", as_of=as_of)


def quality_gates(
    quality: pl.DataFrame,
    *,
    model_name: str,
    baseline_name: str,
    as_of: date,
    thresholds: Thresholds,
    newest: date | None,
) -> list[GateDecision]:
    """Judge matured forecasts: against the baseline, coverage and bias, over all classes.

    Args:
        quality: rows of `mon_forecast_quality` of one day (`monitoring.quality.forecast_quality`).
        model_name: model judged.
        baseline_name: baseline it must beat.
        as_of: business day.
        thresholds: limits.
        newest: newest actual that the forecasts were judged by; unknown is refused.
    """
    rows = {r["model_name"]: r for r in quality.filter(pl.col("demand_class") == "all").iter_rows(named=True)}
    model, base = rows.get(model_name), rows.get(baseline_name)

    def evidence(value: float | None, row: dict[str, Any] | None) -> Evidence | None:
        if row is None:
            return None
        return Evidence(
            value,
            int(row["rows"]),
            newest,
            details={"model": model_name, "baseline": baseline_name},
        )

    ratio = None
    if model is not None and base is not None and base["pinball_ea"]:
        ratio = model["pinball_ea"] / base["pinball_ea"]
    coverage = model["coverage80_frac"] if model else None
    bias = abs(model["bias_frac"]) if model and model["bias_frac"] is not None else None
    values = {
        "forecast_vs_naive": ratio,
        "forecast_coverage_low": coverage,
        "forecast_coverage_high": coverage,
        "forecast_bias": bias,
    }
    return [thresholds.judge(code, evidence(v, model), subject=model_name, as_of=as_of) for code, v in values.items()]
