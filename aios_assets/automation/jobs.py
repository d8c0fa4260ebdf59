"""The jobs: the whole night, and training alone."""

from __future__ import annotations

from dagster import AssetSelection, define_asset_job, in_process_executor

from aios_assets.automation.partitions import DAILY

# One process for the whole night: a process per step costs 3.5 s of imports each (measured), and the work is seconds.
nightly = define_asset_job(
    "nightly",
    selection=AssetSelection.all(),
    partitions_def=DAILY,
    executor_def=in_process_executor,
    description="Raw EDI in, recommendations out: every stage for one business day, or for a stretch of days at once.",
    tags={"aios/job": "nightly"},
)
retrain = define_asset_job(
    "retrain",
    selection=AssetSelection.assets(
        "model_demand",
        "model_lead_time",
        "mon_backtest_scores",
        "mon_cost_trials",
        "mon_policy_tunings",
        "mon_promotion_verdicts",
        "mon_canary_units",
        "mon_deployments",
    ),
    partitions_def=DAILY,
    executor_def=in_process_executor,
    description="Train and judge a challenger now.",
    tags={"aios/job": "retrain"},
)
# Whole stages and their checks: a part of the dbt models would be built in a mode of its own, from the beginning each time.
decide = define_asset_job(
    "decide",
    selection=AssetSelection.groups(
        "s1_ingest", "s2_curate", "s3_features", "s4_train", "s5_promote", "s6_score", "s7_recommend"
    ),
    partitions_def=DAILY,
    executor_def=in_process_executor,
    description="All stages up to the recommendations, without monitoring and reports: for playing many nights in the sandbox.",
    tags={"aios/job": "decide"},
)
