"""Segments of one set type seen as tables: which line each segment belongs to, and its elements by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from aios_assets.edi.canonical import PRIVATE
from aios_assets.edi.delims import COMP, EL, REP

_BLANK = " \t\r\n\x00"
At = int | tuple[int, int]


def clean(value: pl.Expr, *, trim: bool = True) -> pl.Expr:
    """Trim blanks by name and read the empty text as not sent.

    Args:
        value: text.
        trim: false where no blank occurs anywhere, which spares a pass.
    """
    trimmed = value.str.strip_chars(_BLANK) if trim else value
    return pl.when(trimmed != "").then(trimmed)


def _blanks(rows: pl.DataFrame) -> bool:
    """Whether any segment holds a blank."""
    return bool(rows["seg"].str.contains_any([" ", "\t", "\x00"]).any())


@dataclass(frozen=True, slots=True)
class View:
    """The segments of all sets of one type in a batch.

    Attributes:
        rows: row (i32), set (i32), line (i32), tag, seg. `line` is the row of the segment that opened the line,
            -1 in the header and the summary.
        standard: X12 or EDIFACT.
        released: characters that were released in the batch.
    """

    rows: pl.DataFrame
    standard: str
    released: frozenset[int] = field(default_factory=frozenset)

    def tag(self, *tags: str) -> pl.DataFrame:
        """Rows with one of the tags."""
        column = pl.col("tag")
        return self.rows.filter(column == tags[0] if len(tags) == 1 else column.is_in(list(tags)))

    def restore(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Put released characters back into every text column."""
        if not self.released:
            return frame
        codes = sorted(self.released)
        old, new = [chr(PRIVATE + c) for c in codes], [chr(c) for c in codes]
        return frame.with_columns(pl.col(pl.String).str.replace_many(old, new))

    def pick(self, *tags: str, **at: At) -> pl.DataFrame:
        """Named elements of the segments with one of the tags.

        Args:
            tags: segment tags.
            at: column name to element number, or to (element, component), both from 1.

        Returns:
            row, set, line and one text column per name; not sent is null.
        """
        rows, trim = self._split(*tags)
        return self.restore(rows.select("row", "set", "line", *self._elements(rows, at, trim=trim)))

    def _split(self, *tags: str) -> tuple[pl.DataFrame, bool]:
        """Segments with their elements, and whether any value may need trimming."""
        rows = self.tag(*tags).select("row", "set", "line", "seg")
        return rows.with_columns(el=pl.col("seg").str.split(EL)), _blanks(rows)

    def _elements(self, rows: pl.DataFrame, at: Mapping[str, At], *, trim: bool) -> list[pl.Series]:
        """Named elements as columns; a composite is split once for all its components."""
        repeats = bool(rows["seg"].str.contains(REP, literal=True).any())
        composites: dict[int, pl.Series] = {}
        out = []
        for name, place in at.items():
            element, component = (place, 0) if isinstance(place, int) else place
            if component == 0 and self.standard == "EDIFACT":
                component = 1
            if component and element not in composites:
                value = pl.col("el").list.get(element, null_on_oob=True)
                value = value.str.split(REP).list.get(0, null_on_oob=True) if repeats else value
                composites[element] = rows.select(value.str.split(COMP)).to_series()
            parts = composites[element] if component else rows["el"]
            number = component - 1 if component else element
            picked = parts.list.get(number, null_on_oob=True).alias(name)
            out.append(picked.to_frame().select(clean(pl.col(name), trim=trim)).to_series())
        return out

    def pairs(self, *tags: str, first: int, limit: int = 15, **at: At) -> pl.DataFrame:
        """Item numbers from qualifier and value pairs (X12 LIN02/03, PO106/107 …).

        Args:
            tags: segment tags.
            first: element number of the first qualifier.
            limit: most pairs looked at.
            at: further elements by name.

        Returns:
            row, set, line, buyer_item, vendor_item, gtin, other_item (the first of any kind) and the named elements.
        """
        rows, trim = self._split(*tags)
        longest: int = rows.select(pl.col("el").list.len().max().fill_null(0)).item() if rows.height else 0
        spots = range(first, min(longest - 1, first + 2 * limit), 2)
        kind = pl.col("el").list
        numbered = rows.select(
            *(_issuer(kind.get(i, null_on_oob=True), trim=trim).alias(f"q{i}") for i in spots),
            *(clean(kind.get(i + 1, null_on_oob=True), trim=trim).alias(f"v{i}") for i in spots),
        )

        def of(issuer: int, name: str) -> pl.Expr:
            if not spots:
                return pl.lit(None, dtype=pl.String).alias(name)
            wanted = [
                pl.when(pl.col(f"q{i}") == issuer).then(pl.col(f"v{i}")) if issuer else pl.col(f"v{i}") for i in spots
            ]
            return pl.coalesce(wanted).alias(name)

        found = numbered.select(of(1, "buyer_item"), of(2, "vendor_item"), of(3, "gtin"), of(0, "other_item"))
        if found.height != rows.height:
            found = pl.DataFrame({c: pl.Series(c, [None] * rows.height, dtype=pl.String) for c in found.columns})
        return self.restore(
            pl.concat(
                [rows.select("row", "set", "line"), found, pl.DataFrame(self._elements(rows, at, trim=trim))],
                how="horizontal",
            )
        )


def _issuer(qualifier: pl.Expr, *, trim: bool) -> pl.Expr:
    """Who issued an item number: 1 the buyer, 2 the vendor, 3 GS1, null anybody else."""
    text = qualifier.str.strip_chars(_BLANK) if trim else qualifier
    return text.replace_strict(_ISSUERS, default=None, return_dtype=pl.Int8)


# X12 element 235 and EDIFACT 7143: who issued the item number.
BUYER = ("IN", "BP", "SK", "PI", "CB", "BO", "PL", "RY")
VENDOR = ("VN", "VP", "VC", "VA", "VS", "SA", "MG", "MN", "MF", "PN")
GTIN = ("UP", "UK", "EN", "UI", "UA", "EO", "UN", "GT", "SRV", "UE", "UC", "UH")
_ISSUERS = {**dict.fromkeys(GTIN, 3), **dict.fromkeys(VENDOR, 2), **dict.fromkeys(BUYER, 1)}


def item(frame: pl.DataFrame) -> pl.DataFrame:
    """item_id and item_gtin from what `View.pairs` found: the buyer's number, else the vendor's, else GTIN or UPC."""
    return frame.with_columns(
        item_id=pl.coalesce("buyer_item", "vendor_item", "gtin", "other_item"), item_gtin=pl.col("gtin")
    ).drop("buyer_item", "vendor_item", "gtin", "other_item")


def lined(rows: pl.DataFrame, openers: tuple[str, ...], headers: tuple[str, ...]) -> pl.DataFrame:
    """Add `line`: the row of the opener each segment belongs to.

    Args:
        rows: row, set, tag, seg in order, every set beginning with a header tag.
        openers: tags that open a line.
        headers: tags after which there is no line until the next opener (ST, UNH, UNS, CTT …).
    """
    tag = pl.col("tag")
    line = (
        pl.when(tag.is_in(list(openers)))
        .then(pl.col("row"))
        .when(tag.is_in(list(headers)))
        .then(pl.lit(-1, dtype=pl.Int32))
    )
    return rows.with_columns(line=line.forward_fill())


def first_by(frame: pl.DataFrame, key: str, *columns: str) -> pl.DataFrame:
    """First row of each key, in order."""
    return frame.unique(key, keep="first", maintain_order=True).select(key, *columns)


def attach(base: pl.DataFrame, found: pl.DataFrame, key: str, *columns: str, suffix: str = "") -> pl.DataFrame:
    """Left join the first found row per key; columns arrive null where there is none.

    Args:
        base: lines or sets.
        found: picked segments.
        key: `set` or `line`.
        columns: columns to bring over.
        suffix: appended to their names.
    """
    renamed = {c: c + suffix for c in columns}
    if found.is_empty():
        return base.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in renamed.values())
    right = first_by(found, key, *columns).rename(renamed)
    return base.join(right, on=key, how="left", maintain_order="left")


def first_component(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Keep the first component of a composite element (a unit of measure may be one)."""
    if not frame[name].str.contains(COMP, literal=True).any():
        return frame
    return frame.with_columns(clean(pl.col(name).str.split(COMP).list.get(0, null_on_oob=True)))


def numbered(frame: pl.DataFrame, name: str = "order_line") -> pl.DataFrame:
    """Number the lines of a set from 1 where the sender did not."""
    if frame[name].null_count() == 0:
        return frame
    return frame.with_columns(pl.coalesce(name, pl.int_range(pl.len()).over("set").add(1).cast(pl.String)))


def header(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of the header and summary only."""
    return frame.filter(pl.col("line") < 0)


def lines(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows within lines only."""
    return frame.filter(pl.col("line") >= 0)


def having(frame: pl.DataFrame, column: str, *values: str) -> pl.DataFrame:
    """Rows whose column has one of the values; the first value ranks first within equal keys."""
    kept = frame.filter(pl.col(column).is_in(list(values)))
    if len(values) == 1 or kept.height < 2:
        return kept
    rank = pl.col(column).replace_strict({v: i for i, v in enumerate(values)}, return_dtype=pl.Int8)
    return kept.sort(rank, "row", maintain_order=True)
