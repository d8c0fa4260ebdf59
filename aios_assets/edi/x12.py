"""Which X12 sets are mapped, what opens their lines, and who maps them."""

from __future__ import annotations

from collections.abc import Callable

from aios_assets.edi import x12_business, x12_moves, x12_orders, x12_stock, x12_supply
from aios_assets.edi.mapping import Mapping
from aios_assets.edi.typing_rules import Typed
from aios_assets.edi.view import View

HEADERS = ("ST", "CTT", "SE", "TDS")


def _plain(*openers: str, read: Callable[[View], list[Typed]], headers: tuple[str, ...] = HEADERS) -> Mapping:
    return Mapping(openers, lambda view, _senders: read(view), headers)


MAPPINGS: dict[str, Mapping] = {
    "850": _plain("PO1", read=lambda v: x12_orders.orders(v, "850")),
    "860": _plain("POC", read=lambda v: x12_orders.orders(v, "860")),
    "875": _plain("G68", read=lambda v: x12_orders.orders(v, "875")),
    "855": _plain("PO1", read=lambda v: x12_orders.responses(v, "855")),
    "865": _plain("POC", read=lambda v: x12_orders.responses(v, "865")),
    "852": Mapping(("LIN",), x12_stock.activity, HEADERS, context=("N1",)),
    "846": Mapping(("LIN",), x12_stock.inventory, HEADERS),
    "856": Mapping(
        ("HL",), lambda view, _senders: x12_moves.shipments(view), ("ST", "CTT", "SE"), tree=("PRF", "N1", "TD5", "DTM")
    ),
    "861": _plain("RCD", read=x12_moves.receipts),
    "810": _plain("IT1", read=x12_moves.invoices),
    "214": Mapping(("AT7",), lambda view, _senders: x12_moves.statuses(view), HEADERS, context=("LX",)),
    "830": _plain("LIN", read=lambda v: x12_supply.schedules(v, "830")),
    "862": _plain("LIN", read=lambda v: x12_supply.schedules(v, "862")),
    "940": _plain("W01", read=lambda v: x12_supply.warehouse(v, "940")),
    "943": _plain("W04", read=lambda v: x12_supply.warehouse(v, "943")),
    "944": _plain("W07", read=lambda v: x12_supply.warehouse(v, "944")),
    "945": _plain("W12", read=lambda v: x12_supply.warehouse(v, "945")),
    "947": _plain("W19", read=lambda v: x12_supply.warehouse(v, "947")),
    "204": _plain("S5", read=x12_business.loads, headers=("ST", "L3", "SE")),
    "990": _plain("B1", read=x12_business.load_answers),
    "210": _plain("LX", read=x12_business.freight, headers=("ST", "L3", "SE")),
    "820": _plain("RMR", read=x12_business.payments),
    "832": _plain("LIN", read=x12_business.prices),
    "867": _plain("PTD", read=x12_business.transfers),
    "824": _plain("OTI", read=x12_business.advices),
    "997": _plain("AK2", read=x12_moves.acknowledgements, headers=("ST", "AK9", "SE")),
    "999": _plain("AK2", read=x12_moves.acknowledgements, headers=("ST", "AK9", "SE")),
}
