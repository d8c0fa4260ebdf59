"""Files that survive a power cut and betray a flipped bit.

Delta-rs neither syncs what it writes nor offers page checksums, so data files are written here: Parquet with a checksum
on every page, named by the SHA-256 of their bytes, synced before any commit speaks of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import AiosError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aios_assets.contracts.table import Table

PREFIX = "aios-"
ROWS_PER_FILE = 2_000_000
BYTES_PER_FILE = 128_000_000


@dataclass(frozen=True, slots=True)
class DataFile:
    """One live data file of one table.

    Attributes:
        path: relative to the table's folder, as the Delta log states it.
        size: bytes.
        rows: rows, as its statistics state.
        partition: partition column to value.
        low: smallest value per column that has statistics (dates and instants as text, integers as they are).
        high: largest value per column.
    """

    path: str
    size: int
    rows: int
    partition: dict[str, str]
    low: dict[str, Any]
    high: dict[str, Any]

    @property
    def sha256(self) -> str:
        """The digest its name promises; empty for a file that another program wrote."""
        stem = Path(self.path).name.removesuffix(".parquet")
        last = stem.rsplit("-", 1)[-1]
        return last if Path(self.path).name.startswith(PREFIX) and len(last) == 64 else ""


def sync_folder(path: Path) -> None:
    """Make renames and new names in folder `path` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the bytes of `path` durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path, root: Path) -> None:
    """Make `path` below `root`, and make every new name on the way durable."""
    missing = [p for p in (path, *path.parents) if p.is_relative_to(root) and not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_folder(made.parent)


def put_durably(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that after a crash the file is there whole or not at all.

    Raises:
        AiosError: no space is left on the device.
    """
    # A name of its own: of two who write one file at once, the second would otherwise miss its draft when the first renames it.
    draft = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.tmp")
    try:
        with draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise AiosError(
            f"cannot write: {error.strerror or error}", where=str(path), todo="free space or fix the rights, then run again"
        ) from error  # fmt: skip


def encode(frame: pl.DataFrame) -> bytes:
    """`frame` as Parquet bytes with a checksum on every page; the same frame gives the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # string_view in a file breaks every pyarrow reader, so the oldest layout is asked for.
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    sink = pa.BufferOutputStream()
    blobs = {f.name for f in arrow.schema if pa.types.is_large_binary(f.type)}
    plain = blobs | {f.name for f in arrow.schema if pa.types.is_floating(f.type)}
    pq.write_table(
        arrow, sink, compression="zstd", compression_level=1, write_page_checksum=True, store_schema=False,
        use_dictionary=[n for n in arrow.column_names if n not in plain], row_group_size=500_000,
        write_statistics=[n for n in arrow.column_names if n not in blobs],
    )  # fmt: skip
    return bytes(sink.getvalue())


def pages_intact(path: Path) -> bool:
    """Whether every page of the Parquet file reads back with its checksum right."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_table(path, page_checksum_verification=True, partitioning=None)
    except (OSError, pa.ArrowException):
        return False
    return True


def digest_of(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def write_frame(folder: Path, table: Table, frame: pl.DataFrame, version: int, number: int = 0) -> list[DataFile]:
    """Write `frame` as data files of `table` for commit `version`, one or more per partition, durable on return.

    Args:
        folder: the table's folder.
        table: contract.
        frame: rows, sorted by key.
        version: version the commit is going to have; it makes names unique.
        number: how many files of the commit are written already.
    """
    written: list[DataFile] = []
    for partition, rows in _by_partition(table, frame):
        where = "/".join(f"{name}={value}" for name, value in partition.items())
        target = folder / where
        make_folder(target, folder.parent)
        for part in _slices(rows):
            content = encode(part.drop(table.partition_by))
            name = f"{PREFIX}{version:08d}-{number + len(written):04d}-{hashlib.sha256(content).hexdigest()}.parquet"
            put_durably(target / name, content)
            low, high = limits_of(table, part)
            path = f"{where}/{name}" if where else name
            written.append(DataFile(path, len(content), part.height, partition, low, high))
        sync_folder(target)
    return written


def _by_partition(table: Table, frame: pl.DataFrame) -> Iterator[tuple[dict[str, str], pl.DataFrame]]:
    if not table.partition_by:
        yield {}, frame
        return
    parts = frame.partition_by(list(table.partition_by), as_dict=True, maintain_order=True)
    for values in sorted(parts):
        yield dict(zip(table.partition_by, values, strict=True)), parts[values]


def _slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Parts small enough to be held as bytes; cut by row count, so the cuts depend on content alone."""
    size = max(1, frame.estimated_size())
    step = max(1, min(ROWS_PER_FILE, int(frame.height * BYTES_PER_FILE // size)))
    yield from frame.iter_slices(step)


def limits_of(table: Table, frame: pl.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Smallest and largest value of each date, instant and integer column, as Delta statistics want them."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    for column in table.columns:
        if column.type not in ("date", "ts", "i32", "i64") or column.name in table.partition_by:
            continue
        values = frame.get_column(column.name)
        if values.null_count() == values.len():
            continue
        low[column.name], high[column.name] = _stat(values.min(), up=False), _stat(values.max(), up=True)
    return low, high


def _stat(value: Any, *, up: bool) -> Any:
    if isinstance(value, datetime):
        # Delta keeps milliseconds: the lower limit is cut off, the upper one is cut off and raised by one.
        millis = value.astimezone(UTC).replace(microsecond=value.microsecond // 1000 * 1000)
        if up and value.microsecond % 1000:
            millis = datetime.fromtimestamp((round(millis.timestamp() * 1000) + 1) / 1000, UTC)
        return millis.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def stats_json(file: DataFile) -> str:
    """Delta's statistics of one file."""
    return json.dumps({"numRecords": file.rows, "minValues": file.low, "maxValues": file.high, "nullCount": {}})


def overlapping(files: Iterable[DataFile], low: dict[str, Any], high: dict[str, Any]) -> list[DataFile]:
    """The files whose limits reach into `low` to `high` on every column that both sides have limits for."""
    return [
        f for f in files if all(f.low[c] <= high[c] and low[c] <= f.high[c] for c in low if c in f.low and c in f.high)
    ]


def newest_files(files: Sequence[DataFile], clock: str, rows: int) -> tuple[DataFile, ...]:
    """The files that may hold one of the `rows` newest rows by `clock`; all where the limits do not tell.

    Files whose smallest value is late enough hold that many rows together, so what ends before all of them is older than each.
    """
    if any(clock not in f.low or clock not in f.high for f in files):
        return tuple(files)
    held, since = 0, None
    for file in sorted(files, key=lambda f: str(f.low[clock]), reverse=True):
        held, since = held + file.rows, file.low[clock]
        if held >= rows:
            return tuple(f for f in files if str(f.high[clock]) >= str(since))
    return tuple(files)


def in_parts(files: Sequence[DataFile], rows: int) -> list[tuple[DataFile, ...]]:
    """Neighbouring files together up to about `rows` rows; at least one part."""
    parts: list[list[DataFile]] = [[]]
    held = 0
    for file in files:
        if parts[-1] and held + file.rows > rows:
            parts.append([])
            held = 0
        parts[-1].append(file)
        held += file.rows
    return [tuple(part) for part in parts]


def verify_file(folder: Path, file: DataFile, table: str) -> None:
    """Raise unless the file is there and its bytes are those that were written.

    Raises:
        IntegrityError: missing, shorter or longer, or changed; names the table and the file.
    """
    path = folder / file.path
    todo = "run `aios check` for the whole picture and `aios repair` to heal it"
    if not path.is_file():
        raise IntegrityError("a data file is missing", where=f"{table}: {file.path}", todo=todo)
    if path.stat().st_size != file.size:
        raise IntegrityError(
            "a data file has another length than was written", where=f"{table}: {file.path}", todo=todo
        )
    if (digest_of(path) != file.sha256) if file.sha256 else not pages_intact(path):
        raise IntegrityError(
            "a data file holds other bytes than were written", where=f"{table}: {file.path}", todo=todo
        )
