-- Purchase order and order change lines, in our names and in eaches.
{{ conform(
    'stg_edi__order_lines',
    {'ship_to_site_id': 'ship_to_id', 'buyer_id': 'buyer_id', 'seller_id': 'seller_id', 'receiver_id': 'receiver_id'},
    ['set_code', 'order_number', 'order_line', 'line_quantity', 'order_date', 'action_code', 'unit_price', 'currency_code', 'requested_date', 'order_type_code']
) }}
