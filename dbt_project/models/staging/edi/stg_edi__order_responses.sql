select
    {{ edi_opening() }},
    {{ named_order() }} as order_number,
    response_date,
    nullif(trim(order_line), '') as order_line,
    upper(trim(response_code)) as response_code,
    nullif(trim(seller_id), '') as seller_id,
    item_id,
    nullif(trim(item_gtin), '') as item_gtin,
    quantity,
    upper(trim(unit_code)) as unit_code,
    promised_date
{{ from_counted('raw_edi__order_responses') }}
