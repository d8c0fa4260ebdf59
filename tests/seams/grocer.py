"""A small grocer who sells loose goods by weight, volume and length beside pieces, and what really happened in his shops.

Two shops, one supplier. Shop S1 speaks X12 in pounds, gallons, feet and cases (852, 850, 856, 861), shop S2 EDIFACT in kilograms, litres and metres
(SLSRPT, INVRPT, ORDERS, DESADV, RECADV). Quantities of the truth are in base units, by the definitions of the units and not by our tables.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from tests.unit.edi.make import edifact, x12

POUND, GALLON, FOOT = 0.45359237, 231 * 0.0254**3 * 1000, 0.3048


@dataclass(frozen=True)
class Item:
    """An item: what it is counted in, a case of it, its cost and price per base unit, a day's sales, and the units of either shop."""

    base: str
    pack: int
    cost: float
    price: float
    daily: float
    x12_unit: str
    x12_each: float
    edifact_unit: str
    edifact_each: float
    piece: float | None = None
    gtin: str = ""


ITEMS = {
    "APPLE": Item("KGM", 10, 1.2, 2.4, 14.0, "LB", POUND, "KGM", 1.0),
    "GRAPE": Item("KGM", 5, 2.0, 4.5, 5.0, "KG", 1.0, "GRM", 0.001),
    "MILK": Item("LTR", 12, 0.6, 1.1, 20.0, "GA", GALLON, "LTR", 1.0),
    "CLOTH": Item("MTR", 25, 3.0, 7.0, 6.0, "FT", FOOT, "CMT", 0.01),
    "MELON": Item("KGM", 12, 0.9, 2.0, 9.0, "EA", 1.5, "KGM", 1.0, piece=1.5),
    "SOAP": Item("", 24, 0.8, 1.9, 6.0, "EA", 1.0, "PCE", 1.0, gtin="4006381333931"),
}
SOAP_CASE = "14006381333938"
UNREAD = "NUTS"  # traded by the kilogram, and the item master says nothing of it
SITES = ("S1", "S2")


@dataclass
class Grocer:
    """What the shops did.

    Attributes:
        first, days, seed: what is played.
        last_order: the shops order nothing after this day.
        documents: (instant at which it reached us, bytes) of each document.
        sold: truth of sales by item, site and day, in base units.
        closed: truth of stock at close.
        ordered: order number and item → base units.
        received: item, site and day → base units.
    """

    first: date
    days: int
    seed: int = 1
    last_order: date = date.max
    documents: list[tuple[datetime, bytes]] = field(default_factory=list)
    sold: dict[tuple[str, str, date], float] = field(default_factory=dict)
    closed: dict[tuple[str, str, date], float] = field(default_factory=dict)
    ordered: dict[tuple[str, str], float] = field(default_factory=dict)
    received: dict[tuple[str, str, date], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Play the days."""
        draw, control = random.Random(self.seed), 0
        stock = {(i, s): 6 * item.daily for i, item in ITEMS.items() for s in SITES}
        due: dict[tuple[str, date], tuple[str, dict[str, int]]] = {}
        for n in range(self.days):
            day = self.first + timedelta(days=n)
            for site in SITES:
                came = due.pop((site, day), None)
                for item, cases in came[1].items() if came else ():
                    amount = float(cases * ITEMS[item].pack)
                    stock[item, site] += amount
                    self.received[item, site, day] = amount
                counted = {}
                for item, it in ITEMS.items():
                    each = it.x12_each if site == "S1" else it.edifact_each
                    wanted = it.daily * (1.4 if day.weekday() >= 5 else 0.85) * draw.lognormvariate(0, 0.25)
                    # A scale shows whole pieces, grams and centimetres, and hundredths of pounds, gallons and feet.
                    step = 1.0 if (it.x12_unit == "EA" and site == "S1") or not it.base or each < 0.1 else 0.01
                    units = (
                        min(math.floor(wanted / each / step), math.floor(stock[item, site] / each / step + 1e-9)) * step
                    )
                    self.sold[item, site, day] = units * each
                    stock[item, site] -= units * each
                    self.closed[item, site, day] = stock[item, site]
                    counted[item] = (units, stock[item, site] / each)
                order = {}
                if day.weekday() in (0, 3) and day <= self.last_order:
                    order = {i: max(0, math.ceil((9 * ITEMS[i].daily - stock[i, site]) / ITEMS[i].pack)) for i in ITEMS}
                    order = {i: cases for i, cases in order.items() if cases}
                if order:
                    number = f"P{site}{day:%m%d}"
                    due[site, day + timedelta(days=2)] = (number, order)
                    self.ordered |= {(number, i): float(cases * ITEMS[i].pack) for i, cases in order.items()}
                for body in self._bodies(site, day, counted, order, came):
                    control += 1
                    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
                        days=1, hours=3, seconds=control
                    )
                    self.documents.append((at, body(control)))

    def _bodies(self, site: str, day: date, counted: dict[str, tuple[float, float]], order: dict[str, int], came: tuple[str, dict[str, int]] | None) -> list:  # type: ignore[type-arg]  # fmt: skip
        return (_x12 if site == "S1" else _edifact)(site, day, counted, order, came)

    def masters(self, *, complete: bool = False) -> dict[str, str]:
        """Master files by path; `complete`: the item that nobody could read has its base unit, too."""
        head = "item_id,item_gtin,pack_ea,base_unit_code,piece_ea,case_gtin,unit_cost_usd,unit_price_usd,supplier_id\n"
        rows = [f"{i},{it.gtin},{it.pack},{it.base},{it.piece or ''},,{it.cost},{it.price},FARM\n" for i, it in ITEMS.items()]  # fmt: skip
        rows.append(f"{UNREAD},,10,{'kg' if complete else ''},,,5.0,9.0,FARM\n")
        lanes = "".join(f"FARM,{site},standard,2,5.0,0.01\n" for site in SITES)
        return {
            "master/items/items.csv": head + "".join(rows),
            "master/sites/sites.csv": "site_id,site_type\n" + "".join(f"{s},store\n" for s in SITES),
            "master/suppliers/suppliers.csv": "supplier_id,supplier_name\nFARM,The Farm\n",
            "master/lanes/lanes.csv": "origin_id,destination_id,mode_code,quoted_lead_time_days,cost_per_order_usd,cost_per_ea_usd\n"
            + lanes,
        }


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _weighed(value: float) -> str:
    """Stock as a shop reports it, to the thousandth of its unit: every figure is rounded for itself."""
    return _number(round(value, 3))


def _x12(site: str, day: date, counted: dict[str, tuple[float, float]], order: dict[str, int], came: tuple[str, dict[str, int]] | None) -> list:  # type: ignore[type-arg]  # fmt: skip
    """Shop S1: pounds, gallons, feet; it orders in cases, soap by the GTIN of its case in pieces, which are cases."""
    ymd, parties = f"{day:%Y%m%d}", ("N1*BY*X*92*S1", "N1*SE*X*92*FARM", "N1*ST*X*92*S1")
    lines = [f"LIN**IN*{UNREAD}", "ZA*QS*2.5*LB", f"ZA*QA*{900 - 2.5 * (day.toordinal() % 300):g}*LB"]
    for item, (sold, left) in counted.items():
        lines += [f"LIN**IN*{item}", f"ZA*QS*{_number(sold)}*{ITEMS[item].x12_unit}", f"ZA*QA*{_weighed(left)}*{ITEMS[item].x12_unit}"]  # fmt: skip
        if came and item in came[1]:
            lines.append(f"ZA*QR*{came[1][item]}*CA")
    made = [lambda c: x12("852", f"XQ*H*{ymd}*{ymd}", "N1*ST*X*92*S1", *lines, control=c, sender="S1")]

    def named(item: str, cases: int) -> tuple[str, str]:
        return (f"{cases}*EA", f"UK*{SOAP_CASE}") if item == "SOAP" else (f"{cases}*CA", f"IN*{item}")

    if order:
        bought = [f"PO1*{n}*{named(i, q)[0]}*{ITEMS[i].cost * ITEMS[i].pack:.2f}**{named(i, q)[1]}" for n, (i, q) in enumerate(order.items(), 1)]  # fmt: skip
        made.append(lambda c: x12("850", f"BEG*00*SA*PS1{day:%m%d}**{ymd}", *parties, *bought, control=c, sender="S1", receiver="FARM"))  # fmt: skip
    if came:
        items = [s for n, (i, q) in enumerate(came[1].items(), 3) for s in (f"HL*{n}*2*I", f"LIN**{named(i, q)[1]}", f"SN1**{named(i, q)[0]}")]  # fmt: skip
        head = (f"BSN*00*H{came[0]}*{ymd}*1200", "HL*1**S", f"DTM*011*{ymd}", "N1*SF*X*92*FARM", "N1*ST*X*92*S1", "HL*2*1*O", f"PRF*{came[0]}")  # fmt: skip
        made.append(lambda c: x12("856", *head, *items, control=c, sender="FARM", receiver="S1"))
    return made


def _edifact(site: str, day: date, counted: dict[str, tuple[float, float]], order: dict[str, int], came: tuple[str, dict[str, int]] | None) -> list:  # type: ignore[type-arg]  # fmt: skip
    """Shop S2: kilograms, grams, litres and centimetres; it orders by weight, not in cases, and says what it received."""
    ymd, parties = f"{day:%Y%m%d}", ("NAD+BY+S2::92", "NAD+SU+FARM::92", "NAD+DP+S2::92")
    sales, stock = [f"LIN+99++{UNREAD}:IN", "QTY+153:1.25:KGM"], []
    for n, (item, (sold, left)) in enumerate(counted.items(), 1):
        it = ITEMS[item]
        price = f"PRI+AAE:{it.price * it.edifact_each:.5f}"
        sales += [f"LIN+{n}++{item}:IN", price, f"QTY+153:{_number(sold)}:{it.edifact_unit}"]
        stock += [f"LIN+{n}++{item}:IN", f"QTY+145:{_weighed(left)}:{it.edifact_unit}"]
    made = [
        lambda c: edifact("SLSRPT", f"BGM+73+SR{ymd}+9", f"DTM+137:{ymd}:102", f"DTM+90:{ymd}:102", f"DTM+91:{ymd}:102", "NAD+SU+S2::92", "CUX+2:USD:10", "LOC+162+S2::92", *sales, control=str(c), sender="S2"),
        lambda c: edifact("INVRPT", f"BGM+35+IR{ymd}+9", f"DTM+137:{ymd}:102", f"DTM+366:{ymd}:102", "NAD+WH+S2::92", *stock, control=str(c), sender="S2"),
    ]  # fmt: skip

    def lines(moved: dict[str, int], kind: str) -> list[str]:
        return [s for n, (i, q) in enumerate(moved.items(), 1) for s in (f"LIN+{n}++{i}:IN", f"QTY+{kind}:{_number(q * ITEMS[i].pack / ITEMS[i].edifact_each)}:{ITEMS[i].edifact_unit}")]  # fmt: skip

    if order:
        made.append(lambda c: edifact("ORDERS", f"BGM+220+PS2{day:%m%d}+9", f"DTM+137:{ymd}:102", *parties, *lines(order, "21"), "UNS+S", control=str(c), sender="S2"))  # fmt: skip
    if came:
        head = (f"DTM+137:{ymd}:102", f"DTM+11:{ymd}:102", f"RFF+ON:{came[0]}", *parties, "CPS+1")
        made.append(lambda c: edifact("DESADV", f"BGM+351+H{came[0]}+9", *head, *lines(came[1], "12"), control=str(c), sender="FARM"))  # fmt: skip
        taken = (f"DTM+137:{ymd}:102", f"DTM+50:{ymd}:102", f"RFF+ON:{came[0]}", *parties, "CPS+1")
        made.append(lambda c: edifact("RECADV", f"BGM+632+R{came[0]}+9", *taken, *lines(came[1], "194"), control=str(c), sender="S2"))  # fmt: skip
    return made
