"""Which EDIFACT messages are mapped, what opens their lines, and who maps them."""

from __future__ import annotations

from collections.abc import Callable

from aios_assets.edi import edifact_more, edifact_moves, edifact_orders, edifact_schedules, edifact_stock, packing
from aios_assets.edi.mapping import Mapping
from aios_assets.edi.typing_rules import Typed
from aios_assets.edi.view import View

HEADERS = ("UNH", "UNS", "CNT", "UNT")


def _plain(*openers: str, read: Callable[[View], list[Typed]]) -> Mapping:
    return Mapping(openers, lambda view, _senders: read(view), HEADERS)


def _packed(read: Callable[[View], list[Typed]]) -> Mapping:
    return Mapping(("LIN",), lambda view, _senders: read(view), packing.ENDS, context=("CPS",))


def _called_off(code: str) -> Mapping:
    groups = edifact_schedules.GROUPING
    return Mapping(("LIN",), lambda view, _senders: edifact_schedules.schedules(view, code), HEADERS, context=groups)


MAPPINGS: dict[str, Mapping] = {
    "ORDERS": _plain("LIN", read=lambda v: edifact_orders.orders(v, "ORDERS")),
    "ORDCHG": _plain("LIN", read=lambda v: edifact_orders.orders(v, "ORDCHG")),
    "ORDRSP": _plain("LIN", read=edifact_orders.responses),
    "SLSRPT": Mapping(("LIN",), edifact_stock.sales, HEADERS, context=("LOC",)),
    "INVRPT": Mapping(("LIN",), edifact_stock.inventory, HEADERS),
    "DESADV": _packed(edifact_moves.shipments),
    "RECADV": _packed(edifact_moves.receipts),
    "INVOIC": _plain("LIN", read=edifact_moves.invoices),
    "IFTSTA": Mapping(
        ("STS",), lambda view, _senders: edifact_moves.statuses(view), (*HEADERS, "CNI"), context=("CNI", "LOC")
    ),
    "DELFOR": _called_off("DELFOR"),
    "DELJIT": _called_off("DELJIT"),
    "IFTMIN": _plain("NAD", read=edifact_more.loads),
    "PRICAT": _plain("LIN", read=edifact_more.prices),
    "REMADV": _plain("DOC", read=edifact_more.payments),
    "APERAK": _plain("ERC", read=edifact_more.advices),
    "CONTRL": _plain("UCM", read=edifact_moves.acknowledgements),
}
