"""Features of a series' own history: lags, windows, days since a sale, weekday, price; in NumPy for few rows, compiled for many.

Both ways give the same bits: sums add up in an order that does not depend on the panel's first day (`ml.windows`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.threads import in_parts, side_by_side
from ml.visible import I64, NEVER
from ml.windows import F32, F64, WindowSums, at_lag, last_true

# Nothing older than this many days is looked at, so that a night that reads so much knows what the whole history knows.
YEAR = 364
LAGS = (0, 1, 2, 3, 4, 5, 6, 7, 14, 21, 28, YEAR)
WINDOWS = (7, 28, 56, 180)
ZERO_SHARE = (28, 180)
KERNEL_WINDOWS = np.array(LAGS), np.array(WINDOWS), np.array(ZERO_SHARE)


@dataclass(frozen=True, slots=True)
class Wide:
    """Three wide arrays (series, days): units sold (NaN = no report), reported to be in stock, price (NaN = none known)."""

    sales: F64
    stocked: npt.NDArray[np.bool_]
    price: F64

    def rows(self, index: I64) -> Wide:
        """A copy of some series."""
        return Wide(self.sales[index], self.stocked[index], self.price[index])

    def part(self, rows: slice, columns: slice) -> Wide:
        """Some series and days, not copied: to be read only."""
        return Wide(self.sales[rows, columns], self.stocked[rows, columns], self.price[rows, columns])


def own_feature_names() -> tuple[str, ...]:
    """Names of the features that a series' own history gives, in stored order."""
    lags = tuple(f"sales_qty_ea_lag_{k}" for k in LAGS)
    rolls = tuple(f"sales_qty_ea_{stat}_{w}d" for w in WINDOWS for stat in ("mean", "std"))
    return (
        *lags,
        *rolls,
        *(f"zero_frac_{w}d" for w in ZERO_SHARE),
        "in_stock_frac_28d",
        "days_since_sale",
        "days_on_sale",
        "days_reported",
        "weekday_mean_56d",
        "price_usd_lag_0",
        "price_rel_28d",
    )


def own_features(wide: Wide, columns: I64) -> dict[str, F64]:
    """Features of each series' own history at the given columns (pure kernel).

    Standard deviations are those of the values in the window (divisor n), so that one known value gives 0.

    Args:
        wide: (series, days) arrays.
        columns: day columns wanted.

    Returns:
        Name to (series, wanted days) in 64 bits; NaN where nothing is known.
    """
    out: dict[str, F64] = {f"sales_qty_ea_lag_{k}": at_lag(wide.sales, k, columns) for k in LAGS}
    out |= _since(wide.sales > 0, columns)
    out["days_reported"] = _since_first(~np.isnan(wide.sales), columns)
    start = max(0, int(columns.min()) - WINDOWS[-1] + 1) if columns.size else 0  # windows reach back no further
    out |= _price(wide.price, columns)
    wide, columns = wide.part(slice(None), slice(start, None)), columns - start
    known = ~np.isnan(wide.sales)
    ones = known.astype(np.float64)
    sold = np.where(known, wide.sales, 0.0)
    count, total, square = WindowSums(ones), WindowSums(sold), WindowSums(sold * sold)
    zeros = WindowSums((known & (wide.sales == 0)).astype(np.float64))
    counts = {w: count.at(w, columns) for w in WINDOWS}
    with np.errstate(invalid="ignore", divide="ignore"):
        for w in WINDOWS:
            n, mean = counts[w], total.at(w, columns) / counts[w]
            spread = np.sqrt(np.maximum(square.at(w, columns) / n - mean * mean, 0.0))
            out[f"sales_qty_ea_mean_{w}d"] = np.where(n > 0, mean, np.nan)
            out[f"sales_qty_ea_std_{w}d"] = np.where(n > 0, spread, np.nan)
        for w in ZERO_SHARE:
            out[f"zero_frac_{w}d"] = np.where(counts[w] > 0, zeros.at(w, columns) / counts[w], np.nan)
        stocked = WindowSums((known & wide.stocked).astype(np.float64)).at(28, columns)
        out["in_stock_frac_28d"] = np.where(counts[28] > 0, stocked / counts[28], np.nan)
        weekly, weekly_n = (
            WindowSums(sold, stride=7).at(8, columns),
            WindowSums(ones, stride=7).at(8, columns),
        )
        out["weekday_mean_56d"] = np.where(weekly_n > 0, weekly / weekly_n, np.nan)
    return {name: out[name] for name in own_feature_names()}


class Cells:
    """Values of features (features, series, days), part after part of the days, so that each part lies in one piece.

    Attributes:
        bounds: where parts begin, and where the last one ends; the first is 0.
        values: all values, 32 bits.
        memory: what holds them.
    """

    def __init__(self, features: int, series: int, bounds: I64, memory: F32 | None = None) -> None:
        """Args: features, series, bounds: the shape. memory: taken where it is large enough, instead of new memory."""
        size = features * series * int(bounds[-1])
        self.features, self.series, self.bounds = features, series, bounds
        self.memory = memory if memory is not None and memory.size >= size else np.empty(size, dtype=np.float32)
        self.values = self.memory[:size]

    def part(self, index: int) -> F32:
        """(features, series, days) of one part."""
        start, stop = int(self.bounds[index]), int(self.bounds[index + 1])
        each = self.features * self.series
        return self.values[each * start : each * stop].reshape(self.features, self.series, stop - start)

    def fill(self, feature: int, series: slice, day: int, values: npt.NDArray[Any]) -> None:
        """Put values (series, days) of days from `day` on in place."""
        for k, start in enumerate(self.bounds[:-1].tolist()):
            low, high = max(day, start), min(day + values.shape[1], int(self.bounds[k + 1]))
            if low < high:
                self.part(k)[feature, series, low - start : high - start] = values[:, low - day : high - day]

    def put(self, feature: int, series: I64, days: I64, values: F64) -> None:
        """Put single values in place."""
        index = np.searchsorted(self.bounds, days, side="right") - 1
        start, width = self.bounds[index], np.diff(self.bounds)[index]
        place = self.features * self.series * start + (feature * self.series + series) * width + days - start
        self.values[place] = values


def own_features_compiled(wide: Wide, first: int, stop: int, cells: Cells, day: int) -> None:
    """`own_features` of all series at the days `[first, stop)`, bit for bit, put into `cells` from `day` on.

    Args:
        wide: (series, days) arrays.
        first: first day wanted.
        stop: day after the last one wanted.
        cells: to be filled, features in the order of `own_feature_names`.
        day: place of `first` in `cells`.
    """
    from ml.feature_kernel import own_series

    given = (
        wide.sales, wide.stocked, wide.price, YEAR, first, stop, *KERNEL_WINDOWS, cells.bounds, day, cells.features, cells.values,
    )  # fmt: skip
    side_by_side(own_series, [(*given, low, high) for low, high in in_parts(wide.sales.shape[0])])


def own_stretches_compiled(
    wide: Wide, stretches: tuple[I64, I64, I64], other: tuple[I64, I64, Wide], first: int, cells: Cells
) -> None:
    """Features of some series at stretches of days in which some of their days were known otherwise, put into `cells`.

    Args:
        wide: (series, days) arrays.
        stretches: whose, from which day, and until which.
        other: (other cells,) the number of their stretch (ascending), their days, and the values then known.
        first: day of the first place of `cells`.
        cells: as in `own_features_compiled`.
    """
    from ml.feature_kernel import own_stretches

    row, days, then = other
    starts = np.searchsorted(row, np.arange(stretches[0].size + 1))
    given = (
        wide.sales, wide.stocked, wide.price, YEAR, first, *KERNEL_WINDOWS, cells.bounds, cells.features, *stretches,
        starts, days, then.sales, then.stocked, then.price, cells.values,
    )  # fmt: skip
    side_by_side(own_stretches, [(*given, low, high) for low, high in in_parts(stretches[0].size)])


def _since(sold: npt.NDArray[np.bool_], columns: I64) -> dict[str, F64]:
    """Days since the last and the first sale of the last `YEAR` days."""
    now = columns[None, :]
    last = last_true(sold, np.full(sold.shape[0], NEVER), columns)
    return {
        "days_since_sale": np.where(last >= now - YEAR, now - last, np.nan).astype(np.float64),
        "days_on_sale": _since_first(sold, columns),
    }


def _since_first(flags: npt.NDArray[np.bool_], columns: I64) -> F64:
    """Days since the first true flag of the last `YEAR` days."""
    end, now = flags.shape[1] - 1, columns[None, :]
    never = np.full(flags.shape[0], NEVER)
    first = end - last_true(flags[:, ::-1], never, end - np.maximum(columns - YEAR, 0))
    return np.where(first <= now, now - first, np.nan).astype(np.float64)


def _price(price: F64, columns: I64) -> dict[str, F64]:
    known = ~np.isnan(price)
    place = last_true(known, np.full(price.shape[0], NEVER), columns)
    last = np.where(place >= columns - YEAR, np.take_along_axis(price, np.maximum(place, 0), axis=1), np.nan)
    n = WindowSums(known.astype(np.float64)).at(28, columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = WindowSums(np.where(known, price, 0.0)).at(28, columns) / n
        return {"price_usd_lag_0": last, "price_rel_28d": np.where((n > 0) & (mean > 0), last / mean, np.nan)}
