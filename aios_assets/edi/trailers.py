"""Trailers of which a file may hold millions: those that close nothing are counted, those that say what is so are told by their header."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.strings import numbers

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


def paired(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a part without the trailers of sets that say what is so: the header's `end` tells where they stood.

    So does one behind a header that names a type, with the number of segments that were counted and the very control number
    of the header: no fault of an envelope can be found there.

    Args:
        rows: row, doc, kind, tag, e1 and e2, rows counted over the whole reading.

    Returns:
        the rows with `end`, null where a set's trailer is missing or says something else, and for all other rows.
    """
    kind = rows["kind"].to_numpy()
    header = np.flatnonzero((kind[:-1] == 3) & (kind[1:] == 4))
    said = rows[header + 1].select(trailer="row", trailer_doc="doc", said_count="e1", said_control="e2")
    both = rows[header].select("row", "doc", "tag", "e1", "e2").hstack(said)
    counted = (pl.col("trailer") - pl.col("row") + 1).cast(pl.String)
    x12 = pl.col("tag") == "ST"
    control = pl.when(x12).then("e2").otherwise("e1")
    named = pl.when(x12).then(pl.col("e1") != "").otherwise(pl.col("e2").str.contains("^[A-Za-z0-9]"))
    right = (
        (pl.col("doc") == pl.col("trailer_doc"))
        & (pl.col("said_count") == counted)
        & (pl.col("said_control") == control)
        & (control != "")
        & named
    )
    header = header[both.select(right.fill_null(value=False)).to_series().to_numpy()]
    if not len(header):
        return rows.with_columns(end=pl.lit(None, dtype=pl.Int64))
    end = np.full(rows.height, -1)
    end[header] = rows["row"].to_numpy()[header + 1]
    kept = np.ones(rows.height, dtype=np.bool_)
    kept[header + 1] = False
    numbered = rows.with_columns(end=numbers(end).rename("end"))
    return numbered.filter(pl.Series(kept))
