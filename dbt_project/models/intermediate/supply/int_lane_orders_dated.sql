-- One order line of one lane, with the business days on which its order, its first receipt, its cancellation and its first promise
-- became known. Only first statements count, so nothing that comes later changes a row.
with

events as (
    select *, (known_date, available_at_utc, document_id, set_no, segment_no, line_no) as arrival
    from {{ ref('int_order_events_gathered') }}
),

folded as (
    select
        order_number, item_id,
        arg_min(source_id, arrival) filter (event_code = 'ordered') as source_id,
        arg_min(site_id, arrival) filter (event_code = 'ordered') as site_id,
        arg_min(event_date, arrival) filter (event_code = 'ordered') as order_date,
        min(known_date) filter (event_code = 'ordered') as ordered_known_date,
        arg_min(event_date, arrival) filter (event_code = 'received') as received_date,
        min(known_date) filter (event_code = 'received') as received_known_date,
        min(known_date) filter (event_code = 'cancelled') as cancelled_known_date,
        arg_min(expected_date, arrival) filter (event_code = 'confirmed' and expected_date is not null) as promised_date,
        min(known_date) filter (event_code = 'confirmed' and expected_date is not null) as promise_known_date
    from events
    group by order_number, item_id
)

select
    concat(source_id, '>', site_id) as lane_id, source_id, site_id, order_number, item_id, order_date, ordered_known_date,
    cancelled_known_date, received_date,
    -- A receipt counts from the day on which both it and its order were known.
    if(received_known_date is null, null, greatest(received_known_date, received_date, ordered_known_date)) as received_known_date,
    received_date - order_date as lead_time_days,
    if(promise_known_date <= received_known_date, received_date > promised_date, null) as is_late
from folded
where source_id is not null and site_id is not null and ordered_known_date is not null
