"""Shadow nights: the challenger forecasts and plans beside the champion, nothing of it is carried out, and how far it strays is judged."""

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl

from aios_assets.assets.glue_rollout import DEMAND, SUBJECTS, champion_policy, live_row, policy_of, rollout_code
from aios_assets.assets.glue_scoring import deployed, series_to_score
from aios_assets.contracts.decision_tables import PRED_DEMAND_SHADOW, REC_DECISIONS_SHADOW
from aios_assets.contracts.errors import AiosError
from aios_assets.contracts.gates import Evidence
from aios_assets.resources.handles import World

PLAN_COLUMNS = ["as_of_date", "item_id", "site_id", "source_id", "order_cost_usd"]


def shadow_night(world: World, day: date, plan_inputs: Any) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Rows of `pred_demand__shadow` and `rec_decisions__shadow` of one night, and what was said; none without a shadow.

    A challenger that cannot be loaded writes nothing: its rung then lacks the night's evidence.

    Args:
        world: handles.
        day: night.
        plan_inputs: callable from day to the inputs that the executed plan was made from.
    """
    forecasts, plans, said = [PRED_DEMAND_SHADOW.empty()], [REC_DECISIONS_SHADOW.empty()], []
    for model in SUBJECTS:
        row = live_row(world, model, "shadow", day)
        if row is None:
            continue
        try:
            rows, plan = _one(world, day, row, plan_inputs)
        except AiosError as why:
            said.append(f"{rollout_code(row)}: no shadow tonight, {why}")
            continue
        forecasts.append(rows)
        plans.append(plan)
        said.append(f"{rollout_code(row)}: {plan.filter(pl.col('quantity_ea') > 0).height} orders in shadow")
    return pl.concat(forecasts), pl.concat(plans), said


def _one(world: World, day: date, row: dict[str, Any], plan_inputs: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    from ml.scoring import score_demand
    from planning.recommend import recommend

    inputs, (spec, _) = plan_inputs(world, day), champion_policy(world, day)
    rows = PRED_DEMAND_SHADOW.empty()
    if row["model_name"] == DEMAND:
        asked = series_to_score(world, day)
        rows = score_demand(deployed(world, row), asked.features, asked.known)
        if rows.is_empty() or rows["is_fallback"].any():
            raise _no_forecast(rows)
        rows = rows.sort(PRED_DEMAND_SHADOW.key)
        inputs = replace(inputs, forecasts=rows)
    else:
        spec = policy_of(world, row)
    plan = recommend(inputs, day, spec, available_at_utc=world.cutoff(day))
    named = plan.with_columns(pl.lit(rollout_code(row)).alias("rollout_code")).select(REC_DECISIONS_SHADOW.names)
    return rows, named


def _no_forecast(rows: pl.DataFrame) -> AiosError:
    from aios_assets.contracts.errors import RefusedError

    why = rows["fallback_reason"].drop_nulls()
    return RefusedError(f"the challenger did not forecast: {why[0] if why.len() else 'there is nothing to forecast'}")


def shadow_evidence(world: World, day: date, row: dict[str, Any]) -> tuple[dict[str, Evidence], int]:
    """Evidence of the shadow nights before `day` by gate code, and how many nights there were.

    Args:
        world: handles.
        day: tonight; its own plans are made later in the night.
        row: the shadow's row of `mon_deployments`.
    """
    from ml.promotion.fairness import concentration_rise
    from ml.promotion.ladder import shadow_divergence

    nights = pl.col("as_of_date").is_between(world.business_day_of(row["valid_from_utc"]), day, closed="left")
    mine = nights & (pl.col("rollout_code") == rollout_code(row))
    shadow = world.lake.read("rec_decisions__shadow", columns=PLAN_COLUMNS, where=mine)
    carried_out = world.lake.read("rec_decisions", columns=PLAN_COLUMNS, where=nights)
    newest = shadow["as_of_date"].max()
    newest = newest if isinstance(newest, date) else None
    bought = [
        f.filter(pl.col("source_id").is_not_null() & (pl.col("order_cost_usd") > 0)) for f in (carried_out, shadow)
    ]
    evidence = {
        "shadow_divergence": shadow_divergence(carried_out, shadow, newest),
        "supplier_concentration": concentration_rise(bought[0], bought[1], newest),
    }
    return evidence, int(shadow["as_of_date"].n_unique())
