"""Feast's online bytes, made by the column: entity keys and values as Feast serialises them, without a protobuf object per value.

A row's numbers are packed side by side in one blob, each in the bytes of its own `ValueProto` (tag and value, whole numbers as
ten-byte varints), so one slice of the blob is one stored Feast value. Texts have no fixed length and stay beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError

# Feast's types.proto: field number and wire type of each value, as one byte.
TAGS = {"float": 0x35, "double": 0x29, "int32": 0x18, "int64": 0x20, "bool": 0x38, "instant": 0x40, "text": 0x12}
WIDTHS = {"float": 5, "double": 9, "int32": 11, "int64": 11, "bool": 2, "instant": 11}
_STRING, _INT32, _INT64 = 2, 3, 4


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one feature lies.

    Attributes:
        name: feature.
        kind: key of `TAGS`.
        offset: first byte in the blob; -1 for a text, which has a column of its own.
    """

    name: str
    kind: str
    offset: int

    @property
    def width(self) -> int:
        """Bytes in the blob."""
        return WIDTHS[self.kind]


def layout(features: Sequence[tuple[str, str]]) -> tuple[Slot, ...]:
    """Slots of named kinds in order.

    >>> [s.offset for s in layout([("a", "float"), ("b", "text"), ("c", "int64")])]
    [0, -1, 5]
    """
    slots, offset = [], 0
    for name, kind in features:
        slots.append(Slot(name, kind, -1 if kind == "text" else offset))
        offset += 0 if kind == "text" else WIDTHS[kind]
    return tuple(slots)


def packed(frame: pl.DataFrame, slots: Sequence[Slot]) -> npt.NDArray[np.uint8]:
    """The blob of each row of `frame`, one row of bytes each; a null is a slot of zeros."""
    fixed = [s for s in slots if s.offset >= 0]
    cells = np.zeros((frame.height, sum(s.width for s in fixed)), dtype=np.uint8)
    for slot in fixed:
        column = frame[slot.name]
        cells[:, slot.offset] = TAGS[slot.kind]
        cells[:, slot.offset + 1 : slot.offset + slot.width] = _bytes_of(column, slot.kind)
        if column.null_count():
            cells[column.is_null().to_numpy(), slot.offset : slot.offset + slot.width] = 0
    return cells


def cut(buffer: bytes, width: int, rows: int) -> list[bytes]:
    """`rows` pieces of `width` bytes."""
    return [buffer[at : at + width] for at in range(0, rows * width, width)] if width else [b""] * rows


def _bytes_of(column: pl.Series, kind: str) -> npt.NDArray[np.uint8]:
    if kind == "float":
        return _raw(column.cast(pl.Float32).fill_null(0.0).to_numpy().astype("<f4"), 4)
    if kind == "double":
        return _raw(column.cast(pl.Float64).fill_null(0.0).to_numpy().astype("<f8"), 8)
    if kind == "bool":
        return np.asarray(column.cast(pl.UInt8).fill_null(0).to_numpy(), dtype=np.uint8).reshape(-1, 1)
    if kind == "instant":
        column = column.cast(pl.Datetime("us")).dt.epoch("s")
    return _varints(column.cast(pl.Int64).fill_null(0).to_numpy())


def _varints(values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Ten-byte varints: every reader of protobuf takes the padding, and all have one width."""
    bits = values.view(np.uint64)[:, None] >> np.arange(0, 70, 7, dtype=np.uint64).clip(max=63)[None, :]
    out: npt.NDArray[np.uint8] = (bits & np.uint64(0x7F)).astype(np.uint8)
    out[:, :9] |= 0x80
    return out


def texts(column: pl.Series) -> list[bytes]:
    """Each text as the bytes of its `ValueProto`; a null is no bytes, which is Feast's null."""
    return [b"" if v is None else _text(v) for v in column.cast(pl.String).to_list()]


def _text(value: str) -> bytes:
    body = value.encode()
    size, length = len(body), b""
    while size > 0x7F:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return b"\x12" + length + bytes((size,)) + body


def entity_keys(frame: pl.DataFrame, keys: Sequence[str]) -> list[bytes]:
    """Each row's entity key as Feast serialises it (version 3): number of keys, their names, then their values, by name.

    Raises:
        BadInputError: a key is null, or of a type that Feast cannot use as a key.
    """
    names = sorted(keys)
    parts = [_key_parts(frame[name]) for name in names]
    prefix = _prefix(names)
    return [prefix + b"".join(row) for row in zip(*parts, strict=True)]


def key_column(frame: pl.DataFrame, keys: Sequence[str]) -> pl.Series | None:
    """The same keys as one column of text, made without a loop; None where a key is no text or has 128 bytes or more.

    All bytes of such a key are below 128 or part of a character, so the key is a text and its UTF-8 is the key.
    """
    names = sorted(keys)
    parts: list[pl.Expr] = [pl.lit(_prefix(names).decode())] if max(len(n.encode()) for n in names) < 0x80 else []
    if not parts or any(frame.schema[n] != pl.String or frame[n].null_count() for n in names):
        return None
    sizes = frame.select(pl.col(n).str.len_bytes() for n in names)
    if frame.is_empty() or max(sizes[n].max() or 0 for n in names) >= 0x80:  # type: ignore[type-var, operator]
        return None
    heads = {size: _sized(_STRING, b"x" * size)[:8].decode() for n in names for size in sizes[n].unique().to_list()}
    for name in names:
        size = pl.col(name).str.len_bytes()
        parts += [size.replace_strict(list(heads), list(heads.values()), return_dtype=pl.String), pl.col(name)]
    return frame.select(pl.concat_str(parts).alias("entity_key"))["entity_key"]


def _prefix(names: Sequence[str]) -> bytes:
    return struct.pack("<I", len(names)) + b"".join(_sized(_STRING, n.encode()) for n in names)


def _sized(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, len(body)) + body


def _key_parts(column: pl.Series) -> list[bytes]:
    if column.null_count():
        raise BadInputError(f"key '{column.name}' is null", count=column.null_count(), todo="give every row its keys")
    distinct: dict[Any, bytes]
    if column.dtype == pl.String:
        distinct = {v: _sized(_STRING, v.encode()) for v in column.unique().to_list()}
    elif column.dtype == pl.Int64:
        distinct = {v: _sized(_INT64, struct.pack("<q", v)) for v in column.unique().to_list()}
    elif column.dtype == pl.Int32:
        distinct = {v: _sized(_INT32, struct.pack("<i", v)) for v in column.unique().to_list()}
    else:
        raise BadInputError(f"key '{column.name}' is of type {column.dtype}", todo="use text or whole numbers as keys")
    return [distinct[v] for v in column.to_list()]


def _raw(values: npt.NDArray[Any], width: int) -> npt.NDArray[np.uint8]:
    """The bytes of each number, one row per number."""
    return np.frombuffer(values.tobytes(), dtype=np.uint8).reshape(-1, width)
