"""`aios model`: what is live, what was live, why; propose, promote, reject, roll back. Every change is a row of `mon_deployments`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aios_assets.cli_common import emit, handle_errors
from aios_assets.contracts.errors import BadInputError, RefusedError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from aios_assets.resources.handles import World
    from aios_assets.settings import Settings
    from ml.tracking import ModelRef, Tracking

POLICY = "policy"
MODELS = ("demand", "lead_time", POLICY)
app = typer.Typer(no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _known(model: str) -> str:
    """The model asked for; a name that is none is refused before anything is read."""
    if model not in ("", *MODELS):
        raise typer.BadParameter(f"there is no model '{model}'; use {', '.join(MODELS)}")
    return model


Model = Annotated[
    str, typer.Option("--model", callback=_known, help="demand, lead_time or policy; all when not given.")
]
One = Annotated[str, typer.Option("--model", callback=_known, help="demand, lead_time or policy.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in plain words; it is stored.")]
_SHOWN = (
    "model_name",
    "model_version",
    "alias",
    "share_frac",
    "verdict",
    "valid_from_utc",
    "valid_to_utc",
    "reason",
    "model_digest",
)


@app.command("at")
@handle_errors
def at(
    when: Annotated[str, typer.Argument(help="Day (its end, UTC) or instant: 2025-03-01, 2025-03-01T06:00:00Z.")],
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Say what was live at a day or instant: version, alias, share; exit 1 when nothing was."""
    from ml.promotion.deployments import live_at

    live = live_at(_deployments(), instant_of(when), model or None)
    _show(live, as_json, none=f"nothing was live at {when}")
    if live.is_empty():
        raise typer.Exit(1)


@app.command("history")
@handle_errors
def history(model: Model = "", as_json: Json = False) -> None:
    """List every change of what is live, oldest first, with from, to and the verdict behind it."""
    from ml.promotion.deployments import history as changes

    _show(changes(_deployments(), model or None), as_json, none="no model was deployed or rejected yet")


@app.command("compare")
@handle_errors
def compare(
    a: Annotated[str, typer.Argument(help="Version.")],
    b: Annotated[str, typer.Argument(help="Other version.")],
    model: One = "demand",
    as_json: Json = False,
) -> None:
    """Put two versions side by side, gate by gate."""
    from ml.promotion.deployments import compare_versions

    _show(compare_versions(_deployments(), _verdicts(), model, a, b), as_json, none="neither version was judged")


@app.command("propose")
@handle_errors
def propose(
    file: Annotated[Path, typer.Argument(help="Planning parameters, in the form of planning/policy.yaml.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Propose a change of planning parameters: it climbs the ladder like a model, from the next night on."""
    from aios_assets.assets.glue_tuning import propose_policy
    from planning.inputs import load_spec

    _said(reason)
    spec = load_spec(file)
    with _alone():
        version, rows = propose_policy(_world(), spec, f"by hand: {reason}", instant_of_change(_deployments(), POLICY))
        if rows.is_empty():
            raise RefusedError(
                f"these parameters are version {version} already", where=POLICY, todo="see aios model history --model policy"
            )  # fmt: skip
        _write(rows, POLICY)
    _show(rows, as_json, none="nothing changed")


@app.command("promote")
@handle_errors
def promote(
    version: Annotated[str, typer.Argument(help="Version to make champion.")],
    reason: Reason,
    model: One = "demand",
    against_gates: Annotated[
        bool, typer.Option("--against-gates", help="Promote although a gate failed it, or none judged it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a version champion by a person's verdict; refused when no gate judged it or one failed it, unless --against-gates."""
    _version(model, version)
    against = _against(_verdicts(), _deployments(), model, version)
    if against and not against_gates:
        todo = f"see aios model compare, aios model history --model {model}, or give --against-gates"
        raise RefusedError(f"version {version} {against}", where=model, todo=todo)
    said = f"{reason} (version {version} {against})" if against else reason
    _decide("promote", version, said, model, as_json)


@app.command("reject")
@handle_errors
def reject(
    version: Annotated[str, typer.Argument(help="Version to reject.")],
    reason: Reason,
    model: One = "demand",
    as_json: Json = False,
) -> None:
    """Reject a version by a person's verdict; what is live stays."""
    _decide("reject", version, reason, model, as_json)


@app.command("rollback")
@handle_errors
def rollback(reason: Reason, model: One = "demand", as_json: Json = False) -> None:
    """End a running canary; without one, make the last good champion champion again."""
    from ml.promotion.deployments import rollback_rows

    _said(reason)
    with _alone():
        before = _deployments()
        rows = rollback_rows(
            before, model_name=model, reason=f"by hand: {reason}", instant=instant_of_change(before, model)
        )
        _write(rows, model)
    _show(rows, as_json, none="nothing changed")


def failed_gates(verdicts: pl.DataFrame, model: str, version: str) -> list[str]:
    """Gates whose newest verdict on this version is a failure."""
    import polars as pl

    mine = verdicts.filter(pl.col("subject") == f"{model}:{version}").sort("verdict_date")
    newest = mine.unique(subset=["gate_code"], keep="last", maintain_order=True)
    return sorted(newest.filter(~pl.col("is_passed"))["gate_code"].to_list())


def _against(verdicts: pl.DataFrame, deployments: pl.DataFrame, model: str, version: str) -> str:
    """What speaks against promoting a version; nothing when every gate that judged it passed it, or it was champion unjudged."""
    import polars as pl

    mine = (pl.col("model_name") == model) & (pl.col("model_version") == version) & (pl.col("alias") == "champion")
    if verdicts.filter(pl.col("subject") == f"{model}:{version}").is_empty() and deployments.filter(mine).is_empty():
        return "was judged by no gate"
    failed = failed_gates(verdicts, model, version)
    return f"failed {', '.join(failed)}" if failed else ""


def instant_of(text: str) -> datetime:
    """An instant from a day (its last moment, UTC) or an ISO instant; without a zone it is UTC.

    >>> instant_of("2025-03-01T06:00:00Z").isoformat()
    '2025-03-01T06:00:00+00:00'
    >>> instant_of("2025-03-01").isoformat()
    '2025-03-01T23:59:59.999999+00:00'
    """
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time.max, tzinfo=UTC)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is neither a day nor an instant",
            where="model at",
            todo="write 2025-03-01 or 2025-03-01T06:00:00Z",
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _decide(decision: Literal["promote", "reject"], version: str, reason: str, model: str, as_json: bool) -> None:
    from ml.promotion.deployments import promotion_rows

    _said(reason)
    ref = _version(model, version)
    with _alone():
        before = _deployments()
        rows = promotion_rows(
            before, decision=decision, model_name=model, model_version=version, model_digest=ref.digest,
            reason=f"by hand: {reason}", instant=instant_of_change(before, model),
        )  # fmt: skip
        _write(rows, model)
    _show(rows, as_json, none=f"version {version} is champion already: nothing changed")


def _version(model: str, version: str) -> ModelRef:
    """A registered version.

    Raises:
        RefusedError: there is none; names those that are.
    """
    tracking = _tracking()
    try:
        return tracking.get_version(model, version)
    except RefusedError as error:
        try:
            known = ", ".join(ref.version for ref in tracking.versions(model)[-10:])
        except RefusedError:
            known = ""
        todo = f"use one of {known}" if known else "see `aios model history`; the nightly run makes the first version"
        raise RefusedError(error.what, where=error.where, todo=todo) from error


def _said(reason: str) -> None:
    if not reason.strip():
        raise UsageError("the reason is empty", where="--reason", todo="say why in plain words")


def _write(rows: pl.DataFrame, model: str) -> None:
    """Record first, then let the registry's aliases follow the record."""
    from aios_assets.assets.glue_rollout import align_aliases
    from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS

    if rows.is_empty():
        return
    world = _world()
    world.lake.write(MON_DEPLOYMENTS, rows)
    instant = rows["valid_from_utc"].max()
    assert isinstance(instant, datetime)
    align_aliases(world, model, instant)


def instant_of_change(deployments: pl.DataFrame, model: str) -> datetime:
    """From when a person's verdict holds; before any night: now, and after the last change."""
    from aios_assets.assets.glue_rollout import next_instant
    from aios_assets.nights import newest_night
    from aios_assets.resources.clock import now_utc

    try:
        return next_instant(_world(), newest_night(_settings()), deployments, model, now_utc())
    except BadInputError:
        last = deployments.filter(deployments["model_name"] == model)["valid_from_utc"].max()
        return max(now_utc(), last + timedelta(seconds=1)) if isinstance(last, datetime) else now_utc()


def _deployments() -> pl.DataFrame:
    return _read("mon_deployments")


def _verdicts() -> pl.DataFrame:
    import polars as pl

    columns = ["verdict_date", "gate_code", "subject", "is_passed", "metric", "value", "threshold"]
    return pl.concat([_read("mon_promotion_verdicts").select(columns), _read("mon_gate_verdicts").select(columns)])


def _read(name: str) -> pl.DataFrame:
    from aios_assets.contracts.registry import table as contract_of
    from aios_assets.resources.lake import Lake

    lake = Lake(_settings().lake_root)
    return lake.read(name) if lake.exists(name) else contract_of(name).empty()


def _settings() -> Settings:
    from aios_assets.cli import settings

    return settings()


def _world() -> World:
    from aios_assets.resources.handles import world_of

    return world_of(_settings())


def _tracking() -> Tracking:
    return _world().tracking


def _alone() -> Any:
    from aios_assets.night import only_one

    return only_one(_settings())


def _show(frame: pl.DataFrame, as_json: bool, *, none: str) -> None:
    if as_json:
        emit(frame.to_dicts(), True)
        return
    if frame.is_empty():
        print(none)
        return
    names = [c for c in _SHOWN if c in frame.columns] or frame.columns
    for row in frame.select(names).iter_rows(named=True):
        cells = [_cell(n, row[n]) for n in names]
        if "alias" not in row:
            print("  ".join(f"{n.replace('_', ' ')} {c}" for n, c in zip(names, cells, strict=True)))
            continue
        name, version, alias, share, verdict = cells[:5]
        until = f" to {_cell('valid_to_utc', row['valid_to_utc'])}" if "valid_to_utc" in row else ""
        print(
            f"{name} {version} as {alias}, {share} of item × site, from {_cell('', row['valid_from_utc'])}{until}: {verdict}"
        )
        print(f"    {row['reason']} [{cells[-1]}]")


def _cell(name: str, value: object) -> str:
    if value is None:
        return "now" if name == "valid_to_utc" else "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}Z"
    if name == "share_frac":
        return f"{value:.0%}"
    if name == "model_digest":
        return str(value)[:12]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
