"""Positions in a text to a string column, without a Python object per value: the one place that knows Arrow's string views.

Source: Apache Arrow columnar format, variable-size binary view layout: sixteen bytes a value, of which the first four are the
length; a value of at most twelve bytes stands in the rest, a longer one leaves its first four bytes, buffer and offset there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Ints = npt.NDArray[np.int64]
INLINE = 12
# Twelve bytes are read at every place, also at the last.
PADDING = bytes(16)
# Values at a time: what is computed on the way stays in the processor's cache.
_BLOCK = 8192
_LOW = np.array([(1 << (8 * min(n, 8))) - 1 for n in range(INLINE + 1)], dtype=np.uint64)
_HIGH = np.array([(1 << (8 * max(0, n - 8))) - 1 for n in range(INLINE + 1)], dtype=np.uint64)
_HALF = np.uint64(32)


class Slicer:
    """Makes string columns of slices of one text.

    Args:
        text: UTF-8, followed by `PADDING`.
        size: its bytes without the padding.
    """

    def __init__(self, text: bytes, size: int) -> None:
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(text, dtype=np.uint8)
        self._buffer = pa.py_buffer(text)
        shape = (size + 1,)
        stride = np.lib.stride_tricks.as_strided
        self._eight = stride(self.bytes[:8].view("<u8"), shape=shape, strides=(1,))
        self._four = stride(self.bytes[8:12].view("<u4"), shape=shape, strides=(1,))

    def strings(self, start: Ints, end: Ints, given: npt.NDArray[np.bool_] | None = None) -> pl.Series:
        """One string per slice.

        Args:
            start: first bytes, at character borders.
            end: bytes after the last.
            given: where there is a value; otherwise where the slice is not empty.
        """
        return self.column(len(start), lambda block: (start[block], end[block]), given)

    def column(
        self, count: int, spans: Callable[[slice], tuple[Ints, Ints]], given: npt.NDArray[np.bool_] | None = None
    ) -> pl.Series:
        """One string per slice, the slices computed a block at a time.

        Args:
            count: number of values.
            spans: first bytes and bytes after the last of a block of values.
            given: where there is a value; otherwise where the slice is not empty.
        """
        views = np.empty((count, 2), dtype=np.uint64)
        there = np.empty(count, dtype=np.bool_) if given is None else given
        long = False
        for at in range(0, count, _BLOCK):
            block = slice(at, at + _BLOCK)
            start, end = spans(block)
            long |= self._fill(views[block], start, end)
            if given is None:
                np.less(start, end, out=there[block])
        nulls = count - int(np.count_nonzero(there))
        valid = pa.py_buffer(np.packbits(there, bitorder="little")) if nulls else None
        # A column of short values does not keep the text alive.
        buffers = [valid, pa.py_buffer(views), *([self._buffer] if long else [])]
        array = pa.Array.from_buffers(pa.string_view(), count, buffers, null_count=nulls)
        out = pl.Series(array)
        assert isinstance(out, pl.Series)
        return out

    def words(self, start: Ints, end: Ints) -> npt.NDArray[np.uint32]:
        """Slices of at most four bytes as numbers (little endian); longer ones are zero."""
        size = end - start
        low = self._eight[start] & _LOW[np.minimum(size, 4)]
        return np.where(size <= 4, low, 0).astype(np.uint32)

    def _fill(self, views: npt.NDArray[np.uint64], start: Ints, end: Ints) -> bool:
        """Write the views; says whether any value is too long to stand in its view."""
        size = np.maximum(end - start, 0)
        inline = np.minimum(size, INLINE)
        low = self._eight[start] & _LOW[inline]
        views[:, 0] = (low << _HALF) | size.astype(np.uint64)
        views[:, 1] = (low >> _HALF) | ((self._four[start] & _HIGH[inline]) << _HALF)
        long = np.flatnonzero(size > INLINE)
        if len(long):
            views[long, 1] = start[long].astype(np.uint64) << _HALF
        return bool(len(long))


def compact(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with long strings copied out of the texts they were cut from, so that these can be freed."""
    long = [
        name
        for name, dtype in frame.schema.items()
        if dtype == pl.String and (frame[name].str.len_bytes().max() or 0) > INLINE  # type: ignore[operator]
    ]
    return frame.with_columns(pl.concat_str(pl.col(n), pl.lit("")).alias(n) for n in long)
