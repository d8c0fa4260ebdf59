"""The compiled twin of `ml.own_features.own_features`, for whole histories: one series at a time, each feature written once.

Sums of fractions are added in the order of `ml.windows.WindowSums` (by doubling), so the numbers are those of the NumPy way to the
last bit; what is counted is exact in any order. Numba is loaded with this module: import it where it is needed.
"""

from __future__ import annotations

import numpy as np

from ml.compiled import compiled


@compiled
def add(a, b, out):  # type: ignore[no-untyped-def]
    """a + b; plain indices from zero let the compiler add several at once."""
    for i in range(out.size):
        out[i] = a[i] + b[i]


@compiled
def double(levels, stride):  # type: ignore[no-untyped-def]
    """Fill each level after the first with trailing sums of twice as many values as the one before, `stride` apart."""
    n = levels.shape[1]
    for e in range(1, levels.shape[0]):
        span, below, here = min(stride << (e - 1), n), levels[e - 1], levels[e]
        here[:span] = below[:span]
        add(below[span:], below[: n - span], here[span:])


@compiled
def window_sum(levels, window, total):  # type: ignore[no-untyped-def]
    """Trailing sums of `window` values."""
    n, offset = total.size, 0
    for e in range(levels.shape[0] - 1, -1, -1):
        if window >> e & 1:
            if offset == 0:
                total[:] = levels[e]
            elif offset < n:
                add(total[offset:], levels[e][: n - offset], total[offset:])
            offset += 1 << e


@compiled
def count_up(flags, stride, so_far):  # type: ignore[no-untyped-def]
    """Number of true flags so far, `stride` apart: what `window_count` takes differences of."""
    so_far[:stride] = flags[:stride]
    for i in range(stride, flags.size):
        so_far[i] = so_far[i - stride] + flags[i]


@compiled
def window_count(so_far, reach, total):  # type: ignore[no-untyped-def]
    """True flags of the last `reach` periods, up to each."""
    reach = min(reach, so_far.size)
    total[:reach] = so_far[:reach]
    now, then, out = so_far[reach:], so_far[: so_far.size - reach], total[reach:]
    for i in range(out.size):
        out[i] = now[i] - then[i]


@compiled
def shares(a, b, out):  # type: ignore[no-untyped-def]
    """a over b, NaN where both are zero."""
    for i in range(out.size):
        out[i] = a[i] / b[i]


@compiled
def moments(total, square, count, mean, spread):  # type: ignore[no-untyped-def]
    """Mean and standard deviation (divisor n) from sums, NaN where nothing was counted."""
    for i in range(mean.size):
        middle = total[i] / count[i]
        rest = square[i] / count[i] - middle * middle
        mean[i], spread[i] = middle, np.sqrt(0.0 if rest <= 0 else rest)


@compiled
def own_series(sales, stocked, price, first_sale, last_sale, last_price, never, first, lags, windows, few, out):  # type: ignore[no-untyped-def]
    """Features of every series at the days from `first` on, in the order of `ml.own_features.own_feature_names`.

    Args:
        sales, stocked, price: (series, days) as in `ml.own_features.Wide`.
        first_sale, last_sale, last_price, never: (series,) as in `ml.own_features.Carry`, and its mark of no sale.
        first: place of the first day wanted; all days after it are wanted too.
        lags, windows: days.
        few: windows of which the share of zeros is wanted.
        out: (features, series, days wanted) 32 bits.
    """
    n, d = sales.shape[1], sales.shape[1] - first
    powers = 1
    while 1 << powers <= windows.max():
        powers += 1
    total, square, paid, week = np.empty((powers, n)), np.empty((powers, n)), np.empty((5, n)), np.empty((4, n))
    a, b, m = np.empty(n), np.empty(n), np.empty(n)
    known, zero, kept, priced = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    reports, others = np.empty(n), np.empty(n)
    for s in range(sales.shape[0]):
        row, cost, stock = sales[s], price[s], stocked[s]
        for i in range(n):
            x, p = row[i], cost[i]
            known[i], priced[i] = x == x, p == p
            zero[i], kept[i] = x == 0, known[i] * stock[i]
            x = x if x == x else 0.0
            total[0, i], square[0, i], week[0, i], paid[0, i] = x, x * x, x, p if p == p else 0.0
        double(total, 1)
        double(square, 1)
        double(paid, 1)
        double(week, 7)
        count_up(known, 1, reports)
        f = 0
        for lag in lags:
            gap = min(max(lag - first, 0), d)
            out[f, s, :gap] = np.nan
            out[f, s, gap:] = row[first + gap - lag : n - lag] if gap < d else row[:0]
            f += 1
        for w in windows:
            window_count(reports, w, m)
            window_sum(total, w, a)
            window_sum(square, w, b)
            moments(a[first:], b[first:], m[first:], out[f, s], out[f + 1, s])
            f += 2
        count_up(zero, 1, others)
        for w in few:
            window_count(reports, w, m)
            window_count(others, w, a)
            shares(a[first:], m[first:], out[f, s])
            f += 1
        count_up(kept, 1, others)
        window_count(reports, 28, m)
        window_count(others, 28, a)
        shares(a[first:], m[first:], out[f, s])
        since(row, first_sale[s], last_sale[s], never, first, out[f + 1, s], out[f + 2, s])
        count_up(known, 7, others)
        window_count(others, 56, m)
        shares(week[3][first:], m[first:], out[f + 3, s])
        count_up(priced, 1, others)
        window_count(others, 28, m)
        window_sum(paid, 28, a)
        prices(cost, last_price[s], a, m, first, out[f + 4, s], out[f + 5, s])


@compiled
def since(sales, begin, last, never, first, after_last, after_first):  # type: ignore[no-untyped-def]
    """Days since the last and the first sale, NaN before there was one."""
    begun = begin < -never
    for i in range(sales.size):
        if sales[i] > 0:
            last = i
            if not begun:
                begin, begun = i, True
        if i >= first:
            after_last[i - first] = i - last if last > never else np.nan
            after_first[i - first] = i - begin if begun and begin <= i else np.nan


@compiled
def prices(price, last, paid, known, first, newest, relative):  # type: ignore[no-untyped-def]
    """The last known price, and that over its mean of 28 days."""
    for i in range(price.size):
        if price[i] == price[i]:
            last = price[i]
        if i >= first:
            mean = paid[i] / known[i]
            newest[i - first], relative[i - first] = last, last / mean if mean > 0 else np.nan
