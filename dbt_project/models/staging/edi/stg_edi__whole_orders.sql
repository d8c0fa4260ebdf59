select
    document_id,
    interchange_no,
    set_no,
    segment_no,
    line_no,
    set_code,
    nullif(trim(sender_id), '') as sender_id,
    nullif(trim(receiver_id), '') as receiver_id,
    control_number,
    sent_at_utc,
    available_at_utc,
    nullif(trim(order_number), '') as order_number,
    said_date,
    action_code,
    nullif(trim(buyer_id), '') as buyer_id,
    nullif(trim(seller_id), '') as seller_id
from {{ source('edi', 'raw_edi__whole_orders') }}
