"""`aios sandbox`: make a trading network, play it forward, compare two ways of ordering."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors

app = typer.Typer(no_args_is_help=True, help="The synthetic trading network: create, advance, look.")

_hook: list[Callable[[Path], Any]] = []


def set_recommended(make: Callable[[Path], Any]) -> None:
    """Say who provides recommended orders: given the root of a sandbox, a callable from day to a frame of decisions."""
    _hook[:] = [make]


Root = Annotated[
    Path, typer.Option("--root", help="Folder of the sandbox (inbox, state, truth); the home's own otherwise.")
]
HOME_SANDBOX = Path(os.environ.get("AIOS_HOME", ".aios")) / "sandbox"
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of readable lines.")]


@app.command("new")
@handle_errors
def new(
    root: Root = HOME_SANDBOX,
    profile: Annotated[str, typer.Option(help="tiny, fast, full, or a path to a specification.")] = "fast",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Make a network and play its history into ROOT/inbox."""
    import sandbox

    emit(sandbox.create(root, profile, seed), as_json)


@app.command("status")
@handle_errors
def status(root: Root = HOME_SANDBOX, as_json: AsJson = False) -> None:
    """Say what a sandbox is and how far it is played."""
    import sandbox

    emit(sandbox.status(root), as_json)


@app.command("advance")
@handle_errors
def advance(
    root: Root = HOME_SANDBOX,
    days: Annotated[int, typer.Option(help="Days to play.")] = 1,
    policy: Annotated[
        str | None, typer.Option(help="recommended or minmax: order by it, and print what both cost over these days.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the copy of the home that a sandbox elsewhere is decided in.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play further days into the inbox; with --policy compare recommended orders with min-max over them."""
    import sandbox

    if policy is None:
        emit(sandbox.advance_days(root, days), as_json)
        return
    made: list[Any] = []

    def make(where: Path) -> Any:
        made.append(_hook[0](where))
        return made[-1]

    try:
        found = sandbox.compare(root, days, policy, make if _hook else None)
    finally:
        for provider in made:
            if not keep and hasattr(provider, "clean"):
                provider.clean()
    for provider in made:
        found |= provider.report() if hasattr(provider, "report") else {}
    if as_json:
        emit(found, as_json)
    else:
        _print_comparison(found)


def _print_comparison(found: dict[str, Any]) -> None:
    """The comparison as a table, and the share saved in words."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found['from_date']} to {found['to_date']}: same days, same demand, same start")
    table.add_column("")
    for row in found["policies"]:
        table.add_column(row["policy"], justify="right")
    for name in [c for c in found["policies"][0] if c not in ("policy", "days", "lost_ea")]:
        shown = "{:,.0f}" if name.endswith(("_usd", "_ea")) else "{:.2%}"
        table.add_row(name, *(shown.format(row[name]) for row in found["policies"]))
    console = Console()
    console.print(table)
    for name, value in found.items():
        if name.startswith("saved_against_"):
            other = name.removeprefix("saved_against_").removesuffix("_frac")
            console.print(f"holding plus shortage cost of recommended against {other}: {-value:+.1%}")
    if "nights" in found:
        first, later = found["first_night_cpu_s"], found["later_night_cpu_s"]
        console.print(f"{found['nights']} nights: {first} CPU-seconds the first, {later} each later one")
