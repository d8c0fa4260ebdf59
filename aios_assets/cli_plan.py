"""`aios plan` and `aios simulate`: from a history and a state to orders, on anybody's data, in one stateless call."""

from __future__ import annotations

import functools
import time as clock
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aios_assets.cli_common import emit, handle_errors, note, parse_day
from aios_assets.cli_tables import check_output, read_table, whole_keys, write_table
from aios_assets.contracts.errors import BadInputError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from aios_assets.plan_forecasts import Source
    from planning.config import PlanConfig
    from planning.panel import Panel, State
    from planning.stateless import Terms

Keys = Annotated[str, typer.Option("--keys", help="Key columns, separated by commas.")]
Time = Annotated[str, typer.Option("--time", help="Column with the first day of the period.")]
Target = Annotated[str, typer.Option("--target", help="Column with units sold.")]
InStock = Annotated[
    str, typer.Option("--in-stock", help="Column that is false where sales were cut short by empty shelves.")
]
StateFile = Annotated[
    Path, typer.Option("--state", help="Keys, on_hand_units, in_transit_1_units, in_transit_2_units, …")
]
ConfigFile = Annotated[
    Path, typer.Option("--config", help="YAML: period, lead_time_periods, holding_cost, shortage_cost, …")
]
Model = Annotated[str, typer.Option("--model", help="auto, resample, or a model of `aios forecast`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of readable lines.")]


def mount(app: typer.Typer) -> None:
    """Put `plan` and `simulate` on the command line."""
    app.command("plan")(plan)
    app.command("simulate")(simulate)
    app.command("solve")(solve)


def load(
    history: Path,
    keys: str,
    time: str,
    target: str,
    in_stock: str | None,
    state: Path,
    config: Path,
    future: Path | None = None,
) -> tuple[Panel, State, PlanConfig, Terms, Source]:
    """Read and check everything a plan needs.

    Raises:
        BadInputError: any file or value that cannot be planned with.
    """
    import numpy as np

    from aios_assets.plan_forecasts import Source
    from planning.config import by_key, counted_in, load_config
    from planning.limits import limits_of
    from planning.panel import build_panel, build_state
    from planning.stateless import Terms

    names = [k.strip() for k in keys.split(",") if k.strip()]
    if not names:
        raise UsageError("--keys names no column", todo="give --keys store_id,product_id")
    doubled = sorted({n for n in names if names.count(n) > 1} | {n for n in names if n in (time, target, in_stock)})
    if doubled:
        raise UsageError(
            f"{', '.join(doubled)} cannot be a key twice, nor time or target, too",
            where="--keys",
            todo="name each column once",
        )
    settings = load_config(config)

    @functools.cache  # one file may state several settings
    def read(path: Path) -> pl.DataFrame:
        return whole_keys(read_table(path, texts=names), names)

    rows = read(history)
    panel = build_panel(
        rows, names, time, target, settings.period,
        in_stock=in_stock, missing=settings.missing_periods, where=str(history),
    )  # fmt: skip
    if panel.filled:
        note(
            f"{panel.filled:,} periods without a row count as {'zero sales' if settings.missing_periods == 'zero' else 'unknown'}"
        )
    if panel.unit != 1 and settings.pack_units is None:
        note(f"demand is measured in fractions: it is counted, and ordered, in steps of {panel.unit:g}")
    settings = counted_in(settings, panel.unit, str(config))
    stock = build_state(read(state), panel, str(state))
    terms = Terms(
        *(
            by_key(settings, name, panel.keys, read)
            for name in ("holding_cost", "shortage_cost", "pack_units", "minimum_order_units", "capacity_units")
        ),
        limits=limits_of(settings, panel, read),
    )
    for name in ("minimum_order_units", "capacity_units", "maximum_order_units"):
        if isinstance(getattr(settings, name), str):
            without = int(np.isnan(by_key(settings, name, panel.keys, read)).sum())
            if without:
                note(
                    f"the file for {name} has no value for {without:,} of {panel.keys.height:,} series: no limit for them"
                )
    ahead = read(future) if future else None
    return panel, stock, settings, terms, Source(rows, tuple(names), time, target, in_stock, ahead)


def known_at(panel: Panel, as_of: date, period: str, where: str) -> None:
    """Refuse a state that is older than the history, or a history that ends long before the state.

    Raises:
        BadInputError: --as-of lies before the history's last period, or two periods or more after it.
    """
    from planning.panel import calendar

    last = panel.periods[-1]
    if as_of < last:
        raise BadInputError(
            f"the state is of {as_of}, older than the history, which ends with the period of {last}", where=where,
            todo="cut the history at --as-of, or give a newer state",
        )  # fmt: skip
    behind = len(calendar(last, as_of, period)) - 1
    if behind == 1:
        note(
            f"the history ends with the period of {last}, one before --as-of {as_of}: the state counts as of the end of {last}'s "
            "period, and in_transit_1_units as there right after it"
        )
    if behind >= 2:
        raise BadInputError(
            f"the history ends with the period of {last}, {behind} periods before --as-of {as_of}", where=where,
            todo="bring the history up to date",
        )  # fmt: skip


@handle_errors
def plan(
    history: Annotated[Path, typer.Argument(help="Long Parquet or CSV: keys, time, target.")],
    keys: Keys,
    time: Time,
    target: Target,
    state: StateFile,
    config: ConfigFile,
    as_of: Annotated[str, typer.Option("--as-of", help="Day of the state: within the history's last period.")],
    out: Annotated[Path, typer.Option("--out", help="Orders, Parquet or CSV by suffix.")],
    in_stock: InStock = "",
    future: Annotated[
        Path | None, typer.Option("--future", help="Known future values of further columns (price, promotion).")
    ] = None,
    model: Model = "auto",
    as_json: Json = False,
) -> None:
    """From history and state to orders in one call: forecast, project the stock, order what pays. Stateless, seed fixed."""
    from aios_assets.plan_forecasts import Planner
    from planning.explain_plan import order_table
    from planning.tuning import words_of

    started = clock.process_time()
    day = parse_day(as_of, "--as-of")
    check_output(out)
    panel, stock, settings, terms, source = load(history, keys, time, target, in_stock or None, state, config, future)
    known_at(panel, day, settings.period, str(state))
    planner = Planner(settings, source, model, terms)
    orders = order_table(panel, stock, settings, terms, planner.paths, planner.ratio)
    for problem, count in orders.problems.items():
        note(f"{problem}: {count:,} rows, nothing ordered for them")
    for place in orders.overfull:
        note(f"{place}: nothing more is ordered there")
    write_table(orders.frame, out)
    tuned = planner.tuned(panel)
    chosen = words_of(tuned) if tuned else {"tuned_on_periods": 0}
    emit(
        orders.summary | chosen | {"orders": str(out), "cpu_seconds": round(clock.process_time() - started, 1)}, as_json
    )


@handle_errors
def simulate(
    history: Annotated[Path, typer.Argument(help="Long Parquet or CSV: keys, time, target.")],
    keys: Keys,
    time: Time,
    target: Target,
    state: StateFile,
    config: ConfigFile,
    start: Annotated[str, typer.Option("--from", help="Day of the state: the last period the planner knows at first.")],
    end: Annotated[str, typer.Option("--to", help="Last day played.")],
    policy: Annotated[
        str, typer.Option("--policy", help="recommended, cover, tsb; several separated by commas.")
    ] = "recommended,cover,tsb",
    in_stock: InStock = "",
    skip: Annotated[int, typer.Option("--skip", help="Leave the first periods out of the score.")] = 0,
    plot: Annotated[Path | None, typer.Option("--plot", help="PNG with cost by period and policy.")] = None,
    model: Model = "auto",
    as_json: Json = False,
) -> None:
    """Replay rounds on the history, showing the planner only what was known at each; prints cost and service, draws a plot."""
    from aios_assets.plan_forecasts import STEP, Planner
    from planning.simulate.compare import compare, draw, opening, stretch

    if plot:
        _check_plot(plot)
    panel, stock, settings, terms, source = load(history, keys, time, target, in_stock or None, state, config)
    begin, stop = parse_day(start, "--from"), parse_day(end, "--to")
    first, last = stretch(panel, begin, stop, skip)
    _short(panel, last, stop, settings.period)
    late = opening(panel, stock, first, last)
    joined, absent = int(late.joining.sum()), int(late.absent.sum())
    if joined:
        note(f"{joined:,} series are first sold after --from: each joins when it starts")
    if absent:
        note(f"{absent:,} series are first sold after --to and are not played")
    planner = Planner(settings, source, model, terms, keep=STEP[settings.period])
    found = compare(
        panel, stock, settings, terms, begin, stop, [p.strip() for p in policy.split(",") if p.strip()],
        planner.paths, skip, planner.ratio,
    )  # fmt: skip
    if plot:
        draw(found, plot)
    rows = [{"policy": name, **{k: round(v, 4) for k, v in r.totals(skip).items()}} for name, r in found.items()]
    played = {
        "series": panel.keys.height - absent, "joined_series": joined, "absent_series": absent,
        "periods": last - first, "first_period": str(panel.periods[first + 1]), "last_period": str(panel.periods[last]),
    }  # fmt: skip
    emit({"policies": rows, **played, "plot": str(plot) if plot else None} if as_json else rows, as_json)


def _check_plot(path: Path) -> None:
    """Refuse a plot that could not be written, before anything is played.

    Raises:
        UsageError: another ending, or no such folder.
    """
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UsageError("the plot must end in .png, .pdf or .svg", where=str(path), todo="give it such a name")
    if not path.parent.is_dir():
        raise UsageError("the folder of the plot does not exist", where=str(path.parent), todo="make it first")


def _short(panel: Panel, last: int, stop: date, period: str) -> None:
    """Say when the history ends before the last day that was to be played."""
    from planning.panel import calendar

    lacking = len(calendar(panel.periods[last], stop, period)) - 1
    if lacking > 0:
        note(
            f"the history ends with the period of {panel.periods[last]}: {lacking:,} periods up to --to are not played"
        )


@handle_errors
def solve(
    kind: Annotated[
        str,
        typer.Argument(
            help="What to solve: eoq, newsvendor-normal, s-s-poisson, serial, transport, … `list` names all."
        ),
    ],
    source: Annotated[
        Path | None, typer.Option("--from", help="JSON with the inputs, by name (or under `inputs`).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Solve a textbook inventory problem exactly: the same functions the planner uses."""
    import json

    from planning.solve import KINDS
    from planning.solve import solve as answer

    if kind == "list":
        emit(sorted(KINDS), as_json)
        return
    if source is None:
        raise UsageError("--from names no file", todo="give a JSON file with the inputs")
    try:
        values = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"the inputs cannot be read: {error}", where=str(source)) from error
    emit(answer(kind, values.get("inputs", values) if isinstance(values, dict) else values), as_json)
