"""A batch of received documents to typed facts, verdicts and rejects: the whole front door as one pure function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_ACKNOWLEDGEMENTS,
    RAW_EDI_INTERCHANGES,
    RAW_EDI_SETS,
)
from aios_assets.edi.aside import interchange_answers
from aios_assets.edi.counts import misplaced, repeated_numbers
from aios_assets.edi.envelope import read_envelopes
from aios_assets.edi.faults import Faults, identified
from aios_assets.edi.grammar import NO_FINDINGS
from aios_assets.edi.limits import Limits
from aios_assets.edi.reading import Reading, Refused, chunks, parts
from aios_assets.edi.shelf import InMemory, Shelf, conform
from aios_assets.edi.source import HeldBytes, Source
from aios_assets.edi.strings import blobs
from aios_assets.edi.verdicts import judge

# Documents larger than this are read where they lie.
_LARGE = 1 << 20


@dataclass(frozen=True)
class EdiBatch:
    """Everything one reading of a batch yields; frames conform to `contracts.edi_tables`.

    Attributes:
        interchanges: one row per interchange with its verdict.
        groups: one row per functional group with its verdict (for acknowledgements; not a stored table).
        sets: one row per transaction set or message with its verdict.
        faults: what was set aside and, when asked for, what breaks the grammar, a part at a time; those that are many wait
            in a file without a name.
        headers: envelope details that acknowledgements give back (qualifiers, application codes, counts as said).
        facts: table name to facts; tables without rows are present and empty.
        counts: what came in, what was kept and what was set aside; `in = kept + rejected` holds for each level.
    """

    interchanges: pl.DataFrame
    groups: pl.DataFrame
    sets: pl.DataFrame
    faults: Faults
    facts: dict[str, pl.DataFrame]
    headers: pl.DataFrame
    counts: dict[str, int]

    @cached_property
    def rejects(self) -> pl.DataFrame:
        """Everything set aside, with reason and place."""
        return pl.concat([some for rejects in self.faults.rejects() for some in identified(rejects)])

    @cached_property
    def findings(self) -> pl.DataFrame:
        """Grammar faults: pointer, element_no, tag, error_code, reason, segment_text, value."""
        return pl.concat(self.faults.findings())


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
    # Columns are taken one by one: a selection would copy the documents.
    docs = pl.DataFrame([documents["document_id"], documents["available_at_utc"]]).with_row_index("at")
    docs = docs.sort("document_id", maintain_order=True)
    shelf = InMemory()
    batch = read_sources(
        docs.drop("at"),
        _contents(blobs(documents["content"]), docs["at"].to_list()),
        shelf,
        ledger=ledger,
        releases=releases,
        grammar=grammar,
        apart=apart,
        limits=limits,
    )
    batch.facts.update(shelf.facts())
    return batch


def _contents(values: list[memoryview], order: list[int]) -> Iterator[Source | memoryview]:
    """The bytes of each document in the order given; of a large one only the stretch that is looked at."""
    for at in order:
        value = values[at]
        yield HeldBytes(value) if len(value) > _LARGE else value


def read_sources(
    docs: pl.DataFrame,
    sources: Iterable[Source | memoryview],
    shelf: Shelf,
    *,
    ledger: pl.DataFrame | None = None,
    releases: pl.DataFrame | None = None,
    grammar: bool = False,
    apart: bool = False,
    limits: Limits | None = None,
) -> EdiBatch:
    """As `read_documents`, for documents of any size: a stretch of each is in memory at a time.

    Args:
        docs: document_id and available_at_utc, ascending by document_id.
        sources: the bytes of each, in the same order.
        shelf: where typed lines wait and facts go; `EdiBatch.facts` stays empty.
        ledger: as above.
        releases: as above.
        grammar: as above.
        apart: as above.
        limits: as above.
    """
    limits = limits or Limits()
    reading = Reading(shelf, limits, grammar=grammar)
    stretches, refused = parts(sources, limits, reading.given_up)
    for chunk in chunks(stretches, limits.window_bytes):
        reading.take(chunk)
    refused += [(doc, "too_many_sets", limits.too_many()) for doc in reading.given_up]
    return _assemble(docs, refused, reading, ledger, releases, apart=apart)


def _assemble(
    docs: pl.DataFrame,
    refused: Refused,
    reading: Reading,
    ledger: pl.DataFrame | None,
    releases: pl.DataFrame | None,
    *,
    apart: bool,
) -> EdiBatch:
    sizes = reading.sizes
    envelopes = read_envelopes(reading.envelopes, reading.headers, sizes)
    told = [NO_FINDINGS]
    if reading.grammar:
        told += [repeated_numbers(envelopes.sets, envelopes.groups), misplaced(envelopes.sets)]
    verdicts = judge(
        docs,
        refused,
        envelopes,
        reading.shelf,
        ledger,
        releases,
        sizes=sizes,
        findings=reading.findings,
        found=reading.found,
        told=pl.concat(told),
        part_ends=reading.part_ends,
        strays=pl.concat(reading.strays) if reading.strays else None,
        repeated=reading.trailers.repeated(),
        apart=apart,
    )
    answers = interchange_answers(verdicts.interchanges, envelopes.answers)
    if answers.height:
        # A TA1 stands outside of every set and joins the other acknowledgements.
        reading.shelf.settle(RAW_EDI_ACKNOWLEDGEMENTS.name, answers)
    return EdiBatch(
        interchanges=conform(verdicts.interchanges, RAW_EDI_INTERCHANGES),
        groups=verdicts.groups,
        sets=conform(verdicts.sets, RAW_EDI_SETS),
        faults=verdicts.faults,
        facts={},
        headers=verdicts.headers,
        counts=verdicts.counts,
    )
