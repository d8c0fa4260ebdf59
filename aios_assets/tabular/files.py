"""CSV and Parquet bytes to a frame of text, row by row as in the file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.tabular.mapping import Mapping
from aios_assets.tabular.sniff import SEPARATORS, is_spreadsheet

# Parquet can hold a few bytes that unfold into gigabytes.
UNFOLDED_CAP_BYTES = 2_000_000_000
_PACKED = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"\xd0\xcf\x11\xe0": "an old office format"}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# The line by which a spreadsheet is told the separator; it is no header.
_SEPARATOR_LINE = re.compile(r"sep=.\r?\n")
csv.field_size_limit(1_000_000)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as text.

    Attributes:
        rows: one text column per column of the file (empty cells are null), and `_row`, the row number (header is 1).
        columns: names in the file's order.
        bad_rows: (row number, text, what is wrong) of rows that do not fit the header.
        typed: columns that came with a type (Parquet): numbers and dates in them are not written in anybody's way.
        floats: those of them that are floating-point numbers, in which no id survives (007, 12345.0).
    """

    rows: pl.DataFrame
    columns: list[str]
    bad_rows: list[tuple[int, str, str]]
    typed: frozenset[str] = frozenset()
    floats: frozenset[str] = frozenset()


def read_sheet(content: bytes, mapping: Mapping, where: str) -> Sheet:
    """The rows of a CSV or Parquet document as text.

    Raises:
        BadInputError: the file as a whole cannot be read: empty, wrong encoding, no header, doubled column, unreadable Parquet.
    """
    if not content.strip():
        raise BadInputError("the file is empty", where=where, todo="send it again with a header and rows")
    return _parquet(content, where) if content[:4] == b"PAR1" else _csv(content, mapping, where)


def rows_as_text(content: bytes, mapping: Mapping) -> set[str]:
    """The different rows of a document, faulty ones included, to tell whether two files are states of one table.

    Raises:
        BadInputError: the file as a whole cannot be read.
    """
    sheet = read_sheet(content, mapping, "")
    cells = [pl.col(f"c{n}").fill_null("") for n in range(len(sheet.columns))]
    plain = sheet.rows.drop("_row")
    plain.columns = [f"c{n}" for n in range(len(sheet.columns))]
    return set(plain.select(pl.concat_str(cells, separator="\x1f")).to_series()) | {
        text for _, text, _ in sheet.bad_rows
    }


def _text(content: bytes, mapping: Mapping, where: str) -> str:
    """The file as text, in the encoding that the mapping names and no other.

    Raises:
        BadInputError: it is a spreadsheet, or in another encoding.
    """
    refuse_spreadsheet(content, where)
    packed = next((words for magic, words in _PACKED.items() if content.startswith(magic)), None)
    if packed is not None:
        raise BadInputError(f"the file is packed ({packed})", where=where, todo="unpack it and give the CSV inside")
    said = mapping.encoding.lower().replace("_", "-")
    is_utf8 = said in ("utf-8", "utf8", "utf-8-sig")
    if content.startswith(_UTF16_MARKS) and not said.startswith("utf-16"):
        raise BadInputError("the file is UTF-16 text", where=where, todo="set `encoding: utf-16` in the mapping")
    try:
        text = content.decode("utf-8-sig" if is_utf8 else mapping.encoding)
    except (ValueError, LookupError) as error:
        raise BadInputError(
            f"the file is not {mapping.encoding} text",
            where=where,
            todo="set `encoding` in the mapping, such as cp1252",
        ) from error
    if not is_utf8 and not text.isascii() and _is_utf8(content):
        raise BadInputError(
            f"the file is UTF-8 text, not {mapping.encoding}", where=where, todo="leave `encoding` out of the mapping"
        )
    if "\x00" in text:
        raise BadInputError("the file holds zero bytes, so it is no CSV", where=where, todo="send it as text")
    return text


def refuse_spreadsheet(content: bytes, where: str) -> None:
    """Say what to do with a workbook.

    Raises:
        BadInputError: it is one.
    """
    if is_spreadsheet(content):
        raise BadInputError(
            "the file is a spreadsheet, not CSV",
            where=where,
            todo="save each sheet as CSV UTF-8 (or Parquet) and send that",
        )


def _is_utf8(content: bytes) -> bool:
    """Letters beyond ASCII hardly ever make valid UTF-8 in another encoding: read as that, every name would be another."""
    try:
        return not content.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def _csv(content: bytes, mapping: Mapping, where: str) -> Sheet:
    text = _text(content, mapping, where)
    if len(mapping.separator) > 1 or mapping.separator in ('"', "\r", "\n"):
        raise BadInputError(
            f"separator {mapping.separator!r} is not one character", where=where, todo="correct it in the mapping"
        )
    rows: list[list[str]] = []
    numbers: list[int] = []
    bad: list[tuple[int, str, str]] = []
    header: list[str] = []
    for number, cells, fault in _records(text, mapping.separator or _separator(text)):
        if not header and not fault:
            header = _header(cells, where)
        elif fault or len(cells) != len(header):
            shown = (mapping.separator or ",").join(cells)
            said = fault or f"has {len(cells)} fields, the header has {len(header)}; check separators and quotes"
            bad.append((number, shown, said))
        else:
            rows.append(cells)
            numbers.append(number)
    if not header:
        raise BadInputError("the first row of the file cannot be read", where=where, todo="check its quotes")
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in header]
    frame = pl.DataFrame(
        {"_row": numbers, **dict(zip(header, columns, strict=True))},
        schema={"_row": pl.Int32, **dict.fromkeys(header, pl.String)},
        strict=False,
    )
    return Sheet(_blank_to_null(frame, header), header, bad)


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str], str]]:
    """Row number, cells and what is wrong of each row with anything in it; a line that says the separator is none.

    Quotes that are not closed, or closed before the end of a cell, leave open which of the lines they hold are rows: each of these
    is one that cannot be read. A lenient reader would make one cell of the rest of the file, and nobody would miss it.
    """
    held: list[str] = []
    lines = io.StringIO(text, newline="")
    reader = csv.reader(_kept(lines, held), delimiter=separator, strict=True)
    if _SEPARATOR_LINE.match(text):
        next(reader)
    number, is_header = reader.line_num, True
    while True:
        held.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            opened = number + 1
            for line in held:
                number += 1
                if line.strip():
                    yield (
                        number,
                        [line.strip()],
                        f"cannot be read: check the quotes that open in row {opened} ({error})",
                    )
            continue
        number += 1
        # An empty line, as spreadsheets put below their last row: nothing is in it.
        if is_header or "".join(cells).strip():
            is_header = False
            yield number, cells, ""


def _kept(lines: Iterable[str], held: list[str]) -> Iterator[str]:
    """The lines, each kept in `held` as it is handed out."""
    for line in lines:
        held.append(line)
        yield line


def _separator(text: str) -> str:
    first = next(iter(text.lstrip("\r\n").splitlines()), "")
    return max(SEPARATORS, key=first.count)


def _header(cells: list[str], where: str) -> list[str]:
    names = [c.strip() for c in cells]
    doubled = sorted({n for n in names if names.count(n) > 1})
    if not any(names):
        raise BadInputError("the first row of the file is empty", where=where, todo="put the column names there")
    if "_row" in names:
        raise BadInputError("column '_row' has a name that we use ourselves", where=where, todo="give it another name")
    if doubled:
        raise BadInputError(
            f"column '{doubled[0] or '(no name)'}' occurs twice", where=where, todo="name each column once"
        )
    return names


def _blank_to_null(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Stripped text; empty is null. Foreign names are never handed to an expression: `*` is one, and means all."""
    cells = []
    for name in names:
        text = frame.get_column(name).str.strip_chars()
        cells.append(text.set(text == "", None))
    return pl.DataFrame([frame.get_column("_row"), *cells])


def _parquet(content: bytes, where: str) -> Sheet:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        facts = pq.ParquetFile(io.BytesIO(content)).metadata
        unfolded = sum(facts.row_group(n).total_byte_size for n in range(facts.num_row_groups))
        if unfolded > UNFOLDED_CAP_BYTES:
            raise BadInputError(f"the file unfolds to {unfolded / 1e9:.0f} GB", where=where, todo="split it")
        frame = pl.read_parquet(io.BytesIO(content), use_statistics=False)
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise BadInputError("the Parquet file cannot be read", where=where, todo="write it again") from error
    names = _header(frame.columns, where)
    frame.columns = names
    texts = [_as_text(frame.get_column(n), where) for n in names]
    rows = pl.DataFrame([pl.int_range(2, frame.height + 2, dtype=pl.Int32, eager=True).alias("_row"), *texts])
    typed = frozenset(n for n in names if frame.schema[n] not in (pl.String, pl.Categorical, pl.Enum))
    floats = frozenset(n for n in names if frame.schema[n].is_float())
    return Sheet(_blank_to_null(rows, names), names, [], typed, floats)


def _as_text(values: pl.Series, where: str) -> pl.Series:
    refused = BadInputError(
        f"column '{values.name}' is {values.dtype}, which is no cell", where=where, todo="leave it out"
    )
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise refused
    try:
        text = values.cast(pl.String)
    except pl.exceptions.PolarsError as error:
        raise refused from error
    if isinstance(values.dtype, pl.Datetime):
        # A date stored as its first moment is a date; anything else keeps its time and is refused where a date is wanted.
        is_day = (values.dt.truncate("1d") == values).fill_null(value=True)
        return values.dt.date().cast(pl.String).zip_with(is_day, text)
    return text
