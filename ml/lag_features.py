"""Lags and rolling statistics of a whole long panel, any keys and frequency: the bulk kernel behind the feature race.

Series are computed in blocks of a fixed number of cells, so that buffers are reused and memory does not grow with the panel;
values accumulate in 64 bits and are stored in 32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError
from ml.windows import F32, F64, WindowSums, shift

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
    out = {name: np.empty(frame.height, dtype=np.float32) for name in names}
    for rows, wide in _blocks(value, starts, lengths):
        keep = rows >= 0
        first, last = int(rows[0, 0]), int(rows[-1, -1])
        # whole series that follow one another are one stretch of the output
        plain = (
            bool(keep.all()) and last - first + 1 == rows.size and bool((np.diff(rows[:, 0]) == rows.shape[1]).all())
        )
        place = slice(first, last + 1) if plain else rows[keep]
        into = {n: v[place].reshape(wide.shape) if plain else np.empty(wide.shape, np.float32) for n, v in out.items()}
        _fill(into, wide, lags, windows, lag_of_windows)
        if not plain:
            for name, block in into.items():
                out[name][place] = block[keep]
    return frame.with_columns(pl.Series(name, values).fill_nan(None) for name, values in out.items())


def _series(frame: pl.DataFrame, keys: Sequence[str], time: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
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


def _blocks(value: F64, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]):  # type: ignore[no-untyped-def]
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
