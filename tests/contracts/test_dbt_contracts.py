"""The dbt project against the table contracts: nothing described twice, nothing exported that no contract knows."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from aios_assets.contracts.registry import TABLES

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
EXPORTED = sorted(t.name for t in TABLES.values() if t.writer == "dbt")
MODELS = sorted((PROJECT / "models").rglob("*.sql"))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("contract_yaml", PROJECT / "contract_yaml.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described() -> dict[str, dict[str, object]]:
    models: dict[str, dict[str, object]] = {}
    for path in (PROJECT / "models").rglob("*.yml"):
        for model in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models", []):
            models[model["name"]] = model
    return models


def test_the_yaml_is_what_the_contracts_say(generator: ModuleType) -> None:
    stale = [p.name for p, text in generator.documents().items() if p.read_text(encoding="utf-8") != text]
    assert stale == [], "run python dbt_project/contract_yaml.py"


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_every_model_states_its_grain(path: Path) -> None:
    assert str(described()[path.stem].get("description", "")).startswith("Grain: ")


def test_exactly_the_tables_of_the_contracts_are_exported() -> None:
    marts = {p.stem for p in MODELS if "marts" in p.parts or "features" in p.parts}
    marts |= {p.stem for p in MODELS if "materialized='delta'" in p.read_text(encoding="utf-8")}
    assert sorted(marts) == EXPORTED


@pytest.mark.parametrize("name", EXPORTED)
def test_every_exported_model_tests_its_key_and_its_nulls(name: str) -> None:
    tests = {next(iter(t)) for t in described()[name]["data_tests"]}  # type: ignore[attr-defined]
    assert {"unique_key", "never_null"} <= tests


def test_no_star_is_exported_and_no_clock_is_read() -> None:
    text = {p.stem: re.sub(r"--.*", "", p.read_text(encoding="utf-8")).lower() for p in MODELS}
    assert [
        n for n, sql in text.items() if re.search(r"\b(now\(\)|current_date|current_timestamp|random\(\))", sql)
    ] == []
    assert [n for n in EXPORTED if re.search(r"select\s+\*[^)]*$", text[n])] == []


def test_codes_are_unique() -> None:
    for path in (PROJECT / "codes").glob("*.csv"):
        codes = [line.split(",")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        assert len(codes) == len(set(codes)), path.name
