"""Sensor readings from documents of JSON lines, and from documents of bus messages (`envelope`).

One line is one reading: sensor_id, measure_code, read_at_utc (ISO 8601; an instant without offset is UTC), value, asset_type,
asset_id, and optionally site_id and shipment_id. A message may hold several, in lines or in a list, or be somebody else's with a
mapping. In = kept + duplicates + rejected, reading by reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.raw_tables import RAW_TELEMETRY_READINGS
from aios_assets.contracts.rejects import Reject, reject_frame
from aios_assets.telemetry.checks import Fault, columns_of
from aios_assets.telemetry.envelope import MARK
from aios_assets.telemetry.messages import Said, said_in_line, said_in_messages

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class TelemetryBatch:
    """What was read.

    Attributes:
        readings: rows of `raw_telemetry__readings`, unique by key, sorted by key.
        rejects: rows of `raw_edi__rejects`; segment_no is the line number.
        counts: lines (what may be a reading), kept, duplicates, conflicts (duplicates with another value), rejected; and ignored, messages
            that a mapping passes over, where there are any.
    """

    readings: pl.DataFrame
    rejects: pl.DataFrame
    counts: dict[str, int]


def read_telemetry(documents: pl.DataFrame) -> TelemetryBatch:
    """Read telemetry documents.

    Args:
        documents: rows of `raw_edi__documents` (document_id, content, available_at_utc are used).

    Returns:
        Readings, rejects and counts. Of readings of one sensor, measure and instant the earliest received stays.
    """
    rows: list[tuple[Any, ...]] = []
    rejects: list[Reject] = []
    lines = ignored = 0
    wanted = documents.select("document_id", "content", "available_at_utc").sort("available_at_utc", "document_id")
    for document_id, content, available_at in wanted.iter_rows():
        known = (document_id, available_at, f"{available_at:%Y-%m}")
        for said in _said(content):
            if said.is_ignored:
                ignored += 1
                continue
            lines += 1
            try:
                rows.append((*columns_of(said.fields(), available_at), known[0], said.line_no, *known[1:]))
            except Fault as fault:
                rejects.append(
                    Reject(document_id, f"telemetry:{fault.code}", f"{said.where}: {fault}", available_at, kind_code="syntax",
                           segment_no=said.line_no, element_no=said.part_no, segment_text=said.shown)
                )  # fmt: skip
    everything = pl.DataFrame(rows, schema=RAW_TELEMETRY_READINGS.schema, orient="row")
    key = list(RAW_TELEMETRY_READINGS.key)
    # Rows are in order of receipt, so the first of a key is the earliest received.
    readings = everything.unique(key, keep="first", maintain_order=True).sort(key)
    different = everything.unique([*key, "value"]).height - readings.height
    counts = {
        "lines": lines,
        "kept": readings.height,
        "duplicates": everything.height - readings.height,
        "conflicts": different,
        "rejected": len(rejects),
    }
    return TelemetryBatch(readings, reject_frame(rejects), counts | ({"ignored": ignored} if ignored else {}))


def _said(content: bytes) -> Iterator[Said]:
    if content.startswith(MARK):
        yield from said_in_messages(content)
        return
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if stripped := line.strip():
            yield said_in_line(stripped, number)
