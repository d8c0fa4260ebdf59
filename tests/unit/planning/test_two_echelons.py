"""A centre and three stores whose demand is known: nights played by hand, held to what an all-knowing planner would order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl
import pytest

from planning.inputs import PlanInputs, PlanSpec
from planning.recommend import recommend
from tests.unit.planning import planning_world
from tests.unit.planning.planning_world import AS_OF, items, lane, order, orders, sites, stock

STORES = ("S0", "S1", "S2")
DAILY, HOP_DAYS = 5, 1
SPEC = PlanSpec(scenarios=16, flip_steps=0)


@dataclass
class Network:
    """Shelves, and what is coming: number, site, units, day ordered, day due (None: not sent yet)."""

    lead_days: int
    shelf: dict[str, float]
    coming: list[tuple[str, str, float, int, int | None]] = field(default_factory=list)
    today: int = 0
    lost: float = 0.0
    ordered: list[float] = field(default_factory=list)

    def night(self) -> None:
        """Decide as of today, then play tomorrow: receipts, shipments to the stores, sales."""
        decided = recommend(self._inputs(), AS_OF + timedelta(days=self.today), SPEC)
        placed = decided.filter(pl.col("decision_code") == "replenish").select("site_id", "quantity_ea").rows()
        self.today += 1
        for n, (site, units) in enumerate(placed):
            due = self.today + self.lead_days if site == "C" else None
            self.coming.append((f"N{self.today}-{n}", site, units, self.today, due))
        self.ordered.append(sum(units for site, units in placed if site == "C"))
        self._receive("C")
        for n, (number, site, units, since, due) in enumerate(self.coming):
            if due is None and self.shelf["C"] >= units:
                self.shelf["C"] -= units
                self.coming[n] = (number, site, units, since, self.today + HOP_DAYS)
        for site in STORES:
            self._receive(site)
            sold = min(self.shelf[site], DAILY)
            self.shelf[site], self.lost = self.shelf[site] - sold, self.lost + DAILY - sold

    def _receive(self, here: str) -> None:
        for line in [x for x in self.coming if x[1] == here and x[4] is not None and x[4] <= self.today]:
            self.shelf[here] += line[2]
            self.coming.remove(line)

    def _inputs(self) -> PlanInputs:
        day = AS_OF + timedelta(days=self.today)
        moved = timedelta(days=self.today)
        known = [planning_world.forecast("A", site, DAILY, spread=0.0) for site in STORES]
        lines = [
            order(number, "A", site, "SUP" if site == "C" else "C", units, AS_OF + timedelta(days=since),
                  AS_OF + timedelta(days=self.today + 1 if due is None else due))
            | {"shipped_qty_ea": 0.0 if due is None else units, "received_qty_ea": 0.0}
            for number, site, units, since, due in self.coming
        ]  # fmt: skip
        return PlanInputs(
            forecasts=pl.concat(known).with_columns(pl.col("origin_date", "target_date") + moved),
            stock=stock(*(("A", site, units) for site, units in self.shelf.items()), day=day),
            items=items(("A", 1, 2.0, 3.0)),
            sites=sites(("C", "distribution_centre", None), *((site, "store", "C") for site in STORES)),
            lanes=pl.DataFrame([lane("SUP", "C", self.lead_days), *(lane("C", site, HOP_DAYS) for site in STORES)]),
            open_orders=pl.DataFrame(lines) if lines else orders(),
        )


@pytest.mark.parametrize(("lead", "in_stores", "centre"), [(5, 0, 0), (5, 10, 0), (5, 5, 20), (12, 0, 0), (12, 20, 30)])
def test_a_centre_without_stock_orders_no_sale_that_is_lost(lead: int, in_stores: int, centre: int) -> None:
    """Tonight's order is in the stores on day lead + 2: sales before that nobody can save, and nobody orders them again.

    All-knowing, the orders of k nights serve the k days from then on. The planner may keep two days more: the level of each store covers
    the way to it and the day until its next order.
    """
    network = Network(lead, {"C": float(centre), **dict.fromkeys(STORES, float(in_stores))})
    daily = DAILY * len(STORES)
    for k in range(1, lead + 4):
        network.night()
        assert sum(network.ordered) <= daily * (k + 2)
    there = in_stores * len(STORES) + centre
    # Stock of the stores sells from day 1, that of the centre from day 2, and all of it before the first order is there.
    assert network.lost == daily * (lead + 1) - there


def test_orders_of_stores_that_were_not_sent_are_ordered_once() -> None:
    """Each store waits for twenty that the empty centre never sent: they are on order, so the centre needs these and no more."""
    network = Network(5, {"C": 0.0, **dict.fromkeys(STORES, 0.0)})
    network.coming = [(f"B{n}", site, 20.0, -1, None) for n, site in enumerate(STORES)]
    for _ in range(3):
        network.night()
    assert sum(network.ordered) == 60.0
