"""What a person reads after a night: documents, rejects, rows, forecast quality, verdicts, the ten best recommendations."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.registry import TABLES

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

TOP = 10
WIDTH = 160


def night_summary(lake: Lake, day: date, ours: Sequence[str] = ()) -> dict[str, Any]:
    """The figures of the night of `day`, as one mapping that `--json` prints and `render` draws.

    Args:
        lake: tables.
        day: business day.
        ours: our identifications in EDI envelopes; none tells them from the envelopes.
    """
    return {
        "day": day.isoformat(),
        "documents": documents(lake),
        "acknowledgements": acknowledgements(lake, day, ours),
        "rejects": rejects(lake),
        "rows": rows_by_layer(lake),
        "quality": quality(lake, day),
        "backtest": backtest(lake, day),
        "gates": gates(lake, day),
        "findings": findings(lake, day),
        "recommendations": recommendations(lake, day),
        "decisions": decisions(lake, day),
        "undecided": undecided(lake, day),
    }


def documents(lake: Lake) -> dict[str, Any]:
    """Documents and interchanges by outcome."""
    kinds = lake.scan("raw_edi__documents").group_by("kind_code").len().sort("kind_code").collect()
    verdicts = lake.scan("raw_edi__interchanges").group_by("verdict_code").len().sort("verdict_code").collect()
    duplicates = lake.scan("raw_edi__deliveries").filter(pl.col("is_duplicate")).select(pl.len()).collect().item()
    return {"taken": dict(kinds.iter_rows()), "interchanges": dict(verdicts.iter_rows()), "delivered_twice": duplicates}


def acknowledgements(lake: Lake, day: date, ours: Sequence[str]) -> dict[str, int]:
    """What we sent by state; empty where it cannot be told who we are.

    As of the newest document, or of the end of the day where nothing came since: partners who fall silent are overdue, too.
    """
    from aios_assets.acknowledgements import acknowledgement_states, count_states
    from aios_assets.contracts.errors import UsageError

    newest = lake.scan("raw_edi__interchanges").select(pl.col("available_at_utc").max()).collect().item()
    if newest is None:
        return {}
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    try:
        return count_states(acknowledgement_states(lake, max(newest, end), ours))
    except UsageError:
        return {}


def rejects(lake: Lake) -> list[dict[str, Any]]:
    """What was set aside, by reason."""
    return (
        lake.scan("raw_edi__rejects")
        .group_by("level_code", "error_code")
        .agg(pl.len().alias("rows"), pl.col("reason").first())
        .sort("rows", "level_code", "error_code", descending=[True, False, False])
        .collect()
        .to_dicts()
    )


def rows_by_layer(lake: Lake) -> dict[str, dict[str, int]]:
    """Rows of every table, by stage."""
    result: dict[str, dict[str, int]] = {}
    for table in TABLES.values():
        if lake.exists(table):
            result.setdefault(table.stage, {})[table.name] = lake.count(table)
    return result


def quality(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Forecast quality of the newest day measured, model beside baseline, by demand class."""
    frame = lake.read("mon_forecast_quality", where=pl.col("quality_date") <= day)
    if frame.is_empty():
        return []
    newest = frame.filter(pl.col("quality_date") == frame["quality_date"].max())
    return newest.sort("demand_class", "model_name").drop("available_at_utc").to_dicts()


def backtest(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Rolling-origin scores of the newest demand version, beside seasonal naive, by demand class, on days it had not seen.

    Demand comes in whole units, so the true share inside p10 to p90 lies between the share strictly inside and the share with
    the limits counted in; both are shown.
    """
    where = (pl.col("model_name") == "demand") & (pl.col("trained_on_date") <= day)
    scores = lake.read("mon_backtest_scores", where=where)
    if scores.is_empty():
        return []
    newest = scores.filter(pl.col("trained_on_date") == scores["trained_on_date"].max())
    sums = pl.col("rows", "pinball_sum_ea", "closed80_rows", "open80_rows").sum()
    whole = newest.group_by("model_version", "role").agg(sums).with_columns(pl.lit("all").alias("demand_class"))
    parts = newest.group_by("model_version", "role", "demand_class").agg(sums)
    both = pl.concat([whole.select(parts.columns), parts])
    naive = both.filter(pl.col("role") == "naive").select("demand_class", pl.col("pinball_sum_ea").alias("naive_sum"))
    mine = both.filter(pl.col("role") == "challenger").join(naive, on="demand_class").sort("demand_class")
    return mine.select(
        "model_version",
        "demand_class",
        "rows",
        (pl.col("pinball_sum_ea") / pl.col("rows")).alias("pinball_ea"),
        (pl.col("naive_sum") / pl.col("rows")).alias("pinball_naive_ea"),
        (1 - pl.col("pinball_sum_ea") / pl.col("naive_sum")).alias("below_naive_frac"),
        (pl.col("open80_rows") / pl.col("rows")).alias("inside_p10_p90_frac"),
        (pl.col("closed80_rows") / pl.col("rows")).alias("inside_or_on_frac"),
    ).to_dicts()


def gates(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Verdicts of the night."""
    frame = lake.read("mon_gate_verdicts", where=pl.col("verdict_date") == day)
    columns = ("gate_code", "subject", "is_passed", "metric", "value", "threshold", "reason")
    return frame.sort("gate_code", "subject").select(columns).to_dicts()


def findings(lake: Lake, day: date, days: int = 7) -> list[dict[str, Any]]:
    """Business faults and anomalies of the last days, by kind."""
    where = pl.col("finding_date").is_between(day - timedelta(days=days), day)
    frame = lake.read("mon_findings", where=where)
    return (
        frame.group_by("kind_code")
        .agg(
            pl.len().alias("found"),
            pl.col("money_at_risk_usd").sum().round(2),
            pl.col("reason").sort_by("finding_id").first(),
        )
        .sort("kind_code")
        .to_dicts()
    )


def recommendations(lake: Lake, day: date, top: int = TOP) -> list[dict[str, Any]]:
    """The recommendations worth most money."""
    where = (pl.col("as_of_date") == day) & (pl.col("decision_code") != "none")
    columns = (
        "rank_no", "rec_id", "decision_code", "item_id", "site_id", "source_id", "quantity_ea", "base_unit_code", "currency_code",
        "order_cost_usd", "money_at_stake_usd", "due_date", "confidence_frac", "reason",
    )  # fmt: skip
    return lake.read("rec_decisions", where=where).sort("rank_no").head(top).select(columns).to_dicts()


def decisions(lake: Lake, day: date) -> list[dict[str, Any]]:
    """How many decisions of each kind, and what they are worth."""
    frame = lake.read("rec_decisions", where=pl.col("as_of_date") == day)
    return (
        frame.group_by("decision_code")
        .agg(
            pl.len().alias("rows"), pl.col("order_cost_usd").sum().round(2), pl.col("money_at_stake_usd").sum().round(2)
        )
        .sort("decision_code")
        .to_dicts()
    )


def undecided(lake: Lake, day: date) -> list[dict[str, Any]]:
    """How many items and sites nothing can be decided for, by what is missing; reasons that differ in names or figures count as one.

    Returns:
        rows, reason (that of the first item and site), most rows first.
    """
    where = (pl.col("as_of_date") == day) & pl.col("reason").str.starts_with("Nothing can be decided")
    found = lake.read("rec_decisions", columns=["item_id", "site_id", "reason"], where=where)
    kind = pl.col("reason").str.replace_all(r"\bitem \S+|\S*\d\S*", "#")
    return (
        found.sort("item_id", "site_id")
        .group_by(kind.alias("kind"), maintain_order=True)
        .agg(pl.len().alias("rows"), pl.col("reason").first())
        .sort("rows", "kind", descending=[True, False])
        .drop("kind")
        .to_dicts()
    )


def why_nothing(summary: dict[str, Any]) -> str:
    """Why the night recommends nothing, in one line."""
    if not summary["decisions"] and any(night["day"] == summary["day"] for night in summary["unfinished"]):
        return "nothing was decided, for the night did not come that far: what is to be ordered is not known"
    if not summary["decisions"]:
        return "nothing is recommended: neither stock nor a forecast of any item and site is known"
    blocked = summary["undecided"]
    if not blocked:
        return "nothing is recommended: what is on hand and on order is enough everywhere"
    rows = sum(d["rows"] for d in summary["decisions"])
    said = blocked[0]["reason"].removeprefix("Nothing can be decided: ").rstrip(".")
    return f"nothing is recommended: {said}, for {blocked[0]['rows']:,} of {rows:,} items and sites"


def render(summary: dict[str, Any], home: str) -> None:
    """Draw the summary in the terminal."""
    from rich.console import Console
    from rich.panel import Panel

    from monitoring.gates import NO_CHAMPION

    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(Panel(f"Night of {summary['day']}", style="bold"))
    for line in how_they_stand(summary["unfinished"]):
        console.print(line, style="bold red", markup=False, highlight=False)
    docs = summary["documents"]
    console.print("[bold]Documents[/] " + ", ".join(f"{n:,} {k}" for k, n in docs["taken"].items()))
    console.print("  interchanges: " + (", ".join(f"{n:,} {k}" for k, n in docs["interchanges"].items()) or "none"))
    console.print(f"  delivered twice, taken once: {docs['delivered_twice']:,}")
    console.print("  acknowledgements of what we sent: " + _states(summary["acknowledgements"]))
    _table(console, "Set aside, and why", summary["rejects"][:TOP], "nothing was set aside")
    for stage, tables in sorted(summary["rows"].items()):
        console.print(f"[bold]{stage}[/] " + ", ".join(f"{name} {rows:,}" for name, rows in tables.items()))
    _table(
        console,
        "Forecast quality on held-out days, against seasonal naive",
        summary["backtest"],
        "no model was trained yet",
    )
    _table(console, "Quality of matured forecasts", summary["quality"], "no forecast has matured yet")
    _table(console, "Gates", summary["gates"], "no gate was judged")
    if any((g["gate_code"], g["subject"]) == ("champion_age", "none") for g in summary["gates"]):
        console.print(f"  {NO_CHAMPION}", highlight=False, markup=False, soft_wrap=True)
    _table(console, "Findings of the last week", summary["findings"], "none")
    _table(console, "Decisions", summary["decisions"], "none")
    if summary["undecided"]:
        _table(console, "Nothing can be decided, and why", summary["undecided"][:TOP], "")
    _recommendations(console, summary["recommendations"], why_nothing(summary))
    console.print(
        "[bold]Next[/] `make ui` for lineage and models · `aios explain REC_ID` from a recommendation to the raw bytes, "
        "`aios explain ITEM@SITE` why something is ordered there or not · "
        f"`aios quarantine list` for what was set aside · reports in {home}/reports/{summary['day']}"
    )


def how_they_stand(nights: list[dict[str, Any]]) -> list[str]:
    """What became of the nights that were begun; those that a rebuild dropped in one line."""
    dropped = [night["day"] for night in nights if night["is_dropped"]]
    lines = [how_it_stands(night) for night in nights if night["failed_steps"] or not night["is_dropped"]]
    if dropped and any(night["is_under_way"] for night in nights):
        lines.append(f"A rebuild is under way; {len(dropped):,} nights from {dropped[0]} on are still to be run again.")
    elif dropped:
        gone = f"the nights {dropped[0]} to {dropped[-1]} ({len(dropped):,})"
        lines.append(f"A rebuild dropped {gone} and did not run them again: NOT FINISHED. To do: aios rebuild")
    return lines


def how_it_stands(night: dict[str, Any]) -> str:
    """What became of a night that was begun, in one line."""
    if night["is_under_way"]:
        return f"The night of {night['day']} is under way."
    steps = "; ".join(f"{step}: {cause}" for step, cause in zip(night["failed_steps"], night["causes"], strict=True))
    why = f"failed at {steps} (run {night['run_id']} in `make ui`)" if steps else "was ended before its time"
    return f"The night of {night['day']} {why}: NOT FINISHED. To do: aios run --day {night['day']}"


def money_words(row: Mapping[str, Any], amount: str) -> str:
    """An amount of a decision with its currency; those decided before rows named one are in USD."""
    return f"{row[amount]:,.2f} {row['currency_code'] or 'USD'}"


def _recommendations(console: Any, rows: list[dict[str, Any]], otherwise: str) -> None:
    """Each recommendation with its reason, which no column of a table is wide enough for."""
    if not rows:
        console.print(f"[bold]Worth most money[/]: {otherwise}")
        return
    console.print("[bold]Worth most money[/]")
    for row in rows:
        source = f" from {row['source_id']}" if row["source_id"] else ""
        due = f", due {row['due_date']}" if row["due_date"] else ""
        console.print(
            f"{row['rank_no']:>3}  {row['decision_code']} {row['quantity_ea']:,.0f} {row['base_unit_code'] or 'ea'} of {row['item_id']} at "
            f"{row['site_id']}{source}{due}: costs {money_words(row, 'order_cost_usd')}, at stake {money_words(row, 'money_at_stake_usd')}, "
            f"confidence {row['confidence_frac']:.0%}  ({row['rec_id']})",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        console.print(f"     {row['reason']}", highlight=False, markup=False, soft_wrap=True)


def _states(counts: dict[str, int]) -> str:
    if not counts:
        return "nobody knows who we are; set AIOS_OUR_IDS"
    said = ", ".join(f"{n:,} {state.replace('_', ' ')}" for state, n in counts.items() if n) or "nothing was sent"
    if counts["overdue"] and not any(n for state, n in counts.items() if state not in ("overdue", "waiting")):
        said = f"no partner has sent any yet, {said}"
    if counts["rejected"]:
        return f"{said} (`aios edi acks`)"
    return said + (" (`aios edi acks --overdue`)" if counts["overdue"] else "")


def _table(console: Any, title: str, rows: list[dict[str, Any]], otherwise: str) -> None:
    from rich.table import Table

    if not rows:
        console.print(f"[bold]{title}[/]: {otherwise}")
        return
    table = Table(title=title, title_justify="left", title_style="bold", show_lines=False, expand=False)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=name != "reason")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 10
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )
