select
    {{ edi_opening() }},
    -- A call-off is an order of its own, and nothing else tells it from the others of its number.
    case when {{ release_of_message() }} is null then nullif(trim(order_number), '') else {{ called_off() }} end as order_number,
    order_date,
    nullif(trim(order_line), '') as order_line,
    action_code,
    nullif(trim(buyer_id), '') as buyer_id,
    nullif(trim(seller_id), '') as seller_id,
    nullif(trim(ship_to_site_id), '') as ship_to_site_id,
    item_id,
    nullif(trim(item_gtin), '') as item_gtin,
    quantity,
    upper(trim(unit_code)) as unit_code,
    line_quantity,
    unit_price,
    upper(trim(currency_code)) as currency_code,
    requested_date,
    upper(trim(order_type_code)) as order_type_code
{{ from_counted('raw_edi__order_lines') }}
