"""Coherent forecasts of a hierarchy: sums from the bottom, and means of higher levels reconciled with their own forecasts.

Quantities that orders hang on are added up from the bottom: sums of non-negative sample paths are coherent, non-negative and
carry the right spread. Means at planning levels may do better when each level is forecast for itself and then reconciled
(ordinary or structurally weighted least squares, or MinT with a shrunken covariance of residuals); after that all levels add
up too, but a distribution is not promised. The reconciling itself is hierarchicalforecast's.

Sources: Hyndman et al. (2011) for OLS, Athanasopoulos et al. (2017) for structural weights, Wickramasuriya et al. (2019) for
MinT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError, UsageError
from ml.panel import PanelData

if TYPE_CHECKING:
    from ml.forecasting import PanelSpec

F64 = npt.NDArray[np.float64]
Method = Literal["bottom_up", "ols", "wls_struct", "mint_shrink"]
MOST_BOTTOM = 3_000
TOTAL = "total"
METHODS: tuple[Method, ...] = ("bottom_up", "ols", "wls_struct", "mint_shrink")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Which bottom series each node sums.

    Attributes:
        nodes: one row per node, top first, the bottom series last and in their own order: `level` (key columns joined by a
            comma, `total` for the sum of all), then the key columns, null where a level does not know them.
        summing: (nodes, bottom series) of zeros and ones.
    """

    nodes: pl.DataFrame
    summing: F64

    @property
    def bottom(self) -> int:
        """Number of bottom series."""
        return int(self.summing.shape[1])


def hierarchy_of(keys: pl.DataFrame, levels: Sequence[Sequence[str]]) -> Hierarchy:
    """Hierarchy of some series from their key columns.

    Args:
        keys: one row per bottom series.
        levels: key columns of each level above the bottom, `[]` for the total; repeated and bottom levels are left out.

    Raises:
        UsageError: a level names a column that is not there.
    """
    names, tables, blocks = list(keys.columns), [], []
    text = keys.with_columns(pl.col(names).cast(pl.String))
    wanted = dict.fromkeys(tuple(n for n in names if n in level) for level in levels)
    for level in levels:
        unknown = [c for c in level if c not in names]
        if unknown:
            raise UsageError(
                f"a level cannot be made of {unknown[0]}",
                where=",".join(level),
                todo=f"choose among {', '.join(names)}",
            )
    for level_names in sorted(wanted, key=len):
        if len(level_names) == len(names):
            continue
        place = (
            text.select(pl.struct(level_names).rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
            if level_names
            else np.zeros(text.height, dtype=np.int64)
        )
        count = int(place.max()) + 1
        block = np.zeros((count, text.height))
        block[place, np.arange(text.height)] = 1.0
        first = np.unique(place, return_index=True)[1]
        tables.append(_labelled(text[first], names, level_names))
        blocks.append(block)
    tables.append(_labelled(text, names, tuple(names)))
    return Hierarchy(pl.concat(tables), np.vstack([*blocks, np.eye(text.height)]))


def _labelled(rows: pl.DataFrame, names: list[str], level: tuple[str, ...]) -> pl.DataFrame:
    known = [pl.col(c) if c in level else pl.lit(None, dtype=pl.String).alias(c) for c in names]
    return rows.select(pl.lit(",".join(level) or TOTAL).alias("level"), *known)


def bottom_up(hierarchy: Hierarchy, bottom: F64) -> F64:
    """Sums of bottom values at every node; means (series, periods) or sample paths (series, scenarios, periods)."""
    out: F64 = np.tensordot(hierarchy.summing, bottom, axes=(1, 0))
    return out


def reconciled(
    hierarchy: Hierarchy, means: F64, method: Method, *, residuals: F64 | None = None, non_negative: bool = False
) -> F64:
    """Means of all nodes that add up, as near as the method's weights allow to those given.

    Args:
        hierarchy: see `hierarchy_of`.
        means: (nodes, periods) forecasts of every node for itself.
        method: `bottom_up` ignores the upper forecasts; `ols` weighs all nodes alike; `wls_struct` by the number of series
            below; `mint_shrink` by the shrunken covariance of `residuals`.
        residuals: (nodes, past periods) actual minus forecast, for `mint_shrink`.
        non_negative: solve with bottom means not negative.

    Raises:
        BadInputError: shapes do not fit, values are not finite, residuals are missing.
        UsageError: unknown method.
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method}", todo=f"choose one of {', '.join(METHODS)}")
    if means.ndim != 2 or means.shape[0] != hierarchy.summing.shape[0] or not np.isfinite(means).all():
        raise BadInputError(
            "one finite row of means per node is needed", where="reconciliation", count=int(means.shape[0]),
            todo=f"give {hierarchy.summing.shape[0]} rows",
        )  # fmt: skip
    if method == "bottom_up":
        return bottom_up(hierarchy, means[-hierarchy.bottom :])
    if method == "mint_shrink" and (residuals is None or residuals.shape[0] != means.shape[0]):
        raise BadInputError(
            "mint_shrink needs residuals of every node", where="reconciliation", todo="or use wls_struct"
        )
    from hierarchicalforecast.methods import MinTrace

    past = {} if method != "mint_shrink" else {"y_insample": residuals, "y_hat_insample": np.zeros_like(residuals)}
    solver = MinTrace(method=method, nonnegative=non_negative)
    out: F64 = solver.fit_predict(S=hierarchy.summing, y_hat=means, **past)["mean"]
    return out


def panel_of_level(panel: PanelData, hierarchy: Hierarchy, level: str) -> PanelData:
    """The panel added up to one level; a period is known where any of its series is.

    Attributes and covariates of single series do not add up and are left out.
    """
    rows = np.flatnonzero((hierarchy.nodes["level"] == level).to_numpy())
    weights = hierarchy.summing[rows]
    known = weights @ (~np.isnan(panel.y)).astype(np.float64) > 0
    y = np.where(known, weights @ np.nan_to_num(panel.y), np.nan)
    sales = np.where(known, weights @ np.nan_to_num(panel.sales), np.nan)
    names = ("level",) if level == TOTAL else tuple(level.split(","))
    keys = hierarchy.nodes[rows].select(names)
    return replace(
        panel, keys=keys, key_names=names, y=y, sales=sales, future={}, texts=(), static={}, coded=(),
        notes=(*panel.notes, f"level {level}: {rows.size:,} sums of {panel.n:,} series"),
    )  # fmt: skip


def forecast_levels(
    panel: PanelData, spec: PanelSpec, bottom: F64, levels: Sequence[Sequence[str]], method: Method = "wls_struct"
) -> pl.DataFrame:
    """Forecasts of higher levels, each made for itself and reconciled with all others and the bottom.

    Args:
        panel: the bottom series.
        spec: what is asked, as for the bottom.
        bottom: (series, horizon) their mean forecasts, in the order of `panel.keys`.
        levels: see `hierarchy_of`.
        method: see `reconciled`; `mint_shrink` needs residuals and is not offered here.

    Returns:
        One row per node above or at the bottom and period: level, keys (null where the level does not know them), time, `mean`
        (reconciled: levels add up) and `mean_bottom_up` (the sum of the bottom forecasts as they were).

    Raises:
        BadInputError: more bottom series than fit a dense summing matrix.
    """
    from ml.forecasting import forecast_panel

    if panel.n > MOST_BOTTOM:
        raise BadInputError(
            f"reconciling takes at most {MOST_BOTTOM:,} bottom series", where="levels", count=panel.n, todo="forecast sums of them, or add up"
        )  # fmt: skip
    tree = hierarchy_of(panel.keys, levels)
    names = list(dict.fromkeys(tree.nodes["level"].to_list()))
    own = [
        forecast_panel(panel_of_level(panel, tree, name), spec).frame["mean"].to_numpy().reshape(-1, spec.horizon)
        for name in names[:-1]
    ]
    found = reconciled(tree, np.vstack([*own, bottom]), method)
    found = bottom_up(
        tree, np.maximum(found[-tree.bottom :], 0.0)
    )  # negative bottoms to zero (Di Fonzo and Girolimetto 2023)
    sums = bottom_up(tree, bottom)
    days = pl.Series(panel.time_name, [panel.day(panel.periods + k) for k in range(spec.horizon)], dtype=pl.Date)
    count = tree.nodes.height
    place, step = np.repeat(np.arange(count), spec.horizon), np.tile(np.arange(spec.horizon), count)
    return tree.nodes[place].with_columns(
        days[step], pl.Series("mean", found.ravel()), pl.Series("mean_bottom_up", sums.ravel())
    )
