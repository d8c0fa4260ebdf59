"""What a reading means to a person or a script: one verdict per document with every error, its code and its place."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from aios_assets.edi.aside import TIMES
from aios_assets.edi.batch import EdiBatch
from aios_assets.edi.faults import repeated
from aios_assets.edi.waiting import Waiting

Rows = list[dict[str, Any]]
_TRAILER = {("X12", "set"): "SE", ("X12", "group"): "GE", ("X12", "interchange"): "IEA"}
_TRAILER |= {("EDIFACT", "set"): "UNT", ("EDIFACT", "group"): "UNE", ("EDIFACT", "interchange"): "UNZ"}
_HEADER_CODES = {"TA1:018": "ISA", "TA1:024": "ISA", "TA1:025": "ISA", "CONTRL:26": "UNB", "AK5:6": "ST", "AK5:7": "ST"}
_SET_NAMES = ("set_code", "version_code", "control_number", "verdict_code", "segments", "set_no")
_WORST = {"accepted": 0, "unmapped": 0, "accepted_with_errors": 1, "rejected": 2}
_NAMES = ("accepted", "accepted_with_errors", "rejected")
MOST_ERRORS = 100_000  # listed of each kind (lines set aside, grammar) and document; beyond, codes are counted


class _Seen(NamedTuple):
    """What is told of the interchanges or groups of a document: how many there are, their verdicts, the standard of the first."""

    held: int = 0
    verdicts: frozenset[str] = frozenset()
    standard: str | None = None


def _seen(frame: pl.DataFrame) -> dict[str, _Seen]:
    """By document."""
    some = frame.group_by("document_id").agg(pl.len(), pl.col("verdict_code").unique(), pl.col("standard_code").first())
    return {document: _Seen(count, frozenset(codes), standard) for document, count, codes, standard in some.iter_rows()}


class _Listed:
    """The first faults of each document, and how many of each code are left out of it: dictionaries of millions fill the memory.

    Args:
        parts: faults in document order.
    """

    def __init__(self, parts: Iterator[pl.DataFrame]) -> None:
        self._rows = Waiting()
        self._of: dict[str, list[int]] = defaultdict(list)
        self.left: dict[str, Counter[str]] = defaultdict(Counter)
        taken: Counter[str] = Counter()
        for part in parts:
            names = [n for n in _SHOWN if n in part.columns]
            for document, own in part.partition_by("document_id", as_dict=True, maintain_order=True).items():
                self._take(str(document[0]), own, names, taken)

    def _take(self, document: str, own: pl.DataFrame, names: list[str], taken: Counter[str]) -> None:
        room = max(0, MOST_ERRORS - taken[document])
        every = Counter(dict(own.group_by("error_code").agg(_often(own)).iter_rows()))
        taken[document] += every.total()
        listed = repeated(own, room)
        if listed.height:
            self._of[document].append(len(self._rows))
            self._rows.put(listed.select(names))
        if every.total() > room:
            self.left[document].update(every - Counter(listed["error_code"].to_list()))

    def rows(self, document: str) -> Rows:
        """What is listed of a document."""
        return [row for n in self._of[document] for row in self._rows.get(n)[0].iter_rows(named=True)]


def _often(faults: pl.DataFrame) -> pl.Expr:
    """How many faults there are; one that is there several times stands once with its number."""
    return pl.col(TIMES).sum() if TIMES in faults.columns else pl.len()


_SHOWN = ("level_code", "set_no", "segment_no", "element_no", "tag", "error_code", "reason", "segment_text")


def _unlisted(left: dict[str, int]) -> dict[str, Any]:
    codes = ", ".join(f"{code} {count:,} times" for code, count in left.items())
    return {
        "code": "more_errors", "level": "document", "segment": None, "position": None, "element": None, "set": None,
        "message": f"{sum(left.values()):,} more errors are not listed: {codes}",
    }  # fmt: skip


def _error(row: dict[str, Any], standard: str | None, sizes: dict[int, int]) -> dict[str, Any]:
    """One error in the shape of the command's output."""
    level, code = row.get("level_code") or "segment", row["error_code"]
    tag = row.get("tag") or _HEADER_CODES.get(code)
    if tag is None and level in ("set", "group", "interchange"):
        tag = _TRAILER.get((standard or "", level))
    if tag is None and row.get("segment_text"):
        tag = row["segment_text"].split("*", 1)[0][:3]
    position: int | None = row["segment_no"] or None
    if level == "set":
        position = sizes.get(row["set_no"])
    element = row.get("element_no")
    if "tag" in row:
        level = "element" if element is not None else "segment"
    return {
        "code": code,
        "level": level,
        "segment": tag,
        "position": position,
        "element": element,
        "set": row["set_no"] or None,
        "message": row["reason"],
    }


def check_report(paths: list[tuple[str, str]], batch: EdiBatch) -> Iterator[Report]:
    """One verdict per document.

    Args:
        paths: (path, document_id) of every document, in the order wanted.
        batch: their reading, made with `grammar=True, apart=True`.
    """
    inter = _seen(batch.interchanges)
    groups = _seen(batch.groups.select("document_id", "verdict_code", standard_code=pl.lit(None, dtype=pl.String)))
    rejects, findings = _Listed(batch.faults.rejects()), _Listed(batch.faults.findings())
    sets = batch.sets.select(_SET_NAMES)
    sizes = batch.sets.group_by("document_id", maintain_order=True).len()
    stretch = {d: (end - n, n) for d, n, end in sizes.with_columns(end=pl.col("len").cum_sum()).iter_rows()}
    for path, document in paths:
        own = sets.slice(*stretch.get(document, (0, 0)))
        listed = rejects.rows(document), findings.rows(document)
        report = Report(path, document, inter.get(document, _Seen()), groups.get(document, _Seen()), own, *listed)
        # What is set aside and flagged, too, is one error.
        left = rejects.left[document] | findings.left[document]
        if left:
            report.errors.append(_unlisted(dict(sorted(left.items()))))
        yield report


class Report:
    """The verdict on one document.

    Args:
        path: where it was read.
        document: its SHA-256.
        inter: its interchanges.
        groups: their groups.
        sets: their sets.
        rejects: what was set aside of it.
        findings: its grammar faults.

    Attributes:
        path: where it was read.
        document: its SHA-256.
        standard: X12, EDIFACT or None.
        status: the worst verdict of anything in the document.
        kinds: types of its sets.
        errors: every error with its code and its place.
    """

    def __init__(
        self,
        path: str,
        document: str,
        inter: _Seen,
        groups: _Seen,
        sets: pl.DataFrame,
        rejects: Rows,
        findings: Rows,
    ) -> None:
        self.path, self.document, self._sets = path, document, sets
        self.standard = inter.standard
        self.kinds: list[str] = sets["set_code"].unique(maintain_order=True).to_list()
        wrong = {r["set_no"] for r in rejects if r["level_code"] == "set"}
        sizes = dict(sets.filter(pl.col("set_no").is_in(list(wrong))).select("set_no", "segments").iter_rows())
        said = {(f["set_no"], f["segment_no"], f["element_no"], f["error_code"]) for f in findings}
        # A line set aside for a value that the grammar flags too is told once.
        told = [
            r
            for r in rejects
            if r["level_code"] != "line" or (r["set_no"], r["segment_no"], r["element_no"], r["error_code"]) not in said
        ]
        self.errors = [_error(r, self.standard, sizes) for r in (*told, *findings)]
        self.errors.sort(key=lambda e: (e["set"] or 0, e["position"] or 0, e["element"] or 0, e["code"]))
        verdicts = inter.verdicts | groups.verdicts | set(sets["verdict_code"].unique())
        worst = max((_WORST[v] for v in verdicts), default=2)
        self.status = _NAMES[max(worst, 1) if self.errors else worst]
        self._head = {"interchanges": inter.held, "groups": groups.held}

    def sets(self) -> Iterator[dict[str, Any]]:
        """One after the other, since a document may hold millions."""
        errors: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for error in self.errors:
            errors[error["set"] or 0].append(error)
        for code, version, control, verdict, segments, number in self._sets.iter_rows():
            yield {
                "type": code,
                "version": version,
                "control": control,
                "status": "accepted" if verdict == "unmapped" else verdict,
                "segments": segments,
                "errors": errors.get(number, []),
            }

    def json(self) -> Iterator[str]:
        """Pieces of one line of JSON: path, sha256, standard, status, interchanges, groups, sets and errors."""
        head = {"path": self.path, "sha256": self.document, "standard": self.standard, "status": self.status}
        yield json.dumps(head | self._head)[:-1] + ', "sets": ['
        comma = ""
        for one in self.sets():
            yield comma + json.dumps(one)
            comma = ", "
        yield '], "errors": ' + json.dumps(self.errors) + "}"
