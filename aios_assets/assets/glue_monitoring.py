"""What monitoring looks at in a night: matured forecasts, gates, the request to retrain, the pages."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from aios_assets.assets.glue_drift import (
    CURRENT_DAYS,
    FEATURES,
    WATCHED,
    keep,
    reference_sample,
    subjects,
    watched_rows,
)
from aios_assets.assets.glue_scoring import sales_reports
from aios_assets.contracts.decision_tables import MON_RETRAIN_REQUESTS
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

QUALITY_DAYS = 28
BASELINE_DAYS = 70
FINDINGS_A_NIGHT = 15


def current_demand(world: World, day: date, days: int) -> pl.DataFrame:
    """Demand of the last days as known at the cut-off of `day`, one version per item, site and day."""
    return as_known.demand_as_known(world.lake, day - timedelta(days=days), day, world.cutoff(day))


def quality_rows(world: World, day: date) -> pl.DataFrame:
    """Rows of `mon_forecast_quality`: forecasts that matured within the last weeks beside seasonal naive."""
    from monitoring.quality import forecast_quality

    since = day - timedelta(days=QUALITY_DAYS)
    forecasts = world.lake.read("pred_demand__28d", where=pl.col("origin_date").is_between(since, day))
    return forecast_quality(
        forecasts,
        current_demand(world, day, QUALITY_DAYS + BASELINE_DAYS),
        quality_date=day,
        available_at_utc=world.cutoff(day),
        window_days=QUALITY_DAYS,
    )


def gate_rows(world: World, day: date) -> pl.DataFrame:
    """Rows of `mon_gate_verdicts` of one day: forecast quality, drift, freshness of labels, age of the champion, data quality."""
    from aios_assets.contracts.gates import verdict_frame
    from monitoring.gates import champion_age, data_quality, label_delay, load_thresholds, quality_gates

    limits = load_thresholds()
    quality = world.lake.read("mon_forecast_quality", where=pl.col("quality_date") == day)
    drift = world.lake.read("mon_drift", where=pl.col("drift_date") == day)
    name = _judged_model(quality)
    newest = newest_actual(world, day)
    verdicts = [
        *quality_gates(
            quality, model_name=name, baseline_name="seasonal_naive", as_of=day, thresholds=limits, newest=newest
        ),
        *(
            limits.judge("drift_night", drifted_columns(drift, s.name, day), subject=s.name, as_of=day)
            for s in subjects()
        ),
        label_delay(newest, as_of=day, thresholds=limits),
        champion_age(
            _trained_on(world, day), version=world.champion_label("demand", day), as_of=day, thresholds=limits
        ),
        data_quality(world.blocking_faults(day), world.blocking_checks, as_of=day, thresholds=limits),
    ]
    return verdict_frame(verdicts, available_at_utc=world.cutoff(day))


def newest_actual(world: World, day: date) -> date | None:
    """Newest day of the quality window whose demand is known; None when none of it is.

    Where all sites report whole weeks, the running week is no delay: the days up to its end count as known.
    """
    from planning.unreported import WEEK, week_ends

    for days in (CURRENT_DAYS, QUALITY_DAYS):
        newest = current_demand(world, day, days)["demand_date"].max()
        if isinstance(newest, date):
            reports = sales_reports(world, day)
            running = WEEK - 1 if set(reports["site_id"]) <= set(week_ends(reports, day)) else 0
            return min(day, newest + timedelta(days=running))
    return None


def drifted_columns(drift: pl.DataFrame, subject: str, day: date) -> Any:
    """Evidence of `drift_night`: how many columns of a subject drifted; None where nothing was measured."""
    from aios_assets.contracts.gates import Evidence

    mine = drift.filter(pl.col("subject") == subject)
    return (
        Evidence(float(mine.filter("is_drifted")["column_name"].n_unique()), mine.height, day) if mine.height else None
    )


def _judged_model(quality: pl.DataFrame) -> str:
    names = [n for n in quality["model_name"].unique().sort().to_list() if n != "seasonal_naive"]
    return names[0] if names else "demand"


def _trained_on(world: World, day: date) -> date | None:
    """When the champion of `day` was trained; where that was not recorded, when it first went live. A rollback makes no model young."""
    from aios_assets.contracts.errors import RefusedError

    try:
        version = world.deployment("demand", day)["model_version"]
    except RefusedError:
        return None
    mine = (pl.col("model_name") == "demand") & (pl.col("model_version") == version)
    trained = world.lake.read("mon_backtest_scores", columns=["trained_on_date"], where=mine)["trained_on_date"].min()
    if isinstance(trained, date):
        return trained
    live = world.lake.read("mon_deployments", where=mine & (pl.col("alias") == "champion"))["valid_from_utc"].min()
    return world.business_day_of(live) if isinstance(live, datetime) else None


def retrain_rows(world: World, days: list[date], verdicts: pl.DataFrame) -> pl.DataFrame:
    """Rows of `mon_retrain_requests` that these days add, oldest first: N of M nights, latched, with a cooldown."""
    added = MON_RETRAIN_REQUESTS.empty()
    for day in days:
        added = pl.concat([added, _retrain_row(world, day, verdicts, added)])
    return added


def _retrain_row(world: World, day: date, verdicts: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """The row that one day adds, or none; `earlier` holds what days before it in the same run asked for."""
    from monitoring.gates import load_thresholds
    from monitoring.retrain import decide_retrain

    limits = load_thresholds()
    stored = world.lake.read("mon_retrain_requests", where=pl.col("request_date") <= day)
    requests = pl.concat([stored, earlier]).unique("request_id", keep="first", maintain_order=True)
    # whether it was quiet since the last request is seen on the nights since then, however long ago
    last = requests.filter(pl.col("request_date") < day)["request_date"].max()
    first = day - timedelta(days=int(limits.retrain["window_nights"]))
    first = min(first, last) if isinstance(last, date) else first
    drift = world.lake.read("mon_drift", where=pl.col("drift_date").is_between(first, day))
    good = verdicts.filter((pl.col("verdict_date") == day) & (pl.col("gate_code") == "data_quality"))
    return decide_retrain(
        drift,
        requests,
        as_of=day,
        model_name="demand",
        data_quality_ok=bool(good["is_passed"].all()) if good.height else None,
        available_at_utc=world.cutoff(day),
        thresholds=limits,
    ).requests


def write_reports(world: World, day: date) -> dict[str, Path]:
    """Write the night's page and Evidently's drift report; returns their files by name.

    The newest night's page is also at `reports/night.html`, a path that never changes.
    """
    from ml.anomaly import rank_findings
    from monitoring.gates import load_thresholds
    from monitoring.nightly_page import nightly_page
    from monitoring.quality import calibration, matured
    from monitoring.reports import drift_report

    demand = current_demand(world, day, QUALITY_DAYS + BASELINE_DAYS)
    forecasts = world.lake.read(
        "pred_demand__28d", where=pl.col("target_date").is_between(day - timedelta(days=QUALITY_DAYS), day)
    )
    found = world.lake.read("mon_findings", where=pl.col("available_at_utc") == world.cutoff(day))
    worth, left = rank_findings([found], budget=FINDINGS_A_NIGHT)
    page = nightly_page(
        night=day,
        verdicts=night_verdicts(world, day),
        drift=world.lake.read("mon_drift", where=pl.col("drift_date") <= day),
        quality=world.lake.read("mon_forecast_quality", where=pl.col("quality_date") <= day),
        calibration=calibration(matured(forecasts, demand, quality_date=day)),
        kpis=night_kpis(world, day, demand) if demand.height else None,
        canary=canary_table(world, day),
        findings=worth,
        findings_left=left,
        notes=night_notes(world, day),
        currency_code=world.currency,
    )
    pages = {"night": world.report_path(day, "night.html"), "newest night": Path(world.home) / "reports" / "night.html"}
    pages["night"].write_text(page, encoding="utf-8")
    if not any(f.name > day.isoformat() for f in pages["newest night"].parent.glob("????-??-??")):
        pages["newest night"].write_text(page, encoding="utf-8")
    current = watched_rows(world, day - timedelta(days=CURRENT_DAYS - 1), day)
    reference = reference_sample(world, day)
    if current.height and reference.height:
        report = drift_report(
            reference, current, columns=WATCHED, thresholds=load_thresholds(), seed=world.seed,
            workspace=Path(world.home) / "evidently", title=FEATURES,
        )  # fmt: skip
        pages["drift"] = world.report_path(day, "drift.html")
        for name, script in report.scripts.items():
            shared = pages["newest night"].with_name(name)
            if not shared.exists():
                keep(shared, script)
        pages["drift"].write_bytes(report.html)
    return pages


def night_kpis(world: World, day: date, demand: pl.DataFrame) -> pl.DataFrame:
    """Business KPIs of the four weeks up to `day`, as known at its cut-off."""
    from aios_assets.assets.glue_canary import expedite_premiums
    from monitoring.kpis import business_kpis

    paid = expedite_premiums(world, day - timedelta(days=27), day)["expedite_cost_usd"].sum()
    items = as_known.items_as_known(world.lake, world.cutoff(day))
    return business_kpis(demand, kpi_date=day, items=items, expedite_cost_usd=float(paid))


def night_verdicts(world: World, day: date) -> pl.DataFrame:
    """Tonight's verdicts of monitoring and of the ladder."""
    names = ("mon_gate_verdicts", "mon_promotion_verdicts")
    columns = ["verdict_date", "gate_code", "subject", "is_passed", "value", "threshold", "reason"]
    return pl.concat([world.lake.read(n, columns=columns, where=pl.col("verdict_date") == day) for n in names])


def canary_table(world: World, day: date) -> pl.DataFrame | None:
    """Canary against control since the present share began, of every rollout that has one; None without any."""
    from aios_assets.assets.glue_canary import began_on, canary_service
    from aios_assets.assets.glue_rollout import SUBJECTS, live_row, rollout_code
    from aios_assets.contracts.errors import RefusedError
    from monitoring.kpis import sides_compared

    tables = []
    for model in SUBJECTS:
        row = live_row(world, model, "canary", day)
        if row is None or began_on(world, row) >= day:
            continue
        try:
            during, _ = canary_service(world, day, row)
        except RefusedError:
            continue
        share = f"{rollout_code(row)}, {row['share_frac']:.0%}"
        tables.append(sides_compared(during).select(pl.lit(share).alias("rollout"), pl.all()))
    return pl.concat(tables) if tables else None


def night_notes(world: World, day: date) -> list[str]:
    """In sentences: that no model is live, what changed tonight (deployments, requests to retrain), and what partners did not acknowledge."""
    from monitoring.gates import NO_CHAMPION

    cutoff = world.cutoff(day)
    since = world.cutoff(day - timedelta(days=1))
    rows = world.lake.read(
        "mon_deployments", where=(pl.col("valid_from_utc") > since) & (pl.col("valid_from_utc") <= cutoff)
    ).sort("valid_from_utc", "model_name", "alias", "model_version")
    notes = [
        f"{r['verdict'].capitalize()}: {r['model_name']} {r['model_version']} as {r['alias']}, {r['share_frac']:.0%} of item × site. {r['reason']}"
        for r in rows.iter_rows(named=True)
    ]
    asked = world.lake.read("mon_retrain_requests", where=pl.col("request_date") == day).sort("request_id")
    lacking = [NO_CHAMPION] if world.champion_label("demand", day) == "none" else []
    return (
        lacking
        + notes
        + [f"Retraining was asked for: {r['model_name']}, {r['reason']}" for r in asked.iter_rows(named=True)]
        + acknowledgement_notes(world, day)
    )


def acknowledgement_notes(world: World, day: date) -> list[str]:
    """In a sentence: what we sent that was refused or is overdue; nothing where all is well or it cannot be told who we are."""
    from aios_assets.acknowledgements import acknowledgement_states, count_states
    from aios_assets.contracts.errors import UsageError

    try:
        counts = count_states(acknowledgement_states(world.lake, world.cutoff(day), world.own_ids))
    except UsageError:
        return []
    if not counts["overdue"] + counts["rejected"]:
        return []
    return [
        f"Of what we sent, {counts['overdue']:,} is not acknowledged after a day and {counts['rejected']:,} was refused: `aios edi acks` "
        "lists it, `aios edi orders` the orders of which the two sides do not say the same."
    ]
