"""A GTIN of the item master is known in every length in which partners write it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

MODEL = Path(__file__).parents[3] / "dbt_project/models/intermediate/reference/int_item_aliases.sql"


def aliases(*items: tuple[str, str | None]) -> dict[str, str]:
    with duckdb.connect() as db:
        db.execute("create table items (item_id varchar, item_gtin varchar, pack_ea integer)")
        db.executemany("insert into items values (?, ?, 6)", items)
        found = db.execute(MODEL.read_text().replace("{{ ref('int_items_current') }}", "items")).fetchall()
    assert all(pack == 6 for _, _, pack in found)
    return {alias: item for alias, item, _ in found}


@pytest.mark.parametrize("stated", ["012345678905", "0012345678905", "00012345678905", "12345678905"])
def test_a_upc_that_begins_with_zero_is_known_with_12_13_and_14_digits(stated: str) -> None:
    known = aliases(("A", stated))
    assert {known.get(gtin) for gtin in ("012345678905", "0012345678905", "00012345678905")} == {"A"}


def test_short_and_long_numbers_are_known_as_they_are_and_padded() -> None:
    known = aliases(("A", "96385074"), ("B", "4006381333931"), ("C", "14006381333938"), ("D", None), ("E", ""))
    assert known.keys() == {
        "A", "B", "C", "D", "E", "96385074", "000096385074", "0000096385074", "00000096385074",
        "4006381333931", "04006381333931", "14006381333938",
    }  # fmt: skip


def test_an_id_of_ours_goes_before_a_gtin_of_another_item() -> None:
    known = aliases(("A", "12345678"), ("12345678", None))
    assert known["12345678"] == "12345678" and known["00000012345678"] == "A"
