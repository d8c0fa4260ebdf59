select
    {{ edi_opening() }},
    receipt_id,
    received_date,
    nullif(trim(shipment_id), '') as shipment_id,
    {{ named_order() }} as order_number,
    nullif(trim(order_line), '') as order_line,
    nullif(trim(site_id), '') as site_id,
    item_id,
    nullif(trim(item_gtin), '') as item_gtin,
    quantity,
    upper(trim(unit_code)) as unit_code,
    rejected_quantity
{{ from_counted('raw_edi__receipt_lines') }}
