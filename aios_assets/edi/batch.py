"""A batch of received documents to typed facts, verdicts and rejects: the whole front door as one pure function."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from aios_assets.contracts.edi_tables import (
    EDI_FACT_TABLES,
    RAW_EDI_ACKNOWLEDGEMENTS,
    RAW_EDI_INTERCHANGES,
    RAW_EDI_REJECTS,
    RAW_EDI_SETS,
)
from aios_assets.edi.aside import interchange_answers
from aios_assets.edi.canonical import Piece, canonical, pieces
from aios_assets.edi.delims import EL, SEG, sniff
from aios_assets.edi.edifact import MAPPINGS as EDIFACT_MAPPINGS
from aios_assets.edi.envelope import read_envelopes
from aios_assets.edi.grammar import NO_FINDINGS, check_elements
from aios_assets.edi.limits import Limits
from aios_assets.edi.tokens import KINDS, set_index, tokenise
from aios_assets.edi.typing_rules import Typed
from aios_assets.edi.verdicts import Verdicts, judge
from aios_assets.edi.view import View, lined
from aios_assets.edi.x12 import MAPPINGS as X12_MAPPINGS

CHUNK_BYTES = 16 << 20
# Interchange-level segments that open and close nothing: related data, security.
_ALLOWED_OUTSIDE = ("ISB", "ISE", "TA3", "S1S", "S2S", "S1E", "S2E", "USH", "USA", "USC", "UST", "USR", "UNA")
MAPPINGS = {
    **{("X12", k): m for k, m in X12_MAPPINGS.items()},
    **{("EDIFACT", k): m for k, m in EDIFACT_MAPPINGS.items()},
}


@dataclass(frozen=True, slots=True)
class EdiBatch:
    """Everything one reading of a batch yields; frames conform to `contracts.edi_tables`.

    Attributes:
        interchanges: one row per interchange with its verdict.
        groups: one row per functional group with its verdict (for acknowledgements; not a stored table).
        sets: one row per transaction set or message with its verdict.
        rejects: everything set aside, with reason and place.
        findings: grammar faults (only when asked for): pointer, element_no, tag, error_code, reason, segment_text.
        headers: envelope details that acknowledgements give back (qualifiers, application codes, counts as said).
        facts: table name to facts; tables without rows are present and empty.
        counts: what came in, what was kept and what was set aside; `in = kept + rejected` holds for each level.
    """

    interchanges: pl.DataFrame
    groups: pl.DataFrame
    sets: pl.DataFrame
    rejects: pl.DataFrame
    facts: dict[str, pl.DataFrame]
    findings: pl.DataFrame
    headers: pl.DataFrame
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of canonical text that begins a document or a set."""

    doc: int
    text: str
    released: frozenset[int]


def read_documents(
    documents: pl.DataFrame,
    *,
    ledger: pl.DataFrame | None = None,
    releases: pl.DataFrame | None = None,
    grammar: bool = False,
    apart: bool = False,
    limits: Limits | None = None,
) -> EdiBatch:
    """Read received documents: X12 and EDIFACT in any mixture.

    Grain of the answer: see each contract. The result does not depend on how documents are batched, except duplicates,
    which are decided by (available_at_utc, document_id).

    Args:
        documents: document_id (SHA-256 hex), content (binary), available_at_utc; further columns are ignored.
        ledger: earlier interchanges (`raw_edi__interchanges`), to recognise a control number used before.
        releases: `raw_edi__releases`: what people decided to take in spite of a fault.
        grammar: also check elements against the dictionary; findings go to `EdiBatch.findings` and make a set
            accepted with errors.
        apart: judge every document by itself, as if nothing else had been received.
        limits: largest sizes taken, checked on the bytes before anything is split.

    Invariants:
        every document, interchange, set and candidate line is either kept or rejected, never both, never neither.
    """
    docs = documents.select("document_id", "content", "available_at_utc").sort("document_id")
    parts, refused = _parts(docs, limits or Limits())
    reading = _Reading(grammar=grammar)
    for chunk in _chunks(parts):
        reading.take(chunk)
    return _assemble(docs, refused, reading, ledger, releases, apart=apart)


def _parts(docs: pl.DataFrame, limits: Limits) -> tuple[Iterator[_Part], list[tuple[int, str, str]]]:
    """Canonical stretches of all documents, lazily, and the documents that are no EDI (filled while iterating)."""
    refused: list[tuple[int, str, str]] = []

    def run() -> Iterator[_Part]:
        for n, content in enumerate(docs["content"]):
            if len(content) > limits.document_bytes:
                refused.append((n, "too_large", limits.too_large(len(content))))
                continue
            found = pieces(content)
            if not found:
                refused.append((n, "not_edi", _not_edi(content)))
                continue
            if len(content) > limits.segment_bytes and any(
                limits.unbroken(content, p.start, p.end, p.delimiters.segment) for p in found
            ):
                refused.append((n, "segment_too_long", limits.too_long()))
                continue
            texts = _texts(content, found)
            if texts is None:
                refused.append(
                    (n, "control_characters", "the data holds 0x1C to 0x1F, which stand for structure; ask the sender")
                )
                continue
            for text, released in texts:
                for cut in _cut(text):
                    yield _Part(n, cut, released)

    return run(), refused


def _texts(content: bytes, found: list[Piece]) -> list[tuple[str, frozenset[int]]] | None:
    out = []
    for piece in found:
        text = canonical(content, piece)
        if text is None:
            return None
        out.append((text[0], frozenset(text[1])))
    return out


def _not_edi(content: bytes) -> str:
    if not content.strip(b" \t\r\n\x00"):
        return "the document is empty"
    kind = sniff(content)
    what = "no ISA, UNA or UNB with readable delimiters was found" if kind == "unknown" else f"it looks like {kind}"
    return f"the document is neither X12 nor EDIFACT: {what}"


def _cut(text: str) -> Iterator[str]:
    """Cut a long text before a set header, so that memory does not grow with the file."""
    begin = 0
    while len(text) - begin > CHUNK_BYTES:
        cuts = [at for tag in ("ST", "UNH") if (at := text.find(f"{SEG}{tag}{EL}", begin + CHUNK_BYTES)) != -1]
        if not cuts:
            break
        yield text[begin : min(cuts) + 1]
        begin = min(cuts) + 1
    yield text[begin:] if begin else text


def _chunks(parts: Iterator[_Part]) -> Iterator[list[_Part]]:
    """Group stretches to about `CHUNK_BYTES`."""
    chunk: list[_Part] = []
    size = 0
    for part in parts:
        if chunk and size + len(part.text) > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(part)
        size += len(part.text)
    if chunk:
        yield chunk


class _Reading:
    """What accumulates over the chunks of one reading; sets are numbered through all of them."""

    def __init__(self, *, grammar: bool = False) -> None:
        self.grammar = grammar
        self.findings: list[pl.DataFrame] = []
        self.rows = 0
        self.sets = 0
        self.envelopes: list[pl.DataFrame] = []
        self.sizes: dict[int, int] = {}
        self.typed: list[Typed] = []
        self.texts: list[pl.DataFrame] = []
        self.strays: list[pl.DataFrame] = []

    def take(self, chunk: list[_Part]) -> None:
        """Tokenise one chunk and type the lines of its mapped sets."""
        tokens = tokenise([p.text for p in chunk])
        doc_of = pl.Series("doc", [p.doc for p in chunk], dtype=pl.Int32)
        segments = tokens.segments
        local = tokens.envelope.with_columns(pl.lit(doc_of).gather(pl.col("piece")).alias("doc")).drop("piece")
        sizes = segments["piece"].rle()
        at = self.rows
        for length, piece in zip(sizes.struct.field("len"), sizes.struct.field("value"), strict=True):
            at += length
            self.sizes[chunk[piece].doc] = at
        self._facts(segments, local, frozenset().union(*(p.released for p in chunk)))
        self.envelopes.append(local.with_columns(pl.col("row").cast(pl.Int64) + self.rows))
        self.rows += segments.height
        self.sets += int((local["kind"] == 3).sum())

    def _facts(self, segments: pl.DataFrame, envelope: pl.DataFrame, released: frozenset[int]) -> None:
        opens = envelope.with_columns(
            nk=pl.col("kind").shift(-1), nr=pl.col("row").shift(-1), nd=pl.col("doc").shift(-1)
        )
        opens = opens.filter(pl.col("kind") == 3)
        nxt = opens["nr"].fill_null(segments.height).to_numpy().astype(np.int64)
        closed = ((opens["nk"] == 4) & (opens["nd"] == opens["doc"])).fill_null(value=False).to_numpy()
        starts = opens["row"].to_numpy().astype(np.int64)
        owner = set_index(segments.height, starts, np.where(closed, nxt, nxt - 1))
        self._stray(segments, owner, envelope)
        if opens.is_empty():
            return
        x12 = pl.col("tag") == "ST"
        message = pl.col("e2").str.split("\x1f").list.get(0, null_on_oob=True)
        kinds = opens.select(
            standard=pl.when(x12).then(pl.lit("X12")).otherwise(pl.lit("EDIFACT")),
            code=pl.when(x12).then("e1").otherwise(message).fill_null(""),
        )
        names = list(dict.fromkeys(kinds.iter_rows()))
        number = {name: n for n, name in enumerate(names)}
        type_of = np.array([number[k] for k in kinds.iter_rows()], dtype=np.int32)
        row_type = np.where(owner >= 0, type_of[np.maximum(owner, 0)], -1)
        rows = segments.select(
            pl.int_range(pl.len(), dtype=pl.Int32).alias("row"), pl.Series("set", owner, dtype=pl.Int32), "tag", "seg"
        )
        senders = _senders(envelope)
        if self.grammar:
            found = check_elements(rows, pl.Series("set", owner, dtype=pl.Int32), kinds["standard"])
            self.findings.append(
                found.with_columns(pl.col("row").cast(pl.Int64) + self.rows, pl.col("set") + self.sets)
            )
        for name, n in number.items():
            mapping = MAPPINGS.get(name)
            if mapping is None:
                continue
            own = rows.filter(pl.Series(row_type == n))
            view = View(lined(own, mapping.openers, mapping.headers), name[0], released)
            for typed in mapping.read(view, senders):
                self._keep(typed, rows)

    def _stray(self, segments: pl.DataFrame, owner: np.ndarray, envelope: pl.DataFrame) -> None:
        """Keep segments that stand outside every set and are no envelope: nothing received goes unmentioned."""
        outside = owner < 0
        if int(outside.sum()) == int(outside[envelope["row"].to_numpy()].sum()):
            return
        rows = segments.with_row_index("row").filter(
            pl.Series(outside) & ~pl.col("tag").is_in([*KINDS, *_ALLOWED_OUTSIDE])
        )
        self.strays.append(rows.select(pl.col("row").cast(pl.Int64) + self.rows, "seg"))

    def _keep(self, typed: Typed, rows: pl.DataFrame) -> None:
        """Number rows and sets through the whole reading; keep the text of what is at fault."""
        shift = (pl.col("row").cast(pl.Int64) + self.rows, pl.col("set") + self.sets)
        soft = typed.facts.filter(pl.col("soft").is_not_null()).select("row")
        wanted = pl.concat([soft, typed.rejects.select("row")]).unique(maintain_order=True)
        if wanted.height:
            self.texts.append(rows.select("row", "seg").join(wanted, on="row", how="semi").select(shift[0], "seg"))
        self.typed.append(
            Typed(typed.table, typed.facts.with_columns(shift), typed.rejects.with_columns(shift), typed.seen)
        )


def _senders(envelope: pl.DataFrame) -> pl.DataFrame:
    """set (ordinal in the chunk) and the application or interchange sender, the site of last resort."""
    kind = pl.col("kind")
    isa = (
        pl.when(pl.col("tag") == "ISA")
        .then(pl.col("e6"))
        .when(kind == 1)
        .then(pl.col("e2").str.split("\x1f").list.get(0, null_on_oob=True))
    )
    named = envelope.with_columns(sender_id=pl.when(kind == 1).then(isa.fill_null("")).forward_fill())
    sets = named.filter(kind == 3).with_row_index("set").select(pl.col("set").cast(pl.Int32), "sender_id")
    return sets.with_columns(pl.when(pl.col("sender_id") != "").then("sender_id").alias("sender_id"))


def _assemble(
    docs: pl.DataFrame,
    refused: list[tuple[int, str, str]],
    reading: _Reading,
    ledger: pl.DataFrame | None,
    releases: pl.DataFrame | None,
    *,
    apart: bool,
) -> EdiBatch:
    rows = pl.concat(reading.envelopes) if reading.envelopes else _NO_ENVELOPE
    sizes = pl.DataFrame(
        {"doc": list(reading.sizes), "doc_end": list(reading.sizes.values())},
        schema={"doc": pl.Int32, "doc_end": pl.Int64},
    )
    envelopes = read_envelopes(rows, sizes)
    findings = pl.concat(reading.findings) if reading.findings else NO_FINDINGS
    strays = pl.concat(reading.strays) if reading.strays else None
    verdicts = judge(
        docs,
        refused,
        envelopes,
        reading.typed,
        reading.texts,
        ledger,
        releases,
        findings=findings,
        strays=strays,
        apart=apart,
    )
    return EdiBatch(
        interchanges=verdicts.interchanges.select(RAW_EDI_INTERCHANGES.names).cast(dict(RAW_EDI_INTERCHANGES.schema)),  # type: ignore[arg-type]
        groups=verdicts.groups,
        sets=verdicts.sets.select(RAW_EDI_SETS.names).cast(dict(RAW_EDI_SETS.schema)),  # type: ignore[arg-type]
        rejects=_identify(verdicts.rejects),
        facts=_conform(verdicts, interchange_answers(verdicts.interchanges, rows)),
        findings=verdicts.findings,
        headers=verdicts.headers,
        counts=verdicts.counts,
    )


_NO_ENVELOPE = (
    tokenise([])
    .envelope.drop("piece")
    .with_columns(pl.lit(0, dtype=pl.Int32).alias("doc"), pl.col("row").cast(pl.Int64))
    .clear()
)


def _identify(rejects: pl.DataFrame) -> pl.DataFrame:
    """Add reject_id and the contract's order."""
    keyed = rejects.sort("document_id", "interchange_no", "set_no", "segment_no", "line_no", "error_code", "reason")
    parts = keyed.select(
        "document_id", "interchange_no", "set_no", "segment_no", "line_no", "element_no", "level_code", "error_code"
    )
    seen: dict[str, int] = {}
    ids = []
    for values in parts.iter_rows():
        text = "|".join(str(v) for v in values)
        seen[text] = seen.get(text, 0) + 1
        again = f"|{seen[text]}" if seen[text] > 1 else ""
        ids.append(hashlib.sha256((text + again).encode()).hexdigest()[:16])
    out = keyed.with_columns(reject_id=pl.Series(ids, dtype=pl.String))
    return out.select(RAW_EDI_REJECTS.names).cast(dict(RAW_EDI_REJECTS.schema))  # type: ignore[arg-type]


def _conform(verdicts: Verdicts, answers: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Facts in contract order; a TA1, which stands outside of every set, joins the other acknowledgements."""
    out = {}
    for table in EDI_FACT_TABLES:
        found = verdicts.facts.get(table.name)
        out[table.name] = table.empty() if found is None else found.select(table.names).cast(dict(table.schema))  # type: ignore[arg-type]
    name = RAW_EDI_ACKNOWLEDGEMENTS.name
    if answers.height:
        schema = RAW_EDI_ACKNOWLEDGEMENTS.schema
        every = pl.concat([out[name], answers.select(RAW_EDI_ACKNOWLEDGEMENTS.names).cast(dict(schema))])  # type: ignore[arg-type]
        out[name] = every.sort("document_id", "interchange_no", "set_no", "segment_no", "line_no")
    return out
