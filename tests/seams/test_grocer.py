"""A grocer's loose goods through the marts: facts as the scales showed them, whatever units the shops write in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.tabular import read_master
from tests.seams.grocer import ITEMS, UNREAD, Grocer
from tests.unit.dbt.models import build

FIRST, DAYS = date(2026, 3, 2), 21
KNOWN = datetime(2026, 3, 1, tzinfo=UTC)
MARTS = ("fct_demand_daily", "fct_inventory_daily", "fct_purchase_order_lines", "int_findings_detected", "dim_item")


def raw(grocer: Grocer, *masters: tuple[datetime, dict[str, str]]) -> dict[str, pl.DataFrame]:
    """Raw tables of a grocer's documents and of master files as they came."""
    made = [(known, body) for known, body in grocer.documents]
    documents = pl.DataFrame(
        [{"document_id": f"{n:064d}", "content": body, "available_at_utc": known} for n, (known, body) in enumerate(made)],
        schema={"document_id": pl.String, "content": pl.Binary, "available_at_utc": pl.Datetime("us", "UTC")},
    )  # fmt: skip
    batch = read_documents(documents)
    assert batch.rejects.is_empty(), batch.rejects["reason"].to_list()[:3]
    files = [
        {"document_id": f"m{n}{path}", "content": text.encode(), "source_uri": path, "mapping_json": None, "available_at_utc": known}
        for n, (known, of) in enumerate(masters) for path, text in of.items()
    ]  # fmt: skip
    stated = read_master(pl.DataFrame(files, schema_overrides={"mapping_json": pl.String, "available_at_utc": pl.Datetime("us", "UTC")}))  # fmt: skip
    assert stated.rejects.is_empty(), stated.rejects["reason"].to_list()
    return {**batch.facts, "raw_edi__interchanges": batch.interchanges, **stated.frames}


@cache
def grocer() -> Grocer:
    return Grocer(FIRST, DAYS)


@pytest.fixture(scope="module")
def marts() -> dict[str, pl.DataFrame]:
    return build(raw(grocer(), (KNOWN, grocer().masters())), *MARTS)


def figures(frame: pl.DataFrame, day: str, column: str) -> dict[tuple[Any, ...], float]:
    current = frame.filter(pl.col("superseded_at_utc").is_null(), pl.col(column).is_not_null())
    return {row[:3]: row[3] for row in current.select("item_id", "site_id", day, column).iter_rows()}


def test_sales_and_stock_are_what_the_scales_showed(marts: dict[str, pl.DataFrame]) -> None:
    sold = figures(marts["fct_demand_daily"], "demand_date", "sales_qty_ea")
    assert sold == pytest.approx(grocer().sold, abs=1e-5) and len(sold) == DAYS * 2 * len(ITEMS)
    closed = figures(marts["fct_inventory_daily"], "inventory_date", "closing_qty_ea")
    assert {k: v for k, v in closed.items() if k[0] != UNREAD} == pytest.approx(
        grocer().closed, abs=0.002
    )  # as rounded
    received = figures(marts["fct_inventory_daily"], "inventory_date", "receipts_qty_ea")
    assert {k: v for k, v in received.items() if v} == pytest.approx(grocer().received, abs=1e-5)


def test_prices_are_per_base_unit(marts: dict[str, pl.DataFrame]) -> None:
    told = figures(marts["fct_demand_daily"], "demand_date", "price_usd")
    assert told and told == pytest.approx({k: ITEMS[k[0]].price for k in told}, rel=1e-4)
    assert {item for item, _, _ in told} == set(ITEMS)


def test_orders_in_cases_by_weight_and_by_the_gtin_of_a_case_are_of_one_measure(marts: dict[str, pl.DataFrame]) -> None:
    lines = marts["fct_purchase_order_lines"]
    told = {(r["order_number"], r["item_id"]): r["ordered_qty_ea"] for r in lines.iter_rows(named=True)}
    assert told == pytest.approx(grocer().ordered)
    assert any(item == "SOAP" and number.startswith("PS1") for number, item in told)
    paid = lines.filter(pl.col("unit_price_usd").is_not_null())
    assert set(paid["item_id"]) == set(ITEMS) and paid["unit_price_usd"].to_list() == pytest.approx(
        [ITEMS[i].cost for i in paid["item_id"]], rel=1e-3
    )
    closed = lines.filter(pl.col("order_date") < date(2026, 3, 20))
    assert closed["received_qty_ea"].to_list() == pytest.approx(closed["ordered_qty_ea"].to_list())


def test_only_the_item_without_a_base_unit_is_kept_out_and_the_finding_says_what_to_write(marts: dict[str, pl.DataFrame]) -> None:  # fmt: skip
    found = marts["int_findings_detected"]
    assert set(found["kind_code"]) == {"unknown_unit"} and set(found["item_id"]) == {UNREAD}
    assert found.height == 3 * DAYS  # sales and stock of one shop, sales of the other
    for unit in ("LB", "KGM"):
        reason = f"item NUTS is counted in eaches and the line in {unit}; it is kept out until the item master says base_unit_code {unit} "
        assert any(text.startswith(reason) for text in found["reason"])
    assert found["money_at_risk_usd"].is_null().all()


def test_once_the_master_says_the_unit_all_lines_count_also_those_sent_before() -> None:
    later = datetime(2026, 3, 10, tzinfo=UTC)
    made = build(raw(grocer(), (KNOWN, grocer().masters()), (later, grocer().masters(complete=True))), *MARTS)
    assert made["int_findings_detected"].is_empty()
    sold = {k: v for k, v in figures(made["fct_demand_daily"], "demand_date", "sales_qty_ea").items() if k[0] == UNREAD}
    assert len(sold) == 2 * DAYS and {round(v, 9) for v in sold.values()} == {round(2.5 * 0.45359237, 9), 1.25}
    assert dict(made["dim_item"].select("item_id", "base_unit_code").iter_rows())[UNREAD] == "KGM"
