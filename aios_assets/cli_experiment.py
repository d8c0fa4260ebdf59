"""`aios experiment`: run one YAML on pinned Delta versions, see it in MLflow beside the champion, and get the same figures again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors
from aios_assets.contracts.errors import BadInputError

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake
    from aios_assets.settings import Settings
    from ml.experiment import Experiment
    from ml.tracking import Tracking
    from ml.training import TrainedModel

app = typer.Typer(no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
TABLES = (
    "feat_item_site__demand",
    "feat_item__attributes",
    "fct_demand_daily",
    "raw_master__promotions",
    "raw_master__holidays",
)
HEADLINE = ("pinball.", "coverage80_frac.", "wape_frac.", "bias_frac.")


@app.command("run")
@handle_errors
def run(
    file: Annotated[Path, typer.Argument(help="experiment in YAML (see docs/forecasting.md)")],
    register: Annotated[
        bool,
        typer.Option(
            "--register",
            help="register the model under the alias challenger, judged by the first gates; nothing is promoted",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train as the file says on the lake's present versions and record everything in MLflow."""
    from ml.experiment import parse

    if not file.is_file():
        raise BadInputError("there is no such file", where=str(file))
    experiment = parse(file.read_text(encoding="utf-8"), str(file))
    settings, lake, tracking = _open()
    versions = {name: lake.version(name) for name in TABLES}
    trained = _train(experiment, settings, lake, versions)
    run_id = _record(experiment, trained, versions, tracking)
    judged = _register(experiment, trained, versions, run_id, lake) if register else {}
    emit(
        {"run_id": run_id, "digest": trained.digest, "data_versions": versions, **judged, **_headline(trained.metrics)},
        as_json,
    )


@app.command("reproduce")
@handle_errors
def reproduce(
    run_id: Annotated[str, typer.Argument(help="MLflow run of an experiment")], as_json: Json = False
) -> None:
    """Train again from the recorded YAML and Delta versions; exit 1 when any metric differs."""
    from ml.experiment import differences, parse

    settings, lake, tracking = _open()
    record = tracking.run(run_id)
    text = tracking.run_file(run_id, "experiment.yaml").decode()
    versions = json.loads(tracking.run_file(run_id, "data_versions.json"))
    trained = _train(parse(text, f"run {run_id}"), settings, lake, versions)
    differ = differences(record.metrics, {k: v for k, v in trained.metrics.items() if k in record.metrics or v == v})
    same_bytes = record.tags.get("sha256") == trained.digest
    emit(
        {
            "run_id": run_id,
            "identical": not differ,
            "same_model_bytes": same_bytes,
            "metrics": len(record.metrics),
            "differences": differ,
        },
        as_json,
    )
    if differ:
        raise typer.Exit(1)


def _open() -> tuple[Settings, Lake, Tracking]:
    from aios_assets.cli import settings
    from aios_assets.resources.lake import Lake
    from ml.tracking import Tracking

    conf = settings()
    return conf, Lake(conf.lake_root), Tracking(conf.tracking_uri, conf.at_home("mlflow", "artifacts"))


def _train(experiment: Experiment, settings: Settings, lake: Lake, versions: dict[str, int]) -> TrainedModel:
    """Read the pinned versions and train; the values are those that Feast serves for the same origins."""
    import polars as pl

    from aios_assets.resources.as_known import known_at
    from aios_assets.resources.clock import business_cutoff
    from ml.datasets import Covariates
    from ml.training import train_demand

    cutoff = business_cutoff(experiment.as_of, settings.business_tz, settings.cutoff)
    features = lake.read(
        "feat_item_site__demand",
        where=pl.col("feature_date").is_in(experiment.origins()),
        version=versions["feat_item_site__demand"],
    )
    if features.height == 0:
        raise BadInputError(
            "the lake has no features at these origins",
            where=f"as_of {experiment.as_of}",
            todo="run the nights first, or change as_of",
        )
    labels = lake.read("fct_demand_daily", where=known_at(cutoff), version=versions["fct_demand_daily"])
    labels = labels.select(
        "item_id",
        "site_id",
        "demand_date",
        "sales_qty_ea",
        *[c for c in ("is_stockout", "is_suspect") if c in labels.columns],
    )
    covariates = Covariates(
        _stated(lake, "raw_master__promotions", versions, cutoff),
        _stated(lake, "raw_master__holidays", versions, cutoff),
    )
    joined = _with_category(features, lake, versions)
    return train_demand(joined, labels, covariates, experiment.spec, experiment.seed, as_of=experiment.as_of)


def _with_category(features: Any, lake: Lake, versions: dict[str, int]) -> Any:
    if versions["feat_item__attributes"] < 0:
        return features
    items = lake.read(
        "feat_item__attributes",
        columns=["item_id", "category_code", "available_at_utc"],
        version=versions["feat_item__attributes"],
    )
    return features.sort("available_at_utc", "item_id").join_asof(
        items.sort("available_at_utc", "item_id"),
        on="available_at_utc",
        by="item_id",
        strategy="backward",
        check_sortedness=False,  # polars cannot tell within groups, and says so; both are sorted here
    )


def _stated(lake: Lake, name: str, versions: dict[str, int], cutoff: Any) -> Any:
    """Every statement of a master table known at the cut-off, with the stretch in which it stood."""
    import polars as pl

    from aios_assets.contracts.registry import TABLES as CONTRACTS
    from aios_assets.marts.versions import statements

    if versions[name] < 0:
        return CONTRACTS[name].empty()
    keys = [k for k in CONTRACTS[name].key if k not in ("available_at_utc", "document_id")]
    rows = lake.read(name, where=pl.col("available_at_utc") <= cutoff, version=versions[name])
    return statements(rows, keys)


def _register(
    experiment: Experiment, trained: TrainedModel, versions: dict[str, int], run_id: str, lake: Lake
) -> dict[str, str]:
    """Register the model below its experiment's run and let the first gates judge it; a person promotes it, or nobody.

    Returns:
        version, and what the gates decided and why.
    """
    from dataclasses import replace
    from datetime import date

    from aios_assets.assets.glue_promotion import judge_registered
    from aios_assets.cli import settings
    from aios_assets.cli_model import instant_of_change
    from aios_assets.night import only_one
    from aios_assets.nights import newest_night
    from aios_assets.resources.handles import world_of

    def recipe(since: date) -> TrainedModel:
        return _train(replace(experiment, as_of=since), conf, lake, versions)

    conf = settings()
    try:
        day = newest_night(conf)
    except BadInputError:  # a lake that was filled without nights
        day = experiment.as_of
    with only_one(conf):
        world = world_of(conf)
        ref = world.tracking.log_training(
            trained,
            data_versions=versions,
            as_of=experiment.as_of,
            reason=f"experiment {experiment.name}",
            run_name=f"{experiment.name}, registered",
            parent_run_id=run_id,
        )
        world.tracking.set_alias(ref.name, "challenger", ref.version)
        instant = instant_of_change(world.lake.read("mon_deployments"), ref.name)
        return {"version": ref.version, "gates": judge_registered(world, day, trained, ref, instant, recipe)}


def _record(experiment: Experiment, trained: TrainedModel, versions: dict[str, int], tracking: Tracking) -> str:
    from ml.tracking import DIGEST_TAG, flat, source_hash

    files = {
        "experiment.yaml": experiment.text.encode(), "data_versions.json": json.dumps(versions, sort_keys=True).encode(),
        "model_card.md": trained.card.encode(), "metrics.csv": trained.table.write_csv().encode(),
        **{f"plots/{name}.png": png for name, png in trained.plots.items()},
    }  # fmt: skip
    tags = {
        "kind": "experiment",
        DIGEST_TAG: trained.digest,
        "code_version": source_hash(),
        **{f"delta.{k}": str(v) for k, v in versions.items()},
    }
    return tracking.log_run(experiment.name, flat(trained.params), trained.metrics, files, tags)


def _headline(metrics: dict[str, float]) -> dict[str, float]:
    return {k: v for k, v in metrics.items() if k.startswith(HEADLINE) and k.count(".") == 1}
