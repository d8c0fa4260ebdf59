"""Demand and stock marts beside a plain reading of the documentation, at every instant at which anything became known, over random messages."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aios_assets.contracts.registry import TABLES
from aios_assets.marts.versions import known_at
from ml.features import demand_features
from tests.seams.dbt_world import World, frame_of
from tests.unit.dbt.marts_twin import Knowledge, Master, Row
from tests.unit.dbt.models import build

MASTER = Master(
    {"A": ("0000012345670", 12), "B": ("4006381333931", 6), "C": ("0036000291452", 1)},
    {f"S{n:02d}": f"GLN-S{n:02d}" for n in range(40)},
)
FIRSTS = (date(2026, 3, 7), date(2027, 12, 30), date(2028, 2, 27))  # clocks change, a year ends, a leap day
MARTS = ("fct_demand_daily", "fct_inventory_daily")
DEMAND = ("sales_qty_ea", "returns_qty_ea", "closing_qty_ea", "is_stockout", "price_usd", "is_suspect")
STOCK = (
    "opening_qty_ea",
    "receipts_qty_ea",
    "outbound_qty_ea",
    "adjustments_qty_ea",
    "closing_qty_ea",
    "residual_qty_ea",
    "is_suspect",
)
DATES = ("activity_date", "position_date", "received_date", "shipped_date", "said_date")
CODES = [
    ("QS", "QA"), ("QS", "QA"), ("QS", "QA", "QR"), ("QS", "QA", "QT", "QU"), ("QS",), ("QA",), ("QR",), ("QU",), ("QT", "QA"), ("QS", "QU"), ("QP",),
]  # fmt: skip


def named(draw: random.Random) -> dict[str, Any]:
    """An item by id or GTIN, now and then one that nobody knows."""
    item = draw.choice("AAAAB")
    gtin = MASTER.items[item][0]
    return draw.choice(
        [
            {"item_id": item}, {"item_id": item, "item_gtin": gtin}, {"item_id": gtin}, {"item_id": "V-77", "item_gtin": gtin.rjust(14, "0")},
            {"item_id": gtin.lstrip("0").rjust(12, "0")}, {"item_id": item},
            {"item_id": "NOBODY"} if draw.random() < 0.2 else {"item_id": item},
        ]
    )  # fmt: skip


def quantity(draw: random.Random, item: str) -> dict[str, Any]:
    """Mostly eaches; sales may be below zero; whole packs often, so that balances close by a pack."""
    size = draw.choice([draw.randrange(0, 9), draw.randrange(-2, 20), 12, 24, 0])
    return {"quantity": float(size), "unit_code": draw.choice(["EA"] * 8 + ["CA", " pce", "DZ", "ZZ"])}


def a_site(world: World, draw: random.Random, site: str, first: date) -> None:
    """Messages of one site about four days, in any order, sent and known at moments of their own."""
    nights = [
        datetime(first.year, first.month, first.day, 5, tzinfo=UTC) + timedelta(days=n, hours=3 * (n % 3))
        for n in range(1, 7)
    ]
    for _ in range(12):
        day = first + timedelta(days=draw.randrange(3))
        known = draw.choice(nights)
        sent = draw.choice(
            [None, known - timedelta(minutes=3), known - timedelta(days=draw.randrange(3), hours=2), nights[0]]
        )
        where = draw.choice([site] * 5 + [MASTER.sites[site]] + (["NOWHERE"] if draw.random() < 0.2 else []))
        kind = draw.choice(["activity"] * 5 + ["position"] * 3 + ["receipt", "shipment", "adjusted", "back"])
        lines: list[Row] = []
        for _ in range(draw.choice([1, 1, 2, 3])):
            item = named(draw)
            if kind == "activity":
                price = draw.choice([None, 2.5, 3.0])
                said = {
                    "site_id": where,
                    "activity_date": day,
                    "unit_price": price,
                    "currency_code": draw.choice([None, "USD", "EUR"]),
                }
                lines += [item | said | {"activity_code": code} | quantity(draw, code) for code in draw.choice(CODES)]
            elif kind in ("position", "adjusted"):
                codes = draw.choice([("17",), ("17", "A5"), ("33",), ("17", "33")]) if kind == "position" else ("A5",)
                lines += [
                    item | {"site_id": where, "position_date": day, "quantity_code": c} | quantity(draw, c)
                    for c in codes
                ]
            elif kind == "receipt":
                lines.append(
                    item
                    | {"receipt_id": draw.choice(["R1", "R2"]), "received_date": day, "site_id": where}
                    | quantity(draw, "")
                )
            elif kind == "back":
                code, numbers = draw.choice([("received", ["R1", "R2"]), ("shipped", ["H1", "H2"])])
                lines = [
                    {"notice_code": code, "notice_id": draw.choice(numbers), "party_id": where, "said_date": day}
                    | {"action_code": draw.choice(["cancel", "replace"])}
                ]
            else:
                said = {
                    "shipment_id": draw.choice(["H1", "H2"]),
                    "shipped_date": day,
                    "ship_from_id": where,
                    "ship_to_site_id": "S01",
                }
                lines.append(item | said | {"order_number": "P"} | quantity(draw, ""))
        tables = {"activity": "product_activity", "receipt": "receipt_lines", "shipment": "shipment_lines"}
        tables["back"] = "whole_notices"
        world.message(f"raw_edi__{tables.get(kind, 'inventory_positions')}", known, *lines, sent=sent)
        if sent is None:
            for row in world.rows[f"raw_edi__{tables.get(kind, 'inventory_positions')}"][-len(lines) :]:
                row["sent_at_utc"] = None


def a_ledger(world: World, draw: random.Random, site: str, first: date) -> None:
    """Three days of a shelf that balances, but for one figure that is off by the pack or by some units; some reports are late, some corrected."""
    on_hand, known = 40.0, datetime(first.year, first.month, first.day, 5, tzinfo=UTC)
    off = draw.randrange(3)
    for n in range(4):
        sold, got, back = float(draw.randrange(5)), float(draw.choice([0, 0, 12])), float(draw.choice([0, 0, 1]))
        on_hand += got + back - sold
        said = {"QS": sold, "QA": on_hand, "QR": got, "QU": back}
        if n == off:
            wrong = draw.choice(["QS", "QA", "QR", "all"])
            pack = draw.choice([12.0, 12.0, 2.0])
            said |= {code: v * pack for code, v in said.items() if wrong in (code, "all")}
        late = draw.choice([0, 0, 1, 2])
        stated = {"site_id": site, "activity_date": first + timedelta(days=n), "item_id": "A", "unit_code": "EA"}
        for extra in range(draw.choice([1, 1, 2])):
            lines = [stated | {"activity_code": code, "quantity": v} for code, v in said.items()]
            world.message("raw_edi__product_activity", known + timedelta(days=1 + n + late + extra), *lines)
            said = {"QS": sold, "QA": on_hand - draw.choice([0, 0, 1]), "QR": got, "QU": back}


def a_world(seed: int, sites: int = 40, firsts: tuple[date, ...] = FIRSTS) -> World:
    """Sites that have nothing to do with each other, each at one of the `firsts`, and the master that names them."""
    world, draw = World(Path(f"world-{seed}")), random.Random(seed)
    origin = {"document_id": "m", "available_at_utc": datetime(2020, 1, 1, tzinfo=UTC)}
    for n, (item, (gtin, pack)) in enumerate(MASTER.items.items()):
        stated = {"item_id": item, "item_gtin": gtin, "unit_cost_usd": 2.0, "line_no": n}
        world.rows.setdefault("raw_master__items", []).append(origin | stated | {"pack_ea": pack})
    for n, site in enumerate(list(MASTER.sites)[:sites]):
        stated = {"site_id": site, "site_gln": MASTER.sites[site], "site_type": "store", "line_no": n}
        world.rows.setdefault("raw_master__sites", []).append(origin | stated)
        if n % 4:
            a_site(world, draw, site, firsts[n % len(firsts)])
        else:
            a_ledger(world, draw, site, firsts[n % len(firsts)])
    return world


def raw_of(world: World, until: datetime | None = None) -> dict[str, pl.DataFrame]:
    """Raw tables, as far as they were known by an instant."""
    frames = {name: frame_of(TABLES[name], rows) for name, rows in world.rows.items()}
    return frames if until is None else {n: f.filter(pl.col("available_at_utc") <= until) for n, f in frames.items()}


def as_known(made: pl.DataFrame, day: str, columns: tuple[str, ...], instant: datetime) -> dict[Any, tuple[Any, ...]]:
    """Rows that stand at an instant; a key that stands twice is a fault."""
    rows = made.filter(known_at(instant)).select("item_id", "site_id", day, *columns)
    found = {row[:3]: row[3:] for row in rows.iter_rows()}
    assert len(found) == rows.height, f"two versions stand at {instant}"
    return found


def same(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> bool:
    return all(a is b or a == pytest.approx(b, abs=1e-9) for a, b in zip(ours, theirs, strict=True))


def faults(made: dict[str, pl.DataFrame], world: World) -> list[Any]:
    """What a mart says otherwise than the plain reading, at each instant at which anything became known."""
    found: list[Any] = []
    for instant in instants(world):
        know = Knowledge(world.rows, MASTER, instant)
        ours, theirs = as_known(made["fct_demand_daily"], "demand_date", DEMAND, instant), know.demand()
        found += differences(instant, ours, theirs)
        ours, theirs = as_known(made["fct_inventory_daily"], "inventory_date", STOCK, instant), know.stock()
        # A day whose only notice was moved to another day keeps its row, with nothing in it.
        kept = {k: row for k, row in ours.items() if k in theirs or row[1:5] != (0, 0, 0, None)}
        found += differences(instant, kept, theirs)
    return found


def differences(instant: datetime, ours: dict[Any, Any], theirs: dict[Any, Any]) -> list[Any]:
    keys = ours.keys() | theirs.keys()
    wrong = sorted(k for k in keys if not (k in ours and k in theirs and same(ours[k], theirs[k])))
    return [(instant, k, ours.get(k), theirs.get(k)) for k in wrong]


def instants(world: World) -> list[datetime]:
    """Every instant at which anything became known."""
    return sorted({r["available_at_utc"] for name, rows in world.rows.items() if "master" not in name for r in rows})


def test_at_every_instant_the_marts_say_what_a_plain_reading_says() -> None:
    world = a_world(3)
    made = build(raw_of(world), *MARTS)
    assert made["fct_demand_daily"]["is_suspect"].any()
    wrong = faults(made, world)
    assert not wrong, wrong[:5]
    numbered = made["fct_demand_daily"].sort("item_id", "site_id", "demand_date", "version_no")
    known = numbered.select(
        pl.col("available_at_utc").diff().over("item_id", "site_id", "demand_date").dt.total_seconds()
    )
    assert (known.to_series().drop_nulls() >= 0).all()  # version 1 is what was known first


def reach(world: World, since: datetime | None, until: datetime) -> tuple[date, date]:
    """The days that messages of one night speak of, with those that their notices named before, up to the night and one more."""
    spoken, dated, told, low, high = [], [], set(), until.date(), until.date()
    for rows in world.rows.values():
        days = [(r, d) for r in rows for c in DATES if (d := r.get(c)) is not None]
        new = [
            (r, d)
            for r, d in days
            if r["available_at_utc"] <= until and (since is None or r["available_at_utc"] > since)
        ]
        spoken += [d for _, d in new]
        told |= {r.get("receipt_id") or r.get("shipment_id") or r.get("notice_id") for r, _ in new}
        dated += days
    spoken += [d for r, d in dated if (r.get("receipt_id") or r.get("shipment_id")) in told - {None}]
    return min([low, *spoken]), max([high, *spoken]) + timedelta(days=2)


def features_of(made: dict[str, pl.DataFrame], night: datetime) -> pl.DataFrame:
    """Features of the day that a night closes, of what nobody doubts."""
    day = night.date() - timedelta(days=1)
    believed = made["fct_demand_daily"].filter(~pl.col("is_suspect"))
    return demand_features(believed, (day, day), lambda other: night + (other - day))


def test_night_by_night_leaves_what_one_build_leaves_and_features_see_no_later_night() -> None:
    world = a_world(5, sites=12, firsts=FIRSTS[1:2])
    whole = build(raw_of(world), *MARTS)
    made: dict[str, pl.DataFrame] = {}
    since = None
    for night in instants(world)[2::3] + instants(world)[-1:]:
        window = reach(world, since, night) if made else None
        made = build(raw_of(world, night), *MARTS, window=window, before=made)
        assert_frame_equal(features_of(made, night), features_of(whole, night))
        since = night
    # A day made again alone, when nothing is new: what its notices said of other days counts there as before.
    day = FIRSTS[1] + timedelta(days=1)
    again = build(raw_of(world), *MARTS, window=(day, day + timedelta(days=1)), before=whole)
    for name in MARTS:
        assert_frame_equal(made[name], whole[name])
        assert_frame_equal(again[name], whole[name])
