"""Call-offs of blanket orders: each an order of its own, and what names only their blanket order is shared among them, nothing twice and nothing lost."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aios_assets.marts.open_orders import fold_parts
from aios_assets.marts.versions import known_at
from tests.seams.dbt_world import DAY, World, at
from tests.unit.dbt.call_offs_twin import CallOffs
from tests.unit.dbt.marts_twin import Row
from tests.unit.dbt.models import build, failing
from tests.unit.dbt.supply_twin import Names
from tests.unit.dbt.test_marts_truth import instants, raw_of
from tests.unit.dbt.test_supply_truth import differences, folded, masters
from tests.unit.edi.make import edifact, x12

CELLS = 40
NAMES = Names(
    {"A": ("0000012345670", 12), "B": ("4006381333931", 6)},
    {f"S{n:02d}{x}": f"GLN-S{n:02d}{x}" for n in range(CELLS) for x in "ab"},
    {"SUP": "GLN-SUP", "SUQ": "GLN-SUQ"},
)
FIRST = date(2027, 12, 28)
KINDS = ["order"] * 5 + ["change"] * 2 + ["whole"] + ["blanket"] + ["answer"] * 3 + ["ship"] * 5 + ["receive"] * 5 + ["take_back"]  # fmt: skip
TABLE_OF = {
    "order": "order_lines", "blanket": "order_lines", "change": "order_lines", "whole": "whole_orders", "answer": "order_responses",
    "ship": "shipment_lines", "receive": "receipt_lines", "take_back": "whole_notices",
}  # fmt: skip


class Cell:
    """One number, of which some orders are call-offs, and all that is said of them."""

    def __init__(self, draw: random.Random, number: int) -> None:
        self.draw, self.number = draw, number
        self.order_number = f"P{number}"
        sites = [f"S{number:02d}a", f"S{number:02d}b"]
        style = number % 4
        self.releases = ["1", "02", "3", None]
        self.sites = {r: [[sites[0]], [sites[n % 2]], [None], sites][style] for n, r in enumerate(self.releases)}
        self.known = [
            datetime(FIRST.year, FIRST.month, FIRST.day, 5, tzinfo=UTC) + timedelta(days=n * 3, hours=n % 3)
            for n in range(1, 10)
        ]

    def day(self) -> date:
        return FIRST + timedelta(days=18 + self.draw.randrange(8))  # nothing is forgotten while this is played

    def lines(self, release: str | None, actions: list[str], **more: Any) -> list[Row]:
        draw = self.draw
        head = {
            "order_number": self.order_number, "order_date": FIRST, "seller_id": "SUP", "buyer_id": None, "currency_code": None, "requested_date": None,
            "unit_price": None, "line_quantity": None, "release_number": release, "order_type_code": None, "item_id": "A", "order_line": "1",
        }  # fmt: skip
        # One quantity at every site: what was shared by an older split of a call-off is not shared anew by the next.
        action, quantity = draw.choice(actions), float(draw.choice([5, 10, 10, 20]))
        return [
            head | more | {"ship_to_site_id": s, "action_code": action, "quantity": quantity}
            for s in self.sites[release]
        ]

    def order(self) -> list[Row]:
        release = self.draw.choice(["1", "1", "02", "02", "3", None] if self.number % 3 else ["1", "02", "3"])
        return self.lines(release, ["new"], order_type_code=self.draw.choice([None, "RL"]))

    def blanket(self) -> list[Row]:
        return self.lines(None, ["new"], order_type_code=self.draw.choice(["BE", "BK"]))

    def change(self) -> list[Row]:
        release = self.draw.choice(["1", "02", "3", None])
        return self.lines(release, ["change", "change", "delete", "cancel"])

    def release(self) -> str | None:
        return self.draw.choice([None, None, None, "1", "2", "9"])

    def whole(self) -> list[Row]:
        return [{"order_number": self.order_number, "said_date": self.day(), "buyer_id": None, "seller_id": self.draw.choice([None, "SUP"]),
                 "action_code": self.draw.choice(["cancel", "refuse", "accept"]), "release_number": self.release()}]  # fmt: skip

    def said(self, **head: Any) -> list[Row]:
        draw = self.draw
        return [
            head | {"item_id": "A", "order_number": self.order_number, "release_number": self.release(), "order_line": "1",
                    "quantity": float(draw.choice([1, 5, 5, 10, 10, 12, 20]))}
            for _ in range(draw.choice([1, 1, 1, 2]))
        ]  # fmt: skip

    def answer(self) -> list[Row]:
        code = self.draw.choice(["IA", "IA", "IQ", "IR"])
        return self.said(response_date=self.day(), seller_id="SUP", response_code=code, promised_date=None)

    def site(self) -> str | None:
        return self.draw.choice([self.sites["1"][0], self.sites["02"][-1], None])

    def ship(self) -> list[Row]:
        head = {
            "shipment_id": self.draw.choice([f"H{self.number}{x}" for x in "abcd"]), "shipped_date": self.day(), "expected_date": None,
            "ship_from_id": "SUP", "carrier_id": None,
        }  # fmt: skip
        return [row | {"ship_to_site_id": self.site()} for row in self.said(**head)]

    def receive(self) -> list[Row]:
        draw = self.draw
        site = self.site() or self.sites["1"][0] or "HUB"
        head = {"receipt_id": f"R{self.number}{draw.choice('abcd')}", "received_date": self.day(), "sender_id": site, "site_id": site,
                "shipment_id": draw.choice([None, f"H{self.number}a", f"H{self.number}b"]), "rejected_quantity": draw.choice([None, None, 2.0])}  # fmt: skip
        keep = draw.random() < 0.7
        return [row | ({} if keep or not row["shipment_id"] else {"order_number": None, "release_number": None}) for row in self.said(**head)]  # fmt: skip

    def take_back(self) -> list[Row]:
        return [{"notice_code": "shipped", "notice_id": f"H{self.number}{self.draw.choice('abcd')}", "party_id": "SUP", "said_date": self.day(), "action_code": "cancel"}]  # fmt: skip

    def play(self, world: World) -> None:
        """Messages in the order they were sent, but for some that are late."""
        late = self.number % 5 == 0
        for n, kind in enumerate(["order", "order", *self.draw.choices(KINDS, k=10)]):
            sent = self.known[0] + timedelta(days=2 * n)
            known = sent + timedelta(minutes=3) + timedelta(days=self.draw.choice([0, 0, 0, 5]) if late else 0)
            codes = {"order": "850", "blanket": "850", "change": "860"}
            world.message(f"raw_edi__{TABLE_OF[kind]}", known, *getattr(self, kind)(), set_code=codes.get(kind, "856"), sent=sent)  # fmt: skip


def a_world(seed: int, cells: int = CELLS) -> World:
    world, draw = World(Path(f"call-offs-{seed}")), random.Random(seed)
    masters(world)
    for number in range(cells):
        Cell(draw, number).play(world)
    return world


@pytest.mark.parametrize("seed", [1, 2])
def test_at_every_instant_call_offs_stand_as_a_plain_reading_says(seed: int) -> None:
    world = a_world(seed)
    made = build(raw_of(world), "fct_order_events", "fct_purchase_order_lines")
    wrong: list[Any] = []
    for instant in instants(world):
        known = made["fct_order_events"].filter(known_at(instant))
        theirs = {key: line.row() for key, line in CallOffs(world.rows, NAMES, instant).lines().items()}
        wrong += differences(instant, folded(fold_parts([known], known["available_at_utc"].max())), theirs)
    newest = {key: line.row() for key, line in CallOffs(world.rows, NAMES, instants(world)[-1]).lines().items()}
    wrong += differences("mart", folded(made["fct_purchase_order_lines"]), newest)
    assert not wrong, wrong[:5]
    named = made["fct_purchase_order_lines"].filter(pl.col("order_number").str.contains(" release "))
    assert named.filter(pl.col("open_qty_ea") > 0).height > 20


def totals(said: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 6) for key, value in said.items() if abs(value) > 1e-9}


@pytest.mark.parametrize("seed", [3])
def test_what_was_shared_adds_up_to_what_was_said_at_every_instant(seed: int) -> None:
    world = a_world(seed)
    made = build(raw_of(world), "fct_order_events", "int_order_events_said")
    number = pl.col("order_number").str.split(" ").list.first()
    moves = pl.col("event_code").is_in(["shipped", "received", "refused"])
    for instant in instants(world):
        ours, theirs = (
            made[table]
            .filter(known_at(instant), moves)
            .group_by(pl.concat_str(number, "event_code", "document_id", "segment_no", separator=" ").alias("key"))
            .agg(pl.col("quantity_ea").sum())
            for table in ("fct_order_events", "int_order_events_said")
        )
        assert totals(dict(ours.iter_rows())) == totals(dict(theirs.iter_rows())), instant


def test_what_is_on_order_is_what_was_called_off_and_did_not_come(tmp_path: Path) -> None:
    """Plain arithmetic, where suppliers send no more than was called off and nobody names a release."""
    world, draw = World(tmp_path / "lake"), random.Random(5)
    start, left = datetime(2026, 3, 1, 5, tzinfo=UTC), {}
    for cell in range(30):
        called = shipped = came = 0
        for n in range(14):
            when = start + timedelta(days=n)
            head = {"order_number": f"P{cell}", "item_id": "A"}
            if called == 0 or draw.random() < 0.35:
                quantity = draw.randrange(1, 20)
                called += quantity
                line = {"release_number": str(called), "action_code": "new", "order_date": when.date(), "ship_to_site_id": "S1", "seller_id": "SUP"}  # fmt: skip
                order = {"buyer_id": None, "order_line": "1", "unit_price": None, "currency_code": None, "requested_date": None, "line_quantity": None}  # fmt: skip
                world.message("raw_edi__order_lines", when, head | line | order | {"order_type_code": None, "quantity": float(quantity)}, set_code="850")  # fmt: skip
            elif shipped < called and draw.random() < 0.5:
                quantity = draw.randint(1, called - shipped)
                shipped += quantity
                line = {"shipment_id": f"H{cell}-{n}", "shipped_date": when.date(), "expected_date": None, "ship_from_id": "SUP", "ship_to_site_id": "S1"}  # fmt: skip
                world.message("raw_edi__shipment_lines", when, head | line | {"carrier_id": None, "order_line": None, "release_number": None, "quantity": float(quantity)}, set_code="856")  # fmt: skip
            elif came < shipped:
                quantity = draw.randint(1, shipped - came)
                came += quantity
                line = {"receipt_id": f"R{cell}-{n}", "received_date": when.date(), "site_id": "S1", "shipment_id": None, "order_line": None}  # fmt: skip
                world.message("raw_edi__receipt_lines", when, head | line | {"rejected_quantity": None, "release_number": None, "quantity": float(quantity)}, set_code="861")  # fmt: skip
        left[f"P{cell}"] = (float(called), float(shipped), float(called - came))
    lines = build(raw_of(world), "fct_purchase_order_lines")["fct_purchase_order_lines"]
    number = pl.col("order_number").str.split(" ").list.first().alias("number")
    sums = lines.group_by(number).agg(pl.col("ordered_qty_ea", "shipped_qty_ea", "open_qty_ea").sum())
    assert {row[0]: row[1:] for row in sums.iter_rows()} == left
    # The oldest are filled first: behind one that is open none has come.
    ages = lines.with_columns(pl.col("order_number").str.split(" ").list.last().cast(pl.Int64).alias("age"), number)
    for _, one in ages.sort("age").group_by("number"):
        opened = one.filter(pl.col("open_qty_ea") > 0)["age"].min()
        if opened is not None:
            assert one.filter(pl.col("age") > opened)["received_qty_ea"].sum() == 0


@pytest.mark.parametrize("seed", [6, 7])
def test_no_check_that_would_stop_the_night_fails(seed: int) -> None:
    found = failing(raw_of(a_world(seed)), "fct_order_events", "fct_purchase_order_lines", "int_findings_detected", "feat_supplier_lane__lead_time")  # fmt: skip
    assert {name: rows for name, rows in found.items() if rows} == {}


def order(number: str, release: str, quantity: int, control: int, kind: str = "RL") -> bytes:
    head = (f"BEG*00*{kind}*{number}*{release}*20260302", "N1*SE*X*92*SUP", "N1*ST*X*92*S1")
    return x12("850", *head, f"PO1*1*{quantity}*EA***IN*A", control=control)


def notice(release: str, quantity: int, control: int) -> bytes:
    body = ("HL*1**S", "N1*SF*X*92*SUP", "N1*ST*X*92*S1", "HL*2*1*O", f"PRF*PO1*{release}".rstrip("*"), "HL*3*2*I")
    return x12("856", f"BSN*00*H{control}*20260304*0900", *body, "LIN**IN*A", f"SN1**{quantity}*EA", control=control)


def status(shipment: str, control: int) -> bytes:
    return x12("214", f"B10*1*{shipment}*FDXG", "LX*1", "AT7*X6*NS***20260305*1200*UT", "G62*17*20260309", control=control)  # fmt: skip


def on_order(world: World) -> dict[str, float]:
    lines = build(raw_of(world), "fct_purchase_order_lines")["fct_purchase_order_lines"]
    return dict(lines.select("order_number", "open_qty_ea").iter_rows())


@pytest.mark.parametrize(
    ("second", "stands"),
    [
        ("R2", {"PO1 release R1": 10.0, "PO1 release R2": 7.0}),
        ("R1", {"PO1 release R1": 7.0}),
        ("", {"PO1": 7.0, "PO1 release R1": 10.0}),
    ],
)
def test_a_second_call_off_stands_beside_the_first_and_one_sent_again_replaces_it(
    tmp_path: Path, second: str, stands: dict[str, float]
) -> None:
    world = World(tmp_path / "lake")
    world.documents(order("PO1", "R1", 10, 11), known=at(DAY))
    world.documents(order("PO1", second, 7, 12), known=at(DAY + timedelta(days=1)))
    assert on_order(world) == stands


def test_a_release_is_one_however_it_is_padded_and_means_nothing_where_nobody_calls_off(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.documents(order("PO1", "0002", 10, 11), notice("2", 4, 12), known=at(DAY))
    made = build(raw_of(world), "fct_purchase_order_lines")["fct_purchase_order_lines"]
    assert made.select("order_number", "shipped_qty_ea").rows() == [("PO1 release 2", 4.0)]
    world = World(tmp_path / "other")
    world.documents(order("PO1", "000", 10, 11, "SA"), notice("7", 4, 12), known=at(DAY))
    made = build(raw_of(world), "fct_purchase_order_lines", "int_findings_detected")
    assert made["fct_purchase_order_lines"].select("order_number", "shipped_qty_ea").rows() == [("PO1", 4.0)]
    assert made["int_findings_detected"].is_empty()


@pytest.mark.parametrize("kind", ["BE", "BK"])
def test_a_blanket_order_is_told_and_only_its_call_offs_are_on_order(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path / "lake")
    world.documents(order("PO1", "", 1000, 11, kind), known=at(DAY))
    # A firm one is on order until it is called off.
    before = build(raw_of(world), "fct_purchase_order_lines", "int_findings_detected")
    assert before["fct_purchase_order_lines"]["open_qty_ea"].to_list() == ([] if kind == "BE" else [1000.0])
    assert before["int_findings_detected"].height == (kind == "BE")
    world.documents(order("PO1", "1", 10, 12), known=at(DAY + timedelta(days=1)))
    made = build(raw_of(world), "fct_purchase_order_lines", "fct_order_events", "int_findings_detected")
    assert made["fct_purchase_order_lines"].select("order_number", "open_qty_ea").rows() == [("PO1 release 1", 10.0)]
    found = made["int_findings_detected"].filter(kind_code="blanket_order").row(0, named=True)
    assert found["reason"].startswith("blanket order PO1 promises 1000.0 of item A") and found["value"] == 1000.0
    assert found["available_at_utc"] == at(DAY + timedelta(days=kind == "BK"))
    # What was known before the call-off came is what was known.
    known = made["fct_order_events"].filter(known_at(at(DAY)))
    assert fold_parts([known], at(DAY))["open_qty_ea"].to_list() == before["fct_purchase_order_lines"]["open_qty_ea"].to_list()  # fmt: skip


def test_a_change_of_a_blanket_order_orders_nothing_and_its_cancellation_cancels_no_call_off(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.documents(order("PO1", "", 1000, 11, "BE"), order("PO1", "1", 10, 12), known=at(DAY))
    change = x12("860", "BCH*04*BE*PO1***20260303", "POC*1*QD*800*800*EA*2**IN*A", control=13)
    untyped = x12("860", "BCH*04*SA*PO1***20260303", "POC*1*QD*900*900*EA*2**IN*A", control=14)
    gone = x12("860", "BCH*01*SA*PO1***20260303", control=15)
    world.documents(change, untyped, gone, known=at(DAY + timedelta(days=1)))
    assert on_order(world) == {"PO1 release 1": 10.0}


def test_a_call_off_is_changed_answered_and_cancelled_by_its_release(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.documents(order("PO1", "1", 10, 11), order("PO1", "2", 7, 12), order("PO1", "3", 5, 13), known=at(DAY))
    change = x12("860", "BCH*04*RL*PO1*1**20260303", "POC*1*QD*6*6*EA*2**IN*A", control=14)
    gone = x12("860", "BCH*01*RL*PO1*3**20260303", control=15)
    answer = x12("855", "BAK*00*AC*PO1*20260303*2", "N1*SE*X*92*SUP", "PO1*1*7*EA***IN*A", "ACK*IQ*4*EA", control=16)
    world.documents(change, gone, answer, known=at(DAY + timedelta(days=1)))
    assert on_order(world) == {"PO1 release 1": 6.0, "PO1 release 2": 4.0, "PO1 release 3": 0.0}


def test_what_a_carrier_says_reaches_the_call_offs_that_the_shipment_is_for(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.documents(order("PO1", "1", 10, 11), order("PO1", "2", 7, 12), order("PO1", "3", 5, 13), known=at(DAY))
    world.documents(notice("", 12, 14), known=at(DAY + timedelta(days=1)))
    world.documents(status("H14", 15), known=at(DAY + timedelta(days=2)))
    lines = build(raw_of(world), "fct_purchase_order_lines")["fct_purchase_order_lines"]
    assert lines["shipped_qty_ea"].to_list() == [10.0, 2.0, 0.0]
    assert [str(day) for day in lines["expected_date"]] == ["2026-03-09", "2026-03-09", "None"]


def test_an_edifact_call_off_keeps_its_number_and_its_blanket_order_is_not_on_order(tmp_path: Path) -> None:
    def orders(document: str, number: str, quantity: int, *more: str) -> bytes:
        body = (f"BGM+{document}+{number}+9", "DTM+137:20260302:102", *more, "NAD+SU+SUP::92", "NAD+DP+S1::92")
        return edifact("ORDERS", *body, "LIN+1++A:IN", f"QTY+21:{quantity}", "UNS+S", control=number)

    world = World(tmp_path / "lake")
    world.documents(orders("221", "B1", 1000), orders("226", "71", 10, "RFF+BO:B1"), orders("226", "72", 7, "RFF+BO:B1"), known=at(DAY))  # fmt: skip
    assert on_order(world) == {"71": 10.0, "72": 7.0}
    # A notice of the blanket order is for its call-offs, the oldest first.
    body = ("BGM+351+H1+9", "DTM+11:20260304:102", "RFF+BO:B1", "NAD+SU+SUP::92", "NAD+DP+S1::92", "CPS+1")
    world.documents(edifact("DESADV", *body, "LIN+1++A:IN", "QTY+12:12", control="99"), known=at(DAY + timedelta(days=1)))  # fmt: skip
    lines = build(raw_of(world), "fct_purchase_order_lines")["fct_purchase_order_lines"]
    assert dict(lines.select("order_number", "shipped_qty_ea").iter_rows()) == {"71": 10.0, "72": 2.0}
