"""Everything the network says about one day, as drafts in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from sandbox import edifact, x12
from sandbox.drafts import COMPANY_GLN, Draft, ymd
from sandbox.draws import Bools
from sandbox.flow import DayResult
from sandbox.network import Network
from sandbox.state import SUPPLIER, Lines, NetworkState

Body = Callable[[Lines], str]


def day_drafts(state: NetworkState, result: DayResult) -> list[Draft]:
    """All EDI of the day of `result`; takes receipt numbers from the state's counters."""
    net = state.net
    reported = _reported(net, result)
    drafts = [_site_draft(net, result, site, reported) for site in range(net.sites)]
    if net.spec.batch_reports:
        drafts = _batched(net, drafts)
    acked = net.spec.date(result.day)
    ready = result.placed
    drafts += _orders(net, ready)
    drafts += _answers(
        net, result.acked, "855", lambda o: x12.acknowledgement(net, o, acked),
        "ORDRSP", lambda o: edifact.order_response(net, o, ymd(acked)),
    )  # fmt: skip
    drafts += _answers(
        net, result.shipped, "856", lambda o: x12.ship_notice(net, o),
        "DESADV", lambda o: edifact.despatch_advice(net, o),
    )  # fmt: skip
    drafts += _receipts(state, result.received)
    invoiced = result.invoiced.where(result.invoiced["kind"] == SUPPLIER)
    drafts += _answers(net, invoiced, "810", lambda o: x12.invoice(net, o), "INVOIC", lambda o: edifact.invoice(net, o))
    return drafts + _statuses(net, result)


def _reported(net: Network, result: DayResult) -> Bools:
    """[S, I] listed items, and any with stock or movement."""
    moved = (result.opening + result.closing + result.receipts + result.sales) > 0
    reported: Bools = moved | net.is_listed(result.day)[None, :]
    return reported


def _site_draft(net: Network, result: DayResult, site: int, reported: Bools) -> Draft:
    """Daily report of one site: 852 or SLSRPT with INVRPT for a store, 846 or INVRPT for a centre."""
    name, is_store = net.site_ids[site], site >= net.centres
    if net.is_edifact_site(site):
        stock = ("INVRPT", edifact.inventory_report(net, result, site, reported))
        sets = [("SLSRPT", edifact.sales_report(net, result, site, reported)), stock] if is_store else [stock]
        return Draft("edifact", "", sets[0][0], net.site_glns[site], COMPANY_GLN, name, sets)
    if is_store:
        body = x12.product_activity(net, result, site, reported)
        version = "005010" if site % 3 == 0 else "004010"
        return Draft("x12", version, "852", name, net.spec.company, name, [("852", body)])
    body = x12.inventory_advice(net, result, site, reported)
    return Draft("x12", "004010", "846", name, net.spec.company, name, [("846", body)])


def _batched(net: Network, drafts: list[Draft]) -> list[Draft]:
    """The 852s of one centre's stores in one interchange, sent by its point-of-sale hub."""
    out = [d for d in drafts if d.kind != "852"]
    site = {name: n for n, name in enumerate(net.site_ids)}
    for centre in range(net.centres):
        mine = [d for d in drafts if d.kind == "852" and int(net.serving[site[d.subject]]) == centre]
        hub = f"POS{net.site_ids[centre]}"
        if mine:
            out.append(Draft("x12", "004010", "852", hub, net.spec.company, hub, [s for d in mine for s in d.sets]))
    return out


def _by_source(lines: Lines) -> Iterable[tuple[int, list[Lines]]]:
    """Orders grouped by delivering party."""
    groups: dict[int, list[Lines]] = {}
    for order in lines.groups():
        groups.setdefault(int(order["src"][0]), []).append(order)
    return sorted(groups.items())


def _is_edifact(net: Network, src: int) -> bool:
    return src >= net.sites and net.spec.suppliers[src - net.sites].standard == "edifact"


def _version(net: Network, src: int) -> str:
    return net.spec.suppliers[src - net.sites].version if src >= net.sites else "004010"


def _orders(net: Network, lines: Lines) -> list[Draft]:
    """Our own orders, one interchange per delivering party."""
    out = []
    for src, orders in _by_source(lines):
        name = net.party_ids[src]
        if _is_edifact(net, src):
            sets = [("ORDERS", edifact.orders(net, o)) for o in orders]
            out.append(Draft("edifact", "", "ORDERS", COMPANY_GLN, net.supplier_glns[src - net.sites], name, sets))
        else:
            sets = [("850", x12.purchase_order(net, o)) for o in orders]
            out.append(Draft("x12", _version(net, src), "850", net.spec.company, name, name, sets))
    return out


def _answers(net: Network, lines: Lines, code: str, body: Body, message: str, edifact_body: Body) -> list[Draft]:
    """What delivering parties say about orders, one interchange per party."""
    out = []
    for src, orders in _by_source(lines):
        name = net.party_ids[src]
        if _is_edifact(net, src):
            sets = [(message, edifact_body(o)) for o in orders]
            out.append(Draft("edifact", "", message, net.supplier_glns[src - net.sites], COMPANY_GLN, name, sets))
        else:
            sets = [(code, body(o)) for o in orders]
            out.append(Draft("x12", _version(net, src), code, name, net.spec.company, name, sets))
    return out


def _receipts(state: NetworkState, lines: Lines) -> list[Draft]:
    """861 of what centres received, and stores whose EDIFACT reports have no place for it; others say it in their 852."""
    net = state.net
    sets: dict[int, list[tuple[str, str]]] = {}
    speaks = np.array([s < net.centres or net.is_edifact_site(s) for s in range(net.sites)])
    for order in lines.where(speaks[lines["dst"]]).groups():
        body = x12.receiving_advice(net, order, state.take("receipt"))
        sets.setdefault(int(order["dst"][0]), []).append(("861", body))
    return [
        Draft("x12", "004010", "861", net.site_ids[d], net.spec.company, net.site_ids[d], sets[d]) for d in sorted(sets)
    ]


def _statuses(net: Network, result: DayResult) -> list[Draft]:
    """214 of supplier shipments: AF left, X6 on the road, SD late, X1 and D1 arrived; one interchange per carrier."""
    date = net.spec.date(result.day)
    events: dict[str, list[tuple[str, str]]] = {}
    plan = (
        (result.shipped, (("AF", "NS", 21),)),
        (result.rolling, (("X6", "NS", 17),)),
        (result.delayed, (("SD", "AI", 18),)),
        (result.received, (("X1", "NS", 12), ("D1", "NS", 14))),
    )
    for lines, codes in plan:
        for order in lines.where(lines["kind"] == SUPPLIER).groups():
            scac = x12.carrier(net, order)
            for code, reason, hour in codes:
                body = x12.shipment_status(net, order, code, reason, date, hour)
                events.setdefault(scac, []).append(("214", body))
    return [Draft("x12", "004010", "214", s, net.spec.company, s, events[s]) for s in sorted(events)]
