"""EDIFACT facts: every expectation is written by hand from the message."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.limits import Limits
from tests.unit.edi.make import WHEN, edifact, frame, x12

ANSWERED = ("ORDRSP", "BGM+231+R1+4", "DTM+137:20260103:102", "RFF+ON:PO7", "LIN+1+5+1:EN", "QTY+21:4")


def one(content: bytes, table: str) -> list[dict[str, object]]:
    batch = read_documents(frame(content))
    assert batch.rejects.is_empty(), batch.rejects["reason"].to_list()
    return batch.facts[f"raw_edi__{table}"].to_dicts()


def test_orders_prefers_the_buyers_number() -> None:
    rows = one(
        edifact(
            "ORDERS",
            "BGM+220+PO7+9",
            "DTM+137:20260103:102",
            "DTM+2:202601101200:203",
            "NAD+BY+111::9",
            "NAD+SU+222::9",
            "NAD+DP+333::9",
            "LIN+1++4000001:EN",
            "PIA+1+B7:IN::91+V7:SA::91",
            "QTY+21:1,5:KGM",
            "PRI+AAA:2.25",
            "LIN+2++4000002:EN",
            "QTY+21:3",
            "UNS+S",
            "CNT+2:2",
        ),
        "order_lines",
    )
    assert [(r["item_id"], r["item_gtin"], r["quantity"], r["unit_code"], r["unit_price"]) for r in rows] == [
        ("B7", "4000001", 1.5, "KGM", 2.25),
        ("4000002", "4000002", 3.0, "EA", None),
    ]
    assert {(r["buyer_id"], r["seller_id"], r["ship_to_site_id"], r["requested_date"]) for r in rows} == {
        ("111", "222", "333", date(2026, 1, 10))
    }


def test_ordchg_names_the_order_by_reference() -> None:
    rows = one(
        edifact(
            "ORDCHG",
            "BGM+230+CH1+4",
            "DTM+137:20260103:102",
            "RFF+ON:PO7",
            "LIN+1+2+1:EN",
            "LIN+2+3+2:EN",
            "QTY+21:4",
            "LIN+3+1+3:EN",
            "QTY+21:5",
        ),
        "order_lines",
    )
    assert [(r["order_number"], r["action_code"], r["quantity"]) for r in rows] == [
        ("PO7", "delete", 0.0),
        ("PO7", "change", 4.0),
        ("PO7", "new", 5.0),
    ]


def test_ordrsp_answers_in_x12_terms() -> None:
    rows = one(
        edifact(
            *ANSWERED,
            "DTM+69:20260120:102",
            "LIN+2+7+2:EN",
            "QTY+21:1",
            "LIN+3+3+3:EN",
            "QTY+21:9",
            "QTY+113:6",
        ),
        "order_responses",
    )
    assert [(r["order_number"], r["response_code"], r["quantity"], r["promised_date"]) for r in rows] == [
        ("PO7", "IA", 4.0, date(2026, 1, 20)),
        ("PO7", "IR", 1.0, None),
        ("PO7", "IQ", 6.0, None),
    ]


def test_a_promise_is_the_day_of_delivery_where_both_are_told() -> None:
    said = edifact(*ANSWERED, "DTM+79:20260110:102", "DTM+17:20260114:102")
    assert [r["promised_date"] for r in one(said, "order_responses")] == [date(2026, 1, 14)]
    said = x12("855", "BAK*00*AD*PO7*20260103", "PO1*1*4*EA*2**IN*A", "DTM*068*20260110", "DTM*017*20260114")
    assert [r["promised_date"] for r in one(said, "order_responses")] == [date(2026, 1, 14)]


@pytest.mark.parametrize(("answer", "code"), [("NA", "IA"), ("RE", "IR"), ("AP", "IA")])
def test_an_answer_that_asks_for_none_is_no_refusal(answer: str, code: str) -> None:
    said = edifact("ORDRSP", f"BGM+231+R1+9+{answer}", "DTM+137:20260103:102", "RFF+ON:PO7", "LIN+1++1:EN", "QTY+21:4")
    assert [r["response_code"] for r in one(said, "order_responses")] == [code]


def test_slsrpt_place_of_sale_holds_until_the_next() -> None:
    rows = one(
        edifact(
            "SLSRPT",
            "BGM+73E+1+9",
            "DTM+137:20260104:102",
            "LOC+162+S1::9",
            "DTM+356:20260102:102",
            "LIN+1++1:EN",
            "QTY+153:2:PCE",
            "LIN+2++2:EN",
            "QTY+153:-1:PCE",
            "LOC+162+S2::9",
            "DTM+356:20260103:102",
            "LIN+3++1:EN",
            "QTY+153:4:PCE",
        ),
        "product_activity",
    )
    assert [(r["site_id"], r["item_id"], r["quantity"], r["activity_date"], r["activity_code"]) for r in rows] == [
        ("S1", "1", 2.0, date(2026, 1, 2), "QS"),
        ("S1", "2", -1.0, date(2026, 1, 2), "QS"),
        ("S2", "1", 4.0, date(2026, 1, 3), "QS"),
    ]


def test_slsrpt_period_and_site_from_the_party() -> None:
    rows = one(
        edifact(
            "SLSRPT",
            "BGM+563+1+9",
            "DTM+137:20260204:102",
            "DTM+356:20260101:102",
            "DTM+357:20260131:102",
            "NAD+ST+S9::9",
            "LIN+1++1:EN",
            "QTY+152:372:PCE",
        ),
        "product_activity",
    )
    assert (rows[0]["site_id"], rows[0]["period_start_date"], rows[0]["activity_date"]) == (
        "S9",
        date(2026, 1, 1),
        date(2026, 1, 31),
    )


def test_invrpt_units_codes_and_newline_terminators() -> None:
    content = edifact(
        "INVRPT",
        "BGM+35+1+9",
        "DTM+366:20260104:102",
        "NAD+WH+W1::92",
        "LIN+1++P1:VN",
        "QTY+145:850:EA",
        "LIN+2++P2:MF",
        "LOC+14+W2",
        "QTY+198:0:EA",
    ).replace(b"'", b"\n")
    rows = one(content, "inventory_positions")
    assert [(r["site_id"], r["item_id"], r["quantity_code"], r["quantity"]) for r in rows] == [
        ("W1", "P1", "17", 850.0),
        ("W2", "P2", "198", 0.0),  # in transit: not on the shelf
    ]


def test_what_is_on_hand_is_not_sold_beside_what_was_sold() -> None:
    lines = ("LIN+1++1:EN", "QTY+153:4:PCE", "QTY+152:90:PCE", "QTY+150:3:PCE", "LIN+2++2:EN", "QTY+152:80:PCE")
    rows = one(edifact("SLSRPT", "BGM+563+1+9", "DTM+356:20260103:102", "LOC+162+S1", *lines), "product_activity")
    assert [(r["item_id"], r["activity_code"], r["quantity"]) for r in rows] == [
        ("1", "QS", 4.0),
        ("1", "152", 90.0),
        ("1", "150", 3.0),
        ("2", "152", 80.0),
    ]


@pytest.mark.parametrize(
    "counted",
    [
        ("QTY+145:9:PCE", "QTY+191:2:PCE", "INV+1", "QTY+191:5:PCE", "INV+2", "QTY+156:7:PCE", "INV+1"),
        ("INV+2+++1", "QTY+145:9:PCE", "INV+1", "QTY+191:2:PCE", "INV+2", "QTY+191:5:PCE", "INV+1", "QTY+156:7:PCE"),
    ],
    ids=["up to D.96A", "since D.01B"],
)
def test_adjustments_have_the_direction_of_their_inv(counted: tuple[str, ...]) -> None:
    content = edifact("INVRPT", "BGM+35+1+9", "DTM+366:20260104:102", "NAD+WH+W1::92", "LIN+1++P1:VN", *counted)
    rows = one(content, "inventory_positions")
    assert [(r["quantity_code"], r["quantity"]) for r in rows] == [("17", 9.0), ("A5", -2.0), ("A5", 5.0), ("156", 7.0)]


def test_desadv_recadv_invoic_iftsta() -> None:
    head = (
        "BGM+351+D1+9",
        "DTM+137:20260104:102",
        "DTM+11:202601040800:203",
        "DTM+17:20260106:102",
        "RFF+ON:PO7",
        "NAD+SF+W1::9",
        "NAD+DP+S1::9",
        "TDT+20++30+31+CARR",
    )
    rows = one(edifact("DESADV", *head, "CPS+1", "LIN+1++1:EN", "QTY+12:5:PCE", "RFF+ON:PO8:3"), "shipment_lines")
    r = rows[0]
    assert (
        r["shipment_id"],
        r["order_number"],
        r["order_line"],
        r["carrier_id"],
        r["shipped_date"],
        r["expected_date"],
    ) == ("D1", "PO8", "3", "CARR", date(2026, 1, 4), date(2026, 1, 6))
    r = one(
        edifact(
            "RECADV",
            "BGM+632+R1+9",
            "DTM+137:20260105:102",
            "RFF+DQ:D1",
            "NAD+DP+S1::9",
            "LIN+1++1:EN",
            "QTY+12:100:PCE",
            "QTY+194:96:PCE",
            "QTY+195:4:PCE",
        ),
        "receipt_lines",
    )[0]
    assert (r["quantity"], r["rejected_quantity"], r["shipment_id"], r["site_id"]) == (96.0, 4.0, "D1", "S1")
    r = one(
        edifact(
            "INVOIC",
            "BGM+380+I1+9",
            "DTM+137:20260105:102",
            "RFF+ON:PO7",
            "NAD+SU+V1::9",
            "LIN+1++1:EN",
            "QTY+47:5",
            "PRI+AAA:2.5",
        ),
        "invoice_lines",
    )[0]
    assert (r["invoice_number"], r["order_number"], r["quantity"], r["unit_price"], r["seller_id"]) == (
        "I1",
        "PO7",
        5.0,
        2.5,
        "V1",
    )
    r = one(
        edifact(
            "IFTSTA",
            "BGM+23+B1+9",
            "DTM+137:202601050021:203",
            "NAD+CA+ABCD:160",
            "CNI+1+SH1",
            "STS+1+21",
            "DTM+334:202601051430:203",
            "LOC+175+USMEM:227::MEMPHIS",
        ),
        "shipment_statuses",
    )[0]
    assert (r["shipment_id"], r["status_code"], r["location_name"], r["carrier_id"]) == ("SH1", "21", "MEMPHIS", "ABCD")
    assert r["status_at_utc"] == datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize("una", ["", "UNA:+.? '", "UNA:+.?*'"])
def test_released_characters_come_back(una: str) -> None:
    rows = one(
        edifact("ORDERS", "BGM+220+P?'O?+7?:?? ?x+9", "DTM+137:20260103:102", "LIN+1++1:EN", "QTY+21:5", una=una),
        "order_lines",
    )
    assert rows[0]["order_number"] == "P'O+7:? x"


@pytest.mark.parametrize("window", [100, 1 << 20])
def test_released_characters_of_the_envelope_come_back(window: int) -> None:
    """Of parties and numbers, in facts, in what is set aside and in the answer, which releases them again."""
    lines = [segment for n in range(9) for segment in (f"LIN+{n}++1:EN", "QTY+145:x" if n == 8 else "QTY+145:5")]
    content = edifact("INVRPT", "BGM+35+1?+2+9", "DTM+137:20260103:102", *lines, control="9?+1", sender="AB?+C?:D??")
    batch = read_documents(frame(content), grammar=True, limits=Limits(window_bytes=window))
    own = ("AB+C:D?", "9+1")
    assert batch.interchanges.select("sender_id", "control_number").row(0) == own
    facts = batch.facts["raw_edi__inventory_positions"]
    assert set(facts.select("sender_id", "control_number", "site_id").iter_rows()) == {(*own, own[0])}
    assert batch.counts["lines_rejected"] == 1
    (answer,) = acknowledge(batch, number=lambda *_: 1, now=WHEN)
    assert b"UNB+UNOC:3+RECEIVER:14+AB?+C?:D??:14+" in answer.content and b"UCI+9?+1+AB?+C?:D??:14+" in answer.content
    wrong = read_documents(frame(edifact("ORDERS", "LIN+1++A?+B:IN", "QTY+21:x")))
    assert wrong.rejects["segment_text"].to_list() == ["LIN*1**A+B:IN"]


def test_other_service_characters_and_line_wrapping() -> None:
    plain = edifact("ORDERS", "BGM+220+PO7+9", "DTM+137:20260103:102", "LIN+1++1:EN", "QTY+21:5").decode()
    table = str.maketrans({"+": "*", ":": "=", "'": "~"})
    odd = ("UNA=*.? ~" + plain.translate(table)).encode()
    wrapped = b"\n".join(odd[i : i + 11] for i in range(0, len(odd), 11))
    for content in (odd, wrapped):
        assert one(content, "order_lines")[0]["order_number"] == "PO7"


def test_groups_and_lower_case_level() -> None:
    content = (
        b"UNB+unoa:1+A+B+260101:1200+7'UNG+ORDERS+A+B+260101:1200+7+UN+D:96A'UNH+1+ORDERS:D:96A:UN'BGM+220+PO7+9'DTM+137:20260103:102'LIN+1++1:EN'QTY+21:5'"
        b"UNT+6+1'UNE+1+7'UNZ+1+7'"
    )
    assert one(content, "order_lines")[0]["order_number"] == "PO7"
    batch = read_documents(frame(content.replace(b"UNE+1+7", b"UNE+2+7")))
    assert batch.rejects.select("level_code", "error_code").rows() == [("group", "CONTRL:29")]


def test_latin_1_text_is_read() -> None:
    content = edifact("ORDERS", "BGM+220+PÖ7+9", "DTM+137:20260103:102", "LIN+1++1:EN", "QTY+21:5")
    assert one(content, "order_lines")[0]["order_number"] == "PÖ7"
    assert one(content.decode().encode("latin-1"), "order_lines")[0]["order_number"] == "PÖ7"


def test_contrl() -> None:
    rows = one(
        edifact("CONTRL", "UCI+77+A:14+B:14+7", "UCM+1+ORDERS:D:96A:UN+4+29", version="D:3:UN"), "acknowledgements"
    )
    assert [(r["level_code"], r["acked_control_number"], r["verdict_code"], r["error_codes"]) for r in rows] == [
        ("interchange", "77", "7", None),
        ("set", "1", "4", "CONTRL:29"),
    ]


def test_deljit_pricat_remadv_aperak_iftmin() -> None:
    rows = one(
        edifact(
            "DELJIT",
            "BGM+241+D1+9",
            "DTM+137:20260103:102",
            "NAD+BY+B1::9",
            "LIN+1++1:EN",
            "SEQ++1",
            "QTY+1:240:PCE",
            "DTM+2:20260116:102",
            "SEQ++2",
            "QTY+1:120:PCE",
            "DTM+2:20260123:102",
        ),
        "delivery_schedules",
    )
    assert [(r["quantity"], r["wanted_date"], r["schedule_id"]) for r in rows] == [
        (240.0, date(2026, 1, 16), "D1"),
        (120.0, date(2026, 1, 23), "D1"),
    ]
    row = one(
        edifact(
            "PRICAT",
            "BGM+9+C1+9",
            "DTM+137:20260103:102",
            "LIN+1++1:EN",
            "PIA+5+V1:SA",
            "IMD+A++:::TEA",
            "DTM+157:20260201:102",
            "PRI+NTP:9,95",
        ),
        "price_lines",
    )[0]
    assert (row["item_id"], row["description"], row["unit_price"], row["effective_date"]) == (
        "V1",
        "TEA",
        9.95,
        date(2026, 2, 1),
    )
    row = one(
        edifact(
            "REMADV", "BGM+481+R1+9", "DTM+137:20260103:102", "NAD+PR+B1::9", "DOC+380+INV1", "MOA+9:100", "MOA+12:97.5"
        ),
        "remittance_lines",
    )[0]
    assert (row["invoice_number"], row["amount"], row["invoice_amount"]) == ("INV1", 97.5, 100.0)
    row = one(
        edifact("APERAK", "BGM+313+A1+9", "DTM+137:20260103:102", "RFF+ON:PO7", "ERC+42", "FTX+AAO+++unknown item"),
        "application_advices",
    )[0]
    assert (row["error_code"], row["error_text"], row["reference"]) == ("42", "unknown item", "PO7")
    rows = one(
        edifact(
            "IFTMIN",
            "BGM+610+T1+9",
            "DTM+137:20260103:102",
            "DTM+2:20260105:102",
            "NAD+CZ+W1::9",
            "NAD+CN+S1::9",
            "NAD+CA+CARR::9",
        ),
        "load_stops",
    )
    assert [
        (r["shipment_id"], r["stop_no"], r["stop_code"], r["site_id"], r["stop_date"], r["carrier_id"]) for r in rows
    ] == [("T1", "1", "CZ", "W1", None, "CARR"), ("T1", "2", "CN", "S1", date(2026, 1, 5), "CARR")]


@pytest.mark.parametrize(("document", "stated", "want"), [("380", "5", 5.0), ("381", "5", -5.0), ("381", "-5", -5.0)])
def test_a_credit_note_takes_back(document: str, stated: str, want: float) -> None:
    said = edifact("INVOIC", f"BGM+{document}+I1+9", "DTM+137:20260103:102", "LIN+1++1:EN", f"QTY+47:{stated}:PCE")
    assert [r["quantity"] for r in one(said, "invoice_lines")] == [want]


@pytest.mark.parametrize(
    ("kind", "stated", "want"), [("", "5", 5.0), ("DI", "5", 5.0), ("CR", "5", -5.0), ("CN", "-5", -5.0)]
)
def test_a_credit_memo_takes_back(kind: str, stated: str, want: float) -> None:
    said = x12("810", f"BIG*20260103*I1**P1***{kind}", f"IT1*1*{stated}*EA*2**IN*A", "TDS*1000")
    assert [r["quantity"] for r in one(said, "invoice_lines")] == [want]


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("711", "2026101220261018"),
        ("713", "26101205302610181200"),
        ("717", "261012261018"),
        ("718", "20261012-20261018"),
        ("719", "202610120530202610181200"),
    ],
)
def test_a_period_begins_and_ends_on_the_days_it_names(form: str, value: str) -> None:
    """UN/EDIFACT 2379; read as CCYYMMDD, a 713 of 12 October, half past five, was the fifth of December 2610."""
    sold = edifact(
        "SLSRPT",
        "BGM+73+S1+9",
        "DTM+137:20261019:102",
        "LOC+162+S1::9",
        f"DTM+356:{value}:{form}",
        "LIN+1++A:IN",
        "QTY+153:3",
    )
    sent = edifact(
        "DESADV",
        "BGM+351+D1+9",
        "DTM+137:20261011:102",
        f"DTM+17:{value}:{form}",
        "RFF+ON:P1",
        "LIN+1++A:IN",
        "QTY+12:3",
        control="2",
    )
    batch = read_documents(frame(sold, sent))
    assert batch.rejects.is_empty()
    days = batch.facts["raw_edi__product_activity"].select("period_start_date", "activity_date").rows()
    assert days == [(date(2026, 10, 12), date(2026, 10, 18))]
    assert batch.facts["raw_edi__shipment_lines"]["expected_date"].to_list() == [date(2026, 10, 12)]


def test_a_place_or_line_with_a_day_of_its_own_is_not_of_the_period_before_it() -> None:
    week, one_day, other = "DTM+356:2026101220261018:718", "DTM+356:20261019:102", "DTM+356:2026100520261011:718"
    said = edifact(
        "SLSRPT", "BGM+73+S1+9", "DTM+137:20261020:102", week, "LOC+162+S1::9", "LIN+1++A:IN", "QTY+153:1",
        "LOC+162+S2::9", one_day, "LIN+2++A:IN", "QTY+153:2", "LIN+3++B:IN", other, "QTY+153:3", "LIN+4++C:IN", "QTY+153:4",
    )  # fmt: skip
    batch = read_documents(frame(said))
    columns = ("site_id", "quantity", "period_start_date", "activity_date")
    assert batch.facts["raw_edi__product_activity"].select(columns).sort("quantity").rows() == [
        ("S1", 1.0, date(2026, 10, 12), date(2026, 10, 18)),
        ("S2", 2.0, None, date(2026, 10, 19)),
        ("S2", 3.0, date(2026, 10, 5), date(2026, 10, 11)),
        ("S2", 4.0, None, date(2026, 10, 19)),
    ]
