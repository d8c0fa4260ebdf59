"""Where orders come from: the protocol of a provider, and its frame turned into a batch of numbers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from aios_assets.contracts.errors import BadInputError
from sandbox.draws import Ints
from sandbox.network import Network

REQUIRED = ("item_id", "site_id", "source_id", "quantity_ea", "decision_code")
ORDERING = ("replenish", "transfer", "switch_supplier")


class OrdersProvider(Protocol):
    """Who decides what is ordered in the morning after `day`."""

    def __call__(self, day: dt.date) -> pl.DataFrame:
        """Decisions after the close of `day`.

        Returns:
            One row per decision with item_id, site_id (receives), source_id (delivers), quantity_ea and decision_code
            (replenish, transfer, switch_supplier, expedite, none); `expedite` also needs order_number.
        """
        ...


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class OrderBatch:
    """Orders of one morning: equal-length columns, and the lines to speed up.

    Attributes:
        item: items.
        src: delivering parties.
        dst: receiving sites.
        qty: eaches, already in packs where a supplier delivers.
        expedite: (order number, item) pairs.
    """

    item: Ints = field(default_factory=_none)
    src: Ints = field(default_factory=_none)
    dst: Ints = field(default_factory=_none)
    qty: Ints = field(default_factory=_none)
    expedite: tuple[tuple[int, int], ...] = ()


def order_name(kind: int, number: int) -> str:
    """Order number as written in documents."""
    return f"{'PO' if kind == 0 else 'TO'}{number:07d}"


def batch_from_frame(net: Network, frame: pl.DataFrame, where: str = "orders") -> OrderBatch:
    """Check a provider's frame and turn it into a batch; supplier quantities are rounded up to whole packs.

    Raises:
        BadInputError: a column is missing, an item, site or source is unknown, or a quantity is not a number ≥ 0.
    """
    missing = [c for c in REQUIRED if c not in frame.columns]
    if missing:
        raise BadInputError(f"columns {missing} are missing", where=where, todo="give the columns of OrdersProvider")
    buy = frame.filter(pl.col("decision_code").is_in(ORDERING) & (pl.col("quantity_ea") > 0))
    bad = frame.filter(
        (pl.col("quantity_ea").is_null() | pl.col("quantity_ea").is_nan() | (pl.col("quantity_ea") < 0))
        & (pl.col("decision_code") != "none")
    )
    if bad.height:
        raise BadInputError(
            "quantity_ea is missing or negative", where=where, count=bad.height, todo="order eaches ≥ 0"
        )
    item = _codes(buy["item_id"], {**_index(net.gtins), **_index(net.item_ids)}, where, "item")
    parties = {**_index(net.site_glns + net.supplier_glns), **_index(net.party_ids)}
    src = _codes(buy["source_id"], parties, where, "source")
    dst = _codes(buy["site_id"], parties, where, "site")
    if bool((dst >= net.sites).any()) or bool((src == dst).any()):
        raise BadInputError("an order must go to a site other than its source", where=where, todo="check site_id")
    qty = np.ceil(buy["quantity_ea"].to_numpy().astype(np.float64) - 1e-9).astype(np.int64)
    pack = np.where(src >= net.sites, net.pack[item], 1)
    qty = -(-qty // pack) * pack
    return merge_orders(net, item, src, dst, qty, _expedites(net, frame, where))


def merge_orders(
    net: Network, item: Ints, src: Ints, dst: Ints, qty: Ints, expedite: tuple[tuple[int, int], ...] = ()
) -> OrderBatch:
    """Sort by source, destination, item and add up what names the same three."""
    key = (src * net.sites + dst) * net.items + item
    unique, inverse = np.unique(key, return_inverse=True)
    total = np.zeros(len(unique), dtype=np.int64)
    np.add.at(total, inverse, qty)
    lane = unique // net.items
    return OrderBatch(unique % net.items, lane // net.sites, lane % net.sites, total, expedite)


def _index(names: tuple[str, ...]) -> dict[str, int]:
    return {n: i for i, n in enumerate(names)}


def _codes(column: pl.Series, codes: dict[str, int], where: str, what: str) -> Ints:
    values = column.to_list()
    unknown = sorted({str(v) for v in values if v not in codes})
    if unknown:
        raise BadInputError(
            f"unknown {what} {unknown[:3]}",
            where=where,
            count=len(unknown),
            todo=f"order only for {what}s of this network",
        )
    return np.array([codes[v] for v in values], dtype=np.int64)


def _expedites(net: Network, frame: pl.DataFrame, where: str) -> tuple[tuple[int, int], ...]:
    rows = frame.filter(pl.col("decision_code") == "expedite")
    if not rows.height:
        return ()
    if "order_number" not in rows.columns or rows["order_number"].null_count():
        raise BadInputError("an expedite needs its order_number", where=where, todo="name the order to speed up")
    items = _codes(rows["item_id"], {**_index(net.gtins), **_index(net.item_ids)}, where, "item")
    return tuple(
        (int(str(number)[2:]), int(item)) for number, item in zip(rows["order_number"].to_list(), items, strict=True)
    )
