"""What became of everything we sent, against a walk through the messages in plain words: random answers, also wrong, late and double ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.sent import match_acknowledgements, sent_by_us
from tests.unit.edi.make import edifact, frame

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORST = {"A": 0, "E": 1}
KINDS = {"850": "PO", "860": "PC", "856": "SH"}
BODY = {
    "850": "BEG*00*SA*P1**20260101~PO1*1*1*EA***IN*A~",
    "860": "BCH*04*SA*P1***20260101~POC*1*CA*1*1*EA***IN*A~",
    "856": "BSN*00*H1*20260101*1200~HL*1**S~",
}


@dataclass
class Sent:
    """One group or interchange of ours, and what was said of it: how bad, and whether only because it came before."""

    partner: str
    number: int
    kind: str
    at: datetime
    said: list[tuple[int, bool]] = field(default_factory=list)


def envelope(sender: str, receiver: str, control: int, at: datetime, inner: str, count: int = 1) -> bytes:
    isa = f"ISA*00*{'':10}*00*{'':10}*ZZ*{sender:<15}*ZZ*{receiver:<15}*{at:%y%m%d}*{at:%H%M}*U*00401*{control:09d}*0*P*>~"
    return f"{isa}{inner}IEA*{count}*{control:09d}~".encode()


def group(kind: str, code: str, number: int, at: datetime, body: str) -> str:
    inner = f"ST*{code}*0001~{body}SE*{body.count('~') + 2}*0001~"
    return f"GS*{kind}*A*B*{at:%Y%m%d}*{at:%H%M}*{number}*X*004010~{inner}GE*1*{number}~"


class World:
    """A trade with two partners over X12 and one over EDIFACT."""

    def __init__(self, seed: int) -> None:
        self.dice, self.now, self.control = random.Random(seed), START, 0
        self.sent: list[Sent] = []
        self.documents: list[tuple[bytes, datetime]] = []
        self.answers: list[tuple[str, str, int, datetime, list[tuple[int, bool]]]] = []

    def tick(self) -> None:
        self.now += timedelta(minutes=self.dice.randint(1, 400))
        self.control += 1

    def send(self) -> None:
        """Groups are numbered by kind, as translators do, and the numbers begin again after three."""
        if self.dice.random() < 0.3:
            self.sent.append(Sent("DE", self.control, "ORDERS", self.now))
            body = ("BGM+220+P1+9", "DTM+137:20260101:102", "LIN+1++A:IN", "QTY+21:1")
            own = edifact("ORDERS", *body, control=str(self.control), sender="US").replace(b"RECEIVER", b"DE")
            self.documents.append(
                (own.replace(b"260101:1200", f"{self.now:%y%m%d}:{self.now:%H%M}".encode()), self.now)
            )
            return
        partner, code = self.dice.choice(["SUP", "SUP2"]), self.dice.choice(list(KINDS))
        number = sum(s.kind == code and s.partner == partner for s in self.sent) % 3 + 1
        self.sent.append(Sent(partner, number, code, self.now))
        inner = group(KINDS[code], code, number, self.now, BODY[code])
        self.documents.append((envelope("US", partner, self.control, self.now, inner), self.now))

    def answer(self) -> None:
        """An answer to something, or to what was never sent."""
        partner = self.dice.choice(["SUP", "SUP2", "DE"])
        if partner == "DE":
            self.answer_edifact()
            return
        code, number = self.dice.choice(list(KINDS)), self.dice.randint(1, 4)
        verdict, inside = self.dice.choice(["AA", "AA", "EE", "RR", "PR", "P", "MM", "aa", "QQ"]), ""
        if len(verdict) == 2:
            inside = f"AK2*{code}*0001~AK5*{verdict[1]}~"
        copy = verdict == "RR" and self.dice.random() < 0.4
        body = f"AK1*{KINDS[code]}*{number}~{inside}AK9*{verdict[0]}*1*1*1{'*19' if copy else ''}~"
        inner = group("FA", "997", self.control, self.now, body)
        self.documents.append((envelope(partner, "US", self.control, self.now, inner), self.now))
        levels = [(verdict[0], copy), *([(verdict[1], False)] if inside else [])]
        self.answers.append((partner, code, number, self.now, [(WORST.get(v.upper(), 3), c) for v, c in levels]))

    def answer_edifact(self) -> None:
        number, verdict = (
            self.dice.choice([s.number for s in self.sent if s.partner == "DE"] or [999]),
            self.dice.choice("7748"),
        )
        copy = verdict == "4" and self.dice.random() < 0.5
        uci = f"UCI+{number}+US:14+DE:14+{verdict}{'+26' if copy else ''}"
        content = edifact("CONTRL", uci, control=str(self.control), sender="DE").replace(b"RECEIVER", b"US")
        self.documents.append((content, self.now))
        self.answers.append(("DE", "ORDERS", number, self.now, [(3 if verdict == "4" else 0, copy)]))

    def hear(self) -> None:
        """Let each answer be heard by what it means: of one kind and number the newest that had been sent."""
        for partner, kind, number, at, said in self.answers:
            under = [s for s in self.sent if (s.partner, s.number) == (partner, number)]
            before = [s for s in under if s.at <= at]
            # Our clock may have told local time, so that what was just sent looks like sent a little later.
            near = before or [s for s in under if s.at.replace(second=0) <= at + 14 * HOUR]
            # One that quotes a kind of which nothing went under that number can only mean what did.
            near = [s for s in near if s.kind == kind] or near
            if near:
                meant = (max if before else min)(near, key=lambda s: s.at)
                meant.said += said

    def expected(self, s: Sent) -> str:
        if not s.said:
            return "overdue" if s.at.replace(second=0) + 24 * HOUR < self.now else "waiting"
        first = [worst for worst, copy in s.said if not copy] or [worst for worst, _ in s.said]
        return {0: "accepted", 1: "accepted_with_errors", 3: "rejected"}[max(first)]


@pytest.mark.parametrize("seed", range(12))
def test_every_group_has_the_state_that_a_walk_through_the_messages_gives_it(seed: int) -> None:
    world = World(seed)
    for _ in range(40):
        world.tick()
        (world.send if world.dice.random() < 0.5 else world.answer)()
    world.hear()
    batch = read_documents(frame(*(c for c, _ in world.documents), when=[at for _, at in world.documents]))
    sent = sent_by_us(batch.interchanges, batch.sets, ["US"], world.now)
    rows = match_acknowledgements(sent, batch.facts["raw_edi__acknowledgements"], as_of=world.now)
    got = [(r["partner_id"], r["set_codes"], r["sent_at_utc"], r["state"]) for r in rows.iter_rows(named=True)]
    assert sorted(got) == sorted((s.partner, s.kind, s.at.replace(second=0), world.expected(s)) for s in world.sent)
