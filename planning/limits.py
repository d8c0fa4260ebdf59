"""Limits that several orders share: the truck of a shipment, the room of a place, the budget. Packs are ranked, not items.

A limit says what a unit takes up (units, volume, weight) and how much there is for each group of series. Packs are granted in
the order of what they are worth per share of the room they take, so that a cut falls on what is missed least. The value of a
pack falls with every pack of its series: for one limit the order granted is optimal up to the last pack that did not fit
(Dantzig 1957, fractional knapsack); for several at once it is a heuristic, held against exact answers in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError
from planning.rationale import words

if TYPE_CHECKING:
    from planning.config import PlanConfig
    from planning.panel import Panel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
MEASURES = ("units", "volume", "weight")


@dataclass(frozen=True, slots=True)
class Limit:
    """One shared limit.

    Attributes:
        what: truck, storage, budget or maximum order.
        measure: units, volume or weight.
        group: (series,) index of the group that shares the room.
        names: name of each group, empty where there is but one.
        use: (series,) how much of the measure one unit takes.
        room: (groups,) how much there is; NaN for no limit.
        holds_stock: stock on hand and on the way takes room too.
    """

    what: str
    measure: str
    group: I64
    names: tuple[str, ...]
    use: F64
    room: F64
    holds_stock: bool = False

    def name(self, series: int) -> str:
        """The limit of a series in words: `truck of north (weight 40)`."""
        place = self.names[self.group[series]]
        of = f" of {place}" if place else ""
        return f"{self.what}{of} ({self.measure} {words(float(self.room[self.group[series]]))})"

    def left(self, position: F64) -> F64:
        """Room left per group (groups,) beside the position, not below zero; infinite where there is no limit."""
        taken = self.taken(position) if self.holds_stock else np.zeros_like(self.room)
        return np.where(np.isnan(self.room), np.inf, np.maximum(self.room - taken, 0.0))

    def taken(self, quantity: F64) -> F64:
        """What these units (series,) take up per group (groups,)."""
        weights = np.nan_to_num(quantity * self.use)
        return np.bincount(self.group, weights=weights, minlength=self.room.size).astype(np.float64)


def smallest_order(pack: F64, minimum: F64) -> F64:
    """Units of the smallest order of each series: one pack, or the packs that reach its minimum."""
    return np.asarray(np.maximum(np.ceil(np.maximum(minimum, 0) / pack - 1e-9), 1.0) * pack)


def fit_limits(
    quantity: F64, need: F32, position: F64, shortage: F64, holding: F64, pack: F64, minimum: F64, limits: Sequence[Limit]
) -> tuple[F64, NDArray[np.str_]]:  # fmt: skip
    """Grant packs until the limits bind.

    Args:
        quantity: (series,) units wanted, whole packs; need: (series, scenario) units that are used.
        position: (series,) on hand and on the way.
        shortage, holding: (series,) worth of a unit used and cost of one that is not.

    Returns:
        units granted, and the limit that refused the next pack of a series, in words; both (series,).
    """
    cut = np.zeros(quantity.size, dtype="<U120")
    rooms = [limit.left(position) for limit in limits]
    binding = [
        (limit, room) for limit, room in zip(limits, rooms, strict=True) if (limit.taken(quantity) > room + 1e-9).any()
    ]
    tight = np.zeros(quantity.size, dtype=bool)
    for limit, room in binding:
        tight |= (limit.taken(quantity) > room + 1e-9)[limit.group]
    granted = np.where(tight, 0.0, quantity)
    rest = [room - limit.taken(granted) for limit, room in binding]
    for _, i, size in _ranked(quantity, need, shortage, holding, smallest_order(pack, minimum), pack, tight, binding):
        if cut[i]:
            continue
        for (limit, _), room in zip(binding, rest, strict=True):
            if size * limit.use[i] > room[limit.group[i]] + 1e-9:
                cut[i] = limit.name(i)
                break
        else:
            granted[i] += size
            for (limit, _), room in zip(binding, rest, strict=True):
                room[limit.group[i]] -= size * limit.use[i]
    return granted, cut


def _ranked(
    quantity: F64, need: F32, shortage: F64, holding: F64, first: F64, pack: F64, tight: NDArray[np.bool_],
    binding: Sequence[tuple[Limit, F64]],
) -> list[tuple[float, int, float]]:  # fmt: skip
    """Offers (−worth per share of the room, series, units), best first; the packs of one series stay in their order."""
    offers: list[tuple[float, int, int, float]] = []
    for row in np.flatnonzero(tight & (quantity > 0)):
        i = int(row)
        ends = np.append(np.arange(first[i], quantity[i] - 1e-9, pack[i]), quantity[i])
        starts = np.concatenate([[0.0], ends[:-1]])
        used = np.clip(need[i][None, :] - starts[:, None], 0, (ends - starts)[:, None]).mean(axis=1)
        gain = (shortage[i] * used - holding[i] * (ends - starts - used)) / (ends - starts)
        share = max((float(limit.use[i] / room[limit.group[i]]) if room[limit.group[i]] > 0 else np.inf for limit, room in binding), default=0.0)  # fmt: skip
        worth = gain / share if share > 0 else np.full(gain.size, np.inf)
        falling = np.minimum.accumulate(worth)
        offers += [
            (-float(w), i, k, float(e - s)) for k, (w, e, s) in enumerate(zip(falling, ends, starts, strict=True))
        ]
    return [(w, i, size) for w, i, _, size in sorted(offers)]


def cut_evenly(quantity: F64, position: F64, pack: F64, minimum: F64, limits: Sequence[Limit]) -> F64:
    """Orders of a yardstick that knows no limits, cut to them: every series of a group by the same share, whole packs."""
    out = quantity.copy()
    for limit in limits:
        wanted, room = limit.taken(out), limit.left(position)
        share = np.where(wanted > room + 1e-9, room / np.maximum(wanted, 1e-12), 1.0)[limit.group]
        kept = np.where(share < 1, np.floor(out * share / pack + 1e-9) * pack, out)
        out = np.where(kept < minimum - 1e-9, 0.0, kept)
    return out


def limits_of(config: PlanConfig, panel: Panel, read: Any) -> tuple[Limit, ...]:
    """The limits a configuration states, for the series of a panel.

    Args:
        read: callable from path to frame.

    Raises:
        BadInputError: a column to group by is unknown, or a file by group lacks columns or has a group twice.
    """
    from planning.config import by_key

    out = []
    use = {"units": np.ones(panel.keys.height)}
    use |= {m: by_key(config, f"unit_{m}", panel.keys, read) for m in ("volume", "weight")}
    for what in ("truck", "storage"):
        columns = getattr(config, f"{what}_by")
        group, frame, names = _groups(panel, columns, f"{what}_by")
        for measure in MEASURES:
            name = f"{what}_{measure}"
            value = getattr(config, name, None)
            if value is None:
                continue
            if isinstance(value, str) and not columns:
                raise BadInputError(f"{name} is a file, but {what}_by names no column", where=value)
            room = by_key(config, name, frame, read)
            out.append(Limit(what, measure, group, names, use[measure], room, what == "storage"))
    if config.maximum_order_units is not None:
        series = np.arange(panel.keys.height)
        most = by_key(config, "maximum_order_units", panel.keys, read)
        out.append(Limit("maximum order", "units", series, tuple([""] * series.size), use["units"], most))
    return tuple(out)


def _groups(panel: Panel, columns: tuple[str, ...], name: str) -> tuple[I64, pl.DataFrame, tuple[str, ...]]:
    """Group index (series,), one row per group, and the groups' names."""
    if not columns:
        return np.zeros(panel.keys.height, dtype=np.int64), pl.DataFrame({"all": ["all"]}), ("",)
    known = panel.keys if set(columns) <= set(panel.keys.columns) else panel.statics
    lacking = [c for c in columns if c not in known.columns]
    if lacking:
        raise BadInputError(
            f"{name} names {', '.join(lacking)}, which is no key and not constant per series",
            where="configuration", todo=f"there are {', '.join(panel.statics.columns)}",
        )  # fmt: skip
    frame = known.select(columns).unique().sort(columns)
    index = known.select(columns).join(frame.with_row_index("_g"), on=columns, how="left", maintain_order="left")["_g"]
    return index.to_numpy().astype(np.int64), frame, tuple(">".join(map(str, row)) for row in frame.iter_rows())


def problem(limits: Sequence[Limit], i: int, pack: float, minimum: float) -> str:
    """Why a series can never be ordered under these limits, with the amount; empty when it can.

    >>> one = np.array([1.0])
    >>> truck = Limit("truck", "volume", np.array([0]), ("north",), one * 2, one * 20)
    >>> problem([truck], 0, 12.0, 0.0)
    'the truck is below a single pack: a pack of 12 takes volume 24, 4 more than the truck of north (volume 20)'
    """
    for limit in limits:
        if np.isnan(limit.room[limit.group[i]]):
            continue
        if not limit.use[i] >= 0:
            return f"{limit.measure} per unit is missing: the {limit.name(i)} cannot be kept without it"
        for size, word in (
            (pack, "a single pack"),
            (float(smallest_order(np.array(pack), np.array(minimum))), "the minimum order"),
        ):
            over = size * limit.use[i] - limit.room[limit.group[i]]
            if over > 1e-9:
                what = "pack" if word == "a single pack" else "minimum order"
                return (
                    f"the {limit.what} is below {word}: a {what} of {words(size)} takes {limit.measure} "
                    f"{words(float(size * limit.use[i]))}, {words(float(over))} more than the {limit.name(i)}"
                )
    return ""
