select
    order_number, item_id, event_code, event_date, quantity_ea, expected_date, source_id, site_id, carrier_id, shipment_id,
    reference_id, unit_price_usd, document_id, set_no, segment_no, line_no, control_number, sent_at_utc, available_at_utc,
    superseded_at_utc
from {{ ref('int_order_events_gathered') }}
