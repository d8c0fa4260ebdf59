"""Deployment history: what was live when, against a naive replay; promotions, rollbacks, refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS, MON_GATE_VERDICTS
from aios_assets.contracts.errors import BadInputError
from ml.promotion.deployments import (
    champion_at,
    compare_versions,
    deployment_row,
    history,
    live_at,
    promotion_rows,
    rollback_rows,
)

T0 = datetime(2025, 1, 1, tzinfo=UTC)


def add(table: pl.DataFrame, decision: str, version: str, hours: int) -> pl.DataFrame:
    new = promotion_rows(
        table,
        decision=decision,
        model_name="m",
        model_version=version,
        model_digest=f"sha-{version}",
        reason="gates",
        instant=T0 + timedelta(hours=hours),
    )  # type: ignore[arg-type]
    return pl.concat([table, new])


def test_first_promote_reject_and_repeat() -> None:
    table = add(MON_DEPLOYMENTS.empty(), "promote", "1", 0)
    assert table["verdict"].to_list() == ["first"]
    table = add(table, "reject", "2", 5)
    assert champion_at(table, T0 + timedelta(hours=9), "m") == "1"
    table = add(table, "promote", "3", 10)
    assert add(table, "promote", "3", 11).height == table.height
    assert champion_at(table, T0 + timedelta(hours=9, minutes=59), "m") == "1"
    assert champion_at(table, T0 + timedelta(hours=10), "m") == "3"
    assert champion_at(table, T0 - timedelta(seconds=1), "m") is None


def test_rollback_goes_back_to_the_last_good_one_and_not_to_a_bad_one() -> None:
    table = MON_DEPLOYMENTS.empty()
    for i, v in enumerate("123"):
        table = add(table, "promote", v, i)
    table = pl.concat(
        [table, rollback_rows(table, model_name="m", reason="fill rate", instant=T0 + timedelta(hours=5))]
    )
    assert champion_at(table, T0 + timedelta(hours=5), "m") == "2"
    table = pl.concat(
        [table, rollback_rows(table, model_name="m", reason="fill rate", instant=T0 + timedelta(hours=6))]
    )
    assert champion_at(table, T0 + timedelta(hours=6), "m") == "1"
    with pytest.raises(BadInputError, match="no earlier champion"):
        rollback_rows(table, model_name="m", reason="again", instant=T0 + timedelta(hours=7))


def test_a_canary_is_taken_away_before_the_champion() -> None:
    table = add(MON_DEPLOYMENTS.empty(), "promote", "1", 0)
    canary = deployment_row(
        model_name="m",
        model_version="2",
        model_digest="d2",
        alias="canary",
        share_frac=0.05,
        valid_from_utc=T0 + timedelta(hours=1),
        verdict="promote",
        reason="step",
    )
    table = pl.concat([table, canary])
    live = {r["alias"]: r["share_frac"] for r in live_at(table, T0 + timedelta(hours=2), "m").iter_rows(named=True)}
    assert live == {"canary": 0.05, "champion": 0.95}
    table = pl.concat([table, rollback_rows(table, model_name="m", reason="kpi", instant=T0 + timedelta(hours=3))])
    live = {r["alias"]: r["share_frac"] for r in live_at(table, T0 + timedelta(hours=3), "m").iter_rows(named=True)}
    assert live == {"champion": 1.0}


def test_a_year_of_changes_is_answered_as_a_naive_replay_answers() -> None:
    rng = np.random.default_rng(4)
    rows, events = [], []
    for k, hour in enumerate(sorted(rng.choice(24 * 365, 80, replace=False).tolist())):
        alias = str(rng.choice(["champion", "canary", "challenger"], p=[0.4, 0.4, 0.2]))
        share = 1.0 if alias == "champion" else float(rng.choice([0.0, 0.01, 0.05, 0.25]))
        verdict = "reject" if alias == "challenger" else "promote"
        at = T0 + timedelta(hours=hour)
        rows.append(
            deployment_row(
                model_name="m",
                model_version=str(k),
                model_digest=f"d{k}",
                alias=alias,
                share_frac=share,
                valid_from_utc=at,
                verdict=verdict,
                reason="x",
            )
        )  # type: ignore[arg-type]
        events.append((at, alias, str(k), share, verdict))
    table = pl.concat(rows).sample(fraction=1.0, shuffle=True, seed=2)
    for minutes in rng.integers(-600, 60 * 24 * 366, 1000):
        t = T0 + timedelta(minutes=int(minutes))
        state: dict[str, tuple[str, float]] = {}
        for at, alias, version, share, verdict in events:
            if at <= t and verdict != "reject":
                state[alias] = (version, share)
        state = {a: s for a, s in state.items() if s[1] > 0}
        if "champion" in state and "canary" in state:
            state["champion"] = (state["champion"][0], 1.0 - state["canary"][1])
        got = {r["alias"]: (r["model_version"], r["share_frac"]) for r in live_at(table, t, "m").iter_rows(named=True)}
        assert got == state


def test_refusals() -> None:
    good = {
        "model_name": "m",
        "model_version": "1",
        "model_digest": "d",
        "alias": "champion",
        "share_frac": 1.0,
        "valid_from_utc": T0,
        "verdict": "first",
        "reason": "r",
    }
    assert deployment_row(**good).schema == MON_DEPLOYMENTS.schema  # type: ignore[arg-type]
    for bad in (
        {"model_digest": ""},
        {"reason": " "},
        {"share_frac": 1.2},
        {"share_frac": -0.1},
        {"valid_from_utc": datetime(2025, 1, 1)},
    ):
        with pytest.raises(BadInputError):
            deployment_row(**(good | bad))  # type: ignore[arg-type]
    with pytest.raises(BadInputError):
        live_at(MON_DEPLOYMENTS.empty(), datetime(2025, 1, 1))


def test_history_has_half_open_intervals_and_compare_shows_both() -> None:
    table = add(add(MON_DEPLOYMENTS.empty(), "promote", "1", 0), "promote", "2", 10)
    rows = history(table, "m")
    assert rows["valid_to_utc"].to_list() == [T0 + timedelta(hours=10), None]
    verdicts = pl.DataFrame(
        [{"verdict_date": T0.date(), "gate_code": "g", "subject": f"m:{v}", "is_passed": v == "2", "metric": "loss", "value": float(v), "threshold": 1.0,
          "reason": "", "evidence_json": "{}", "available_at_utc": T0} for v in "12"], schema=MON_GATE_VERDICTS.schema)  # fmt: skip
    row = compare_versions(table, verdicts, "m", "1", "2").row(0, named=True)
    assert (row["value_a"], row["passed_a"], row["value_b"], row["passed_b"]) == (1.0, False, 2.0, True)
    with pytest.raises(BadInputError, match="version 9"):
        compare_versions(table, verdicts, "m", "1", "9")
