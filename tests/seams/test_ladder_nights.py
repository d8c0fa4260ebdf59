"""The ladder over nights, with real Dagster runs, Delta, MLflow on SQLite, LightGBM and planning: climb, canary, full, and the way back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from dagster import RunConfig, build_sensor_context, materialize
from typer.testing import CliRunner

from aios_assets.assets.glue_canary import canary_assignment, tick_all
from aios_assets.assets.glue_promotion import judge_registered
from aios_assets.assets.glue_rollout import live_row
from aios_assets.assets.glue_training import recipe_as_of
from aios_assets.assets.s4_train import train
from aios_assets.assets.s5_promote import promote
from aios_assets.assets.s6_score import pred_demand__28d
from aios_assets.automation.sensors import rollback_sensor
from aios_assets.cli_model import app
from aios_assets.resources.handles import World
from ml.promotion.cards import CARD_SECTIONS, SHEET_SECTIONS
from tests.model.demand_world import DemandWorld
from tests.seams.ladder_world import DAY0, NIGHT, Live, build_world, deploy, models, play, write_demand

pytestmark = pytest.mark.slow


@dataclass
class Climb:
    """A played home, what was asked by hand, and each night's checks and live aliases."""

    world: World
    made: DemandWorld
    checks: dict[date, dict[str, bool]] = field(default_factory=dict)
    live: dict[date, Live] = field(default_factory=dict)
    said: dict[str, tuple[int, str]] = field(default_factory=dict)
    copies: dict[date, Path] = field(default_factory=dict)
    weak: Any = None


def tick(world: World) -> Any:
    """What the sensor says when it looks."""
    with build_sensor_context(resources={"world": world}) as context:
        return rollback_sensor(context)


def play_on(climb: Climb, k: int) -> None:
    """Play the night `k` days after the first."""
    day = DAY0 + timedelta(days=k)
    climb.checks[day], climb.live[day] = play(climb.world, day)


@pytest.fixture(scope="module")
def climb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Climb]:
    """Thirteen nights: a demand version (more trees than the champion) climbs from shadow to full, a policy is rejected on cost, another climbs to full."""
    home = tmp_path_factory.mktemp("ladder") / "home"
    with pytest.MonkeyPatch.context() as env:
        for name, value in (("AIOS_HOME", str(home)), ("AIOS_BUSINESS_TZ", "UTC"), ("AIOS_PROFILE", "tiny")):
            env.setenv(name, value)
        world, made = build_world(home)
        climb = Climb(world, made)
        first, second, climb.weak = models(world, made, DAY0, [(25, 1.0), (40, 1.0), (5, 1.25)])
        deploy(world, first, "champion", DAY0 - timedelta(days=1), "first")
        deploy(world, second, "shadow", DAY0, "promote")
        play_on(climb, 0)
        for name, alpha in (("lean", 0.93), ("richer", 0.95)):
            (home / f"{name}.yaml").write_text(f"alpha_max: {alpha}\n")
        climb.said["propose lean"] = call("propose", str(home / "lean.yaml"), "--reason", "less stock")
        assert climb.said["propose lean"][0] == 0, climb.said
        climb.said["propose again"] = call("propose", str(home / "lean.yaml"), "--reason", "less stock")
        play_on(climb, 1)
        by_hand = ("promote", "2", "--model", "policy", "--reason", "the warehouse is full")
        climb.said["promote"] = call(*by_hand)
        climb.said["promote against"] = call(*by_hand, "--against-gates", "--json")
        climb.said["propose richer"] = call("propose", str(home / "richer.yaml"), "--reason", "fewer lost sales")
        for k in range(2, 13):
            play_on(climb, k)
            if k in (6, 11):
                climb.copies[DAY0 + timedelta(days=k)] = home.with_name(f"after-{k}")
                shutil.copytree(home, home.with_name(f"after-{k}"))
        yield climb


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.exit_code, done.output


def on(climb: Climb, k: int, model: str, alias: str) -> tuple[str, float] | None:
    return climb.live[DAY0 + timedelta(days=k)].get((model, alias))


def copied(climb: Climb, k: int, to: Path) -> World:
    """A home of its own, as it was after night k."""
    shutil.copytree(climb.copies[DAY0 + timedelta(days=k)], to)
    return World(**{**climb.world.model_dump(), "home": str(to), "tracking_uri": f"sqlite:///{to}/mlflow/mlflow.db"})


def test_a_demand_version_goes_from_shadow_over_the_canary_to_full(climb: Climb) -> None:
    assert on(climb, 2, "demand", "shadow") == ("2", 1.0) and on(climb, 2, "demand", "canary") is None
    assert on(climb, 3, "demand", "canary") == ("2", 0.25) and on(climb, 3, "demand", "shadow") is None
    assert on(climb, 9, "demand", "canary") == ("2", 0.25) and on(climb, 9, "demand", "champion") == ("1", 0.75)
    assert on(climb, 10, "demand", "champion") == ("2", 1.0) and on(climb, 10, "demand", "canary") is None
    assert climb.world.tracking.alias_version("demand", "champion") == "2"
    assert climb.world.tracking.alias_version("demand", "canary") == ""


def test_shadow_nights_are_written_and_not_executed(climb: Climb) -> None:
    lake = climb.world.lake
    nights = [DAY0 + timedelta(days=k) for k in range(3)]
    shadow_rows = lake.read("pred_demand__shadow")
    assert shadow_rows["origin_date"].unique().sort().to_list() == nights
    assert set(shadow_rows["model_version"]) == {"2"}
    plans = lake.read("rec_decisions__shadow", where=pl.col("rollout_code") == "demand:2")
    assert plans["as_of_date"].unique().sort().to_list() == nights
    carried_out = lake.read("pred_demand__28d", where=pl.col("origin_date").is_in(nights))
    assert set(carried_out["model_version"]) == {"1"}


def test_the_canary_is_scored_by_the_challenger_and_its_rows_say_so(climb: Climb) -> None:
    day = DAY0 + timedelta(days=5)
    units = climb.world.lake.read("mon_canary_units", where=pl.col("rollout_code") == "demand:2")
    rows = climb.world.lake.read("pred_demand__28d", where=pl.col("origin_date") == day)
    both = rows.join(units, on=["item_id", "site_id"])
    assert both.height == rows.height and 0.15 < units["is_canary"].mean() < 0.35  # type: ignore[operator]
    assert (both["is_canary"] == (both["model_version"] == "2")).all()
    assert not rows["is_fallback"].any()


def test_every_step_stored_its_evidence_and_its_check(climb: Climb) -> None:
    rows = climb.world.lake.read("mon_promotion_verdicts")
    subjects = {(r["subject"], r["gate_code"]) for r in rows.iter_rows(named=True)}
    for gate in ("shadow_divergence", "supplier_concentration", "kpi_fill_rate", "kpi_stockout", "kpi_expedite_cost"):
        assert {("demand:2", gate), ("policy:3", gate)} <= subjects
    assert {("policy:2", "promote_cost"), ("policy:3", "promote_cost")} <= subjects
    assert rows.filter(pl.col("reason").str.len_chars() == 0).is_empty()
    climbing = rows.filter(pl.col("subject") == "demand:2")
    assert all("fct_demand_daily" in json.loads(e)["delta_versions"] for e in climbing["evidence_json"])
    assert climb.checks[DAY0 + timedelta(days=1)]["ladder_cost"] is False
    assert climb.checks[DAY0 + timedelta(days=2)]["ladder_cost"] is True
    assert climb.checks[DAY0 + timedelta(days=1)]["ladder_shadow"] is False, "one night is too few: frozen, not passed"
    assert all(climb.checks[DAY0 + timedelta(days=k)]["ladder_canary"] for k in range(3, 12))


def test_a_rung_without_its_evidence_fails_the_check(climb: Climb) -> None:
    from aios_assets.checks.ladder_checks import judge_rung, rung_verdicts, standing

    day = DAY0 + timedelta(days=5)
    assert standing(climb.world, day, "canary") == ["demand:2"]
    stored = rung_verdicts(climb.world, day, "canary")
    assert judge_rung(stored, ["demand:2"])[0]
    assert not judge_rung(stored.clear(), ["demand:2"])[0]
    assert judge_rung(stored.clear(), [])[0]


def test_a_policy_that_costs_more_is_rejected_and_one_that_saves_climbs(climb: Climb) -> None:
    code, text = climb.said["propose lean"]
    assert code == 0 and "policy 2 as challenger" in text
    assert climb.said["propose again"][0] == 1 and "version 2 already" in climb.said["propose again"][1]
    assert climb.said["promote"][0] == 1 and "promote_cost" in climb.said["promote"][1]
    assert climb.said["promote against"][0] == 0
    assert on(climb, 1, "policy", "shadow") is None
    assert on(climb, 2, "policy", "champion") == ("2", 1.0) and on(climb, 2, "policy", "shadow") == ("3", 1.0)
    assert on(climb, 5, "policy", "canary") == ("3", 0.25)
    assert on(climb, 11, "policy", "canary") == ("3", 0.25)
    plans = climb.world.lake.read("rec_decisions", where=pl.col("as_of_date") == DAY0 + timedelta(days=6))
    named = plans.filter(pl.col("drivers_json").str.contains('"policy":"policy:3"'))
    row = live_row(climb.world, "policy", "canary", DAY0 + timedelta(days=6))
    assert row is not None
    inside = canary_assignment(climb.world, row).filter("is_canary")
    assert named.join(inside, on=["item_id", "site_id"], how="anti").is_empty() and named.height > 0


def test_a_policy_climbs_to_the_whole_network(climb: Climb) -> None:
    assert on(climb, 12, "policy", "champion") == ("3", 1.0) and on(climb, 12, "policy", "canary") is None
    assert climb.world.tracking.alias_version("policy", "champion") == "3"
    plans = climb.world.lake.read("rec_decisions", where=pl.col("as_of_date") == DAY0 + timedelta(days=12))
    assert plans["drivers_json"].str.contains('"policy":"policy:3"').all()
    history = climb.world.lake.read("mon_deployments", where=pl.col("model_name") == "policy").sort("valid_from_utc")
    steps = history.filter(pl.col("model_version") == "3").select("alias", "share_frac").rows()
    assert steps[-1] == ("champion", 1.0) and ("canary", 0.25) in steps and ("shadow", 1.0) in steps


def test_a_trained_challenger_meets_quality_and_then_the_cost_trial(climb: Climb, tmp_path: Path) -> None:
    """Through Feast: the challenger, its twin and the champion's twin are trained on point-in-time frames."""
    day = DAY0 + timedelta(days=12)
    world = copied(climb, 11, tmp_path / "home")
    deploy(world, climb.weak, "champion", day - timedelta(days=1), "promote")
    config = RunConfig(ops={"train": {"config": {"force": True, "reason": "a trial"}}})
    done = materialize([train, promote], partition_key=day.isoformat(), resources={"world": world}, run_config=config)
    assert done.success
    verdicts = world.lake.read("mon_promotion_verdicts", where=pl.col("subject") == "demand:4")
    quality = verdicts.filter(pl.col("gate_code") == "promote_pinball_vs_champion").row(0, named=True)
    scores = world.lake.read("mon_backtest_scores", where=pl.col("model_version") == "4")
    sums = dict(scores.group_by("role").agg(pl.col("pinball_sum_ea").sum()).iter_rows())
    assert quality["value"] == pytest.approx(sums["challenger"] / sums["champion"])
    trial = world.lake.read("mon_cost_trials", where=pl.col("rollout_code") == "demand:4")
    live = live_row(world, "demand", "shadow", day)
    failed = verdicts.filter(~pl.col("is_passed"))["reason"].to_list()
    assert set(trial["role"]) == {"champion", "challenger"} and trial["week_date"].n_unique() == 8, failed
    cost = verdicts.filter(pl.col("gate_code") == "promote_cost").row(0, named=True)
    details = json.loads(cost["evidence_json"])
    assert "its recipe, trained on what was known on" in details["challenger"] and "champion" in details
    assert (live is not None) == bool(verdicts["is_passed"].all()), "nobody stands in shadow without a saving"


def test_a_registered_experiment_is_judged_on_cost_by_its_own_recipe(
    climb: Climb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = DAY0 + timedelta(days=11)
    world = copied(climb, 11, tmp_path / "home")
    deploy(world, climb.weak, "champion", day - timedelta(days=1), "promote")
    trained, asked = recipe_as_of(world, day), []
    ref = world.tracking.log_training(trained, data_versions={}, as_of=day, run_name="an experiment")

    def recipe(since: date) -> Any:
        asked.append(since)
        return recipe_as_of(world, since)

    def judged() -> tuple[str, pl.DataFrame]:
        said = judge_registered(world, day, trained, ref, world.cutoff(day) + timedelta(hours=1), recipe)
        return said, world.lake.read("mon_promotion_verdicts", where=pl.col("subject") == f"demand:{ref.version}")

    deployments = world.lake.read("mon_deployments")
    said, verdicts = judged()
    assert said.startswith("reject: ") and asked == [], "what fails on quality is not trained again to play its cost"
    assert not any(code.startswith(("promote_cost", "fairness")) for code in verdicts["gate_code"])
    passed = SimpleNamespace(decision="promote", reason="good", decisions=())
    monkeypatch.setattr("ml.promotion.judge.judge_challenger", lambda *_scores, **_more: passed)
    said, verdicts = judged()
    cost = verdicts.filter(pl.col("gate_code") == "promote_cost").row(0, named=True)
    dear = verdicts.filter(pl.col("gate_code").str.contains("cost|fairness") & ~pl.col("is_passed"))
    assert asked == [day - timedelta(days=7 * 8)] and said.startswith("reject: " if dear.height else "promote: "), said
    trial = world.lake.read("mon_cost_trials", where=pl.col("rollout_code") == f"demand:{ref.version}")
    assert set(trial["role"]) == {"champion", "challenger"} and trial["week_date"].n_unique() == 8, cost["reason"]
    assert world.lake.read("mon_deployments").equals(deployments), "a person promotes it, or nobody"


def test_the_cost_verdict_is_the_bootstrap_of_the_stored_trial(climb: Climb) -> None:
    from ml.promotion.cost import CostDifference, cost_difference

    for code, sign in (("policy:2", 1), ("policy:3", -1)):
        trial = climb.world.lake.read("mon_cost_trials", where=pl.col("rollout_code") == code)
        sides = [trial.filter(pl.col("role") == r).select("item_id", "site_id", "week_date", "cost_usd") for r in ("champion", "challenger")]  # fmt: skip
        assert sides[0].height == 105 * 8
        again = cost_difference(*sides, seed=climb.world.seed)
        assert isinstance(again, CostDifference) and sign * again.difference > 0
        stored = climb.world.lake.read("mon_promotion_verdicts", where=(pl.col("subject") == code) & (pl.col("gate_code") == "promote_cost"))  # fmt: skip
        assert stored["value"].to_list() == pytest.approx([again.high]) and stored["is_passed"][0] == (again.high < 0)


def test_a_night_again_decides_the_same(climb: Climb, tmp_path: Path) -> None:
    world = copied(climb, 6, tmp_path / "home")
    names = ("mon_promotion_verdicts", "mon_deployments", "mon_canary_units", "mon_cost_trials", "pred_demand__28d", "rec_decisions")  # fmt: skip
    before = {n: world.lake.content_hash(n) for n in names}
    done = materialize(NIGHT, partition_key=(DAY0 + timedelta(days=5)).isoformat(), resources={"world": world})
    assert done.success and {n: world.lake.content_hash(n) for n in names} == before


def sold_out(made: DemandWorld, units: pl.DataFrame, since: date) -> pl.DataFrame:
    """The same demand, but these units close without stock and sell next to nothing from `since` on."""
    hit = made.versions.join(
        units.select("item_id", "site_id", pl.lit(True).alias("hit")), on=["item_id", "site_id"], how="left"
    )
    broken = pl.col("hit").fill_null(False) & (pl.col("demand_date") >= since)
    return hit.with_columns(
        pl.when(broken).then((pl.col("sales_qty_ea") * 0.2).floor()).otherwise("sales_qty_ea").alias("sales_qty_ea"),
        (pl.col("is_stockout") | broken).alias("is_stockout"),
    ).drop("hit")  # fmt: skip


def test_a_broken_canary_is_gone_within_one_tick(climb: Climb, tmp_path: Path) -> None:
    day = DAY0 + timedelta(days=6)
    world = copied(climb, 6, tmp_path / "home")
    assert world.tracking.alias_version("demand", "canary") == "2"
    quiet = tick(world)
    assert "demand: serves as well as its control" in str(quiet.skip_message)  # type: ignore[union-attr]
    row = live_row(world, "demand", "canary", day)
    assert row is not None
    inside = canary_assignment(world, row).filter("is_canary")
    write_demand(world, sold_out(climb.made, inside, DAY0 + timedelta(days=4)))
    said = tick(world)
    assert "demand: ROLLED BACK" in str(said.skip_message)  # type: ignore[union-attr]
    assert world.tracking.alias_version("demand", "canary") == ""
    assert world.tracking.alias_version("demand", "champion") == "1"
    incidents = world.lake.read("mon_findings", where=pl.col("kind_code") == "incident_rollback")
    assert incidents.height == 1 and "kpi_" in incidents["reason"][0]
    rows = world.lake.count("mon_deployments")
    tick(world)
    assert world.lake.count("mon_deployments") == rows, "a second tick changes nothing"
    materialize(
        [promote, pred_demand__28d], partition_key=(day + timedelta(days=1)).isoformat(), resources={"world": world}
    )
    tonight = world.lake.read("pred_demand__28d", where=pl.col("origin_date") == day + timedelta(days=1))
    assert set(tonight["model_version"]) == {"1"}
    world.lake.drop("mon_findings")
    materialize([promote], partition_key=(day + timedelta(days=1)).isoformat(), resources={"world": world})
    assert world.lake.read("mon_findings").equals(incidents), "a rebuild opens the incident again, from the record"


def test_the_champion_alias_moves_back_when_service_breaks_after_full(climb: Climb, tmp_path: Path) -> None:
    world = copied(climb, 11, tmp_path / "home")
    assert world.tracking.alias_version("demand", "champion") == "2"
    assert not any(t.rolled_back for t in tick_all(world, world.cutoff(DAY0 + timedelta(days=11))))
    everyone = climb.made.versions.select("item_id", "site_id").unique()
    write_demand(world, sold_out(climb.made, everyone, DAY0 + timedelta(days=11)))
    done = {t.model: t for t in tick_all(world, world.cutoff(DAY0 + timedelta(days=11)))}
    assert done["demand"].rolled_back and done["demand"].aliases["champion"] == "1"
    assert world.tracking.alias_version("demand", "champion") == "1"
    assert world.lake.read("mon_findings", where=pl.col("kind_code") == "incident_rollback").height >= 1


def prediction_drift(world: World, day: date) -> tuple[pl.DataFrame, Any]:
    """Drift rows of the predictions of a night, and the verdict on them."""
    from aios_assets.assets.glue_drift import drift_rows
    from aios_assets.assets.glue_monitoring import drifted_columns
    from monitoring.gates import load_thresholds

    drift = drift_rows(world, day)
    evidence = drifted_columns(drift, "pred_demand__28d", day)
    verdict = load_thresholds().judge("drift_night", evidence, subject="pred_demand__28d", as_of=day)
    return drift.filter(pl.col("subject") == "pred_demand__28d"), verdict


def test_predictions_that_change_have_drifted_and_quiet_ones_have_not(climb: Climb, tmp_path: Path) -> None:
    day = DAY0 + timedelta(days=6)
    world = copied(climb, 6, tmp_path / "home")
    quiet, verdict = prediction_drift(world, day)
    assert set(quiet["column_name"]) == {"forecast_week_ea", "forecast_vs_recent_log", "forecast_spread_frac"}
    assert verdict.is_passed, verdict.reason
    assert quiet["current_rows"].max() < 3 * 105, "the canary's units are answered by another version"  # type: ignore[operator]
    assert prediction_drift(world, day)[0].equals(quiet), "the pinned window is read again, not made again"
    nights = world.lake.read("pred_demand__28d", where=pl.col("origin_date") > day - timedelta(days=3))
    window = (day - timedelta(days=2), day + timedelta(days=1))
    doubled = nights.with_columns(pl.col("^demand_qty_ea_.*$") * 2.0)
    world.lake.write("pred_demand__28d", doubled, window=window)
    loud, verdict = prediction_drift(world, day)
    assert "forecast_vs_recent_log" in set(loud.filter("is_drifted")["column_name"]) and not verdict.is_passed
    silent = nights.with_columns(is_fallback=pl.lit(True))
    world.lake.write("pred_demand__28d", silent, window=window)
    gone, verdict = prediction_drift(world, day)
    assert gone["is_drifted"].all() and not verdict.is_passed, "a champion that does not answer cannot be measured"


def tamper(world: World, how: str) -> None:
    """Damage the artefact of the champion's version in the registry's folder."""
    ref = world.tracking.get_version("demand", "2")
    folder = Path(ref.source.removeprefix("file://"))
    artefact, manifest = folder / "model.json", folder / "manifest.json"
    if how == "one byte":
        data = bytearray(artefact.read_bytes())
        data[len(data) // 2] ^= 1
        artefact.write_bytes(bytes(data))
    elif how == "code":
        import pickle

        artefact.write_bytes(pickle.dumps({"__reduce__": "os.system"}))
    elif how == "missing":
        artefact.unlink()
    elif how == "no manifest":
        manifest.unlink()
    else:
        body = json.loads(manifest.read_bytes())
        manifest.write_bytes(json.dumps({**body, "signature": "0" * 64}).encode())


@pytest.mark.parametrize("how", ["one byte", "code", "missing", "no manifest", "signature"])
def test_a_tampered_champion_is_refused_and_the_baseline_answers(climb: Climb, how: str) -> None:
    from aios_assets.assets.glue_scoring import demand_rows

    world, day = climb.world, DAY0 + timedelta(days=11)
    folder = Path(world.tracking.get_version("demand", "2").source.removeprefix("file://"))
    kept = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert not demand_rows(world, day)["is_fallback"].any()
    try:
        tamper(world, how)
        rows = demand_rows(world, day)
        assert rows["is_fallback"].all() and set(rows["model_name"]) == {"recent_average"}
        assert rows["fallback_reason"].str.len_chars().min() > 20  # type: ignore[operator]
    finally:
        for name, data in kept.items():
            (folder / name).write_bytes(data)


def test_papers_of_a_policy_are_complete_and_linked(climb: Climb) -> None:
    world = climb.world
    ref = world.tracking.get_version("policy", "3")
    assert world.tracking.version_tags(ref)["model_card"] == "cards/model_card.html"
    page = world.tracking.run_file(ref.run_id, "cards/model_card.html").decode()
    assert "promote_cost" in page and "shadow_divergence" in page and "kpi_fill_rate" in page
    sheet = world.tracking.run_file(ref.run_id, "cards/data_sheet.md").decode()
    assert all(f"## {s}" in sheet for s in SHEET_SECTIONS)
    stable = (Path(world.home) / "reports" / "models" / "policy" / "v3" / "model_card.html").read_text()
    assert "promote_cost" in stable and all(s in stable for s in CARD_SECTIONS)


def test_by_hand_reject_and_rollback_are_rows_and_move_the_alias(
    climb: Climb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = copied(climb, 6, tmp_path / "home")
    monkeypatch.setenv("AIOS_HOME", world.home)
    assert call("reject", "1", "--reason", "a look at it")[0] == 0
    code, text = call("rollback", "--reason", "the store managers complain")
    assert code == 0 and "demand 2 as canary, 0%" in text
    assert (
        world.tracking.alias_version("demand", "canary") == ""
        and world.tracking.alias_version("demand", "champion") == "1"
    )
    code, text = call("promote", "2", "--reason", "they were wrong", "--against-gates")
    assert code == 0 and world.tracking.alias_version("demand", "champion") == "2"
    assert call("rollback", "--reason", "they were right")[0] == 0
    assert world.tracking.alias_version("demand", "champion") == "1"
    history = json.loads(call("history", "--model", "demand", "--json")[1])
    assert [r["verdict"] for r in history][-4:] == ["reject", "rollback", "promote", "rollback"]
