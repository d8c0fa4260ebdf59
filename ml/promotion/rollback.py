"""Watch the canary's business KPIs against its control group, and go back within one tick when service breaks.

A KPI fails when the canary is worse than control by more than its limit and by more than chance: the difference to what
already lay between both groups before the rollout, over its standard error (ratio estimator over item × site).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS, MON_FINDINGS
from aios_assets.contracts.gates import Evidence, GateDecision, Limit, judge
from ml.promotion.deployments import rollback_rows

# 2.33 rolled back 2 of 300 quiet runs on expedite cost, whose units are skewed; 3.3 none, and a drop of six points in fill rate
# lies at 6.5 or more (bench_gates, seeds of tuning). Three KPIs are looked at for some twenty nights of a rollout.
CHANCE_Z = 3.3
KPIS: dict[str, tuple[str, str, float]] = {
    # gate: numerator, denominator, sign that makes "worse" positive
    "kpi_fill_rate": ("sales_qty_ea", "wanted_qty_ea", -1.0),
    "kpi_stockout": ("stockout_days", "days", 1.0),
    "kpi_expedite_cost": ("expedite_cost_usd", "sales_qty_ea", 1.0),
}


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick of the sensor decided.

    Attributes:
        rolled_back: whether the alias moves.
        decisions: one verdict per KPI.
        deployments: rows to add; the alias follows them.
        incident: row of `mon_findings`, or none.
        canary_frozen: whether the canary must not grow.
    """

    rolled_back: bool
    decisions: tuple[GateDecision, ...]
    deployments: pl.DataFrame
    incident: pl.DataFrame
    canary_frozen: bool


def ratio_difference(units: pl.DataFrame, numerator: str, denominator: str) -> tuple[float, float, int] | None:
    """Canary's ratio less control's, its standard error, and the units; None when a group is empty.

    Args:
        units: one row per item × site: `is_canary` and the two sums.
        numerator: column summed above.
        denominator: column summed below.
    """
    out = []
    for side in (True, False):
        part = units.filter(pl.col("is_canary") == side)
        below = float(part[denominator].sum()) if part.height else 0.0
        if part.height < 2 or below <= 0:
            return None
        ratio = float(part[numerator].sum()) / below
        rest = part.select(((pl.col(numerator) - ratio * pl.col(denominator)) ** 2).sum()).item()
        out.append((ratio, math.sqrt(float(rest) * part.height / (part.height - 1)) / below))
    (canary, e1), (control, e2) = out
    return canary - control, math.hypot(e1, e2), units.height


def judge_kpis(
    during: pl.DataFrame,
    before: pl.DataFrame | None,
    *,
    subject: str,
    as_of: date,
    newest: date | None,
    limits: Mapping[str, Limit],
) -> tuple[GateDecision, ...]:
    """One verdict per KPI; evidence that is missing or thin fails, and freezes the canary.

    Args:
        during: sums per item × site since the rollout step began, with `is_canary` and the columns of `KPIS`.
        before: the same over a stretch before the rollout, for what already lay between the groups; None: nothing known.
        subject: rollout judged.
        as_of: day.
        newest: newest day in `during`.
        limits: limits by gate code.
    """
    out = []
    for gate, (above, below, sign) in KPIS.items():
        limit = limits.get(gate)
        if limit is None:
            out.append(
                GateDecision(as_of, gate, subject, False, "none", None, None, "refused: no limit of this name is set")
            )
            continue
        out.append(
            judge(limit, _evidence(during, before, above, below, sign, gate, newest), subject=subject, as_of=as_of)
        )
    return tuple(out)


def _evidence(
    during: pl.DataFrame,
    before: pl.DataFrame | None,
    above: str,
    below: str,
    sign: float,
    gate: str,
    newest: date | None,
) -> Evidence | None:
    lacking = [c for c in (above, below, "is_canary") if c not in during.columns]
    if lacking:
        return Evidence(None, during.height, newest, problem=f"columns missing: {', '.join(lacking)}")
    now = ratio_difference(during, above, below)
    if now is None:
        return Evidence(None, during.height, newest, problem="canary or control is empty")
    gap, error = sign * now[0], now[1]
    if before is not None and {above, below, "is_canary"} <= set(before.columns):
        then = ratio_difference(before, above, below)
        if then is not None:
            gap, error = gap - sign * then[0], math.hypot(error, then[1])
    if gate == "kpi_expedite_cost":
        control = during.filter(~pl.col("is_canary"))
        level = float(control[above].sum()) / max(float(control[below].sum()), 1e-12)
        gap, error = (gap / level, error / level) if level > 0 else (gap, error)
    sure = gap if gap > CHANCE_Z * error else min(gap, 0.0)
    return Evidence(
        sure,
        during.height,
        newest,
        details={"gap": gap, "standard_error": error, "z": gap / error if error > 0 else None},
    )


def tick(
    deployments: pl.DataFrame,
    decisions: tuple[GateDecision, ...],
    *,
    model_name: str,
    instant: datetime,
) -> Tick:
    """Turn the KPI verdicts into what changes now.

    A measured failure rolls back: the canary ends, or, without a canary, the champion goes back to the last good version;
    an incident is opened. Evidence that could not be judged freezes the canary and changes nothing that is live.
    """
    failed = [d for d in decisions if not d.is_passed and not d.reason.startswith("refused")]
    refused = [d for d in decisions if not d.is_passed and d.reason.startswith("refused")]
    if not failed:
        return Tick(False, decisions, MON_DEPLOYMENTS.empty(), MON_FINDINGS.empty(), bool(refused))
    reason = "; ".join(f"{d.gate_code} {d.reason}" for d in failed)
    rows = rollback_rows(deployments, model_name=model_name, reason=reason, instant=instant)
    return Tick(True, decisions, rows, incidents_of(rows), True)


def incidents_of(deployments: pl.DataFrame) -> pl.DataFrame:
    """One row of `mon_findings` per rollback recorded: an incident can always be derived from the record again.

    Args:
        deployments: rows of `mon_deployments`; those whose verdict is no rollback are passed over.
    """
    rows = [
        {
            "finding_id": hashlib.sha256(f"rollback|{r['deployment_id']}".encode()).hexdigest()[:16],
            "finding_date": r["valid_from_utc"].date(), "kind_code": "incident_rollback", "item_id": None, "site_id": None,
            "subject": f"{r['model_name']} {r['alias']}", "value": None, "expected_value": None, "money_at_risk_usd": None,
            "reason": f"rolled back: {r['reason']}", "document_id": None, "available_at_utc": r["valid_from_utc"],
        }
        for r in deployments.filter(pl.col("verdict") == "rollback").sort("deployment_id").iter_rows(named=True)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=MON_FINDINGS.schema)
