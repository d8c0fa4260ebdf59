"""Who is supplied by whom, how fast, at what cost and on which days: one row per item and site, or what is missing.

Nothing is guessed: a missing supplier, lead time, cost or stock report is written down in words and blocks the order.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from planning.inputs import PlanInputs, PlanSpec
from planning.kept_out import with_kept_out
from planning.unreported import WEEK

TRUCKS = {"ea": None, "m3": "unit_volume_m3", "kg": "unit_weight_kg"}  # measure of a truck → what one each takes of it
YOUNG_ORDERS = 20  # received orders below which a lane's slowest ones say little
LEAD_COLUMNS = [f"lead_time_days_p{round(q * 100):02d}" for q in QUANTILES]


def universe(inputs: PlanInputs) -> pl.DataFrame:
    """Every item × site that is forecast, stocked, on order, or would be if its lines were in a unit we know; and the centre behind each store; sorted."""
    pairs = pl.concat(
        [inputs.frame(name).select("item_id", "site_id") for name in ("forecasts", "stock", "open_orders")]
    ).drop_nulls()
    serving = inputs.frame("sites").select("site_id", "serving_site_id")
    kept_out = inputs.frame("kept_out").join(serving, on="site_id", how="semi")
    centres = (
        pairs.join(serving, on="site_id")
        .filter(pl.col("serving_site_id").is_not_null())
        .select("item_id", pl.col("serving_site_id").alias("site_id"))
    )
    return pl.concat([pairs, centres, kept_out.select("item_id", "site_id")]).unique().sort("item_id", "site_id")


def _sources(pairs: pl.DataFrame, inputs: PlanInputs) -> pl.DataFrame:
    """Add source_id: serving centre, else the item's regular supplier, else the preferred one, else that of its newest open order."""
    sites = inputs.frame("sites").select("site_id", "site_type", "serving_site_id", "storage_capacity_ea")
    preferred = (
        inputs.frame("supplier_items")
        .sort("item_id", "preference_no", "supplier_id")
        .group_by("item_id", maintain_order=True)
        .agg(pl.col("supplier_id").first().alias("preferred_id"))
    )
    regular = inputs.frame("items").select("item_id", pl.col("supplier_id").alias("regular_id"))
    newest = (
        inputs.frame("open_orders")
        .filter(pl.col("source_id").is_not_null())
        .sort("order_date", "order_number")
        .group_by("item_id", "site_id", maintain_order=True)
        .agg(pl.col("source_id").last().alias("ordered_from_id"))
    )
    return (
        pairs.join(sites, on="site_id", how="left")
        .join(preferred, on="item_id", how="left")
        .join(regular, on="item_id", how="left")
        .join(newest, on=["item_id", "site_id"], how="left")
        .with_columns(
            pl.coalesce("serving_site_id", "regular_id", "preferred_id", "ordered_from_id").alias("source_id"),
            pl.col("serving_site_id").is_not_null().alias("is_served_by_site"),
        )
    )


def lane_lead_times(inputs: PlanInputs) -> pl.DataFrame:
    """Seven lead-time quantiles per source and site: forecast where there is one, else as quoted.

    Grain: one source and site. `lead_time_basis` is `forecast` or `quoted`.
    """
    forecast = (
        inputs.frame("lead_times")
        .filter(pl.col("lead_time_days_p50").is_finite())
        .sort("source_id", "site_id", "origin_date")
        .unique(["source_id", "site_id"], keep="last", maintain_order=True)
        .select("source_id", "site_id", *LEAD_COLUMNS, pl.lit("forecast").alias("lead_time_basis"))
    )
    quoted = (
        inputs.frame("lanes")
        .filter(pl.col("mode_code") == "standard", pl.col("quoted_lead_time_days").is_finite())
        .unique(["origin_id", "destination_id"], keep="last", maintain_order=True)
        .select(
            pl.col("origin_id").alias("source_id"),
            pl.col("destination_id").alias("site_id"),
            *(pl.col("quoted_lead_time_days").alias(c) for c in LEAD_COLUMNS),
            pl.lit("quoted").alias("lead_time_basis"),
        )
    )
    return pl.concat([forecast, quoted.join(forecast, on=["source_id", "site_id"], how="anti")]).sort(
        "source_id", "site_id"
    )


def days_expected(inputs: PlanInputs) -> tuple[dict[tuple[str, str], float], float]:
    """Days that 95 of 100 orders of each source and site take, by which an order is judged as lost; and those of the slowest lane.

    What a lane's forecast learned from fewer than 20 received orders may be an order that was lost: there it counts for no more than
    the days quoted and than the slowest lane that is well known, whichever is longer, where either is stated.
    """
    own = lane_lead_times(inputs).select("source_id", "site_id", "lead_time_days_p95")
    learned = inputs.frame("lead_times").sort("source_id", "site_id", "origin_date")
    learned = learned.unique(["source_id", "site_id"], keep="last").select("source_id", "site_id", "received_orders")
    quoted = lane_costs(inputs, "standard").select("source_id", "site_id", "quoted_lead_time_days")
    lanes = own.join(learned, on=["source_id", "site_id"], how="left").join(
        quoted, on=["source_id", "site_id"], how="left"
    )
    young = (pl.col("received_orders") < YOUNG_ORDERS).fill_null(value=False)
    known = lanes.filter(~young)["lead_time_days_p95"].max()
    stated = pl.max_horizontal("quoted_lead_time_days", pl.lit(known, dtype=pl.Float64))
    days = pl.when(young).then(pl.min_horizontal("lead_time_days_p95", stated)).otherwise("lead_time_days_p95")
    found = {(a, b): float(d) for a, b, d in lanes.select("source_id", "site_id", days).iter_rows()}
    return found, max(found.values(), default=float("inf"))


def lane_costs(inputs: PlanInputs, mode: str) -> pl.DataFrame:
    """Fixed and unit freight and quoted days per source and site of one mode."""
    return (
        inputs.frame("lanes")
        .filter(pl.col("mode_code") == mode)
        .unique(["origin_id", "destination_id"], keep="last", maintain_order=True)
        .select(
            pl.col("origin_id").alias("source_id"),
            pl.col("destination_id").alias("site_id"),
            pl.col("cost_per_order_usd").fill_null(0.0),
            pl.col("cost_per_ea_usd").fill_null(0.0),
            pl.col("quoted_lead_time_days"),
        )
        .sort("source_id", "site_id")
    )


def next_order_days(weekdays: str | None, as_of: date) -> tuple[int, int]:
    """Days after `as_of` of the next two order days; 1 is the day after.

    >>> next_order_days("1", date(2026, 1, 4))
    (1, 8)
    """
    allowed = {int(c) for c in weekdays or "" if c in "1234567"} or set(range(1, 8))
    days = [d for d in range(1, 15) if (as_of + timedelta(days=d)).isoweekday() in allowed]
    return days[0], days[1]


def _costs(frame: pl.DataFrame, inputs: PlanInputs, spec: PlanSpec) -> pl.DataFrame:
    supplier_items = inputs.frame("supplier_items").select(
        "item_id", pl.col("supplier_id").alias("source_id"),
        pl.col("unit_cost_usd").alias("source_cost"), pl.col("minimum_order_ea"),
    ).unique(["item_id", "source_id"], keep="last", maintain_order=True)  # fmt: skip
    items = inputs.frame("items").select(
        "item_id",
        "pack_ea",
        "base_unit_code",
        "unit_cost_usd",
        "unit_price_usd",
        "shelf_life_days",
        "discontinued_date",
    )
    default_cost = pl.lit(spec.default_unit_cost_usd, dtype=pl.Float64)
    margin = pl.lit(spec.default_margin_frac, dtype=pl.Float64)
    return (
        frame.join(items, on="item_id", how="left")
        .join(supplier_items, on=["item_id", "source_id"], how="left")
        .with_columns(pl.coalesce("source_cost", "unit_cost_usd", default_cost).alias("unit_cost_usd"))
        .with_columns(
            pl.coalesce("unit_price_usd", pl.col("unit_cost_usd") * (1 + margin)).alias("unit_price_usd"),
            pl.col("pack_ea").fill_null(1).cast(pl.Float64),
            pl.when("is_served_by_site")
            .then(0.0)
            .otherwise(pl.col("minimum_order_ea").fill_null(0.0))
            .alias("minimum_order_ea"),
        )
    )


def _loads(frame: pl.DataFrame, inputs: PlanInputs) -> pl.DataFrame:
    """Add what the truck of the row's lane holds, and what one each takes of it."""
    trucks = inputs.frame("lanes").filter(pl.col("mode_code") == "standard").unique(
        ["origin_id", "destination_id"], keep="last", maintain_order=True
    ).select(
        pl.col("origin_id").alias("source_id"), pl.col("destination_id").alias("site_id"), *(f"truck_capacity_{m}" for m in TRUCKS)
    )  # fmt: skip
    return frame.join(trucks, on=["source_id", "site_id"], how="left").join(
        inputs.frame("loads"), on="item_id", how="left"
    )


def _unloadable() -> pl.Expr:
    """Why not even the smallest order fits on the lane's truck, with the amount; null where it does."""
    lane = [pl.col("source_id"), pl.col("site_id")]
    pack, least = pl.col("pack_ea"), (pl.col("minimum_order_ea") / pl.col("pack_ea")).ceil() * pl.col("pack_ea")
    found = []
    for measure, column in TRUCKS.items():
        room = pl.col(f"truck_capacity_{measure}")
        each = pl.lit(1.0) if column is None else pl.col(column)
        text = "the truck from {} to {} is limited in " + measure + " and nothing says what the item takes"
        found.append(pl.when(room.is_not_null() & each.is_null()).then(pl.format(text, *lane)))
        for size, name in ((pack, "single pack"), (least, "minimum order")):
            text = "a " + name + " of {} takes {} " + measure + ", {} more than the truck from {} to {} holds"
            takes = size * each
            figures = [size, takes.round(4), (takes - room).round(4), *lane]
            found.append(pl.when(takes > room + 1e-9).then(pl.format(text, *figures)))
    return pl.coalesce(*found)


def _oldest(spec: PlanSpec) -> pl.Expr:
    """Days that a stock report may be old: six more where a site reports weeks, for its next one is not due before."""
    return spec.max_stock_age_days + pl.when("reports_weeks").then(WEEK - 1).otherwise(0)


def _missing(spec: PlanSpec, as_of: date) -> pl.Expr:
    """The first thing that keeps us from ordering, in words; null when nothing is missing."""
    number = pl.col("on_hand_qty_ea")
    age = (pl.lit(as_of) - pl.col("stock_date")).dt.total_days()
    margin = pl.col("unit_price_usd") - pl.col("unit_cost_usd")
    return (
        pl.when(pl.col("discontinued_date") <= as_of)
        .then(pl.format("discontinued on {}", "discontinued_date"))
        .when(number.is_null() | number.is_nan()).then(pl.lit("no stock report"))
        .when(number < 0).then(pl.format("the stock reported is negative ({})", number))
        .when(pl.col("stock_date").is_null()).then(pl.lit("the stock report has no date"))
        .when(age > _oldest(spec))
        .then(pl.format("the newest stock report is of {}, {} days old, and at most {} are taken (max_stock_age_days)",
                        "stock_date", age, _oldest(spec)))
        .when(~pl.col("has_demand")).then(pl.lit("no forecast: sales of the last weeks are not known, or of fewer than half of the days, or in stretches that are no weeks"))
        .when(pl.col("source_id").is_null()).then(pl.lit("no supplier or serving centre is known"))
        .when(pl.col("lead_time_days_p50").is_null())
        .then(pl.format("no lead time from {} to {}", "source_id", "site_id"))
        .when(pl.col("unit_cost_usd").is_null()).then(pl.lit("no unit cost"))
        .when(pl.col("unit_cost_usd") <= 0).then(pl.format("the unit cost is {}, so holding costs nothing", "unit_cost_usd"))
        .when(pl.col("unit_price_usd").is_null()).then(pl.lit("no selling price, so a lost sale has no cost"))
        .when(margin <= 0)
        .then(pl.format("the price {} does not exceed the cost {}, so a lost sale costs nothing", "unit_price_usd", "unit_cost_usd"))
        .when(pl.col("pack_ea") < 1).then(pl.format("the pack size is {}", "pack_ea"))
        .when(pl.col("storage_capacity_ea") < pl.col("pack_ea"))
        .then(pl.format("the storage capacity {} is below a single pack of {}", "storage_capacity_ea", "pack_ea"))
        .otherwise(_unloadable())
    )  # fmt: skip


def build_book(
    inputs: PlanInputs, as_of: date, spec: PlanSpec, positions: pl.DataFrame, weeks: Collection[str]
) -> pl.DataFrame:
    """The planner's book: one row per item × site with source, calendar, lead time, costs, stock, position and `missing`.

    Grain: one item and site, sorted. `weeks` are the sites that report whole weeks. `missing` is null where an order can be decided;
    `selling_days` counts the days from `as_of` to the item's last selling day, null where none is stated.
    """
    frame = _sources(universe(inputs), inputs)
    frame = frame.join(lane_lead_times(inputs), on=["source_id", "site_id"], how="left")
    frame = frame.join(
        lane_costs(inputs, "standard").drop("quoted_lead_time_days"), on=["source_id", "site_id"], how="left"
    )
    frame = _loads(_costs(frame, inputs, spec), inputs)
    forecasts = inputs.frame("forecasts")
    forecast = forecasts.group_by("item_id", "site_id").agg(
        pl.col("model_version").first(), pl.col("is_fallback").first(), pl.col("available_at_utc").max(),
        pl.col("demand_class").first(), pl.len().alias("forecast_days"),
    )  # fmt: skip
    frame = frame.join(forecast, on=["item_id", "site_id"], how="left")
    frame = frame.join(inputs.frame("stock"), on=["item_id", "site_id"], how="left")
    frame = frame.join(positions, on=["item_id", "site_id"], how="left")
    served = frame.filter("is_served_by_site", pl.col("forecast_days") > 0).select(
        "item_id", pl.col("source_id").alias("site_id"), pl.lit(True).alias("serves")
    ).unique()  # fmt: skip
    suppliers = inputs.frame("suppliers").select(
        pl.col("supplier_id").alias("source_id"), "minimum_order_usd", "order_weekdays"
    )
    frame = frame.join(served, on=["item_id", "site_id"], how="left").join(suppliers, on="source_id", how="left")
    frame = frame.with_columns(
        pl.col("site_id").is_in(list(weeks)).alias("reports_weeks"), pl.lit(inputs.currency_code).alias("currency_code")
    )
    days: dict[str | None, tuple[int, int]] = {w: next_order_days(w, as_of) for w in frame["order_weekdays"].unique()}
    return frame.with_columns(
        pl.col("serves").fill_null(False),
        pl.col("on_order_qty_ea", "allocated_qty_ea", "cost_per_order_usd", "cost_per_ea_usd").fill_null(0.0),
        pl.Series("order_day", [days[w][0] for w in frame["order_weekdays"]], dtype=pl.Int64),
        pl.Series("next_order_day", [days[w][1] for w in frame["order_weekdays"]], dtype=pl.Int64),
        (
            (pl.col("on_hand_qty_ea") >= 0)
            & ((pl.lit(as_of) - pl.col("stock_date")).dt.total_days() <= _oldest(spec))
        ).fill_null(False).alias("stock_known"),
        (pl.col("forecast_days").is_not_null() | pl.col("serves").fill_null(False)).alias("has_demand"),
        (pl.col("discontinued_date") - pl.lit(as_of)).dt.total_days().alias("selling_days"),
    ).with_columns(_missing(spec, as_of).alias("missing")).pipe(_cycles, inputs, spec).with_columns(
        pl.coalesce("missing", _beyond(spec)).alias("missing")
    ).pipe(with_kept_out, inputs.frame("kept_out")).sort("item_id", "site_id")  # fmt: skip


def _beyond(spec: PlanSpec) -> pl.Expr:
    """Why an order cannot be judged: it must last beyond the days looked ahead, in words; null where it need not.

    A lead time cut to what is looked ahead would order too little or, where it is longer still, nothing.
    """
    last = (
        pl.col("order_day")
        + pl.col("lead_time_days_p95").ceil()
        + spec.receipt_to_shelf_days
        + pl.col("cycle_days")
        - 1
    ).cast(pl.Int64)
    text = (
        "an order from {} takes up to {} days and must last until day {} from now, and only {} days are looked ahead "
        "(max_horizon_days)"
    )
    figures = [pl.col("source_id"), pl.col("lead_time_days_p95").round(2), last, pl.lit(spec.max_horizon_days)]
    return pl.when(last > spec.max_horizon_days).then(pl.format(text, *figures))


def _cycles(frame: pl.DataFrame, inputs: PlanInputs, spec: PlanSpec) -> pl.DataFrame:
    """Add `cycle_days`: how long one order should last.

    The longest of: days between order days; the economic cycle sqrt(2·fixed cost / Σ holding·demand) of the lane; the days in
    which the lane's demand reaches the supplier's minimum value. At most 28 days.
    """
    mean = (
        inputs.frame("forecasts").group_by("item_id", "site_id").agg(pl.col("demand_qty_ea_mean").mean().alias("daily"))
    )
    frame = frame.join(mean, on=["item_id", "site_id"], how="left").with_columns(pl.col("daily").fill_null(0.0))
    stores = frame.filter("is_served_by_site").group_by("item_id", pl.col("source_id").alias("site_id")).agg(
        pl.col("daily").sum().alias("served_daily")
    )  # fmt: skip
    frame = frame.join(stores, on=["item_id", "site_id"], how="left").with_columns(
        (pl.col("daily") + pl.col("served_daily").fill_null(0.0)).alias("daily_qty_ea_mean")
    )
    value = pl.col("daily_qty_ea_mean") * pl.col("unit_cost_usd")
    lane = (
        frame.filter(pl.col("missing").is_null())
        .group_by("source_id", "site_id")
        .agg(value.sum().alias("lane_usd_day"))
    )
    rate = spec.holding_rate_frac_per_year / 365
    economic = (2 * pl.col("cost_per_order_usd") * spec.order_cost_share_frac / (pl.col("lane_usd_day") * rate)).sqrt()
    minimum = pl.col("minimum_order_usd").fill_null(0.0) / pl.col("lane_usd_day")
    longest = pl.max_horizontal(economic, minimum).fill_nan(0.0).fill_null(0.0).clip(0, 28).round()
    review = pl.col("next_order_day") - pl.col("order_day")
    return frame.join(lane, on=["source_id", "site_id"], how="left").with_columns(
        pl.max_horizontal(review.cast(pl.Float64), longest).cast(pl.Int64).alias("cycle_days")
    ).drop("daily", "served_daily")  # fmt: skip
