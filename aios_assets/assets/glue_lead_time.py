"""Lead times of a night: which model answers, for which lanes and open orders."""

from datetime import date
from typing import Any

import polars as pl

from aios_assets.resources import as_known
from aios_assets.resources.handles import World

MODEL = "lead_time"


def lead_time_rows(world: World, day: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `pred_lead_time__lane` and `pred_order__arrival` for one day.

    The champion live at the cut-off answers; where there is none, or it fails its hash, the distribution is fitted on what is
    known that night and the rows say so. Nothing was ever received: no rows, and planning names what is missing.
    """
    from aios_assets.contracts.errors import AiosError
    from ml.lead_time import fit_lead_times, predict_lanes, predict_open_orders

    cutoff = world.cutoff(day)
    orders = as_known.orders_as_known(world.lake, cutoff, include_closed=True)
    try:
        model, naming = _champion(world, day)
    except AiosError as why:
        try:
            model = fit_lead_times(orders, day)
        except AiosError:
            return _none()
        naming = {"fallback_reason": str(why)}
    lanes = orders.select("source_id", "site_id").drop_nulls().unique()
    named = pl.col("source_id").is_not_null() & pl.col("site_id").is_not_null()
    open_lines = orders.filter((pl.col("open_qty_ea") > 0) & named)
    return (
        predict_lanes(model, lanes, origin_date=day, available_at_utc=cutoff, **naming),
        predict_open_orders(model, open_lines, day, available_at_utc=cutoff),
    )


def _champion(world: World, day: date) -> tuple[Any, dict[str, Any]]:
    from ml.lead_time import LeadTimeModel

    live = world.deployment(MODEL, day)
    model = LeadTimeModel.from_bytes(world.artifact(live), live["model_digest"])
    naming = {key: live[key] for key in ("model_name", "model_version", "model_digest")}
    return model, naming


def _none() -> tuple[pl.DataFrame, pl.DataFrame]:
    from aios_assets.contracts.decision_tables import PRED_LEAD_TIME_LANE, PRED_ORDER_ARRIVAL

    return PRED_LEAD_TIME_LANE.empty(), PRED_ORDER_ARRIVAL.empty()
