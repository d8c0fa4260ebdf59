"""Lags and rolling statistics of a whole long panel, any keys and frequency: the bulk kernel behind the feature race.

Large panels go through a compiled kernel (`ml.lag_kernel`), others through NumPy in blocks of a fixed number of cells; both give the
same bits. Values accumulate in 64 bits and are stored in 32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError
from ml.windows import F32, F64, WindowSums, shift

I64 = npt.NDArray[np.int64]

COMPILE_ABOVE = 10_000_000  # rows; below this loading the compiled kernel costs more than it saves
BLOCK_CELLS = 60_000  # half a megabyte each: what a core keeps beside it


def panel_features(
    frame: pl.DataFrame, keys: Sequence[str], time: str, target: str, *, lags: Sequence[int] = (7, 14, 21, 28, 35),
    windows: Sequence[int] = (7, 28, 56, 180), lag_of_windows: int = 1,
) -> pl.DataFrame:  # fmt: skip
    """Lags and rolling mean and standard deviation (divisor n − 1) of windows that are full, as 32-bit columns.

    Args:
        frame: rows sorted by key and time; every series has every period from its first to its last row.
        keys: columns that name a series.
        time: time column.
        target: numeric column; nulls count as missing.
        lags: periods back.
        windows: lengths of rolling windows.
        lag_of_windows: the windows end so many periods back.

    Returns:
        `frame` with `lag_<k>`, `mean_<w>`, `std_<w>` beside it, same rows, same order; null where a window is not full.

    Raises:
        BadInputError: rows are not sorted by key and time.
    """
    starts, lengths = _series(frame, keys, time)
    value = frame[target].cast(pl.Float64).fill_null(np.nan).to_numpy()
    names = [f"lag_{k}" for k in lags] + [f"{stat}_{w}" for w in windows for stat in ("mean", "std")]
    out = np.empty((len(names), frame.height), dtype=np.float32)
    if frame.height > COMPILE_ABOVE:
        from ml.lag_kernel import lag_features, window_features

        lag_features(value, starts, lengths, np.array(lags, dtype=np.int64), out[: len(lags)])
        window_features(value, starts, lengths, np.array(windows, dtype=np.int64), lag_of_windows, out[len(lags) :])
    else:
        _plain(dict(zip(names, out, strict=True)), value, starts, lengths, lags, windows, lag_of_windows)
    return frame.with_columns(pl.Series(name, values).fill_nan(None) for name, values in zip(names, out, strict=True))


def _plain(
    out: dict[str, F32], value: F64, starts: I64, lengths: I64, lags: Sequence[int], windows: Sequence[int], back: int
) -> None:
    """In NumPy, blocks of series: the reference, and quick to start."""
    for rows, wide in _blocks(value, starts, lengths):
        keep = rows >= 0
        first, last = int(rows[0, 0]), int(rows[-1, -1])
        # whole series that follow one another are one stretch of the output
        plain = (
            bool(keep.all()) and last - first + 1 == rows.size and bool((np.diff(rows[:, 0]) == rows.shape[1]).all())
        )
        place = slice(first, last + 1) if plain else rows[keep]
        into = {n: v[place].reshape(wide.shape) if plain else np.empty(wide.shape, np.float32) for n, v in out.items()}
        _fill(into, wide, lags, windows, back)
        if not plain:
            for name, block in into.items():
                out[name][place] = block[keep]


def _series(frame: pl.DataFrame, keys: Sequence[str], time: str) -> tuple[I64, I64]:
    """First row and number of rows of every series."""
    if frame.height == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    new = pl.any_horizontal(pl.col(k).ne_missing(pl.col(k).shift(1)) for k in keys) if keys else pl.lit(False)
    marks = frame.select(
        new.fill_null(True).alias("new"), (pl.col(time) <= pl.col(time).shift(1)).fill_null(False).alias("back")
    )
    first = marks["new"].to_numpy().copy() if keys else np.zeros(frame.height, dtype=bool)
    first[0] = True
    if (marks["back"].to_numpy() & ~first).any():
        raise BadInputError(
            "rows are not sorted by key and time, or are doubled",
            where=time,
            todo=f"sort by {', '.join([*keys, time])}",
        )
    starts = np.flatnonzero(first)
    return starts, np.diff(np.append(starts, frame.height))


def _blocks(value: F64, starts: I64, lengths: I64):  # type: ignore[no-untyped-def]
    """Groups of series as wide arrays (NaN beyond their end) with the row number of each cell (−1 beyond the end)."""
    order = np.argsort(lengths, kind="stable")
    low = 0
    while low < order.size:
        width = int(lengths[order[low]])
        step = max(1, BLOCK_CELLS // max(width, 1))
        part = order[low : low + step]
        part = part[lengths[part] <= max(width * 2, width + 64)]
        width = int(lengths[part].max())
        rows = starts[part][:, None] + np.arange(width)[None, :]
        rows = np.where(np.arange(width)[None, :] < lengths[part][:, None], rows, -1)
        yield rows, np.where(rows >= 0, value[rows], np.nan)
        low += part.size


def _fill(into: dict[str, F32], wide: F64, lags: Sequence[int], windows: Sequence[int], back: int) -> None:
    """Write every feature of some series straight to where it belongs."""
    known = ~np.isnan(wide)
    complete = bool(known.all())
    filled = wide if complete else np.where(known, wide, 0.0)
    total, square = WindowSums(filled), WindowSums(filled * filled)
    counts = None if complete else WindowSums(known.astype(np.float64))
    for k in lags:
        shift(wide, k, out=into[f"lag_{k}"])
    for w in windows:
        mean = total.over(w) / w
        spread = np.sqrt(np.maximum(square.over(w) - w * mean * mean, 0.0) / max(w - 1, 1))
        short = counts.over(w) < w if counts is not None else None
        for name, values in ((f"mean_{w}", mean), (f"std_{w}", spread)):
            values[:, : w - 1] = np.nan
            if short is not None:
                values[short] = np.nan
            shift(values, back, out=into[name])
