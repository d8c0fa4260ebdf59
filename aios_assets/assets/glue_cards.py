"""Model card and data sheet of every version: made when it is registered, made again when gates have judged it.

From: what training measured, the tables it read, the findings of its window, the stored verdicts. Form: Markdown and HTML in the
version's MLflow run below `cards/`, linked by tags of the version, and at a stable path below `reports/models/`.
"""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from aios_assets.contracts.gates import GateDecision
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.handles import World

SECTIONS_FILE = "cards/sections.json"
METRICS = ("rows", "pinball", "wape", "bias", "coverage80", "crps")


def demand_papers(world: World, trained: Any, day: date) -> dict[str, Any]:
    """Sections of a demand version's papers, complete; `card` and `sheet` by name.

    Raises:
        RefusedError: a section is missing.
    """
    measured = trained.table if trained.table.height else None
    unmeasured = (
        "Not measured: the history is too short to hold rows out; the version is judged on nothing and refused."
    )
    card = {
        "Purpose": "Daily demand per item and site, 1 to 28 days ahead, as a mean and seven quantiles; orders are decided on them.",
        "Artefact": {"SHA-256": trained.digest, "bytes": len(trained.artifact), "form": "JSON with LightGBM's own text; no code",
                     "integrity": "signed manifest, checked before a byte is parsed; loaded in a child process first"},
        "Data": {"last business day learned from": day.isoformat(), **{f"Delta version of {t}": v for t, v in world.data_versions().items()}},
        "Method": f"Global LightGBM, direct multi-horizon, Tweedie mean and expected spread; quantiles calibrated on held-out days per demand class and group of horizons. Seed {trained.seed}, {len(trained.feature_names)} features.",
        "Quality by demand class": _quality(measured, "demand_class") or unmeasured,
        "Quality by site size": _site_sizes(trained.backtest) or unmeasured,
        "Calibration": _calibration(trained.backtest) or unmeasured,
        "Limits": "Promotions and holidays count only as announced by the origin. A regime that changed after the last training day is seen through lags only. Quantiles are calibrated per class, not per series.",
        "Fallback": "Seasonal naive by weekday answers where this version cannot be loaded or gives values that are not finite; the row says so.",
    }  # fmt: skip
    figures = {str(k): v if isinstance(v, str | int | float) else json.dumps(v, sort_keys=True, default=str) for k, v in trained.figures.items()}  # fmt: skip
    sheet = _sheet(world, day, world.training_days) | {
        "Rows": figures or "None were counted.",
        "Missing and censored": {"bias correction for days sold out, by class": json.dumps(trained.figures.get("bias_correction", {}), sort_keys=True, default=str), "days sold out": "their sales are lower bounds: set aside as labels, their bias is given back per class",
                                 "unknown values": "stay missing; nothing is filled"},
    }  # fmt: skip
    return _checked({"card": card, "sheet": sheet})


def lead_time_papers(world: World, trained: Any, day: date) -> dict[str, Any]:
    """Sections of a lead-time version's papers."""
    scores = [{"side": k.removeprefix("pinball."), "pinball loss, days": v} for k, v in sorted(trained.metrics.items())]
    one = "Lead times are judged over all lanes; a lane has too few orders for classes."
    card = {
        "Purpose": "Days from order to receipt per lane, and the arrival of every open order line.",
        "Artefact": {"SHA-256": trained.digest, "bytes": len(trained.artifact), "form": "JSON; no code", "integrity": "signed manifest, checked before a byte is parsed"},
        "Data": {"last business day learned from": day.isoformat(), "Delta version of fct_order_events": world.lake.version("fct_order_events")},
        "Method": "Kaplan-Meier per lane with open orders as censored rows, small lanes shrunk to their source.",
        "Quality by demand class": scores or one,
        "Quality by site size": one,
        "Calibration": "Quantiles of the estimated distribution itself; its pinball loss above is measured on orders held out in time.",
        "Limits": "A lane whose carrier changed answers as before until orders with the new one have arrived or are overdue.",
        "Fallback": "Fitted anew on what is known that night; the rows say so.",
    }  # fmt: skip
    sheet = _sheet(world, day, 365) | {
        "Rows": {k: v for k, v in trained.params.items() if isinstance(v, str | int | float)},
        "Missing and censored": "Orders still open are censored rows, not left out.",
    }
    return _checked({"card": card, "sheet": sheet})


def policy_papers(world: World, values: dict[str, Any], day: date, reason: str) -> dict[str, Any]:
    """Sections of a policy version's papers."""
    from planning.inputs import PlanSpec

    usual = {name: getattr(PlanSpec(), name) for name in values}
    changed = [{"parameter": k, "value": v, "default": usual[k]} for k, v in sorted(values.items())]
    text = "A policy forecasts nothing; its cost on the network's own weeks is its quality."
    card = {
        "Purpose": f"Planning parameters: how forecasts become orders. Proposed because: {reason}",
        "Artefact": {"form": "JSON of planning parameters; no code", "integrity": "signed manifest, checked before a byte is parsed"},
        "Data": {"newest night when it was proposed": day.isoformat()},
        "Method": changed, "Quality by demand class": text, "Quality by site size": text, "Calibration": text,
        "Limits": "Played on each item and site by itself; transfers and shared stock of a centre show in shadow and canary only.",
        "Fallback": "The parameters shipped in planning/policy.yaml.",
    }  # fmt: skip
    sheet = _sheet(world, day, 365) | {
        "Rows": "None: it does not learn.",
        "Missing and censored": "Nothing is learned.",
    }
    return _checked({"card": card, "sheet": sheet})


def _sheet(world: World, day: date, days: int) -> dict[str, Any]:
    names = ("fct_demand_daily", "fct_order_events", "feat_item_site__demand", "feat_item__attributes")
    since = day - timedelta(days=days)
    faults = world.lake.read(
        "mon_findings",
        columns=["kind_code", "finding_date"],
        where=pl.col("finding_date").is_between(since, day) & (pl.col("available_at_utc") < world.cutoff(day)),
    )
    counted = faults["kind_code"].value_counts(sort=True, name="findings").sort("kind_code").to_dicts()
    return {
        "Sources": [{"table": n, "grain": TABLES[n].grain, "owner": TABLES[n].owner, "source": TABLES[n].source} for n in names],
        "Versions": {n: f"Delta version {world.lake.version(n)}" for n in names},
        "Windows": {"from": since.isoformat(), "to": day.isoformat(), "known by": world.cutoff(day).isoformat()},
        "Known faults": counted or "No fault of these days was known on the night before.",
        "Privacy": "Quantities, prices and times of items, sites and suppliers; no data of persons.",
    }  # fmt: skip


def _checked(papers: dict[str, Any]) -> dict[str, Any]:
    """The same papers, once both were rendered without a gap."""
    render(papers, "model", "0", [])
    return papers


def render(papers: dict[str, Any], model: str, version: str, decisions: list[GateDecision]) -> dict[str, bytes]:
    """Both papers in both forms, by path below the run.

    Raises:
        RefusedError: a section is missing.
    """
    from ml.promotion.cards import data_sheet, model_card

    gates = (
        {} if decisions else {"Gates": "Not judged yet: it must pass quality, cost, shadow nights and canary first."}
    )
    card = model_card(model, version, papers["card"] | gates, decisions)
    sheet = data_sheet(model, version, papers["sheet"])
    return {
        "cards/model_card.md": card.markdown.encode(), "cards/model_card.html": card.html.encode(),
        "cards/data_sheet.md": sheet.markdown.encode(), "cards/data_sheet.html": sheet.html.encode(),
    }  # fmt: skip


def file_papers(world: World, ref: Any, papers: dict[str, Any], decisions: list[GateDecision]) -> dict[str, Path]:
    """Store the papers of a version in its MLflow run and at their stable path; returns the pages by name."""
    files = render(papers, ref.name, ref.version, decisions)
    folder = Path(world.home) / "reports" / "models" / ref.name / f"v{ref.version}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / Path(name).name).write_bytes(data)
    stored = json.dumps(papers, default=str).encode()
    tags = {"model_card": "cards/model_card.html", "data_sheet": "cards/data_sheet.html", "gates": said_of(decisions)}
    world.tracking.attach(ref, {**files, SECTIONS_FILE: stored}, tags)
    return {
        f"{n} {ref.name} v{ref.version}": folder / f"{n.replace(' ', '_')}.html" for n in ("model card", "data sheet")
    }


def said_of(decisions: list[GateDecision]) -> str:
    """What the gates found so far, in one line for the registry's page; the reasons stand on the model card.

    >>> said_of([])
    'not judged yet'
    """
    if not decisions:
        return "not judged yet"
    day = max(d.verdict_date for d in decisions)
    failed = sorted(d.gate_code for d in decisions if not d.is_passed)
    passed = f"{len(decisions) - len(failed)} of {len(decisions)} gates passed by {day}"
    return f"{passed}; failed: {', '.join(failed)}" if failed else passed


def cards_after(world: World, judged: Any) -> dict[str, Path]:
    """Make the papers of every version judged tonight again, now with the newest verdict of every gate so far.

    Args:
        world: handles.
        judged: what the night's judging added (`glue_promotion.Judged`).
    """
    pages: dict[str, Path] = {}
    for subject in sorted(judged.decisions):
        name, version = subject.split(":")
        ref = world.tracking.get_version(name, version)
        if "model_card" not in world.tracking.version_tags(ref):
            continue
        papers = json.loads(world.tracking.run_file(ref.run_id, SECTIONS_FILE))
        pages |= file_papers(world, ref, papers, verdicts_of(world, subject))
    return pages


def verdicts_of(world: World, subject: str) -> list[GateDecision]:
    """Newest stored verdict of every gate on a version."""
    rows = world.lake.read("mon_promotion_verdicts", where=pl.col("subject") == subject).sort("verdict_date")
    newest = rows.unique(["gate_code"], keep="last", maintain_order=True).sort("gate_code")
    return [
        GateDecision(r["verdict_date"], r["gate_code"], subject, r["is_passed"], r["metric"], r["value"], r["threshold"], r["reason"])
        for r in newest.iter_rows(named=True)
    ]  # fmt: skip


def _quality(table: pl.DataFrame | None, by: str) -> list[dict[str, Any]]:
    if table is None:
        return []
    part = table.filter(pl.col("by").is_in(["all", by])).sort("segment", "model")
    shown = [c for c in part.columns if c in ("segment", "model") or any(c.startswith(m) for m in METRICS)]
    return part.select("segment", "model", *[c for c in shown if c not in ("segment", "model")]).to_dicts()


def _losses(backtest: pl.DataFrame) -> pl.DataFrame:
    from ml.promotion.judge import QUANTILE_COLUMNS

    y = pl.col("actual_ea")
    loss = [pl.max_horizontal(q * (y - pl.col(c)), (q - 1) * (y - pl.col(c))) for q, c in QUANTILE_COLUMNS.items()]
    return backtest.with_columns(pl.mean_horizontal(loss).alias("loss"))


def _site_sizes(backtest: pl.DataFrame) -> list[dict[str, Any]]:
    """Pinball loss of the version and of seasonal naive at small, middle and large sites, by what they sold."""
    if backtest.is_empty():
        return []
    size = backtest.filter(pl.col("role") == "naive").group_by("site_id").agg(pl.col("actual_ea").sum().alias("sold"))
    third = (pl.col("sold").rank("ordinal") - 1) * 3 // pl.len()
    names = size.sort("sold", "site_id").with_columns(
        third.replace_strict({0: "small", 1: "middle", 2: "large"}, default="large").alias("sites")
    )
    rows = _losses(backtest).join(names.select("site_id", "sites"), on="site_id")
    out = rows.group_by("sites", "role").agg(pl.len().alias("days"), pl.col("loss").mean().alias("pinball, ea"))
    return out.with_columns(pl.col("pinball, ea").round_sig_figs(6)).sort("sites", "role").to_dicts()


def _calibration(backtest: pl.DataFrame) -> list[dict[str, Any]]:
    """Share of held-out days inside p10 to p90 and below the median, by class."""
    if backtest.is_empty():
        return []
    y = pl.col("actual_ea")
    rows = backtest.filter(pl.col("role") == "challenger").group_by("demand_class").agg(
        pl.len().alias("days"),
        y.is_between(pl.col("demand_qty_ea_p10"), pl.col("demand_qty_ea_p90")).mean().round_sig_figs(6).alias("inside p10 to p90 (promised 0.80)"),
        (y <= pl.col("demand_qty_ea_p50")).mean().round_sig_figs(6).alias("at or below p50 (promised 0.50)"),
    )  # fmt: skip
    return rows.sort("demand_class").to_dicts()
