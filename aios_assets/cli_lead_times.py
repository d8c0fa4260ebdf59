"""`aios lead-times`: lead-time quantiles and the chance of being late for any order table. No network, no state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aios_assets.cli_common import emit, handle_errors, note, parse_day
from aios_assets.cli_tables import check_output, read_table, write_table
from aios_assets.contracts.days import as_days
from aios_assets.contracts.errors import BadInputError, RefusedError, UsageError

if TYPE_CHECKING:
    import polars as pl

_NAMES: dict[str, tuple[str, ...]] = {
    "ordered": (
        "order_date",
        "ordered_date",
        "ordered",
        "ordered_at",
        "po_date",
        "po_sent_date",
        "purchase_order_date",
        "placed_date",
        "date_ordered",
    ),
    "received": (
        "received_date",
        "received",
        "receipt_date",
        "delivered_date",
        "delivery_date",
        "arrival_date",
        "arrived_date",
        "date_received",
        "delivered",
    ),
    "supplier": (
        "supplier",
        "supplier_id",
        "vendor",
        "vendor_id",
        "source_id",
        "supplier_name",
        "vendor_name",
        "seller",
    ),
    "due": ("due_date", "due", "promised_date", "promise_date", "requested_date", "required_date", "need_by_date"),
    "order": ("order_number", "order_no", "order_id", "po_no", "po_number", "po_id", "purchase_order", "po"),
}


@handle_errors
def lead_times(
    orders: Annotated[
        Path, typer.Argument(help="Orders, CSV or Parquet: one line per order line, received date empty while open.")
    ],
    as_of: Annotated[str, typer.Option("--as-of", help="Last day known, YYYY-MM-DD; nothing dated later is used.")],
    predict: Annotated[Path, typer.Option("--predict", help="Rows to answer, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the answer, .csv or .parquet.")],
    ordered: Annotated[
        str | None, typer.Option("--ordered", help="Column of the order date; found by its name when not given.")
    ] = None,
    received: Annotated[
        str | None, typer.Option("--received", help="Column of the received date; found by its name when not given.")
    ] = None,
    supplier: Annotated[
        str | None, typer.Option("--supplier", help="Column of the supplier; found by its name when not given.")
    ] = None,
    due: Annotated[
        str | None, typer.Option("--due", help="Column of the due date that 'late' is measured against.")
    ] = None,
    order: Annotated[
        str | None, typer.Option("--order", help="Column of the order number: lines of one order are one observation.")
    ] = None,
    quantiles: Annotated[
        str, typer.Option("--quantiles", help="Levels, with commas.")
    ] = "0.05,0.1,0.25,0.5,0.75,0.9,0.95",
    model: Annotated[
        str | None, typer.Option("--model", help="Force effects or grouped; otherwise walk-forward chooses.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop with exit code 1 when a column leaks the outcome.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Forecast lead times: quantiles in days and the probability of being late, per row of a file.

    Orders still open count as not yet arrived. Columns that leak the outcome are found and refused with the reason.
    Without a due date, late means later than eight of ten recent orders of that supplier (column late_after_date).
    """
    from ml.lead_time.orders import OrderColumns, forecast_lead_times

    day = parse_day(as_of, "--as-of")
    levels = _levels(quantiles)
    check_output(out)
    table = read_table(orders)
    coded = _column(table, "supplier", supplier)
    table, rows = _alike(orders, predict, table, coded)
    columns = OrderColumns(
        ordered=_column(table, "ordered", ordered, needed=True) or "",
        received=_column(table, "received", received, needed=True) or "",
        supplier=coded,
        due=_due_column(table, rows, due),
        order=_column(table, "order", order),
    )
    days = [columns.ordered, columns.received, columns.due]
    table, rows = _dated(table, days, orders), _dated(rows, days, predict)
    _undated(rows, columns.ordered, columns.due)
    _arrived(rows, columns.received, day)
    answer = forecast_lead_times(table, rows, columns, day, quantiles=levels, model=model)
    if strict and answer.refused:
        worst = "; ".join(f"{c}: {why}" for c, why in answer.refused.items())
        raise RefusedError(
            f"columns leak the outcome: {worst}",
            where=str(orders),
            count=len(answer.refused),
            todo="leave them out, or drop --strict",
        )
    write_table(answer.rows, out)
    report: dict[str, object] = {
        "out": str(out), "rows": answer.rows.height, "as_of": day.isoformat(), "model": answer.model, "why": answer.why,
        "ordered": columns.ordered, "received": columns.received, "supplier": columns.supplier, "due": columns.due, "order": columns.order,
        "used": list(answer.used), "refused": answer.refused, "ignored": answer.ignored, "set_aside": answer.set_aside,
        "unseen": answer.unseen, "expected_error": answer.checks,
    }  # fmt: skip
    if as_json:
        emit(report, True)
    else:
        _tell(report)


def _undated(rows: pl.DataFrame, ordered: str, due: str | None) -> None:
    """Tell of rows to answer without an order date: how long they have waited, and until when, cannot be known."""
    count = rows[ordered].null_count() if ordered in rows.columns else rows.height
    if count:
        late = f", {due} is not used, and late means later than eight of ten recent orders" if due else ""
        note(
            f"{count:,} of {rows.height:,} rows to answer have no {ordered}: they are answered as orders made now{late}"
        )


def _arrived(rows: pl.DataFrame, received: str, day: date) -> None:
    """Tell of rows to answer that have arrived: the answer does not look at the received date."""
    import polars as pl

    if received in rows.columns and rows.schema[received].is_temporal():
        count = rows.filter(pl.col(received).dt.date() <= day).height
        if count:
            note(
                f"{count:,} of {rows.height:,} rows to answer were received by {day}: they are answered as if still open, "
                "leave them out"
            )


def _alike(orders: Path, predict: Path, table: pl.DataFrame, supplier: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both files with the same columns as text: 007 among names is 007 in a file of numbers only, too."""
    import polars as pl

    texts = {c for c, kind in table.schema.items() if kind == pl.String} | ({supplier} if supplier else set())
    rows = read_table(predict, texts)
    more = {c for c, kind in rows.schema.items() if kind == pl.String and table.schema.get(c, kind) != kind}
    return (read_table(orders, texts | more) if more else table), rows


def _tell(report: dict[str, object]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{report['rows']:,}[/] rows answered as of {report['as_of']} → {report['out']}")
    console.print(f"model [bold]{report['model']}[/]: {report['why']}")
    checks = report["expected_error"]
    if isinstance(checks, dict):
        for name, c in checks.items():
            console.print(
                f"  walk-forward {name}: pinball {c['pinball_days']:.2f} days, {c['below_p50_frac']:.0%} below p50, "
                f"{c['below_p90_frac']:.0%} below p90, {c['orders']:.0f} order lines"
            )
    console.print(
        f"columns: ordered {report['ordered']}, received {report['received']}, supplier {report['supplier']}, due {report['due']}, order {report['order']}"
    )
    used = report["used"]
    if isinstance(used, list):
        console.print(f"learned from: {', '.join(used) or 'nothing but the dates'}")
    titles = {
        "[red]refused[/]": "refused", "not used": "ignored", "rows set aside": "set_aside",
        "rows of a supplier without orders, answered from all others": "unseen",
    }  # fmt: skip
    for title, key in titles.items():
        entries = report[key]
        if isinstance(entries, dict):
            for name, why in entries.items():
                console.print(f"{title}: {name}: {why}")


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise UsageError(
            f"{text!r} are no quantiles", where="--quantiles", todo="write them as 0.05,0.5,0.95"
        ) from error


def _column(table: pl.DataFrame, part: str, given: str | None, *, needed: bool = False) -> str | None:
    """The column that plays this part: named by the caller, else the first known name in the table."""
    if given is not None:
        if given not in table.columns:
            raise BadInputError(
                f"column {given!r} is missing", where=f"--{part}", todo=f"the file has {', '.join(table.columns[:12])}"
            )
        return given
    lower = {c.lower().strip().replace(" ", "_"): c for c in table.columns}
    for name in _NAMES[part]:
        if name in lower:
            return lower[name]
    if needed:
        raise BadInputError(
            f"cannot tell which column is the {part} date",
            where=", ".join(table.columns[:12]),
            todo=f"name it with --{part}",
        )
    return None


def _due_column(table: pl.DataFrame, rows: pl.DataFrame, given: str | None) -> str | None:
    if given is not None:
        if given not in rows.columns:
            raise BadInputError(
                f"column {given!r} is missing from the rows to answer",
                where="--due",
                todo=f"they have {', '.join(rows.columns[:12])}",
            )
        return given
    return _column(rows, "due", None)


def _dated(frame: pl.DataFrame, names: Sequence[str | None], where: Path) -> pl.DataFrame:
    """Text columns that should be dates, as dates; one that is not is an error with its first bad value."""
    import polars as pl

    texts = [n for n in names if n is not None and frame.schema.get(n) == pl.String]
    return frame.with_columns(as_days(frame[n], str(where), empty=True) for n in texts)


def mount(app: typer.Typer) -> None:
    """Put `lead-times` on the command line."""
    app.command("lead-times")(lead_times)
