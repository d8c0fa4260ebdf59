"""The compiled walk through LightGBM's trees: 64 rows at a time, as the bits of one word.

Every question that some node asks ("feature 7 not above 0.25?") is answered once per 64 rows, for all nodes and trees that ask it;
a tree then needs no values any more: a node's rows are split by one bitwise and, and rows of one series, which agree on most
features, go down together. Blocks are cut anywhere, so any matrix in any order gives the same sums; each row adds up its
leaves in the order of the trees, in double precision, as LightGBM does, so the sums are the same to the last bit.

Numba is loaded with this module: import it where it is needed (`ml.models.walk`), not at the top of another.
Source: after the bit vectors of QuickScorer (Lucchese et al. 2015), with the rows, not the leaves, as bits.
"""

from __future__ import annotations

import math

import numpy as np

from ml.compiled import compiled

BLOCK = 64
NOTHING, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
MEMO = 64  # places remembered per column: target days and prices return in every series
NO_KEY = 1 << 40  # no 32 bits of a value are this
LEAST = np.float32(1e-35)  # LightGBM takes what is not larger for zero
_WHEEL = np.uint64(0x03F79D71B4CB0A89)  # de Bruijn: the top six bits of its product with a power of two name the power
_POWERS = np.zeros(64, dtype=np.int64)
for _k in range(64):
    _POWERS[((0x03F79D71B4CB0A89 << _k) & 0xFFFFFFFFFFFFFFFF) >> 58] = _k


@compiled
def walk(plan, x, last, out):  # type: ignore[no-untyped-def]
    """Sums of leaves of every row, into `out`.

    Args:
        plan: see `ml.models.walk.Plan`.
        x: (rows, features) 32 bits, one row after the other.
        last: (rows,) one more feature, or empty.
        out: (rows,).
    """
    rows, wide = x.shape[0], x.shape[1] + (1 if last.size else 0)
    values, changed = np.empty((BLOCK, wide), dtype=np.float32), np.empty(wide, dtype=np.uint64)
    answers, sums = np.empty(plan.words, dtype=np.uint64), np.empty(BLOCK)
    waiting, masks = np.empty(plan.leaves, dtype=np.int64), np.empty(plan.leaves, dtype=np.uint64)
    keys = np.full((plan.feature.size, MEMO), NO_KEY, dtype=np.int64)
    places = np.zeros((plan.feature.size, MEMO), dtype=np.int64)
    for low in range(0, rows, BLOCK):
        n = min(BLOCK, rows - low)
        for r in range(n):
            for f in range(x.shape[1]):
                values[r, f] = x[low + r, f]
            if last.size:
                values[r, x.shape[1]] = last[low + r]
        bits = values.view(np.int32)
        _changes(bits, n, changed)
        answers[:] = NOTHING
        _numbers(plan, values, bits, changed, keys, places, answers)
        _codes(plan, values, changed, answers)
        sums[:] = 0.0
        _leaves(plan, answers, waiting, masks, sums)
        for r in range(n):
            out[low + r] = sums[r]


@compiled
def _changes(bits, n, changed):  # type: ignore[no-untyped-def]
    """Per feature the rows whose value is not that of the row before; the first row always."""
    changed[:] = ONE
    for r in range(1, n):
        row = ONE << np.uint64(r)
        for f in range(changed.size):
            changed[f] |= row if bits[r, f] != bits[r - 1, f] else NOTHING


@compiled
def _run(left):  # type: ignore[no-untyped-def]
    """First row of the first run of equal values, the run as bits, and the starts of the runs that are left."""
    rest = left & (left - ONE)
    first, after = left & (~left + ONE), rest & (~rest + ONE)
    row = _POWERS[(first * _WHEEL) >> np.uint64(58)]
    return row, after - first, rest  # the last run has all bits from its first on; those beyond the rows are nobody's


@compiled
def _numbers(plan, values, bits, changed, keys, places, answers):  # type: ignore[no-untyped-def]
    """Answer the numeric questions: a row goes left at every threshold from its place on."""
    for c in range(plan.feature.size):
        f, start, count = plan.feature[c], plan.start[c], plan.asked[c]
        left = changed[f]
        while left != NOTHING:
            r, run, left = _run(left)
            key = np.int64(bits[r, f])
            slot = ((key * 2654435769) >> 26) & (MEMO - 1)
            if keys[c, slot] != key:
                keys[c, slot], places[c, slot] = key, _place(plan, c, values[r, f])
            answers[start + places[c, slot]] |= run
        met = NOTHING
        for k in range(start, start + count):
            met |= answers[k]
            answers[k] = met


@compiled
def _place(plan, c, value):  # type: ignore[no-untyped-def]
    """Number of thresholds of a column that a value is above; 0 is always left, all of them always right."""
    count, base = plan.asked[c], plan.first[c]
    unknown = np.isnan(value)
    if unknown or abs(value) <= LEAST:
        if plan.missing[c] == 1 or (unknown and plan.missing[c] == 2):
            return np.int64(0 if plan.default_left[c] else count)
        value = np.float32(0.0)
    low, left = base, count
    while left > 1:
        half = left >> 1
        low = low + half if plan.threshold[low + half - 1] < value else low
        left -= half
    return np.int64(low - base + (1 if plan.threshold[low] < value else 0))


@compiled
def _codes(plan, values, changed, answers):  # type: ignore[no-untyped-def]
    """Answer the questions about sets of codes: a code names the sets that it is in."""
    for c in range(plan.code_feature.size):
        f = plan.code_feature[c]
        left = changed[f]
        while left != NOTHING:
            r, run, left = _run(left)
            value = values[r, f]
            if value > np.float32(-1) and value < np.float32(plan.code_count[c]):  # NaN is in no set
                k = plan.code_start[c] + np.int64(value)
                for s in range(plan.set_edge[k], plan.set_edge[k + 1]):
                    answers[plan.set_word[s]] |= run


@compiled
def _leaves(plan, answers, waiting, masks, sums):  # type: ignore[no-untyped-def]
    """Take the rows down every tree, left first, and add each leaf that some of them reach to theirs."""
    node, leaf = 0, 0
    for t in range(plan.nodes.size):
        n = plan.nodes[t]
        top, i, mask = 0, np.int64(0), ALL
        while True:
            while i < n:
                answer = answers[plan.question[node + i]]
                yes, no = mask & answer, mask & ~answer
                if yes == NOTHING:
                    i = np.int64(plan.right[node + i])
                    continue
                if no != NOTHING:
                    waiting[top], masks[top] = plan.right[node + i], no
                    top += 1
                i, mask = np.int64(plan.left[node + i]), yes
            value = plan.leaf[leaf + i - n]
            for r in range(BLOCK):
                sums[r] += value if (mask >> np.uint64(r)) & ONE else 0.0
            if top == 0:
                break
            top -= 1
            i, mask = waiting[top], masks[top]
        node, leaf = node + n, leaf + n + 1


@compiled
def exponential(values):  # type: ignore[no-untyped-def]
    """The C library's exponential of every value (unless numba was given a vector library: `ml.models.walk` looks)."""
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = math.exp(values[i])
    return out
