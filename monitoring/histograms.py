"""Histograms fine enough for PSI and Wasserstein, counted once per column for all segments and windows.

Bins are closed on the right. A discrete column has one bin per value, a continuous one bins of equal reference mass.
Missing values (null, NaN) have no bin; they are counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FINE_BINS = 64
CELLS = 8192


@dataclass(frozen=True, slots=True)
class Grid:
    """How one column is cut into bins.

    Attributes:
        name: column.
        kind: `numeric` or `category`.
        edges: right ends of all bins but the last (numeric).
        categories: known values (category); the bin after the last holds values never seen before.
        group: number of the coarse bin, for PSI, of each fine bin.
        is_discrete: every reference value is an edge or lies in the last bin; the first bin lies below all of them.
        low, high, sd: smallest, largest and standard deviation of the reference.
    """

    name: str
    kind: str
    edges: Floats
    categories: tuple[str, ...]
    group: Ints
    is_discrete: bool
    low: float
    high: float
    sd: float

    @property
    def bins(self) -> int:
        """Number of fine bins."""
        return (len(self.edges) if self.kind == "numeric" else len(self.categories)) + 1

    @property
    def groups(self) -> int:
        """Number of coarse bins."""
        return int(self.group.max()) + 1


def is_category(dtype: pl.DataType) -> bool:
    """Text and flags are counted by value."""
    return dtype in (pl.String(), pl.Boolean()) or dtype == pl.Categorical or isinstance(dtype, pl.Enum)


def numbers(series: pl.Series) -> Floats:
    """The column as float64, missing as NaN; numeric or date."""
    if series.dtype == pl.Date:
        series = series.cast(pl.Int32)
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def make_grid(series: pl.Series, bins: int) -> Grid:
    """Cut a reference column.

    Args:
        series: reference values.
        bins: coarse bins for PSI, at least 2.
    """
    if is_category(series.dtype):
        values = tuple(sorted(str(v) for v in series.drop_nulls().cast(pl.String).unique().to_list()))[:FINE_BINS]
        return Grid(series.name, "category", np.empty(0), values, np.arange(len(values) + 1), True, 0.0, 0.0, 1.0)
    values_ = numbers(series)
    values_ = values_[np.isfinite(values_)]
    if values_.size == 0:
        return Grid(series.name, "numeric", np.empty(0), (), np.zeros(1, dtype=np.int64), True, 0.0, 0.0, 0.0)
    # 50,000 values place 64 quantiles to within a third of a per cent of mass
    sample = np.sort(values_ if values_.size <= 50_000 else values_[:: values_.size // 50_000 + 1])
    unique = np.unique(sample)
    is_discrete = unique.size <= FINE_BINS and values_.size > 4 * FINE_BINS
    if is_discrete:
        # one bin below the smallest value, empty here: -999 in a column of counts lies as far off as it is
        edges = np.concatenate([[np.nextafter(unique[0], -np.inf)], unique]).astype(np.float64)
    else:
        # the ends are cut finer, so that a few far values do not stretch a whole bin of mass
        levels = np.concatenate([[0.001, 0.005], np.arange(1, FINE_BINS) / FINE_BINS, [0.995, 0.999]])
        inner = sample[np.minimum((levels * sample.size).astype(np.int64), sample.size - 1)]
        edges = np.unique(np.concatenate([inner, [values_.max()]]))
    mass = np.searchsorted(sample, edges, side="right") / sample.size
    before = np.concatenate([[0.0], mass])
    group = np.unique(np.minimum((before * bins + 1e-9).astype(np.int64), bins - 1), return_inverse=True)[1]
    return Grid(
        series.name, "numeric", edges, (), group.astype(np.int64), is_discrete,
        float(values_.min()), float(values_.max()), float(values_.std()),
    )  # fmt: skip


def bin_numbers(series: pl.Series, grid: Grid) -> Ints:
    """Fine bin of each row; −1 for missing."""
    if grid.kind == "category":
        known = pl.Series(grid.categories, dtype=pl.String)
        place = pl.Series(np.arange(len(known)), dtype=pl.Int64)
        text = series.cast(pl.String)
        found = (
            text.replace_strict(known, place, default=len(known), return_dtype=pl.Int64)
            if len(known)
            else text.is_null().cast(pl.Int64)
        )
        return found.set(text.is_null(), -1).to_numpy().astype(np.int64)
    return _place(numbers(series), grid.edges)


def _place(values: Floats, edges: Floats) -> Ints:
    """Number of edges below each value, −1 for NaN: what `np.searchsorted` says, by a table over equal cells.

    A cell that holds at most one edge is settled by one comparison; values in crowded cells are searched for.
    """
    gone = np.isnan(values)
    if values.size < 20_000 or edges.size < 2 or not np.isfinite(edges[-1] - edges[0]):
        out = np.searchsorted(edges, values, side="left").astype(np.int64)
        out[gone] = -1
        return out
    low, scale = float(edges[0]), (CELLS - 2) / float(edges[-1] - edges[0])
    # the same rounding places edges and values, so that an edge is in the cell of the values next to it
    home = np.clip((edges - low) * scale + 1.0, 0.0, CELLS - 1.0).astype(np.int64)
    first = np.searchsorted(home, np.arange(CELLS), side="left")
    inside = np.bincount(home, minlength=CELLS)
    edge = np.append(edges, np.inf)[first]
    with np.errstate(invalid="ignore", over="ignore"):
        raw = (values - low) * scale + 1.0
        cell = np.clip(np.where(gone, 0.0, raw), 0.0, CELLS - 1.0).astype(np.int64)
    out = first[cell] + ((values > edge[cell]) & (inside[cell] > 0))
    crowded = inside[cell] > 1
    if crowded.any():
        out[crowded] = np.searchsorted(edges, values[crowded], side="left")
    out[gone] = -1
    return out.astype(np.int64)


def count(bin_no: Ints, cells: Ints, cell_count: int, bins: int) -> tuple[Floats, Floats]:
    """Counts per cell and bin, and missing per cell.

    Args:
        bin_no: fine bin per row, −1 for missing.
        cells: cell (segment, window) per row; −1 leaves the row out.
        cell_count: number of cells.
        bins: number of fine bins.

    Returns:
        Array (cell_count, bins) and array (cell_count,).
    """
    flat = cells * (bins + 1) + bin_no + 1
    flat = flat[cells >= 0]
    table = np.bincount(flat, minlength=cell_count * (bins + 1)).reshape(cell_count, bins + 1).astype(np.float64)
    return table[:, 1:], table[:, 0]


def psi(reference: Floats, current: Floats, grid: Grid) -> Floats:
    """Population stability index per cell over the coarse bins; half a count is added to each bin.

    Source: Σ (q − p) ln(q / p), with p and q the shares of reference and current.
    """
    groups = grid.groups
    member = np.zeros((grid.bins, groups))
    member[np.arange(grid.bins), grid.group] = 1.0
    p, q = reference @ member + 0.5, current @ member + 0.5
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def wasserstein(reference: Floats, current: Floats, grid: Grid, low: float, high: float) -> Floats:
    """First Wasserstein distance per cell over the reference's standard deviation.

    Args:
        reference: fine counts (cells, bins) of the reference.
        current: fine counts of the current window.
        grid: how the column was cut.
        low: smallest current value; the first bin reaches down to the smaller of it and the reference's.
        high: largest current value.
    """
    if grid.kind == "category" or grid.sd <= 0 or len(grid.edges) == 0:
        return np.zeros(current.shape[:-1])
    f = np.cumsum(reference, axis=-1)[..., :-1] / np.maximum(reference.sum(axis=-1, keepdims=True), 1.0)
    g = np.cumsum(current, axis=-1)[..., :-1] / np.maximum(current.sum(axis=-1, keepdims=True), 1.0)
    gap = np.abs(f - g)
    bottom, top = min(grid.low, low), max(grid.high, high)
    if grid.is_discrete:
        widths = np.diff(np.concatenate([grid.edges, [max(top, grid.edges[-1])]]))
        widths[0] += max(grid.edges[0] - bottom, 0.0)
        return np.asarray((gap * widths).sum(axis=-1) / grid.sd)
    ends = np.concatenate([[min(bottom, grid.edges[0])], grid.edges, [max(top, grid.edges[-1])]])
    zero = np.zeros((*gap.shape[:-1], 1))
    padded = np.concatenate([zero, gap, zero], axis=-1)
    area = (padded[..., 1:] + padded[..., :-1]) / 2.0 * np.diff(ends)
    return np.asarray(area.sum(axis=-1) / grid.sd)
