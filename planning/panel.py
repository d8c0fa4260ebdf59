"""A long history as arrays: one row per series, one column per period; nothing that happened after `as_of`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aios_assets.contracts.days import as_days
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.flags import as_flags

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
TRANSIT = re.compile(r"^in_transit_(?:[a-z]+_)?(\d+)_units$")
# Other names that people give to stock on the way: passed over, it would be ordered once more.
ON_THE_WAY = re.compile(r"transit|on_?order|incoming|inbound|pipeline|open_?orders?", re.IGNORECASE)
# Different days from which on one and the same weekday is no coincidence in a daily history.
ENOUGH_DAYS = 4


@dataclass(frozen=True, slots=True)
class Panel:
    """Series × periods.

    Attributes:
        keys: key columns as text, sorted, one row per series.
        periods: first day of each period.
        demand: (series, period) units; NaN before a series starts and where unknown.
        seen: (series, period) false where sales are censored or unknown.
        statics: further columns that are constant per series, as text.
        filled: periods without a row that were taken as zero.
        unit: what demand is counted in: 1 for pieces, 0.01 for tonnes with two decimals.
    """

    keys: pl.DataFrame
    periods: list[date]
    demand: F64
    seen: Bools
    statics: pl.DataFrame
    filled: int = 0
    unit: float = 1.0

    def upto(self, count: int) -> Panel:
        """The first `count` periods: what was known then."""
        return replace(self, periods=self.periods[:count], demand=self.demand[:, :count], seen=self.seen[:, :count])


def _require(frame: pl.DataFrame, columns: list[str], where: str) -> None:
    lacking = [c for c in columns if c not in frame.columns]
    if lacking:
        raise BadInputError(
            f"column {', '.join(lacking)} is missing", where=where, todo=f"there are {', '.join(frame.columns)}"
        )


def calendar(first: date, last: date, period: str) -> list[date]:
    """First days of the periods from `first` to `last`.

    >>> calendar(date(2026, 1, 1), date(2026, 3, 1), "M")
    [datetime.date(2026, 1, 1), datetime.date(2026, 2, 1), datetime.date(2026, 3, 1)]
    """
    if period == "M":
        months = (last.year - first.year) * 12 + last.month - first.month
        return [
            date(first.year + (first.month - 1 + k) // 12, (first.month - 1 + k) % 12 + 1, 1) for k in range(months + 1)
        ]
    step = 1 if period == "D" else 7
    return [first + timedelta(days=step * k) for k in range((last - first).days // step + 1)]


def build_panel(
    history: pl.DataFrame,
    keys: list[str],
    time: str,
    target: str,
    period: str,
    *,
    in_stock: str | None = None,
    missing: str = "zero",
    where: str = "history",
) -> Panel:
    """Check a long history and turn it into arrays.

    Raises:
        BadInputError: columns missing, times or numbers unreadable, negative demand, a key and time twice, or days that do
            not fall on the periods.
    """
    _require(history, [*keys, time, target, *([in_stock] if in_stock else [])], where)
    if history.is_empty():
        raise BadInputError("the history has no rows", where=where)
    days = as_days(history[time], where)
    if period == "M":
        days = days.dt.month_start()
    units = history[target].cast(pl.Float64, strict=False)
    frame = history.select(pl.col(keys).cast(pl.String)).with_columns(
        days.alias("_day"),
        units.alias("_units"),
        (as_flags(history[in_stock], where) if in_stock else pl.lit(True)).alias("_seen"),
    )
    texts = history[target].cast(pl.String) if history.schema[target] == pl.String else None
    odd = None if texts is None else texts.filter(units.is_null() & texts.is_not_null()).first()
    example = f", such as {str(odd)!r}: numbers are written with a point" if odd is not None else ""
    for problem, count in (
        ("key is empty", frame.select(pl.any_horizontal(pl.col(keys).is_null())).to_series().sum()),
        (f"'{target}' is not a number{example}", int((units.is_null() | ~units.is_finite().fill_null(False)).sum())),
        (f"'{target}' is negative", int((units < 0).sum())),
        (f"'{in_stock}' is neither true nor false", frame["_seen"].null_count()),
        (f"the same {', '.join(keys)} and {time} come twice", frame.height - frame.select(*keys, "_day").n_unique()),
    ):
        if count:
            todo = "add up the rows of a month" if period == "M" and "twice" in problem else "correct these rows"
            raise BadInputError(problem, where=where, count=int(count), todo=todo)
    first, last = frame["_day"].min(), frame["_day"].max()
    assert isinstance(first, date) and isinstance(last, date)
    _refuse_other_rhythm(history[time], frame["_day"], period, where)
    periods = calendar(first, last, period)
    index = {d: k for k, d in enumerate(periods)}
    off = frame.filter(~pl.col("_day").is_in(periods)).height
    if off:
        raise BadInputError(
            f"days do not fall on the start of a {period} period counted from {first}",
            where=where,
            count=off,
            todo="check period",
        )
    ordered = frame.select(keys).unique().sort(keys)
    place = frame.join(ordered.with_row_index("_row"), on=keys, how="left", maintain_order="left")["_row"].to_numpy()
    column = np.array([index[d] for d in frame["_day"]], dtype=np.int64)
    demand = np.full((ordered.height, len(periods)), np.nan)
    demand[place, column] = frame["_units"].to_numpy()
    seen = np.zeros(demand.shape, dtype=bool)
    seen[place, column] = frame["_seen"].to_numpy()
    demand, seen, filled = _fill(demand, seen, missing)
    statics = _statics(history, keys, ordered, {time, target, in_stock or target})
    return Panel(ordered, periods, demand, seen, statics, filled, counting_unit(demand))


def _refuse_other_rhythm(given: pl.Series, days: pl.Series, period: str, where: str) -> None:
    """Refuse a weekly history called daily: six days of seven would count as days without a sale."""
    if period != "D" or days.n_unique() < ENOUGH_DAYS or days.dt.weekday().n_unique() > 1:
        return
    raise BadInputError(
        f"period is D, but all {days.n_unique():,} days of '{given.name}' fall on the same weekday", where=where,
        todo="set period: W, or M for monthly data",
    )  # fmt: skip


def counting_unit(demand: F64) -> float:
    """The power of ten that demand is counted in: 1 where it is whole, else its last decimal, but no finer than a hundredth of its size."""
    sold = demand[demand > 0]
    if (sold == np.rint(sold)).all():
        return 1.0
    finest = int(np.floor(np.log10(np.median(sold)))) - 2
    for power in range(-1, finest, -1):
        counts = sold / 10.0**power
        if (np.abs(counts - np.rint(counts)) < 1e-6 * np.maximum(counts, 1)).all():
            return float(10.0**power)
    return float(10.0 ** min(finest, 0))


def _fill(demand: F64, seen: Bools, missing: str) -> tuple[F64, Bools, int]:
    """Periods without a row after a series' first one: zero sales, or unknown."""
    known = ~np.isnan(demand)
    started = np.cumsum(known, axis=1) > 0
    gaps = started & ~known
    if missing == "zero":
        demand = np.where(gaps, 0.0, demand)
        seen = seen | gaps
    return demand, seen, int(gaps.sum())


def _statics(history: pl.DataFrame, keys: list[str], ordered: pl.DataFrame, used: set[str]) -> pl.DataFrame:
    others = [c for c in history.columns if c not in keys and c not in used]
    if not others:
        return ordered.select(keys)
    counts = history.group_by(pl.col(keys).cast(pl.String)).agg(
        pl.col(others).n_unique().name.suffix("_n"), pl.col(others).first()
    )
    constant = [c for c in others if counts[f"{c}_n"].max() == 1]
    return ordered.join(
        counts.select(*keys, pl.col(constant).cast(pl.String)), on=keys, how="left", maintain_order="left"
    )


@dataclass(frozen=True, slots=True)
class State:
    """Stock and what is on the way, in the panel's order.

    Attributes:
        on_hand: (series,) NaN where the state has no row.
        in_transit: (series, k) arriving at the start of period 1, 2, … after as_of.
        unknown: keys of the state that the history has never seen.
    """

    on_hand: F64
    in_transit: F64
    unknown: pl.DataFrame


def build_state(state: pl.DataFrame, panel: Panel, where: str = "state") -> State:
    """Match a state with a panel.

    Raises:
        BadInputError: columns missing, a key twice, a number unreadable, a transit column counted from 0 or under a name
            that is not read, or a state dated before the history ends.
    """
    keys = panel.keys.columns
    _require(state, [*keys, "on_hand_units"], where)
    moving = {int(m.group(1)): c for c in state.columns if (m := TRANSIT.match(c))}
    _refuse_unread(state.columns, keys, moving, where)
    if 0 in moving:
        raise BadInputError(
            "in_transit_0_units has no period", where=where, todo="count from 1, the period after --as-of"
        )
    for name in ("state_date", "as_of", "as_of_date"):
        if name in state.columns and name not in keys:
            oldest = as_days(state[name], where).min()
            if isinstance(oldest, date) and oldest < panel.periods[-1]:
                raise BadInputError(
                    f"the state is of {oldest}, older than the history, which ends {panel.periods[-1]}", where=where,
                    todo="give the state at the end of the history's last period",
                )  # fmt: skip
    columns = ["on_hand_units", *(moving[k] for k in sorted(moving))]
    frame = state.select(pl.col(keys).cast(pl.String), pl.col(columns).cast(pl.Float64, strict=False))
    if frame.select(keys).n_unique() != frame.height:
        raise BadInputError("a key comes twice", where=where, todo="give one row per key")
    bad = frame.filter(pl.any_horizontal(pl.col(columns).is_null() | ~pl.col(columns).is_finite())).height
    if bad:
        raise BadInputError(
            "a quantity is missing or not a number", where=where, count=bad, todo="write 0 where nothing is"
        )
    joined = panel.keys.join(frame, on=keys, how="left", maintain_order="left")
    transit = np.zeros((panel.keys.height, max(moving, default=1)))
    for k, name in moving.items():
        transit[:, k - 1] = joined[name].fill_null(0.0).to_numpy()
    on_hand = joined["on_hand_units"].fill_null(float("nan")).to_numpy().copy()
    return State(on_hand, transit, frame.join(panel.keys, on=keys, how="anti").select(keys).sort(keys))


def _refuse_unread(columns: list[str], keys: list[str], moving: dict[int, str], where: str) -> None:
    """Refuse stock on the way under a name that would be passed over, or two columns for one period."""
    read = [c for c in columns if TRANSIT.match(c)]
    twice = sorted(set(read) - set(moving.values()))
    if twice:
        raise BadInputError(
            f"{', '.join(twice)} names a period that another column names, too",
            where=where,
            todo="give one column per period",
        )
    unread = [c for c in columns if c not in keys and c not in read and ON_THE_WAY.search(c)]
    if [c for c in unread if c.lower().startswith("in_transit")] or (unread and not moving):
        raise BadInputError(
            f"{', '.join(unread)} looks like stock on the way and is not read: it would be ordered again", where=where,
            todo="name it by when it arrives: in_transit_1_units is on the shelf at the start of the first period after "
            "--as-of; or leave it out",
        )  # fmt: skip
