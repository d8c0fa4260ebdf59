"""`aios check`, `repair`, `rebuild`: prove the lake intact, heal it, build all after raw again. `docs` beside them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors
from aios_assets.contracts.errors import AiosError

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake
    from aios_assets.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def mount(app: typer.Typer) -> None:
    """Put the commands on the command line."""
    app.command("check")(check)
    app.command("repair")(repair)
    app.command("rebuild")(rebuild)
    app.command("docs")(docs)


@handle_errors
def check(
    table: Annotated[list[str] | None, typer.Option(help="only this table; may be given several times")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="leave out documents' hashes and reconciliation")] = False,
    as_json: Json = False,
) -> None:
    """Verify commits, data files, raw hashes and reconciliation; exit 1 with the place of any damage."""
    from aios_assets.contracts.registry import table as contract_of
    from aios_assets.nights import unfinished
    from aios_assets.resources.lake_check import Damage, check_lake

    lake = _lake()
    names = [contract_of(name).name for name in table] if table else None
    found = check_lake(lake, names, contents=not fast)
    if not table:
        found += [
            Damage(
                "nights",
                night["day"],
                "a rebuild dropped this night and did not run it again",
                "run `aios rebuild`",
                "rebuild",
            )
            for night in unfinished(_settings())
            if night["is_dropped"] and not night["is_under_way"]
        ]
    if as_json:
        emit({"intact": not found, "damage": [_row(d) for d in found]}, True)
    else:
        for damage in found:
            print(damage.line())
        print("damaged" if found else f"intact: {len(names or lake.journal.tables())} tables")
    if found:
        raise typer.Exit(1)


@handle_errors
def repair(as_json: Json = False) -> None:
    """Heal what `aios check` finds: commits and raw files from their second copies, derived tables from raw."""
    from aios_assets.night import only_one, prepare_home
    from aios_assets.nights import keep_nights
    from aios_assets.resources.lake_check import check_lake, end_rebuild
    from aios_assets.resources.lake_check import repair as heal

    conf = _settings()
    prepare_home(conf)
    lake = _lake()
    with only_one(conf):
        keep_nights(conf, lake)
        # Tables share marks of what was read, so one derived table is rebuilt together with all of them, below.
        done = heal(lake, rebuild=lambda names: None)
    if done.dropped:
        _say(f"{len(done.dropped)} derived tables are damaged: rebuilding everything after raw")
        rebuild_after_raw(conf)
        end_rebuild(lake)
    left = check_lake(lake)
    report = {
        "found": [_row(d) for d in done.found],
        "restored": done.restored,
        "rebuilt": done.dropped,
        "left": [_row(d) for d in left],
    }
    if as_json:
        emit(report, True)
    else:
        for damage in done.found:
            print(damage.line())
        for line in done.restored:
            print(f"restored {line}")
        for name in done.dropped:
            print(f"rebuilt {name}")
        print("nothing was damaged" if not done.found else ("damage remains" if left else "intact again"))
    if left:
        raise typer.Exit(1)


@handle_errors
def rebuild(as_json: Json = False) -> None:
    """Drop every table after raw and build it again from the raw documents; the same bytes come back."""
    from aios_assets.night import prepare_home

    conf = _settings()
    prepare_home(conf)
    emit(rebuild_after_raw(conf), as_json)


@handle_errors
def docs(as_json: Json = False) -> None:
    """Write dbt's documentation of every table (columns, tests, lineage) as one page that opens without a server."""
    from aios_assets.resources.dbt import write_docs

    conf = _settings()
    emit({"page": str(write_docs(conf.home, conf.lake_root))}, as_json)


def rebuild_after_raw(conf: Settings) -> dict[str, Any]:
    """Drop what can be derived and run every night again, oldest first, whoever started it.

    Returns:
        tables dropped and nights run.

    Raises:
        AiosError: a night did not succeed.
    """
    from aios_assets.night import begun_path, only_one, run_night
    from aios_assets.nights import keep_nights
    from aios_assets.resources.dbt import forget_build
    from aios_assets.resources.lake import Lake
    from aios_assets.resources.lake_check import drop_derived, end_rebuild
    from aios_assets.resources.lake_files import put_durably

    lake = Lake(conf.lake_root)
    with only_one(conf):
        nights = keep_nights(conf, lake)
        for day in nights:  # each is unfinished until it was run again, whatever ends the rebuild before
            put_durably(begun_path(conf, day), json.dumps({"is_dropped": True}).encode())
        dropped = drop_derived(lake)
        forget_build(conf.home)
    for day in nights:
        if not run_night(conf, day, day, force=True).is_success:
            raise AiosError(
                "a night failed during the rebuild",
                where=str(day),
                todo="see its run in `make ui`, then run `aios rebuild` again",
            )
    end_rebuild(lake)
    return {"dropped": len(dropped), "nights": len(nights)}


def _settings() -> Settings:
    from aios_assets.cli import settings

    return settings()


def _lake() -> Lake:
    from aios_assets.resources.lake import Lake

    return Lake(_settings().lake_root)


def _row(damage: Any) -> dict[str, str]:
    return {"table": damage.table, "place": damage.place, "what": damage.what, "todo": damage.todo, "code": damage.code}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
