"""Predictions of a booster: by LightGBM for few rows, by the compiled walk for many; the same to the last bit.

LightGBM walks every row through every tree alone. Rows that follow each other are mostly one series at several horizons and
differ in few features, so `ml.models.walk_kernel` takes 64 of them down together: about eight times fewer CPU-seconds at
the shape of a night, three times on shuffled rows. It needs no LightGBM, which takes a second to import.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aios_assets.contracts.errors import BadInputError
from ml.models.forest import CATEGORICAL, F32, F64, Forest, Tree, exp_plain, finished, read_forest

I32 = npt.NDArray[np.int32]
WALK_ABOVE = 20_000_000  # rows × trees; below this loading the compiler's output costs more than it saves
NATIVE_ROWS = 65_536
PROOFS = 1_000


class Plan(NamedTuple):
    """A forest arranged for the walk: every question that nodes ask, once; a question is one word of answers.

    A column is a feature with its way of reading missing values. Its questions are its thresholds, ascending, and one more
    word that no node reads, for values above them all. Then come the sets of codes.

    Attributes:
        words: number of questions.
        leaves: most leaves of a tree.
        feature: (columns,) column of the matrix.
        missing: (columns,) what is missing: 0 nothing, 1 zero, 2 NaN.
        default_left: (columns,) whether what is missing goes left.
        start: (columns,) word of the first threshold.
        asked: (columns,) number of thresholds.
        first: (columns,) place of the first threshold in `threshold`.
        threshold: thresholds in 32 bits, rounded down: a 32-bit value is above one exactly if it is above the other.
        code_feature: (coded columns,) column of the matrix.
        code_count: (coded columns,) codes below this are in some set.
        code_start: (coded columns,) place of code 0 in `set_edge`.
        set_edge: per code where its sets start in `set_word`, and where they end.
        set_word: words of the sets that a code is in.
        nodes: (trees,) number of nodes.
        question: (nodes of all trees,) word of answers.
        left: node of the same tree, or the number of its nodes plus that of a leaf.
        right: the same.
        leaf: (leaves of all trees,) values.
    """

    words: int
    leaves: int
    feature: I32
    missing: I32
    default_left: I32
    start: I32
    asked: I32
    first: I32
    threshold: F32
    code_feature: I32
    code_count: I32
    code_start: I32
    set_edge: I32
    set_word: I32
    nodes: I32
    question: I32
    left: I32
    right: I32
    leaf: F64


Key = tuple[int, int, float | bytes]  # feature, decision type, threshold or set


def plan_of(forest: Forest) -> Plan:
    """Arrange a forest for the walk."""
    keys = [_keys(tree) for tree in forest.trees]
    asked = sorted({key for tree in keys for key in tree if not key[1] & CATEGORICAL})
    sets = sorted({key for tree in keys for key in tree if key[1] & CATEGORICAL})
    column = sorted({key[:2] for key in asked})
    place = {pair: c for c, pair in enumerate(column)}
    count = np.bincount([place[key[:2]] for key in asked], minlength=len(column))
    first = np.cumsum(count) - count
    word: dict[Key, int] = {key: i + place[key[:2]] for i, key in enumerate(asked)}  # one word to spare per column
    word |= {key: len(asked) + len(column) + i for i, key in enumerate(sets)}
    kind = np.array([pair[1] for pair in column], dtype=np.int32)

    def down(side: str) -> I32:
        return _joined(
            [np.where(getattr(t, side) < 0, t.nodes + ~getattr(t, side), getattr(t, side)) for t in forest.trees]
        )

    return Plan(
        len(word) + len(column), forest.leaves, np.array([pair[0] for pair in column], dtype=np.int32), kind >> 2 & 3, kind >> 1 & 1,
        (first + np.arange(len(column))).astype(np.int32), count.astype(np.int32), first.astype(np.int32),
        np.array([key[2] for key in asked], dtype=np.float32), *_code_lists(sets, word),
        np.array([tree.nodes for tree in forest.trees], dtype=np.int32),
        _joined([np.array([word[key] for key in tree], dtype=np.int64) for tree in keys]), down("left"), down("right"),
        np.concatenate([np.zeros(0), *(tree.leaf for tree in forest.trees)]),
    )  # fmt: skip


def _joined(parts: list[npt.NDArray[np.int64]]) -> I32:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts]).astype(np.int32)


def _keys(tree: Tree) -> list[Key]:
    """The question of every node."""
    low = _rounded_down(tree.threshold)
    return [
        (f, CATEGORICAL, tree.sets[int(t)].tobytes()) if k & CATEGORICAL else (f, k, float(v))
        for f, k, t, v in zip(tree.feature.tolist(), tree.kind.tolist(), tree.threshold.tolist(), low, strict=True)
    ]


def _rounded_down(threshold: F64) -> F32:
    """The largest 32-bit number not above each threshold."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _code_lists(sets: list[Key], word: dict[Key, int]) -> tuple[I32, I32, I32, I32, I32]:
    """The coded columns of `Plan`: feature, codes, place of code 0, edges and words of the sets that each code is in."""
    feature = sorted({key[0] for key in sets})
    counts, starts, edges, words = [], [], [0], [np.zeros(0, dtype=np.int64)]
    for f in feature:
        mine = [members for g, _, members in sets if g == f and isinstance(members, bytes)]
        inside = np.zeros((8 * max(map(len, mine)), len(mine)), dtype=bool)
        for i, members in enumerate(mine):
            bits = np.unpackbits(np.frombuffer(members, dtype=np.uint8), bitorder="little")
            inside[: bits.size, i] = bits
        starts.append(len(edges) - 1)
        counts.append(len(inside))
        edges += (edges[-1] + np.cumsum(inside.sum(axis=1))).tolist()
        words.append(np.array([word[f, CATEGORICAL, members] for members in mine])[np.nonzero(inside)[1]])
    lists = (np.array(values, dtype=np.int32) for values in (feature, counts, starts, edges))
    return (*lists, _joined(words))  # type: ignore[return-value]


class Booster:
    """A booster as its text: how the project predicts.

    Args:
        text: LightGBM's own.
        load: makes LightGBM's booster of it.
    """

    def __init__(self, text: str, load: Callable[[str], Any]) -> None:
        self.text, self._load = text, load
        self._trees = text.count("\nTree=")

    @cached_property
    def native(self) -> Any:
        """LightGBM's own booster."""
        return self._load(self.text)

    @cached_property
    def _ready(self) -> tuple[Forest, Plan] | None:
        try:
            forest = read_forest(self.text)
        except BadInputError:
            return None  # not one of our models; LightGBM knows it
        return forest, plan_of(forest)

    def predict(self, x: F32, *, num_threads: int, last: F32 | None = None) -> F64:
        """Predictions of every row, bit for bit LightGBM's own.

        Args:
            x: (rows, features) 32 bits.
            num_threads: threads of LightGBM where it answers; the compiled walk takes one.
            last: values of one more feature after those of `x`.
        """
        if x.shape[0] * self._trees >= WALK_ABOVE and self.walks(x, last):
            return self.walked(x, last)
        if last is None:
            return np.asarray(self.native.predict(x, num_threads=num_threads), dtype=np.float64)
        out = np.empty(x.shape[0])
        wide = np.empty((min(x.shape[0], NATIVE_ROWS), x.shape[1] + 1), dtype=np.float32)
        for low in range(0, x.shape[0], NATIVE_ROWS):  # one small buffer: fresh memory costs more than the trees
            part = slice(low, min(low + NATIVE_ROWS, x.shape[0]))
            rows = wide[: part.stop - low]
            rows[:, :-1], rows[:, -1] = x[part], last[part]
            out[part] = self.native.predict(rows, num_threads=num_threads)
        return out

    def walks(self, x: F32, last: F32 | None = None) -> bool:
        """Whether the compiled walk can answer: a model it knows, 32-bit values, all its features."""
        wide = x.shape[1] + (last is not None)
        return self._ready is not None and x.dtype == np.float32 and wide == self._ready[0].features

    def walked(self, x: F32, last: F32 | None = None) -> F64:
        """Predictions by the compiled walk.

        Raises:
            BadInputError: it cannot answer; see `walks`.
        """
        if self._ready is None or not self.walks(x, last):
            raise BadInputError("the compiled walk does not know this model, or the rows are not its", where="booster")
        from ml.models.walk_kernel import walk

        forest, plan = self._ready
        out = np.empty(x.shape[0])
        tail = np.zeros(0, dtype=np.float32) if last is None else np.require(last, np.float32, ["C", "W"])
        walk(plan, np.require(x, np.float32, ["C", "W"]), tail, out)
        return finished(forest, out, _exp)


def _exp(values: F64) -> F64:
    """`exp_plain`, compiled; where a vector library of the compiler's rounds otherwise, value by value after all."""
    from ml.models.walk_kernel import exponential

    out: F64 = exponential(values)
    some = slice(None, None, max(1, values.size // PROOFS))
    return out if np.array_equal(out[some], exp_plain(values[some])) else exp_plain(values)
