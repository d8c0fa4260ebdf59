"""The night's recommendations: one row at least for every item × site, bought, moved, hurried, or left with its reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES, REC_DECISIONS
from planning.choice import choose
from planning.doubt import doubtful_lines, find_doubts
from planning.flips import settle_flips
from planning.groups import Line, decide_groups, rooms
from planning.inputs import PlanInputs, PlanSpec, check_inputs
from planning.limits import smallest_order
from planning.network import LEAD_COLUMNS, build_book, days_expected, lane_costs, lane_lead_times, next_order_days
from planning.night import Chunk, World, build_chunk, lose_sales, ration, solve, waiting_risk
from planning.options import Offer, Routes, build_routes, late_orders, take
from planning.position import open_position
from planning.projection import F64, order_value
from planning.rows import decision_rows
from planning.sampling import knots
from planning.unreported import WEEK, taken_from, unreported_days, week_ends

CHUNK_CELLS = 12_000_000  # series × scenarios × days held at once: some 100 MB of float32 for demand and receipts


def recommend(
    inputs: PlanInputs, as_of: date, spec: PlanSpec, *, available_at_utc: datetime | None = None
) -> pl.DataFrame:
    """What to order, move and hurry tonight, and why not for everything else.

    Grain: one decision for one item and site, or the reason why there is none (`rec_decisions`).
    Units: eaches, USD, days. Invariants: the same inputs give the same bytes; a quantity already on order is never ordered
    again; where a stock report, forecast, source, lead time or cost is missing nothing is ordered and the row says what is.

    Args:
        inputs: what was known at the cut-off.
        as_of: last business day known; orders go out on the next order day after it.
        spec: the specification, see `planning/policy.yaml`.
        available_at_utc: cut-off written into every row; default the newest forecast's, else the end of `as_of` in UTC.

    Raises:
        BadInputError: frames contradict themselves or know the future.
    """
    check_inputs(inputs, as_of)
    orders = inputs.frame("open_orders").filter(pl.col("open_qty_ea") > 0)
    reports = inputs.frame("reports")
    weeks = week_ends(reports, as_of)
    book = build_book(inputs, as_of, spec, open_position(orders), weeks)
    if book.is_empty():
        return REC_DECISIONS.empty()
    book, knot, days = _forecast_knots(inputs, book)
    unreported = unreported_days(book, reports, weeks, as_of)
    book = book.with_columns(pl.Series("unreported_days", unreported.sum(axis=1)))
    lanes = {
        (r[0], r[1]): tuple(r[2:])
        for r in lane_lead_times(inputs).select("source_id", "site_id", *LEAD_COLUMNS).iter_rows()
    }
    world = World(
        spec, knot, days, 2, lanes, _order_lines(inputs, orders, book, as_of), rooms(book), days_expected(inputs),
        weeks, unreported,
    )  # fmt: skip
    world.measured = book["base_unit_code"].is_not_null().to_numpy()
    world.periods = _periods(world, book)
    routes = _routes(inputs, as_of, world)
    parts = _chunks(book, world)
    lines: list[Line] = []
    offers: list[tuple[int, Offer]] = []
    for rows in parts:
        chunk, found, chosen = _solve_rows(world, book, rows, routes)
        lines += found
        offers += [(int(rows[o.row]), o) for o in chosen]
    decide_groups(lines, book, spec, offers)
    _settle(world, book, parts, chunk if len(parts) == 1 else None, lines, offers, routes)
    return _frame(decision_rows(lines, offers, book, as_of, spec), inputs, as_of, available_at_utc)


def _forecast_knots(inputs: PlanInputs, book: pl.DataFrame) -> tuple[pl.DataFrame, Any, Any]:
    """Knots (series, day, 9) and days forecast (series,); series whose forecast has gaps or under 7 days are marked missing."""
    columns = [f"demand_qty_ea_p{round(q * 100):02d}" for q in QUANTILES]
    keys = book.select("item_id", "site_id").with_row_index("row")
    forecast = inputs.frame("forecasts").join(keys, on=["item_id", "site_id"]).sort("row", "horizon_days")
    longest = int(forecast["horizon_days"].max() or 7)  # type: ignore[arg-type]
    stats = forecast.group_by("row").agg(
        pl.len().alias("days"), pl.col("horizon_days").min().alias("low"), pl.col("horizon_days").max().alias("high"),
        pl.sum_horizontal("demand_qty_ea_mean", *columns).is_finite().all().alias("finite"),
    )  # fmt: skip
    good = (pl.col("low") == 1) & (pl.col("high") == pl.col("days")) & (pl.col("days") >= 7) & pl.col("finite")
    bad = stats.filter(~good.fill_null(False))
    usable = forecast.join(bad.select("row"), on="row", how="anti")
    knot = np.zeros((book.height, longest, 9), dtype=np.float32)
    days = np.zeros(book.height, dtype=np.int64)
    row, day = usable["row"].to_numpy(), usable["horizon_days"].to_numpy() - 1
    knot[row, day] = knots(usable.select(columns).to_numpy(), usable["demand_qty_ea_mean"].to_numpy())
    counted = usable.group_by("row").len()
    days[counted["row"].to_numpy()] = counted["len"].to_numpy()
    marked = book.with_row_index("row").join(bad.select("row", pl.lit(True).alias("is_bad")), on="row", how="left")
    book = marked.with_columns(
        pl.when(pl.col("missing").is_null() & pl.col("is_bad").fill_null(False)).then(
            pl.lit("the forecast has gaps, values that are not numbers, or fewer than 7 days")
        ).otherwise(pl.col("missing")).alias("missing")
    ).drop("row", "is_bad")  # fmt: skip
    return book, knot, days


def _order_lines(inputs: PlanInputs, orders: pl.DataFrame, book: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Open order lines with their book row, due day and arrival forecast, sorted."""
    keys = book.select("item_id", "site_id", pl.col("source_id").alias("regular_id")).with_row_index("row")
    arrivals = (
        inputs.frame("arrivals")
        .sort("origin_date")
        .unique(["order_number", "item_id", "site_id"], keep="last", maintain_order=True)
        .select(
            "order_number", "item_id", "site_id", "remaining_days_p50", "remaining_days_p90", "late_probability_frac"
        )
    )
    start = pl.lit(as_of)
    lane = pl.coalesce("source_id", "regular_id", pl.lit("unknown"))
    return (
        orders.join(keys, on=["item_id", "site_id"])
        .join(arrivals, on=["order_number", "item_id", "site_id"], how="left")
        .select(
            pl.col("row").cast(pl.Int64), "order_number", "item_id", "site_id", "source_id", "regular_id",
            pl.col("open_qty_ea").alias("qty"), pl.format("{}>{}", lane, "site_id").alias("lane"),
            (pl.coalesce("expected_date", "promised_date", "requested_date") - start).dt.total_days().cast(pl.Float64)
            .fill_null(float("nan")).alias("due_day"),
            (pl.col("requested_date") - start).dt.total_days().cast(pl.Float64).fill_null(float("nan")).alias("asked_day"),
            (pl.col("order_date") - start).dt.total_days().cast(pl.Float64).fill_null(0.0).alias("order_day"),
            pl.col("remaining_days_p50").fill_null(float("nan")).alias("p50"),
            pl.col("remaining_days_p90").fill_null(float("nan")).alias("p90"),
            "late_probability_frac",
        )
        .sort("row", "order_number")
    )  # fmt: skip


def _periods(world: World, book: pl.DataFrame) -> int:
    """Days to look ahead: the last day any decidable row is exposed to, within the limit of the specification."""
    live = book.filter(pl.col("missing").is_null()).select("source_id", "site_id", "order_day", "cycle_days").unique()
    longest = [
        int(world.lead(a, b).max()) + o + c + world.spec.receipt_to_shelf_days for a, b, o, c in live.iter_rows()
    ]
    return max(WEEK, min(max(longest, default=WEEK), world.spec.max_horizon_days))


def _chunks(book: pl.DataFrame, world: World) -> list[Any]:
    """Rows of the book in chunks of whole items."""
    sizes = book.with_row_index("row").group_by("item_id", maintain_order=True).agg(pl.col("row"))
    most = max(1, CHUNK_CELLS // (world.spec.scenarios * world.periods))
    out: list[list[int]] = [[]]
    for rows in sizes["row"].to_list():
        if out[-1] and len(out[-1]) + len(rows) > most:
            out.append([])
        out[-1] += rows
    return [np.array(rows, dtype=np.int64) for rows in out]


def _routes(inputs: PlanInputs, as_of: date, world: World) -> Routes:
    sites = inputs.frame("sites")["site_id"]
    standard = lane_costs(inputs, "standard")
    suppliers = inputs.frame("suppliers").select("supplier_id", "order_weekdays", "minimum_order_usd")
    known = standard.join(lane_lead_times(inputs).select("source_id", "site_id"), on=["source_id", "site_id"])
    sellers = (
        inputs.frame("supplier_items")
        .filter(pl.col("unit_cost_usd") > 0)
        .unique(["supplier_id", "item_id"], keep="last", maintain_order=True)
        .sort("item_id", "preference_no", "supplier_id")
        .join(known, left_on="supplier_id", right_on="source_id")
        .join(suppliers, on="supplier_id", how="left")
        .select(
            "item_id", "site_id", "supplier_id", "unit_cost_usd",
            # such an order goes out by itself: it must reach the supplier's minimum value, too
            pl.max_horizontal(pl.col("minimum_order_ea").fill_null(0.0), pl.col("minimum_order_usd").fill_null(0.0) / pl.col("unit_cost_usd")),
            "cost_per_order_usd", "cost_per_ea_usd",
        )
    )  # fmt: skip
    days = {s: next_order_days(w, as_of)[0] for s, w, _ in suppliers.iter_rows()}
    expedite = lane_costs(inputs, "expedite").filter(pl.col("quoted_lead_time_days").is_finite())
    moves = known.filter(pl.col("source_id").is_in(sites.to_list()))
    return build_routes(expedite, moves, sellers, days)


def _settle(
    world: World, book: pl.DataFrame, parts: list[Any], solved: Chunk | None, lines: list[Line], offers: list[tuple[int, Offer]],
    routes: Routes,
) -> None:  # fmt: skip
    """Find what flips each line, now that every lane is decided; a night of several chunks builds each of them once more."""
    cap = world.spec.max_lines_per_day
    if world.spec.flip_steps == 0 or (cap is not None and sum(line.packs > 0 for line in lines) >= cap):
        return  # on a full day another line decides whether this one is kept
    begin = 0
    for rows in parts:
        here = set(rows.tolist())
        chosen = [offer for row, offer in offers if row in here]
        chunk = solved
        if chunk is None:
            chunk, _ = build_chunk(world, book, rows)
            for offer in chosen:
                take(chunk, offer)
            lose_sales(chunk)
        settle_flips(chunk, lines[begin : begin + len(rows)], chosen, routes, book, world.spec)
        begin += len(rows)


def _solve_rows(
    world: World, book: pl.DataFrame, rows: Any, routes: Routes
) -> tuple[Chunk, list[Line], list[Offer]]:  # fmt: skip
    """The rows of a chunk, each solved for itself and with the faster way that pays best."""
    chunk, pipeline = build_chunk(world, book, rows)
    pipeline |= doubtful_lines(world, pipeline["lines"])
    first, _ = solve(chunk)
    lost: F64 = first.lost_before.mean(axis=1, dtype=np.float64)
    unit_cost, order_days = book["unit_cost_usd"].to_numpy()[rows], book["order_day"].to_numpy()[rows]
    late = late_orders(chunk, pipeline, world.spec.late_threshold_frac)
    on_order = book["on_order_qty_ea"].to_numpy()[rows]
    later = np.maximum(on_order - _until(chunk.receipts, chunk.until), 0.0)
    taken, rejected = choose(world, chunk, pipeline, routes, lost, unit_cost, late)
    lose_sales(chunk)
    seen, wanted = solve(chunk)
    doubts = find_doubts(world, chunk, pipeline)
    packs, had, left = ration(chunk, seen, wanted)
    quantity = packs * chunk.pack
    held = chunk.holding_day * chunk.review
    nothing = np.zeros_like(quantity)
    saving, confidence, saved = order_value(seen.need, quantity, chunk.shortage, held, nothing)
    waiting, _, _ = order_value(seen.need_wait, quantity, waiting_risk(chunk, world.spec), nothing, nothing)
    one_pack, _, _ = order_value(seen.need, smallest_order(chunk.pack, chunk.minimum), chunk.shortage, held, nothing)
    stats = {
        "units_saved_ea": saved, "holding_usd_per_ea": held, "margin_usd": chunk.shortage,
        "demand_exposed_qty_ea": seen.demand_exposed.mean(axis=1), "critical_ratio_frac": chunk.alpha,
        "stock_at_arrival_ea": seen.stock_at_arrival.mean(axis=1), "lost_before_ea": seen.lost_before.mean(axis=1),
        "cover_probability_frac": (seen.need <= 0).mean(axis=1),
        "lasts_probability_frac": ((seen.need <= 0) & (seen.lost_before <= 0)).mean(axis=1), "covers_days": np.median(chunk.until, axis=1),
        "demand_until_qty_ea": _until(chunk.demand, chunk.until), "on_order_later_ea": later,
    }  # fmt: skip
    since = taken_from(chunk.reported, chunk.since).mean(axis=1)
    lines = [
        Line(
            row=int(r), packs=float(packs[i]), wanted=float(wanted[i]), pack=float(chunk.pack[i]), saving=float(saving[i]),
            waiting=float(waiting[i]), confidence=float(confidence[i]), had=float(had[i]) if packs[i] < wanted[i] else float("nan"),
            flip=float("nan"), left=float(left[i]), shared=bool(np.isfinite(had[i])),
            one_pack=float(one_pack[i]), holding_day=float(chunk.holding_day[i]), stats={k: float(v[i]) for k, v in stats.items()},
            need=seen.need[i] if chunk.ok[i] else None, shortage=float(chunk.shortage[i]), held=float(held[i]),
            rejected=rejected.get(i, []), late=late.get(i), order_day=int(order_days[i]), doubt=doubts.get(i), since=float(since[i]),
        )
        for i, r in enumerate(rows)
    ]  # fmt: skip
    for offer in taken:
        if offer.donor >= 0:
            lines[offer.donor].given.append((chunk.site[offer.row], offer.quantity))
    return chunk, lines, taken


def _until(units: Any, until: Any) -> F64:
    """Mean units (n,) of paths (n, scenario, day) before the day `until` of each scenario."""
    total = np.cumsum(units, axis=2)
    last = np.clip(until - 2, 0, units.shape[2] - 1)
    return np.asarray(np.take_along_axis(total, last[:, :, None], axis=2)[:, :, 0].mean(axis=1), dtype=np.float64)


def _frame(
    rows: list[dict[str, Any]], inputs: PlanInputs, as_of: date, available_at_utc: datetime | None
) -> pl.DataFrame:
    """Rows as the contract's frame, ranked by money at stake; the clock is the newest forecast's, else the day's end."""
    newest = inputs.frame("forecasts")["available_at_utc"].max()
    cutoff = (
        newest
        if isinstance(newest, datetime)
        else datetime.combine(as_of + timedelta(days=1), datetime.min.time(), UTC)
    )
    cutoff = available_at_utc or cutoff
    rows.sort(key=lambda r: (r["decision_code"] == "none", -r["money_at_stake_usd"], r["rec_id"]))
    for rank, row in enumerate(rows, start=1):
        row["rank_no"] = rank
        row["available_at_utc"] = cutoff
        row["as_of_month"] = as_of.isoformat()[:7]
    return pl.DataFrame(rows, schema=REC_DECISIONS.schema, orient="row")
