"""Model card and data sheet of a version, as Markdown and HTML; a missing section is an error, not a blank."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aios_assets.contracts.errors import RefusedError
from aios_assets.contracts.gates import GateDecision

CARD_SECTIONS: tuple[str, ...] = (
    "Purpose", "Artefact", "Data", "Method", "Quality by demand class", "Quality by site size", "Calibration", "Limits", "Gates", "Fallback",
)  # fmt: skip
SHEET_SECTIONS: tuple[str, ...] = (
    "Sources",
    "Versions",
    "Windows",
    "Rows",
    "Missing and censored",
    "Known faults",
    "Privacy",
)
Section = str | Mapping[str, object] | Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Card:
    """One document in both forms."""

    markdown: str
    html: str


def model_card(
    model_name: str, model_version: str, sections: Mapping[str, Section], decisions: Sequence[GateDecision] = ()
) -> Card:
    """The model card of a version.

    Args:
        model_name: registered model.
        model_version: version.
        sections: text, figures (mapping) or table (list of mappings) for each of `CARD_SECTIONS`.
        decisions: verdicts of the gates; they fill the section Gates when it is not given.

    Raises:
        RefusedError: a section is missing or empty.
    """
    body = dict(sections)
    if "Gates" not in body and decisions:
        body["Gates"] = [
            {"gate": d.gate_code, "verdict": "passed" if d.is_passed else "failed", "value": d.value, "limit": d.threshold, "why": d.reason} for d in decisions
        ]  # fmt: skip
    return _render(f"Model card: {model_name} version {model_version}", CARD_SECTIONS, body)


def data_sheet(model_name: str, model_version: str, sections: Mapping[str, Section]) -> Card:
    """The data sheet of what a version learned from; sections as in `model_card`, named by `SHEET_SECTIONS`."""
    return _render(f"Data sheet: {model_name} version {model_version}", SHEET_SECTIONS, sections)


def _render(title: str, names: Sequence[str], sections: Mapping[str, Section]) -> Card:
    missing = [n for n in names if not sections.get(n)]
    unknown = [n for n in sections if n not in names]
    if missing or unknown:
        what = f"sections missing: {', '.join(missing)}" if missing else f"sections not known: {', '.join(unknown)}"
        raise RefusedError(
            f"the document is incomplete: {what}",
            where=title,
            todo="give every section; write why where nothing applies",
        )
    markdown = [f"# {title}", ""]
    page = [f"<h1>{html.escape(title)}</h1>"]
    for name in names:
        value = sections[name]
        markdown += [f"## {name}", "", _markdown(value), ""]
        page += [f"<h2>{html.escape(name)}</h2>", _html(value)]
    style = "body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:24px auto;padding:0 16px}td,th{text-align:left;padding:3px 12px 3px 0;border-bottom:1px solid #ddd}"
    whole = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{style}</style></head><body>{"".join(page)}</body></html>'
    return Card("\n".join(markdown), whole)


def _text(value: object) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _rows(value: Section) -> tuple[list[str], list[list[str]]]:
    table = (
        [{"what": k, "value": v} for k, v in value.items()]
        if isinstance(value, Mapping)
        else [dict(r) for r in value if isinstance(r, Mapping)]
    )
    heads = list(dict.fromkeys(k for row in table for k in row))
    return heads, [[_text(row.get(h)) for h in heads] for row in table]


def _markdown(value: Section) -> str:
    if isinstance(value, str):
        return value
    heads, rows = _rows(value)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join(
        lines + ["| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in row) + " |" for row in rows]
    )


def _html(value: Section) -> str:
    if isinstance(value, str):
        return "".join(f"<p>{html.escape(p)}</p>" for p in value.split("\n\n"))
    heads, rows = _rows(value)
    head = "".join(f"<th>{html.escape(h)}</th>" for h in heads)
    return (
        f"<table><tr>{head}</tr>"
        + "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
        + "</table>"
    )
