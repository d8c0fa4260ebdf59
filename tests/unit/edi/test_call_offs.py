"""Which call-off of its order a message names, and which order is a blanket order, read from where the standards have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from aios_assets.cli_edi import app
from aios_assets.edi import read_documents
from aios_assets.edi.reconcile import order_findings, order_state
from tests.unit.edi.make import edifact, frame, x12

PO1, POC = "PO1*1*5*EA***IN*A", "POC*1*QD*5*5*EA*2**IN*A"
X12 = {
    "raw_edi__order_lines": [
        ("850", ("BEG*00*RL*PO1*7*20260105", PO1), "7"),
        ("850", ("BEG*00*SA*PO1**20260105", PO1), None),
        ("860", ("BCH*04*RL*PO1*7**20260105", POC), "7"),
    ],
    "raw_edi__whole_orders": [
        ("860", ("BCH*01*RL*PO1*7**20260105",), "7"),
        ("855", ("BAK*00*AC*PO1*20260105*7",), "7"),
        ("865", ("BCA*00*RJ*PO1*7**20260105",), "7"),
    ],
    "raw_edi__order_responses": [
        ("855", ("BAK*00*AD*PO1*20260105*7", PO1), "7"),
        ("865", ("BCA*00*AD*PO1*7**20260105", POC), "7"),
        ("855", ("BAK*00*AD*PO1*20260105", PO1), None),
    ],
    "raw_edi__invoice_lines": [
        ("810", ("BIG*20260105*I1**PO1*7", "IT1*1*5*EA*2**IN*A"), "7"),
        # The line is of another order than the header's.
        ("810", ("BIG*20260105*I1**PO2*7", "IT1*1*5*EA*2**IN*A", "REF*PO*PO1"), None),
    ],
    "raw_edi__receipt_lines": [
        ("861", ("BRA*R1*20260105*00*1", "N1*ST*X*92*S1", "PRF*PO1*7", "RCD*1*5*EA", "LIN**IN*A"), "7"),
        ("861", ("BRA*R1*20260105*00*1", "N1*ST*X*92*S1", "PRF*PO9*8", "RCD*1*5*EA", "LIN**IN*A", "PRF*PO1*7"), "7"),
        ("861", ("BRA*R1*20260105*00*1", "N1*ST*X*92*S1", "PRF*PO9*8", "RCD*1*5*EA", "LIN**IN*A", "PRF*PO1"), None),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("table", "code", "body", "release"), [(t, *case) for t, cases in X12.items() for case in cases])  # fmt: skip
def test_a_message_names_the_release_of_the_order_that_it_names(
    table: str, code: str, body: tuple[str, ...], release: str | None
) -> None:
    batch = read_documents(frame(x12(code, *body)))
    facts = batch.facts[table]
    assert facts.select("order_number", "release_number").rows() == [("PO1", release)], batch.rejects["reason"]


def test_a_notice_names_a_release_with_its_order_and_never_with_another() -> None:
    head = ("BSN*00*H1*20260105*0900", "HL*1**S", "N1*SF*X*92*SUP")
    body = (*head, "HL*2*1*O", "PRF*PO1*7", "HL*3*2*I", "LIN**IN*A", "SN1**5*EA", "HL*4*2*I", "PRF*PO2", "LIN**IN*B", "SN1**6*EA",
            "HL*5*2*I", "LIN**IN*C", "SN1**7*EA")  # fmt: skip
    facts = read_documents(frame(x12("856", *body))).facts["raw_edi__shipment_lines"]
    assert facts.select("item_id", "order_number", "release_number").rows() == [
        ("A", "PO1", "7"),
        ("B", "PO2", None),
        ("C", "PO1", "7"),
    ]


@pytest.mark.parametrize(
    ("document", "more", "said"),
    [("220", (), (None, None)), ("221", (), ("BE", None)), ("226", ("RFF+BO:B7",), ("RL", "B7"))],
)
def test_an_edifact_order_says_whether_it_promises_or_calls_off(
    document: str, more: tuple[str, ...], said: tuple[str | None, str | None]
) -> None:
    body = (f"BGM+{document}+71+9", "DTM+137:20260105:102", *more, "NAD+SU+SUP::92", "LIN+1++A:IN", "QTY+21:5", "UNS+S")
    facts = read_documents(frame(edifact("ORDERS", *body))).facts["raw_edi__order_lines"]
    assert facts.select("order_number", "order_type_code", "blanket_number").rows() == [("71", *said)]


@pytest.mark.parametrize(("named", "order"), [(("RFF+BO:B7",), "B7"), (("RFF+BO:B7", "RFF+ON:71"), "71")])
def test_an_edifact_notice_that_names_no_order_names_its_blanket_order(named: tuple[str, ...], order: str) -> None:
    body = ("BGM+351+H1+9", "DTM+11:20260104:102", *named, "NAD+SU+SUP::92", "NAD+DP+S1::92", "CPS+1", "LIN+1++A:IN")
    facts = read_documents(frame(edifact("DESADV", *body, "QTY+12:5"))).facts["raw_edi__shipment_lines"]
    assert facts["order_number"].to_list() == [order]


@pytest.mark.parametrize(
    ("kind", "head", "row", "says"),
    [
        ("850", "order_number,order_date,order_line,item_id,quantity,unit_code", "PO1,2026-01-03,1,A,5,EA", "BEG*00*RL*PO1*7*20260103"),
        ("860", "order_number,order_date,order_line,item_id,quantity,unit_code", "PO1,2026-01-03,1,A,5,EA", "BCH*04*RL*PO1*7**20260103"),
        ("855", "order_number,response_date,order_line,item_id,quantity,unit_code,response_code", "PO1,2026-01-03,1,A,5,EA,IA", "BAK*00*AC*PO1*20260103*7"),
        ("856", "shipment_id,shipped_date,order_number,order_line,item_id,quantity,unit_code", "H1,2026-01-03,PO1,1,A,5,EA", "PRF*PO1*7"),
    ],
)  # fmt: skip
def test_a_call_off_is_written_as_one(tmp_path: Path, kind: str, head: str, row: str, says: str) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(f"{head},release_number\n{row},7\n")
    call = ["write", kind, "--from", str(source), "--partner", "default", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*call, "--store", str(tmp_path / "n.sqlite")])
    assert done.exit_code == 0, done.output
    (path,) = (tmp_path / "out").iterdir()
    assert f"{says}~" in path.read_text().replace("\n", "")


def called_off() -> list[bytes]:
    """A blanket order and two call-offs of it, each answered, shipped and invoiced in full by its release."""
    made = [x12("850", "BEG*00*BE*P1**20260101", "PO1*1*900*EA***IN*A", control=1)]
    for n, quantity in ((1, 10), (2, 7)):
        named, control, item = str(n), 10 * n, f"PO1*1*{quantity}*EA***IN*A"
        notice = (
            f"BSN*00*H{n}*20260101*1200",
            "HL*1**S",
            "HL*2*1*O",
            f"PRF*P1*{named}",
            "HL*3*2*I",
            "LIN**IN*A",
            f"SN1**{quantity}*EA",
        )
        made += [
            x12("850", f"BEG*00*RL*P1*{n}*20260101", item, control=control),
            x12("855", f"BAK*00*AD*P1*20260101*{named}", item, f"ACK*IA*{quantity}*EA", control=control + 1),
            x12("856", *notice, control=control + 2),
            x12("810", f"BIG*20260101*I{n}**P1*{named}", f"IT1*1*{quantity}*EA*2**IN*A", control=control + 3),
        ]
    return made


def test_call_offs_are_followed_one_by_one_where_everything_names_them() -> None:
    state = order_state(read_documents(frame(*called_off())).facts)
    assert state.select("order_number", "ordered", "confirmed", "shipped", "invoiced").rows() == [
        ("P1 release 1", 10.0, 10.0, 10.0, 10.0),
        ("P1 release 2", 7.0, 7.0, 7.0, 7.0),
    ]
    assert order_findings(state).is_empty()


def test_call_offs_stay_one_order_where_something_names_their_number_alone() -> None:
    bare = x12(
        "856",
        "BSN*00*H9*20260101*1200",
        "HL*1**S",
        "HL*2*1*O",
        "PRF*P1",
        "HL*3*2*I",
        "LIN**IN*A",
        "SN1**1*EA",
        control=99,
    )
    state = order_state(read_documents(frame(*called_off(), bare)).facts)
    assert state["order_number"].to_list() == ["P1"]
