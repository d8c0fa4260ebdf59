"""What grows with the faults of a reading: frames wait in memory up to a bound, beyond it in a file without a name."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]

# Frames of more bytes than this wait in a file.
MOST_BYTES = 48 << 20


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a frame lies in the file: first byte and size."""

    start: int
    size: int


class Waiting:
    """Groups of frames that are read again later, as often as wanted.

    The file has no name and goes with the process, however that ends. It grows by what is compressed of each frame.

    Args:
        folder: where the file is made; None is the system's folder for such (TMPDIR).
        most_bytes: how much waits in memory.

    Raises:
        OSError: the file cannot be made or written.
    """

    def __init__(self, folder: Path | None = None, *, most_bytes: int | None = None) -> None:
        self._folder = folder
        self._left = MOST_BYTES if most_bytes is None else most_bytes
        self._file: IO[bytes] | None = None
        self._groups: list[list[pl.DataFrame | _Place]] = []

    def __len__(self) -> int:
        return len(self._groups)

    def put(self, *frames: pl.DataFrame) -> None:
        """Take a group of frames."""
        group: list[pl.DataFrame | _Place] = []
        for frame in frames:
            size = int(frame.estimated_size()) if frame.height else 0
            if size <= self._left:
                self._left -= size
                group.append(frame)
            else:
                group.append(self._write(frame))
        self._groups.append(group)

    def get(self, number: int) -> list[pl.DataFrame]:
        """A group, by its number from 0."""
        return [one if isinstance(one, pl.DataFrame) else self._read(one) for one in self._groups[number]]

    def __iter__(self) -> Iterator[list[pl.DataFrame]]:
        return map(self.get, range(len(self._groups)))

    def drain(self) -> Iterator[list[pl.DataFrame]]:
        """The groups in order, each forgotten as it is handed out."""
        for number in range(len(self._groups)):
            group = self.get(number)
            self._groups[number] = []
            yield group
        self._groups.clear()
        self._file = None

    def _write(self, frame: pl.DataFrame) -> _Place:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (it lives as long as this object)
        packed = io.BytesIO()
        # Compressed also because polars then owns what it reads back: none of it stays in memory of Python.
        frame.write_ipc(packed, compression="lz4")
        start = self._file.seek(0, io.SEEK_END)
        return _Place(start, self._file.write(packed.getbuffer()))

    def _read(self, place: _Place) -> pl.DataFrame:
        assert self._file is not None
        self._file.seek(place.start)
        return pl.read_ipc(io.BytesIO(self._file.read(place.size)))


class Tally:
    """How many rows each set has, added up a part at a time."""

    def __init__(self) -> None:
        self._parts: list[tuple[Ints, Ints]] = []

    def add(self, sets: pl.Series) -> None:
        """Count rows by the ordinals of their sets."""
        if sets.is_sorted():
            runs = sets.rle().struct
            self._parts.append((runs.field("value").to_numpy(), runs.field("len").to_numpy()))
        else:
            self._parts.append(np.unique(sets.to_numpy(), return_counts=True))

    def per_set(self, size: int) -> pl.Series:
        """Rows of each set from 0 to below `size`."""
        out = np.zeros(size, dtype=np.int32)
        for found, often in self._parts:
            out[found] += often.astype(np.int32)
        return pl.Series(out)
