"""Trailers that close nothing, of which a damaged file may hold millions: the first of each sort is kept, the others are counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Bools = npt.NDArray[np.bool_]
REPEATED: dict[str, pl.DataType] = {"row": pl.Int64(), "tag": pl.String(), "again": pl.Int64()}


class Trailers:
    """Watches the envelope rows of a reading, a part after the other.

    A trailer is one too many where nothing is open that it could close. Behind any row but the header of a set it says nothing
    but that; those of one tag that follow the same interchange header say it in the same words.
    """

    def __init__(self) -> None:
        self._before = 0
        self._group = self._interchange = False
        self._first: dict[str, int] = {}
        self._again: dict[tuple[int, str], int] = {}

    def thinned(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of a part without trailers of which the like was met before.

        Args:
            rows: row, kind and tag as in `Tokens.envelope`, rows counted over the whole reading.
        """
        if rows.is_empty():
            return rows
        kind = rows["kind"].to_numpy()
        before = np.append(self._before, kind[:-1])
        group = _open(kind, (2,), (1, 5, 6), now=self._group)
        interchange = _open(kind, (1,), (6,), now=self._interchange)
        closes_nothing = (
            (kind == 4) | ((kind == 5) & ~group[:-1]) | ((kind == 6) & ~interchange[:-1] & ~group[:-1])
        ) & (before != 3)
        self._before, self._group, self._interchange = int(kind[-1]), bool(group[-1]), bool(interchange[-1])
        kept = ~closes_nothing
        self._count(rows, np.cumsum(kind == 1), np.flatnonzero(closes_nothing), kept)
        return rows if kept.all() else rows.filter(pl.Series(kept))

    def _count(
        self, rows: pl.DataFrame, header: npt.NDArray[np.int64], places: npt.NDArray[np.int64], kept: Bools
    ) -> None:
        """Count trailers that close nothing by what they follow, and keep the first of each sort."""
        found = rows[places].select("row", "tag", header=pl.Series(header[places]), place=pl.Series(places))
        sorts = found.group_by("header", "tag", maintain_order=True).agg(pl.first("row", "place"), pl.len())
        latest = int(header[-1])
        carried = self._first
        if latest:
            self._first = {}
        for at, tag, row, place, often in sorts.iter_rows():
            first = carried.get(tag) if at == 0 else None
            if first is None:
                first, often = row, often - 1
                kept[place] = True
            if often:
                self._again[first, tag] = self._again.get((first, tag), 0) + often
            if at == latest:
                self._first[tag] = first

    def repeated(self) -> pl.DataFrame:
        """How many more there are of each trailer that was kept: row, tag, again."""
        some = [(row, tag, again) for (row, tag), again in self._again.items()]
        return pl.DataFrame(some, schema=REPEATED, orient="row")


def _open(kind: npt.NDArray[np.int8], opens: tuple[int, ...], closes: tuple[int, ...], *, now: bool) -> Bools:
    """Whether something is open before each row, and behind the last."""
    says = np.append(True, np.isin(kind, opens + closes))
    state = np.append(now, np.isin(kind, opens))
    latest: Bools = state[np.maximum.accumulate(np.where(says, np.arange(len(says)), 0))]
    return latest
