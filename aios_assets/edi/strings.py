"""Positions in a text to a string column, without a Python object per value: the one place that knows Arrow's string views.

Source: Apache Arrow columnar format, variable-size binary view layout: sixteen bytes a value, of which the first four are the
length; a value of at most twelve bytes stands in the rest, a longer one leaves its first four bytes, buffer and offset there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

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
        return self.columns(len(start), 1, lambda block: [(start[block], end[block])], given)[0]

    def columns(
        self,
        count: int,
        width: int,
        spans: Callable[[slice], Iterable[tuple[Ints, Ints]]],
        given: npt.NDArray[np.bool_] | None = None,
    ) -> list[pl.Series]:
        """Columns with one string per slice, the slices computed a block at a time.

        Args:
            count: number of values.
            width: number of columns.
            spans: of a block of values, first bytes and bytes after the last for each column.
            given: where there is a value; otherwise where the slice is not empty.
        """
        made = [_Column(count, given) for _ in range(width)]
        for at in range(0, count, _BLOCK):
            block = slice(at, at + _BLOCK)
            for column, (start, end) in zip(made, spans(block), strict=True):
                column.long |= self._fill(column.views[block], start, end)
                if given is None:
                    np.less(start, end, out=column.there[block])
        return [column.series(self._buffer if column.long else None) for column in made]

    @cached_property
    def _buffer(self) -> pa.Buffer:
        """The text in memory of Arrow."""
        return _owned(self.bytes)

    def words(self, start: Ints, end: Ints) -> npt.NDArray[np.uint32]:
        """Slices of at most four bytes as numbers (little endian); longer ones are zero."""
        size = np.maximum(end - start, 0)
        low = self._eight[start] & _LOW[np.minimum(size, 4)]
        return np.where(size <= 4, low, 0).astype(np.uint32)

    def _fill(self, views: npt.NDArray[np.uint64], start: Ints, end: Ints) -> bool:
        """Write the views; says whether any value is too long to stand in its view."""
        size = np.maximum(end - start, 0)
        longest = int(size.max(initial=0))
        inline = np.minimum(size, INLINE) if longest > INLINE else size
        low = self._eight[start]
        low &= _LOW.take(inline, mode="clip")
        np.left_shift(low, _HALF, out=views[:, 0])
        views[:, 0] |= size.view(np.uint64)
        np.right_shift(low, _HALF, out=views[:, 1])
        if longest > 8:
            high = self._four[start] & _HIGH.take(inline, mode="clip")
            high <<= _HALF
            views[:, 1] |= high
        if longest > INLINE:
            long = np.flatnonzero(size > INLINE)
            views[long, 1] = start[long].astype(np.uint64) << _HALF
        return longest > INLINE


class _Column:
    """A string column in the making."""

    def __init__(self, count: int, given: npt.NDArray[np.bool_] | None) -> None:
        self._memory = pa.allocate_buffer(16 * count, memory_pool=_POOL)
        self.views: npt.NDArray[np.uint64] = np.frombuffer(self._memory, dtype=np.uint64).reshape(count, 2)
        self.there = np.empty(count, dtype=np.bool_) if given is None else given
        self.long = False

    def series(self, text: pa.Buffer | None) -> pl.Series:
        """The column; one of short values does not keep the text alive."""
        nulls = len(self.there) - int(np.count_nonzero(self.there))
        valid = _owned(np.packbits(self.there, bitorder="little")) if nulls else None
        buffers = [valid, self._memory, *([text] if text is not None else [])]
        out = pl.Series(pa.Array.from_buffers(pa.string_view(), len(self.there), buffers, null_count=nulls))
        assert isinstance(out, pl.Series)
        return out


# Memory that polars frees without asking Python: one of its threads that waits for the interpreter, while the interpreter
# waits for it, waits for ever.
_POOL = pa.system_memory_pool()


def _owned(data: npt.NDArray[np.uint8]) -> pa.Buffer:
    out = pa.allocate_buffer(len(data), memory_pool=_POOL)
    np.frombuffer(out, dtype=np.uint8)[:] = data
    return out


def blobs(values: pl.Series) -> list[memoryview]:
    """The values of a column of bytes where they lie: polars copies all of them for the least operation on the column.

    Args:
        values: a column of bytes without nulls.
    """
    out: list[memoryview] = []
    for chunk in values.get_chunks():
        array = chunk.to_arrow(compat_level=pl.CompatLevel.newest())
        _, buffer, *data = array.buffers()
        places = np.frombuffer(buffer, dtype="<u4", count=4 * len(array), offset=16 * array.offset).reshape(-1, 4)
        size, text, start = places[:, 0], places[:, 2], places[:, 3]
        inline = size <= INLINE
        own = 16 * np.arange(array.offset, array.offset + len(array)) + 4
        begin = np.where(inline, own, start.astype(np.int64))
        held = [memoryview(buffer), *(memoryview(b) for b in data)]
        which = np.where(inline, 0, text + 1)
        out += [held[n][a:b] for n, a, b in zip(which.tolist(), begin.tolist(), (begin + size).tolist(), strict=True)]
    return out


def compact(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with long strings copied out of the texts they were cut from, so that these can be freed."""
    sizes = frame.select(pl.col(pl.String).str.len_bytes().max().fill_null(0))
    long = [size.name for size in sizes if size.len() and size[0] > INLINE]
    return frame.with_columns(pl.concat_str(pl.col(n), pl.lit("")).alias(n) for n in long)


def rows_at(frame: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """The rows with these numbers, which count from 0: a join without hashing; where the number is null all is null."""
    return frame[numbers.cast(pl.UInt32)]


def numbers(at: Ints) -> pl.Series:
    """Row numbers as a column; those below zero are null."""
    out = pl.Series("n", at, dtype=pl.Int64)
    return out if at.min(initial=0) >= 0 else out.to_frame().select(pl.when(pl.col("n") >= 0).then("n")).to_series()
