"""`aios edi`: read, check, acknowledge, write, show and compare EDI documents."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors, note
from aios_assets.cli_edi_files import (
    STRETCH,
    Unreadable,
    appearing,
    contents_of,
    digests_of,
    document_rows,
    in_batches,
    keep_freed_memory,
    printable,
    put,
    read_file,
    walk,
    writing_into,
)
from aios_assets.cli_tables import read_table
from aios_assets.contracts.errors import BadInputError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from aios_assets.edi.ack import AckKind
    from aios_assets.edi.limits import Limits
    from aios_assets.edi.report import Report

app = typer.Typer(no_args_is_help=True, help="Read, check, acknowledge, write and compare EDI documents.")
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
Paths = Annotated[list[Path], typer.Argument(help="files, or folders to walk")]
Out = Annotated[Path, typer.Option("--out", help="folder to write into")]
MaxMb = Annotated[
    int, typer.Option("--max-document-mb", envvar="AIOS_EDI_MAX_DOCUMENT_MB", help="largest document read, in MB")
]
MaxKb = Annotated[
    int, typer.Option("--max-segment-kb", envvar="AIOS_EDI_MAX_SEGMENT_KB", help="longest segment read, in KB")
]
MaxSets = Annotated[
    int,
    typer.Option("--max-sets", envvar="AIOS_EDI_MAX_SETS", help="most sets read of a document, which memory goes by"),
]
IDENTIFIERS = (
    "order_number", "order_line", "item_id", "item_gtin", "shipment_id", "buyer_id", "seller_id", "ship_to_site_id", "ship_from_id",
    "carrier_id",
)  # fmt: skip


def _tell(unreadable: Unreadable) -> None:
    """Name the files that could not be read; what became of the others was told before.

    Raises:
        Exit: there is one.
    """
    for _, wrong in unreadable:
        print(f"aios: left out: {printable(str(wrong))}", file=sys.stderr)
    if unreadable:
        raise typer.Exit(1)


def _limits(megabytes: int, kilobytes: int, sets: int) -> Limits:
    from aios_assets.edi.limits import Limits

    if min(megabytes, kilobytes, sets) < 1:
        raise UsageError("a size cap must be at least 1", todo="give a larger number")
    return Limits(megabytes << 20, kilobytes << 10, sets, window_bytes=STRETCH)


def _check(named: list[tuple[str, str]], limits: Limits) -> Iterator[Report]:
    from aios_assets.edi.batch import read_sources
    from aios_assets.edi.report import check_report
    from aios_assets.edi.shelf import Counting

    documents = {digest: Path(path) for path, digest in named}
    batch = read_sources(
        document_rows(documents), contents_of(documents), Counting(), grammar=True, apart=True, limits=limits
    )
    yield from check_report(named, batch)


def _unreadable(path: Path, error: BadInputError) -> dict[str, Any]:
    """What is said of a file that cannot be opened."""
    names = ("segment", "position", "element", "set")
    wrong = {"code": "unreadable", "level": "document", **dict.fromkeys(names), "message": str(error)}
    head = {"path": str(path), "sha256": None, "standard": None, "status": "rejected"}
    return {**head, "interchanges": 0, "groups": 0, "sets": [], "errors": [wrong]}


@app.command()
@handle_errors
def check(
    paths: Paths,
    as_json: Json = False,
    max_document_mb: MaxMb = 512,
    max_segment_kb: MaxKb = 1024,
    max_sets: MaxSets = 2_000_000,
) -> None:
    """Judge documents: envelope, segments, elements. Exit 0 when all are accepted, 1 when something is not."""
    keep_freed_memory()
    clean = True
    limits = _limits(max_document_mb, max_segment_kb, max_sets)
    unreadable: Unreadable = []
    with writing_into(Path(tempfile.gettempdir())):
        for files in in_batches(walk(paths), unreadable):
            for result in _check(files, limits):
                clean = clean and result.status == "accepted"
                if as_json:
                    sys.stdout.writelines(result.json())
                    print()
                else:
                    _print_check(result)
    for path, wrong in unreadable:
        clean = False
        told = printable(str(wrong))
        print(json.dumps(_unreadable(path, wrong)) if as_json else f"{'rejected':<20} {'-':<8} {'-':<12} {told}")
    if not clean:
        raise typer.Exit(1)


def _print_check(result: Report) -> None:
    kinds = ", ".join(kind or "?" for kind in result.kinds) or "no set"
    print(f"{result.status:<20} {result.standard or '-':<8} {kinds:<12} {printable(result.path)}")
    for error in result.errors[:20]:
        place = " ".join(str(p) for p in (error["segment"], error["position"]) if p)
        print(f"    {error['code']:<10} {place:<8} {printable(error['message'])}")
    if len(result.errors) > 20:
        print(f"    … and {len(result.errors) - 20} more")


@app.command()
@handle_errors
def tables(
    paths: Paths,
    out: Out,
    as_json: Json = False,
    max_document_mb: MaxMb = 512,
    max_segment_kb: MaxKb = 1024,
    max_sets: MaxSets = 2_000_000,
) -> None:
    """Write one Parquet file per fact table, and the verdicts and rejects, for documents read together."""
    from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
    from aios_assets.edi.batch import read_sources
    from aios_assets.edi.faults import identified
    from aios_assets.edi.shelf import OnDisk

    keep_freed_memory()
    unreadable: Unreadable = []
    files = {digest: path for path, digest, _ in digests_of(walk(paths), unreadable)}
    limits = _limits(max_document_mb, max_segment_kb, max_sets)
    with writing_into(out), OnDisk(out) as shelf:
        batch = read_sources(document_rows(files), contents_of(files), shelf, limits=limits)
        for table in EDI_FACT_TABLES:
            shelf.write(table.name, table.empty())
        shelf.write("raw_edi__interchanges", batch.interchanges)
        shelf.write("raw_edi__sets", batch.sets)
        for rejects in batch.faults.rejects():
            for some in identified(rejects):
                shelf.write("rejects", some)
    emit({**batch.counts, **shelf.rows}, as_json)
    _tell(unreadable)


@app.command()
@handle_errors
def ack(
    paths: Paths,
    out: Out,
    kind: Annotated[str, typer.Option(help="functional acknowledgement to write for X12: 997 or 999")] = "997",
    store: Annotated[
        Path | None, typer.Option(help="control-number store; .aios/control_numbers.sqlite otherwise")
    ] = None,
    our_ids: Annotated[
        str,
        typer.Option(
            "--our-id",
            envvar="AIOS_OUR_IDS",
            help="our identifications, separated by commas; what these sent is not answered",
        ),
    ] = "",
    as_json: Json = False,
    max_document_mb: MaxMb = 512,
    max_segment_kb: MaxKb = 1024,
    max_sets: MaxSets = 2_000_000,
) -> None:
    """Write the acknowledgement of each interchange that others sent: TA1, 997 or 999, CONTRL."""
    from aios_assets.edi.ack import acknowledge
    from aios_assets.edi.batch import read_sources
    from aios_assets.edi.shelf import Counting
    from aios_assets.resources.clock import now_utc
    from aios_assets.resources.control_numbers import ControlNumbers

    if kind not in ("997", "999"):
        raise UsageError(f"--kind {kind} is not an acknowledgement", todo="give 997 or 999")
    keep_freed_memory()
    unreadable: Unreadable = []
    files = {digest: path for path, digest, _ in digests_of(walk(paths), unreadable)}
    limits = _limits(max_document_mb, max_segment_kb, max_sets)
    with writing_into(Path(tempfile.gettempdir())):
        # Of two under one control number the one that came first stays, as in the nightly run.
        rows = document_rows(files, as_they_came=True)
        batch = read_sources(
            rows, contents_of(files), Counting(), ledger=_known_interchanges(), grammar=True, limits=limits
        )
    written = []
    now = now_utc()
    which: AckKind = "999" if kind == "999" else "997"
    with writing_into(out), writing_into(_store(store).parent), ControlNumbers(_store(store)) as numbers:
        number, moment = partial(numbers.next, at=now), partial(numbers.moment, otherwise=now)
        ours = [name.strip() for name in our_ids.split(",") if name.strip()]
        for one in acknowledge(batch, number=number, now=now, kind=which, moment=moment, ours=ours):
            target = out / f"{one.document_id[:16]}-{one.interchange_no}-{one.kind}.edi"
            with appearing(target) as part:
                one.save(part)
            written.append(
                {
                    "document_id": one.document_id,
                    "interchange_no": one.interchange_no,
                    "kind": one.kind,
                    "control_number": one.control_number,
                    "path": str(target),
                }
            )
    emit(written, as_json)
    too_large = _unanswered(batch.faults.whole, files)
    _tell(unreadable)
    if too_large:
        raise typer.Exit(1)


def _known_interchanges() -> pl.DataFrame | None:
    """What the nightly run has accepted so far; None where no night was run."""
    from aios_assets.resources.lake import Lake
    from aios_assets.settings import Settings

    root = Settings().lake_root
    return Lake(root).read("raw_edi__interchanges") if (root / "raw_edi__interchanges").is_dir() else None


def _unanswered(rejects: pl.DataFrame, files: dict[str, Path]) -> bool:
    """Name the documents that could not be read at all; says whether a size cap was why."""
    whole = rejects.filter(rejects["level_code"] == "document")
    for document, reason in whole.select("document_id", "reason").iter_rows():
        print(f"aios: {printable(str(files[document]))} was not answered: {reason}", file=sys.stderr)
    return bool(whole["error_code"].is_in(["too_large", "segment_too_long", "too_many_sets"]).any())


def _store(path: Path | None) -> Path:
    return path if path is not None else Path(os.environ.get("AIOS_HOME", ".aios")) / "control_numbers.sqlite"


@app.command()
@handle_errors
def write(
    kind: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="850, 855, 856, 860, 810, 940, 945, 214, ORDERS, ORDCHG, DESADV or INVOIC"),
    ],
    source: Annotated[
        Path, typer.Option("--from", help="CSV, Parquet or JSON lines with the columns of the fact table")
    ],
    partner: Annotated[str, typer.Option(help="name of a partner profile")],
    out: Out,
    profiles: Annotated[Path | None, typer.Option(help="YAML file of partner profiles; the examples otherwise")] = None,
    store: Annotated[
        Path | None, typer.Option(help="control-number store; .aios/control_numbers.sqlite otherwise")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one interchange per document from rows; each gets the next control number of its partner, once and for all."""
    from aios_assets.cli_edi_numbers import NumberTaker
    from aios_assets.edi.writing import load_partners
    from aios_assets.edi.writing import write as write_documents
    from aios_assets.resources.clock import now_utc
    from aios_assets.resources.control_numbers import ControlNumbers

    known = load_partners(profiles)
    if partner not in known:
        raise UsageError(f"there is no partner profile '{partner}'", todo=f"use one of {', '.join(known)}")
    rows = read_table(source, IDENTIFIERS, stamps=True)
    _tell_unwritten(kind, rows.columns)
    made = []
    with writing_into(out):
        with writing_into(_store(store).parent), ControlNumbers(_store(store)) as numbers:
            now = now_utc()
            taker = NumberTaker(numbers, now, read_file(source))
            written = write_documents(kind, rows, known[partner], numbers=taker.take, now=now, moments=taker.moments)
        for key, number, content in written.documents.iter_rows():
            target = out / f"{kind}-{partner}-{number:09d}.edi"
            if put(target, content):
                taker.told.append(
                    f"{target.name} had other bytes: sent again, the partner takes it for a copy of what it has"
                )
            made.append({"key": key, "control_number": number, "path": str(target)})
    for line in taker.told[:20]:
        note(line)
    if len(taker.told) > 20:
        note(f"{len(taker.told) - 20:,} more such lines are not shown")
    emit(made, as_json)


def _tell_unwritten(kind: str, columns: list[str]) -> None:
    """Name columns that no document of this type says: a misspelt one would go without a word."""
    from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
    from aios_assets.edi.writing import WRITERS

    writer = WRITERS.get(kind)
    if writer is None:
        return
    known = {c.name for t in EDI_FACT_TABLES if t.name == writer.table for c in t.columns} | set(writer.extra)
    odd = sorted(set(columns) - known)
    if odd:
        note(f"not written, for {writer.table} has no such column: {', '.join(map(printable, odd))}")


@app.command()
@handle_errors
def show(path: Annotated[Path, typer.Argument(help="document")], as_json: Json = False) -> None:
    """Print a document as a readable, indented, annotated listing with byte positions."""
    from aios_assets.edi.listing import listing, split

    if not path.is_file():
        raise UsageError("there is no such file", where=str(path), todo="correct the path")
    content = read_file(path)
    some = False
    if as_json:
        found = [{"byte": start, "segment": tag, "elements": elements} for start, tag, elements, _ in split(content)]
        some = bool(found)
        if some:
            emit(found, as_json=True)
    else:
        for line in listing(content):
            some = True
            print(line)
    if not some:
        raise BadInputError(
            "the document is neither X12 nor EDIFACT",
            where=str(path),
            todo="give a file that starts with ISA, UNA or UNB",
        )


@app.command()
@handle_errors
def diff(
    a: Annotated[Path, typer.Argument(help="one document")],
    b: Annotated[Path, typer.Argument(help="the other")],
    as_json: Json = False,
) -> None:
    """Compare two documents segment by segment, whatever their delimiters. Exit 1 when they differ."""
    from aios_assets.edi.listing import difference

    for path in (a, b):
        if not path.is_file():
            raise UsageError("there is no such file", where=str(path), todo="correct the path")
    lines = difference(read_file(a), read_file(b))
    if as_json:
        emit({"same": not lines, "difference": lines}, as_json=True)
    else:
        for line in lines:
            print(line)
    if lines:
        raise typer.Exit(1)
