"""Which planning parameters decide on a night: the champion's, and for the units of a policy canary the challenger's."""

import json
from datetime import date
from typing import Any

import polars as pl

from aios_assets.assets.glue_rollout import POLICY, champion_policy, policy_of, rollout_code, split_by_canary
from aios_assets.contracts.errors import AiosError
from aios_assets.resources.handles import World

KEYS = ["item_id", "site_id"]


def decide_night(world: World, day: date, inputs: Any) -> tuple[pl.DataFrame, list[str]]:
    """Decisions of one night, and the names of the policies that made them.

    A canary whose specification cannot be used leaves its units to the champion's.
    """
    from planning.recommend import recommend

    spec, name = champion_policy(world, day)
    plan = naming(recommend(inputs, day, spec), name)
    canary, served = split_by_canary(world, POLICY, day, plan)
    if canary is None or not served.any():
        return plan, [name]
    try:
        other = naming(recommend(inputs, day, policy_of(world, canary)), rollout_code(canary))
    except AiosError:
        return plan, [name]
    return merge_plans(plan, other, plan.filter(served).select(KEYS).unique()), [name, rollout_code(canary)]


def naming(plan: pl.DataFrame, policy: str) -> pl.DataFrame:
    """The plan, every line of it naming the policy that decided it in `drivers_json`."""
    field = f'"policy":{json.dumps(policy)}}}'
    body = pl.col("drivers_json").str.strip_suffix("}")
    comma = pl.when(body == "{").then(pl.lit("")).otherwise(pl.lit(","))
    return plan.with_columns(pl.concat_str(body, comma, pl.lit(field)).alias("drivers_json"))


def merge_plans(plan: pl.DataFrame, other: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """The champion's plan with the lines of `units` taken from the challenger's.

    Each plan on its own promises a source no more than it has. Where both together would promise more of an item than either
    plan does alone, the canary's lines for that item and source stay the champion's.

    Args:
        plan: the champion's decisions of the night.
        other: the challenger's.
        units: `item_id, site_id` of the canary.
    """
    place = ["item_id", "source_id"]
    total = pl.col("quantity_ea").sum()
    mixed = pl.concat([plan.join(units, on=KEYS, how="anti"), other.join(units, on=KEYS, how="semi")])
    alone = pl.concat([f.drop_nulls("source_id").group_by(place).agg(total) for f in (plan, other)])
    most = alone.group_by(place).agg(pl.col("quantity_ea").max().alias("most_ea"))
    over = (
        mixed.drop_nulls("source_id").group_by(place).agg(total)
        .join(most, on=place).filter(pl.col("quantity_ea") > pl.col("most_ea") + 1e-9)
    )  # fmt: skip
    kept = units.join(over.select("item_id").unique(), on="item_id", how="anti")
    merged = pl.concat([plan.join(kept, on=KEYS, how="anti"), other.join(kept, on=KEYS, how="semi")])
    order = merged.sort(
        pl.col("decision_code") == "none", "money_at_stake_usd", "rec_id", descending=[False, True, False]
    )
    return order.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("rank_no"))
