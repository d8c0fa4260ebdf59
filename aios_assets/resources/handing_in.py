"""Documents that a person hands in: paths to take now, and files to import with a mapping. They enter the raw store like all others."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.contracts.raw_tables import RAW_EDI_DELIVERIES, RAW_EDI_DOCUMENTS
from aios_assets.resources.clock import now_utc
from aios_assets.resources.inbox import Inbox, delivery_row, document_frame, document_row, instant_of

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake
    from aios_assets.tabular import Mapping

IMPORTS = ("sales", "stock", "orders", "items")


def take_paths(lake: Lake, paths: list[Path], cap_bytes: int) -> list[dict[str, Any]]:
    """Store files and folders now, whatever inbox is set.

    Returns:
        One row per path: files, documents new, problems.

    Raises:
        BadInputError: a path does not exist or cannot be read, or a file is larger than is taken.
    """
    result = []
    for path in paths:
        if path.is_dir():
            taken = Inbox(path, cap_bytes=cap_bytes).take(lake, now_utc())
            result.append({"path": str(path), "files": taken.files, "new": taken.documents, "problems": taken.problems})
        else:
            result.append({"path": str(path), "files": 1, "new": store_file(lake, path, cap_bytes), "problems": []})
    return result


def read_whole(path: Path, cap_bytes: int) -> bytes:
    """The bytes of a file.

    Raises:
        BadInputError: it does not exist, cannot be read, is empty, or is larger than is taken.
    """
    if not path.is_file():
        raise BadInputError("the file does not exist", where=str(path), todo="check the path")
    try:
        if path.stat().st_size > cap_bytes:
            raise BadInputError(
                f"the file is larger than the {cap_bytes / 1e6:,.0f} MB that are taken",
                where=str(path),
                todo="split it, or raise AIOS_DOCUMENT_CAP_MB",
            )
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"the file cannot be read ({error.strerror})", where=str(path), todo="give the reading user access"
        ) from error
    if not data:
        raise BadInputError("the file is empty", where=str(path), todo="export it again")
    return data


def store_file(
    lake: Lake, path: Path, cap_bytes: int, *, transport: str = "folder", mapping_json: str | None = None
) -> int:
    """Store one file; its received time is its modification time, or now if that lies in the future.

    Returns:
        1 if its bytes are new to the store, 0 if they were received before.
    """
    content = read_whole(path, cap_bytes)
    stat = path.stat()
    received: datetime = min(instant_of(stat.st_mtime_ns), now_utc())
    uri = path.name if transport == "folder" else f"{transport}:{path.name}"
    row = document_row(content, uri, transport, received, mapping_json)
    seen = (
        lake.read(RAW_EDI_DOCUMENTS, columns=["document_id"], where=pl.col("document_id") == row["document_id"]).height
        > 0
    )
    written = lake.write(RAW_EDI_DOCUMENTS, document_frame([row]))
    delivery = delivery_row(row["document_id"], uri, stat.st_mtime_ns, stat.st_size, received, seen)
    lake.write(RAW_EDI_DELIVERIES, pl.DataFrame([delivery], schema=RAW_EDI_DELIVERIES.schema))
    return written.rows_written


def import_file(lake: Lake, kind: str, path: Path, mapping: Path | None, cap_bytes: int) -> dict[str, Any]:
    """Check a CSV or Parquet file against its mapping and store it with that mapping; the next run reads it.

    Raises:
        UsageError: the kind is unknown.
        BadInputError: file or mapping cannot be used: says which column is missing and what to add.
    """
    from aios_assets.tabular import mapping_json, preview_import

    if kind not in IMPORTS:
        raise UsageError(f"'{kind}' cannot be imported", todo=f"use one of {', '.join(IMPORTS)}")
    content = read_whole(path, cap_bytes)
    words = replace(_mapping(mapping), kind=kind)
    counts = preview_import(content, words, path.name, now_utc())
    _refuse_other_mapping(lake, content, path, mapping_json(words))
    new = store_file(lake, path, cap_bytes, transport="import", mapping_json=mapping_json(words))
    return {
        "file": str(path),
        "kind": kind,
        "new": bool(new),
        "document_id": hashlib.sha256(content).hexdigest(),
        **counts,
    }


def _mapping(path: Path | None) -> Mapping:
    from aios_assets.tabular import Mapping, parse_mapping

    if path is None:
        return Mapping()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            "the mapping file cannot be read", where=str(path), todo="check the path and its encoding"
        ) from error
    return parse_mapping(text, str(path))


def _refuse_other_mapping(lake: Lake, content: bytes, path: Path, mapping: str) -> None:
    """The same bytes read in two ways would be two truths."""
    same = pl.col("document_id") == hashlib.sha256(content).hexdigest()
    stored = lake.read(RAW_EDI_DOCUMENTS, columns=["mapping_json"], where=same)
    if stored.height and stored.item() != mapping:
        how = "imported before with another kind or mapping" if stored.item() else "received before as a plain file"
        raise BadInputError(
            f"these bytes were {how}, and one document is read in one way",
            where=str(path),
            todo="import a fresh export, different by what should change or by one empty line at its end",
        )
