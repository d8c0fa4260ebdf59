"""From drafts to files: control numbers, envelope times, delivery times, names."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.demand import regime_items
from sandbox.documents import day_drafts
from sandbox.drafts import Draft, render, ymd
from sandbox.faults import (
    ENVELOPE_KINDS,
    RESEND_NIGHTS,
    add_unknown_item,
    break_envelope,
    break_sensors,
    chance,
    change_quantity,
    choose,
    record,
)
from sandbox.flow import DayResult
from sandbox.master import master_files
from sandbox.spec import Spec
from sandbox.state import NetworkState, PendingFile
from sandbox.telemetry import day_series, json_lines

ZONE = ZoneInfo("America/New_York")
FIRST_S, SPAN_S = 300, 5900
RESEND = "re-send"


@dataclass(frozen=True, slots=True)
class OutFile:
    """One file for the inbox.

    Attributes:
        path: relative to the inbox, with forward slashes.
        content: bytes.
        delivered_s: delivery time, whole seconds since 1970 UTC; becomes the file's modification time.
    """

    path: str
    content: bytes
    delivered_s: int


def night_start(spec: Spec, day: int) -> dt.datetime:
    """UTC instant of local midnight after the close of `day`."""
    local = dt.datetime.combine(spec.date(day + 1), dt.time(), ZONE)
    return local.astimezone(dt.UTC)


def edi_path(spec: Spec, day: int, name: str) -> str:
    """Path of an EDI file delivered in the night after `day`."""
    return f"edi/{spec.date(day):%Y/%m/%d}/{name}.edi"


def first_files(state: NetworkState) -> list[OutFile]:
    """Master data handed over the night before the first day."""
    return _master(state, -1)


def _master(state: NetworkState, day: int) -> list[OutFile]:
    spec = state.net.spec
    at = int(night_start(spec, day).timestamp()) + 120
    return [
        OutFile(f"master/{kind}/{kind}_{spec.date(day)}.csv", text.encode(), at + n)
        for n, (kind, text) in enumerate(master_files(state.net, day))
    ]


def day_files(state: NetworkState, result: DayResult) -> tuple[list[OutFile], list[dict[str, Any]]]:
    """Files delivered in the night after the day of `result`, in order of delivery, and the faults planted that day.

    Takes control numbers from the state's counters and holds late files and re-sends in the state.
    """
    net, day = state.net, result.day
    drafts = day_drafts(state, result)
    drafts += _take_resends(state, day)
    start = night_start(net.spec, day)
    night = Night(state, day, start, len(drafts), choose(net, drafts, day))
    files = _master(state, day)
    for n, draft in enumerate(drafts):
        files += night.deliver(n, draft)
    files += _telemetry(state, result, int(start.timestamp()), night.faults)
    night.faults += _regimes(state, day)
    files += _take_due(state, day)
    return sorted(files, key=lambda f: (f.delivered_s, f.path)), night.faults


def _telemetry(state: NetworkState, result: DayResult, midnight: int, faults: list[dict[str, Any]]) -> list[OutFile]:
    spec, day = state.net.spec, result.day
    series = day_series(state.net, result)
    broken = break_sensors(state.net, series, day)
    faults += broken
    return [
        OutFile(
            f"telemetry/{spec.date(day):%Y/%m/%d}/{source}_{ymd(spec.date(day))}.jsonl",
            text.encode(),
            midnight + 240 + n,
        )
        for n, (source, text) in enumerate(json_lines(state.net, day, series))
    ]


def _regimes(state: NetworkState, day: int) -> list[dict[str, Any]]:
    """Changes of level that start on this day."""
    net = state.net
    return [
        record(net, f.kind, day, item_id=net.item_ids[i], factor=f.factor)
        for f in net.spec.faults
        if f.kind == "regime_change" and f.from_day == day
        for i in regime_items(net, f.from_day, f.rate_frac).tolist()
    ]


def _take_resends(state: NetworkState, day: int) -> list[Draft]:
    """Good documents whose night to be sent again has come."""
    due = [p for p in state.pending if p.day <= day and p.path == RESEND]
    state.pending = [p for p in state.pending if p.day > day or p.path != RESEND]
    drafts = []
    for held in due:
        saved = json.loads(held.content)
        saved["sets"] = [(code, body) for code, body in saved["sets"]]
        drafts.append(Draft(**saved))
    return drafts


def _take_due(state: NetworkState, day: int) -> list[OutFile]:
    """Held files whose night has come."""
    due = [p for p in state.pending if p.day <= day]
    state.pending = [p for p in state.pending if p.day > day]
    return [OutFile(p.path, p.content, p.delivered_s) for p in due]


@dataclass(slots=True)
class Night:
    """One night of deliveries.

    Attributes:
        state: the network; counters and held files change.
        day: business day just closed.
        start: local midnight in UTC.
        drafts: how many documents are sent.
        chosen: position of a draft → fault.
        faults: records of what was planted.
    """

    state: NetworkState
    day: int
    start: dt.datetime
    drafts: int
    chosen: dict[int, str]
    faults: list[dict[str, Any]] = field(default_factory=list)

    def deliver(self, n: int, draft: Draft) -> list[OutFile]:
        """The files of one draft that arrive tonight; held ones go to the state."""
        kind = self.chosen.get(n) if not draft.is_resend else None
        offset = FIRST_S + n * SPAN_S // max(1, self.drafts)
        if kind is None:
            return [self._file(draft, offset)[0]]
        dice = chance(self.state.net.seed, "dice", kind, draft.kind, draft.subject, self.day)
        if kind in ("corrected_resend", "unit_off_by_pack", "unknown_item"):
            return self._changed(draft, offset, kind, dice)
        file, control = self._file(draft, offset)
        if kind in ENVELOPE_KINDS:
            broken = break_envelope(draft, file.content.decode("ascii"), kind, control, dice)
            self._resend(draft)
            self._record(kind, draft, file, control=control)
            return [OutFile(file.path, broken.encode("ascii"), file.delivered_s)]
        if kind == "duplicate":
            twin = OutFile(
                file.path.replace(".edi", "_again.edi"), file.content, file.delivered_s + 35 + int(dice * 60)
            )
            self._record(kind, draft, file, other_file=twin.path)
            return [file, twin]
        return self._late(draft, file, kind, 1 if kind == "out_of_order" else 1 + int(dice * 4))

    def _late(self, draft: Draft, file: OutFile, kind: str, nights: int) -> list[OutFile]:
        """Hold a file for some nights; it comes after that night's own documents."""
        spec, day = self.state.net.spec, self.day + nights
        at = int(night_start(spec, day).timestamp()) + FIRST_S + SPAN_S + 20
        path = edi_path(spec, day, file.path.rsplit("/", 1)[1][:-4])
        self.state.pending.append(PendingFile(day, path, file.content, at))
        self._record(kind, draft, OutFile(path, b"", at), nights_late=nights)
        return []

    def _changed(self, draft: Draft, offset: int, kind: str, dice: float) -> list[OutFile]:
        """A document with one line wrong; the right one follows for a corrected re-send, else nobody ever corrects it."""
        net = self.state.net
        changed = add_unknown_item(draft) if kind == "unknown_item" else change_quantity(net, draft, kind, dice)
        if changed is None:
            return [self._file(draft, offset)[0]]
        wrong = dataclasses.replace(draft, sets=[(draft.sets[0][0], changed.body), *draft.sets[1:]])
        file, control = self._file(wrong, offset)
        if kind == "corrected_resend":
            self._resend(draft)
        said = {"item_id": changed.item_id, "said": changed.said, "true": changed.true}
        self._record(kind, draft, file, control=control, **said)
        return [file]

    def _resend(self, draft: Draft) -> None:
        saved = dataclasses.asdict(dataclasses.replace(draft, is_resend=True, made_day=self.day))
        self.state.pending.append(PendingFile(self.day + RESEND_NIGHTS, RESEND, json.dumps(saved).encode(), 0))

    def _record(self, kind: str, draft: Draft, file: OutFile, **more: Any) -> None:
        if kind in (*ENVELOPE_KINDS, "corrected_resend"):
            more["resent"] = str(self.state.net.spec.date(self.day + RESEND_NIGHTS))
        self.faults.append(
            record(
                self.state.net, kind, self.day, file=file.path, document_kind=draft.kind, subject=draft.subject,
                sender=draft.sender, **more,
            )
        )  # fmt: skip

    def _file(self, draft: Draft, offset: int) -> tuple[OutFile, int]:
        """One draft with its control number, made three minutes before it is delivered."""
        spec = self.state.net.spec
        control = self.state.take(f"control:{draft.sender}")
        delivered = self.start + dt.timedelta(seconds=offset)
        text = render(draft, control, delivered - dt.timedelta(minutes=3))
        made = draft.made_day if draft.is_resend else self.day
        name = f"{draft.kind}_{draft.subject}_{ymd(spec.date(made))}_{control:09d}"
        return OutFile(edi_path(spec, self.day, name), text.encode("ascii"), int(delivered.timestamp())), control
