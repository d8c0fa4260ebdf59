"""Typed facts of the EDI front door: one table per grain, standard-neutral (X12, EDIFACT and CSV land alike).

Every row carries a pointer to its raw bytes (document, interchange, set, segment) and both clocks. Quantities are as
the partner sent them with their unit code; conversion to eaches happens in dbt staging, where the item master is.
"""

from __future__ import annotations

from aios_assets.contracts.table import Column, Table

POINTER: tuple[Column, ...] = (
    Column("document_id", "str", "SHA-256 of the raw document, lower-case hex"),
    Column("interchange_no", "i32", "ordinal of the interchange in the document, from 1; 0 for CSV"),
    Column(
        "set_no", "i32", "ordinal of the transaction set or message in the document, from 1; CSV: 0, of history its day"
    ),
    Column(
        "segment_no", "i32", "ordinal of the line's opening segment in its set (ST or UNH is 1); CSV: row, header is 1"
    ),
    Column("line_no", "i32", "ordinal of the fact within that segment, from 1 (one ZA or QTY can yield several)"),
)
ORIGIN: tuple[Column, ...] = (
    Column("standard_code", "str", "how it was written", codes=("X12", "EDIFACT", "CSV")),
    Column("set_code", "str", "transaction set or message type, such as 852 or SLSRPT"),
    Column("sender_id", "str", "interchange sender, qualifier removed, trimmed"),
    Column("receiver_id", "str", "interchange receiver, qualifier removed, trimmed"),
    Column("control_number", "str", "interchange control number as sent"),
    Column("sent_at_utc", "ts", "when the sender says the interchange was made", null_means="the envelope had no date"),
    Column("available_at_utc", "ts", "when the document reached us: the earliest moment we could have known"),
)
_ITEM = (
    Column(
        "item_id",
        "str",
        "item as named by the buyer (IN, BP, SK), else vendor part (VN, VP), else the GTIN or UPC, else a style (VA)",
    ),
    Column("item_gtin", "str", "GTIN, EAN or UPC", null_means="none was sent"),
)
_CURRENCY = Column("currency_code", "str", "ISO 4217 code of the price's currency", null_means="not said: ours")
_PRICE = (
    Column(
        "unit_price",
        "f64",
        "price per unit",
        null_means="none was sent, or none of one unit",
        unit="currency_code",
    ),
    _CURRENCY,
)
_QTY = (
    Column("quantity", "f64", "as sent, in unit_code", unit="unit_code"),
    Column("unit_code", "str", "unit of measure as sent (EA, CA, PCE); EA when the partner sent none"),
)
_MONTH = Column("available_month", "str", "YYYY-MM of available_at_utc; the Delta partition")


def _fact(name: str, grain: str, source: str, columns: tuple[Column, ...], event: str) -> Table:
    return Table(
        name=name,
        stage="s1_ingest",
        grain=grain,
        key=("document_id", "interchange_no", "set_no", "segment_no", "line_no"),
        columns=(*POINTER, *ORIGIN, *columns, _MONTH),
        event_clock=event,
        known_clock="available_at_utc",
        partition_by=("available_month",),
        write="append",
        source=source,
    )


RAW_EDI_PRODUCT_ACTIVITY = _fact(
    "raw_edi__product_activity",
    "one reported quantity of one activity for one item, site and day",
    "X12 852, EDIFACT SLSRPT; point-of-sale CSV",
    (
        Column("site_id", "str", "reporting site as sent (store number or GLN)"),
        *_ITEM,
        Column(
            "activity_code", "str", "X12 859: QS sold, QA on hand, QR received, QT adjusted, QU returned, QP on order …"
        ),
        Column("activity_date", "date", "business day reported, last day of the period"),
        Column("period_start_date", "date", "first day of the period", null_means="a single day"),
        *_QTY,
        Column(
            "stated_quantity",
            "f64",
            "what the activity states for all its stores together, where these do not add up to it, in unit_code",
            unit="unit_code",
            null_means="they do, it is not split by store, or nothing could be added up",
        ),
        *_PRICE,
    ),
    "activity_date",
)
RAW_EDI_INVENTORY_POSITIONS = _fact(
    "raw_edi__inventory_positions",
    "one quantity of one kind for one item and site at one date",
    "X12 846, EDIFACT INVRPT; stock CSV",
    (
        Column("site_id", "str", "site as sent"),
        *_ITEM,
        Column("quantity_code", "str", "X12 673: 17 on hand, 33 available, A5 adjusted …; EDIFACT 6063 mapped to it"),
        Column("position_date", "date", "business day at whose close it was counted"),
        *_QTY,
    ),
    "position_date",
)
RAW_EDI_ORDER_LINES = _fact(
    "raw_edi__order_lines",
    "one line of one purchase order or order change; a line for several stores is one row per store",
    "X12 850, 860, 875; EDIFACT ORDERS, ORDCHG; orders CSV",
    (
        Column("order_number", "str", "purchase order number given by the buyer"),
        Column("order_date", "date", "date of the order"),
        Column("order_line", "str", "line number within the order"),
        Column("action_code", "str", "what this line does", codes=("new", "change", "delete", "cancel")),
        Column("buyer_id", "str", "buying party", null_means="not named"),
        Column("seller_id", "str", "selling party", null_means="not named"),
        Column("ship_to_site_id", "str", "receiving site", null_means="not named"),
        *_ITEM,
        *_QTY,
        Column(
            "line_quantity",
            "f64",
            "what the line states for all its stores together, in unit_code",
            unit="unit_code",
            null_means="not split by store, or nothing that could be added up",
        ),
        *_PRICE,
        Column("requested_date", "date", "requested delivery date", null_means="none was sent"),
        Column("release_number", "str", "call-off of a blanket order (X12 328)", null_means="calls off none"),
        Column(
            "order_type_code",
            "str",
            "X12 92: BE blanket order that only promises, BK one that is firm, RL call-off …; EDIFACT 1001 221 and 226 as BE and RL",
            null_means="not said, or no matter of blanket orders (EDIFACT)",
        ),
        Column("blanket_number", "str", "blanket order that it is called off (EDIFACT RFF+BO)", null_means="not named"),
    ),
    "order_date",
)
RAW_EDI_WHOLE_ORDERS = _fact(
    "raw_edi__whole_orders",
    "one message that speaks of one whole order: without a line, or in its place",
    "X12 850, 860, 875, 855, 865; EDIFACT ORDERS, ORDCHG, ORDRSP",
    (
        Column("order_number", "str", "purchase order number given by the buyer"),
        Column("said_date", "date", "date of the message"),
        Column(
            "action_code",
            "str",
            "what it does to every line, replace: to those it does not list",
            codes=("cancel", "refuse", "accept", "replace"),
        ),
        Column("buyer_id", "str", "buying party", null_means="not named"),
        Column("seller_id", "str", "selling party", null_means="not named"),
        Column("release_number", "str", "call-off of its order that it names (X12 328)", null_means="names none"),
    ),
    "said_date",
)
RAW_EDI_ORDER_RESPONSES = _fact(
    "raw_edi__order_responses",
    "one answer of a supplier to one order line",
    "X12 855, 865; EDIFACT ORDRSP",
    (
        Column("order_number", "str", "purchase order number given by the buyer"),
        Column("response_date", "date", "date of the answer"),
        Column("order_line", "str", "line number within the order"),
        Column(
            "response_code",
            "str",
            "X12 668: IA accepted, IQ quantity changed, IB backordered, IR rejected, DR date changed",
        ),
        Column("seller_id", "str", "selling party", null_means="not named"),
        *_ITEM,
        *_QTY,
        Column("promised_date", "date", "date the supplier promises", null_means="none was sent"),
        Column("release_number", "str", "call-off of its order that it names (X12 328)", null_means="names none"),
    ),
    "response_date",
)
RAW_EDI_SHIPMENT_LINES = _fact(
    "raw_edi__shipment_lines",
    "one item of one shipment notice",
    "X12 856; EDIFACT DESADV",
    (
        Column("shipment_id", "str", "shipment identification (BSN02, BGM)"),
        Column("shipped_date", "date", "date shipped, else the date of the notice"),
        Column("expected_date", "date", "estimated delivery", null_means="none was sent"),
        Column("order_number", "str", "purchase order number", null_means="not named"),
        Column("order_line", "str", "order line", null_means="not named"),
        Column("ship_from_id", "str", "shipping party", null_means="not named"),
        Column("ship_to_site_id", "str", "receiving site", null_means="not named"),
        Column("carrier_id", "str", "carrier (SCAC or party id)", null_means="not named"),
        *_ITEM,
        *_QTY,
        Column("release_number", "str", "call-off of its order that it names (X12 328)", null_means="names none"),
    ),
    "shipped_date",
)
RAW_EDI_RECEIPT_LINES = _fact(
    "raw_edi__receipt_lines",
    "one item received at one site",
    "X12 861; EDIFACT RECADV; receipts CSV",
    (
        Column("receipt_id", "str", "receiving advice number"),
        Column("received_date", "date", "date received"),
        Column("shipment_id", "str", "shipment received", null_means="not named"),
        Column("order_number", "str", "purchase order number", null_means="not named"),
        Column("order_line", "str", "order line", null_means="not named"),
        Column("site_id", "str", "receiving site", null_means="not named"),
        *_ITEM,
        Column("quantity", "f64", "taken in, without what was refused; in unit_code", unit="unit_code"),
        _QTY[1],
        Column(
            "rejected_quantity",
            "f64",
            "came and was not taken in (returned, rejected, damaged, wrong, scrapped), in unit_code",
            null_means="none was reported",
            unit="unit_code",
        ),
        Column("release_number", "str", "call-off of its order that it names (X12 328)", null_means="names none"),
    ),
    "received_date",
)
RAW_EDI_WHOLE_NOTICES = _fact(
    "raw_edi__whole_notices",
    "one message that takes back or replaces one whole notice, receiving advice or warehouse document",
    "X12 856, 861, 940, 947; EDIFACT DESADV, RECADV",
    (
        Column("notice_code", "str", "what it speaks of", codes=("shipped", "received", "warehouse")),
        Column("notice_id", "str", "number of the document: shipment_id, receipt_id or document_number of its lines"),
        Column("said_date", "date", "date of the message"),
        Column(
            "action_code",
            "str",
            "cancel: nothing of the document stands; replace: only what the message itself lists stands",
            codes=("cancel", "replace"),
        ),
        Column(
            "party_id",
            "str",
            "who numbered it: the shipping party, or the receiving site",
            null_means="not named, or several: whoever sent it",
        ),
    ),
    "said_date",
)
RAW_EDI_INVOICE_LINES = _fact(
    "raw_edi__invoice_lines",
    "one line of one invoice",
    "X12 810; EDIFACT INVOIC",
    (
        Column("invoice_number", "str", "invoice number"),
        Column("invoice_date", "date", "invoice date"),
        Column("order_number", "str", "purchase order number", null_means="not named"),
        Column("order_line", "str", "order line", null_means="not named"),
        Column("seller_id", "str", "selling party", null_means="not named"),
        *_ITEM,
        *_QTY,
        *_PRICE,
        Column("release_number", "str", "call-off of its order that it names (X12 328)", null_means="names none"),
    ),
    "invoice_date",
)
RAW_EDI_SHIPMENT_STATUSES = _fact(
    "raw_edi__shipment_statuses",
    "one status event of one shipment",
    "X12 214; EDIFACT IFTSTA",
    (
        Column("shipment_id", "str", "shipper's shipment identification (B1002, CNI)"),
        Column("carrier_id", "str", "carrier (SCAC or party id)", null_means="not named"),
        Column(
            "status_code",
            "str",
            "X12 1650: AF departed, X3 arrived at pick-up, X1 arrived at delivery, D1 delivered, SD delayed …",
        ),
        Column("reason_code", "str", "X12 1651 status reason", null_means="none was sent"),
        Column("status_at_utc", "ts", "when it happened; a date alone is midnight"),
        Column("location_name", "str", "place", null_means="none was sent"),
        Column("estimated_date", "date", "new estimate of delivery", null_means="none was sent"),
    ),
    "status_at_utc",
)

RAW_EDI_ACKNOWLEDGEMENTS = _fact(
    "raw_edi__acknowledgements",
    "one answer of a partner to one interchange, group or set that we sent",
    "X12 997, 999, TA1; EDIFACT CONTRL",
    (
        Column("level_code", "str", "what is answered", codes=("interchange", "group", "set")),
        Column("acked_group_code", "str", "functional group answered (AK101)", null_means="EDIFACT, or an interchange"),
        Column("acked_group_control_number", "str", "its control number", null_means="no group"),
        Column("acked_set_code", "str", "set or message type answered", null_means="a group or interchange"),
        Column("acked_control_number", "str", "control number of what is answered"),
        Column(
            "verdict_code",
            "str",
            "as sent: X12 A accepted, E with errors, P partly, R rejected; CONTRL 7, 8 accepted, 4 rejected",
        ),
        Column("error_codes", "str", "standard codes, blank between", null_means="none"),
    ),
    "sent_at_utc",
)

RAW_EDI_DELIVERY_SCHEDULES = _fact(
    "raw_edi__delivery_schedules",
    "one quantity of one item wanted in one period, as forecast or firm call-off",
    "X12 830, 862; EDIFACT DELFOR, DELJIT",
    (
        Column("schedule_id", "str", "number of the schedule or release"),
        Column("issued_date", "date", "date of the schedule"),
        Column(
            "action_code",
            "str",
            "what the schedule does with it (X12 353; EDIFACT 1225 and 1229)",
            codes=("new", "change", "replace", "delete", "cancel"),
            null_means="read before it was kept",
        ),
        Column("ship_to_site_id", "str", "receiving site", null_means="not named"),
        *_ITEM,
        *_QTY,
        Column(
            "quantity_basis_code",
            "str",
            "X12 676: A of the period alone, C cumulated with all before it",
            null_means="not said: of the period; what EDIFACT cumulates is left out",
        ),
        Column(
            "commitment_code",
            "str",
            "X12 680: C firm, D planned, A immediate, B pilot; EDIFACT 4017 as sent",
            null_means="not said",
        ),
        Column("period_code", "str", "X12 681: D day, W week, M month, F flexible", null_means="a single date"),
        Column("wanted_date", "date", "day, or first day of the period"),
        Column("until_date", "date", "last day of the period", null_means="not said"),
        Column("order_number", "str", "purchase order", null_means="not named"),
    ),
    "wanted_date",
)
RAW_EDI_WAREHOUSE_LINES = _fact(
    "raw_edi__warehouse_lines",
    "one item of one message between us and a third-party warehouse",
    "X12 940, 943, 944, 945, 947",
    (
        Column(
            "movement_code", "str", "what it says", codes=("ordered", "transfer", "received", "shipped", "adjusted")
        ),
        Column("document_number", "str", "depositor order, receipt, or adjustment number"),
        Column("movement_date", "date", "date of the movement", null_means="no date was sent"),
        Column("shipment_id", "str", "shipment", null_means="not named"),
        Column("order_number", "str", "purchase order", null_means="not named"),
        Column("warehouse_id", "str", "warehouse", null_means="not named"),
        Column("ship_to_site_id", "str", "receiving site", null_means="not named"),
        *_ITEM,
        *_QTY,
        Column("reason_code", "str", "adjustment reason (W1901) or line status (W1201)", null_means="none was sent"),
    ),
    "movement_date",
)
RAW_EDI_LOAD_STOPS = _fact(
    "raw_edi__load_stops",
    "one stop of one load offered to a carrier",
    "X12 204; EDIFACT IFTMIN",
    (
        Column("shipment_id", "str", "shipper's identification of the load"),
        Column("carrier_id", "str", "carrier (SCAC or party id)", null_means="not named"),
        Column(
            "purpose_code",
            "str",
            "X12 353: 00 original, 01 cancellation, 04 change, 05 replacement",
            null_means="not said",
        ),
        Column("stop_no", "str", "sequence of the stop"),
        Column(
            "stop_code",
            "str",
            "X12 163: LD or CL loading, UL or CU unloading; EDIFACT 3035 of the party",
            null_means="not said",
        ),
        Column("site_id", "str", "site of the stop", null_means="not named"),
        Column("stop_date", "date", "date wanted", null_means="none was sent"),
    ),
    "stop_date",
)
RAW_EDI_LOAD_RESPONSES = _fact(
    "raw_edi__load_responses",
    "one answer of a carrier to one load offered",
    "X12 990",
    (
        Column("shipment_id", "str", "shipper's identification of the load"),
        Column("carrier_id", "str", "carrier (SCAC)", null_means="not named"),
        Column("response_code", "str", "X12 558: A accepted, D declined, R cancelled by the carrier, E changed"),
        Column("response_date", "date", "date of the answer", null_means="none was sent"),
    ),
    "response_date",
)
RAW_EDI_FREIGHT_CHARGES = _fact(
    "raw_edi__freight_charges",
    "one charge of one freight bill",
    "X12 210",
    (
        Column("invoice_number", "str", "freight bill number"),
        Column("shipment_id", "str", "shipment billed", null_means="not named"),
        Column("carrier_id", "str", "carrier (SCAC)", null_means="not named"),
        Column("invoice_date", "date", "date of the bill", null_means="none was sent"),
        Column("charge_code", "str", "X12 150 special charge; total for the bill's sum"),
        Column("amount", "f64", "amount in the bill's currency", unit="currency_code"),
        Column("currency_code", "str", "ISO 4217 code of the amount's currency", null_means="not said: ours"),
        Column(
            "correction_code",
            "str",
            "X12 202: BD balance due, CO correction, RB rebilling in place of the bill before …",
            null_means="corrects nothing, or read before it was kept",
        ),
    ),
    "invoice_date",
)
RAW_EDI_REMITTANCE_LINES = _fact(
    "raw_edi__remittance_lines",
    "one invoice settled by one payment",
    "X12 820; EDIFACT REMADV",
    (
        Column("payment_id", "str", "trace or document number of the payment"),
        Column("payment_date", "date", "date of the payment", null_means="none was sent"),
        Column("payer_id", "str", "who pays", null_means="not named"),
        Column(
            "reference_code",
            "str",
            "what is settled (X12 128: IV invoice, CM credit; EDIFACT 1001)",
            null_means="not said",
        ),
        Column("invoice_number", "str", "invoice settled"),
        Column("amount", "f64", "amount paid, else due", unit="currency_code"),
        Column("invoice_amount", "f64", "amount of the invoice", null_means="not said", unit="currency_code"),
        Column("currency_code", "str", "ISO 4217 code of the amount's currency", null_means="not said: ours"),
    ),
    "payment_date",
)
RAW_EDI_PRICE_LINES = _fact(
    "raw_edi__price_lines",
    "one price of one item in one catalogue",
    "X12 832; EDIFACT PRICAT",
    (
        Column("catalogue_id", "str", "catalogue number"),
        Column("catalogue_date", "date", "date of the catalogue", null_means="none was sent"),
        *_ITEM,
        Column("description", "str", "plain name", null_means="none was sent"),
        Column("price_code", "str", "kind of price (X12 236, EDIFACT 5125)", null_means="not said"),
        Column("unit_price", "f64", "price per unit", unit="currency_code"),
        _CURRENCY,
        Column("unit_code", "str", "unit of measure as sent; EA when the partner sent none"),
        Column("effective_date", "date", "first day of the price", null_means="not said"),
    ),
    "catalogue_date",
)
RAW_EDI_PRODUCT_TRANSFERS = _fact(
    "raw_edi__product_transfers",
    "one item transferred or resold by a distributor",
    "X12 867",
    (
        Column("report_id", "str", "report number"),
        Column("report_date", "date", "date of the report"),
        Column(
            "transfer_code",
            "str",
            "X12 521 of PTD: SS stock sale, DS drop ship sale, RV return to vendor, RU return to stock …",
            null_means="not said",
        ),
        Column("transfer_date", "date", "date of the transfer", null_means="not said"),
        Column("distributor_id", "str", "who reports", null_means="not named"),
        Column("end_user_id", "str", "who received it", null_means="not named"),
        *_ITEM,
        Column(
            "quantity_code",
            "str",
            "X12 673 of the quantity: 32 sold, 76 returned, 17 on hand …",
            null_means="not sent, or read before it was kept",
        ),
        *_QTY,
        *_PRICE,
    ),
    "transfer_date",
)
RAW_EDI_APPLICATION_ADVICES = _fact(
    "raw_edi__application_advices",
    "one error that a partner's application found in one document that we sent, or its verdict where it found none",
    "X12 824; EDIFACT APERAK",
    (
        Column("advice_id", "str", "number of the advice"),
        Column("advice_date", "date", "date of the advice", null_means="none was sent"),
        Column(
            "verdict_code", "str", "X12 110 (TA accepted, TE with errors, TR rejected) or EDIFACT 1001/4343 as sent"
        ),
        Column(
            "reference_code",
            "str",
            "what kind of number the reference is (X12 128, EDIFACT 1153)",
            null_means="not said",
        ),
        Column("reference", "str", "document the advice is about"),
        Column("error_code", "str", "application error (X12 647, EDIFACT 9321)", null_means="no error"),
        Column("error_text", "str", "the partner's words", null_means="none"),
    ),
    "advice_date",
)

RAW_EDI_INTERCHANGES = Table(
    name="raw_edi__interchanges",
    stage="s1_ingest",
    grain="one interchange of one document, with its verdict",
    key=("document_id", "interchange_no"),
    columns=(
        Column("document_id", "str", "SHA-256 of the raw document"),
        Column("interchange_no", "i32", "ordinal in the document, from 1"),
        Column("standard_code", "str", "X12 or EDIFACT", codes=("X12", "EDIFACT")),
        Column("sender_id", "str", "sender"),
        Column("receiver_id", "str", "receiver"),
        Column("control_number", "str", "control number as sent"),
        Column("sent_at_utc", "ts", "when the sender says it was made", null_means="no date in the envelope"),
        Column("available_at_utc", "ts", "when the document reached us"),
        Column("sets", "i32", "transaction sets found"),
        Column("segments", "i64", "segments found"),
        Column("verdict_code", "str", "outcome", codes=("accepted", "accepted_with_errors", "rejected", "duplicate")),
        Column("reason", "str", "plain words for anything but accepted", null_means="accepted"),
        Column(
            "usage_code",
            "str",
            "ISA15: P production, T test, I information; of UNB T where 0035 says test, else P",
            null_means="not sent, or read before it was kept; counts as production",
        ),
    ),
    known_clock="available_at_utc",
    write="append",
    source="envelopes",
)
RAW_EDI_SETS = Table(
    name="raw_edi__sets",
    stage="s1_ingest",
    grain="one transaction set or message, with its verdict",
    key=("document_id", "interchange_no", "set_no"),
    columns=(
        *POINTER[:3],
        Column("group_no", "i32", "ordinal of the functional group in the document, from 1", null_means="no group"),
        Column(
            "group_control_number", "str", "control number of that group, which a 997 quotes", null_means="no group"
        ),
        Column("standard_code", "str", "X12 or EDIFACT", codes=("X12", "EDIFACT")),
        Column("set_code", "str", "850, ORDERS, …"),
        Column("version_code", "str", "version or release as sent", null_means="not sent"),
        Column("control_number", "str", "set control number"),
        Column("segments", "i64", "segments counted, ST to SE"),
        Column("facts", "i32", "typed fact rows taken from it"),
        Column("rejected_lines", "i32", "lines set aside"),
        Column("verdict_code", "str", "outcome", codes=("accepted", "accepted_with_errors", "rejected", "unmapped")),
        Column("reason", "str", "plain words for anything but accepted", null_means="accepted"),
        Column("available_at_utc", "ts", "when the document reached us"),
    ),
    known_clock="available_at_utc",
    write="append",
    source="ST/SE, UNH/UNT",
)
RAW_EDI_REJECTS = Table(
    name="raw_edi__rejects",
    stage="s1_ingest",
    grain="one thing set aside: a document, interchange, set or line, with reason and place",
    key=("reject_id",),
    columns=(
        Column("reject_id", "str", "first 16 hex digits of the SHA-256 of pointer and code"),
        *POINTER[:4],
        Column(
            "element_no",
            "i32",
            "position of the faulty element in its segment, from 1",
            null_means="the whole segment or more",
        ),
        Column("level_code", "str", "what is set aside", codes=("document", "interchange", "group", "set", "line")),
        Column("kind_code", "str", "which check", codes=("envelope", "syntax", "business", "duplicate", "import")),
        Column("error_code", "str", "standard code such as AK4:7 or AK5:5 or TA1:001 or CONTRL:29, or our own word"),
        Column("reason", "str", "what is wrong and what to do, in plain words"),
        Column(
            "segment_text",
            "str",
            "the offending segment as received, at most 500 characters",
            null_means="none applies",
        ),
        Column("available_at_utc", "ts", "when the document reached us"),
    ),
    known_clock="available_at_utc",
    write="append",
    source="every reader",
)

EDI_FACT_TABLES: tuple[Table, ...] = (
    RAW_EDI_PRODUCT_ACTIVITY,
    RAW_EDI_INVENTORY_POSITIONS,
    RAW_EDI_ORDER_LINES,
    RAW_EDI_WHOLE_ORDERS,
    RAW_EDI_ORDER_RESPONSES,
    RAW_EDI_SHIPMENT_LINES,
    RAW_EDI_RECEIPT_LINES,
    RAW_EDI_WHOLE_NOTICES,
    RAW_EDI_INVOICE_LINES,
    RAW_EDI_SHIPMENT_STATUSES,
    RAW_EDI_ACKNOWLEDGEMENTS,
    RAW_EDI_DELIVERY_SCHEDULES,
    RAW_EDI_WAREHOUSE_LINES,
    RAW_EDI_LOAD_STOPS,
    RAW_EDI_LOAD_RESPONSES,
    RAW_EDI_FREIGHT_CHARGES,
    RAW_EDI_REMITTANCE_LINES,
    RAW_EDI_PRICE_LINES,
    RAW_EDI_PRODUCT_TRANSFERS,
    RAW_EDI_APPLICATION_ADVICES,
)
EDI_VERDICT_TABLES: tuple[Table, ...] = (RAW_EDI_INTERCHANGES, RAW_EDI_SETS, RAW_EDI_REJECTS)
