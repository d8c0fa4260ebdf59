"""The dbt project on a small lake made by hand: what each mart must say is worked out in the test, not by the project."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.gates import Evidence, Limit, judge, verdict_frame
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.dbt import write_docs
from aios_assets.resources.handing_in import import_file
from aios_assets.resources.lake import Lake
from aios_assets.tabular import Mapping, mapping_json, read_import
from planning.position import open_position
from tests.seams.dbt_world import DAY, World, at, build, dbt_environment, run_dbt
from tests.unit.dbt.test_open_orders import event, frame, open_orders_as_of
from tests.unit.edi.make import x12

pytestmark = pytest.mark.slow
EXPORTED = [t for t in TABLES.values() if t.writer == "dbt"]


def day(offset: int) -> date:
    return DAY + timedelta(days=offset)


def fill(world: World) -> World:
    """Two stores, a centre and a supplier over a week, with one of everything that goes wrong."""
    world.masters(at(day(-1)), {"A": 12, "B": 6}, {"S1": "store", "S2": "store", "DC": "dc"}, ["SUP"])
    # S1, item A: plain days, a correction of the second that comes two days late, a stock count, a zero sale.
    world.activity(day(0), "S1", "A", QS=3, QA=20, price=2.5)
    world.activity(day(1), "S1", "A", QS=5, QA=15)
    world.activity(day(2), "GLN-S1", "A", QA=27, QR=12)
    world.activity(day(1), "S1", "A", QS=4, QA=16, known=at(day(3)))
    world.activity(day(3), "S1", "A", QS=24, QA=25)  # two were sold: off by the pack
    world.activity(day(4), "S1", "A", QS=5, QA=20, QU=1, QT=-1)
    # S1, item B: sent as two cases; a second message overtakes the first.
    world.activity(day(0), "S1", "B", QS=2, QA=4, unit="CA")
    newer = at(day(1))
    world.activity(day(1), "S1", "B", QS=7, QA=17, known=newer, sent=newer - timedelta(minutes=3))
    world.activity(day(1), "S1", "B", QS=9, QA=15, known=newer + timedelta(hours=20), sent=newer - timedelta(hours=5))
    # S2 sells in one message and counts in another; B was counted and not sold.
    world.activity(day(0), "S2", "A", QS=6)
    world.position(day(0), "S2", "A", quantity=30)
    world.position(day(0), "S2", "B", quantity=9)
    # Lines that may not enter.
    world.activity(day(0), "S1", "NOBODY", QS=3)
    world.activity(day(0), "S9", "A", QS=3)
    world.activity(day(0), "S2", "B", QS=3, unit="ZZ")
    # The centre: counts, a supplier's delivery, a shipment to S1 that the store reports as received without naming it.
    world.position(day(0), "DC", "A", quantity=100)
    world.position(day(1), "DC", "A", quantity=112)
    world.position(day(1), "DC", "A", code="A5", quantity=-1)
    world.order("PO1", day(-3), "A", 4, source="SUP", site="DC", wanted=day(1), known=at(day(-3)))
    world.answer("PO1", day(-2), "A", 48, source="SUP", promised=day(0), known=at(day(-2)))
    world.shipment("H1", day(-1), "A", 25, order="PO1", source="SUP", site="DC", expected=day(1), known=at(day(-1)))
    world.status("H1", datetime(2026, 3, 2, 12, tzinfo=UTC), estimated=day(2))
    world.receipt("R1", day(1), "A", 25, site="DC", shipment="H1")
    world.order("ST1", day(0), "A", 12, source="DC", site="S1")
    world.shipment("H2", day(1), "A", 12, order="ST1", source="DC", site="S1")
    # An order cancelled, and one whose two changes arrive in the wrong order.
    world.order("PO2", day(0), "B", 6, source="SUP", site="DC")
    world.order("PO2", day(0), "B", 6, source="SUP", site="DC", action="cancel", known=at(day(1)))
    world.order("PO3", day(0), "B", 10, source="SUP", site="DC")
    world.order("PO3", day(0), "B", 6, source="SUP", site="DC", action="change", known=at(day(1)), sent=at(day(0), 8))
    world.order("PO3", day(0), "B", 8, source="SUP", site="DC", action="change", known=at(day(2)), sent=at(day(0), 7))
    # An order of two items cancelled by a message that names none of them and arrives first, and one refused as a whole.
    world.whole("PO4", day(1), "cancel", source="SUP", known=at(day(1)))
    world.order("PO4", day(0), "A", 5, source="SUP", site="S2", known=at(day(2)), sent=at(day(0)))
    world.order("PO4", day(0), "B", 7, source="SUP", site="S2", known=at(day(0)))
    world.order("PO5", day(0), "A", 3, source="SUP", site="S2")
    world.whole("PO5", day(1), "refuse", source="SUP")
    # One order line for two stores, answered in one figure, shipped in one notice; S1 reports its receipt without naming it.
    world.split_order("SD1", day(0), "B", {"S1": 6, "S2": 10}, source="DC")
    world.answer("SD1", day(0), "B", 16, source="DC", promised=day(2), known=at(day(0), 6))
    notice = {"order_number": "SD1", "shipment_id": "H3", "shipped_date": day(1), "ship_from_id": "DC", "item_id": "B"}
    lines = [notice | {"ship_to_site_id": site, "quantity": quantity} for site, quantity in (("S1", 6.0), ("S2", 10.0))]
    world.message("raw_edi__shipment_lines", at(day(1)), *lines, set_code="856")
    world.activity(day(3), "S1", "B", QA=23, QR=6)
    world.receipt("R3", day(3), "B", 4, site="S2", order="SD1")
    world.split_order("SD2", day(0), "A", {"S1": 6, "S2": 10}, source="SUP", total=20)
    # Two suppliers number their shipments alike; the carrier's word comes when only the first one's notice is known.
    for order, sender, days in (("PO8", "FIRST", 1), ("PO9", "SECOND", 3)):
        notice = {
            "order_number": order,
            "shipment_id": "77",
            "shipped_date": day(days),
            "item_id": "B",
            "quantity": 2.0,
        }
        world.message("raw_edi__shipment_lines", at(day(days)), notice | {"sender_id": sender}, set_code="856")
    world.status("77", datetime(2026, 3, 4, 12, tzinfo=UTC), estimated=day(5))
    # Orders and sales that name the currency of their prices.
    for n, currency in enumerate(("USD", "EUR"), 701):
        head = (f"BEG*00*SA*{currency}**{day(0):%Y%m%d}", f"CUR*BY*{currency}", "N1*SE*X*92*SUP", "N1*ST*X*92*S2")
        world.documents(x12("850", *head, "PO1*1*6*EA*200*HP*IN*A", control=n), known=at(day(0)))
        sold = (
            f"XQ*H*{day(n - 698):%Y%m%d}",
            f"CUR*BY*{currency}",
            "N1*BY*X*92*S2",
            "LIN**IN*A",
            "CTP**RES*9",
            "ZA*QS*1*EA",
        )
        world.documents(x12("852", *sold, control=n + 10), known=at(day(n - 698)))
    # A partner's test of an order.
    head = (f"BEG*00*SA*TEST**{day(0):%Y%m%d}", "N1*SE*X*92*SUP", "N1*ST*X*92*S2")
    tested = x12("850", *head, "PO1*1*6*EA***IN*A", control=721, sender="NEW").replace(b"*P*>", b"*T*>")
    world.documents(tested, known=at(day(0)))
    return world


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def lake(home: Path) -> Lake:
    made = fill(World(home / "lake")).write()
    build(home / "lake", home)
    return made


def rows(lake: Lake, table: str, **values: object) -> list[dict[str, object]]:
    frame = lake.read(table).filter(**values)
    return frame.sort(TABLES[table].key).to_dicts()


def test_a_correction_is_a_second_version_and_the_first_ends_when_it_is_known(lake: Lake) -> None:
    first, second = rows(lake, "fct_demand_daily", item_id="A", site_id="S1", demand_date=day(1))
    assert (first["sales_qty_ea"], second["sales_qty_ea"]) == (5, 4)
    assert first["superseded_at_utc"] == second["available_at_utc"] == at(day(3))
    assert (first["is_current"], second["is_current"]) == (False, True)


def test_an_older_message_that_comes_after_a_newer_one_never_counts(lake: Lake) -> None:
    current, stale = rows(lake, "fct_demand_daily", item_id="B", site_id="S1", demand_date=day(1))
    assert stale["sales_qty_ea"] == 9 and stale["superseded_at_utc"] == stale["available_at_utc"]
    assert current["sales_qty_ea"] == 7 and current["is_current"]


def test_counted_but_not_sold_is_zero_and_not_reported_is_no_row(lake: Lake) -> None:
    assert rows(lake, "fct_demand_daily", item_id="A", site_id="S1", demand_date=day(2))[0]["sales_qty_ea"] == 0
    assert rows(lake, "fct_demand_daily", item_id="B", site_id="S2", demand_date=day(0))[0]["sales_qty_ea"] == 0
    assert rows(lake, "fct_demand_daily", item_id="B", site_id="S1", demand_date=day(2)) == []
    assert rows(lake, "fct_demand_daily", site_id="DC") == []


def test_cases_become_eaches_by_the_master_s_pack_and_glns_become_sites(lake: Lake) -> None:
    row = rows(lake, "fct_demand_daily", item_id="B", site_id="S1", demand_date=day(0))[0]
    assert (row["sales_qty_ea"], row["closing_qty_ea"]) == (12, 24)
    assert rows(lake, "fct_demand_daily", item_id="A", site_id="S1", demand_date=day(2))


def test_sales_and_count_in_two_messages_are_one_version(lake: Lake) -> None:
    versions = rows(lake, "fct_demand_daily", item_id="A", site_id="S2", demand_date=day(0))
    assert [(v["sales_qty_ea"], v["closing_qty_ea"]) for v in versions] == [(6, 30)]


def test_the_balance_takes_the_close_before_as_its_opening(lake: Lake) -> None:
    known_first, corrected = rows(lake, "fct_inventory_daily", item_id="A", site_id="S1", inventory_date=day(2))
    assert (known_first["opening_qty_ea"], known_first["residual_qty_ea"]) == (15, 0)
    assert (corrected["opening_qty_ea"], corrected["residual_qty_ea"]) == (16, 1)
    assert corrected["available_at_utc"] == at(day(3))
    last = rows(lake, "fct_inventory_daily", item_id="A", site_id="S1", inventory_date=day(4))[0]
    assert (last["opening_qty_ea"], last["outbound_qty_ea"], last["adjustments_qty_ea"]) == (25, 5, 0)


def test_a_centre_balances_its_counts_with_receipts_shipments_and_adjustments(lake: Lake) -> None:
    row = rows(lake, "fct_inventory_daily", item_id="A", site_id="DC", inventory_date=day(1), is_current=True)[0]
    assert [row[c] for c in ("opening_qty_ea", "receipts_qty_ea", "outbound_qty_ea", "adjustments_qty_ea", "closing_qty_ea")] == [100, 25, 12, -1, 112]  # fmt: skip
    assert row["residual_qty_ea"] == 0


def test_a_quantity_off_by_the_pack_stays_as_sent_and_is_flagged(lake: Lake) -> None:
    row = rows(lake, "fct_demand_daily", item_id="A", site_id="S1", demand_date=day(3))[0]
    assert (row["sales_qty_ea"], row["is_suspect"]) == (24, True)
    finding = rows(lake, "int_findings_detected", kind_code="unit_off_by_pack")
    assert [(f["value"], f["expected_value"], f["money_at_risk_usd"]) for f in finding] == [(24, 2, 44)]


def test_every_line_kept_out_has_a_finding_with_its_reason(lake: Lake) -> None:
    findings = lake.read("int_findings_detected")
    counts = dict(findings.group_by("kind_code").len().iter_rows())
    assert {k: counts.get(k) for k in ("unknown_item", "unknown_site", "unknown_unit")} == {
        "unknown_item": 1, "unknown_site": 1, "unknown_unit": 1,
    }  # fmt: skip
    assert counts["corrected_document"] == 1 and counts["out_of_order_document"] == 1 and counts["late_document"] == 1
    assert findings["finding_id"].is_unique().all() and findings["document_id"].null_count() == 0


def test_a_store_s_unnamed_receipt_closes_its_order(lake: Lake) -> None:
    order = rows(lake, "fct_purchase_order_lines", order_number="ST1")[0]
    assert (order["source_id"], order["site_id"], order["received_date"]) == ("DC", "S1", day(2))
    assert (order["received_qty_ea"], order["open_qty_ea"]) == (12, 0)


def test_an_order_is_what_its_messages_say_in_the_order_they_were_sent(lake: Lake) -> None:
    first = rows(lake, "fct_purchase_order_lines", order_number="PO1")[0]
    assert (first["confirmed_qty_ea"], first["received_qty_ea"], first["open_qty_ea"]) == (48, 25, 23)
    assert (first["promised_date"], first["expected_date"], first["shipped_date"]) == (day(0), day(2), day(-1))
    cancelled = rows(lake, "fct_purchase_order_lines", order_number="PO2")[0]
    assert cancelled["is_cancelled"] and cancelled["open_qty_ea"] == 0
    changed = rows(lake, "fct_purchase_order_lines", order_number="PO3")[0]
    assert (changed["ordered_qty_ea"], changed["open_qty_ea"]) == (6, 6)


def test_a_price_in_another_currency_is_no_price_in_ours(lake: Lake) -> None:
    prices = [
        rows(lake, "fct_purchase_order_lines", order_number=name)[0]["unit_price_usd"] for name in ("USD", "EUR", "PO3")
    ]
    assert prices == [2.0, None, 2.0]
    sold = rows(lake, "fct_demand_daily", item_id="A", site_id="S2")
    assert {r["demand_date"]: r["price_usd"] for r in sold} == {day(0): None, day(3): 9.0, day(4): None}
    raw = lake.read("raw_edi__order_lines").drop_nulls("currency_code")
    assert sorted(raw["currency_code"]) == ["EUR", "USD"] and raw["unit_price"].to_list() == [2.0, 2.0]
    told = sorted(rows(lake, "int_findings_detected", kind_code="foreign_currency"), key=lambda r: r["finding_date"])
    assert [(r["finding_date"], r["subject"], r["value"]) for r in told] == [(day(0), "EUR", 1.0), (day(4), "EUR", 1.0)]
    assert "prices in EUR (lines: 1, senders: 1) are left out" in told[0]["reason"]


def test_what_is_said_of_a_whole_order_is_said_of_each_line_once_both_are_known(lake: Lake) -> None:
    first, second = rows(lake, "fct_purchase_order_lines", order_number="PO4")
    assert (first["is_cancelled"], first["open_qty_ea"], second["is_cancelled"], second["open_qty_ea"]) == (
        True,
        0,
        True,
        0,
    )
    events = rows(lake, "fct_order_events", order_number="PO4", event_code="cancelled")
    assert [(e["item_id"], e["available_at_utc"]) for e in events] == [("A", at(day(2))), ("B", at(day(1)))]
    refused = rows(lake, "fct_purchase_order_lines", order_number="PO5")[0]
    assert (refused["confirmed_qty_ea"], refused["open_qty_ea"], refused["is_cancelled"]) == (0, 0, False)


def test_an_order_for_several_stores_stands_at_each_of_them_and_so_does_what_is_on_order(lake: Lake) -> None:
    first, second = rows(lake, "fct_purchase_order_lines", order_number="SD1")
    figures = ("site_id", "ordered_qty_ea", "confirmed_qty_ea", "shipped_qty_ea", "received_qty_ea", "open_qty_ea")
    assert [first[c] for c in figures] == ["S1", 6, 6, 6, 6, 0]
    assert [second[c] for c in figures] == ["S2", 10, 10, 10, 4, 6]
    assert (first["received_date"], second["promised_date"], second["source_id"]) == (day(3), day(2), "DC")
    night = open_orders_as_of(lake.read("fct_order_events"), at(day(2)))
    on_order = open_position(night).filter(pl.col("item_id") == "B", pl.col("site_id").is_in(["S1", "S2", "HQ"]))
    assert on_order.select("site_id", "on_order_qty_ea").rows() == [("S1", 6), ("S2", 10)]
    lanes = {r["lane_id"]: r["open_orders"] for r in rows(lake, "feat_supplier_lane__lead_time", feature_date=day(2))}
    assert (lanes["DC>S1"], lanes["DC>S2"]) == (1, 1)


def test_the_fold_in_python_is_the_fold_in_sql(lake: Lake) -> None:
    now = datetime(2100, 1, 1, tzinfo=UTC)
    folded = open_orders_as_of(lake.read("fct_order_events"), now, include_closed=True)
    assert_frame_equal(folded, lake.read("fct_purchase_order_lines").sort("order_number", "item_id", "ship_to_no"))


def test_a_test_is_no_order_and_is_told(lake: Lake) -> None:
    assert lake.count("raw_edi__order_lines") > 0 == len(rows(lake, "fct_purchase_order_lines", order_number="TEST"))
    finding = rows(lake, "int_findings_detected", kind_code="test_interchange")
    assert [(f["finding_date"], f["subject"], f["value"]) for f in finding] == [(day(0), "NEW", 1)]


def test_stores_that_do_not_add_up_to_their_line_stand_as_sent_and_are_told(lake: Lake) -> None:
    finding = rows(lake, "int_findings_detected", kind_code="stores_differ")
    assert [(f["value"], f["expected_value"], f["money_at_risk_usd"], f["item_id"]) for f in finding] == [
        (16, 20, 8, "A")
    ]
    lines = rows(lake, "fct_purchase_order_lines", order_number="SD2")
    assert [(r["site_id"], r["open_qty_ea"]) for r in lines] == [("S1", 6), ("S2", 10)]
    assert finding[0]["document_id"] == lines[0]["document_id"] and "set 1 segment 6" in str(finding[0]["subject"])


@pytest.mark.parametrize("seed", range(20))
def test_the_fold_in_sql_is_the_fold_in_python_over_any_messages_for_any_sites(
    seed: int, lake: Lake, home: Path
) -> None:
    """The compiled model over random messages about two lines, answered, changed, moved and split among up to four sites."""
    events = frame(random_messages(random.Random(seed), 40))
    sql = next((home / "dbt" / "target" / "compiled").rglob("marts/supply/fct_purchase_order_lines.sql")).read_text()
    with duckdb.connect() as db:
        db.execute("set timezone = 'UTC'")
        db.register("given", events.to_arrow())
        said = "sent_at_utc nulls first, try_cast(control_number as bigint) nulls first, control_number, document_id, set_no"
        db.execute(
            f"create table int_order_events_gathered as select *, dense_rank() over (order by {said}) as said_rank from given"
        )
        made = pl.DataFrame(db.sql(sql).to_arrow_table())
    table = TABLES["fct_purchase_order_lines"]
    made = made.with_columns(pl.col(pl.Datetime).dt.convert_time_zone("UTC")).cast(dict(table.schema)).sort(table.key)  # type: ignore[arg-type]
    folded = open_orders_as_of(events, datetime(2100, 1, 1, tzinfo=UTC), include_closed=True)
    assert_frame_equal(folded, made)
    assert folded["site_id"].n_unique() > 1


def random_messages(draw: random.Random, count: int) -> list[dict[str, object]]:
    """Messages of one to three lines each, sent and known in different orders."""
    codes = ["ordered", "changed", "cancelled", "confirmed", "shipped", "received", "status"]
    rows = []
    for n in range(count):
        code, sent = draw.choice(codes), draw.randrange(400)
        for line in range(draw.randint(1, 3)):
            quantity = None if code == "status" else 0.0 if code == "cancelled" else float(draw.randrange(20))
            row = event(n, code, quantity, sent=sent, known=sent + draw.randrange(200), segment_no=2 + line)
            row |= {"order_number": draw.choice(["P", "Q"]), "site_id": draw.choice([None, "S1", "S2", "S3", "DC"])}
            row |= {"reference_id": draw.choice(["R1", "R2"]), "unit_price_usd": draw.choice([None, 2.0])}
            expected = None if draw.random() < 0.5 else day(draw.randrange(30))
            rows.append(row | {"expected_date": expected, "source_id": draw.choice([None, "X", "Y"])})
    return rows


def test_service_counts_items_stockouts_and_promises_kept(lake: Lake) -> None:
    row = rows(lake, "fct_service_daily", site_id="S1", service_date=day(0))[0]
    assert (row["items"], row["stockout_items"], row["sales_qty_ea"]) == (2, 0, 15)
    assert row["on_hand_value_usd"] == 2.0 * (20 + 24) and row["in_stock_frac"] == 1
    assert rows(lake, "fct_service_daily", site_id="DC", service_date=day(1))[0]["otif_frac"] == 0  # after the promise


def test_lane_features_know_only_what_was_known_at_the_cut_off(lake: Lake) -> None:
    lane = {r["feature_date"]: r for r in rows(lake, "feat_supplier_lane__lead_time", lane_id="SUP>DC")}
    assert (lane[day(0)]["orders_90d"], lane[day(0)]["open_orders"]) == (0, 3)
    assert (lane[day(1)]["orders_90d"], lane[day(1)]["open_orders"]) == (1, 1)
    assert lane[day(1)]["lead_time_days_p50_90d"] == 4 and lane[day(1)]["late_frac_90d"] == 1
    assert lane[day(1)]["available_at_utc"] == datetime(2026, 3, 4, 7, tzinfo=UTC)


def test_dimensions_tell_what_masters_state_from_what_was_only_seen(lake: Lake) -> None:
    items = {r["item_id"]: r for r in rows(lake, "dim_item")}
    assert items["A"]["is_in_master"] and not items["NOBODY"]["is_in_master"] and items["NOBODY"]["pack_ea"] == 1
    assert not {r["site_id"]: r for r in rows(lake, "dim_site")}["S9"]["is_in_master"]


def test_windows_leave_the_same_tables_as_one_full_build(lake: Lake, home: Path, tmp_path: Path) -> None:
    """Built up to the second day, then late messages land and only the touched days are made again."""
    late = tmp_path / "lake"
    full = fill(World(home / "lake"))
    early, rest = World(late), World(late)
    for name, raw in full.rows.items():
        cut = at(day(1))
        early.rows[name] = [r for r in raw if r["available_at_utc"] <= cut]
        rest.rows[name] = [r for r in raw if r["available_at_utc"] > cut]
    early.write()
    build(late, tmp_path)
    rest.write()
    build(late, tmp_path, (day(-3), day(6)))
    built = Lake(late)
    for table in EXPORTED:
        assert_frame_equal(built.read(table.name), lake.read(table.name), check_row_order=False)


def test_the_unit_tests_of_the_models_pass(lake: Lake, home: Path) -> None:
    printed = run_dbt(
        ["build", "--select", "+test_type:unit", "--exclude-resource-type", "test"],
        dbt_environment(home / "lake", home),
    )
    assert printed.count(" PASS ") >= 7 and "ERROR=0" in printed


def test_the_documentation_names_every_exported_table(lake: Lake, home: Path) -> None:
    page = write_docs(home, home / "lake").read_text(encoding="utf-8")
    assert {t.name for t in EXPORTED if f"model.aios.{t.name}" not in page} == set()


def test_no_input_at_all_gives_empty_marts(tmp_path: Path) -> None:
    build(tmp_path / "lake", tmp_path)
    built = Lake(tmp_path / "lake")
    assert {t.name: built.read(t.name).height for t in EXPORTED} == {t.name: 0 for t in EXPORTED}


def test_without_masters_everything_is_taken_as_sent(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.activity(day(0), "0012345", "UPC1", QS=3, QA=4, unit="CA")
    world.order("P", day(0), "UPC1", 5, source="SELLER", site="0012345")
    built = world.write()
    build(tmp_path / "lake", tmp_path)
    sold = built.read("fct_demand_daily").row(0, named=True)
    assert (sold["item_id"], sold["site_id"], sold["sales_qty_ea"]) == ("UPC1", "0012345", 3)
    assert set(built.read("int_findings_detected")["kind_code"]) == {"unknown_pack"}
    assert built.read("fct_purchase_order_lines")["open_qty_ea"].to_list() == [5]
    assert not built.read("dim_item")["is_in_master"].any()
    assert pl.Series(built.read("dim_supplier")["supplier_id"]).to_list() == ["SELLER"]


def take(lake: Lake, files: list[tuple[bytes, str, str, datetime]]) -> None:
    """Imported files (content, name, mapping, known) into the raw tables."""
    names = ["content", "source_uri", "mapping_json", "available_at_utc"]
    documents = pl.DataFrame(files, schema=names, orient="row").with_columns(
        pl.col("content").map_elements(lambda c: hashlib.sha256(c).hexdigest(), pl.String).alias("document_id"),
        pl.col("available_at_utc").dt.cast_time_unit("us"),
    )
    for name, facts in read_import(documents).frames.items():
        lake.write(name, facts)


def test_imported_receipts_close_their_orders_however_often_a_file_repeats_them(tmp_path: Path) -> None:
    """Every evening's export holds all receipts so far: what it repeats counts once, what it corrects counts anew."""
    lake = Lake(tmp_path / "lake")
    orders = "order_number,order_date,item_id,quantity,ship_to_site_id,seller_id\n" + "".join(
        f"{number},{day(0)},A,{quantity},S1,SUP\n"
        for number, quantity in (("P1", 10), ("P2", 20), ("P3", 30), ("P4", 40))
    )
    header = "order_number,received_date,item_id,quantity,site_id,rejected_quantity\n"
    first = f"{header}P1,{day(2)},A,6,S1,\nP2,{day(2)},A,20,S1,\nP3,{day(2)},A,25,S1,5\n"
    second = f"{header}P1,{day(2)},A,6,S1,\nP1,{day(3)},A,3,S1,\nP1,{day(3)},A,1,S1,\nP2,{day(2)},A,18,S1,\nP3,{day(2)},A,25,S1,5\n"
    said, came = mapping_json(Mapping(kind="orders")), mapping_json(Mapping(kind="receipts"))
    take(lake, [(orders.encode(), "orders.csv", said, at(day(0)))])
    take(lake, [(text.encode(), "receipts.csv", came, at(day(known))) for text, known in ((first, 2), (second, 3))])
    build(tmp_path / "lake", tmp_path)
    lines = lake.read("fct_purchase_order_lines").sort("order_number")
    assert lines.select("order_number", "received_qty_ea", "refused_qty_ea", "open_qty_ea").rows() == [
        ("P1", 10, 0, 0), ("P2", 18, 0, 2), ("P3", 25, 5, 0), ("P4", 0, 0, 40),
    ]  # fmt: skip


def test_history_loaded_at_once_was_known_day_by_day_and_a_correction_from_its_own_arrival(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    header = "site_id,item_id,activity_date,quantity\n"
    history = header + "".join(f"S1,A,{day(n)},{n + 1}\n" for n in range(5))
    once = mapping_json(Mapping(kind="sales", known_after_days=0))
    take(lake, [(history.encode(), "history.csv", once, at(day(9)))])
    take(lake, [(f"{header}S1,A,{day(3)},40\n".encode(), "s.csv", mapping_json(Mapping(kind="sales")), at(day(8)))])
    take(lake, [(f"{header}S1,A,{day(2)},30\n".encode(), "s.csv", mapping_json(Mapping(kind="sales")), at(day(10)))])
    orders = f"order_number,order_date,item_id,quantity,ship_to_site_id\nP1,{day(1)},A,10,S1\nP2,{day(4)},A,20,S1\n"
    take(lake, [(orders.encode(), "o.csv", mapping_json(Mapping(kind="orders", known_after_days=1)), at(day(9)))])
    build(tmp_path / "lake", tmp_path)
    known = lake.read("fct_demand_daily")
    for n in range(5):
        seen = known.filter(
            pl.col("demand_date") == day(n), pl.col("available_at_utc").dt.date() <= day(n),
            pl.col("superseded_at_utc").is_null() | (pl.col("superseded_at_utc").dt.date() > day(n)),
        )  # fmt: skip
        assert seen["sales_qty_ea"].to_list() == [n + 1], n
    # The file of day 8 was there before the history: what came last counts, and what day 10 corrects is known from then.
    current = known.filter(pl.col("is_current")).sort("demand_date")
    assert current["sales_qty_ea"].to_list() == [1, 2, 30, 4, 5]
    assert current["available_at_utc"].dt.date().to_list() == [day(0), day(1), at(day(10)).date(), day(3), day(4)]
    events = lake.read("fct_order_events").sort("order_number")
    assert events["available_at_utc"].dt.date().to_list() == [day(2), day(5)]


def test_history_is_refused_once_a_night_could_have_known_it(tmp_path: Path) -> None:
    lake, file, mapping = Lake(tmp_path / "lake"), tmp_path / "s.csv", tmp_path / "m.yaml"
    file.write_text(f"site_id,item_id,activity_date,quantity\nS1,A,{day(0)},3\n")
    mapping.write_text("known_after_days: 0\n")
    assert import_file(lake, "sales", file, mapping, 1_000_000)["new"]
    limit = Limit("label_delay", "days", "at_most", 2.0, 0, 9, "a test", "a test", day(0))
    verdict = judge(limit, Evidence(0.0, 1, day(0)), subject="actuals", as_of=day(0))
    lake.write("mon_gate_verdicts", verdict_frame([verdict], available_at_utc=at(day(1))), window=(day(0), day(1)))
    file.write_text(f"site_id,item_id,activity_date,quantity\nS1,A,{day(0)},4\n")
    with pytest.raises(BadInputError, match="a night was run already"):
        import_file(lake, "sales", file, mapping, 1_000_000)
    assert import_file(lake, "sales", file, None, 1_000_000)["new"]


def test_the_imported_file_that_reached_us_last_counts_whatever_its_hash(tmp_path: Path) -> None:
    """Six days, each stated by two files: with the hash as judge, all six come out right once in 64 times."""
    lake = Lake(tmp_path / "lake")
    mapping = mapping_json(Mapping(kind="sales"))
    header = "site_id,item_id,activity_date,quantity\n"
    files = [
        (f"{header}S1,A,{day(n)},{quantity}\n".encode(), f"{n}-{quantity}.csv", mapping, at(day(known)))
        for n in range(6)
        for quantity, known in ((n + 1, 6), (n + 11, 7))
    ]
    take(lake, files)
    build(tmp_path / "lake", tmp_path)
    current = lake.read("fct_demand_daily").filter(pl.col("is_current")).sort("demand_date")
    assert current["sales_qty_ea"].to_list() == [11, 12, 13, 14, 15, 16]


def test_an_imported_order_that_names_no_supplier_has_none(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    line = {"order_date": day(0), "action_code": "new", "quantity": 5.0, "ship_to_site_id": "S1", "item_id": "A"}
    known = at(day(0))
    ours = {"receiver_id": "aios", "sender_id": "import"}
    world.message(
        "raw_edi__order_lines", known, line | ours | {"order_number": "P1", "order_line": "2"}, set_code="orders"
    )
    named = ours | {"order_number": "P2", "order_line": "2", "seller_id": "0007"}
    world.message("raw_edi__order_lines", known, line | named, set_code="orders")
    built = world.write()
    build(tmp_path / "lake", tmp_path)
    lines = built.read("fct_purchase_order_lines").sort("order_number")
    assert lines.select("order_number", "source_id", "open_qty_ea").rows() == [("P1", None, 5), ("P2", "0007", 5)]
    assert built.read("dim_supplier")["supplier_id"].to_list() == ["0007"]


def test_a_status_is_about_the_sender_whose_shipment_of_that_number_was_known(lake: Lake) -> None:
    events = lake.read("fct_order_events", where=(pl.col("event_code") == "status") & (pl.col("shipment_id") == "77"))
    assert events.select("order_number", "expected_date").rows() == [("PO8", day(5))]
