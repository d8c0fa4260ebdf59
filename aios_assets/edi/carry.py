"""A set larger than the memory for it is read in parts: what the next part must know of those before it.

Before each further part stand the interchange header, the set's own header and what still holds there: the line being read, the
last site named, the open levels of a tree. These segments were counted before; they only lend their values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from aios_assets.edi.counts import counted_tags
from aios_assets.edi.delims import SEG
from aios_assets.edi.mapping import Mapping
from aios_assets.edi.mappings import MAPPINGS
from aios_assets.edi.tokens import Ints, Tokens, code_of
from aios_assets.edi.x12_moves import LOWEST, RANKS

# Most segments of a header, and of one level of a tree, that are lent to the next part.
_HEADER_ROWS, _LEVEL_ROWS, _DEEPEST = 5000, 50, 12


@dataclass(frozen=True, slots=True)
class Carry:
    """What one part of a document leaves to the next.

    Attributes:
        lent: text of segments that were counted already.
        rows: how many these are.
        rest: text of segments that are read with the next part.
        in_set: whether the set goes on there.
        before: lines of that set that were read already.
        counted: how many of each of its `counted_tags` were read already.
    """

    lent: bytes
    rows: int
    rest: bytes
    in_set: bool
    before: int
    counted: tuple[int, ...] = ()


def split(tokens: Tokens, lent: Carry | None, part_bytes: int) -> tuple[int, Carry]:
    """Where to stop reading a part that goes on, and what to carry over.

    Args:
        tokens: the part.
        lent: what the part before left.
        part_bytes: sets shorter than this are read whole.

    Returns:
        number of segments to read now, and what the next part needs.
    """
    fresh = lent.rows if lent else 0
    last = int(tokens.piece[-1]) if tokens.height else 0
    own = np.flatnonzero(tokens.piece == last)
    tops = own[tokens.kind[own] == 1]
    top = [int(tops[-1])] if len(tops) else []
    marks = own[np.isin(tokens.kind[own], (1, 2, 3, 4, 5, 6))]
    if not len(marks) or tokens.kind[marks[-1]] != 3:
        return tokens.height, _carry(tokens, top, tokens.height, in_set=False, before=0)
    opener = int(marks[-1])
    if opener >= fresh and tokens.size - tokens.start[opener] < part_bytes:
        return opener, _carry(tokens, top, opener, in_set=False, before=0)
    mapping = MAPPINGS.get(_type(tokens, opener))
    opens = _where(tokens, opener, mapping.openers) if mapping else np.empty(0, dtype=np.int64)
    stop = tokens.height
    real = opens[opens >= max(fresh, opener + 1)]
    if len(real) and tokens.size - tokens.start[real[-1]] < part_bytes // 2 and real[-1] > max(fresh, opener + 1):
        stop = int(real[-1])
    before = int((real < stop).sum()) + (lent.before if lent and opener < fresh else 0)
    context = _context(tokens, opener, stop, mapping, opens[opens < stop]) if mapping else []
    carry = _carry(tokens, [*top, opener, *context], stop, in_set=True, before=before)
    codes = tokens.code[max(fresh, opener) : stop]
    now = [int((codes == code_of(tag)).sum()) for tag in counted_tags(*_type(tokens, opener))]
    earlier = lent.counted if lent and opener < fresh else ()
    return stop, replace(carry, counted=tuple(a + b for a, b in zip_longest(now, earlier, fillvalue=0)))


def _carry(tokens: Tokens, rows: list[int], stop: int, *, in_set: bool, before: int) -> Carry:
    lent = b"".join(tokens.text[tokens.start[r] : tokens.end[r]] + SEG.encode() for r in rows)
    rest = tokens.text[tokens.start[stop] : tokens.size] if stop < tokens.height else b""
    return Carry(lent, len(rows), rest, in_set, before)


def _type(tokens: Tokens, opener: int) -> tuple[str, str]:
    """Standard and type of the set that a header opens."""
    row = np.array([opener])
    if tokens.code[opener] == code_of("ST"):
        return "X12", tokens.value(row, 1)[0] or ""
    return "EDIFACT", tokens.value(row, 2, 1)[0] or ""


def _where(tokens: Tokens, begin: int, tags: tuple[str, ...]) -> Ints:
    codes = tokens.code[begin:]
    return np.flatnonzero(np.isin(codes, [code_of(t) for t in tags])) + begin


def _context(tokens: Tokens, opener: int, stop: int, mapping: Mapping, opens: Ints) -> list[int]:
    """Rows behind the set's header segment that the next part needs, ascending."""
    first = int(opens[0]) if len(opens) else stop
    rows = set(range(opener + 1, min(first, opener + 1 + _HEADER_ROWS)))
    for tag in mapping.context:
        named = _where(tokens, opener, (tag,))
        named = named[(named < stop) & (named >= first)]
        if len(named):
            rows |= _line_of(int(named[-1]), stop, opens)
    if mapping.tree:
        rows |= _levels(tokens, opener, stop, mapping.tree, opens)
    if len(opens) and stop == tokens.height:
        rows |= _begun(tokens, int(opens[-1]), stop)
    return sorted(rows)


def _line_of(row: int, stop: int, opens: Ints) -> set[int]:
    """The opener of the line that a segment stands in, the segment, and what follows it there."""
    begun = opens[opens <= row]
    following = opens[opens > row]
    upto = min(int(following[0]) if len(following) else stop, stop, row + _LEVEL_ROWS)
    return set(range(row, upto)) | ({int(begun[-1])} if len(begun) else set())


def _begun(tokens: Tokens, line: int, stop: int) -> set[int]:
    """Of the line being read, the first and the last segment with each tag."""
    codes = tokens.code[line:stop]
    _, first = np.unique(codes, return_index=True)
    _, last = np.unique(codes[::-1], return_index=True)
    return {line + int(n) for n in first} | {stop - 1 - int(n) for n in last}


def _levels(tokens: Tokens, opener: int, stop: int, tags: tuple[str, ...], opens: Ints) -> set[int]:
    """The last HL, its parents up to the top, and what hangs on each."""
    own, parent = tokens.value(opens, 1).to_list(), tokens.value(opens, 2).to_list()
    rank = [RANKS.get(level or "", LOWEST) for level in tokens.value(opens, 3).to_list()]
    first: dict[str | None, int] = {}
    for n, name in enumerate(own):
        first.setdefault(name, n)
    wanted = set(_where(tokens, opener, tags).tolist())
    rows: set[int] = set()
    at: int | None = len(opens) - 1 if len(opens) else None
    for _ in range(_DEEPEST):
        if at is None:
            break
        begin = int(opens[at])
        end = min(int(opens[at + 1]) if at + 1 < len(opens) else stop, begin + _LEVEL_ROWS)
        rows |= {begin} | (set(range(begin, end)) & wanted)
        higher = (n for n in range(at - 1, -1, -1) if rank[n] < rank[at])
        at = first.get(parent[at]) if parent[at] is not None else next(higher, None)
    return rows
