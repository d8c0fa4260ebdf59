select
    {{ edi_opening() }},
    nullif(trim(site_id), '') as site_id,
    item_id,
    nullif(trim(item_gtin), '') as item_gtin,
    upper(trim(activity_code)) as activity_code,
    activity_date,
    period_start_date,
    quantity,
    upper(trim(unit_code)) as unit_code,
    stated_quantity,
    unit_price,
    upper(trim(currency_code)) as currency_code
{{ from_counted('raw_edi__product_activity') }}
