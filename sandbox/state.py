"""What changes from day to day: stock, open order lines, counters, what the planner has seen, files not yet delivered."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sandbox.draws import Bools, Floats, Ints
from sandbox.network import Network, build_network
from sandbox.spec import Spec

SUPPLIER, STORE, TRANSFER = 0, 1, 2
FAR = 10_000_000
LINE_COLUMNS = (
    "order", "kind", "line", "item", "src", "dst", "qty", "day", "need", "promise", "conf", "ack", "ship", "shipq",
    "eta", "arrive", "recv", "bad", "shipment", "invoice", "expedited",
)  # fmt: skip


class Lines:
    """Order lines as equal-length integer columns.

    Columns: order number; kind; line in the order; item; source party; destination site; quantity ordered; day placed,
    needed, promised; quantity confirmed; day acknowledged, shipped; quantity shipped; arrival as announced; arrival;
    quantity received and refused; shipment number; day invoiced; whether expedited. `FAR` is a day that never comes,
    -1 a number not known yet.
    """

    def __init__(self, columns: Mapping[str, Ints] | None = None) -> None:
        self.columns: dict[str, Ints] = {
            n: np.asarray(columns[n] if columns else [], dtype=np.int64) for n in LINE_COLUMNS
        }

    def __getitem__(self, name: str) -> Ints:
        return self.columns[name]

    def __setitem__(self, name: str, values: Ints) -> None:
        self.columns[name] = values

    def __len__(self) -> int:
        return len(self.columns["order"])

    def where(self, mask: Bools) -> Lines:
        """A copy of the lines that `mask` keeps."""
        return Lines({n: c[mask] for n, c in self.columns.items()})

    def extend(self, other: Lines) -> None:
        """Append the lines of `other`."""
        for name in LINE_COLUMNS:
            self.columns[name] = np.concatenate([self.columns[name], other.columns[name]])

    def groups(self) -> list[Lines]:
        """The lines of each order, in order of appearance."""
        if not len(self):
            return []
        starts = np.flatnonzero(np.diff(self["order"], prepend=self["order"][0] - 1))
        ends = [*starts[1:].tolist(), len(self)]
        return [Lines({n: c[a:b] for n, c in self.columns.items()}) for a, b in zip(starts.tolist(), ends, strict=True)]


@dataclass(slots=True)
class PendingFile:
    """A file that is written but not delivered yet."""

    day: int
    path: str
    content: bytes
    delivered_s: int


@dataclass(slots=True)
class NetworkState:
    """A network on the morning of `day`, before anything of that day happened.

    Attributes:
        net: what never changes.
        day: the next day to play.
        on_hand: [S, I] eaches.
        level: [S, I] log level of demand.
        lines: open order lines.
        seen_sales: [W, S, I] trailing sales, by day modulo W.
        seen_stock: [W, S, I] whether there was stock at close.
        lead_mean: [P, S] smoothed lead time the planner has seen.
        lead_var: [P, S] its variance.
        low: [S, I] the planner's min.
        high: [S, I] the planner's max.
        counters: last number given out by name (orders, shipments, control numbers by sender …).
        pending: files still on their way.
    """

    net: Network
    day: int
    on_hand: Ints
    level: Floats
    lines: Lines
    seen_sales: Ints
    seen_stock: Bools
    lead_mean: Floats
    lead_var: Floats
    low: Ints
    high: Ints
    counters: dict[str, int] = field(default_factory=dict)
    pending: list[PendingFile] = field(default_factory=list)

    def take(self, name: str, count: int = 1) -> int:
        """Give out `count` numbers of a counter and return the first."""
        first = self.counters.get(name, 0) + 1
        self.counters[name] = first + count - 1
        return first

    def branch(self) -> NetworkState:
        """An independent copy: what happens to it leaves this one untouched."""
        memo = {id(self.net): self.net}
        return copy.deepcopy(self, memo)


def new_network(spec: Spec, seed: int) -> NetworkState:
    """A network on its first morning, stocked as the merchant planned.

    Args:
        spec: the specification.
        seed: equal seeds give equal networks and equal days.
    """
    net = build_network(spec, seed)
    sites, items, parties = net.sites, net.items, len(net.party_ids)
    lead = np.full((parties, sites), 1.0)
    lead[sites:] = np.array([s.quoted_days for s in spec.suppliers], dtype=np.float64)[:, None]
    planned = net.planned * net.is_sold(0)
    cover = np.full((sites, items), 6.0)
    cover[: net.centres] = lead[sites + net.supplier, 0] + 10.0
    window = spec.policy.window_days
    return NetworkState(
        net=net,
        day=0,
        on_hand=np.ceil(planned * cover).astype(np.int64),
        level=np.zeros((sites, items)),
        lines=Lines(),
        seen_sales=np.zeros((window, sites, items), dtype=np.int64),
        seen_stock=np.zeros((window, sites, items), dtype=np.bool_),
        lead_mean=lead,
        lead_var=(0.3 * lead) ** 2,
        low=np.zeros((sites, items), dtype=np.int64),
        high=np.zeros((sites, items), dtype=np.int64),
    )
