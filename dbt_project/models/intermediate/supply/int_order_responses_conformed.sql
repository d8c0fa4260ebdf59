-- Answers of suppliers to order lines, in our names and in eaches.
{{ conform(
    'stg_edi__order_responses',
    {'seller_id': 'seller_id', 'sender_id': 'sender_id'},
    ['order_number', 'response_date', 'response_code', 'promised_date']
) }}
