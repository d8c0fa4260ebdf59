"""`aios whatif`: plan a night again with something changed, on a branch of the lake; production tables are never touched."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors, parse_day
from aios_assets.contracts.errors import BadInputError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from aios_assets.resources.handles import World
    from aios_assets.resources.lake_branch import Branch

app = typer.Typer(no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Name = Annotated[str, typer.Argument(help="Name of the branch.")]
AS_IS = "production"


@app.command("new")
@handle_errors
def new(
    name: Name,
    change: Annotated[list[str], typer.Option("--set", help="What changes: demand=1.2, demand@SKU-0001=1.5, lead_time@SUP01=2, lost_supplier=SUP02, truck_capacity_m3@SUP01=20, alpha_max=0.9, …")],
    day: Annotated[str, typer.Option(help="Night to plan again, YYYY-MM-DD; the newest planned one otherwise.")] = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make a branch, plan the night on it with the changes, and say what it comes to beside the night itself."""
    from aios_assets.assets.glue_rollout import champion_policy
    from aios_assets.assets.s7_recommend import plan_inputs
    from aios_assets.resources.lake_branch import drop_branch, make_branch
    from planning.recommend import recommend
    from planning.scenario import changed, parse_changes

    changes = parse_changes(change)
    world, parent = _world(), _parent()
    planned = _day(world, day)
    note = {"day": planned.isoformat(), "changes": [c.text() for c in changes]}
    branch = make_branch(parent, name, world.lake, note)
    try:
        apart = _on(world, branch)
        spec, policy = champion_policy(apart, planned)
        inputs, spec = changed(plan_inputs(apart, planned), spec, changes)
        decided = recommend(inputs, planned, spec, available_at_utc=world.cutoff(planned))
        apart.lake.write("rec_decisions", decided, window=(planned, planned + timedelta(days=1)))
    except BaseException:
        drop_branch(parent, name)
        raise
    _tell([_summary(AS_IS, decisions(world, None, planned)), {**_summary(name, decided), "policy": policy}], as_json)


@app.command("compare")
@handle_errors
def compare(
    name: Name,
    other: Annotated[str, typer.Option("--with", help="Another branch; what was decided that night otherwise.")] = "",
    most: Annotated[int, typer.Option(min=0, help="Most differences shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Both sums, and every decision that is not the same: largest change of money first."""
    from planning.scenario import differences

    world, branch = _world(), _find(name)
    day = date.fromisoformat(branch.note["day"])
    base = _find(other) if other else None
    if base is not None and base.note["day"] != branch.note["day"]:
        raise UsageError(f"'{name}' is of {day}, '{other}' of {base.note['day']}", todo="compare branches of one night")
    before, after = decisions(world, base, day, branch), decisions(world, branch, day)
    found = differences(before, after)
    rows = [_summary(other or AS_IS, before), _summary(name, after)]
    if as_json:
        emit({"day": day, "changes": branch.note["changes"], "sums": rows, "differing": found.height,
              "differences": found.head(most).to_dicts()}, True)  # fmt: skip
        return
    emit(rows, False)
    print(f"{found.height:,} decisions differ")
    for row in found.head(most).iter_rows(named=True):
        print(
            f"{row['decision_code']} {row['item_id']} at {row['site_id']}: {row['quantity_ea_before']:g} -> "
            f"{row['quantity_ea_after']:g}. {row['reason']}"
        )


@app.command("list")
@handle_errors
def list_(as_json: Json = False) -> None:
    """All branches: night and changes."""
    from aios_assets.resources.lake_branch import branches

    rows = [
        {"name": b.name, "day": b.note["day"], "changes": ", ".join(b.note["changes"])} for b in branches(_parent())
    ]
    emit(rows if rows or as_json else "there is no branch; make one with `aios whatif new`", as_json)


@app.command("drop")
@handle_errors
def drop(name: Name, as_json: Json = False) -> None:
    """Delete a branch and everything it wrote."""
    from aios_assets.resources.lake_branch import drop_branch

    drop_branch(_parent(), name)
    emit({"dropped": name}, as_json)


def _parent() -> Path:
    from aios_assets.cli import settings

    return settings().at_home("whatif")


def _world() -> World:
    from aios_assets.cli import settings
    from aios_assets.resources.handles import world_of

    return world_of(settings())


def _find(name: str) -> Branch:
    from aios_assets.resources.lake_branch import find_branch

    return find_branch(_parent(), name)


def _on(world: World, branch: Branch) -> World:
    """The same handles with the branch's lake in place of production's."""
    from aios_assets.resources.handles import World

    apart = World(**{name: getattr(world, name) for name in type(world).model_fields})
    apart.__dict__["lake"] = branch.lake(world.lake)
    return apart


def _day(world: World, text: str) -> date:
    """The night to plan again.

    Raises:
        UsageError: not a day.
        BadInputError: that night was not planned.
    """
    import polars as pl

    planned = world.lake.scan("rec_decisions").select(pl.col("as_of_date").unique()).collect()["as_of_date"]
    day = parse_day(text, "--day") if text else planned.max()
    if not isinstance(day, date):
        raise BadInputError("no night was planned yet", where="rec_decisions", todo="run one first: aios run")
    if day not in planned.to_list():
        raise BadInputError(
            f"the night of {day} was not planned", where="rec_decisions", todo=f"run it first: aios run --day {day}"
        )
    return day


def decisions(world: World, branch: Branch | None, day: date, pinned: Branch | None = None) -> pl.DataFrame:
    """Decisions of a night on a branch, or in production; there as they were when the branch `pinned` was made."""
    import polars as pl

    mine = pl.col("as_of_date") == day
    if branch is not None:
        return branch.lake(world.lake).read("rec_decisions", where=mine)
    version = pinned.note["versions"]["rec_decisions"] if pinned is not None else None
    return world.lake.read("rec_decisions", where=mine, version=version)


def _summary(name: str, decided: pl.DataFrame) -> dict[str, Any]:
    from planning.scenario import figures

    return {"branch": name, **figures(decided)}


def _tell(rows: list[dict[str, Any]], as_json: bool) -> None:
    emit({"sums": rows} if as_json else rows, as_json)
