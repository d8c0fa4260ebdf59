"""One tiny sandbox for all tests of this folder, and an EDI reader of a few lines that shares nothing with the project's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import sandbox


@dataclass(frozen=True)
class Made:
    """A sandbox on disk."""

    root: Path
    files: dict[str, bytes]
    faults: list[dict[str, Any]]

    def truth(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.root / "truth" / name / "*.parquet")

    def faulty(self) -> set[str]:
        return {f["file"] for f in self.faults if "file" in f} | {
            f["other_file"] for f in self.faults if "other_file" in f
        }


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The tiny profile, seed 7."""
    root = tmp_path_factory.mktemp("sandbox") / "tiny"
    sandbox.create(root, "tiny", 7)
    inbox = sandbox.root_inbox(root)
    files = {str(p.relative_to(inbox)): p.read_bytes() for p in sorted(inbox.rglob("*")) if p.is_file()}
    lines = (root / "truth" / "faults.jsonl").read_text().splitlines()
    return Made(root, files, [json.loads(line) for line in lines])


def _segments(content: bytes) -> list[list[str]]:
    text = content.decode("ascii")
    if text.startswith("ISA"):
        return [s.split("*") for s in text.split("~") if s]
    return [s.split("+") for s in text.removeprefix("UNA:+.? '").split("'") if s]


@pytest.fixture(scope="session")
def segments() -> Callable[[bytes], list[list[str]]]:
    """Segments and elements of a clean interchange of ours, X12 or EDIFACT."""
    return _segments
