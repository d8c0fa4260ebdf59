"""The chain behind a recommendation, drawn as a tree for a person."""

from __future__ import annotations

from typing import Any

from aios_assets.contracts.registry import TABLES
from aios_assets.summary import money_words


def render(chain: dict[str, Any]) -> None:
    """Print the chain as a tree."""
    from rich.console import Console
    from rich.tree import Tree

    rec = chain["recommendation"]
    tree = Tree(
        f"[bold]{rec['decision_code']} {rec['quantity_ea']:,.0f} {rec['base_unit_code'] or 'ea'}[/] of {rec['item_id']} at {rec['site_id']} ({rec['rec_id']})"
    )
    tree.add(rec["reason"])
    tree.add(
        f"as of {rec['as_of_date']}, money at stake {money_words(rec, 'money_at_stake_usd')}, confidence {rec['confidence_frac']:.0%}"
    )
    _forecast(tree, chain)
    _section(
        tree,
        "stock",
        "fct_inventory_daily",
        chain["stock"],
        ("inventory_date", "opening_qty_ea", "receipts_qty_ea", "outbound_qty_ea", "closing_qty_ea"),
    )
    _section(
        tree,
        "orders",
        "fct_order_events",
        chain["open_orders"],
        ("event_code", "event_date", "order_number", "quantity_ea", "expected_date"),
    )
    _section(
        tree,
        "demand",
        "fct_demand_daily",
        chain["demand"],
        ("demand_date", "version_no", "sales_qty_ea", "closing_qty_ea", "is_stockout"),
    )
    if chain["kept_out"]:
        newest = chain["kept_out"][-1]
        kept = tree.add(f"[bold]kept out because of their unit[/] ({len(chain['kept_out'])} lines of the last weeks)")
        kept.add(f"{newest['reason']}  ← {newest['subject']}, document {newest['document_id'][:12]}…")
    documents = tree.add(f"[bold]documents[/] ({len(chain['documents'])})")
    for row in chain["documents"]:
        place = f"bytes {row['byte_start']}–{row['byte_end']}" if "byte_start" in row else f"row {row['segment_no']}"
        leaf = documents.add(f"{row.get('source_uri', 'missing')}  {place}  sha256 {row['document_id'][:16]}…")
        if row.get("text"):
            leaf.add(row["text"].strip())
    Console().print(tree)


def _forecast(tree: Any, chain: dict[str, Any]) -> None:
    rows, model = chain["forecast"], chain["model"]
    if not rows:
        tree.add("no forecast")
        return
    total = sum(r["demand_qty_ea_mean"] for r in rows)
    branch = tree.add(
        f"[bold]forecast[/] {total:,.1f} ea over {len({r['horizon_days'] for r in rows})} days at {len({r['site_id'] for r in rows})} sites by {model['model_name']} version {model['model_version']}"
    )
    branch.add(
        f"artefact sha256 {model['model_digest'][:16]}…"
        + (f", fallback: {model['fallback_reason']}" if model["is_fallback"] else "")
    )
    for row in model.get("deployments", []):
        branch.add(f"{row['alias']} from {row['valid_from_utc']}: {row['reason']}")
    for row in chain["features"]:
        shown = {
            k: v
            for k, v in row.items()
            if v is not None and k.startswith(("sales_qty_ea_lag_0", "sales_qty_ea_mean", "days_since", "price_usd"))
        }
        branch.add("features " + ", ".join(f"{k} {v:,.2f}" for k, v in shown.items()))
    for row in chain["lead_time"]:
        branch.add(
            f"lead time {row['lead_time_days_p50']:.1f} days (90 %: {row['lead_time_days_p90']:.1f}) from {row['received_orders']} orders"
        )


def _section(tree: Any, title: str, table: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    branch = tree.add(f"[bold]{title}[/] ({len(rows)})")
    for row in rows:
        pointer = f"document {row['document_id'][:12]}… set {row['set_no']} segment {row['segment_no']}"
        branch.add(", ".join(figure(table, c, row[c]) for c in columns) + f"  ← {pointer}")


def figure(table: str, column: str, value: object) -> str:
    """A figure with its name; one that is not known says why, in the words of the table's contract.

    >>> figure("fct_inventory_daily", "closing_qty_ea", 12.0)
    'closing_qty_ea 12.0'
    >>> figure("fct_inventory_daily", "opening_qty_ea", None)
    'opening_qty_ea unknown (no close reported the day before)'
    """
    if value is not None:
        return f"{column} {value}"
    why = next(c.null_means for c in TABLES[table].columns if c.name == column)
    return f"{column} unknown ({why or 'the table should not allow that; run `aios check`'})"
