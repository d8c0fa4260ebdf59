"""A document before it has a control number: who sends what to whom, as bodies of transaction sets.

Built by plain string joining and deliberately without the codec of this project: the sandbox is its oracle.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

COMPANY_GLN = "0850099000012"
GROUP_CODES = {"850": "PO", "855": "PR", "856": "SH", "861": "RC", "810": "IN", "852": "PD", "846": "IB", "214": "QM"}


@dataclass(slots=True)
class Draft:
    """One interchange to be.

    Attributes:
        standard: x12 or edifact.
        version: X12 version.
        kind: transaction set or message type, for the file's name.
        sender: interchange id of the sender.
        receiver: interchange id of the receiver.
        subject: site, supplier or carrier concerned.
        is_resend: sent again after a faulty first try.
        made_day: day the first try was made, of a re-send.
        sets: (type, body) pairs; a body is whole segments with terminators, without ST/SE or UNH/UNT.
    """

    standard: str
    version: str
    kind: str
    sender: str
    receiver: str
    subject: str
    sets: list[tuple[str, str]]
    is_resend: bool = False
    made_day: int = -1


def render(draft: Draft, control: int, sent: dt.datetime) -> str:
    """The interchange as text.

    Args:
        draft: what to send.
        control: interchange control number, unique for this sender.
        sent: UTC instant for the envelope.
    """
    return _x12(draft, control, sent) if draft.standard == "x12" else _edifact(draft, control, sent)


def _x12(draft: Draft, control: int, sent: dt.datetime) -> str:
    newer = draft.version >= "005010"
    out = [
        f"ISA*00*          *00*          *ZZ*{draft.sender:<15}*ZZ*{draft.receiver:<15}*{sent:%y%m%d}*{sent:%H%M}*"
        f"{'^' if newer else 'U'}*{'00501' if newer else '00401'}*{control:09d}*0*P*>~"
        f"GS*{GROUP_CODES[draft.sets[0][0]]}*{draft.sender}*{draft.receiver}*{sent:%Y%m%d}*{sent:%H%M}*{control}*X*"
        f"{draft.version}~"
    ]
    for number, (code, body) in enumerate(draft.sets, start=1):
        out.append(f"ST*{code}*{number:04d}~{body}SE*{body.count('~') + 2}*{number:04d}~")
    out.append(f"GE*{len(draft.sets)}*{control}~IEA*1*{control:09d}~")
    return "".join(out)


def _edifact(draft: Draft, control: int, sent: dt.datetime) -> str:
    reference = f"{control:09d}"
    out = [f"UNA:+.? 'UNB+UNOC:3+{draft.sender}:14+{draft.receiver}:14+{sent:%y%m%d}:{sent:%H%M}+{reference}'"]
    for number, (code, body) in enumerate(draft.sets, start=1):
        out.append(f"UNH+{number}+{code}:D:96A:UN:EAN{_SUBSET[code]}'{body}UNT+{body.count(chr(39)) + 2}+{number}'")
    out.append(f"UNZ+{len(draft.sets)}+{reference}'")
    return "".join(out)


_SUBSET = {"SLSRPT": "004", "INVRPT": "004", "ORDERS": "008", "ORDRSP": "008", "DESADV": "005", "INVOIC": "008"}


def ymd(day: dt.date) -> str:
    """Date as CCYYMMDD."""
    return day.strftime("%Y%m%d")
