"""A document made canonical: one separator alphabet, no line wrapping, released characters out of harm's way.

Every piece keeps the order of its segments, so the n-th segment of the canonical text is the n-th of the raw bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.delims import (
    BLANKS,
    COMP,
    SEG,
    Delimiters,
    Standard,
    after_text,
    bare_delimiters,
    edifact_delimiters,
    regular_delimiters,
    starts_at,
    x12_delimiters,
)
from aios_assets.edi.source import Source

Ints = npt.NDArray[np.int64]
# What is looked at to read the delimiters of a header.
_HEAD = 1024
# Released characters travel as private-use code points and are put back when values are read.
PRIVATE = 0xE000


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one document with one set of delimiters.

    Attributes:
        start: first byte in the raw document.
        end: byte after its last.
        delimiters: its service characters.
        bare: true when no interchange header precedes the first set.
    """

    start: int
    end: int
    delimiters: Delimiters
    bare: bool = False


def _x12_pieces(data: Source, at: int, first: Delimiters) -> list[Piece]:
    """Cut where a further ISA uses other delimiters."""
    out, begin, current = [], at, first
    found = data.find(b"ISA", at + 3)
    while found != -1:
        tail = current.element + current.component + current.segment
        if data[found - 1 : found] == current.segment and data[found + 103 : found + 106] == tail:
            found = data.find(b"ISA", found + 106)
            continue
        if data[found + 3 : found + 4].isalnum():
            found = data.find(b"ISA", found + 3)
            continue
        before = data[max(begin, found - 200) : found]
        bare = before.rstrip(BLANKS)
        ended = bare.endswith(current.segment) or (not current.wraps and before.endswith(current.segment))
        broken = not ended and b"\n" in before[len(bare) :]
        if ended or broken:
            new = x12_delimiters(data[found : found + _HEAD])
            if new is not None and (broken or new != current):
                out.append(Piece(begin, found, current))
                begin, current = found, new
        found = data.find(b"ISA", found + 3)
    out.append(Piece(begin, len(data), current))
    return out


def _edifact_pieces(data: Source, at: int, first: Delimiters) -> list[Piece]:
    """Cut where a further UNA stands, or a UNB with another element separator."""
    out, begin, current = [], at, first
    for place in _headers(data, at + 3):
        if not data[max(begin, place - 200) : place].rstrip(BLANKS).endswith(current.segment.rstrip(BLANKS) or b""):
            continue
        una = data[place : place + 3] == b"UNA"
        if not una and (
            data[place + 3 : place + 4] == current.element or (data[begin : begin + 3] == b"UNA" and place - begin < 20)
        ):
            continue
        new = edifact_delimiters(data[place : place + 2 * _HEAD])
        if new is not None:
            out.append(Piece(begin, place, current))
            begin, current = place, new
    out.append(Piece(begin, len(data), current))
    return out


def _headers(data: Source, at: int) -> Iterator[int]:
    """Where UNA and UNB stand, as far as their three letters say."""
    found = {tag: data.find(tag, at) for tag in (b"UNA", b"UNB")}
    while any(place != -1 for place in found.values()):
        tag, place = min(((t, p) for t, p in found.items() if p != -1), key=lambda one: one[1])
        following = data[place + 3 : place + 4]
        if following and not following.isalnum() and following != b" ":
            yield place
        found[tag] = data.find(tag, place + 3)


def pieces(content: Source) -> list[Piece]:
    """Cut a document into stretches of equal delimiters; empty when it is neither X12 nor EDIFACT.

    Args:
        content: raw bytes.
    """
    at = starts_at(content)
    head = content[at : at + 64 * _HEAD]
    found = _opening(head)
    if found is None:
        bare = bare_delimiters(head, 0)
        if bare is not None:
            return [Piece(at, len(content), bare, bare=True)]
        behind = after_text(head)
        if behind < 0:
            return []
        at += behind
        found = _opening(content[at : at + 64 * _HEAD])
    if found is None:
        return []
    if found.standard == "X12":
        whole = content.find(b"ISA", at + 3) == -1
        return [Piece(at, len(content), found)] if whole else _x12_pieces(content, at, found)
    first = content.find(b"UNB", at)
    whole = first == -1 or content.find(b"UNB", first + 3) == -1
    return [Piece(at, len(content), found)] if whole else _edifact_pieces(content, at, found)


def _opening(head: bytes) -> Delimiters | None:
    """Delimiters of the interchange that begins here; None when none does."""
    tag = head[:3].upper()
    if tag == b"ISA":
        return x12_delimiters(head)
    return edifact_delimiters(head) if tag in (b"UNA", b"UNB") else None


def text_before(content: Source, found: list[Piece]) -> bytes:
    """What stands before the first interchange of a document, blanks and a byte-order mark aside."""
    return content[: found[0].start].removeprefix(b"\xef\xbb\xbf").strip(BLANKS) if found[0].start else b""


def windows(content: Source, piece: Piece, size: int) -> Iterator[tuple[int, int]]:
    """Stretches of a piece of about `size` bytes, each ending behind an unreleased terminator.

    Args:
        content: the document.
        piece: one of its pieces.
        size: how long a stretch is.
    """
    begin, segment = piece.start, piece.delimiters.segment
    while piece.end - begin > size:
        cut = content.find(segment, begin + size, piece.end)
        while cut != -1 and _is_released(content, cut, begin, piece.delimiters.release):
            cut = content.find(segment, cut + len(segment), piece.end)
        if cut == -1:
            break
        yield begin, cut + len(segment)
        begin = cut + len(segment)
    if begin < piece.end or begin == piece.start:
        yield begin, piece.end


def _is_released(content: Source, at: int, begin: int, release: bytes) -> bool:
    """Whether an odd number of release characters precedes the byte, line wrapping aside."""
    if not release:
        return False
    span = 64
    while True:
        before = content[max(begin, at - span) : at].translate(None, b"\r\n")
        count = len(before) - len(before.rstrip(release))
        if count < len(before) or at - span <= begin:
            return count % 2 == 1
        span *= 8


class Look(NamedTuple):
    """What is known of a piece before it is read.

    Attributes:
        encoding: its character set: UTF-8 where all of it is UTF-8, otherwise what the interchange says.
        size: how long its stretches may be, so that none holds more segments than a stretch of common ones.
    """

    encoding: str
    size: int


# Memory goes by segments, of which common stretches hold one for some 30 bytes and odd ones one for four.
SEGMENT_BYTES = 24
_LEAST_STRETCH = 1 << 16


def look(content: Source, piece: Piece, size: int) -> Look | None:
    """Look through a piece; None when its data holds 0x1C–0x1F, which would be taken for structure.

    Args:
        content: the document.
        piece: one of its pieces.
        size: how much of it is looked at at a time.
    """
    foreign = piece.delimiters.foreign
    utf8 = codecs.getincrementaldecoder("utf-8")()
    name, most = "utf-8", size
    for begin, end in windows(content, piece, size):
        data = content[begin:end]
        if any(control in data for control in foreign):
            return None
        weight = data.count(piece.delimiters.segment) * SEGMENT_BYTES
        if weight > size:
            most = min(most, max(min(size, _LEAST_STRETCH), len(data) * size // weight))
        if name == "utf-8" and not data.isascii():
            try:
                utf8.decode(data)
            except UnicodeDecodeError:
                name = piece.delimiters.encoding
    return Look(name, most)


def _protect(data: bytes, release: bytes) -> tuple[bytes, set[int]]:
    """Replace each released character by a private code point."""
    seen: set[int] = set()

    def swap(found: re.Match[bytes]) -> bytes:
        char = found.group(1)[0]
        seen.add(char)
        return chr(PRIVATE + char).encode()

    return re.sub(re.escape(release) + rb"([\x00-\x7f])", swap, data), seen


def canonical(data: bytes, piece: Piece, encoding: str, *, begins: bool = True) -> tuple[bytes, set[int]]:
    """Canonical text of a stretch of a piece, and the characters that were released in it.

    Args:
        data: the stretch.
        piece: the piece it belongs to.
        encoding: its character set, from `look`.
        begins: whether the piece begins here.
    """
    d = piece.delimiters
    if begins and data[:3] == b"UNA":
        data = data[9:]
    released: set[int] = set()
    drop = b""
    if b"\r" in data or b"\n" in data:
        drop = b"\r\n" if d.wraps else b"\r" if d.segment == b"\n" else b"\n"
    if len(d.segment) > 1 or len(d.component) > 1:
        data = data.translate(None, drop) if drop else data
        for char, to in ((d.segment, SEG), (d.component, COMP)):
            data = data.replace(char, to.encode()) if len(char) > 1 else data
        drop = b""
    if d.release and d.release in data:
        data, released = _protect(_utf8(data.translate(None, drop), encoding), d.release)
        drop = b""
    data = data.translate(d.table, drop) if drop else data.translate(d.table)
    data = _utf8(data, "utf-8" if released else encoding)
    return (_headed(data, piece) if begins else data), released


def restored(frame: pl.DataFrame, released: frozenset[int]) -> pl.DataFrame:
    """Put released characters back into every text column."""
    if not released:
        return frame
    codes = sorted(released)
    old, new = [chr(PRIVATE + c) for c in codes], [chr(c) for c in codes]
    return frame.with_columns(pl.col(pl.String).str.replace_many(old, new))


# Bytes of a header that tell its delimiters (element separator, ISA11 and ISA12, what ends it), and what follows it.
_TELLING, _FOLLOWING = np.array([*range(4), *range(82, 90), *range(103, 106)]), np.arange(106, 110)


class Regular(NamedTuple):
    """Neighbours among documents, as `regular` finds them.

    Attributes:
        documents: how many.
        text: their canonical texts, one behind the other; None where it is one that wants a closer look.
        sizes: bytes of each, where it is not one.
    """

    documents: int
    text: bytes | None
    sizes: Ints | None = None


def regular(contents: Sequence[bytes | memoryview]) -> list[Regular]:
    """Canonical texts of short X12 documents of the commonest form; those of equal delimiters are looked at as one buffer.

    Several interchanges, a header of another length and text beyond ASCII want a closer look.

    Args:
        contents: whole documents.
    """
    sizes = np.fromiter(map(len, contents), dtype=np.int64, count=len(contents))
    whole = b"".join(contents)
    own, heads = _headers_of(np.frombuffer(whole, dtype=np.uint8), np.cumsum(sizes) - sizes, sizes)
    kinds, kind_of = np.unique(heads, return_inverse=True)
    texts: list[bytes | None] = [None] * len(contents)
    for number, head in enumerate(kinds.tolist()):
        found = regular_delimiters(head[3:4], head[12:15], head[4:5], head[6:11])
        if found is None or not head.startswith(b"ISA") or found.segment.isalnum() or found.segment == found.element:
            continue
        alike = own[kind_of == number]
        every = len(alike) == len(contents)
        joined = whole if every else b"".join([contents[n] for n in alike])
        text, ends, good = _translated(joined, np.cumsum(sizes[alike]), found)
        if every and good.all():
            return [Regular(len(alike), text, np.diff(ends, prepend=0))]
        for n, begin, end, fine in zip(alike, [0, *ends[:-1].tolist()], ends.tolist(), good.tolist(), strict=True):
            texts[n] = text[begin:end] if fine else None
    return [Regular(1, text) for text in texts]


def _headers_of(data: npt.NDArray[np.uint8], starts: Ints, sizes: Ints) -> tuple[Ints, npt.NDArray[np.bytes_]]:
    """Which documents have GS behind their first 106 bytes, a line end aside, and the bytes of those that tell delimiters."""
    tall = np.flatnonzero(sizes > _FOLLOWING[-1])
    after = data[starts[tall, None] + _FOLLOWING]
    wrapped = (after == ord("\n")) | (after == ord("\r"))
    gs = (after[:, :-1] == ord("G")) & (after[:, 1:] == ord("S"))
    regular = gs[:, 0] | (wrapped[:, 0] & (gs[:, 1] | (wrapped[:, 1] & gs[:, 2])))
    own = tall[regular]
    return own, data[starts[own, None] + _TELLING].view(f"S{len(_TELLING)}").ravel()


def _translated(whole: bytes, ends: Ints, found: Delimiters) -> tuple[bytes, Ints, npt.NDArray[np.bool_]]:
    """Canonical text of documents with these delimiters, where each ends in it, and which of them want no closer look."""
    data = np.frombuffer(whole, dtype=np.uint8)
    starts = np.append(0, ends[:-1])
    good: npt.NDArray[np.bool_] = (data[starts[:, None] + np.arange(105)] == found.element[0]).sum(axis=1) == 16
    behind = np.flatnonzero((data[:-1] == ord("S")) & (data[1:] == ord("A"))) - 1
    isa = behind[data[behind] == ord("I")]
    odd = [np.setdiff1d(isa, starts, assume_unique=True)] if len(isa) > len(starts) else []
    odd += [np.flatnonzero(data >= 0x80)] if not whole.isascii() else []
    odd += [np.flatnonzero(data == control[0]) for control in found.foreign if control in whole]
    for places in odd:
        good[np.searchsorted(ends, places, side="right")] = False
    if b"\n" not in whole and b"\r" not in whole:
        text = whole.translate(found.table)
    else:
        text = whole.translate(found.table, b"\r\n")
        ends = ends - np.searchsorted(np.flatnonzero((data == ord("\n")) | (data == ord("\r"))), ends)
    made = np.frombuffer(text, dtype=np.uint8)
    good &= made[ends - 1] == ord(SEG)
    # A letter that is a delimiter may stand in the tag of the header.
    good &= (made[np.append(0, ends[:-1])[:, None] + np.arange(4)] == np.frombuffer(b"ISA\x1d", dtype=np.uint8)).all(
        axis=1
    )
    return text, ends, good


def small(content: bytes, piece: Piece) -> tuple[bytes, set[int]] | None:
    """Canonical text of a short document of one piece, in one go: what `look` and `canonical` do together.

    Returns:
        None when its data holds 0x1C–0x1F, or when it is not plain ASCII and wants a closer look.
    """
    if not content.isascii():
        return None
    for control in piece.delimiters.foreign:
        if control in content:
            return None
    return canonical(content if piece.start == 0 else content[piece.start :], piece, "utf-8")


# A header as the envelope will know it: its whole tag, not merely its letters.
_HEADER = re.compile(rb"[ \t\r\n\x00\x1c]*(?:ISA|UNB)[ \t]*[\x1c-\x1f]", re.IGNORECASE)


def _headed(text: bytes, piece: Piece) -> bytes:
    """Sets without an envelope get an empty header, so that everything belongs to an interchange (which is then rejected)."""
    if not piece.bare and _HEADER.match(text):
        return text
    kind: Standard = piece.delimiters.standard
    return (b"ISA" if kind == "X12" else b"UNB") + SEG.encode() + text


def _utf8(data: bytes, encoding: str) -> bytes:
    """Text as sound UTF-8: string columns are cut out of it without another look.

    A delimiter beyond ASCII may have been half of a character; what then is no UTF-8 is read byte by byte.
    """
    if data.isascii():
        return data
    if encoding == "utf-8":
        try:
            data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1").encode()
        return data
    return data.decode(encoding, errors="replace").encode()
