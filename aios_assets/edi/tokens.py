"""Canonical texts to segments: one polars split for thousands of documents, X12 and EDIFACT alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from aios_assets.edi.delims import EL, SEG

INTERCHANGE_OPEN, INTERCHANGE_CLOSE = ("ISA", "UNB"), ("IEA", "UNZ")
GROUP_OPEN, GROUP_CLOSE = ("GS", "UNG"), ("GE", "UNE")
SET_OPEN, SET_CLOSE = ("ST", "UNH"), ("SE", "UNT")
# Kinds of envelope segments; tags that stand outside sets but open or close nothing get 7.
KINDS: dict[str, int] = {
    **dict.fromkeys(INTERCHANGE_OPEN, 1),
    **dict.fromkeys(GROUP_OPEN, 2),
    **dict.fromkeys(SET_OPEN, 3),
    **dict.fromkeys(SET_CLOSE, 4),
    **dict.fromkeys(GROUP_CLOSE, 5),
    **dict.fromkeys(INTERCHANGE_CLOSE, 6),
    "TA1": 7,
}
_BLANK = " \t\r\n\x00"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One batch of segments.

    Attributes:
        segments: one row per non-empty segment, in document order: piece (u32), tag, seg (canonical text).
        envelope: the rows of `KINDS`: row (position in this batch), piece, kind, tag, and e1 … e16 (stripped).
    """

    segments: pl.DataFrame
    envelope: pl.DataFrame


def tokenise(texts: list[str]) -> Tokens:
    """Split canonical texts into segments.

    Args:
        texts: one canonical text per piece.
    """
    # The empty text behind the last terminator is cut here, which spares a filter over all segments.
    bare = [text[:-1] if text.endswith(SEG) else text for text in texts]
    segments = (
        pl.DataFrame(
            {"piece": pl.Series(range(len(texts)), dtype=pl.UInt32), "seg": bare}, schema_overrides={"seg": pl.String}
        )
        .with_columns(pl.col("seg").str.split(SEG))
        .explode("seg")
        .with_columns(pl.col("seg").str.strip_chars(_BLANK))
    )
    if (segments["seg"] == "").any():
        segments = segments.filter(pl.col("seg") != "")
    # Two-letter tags carry their separator along, which costs nothing to cut and much to split.
    segments = segments.with_columns(tag=pl.col("seg").str.head(3).str.strip_chars_end(EL))
    envelope = segments.with_row_index("row").filter(pl.col("tag").is_in(list(KINDS)))
    return Tokens(segments, _elements(envelope))


def _elements(envelope: pl.DataFrame) -> pl.DataFrame:
    parts = pl.col("seg").str.split(EL)
    wide = envelope.with_columns(parts.alias("el"))
    return wide.select(
        "row",
        "piece",
        "tag",
        pl.col("tag").replace_strict(KINDS, return_dtype=pl.Int8).alias("kind"),
        pl.col("el").list.len().cast(pl.Int32).sub(1).alias("elements"),
        *(pl.col("el").list.get(i, null_on_oob=True).str.strip_chars(_BLANK).alias(f"e{i}") for i in range(1, 17)),
        # ISA fields are fixed width: an acknowledgement must give them back as they came.
    )


def set_index(sizes: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which set each of `sizes` segments belongs to: -1 outside, else the ordinal in `starts`.

    Args:
        sizes: number of segments.
        starts: first rows of the sets, ascending.
        ends: last rows of the sets, inclusive, before the next start.
    """
    n = len(starts)
    lengths = np.empty(2 * n + 1, dtype=np.int64)
    lengths[0:-1:2] = starts - np.concatenate(([0], ends[:-1] + 1)) if n else 0
    lengths[1::2] = ends - starts + 1
    lengths[-1] = sizes - (ends[-1] + 1 if n else 0)
    values = np.full(2 * n + 1, -1, dtype=np.int32)
    values[1::2] = np.arange(n, dtype=np.int32)
    return np.repeat(values, lengths)
