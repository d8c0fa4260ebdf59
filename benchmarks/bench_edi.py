"""Figures of the EDI front door, with its peers in the same run: MB and documents per CPU-second, peak memory.

Run `make bench-edi` (`python -m benchmarks.bench_edi --mb 50` for a smaller size, `--json` for a machine). CPU-seconds are those
of the process, all threads, user and system; the median of three runs. Allocators keep what was freed, as in `aios edi`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from aios_assets.cli_edi_files import keep_freed_memory
from aios_assets.edi import read_documents
from aios_assets.edi.envelope import read_envelopes
from aios_assets.edi.limits import Limits
from aios_assets.edi.reading import parts
from aios_assets.edi.tokens import Tokens, tokenise
from aios_assets.edi.trailers import paired
from aios_assets.edi.writing import Partner, write

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
SETS_PER_INTERCHANGE = 50


def x12_document(control: int, sets: int, lines: int = 20) -> bytes:
    """One interchange of 850s: PO1 and PID per line."""
    body = "".join(
        f"PO1*{i}*{i % 50 + 1}*EA*{i % 9 + 1}.25**IN*ITEM{i:06d}*UP*0123456789{i % 100:02d}~PID*F****DESCRIPTION OF ITEM {i}~"
        for i in range(1, lines + 1)
    )
    text = "".join(
        f"ST*850*{n:04d}~BEG*00*SA*PO{control}{n:04d}**20260101~N1*BY**92*BUYER~N1*ST**92*{n % 100:04d}~{body}CTT*{lines}~"
        f"SE*{6 + 2 * lines}*{n:04d}~"
        for n in range(1, sets + 1)
    )
    return (
        f"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*U*00401*{control:09d}*0*P*>~"
        f"GS*PO*S*R*20260101*1200*{control}*X*004010~{text}GE*{sets}*{control}~IEA*1*{control:09d}~"
    ).encode()


def edifact_document(control: int, messages: int, lines: int = 20) -> bytes:
    """One interchange of ORDERS: LIN, PIA, QTY and PRI per line."""
    body = "".join(
        f"LIN+{i}++40000000{i:05d}:EN'PIA+1+ITEM{i:06d}:IN::92'IMD+F++:::DESCRIPTION OF ITEM {i}'QTY+21:{i % 50 + 1}:PCE'PRI+AAA:{i % 9 + 1}.25'"
        for i in range(1, lines + 1)
    )
    text = "".join(
        f"UNH+{n}+ORDERS:D:96A:UN'BGM+220+PO{control}{n:04d}+9'DTM+137:20260101:102'NAD+BY+111::9'NAD+DP+{n % 100:04d}::9'{body}"
        f"UNS+S'CNT+2:{lines}'UNT+{8 + 5 * lines}+{n}'"
        for n in range(1, messages + 1)
    )
    return f"UNB+UNOC:3+SENDER:14+RECEIVER:14+260101:1200+{control}'{text}UNZ+{messages}+{control}'".encode()


def frame(contents: list[bytes]) -> pl.DataFrame:
    """Documents as the reader wants them."""
    return pl.DataFrame(
        {
            "document_id": [hashlib.sha256(c).hexdigest() for c in contents],
            "content": contents,
            "available_at_utc": [WHEN] * len(contents),
        },
        schema={"document_id": pl.String, "content": pl.Binary, "available_at_utc": pl.Datetime("us", "UTC")},
    )


def cpu(work: Callable[[], object], *, runs: int = 1) -> float:
    """CPU-seconds of all threads of the process, user and system; the median of several runs."""
    out = []
    for _ in range(runs):
        before = time.process_time()
        work()
        out.append(time.process_time() - before)
    return max(statistics.median(out), 1e-6)


def stretches(content: bytes) -> Iterator[Tokens]:
    """A document as tokens: where every segment, element and component lies, and every tag, 16 MB at a time."""
    found, _ = parts([content], Limits())
    for part in found:
        yield tokenise([part.text])


def tokens(content: bytes, *, as_strings: bool = False) -> int:
    """Tokenise a document; `as_strings` makes a column of all its segments and one of all their elements."""
    count = 0
    for found in stretches(content):
        count += found.height
        if as_strings:
            found.segments(np.arange(found.height))
            found.slicer.strings(found.at[:-1] + 1, found.at[1:])
    return count


def envelopes(content: bytes) -> None:
    """Tokens, and every count and control number judged."""
    rows, headers, at = [], [], 0
    for found in stretches(content):
        local = found.envelope.drop("piece").with_columns(pl.lit(0, dtype=pl.Int32).alias("doc"))
        rows.append(paired(local.with_columns(pl.col("row").cast(pl.Int64) + at)))
        headers.append(found.headers.with_columns(pl.col("row").cast(pl.Int64) + at))
        at += found.height
    sizes = pl.DataFrame({"doc": [0], "doc_end": [at]}, schema={"doc": pl.Int32, "doc_end": pl.Int64})
    assert read_envelopes(rows, headers, sizes).faults.is_empty()


def into_delta(documents: pl.DataFrame, folder: Path) -> None:
    """Typed facts, verdicts and rejects appended to Delta tables."""
    from deltalake import write_deltalake

    batch = read_documents(documents)
    tables = {**batch.facts, "interchanges": batch.interchanges, "sets": batch.sets, "rejects": batch.rejects}
    for name, table in tables.items():
        if table.height:
            write_deltalake(str(folder / name), table.to_arrow(compat_level=pl.CompatLevel.oldest()), mode="append")


def peers(x12: bytes, edifact: bytes) -> dict[str, float]:
    """MB per CPU-second of other parsers on a sample of the same bytes; those that are not installed are left out."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    out = {}

    def rate(name: str, content: bytes, work: Callable[[], object]) -> None:
        out[name] = len(content) / 1e6 / cpu(work)

    try:
        from pyx12.x12file import X12Reader

        rate("pyx12 (X12, envelope)", x12, lambda: sum(1 for _ in X12Reader(io.StringIO(x12.decode()))))
    except ImportError:
        pass
    try:
        from mockedi import edifact as mock_edifact
        from mockedi import x12 as mock_x12

        rate("mock-edi (X12, parse)", x12, lambda: mock_x12.parse(x12.decode()))
        rate("mock-edi (EDIFACT, parse)", edifact, lambda: mock_edifact.parse(edifact.decode()))
    except ImportError:
        pass
    try:
        from pydifact.segmentcollection import RawSegmentCollection

        rate(
            "pydifact (EDIFACT, tokens)",
            edifact,
            lambda: list(RawSegmentCollection.from_str(edifact.decode()).segments),
        )
    except ImportError:
        pass
    logging.disable(logging.NOTSET)
    return out


def measure(megabytes: float) -> dict[str, float]:
    """Every figure of this run."""
    # First, while this process is small: a child's peak counts that of its parent at the fork.
    out: dict[str, float] = peaks(megabytes)
    small = frame([x12_document(n, 1, 3 + n % 20) for n in range(1, 10_001)])
    read_documents(small.head(50))
    out["10,000 small documents: documents/CPU-s"] = 10_000 / cpu(lambda: read_documents(small), runs=5)
    for name, make in (("X12", x12_document), ("EDIFACT", edifact_document)):
        one = len(make(1, SETS_PER_INTERCHANGE))
        content = b"".join(make(n, SETS_PER_INTERCHANGE) for n in range(1, max(2, int(megabytes * 1e6 / one))))
        size = len(content) / 1e6
        documents = frame([content])
        out[f"{name} bytes.translate: MB/CPU-s"] = size / cpu(lambda: content.translate(bytes(range(256))))  # noqa: B023
        out[f"{name} tokens: MB/CPU-s"] = size / cpu(lambda: tokens(content), runs=3)  # noqa: B023
        out[f"{name} tokens as strings: MB/CPU-s"] = size / cpu(lambda: tokens(content, as_strings=True), runs=3)  # noqa: B023
        out[f"{name} with envelope: MB/CPU-s"] = size / cpu(lambda: envelopes(content), runs=3)  # noqa: B023
        out[f"{name} typed facts: MB/CPU-s"] = size / cpu(lambda: read_documents(documents), runs=3)  # noqa: B023
        with TemporaryDirectory() as folder:
            out[f"{name} into Delta: MB/CPU-s"] = size / cpu(lambda: into_delta(documents, Path(folder)))  # noqa: B023
    out.update({f"{k}: MB/CPU-s": v for k, v in peers(x12_document(1, 200), edifact_document(1, 200)).items()})
    out.update(_writer())
    return out


def giant(path: Path, megabytes: float) -> None:
    """One 852 of that size in a single transaction set."""
    head = x12_document(1, 0).split(b"GE*")[0].replace(b"GS*PO", b"GS*PD")
    line = "LIN**IN*ITEM{0:08d}*UP*012345678905~ZA*QS*{1}*EA~"
    count = int(megabytes * 1e6 / len(line.format(0, 10)))
    with path.open("wb") as file:
        file.write(head + b"ST*852*0001~XQ*H*20260101*20260107~N1*ST*X*92*S1~")
        for n in range(0, count, 50_000):
            lines = (line.format(i, i % 50) for i in range(n, min(n + 50_000, count)))
            file.write("".join(lines).encode())
        file.write(f"CTT*{count}~SE*{2 * count + 5}*0001~GE*1*1~IEA*1*000000001~".encode())


def spoiled(path: Path, megabytes: float) -> None:
    """One 850 of that size in which no line has a quantity that is a number."""
    head = x12_document(1, 0).split(b"GE*")[0]
    count = int(megabytes * 1e6 / 30)
    with path.open("wb") as file:
        file.write(head + b"ST*850*0001~BEG*00*SA*PO7**20260103~N1*ST**92*0001~")
        for n in range(0, count, 50_000):
            lines = (f"PO1*{i}*many*EA***IN*A{i % 1000}~" for i in range(n, min(n + 50_000, count)))
            file.write("".join(lines).encode())
        file.write(f"CTT*{count}~SE*{count + 5}*0001~GE*1*1~IEA*1*000000001~".encode())


def peaks(megabytes: float) -> dict[str, float]:
    """Peak memory of the commands, each in a process of its own, on one transaction set that fills the whole file."""
    out = {}
    with TemporaryDirectory() as folder:
        path, rest = Path(folder) / "giant.edi", ["--out", str(Path(folder) / "out")]
        store = ["--store", str(Path(folder) / "numbers.sqlite")]
        for what, make, failed in (("one set", giant, 0), ("one wrong set", spoiled, 1)):
            make(path, megabytes)
            for name, options, code in (("check", ["--json"], failed), ("tables", rest, 0), ("ack", rest + store, 0)):
                command = [sys.executable, "-m", "aios_assets", "edi", name, str(path), *options]
                child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
                assert child.returncode == code, command
                seconds = usage.ru_utime + usage.ru_stime
                out[f"aios edi {name}, {what} of {megabytes:.0f} MB: peak MB"] = usage.ru_maxrss / 1024
                out[f"aios edi {name}, {what}, start included: MB/CPU-s"] = path.stat().st_size / 1e6 / seconds
    return out


def _writer() -> dict[str, float]:
    n, lines = 10_000, 20
    one = pl.DataFrame(
        {
            "order_line": [str(i) for i in range(1, lines + 1)],
            "item_id": [f"I{i}" for i in range(lines)],
            "quantity": [float(i + 1) for i in range(lines)],
            "unit_price": [1.5] * lines,
        }
    )
    orders = pl.DataFrame({"order_number": [f"PO{i:06d}" for i in range(n)]}).join(one, how="cross")
    orders = orders.with_columns(order_date=pl.lit(WHEN.date()), unit_code=pl.lit("EA"), ship_to_site_id=pl.lit("S1"))
    partner = Partner(name="bench", our_id="AIOS", partner_id="PARTNER")
    numbers = lambda _series, purposes: list(range(1, len(purposes) + 1))  # noqa: E731
    return {
        "850 writer, 20 lines: documents/CPU-s": n
        / cpu(lambda: write("850", orders, partner, numbers=numbers, now=WHEN))
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mb", type=float, default=200.0, help="size of the large documents")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if os.environ.get("_RJEM_MALLOC_CONF") is None:
        # The allocator reads its setting when polars is loaded: start again as the command line starts.
        keep_freed_memory()
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.bench_edi", *sys.argv[1:]])
    keep_freed_memory()
    figures = measure(options.mb)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<48}{value:>12,.1f}")


if __name__ == "__main__":
    main()
