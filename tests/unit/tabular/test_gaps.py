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
        (f"{HEAD},period_start_date\n1,A,2026-01-11,1,2026-01-05\n", "periods longer than a day"),
    ):
        with pytest.raises(BadInputError, match=words):
            preview_import(text.encode(), ZERO, "s.csv", AT)
    with pytest.raises(BadInputError, match="says what a file of sales does not list"):
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
