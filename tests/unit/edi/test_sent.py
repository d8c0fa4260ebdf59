"""What we sent against what came back: who we are, what a 997, TA1 and CONTRL answer, and what is overdue."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aios_assets.contracts.errors import UsageError
from aios_assets.edi import read_documents
from aios_assets.edi.sent import match_acknowledgements, own_ids, sent_by_us
from aios_assets.resources.lake import Lake
from aios_assets.summary import _states, acknowledgements
from tests.unit.edi.make import edifact, frame, x12

SENT = datetime(2026, 1, 1, 12, tzinfo=UTC)  # as `make` dates every envelope
LATER = SENT + timedelta(days=3)
ORDER = ("BEG*00*SA*P1**20260101", "PO1*1*10*EA*2**IN*A")


def ours(control: int, partner: str = "SUP", group: int | None = None) -> bytes:
    """An 850 of ours; its group may be numbered otherwise than its interchange."""
    content = x12("850", *ORDER, control=control, sender="US", receiver=partner)
    if group is None:
        return content
    return content.replace(f"1200*{control}*X".encode(), f"1200*{group}*X".encode()).replace(
        f"GE*1*{control}~".encode(), f"GE*1*{group}~".encode()
    )


def answer(control: int, group: int, verdict: str, partner: str = "SUP") -> bytes:
    """A 997 about one of our groups."""
    body = (f"AK1*PO*{group}", "AK2*850*0001", f"AK5*{verdict}", f"AK9*{verdict}*1*1*1")
    return x12("997", *body, control=control, sender=partner, receiver="US")


def states(*contents: bytes, as_of: datetime = LATER) -> dict[str, str]:
    """State by partner and control number."""
    batch = read_documents(frame(*contents, when=SENT + timedelta(hours=1)))
    sent = sent_by_us(batch.interchanges, batch.sets, ["US", "4000"], as_of)
    rows = match_acknowledgements(sent, batch.facts["raw_edi__acknowledgements"], as_of=as_of)
    return {f"{r['partner_id']} {int(r['control_number'])}": r["state"] for r in rows.iter_rows(named=True)}


def test_each_verdict_is_told_and_silence_is_waiting_until_it_is_overdue() -> None:
    contents = [*(ours(n) for n in range(1, 5)), answer(1, 1, "A"), answer(2, 2, "E"), answer(3, 3, "R")]
    known = {"SUP 1": "accepted", "SUP 2": "accepted_with_errors", "SUP 3": "rejected"}
    assert states(*contents) == known | {"SUP 4": "overdue"}
    assert states(*contents, as_of=SENT + timedelta(hours=24)) == known | {"SUP 4": "waiting"}
    assert set(states(*contents, as_of=SENT + timedelta(minutes=30)).values()) == set(), "nothing was known yet"


def test_a_997_quotes_the_group_and_not_the_interchange() -> None:
    """The group of interchange 7 has the number of interchange 8, and the other way round."""
    assert states(ours(7, group=8), ours(8, group=7), answer(1, 8, "R"), answer(2, 7, "A")) == {
        "SUP 7": "rejected", "SUP 8": "accepted",
    }  # fmt: skip


def test_the_same_number_at_another_partner_is_not_answered() -> None:
    assert states(ours(1), ours(1, partner="SUP2"), answer(9, 1, "A")) == {"SUP 1": "accepted", "SUP2 1": "overdue"}


def test_a_copy_of_what_we_sent_is_not_waited_for() -> None:
    """Written again a day later it has another date, and the same number."""
    copy = ours(1).replace(b"260101*1200*U", b"260102*1200*U")
    batch = read_documents(frame(ours(1), copy, ours(2), when=[SENT + timedelta(hours=n) for n in (1, 25, 26)]))
    sent = sent_by_us(batch.interchanges, batch.sets, ["US"], LATER)
    assert sent.select("control_number", "sent_at_utc").rows() == [("000000001", SENT), ("000000002", SENT)]
    assert states(ours(1), copy, answer(1, 1, "A")) == {"SUP 1": "accepted"}


def test_a_ta1_that_accepts_is_no_answer_and_one_that_refuses_is() -> None:
    def ta1(verdict: str) -> bytes:
        empty = x12("997", control=5, sender="SUP", receiver="US").split(b"GS*")[0]
        return empty + f"TA1*000000001*260101*1200*{verdict}*000~IEA*0*000000005~".encode()

    assert states(ours(1), ta1("A")) == {"SUP 1": "overdue"}
    assert states(ours(1), ta1("R")) == {"SUP 1": "rejected"}


def test_a_contrl_answers_the_interchange_it_names_and_its_messages_do_not_answer_another() -> None:
    order = ("BGM+220+P1+9", "DTM+137:20260101:102", "LIN+1++A:IN", "QTY+21:10")
    mine = [edifact("ORDERS", *order, control=str(n), sender="4000").replace(b"RECEIVER", b"SUPPLIER") for n in (1, 7)]
    contrl = edifact("CONTRL", "UCI+7+4000:14+SUPPLIER:14+8", "UCM+1+ORDERS:D:96A:UN+4", sender="SUPPLIER").replace(
        b"RECEIVER", b"4000"
    )
    assert states(*mine, contrl) == {"SUPPLIER 1": "overdue", "SUPPLIER 7": "rejected"}


def test_who_we_are_is_told_from_the_envelopes_or_asked_for() -> None:
    batch = read_documents(frame(ours(1), ours(1, partner="SUP2"), answer(9, 1, "A")))
    assert own_ids(batch.interchanges) == ["US"]
    with pytest.raises(UsageError, match="AIOS_OUR_IDS"):
        own_ids(read_documents(frame(ours(1))).interchanges)


def test_the_command_lists_what_is_overdue_at_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aios_assets.cli import app

    batch = read_documents(frame(ours(1), ours(2), answer(9, 1, "A"), when=SENT + timedelta(hours=1)))
    lake = Lake(tmp_path / "lake")
    lake.write("raw_edi__interchanges", batch.interchanges)
    lake.write("raw_edi__sets", batch.sets)
    for name in ("raw_edi__acknowledgements", "raw_edi__order_lines"):
        lake.write(name, batch.facts[name])
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))

    def said(*words: str) -> dict[str, object]:
        done = CliRunner().invoke(app, ["edi", *words, "--json"])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.output))

    late = said("acks", "--overdue", "--our-id", "US", "--as-of", "2026-01-03")
    assert [(r["control_number"], r["set_codes"]) for r in late["sent"]] == [("000000002", "850")]  # type: ignore[attr-defined]
    assert late["counts"] == {"overdue": 1, "rejected": 0, "accepted_with_errors": 0, "waiting": 0, "accepted": 1}
    assert said("acks", "--overdue", "--our-id", "US", "--as-of", "2026-01-02T11:00")["sent"] == []
    codes = [r["finding_code"] for r in said("orders", "--as-of", "2026-01-03")["findings"]]  # type: ignore[attr-defined]
    assert codes == ["not_answered", "ordered_twice", "shipped_short"]
    assert said("orders", "--as-of", "2025-12-31")["findings"] == []


def test_the_night_tells_that_a_partner_fell_silent_and_where_to_look(tmp_path: Path) -> None:
    """Nothing comes any more, so that the newest document is our own of Thursday; by Sunday its answer is overdue."""
    batch = read_documents(frame(ours(1), ours(2), answer(9, 1, "R"), when=SENT + timedelta(hours=1)))
    lake = Lake(tmp_path / "lake")
    lake.write("raw_edi__interchanges", batch.interchanges)
    lake.write("raw_edi__sets", batch.sets)
    lake.write("raw_edi__acknowledgements", batch.facts["raw_edi__acknowledgements"])
    thursday = acknowledgements(lake, SENT.date(), ["US"])
    assert (thursday["waiting"], thursday["overdue"], thursday["rejected"]) == (1, 0, 1)
    sunday = acknowledgements(lake, SENT.date() + timedelta(days=3), ["US"])
    assert (sunday["waiting"], sunday["overdue"]) == (0, 1)
    assert _states(sunday) == "1 overdue, 1 rejected (`aios edi acks`)"
