"""What really happened, kept outside the inbox for tests only."""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.flow import DayResult
from sandbox.network import Network
from sandbox.orders import order_name
from sandbox.state import FAR, LINE_COLUMNS, Lines
from sandbox.x12 import shipment_name

_DAILY = {
    "opening_qty_ea": "opening",
    "receipts_qty_ea": "receipts",
    "demand_qty_ea": "demand",
    "sales_qty_ea": "sales",
    "outbound_qty_ea": "outbound",
    "adjustments_qty_ea": "adjustments",
    "closing_qty_ea": "closing",
    "expected_demand_ea": "expected",
}


class TruthLog:
    """Collects days and turns them into frames.

    Tables: `demand` (item, site, day: demand, sales, lost, expected), `stock` (opening, receipts, sales, outbound,
    adjustments, closing), `orders` (one line placed), `shipments` (one line shipped), `receipts` (one line received).
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self.days: list[DayResult] = []

    def add(self, result: DayResult) -> None:
        """Take one day."""
        self.days.append(result)

    def frames(self) -> dict[str, pl.DataFrame]:
        """All tables of the days taken."""
        if not self.days:
            return {}
        daily = self._daily()
        key = ["item_id", "site_id", "date"]
        demand = daily.select(
            *key, "demand_qty_ea", "sales_qty_ea",
            (pl.col("demand_qty_ea") - pl.col("sales_qty_ea")).alias("lost_qty_ea"), "expected_demand_ea",
        )  # fmt: skip
        stock = daily.drop("demand_qty_ea", "expected_demand_ea")
        return {
            "demand": demand,
            "stock": stock,
            "orders": self._lines([d.placed for d in self.days]),
            "shipments": self._lines([d.shipped for d in self.days]),
            "receipts": self._lines([d.received for d in self.days]),
        }

    def _daily(self) -> pl.DataFrame:
        """One row per item, site and day with any stock, demand or receipt."""
        net = self.net
        arrays = {name: np.stack([getattr(d, field) for d in self.days]) for name, field in _DAILY.items()}
        live = (arrays["opening_qty_ea"] + arrays["closing_qty_ea"] + arrays["demand_qty_ea"]) > 0
        day, site, item = np.nonzero(live | (arrays["receipts_qty_ea"] > 0))
        dates = pl.Series("date", [net.spec.date(d.day) for d in self.days], dtype=pl.Date)
        keys = [
            pl.Series("item_id", list(net.item_ids)).gather(pl.Series(item)),
            pl.Series("site_id", list(net.site_ids)).gather(pl.Series(site)),
            dates.gather(pl.Series(day)),
        ]
        return pl.DataFrame([*keys, *(pl.Series(n, a[day, site, item]) for n, a in arrays.items())])

    def _lines(self, parts: list[Lines]) -> pl.DataFrame:
        """Order lines with names and dates; a date is null when it never came."""
        net = self.net
        lines = Lines({n: np.concatenate([p[n] for p in parts]) for n in LINE_COLUMNS})
        frame = pl.DataFrame(
            {
                "order_number": pl.Series(
                    [order_name(k, n) for k, n in zip(lines["kind"].tolist(), lines["order"].tolist(), strict=True)],
                    dtype=pl.String,
                ),
                "line": lines["line"],
                "item_id": pl.Series(list(net.item_ids)).gather(pl.Series(lines["item"])),
                "source_id": pl.Series(list(net.party_ids)).gather(pl.Series(lines["src"])),
                "site_id": pl.Series(list(net.site_ids)).gather(pl.Series(lines["dst"])),
                "ordered_qty_ea": lines["qty"], "confirmed_qty_ea": lines["conf"], "shipped_qty_ea": lines["shipq"],
                "received_qty_ea": lines["recv"], "refused_qty_ea": lines["bad"],
                "shipment_id": pl.Series(
                    [shipment_name(n) if n >= 0 else None for n in lines["shipment"].tolist()], dtype=pl.String
                ),
                "is_expedited": lines["expedited"] == 1,
            }
        )  # fmt: skip
        start = pl.lit(net.spec.start_date)
        days = ("day", "need", "promise", "ship", "eta", "arrive")
        frame = frame.with_columns(pl.Series(f"{n}_date", lines[n]) for n in days)
        return frame.with_columns(
            pl.when(pl.col(f"{n}_date") < FAR).then(start + pl.duration(days=pl.col(f"{n}_date"))).alias(f"{n}_date")
            for n in days
        )
