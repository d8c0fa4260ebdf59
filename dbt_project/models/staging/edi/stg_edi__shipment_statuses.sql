select
    {{ edi_opening() }},
    nullif(trim(shipment_id), '') as shipment_id,
    nullif(trim(carrier_id), '') as carrier_id,
    upper(trim(status_code)) as status_code,
    nullif(trim(reason_code), '') as reason_code,
    status_at_utc,
    nullif(trim(location_name), '') as location_name,
    estimated_date
{{ from_counted('raw_edi__shipment_statuses') }}
