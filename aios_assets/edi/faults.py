"""What is set aside and what breaks the grammar, in document order: a part of a reading after the other, however many there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl

from aios_assets.contracts.edi_tables import RAW_EDI_REJECTS
from aios_assets.edi.aside import COUNTED_COLUMNS, TIMES, WHOLE_COLUMNS, shown
from aios_assets.edi.shelf import conform
from aios_assets.edi.strings import rows_at
from aios_assets.edi.waiting import Waiting

_ORDER = ("doc", "interchange_no", "set_no", "segment_no", "line_no", "error_code", "reason")
_FINDING = (
    "document_id", "interchange_no", "set_no", "segment_no", "element_no", "tag", "error_code", "reason", "segment_text",
    "value",
)  # fmt: skip
_ONE = pl.lit(1, dtype=pl.Int64)
# Rejects that get their identity at a time.
_BLOCK = 1 << 19


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
        """What was set aside in each part (`COUNTED_COLUMNS`), in document order."""
        return map(self._rejects, range(len(self._whole)))

    def findings(self) -> Iterator[pl.DataFrame]:
        """What breaks the grammar in each part, in document order."""
        return map(self._found, range(len(self._told)))

    def _rejects(self, number: int) -> pl.DataFrame:
        whole = self._whole[number]
        lines = self._lines.get(number)[0] if len(self._lines) else None
        if lines is None or lines.is_empty():
            return whole.select(*COUNTED_COLUMNS)
        placed = lines.hstack(rows_at(self._places, lines["set"])).with_columns(
            level_code=pl.lit("line"), segment_text="seg", times=_ONE, at=pl.lit(0, dtype=pl.Int64)
        )
        if whole.is_empty():
            return placed.select(*COUNTED_COLUMNS)
        both = pl.concat([whole, placed.select(*WHOLE_COLUMNS)])
        return both.sort(_ORDER, maintain_order=True).select(*COUNTED_COLUMNS)

    def _found(self, number: int) -> pl.DataFrame:
        own = self._findings.get(number) if len(self._findings) else []
        found = pl.concat([*own, self._told[number]])
        found = found.hstack(rows_at(self._places, found["set"])).with_columns(
            segment_no=(pl.col("row") - pl.col("start") + 1).cast(pl.Int32), segment_text=shown(pl.col("seg"))
        )
        return found.sort("row", "element_no", maintain_order=True).select(_FINDING)


def repeated(rejects: pl.DataFrame, most: int) -> pl.DataFrame:
    """The first `most` rows, each as often as it is there."""
    if TIMES not in rejects.columns:
        return rejects.head(most)
    ends = np.minimum(np.cumsum(rejects[TIMES].to_numpy()), most)
    return rows_at(rejects, pl.Series(np.repeat(np.arange(rejects.height), np.diff(ends, prepend=0))))


def identified(rejects: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rejects of a part in the form of their contract, with a reject_id each, some at a time.

    Rejects of the same place and code are told apart by a number; they are all in the same part.

    Args:
        rejects: as `Faults.rejects` yields them.
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
    keyed = rejects.select(TIMES, text=text)
    counted = keyed.select((pl.col(TIMES).cum_sum() - pl.col(TIMES)).over("text"))
    texts, earlier, times = keyed["text"], counted[TIMES].to_numpy(), keyed[TIMES].to_numpy()
    ends = np.cumsum(times)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, max(total, 1), _BLOCK):
        nth = np.arange(begin, min(begin + _BLOCK, total))
        at = np.searchsorted(ends, nth, side="right")
        number = nth - (ends[at] - times[at]) + earlier[at] + 1
        words = zip(texts[at], number.tolist(), strict=True)
        ids = [hashlib.sha256((t if n == 1 else f"{t}|{n}").encode()).hexdigest()[:16] for t, n in words]
        some = rows_at(rejects, pl.Series(at, dtype=pl.Int64))
        yield conform(some.with_columns(reject_id=pl.Series(ids, dtype=pl.String)), RAW_EDI_REJECTS)
