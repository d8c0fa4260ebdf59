"""Sums from the bottom and reconciled means: a published answer, the definition, and a naive twin."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError, UsageError
from ml.hierarchy import METHODS, Hierarchy, bottom_up, hierarchy_of, panel_of_level, reconciled
from ml.sample_paths import sample_paths
from tests.unit.ml.test_forecasting import panel


def keys() -> pl.DataFrame:
    return pl.DataFrame({"state": ["A", "A", "B", "B", "B"], "store": ["1", "2", "1", "3", "4"]})


def test_ols_gives_the_published_answer(shared: Path) -> None:
    cases = json.loads((shared / "data" / "inventory_instances.json").read_text())
    rows = cases if isinstance(cases, list) else cases["instances"]
    case = next(r for r in rows if r["id"] == "mint_ols_3node")
    summing = np.array(case["inputs"]["S"], dtype=float)
    tree = Hierarchy(pl.DataFrame({"level": ["total", "k", "k"], "k": [None, "a", "b"]}), summing)
    found = reconciled(tree, np.array(case["inputs"]["y"], dtype=float)[:, None], "ols")[:, 0]
    assert found == pytest.approx(case["published"], rel=1e-9)


def test_nodes_stand_top_first_and_sum_what_they_name() -> None:
    tree = hierarchy_of(keys(), [["state"], [], ["state", "store"]])
    assert tree.nodes["level"].to_list() == ["total", "state", "state", *["state,store"] * 5]
    sums = bottom_up(tree, np.arange(1.0, 6.0)[:, None])[:, 0]
    assert sums.tolist() == [15.0, 3.0, 12.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    with pytest.raises(UsageError, match="region"):
        hierarchy_of(keys(), [["region"]])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_adds_up_and_leaves_coherent_means_alone(method: str) -> None:
    tree, rng = hierarchy_of(keys(), [[], ["state"]]), np.random.default_rng(3)
    residuals = rng.normal(0, 1, (tree.summing.shape[0], 60))
    given = rng.gamma(2.0, 3.0, (tree.summing.shape[0], 4))
    found = reconciled(tree, given, method, residuals=residuals)  # type: ignore[arg-type]
    assert np.allclose(found, bottom_up(tree, found[-5:]))
    coherent = bottom_up(tree, given[-5:])
    assert np.allclose(reconciled(tree, coherent, method, residuals=residuals), coherent)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["ols", "wls_struct"])
def test_weighted_least_squares_equals_the_textbook_formula(method: str) -> None:
    tree, rng = hierarchy_of(keys(), [[], ["state"]]), np.random.default_rng(4)
    s, y = tree.summing, rng.gamma(2.0, 3.0, (tree.summing.shape[0], 3))
    w = np.diag(1.0 / s.sum(axis=1)) if method == "wls_struct" else np.eye(s.shape[0])
    naive = s @ np.linalg.solve(s.T @ w @ s, s.T @ w @ y)
    assert np.allclose(reconciled(tree, y, method), naive)  # type: ignore[arg-type]


def test_non_negative_means_stay_so_where_plain_least_squares_would_not() -> None:
    tree = hierarchy_of(pl.DataFrame({"k": ["a", "b"]}), [[]])
    means = np.array([[1.0], [5.0], [0.1]])
    assert reconciled(tree, means, "ols").min() < 0
    found = reconciled(tree, means, "ols", non_negative=True)
    assert found.min() >= 0 and found[0, 0] == pytest.approx(found[1:, 0].sum())


def test_sums_of_sample_paths_are_coherent_and_not_negative() -> None:
    tree = hierarchy_of(keys(), [[], ["state"]])
    quantiles = np.sort(np.random.default_rng(5).gamma(1.0, 2.0, (5, 3, 3)), axis=2)
    paths = bottom_up(tree, sample_paths(quantiles, (0.1, 0.5, 0.9), 200, 1))
    assert paths.shape == (8, 200, 3) and paths.min() >= 0
    assert np.allclose(paths[0], paths[1] + paths[2]) and np.allclose(paths[1], paths[3] + paths[4])


def test_a_level_of_a_panel_is_the_sum_of_its_series() -> None:
    data = panel(6, 20)
    tree = hierarchy_of(data.keys, [[]])
    total = panel_of_level(data, tree, "total")
    assert total.n == 1 and np.allclose(total.y[0], data.y.sum(axis=0)) and "6 series" in total.notes[-1]


def test_wrong_shapes_and_methods_are_refused() -> None:
    tree = hierarchy_of(keys(), [[]])
    with pytest.raises(BadInputError, match="one finite row"):
        reconciled(tree, np.ones((3, 2)), "ols")
    with pytest.raises(BadInputError, match="needs residuals"):
        reconciled(tree, np.ones((6, 2)), "mint_shrink")
    with pytest.raises(UsageError, match="no method magic"):
        reconciled(tree, np.ones((6, 2)), "magic")  # type: ignore[arg-type]
