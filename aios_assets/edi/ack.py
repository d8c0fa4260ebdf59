"""Acknowledgements for everything received: TA1 and 997 or 999 for X12, CONTRL for EDIFACT, written from the verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import polars as pl

from aios_assets.edi.batch import EdiBatch
from aios_assets.edi.canonical import pieces
from aios_assets.edi.locate import segments
from aios_assets.edi.source import Source, plain

AckKind = Literal["997", "999"]
_OWN_ANSWERS = ("FA", "CONTRL")


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledgement.

    Attributes:
        document_id: what it answers.
        interchange_no: which interchange of it.
        kind: TA1, 997, 999 or CONTRL.
        control_number: interchange control number of the answer.
        content: the bytes to send.
    """

    document_id: str
    interchange_no: int
    kind: str
    control_number: str
    content: bytes


def acknowledge(
    contents: Mapping[str, Source],
    batch: EdiBatch,
    *,
    number: Callable[[str, str, str, str], int],
    now: datetime,
    kind: AckKind = "997",
) -> list[Ack]:
    """Write the answers to everything a reading holds.

    Args:
        contents: document_id to bytes: headers are given back as they came.
        batch: the reading, with grammar findings when element errors shall be told.
        number: control number for (standard, our id, partner's id, purpose).
        now: date and time written into the envelopes.
        kind: 997 or 999 for X12 groups.

    Returns:
        one Ack per interchange answered; acknowledgements themselves are not acknowledged.
    """
    sets, groups = _by(batch.sets, "document_id", "interchange_no"), _by(batch.groups, "document_id", "interchange_no")
    errors = _errors(batch)
    faults = _by(batch.rejects.filter(pl.col("set_no") == 0), "document_id", "interchange_no")
    out = []
    document, headers = "", list[list[str]]()
    for i in batch.interchanges.join(
        batch.headers, on=["document_id", "interchange_no"], how="left", maintain_order="left"
    ).iter_rows(named=True):
        key = (i["document_id"], i["interchange_no"])
        if i["document_id"] != document:
            document = i["document_id"]
            headers = _headers(contents[document])
        if i["interchange_no"] > len(headers):
            continue
        header = headers[i["interchange_no"] - 1]
        if i["standard_code"] == "X12":
            ack = _x12(i, header, groups[key], sets[key], errors, faults[key], number, now, kind)
        else:
            ack = _contrl(i, header, sets[key], errors, faults[key], number, now)
        if ack is not None:
            out.append(ack)
    return out


def _by(frame: pl.DataFrame, *names: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    out: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in frame.iter_rows(named=True):
        out[tuple(row[n] for n in names)].append(row)
    return out


def _errors(batch: EdiBatch) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Errors of each set: grammar findings, lines set aside and the set's own envelope faults."""
    lines = batch.rejects.filter(pl.col("set_no") > 0).with_columns(
        tag=pl.col("segment_text").str.split("*").list.get(0, null_on_oob=True), value=pl.lit(None, dtype=pl.String)
    )
    names = ["document_id", "interchange_no", "set_no", "segment_no", "element_no", "tag", "error_code", "value"]
    every = pl.concat([batch.findings.select(names), lines.select(names)]).unique(
        [*names[:5], "error_code"], keep="first", maintain_order=True
    )
    return _by(
        every.sort("document_id", "set_no", "segment_no", "element_no", maintain_order=True),
        "document_id",
        "interchange_no",
        "set_no",
    )


def _headers(source: Source) -> list[list[str]]:
    """Elements of every ISA or UNB of a document as they came."""
    content = plain(source[:])
    cut = pieces(content)
    out, which = [], 0
    for start, end, tag in segments(content):
        if tag.upper() not in (b"ISA", b"UNB"):
            continue
        while start >= cut[which].end:
            which += 1
        d = cut[which].delimiters
        raw = content[start:end].translate(None, b"\r\n") if d.wraps else content[start:end]
        out.append([part.decode("latin-1") for part in raw.split(d.element)])
    return out


def _x12(
    i: dict[str, Any],
    isa: list[str],
    groups: list[dict[str, Any]],
    sets: list[dict[str, Any]],
    errors: dict[tuple[Any, ...], list[dict[str, Any]]],
    faults: list[dict[str, Any]],
    number: Callable[[str, str, str, str], int],
    now: datetime,
    kind: AckKind,
) -> Ack | None:
    isa = (isa + [""] * 17)[:17]
    own = [f for f in faults if f["level_code"] == "interchange" and f["error_code"].startswith("TA1:")]
    lines: list[str] = []
    asked = isa[14].strip() == "1"
    if own or asked:
        verdict, note = (
            ("R", own[0]["error_code"][4:])
            if own
            else ("E", "000")
            if i["verdict_code"] != "accepted"
            else ("A", "000")
        )
        lines.append(f"TA1*{isa[13].strip():0>9}*{isa[9].strip()}*{isa[10].strip()}*{verdict}*{note}")
    answered = [] if own else [g for g in groups if g["group_code"] not in _OWN_ANSWERS]
    if not lines and not answered:
        return None
    control = number("X12", isa[8].strip(), isa[6].strip(), f"{kind} {i['document_id']} {i['interchange_no']}")
    body, count = list(lines), 0
    for g in answered:
        count += 1
        mine = [s for s in sets if s["group_no"] == g["group_no"]]
        body += _functional(g, mine, errors, count, control, now, kind)
    head = (
        f"ISA*00*{'':10}*00*{'':10}*{isa[7].strip()[:2]:<2}*{isa[8].strip()[:15]:<15}*{isa[5].strip()[:2]:<2}*{isa[6].strip()[:15]:<15}*{now:%y%m%d}*{now:%H%M}*U*00401*{control:09d}*0*"
        f"{isa[15].strip() or 'P'}*>"
    )
    text = "".join(f"{s}~\n" for s in [head, *body, f"IEA*{count}*{control:09d}"])
    return Ack(
        i["document_id"],
        i["interchange_no"],
        kind if answered else "TA1",
        f"{control:09d}",
        text.encode("latin-1", "replace"),
    )


def _functional(
    g: dict[str, Any],
    sets: list[dict[str, Any]],
    errors: dict[tuple[Any, ...], list[dict[str, Any]]],
    nth: int,
    control: int,
    now: datetime,
    kind: AckKind,
) -> list[str]:
    """One group of one 997 or 999 that answers one functional group."""
    new = kind == "999"
    own_number = str(control) if nth == 1 else f"{control % 10_000_000}{nth:02d}"
    version = "005010X231A1" if new else "004010"
    out = [
        f"GS*FA*{g['application_receiver'] or ''}*{g['application_sender'] or ''}*{now:%Y%m%d}*{now:%H%M}*{own_number}*X*{version}"
    ]
    body = [f"ST*{kind}*{nth:04d}" + ("*005010X231A1" if new else "")]
    tail = f"*{g['version_code']}" if new and g["version_code"] else ""
    body.append(f"AK1*{g['group_code'] or 'ZZ'}*{g['control_number'] or '0'}{tail}")
    for s in sets:
        body += _answer(s, errors[(s["document_id"], s["interchange_no"], s["set_no"])], new)
    received, accepted = len(sets), sum(s["verdict_code"] != "rejected" for s in sets)
    with_errors = any(s["verdict_code"] == "accepted_with_errors" for s in sets)
    own = g["verdict_code"] == "rejected" and g["reason"]
    verdict = "R" if own or accepted == 0 else "P" if accepted < received else "E" if with_errors else "A"
    said = (g["said_count"] or "").strip()
    included = said if said.isdigit() and len(said) <= 6 else str(received)
    codes = _group_codes(g["reason"] or "")
    body.append(f"AK9*{verdict}*{int(included)}*{received}*{0 if verdict == 'R' else accepted}{codes}")
    body.append(f"SE*{len(body) + 1}*{nth:04d}")
    return [*out, *body, f"GE*1*{own_number}"]


def _group_codes(reason: str) -> str:
    found = [
        code for words, code in (("has no trailer", "3"), ("closed under", "4"), ("counted", "5")) if words in reason
    ]
    return "".join(f"*{c}" for c in found)


def _answer(s: dict[str, Any], errors: list[dict[str, Any]], new: bool) -> list[str]:
    """AK2 to AK5 (IK5) of one set."""
    letter = "IK" if new else "AK"
    out = [f"AK2*{s['set_code'] or '000'}*{s['control_number'] or '0'}"]
    own = [e["error_code"][4:] for e in errors if e["error_code"].startswith("AK5:")]
    by_segment: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for e in errors:
        if e["segment_no"] and (
            e["error_code"].startswith("AK3:") or (e["error_code"].startswith("AK4:") and e["element_no"])
        ):
            by_segment[e["segment_no"]].append(e)
    for position, found in list(by_segment.items())[:99]:
        tag = (found[0]["tag"] or "")[:3]
        whole = next((e["error_code"][4:] for e in found if e["error_code"].startswith("AK3:")), "8")
        out.append(f"{letter}3*{tag}*{position}**{whole}")
        for e in found:
            if e["error_code"].startswith("AK4:"):
                value = "".join(c for c in (e["value"] or "") if c.isalnum() or c in " .-,/")[:99].strip()
                out.append(f"{letter}4*{e['element_no']}**{e['error_code'][4:]}" + (f"*{value}" if value else ""))
    verdict = {"rejected": "R", "accepted_with_errors": "E"}.get(s["verdict_code"], "A")
    codes = list(dict.fromkeys([*own, *(["5"] if by_segment else [])]))[:5]
    return [*out, f"{letter}5*{verdict}" + "".join(f"*{c}" for c in codes)]


def _contrl(
    i: dict[str, Any],
    unb: list[str],
    sets: list[dict[str, Any]],
    errors: dict[tuple[Any, ...], list[dict[str, Any]]],
    faults: list[dict[str, Any]],
    number: Callable[[str, str, str, str], int],
    now: datetime,
) -> Ack | None:
    """CONTRL of one interchange.

    Source: ISO 9735 syntax 3: UCI and UCM with action 4 (rejected), 7 (acknowledged) and error codes of element 0085.
    """
    if sets and all(s["set_code"] == "CONTRL" for s in sets):
        return None
    sender, receiver = _party(i["sender_id"], i["sender_qualifier"]), _party(i["receiver_id"], i["receiver_qualifier"])
    control = number("EDIFACT", i["receiver_id"], i["sender_id"], f"CONTRL {i['document_id']} {i['interchange_no']}")
    own = [f["error_code"][7:] for f in faults if f["error_code"].startswith("CONTRL:")]
    body = [
        "UNH+1+CONTRL:D:3:UN",
        f"UCI+{_plain(i['control_number']) or '0'}+{sender}+{receiver}+" + (f"4+{own[0]}" if own else "7"),
    ]
    for s in [] if own else sets:
        found = errors[(s["document_id"], s["interchange_no"], s["set_no"])]
        version = (s["version_code"] or "D.96A").split(".")
        about = f"{s['set_code']}:{version[0]}:{version[1] if len(version) > 1 else ''}:UN"
        ucm = f"UCM+{_plain(s['control_number']) or '0'}+{about}+{'4' if s['verdict_code'] == 'rejected' else '7'}"
        whole = [e["error_code"][7:] for e in found if not e["segment_no"]]
        body.append(ucm + (f"+{whole[0]}" if whole else ""))
        for e in [e for e in found if e["segment_no"]][:99]:
            body.append(f"UCS+{e['segment_no']}" + ("" if e["element_no"] else f"+{e['error_code'][7:]}"))
            if e["element_no"]:
                body.append(f"UCD+{e['error_code'][7:]}+{e['element_no'] + 1}")
    body.append(f"UNT+{len(body) + 1}+1")
    head = f"UNB+UNOC:3+{receiver}+{sender}+{now:%y%m%d}:{now:%H%M}+{control}"
    text = "".join(f"{s}'\n" for s in [head, *body, f"UNZ+1+{control}"])
    return Ack(i["document_id"], i["interchange_no"], "CONTRL", str(control), text.encode("latin-1", "replace"))


def _plain(text: str) -> str:
    """Text with EDIFACT's service characters released."""
    return "".join("?" + c if c in "?+:'" else c for c in text)


def _party(identity: str, qualifier: str) -> str:
    return _plain(identity or "UNKNOWN") + (f":{_plain(qualifier)}" if qualifier else "")
