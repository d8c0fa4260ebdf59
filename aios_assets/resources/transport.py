"""One way in for everything that is not a folder: bytes are stored and synced first, acknowledged to the sender after.

A stop between the two makes the sender deliver again; the same bytes are one document, and readings are unique by sensor,
measure and instant, so at-least-once delivery ends as exactly once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import polars as pl

from aios_assets.contracts.raw_tables import RAW_EDI_DELIVERIES, RAW_EDI_DOCUMENTS
from aios_assets.resources.clock import Clock, now_utc
from aios_assets.resources.inbox import delivery_row, document_frame, document_row

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake


@dataclass(frozen=True, slots=True)
class Incoming:
    """One document on its way in.

    Attributes:
        content: bytes.
        source_uri: where it comes from.
        transport: `transport_code`: http, as2, mqtt, nats.
    """

    content: bytes
    source_uri: str
    transport: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a sender may be told once the bytes are synced.

    Attributes:
        document_id: SHA-256 of the bytes, hex.
        is_new: the bytes were not received before.
        received_at: instant in UTC.
    """

    document_id: str
    is_new: bool
    received_at: datetime


Store = Callable[[Sequence[Incoming]], list[Receipt]]


class Transport(Protocol):
    """A way in: hands what arrives to `store` and acknowledges it to the sender only after `store` returned."""

    def serve(self, store: Store, until: Callable[[], bool]) -> int:
        """Receive until `until()` is true; returns how many documents or messages were acknowledged."""
        ...


class RawStore:
    """Puts documents into the raw store, from any number of threads, one commit at a time."""

    def __init__(self, lake: Lake, clock: Clock = now_utc) -> None:
        """Args: lake: where documents go. clock: tells when they came."""
        self.lake, self.clock = lake, clock
        self._turn = threading.Lock()

    def __call__(self, incoming: Sequence[Incoming]) -> list[Receipt]:
        """Store `incoming`; on return bytes, hashes and deliveries are synced. The order of receipts is that given."""
        if not incoming:
            return []
        with self._turn:
            at = self.clock()
            rows = [document_row(i.content, i.source_uri, i.transport, at) for i in incoming]
            ids = [str(row["document_id"]) for row in rows]
            same = pl.col("document_id").is_in(ids)
            known = self.lake.scan(RAW_EDI_DELIVERIES, columns=["document_id"]).filter(same).unique().collect()
            seen = set(known["document_id"].to_list())
            receipts: list[Receipt] = []
            deliveries: dict[str, dict[str, object]] = {}
            stamp = int(at.timestamp() * 1_000_000) * 1000
            for document_id, i in zip(ids, incoming, strict=True):
                row = delivery_row(document_id, i.source_uri, stamp, len(i.content), at, document_id in seen)
                deliveries.setdefault(str(row["delivery_id"]), row)
                receipts.append(Receipt(document_id, document_id not in seen, at))
                seen.add(document_id)
            self.lake.write(RAW_EDI_DOCUMENTS, document_frame(rows))
            self.lake.write(
                RAW_EDI_DELIVERIES, pl.DataFrame(list(deliveries.values()), schema=RAW_EDI_DELIVERIES.schema)
            )
            return receipts
