"""Parts of documents to tokens, envelope rows and typed lines, one part of some megabytes after the other."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.edi.aside import shown
from aios_assets.edi.canonical import (
    SEGMENT_BYTES,
    canonical,
    look,
    pieces,
    regular,
    restored,
    small,
    text_before,
    windows,
)
from aios_assets.edi.carry import Carry, split
from aios_assets.edi.counts import check_counts
from aios_assets.edi.delims import sniff
from aios_assets.edi.envelope import comp
from aios_assets.edi.grammar import check_elements
from aios_assets.edi.limits import HEADER_WEIGHT, Limits
from aios_assets.edi.lineless import unread_lines
from aios_assets.edi.mappings import MAPPINGS
from aios_assets.edi.shelf import Shelf
from aios_assets.edi.source import Source, readable
from aios_assets.edi.strings import compact, numbers, rows_at
from aios_assets.edi.tokens import KINDS, Ints, Tokens, code_of, set_index, tokenise
from aios_assets.edi.trailers import Trailers, paired
from aios_assets.edi.typing_rules import Typed
from aios_assets.edi.view import View
from aios_assets.edi.waiting import Tally, Waiting

# Interchange-level segments that open and close nothing: related data, security.
_ALLOWED_OUTSIDE = ("ISB", "ISE", "TA3", "S1S", "S2S", "S1E", "S2E", "USH", "USA", "USC", "UST", "USR", "UNA")
_NONE: frozenset[int] = frozenset()
# What the envelope rows of each kind count for against the cap on sets.
_WEIGHTS = np.array([0, HEADER_WEIGHT, HEADER_WEIGHT, 1, 0, 0, 0, HEADER_WEIGHT])
# Halving what is shorter than this gains no memory worth having.
_FEW_SEGMENTS = 20_000
# What stands inside may be EDI by chance of not being squeezed, and is cut in the middle then.
_PACKED = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zX", "xz"),
    (b"7z\xbc\xaf", "7-Zip"),
)
_NO_TEXT = pl.lit(None, dtype=pl.String)
Refused = list[tuple[int, str, str]]


class Part(NamedTuple):
    """A stretch of canonical text, or short documents one behind the other.

    Attributes:
        doc: ordinal of its document, or of the first of them.
        text: canonical UTF-8.
        released: characters that were released in it.
        more: whether its piece goes on in the next part.
        before: text before the document's first interchange, where this is the first part.
        size: how long the stretches of its piece are, where it has several.
        sizes: bytes of each document, where it holds several, each closed by a terminator.
    """

    doc: int
    text: bytes
    released: frozenset[int]
    more: bool
    before: bytes = b""
    size: int = 0
    sizes: Ints | None = None


def parts(
    sources: Iterable[Source | memoryview], limits: Limits, given_up: Container[int] = ()
) -> tuple[Iterator[Part], Refused]:
    """Canonical stretches of all documents, lazily, and the documents that are no EDI (filled while iterating).

    Args:
        sources: the documents.
        limits: largest sizes taken.
        given_up: ordinals of documents of which no more is wanted, looked at before each stretch.
    """
    refused: Refused = []
    longest = min(limits.document_bytes, limits.segment_bytes)

    def run() -> Iterator[Part]:
        n = 0
        for some in _together(sources, longest):
            if not isinstance(some, list):
                for part in _document(n, some, limits, refused):
                    if n in given_up:
                        break
                    yield part
                n += 1
                continue
            end = n + len(some)
            for found in regular(some):
                if found.text is not None:
                    yield Part(n, found.text, _NONE, more=False, sizes=found.sizes)
                else:
                    yield from _document(n, bytes(some[n - end]), limits, refused)
                n += found.documents

    return run(), refused


def _together(sources: Iterable[Source | memoryview], size: int) -> Iterator[list[bytes | memoryview] | Source]:
    """Group short documents in memory to about `size` bytes; any other is handed on before the next is asked for."""
    some: list[bytes | memoryview] = []
    held = 0
    for source in sources:
        if isinstance(source, (bytes, memoryview)) and len(source) <= size:
            some.append(source)
            held += len(source)
            if held > size:
                yield some
                some, held = [], 0
            continue
        if some:
            yield some
            some, held = [], 0
        yield bytes(source) if isinstance(source, memoryview) else source
    if some:
        yield some


def _document(n: int, source: Source, limits: Limits, refused: Refused) -> Iterator[Part]:
    """The stretches of one document of any form."""
    if len(source) > limits.document_bytes:
        refused.append((n, "too_large", limits.too_large(len(source))))
        return
    content = readable(source)
    packed = next((words for magic, words in _PACKED if source[:4].startswith(magic)), None)
    if packed is not None:
        refused.append((n, "not_edi", f"the document is packed ({packed}): unpack it and give what is inside"))
        return
    found = pieces(content)
    if not found:
        refused.append((n, "not_edi", _not_edi(content)))
        return
    before = text_before(content, found)
    if len(found) == 1 and isinstance(content, bytes) and len(content) <= limits.segment_bytes:
        quick = small(content, found[0])
        if quick is not None:
            yield Part(n, quick[0], frozenset(quick[1]) if quick[1] else _NONE, more=False, before=before)
            return
    if len(content) > limits.segment_bytes and any(
        limits.unbroken(content, p.start, p.end, p.delimiters.segment) for p in found
    ):
        refused.append((n, "segment_too_long", limits.too_long()))
        return
    looks = [look(content, piece, limits.window_bytes) for piece in found]
    if None in looks:
        words = "the data holds 0x1C to 0x1F, which stand for structure; ask the sender"
        refused.append((n, "control_characters", words))
        return
    for piece, seen in zip(found, filter(None, looks), strict=True):
        for begin, end in windows(content, piece, seen.size):
            first = begin == piece.start
            text, released = canonical(content[begin:end], piece, seen.encoding, begins=first)
            yield Part(n, text, frozenset(released), end < piece.end, before, seen.size)
            before = b""


def _not_edi(content: Source) -> str:
    head = content[:65536]
    if not head.strip(b" \t\r\n\x00"):
        return "the document is empty"
    kind = sniff(head)
    what = "no ISA, UNA or UNB with readable delimiters was found" if kind == "unknown" else f"it looks like {kind}"
    return f"the document is neither X12 nor EDIFACT: {what}"


def chunks(stretches: Iterator[Part], size: int) -> Iterator[list[Part]]:
    """Group parts to about `size` bytes; one that goes on is the last of its group."""
    chunk: list[Part] = []
    held = 0
    for part in stretches:
        if chunk and held + len(part.text) > size:
            yield chunk
            chunk, held = [], 0
        chunk.append(part)
        held += len(part.text)
        if part.more:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True)
class _Sets:
    """The sets of a chunk: header rows, their types, and which set each segment belongs to (-1 outside)."""

    starts: Ints
    types: list[tuple[str, str]]
    type_of: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]


class Reading:
    """What accumulates over the chunks of one reading; segments and sets are numbered through all of them.

    Args:
        shelf: where typed lines wait.
        limits: largest sizes taken.
        grammar: whether to check elements against the dictionary.
    """

    def __init__(self, shelf: Shelf, limits: Limits, *, grammar: bool = False) -> None:
        self.shelf = shelf
        self.grammar = grammar
        self.limits = limits
        self.given_up: set[int] = set()
        self._weight = 0
        self.findings = Waiting()
        self.found = Tally()
        nothing = tokenise([])
        place = pl.col("row").cast(pl.Int64)
        rows = nothing.envelope.select(pl.exclude("piece"), doc=pl.lit(0, dtype=pl.Int32)).with_columns(place)
        rows = rows.with_columns(end=pl.lit(None, dtype=pl.Int64))
        self.envelopes = [rows]
        self.headers = [nothing.headers.with_columns(place)]
        self.part_ends: list[int] = []
        self.strays: list[pl.DataFrame] = []
        self._ends: list[pl.DataFrame] = []
        self.trailers = Trailers()
        self._rows = 0
        self._sets = 0
        self._carry: Carry | None = None
        self._released: frozenset[int] = frozenset()

    def take(self, chunk: list[Part]) -> None:
        """Tokenise one chunk and type the lines of its mapped sets; one of very many segments is halved."""
        carry = self._carry
        texts = [p.text for p in chunk]
        if carry is not None:
            texts[0] = carry.lent + carry.rest + texts[0]
        tokens = tokenise(texts, [p.sizes for p in chunk])
        if len(chunk) > 1 and tokens.height > max(self.limits.window_bytes // SEGMENT_BYTES, _FEW_SEGMENTS):
            half = len(chunk) // 2
            self.take(chunk[:half])
            self.take(chunk[half:])
            return
        size = chunk[-1].size or self.limits.window_bytes
        stop, self._carry = split(tokens, carry, size) if chunk[-1].more else (tokens.height, None)
        fresh = min(carry.rows, stop) if carry else 0
        if stop < tokens.height:
            tokens = tokens.head(stop)
        held = [1 if p.sizes is None else len(p.sizes) for p in chunk]
        docs = np.concatenate([np.arange(p.doc, p.doc + n, dtype=np.int32) for p, n in zip(chunk, held, strict=True)])
        self._count(tokens, docs, fresh)
        before = self._released if carry is not None else _NONE
        self._released = before.union(*{p.released for p in chunk})
        sets = _sets(tokens, docs)
        shift = self._sets - (1 if carry and carry.in_set else 0)
        self._stray(tokens, sets.owner, fresh)
        self._before(tokens, chunk, np.cumsum([0, *held]), fresh)
        if self.grammar:
            self._check(tokens, sets, fresh, shift, carry.counted if carry and carry.in_set else ())
        self._type(tokens, sets, fresh, shift, carry.before if carry and carry.in_set else 0)
        self._envelope(tokens, docs, fresh)
        self._rows += tokens.height - fresh
        self.part_ends.append(self._rows)
        self._sets = shift + len(sets.starts)
        self._weigh(docs, more=chunk[-1].more)

    def _weigh(self, docs: npt.NDArray[np.int32], *, more: bool) -> None:
        """Give up documents of more sets than are taken; of one that goes on no more is read."""
        rows = self.envelopes[-1]
        weights = np.bincount(rows["doc"] - docs[0], _WEIGHTS[rows["kind"]], minlength=docs[-1] - docs[0] + 1)
        weights[0] += self._weight
        self.given_up.update((np.flatnonzero(weights > self.limits.sets) + docs[0]).tolist())
        self._weight = int(weights[-1]) if more else 0
        if more and docs[-1] in self.given_up:
            self._weight, self._carry = 0, None

    def _count(self, tokens: Tokens, docs: npt.NDArray[np.int32], fresh: int) -> None:
        """Where each document ends, in segments of the whole reading."""
        ends = np.flatnonzero(np.diff(tokens.piece, append=-1))
        self._ends.append(pl.DataFrame({"doc": docs[tokens.piece[ends]], "doc_end": ends + (self._rows + 1 - fresh)}))

    @property
    def sizes(self) -> pl.DataFrame:
        """doc and doc_end, the row after its last segment."""
        ends = pl.concat([pl.DataFrame(schema={"doc": pl.Int32, "doc_end": pl.Int64}), *self._ends])
        return ends.filter(pl.col("doc").ne_missing(pl.col("doc").shift(-1)))

    def _envelope(self, tokens: Tokens, docs: npt.NDArray[np.int32], fresh: int) -> None:
        rows, headers = (
            restored(compact(frame.filter(pl.col("row") >= fresh) if fresh else frame), self._released).with_columns(
                pl.col("row").cast(pl.Int64) + (self._rows - fresh)
            )
            for frame in (tokens.envelope, tokens.headers)
        )
        rows = self.trailers.thinned(rows)
        rows = rows.with_columns(doc=pl.Series(docs[rows["piece"].to_numpy()])).drop("piece")
        self.envelopes.append(paired(rows))
        self.headers.append(headers)

    def _type(self, tokens: Tokens, sets: _Sets, fresh: int, shift: int, before: int) -> None:
        """Type the lines of mapped sets."""
        row_type = np.where(sets.owner >= 0, sets.type_of[np.maximum(sets.owner, 0)], -1) if len(sets.starts) else None
        senders = None
        out: list[Typed] = []
        for n, name in enumerate(sets.types):
            mapping = MAPPINGS.get(name)
            if mapping is None or row_type is None:
                continue
            if senders is None:
                senders = restored(_senders(tokens), self._released)
            rows = np.flatnonzero(row_type == n)
            view = View(tokens, rows, sets.owner[rows], rows.astype(np.int32), name[0], self._released, fresh, before)
            view = view.relined(mapping.openers, mapping.headers)
            typed = mapping.read(view, senders)
            if (strange := unread_lines(view, mapping.openers)).height:
                typed.append(Typed(typed[0].table, typed[0].facts.clear(), strange, strange.height))
            out.extend(self._numbered(t, tokens, fresh, shift) for t in typed)
        self.shelf.hold(out)

    def _numbered(self, typed: Typed, tokens: Tokens, fresh: int, shift: int) -> Typed:
        """Number rows and sets through the whole reading; keep the text of what is at fault."""
        facts, rejects = typed.facts, typed.rejects
        if fresh:
            facts, rejects = facts.filter(pl.col("row") >= fresh), rejects.filter(pl.col("row") >= fresh)
        if facts["soft"].null_count() < facts.height:
            facts = facts.with_columns(
                seg=_texts(tokens, facts.select(pl.when(pl.col("soft").is_not_null()).then("row")).to_series())
            )
        rejects = rejects.with_columns(seg=_texts(tokens, rejects["row"]) if rejects.height else _NO_TEXT)
        place = (pl.col("row").cast(pl.Int64) + (self._rows - fresh), pl.col("set") + shift)
        facts, rejects = facts.with_columns(place), restored(rejects.with_columns(place), self._released)
        return replace(typed, facts=facts, rejects=rejects)

    def _check(self, tokens: Tokens, sets: _Sets, fresh: int, shift: int, before: tuple[int, ...]) -> None:
        counts = check_counts(tokens, sets.starts, sets.types, sets.type_of, sets.owner, fresh, before)
        found = pl.concat([check_elements(tokens, sets.owner, fresh), counts])
        found = found.with_columns(pl.col("row").cast(pl.Int64) + (self._rows - fresh), pl.col("set") + shift)
        self.found.add(found["set"])
        self.findings.put(restored(compact(found), self._released))

    def _stray(self, tokens: Tokens, owner: npt.NDArray[np.int32], fresh: int) -> None:
        """Keep segments that stand outside every set and are no envelope: nothing received goes unmentioned."""
        outside = (owner < 0) & (tokens.kind == 0)
        outside[:fresh] = False
        rows = np.flatnonzero(outside)
        if len(rows):
            rows = rows[~np.isin(tokens.code[rows], [code_of(t) for t in (*KINDS, *_ALLOWED_OUTSIDE)])]
        if len(rows):
            # One row for all that follow the same interchange header.
            _, first, often = np.unique(
                np.searchsorted(np.flatnonzero(tokens.kind == 1), rows), return_index=True, return_counts=True
            )
            found = _text(tokens, rows[first]).with_columns(
                code=pl.lit("stray_segments"), size=pl.lit(0, dtype=pl.Int64), n=pl.Series(often, dtype=pl.Int64)
            )
            self.strays.append(found.with_columns(pl.col("row").cast(pl.Int64) + (self._rows - fresh)))

    def _before(self, tokens: Tokens, chunk: list[Part], first: Ints, fresh: int) -> None:
        """Keep what stands before interchanges, told at their first segments; `first` is the first piece of each part."""
        held = [n for n, part in enumerate(chunk) if part.before]
        if held:
            texts = [chunk[n].before for n in held]
            self.strays.append(
                pl.DataFrame(
                    {
                        "row": np.searchsorted(tokens.piece, first[held]) + (self._rows - fresh),
                        "seg": [text[:1000].decode("latin-1") for text in texts],
                        "code": ["text_before"] * len(held),
                        "size": [len(text) for text in texts],
                        "n": [1] * len(held),
                    },
                    schema={"row": pl.Int64, "seg": pl.String, "code": pl.String, "size": pl.Int64, "n": pl.Int64},
                )
            )


def _text(tokens: Tokens, rows: Ints) -> pl.DataFrame:
    """row and seg, at most as long as it is shown."""
    return compact(pl.DataFrame({"row": rows, "seg": tokens.segments(rows).str.head(1000)}))


def _texts(tokens: Tokens, rows: pl.Series) -> pl.Series:
    """The segments of some rows as they are shown, null where the row is; one of many stores may be in many rows."""
    own = rows.unique().drop_nulls().sort()
    texts = _text(tokens, own.to_numpy().astype(np.int64)).select("row", seg=shown(pl.col("seg")))
    at = pl.Series(np.searchsorted(own.to_numpy(), rows.fill_null(0).to_numpy()), dtype=pl.Int64)
    return rows_at(texts, at.to_frame("at").select(pl.when(rows.is_not_null()).then("at")).to_series())["seg"]


def _sets(tokens: Tokens, docs: npt.NDArray[np.int32]) -> _Sets:
    marks = np.flatnonzero(tokens.kind)
    kinds, of = tokens.kind[marks], docs[tokens.piece[marks]]
    opens = np.flatnonzero(kinds == 3)
    after = np.append(marks[1:], tokens.height)[opens]
    closed = (np.append(kinds[1:], 0)[opens] == 4) & (np.append(of[1:], -1)[opens] == of[opens])
    starts = marks[opens]
    owner = set_index(tokens.height, starts, np.where(closed, after, after - 1))
    is_x12 = tokens.code[starts] == code_of("ST")
    types: list[tuple[str, str]] = []
    type_of = np.zeros(len(starts), dtype=np.int32)
    for standard, own, place in (("X12", is_x12, (1, 0)), ("EDIFACT", ~is_x12, (2, 1))):
        code = tokens.value(starts[own], *place).fill_null("")
        names = code.unique(maintain_order=True)
        number = range(len(types), len(types) + len(names))
        type_of[own] = code.replace_strict(names, number, return_dtype=pl.Int32).to_numpy() if len(names) else 0
        types += [(standard, name) for name in names]
    return _Sets(starts, types, type_of, owner)


def _senders(tokens: Tokens) -> pl.DataFrame:
    """set (ordinal in the chunk) and the application or interchange sender, the site of last resort."""
    kind = tokens.envelope["kind"].to_numpy()
    said = pl.when(pl.col("tag") == "ISA").then("e6").otherwise(comp("e2", 1))
    tops = tokens.envelope.filter(kind == 1).join(tokens.headers, on="row", how="left", maintain_order="left")
    at = (np.cumsum(kind == 1) - 1)[kind == 3]
    found = rows_at(tops.select(sender_id=pl.when(said != "").then(said)), numbers(at))
    return found.insert_column(0, pl.Series("set", np.arange(len(at), dtype=np.int32)))
