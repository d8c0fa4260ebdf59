"""The ladder of evidence: quality → cost → shadow nights → canary 1, 5, 25 % → full. For models and for policies alike.

Nothing skips a rung, nothing climbs on missing evidence, and a failed rung ends the climb. Quality and cost are judged once: what
cannot be judged is rejected. On the later rungs evidence that cannot be judged yet freezes the climb, and what is measured and
fails ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import polars as pl

from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS
from aios_assets.contracts.gates import Evidence, GateDecision
from ml.promotion.canary import STEPS
from ml.promotion.deployments import champion_at, deployment_row, live_at

Rung = Literal["quality", "cost", "shadow", "canary", "full", "rejected"]
SHADOW_NIGHTS = 3
CANARY_NIGHTS = 7
MIN_CANARY_UNITS = 10
REFUSED = "refused: "
RUNG_OF_GATE: dict[str, Rung] = {
    "promote_pinball_vs_naive": "quality", "promote_pinball_vs_champion": "quality", "promote_gain_too_good": "quality",
    "promote_pinball_vs_fallback": "quality",
    "promote_class_worst": "quality", "promote_coverage": "quality", "promote_bias": "quality",
    "promote_lead_time": "quality", "promote_cost": "cost", "fairness_site_size": "cost", "fairness_supplier_size": "cost",
    "shadow_divergence": "shadow", "supplier_concentration": "shadow",
    "kpi_fill_rate": "canary", "kpi_stockout": "canary", "kpi_expedite_cost": "canary",
}  # fmt: skip
"""The rung that a gate's verdict belongs to."""


@dataclass(frozen=True, slots=True)
class Climb:
    """Where a challenger stands.

    Attributes:
        rung: the rung it is on.
        share: share of item × site it serves.
        reason: why it stays, climbs or ends.
        deployments: rows to add.
    """

    rung: Rung
    share: float
    reason: str
    deployments: pl.DataFrame


def shadow_divergence(champion: pl.DataFrame, shadow: pl.DataFrame, newest: date | None) -> Evidence:
    """How far the shadow's plans lie from the champion's: relative difference of planned money, over nights.

    Args:
        champion: `as_of_date, item_id, site_id, order_cost_usd` of the plans that were executed.
        shadow: the same of the plans that were written and never executed.
        newest: newest night.
    """
    keys = ["as_of_date", "item_id", "site_id"]
    nights = sorted(set(champion["as_of_date"].to_list()) & set(shadow["as_of_date"].to_list()))
    if not nights:
        return Evidence(None, 0, newest, problem="no night has both plans")
    left, right = (
        f.filter(pl.col("as_of_date").is_in(nights)).group_by(keys).agg(pl.col("order_cost_usd").sum())
        for f in (champion, shadow)
    )
    both = left.join(right, on=keys, how="full", coalesce=True, suffix="_shadow").fill_null(0.0)
    base = float(both["order_cost_usd"].sum())
    apart = float((both["order_cost_usd"] - both["order_cost_usd_shadow"]).abs().sum())
    value = apart / base if base > 0 else (0.0 if apart == 0 else None)
    return Evidence(
        value, len(nights), newest, details={"nights": len(nights), "champion_usd": base, "lines": both.height}
    )


def steps_for(units: int) -> tuple[float, ...]:
    """The canary's shares in a network of so many item × site: a share of fewer than `MIN_CANARY_UNITS` says nothing.

    >>> steps_for(30_000)
    (0.01, 0.05, 0.25, 1.0)
    >>> steps_for(480)
    (0.05, 0.25, 1.0)
    """
    return tuple(s for s in STEPS if s >= STEPS[-2] or s * units >= MIN_CANARY_UNITS)


def climb(
    deployments: pl.DataFrame,
    *,
    model_name: str,
    model_version: str,
    model_digest: str,
    verdicts: Sequence[GateDecision],
    nights_on_rung: int,
    instant: datetime,
    steps: Sequence[float] = STEPS,
) -> Climb:
    """Move a challenger one rung, or keep it, or end the climb.

    Args:
        deployments: rows so far.
        model_name: model or policy.
        model_version: challenger.
        model_digest: SHA-256 of its artefact.
        verdicts: tonight's verdicts on it, those of the rung it is on; none at all keeps it where it is.
        nights_on_rung: full nights it has spent on its rung.
        instant: when the change takes hold.
        steps: shares of the canary, growing, 1 last; see `steps_for`.
    """
    share = _share(deployments, instant, model_name, model_version)
    rung = _rung(deployments, instant, model_name, model_version, share)

    def row(alias: str, part: float, verdict: Literal["promote", "reject", "first"], reason: str) -> pl.DataFrame:
        return deployment_row(
            model_name=model_name, model_version=model_version, model_digest=model_digest, alias=alias, share_frac=part,
            valid_from_utc=instant, verdict=verdict, reason=reason,
        )  # fmt: skip

    if rung == "full":
        return Climb("full", 1.0, "it is champion", MON_DEPLOYMENTS.empty())
    failed = [d for d in verdicts if not d.is_passed]
    if failed and rung in ("shadow", "canary") and all(d.reason.startswith(REFUSED) for d in failed):
        reason = "frozen: " + "; ".join(f"{d.gate_code} {d.reason}" for d in failed)
        return Climb(rung, share, reason, MON_DEPLOYMENTS.empty())
    if failed:
        reason = "; ".join(f"{d.gate_code} {d.reason}" for d in failed)
        # an alias with share zero is taken away; what is live stays the champion
        off = [
            row(a, 0.0, "promote", reason)
            for a in ("shadow", "canary")
            if _holds(deployments, instant, model_name, model_version, a)
        ]
        return Climb("rejected", 0.0, reason, pl.concat([*off, row("challenger", 0.0, "reject", reason)]))
    if not verdicts:
        return Climb(rung, share, "no evidence tonight: it stays where it is", MON_DEPLOYMENTS.empty())
    if rung == "quality":
        if champion_at(deployments, instant, model_name) is None:
            return Climb(
                "full",
                1.0,
                "the first model: there is nothing to compare with",
                row("champion", 1.0, "first", verdicts[0].reason),
            )
        codes = {d.gate_code for d in verdicts}
        if "promote_cost" not in codes:
            return Climb(
                "cost", 0.0, "quality passed; the simulated cost is still to be shown", MON_DEPLOYMENTS.empty()
            )
        return Climb(
            "shadow",
            0.0,
            "quality and cost passed",
            row("shadow", 1.0, "promote", "quality and cost passed: shadow nights begin"),
        )
    needed = SHADOW_NIGHTS if rung == "shadow" else CANARY_NIGHTS
    if nights_on_rung < needed:
        return Climb(rung, share, f"night {nights_on_rung} of {needed} on this rung", MON_DEPLOYMENTS.empty())
    following = next(s for s in steps if s > share)
    if following < 1.0:
        reason = f"{needed} nights passed on the rung before: canary at {following:.0%}"
        off = [row("shadow", 0.0, "promote", "shadow nights are over")] if rung == "shadow" else []
        return Climb("canary", following, reason, pl.concat([*off, row("canary", following, "promote", reason)]))
    reason = f"canary at {share:.0%} held for {needed} nights: full"
    return Climb(
        "full", 1.0, reason, pl.concat([row("canary", 0.0, "promote", reason), row("champion", 1.0, "promote", reason)])
    )


def one_into_shadow(
    passed: Mapping[str, Sequence[GateDecision]],
) -> tuple[str, dict[str, str]]:
    """Which of several versions that passed quality and cost on one night begins its shadow nights, and why the others do not.

    One challenger climbs at a time. Of several the one whose cost trial saved most goes on: all were played on the same weeks,
    demand and lead times against the same champion. On equal savings the surer one, then the older version.

    Args:
        passed: verdicts by version; each holds a passed `promote_cost` with the relative `difference` in its evidence.

    Returns:
        The version that goes on, and the reason of refusal of every other version.
    """

    def rank(version: str) -> tuple[float, float, int, str]:
        cost = next(d for d in passed[version] if d.gate_code == "promote_cost")
        bound = cost.value if cost.value is not None else float("inf")
        difference = cost.evidence.get("difference", bound)
        return float(difference), bound, len(version), version

    first, *others = sorted(passed, key=rank)
    saved = -rank(first)[0]
    return first, {
        version: f"quality and cost passed (it saved {-rank(version)[0]:.2%} in its trial), but version {first} saved {saved:.2%} "
        "on the same weeks the same night, and one version climbs at a time; `aios model promote` can still make it champion"
        for version in others
    }


def supersede(deployments: pl.DataFrame, *, model_name: str, newer: str, instant: datetime) -> pl.DataFrame:
    """Rows that end the climb of any other version because a newer one begins its shadow nights at the same instant.

    Its canary is taken away; its shadow ends by the newer one's row, since one alias points to one version.

    Returns:
        Rows of `mon_deployments`; none when nothing else is climbing.
    """
    live = live_at(deployments, instant, model_name)
    rows = [MON_DEPLOYMENTS.empty()]
    for old in live.filter(pl.col("alias").is_in(["shadow", "canary"])).iter_rows(named=True):
        if old["model_version"] == newer:
            continue
        said = f"version {newer}, trained later, begins its shadow nights"
        ends: list[tuple[str, Literal["promote", "reject"]]] = [("challenger", "reject")]
        if old["alias"] == "canary":
            ends.append(("canary", "promote"))
        rows += [
            deployment_row(model_name=model_name, model_version=old["model_version"], model_digest=old["model_digest"],
                           alias=alias, share_frac=0.0, valid_from_utc=instant, verdict=verdict, reason=said)
            for alias, verdict in ends
        ]  # fmt: skip
    return pl.concat(rows)


def _holds(deployments: pl.DataFrame, instant: datetime, model: str, version: str, alias: str) -> bool:
    live = live_at(deployments, instant, model)
    return bool(live.filter((pl.col("alias") == alias) & (pl.col("model_version") == version)).height)


def _share(deployments: pl.DataFrame, instant: datetime, model: str, version: str) -> float:
    live = live_at(deployments, instant, model).filter(
        (pl.col("alias") == "canary") & (pl.col("model_version") == version)
    )
    return float(live["share_frac"][0]) if live.height else 0.0


def _rung(deployments: pl.DataFrame, instant: datetime, model: str, version: str, share: float) -> Rung:
    if champion_at(deployments, instant, model) == version:
        return "full"
    if share > 0:
        return "canary"
    return "shadow" if _holds(deployments, instant, model, version, "shadow") else "quality"
