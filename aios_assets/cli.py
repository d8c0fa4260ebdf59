"""`aios`: every job and every page has a command-line twin, each with `--json`."""

from __future__ import annotations

import gc
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from aios_assets import (
    cli_edi,
    cli_edi_acks,
    cli_experiment,
    cli_forecast,
    cli_lake,
    cli_lead_times,
    cli_listen,
    cli_model,
    cli_plan,
    cli_sandbox,
    cli_whatif,
)
from aios_assets.cli_common import emit, handle_errors, note, parse_day
from aios_assets.contracts.errors import UsageError
from aios_assets.settings import Settings, quiet_libraries

SHOWN_LINES = 20
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An operating system for an automated supply chain: EDI and telemetry in, proven recommendations out.",
)
quarantine_app = typer.Typer(no_args_is_help=True, help="What was set aside: list it, look at it, release it.")
app.add_typer(quarantine_app, name="quarantine")
cli_edi_acks.mount(cli_edi.app)
app.add_typer(cli_edi.app, name="edi", help="Read, check, acknowledge, write and compare EDI documents.")
app.add_typer(cli_sandbox.app, name="sandbox", help="The synthetic trading network a fresh machine runs on.")
app.add_typer(cli_model.app, name="model", help="What is live, what was live, and why.")
app.add_typer(
    cli_experiment.app, name="experiment", help="Run an experiment from one file; reproduce one from its run."
)
app.add_typer(cli_whatif.app, name="whatif", help="Plan a night again with something changed, on a branch of the lake.")
cli_lake.mount(app)
cli_listen.mount(app)
app.command("forecast")(cli_forecast.forecast)
app.command("backtest")(cli_forecast.backtest)
app.command("lead-times")(cli_lead_times.lead_times)
cli_plan.mount(app)


def settings() -> Settings:
    """Settings from the environment.

    Raises:
        UsageError: a variable has a value that does not fit.
    """
    from pydantic import ValidationError

    quiet_libraries()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "AIOS_" + "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"setting {name} does not fit: {first['msg']}", todo=f"correct or unset {name}") from error


def _recommended(root: Path) -> Any:
    from aios_assets.closed_loop import recommended

    return recommended(settings())(root)


cli_sandbox.set_recommended(_recommended)


@app.command()
@handle_errors
def run(
    days: Annotated[int, typer.Option(min=0, help="sandbox only: play this many further nights")] = 0,
    day: Annotated[str, typer.Option(help="business day to run, YYYY-MM-DD; the newest closed one otherwise")] = "",
    force: Annotated[bool, typer.Option(help="run even if that night is complete")] = False,
    as_json: Json = False,
) -> None:
    """Run the nightly job: take documents, curate, forecast, recommend, monitor."""
    from aios_assets.night import prepare_home, run_night
    from aios_assets.nights import business_day, check_days, ensure_sandbox, play_one_more_day

    if days and day:
        raise UsageError("--days plays on from the newest day, --day asks for one", todo="leave one of them out")
    conf = settings()
    prepare_home(conf)
    ensure_sandbox(conf, say=_say)
    results = []
    if days and not conf.is_sandbox:
        raise UsageError("--days plays the sandbox, but AIOS_INBOX points to a folder", todo="leave --days out")
    if not days:
        asked = parse_day(day, "--day") if day else business_day(conf)
        check_days(conf, asked, asked)
        results.append(_one_night(run_night, conf, asked, force))
    for _ in range(days):
        play_one_more_day(conf, say=_say)
        results.append(_one_night(run_night, conf, business_day(conf), force))
    _report(conf, results, as_json)
    if not all(r.is_success for r in results):
        raise typer.Exit(1)


def _one_night(run_night: Any, conf: Settings, day: date, force: bool) -> Any:
    from aios_assets.nights import left_out

    if skipped := left_out(conf, day):
        first, last = skipped
        _say(
            f"No night was run from {first} to {last}: `aios backfill --from {first} --to {last}` makes what they would have told."
        )
    result = run_night(conf, day, day, force=force)
    if not result.run_id:
        _say(f"The night of {day} is complete and nothing new arrived: nothing was changed.")
    elif result.is_success and not result.changed_tables:
        _say(f"The night of {day} was run again: nothing changed.")
    return result


def _report(conf: Settings, results: list[Any], as_json: bool) -> None:
    from aios_assets.night import log_path
    from aios_assets.nights import unfinished
    from aios_assets.resources.lake import Lake
    from aios_assets.summary import night_summary, render

    newest = results[-1]
    summary = night_summary(Lake(conf.lake_root), newest.last, conf.own_ids) | {"unfinished": unfinished(conf)}
    if as_json:
        runs = [
            {
                "day": r.last, "run_id": r.run_id, "success": r.is_success, "failed_steps": r.failed_steps,
                "causes": r.causes,
                "failed_checks": r.failed_checks, "changed_tables": r.changed_tables,
            }
            for r in results
        ]  # fmt: skip
        emit({"runs": runs, "summary": summary}, True)
        return
    render(summary, str(conf.home))
    for r in results:
        for step, cause in zip(r.failed_steps, r.causes, strict=True):
            _say(
                f"{r.last}: step {step} FAILED: {cause.rstrip('.')}. To do: see {log_path(conf)}, or run {r.run_id} in `make ui`"
            )
        for check in r.failed_checks:
            said = f": {check['said']}" if check["said"] else ""
            _say(
                f"{r.last}: check {check['check']} of {check['asset']} did not pass ({check['severity'].lower()}){said}"
            )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@app.command()
@handle_errors
def backfill(
    start: Annotated[str, typer.Option("--from", help="first business day, YYYY-MM-DD")],
    end: Annotated[str, typer.Option("--to", help="last business day, YYYY-MM-DD")],
    as_json: Json = False,
) -> None:
    """Run a stretch of business days as one run; the bytes are those the nights would have written."""
    from aios_assets.night import prepare_home, run_night
    from aios_assets.nights import check_days, ensure_sandbox

    conf = settings()
    prepare_home(conf)
    first, last = parse_day(start, "--from"), parse_day(end, "--to")
    if last < first:
        raise UsageError(f"--from {first} is after --to {last}", todo="swap them")
    ensure_sandbox(conf, say=_say)
    check_days(conf, first, last)
    result = run_night(conf, first, last, force=True)
    _report(conf, [result], as_json)
    if not result.is_success:
        raise typer.Exit(1)


@app.command()
@handle_errors
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="files or folders of EDI, telemetry or master data")],
    as_sent: Annotated[
        bool, typer.Option("--as-sent", help="before the first night: EDI counts as known when its envelope was sent")
    ] = False,
    sent_in: Annotated[
        str | None,
        typer.Option(help="with --as-sent: time zone of the clocks in the envelopes, such as Europe/Berlin; else UTC"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take documents into the raw store now; the next run reads them."""
    from aios_assets.night import only_one, prepare_home
    from aios_assets.resources.handles import world_of

    if sent_in is not None and not as_sent:
        raise UsageError("--sent-in says how to read envelopes, which --as-sent asks for", todo="give both, or neither")
    conf = settings()
    prepare_home(conf)
    with only_one(conf):
        emit(world_of(conf).take_paths(paths, sent_in=(sent_in or "UTC") if as_sent else None), as_json)


@app.command(name="import")
@handle_errors
def import_file(
    kind: Annotated[str, typer.Argument(help="sales, stock, orders, receipts or items")],
    file: Annotated[Path, typer.Argument(help="CSV or Parquet file")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file: our column names to yours")] = None,
    as_json: Json = False,
) -> None:
    """Import sales, stock, orders, receipts or items from a CSV or Parquet file."""
    from aios_assets.night import only_one, prepare_home
    from aios_assets.resources.handles import world_of

    conf = settings()
    prepare_home(conf)
    with only_one(conf):
        result = world_of(conf).import_file(kind, file, mapping)
    lines = [] if as_json else result.pop("lines")
    notes = [] if as_json else result.pop("notes")
    emit(result, as_json)
    for line in notes:
        print(f"Note: {line}.")
    emit(lines[:SHOWN_LINES], False)
    if len(lines) > SHOWN_LINES:
        print(f"… and {len(lines) - SHOWN_LINES:,} more; after the next run see `aios quarantine list`")


@app.command()
@handle_errors
def status(
    recommendations: Annotated[int, typer.Option(min=0, help="how many recommendations to list")] = 10,
    tables: Annotated[bool, typer.Option("--tables", help="every table with rows and Delta version")] = False,
    as_json: Json = False,
) -> None:
    """The newest night: documents, rows, quality, gates, recommendations."""
    from aios_assets.nights import newest_night, unfinished
    from aios_assets.resources.home_version import as_shown, is_older
    from aios_assets.resources.lake import Lake
    from aios_assets.summary import night_summary, render
    from aios_assets.summary import recommendations as best

    conf = settings()
    day = newest_night(conf)
    lake = Lake(conf.lake_root)
    if tables:
        from aios_assets.contracts.registry import TABLES

        rows = [
            {
                "table": t.name,
                "stage": t.stage,
                "rows": lake.count(t) if lake.exists(t) else 0,
                "version": lake.version(t),
                "grain": t.grain,
            }
            for t in TABLES.values()
        ]
        emit(rows, as_json)
        return
    summary = night_summary(lake, day, conf.own_ids)
    summary |= {"recommendations": best(lake, day, recommendations), "unfinished": unfinished(conf)}
    home = as_shown(conf.home)
    if as_json:
        emit(summary | {"home": home}, True)
    else:
        render(summary, str(conf.home))
    if is_older(home["this"], home.get("newest", home["this"])):
        note(
            f"version {home['newest']} used this home; this is {home['this']}, which is older and will not write to it"
        )


@app.command()
@handle_errors
def explain(
    rec_id: Annotated[
        str,
        typer.Argument(
            help="id of a recommendation, or its first characters; or ITEM@SITE: what was decided there last, and why"
        ),
    ],
    as_json: Json = False,
) -> None:
    """Follow a recommendation to forecast, model, features, stock, orders and down to the raw bytes."""
    from aios_assets.explain import explain as chain
    from aios_assets.explain_text import render
    from aios_assets.resources.lake import Lake

    result = chain(Lake(settings().lake_root), rec_id)
    if as_json:
        emit(result, True)
    else:
        render(result)


@quarantine_app.command("list")
@handle_errors
def quarantine_list(
    limit: Annotated[int, typer.Option(min=0, help="how many to show")] = 50,
    everything: Annotated[
        bool, typer.Option("--all", help="also what a later file of that name took the place of")
    ] = False,
    as_json: Json = False,
) -> None:
    """What is set aside, not released, and not superseded by what was sent again."""
    import polars as pl

    from aios_assets.quarantine import unreleased_rejects
    from aios_assets.resources.lake import Lake

    frame = unreleased_rejects(Lake(settings().lake_root))
    left = frame.filter(pl.col("superseded_by").is_null())
    columns = ["reject_id", "level_code", "error_code", "source_uri", "set_no", "segment_no", "reason"]
    shown = frame.select(*columns, "superseded_by") if everything else left.select(columns)
    emit(shown.head(limit).to_dicts(), as_json)
    if not as_json:
        gone = frame.height - left.height
        later = f", {gone:,} superseded by what was sent again (`--all` lists them)" if gone else ""
        print(f"{left.height:,} open{later}")


@quarantine_app.command("show")
@handle_errors
def quarantine_show(
    reject_id: Annotated[str, typer.Argument(help="id, or its first characters")], as_json: Json = False
) -> None:
    """One reject, with a marker under the faulty element."""
    from aios_assets.quarantine import find_reject, marked_segment
    from aios_assets.resources.lake import Lake

    reject = find_reject(Lake(settings().lake_root), reject_id)
    emit(reject, as_json)
    if not as_json and reject["segment_text"]:
        print("\n" + marked_segment(reject))


@quarantine_app.command("release")
@handle_errors
def quarantine_release(
    reject_id: Annotated[str, typer.Argument(help="id, or its first characters")],
    reason: Annotated[str, typer.Option(help="why it may pass")] = "",
    by: Annotated[str, typer.Option(help="who decides; the user of this machine otherwise")] = "",
    as_json: Json = False,
) -> None:
    """Let a reject through; the next run reads its document again."""
    from aios_assets.night import only_one, prepare_home
    from aios_assets.outage import user_name
    from aios_assets.quarantine import release
    from aios_assets.resources.clock import now_utc
    from aios_assets.resources.lake import Lake

    conf = settings()
    prepare_home(conf)
    with only_one(conf):
        emit(release(Lake(conf.lake_root), reject_id, reason, by.strip() or user_name(), now_utc()), as_json)


@app.command()
@handle_errors
def ui(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="port of the Dagster UI")] = 3000,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65_535, help="port of the MLflow UI")] = 5000,
    pages_port: Annotated[int, typer.Option(min=1, max=65_535, help="port of the report pages")] = 5001,
) -> None:
    """Start the Dagster UI, the MLflow UI and the report pages on this night's data, on this machine only."""
    from aios_assets.night import prepare_home
    from aios_assets.ui import serve

    conf = settings()
    prepare_home(conf)
    serve(conf, port, mlflow_port, pages_port)


def main() -> None:
    """Entry point of the `aios` command."""
    # The libraries of a night hold some three million objects and make hardly a cycle: at Python's own thresholds, looking
    # for cycles takes 5 of 33 CPU-seconds (measured); peak memory is the same.
    gc.set_threshold(100_000, 20, 20)
    try:
        app()
    except BrokenPipeError:
        # The reader of our output has gone (as `| head` does); nothing is lost.
        sys.stderr.close()
