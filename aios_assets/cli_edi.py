"""`aios edi`: read, check, acknowledge, write, show and compare EDI documents."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors
from aios_assets.contracts.errors import BadInputError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from aios_assets.edi.limits import Limits

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
READ_AT_ONCE = 64 << 20


def _walk(paths: list[Path]) -> list[Path]:
    """Files named, and files in folders named, sorted within each folder."""
    out: list[Path] = []
    for path in paths:
        if path.is_dir():
            out.extend(sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")))
        elif path.exists():
            out.append(path)
        else:
            raise UsageError("there is no such file or folder", where=str(path), todo="correct the path")
    if not out:
        raise UsageError(
            "no file was found", where=", ".join(map(str, paths)), todo="name a folder that holds documents"
        )
    return out


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"the file cannot be read: {error.strerror}", where=str(path), todo="correct its permissions"
        ) from error


def _frame(contents: dict[str, bytes]) -> pl.DataFrame:
    """Documents as `read_documents` wants them; the clock is fixed, so that a check of the same bytes is the same."""
    import polars as pl

    return pl.DataFrame(
        {
            "document_id": list(contents),
            "content": list(contents.values()),
            "available_at_utc": [datetime(2000, 1, 1, tzinfo=UTC)] * len(contents),
        },
        schema={"document_id": pl.String, "content": pl.Binary, "available_at_utc": pl.Datetime("us", "UTC")},
    )


def _batches(files: list[Path]) -> list[list[Path]]:
    """Files grouped so that about `READ_AT_ONCE` bytes are held at a time."""
    out: list[list[Path]] = [[]]
    size = 0
    for path in files:
        own = path.stat().st_size
        if out[-1] and size + own > READ_AT_ONCE:
            out.append([])
            size = 0
        out[-1].append(path)
        size += own
    return out


def _limits(megabytes: int, kilobytes: int) -> Limits:
    from aios_assets.edi.limits import Limits

    if megabytes < 1 or kilobytes < 1:
        raise UsageError("a size cap must be at least 1", todo="give a larger number")
    return Limits(megabytes << 20, kilobytes << 10)


def _check(files: list[Path], limits: Limits) -> list[dict[str, Any]]:
    from aios_assets.edi.batch import read_documents
    from aios_assets.edi.report import check_report

    contents: dict[str, bytes] = {}
    named, unread = [], []
    for path in files:
        try:
            content = _read(path)
        except BadInputError as error:
            unread.append(
                {
                    "path": str(path),
                    "sha256": None,
                    "standard": None,
                    "status": "rejected",
                    "interchanges": 0,
                    "groups": 0,
                    "sets": [],
                    "errors": [
                        {
                            "code": "unreadable",
                            "level": "document",
                            "segment": None,
                            "position": None,
                            "element": None,
                            "set": None,
                            "message": str(error),
                        }
                    ],
                }
            )
            continue
        digest = hashlib.sha256(content).hexdigest()
        contents[digest] = content
        named.append((str(path), digest))
    batch = read_documents(_frame(contents), grammar=True, apart=True, limits=limits)
    return [*check_report(named, batch), *unread]


@app.command()
@handle_errors
def check(paths: Paths, as_json: Json = False, max_document_mb: MaxMb = 512, max_segment_kb: MaxKb = 1024) -> None:
    """Judge documents: envelope, segments, elements. Exit 0 when all are accepted, 1 when something is not."""
    clean = True
    limits = _limits(max_document_mb, max_segment_kb)
    for files in _batches(_walk(paths)):
        for result in _check(files, limits):
            clean = clean and result["status"] == "accepted"
            if as_json:
                print(json.dumps(result))
            else:
                _print_check(result)
    if not clean:
        raise typer.Exit(1)


def _print_check(result: dict[str, Any]) -> None:
    kinds = ", ".join(dict.fromkeys(s["type"] or "?" for s in result["sets"])) or "no set"
    print(f"{result['status']:<20} {result['standard'] or '-':<8} {kinds:<12} {result['path']}")
    for error in result["errors"][:20]:
        place = " ".join(str(p) for p in (error["segment"], error["position"]) if p)
        print(f"    {error['code']:<10} {place:<8} {error['message']}")
    if len(result["errors"]) > 20:
        print(f"    … and {len(result['errors']) - 20} more")


@app.command()
@handle_errors
def tables(
    paths: Paths, out: Out, as_json: Json = False, max_document_mb: MaxMb = 512, max_segment_kb: MaxKb = 1024
) -> None:
    """Write one Parquet file per fact table, and the verdicts and rejects, for documents read together."""
    from aios_assets.edi.batch import read_documents

    contents = {hashlib.sha256(c).hexdigest(): c for c in map(_read, _walk(paths))}
    batch = read_documents(_frame(contents), limits=_limits(max_document_mb, max_segment_kb))
    out.mkdir(parents=True, exist_ok=True)
    frames = {
        **batch.facts,
        "raw_edi__interchanges": batch.interchanges,
        "raw_edi__sets": batch.sets,
        "rejects": batch.rejects,
    }
    for name, frame in frames.items():
        part = out / f".{name}.parquet.part"
        frame.write_parquet(part)
        os.replace(part, out / f"{name}.parquet")
    emit({**batch.counts, **{name: frame.height for name, frame in frames.items() if frame.height}}, as_json)


@app.command()
@handle_errors
def ack(
    paths: Paths,
    out: Out,
    kind: Annotated[str, typer.Option(help="functional acknowledgement to write for X12: 997 or 999")] = "997",
    store: Annotated[
        Path | None, typer.Option(help="control-number store; .aios/control_numbers.sqlite otherwise")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the acknowledgement of each interchange: TA1, 997 or 999, CONTRL."""
    from aios_assets.edi.ack import acknowledge
    from aios_assets.edi.batch import read_documents
    from aios_assets.resources.clock import now_utc
    from aios_assets.resources.control_numbers import ControlNumbers

    if kind not in ("997", "999"):
        raise UsageError(f"--kind {kind} is not an acknowledgement", todo="give 997 or 999")
    contents = {hashlib.sha256(c).hexdigest(): c for c in map(_read, _walk(paths))}
    batch = read_documents(_frame(contents), grammar=True, apart=True)
    out.mkdir(parents=True, exist_ok=True)
    with ControlNumbers(_store(store)) as numbers:
        acks = acknowledge(contents, batch, number=numbers.next, now=now_utc(), kind="999" if kind == "999" else "997")
    written = []
    for one in acks:
        target = out / f"{one.document_id[:16]}-{one.interchange_no}-{one.kind}.edi"
        part = target.with_suffix(".part")
        part.write_bytes(one.content)
        os.replace(part, target)
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


def _store(path: Path | None) -> Path:
    return path if path is not None else Path(os.environ.get("AIOS_HOME", ".aios")) / "control_numbers.sqlite"


@app.command()
@handle_errors
def write(
    kind: Annotated[
        str, typer.Argument(metavar="TYPE", help="850, 855, 856, 860, 940, 945, 214, ORDERS, ORDCHG or DESADV")
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
    from aios_assets.edi.writing import load_partners
    from aios_assets.edi.writing import write as write_documents
    from aios_assets.resources.clock import now_utc
    from aios_assets.resources.control_numbers import ControlNumbers

    known = load_partners(profiles)
    if partner not in known:
        raise UsageError(f"there is no partner profile '{partner}'", todo=f"use one of {', '.join(known)}")
    rows = _rows(source)
    # The same rows written again keep their numbers; changed rows are another document and get their own.
    prefix = hashlib.sha256(_read(source)).hexdigest()[:16] + " "
    with ControlNumbers(_store(store)) as numbers:
        written = write_documents(kind, rows, known[partner], numbers=numbers.take, now=now_utc(), prefix=prefix)
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for key, number, content in written.documents.iter_rows():
        target = out / f"{kind}-{partner}-{number:09d}.edi"
        part = target.with_suffix(".part")
        part.write_bytes(content)
        os.replace(part, target)
        made.append({"key": key, "control_number": number, "path": str(target)})
    emit(made, as_json)


def _rows(path: Path) -> pl.DataFrame:
    """Rows of a CSV, Parquet or JSON-lines file.

    Raises:
        UsageError: there is no such file.
        BadInputError: it cannot be read as what its name says.
    """
    import polars as pl

    if not path.is_file():
        raise UsageError("there is no such file", where=str(path), todo="correct the path")
    identifiers = (
        "order_number",
        "order_line",
        "item_id",
        "item_gtin",
        "shipment_id",
        "buyer_id",
        "seller_id",
        "ship_to_site_id",
        "ship_from_id",
        "carrier_id",
    )
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix in (".jsonl", ".ndjson", ".json"):
            return pl.read_ndjson(path, infer_schema_length=None)
        names = pl.read_csv(path, n_rows=0).columns
        texts = {n: pl.String for n in identifiers if n in names}
        return pl.read_csv(path, schema_overrides=texts, try_parse_dates=True, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise BadInputError(
            f"the file cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            todo="give CSV, Parquet or JSON lines",
        ) from error


@app.command()
@handle_errors
def show(path: Annotated[Path, typer.Argument(help="document")], as_json: Json = False) -> None:
    """Print a document as a readable, indented, annotated listing with byte positions."""
    from aios_assets.edi.listing import listing, split

    if not path.is_file():
        raise UsageError("there is no such file", where=str(path), todo="correct the path")
    content = _read(path)
    if as_json:
        emit(
            [{"byte": start, "segment": tag, "elements": elements} for start, tag, elements, _ in split(content)],
            as_json=True,
        )
        return
    empty = True
    for line in listing(content):
        empty = False
        print(line)
    if empty:
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
    lines = difference(_read(a), _read(b))
    if as_json:
        emit({"same": not lines, "difference": lines}, as_json=True)
    else:
        for line in lines:
            print(line)
    if lines:
        raise typer.Exit(1)
