"""Acknowledgements for everything received: TA1 and 997 or 999 for X12, CONTRL for EDIFACT, written from the verdicts."""

from __future__ import annotations

import codecs
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Literal, Self

import polars as pl

from aios_assets.edi.batch import EdiBatch
from aios_assets.edi.delims import COMP, EL, REP, SEG
from aios_assets.edi.envelope_faults import MILD

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
        file: what is to be sent; in memory unless it is large.
    """

    document_id: str
    interchange_no: int
    kind: str
    control_number: str
    file: IO[bytes]

    @property
    def content(self) -> bytes:
        """The bytes to send."""
        self.file.seek(0)
        return self.file.read()

    def save(self, path: Path) -> None:
        """Write the bytes to send to a file."""
        self.file.seek(0)
        with path.open("wb") as target:
            shutil.copyfileobj(self.file, target, _BLOCK)


def acknowledge(
    batch: EdiBatch,
    *,
    number: Callable[[str, str, str, str], int],
    now: datetime,
    kind: AckKind = "997",
    moment: Callable[[str, str, str, str], datetime] | None = None,
    ours: Sequence[str] = (),
) -> Iterator[Ack]:
    """Write the answers to everything a reading holds, one interchange after the other.

    Args:
        batch: the reading, with grammar findings when element errors shall be told.
        number: control number for (standard, our id, partner's id, purpose).
        now: date and time written into the envelopes.
        kind: 997 or 999 for X12 groups.
        moment: when such a number was first taken, so that an answer written again has the bytes it had; `now` otherwise.
        ours: our identifications: what we sent ourselves is the partner's to answer.

    Yields:
        one Ack per interchange answered; acknowledgements themselves are not acknowledged, sets that came without an
        interchange header have nobody to answer to, and documents that were given up are not the partner's fault.
    """
    take = _Taker(number, moment, now)
    own = ("document_id", "interchange_no")
    x12 = pl.col("standard_code") == "X12"
    groups, faults = _Walk.over(batch.groups, *own), _Walk.over(batch.faults.whole.filter(pl.col("set_no") == 0), *own)
    in_groups, messages = _Walk(_sets(batch, x12), *own, "group_no"), _Walk(_sets(batch, ~x12), *own)
    errors = _Walk(_errors(batch), *own, "set_no")
    asked = batch.interchanges.join(batch.headers, on=own, how="left", maintain_order="left").join(
        batch.sets.group_by(own).agg(only_answers=(pl.col("set_code") == "CONTRL").all()),
        on=own,
        how="left",
        maintain_order="left",
    )
    refused = batch.faults.whole.filter(pl.col("level_code") == "document")["document_id"]
    here = (
        (pl.col("elements") > 0)
        & ~pl.col("document_id").is_in(refused.implode())
        & ~pl.col("sender_id").is_in(list(ours))
    )
    for i in asked.filter(here).iter_rows(named=True):
        key = (i["document_id"], i["interchange_no"])
        if i["standard_code"] == "X12":
            ack = _x12(i, list(groups.of(key)), in_groups, errors, list(faults.of(key)), take, kind)
        else:
            ack = _contrl(i, messages.of(key), errors, list(faults.of(key)), take)
        if ack is not None:
            yield ack


@dataclass(frozen=True, slots=True)
class _Taker:
    """Control numbers with the date and time that their envelope says."""

    number: Callable[[str, str, str, str], int]
    moment: Callable[[str, str, str, str], datetime] | None
    now: datetime

    def __call__(self, *what: str) -> tuple[int, datetime]:
        standard, ours, theirs, purpose = what
        control = self.number(standard, ours, theirs, purpose)
        return control, self.now if self.moment is None else self.moment(standard, ours, theirs, purpose)


_SET_NAMES = (
    "document_id",
    "interchange_no",
    "group_no",
    "set_no",
    "standard_code",
    "set_code",
    "version_code",
    "control_number",
    "verdict_code",
)
# Errors looked at in one set: an answer holds 99 segments at most.
_MOST = 2000
_SLICE = 50_000


class _Walk:
    """Rows by key, met in order: few are in memory at a time, however many there are.

    Args:
        rows: rows in document order.
        names: columns of the key, in which the rows ascend.
    """

    def __init__(self, rows: Iterator[dict[str, Any]], *names: str) -> None:
        self._runs = groupby(rows, itemgetter(*names))
        self._next = next(self._runs, None)

    @classmethod
    def over(cls, frame: pl.DataFrame, *names: str) -> Self:
        """Over the rows of a frame."""
        return cls(frame.iter_rows(named=True), *names)

    def of(self, key: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
        """The rows of a key; those of smaller keys are passed by."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._runs, None)
        return self._next[1] if self._next is not None and self._next[0] == key else iter(())


def _sets(batch: EdiBatch, which: pl.Expr) -> Iterator[dict[str, Any]]:
    """Some of the sets in order, of which there may be millions: few are copied at a time."""
    for some in batch.sets.iter_slices(_SLICE):
        some = some.filter(which).select(_SET_NAMES).with_columns(pl.col("group_no").fill_null(0))
        yield from some.iter_rows(named=True)


def _errors(batch: EdiBatch) -> Iterator[dict[str, Any]]:
    """Errors of sets in order: grammar findings, lines set aside and the sets' own envelope faults."""
    names = ["document_id", "interchange_no", "set_no", "segment_no", "element_no", "tag", "error_code", "value"]
    nth = pl.int_range(pl.len()).over(names[:3])
    for rejects, findings in batch.faults.parts():
        # Twice as many of each sort as are looked at of both, before the costly part.
        findings = findings.select(names).filter(nth < 2 * _MOST)
        lines = rejects.filter(pl.col("set_no") > 0).filter(nth < 2 * _MOST)
        lines = lines.with_columns(
            tag=pl.col("segment_text").str.split("*").list.get(0, null_on_oob=True), value=pl.lit(None, dtype=pl.String)
        )
        every = pl.concat([findings, lines.select(names)]).unique(
            [*names[:5], "error_code"], keep="first", maintain_order=True
        )
        every = every.sort(names[:5], maintain_order=True).filter(nth < _MOST)
        yield from every.iter_rows(named=True)


def _x12(
    i: dict[str, Any],
    groups: list[dict[str, Any]],
    sets: _Walk,
    errors: _Walk,
    faults: list[dict[str, Any]],
    take: _Taker,
    kind: AckKind,
) -> Ack | None:
    noted = [f["error_code"] for f in faults if f["level_code"] == "interchange" and f["error_code"][:4] == "TA1:"]
    own = [code for code in noted if code not in MILD]
    lines: list[str] = []
    if own or i["ack_requested"] == "1":
        verdict = "R" if own else "E" if i["verdict_code"] != "accepted" else "A"
        note = (own or noted or ["TA1:000"])[0][4:]
        lines.append(f"TA1*{i['control_number']:0>9}*{i['sent_date'] or ''}*{i['sent_time'] or ''}*{verdict}*{note}")
    answered = [] if own else [g for g in groups if g["group_code"] not in _OWN_ANSWERS]
    if not lines and not answered:
        return None
    control, now = take("X12", i["receiver_id"], i["sender_id"], f"{kind} {i['document_id']} {i['interchange_no']}")
    us, them = (f"{(i[f'{who}_qualifier'] or '')[:2]:<2}*{i[f'{who}_id'][:15]:<15}" for who in ("receiver", "sender"))
    # A 999 belongs to 005010, where ISA11 separates repetitions.
    release = "^*00501" if kind == "999" and answered else "U*00401"
    head = (
        f"ISA*00*{'':10}*00*{'':10}*{us}*{them}*{now:%y%m%d}*{now:%H%M}*{release}*{control:09d}*0*"
        f"{i['usage_code'] or 'P'}*>"
    )
    out = _Text("~\n")
    out.add(head, *lines)
    for nth, g in enumerate(answered, 1):
        _functional(out, g, sets, errors, nth, control, now, kind)
    out.add(f"IEA*{len(answered)}*{control:09d}")
    name = kind if answered else "TA1"
    return Ack(i["document_id"], i["interchange_no"], name, f"{control:09d}", out.file())


def _functional(
    out: _Text,
    g: dict[str, Any],
    walk: _Walk,
    errors: _Walk,
    nth: int,
    control: int,
    now: datetime,
    kind: AckKind,
) -> None:
    """One group of one 997 or 999 that answers one functional group."""
    new = kind == "999"
    own_number = control if nth == 1 else (control * 100 + nth) % 1_000_000_000  # nine digits at most
    version = "005010X231A1" if new else "004010"
    sides = f"{g['application_receiver'] or ''}*{g['application_sender'] or ''}"
    out.add(f"GS*FA*{sides}*{now:%Y%m%d}*{now:%H%M}*{own_number}*X*{version}")
    before = out.segments
    out.add(f"ST*{kind}*{nth:04d}" + ("*005010X231A1" if new else ""))
    tail = f"*{g['version_code']}" if new and g["version_code"] else ""
    out.add(f"AK1*{g['group_code'] or 'ZZ'}*{g['control_number'] or '0'}{tail}")
    verdicts: Counter[str] = Counter()
    key = (g["document_id"], g["interchange_no"])
    for s in walk.of((*key, g["group_no"])):
        out.add(*_answer(s, list(islice(errors.of((*key, s["set_no"])), _MOST)), new))
        verdicts[s["verdict_code"]] += 1
    received, accepted = verdicts.total(), verdicts.total() - verdicts["rejected"]
    own = g["verdict_code"] == "rejected" and g["reason"]
    verdict = (
        "R"
        if own or accepted == 0
        else "P"
        if accepted < received
        else "E"
        if verdicts["accepted_with_errors"]
        else "A"
    )
    said = (g["said_count"] or "").strip()
    included = said if said.isdigit() and len(said) <= 6 else str(received)
    codes = _group_codes(g["reason"] or "")
    out.add(f"AK9*{verdict}*{int(included)}*{received}*{0 if verdict == 'R' else accepted}{codes}")
    out.add(f"SE*{out.segments - before + 1}*{nth:04d}", f"GE*1*{own_number}")


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
    sets: Iterator[dict[str, Any]],
    errors: _Walk,
    faults: list[dict[str, Any]],
    take: _Taker,
) -> Ack | None:
    """CONTRL of one interchange.

    Source: ISO 9735 syntax 3: UCI and UCM with action 4 (rejected), 7 (acknowledged) and error codes of element 0085.
    """
    if i["only_answers"]:
        return None
    sender, receiver = _party(i["sender_id"], i["sender_qualifier"]), _party(i["receiver_id"], i["receiver_qualifier"])
    control, now = take("EDIFACT", i["receiver_id"], i["sender_id"], f"CONTRL {i['document_id']} {i['interchange_no']}")
    own = [f["error_code"][7:] for f in faults if f["error_code"][:7] == "CONTRL:" and f["error_code"] not in MILD]
    out = _Text("'\n")
    test = "++++++1" if i["usage_code"] == "T" else ""
    out.add(f"UNB+UNOC:3+{receiver}+{sender}+{now:%y%m%d}:{now:%H%M}+{control}{test}", "UNH+1+CONTRL:D:3:UN")
    out.add(f"UCI+{_plain(i['control_number']) or '0'}+{sender}+{receiver}+" + (f"4+{own[0]}" if own else "7"))
    for s in () if own else sets:
        found = errors.of((s["document_id"], s["interchange_no"], s["set_no"]))
        out.add(*_message(s, list(islice(found, _MOST))))
    out.add(f"UNT+{out.segments}+1", f"UNZ+1+{control}")
    return Ack(i["document_id"], i["interchange_no"], "CONTRL", str(control), out.file())


def _message(s: dict[str, Any], found: list[dict[str, Any]]) -> list[str]:
    """UCM, UCS and UCD of one message."""
    version = (s["version_code"] or "D.96A").split(".")
    about = f"{s['set_code']}:{version[0]}:{version[1] if len(version) > 1 else ''}:UN"
    ucm = f"UCM+{_plain(s['control_number']) or '0'}+{about}+{'4' if s['verdict_code'] == 'rejected' else '7'}"
    whole = [e["error_code"][7:] for e in found if not e["segment_no"]]
    out = [ucm + (f"+{whole[0]}" if whole else "")]
    for e in [e for e in found if e["segment_no"]][:99]:
        out.append(f"UCS+{e['segment_no']}" + ("" if e["element_no"] else f"+{e['error_code'][7:]}"))
        if e["element_no"]:
            out.append(f"UCD+{e['error_code'][7:]}+{e['element_no'] + 1}")
    return out


# A damaged header may name a letter as its separator.
_NO_STRUCTURE = dict.fromkeys(map(ord, SEG + EL + REP + COMP), " ")


class _Text:
    """An answer in the making; it may have millions of segments.

    Args:
        end: what ends a segment.

    Attributes:
        segments: how many were added.
    """

    def __init__(self, end: str) -> None:
        self.segments = 0
        self._end = end
        self._out = _file()
        self._ascii = self._latin = True

    def add(self, *segments: str) -> None:
        """Append segments."""
        self.segments += len(segments)
        text = "".join(s + self._end for s in segments).translate(_NO_STRUCTURE)
        if not text.isascii():
            self._ascii = False
            self._latin = self._latin and max(text) <= "\xff"
        self._out.write(text.encode())

    def file(self) -> IO[bytes]:
        """One byte a character where that can be; names beyond Latin-1 go out in UTF-8, as they came."""
        if self._ascii or not self._latin:
            return self._out
        self._out.seek(0)
        out, utf8 = _file(), codecs.getincrementaldecoder("utf-8")()
        while block := self._out.read(_BLOCK):
            out.write(utf8.decode(block).encode("latin-1"))
        return out


_BLOCK = 1 << 20


def _file() -> IO[bytes]:
    """A file without a name, in memory as long as it is small."""
    return tempfile.SpooledTemporaryFile(max_size=32 << 20)


def _plain(text: str) -> str:
    """Text with EDIFACT's service characters released."""
    return "".join("?" + c if c in "?+:'" else c for c in text)


def _party(identity: str, qualifier: str) -> str:
    return _plain(identity or "UNKNOWN") + (f":{_plain(qualifier)}" if qualifier else "")
