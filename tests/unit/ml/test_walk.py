"""The compiled walk through trees, its plain twin and LightGBM's own predict: the same numbers to the last bit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aios_assets.contracts.errors import BadInputError
from ml.models import walk
from ml.models.base import Design
from ml.models.boosted import BoostedModel, BoostSpec, booster_of, train_booster
from ml.models.forest import exp_plain, finished, read_forest, walk_plain
from ml.models.walk import Booster

CODES = 96  # three words of a set, full to the last bit
ODD = np.array(
    [np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e-35, 1.1e-35, np.inf, -np.inf, 3e38, -0.5, 2.7, 1e9, -3.0, 1e-45], dtype=np.float32
)  # fmt: skip
ODD = np.append(ODD, np.array([-1], dtype=np.int32).view(np.float32))  # a NaN of ones only
PARAMS: list[dict[str, Any]] = [
    {}, {"zero_as_missing": True}, {"use_missing": False}, {"max_cat_to_onehot": 1, "cat_smooth": 0.0, "min_data_per_group": 1},
]  # fmt: skip


def text_of(
    seed: int, objective: str = "tweedie", more: dict[str, Any] | None = None, rows: int = 600, trees: int = 12
) -> str:
    """A booster of five numbers, zeros, gaps and one code."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1])
    x[rng.random(rows) < 0.3, 2], x[rng.random(rows) < 0.3, 3] = np.nan, 0.0
    x[:, 5] = rng.integers(0, CODES, rows)
    x[rng.random(rows) < 0.1, 5] = np.nan
    y = rng.poisson(np.exp(0.5 * np.nan_to_num(x[:, 0]) + 0.1 * np.nan_to_num(x[:, 5] % 7) + (x[:, 3] == 0)))
    y = np.minimum(y, 1) if objective == "binary" else y
    n = np.arange(rows)
    frame = Design(
        x, tuple(f"f{i}" for i in range(6)), ("f5",), np.ones(rows), np.full(rows, "a"), n.astype(np.int32), n, n
    )
    spec = BoostSpec(leaves=20, min_rows_leaf=5)
    return train_booster(frame, y.astype(np.float64), None, spec.params(seed, objective) | (more or {}), trees)


def hard_rows(text: str, rows: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Rows of values where a walk could err: thresholds, their neighbours, gaps, zeros, infinities, codes that no set knows."""
    rng, forest = np.random.default_rng(seed), read_forest(text)
    x = rng.normal(size=(rows, forest.features)).astype(np.float32)
    for f in range(forest.features):
        own = [t.threshold[(t.feature == f) & (t.kind & 1 == 0)] for t in forest.trees]
        edge = np.concatenate([np.zeros(1), *own]).astype(np.float32)
        near = np.concatenate(
            [edge, np.nextafter(edge, np.float32(np.inf)), np.nextafter(edge, np.float32(-np.inf)), ODD]
        )
        x[:, f] = np.where(rng.random(rows) < 0.7, rng.choice(near, rows), x[:, f])
    x[:, 5] = np.where(rng.random(rows) < 0.7, rng.integers(0, CODES + 40, rows), x[:, 5])
    return x


def same(text: str, x: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """All three walks give the same bits."""
    booster, forest = booster_of(text), read_forest(text)
    theirs = booster.native.predict(x, num_threads=1)
    assert booster.walked(x).tobytes() == theirs.tobytes()
    assert finished(forest, walk_plain(forest, x), exp_plain).tobytes() == theirs.tobytes()


@pytest.mark.parametrize("more", PARAMS, ids=str)
@pytest.mark.parametrize("objective", ["tweedie", "regression", "quantile", "binary", "poisson"])
def test_hard_values_end_in_the_leaves_that_lightgbm_says(objective: str, more: dict[str, Any]) -> None:
    text = text_of(3, objective, more)
    same(text, hard_rows(text, 1_500, 4))


def test_the_models_that_are_tried_have_what_could_go_wrong() -> None:
    kinds = {k for more in PARAMS for t in read_forest(text_of(3, more=more)).trees for k in t.kind.tolist()}
    assert {k >> 2 & 3 for k in kinds if not k & 1} == {0, 1, 2}
    assert {k >> 1 & 1 for k in kinds if not k & 1 and k >> 2} == {0, 1}
    forest = read_forest(text_of(3, more=PARAMS[3]))
    assert max(s.size for t in forest.trees for s in t.sets) > 2
    assert max(np.unpackbits(s.view(np.uint8)).sum() for t in forest.trees for s in t.sets) > 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000), rows=st.integers(1, 300), run=st.integers(1, 80), more=st.sampled_from(PARAMS), trees=st.integers(1, 5)
)  # fmt: skip
def test_any_matrix_in_any_order(seed: int, rows: int, run: int, more: dict[str, Any], trees: int) -> None:
    text = text_of(seed % 7, more=more, rows=200, trees=trees)
    x = hard_rows(text, rows, seed)
    x[:, ::2] = x[np.arange(rows) // run * run][:, ::2]  # runs of rows that share half of their features
    same(text, x)
    same(text, np.asfortranarray(x[::-1]))


@pytest.mark.parametrize("rows", [0, 1, 63, 64, 65, 128])
def test_blocks_may_end_anywhere(rows: int) -> None:
    text = text_of(1)
    x = hard_rows(text, 128, 2)
    whole = booster_of(text).native.predict(x, num_threads=1)
    assert booster_of(text).walked(x[:rows]).tobytes() == whole[:rows].tobytes()


def test_trees_of_one_leaf() -> None:
    text = text_of(1, more={"min_data_in_leaf": 500})
    assert {t.leaf.size for t in read_forest(text).trees} == {1}
    same(text, hard_rows(text, 100, 2))


def test_overflow_is_infinite_as_in_lightgbm() -> None:
    text = text_of(1, trees=1)
    leaf = next(line for line in text.splitlines() if line.startswith("leaf_value="))
    values = ["800", "709.5", "-800", *leaf.partition("=")[2].split()[3:]]
    text = text.replace(leaf, "leaf_value=" + " ".join(values))
    x = hard_rows(text, 3_000, 2)
    same(text, x)
    assert np.isinf(booster_of(text).walked(x)).any()


def test_one_more_feature_beside_the_matrix() -> None:
    text = text_of(5)
    x = hard_rows(text, 500, 6)
    theirs = booster_of(text).native.predict(x, num_threads=1)
    booster = booster_of(text)
    assert booster.walked(x[:, :5], x[:, 5]).tobytes() == theirs.tobytes()
    assert booster.predict(np.ascontiguousarray(x[:, :5]), num_threads=1, last=x[:, 5]).tobytes() == theirs.tobytes()


def test_many_rows_are_walked_and_few_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    text, asked = text_of(1), []

    def load(model: str) -> Any:
        asked.append(model)
        return booster_of(model).native

    x = hard_rows(text, 200, 2)
    few = Booster(text, load).predict(x, num_threads=1)
    assert asked == [text]
    monkeypatch.setattr(walk, "WALK_ABOVE", 200 * 12)
    many = Booster(text, load).predict(x, num_threads=1)
    assert asked == [text]
    assert few.tobytes() == many.tobytes()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("objective=tweedie", "objective=lambdarank", "lambdarank"),
        ("objective=tweedie", "objective=regression sqrt", "sqrt"),
        ("objective=tweedie\n", "", "none"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=3", "several outputs"),
        ("objective=tweedie", "average_output\nobjective=tweedie", "averaged"),
        ("is_linear=0", "is_linear=1", "linear trees"),
    ],
)
def test_what_is_not_ours_is_refused_by_name(old: str, new: str, why: str) -> None:
    text = text_of(1)
    assert old in text
    with pytest.raises(BadInputError, match=why):
        read_forest(text.replace(old, new))


@pytest.mark.parametrize(
    ("line", "value", "why"),
    [
        ("left_child", "0", "lead nowhere"),
        ("right_child", "-999", "lead nowhere"),
        ("split_feature", "6", "lead nowhere"),
        ("leaf_value", "", "one length"),
    ],
)
def test_damaged_trees_are_refused_before_compiled_code_reads_them(line: str, value: str, why: str) -> None:
    text = text_of(1)
    old = next(found for found in text.splitlines() if found.startswith(f"{line}="))
    rest = old.partition("=")[2].split()[1:]
    with pytest.raises(BadInputError, match=why):
        read_forest(text.replace(old, f"{line}=" + " ".join([value, *rest])))


def test_models_and_rows_that_the_walk_does_not_know_are_left_to_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "WALK_ABOVE", 0)
    linear = text_of(1, "regression", {"linear_tree": True})
    x = np.nan_to_num(hard_rows(text_of(1), 50, 2), posinf=1.0, neginf=-1.0)
    booster = booster_of(linear)
    assert booster.predict(x, num_threads=1).tobytes() == booster.native.predict(x, num_threads=1).tobytes()
    with pytest.raises(BadInputError, match="does not know"):
        booster.walked(x)
    ours = booster_of(text_of(1))
    double = x.astype(np.float64) + 1e-9
    assert ours.predict(double, num_threads=1).tobytes() == ours.native.predict(double, num_threads=1).tobytes()  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="rows are not its"):
        ours.walked(x[:, :4])


def test_a_model_says_the_same_on_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    n = 3_000
    x = rng.random((n, 4), dtype=np.float32)
    origin = np.sort(rng.integers(0, 20, n)) * 7
    horizon = rng.integers(1, 29, n).astype(np.int32)
    scale, y = np.exp(rng.normal(size=n)), rng.poisson(2 * x[:, 0], n).astype(np.float64)
    frame = Design(
        x, ("a", "b", "c", "d"), (), scale, np.full(n, "smooth"), horizon, origin + horizon, origin, y * scale
    )
    model = BoostedModel(replace(BoostSpec(), trees=20, spread_trees=10)).fit(frame, 7)
    few = model.predict(frame)
    monkeypatch.setattr(walk, "WALK_ABOVE", 0)
    many = model.predict(frame)
    assert few.mean.tobytes() == many.mean.tobytes()
    assert few.quantiles.tobytes() == many.quantiles.tobytes()


def test_models_are_imported_without_the_compiler() -> None:
    code = "import sys, ml.models.boosted, ml.scoring; print([m for m in ('numba', 'lightgbm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
