"""LightGBM's own text read into arrays, and the plain walk through its trees that the fast one is held to.

Only what our models are is read: one output, no linear leaves, a known objective. Anything else is refused by name, and
LightGBM's own predict answers for it (`ml.models.walk.Booster`).
Source: LightGBM 4, `src/io/tree.cpp` and `include/LightGBM/tree.h` (decision types, missing values, categorical bit sets).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aios_assets.contracts.errors import BadInputError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
ZERO = float(np.float32(1e-35))  # LightGBM takes what is not larger for zero
CATEGORICAL, DEFAULT_LEFT, MISSING_ZERO, MISSING_NAN = 1, 2, 1, 2
IDENTITY, EXP, SIGMOID = "identity", "exp", "sigmoid"
OUTPUTS = {
    "regression": IDENTITY, "regression_l1": IDENTITY, "huber": IDENTITY, "fair": IDENTITY, "quantile": IDENTITY, "mape": IDENTITY,
    "poisson": EXP, "gamma": EXP, "tweedie": EXP, "binary": SIGMOID,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree; (nodes,) each, leaves one more. A tree of one leaf has no node.

    Attributes:
        feature: column that a node asks.
        threshold: a value not above it goes left; of a categorical node, the index of its set.
        kind: LightGBM's decision type: bit 0 categorical, bit 1 missing goes left, bits 2 and 3 what is missing (0 nothing, 1 zero, 2 NaN).
        left: child to the left: a node, or the complement of a leaf.
        right: the same to the right.
        leaf: values of the leaves, shrunk already.
        sets: codes that go left as bits, one array of 32-bit words per set.
    """

    feature: I64
    threshold: F64
    kind: I64
    left: I64
    right: I64
    leaf: F64
    sets: tuple[npt.NDArray[np.uint32], ...]

    @property
    def nodes(self) -> int:
        """Number of inner nodes."""
        return int(self.feature.size)


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees of a booster.

    Attributes:
        trees: in the order in which they are added up.
        features: columns of the matrix.
        output: what the sum becomes: itself, its exponential, or a chance.
        slope: of the chance's sigmoid.
    """

    trees: tuple[Tree, ...]
    features: int
    output: str
    slope: float = 1.0

    @property
    def leaves(self) -> int:
        """Most leaves of a tree."""
        return max((tree.leaf.size for tree in self.trees), default=1)


def read_forest(text: str) -> Forest:
    """Read LightGBM's text.

    Raises:
        BadInputError: several outputs, averaged or linear trees, an objective whose output is not known here, or nodes that
            lead nowhere.
    """
    head, *parts = text.partition("end of trees")[0].split("\nTree=")
    lines = head.splitlines()
    known = _fields(head)
    objective, *options = known.get("objective", "none").split()
    if objective not in OUTPUTS or "sqrt" in options:
        raise BadInputError(
            f"the objective '{known.get('objective', 'none')}' is not known here", where="LightGBM text"
        )
    if "average_output" in lines or known.get("num_tree_per_iteration") != "1":
        raise BadInputError("several outputs, or trees that are averaged, are not known here", where="LightGBM text")
    slope = next((float(o.removeprefix("sigmoid:")) for o in options if o.startswith("sigmoid:")), 1.0)
    features = int(known["max_feature_idx"]) + 1
    return Forest(tuple(_sound(_tree(part), features) for part in parts), features, OUTPUTS[objective], slope)


def _fields(part: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in part.splitlines())
    return {name: value for name, sign, value in pairs if sign}


def _tree(part: str) -> Tree:
    known = _fields(part)
    if known.get("is_linear", "0") != "0":
        raise BadInputError("linear trees are not known here", where=f"LightGBM text, tree {part.split(maxsplit=1)[0]}")

    def whole(name: str) -> I64:
        return np.array(known.get(name, "").split(), dtype=np.int64)

    words, edges = whole("cat_threshold").astype(np.uint32), whole("cat_boundaries")
    sets = tuple(words[low:high] for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    threshold, leaf = (np.array(known.get(name, "").split(), dtype=np.float64) for name in ("threshold", "leaf_value"))
    return Tree(
        whole("split_feature"), threshold, whole("decision_type"), whole("left_child"), whole("right_child"), leaf, sets
    )


def _sound(tree: Tree, features: int) -> Tree:
    """The tree, if its nodes ask for columns that exist and lead down to leaves that exist: compiled code does not look again."""
    n, coded = tree.nodes, tree.kind & CATEGORICAL == CATEGORICAL
    if not tree.leaf.size == n + 1 == tree.threshold.size + 1 == tree.kind.size + 1:
        raise BadInputError("a tree's lists are not of one length", where="LightGBM text", count=n)
    down = np.arange(n)
    lost = (tree.feature < 0) | (tree.feature >= features) | (coded & (tree.threshold >= len(tree.sets)))
    for child in (tree.left, tree.right):
        lost |= np.where(child < 0, ~child > n, (child <= down) | (child >= n))
    if lost.any():
        raise BadInputError("nodes of a tree lead nowhere", where="LightGBM text", count=int(lost.sum()))
    return tree


def walk_plain(forest: Forest, x: F32) -> F64:
    """Sums of the leaves of every row, node by node in NumPy: the reference of `ml.models.walk_kernel.walk`.

    Args:
        forest: trees.
        x: (rows, features).
    """
    values = x.astype(np.float64)
    values[np.abs(values) <= ZERO] = 0.0
    out = np.zeros(x.shape[0])
    for tree in forest.trees:
        waiting = [(0 if tree.nodes else -1, np.arange(x.shape[0]))]
        while waiting:
            node, rows = waiting.pop()
            if node < 0:
                out[rows] += tree.leaf[~node]
                continue
            left = _goes_left(tree, node, values[rows, tree.feature[node]])
            waiting += [(int(tree.left[node]), rows[left]), (int(tree.right[node]), rows[~left])]
    return out


def _goes_left(tree: Tree, node: int, values: F64) -> npt.NDArray[np.bool_]:
    kind, threshold = int(tree.kind[node]), float(tree.threshold[node])
    if kind & CATEGORICAL:
        bits = np.unpackbits(tree.sets[int(threshold)].view(np.uint8), bitorder="little").astype(bool)
        inside = (values > -1) & (values < bits.size)  # a code is cut to a whole number; NaN is in no set
        out = np.zeros(values.size, dtype=bool)
        out[inside] = bits[values[inside].astype(np.int64)]
        return out
    missing, unknown = kind >> 2 & 3, np.isnan(values)
    read = np.where(unknown, 0.0, values)
    absent = unknown if missing == MISSING_NAN else (read == 0) & (missing == MISSING_ZERO)
    return np.where(absent, bool(kind & DEFAULT_LEFT), read <= threshold)


def finished(forest: Forest, raw: F64, exp: Callable[[F64], F64]) -> F64:
    """What the sums become under the booster's objective.

    Args:
        forest: says which.
        raw: sums of leaves.
        exp: exponential, equal to the C library's to the last bit.
    """
    if forest.output == EXP:
        return exp(raw)
    if forest.output == SIGMOID:
        out: F64 = 1.0 / (1.0 + exp(-forest.slope * raw))
        return out
    return raw


def exp_plain(values: F64) -> F64:
    """The C library's exponential value by value (NumPy's own differs in the last bit); infinite where it overflows."""

    def one(value: float) -> float:
        try:
            return math.exp(value)
        except OverflowError:
            return math.inf

    return np.array([one(value) for value in values.tolist()], dtype=np.float64)
