"""Messages of a bus that gave no reading, read again by another mapping: `aios listen again`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.raw_tables import RAW_EDI_DOCUMENTS, RAW_EDI_RELEASES
from aios_assets.quarantine import unreleased_rejects
from aios_assets.resources.bus import document_of
from aios_assets.resources.transport import Incoming, RawStore
from aios_assets.telemetry import Message, pack, read_telemetry, unpack
from aios_assets.telemetry.envelope import MARK

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake


def hear_again(lake: Lake, rules: Sequence[dict[str, Any]], released_by: str, at: datetime) -> dict[str, int]:
    """Hand in again, with another mapping, the messages that nights have set aside and that it reads.

    They come as new documents, known from now on; their rejects are released. What the mapping does not read either stays as it is.
    Called again it finds nothing new, and where it was stopped half-way it goes on.

    Args:
        lake: the lake.
        rules: the mapping, as plain data.
        released_by: who.
        at: instant of the decision.

    Returns:
        `set_aside`: messages that were; `taken`: of them, messages that give readings now or are passed over on purpose.
    """
    aside = unreleased_rejects(lake).filter(pl.col("error_code").str.starts_with("telemetry:"))
    wanted = pl.col("document_id").is_in(aside["document_id"].unique().implode())
    columns = ["document_id", "content", "source_uri", "transport_code"]
    documents = lake.read(RAW_EDI_DOCUMENTS, columns=columns, where=wanted).sort("document_id")
    counts = {"set_aside": 0, "taken": 0}
    for document_id, content, source, transport in documents.iter_rows():
        if not content.startswith(MARK):
            continue
        rejects = aside.filter(document_id=document_id)
        about, messages = unpack(content)
        lines = set(rejects["segment_no"])
        old = {number: message for number, message in enumerate(messages, start=2) if number in lines}
        is_same = about.get("mapping") == list(rules)  # it would read them no better than it did
        taken = [] if is_same else _read_now(old, about | {"mapping": list(rules)}, at)
        counts["set_aside"] += len(old)
        counts["taken"] += len(taken)
        if taken:
            new = pack([old[number] for number in taken], about | {"mapping": list(rules)})
            RawStore(lake, clock=lambda: at)([Incoming(new, source, transport)])
            _release(lake, rejects.filter(pl.col("segment_no").is_in(taken)), released_by, at)
    return counts


def _read_now(old: dict[int, Message], about: dict[str, Any], at: datetime) -> list[int]:
    """Lines of the messages that give a reading now, or that the mapping passes over on purpose."""
    numbers = sorted(old)
    batch = read_telemetry(document_of(pack([old[number] for number in numbers], about), at))
    silent = set(batch.rejects["segment_no"]) - set(batch.readings["line_no"])
    return [number for place, number in enumerate(numbers, start=2) if place not in silent]


def _release(lake: Lake, rejects: pl.DataFrame, released_by: str, at: datetime) -> None:
    rows = rejects.drop("available_at_utc").with_columns(
        pl.lit(released_by).alias("released_by"),
        pl.lit("read again by another mapping").alias("reason"),
        pl.lit(at).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    )
    lake.write(RAW_EDI_RELEASES, rows.select(RAW_EDI_RELEASES.names))
