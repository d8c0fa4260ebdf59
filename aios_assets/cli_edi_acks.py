"""`aios edi acks` and `aios edi orders`: what we sent and what came back, from the documents in the lake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from aios_assets.cli_common import emit, handle_errors
from aios_assets.contracts.errors import UsageError

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        help="moment of asking, in UTC; now otherwise",
    ),
]
OurIds = Annotated[
    str,
    typer.Option(
        "--our-id",
        envvar="AIOS_OUR_IDS",
        help="our identifications, separated by commas; otherwise who is a party to most interchanges of a standard",
    ),
]


def mount(app: typer.Typer) -> None:
    """Put the commands under `aios edi`."""
    app.command("acks")(acks)
    app.command("orders")(orders)


def _lake() -> Lake:
    from aios_assets.resources.lake import Lake
    from aios_assets.settings import Settings

    return Lake(Settings().lake_root)


def _moment(as_of: datetime | None) -> datetime:
    from aios_assets.resources.clock import now_utc

    return now_utc() if as_of is None else as_of.replace(tzinfo=UTC)


@handle_errors
def acks(
    overdue: Annotated[bool, typer.Option("--overdue", help="only what is overdue")] = False,
    as_of: AsOf = None,
    hours: Annotated[float, typer.Option("--hours", help="how long a partner may take")] = 24.0,
    our_ids: OurIds = "",
    as_json: Json = False,
) -> None:
    """List what we sent and whether it was acknowledged: overdue, rejected, accepted with errors, waiting or accepted."""
    if hours < 0:
        raise UsageError(f"--hours {hours:g} is below zero", todo="give how long a partner may take")
    from aios_assets.acknowledgements import acknowledgement_states, count_states

    moment = _moment(as_of)
    ours = [name.strip() for name in our_ids.split(",") if name.strip()]
    rows = acknowledgement_states(_lake(), moment, ours, timedelta(hours=hours))
    counts = count_states(rows)
    shown = rows.filter(state="overdue") if overdue else rows
    listed = shown.to_dicts()
    if as_json:
        emit({"as_of": moment, "our_ids": sorted(rows["our_id"].unique()), "counts": counts, "sent": listed}, True)
        return
    print(f"{'state':<21}{'partner':<16}{'sent, UTC':<18}{'control':<15}{'group':<12}sets")
    for r in listed:
        sent, group = f"{r['sent_at_utc']:%Y-%m-%d %H:%M}", r["group_control_number"] or "-"
        print(f"{r['state']:<21}{r['partner_id']:<16}{sent:<18}{r['control_number']:<15}{group:<12}{r['set_codes']}")
    print(f"as of {moment:%Y-%m-%d %H:%M} UTC: " + ", ".join(f"{n:,} {state}" for state, n in counts.items()))


@handle_errors
def orders(as_of: AsOf = None, as_json: Json = False) -> None:
    """List the order lines of which the two sides do not say the same, or of which something is late in the order of things."""
    import polars as pl

    from aios_assets.edi.reconcile import READ, order_findings, order_state

    moment, lake = _moment(as_of), _lake()
    known = pl.col("available_at_utc") <= moment
    found = order_findings(order_state({name: lake.read(name, where=known) for name in READ}))
    if as_json:
        emit({"as_of": moment, "findings": found.to_dicts()}, True)
        return
    for order, item, code, reason in found.iter_rows():
        print(f"{order:<18}{item:<18}{code:<26}{reason}")
    print(f"as of {moment:%Y-%m-%d %H:%M} UTC: {found.height:,} findings")
