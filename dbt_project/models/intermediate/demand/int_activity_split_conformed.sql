-- Activities whose stores (SDQ) do not add up to what they state, of all time, in our names and in eaches.
{{ conform(
    'stg_edi__product_activity',
    {'site_id': 'site_id'},
    ['activity_code', 'activity_date', 'stated_quantity'],
    filter='stated_quantity is not null'
) }}
