"""The lake as it was known at an instant: the only way a night, a backfill and a what-if read facts.

A fact that can be corrected carries the stretch `[available_at_utc, superseded_at_utc)` in which it was the best we knew;
master data is stated again and again, and the newest statement known at the instant counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.contracts.mart_tables import DIM_ITEM, DIM_SITE, DIM_SUPPLIER
from aios_assets.contracts.table import Table
from aios_assets.marts.open_orders import fold_parts, wanted
from aios_assets.marts.versions import known_at as known_at
from aios_assets.marts.versions import statements

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

# The order lines last asked for, by lake, instant and files.
_FOLDED: dict[tuple[object, ...], pl.DataFrame] = {}


def demand_as_known(
    lake: Lake, first: date, last: date, instant: datetime, columns: list[str] | None = None
) -> pl.DataFrame:
    """Demand between two business days (both included) as known at `instant`, without what curation suspects.

    A quantity off by the pack size stays in the mart as it was sent and flagged; no model and no plan believes it.

    Args:
        lake: the lake.
        first: first business day.
        last: last business day.
        instant: moment of knowledge.
        columns: columns wanted, all by default; years of all of them are more than memory should hold.
    """
    return lake.read("fct_demand_daily", columns=columns, where=_believed(first, last) & known_at(instant))


def site_sales_as_known(lake: Lake, sites: Sequence[str], first: date, last: date, instant: datetime) -> pl.DataFrame:
    """Demand of some sites as `demand_as_known` gives it, with what features are made of."""
    columns = ["item_id", "site_id", "demand_date", "sales_qty_ea", "is_stockout", "price_usd"]
    here = pl.col("site_id").is_in(list(sites))
    return lake.read("fct_demand_daily", columns=columns, where=_believed(first, last) & known_at(instant) & here)


def selling_days(lake: Lake, first: date, last: date, instant: datetime) -> pl.DataFrame:
    """Sites and business days on which anything was sold, as known at `instant`: site_id, demand_date, sorted."""
    return (
        lake.scan("fct_demand_daily")
        .filter(pl.col("demand_date").is_between(first, last), pl.col("sales_qty_ea") > 0, known_at(instant))
        .select("site_id", "demand_date")
        .unique()
        .sort("site_id", "demand_date")
        .collect()
    )


def sales_reports(lake: Lake, first: date, last: date, instant: datetime) -> pl.DataFrame:
    """Sites and business days of which sales of anything were reported, be they none, as known at `instant`.

    Returns:
        site_id, demand_date, is_stretch (a report of the site booked several days on this one), sorted.
    """
    days = (
        lake.scan("fct_demand_daily")
        .filter(pl.col("demand_date").is_between(first, last), pl.col("sales_qty_ea").is_not_null(), known_at(instant))
        .select("site_id", "demand_date")
        .unique()
        .sort("site_id", "demand_date")
        .collect()
    )
    told = (pl.col("kind_code") == "period_report") & pl.col("finding_date").is_between(first, last)
    stretches = lake.read("int_findings_detected", columns=["site_id", "finding_date"], where=told & known_at(instant))
    return days.join(
        stretches.select("site_id", pl.col("finding_date").alias("demand_date"), pl.lit(True).alias("is_stretch")).unique(),
        on=["site_id", "demand_date"], how="left", maintain_order="left",
    ).with_columns(pl.col("is_stretch").fill_null(False))  # fmt: skip


def _believed(first: date, last: date) -> pl.Expr:
    return pl.col("demand_date").is_between(first, last) & ~pl.col("is_suspect")


def demand_months(lake: Lake, first: date, last: date, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """All versions of believed demand month by month, oldest first, some columns of them: a history that need not fit in memory.

    All months are of one version of the table, whatever is written meanwhile.
    """
    believed = lake.scan("fct_demand_daily").filter(_believed(first, last))
    for month in pl.date_range(first.replace(day=1), last, "1mo", eager=True).dt.strftime("%Y-%m"):
        yield believed.filter(pl.col("demand_month") == month).select(columns).collect()


def stock_as_known(lake: Lake, instant: datetime, since: date, until: date) -> pl.DataFrame:
    """Newest close of every item and site known at `instant`, dated `since` to `until`.

    A close dated later than the day planned for cannot have been counted yet: it is a finding, not stock.

    Returns:
        item_id, site_id, on_hand_qty_ea, stock_date; one row per item and site.
    """
    closes = (
        lake.scan("fct_inventory_daily")
        .filter(
            known_at(instant)
            & pl.col("closing_qty_ea").is_not_null()
            & ~pl.col("is_suspect")
            & pl.col("inventory_date").is_between(since, until)
        )
        .select("item_id", "site_id", "inventory_date", "closing_qty_ea")
        .collect()
    )
    return (
        closes.sort("item_id", "site_id", "inventory_date")
        .unique(["item_id", "site_id"], keep="last", maintain_order=True)
        .rename({"closing_qty_ea": "on_hand_qty_ea", "inventory_date": "stock_date"})
        .select("item_id", "site_id", "on_hand_qty_ea", "stock_date")
    )


def orders_as_known(lake: Lake, instant: datetime, *, include_closed: bool = False) -> pl.DataFrame:
    """Order lines as they were known at `instant`: the fold of all events known then.

    Several steps of a night ask for the same lines, and years of events take long to fold: the newest answer is kept, for as long as
    the table holds the same files.

    Args:
        lake: the lake.
        instant: moment of knowledge.
        include_closed: also lines of which nothing is to come.
    """
    asked = (str(lake.root), instant, *(f.path for f in lake.files("fct_order_events")))
    if asked not in _FOLDED:
        _FOLDED.clear()
        _FOLDED[asked] = fold_parts(*_known_orders(lake, instant))
    return wanted(_FOLDED[asked], include_closed=include_closed)


def _known_orders(lake: Lake, instant: datetime) -> tuple[Iterator[pl.DataFrame], datetime | None]:
    """Events known at `instant`, some files' worth of whole orders at a time, and when the newest of them became known.

    The table lies in the order of its key: a stretch of orders is read from a part or two, wherever a file ends.
    """
    number = pl.col("order_number")
    known = lake.scan("fct_order_events").filter(known_at(instant))
    firsts = (part.select(number.min()).collect().item() for part in lake.scan_parts("fct_order_events"))
    starts = sorted({first for first in firsts if first is not None})[1:]

    def stretches() -> Iterator[pl.DataFrame]:
        for low, high in zip(["", *starts], [*starts, None], strict=True):
            held = number >= low
            yield known.filter(held if high is None else held & (number < high)).collect()

    return stretches(), known.select(pl.col("available_at_utc").max()).collect().item()


def master_as_known(lake: Lake, name: str, keys: Sequence[str], instant: datetime) -> pl.DataFrame:
    """Newest statement of every master record known at `instant`, sorted by key."""
    rows = lake.read(name, where=pl.col("available_at_utc") <= instant)
    return rows.sort(*keys, "available_at_utc", "document_id", "line_no").unique(
        list(keys), keep="last", maintain_order=True
    )


def master_versions(lake: Lake, name: str, keys: Sequence[str], instant: datetime) -> pl.DataFrame:
    """Every statement of a master known at `instant`, with the stretch in which it stood (`aios_assets.marts.versions.statements`).

    For whoever looks back from `instant` at what was announced on earlier days: the newest statement alone says when a record was
    last delivered, not since when it was known.
    """
    return statements(lake.read(name, where=pl.col("available_at_utc") <= instant), keys)


def items_as_known(lake: Lake, instant: datetime) -> pl.DataFrame:
    """`dim_item` as it was known at `instant`."""
    return _dimension(lake, DIM_ITEM, "raw_master__items", "item_id", instant)


def sites_as_known(lake: Lake, instant: datetime) -> pl.DataFrame:
    """`dim_site` as it was known at `instant`."""
    return _dimension(lake, DIM_SITE, "raw_master__sites", "site_id", instant)


def suppliers_as_known(lake: Lake, instant: datetime) -> pl.DataFrame:
    """`dim_supplier` as it was known at `instant`."""
    return _dimension(lake, DIM_SUPPLIER, "raw_master__suppliers", "supplier_id", instant)


def _dimension(lake: Lake, table: Table, master: str, key: str, instant: datetime) -> pl.DataFrame:
    """Master statements known at `instant`, then members that were only seen in messages by then."""
    stated = master_as_known(lake, master, [key], instant).with_columns(pl.lit(True).alias("is_in_master"))
    seen = lake.read(table, where=~pl.col("is_in_master") & (pl.col("available_at_utc") <= instant))
    return pl.concat(
        [stated.select(table.names), seen.join(stated, on=key, how="anti").select(table.names)], how="vertical"
    ).sort(key)
