"""Two versions that pass on one night: the one that saves more begins its shadow nights, the other is refused with its reason."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from aios_assets.assets import glue_promotion
from aios_assets.assets.glue_promotion import Judged
from aios_assets.contracts.decision_tables import MON_COST_TRIALS, MON_DEPLOYMENTS
from aios_assets.contracts.gates import GateDecision
from ml.promotion.deployments import deployment_row, history, live_at
from ml.promotion.ladder import one_into_shadow

DAY = date(2025, 3, 1)
NIGHT = datetime(2025, 3, 2, 2, tzinfo=UTC)


def cost(saved: float, passed: bool = True, bound: float = -0.01) -> list[GateDecision]:
    found = {"difference": -saved, "weeks": 8}
    return [GateDecision(DAY, "promote_cost", "s", passed, "cost", bound if passed else 0.1, 0.0, "said", found)]


def row(version: str) -> dict[str, Any]:
    return {"model_name": "policy", "model_version": version, "model_digest": f"d{version}"}


def placed(version: str, alias: str, share: float, verdict: Any) -> pl.DataFrame:
    return deployment_row(alias=alias, share_frac=share, valid_from_utc=datetime(2025, 2, 1, tzinfo=UTC), verdict=verdict,
                          reason="the start of this test", **row(version))  # fmt: skip


def night(monkeypatch: pytest.MonkeyPatch, before: pl.DataFrame, found: dict[str, list[GateDecision]]) -> Judged:
    """Judge these versions on one night, in this order."""
    trials = lambda world, day, row: (MON_COST_TRIALS.empty(), found[row["model_version"]])  # noqa: E731
    monkeypatch.setattr(glue_promotion, "_judged_cost", trials)
    world: Any = SimpleNamespace(cutoff=lambda day: NIGHT)
    result = Judged()
    for version in found:
        glue_promotion._challenge(world, DAY, row(version), [], before, result)
    glue_promotion._settle_passed(before, NIGHT, result)
    return result


@pytest.mark.parametrize(("a", "b"), [("2", "3"), ("3", "2"), ("9", "10"), ("10", "9"), ("4", "7"), ("7", "4")])
def test_the_larger_saving_goes_on_whatever_the_order_and_the_hash(
    monkeypatch: pytest.MonkeyPatch, a: str, b: str
) -> None:
    before = placed("1", "champion", 1.0, "first")
    result = night(monkeypatch, before, {a: cost(0.02), b: cost(0.06)})
    after = pl.concat([before, result.deployments])
    live = dict(live_at(after, NIGHT, "policy").select("alias", "model_version").iter_rows())
    assert live == {"champion": "1", "shadow": b}
    refused = history(after, "policy").filter(verdict="reject")
    assert refused.select("model_version", "alias").rows() == [(a, "challenger")]
    assert "it saved 2.00%" in refused["reason"][0] and f"version {b} saved 6.00%" in refused["reason"][0]
    assert set(result.verdicts["subject"]) == {"s"} and result.verdicts.height == 2, "both trials are on record"


def test_an_older_climb_ends_once_and_a_failed_trial_is_refused_by_its_own_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = pl.concat([placed("1", "champion", 1.0, "first"), placed("2", "canary", 0.05, "promote")])
    result = night(monkeypatch, before, {"3": cost(0.03), "4": cost(0.2, passed=False), "5": cost(0.01)})
    after = pl.concat([before, result.deployments])
    live = dict(live_at(after, NIGHT, "policy").select("alias", "model_version").iter_rows())
    assert live == {"champion": "1", "shadow": "3"}
    reasons = dict(result.deployments.filter(verdict="reject").select("model_version", "reason").iter_rows())
    assert sorted(reasons) == ["2", "4", "5"]
    assert "promote_cost said" in reasons["4"] and "one version climbs at a time" in reasons["5"]
    assert result.deployments["deployment_id"].is_unique().all()


def test_one_alone_climbs_as_ever_and_nobody_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = placed("1", "champion", 1.0, "first")
    alone = night(monkeypatch, before, {"2": cost(0.02)})
    assert alone.deployments.select("model_version", "alias", "verdict").rows() == [("2", "shadow", "promote")]
    assert night(monkeypatch, before, {}).deployments.equals(MON_DEPLOYMENTS.empty())


def test_equal_savings_go_to_the_surer_then_to_the_older() -> None:
    assert one_into_shadow({"8": cost(0.02, bound=-0.001), "9": cost(0.02, bound=-0.01)})[0] == "9"
    assert one_into_shadow({"10": cost(0.02), "9": cost(0.02)})[0] == "9"
