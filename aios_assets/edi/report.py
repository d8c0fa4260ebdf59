"""What a reading means to a person or a script: one verdict per document with every error, its code and its place."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import polars as pl

from aios_assets.edi.batch import EdiBatch

_TRAILER = {("X12", "set"): "SE", ("X12", "group"): "GE", ("X12", "interchange"): "IEA"}
_TRAILER |= {("EDIFACT", "set"): "UNT", ("EDIFACT", "group"): "UNE", ("EDIFACT", "interchange"): "UNZ"}
_HEADER_CODES = {"TA1:018": "ISA", "TA1:024": "ISA", "TA1:025": "ISA", "CONTRL:26": "UNB", "AK5:6": "ST", "AK5:7": "ST"}
_WORST = {"accepted": 0, "unmapped": 0, "accepted_with_errors": 1, "rejected": 2}
_NAMES = ("accepted", "accepted_with_errors", "rejected")


def _grouped(frame: pl.DataFrame, *names: str) -> dict[Any, list[dict[str, Any]]]:
    out: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in frame.iter_rows(named=True):
        out[row[names[0]] if len(names) == 1 else tuple(row[n] for n in names)].append(row)
    return out


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


def check_report(paths: list[tuple[str, str]], batch: EdiBatch) -> list[dict[str, Any]]:
    """One verdict per document.

    Args:
        paths: (path, document_id) of every document, in the order wanted.
        batch: their reading, made with `grammar=True, apart=True`.

    Returns:
        path, sha256, standard, status, interchanges, groups, sets and errors per document. The status is the worst verdict
        of anything in the document; what became of each set is in `sets`.
    """
    inter, groups = _grouped(batch.interchanges, "document_id"), _grouped(batch.groups, "document_id")
    sets, rejects = _grouped(batch.sets, "document_id"), _grouped(batch.rejects, "document_id")
    findings = _grouped(batch.findings, "document_id")
    return [
        {
            "path": path,
            **_document(
                document, inter[document], groups[document], sets[document], rejects[document], findings[document]
            ),
        }
        for path, document in paths
    ]


def _document(
    document: str,
    inter: list[dict[str, Any]],
    groups: list[dict[str, Any]],
    sets: list[dict[str, Any]],
    rejects: list[dict[str, Any]],
    findings: list[dict[str, Any]],
) -> dict[str, Any]:
    standard = inter[0]["standard_code"] if inter else None
    sizes = {s["set_no"]: s["segments"] for s in sets}
    said = {(f["set_no"], f["segment_no"], f["element_no"], f["error_code"]) for f in findings}
    # A line set aside for a value that the grammar flags too is told once.
    told = [
        r
        for r in rejects
        if r["level_code"] != "line" or (r["set_no"], r["segment_no"], r["element_no"], r["error_code"]) not in said
    ]
    errors = [_error(r, standard, sizes) for r in told] + [_error(f, standard, sizes) for f in findings]
    errors.sort(key=lambda e: (e["set"] or 0, e["position"] or 0, e["element"] or 0, e["code"]))
    worst = max((_WORST[r["verdict_code"]] for r in (*inter, *groups, *sets)), default=2)
    if errors:
        worst = max(worst, 1)
    return {
        "sha256": document,
        "standard": standard,
        "status": _NAMES[worst],
        "interchanges": len(inter),
        "groups": len(groups),
        "sets": [
            {
                "type": s["set_code"],
                "version": s["version_code"],
                "control": s["control_number"],
                "status": "accepted" if s["verdict_code"] == "unmapped" else s["verdict_code"],
                "segments": s["segments"],
                "errors": [e for e in errors if e["set"] == s["set_no"]],
            }
            for s in sets
        ],
        "errors": errors,
    }
