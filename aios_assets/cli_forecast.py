"""`aios forecast` and `aios backtest`: any demand panel in, calibrated forecasts or their measured quality out.

No network, no state, seed fixed: the same files give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors, note
from aios_assets.cli_tables import check_output, read_table, write_table
from aios_assets.contracts.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from ml.forecasting import PanelForecast, PanelSpec
    from ml.panel import PanelData

Panel = Annotated[Path, typer.Argument(help="long CSV or Parquet file: one row per series and period", metavar="PANEL")]
Keys = Annotated[
    str, typer.Option("--keys", help="columns that name a series, separated by commas; empty for one series")
]
Time = Annotated[str, typer.Option("--time", help="date column (YYYY-MM-DD)")]
Target = Annotated[str, typer.Option("--target", help="demand column")]
Freq = Annotated[str, typer.Option("--freq", help="D, W or M")]
Horizon = Annotated[int, typer.Option("--horizon", help="periods ahead")]
InStock = Annotated[
    str, typer.Option("--in-stock", help="column that is false where stock ran out (sales are then a lower bound)")
]
Future = Annotated[
    Path | None, typer.Option("--future", help="keys, time and covariates known ahead; their past is read from PANEL")
]
Static = Annotated[Path | None, typer.Option("--static", help="keys and attributes, one row per series")]
Quantiles = Annotated[str, typer.Option("--quantiles", help="levels between 0 and 1, separated by commas")]
Model = Annotated[str, typer.Option("--model", help="force one model; auto lets them compete")]
Gaps = Annotated[str, typer.Option("--gaps", help="what a missing period inside a series means: unknown or zero")]
Seed = Annotated[int, typer.Option("--seed", help="seed of every random choice")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
DEFAULT_QUANTILES = "0.05,0.1,0.25,0.5,0.75,0.9,0.95"


@handle_errors
def forecast(
    panel: Panel,
    time: Time,
    target: Target,
    freq: Freq,
    horizon: Horizon,
    out: Annotated[Path, typer.Option("--out", help="file to write, CSV or Parquet by its ending")],
    keys: Keys = "",
    in_stock: InStock = "",
    future: Future = None,
    static: Static = None,
    quantiles: Quantiles = DEFAULT_QUANTILES,
    model: Model = "auto",
    gaps: Gaps = "unknown",
    seed: Seed = 7,
    levels: Annotated[
        str,
        typer.Option(
            "--levels", help="levels to reconcile: key columns joined by commas, levels by semicolons, total for all"
        ),
    ] = "",
    levels_out: Annotated[
        Path | None, typer.Option("--levels-out", help="file for the reconciled means of --levels, CSV or Parquet")
    ] = None,
    as_json: Json = False,
) -> None:
    """Forecast every series of a panel; the model is chosen per demand class by its own backtest.

    Writes keys, time, mean and one column per quantile (q0.05 …), and prints what was chosen, why, and the expected error.
    """
    from ml.forecasting import forecast_panel

    check_output(out)
    if bool(levels) != (levels_out is not None):
        raise UsageError("--levels and --levels-out belong together", todo="give both or none")
    if levels_out is not None:
        check_output(levels_out)
    data, types = read_panel(panel, keys, time, target, freq, horizon, in_stock, future, static, gaps)
    spec = _spec(horizon, quantiles, model, seed)
    result = forecast_panel(data, spec, say=(lambda _: None) if as_json else note)
    frame = result.frame.cast({k: t for k, t in types.items() if k in result.frame.columns})  # type: ignore[arg-type]
    write_table(frame, out)
    report = describe(data, spec, result) | {"written": str(out), "rows": frame.height}
    if levels_out is not None:
        from ml.hierarchy import forecast_levels

        wanted = [[] if part.strip() == "total" else part.split(",") for part in levels.split(";")]
        means = result.frame["mean"].to_numpy().reshape(data.n, horizon)
        nodes = forecast_levels(data, spec, means, [[c.strip() for c in part] for part in wanted])
        write_table(nodes, levels_out)
        report |= {"levels_written": str(levels_out), "levels_rows": nodes.height}
    if as_json:
        emit(report, True)
        return
    _print(report)


@handle_errors
def backtest(
    panel: Panel,
    time: Time,
    target: Target,
    freq: Freq,
    horizon: Horizon,
    keys: Keys = "",
    in_stock: InStock = "",
    future: Future = None,
    static: Static = None,
    quantiles: Quantiles = DEFAULT_QUANTILES,
    model: Model = "auto",
    gaps: Gaps = "unknown",
    seed: Seed = 7,
    folds: Annotated[int, typer.Option("--folds", help="number of origins")] = 3,
    stride: Annotated[int, typer.Option("--stride", help="periods between origins; 0 means the horizon")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="write the table to this CSV or Parquet file")] = None,
    tracking: Annotated[
        str, typer.Option("--tracking", help="MLflow store to log to (sqlite:///…): one parent run, a child per fold")
    ] = "",
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            envvar="AIOS_ENGINE",
            help="where folds and models run: inprocess, dask (local workers) or a Dask scheduler's tcp://host:port",
        ),
    ] = "inprocess",
    as_json: Json = False,
) -> None:
    """Measure the whole forecasting procedure at rolling origins, beside the statistical baselines."""
    import sys

    from ml.backtest import backtest_panel

    if out is not None:
        check_output(out)
    data, _ = read_panel(panel, keys, time, target, freq, horizon, in_stock, future, static, gaps)
    spec = _spec(horizon, quantiles, model, seed)
    result = backtest_panel(
        data, spec, folds, stride=stride or None, say=lambda text: print(text, file=sys.stderr), engine=engine
    )
    summary = result.summary()
    run_id = _track(tracking, panel, spec, folds, result) if tracking else ""
    if out is not None:
        write_table(result.table, out)
    if as_json:
        emit({"summary": summary.to_dicts(), "chosen": result.chosen, "run_id": run_id}, True)
        return
    _print_table(summary)
    if run_id:
        print(f"MLflow run {run_id}")


def read_panel(
    panel: Path, keys: str, time: str, target: str, freq: str, horizon: int, in_stock: str, future: Path | None, static: Path | None,
    gaps: str,
) -> tuple[PanelData, dict[str, Any]]:  # fmt: skip
    """Read the files of a call and build the checked panel; also the key columns' types as given."""
    from ml.panel import build_panel

    if gaps not in ("unknown", "zero"):
        raise UsageError(f"a gap cannot mean {gaps}", todo="use unknown or zero")
    if freq not in ("D", "W", "M"):
        raise UsageError(f"frequency {freq} is not known", todo="use D, W or M")
    if horizon < 1:
        raise UsageError(f"a horizon of {horizon} periods is none", todo="use --horizon 1 or more")
    names = [k.strip() for k in keys.split(",") if k.strip()]
    ahead = read_table(future, names) if future else None
    extra = [c for c in ahead.columns if c not in {*names, time}] if ahead is not None else []
    wanted = [*names, time, target, *([in_stock] if in_stock else []), *extra]
    frame = read_table(panel, names, wanted, recent=time if freq == "D" else "")
    attributes = read_table(static, names) if static else None
    data = build_panel(
        frame, names, time, target, freq, horizon, in_stock=in_stock or None, future=ahead, static=attributes, gaps=gaps,  # type: ignore[arg-type]
    )  # fmt: skip
    return data, {k: frame.schema[k] for k in names}


def _spec(horizon: int, quantiles: str, model: str, seed: int) -> PanelSpec:
    from ml.forecasting import PanelSpec

    try:
        levels = tuple(sorted({float(q) for q in quantiles.split(",") if q.strip()}))
    except ValueError as error:
        raise UsageError("quantiles are numbers separated by commas", where=quantiles) from error
    return PanelSpec(horizon=horizon, levels=levels, model=model, seed=seed)


def describe(data: PanelData, spec: PanelSpec, result: PanelForecast) -> dict[str, Any]:
    """What a forecast run says of itself."""
    return {
        "series": data.n, "periods": data.periods, "first": data.day(0), "last": data.day(data.periods - 1), "horizon": spec.horizon,
        "seed": spec.seed, "chosen": result.chosen, "expected": result.expected, "candidates": result.candidates.to_dicts(),
        "notes": list(result.notes),
    }  # fmt: skip


def _print(report: dict[str, Any]) -> None:
    print(
        f"{report['series']:,} series, {report['periods']:,} periods from {report['first']} to {report['last']}, {report['horizon']} ahead"
    )
    for found in report["notes"]:
        print(f"note: {found}")
    for name, words in report["chosen"].items():
        ranked: dict[float, str] = {}  # a seasonal model of a short series is another model: each is named once
        for one in report["candidates"]:
            if one["segment"] == name:
                ranked.setdefault(one["scaled_error"], one["model"])
        why = ", ".join(f"{model} {error:.4f}" for error, model in list(ranked.items())[:3])
        print(f"{name}: {words} (least scaled squared error on held-out periods; best single models: {why})")
    for name, figures in report["expected"].items():
        shown = ", ".join(
            f"{k} {v:.4g}" if k == "pinball" else f"{k} {v:.3f}"
            for k, v in figures.items()
            if k in ("wape_frac", "bias_frac", "pinball", "coverage80_frac")
        )
        print(f"expected {name}: {shown} ({int(figures['rows']):,} held-out rows)")
    print(f"wrote {report['rows']:,} rows to {report['written']}")
    if "levels_written" in report:
        print(f"wrote {report['levels_rows']:,} rows of reconciled levels to {report['levels_written']}")


def _print_table(table: pl.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = [
        "by",
        "segment",
        "model",
        "wape_frac",
        "bias_frac",
        "mase",
        "rmsse",
        "pinball",
        "crps",
        "coverage80_frac",
        "coverage90_frac",
    ]
    columns = [c for c in shown if c in table.columns]
    view = Table(*columns)
    for row in table.select(columns).iter_rows():
        view.add_row(*(f"{v:.4f}" if isinstance(v, float) else str(v) for v in row))
    Console(width=160).print(view)


def _track(uri: str, panel: Path, spec: PanelSpec, folds: int, result: Any) -> str:
    import polars as pl

    from ml.tracking import Tracking, flat
    from ml.training import plot_pinball

    store = Tracking(uri, Path(uri.removeprefix("sqlite:///")).parent / "artifacts", experiment="backtest")
    summary = result.summary()
    metrics: Callable[[pl.DataFrame], dict[str, float]] = lambda t: {  # noqa: E731
        f"{m}.{r['segment']}.{r['model']}": r[m]
        for r in t.iter_rows(named=True)
        for m in ("pinball", "rmsse", "wape_frac", "bias_frac", "coverage80_frac")
        if r[m] is not None
    }
    params = flat(
        {"panel": panel.name, "horizon": spec.horizon, "model": spec.model, "seed": spec.seed, "folds": folds}
    )
    classes = summary.filter(pl.col("by").is_in(["all", "demand_class"]))
    files = {"summary.csv": summary.write_csv().encode(), "plots/pinball.png": plot_pinball(classes)}
    parent = store.log_run("backtest", params, metrics(summary), files)
    for fold, part in result.table.group_by("fold", maintain_order=True):
        chosen = flat({"chosen": result.chosen[int(fold[0])], "origin": str(part["origin"][0])})
        store.log_run(f"fold {fold[0]}", chosen, metrics(part), {"scores.csv": part.write_csv().encode()}, {}, parent)
    return parent
