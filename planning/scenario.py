"""What-if scenarios as values: changes of what is known and of the planning parameters, applied to copies of the inputs.

A change is written `what=value` or `what@who=value`. `what` is a planning parameter (`planning/policy.yaml`), or one of: `demand`
(factor; who: an item or a site), `lead_time` (factor; who: a source or a site), `unit_cost` (factor; who: an item or a supplier),
`stock` (factor; who: an item or a site), `lost_supplier` (value: the supplier), `truck_capacity_ea|m3|kg` (value; who: a source
or a site), `storage_capacity_ea` (value; who: a site). Without `who` a change holds for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError, UsageError
from planning.inputs import PlanInputs, PlanSpec

_QUANTILES = [f"p{round(q * 100):02d}" for q in QUANTILES]
PARAMETERS = tuple(f.name for f in fields(PlanSpec))
# change → (frame, columns changed, columns that may name who, factor or value)
_FRAMES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], bool]] = {
    "demand": ("forecasts", ("demand_qty_ea_mean", *(f"demand_qty_ea_{q}" for q in _QUANTILES)), ("item_id", "site_id"), True),
    "lead_time": ("lead_times", ("lead_time_days_mean", *(f"lead_time_days_{q}" for q in _QUANTILES)), ("source_id", "site_id"), True),
    "stock": ("stock", ("on_hand_qty_ea",), ("item_id", "site_id"), True),
    "truck_capacity_ea": ("lanes", ("truck_capacity_ea",), ("origin_id", "destination_id"), False),
    "truck_capacity_m3": ("lanes", ("truck_capacity_m3",), ("origin_id", "destination_id"), False),
    "truck_capacity_kg": ("lanes", ("truck_capacity_kg",), ("origin_id", "destination_id"), False),
    "storage_capacity_ea": ("sites", ("storage_capacity_ea",), ("site_id",), False),
}  # fmt: skip
KINDS = (*_FRAMES, "unit_cost", "lost_supplier")


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        what: planning parameter or one of `KINDS`.
        who: whom it holds for; empty for all.
        value: number, text or null as written.
    """

    what: str
    who: str
    value: Any

    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.what}{'@' + self.who if self.who else ''}={'null' if self.value is None else self.value}"


def parse_changes(texts: Sequence[str]) -> tuple[Change, ...]:
    """Read changes.

    >>> parse_changes(["demand@A=1.5", "alpha_max=0.9"])
    (Change(what='demand', who='A', value=1.5), Change(what='alpha_max', who='', value=0.9))

    Raises:
        UsageError: not of the form `what[@who]=value`, unknown, twice, or a value that does not fit.
    """
    import yaml

    out: list[Change] = []
    for text in texts:
        left, sign, right = text.partition("=")
        what, _, who = left.strip().partition("@")
        if not sign or not what or not right.strip():
            raise UsageError(f"'{text}' is not of the form what=value or what@who=value", where="--set")
        if what not in KINDS and what not in PARAMETERS:
            raise UsageError(f"'{what}' cannot be changed", where="--set", todo=f"use {', '.join(KINDS)}, or a parameter of planning/policy.yaml")  # fmt: skip
        value = yaml.safe_load(right)
        if what in PARAMETERS and who:
            raise UsageError(f"'{what}' is a planning parameter and holds for all", where="--set", todo="leave @ out")
        if what == "lost_supplier":
            value = str(right).strip()
        elif what in KINDS and not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            raise UsageError(f"{left} is '{right}', needed is a number from 0", where="--set")
        if any(c.what == what and c.who == who and what != "lost_supplier" for c in out):
            raise UsageError(f"'{left}' is set twice", where="--set")
        out.append(Change(what, who, value))
    return tuple(out)


def changed(inputs: PlanInputs, spec: PlanSpec, changes: Sequence[Change]) -> tuple[PlanInputs, PlanSpec]:
    """Inputs and specification after the changes; what was given stays as it is.

    Raises:
        BadInputError: a change meets no row, or a parameter is outside its limits.
    """
    for change in changes:
        if change.what in PARAMETERS:
            try:
                spec = replace(spec, **{change.what: change.value})
            except TypeError as error:
                raise BadInputError(f"{change.text()} has the wrong type", where="--set") from error
        elif change.what == "lost_supplier":
            inputs = _lose(inputs, str(change.value))
        elif change.what == "unit_cost":
            inputs = _cost(inputs, change)
        else:
            inputs = _scale(inputs, change)
    return inputs, spec


def _scale(inputs: PlanInputs, change: Change) -> PlanInputs:
    name, columns, who, is_factor = _FRAMES[change.what]
    frame = inputs.frame(name)
    mine = _rows(frame, who, change)
    new = [(pl.col(c) * float(change.value) if is_factor else pl.lit(float(change.value))) for c in columns]
    made = frame.with_columns(
        pl.when(mine).then(v).otherwise(pl.col(c)).alias(c) for c, v in zip(columns, new, strict=True)
    )
    changed: dict[str, Any] = {name: made}
    inputs = replace(inputs, **changed)
    if change.what == "lead_time":  # lanes without a forecast are planned as quoted
        lanes = inputs.frame("lanes")
        met = _named(("origin_id", "destination_id"), change)
        quoted = (
            pl.when(met).then(pl.col("quoted_lead_time_days") * float(change.value)).otherwise("quoted_lead_time_days")
        )
        inputs = replace(inputs, lanes=lanes.with_columns(quoted.alias("quoted_lead_time_days")))
    return inputs


def _named(columns: Sequence[str], change: Change) -> pl.Expr:
    return (
        pl.lit(True)
        if not change.who
        else pl.any_horizontal((pl.col(c) == change.who).fill_null(False) for c in columns)
    )


def _rows(frame: pl.DataFrame, columns: Sequence[str], change: Change) -> pl.Expr:
    """Rows a change holds for.

    Raises:
        BadInputError: there are none.
    """
    mine = _named(columns, change)
    if frame.filter(mine).is_empty():
        raise BadInputError(
            f"{change.text()} meets nothing that is known",
            where="--set",
            todo=f"after @ write a {' or a '.join(columns)}",
        )
    return mine


def _cost(inputs: PlanInputs, change: Change) -> PlanInputs:
    items, sellers = inputs.frame("items"), inputs.frame("supplier_items")
    mine = _rows(items, ("item_id", "supplier_id"), change)
    value = pl.col("unit_cost_usd") * float(change.value)
    dearer = pl.when(mine).then(value).otherwise("unit_cost_usd").alias("unit_cost_usd")
    sold = (
        pl.when(_named(("item_id", "supplier_id"), change))
        .then(value)
        .otherwise("unit_cost_usd")
        .alias("unit_cost_usd")
    )
    return replace(inputs, items=items.with_columns(dearer), supplier_items=sellers.with_columns(sold))


def _lose(inputs: PlanInputs, supplier: str) -> PlanInputs:
    """A supplier struck out: no lane, no lead time, no item of it; second sources step in where there are."""
    items = inputs.frame("items")
    if items.filter(supplier_id=supplier).is_empty() and inputs.frame("lanes").filter(origin_id=supplier).is_empty():
        raise BadInputError(f"there is no supplier '{supplier}'", where="--set lost_supplier")
    kept = pl.when(pl.col("supplier_id") == supplier).then(None).otherwise("supplier_id").alias("supplier_id")
    return replace(
        inputs, items=items.with_columns(kept), lanes=inputs.frame("lanes").filter(pl.col("origin_id") != supplier),
        lead_times=inputs.frame("lead_times").filter(pl.col("source_id") != supplier),
        supplier_items=inputs.frame("supplier_items").filter(pl.col("supplier_id") != supplier),
    )  # fmt: skip


FIGURES = ("lines", "units_ea", "order_cost_usd", "money_at_stake_usd", "undecided")


def figures(decisions: pl.DataFrame) -> dict[str, float]:
    """What a night's decisions come to: `FIGURES`."""
    made = decisions.filter(pl.col("decision_code") != "none")
    undecided = decisions.filter(pl.col("reason").str.starts_with("Nothing can be decided")).height
    return {
        "lines": made.height, "units_ea": round(float(made["quantity_ea"].sum()), 4),
        "order_cost_usd": round(float(made["order_cost_usd"].sum()), 2),
        "money_at_stake_usd": round(float(made["money_at_stake_usd"].sum()), 2), "undecided": undecided,
    }  # fmt: skip


def differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Decisions that are not the same, the largest change of money first.

    Grain: one item, site, decision and source. Units: eaches, USD. Rows: key, quantity and cost before and after (0 where there
    is none), reason after (before, where it is gone).
    """
    key = ["item_id", "site_id", "decision_code", "source_id"]

    def summed(frame: pl.DataFrame, side: str) -> pl.DataFrame:
        made = frame.filter(pl.col("decision_code") != "none")
        return made.group_by(key).agg(
            pl.col("quantity_ea").sum().alias(f"quantity_ea_{side}"), pl.col("order_cost_usd").sum().alias(f"order_cost_usd_{side}"),
            pl.col("reason").first().alias(f"reason_{side}"),
        )  # fmt: skip

    both = summed(before, "before").join(summed(after, "after"), on=key, how="full", coalesce=True, nulls_equal=True)
    numbers = [f"{c}_{s}" for c in ("quantity_ea", "order_cost_usd") for s in ("before", "after")]
    gap = (pl.col("order_cost_usd_after") - pl.col("order_cost_usd_before")).abs()
    return (
        both.with_columns(pl.col(numbers).fill_null(0.0), pl.coalesce("reason_after", "reason_before").alias("reason"))
        .filter((pl.col("quantity_ea_after") - pl.col("quantity_ea_before")).abs() > 1e-9)
        .sort(gap, *key, descending=[True, False, False, False, False])
        .select(*key, *numbers, "reason")
    )  # fmt: skip
