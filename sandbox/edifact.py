"""Bodies of EDIFACT D.96A messages (EANCOM habits: GLN for parties, GTIN for items), written by hand."""

from __future__ import annotations

import numpy as np

from sandbox.drafts import COMPANY_GLN, ymd
from sandbox.draws import Bools
from sandbox.flow import DayResult
from sandbox.network import Network
from sandbox.orders import order_name
from sandbox.state import Lines
from sandbox.x12 import carrier, shipment_name


def sales_report(net: Network, result: DayResult, site: int, reported: Bools) -> str:
    """SLSRPT of one store and day: units sold (153) and price."""
    date, gln = ymd(net.spec.date(result.day)), net.site_glns[site]
    sold, price = result.sales[site].tolist(), result.price[site].tolist()
    out = [
        f"BGM+73E::9+SR{net.site_ids[site]}{date}+9'DTM+137:{date}:102'DTM+90:{date}:102'DTM+91:{date}:102'"
        f"NAD+BY+{COMPANY_GLN}::9'NAD+SU+{gln}::9'CUX+2:USD:10'LOC+162+{gln}::9'DTM+356:{date}:102'"
    ]
    for n, i in enumerate(np.flatnonzero(reported[site]).tolist(), start=1):
        out.append(f"LIN+{n}++{net.gtins[i]}:EN'PRI+AAE:{price[i]:.2f}::RTP'QTY+153:{sold[i]}:PCE'")
    return "".join(out)


def inventory_report(net: Network, result: DayResult, site: int, reported: Bools) -> str:
    """INVRPT of one site and day: actual stock (145), adjusted (191, out of or into inventory)."""
    date, gln = ymd(net.spec.date(result.day)), net.site_glns[site]
    closing, adjusted = result.closing[site].tolist(), result.adjustments[site].tolist()
    out = [f"BGM+35+IR{net.site_ids[site]}{date}+9'DTM+137:{date}:102'DTM+366:{date}:102'NAD+WH+{gln}::9'"]
    for n, i in enumerate(np.flatnonzero(reported[site]).tolist(), start=1):
        out.append(f"LIN+{n}++{net.gtins[i]}:EN'QTY+145:{closing[i]}:PCE'")
        if adjusted[i]:
            out.append(f"QTY+191:{abs(adjusted[i])}:PCE'INV+{2 if adjusted[i] > 0 else 1}'")
    return "".join(out)


def _parties(net: Network, order: Lines) -> str:
    supplier = net.supplier_glns[int(order["src"][0]) - net.sites]
    site = net.site_glns[int(order["dst"][0])]
    return f"NAD+BY+{COMPANY_GLN}::9'NAD+SU+{supplier}::9'NAD+DP+{site}::9'"


def _head(net: Network, order: Lines) -> tuple[str, str, list[float]]:
    """Order number, its date, prices."""
    supplier = int(order["src"][0]) - net.sites
    prices: list[float] = net.unit_cost(supplier)[order["item"]].tolist()
    return order_name(int(order["kind"][0]), int(order["order"][0])), ymd(net.spec.date(int(order["day"][0]))), prices


def orders(net: Network, order: Lines) -> str:
    """ORDERS of one order."""
    number, date, prices = _head(net, order)
    out = [
        f"BGM+220+{number}+9'DTM+137:{date}:102'DTM+2:{ymd(net.spec.date(int(order['need'][0])))}:102'"
        f"{_parties(net, order)}CUX+2:USD:9'"
    ]
    rows = zip(order["line"].tolist(), order["item"].tolist(), order["qty"].tolist(), prices, strict=True)
    for line, i, qty, price in rows:
        out.append(f"LIN+{line}++{net.gtins[i]}:EN'QTY+21:{qty}:PCE'PRI+AAA:{price:.2f}'")
    out.append(f"UNS+S'CNT+2:{len(order)}'")
    return "".join(out)


def order_response(net: Network, order: Lines, acked: str) -> str:
    """ORDRSP of one order: ordered (21), confirmed (12), promised delivery (67)."""
    number, date, prices = _head(net, order)
    promised = ymd(net.spec.date(int(order["promise"][0])))
    out = [f"BGM+231+OR{number[2:]}+9'DTM+137:{acked}:102'RFF+ON:{number}'DTM+171:{date}:102'{_parties(net, order)}"]
    rows = zip(
        order["line"].tolist(),
        order["item"].tolist(),
        order["qty"].tolist(),
        order["conf"].tolist(),
        prices,
        strict=True,
    )
    for line, i, qty, conf, price in rows:
        action = 5 if conf == qty else (3 if conf else 7)
        out.append(
            f"LIN+{line}+{action}+{net.gtins[i]}:EN'QTY+21:{qty}:PCE'QTY+12:{conf}:PCE'DTM+67:{promised}:102'PRI+AAA:{price:.2f}'"
        )
    out.append(f"UNS+S'CNT+2:{len(order)}'")
    return "".join(out)


def despatch_advice(net: Network, order: Lines) -> str:
    """DESADV of one shipment."""
    number, _, _ = _head(net, order)
    shipped, due = ymd(net.spec.date(int(order["ship"][0]))), ymd(net.spec.date(int(order["eta"][0])))
    out = [
        f"BGM+351+{shipment_name(int(order['shipment'][0]))}+9'DTM+137:{shipped}:102'DTM+11:{shipped}:102'DTM+17:{due}:102'"
        f"RFF+ON:{number}'{_parties(net, order)}TDT+20++30++{carrier(net, order)}:172:182'CPS+1'"
    ]
    rows = zip(order["line"].tolist(), order["item"].tolist(), order["shipq"].tolist(), strict=True)
    for line, i, qty in rows:
        out.append(f"LIN+{line}++{net.gtins[i]}:EN'QTY+12:{qty}:PCE'RFF+ON:{number}:{line}'")
    return "".join(out)


def invoice(net: Network, order: Lines) -> str:
    """INVOIC of one shipment."""
    number, _, prices = _head(net, order)
    date = ymd(net.spec.date(int(order["invoice"][0])))
    out = [
        f"BGM+380+INV{int(order['shipment'][0]):08d}+9'DTM+137:{date}:102'RFF+ON:{number}'"
        f"RFF+DQ:{shipment_name(int(order['shipment'][0]))}'{_parties(net, order)}CUX+2:USD:4'"
    ]
    total = 0.0
    rows = zip(order["line"].tolist(), order["item"].tolist(), order["shipq"].tolist(), prices, strict=True)
    for line, i, qty, price in rows:
        total += price * qty
        out.append(f"LIN+{line}++{net.gtins[i]}:EN'QTY+47:{qty}:PCE'MOA+203:{price * qty:.2f}'PRI+AAA:{price:.2f}'")
    out.append(f"UNS+S'CNT+2:{len(order)}'MOA+86:{total:.2f}'")
    return "".join(out)
