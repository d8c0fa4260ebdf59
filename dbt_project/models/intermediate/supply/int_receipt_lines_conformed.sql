-- Receiving advice lines, in our names and in eaches.
{{ conform(
    'stg_edi__receipt_lines',
    {'site_id': 'site_id', 'sender_id': 'sender_id'},
    ['receipt_id', 'received_date', 'shipment_id', 'order_number', 'rejected_quantity']
) }}
