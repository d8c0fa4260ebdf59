"""Order lines beside a plain reading of the documentation, at every instant at which anything became known, over random messages."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aios_assets.marts.open_orders import fold_parts
from aios_assets.marts.versions import known_at
from tests.seams.dbt_world import World, at
from tests.unit.dbt.lanes_twin import Lanes
from tests.unit.dbt.marts_twin import Row
from tests.unit.dbt.models import build, failing
from tests.unit.dbt.supply_twin import Names, Supply
from tests.unit.dbt.test_marts_truth import instants, raw_of, reach, same

CELLS = 40
NAMES = Names(
    {"A": ("0000012345670", 12), "B": ("4006381333931", 6)},
    {f"S{n:02d}{x}": f"GLN-S{n:02d}{x}" for n in range(CELLS) for x in "ab"},
    {"SUP": "GLN-SUP", "SUQ": "GLN-SUQ"},
)
LINES = ("ordered_qty_ea", "confirmed_qty_ea", "shipped_qty_ea", "received_qty_ea", "refused_qty_ea", "open_qty_ea", "is_cancelled", "source_id",
         "unit_price_usd", "order_date", "requested_date", "promised_date", "expected_date", "shipped_date", "received_date")  # fmt: skip
FIGURES = (
    "orders_90d",
    "open_orders",
    "lead_time_days_mean_90d",
    "lead_time_days_p50_90d",
    "lead_time_days_p90_90d",
    "late_frac_90d",
)
LANES = "feat_supplier_lane__lead_time"
FIRST = date(2027, 12, 28)
KINDS = (
    ["order"] * 3
    + ["change"] * 3
    + ["whole"]
    + ["replace"]
    + ["answer"] * 3
    + ["ship"] * 4
    + ["receive"] * 4
    + ["take_back"] * 2
    + ["status"]
    + ["stores"] * 2
)
TABLE_OF = {
    "order": "order_lines", "change": "order_lines", "replace": "order_lines", "whole": "whole_orders", "answer": "order_responses", "ship": "shipment_lines",
    "receive": "receipt_lines", "status": "shipment_statuses", "stores": "product_activity",
    "take_back": "whole_notices",
}  # fmt: skip


def masters(world: World) -> None:
    origin = {"document_id": "m", "available_at_utc": datetime(2020, 1, 1, tzinfo=UTC)}
    world.rows["raw_master__items"] = [
        origin | {"item_id": item, "item_gtin": gtin, "pack_ea": pack, "unit_cost_usd": 2.0, "line_no": n}
        for n, (item, (gtin, pack)) in enumerate(NAMES.items.items())
    ]
    world.rows["raw_master__sites"] = [
        origin | {"site_id": site, "site_gln": gln, "site_type": "store", "line_no": n}
        for n, (site, gln) in enumerate(NAMES.sites.items())
    ]
    world.rows["raw_master__suppliers"] = [
        origin | {"supplier_id": supplier, "supplier_gln": gln, "line_no": n}
        for n, (supplier, gln) in enumerate(NAMES.suppliers.items())
    ]


class Cell:
    """Orders, shipments and receipts of two sites that have nothing to do with the others."""

    def __init__(self, draw: random.Random, number: int) -> None:
        self.draw, self.number = draw, number
        self.sites = [f"S{number:02d}a", f"S{number:02d}b"]
        self.orders = [f"P{number}-1", f"P{number}-2"]
        self.known = [
            datetime(FIRST.year, FIRST.month, FIRST.day, 5, tzinfo=UTC) + timedelta(days=n * 3, hours=n % 3)
            for n in range(1, 10)
        ]

    def day(self) -> date:
        years = self.draw.choice([0, 0, 400]) if self.number % 8 == 0 else 0  # some numbers are given again
        return FIRST + timedelta(days=self.draw.randrange(25) + years)

    def order_day(self) -> date:
        """An order that is sent again keeps its date; a number that is given again has another one."""
        return self.day() if self.number % 8 else FIRST + timedelta(days=self.draw.choice([2, 2, 402]))

    def item(self) -> dict[str, Any]:
        item = self.draw.choice("AAB")
        gtin = NAMES.items[item][0]
        ways: list[Row] = [{"item_id": item}] * 4 + [
            {"item_id": gtin},
            {"item_id": "V7", "item_gtin": gtin.lstrip("0")},
        ]
        return self.draw.choice([*ways, {"item_id": "NOBODY"}] if self.draw.random() < 0.2 else ways)

    def site(self) -> str:
        site = self.draw.choice(self.sites)
        return self.draw.choice([site, site, site, NAMES.sites[site]])

    def quantity(self) -> dict[str, Any]:
        return {
            "quantity": float(self.draw.choice([0, 1, 5, 10, 10, 12, 20])),
            "unit_code": self.draw.choice(["EA"] * 8 + ["CA", " pce", "DZ", "ZZ"]),
        }

    def order(self, kind: str) -> list[Row]:
        draw, lines = self.draw, []
        seller = draw.choice(["SUP", "SUP", "GLN-SUP", "SUQ", None])
        head = {
            "order_number": draw.choice(self.orders),
            "order_date": self.order_day(),
            "seller_id": seller,
            "buyer_id": draw.choice([None, "HQ", self.site()]),
        }
        actions = (
            ["new"]
            if kind in ("order", "replace")
            else draw.choice([["change"], ["change", "delete"], ["delete"], ["new", "change"], ["cancel"]])
        )
        for number in range(draw.choice([1, 1, 2, 3])):
            stated = head | self.item() | {
                "order_line": str(number + 1), "action_code": draw.choice(actions), "currency_code": draw.choice([None, "USD", "EUR"]),
                "requested_date": draw.choice([None, self.day()]), "unit_price": draw.choice([None, 2.0, 3.0]), "line_quantity": None,
            }  # fmt: skip
            lines += [
                stated | self.quantity() | {"ship_to_site_id": site}
                for site in draw.choice([[self.site()], [self.site()], [None], self.sites])
            ]
        return lines

    def whole(self, _: str) -> list[Row]:
        return [{"order_number": self.draw.choice(self.orders), "said_date": self.day(), "buyer_id": None, "seller_id": self.draw.choice([None, "SUP", "SUQ"]),
                 "action_code": self.draw.choice(["cancel", "refuse", "accept"])}]  # fmt: skip

    def answer(self, _: str) -> list[Row]:
        draw = self.draw
        head = {
            "order_number": draw.choice(self.orders),
            "response_date": self.day(),
            "seller_id": draw.choice(["SUP", None]),
        }
        return [
            head | self.item() | self.quantity() | {"order_line": "1", "response_code": draw.choice(["IA", "IQ", "IB", "IR", "ID"]), "promised_date": draw.choice([None, self.day()])}
            for _ in range(draw.choice([1, 1, 2]))
        ]  # fmt: skip

    def ship(self, _: str) -> list[Row]:
        draw = self.draw
        head = {
            "shipment_id": draw.choice([f"H{self.number}a", f"H{self.number}b", None]), "shipped_date": self.day(), "expected_date": draw.choice([None, self.day()]),
            "ship_from_id": draw.choice(["SUP", "GLN-SUP", "SUQ"]), "carrier_id": draw.choice([None, "FDXG"]), "order_line": None,
        }  # fmt: skip
        return [
            head | self.item() | self.quantity() | {"order_number": draw.choice([*self.orders, None]), "ship_to_site_id": draw.choice([self.site(), self.site(), None, "HUB"])}
            for _ in range(draw.choice([1, 1, 2, 3]))
        ]  # fmt: skip

    def receive(self, _: str) -> list[Row]:
        draw = self.draw
        head = {
            "receipt_id": draw.choice([f"R{self.number}a", f"R{self.number}b", ""]), "received_date": self.day(), "sender_id": draw.choice(self.sites),
            "site_id": draw.choice([self.site(), self.site(), None, "HUB"]), "shipment_id": draw.choice([None, f"H{self.number}a", f"H{self.number}a", f"H{self.number}b"]),
            "order_number": draw.choice([*self.orders, None, None, None]),
        }  # fmt: skip
        return [
            head
            | self.item()
            | self.quantity()
            | {"rejected_quantity": draw.choice([None, None, None, 0.0, 2.0, 10.0])}
            for _ in range(draw.choice([1, 1, 2]))
        ]

    def take_back(self, _: str) -> list[Row]:
        """A notice or an advice cancelled or replaced as a whole, by who numbered it or by who sent it."""
        draw = self.draw
        if draw.random() < 0.6:
            said: Row = {"notice_code": "shipped", "notice_id": f"H{self.number}{draw.choice('ab')}", "party_id": draw.choice(["SUP", "SUP", "GLN-SUP", "SUQ", None])}  # fmt: skip
        else:
            said = {"notice_code": "received", "notice_id": f"R{self.number}{draw.choice('ab')}", "party_id": draw.choice([self.site(), self.site(), None]), "sender_id": draw.choice(self.sites)}  # fmt: skip
        return [said | {"said_date": self.day(), "action_code": draw.choice(["cancel", "replace"])}]

    def status(self, _: str) -> list[Row]:
        when = datetime.combine(self.day(), datetime.min.time(), UTC)
        return [{"shipment_id": f"H{self.number}{self.draw.choice('ab')}", "carrier_id": "UPSN", "status_code": "X6", "status_at_utc": when, "estimated_date": self.draw.choice([None, self.day()])}]  # fmt: skip

    def stores(self, _: str) -> list[Row]:
        draw, site, day = self.draw, self.site(), self.day()
        item, codes = self.item(), draw.choice([("QR",), ("QR",), ("QR", "QS", "QA"), ("QS", "QA")])
        return [
            item | self.quantity() | {"site_id": site, "activity_date": day, "activity_code": code} for code in codes
        ]

    def play(self, world: World) -> None:
        """Messages in any order, sent and known at moments of their own; half of the cells advise receipts, the others tell them with sales."""
        kinds = [k for k in KINDS if k != ("receive" if self.number % 2 else "stores")]
        for kind in ["order", "order", *self.draw.choices(kinds, k=12)]:
            known = self.draw.choice(self.known)
            sent = self.draw.choice(
                [known - timedelta(minutes=3), known - timedelta(days=self.draw.randrange(9), hours=2), self.known[0]]
            )
            make = {"change": self.order, "replace": self.order}.get(kind) or getattr(self, kind)
            codes = {"order": self.draw.choice(["850", "850", "orders"]), "change": "860", "replace": "850"}
            lines = make(kind)
            if kind in ("order", "replace"):
                buyer = self.draw.choice(["SENDER", "SENDER", "ELSE"])
                lines = [line | {"sender_id": buyer} for line in lines]
            document = world.message(
                f"raw_edi__{TABLE_OF[kind]}", known, *lines, set_code=codes.get(kind, "856"), sent=sent
            )
            if kind == "replace":
                in_place_of_all(world, document)


def in_place_of_all(world: World, document: str) -> None:
    """Say of the lines of a document that they take the place of all that was ordered under their number."""
    line = next(r for r in world.rows["raw_edi__order_lines"] if r["document_id"] == document)
    said = {"said_date": line["order_date"], "action_code": "replace", "line_no": 1, "segment_no": 1}
    world.rows.setdefault("raw_edi__whole_orders", []).append(line | said)


def a_world(seed: int, cells: int = CELLS) -> World:
    world, draw = World(Path(f"supply-{seed}")), random.Random(seed)
    masters(world)
    for number in range(cells):
        Cell(draw, number).play(world)
    return world


def folded(frame: pl.DataFrame) -> dict[Any, tuple[Any, ...]]:
    return {row[:3]: row[3:] for row in frame.select("order_number", "item_id", "site_id", *LINES).iter_rows()}


def differences(instant: Any, ours: dict[Any, Any], theirs: dict[Any, Any]) -> list[Any]:
    keys = sorted(ours.keys() | theirs.keys(), key=str)
    wrong = [k for k in keys if not (k in ours and k in theirs and same(ours[k], theirs[k]))]
    return [(instant, k, ours.get(k), theirs.get(k)) for k in wrong]


def faults(made: dict[str, pl.DataFrame], world: World) -> list[Any]:
    """What the fold of events says otherwise than the plain reading, at each instant at which anything became known."""
    found: list[Any] = []
    for instant in instants(world):
        known = made["fct_order_events"].filter(known_at(instant))
        ours = folded(fold_parts([known], known["available_at_utc"].max()))
        theirs = {key: line.row() for key, line in Supply(world.rows, NAMES, instant).lines().items()}
        found += differences(instant, ours, theirs)
    newest = instants(world)[-1]
    found += differences(
        "mart",
        folded(made["fct_purchase_order_lines"]),
        {k: line.row() for k, line in Supply(world.rows, NAMES, newest).lines().items()},
    )
    return found


def known_day(instant: datetime) -> date:
    """The business day whose cut-off, two in the morning in New York, is the first at or after an instant."""
    there = instant.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None)
    return (there - timedelta(hours=2, microseconds=1)).date()


@pytest.fixture(scope="module")
def world() -> World:
    return a_world(3)


@pytest.fixture(scope="module")
def made(world: World) -> dict[str, pl.DataFrame]:
    return build(raw_of(world), "fct_order_events", "fct_purchase_order_lines", LANES)


def test_at_every_instant_orders_stand_as_a_plain_reading_says(world: World, made: dict[str, pl.DataFrame]) -> None:
    assert made["fct_order_events"]["superseded_at_utc"].drop_nulls().len() > 10
    wrong = faults(made, world)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("seed", [6, 7])
def test_no_check_that_would_stop_the_night_fails(seed: int) -> None:
    raw = raw_of(a_world(seed))
    notices = "raw_edi__shipment_lines"
    raw[notices] = raw[notices].drop_nulls("shipment_id")  # the reader lets none in without
    found = failing(
        raw, "fct_order_events", "fct_purchase_order_lines", "int_findings_detected", "int_shipments_first", LANES
    )
    assert {name: rows for name, rows in found.items() if rows} == {}
    assert len(found) > 25, sorted(found)


def test_on_every_day_lanes_tell_what_was_known_first_of_their_orders(
    world: World, made: dict[str, pl.DataFrame]
) -> None:
    lanes, wrong = Lanes(world.rows, NAMES, instants(world)), []
    for (day,), rows in made[LANES].group_by("feature_date"):
        ours = {row[0]: row[1:] for row in rows.select("lane_id", *FIGURES).iter_rows()}
        wrong += differences(day, ours, lanes.rows(day, known_day))  # type: ignore[arg-type]
    assert not wrong, wrong[:5]


def test_nights_leave_the_lanes_and_findings_of_one_build() -> None:
    world, names = a_world(4, cells=8), (LANES, "int_findings_detected")
    whole, made, since = build(raw_of(world), *names), {}, None
    for night in instants(world)[8::9] + instants(world)[-1:]:
        window = reach(world, since, night) if made else None
        made, since = build(raw_of(world, night), *names, window=window, before=made), night
    for name in names:
        assert_frame_equal(made[name], whole[name])


ORDERED = date(2026, 3, 2)


def cases() -> World:
    """Orders of ten eaches of A, each with one thing that used to be taken wrongly."""
    world = World(Path("cases"))
    masters(world)

    def order(number: str, *more: Any, source: str = "SUP", item: str = "A", **rest: Any) -> None:
        world.order(number, ORDERED, item, 10, source=source, site="S00a", known=at(ORDERED), **rest)

    later = [ORDERED + timedelta(days=n) for n in range(12)]
    for number in ("SHORT", "TAKEN", "AGAIN", "ONE", "TWO", "LEFT", "NONE"):
        order(number)
    order("BOTH")
    order("BOTH", source="SUQ", item="B")
    # Refused, then accepted as it stands; answered short, then accepted; answered short, then ordered again with more.
    world.answer("TAKEN", later[1], "A", 10, source="SUP", code="IR", known=at(later[1]))
    world.whole("TAKEN", later[2], "accept", source="SUP", known=at(later[2]))
    world.answer("AGAIN", later[1], "A", 6, source="SUP", known=at(later[1]))
    world.order("AGAIN", ORDERED, "A", 30, source="SUP", site="S00a", known=at(later[2]))
    world.answer("NONE", later[1], "A", 10, source="SUP", code="IR", known=at(later[1]))
    # One number for two suppliers: each refuses his own.
    world.whole("BOTH", later[1], "refuse", source="SUQ", known=at(later[1]))
    # A receipt sent again for another order; one of a shipment for two orders; two without a number.
    world.receipt("R1", later[3], "A", 10, site="S00a", order="SHORT", known=at(later[3]))
    world.receipt("R1", later[3], "A", 10, site="S00a", order="AGAIN", known=at(later[5]))
    lines = [
        {"shipment_id": "H1", "shipped_date": later[2], "order_number": order, "ship_from_id": "SUP", "ship_to_site_id": "S00a", "item_id": "A", "quantity": 10.0}
        for order in ("ONE", "TWO")
    ]  # fmt: skip
    world.message("raw_edi__shipment_lines", at(later[2]), *lines, set_code="856")
    world.receipt("R2", later[4], "A", 16, site="S00a", shipment="H1", known=at(later[4]))
    world.receipt("", later[4], "A", 3, site="S00a", order="LEFT", known=at(later[4]))
    world.receipt("", later[5], "A", 4, site="S00a", order="LEFT", known=at(later[5]))
    # Of an order that is known two days later, and of one that nobody knows.
    world.receipt("R3", later[4], "A", 5, site="S00a", order="LATE", known=at(later[4]))
    world.order("LATE", ORDERED, "A", 5, source="SUP", site="S00a", known=at(later[6]))
    world.receipt("R4", later[4], "A", 7, site="S00a", order="NEVER", known=at(later[4]))
    # Two lines of one item: one is changed and the other deleted; of another order a change names one of two.
    for number, kept in (("PART", [("1", "change", 12.0), ("2", "delete", 0.0)]), ("SOME", [("1", "change", 12.0)])):
        both = [("1", "new", 10.0), ("2", "new", 20.0)]
        for day, code, stated in ((0, "850", both), (1, "860", kept)):
            said = {
                "order_number": number,
                "order_date": ORDERED,
                "seller_id": "SUP",
                "ship_to_site_id": "S00a",
                "item_id": "A",
            }
            parts = [
                said | {"order_line": line, "action_code": action, "quantity": units} for line, action, units in stated
            ]
            world.message("raw_edi__order_lines", at(later[day]), *parts, set_code=code)
    # Delivered short and refused in part; refused altogether; refused and replaced; refused altogether, the rest still to come.
    for number in ("DOCK", "BACK", "SWAP", "HALF"):
        order(number)
        world.shipment(
            f"H-{number}",
            later[2],
            "A",
            5 if number == "HALF" else 10,
            order=number,
            source="SUP",
            site="S00a",
            known=at(later[2]),
        )
    for number, taken, refused in (("DOCK", 7, 2), ("BACK", 0, 10), ("SWAP", 6, 4), ("HALF", 0, 5)):
        world.receipt(
            f"R-{number}", later[4], "A", taken, site="S00a", order=number, rejected=refused, known=at(later[4])
        )
    world.shipment("H-SWAP again", later[6], "A", 4, order="SWAP", source="SUP", site="S00a", known=at(later[6]))
    # A year later the number of an order that was received is given again.
    order("YEAR")
    world.receipt("R5", later[2], "A", 10, site="S00a", order="YEAR", known=at(later[2]))
    world.order("YEAR", ORDERED + timedelta(days=365), "A", 10, source="SUP", site="S00a", known=at(later[10]))
    return world


@pytest.fixture(scope="module")
def told() -> dict[str, pl.DataFrame]:
    return build(
        raw_of(cases()),
        "fct_order_events",
        "fct_purchase_order_lines",
        "int_findings_detected",
        "int_lane_orders_dated",
    )


@pytest.mark.parametrize(
    ("number", "item", "figures"),
    [
        ("TAKEN", "A", (10, 10, 0, 10)), ("NONE", "A", (10, 0, 0, 0)), ("AGAIN", "A", (30, 6, 10, 20)), ("SHORT", "A", (10, None, 0, 10)),
        ("BOTH", "A", (10, None, 0, 10)), ("BOTH", "B", (10, 0, 0, 0)), ("ONE", "A", (10, None, 8, 2)), ("TWO", "A", (10, None, 8, 2)),
        ("LEFT", "A", (10, None, 7, 3)), ("PART", "A", (12, None, 0, 12)), ("YEAR", "A", (10, None, 10, 0)),
        ("DOCK", "A", (10, None, 7, 1)), ("BACK", "A", (10, None, 0, 0)), ("SWAP", "A", (10, None, 6, 4)), ("HALF", "A", (10, None, 0, 5)), ("YEAR of 2027-03-02", "A", (10, None, 0, 10)),
    ],
)  # fmt: skip
def test_what_was_said_of_an_order_counts_where_it_belongs(
    told: dict[str, pl.DataFrame], number: str, item: str, figures: tuple[float | None, ...]
) -> None:
    columns = ("ordered_qty_ea", "confirmed_qty_ea", "received_qty_ea", "open_qty_ea")
    line = pl.col("order_number") == number, pl.col("item_id") == item
    assert told["fct_purchase_order_lines"].filter(*line).select(columns).rows() == [figures]


def test_a_refused_line_is_no_longer_open_on_its_lane(told: dict[str, pl.DataFrame]) -> None:
    ended = told["int_lane_orders_dated"].drop_nulls("ended_known_date").sort("order_number", "item_id")
    assert ended["order_number"].to_list() == ["BACK", "BOTH", "HALF", "NONE", "TAKEN"]


def test_what_was_refused_is_told(told: dict[str, pl.DataFrame]) -> None:
    findings = told["int_findings_detected"].filter(pl.col("kind_code") == "refused_receipt").sort("subject")
    assert findings.select("value", "money_at_risk_usd").rows() == [(10, 20), (2, 4), (5, 10), (4, 8)]
    assert findings["reason"][1].startswith("receipt R-DOCK takes in 7.0 and refuses 2.0 of order DOCK; ")


def test_what_closes_no_order_we_know_is_told_until_we_know_it(told: dict[str, pl.DataFrame]) -> None:
    findings = told["int_findings_detected"]
    strange = findings.filter(pl.col("kind_code") == "unmatched_receipt").sort("subject")
    assert strange.select("value", "money_at_risk_usd", "superseded_at_utc").rows() == [
        (5, 10, at(ORDERED + timedelta(days=6))),
        (7, 14, None),
    ]
    assert "NEVER" in strange["reason"][1]
    left_out = findings.filter(pl.col("kind_code") == "lines_left_out")
    assert left_out.select("subject", "value", "expected_value").rows() == [("order SOME segment 2", 12, 30)]


def test_one_number_given_to_two_suppliers_for_one_item_is_told() -> None:
    world = cases()
    world.order("NONE", ORDERED, "A", 4, source="SUQ", site="S00b", known=at(ORDERED + timedelta(days=1)))
    found = build(raw_of(world), "int_orders_doubted")["int_orders_doubted"]
    shared = found.filter(pl.col("kind_code") == "order_number_shared")
    assert shared.select("subject", "value").rows() == [("order NONE", 4)] and "before to SUP" in shared["reason"][0]
