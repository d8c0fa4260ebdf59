"""Test documents written segment by segment, with counts that a test may then spoil."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.limits import Limits

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def x12(
    code: str,
    *body: str,
    control: int = 1,
    sender: str = "SENDER",
    receiver: str = "RECEIVER",
    term: str = "~",
    sep: str = "*",
    comp: str = ">",
) -> bytes:
    """One interchange with one set; segments of `body` are written with `*` and `:`."""
    isa = f"ISA*00*{'':10}*00*{'':10}*ZZ*{sender:<15}*ZZ*{receiver:<15}*260101*1200*U*00401*{control:09d}*0*P*"
    inner = [
        f"GS*{'PC' if code == '860' else 'PO'}*{sender}*{receiver}*20260101*1200*{control}*X*004010",
        f"ST*{code}*0001",
        *body,
        f"SE*{len(body) + 2}*0001",
        f"GE*1*{control}",
        f"IEA*1*{control:09d}",
    ]
    text = isa.replace("*", sep) + comp + term + "".join(s.replace("*", sep).replace(":", comp) + term for s in inner)
    return text.encode()


def edifact(
    kind: str, *body: str, control: str = "1", una: str = "", sender: str = "SENDER", version: str = "D:96A:UN"
) -> bytes:
    """One interchange with one message."""
    inner = [
        f"UNB+UNOC:3+{sender}:14+RECEIVER:14+260101:1200+{control}",
        f"UNH+1+{kind}:{version}",
        *body,
        f"UNT+{len(body) + 2}+1",
        f"UNZ+1+{control}",
    ]
    return (una + "".join(s + "'" for s in inner)).encode()


def frame(*contents: bytes, when: datetime | list[datetime] = WHEN) -> pl.DataFrame:
    """Documents as the reader wants them."""
    whens = when if isinstance(when, list) else [when] * len(contents)
    return pl.DataFrame(
        {
            "document_id": [hashlib.sha256(c).hexdigest() for c in contents],
            "content": list(contents),
            "available_at_utc": whens,
        },
        schema={"document_id": pl.String, "content": pl.Binary, "available_at_utc": pl.Datetime("us", "UTC")},
    )


def shared() -> Path:
    """Folder of the real samples; the test is skipped where it is absent."""
    root = Path(os.environ.get("AIOS_SHARED", Path(__file__).resolve().parents[3].parent / "shared")) / "edi_samples"
    if not root.is_dir():
        pytest.skip(f"real EDI samples are absent ({root}); set AIOS_SHARED")
    return root


def facts_of_each(table: str, contents: list[bytes], window: int) -> list[pl.DataFrame]:
    """Facts of each of these documents, dates as CCYYMMDD, read in stretches of `window` bytes; none may be rejected."""
    batch = read_documents(frame(*contents), limits=Limits(window_bytes=window))
    assert batch.rejects.is_empty()
    facts = batch.facts[table].with_columns(pl.col(pl.Date).dt.strftime("%Y%m%d"))
    return [facts.filter(pl.col("document_id") == hashlib.sha256(content).hexdigest()) for content in contents]
