-- One rank over every message, so that "which of two says more recently" is one integer comparison everywhere after.
with

sets as (
    {% for source in ['product_activity', 'inventory_positions', 'order_lines', 'whole_orders', 'order_responses', 'shipment_lines', 'receipt_lines', 'whole_notices', 'shipment_statuses'] %}
    select distinct
        document_id, interchange_no, set_no, set_code, sender_id, receiver_id, control_number, sent_at_utc, available_at_utc
    from {{ ref('stg_edi__' ~ source) }}
    {{ 'union' if not loop.last }}
    {% endfor %}
),

firsts as (
    select
        document_id, interchange_no, set_no,
        min(set_code) as set_code,
        min(sender_id) as sender_id,
        min(receiver_id) as receiver_id,
        min(control_number) as control_number,
        min(sent_at_utc) as sent_at_utc,
        min(available_at_utc) as available_at_utc
    from sets
    group by document_id, interchange_no, set_no
)

select
    document_id, interchange_no, set_no, set_code, sender_id, receiver_id, control_number, sent_at_utc, available_at_utc,
    -- A message was written when it was sent, and never after it reached us.
    least(sent_at_utc, available_at_utc) as written_at_utc,
    {{ known_day('available_at_utc') }} as known_date,
    cast(row_number() over (
        order by
            sent_at_utc nulls first,
            {{ control_order() }} nulls first,
            control_number,
            available_at_utc,
            document_id,
            interchange_no,
            set_no
    ) as integer) as set_rank,
    -- The rank as the fold of order events outside dbt sees it (`open_orders.py`): an event tells neither its message's interchange nor
    -- when that message arrived.
    cast(dense_rank() over (
        order by sent_at_utc nulls first, {{ control_order() }} nulls first, control_number, document_id, set_no
    ) as integer) as said_rank
from firsts
