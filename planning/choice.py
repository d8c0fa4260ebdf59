"""Who gets what is faster than a regular order: needs compete for what sites can spare and for room to store it.

One option wins per item and site; the regular order is solved again with it on the way, so that one need is covered once. Next
served is always the need that loses most if it does not get its first choice (regret order, the rule of Vogel's approximation).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from planning.night import Chunk, World
from planning.options import Offer, Routes, all_offers, lost_units, spare_of, spare_stock, take
from planning.projection import F64


def choose(
    world: World,
    chunk: Chunk,
    pipeline: dict[str, Any],
    routes: Routes,
    lost: F64,
    unit_cost: F64,
    late: Collection[int] = (),
) -> tuple[list[Offer], dict[int, list[Offer]]]:
    """Best option per row, and all that were rejected; receipts, donors' stock and room are updated in place.

    Args:
        lost: (n,) expected units lost before the regular order.
        late: rows whose open order is likely late: every faster way is weighed for them, whatever is at stake.
    """
    asked = np.flatnonzero(chunk.ok & (lost * chunk.worth > world.spec.min_gain_usd))
    rows = sorted({*asked.tolist(), *late})
    spare = spare_stock(chunk, routes)
    tonight = _Market(world, chunk, pipeline, routes, unit_cost, frozenset(late), spare)
    market = tonight.copy()
    taken, rejected = market.serve(rows)
    tonight.asked = market.asked
    slack = market.slack([*taken, *(offer for offers in rejected.values() for offer in offers)])
    for offer in taken:
        offer.flip = tonight.flip_of(offer, slack)
    for offer in taken:
        if offer.donor >= 0:
            offer.notes["donor_spare_ea"] = float(np.floor(spare[offer.donor]))
            spare[offer.donor] -= offer.quantity
        take(chunk, offer)
    world.room.update(market.world.room)
    return taken, rejected


@dataclass(slots=True)
class _Market:
    """What can be given tonight, and what each row could get of it.

    Attributes:
        late: rows that are asked whatever is at stake; spare: (n,) units that each row can give.
        asked: by row, what it was offered while everything was still there.
    """

    world: World
    chunk: Chunk
    pipeline: dict[str, Any]
    routes: Routes
    unit_cost: F64
    late: frozenset[int]
    spare: F64
    asked: dict[int, list[Offer]] = field(default_factory=dict)

    def copy(self) -> _Market:
        """The same with stock, spare units and room of its own."""
        return replace(
            self, world=replace(self.world, room=dict(self.world.room)), spare=self.spare.copy(), asked=dict(self.asked),
            chunk=replace(self.chunk, on_hand=self.chunk.on_hand.copy()),
        )  # fmt: skip

    def serve(self, rows: Iterable[int]) -> tuple[list[Offer], dict[int, list[Offer]]]:
        """What rows get, and what each rejected; spare units, stock and room are used up."""
        for i in rows:
            if i not in self.asked:
                self.asked[i] = self._ask(i)
        rejected = {i: self.asked[i] for i in rows}
        waiting = {i: offers for i, offers in rejected.items() if self._pays(offers)}
        taken: list[Offer] = []
        while waiting:
            i = max(waiting, key=lambda k: (self._regret(waiting[k]), -k))
            best, *rejected[i] = waiting.pop(i)
            taken.append(best)
            self._use(best)
            for k, offers in list(waiting.items()):
                waiting[k] = rejected[k] = self._ask(k) if k == best.donor else self._renewed(k, offers)
                if not self._pays(waiting[k]):
                    del waiting[k]
        return taken, rejected

    def _ask(self, i: int, kept: Iterable[Offer] = (), only: Collection[str] | None = None) -> list[Offer]:
        """Offers for a row as things are, with those kept, the one that saves most first."""
        found = all_offers(
            self.world, self.chunk, i, self.pipeline, self.spare, float(self.unit_cost[i]), self.routes, only
        )
        return sorted([*kept, *found], key=lambda o: (-o.saving, o.decision, o.source_id))

    def _renewed(self, i: int, offers: list[Offer]) -> list[Offer]:
        """Offers of a row after another was served: those that no longer stand are asked for again."""
        gone = {offer.source_id for offer in offers if not self._stands(offer)}
        kept = [offer for offer in offers if offer.decision == "expedite" or offer.source_id not in gone]
        return self._ask(i, kept, gone) if gone else offers

    def _pays(self, offers: list[Offer]) -> bool:
        return bool(offers) and offers[0].saving > self.world.spec.min_gain_usd

    def _regret(self, offers: list[Offer]) -> float:
        """What is lost when the second choice is taken instead of the first; all of it where no second one pays."""
        return offers[0].saving - (offers[1].saving if self._pays(offers[1:]) else 0.0)

    def _stands(self, offer: Offer) -> bool:
        """Whether there is still enough for an offer: the goods, and the room for them."""
        if offer.donor >= 0 and offer.quantity > self.spare[offer.donor]:
            return False
        room = self.world.room.get(self.chunk.site[offer.row], np.inf)
        return offer.decision == "expedite" or offer.quantity <= room

    def _use(self, offer: Offer) -> None:
        """Take an offer; who gets something gives nothing."""
        site = self.chunk.site[offer.row]
        if offer.donor >= 0:
            self.spare[offer.donor] -= offer.quantity
            self.chunk.on_hand[offer.donor] -= offer.quantity
        if offer.decision != "expedite" and site in self.world.room:
            self.world.room[site] -= offer.quantity
        self.spare[offer.row] = 0.0

    def slack(self, offers: Iterable[Offer]) -> dict[str, float]:
        """Room left at each site that states its storage, less the largest thing offered there: below one each it may have decided."""
        largest = dict.fromkeys(self.world.room, 0.0)
        for offer in offers:
            site = self.chunk.site[offer.row]
            if site in largest and offer.decision != "expedite":
                largest[site] = max(largest[site], offer.quantity)
        return {site: room - largest[site] for site, room in self.world.room.items()}

    def flip_of(self, best: Offer, slack: dict[str, float]) -> tuple[float, str] | None:
        """Smallest number of eaches more on the shelf with which this offer is no longer taken, found by deciding the item again.

        With more stock the gap that an offer fills only shrinks; it is tried up to all that the dearest scenario wants. None
        where the room of a site that takes part may decide instead: other items share it, and more stock takes some of it.
        """
        rows = [k for k in self.asked if self.chunk.item[k] == self.chunk.item[best.row]]
        if self.world.spec.flip_steps == 0 or any(slack.get(self.chunk.site[k], np.inf) < 1 for k in rows):
            return None
        low, high = 0.0, float(np.ceil(self.chunk.demand[best.row].sum(axis=1).max()))
        becomes = self._instead(best, rows, high) if high >= 1 else None
        if becomes is None:
            return None
        while high - low > 1:
            middle = float(np.floor((low + high) / 2))
            found = self._instead(best, rows, middle)
            if found is None:
                low = middle
            else:
                high, becomes = middle, found
        return (high, becomes) if slack.get(self.chunk.site[best.row], np.inf) >= high + 1 else None

    def _instead(self, best: Offer, rows: list[int], more: float) -> str | None:
        """What is done instead of an offer if its row had so much more; None if it is taken all the same."""
        i, trial = best.row, self.copy()
        chunk = trial.chunk
        chunk.on_hand[i] += more
        if i not in self.late:
            lost = lost_units(chunk, i, chunk.receipts[i], chunk.arrive[i]).mean(dtype=np.float64)
            if lost * chunk.worth[i] <= trial.world.spec.min_gain_usd:
                return "none"
        trial.spare[i] = spare_of(chunk, i)  # with more stock it may give, too
        trial.asked = {
            k: trial._ask(k, [o for o in self.asked[k] if o.donor != i], {chunk.site[i]})
            if trial.spare[i] >= 1 or any(o.donor == i for o in self.asked[k]) else self.asked[k]
            for k in rows if k != i
        }  # fmt: skip
        taken, _ = trial.serve(rows)
        got = next((offer for offer in taken if offer.row == i), None)
        if got is None:
            return "none"
        same = (got.decision, got.source_id, got.order_number) == (best.decision, best.source_id, best.order_number)
        return None if same else got.decision
