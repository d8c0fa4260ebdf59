select
    {{ edi_opening() }},
    {{ named_order() }} as order_number,
    said_date,
    action_code,
    nullif(trim(buyer_id), '') as buyer_id,
    nullif(trim(seller_id), '') as seller_id
{{ from_counted('raw_edi__whole_orders') }}
