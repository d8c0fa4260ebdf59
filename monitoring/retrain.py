"""When drift asks for a retraining: N of M nights and the newest, latched, with a cooldown, on good data only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from aios_assets.contracts.decision_tables import MON_RETRAIN_REQUESTS
from monitoring.gates import Thresholds


@dataclass(frozen=True, slots=True)
class RetrainDecision:
    """Whether a retraining is asked for tonight, and why or why not."""

    requested: bool
    reason: str
    requests: pl.DataFrame


def night_alarms(drift: pl.DataFrame, thresholds: Thresholds) -> pl.DataFrame:
    """One row per night: columns that drifted and whether that is an alarm.

    Args:
        drift: rows of `mon_drift` over several nights.
        thresholds: the limit `drift_night`.

    Returns:
        `drift_date, drifted_columns, names, is_alarm`, oldest first.
    """
    limit = thresholds.gates["drift_night"].value
    drifted = pl.col("is_drifted")
    name = pl.col("subject") + "." + pl.col("column_name")
    return (
        drift.group_by("drift_date")
        .agg(
            name.filter(drifted).n_unique().alias("drifted_columns"),
            name.filter(drifted).unique().sort().alias("names"),
        )
        .with_columns((pl.col("drifted_columns") > limit).alias("is_alarm"))
        .sort("drift_date")
    )


def decide_retrain(
    drift: pl.DataFrame,
    requests: pl.DataFrame,
    *,
    as_of: date,
    model_name: str,
    data_quality_ok: bool | None,
    available_at_utc: datetime,
    thresholds: Thresholds,
    extra_alarms: Mapping[date, str] | None = None,
) -> RetrainDecision:
    """Ask for at most one retraining.

    Args:
        drift: rows of `mon_drift` of the last nights, tonight's included.
        requests: rows of `mon_retrain_requests` so far.
        as_of: tonight.
        model_name: model to retrain.
        data_quality_ok: whether every blocking check passed tonight; None when nobody looked, which counts as no.
        available_at_utc: cut-off of tonight.
        thresholds: `retrain.nights` of `retrain.window_nights`, `retrain.cooldown_days`.
        extra_alarms: nights that alarm for another reason (a failed quality gate), with that reason.

    Returns:
        The decision; its frame holds no row or one.
    """
    none = MON_RETRAIN_REQUESTS.empty()
    alarms = night_alarms(drift.filter(pl.col("drift_date") <= as_of), thresholds)
    by_night: dict[date, list[str]] = {
        r["drift_date"]: list(r["names"]) for r in alarms.iter_rows(named=True) if r["is_alarm"]
    }
    for night, why in (extra_alarms or {}).items():
        if night <= as_of:
            by_night.setdefault(night, []).append(why)
    known = set(alarms["drift_date"].to_list()) | set(extra_alarms or {})
    why_not = _why_not(
        by_night, known, requests.filter(pl.col("model_name") == model_name), as_of, data_quality_ok, thresholds
    )
    if why_not:
        return RetrainDecision(False, why_not, none)
    window = int(thresholds.retrain["window_nights"])
    first = as_of - timedelta(days=window - 1)
    nights = {n.isoformat(): names for n, names in sorted(by_night.items()) if n >= first}
    reason = f"drift held for {len(nights)} of {window} nights and the newest: {', '.join(sorted({n for v in nights.values() for n in v})[:5])}"
    digest = hashlib.sha256(f"{model_name}|{as_of.isoformat()}|{reason}".encode()).hexdigest()[:16]
    row = {
        "request_id": digest, "request_date": as_of, "model_name": model_name, "reason": reason,
        "evidence_json": json.dumps({"nights": nights}, sort_keys=True), "available_at_utc": available_at_utc,
    }  # fmt: skip
    return RetrainDecision(True, reason, pl.DataFrame([row], schema=MON_RETRAIN_REQUESTS.schema))


def _why_not(
    by_night: dict[date, list[str]],
    known: set[date],
    requests: pl.DataFrame,
    as_of: date,
    quality_ok: bool | None,
    thresholds: Thresholds,
) -> str:
    """The first reason against a request, or the empty string."""
    needed, window = int(thresholds.retrain["nights"]), int(thresholds.retrain["window_nights"])
    cooldown = int(thresholds.retrain["cooldown_days"])
    if as_of not in known:
        return "drift was not measured tonight"
    if as_of not in by_night:
        return "no drift tonight"
    if requests.filter(pl.col("request_date") == as_of).height:
        return "already asked for tonight"
    if quality_ok is not True:
        return "data quality is not good tonight: drift on broken data is not drift"
    recent = [n for n in by_night if as_of - timedelta(days=window) < n <= as_of]
    if len(recent) < needed:
        return f"drift on {len(recent)} of the last {window} nights, {needed} are needed"
    last = requests.filter(pl.col("request_date") < as_of)["request_date"].max()
    if isinstance(last, date):
        if (as_of - last).days < cooldown:
            return f"asked for on {last}, cooldown of {cooldown} days"
        quiet = [n for n in known if n > last and n not in by_night]
        if not quiet:
            return f"asked for on {last}, and this drift has not been quiet since"
    return ""
