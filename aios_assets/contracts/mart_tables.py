"""Curated marts and features: what dbt makes of the raw facts, and what models and plans may read.

Facts that can be corrected are versioned: `[available_at_utc, superseded_at_utc)` is the stretch during which a row was
the best we knew. A reader that stands at instant T takes the rows whose stretch holds T.
"""

from __future__ import annotations

from aios_assets.contracts.decision_tables import MON_FINDINGS
from aios_assets.contracts.table import Column, Table

_ITEM = Column("item_id", "str", "item")
_SITE = Column("site_id", "str", "site")
_KNOWN = Column("available_at_utc", "ts", "when we could first have known this row")
_SUPERSEDED = Column("superseded_at_utc", "ts", "when a later version took its place", null_means="still current")
_CURRENT = Column("is_current", "bool", "no later version is known")
_DOC = (
    Column("document_id", "str", "raw document of this version"),
    Column("set_no", "i32", "its transaction set"),
    Column("segment_no", "i32", "its segment"),
)

FCT_DEMAND_DAILY = Table(
    name="fct_demand_daily",
    stage="s2_curate",
    grain="one item, site and business day, per version",
    key=("item_id", "site_id", "demand_date", "version_no"),
    columns=(
        _ITEM,
        _SITE,
        Column("demand_date", "date", "business day at the site"),
        Column("version_no", "i32", "1 is what was known first"),
        Column("sales_qty_ea", "f64", "units sold (demand met from stock)", unit="ea", low=0, high=100_000),
        Column("returns_qty_ea", "f64", "units returned by customers", unit="ea", low=0),
        Column("closing_qty_ea", "f64", "on hand at close", unit="ea", low=0, null_means="not reported"),
        Column("is_stockout", "bool", "closing stock is zero: sales may understate demand"),
        Column(
            "price_usd", "f64", "selling price reported", unit="usd", null_means="not reported, or in another currency"
        ),
        Column(
            "is_suspect", "bool", "the report looks off by the item's pack (see int_findings_detected); kept as sent"
        ),
        *_DOC,
        _KNOWN,
        _SUPERSEDED,
        _CURRENT,
        Column("demand_month", "str", "YYYY-MM of demand_date; the Delta partition"),
    ),
    event_clock="demand_date",
    known_clock="available_at_utc",
    partition_by=("demand_month",),
    window="demand_date",
    write="window",
    writer="dbt",
    source="raw_edi__product_activity",
)
FCT_INVENTORY_DAILY = Table(
    name="fct_inventory_daily",
    stage="s2_curate",
    grain="one item, site and business day, per version",
    key=("item_id", "site_id", "inventory_date", "version_no"),
    columns=(
        _ITEM,
        _SITE,
        Column("inventory_date", "date", "business day at the site"),
        Column("version_no", "i32", "1 is what was known first"),
        Column(
            "opening_qty_ea",
            "f64",
            "on hand at the close before",
            unit="ea",
            null_means="no close reported the day before",
        ),
        Column("receipts_qty_ea", "f64", "received", unit="ea", low=0),
        Column("outbound_qty_ea", "f64", "sold or shipped", unit="ea", low=0),
        Column("adjustments_qty_ea", "f64", "counted differences, signed; returns included", unit="ea"),
        Column("closing_qty_ea", "f64", "on hand at close", unit="ea", low=0, null_means="not reported"),
        Column(
            "residual_qty_ea",
            "f64",
            "opening + receipts - outbound + adjustments - closing",
            unit="ea",
            null_means="opening or closing not reported",
        ),
        Column(
            "is_suspect", "bool", "the report looks off by the item's pack (see int_findings_detected); kept as sent"
        ),
        *_DOC,
        _KNOWN,
        _SUPERSEDED,
        _CURRENT,
        Column("inventory_month", "str", "YYYY-MM of inventory_date; the Delta partition"),
    ),
    event_clock="inventory_date",
    known_clock="available_at_utc",
    partition_by=("inventory_month",),
    window="inventory_date",
    write="window",
    writer="dbt",
    source="raw_edi__inventory_positions, raw_edi__product_activity, raw_edi__receipt_lines, raw_edi__shipment_lines",
)
FCT_PURCHASE_ORDER_LINES = Table(
    name="fct_purchase_order_lines",
    stage="s2_curate",
    grain="one item of one purchase or stock transfer order for one receiving site, as known now",
    key=("order_number", "item_id", "ship_to_no"),
    columns=(
        Column(
            "order_number", "str", "order; a call-off with its release, one whose number was given again with its date"
        ),
        _ITEM,
        Column(
            "ship_to_no",
            "i32",
            "ordinal of the receiving site among those the line was ever ordered for, by name from 1",
        ),
        Column("source_id", "str", "supplier or site that delivers", null_means="not named"),
        Column("site_id", "str", "site that receives", null_means="not named"),
        Column("order_date", "date", "ordered"),
        Column("requested_date", "date", "asked for", null_means="not asked"),
        Column("promised_date", "date", "latest date promised by the supplier", null_means="no promise"),
        Column(
            "expected_date",
            "date",
            "latest estimate of arrival (shipment notice, carrier status)",
            null_means="no estimate",
        ),
        Column("shipped_date", "date", "first shipped", null_means="not shipped"),
        Column("received_date", "date", "first received", null_means="open"),
        Column("ordered_qty_ea", "f64", "ordered after all changes", unit="ea", low=0),
        Column(
            "confirmed_qty_ea",
            "f64",
            "confirmed; what is ordered where the order was accepted as it stands",
            unit="ea",
            null_means="no answer, or an acceptance of what was changed afterwards",
        ),
        Column("shipped_qty_ea", "f64", "shipped", unit="ea"),
        Column("received_qty_ea", "f64", "received, without what was refused", unit="ea"),
        Column("refused_qty_ea", "f64", "came and was not taken in: neither stock nor on the way", unit="ea"),
        Column(
            "open_qty_ea",
            "f64",
            "still to come: confirmed or ordered, less received and refused; zero when closed or cancelled",
            unit="ea",
            low=0,
        ),
        Column("unit_price_usd", "f64", "price per each", unit="usd", null_means="not stated, or in another currency"),
        Column("carrier_id", "str", "carrier", null_means="not shipped"),
        Column("shipment_id", "str", "latest shipment", null_means="not shipped"),
        Column("is_cancelled", "bool", "cancelled or deleted, or no longer ordered for this site"),
        Column("document_id", "str", "raw document of the order"),
        Column("set_no", "i32", "its transaction set"),
        Column("segment_no", "i32", "its segment"),
        _KNOWN,
        Column("received_known_at_utc", "ts", "when the first receipt that stands became known", null_means="open"),
    ),
    event_clock="order_date",
    known_clock="available_at_utc",
    write="full",
    writer="dbt",
    source="raw_edi__order_lines, order_responses, shipment_lines, receipt_lines, shipment_statuses",
)
FCT_ORDER_EVENTS = Table(
    name="fct_order_events",
    stage="s2_curate",
    grain="one thing that became known about one order line, per version: ordered, changed, confirmed, shipped, received, refused, status",
    key=("order_number", "item_id", "event_code", "document_id", "set_no", "segment_no", "line_no", "available_at_utc"),
    columns=(
        Column(
            "order_number", "str", "order; a call-off with its release, one whose number was given again with its date"
        ),
        _ITEM,
        Column(
            "event_code",
            "str",
            "what",
            codes=("ordered", "changed", "cancelled", "confirmed", "shipped", "received", "refused", "status"),
        ),
        Column("event_date", "date", "when it happened"),
        Column(
            "quantity_ea",
            "f64",
            "quantity in eaches",
            unit="ea",
            null_means="a status has none, nor an acceptance of the order as it stands",
        ),
        Column("expected_date", "date", "requested, promised or estimated date it states", null_means="states none"),
        Column("source_id", "str", "supplier or site that delivers", null_means="not named"),
        Column("site_id", "str", "site that receives", null_means="not named"),
        Column("carrier_id", "str", "carrier", null_means="not named"),
        Column("shipment_id", "str", "shipment", null_means="none"),
        Column(
            "reference_id",
            "str",
            "number of the shipment notice or receipt: a later notice of that number supersedes it",
            null_means="no such notice",
        ),
        Column("unit_price_usd", "f64", "price per each", unit="usd", null_means="not stated, or in another currency"),
        Column("document_id", "str", "raw document"),
        Column("set_no", "i32", "its transaction set"),
        Column("segment_no", "i32", "its segment"),
        Column("line_no", "i32", "its line"),
        Column("control_number", "str", "interchange control number; orders messages sent in the same minute"),
        Column(
            "sent_at_utc",
            "ts",
            "when the sender says it was sent; orders versions",
            null_means="no date in the envelope",
        ),
        _KNOWN,
        _SUPERSEDED,
    ),
    event_clock="event_date",
    known_clock="available_at_utc",
    write="full",
    writer="dbt",
    source="raw_edi order, response, shipment, receipt and status facts (the as-of replay of open orders)",
)
FCT_SERVICE_DAILY = Table(
    name="fct_service_daily",
    stage="s2_curate",
    grain="one site and business day, current version",
    key=("site_id", "service_date"),
    columns=(
        _SITE,
        Column("service_date", "date", "business day"),
        Column("items", "i32", "items reported"),
        Column("stockout_items", "i32", "items with nothing on hand at close"),
        Column("sales_qty_ea", "f64", "units sold", unit="ea", low=0),
        Column(
            "on_hand_value_usd",
            "f64",
            "closing stock at the cost known at the cut-off of the day, of an item stated later the first one",
            unit="usd",
            null_means="no cost known",
        ),
        Column(
            "in_stock_frac",
            "f64",
            "share of the items whose close is reported that have stock at close",
            unit="frac",
            low=0,
            high=1,
            null_means="no close is reported",
        ),
        Column(
            "otif_frac",
            "f64",
            "order lines first received that day that were complete by the first confirmed (else requested) date",
            unit="frac",
            low=0,
            high=1,
            null_means="nothing was received",
        ),
        _KNOWN,
    ),
    event_clock="service_date",
    known_clock="available_at_utc",
    write="full",
    writer="dbt",
    source="fct_demand_daily, fct_inventory_daily, fct_purchase_order_lines",
)
DIM_ITEM = Table(
    name="dim_item",
    stage="s2_curate",
    grain="one item, latest statement",
    key=("item_id",),
    columns=(
        _ITEM,
        Column("item_gtin", "str", "GTIN", null_means="none"),
        Column("description", "str", "plain name", null_means="none"),
        Column("category_code", "str", "category", null_means="none"),
        Column("pack_ea", "i32", "eaches per case; 1 when no master states it", unit="ea", low=1),
        Column(
            "base_unit_code", "str", "unit of which one is one each (UN/ECE Rec 20)", null_means="counted in pieces"
        ),
        Column("unit_cost_usd", "f64", "cost", unit="usd", null_means="unknown"),
        Column("unit_price_usd", "f64", "regular price", unit="usd", null_means="unknown"),
        Column("supplier_id", "str", "regular supplier", null_means="unknown"),
        Column("shelf_life_days", "i32", "days until unsaleable", unit="days", null_means="does not spoil"),
        Column("introduced_date", "date", "first selling day", null_means="unknown"),
        Column("discontinued_date", "date", "last selling day", null_means="still sold"),
        Column("is_in_master", "bool", "stated by item master data; false: only seen in messages"),
        _KNOWN,
    ),
    known_clock="available_at_utc",
    write="full",
    writer="dbt",
    source="raw_master__items, else items seen in messages",
)
DIM_SITE = Table(
    name="dim_site",
    stage="s2_curate",
    grain="one site, latest statement",
    key=("site_id",),
    columns=(
        _SITE,
        Column("site_gln", "str", "GLN", null_means="none"),
        Column("site_type", "str", "dc or store; store when no master states it", codes=("dc", "store")),
        Column("region_code", "str", "region", null_means="none"),
        Column("serving_site_id", "str", "centre that serves it", null_means="served by suppliers, or unknown"),
        Column("storage_capacity_ea", "f64", "most eaches that fit", unit="ea", null_means="not limited"),
        Column("is_in_master", "bool", "stated by site master data"),
        _KNOWN,
    ),
    known_clock="available_at_utc",
    write="full",
    writer="dbt",
    source="raw_master__sites, else sites seen in messages",
)
DIM_SUPPLIER = Table(
    name="dim_supplier",
    stage="s2_curate",
    grain="one supplier, latest statement",
    key=("supplier_id",),
    columns=(
        Column("supplier_id", "str", "supplier"),
        Column("supplier_name", "str", "plain name", null_means="none"),
        Column("minimum_order_usd", "f64", "smallest order value", unit="usd", null_means="none"),
        Column("order_weekdays", "str", "ISO weekdays", null_means="any day"),
        Column("is_in_master", "bool", "stated by supplier master data"),
        _KNOWN,
    ),
    known_clock="available_at_utc",
    write="full",
    writer="dbt",
    source="raw_master__suppliers, else parties seen in messages",
)
INT_FINDINGS_DETECTED = Table(
    name="int_findings_detected",
    stage="s2_curate",
    grain="one business fault that curation found in what was sent, per version",
    key=("finding_id", "available_at_utc"),
    columns=(*MON_FINDINGS.columns, _SUPERSEDED),
    event_clock="finding_date",
    known_clock="available_at_utc",
    window="finding_date",
    write="window",
    writer="dbt",
    source="raw_edi facts against master data and the stock balance",
)
FEAT_SUPPLIER_LANE_LEAD_TIME = Table(
    name="feat_supplier_lane__lead_time",
    stage="s3_features",
    grain="one source and receiving site per day, over orders known by the cut-off of that day",
    key=("lane_id", "feature_date"),
    columns=(
        Column("lane_id", "str", "source_id>site_id"),
        Column("source_id", "str", "supplier or centre"),
        Column("site_id", "str", "receiving site"),
        Column("feature_date", "date", "business day"),
        Column("orders_90d", "i32", "order lines received in the last 90 days"),
        Column("open_orders", "i32", "order lines still open"),
        Column("lead_time_days_mean_90d", "f64", "mean of received lines", unit="days", null_means="none received"),
        Column("lead_time_days_p50_90d", "f64", "median of received lines", unit="days", null_means="none received"),
        Column(
            "lead_time_days_p90_90d", "f64", "90 % point of received lines", unit="days", null_means="none received"
        ),
        Column("late_frac_90d", "f64", "share received after the promised date", unit="frac", null_means="no promises"),
        _KNOWN,
    ),
    event_clock="feature_date",
    known_clock="available_at_utc",
    window="feature_date",
    write="window",
    writer="dbt",
    source="fct_order_events",
)
FEAT_ITEM_ATTRIBUTES = Table(
    name="feat_item__attributes",
    stage="s3_features",
    grain="one item, per statement of its master data",
    key=("item_id", "available_at_utc"),
    columns=(
        _ITEM,
        Column("category_code", "str", "category", null_means="none"),
        Column("pack_ea", "i32", "eaches per case", unit="ea"),
        Column("unit_cost_usd", "f64", "cost", unit="usd", null_means="unknown"),
        Column("unit_price_usd", "f64", "regular price", unit="usd", null_means="unknown"),
        Column("supplier_id", "str", "regular supplier", null_means="unknown"),
        Column("shelf_life_days", "i32", "days until unsaleable", unit="days", null_means="does not spoil"),
        Column("introduced_date", "date", "first selling day", null_means="unknown"),
        _KNOWN,
    ),
    event_clock="available_at_utc",
    known_clock="available_at_utc",
    write="full",
    writer="dbt",
    source="raw_master__items",
)
_LAGS = tuple(
    Column(
        f"sales_qty_ea_lag_{k}",
        "f32",
        f"units sold {k} days before",
        unit="ea",
        null_means="no report, or not yet known",
    )
    for k in (0, 1, 2, 3, 4, 5, 6, 7, 14, 21, 28, 364)
)
_ROLLS = tuple(
    Column(
        f"sales_qty_ea_{stat}_{w}d",
        "f32",
        f"{stat} of units sold over {w} days",
        unit="ea",
        null_means="nothing known in the window",
    )
    for w in (7, 28, 56, 180)
    for stat in ("mean", "std")
)
FEAT_ITEM_SITE_DEMAND = Table(
    name="feat_item_site__demand",
    stage="s3_features",
    grain="one item, site and business day, from what was known at the cut-off of that day; never rewritten by later knowledge",
    key=("item_id", "site_id", "feature_date"),
    columns=(
        _ITEM,
        _SITE,
        Column("feature_date", "date", "business day; lag 0 is this day"),
        *_LAGS,
        *_ROLLS,
        Column(
            "zero_frac_28d", "f32", "share of days with no sale", unit="frac", null_means="nothing known in the window"
        ),
        Column(
            "zero_frac_180d", "f32", "share of days with no sale", unit="frac", null_means="nothing known in the window"
        ),
        Column(
            "in_stock_frac_28d",
            "f32",
            "share of reported days that were not out of stock at close; one whose close is not reported counts as in stock",
            unit="frac",
            null_means="nothing known in the window",
        ),
        Column("days_since_sale", "f32", "days since the last sale", unit="days", null_means="no sale within 364 days"),
        Column(
            "days_on_sale",
            "f32",
            "days since the first sale within 364 days",
            unit="days",
            null_means="no sale within 364 days",
        ),
        Column(
            "days_reported",
            "f32",
            "days since the first day reported within 364 days; as many as days_on_sale where the history begins with a sale",
            unit="days",
            null_means="nothing reported within 364 days, or made before this was kept",
        ),
        Column(
            "weekday_mean_56d",
            "f32",
            "mean sales on the weekday of feature_date over 8 weeks",
            unit="ea",
            null_means="nothing known in the window",
        ),
        Column("price_usd_lag_0", "f32", "last price reported", unit="usd", null_means="none reported within 364 days"),
        Column("price_rel_28d", "f32", "last price over its 28-day mean", unit="frac", null_means="none reported"),
        Column(
            "site_sales_qty_ea_mean_28d",
            "f32",
            "mean daily units of all items of the site",
            unit="ea",
            null_means="nothing known in the window",
        ),
        Column(
            "item_sales_qty_ea_mean_28d",
            "f32",
            "mean daily units of the item over all sites",
            unit="ea",
            null_means="nothing known in the window",
        ),
        _KNOWN,
        Column("feature_month", "str", "YYYY-MM of feature_date; the Delta partition"),
    ),
    event_clock="feature_date",
    known_clock="available_at_utc",
    partition_by=("feature_month",),
    window="feature_date",
    write="window",
    writer="lake",
    source="fct_demand_daily as known at each day's cut-off",
)

MART_TABLES: tuple[Table, ...] = (
    FCT_DEMAND_DAILY,
    FCT_INVENTORY_DAILY,
    FCT_PURCHASE_ORDER_LINES,
    FCT_ORDER_EVENTS,
    FCT_SERVICE_DAILY,
    DIM_ITEM,
    DIM_SITE,
    DIM_SUPPLIER,
    INT_FINDINGS_DETECTED,
)
FEATURE_TABLES: tuple[Table, ...] = (FEAT_SUPPLIER_LANE_LEAD_TIME, FEAT_ITEM_ATTRIBUTES, FEAT_ITEM_SITE_DEMAND)
