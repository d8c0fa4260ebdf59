"""Contracts of what planning learns about its own parameters."""

from __future__ import annotations

from aios_assets.contracts.table import Column, Table

MON_POLICY_TUNINGS = Table(
    name="mon_policy_tunings",
    stage="s5_promote",
    grain="one demand class and ceiling of the critical ratio, played on the network's own weeks when a demand model was trained",
    key=("tuned_date", "demand_class", "alpha_max_frac"),
    columns=(
        Column("tuned_date", "date", "business day on which the ceilings were tuned"),
        Column("first_origin_date", "date", "first day at whose end was ordered; nothing later was known to the forecasts"),
        Column("demand_class", "str", "smooth, erratic, intermittent or lumpy"),
        Column("alpha_max_frac", "f64", "ceiling of the critical ratio that was played", unit="frac", low=0, high=1),
        Column("units", "i32", "item × site of the class that were played"),
        Column("cost_usd", "f64", "holding plus lost margin of these units and weeks", unit="usd", low=0),
        Column("saving_usd", "f64", "what the ceiling in force costs more, on the same demand", unit="usd"),
        Column("standard_error_usd", "f64", "standard error of the saving over the units", null_means="a single unit has none", unit="usd"),
        Column("is_now", "bool", "the ceiling in force"),
        Column("is_chosen", "bool", "the ceiling chosen"),
        Column("policy_version", "str", "policy version proposed to the ladder", null_means="nothing was proposed"),
        Column("available_at_utc", "ts", "cut-off of the business day: only what was known then went in"),
    ),
    event_clock="tuned_date",
    known_clock="available_at_utc",
    write="append",
    owner="planning",
    source="fct_demand_daily, the demand recipe trained before the weeks played, the policy in force",
)  # fmt: skip
PLANNING_TABLES: tuple[Table, ...] = (MON_POLICY_TUNINGS,)
