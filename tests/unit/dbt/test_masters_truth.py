"""Master data beside a plain reading of the documentation: late, changed, corrected and repeated statements over random messages."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from tests.seams.dbt_world import World
from tests.unit.dbt.marts_twin import Knowledge, Row
from tests.unit.dbt.masters_twin import DIMENSIONS, FEEDS, MEASURES, PARTIES, Stated, contained, dimensions
from tests.unit.dbt.models import build, failing
from tests.unit.dbt.test_marts_truth import DEMAND, STOCK, as_known, differences, instants, raw_of
from tests.unit.dbt.test_marts_truth import a_world as ledgers

FIRST = date(2026, 3, 7)  # clocks change the night after
GTINS = ("0000012345670", "4006381333931", "0036000291452", "96385074")
# Groupings of the second and third of these, the last with a wrong check digit, and a GTIN-14 of goods of variable measure.
CASES = ("14006381333938", "24006381333935", "10036000291459", "10036000291458", "94006381333934")
GLNS = ("4012345000009", "4012345000016", "4012345000023")
CONFORMED = {
    "product_activity": "int_activity_conformed",
    "inventory_positions": "int_positions_conformed",
    "order_lines": "int_order_lines_conformed",
    "order_responses": "int_order_responses_conformed",
    "shipment_lines": "int_shipment_lines_conformed",
    "receipt_lines": "int_receipt_lines_conformed",
}
SET_CODES = dict(zip(FEEDS, ("852", "846", "850", "855", "856", "861"), strict=True))
MASTERS = ("dim_item", "dim_site", "dim_supplier", "feat_item__attributes")


def moment(days: int, hours: int = 5) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=days, hours=hours)


def masters(world: World, draw: random.Random) -> None:
    """Lists of items, sites and suppliers, whole or in part, of which some come again; names and packs go from one to another."""
    said: dict[str, dict[str, Row]] = {"items": {}, "sites": {}, "suppliers": {}}
    for n, day in enumerate(sorted(draw.sample(range(12), 5))):
        for name, key, members in (("items", "item_id", "ABC"), ("sites", "site_id", ("S1", "S2", "DC")), ("suppliers", "supplier_id", ("SUP", "SUQ"))):  # fmt: skip
            rows, known = [], moment(day, draw.randrange(24))
            for member in members:
                if draw.random() < 0.35 and (said[name] or member != members[0]):
                    continue  # not in this list
                if member not in said[name] or draw.random() < 0.5:
                    said[name][member] = {key: member} | _statement(draw, name)
                rows.append(said[name][member])
            origin = {"document_id": f"{draw.randrange(1000):03d}{name}{n}", "available_at_utc": known}
            for line, row in enumerate(rows, start=2):
                world.rows.setdefault(f"raw_master__{name}", []).append(row | origin | {"line_no": line})


def _statement(draw: random.Random, name: str) -> Row:
    if name == "items":
        since = draw.choice([None, None, FIRST - timedelta(days=400), FIRST + timedelta(days=2)])
        return {
            "item_gtin": draw.choice([None, *GTINS]), "pack_ea": draw.choice([1, 6, 12]), "unit_cost_usd": draw.choice([None, 2.0, 3.0]),
            "unit_price_usd": draw.choice([3.0, 4.0]), "supplier_id": draw.choice(["SUP", "SUQ", None]), "pack_from_date": since,
            "shelf_life_days": draw.choice([None, 7, 30]), "category_code": draw.choice(["food", None]),
            **draw.choice([*[{}] * 6, {"base_unit_code": "KGM"}, {"base_unit_code": "KGM", "piece_ea": draw.choice([0.25, 1.5])}, {"base_unit_code": "GRM", "piece_ea": 250.0}, {"base_unit_code": "LTR"}]),
            "case_gtin": draw.choice([*[None] * 4, *CASES[:3]]),
        }  # fmt: skip
    if name == "sites":
        return {
            "site_gln": draw.choice([None, *GLNS]), "site_type": draw.choice(["store", "dc"]), "region_code": draw.choice(["N", "E", None]),
            "serving_site_id": draw.choice(["DC", None]),
        }  # fmt: skip
    return {
        "supplier_gln": draw.choice([None, *GLNS[1:], "4099999000001"]),
        "supplier_name": draw.choice(["One", "Two"]),
    }


def messages(world: World, draw: random.Random) -> None:
    """Lines of all feeds about a few days, by ids and numbers of then, of before and of nobody."""
    names = [*"ABC", *GTINS, *CASES, "000012345670", "12345670", "V1", "V2"]
    parties = ["S1", "S2", "DC", "SUP", "SUQ", *GLNS, "4099999000001", "NOWHERE", None]
    for n in range(60):
        known = moment(draw.randrange(13), draw.randrange(24))
        sent = draw.choice([None, known - timedelta(hours=1), known - timedelta(days=draw.randrange(6)), known + timedelta(days=1)])  # fmt: skip
        feed, day, lines = draw.choice([*FEEDS, *FEEDS[:2]]), FIRST + timedelta(days=draw.randrange(8)), []
        for _ in range(draw.choice([1, 2, 3])):
            row: Row = {
                "item_id": draw.choice(names),
                "item_gtin": draw.choice([None, None, *GTINS, "00000012345670", *CASES[:3]]),
            }
            row |= {
                "quantity": float(draw.randrange(24)),
                "unit_code": draw.choice(
                    [*["EA"] * 4, *["CA"] * 4, "cs ", "DZ", "ZZ", *["KGM", "LB"], draw.choice([*MEASURES])]
                ),
            }
            row |= {
                "activity_code": draw.choice(["QS", "QA", "QR"]),
                "quantity_code": "17",
                "action_code": "new",
                "order_number": f"P{n}",
            }
            row |= dict.fromkeys(
                ("activity_date", "position_date", "order_date", "response_date", "shipped_date", "received_date"), day
            )
            row |= {"receipt_id": f"R{n}", "shipment_id": f"H{n}", "unit_price": 3.0}
            row |= {column: draw.choice(parties) for column in PARTIES[feed]}
            row |= {c: draw.choice([p for p in parties if p]) for c in ("sender_id", "receiver_id") if c in row}
            lines.append(row)
        for row in lines[1:]:
            row |= {c: lines[0][c] for c in ("sender_id", "receiver_id") if c in row}  # a message has one sender
        world.message(f"raw_edi__{feed}", known, *lines, set_code=SET_CODES[feed], sent=sent)
        if sent is None:
            for row in world.rows[f"raw_edi__{feed}"][-len(lines) :]:
                row["sent_at_utc"] = None


def a_world(seed: int) -> World:
    world, draw = World(Path(f"masters-{seed}")), random.Random(seed)
    masters(world, draw)
    messages(world, draw)
    return world


def conformed(made: dict[str, pl.DataFrame], feed: str) -> dict[tuple[str, int], tuple[Any, ...]]:
    """Lines of a feed as dbt reads them, by document and segment."""
    columns = {
        "product_activity": ["site_id"], "inventory_positions": ["site_id"], "order_lines": ["ship_to_id", "buyer_id", "seller_id", "receiver_id"],
        "order_responses": ["seller_id", "sender_id"], "shipment_lines": ["ship_from_id", "ship_to_id", "sender_id"], "receipt_lines": ["site_id", "sender_id"],
    }[feed]  # fmt: skip
    rows = made[CONFORMED[feed]].join(made["int_sets_ranked"].select("set_rank", "document_id"), on="set_rank")
    found = {
        (r["document_id"], r["segment_no"]): (r["item_id"], tuple(r[c] for c in columns), _rounded(r["quantity_ea"]), r["reject_code"], bool(r["is_pack_assumed"]))
        for r in rows.iter_rows(named=True)
    }  # fmt: skip
    assert len(found) == rows.height
    return found


def test_a_line_means_what_its_names_and_cases_meant_when_it_was_written() -> None:
    met = dict.fromkeys(("rescaled", "former", "unknown", "converted", "piece", "grouping", "no pack"), 0)
    for seed in range(6):
        world = a_world(seed)
        for night in (moment(6), moment(14)):
            known, made = Stated(world.rows, night), build(raw_of(world, night), *CONFORMED.values(), "int_sets_ranked")
            for feed in FEEDS:
                rows = [r for r in world.rows.get(f"raw_edi__{feed}", []) if r["available_at_utc"] <= night]
                theirs = {(r["document_id"], r["segment_no"]): read(known, feed, r, met) for r in rows}
                ours = conformed(made, feed)
                wrong = [(k, ours.get(k), v) for k, v in theirs.items() if ours.get(k) != v]
                assert not wrong and ours.keys() == theirs.keys(), (seed, night, feed, wrong[:3])
    assert min(met.values()) > 10, str(met)


def read(known: Stated, feed: str, row: Row, met: dict[str, int]) -> tuple[Any, ...]:
    """A line as the plain reading has it; counts those that tell names and packs of then from those of now."""
    line = known.line(feed, row)
    is_kept, is_case = line.reject is None and line.item in known.items, row["unit_code"] in ("CA", "cs ")
    met["unknown"] += line.reject is not None
    met["rescaled"] += is_kept and is_case and line.factor != known.items[line.item][1]
    met["former"] += is_kept and row["item_id"] in GTINS and known.items[line.item][0] != row["item_id"]
    quantity = None if line.factor is None else _rounded(row["quantity"] * line.factor)
    met["converted"] += is_kept and row["unit_code"] in MEASURES
    met["piece"] += is_kept and known.base(line.item) is not None and row["unit_code"] in ("EA", "DZ")
    met["grouping"] += is_kept and contained(row["item_id"]) is not None
    met["no pack"] += line.reject == "unknown_pack"
    return (line.item, line.parties, quantity, line.reject, line.is_assumed)


def _rounded(quantity: float | None) -> float | None:
    return None if quantity is None else round(quantity, 9)


def test_dimensions_hold_who_was_stated_last_and_who_was_only_seen() -> None:
    for seed in range(3):
        world = a_world(seed)
        for night in (moment(2), moment(14)):
            made = build(raw_of(world, night), *DIMENSIONS, "feat_item__attributes")
            for name, theirs in dimensions(world.rows, night).items():
                key, columns = DIMENSIONS[name]
                rows = made[name].select(key, *columns, "is_in_master", "available_at_utc").rows()
                assert {row[0]: row[1:] for row in rows} == theirs and len(rows) == len(theirs), (seed, night, name)
            stated = {(r["item_id"], r["available_at_utc"]): r for r in Stated(world.rows, night).stated["items"]}
            told = {(r["item_id"], r["available_at_utc"]): r for r in made["feat_item__attributes"].to_dicts()}
            assert told.keys() == stated.keys()
            assert all(told[k][c] == stated[k].get(c) for k in told for c in told[k]), (seed, night)


def restated(world: World, *said: tuple[datetime, int]) -> None:
    """Item A is stated again, at these moments with these packs."""
    first = next(r for r in world.rows["raw_master__items"] if r["item_id"] == "A")
    for known, pack in said:
        world.rows["raw_master__items"].append(
            first | {"document_id": f"{known}", "available_at_utc": known, "pack_ea": pack}
        )


def test_demand_and_stock_are_told_in_the_packs_of_their_time() -> None:
    world = ledgers(5, sites=15)
    noon = datetime(2027, 12, 31, 15, tzinfo=UTC)
    restated(world, (datetime(2026, 3, 9, 15, tzinfo=UTC), 6), (noon, 12), (noon + timedelta(hours=13), 24), (datetime(2028, 2, 27, tzinfo=UTC), 6))  # fmt: skip
    made, last, doubts = build(raw_of(world), "fct_demand_daily", "fct_inventory_daily"), Stated(world.rows), 0
    for instant in instants(world):
        know = Knowledge(world.rows, last, instant)
        ours = as_known(made["fct_demand_daily"], "demand_date", DEMAND, instant)
        wrong = differences(instant, ours, know.demand())
        theirs = know.stock()
        stock = as_known(made["fct_inventory_daily"], "inventory_date", STOCK, instant)
        wrong += differences(
            instant, {k: v for k, v in stock.items() if k in theirs or v[1:5] != (0, 0, 0, None)}, theirs
        )
        assert not wrong, wrong[:3]
        doubts += sum(v[-1] for v in ours.values())
    assert doubts > 0


def test_a_pack_that_changes_leaves_what_was_told_before_byte_for_byte() -> None:
    world = ledgers(6, sites=8)
    before = build(raw_of(world), "fct_demand_daily", "fct_inventory_daily", "int_findings_detected")
    restated(world, (datetime(2029, 1, 1, tzinfo=UTC), 48))
    after = build(raw_of(world), *before)
    assert all(before[name].equals(after[name]) for name in before)


def test_no_check_of_dbt_stops_a_night_over_its_masters() -> None:
    for seed in range(1):
        found = failing(raw_of(a_world(seed)), "int_findings_detected", "fct_service_daily", *MASTERS)
        assert not {name: rows[:3] for name, rows in found.items() if rows}
