"""X12 facts: every expectation is written by hand from the document, not computed by the reader."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
from aios_assets.edi import EdiBatch, read_documents
from tests.unit.edi.make import WHEN, frame, shared, x12

ACTIVITY = "raw_edi__product_activity"
ORDER = ("BEG*00*SA*PO7**20260103", "N1*ST*STORE*92*S1")


def one(content: bytes, table: str) -> list[dict[str, object]]:
    return read_documents(frame(content)).facts[f"raw_edi__{table}"].to_dicts()


def test_852_yields_one_row_per_activity() -> None:
    rows = one(
        x12(
            "852",
            "XQ*H*20260101*20260107",
            "N1*ST*STORE*92*S42",
            "LIN*1*IN*I7*UP*012345678905",
            "ZA*QS*48*EA",
            "ZA*QA*-3*EA",
            "ZA*QS*-2*CA",
            "CTT*1",
        ),
        "product_activity",
    )
    # stock on hand below zero is set aside, a net return is not
    assert [
        (r["site_id"], r["item_id"], r["item_gtin"], r["activity_code"], r["quantity"], r["unit_code"]) for r in rows
    ] == [
        ("S42", "I7", "012345678905", "QS", 48.0, "EA"),
        ("S42", "I7", "012345678905", "QS", -2.0, "CA"),
    ]
    assert {r["activity_date"] for r in rows} == {date(2026, 1, 7)}
    assert {r["period_start_date"] for r in rows} == {date(2026, 1, 1)}
    assert {r["segment_no"] for r in rows} == {5, 7}
    assert rows[0]["available_at_utc"] == WHEN and rows[0]["available_month"] == "2026-01"
    assert rows[0]["sent_at_utc"] == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_852_splits_by_store_and_does_not_count_the_total_twice() -> None:
    rows = one(
        x12("852", "XQ*H*20260101", "LIN**UP*1", "ZA*QS*8*EA", "SDQ*EA*92*S1*3*S2*5", "ZA*QA*9*EA"), "product_activity"
    )
    assert [(r["site_id"], r["activity_code"], r["quantity"], r["line_no"]) for r in rows] == [
        ("S1", "QS", 3.0, 1),
        ("S2", "QS", 5.0, 2),
        ("SENDER", "QA", 9.0, 1),
    ]


def test_852_site_may_change_between_lines() -> None:
    rows = one(
        x12("852", "XQ*G*260113", "N1*RL**92*A", "LIN**BP*1", "ZA*QA*1*EA", "N1*RL**92*B", "LIN**BP*2", "ZA*QA*2*EA"),
        "product_activity",
    )
    assert [(r["site_id"], r["item_id"], r["activity_date"]) for r in rows] == [
        ("A", "1", date(2026, 1, 13)),
        ("B", "2", date(2026, 1, 13)),
    ]


def test_846_units_from_qty_and_uit_and_site_after_the_quantity() -> None:
    rows = one(
        x12(
            "846",
            "BIA*00*SI*R1*20260102",
            "LIN*1*VP*V1",
            "QTY*33*5",
            "UIT*CA",
            "QTY*17*6*EA",
            "DTM*405*20260103",
            "N1*WH*DC*92*D1",
        ),
        "inventory_positions",
    )
    assert [(r["quantity_code"], r["quantity"], r["unit_code"], r["site_id"], r["position_date"]) for r in rows] == [
        ("33", 5.0, "CA", "D1", date(2026, 1, 3)),
        ("17", 6.0, "EA", "D1", date(2026, 1, 3)),
    ]


def by_store(batch: EdiBatch) -> list[tuple[object, ...]]:
    return batch.facts["raw_edi__order_lines"].select(
        "segment_no", "line_no", "order_line", "ship_to_site_id", "quantity", "unit_code", "unit_price"
    ).rows()  # fmt: skip


def test_850_splits_by_store_and_does_not_count_the_total_twice() -> None:
    batch = read_documents(
        frame(
            x12(
                "850",
                ORDER[0],
                "N1*ST**92*DC",
                "PO1*1*30*EA*2.5**IN*I1",
                "SDQ*EA*92*S1*10",
                "SDQ*EA*92*S2*20",
                "PO1*2*5*EA*2**IN*I2",
                "PO1*3*24*EA*2**IN*I3",
                "SDQ*CA*92*S1*2",
                "PO1*4*11*EA*1**IN*I4",
                # SDQ23 is a place in the stores, and no eleventh store.
                "SDQ*EA*92" + "".join(f"*S{n}*1" for n in range(10)) + "*SHELF",
                "SDQ*EA*92*S3*1",
                "CTT*4",
            )
        ),
        grammar=True,
    )
    assert by_store(batch) == [
        (5, 1, "1", "S1", 10.0, "EA", 2.5),
        (6, 1, "1", "S2", 20.0, "EA", 2.5),
        (7, 1, "2", "DC", 5.0, "EA", 2.0),
        (9, 1, "3", "S1", 2.0, "CA", None),
        *((11, n + 1, "4", f"S{n}", 1.0, "EA", 1.0) for n in range(10)),
        (12, 1, "4", "S3", 1.0, "EA", 1.0),
    ]
    # The price of an each is none for a case, and that is said.
    assert batch.findings.select("segment_no", "element_no", "error_code", "reason").rows() == [
        (8, 3, "AK4:7", "the line is in EA, its stores are in CA: no price, no sum")
    ]


def test_850_stores_that_do_not_add_up_are_told_and_land_as_they_are() -> None:
    body = ("PO1*1*30*EA***IN*I1", "SDQ*EA*92*S1*10*S2*21", "PO1*2*0.3*EA***IN*I2", "SDQ*EA*92*S1*.1*S2*.2", "CTT*2")
    batch = read_documents(frame(x12("850", *ORDER, *body)), grammar=True)
    assert [r[4] for r in by_store(batch)] == [10.0, 21.0, 0.1, 0.2]
    assert batch.sets["verdict_code"].to_list() == ["accepted_with_errors"]
    found = batch.findings.select("segment_no", "element_no", "tag", "error_code").rows()
    assert found == [(4, 2, "PO1", "AK4:7")]
    assert "30" in batch.findings["reason"][0] and "31" in batch.findings["reason"][0]


def test_852_activity_that_its_stores_do_not_add_up_to_is_told_and_they_land_as_they_are() -> None:
    sold = ("ZA*QS*9*EA", "SDQ*EA*92*S1*3", "SDQ*EA*92*S2*5", "ZA*QR*4*EA", "SDQ*EA*92*S1*4", "ZA*QA*7*EA")
    batch = read_documents(
        frame(x12("852", "XQ*H*20260101", "LIN**UP*1", *sold, "LIN**UP*2", "ZA*QU*1*EA")), grammar=True
    )
    facts = batch.facts["raw_edi__product_activity"].select("activity_code", "quantity", "stated_quantity").rows()
    assert facts == [("QS", 3, 9), ("QS", 5, 9), ("QR", 4, None), ("QA", 7, None), ("QU", 1, None)]
    found = batch.findings.filter(tag="ZA").select("segment_no", "element_no", "tag", "error_code", "reason").rows()
    assert found == [(4, 2, "ZA", "AK4:7", "the line says 9, its stores add up to 8.0")]


def test_850_store_without_quantity_or_without_name_is_not_lost() -> None:
    body = ("PO1*3*7*EA***IN*I3", "SDQ*EA*92*S1*1*S2", "SDQ*EA*92*S3*x**9", "CTT*1")
    batch = read_documents(frame(x12("850", *ORDER, *body)))
    assert [(r[3], r[4]) for r in by_store(batch)] == [("S1", 1.0), (None, 9.0)]
    assert batch.rejects.select("segment_no", "element_no", "error_code").rows() == [(5, 6, "AK4:1"), (6, 4, "AK4:6")]


def test_860_splits_by_store_what_is_ordered_or_left() -> None:
    head = "BCH*04*SA*P1***20260101"
    change = ("POC*1*QI*30*12*EA*2**IN*I1", "SDQ*EA*92*S1*10*S2*2", "POC*2*DI***EA*2**IN*I2")
    batch = read_documents(frame(x12("860", head, *change)), grammar=True)
    assert [(r[2], r[3], r[4]) for r in by_store(batch)] == [("1", "S1", 10.0), ("1", "S2", 2.0), ("2", None, 0.0)]
    assert batch.findings.is_empty()


def test_852_quantity_of_no_store_is_set_aside_and_not_the_senders() -> None:
    batch = read_documents(frame(x12("852", "XQ*H*20260101", "LIN**UP*1", "ZA*QS*8*EA", "SDQ*EA*92*S1*3**5")))
    assert batch.facts["raw_edi__product_activity"].select("site_id", "quantity").rows() == [("S1", 3.0)]
    assert batch.rejects["reason"].str.contains("site_id is missing").to_list() == [True]


def test_every_store_of_a_real_850_is_an_order_line() -> None:
    path = shared() / "x12" / "850__bots-plugins__850-004010VICS-01.x12"
    content = path.read_bytes()
    text = content.decode("latin-1")
    lines: list[tuple[str, str, float]] = []
    item = total = ""
    totals = 0.0
    for segment in text[106:].split(text[105]):
        part = segment.strip().split(text[3])
        if part[0] == "PO1":
            total, item = part[2], part[part.index("IN") + 1]
            totals += float(total)
        if part[0] == "SDQ":
            lines += [(item, part[n], float(part[n + 1])) for n in range(3, len(part), 2)]
    assert sum(n for *_, n in lines) == totals and len(lines) > 1000
    batch = read_documents(frame(content), grammar=True)
    got = batch.facts["raw_edi__order_lines"].select("item_id", "ship_to_site_id", "quantity").rows()
    assert sorted(got) == sorted(lines)  # type: ignore[type-var]
    assert batch.findings.filter(pl.col("tag") == "PO1").is_empty()


def test_850_line_values_override_the_header() -> None:
    rows = one(
        x12(
            "850",
            *ORDER,
            "DTM*002*20260110",
            "PO1*1*12*CA*9.25**VN*V1*IN*I1",
            "DTM*002*20260111",
            "PO1*2*1*EA***UP*U2",
            "CTT*2",
        ),
        "order_lines",
    )
    assert [
        (
            r["order_number"],
            r["order_line"],
            r["item_id"],
            r["quantity"],
            r["unit_code"],
            r["unit_price"],
            r["requested_date"],
        )
        for r in rows
    ] == [
        ("PO7", "1", "I1", 12.0, "CA", 9.25, date(2026, 1, 11)),
        ("PO7", "2", "U2", 1.0, "EA", None, date(2026, 1, 10)),
    ]
    assert {(r["ship_to_site_id"], r["action_code"]) for r in rows} == {("S1", "new")}


def test_860_actions() -> None:
    rows = one(
        x12(
            "860", "BCH*04*SA*PO7***20260103", "POC*1*AI*5*0*EA*1**IN*A", "POC*2*DI******IN*B", "POC*3*QD*4*0*EA***IN*C"
        ),
        "order_lines",
    )
    assert [(r["item_id"], r["action_code"], r["quantity"]) for r in rows] == [
        ("A", "new", 5.0),
        ("B", "delete", 0.0),
        ("C", "change", 4.0),
    ]
    cancelled = one(x12("860", "BCH*01*SA*PO7***20260103", "POC*1*CA*5*0*EA***IN*A"), "order_lines")
    assert cancelled[0]["action_code"] == "cancel"


def test_855_one_row_per_answer_or_line() -> None:
    rows = one(
        x12(
            "855",
            "BAK*00*AC*PO7*20260104",
            "N1*SE*V*92*SUP",
            "PO1*1*12*EA***IN*A",
            "ACK*IA*8*EA*067*20260120",
            "ACK*IB*4*EA",
            "PO1*2*3*EA***IN*B",
        ),
        "order_responses",
    )
    assert [(r["order_line"], r["response_code"], r["quantity"], r["promised_date"], r["seller_id"]) for r in rows] == [
        ("1", "IA", 8.0, date(2026, 1, 20), "SUP"),
        ("1", "IB", 4.0, None, "SUP"),
        ("2", "IA", 3.0, None, "SUP"),
    ]
    assert (
        one(x12("855", "BAK*00*RD*PO7*20260104", "PO1*1*12*EA***IN*A"), "order_responses")[0]["response_code"] == "IR"
    )


def test_856_inherits_along_the_tree_not_along_the_text() -> None:
    body = (
        "BSN*00*SH1*20260105*0900",
        "HL*1**S",
        "TD5**2*SCAC",
        "DTM*011*20260104",
        "DTM*017*20260108",
        "N1*ST*X*92*S1",
        "N1*SF*X*92*W1",
        "HL*2*1*O",
        "PRF*PO1",
        "HL*3*1*O",
        "PRF*PO2",
        "HL*4*2*I",
        "LIN*1*IN*A",
        "SN1*1*5*EA",
        "HL*5*3*P",
        "HL*6*5*I",
        "LIN*1*IN*B",
        "SN1*2*6*CA",
    )
    rows = one(x12("856", *body), "shipment_lines")
    assert [(r["order_number"], r["item_id"], r["quantity"], r["order_line"]) for r in rows] == [
        ("PO1", "A", 5.0, "1"),
        ("PO2", "B", 6.0, "2"),
    ]
    assert {
        (r["carrier_id"], r["ship_to_site_id"], r["ship_from_id"], r["shipped_date"], r["expected_date"]) for r in rows
    } == {("SCAC", "S1", "W1", date(2026, 1, 4), date(2026, 1, 8))}


def test_856_cycle_in_the_tree_does_not_hang() -> None:
    rows = one(
        x12("856", "BSN*00*SH1*20260105*0900", "HL*1*2*S", "HL*2*1*O", "HL*3*2*I", "LIN**IN*A", "SN1**5*EA"),
        "shipment_lines",
    )
    assert rows[0]["quantity"] == 5.0 and rows[0]["shipped_date"] == date(2026, 1, 5)


def test_861_810_214() -> None:
    rows = one(
        x12(
            "861",
            "BRA*R1*20260106*00*1",
            "REF*SI*SH1",
            "N1*ST*X*92*S1",
            "DTM*050*20260105",
            "RCD*1*9*EA*1*EA",
            "LIN**IN*A",
            "PRF*PO1",
        ),
        "receipt_lines",
    )
    assert (
        rows[0]["quantity"],
        rows[0]["rejected_quantity"],
        rows[0]["order_number"],
        rows[0]["shipment_id"],
        rows[0]["received_date"],
    ) == (8.0, 1.0, "PO1", "SH1", date(2026, 1, 5))
    rows = one(
        x12("810", "BIG*20260107*INV1**PO1", "N1*SE*V*92*SUP", "IT1*1*5*EA*2.5**IN*A", "TDS*1250"), "invoice_lines"
    )
    assert (rows[0]["invoice_number"], rows[0]["order_number"], rows[0]["unit_price"]) == ("INV1", "PO1", 2.5)
    rows = one(
        x12("214", "B10*REF*SH1*SCAC", "LX*1", "AT7*X3*NS***20260105*1430*ES", "MS1*MEMPHIS*TN"), "shipment_statuses"
    )
    assert (rows[0]["status_code"], rows[0]["location_name"]) == ("X3", "MEMPHIS, TN")
    assert rows[0]["status_at_utc"] == datetime(2026, 1, 5, 19, 30, tzinfo=UTC)


def test_997_and_999() -> None:
    rows = one(
        x12(
            "997",
            "AK1*PO*77",
            "AK2*850*0001",
            "AK3*PO1*3**8",
            "AK4*2**6",
            "AK5*E*5",
            "AK2*850*0002",
            "AK5*A",
            "AK9*E*2*2*2",
        ),
        "acknowledgements",
    )
    assert [
        (r["level_code"], r["acked_set_code"], r["acked_control_number"], r["verdict_code"], r["error_codes"])
        for r in rows
    ] == [
        ("set", "850", "0001", "E", "AK5:5"),
        ("set", "850", "0002", "A", None),
        ("group", None, "77", "E", None),
    ]


@pytest.mark.parametrize(
    ("sep", "term", "comp"),
    [
        ("*", "~", ">"),
        ("|", "\n", ":"),
        ("~", "?", ">"),
        ("*", "\r\n", ">"),
        ("\x1d", "\x1c", "\x1f"),
        ("+", "}", "@"),
        ("*", "…", ">"),
        ("*", "'", "\\"),
    ],
)
def test_any_delimiters_give_the_same_facts(sep: str, term: str, comp: str) -> None:
    body = ("BEG*00*SA*PO7**20260103", "PO1*1*12*EA*9.25**IN*I1")
    drop = ["document_id"]
    want = read_documents(frame(x12("850", *body))).facts["raw_edi__order_lines"].drop(drop)
    got = read_documents(frame(x12("850", *body, sep=sep, term=term, comp=comp)))
    assert got.rejects.is_empty(), got.rejects.to_dicts()
    assert got.facts["raw_edi__order_lines"].drop(drop).equals(want)


def test_byte_order_mark_indentation_and_wrapping() -> None:
    plain = x12("850", *ORDER, "PO1*1*12*EA***IN*I1")
    want = read_documents(frame(plain)).facts["raw_edi__order_lines"].drop("document_id")
    indented = b"\xef\xbb\xbf" + plain.replace(b"~", b"~\r\n   ")
    wrapped = b"\r\n".join(plain[i : i + 80] for i in range(0, len(plain), 80))
    for content in (indented, wrapped, plain + b"\x00\x00 \n", plain[:-1]):
        got = read_documents(frame(content))
        assert got.rejects.is_empty(), got.rejects["reason"].to_list()
        assert got.facts["raw_edi__order_lines"].drop("document_id").equals(want)


@pytest.mark.parametrize(
    ("body", "code", "element"),
    [
        (("PO1*1*twelve*EA***IN*A",), "AK4:6", 2),
        (("PO1*1*12*EA",), "AK4:1", 7),
        (("PO1*1**EA***IN*A",), "AK4:1", 2),
        (("PO1*1*1e999*EA***IN*A",), "AK4:6", 2),
        (("PO1*1*nan*EA***IN*A",), "AK4:6", 2),
        (("PO1*1*-4*EA***IN*A",), "negative_quantity", None),
        (("PO1*1*4*EA***IN*A", "DTM*002*20261399"), "AK4:8", None),
    ],
)
def test_a_faulty_line_is_set_aside_and_the_rest_lands(body: tuple[str, ...], code: str, element: int | None) -> None:
    batch = read_documents(frame(x12("850", *ORDER, *body, "PO1*2*1*EA***IN*B")))
    assert batch.facts["raw_edi__order_lines"]["item_id"].to_list() == ["B"]
    reject = batch.rejects.to_dicts()[0]
    assert (reject["level_code"], reject["error_code"], reject["element_no"], reject["segment_no"]) == (
        "line",
        code,
        element,
        4,
    )
    assert reject["segment_text"].startswith("PO1*1*")
    assert batch.sets["verdict_code"].to_list() == ["accepted_with_errors"]
    assert batch.counts["lines"] == batch.counts["facts"] + batch.counts["lines_rejected"] == 2


def test_every_table_conforms_even_when_empty() -> None:
    batch = read_documents(frame())
    assert set(batch.facts) == {t.name for t in EDI_FACT_TABLES}
    for table in EDI_FACT_TABLES:
        assert batch.facts[table.name].schema == pl.Schema(table.schema)


def test_ta1_is_an_acknowledgement() -> None:
    content = x12("997", "AK1*PO*77", "AK9*A*1*1*1").replace(b"GS*PO", b"TA1*000000077*260101*1200*R*021~GS*PO")
    rows = one(content, "acknowledgements")
    assert [
        (r["level_code"], r["acked_control_number"], r["verdict_code"], r["error_codes"], r["set_no"], r["segment_no"])
        for r in rows
    ] == [
        ("interchange", "000000077", "R", "TA1:021", 0, 2),
        ("group", "77", "A", None, 1, 3),
    ]


def test_schedules_and_warehouse() -> None:
    rows = one(
        x12(
            "830",
            "BFR*00*R1**SH*A*20260101*20261231*20260105",
            "N1*ST*X*92*S1",
            "LIN**BP*P1*PO*PO9",
            "UIT*EA",
            "FST*500*C*D*20260115",
            "FST*600*D*W*20260119*20260125",
        ),
        "delivery_schedules",
    )
    assert [
        (
            r["schedule_id"],
            r["item_id"],
            r["quantity"],
            r["commitment_code"],
            r["wanted_date"],
            r["until_date"],
            r["ship_to_site_id"],
        )
        for r in rows
    ] == [
        ("R1", "P1", 500.0, "C", date(2026, 1, 15), None, "S1"),
        ("R1", "P1", 600.0, "D", date(2026, 1, 19), date(2026, 1, 25), "S1"),
    ]
    row = one(
        x12("945", "W06*N*D1*20260105*SH1", "N1*SF*X*92*W1", "LX*1", "W12*CC*5*4*1*EA**IN*I1", "W03*4"),
        "warehouse_lines",
    )[0]
    assert (
        row["movement_code"],
        row["document_number"],
        row["shipment_id"],
        row["item_id"],
        row["quantity"],
        row["warehouse_id"],
    ) == ("shipped", "D1", "SH1", "I1", 4.0, "W1")
    row = one(x12("947", "W15*20260105*ADJ1", "W19*AA*-3*EA**IN*I1"), "warehouse_lines")[0]
    assert (row["movement_code"], row["quantity"], row["reason_code"], row["movement_date"]) == (
        "adjusted",
        -3.0,
        "AA",
        date(2026, 1, 5),
    )


def test_transport_and_money() -> None:
    rows = one(
        x12(
            "204",
            "B2**SCAC**SH1**PP",
            "B2A*00*LT",
            "S5*1*CL",
            "G62*37*20260105",
            "N1*SH*X*93*W1",
            "S5*2*CU",
            "N1*CN*X*93*S1",
            "L3*1",
        ),
        "load_stops",
    )
    assert [(r["shipment_id"], r["stop_no"], r["stop_code"], r["site_id"], r["stop_date"]) for r in rows] == [
        ("SH1", "1", "CL", "W1", date(2026, 1, 5)),
        ("SH1", "2", "CU", "S1", None),
    ]
    assert one(x12("990", "B1*SCAC*SH1*20260105*D"), "load_responses")[0]["response_code"] == "D"
    rows = one(
        x12("210", "B3**INV1*SH1*PP**20260107*36404****SCAC", "LX*1", "L1*1*1*FR*36304", "LX*2", "L1*2***100****FUE"),
        "freight_charges",
    )
    assert [(r["charge_code"], r["amount"]) for r in rows] == [("total", 364.04), ("freight", 363.04), ("FUE", 1.0)]
    row = one(
        x12(
            "820",
            "BPR*I*100*C*CHK************20260107",
            "TRN*3*T1",
            "N1*PR*X*92*B1",
            "ENT*1",
            "RMR*IV*INV1*PO*97.5*100*2.5",
        ),
        "remittance_lines",
    )[0]
    assert (
        row["payment_id"],
        row["invoice_number"],
        row["amount"],
        row["invoice_amount"],
        row["payer_id"],
        row["payment_date"],
    ) == ("T1", "INV1", 97.5, 100.0, "B1", date(2026, 1, 7))
    row = one(x12("824", "BGN*00*A1*20260107", "OTI*TR*TN*DOC1", "TED*024*wrong"), "application_advices")[0]
    assert (row["verdict_code"], row["reference"], row["error_code"], row["error_text"]) == (
        "TR",
        "DOC1",
        "024",
        "wrong",
    )


@pytest.mark.parametrize("basis", ["A", "C"])
def test_a_schedule_says_whether_its_quantities_are_cumulated(basis: str) -> None:
    """Cumulated quantities that are added up order what was delivered long ago."""
    lines = ("LIN**IN*A", "UIT*EA", "FST*100*C*W*20260105", "FST*180*C*W*20260112")
    forecast = x12("830", f"BFR*00*S1**DL*{basis}*20260101*20260301*20260102", *lines)
    sequence = x12("862", f"BSS*00*S2*20260102*DL*20260101*20260301*****{basis}", *lines, control=2)
    facts = read_documents(frame(forecast, sequence)).facts["raw_edi__delivery_schedules"]
    assert facts["quantity_basis_code"].to_list() == [basis] * 4 and facts["quantity"].to_list() == [100.0, 180.0] * 2
