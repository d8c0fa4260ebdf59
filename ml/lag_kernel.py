"""The compiled kernel of `ml.lag_features`: one series at a time, its partial sums beside the core, each feature written once.

Sums are added in the order of `ml.windows.WindowSums` (by doubling), so the numbers are those of the NumPy way to the last bit.
Numba is loaded with this module: import it where it is needed, not at the top of another.
"""

from __future__ import annotations

import numpy as np

from ml.compiled import compiled


@compiled
def double(levels, n):  # type: ignore[no-untyped-def]
    """Fill each level after the first with trailing sums of twice as many values as the one before, in the first n columns."""
    for e in range(1, levels.shape[0]):
        span, below, here = 1 << (e - 1), levels[e - 1], levels[e]
        for i in range(min(span, n)):
            here[i] = below[i]
        for i in range(span, n):
            here[i] = below[i] + below[i - span]


@compiled
def window_sum(levels, n, window, total):  # type: ignore[no-untyped-def]
    """Trailing sums of `window` values, into the first n of `total`."""
    offset = 0
    for e in range(levels.shape[0] - 1, -1, -1):
        if window >> e & 1:
            part = levels[e]
            if offset == 0:
                for i in range(n):
                    total[i] = part[i]
            else:
                for i in range(offset, n):
                    total[i] += part[i - offset]
            offset += 1 << e


@compiled
def lag_features(value, starts, lengths, lags, out):  # type: ignore[no-untyped-def]
    """Values of so many rows before, NaN before a series' first; (lags, rows) 32 bits."""
    for s in range(starts.size):
        first, n = starts[s], lengths[s]
        for k in range(lags.size):
            row, lag = out[k], lags[k]
            for i in range(first, first + min(lag, n)):
                row[i] = np.nan
            for i in range(first + lag, first + n):
                row[i] = value[i - lag]


@compiled
def window_features(value, starts, lengths, windows, back, out):  # type: ignore[no-untyped-def]
    """Mean and standard deviation of every window of every series, NaN where a window is not full.

    Args:
        value: (rows,) NaN where missing.
        starts: (series,) first row.
        lengths: (series,) rows.
        windows: lengths.
        back: the windows end so many rows back.
        out: (2 · windows, rows) 32 bits: mean and deviation of each window.
    """
    powers = 1
    while 1 << powers <= windows.max():
        powers += 1
    longest = lengths.max()
    shape = (powers, longest)
    total, square, count = np.empty(shape), np.empty(shape), np.empty(shape)
    a, b, c = np.empty(longest), np.empty(longest), np.empty(longest)
    for s in range(starts.size):
        first, n = starts[s], lengths[s]
        complete = True
        for i in range(n):
            v = value[first + i]
            known = v == v
            complete &= known
            v = v if known else 0.0
            total[0, i], square[0, i], count[0, i] = v, v * v, 1.0 if known else 0.0
        double(total, n)
        double(square, n)
        if not complete:
            double(count, n)
        for k in range(windows.size):
            w = windows[k]
            window_sum(total, n, w, a)
            window_sum(square, n, w, b)
            for i in range(n):
                a[i] = a[i] / w
                b[i] = np.sqrt(max(b[i] - w * a[i] * a[i], 0.0) / max(w - 1, 1))
            for i in range(min(w - 1, n)):
                a[i] = b[i] = np.nan
            if not complete:
                window_sum(count, n, w, c)
                for i in range(n):
                    if c[i] < w:
                        a[i] = b[i] = np.nan
            mean, spread = out[2 * k, first : first + n], out[2 * k + 1, first : first + n]
            for i in range(min(back, n)):
                mean[i] = spread[i] = np.nan
            for i in range(back, n):
                mean[i], spread[i] = a[i - back], b[i - back]
