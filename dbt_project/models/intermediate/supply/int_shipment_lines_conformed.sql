-- Shipment notice lines, in our names and in eaches.
{{ conform(
    'stg_edi__shipment_lines',
    {'ship_from_id': 'ship_from_id', 'ship_to_site_id': 'ship_to_id', 'sender_id': 'sender_id'},
    ['shipment_id', 'shipped_date', 'expected_date', 'order_number', 'carrier_id']
) }}
