"""`aios experiment` on a real lake and a real registry: run, look, reproduce, also after the lake has moved on."""

from __future__ import annotations

import json
import re
import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from aios_assets.cli_experiment import app
from aios_assets.cli_model import app as model_app
from aios_assets.contracts.mart_tables import FCT_DEMAND_DAILY
from aios_assets.resources.clock import business_cutoff
from aios_assets.resources.handles import world_of
from aios_assets.resources.lake import Lake
from aios_assets.settings import Settings
from ml.features import demand_features
from tests.model.demand_world import FIRST, make_world

DAYS = 150
YAML = f"""
name: first-look
as_of: {FIRST + timedelta(days=DAYS - 1)}
history_days: {DAYS}
stride_days: 7
seed: 3
most_rows: 20000
drop_features: [is_promo]
model: {{trees: 20, spread_trees: 8}}
"""


def versions() -> pl.DataFrame:
    rows = make_world(8, 3, DAYS, 2).versions
    filled = {
        "version_no": pl.lit(1), "returns_qty_ea": pl.lit(0.0), "closing_qty_ea": pl.lit(5.0), "document_id": pl.lit("d"), "set_no": pl.lit(1),
        "segment_no": pl.lit(1), "is_current": pl.lit(True), "is_suspect": pl.lit(False),
        "demand_month": pl.col("demand_date").dt.strftime("%Y-%m"),
    }  # fmt: skip
    known = {c.name for c in FCT_DEMAND_DAILY.columns}
    rows = rows.with_columns([e.alias(k) for k, e in filled.items() if k in known])
    lacking = [
        pl.lit(None, dtype=c.dtype).alias(c.name) for c in FCT_DEMAND_DAILY.columns if c.name not in rows.columns
    ]
    return rows.with_columns(lacking).select(FCT_DEMAND_DAILY.names).cast(dict(FCT_DEMAND_DAILY.schema))  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))
    settings = Settings()
    lake, rows, last = Lake(settings.lake_root), versions(), FIRST + timedelta(days=DAYS)
    lake.write("fct_demand_daily", rows, window=(FIRST, last))
    features = demand_features(
        rows, (FIRST, last - timedelta(days=1)), lambda day: business_cutoff(day, settings.business_tz, settings.cutoff)
    )
    lake.write("feat_item_site__demand", features, window=(FIRST, last))
    return tmp_path


def test_an_experiment_is_recorded_and_reproduced_identically(home: Path) -> None:
    (home / "e.yaml").write_text(YAML)
    ran = CliRunner().invoke(app, ["run", str(home / "e.yaml"), "--register", "--json"])
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert ran.stderr == ""
    assert report["version"] == "1" and report["gates"].startswith(("promote: ", "reject: "))
    tracking = world_of(Settings()).tracking
    registered = tracking.run(tracking.get_version("demand", "1").run_id)
    assert "gates passed by" in tracking.version_tags(tracking.get_version("demand", "1"))["gates"]
    assert registered.tags["mlflow.parentRunId"] == report["run_id"], "one experiment is one line of MLflow's list"
    assert report["data_versions"]["fct_demand_daily"] >= 0 and any(k.startswith("pinball.") for k in report)
    late = versions().with_columns((pl.col("sales_qty_ea") + 1).alias("sales_qty_ea"))
    Lake(Settings().lake_root).write("fct_demand_daily", late, window=(FIRST, FIRST + timedelta(days=DAYS)))
    again = CliRunner().invoke(app, ["reproduce", report["run_id"], "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) | {"metrics": 0} == {
        "run_id": report["run_id"],
        "identical": True,
        "same_model_bytes": True,
        "metrics": 0,
        "differences": {},
    }


def test_the_first_gates_judge_a_registered_experiment_and_what_none_judged_is_not_promoted(home: Path) -> None:
    (home / "e.yaml").write_text(YAML)
    ran = CliRunner().invoke(app, ["run", str(home / "e.yaml"), "--register", "--json"])
    version, gates = (json.loads(ran.stdout)[k] for k in ("version", "gates"))
    verdicts = Lake(Settings().lake_root).read("mon_promotion_verdicts")
    assert set(verdicts["subject"]) == {f"demand:{version}"}
    assert {"promote_pinball_vs_naive", "promote_coverage", "promote_bias"} <= set(verdicts["gate_code"])
    assert gates.startswith("promote") == verdicts["is_passed"].all()
    unjudged = world_of(Settings()).tracking.log_artifact("demand", b'{"made": 1}', data_versions={}).version
    said = CliRunner().invoke(model_app, ["promote", unjudged, "--reason", "it looks better"])
    assert said.exit_code == 1 and f"version {unjudged} was judged by no gate" in said.stderr
    assert Lake(Settings().lake_root).read("mon_deployments").is_empty()
    against = CliRunner().invoke(model_app, ["promote", unjudged, "--reason", "a test", "--against-gates", "--json"])
    assert "was judged by no gate" in json.loads(against.stdout)[0]["reason"]
    again = CliRunner().invoke(model_app, ["promote", unjudged, "--reason", "it was champion before"])
    assert again.exit_code == 0 and "is champion already" in again.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a", "missing: as_of"),
        ("name: a\nas_of: 2024-01-01\nnumber: 3", "unknown settings: number"),
        ("name: a\nas_of: soon", "is not a date"),
        ("name: a\nas_of: 2024-01-01\nmodel: {trees: many}", "model parameter trees must be a number"),
        ("name: a\nas_of: 2024-01-01\nmodel: {wood: 3}", "unknown model parameters: wood"),
        ("name: a\nas_of: 2024-01-01\nseed: -1", "seed must be a whole number"),
        ("name: a\nas_of: 2024-01-01\ndrop_features: is_promo", "must be a list of names, not 'is_promo'"),
        (YAML.replace("[is_promo]", "[is_promo, is_prono]"), "there are no features is_prono to leave out"),
        ("- a", "an experiment is a mapping"),
        ("a: [", "the file is not YAML"),
        ("name: a\nas_of: 2020-01-01", "no features at these origins"),
    ],
)
def test_bad_experiments_are_one_line(home: Path, text: str, words: str) -> None:
    (home / "e.yaml").write_text(text)
    ran = CliRunner().invoke(app, ["run", str(home / "e.yaml")])
    assert ran.exit_code == 1 and words in ran.stderr and ran.stderr.count("\n") == 1, ran.output


def test_the_guide_runs_from_top_to_bottom(home: Path, monkeypatch: pytest.MonkeyPatch, repo: Path) -> None:
    monkeypatch.chdir(home)
    text = (repo / "docs" / "experiments.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "python", "sh", "python", "sh", "python"]
    names: dict[str, Any] = {}
    for kind, code in blocks:
        if kind == "python":
            (home / "block.py").write_text(code)
            names = runpy.run_path(str(home / "block.py"), init_globals=names)
        else:
            for line in code.splitlines():
                play(line, home)


def play(line: str, folder: Path) -> None:
    """One `aios experiment … > FILE` of the guide, in this process; `$(jq -r .KEY FILE)` is looked up as jq would."""
    command, _, target = line.partition(" > ")
    found = re.sub(r"\$\(jq -r \.(\w+) (\S+)\)", lambda m: json.loads((folder / m[2]).read_text())[m[1]], command)
    words = found.split()
    assert words[:2] == ["aios", "experiment"], line
    ran = CliRunner().invoke(app, words[2:])
    assert ran.exit_code == 0, ran.output
    (folder / target).write_text(ran.stdout)
