"""Trailing-window sums over a wide panel (series × periods), in an order of additions that does not depend on where the panel starts.

Sums are built by doubling (1, 2, 4, … periods), so a value depends only on the periods inside its window: one new day
computed alone equals the same day computed within the whole history, to the last bit. Accumulation is in 64 bits; the
caller decides what is stored. Missing values are NaN in the input and count as absent, not as zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
FEW = 16


def shift(x: F64, k: int, fill: float = np.nan, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """Values of `k` periods before (`k ≥ 0`) along the last axis; written to `out` where it is given.

    >>> shift(np.array([[1.0, 2.0, 3.0]]), 1, 0.0)
    array([[0., 1., 2.]])
    """
    if out is None:
        if k == 0:
            return x
        out = np.empty_like(x)
    out[..., :k] = fill
    out[..., k:] = x[..., : max(x.shape[-1] - k, 0)]
    return out


def at_lag(x: F64, k: int, columns: npt.NDArray[np.int64]) -> F64:
    """`shift(x, k)` at some columns only.

    >>> at_lag(np.array([[1.0, 2.0, 3.0]]), 1, np.array([0, 2]))
    array([[nan,  2.]])
    """
    place = columns - k
    return np.where(place >= 0, x[:, np.maximum(place, 0)], np.nan)


class WindowSums:
    """Trailing sums of a complete array (no NaN) for any windows, sharing the doubled partial sums.

    >>> sums = WindowSums(np.array([[1.0, 2.0, 3.0, 4.0]]))
    >>> sums.over(3)
    array([[1., 3., 6., 9.]])
    """

    def __init__(self, x: F64, stride: int = 1) -> None:
        self._stride = stride
        self._powers: list[F64] = [x]

    def _power(self, exponent: int) -> F64:
        while len(self._powers) <= exponent:
            half = self._powers[-1]
            span = (1 << (len(self._powers) - 1)) * self._stride
            double = half.copy()
            if span < half.shape[-1]:
                double[..., span:] += half[..., :-span]
            self._powers.append(double)
        return self._powers[exponent]

    def over(self, window: int) -> F64:
        """Sum of the last `window` values (at distance `stride`), values before the panel counting as zero.

        Raises:
            ValueError: the window is not positive.
        """
        if window < 1:
            raise ValueError(f"a window has at least one period, not {window}")
        total: F64 | None = None
        offset = 0
        for exponent in range(window.bit_length() - 1, -1, -1):
            if not window >> exponent & 1:
                continue
            part = self._power(exponent)
            if total is None:
                total = part.copy()
            elif offset < total.shape[-1]:
                total[..., offset:] += part[..., :-offset] if offset else part
            offset += (1 << exponent) * self._stride
        assert total is not None  # window has at least one bit
        return total

    def at(self, window: int, columns: npt.NDArray[np.int64]) -> F64:
        """`over(window)` at some columns; for few columns only what they need is added, in the same order.

        >>> WindowSums(np.array([[1.0, 2.0, 3.0, 4.0]])).at(3, np.array([3]))
        array([[9.]])
        """
        if columns.size * FEW >= self._powers[0].shape[-1]:
            return self.over(window)[:, columns]
        total: F64 | None = None
        offset = 0
        for exponent in range(window.bit_length() - 1, -1, -1):
            if window >> exponent & 1:
                part = self._tree(columns - offset * self._stride, 1 << exponent)
                total = part if total is None else total + part
                offset += 1 << exponent
        assert total is not None  # window has at least one bit
        return total

    def _tree(self, columns: npt.NDArray[np.int64], leaves: int) -> F64:
        """Sums of `leaves` values back from each column, pair by pair as doubling adds them."""
        x = self._powers[0]
        place = columns[None, :] - self._stride * np.arange(leaves)[:, None]
        parts = np.where(place[:, None, :] >= 0, x[:, np.maximum(place, 0)].transpose(1, 0, 2), 0.0)
        while parts.shape[0] > 1:
            parts = parts[0::2] + parts[1::2]
        out: F64 = parts[0]
        return out


def last_true(
    flags: npt.NDArray[np.bool_], before: npt.NDArray[np.int64], columns: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """Index of the last true flag up to each period, or up to some of them.

    Args:
        flags: (series, periods).
        before: (series,) index of the last true flag before the panel, a large negative number where there is none.
        columns: periods wanted; all when None.

    Returns:
        (series, periods wanted) indices, `before` where no flag was true yet.
    """
    if columns is None or columns.size * FEW >= flags.shape[1]:
        index = np.where(flags, np.arange(flags.shape[1], dtype=np.int64), before[:, None])
        found = np.maximum.accumulate(index, axis=1)
        return found if columns is None else found[:, columns]
    out = np.empty((flags.shape[0], columns.size), dtype=np.int64)
    for i, column in enumerate(columns.tolist()):
        back = flags[:, column::-1].argmax(axis=1)  # stops at the first true one looking back
        here = column - back
        out[:, i] = np.where(flags[np.arange(flags.shape[0]), here], here, before)
    return out
