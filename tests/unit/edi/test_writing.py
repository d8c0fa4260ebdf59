"""What we write: accepted clean by two independent validators and by our reader, and the facts come back unchanged."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.edi import read_documents
from aios_assets.edi.ack import acknowledge
from aios_assets.edi.typing_rules import own_columns
from aios_assets.edi.writing import WRITERS, Partner, load_partners, write
from tests.unit.edi.make import edifact, frame, x12

NOW = datetime(2026, 1, 3, 12, 0, tzinfo=UTC)
MOCK_KNOWS = ("850", "855", "856", "860", "810", "ORDERS", "ORDCHG", "DESADV", "INVOIC")


def numbers():
    count = itertools.count(1)
    return lambda series, purposes: [next(count) for _ in purposes]


def rows(kind: str) -> pl.DataFrame:
    n = 4
    common = {
        "item_id": ["I1", "I2", "4000000000003", "I4"],
        "item_gtin": ["4000000000001", None, "4000000000003", None],
        "quantity": [1.0, 2.5, 1000.0, 0.125],
        "unit_code": ["PCE", "KGM", "PCE", "KGM"] if kind.isalpha() else ["EA", "LB", "CA", "LB"],
    }
    order = {"order_number": ["PO1", "PO1", "PO2", "PO2"], "order_line": ["1", "2", "1", "2"]}
    if WRITERS[kind].table == "raw_edi__order_lines":
        return pl.DataFrame(
            {
                **order,
                **common,
                "order_date": [date(2026, 1, 3)] * n,
                "action_code": ["new" if kind in ("850", "ORDERS", "940") else "change"] * n,
                "buyer_id": ["B1"] * n,
                "seller_id": ["V1"] * n,
                "ship_to_site_id": ["S1", "S1", "S2", "S2"],
                "unit_price": [9.25, None, 0.01, 3.0],
                "currency_code": [None, None, "EUR", "EUR"],
                "requested_date": [date(2026, 1, d) for d in (9, 9, 10, 10)]
                if kind == "940"
                else [date(2026, 1, 9), None, date(2026, 1, 10), None],
            }
        )
    if WRITERS[kind].table == "raw_edi__order_responses":
        return pl.DataFrame(
            {
                **order,
                **common,
                "response_date": [date(2026, 1, 4)] * n,
                "response_code": ["IA", "IQ", "IB", "IR"],
                "seller_id": ["V1"] * n,
                "promised_date": [date(2026, 1, 9), None, None, date(2026, 1, 10)],
                "unit_price": [1.0] * n,
            }
        )
    if WRITERS[kind].table == "raw_edi__invoice_lines":
        return pl.DataFrame(
            {
                **order,
                **common,
                "invoice_number": ["IV1", "IV1", "IV2", "IV2"],
                "invoice_date": [date(2026, 1, 6)] * n,
                "seller_id": ["V1"] * n,
                "unit_price": [9.25, 0.02, 4.15, 4.0],
                "currency_code": ["EUR", "EUR", None, None],
            }
        )
    if WRITERS[kind].table == "raw_edi__shipment_lines":
        return pl.DataFrame(
            {
                **order,
                **common,
                "shipment_id": ["SH1", "SH1", "SH2", "SH2"],
                "shipped_date": [date(2026, 1, 5)] * n,
                "expected_date": [date(2026, 1, 8)] * n,
                "ship_from_id": ["W1"] * n,
                "ship_to_site_id": ["S1"] * n,
                "carrier_id": ["SCAC"] * n,
            }
        )
    return pl.DataFrame(
        {
            "shipment_id": ["SH1", "SH1", "SH2"],
            "carrier_id": ["SCAC"] * 3,
            "status_code": ["AF", "X1", "D1"],
            "reason_code": ["NS"] * 3,
            "status_at_utc": [datetime(2026, 1, 5, h, 30, tzinfo=UTC) for h in (8, 9, 10)],
            "location_name": ["MEMPHIS", None, "DALLAS"],
        }
    )


def partner(kind: str, **more: object) -> Partner:
    own = {"our_id": "AIOS", "partner_id": "PARTNER", **more}
    return Partner(name="test", **own)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_two_independent_validators_find_nothing(kind: str) -> None:
    doctor, mock_validate = pytest.importorskip("x12doctor"), pytest.importorskip("mockedi.validate")
    from mockedi import edifact as mock_edifact
    from mockedi import x12 as mock_x12

    source = rows(kind)
    if "unit_price" in source.columns:
        # The mock partner wants a price in every order line; the standard does not.
        source = source.with_columns(pl.col("unit_price").fill_null(1.5))
    written = write(kind, source, partner(kind), numbers=numbers(), now=NOW)
    assert written.documents.height == 2
    for content in written.documents["content"]:
        if not kind.isalpha():
            assert [f.message for f in doctor.diagnose(content).findings] == []
        if kind in MOCK_KNOWS:
            parse = mock_edifact.parse if kind.isalpha() else mock_x12.parse
            report = mock_validate.validate(parse(content.decode()))
            assert report.clean, [m.summary() for m in report.messages]


@pytest.mark.parametrize(
    "marks",
    [
        {},
        {
            "element": "|",
            "component": ":",
            "segment": "^",
            "repetition": "!",
            "x12_version": "005010",
            "line_break": False,
        },
    ],
)
@pytest.mark.parametrize("kind", list(WRITERS))
def test_facts_come_back_unchanged(kind: str, marks: dict[str, object]) -> None:
    source = rows(kind)
    written = write(kind, source, partner(kind, **marks), numbers=numbers(), now=NOW)
    batch = read_documents(frame(*written.documents["content"]), grammar=True)
    assert batch.rejects.is_empty(), batch.rejects["reason"].to_list()
    assert batch.findings.is_empty(), batch.findings["reason"].to_list()
    if kind in ("940", "945"):
        return
    table = next(t for t in EDI_FACT_TABLES if t.name == WRITERS[kind].table)
    names = [c.name for c in own_columns(table) if c.name in source.columns]
    back = batch.facts[table.name].select(names)
    want = source.select(names)
    if kind == "DESADV":
        want = want.with_columns(order_line=pl.col("order_line"))
    assert back.sort(names).equals(want.cast(dict(back.schema)).sort(names)), (
        back.sort(names).to_dicts(),
        want.sort(names).to_dicts(),
    )
    again = write(kind, back if kind != "855" else source, partner(kind, **marks), numbers=numbers(), now=NOW)
    assert sorted(again.documents["content"]) == sorted(written.documents["content"])


def test_service_characters_are_released_in_edifact_and_refused_in_x12() -> None:
    odd = rows("ORDERS").with_columns(item_id=pl.lit("A+B:C'D?E"), item_gtin=None)
    written = write("ORDERS", odd, partner("ORDERS"), numbers=numbers(), now=NOW)
    facts = read_documents(frame(*written.documents["content"])).facts["raw_edi__order_lines"]
    assert facts["item_id"].unique().to_list() == ["A+B:C'D?E"]
    with pytest.raises(BadInputError, match="delimiter"):
        write("850", rows("850").with_columns(item_id=pl.lit("A*B")), partner("850"), numbers=numbers(), now=NOW)
    with pytest.raises(BadInputError, match="control character"):
        write(
            "ORDERS", rows("ORDERS").with_columns(item_id=pl.lit("A\nB")), partner("ORDERS"), numbers=numbers(), now=NOW
        )


def test_wrong_calls_and_rows_are_named() -> None:
    with pytest.raises(UsageError, match="no writer"):
        write("999999", rows("850"), partner("850"), numbers=numbers(), now=NOW)
    with pytest.raises(BadInputError, match="'item_id' is missing"):
        write("850", rows("850").drop("item_id"), partner("850"), numbers=numbers(), now=NOW)
    with pytest.raises(BadInputError, match="empty values"):
        write("850", rows("850").with_columns(quantity=None), partner("850"), numbers=numbers(), now=NOW)


def test_values_of_a_profile_are_taken_as_written(tmp_path: Path) -> None:
    """YAML reads 01 as 1, 004010 as 2056 (octal) and NO as false; a partner would get wrong envelopes."""
    path = tmp_path / "partners.yaml"
    path.write_text(
        "acme:\n  our_id: 0071234567\n  our_qualifier: 01\n  partner_id: NO\n  x12_version: 004010\n  line_break: no\n"
    )
    partner = load_partners(path)["acme"]
    assert (partner.our_id, partner.our_qualifier, partner.partner_id) == ("0071234567", "01", "NO")
    assert (partner.x12_version, partner.line_break) == ("004010", False)


def test_profiles(tmp_path: Path) -> None:
    assert "default" in load_partners()
    bad = tmp_path / "p.yaml"
    for text, words in (
        ("a: {our_id: X}", "partner_id"),
        ("a: {our_id: X, partner_id: Y, colour: red}", "unknown"),
        ("- a", "mapping"),
        ("a: {our_id: X, partner_id: Y, element: '~'}", "delimiters"),
    ):
        bad.write_text(text)
        with pytest.raises(BadInputError, match=words):
            load_partners(bad)
    with pytest.raises(UsageError):
        load_partners(tmp_path / "none.yaml")


@pytest.mark.parametrize("kind", ["997", "999"])
def test_functional_acknowledgements(kind: str) -> None:
    good = x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA***IN*A", control=5)
    two = good.replace(
        b"GE*1*5", b"ST*850*0002~BEG*00*SA*PO8**20261399~PO1*1*x*EA***IN*B~SE*4*0002~ST*850*0003~SE*9*0003~GE*3*5"
    )
    batch = read_documents(frame(two), grammar=True)
    acks = list(acknowledge(batch, number=lambda *a: 7, now=NOW, kind=kind))  # type: ignore[arg-type]
    assert len(acks) == 1
    text = acks[0].content.decode().replace("\n", "")
    part = "IK" if kind == "999" else "AK"
    segments = text.split("~")
    assert [s for s in segments if s[:2] in ("AK", "IK") and s[:3] != "AK1"] == [
        "AK2*850*0001",
        f"{part}5*A",
        "AK2*850*0002",
        f"{part}3*BEG*2**8",
        f"{part}4*5**8*20261399",
        f"{part}3*PO1*3**8",
        f"{part}4*2**6*x",
        f"{part}5*E*5",
        "AK2*850*0003",
        f"{part}3*BEG*1**3",
        f"{part}5*R*4*5",
        "AK9*P*3*3*2",
    ]
    back = read_documents(frame(acks[0].content), grammar=True)
    assert back.rejects.is_empty() and back.findings.is_empty()
    assert back.facts["raw_edi__acknowledgements"]["verdict_code"].to_list() == ["A", "E", "R", "P"]


@pytest.mark.parametrize(("kind", "release"), [("997", "U*00401"), ("999", "^*00501")])
def test_an_answer_to_many_groups_is_clean_to_another_validator(kind: str, release: str) -> None:
    """The release of ISA12 is that of GS08, and 150 groups have 150 numbers of at most nine digits."""
    doctor = pytest.importorskip("x12doctor")
    one = x12("850", "BEG*00*SA*PO7**20260103", "PO1*1*12*EA***IN*A", control=1).decode()
    head, group = one[:106], one[106 : one.index("IEA*")]
    groups = "".join(group.replace("*1*X*", f"*{n}*X*").replace("GE*1*1~", f"GE*1*{n}~") for n in range(1, 151))
    batch = read_documents(frame((head + groups + "IEA*150*000000001~").encode()), grammar=True)
    ack = next(iter(acknowledge(batch, number=lambda *a: 98_765_432, now=NOW, kind=kind)))  # type: ignore[arg-type]
    assert [f.message for f in doctor.diagnose(ack.content).findings] == []
    text = ack.content.decode()
    numbers = [line.split("*")[6] for line in text.splitlines() if line.startswith("GS*")]
    assert f"*{release}*" in text and len(set(numbers)) == 150 and max(map(len, numbers)) <= 9
    back = read_documents(frame(ack.content), grammar=True)
    assert back.rejects.is_empty() and back.findings.is_empty()


def test_rejected_interchange_gets_a_ta1_and_acknowledgements_get_nothing() -> None:
    bad = x12("850", "BEG*00*SA*PO7**20260103", control=5).replace(b"IEA*1*000000005", b"IEA*1*000000006")
    acks = list(acknowledge(read_documents(frame(bad)), number=lambda *a: 7, now=NOW))
    assert [a.kind for a in acks] == ["TA1"]
    assert b"TA1*000000005*260101*1200*R*001" in acks[0].content
    ours = x12("997", "AK1*PO*1", "AK9*A*1*1*1").replace(b"GS*PO", b"GS*FA")
    assert list(acknowledge(read_documents(frame(ours)), number=lambda *a: 7, now=NOW)) == []


def test_contrl() -> None:
    good = edifact("ORDERS", "BGM+220+PO7+9", "DTM+137:20260103:102", "LIN+1++1:EN", "QTY+21:x")
    acks = list(acknowledge(read_documents(frame(good), grammar=True), number=lambda *a: 7, now=NOW))
    text = acks[0].content.decode()
    assert (
        "UCI+1+SENDER:14+RECEIVER:14+7'" in text
        and "UCM+1+ORDERS:D:96A:UN+7'" in text
        and "UCS+5'" in text
        and "UCD+37+2'" in text
    )
    test = good.replace(b"260101:1200+1'", b"260101:1200+1++++++1'")
    answer = next(iter(acknowledge(read_documents(frame(test)), number=lambda *a: 7, now=NOW))).content
    assert b":1200+7++++++1'" in answer, "the answer to a test is a test"
    bad = good.replace(b"UNZ+1+1", b"UNZ+2+1")
    acks = list(acknowledge(read_documents(frame(bad), grammar=True), number=lambda *a: 7, now=NOW))
    assert "UCI+1+SENDER:14+RECEIVER:14+4+29'" in acks[0].content.decode()
    assert read_documents(frame(acks[0].content)).rejects.is_empty()


@pytest.mark.parametrize("kind", ["810", "INVOIC"])
def test_an_invoice_for_several_orders_names_the_order_of_each_line_and_wants_every_price(kind: str) -> None:
    source = rows(kind).with_columns(order_number=pl.Series(["PO1", "PO2", "PO3", None]))
    written = write(kind, source, partner(kind), numbers=numbers(), now=NOW)
    back = read_documents(frame(*written.documents["content"])).facts["raw_edi__invoice_lines"]
    names = ["invoice_number", "item_id", "order_number"]
    assert back.select(names).sort(names).equals(source.select(names).sort(names))
    with pytest.raises(BadInputError, match="'unit_price' has empty values"):
        write(kind, source.with_columns(unit_price=None), partner(kind), numbers=numbers(), now=NOW)
