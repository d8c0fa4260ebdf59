"""Master data files: columns of the `raw_master__*` contracts without document, line and known time."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence

import numpy as np

from sandbox.calendar import KNOWN_AHEAD_DAYS, Campaign, campaigns_running, holidays
from sandbox.draws import Bools
from sandbox.network import NEVER, Network

ANNOUNCED_DAYS = 7
_HEADERS = {
    "items": "item_id,item_gtin,description,category_code,pack_ea,unit_cost_usd,unit_price_usd,supplier_id,shelf_life_days,introduced_date,discontinued_date",
    "sites": "site_id,site_gln,site_type,region_code,serving_site_id,storage_capacity_ea",
    "suppliers": "supplier_id,supplier_name,supplier_gln,minimum_order_usd,order_weekdays",
    "lanes": "origin_id,destination_id,mode_code,carrier_id,quoted_lead_time_days,cost_per_order_usd,cost_per_ea_usd",
    "supplier_items": "supplier_id,item_id,unit_cost_usd,minimum_order_ea,preference_no",
    "promotions": "promotion_id,item_id,site_id,start_date,end_date,promo_price_usd",
    "holidays": "holiday_date,holiday_name,is_closed",
}
Row = Sequence[object]


def master_files(net: Network, day: int) -> list[tuple[str, str]]:
    """(kind, text) of the files handed over after the close of `day`; day -1 is the first hand-over, of everything."""
    if day < 0:
        return [
            ("holidays", _csv("holidays", _holidays(net))),
            ("items", _csv("items", _items(net, net.introduced <= ANNOUNCED_DAYS, day))),
            ("lanes", _csv("lanes", _lanes(net))),
            ("promotions", _csv("promotions", _promotions(net, campaigns_running(net, 0, KNOWN_AHEAD_DAYS)))),
            ("sites", _csv("sites", _sites(net))),
            ("supplier_items", _csv("supplier_items", _supplier_items(net, net.introduced <= ANNOUNCED_DAYS))),
            ("suppliers", _csv("suppliers", _suppliers(net))),
        ]
    files = []
    fresh = net.introduced == day + ANNOUNCED_DAYS
    leaving = net.discontinued == day + KNOWN_AHEAD_DAYS
    if (fresh | leaving).any():
        files.append(("items", _csv("items", _items(net, fresh | leaving, day))))
    if fresh.any():
        files.append(("supplier_items", _csv("supplier_items", _supplier_items(net, fresh))))
    ahead = day + KNOWN_AHEAD_DAYS
    new = [c for c in campaigns_running(net, ahead, ahead) if c.start == ahead and ahead > KNOWN_AHEAD_DAYS]
    if new:
        files.append(("promotions", _csv("promotions", _promotions(net, new))))
    return files


def _csv(kind: str, rows: Iterable[Row]) -> str:
    text = io.StringIO()
    text.write(_HEADERS[kind] + "\n")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _items(net: Network, mask: Bools, day: int) -> list[Row]:
    """Items as known on that day: an end date only when it is announced."""
    spec = net.spec
    out: list[Row] = []
    for i in np.flatnonzero(mask).tolist():
        category = spec.categories[int(net.category[i])].name
        ends = int(net.discontinued[i])
        out.append(
            (
                net.item_ids[i], net.gtins[i], f"Item {i + 1}", _DEPARTMENTS[i % len(_DEPARTMENTS)], int(net.pack[i]),
                f"{net.cost[i]:.2f}", f"{net.price[i]:.2f}", spec.suppliers[int(net.supplier[i])].id, _shelf(category, i),
                spec.date(int(net.introduced[i])) if net.introduced[i] > 0 else "",
                spec.date(ends) if ends < NEVER and ends <= day + KNOWN_AHEAD_DAYS else "",
            )
        )  # fmt: skip
    return out


_DEPARTMENTS = ("BEVERAGES", "SNACKS", "DAIRY", "HOUSEHOLD", "CARE", "GARDEN")


def _shelf(category: str, item: int) -> object:
    return 60 if category == "fast" and item % 3 == 2 else ""


def _sites(net: Network) -> list[Row]:
    rows: list[Row] = []
    for s, name in enumerate(net.site_ids):
        centre = s if s < net.centres else int(net.serving[s])
        serving = "" if s < net.centres else net.site_ids[centre]
        rows.append((name, net.site_glns[s], "dc" if s < net.centres else "store", f"R{centre + 1}", serving, ""))
    return rows


def _suppliers(net: Network) -> list[Row]:
    return [
        (s.id, f"Supplier {s.id[3:]}", net.supplier_glns[k], f"{s.minimum_order_usd:.2f}", s.order_weekdays)
        for k, s in enumerate(net.spec.suppliers)
    ]


def _lanes(net: Network) -> list[Row]:
    """Supplier to centre, centre to its stores, and between sites of one region; standard and expedited."""
    costs = net.spec.costs
    rows: list[Row] = []
    per_ea = f"{costs.freight_per_ea_usd:.2f}"
    for k, s in enumerate(net.spec.suppliers):
        scac = net.spec.carriers[int(net.carrier[net.sites + k])]
        for c in range(net.centres):
            dc = net.site_ids[c]
            rows.append((s.id, dc, "standard", scac, s.quoted_days, f"{costs.supplier_order_usd:.2f}", per_ea))
            rows.append(
                (s.id, dc, "expedite", scac, costs.expedite_days, f"{costs.expedite_per_order_usd:.2f}",
                 f"{costs.expedite_per_ea_usd:.2f}")
            )  # fmt: skip
    for origin in range(net.sites):
        for to in range(net.sites):
            served = origin < net.centres and int(net.serving[to]) == origin
            sideways = origin != to and to >= 0 and _region(net, origin) == _region(net, to) and origin >= net.centres
            between = origin < net.centres and to < net.centres and origin != to
            if (served or (sideways and to >= net.centres) or between) and net.spec.stores <= 40:
                days = 1 if served else 2
                rows.append(
                    (
                        net.site_ids[origin],
                        net.site_ids[to],
                        "standard",
                        "",
                        days,
                        f"{costs.store_order_usd:.2f}",
                        per_ea,
                    )
                )
            elif served:
                rows.append(
                    (net.site_ids[origin], net.site_ids[to], "standard", "", 1, f"{costs.store_order_usd:.2f}", per_ea)
                )
    return rows


def _region(net: Network, site: int) -> int:
    return site if site < net.centres else int(net.serving[site])


def _supplier_items(net: Network, mask: Bools) -> list[Row]:
    rows: list[Row] = []
    for i in np.flatnonzero(mask).tolist():
        for rank, k in enumerate((int(net.supplier[i]), int(net.alternative[i])), start=1):
            if k >= 0:
                rows.append(
                    (net.spec.suppliers[k].id, net.item_ids[i], f"{net.unit_cost(k)[i]:.2f}", int(net.pack[i]), rank)
                )
    return rows


def _promotions(net: Network, found: Iterable[Campaign]) -> list[Row]:
    rows: list[Row] = []
    for c in found:
        start, end = net.spec.date(c.start), net.spec.date(c.end)
        stores = np.flatnonzero(net.serving == c.centre).tolist()
        for i in c.items:
            price = f"{round(float(net.price[i] * (1 - net.discount[i])), 2):.2f}"
            rows += [(c.id, net.item_ids[i], net.site_ids[s], start, end, price) for s in stores]
    return rows


def _holidays(net: Network) -> list[Row]:
    first = net.spec.start_date.year
    last = (net.spec.start_date + dt.timedelta(days=net.spec.history_days)).year + 2
    return [(h.date, h.name, str(h.is_closed).lower()) for y in range(first, last + 1) for h in holidays(y)]
