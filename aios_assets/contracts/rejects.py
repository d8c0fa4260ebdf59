"""How a reject row is made: one identity for one fault at one place, whichever reader finds it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_REJECTS


@dataclass(frozen=True, slots=True)
class Reject:
    """One thing set aside; see `raw_edi__rejects` for what the fields mean."""

    document_id: str
    error_code: str
    reason: str
    available_at_utc: datetime
    level_code: str = "line"
    kind_code: str = "import"
    interchange_no: int = 0
    set_no: int = 0
    segment_no: int = 0
    element_no: int | None = None
    segment_text: str | None = None

    @property
    def reject_id(self) -> str:
        """First 16 hex digits of the SHA-256 of pointer and code.

        >>> from datetime import UTC, datetime
        >>> len(Reject("d", "no_number", "…", datetime(2026, 1, 1, tzinfo=UTC)).reject_id)
        16
        """
        place = (self.document_id, self.interchange_no, self.set_no, self.segment_no, self.element_no, self.error_code)
        return hashlib.sha256("|".join(str(part) for part in place).encode()).hexdigest()[:16]


def reject_frame(rejects: Sequence[Reject]) -> pl.DataFrame:
    """Rows of `raw_edi__rejects`, one per fault and place, sorted by place; the first of equal ones stays."""
    rows: dict[str, tuple[object, ...]] = {}
    for r in rejects:
        text = r.segment_text[:500] if r.segment_text is not None else None
        rows.setdefault(
            r.reject_id,
            (
                r.reject_id, r.document_id, r.interchange_no, r.set_no, r.segment_no, r.element_no, r.level_code,
                r.kind_code, r.error_code, r.reason, text, r.available_at_utc,
            ),
        )  # fmt: skip
    frame = pl.DataFrame(list(rows.values()), schema=RAW_EDI_REJECTS.schema, orient="row")
    return frame.sort("document_id", "segment_no", "element_no", "error_code")
