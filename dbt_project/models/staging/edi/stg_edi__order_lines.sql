select
    {{ edi_opening() }},
    nullif(trim(order_number), '') as order_number,
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
    nullif(trim(release_number), '') as release_number
{{ from_counted('raw_edi__order_lines') }}
