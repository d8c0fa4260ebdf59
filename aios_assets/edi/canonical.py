"""A document made canonical: one separator alphabet, no line wrapping, released characters out of harm's way.

Every piece keeps the order of its segments, so the n-th segment of the canonical text is the n-th of the raw bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from aios_assets.edi.delims import (
    BLANKS,
    COMP,
    CONTROLS,
    EL,
    REP,
    SEG,
    Delimiters,
    bare_delimiters,
    edifact_delimiters,
    starts_at,
    x12_delimiters,
)

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


@lru_cache(maxsize=1024)
def _table(d: Delimiters) -> bytes:
    table = bytearray(range(256))
    for char, to in ((d.component, COMP), (d.repetition, REP), (d.element, EL), (d.segment, SEG)):
        if len(char) == 1:
            table[char[0]] = ord(to)
    return bytes(table)


@lru_cache(maxsize=1024)
def _foreign(d: Delimiters) -> tuple[bytes, ...]:
    """Structure characters that this document does not use as delimiters."""
    used = d.element + d.segment + d.component + d.repetition
    return tuple(CONTROLS[i : i + 1] for i in range(4) if CONTROLS[i : i + 1] not in used)


def _x12_pieces(data: bytes, at: int, first: Delimiters) -> list[Piece]:
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
            new = x12_delimiters(data, found)
            if new is not None and (broken or new != current):
                out.append(Piece(begin, found, current))
                begin, current = found, new
        found = data.find(b"ISA", found + 3)
    out.append(Piece(begin, len(data), current))
    return out


def _edifact_pieces(data: bytes, at: int, first: Delimiters) -> list[Piece]:
    """Cut where a further UNA stands, or a UNB with another element separator."""
    out, begin, current = [], at, first
    for found in re.finditer(rb"UN[AB](?=[^A-Za-z0-9 ])", data[at + 3 :]) if data.count(b"UNB", at) > 1 else ():
        place = found.start() + at + 3
        if not data[max(begin, place - 200) : place].rstrip(BLANKS).endswith(current.segment.rstrip(BLANKS) or b""):
            continue
        una = data[place : place + 3] == b"UNA"
        if not una and (
            data[place + 3 : place + 4] == current.element or (data[begin : begin + 3] == b"UNA" and place - begin < 20)
        ):
            continue
        new = edifact_delimiters(data, place)
        if new is not None:
            out.append(Piece(begin, place, current))
            begin, current = place, new
    out.append(Piece(begin, len(data), current))
    return out


def pieces(content: bytes) -> list[Piece]:
    """Cut a document into stretches of equal delimiters; empty when it is neither X12 nor EDIFACT.

    Args:
        content: raw bytes.
    """
    at = starts_at(content)
    tag = content[at : at + 3]
    if tag == b"ISA":
        x12 = x12_delimiters(content, at)
        if x12 is None:
            return []
        return [Piece(at, len(content), x12)] if content.count(b"ISA", at) == 1 else _x12_pieces(content, at, x12)
    if tag in (b"UNA", b"UNB"):
        edifact = edifact_delimiters(content, at)
        return [] if edifact is None else _edifact_pieces(content, at, edifact)
    bare = bare_delimiters(content, at)
    return [] if bare is None else [Piece(at, len(content), bare, bare=True)]


def _protect(data: bytes, release: bytes) -> tuple[bytes, set[int]]:
    """Replace each released character by a private code point."""
    seen: set[int] = set()

    def swap(found: re.Match[bytes]) -> bytes:
        char = found.group(1)[0]
        seen.add(char)
        return chr(PRIVATE + char).encode()

    return re.sub(re.escape(release) + rb"([\x00-\x7f])", swap, data), seen


def canonical(content: bytes, piece: Piece) -> tuple[str, set[int]] | None:
    """Canonical text of one piece and the characters that were released in it.

    Returns:
        None when its data holds 0x1C–0x1F, which would be taken for structure.
    """
    d = piece.delimiters
    whole = piece.start == 0 and piece.end == len(content)
    data = content if whole else content[piece.start : piece.end]
    if data[:3] == b"UNA":
        data = data[9:]
    if any(control in data for control in _foreign(d)):
        return None
    released: set[int] = set()
    drop = b"\r\n" if d.wraps else b"\r" if d.segment == b"\n" else b"\n"
    ascii_only = data.isascii()
    if d.release and d.release in data:
        data = data.translate(None, drop)
        if not ascii_only:
            data, ascii_only = _decode(data, d).encode(), True
        data, released = _protect(data, d.release)
        return _headed(data.translate(_table(d)).decode(), piece), released
    if len(d.segment) > 1 or len(d.component) > 1:
        data = data.translate(None, drop)
        for char, to in ((d.segment, SEG), (d.component, COMP)):
            data = data.replace(char, to.encode()) if len(char) > 1 else data
        drop = b""
    data = data.translate(_table(d), drop)
    text = data.decode("ascii") if ascii_only else _decode(data, d)
    return _headed(text, piece), released


def _headed(text: str, piece: Piece) -> str:
    """Sets without an envelope get an empty header, so that everything belongs to an interchange (which is then rejected)."""
    if not piece.bare and text[:80].lstrip(" \t\r\n\x00" + SEG)[:3] in ("ISA", "UNB"):
        return text
    return ("ISA" if piece.delimiters.standard == "X12" else "UNB") + SEG + text


def _decode(data: bytes, d: Delimiters) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(d.encoding, errors="replace")
