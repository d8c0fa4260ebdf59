"""The project's codec against an independent writer: clean documents are accepted and say the truth, planted faults are found."""

from __future__ import annotations

import datetime as dt
import hashlib

import polars as pl
import pytest

batch = pytest.importorskip("aios_assets.edi.batch", reason="the EDI reader is not there")


@pytest.fixture(scope="module")
def read(tiny):
    """Everything in the tiny inbox, read at once; first deliveries only."""
    inbox = tiny.root / "inbox"
    rows = [
        (p, hashlib.sha256(c).hexdigest(), c, dt.datetime.fromtimestamp((inbox / p).stat().st_mtime, dt.UTC))
        for p, c in tiny.files.items()
        if p.startswith("edi/")
    ]
    frame = pl.DataFrame(rows, schema=["path", "document_id", "content", "available_at_utc"], orient="row")
    frame = frame.sort("available_at_utc", "path").unique("document_id", keep="first", maintain_order=True)
    return frame, batch.read_documents(frame)


def paths(frame: pl.DataFrame, ids: pl.Series) -> set[str]:
    return set(frame.filter(pl.col("document_id").is_in(ids.to_list()))["path"].to_list())


def test_clean_documents_are_accepted_and_broken_envelopes_are_not(tiny, read) -> None:
    frame, found = read
    not_clean = found.interchanges.filter(pl.col("verdict_code") != "accepted")
    refused = paths(frame, not_clean["document_id"])
    planted = {f["file"] for f in tiny.faults if f["expect_level"] == "reject"}
    assert refused == {p for p in planted if p in tiny.files}
    assert found.counts["lines_rejected"] == 0 and found.counts["sets_unmapped"] == 0
    assert found.interchanges.height == frame.height


def test_facts_of_clean_documents_are_the_truth(tiny, read) -> None:
    frame, found = read
    clean = frame.filter(~pl.col("path").is_in(list(tiny.faulty())))["document_id"].to_list()
    master = {k: pl.concat([pl.read_csv(c, infer_schema_length=None, schema_overrides={"item_gtin": pl.String, "site_gln": pl.String})
                            for p, c in sorted(tiny.files.items()) if p.startswith(f"master/{k}/")], how="vertical_relaxed")
              for k in ("items", "sites")}  # fmt: skip
    items = {r["item_gtin"]: r["item_id"] for r in master["items"].iter_rows(named=True)}
    sites = {r["site_gln"]: r["site_id"] for r in master["sites"].iter_rows(named=True)}
    pack = {r["item_id"]: r["pack_ea"] for r in master["items"].iter_rows(named=True)}

    def facts(table: str) -> pl.DataFrame:
        out = (
            found.facts[table].filter(pl.col("document_id").is_in(clean)).with_columns(pl.col("item_id").replace(items))
        )
        factor = (
            pl.when(pl.col("unit_code") == "CA").then(pl.col("item_id").replace_strict(pack, default=1)).otherwise(1)
        )
        return out.with_columns(quantity_ea=pl.col("quantity") * factor)

    stock = tiny.truth("stock")
    sold = facts("raw_edi__product_activity").with_columns(pl.col("site_id").replace(sites))
    for code, column in (
        ("QS", "sales_qty_ea"),
        ("QA", "closing_qty_ea"),
        ("QR", "receipts_qty_ea"),
        ("QT", "adjustments_qty_ea"),
    ):
        mine = sold.filter((pl.col("activity_code") == code) & (pl.col("item_id") != "X99999"))
        both = mine.join(
            stock, left_on=["item_id", "site_id", "activity_date"], right_on=["item_id", "site_id", "date"]
        )
        assert both.height > 10 and (both["quantity_ea"] == both[column]).all(), code
    counted = facts("raw_edi__inventory_positions").with_columns(pl.col("site_id").replace(sites))
    for code, column in (("17", "closing_qty_ea"), ("A5", "adjustments_qty_ea")):
        mine = counted.filter((pl.col("quantity_code") == code) & (pl.col("item_id") != "X99999"))
        both = mine.join(
            stock, left_on=["item_id", "site_id", "position_date"], right_on=["item_id", "site_id", "date"]
        )
        assert both.height > 10 and (both["quantity_ea"] == both[column]).all(), code
    for table, truth, column, key in (
        ("order_lines", "orders", "ordered_qty_ea", "order_number"),
        ("shipment_lines", "shipments", "shipped_qty_ea", "shipment_id"),
        ("receipt_lines", "receipts", "received_qty_ea", "shipment_id"),
    ):
        both = facts(f"raw_edi__{table}").join(tiny.truth(truth), on=[key, "item_id"], how="left")
        assert both.height > 400 and (both["quantity_ea"] == both[column]).all(), table
    answers = facts("raw_edi__order_responses").join(tiny.truth("orders"), on=["order_number", "item_id"])
    from_suppliers = answers.filter(pl.col("order_number").str.starts_with("PO"))
    assert from_suppliers.height > 100 and (from_suppliers["quantity_ea"] == from_suppliers["confirmed_qty_ea"]).all()
    assert (
        from_suppliers["promised_date"].fill_null(from_suppliers["promise_date"]) == from_suppliers["promise_date"]
    ).all()
    shipped = facts("raw_edi__shipment_lines").join(tiny.truth("shipments"), on=["shipment_id", "item_id"])
    assert (shipped["shipped_date"] == shipped["ship_date"]).all() and (
        shipped["expected_date"] == shipped["eta_date"]
    ).all()
    assert (shipped["order_number"] == shipped["order_number_right"]).all()
    late = found.facts["raw_edi__shipment_statuses"]
    assert set(late["status_code"]) == {"AF", "X6", "X1", "D1", "SD"}
    assert late.filter(pl.col("status_code") == "SD")["estimated_date"].null_count() == 0
