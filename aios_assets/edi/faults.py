"""What is set aside and what breaks the grammar, in document order: a part of a reading after the other, however many there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_REJECTS
from aios_assets.edi.aside import REJECT_COLUMNS, WHOLE_COLUMNS, shown
from aios_assets.edi.shelf import conform
from aios_assets.edi.strings import rows_at
from aios_assets.edi.waiting import Waiting

_ORDER = ("doc", "interchange_no", "set_no", "segment_no", "line_no", "error_code", "reason")
_FINDING = (
    "document_id", "interchange_no", "set_no", "segment_no", "element_no", "tag", "error_code", "reason", "segment_text",
    "value",
)  # fmt: skip


class Faults:
    """Everything that is wrong in a reading.

    Args:
        whole: rejects of documents, interchanges, groups and sets (`WHOLE_COLUMNS`).
        lines: rejects of lines, a frame for each part (`settling.LINE_COLUMNS`).
        told: findings about whole sets (`counts.SCHEMA`).
        findings: findings about segments and elements, a frame for each part; none where they were not asked for.
        part_ends: the row behind the last of each part.
        sets: one row per set, by its ordinal from 0.
    """

    def __init__(
        self,
        whole: pl.DataFrame,
        lines: Waiting,
        told: pl.DataFrame,
        findings: Waiting,
        part_ends: list[int],
        sets: pl.DataFrame,
    ) -> None:
        self.whole = whole.sort(_ORDER, maintain_order=True)
        self._lines, self._findings = lines, findings
        self._ends = np.array(part_ends[:-1], dtype=np.int64)
        self._whole = self._cut(self.whole, "at")
        self._told = self._cut(told, "row")
        self._places = sets.select(
            "doc", "document_id", "interchange_no", "set_no", "start", "standard_code", "available_at_utc"
        )

    def _cut(self, frame: pl.DataFrame, name: str) -> list[pl.DataFrame]:
        """A frame cut by parts; what stands behind the last row belongs to the last."""
        if frame.is_empty() or not len(self._ends):
            return [frame, *[frame.clear()] * len(self._ends)]
        frame = frame.sort(name, maintain_order=True)
        edges = [0, *np.searchsorted(frame[name], self._ends).tolist(), frame.height]
        return [frame[a:b] for a, b in pairwise(edges)]

    def parts(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Rejects and findings of each part."""
        return zip(self.rejects(), self.findings(), strict=True)

    def rejects(self) -> Iterator[pl.DataFrame]:
        """What was set aside in each part (`REJECT_COLUMNS`), in document order."""
        return map(self._rejects, range(len(self._whole)))

    def findings(self) -> Iterator[pl.DataFrame]:
        """What breaks the grammar in each part, in document order."""
        return map(self._found, range(len(self._told)))

    def _rejects(self, number: int) -> pl.DataFrame:
        whole = self._whole[number]
        lines = self._lines.get(number)[0] if len(self._lines) else None
        if lines is None or lines.is_empty():
            return whole.select(*REJECT_COLUMNS)
        placed = lines.hstack(rows_at(self._places, lines["set"])).with_columns(
            level_code=pl.lit("line"), segment_text="seg", at=pl.lit(0, dtype=pl.Int64)
        )
        if whole.is_empty():
            return placed.select(*REJECT_COLUMNS)
        both = pl.concat([whole, placed.select(*WHOLE_COLUMNS)])
        return both.sort(_ORDER, maintain_order=True).select(*REJECT_COLUMNS)

    def _found(self, number: int) -> pl.DataFrame:
        own = self._findings.get(number) if len(self._findings) else []
        found = pl.concat([*own, self._told[number]])
        found = found.hstack(rows_at(self._places, found["set"])).with_columns(
            segment_no=(pl.col("row") - pl.col("start") + 1).cast(pl.Int32), segment_text=shown(pl.col("seg"))
        )
        return found.sort("row", "element_no", maintain_order=True).select(_FINDING)


def identified(rejects: pl.DataFrame) -> pl.DataFrame:
    """The rejects of a part in the form of their contract: with a reject_id each.

    Rejects of the same place and code are told apart by a number; they are all in the same part.
    """
    keys = (
        "document_id",
        "interchange_no",
        "set_no",
        "segment_no",
        "line_no",
        "element_no",
        "level_code",
        "error_code",
    )
    text = pl.concat_str((pl.col(k).cast(pl.String).fill_null("None") for k in keys), separator="|")
    keyed = rejects.select(text=text)
    if keyed["text"].is_duplicated().any():
        again = pl.int_range(1, pl.len() + 1).over("text")
        suffix = pl.when(again > 1).then(pl.concat_str(pl.lit("|"), again)).otherwise(pl.lit(""))
        keyed = keyed.select(pl.concat_str("text", suffix).alias("text"))
    ids = [hashlib.sha256(t.encode()).hexdigest()[:16] for t in keyed["text"]]
    return conform(rejects.with_columns(reject_id=pl.Series(ids, dtype=pl.String)), RAW_EDI_REJECTS)
