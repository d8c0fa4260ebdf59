"""What monitoring looks at in a night: matured forecasts, drift against pinned references, findings, gates."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from aios_assets.contracts.decision_tables import MON_DRIFT
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

CURRENT_DAYS = 3
REFERENCE_DAYS = 56
QUALITY_DAYS = 28
BASELINE_DAYS = 70
WATCHED = (
    "sales_qty_ea_lag_0",
    "sales_qty_ea_mean_7d",
    "sales_qty_ea_mean_28d",
    "zero_frac_28d",
    "in_stock_frac_28d",
    "days_since_sale",
    "price_rel_28d",
    "sales_vs_weekday_log",
)


def watched_rows(world: World, first: date, last: date) -> pl.DataFrame:
    """Feature rows of those days, with each day's sales against what is usual for the series on that weekday."""
    from monitoring.drift import with_surprise

    return with_surprise(world.feature_rows(first, last))


def current_demand(world: World, day: date, days: int) -> pl.DataFrame:
    """Demand of the last days as known at the cut-off of `day`, one version per item, site and day."""
    rows = as_known.demand_versions(world.lake, day - timedelta(days=days), day)
    return rows.filter(as_known.known_at(world.cutoff(day)))


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


def pinned_reference(world: World, day: date) -> list[Any]:
    """The feature window pinned when the live champion was trained; empty while there is no champion.

    A reference is a file named by the champion's version, written once, so that the yardstick never drifts along.
    """
    from monitoring.drift import Reference, build_reference

    name = world.champion_label("demand", day)
    if name == "none":
        return []
    path, rows = _pinned(world, name)
    if path.exists() and rows.exists():
        return [Reference.from_bytes(path.read_bytes())]
    window = _reference_window(world, day)
    if window.is_empty():
        return []
    reference = build_reference(
        window, subject="feat_item_site__demand", columns=WATCHED, date_column="feature_date", window_days=CURRENT_DAYS
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(reference.to_bytes())
    _shown(world, window).write_parquet(rows)
    return [Reference.from_bytes(path.read_bytes())]


def _pinned(world: World, name: str) -> tuple[Path, Path]:
    """Files of a pinned reference: what decides, and the sample of its rows that the report shows."""
    folder = Path(world.home) / "references"
    return folder / f"feat_item_site__demand__{name}.json", folder / f"feat_item_site__demand__{name}.parquet"


def _shown(world: World, window: pl.DataFrame) -> pl.DataFrame:
    from monitoring.reports import SAMPLE_ROWS, sample

    return sample(window.select(WATCHED), SAMPLE_ROWS, world.seed)


def reference_sample(world: World, day: date) -> pl.DataFrame:
    """Rows of the reference that the report shows: those pinned with the champion, or of the weeks before `day` without one."""
    name = world.champion_label("demand", day)
    if name != "none":
        rows = _pinned(world, name)[1]
        return pl.read_parquet(rows) if rows.exists() or pinned_reference(world, day) else pl.DataFrame()
    window = _reference_window(world, day)
    return _shown(world, window) if window.height else window


def drift_rows(world: World, day: date) -> pl.DataFrame:
    """Rows of `mon_drift`: this week's features against the window pinned with the champion."""
    from monitoring.drift import measure_drift
    from monitoring.gates import load_thresholds

    references = pinned_reference(world, day)
    current = watched_rows(world, day - timedelta(days=CURRENT_DAYS - 1), day)
    if not references or current.is_empty():
        return MON_DRIFT.empty()
    return measure_drift(
        references, current, drift_date=day, available_at_utc=world.cutoff(day), thresholds=load_thresholds()
    )


def gate_rows(world: World, day: date) -> pl.DataFrame:
    """Rows of `mon_gate_verdicts` of one day: forecast quality, drift, freshness of labels, age of the champion, data quality."""
    from aios_assets.contracts.gates import Evidence, verdict_frame
    from monitoring.gates import champion_age, data_quality, label_delay, load_thresholds, quality_gates

    limits = load_thresholds()
    quality = world.lake.read("mon_forecast_quality", where=pl.col("quality_date") == day)
    drift = world.lake.read("mon_drift", where=pl.col("drift_date") == day)
    name = _judged_model(quality)
    newest = current_demand(world, day, CURRENT_DAYS)["demand_date"].max()
    assert newest is None or isinstance(newest, date)
    drifted = (
        Evidence(float(drift.filter("is_drifted")["column_name"].n_unique()), drift.height, day)
        if drift.height
        else None
    )
    verdicts = [
        *quality_gates(
            quality, model_name=name, baseline_name="seasonal_naive", as_of=day, thresholds=limits, newest=newest
        ),
        limits.judge("drift_night", drifted, subject="feat_item_site__demand", as_of=day),
        label_delay(newest, as_of=day, thresholds=limits),
        champion_age(
            _trained_on(world, day), version=world.champion_label("demand", day), as_of=day, thresholds=limits
        ),
        data_quality(world.blocking_faults(day), world.blocking_checks, as_of=day, thresholds=limits),
    ]
    return verdict_frame(verdicts, available_at_utc=world.cutoff(day))


def _judged_model(quality: pl.DataFrame) -> str:
    names = [n for n in quality["model_name"].unique().sort().to_list() if n != "seasonal_naive"]
    return names[0] if names else "demand"


def _trained_on(world: World, day: date) -> date | None:
    from aios_assets.contracts.errors import RefusedError

    try:
        return world.champion_since("demand", day)
    except RefusedError:
        return None


def retrain_rows(world: World, day: date, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The row of `mon_retrain_requests` that this day adds, or none: N of M nights, latched, with a cooldown."""
    from monitoring.gates import load_thresholds
    from monitoring.retrain import decide_retrain

    limits = load_thresholds()
    window = int(limits.retrain["window_nights"])
    drift = world.lake.read("mon_drift", where=pl.col("drift_date").is_between(day - timedelta(days=window), day))
    requests = world.lake.read("mon_retrain_requests", where=pl.col("request_date") < day)
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
    from monitoring.gates import load_thresholds
    from monitoring.kpis import business_kpis
    from monitoring.nightly_page import nightly_page
    from monitoring.quality import calibration, matured
    from monitoring.reports import drift_report

    demand = current_demand(world, day, QUALITY_DAYS + BASELINE_DAYS)
    forecasts = world.lake.read(
        "pred_demand__28d", where=pl.col("target_date").is_between(day - timedelta(days=QUALITY_DAYS), day)
    )
    page = nightly_page(
        night=day,
        verdicts=night_verdicts(world, day),
        drift=world.lake.read("mon_drift", where=pl.col("drift_date") <= day),
        quality=world.lake.read("mon_forecast_quality", where=pl.col("quality_date") <= day),
        calibration=calibration(matured(forecasts, demand, quality_date=day)),
        kpis=business_kpis(demand, kpi_date=day, items=as_known.items_as_known(world.lake, world.cutoff(day)))
        if demand.height
        else None,
        canary=canary_table(world, day),
        findings=world.lake.read("mon_findings", where=pl.col("available_at_utc") == world.cutoff(day)).sort(
            "money_at_risk_usd", "finding_id", descending=[True, False], nulls_last=True
        ),
        notes=night_notes(world, day),
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
            workspace=Path(world.home) / "evidently", title="feat_item_site__demand",
        )  # fmt: skip
        pages["drift"] = world.report_path(day, "drift.html")
        pages["drift"].write_bytes(report.html)
    return pages


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
    """What changed tonight, in sentences: deployments and requests to retrain."""
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
    return notes + [f"Retraining was asked for: {r['model_name']}, {r['reason']}" for r in asked.iter_rows(named=True)]


def _reference_window(world: World, day: date) -> pl.DataFrame:
    from aios_assets.contracts.errors import RefusedError

    try:
        pinned_on = world.champion_since("demand", day)
    except RefusedError:
        pinned_on = day
    return watched_rows(world, pinned_on - timedelta(days=REFERENCE_DAYS), pinned_on)
