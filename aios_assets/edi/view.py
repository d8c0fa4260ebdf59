"""Segments of one set type seen as tables: which line each segment belongs to, and its elements by name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.canonical import restored
from aios_assets.edi.delims import COMP
from aios_assets.edi.strings import numbers, rows_at
from aios_assets.edi.tokens import Ints, Places, Tokens, code_of

_BLANK = " \t\r\n\x00"
At = int | tuple[int, int]
Rows32 = npt.NDArray[np.int32]


def clean(value: pl.Expr) -> pl.Expr:
    """Trim blanks by name and read the empty text as not sent."""
    trimmed = value.str.strip_chars(_BLANK)
    return pl.when(trimmed != "").then(trimmed)


@dataclass(frozen=True)
class View:
    """The segments of all sets of one type in a batch.

    Attributes:
        tokens: the batch.
        rows: segments of the view, ascending.
        sets: the set of each.
        line: the row of the segment that opened its line, -1 in the header and the summary.
        standard: X12 or EDIFACT.
        released: characters that were released in the batch.
        fresh: the first row that was not read before (`carry`).
        before: lines of the first set that were read before.
    """

    tokens: Tokens
    rows: Ints
    sets: Rows32
    line: Rows32
    standard: str
    released: frozenset[int] = field(default_factory=frozenset)
    fresh: int = 0
    before: int = 0

    def where(self, *tags: str) -> Ints:
        """Places in the view of the segments with one of the tags."""
        return np.flatnonzero(self._is(*tags))

    @cached_property
    def _codes(self) -> npt.NDArray[np.uint32]:
        return self.tokens.code.take(self.rows, mode="clip")

    def _is(self, *tags: str) -> npt.NDArray[np.bool_]:
        out = np.zeros(len(self.rows), dtype=np.bool_)
        for tag in tags:
            out |= self._codes == code_of(tag)
        return out

    def _places(self, at: Ints) -> dict[str, pl.Series]:
        return {
            "row": pl.Series(self.rows[at].astype(np.int32)),
            "set": pl.Series(self.sets[at]),
            "line": pl.Series(self.line[at]),
        }

    def places(self, *tags: str) -> pl.DataFrame:
        """row, set and line of the segments with one of the tags."""
        return pl.DataFrame(self._places(self.where(*tags)))

    def tag(self, *tags: str) -> pl.DataFrame:
        """row, set, line, tag and the canonical text of the segments with one of the tags."""
        at = self.where(*tags)
        rows = self.rows[at]
        return pl.DataFrame(self._places(at) | {"tag": self.tokens.tags(rows), "seg": self.tokens.segments(rows)})

    def longest(self, *tags: str) -> int:
        """Most elements that a segment with one of the tags has."""
        rows = self.rows[self.where(*tags)]
        return int(self.tokens.elements(rows).max()) if len(rows) else 0

    def relined(self, openers: tuple[str, ...], headers: tuple[str, ...], also: Rows32 | None = None) -> View:
        """The same segments, lined by other tags (`lined`); the rows of `also` end the lines too."""
        ends = self._is(*headers)
        if also is not None:
            ends[np.searchsorted(self.rows, also)] = True
        return replace(self, line=lined(self.rows, self._is(*openers), ends))

    def restore(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Put released characters back into every text column."""
        return restored(frame, self.released)

    def pick(self, *tags: str, **at: At) -> pl.DataFrame:
        """Named elements of the segments with one of the tags.

        Args:
            tags: segment tags.
            at: column name to element number, or to (element, component), both from 1.

        Returns:
            row, set, line and one text column per name; not sent is null.
        """
        where = self.where(*tags)
        return self.restore(pl.DataFrame(self._places(where) | self._elements(self.rows[where], at)))

    def _elements(self, rows: Ints, at: dict[str, At]) -> dict[str, pl.Series]:
        """Named elements as columns; of a composite the first component where none is named (EDIFACT)."""
        whole = 1 if self.standard == "EDIFACT" else 0
        places = [(place, whole) if isinstance(place, int) else (place[0], place[1] or whole) for place in at.values()]
        return dict(zip(at, self.tokens.values(rows, places), strict=True))

    def pairs(self, *tags: str, first: int, limit: int = 15, **at: At) -> pl.DataFrame:
        """Item numbers from qualifier and value pairs (X12 LIN02/03, PO106/107 …).

        Args:
            tags: segment tags.
            first: element number of the first qualifier.
            limit: most pairs looked at.
            at: further elements by name.

        Returns:
            row, set, line, the first number of each kind (`NUMBER_KINDS`) and the named elements.
        """
        where = self.where(*tags)
        rows = self.rows[where]
        longest = int(self.tokens.elements(rows).max()) if len(rows) else 0
        found = _first_of_kind(self.tokens, rows, range(first, min(longest, first + 2 * limit), 2))
        none = pl.Series([None], dtype=pl.String)
        columns = {
            name: self.tokens.slicer.strings(*found[name]) if name in found else none.new_from_index(0, len(rows))
            for name in NUMBER_KINDS
        }
        return self.restore(pl.DataFrame(self._places(where) | columns | self._elements(rows, at)))


# Kinds of item numbers, by their qualifiers; other_item has one that is not known here.
NUMBER_KINDS = ("other_item", "buyer_item", "vendor_item", "gtin", "design", "telling")


def _first_of_kind(tokens: Tokens, rows: Ints, spots: range) -> dict[str, tuple[Ints, Ints]]:
    """Where the first number of each kind stands in a segment; a kind that no segment names is left out."""
    out: dict[str, tuple[Ints, Ints]] = {}
    places = Places(tokens, rows)
    for spot in reversed(spots):
        start, end = places.span(spot + 1)
        kind = _kinds(tokens.slicer.words(*places.span(spot)))
        sent = start < end
        for number in np.flatnonzero(np.bincount(kind)).tolist():
            name, hit = NUMBER_KINDS[number], sent & (kind == number)
            if hit.all():
                out[name] = start, end
            elif hit.any():
                old = out.get(name, (0, 0))
                out[name] = np.where(hit, start, old[0]), np.where(hit, end, old[1])
    return out


def _kinds(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.int8]:
    """What kind of number a qualifier announces, by its place in `NUMBER_KINDS`."""
    if len(words) and (words == words[0]).all():
        # In most files all lines are numbered alike.
        return np.full(len(words), _KIND_OF.get(int(words[0]), 0), dtype=np.int8)
    at = np.minimum(np.searchsorted(_CODES, words), len(_CODES) - 1)
    kind: npt.NDArray[np.int8] = np.where(_CODES[at] == words, _KINDS[at], 0).astype(np.int8)
    return kind


# X12 element 235 and EDIFACT 7143: who issued the item number.
BUYER = ("IN", "BP", "SK", "PI", "CB")
VENDOR = ("VN", "VP", "VC", "SA", "MG", "PN")
GTIN = ("UP", "UK", "EN", "UI", "EO", "GT", "SRV")
X12_GTIN = (*GTIN, "UA", "UD", "UE", "UN")
# Styles and models, which may come in several sizes and colours: better than nothing, worse than a GTIN.
DESIGN = ("VA", "VS", "MN", "ST", "IT")
# What tells of an item and names none: colour, size, brand, lot, serial and order numbers, descriptions, and (X12 only) the maker's name.
TELLING = (
    "BO", "CL", "CM", "VE", "IZ", "SM", "SZ", "BL", "BC", "CG", "CN", "GN", "PD", "LT", "SL", "DL", "SN", "BN", "HN", "PL", "PO", "ON", "VO",
    "RY", "EC", "BE", "VB", "SC", "PJ", "RN", "CR",
)  # fmt: skip
X12_TELLING = (*TELLING, "MF", "UC", "TP")
_KIND_OF = {
    code_of(qualifier): kind
    for kind, qualifiers in enumerate((BUYER, VENDOR, X12_GTIN, DESIGN, X12_TELLING), start=1)
    for qualifier in qualifiers
}
_CODES = np.array(sorted(_KIND_OF), dtype=np.uint32)
_KINDS = np.array([_KIND_OF[code] for code in sorted(_KIND_OF)], dtype=np.int8)


def item(frame: pl.DataFrame) -> pl.DataFrame:
    """item_id and item_gtin from what `View.pairs` found: the buyer's number, else the vendor's, else GTIN or UPC, else what there is."""
    return frame.with_columns(
        item_id=pl.coalesce("buyer_item", "vendor_item", "gtin", "design", "other_item", "telling"),
        item_gtin=pl.col("gtin"),
    ).drop(NUMBER_KINDS)


def lined(rows: Ints, opens: npt.NDArray[np.bool_], ends: npt.NDArray[np.bool_]) -> Rows32:
    """The row of the opener that each segment belongs to; -1 where there is none.

    Args:
        rows: segments in order, every set beginning with one that ends the lines.
        opens: which of them open a line.
        ends: after which of them there is no line until the next opener (ST, UNH, UNS, CTT …).
    """
    marks = np.where(opens | ends, np.arange(len(rows)), 0)
    last = np.maximum.accumulate(marks)
    return np.where(opens[last], rows[last], -1).astype(np.int32) if len(rows) else np.empty(0, dtype=np.int32)


def outside_of_loops(view: View) -> View:
    """The view without what stands between LS and LE: LX and N1 there are those of an inner loop."""
    if not len(view.where("LS")):
        return view
    bounds = view.relined(("LS",), ("LE", "ST", "SE"))
    out = bounds.line < 0
    return replace(view, rows=view.rows[out], sets=view.sets[out], line=view.line[out])


def attach(base: pl.DataFrame, found: pl.DataFrame, key: str, *columns: str, suffix: str = "") -> pl.DataFrame:
    """Add the first found row per key; columns arrive null where there is none.

    Args:
        base: lines or sets.
        found: picked segments.
        key: `set` or `line`, or another column of small row numbers.
        columns: columns to bring over.
        suffix: appended to their names.
    """
    renamed = {c: c + suffix for c in columns}
    if found.is_empty():
        return base.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in renamed.values())
    at = first_place(base[key], found[key])
    if at is None:
        return base.with_columns(found[c].alias(n) for c, n in renamed.items())
    return base.with_columns(rows_at(found.select(columns).rename(renamed), at).iter_columns())


def first_place(wanted: pl.Series, keys: pl.Series) -> pl.Series | None:
    """Where each wanted row number stands first among the keys; null where it does not.

    Row numbers are small, so a table of all of them is both faster and leaner than a hash join.

    Args:
        wanted: row numbers; null and negative ones are found nowhere but as themselves.
        keys: row numbers from -1; null ones are never found.

    Returns:
        None where each wanted number stands in its own place: nothing need be moved.
    """
    known, asked = _row_numbers(keys, -2), _row_numbers(wanted, -3)
    if len(known) == len(asked) and bool((known == asked).all()) and bool((known[1:] > known[:-1]).all()):
        return None
    known, asked = known.astype(np.int64) + 2, asked.astype(np.int64) + 2
    size = int(max(known.max(initial=0), asked.max(initial=0))) + 2
    low = int(min(known.min(initial=size), asked.min(initial=size)))
    table = np.full(size - low + 1, -1, dtype=np.int64)
    table[(known - low)[::-1]] = np.arange(len(known))[::-1]
    return numbers(table[asked - low])


def _row_numbers(values: pl.Series, none: int) -> npt.NDArray[np.int64]:
    return (values.fill_null(none) if values.null_count() else values).to_numpy()


def scoped(base: pl.DataFrame, found: pl.DataFrame, name: str, value: str) -> pl.DataFrame:
    """Add the header's value as `name`, overridden by the line's own.

    Args:
        base: one row per line; without a column `line` the header's value stands alone.
        found: row, set, line (null in the header) and `value`; what has none is passed over.
        name: column to add.
        value: column of `found`.
    """
    found = found.select("row", "set", "line", pl.col(value).alias(name)).filter(pl.col(name).is_not_null())
    base = attach(base, header(found), "set", name)
    inside = lines(found)
    if inside.is_empty() or "line" not in base.columns:
        return base
    base = attach(base, inside, "line", name, suffix="_line")
    return base.with_columns(pl.coalesce(f"{name}_line", name).alias(name)).drop(f"{name}_line")


def behind(base: pl.DataFrame, found: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Add what is said behind each quantity, else before the first of its line, else behind the last for all of the line.

    Args:
        base: quantities with row, line and `own`, the row that says the quantity.
        found: what a view says whose lines are opened by both (`relined`), the best first.
        names: columns of `found`.
    """
    if found.is_empty():
        return base.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in names)
    own = found.rename({"line": "own"})
    base = attach(attach(base, own, "own", *names), found, "line", *names, suffix="_line")
    last = base.group_by("line").agg(
        pl.col("own").max().alias("last"), (pl.col(names[0]).is_not_null().sum() == 1).alias("alone")
    )
    last = attach(last.filter("alone"), own.rename({"own": "last"}), "last", *names)
    base = attach(base, last, "line", *names, suffix="_last")
    return base.with_columns(pl.coalesce(n, f"{n}_line", f"{n}_last").alias(n) for n in names)


def priced(base: pl.DataFrame, found: pl.DataFrame, name: str, value: str, *kinds: str) -> pl.DataFrame:
    """Add what is said behind each price (`behind`), else the header's, as `name`.

    Args:
        base: prices with set, line and `own`, the row that says the price.
        found: set, row, line, kind and `value` of a view whose lines are opened by items and prices.
        name: column to add.
        value: column of `found`.
        kinds: which kinds count, the best first.
    """
    named = having(found, "kind", *kinds).filter(pl.col(value).is_not_null())
    base = attach(behind(base, lines(named), value), header(named), "set", value, suffix="_head")
    return base.with_columns(pl.coalesce(value, f"{value}_head").alias(name)).drop(value, f"{value}_head")


def beside(base: pl.DataFrame, found: pl.DataFrame, at: str, found_at: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What stands nearest before each row, and nearest at or behind it, in the same line.

    Args:
        base: rows with line and `at`, sorted by it.
        found: rows with line and `found_at`, sorted by it.
        at: place of a row.
        found_at: place of what is looked for.

    Returns:
        line, `at` and the columns of `found`, null where there is none: what stands before, and what stands behind.
    """
    sides: tuple[Literal["backward"], Literal["forward"]] = ("backward", "forward")
    before, behind = (
        base.select("line", at).join_asof(
            found, left_on=at, right_on=found_at, by="line", strategy=side, allow_exact_matches=side == "forward",
            check_sortedness=False,
        )
        for side in sides
    )  # fmt: skip
    return before, behind


def first_component(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Keep the first component of a composite element (a unit of measure may be one)."""
    if not frame[name].str.contains(COMP, literal=True).any():
        return frame
    return frame.with_columns(clean(pl.col(name).str.split(COMP).list.get(0, null_on_oob=True)))


def numbered(frame: pl.DataFrame, view: View, name: str = "order_line") -> pl.DataFrame:
    """Number the lines of a set from 1 where the sender did not."""
    if frame[name].null_count() == 0:
        return frame
    number = pl.int_range(pl.len()).over("set").add(1)
    if view.before:
        lent = pl.col("row") < view.fresh
        goes_on = pl.col("set") == frame["set"].min()
        number = number + pl.when(goes_on).then(view.before - lent.sum()).otherwise(0)
    return frame.with_columns(pl.coalesce(name, number.cast(pl.String)))


def header(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of the header and summary only."""
    line = frame["line"]
    return frame.clear() if line.len() and line.min() >= 0 else frame.filter(line < 0)  # type: ignore[operator]


def lines(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows within lines only."""
    line = frame["line"]
    return frame if line.len() and line.min() >= 0 else frame.filter(line >= 0)  # type: ignore[operator]


def among(frame: pl.DataFrame, column: str, values: Collection[str]) -> pl.DataFrame:
    """Rows whose column has one of the values."""
    named = frame[column]
    if named.len() and named.null_count() == 0 and (named == named[0]).all():
        # In most files a segment has one qualifier throughout.
        return frame if named[0] in values else frame.clear()
    return frame.filter(named.is_in(list(values)))


def having(frame: pl.DataFrame, column: str, *values: str) -> pl.DataFrame:
    """As `among`; the first value ranks first within equal keys."""
    kept = among(frame, column, values)
    if len(values) == 1 or kept.height < 2:
        return kept
    if (kept[column] == kept[column][0]).all() and kept["row"].is_sorted():
        return kept
    rank = pl.col(column).replace_strict({v: i for i, v in enumerate(values)}, return_dtype=pl.Int8)
    return kept.sort(rank, "row", maintain_order=True)
