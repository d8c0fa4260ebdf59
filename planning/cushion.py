"""What the stores of a centre lose before its next delivery can help them: a sale that was lost is not ordered again.

Without that a centre out of stock orders its whole time of waiting a second time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planning.projection import F32, F64, I64


@dataclass(frozen=True, slots=True)
class Cushion:
    """The stores behind one centre and item. Shapes (scenario, period), `early` ones only until tonight's order is in every store.

    Attributes:
        own: the centre's own demand, day by day.
        orders: what its stores order up to each day if nothing is lost.
        alone: early; what each of them lacks at most beyond what it has and gets, the centre sending nothing more, added up.
        together: early; what they lack together up to each day, below zero where something is left.
        way: (scenario,) days that what the centre receives in the morning takes to a store.
        arrive: (scenario,) day on which the centre's order of tonight comes, from 1.
    """

    own: F32
    orders: F32
    alone: F32
    together: F32
    way: I64
    arrive: I64

    def received(self, receipts: F32) -> F32:
        """What of these receipts (scenario, period) of the centre could be in the stores by each early day; NaN before anything could."""
        early = self.alone.shape[1]
        total = np.cumsum(receipts[:, :early], axis=1)
        day = np.arange(early)[None, :] - self.way[:, None]
        there = np.take_along_axis(total, np.maximum(day, 0), axis=1)
        return np.where(day < 0, np.float32(np.nan), there)

    def demand(self, stock: float, received: F32) -> F32:
        """The centre's demand day by day: its own, and what its stores order, less what they lose until its order of tonight is with them.

        At least as much is lost as the stores lack together of all there is, and as each lacks by itself beyond all that the centre
        could send in time. The centre's stock is taken to go where it is lacking, so that what is truly lost is never less. Both
        are running maxima: a day without stock does not eat the next delivery.

        Args:
            stock: free stock of the centre, below zero where more is promised than there is.
            received: of what it receives, from `received`.
        """
        early = received.shape[1]
        sent = np.nan_to_num(received + np.float32(stock), nan=0.0)
        short = np.maximum(self.alone - np.maximum(sent, 0), self.together - sent)
        orders = self.orders
        if (short > 0).any():
            lost = np.maximum.accumulate(np.maximum(short, 0), axis=1)
            last = np.clip(self.arrive + self.way - 2, 0, early - 1)[:, None]
            most = np.take_along_axis(lost, last, axis=1)
            orders = self.orders - most
            orders[:, :early] = self.orders[:, :early] - np.minimum(lost, most)
            orders = np.maximum.accumulate(np.maximum(orders, 0), axis=1)
        return self.own + np.diff(orders, axis=1, prepend=np.float32(0))


def cushion(own: F32, orders: F32, demand: F32, receipts: F32, stock: F64, way: I64, arrive: I64) -> Cushion:
    """The cushion of one centre.

    Args:
        own: the centre's own demand; orders: what its stores order up to each day if nothing is lost.
        demand: (store, scenario, period) of its stores, day by day; receipts: the same; stock: (store,) on hand.
        way: (scenario,) days to the nearest store; arrive: (scenario,) when the centre's order of tonight comes.
    """
    early = int(np.clip((arrive + way).max() - 1, 1, own.shape[1]))
    lacking = np.cumsum(demand[:, :, :early] - receipts[:, :, :early], axis=2)
    lacking -= stock.astype(np.float32)[:, None, None]
    alone = np.maximum.accumulate(np.maximum(lacking, 0), axis=2).sum(axis=0)
    return Cushion(own, orders, alone, lacking.sum(axis=0), way, arrive)
