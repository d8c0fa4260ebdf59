-- Product activity of the window (and the day before it, whose close is the opening), in our names and in eaches.
{{ conform(
    'stg_edi__product_activity',
    {'site_id': 'site_id'},
    ['activity_code', 'activity_date', 'period_start_date', 'unit_price', 'currency_code'],
    site_required=true,
    filter=in_window('activity_date', before_days=1)
) }}
