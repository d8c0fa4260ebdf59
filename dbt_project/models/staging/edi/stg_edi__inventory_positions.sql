select
    {{ edi_opening() }},
    nullif(trim(site_id), '') as site_id,
    item_id,
    nullif(trim(item_gtin), '') as item_gtin,
    upper(trim(quantity_code)) as quantity_code,
    position_date,
    quantity,
    upper(trim(unit_code)) as unit_code
{{ from_counted('raw_edi__inventory_positions') }}
