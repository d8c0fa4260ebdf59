"""The raw event store, telemetry and master data: what arrives, before anything is concluded from it."""

from __future__ import annotations

from aios_assets.contracts.measures import BASE_UNITS
from aios_assets.contracts.table import Column, Table

_MONTH = Column("available_month", "str", "YYYY-MM of available_at_utc; the Delta partition")
_KNOWN = Column("available_at_utc", "ts", "when it reached us: the earliest moment we could have known")

RAW_EDI_DOCUMENTS = Table(
    name="raw_edi__documents",
    stage="s1_ingest",
    grain="one received document of any kind, whole and immutable, once per SHA-256",
    key=("document_id",),
    columns=(
        Column("document_id", "str", "SHA-256 of the bytes, lower-case hex"),
        Column("content", "bytes", "the bytes as received"),
        Column("size_bytes", "i64", "length of the bytes", unit="bytes"),
        Column("source_uri", "str", "where it was first seen (path relative to the inbox, or URL)"),
        Column("transport_code", "str", "how it came", codes=("folder", "http", "as2", "mqtt", "nats", "import")),
        Column(
            "kind_code",
            "str",
            "what the first bytes say it is",
            codes=("x12", "edifact", "telemetry", "csv", "parquet", "unknown"),
        ),
        Column("mapping_json", "str", "column mapping given with an import", null_means="not an import"),
        _KNOWN,
        _MONTH,
    ),
    known_clock="available_at_utc",
    partition_by=("available_month",),
    write="append",
    source="inbox",
)
RAW_EDI_DELIVERIES = Table(
    name="raw_edi__deliveries",
    stage="s1_ingest",
    grain="one delivery of one document: the same bytes twice are two deliveries",
    key=("delivery_id",),
    columns=(
        Column("delivery_id", "str", "first 32 hex digits of SHA-256 over source_uri, modified time and document"),
        Column("document_id", "str", "SHA-256 of the bytes"),
        Column("source_uri", "str", "where it was seen"),
        Column(
            "modified_ns",
            "i64",
            "modification time of the file in nanoseconds, to recognise it without reading",
            unit="ns",
        ),
        Column("size_bytes", "i64", "length of the file", unit="bytes"),
        Column("is_duplicate", "bool", "true when the same bytes were received before"),
        _KNOWN,
    ),
    known_clock="available_at_utc",
    write="append",
    source="inbox",
)
RAW_EDI_RELEASES = Table(
    name="raw_edi__releases",
    stage="s1_ingest",
    grain="one decision of a person to release one reject",
    key=("reject_id",),
    columns=(
        Column("reject_id", "str", "the reject released"),
        Column("document_id", "str", "its document"),
        Column("interchange_no", "i32", "its interchange"),
        Column("set_no", "i32", "its set"),
        Column("segment_no", "i32", "its segment; 0 releases the whole set"),
        Column("released_by", "str", "who"),
        Column("reason", "str", "why"),
        _KNOWN,
    ),
    known_clock="available_at_utc",
    write="append",
    source="aios quarantine release",
)

RAW_EDI_READS = Table(
    name="raw_edi__reads",
    stage="s1_ingest",
    grain="one document that one feed has read to the end, per release of its rejects that the reading took in; "
    "written last, so that a stopped run reads it again",
    key=("document_id", "feed_code", "release_no"),
    columns=(
        Column("document_id", "str", "SHA-256 of the bytes"),
        Column("feed_code", "str", "which reader", codes=("edi", "telemetry", "master", "import")),
        Column("release_no", "i32", "releases of the document that were taken in; 0 for the first reading", low=0),
        _KNOWN,
    ),
    known_clock="available_at_utc",
    write="append",
    source="the readers",
)

RAW_TELEMETRY_READINGS = Table(
    name="raw_telemetry__readings",
    stage="s1_ingest",
    grain="one reading of one sensor at one instant",
    key=("sensor_id", "measure_code", "read_at_utc"),
    columns=(
        Column("sensor_id", "str", "sensor"),
        Column(
            "measure_code",
            "str",
            "what is measured, with unit suffix (temperature_c, latitude_deg, longitude_deg, vibration_mm_s, dwell_minutes)",
        ),
        Column("read_at_utc", "ts", "when it was read"),
        Column("value", "f64", "reading", unit="see measure_code"),
        Column("asset_type", "str", "trailer, dock, conveyor"),
        Column("asset_id", "str", "what the sensor sits on"),
        Column("site_id", "str", "site", null_means="on the road"),
        Column("shipment_id", "str", "shipment on board", null_means="none"),
        Column("document_id", "str", "SHA-256 of the raw document"),
        Column("line_no", "i32", "line in the document, from 1"),
        _KNOWN,
        _MONTH,
    ),
    event_clock="read_at_utc",
    known_clock="available_at_utc",
    partition_by=("available_month",),
    write="append",
    source="sensors (JSON lines, MQTT, NATS)",
)
RAW_TELEMETRY_EXCURSIONS = Table(
    name="raw_telemetry__excursions",
    stage="s1_ingest",
    grain="one uninterrupted stretch outside limits, or a gap, of one sensor",
    key=("sensor_id", "measure_code", "kind_code", "started_at_utc"),
    columns=(
        Column("sensor_id", "str", "sensor"),
        Column("measure_code", "str", "what is measured"),
        Column("kind_code", "str", "what happened", codes=("high", "low", "spike", "gap", "stuck")),
        Column("started_at_utc", "ts", "first reading outside"),
        Column("ended_at_utc", "ts", "last reading outside"),
        Column("readings", "i32", "readings in it"),
        Column("peak_value", "f64", "most extreme value", null_means="a gap has none", unit="see measure_code"),
        Column("limit_value", "f64", "limit crossed", null_means="none applies", unit="see measure_code"),
        Column("asset_id", "str", "what the sensor sits on"),
        Column("shipment_id", "str", "shipment on board", null_means="none"),
        Column("document_id", "str", "document of the first reading"),
        _KNOWN,
    ),
    event_clock="started_at_utc",
    known_clock="available_at_utc",
    write="full",
    source="raw_telemetry__readings",
)
RAW_TELEMETRY_LIMITS = Table(
    name="raw_telemetry__limits",
    stage="s1_ingest",
    grain="a person's own limits of sensors as one night found them; that there were none is kept too",
    key=("available_at_utc",),
    columns=(
        Column("content_digest", "str", "SHA-256 of the bytes, lower-case hex"),
        Column("content", "bytes", "telemetry_limits.yaml of the home as it was; no bytes where there was none"),
        Column("available_at_utc", "ts", "cut-off of the night: the readings of a night are judged by what it found"),
    ),
    known_clock="available_at_utc",
    write="append",
    source="telemetry_limits.yaml in the home",
)


def _master(name: str, grain: str, key: tuple[str, ...], columns: tuple[Column, ...]) -> Table:
    return Table(
        name=name,
        stage="s1_ingest",
        grain=grain
        + ", once per document that states it, and again when that document is put back in the place of another",
        key=("document_id", *key, "available_at_utc"),
        columns=(
            *columns,
            Column("document_id", "str", "SHA-256 of the raw document"),
            Column("line_no", "i32", "row in the file, header is 1"),
            _KNOWN,
        ),
        known_clock="available_at_utc",
        write="append",
        source="master data CSV or Parquet (inbox folder master/<kind>/, or aios import)",
    )


RAW_MASTER_ITEMS = _master(
    "raw_master__items",
    "one item",
    ("item_id",),
    (
        Column("item_id", "str", "item"),
        Column("item_gtin", "str", "GTIN-13", null_means="none"),
        Column("description", "str", "plain name", null_means="none"),
        Column("category_code", "str", "category", null_means="none"),
        Column("pack_ea", "i32", "eaches per case", unit="ea", low=1, high=100_000),
        Column("unit_cost_usd", "f64", "cost per each", unit="usd", low=0, null_means="unknown"),
        Column("unit_price_usd", "f64", "regular selling price per each", unit="usd", low=0, null_means="unknown"),
        Column("supplier_id", "str", "regular supplier", null_means="unknown"),
        Column("shelf_life_days", "i32", "days until unsaleable", unit="days", null_means="does not spoil"),
        Column("introduced_date", "date", "first selling day", null_means="always"),
        Column("discontinued_date", "date", "last selling day", null_means="still sold"),
        Column("unit_volume_m3", "f64", "space one each takes", unit="m3", low=0, null_means="unknown"),
        Column("unit_weight_kg", "f64", "weight of one each", unit="kg", low=0, null_means="unknown"),
        Column(
            "pack_from_date",
            "date",
            "first day on which the pack held, where that was before this statement came: it corrects what was stated before",
            null_means="holds from when the statement came",
        ),
        Column(
            "base_unit_code",
            "str",
            "unit of weight, volume, length or area of which one is one each of this item (UN/ECE Rec 20): pack, cost, price and space are per that unit",
            null_means="counted in pieces",
            codes=BASE_UNITS,
        ),
        Column(
            "piece_ea",
            "f64",
            "eaches of one piece of an item with a base_unit_code, such as kilograms of one melon",
            unit="ea",
            low=1e-6,
            null_means="lines in pieces are kept out",
        ),
        Column(
            "case_gtin",
            "str",
            "GTIN-14 of the case that pack_ea is about",
            null_means="the GTIN-14 that is made of item_gtin and an indicator of 1 to 8, where messages name one only",
        ),
    ),
)
RAW_MASTER_SITES = _master(
    "raw_master__sites",
    "one site",
    ("site_id",),
    (
        Column("site_id", "str", "site"),
        Column("site_gln", "str", "GLN", null_means="none"),
        Column("site_type", "str", "kind", codes=("dc", "store")),
        Column("region_code", "str", "region", null_means="none"),
        Column(
            "serving_site_id", "str", "centre that serves this store", null_means="a centre, or served by suppliers"
        ),
        Column("storage_capacity_ea", "f64", "most eaches that fit", unit="ea", null_means="not limited"),
    ),
)
RAW_MASTER_SUPPLIERS = _master(
    "raw_master__suppliers",
    "one supplier",
    ("supplier_id",),
    (
        Column("supplier_id", "str", "supplier"),
        Column("supplier_name", "str", "plain name", null_means="none"),
        Column("supplier_gln", "str", "GLN", null_means="none"),
        Column("minimum_order_usd", "f64", "smallest order value taken", unit="usd", null_means="none"),
        Column("order_weekdays", "str", "ISO weekdays on which orders are taken, such as 135", null_means="any day"),
    ),
)
RAW_MASTER_LANES = _master(
    "raw_master__lanes",
    "one origin, destination and mode",
    ("origin_id", "destination_id", "mode_code"),
    (
        Column("origin_id", "str", "supplier or site it leaves"),
        Column("destination_id", "str", "site it reaches"),
        Column("mode_code", "str", "standard or expedite", codes=("standard", "expedite")),
        Column("carrier_id", "str", "carrier", null_means="own transport"),
        Column("quoted_lead_time_days", "f64", "as agreed", unit="days", low=0, high=365),
        Column("cost_per_order_usd", "f64", "fixed cost of one order or shipment", unit="usd"),
        Column("cost_per_ea_usd", "f64", "freight per each", unit="usd"),
        Column("truck_capacity_ea", "f64", "most eaches in the shipment of a day", unit="ea", null_means="not limited"),
        Column(
            "truck_capacity_m3",
            "f64",
            "most volume in the shipment of a day",
            unit="m3",
            low=0,
            null_means="not limited",
        ),
        Column(
            "truck_capacity_kg",
            "f64",
            "most weight in the shipment of a day",
            unit="kg",
            low=0,
            null_means="not limited",
        ),
    ),
)
RAW_MASTER_SUPPLIER_ITEMS = _master(
    "raw_master__supplier_items",
    "one item one supplier can deliver",
    ("supplier_id", "item_id"),
    (
        Column("supplier_id", "str", "supplier"),
        Column("item_id", "str", "item"),
        Column("unit_cost_usd", "f64", "cost per each", unit="usd"),
        Column("minimum_order_ea", "f64", "smallest quantity of this item", unit="ea"),
        Column("preference_no", "i32", "1 is the regular supplier"),
    ),
)
RAW_MASTER_PROMOTIONS = _master(
    "raw_master__promotions",
    "one item at one site on promotion for a stretch of days",
    ("promotion_id", "item_id", "site_id"),
    (
        Column("promotion_id", "str", "promotion"),
        Column("item_id", "str", "item"),
        Column("site_id", "str", "site"),
        Column("start_date", "date", "first day"),
        Column("end_date", "date", "day after the last"),
        Column("promo_price_usd", "f64", "price per each", unit="usd"),
    ),
)
RAW_MASTER_HOLIDAYS = _master(
    "raw_master__holidays",
    "one holiday",
    ("holiday_date", "holiday_name"),
    (
        Column("holiday_date", "date", "day"),
        Column("holiday_name", "str", "name"),
        Column("is_closed", "bool", "stores are closed"),
        Column(
            "is_withdrawn", "bool", "the day is no holiday after all, since this was stated", null_means="it is one"
        ),
    ),
)

MASTER_TABLES: tuple[Table, ...] = (
    RAW_MASTER_ITEMS,
    RAW_MASTER_SITES,
    RAW_MASTER_SUPPLIERS,
    RAW_MASTER_LANES,
    RAW_MASTER_SUPPLIER_ITEMS,
    RAW_MASTER_PROMOTIONS,
    RAW_MASTER_HOLIDAYS,
)
STORE_TABLES: tuple[Table, ...] = (RAW_EDI_DOCUMENTS, RAW_EDI_DELIVERIES, RAW_EDI_RELEASES, RAW_EDI_READS)
TELEMETRY_TABLES: tuple[Table, ...] = (RAW_TELEMETRY_READINGS, RAW_TELEMETRY_LIMITS, RAW_TELEMETRY_EXCURSIONS)
