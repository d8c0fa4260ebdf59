"""Tables that commands read and write: CSV, Parquet or JSON lines in, CSV or Parquet out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from aios_assets.cli_common import note
from aios_assets.contracts.days import with_iso_times
from aios_assets.contracts.errors import BadInputError, UsageError

if TYPE_CHECKING:
    import polars as pl

PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson", ".json")
MOST_ROWS = 30_000_000
MOST_DAYS = 1_120
SEPARATORS = (",", ";", "\t", "|")


def read_table(
    path: Path,
    texts: Iterable[str] = (),
    wanted: Iterable[str] | None = None,
    *,
    stamps: bool = False,
    recent: str = "",
) -> pl.DataFrame:
    """A table by its first bytes: Parquet, JSON lines by name, else CSV.

    Only ISO dates become dates: 02/01 is left as text, which whoever needs a day refuses by name.

    Args:
        path: file.
        texts: columns of a CSV that stay text, so that 007 is not 7.
        wanted: columns to read where present; all when None.
        stamps: see `with_iso_times`.
        recent: date column; of a Parquet file of more than `MOST_ROWS` rows only the newest `MOST_DAYS` days are read.

    Raises:
        BadInputError: it does not exist, has no rows, or cannot be read.
    """
    import polars as pl

    from aios_assets.tabular.files import refuse_spreadsheet
    from aios_assets.tabular.sniff import ARCHIVE_HEADS

    if path.is_dir():
        raise BadInputError("it is a folder, not a file", where=str(path), todo="name one CSV or Parquet file")
    if not path.is_file():
        raise BadInputError("there is no such file", where=str(path), todo="check the path")
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head in ARCHIVE_HEADS:
            refuse_spreadsheet(path.read_bytes(), str(path))
        if not head:
            raise BadInputError("the file is empty", where=str(path), todo="export it again")
        if path.suffix.lower() in PARQUET and head != b"PAR1":
            raise ValueError("it is not Parquet inside")
        frame = pl.scan_parquet(path) if head == b"PAR1" else _text_rows(path, set(texts))
        if wanted is not None:
            names = frame.collect_schema().names()
            frame = frame.select([c for c in dict.fromkeys(wanted) if c in names])
        rows = (_newest(frame, recent) if recent and head == b"PAR1" else frame).collect()
        if rows.is_empty():
            raise BadInputError("the file has no rows", where=str(path), todo="export it again")
        return rows if head == b"PAR1" else with_iso_times(rows, stamps=stamps)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError) or "utf-8" in str(error).lower():
            raise BadInputError("the file is not UTF-8 text", where=str(path), todo="save it as CSV UTF-8") from error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BadInputError(
            f"the file cannot be read as {path.suffix or 'a table'}: {first}",
            where=str(path),
            todo="give CSV or Parquet",
        ) from error


def whole_keys(frame: pl.DataFrame, keys: Iterable[str]) -> pl.DataFrame:
    """Keys that were stored as floating-point numbers, as the whole numbers they are: 7.0 in one file is 7 in the other."""
    import polars as pl

    floats = [k for k in keys if k in frame.columns and frame.schema[k].is_float()]
    whole = [k for k in floats if bool((frame[k].drop_nulls() == frame[k].drop_nulls().round(0)).all())]
    return frame.with_columns(pl.col(whole).cast(pl.Int64, strict=False)) if whole else frame


def _newest(frame: pl.LazyFrame, day: str) -> pl.LazyFrame:
    """The newest days of a file too long to be held whole."""
    import polars as pl

    kind = frame.collect_schema().get(day)
    if kind is None or not kind.is_temporal() or frame.select(pl.len()).collect().item() <= MOST_ROWS:
        return frame
    newest = frame.select(pl.col(day).max()).collect().item()
    note(f"more than {MOST_ROWS:,} rows: only the newest {MOST_DAYS:,} days up to {newest:%Y-%m-%d} are read")
    return frame.filter(pl.col(day).is_null() | (pl.col(day) > pl.lit(newest) - pl.duration(days=MOST_DAYS)))


def _text_rows(path: Path, texts: set[str]) -> pl.LazyFrame:
    import polars as pl

    if path.suffix.lower() in JSON_LINES:
        return pl.scan_ndjson(path, infer_schema_length=None)
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(1 << 20)
    separator = max(SEPARATORS, key=line.count)
    header = pl.read_csv(path, n_rows=0, separator=separator).columns
    as_text = {c: pl.String for c in header if c in texts}
    return pl.scan_csv(path, separator=separator, infer_schema_length=None, schema_overrides=as_text)


def check_output(path: Path) -> None:
    """Refuse a place that cannot be written, before any work is done.

    Raises:
        UsageError: another ending than .csv or .parquet, or no such folder.
    """
    if path.suffix.lower() not in (".csv", *PARQUET):
        raise UsageError("the output file must end in .csv or .parquet", where=str(path), todo="give it such a name")
    if path.is_dir():
        raise UsageError("the output file is a folder", where=str(path), todo="name a file in it")
    if not path.parent.is_dir():
        raise UsageError("the output folder does not exist", where=str(path.parent), todo="make it first")


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """CSV or Parquet by the ending of the name; the file appears whole or not at all.

    Raises:
        BadInputError: the place cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        if path.suffix.lower() in PARQUET:
            frame.write_parquet(part)
        else:
            frame.write_csv(part)
        part.replace(path)
    except OSError as error:
        raise BadInputError(
            f"cannot write: {error.strerror or error}", where=str(path), todo="check folder and rights"
        ) from error
