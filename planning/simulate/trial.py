"""The cost trial: what a network's own last weeks would have cost, had one side's forecasts or rules ordered.

Every item and site is played on its own, with lost sales: at each origin (the end of a day, one a week) the night's own rules
order — stock projected through what is on the way, newsvendor, whole packs — and then a week of true demand passes. Demand,
lead times and opening stock are the same for both sides (common random numbers), so that only what is tried differs.

Units: eaches, USD. An order placed at the end of day X with lead time L is on the shelf at the start of day X + L + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError
from planning.inputs import PlanSpec
from planning.night import critical_ratio
from planning.projection import F32, F64, I64, packs_to_order, project, quantile_rank
from planning.sampling import basis, demand_paths, knots, lead_time_scenarios, site_uniforms, stream

REVIEW_DAYS = 7
LONGEST_LEAD_DAYS = 20
TRUTH_SEED, TRUTH_DRAWS = 20260101, 512
KEYS = ["item_id", "site_id"]
COLUMNS = [f"demand_qty_ea_p{round(q * 100):02d}" for q in QUANTILES]
LEADS = [f"lead_time_days_p{round(q * 100):02d}" for q in QUANTILES]


@dataclass(frozen=True, slots=True)
class TrialUnits:
    """What is played: item × site with money, packs and lead times, and the demand that came.

    Attributes:
        units: `item_id, site_id, source_id, unit_cost_usd, unit_price_usd, pack_ea` and the seven lead-time quantiles,
            sorted by item and site.
        origins: days at whose end is ordered, a week apart, oldest first.
        demand: (units, 7 × origins) demand of the days after the first origin.
    """

    units: pl.DataFrame
    origins: list[date]
    demand: F64

    def __post_init__(self) -> None:
        """Refuse what cannot be played.

        Raises:
            BadInputError: nothing to play, shapes that do not fit, demand that is negative or unknown.
        """
        if self.units.is_empty() or not self.origins:
            raise BadInputError("there is nothing to play", where="cost trial", todo="more weeks of history are needed")
        if self.demand.shape != (self.units.height, REVIEW_DAYS * len(self.origins)):
            raise BadInputError("demand does not fit units and weeks", where="cost trial")
        if not np.isfinite(self.demand).all() or (self.demand < 0).any():
            raise BadInputError("demand is unknown or negative", where="cost trial")


def play(
    trial: TrialUnits, forecasts: pl.DataFrame, spec: PlanSpec, opening: F64, truth: PlanSpec | None = None
) -> pl.DataFrame:
    """Weekly costs of every unit when these forecasts and rules order.

    Args:
        trial: units, origins, demand.
        forecasts: rows of `pred_demand__28d` for every unit and origin, horizons 1 to 28.
        spec: the rules that order.
        opening: (units,) stock at the first origin, the same for both sides; see `opening_stock`.
        truth: the specification whose holding rate and shortage factor are what things cost; `spec` when not given.

    Returns:
        `item_id, site_id, week_date, cost_usd, lost_cost_usd, wanted_qty_ea, lost_qty_ea, ordered_qty_ea`, sorted.

    Raises:
        BadInputError: a unit lacks a forecast at an origin.
    """
    knot = forecast_knots(trial, forecasts)
    money = _Money(trial.units, spec, truth or spec, demand_classes(trial, forecasts))
    leads, real = _lead_scenarios(trial, spec)
    sites = trial.units["site_id"].to_list()
    days, stock = trial.demand.shape[1], opening.copy()
    pipeline = np.zeros((trial.units.height, days + LONGEST_LEAD_DAYS + REVIEW_DAYS + 2))
    weeks = []
    for k in range(len(trial.origins)):
        begin = k * REVIEW_DAYS
        paths = _paths(knot[:, k], sites, spec, k)
        coming = pipeline[:, begin : begin + paths.shape[2]]
        receipts = np.broadcast_to(coming[:, None, :], paths.shape).astype(np.float32)
        arrive = leads + 1
        seen = project(stock, paths, receipts, arrive, arrive + REVIEW_DAYS, True)
        quantity = packs_to_order(seen.need, money.alpha, money.pack, np.zeros_like(stock)) * money.pack
        np.add.at(pipeline, (np.arange(stock.size), begin + real[:, k]), quantity)
        stock, held, lost = _week(
            stock, pipeline[:, begin : begin + REVIEW_DAYS], trial.demand[:, begin : begin + REVIEW_DAYS]
        )
        wanted = trial.demand[:, begin : begin + REVIEW_DAYS].sum(axis=1)
        weeks.append(
            trial.units.select(KEYS).with_columns(
                pl.lit(trial.origins[k] + timedelta(days=1)).alias("week_date"),
                pl.Series("cost_usd", money.holding * held + money.shortage * lost),
                pl.Series("lost_cost_usd", money.shortage * lost),
                pl.Series("wanted_qty_ea", wanted),
                pl.Series("lost_qty_ea", lost),
                pl.Series("ordered_qty_ea", quantity),
            )
        )
    return pl.concat(weeks).sort(*KEYS, "week_date")


class _Money:
    """Costs, packs and critical ratio per unit, (units,) each: ordered by what the rules believe, paid at what is true."""

    def __init__(
        self, units: pl.DataFrame, spec: PlanSpec, truth: PlanSpec, classes: NDArray[np.str_] | None = None
    ) -> None:
        cost, price = (units[c].cast(pl.Float64).to_numpy() for c in ("unit_cost_usd", "unit_price_usd"))
        self.pack: F64 = np.maximum(units["pack_ea"].cast(pl.Float64).to_numpy(), 1.0)
        self.holding: F64 = truth.holding_rate_frac_per_year * cost / 365
        self.shortage: F64 = (price - cost) * truth.shortage_factor
        review, stores = np.full(cost.size, float(REVIEW_DAYS)), np.zeros(cost.size, dtype=bool)
        believed = spec.holding_rate_frac_per_year * cost / 365
        known = [] if classes is None else classes.tolist()
        self.alpha = critical_ratio(spec, (price - cost) * spec.shortage_factor, believed, review, stores, known)


def demand_classes(trial: TrialUnits, forecasts: pl.DataFrame) -> NDArray[np.str_]:
    """Demand class of every unit (units,) as known at the first origin; empty text where the forecasts do not say."""
    if "demand_class" not in forecasts.columns:
        return np.full(trial.units.height, "", dtype="<U12")
    first = forecasts.filter((pl.col("origin_date") == trial.origins[0]) & (pl.col("horizon_days") == 1))
    found = trial.units.select(KEYS).join(
        first.select(*KEYS, "demand_class"), on=KEYS, how="left", maintain_order="left"
    )
    return found["demand_class"].fill_null("").to_numpy().astype("<U12")


def forecast_knots(trial: TrialUnits, forecasts: pl.DataFrame) -> F32:
    """Knots (units, origins, 28, 9) of the forecasts.

    Raises:
        BadInputError: a unit lacks a forecast at an origin.
    """
    keys = trial.units.select(KEYS).with_row_index("row")
    dates = pl.DataFrame({"origin_date": trial.origins}).with_row_index("k")
    rows = forecasts.join(keys, on=KEYS).join(dates, on="origin_date").filter(pl.col("horizon_days") <= 28)
    wanted = trial.units.height * len(trial.origins) * 28
    if rows.height != wanted or rows.select("row", "k", "horizon_days").n_unique() != wanted:
        raise BadInputError(
            f"{wanted:,} forecasts are needed, {rows.height:,} are there",
            where="cost trial",
            count=abs(wanted - rows.height),
        )
    out = np.zeros((trial.units.height, len(trial.origins), 28, 9), dtype=np.float32)
    found = knots(rows.select(COLUMNS).to_numpy(), rows["demand_qty_ea_mean"].to_numpy())
    out[rows["row"].to_numpy(), rows["k"].to_numpy(), rows["horizon_days"].to_numpy() - 1] = found
    return out


def opening_stock(trial: TrialUnits, forecasts: list[pl.DataFrame], spec: PlanSpec) -> F64:
    """Opening stock (units,): what covers lead time and review at the critical ratio, averaged over the sides' first forecasts."""
    money, (leads, _) = _Money(trial.units, spec, spec), _lead_scenarios(trial, spec)
    sites = trial.units["site_id"].to_list()
    levels = []
    for frame in forecasts:
        paths = _paths(forecast_knots(trial, frame)[:, 0], sites, spec, 0)
        last = np.minimum(leads + REVIEW_DAYS - 1, paths.shape[2] - 1)
        total = np.take_along_axis(np.cumsum(paths, axis=2), last[:, :, None], axis=2)[:, :, 0]
        levels.append(quantile_rank(total, money.alpha))
    return np.asarray(np.ceil(np.mean(levels, axis=0)), dtype=np.float64)


def _paths(knot: F32, sites: list[str], spec: PlanSpec, week: int) -> F32:
    """Demand paths (units, scenario, 28) of one origin; the uniforms depend on seed, week and site, not on the side."""
    out = np.zeros((len(sites), spec.scenarios, knot.shape[1]), dtype=np.float32)
    names = np.array(sites)
    for site in sorted(set(sites)):
        u = site_uniforms(
            spec.seed + week, site, spec.scenarios, knot.shape[1], spec.day_correlation, spec.site_correlation
        )
        here = np.flatnonzero(names == site)
        rounding = (
            stream(spec.seed + week, "rounding", site).random((knot.shape[1], spec.scenarios)).T.astype(np.float32)
        )
        out[here] = demand_paths(knot[here], basis(u), rounding)
    return out


def _lead_scenarios(trial: TrialUnits, spec: PlanSpec) -> tuple[I64, I64]:
    """Lead times reckoned with (units, scenario), and those that come true (units, origins); the latter know no side."""
    quantiles, weeks = trial.units.select(LEADS).to_numpy(), len(trial.origins)
    seen = np.zeros((trial.units.height, spec.scenarios), dtype=np.int64)
    real = np.zeros((trial.units.height, weeks), dtype=np.int64)
    for i, (source, item, site) in enumerate(trial.units.select("source_id", *KEYS).rows()):
        lane = f"{source}>{site}"
        seen[i] = lead_time_scenarios(spec.seed, lane, quantiles[i], spec.scenarios, LONGEST_LEAD_DAYS)
        possible = lead_time_scenarios(TRUTH_SEED, lane, quantiles[i], TRUTH_DRAWS, LONGEST_LEAD_DAYS)
        real[i] = possible[stream(TRUTH_SEED, "trial", item, lane).integers(0, TRUTH_DRAWS, weeks)]
    return seen, real


def _week(stock: F64, receipts: F64, demand: F64) -> tuple[F64, F64, F64]:
    """A week of lost sales: stock at its end, unit-days held, units lost, (units,) each."""
    held, lost = np.zeros_like(stock), np.zeros_like(stock)
    for day in range(demand.shape[1]):
        available = stock + receipts[:, day]
        lost += np.maximum(demand[:, day] - available, 0.0)
        stock = np.maximum(available - demand[:, day], 0.0)
        held += stock
    return stock, held, lost
