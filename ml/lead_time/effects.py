"""What is known at order time as levels, whose additive, shrunken effects on the log of the lead time are learned (`ml.effects`).

Every text column is a set of levels, every number is cut into fifths, every further date becomes the days between it
and the order; the supplier is paired with the small columns. Each level's effect is a weighted mean of what the others
leave, shrunk towards zero by `strength` pseudo-orders (a random-effects model fitted by backfitting). Unknown levels
have no effect, so a new supplier or country is answered by what is known of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ml.effects import Ints

NUMBER_BINS = 5


@dataclass(frozen=True, slots=True)
class Coder:
    """How a frame becomes level numbers.

    Attributes:
        columns: text columns used.
        pairs: pairs of text columns used together.
        edges: cut points of each number column.
        gaps: date columns, used as days from the order date, with cut points.
        levels: values of each effect, sorted; the number of a level is its place.
    """

    columns: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    edges: dict[str, tuple[float, ...]]
    gaps: dict[str, tuple[float, ...]]
    levels: dict[str, tuple[str, ...]]

    def encode(self, frame: pl.DataFrame, ordered: str) -> list[Ints]:
        """Level number of each row for every effect; −1 for missing or never seen."""
        texts = _texts(frame, self.columns, self.pairs, self.edges, self.gaps, ordered)
        out = []
        for name, values in texts.items():
            known = {v: i for i, v in enumerate(self.levels[name])}
            out.append(np.array([known.get(v, -1) if v is not None else -1 for v in values], dtype=np.int64))
        return out


def make_coder(
    frame: pl.DataFrame,
    *,
    texts: Sequence[str],
    numbers: Sequence[str],
    dates: Sequence[str],
    supplier: str | None,
    ordered: str,
) -> Coder:
    """Learn levels and cut points from the training rows.

    Args:
        frame: training rows.
        texts: text and flag columns.
        numbers: number columns.
        dates: date columns other than the order date.
        supplier: text column paired with the other text columns of at most 60 levels.
        ordered: column of the order date.
    """
    small = [c for c in texts if c != supplier and 2 <= frame[c].n_unique() <= 60]
    pairs = tuple((supplier, c) for c in small) if supplier in texts and supplier is not None else ()
    edges = {c: _cuts(frame[c].cast(pl.Float64)) for c in numbers}
    gaps = {c: _cuts((frame[c].cast(pl.Date) - frame[ordered]).dt.total_days().cast(pl.Float64)) for c in dates}
    edges, gaps = {c: e for c, e in edges.items() if e}, {c: e for c, e in gaps.items() if e}
    values = _texts(frame, tuple(texts), pairs, edges, gaps, ordered)
    levels = {name: tuple(sorted({v for v in column if v is not None})) for name, column in values.items()}
    return Coder(tuple(texts), pairs, edges, gaps, levels)


def _cuts(series: pl.Series) -> tuple[float, ...]:
    values = series.drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if values.size < 20:
        return ()
    cuts = np.unique(np.quantile(values, np.arange(1, NUMBER_BINS) / NUMBER_BINS))
    return tuple(float(c) for c in cuts) if np.unique(values).size > 1 else ()


def _texts(
    frame: pl.DataFrame, columns: tuple[str, ...], pairs: tuple[tuple[str, str], ...], edges: dict[str, tuple[float, ...]],
    gaps: dict[str, tuple[float, ...]], ordered: str,
) -> dict[str, list[str | None]]:  # fmt: skip
    out: dict[str, list[str | None]] = {c: frame[c].cast(pl.String).to_list() for c in columns}
    for a, b in pairs:
        left, right = out[a], out[b]
        out[f"{a} × {b}"] = [
            None if x is None or y is None else f"{x}\x1f{y}" for x, y in zip(left, right, strict=True)
        ]
    for c, cut in edges.items():
        out[f"{c} in fifths"] = _binned(frame[c].cast(pl.Float64), cut)
    for c, cut in gaps.items():
        days = (frame[c].cast(pl.Date) - frame[ordered]).dt.total_days().cast(pl.Float64)
        out[f"days from order to {c}"] = _binned(days, cut)
    return out


def _binned(series: pl.Series, cuts: tuple[float, ...]) -> list[str | None]:
    values = series.fill_null(float("nan")).to_numpy()
    place = np.searchsorted(np.array(cuts), values)
    return [None if not np.isfinite(v) else str(int(p)) for v, p in zip(values, place, strict=True)]
