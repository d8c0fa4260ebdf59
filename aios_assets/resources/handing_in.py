"""Documents that a person hands in: paths to take now, and files to import with a mapping. They enter the raw store like all others."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from aios_assets.contracts.decision_tables import MON_GATE_VERDICTS
from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.contracts.raw_tables import RAW_EDI_DELIVERIES, RAW_EDI_DOCUMENTS
from aios_assets.resources.clock import now_utc
from aios_assets.resources.inbox import Inbox, delivery_row, document_frame, document_row, instant_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aios_assets.resources.lake import Lake
    from aios_assets.tabular import Mapping


def take_paths(lake: Lake, paths: list[Path], cap_bytes: int, *, sent_in: str | None = None) -> list[dict[str, Any]]:
    """Store files and folders now, whatever inbox is set.

    Args:
        lake: where they go.
        paths: files and folders.
        cap_bytes: largest document taken.
        sent_in: an archive of before the first night: EDI documents count as known when their envelopes say they were sent, by the
            clocks of this time zone. None: they count as known when they came.

    Returns:
        One row per path: files, documents new, problems; with `sent_in` also how many were dated by their envelopes.

    Raises:
        BadInputError: a path does not exist or cannot be read, a file is larger than is taken, or an archive comes after the
            first night.
        UsageError: there is no such time zone.
    """
    if sent_in is not None:
        _check_zone(sent_in)
        _refuse_after_a_night(lake, str(paths[0]), "leave out --as-sent")
    result = []
    for path in paths:
        dating = None if sent_in is None else _Dating(sent_in)
        row: dict[str, Any] = {"path": str(path)}
        if path.is_dir():
            taken = Inbox(path, cap_bytes=cap_bytes).take(lake, now_utc(), known_as=dating)
            row |= {"files": taken.files, "new": taken.documents, "problems": taken.problems}
        else:
            row |= {"files": 1, "new": store_file(lake, path, cap_bytes, known_as=dating), "problems": []}
        result.append(row if dating is None else row | {"dated": dating.count})
    return result


class _Dating:
    """`dated_by_envelope`, and how many documents it dated so far."""

    def __init__(self, sent_in: str) -> None:
        self.sent_in, self.count = sent_in, 0

    def __call__(self, documents: pl.DataFrame) -> pl.DataFrame:
        dated = dated_by_envelope(documents, self.sent_in)
        self.count += int((dated["available_at_utc"] != documents["available_at_utc"]).sum())
        return dated


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(f"there is no time zone '{name}'", todo="write it as Europe/Berlin or UTC") from error


def dated_by_envelope(documents: pl.DataFrame, sent_in: str = "UTC") -> pl.DataFrame:
    """Documents, each EDI one known when the newest of its envelopes was sent, and none later than its file came.

    Args:
        documents: rows of `raw_edi__documents`; a document without a date in its envelope, and every other kind, stays as it is.
        sent_in: time zone whose clocks the envelopes show; of an hour that these show twice the second is meant, so that nothing
            counts as known too early.
    """
    from aios_assets.edi import read_documents
    from aios_assets.edi.zones import shown_in

    edi = documents.filter(pl.col("kind_code").is_in(["x12", "edifact"]))
    sent = read_documents(edi, apart=True).interchanges.group_by("document_id").agg(pl.col("sent_at_utc").max())
    at = shown_in(sent_in, pl.col("sent_at_utc").dt.replace_time_zone(None), twice="latest")
    known = pl.min_horizontal("available_at_utc", at)
    return (
        documents.join(sent, on="document_id", how="left", maintain_order="left")
        .with_columns(available_at_utc=known, available_month=known.dt.strftime("%Y-%m"))
        .select(documents.columns)
    )


def _refuse_after_a_night(lake: Lake, where: str, todo: str) -> None:
    """History may say when it was known only while no night has been decided without it.

    Raises:
        BadInputError: a night was run.
    """
    if has_run(lake):
        raise BadInputError(
            "a night was run already, and would have learned too late what this history says it could have known", where=where,
            todo=f"{todo}, or begin a new folder with it (AIOS_HOME)",
        )  # fmt: skip


def has_run(lake: Lake) -> bool:
    """Whether a night came to its end."""
    return lake.exists(MON_GATE_VERDICTS) and lake.count(MON_GATE_VERDICTS) > 0


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
    lake: Lake,
    path: Path,
    cap_bytes: int,
    *,
    transport: str = "folder",
    mapping_json: str | None = None,
    known_as: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> int:
    """Store one file; its received time is its modification time, or now if that lies in the future.

    Args:
        lake: where it goes.
        path: the file.
        cap_bytes: largest document taken.
        transport: how it came.
        mapping_json: mapping of an import.
        known_as: see `Inbox.take`.

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
    documents = document_frame([row])
    written = lake.write(RAW_EDI_DOCUMENTS, known_as(documents) if known_as else documents)
    delivery = delivery_row(row["document_id"], uri, stat.st_mtime_ns, stat.st_size, received, seen)
    lake.write(RAW_EDI_DELIVERIES, pl.DataFrame([delivery], schema=RAW_EDI_DELIVERIES.schema))
    return written.rows_written


def import_file(lake: Lake, kind: str, path: Path, mapping: Path | None, cap_bytes: int) -> dict[str, Any]:
    """Check a CSV or Parquet file against its mapping and store it with that mapping; the next run reads it.

    Raises:
        UsageError: the kind is unknown.
        BadInputError: file or mapping cannot be used: says which column is missing and what to add; or it is history that
            comes after the first night.
    """
    from aios_assets.tabular import IMPORT_KINDS, mapping_json, preview_import

    if kind not in IMPORT_KINDS:
        raise UsageError(f"'{kind}' cannot be imported", todo=f"use one of {', '.join(IMPORT_KINDS)}")
    content = read_whole(path, cap_bytes)
    words = replace(_mapping(mapping), kind=kind)
    if words.known_after_days is not None:
        _refuse_after_a_night(lake, str(path), "leave `known_after_days` out of the mapping")
    counts = preview_import(content, words, path.name, now_utc(), is_first=not has_run(lake))
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
