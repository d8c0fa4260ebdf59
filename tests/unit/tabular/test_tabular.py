"""Tables in files: good rows land, each bad cell has one clear line with row, column and reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zipfile
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import MASTER_TABLES
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.inbox import kind_of
from aios_assets.resources.lake_schema import conform
from aios_assets.tabular import (
    Mapping,
    mapping_json,
    parse_mapping,
    preview_import,
    read_import,
    read_master,
    sniff_plain,
)

AT = datetime(2026, 1, 10, 5, tzinfo=UTC)
ITEMS = b"item_id,pack_ea,unit_cost_usd,introduced_date\nA,6,1.50,2026-01-31\nB,12,,\n"


def workbook(*members: str) -> bytes:
    """A zip archive as an office writes it, without the time: test processes name their tests by these bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in members:
            archive.writestr(zipfile.ZipInfo(name), "<x/>" * 100, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def documents(*items: tuple[str, bytes, str | None]) -> pl.DataFrame:
    rows = [(hashlib.sha256(c).hexdigest(), c, uri, mapping, AT) for uri, c, mapping in items]
    schema = {
        "document_id": pl.String, "content": pl.Binary, "source_uri": pl.String, "mapping_json": pl.String,
        "available_at_utc": pl.Datetime("us", "UTC"),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def items(content: bytes, uri: str = "master/items/i.csv") -> tuple[pl.DataFrame, list[str]]:
    batch = read_master(documents((uri, content, None)))
    return batch.frames["raw_master__items"], batch.rejects["reason"].to_list()


def imported(text: str, **mapping: object) -> tuple[pl.DataFrame, list[str]]:
    given = Mapping(**({"kind": "sales"} | mapping))  # type: ignore[arg-type]
    batch = read_import(documents(("s.csv", text.encode(given.encoding), mapping_json(given))))
    table = {
        "sales": "product_activity",
        "stock": "inventory_positions",
        "orders": "order_lines",
        "receipts": "receipt_lines",
    }[given.kind]
    assert batch.counts["rows"] == batch.counts["kept"] + batch.counts["rejected_rows"]
    return batch.frames[f"raw_edi__{table}"], batch.rejects["reason"].to_list()


def test_master_rows_conform() -> None:
    frame, reasons = items(ITEMS)
    assert reasons == []
    assert frame.select("item_id", "pack_ea", "unit_cost_usd", "introduced_date", "line_no").rows() == [
        ("A", 6, 1.5, date(2026, 1, 31), 2), ("B", 12, None, None, 3),
    ]  # fmt: skip
    batch = read_master(documents(("master/items/i.csv", ITEMS, None)))
    for table in MASTER_TABLES:
        conform(table, batch.frames[table.name])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("C,x,1,", "row 4, column 'pack_ea': 'x' is not a whole number"),
        ("C,1.5,1,", "'1.5' is not a whole number"),
        ("C,0,1,", "'0' is less than 1"),
        ("C,-3,1,", "'-3' is less than 1"),
        ("C,,1,", "column 'pack_ea': is empty; a value is needed"),
        (",6,1,", "column 'item_id': is empty"),
        ("C,6,-1,", "column 'unit_cost_usd': '-1' is negative"),
        ("C,6,nan,", "'nan' is not a number"),
        (
            'C,6,"4,28",',
            "'4,28' is not a number; write it with a decimal point, or import the file with `decimal_comma: true`",
        ),
        ("C,6,1e400,", "'1e400' is not a number"),
        ("C,6,1,31.01.2026", "'31.01.2026' is no date of the form %Y-%m-%d"),
        ("C,6,1,2026-02-30", "no date"),
        ("C,99999999999,1,", "not a whole number"),
        ("A,6,1,", "repeats the item_id of row 2"),
        ("C,6,1", "has 3 fields, the header has 4"),
        ('"C,6,1,', "row 4"),
    ],
)
def test_a_bad_cell_sets_its_row_aside(row: str, words: str) -> None:
    frame, reasons = items(ITEMS + row.encode() + b"\n")
    assert frame["item_id"].to_list() == ["A", "B"]
    assert len(reasons) == 1
    assert words in reasons[0]
    assert "master/items/i.csv" in reasons[0]


def test_rejects_point_to_row_and_column() -> None:
    batch = read_master(documents(("master/items/i.csv", ITEMS + b"C,x,-1,\n", None)))
    assert batch.rejects.select("segment_no", "element_no", "segment_text", "level_code", "kind_code").rows() == [
        (4, 2, "x", "line", "import"), (4, 3, "-1", "line", "import"),
    ]  # fmt: skip
    assert (batch.counts["rows"], batch.counts["kept"], batch.counts["rejected_rows"]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("uri", "content", "words"),
    [
        ("master/items/i.csv", b"item_id\nA\n", "column 'pack_ea' is missing; the file has item_id"),
        ("master/items/i.csv", b"", "the file is empty"),
        ("master/items/i.csv", b"item_id,item_id,pack_ea\nA,A,6\n", "column 'item_id' occurs twice"),
        ("master/items/i.csv", b"item_id,pack_ea\n\xe9,6\n", "not utf-8 text"),
        ("master/items/i.csv", b"PAR1 and nothing more PAR1", "the Parquet file cannot be read"),
        ("master/things/i.csv", ITEMS, "no master data of kind 'things'"),
        ("other/i.csv", ITEMS, "nothing says what this table is"),
    ],
)
def test_a_bad_file_is_one_reject_and_the_others_land(uri: str, content: bytes, words: str) -> None:
    batch = read_master(documents((uri, content, None), ("x/master/items/good.csv", ITEMS, None)))
    assert batch.frames["raw_master__items"].height == 2
    assert batch.rejects.select("level_code", "segment_no").rows() == [("document", 0)]
    assert words in batch.rejects["reason"][0]


def test_parquet_reads_like_csv() -> None:
    sink = io.BytesIO()
    frame = pl.DataFrame(
        {
            "item_id": ["A", "B"],
            "pack_ea": [6, 12],
            "unit_cost_usd": [1.5, None],
            "introduced_date": [datetime(2026, 1, 31), None],
        }
    )
    frame.write_parquet(sink)
    from_parquet, reasons = items(sink.getvalue())
    from_csv, _ = items(ITEMS)
    assert reasons == []
    assert from_parquet.drop("document_id").equals(from_csv.drop("document_id"))


def test_semicolons_quotes_and_marks_at_the_start() -> None:
    frame, reasons = items(b'\xef\xbb\xbfitem_id;pack_ea;description;colour\r\nA;6;"a ""b"";\nc";red\r\n')
    assert reasons == []
    assert frame.select("item_id", "description").rows() == [("A", 'a "b";\nc')]


def test_sales_land_as_activity() -> None:
    frame, reasons = imported(
        "Filiale;Artikel;Tag;Menge\n1;A;05.01.2026;1.234,5\n",
        columns={"site_id": "Filiale", "item_id": "Artikel", "activity_date": "Tag", "quantity": "Menge"},
        date_format="%d.%m.%Y", decimal_comma=True, thousands=".", unit="CA",
    )  # fmt: skip
    assert reasons == []
    row = frame.row(0, named=True)
    assert (row["quantity"], row["activity_date"], row["unit_code"], row["activity_code"]) == (
        1234.5,
        date(2026, 1, 5),
        "CA",
        "QS",
    )
    assert (row["standard_code"], row["interchange_no"], row["set_no"], row["segment_no"], row["line_no"]) == (
        "CSV",
        0,
        0,
        2,
        1,
    )
    for table in EDI_FACT_TABLES:
        if table.name == "raw_edi__product_activity":
            conform(table, frame)


def test_stock_and_orders_land() -> None:
    stock, _ = imported("site_id,item_id,position_date,quantity\n1,A,2026-01-05,7\n", kind="stock")
    assert stock.select("quantity_code", "quantity", "unit_code").rows() == [("17", 7.0, "EA")]
    orders, reasons = imported(
        "order_number,order_date,item_id,quantity\nP1,2026-01-05,A,7\nP1,2026-01-05,B,8\n", kind="orders"
    )
    assert reasons == []
    assert orders.select("order_line", "action_code", "ship_to_site_id").rows() == [
        ("2", "new", None),
        ("3", "new", None),
    ]


SALES = "site_id,item_id,activity_date,quantity\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,A,2026-01-11,1", "2026-01-11 had begun nowhere on earth when the file reached us (2026-01-10 05:00 UTC)"),
        ("1,A,2026-01-05,-1", "column 'quantity': '-1' is negative"),
        ("1,A,2026-01-05,x", "'x' is not a number"),
        ("1,A,2026-01-05,", "is empty"),
    ],
)
def test_impossible_sales_are_set_aside(row: str, words: str) -> None:
    frame, reasons = imported(SALES + "1,B,2026-01-05,2\n" + row + "\n")
    assert frame["item_id"].to_list() == ["B"]
    assert len(reasons) == 1
    assert "row 3" in reasons[0]
    assert words in reasons[0]


def test_a_missing_column_names_what_is_there_and_the_key_to_add() -> None:
    with pytest.raises(BadInputError) as caught:
        preview_import(b"shop,item_id,activity_date,quantity\n", Mapping(kind="sales"), "s.csv", AT)
    assert str(caught.value) == (
        "column 'site_id' is missing; the file has shop, item_id, activity_date, quantity (s.csv). "
        "To do: name it in the mapping under `columns:` as `site_id: <their column>`."
    )


def test_a_mapping_to_a_column_that_is_not_there_is_said() -> None:
    with pytest.raises(BadInputError, match="column 'Shop' is missing"):
        preview_import(SALES.encode(), Mapping(kind="sales", columns={"site_id": "Shop"}), "s.csv", AT)
    with pytest.raises(BadInputError, match="columns we do not have: sight_id"):
        preview_import(SALES.encode(), Mapping(kind="sales", columns={"sight_id": "site_id"}), "s.csv", AT)


def test_constants_fill_columns() -> None:
    frame, reasons = imported(
        "item_id,activity_date,quantity\nA,2026-01-05,1\n", constants={"site_id": "S1", "activity_code": "QU"}
    )
    assert reasons == []
    assert frame.select("site_id", "activity_code").rows() == [("S1", "QU")]


def test_the_stored_file_of_a_broken_import_becomes_a_reject() -> None:
    batch = read_import(documents(("s.csv", b"x,y\n1,2\n", mapping_json(Mapping(kind="sales")))))
    assert batch.rejects["level_code"].to_list() == ["document"]
    assert read_import(documents(("s.csv", b"x\n", None))).counts["documents"] == 0
    assert read_master(documents(("s.csv", b"x,y\n", mapping_json(Mapping(kind="sales"))))).counts["documents"] == 0


def test_items_import_by_mapping() -> None:
    mapping = Mapping(kind="items", columns={"item_id": "SKU", "pack_ea": "Pack"})
    content = b"SKU,Pack\nA,6\nB,x\n"
    said = preview_import(content, mapping, "i.csv", AT)
    assert said.pop("notes") and said == {
        "rows": 2, "kept": 1, "rejected_rows": 1, "lines": ["row 3, column 'Pack': 'x' is not a whole number"],
    }  # fmt: skip
    batch = read_master(documents(("i.csv", content, mapping_json(mapping))))
    assert batch.frames["raw_master__items"]["item_id"].to_list() == ["A"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("- 1", "not a list"), ("{", "not valid YAML"), ("columns: 3", "`ours: theirs`"), ("decimal_comma: maybe", "true or false"), ("date_format: 3", "not text"), ("colums: {a: b}", "unknown keys colums")],
)  # fmt: skip
def test_bad_mappings_are_said(text: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        parse_mapping(text)


def test_mappings_in_short_form() -> None:
    assert parse_mapping("item_id: SKU\nkind: sales").columns == {"item_id": "SKU"}
    assert parse_mapping("") == Mapping()
    assert parse_mapping("constants: {site_id: 007, country: NO, day: 2026-01-02}").constants == {
        "site_id": "007",
        "country": "NO",
        "day": "2026-01-02",
    }


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"a,b\n1,2\n", "csv"), (b"a\n1\n", "unknown"), (b'{"sensor_id": "x"}', "telemetry"), (b'{"x": 1}', "unknown"),
        (b'{broken\n{"sensor_id": 1}', "telemetry"), (b"PAR1", "parquet"), (b"", "unknown"), (b" \n", "unknown"), (b"\x1c", "unknown"), ("\u2003".encode(), "unknown"),
        (b"\x89PNG,\x01\x02\x03\x04\x05\x06,", "unknown"), (b"a,b\x00", "unknown"), ("ä;b\n".encode("cp1252") * 3, "unknown"),
        ("straße;größe;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q;r;s;t;u;v;w;x;y;z;" * 9).encode("utf-8") and ("é;b\n".encode(), "csv"),
    ],
)  # fmt: skip
def test_sniffing(content: bytes, kind: str) -> None:
    assert sniff_plain(content) == kind


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(content: bytes) -> None:
    batch = read_master(documents(("master/items/x.csv", content, None)))
    assert batch.counts["rows"] == batch.counts["kept"] + batch.counts["rejected_rows"]
    read_import(documents(("x.csv", content, mapping_json(Mapping(kind="sales")))))
    assert sniff_plain(content) in {"csv", "parquet", "telemetry", "unknown"}


def test_a_file_without_rows_leaves_a_reason_and_no_row() -> None:
    """A promotion list of a week without promotions; a document that leaves nothing at all would stop every night."""
    header = b"promotion_id,item_id,site_id,start_date,end_date,promo_price_usd\n\n"
    batch = read_master(documents(("master/promotions/p.csv", header, None)))
    assert batch.rejects.select("error_code", "level_code").rows() == [("csv:file", "document")]
    assert "a header and no rows (master/promotions/p.csv)" in batch.rejects["reason"].item()


@settings(deadline=None)
@given(st.lists(st.tuples(st.text("AB", max_size=2), st.text("0159-.x", max_size=4)), max_size=8))
def test_in_is_kept_and_rejected(cells: list[tuple[str, str]]) -> None:
    text = "item_id,pack_ea\n" + "".join(f"{a},{b}\n" for a, b in cells)
    batch = read_master(documents(("master/items/x.csv", text.encode(), None)))
    rows = sum(1 for a, b in cells if a or b)  # an empty line holds nothing
    assert batch.counts["rows"] == rows
    if rows:
        assert batch.counts["kept"] + batch.rejects["segment_no"].n_unique() == rows
    else:
        assert "a header and no rows" in batch.rejects["reason"].item()


@pytest.mark.parametrize(
    ("text", "mapping", "value"),
    [
        ("1.234,5", {"decimal_comma": True, "thousands": "."}, 1234.5),
        ("1234,5", {"decimal_comma": True, "thousands": "."}, 1234.5),
        ("1.5", {"decimal_comma": True, "thousands": "."}, None),
        ("1.234", {"decimal_comma": True}, None),
        ("1,5", {"thousands": ","}, None),
        ("12,34,567", {"thousands": ","}, None),
        ("1,234,567.5", {"thousands": ","}, 1234567.5),
        ("1 234", {"thousands": " "}, 1234.0),
        ("1\u00a0234,5", {"thousands": " ", "decimal_comma": True}, 1234.5),
        ("1\u202f234", {"thousands": " "}, 1234.0),
        ("1.5", {"thousands": "."}, None),
        ("1,5", {}, None),
        (",5", {"decimal_comma": True}, 0.5),
    ],
)
def test_a_number_in_another_way_of_writing_is_refused_and_never_ten_times_as_much(
    text: str, mapping: dict[str, object], value: float | None
) -> None:
    frame, reasons = imported(f'site_id;item_id;activity_date;quantity\n1;A;2026-01-05;"{text}"\n', **mapping)
    assert frame["quantity"].to_list() == ([] if value is None else [value])
    assert len(reasons) == (1 if value is None else 0)


def test_parquet_numbers_and_dates_are_not_written_in_anybody_s_way() -> None:
    sink = io.BytesIO()
    pl.DataFrame({"s": ["007"], "i": [12], "d": [date(2026, 1, 5)], "q": [1234.5]}).write_parquet(sink)
    mapping = Mapping(
        kind="sales", columns={"site_id": "s", "item_id": "i", "activity_date": "d", "quantity": "q"},
        date_format="%d.%m.%Y", decimal_comma=True, thousands=".",
    )  # fmt: skip
    batch = read_import(documents(("s.parquet", sink.getvalue(), mapping_json(mapping))))
    assert batch.rejects.is_empty()
    row = batch.frames["raw_edi__product_activity"].row(0, named=True)
    assert (row["site_id"], row["item_id"], row["activity_date"], row["quantity"]) == (
        "007", "12", date(2026, 1, 5), 1234.5,
    )  # fmt: skip


def test_ids_that_became_floating_point_numbers_are_refused() -> None:
    sink = io.BytesIO()
    pl.DataFrame({"item_id": [12345.0, None], "pack_ea": [6, 6]}).write_parquet(sink)
    frame, reasons = items(sink.getvalue())
    assert frame.is_empty()
    assert "column 'item_id' holds item_id as floating-point numbers" in reasons[0]


def test_a_year_of_two_digits_is_not_a_year_of_the_first_century() -> None:
    header = "site_id,item_id,activity_date,quantity\n"
    frame, reasons = imported(f"{header}1,A,05.01.26,1\n1,B,05.01.2026,1\n", date_format="%d.%m.%Y")
    assert frame["item_id"].to_list() == ["B"]
    assert "'05.01.26' is a day before 1900; write years with four digits" in reasons[0]
    frame, reasons = imported(f"{header}1,A,05.01.26,1\n", date_format="%d.%m.%y")
    assert (frame["activity_date"].to_list(), reasons) == ([date(2026, 1, 5)], [])


def test_what_a_spreadsheet_puts_around_its_rows_is_no_row() -> None:
    frame, reasons = imported(
        "sep=;\r\nsite_id;item_id;activity_date;quantity\r\n1;A;2026-01-05;2\r\n;;;\r\n\r\n;;;\r\n"
    )
    assert (frame["segment_no"].to_list(), reasons) == ([3], [])


@pytest.mark.parametrize(
    ("content", "mapping", "words"),
    [
        (workbook("xl/workbook.xml"), {}, "the file is a spreadsheet, not CSV (i.csv). To do: save each sheet as CSV"),
        (workbook("sales.csv"), {}, "the file is packed (zip) (i.csv). To do: unpack it"),
        (gzip.compress(b"item_id,pack_ea\nA,6\n", mtime=0), {}, "the file is packed (gzip)"),
        ("item_id,pack_ea\nA,6\n".encode("utf-16"), {}, "set `encoding: utf-16`"),
        ("item_id,pack_ea\nK\u00e4se,6\n".encode(), {"encoding": "cp1252"}, "is UTF-8 text, not cp1252"),
        (b"\xef\xbb\xbfitem_id,pack_ea\nA,6\n", {"encoding": "cp1252"}, "is UTF-8 text, not cp1252"),
        (b"item_id,pack_ea\nA,6\n", {"separator": "||"}, "'||' is not one character"),
        (b"item_id,pack_ea\nA,6\n", {"encoding": "idna\x00"}, "set `encoding`"),
        (b"item_id,pack_ea\n", {}, "a header and no rows"),
        (b"item_id,pack_ea\n,6\nB,x\n", {}, "none of the 2 rows fits; row 2, column 'item_id'"),
    ],
)
def test_an_import_that_cannot_be_meant_is_refused_before_it_is_stored(
    content: bytes, mapping: dict[str, str], words: str
) -> None:
    with pytest.raises(BadInputError, match=re.escape(words)):
        preview_import(content, Mapping(kind="items", **mapping), "i.csv", AT)


def test_column_names_are_text_as_written() -> None:
    assert parse_mapping("columns: {item_id: No, site_id: 007}").columns == {"item_id": "No", "site_id": "007"}
    assert parse_mapping("item_id: No").columns == {"item_id": "No"}


@pytest.mark.parametrize("text", ['thousands: "."', 'decimal_comma: true\nthousands: ","'])
def test_one_mark_cannot_be_both(text: str) -> None:
    with pytest.raises(BadInputError, match="as decimal mark and between thousands"):
        parse_mapping(text)


def test_an_import_was_sent_when_it_reached_us() -> None:
    frame, _ = imported("site_id,item_id,activity_date,quantity\n1,A,2026-01-05,1\n")
    assert frame["sent_at_utc"].to_list() == [AT]


@pytest.mark.parametrize("place", ["i.xlsx", "master/items/i.xlsx"])
def test_a_workbook_in_the_inbox_is_told_as_one_wherever_it_lies(place: str) -> None:
    content = workbook("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml")
    assert kind_of(content) == "csv"
    batch = read_master(documents((place, content, None)))
    assert batch.rejects["error_code"].to_list() == ["csv:file"]
    assert (
        f"the file is a spreadsheet, not CSV ({place}). To do: save each sheet as CSV" in batch.rejects["reason"].item()
    )
    assert kind_of(workbook("orders.edi")) == "unknown"


@pytest.mark.parametrize(
    ("day", "is_taken"), [(date(2026, 1, 10), True), (date(2026, 1, 11), True), (date(2026, 1, 12), False)]
)
def test_a_day_that_has_begun_somewhere_is_no_future(day: date, is_taken: bool) -> None:
    """At 11:00 UTC on 10 January it is past midnight in Auckland (UTC+13): its 11 January has begun."""
    at = datetime(2026, 1, 10, 11, tzinfo=UTC)
    text = f"site_id,item_id,activity_date,quantity\n1,A,{day},2\n1,B,2026-01-09,1\n"
    given = documents(("s.csv", text.encode(), mapping_json(Mapping(kind="sales")))).with_columns(available_at_utc=at)
    batch = read_import(given)
    assert (batch.counts["kept"] == 2) == is_taken
    reasons = "".join(batch.rejects["reason"])
    assert ("had begun nowhere on earth when the file reached us (2026-01-10 11:00 UTC)" in reasons) != is_taken


def test_returns_without_the_days_sales_are_told_with_their_count() -> None:
    header = "site_id,item_id,activity_date,quantity,activity_code\n"
    rows = "1,A,2026-01-05,2,QS\n1,A,2026-01-05,1,QU\n1,B,2026-01-05,1,QU\n2,B,2026-01-06,1,QU\n"
    said = preview_import((header + rows).encode(), Mapping(kind="sales"), "s.csv", AT)
    (note,) = said["notes"]  # type: ignore[misc]
    assert note.startswith("2 of 3 site, item and days have returns and no sales here (first: 1, B, 2026-01-05)")
    assert preview_import((header + rows[:40]).encode(), Mapping(kind="sales"), "s.csv", AT)["notes"] == []


def closes(day: date) -> datetime:
    """Two in the morning in New York."""
    return datetime(day.year, day.month, day.day, 7, tzinfo=UTC) + timedelta(days=1)


def test_history_is_known_day_by_day_and_never_after_its_file_came() -> None:
    text = (SALES + "1,A,2026-01-09,3\n1,B,2026-01-05,2\n1,A,2026-01-09,4\n1,A,2026-01-05,1\n").encode()
    given = Mapping(kind="sales", known_after_days=0)
    rows = read_import(documents(("s.csv", text, mapping_json(given))), closes).frames["raw_edi__product_activity"]
    early = closes(date(2026, 1, 5)) - timedelta(microseconds=1)
    assert rows.select("activity_date", "item_id", "set_no", "segment_no", "available_at_utc", "sent_at_utc").rows() == [
        (date(2026, 1, 5), "B", 1, 3, early, AT), (date(2026, 1, 5), "A", 1, 5, early, AT),
        (date(2026, 1, 9), "A", 2, 2, AT, AT), (date(2026, 1, 9), "A", 2, 4, AT, AT),
    ]  # fmt: skip
    conform(TABLES["raw_edi__product_activity"], rows)
    later = Mapping(kind="sales", known_after_days=2)
    rows = read_import(documents(("s.csv", text, mapping_json(later))), closes).frames["raw_edi__product_activity"]
    assert rows["available_at_utc"].min() == early + timedelta(days=2)
    assert mapping_json(given) != mapping_json(later)
    # What was stored by versions that did not know of it is the same mapping still.
    assert "known_after_days" not in mapping_json(Mapping(kind="sales"))


def test_history_that_counts_as_known_today_is_told_while_that_can_be_changed() -> None:
    text = (SALES + "1,A,2025-06-30,1\n1,A,2025-07-01,0\n1,B,2026-01-05,2\n").encode()
    for mapping, is_first, notes in (({}, True, 1), ({}, False, 0), ({"known_after_days": 1}, True, 0)):
        given = Mapping(kind="sales", **mapping)  # type: ignore[arg-type]
        said = preview_import(text, given, "s.csv", AT, is_first=is_first)["notes"]
        assert len(said) == notes  # type: ignore[arg-type]
        if notes:
            assert "2 of 3 rows are of days more than 35 days before the file" in said[0]  # type: ignore[index]
            assert "`known_after_days: 0`" in said[0]  # type: ignore[index]


@pytest.mark.parametrize("days", ["-1", "61", "soon", "0.5", "true"])
def test_days_until_known_are_a_number_of_days(days: str) -> None:
    with pytest.raises(BadInputError, match="'known_after_days' in the mapping is no whole number of days"):
        parse_mapping(f"known_after_days: {days}")


def test_receipts_are_numbered_by_order_and_day_and_name_their_site() -> None:
    text = "Bestellung,Tag,Artikel,Menge,Lager\nP1,2026-01-05,A,6,S1\n,2026-01-05,A,2,S1\nP2,2026-01-06,B,1,\nP2,2026-01-12,B,1,S1\n"
    columns = {
        "order_number": "Bestellung", "received_date": "Tag", "item_id": "Artikel", "quantity": "Menge", "site_id": "Lager",
    }  # fmt: skip
    rows, reasons = imported(text, kind="receipts", columns=columns)
    assert rows.select("receipt_id", "order_number", "quantity", "unit_code").rows() == [
        ("P1 2026-01-05", "P1", 6, "EA"), (" 2026-01-05", None, 2, "EA"),
    ]  # fmt: skip
    assert len(reasons) == 2
    assert "'Lager'" in reasons[0]
    assert "2026-01-12 had begun nowhere" in reasons[1]
    numbered, _ = imported(f"receipt_id,{text}".replace("\nP", "\nR7,P"), kind="receipts", columns=columns)
    assert set(numbered["receipt_id"]) == {"R7"}
    said = preview_import(text.encode(), Mapping(kind="receipts", columns=columns), "r.csv", AT)
    [note] = said["notes"]  # type: ignore[misc]
    assert str(note).startswith("1 of 2 receipts name neither order nor shipment")
    with pytest.raises(BadInputError, match="'site_id' is missing"):
        preview_import(text.encode(), Mapping(kind="receipts", columns=columns | {"site_id": "site_id"}), "r.csv", AT)


def test_a_pack_cannot_have_held_since_a_day_to_come() -> None:
    given = b"item_id,pack_ea,pack_from_date\nA,6,2020-01-01\nB,6,\nC,6,2099-01-01\n"
    frame, reasons = items(given)
    assert frame.select("item_id", "pack_from_date").rows() == [("A", date(2020, 1, 1)), ("B", None)]
    assert len(reasons) == 1 and "row 4, column 'pack_from_date': 2099-01-01 had begun nowhere on earth" in reasons[0]
    assert preview_import(given, Mapping(kind="items"), "f", AT)["rejected_rows"] == 1
