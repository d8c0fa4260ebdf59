"""What a night of planning needs to know: frames by contract, and the specification with its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from aios_assets.contracts.decision_tables import PRED_DEMAND_28D, PRED_LEAD_TIME_LANE, PRED_ORDER_ARRIVAL
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.mart_tables import DIM_ITEM, DIM_SITE, DIM_SUPPLIER
from aios_assets.contracts.raw_tables import RAW_MASTER_LANES, RAW_MASTER_SUPPLIER_ITEMS
from planning.kept_out import KEPT_OUT_SCHEMA

STOCK_SCHEMA: dict[str, Any] = {
    "item_id": pl.String, "site_id": pl.String, "on_hand_qty_ea": pl.Float64, "stock_date": pl.Date,
}  # fmt: skip
OPEN_ORDER_SCHEMA: dict[str, Any] = {
    "order_number": pl.String, "item_id": pl.String, "site_id": pl.String, "source_id": pl.String,
    "open_qty_ea": pl.Float64, "order_date": pl.Date, "expected_date": pl.Date, "promised_date": pl.Date,
    "requested_date": pl.Date,
}  # fmt: skip
# What `max_stock_age_days` may be: stock is read so far back, and a week further.
MOST_STOCK_AGE_DAYS = 28
CLASSES = ("smooth", "erratic", "intermittent", "lumpy")
REPORT_SCHEMA: dict[str, Any] = {"site_id": pl.String, "demand_date": pl.Date, "is_stretch": pl.Boolean}
LOAD_SCHEMA: dict[str, Any] = {"item_id": pl.String, "unit_volume_m3": pl.Float64, "unit_weight_kg": pl.Float64}
_PLAIN = {"loads": LOAD_SCHEMA, "reports": REPORT_SCHEMA, "kept_out": KEPT_OUT_SCHEMA}
_CONTRACTS = {
    "forecasts": PRED_DEMAND_28D,
    "lead_times": PRED_LEAD_TIME_LANE,
    "arrivals": PRED_ORDER_ARRIVAL,
    "items": DIM_ITEM,
    "sites": DIM_SITE,
    "suppliers": DIM_SUPPLIER,
    "lanes": RAW_MASTER_LANES,
    "supplier_items": RAW_MASTER_SUPPLIER_ITEMS,
}


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """Everything known at one cut-off. A frame left out means: nothing is known of it.

    Attributes:
        forecasts: rows of `pred_demand__28d` of origin `as_of`.
        lead_times: rows of `pred_lead_time__lane`.
        arrivals: rows of `pred_order__arrival`.
        stock: item_id, site_id, on_hand_qty_ea, stock_date; one row per item and site.
        open_orders: order_number, item_id, site_id, source_id, open_qty_ea, order_date, expected_date,
            promised_date, requested_date; optional shipped_qty_ea, received_qty_ea and refused_qty_ea.
        items: `dim_item`.
        sites: `dim_site`.
        suppliers: `dim_supplier`.
        lanes: `raw_master__lanes`, latest statement.
        supplier_items: `raw_master__supplier_items`, latest statement.
        loads: item_id, unit_volume_m3, unit_weight_kg: what one each takes in a truck, where master data says so.
        reports: site_id, demand_date, is_stretch: days of the last eight weeks of which a site reported sales, and whether a report of
            it was of several days; left out, every day counts as reported.
        kept_out: item_id, site_id, lines, reason: lines of the last weeks that count nowhere because of their unit.
        currency_code: ISO 4217 code of what money is counted in; columns named `_usd` hold it.
    """

    forecasts: pl.DataFrame | None = None
    lead_times: pl.DataFrame | None = None
    arrivals: pl.DataFrame | None = None
    stock: pl.DataFrame | None = None
    open_orders: pl.DataFrame | None = None
    items: pl.DataFrame | None = None
    sites: pl.DataFrame | None = None
    suppliers: pl.DataFrame | None = None
    lanes: pl.DataFrame | None = None
    supplier_items: pl.DataFrame | None = None
    loads: pl.DataFrame | None = None
    reports: pl.DataFrame | None = None
    kept_out: pl.DataFrame | None = None
    currency_code: str = "USD"

    def frame(self, name: str) -> pl.DataFrame:
        """The frame with every contract column, missing ones as null, rows sorted; empty when nothing is known."""
        if name == "stock":
            schema = dict(STOCK_SCHEMA)
        elif name == "open_orders":
            moved = dict.fromkeys(("shipped_qty_ea", "received_qty_ea", "refused_qty_ea"), pl.Float64)
            schema = {**OPEN_ORDER_SCHEMA, **moved}
        elif name in _PLAIN:
            schema = dict(_PLAIN[name])
        else:
            schema = dict(_CONTRACTS[name].schema)
        given: pl.DataFrame | None = getattr(self, name)
        if given is None:
            return pl.DataFrame(schema=schema)
        try:
            return given.select(
                *(
                    pl.col(c).cast(t, strict=True) if c in given.columns else pl.lit(None, dtype=t).alias(c)
                    for c, t in schema.items()
                )
            )
        except pl.exceptions.PolarsError as error:
            raise BadInputError(
                f"a column has the wrong type: {error}", where=f"planning input {name}", todo="see the table's contract"
            ) from error


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """The planning specification; `planning/policy.yaml` gives each default and its reason."""

    seed: int = 20260101
    scenarios: int = 256
    holding_rate_frac_per_year: float = 0.25
    shortage_factor: float = 1.0
    default_unit_cost_usd: float | None = None
    default_margin_frac: float | None = None
    alpha_min: float = 0.50
    alpha_max: float = 0.97
    alpha_max_smooth: float | None = None
    alpha_max_erratic: float | None = None
    alpha_max_intermittent: float | None = None
    alpha_max_lumpy: float | None = None
    centre_alpha_max: float = 0.8
    centre_shortage_share_frac: float = 0.1
    centre_waiting_share_frac: float = 0.3
    order_cost_share_frac: float = 0.3
    day_correlation: float = 0.15
    site_correlation: float = 0.10
    receipt_to_shelf_days: int = 0
    max_stock_age_days: int = 3
    max_horizon_days: int = 180
    late_threshold_frac: float = 0.5
    min_gain_usd: float = 1.0
    min_line_gain_usd: float = 0.0
    max_lines_per_day: int | None = None
    flip_steps: int = 6

    def __post_init__(self) -> None:
        """Refuse values that cannot be planned with.

        Raises:
            BadInputError: a value is outside its limits.
        """
        limits = {
            "scenarios": (16, 4096), "holding_rate_frac_per_year": (1e-9, 10), "shortage_factor": (1e-9, 1000),
            "alpha_min": (0, 1), "centre_shortage_share_frac": (0, 1), "centre_waiting_share_frac": (0, 1), "late_threshold_frac": (0, 1), "order_cost_share_frac": (0, 1), "alpha_max": (0, 0.9999), "centre_alpha_max": (0, 0.9999),
            "day_correlation": (0, 0.95), "site_correlation": (0, 0.95), "max_stock_age_days": (0, MOST_STOCK_AGE_DAYS),
            "max_horizon_days": (2, 730), "flip_steps": (0, 20), "receipt_to_shelf_days": (0, 60),
        }  # fmt: skip
        limits |= {f"alpha_max_{name}": (0, 0.9999) for name in CLASSES}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is None and name.startswith("alpha_max_"):
                continue
            if not low <= value <= high:
                raise BadInputError(f"{name} is {value}, allowed is {low} to {high}", where="planning specification")
        if self.day_correlation + self.site_correlation > 0.95:
            raise BadInputError(
                "day_correlation and site_correlation together exceed 0.95", where="planning specification"
            )

    def ceiling(self, demand_class: str | None) -> float:
        """Largest critical ratio of a demand class; `alpha_max` where the class has none of its own."""
        own = getattr(self, f"alpha_max_{demand_class}", None) if demand_class in CLASSES else None
        return self.alpha_max if own is None else float(own)

    def with_ceilings(self, found: Mapping[str, float | None]) -> PlanSpec:
        """The same with these ceilings by demand class; a class that is not named keeps its own."""
        return replace(
            self, alpha_max_smooth=found.get("smooth", self.alpha_max_smooth), alpha_max_erratic=found.get("erratic", self.alpha_max_erratic),
            alpha_max_intermittent=found.get("intermittent", self.alpha_max_intermittent),
            alpha_max_lumpy=found.get("lumpy", self.alpha_max_lumpy),
        )  # fmt: skip


def load_spec(path: Path | None = None) -> PlanSpec:
    """Read a specification; what the file leaves out keeps its default.

    Raises:
        BadInputError: the file cannot be read, has an unknown key, or a value outside its limits.
    """
    import yaml

    source = path or Path(__file__).with_name("policy.yaml")
    try:
        values = yaml.safe_load(source.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInputError(f"the planning specification cannot be read: {error}", where=str(source)) from error
    unknown = sorted(set(values) - {f.name for f in fields(PlanSpec)})
    if unknown:
        raise BadInputError(f"unknown keys {', '.join(unknown)}", where=str(source), todo="see planning/policy.yaml")
    try:
        return PlanSpec(**values)
    except TypeError as error:
        raise BadInputError(f"a value has the wrong type: {error}", where=str(source)) from error


def check_inputs(inputs: PlanInputs, as_of: date) -> None:
    """Refuse frames that contradict themselves or know the future.

    Raises:
        BadInputError: duplicate keys, stock dated after `as_of`, or negative open quantities.
    """
    stock, orders = inputs.frame("stock"), inputs.frame("open_orders")
    for name, frame, key in (
        ("stock", stock, ["item_id", "site_id"]),
        ("forecasts", inputs.frame("forecasts"), ["item_id", "site_id", "origin_date", "horizon_days"]),
        ("items", inputs.frame("items"), ["item_id"]),
        ("sites", inputs.frame("sites"), ["site_id"]),
        ("loads", inputs.frame("loads"), ["item_id"]),
    ):
        extra = frame.height - frame.select(key).n_unique()
        if extra > 0:
            raise BadInputError(
                f"rows share the key {', '.join(key)}", where=name, count=extra, todo="keep one row per key"
            )
    future = stock.filter(pl.col("stock_date") > as_of).height
    if future:
        raise BadInputError(
            f"stock is dated after the day planned for ({as_of})",
            where="stock",
            count=future,
            todo="plan for a later day",
        )
    negative = orders.filter((pl.col("open_qty_ea") < 0) | pl.col("open_qty_ea").is_nan()).height
    if negative:
        raise BadInputError(
            "open quantity is negative or not a number",
            where="open orders",
            count=negative,
            todo="correct the order lines",
        )
