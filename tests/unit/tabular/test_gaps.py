"""Days that a sales file does not list: zero where the mapping says so, against a plain reading; told where it says nothing."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.lake_schema import conform
from aios_assets.tabular import Mapping, mapping_json, parse_mapping, preview_import, read_import

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = "site_id,item_id,activity_date,quantity"
ZERO = Mapping(kind="sales", gaps="zero")


def read(text: str, mapping: Mapping = ZERO) -> tuple[pl.DataFrame, dict[str, int]]:
    row = ("d" * 64, text.encode(), "s.csv", mapping_json(mapping), AT)
    batch = read_import(
        pl.DataFrame([row], schema=["document_id", "content", "source_uri", "mapping_json", "available_at_utc"], orient="row")
    )  # fmt: skip
    return batch.frames["raw_edi__product_activity"], batch.counts


def test_a_day_of_no_sale_is_in_the_unit_that_its_item_is_listed_in() -> None:
    """Zero pieces of goods by weight would be kept out of the marts, and the day not known."""
    text = f"{HEAD},unit_code\n1,A,2026-01-05,2.5,KGM\n1,B,2026-01-05,3,EA\n1,A,2026-01-08,1.5,KGM"
    facts, counts = read(text)
    assert counts["gaps_as_zero"] == 5
    assert set(facts.select("item_id", "unit_code").iter_rows()) == {("A", "KGM"), ("B", "EA")}
    by_mapping, _ = read(
        f"{HEAD}\n1,A,2026-01-05,2.5\n1,A,2026-01-08,1.5", Mapping(kind="sales", gaps="zero", unit="LTR")
    )
    assert by_mapping["unit_code"].to_list() == ["LTR"] * 4


@given(
    sold=st.lists(
        st.tuples(st.sampled_from("12"), st.sampled_from("ABC"), st.integers(0, 20), st.integers(0, 9)), min_size=1, max_size=25
    ),
    history=st.booleans(),
)  # fmt: skip
def test_every_day_from_an_items_first_to_the_last_of_the_file_is_said_once(
    sold: list[tuple[str, str, int, int]], history: bool
) -> None:
    begin = date(2026, 1, 5)
    lines = [f"{s},{i},{begin + timedelta(days=d)},{q}" for s, i, d, q in sold]
    mapping = Mapping(kind="sales", gaps="zero", known_after_days=0 if history else None)
    facts, counts = read("\n".join([HEAD, *lines]), mapping)
    conform(TABLES["raw_edi__product_activity"], facts)
    expected: dict[tuple[str, str, date], float] = defaultdict(float)
    last = max(d for _, _, d, _ in sold)
    for site, item in {(s, i) for s, i, _, _ in sold}:
        first = min(d for s, i, d, _ in sold if (s, i) == (site, item))
        for d in range(first, last + 1):
            expected[site, item, begin + timedelta(days=d)] = 0.0
    for s, i, d, q in sold:
        expected[s, i, begin + timedelta(days=d)] += q
    days = facts.group_by("site_id", "item_id", "activity_date").agg(pl.col("quantity").sum())
    assert {(s, i, d): q for s, i, d, q in days.iter_rows()} == expected
    unlisted = facts.filter(pl.col("line_no") > 1)
    assert counts["kept"] + counts["rejected_rows"] == counts["rows"] == len(sold)
    assert counts["gaps_as_zero"] == unlisted.height == facts.height - len(sold)
    assert facts.select("document_id", "set_no", "segment_no", "line_no").is_unique().all()
    for row in unlisted.iter_rows(named=True):  # each leads to the row that lists its item there first
        s, i, day, _ = lines[row["segment_no"] - 2].split(",")
        assert (s, i, row["quantity"]) == (row["site_id"], row["item_id"], 0.0)
        assert date.fromisoformat(day) + timedelta(days=row["line_no"] - 1) == row["activity_date"]


def test_what_was_not_read_is_not_taken_for_zero() -> None:
    for text, words in (
        (f"{HEAD}\n1,A,2026-01-05,1\n1,A,2026-01-08,-2\n", r"1 rows cannot be read \(first: row 3\)"),
        (f"{HEAD},period_start_date\n1,A,2026-01-11,1,2026-01-05\n", "other periods than a day"),
    ):
        with pytest.raises(BadInputError, match=words):
            preview_import(text.encode(), ZERO, "s.csv", AT)
    with pytest.raises(BadInputError, match="says something of a file of sales"):
        preview_import(
            b"site_id,item_id,position_date,quantity\n1,A,2026-01-05,1\n",
            Mapping(kind="stock", gaps="zero"),
            "s.csv",
            AT,
        )
    with pytest.raises(BadInputError, match="neither zero nor unknown"):
        parse_mapping("gaps: none")
    assert parse_mapping("gaps: unknown") == Mapping()
    assert "gaps" not in mapping_json(Mapping(kind="sales"))


def test_a_return_alone_is_a_day_without_a_sale_already() -> None:
    facts, counts = read(f"{HEAD},activity_code\n1,A,2026-01-05,3,QS\n1,A,2026-01-06,1,QU\n1,A,2026-01-08,2,QS\n")
    assert counts["gaps_as_zero"] == 1
    assert facts.filter(pl.col("line_no") > 1)["activity_date"].to_list() == [date(2026, 1, 7)]


def test_a_list_of_sales_is_told_and_what_was_made_of_it_as_well() -> None:
    text = f"{HEAD}\n1,A,2026-01-05,1\n1,A,2026-01-15,2\n1,B,2026-01-20,2\n"
    notes = preview_import(text.encode(), Mapping(kind="sales"), "s.csv", AT)["notes"]
    assert "14 of 17 site, item and days" in notes[0] and "`gaps: zero`" in notes[0]  # type: ignore[index]
    assert preview_import(text.encode(), ZERO, "s.csv", AT)["notes"] == [
        "14 site, item and days without a row count as days without a sale"
    ]
    for more in ("1,A,2026-01-06,0\n", "".join(f"1,A,2026-01-{d:02d},1\n" for d in range(6, 14))):
        assert preview_import((text + more).encode(), Mapping(kind="sales"), "s.csv", AT)["notes"] == []


WEEKS = Mapping(kind="sales", period_days=7)


def test_rows_of_weeks_are_of_seven_days_and_weeks_without_a_row_can_be_zero() -> None:
    text = f"{HEAD}\n1,A,2026-01-10,5\n1,A,2026-01-31,3\n1,B,2026-01-24,2\n"
    facts, counts = read(text, WEEKS)
    assert counts["gaps_as_zero"] == 0 and facts.height == 3
    assert (facts["activity_date"] - facts["period_start_date"]).dt.total_days().to_list() == [6, 6, 6]
    facts, counts = read(text, Mapping(kind="sales", period_days=7, gaps="zero"))
    weeks = (
        facts.filter(pl.col("quantity") == 0)
        .select("item_id", "activity_date", "period_start_date", "line_no")
        .sort("activity_date")
    )
    assert weeks.rows() == [
        ("A", date(2026, 1, 17), date(2026, 1, 11), 8), ("A", date(2026, 1, 24), date(2026, 1, 18), 15), ("B", date(2026, 1, 31), date(2026, 1, 25), 8)
    ]  # fmt: skip
    assert counts["gaps_as_zero"] == 3
    conform(TABLES["raw_edi__product_activity"], facts)


def test_a_row_keeps_the_period_it_states() -> None:
    facts, _ = read(f"{HEAD},period_start_date\n1,A,2026-01-10,5,2026-01-08\n1,A,2026-01-17,5,\n", WEEKS)
    assert facts["period_start_date"].to_list() == [date(2026, 1, 8), date(2026, 1, 11)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("1,A,2026-01-10,5,2026-01-08", "other periods than 7 days"),
        ("1,A,2026-01-10,5,\n1,A,2026-01-16,5,", "end on different days"),
    ],
)
def test_weeks_that_do_not_follow_each_other_have_no_zero_between_them(lines: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        preview_import(
            f"{HEAD},period_start_date\n{lines}\n".encode(),
            Mapping(kind="sales", period_days=7, gaps="zero"),
            "s.csv",
            AT,
        )


def test_sales_all_on_one_weekday_are_told() -> None:
    text = HEAD + "".join(f"\n1,A,2026-01-{d:02d},5" for d in (3, 10, 17, 24)) + "\n"
    assert "all rows are of Saturdays" in str(
        preview_import(text.encode(), Mapping(kind="sales"), "s.csv", AT)["notes"]
    )
    assert preview_import(text.encode(), WEEKS, "s.csv", AT)["notes"] == []
    three = text.rsplit("\n", 2)[0] + "\n"
    assert "Saturdays" not in str(preview_import(three.encode(), Mapping(kind="sales"), "s.csv", AT)["notes"])


@pytest.mark.parametrize("days", [1, 32, "7", True, 6.5])
def test_how_long_a_period_is_is_a_number_of_days(days: object) -> None:
    with pytest.raises(BadInputError, match="'period_days' in the mapping is no whole number of days"):
        parse_mapping(f"period_days: {days!r}".replace("True", "true"))
    with pytest.raises(BadInputError, match="says something of a file of sales"):
        preview_import(
            b"site_id,item_id,position_date,quantity\n1,A,2026-01-05,1\n",
            Mapping(kind="stock", period_days=7),
            "s.csv",
            AT,
        )
