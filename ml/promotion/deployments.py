"""What was live, where, from when to when, by whose verdict: rows of `mon_deployments` and questions to them.

The table is append-only. A row holds from its `valid_from_utc` until the next row of the same model and alias;
a share of zero ends it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

import polars as pl

from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS
from aios_assets.contracts.errors import BadInputError

Verdict = Literal["promote", "reject", "rollback", "first", "propose"]
CHAMPION = "champion"


def deployment_row(
    *,
    model_name: str,
    model_version: str,
    model_digest: str,
    alias: str,
    share_frac: float,
    valid_from_utc: datetime,
    verdict: Verdict,
    reason: str,
    available_at_utc: datetime | None = None,
) -> pl.DataFrame:
    """One row of `mon_deployments`.

    Args:
        model_name: model or policy.
        model_version: version that the alias points to from now on.
        model_digest: SHA-256 of its artefact; a version without digest is not deployed.
        alias: champion, challenger, shadow or canary.
        share_frac: share of item × site served, 0 to 1; 0 takes the alias away.
        valid_from_utc: from when; aware.
        verdict: promote, reject, rollback, first or propose.
        reason: by whose verdict, in plain words.
        available_at_utc: cut-off; `valid_from_utc` when not given.

    Raises:
        BadInputError: no digest, no reason, a share outside 0–1, a naive instant.
    """
    if not model_digest or not reason.strip():
        raise BadInputError(
            "a deployment needs a digest and a reason", where=f"{model_name}:{model_version}", todo="state both"
        )
    if not 0.0 <= share_frac <= 1.0:
        raise BadInputError(
            f"share {share_frac} is not between 0 and 1", where=f"{model_name}:{model_version}", todo="give a fraction"
        )
    if valid_from_utc.tzinfo is None:
        raise BadInputError(
            "the instant has no time zone", where=f"{model_name}:{model_version}", todo="give an aware instant"
        )
    key = f"{model_name}|{model_version}|{alias}|{valid_from_utc.isoformat()}"
    row = {
        "deployment_id": hashlib.sha256(key.encode()).hexdigest()[:16], "model_name": model_name, "model_version": model_version,
        "model_digest": model_digest, "alias": alias, "share_frac": float(share_frac), "valid_from_utc": valid_from_utc,
        "verdict": verdict, "reason": reason, "available_at_utc": available_at_utc or valid_from_utc,
    }  # fmt: skip
    return pl.DataFrame([row], schema=MON_DEPLOYMENTS.schema)


def history(deployments: pl.DataFrame, model_name: str | None = None) -> pl.DataFrame:
    """All rows with `valid_to_utc` (null: still valid), oldest first.

    A rejection changes nothing that is live: it is listed, and closed at once.
    """
    frame = deployments if model_name is None else deployments.filter(pl.col("model_name") == model_name)
    rejected = pl.col("verdict") == "reject"
    live = frame.filter(~rejected).sort("valid_from_utc", "deployment_id").with_columns(
        pl.col("valid_from_utc").shift(-1).over("model_name", "alias").alias("valid_to_utc")
    )  # fmt: skip
    noted = frame.filter(rejected).with_columns(pl.col("valid_from_utc").alias("valid_to_utc"))
    return pl.concat([live, noted.select(live.columns)]).sort("valid_from_utc", "deployment_id")


def live_at(deployments: pl.DataFrame, instant: datetime, model_name: str | None = None) -> pl.DataFrame:
    """What was live at an instant: one row per model and alias with a share above zero.

    The champion's share is what the canary leaves it.

    Args:
        deployments: rows of `mon_deployments`.
        instant: aware instant; intervals are half-open, `[from, to)`.
        model_name: one model, or all.

    Raises:
        BadInputError: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise BadInputError("the instant has no time zone", where="model at", todo="give an aware instant")
    frame = history(deployments, model_name)
    holds = (pl.col("valid_from_utc") <= instant) & (
        pl.col("valid_to_utc").is_null() | (pl.col("valid_to_utc") > instant)
    )
    live = frame.filter(holds & (pl.col("share_frac") > 0)).drop("valid_to_utc")
    canary = pl.col("share_frac").filter(pl.col("alias") == "canary").sum().over("model_name")
    share = pl.when(pl.col("alias") == CHAMPION).then(pl.col("share_frac") - canary).otherwise(pl.col("share_frac"))
    return live.with_columns(share.clip(lower_bound=0.0).alias("share_frac")).sort("model_name", "alias")


def champion_at(deployments: pl.DataFrame, instant: datetime, model_name: str) -> str | None:
    """Version of the champion at an instant, or None."""
    live = live_at(deployments, instant, model_name).filter(pl.col("alias") == CHAMPION)
    return str(live["model_version"][0]) if live.height else None


def previous_champion(deployments: pl.DataFrame, model_name: str) -> tuple[str, str] | None:
    """Version and digest of the last champion before the present one that was not itself rolled back."""
    rows = history(deployments, model_name).filter((pl.col("alias") == CHAMPION) & (pl.col("verdict") != "reject"))
    if rows.height < 2:
        return None
    now = rows["model_version"][-1]
    bad = {now}
    versions, verdicts, digests = (
        rows["model_version"].to_list(),
        rows["verdict"].to_list(),
        rows["model_digest"].to_list(),
    )
    for i in range(1, len(versions)):
        if verdicts[i] == "rollback":
            bad.add(versions[i - 1])
    for version, digest in zip(reversed(versions[:-1]), reversed(digests[:-1]), strict=True):
        if version not in bad:
            return str(version), str(digest)
    return None


def promotion_rows(
    deployments: pl.DataFrame,
    *,
    decision: Literal["promote", "reject"],
    model_name: str,
    model_version: str,
    model_digest: str,
    reason: str,
    instant: datetime,
) -> pl.DataFrame:
    """Rows that a verdict on a challenger adds: `first` or `promote` moves the champion, `reject` is only noted.

    Args:
        deployments: rows so far.
        decision: from `judge_challenger`.
        model_name: model.
        model_version: challenger's version.
        model_digest: SHA-256 of its artefact.
        reason: of the verdict.
        instant: when.

    Returns:
        One row, or none when that version is already champion.
    """
    if decision == "promote" and champion_at(deployments, instant, model_name) == model_version:
        return MON_DEPLOYMENTS.empty()
    first = champion_at(deployments, instant, model_name) is None
    verdict: Verdict = "reject" if decision == "reject" else ("first" if first else "promote")
    alias = CHAMPION if decision == "promote" else "challenger"
    return deployment_row(
        model_name=model_name, model_version=model_version, model_digest=model_digest, alias=alias,
        share_frac=1.0 if decision == "promote" else 0.0, valid_from_utc=instant, verdict=verdict, reason=reason,
    )  # fmt: skip


def rollback_rows(deployments: pl.DataFrame, *, model_name: str, reason: str, instant: datetime) -> pl.DataFrame:
    """Rows that move the champion back to the last good version and end a running canary.

    Raises:
        BadInputError: there is no earlier champion.
    """
    live = live_at(deployments, instant, model_name)
    canary = live.filter(pl.col("alias") == "canary")
    rows = []
    if canary.height:
        c = canary.row(0, named=True)
        rows.append(deployment_row(model_name=model_name, model_version=c["model_version"], model_digest=c["model_digest"], alias="canary",
                                   share_frac=0.0, valid_from_utc=instant, verdict="rollback", reason=reason))  # fmt: skip
        return pl.concat(rows)
    back = previous_champion(deployments, model_name)
    if back is None:
        raise BadInputError(
            "there is no earlier champion to go back to",
            where=model_name,
            todo="the baseline answers until a model is promoted",
        )
    rows.append(deployment_row(model_name=model_name, model_version=back[0], model_digest=back[1], alias=CHAMPION,
                               share_frac=1.0, valid_from_utc=instant, verdict="rollback", reason=reason))  # fmt: skip
    return pl.concat(rows)


def compare_versions(deployments: pl.DataFrame, quality: pl.DataFrame, model_name: str, a: str, b: str) -> pl.DataFrame:
    """Two versions side by side: when they were live and the verdicts on them.

    Args:
        deployments: rows of `mon_deployments`.
        quality: `mon_gate_verdicts` rows; those whose subject names one of the versions are shown.
        model_name: model.
        a: first version.
        b: second version.

    Returns:
        `gate_code, metric, threshold, value_a, passed_a, value_b, passed_b`, newest verdict of each.

    Raises:
        BadInputError: a version was never deployed nor judged.
    """

    def of(version: str) -> pl.DataFrame:
        subject = quality.filter(pl.col("subject").is_in([f"{model_name}:{version}", version]))
        known = deployments.filter((pl.col("model_name") == model_name) & (pl.col("model_version") == version)).height
        if not known and not subject.height:
            raise BadInputError(
                f"version {version} was never deployed nor judged", where=model_name, todo="see aios model history"
            )
        newest = subject.sort("verdict_date").unique(subset=["gate_code"], keep="last", maintain_order=True)
        return newest.select("gate_code", "metric", "threshold", "value", "is_passed")

    left, right = of(a), of(b)
    both = left.join(right, on="gate_code", how="full", suffix="_b", coalesce=True)
    return both.select(
        "gate_code", pl.coalesce("metric", "metric_b").alias("metric"), pl.coalesce("threshold", "threshold_b").alias("threshold"),
        pl.col("value").alias("value_a"), pl.col("is_passed").alias("passed_a"), pl.col("value_b"), pl.col("is_passed_b").alias("passed_b"),
    ).sort("gate_code")  # fmt: skip
