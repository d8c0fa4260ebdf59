"""Which delimiters a document uses: read from ISA, UNA or UNB, and from what follows where these are damaged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from aios_assets.edi.source import Source

Standard = Literal["X12", "EDIFACT"]
BLANKS = b" \t\r\n\x00"
# Four control characters carry the structure of every canonical document, whatever its own delimiters were.
SEG, EL, REP, COMP = "\x1c", "\x1d", "\x1e", "\x1f"
CONTROLS = b"\x1c\x1d\x1e\x1f"
_BARE_X12 = re.compile(rb"(?:GS|ST)([^A-Za-z0-9 \r\n])[A-Z0-9]{2,3}\1")
_BARE_EDIFACT = re.compile(rb"UN[GH]([^A-Za-z0-9 \r\n])[^\r\n]{0,60}\1[^\r\n]{0,60}:")
_X12_FIRST = re.compile(rb"(?:GS|TA1|IEA|ISB|ISE|ST)[^A-Za-z0-9]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The service characters of one interchange.

    Attributes:
        standard: X12 or EDIFACT.
        element: data element separator.
        segment: segment terminator; more than one byte when it is a UTF-8 character beyond ASCII.
        component: component separator, or empty.
        repetition: repetition separator, or empty.
        release: EDIFACT release character, or empty.
        decimal: decimal mark.
        encoding: character set of the text where it is not UTF-8.
        table: translation of its bytes to canonical ones.
        foreign: structure characters that it does not use as delimiters.
    """

    standard: Standard
    element: bytes
    segment: bytes
    component: bytes = b""
    repetition: bytes = b""
    release: bytes = b""
    decimal: bytes = b"."
    encoding: str = "latin-1"
    table: bytes = field(init=False, compare=False, repr=False)
    foreign: tuple[bytes, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        table = bytearray(range(256))
        for char, to in (
            (self.component, COMP), (self.repetition, REP), (self.element, EL), (self.segment, SEG)
        ):  # fmt: skip
            if len(char) == 1:
                table[char[0]] = ord(to)
        used = self.element + self.segment + self.component + self.repetition
        object.__setattr__(self, "table", bytes(table))
        object.__setattr__(
            self, "foreign", tuple(CONTROLS[i : i + 1] for i in range(4) if CONTROLS[i : i + 1] not in used)
        )

    @property
    def wraps(self) -> bool:
        """Whether CR and LF are mere line wrapping, because the terminator is another character."""
        return self.segment not in (b"\r", b"\n")


def _utf8_char(data: bytes, at: int) -> bytes:
    """The byte at a place, or the whole UTF-8 character that starts there."""
    first = data[at]
    size = 2 if 0xC2 <= first < 0xE0 else 3 if 0xE0 <= first < 0xF0 else 4 if 0xF0 <= first < 0xF5 else 1
    char = data[at : at + size]
    if size > 1:
        try:
            char.decode("utf-8")
        except UnicodeDecodeError:
            return data[at : at + 1]
    return char


def _newline(char: bytes, following: bytes) -> bytes:
    """CR before LF is half of a line end: the terminator is the LF."""
    return b"\n" if char == b"\r" and following == b"\n" else char


def _follows_segment(data: bytes, at: int) -> bool:
    """Whether a segment that may follow ISA starts here, after blanks."""
    rest = data[at : at + 64].lstrip(BLANKS)
    return not rest or _X12_FIRST.match(rest) is not None


@lru_cache(maxsize=4096)
def _x12(element: bytes, component: bytes, segment: bytes, isa11: bytes, isa12: bytes) -> Delimiters:
    if component in (element, segment):
        component = b""
    repeats = isa12.isdigit() and isa12 >= b"00402" and len(isa11) == 1 and not isa11.isalnum() and isa11 != b" "
    return Delimiters("X12", element, segment, component, isa11 if repeats and isa11 != element else b"")


@lru_cache(maxsize=4096)
def regular_delimiters(element: bytes, tail: bytes, isa11: bytes, isa12: bytes) -> Delimiters | None:
    """Delimiters of an ISA of 106 bytes that GS follows at once; None when it cannot be one.

    Args:
        element: its element separator.
        tail: its last three bytes: element separator, component separator, terminator.
        isa11: repetition separator, or the identifier that stood there before 00402.
        isa12: version.
    """
    if not _separates(element) or tail[:1] != element or tail[2:] <= b" ":
        return None
    return _x12(element, tail[1:2], tail[2:], isa11, isa12)


def _separates(element: bytes) -> bool:
    return bool(element) and not element.isalnum() and element not in (b" ", b"\r", b"\n")


def x12_delimiters(data: bytes, at: int = 0) -> Delimiters | None:
    """Read the delimiters of the ISA at `at`; None when it cannot be one.

    Source: X12.5: ISA is 106 bytes, component separator at 105, terminator at 106; trimmed and overlong headers of real
    partners are read by counting sixteen element separators instead.
    """
    element = data[at + 3 : at + 4]
    if not _separates(element):
        return None
    head = data[at : at + 108]
    if head[106:108] == b"GS" and head.count(element, 0, 105) == 16:
        found = regular_delimiters(element, head[103:106], head[82:83], head[84:89])
        if found is not None:
            return found
    head = head[:106]
    if len(head) == 106 and head[103:104] == element and head.count(element, 0, 105) == 16:
        last = at + 103
        rep, version = head[82:83], head[84:89]
    else:
        fields = data[at : at + 400].split(element)
        if len(fields) < 17 or any(f.endswith((b"GS", b"TA1", b"IEA")) for f in fields[6:16]):
            return _damaged_x12(data[at : at + 400], element)
        last = at + sum(len(f) + 1 for f in fields[:16]) - 1
        rep, version = fields[11].strip(BLANKS), fields[12].strip(BLANKS)
    if last + 2 > len(data):
        return None
    component = _utf8_char(data, last + 1)
    after = last + 1 + len(component)
    segment = _utf8_char(data, after) if after < len(data) else b""
    if not segment or not _follows_segment(data, after + len(segment)):
        component, segment, after = _unusual_end(data, last, component, segment, after)
    if segment == b" " and data[after + 1 : after + 3].lstrip(b"\r")[:1] == b"\n":
        segment = b"\n"
    segment = _newline(segment, data[after + 1 : after + 2])
    if not segment or segment.isalnum() or segment == element:
        return None
    return _x12(element, component, segment, rep, version)


def _damaged_x12(head: bytes, element: bytes) -> Delimiters | None:
    """Delimiters behind an ISA that lacks fields: the terminator is what stands before the next header."""
    found = re.search(rb"(.)([ \t\r\n]*)(?:GS|TA1|IEA)" + re.escape(element), head, re.DOTALL)
    if found is None or head.count(element, 0, found.start()) < 6:
        return None
    char, blanks = found.group(1), found.group(2)
    if char.isalnum() or char in BLANKS or char == element:
        if b"\n" not in blanks + char and b"\r" not in blanks + char:
            return None
        char = b"\n" if b"\n" in blanks + char else b"\r"
    return Delimiters("X12", element, char)


def _unusual_end(data: bytes, last: int, component: bytes, segment: bytes, after: int) -> tuple[bytes, bytes, int]:
    """Component separator, terminator and its place where no known segment follows the regular place.

    ISA16 may have been left out, so that the terminator stands in its place, or been filled with more than one character.
    """
    early = _utf8_char(data, last + 1)
    if _follows_segment(data, last + 1 + len(early)) and not early.isalnum():
        return b"", early, last + 1
    for at in range(after, min(after + 6, len(data))):
        late = data[at : at + 1]
        if not late.isalnum() and late not in BLANKS and _follows_segment(data, at + 1):
            return component, late, at
    return component, segment, after


_CHARSETS = {b"UNOD": "iso8859-2", b"UNOE": "iso8859-5", b"UNOF": "iso8859-7", b"UNOG": "iso8859-3"}
_CHARSETS |= {b"UNOH": "iso8859-4", b"UNOI": "iso8859-6", b"UNOJ": "iso8859-8", b"UNOK": "iso8859-9"}


@lru_cache(maxsize=4096)
def _edifact(una: bytes, level: bytes, version: bytes) -> Delimiters:
    comp, element, decimal, release, rep, segment = (una[i : i + 1] for i in range(6))
    return Delimiters(
        "EDIFACT",
        element,
        segment,
        comp,
        rep if version >= b"4" and rep != b" " else b"",
        release if release != b" " else b"",
        decimal,
        _CHARSETS.get(level.upper(), "latin-1"),
    )


def _edifact_terminator(data: bytes, at: int, element: bytes) -> bytes:
    """The terminator of an interchange without UNA: the apostrophe, or the line end where no apostrophe precedes one."""
    if element == b"\x1d":
        return b"\x1c"
    found = re.search(rb"([\r\n]*)UN[HGZT]" + re.escape(element), data[at + 4 : at + 2000])
    if found is None or not found.group(1) or data[at + 4 + found.start() - 1 : at + 4 + found.start()] == b"'":
        return b"'"
    return b"\n" if b"\n" in found.group(1) else b"\r"


def edifact_delimiters(data: bytes, at: int = 0) -> Delimiters | None:
    """Read the delimiters of the UNA or UNB (or bare UNH) at `at`; None when it cannot be one.

    Source: ISO 9735: UNA gives component, element, decimal, release, repetition and terminator; without it `:+.?` and `'`.
    """
    una = b""
    if data[at : at + 3] == b"UNA":
        una = data[at + 3 : at + 9]
        if len(una) < 6 or una[1:2].isalnum() or una[0:1].isalnum():
            return None
        una = una[:5] + _newline(una[5:6], data[at + 9 : at + 10])
        at += 9
        at += len(data[at : at + 64]) - len(data[at : at + 64].lstrip(BLANKS))
    element = data[at + 3 : at + 4]
    if not una:
        if not element or element.isalnum() or element in (b" ", b"\r", b"\n"):
            return None
        ctrl = element == b"\x1d"
        una = (b"\x1f" if ctrl else b":") + element + b"." + (b" " if ctrl else b"?") + b"*"
        una += _edifact_terminator(data, at, element)
    head = data[at : at + 40].translate(None, b"\r\n").split(una[1:2])
    syntax = (head[1] if len(head) > 1 else b"").split(una[0:1])
    return _edifact(una, syntax[0][:4], syntax[1][:1] if len(syntax) > 1 else b"")


def bare_delimiters(data: bytes, at: int) -> Delimiters | None:
    """Delimiters of sets sent without an interchange envelope (GS, ST, UNG or UNH comes first); None otherwise."""
    if _BARE_X12.match(data, at):
        element = data[at + 2 : at + 3]
        close = re.search(
            rb"(.)[ \t\r\n\x00]*(?:BEG|B\w{1,2}|XQ|SE|ST)" + re.escape(element), data[at + 4 :], re.DOTALL
        )
        char = close.group(1) if close else b"\n"
        if char.isalnum() or char == element:
            char = b"\n"
        return Delimiters("X12", element, _newline(char, b"\n"), b">" if char != b">" else b":")
    if _BARE_EDIFACT.match(data, at):
        return edifact_delimiters(data, at)
    return None


def after_text(head: bytes) -> int:
    """Where an interchange begins behind text that is no EDI (a header of a mail or a network); -1 where none does.

    Only a header that cannot be mistaken counts: ISA with its first four fields, UNB with its syntax.

    Args:
        head: the first kilobytes of a document.
    """
    for found in _EVIDENT.finditer(head):
        at = found.start()
        if (x12_delimiters(head, at) if head.startswith(b"ISA", at) else edifact_delimiters(head, at)) is not None:
            return at
    return -1


_EVIDENT = re.compile(
    rb"ISA([^A-Za-z0-9\s])[0-9A-Z]{2}\1[^\r\n]{10}\1[0-9A-Z]{2}\1[^\r\n]{10}\1"
    rb"|(?:UNA[^A-Za-z0-9]{6}[\r\n]*)?UNB([^A-Za-z0-9\s])UNO[A-Z][^A-Za-z0-9][1-4]\2"
)


def starts_at(data: Source) -> int:
    """Where the text starts after a byte-order mark and blanks."""
    at = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    while data[at : at + 1] and data[at : at + 1] in BLANKS:
        stretch = data[at : at + 65536]
        at += len(stretch) - len(stretch.lstrip(BLANKS))
    return at


def sniff(content: bytes) -> Literal["x12", "edifact", "telemetry", "csv", "parquet", "unknown"]:
    """What the first bytes say a document is.

    Args:
        content: the document as received (its first few kilobytes suffice).

    >>> sniff(b"UNB+UNOC:3+A+B+260101:1200+1'"), sniff(b'{"sensor_id": "T1"}'), sniff(b"PAR1")
    ('edifact', 'telemetry', 'parquet')
    """
    if content[:4] == b"PAR1":
        return "parquet"
    head = content[:4096]
    at = starts_at(head)
    tag = head[at : at + 3]
    if tag == b"ISA" and x12_delimiters(head, at):
        return "x12"
    if tag in (b"UNA", b"UNB") and edifact_delimiters(head, at):
        return "edifact"
    if tag[:1] == b"{":
        return "telemetry"
    if bare := bare_delimiters(head, at):
        return "x12" if bare.standard == "X12" else "edifact"
    behind = after_text(head)
    if behind >= 0:
        return "x12" if head.startswith(b"ISA", behind) else "edifact"
    first = head[at:].split(b"\n", 1)[0]
    if b"\x00" not in head and first.count(b",") + first.count(b";") + first.count(b"\t") >= 1 and _is_text(head):
        return "csv"
    return "unknown"


def _is_text(head: bytes) -> bool:
    """Whether bytes look like text: no control characters but blanks."""
    return not head.translate(None, bytes(range(32, 256)) + b"\t\r\n")
