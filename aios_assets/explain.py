"""From a recommendation back to the raw bytes: forecast, model, features, stock, open orders, documents, positions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import BadInputError, IntegrityError
from aios_assets.lookup import the_one
from aios_assets.resources.as_known import known_at, sites_as_known
from aios_assets.resources.kept_out import lines_kept_out

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

RECENT_DAYS = 7


def explain(lake: Lake, rec_id: str) -> dict[str, Any]:
    """Everything a recommendation rests on.

    Args:
        lake: the lake.
        rec_id: its id, the first characters of it, or ITEM@SITE for the newest decision there.

    Returns:
        A mapping with `recommendation`, `forecast`, `model`, `features`, `lead_time`, `stock`, `open_orders`, `demand`,
        `kept_out` (findings about lines of the last weeks that do not count because of their unit) and `documents`; every stock, order and demand row names document, set and segment, and each of those documents
        appears with source, received time and the byte range of the segment.

    Raises:
        BadInputError: no recommendation, or more than one, has that id.
    """
    rec = find_recommendation(lake, rec_id)
    day, item, site = rec["as_of_date"], rec["item_id"], rec["site_id"]
    same = (pl.col("item_id") == item) & (pl.col("site_id") == site)
    instant = rec["available_at_utc"]
    best = known_at(instant)
    needing = (pl.col("item_id") == item) & pl.col("site_id").is_in([site, *_served(lake, site, instant)])
    forecast = _rows(lake, "pred_demand__28d", needing & (pl.col("origin_date") == day), "site_id", "horizon_days")
    stock = _rows(lake, "fct_inventory_daily", same & best & (pl.col("inventory_date") <= day), "inventory_date")[-3:]
    demand = _rows(
        lake,
        "fct_demand_daily",
        needing & best & pl.col("demand_date").is_between(day - timedelta(days=RECENT_DAYS), day),
        "site_id",
        "demand_date",
    )
    orders = _rows(lake, "fct_order_events", same & best & _recent_orders(lake, item, site, day), "event_date")
    pointers = _pointers([*stock, *demand, *orders])
    return {
        "recommendation": rec,
        "forecast": forecast,
        "model": _model(lake, forecast, rec),
        "features": _rows(lake, "feat_item_site__demand", needing & (pl.col("feature_date") == day), "site_id"),
        "lead_time": _rows(
            lake,
            "pred_lead_time__lane",
            (pl.col("source_id") == (rec["source_id"] or ""))
            & (pl.col("site_id") == site)
            & (pl.col("origin_date") == day),
            "source_id",
        ),
        "stock": stock,
        "open_orders": orders,
        "demand": demand,
        "kept_out": lines_kept_out(lake, day, instant, same).to_dicts(),
        "documents": locate_documents(lake, pointers),
    }


def find_recommendation(lake: Lake, rec_id: str) -> dict[str, Any]:
    """The one recommendation whose id starts with `rec_id`; of ITEM@SITE the newest decision, also that nothing is ordered.

    Raises:
        BadInputError: none, or more than one.
    """
    if "@" in rec_id:
        item, site = rec_id.split("@", 1)
        rows = lake.read("rec_decisions", where=(pl.col("item_id") == item) & (pl.col("site_id") == site))
        if rows.is_empty():
            todo = _why_undecided(lake, item, site)
            raise BadInputError(f"no night decided about item {item} at site {site}", where=rec_id, todo=todo)
        rows = rows.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
        todo = f"ask for one of {', '.join(rows.sort('rec_id')['rec_id'].to_list())}"
        return the_one(rows, "rec_id", "", noun="decision of that night", todo=todo)
    rows = lake.read("rec_decisions", where=pl.col("rec_id").str.starts_with(rec_id))
    todo = "see the ids with `aios status --recommendations 100`, or ask for ITEM@SITE"
    return the_one(rows, "rec_id", rec_id, noun="recommendation", todo=todo)


def _why_undecided(lake: Lake, item: str, site: str) -> str:
    """What to do about an item of which no night decided anything at a site."""
    newest = lake.read("int_findings_detected", columns=["finding_date"])["finding_date"].max()
    if isinstance(newest, date):
        same = (pl.col("item_id") == item) & (pl.col("site_id") == site)
        out = lines_kept_out(lake, newest, datetime.max.replace(tzinfo=UTC), same)
        if out.height:
            return f"{out.height} lines are kept out because of their unit ({out['reason'][-1]})"
    return "see the names with `aios status`; nothing is decided of an item without stock and forecast"


def locate_documents(lake: Lake, pointers: list[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """Source, received time, byte range and text of each (document, set, segment)."""
    ids = sorted({p[0] for p in pointers})
    raw = {
        row["document_id"]: row
        for row in lake.read("raw_edi__documents", where=pl.col("document_id").is_in(ids)).iter_rows(named=True)
    }
    result = []
    sets = lake.read("raw_edi__sets", where=pl.col("document_id").is_in(ids))
    interchange = {(r["document_id"], r["set_no"]): r["interchange_no"] for r in sets.iter_rows(named=True)}
    for document_id, set_no, segment_no in sorted(set(pointers)):
        row = raw.get(document_id)
        entry: dict[str, Any] = {"document_id": document_id, "set_no": set_no, "segment_no": segment_no}
        if row is not None:
            entry |= {"source_uri": row["source_uri"], "received_at_utc": row["available_at_utc"]}
            if row["kind_code"] in ("x12", "edifact") and (document_id, set_no) in interchange:
                start, end = _span(row["content"], interchange[document_id, set_no], set_no, segment_no)
                entry |= {"byte_start": start, "byte_end": end, "text": row["content"][start:end].decode("latin-1")}
        result.append(entry)
    return result


def _span(content: bytes, interchange_no: int, set_no: int, segment_no: int) -> tuple[int, int]:
    """Byte range of a segment in the raw document.

    Raises:
        IntegrityError: the pointer leads nowhere: table and document do not belong together.
    """
    from aios_assets.edi import locate

    found = locate(content, interchange_no, set_no, segment_no)
    if found is None:
        raise IntegrityError(
            "a pointer leads to no segment",
            where=f"set {set_no} segment {segment_no}",
            todo="run `aios check`, then `aios rebuild`",
        )
    return found


def _rows(lake: Lake, name: str, where: pl.Expr, *order: str) -> list[dict[str, Any]]:
    return lake.read(name, where=where).sort(order).to_dicts()


def _served(lake: Lake, site: str, instant: datetime) -> list[str]:
    """Stores that a centre serves: their demand is what it orders for."""
    sites = sites_as_known(lake, instant)
    return sorted(sites.filter(pl.col("serving_site_id") == site)["site_id"].to_list())


def _recent_orders(lake: Lake, item: str, site: str, day: date) -> pl.Expr:
    """Orders of that item and site that were still open, or closed within the last days."""
    lines = lake.read("fct_purchase_order_lines", where=(pl.col("item_id") == item) & (pl.col("site_id") == site))
    live = lines.filter(
        pl.col("received_date").is_null() | (pl.col("received_date") >= day - timedelta(days=RECENT_DAYS))
    ).filter(pl.col("order_date") <= day)
    return pl.col("order_number").is_in(live["order_number"].unique().to_list())


def _pointers(rows: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(r["document_id"], r["set_no"], r["segment_no"]) for r in rows]


def _model(lake: Lake, forecast: list[dict[str, Any]], rec: dict[str, Any]) -> dict[str, Any]:
    if not forecast:
        return {}
    first = forecast[0]
    version = {k: first[k] for k in ("model_name", "model_version", "model_digest", "is_fallback", "fallback_reason")}
    live = lake.read(
        "mon_deployments",
        where=(pl.col("model_digest") == first["model_digest"])
        & (pl.col("available_at_utc") <= rec["available_at_utc"]),
    )
    return version | {"deployments": live.sort("valid_from_utc").to_dicts()}
