"""From a pointer back to the raw bytes: where a segment stands in the document as received."""

from __future__ import annotations

from collections.abc import Iterator

from aios_assets.edi.canonical import Piece, pieces
from aios_assets.edi.delims import BLANKS
from aios_assets.edi.source import plain
from aios_assets.edi.tokens import INTERCHANGE_CLOSE, INTERCHANGE_OPEN, SET_CLOSE, SET_OPEN

_OPEN = tuple(t.encode() for t in SET_OPEN)
_CLOSE = tuple(t.encode() for t in SET_CLOSE)
_TOP = tuple(t.encode() for t in INTERCHANGE_OPEN)
_BOTTOM = tuple(t.encode() for t in (*INTERCHANGE_CLOSE, "GE", "GS", "UNE", "UNG"))


def _ends(content: bytes, piece: Piece) -> Iterator[tuple[int, int]]:
    """Start and end (terminator excluded) of every stretch between unreleased terminators of a piece."""
    d = piece.delimiters
    at = begin = piece.start + (9 if content[piece.start : piece.start + 3] == b"UNA" else 0)
    while at < piece.end:
        found = content.find(d.segment, at, piece.end)
        if found == -1:
            break
        at = found + len(d.segment)
        if d.release and _released(content, found, begin, d.release):
            continue
        yield begin, found
        begin = at
    yield begin, piece.end


def _released(content: bytes, at: int, begin: int, release: bytes) -> bool:
    """Whether an odd number of release characters precedes the byte, line wrapping aside."""
    back = at - 1
    count = 0
    while back >= begin and content[back : back + 1] in (release, b"\r", b"\n"):
        count += content[back : back + 1] == release
        back -= 1
    return count % 2 == 1


def segments(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Every non-empty segment of a document: first byte, byte after its last, and its tag.

    Args:
        content: raw bytes; what is neither X12 nor EDIFACT yields nothing.
    """
    content = plain(content)
    for piece in pieces(content):
        d = piece.delimiters
        for begin, end in _ends(content, piece):
            raw = content[begin:end]
            left, right = raw.lstrip(BLANKS), raw.rstrip(BLANKS)
            if not left:
                continue
            start = begin + len(raw) - len(left)
            head = left[:12].translate(None, b"\r\n") if d.wraps else left[:12]
            yield start, begin + len(right), head.split(d.element, 1)[0][:3].rstrip(BLANKS)


def locate(content: bytes, interchange_no: int, set_no: int, segment_no: int) -> tuple[int, int] | None:
    """Where a pointer of the fact and reject tables stands in the raw bytes.

    Args:
        content: the document as received.
        interchange_no: ordinal of the interchange in the document, from 1; 0 is the whole document.
        set_no: ordinal of the set in the document, from 1; 0 is the whole interchange.
        segment_no: ordinal of the segment in its set, from 1; 0 is the whole set.

    Returns:
        first byte and the byte after the last, terminator excluded; None when there is no such place.
    """
    if interchange_no == 0 and set_no == 0:
        return 0, len(content)
    interchange = sets = position = 0
    inside = False
    first = last = -1
    for start, end, tag in segments(content):
        if tag in _TOP:
            interchange, inside = interchange + 1, False
        elif interchange == 0:
            interchange = 1
        if tag in _OPEN:
            sets, position, inside = sets + 1, 0, True
        elif tag in _BOTTOM:
            inside = False
        position += 1
        wanted = interchange == interchange_no and (set_no == 0 or (inside and sets == set_no))
        if wanted and segment_no == 0:
            first, last = (start if first < 0 else first), end
        elif wanted and position == segment_no:
            return start, end
        elif first >= 0 and not wanted:
            break
        if tag in _CLOSE:
            inside = False
    return (first, last) if first >= 0 else None


def segment_text(content: bytes, interchange_no: int, set_no: int, segment_no: int, *, limit: int = 500) -> str | None:
    """The bytes at a pointer as text, at most `limit` characters; None when there is no such place."""
    content = plain(content)
    found = locate(content, interchange_no, set_no, segment_no)
    if found is None:
        return None
    raw = content[found[0] : min(found[1], found[0] + 4 * limit)]
    try:
        return raw.decode("utf-8")[:limit]
    except UnicodeDecodeError:
        return raw.decode("latin-1")[:limit]


def element_span(content: bytes, span: tuple[int, int], element_no: int) -> tuple[int, int] | None:
    """Where an element stands inside a located segment, to put a marker under it.

    Args:
        content: the document.
        span: what `locate` gave.
        element_no: position of the element, from 1.
    """
    content = plain(content)
    piece = next((p for p in pieces(content) if p.start <= span[0] < p.end), None)
    if piece is None:
        return None
    at = span[0]
    for _ in range(element_no):
        at = content.find(piece.delimiters.element, at, span[1])
        if at == -1:
            return None
        at += 1
    end = content.find(piece.delimiters.element, at, span[1])
    return at, span[1] if end == -1 else end
