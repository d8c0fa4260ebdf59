"""Canonical texts to tokens: where every segment, element and component lies, for thousands of documents at once.

Nothing is copied while tokenising: a token is a pair of positions in the text. Values become polars strings only for the
elements that somebody asks for, as Arrow string views into the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.delims import BLANKS, EL, SEG
from aios_assets.edi.strings import PADDING, Slicer, numbers, rows_at

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
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
ENVELOPE_ELEMENTS = 16
_SEG, _EL, _REP, _COMP = 0x1C, 0x1D, 0x1E, 0x1F
# Where an ISA of common width has its letters, the separators around ISA11 and ISA16, and its terminator.
_ISA = [(0, ord("I")), (1, ord("S")), (2, ord("A")), (81, _EL), (83, _EL), (103, _EL), (105, _SEG)]


def code_of(tag: str) -> int:
    """A tag as a number: its first four bytes, little endian."""
    return int.from_bytes(tag.encode()[:4].ljust(4, b"\0"), "little")


_ENVELOPE_CODES, _TAGS = zip(*sorted((code_of(tag), tag) for tag in KINDS), strict=True)
_ENVELOPE_TAGS = pl.Series(_TAGS)


@dataclass(frozen=True, slots=False)
class Tokens:
    """One batch of segments, in document order; empty segments are left out.

    Attributes:
        text: canonical bytes of all pieces, each closed by SEG, and some padding.
        size: bytes of text before the padding.
        at: positions of all separators, with -1 in front.
        ends: indices into `at` of what ends an element (EL, SEG); empty when that is all of them.
        first: per segment, index of the element end before its tag (in `ends`, or in `at` where `ends` is empty).
        last: per segment, index of its terminator.
        start: per segment, its first byte that is not blank.
        end: per segment, the byte after its last that is not blank.
        code: per segment, its tag as a number (`code_of`).
        piece: per segment, the ordinal of its text.
        blanks: whether a blank stands beside a separator outside interchange headers, so that values need trimming.
    """

    text: bytes
    size: int
    at: Ints
    ends: Ints
    first: Ints
    last: Ints
    start: Ints
    end: Ints
    code: npt.NDArray[np.uint32]
    piece: npt.NDArray[np.int32]
    blanks: bool

    @property
    def height(self) -> int:
        """Number of segments."""
        return len(self.first)

    @cached_property
    def slicer(self) -> Slicer:
        """Makes string columns out of positions."""
        return Slicer(self.text, self.size)

    @cached_property
    def edges(self) -> Ints:
        """Positions of element ends."""
        return self.at[self.ends] if len(self.ends) else self.at

    @cached_property
    def repeated(self) -> Ints | None:
        """Running number of repetition separators over `at`; None when there are none."""
        if b"\x1e" not in self.text:
            return None
        kinds = np.frombuffer(self.text, dtype=np.uint8)[self.at]
        kinds[0] = _SEG
        return np.cumsum(kinds == _REP)

    def head(self, rows: int) -> Tokens:
        """The first segments only."""
        few = {n: getattr(self, n)[:rows] for n in ("first", "last", "start", "end", "code", "piece")}
        return replace(self, **few)

    def elements(self, rows: Ints) -> Ints:
        """Number of elements behind the tag of each segment."""
        return self.last[rows] - self.first[rows] - 1

    def span(self, rows: Ints, element: int, component: int = 0, *, trim: bool | None = None) -> tuple[Ints, Ints]:
        """First byte and byte after the last of an element, blanks trimmed; the end is not behind the start where there is nothing.

        Args:
            rows: segments.
            element: its number, from 1; 0 is the tag.
            component: its number, from 1, in the first repetition; 0 is the whole element as it stands.
            trim: whether blanks must be looked for; otherwise where there are any.
        """
        return Places(self, rows).span(element, component, trim=trim)

    def values(self, rows: Ints, places: Sequence[tuple[int, int]]) -> list[pl.Series]:
        """Elements of each segment as text, one column per (element, component); not sent is null."""

        def spans(block: slice) -> Iterator[tuple[Ints, Ints]]:
            found = Places(self, rows[block])
            for element, component in places:
                yield found.span(element, component)

        return self.slicer.columns(len(rows), len(places), spans)

    def value(self, rows: Ints, element: int, component: int = 0) -> pl.Series:
        """An element of each segment as text; not sent is null."""
        return self.values(rows, [(element, component)])[0]

    def segments(self, rows: Ints) -> pl.Series:
        """Whole segments as canonical text."""
        return self.slicer.strings(self.start[rows], self.end[rows])

    def tags(self, rows: Ints) -> pl.Series:
        """The first three characters of each tag."""
        start, end = self.start[rows], self.tag_ends(rows)
        return self.slicer.strings(*trimmed(self.slicer.bytes, start, end)).str.head(3).str.strip_chars_end(" \t")

    def tag_ends(self, rows: Ints) -> Ints:
        """Where the tag of each segment ends: at its first separator of any sort."""
        at = self.first[rows]
        return self.at[(self.ends[at] if len(self.ends) else at) + 1]

    @cached_property
    def kind(self) -> npt.NDArray[np.int8]:
        """Kind of each segment as in `KINDS`; 0 is no envelope."""
        out = np.zeros(self.height, dtype=np.int8)
        for tag, kind in KINDS.items():
            out[self.code == code_of(tag)] = kind
        return out

    @cached_property
    def envelope(self) -> pl.DataFrame:
        """The rows of `KINDS`: row (position in this batch), piece, kind, tag, elements and e1 … e3, stripped.

        An element sent empty is the empty text; one not sent is null. ISA01 to ISA03 keep the blanks that fill them.
        """
        rows = np.flatnonzero(self.kind)
        head = pl.DataFrame(
            {
                "row": rows.astype(np.uint32),
                "piece": self.piece[rows].astype(np.uint32),
                "tag": _ENVELOPE_TAGS[np.searchsorted(_ENVELOPE_CODES, self.code[rows])],
                "kind": self.kind[rows],
                "elements": self.elements(rows).astype(np.int32),
            }
        )
        return head.hstack(self._sent(rows, range(1, 3)) + self._sent(rows, range(3, 4)))

    @cached_property
    def headers(self) -> pl.DataFrame:
        """row and e4 … e16 of what has more than the other rows of `envelope`: headers of interchanges and groups, TA1."""
        rows = np.flatnonzero(np.isin(self.kind, (1, 2, 7)))
        head = pl.DataFrame({"row": rows.astype(np.uint32)})
        few, more = range(4, 9), range(9, ENVELOPE_ELEMENTS + 1)
        return head.hstack(self._sent(rows, few, trim=True) + self._sent(rows, more, trim=True))

    def _sent(self, rows: Ints, elements: range, *, trim: bool | None = None) -> list[pl.Series]:
        """Neighbouring elements as columns: null where a segment ends before."""
        held = self.elements(rows)
        some = np.flatnonzero(held >= elements.start)
        places, held = Places(self, rows[some]), held[some]
        found = pl.DataFrame(
            [
                self.slicer.strings(*places.span(element, trim=trim), held >= element).alias(f"e{element}")
                for element in elements
            ]
        )
        if len(some) == len(rows):
            return found.get_columns()
        at = np.full(len(rows), -1, dtype=np.int64)
        at[some] = np.arange(len(some))
        return rows_at(found, numbers(at)).get_columns()


class Places:
    """Where the elements of some segments lie; neighbours share their separators.

    Args:
        tokens: the batch.
        rows: segments.
    """

    def __init__(self, tokens: Tokens, rows: Ints) -> None:
        self._tokens, self._rows = tokens, rows
        self._first, self._last = gathered(tokens.first, rows), gathered(tokens.last, rows)
        self._ends: dict[int, Ints] = {}
        self._edges: dict[int, Ints] = {}

    def _end(self, number: int) -> Ints:
        """Index of the element end before an element; behind the last element that of the segment."""
        if number not in self._ends:
            self._ends[number] = np.minimum(self._first + number, self._last)
        return self._ends[number]

    def _edge(self, number: int) -> Ints:
        """Where that element end stands."""
        if number not in self._edges:
            self._edges[number] = gathered(self._tokens.edges, self._end(number))
        return self._edges[number]

    def span(self, element: int, component: int = 0, *, trim: bool | None = None) -> tuple[Ints, Ints]:
        """As `Tokens.span`."""
        tokens = self._tokens
        if component and len(tokens.ends):
            start, end = self._component(element, component)
        elif component > 1:
            start, end = np.zeros((2, len(self._rows)), dtype=np.int64)
        else:
            start, end = self._edge(element) + 1, self._edge(element + 1)
        if element == 0:
            start = gathered(tokens.start, self._rows)
        trim = tokens.blanks if trim is None else trim
        return trimmed(tokens.slicer.bytes, start, end) if trim else (start, end)

    def _component(self, element: int, component: int) -> tuple[Ints, Ints]:
        """It ends where any separator stands, and the element at the next one in `ends`."""
        tokens = self._tokens
        begin, stop = (gathered(tokens.ends, self._end(n)) for n in (element, element + 1))
        inner = np.minimum(begin + (component - 1), stop)
        start, end = gathered(tokens.at, inner) + 1, gathered(tokens.at, np.minimum(inner + 1, stop))
        if component > 1 and tokens.repeated is not None:
            other = gathered(tokens.repeated, inner) != gathered(tokens.repeated, begin)
            end[other] = start[other]
        return start, end


def gathered(values: Ints, places: Ints) -> Ints:
    """`values[places]` for places that are known to exist: half the price without a look at each."""
    return values.take(places, mode="clip")


def trimmed(data: npt.NDArray[np.uint8], start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Spans without the blanks at their ends.

    Args:
        data: the text.
        start: first bytes.
        end: bytes after the last.
    """
    for lead in (True, False):
        edge = data.take(start if lead else end - 1, mode="clip")
        hit = np.flatnonzero(_BLANK.take(edge) & (start < end))
        if not len(hit):
            continue
        start, end = start.copy(), end.copy()
        for _ in range(_STEPS):
            (start if lead else end)[hit] += 1 if lead else -1
            hit = hit[_BLANK[data[start[hit] if lead else end[hit] - 1]] & (start[hit] < end[hit])]
            if not len(hit):
                break
        for n in hit:
            raw = data[start[n] : end[n]].tobytes()
            if lead:
                start[n] += len(raw) - len(raw.lstrip(BLANKS))
            else:
                end[n] -= len(raw) - len(raw.rstrip(BLANKS))
    return start, end


_BLANK = np.zeros(256, dtype=np.bool_)
_BLANK[list(BLANKS)] = True
# Runs of blanks longer than this are stripped one by one, so that a megabyte of blanks is one step and not a million.
_STEPS = 24


def tokenise(texts: list[bytes], sizes: Sequence[Ints | None] = ()) -> Tokens:
    """Find every segment, element and component.

    Args:
        texts: canonical texts, UTF-8.
        sizes: of each text, the bytes of the pieces that it holds, where it holds several, each closed by SEG.
    """
    seg = SEG.encode()
    closed = [t if t.endswith(seg) else t + seg for t in texts]
    held = [np.array([len(t)]) if own is None else own for t, own in zip_longest(closed, sizes)]
    borders = np.cumsum(np.concatenate(held)) if held else np.empty(0, dtype=np.int64)
    size = sum(map(len, closed))
    text = b"".join([*closed, PADDING])
    data = np.frombuffer(text, dtype=np.uint8)
    # One place more, so that the -1 in front needs no copy of all the others.
    marks = np.empty(size + 1, dtype=np.bool_)
    marks[0] = True
    np.less(data[:size], 0x20, out=marks[1:])
    _unmark_values(data, marks, borders)
    at = np.flatnonzero(marks)
    at -= 1
    kinds = data.take(at[1:], mode="clip")
    odd = bool(len(kinds)) and bool(kinds.min() < _SEG)
    if odd:
        at, kinds = np.concatenate((at[:1], at[1:][kinds >= _SEG])), kinds[kinds >= _SEG]
    values = _values(data, at, kinds) if len(kinds) and kinds.max() > _EL else at[:0]
    if len(values):
        at, kinds = np.delete(at, values + 1), np.delete(kinds, values)
    ends = np.empty(0, dtype=np.int64)
    if len(kinds) and kinds.max() > _EL:
        ends = np.flatnonzero(np.concatenate(([True], kinds <= _EL)))
        kinds = kinds.take(ends[1:] - 1)
    closing = np.flatnonzero(kinds == _SEG) + 1
    first = np.empty(len(closing), dtype=np.int64)
    if len(closing):
        first[0], first[1:] = 0, closing[:-1]
    return _segments(text, size, at, ends, first, closing, borders, marks, odd=odd)


def _unmark_values(data: npt.NDArray[np.uint8], marks: Bools, borders: Ints) -> None:
    """Leave out what the ISA of common width at the head of a piece names as its values, as `_values` does elsewhere."""
    begin = np.append(0, borders[:-1])
    begin = begin[borders - begin > _ISA[-1][0]]
    for place, char in _ISA:
        begin = begin[data[begin + place] == char]
    for place in (82, 104):
        named = begin[data[begin + place] > _EL]
        marks[named[data[named + place] < 0x20] + place + 1] = False


def _values(data: npt.NDArray[np.uint8], at: Ints, kinds: npt.NDArray[np.uint8]) -> Ints:
    """Component and repetition separators that an ISA names as its values, where all of the batch stand there.

    Without them most X12 has elements only, and no place needs to be looked up twice.
    """
    inner = np.flatnonzero(kinds > _EL)
    closing = np.flatnonzero(kinds == _SEG) + 1
    for some in (inner[-1:], inner):
        before = np.searchsorted(closing, some, side="right")
        begin = at[np.where(before > 0, closing[before - 1], 0)] + 1
        if any((data.take(begin + n, mode="clip") != ord(letter)).any() for n, letter in enumerate("ISA" + EL)):
            return inner[:0]
    return inner


def _segments(
    text: bytes, size: int, at: Ints, ends: Ints, first: Ints, last: Ints, borders: Ints, marks: Bools, *, odd: bool
) -> Tokens:
    """Trim the segments, leave out the empty ones and read their tags; `odd`: there are control characters."""
    data = np.frombuffer(text, dtype=np.uint8)
    starts, stops = (gathered(ends, first), gathered(ends, last)) if len(ends) else (first, last)
    start, end = gathered(at, starts) + 1, gathered(at, stops)
    blanks = odd or text.find(b" ", 0, size) != -1
    if blanks:
        start, end = trimmed(data, start, end)
    piece = None
    if len(borders) > 1:
        piece = np.repeat(np.arange(len(borders), dtype=np.int32), np.diff(np.searchsorted(start, borders), prepend=0))
    some = start < end
    if not some.all():
        keep = np.flatnonzero(some)
        first, last, start, end = first[keep], last[keep], start[keep], end[keep]
        piece = None if piece is None else piece[keep]
    if piece is None:
        piece = np.zeros(len(first), dtype=np.int32)
    tag_end = np.minimum(gathered(at, (gathered(ends, first) if len(ends) else first) + 1), end)
    codes = _codes(text, size, start, tag_end)
    blanks = blanks and (odd or _padded(data[:size], marks, start, codes))
    return Tokens(text, size, at, ends, first, last, start, end, codes, piece, blanks)


def _padded(data: npt.NDArray[np.uint8], marks: Bools, start: Ints, codes: npt.NDArray[np.uint32]) -> bool:
    """Whether a blank stands beside a separator (`marks`, one place on), other than in an ISA, whose fields have fixed widths."""
    beside = np.flatnonzero((data[:-1] == 0x20) & (marks[:-2] | marks[2:]))
    if not len(beside):
        return False
    segment = np.maximum(np.searchsorted(start, beside, side="right") - 1, 0)
    return bool((codes[segment] != code_of("ISA")).any())


def _codes(text: bytes, size: int, start: Ints, end: Ints) -> npt.NDArray[np.uint32]:
    words = np.lib.stride_tricks.as_strided(
        np.frombuffer(text, dtype=np.uint8)[:4].view("<u4"), shape=(max(size, 1),), strides=(1,)
    )
    length = np.clip(end - start, 0, 4)
    code: npt.NDArray[np.uint32] = words[start] & _LOWEST[length]
    for shift in (24, 16, 8):
        # A blank behind a tag is no part of it.
        tail = (code >> shift) & 0xFF
        blank = (tail == 0x20) | (tail == 0x09) if shift == 24 else ((code >> shift) == 0x20) | ((code >> shift) == 9)
        if blank.any():
            code = np.where(blank, code & ((1 << shift) - 1), code).astype(np.uint32)
    # Small letters are read as capitals (digits have this bit, too, but not 0x40).
    small = (code & 0x40404040) >> 1 & code
    return code - small if small.any() else code


_LOWEST = np.array([0, 0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF], dtype=np.uint32)


def set_index(sizes: int, starts: Ints, ends: Ints) -> npt.NDArray[np.int32]:
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
