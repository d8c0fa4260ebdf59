-- Everything said about an order line, in one form: ordered, changed, cancelled, confirmed, shipped, received, refused, status; what names a
-- blanket order alone stands with the call-offs that it is for (`int_call_offs_matched`).
with

events as (
    select said.* from {{ ref('int_order_events_said') }} as said
    anti join {{ ref('int_call_offs_matched') }} as matched
        on said.blanket_number = matched.blanket_number and said.item_id = matched.item_id and said.set_rank = matched.set_rank
        and said.segment_no = matched.segment_no and said.line_no = matched.line_no and said.event_code = matched.event_code
    union all by name
    select * from {{ ref('int_call_offs_matched') }}
)

select
    order_number, item_id, event_code, event_date, quantity_ea, expected_date, source_id, site_id, carrier_id, shipment_id,
    reference_id, unit_price_usd, document_id, set_no, segment_no, line_no, control_number, sent_at_utc, available_at_utc,
    superseded_at_utc, said_rank, set_rank,
    {{ known_day('available_at_utc') }} as known_date
from events
