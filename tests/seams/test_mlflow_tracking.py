"""The registry with the real MLflow on SQLite, in a temporary folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from aios_assets.contracts.errors import IntegrityError, RefusedError
from aios_assets.ui import TRAININGS
from ml.tracking import ARTIFACT, Tracking


@dataclass(frozen=True)
class Candidate:
    """The least that can be recorded."""

    artifact: bytes = b'{"format":1}'
    name: str = "demand"
    digest: str = ""
    params: dict[str, Any] = field(default_factory=lambda: {"boost": {"trees": 3}})
    metrics: dict[str, float] = field(
        default_factory=lambda: {"pinball.all": 0.5, "pinball.week 1": 0.4, "broken": float("nan")}
    )
    plots: dict[str, bytes] = field(default_factory=lambda: {"calibration": b"png"})
    card: str = "# Card"
    feature_names: tuple[str, ...] = ("lag_0",)
    seed: int = 7


def candidate(artifact: bytes = b'{"format":1}') -> Candidate:
    return Candidate(artifact=artifact, digest=hashlib.sha256(artifact).hexdigest())


@pytest.fixture
def tracking(tmp_path: Path) -> Tracking:
    return Tracking(f"sqlite:///{tmp_path}/mlflow/mlflow.db", tmp_path / "artifacts")


def test_a_version_is_registered_aliased_and_its_bytes_come_back_verified(tracking: Tracking) -> None:
    first = tracking.log_training(candidate(b'{"n":1}'), data_versions={"fct_demand_daily": 4}, code_version="abc")
    second = tracking.log_training(candidate(b'{"n":2}'), data_versions={"fct_demand_daily": 5}, code_version="abc")
    assert (first.version, second.version) == ("1", "2")
    tracking.set_alias("demand", "champion", first.version)
    tracking.set_alias("demand", "challenger", second.version)
    assert tracking.load_artifact(tracking.get_by_alias("demand", "champion")) == b'{"n":1}'
    assert tracking.load_artifact(tracking.get_by_alias("demand", "challenger")) == b'{"n":2}'
    assert [r.version for r in tracking.versions("demand")] == ["1", "2"]
    run = tracking.run(second.run_id)
    assert run.params["boost.trees"] == "3" and run.params["seed"] == "7"
    assert run.metrics["pinball.all"] == 0.5 and run.tags["delta.fct_demand_daily"] == "5"
    assert run.tags["not_finite"] == "broken"
    assert tracking.run_file(second.run_id, "model_card.md") == b"# Card"


def test_another_process_sees_the_same_registry(tracking: Tracking) -> None:
    tracking.log_training(candidate(), data_versions={}, code_version="abc")
    tracking.set_alias("demand", "champion", "1")
    again = Tracking(tracking.uri, tracking.artifact_root)
    assert again.load_artifact(again.get_by_alias("demand", "champion")) == b'{"format":1}'


def test_a_changed_byte_is_found_before_anything_is_parsed(tracking: Tracking) -> None:
    ref = tracking.log_training(candidate(b'{"n":1}'), data_versions={}, code_version="abc")
    (file,) = tracking.artifact_root.rglob(ARTIFACT)
    file.write_bytes(b"onf")
    with pytest.raises(IntegrityError, match="SHA-256"):
        tracking.load_artifact(ref)
    file.unlink()
    with pytest.raises(RefusedError, match="cannot be read"):
        tracking.load_artifact(ref)


def test_wrong_digest_is_not_registered(tracking: Tracking) -> None:
    with pytest.raises(IntegrityError, match="nothing was registered"):
        tracking.log_training(Candidate(digest="0" * 64), data_versions={}, code_version="abc")


def test_missing_registry_alias_and_broken_store_are_refused_in_one_line(tracking: Tracking, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no model registry yet"):
        tracking.get_by_alias("demand", "champion")
    tracking.log_training(candidate(), data_versions={}, code_version="abc")
    with pytest.raises(RefusedError, match="there is no champion"):
        tracking.get_by_alias("demand", "champion")
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database at all" * 100)
    with pytest.raises(RefusedError) as caught:
        Tracking(f"sqlite:///{broken}", tmp_path / "a").get_by_alias("demand", "champion")
    assert "\n" not in str(caught.value)


def test_children_are_nested_under_their_parent(tracking: Tracking) -> None:
    parent = tracking.log_run("backtest", {"h": 28}, {"pinball": 1.0})
    child = tracking.log_run("fold", {}, {"pinball": 1.1}, {"t.csv": b"a"}, {}, parent)
    assert tracking.run(child).tags["mlflow.parentRunId"] == parent
    assert tracking.run_file(child, "t.csv") == b"a"


def test_the_same_training_is_registered_once(tracking: Tracking) -> None:
    first = tracking.log_training(
        candidate(b'{"n":1}'), data_versions={}, training_key="demand|2024-01-01", reason="first"
    )
    again = tracking.log_training(
        candidate(b'{"n":1}'), data_versions={}, training_key="demand|2024-01-01", reason="first"
    )
    assert first == again and len(tracking.versions("demand")) == 1
    assert len(tracking.run(first.run_id).tags["code_version"]) == 64


def test_bytes_alone_are_registered_and_loaded_by_name_version_and_digest(tracking: Tracking) -> None:
    ref = tracking.log_artifact(
        "lead_time", b'{"lanes":1}', data_versions={}, metrics={"pinball": 1.0}, training_key="k"
    )
    assert tracking.load_artifact("lead_time", ref.version, ref.digest) == b'{"lanes":1}'
    with pytest.raises(IntegrityError, match="not the deployed one"):
        tracking.load_artifact("lead_time", ref.version, "0" * 64)
    with pytest.raises(RefusedError, match="no version 9"):
        tracking.load_artifact("lead_time", "9", ref.digest)


def test_a_training_is_named_by_its_day(tracking: Tracking) -> None:
    from mlflow import MlflowClient

    ref = tracking.log_training(candidate(), data_versions={}, as_of=date(2026, 1, 14))
    run = MlflowClient(tracking_uri=tracking.uri).get_run(ref.run_id)
    assert run.info.run_name == "demand 2026-01-14"
    assert TRAININGS.startswith(f"/#/experiments/{run.info.experiment_id}?"), "what `aios ui` prints opens its list"
