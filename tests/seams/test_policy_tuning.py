"""Ceilings tuned on a network's own weeks climb the ladder to the end: real Dagster, Delta, Feast, MLflow, LightGBM and planning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from aios_assets.assets.glue_rollout import POLICY, champion_policy, policy_of
from aios_assets.assets.glue_tuning import register_policy, tune_policy
from aios_assets.cli_model import app
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World
from planning.inputs import PlanSpec, load_spec
from tests.seams.ladder_world import Live, build_world, deploy, models, play, rows

pytestmark = pytest.mark.slow
DAY = date(2023, 1, 1) + timedelta(days=189)
NIGHTS = 12


@dataclass
class Climb:
    """A network whose policy in force stocks lumpy items far too little; each night's checks, and who was live after it."""

    world: World
    before: PlanSpec
    unasked: Any = None
    checks: list[dict[str, bool]] = field(default_factory=list)
    live: list[Live] = field(default_factory=list)


@pytest.fixture(scope="module")
def climb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Climb]:
    """The night that trained a demand version and tuned the ceilings, and the eleven nights of the climb that follow."""
    home = tmp_path_factory.mktemp("tuning") / "home"
    with pytest.MonkeyPatch.context() as env:
        for name, value in (("AIOS_HOME", str(home)), ("AIOS_BUSINESS_TZ", "UTC"), ("AIOS_PROFILE", "tiny")):
            env.setenv(name, value)
        world, made = build_world(home, (DAY - date(2023, 1, 1)).days + 1 + NIGHTS)
        champion, newer = models(world, made, DAY - timedelta(days=9), [(25, 1.0), (5, 1.25)])
        climb = Climb(world, replace(load_spec(), alpha_max=0.9, alpha_max_lumpy=0.6, scenarios=64))
        poor = register_policy(world, climb.before, "far too little stock of lumpy items", DAY - timedelta(days=9))
        for ref in (champion, poor):
            deploy(world, ref, "champion", DAY - timedelta(days=8), "first")
        climb.unasked = tune_policy(world, DAY)
        trained(world, DAY, newer.version, newer.digest)
        for k in range(NIGHTS):
            checks, live = play(world, DAY + timedelta(days=k))
            climb.checks.append(checks)
            climb.live.append(live)
        yield climb


def trained(world: World, day: date, version: str = "2", digest: str = "x") -> None:
    """Say that a demand version was trained on `day`."""
    line = pl.DataFrame({c.name: [None] for c in TABLES["mon_backtest_scores"].columns if c.nullable})
    texts = {
        c.name: "x" for c in TABLES["mon_backtest_scores"].columns if not c.nullable and c.type == "str" and not c.codes
    }
    codes = {c.name: c.codes[0] for c in TABLES["mon_backtest_scores"].columns if not c.nullable and c.codes}
    numbers = {
        c.name: 1 for c in TABLES["mon_backtest_scores"].columns if not c.nullable and c.type in ("f64", "i32", "i64")
    }
    days = {c.name: day for c in TABLES["mon_backtest_scores"].columns if not c.nullable and c.type == "date"}
    instant = {"available_at_utc": world.cutoff(day)}
    known = {
        **texts,
        **codes,
        **numbers,
        **days,
        **instant,
        "model_name": "demand",
        "model_version": version,
        "model_digest": digest,
    }
    world.lake.write(
        "mon_backtest_scores", rows("mon_backtest_scores", line if line.width else pl.DataFrame({"a": [1]}), **known)
    )


def stored(climb: Climb, gate: str) -> list[dict[str, Any]]:
    """Verdicts of a gate on the tuned policy, oldest first."""
    mine = (pl.col("subject") == "policy:2") & (pl.col("gate_code") == gate)
    return climb.world.lake.read("mon_promotion_verdicts", where=mine).sort("verdict_date").to_dicts()


def plans(climb: Climb, k: int) -> pl.DataFrame:
    """The plan carried out on night k, with the policy that decided each line."""
    rows = climb.world.lake.read("rec_decisions", where=pl.col("as_of_date") == DAY + timedelta(days=k))
    return rows.with_columns(pl.col("drivers_json").str.json_path_match("$.policy").alias("policy"))


def test_a_training_night_tunes_the_ceilings_and_proposes_them(climb: Climb) -> None:
    assert climb.unasked.said == "", "no model was trained: nothing is done"
    table = climb.world.lake.read("mon_policy_tunings")
    assert table["tuned_date"].unique().to_list() == [DAY]
    assert table["first_origin_date"].unique().to_list() == [DAY - timedelta(days=98)]
    assert table["policy_version"].unique().to_list() == ["2"]
    chosen = table.filter("is_chosen")
    lumpy = chosen.filter(pl.col("demand_class") == "lumpy").row(0, named=True)
    assert (chosen["saving_usd"] >= 0).all() and lumpy["alpha_max_frac"] > 0.6
    asked = climb.world.lake.read("mon_deployments", where=(pl.col("verdict") == "propose")).row(0, named=True)
    assert (asked["model_version"], asked["alias"], asked["share_frac"]) == ("2", "challenger", 0.0)
    assert asked["reason"].startswith("tuned on the weeks from 2023-04-02") and "saves" in asked["reason"]
    changes = dict(chosen.filter(~pl.col("is_now")).select("demand_class", "alpha_max_frac").iter_rows())
    assert policy_of(climb.world, asked) == climb.before.with_ceilings(changes) and "lumpy" in changes
    assert climb.live[0] == {("demand", "champion"): ("1", 1.0), (POLICY, "champion"): ("1", 1.0)}


def test_the_cost_trial_judges_it_on_weeks_it_was_not_tuned_on(climb: Climb) -> None:
    (cost,) = stored(climb, "promote_cost")
    tuned_until = DAY - timedelta(days=98) + timedelta(days=7 * 6)
    assert cost["verdict_date"] == DAY + timedelta(days=1) and cost["is_passed"] and cost["value"] < 0
    assert date.fromisoformat(json.loads(cost["evidence_json"])["first_origin"]) >= tuned_until
    trial = climb.world.lake.read("mon_cost_trials", where=pl.col("rollout_code") == "policy:2")
    assert trial["week_date"].min() > tuned_until and trial["week_date"].n_unique() == 8  # type: ignore[operator]
    saved = dict(trial.group_by("role").agg(pl.col("cost_usd").sum()).iter_rows())
    assert saved["challenger"] < saved["champion"]


def test_it_plans_in_shadow_then_for_a_quarter_and_then_for_all(climb: Climb) -> None:
    shadow, canary, champion = (
        [night.get((POLICY, a)) for night in climb.live] for a in ("shadow", "canary", "champion")
    )
    assert shadow == [None] + [("2", 1.0)] * 3 + [None] * 8
    assert canary == [None] * 4 + [("2", 0.25)] * 7 + [None]
    assert champion == [("1", 1.0)] * 4 + [("1", 0.75)] * 7 + [("2", 1.0)]
    assert all(climb.checks[k]["ladder_cost"] for k in range(1, 4)) and climb.checks[4]["ladder_shadow"]
    assert all(climb.checks[k]["ladder_canary"] for k in range(4, NIGHTS))
    for gate, nights in (
        ("shadow_divergence", 3),
        ("supplier_concentration", 3),
        ("kpi_fill_rate", 7),
        ("kpi_stockout", 7),
    ):
        judged = stored(climb, gate)
        assert len(judged) == nights and judged[-1]["is_passed"], gate


def test_each_rung_decides_the_lines_that_are_its_own(climb: Climb) -> None:
    lake = climb.world.lake
    shadow = lake.read("rec_decisions__shadow", where=pl.col("rollout_code") == "policy:2")
    nights = [DAY + timedelta(days=k) for k in range(1, 4)]
    assert shadow["as_of_date"].unique().sort().to_list() == nights
    for k in range(1, 4):
        assert plans(climb, k)["policy"].unique().to_list() == ["policy:1"], "a shadow plan is not carried out"
    carried_out = lake.read("rec_decisions", where=pl.col("as_of_date").is_in(nights))
    assert shadow["quantity_ea"].sum() > carried_out["quantity_ea"].sum(), "higher ceilings order more"
    units = lake.read("mon_canary_units", where=(pl.col("rollout_code") == "policy:2") & (pl.col("share_frac") == 0.25))
    inside = plans(climb, 6).join(units, on=["item_id", "site_id"])
    assert ((inside["policy"] == "policy:2") == inside["is_canary"]).all() and inside["is_canary"].any()
    assert plans(climb, NIGHTS - 1)["policy"].unique().to_list() == ["policy:2"]


def test_at_the_end_it_is_the_policy_in_force_everywhere(climb: Climb) -> None:
    world, last = climb.world, DAY + timedelta(days=NIGHTS - 1)
    spec, name = champion_policy(world, last)
    assert name == "policy:2" and world.tracking.alias_version(POLICY, "champion") == "2"
    table = world.lake.read("mon_policy_tunings").filter("is_chosen")
    assert {r["demand_class"]: spec.ceiling(r["demand_class"]) for r in table.iter_rows(named=True)} == dict(
        table.select("demand_class", "alpha_max_frac").iter_rows()
    )
    done = CliRunner().invoke(app, ["history", "--model", POLICY, "--json"])
    steps = [(r["alias"], r["share_frac"], r["verdict"]) for r in json.loads(done.output) if r["model_version"] == "2"]
    assert steps[0] == ("challenger", 0.0, "propose") and steps[-1][0] in ("champion", "canary")
    assert ("champion", 1.0, "promote") in steps
    card = Path(world.home) / "reports" / "models" / POLICY / "v2" / "model_card.html"
    assert all(gate in card.read_text() for gate in ("promote_cost", "shadow_divergence", "kpi_fill_rate"))


def test_the_training_night_again_finds_and_proposes_the_same(climb: Climb) -> None:
    names = ("mon_policy_tunings", "mon_deployments")
    before = {n: climb.world.lake.content_hash(n) for n in names}
    again = tune_policy(climb.world, DAY)
    assert again.said.startswith("tuned on the weeks from") and again.rows["policy_version"].unique().to_list() == ["2"]
    assert {n: climb.world.lake.content_hash(n) for n in names} == before


def test_too_short_a_history_says_so(climb: Climb) -> None:
    world = climb.world
    early = DAY - timedelta(days=60)
    trained(world, early)
    deploy(world, world.tracking.get_version("demand", "1"), "champion", early - timedelta(days=5), "first")
    found = tune_policy(world, early)
    assert found.said.startswith("ceilings not tuned:") and "history is too short" in found.said
    assert found.rows.is_empty() and found.deployments.is_empty()
    assert not Path(world.home, "whatif").exists()
