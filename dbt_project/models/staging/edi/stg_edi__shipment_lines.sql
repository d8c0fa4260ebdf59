select
    {{ edi_opening() }},
    nullif(trim(shipment_id), '') as shipment_id,
    shipped_date,
    expected_date,
    {{ named_order() }} as order_number,
    nullif(trim(order_line), '') as order_line,
    nullif(trim(ship_from_id), '') as ship_from_id,
    nullif(trim(ship_to_site_id), '') as ship_to_site_id,
    nullif(trim(carrier_id), '') as carrier_id,
    item_id,
    nullif(trim(item_gtin), '') as item_gtin,
    quantity,
    upper(trim(unit_code)) as unit_code
{{ from_counted('raw_edi__shipment_lines') }}
