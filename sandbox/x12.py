"""Bodies of X12 transaction sets, written by hand from the standard's segment tables."""

from __future__ import annotations

import datetime as dt

import numpy as np

from sandbox.drafts import ymd
from sandbox.draws import Bools, check_digit
from sandbox.flow import DayResult
from sandbox.network import Network
from sandbox.orders import order_name
from sandbox.state import SUPPLIER, Lines

FLEET_SCAC = "HBMT"
CITIES = ("ALBANY*NY", "TRENTON*NJ", "SCRANTON*PA", "HARTFORD*CT", "DOVER*DE", "LOWELL*MA", "ERIE*PA", "UTICA*NY")


def item_refs(net: Network) -> list[str]:
    """`IN*item*UP*gtin` of each item, kept on the network."""
    if "x12_refs" not in net.memo:
        net.memo["x12_refs"] = [f"IN*{i}*UP*{g}" for i, g in zip(net.item_ids, net.gtins, strict=True)]
    refs: list[str] = net.memo["x12_refs"]
    return refs


def shipment_name(number: int) -> str:
    """Shipment id as written in documents."""
    return f"SH{number:08d}"


def product_activity(net: Network, result: DayResult, site: int, reported: Bools) -> str:
    """852 of one store and day: sold, on hand at close, received, adjusted, price."""
    date = ymd(net.spec.date(result.day))
    refs = item_refs(net)
    sold, closing, got, adjusted, price = (
        a[site].tolist() for a in (result.sales, result.closing, result.receipts, result.adjustments, result.price)
    )
    gone = result.outbound[site].tolist()
    out = [f"XQ*H*{date}*{date}~N1*ST*STORE {net.site_ids[site]}*92*{net.site_ids[site]}~"]
    add = out.append
    for i in np.flatnonzero(reported[site]).tolist():
        add(f"LIN**{refs[i]}~CTP**RTL*{price[i]:.2f}~ZA*QS*{sold[i]}*EA~ZA*QA*{closing[i]}*EA~")
        if got[i]:
            add(f"ZA*QR*{got[i]}*EA~")
        if adjusted[i]:
            add(f"ZA*QT*{adjusted[i]}*EA~")
        if gone[i]:
            add(f"ZA*QZ*{gone[i]}*EA~")
    add(f"CTT*{int(reported[site].sum())}~")
    return "".join(out)


def inventory_advice(net: Network, result: DayResult, site: int, reported: Bools) -> str:
    """846 of one centre and day: on hand at close (17), adjusted (A5, signed)."""
    date = ymd(net.spec.date(result.day))
    refs = item_refs(net)
    closing, adjusted = result.closing[site].tolist(), result.adjustments[site].tolist()
    name = net.site_ids[site]
    out = [f"BIA*00*DD*INV{name}{date}*{date}~N1*WH*CENTRE {name}*92*{name}~"]
    for n, i in enumerate(np.flatnonzero(reported[site]).tolist(), start=1):
        out.append(f"LIN*{n}*{refs[i]}~QTY*17*{closing[i]}*EA~")
        if adjusted[i]:
            out.append(f"QTY*A5*{adjusted[i]}*EA~")
    out.append(f"CTT*{int(reported[site].sum())}~")
    return "".join(out)


def _unit(net: Network, order: Lines) -> tuple[str, list[int]]:
    """Unit code and eaches per unit of each line of an order."""
    src = int(order["src"][0])
    if src >= net.sites and net.spec.suppliers[src - net.sites].unit_code == "CA":
        return "CA", net.pack[order["item"]].tolist()
    return "EA", [1] * len(order)


def _price(net: Network, order: Lines) -> list[float]:
    src = int(order["src"][0])
    unit_cost = net.unit_cost(src - net.sites) if src >= net.sites else net.cost
    prices: list[float] = unit_cost[order["item"]].tolist()
    return prices


def _parties(net: Network, order: Lines) -> str:
    src, dst = net.party_ids[int(order["src"][0])], net.site_ids[int(order["dst"][0])]
    company = net.spec.company
    return f"N1*BY*{company}*92*{company}~N1*SE*{src}*92*{src}~N1*ST*{dst}*92*{dst}~"


def purchase_order(net: Network, order: Lines) -> str:
    """850 of one order."""
    spec, refs = net.spec, item_refs(net)
    unit, size = _unit(net, order)
    number = order_name(int(order["kind"][0]), int(order["order"][0]))
    out = [
        f"BEG*00*SA*{number}**{ymd(spec.date(int(order['day'][0])))}~"
        f"DTM*002*{ymd(spec.date(int(order['need'][0])))}~{_parties(net, order)}"
    ]
    rows = zip(
        order["line"].tolist(), order["item"].tolist(), order["qty"].tolist(), _price(net, order), size, strict=True
    )
    for line, i, qty, price, each in rows:
        out.append(f"PO1*{line}*{qty // each}*{unit}*{price * each:.2f}**{refs[i]}~")
    out.append(f"CTT*{len(order)}~")
    return "".join(out)


def acknowledgement(net: Network, order: Lines, acked: dt.date) -> str:
    """855 of one order: accepted, changed or rejected, line by line."""
    spec, refs = net.spec, item_refs(net)
    unit, size = _unit(net, order)
    number = order_name(int(order["kind"][0]), int(order["order"][0]))
    whole = bool((order["conf"] == order["qty"]).all())
    out = [
        f"BAK*00*{'AD' if whole else 'AC'}*{number}*{ymd(spec.date(int(order['day'][0])))}*****{ymd(acked)}~"
        f"{_parties(net, order)}"
    ]
    promised = ymd(spec.date(int(order["promise"][0])))
    rows = zip(
        order["line"].tolist(), order["item"].tolist(), order["qty"].tolist(), order["conf"].tolist(),
        _price(net, order), size, strict=True,
    )  # fmt: skip
    for line, i, qty, conf, price, each in rows:
        code = "IA" if conf == qty else ("IQ" if conf else "IR")
        when = f"*067*{promised}" if conf else ""
        out.append(
            f"PO1*{line}*{qty // each}*{unit}*{price * each:.2f}**{refs[i]}~ACK*{code}*{conf // each}*{unit}{when}~"
        )
    out.append(f"CTT*{len(order)}~")
    return "".join(out)


def ship_notice(net: Network, order: Lines) -> str:
    """856 of one shipment: HL shipment, order, pack, item."""
    spec, refs = net.spec, item_refs(net)
    unit, size = _unit(net, order)
    kind = int(order["kind"][0])
    number = order_name(kind, int(order["order"][0]))
    shipped, due = ymd(spec.date(int(order["ship"][0]))), ymd(spec.date(int(order["eta"][0])))
    shipment = shipment_name(int(order["shipment"][0]))
    src, dst = net.party_ids[int(order["src"][0])], net.site_ids[int(order["dst"][0])]
    scac = carrier(net, order)
    out = [
        f"BSN*00*{shipment}*{shipped}*1600*0001~HL*1**S~TD5**2*{scac}*M~REF*BM*B{shipment[2:]}~DTM*011*{shipped}~"
        f"DTM*017*{due}~N1*SF*{src}*92*{src}~N1*ST*{dst}*92*{dst}~"
        f"HL*2*1*O~PRF*{number}***{ymd(spec.date(int(order['day'][0])))}~HL*3*2*P~MAN*GM*{_sscc(int(order['shipment'][0]))}~"
    ]
    rows = zip(order["line"].tolist(), order["item"].tolist(), order["shipq"].tolist(), size, strict=True)
    for hl, (line, i, qty, each) in enumerate(rows, start=4):
        out.append(f"HL*{hl}*3*I~LIN*{line}*{refs[i]}~SN1*{line}*{qty // each}*{unit}~")
    return "".join(out)


def _sscc(number: int) -> str:
    """Serial shipping container code: extension digit, company prefix, serial, check digit."""
    digits = f"00850009{number:09d}"
    return digits + check_digit(digits)


def receiving_advice(net: Network, order: Lines, receipt: int) -> str:
    """861 of one shipment received: what came, and how much of it was refused as damaged."""
    spec, refs = net.spec, item_refs(net)
    date = ymd(spec.date(int(order["arrive"][0])))
    number = order_name(int(order["kind"][0]), int(order["order"][0]))
    src, dst = net.party_ids[int(order["src"][0])], net.site_ids[int(order["dst"][0])]
    out = [
        f"BRA*RC{receipt:08d}*{date}*00*1~REF*PO*{number}~REF*SI*{shipment_name(int(order['shipment'][0]))}~"
        f"DTM*050*{date}~N1*SF*{src}*92*{src}~N1*ST*{dst}*92*{dst}~"
    ]
    rows = zip(
        order["line"].tolist(), order["item"].tolist(), order["recv"].tolist(), order["bad"].tolist(), strict=True
    )
    for line, i, qty, bad in rows:
        refused = f"*{bad}*EA*{bad}*EA*01" if bad else ""
        out.append(f"RCD*{line}*{qty + bad}*EA{refused}~LIN*{line}*{refs[i]}~PRF*{number}~")
    out.append(f"CTT*{len(order)}~")
    return "".join(out)


def invoice(net: Network, order: Lines) -> str:
    """810 of one shipment."""
    spec, refs = net.spec, item_refs(net)
    unit, size = _unit(net, order)
    number = order_name(SUPPLIER, int(order["order"][0]))
    src, dst = net.party_ids[int(order["src"][0])], net.site_ids[int(order["dst"][0])]
    out = [
        f"BIG*{ymd(spec.date(int(order['invoice'][0])))}*INV{int(order['shipment'][0]):08d}*"
        f"{ymd(spec.date(int(order['day'][0])))}*{number}~N1*SE*{src}*92*{src}~N1*ST*{dst}*92*{dst}~"
    ]
    cents = 0
    rows = zip(
        order["line"].tolist(), order["item"].tolist(), order["shipq"].tolist(), _price(net, order), size, strict=True
    )
    for line, i, qty, price, each in rows:
        cents += round(price * each * 100) * (qty // each)
        out.append(f"IT1*{line}*{qty // each}*{unit}*{price * each:.2f}**{refs[i]}~")
    out.append(f"TDS*{cents}~CTT*{len(order)}~")
    return "".join(out)


def carrier(net: Network, order: Lines) -> str:
    """SCAC that carries an order; deliveries between sites go with the own fleet."""
    if order["kind"][0] != SUPPLIER:
        return FLEET_SCAC
    return net.spec.carriers[int(net.carrier[order["src"][0]])]


def shipment_status(net: Network, order: Lines, code: str, reason: str, date: dt.date, hour: int) -> str:
    """214 of one event of one shipment; a delay carries the new estimate (G62*17)."""
    number = int(order["shipment"][0])
    where = CITIES[(number if code == "X6" else int(order["dst"][0])) % len(CITIES)]
    late = f"G62*17*{ymd(net.spec.date(int(order['arrive'][0])))}~" if code == "SD" else ""
    scac = carrier(net, order)
    return (
        f"B10*PRO{number:08d}*{shipment_name(number)}*{scac}~L11*{order_name(SUPPLIER, int(order['order'][0]))}*PO~{late}"
        f"LX*1~AT7*{code}*{reason}***{ymd(date)}*{hour:02d}{number % 60:02d}*UT~MS1*{where}*US~MS2*{scac}*{number % 90000 + 10000}~"
    )
