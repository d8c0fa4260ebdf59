"""A GTIN of the item master is known in every length in which partners write it, and from when to when it was whose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from aios_assets.contracts.raw_tables import RAW_MASTER_ITEMS, RAW_MASTER_SITES, RAW_MASTER_SUPPLIERS
from aios_assets.contracts.registry import TABLES
from tests.seams.dbt_world import frame_of
from tests.unit.dbt.models import build


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def dated(*items: tuple[int, str, str | None]) -> pl.DataFrame:
    """Aliases of items that were stated on a day of January with a GTIN."""
    rows = [
        {"item_id": item, "item_gtin": gtin, "pack_ea": 6, "document_id": f"{n:03d}", "line_no": 2, "available_at_utc": day(on)}
        for n, (on, item, gtin) in enumerate(items)
    ]  # fmt: skip
    return build({"raw_master__items": frame_of(RAW_MASTER_ITEMS, rows)}, "int_item_aliases")["int_item_aliases"]


def aliases(*items: tuple[str, str | None]) -> dict[str, str]:
    found = dated(*((1, *item) for item in items))
    assert found["alias"].is_unique().all()
    return dict(found.select("alias", "item_id").iter_rows())


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


def turns(found: pl.DataFrame, alias: str, owner: str) -> list[tuple[Any, ...]]:
    """Who had a name from which day of January on; 0: always."""
    told = found.filter(pl.col("alias") == alias).select(owner, "from_utc", "to_utc").sort("from_utc")
    assert (told["to_utc"][:-1] == told["from_utc"][1:]).all()  # no gap, and never two
    starts = [0, *told["from_utc"].dt.day()[1:]]
    return list(zip(told[owner], starts, strict=True))


def test_a_gtin_goes_on_naming_its_item_until_another_is_said_to_have_it() -> None:
    found = dated((1, "A", "4006381333931"), (5, "A", "14006381333938"), (9, "B", "04006381333931"), (12, "B", "04006381333931"), (15, "A", "4006381333931"))  # fmt: skip
    for alias in ("4006381333931", "04006381333931"):
        assert turns(found, alias, "item_id") == [("A", 0), ("B", 9), ("A", 15)]
    assert turns(found, "14006381333938", "item_id") == [("A", 0)]


def test_a_site_that_moved_is_known_by_both_gln_and_a_gln_may_go_on_to_another_site() -> None:
    def sites(*rows: tuple[int, str, str]) -> pl.DataFrame:
        said = [{"site_id": s, "site_gln": g, "site_type": "store", "document_id": f"{n}", "line_no": 2, "available_at_utc": day(d)} for n, (d, s, g) in enumerate(rows)]  # fmt: skip
        return frame_of(RAW_MASTER_SITES, said)

    supplier = {"supplier_id": "SUP", "supplier_gln": "G1", "document_id": "s", "line_no": 2, "available_at_utc": day(20)}  # fmt: skip
    raw = {
        "raw_master__sites": sites((1, "S1", "G1"), (5, "S1", "G2"), (9, "S2", "G1")),
        "raw_master__suppliers": frame_of(RAW_MASTER_SUPPLIERS, [supplier]),
    }
    found = build(raw, "int_party_aliases")["int_party_aliases"]
    assert turns(found, "G1", "party_id") == [("S1", 0), ("S2", 9)] and turns(found, "G2", "party_id") == [("S1", 0)]
    assert turns(found, "SUP", "is_site") == [(False, 0)]


def cases(*names: str, **item: Any) -> dict[str, tuple[str, bool]]:
    """Groupings that messages name, each a day after the other: item, and whether it is in doubt from some day on; A has a GTIN."""
    stated = {
        "item_id": "A",
        "item_gtin": "4006381333931",
        "document_id": "m",
        "line_no": 2,
        "available_at_utc": day(1),
        "pack_ea": 6,
    }
    lines = [
        {"item_id": name, "available_at_utc": day(n), "document_id": f"{n}", "interchange_no": 1, "set_no": 1, "segment_no": 2, "line_no": 1, "sender_id": "S"}
        for n, name in enumerate(names, start=2)
    ]  # fmt: skip
    raw = {
        "raw_master__items": frame_of(RAW_MASTER_ITEMS, [stated | item]),
        "raw_edi__order_lines": frame_of(TABLES["raw_edi__order_lines"], lines),
    }
    found = build(raw, "int_item_aliases")["int_item_aliases"].filter("is_case")
    certain = pl.col("doubted_from_utc") > datetime(9000, 1, 1, tzinfo=UTC)
    return {a: (i, not c) for a, i, c in found.select("alias", "item_id", certain).iter_rows()}


def test_a_grouping_is_known_by_the_gtin_in_it_and_nothing_else_is_a_grouping() -> None:
    strange = (
        "ABCDEFGHIJKLMN",
        "14006381333937",
        "94006381333934",
        "04006381333931",
        "24006381333936",
        "1400638133393",
        "",
    )
    assert cases("14006381333938", *strange) == {"14006381333938": ("A", False)}


def test_two_groupings_are_in_doubt_unless_the_master_says_which_of_them_is_the_pack() -> None:
    both = ("14006381333938", "24006381333935")
    assert cases(*both) == dict.fromkeys(both, ("A", True))
    assert cases(*both, case_gtin=both[1]) == {both[0]: ("A", True), both[1]: ("A", False)}
    assert cases(both[0], case_gtin=both[1]) == {both[0]: ("A", True)}


def test_a_grouping_that_is_an_item_of_the_master_is_that_item() -> None:
    assert not cases("14006381333938", item_gtin="14006381333938")
