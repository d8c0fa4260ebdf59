"""Lead time per lane (source → site): Kaplan-Meier with open orders censored, shrunk lane → source → all, recent orders heavier.

Grain of what it learns from: one order line. Lines of one order are one cluster: together they weigh as much as one
order, because they travel together and are not independent observations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import PRED_LEAD_TIME_LANE, PRED_ORDER_ARRIVAL, QUANTILES
from aios_assets.contracts.errors import BadInputError, IntegrityError
from ml.lead_time.changes import NO_CHANGES, faded, slow_downs
from ml.lead_time.grid import LaneGrid, decayed
from ml.lead_time.survival import Curves, Floats, Ints, mean_days, remaining_quantile, survive

MODEL_NAME = "lead_time_km"
FORMAT = "aios-lead-time-km-1"
MAX_HORIZON_DAYS = 730
FORGOTTEN = "open far longer than any order of its source took: never closed"


@dataclass(frozen=True, slots=True)
class LeadTimeModel:
    """A fitted lead-time model: one curve per lane, one per source, one for all.

    Attributes:
        as_of: last business day it saw.
        half_life_days: age of an order at which its weight is one half; 0 weighs all alike.
        strength_orders: pseudo-orders of the parent curve.
        lanes: (source_id, site_id) of each lane, sorted.
        sources: source_id of each source, sorted.
        curves: lanes first, then sources, then the curve of all, in that order.
        received: received orders (clusters) per curve.
        open: open orders (clusters) per curve.
        set_aside: lines not used, by reason.
        slowed: (source_id, site_id or None for all its lanes, day) of those that slowed down lately: orders up to that day
            count a tenth.
    """

    as_of: date
    half_life_days: float
    strength_orders: float
    lanes: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    curves: Curves
    received: tuple[int, ...]
    open: tuple[int, ...]
    set_aside: dict[str, int]
    slowed: tuple[tuple[str, str | None, str], ...] = ()

    def to_bytes(self) -> bytes:
        """Canonical JSON; the same model gives the same bytes."""
        body = {
            "format": FORMAT,
            "as_of": self.as_of.isoformat(),
            "half_life_days": self.half_life_days,
            "strength_orders": self.strength_orders,
            "lanes": [list(lane) for lane in self.lanes],
            "sources": list(self.sources),
            "survival": [_trim(row) for row in self.curves.survival],
            "horizon_days": self.curves.horizon,
            "tail_hazard": self.curves.tail_hazard.tolist(),
            "received": list(self.received),
            "open": list(self.open),
            "set_aside": self.set_aside,
        } | ({"slowed": [list(row) for row in self.slowed]} if self.slowed else {})
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of `to_bytes`, lower-case hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @staticmethod
    def from_bytes(data: bytes, digest: str | None = None) -> LeadTimeModel:
        """Read a model back; nothing in it is executed.

        Args:
            data: what `to_bytes` wrote.
            digest: SHA-256 expected; checked before a byte is parsed.

        Raises:
            IntegrityError: the digest differs or the bytes are no model of this format.
        """
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise IntegrityError(
                "the lead-time model is not what was registered", todo="score with the fallback and register it again"
            )
        try:
            body = json.loads(data)
            if body["format"] != FORMAT:
                raise KeyError(body["format"])
            horizon = int(body["horizon_days"])
            survival = np.array(
                [row + [row[-1]] * (horizon + 1 - len(row)) for row in body["survival"]], dtype=np.float64
            )
            return LeadTimeModel(
                as_of=date.fromisoformat(body["as_of"]),
                half_life_days=float(body["half_life_days"]),
                strength_orders=float(body["strength_orders"]),
                lanes=tuple((a, b) for a, b in body["lanes"]),
                sources=tuple(body["sources"]),
                curves=Curves(survival, np.array(body["tail_hazard"], dtype=np.float64)),
                received=tuple(body["received"]),
                open=tuple(body["open"]),
                set_aside=dict(body["set_aside"]),
                slowed=tuple((s, t, day) for s, t, day in body.get("slowed", ())),
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise IntegrityError("these bytes are no lead-time model", where=FORMAT, todo="train it again") from error

    def curve_of(self, source_ids: Sequence[str | None], site_ids: Sequence[str | None]) -> Ints:
        """Curve number per row: of the lane when known, else of the source, else of all."""
        lane_no = {lane: i for i, lane in enumerate(self.lanes)}
        source_no = {s: len(self.lanes) + i for i, s in enumerate(self.sources)}
        everything = len(self.lanes) + len(self.sources)
        pairs = zip(source_ids, site_ids, strict=True)
        found = [lane_no.get((s or "", t or ""), source_no.get(s or "", everything)) for s, t in pairs]
        return np.array(found, dtype=np.int64)


def _trim(row: Floats) -> list[float]:
    """The curve up to where it stops falling."""
    last = int(np.nonzero(np.diff(row, prepend=1.0))[0][-1]) if (np.diff(row, prepend=1.0) != 0).any() else 0
    return [float(v) for v in row[: last + 1]]


def lead_time_observations(
    orders: pl.DataFrame, as_of: date, *, keep_forgotten: bool = False
) -> tuple[pl.DataFrame, dict[str, int]]:
    """One row per order line as known at the close of `as_of`: days, received or open, weight of its cluster.

    Args:
        orders: `source_id, site_id, order_date, received_date` and, when present, `order_number` (the cluster),
            `is_cancelled` and `open_qty_ea`. A received date after `as_of` is unknown then: the line is open. A line of
            which nothing is to come and nothing came was refused or closed: it says nothing about time.
        as_of: last day known.
        keep_forgotten: keep lines that look as if they were never closed, too.

    Returns:
        Frame `source_id, site_id, cluster, order_date, days, is_received, weight` and the lines set aside by reason.

    Raises:
        BadInputError: a column is missing.
    """
    needed = ("source_id", "site_id", "order_date", "received_date")
    missing = [c for c in needed if c not in orders.columns]
    if missing:
        raise BadInputError(
            f"orders lack the column {', '.join(missing)}", where="lead times", todo="name it in the mapping"
        )
    cluster = (
        pl.col("order_number").cast(pl.String)
        if "order_number" in orders.columns
        else pl.int_range(pl.len()).cast(pl.String)
    )
    cancelled = pl.col("is_cancelled").fill_null(False) if "is_cancelled" in orders.columns else pl.lit(False)
    nothing_due = pl.col("open_qty_ea") <= 0 if "open_qty_ea" in orders.columns else pl.lit(False)
    closed = nothing_due.fill_null(False) & pl.col("received_date").is_null()
    known = pl.col("received_date").is_not_null() & (pl.col("received_date") <= as_of)
    frame = orders.select(
        "source_id", "site_id", "order_date", cluster.alias("cluster"), cancelled.alias("cancelled"), closed.alias("closed"),
        known.alias("is_received"), pl.when(known).then("received_date").alias("received_date"),
    )  # fmt: skip
    frame = frame.with_columns(
        ((pl.coalesce("received_date", pl.lit(as_of)) - pl.col("order_date")).dt.total_days()).alias("days")
    )
    reason = (
        pl.when(pl.col("order_date").is_null()).then(pl.lit("no order date"))
        .when(pl.col("source_id").is_null() | pl.col("site_id").is_null()).then(pl.lit("no source or site"))
        .when("cancelled").then(pl.lit("cancelled"))
        .when("closed").then(pl.lit("closed without a receipt"))
        .when(pl.col("order_date") > as_of).then(pl.lit("ordered after the day judged"))
        .when(pl.col("days") < 0).then(pl.lit("received before it was ordered"))
        .when(pl.col("days") > MAX_HORIZON_DAYS).then(pl.lit(f"older than {MAX_HORIZON_DAYS} days"))
    )  # fmt: skip
    frame = frame.with_columns(reason.alias("reason"))
    set_aside = frame.filter(pl.col("reason").is_not_null()).group_by("reason").len().sort("reason")
    kept = frame.filter(pl.col("reason").is_null())
    kept, forgotten = (kept, 0) if keep_forgotten else without_forgotten(kept, "source_id", pooled=True)
    kept = kept.with_columns((1.0 / pl.len().over("source_id", "site_id", "cluster")).alias("weight"))
    kept = kept.select("source_id", "site_id", "cluster", "order_date", "days", "is_received", "weight")
    counts = {str(r): int(n) for r, n in set_aside.iter_rows()} | ({FORGOTTEN: forgotten} if forgotten else {})
    return kept.sort(kept.columns), counts


def without_forgotten(kept: pl.DataFrame, group: str, *, pooled: bool = False) -> tuple[pl.DataFrame, int]:
    """Leave out lines open for more than three times what 99 % of their group's orders took, plus a week.

    Such a line was cut short and never closed; as a censored row it would say that a share of orders never arrives.
    A group needs 20 received lines to say so. A younger one can borrow: what 99 % of all orders took, or what its own slowest did if
    that is more; one of which nothing was received yet says nothing.

    Args:
        kept: `days` (taken or waited), `is_received` and the group.
        group: column of the source.
        pooled: whether young groups borrow, where all groups together have 20 received lines.

    Returns:
        The rows kept, in their order, and the number left out.
    """
    days = pl.col("days").filter("is_received")
    limits = kept.group_by(group).agg(days.quantile(0.99, "higher").alias("p99"), days.len().alias("n"))
    received = kept["days"].filter(kept["is_received"])
    borrows = pooled and received.len() >= 20
    if borrows:
        slowest = pl.max_horizontal("p99", pl.lit(received.quantile(0.99, "higher")))
        limits = limits.with_columns(pl.when(pl.col("n") < 20).then(slowest).otherwise("p99").alias("p99"))
    enough = pl.col("n") >= (1 if borrows else 20)
    limits = limits.filter(enough).select(group, (3 * pl.col("p99") + 7).alias("limit"))
    forgotten = ~pl.col("is_received") & (pl.col("days") > pl.col("limit"))
    joined = kept.join(limits, on=group, how="left", maintain_order="left")
    alive = joined.filter(~forgotten.fill_null(False)).drop("limit")
    return alive, kept.height - alive.height


def fit_lead_times(
    orders: pl.DataFrame, as_of: date, *, half_life_days: float = 180.0, strength_orders: float = 8.0
) -> LeadTimeModel:
    """Fit the lead-time distribution of every lane from received and open orders.

    Args:
        orders: rows like `fct_purchase_order_lines` (see `lead_time_observations`).
        as_of: last day known; receipts after it are not seen.
        half_life_days: order age at which the weight halves, so that drift is followed; 0 weighs all alike, also where
            lead times slowed down.
        strength_orders: how many pseudo-orders of the parent (lane → source → all) shrink a small group.

    Raises:
        BadInputError: a column is missing, or nothing was received yet.
    """
    obs, set_aside = lead_time_observations(orders, as_of)
    if not obs["is_received"].any():
        raise BadInputError("no order was received yet: a lead time cannot be learned", where="lead times", count=obs.height,
                            todo="use the quoted lead times until the first receipt")  # fmt: skip
    grid, slowed = LaneGrid.of(obs, strength_orders), NO_CHANGES
    obs = grid.numbered(obs)
    if half_life_days > 0:
        slowed = slow_downs(obs, grid, as_of, half_life_days)
        obs = faded(decayed(obs, as_of, half_life_days), slowed)
    n_received, n_open = _cluster_counts(obs, grid.lanes, grid.sources)
    since = tuple((str(s), t, cut.isoformat()) for s, t, cut in slowed.iter_rows())
    return LeadTimeModel(
        as_of, half_life_days, strength_orders, grid.lanes, grid.sources, grid.curves(obs), n_received, n_open, set_aside, since
    )  # fmt: skip


def _cluster_counts(
    obs: pl.DataFrame, lanes: tuple[tuple[str, str], ...], sources: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Orders with anything received, and orders with anything open, per lane, source and in all."""
    clusters = obs.group_by("source_id", "site_id", "cluster").agg(
        pl.col("is_received").any().alias("r"), (~pl.col("is_received")).any().alias("o")
    )
    by_lane = {
        (s, t): (int(r), int(o))
        for s, t, r, o in clusters.group_by("source_id", "site_id")
        .agg(pl.col("r").sum(), pl.col("o").sum())
        .iter_rows()
    }
    by_source = {
        s: (int(r), int(o))
        for s, r, o in clusters.group_by("source_id").agg(pl.col("r").sum(), pl.col("o").sum()).iter_rows()
    }
    total = (int(clusters["r"].sum()), int(clusters["o"].sum()))
    pairs = [*(by_lane[lane] for lane in lanes), *(by_source[s] for s in sources), total]
    return tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)


def predict_lanes(
    model: LeadTimeModel,
    lanes: pl.DataFrame,
    *,
    origin_date: date,
    available_at_utc: datetime,
    model_version: str = "0",
    model_name: str = MODEL_NAME,
    model_digest: str | None = None,
    fallback_reason: str | None = None,
) -> pl.DataFrame:
    """Rows of `pred_lead_time__lane` for these lanes.

    Args:
        model: fitted model.
        lanes: `source_id, site_id`; repeated lanes are answered once, unknown ones from their source or from all.
        origin_date: last business day known.
        available_at_utc: cut-off of that day.
        model_version: registered version; "0" for a baseline.
        model_name: registered name.
        model_digest: SHA-256 of the registered artefact; the model's own digest when not given.
        fallback_reason: why this model answers instead of the champion; None when it is the champion.
    """
    keys = lanes.select("source_id", "site_id").drop_nulls().unique().sort("source_id", "site_id")
    index = model.curve_of(keys["source_id"].to_list(), keys["site_id"].to_list())
    curves = model.curves.take(index)
    each = np.arange(keys.height, dtype=np.int64)
    start = np.full(keys.height, -1, dtype=np.int64)
    quantiles = {q: remaining_quantile(curves, each, start, q) - 1.0 for q in QUANTILES}
    columns = {f"lead_time_days_p{round(q * 100):02d}": v for q, v in quantiles.items()}
    frame = keys.with_columns(
        pl.lit(origin_date).alias("origin_date"),
        pl.Series("lead_time_days_mean", mean_days(curves)),
        *(pl.Series(name, values) for name, values in columns.items()),
        pl.Series("received_orders", [model.received[i] for i in index], dtype=pl.Int32),
        pl.Series("open_orders", [model.open[i] for i in index], dtype=pl.Int32),
        pl.lit(model_name).alias("model_name"),
        pl.lit(model_version).alias("model_version"),
        pl.lit(model_digest or model.digest).alias("model_digest"),
        pl.lit(fallback_reason is not None).alias("is_fallback"),
        pl.lit(fallback_reason, dtype=pl.String).alias("fallback_reason"),
        pl.lit(available_at_utc).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    )
    return frame.select(PRED_LEAD_TIME_LANE.names).cast(PRED_LEAD_TIME_LANE.schema)  # type: ignore[arg-type]


def predict_open_orders(
    model: LeadTimeModel, open_orders: pl.DataFrame, as_of: date, *, available_at_utc: datetime
) -> pl.DataFrame:
    """Rows of `pred_order__arrival`: chance of being late and days to go, given how long each line has waited.

    Args:
        model: fitted model.
        open_orders: open lines with `order_number, item_id, source_id, site_id, order_date, open_qty_ea` and any of
            `promised_date, requested_date` (the promise counts first).
        as_of: last business day known; the lines are open at its close.
        available_at_utc: cut-off of that day.

    Raises:
        BadInputError: a line was ordered after `as_of`.
    """
    future = open_orders.filter(pl.col("order_date") > as_of).height
    if future:
        raise BadInputError(
            "open orders are dated after the day judged",
            where="open orders",
            count=future,
            todo=f"give the orders known on {as_of}",
        )
    dues = [pl.col(c) for c in ("promised_date", "requested_date") if c in open_orders.columns]
    frame = open_orders.with_columns(
        (pl.coalesce(dues) if dues else pl.lit(None, dtype=pl.Date)).alias("due_date"),
        pl.lit(as_of).alias("origin_date"),
        ((pl.lit(as_of) - pl.col("order_date")).dt.total_days()).cast(pl.Int32).alias("age_days"),
        pl.lit(available_at_utc).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    ).sort("order_number", "item_id", "site_id")
    index = model.curve_of(frame["source_id"].to_list(), frame["site_id"].to_list())
    ages = frame["age_days"].to_numpy().astype(np.int64)
    due = (frame["due_date"] - frame["order_date"]).dt.total_days().fill_null(-1).to_numpy().astype(np.int64)
    now, then = survive(model.curves, index, ages), survive(model.curves, index, np.maximum(due, ages))
    far = (1.0 - model.curves.tail_hazard[index]) ** np.maximum(due - ages, 0)
    late = np.where(now > 1e-12, np.divide(then, now, out=np.ones_like(now), where=now > 1e-12), far)
    frame = frame.with_columns(
        pl.when(pl.col("due_date").is_not_null()).then(pl.Series("late", late)).alias("late_probability_frac"),
        pl.Series("remaining_days_p50", remaining_quantile(model.curves, index, ages, 0.5)),
        pl.Series("remaining_days_p90", remaining_quantile(model.curves, index, ages, 0.9)),
    )
    return frame.select(PRED_ORDER_ARRIVAL.names).cast(PRED_ORDER_ARRIVAL.schema)  # type: ignore[arg-type]
