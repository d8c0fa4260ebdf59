"""Ceilings tuned on a network's own weeks and proposed to the ladder: real Feast, MLflow, LightGBM, Delta and planning."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.assets.glue_rollout import POLICY, policy_of
from aios_assets.assets.glue_tuning import propose_policy, register_policy, tune_policy
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World
from ml.promotion.deployments import deployment_row
from planning.inputs import load_spec
from tests.seams.ladder_world import DAYS, build_world, rows

pytestmark = pytest.mark.slow
DAY = date(2023, 1, 1) + timedelta(days=DAYS - 1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A network whose policy in force stocks far too little, on a night that trained a demand model."""
    made, _ = build_world(tmp_path_factory.mktemp("tuning") / "home")
    mean = replace(load_spec(), alpha_max=0.55, scenarios=64)
    ref = register_policy(made, mean, "far too little stock", DAY - timedelta(days=9))
    live = {"share_frac": 1.0, "alias": "champion", "valid_from_utc": made.cutoff(DAY - timedelta(days=8)), "reason": "the start of this test"}  # fmt: skip
    for name, version, digest in (("demand", "1", "d"), (POLICY, ref.version, ref.digest)):
        made.lake.write("mon_deployments", deployment_row(model_name=name, model_version=version, model_digest=digest, verdict="first", **live))  # type: ignore[arg-type] # fmt: skip
    return made


def trained(world: World, day: date) -> None:
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
    known = {**texts, **codes, **numbers, **days, **instant, "model_name": "demand", "model_version": "2"}
    world.lake.write(
        "mon_backtest_scores", rows("mon_backtest_scores", line if line.width else pl.DataFrame({"a": [1]}), **known)
    )


def test_ceilings_are_tuned_on_training_nights_and_climb_the_ladder(world: World) -> None:
    assert tune_policy(world, DAY).said == "", "no model was trained: nothing is done"
    trained(world, DAY)
    found = tune_policy(world, DAY)
    assert found.said.startswith("tuned on the weeks from 2023-04-02") and "saves" in found.said, found.said
    table = world.lake.read("mon_policy_tunings")
    assert table.equals(found.rows) and table["first_origin_date"].unique().to_list() == [DAY - timedelta(days=98)]
    chosen = table.filter("is_chosen")
    assert (chosen["saving_usd"] >= 0).all() and (chosen.filter(~pl.col("is_now"))["alpha_max_frac"] > 0.55).all()
    assert table["policy_version"].unique().to_list() == ["2"]
    proposal = found.deployments.row(0, named=True)
    assert (proposal["verdict"], proposal["alias"], proposal["share_frac"]) == ("propose", "challenger", 0.0)
    spec = policy_of(world, proposal)
    best = chosen.filter(~pl.col("is_now")).sort("saving_usd").row(-1, named=True)
    assert spec.ceiling(best["demand_class"]) == best["alpha_max_frac"] and spec.alpha_max == 0.55
    again = tune_policy(world, DAY)
    assert again.rows.equals(found.rows) and again.deployments.equals(found.deployments)
    later = DAY + timedelta(days=1)
    assert propose_policy(world, spec, "again", later, world.cutoff(later))[0] is None, (
        "these parameters are proposed already"
    )


def test_too_short_a_history_says_so(world: World) -> None:
    early = DAY - timedelta(days=60)
    trained(world, early)
    champion = deployment_row(model_name="demand", model_version="1", model_digest="d", alias="champion", share_frac=1.0,
                              valid_from_utc=world.cutoff(early - timedelta(days=5)), verdict="first", reason="for this test")  # fmt: skip
    world.lake.write("mon_deployments", champion)
    found = tune_policy(world, early)
    assert found.said.startswith("ceilings not tuned:") and "history is too short" in found.said
    assert found.rows.is_empty() and found.deployments.is_empty()
    assert not Path(world.home, "whatif").exists()
